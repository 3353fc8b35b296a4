//! Keeps the subscription alive: channel → socket → subscribed → lost, with a deadline for each wait.
//!
//! Topics lie in packs, one for each channel. Each pack has a slot, or two where topics are carried twice
//! (`subscribe.redundancy`). A slot makes a channel, opens its socket, subscribes, reads the list back, and
//! then listens. Where the topics of a pack change, the whole list is sent again on the live channel: no
//! socket is closed for it. Silence is probed and then treated as a loss; a lost socket is opened again on the
//! same channel as long as that exists (GENESYS.md, traps 9 to 11).
//!
//! # Make before break
//!
//! A channel that nears its end, that belongs to an old access token, or that may have gone deaf gets a
//! successor: a channel of its own, subscribed and confirmed, before the old socket is closed, and that one is
//! heard for [`LINGER`] longer, so that nothing on its way is lost. What both bring counts once. The old one answers a ping
//! meanwhile: one that had gone silent before it was replaced vouches for nothing since it was last heard.
//!
//! A closing notice is answered the same way. The official reaction is a second socket on the same channel
//! (trap 12), yet "the first WebSocket disconnects" then, and nowhere is it said that no event falls between
//! the two. A successor loses nothing by what is documented. It costs a channel, which lies unused until it
//! expires and is the first to go ("channels without an active connection will be removed first"). Only when
//! the channels made in one lifetime reach the platform's limit is the official way taken, so that a storm of
//! notices never makes more of them; what may fall between is a gap then, unless a twin heard it.
//!
//! # Gaps
//!
//! A loss is a gap only where no other socket of the same pack has been heard without a break since the lost
//! one was last heard itself. A channel that turns out to be deaf, or gone, may have brought nothing since its last event,
//! however often its socket was opened again.

mod hearing;
mod notices;
mod overlap;
mod renewal;
mod retiring;
mod state;
#[cfg(test)]
mod tests;
mod topics;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::model::ids::ChannelId;
use crate::model::time::{Mono, Now, Wall};
use crate::warden::backoff::Backoff;
use crate::wire::reply::Channel;
use crate::wire::request::Request;
use crate::wire::topic::{CHANNELS_PER_CLIENT, PackId, Packs, Topic};
pub use overlap::Novelty;
use overlap::Overlap;
pub use state::Effect;
use state::{List, Open, Renewal, Service, State};

/// Silence beyond this is probed: the heartbeat comes every 30 s (GENESYS.md 4.3), and a late one is no loss.
pub const SILENCE: Duration = Duration::from_secs(40);
/// A probe that is not answered within this means the socket is lost.
pub const PROBE_WAIT: Duration = Duration::from_secs(5);
/// A socket that does not open within this is lost.
pub const OPEN_WAIT: Duration = Duration::from_secs(15);
/// A channel is replaced so long before it expires, or when three quarters of its life are over.
pub const ROTATE_BEFORE: Duration = Duration::from_secs(3600);
/// A channel lives at least so long before it is replaced, however soon the platform says it expires.
pub const ROTATE_AT_MOST_EVERY: Duration = Duration::from_secs(60);
/// A socket is heard so long after its successor was confirmed: frames on their way arrive.
pub const LINGER: Duration = Duration::from_secs(5);
/// A new access token is fetched so long before the old one ends: the successors of every channel are up by
/// then, one after the other where the platform's limit leaves room for one only.
pub const TOKEN_RENEWED_BEFORE: Duration = Duration::from_secs(300);
/// No channel lives longer (GENESYS.md 4.2), whatever the clocks say.
const LONGEST_LIFE: Duration = Duration::from_secs(86_400);
/// The probe (GENESYS.md 4.3).
pub const PING: &str = r#"{"message":"ping"}"#;

/// How long after it was issued a token of this lifetime is replaced.
pub fn token_renewed_after(lifetime: Duration) -> Duration {
    lifetime - TOKEN_RENEWED_BEFORE.min(lifetime / 2)
}

/// One channel for one pack of topics, and what keeps it subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// One socket, never used again once lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SocketId(pub u64);

/// On how many channels each topic is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Redundancy {
    /// On one.
    #[default]
    Single,
    /// On two: the sudden loss of either opens no gap.
    Double,
}

/// What the platform's limit leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// Topics that are not subscribed at all.
    pub topics: usize,
    /// Packs that have one channel and should have two.
    pub single_packs: usize,
}

#[derive(Clone, Debug)]
struct Slot {
    pack: PackId,
    state: State,
    since: Now,
    rotate_at: Mono,
    backoff: Backoff,
    replaces: Option<SlotId>,
    renewal: Option<Renewal>,
    /// When the channel last brought an event before its socket was lost: it may be deaf since then, and is opened again.
    brought: Option<Now>,
}

/// One slot, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotView {
    /// Its number.
    pub slot: SlotId,
    /// What it waits for.
    pub state: &'static str,
    /// Topics it carries.
    pub topics: usize,
    /// Since when.
    pub since: Wall,
}

