//! Orders of ours that the platform has not shown in effect yet.
//!
//! What was seen last is not how things are while such an order may still come true: where nothing is heard, a stop
//! that was satisfied by a pause would leave the recording running that our own start has resumed since. So an order
//! counts from the moment it goes out until a snapshot shows it in effect, until one shows long after that it never
//! came true, or until it is refused or another for the same recorder is accepted in its place.
//!
//! The platform need not apply two orders in the order in which it accepted them, and of two that ask for the same one
//! may come true long after the other was seen. So an order that no longer counts may still come true late, and undo
//! what was ordered since: as long as it may, nothing is settled for good.

use std::borrow::Cow;
use std::time::Duration;

use crate::audit::record::ConfirmedBy;
use crate::model::conversation::{Conversation, Participant};
use crate::model::recording::{Action, RecorderState};
use crate::model::time::Mono;
use crate::wire::request::{Request, SnippetKind, Switch};

/// What was sent can come true for so long after its answer, or after the wait for one: the platform reports a change
/// within a second or two (GENESYS.md), and this leaves room for its worst hour.
pub const LATE_FOR: Duration = Duration::from_secs(30);
/// The same from the moment of sending, where nothing is known of its answer: that takes half a minute at most.
pub const LATE_AFTER_SENDING: Duration = Duration::from_secs(65);

/// So many orders that may come true late are remembered for each action: one that is retried for long leaves the latest.
const LATE_MOST: usize = 8;

/// What the answer says of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It was accepted.
    Accepted,
    /// It may have been carried out or not.
    Unclear,
    /// It was not carried out.
    Refused,
}

/// What a snapshot says of an order whose effect it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// That it came true.
    Proof,
    /// That nothing is left to do for now: what the platform suspends by itself it resumes by itself.
    Hint,
}

#[derive(Clone, Debug)]
struct Sent {
    action: Action,
    request: Request,
    /// When it was answered; until then, when it was sent.
    at: Mono,
}

/// The orders of one conversation whose effect was not seen, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Unseen {
    answered: Vec<Sent>,
    in_flight: Option<Sent>,
    /// Those that do not count any more and may come true, each until when; the earliest first.
    late: Vec<(Mono, Action)>,
    /// The one of them that is under way yet: its answer says more of it.
    unanswered: Option<(Mono, Action)>,
}

impl Unseen {
    /// An order goes out.
    pub fn send(&mut self, action: Action, request: Request, at: Mono) {
        self.in_flight = Some(Sent { action, request, at });
        self.unanswered = None;
    }

    /// The order that went out last was answered.
    pub fn answer(&mut self, request: &Request, word: Word, now: Mono) {
        if let Some(one) = self.unanswered.take()
            && self.forget_late(one)
            && word != Word::Refused
        {
            self.expect_late(one.1, now + LATE_FOR);
        }
        let sent = self.in_flight.take().map(|sent| Sent { at: now, ..sent });
        match word {
            Word::Accepted => self.overtake(|one| is_for_the_same_recorder(&one.request, request)),
            // It is tried over and over, and counts once.
            Word::Unclear => self.overtake(|one| one.request == *request),
            Word::Refused => return,
        }
        // Where it is none, its effect was seen before its answer.
        self.answered.extend(sent);
    }

    /// Another counts in the place of these.
    fn overtake(&mut self, is_overtaken: impl Fn(&Sent) -> bool) {
        let over: Vec<Sent> = self.answered.extract_if(.., |one| is_overtaken(one)).collect();
        over.into_iter().for_each(|one| self.expect_late(one.action, one.at + LATE_FOR));
    }

    /// An order for `action` does not count any more, or the log of an earlier process tells of it: it may come true until
    /// then.
    pub fn expect_late(&mut self, action: Action, until: Mono) {
        self.late.push((until, action));
        self.late.sort_unstable();
        let mut same =
            self.late.iter().enumerate().filter(|(_, one)| one.1 == action).map(|(place, _)| place);
        if let (Some(earliest), true) = (same.next(), same.count() >= LATE_MOST) {
            self.late.remove(earliest);
        }
    }

    /// Whether it was expected.
    fn forget_late(&mut self, late: (Mono, Action)) -> bool {
        let place = self.late.iter().position(|one| *one == late);
        place.map(|place| self.late.remove(place)).is_some()
    }

