//! What is remembered: one type for each kind of record of PRODUCT.md 6, and its written form.
//!
//! A record carries its own fields only; `seq`, `time`, `prev` and `hash` are added where it is linked into
//! the chain (`audit::chain`).

mod fields;

use serde::{Deserialize, Serialize};

pub use fields::*;

/// One record of the audit log, by its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Record {
    /// The daemon started.
    #[serde(rename = "daemon.started")]
    DaemonStarted(DaemonStarted),
    /// The daemon stopped.
    #[serde(rename = "daemon.stopped")]
    DaemonStopped(DaemonStopped),
    /// A policy came into force.
    #[serde(rename = "policy.loaded")]
    PolicyLoaded(PolicyLoaded),
    /// A verdict that differs from the observed state and so needs a call.
    #[serde(rename = "decision")]
    Decision(Decision),
    /// A request is about to go out for a decision.
    #[serde(rename = "attempt")]
    Attempt(Attempt),
    /// What came of an attempt.
    #[serde(rename = "outcome")]
    Outcome(Outcome),
    /// The platform itself reported the wanted state after the attempt.
    #[serde(rename = "confirmed")]
    Confirmed(Confirmed),
    /// The decision is no longer needed.
    #[serde(rename = "superseded")]
    Superseded(Superseded),
    /// The decision was given up.
    #[serde(rename = "abandoned")]
    Abandoned(Abandoned),
    /// What a rule in observe mode would have done.
    #[serde(rename = "would")]
    Would(Would),
    /// Events may be missed from here on.
    #[serde(rename = "gap.opened")]
    GapOpened(GapOpened),
    /// Every conversation that was live in the gap has been judged again.
    #[serde(rename = "gap.closed")]
    GapClosed(GapClosed),
    /// An order by webhook or by hand.
    #[serde(rename = "directive")]
    Directive(Directive),
    /// A directive is over.
    #[serde(rename = "directive.released")]
    DirectiveReleased(DirectiveReleased),
    /// Facts that another system pushed.
    #[serde(rename = "facts")]
    Facts(Facts),
    /// A rule or directive holds a conversation, or went into its next phase.
    #[serde(rename = "hold")]
    Hold(Hold),
    /// A hold let go.
    #[serde(rename = "hold.ended")]
    HoldEnded(HoldEnded),
    /// Another party keeps undoing a verdict.
    #[serde(rename = "contested")]
    Contested(Contested),
    /// A stop left recorders running.
    #[serde(rename = "residual")]
    Residual(Residual),
    /// Events were shed under load.
    #[serde(rename = "dropped")]
    Dropped(Dropped),
    /// Somebody was alerted.
    #[serde(rename = "alert")]
    Alert(Alert),
    /// A rule could not be evaluated; it counted as no match.
    #[serde(rename = "rule.failed")]
    RuleFailed(RuleFailed),
    /// Still in force when a new file began.
    #[serde(rename = "carried")]
    Carried(Carried),
    /// A file that `keep` removed.
    #[serde(rename = "retired")]
    Retired(Retired),
    /// A signature over the chain so far.
    #[serde(rename = "checkpoint")]
    Checkpoint(Checkpoint),
}

impl Record {
    /// All that can stand in `kind`.
    pub const KINDS: [&str; 25] = [
        "daemon.started",
        "daemon.stopped",
        "policy.loaded",
        "decision",
        "attempt",
        "outcome",
        "confirmed",
        "superseded",
        "abandoned",
        "would",
        "gap.opened",
        "gap.closed",
        "directive",
        "directive.released",
        "facts",
        "hold",
        "hold.ended",
        "contested",
        "residual",
        "dropped",
        "alert",
        "rule.failed",
        "carried",
        "retired",
        "checkpoint",
    ];

    /// The word that stands in `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DaemonStarted(_) => "daemon.started",
            Self::DaemonStopped(_) => "daemon.stopped",
            Self::PolicyLoaded(_) => "policy.loaded",
            Self::Decision(_) => "decision",
            Self::Attempt(_) => "attempt",
            Self::Outcome(_) => "outcome",
            Self::Confirmed(_) => "confirmed",
            Self::Superseded(_) => "superseded",
            Self::Abandoned(_) => "abandoned",
            Self::Would(_) => "would",
            Self::GapOpened(_) => "gap.opened",
            Self::GapClosed(_) => "gap.closed",
            Self::Directive(_) => "directive",
            Self::DirectiveReleased(_) => "directive.released",
            Self::Facts(_) => "facts",
            Self::Hold(_) => "hold",
            Self::HoldEnded(_) => "hold.ended",
            Self::Contested(_) => "contested",
            Self::Residual(_) => "residual",
            Self::Dropped(_) => "dropped",
            Self::Alert(_) => "alert",
            Self::RuleFailed(_) => "rule.failed",
            Self::Carried(_) => "carried",
            Self::Retired(_) => "retired",
            Self::Checkpoint(_) => "checkpoint",
        }
    }
}

/// What the answer to an attempt means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeResult {
    /// The platform took it; its own word is awaited.
    Accepted,
    /// 429: nothing goes before its wait is over.
    Limited,
    /// No answer, or a passing failure.
    Retry,
    /// Not permitted, or not valid.
    Refused,
    /// No such conversation, or it ended.
    Gone,
    /// The state changed meanwhile.
    Conflict,
}

/// How the wanted state was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfirmedBy {
    /// By an event.
    Event,
    /// By reading the conversation.
    Read,
}

/// Which way a directive came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectiveOrigin {
    /// By webhook.
    Webhook,
    /// By `recwarden start` or `stop`.
    Manual,
}

/// Where a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldPhase {
    /// It matched, and waits for `after`.
    Pending,
    /// It is in force.
    Held,
    /// Its `at_most` is over, and it has not stopped matching yet.
    Expired,
}

/// Why a hold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldEnd {
    /// It matches no more.
    Unmatched,
    /// Its `at_most` is over.
    Expired,
    /// It was released.
    Released,
    /// Another order took its place.
    Replaced,
    /// The conversation ended.
    Ended,
    /// The policy no longer has the rule.
    Policy,
}

/// What was cut off the end of the log: a line that a crash left unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// How many bytes.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_are_named() {
        let unknown =
            serde_json::from_str::<Record>(r#"{"kind":"x"}"#).expect_err("no such kind").to_string();
        let known: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
        assert_eq!(known, Record::KINDS);
    }
}
