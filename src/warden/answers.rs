//! Reading answers: what each fault means for the work it belongs to (the table of PRODUCT.md 7).

use std::time::Duration;

use super::{Forbidden, Level, Purpose, RequestId, UnderWay, Warden};
use crate::audit::record::{self, ConfirmedBy, OutcomeResult, Record};
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::time::{Mono, Now};
use crate::warden::backoff::News;
use crate::warden::book::{Begun, Busy, Intake, Stage};
use crate::warden::plan::{self, Step};
use crate::warden::unseen::Word;
use crate::wire::conversation;
use crate::wire::reply::{self, Fault, RawAnswer};
use crate::wire::request::Request;

/// A missing permission is tried again so often: rarely enough to leave the budget alone, often enough
/// that a granted role is noticed within a minute.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(30);

/// A list that could not be read for now is asked for again after this.
const SOON: Duration = Duration::from_secs(5);

impl Warden {
    pub(super) fn take_answer(&mut self, id: RequestId, answer: &RawAnswer, now: Now) {
        let Some(UnderWay { purpose, request, sent }) = self.under_way.remove(&id) else { return };
        self.allowance.answered();
        if let RawAnswer::Answered { rate, .. } = answer {
            let small = |number: Option<u64>| number.and_then(|one| u32::try_from(one).ok());
            let reset = rate.reset.map(Duration::from_secs);
            self.allowance.heed(small(rate.count), small(rate.allowed), reset, now.mono);
        }
        let fault = reply::classify(answer, now.wall).err();
        if let Some(Fault::Limited { wait }) = &fault {
            self.count("recwarden_limited_total");
            self.allowance.silence(*wait, now.mono);
        }
        let looks = matches!(purpose, Purpose::Confirm { .. } | Purpose::Survey { .. } | Purpose::Activity);
        match fault {
            None | Some(Fault::Gone { .. }) if looks => self.sight.looked(now.mono),
            // The platform is there, and wants to be asked later.
            Some(Fault::Limited { .. }) => {}
            Some(_) if looks => self.sight.failed(sent),
            Some(_) | None => {}
        }
        match purpose {
            Purpose::Attempt { conversation, decision, attempt } => {
                self.journal_outcome(
                    &conversation,
                    &decision,
                    attempt,
                    answer,
                    fault.as_ref(),
                    now.mono.since(sent),
                );
                self.settle_attempt(&conversation, &decision, &request, fault, now);
            }
            Purpose::Confirm { conversation, version } => {
                self.settle_read(&conversation, version, answer, fault, now);
            }
            Purpose::Survey { conversation, version } => {
                self.settle_survey_read(&conversation, version, answer, fault, now);
            }
            Purpose::Activity => self.settle_activity(answer, fault, &request, now),
            Purpose::Slot(slot) => self.settle_slot(slot, &request, answer, fault, now),
            Purpose::Directory => self.settle_directory(&request, answer, fault, now),
        }
    }

    fn journal_outcome(
        &mut self,
        conversation: &ConversationId,
        decision: &DecisionId,
        attempt: u32,
        answer: &RawAnswer,
        fault: Option<&Fault>,
        took: Duration,
    ) {
        let (status, correlation) = match answer {
            RawAnswer::Answered { status, correlation, .. } => (Some(*status), correlation.clone()),
            RawAnswer::Failed(_) => (None, String::new()),
        };
        let result = match fault {
            None => OutcomeResult::Accepted,
            Some(Fault::Limited { .. }) => OutcomeResult::Limited,
            Some(Fault::TokenStale | Fault::Transient { .. }) => OutcomeResult::Retry,
            Some(Fault::Forbidden { .. } | Fault::Refused { .. } | Fault::Invalid { .. }) => {
                OutcomeResult::Refused
            }
            Some(Fault::Gone { .. }) => OutcomeResult::Gone,
            Some(Fault::Conflict { .. }) => OutcomeResult::Conflict,
        };
        let message = fault.map(ToString::to_string);
        let (decision, conversation) = (decision.clone(), conversation.clone());
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.record(Record::Outcome(record::Outcome {
            decision,
            conversation,
            attempt,
            status,
            result,
            took_ms,
            correlation,
            message,
        }));
    }

