//! A decision's way: opened, with its record before anything is sent; confirmed, superseded or abandoned,
//! exactly one of these.

use std::time::Duration;

use super::Warden;
use crate::audit::claim;
use crate::audit::record::{self, ConfirmedBy, HoldPhase, Record};
use crate::model::ids::ConversationId;
use crate::model::recording::{Action, Observed};
use crate::model::time::{Mono, Now};
use crate::policy::decide::Policy;
use crate::warden::backoff::{Backoff, News};
use crate::warden::book::{Again, Begun, Busy, Call, Claim, GivenUp, LetGo, Pursuit, Stage};
use crate::warden::plan::{self, DEFAULT, Step, Verdict};

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

/// A conversation that the platform does not find may be too young: where it lives on, it is tried again with the
/// first look after so long.
const NOT_FOUND_FOR: Duration = Duration::from_secs(30);

/// Why a decision is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivingUp {
    /// The conversation is over.
    Over,
    /// The configuration rules it out.
    RuledOut,
    /// The platform refuses it, and would again.
    Refused,
    /// The platform does not find the conversation.
    NotFound,
    /// It did not come true for `give_up_after`.
    Failed,
}

impl Warden {
    pub(super) fn open_decision(&mut self, id: &ConversationId, verdict: &Verdict, action: Action, now: Now) {
        let Some(call) = self.book.get_mut(id) else { return };
        let means = self.settings.means;
        let known = call.seen.is_some();
        let observed = if known { plan::observed(&means, &call.conversation) } else { Observed::Unknown };
        let expected = call.unseen.expected(action, &call.conversation);
        let step = plan::next_step(&means, action, &expected, &std::collections::BTreeSet::new());
        // What our own order makes of it is what is given back later.
        let before = if known { plan::observed(&means, &expected) } else { Observed::Unknown };
        let muted = call.given_up.as_ref().is_some_and(|one| is_muted(one, observed, now.mono));
        if muted || (known && matches!(step, Step::Wait | Step::Asked)) {
            return;
        }
        // As wanted when it was seen, and not any more by what we have ordered since: how it is nobody has told.
        let overtaken = known && plan::is_satisfied(&means, action, &call.conversation);
        let reported = if overtaken { Observed::Unknown } else { observed };
        let wait = contest_wait(call, action, now.mono);
        // What is started from nothing stays beside what is recorded, where the event that told of nothing was old.
        let is_doubted = call.doubt.is_some() && action == Action::Start && observed == Observed::None;
        let needs_look = !known || is_doubted;
        let decision = self.dice.decision_id(now.wall);
        let (topic, correlation) = call.cause.clone();
        call.given_up = None;
        call.pursuit = Some(Pursuit {
            decision: decision.clone(),
            action,
            rule: verdict.rule.clone(),
            observed: before,
            journaled: reported,
            opened: now,
            in_line: now.mono,
            attempts: 0,
            reached: 0,
            begun: Begun::NotYet,
            failed: None,
            silenced: Duration::ZERO,
            asked: std::collections::BTreeSet::new(),
            stage: if needs_look { Stage::ToRead } else { Stage::Due },
            backoff: Backoff::default(),
        });
        // It was over and has come back, and what was sent for it before that is under way yet.
        if self.under_way.values().any(|one| one.purpose.occupies(id))
            && let Some(call) = self.book.get_mut(id)
        {
            call.busy = Busy::Sending;
        }
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
            Step::Refuse(why) if known => self.abandon(id, why, GivingUp::RuledOut, now),
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
            None => call.claim = claim_of(&self.policy, call, &done),
        }
        call.confirmed = Some(done.action);
        self.worklist.remove(id);
        self.brake.forget(id);
        self.permissions.forget(id);
        self.ended.confirmed(&done, id);
        self.count("recwarden_decisions_confirmed_total");
        // What gives back ends the claim by its own confirmation, here as in the log.
        if !restored {
            self.journal_claim(id);
        }
        if let Some(call) = self.book.get_mut(id) {
            call.journaled = claim::after_confirmed(call.journaled.take(), done.action);
        }
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
    fn claim_unfinished(&mut self, id: &ConversationId, done: &Pursuit) {
        let Some(call) = self.book.get_mut(id).filter(|_| done.reached > 0) else { return };
        if call.claim.is_none() {
            call.claim = claim_of(&self.policy, call, done);
            self.journal_claim(id);
        }
    }

