//! The platform of the bench: what it has of each call, what it tells of one, and what it answers.

use std::collections::{BTreeMap, BTreeSet};

use super::Bench;
use crate::model::ids::ConversationId;
use crate::model::recording::RecorderState;
use crate::model::time::Wall;
use crate::wire::reply::{RateHeaders, RawAnswer, Transport};
use crate::wire::request::{Request, Switch};

/// Whether something gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::warden) enum Way {
    Open,
    Shut,
}

/// A call as the platform has it.
#[derive(Clone, Debug)]
pub(in crate::warden) struct There {
    pub(in crate::warden) state: RecorderState,
    pub(in crate::warden) attributes: BTreeMap<String, String>,
    /// When it began, where the platform says so.
    pub(in crate::warden) begun: Option<Wall>,
    /// Its divisions.
    pub(in crate::warden) divisions: Vec<String>,
    /// What records by policy on each agent's leg.
    pub(in crate::warden) policy: RecorderState,
    /// Its agents by leg, with the ad-hoc recorder of each.
    pub(in crate::warden) agents: BTreeMap<String, RecorderState>,
    /// Legs that have left it.
    pub(in crate::warden) left: BTreeSet<String>,
}

impl There {
    pub(super) fn with(attributes: BTreeMap<String, String>, begun: Option<Wall>) -> Self {
        let agents = BTreeMap::from([("agent".to_owned(), RecorderState::None)]);
        let left = BTreeSet::new();
        let (state, policy, divisions) = (RecorderState::Active, RecorderState::None, Vec::new());
        Self { state, attributes, begun, divisions, policy, agents, left }
    }
}

/// What the platform answers to a request instead of carrying it out: the status, with the body.
pub(in crate::warden) type Refusal = Box<dyn Fn(&Request) -> Option<(u16, &'static str)>>;

impl Bench {
    pub(super) fn body(&self, conversation: &ConversationId) -> String {
        let there = &self.calls[conversation];
        let (state, secure) = match there.state {
            RecorderState::Active => ("active", false),
            RecorderState::Paused => ("paused", true),
            RecorderState::None => ("none", false),
        };
        let leg_state = if self.ended.contains(conversation) { "disconnected" } else { "connected" };
        let customer = serde_json::json!({"id": "customer", "purpose": "customer", "queueId": "q1",
            "attributes": there.attributes, "calls": [{"id": "c", "state": leg_state}]});
        let agent = |(leg, adhoc): (&String, &RecorderState)| {
            let leg_state = if there.left.contains(leg) { "disconnected" } else { leg_state };
            serde_json::json!({"id": leg, "purpose": "agent", "queueId": "q1",
                "calls": [{"id": "c", "state": leg_state, "recordersState":
                    {"adhocState": adhoc.as_str(), "customerExperienceState": there.policy.as_str()}}]})
        };
        let legs: Vec<serde_json::Value> =
            std::iter::once(customer).chain(there.agents.iter().map(agent)).collect();
        let divisions: Vec<serde_json::Value> =
            there.divisions.iter().map(|id| serde_json::json!({"division": {"id": id}})).collect();
        serde_json::json!({"id": conversation.as_str(), "recordingState": state, "securePause": secure,
            "startTime": there.begun.map(|at| at.to_string()), "participants": legs, "divisions": divisions})
        .to_string()
    }

    pub(super) fn answer(&mut self, request: &Request) -> RawAnswer {
        self.looks += usize::from(matches!(request, Request::GetConversation { .. }));
        let reads = matches!(request, Request::GetConversation { .. } | Request::ActivityQuery { .. });
        if self.api == Way::Shut || reads && self.reads == Way::Shut {
            return RawAnswer::Failed(Transport::Connect("refused".into()));
        }
        if matches!(request, Request::SetRecordingState { .. }) && !self.unsent.is_zero() {
            return RawAnswer::Failed(Transport::Unsent(self.unsent));
        }
        if let Some((status, body)) = (self.refuses)(request) {
            return answered(status, body.to_owned());
        }
        let body = match request {
            Request::ListQueues { .. } => {
                r#"{"entities":[{"id":"q1","name":"Payments"}],"pageCount":1}"#.into()
            }
            Request::CreateChannel => {
                r#"{"id":"ch","connectUri":"wss://x","expires":"2026-02-01T00:00:00Z"}"#.into()
            }
            Request::CheckChannel { .. } => "{}".into(),
            Request::Subscribe { topics, .. } => {
                self.topics = topics.iter().map(|one| one.as_str().to_owned()).collect();
                r#"{"entities":[]}"#.to_owned()
            }
            Request::ReadSubscriptions { .. } => {
                let listed = self.topics.iter().map(|id| serde_json::json!({ "id": id }));
                serde_json::json!({"entities": listed.collect::<Vec<_>>()}).to_string()
            }
            Request::ActivityQuery { .. } => {
                let live = self.calls.keys().filter(|id| !self.ended.contains(id));
                let live = live.map(|id| serde_json::json!({"conversationId": id.as_str()}));
                serde_json::json!({"results": [{"entities": live.collect::<Vec<_>>()}]}).to_string()
            }
            Request::GetConversation { conversation } if self.unreadable.contains(conversation) => {
                return answered(403, r#"{"message":"no division"}"#.into());
            }
            Request::GetConversation { conversation } if !self.calls.contains_key(conversation) => {
                return answered(404, "{}".into());
            }
            Request::GetConversation { conversation } => self.body(conversation),
            Request::SetRecordingState { conversation, state, .. } => {
                if let Some(there) = self.calls.get_mut(conversation) {
                    there.state = *state;
                }
                "{}".into()
            }
            Request::Snippet { conversation, participant, record, .. } => {
                let there = self.calls.get_mut(conversation);
                if let Some(adhoc) = there.and_then(|there| there.agents.get_mut(participant.as_str())) {
                    *adhoc = match record {
                        Switch::On => RecorderState::Active,
                        Switch::Off => RecorderState::None,
                    };
                }
                "{}".into()
            }
            other @ (Request::RecordingsAction { .. }
            | Request::ListUsers { .. }
            | Request::AvailableTopics
            | Request::TokenInfo) => panic!("the bench does not know {other:?}"),
        };
        answered(200, body)
    }
}

fn answered(status: u16, body: String) -> RawAnswer {
    let rate = RateHeaders::default();
    RawAnswer::Answered { status, retry_after: None, rate, correlation: String::new(), body }
}
