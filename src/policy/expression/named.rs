//! The queues that an expression names, so that one can be told that the platform does not have.

use std::ops::Range;

use super::Expression;
use super::outline::{self, Literal};
use super::tree::{Kind, Node};

impl Expression {
    /// The names and ids that it compares the queue with, each with its place in the source.
    pub fn queues(&self) -> Vec<(Range<usize>, String)> {
        let mut found = Vec::new();
        collect(&self.root, &mut found);
        found
    }
}

fn collect(node: &Node, found: &mut Vec<(Range<usize>, String)>) {
    let pair = if let Kind::Compare(_, parts) | Kind::In(parts) = &node.kind { Some(parts) } else { None };
    if let Some([one, two]) = pair.map(|parts| &**parts) {
        for (asked, named) in [(one, two), (two, one)] {
            if outline::is_queue(asked) {
                let texts = outline::constants(named).into_iter().filter_map(|literal| match literal {
                    Literal::Text(text) if !text.is_empty() => Some((named.span.clone(), text)),
                    Literal::Text(_) | Literal::Bool(_) | Literal::Int(_) => None,
                });
                found.extend(texts);
            }
        }
    }
    for part in node.parts() {
        collect(part, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queues_that_are_named_are_found_wherever_they_stand() {
        let source = "agents.exists(a, queue.name == 'A' || !('B' != queue.id)) && queue.name in ['C', \"D\", ''] && attributes.x == 'E'";
        let expression = Expression::compile(source).expect("an expression");
        let found: Vec<(&str, String)> =
            expression.queues().into_iter().map(|(span, name)| (&source[span], name)).collect();
        let list = "['C', \"D\", '']";
        let wanted = [("'A'", "A"), ("'B'", "B"), (list, "C"), (list, "D")];
        assert_eq!(found, wanted.map(|(place, name)| (place, name.to_owned())));
    }
}