    pub(super) fn supersede(&mut self, id: &ConversationId, why: &str) {
        let Some(done) = self.book.get_mut(id).and_then(|call| call.pursuit.take()) else { return };
        self.claim_unfinished(id, &done);
        self.worklist.remove(id);
        self.brake.forget(id);
        self.permissions.forget(id);
        self.ended.superseded(&done, id, why);
        self.count("recwarden_decisions_superseded_total");
        let (decision, conversation) = (done.decision, id.clone());
        self.record(Record::Superseded(record::Superseded { decision, conversation, why: why.into() }));
    }

    /// Gives the open decision up. Where that is news to an operator, who can mend it, an alert goes out.
    pub(super) fn abandon(&mut self, id: &ConversationId, why: &str, giving_up: GivingUp, now: Now) {
        let Some(call) = self.book.get_mut(id) else { return };
        let Some(done) = call.pursuit.take() else { return };
        let give_up_after = self.settings.give_up_after;
        let again = match giving_up {
            GivingUp::Over | GivingUp::RuledOut | GivingUp::Refused => Again::Never,
            GivingUp::NotFound => Again::After(now.mono + NOT_FOUND_FOR),
            GivingUp::Failed => Again::After(now.mono + give_up_after),
        };
        let observed = plan::observed(&self.settings.means, &call.conversation);
        let (action, rule) = (done.action, done.rule.clone());
        call.given_up = Some(GivenUp { action, rule: rule.clone(), observed, again });
        // Of what is over, nothing is given back any more.
        if giving_up != GivingUp::Over {
            self.claim_unfinished(id, &done);
            self.journal_holds(id, Vec::new());
            self.rearm(id, now);
        }
        self.worklist.remove(id);
        self.brake.forget(id);
        self.permissions.forget(id);
        self.ended.abandoned(&done, id, why);
        self.count("recwarden_decisions_abandoned_total");
        let (decision, conversation) = (done.decision, id.clone());
        self.record(Record::Abandoned(record::Abandoned { decision, conversation, why: why.into() }));
        let then = match giving_up {
            GivingUp::Over | GivingUp::RuledOut | GivingUp::NotFound => return,
            GivingUp::Refused => "it is not tried again before the policy or the state changes".to_owned(),
            GivingUp::Failed => format!("it is tried again in {}", humantime::format_duration(give_up_after)),
        };
        if self.given_up.again(why, now.mono) == News::Yes {
            let message = format!(
                "'{action}' of rule '{rule}' on {id} is given up, and the recording stays as it is: {why}; {then}. Others \
                 that were given up for the same reason within a minute are in the log alone (audit show --kind \
                 abandoned)."
            );
            self.alert("abandoned", message, Some(id));
        }
    }
}

/// Whether a decision of the same rule for the same action is held back by one that was given up.
fn is_muted(given_up: &GivenUp, observed: Observed, now: Mono) -> bool {
    let waits = match given_up.again {
        Again::Never => true,
        Again::After(at) => now < at,
    };
    waits && given_up.observed == observed
}

