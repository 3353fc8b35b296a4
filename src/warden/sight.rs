//! Whether anything is seen of the platform, and what follows where it is not (`[safety]`).
//!
//! The subscription is the eye: while every topic is heard, events tell of each change. Four things can be:
//!
//! - *clear*: every topic is heard.
//! - *dark*: not every topic is. A gap is open, and for `blind_after` nothing else follows: most sockets are
//!   back within seconds.
//! - *polling*: it has been dark for `blind_after`. An alert goes out, and round after round of the resync reads
//!   the live conversations, the most urgent first and within its share of the rate budget. What that finds is
//!   judged as if an event had told it. A change is seen late by as much as one round takes.
//! - *blind*: for `blind_after` each look that was tried has failed too. It is told by the looks that fail and
//!   not by time alone: while the rate budget or the pause between two rounds lets none go, the platform could be
//!   seen all the same. A second alert goes out. With
//!   `when_blind = "leave"` that is all. With `"stop"` every live conversation is held by a stop of the pseudo
//!   rule `when_blind` with the reason `blind`: recording that nobody can watch is worse, for who writes that,
//!   than no recording. It outranks every rule; a directive outranks it, since a person answers for that.
//!   The decision is journaled at once and its call goes out as soon as one can be sent at all.
//!
//! Sight returns to each conversation by itself: with the first event or read of it, it is judged by the rules
//! again, and what the blind stop changed is given back as any hold's change is. Sight as a whole returns with
//! the first look that succeeds (back to polling), and with the last topic that is heard again (clear); that
//! goes out as an alert of its own, so that whoever was woken knows.

use std::time::Duration;

use crate::model::time::Mono;

/// `[safety]`, as far as it is about sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So long without every topic heard before polling begins, and so long of vain polling before all is blind.
    pub blind_after: Duration,
    /// What to do with live conversations then.
    pub when_blind: WhenBlind,
}

impl Default for Settings {
    fn default() -> Self {
        Self { blind_after: Duration::from_secs(30), when_blind: WhenBlind::Leave }
    }
}

/// `when_blind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum WhenBlind {
    /// Leave them.
    #[default]
    Leave,
    /// Stop their recording.
    Stop,
}

/// How the subscription is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// Every topic is heard, or none is wanted.
    Up,
    /// Not every topic is.
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Clear,
    Dark {
        since: Mono,
    },
    /// `vain`: since when each look has failed, from when the first of them was sent; none where the last did not.
    Polling {
        since: Mono,
        vain: Option<Mono>,
    },
    Blind {
        since: Mono,
    },
}

/// What came of a look at the platform's conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Good,
    Vain { sent: Mono },
}

/// What has become of sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Polling takes over, after so long without every topic.
    Polls(Duration),
    /// Polling fails too, after so long without every topic.
    GoesBlind(Duration),
    /// A look succeeded again: polling goes on.
    PollsAgain,
    /// Every topic is heard again, after so long.
    Clears(Duration),
}

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    settings: Settings,
    state: State,
    /// What came of the look that was answered since the last tick.
    look: Option<Look>,
    /// When one was answered last.
    good: Mono,
}

impl Sight {
    /// Nothing is heard yet.
    pub fn new(settings: Settings, now: Mono) -> Self {
        Self { settings, state: State::Dark { since: now }, look: None, good: now }
    }

    /// New settings after a reload.
    pub fn resettle(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// The platform answered a look at its conversations.
    pub fn looked(&mut self, now: Mono) {
        self.look = Some(Look::Good);
        self.good = now;
    }

    /// A look that was sent then failed.
    pub fn failed(&mut self, sent: Mono) {
        self.look = Some(Look::Vain { sent: sent.max(self.good) });
    }

    /// Goes on to the next state, where it is time; one step at a call.
    pub fn tick(&mut self, subscription: Subscription, now: Mono) -> Option<Change> {
        let after = self.settings.blind_after;
        let look = self.look.take();
        let (state, change) = match (self.state, subscription) {
            (State::Clear, Subscription::Up) => (State::Clear, None),
            (State::Clear, Subscription::Down) => (State::Dark { since: now }, None),
            (State::Dark { .. }, Subscription::Up) => (State::Clear, None),
            (State::Polling { since, .. } | State::Blind { since }, Subscription::Up) => {
                (State::Clear, Some(Change::Clears(now.since(since))))
            }
            (State::Dark { since }, Subscription::Down) if now.since(since) >= after => {
                (State::Polling { since, vain: None }, Some(Change::Polls(now.since(since))))
            }
            (State::Polling { since, vain }, Subscription::Down) => match look {
                None => (State::Polling { since, vain }, None),
                Some(Look::Good) => (State::Polling { since, vain: None }, None),
                Some(Look::Vain { sent }) => {
                    let first = vain.unwrap_or(sent);
                    if now.since(first) >= after {
                        (State::Blind { since }, Some(Change::GoesBlind(now.since(since))))
                    } else {
                        (State::Polling { since, vain: Some(first) }, None)
                    }
                }
            },
            (State::Blind { since }, Subscription::Down) if look == Some(Look::Good) => {
                (State::Polling { since, vain: None }, Some(Change::PollsAgain))
            }
            (state @ (State::Dark { .. } | State::Blind { .. }), Subscription::Down) => (state, None),
        };
        self.state = state;
        change
    }

    /// Whether rounds of the resync stand in for events.
    pub fn polls(&self) -> bool {
        matches!(self.state, State::Polling { .. } | State::Blind { .. })
    }

    /// Whether live conversations are to be stopped.
    pub fn stops(&self) -> bool {
        matches!(self.state, State::Blind { .. }) && self.settings.when_blind == WhenBlind::Stop
    }

    /// What blind conversations are to expect.
    pub fn when_blind(&self) -> WhenBlind {
        self.settings.when_blind
    }

    /// `clear`, `dark`, `polling` or `blind`.
    pub fn as_str(&self) -> &'static str {
        match self.state {
            State::Clear => "clear",
            State::Dark { .. } => "dark",
            State::Polling { .. } => "polling",
            State::Blind { .. } => "blind",
        }
    }