    /// A snapshot came in, which `shows` what is in effect; `turned` is what it proves for the first time. Whether that
    /// is the effect of an order that waited for it. An event tells what has just changed; of what a read finds changed
    /// nobody knows since when it is so.
    #[must_use]
    pub fn see(
        &mut self,
        shows: impl Fn(Action) -> Option<Sight>,
        turned: Option<Action>,
        by: ConfirmedBy,
        now: Mono,
    ) -> bool {
        let may = |one: &&(Mono, Action)| Some(one.1) == turned && (by == ConfirmedBy::Read || now < one.0);
        let late = self.late.iter().find(may).copied();
        self.late.retain(|(until, _)| now < *until);
        let awaited = [Action::Start, Action::Stop].into_iter().filter(|action| self.includes(*action));
        let shown = awaited.filter_map(|action| shows(action).map(|sight| (action, sight))).next();
        let Some((action, sight)) = shown else {
            self.answered.retain(|one| now.since(one.at) < LATE_FOR);
            // Which one came true nobody knows, and others may follow. Its time may be over by now.
            let Some(late) = late else { return false };
            self.forget_late(late);
            return true;
        };
        // One came true; of others that ask for the same nobody knows.
        let same = self.answered.extract_if(.., |one| one.action == action).map(|one| one.at + LATE_FOR);
        let waiting =
            self.in_flight.take_if(|one| one.action == action).map(|one| one.at + LATE_AFTER_SENDING);
        let others: Vec<Mono> = same.chain(waiting).skip(usize::from(sight == Sight::Proof)).collect();
        let unanswered = waiting.filter(|_| !others.is_empty()).map(|until| (until, action));
        self.unanswered = unanswered.or(self.unanswered);
        others.into_iter().for_each(|until| self.expect_late(action, until));
        self.answered.retain(|one| now.since(one.at) < LATE_FOR);
        true
    }

    /// Whether an order for this waits to be seen.
    pub fn includes(&self, action: Action) -> bool {
        self.iter().any(|one| one.action == action)
    }

    /// Whether just this was sent and waits to be seen.
    pub fn holds(&self, request: &Request) -> bool {
        self.iter().any(|one| one.request == *request)
    }

    /// How the conversation is once the orders against `action` have come true; none where there are none.
    pub fn against(&self, action: Action, seen: &Conversation) -> Option<Conversation> {
        let mut contrary = self.iter().filter(|one| one.action != action).peekable();
        contrary.peek()?;
        let mut then = seen.clone();
        contrary.for_each(|one| come_true(&one.request, &mut then));
        Some(then)
    }

    /// How the conversation is to be expected by whoever orders `action` now.
    pub fn expected<'c>(&self, action: Action, seen: &'c Conversation) -> Cow<'c, Conversation> {
        self.against(action, seen).map_or(Cow::Borrowed(seen), Cow::Owned)
    }

    /// Until when an order against `action` could come true though it does not count any more, which may be over; none
    /// where none could, or a snapshot since then says how it ended.
    pub fn late_against(&self, action: Action) -> Option<Mono> {
        self.latest(|one| one != action)
    }

    /// Whether an order for `action` could come true though it does not count any more.
    pub fn may_come_true_late(&self, action: Action, now: Mono) -> bool {
        self.latest(|one| one == action).is_some_and(|until| now < until)
    }

    fn latest(&self, is_meant: impl Fn(Action) -> bool) -> Option<Mono> {
        self.late.iter().filter(|(_, one)| is_meant(*one)).map(|(until, _)| *until).max()
    }

    fn iter(&self) -> impl Iterator<Item = &Sent> {
        self.answered.iter().chain(&self.in_flight)
    }
}

