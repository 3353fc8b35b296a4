//! One conversation as the platform last saw it, in one shape for both that it sends (GENESYS.md 5), and
//! the questions that rules and the warden ask of it. A field the platform left out is empty, never an
//! error. Participants stay in the list after they have left (GENESYS.md, trap 16), so every question
//! about the present asks for legs that are still there.

mod leg;

use std::collections::BTreeMap;

pub use leg::{Direction, LegState, Media};

use crate::model::ids::{ConversationId, ParticipantId, QueueId, UserId};
use crate::model::recording::{Observed, RecorderState, Recorders};
use crate::model::time::Wall;

/// A reference to a queue, team or user: the id always, the name where the platform sent it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct QueueRef {
    /// The queue.
    pub id: QueueId,
    /// Its name; events of the `...conversations` family leave it out, and the warden fills it in.
    pub name: String,
}

/// One participant. Where it has several communications, the newest one still there speaks for it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Participant {
    /// Needed for participant operations; empty in trimmed frames.
    pub id: ParticipantId,
    /// `customer`, `external`, `agent`, `user`, `acd`, `ivr`, ... an open list (GENESYS.md 8).
    pub purpose: String,
    /// The name shown for it. Personal data.
    pub name: String,
    /// The user behind an agent leg; empty elsewhere.
    pub user: UserId,
    /// The queue this leg came in on.
    pub queue: QueueRef,
    /// The team of the user.
    pub team: String,
    /// Kind of its leading communication.
    pub media: Media,
    /// State of its leading communication.
    pub state: LegState,
    /// Who began it.
    pub direction: Option<Direction>,
    /// Address of the leg; a number bare (`+1...`), anything else as sent (`sip:...`). Personal data.
    pub address: String,
    /// Calling number, likewise. Personal data.
    pub ani: String,
    /// Called number, likewise. Personal data.
    pub dnis: String,
    /// Where the media comes from (`Edge`).
    pub provider: String,
    /// Begin of the leg.
    pub start_time: Option<Wall>,
    /// When it was connected.
    pub connected_time: Option<Wall>,
    /// When it ended; none while it is there.
    pub end_time: Option<Wall>,
    /// On hold.
    pub held: bool,
    /// Muted.
    pub muted: bool,
    /// Hears hold music.
    pub confined: bool,
    /// `recording`: "True if this call is being recorded."
    pub recording: bool,
    /// State of the leg's recording.
    pub recording_state: RecorderState,
    /// In a secure pause.
    pub secure_pause: bool,
    /// The four recorders apart.
    pub recorders: Recorders,
    /// `screenRecordingState` (`requested`, `active`, `paused`, `stopped`, `error`, `timeout`); empty where absent.
    pub screen_recording_state: String,
    /// Participant data. Personal data may be in it.
    pub attributes: BTreeMap<String, String>,
    /// `flaggedReason`; empty where it is not flagged.
    pub flagged_reason: String,
    /// Wrap-up code, once there is one.
    pub wrapup_code: String,
    /// Why it ended (`peer`, `transfer`, ...).
    pub disconnect_type: String,
    /// Roles of its media (`full`, `monitor`, `coach`).
    pub media_roles: Vec<String>,
    /// Names of the requested skills, or their ids where names were left out.
    pub skills: Vec<String>,
    /// Requested language.
    pub language: String,
    /// Routing priority.
    pub priority: i64,
}

impl Participant {
    /// Whether it is still there: not ended, and no state that says so.
    pub fn is_live(&self) -> bool {
        self.end_time.is_none() && !self.state.is_over()
    }

    /// Whether it is there and connected.
    pub fn is_connected(&self) -> bool {
        self.is_live() && self.state == LegState::Connected
    }

    /// An agent or any other user of the organisation.
    pub fn is_agent(&self) -> bool {
        self.purpose.eq_ignore_ascii_case("agent") || self.purpose.eq_ignore_ascii_case("user")
    }

    /// The party outside the organisation.
    pub fn is_customer(&self) -> bool {
        self.purpose.eq_ignore_ascii_case("customer") || self.purpose.eq_ignore_ascii_case("external")
    }

    /// A queue's own leg, while the conversation waits in it.
    pub fn is_acd(&self) -> bool {
        self.purpose.eq_ignore_ascii_case("acd")
    }
}

/// One conversation as the platform last saw it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Conversation {
    /// Which one.
    pub id: ConversationId,
    /// Its kind: `Call` where any leg is a call, else that of its first leg.
    pub media: Media,
    /// When it began.
    pub start_time: Option<Wall>,
    /// When it ended; only REST says so.
    pub end_time: Option<Wall>,
    /// Its address. Personal data.
    pub address: String,
    /// `recordingState`; `None` where the platform left it out and the legs must speak.
    pub recording_state: Option<RecorderState>,
    /// `securePause`: a paused state is one of ours (or an agent's), not the platform's own.
    pub secure_pause: bool,
    /// Ids of its divisions.
    pub divisions: Vec<String>,
    /// `externalTag`; only the `...conversations` family carries it, so the book keeps the last one known.
    pub external_tag: Option<String>,
    /// Everybody who took part, those who left included.
    pub participants: Vec<Participant>,
}

