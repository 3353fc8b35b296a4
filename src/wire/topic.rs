//! Topics of the notification service, and how they are packed onto channels.

use std::collections::{BTreeMap, BTreeSet};
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

/// Channels that topics are spread over: one stays free for the successor that replaces another.
pub const CHANNELS_TO_FILL: usize = CHANNELS_PER_CLIENT - 1;

/// The topics of one channel, by a number that is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackId(pub u32);

/// How often the topics of a pack have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u32);

/// The topics of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pack {
    /// They.
    pub topics: BTreeSet<Topic>,
    /// Changes with each change of them.
    pub revision: Revision,
    /// The revision that last brought a topic in.
    pub grown: Revision,
}

/// Topics on as few channels as carry them. A topic stays where it is as long as it is wanted: a new one goes
/// where there is room, so that one queue more is a change of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packs {
    packs: BTreeMap<PackId, Pack>,
    made: u32,
}

impl Packs {
    /// Carries these topics from now on, on no more than so many channels; how many found no room.
    pub fn settle(&mut self, wanted: &BTreeSet<Topic>, most_packs: usize) -> usize {
        let mut held = BTreeSet::new();
        for pack in self.packs.values_mut() {
            let before = pack.topics.len();
            pack.topics.retain(|topic| wanted.contains(topic) && held.insert(topic.clone()));
            if pack.topics.len() != before {
                pack.revision.0 += 1;
            }
        }
        let mut new: Vec<&Topic> = wanted.difference(&held).collect();
        new.reverse();
        for pack in self.packs.values_mut() {
            pack.fill(&mut new);
        }
        while !new.is_empty() && self.packs.len() < most_packs {
            self.made += 1;
            let mut pack = Pack::default();
            pack.fill(&mut new);
            self.packs.insert(PackId(self.made), pack);
        }
        self.packs.retain(|_, pack| !pack.topics.is_empty());
        new.len()
    }

    /// The pack of this number.
    pub fn get(&self, id: PackId) -> Option<&Pack> {
        self.packs.get(&id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (PackId, &Pack)> {
        self.packs.iter().map(|(id, pack)| (*id, pack))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.packs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty()
    }
}

impl Pack {
    fn fill(&mut self, new: &mut Vec<&Topic>) {
        let room = TOPICS_PER_CHANNEL.saturating_sub(self.topics.len()).min(new.len());
        if room > 0 {
            self.topics.extend(new.drain(new.len() - room..).cloned());
            self.revision.0 += 1;
            self.grown = self.revision;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(numbers: std::ops::Range<usize>) -> BTreeSet<Topic> {
        numbers.map(|at| Topic::new(format!("v2.t{at:05}"))).collect()
    }

    fn sizes(packs: &Packs) -> Vec<usize> {
        packs.iter().map(|(_, pack)| pack.topics.len()).collect()
    }

    #[test]
    fn a_channel_carries_a_thousand_topics() {
        let mut packs = Packs::default();
        assert_eq!(packs.settle(&topics(0..2001), CHANNELS_TO_FILL), 0);
        assert_eq!(sizes(&packs), [1000, 1000, 1]);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_all_else_is_carried() {
        let mut packs = Packs::default();
        assert_eq!(packs.settle(&topics(0..20_000), CHANNELS_TO_FILL), 1000);
        assert_eq!(sizes(&packs), [1000; 19]);
    }

    #[test]
    fn one_topic_more_changes_one_pack_alone() {
        let mut packs = Packs::default();
        packs.settle(&topics(1..1501), CHANNELS_TO_FILL);
        let before: Vec<(PackId, Pack)> = packs.iter().map(|(id, pack)| (id, pack.clone())).collect();
        packs.settle(&topics(0..1501), CHANNELS_TO_FILL);
        let after: Vec<(PackId, Pack)> = packs.iter().map(|(id, pack)| (id, pack.clone())).collect();
        assert_eq!(before[0], after[0]);
        assert_eq!((after[1].1.topics.len(), after[1].1.revision), (501, Revision(2)));
    }

    #[test]
    fn a_topic_that_is_gone_leaves_the_others_where_they_are() {
        let mut packs = Packs::default();
        packs.settle(&topics(0..1500), CHANNELS_TO_FILL);
        let second = packs.get(PackId(2)).cloned();
        packs.settle(&topics(1..1500), CHANNELS_TO_FILL);
        assert_eq!(sizes(&packs), [999, 500]);
        assert_eq!(packs.get(PackId(2)).cloned(), second);
        let first = packs.get(PackId(1)).expect("the first");
        assert_eq!((first.revision, first.grown), (Revision(2), Revision(1)));
    }

    #[test]
    fn a_pack_without_topics_is_given_up_and_its_number_is_not_used_again() {
        let mut packs = Packs::default();
        packs.settle(&topics(0..1001), CHANNELS_TO_FILL);
        packs.settle(&topics(0..1000), CHANNELS_TO_FILL);
        packs.settle(&topics(0..1001), CHANNELS_TO_FILL);
        assert_eq!(packs.iter().map(|(id, _)| id).collect::<Vec<_>>(), [PackId(1), PackId(3)]);
    }
}
