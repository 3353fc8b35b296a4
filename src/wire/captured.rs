//! One entry of an event file (PRODUCT.md 4): a frame as the platform sent it, a frame with the moment it
//! came at as `capture` writes it, one bare conversation, or the names of queues.
//!
//! Events of the `...conversations` family name a queue by its id alone. A line `{"queues":{"id":"name"}}`
//! tells the names, so that rules that name queues match what was captured.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::model::ids::QueueId;
use crate::model::time::Wall;
use crate::wire::conversation::{self, BodyError};
use crate::wire::frame::{self, Event, Frame, FrameError};
use crate::wire::topic::Topic;

/// One entry.
#[derive(Clone, Debug)]
pub struct Captured {
    /// When it came; none where the file does not say.
    pub at: Option<Wall>,
    /// What it holds.
    pub what: Contents,
}

/// What an entry holds.
#[derive(Clone, Debug)]
pub enum Contents {
    /// A conversation as it was then.
    Conversation(Box<Event>),
    /// Names of queues.
    Queues(BTreeMap<QueueId, String>),
    /// A frame that is about something else: a heartbeat, another topic.
    Other,
}

/// Why an entry is not used.
#[derive(Debug, thiserror::Error)]
pub enum CapturedError {
    /// It is no JSON object.
    #[error("not a JSON object: {0}")]
    NotJson(serde_json::Error),
    /// Its `at` is not a moment.
    #[error("'at' is not an RFC 3339 instant: '{0}'")]
    At(String),
    /// Its frame cannot be read.
    #[error(transparent)]
    Frame(FrameError),
    /// It is a conversation that cannot be read.
    #[error(transparent)]
    Body(BodyError),
    /// It is something else.
    #[error(
        "neither a frame (\"topicName\", \"eventBody\"), nor {{\"at\", \"frame\"}}, nor a conversation with an \"id\""
    )]
    Neither,
}

#[derive(Deserialize)]
struct Entry<'e> {
    #[serde(default, borrow)]
    at: Option<Cow<'e, str>>,
    #[serde(default, borrow)]
    frame: Option<&'e RawValue>,
    #[serde(default)]
    queues: Option<BTreeMap<QueueId, String>>,
    #[serde(default, rename = "topicName")]
    topic_name: Option<IgnoredAny>,
    #[serde(default, rename = "eventBody")]
    event_body: Option<IgnoredAny>,
    #[serde(default)]
    id: Option<IgnoredAny>,
}

/// Reads one entry.
///
/// # Errors
/// Where it is not one; the ones after it may be.
pub fn read(text: &str) -> Result<Captured, CapturedError> {
    let entry: Entry<'_> = serde_json::from_str(text).map_err(CapturedError::NotJson)?;
    let moment = |text: Cow<'_, str>| Wall::parse(&text).ok_or_else(|| CapturedError::At(text.into_owned()));
    let at = entry.at.map(moment).transpose()?;
    let what = if let Some(frame) = entry.frame {
        framed(frame.get())?
    } else if entry.topic_name.is_some() || entry.event_body.is_some() {
        framed(text)?
    } else if let Some(queues) = entry.queues {
        Contents::Queues(queues)
    } else if entry.id.is_some() {
        let decoded = conversation::read(text).map_err(CapturedError::Body)?;
        let (topic, correlation) = (Topic::new(""), String::new());
        Contents::Conversation(Box::new(Event { topic, correlation, decoded }))
    } else {
        return Err(CapturedError::Neither);
    };
    Ok(Captured { at, what })
}

fn framed(text: &str) -> Result<Contents, CapturedError> {
    match frame::read(text).map_err(CapturedError::Frame)? {
        Frame::Conversation(event) => Ok(Contents::Conversation(event)),
        Frame::Heartbeat
        | Frame::Pong
        | Frame::SocketClosing
        | Frame::System { .. }
        | Frame::Subscribed { .. }
        | Frame::Unknown { .. } => Ok(Contents::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str =
        r#"{"topicName":"v2.users.u.conversations.calls","eventBody":{"id":"c","participants":[]}}"#;

    fn conversation_of(text: &str) -> (Option<Wall>, String) {
        let captured = read(text).expect("an entry");
        let Contents::Conversation(event) = captured.what else { panic!("no conversation in {text}") };
        (captured.at, format!("{} {}", event.topic.as_str(), event.decoded.conversation.id))
    }

    #[test]
    fn the_three_forms_of_a_conversation_are_read() {
        let topic = "v2.users.u.conversations.calls c".to_owned();
        assert_eq!(conversation_of(FRAME), (None, topic.clone()));
        let at = "2026-01-05T09:00:00Z";
        let captured = format!(r#"{{"at":"{at}","frame":{FRAME}}}"#);
        assert_eq!(conversation_of(&captured), (Wall::parse(at), topic));
        assert_eq!(conversation_of(r#"{"id":"c","participants":[]}"#), (None, " c".into()));
    }

    #[test]
    fn what_is_about_something_else_is_no_fault() {
        for text in
            [r#"{"topicName":"channel.metadata","eventBody":{"message":"pong"}}"#, r#"{"topicName":"x"}"#]
        {
            assert!(matches!(read(text).expect("an entry").what, Contents::Other), "{text}");
        }
        let Contents::Queues(queues) = read(r#"{"queues":{"q":"Payments"}}"#).expect("an entry").what else {
            panic!("no names")
        };
        assert_eq!(queues.get(&QueueId::new("q")).map(String::as_str), Some("Payments"));
    }

    #[test]
    fn what_is_no_entry_says_why() {
        let why = |text: &str| read(text).expect_err("no entry").to_string();
        assert!(why("[1]").starts_with("not a JSON object"), "{}", why("[1]"));
        assert!(why("{}").starts_with("neither a frame"));
        assert!(why(r#"{"at":"noon","frame":{}}"#).contains("'noon'"));
        assert!(why(r#"{"id":7}"#).starts_with("not a conversation"));
    }
}
