//! What an evaluation will cost, told from the expression alone, in the steps that `evaluate` counts.

use std::ops::Range;

use super::Expression;
use super::tree::{Does, Kind, Node};
use super::value::{List, Value};

/// What an expression costs at most, for conversations of a given size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Steps; texts count as short ones.
    pub steps: u64,
    /// The dearest macro: bytes in the source. The whole expression where it has none.
    pub dearest: Range<usize>,
    /// Macros inside each other, at most.
    pub depth: usize,
}

impl Expression {
    /// What it costs where every list that is read has `size` elements.
    pub fn price(&self, size: u64) -> Price {
        let mut pricing = Pricing { size, dearest: (0, 0..self.source.len()), depth: 0, most: 0 };
        let steps = pricing.of(&self.root);
        Price { steps, dearest: pricing.dearest.1, depth: pricing.most }
    }
}

struct Pricing {
    size: u64,
    dearest: (u64, Range<usize>),
    depth: usize,
    most: usize,
}

impl Pricing {
    fn of(&mut self, node: &Node) -> u64 {
        let inner = match &node.kind {
            Kind::Constant(_) | Kind::Local(_) => 0,
            Kind::Variable(_) => self.size,
            Kind::Field(of, _) | Kind::HasField(of, _) | Kind::Not(of) | Kind::Negate(of) => self.of(of),
            Kind::Matches(of, _) => self.of(of).saturating_add(1),
            Kind::Member(of, _) | Kind::HasMember(of, _) => self.of(of).saturating_add(self.size),
            Kind::Index(parts) | Kind::Arithmetic(_, parts) | Kind::Compare(_, parts) => {
                self.all(parts.iter()).saturating_add(2)
            }
            Kind::In(parts) => self.all(parts.iter()).saturating_add(elements(&parts[1], self.size)),
            Kind::And(parts) | Kind::Or(parts) | Kind::List(parts) | Kind::Call(_, parts) => {
                self.all(parts.iter())
            }
            Kind::Choose(parts) => self.all(parts.iter()),
            Kind::Map(parts) => self.all(parts.iter().flatten()),
            Kind::Each(each) => return self.each(node, &each.over, &each.does),
        };
        inner.saturating_add(1)
    }

    fn all<'n>(&mut self, parts: impl Iterator<Item = &'n Node>) -> u64 {
        parts.fold(0, |sum: u64, part| sum.saturating_add(self.of(part)))
    }

    fn each(&mut self, node: &Node, over: &Node, does: &Does) -> u64 {
        let first = self.of(over);
        self.depth += 1;
        self.most = self.most.max(self.depth);
        let body = match does {
            Does::Exists(body) | Does::All(body) | Does::ExistsOne(body) | Does::Filter(body) => {
                self.of(body)
            }
            Does::Map { keep, give } => {
                let keep = keep.as_ref().map_or(0, |keep| self.of(keep));
                keep.saturating_add(self.of(give))
            }
        };
        self.depth -= 1;
        let whole = first.saturating_add(elements(over, self.size).saturating_mul(body)).saturating_add(1);
        if whole > self.dearest.0 {
            self.dearest = (whole, node.span.clone());
        }
        whole
    }
}

/// How many elements a list has: as written, else as many as the conversation has of anything.
fn elements(node: &Node, size: u64) -> u64 {
    if let Kind::Constant(Value::List(List::Built(values))) = &node.kind {
        values.len() as u64
    } else if let Kind::List(parts) = &node.kind {
        parts.len() as u64
    } else {
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_inside_each_other_multiply() {
        let price = |source: &str| Expression::compile(source).unwrap().price(20);
        let flat = price(r#"agents.exists(a, a.state == "connected")"#);
        let nested = price("participants.exists(a, participants.exists(b, a.id == b.id))");
        assert!(flat.steps < 200 && flat.depth == 1, "{flat:?}");
        assert!(nested.steps > 2000 && nested.depth == 2, "{nested:?}");
        assert_eq!(nested.dearest, 0..60);
    }
}
