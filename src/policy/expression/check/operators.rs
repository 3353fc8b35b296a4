//! Operators: what they take, and comparisons that can never be true.

use std::ops::Range;

use cel::common::ast::{CallExpr, Expr, IdedExpr, operators};

use super::functions::JSON_HAS_NO_TIMES;
use super::results::result;
use super::{Checker, Typed, many};
use crate::policy::expression::Mistake;
use crate::policy::expression::schema::{Field, Shape, Type, Variable};
use crate::policy::expression::suggest::did_you_mean;
use crate::policy::expression::tree::{Arithmetic, Comparison, Kind, Node};
use crate::policy::expression::value::{List, Value};

/// An operator of the parser's.
enum Operator {
    Logic,
    Not,
    Negate,
    Choose,
    Index,
    In,
    Compare(Comparison),
    Arithmetic(Arithmetic),
}

fn operator(name: &str) -> Option<Operator> {
    Some(match name {
        operators::LOGICAL_AND | operators::LOGICAL_OR => Operator::Logic,
        operators::LOGICAL_NOT => Operator::Not,
        operators::NEGATE => Operator::Negate,
        operators::CONDITIONAL => Operator::Choose,
        operators::INDEX => Operator::Index,
        operators::IN => Operator::In,
        operators::EQUALS => Operator::Compare(Comparison::Equal),
        operators::NOT_EQUALS => Operator::Compare(Comparison::Different),
        operators::LESS => Operator::Compare(Comparison::Less),
        operators::LESS_EQUALS => Operator::Compare(Comparison::LessOrEqual),
        operators::GREATER => Operator::Compare(Comparison::Greater),
        operators::GREATER_EQUALS => Operator::Compare(Comparison::GreaterOrEqual),
        operators::ADD => Operator::Arithmetic(Arithmetic::Add),
        operators::SUBSTRACT => Operator::Arithmetic(Arithmetic::Subtract),
        operators::MULTIPLY => Operator::Arithmetic(Arithmetic::Multiply),
        operators::DIVIDE => Operator::Arithmetic(Arithmetic::Divide),
        operators::MODULO => Operator::Arithmetic(Arithmetic::Remainder),
        _ => return None,
    })
}

fn around(one: &Node, two: &Node) -> Range<usize> {
    one.span.start..two.span.end.max(one.span.end)
}

