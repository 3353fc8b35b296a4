//! Reading answers: what each fault means for the work it belongs to (the table of PRODUCT.md 7).

use std::time::Duration;

use super::{Level, Purpose, RequestId, UnderWay, Warden};
use crate::audit::record::{self, ConfirmedBy, OutcomeResult, Record};
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::recording::Action;
use crate::model::time::{Mono, Now};
use crate::warden::backoff::News;
use crate::warden::book::{Busy, Stage};
use crate::warden::deciding::GivingUp;
use crate::warden::permission::{Consequence, PROBE_EVERY, Scope};
use crate::warden::plan::{self, Step};
use crate::warden::unseen::Word;
use crate::wire::reply::{self, Fault, RawAnswer, Transport};
use crate::wire::request::Request;

/// What the platform did not permit, and what it said.
struct Refusal {
    action: Action,
    permissions: Vec<String>,
    message: String,
}

impl Warden {
    pub(super) fn take_answer(&mut self, id: RequestId, answer: &RawAnswer, now: Now) {
        let Some(UnderWay { purpose, request, token }) = self.under_way.remove(&id) else { return };
        match answer {
            RawAnswer::Failed(Transport::Unsent(_)) => self.allowance.put_back(purpose.class(), token),
            RawAnswer::Failed(Transport::Connect(_) | Transport::Token(_)) => {
                self.allowance.found_no_way(purpose.class(), token, now.mono);
            }
            RawAnswer::Failed(_) | RawAnswer::Answered { .. } => self.allowance.answered(),
        }
        if let RawAnswer::Answered { rate, .. } = answer {
            self.allowance.heed(*rate, token, now.mono);
        }
        let fault = reply::classify(answer, now.wall).err();
        if let Some(Fault::Limited { wait }) = &fault {
            self.count("recwarden_limited_total");
            self.allowance.silence(*wait, now.mono);
        }
        let looks = matches!(
            purpose,
            Purpose::Confirm { .. } | Purpose::Survey { .. } | Purpose::SecondLook { .. } | Purpose::Activity
        );
        match fault {
            // Whoever is known is read without a list, and seen or not by that.
            _ if matches!(purpose, Purpose::Activity) && !self.book.is_empty() => {}
            None | Some(Fault::Gone { .. }) if looks => self.sight.looked(now.mono),
            // The platform is there, and wants to be asked later, or was not asked at all.
            Some(Fault::Limited { .. } | Fault::Unsent { .. }) => {}
            Some(_) if looks => self.sight.failed(token.taken_at()),
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
                    now.mono.since(token.taken_at()),
                );
                self.heed_admission(&conversation, &request, fault.as_ref());
                let word = word_of(answer, fault.as_ref());
                self.settle_attempt((&conversation, &decision), &request, word, fault, now);
            }
            Purpose::Confirm { conversation, version } => {
                self.settle_read(&conversation, version, answer, fault, now);
            }
            Purpose::SecondLook { conversation, version } => {
                self.settle_second_look(&conversation, version, answer, fault, now);
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
            Some(Fault::TokenStale | Fault::Unsent { .. } | Fault::Transient { .. }) => OutcomeResult::Retry,
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
        (id, decision): (&ConversationId, &DecisionId),
        request: &Request,
        word: Word,
        fault: Option<Fault>,
        now: Now,
    ) {
        let means = self.settings.means;
        let confirm_within = self.settings.confirm_within;
        let Some(call) = self.book.get_mut(id) else { return };
        call.busy = Busy::Idle;
        call.unseen.answer(request, word, now.mono);
        let Some(open) = call.pursuit.as_mut() else { return };
        let (action, opened) = (open.action, open.opened.mono);
        if open.decision != *decision {
            // The decision it belonged to was superseded meanwhile; the one in its place may go now, unless it was
            // made against an order that came to nothing.
            self.worklist.put_no_sooner(id, action, opened, now.mono);
            return self.judge(id, ConfirmedBy::Event, now);
        }
        open.reached = open.reached.saturating_sub(u32::from(word == Word::Refused));
        let due = match fault {
            None => {
                open.backoff.reset();
                let expected = call.unseen.expected(action, &call.conversation);
                let next = plan::next_step(&means, action, &expected, &open.asked);
                // The next recorder has its turn where an event has told of this one before the answer.
                let stops_more = action == Action::Stop && !plan::is_satisfied(&means, action, &expected);
                let follows = |next: &Request| stops_more && !call.unseen.holds(next);
                let is_more = |next: &Request| *next != *request && (!open.asked.is_empty() || follows(next));
                if matches!(&next, Step::Send(next, _) if is_more(next)) {
                    open.stage = Stage::Due;
                    now.mono
                } else {
                    // Should none of it come true, every leg is asked again.
                    open.asked.clear();
                    open.stage = Stage::AwaitWord;
                    now.mono + confirm_within
                }
            }
            Some(Fault::Limited { wait } | Fault::Unsent { waited: wait }) => {
                open.take_back(wait);
                now.mono
            }
            Some(Fault::TokenStale | Fault::Transient { .. }) => {
                open.fail(now.mono);
                open.asked.clear();
                open.stage = Stage::Due;
                now.mono + open.backoff.fail(&mut self.dice)
            }
            Some(Fault::Forbidden { permissions, message }) => {
                open.is_forbidden(now.mono);
                self.worklist.put(id, action, now.mono, now.mono + PROBE_EVERY);
                let refusal = Refusal { action, permissions, message };
                return self.forbid(id, request, &refusal, now.mono);
            }
            Some(Fault::Conflict { .. } | Fault::Invalid { .. }) => {
                open.fail(now.mono);
                open.asked.clear();
                open.stage = Stage::ToRead;
                now.mono
            }
            // The leg is gone, which says nothing of the conversation: perhaps another agent has it. It stays asked.
            Some(Fault::Gone { .. }) if matches!(request, Request::Snippet { .. }) => {
                open.fail(now.mono);
                open.stage = Stage::ToRead;
                now.mono
            }
            Some(Fault::Gone { message }) => {
                return self.abandon(id, &message, GivingUp::NotFound, now);
            }
            Some(Fault::Refused { message }) => {
                return self.abandon(id, &message, GivingUp::Refused, now);
            }
        };
        self.worklist.put(id, action, opened, due);
    }

