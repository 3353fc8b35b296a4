//! Orders for one conversation, by webhook or by hand: taken, replaced, released, and answered.
//!
//! A sender that got no answer sends its message again, with the same `webhook-id`. One that got one is answered as the
//! first time by whoever listens at the port; the answer that nobody waited for is not known there. So what was taken
//! is remembered here, too, and that from before the start is known from the log, which says by which message an order
//! came or ended: it is answered, and nothing happens again. Facts that come again are taken again: they may be those
//! that could not be kept, and were to be pushed once more.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Enforcement, Output, Reply, Ticket, Warden};
use crate::audit::history::{History, MESSAGES_REMEMBERED, MESSAGES_REMEMBERED_FOR};
use crate::audit::record::{self, ConfirmedBy, DirectiveOrigin, Record};
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::recording::Action;
use crate::model::time::{Now, Wall};
use crate::warden::book::{Directive, LetGo};
use crate::warden::holding::let_go;
use crate::warden::plan::{self, DIRECTIVE};

/// An order from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// For which conversation.
    pub conversation: ConversationId,
    /// What to do.
    pub what: What,
    /// Who asks.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Which way it came.
    pub origin: DirectiveOrigin,
    /// The `webhook-id` of its message, where it has one.
    pub webhook_id: Option<String>,
}

/// What an order asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// From now on, for so long where a span is given.
    Set(Action, Option<Duration>),
    /// What was ordered before is over.
    Release,
}

/// Messages that were taken, each with when that was and with the decision that it led to. Of as many as the log
/// remembers, the oldest are forgotten.
#[derive(Clone, Debug, Default)]
pub(super) struct Answered {
    by_id: BTreeMap<String, (Wall, Option<DecisionId>)>,
    oldest_first: VecDeque<String>,
}

impl Answered {
    pub(super) fn of(history: &History, now: Wall) -> Self {
        let recent = history.messages().filter(|(_, one)| now.since(one.at) < MESSAGES_REMEMBERED_FOR);
        let mut messages: Vec<_> = recent.collect();
        messages.sort_by_key(|(_, one)| one.at);
        let mut answered = Self::default();
        messages.into_iter().for_each(|(id, one)| answered.note(id.to_owned(), one.at, one.decision.clone()));
        answered
    }

    fn note(&mut self, webhook_id: String, at: Wall, decision: Option<DecisionId>) {
        if self.by_id.insert(webhook_id.clone(), (at, decision)).is_some() {
            return;
        }
        self.oldest_first.push_back(webhook_id);
        if self.oldest_first.len() > MESSAGES_REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }

    fn reply_to(&self, webhook_id: &str, now: Wall) -> Option<Reply> {
        let taken = self.by_id.get(webhook_id).filter(|(at, _)| now.since(*at) < MESSAGES_REMEMBERED_FOR);
        let decision = taken?.1.clone();
        let message = match decision {
            Some(_) => "this message was taken before; it is not taken again",
            None => "this message was taken before, and led to no decision then; it is not taken again",
        };
        Some(Reply { decision, message: message.to_owned() })
    }
}

