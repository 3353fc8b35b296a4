//! What a rule applies to: bounds on single terms, and whether one rule's bounds lie within another's.
//!
//! Everything here errs on one side: `within` and `excludes` answer yes only where it is sure.

use std::collections::{BTreeMap, BTreeSet};

use super::Candidate;
use super::choice::{Allowed, Choice};
use crate::policy::condition::Pattern;
use crate::policy::expression::{
    CONVERSATION_MEDIA, Claim, DIRECTION, Edge, FLAGGED, Literal, MEDIA, QUEUE_ID, QUEUE_NAME, key,
};

/// The terms of the table's own keys, as expressions name them.
pub(super) const QUEUE: &str = "queue";

/// The term of an attribute.
pub(super) fn attribute(key: &str) -> String {
    format!("Attributes[{key:?}]")
}

/// One bound on one term.
#[derive(Clone, Debug)]
pub(super) enum Bound {
    OneOf(Choice),
    NoneOf(Vec<Literal>),
    Above(i64, Edge),
    Below(i64, Edge),
}

impl Bound {
    pub(super) fn admits(&self, value: &Literal) -> bool {
        match (self, value) {
            (Self::OneOf(choice), value) => choice.admits(value),
            (Self::NoneOf(refused), value) => !refused.contains(value),
            (Self::Above(bound, edge), Literal::Int(value)) => {
                value > bound || (value == bound && *edge == Edge::Within)
            }
            (Self::Below(bound, edge), Literal::Int(value)) => {
                value < bound || (value == bound && *edge == Edge::Within)
            }
            (Self::Above(..) | Self::Below(..), Literal::Text(_) | Literal::Bool(_)) => false,
        }
    }

    /// Whether whatever this lets through, the other does too.
    fn within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::OneOf(these), Self::OneOf(those)) => these.within(those),
            (Self::OneOf(these), other) => {
                these.globs().is_empty() && these.literals().iter().all(|value| other.admits(value))
            }
            (Self::NoneOf(these), Self::NoneOf(those)) => those.iter().all(|one| these.contains(one)),
            (Self::Above(one, edge), Self::Above(two, other)) => {
                one > two || (one == two && (edge == other || *other == Edge::Within))
            }
            (Self::Below(one, edge), Self::Below(two, other)) => {
                one < two || (one == two && (edge == other || *other == Edge::Within))
            }
            _ => false,
        }
    }

    /// The values that it lets through, where they can be listed.
    fn listed(&self) -> Option<&BTreeSet<Literal>> {
        let Self::OneOf(choice) = self else { return None };
        choice.globs().is_empty().then(|| choice.literals())
    }
}

/// What a rule applies to: all of these at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    bounds: BTreeMap<String, Vec<Bound>>,
    others: BTreeSet<String>,
    never: Option<String>,
    /// A bit for each term and other claim: a cheap first look.
    signature: u64,
}

impl Scope {
    /// Of a rule.
    pub(super) fn of(rule: &Candidate) -> Self {
        let mut scope = Self::default();
        let texts = |patterns: &[Pattern]| patterns.iter().map(Allowed::of).collect();
        if let Some(queue) = &rule.conditions.queue {
            scope.bound(QUEUE, Bound::OneOf(texts(queue)));
        }
        for (key, values) in &rule.conditions.attributes {
            scope.bound(&attribute(key), Bound::OneOf(texts(values)));
        }
        let word = |word: &str| Allowed::Literal(Literal::Text(word.to_owned()));
        if let Some(flagged) = rule.flagged {
            scope.bound(
                FLAGGED,
                Bound::OneOf([Allowed::Literal(Literal::Bool(flagged))].into_iter().collect()),
            );
        }
        if let Some(direction) = rule.direction {
            scope.bound(DIRECTION, Bound::OneOf([word(direction.as_str())].into_iter().collect()));
        }
        if let Some(media) = &rule.media {
            scope.bound(MEDIA, Bound::OneOf(media.iter().map(|one| word(one.as_str())).collect()));
        }
        rule.when.iter().flat_map(|when| when.outline()).for_each(|claim| scope.claim(claim));
        scope.derive();
        scope.find_never();
        scope
    }