    pub(super) fn settle_attempt(
        &mut self,
        id: &ConversationId,
        decision: &DecisionId,
        request: &Request,
        fault: Option<Fault>,
        now: Now,
    ) {
        if !matches!(fault, Some(Fault::Forbidden { .. } | Fault::Transient { .. } | Fault::Limited { .. })) {
            self.forbidden = None;
        }
        let means = self.settings.means;
        let confirm_within = self.settings.confirm_within;
        let Some(call) = self.book.get_mut(id) else { return };
        call.busy = Busy::Idle;
        call.unseen.answer(request, word_of(fault.as_ref()));
        let Some(open) = call.pursuit.as_mut() else { return };
        let (action, opened) = (open.action, open.opened.mono);
        if open.decision != *decision {
            // The decision it belonged to was superseded meanwhile; the one in its place may go now, unless it was
            // made against an order that came to nothing.
            self.worklist.put_no_sooner(id, action, opened, now.mono);
            return self.judge(id, ConfirmedBy::Event, now);
        }
        let due = match fault {
            None => {
                open.backoff.reset();
                let then = call.unseen.against(action, &call.conversation);
                let expected = then.as_ref().unwrap_or(&call.conversation);
                let more = plan::next_step(&means, action, expected, &open.asked);
                let more = !open.asked.is_empty() && matches!(more, Step::Send(..));
                if more {
                    open.stage = Stage::Due;
                    now.mono
                } else {
                    // Should none of it come true, every leg is asked again.
                    open.asked.clear();
                    open.stage = Stage::AwaitWord;
                    now.mono + confirm_within
                }
            }
            Some(Fault::Limited { wait }) => {
                // No attempt is counted, nor is the time in which none may go.
                open.attempts -= 1;
                if open.attempts == 0 {
                    open.begun = Begun::Admitted;
                } else {
                    open.silenced += wait;
                }
                open.asked.clear();
                open.stage = Stage::Due;
                now.mono
            }
            Some(Fault::TokenStale | Fault::Transient { .. }) => {
                open.asked.clear();
                open.stage = Stage::Due;
                now.mono + open.backoff.fail(&mut self.dice)
            }
            Some(Fault::Forbidden { permissions, message }) => {
                open.asked.clear();
                open.stage = Stage::Due;
                self.forbid(&permissions, message, now.mono)
            }
            Some(Fault::Conflict { .. } | Fault::Invalid { .. }) => {
                open.asked.clear();
                open.stage = Stage::ToRead;
                now.mono
            }
            Some(Fault::Gone { message } | Fault::Refused { message }) => {
                return self.abandon(id, &message, now.mono);
            }
        };
        self.worklist.put(id, action, opened, due);
    }

    /// Notes a missing permission and answers when to look again.
    fn forbid(&mut self, permissions: &[String], message: String, now: Mono) -> Mono {
        let probe_at = now + PROBE_EVERY;
        if self.forbidden.is_none() {
            let missing = if permissions.is_empty() { message.clone() } else { permissions.join(", ") };
            let text = format!(
                "the platform refuses starts and stops (403): {missing}. Grant it to the role of the OAuth \
                 client in every division concerned; it is tried again every {} s.",
                PROBE_EVERY.as_secs()
            );
            self.alert("forbidden", text.clone(), None);
            self.forbidden = Some(Forbidden { message: text, probe_at });
        } else if let Some(forbidden) = &mut self.forbidden {
            forbidden.probe_at = probe_at;
        }
        probe_at
    }

    pub(super) fn forbidden_message(&self) -> Option<&str> {
        self.forbidden.as_ref().map(|one| one.message.as_str())
    }

