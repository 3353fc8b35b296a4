//! Topics of the notification service, and how they are packed onto channels.

use std::fmt;

use crate::model::ids::{QueueId, UserId};

/// "Each WebSocket connection is limited to 1,000 topics" (GENESYS.md 4.2).
pub const TOPICS_PER_CHANNEL: usize = 1000;
/// "20 channels per user and application" (GENESYS.md 4.2): a 21st evicts another without a word.
pub const CHANNELS_PER_CLIENT: usize = 20;

/// The name of a topic. The platform may answer in lower case, so names are equal without regard to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(String);

impl Topic {
    /// The name as written.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Every change of every conversation in a queue.
    pub fn queue_conversations(queue: &QueueId) -> Self {
        Self(format!("v2.routing.queues.{queue}.conversations"))
    }

    /// Every change of every conversation of a user.
    pub fn user_conversations(user: &UserId) -> Self {
        Self(format!("v2.users.{user}.conversations"))
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the platform means this topic by `name`.
    pub fn is_named(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// More topics than all channels of one client can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{topics} topics are more than the platform carries for one OAuth client ({}): name fewer queues in \
     [subscribe], or run a second daemon with a client of its own",
    TOPICS_PER_CHANNEL * CHANNELS_PER_CLIENT
)]
pub struct TooManyTopics {
    /// How many there are.
    pub topics: usize,
}

/// Packs topics onto as few channels as carry them.
///
/// # Errors
/// Where all channels of a client together cannot carry them.
pub fn pack(topics: Vec<Topic>) -> Result<Vec<Vec<Topic>>, TooManyTopics> {
    // One channel stays free for the successor that replaces another.
    if topics.len() > TOPICS_PER_CHANNEL * (CHANNELS_PER_CLIENT - 1) {
        return Err(TooManyTopics { topics: topics.len() });
    }
    Ok(topics.chunks(TOPICS_PER_CHANNEL).map(<[Topic]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_carries_a_thousand_topics() {
        let topics = |count: usize| (0..count).map(|at| Topic::new(format!("v2.t{at}"))).collect::<Vec<_>>();
        let sizes: Vec<usize> = pack(topics(2001)).expect("they fit").iter().map(Vec::len).collect();
        assert_eq!(sizes, [1000, 1000, 1]);
        assert_eq!(pack(topics(20_000)), Err(TooManyTopics { topics: 20_000 }));
    }
}
