//! Orders of ours that the platform has not shown in effect yet.
//!
//! What was seen last is not how things are while such an order may still come true: where nothing is heard, a stop
//! that was satisfied by a pause would leave the recording running that our own start has resumed since. So an order
//! counts from the moment it goes out until a snapshot shows it in effect, until one shows long after that it never
//! came true, or until it is refused or another for the same recorder is accepted in its place.
//!
//! The platform need not apply two orders in the order in which it accepted them. So an order in whose place another
//! was accepted may still come true late, and undo that one: as long as it may, nothing is settled for good.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::conversation::{Conversation, Participant};
use crate::model::recording::{Action, RecorderState};
use crate::model::time::Mono;
use crate::wire::request::{Request, SnippetKind, Switch};

/// What was sent can come true for so long: the longest wait for an answer, and what the platform takes to apply it.
pub const UNFINISHED_FOR: Duration = Duration::from_secs(30);

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

#[derive(Clone, Debug)]
struct Sent {
    action: Action,
    request: Request,
    at: Mono,
}

/// The orders of one conversation whose effect was not seen, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Unseen {
    answered: Vec<Sent>,
    in_flight: Option<Sent>,
    /// Until when one that another has overtaken may come true.
    overtaken: BTreeMap<Action, Mono>,
}

impl Unseen {
    /// An order goes out.
    pub fn send(&mut self, action: Action, request: Request, at: Mono) {
        self.in_flight = Some(Sent { action, request, at });
    }

    /// The order that went out last was answered.
    pub fn answer(&mut self, request: &Request, word: Word) {
        let sent = self.in_flight.take();
        match word {
            Word::Accepted => self.overtake(request),
            // It is tried over and over, and stands here once.
            Word::Unclear => self.answered.retain(|one| one.request != *request),
            Word::Refused => return,
        }
        // Where it is none, its effect was seen before its answer.
        self.answered.extend(sent);
    }

    /// An order for the recorder of `request` was accepted after those that wait to be seen.
    fn overtake(&mut self, request: &Request) {
        let is_overtaken = |one: &mut Sent| is_for_the_same_recorder(&one.request, request);
        let over = self.answered.extract_if(.., is_overtaken);
        self.overtaken.extend(over.map(|one| (one.action, one.at + UNFINISHED_FOR)));
    }

    /// Something for `action` may have been sent before `at`, of which nothing else is known: the log of an earlier
    /// process tells of it.
    pub fn recover(&mut self, action: Action, at: Mono) {
        self.overtaken.insert(action, at + UNFINISHED_FOR);
    }

    /// A snapshot came in, which `shows` what is in effect. Whether that is the effect of an order that waited for it.
    #[must_use]
    pub fn see(&mut self, shows: impl Fn(Action) -> bool, now: Mono) -> bool {
        self.overtaken.retain(|_, until| now < *until);
        let waited =
            self.iter().map(|one| &one.action).chain(self.overtaken.keys()).any(|action| shows(*action));
        self.in_flight = self.in_flight.take().filter(|one| !shows(one.action));
        self.answered.retain(|one| !shows(one.action) && now.since(one.at) < UNFINISHED_FOR);
        self.overtaken.retain(|action, _| !shows(*action));
        waited
    }

    /// Whether an order for this waits to be seen.
    pub fn includes(&self, action: Action) -> bool {
        self.iter().any(|one| one.action == action)
    }

    /// How the conversation is once the orders against `action` have come true; none where there are none.
    pub fn against(&self, action: Action, seen: &Conversation) -> Option<Conversation> {
        let mut contrary = self.iter().filter(|one| one.action != action).peekable();
        contrary.peek()?;
        let mut then = seen.clone();
        contrary.for_each(|one| come_true(&one.request, &mut then));
        Some(then)
    }

    /// Until when an order against `action` may still come true though another has overtaken it; none where none may.
    pub fn late_against(&self, action: Action, now: Mono) -> Option<Mono> {
        let contrary = self.overtaken.iter().filter(|(one, until)| **one != action && now < **until);
        contrary.map(|(_, until)| *until).max()
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

    fn set(state: RecorderState) -> Request {
        Request::SetRecordingState { conversation: ConversationId::new("c"), media: Media::Call, state }
    }

    fn adhoc(leg: &str, record: Switch) -> Request {
        let (conversation, participant) = (ConversationId::new("c"), ParticipantId::new(leg));
        Request::Snippet { conversation, participant, kind: SnippetKind::Adhoc, record }
    }

    fn answered(orders: &[(Action, Request, Word)]) -> Unseen {
        let mut unseen = Unseen::default();
        for (action, request, word) in orders {
            unseen.send(*action, request.clone(), NOW);
            unseen.answer(request, *word);
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
        left.answer(&off, Word::Unclear);
        assert!(left.includes(Action::Start), "nobody knows whether the stop was carried out");
        left.send(Action::Stop, off.clone(), NOW);
        left.answer(&off, Word::Accepted);
        assert!(!left.includes(Action::Start));
    }

    #[test]
    fn an_overtaken_order_may_come_true_late() {
        let stop = (Action::Stop, set(RecorderState::Paused), Word::Accepted);
        let start = (Action::Start, set(RecorderState::Active), Word::Accepted);
        let mut unseen = answered(&[stop, start]);
        assert!(
            unseen.see(|action| action == Action::Start, NOW),
            "what is in effect may be older than both"
        );
        assert_eq!(unseen.late_against(Action::Start, NOW), Some(NOW + UNFINISHED_FOR));
        assert_eq!(unseen.late_against(Action::Start, NOW + UNFINISHED_FOR), None);
        assert_eq!(unseen.late_against(Action::Stop, NOW), None);
        assert!(unseen.see(|action| action == Action::Stop, NOW), "here it comes");
        assert_eq!(unseen.late_against(Action::Start, NOW), None);
    }

    #[test]
    fn an_order_waits_until_it_is_seen_or_can_no_longer_come_true() {
        let start = [(Action::Start, set(RecorderState::Active), Word::Accepted)];
        let paused = |action| action == Action::Stop;
        let mut unseen = answered(&start);
        assert!(!unseen.see(paused, NOW + UNFINISHED_FOR / 2), "a snapshot may be older than the order");
        assert!(unseen.includes(Action::Start));
        assert!(!unseen.see(paused, NOW + UNFINISHED_FOR));
        assert!(!unseen.includes(Action::Start));
        let mut unseen = answered(&start);
        assert!(unseen.see(|action| action == Action::Start, NOW + UNFINISHED_FOR * 2));
        assert!(!unseen.includes(Action::Start));
    }
}
