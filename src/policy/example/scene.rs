//! The call of a rule test: an ordinary one, and what changes it.

use super::{Agent, Change};
use crate::model::conversation::{Conversation, Direction, LegState, Participant, QueueRef};
use crate::model::ids::{ConversationId, ParticipantId, QueueId, UserId};
use crate::model::recording::{Observed, RecorderState};
use crate::model::time::Wall;

/// An inbound call: the customer and one agent connected, the recording active.
pub fn ordinary_call(id: ConversationId, at: Wall) -> Conversation {
    let leg = |purpose: &str, user: &str| Participant {
        id: ParticipantId::new(purpose),
        purpose: purpose.into(),
        user: UserId::new(user),
        state: LegState::Connected,
        direction: Some(Direction::Inbound),
        start_time: Some(at),
        connected_time: Some(at),
        recording: true,
        recording_state: RecorderState::Active,
        ..Participant::default()
    };
    Conversation {
        id,
        start_time: Some(at),
        recording_state: Some(RecorderState::Active),
        participants: vec![leg("customer", ""), leg("agent", "agent-1")],
        ..Conversation::default()
    }
}

impl Change {
    /// Makes the conversation so.
    pub fn apply(&self, conversation: &mut Conversation, at: Wall) {
        if let Some(media) = self.media {
            conversation.media = media;
            conversation.participants.iter_mut().for_each(|one| one.media = media);
        }
        if let Some(queue) = &self.queue {
            enter_queue(conversation, queue, at);
        }
        if let Some(agent) = self.agent {
            set_agent(conversation, agent, at);
        }
        if let Some(customer) = speaker(conversation) {
            customer.attributes.extend(self.attributes.clone());
            customer.direction = self.direction.or(customer.direction);
        }
        if let Some(flagged) = self.flagged {
            conversation.participants.iter_mut().for_each(|one| one.flagged_reason.clear());
            if let Some(customer) = speaker(conversation).filter(|_| flagged) {
                customer.flagged_reason = "general".into();
            }
        }
        if let Some(recording) = self.recording {
            set_recording(conversation, recording);
        }
        if self.ended == Some(true) {
            conversation.end_time = Some(at);
            conversation.participants.iter_mut().filter(|one| one.is_live()).for_each(|one| leave(one, at));
        }
    }
}

/// The leg that flows and scripts write to: the customer's, or else the first.
fn speaker(conversation: &mut Conversation) -> Option<&mut Participant> {
    let customer = conversation.participants.iter().position(Participant::is_customer);
    conversation.participants.get_mut(customer.unwrap_or(0))
}

fn leave(leg: &mut Participant, at: Wall) {
    leg.state = LegState::Disconnected;
    leg.end_time = Some(at);
}

/// The first queue is that of the agent that is there; a further one is a transfer to another agent.
fn enter_queue(conversation: &mut Conversation, name: &str, at: Wall) {
    let queue = QueueRef { id: QueueId::new(name), name: name.into() };
    let there = |one: &Participant| one.is_live() && (one.is_agent() || one.is_acd());
    let Some(place) = conversation.participants.iter().rposition(there) else { return };
    let number = conversation.participants.len();
    let leg = &mut conversation.participants[place];
    if leg.queue.id.is_empty() {
        leg.queue = queue;
        return;
    }
    let mut next = leg.clone();
    leave(leg, at);
    next.id = ParticipantId::new(format!("agent-{number}"));
    next.user = UserId::new(format!("agent-{number}"));
    next.queue = queue;
    conversation.participants.push(next);
}

fn set_agent(conversation: &mut Conversation, agent: Agent, at: Wall) {
    let Some(leg) = conversation.participants.iter_mut().rev().find(|one| one.is_agent()) else { return };
    leg.held = agent == Agent::Held;
    match agent {
        Agent::Connected | Agent::Held => (leg.state, leg.end_time) = (LegState::Connected, None),
        Agent::Alerting => (leg.state, leg.end_time) = (LegState::Alerting, None),
        Agent::Gone => leave(leg, at),
    }
}

fn set_recording(conversation: &mut Conversation, recording: Observed) {
    let (state, secure) = match recording {
        Observed::Active => (RecorderState::Active, false),
        Observed::Paused => (RecorderState::Paused, true),
        Observed::Suspended => (RecorderState::Paused, false),
        Observed::None | Observed::Unknown => (RecorderState::None, false),
    };
    conversation.recording_state = Some(state);
    conversation.secure_pause = secure;
    for leg in conversation.participants.iter_mut().filter(|one| one.is_live()) {
        leg.recording = state == RecorderState::Active;
        leg.recording_state = state;
        leg.secure_pause = secure;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversation::Media;

    fn changed(change: &Change) -> Conversation {
        let mut call = ordinary_call(ConversationId::new("c"), Wall::default());
        change.apply(&mut call, Wall::default());
        call
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let call = changed(&Change::default());
        assert!(call.is_live() && !call.is_flagged());
        assert_eq!((call.observed(), call.media), (Observed::Active, Media::Call));
        assert_eq!((call.direction(), call.queue()), (Some(Direction::Inbound), None));
        assert!(call.agent().is_some());
    }

    #[test]
    fn a_second_queue_is_a_transfer() {
        let queue = |name: &str| Change { queue: Some(name.into()), ..Change::default() };
        let mut call = changed(&queue("Sales"));
        assert_eq!(call.participants.len(), 2);
        queue("Payments").apply(&mut call, Wall::default());
        assert_eq!(call.queue().map(|queue| queue.name.as_str()), Some("Payments"));
        let all: Vec<&str> = call.queues().map(|queue| queue.name.as_str()).collect();
        assert_eq!(all, ["Sales", "Payments"]);
        assert_eq!(call.agents().filter(|one| one.is_live()).count(), 1);
    }

    #[test]
    fn each_word_changes_what_it_names() {
        let call = changed(&Change {
            attributes: [("pci".to_owned(), "on".to_owned())].into(),
            flagged: Some(true),
            direction: Some(Direction::Outbound),
            media: Some(Media::Chat),
            recording: Some(Observed::Suspended),
            agent: Some(Agent::Held),
            ..Change::default()
        });
        assert_eq!((call.attribute("pci"), call.is_flagged()), (Some("on"), true));
        assert_eq!((call.direction(), call.media), (Some(Direction::Outbound), Media::Chat));
        assert_eq!(call.observed(), Observed::Suspended);
        assert!(call.agent().is_some_and(|one| one.held));
        assert!(!changed(&Change { ended: Some(true), ..Change::default() }).is_live());
        assert!(changed(&Change { agent: Some(Agent::Gone), ..Change::default() }).agent().is_none());
    }
}
