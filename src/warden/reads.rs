//! What reads of conversations and of the list of them tell.
//!
//! A conversation that is over can be read all the same for a long time, and one that has just begun may be told of,
//! by an event or by whoever orders something for it, before it can be read. So a read that finds none (404) does not
//! mean that it is over: it is taken for over where each read of some time says so and no event speaks against it.

use std::time::Duration;

use super::{Level, Warden};
use crate::audit::record::ConfirmedBy;
use crate::model::ids::ConversationId;
use crate::model::recording::{Action, Observed};
use crate::model::time::{Mono, Now};
use crate::policy::rule::WHEN_BLIND;
use crate::warden::backoff::News;
use crate::warden::book::{Busy, Intake, Pursuit, Stage};
use crate::warden::permission::PROBE_EVERY;
use crate::warden::plan;
use crate::wire::conversation;
use crate::wire::reply::{self, Fault, RawAnswer};
use crate::wire::request::Request;

/// A list that could not be read for now is asked for again after this.
const SOON: Duration = Duration::from_secs(5);

/// One that was seen live counts as over where no read finds it for so long.
const SEEN_GONE_AFTER: Duration = Duration::from_secs(60);
/// The same where only an order, facts or the log speak of it: the id may be mistaken, and somebody waits for the answer.
const UNSEEN_GONE_AFTER: Duration = Duration::from_secs(15);

/// One that only facts speak of counts as over where the platform refuses each read of it for so long: a conversation
/// may last for hours before an event tells of it, and hardly for longer.
const REFUSED_GONE_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Who is missing is looked for so often at least, since it may have begun a moment ago.
const MISSING_READ_AGAIN: Duration = Duration::from_secs(3);