    /// The same with one value alone of that choice.
    pub(super) fn narrowed(&self, term: &str, from: &Choice, to: Allowed) -> Self {
        let mut scope = self.clone();
        let single: Choice = [to].into_iter().collect();
        // Wherever that choice stands: what was derived from it is derived from its part too.
        for bound in scope.bounds.values_mut().flatten() {
            if matches!(bound, Bound::OneOf(choice) if choice.is_same(from)) {
                *bound = Bound::OneOf(single.clone());
            }
        }
        scope.bound(term, Bound::OneOf(single));
        scope.derive();
        scope
    }

    /// Both at once.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut scope = self.clone();
        for (term, bounds) in &other.bounds {
            bounds.iter().for_each(|bound| scope.bound(term, bound.clone()));
        }
        scope.others.extend(other.others.iter().cloned());
        scope.signature |= other.signature;
        scope
    }

    pub(super) fn bounds(&self) -> &BTreeMap<String, Vec<Bound>> {
        &self.bounds
    }

    /// Whether every conversation is within it.
    pub(super) fn is_everything(&self) -> bool {
        self.bounds.is_empty() && self.others.is_empty() && self.never.is_none()
    }

    /// Why nothing can be within it, where that is so.
    pub(super) fn never(&self) -> Option<&str> {
        self.never.as_deref()
    }

    fn bound(&mut self, term: &str, bound: Bound) {
        self.sign(term);
        let bounds = self.bounds.entry(term.to_owned()).or_default();
        let is_there =
            |one: &Bound| matches!((one, &bound), (Bound::OneOf(one), Bound::OneOf(two)) if one.is_same(two));
        if !bounds.iter().any(is_there) {
            bounds.push(bound);
        }
    }

    /// How much there is to compare in it, in values.
    pub(super) fn size(&self) -> usize {
        let size = |bound: &Bound| if let Bound::OneOf(choice) = bound { choice.len() } else { 1 };
        self.bounds.values().flatten().map(size).sum()
    }

    fn sign(&mut self, term: &str) {
        let mixed = term.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        self.signature |= 1 << (mixed % 64);
    }

    fn claim(&mut self, claim: Claim) {
        let plain = |term: String| if term == CONVERSATION_MEDIA { MEDIA.to_owned() } else { term };
        match claim {
            Claim::OneOf(term, values) => {
                let choice = values.into_iter().map(Allowed::Literal).collect();
                self.bound(&plain(term), Bound::OneOf(choice));
            }
            Claim::NoneOf(term, values) => self.bound(&plain(term), Bound::NoneOf(values)),
            Claim::Above(term, bound, edge) => self.bound(&term, Bound::Above(bound, edge)),
            Claim::Below(term, bound, edge) => self.bound(&term, Bound::Below(bound, edge)),
            Claim::Other(text) => {
                self.sign(&text);
                self.others.insert(text);
            }
            Claim::Never => self.never = Some("its condition is always false".into()),
        }
    }

    /// A queue is meant by its name or its id, and the platform's ids are UUIDs: so a name that is none
    /// says what `queue.name` is, and an expression about either says what the queue is.
    fn derive(&mut self) {
        let mut names = Vec::new();
        let mut queues = Vec::new();
        for bound in self.bounds.get(QUEUE).into_iter().flatten() {
            if bound.listed().is_some_and(|all| all.iter().all(|one| !is_id(one))) {
                names.push(bound.clone());
            }
        }
        for term in [QUEUE_NAME, QUEUE_ID] {
            for bound in self.bounds.get(term).into_iter().flatten() {
                if bound.listed().is_some_and(|all| all.iter().all(|one| !is_empty(one))) {
                    queues.push(bound.clone());
                }
            }
        }
        names.into_iter().for_each(|bound| self.bound(QUEUE_NAME, bound));
        queues.into_iter().for_each(|bound| self.bound(QUEUE, bound));
    }

    fn find_never(&mut self) {
        let is_nothing = |bounds: &[Bound]| {
            bounds.iter().any(|one| matches!(one, Bound::OneOf(choice) if choice.len() == 0))
        };
        let empty = self
            .bounds
            .iter()
            .find(|(term, bounds)| is_nothing(bounds) || (has_one_value(term) && is_void(bounds)));
        if let Some((term, bounds)) = empty {
            let nothing = is_nothing(bounds);
            let what = named(term);
            self.never = Some(if nothing {
                format!("the list of values for {what} is empty")
            } else {
                format!("no value of {what} is as all of its conditions want it")
            });
        }
    }

    /// Whether every conversation in this scope is in the other one too.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        other.signature & !self.signature == 0
            && other.never.is_none()
            && other.others.is_subset(&self.others)
            && other.bounds.iter().all(|(term, wanted)| {
                self.bounds.get(term).is_some_and(|given| wanted.iter().all(|one| implies(term, given, one)))
            })
    }

    /// Whether no conversation is in both.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        let apart = |one: &Bound, two: &Bound| {
            let none_of = |these: Option<&BTreeSet<Literal>>, those: &Bound| {
                these.is_some_and(|all| all.iter().all(|value| !those.admits(value)))
            };
            none_of(one.listed(), two) || none_of(two.listed(), one)
        };
        self.never.is_some()
            || other.never.is_some()
            || self.bounds.iter().any(|(term, these)| {
                // A queue has two texts, a name and an id, and each may be meant by one of the rules.
                let certain = |bound: &Bound| {
                    term != QUEUE || bound.listed().is_some_and(|all| all.iter().all(|one| !is_id(one)))
                };
                let those = other.bounds.get(term);
                those
                    .into_iter()
                    .flatten()
                    .filter(|two| certain(two))
                    .any(|two| these.iter().filter(|one| certain(one)).any(|one| apart(one, two)))
            })
    }
}