fn is_for_the_same_recorder(one: &Request, other: &Request) -> bool {
    match (one, other) {
        (
            Request::Snippet { participant, kind, .. },
            Request::Snippet { participant: other_participant, kind: other_kind, .. },
        ) => participant == other_participant && kind == other_kind,
        (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

fn come_true(request: &Request, conversation: &mut Conversation) {
    match request {
        Request::SetRecordingState { state, .. } => record(conversation, *state),
        Request::RecordingsAction { action: Action::Start, .. } => {
            record(conversation, RecorderState::Active)
        }
        Request::RecordingsAction { action: Action::Stop, .. } => record(conversation, RecorderState::Paused),
        Request::Snippet { participant, kind, record, .. } => {
            let state = if *record == Switch::On { RecorderState::Active } else { RecorderState::None };
            let is_meant = |one: &&mut Participant| one.id == *participant;
            for leg in conversation.participants.iter_mut().filter(is_meant) {
                match kind {
                    SnippetKind::Adhoc => leg.recorders.adhoc = state,
                    SnippetKind::Snippet => leg.recorders.snippet = state,
                }
            }
        }
        Request::GetConversation { .. }
        | Request::ActivityQuery { .. }
        | Request::ListQueues { .. }
        | Request::ListUsers { .. }
        | Request::CreateChannel
        | Request::CheckChannel { .. }
        | Request::Subscribe { .. }
        | Request::ReadSubscriptions { .. }
        | Request::AvailableTopics
        | Request::TokenInfo => {}
    }
}

fn record(conversation: &mut Conversation, state: RecorderState) {
    conversation.recording_state = Some(state);
    conversation.secure_pause = state == RecorderState::Paused;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversation::Media;
    use crate::model::ids::{ConversationId, ParticipantId};
    use crate::model::recording::Observed;

    const NOW: Mono = Mono::new(Duration::ZERO);
    const EVENT: ConfirmedBy = ConfirmedBy::Event;

    fn set(state: RecorderState) -> Request {
        Request::SetRecordingState { conversation: ConversationId::new("c"), media: Media::Call, state }
    }

    fn adhoc(leg: &str, record: Switch) -> Request {
        let (conversation, participant) = (ConversationId::new("c"), ParticipantId::new(leg));
        Request::Snippet { conversation, participant, kind: SnippetKind::Adhoc, record }
    }

    fn started(action: Action) -> Option<Sight> {
        (action == Action::Start).then_some(Sight::Proof)
    }

    fn stopped(action: Action) -> Option<Sight> {
        (action == Action::Stop).then_some(Sight::Proof)
    }

    fn answered(orders: &[(Action, Request, Word)]) -> Unseen {
        let mut unseen = Unseen::default();
        for (action, request, word) in orders {
            unseen.send(*action, request.clone(), NOW);
            unseen.answer(request, *word, NOW);
        }
        unseen
    }

    #[test]
    fn what_may_have_been_carried_out_counts_and_what_was_refused_does_not() {
        let start = (Action::Start, set(RecorderState::Active));
        let count = |word| answered(&[(start.0, start.1.clone(), word)]).includes(Action::Start);
        assert_eq!([Word::Accepted, Word::Unclear, Word::Refused].map(count), [true, true, false]);
        let mut under_way = Unseen::default();
        under_way.send(start.0, start.1, NOW);
        let then = under_way.against(Action::Stop, &Conversation::default());
        assert_eq!(then.map(|then| then.observed()), Some(Observed::Active));
    }

    #[test]
    fn an_accepted_order_takes_the_place_of_those_for_the_same_recorder_alone() {
        let legs = [("a", Switch::On), ("b", Switch::On), ("a", Switch::Off)];
        let action = |record| if record == Switch::On { Action::Start } else { Action::Stop };
        let orders = legs.map(|(leg, record)| (action(record), adhoc(leg, record), Word::Accepted));
        let mut left = answered(&orders);
        assert!(left.includes(Action::Start), "the start of leg b is still to be seen");
        let off = adhoc("b", Switch::Off);
        left.send(Action::Stop, off.clone(), NOW);
        left.answer(&off, Word::Unclear, NOW);
        assert!(left.includes(Action::Start), "nobody knows whether the stop was carried out");
        left.send(Action::Stop, off.clone(), NOW);
        left.answer(&off, Word::Accepted, NOW);
        assert!(!left.includes(Action::Start));
    }

    #[test]
    fn an_overtaken_order_may_come_true_late() {
        let stop = (Action::Stop, set(RecorderState::Paused), Word::Accepted);
        let start = (Action::Start, set(RecorderState::Active), Word::Accepted);
        let mut unseen = answered(&[stop, start]);
        assert!(unseen.see(started, None, EVENT, NOW), "what is in effect may be older than both");
        assert_eq!(unseen.late_against(Action::Start), Some(NOW + LATE_FOR));
        assert_eq!(unseen.late_against(Action::Stop), None);
        let mut later = unseen.clone();
        assert!(!later.see(started, None, EVENT, NOW + LATE_FOR), "it never came true");
        assert_eq!(later.late_against(Action::Start), None);
        assert!(!unseen.see(started, None, EVENT, NOW), "nothing has changed");
        assert!(unseen.see(stopped, Some(Action::Stop), EVENT, NOW), "here it comes");
        assert_eq!(unseen.late_against(Action::Start), None);
    }

    /// Found by the simulation (lasting 96): the one that was applied first was forgotten with the other.
    #[test]
    fn of_two_overtaken_orders_one_may_come_true_after_the_other() {
        let stop = (Action::Stop, set(RecorderState::Paused), Word::Accepted);
        let start = (Action::Start, set(RecorderState::Active), Word::Accepted);
        let mut unseen = answered(&[stop.clone(), stop, start]);
        assert!(unseen.see(stopped, Some(Action::Stop), EVENT, NOW));
        assert!(unseen.see(started, Some(Action::Start), EVENT, NOW), "our start");
        assert_eq!(unseen.late_against(Action::Start), Some(NOW + LATE_FOR), "the other stop");
        assert!(unseen.see(stopped, Some(Action::Stop), EVENT, NOW), "here it comes");
        assert_eq!(unseen.late_against(Action::Start), None);
    }

    #[test]
    fn of_two_orders_for_the_same_one_may_come_true_after_the_other() {
        for word in [Word::Accepted, Word::Unclear] {
            let stop = (Action::Stop, set(RecorderState::Paused), word);
            let mut unseen = answered(&[stop.clone(), stop]);
            assert!(unseen.see(stopped, Some(Action::Stop), EVENT, NOW));
            assert!(!unseen.includes(Action::Stop));
            assert_eq!(unseen.late_against(Action::Start), Some(NOW + LATE_FOR), "{word:?}");
        }
        let mut unseen = answered(&[(Action::Stop, set(RecorderState::Paused), Word::Unclear)]);
        unseen.send(Action::Stop, set(RecorderState::Paused), NOW);
        assert!(unseen.see(stopped, Some(Action::Stop), EVENT, NOW));
        let until = NOW + LATE_AFTER_SENDING;
        assert_eq!(unseen.late_against(Action::Start), Some(until), "one is under way yet");
    }

    /// Found on a slow machine: what gives back was in doubt for as long as if the stop had never been answered.
    #[test]
    fn the_answer_says_until_when_what_was_taken_for_in_effect_may_come_true() {
        let stop = set(RecorderState::Paused);
        let hinted = |action| (action == Action::Stop).then_some(Sight::Hint);
        let answered_at = NOW + Duration::from_secs(1);
        for (word, until) in [
            (Word::Accepted, Some(answered_at + LATE_FOR)),
            (Word::Unclear, Some(answered_at + LATE_FOR)),
            (Word::Refused, None),
        ] {
            let mut unseen = Unseen::default();
            unseen.send(Action::Stop, stop.clone(), NOW);
            assert!(unseen.see(hinted, None, EVENT, NOW));
            assert_eq!(unseen.late_against(Action::Start), Some(NOW + LATE_AFTER_SENDING));
            let mut came_true = unseen.clone();
            unseen.answer(&stop, word, answered_at);
            assert_eq!(unseen.late_against(Action::Start), until, "{word:?}");
            assert!(came_true.see(|_| None, Some(Action::Stop), EVENT, NOW));
            came_true.answer(&stop, word, answered_at);
            assert_eq!(came_true.late_against(Action::Start), None, "it came true before its answer");
        }
    }

    #[test]
    fn what_the_platform_suspends_is_no_proof_of_a_stop() {
        let mut unseen = answered(&[(Action::Stop, set(RecorderState::Paused), Word::Accepted)]);
        let suspended = |action| (action == Action::Stop).then_some(Sight::Hint);
        assert!(unseen.see(suspended, None, EVENT, NOW));
        assert!(!unseen.includes(Action::Stop), "nothing is left to do");
        assert_eq!(unseen.late_against(Action::Start), Some(NOW + LATE_FOR));
    }

    #[test]
    fn an_order_waits_until_it_is_seen_or_can_no_longer_come_true() {
        let start = [(Action::Start, set(RecorderState::Active), Word::Accepted)];
        let mut unseen = answered(&start);
        assert!(
            !unseen.see(stopped, None, EVENT, NOW + LATE_FOR / 2),
            "a snapshot may be older than the order"
        );
        assert!(unseen.includes(Action::Start));
        assert!(!unseen.see(stopped, None, EVENT, NOW + LATE_FOR));
        assert!(!unseen.includes(Action::Start));
        let mut unseen = answered(&start);
        assert!(unseen.see(started, Some(Action::Start), EVENT, NOW + LATE_FOR * 2));
        assert!(!unseen.includes(Action::Start));
    }
}