impl Warden {
    pub(super) fn settle_read(
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
        // The platform wants to be asked later, or was not asked at all.
        let asked = !matches!(fault, Some(Fault::Limited { .. } | Fault::Unsent { .. }));
        let failed = match fault {
            None => self.take_body_and_compare(id, version, answer, now).err(),
            Some(Fault::Gone { message }) if self.note_missing(id, now.mono) => {
                return self.finish(id, &message, now);
            }
            Some(other) => Some(other.to_string()),
        };
        let news = failed.is_none();
        if let Some(message) = failed {
            self.note(Level::Warn, format!("{id} could not be read: {message}"));
        } else {
            self.judge(id, ConfirmedBy::Read, now);
        }
        let confirm_within = self.settings.confirm_within;
        let Some(call) = self.book.get_mut(id) else { return };
        let (unread, missing) = (call.seen.is_none(), call.missing_since.is_some());
        let overtaken = call.version > version + 1;
        let Some(open) = call.pursuit.as_mut().filter(|open| open.stage == Stage::Reading) else {
            // What is in doubt stays so where the answer is older than what is known.
            let is_old = call.version == version;
            if let Some(open) = call.pursuit.as_mut().filter(|open| is_old && open.stage == Stage::Doubted) {
                open.fail(now.mono);
            }
            // A decision made meanwhile waited for this answer.
            if let Some(open) = &call.pursuit
                && open.stage != Stage::InFlight
            {
                let due = if open.stage == Stage::AwaitWord { now.mono + confirm_within } else { now.mono };
                self.worklist.put_no_sooner(id, open.action, open.opened.mono, due);
            }
            return;
        };
        // What is there already is not asked for again only because nobody could look.
        let there = !news && plan::is_as_wanted(&self.settings.means, open.action, call);
        let Some(open) = call.pursuit.as_mut() else { return };
        if asked && (!news || open.attempts > 0) {
            open.fail(now.mono);
        }
        let waits = unread && (missing || !needs_no_look(open));
        open.stage = if waits || there { Stage::ToRead } else { Stage::Due };
        let wait = if overtaken || open.attempts == 0 && !unread {
            Duration::ZERO
        } else {
            let wait = open.backoff.fail(&mut self.dice);
            if missing { wait.min(MISSING_READ_AGAIN) } else { wait }
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

    /// What was told may be older than what was known: this says how it is.
    pub(super) fn settle_second_look(
        &mut self,
        id: &ConversationId,
        version: u64,
        answer: &RawAnswer,
        fault: Option<Fault>,
        now: Now,
    ) {
        match fault {
            None => match self.take_body_and_compare(id, version, answer, now) {
                Ok(()) => {
                    let left = self.book.get(id).filter(|call| call.doubt.is_some()).map(|call| call.version);
                    match left {
                        None => self.judge(id, ConfirmedBy::Read, now),
                        // An event overtook the answer, and may be older as well.
                        Some(known) if known != version => self.survey.ask_for_second_look(id, now.mono),
                        Some(_) => self.survey.second_look_failed(id, now.mono),
                    }
                }
                Err(message) => {
                    self.note(Level::Warn, format!("{id} could not be read: {message}"));
                    self.believe(id, now);
                }
            },
            // One that has just begun may be told of before it can be read; the rounds tell of one that is over.
            Some(
                Fault::Gone { .. }
                | Fault::Limited { .. }
                | Fault::TokenStale
                | Fault::Conflict { .. }
                | Fault::Unsent { .. }
                | Fault::Transient { .. },
            ) => self.survey.second_look_failed(id, now.mono),
            Some(Fault::Forbidden { .. } | Fault::Refused { .. } | Fault::Invalid { .. }) => {
                self.believe(id, now);
            }
        }
    }

    pub(super) fn settle_survey_read(
        &mut self,
        id: &ConversationId,
        version: u64,
        answer: &RawAnswer,
        fault: Option<Fault>,
        now: Now,
    ) {
        match fault {
            None => match self.take_body_and_compare(id, version, answer, now) {
                Ok(()) => {
                    let begun = self.book.get(id).and_then(|call| call.conversation.start_time);
                    self.survey.read(id, begun, now);
                    if self.book.get(id).is_none() {
                        // It is known to have ended.
                        self.survey.ended(id, begun, now);
                    }
                    self.judge(id, ConfirmedBy::Read, now);
                }
                Err(message) => {
                    self.survey.unreadable(id, &message);
                    self.note(Level::Warn, format!("{id} could not be read: {message}"));
                }
            },
            Some(Fault::Gone { message }) if self.note_missing(id, now.mono) => {
                self.survey.read(id, None, now);
                self.finish(id, &message, now);
            }
            // The platform knows it and cannot say how it is: it may have begun a moment ago.
            Some(Fault::Gone { message }) => self.survey.unreadable(id, &message),
            Some(
                Fault::Forbidden { message, .. } | Fault::Refused { message } | Fault::Invalid { message },
            ) => {
                self.survey.unreadable(id, &message);
                self.note(Level::Error, format!("{id} could not be read: {message}"));
                self.give_up_unseen(id, now);
            }
            Some(
                Fault::Limited { .. }
                | Fault::TokenStale
                | Fault::Conflict { .. }
                | Fault::Unsent { .. }
                | Fault::Transient { .. },
            ) => {
                self.survey.read_failed(id, now.mono);
            }
        }
    }

    pub(super) fn settle_activity(
        &mut self,
        answer: &RawAnswer,
        fault: Option<Fault>,
        request: &Request,
        now: Now,
    ) {
        let (level, why, wait) = match (answer, &fault) {
            (RawAnswer::Answered { body, .. }, None) => match reply::activity(body) {
                Ok(ids) => return self.survey.found(ids, now.mono),
                Err(error) => (Level::Error, format!("not understood: {error}"), PROBE_EVERY),
            },
            (_, fault) => (Level::Warn, unanswered(fault.as_ref(), request), wait_after(fault.as_ref())),
        };
        if self.survey.query_failed(&why, now.mono + wait, &self.book, now.mono) == News::Yes {
            self.note(level, format!("live conversations could not be queried, tried again: {why}"));
        }
    }

    /// Notes that the platform refuses to tell of a conversation. One of which nothing was ever seen is given up in
    /// time, and its facts with it: nothing else would tell that it is over.
    fn give_up_unseen(&mut self, id: &ConversationId, now: Now) {
        let Some(call) = self.book.get_mut(id).filter(|call| call.seen.is_none()) else { return };
        let since = *call.refused_since.get_or_insert(now.mono);
        if !call.is_engaged() && now.mono.since(since) >= REFUSED_GONE_AFTER {
            self.finish(id, "nothing was seen of it for a day", now);
        }
    }

    /// Notes that a read has not found a conversation; whether it can be taken for over by now.
    fn note_missing(&mut self, id: &ConversationId, now: Mono) -> bool {
        if self.book.has_ended(id) {
            return true;
        }
        // Who was listed a moment ago and is not known stays owed a look until a list does not name it.
        let Some(call) = self.book.get_mut(id) else { return false };
        let patience = if call.seen.is_some() { SEEN_GONE_AFTER } else { UNSEEN_GONE_AFTER };
        let since = *call.missing_since.get_or_insert(now);
        now.since(since) >= patience
    }
}

/// Whether it may go though nothing is seen: the stop of a process before this one, which was blind too, and whose log
/// says what it found.
fn needs_no_look(open: &Pursuit) -> bool {
    open.rule == WHEN_BLIND && open.action == Action::Stop && open.observed != Observed::Unknown
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
    use crate::model::recording::RecorderState;
    use crate::warden::bench::{Bench, PCI, id, settings};
    use crate::warden::{Input, Settings, What};

    fn bench_with_an_ended_call() -> Bench {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench.ended.insert(id(0));
        bench.tell(0);
        assert!(bench.warden.call(&id(0)).is_none(), "it is over");
        bench
    }

    #[test]
    fn an_order_for_a_conversation_that_has_ended_is_abandoned_with_the_first_read() {
        let mut bench = bench_with_an_ended_call();
        let before = bench.sent.len();
        bench.order(0, 1, What::Set(Action::Stop, None));
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
        bench.order(0, 1, What::Set(Action::Stop, None));
        bench.pass(Duration::from_secs(40));
        assert_eq!((bench.kinds("decision"), bench.kinds("abandoned")), (1, 1), "it does not exist yet");
        bench.begin(0);
        bench.set(0, "on");
        bench.tell(0);
        bench.pass(Duration::from_secs(1));
        assert_eq!(bench.state(0), RecorderState::Paused);
    }

    #[test]
    fn an_order_for_a_conversation_that_cannot_be_read_yet_stays_and_is_carried_out() {
        let mut bench = Bench::new(settings(), PCI);
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench.order(0, 1, What::Set(Action::Stop, None));
        bench.pass(Duration::from_secs(10));
        bench.begin(0);
        bench.pass(Duration::from_secs(10));
        assert_eq!((bench.kinds("decision"), bench.kinds("abandoned")), (1, 0));
        assert_eq!(bench.state(0), RecorderState::Paused);
    }

    #[test]
    fn a_live_conversation_that_a_read_does_not_find_is_not_taken_for_over() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        let there = bench.calls.remove(&id(0)).expect("it is there");
        bench.lose_socket();
        bench.pass(Duration::from_secs(10));
        assert!(bench.warden.call(&id(0)).is_some(), "404 in the first round after the gap");
        bench.calls.insert(id(0), there);
        bench.set(0, "on");
        bench.tell(0);
        bench.pass(Duration::from_secs(1));
        assert_eq!(bench.state(0), RecorderState::Paused);
        bench.calls.remove(&id(0));
        bench.pass(Duration::from_secs(1000));
        assert!(bench.warden.call(&id(0)).is_none(), "where nothing finds it for long it is over");
    }

    fn push(bench: &mut Bench) {
        let facts = [("vip".to_owned(), serde_json::Value::Bool(true))].into();
        bench.feed(Input::Facts(crate::warden::Ticket(1), id(0), facts));
        assert!(bench.warden.book.get(&id(0)).is_some());
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn facts_of_a_conversation_that_does_not_exist_are_not_kept_for_good() {
        let mut bench = Bench::new(settings(), PCI);
        bench.feed(Input::Timeout);
        push(&mut bench);
        bench.pass(HOUR);
        assert!(bench.warden.book.is_empty());
    }

    #[test]
    fn facts_of_a_conversation_that_nobody_may_read_are_kept_for_a_day_and_not_for_good() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.unreadable.insert(id(0));
        bench.feed(Input::Timeout);
        push(&mut bench);
        bench.pass(HOUR * 23);
        assert!(bench.warden.book.get(&id(0)).is_some(), "an event may tell of it yet");
        bench.calls.clear();
        bench.pass(HOUR * 2);
        assert!(bench.warden.book.is_empty());
    }

    #[test]
    fn where_nothing_is_subscribed_reads_tell_when_a_conversation_is_over() {
        let directory = crate::warden::directory::Settings { queues: Vec::new(), ..settings().directory };
        let mut bench = Bench::new(Settings { directory, ..settings() }, PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        push(&mut bench);
        bench.order(0, 1, What::Set(Action::Stop, None));
        bench.pass(HOUR);
        assert_eq!((bench.state(0), bench.warden.book.len()), (RecorderState::Paused, 1));
        assert_eq!((bench.kinds("gap.opened"), bench.kinds("gap.closed")), (1, 1));
        bench.ended.insert(id(0));
        bench.pass(HOUR);
        assert!(bench.warden.book.is_empty());
    }

    #[test]
    fn an_order_for_a_conversation_that_lives_again_is_carried_out() {
        let mut bench = bench_with_an_ended_call();
        bench.ended.clear();
        bench.order(0, 1, What::Set(Action::Stop, None));
        bench.pass(Duration::from_secs(1));
        assert_eq!((bench.kinds("decision"), bench.kinds("abandoned")), (1, 0));
        assert_eq!(bench.state(0), RecorderState::Paused);
    }
}
