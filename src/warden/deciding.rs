//! A decision's way: opened, with its record before anything is sent; confirmed, superseded or abandoned,
//! exactly one of these.

use std::time::Duration;

use super::Warden;
use crate::audit::record::{self, ConfirmedBy, Record};
use crate::model::ids::ConversationId;
use crate::model::recording::{Action, Observed};
use crate::model::time::{Mono, Now};
use crate::policy::decide::Policy;
use crate::warden::backoff::Backoff;
use crate::warden::book::{Begun, Call, Claim, LetGo, Pursuit, Stage};
use crate::warden::plan::{self, DEFAULT, Step, Verdict};
use crate::warden::unseen::UNFINISHED_FOR;

/// The epoch of a single host (ARCHITECTURE.md, rule 13).
pub(super) const EPOCH: u64 = 1;
/// So often within [`CONTEST_WINDOW`] somebody has to undo a verdict for it to count as contested.
const CONTEST_TIMES: usize = 3;
/// See [`CONTEST_TIMES`].
const CONTEST_WINDOW: Duration = Duration::from_secs(60);
/// The first wait in a contest; it doubles up to [`CONTEST_LONGEST`] (PRODUCT.md 2).
const CONTEST_FIRST: Duration = Duration::from_secs(2);
/// An alert tells of a contest that goes on no more often.
const CONTEST_TOLD_EVERY: Duration = Duration::from_secs(600);
/// See [`CONTEST_FIRST`].
const CONTEST_LONGEST: Duration = Duration::from_secs(30);

impl Warden {
    pub(super) fn open_decision(&mut self, id: &ConversationId, verdict: &Verdict, action: Action, now: Now) {
        let Some(call) = self.book.get_mut(id) else { return };
        let means = self.settings.means;
        let known = call.seen.is_some();
        let observed = if known { plan::observed(&means, &call.conversation) } else { Observed::Unknown };
        let then = call.unseen.against(action, &call.conversation);
        let expected = then.as_ref().unwrap_or(&call.conversation);
        let step = plan::next_step(&means, action, expected, &std::collections::BTreeSet::new());
        // What our own order makes of it is what is given back later.
        let before = if known { plan::observed(&means, expected) } else { Observed::Unknown };
        if call.given_up == Some((action, observed)) || (known && matches!(step, Step::Wait | Step::Asked)) {
            return;
        }
        // As wanted when it was seen, and not any more by what we have ordered since: how it is nobody has told.
        let overtaken = known && plan::is_satisfied(&means, action, &call.conversation);
        let reported = if overtaken { Observed::Unknown } else { observed };
        let wait = contest_wait(call, action, now.mono);
        let decision = self.dice.decision_id(now.wall);
        let (topic, correlation) = call.cause.clone();
        call.given_up = None;
        call.pursuit = Some(Pursuit {
            decision: decision.clone(),
            action,
            rule: verdict.rule.clone(),
            observed: before,
            opened: now,
            in_line: now.mono,
            attempts: 0,
            begun: Begun::NotYet,
            silenced: Duration::ZERO,
            asked: std::collections::BTreeSet::new(),
            stage: if known { Stage::Due } else { Stage::ToRead },
            backoff: Backoff::default(),
        });
        self.count("recwarden_decisions_total");
        self.record(Record::Decision(record::Decision {
            decision,
            conversation: id.clone(),
            action,
            rule: verdict.rule.clone(),
            reason: verdict.reason.clone(),
            observed: reported,
            topic,
            correlation,
            policy: self.policy.sha256().to_owned(),
            epoch: EPOCH,
        }));
        if let Some(wait) = wait {
            self.tell_contest(id, wait, now.mono);
        }
        match step {
            Step::Refuse(why) if known => self.abandon(id, why, now.mono),
            Step::Refuse(_) | Step::Send(..) | Step::Wait | Step::Asked => {
                self.worklist.put(id, action, now.mono, now.mono + wait.unwrap_or_default());
            }
        }
    }

    /// Somebody keeps undoing what the decision that was just made wants.
    fn tell_contest(&mut self, id: &ConversationId, wait: Duration, now: Mono) {
        let Some(call) = self.book.get_mut(id) else { return };
        let Some(open) = &call.pursuit else { return };
        let (decision, action, rule) = (Some(open.decision.clone()), open.action, open.rule.clone());
        let times = u32::try_from(call.undone.len()).unwrap_or(u32::MAX);
        let untold = call.contest_told.is_none_or(|at| now.since(at) >= CONTEST_TOLD_EVERY);
        if untold {
            call.contest_told = Some(now);
        }
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let message = format!(
            "somebody keeps undoing '{action}' of rule '{rule}' on {id} ({times} times within a minute)"
        );
        let conversation = id.clone();
        self.record(Record::Contested(record::Contested { conversation, decision, rule, times, wait_ms }));
        if untold {
            self.alert("contested", message, Some(id));
        }
    }

