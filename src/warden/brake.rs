//! The brake: a bad rule must not switch off a whole centre (`safety.max_changes_per_minute`).
//!
//! A decision counts once, with its first attempt. The one that would be beyond the bound within a minute trips
//! the brake: enforcing pauses for a minute, and an alert goes out. What waits stays open and on the worklist,
//! and loses nothing of its time to be given up. After that minute enforcing goes on by itself, stops first,
//! up to the bound again; a reload of the configuration lets everything go at once, since somebody looked.
//!
//! What is under way when the brake trips goes on: its retries and its confirmation are part of a change that
//! was counted. A stop that was decided but not sent yet waits like any other change, although that may leave a
//! recording running for a minute or more: a brake that let stops through would not hold the rule that it is
//! meant for, the one that stops everything. Where that is the greater harm, leave the bound at 0. Not braked
//! are directives, which are asked for one at a time; the stops of `when_blind`, which are meant to reach
//! everything; and recording that is given back, which is what mends the harm of a bad rule.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::model::ids::ConversationId;
use crate::model::time::Mono;

/// Changes are counted over this window, and the brake holds for as long.
pub const WINDOW: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Changes go, and when the brake held last.
    Free { held_until: Option<Mono> },
    /// None does.
    Holding { until: Mono },
}

/// What the brake says of one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// It may go, and is counted.
    Goes,
    /// It trips the brake, and waits until then.
    Trips(Mono),
    /// It trips the brake again right after it held, and waits until then.
    TripsAgain(Mono),
    /// The brake holds: it waits until then.
    Waits(Mono),
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Brake {
    bound: u32,
    changes: VecDeque<Mono>,
    state: State,
    waiting: BTreeSet<ConversationId>,
}

impl Brake {
    /// `bound` changes a minute at most; 0: no bound.
    pub fn new(bound: u32) -> Self {
        Self {
            bound,
            changes: VecDeque::new(),
            state: State::Free { held_until: None },
            waiting: BTreeSet::new(),
        }
    }

    /// Somebody looked: a new bound, nothing counted so far, and whoever waited may go.
    pub fn release(&mut self, bound: u32) -> BTreeSet<ConversationId> {
        let released = std::mem::take(&mut self.waiting);
        *self = Self::new(bound);
        released
    }

    /// A change that the log tells of, made before the start.
    pub fn recall(&mut self, ago: Duration, now: Mono) {
        // Before the start of the clock there is no moment; then it counts from there, which errs to the safe side.
        if ago < WINDOW && self.bound > 0 {
            self.changes.push_back(now - ago);
        }
    }

    /// Whether a change may be made now.
    pub fn admit(&mut self, conversation: &ConversationId, now: Mono) -> Admission {
        if self.bound == 0 {
            return Admission::Goes;
        }
        if let State::Holding { until } = self.state {
            if now < until {
                self.waiting.insert(conversation.clone());
                return Admission::Waits(until);
            }
            self.changes.clear();
            self.state = State::Free { held_until: Some(until) };
        }
        while self.changes.front().is_some_and(|at| now.since(*at) >= WINDOW) {
            self.changes.pop_front();
        }
        if self.changes.len() < self.bound as usize {
            self.changes.push_back(now);
            self.waiting.remove(conversation);
            return Admission::Goes;
        }
        let until = now + WINDOW;
        let again = matches!(self.state, State::Free { held_until: Some(last) } if now.since(last) < WINDOW);
        self.state = State::Holding { until };
        self.waiting.insert(conversation.clone());
        if again { Admission::TripsAgain(until) } else { Admission::Trips(until) }
    }

    /// The change is wanted no more, or passes the brake. Says whether it waited.
    pub fn forget(&mut self, conversation: &ConversationId) -> bool {
        self.waiting.remove(conversation)
    }

    /// How many changes wait while the brake holds; none where it does not.
    pub fn holds(&self, now: Mono) -> Option<usize> {
        match self.state {
            State::Holding { until } if now < until => Some(self.waiting.len()),
            State::Holding { .. } | State::Free { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    fn id(number: usize) -> ConversationId {
        ConversationId::new(format!("c{number}"))
    }

    #[test]
    fn beyond_the_bound_everything_waits_a_minute_and_then_goes_on() {
        let mut brake = Brake::new(2);
        assert_eq!(brake.admit(&id(1), at(0)), Admission::Goes);
        assert_eq!(brake.admit(&id(2), at(10)), Admission::Goes);
        assert_eq!(brake.admit(&id(3), at(20)), Admission::Trips(at(80)));
        assert_eq!(brake.admit(&id(4), at(70)), Admission::Waits(at(80)));
        assert_eq!(brake.holds(at(70)), Some(2));
        assert_eq!(brake.admit(&id(3), at(80)), Admission::Goes);
        assert_eq!(brake.admit(&id(4), at(80)), Admission::Goes);
        assert_eq!(brake.admit(&id(5), at(80)), Admission::TripsAgain(at(140)));
        assert_eq!(brake.holds(at(80)), Some(1));
    }

    #[test]
    fn a_reload_lets_go_of_whoever_waited() {
        let mut brake = Brake::new(1);
        assert_eq!(brake.admit(&id(1), at(0)), Admission::Goes);
        assert_eq!(brake.admit(&id(2), at(1)), Admission::Trips(at(61)));
        assert_eq!(brake.release(1), BTreeSet::from([id(2)]));
        assert_eq!(brake.admit(&id(2), at(2)), Admission::Goes);
    }

    #[test]
    fn without_a_bound_nothing_waits() {
        let mut brake = Brake::new(0);
        assert!((0..1000).all(|number| brake.admit(&id(number), at(0)) == Admission::Goes));
    }
}
