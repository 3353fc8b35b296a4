//! Notification channels, their subscriptions and their sockets (GENESYS.md 4).
//!
//! A channel lives for 24 hours from its last subscription, holds at most 1,000 topics and one socket. A
//! client has at most 20; a 21st pushes out the one last used longest ago, those without a socket first.
//! What was pushed out still answers and still beats, and gets no events. A channel ends with the access token
//! that made it at the latest, as it may on the platform (GENESYS.md 4.3).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::time::Mono;
use crate::sim::org::Org;
use crate::sim::random::Chance;

/// Topics of one channel (GENESYS.md 4.2).
pub const TOPICS_MOST: usize = 1_000;
/// Channels of one client (GENESYS.md 4.2).
pub const CHANNELS_MOST: usize = 20;
/// Letters of one topic id, combined or not (GENESYS.md 4.2).
const TOPIC_LENGTH: usize = 200;
/// Evicted and expired channels remembered, so that they still answer.
const GHOSTS_KEPT: usize = 200;

/// One WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SocketId(pub u64);

/// How a channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It gets events.
    Live,
    /// It was pushed out by a younger one.
    Evicted,
}

/// One notification channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its id, also in the path of its socket.
    pub id: String,
    /// How it stands.
    pub standing: Standing,
    /// When it ends, unless topics are subscribed again.
    pub expires: Mono,
    /// Its topics, as they were asked for.
    pub topics: BTreeSet<String>,
    /// Its socket.
    pub socket: Option<SocketId>,
    /// When its token ends.
    ends_with_token: Option<Mono>,
    last_used: Mono,
}

/// Whether events still reach a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// They do.
    Good,
    /// Nothing does, not even the pulse, and nobody has noticed yet.
    Gone,
}

/// One socket.
#[derive(Clone, Debug)]
pub struct Socket {
    /// Its channel.
    pub channel: String,
    /// Whether it still works.
    pub hearing: Hearing,
}

/// What the platform thinks of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// It may be had.
    Permitted,
    /// There is no such topic.
    Unknown,
    /// It exists, and these permissions are missing.
    Forbidden(Vec<&'static str>),
}

/// The topics that exist here: prefix, what follows the id, and what it needs. Which permissions the
/// platform itself asks for was not found (GENESYS.md 10); these are the ones of the matching reads.
pub const TEMPLATES: [(&str, &str, &str); 10] = [
    ("v2.routing.queues.", ".conversations", "conversation:communication:view"),
    ("v2.routing.queues.", ".conversations.calls", "conversation:communication:view"),
    ("v2.routing.queues.", ".conversations.callbacks", "conversation:communication:view"),
    ("v2.routing.queues.", ".conversations.chats", "conversation:communication:view"),
    ("v2.routing.queues.", ".conversations.emails", "conversation:communication:view"),
    ("v2.routing.queues.", ".conversations.messages", "conversation:communication:view"),
    ("v2.routing.queues.", ".users", "routing:queue:view"),
    ("v2.users.", ".conversations", "conversation:communication:view"),
    ("v2.users.", ".conversations.calls", "conversation:communication:view"),
    ("v2.users.", ".presence", "directory:user:view"),
];

/// The single topics of an id such as `v2.users.{id}?presence&conversations` (GENESYS.md 4.2); an id
/// that combines nothing stands for itself.
pub fn single_topics(id: &str) -> Vec<String> {
    match id.split_once('?') {
        None => vec![id.to_owned()],
        Some((prefix, suffixes)) => suffixes.split('&').map(|suffix| format!("{prefix}.{suffix}")).collect(),
    }
}

/// What the platform thinks of a topic id.
pub fn judge(id: &str, org: &Org, may: impl Fn(&str) -> bool) -> Topic {
    if id.len() >= TOPIC_LENGTH {
        return Topic::Unknown;
    }
    let mut missing = BTreeSet::new();
    for single in single_topics(id) {
        let needs = TEMPLATES.iter().find_map(|(prefix, suffix, permission)| {
            let subject = single.strip_prefix(prefix)?.strip_suffix(suffix)?;
            let queue = org.queue(subject).map(|queue| queue.standing);
            let standing = queue.or_else(|| org.user(subject).map(|user| user.standing))?;
            (standing == crate::sim::org::Standing::Open).then_some(*permission)
        });
        match needs {
            None => return Topic::Unknown,
            Some(permission) if !may(permission) => {
                missing.insert(permission);
            }
            Some(_) => {}
        }
    }
    if missing.is_empty() { Topic::Permitted } else { Topic::Forbidden(missing.into_iter().collect()) }
}

