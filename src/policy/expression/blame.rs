//! Which part of an expression keeps it from holding: the first one that a reader would point at.
//!
//! `&&` is as false as its first side that does not hold, so the search goes on there; `||` is false as a
//! whole, so all of its sides are told. What stands at the end is a part with the value seen and the value
//! needed.

use std::collections::BTreeMap;
use std::ops::Range;

use super::evaluate::{Watch, evaluate};
use super::layout::token;
use super::trace::{Seen, seen};
use super::tree::{Comparison, Does, Each, Kind, Node};
use super::value::Value;
use super::{EvaluationError, Subject};

/// So many values of one part are told where a macro looked at it several times.
const TOLD: usize = 4;

/// A part that does not hold. `saw` holds what was read, personal data included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// Where the part stands: bytes in the source.
    pub span: Range<usize>,
    /// The part as written.
    pub part: String,
    /// What was seen.
    pub saw: String,
    /// What would have been needed.
    pub needed: String,
    /// Whether it has no value at all, rather than the wrong one.
    pub error: Option<EvaluationError>,
}

pub(super) fn blame(root: &Node, source: &str, subject: Subject<'_>) -> Option<Blame> {
    let mut looks = Looks::default();
    match evaluate(root, subject, &mut looks) {
        Ok(true) => None,
        Ok(false) => Some(Search { looks, source }.blame(root)),
        Err(error) => {
            let blame = Search { looks, source }.blame(root);
            Some(Blame { error: Some(error), ..blame })
        }
    }
}

/// What each part was seen to be, by the part's place in the tree.
#[derive(Default)]
struct Looks {
    at: BTreeMap<usize, Vec<Seen>>,
}

impl Watch for Looks {
    fn saw(&mut self, node: &Node, outcome: &Result<Value<'_>, EvaluationError>) {
        let all = self.at.entry(place(node)).or_default();
        // The last one always counts; of the others the first few are told.
        if all.len() > TOLD {
            all.pop();
        }
        all.push(seen(outcome));
    }
}

fn place(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

struct Search<'s> {
    looks: Looks,
    source: &'s str,
}