    /// Notes that a permission is there: whether the state fits is asked only of who may.
    fn heed_admission(&mut self, id: &ConversationId, request: &Request, fault: Option<&Fault>) {
        let admitted = matches!(fault, None | Some(Fault::Conflict { .. } | Fault::Invalid { .. }));
        if let Some(call) = self.book.get(id).filter(|_| admitted) {
            self.permissions.admit(&Scope::of(request, &call.conversation), id);
        }
    }

    /// Notes a missing permission, and tells of it where that is news.
    fn forbid(&mut self, id: &ConversationId, request: &Request, refusal: &Refusal, now: Mono) {
        let Some(call) = self.book.get(id) else { return };
        let scope = Scope::of(request, &call.conversation);
        let Refusal { action, permissions, message } = refusal;
        let missing = if permissions.is_empty() { message.clone() } else { permissions.join(", ") };
        let needed = scope.permission().filter(|_| permissions.is_empty());
        let needed = needed.map(|name| format!(" (it takes {name})")).unwrap_or_default();
        let queue = call.conversation.queue();
        let queue = queue.map(|one| if one.name.is_empty() { one.id.as_str() } else { one.name.as_str() });
        let queue = queue.map(|name| format!(" in queue '{name}'")).unwrap_or_default();
        let place = scope.place();
        let text = format!(
            "the platform refuses to {action} {id}{queue} (403): {missing}{needed}. Grant it to the role of the OAuth \
             client in {place}; it is tried again every {} s, and conversations elsewhere go on.",
            PROBE_EVERY.as_secs()
        );
        let Consequence { alert, closed } = self.permissions.refuse(&scope, id, &text, now);
        if alert == News::Yes {
            self.alert("forbidden", text, Some(id));
        }
        if closed == News::Yes {
            let every = PROBE_EVERY.as_secs();
            let message = format!(
                "nobody is let in where {missing} is needed in {place}: from now on one decision is tried every {every} s"
            );
            self.note(Level::Warn, message);
        }
    }
}