impl Checker<'_> {
    pub(super) fn call(&mut self, token: Range<usize>, call: &CallExpr) -> Typed {
        match (operator(&call.func_name), call.args.as_slice()) {
            (None, _) => self.function(token, call),
            (Some(Operator::Logic), _) => self.logic(token, call),
            (Some(Operator::Not), [part]) => self.not(token, part),
            (Some(Operator::Negate), [part]) => self.negate(token, part),
            (Some(Operator::Choose), [condition, then, otherwise]) => {
                self.choose([condition, then, otherwise])
            }
            (Some(Operator::Index), [of, at]) => self.index(token, of, at),
            (Some(Operator::In), [one, of]) => self.is_in(one, of),
            (Some(Operator::Compare(comparison)), [one, two]) => self.compare(comparison, one, two),
            (Some(Operator::Arithmetic(operator)), [one, two]) => self.arithmetic(operator, one, two),
            (Some(_), _) => self.wrong(Mistake::new(token, "this operator lacks a side")),
        }
    }

    /// A part that must be a condition.
    pub(super) fn condition(&mut self, part: &IdedExpr, place: &str) -> Typed {
        let part = self.check(part);
        if !part.is_condition() {
            let message = format!("{place} must be true or false, and this is {}", part.of);
            let help = part.as_condition_help();
            self.mistakes.push(Mistake { help, ..Mistake::new(part.span(), message) });
        }
        part
    }

    /// `&&` and `||`; the parser's balanced tree becomes one flat chain again.
    fn logic(&mut self, token: Range<usize>, call: &CallExpr) -> Typed {
        let mut parts = Vec::new();
        self.flatten(call, &mut parts);
        let span = match (parts.first(), parts.last()) {
            (Some(first), Some(last)) => around(first, last),
            _ => token,
        };
        let is_and = call.func_name == operators::LOGICAL_AND;
        Typed::new(span, if is_and { Kind::And(parts) } else { Kind::Or(parts) }, Type::Bool)
    }

    fn flatten(&mut self, call: &CallExpr, parts: &mut Vec<Node>) {
        let is_and = call.func_name == operators::LOGICAL_AND;
        let place = if is_and { "a side of `&&`" } else { "a side of `||`" };
        for side in &call.args {
            if let Expr::Call(inner) = &side.expr
                && inner.func_name == call.func_name
            {
                self.flatten(inner, parts);
            } else {
                parts.push(self.condition(side, place).node);
            }
        }
    }

    fn not(&mut self, token: Range<usize>, part: &IdedExpr) -> Typed {
        let part = self.condition(part, "what follows `!`");
        let span = token.start..part.node.span.end;
        Typed::new(span, Kind::Not(Box::new(part.node)), Type::Bool)
    }

    fn negate(&mut self, token: Range<usize>, part: &IdedExpr) -> Typed {
        let part = self.check(part);
        let span = token.start..part.node.span.end;
        if matches!(part.of, Type::Json | Type::Number) {
            return Typed::new(span, Kind::Negate(Box::new(part.node)), Type::Number);
        }
        if matches!(part.of, Type::Dyn | Type::Int | Type::Double | Type::Duration) {
            return Typed::new(span, Kind::Negate(Box::new(part.node)), part.of);
        }
        self.wrong(Mistake::new(span, format!("`-` does not work on {}", part.of)))
    }

    fn choose(&mut self, [condition, then, otherwise]: [&IdedExpr; 3]) -> Typed {
        let condition = self.condition(condition, "what stands before `?`");
        let (then, otherwise) = (self.check(then), self.check(otherwise));
        let span = around(&condition.node, &otherwise.node);
        if !then.of.joins(&otherwise.of) {
            let message = format!("one outcome of `? :` is {} and the other {}", then.of, otherwise.of);
            let mixed = then.of.is_number() && otherwise.of.is_number();
            let help = mixed.then(|| "convert one of them with int(), uint() or double()".to_owned());
            self.mistakes
                .push(Mistake { help, ..Mistake::new(around(&then.node, &otherwise.node), message) });
        }
        let parts = Box::new([condition.node, then.node, otherwise.node]);
        Typed::new(span, Kind::Choose(parts), then.of.join(otherwise.of))
    }

    fn index(&mut self, bracket: Range<usize>, of: &IdedExpr, at: &IdedExpr) -> Typed {
        let (of, at) = (self.check(of), self.check(at));
        let span = of.node.span.start..self.layout.behind_bracket(bracket.start);
        let (fits, element) = match &of.of {
            Type::Dyn | Type::Nothing => (true, Type::Dyn),
            Type::Json => (true, Type::Json),
            Type::List(element) => {
                use Type::{Dyn, Int, Json, Number, Uint};
                (matches!(at.of, Int | Uint | Number | Dyn | Json), (**element).clone())
            }
            Type::Map(key, value) => (key.can_equal(&at.of), (**value).clone()),
            Type::Object(_) => {
                let mistake = Mistake::new(span, format!("{} has fields, not keys", of.of));
                let help = at.constant_text().map(|name| format!("write `.{name}`"));
                return self.wrong(Mistake { help, ..mistake });
            }
            Type::Null
            | Type::Bool
            | Type::Int
            | Type::Uint
            | Type::Double
            | Type::Number
            | Type::Text
            | Type::Timestamp
            | Type::Duration => {
                return self.wrong(Mistake::new(span, format!("{} has no elements", of.of)));
            }
        };
        if element == Type::Nothing {
            return self.wrong(Mistake::new(span, "nothing can be taken out of what is empty"));
        }
        if !fits {
            let message = format!("an element of {} is not found by {}", of.of, at.of);
            self.mistake(at.span(), message);
        }
        Typed::new(span, Kind::Index(Box::new([of.node, at.node])), element)
    }

    fn is_in(&mut self, one: &IdedExpr, of: &IdedExpr) -> Typed {
        let (one, of) = (self.check(one), self.check(of));
        let span = around(&one.node, &of.node);
        match &of.of {
            Type::Dyn | Type::Nothing => {}
            Type::Json if one.of.can_be_json() => {}
            Type::Json => self.mistake(span.clone(), format!("{} is never in {}", one.of, of.of)),
            Type::List(element) | Type::Map(element, _) => {
                if element.can_equal(&one.of) {
                    self.find_strange_words(&one.node, &of.node);
                } else {
                    let message = format!("{} is never in {} of {}", one.of, of.of, many(element));
                    let help = instead_of_object(&one.of, "in [...]");
                    self.mistakes.push(Mistake { help, ..Mistake::new(span.clone(), message) });
                }
            }
            Type::Text => {
                let mistake = Mistake::new(span, "`in` looks into a list or a map, and this is a string");
                return self.wrong(mistake.help("write `text.contains(part)`"));
            }
            Type::Null
            | Type::Bool
            | Type::Int
            | Type::Uint
            | Type::Double
            | Type::Number
            | Type::Timestamp
            | Type::Duration
            | Type::Object(_) => {
                let message = format!("`in` looks into a list or a map, and this is {}", of.of);
                return self.wrong(Mistake::new(of.span(), message));
            }
        }
        Typed::new(span, Kind::In(Box::new([one.node, of.node])), Type::Bool)
    }

    fn compare(&mut self, comparison: Comparison, one: &IdedExpr, two: &IdedExpr) -> Typed {
        let (one, two) = (self.check(one), self.check(two));
        let span = around(&one.node, &two.node);
        match comparison {
            Comparison::Equal | Comparison::Different => {
                if one.of.can_equal(&two.of) {
                    self.find_strange_words(&one.node, &two.node);
                    self.find_strange_words(&two.node, &one.node);
                } else {
                    let mistake = never_equal(&one, &two, span.clone());
                    self.mistakes.push(mistake);
                }
            }
            Comparison::Less | Comparison::LessOrEqual | Comparison::Greater | Comparison::GreaterOrEqual => {
                let has_order = |of: &Type| {
                    of.is_number()
                        || matches!(
                            of,
                            Type::Dyn
                                | Type::Json
                                | Type::Bool
                                | Type::Text
                                | Type::Timestamp
                                | Type::Duration
                        )
                };
                if !has_order(&one.of) || !has_order(&two.of) || !one.of.can_equal(&two.of) {
                    let message =
                        format!("`{}` does not compare {} with {}", comparison.sign(), one.of, two.of);
                    let help = in_order(&one.of, &two.of).map(str::to_owned);
                    self.mistakes.push(Mistake { help, ..Mistake::new(span.clone(), message) });
                }
            }
        }
        Typed::new(span, Kind::Compare(comparison, Box::new([one.node, two.node])), Type::Bool)
    }

    /// Words that a field with a closed list never holds.
    fn find_strange_words(&mut self, field: &Node, with: &Node) {
        let (name, words) = if let Kind::Field(_, known) = &field.kind {
            (format!("{known:?}"), known.words())
        } else if let Kind::Variable(Variable::Media) = &field.kind {
            ("Media".into(), Field::Media.words())
        } else {
            return;
        };
        let (Some(words), Kind::Constant(written)) = (words, &with.kind) else { return };
        let name = name[..1].to_ascii_lowercase() + &name[1..];
        let mut strange = Vec::new();
        let mut look = |value: &Value<'_>| {
            if let Value::Text(word) = value
                && !word.is_empty()
                && !words.contains(&word.as_ref())
            {
                strange.push(word.to_string());
            }
        };
        if let Value::List(List::Built(list)) = written {
            list.iter().for_each(look);
        } else {
            look(written);
        }
        for word in strange {
            let help = did_you_mean(&word, words.iter().copied())
                .unwrap_or_else(|| format!("it is one of {}", words.join(", ")));
            let message = format!("`{name}` is never \"{word}\"");
            self.mistakes.push(Mistake::new(with.span.clone(), message).help(help));
        }
    }

    fn arithmetic(&mut self, operator: Arithmetic, one: &IdedExpr, two: &IdedExpr) -> Typed {
        let (one, two) = (self.check(one), self.check(two));
        let span = around(&one.node, &two.node);
        let Some(of) = result(operator, &one.of, &two.of) else {
            let message = format!("`{}` does not work on {} and {}", operator.sign(), one.of, two.of);
            let mistake = Mistake::new(span, message);
            let mixed = one.of.is_number() && two.of.is_number() && one.of != two.of;
            let help = if mixed {
                Some("convert one side with int(), uint() or double()".to_owned())
            } else {
                in_order(&one.of, &two.of).map(str::to_owned)
            };
            return self.wrong(Mistake { help, ..mistake });
        };
        Typed::new(span, Kind::Arithmetic(operator, Box::new([one.node, two.node])), of)
    }
}

