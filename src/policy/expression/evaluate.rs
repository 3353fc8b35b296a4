//! The tree walked over one subject.

use std::ops::ControlFlow;

use smallvec::SmallVec;

use super::calculate::{arithmetic, compare, negate};
use super::library;
use super::logic::{Logic, Tally};
use super::read::{self, is_there};
use super::tree::{Comparison, Does, Each, Function, Kind, Node};
use super::value::{List, Map, Object, Value};
use super::{EvaluationError, Subject};

/// The steps that one evaluation may take. A part costs one, a longer text or list more. Real rules take
/// tens to hundreds; this many take a few milliseconds, which the one loop that all calls share can bear.
pub(super) const STEPS: usize = 100_000;

/// Bytes of text that count as one step.
const TEXT_STEP: usize = 64;

/// Sees what each part was, as soon as it is known.
pub(super) trait Watch {
    fn saw(&mut self, node: &Node, outcome: &Result<Value<'_>, EvaluationError>);
}

/// Nobody looks.
pub(super) struct Unwatched;

impl Watch for Unwatched {
    fn saw(&mut self, _node: &Node, _outcome: &Result<Value<'_>, EvaluationError>) {}
}

/// Whether the tree holds of the subject.
pub(super) fn evaluate<W: Watch>(
    root: &Node,
    subject: Subject<'_>,
    watch: &mut W,
) -> Result<bool, EvaluationError> {
    let mut evaluator = Evaluator { subject, steps: 0, locals: SmallVec::new(), watch };
    evaluator.condition(root)
}

struct Evaluator<'a, 'w, W> {
    subject: Subject<'a>,
    steps: usize,
    locals: SmallVec<[Value<'a>; 4]>,
    watch: &'w mut W,
}

type Outcome<'a> = Result<Value<'a>, EvaluationError>;

impl<'a, W: Watch> Evaluator<'a, '_, W> {
    fn value(&mut self, node: &'a Node) -> Outcome<'a> {
        let outcome = match self.charge(1) {
            Ok(()) => self.kind(node),
            Err(error) => Err(error),
        };
        self.watch.saw(node, &outcome);
        outcome
    }

    /// A part as a condition. Looks at its value where it lies: to move one costs more than to compare it.
    fn condition(&mut self, node: &'a Node) -> Result<bool, EvaluationError> {
        seen(&self.value(node))?.as_bool()
    }

    fn comparison(&mut self, comparison: Comparison, parts: &'a [Node; 2]) -> Outcome<'a> {
        let one = self.value(&parts[0]);
        let one = seen(&one)?;
        let two = self.value(&parts[1]);
        let two = seen(&two)?;
        self.charge(one.weight() + two.weight())?;
        compare(comparison, one, two).map(Value::Bool)
    }

    /// Once the bound is passed every part fails, so that `||` and `&&` can't absorb it.
    fn charge(&mut self, steps: usize) -> Result<(), EvaluationError> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS { Err(EvaluationError::CostExceeded) } else { Ok(()) }
    }

    fn kind(&mut self, node: &'a Node) -> Outcome<'a> {
        match &node.kind {
            Kind::Constant(value) => Ok(value.borrowed()),
            Kind::Variable(variable) => {
                self.charge(read::weight(self.subject, *variable))?;
                Ok(read::variable(self.subject, *variable))
            }
            Kind::Local(slot) => Ok(self.locals.get(*slot).cloned().unwrap_or(Value::Null)),
            Kind::Field(of, field) => {
                Ok(self.object(of)?.map_or_else(|| read::empty(&field.of_type()), |one| one.field(*field)))
            }
            Kind::Member(of, name) => self.member(of, name),
            Kind::HasField(of, field) => {
                Ok(Value::Bool(self.object(of)?.is_some_and(|one| is_there(&one.field(*field)))))
            }
            Kind::HasMember(of, name) => self.has_member(of, name),
            Kind::Index(parts) => self.index(parts),
            Kind::Not(part) => Ok(Value::Bool(!self.condition(part)?)),
            Kind::Negate(part) => negate(&self.value(part)?),
            Kind::And(parts) => self.all_of(parts, Logic::And),
            Kind::Or(parts) => self.all_of(parts, Logic::Or),
            Kind::Choose(parts) => {
                let [condition, then, otherwise] = &**parts;
                if self.condition(condition)? { self.value(then) } else { self.value(otherwise) }
            }
            Kind::Arithmetic(operator, parts) => {
                let (one, two) = self.both(parts)?;
                arithmetic(*operator, one, two)
            }
            Kind::Compare(comparison, parts) => self.comparison(*comparison, parts),
            Kind::In(parts) => self.is_in(parts),
            Kind::List(parts) => self.list(parts),
            Kind::Map(parts) => self.map(parts),
            Kind::Call(function, parts) => self.call(*function, parts),
            Kind::Matches(part, pattern) => {
                let text = self.value(part)?.into_text("matches()")?;
                self.charge(text.len() / TEXT_STEP)?;
                Ok(Value::Bool(pattern.is_match(&text)))
            }
            Kind::Each(each) => self.each(each),
        }
    }

    /// Both parts of an operator, paid by their size.
    fn both(&mut self, parts: &'a [Node; 2]) -> Result<(Value<'a>, Value<'a>), EvaluationError> {
        let [one, two] = parts;
        let (one, two) = (self.value(one)?, self.value(two)?);
        self.charge(one.weight() + two.weight())?;
        Ok((one, two))
    }

    /// None where it was looked for at a place that is not known: in a list, by a time that was left out.
    fn object(&mut self, node: &'a Node) -> Result<Option<Object<'a>>, EvaluationError> {
        match self.value(node)? {
            Value::Object(object) => Ok(Some(object)),
            Value::Null => Ok(None),
            value @ (Value::Bool(_)
            | Value::Int(_)
            | Value::Uint(_)
            | Value::Double(_)
            | Value::Text(_)
            | Value::Timestamp(_)
            | Value::Duration(_)
            | Value::List(_)
            | Value::Map(_)) => Err(value.wrong("a field")),
        }
    }

    fn member(&mut self, of: &'a Node, name: &'a str) -> Outcome<'a> {
        let of = self.value(of)?;
        if let Value::Map(map) = of {
            self.charge_lookup(&map)?;
            map.read(&Value::text(name))
        } else if let Value::Object(object) = of {
            Ok(object.shape().field(name).map_or(Value::Null, |field| object.field(field)))
        } else if let Value::Null = of {
            Ok(Value::Null)
        } else {
            Err(of.wrong("a field"))
        }
    }

    fn has_member(&mut self, of: &'a Node, name: &'a str) -> Outcome<'a> {
        let of = self.value(of)?;
        Ok(Value::Bool(if let Value::Map(map) = of {
            self.charge_lookup(&map)?;
            map.get(&Value::text(name)).is_some()
        } else if let Value::Object(object) = of {
            object.shape().field(name).is_some_and(|field| is_there(&object.field(field)))
        } else if let Value::Null = of {
            false
        } else {
            return Err(of.wrong("has()"));
        }))
    }

    fn charge_lookup(&mut self, map: &Map<'a>) -> Result<(), EvaluationError> {
        self.charge(match map {
            Map::Merged(conversation) => conversation.participants.len(),
            Map::Built(entries) => entries.len(),
            Map::Attributes(_) | Map::Facts(_) | Map::Json(_) => 0,
        })
    }

    fn index(&mut self, parts: &'a [Node; 2]) -> Outcome<'a> {
        let [of, at] = parts;
        let (of, at) = (self.value(of)?, self.value(at)?);
        match (of, at) {
            (Value::Null, _) => Ok(Value::Null),
            (Value::Map(map), key) => {
                self.charge_lookup(&map)?;
                map.read(&key)
            }
            (Value::List(_), Value::Null) => Ok(Value::Null),
            (Value::List(list), Value::Int(index)) => element(&list, index),
            (Value::List(list), Value::Uint(index)) => {
                element(&list, i64::try_from(index).unwrap_or(i64::MAX))
            }
            (Value::List(list), Value::Double(index)) if index.fract() == 0.0 => element(&list, index as i64),
            (Value::Object(object), Value::Text(name)) => {
                Ok(object.shape().field(&name).map_or(Value::Null, |field| object.field(field)))
            }
            (of, _) => Err(of.wrong("an index")),
        }
    }

    /// `&&` and `||`: one part that decides is enough, whatever fails beside it.
    fn all_of(&mut self, parts: &'a [Node], logic: Logic) -> Outcome<'a> {
        let mut tally = Tally::new(logic);
        for part in parts {
            if tally.add(self.condition(part)).is_break() {
                break;
            }
        }
        tally.result().map(Value::Bool)
    }

    fn is_in(&mut self, parts: &'a [Node; 2]) -> Outcome<'a> {
        let (one, of) = self.both(parts)?;
        Ok(Value::Bool(if let Value::List(list) = of {
            list.holds(&one)
        } else if let Value::Map(map) = of {
            map.get(&one).is_some()
        } else if let Value::Null = of {
            false
        } else {
            return Err(of.wrong("in"));
        }))
    }

    fn list(&mut self, parts: &'a [Node]) -> Outcome<'a> {
        let elements: Result<Vec<_>, _> = parts.iter().map(|part| self.value(part)).collect();
        Ok(Value::List(List::Built(elements?.into())))
    }

    fn map(&mut self, parts: &'a [[Node; 2]]) -> Outcome<'a> {
        let entries: Result<Vec<_>, _> = parts.iter().map(|entry| self.both(entry)).collect();
        Ok(Value::Map(Map::Built(entries?.into())))
    }

    fn call(&mut self, function: Function, parts: &'a [Node]) -> Outcome<'a> {
        let mut values: SmallVec<[Value<'a>; 2]> = SmallVec::new();
        for part in parts {
            let value = self.value(part)?;
            self.charge(value.weight())?;
            values.push(value);
        }
        let second = (values.len() > 1).then(|| values.pop()).flatten();
        let Some(first) = values.pop() else { return Ok(Value::Null) };
        library::call(function, first, second)
    }

    fn each(&mut self, each: &'a Each) -> Outcome<'a> {
        let over = self.value(&each.over)?;
        if !matches!(over, Value::List(_) | Value::Map(_) | Value::Null) {
            return Err(over.wrong("a macro over elements"));
        }
        match &each.does {
            Does::Exists(body) => {
                let mut tally = Tally::new(Logic::Or);
                self.walk(&over, |this| tally.add(this.condition(body)));
                tally.result().map(Value::Bool)
            }
            Does::All(body) => {
                let mut tally = Tally::new(Logic::And);
                self.walk(&over, |this| tally.add(this.condition(body)));
                tally.result().map(Value::Bool)
            }
            Does::ExistsOne(body) => {
                let kept = self.collect(&over, Some(body), None)?;
                Ok(Value::Bool(kept.len() == 1))
            }
            Does::Filter(body) => Ok(Value::List(List::Built(self.collect(&over, Some(body), None)?.into()))),
            Does::Map { keep, give } => {
                Ok(Value::List(List::Built(self.collect(&over, keep.as_ref(), Some(give))?.into())))
            }
        }
    }

    /// What `give` makes of each element that `keep` holds of.
    fn collect(
        &mut self,
        over: &Value<'a>,
        keep: Option<&'a Node>,
        give: Option<&'a Node>,
    ) -> Result<Vec<Value<'a>>, EvaluationError> {
        let mut kept = Vec::new();
        let mut failure = None;
        self.walk(over, |this| {
            let mut one = || {
                if keep.map_or(Ok(true), |keep| this.condition(keep))? {
                    let element = this.locals.last().cloned().unwrap_or(Value::Null);
                    kept.push(give.map_or(Ok(element), |give| this.value(give))?);
                }
                Ok(())
            };
            match one() {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        failure.map_or(Ok(kept), Err)
    }

    /// Runs `body` with each element in the next slot, until it breaks.
    fn walk(&mut self, over: &Value<'a>, mut body: impl FnMut(&mut Self) -> ControlFlow<()>) {
        let with = |element: Value<'a>| {
            self.locals.push(element);
            let flow = body(self);
            self.locals.pop();
            flow
        };
        let _flow = if let Value::List(list) = over {
            list.try_each(with)
        } else if let Value::Map(map) = over {
            map.try_each_key(with)
        } else {
            ControlFlow::Continue(())
        };
    }
}

/// The value of an outcome, where it lies.
fn seen<'o, 'a>(outcome: &'o Outcome<'a>) -> Result<&'o Value<'a>, EvaluationError> {
    outcome.as_ref().map_err(Clone::clone)
}

fn element<'a>(list: &List<'a>, index: i64) -> Outcome<'a> {
    usize::try_from(index)
        .ok()
        .and_then(|at| list.get(at))
        .ok_or_else(|| EvaluationError::IndexOutOfRange { index, length: list.len() })
}
