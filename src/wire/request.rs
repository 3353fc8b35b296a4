//! Each request we can make, and its method, path and body. Sources: GENESYS.md 2.1, 3.2 and 4.1.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::model::conversation::Media;
use crate::model::ids::{ChannelId, ConversationId, ParticipantId, QueueId};
use crate::model::recording::{Action, RecorderState};
use crate::wire::topic::Topic;

/// Which recorder of a leg is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnippetKind {
    /// An ad-hoc recording.
    Adhoc,
    /// A snippet.
    Snippet,
}

/// Whether a recorder is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// One request to the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Secure pause (`Paused`) or resume (`Active`).
    SetRecordingState {
        /// Of which conversation.
        conversation: ConversationId,
        /// Its kind, which has a path of its own.
        media: Media,
        /// The state wanted.
        state: RecorderState,
    },
    /// Starts or stops the recorder of one leg.
    Snippet {
        /// Of which conversation.
        conversation: ConversationId,
        /// Of which leg.
        participant: ParticipantId,
        /// Which recorder.
        kind: SnippetKind,
        /// Whether it is to run.
        record: Switch,
    },
    /// The contract of the founding tutorial, for gateways that offer it.
    RecordingsAction {
        /// Of which conversation.
        conversation: ConversationId,
        /// What to do.
        action: Action,
    },
    /// Reads one conversation.
    GetConversation {
        /// Which one.
        conversation: ConversationId,
    },
    /// A page of the conversations that are live on these queues, from 1.
    ActivityQuery {
        /// The queues.
        queues: Vec<QueueId>,
        /// Which page.
        page: u32,
    },
    /// A page of the queues, from 1.
    ListQueues {
        /// Which page.
        page: u32,
    },
    /// A page of the users, from 1.
    ListUsers {
        /// Which page.
        page: u32,
    },
    /// Makes a channel.
    CreateChannel,
    /// Whether a channel still exists.
    CheckChannel {
        /// Which one.
        channel: ChannelId,
    },
    /// Replaces the topics of a channel.
    Subscribe {
        /// Which channel.
        channel: ChannelId,
        /// The topics.
        topics: Vec<Topic>,
    },
    /// Reads the topics of a channel.
    ReadSubscriptions {
        /// Which channel.
        channel: ChannelId,
    },
    /// The topics that the platform offers, with the permissions that each needs.
    AvailableTopics,
    /// What the token is good for.
    TokenInfo,
}

/// Entities asked for on one page; the platform's own most is 500 for queues, 100 elsewhere is safe.
pub const PAGE_SIZE: u32 = 100;

/// What stays as it is in a path segment: unreserved characters only (RFC 3986, 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn segment(id: &str) -> String {
    match id {
        // A dot segment would climb out of the path.
        "." | ".." => id.replace('.', "%2E"),
        other => utf8_percent_encode(other, SEGMENT).to_string(),
    }
}

