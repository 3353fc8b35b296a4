//! One thing that happened in the simulated centre, for people who watch.

use std::collections::VecDeque;
use std::fmt;

use serde_json::{Value, json};

use crate::model::time::Wall;
use crate::sim::life::Beat;
use crate::sim::org::Org;
use crate::sim::recorder::Tape;

/// Happenings kept until somebody reads them.
const HAPPENINGS_KEPT: usize = 4_096;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// When.
    pub at: Wall,
    /// What kind of thing: `call`, `recording`, `request`, `socket`, `channel`, `token`, `fault`, `not-applied`.
    pub kind: &'static str,
    /// To what: a conversation, a channel, a path.
    pub subject: String,
    /// What it was.
    pub detail: String,
}

impl Happening {
    /// As one JSON object.
    pub fn to_json(&self) -> Value {
        json!({"at": self.at, "kind": self.kind, "subject": self.subject, "detail": self.detail})
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:<11} {} {}", self.at, self.kind, self.subject, self.detail)
    }
}

/// What happened and nobody has read yet.
#[derive(Clone, Debug, Default)]
pub struct Diary(VecDeque<Happening>);

impl Diary {
    /// Writes something down; where nobody reads, the oldest goes first.
    pub fn write(&mut self, happening: Happening) {
        if self.0.len() == HAPPENINGS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(happening);
    }

    /// The next that nobody has read.
    pub fn read(&mut self) -> Option<Happening> {
        self.0.pop_front()
    }
}

/// What a beat is to somebody who watches.
pub fn beat_text(beat: &Beat, org: &Org) -> String {
    let queue = |place: usize| org.queues.get(place).map_or("a queue", |queue| &*queue.name);
    let text = match beat {
        Beat::CallIn => "a customer calls",
        Beat::DialOut(place) => return format!("an agent dials a customer for {}", queue(*place)),
        Beat::PickUp => "the customer picks up",
        Beat::Enqueue(place) => return format!("waits in {}", queue(*place)),
        Beat::Ring => "rings at an agent",
        Beat::RingOut => "the agent does not answer",
        Beat::Answer => "the agent answers",
        Beat::Set(key, value) => return format!("{key} = {value}"),
        Beat::Hold => "on hold",
        Beat::Unhold => "back from hold",
        Beat::Transfer(place) => return format!("handed to {}", queue(*place)),
        Beat::SecureFlow => "the customer is in a secure flow",
        Beat::SecureFlowDone => "back from the secure flow",
        Beat::Consult => "a colleague is consulted",
        Beat::ConsultAnswer => "the colleague answers",
        Beat::ConsultTake => "the colleague takes the call",
        Beat::Flag => "flagged",
        Beat::Unflag => "the flag is taken back",
        Beat::PressPause => "the agent presses pause",
        Beat::PressResume => "the agent presses resume",
        Beat::CustomerLeaves => "the customer hangs up",
        Beat::AgentLeaves => "the agent hangs up",
        Beat::WrapUp => "wrapped up",
    };
    text.to_owned()
}

/// What is on tape, to somebody who watches.
pub fn tape_text(tape: Tape) -> &'static str {
    match tape {
        Tape::None => "not recorded",
        Tape::Active => "recorded",
        Tape::Suspended => "recording suspended",
        Tape::SecurePaused => "secure pause",
    }
}
