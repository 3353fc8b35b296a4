//! One thing that happened in the simulated centre, for people who watch.

use std::fmt;

use serde_json::{Value, json};

use crate::model::time::Wall;
use crate::sim::life::Beat;

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

/// What a beat is to somebody who watches.
pub fn beat_word(beat: &Beat) -> &'static str {
    match beat {
        Beat::CallIn => "a customer calls",
        Beat::DialOut(_) => "an agent dials a customer",
        Beat::PickUp => "the customer picks up",
        Beat::Enqueue(_) => "waits in a queue",
        Beat::Ring => "rings at an agent",
        Beat::RingOut => "the agent does not answer",
        Beat::Answer => "the agent answers",
        Beat::Set(..) => "participant data changes",
        Beat::Hold => "on hold",
        Beat::Unhold => "back from hold",
        Beat::Transfer(_) => "handed to another queue",
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
    }
}