/// All channels and sockets.
#[derive(Clone, Debug)]
pub struct Channels {
    lifetime: Duration,
    channels: BTreeMap<String, Channel>,
    sockets: BTreeMap<SocketId, Socket>,
    next_socket: u64,
}

impl Channels {
    /// None yet; each will live for so long.
    pub fn new(lifetime: Duration) -> Self {
        Self { lifetime, channels: BTreeMap::new(), sockets: BTreeMap::new(), next_socket: 1 }
    }

    /// A new channel; the id of the one that it pushes out, where it does.
    pub fn create(&mut self, chance: &mut Chance, now: Mono) -> (String, Option<String>) {
        let live = |channel: &&Channel| channel.standing == Standing::Live && channel.expires > now;
        let evicted = if self.channels.values().filter(live).count() >= CHANNELS_MOST {
            let oldest = self.channels.values().filter(live);
            oldest
                .min_by_key(|channel| (channel.socket.is_some(), channel.last_used))
                .map(|channel| channel.id.clone())
        } else {
            None
        };
        if let Some(evicted) = &evicted {
            self.evict(evicted);
        }
        let id = format!("streaming-0-{}", chance.word(26));
        let channel = Channel {
            id: id.clone(),
            standing: Standing::Live,
            expires: now + self.lifetime,
            topics: BTreeSet::new(),
            socket: None,
            ends_with_token: None,
            last_used: now,
        };
        self.channels.insert(id.clone(), channel);
        self.forget_ghosts(now);
        (id, evicted)
    }

    fn forget_ghosts(&mut self, now: Mono) {
        if self.channels.len() > GHOSTS_KEPT + CHANNELS_MOST {
            self.channels.retain(|_, channel| {
                channel.socket.is_some() || (channel.standing == Standing::Live && channel.expires > now)
            });
        }
    }

    /// Cuts a channel off from events.
    pub fn evict(&mut self, id: &str) {
        if let Some(channel) = self.channels.get_mut(id) {
            channel.standing = Standing::Evicted;
        }
    }

    /// A channel ends at this moment, however often topics are subscribed again.
    pub fn end_with_token(&mut self, id: &str, end: Mono) {
        if let Some(channel) = self.channels.get_mut(id) {
            channel.ends_with_token = Some(end);
            channel.expires = channel.expires.min(end);
        }
    }

    /// The channel of this id, unless it is over.
    pub fn get(&mut self, id: &str, now: Mono) -> Option<&mut Channel> {
        let channel = self.channels.get_mut(id).filter(|channel| channel.expires > now)?;
        channel.last_used = now;
        Some(channel)
    }

    /// When a channel ends or has ended, and its socket; unlike [`Channels::get`] this is no use of it.
    pub fn expiry(&self, id: &str) -> Option<(Mono, Option<SocketId>)> {
        self.channels.get(id).map(|channel| (channel.expires, channel.socket))
    }

    /// All channels that are not over, pushed out or not.
    pub fn all(&self, now: Mono) -> impl Iterator<Item = &Channel> {
        self.channels.values().filter(move |channel| channel.expires > now)
    }

    /// Sets the topics of a channel, which lengthens its life.
    pub fn subscribe(&mut self, id: &str, topics: BTreeSet<String>, now: Mono) {
        let lifetime = self.lifetime;
        if let Some(channel) = self.get(id, now) {
            channel.topics = topics;
            let expires = now + lifetime;
            channel.expires = channel.ends_with_token.map_or(expires, |end| end.min(expires));
        }
    }

    /// A socket for a channel: the new one, and the one it pushes out. `None` where there is no channel.
    pub fn connect(&mut self, channel: &str, now: Mono) -> Option<(SocketId, Option<SocketId>)> {
        let id = SocketId(self.next_socket);
        let former = self.get(channel, now)?.socket.replace(id);
        self.next_socket += 1;
        if let Some(former) = former {
            self.sockets.remove(&former);
        }
        self.sockets.insert(id, Socket { channel: channel.to_owned(), hearing: Hearing::Good });
        Some((id, former))
    }

    /// Forgets a socket.
    pub fn disconnect(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.remove(&id) else {
            return;
        };
        if let Some(channel) = self.channels.get_mut(&socket.channel)
            && channel.socket == Some(id)
        {
            channel.socket = None;
        }
    }

    /// A socket that is open.
    pub fn socket(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.sockets.get_mut(&id)
    }

    /// All open sockets.
    pub fn sockets(&self) -> Vec<SocketId> {
        self.sockets.keys().copied().collect()
    }