/// Whether a resync is owed once every topic is heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Resync {
    #[default]
    Owed,
    Done,
}

/// All slots.
#[derive(Clone, Debug, Default)]
pub struct Session {
    packs: Packs,
    slots: BTreeMap<SlotId, Slot>,
    next_slot: u32,
    next_socket: u64,
    /// Channels made and not yet expired, by what we know; the platform counts them all.
    made: Vec<(ChannelId, Mono)>,
    overlap: Overlap,
    rejected: BTreeMap<Topic, String>,
    resync: Resync,
    /// Since when every topic was heard, and the newest with them.
    heard_since: Option<Now>,
    effects: VecDeque<Effect>,
}

impl Session {
    fn add(&mut self, pack: PackId, replaces: Option<SlotId>, state: State, now: Now) {
        self.next_slot += 1;
        let slot = Slot {
            pack,
            state,
            since: now,
            rotate_at: now.mono + LONGEST_LIFE,
            backoff: Backoff::default(),
            replaces,
            renewal: None,
            brought: None,
        };
        self.slots.insert(SlotId(self.next_slot), slot);
    }

    fn drop_slot(&mut self, id: SlotId) {
        if let Some(slot) = self.slots.remove(&id)
            && let Some(socket) = slot.state.socket()
        {
            self.effects.push_back(Effect::Close(socket));
        }
    }

    /// The next thing to be done, until there is none.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether every topic is heard on one channel at least.
    pub fn is_live(&self) -> bool {
        self.every_pack_has(|slot| slot.state.live().is_some())
    }

    fn every_pack_has(&self, good: impl Fn(&Slot) -> bool) -> bool {
        let has = |pack| self.slots.values().any(|slot| slot.pack == pack && good(slot));
        !self.packs.is_empty() && self.packs.iter().all(|(id, _)| has(id))
    }

    /// The slots, for people.
    pub fn view(&self) -> Vec<SlotView> {
        let view = |(id, slot): (&SlotId, &Slot)| SlotView {
            slot: *id,
            state: slot.state.name(),
            topics: self.packs.get(slot.pack).map_or(0, |pack| pack.topics.len()),
            since: slot.since.wall,
        };
        self.slots.iter().map(view).collect()
    }

    /// A request that is due. The caller sends it; the slot asks for nothing more until its answer (or its
    /// failure) is told.
    pub fn next_request(&mut self, now: Mono) -> Option<(SlotId, Request)> {
        let due = |slot: &Slot| slot.state.request_due().is_some_and(|due| due <= now);
        let (id, slot) = self.slots.iter_mut().find(|(_, slot)| due(slot))?;
        let pack = self.packs.get(slot.pack)?;
        let request = match &mut slot.state {
            State::WantChannel { .. } => {
                slot.state = State::Creating;
                Request::CreateChannel
            }
            State::WantCheck { channel, .. } => {
                let channel = channel.clone();
                let request = Request::CheckChannel { channel: channel.id.clone() };
                slot.state = State::Checking { channel };
                request
            }
            State::Open(open) => {
                let channel = open.channel.id.clone();
                match open.list {
                    List::Due(_) => {
                        open.list = List::Sending(pack.revision);
                        Request::Subscribe { channel, topics: pack.topics.iter().cloned().collect() }
                    }
                    List::ReadDue(revision, _) => {
                        open.list = List::Reading(revision);
                        Request::ReadSubscriptions { channel }
                    }
                    List::Sending(_) | List::Reading(_) | List::Held(_) => return None,
                }
            }
            State::Creating | State::Checking { .. } | State::Opening { .. } | State::Retiring { .. } => {
                return None;
            }
        };
        Some((*id, request))
    }

    /// Whether a request is due.
    pub fn wants_request(&self, now: Mono) -> bool {
        self.slots.values().any(|slot| slot.state.request_due().is_some_and(|due| due <= now))
    }

    /// Whether a slot waits for the answer to this request: what it waited for before may be answered late.
    pub fn awaits(&self, id: SlotId, request: &Request) -> bool {
        match (self.slots.get(&id).map(|slot| &slot.state), request) {
            (Some(State::Creating), Request::CreateChannel) => true,
            (Some(State::Checking { channel }), Request::CheckChannel { channel: asked }) => {
                channel.id == *asked
            }
            (Some(State::Open(open)), Request::Subscribe { channel, .. }) => {
                open.channel.id == *channel && matches!(open.list, List::Sending(_))
            }
            (Some(State::Open(open)), Request::ReadSubscriptions { channel }) => {
                open.channel.id == *channel && matches!(open.list, List::Reading(_))
            }
            _ => false,
        }
    }