impl Conversation {
    /// Whether it still needs judging: a customer or agent leg is not yet disconnected (PRODUCT.md 2).
    pub fn is_live(&self) -> bool {
        self.end_time.is_none()
            && self.participants.iter().any(|one| (one.is_agent() || one.is_customer()) && one.is_live())
    }

    /// The queue it is in: that of the newest agent or ACD leg still there (PRODUCT.md 3).
    pub fn queue(&self) -> Option<&QueueRef> {
        self.participants
            .iter()
            .rev()
            .find(|one| (one.is_agent() || one.is_acd()) && one.is_live() && !one.queue.id.is_empty())
            .map(|one| &one.queue)
    }

    /// Every queue it went through, each once, oldest first.
    pub fn queues(&self) -> impl Iterator<Item = &QueueRef> {
        self.participants.iter().enumerate().filter_map(|(at, one)| {
            let first = !self.participants[..at].iter().any(|earlier| earlier.queue.id == one.queue.id);
            (first && !one.queue.id.is_empty()).then_some(&one.queue)
        })
    }

    /// The agents and users that took part, those who left included.
    pub fn agents(&self) -> impl DoubleEndedIterator<Item = &Participant> {
        self.participants.iter().filter(|one| one.is_agent())
    }

    /// The newest connected agent.
    pub fn agent(&self) -> Option<&Participant> {
        self.agents().rev().find(|one| one.is_connected())
    }

    /// The customer: the newest one still there, else the last there was.
    pub fn customer(&self) -> Option<&Participant> {
        let customers = || self.participants.iter().filter(|one| one.is_customer());
        customers().rev().find(|one| one.is_live()).or_else(|| customers().next_back())
    }

    /// One value of the participant data of all, merged: that of the newest participant that has the key,
    /// so that a later flow or agent can change what an earlier one set; the customer's own comes first,
    /// since that is where Architect and scripts write it (GENESYS.md 8).
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.customer()
            .and_then(|one| one.attributes.get(key))
            .or_else(|| self.participants.iter().rev().find_map(|one| one.attributes.get(key)))
            .map(String::as_str)
    }

    /// The keys of the merged participant data, each once, sorted.
    pub fn attribute_keys(&self) -> impl Iterator<Item = &str> {
        let keys: std::collections::BTreeSet<&str> =
            self.participants.iter().flat_map(|one| one.attributes.keys().map(String::as_str)).collect();
        keys.into_iter()
    }

    /// Whether a participant carries a `flaggedReason`.
    pub fn is_flagged(&self) -> bool {
        self.participants.iter().any(|one| !one.flagged_reason.is_empty())
    }

    /// The direction of the customer's leg, or of the first leg that has one.
    pub fn direction(&self) -> Option<Direction> {
        self.customer()
            .and_then(|one| one.direction)
            .or_else(|| self.participants.iter().find_map(|one| one.direction))
    }

    /// What the platform reports of the policy recording. The conversation's own fields decide; where a
    /// trimmed frame left them out, its live legs do (GENESYS.md 3.1, trap 5).
    pub fn observed(&self) -> Observed {
        let live = || self.participants.iter().filter(|one| one.is_live());
        let (state, secure) = match self.recording_state {
            Some(state) => (state, self.secure_pause),
            None => (
                live().map(|one| one.recording_state).fold(RecorderState::None, stronger),
                self.secure_pause || live().any(|one| one.secure_pause),
            ),
        };
        match state {
            RecorderState::Active => Observed::Active,
            RecorderState::Paused | RecorderState::None if secure => Observed::Paused,
            RecorderState::Paused => Observed::Suspended,
            RecorderState::None => Observed::None,
        }
    }
}

/// Of two legs' states the one that says more about the whole: any active leg is being recorded.
fn stronger(one: RecorderState, other: RecorderState) -> RecorderState {
    match (one, other) {
        (RecorderState::Active, _) | (_, RecorderState::Active) => RecorderState::Active,
        (RecorderState::Paused, _) | (_, RecorderState::Paused) => RecorderState::Paused,
        (RecorderState::None, RecorderState::None) => RecorderState::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(purpose: &str, state: LegState) -> Participant {
        Participant { purpose: purpose.into(), state, ..Participant::default() }
    }

    #[test]
    fn a_pause_without_secure_pause_is_the_platforms_own() {
        let mut call =
            Conversation { recording_state: Some(RecorderState::Paused), ..Conversation::default() };
        assert_eq!(call.observed(), Observed::Suspended);
        call.secure_pause = true;
        assert_eq!(call.observed(), Observed::Paused);
    }

    #[test]
    fn a_conversation_is_live_while_a_customer_or_agent_leg_is() {
        let mut call = Conversation {
            participants: vec![leg("customer", LegState::Terminated), leg("acd", LegState::Connected)],
            ..Conversation::default()
        };
        assert!(!call.is_live());
        call.participants.push(leg("agent", LegState::Alerting));
        assert!(call.is_live());
    }

    #[test]
    fn the_queue_is_that_of_the_newest_leg_still_there() {
        let mut first = leg("acd", LegState::Disconnected);
        first.queue.id = QueueId::new("old");
        let mut second = leg("agent", LegState::Connected);
        second.queue.id = QueueId::new("new");
        let call = Conversation { participants: vec![second, first], ..Conversation::default() };
        assert_eq!(call.queue().map(|queue| queue.id.as_str()), Some("new"));
        assert_eq!(call.queues().count(), 2);
    }
}
