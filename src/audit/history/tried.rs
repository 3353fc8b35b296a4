//! What counts for the rate that a daemon owes after a restart: what was tried, with what is known of it, and which
//! processes have started.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ATTEMPTS_REMEMBERED, History, Open, dated};
use crate::audit::record::{Attempt, DaemonStarted, Outcome, OutcomeResult, Record};
use crate::model::ids::DecisionId;
use crate::model::recording::Action;
use crate::model::time::Wall;

/// The start of a process, which sends housekeeping that no record tells of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Started {
    /// When it was journaled.
    pub(super) at: Wall,
    /// As it was journaled.
    pub(super) record: DaemonStarted,
}

/// An attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// When it was journaled, right before its request went out.
    pub at: Wall,
    /// As it was journaled.
    pub attempt: Attempt,
    /// What its decision wants; none where a log of an earlier version does not say so.
    pub action: Option<Action>,
    /// Whether what it asked for was seen.
    pub came: Came,
}

/// Whether what an attempt asked for was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Came {
    /// Its decision was confirmed.
    True,
    /// It was refused, and does not come.
    Never,
    /// Nobody knows.
    Unknown,
}

impl Tried {
    /// As it is carried into the next file.
    pub(super) fn written(&self) -> Value {
        let mut value = dated(&Record::Attempt(self.attempt.clone()), self.at);
        if let Some(action) = self.action {
            value["action"] = action.as_str().into();
        }
        if self.came != Came::Unknown {
            value["came"] = serde_json::to_value(self.came).unwrap_or_default();
        }
        value
    }

    /// As it was carried.
    pub(super) fn carried(at: Wall, attempt: Attempt, carried: &Value) -> Self {
        let action = carried.get("action").and_then(|one| Action::deserialize(one).ok());
        let came = carried.get("came").and_then(|one| Came::deserialize(one).ok());
        Self { at, attempt, action, came: came.unwrap_or(Came::Unknown) }
    }
}

impl Open {
    /// Notes in its carried record how often it was tried.
    pub(super) fn count(&self, carried: &mut Value) {
        carried["attempts"] = self.attempts.into();
        if self.reached != self.attempts {
            carried["reached"] = self.reached.into();
        }
    }
}

/// How often a carried decision was tried, and how many of these attempts may have been carried out.
pub(super) fn counts(carried: &Value) -> (u32, u32) {
    let count = |name| carried.get(name).and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok());
    let attempts = count("attempts").unwrap_or_default();
    (attempts, count("reached").unwrap_or(attempts))
}

/// Whether an order that was answered so is not carried out. What only failed may have been, unless it was the token that
/// was refused.
fn is_refused(outcome: &Outcome) -> bool {
    match outcome.result {
        OutcomeResult::Limited | OutcomeResult::Refused | OutcomeResult::Gone | OutcomeResult::Conflict => {
            true
        }
        OutcomeResult::Retry => outcome.status == Some(401),
        OutcomeResult::Accepted => false,
    }
}

impl History {
    /// Takes an attempt in; how it breaks the promise of order, where it does.
    pub(super) fn attempt(&mut self, at: Wall, one: &Attempt) -> Option<String> {
        let Some(open) = self.open.get_mut(&one.decision) else {
            let (attempt, decision) = (one.attempt, &one.decision);
            return Some(format!("attempt {attempt} of decision {decision} has no open decision before it"));
        };
        open.attempts = open.attempts.max(one.attempt);
        // What was sent back counts for the rate alone, and is tried again under the same number.
        open.reached = (open.reached + 1).min(open.attempts);
        open.decision.observed = one.observed.unwrap_or(open.decision.observed);
        let action = Some(open.decision.action);
        self.tried.retain(|tried| at.since(tried.at) < ATTEMPTS_REMEMBERED);
        self.tried.push_back(Tried { at, attempt: one.clone(), action, came: Came::Unknown });
        None
    }

    /// An order was answered: one that was refused is not carried out.
    pub(super) fn answer(&mut self, outcome: &Outcome) {
        if !is_refused(outcome) {
            return;
        }
        if let Some(open) = self.open.get_mut(&outcome.decision) {
            open.reached = open.reached.saturating_sub(1);
        }
        let own = |one: &&mut Tried| {
            one.attempt.decision == outcome.decision && one.attempt.attempt == outcome.attempt
        };
        if let Some(tried) = self.tried.iter_mut().rev().find(own) {
            tried.came = Came::Never;
        }
    }

    /// Its decision was confirmed.
    pub(super) fn come_true(&mut self, decision: &DecisionId) {
        let may = |one: &&mut Tried| one.attempt.decision == *decision && one.came == Came::Unknown;
        self.tried.iter_mut().filter(may).for_each(|tried| tried.came = Came::True);
    }

    /// In the same log it is known already.
    pub(super) fn carry_attempt(&mut self, carried: Tried) {
        if !self.tried.iter().any(|tried| tried.at == carried.at && tried.attempt == carried.attempt) {
            self.tried.push_back(carried);
        }
    }

    /// A process started.
    pub(super) fn start(&mut self, one: Started) {
        self.started.retain(|other| one.at.since(other.at) < ATTEMPTS_REMEMBERED);
        self.started.push(one);
    }

    /// How long ago the attempts and starts before it were, the clock no longer tells: they count as made now, which errs to
    /// the safe side.
    pub(super) fn clock_was_set(&mut self, before: Option<Wall>, now: Wall) {
        let recent = |at: Wall| before.is_some_and(|before| before.since(at) < ATTEMPTS_REMEMBERED);
        self.tried.retain(|tried| recent(tried.at));
        self.started.retain(|started| recent(started.at));
        // Their times tell them apart in the next file.
        let times = || (1..).map(|place| now - Duration::from_micros(place));
        self.tried.iter_mut().rev().zip(times()).for_each(|(tried, at)| tried.at = at);
        self.started.iter_mut().rev().zip(times()).for_each(|(started, at)| started.at = at);
    }

    /// The attempts of the last two minutes, oldest first.
    pub fn attempts(&self) -> impl Iterator<Item = &Tried> {
        self.tried.iter()
    }

    /// When processes started in the last two minutes, oldest first.
    pub fn starts(&self) -> impl Iterator<Item = Wall> {
        self.started.iter().map(|one| one.at)
    }
}