    fn settle_read(
        &mut self,
        id: &ConversationId,
        version: u64,
        answer: &RawAnswer,
        fault: Option<Fault>,
        now: Now,
    ) {
        if let Some(call) = self.book.get_mut(id) {
            call.busy = Busy::Idle;
        }
        let failed = match fault {
            None => self.take_body(id, version, answer, now).err(),
            Some(Fault::Gone { message }) => return self.finish(id, &message, now),
            Some(other) => Some(other.to_string()),
        };
        if let Some(message) = failed {
            self.note(Level::Warn, format!("{id} could not be read: {message}"));
        } else {
            self.judge(id, ConfirmedBy::Read, now);
        }
        let confirm_within = self.settings.confirm_within;
        let Some(call) = self.book.get_mut(id) else { return };
        let unread = call.seen.is_none();
        let overtaken = call.version > version + 1;
        let Some(open) = call.pursuit.as_mut().filter(|open| open.stage == Stage::Reading) else {
            // A decision made meanwhile waited for this answer.
            if let Some(open) = &call.pursuit
                && open.stage != Stage::InFlight
            {
                let due = if open.stage == Stage::AwaitWord { now.mono + confirm_within } else { now.mono };
                self.worklist.put_no_sooner(id, open.action, open.opened.mono, due);
            }
            return;
        };
        open.stage = if unread { Stage::ToRead } else { Stage::Due };
        let wait = if overtaken || open.attempts == 0 && !unread {
            Duration::ZERO
        } else {
            open.backoff.fail(&mut self.dice)
        };
        let (action, opened) = (open.action, open.opened.mono);
        self.worklist.put(id, action, opened, now.mono + wait);
    }

    /// Takes a conversation that was read in, unless an event overtook the answer.
    pub(super) fn take_body(
        &mut self,
        id: &ConversationId,
        version: u64,
        answer: &RawAnswer,
        now: Now,
    ) -> Result<(), String> {
        let RawAnswer::Answered { body, .. } = answer else { return Ok(()) };
        let decoded = conversation::read(body).map_err(|error| error.to_string())?;
        if decoded.conversation.id != *id {
            return Err(format!("the answer is about {}", decoded.conversation.id));
        }
        let known = self.book.get(id).map_or(0, |call| call.version);
        if self.book.get(id).is_some_and(|call| call.seen.is_none()) {
            // An order entered it after its end, and was sent to read how it is now.
            self.book.forget_end(id);
        }
        if known == version {
            let intake = self.take_snapshot(decoded.conversation, (String::new(), String::new()), now);
            if intake == Intake::NoRoom {
                return Err("there is no room in the book; raise limits.memory".to_owned());
            }
        }
        Ok(())
    }

    fn settle_survey_read(
        &mut self,
        id: &ConversationId,
        version: u64,
        answer: &RawAnswer,
        fault: Option<Fault>,
        now: Now,
    ) {
        match fault {
            None => match self.take_body_of_survey(id, version, answer, now) {
                Ok(()) => {
                    let begun = self.book.get(id).and_then(|call| call.conversation.start_time);
                    self.survey.read(id, begun, now);
                    self.judge(id, ConfirmedBy::Read, now);
                }
                Err(message) => {
                    self.survey.unreadable(id, &message);
                    self.note(Level::Warn, format!("{id} could not be read: {message}"));
                }
            },
            Some(Fault::Gone { message }) => {
                self.survey.read(id, None, now);
                self.finish(id, &message, now);
            }
            Some(
                Fault::Forbidden { message, .. } | Fault::Refused { message } | Fault::Invalid { message },
            ) => {
                self.survey.unreadable(id, &message);
                self.note(Level::Error, format!("{id} could not be read: {message}"));
            }
            Some(
                Fault::Limited { .. } | Fault::TokenStale | Fault::Conflict { .. } | Fault::Transient { .. },
            ) => {
                self.survey.read_failed(id, now.mono);
            }
        }
    }

