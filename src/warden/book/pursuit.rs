//! What is pursued of a conversation: an open decision, or one that was given up.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::ids::{DecisionId, ParticipantId};
use crate::model::recording::{Action, Observed};
use crate::model::time::{Mono, Now};
use crate::warden::backoff::Backoff;

/// Where an open decision stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// To be sent once it is due.
    Due,
    /// A request for it is under way.
    InFlight,
    /// Accepted; the platform's own word is awaited until the deadline on the worklist.
    AwaitWord,
    /// As it is wanted, and an older order of ours against that may come true yet. Read again at the deadline on the
    /// worklist, when none can.
    Doubted,
    /// Nothing can be sent yet: no agent is connected whose leg could be recorded. What is seen tells when; it is read
    /// at the deadline all the same.
    AwaitLeg,
    /// To be read once it is due: no word came, or the state is unknown.
    ToRead,
    /// The read is under way.
    Reading,
}

/// A decision that was given up. Another verdict is not held back by it, nor is the same in another state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// What it wanted.
    pub action: Action,
    /// The rule that made it.
    pub rule: String,
    /// What was observed then.
    pub observed: Observed,
    /// When the same is tried again.
    pub again: Again,
}

/// When what was given up is tried again though nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Never: it would be refused again.
    Never,
    /// Then, or with the first look after that.
    After(Mono),
}

impl Again {
    /// From when on it is.
    pub fn at(self) -> Option<Mono> {
        match self {
            Self::Never => None,
            Self::After(at) => Some(at),
        }
    }
}

/// Whether what a decision wants has begun to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It was not.
    NotYet,
    /// It may be: the brake counted it, and then the platform wanted nothing sent (429), did not permit it (403), or nothing could
    /// be recorded.
    Admitted,
    /// The first attempt that counts was sent then.
    At(Mono),
}

/// Tries and looks that came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    first: Mono,
    last: Mono,
}

/// An open decision.
#[derive(Clone, Debug)]
pub struct Pursuit {
    /// Its id.
    pub decision: DecisionId,
    /// What it wants.
    pub action: Action,
    /// The rule that made it.
    pub rule: String,
    /// What was observed when it was made.
    pub observed: Observed,
    /// What the log says of that.
    pub journaled: Observed,
    /// When it was made.
    pub opened: Now,
    /// Since when it stands in line: who is not permitted (403) goes to its end.
    pub in_line: Mono,
    /// Attempts sent so far.
    pub attempts: u32,
    /// How many of these may have been carried out: they were not refused, and got to the platform at all.
    pub reached: u32,
    /// Whether it has begun to be tried.
    pub begun: Begun,
    /// When a try or a look came to nothing.
    pub failed: Option<Failed>,
    /// For so long of the time in which it was tried the platform wanted nothing sent (429), or nothing could be recorded.
    pub silenced: Duration,
    /// Legs that were asked, where it takes one request a leg.
    pub asked: BTreeSet<ParticipantId>,
    /// Where it stands.
    pub stage: Stage,
    /// How often it failed in a row.
    pub backoff: Backoff,
}

impl Pursuit {
    /// A try or a look came to nothing.
    pub fn fail(&mut self, now: Mono) {
        let first = self.failed.map_or(now, |failed| failed.first);
        self.failed = Some(Failed { first, last: now });
    }

    /// For how long it has failed, up to the last try. What waits unsent since then, or was never sent (for the brake, for the
    /// rate, behind other calls, for the log), has not: it gets its try.
    pub fn failing(&self) -> Duration {
        let Some(failed) = self.failed else { return Duration::ZERO };
        let since = match self.begun {
            Begun::At(first) => first,
            // Nobody can look how it is.
            Begun::NotYet if self.stage == Stage::ToRead => failed.first,
            Begun::NotYet | Begun::Admitted => return Duration::ZERO,
        };
        failed.last.since(since).saturating_sub(self.silenced)
    }

    /// It is not permitted (403), which is told of and tried for as long as it lasts: nothing has failed.
    pub fn is_forbidden(&mut self, now: Mono) {
        (self.begun, self.failed, self.silenced) = (Begun::Admitted, None, Duration::ZERO);
        self.asked.clear();
        self.stage = Stage::Due;
        self.in_line = now;
    }

    /// The attempt that was just made came to nothing by itself, and for so long none may go or none could: neither is
    /// counted.
    pub fn take_back(&mut self, silenced: Duration) {
        self.attempts -= 1;
        if self.attempts == 0 {
            self.begun = Begun::Admitted;
        } else {
            self.silenced += silenced;
        }
        self.asked.clear();
        self.stage = Stage::Due;
    }
}