impl Search<'_> {
    fn all(&self, node: &Node) -> &[Seen] {
        self.looks.at.get(&place(node)).map_or(&[], Vec::as_slice)
    }

    fn last(&self, node: &Node) -> Option<&Seen> {
        self.all(node).last()
    }

    fn is_unknown(&self, node: &Node) -> bool {
        matches!(self.last(node), Some(Seen::Unknown(_)))
    }

    fn holds(&self, node: &Node) -> bool {
        self.last(node) == Some(&Seen::True)
    }

    fn text(&self, node: &Node) -> &str {
        let span = balanced(self.source, node.span.clone());
        self.source.get(span).unwrap_or_default()
    }

    fn value(&self, node: &Node) -> String {
        self.last(node).map_or_else(|| "not looked at".to_owned(), Seen::to_string)
    }

    fn told(&self, node: &Node, saw: String, needed: String) -> Blame {
        let span = balanced(self.source, node.span.clone());
        Blame { span, part: self.text(node).to_owned(), saw, needed, error: None }
    }

    /// `PART is VALUE`, and nothing of what is written out.
    fn state(&self, node: &Node) -> Option<String> {
        if let Kind::Each(_) = &node.kind {
            return Some(self.value(node));
        }
        (!is_written_out(node)).then(|| format!("{} is {}", self.text(node), self.value(node)))
    }

    fn blame(&self, node: &Node) -> Blame {
        if self.is_unknown(node) {
            return self.failure(node);
        }
        match &node.kind {
            Kind::And(parts) => {
                let differs =
                    |part: &&Node| self.last(part).is_some() && !self.holds(part) && !self.is_unknown(part);
                parts.iter().find(differs).map_or_else(|| self.plain(node), |part| self.blame(part))
            }
            Kind::Or(parts) => {
                let saws: Vec<String> = parts.iter().map(|part| self.side(part)).collect();
                let needed = format!("one of these {} to hold", parts.len());
                self.told(node, saws.join("; "), needed)
            }
            Kind::Not(part) => {
                let saw = format!("{} is true", self.text(part));
                self.told(node, saw, "it to be false".into())
            }
            Kind::Choose(parts) => {
                let [condition, then, otherwise] = &**parts;
                self.blame(if self.holds(condition) { then } else { otherwise })
            }
            Kind::Compare(comparison, parts) => self.compared(node, *comparison, parts),
            Kind::In(parts) => {
                let [one, of] = &**parts;
                let saw = [one, of].into_iter().filter_map(|side| self.state(side));
                let saw = saw.collect::<Vec<_>>().join(", ");
                self.told(node, saw, format!("one of {}", self.text(of)))
            }
            Kind::Each(each) => self.elements(node, each),
            Kind::HasField(of, _) | Kind::HasMember(of, _) => {
                let saw = format!("{} does not have it", self.text(of));
                self.told(node, saw, "it to be there".into())
            }
            Kind::Call(_, parts) => self.called(node, parts.first()),
            Kind::Matches(of, _) => self.called(node, Some(of)),
            Kind::Constant(_)
            | Kind::Variable(_)
            | Kind::Local(_)
            | Kind::Field(..)
            | Kind::Member(..)
            | Kind::Index(_)
            | Kind::Negate(_)
            | Kind::Arithmetic(..)
            | Kind::List(_)
            | Kind::Map(_) => self.plain(node),
        }
    }

    /// What was seen of a part that is not shown by itself, and so says its name.
    fn side(&self, node: &Node) -> String {
        let one = self.blame(node);
        let is_bare = one.saw == self.value(node) && !is_written_out(node);
        if is_bare { format!("{} is {}", one.part, one.saw) } else { one.saw }
    }

    fn plain(&self, node: &Node) -> Blame {
        self.told(node, self.value(node), "true".into())
    }

    fn called(&self, node: &Node, on: Option<&Node>) -> Blame {
        let saw = on.and_then(|on| self.state(on)).unwrap_or_else(|| self.value(node));
        self.told(node, saw, "true".into())
    }

    fn compared(&self, node: &Node, comparison: Comparison, [one, two]: &[Node; 2]) -> Blame {
        let saw: Vec<String> = [one, two].into_iter().filter_map(|side| self.state(side)).collect();
        let other = if self.state(one).is_some() { two } else { one };
        let wanted = self.text(other);
        let needed = match comparison {
            Comparison::Equal => wanted.to_owned(),
            Comparison::Different => format!("anything but {wanted}"),
            Comparison::Less | Comparison::LessOrEqual | Comparison::Greater | Comparison::GreaterOrEqual => {
                format!("{} to hold", self.text(node))
            }
        };
        self.told(node, saw.join(", "), needed)
    }

    fn elements(&self, node: &Node, each: &Each) -> Blame {
        let over = self.text(&each.over);
        let (body, needed) = match &each.does {
            Does::All(body) => {
                let first = self.side(body);
                let needed = format!("{} for each of {over}", self.text(body));
                return self.told(node, format!("one of {over} differs: {first}"), needed);
            }
            Does::Exists(body) => (body, format!("{} for one of {over}", self.text(body))),
            Does::ExistsOne(body) => (body, format!("{} for exactly one of {over}", self.text(body))),
            Does::Filter(_) | Does::Map { .. } => return self.plain(node),
        };
        if self.last(body).is_none() {
            return self.told(node, format!("{over} is empty"), needed);
        }
        let mut saws = Vec::new();
        self.leaves(body, &mut saws);
        self.told(node, format!("in {over}: {}", saws.join("; ")), needed)
    }

    /// What the parts of a macro's body were over all elements, by the parts that are compared.
    fn leaves(&self, node: &Node, saws: &mut Vec<String>) {
        match &node.kind {
            Kind::And(parts) | Kind::Or(parts) => parts.iter().for_each(|part| self.leaves(part, saws)),
            Kind::Not(part) => self.leaves(part, saws),
            Kind::Compare(_, parts) | Kind::In(parts) => {
                parts.iter().filter(|part| self.state(part).is_some()).for_each(|part| self.say(part, saws));
            }
            Kind::Constant(_) | Kind::List(_) => {}
            Kind::Call(_, parts) => parts.first().into_iter().for_each(|part| self.say(part, saws)),
            Kind::Matches(part, _) => self.say(part, saws),
            Kind::Variable(_)
            | Kind::Local(_)
            | Kind::Field(..)
            | Kind::Member(..)
            | Kind::HasField(..)
            | Kind::HasMember(..)
            | Kind::Index(_)
            | Kind::Negate(_)
            | Kind::Choose(_)
            | Kind::Arithmetic(..)
            | Kind::Map(_)
            | Kind::Each(_) => self.say(node, saws),
        }
    }

    fn say(&self, node: &Node, saws: &mut Vec<String>) {
        let mut values: Vec<String> = Vec::new();
        for seen in self.all(node).iter().map(Seen::to_string) {
            if !values.contains(&seen) {
                values.push(seen);
            }
        }
        if !values.is_empty() {
            saws.push(format!("{} is {}", self.text(node), values.join(", ")));
        }
    }

    /// The innermost part without a value, and what it was to be made of.
    fn failure(&self, node: &Node) -> Blame {
        if let Some(inner) = node.parts().into_iter().find(|part| self.is_unknown(part)) {
            return self.failure(inner);
        }
        // Of what lists and maps hold, the error says enough.
        let parts =
            if let Kind::Call(..) | Kind::Arithmetic(..) = &node.kind { node.parts() } else { Vec::new() };
        let of: Vec<String> = parts.into_iter().filter_map(|part| self.state(part)).collect();
        let of = if of.is_empty() { String::new() } else { format!(": {}", of.join(", ")) };
        self.told(node, format!("{}{of}", self.value(node)), "a value".into())
    }
}