    fn settle_activity(&mut self, answer: &RawAnswer, fault: Option<Fault>, request: &Request, now: Now) {
        let (level, why, wait) = match (answer, &fault) {
            (RawAnswer::Answered { body, .. }, None) => match reply::activity(body) {
                Ok(ids) => return self.survey.found(ids, now.mono),
                Err(error) => (Level::Error, format!("not understood: {error}"), PROBE_EVERY),
            },
            (_, fault) => (Level::Warn, unanswered(fault.as_ref(), request), wait_after(fault.as_ref())),
        };
        if self.survey.query_failed(&why, now.mono + wait, now.mono) == News::Yes {
            self.note(level, format!("live conversations could not be queried, tried again: {why}"));
        }
    }
}

/// Whether an order that was answered like this may come true.
fn word_of(fault: Option<&Fault>) -> Word {
    match fault {
        None => Word::Accepted,
        Some(Fault::Transient { .. }) => Word::Unclear,
        Some(
            Fault::Limited { .. }
            | Fault::TokenStale
            | Fault::Forbidden { .. }
            | Fault::Gone { .. }
            | Fault::Conflict { .. }
            | Fault::Refused { .. }
            | Fault::Invalid { .. },
        ) => Word::Refused,
    }
}

/// Why a list could not be read, and what to do about it.
pub(super) fn unanswered(fault: Option<&Fault>, request: &Request) -> String {
    match (fault, request.permission()) {
        (Some(fault @ Fault::Forbidden { .. }), Some(permission)) => {
            format!("{fault}; grant {permission} to the role of the OAuth client, in every division")
        }
        (Some(fault), _) => fault.to_string(),
        (None, _) => "no answer".to_owned(),
    }
}