    pub(super) fn confirm(&mut self, id: &ConversationId, by: ConfirmedBy, now: Now) {
        let Some(call) = self.book.get_mut(id) else { return };
        let Some(done) = call.pursuit.take() else { return };
        let restored = call.claim.as_ref().is_some_and(|one| one.gives_back() == done.action);
        match &mut call.claim {
            Some(_) if restored => call.claim = None,
            Some(claim) => claim.action = done.action,
            None => call.claim = claim_of(&self.policy, &done),
        }
        call.confirmed = Some(done.action);
        self.worklist.remove(id);
        self.brake.forget(id);
        self.permissions.forget(id);
        self.ended.confirmed(&done, id);
        self.count("recwarden_decisions_confirmed_total");
        self.journal_claim(id);
        let after = match done.begun {
            Begun::At(first) => now.mono.since(first),
            Begun::NotYet | Begun::Admitted => now.mono.since(done.opened.mono),
        };
        self.record(Record::Confirmed(record::Confirmed {
            decision: done.decision,
            conversation: id.clone(),
            after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            by,
        }));
    }

    /// What was sent for a decision that ends unconfirmed may come true yet: it is claimed as a change of ours,
    /// so that it is given back where nobody wants it any more.
    fn claim_unfinished(&mut self, id: &ConversationId, done: &Pursuit, now: Mono) {
        let Some(call) = self.book.get_mut(id).filter(|_| done.attempts > 0) else { return };
        call.unfinished_until = Some(now + UNFINISHED_FOR);
        if call.claim.is_none() {
            call.claim = claim_of(&self.policy, done);
            self.journal_claim(id);
        }
    }

    pub(super) fn supersede(&mut self, id: &ConversationId, why: &str, now: Mono) {
        let Some(done) = self.book.get_mut(id).and_then(|call| call.pursuit.take()) else { return };
        self.claim_unfinished(id, &done, now);
        self.worklist.remove(id);
        self.brake.forget(id);
        self.permissions.forget(id);
        self.ended.superseded(&done, id, why);
        self.count("recwarden_decisions_superseded_total");
        let (decision, conversation) = (done.decision, id.clone());
        self.record(Record::Superseded(record::Superseded { decision, conversation, why: why.into() }));
    }

    /// Gives the open decision up; the same is not tried again before verdict or observed state change.
    pub(super) fn abandon(&mut self, id: &ConversationId, why: &str, now: Mono) {
        let Some(call) = self.book.get_mut(id) else { return };
        let Some(done) = call.pursuit.take() else { return };
        let observed = plan::observed(&self.settings.means, &call.conversation);
        call.given_up = Some((done.action, observed));
        self.claim_unfinished(id, &done, now);
        self.worklist.remove(id);
        self.brake.forget(id);
        self.permissions.forget(id);
        self.ended.abandoned(&done, id, why);
        self.count("recwarden_decisions_abandoned_total");
        let (decision, conversation) = (done.decision, id.clone());
        self.record(Record::Abandoned(record::Abandoned { decision, conversation, why: why.into() }));
    }
}

/// What a decision changes, and would give back; none where what was before is not known, or nobody would.
fn claim_of(policy: &Policy, done: &Pursuit) -> Option<Claim> {
    if matches!(done.observed, Observed::Unknown) || done.rule == DEFAULT {
        return None;
    }
    let on_release = plan::release_of(policy, &done.rule, done.action);
    let (before, action, rule) = (done.observed, done.action, done.rule.clone());
    Some(Claim { before, action, rule, on_release, ended: LetGo::Released })
}

/// How long to wait where somebody keeps undoing the verdict.
fn contest_wait(call: &mut Call, action: Action, now: Mono) -> Option<Duration> {
    while call.undone.front().is_some_and(|at| now.since(*at) > CONTEST_WINDOW) {
        call.undone.pop_front();
    }
    let times = call.undone.len();
    (times >= CONTEST_TIMES && call.confirmed == Some(action)).then(|| {
        let doublings = u32::try_from(times - CONTEST_TIMES).unwrap_or(u32::MAX).min(8);
        CONTEST_FIRST.saturating_mul(1 << doublings).min(CONTEST_LONGEST)
    })
}