/// Whether its value stands in the expression itself.
fn is_written_out(node: &Node) -> bool {
    if let Kind::List(parts) = &node.kind {
        return parts.iter().all(is_written_out);
    }
    matches!(node.kind, Kind::Constant(_))
}

/// The span with the parentheses around its ends, which the parser leaves out.
fn balanced(source: &str, span: Range<usize>) -> Range<usize> {
    let (mut open, mut unopened) = (0, 0);
    let mut at = span.start;
    while at < span.end {
        let token = token(source, at);
        match source.get(token.clone()) {
            Some("(") => open += 1,
            Some(")") if open == 0 => unopened += 1,
            Some(")") => open -= 1,
            Some(_) | None => {}
        }
        at = token.end;
    }
    let before = source.get(..span.start).unwrap_or_default().char_indices().rev();
    let mut begins = before.take_while(|(_, c)| *c == '(' || c.is_whitespace()).filter(|(_, c)| *c == '(');
    let behind = source.get(span.end..).unwrap_or_default().char_indices();
    let mut ends = behind.take_while(|(_, c)| *c == ')' || c.is_whitespace()).filter(|(_, c)| *c == ')');
    let begin = (0..unopened).filter_map(|_| begins.next()).last().map_or(span.start, |(at, _)| at);
    let end = (0..open).filter_map(|_| ends.next()).last().map_or(span.end, |(at, _)| span.end + at + 1);
    begin..end
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::conversation::{Conversation, LegState, Participant};
    use crate::policy::expression::Expression;
    use crate::policy::subject::Facts;

    fn leg(purpose: &str, state: LegState) -> Participant {
        let id = format!("{purpose}-1");
        Participant { id: id.as_str().into(), purpose: purpose.into(), state, ..Participant::default() }
    }

    fn told(source: &str) -> Option<(String, String, String)> {
        let mut customer = leg("customer", LegState::Connected);
        customer.attributes.insert("pci".into(), "off".into());
        let conversation = Conversation {
            id: "c1".into(),
            participants: vec![
                customer,
                leg("agent", LegState::Alerting),
                leg("agent", LegState::Disconnected),
            ],
            ..Conversation::default()
        };
        let facts: Facts = [("score".to_owned(), json!(3))].into();
        let expression = Expression::compile(source).expect("an expression");
        let subject = Subject { conversation: &conversation, facts: &facts, topic: "" };
        expression.blame(subject).map(|one| (one.part, one.saw, one.needed))
    }

    #[track_caller]
    fn blames(source: &str, part: &str, saw: &str, needed: &str) {
        assert_eq!(told(source), Some((part.to_owned(), saw.to_owned(), needed.to_owned())), "{source}");
    }

    #[test]
    fn what_holds_blames_nothing() {
        assert_eq!(told(r#"attributes.pci == "off" && size(agents) == 2"#), None);
    }

    #[test]
    fn the_first_side_of_and_that_differs_is_told() {
        blames(
            r#"media == "call" && attributes.pci == "on" && flagged"#,
            r#"attributes.pci == "on""#,
            r#"attributes.pci is "off""#,
            r#""on""#,
        );
        blames("facts.score > 10", "facts.score > 10", "facts.score is 3", "facts.score > 10 to hold");
        blames("flagged && facts.score > 10", "flagged", "false", "true");
    }

    #[test]
    fn all_sides_of_or_are_told() {
        blames(
            r#"(flagged || false) || (attributes.pci == ")")"#,
            r#"(flagged || false) || (attributes.pci == ")")"#,
            r#"flagged is false; false; attributes.pci is "off""#,
            "one of these 3 to hold",
        );
        blames(
            r#"attributes.pci in ["on", "yes"] || flagged"#,
            r#"attributes.pci in ["on", "yes"] || flagged"#,
            r#"attributes.pci is "off"; flagged is false"#,
            "one of these 2 to hold",
        );
    }

    #[test]
    fn a_macro_tells_what_its_elements_were() {
        blames(
            r#"agents.exists(a, a.state == "connected")"#,
            r#"agents.exists(a, a.state == "connected")"#,
            r#"in agents: a.state is "alerting", "disconnected""#,
            r#"a.state == "connected" for one of agents"#,
        );
        blames(
            r#"agents.all(a, a.state == "alerting")"#,
            r#"agents.all(a, a.state == "alerting")"#,
            r#"one of agents differs: a.state is "disconnected""#,
            r#"a.state == "alerting" for each of agents"#,
        );
        blames(
            "agents.all(a, a.held)",
            "agents.all(a, a.held)",
            "one of agents differs: a.held is false",
            "a.held for each of agents",
        );
        blames(
            "queues.exists(q, q.id != '')",
            "queues.exists(q, q.id != '')",
            "queues is empty",
            "q.id != '' for one of queues",
        );
    }

    #[test]
    fn a_part_without_a_value_is_told_with_its_error() {
        blames(
            "facts.score / (facts.score - 3) > 1 && flagged == false",
            "facts.score / (facts.score - 3)",
            "unknown (division by zero): facts.score is 3, facts.score - 3 is 0",
            "a value",
        );
        blames(
            "flagged || int(attributes.pci) > 3",
            "int(attributes.pci)",
            r#"unknown (a text could not be read as int): attributes.pci is "off""#,
            "a value",
        );
    }

    #[test]
    fn what_must_not_be_is_told() {
        blames(
            r#"!(attributes.pci == "off")"#,
            r#"!(attributes.pci == "off")"#,
            r#"attributes.pci == "off" is true"#,
            "it to be false",
        );
        blames(
            "has(attributes.card)",
            "has(attributes.card)",
            "attributes does not have it",
            "it to be there",
        );
    }
}