/// When a list that could not be read is asked for again.
pub(super) fn wait_after(fault: Option<&Fault>) -> Duration {
    if matches!(fault, Some(Fault::Forbidden { .. })) { PROBE_EVERY } else { SOON }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::DirectiveOrigin;
    use crate::model::recording::Action;
    use crate::warden::bench::{Bench, PCI, id, settings};
    use crate::warden::{Input, Order, Settings, Ticket, What};

    fn bench_with_an_ended_call() -> Bench {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench.ended.insert(id(0));
        bench.tell(0);
        assert!(bench.warden.call(&id(0)).is_none(), "it is over");
        bench
    }

    fn order(bench: &mut Bench) {
        let (by, reason) = ("ada".to_owned(), String::new());
        let what = What::Set(Action::Stop, None);
        let order = Order {
            conversation: id(0),
            what,
            by,
            reason,
            origin: DirectiveOrigin::Manual,
            webhook_id: None,
        };
        bench.feed(Input::Order(Ticket(1), order));
    }

    #[test]
    fn an_order_for_a_conversation_that_has_ended_is_abandoned_with_the_first_read() {
        let mut bench = bench_with_an_ended_call();
        let before = bench.sent.len();
        order(&mut bench);
        bench.pass(Duration::from_secs(1));
        assert_eq!((bench.kinds("decision"), bench.kinds("abandoned")), (1, 1));
        assert_eq!((bench.kinds("directive"), bench.kinds("directive.released")), (1, 1));
        assert_eq!(bench.sent.len(), before + 1, "it is read once");
        bench.tell(0);
        assert!(bench.warden.call(&id(0)).is_none(), "it stays over");
    }

    #[test]
    fn a_conversation_that_no_read_found_is_judged_from_its_first_event() {
        let mut bench = Bench::new(settings(), PCI);
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        order(&mut bench);
        bench.pass(Duration::from_secs(1));
        assert_eq!((bench.kinds("decision"), bench.kinds("abandoned")), (1, 1), "it does not exist yet");
        bench.begin(0);
        bench.set(0, "on");
        bench.tell(0);
        bench.pass(Duration::from_secs(1));
        assert_eq!(bench.state(0), crate::model::recording::RecorderState::Paused);
    }

    #[test]
    fn an_order_for_a_conversation_that_lives_again_is_carried_out() {
        let mut bench = bench_with_an_ended_call();
        bench.ended.clear();
        order(&mut bench);
        bench.pass(Duration::from_secs(1));
        assert_eq!((bench.kinds("decision"), bench.kinds("abandoned")), (1, 0));
        assert_eq!(bench.state(0), crate::model::recording::RecorderState::Paused);
    }

    fn sent_orders(bench: &Bench) -> Vec<Mono> {
        let orders = |request: &Request| {
            matches!(request, Request::SetRecordingState { .. } | Request::Snippet { .. })
        };
        bench.sent.iter().filter(|(_, request)| orders(request)).map(|(at, _)| *at).collect()
    }

    fn limit_orders(bench: &mut Bench) {
        bench.refuses =
            Box::new(|request| matches!(request, Request::SetRecordingState { .. }).then_some((429, "{}")));
    }

    #[test]
    fn time_in_which_the_platform_wants_nothing_sent_is_no_time_that_a_decision_failed() {
        let minute = Duration::from_secs(60);
        let mut bench =
            Bench::new(Settings { max_changes_per_minute: 1, ..settings() }, PCI).with_calls(1, "on");
        limit_orders(&mut bench);
        bench.feed(Input::Timeout);
        bench.pass(minute * 20);
        bench.refuses = Box::new(|_| None);
        bench.pass(minute);
        assert_eq!((bench.kinds("abandoned"), bench.kinds("confirmed")), (0, 1));
        assert_eq!(bench.alerts("brake").len(), 0, "it is one change, however often it was sent back");
    }

    #[test]
    fn a_decision_that_failed_before_a_429_is_given_up_no_sooner_for_it() {
        let minute = Duration::from_secs(60);
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "on");
        bench.refuses =
            Box::new(|request| matches!(request, Request::SetRecordingState { .. }).then_some((503, "{}")));
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(1));
        assert!(bench.kinds("attempt") > 0);
        limit_orders(&mut bench);
        bench.pass(minute * 20);
        assert_eq!(bench.kinds("abandoned"), 0);
        bench.refuses =
            Box::new(|request| matches!(request, Request::SetRecordingState { .. }).then_some((503, "{}")));
        bench.pass(minute * 16);
        assert_eq!(bench.kinds("abandoned"), 1);
    }

    #[test]
    fn an_ad_hoc_order_that_did_not_come_true_is_sent_again_after_one_read() {
        let rules = "[[rule]]\nname = \"must\"\nattribute = { pci = \"off\" }\naction = \"start\"\n";
        let means = plan::Means { control: plan::Control::AdHoc, ..plan::Means::default() };
        let mut bench = Bench::new(Settings { means, ..settings() }, rules).with_calls(1, "off");
        bench.refuses =
            Box::new(|request| matches!(request, Request::Snippet { .. }).then_some((200, "\"ACTIVE\"")));
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(8));
        let sent = sent_orders(&bench);
        assert!(sent.len() >= 2 && sent[1].since(sent[0]) < Duration::from_secs(6), "{sent:?}");
    }

    #[test]
    fn the_answer_to_a_superseded_order_does_not_shorten_the_wait_of_a_contest() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "on");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(1));
        let undo = |bench: &mut Bench| {
            if let Some(there) = bench.calls.get_mut(&id(0)) {
                there.state = crate::model::recording::RecorderState::Active;
            }
            bench.tell(0);
        };
        for _ in 0..3 {
            bench.pass(Duration::from_secs(6));
            undo(&mut bench);
        }
        assert_eq!(bench.kinds("contested"), 1);
        // The next order is not carried out, and replaced while it is under way.
        bench.answers_after = Duration::from_millis(500);
        bench.refuses =
            Box::new(|request| matches!(request, Request::SetRecordingState { .. }).then_some((202, "{}")));
        bench.pass(Duration::from_millis(2_100));
        let orders = sent_orders(&bench).len();
        for pci in ["off", "on"] {
            bench.set(0, pci);
            bench.tell(0);
        }
        assert_eq!(bench.kinds("contested"), 2, "a new decision, which waits");
        let made = bench.now.mono;
        bench.answers_after = Duration::ZERO;
        bench.pass(Duration::from_secs(10));
        let next = sent_orders(&bench)[orders];
        assert!(next.since(made) >= Duration::from_secs(2), "{:?}", next.since(made));
    }
}
