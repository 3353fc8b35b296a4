//! One text of the notification socket to what it means (GENESYS.md 4.3). Frames without a topic, unknown
//! topics and unknown fields are borne; what is no JSON, too large or too deep is refused with a reason.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::conversation::{self, BodyError, Decoded};
use crate::wire::topic::Topic;

/// No frame is read beyond this: a conversation with very many participants has some hundred kB
/// (GENESYS.md 4.3), so this is not a conversation.
pub const LARGEST_FRAME: usize = 8 * 1024 * 1024;

/// What a frame means.
#[derive(Clone, Debug)]
pub enum Frame {
    /// The socket is alive.
    Heartbeat,
    /// The answer to our ping.
    Pong,
    /// The socket will be closed for maintenance within a minute.
    SocketClosing,
    /// Another system topic: the channel lost its subscriptions, or its token.
    System {
        /// Which one.
        topic: String,
    },
    /// The answer to a subscription sent through the socket.
    Subscribed {
        /// `200`, `400`, `404`.
        result: String,
    },
    /// A conversation as it is now.
    Conversation(Box<Event>),
    /// Something else.
    Unknown {
        /// Its topic; empty where it has none.
        topic: String,
    },
}

/// A conversation event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its topic.
    pub topic: Topic,
    /// `metadata.CorrelationId`; empty where absent.
    pub correlation: String,
    /// The conversation, and what was odd about it.
    pub decoded: Decoded,
}

/// Why a frame was refused.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// It is larger than any conversation.
    #[error("{size} bytes are more than a frame may have ({LARGEST_FRAME})")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// It is not JSON, or nested too deep to be read.
    #[error("not JSON that can be read: {0}")]
    NotJson(serde_json::Error),
    /// It is about a conversation, but does not hold one.
    #[error("topic {topic}: {error}")]
    Body {
        /// Its topic.
        topic: String,
        /// What is wrong.
        error: BodyError,
    },
}

#[derive(Deserialize)]
struct Envelope<'f> {
    #[serde(default, rename = "topicName")]
    topic_name: Option<String>,
    #[serde(default, borrow, rename = "eventBody")]
    event_body: Option<&'f RawValue>,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default)]
    result: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default, rename = "CorrelationId", alias = "correlationId")]
    correlation: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    message: Option<String>,
}

/// Reads a frame.
///
/// # Errors
/// Where it cannot be read; the socket goes on.
pub fn read(text: &str) -> Result<Frame, FrameError> {
    if text.len() > LARGEST_FRAME {
        return Err(FrameError::TooLarge { size: text.len() });
    }
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(FrameError::NotJson)?;
    let topic = envelope.topic_name.unwrap_or_default();
    let lower = topic.to_ascii_lowercase();
    let body = envelope.event_body.map_or("{}", RawValue::get);
    if lower == "channel.metadata" {
        let message =
            serde_json::from_str::<Message>(body).ok().and_then(|one| one.message).unwrap_or_default();
        return Ok(if message.eq_ignore_ascii_case("pong") { Frame::Pong } else { Frame::Heartbeat });
    }
    if lower == "v2.system.socket_closing" {
        return Ok(Frame::SocketClosing);
    }
    if lower.starts_with("v2.system.") {
        return Ok(Frame::System { topic });
    }
    if topic.is_empty() {
        return Ok(match envelope.result {
            Some(result) => Frame::Subscribed {
                result: result.as_str().map_or_else(|| result.to_string(), str::to_owned),
            },
            None => Frame::Unknown { topic },
        });
    }
    if !is_conversation_topic(&lower) {
        return Ok(Frame::Unknown { topic });
    }
    match conversation::read(body) {
        Ok(decoded) => {
            let correlation = envelope.metadata.and_then(|one| one.correlation).unwrap_or_default();
            Ok(Frame::Conversation(Box::new(Event { topic: Topic::new(topic), correlation, decoded })))
        }
        Err(error) => Err(FrameError::Body { topic, error }),
    }
}

/// Whether a system topic tells only that the list of topics was changed, as by our own request.
pub fn tells_of_the_list(topic: &str) -> bool {
    topic.to_ascii_lowercase().starts_with("v2.system.subscription_changed")
}

/// Whether a system topic tells that the channel lost its topics (GENESYS.md 4.3).
pub fn tells_of_no_topics(topic: &str) -> bool {
    topic.to_ascii_lowercase().starts_with("v2.system.no_longer_subscribed")
}