    /// The sockets that one of these topics goes to, each with the topic as it was subscribed to singly.
    pub fn listeners(&self, topics: &[String], now: Mono) -> Vec<(SocketId, String)> {
        let mut listeners = Vec::new();
        for channel in self.all(now).filter(|channel| channel.standing == Standing::Live) {
            let Some(socket) = channel.socket else {
                continue;
            };
            for subscribed in channel.topics.iter().flat_map(|id| single_topics(id)) {
                // Topic ids are compared without regard to case (GENESYS.md, trap 13).
                if let Some(topic) = topics.iter().find(|topic| topic.eq_ignore_ascii_case(&subscribed)) {
                    listeners.push((socket, topic.clone()));
                }
            }
        }
        listeners
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    #[test]
    fn a_21st_channel_pushes_out_the_oldest_without_a_socket() {
        let (mut channels, mut chance) = (Channels::new(DAY), Chance::new(1));
        let ids: Vec<String> = (0..20).map(|n| channels.create(&mut chance, at(n)).0).collect();
        channels.connect(&ids[0], at(30)).expect("a socket");
        let (_, evicted) = channels.create(&mut chance, at(40));
        assert_eq!(evicted.as_ref(), Some(&ids[1]));
        assert_eq!(channels.get(&ids[1], at(41)).expect("it still answers").standing, Standing::Evicted);
    }

    #[test]
    fn a_second_socket_pushes_out_the_first() {
        let (mut channels, mut chance) = (Channels::new(DAY), Chance::new(1));
        let (id, _) = channels.create(&mut chance, at(0));
        let (first, _) = channels.connect(&id, at(1)).expect("a socket");
        let (second, former) = channels.connect(&id, at(2)).expect("a socket");
        assert_eq!(former, Some(first));
        channels.disconnect(first);
        assert_eq!(channels.get(&id, at(3)).and_then(|channel| channel.socket), Some(second));
    }

    #[test]
    fn a_channel_ends_after_a_day_unless_it_is_subscribed_again() {
        let (mut channels, mut chance) = (Channels::new(DAY), Chance::new(1));
        let (id, _) = channels.create(&mut chance, at(0));
        channels.subscribe(&id, BTreeSet::new(), at(1_000));
        assert!(channels.get(&id, at(86_500)).is_some());
        assert!(channels.get(&id, at(87_400)).is_none());
        assert!(channels.connect(&id, at(87_400)).is_none());
    }

    #[test]
    fn a_channel_ends_with_its_token_even_where_it_is_subscribed_again() {
        let (mut channels, mut chance) = (Channels::new(DAY), Chance::new(1));
        let (id, _) = channels.create(&mut chance, at(0));
        channels.end_with_token(&id, at(1_800));
        channels.subscribe(&id, BTreeSet::new(), at(1_000));
        assert!(channels.get(&id, at(1_799)).is_some());
        assert!(channels.get(&id, at(1_800)).is_none());
    }

    #[test]
    fn combined_topics_are_judged_and_heard_singly() {
        let org = Org::new(1);
        let (queue, user) = (&org.queues[0].id, &org.users[0].id);
        let judged = |id: &str| judge(id, &org, |permission| permission != "directory:user:view");
        assert_eq!(judged(&format!("v2.routing.queues.{queue}.conversations")), Topic::Permitted);
        assert_eq!(judged(&format!("v2.users.{user}?conversations&conversations.calls")), Topic::Permitted);
        assert_eq!(
            judged(&format!("v2.users.{user}?presence&conversations")),
            Topic::Forbidden(vec!["directory:user:view"])
        );
        assert_eq!(judged("v2.routing.queues.*.conversations"), Topic::Unknown);
        assert_eq!(
            judged(&format!("v2.routing.queues.{queue}?{}", "conversations&".repeat(20))),
            Topic::Unknown
        );
    }

    #[test]
    fn only_a_live_channel_with_a_socket_hears() {
        let (mut channels, mut chance) = (Channels::new(DAY), Chance::new(1));
        let (id, _) = channels.create(&mut chance, at(0));
        channels.subscribe(&id, BTreeSet::from(["v2.x?a&b".to_owned()]), at(0));
        let topics = ["v2.X.b".to_owned()];
        assert!(channels.listeners(&topics, at(1)).is_empty());
        let (socket, _) = channels.connect(&id, at(1)).expect("a socket");
        assert_eq!(channels.listeners(&topics, at(1)), [(socket, "v2.X.b".to_owned())]);
        channels.evict(&id);
        assert!(channels.listeners(&topics, at(1)).is_empty());
    }
}