    /// When the next state is due by time alone.
    pub fn next_wakeup(&self) -> Option<Mono> {
        match self.state {
            State::Dark { since } => Some(since + self.settings.blind_after),
            State::Clear | State::Polling { .. } | State::Blind { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    fn sight() -> Sight {
        let mut sight = Sight::new(Settings::default(), at(0));
        assert_eq!(sight.tick(Subscription::Up, at(1)), None);
        sight
    }

    #[test]
    fn a_socket_that_is_back_within_seconds_is_nothing_to_wake_somebody_for() {
        let mut sight = sight();
        assert_eq!(sight.tick(Subscription::Down, at(10)), None);
        assert_eq!(sight.tick(Subscription::Down, at(39)), None);
        assert_eq!(sight.tick(Subscription::Up, at(39)), None);
        assert_eq!(sight.as_str(), "clear");
    }

    #[test]
    fn polling_takes_over_after_blind_after_and_ends_with_the_subscription() {
        let mut sight = sight();
        sight.tick(Subscription::Down, at(10));
        assert_eq!(sight.next_wakeup(), Some(at(40)));
        assert_eq!(sight.tick(Subscription::Down, at(40)), Some(Change::Polls(Duration::from_secs(30))));
        assert!(sight.polls() && !sight.stops());
        assert_eq!(sight.tick(Subscription::Up, at(50)), Some(Change::Clears(Duration::from_secs(40))));
    }

    #[test]
    fn polling_in_vain_is_blindness_and_one_look_ends_it() {
        let settings = Settings { when_blind: WhenBlind::Stop, ..Settings::default() };
        let mut sight = Sight::new(settings, at(0));
        sight.tick(Subscription::Down, at(30));
        sight.looked(at(50));
        assert_eq!(sight.tick(Subscription::Down, at(50)), None);
        sight.failed(at(51));
        assert_eq!(sight.tick(Subscription::Down, at(52)), None);
        sight.failed(at(79));
        assert_eq!(sight.tick(Subscription::Down, at(80)), None);
        sight.failed(at(80));
        assert_eq!(sight.tick(Subscription::Down, at(81)), Some(Change::GoesBlind(Duration::from_secs(81))));
        assert!(sight.stops());
        sight.looked(at(90));
        assert_eq!(sight.tick(Subscription::Down, at(90)), Some(Change::PollsAgain));
        assert!(sight.polls() && !sight.stops());
    }

    /// Found by the simulation: where the pause between two rounds, or the wait for the rate budget, was longer than
    /// `blind_after`, every recording was stopped though each read succeeded.
    #[test]
    fn where_no_look_is_tried_none_was_in_vain() {
        let settings = Settings { when_blind: WhenBlind::Stop, ..Settings::default() };
        let mut sight = Sight::new(settings, at(0));
        sight.tick(Subscription::Down, at(30));
        sight.looked(at(31));
        sight.tick(Subscription::Down, at(31));
        assert_eq!(sight.tick(Subscription::Down, at(200)), None);
        assert_eq!(sight.next_wakeup(), None);
        sight.failed(at(201));
        assert_eq!(sight.tick(Subscription::Down, at(202)), None, "one that failed is no blindness yet");
        sight.looked(at(210));
        sight.tick(Subscription::Down, at(210));
        sight.failed(at(205));
        assert_eq!(sight.tick(Subscription::Down, at(236)), None, "it was sent before one that succeeded");
    }
}