impl Warden {
    pub(super) fn take_order(&mut self, ticket: Ticket, order: Order, now: Now) {
        self.count("recwarden_directives_total");
        let id = order.conversation.clone();
        let webhook_id = order.webhook_id.clone();
        if let Some(reply) = webhook_id.as_ref().and_then(|one| self.answered.reply_to(one, now.wall)) {
            self.outputs.push_back(Output::Reply(ticket, reply));
            return;
        }
        let reply = match order.what {
            What::Set(action, lasts) => {
                self.release_directive(&id, record::REPLACED, None);
                let directive = Directive {
                    id: self.dice.decision_id(now.wall).to_string(),
                    action,
                    by: order.by,
                    reason: order.reason,
                    origin: order.origin,
                    until: lasts.map(|span| now.wall + span),
                };
                let call = self.book.enter(&id);
                call.directive = Some(directive.clone());
                call.given_up = None;
                call.cause = (String::new(), String::new());
                self.book.weigh(&id);
                self.record(Record::Directive(record::Directive {
                    directive: directive.id,
                    conversation: id.clone(),
                    action,
                    by: directive.by,
                    reason: directive.reason,
                    origin: directive.origin,
                    until: directive.until,
                    decision: None,
                    webhook_id: order.webhook_id,
                }));
                self.judge(&id, ConfirmedBy::Event, now);
                self.reply_to(&id, action)
            }
            What::Release => {
                let released = self.release_directive(&id, "released", order.webhook_id);
                self.judge(&id, ConfirmedBy::Event, now);
                let decision = self.open_decision_of(&id);
                let message = match (released, &decision) {
                    (false, _) => "no directive was in force".to_owned(),
                    (true, None) => "the directive is released; nothing is to be given back".to_owned(),
                    (true, Some(_)) => "the directive is released; what it changed is given back".to_owned(),
                };
                Reply { decision, message }
            }
        };
        if let Some(webhook_id) = webhook_id {
            self.answered.note(webhook_id, now.wall, reply.decision.clone());
        }
        self.outputs.push_back(Output::Reply(ticket, reply));
    }

    pub(super) fn open_decision_of(&self, id: &ConversationId) -> Option<DecisionId> {
        self.book.get(id).and_then(|call| call.pursuit.as_ref()).map(|open| open.decision.clone())
    }

    fn reply_to(&self, id: &ConversationId, action: Action) -> Reply {
        let Some(call) = self.book.get(id) else {
            return Reply { decision: None, message: "the conversation is over".into() };
        };
        let open = call.pursuit.as_ref().filter(|open| open.action == action);
        let message = match (&call.verdict, open) {
            ((Some(said), rule), _) if *said != action => {
                format!("the directive stands, but rule '{rule}' outranks it and says {said}")
            }
            (_, Some(_)) => format!("{action} is under way"),
            (_, None) if plan::is_as_wanted(&self.settings.means, action, call) => {
                let observed = plan::observed(&self.settings.means, &call.conversation);
                format!("the conversation already is as wanted: {observed}")
            }
            (_, None) if self.settings.enforcement == Enforcement::DryRun => {
                "the directive stands, but this is a dry run, in which nothing is sent".into()
            }
            (_, None) => "the directive stands; nothing can be sent for it yet".into(),
        };
        Reply { decision: open.map(|open| open.decision.clone()), message }
    }