fn never_equal(one: &Typed, two: &Typed, span: Range<usize>) -> Mistake {
    let mistake = Mistake::new(span, format!("{} is never equal to {}", one.of, two.of));
    let other = match (&one.of, &two.of) {
        (Type::Json, Type::Timestamp | Type::Duration) | (Type::Timestamp | Type::Duration, Type::Json) => {
            return mistake.help(JSON_HAS_NO_TIMES);
        }
        (Type::Text, other @ (Type::Object(_) | Type::List(_)))
        | (other @ (Type::Object(_) | Type::List(_)), Type::Text) => {
            return Mistake { help: instead_of_object(other, "== \"...\""), ..mistake };
        }
        (Type::Null, other) | (other, Type::Null) => other,
        (Type::Text, other) | (other, Type::Text) if other.is_number() => {
            return mistake.help("write the number in quotes, or convert the text with int()");
        }
        (Type::Text, Type::Bool) | (Type::Bool, Type::Text) => {
            return mistake.help("write true or false without quotes, or the text in quotes");
        }
        _ => return mistake,
    };
    match other {
        Type::Text => mistake.help("what the platform left out reads as \"\""),
        Type::Object(_) => mistake.help("ask for a field that it would have: `has(agent.id)`"),
        Type::List(_) | Type::Map(..) => mistake.help("ask for its size: `size(...) == 0`"),
        Type::Bool => mistake.help("what the platform left out reads as false"),
        Type::Dyn
        | Type::Json
        | Type::Nothing
        | Type::Null
        | Type::Int
        | Type::Uint
        | Type::Double
        | Type::Number
        | Type::Timestamp
        | Type::Duration => mistake,
    }
}

