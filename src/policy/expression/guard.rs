//! What must be so of a conversation for a condition to hold, in the words that rules are looked up by.
//!
//! `&&` holds where all of its parts do, so each part's guards are guards of the whole. `||` needs one of its
//! parts, and so one guard of any of them. A part whose guards are not met is false, whatever fails inside
//! it: nothing is lost where the condition is not asked then.

use super::Expression;
use super::outline::{self, Claim, Literal};
use super::tree::{Kind, Node};
use crate::model::conversation::{Direction, Media};

/// Something that a conversation has or has not. Texts are never empty: what is not there reads as empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Its queue is called so, or has that id.
    Queue(String),
    /// An attribute has that value.
    Attribute(String, String),
    /// A participant carries a flag, or none does.
    Flagged(bool),
    /// Its direction.
    Direction(Direction),
    /// Its media.
    Media(Media),
}

impl Expression {
    /// Lists of guards: where none of a list is met, it does not hold.
    pub fn guards(&self) -> Vec<Vec<Guard>> {
        guards(&self.root)
    }
}

fn guards(node: &Node) -> Vec<Vec<Guard>> {
    if let Kind::And(parts) = &node.kind {
        parts.iter().flat_map(guards).collect()
    } else if let Kind::Or(parts) = &node.kind {
        let of_each = parts.iter().map(|part| guards(part).into_iter().min_by_key(Vec::len));
        of_each.collect::<Option<Vec<_>>>().map(|all| all.concat()).into_iter().collect()
    } else if let Some(Claim::OneOf(term, values)) = outline::claim(node) {
        values.iter().map(|value| guard(&term, value)).collect::<Option<_>>().into_iter().collect()
    } else {
        Vec::new()
    }
}

fn guard(term: &str, value: &Literal) -> Option<Guard> {
    let text = match value {
        Literal::Bool(value) => return (term == outline::FLAGGED).then_some(Guard::Flagged(*value)),
        Literal::Text(text) if !text.is_empty() => text,
        Literal::Text(_) | Literal::Int(_) => return None,
    };
    match term {
        outline::QUEUE_NAME | outline::QUEUE_ID => Some(Guard::Queue(text.clone())),
        outline::DIRECTION => {
            let all = [Direction::Inbound, Direction::Outbound];
            all.into_iter().find(|one| one.as_str() == text).map(Guard::Direction)
        }
        outline::MEDIA | outline::CONVERSATION_MEDIA => {
            Media::ALL.into_iter().find(|one| one.as_str() == text).map(Guard::Media)
        }
        term => outline::key(term, "Attributes").map(|key| Guard::Attribute(key.to_owned(), text.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guards(source: &str) -> Vec<Vec<Guard>> {
        Expression::compile(source).expect("an expression").guards()
    }

    fn attribute(key: &str, value: &str) -> Guard {
        Guard::Attribute(key.into(), value.into())
    }

    #[test]
    fn what_stands_in_the_keys_of_a_rule_is_found_in_an_expression_too() {
        assert_eq!(
            guards("queue.name == 'Sales' && attributes['pci'] in ['on', 'yes'] && agents.exists(a, a.held)"),
            [vec![Guard::Queue("Sales".into())], vec![attribute("pci", "on"), attribute("pci", "yes")]]
        );
        assert_eq!(
            guards("!flagged && conversation.direction == 'inbound' && !(media != 'call')"),
            [
                vec![Guard::Flagged(false)],
                vec![Guard::Direction(Direction::Inbound)],
                vec![Guard::Media(Media::Call)]
            ]
        );
    }

    #[test]
    fn either_side_of_or_needs_its_own() {
        assert_eq!(
            guards("flagged || (attributes.pci == 'on' && agent.held)"),
            [vec![Guard::Flagged(true), attribute("pci", "on")]]
        );
        assert!(guards("flagged || agent.held").is_empty());
    }

    #[test]
    fn what_may_hold_of_something_that_is_not_there_guards_nothing() {
        for source in
            ["attributes.pci == ''", "attributes.pci != 'on'", "queue.name in ['', 'Sales']", "facts.vip"]
        {
            assert!(guards(source).is_empty(), "{source}");
        }
    }
}
