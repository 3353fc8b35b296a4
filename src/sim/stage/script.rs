//! What a run is to be, and what it reports.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Mischief;
use crate::audit::log::Rotation;
use crate::model::ids::ConversationId;
use crate::model::time::Mono;
use crate::policy::subject::Facts;
use crate::sim::charter::Charter;
use crate::sim::plan::Plan;
use crate::warden::Settings;

/// What a run is to be.
#[derive(Clone, Debug)]
pub struct Script {
    /// The platform, its calls and its faults.
    pub plan: Plan,
    /// The warden's settings.
    pub settings: Settings,
    /// The policies: the first at the start, and what reloads choose from.
    pub charters: Vec<Charter>,
    /// What others do, and what happens to the process and its disk.
    pub mischief: Mischief,
    /// When a file of the log is closed.
    pub rotation: Rotation,
    /// How long faults last.
    pub rough: Duration,
    /// How long the calm after them lasts.
    pub calm: Duration,
    /// How soon in the calm everything must be as demanded: what hangs is given up (30 s), a dead socket noticed
    /// (45 s) and replaced (after its back-off), and everything read again.
    pub settles: Duration,
    /// Which part of it is judged by the truth of every call.
    pub judged: Judged,
    /// Whether all that happens is told.
    pub telling: Telling,
}

/// Which part of a run is judged by the truth of every call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Judged {
    /// What comes after the faults, once everything has settled: they are of too many kinds to tell what each allows.
    #[default]
    Settled,
    /// All of it: what its few faults allow is known.
    Throughout,
}

/// Whether all that happens is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// Only what is found.
    #[default]
    Findings,
    /// Everything, in [`Report::trace`].
    Everything,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Promises that were broken, a sentence each.
    pub findings: Vec<String>,
    /// What was counted, by name; faults begin with `fault: `.
    pub counts: BTreeMap<String, u64>,
    /// Events of queues, and of users where they are subscribed, that reached the warden on no socket or were not taken in,
    /// a sentence each.
    pub missed: Vec<String>,
    /// Topics that were heard.
    pub heard: BTreeMap<String, Heard>,
    /// How much time passed on the stage.
    pub lasted: Duration,
    /// All that happened, where that was asked for.
    pub trace: Vec<String>,
}

/// When a topic was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When the last event on it was issued that came before the subscription.
    pub before: Option<Mono>,
    /// When the first was that arrived.
    pub from: Mono,
    /// When the last was.
    pub until: Mono,
}

/// Facts that come from another system.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// When.
    pub at: Mono,
    /// For which conversation.
    pub conversation: ConversationId,
    /// What.
    pub facts: Facts,
}
