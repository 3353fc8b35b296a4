//! One line for each change that recwarden makes or learns of, with the call's recording light.

use std::collections::BTreeMap;
use std::io::Write;

use crate::audit::record::Record;
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::recording::Action;
use crate::model::time::Wall;

/// What has been shown, and what is counted for the summary.
#[derive(Debug)]
pub(super) struct Lights {
    began: Wall,
    open: BTreeMap<DecisionId, (Wall, Action, String)>,
    /// Decisions made.
    pub(super) decisions: u64,
    /// Attempts sent.
    pub(super) attempts: u64,
    /// Milliseconds from decision to confirmation.
    pub(super) confirmed_ms: Vec<u64>,
    /// Decisions that ended otherwise.
    pub(super) other_ends: u64,
}

impl Lights {
    pub(super) fn new(began: Wall) -> Self {
        let (open, confirmed_ms) = (BTreeMap::new(), Vec::new());
        Self { began, open, decisions: 0, attempts: 0, confirmed_ms, other_ends: 0 }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most kinds of record are not for this view")]
    pub(super) fn show(&mut self, at: Wall, record: &Record, out: &mut dyn Write) -> std::io::Result<()> {
        match record {
            Record::Decision(one) => {
                self.decisions += 1;
                self.open.insert(one.decision.clone(), (at, one.action, one.rule.clone()));
                let light =
                    if one.action == Action::Stop { "● rec   → pause" } else { "○ pause → rec  " };
                let reason = if one.reason.is_empty() { String::new() } else { format!(" ({})", one.reason) };
                self.line(at, &one.conversation, light, &format!("{}{reason}", one.rule), out)
            }
            Record::Attempt(_) => {
                self.attempts += 1;
                Ok(())
            }
            Record::Confirmed(one) => {
                let (made, action, _) =
                    self.open.remove(&one.decision).unwrap_or((at, Action::Stop, String::new()));
                let took = u64::try_from(at.since(made).as_millis()).unwrap_or(u64::MAX);
                self.confirmed_ms.push(took);
                let light = if action == Action::Stop { "○ paused       " } else { "● recording    " };
                self.line(at, &one.conversation, light, &format!("confirmed after {took} ms"), out)
            }
            Record::Superseded(one) => {
                self.ended(at, &one.decision, &one.conversation, "superseded", &one.why, out)
            }
            Record::Abandoned(one) => {
                self.ended(at, &one.decision, &one.conversation, "abandoned", &one.why, out)
            }
            Record::Alert(one) => writeln!(out, "{:>8}  ! {}", self.clock(at), one.message),
            Record::GapOpened(one) => {
                writeln!(out, "{:>8}  gap {} opened: {}", self.clock(at), one.gap, one.why)
            }
            Record::GapClosed(one) => {
                let count = one.conversations;
                writeln!(
                    out,
                    "{:>8}  gap {} closed: {count} calls in progress were judged",
                    self.clock(at),
                    one.gap
                )
            }
            _ => Ok(()),
        }
    }

    fn ended(
        &mut self,
        at: Wall,
        decision: &DecisionId,
        conversation: &ConversationId,
        how: &str,
        why: &str,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        self.open.remove(decision);
        self.other_ends += 1;
        self.line(at, conversation, &format!("- {how:<13}"), why, out)
    }

    fn line(
        &self,
        at: Wall,
        conversation: &ConversationId,
        light: &str,
        text: &str,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        let short = conversation.as_str().get(..8).unwrap_or(conversation.as_str());
        writeln!(out, "{:>8}  {short}  {light}  {text}", self.clock(at))?;
        out.flush()
    }

    fn clock(&self, at: Wall) -> String {
        format!("{:.3}s", at.since(self.began).as_secs_f64())
    }
}
