//! A wall clock that is set.
//!
//! Holds, directives and decisions keep their times by the wall, so that they survive a crash. Set back, the clock
//! would let a pause last longer by as much; so what is kept is set back with it. Set forward, time may really
//! have passed (a host that was asleep): holds take it as passed, but no decision is given up for it.

use std::time::Duration;

use super::Warden;
use crate::audit::record::{self, CLOCK_ALERT, HoldPhase, Record};
use crate::model::ids::ConversationId;
use crate::model::time::Now;

/// A smaller step is a clock being steered, not set.
const STEP: Duration = Duration::from_secs(1);

impl Warden {
    /// Compares the clocks with what they said at the last input.
    pub(super) fn mind_the_clock(&mut self, now: Now) {
        let Some(last) = self.clock.replace(now) else { return };
        let expected = last.wall + now.mono.since(last.mono);
        let (ahead, back) = (now.wall.since(expected), expected.since(now.wall));
        if ahead.max(back) < STEP {
            return;
        }
        let (way, by) = if ahead > back { ("forward", ahead) } else { ("back", back) };
        let by_text = humantime::format_duration(Duration::from_secs(by.as_secs()));
        let text = format!(
            "the wall clock was set {way} by {by_text}: the times in the audit log jump, its order does not; where that \
             was not meant, look at the host's time synchronisation"
        );
        self.alert(CLOCK_ALERT, text, None);
        self.count("recwarden_clock_steps_total");
        for (_, call) in self.book.iter_mut() {
            if let Some(open) = call.pursuit.as_mut() {
                open.opened.wall = if ahead > back { open.opened.wall + by } else { open.opened.wall - by };
            }
        }
        if back > ahead {
            self.set_back(back);
        }
    }

    /// The clock is so far behind the end of the log: it was set back between two processes.
    pub(super) fn was_set_back(&mut self, by: Duration) {
        if by >= STEP {
            let span = humantime::format_duration(Duration::from_secs(by.as_secs()));
            let text = format!(
                "the wall clock is {span} behind the end of the audit log: it was set back since; where that was not meant, \
                 look at the host's time synchronisation"
            );
            self.alert(CLOCK_ALERT, text, None);
            self.count("recwarden_clock_steps_total");
        }
        self.set_back(by);
    }

    /// What is kept by the wall is set back with it.
    fn set_back(&mut self, by: Duration) {
        let ids: Vec<ConversationId> = self.book.iter().map(|(id, _)| id.clone()).collect();
        for id in ids {
            let Some(call) = self.book.get_mut(&id) else { continue };
            let mut records = Vec::new();
            call.latches.set_back(by);
            let claim = call.claim.as_ref();
            for (rule, hold) in call.latches.iter().filter(|(_, hold)| hold.phase != HoldPhase::Expired) {
                let (conversation, rule) = (id.clone(), rule.clone());
                let (since, phase) = (hold.since, hold.phase);
                let claim = claim.filter(|one| one.rule == rule);
                let action = claim.map_or(hold.action, |one| one.action);
                let claim = claim.map(|one| one.before);
                let hold = record::Hold { conversation, rule, action, since, phase, claim };
                records.push(Record::Hold(hold));
            }
            if let Some(directive) = call.directive.as_mut()
                && let Some(until) = directive.until.as_mut()
            {
                *until = *until - by;
                records.push(Record::Directive(record::Directive {
                    directive: directive.id.clone(),
                    conversation: id.clone(),
                    action: directive.action,
                    by: directive.by.clone(),
                    reason: directive.reason.clone(),
                    origin: directive.origin,
                    until: directive.until,
                    decision: None,
                    webhook_id: None,
                }));
            }
            records.into_iter().for_each(|one| self.record(one));
        }
    }
}
