//! What a conversation takes in memory, in bytes: itself, and the texts and values that it holds.
//!
//! It is near enough for a bound, not exact: what the allocator adds is guessed at.

use std::io;

use serde_json::Value;

use crate::model::conversation::{Conversation, Participant};
use crate::policy::subject::Facts;
use crate::warden::book::{Call, Directive};

/// What became of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// They are known now.
    Taken,
    /// With those that are known already they are more than [`LARGEST_FACTS`](super::LARGEST_FACTS).
    TooMuch,
    /// There is no room for them.
    NoRoom,
}

/// What an entry of a map or a list takes beside its texts.
const ENTRY: usize = 64;

/// All that is known of one and held on it.
pub(super) fn of(call: &Call) -> usize {
    of_one_alone(&call.conversation) + of_facts(&call.facts) + call.directive.as_ref().map_or(0, of_directive)
}

/// One of which a snapshot alone is known.
pub(super) fn of_one_alone(conversation: &Conversation) -> usize {
    size_of::<Call>() + conversation.participants.iter().map(of_leg).sum::<usize>()
}

/// Facts pushed for one.
pub(super) fn of_facts(facts: &Facts) -> usize {
    facts.iter().map(|(name, value)| ENTRY + name.len() + of_value(value)).sum()
}

/// How long facts are, written as JSON.
pub(super) fn written(facts: &Facts) -> usize {
    let mut length = Length(0);
    // A map with texts for keys can be written, and counting does not fail.
    serde_json::to_writer(&mut length, facts).map_or(usize::MAX, |()| length.0)
}

fn of_leg(one: &Participant) -> usize {
    let attributes = one.attributes.iter().map(|(key, value)| key.len() + value.len() + ENTRY);
    size_of::<Participant>()
        + one.name.len()
        + one.address.len()
        + one.ani.len()
        + one.dnis.len()
        + one.id.as_str().len()
        + one.user.as_str().len()
        + one.queue.id.as_str().len()
        + one.queue.name.len()
        + one.flagged_reason.len()
        + attributes.sum::<usize>()
}

fn of_directive(one: &Directive) -> usize {
    one.id.len() + one.by.len() + one.reason.len()
}

fn of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(|one| size_of::<Value>() + of_value(one)).sum(),
        Value::Object(values) => values.iter().map(|(key, one)| ENTRY + key.len() + of_value(one)).sum(),
    }
}

/// Counts what is written to it.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