fn implies(term: &str, given: &[Bound], wanted: &Bound) -> bool {
    if given.iter().any(|one| one.within(wanted)) {
        return true;
    }
    // What is left of a list once all bounds have been asked.
    let listed = given.iter().filter(|_| has_one_value(term)).find_map(Bound::listed);
    listed.is_some_and(|all| {
        all.iter()
            .filter(|value| given.iter().all(|bound| bound.admits(value)))
            .all(|value| wanted.admits(value))
    })
}

/// Whether all bounds on a term are asked of one value: a queue has a name and an id, and either will do.
fn has_one_value(term: &str) -> bool {
    term != QUEUE
}

/// Whether no value is within all of the bounds.
fn is_void(bounds: &[Bound]) -> bool {
    let listed = bounds.iter().find_map(Bound::listed);
    let spent =
        listed.is_some_and(|all| !all.iter().any(|value| bounds.iter().all(|bound| bound.admits(value))));
    let crossed = bounds.iter().any(|one| {
        let Bound::Above(low, low_edge) = one else { return false };
        bounds.iter().any(|two| {
            let Bound::Below(high, high_edge) = two else { return false };
            low > high || (low == high && (*low_edge, *high_edge) != (Edge::Within, Edge::Within))
        })
    });
    spent || crossed
}

fn is_id(value: &Literal) -> bool {
    matches!(value, Literal::Text(text) if uuid::Uuid::parse_str(text).is_ok())
}

fn is_empty(value: &Literal) -> bool {
    matches!(value, Literal::Text(text) if text.is_empty())
}

/// A term as a person would write it.
pub(super) fn named(term: &str) -> String {
    if let Some(key) = key(term, "Attributes") {
        return format!("the attribute '{key}'");
    }
    if let Some(key) = key(term, "Facts") {
        return format!("the fact '{key}'");
    }
    match term {
        QUEUE | QUEUE_NAME | QUEUE_ID => "the queue".into(),
        FLAGGED => "'flagged'".into(),
        DIRECTION => "the direction".into(),
        MEDIA => "the media".into(),
        other => as_written(other),
    }
}

/// Fields and variables as rules spell them: `Conversation.ExternalTag` is `conversation.externalTag`.
fn as_written(term: &str) -> String {
    let mut out = String::new();
    let mut begins = true;
    for c in term.chars() {
        out.extend(c.to_lowercase().filter(|_| begins).chain(Some(c).filter(|_| !begins)));
        begins = !c.is_alphanumeric();
    }
    format!("`{out}`")
}
