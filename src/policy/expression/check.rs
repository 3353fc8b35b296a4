//! From the parser's tree to ours: every name resolved, every type known, and everything that is wrong
//! found in one pass.

use std::ops::Range;

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, SelectExpr, SourceInfo};

use super::Mistake;
use super::layout::Layout;
use super::schema::{Shape, Type, VARIABLES, Variable};
use super::suggest::{did_you_mean, nearest};
use super::syntax;
use super::tree::{Kind, Node};
use super::value::{List, Map, Value};

mod functions;
mod macros;
mod operators;
mod results;

/// Compiles; the whole has to be a condition.
pub(super) fn compile(source: &str) -> Result<Node, Vec<Mistake>> {
    let layout = Layout::read(source).map_err(|mistake| vec![mistake])?;
    let (expression, places) = syntax::parse(source, &layout)?;
    let mut checker = Checker { layout, places, scope: Vec::new(), mistakes: Vec::new() };
    let root = checker.check(&expression);
    if !root.is_condition() && checker.mistakes.is_empty() {
        let message = format!("a condition must be true or false, and this is {}", root.of);
        checker.mistakes.push(Mistake {
            help: root.as_condition_help(),
            ..Mistake::new(root.node.span.clone(), message)
        });
    }
    if checker.mistakes.is_empty() {
        Ok(root.node)
    } else {
        checker.mistakes.sort_by_key(|mistake| (mistake.span.start, mistake.span.end));
        checker.mistakes.dedup();
        Err(checker.mistakes)
    }
}

/// A part and its type.
struct Typed {
    node: Node,
    of: Type,
}

impl Typed {
    fn new(span: Range<usize>, kind: Kind, of: Type) -> Self {
        let of = if of == Type::Nothing { Type::Dyn } else { of };
        Self { node: Node { span, kind }, of }
    }

    fn span(&self) -> Range<usize> {
        self.node.span.clone()
    }

    fn is_condition(&self) -> bool {
        matches!(self.of, Type::Bool | Type::Dyn | Type::Json)
    }

    fn as_condition_help(&self) -> Option<String> {
        match &self.of {
            Type::Text => Some("compare it with a string: `== \"...\"`".into()),
            Type::List(_) => Some("ask for one of it: `.exists(x, ...)`".into()),
            Type::Dyn
            | Type::Json
            | Type::Nothing
            | Type::Null
            | Type::Bool
            | Type::Int
            | Type::Uint
            | Type::Double
            | Type::Number
            | Type::Timestamp
            | Type::Duration
            | Type::Object(_)
            | Type::Map(..) => None,
        }
    }

    /// The text of a constant.
    fn constant_text(&self) -> Option<&str> {
        if let Kind::Constant(Value::Text(text)) = &self.node.kind { Some(text) } else { None }
    }
}

struct Checker<'s> {
    layout: Layout<'s>,
    places: SourceInfo,
    /// The variables of the macros around, outermost first.
    scope: Vec<(String, Type)>,
    mistakes: Vec<Mistake>,
}