    /// Whether there was one.
    fn release_directive(&mut self, id: &ConversationId, why: &str, webhook_id: Option<String>) -> bool {
        let Some(call) = self.book.get_mut(id) else { return false };
        let Some(directive) = call.directive.take() else { return false };
        let_go(call, DIRECTIVE, LetGo::Released);
        self.book.weigh(id);
        let (directive, conversation, why) = (directive.id, id.clone(), why.to_owned());
        self.record(Record::DirectiveReleased(record::DirectiveReleased {
            directive,
            conversation,
            why,
            webhook_id,
        }));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recording::RecorderState;
    use crate::warden::Input;
    use crate::warden::bench::{Bench, PCI, id, settings};

    fn order(bench: &mut Bench, webhook_id: &str, what: What) -> Reply {
        let (by, reason) = ("crm".to_owned(), String::new());
        let (origin, webhook_id) = (DirectiveOrigin::Webhook, Some(webhook_id.to_owned()));
        let order = Order { conversation: id(0), what, by, reason, origin, webhook_id };
        bench.feed(Input::Order(Ticket(1), order));
        bench.pass(Duration::from_secs(10));
        bench.replies.last().cloned().expect("an answer")
    }

    /// The next process: the platform is as it was, and the log says what was in force.
    fn restarted(mut old: Bench, history: &History, later: Duration) -> Bench {
        let mut bench = Bench::new(settings(), PCI);
        bench.calls = std::mem::take(&mut old.calls);
        bench.now.wall = old.now.wall + later;
        bench.warden.recover(history, bench.now);
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench
    }

    fn history(bench: &Bench) -> History {
        let mut history = History::default();
        for record in &bench.records {
            assert_eq!(history.take(bench.now.wall, record), None);
        }
        history
    }

    fn started() -> Bench {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench
    }

    const STOP: What = What::Set(Action::Stop, None);
    const START: What = What::Set(Action::Start, None);

    #[test]
    fn a_message_that_comes_again_after_a_restart_gets_its_decision_and_does_nothing() {
        let mut bench = started();
        let first = order(&mut bench, "m1", STOP);
        let second = order(&mut bench, "m2", START);
        assert!(first.decision.is_some() && second.decision.is_some());
        let history = history(&bench);
        // The log's next file has only what is carried.
        let mut next_file = History::default();
        for record in history.carried() {
            assert_eq!(next_file.take(bench.now.wall, &record), None);
        }
        assert_eq!(next_file.in_force(), history.in_force());
        let mut bench = restarted(bench, &next_file, Duration::from_secs(60));
        for (id, what, answered) in [("m1", STOP, first), ("m2", START, second)] {
            let again = order(&mut bench, id, what);
            assert_eq!(again.decision, answered.decision, "{id}");
            assert!(again.message.contains("taken before"), "{}", again.message);
        }
        assert_eq!((bench.kinds("directive"), bench.state(0)), (0, RecorderState::Active));
        order(&mut bench, "m3", STOP);
        assert_eq!((bench.kinds("directive"), bench.state(0)), (1, RecorderState::Paused));
    }

    #[test]
    fn a_message_whose_answer_nobody_heard_gets_its_decision_and_does_nothing_when_it_comes_again() {
        let mut bench = started();
        let first = order(&mut bench, "m1", STOP);
        let released = order(&mut bench, "m2", What::Release);
        order(&mut bench, "m3", STOP);
        for (id, what, answered) in [("m1", START, first), ("m2", What::Release, released)] {
            let again = order(&mut bench, id, what);
            assert!(
                again.decision == answered.decision && again.message.contains("taken before"),
                "{again:?}"
            );
        }
        assert_eq!((bench.kinds("directive"), bench.kinds("directive.released")), (2, 1));
        assert_eq!(bench.state(0), RecorderState::Paused);
    }

    #[test]
    fn no_more_messages_are_remembered_than_the_log_has() {
        let mut answered = Answered::default();
        let at = Wall::from_micros(0);
        (0..=MESSAGES_REMEMBERED).for_each(|number| answered.note(number.to_string(), at, None));
        assert_eq!(
            (answered.by_id.len(), answered.oldest_first.len()),
            (MESSAGES_REMEMBERED, MESSAGES_REMEMBERED)
        );
        assert!(answered.reply_to("0", at).is_none() && answered.reply_to("1", at).is_some());
    }

    #[test]
    fn a_release_that_comes_again_after_a_restart_ends_no_newer_order() {
        let mut bench = started();
        order(&mut bench, "m1", STOP);
        let released = order(&mut bench, "m2", What::Release);
        order(&mut bench, "m3", STOP);
        let history = history(&bench);
        let mut bench = restarted(bench, &history, Duration::from_secs(60));
        let again = order(&mut bench, "m2", What::Release);
        assert_eq!((again.decision, bench.kinds("directive.released")), (released.decision, 0));
        assert_eq!(bench.state(0), RecorderState::Paused);
    }

    #[test]
    fn after_a_day_nobody_sends_again_and_the_id_is_taken_for_a_new_one() {
        let mut bench = started();
        order(&mut bench, "m1", STOP);
        order(&mut bench, "m2", START);
        let history = history(&bench);
        let mut bench = restarted(bench, &history, MESSAGES_REMEMBERED_FOR);
        order(&mut bench, "m1", STOP);
        assert_eq!((bench.kinds("directive"), bench.state(0)), (1, RecorderState::Paused));
    }
}