/// An event that is later than this behind one that tells the same, or what came after it, does not come any more. The
/// platform promises no order (GENESYS.md 4.3), and says nothing of how late one may be.
pub const LATE_AT_MOST: Duration = Duration::from_secs(10);

/// What the text of a conversation event comes down to, without what differs from one copy to the other (its
/// correlation); none for any other frame.
pub fn fingerprint(text: &str) -> Option<u64> {
    let envelope: Envelope<'_> = serde_json::from_str(text).ok()?;
    let topic = envelope.topic_name?.to_ascii_lowercase();
    if !is_conversation_topic(&topic) {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    (topic, envelope.event_body?.get()).hash(&mut hasher);
    Some(hasher.finish())
}

/// `v2.{routing.queues,users}.{id}.conversations` and its media siblings; not `conversationsummary`, and
/// not what lies below one conversation (`....conversations.{id}.recordings`).
fn is_conversation_topic(lower: &str) -> bool {
    const MEDIA: [&str; 9] = [
        "calls",
        "callbacks",
        "chats",
        "cobrowsesessions",
        "emails",
        "messages",
        "screenshares",
        "socialexpressions",
        "videos",
    ];
    let rest = lower
        .strip_prefix("v2.routing.queues.")
        .or_else(|| lower.strip_prefix("v2.users."))
        .and_then(|rest| rest.split_once('.').map(|(_, rest)| rest));
    match rest {
        Some("conversations") => true,
        Some(rest) => rest.strip_prefix("conversations.").is_some_and(|media| MEDIA.contains(&media)),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeat_pong_and_closing_are_told_apart() {
        let frame = |text: &str| read(text).expect("a frame");
        let heartbeat = r#"{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}"#;
        assert!(matches!(frame(heartbeat), Frame::Heartbeat));
        assert!(matches!(
            frame(r#"{"topicName":"channel.metadata","eventBody":{"message":"pong"}}"#),
            Frame::Pong
        ));
        assert!(matches!(
            frame(r#"{"topicName":"v2.system.socket_closing","eventBody":{}}"#),
            Frame::SocketClosing
        ));
        assert!(matches!(frame(r#"{"result":"200","status":"subscribed"}"#), Frame::Subscribed { .. }));
        assert!(matches!(
            frame(r#"{"topicName":"v2.users.u.presence","eventBody":{}}"#),
            Frame::Unknown { .. }
        ));
        assert!(matches!(frame("{}"), Frame::Unknown { .. }));
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_harm() {
        assert!(matches!(read("no json"), Err(FrameError::NotJson(_))));
        assert!(matches!(read(&"x".repeat(16 << 20)), Err(FrameError::TooLarge { .. })));
        let deep = format!(
            r#"{{"topicName":"v2.users.u.conversations","eventBody":{}{}}}"#,
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        assert!(read(&deep).is_err());
    }

    #[test]
    fn an_event_is_read_with_its_topic_and_correlation() {
        let text = r#"{"topicName":"v2.users.u.conversations.calls","version":"2","metadata":{"CorrelationId":"k"},"eventBody":{"id":"c","recordingState":"active"}}"#;
        let Ok(Frame::Conversation(event)) = read(text) else { panic!("not an event") };
        assert_eq!((event.correlation.as_str(), event.decoded.conversation.id.as_str()), ("k", "c"));
    }

    #[test]
    fn copies_of_an_event_have_one_fingerprint_whatever_their_correlation() {
        let frame = |topic: &str, body: &str, correlation: &str| {
            format!(
                r#"{{"topicName":"{topic}","eventBody":{body},"metadata":{{"CorrelationId":"{correlation}"}}}}"#
            )
        };
        let topic = "v2.users.u.conversations";
        let print = fingerprint(&frame(topic, r#"{"id":"c"}"#, "1"));
        assert!(print.is_some());
        assert_eq!(fingerprint(&frame("V2.Users.u.conversations", r#"{"id":"c"}"#, "2")), print);
        assert_ne!(fingerprint(&frame(topic, r#"{"id":"d"}"#, "1")), print);
        assert_eq!(fingerprint(&frame("channel.metadata", "{}", "1")), None);
        assert_eq!(fingerprint("no json"), None);
    }
}