/// Whether an order that was answered like this may come true.
fn word_of(answer: &RawAnswer, fault: Option<&Fault>) -> Word {
    if let RawAnswer::Failed(Transport::Connect(_) | Transport::Token(_)) = answer {
        return Word::Refused;
    }
    match fault {
        None => Word::Accepted,
        Some(Fault::Transient { .. }) => Word::Unclear,
        Some(
            Fault::Limited { .. }
            | Fault::TokenStale
            | Fault::Forbidden { .. }
            | Fault::Gone { .. }
            | Fault::Unsent { .. }
            | Fault::Conflict { .. }
            | Fault::Refused { .. }
            | Fault::Invalid { .. },
        ) => Word::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recording::RecorderState;
    use crate::warden::bench::{Bench, PCI, Way, id, settings};
    use crate::warden::{Input, Settings, What};

    fn sent_orders(bench: &Bench) -> Vec<Mono> {
        let orders = |request: &Request| {
            matches!(request, Request::SetRecordingState { .. } | Request::Snippet { .. })
        };
        bench.sent.iter().filter(|(_, request)| orders(request)).map(|(at, _)| *at).collect()
    }

    #[test]
    fn time_in_which_the_platform_wants_nothing_sent_is_no_time_that_a_decision_failed() {
        let minute = Duration::from_secs(60);
        let mut bench =
            Bench::new(Settings { max_changes_per_minute: 1, ..settings() }, PCI).with_calls(1, "on");
        bench.answer_orders(429);
        bench.feed(Input::Timeout);
        bench.pass(minute * 20);
        bench.refuses = Box::new(|_| None);
        bench.pass(minute);
        assert_eq!((bench.kinds("abandoned"), bench.kinds("confirmed")), (0, 1));
        assert_eq!(bench.alerts("brake").len(), 0, "it is one change, however often it was sent back");
    }

    /// An order for one call that comes due while the log cannot be written, for longer than one that fails is tried.
    fn unsent_order() -> Bench {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench.unsent = Duration::from_secs(1000);
        bench.answers_after = bench.unsent;
        bench.set(0, "on");
        bench.tell(0);
        assert_eq!(bench.kinds("attempt"), 1);
        bench.now = bench.now + bench.unsent;
        (bench.unsent, bench.answers_after) = (Duration::ZERO, Duration::ZERO);
        bench.feed(Input::Resumed);
        bench
    }

    #[test]
    fn an_order_that_was_not_sent_is_sent_anew_and_has_not_failed() {
        let mut bench = unsent_order();
        bench.pass(Duration::from_secs(10));
        assert_eq!((bench.kinds("abandoned"), bench.kinds("confirmed")), (0, 1), "{:?}", bench.records);
        let mut outcomes = Vec::new();
        for record in &bench.records {
            if let Record::Outcome(one) = record {
                outcomes.push((one.result, one.took_ms));
            }
        }
        assert_eq!(outcomes, [(OutcomeResult::Retry, 1_000_000), (OutcomeResult::Accepted, 0)]);
    }

    #[test]
    fn what_came_meanwhile_is_looked_at_before_an_order_that_was_not_sent_is_sent_anew() {
        let mut bench = unsent_order();
        // The one answer that is due, and then the event that waited: an agent paused it.
        bench.pass(Duration::ZERO);
        bench.calls.get_mut(&id(0)).expect("a call").state = RecorderState::Paused;
        bench.tell(0);
        bench.pass(Duration::from_secs(1));
        assert_eq!((bench.kinds("attempt"), bench.kinds("superseded")), (1, 1));
        // It is no pause of ours, and stays.
        bench.set(0, "off");
        bench.tell(0);
        bench.pass(Duration::from_secs(10));
        assert_eq!(bench.state(0), RecorderState::Paused);
    }

    /// Found by reading: what had come due meanwhile went with the first event that was taken in, of whomever.
    #[test]
    fn nothing_that_came_due_in_an_outage_goes_before_what_came_in_it() {
        let mut bench = Bench::new(settings(), PCI).with_calls(2, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench.answer_orders(503);
        bench.set(0, "on");
        bench.tell(0);
        bench.pass(Duration::from_millis(1));
        assert_eq!((bench.kinds("attempt"), bench.kinds("outcome")), (1, 1));
        bench.refuses = Box::new(|_| None);
        bench.now = bench.now + Duration::from_secs(60);
        bench.feed(Input::Resumed);
        bench.tell(1);
        bench.set(0, "off");
        bench.tell(0);
        bench.pass(Duration::from_secs(10));
        assert_eq!((bench.kinds("attempt"), bench.kinds("superseded")), (1, 1));
    }

    #[test]
    fn a_decision_that_failed_before_a_429_is_given_up_no_sooner_for_it() {
        let minute = Duration::from_secs(60);
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "on");
        bench.answer_orders(503);
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(1));
        assert!(bench.kinds("attempt") > 0);
        bench.answer_orders(429);
        bench.pass(minute * 20);
        assert_eq!(bench.kinds("abandoned"), 0);
        bench.answer_orders(503);
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
        bench.answer_orders(202);
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

    /// So many calls of each division that are to be stopped, where the platform refuses those of the first.
    fn half_forbidden(each: usize) -> Bench {
        let mut bench = Bench::new(settings(), PCI).with_calls(2 * each, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(150));
        for number in 0..2 * each {
            bench.set(number, "on");
            if let Some(there) = bench.calls.get_mut(&id(number)) {
                there.divisions = vec![if number < each { "sales" } else { "service" }.to_owned()];
            }
        }
        bench.refuses = Box::new(move |request| {
            let Request::SetRecordingState { conversation, .. } = request else { return None };
            let refused = (0..each).any(|number| id(number) == *conversation);
            refused.then_some((403, r#"{"message":"missing: conversation:recording:pauseOthers"}"#))
        });
        (0..2 * each).for_each(|number| bench.tell(number));
        bench
    }

    fn stopped(bench: &Bench) -> usize {
        bench
            .calls
            .values()
            .filter(|there| there.state == crate::model::recording::RecorderState::Paused)
            .count()
    }

    #[test]
    fn a_division_without_the_role_keeps_no_other_waiting_and_is_told_of_once() {
        for each in [1, 40] {
            let mut bench = half_forbidden(each);
            bench.pass(Duration::from_secs(10));
            assert_eq!(stopped(&bench), each, "the other division goes on at full speed");
            bench.pass(Duration::from_secs(600));
            assert_eq!(bench.alerts("forbidden").len(), 1);
            for word in ["division sales", "queue 'Payments'", "conversation:recording:pauseOthers", "stop"] {
                assert!(bench.alerts("forbidden")[0].contains(word), "{}", bench.alerts("forbidden")[0]);
            }
            let refused = sent_orders(&bench).len() - each;
            assert!((15..=30).contains(&refused), "one in 30 s, and a few at first: {refused}");
            assert!(bench.warden.not_ready().is_some_and(|why| why.contains("division sales")));
        }
    }

    #[test]
    fn once_the_role_is_granted_every_stop_goes_within_a_minute() {
        let mut bench = half_forbidden(40);
        bench.pass(Duration::from_secs(100));
        bench.refuses = Box::new(|_| None);
        bench.pass(Duration::from_secs(60));
        assert_eq!((stopped(&bench), bench.kinds("abandoned"), bench.warden.not_ready()), (80, 0, None));
    }

    #[test]
    fn in_a_closed_division_who_was_not_refused_is_tried_before_who_was() {
        let mut bench = half_forbidden(4);
        bench.pass(Duration::from_secs(200));
        let mut tried = std::collections::BTreeMap::new();
        for (_, request) in &bench.sent {
            if let Request::SetRecordingState { conversation, .. } = request {
                *tried.entry(conversation.clone()).or_insert(0) += 1;
            }
        }
        let counts: Vec<usize> = (0..4).map(|number| tried[&id(number)]).collect();
        assert!(counts.iter().max() <= counts.iter().min().map(|least| least + 1).as_ref(), "{counts:?}");
    }

    #[test]
    fn a_conversation_that_is_refused_alone_lets_the_others_of_its_division_go() {
        let mut bench = half_forbidden(1).with_calls(30, "on");
        for there in bench.calls.values_mut() {
            there.divisions = vec!["sales".to_owned()];
        }
        (0..30).for_each(|number| bench.tell(number));
        bench.pass(Duration::from_secs(10));
        assert_eq!((stopped(&bench), bench.alerts("forbidden").len()), (29, 1));
        bench.pass(Duration::from_secs(300));
        let tries = bench.sent.iter().filter(|(_, request)| {
            matches!(request, Request::SetRecordingState { conversation, .. } if *conversation == id(0))
        });
        assert_eq!(
            (tries.count(), bench.alerts("forbidden").len()),
            (11, 1),
            "it is tried every 30 s by itself"
        );
    }

    #[test]
    fn a_refused_token_costs_an_attempt_of_its_own_in_the_log() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "on");
        let refused = std::cell::Cell::new(false);
        bench.refuses = Box::new(move |request| {
            let first = matches!(request, Request::SetRecordingState { .. }) && !refused.replace(true);
            first.then_some((401, "{}"))
        });
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        let mut results = Vec::new();
        for record in &bench.records {
            if let Record::Outcome(one) = record {
                results.push((one.attempt, one.result));
            }
        }
        assert_eq!(results, [(1, OutcomeResult::Retry), (2, OutcomeResult::Accepted)]);
        assert_eq!((bench.kinds("attempt"), bench.kinds("confirmed")), (2, 1));
    }

    /// Found by reading: each recorder waited out `confirm_within` of the one before.
    #[test]
    fn with_all_to_be_stopped_the_next_recorder_follows_as_soon_as_it_is_told_of_the_one_before() {
        let second = Duration::from_secs(1);
        for (policy, answers_after) in [
            (RecorderState::Active, Duration::ZERO),
            (RecorderState::Active, second / 2),
            (RecorderState::None, Duration::ZERO),
            (RecorderState::None, second / 2),
        ] {
            let means = plan::Means { stop_scope: plan::StopScope::All, ..plan::Means::default() };
            let mut bench = Bench::new(Settings { means, ..settings() }, PCI).with_calls(1, "off");
            let there = bench.calls.get_mut(&id(0)).expect("a call");
            there.policy = policy;
            there.agents = ["a", "b"].map(|leg| (leg.to_owned(), RecorderState::Active)).into();
            bench.feed(Input::Timeout);
            bench.pass(second * 10);
            bench.answers_after = answers_after;
            bench.set(0, "on");
            let mut told = String::new();
            for _ in 0..20 {
                // Each change is told of once.
                if std::mem::replace(&mut told, bench.event(0)) != bench.event(0) {
                    bench.tell(0);
                }
                bench.pass(second / 5);
            }
            let there = &bench.calls[&id(0)];
            assert!(there.agents.values().all(|adhoc| *adhoc == RecorderState::None), "{:?}", there.agents);
            let done = (bench.state(0), sent_orders(&bench).len(), bench.kinds("confirmed"));
            assert_eq!(
                done,
                (RecorderState::Paused, 3, 1),
                "each is sent once: {policy:?} {answers_after:?}"
            );
        }
    }

    /// Found by reading: it was given up after 15 minutes, which took readiness up again, and tried no more for as long.
    #[test]
    fn who_is_not_permitted_is_tried_and_told_of_for_as_long_as_the_role_is_missing() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "on");
        bench.answer_orders(403);
        bench.feed(Input::Timeout);
        for _ in 0..40 {
            bench.pass(Duration::from_secs(60));
            assert!(bench.warden.not_ready().is_some());
        }
        assert_eq!((bench.kinds("abandoned"), bench.kinds("decision")), (0, 1));
        bench.refuses = Box::new(|_| None);
        bench.pass(PROBE_EVERY + Duration::from_secs(1));
        assert_eq!((bench.state(0), bench.warden.not_ready()), (RecorderState::Paused, None));
    }

    /// Found by reading: an outage of the log counted as time in which it was tried.
    #[test]
    fn what_waited_for_long_after_a_try_that_failed_is_tried_again_before_it_is_given_up() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench.answer_orders(503);
        bench.set(0, "on");
        bench.tell(0);
        // Nobody has seen this one, and it cannot be read.
        bench.reads = Way::Shut;
        bench.begin(1);
        bench.order(1, 1, What::Set(Action::Stop, None));
        bench.pass(Duration::from_millis(1));
        assert_eq!((bench.kinds("attempt"), bench.kinds("outcome")), (1, 1));
        bench.refuses = Box::new(|_| None);
        bench.reads = Way::Open;
        bench.now = bench.now + Duration::from_secs(1000);
        bench.feed(Input::Resumed);
        bench.pass(Duration::from_secs(40));
        assert_eq!((bench.kinds("abandoned"), stopped(&bench)), (0, 2));
    }
}