/// What to compare where an object, or a list, stands beside a text.
fn instead_of_object(of: &Type, with: &str) -> Option<String> {
    let queue = Type::Object(Shape::Queue);
    if *of == queue {
        Some(format!("compare its name: `queue.name {with}`"))
    } else if *of == Type::Object(Shape::Participant) {
        Some(format!("compare a field of it: `agent.name {with}`"))
    } else if *of == Type::list(queue) {
        Some(format!("ask for one of it: `.exists(q, q.name {with})`"))
    } else if *of == Type::list(Type::Text) {
        Some("ask for one of it: `\"...\" in list`".into())
    } else {
        None
    }
}

/// What to do where types that have no order between them are compared, or added.
fn in_order(one: &Type, two: &Type) -> Option<&'static str> {
    match (one, two) {
        (Type::Json, Type::Timestamp | Type::Duration) | (Type::Timestamp | Type::Duration, Type::Json) => {
            Some(JSON_HAS_NO_TIMES)
        }
        (Type::Text, other) | (other, Type::Text) if other.is_number() => {
            Some("convert the text with int() or double()")
        }
        (Type::Text, Type::Timestamp) | (Type::Timestamp, Type::Text) => {
            Some("convert the text with timestamp()")
        }
        (Type::Text, Type::Duration) | (Type::Duration, Type::Text) => {
            Some("convert the text with duration()")
        }
        _ => None,
    }
}