/// What a decision changes, and would give back; none where what was before is not known, or nobody would. It is
/// the claim of who wants it now: the rule that made the decision may have let go meanwhile.
fn claim_of(policy: &Policy, call: &Call, done: &Pursuit) -> Option<Claim> {
    let (wanted, by) = &call.verdict;
    let rule = if *wanted == Some(done.action) { by } else { &done.rule };
    if matches!(done.observed, Observed::Unknown) || done.rule == DEFAULT || rule == DEFAULT {
        return None;
    }
    let on_release = plan::release_of(policy, rule, done.action);
    let expired = call.latches.get(rule).is_some_and(|hold| hold.phase == HoldPhase::Expired);
    let ended = if expired { LetGo::Expired } else { LetGo::Released };
    let (before, action, rule) = (done.observed, done.action, rule.clone());
    Some(Claim { before, action, rule, on_release, ended })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::history::History;
    use crate::model::recording::RecorderState;
    use crate::warden::bench::{Bench, PCI, id, settings};
    use crate::warden::{Input, Settings, What};
    use crate::wire::request::Request;

    const MINUTE: Duration = Duration::from_secs(60);

    fn refusing(rules: &str, calls: usize, answer: (u16, &'static str)) -> Bench {
        let mut bench = Bench::new(settings(), rules).with_calls(calls, "on");
        refuse(&mut bench, answer);
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench
    }

    fn refuse(bench: &mut Bench, answer: (u16, &'static str)) {
        bench.refuses =
            Box::new(move |request| matches!(request, Request::SetRecordingState { .. }).then_some(answer));
    }

    #[test]
    fn what_the_platform_refuses_for_good_is_tried_again_only_once_the_verdict_or_the_state_changes() {
        let rules = format!(
            "{PCI}\n[[rule]]\nname = \"consent\"\nattribute = {{ pci = \"no consent\" }}\naction = \"stop\"\n"
        );
        let mut bench = refusing(&rules, 1, (413, "{}"));
        bench.pass(MINUTE * 40);
        assert_eq!((bench.kinds("decision"), bench.kinds("abandoned")), (1, 1));
        assert_eq!(bench.alerts("abandoned").len(), 1);
        for (pci, decisions) in [("on", 1), ("off", 1), ("on", 2), ("no consent", 3), ("no consent", 3)] {
            bench.set(0, pci);
            bench.tell(0);
            bench.pass(Duration::from_secs(5));
            assert_eq!(bench.kinds("decision"), decisions, "after {pci}");
        }
    }

    #[test]
    fn what_failed_for_long_is_given_up_with_one_alert_and_tried_again_later() {
        let mut bench = refusing(PCI, 3, (503, "{}"));
        bench.pass(MINUTE * 16);
        assert_eq!((bench.kinds("decision"), bench.kinds("abandoned")), (3, 3));
        assert_eq!(bench.alerts("abandoned").len(), 1, "{:?}", bench.alerts("abandoned"));
        bench.refuses = Box::new(|_| None);
        bench.pass(MINUTE * 21);
        assert_eq!((bench.kinds("decision"), bench.kinds("confirmed")), (6, 3));
        assert_eq!(bench.state(2), RecorderState::Paused);
    }

    #[test]
    fn a_conversation_that_the_platform_did_not_find_yet_is_tried_again_with_a_later_look() {
        let mut bench = refusing(PCI, 1, (404, "{}"));
        assert_eq!((bench.kinds("abandoned"), bench.alerts("abandoned").len()), (1, 0));
        bench.refuses = Box::new(|_| None);
        bench.tell(0);
        assert_eq!(bench.kinds("decision"), 1);
        bench.pass(Duration::from_secs(30));
        bench.tell(0);
        bench.pass(Duration::from_secs(10));
        assert_eq!((bench.kinds("decision"), bench.state(0)), (2, RecorderState::Paused));
    }

    #[test]
    fn who_takes_a_call_over_is_recorded_though_the_start_was_sent_to_the_leg_before() {
        let rules = "[[rule]]\nname = \"must\"\nattribute = { pci = \"on\" }\naction = \"start\"\n";
        let mut bench = Bench::new(settings(), rules).with_calls(1, "on");
        let there = bench.calls.get_mut(&id(0)).expect("it is there");
        there.state = RecorderState::None;
        bench.refuses = Box::new(|request| {
            let first =
                matches!(request, Request::Snippet { participant, .. } if participant.as_str() == "agent");
            first.then_some((404, r#"{"code":"conversation.error.not.conversation.participant"}"#))
        });
        bench.feed(Input::Timeout);
        let there = bench.calls.get_mut(&id(0)).expect("it is there");
        there.agents.insert("later".into(), RecorderState::None);
        bench.pass(Duration::from_secs(4));
        assert_eq!(bench.calls[&id(0)].agents["later"], RecorderState::Active, "it waits for no other leg");
        let there = bench.calls.get_mut(&id(0)).expect("it is there");
        there.left.insert("agent".into());
        bench.tell(0);
        bench.pass(Duration::from_secs(10));
        assert_eq!((bench.kinds("abandoned"), bench.kinds("confirmed")), (0, 1));
    }

    #[test]
    fn a_start_that_the_configuration_rules_out_raises_no_alert() {
        let rules = "[[rule]]\nname = \"must\"\nattribute = { pci = \"on\" }\naction = \"start\"\n";
        let means = plan::Means { start_from_none: plan::StartFromNone::Refuse, ..plan::Means::default() };
        let mut bench = Bench::new(Settings { means, ..settings() }, rules).with_calls(1, "on");
        bench.calls.get_mut(&id(0)).expect("it is there").state = RecorderState::None;
        bench.feed(Input::Timeout);
        bench.pass(MINUTE * 20);
        assert_eq!((bench.kinds("abandoned"), bench.alerts("abandoned").len()), (1, 0));
    }

    #[test]
    fn a_call_that_the_platform_did_not_find_for_a_moment_is_stopped_though_nothing_more_is_told_of_it() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench.answer_orders(404);
        bench.set(0, "on");
        bench.tell(0);
        bench.pass(Duration::from_secs(1));
        assert_eq!(bench.kinds("abandoned"), 1);
        bench.refuses = Box::new(|_| None);
        bench.pass(NOT_FOUND_FOR + Duration::from_secs(1));
        assert_eq!(bench.state(0), RecorderState::Paused);
    }

    #[test]
    fn a_start_that_waits_for_an_agent_is_sent_when_one_comes_and_costs_few_reads_until_then() {
        let mut bench = Bench::new(settings(), PCI);
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench.begin(0);
        let there = bench.calls.get_mut(&id(0)).expect("it is there");
        there.state = RecorderState::None;
        there.left.insert("agent".into());
        let before = bench.sent.len();
        bench.order(0, 1, What::Set(Action::Start, None));
        bench.pass(MINUTE * 2);
        assert_eq!((bench.kinds("decision"), bench.kinds("attempt")), (1, 0));
        assert!(bench.sent.len() - before < 8, "{:?}", &bench.sent[before..]);
        let there = bench.calls.get_mut(&id(0)).expect("it is there");
        there.agents.insert("later".into(), RecorderState::None);
        bench.tell(0);
        bench.pass(Duration::from_millis(10));
        assert_eq!(bench.calls[&id(0)].agents["later"], RecorderState::Active, "at once");
    }

    #[test]
    fn nothing_is_sent_for_a_call_that_came_back_while_what_was_sent_before_is_under_way() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench.answers_after = Duration::from_secs(20);
        bench.set(0, "on");
        bench.tell(0);
        bench.ended.insert(id(0));
        bench.tell(0);
        bench.ended.clear();
        let sent = bench.sent.len();
        bench.order(0, 1, What::Set(Action::Stop, None));
        bench.pass(Duration::from_secs(15));
        assert_eq!((bench.kinds("decision"), bench.sent.len()), (2, sent));
        bench.pass(Duration::from_secs(6));
        assert_eq!(bench.sent.len(), sent + 1, "it is read once the order of before is answered");
    }

    #[test]
    fn a_decision_from_before_a_long_standstill_is_carried_out() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "on");
        let decision = Record::Decision(record::Decision {
            decision: bench.warden.dice.decision_id(bench.now.wall),
            conversation: id(0),
            action: Action::Stop,
            rule: "pause".into(),
            reason: String::new(),
            observed: Observed::Active,
            topic: String::new(),
            correlation: String::new(),
            policy: String::new(),
            epoch: EPOCH,
        });
        let mut history = History::default();
        assert_eq!(history.take(bench.now.wall - MINUTE * 60, &decision), None);
        bench.warden.recover(&history, bench.now);
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        assert_eq!((bench.kinds("abandoned"), bench.kinds("confirmed")), (0, 1));
    }

    /// Found by reading: what an operator had mended stayed given up until something changed on the call.
    #[test]
    fn what_was_given_up_is_tried_again_once_the_configuration_is_reloaded() {
        let mut bench = refusing(PCI, 1, (413, "{}"));
        assert_eq!(bench.kinds("abandoned"), 1);
        bench.refuses = Box::new(|_| None);
        bench.feed(Input::Reload(Box::new((settings(), bench.warden.policy.clone()))));
        bench.pass(Duration::from_secs(1));
        assert_eq!((bench.kinds("decision"), bench.state(0)), (2, RecorderState::Paused));
    }
}
