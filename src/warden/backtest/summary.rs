//! What it comes to: per rule, and between two policies.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::model::time::Wall;
use crate::policy::decide::Policy;
use crate::policy::rule::{DEFAULT, Mode};

/// The last line of a replay.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Conversation events that were looked at.
    pub events: u64,
    /// Conversations.
    pub conversations: u64,
    /// When the first event came.
    pub from: Option<Wall>,
    /// When the last one came.
    pub to: Option<Wall>,
    /// Frames about something else.
    pub other: u64,
    /// Events older than what was known.
    pub stale: u64,
    /// Events with a field that was passed over.
    pub odd: u64,
    /// Entries that could not be read.
    pub unreadable: u64,
    /// Conversations that were not seen any more, and dropped.
    pub forgotten: u64,
    /// Conversations in a queue of which only the id is known, so that no rule can match its name.
    pub in_unnamed_queues: u64,
    /// Conversations that were live at the end.
    pub live_at_the_end: u64,
    /// The rules of the policy.
    pub rules: Vec<RuleLine>,
    /// The rules of the other policy, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Vec<RuleLine>>,
    /// On how many conversations the two part.
    #[serde(rename = "changed", skip_serializing_if = "Option::is_none")]
    pub changed_share: Option<Changed>,
    /// What the other policy adds to the recording and takes away from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Vec<Difference>>,
    #[serde(skip)]
    pub(super) changed: u64,
    #[serde(skip)]
    differences: BTreeMap<(String, String), (Duration, Duration)>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleLine {
    /// Its name.
    pub rule: String,
    /// What it wants.
    pub action: &'static str,
    /// `enforce` or `observe`.
    pub mode: &'static str,
    /// Conversations that it spoke for.
    pub conversations: u64,
    /// Seconds in which nothing was recorded because of it.
    pub stopped_seconds: f64,
    /// Calls that it needed.
    pub decisions: u64,
    /// Calls that it would have needed, in observe mode.
    pub would: u64,
    /// Times that it could not be evaluated, and so counted as not matching.
    pub failures: u64,
    /// Conversations on which that was so.
    pub failed_conversations: u64,
    /// Why, the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
}

/// What the other policy does to some seconds of recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Added,
    Removed,
}

/// Conversations on which two policies part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed {
    /// How many.
    pub conversations: u64,
    /// Of all of them, from 0 to 1.
    pub share: f64,
}

/// What a rule's difference comes to in one queue.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The rule that explains it: the one that stops in one policy and not in the other.
    pub rule: String,
    /// The queue; none where the conversation was in none.
    pub queue: Option<String>,
    /// Seconds of recording that the other policy adds.
    pub added_seconds: f64,
    /// Seconds of recording that it takes away.
    pub removed_seconds: f64,
}

impl Summary {
    /// For so long, the other policy recorded what the first one did not, or the other way round.
    pub(super) fn differ(&mut self, rule: &str, queue: &str, way: Way, span: Duration) {
        let key = (rule.to_owned(), queue.to_owned());
        let (added, removed) = self.differences.entry(key).or_default();
        *(match way {
            Way::Added => added,
            Way::Removed => removed,
        }) += span;
    }

    pub(super) fn complete(mut self, first: Option<Ledger>, other: Option<Ledger>) -> Self {
        self.rules = first.map(Ledger::lines).unwrap_or_default();
        if let Some(other) = other {
            self.against = Some(other.lines());
            let of = |count: u64| u32::try_from(count).map_or(f64::from(u32::MAX), f64::from);
            let share = of(self.changed) / of(self.conversations.max(1));
            self.changed_share = Some(Changed { conversations: self.changed, share });
            let line =
                |((rule, queue), (added, removed)): ((String, String), (Duration, Duration))| Difference {
                    rule,
                    queue: (!queue.is_empty()).then_some(queue),
                    added_seconds: seconds(added),
                    removed_seconds: seconds(removed),
                };
            self.difference = Some(std::mem::take(&mut self.differences).into_iter().map(line).collect());
        }
        self
    }
}

/// To the millisecond.
fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Whether the same was so before of the same conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// It was.
    Too,
    /// This is the first time.
    Not,
}

/// The rules of one policy, by number.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    lines: Vec<(RuleLine, Duration)>,
    numbers: BTreeMap<String, u32>,
}

impl Ledger {
    /// Every rule of the policy, in order of precedence, then its default.
    pub fn new(policy: &Policy) -> Self {
        let mut ledger = Self::default();
        for one in policy.terms() {
            let mode = match one.mode {
                Mode::Enforce => "enforce",
                Mode::Observe => "observe",
            };
            ledger.add(&one.name, one.action.as_str(), mode);
        }
        ledger.add(DEFAULT, policy.default_wish().as_str(), "enforce");
        ledger
    }

    fn add(&mut self, rule: &str, action: &'static str, mode: &'static str) -> u32 {
        let number = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        let line = RuleLine {
            rule: rule.to_owned(),
            action,
            mode,
            conversations: 0,
            stopped_seconds: 0.0,
            decisions: 0,
            would: 0,
            failures: 0,
            failed_conversations: 0,
            first_error: None,
        };
        self.lines.push((line, Duration::ZERO));
        self.numbers.insert(rule.to_owned(), number);
        number
    }

    /// The number of a rule.
    pub fn number(&mut self, rule: &str) -> u32 {
        match self.numbers.get(rule) {
            Some(number) => *number,
            None => self.add(rule, "leave", "enforce"),
        }
    }

    /// The name of a rule.
    pub fn name(&self, number: u32) -> &str {
        self.lines.get(number as usize).map_or("", |(line, _)| line.rule.as_str())
    }

    fn line(&mut self, number: u32) -> Option<&mut (RuleLine, Duration)> {
        self.lines.get_mut(number as usize)
    }

    pub(super) fn touched(&mut self, number: u32) {
        if let Some((line, _)) = self.line(number) {
            line.conversations += 1;
        }
    }

    pub(super) fn stopped(&mut self, number: u32, span: Duration) {
        if let Some((_, stopped)) = self.line(number) {
            *stopped += span;
        }
    }

    pub(super) fn decided(&mut self, rule: &str) {
        self.count(rule, |line| &mut line.decisions);
    }

    pub(super) fn would(&mut self, rule: &str) {
        self.count(rule, |line| &mut line.would);
    }

    pub(super) fn failed(&mut self, number: u32, error: String, before: Before) {
        if let Some((line, _)) = self.line(number) {
            line.failures += 1;
            line.failed_conversations += u64::from(before == Before::Not);
            line.first_error.get_or_insert(error);
        }
    }

    fn count(&mut self, rule: &str, what: impl FnOnce(&mut RuleLine) -> &mut u64) {
        let number = self.number(rule);
        if let Some((line, _)) = self.line(number) {
            *what(line) += 1;
        }
    }

    /// The rules as they are told; the default only where it wants something.
    fn lines(self) -> Vec<RuleLine> {
        let told = |(mut line, stopped): (RuleLine, Duration)| {
            line.stopped_seconds = seconds(stopped);
            (line.action != "leave").then_some(line)
        };
        self.lines.into_iter().filter_map(told).collect()
    }
}
