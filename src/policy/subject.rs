//! What rules look at: a conversation, the facts pushed for it, and the topic that caused the look.

use std::collections::BTreeMap;

use crate::model::conversation::Conversation;

/// Facts that other systems pushed for one conversation: JSON values by name.
pub type Facts = BTreeMap<String, serde_json::Value>;

/// What rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The conversation, queue names filled in.
    pub conversation: &'a Conversation,
    /// Facts pushed for it.
    pub facts: &'a Facts,
    /// The topic of the event that caused the look; empty where none did (a resync, a timer).
    pub topic: &'a str,
}
