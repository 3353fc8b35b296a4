//! What the log says recwarden changed on a conversation and would give back.
//!
//! A conversation has one claim, that of the newest `hold` with a `claim`: where another rule takes it over, its
//! `hold` says so. It stands in force while its rule holds. A `hold.ended` with `restore` lets it go, and it is
//! still owed; what ends it is that something that gives back is confirmed, or a `hold` or `hold.ended` of its
//! rule without it.

use crate::audit::record::{Hold, HoldEnd, HoldEnded, HoldPhase};
use crate::model::recording::{Action, Observed};
use crate::model::time::Wall;

/// One conversation's claim, as the records so far have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The rule (or pseudo rule) that holds it, or held it last.
    pub rule: String,
    /// What was observed before the first change.
    pub before: Observed,
    /// What that rule wants.
    pub action: Action,
    /// Since when it is held.
    pub since: Wall,
    /// Whether that rule still holds it.
    pub stands: Stands,
}

/// Whether the rule behind a claim still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It does.
    InForce,
    /// It let go, and what was before is owed.
    LetGo(HoldEnd),
}

impl Claimed {
    /// Whether the two owe the same in the same way, whatever the rule let go for.
    pub fn says(&self, other: &Self) -> bool {
        let in_force = |one: &Self| one.stands == Stands::InForce;
        self.is_of(&other.rule) && self.before == other.before && in_force(self) == in_force(other)
    }

    fn is_of(&self, rule: &str) -> bool {
        self.rule == rule
    }
}

/// The claim after a hold was journaled.
pub fn after_hold(was: Option<Claimed>, hold: &Hold) -> Option<Claimed> {
    let Some(before) = hold.claim else { return was.filter(|one| !one.is_of(&hold.rule)) };
    let stands = match (hold.phase, was.filter(|one| one.is_of(&hold.rule)).map(|one| one.stands)) {
        (HoldPhase::Held, _) => Stands::InForce,
        (HoldPhase::Expired, _) => Stands::LetGo(HoldEnd::Expired),
        (HoldPhase::Pending, Some(Stands::LetGo(why))) => Stands::LetGo(why),
        (HoldPhase::Pending, Some(Stands::InForce) | None) => Stands::LetGo(HoldEnd::Released),
    };
    let (rule, action, since) = (hold.rule.clone(), hold.action, hold.since);
    Some(Claimed { rule, before, action, since, stands })
}

/// The claim after a hold ended.
pub fn after_end(was: Option<Claimed>, end: &HoldEnded) -> Option<Claimed> {
    match was {
        Some(one) if one.is_of(&end.rule) => {
            end.restore.map(|_| Claimed { stands: Stands::LetGo(end.why), ..one })
        }
        other => other,
    }
}

/// The claim after `action` was confirmed: what gives back ends it.
pub fn after_confirmed(was: Option<Claimed>, action: Action) -> Option<Claimed> {
    was.filter(|one| one.before.brought_back_by() != action)
}
