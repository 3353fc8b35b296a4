//! Everything at a glance, as `/view.json` writes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::DecisionState;
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::recording::Action;
use crate::model::time::Wall;
use crate::warden::CallView;

/// Whether the daemon does its work now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "reason")]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not, for this reason.
    NotReady(String),
}

/// The rate budget of the OAuth client in the minute that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Requests spent.
    pub used: u32,
    /// Requests allowed.
    pub limit: u32,
}

/// One notification channel and its socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketView {
    /// A short name that stays the same for the life of the daemon.
    pub name: String,
    /// The session's state in a word: `subscribed`, `connecting`, `lost`, ...
    pub state: String,
    /// How many topics it carries.
    pub topics: usize,
    /// Since when it is in that state.
    pub since: Wall,
}

/// One of the latest decisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestDecision {
    /// When it was made.
    pub at: Wall,
    /// Its id.
    pub decision: DecisionId,
    /// Whose recording.
    pub conversation: ConversationId,
    /// What it wants.
    pub action: Action,
    /// The rule it comes from.
    pub rule: String,
    /// Why.
    pub reason: String,
    /// How it stands.
    pub state: DecisionState,
}

/// How far the round of the resync is that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResyncView {
    /// Conversations read.
    pub read: usize,
    /// Conversations to read in all.
    pub total: usize,
}

/// Everything at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Whether the daemon does its work.
    pub ready: Readiness,
    /// When it started.
    pub started: Wall,
    /// When this was put together.
    pub now: Wall,
    /// The live conversations.
    pub calls: Vec<CallView>,
    /// How many entries the worklist holds.
    pub worklist: usize,
    /// The rate budget.
    pub budget: Budget,
    /// The notification channels.
    pub sockets: Vec<SocketView>,
    /// The latest decisions, newest first.
    pub decisions: Vec<LatestDecision>,
    /// What is seen of the platform: `clear`; `dark` for a moment without a socket; `polling` where reads stand in
    /// for events; `blind` where those fail too.
    pub sight: String,
    /// The round of the resync that runs; none where none does.
    pub resync: Option<ResyncView>,
    /// What the conversations in the book take, in bytes.
    pub book_bytes: usize,
    /// Gaps in what was heard that are not closed yet.
    pub gaps: usize,
    /// Changes that wait while the brake holds; none where it does not.
    pub braked: Option<usize>,
    /// Counters by their Prometheus name.
    pub counters: BTreeMap<String, f64>,
}