impl Request {
    /// The HTTP method.
    pub fn method(&self) -> &'static str {
        match self {
            Self::SetRecordingState { .. } | Self::Subscribe { .. } => "PUT",
            Self::Snippet { .. }
            | Self::RecordingsAction { .. }
            | Self::ActivityQuery { .. }
            | Self::CreateChannel => "POST",
            Self::CheckChannel { .. } => "HEAD",
            Self::GetConversation { .. }
            | Self::ListQueues { .. }
            | Self::ListUsers { .. }
            | Self::ReadSubscriptions { .. }
            | Self::AvailableTopics
            | Self::TokenInfo => "GET",
        }
    }

    /// Path and query.
    pub fn path(&self) -> String {
        match self {
            Self::SetRecordingState { conversation, media, .. } => {
                let (family, id) = (family(*media), segment(conversation.as_str()));
                format!("/api/v2/conversations/{family}/{id}/recordingstate")
            }
            Self::Snippet { conversation, participant, .. } => {
                let (id, leg) = (segment(conversation.as_str()), segment(participant.as_str()));
                format!("/api/v2/conversations/calls/{id}/participants/{leg}/snippet/record")
            }
            Self::RecordingsAction { conversation, .. } => {
                format!("/api/v2/conversations/{}/recordings", segment(conversation.as_str()))
            }
            Self::GetConversation { conversation } => {
                format!("/api/v2/conversations/{}", segment(conversation.as_str()))
            }
            Self::ActivityQuery { page, .. } => {
                format!(
                    "/api/v2/analytics/conversations/activity/query?pageSize={PAGE_SIZE}&pageNumber={page}"
                )
            }
            Self::ListQueues { page } => {
                format!("/api/v2/routing/queues?pageSize={PAGE_SIZE}&pageNumber={page}")
            }
            Self::ListUsers { page } => format!("/api/v2/users?pageSize={PAGE_SIZE}&pageNumber={page}"),
            Self::CreateChannel => "/api/v2/notifications/channels".into(),
            Self::CheckChannel { channel } => {
                format!("/api/v2/notifications/channels/{}", segment(channel.as_str()))
            }
            Self::Subscribe { channel, .. } => {
                let id = segment(channel.as_str());
                format!("/api/v2/notifications/channels/{id}/subscriptions?ignoreErrors=true")
            }
            Self::ReadSubscriptions { channel } => {
                format!("/api/v2/notifications/channels/{}/subscriptions", segment(channel.as_str()))
            }
            Self::AvailableTopics => {
                "/api/v2/notifications/availabletopics?expand=requiresPermissions,permissionDetails".into()
            }
            Self::TokenInfo => "/api/v2/tokens/me".into(),
        }
    }

    /// The JSON body, where there is one.
    pub fn body(&self) -> Option<String> {
        let body = match self {
            Self::SetRecordingState { state, .. } => {
                json!({"recordingState": state.as_str().to_ascii_uppercase()})
            }
            Self::Snippet { kind, record, .. } => {
                let kind = match kind {
                    SnippetKind::Adhoc => "adhoc",
                    SnippetKind::Snippet => "snippet",
                };
                json!({"type": kind, "record": *record == Switch::On})
            }
            Self::RecordingsAction { action, .. } => json!({"action": action.as_str()}),
            Self::ActivityQuery { queues, .. } => activity_query(queues),
            Self::Subscribe { topics, .. } => {
                topics.iter().map(|topic| json!({"id": topic.as_str()})).collect()
            }
            Self::GetConversation { .. }
            | Self::ListQueues { .. }
            | Self::ListUsers { .. }
            | Self::CreateChannel
            | Self::CheckChannel { .. }
            | Self::ReadSubscriptions { .. }
            | Self::AvailableTopics
            | Self::TokenInfo => return None,
        };
        Some(body.to_string())
    }

    /// A permission that the request needs, any one of them where there are several (GENESYS.md 2.1).
    pub fn permission(&self) -> Option<&'static str> {
        match self {
            Self::SetRecordingState { .. } => Some("conversation:recording:pauseOthers"),
            Self::Snippet { .. } => Some("conversation:recording:snippetRecord"),
            Self::GetConversation { .. } => Some("conversation:communication:view"),
            Self::ActivityQuery { .. } => Some("analytics:queueObservation:view"),
            Self::ListQueues { .. } => Some("routing:queue:view"),
            Self::ListUsers { .. } => Some("directory:user:view"),
            Self::RecordingsAction { .. }
            | Self::CreateChannel
            | Self::CheckChannel { .. }
            | Self::Subscribe { .. }
            | Self::ReadSubscriptions { .. }
            | Self::AvailableTopics
            | Self::TokenInfo => None,
        }
    }
}

fn family(media: Media) -> &'static str {
    match media {
        Media::Call => "calls",
        Media::Callback => "callbacks",
        Media::Chat => "chats",
        Media::Cobrowse => "cobrowsesessions",
        Media::Email => "emails",
        Media::Message | Media::InternalMessage => "messages",
        Media::Screenshare => "screenshares",
        Media::Social => "socials",
        Media::Video => "videos",
    }
}

/// The real-time picture of the queues: who talks, rings or waits, with details (GENESYS.md 3.2).
/// Asks for the conversations as groups: a list of entities would be one, and cut short at a length that is told
/// nowhere.
fn activity_query(queues: &[QueueId]) -> serde_json::Value {
    let metrics: Vec<_> =
        ["oInteracting", "oAlerting", "oWaiting"].iter().map(|metric| json!({"metric": metric})).collect();
    let predicates: Vec<_> = queues
        .iter()
        .map(|queue| json!({"type": "dimension", "dimension": "queueId", "operator": "matches", "value": queue}))
        .collect();
    let filter = json!({"type": "or", "predicates": predicates});
    json!({"metrics": metrics, "groupBy": ["conversationId"], "filter": filter})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secure_pause_is_the_platforms_own_request() {
        let request = Request::SetRecordingState {
            conversation: ConversationId::new("c1"),
            media: Media::Call,
            state: RecorderState::Paused,
        };
        assert_eq!(
            (request.method(), request.path().as_str()),
            ("PUT", "/api/v2/conversations/calls/c1/recordingstate")
        );
        assert_eq!(request.body().as_deref(), Some(r#"{"recordingState":"PAUSED"}"#));
    }

    #[test]
    fn an_id_cannot_leave_its_segment() {
        for hostile in ["../../users/me", "a?b=c", "a#b", "..", "a%2fb"] {
            let path = Request::GetConversation { conversation: ConversationId::new(hostile) }.path();
            assert_eq!(path.matches('/').count(), 4, "{path}");
            assert!(!path.contains(['?', '#']) && !path.ends_with(".."), "{path}");
        }
    }
}
