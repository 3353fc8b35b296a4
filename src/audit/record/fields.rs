//! The fields of each kind of record, in the order in which they are written.

use serde::{Deserialize, Serialize};

use super::{ConfirmedBy, Cut, DirectiveOrigin, HoldEnd, HoldPhase, OutcomeResult};
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::recording::{Action, Observed};
use crate::model::time::Wall;

/// `daemon.started`: the daemon started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DaemonStarted {
    /// Version of the program.
    pub version: String,
    /// The issuer's term: 1 on a single host.
    pub epoch: u64,
    /// Process id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Whether every rule only observes.
    pub dry_run: bool,
    /// What was cut off a torn last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// Since when the processes before may have heard nothing, where there is a log of them: the first gap begins there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unheard_since: Option<Wall>,
}

/// `daemon.stopped`: the daemon stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DaemonStopped {
    /// Why.
    pub reason: String,
}

/// `policy.loaded`: a policy came into force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyLoaded {
    /// SHA-256 of the policy as written, lower-case hex.
    pub policy: String,
    /// How many rules it has.
    pub rules: u32,
    /// Rules that the one before did not have.
    pub added: Vec<String>,
    /// Rules that it no longer has.
    pub removed: Vec<String>,
    /// Rules that are no longer the same.
    pub changed: Vec<String>,
}

/// `decision`: a verdict that differs from the observed state and so needs a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Its id.
    pub decision: DecisionId,
    /// Of which conversation.
    pub conversation: ConversationId,
    /// What it wants.
    pub action: Action,
    /// The rule that made it, `directive` or `default`.
    pub rule: String,
    /// Its reason.
    pub reason: String,
    /// What was observed.
    pub observed: Observed,
    /// Topic of the event that caused it; empty where none did.
    pub topic: String,
    /// Correlation id of that event.
    pub correlation: String,
    /// SHA-256 of the policy.
    pub policy: String,
    /// The issuer's term.
    pub epoch: u64,
}

/// `attempt`: a request is about to go out for a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// For which decision.
    pub decision: DecisionId,
    /// Of which conversation.
    pub conversation: ConversationId,
    /// 1, 2, ...; a 429 is not counted.
    pub attempt: u32,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// What was observed before it, where the decision did not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
}

/// `outcome`: what came of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Of which decision.
    pub decision: DecisionId,
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Of which attempt.
    pub attempt: u32,
    /// HTTP status; none where no answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What it means.
    pub result: OutcomeResult,
    /// Milliseconds from request to answer.
    pub took_ms: u64,
    /// The platform's correlation id.
    pub correlation: String,
    /// What the platform said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// `confirmed`: the platform itself reported the wanted state after the attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confirmed {
    /// Which decision.
    pub decision: DecisionId,
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Milliseconds since the first attempt.
    pub after_ms: u64,
    /// How it was learned.
    pub by: ConfirmedBy,
}

/// `superseded`: the decision is no longer needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Superseded {
    /// Which decision.
    pub decision: DecisionId,
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Why.
    pub why: String,
}

/// `abandoned`: the decision was given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Abandoned {
    /// Which decision.
    pub decision: DecisionId,
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Why.
    pub why: String,
}

/// `would`: what a rule in observe mode would have done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Would {
    /// To which conversation.
    pub conversation: ConversationId,
    /// What.
    pub action: Action,
    /// Which rule.
    pub rule: String,
    /// Its reason.
    pub reason: String,
    /// What was observed.
    pub observed: Observed,
}

/// `gap.opened`: events may be missed from here on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GapOpened {
    /// Its number.
    pub gap: u64,
    /// Of which topics.
    pub topics: String,
    /// Since when.
    pub from: Wall,
    /// Why.
    pub why: String,
}

/// `gap.closed`: every conversation that was live in the gap has been judged again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GapClosed {
    /// Its number.
    pub gap: u64,
    /// Since when.
    pub from: Wall,
    /// Until when: every topic was heard again from then on. Looks that were owed for it may have taken longer.
    pub to: Wall,
    /// How many conversations were read.
    pub conversations: u32,
}

/// `directive`: an order by webhook or by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Directive {
    /// Its id.
    pub directive: String,
    /// For which conversation.
    pub conversation: ConversationId,
    /// What it wants.
    pub action: Action,
    /// Who asked.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Which way it came.
    pub origin: DirectiveOrigin,
    /// When it is over by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Wall>,
    /// The decision it opened, where that is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
    /// The `webhook-id` of the message that it came by, so that one that comes again is known after a restart too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<String>,
}

/// Why a directive is over in whose place the next record puts another.
pub const REPLACED: &str = "replaced";

/// `directive.released`: a directive is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DirectiveReleased {
    /// Its id.
    pub directive: String,
    /// For which conversation.
    pub conversation: ConversationId,
    /// Why.
    pub why: String,
    /// The `webhook-id` of the message that released it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<String>,
}

/// `facts`: facts that another system pushed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// About which conversation.
    pub conversation: ConversationId,
    /// The facts, as redaction allows.
    pub facts: serde_json::Map<String, serde_json::Value>,
}

/// `hold`: a rule or directive holds a conversation, or went into its next phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Which rule, or `directive`.
    pub rule: String,
    /// What it wants.
    pub action: Action,
    /// Since when it is in this phase.
    pub since: Wall,
    /// The phase.
    pub phase: HoldPhase,
    /// What was observed before its first change, where it made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Observed>,
}

/// `hold.ended`: a hold let go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldEnded {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Which rule.
    pub rule: String,
    /// Why.
    pub why: HoldEnd,
    /// What is given back, where something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Action>,
}

/// `contested`: another party keeps undoing a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contested {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The decision that is made once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
    /// Which rule.
    pub rule: String,
    /// How often within a minute.
    pub times: u32,
    /// Milliseconds until the next attempt.
    pub wait_ms: u64,
}

/// `residual`: a stop left recorders running.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Residual {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The open decision, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
    /// Which recorders.
    pub recorders: Vec<String>,
}

/// `dropped`: events were shed under load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// How many.
    pub events: u64,
    /// Why.
    pub why: String,
}

/// What an alert is about that says that the wall clock was set.
pub const CLOCK_ALERT: &str = "clock";

/// `alert`: somebody was alerted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What kind of alert.
    pub about: String,
    /// What happened, and what to do.
    pub message: String,
    /// About which conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
}

/// `rule.failed`: a rule could not be evaluated; it counted as no match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleFailed {
    /// Which rule.
    pub rule: String,
    /// On which conversation.
    pub conversation: ConversationId,
    /// What went wrong.
    pub error: String,
    /// How often so far.
    pub times: u64,
}

/// `carried`: still in force when a new file began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// The record as it was, without its chain.
    pub carried: serde_json::Value,
}

/// `retired`: a file that `keep` removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retired {
    /// Its name.
    pub file: String,
    /// Its first record.
    pub first_seq: u64,
    /// Its last record.
    pub last_seq: u64,
    /// The hash of its last record.
    pub hash: String,
}

/// `checkpoint`: a signature over the chain so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Id of the log.
    pub log: String,
    /// The last record it covers.
    pub at_seq: u64,
    /// The hash of that record.
    pub at_hash: String,
    /// Ed25519, hex.
    pub signature: String,
}