    /// A channel was made, which counts against the platform's limit whoever waits for it.
    pub fn channel_made(&mut self, id: SlotId, channel: Channel, now: Now) {
        let life = channel.expires.since(now.wall).min(LONGEST_LIFE);
        self.made.retain(|(_, until)| *until > now.mono);
        self.made.push((channel.id.clone(), now.mono + life));
        if let Some(slot) = self.slots.get_mut(&id).filter(|slot| matches!(slot.state, State::Creating)) {
            let rotate_after = life.saturating_sub(ROTATE_BEFORE).max(life * 3 / 4);
            slot.rotate_at = now.mono + rotate_after.max(ROTATE_AT_MOST_EVERY);
            slot.brought = None;
            self.open(id, channel, now);
        }
    }

    /// The channel that was checked still exists.
    pub fn channel_there(&mut self, id: SlotId, now: Now) {
        if let Some(State::Checking { channel }) = self.slots.get(&id).map(|slot| slot.state.clone()) {
            self.open(id, channel, now);
        }
    }

    fn open(&mut self, id: SlotId, channel: Channel, now: Now) {
        if let Some(slot) = self.slots.get_mut(&id) {
            self.next_socket += 1;
            let socket = SocketId(self.next_socket);
            slot.state = State::Opening { channel: channel.clone(), socket, deadline: now.mono + OPEN_WAIT };
            slot.since = now;
            self.effects.push_back(Effect::Open(socket, channel));
        }
    }

    /// A socket opened.
    pub fn opened(&mut self, socket: SocketId, now: Now) {
        if let Some(slot) = self.slot_of(socket)
            && let State::Opening { channel, .. } = &slot.state
        {
            let (channel, list) = (channel.clone(), List::Due(now.mono));
            let service = Service::Rising;
            slot.state = State::Open(Open {
                channel,
                socket,
                heard: now,
                probe: None,
                proved: now,
                came: now,
                brought: now,
                list,
                had: BTreeSet::new(),
                replaced: false,
                service,
            });
        }
    }

    /// The topics were taken; the list is read back next, since a topic can be missing from it.
    pub fn subscribed(&mut self, id: SlotId, now: Now) {
        if let Some(slot) = self.slots.get_mut(&id)
            && let State::Open(open) = &mut slot.state
            && let List::Sending(revision) = open.list
        {
            open.list = List::ReadDue(revision, now.mono);
            open.replaced = true;
        }
    }

    /// The list was read back: events flow.
    pub fn read_back(&mut self, id: SlotId, now: Now) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let State::Open(Open { list: List::Reading(revision), .. }) = slot.state else { return };
        slot.backoff.reset();
        let (pack, replaces) = (slot.pack, slot.replaces.take());
        let known = self.heard_revision(pack);
        let unbroken = self.hand_over(replaces, now);
        let current = self.packs.get(pack).map(|pack| (pack.revision, pack.grown));
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if let State::Open(open) = &mut slot.state {
            let unbroken = match open.service {
                Service::Rising => {
                    slot.since = now;
                    (open.proved, open.brought) = (now, slot.brought.take().unwrap_or(now));
                    unbroken.unwrap_or(now.mono)
                }
                Service::Live { unbroken, .. } => unbroken,
            };
            open.service = Service::Live { revision, unbroken };
            open.list = match current {
                Some((wanted, _)) if wanted != revision => List::Due(now.mono),
                Some(_) | None => List::Held(revision),
            };
        }
        let grown = current.is_some_and(|(_, grown)| known < Some(grown) && grown <= revision);
        if grown {
            self.heard_anew(now);
        }
        self.settle_resync(now);
    }

    /// Topics are heard that were not before: calls may be in progress there.
    fn heard_anew(&mut self, now: Now) {
        if self.resync == Resync::Done {
            self.heard_since = Some(now);
            self.effects.push_back(Effect::Grown);
        }
    }

    /// Since when every topic was heard as far as anybody knows; none while one is not, or is refused.
    pub fn heard_since(&self) -> Option<Now> {
        self.accepted_heard_since().filter(|_| self.rejected.is_empty())
    }

    /// Since when every topic was heard that the platform does not refuse; none while one of them is not.
    pub fn accepted_heard_since(&self) -> Option<Now> {
        self.heard_since.filter(|_| self.is_live())
    }

    /// Whether something was missed, and is made good once every topic is heard again by a channel that is not doubted.
    pub fn owes_resync(&self) -> bool {
        self.resync == Resync::Owed
    }

    fn settle_resync(&mut self, now: Now) {
        let sound = |slot: &Slot| slot.state.live().is_some() && slot.is_trusted();
        if self.resync == Resync::Owed && self.every_pack_has(sound) {
            self.resync = Resync::Done;
            self.heard_since = Some(now);
            self.effects.push_back(Effect::AllLive);
        }
    }

    fn slot_of(&mut self, socket: SocketId) -> Option<&mut Slot> {
        self.slots.values_mut().find(|slot| slot.state.socket() == Some(socket))
    }

    /// Whether no channel can be made without pushing out one that is in use.
    fn is_full(&self) -> bool {
        self.slots.len() >= CHANNELS_PER_CLIENT
    }

    /// Closes every socket.
    pub fn close(&mut self) {
        let all: Vec<SlotId> = self.slots.keys().copied().collect();
        for id in all {
            self.drop_slot(id);
        }
    }
}