impl Checker<'_> {
    /// The place of the token that the parser noted for a part: its operator, bracket or word.
    fn token(&self, id: u64) -> Range<usize> {
        let at = |offset: u32| usize::try_from(offset).unwrap_or(0);
        self.places.offset_for(id).map_or(0..0, |(start, stop)| at(start)..at(stop) + 1)
    }

    fn mistake(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.mistakes.push(Mistake::new(span, message));
    }

    /// Stands for a part that is wrong, so that what is around it can be checked all the same.
    fn wrong(&mut self, mistake: Mistake) -> Typed {
        let span = mistake.span.clone();
        self.mistakes.push(mistake);
        Typed::new(span, Kind::Constant(Value::Null), Type::Dyn)
    }

    fn check(&mut self, expression: &IdedExpr) -> Typed {
        let token = self.token(expression.id);
        match &expression.expr {
            Expr::Literal(literal) => self.literal(token, literal),
            Expr::Ident(name) => self.variable(token, name),
            Expr::Select(select) => self.select(token, select),
            Expr::Call(call) => self.call(token, call),
            Expr::List(list) => self.list(token, &list.elements),
            Expr::Map(map) => self.map(token, &map.entries),
            Expr::Struct(_) => self.wrong(Mistake::new(token, "objects cannot be made in a rule")),
            Expr::Unspecified | Expr::Comprehension(_) => {
                self.wrong(Mistake::new(token, "this is not an expression"))
            }
        }
    }

    fn literal(&mut self, token: Range<usize>, literal: &LiteralValue) -> Typed {
        let (value, of) = match literal {
            LiteralValue::Boolean(value) => (Value::Bool(*value.inner()), Type::Bool),
            LiteralValue::Int(value) => (Value::Int(*value.inner()), Type::Int),
            LiteralValue::UInt(value) => (Value::Uint(*value.inner()), Type::Uint),
            LiteralValue::Double(value) => (Value::Double(*value.inner()), Type::Double),
            LiteralValue::String(text) => (Value::Text(text.inner().to_owned().into()), Type::Text),
            LiteralValue::Null => (Value::Null, Type::Null),
            LiteralValue::Bytes(_) => {
                let mistake = Mistake::new(token, "bytes are not supported");
                return self.wrong(mistake.help("leave out the `b` in front of the quote"));
            }
        };
        let span = if matches!(value, Value::Int(..0))
            || matches!(value, Value::Double(number) if number.is_sign_negative())
        {
            self.layout.with_sign(token)
        } else {
            token
        };
        Typed::new(span, Kind::Constant(value), of)
    }

    fn variable(&mut self, token: Range<usize>, written: &str) -> Typed {
        let name = written.trim_start_matches('.');
        let is_local = |(known, _): &(String, Type)| known == name && !written.starts_with('.');
        if let Some(slot) = self.scope.iter().rposition(is_local) {
            return Typed::new(token, Kind::Local(slot), self.scope[slot].1.clone());
        }
        if let Some(variable) = Variable::named(name) {
            return Typed::new(token, Kind::Variable(variable), variable.of_type());
        }
        let names = || VARIABLES.map(|(known, _)| known).into_iter();
        let locals = self.scope.iter().map(|(known, _)| known.as_str());
        let homes = [("conversation", Shape::Conversation), ("agent", Shape::Participant)];
        let help = did_you_mean(name, names().chain(locals))
            .or_else(|| {
                let (home, _) = homes.iter().find(|(_, shape)| shape.field(name).is_some())?;
                Some(format!("did you mean `{home}.{name}`?"))
            })
            .unwrap_or_else(|| {
                let all = names().collect::<Vec<_>>().join(", ");
                format!("a string stands in quotes; the variables are {all}")
            });
        self.wrong(Mistake::new(token, format!("there is no variable `{name}`")).help(help))
    }

    fn select(&mut self, dot: Range<usize>, select: &SelectExpr) -> Typed {
        let of = self.check(&select.operand);
        let word = self.layout.word_behind(dot.start);
        let span = of.node.span.start.min(dot.start)..word.end;
        let name = select.field.as_str();
        let shape = match &of.of {
            Type::Object(shape) => *shape,
            Type::Dyn | Type::Nothing => {
                return Typed::new(span, Kind::Member(Box::new(of.node), name.into()), Type::Dyn);
            }
            Type::Json => return Typed::new(span, Kind::Member(Box::new(of.node), name.into()), Type::Json),
            Type::Map(key, value) if key.can_equal(&Type::Text) => {
                let value = (**value).clone();
                return Typed::new(span, Kind::Member(Box::new(of.node), name.into()), value);
            }
            Type::Map(key, _) => {
                let mistake = Mistake::new(word, format!("the keys of this map are {}", many(key)));
                return self.wrong(mistake.help("write `map[key]`"));
            }
            Type::Null
            | Type::Bool
            | Type::Int
            | Type::Uint
            | Type::Double
            | Type::Number
            | Type::Text
            | Type::Timestamp
            | Type::Duration
            | Type::List(_) => return self.no_field(&of, name, word),
        };
        match shape.field(name) {
            Some(field) => Typed::new(span, Kind::Field(Box::new(of.node), field), field.of_type()),
            None => self.no_field(&of, name, word),
        }
    }

    fn no_field(&mut self, of: &Typed, name: &str, word: Range<usize>) -> Typed {
        let fields = |shape: Shape| shape.fields().iter().map(|(known, _)| *known);
        let mut help = None;
        if let Type::Object(shape) = &of.of {
            let all = || fields(*shape).collect::<Vec<_>>().join(", ");
            help = did_you_mean(name, fields(*shape)).or_else(|| Some(format!("its fields are {}", all())));
        } else if let Type::List(element) = &of.of
            && let Type::Object(shape) = &**element
        {
            help = nearest(name, fields(*shape))
                .map(|field| format!("ask for one of them: `.exists(x, x.{field} == ...)`"));
        }
        let mistake = Mistake::new(word, format!("{} has no field `{name}`", of.of));
        self.wrong(Mistake { help, ..mistake })
    }

    fn list(&mut self, bracket: Range<usize>, elements: &[IdedExpr]) -> Typed {
        let span = bracket.start..self.layout.behind_bracket(bracket.start);
        let mut of: Option<Type> = None;
        let mut nodes = Vec::with_capacity(elements.len());
        for element in elements {
            let element = self.check(element);
            of = Some(self.alike("the elements of a list", of, &element));
            nodes.push(element.node);
        }
        let of = Type::list(of.unwrap_or(Type::Nothing));
        match nodes.iter().map(constant).collect::<Option<Vec<_>>>() {
            Some(values) => Typed::new(span, Kind::Constant(Value::List(List::Built(values.into()))), of),
            None => Typed::new(span, Kind::List(nodes), of),
        }
    }

    fn map(&mut self, bracket: Range<usize>, entries: &[IdedEntryExpr]) -> Typed {
        let span = bracket.start..self.layout.behind_bracket(bracket.start);
        let mut of: Option<(Type, Type)> = None;
        let mut nodes = Vec::with_capacity(entries.len());
        for entry in entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
            let (key, value) = (self.check(&entry.key), self.check(&entry.value));
            use Type::{Bool, Dyn, Int, Json, Number, Text, Uint};
            if !matches!(key.of, Dyn | Json | Bool | Int | Uint | Number | Text) {
                let message = format!("{} cannot be the key of a map", key.of);
                self.mistake(key.span(), message);
            }
            let (keys, values) = of.unzip();
            of = Some((
                self.alike("the keys of a map", keys, &key),
                self.alike("the values of a map", values, &value),
            ));
            nodes.push([key.node, value.node]);
        }
        self.find_repeated_keys(&nodes);
        let (keys, values) = of.unwrap_or((Type::Nothing, Type::Nothing));
        let pair = |[key, value]: &[Node; 2]| Some((constant(key)?, constant(value)?));
        let kind = match nodes.iter().map(pair).collect::<Option<Vec<_>>>() {
            Some(pairs) => Kind::Constant(Value::Map(Map::Built(pairs.into()))),
            None => Kind::Map(nodes),
        };
        Typed::new(span, kind, Type::map(keys, values))
    }

    /// The type of all so far and of one more. Where they differ, what is done with them later could fail
    /// on some of them only; `dyn()` says that this is meant.
    fn alike(&mut self, what: &str, all: Option<Type>, one: &Typed) -> Type {
        let Some(all) = all else { return one.of.clone() };
        if !all.joins(&one.of) {
            let message = format!("{what} have one type; this is {} beside {all}", one.of);
            let help = "write them all alike, or each in dyn() where they differ on purpose";
            self.mistakes.push(Mistake::new(one.span(), message).help(help));
            return Type::Dyn;
        }
        all.join(one.of.clone())
    }

    fn find_repeated_keys(&mut self, entries: &[[Node; 2]]) {
        for (at, [key, _]) in entries.iter().enumerate() {
            let Kind::Constant(value) = &key.kind else { continue };
            let is_same = |[earlier, _]: &[Node; 2]| matches!(&earlier.kind, Kind::Constant(other) if other.same(value));
            if entries[..at].iter().any(is_same) {
                self.mistake(key.span.clone(), "this key stands in the map already");
            }
        }
    }
}

/// The name of a type for several of it.
fn many(of: &Type) -> String {
    let name = of.to_string();
    let name = name.trim_start_matches("an ").trim_start_matches("a ");
    if matches!(of, Type::Null | Type::Dyn | Type::Nothing) { name.to_owned() } else { format!("{name}s") }
}

fn constant(node: &Node) -> Option<Value<'static>> {
    if let Kind::Constant(value) = &node.kind { Some(value.clone()) } else { None }
}
