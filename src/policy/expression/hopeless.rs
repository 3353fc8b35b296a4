//! Parts that fail whatever the conversation is: what they are made of is written out in the rule.
//!
//! They are no mistakes, since `||` and `&&` may be settled by what stands beside them, but seldom meant.

use std::ops::Range;

use super::evaluate::{self, Unwatched};
use super::tree::{Arithmetic, Kind, Node};
use super::value::Value;
use super::{EvaluationError, Expression, Facts, Subject};
use crate::model::conversation::Conversation;

impl Expression {
    /// The first part that always fails, and why.
    pub fn hopeless(&self) -> Option<(Range<usize>, EvaluationError)> {
        find(&self.root)
    }
}

fn find(node: &Node) -> Option<(Range<usize>, EvaluationError)> {
    if is_written_out(node) {
        return fails(node).map(|error| (node.span.clone(), error));
    }
    if let Kind::Arithmetic(Arithmetic::Divide | Arithmetic::Remainder, parts) = &node.kind
        && matches!(parts[1].kind, Kind::Constant(Value::Int(0) | Value::Uint(0)))
    {
        return Some((node.span.clone(), EvaluationError::DivisionByZero));
    }
    node.parts().into_iter().find_map(find)
}

fn is_written_out(node: &Node) -> bool {
    !matches!(node.kind, Kind::Variable(_) | Kind::Local(_)) && node.parts().into_iter().all(is_written_out)
}

/// Why it has no value. That it is no condition is none of its faults: a part need not be one.
fn fails(node: &Node) -> Option<EvaluationError> {
    let (conversation, facts) = (Conversation::default(), Facts::new());
    let subject = Subject { conversation: &conversation, facts: &facts, topic: "" };
    let error = evaluate::evaluate(node, subject, &mut Unwatched).err()?;
    (!matches!(error, EvaluationError::WrongType { .. })).then_some(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_written_out_and_fails_is_found() {
        let found = |source: &str| {
            let hopeless = Expression::compile(source).expect("an expression").hopeless();
            hopeless.map(|(span, error)| (source[span].to_owned(), error))
        };
        let part = |text: &str, error: EvaluationError| Some((text.to_owned(), error));
        assert_eq!(
            found("flagged || int('abc') + 1 == 2"),
            part("int('abc') + 1 == 2", EvaluationError::Unreadable("int"))
        );
        assert_eq!(found("size(agents) % 0 == 1"), part("size(agents) % 0", EvaluationError::DivisionByZero));
        assert_eq!(
            found("attributes.n == string({'a': 1}.b)"),
            part("string({'a': 1}.b)", EvaluationError::NoSuchKey)
        );
        for fine in
            ["1 / 0 == 1 || true", "{'a': 1}[attributes.k] == 1", "1 + 1 == 2", "[1].exists(x, 2 / x == 1)"]
        {
            assert_eq!(found(fine), None, "{fine}");
        }
    }
}
