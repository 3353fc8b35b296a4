//! Latches: what makes a rule's match last (`until`), wait (`after`) and let go (`at_most`).
//!
//! Every rule that matches a conversation has a hold there, from its match until it lets go. A hold's
//! clocks run by wall time, since they must survive a restart.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::audit::record::{HoldEnd, HoldPhase};
use crate::model::recording::Action;
use crate::model::time::Wall;
use crate::policy::decide::{Policy, RuleIndex};
use crate::policy::rule::{Terms, Until};

/// Rules that matched or are held: few, and so without the heap.
type Rules = SmallVec<[RuleIndex; 8]>;

/// One rule's hold on one conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// When the present phase began.
    pub since: Wall,
    /// Waiting for `after`, in force, or expired and not yet unmatched.
    pub phase: HoldPhase,
    /// What its rule wanted when that began: known also once a reload has lost the rule.
    pub action: Action,
}

/// What changed when the latches were settled; each becomes a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A hold began, or went into its next phase.
    Held(String, Hold),
    /// A hold ended. An expired one is said once more when it has stopped matching or its conversation is over,
    /// since it counts again from then on.
    Ended(String, HoldEnd),
}

/// The holds on one conversation, by the rule's name, so that they outlive a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latches {
    holds: BTreeMap<String, Hold>,
}

impl Latches {
    /// Takes a hold up again after a restart.
    pub fn restore(&mut self, rule: String, hold: Hold) {
        self.holds.insert(rule, hold);
    }

    /// The clock was set back: the spans that run go on with what has really passed.
    pub fn set_back(&mut self, by: std::time::Duration) {
        for hold in self.holds.values_mut() {
            hold.since = hold.since - by;
        }
    }

    /// The holds, by the rule's name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Hold)> {
        self.holds.iter()
    }

    /// Brings the holds to what `matched`, in order of precedence, and the clocks say now.
    pub fn settle(&mut self, policy: &Policy, matched: &[RuleIndex], now: Wall) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut concerned = Rules::from_slice(matched);
        self.holds.retain(|rule, _| match policy.named(rule) {
            Some((known, _)) => {
                concerned.push(known);
                true
            }
            None => {
                changes.push(Change::Ended(rule.clone(), HoldEnd::Policy));
                false
            }
        });
        concerned.sort_unstable();
        concerned.dedup();
        for rule in concerned {
            let hit = matched.binary_search(&rule).is_ok();
            let condition = if hit { Condition::Matches } else { Condition::Differs };
            if let Some(terms) = policy.terms_of(rule) {
                self.settle_one(terms, condition, now, &mut changes);
            }
        }
        changes
    }

    fn settle_one(&mut self, terms: &Terms, now_is: Condition, now: Wall, changes: &mut Vec<Change>) {
        let before = self.holds.get(&terms.name).copied();
        let after = next_phase(terms, before, now_is, now);
        match (before, after) {
            (Some(_), None) => {
                self.holds.remove(&terms.name);
                changes.push(Change::Ended(terms.name.clone(), HoldEnd::Unmatched));
            }
            (_, Some(new)) if before != after => {
                self.holds.insert(terms.name.clone(), new);
                changes.push(Change::Held(terms.name.clone(), new));
                if new.phase == HoldPhase::Expired {
                    changes.push(Change::Ended(terms.name.clone(), HoldEnd::Expired));
                }
            }
            (_, Some(_)) | (None, None) => {}
        }
    }

    /// The rules in force, in order of precedence.
    pub fn in_force<'p>(&self, policy: &'p Policy) -> impl Iterator<Item = &'p Terms> {
        let held = self.holds.iter().filter(|(_, hold)| hold.phase == HoldPhase::Held);
        let mut rules: Rules = held.filter_map(|(rule, _)| Some(policy.named(rule)?.0)).collect();
        rules.sort_unstable();
        rules.into_iter().filter_map(|rule| policy.terms_of(rule))
    }

    /// When `after` or `at_most` of a hold is over next.
    pub fn next_change(&self, policy: &Policy) -> Option<Wall> {
        let deadline = |(rule, hold): (&String, &Hold)| {
            let (_, terms) = policy.named(rule)?;
            match hold.phase {
                HoldPhase::Pending => Some(hold.since + terms.after),
                HoldPhase::Held => terms.at_most.map(|most| hold.since + most),
                HoldPhase::Expired => None,
            }
        };
        self.holds.iter().filter_map(deadline).min()
    }

    /// Ends every hold: the conversation is over.
    pub fn end_all(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.holds).into_keys().map(|rule| Change::Ended(rule, HoldEnd::Ended)).collect()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// The hold of one rule.
    pub fn get(&self, rule: &str) -> Option<Hold> {
        self.holds.get(rule).copied()
    }
}

/// Whether a rule's conditions hold now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Matches,
    Differs,
}

/// Where a hold stands next; none where there is none.
fn next_phase(terms: &Terms, before: Option<Hold>, now_is: Condition, now: Wall) -> Option<Hold> {
    let next = |phase| Some(Hold { since: now, phase, action: terms.action });
    let Some(hold) = before else {
        let phase = if terms.after.is_zero() { HoldPhase::Held } else { HoldPhase::Pending };
        return next(phase).filter(|_| now_is == Condition::Matches);
    };
    match hold.phase {
        HoldPhase::Pending if now_is == Condition::Differs => None,
        HoldPhase::Pending if now.since(hold.since) >= terms.after => next(HoldPhase::Held),
        HoldPhase::Held if now_is == Condition::Differs && terms.until == Until::Unmatched => None,
        HoldPhase::Held if terms.at_most.is_some_and(|most| now.since(hold.since) >= most) => {
            next(HoldPhase::Expired)
        }
        HoldPhase::Expired if now_is == Condition::Differs => None,
        HoldPhase::Pending | HoldPhase::Held | HoldPhase::Expired => Some(hold),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::compile::Compiler;

    /// Set back by an hour, the clock would make a pause an hour longer.
    #[test]
    fn a_clock_that_is_set_back_does_not_lengthen_a_hold() {
        let mut compiler = Compiler::default();
        let rule = "[[rule]]\nname = \"pause\"\nflagged = false\naction = \"stop\"\nat_most = \"10m\"\n";
        assert!(compiler.add_file("rules", rule).is_empty());
        let policy = compiler.finish();
        let begin = Wall::parse("2026-01-05T09:00:00Z").expect("an instant");
        let hour = Duration::from_secs(3600);
        let mut latches = Latches::default();
        let hold = Hold { since: begin, phase: HoldPhase::Held, action: Action::Stop };
        latches.restore("pause".into(), hold);
        latches.set_back(hour);
        let until = begin - hour + Duration::from_secs(600);
        assert_eq!(latches.next_change(&policy), Some(until));
    }
}
