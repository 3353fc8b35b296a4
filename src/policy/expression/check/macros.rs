//! `has()` and the macros over lists.

use std::ops::Range;

use cel::common::ast::{CallExpr, Expr, IdedExpr};

use super::{Checker, Typed};
use crate::policy::expression::Mistake;
use crate::policy::expression::schema::Type;
use crate::policy::expression::tree::{Does, Each, Kind};

/// The macros over lists.
pub(super) const NAMES: [&str; 6] = ["exists", "all", "exists_one", "existsOne", "filter", "map"];

impl Checker<'_> {
    pub(super) fn has(&mut self, span: Range<usize>, call: &CallExpr) -> Typed {
        let [asked] = call.args.as_slice() else {
            return self.wrong(Mistake::new(span, "has() takes one field, as in `has(agent.team)`"));
        };
        if !matches!(asked.expr, Expr::Select(_)) {
            let asked = self.check(asked);
            let mistake = Mistake::new(asked.span(), "has() takes a field, as in `has(agent.team)`");
            let help = matches!(asked.node.kind, Kind::Index(_))
                .then(|| "ask for a key with `\"key\" in map`".to_owned());
            return self.wrong(Mistake { help, ..mistake });
        }
        let asked = self.check(asked);
        if let Kind::Field(of, field) = asked.node.kind {
            Typed::new(span, Kind::HasField(of, field), Type::Bool)
        } else if let Kind::Member(of, name) = asked.node.kind {
            Typed::new(span, Kind::HasMember(of, name), Type::Bool)
        } else {
            // The field is unknown, and that has been said.
            Typed::new(span, asked.node.kind, Type::Bool)
        }
    }

    /// `list.exists(x, ...)` and the others; `word` is the place of the macro's name.
    pub(super) fn each(
        &mut self,
        word: &Range<usize>,
        span: Range<usize>,
        over: Typed,
        call: &CallExpr,
    ) -> Typed {
        let name = call.func_name.as_str();
        let (variable, bodies) = match call.args.as_slice() {
            [variable, bodies @ ..] if bodies.len() == 1 || (bodies.len() == 2 && name == "map") => {
                (variable, bodies)
            }
            _ => {
                let message = format!("`{name}` takes a name for the element and a condition");
                let help =
                    if name == "map" { "`.map(x, x.id)`".into() } else { format!("`.{name}(x, x.held)`") };
                return self.wrong(Mistake::new(word.clone(), message).help(format!("as in {help}")));
            }
        };
        let Expr::Ident(variable) = &variable.expr else {
            let place = self.token(variable.id);
            let message = format!("`{name}` takes a name for the element first");
            return self.wrong(Mistake::new(place, message).help(format!("as in `.{name}(x, x.held)`")));
        };
        let element = match &over.of {
            Type::List(element) => (**element).clone(),
            Type::Map(key, _) => (**key).clone(),
            Type::Dyn | Type::Nothing => Type::Dyn,
            Type::Json => Type::Json,
            Type::Null
            | Type::Bool
            | Type::Int
            | Type::Uint
            | Type::Double
            | Type::Number
            | Type::Text
            | Type::Timestamp
            | Type::Duration
            | Type::Object(_) => {
                let message = format!("`{name}` goes through a list, and this is {}", over.of);
                self.mistake(over.span(), message);
                Type::Dyn
            }
        };
        self.scope.push((variable.clone(), element.clone()));
        let (does, of) = self.bodies(name, bodies, element);
        self.scope.pop();
        Typed::new(span, Kind::Each(Box::new(Each { over: over.node, does })), of)
    }

    fn bodies(&mut self, name: &str, bodies: &[IdedExpr], element: Type) -> (Does, Type) {
        match bodies {
            [keep, give] => {
                let keep = self.condition(keep, "the condition of `map`");
                let give = self.check(give);
                let of = if element == Type::Nothing { element } else { give.of };
                (Does::Map { keep: Some(keep.node), give: give.node }, Type::list(of))
            }
            [give, ..] if name == "map" => {
                let give = self.check(give);
                let of = if element == Type::Nothing { element } else { give.of };
                (Does::Map { keep: None, give: give.node }, Type::list(of))
            }
            _ => {
                let place = format!("the condition of `{name}`");
                let body = self.condition(&bodies[0], &place).node;
                match name {
                    "exists" => (Does::Exists(body), Type::Bool),
                    "all" => (Does::All(body), Type::Bool),
                    "filter" => (Does::Filter(body), Type::list(element)),
                    _ => (Does::ExistsOne(body), Type::Bool),
                }
            }
        }
    }
}
