//! Keeps the subscription alive: channel → socket → subscribed → lost, with a deadline for each wait.
//!
//! Each pack of topics has a slot. A slot makes a channel, opens its socket, subscribes, reads the list
//! back, and then listens. Silence is probed and then treated as a loss; a lost socket is opened again on
//! the same channel as long as that exists (GENESYS.md, traps 9 to 12). Before a channel expires, and on a
//! closing notice, a successor with the same topics is brought up first, and only then the old socket is
//! closed.

mod state;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::time::{Mono, Now, Wall};
use crate::warden::backoff::Backoff;
use crate::warden::dice::Dice;
use crate::wire::reply::Channel;
use crate::wire::request::Request;
use crate::wire::topic::Topic;
pub use state::Effect;
use state::{State, request_due};

/// Silence beyond this is probed: the heartbeat comes every 30 s (GENESYS.md 4.3), and a late one is no loss.
pub const SILENCE: Duration = Duration::from_secs(40);
/// A probe that is not answered within this means the socket is lost.
pub const PROBE_WAIT: Duration = Duration::from_secs(5);
/// A socket that does not open within this is lost.
pub const OPEN_WAIT: Duration = Duration::from_secs(15);
/// A channel is replaced so long before it expires.
pub const ROTATE_BEFORE: Duration = Duration::from_secs(3600);
/// A channel lives at least so long before it is replaced, however soon the platform says it expires.
pub const ROTATE_AT_MOST_EVERY: Duration = Duration::from_secs(60);
/// The probe (GENESYS.md 4.3).
pub const PING: &str = r#"{"message":"ping"}"#;

/// One pack of topics and what keeps it subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// One socket, never used again once lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SocketId(pub u64);

#[derive(Clone, Debug)]
struct Slot {
    topics: Vec<Topic>,
    state: State,
    since: Now,
    backoff: Backoff,
    replaces: Option<SlotId>,
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

/// All slots.
#[derive(Clone, Debug, Default)]
pub struct Session {
    slots: BTreeMap<SlotId, Slot>,
    next_slot: u32,
    next_socket: u64,
    effects: VecDeque<Effect>,
}

impl Session {
    /// Subscribes these packs in place of whatever was subscribed before. Packs that stay are not touched.
    pub fn subscribe(&mut self, packs: Vec<Vec<Topic>>, now: Now) {
        let gone: Vec<SlotId> =
            self.slots.iter().filter(|(_, slot)| !packs.contains(&slot.topics)).map(|(id, _)| *id).collect();
        for id in gone {
            self.drop_slot(id);
        }
        for topics in packs {
            if !self.slots.values().any(|slot| slot.topics == topics) {
                self.add(topics, None, now);
            }
        }
    }

    fn add(&mut self, topics: Vec<Topic>, replaces: Option<SlotId>, now: Now) {
        self.next_slot += 1;
        let state = State::WantChannel { due: now.mono };
        let slot = Slot { topics, state, since: now, backoff: Backoff::default(), replaces };
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

    /// Whether every pack is live (there may be successors on their way).
    pub fn is_live(&self) -> bool {
        let live = |slot: &Slot| matches!(slot.state, State::Live { .. });
        !self.slots.is_empty() && self.slots.values().all(|slot| live(slot) || slot.replaces.is_some())
    }

    /// The slots, for people.
    pub fn view(&self) -> Vec<SlotView> {
        let view = |(id, slot): (&SlotId, &Slot)| SlotView {
            slot: *id,
            state: slot.state.name(),
            topics: slot.topics.len(),
            since: slot.since.wall,
        };
        self.slots.iter().map(view).collect()
    }

    /// A request that is due. The caller sends it; the slot asks for nothing more until its answer (or its
    /// failure) is told.
    pub fn next_request(&mut self, now: Mono) -> Option<(SlotId, Request)> {
        let (id, slot) =
            self.slots.iter_mut().find(|(_, slot)| request_due(&slot.state).is_some_and(|due| due <= now))?;
        let state = std::mem::replace(&mut slot.state, State::Creating);
        let (state, request) = match state {
            State::WantCheck { channel, .. } => {
                let request = Request::CheckChannel { channel: channel.id.clone() };
                (State::Checking { channel }, Some(request))
            }
            State::WantSubscribe { channel, socket, .. } => {
                let request = Request::Subscribe { channel: channel.id.clone(), topics: slot.topics.clone() };
                (State::Subscribing { channel, socket }, Some(request))
            }
            State::WantReadBack { channel, socket, .. } => {
                let request = Request::ReadSubscriptions { channel: channel.id.clone() };
                (State::ReadingBack { channel, socket }, Some(request))
            }
            State::WantChannel { .. } => (State::Creating, Some(Request::CreateChannel)),
            other @ (State::Creating
            | State::Checking { .. }
            | State::Opening { .. }
            | State::Subscribing { .. }
            | State::ReadingBack { .. }
            | State::Live { .. }) => (other, None),
        };
        slot.state = state;
        request.map(|request| (*id, request))
    }

    /// Whether a request is due.
    pub fn wants_request(&self, now: Mono) -> bool {
        self.slots.values().any(|slot| request_due(&slot.state).is_some_and(|due| due <= now))
    }

    /// A channel was made.
    pub fn channel_made(&mut self, id: SlotId, channel: Channel, now: Now) {
        self.open(id, channel, now);
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

    /// The topics were taken; the list is read back next, since a topic can be missing from it.
    pub fn subscribed(&mut self, id: SlotId, now: Now) {
        if let Some(slot) = self.slots.get_mut(&id)
            && let State::Subscribing { channel, socket } = &slot.state
        {
            slot.state = State::WantReadBack { channel: channel.clone(), socket: *socket, due: now.mono };
        }
    }

    /// The topics a slot asked for.
    pub fn topics(&self, id: SlotId) -> &[Topic] {
        self.slots.get(&id).map_or(&[], |slot| &slot.topics)
    }

    /// The list was read back: events flow.
    pub fn read_back(&mut self, id: SlotId, now: Now) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let State::ReadingBack { channel, socket } = &slot.state else { return };
        slot.state = State::Live { channel: channel.clone(), socket: *socket, heard: now, probe: None };
        slot.since = now;
        slot.backoff.reset();
        if let Some(old) = slot.replaces.take() {
            self.drop_slot(old);
        }
        if self.is_live() {
            self.effects.push_back(Effect::AllLive);
        }
    }

    /// A request of the slot failed for now: it is tried again after a while.
    pub fn failed(&mut self, id: SlotId, dice: &mut Dice, now: Now) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let due = now.mono + slot.backoff.fail(dice);
        slot.state = match std::mem::replace(&mut slot.state, State::Creating) {
            State::Checking { channel } => State::WantCheck { channel, due },
            State::Subscribing { channel, socket } => State::WantSubscribe { channel, socket, due },
            State::ReadingBack { channel, socket } => State::WantReadBack { channel, socket, due },
            State::Creating => State::WantChannel { due },
            other @ (State::WantChannel { .. }
            | State::WantCheck { .. }
            | State::Opening { .. }
            | State::WantSubscribe { .. }
            | State::WantReadBack { .. }
            | State::Live { .. }) => other,
        };
    }

    /// The channel is gone (404): a new one is made, and the socket of the old one closed.
    pub fn channel_gone(&mut self, id: SlotId, dice: &mut Dice, now: Now) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let due = now.mono + slot.backoff.fail(dice);
        if let Some(socket) = slot.state.socket() {
            self.effects.push_back(Effect::Close(socket));
        }
        slot.state = State::WantChannel { due };
    }

    /// A socket opened.
    pub fn opened(&mut self, socket: SocketId, now: Now) {
        if let Some(slot) = self.slot_of(socket)
            && let State::Opening { channel, .. } = &slot.state
        {
            slot.state = State::WantSubscribe { channel: channel.clone(), socket, due: now.mono };
        }
    }

    /// A text came: the socket is alive. Says whether the socket is one of ours.
    pub fn heard(&mut self, socket: SocketId, now: Now) -> bool {
        let Some(slot) = self.slot_of(socket) else { return false };
        if let State::Live { heard, probe, .. } = &mut slot.state {
            *heard = now;
            *probe = None;
        }
        true
    }

    /// A closing notice: a successor is brought up while the socket still lives.
    pub fn closing(&mut self, socket: SocketId, now: Now) {
        let found =
            self.slots.iter().find(|(_, slot)| slot.state.socket() == Some(socket)).map(|(id, _)| *id);
        if let Some(id) = found {
            self.succeed(id, now);
        }
    }

    /// Brings up a successor for every live slot: its channel can't be trusted.
    pub fn renew(&mut self, now: Now) {
        let ids: Vec<SlotId> = self.slots.keys().copied().collect();
        ids.into_iter().for_each(|id| self.succeed(id, now));
    }

    fn succeed(&mut self, id: SlotId, now: Now) {
        if self.slots.values().any(|slot| slot.replaces == Some(id)) {
            return;
        }
        if let Some(slot) = self.slots.get(&id)
            && matches!(slot.state, State::Live { .. })
        {
            let topics = slot.topics.clone();
            self.add(topics, Some(id), now);
        }
    }

    /// A socket is lost, and why.
    pub fn lost(&mut self, socket: SocketId, why: &str, dice: &mut Dice, now: Now) {
        let Some((id, slot)) = self.slots.iter_mut().find(|(_, slot)| slot.state.socket() == Some(socket))
        else {
            return;
        };
        let id = *id;
        let due = now.mono + slot.backoff.fail(dice);
        let state = std::mem::replace(&mut slot.state, State::WantChannel { due });
        match state {
            State::Live { channel, heard, .. } => {
                self.effects.push_back(Effect::Lost(heard.wall, why.to_owned()));
                slot.state = State::WantCheck { channel, due };
            }
            State::Opening { channel, .. }
            | State::WantSubscribe { channel, .. }
            | State::Subscribing { channel, .. }
            | State::WantReadBack { channel, .. }
            | State::ReadingBack { channel, .. } => slot.state = State::WantCheck { channel, due },
            State::WantChannel { .. }
            | State::Creating
            | State::WantCheck { .. }
            | State::Checking { .. } => {}
        }
        slot.since = now;
        let successor = self.slots.iter().find(|(_, slot)| slot.replaces == Some(id)).map(|(at, _)| *at);
        if let Some(successor) = successor {
            self.slots.remove(&id);
            if let Some(slot) = self.slots.get_mut(&successor) {
                slot.replaces = None;
            }
        }
    }

    fn slot_of(&mut self, socket: SocketId) -> Option<&mut Slot> {
        self.slots.values_mut().find(|slot| slot.state.socket() == Some(socket))
    }

    /// Probes what is silent, gives up what did not open, replaces what expires.
    pub fn tick(&mut self, dice: &mut Dice, now: Now) {
        let mut lost = Vec::new();
        let mut expiring = Vec::new();
        for (id, slot) in &mut self.slots {
            match &mut slot.state {
                State::Opening { socket, deadline, .. } if *deadline <= now.mono => {
                    lost.push((*socket, "the socket did not open in time"));
                }
                State::Live { socket, probe: Some(deadline), .. } if *deadline <= now.mono => {
                    lost.push((*socket, "no heartbeat, and no answer to a ping"));
                }
                State::Live { socket, heard, probe: probe @ None, .. }
                    if now.mono.since(heard.mono) >= SILENCE =>
                {
                    *probe = Some(now.mono + PROBE_WAIT);
                    self.effects.push_back(Effect::Send(*socket, PING));
                }
                State::Live { channel, .. }
                    if now.wall + ROTATE_BEFORE >= channel.expires
                        && now.mono.since(slot.since.mono) >= ROTATE_AT_MOST_EVERY =>
                {
                    expiring.push(*id);
                }
                State::WantChannel { .. }
                | State::Creating
                | State::WantCheck { .. }
                | State::Checking { .. }
                | State::Opening { .. }
                | State::WantSubscribe { .. }
                | State::Subscribing { .. }
                | State::WantReadBack { .. }
                | State::ReadingBack { .. }
                | State::Live { .. } => {}
            }
        }
        for (socket, why) in lost {
            self.effects.push_back(Effect::Close(socket));
            self.lost(socket, why, dice, now);
        }
        for id in expiring {
            self.succeed(id, now);
        }
    }

    /// When [`Session::tick`] has something to do, or a request falls due.
    pub fn next_wakeup(&self, now: Now) -> Option<Mono> {
        let of = |slot: &Slot| match &slot.state {
            State::Opening { deadline, .. } => Some(*deadline),
            State::Live { probe: Some(deadline), .. } => Some(*deadline),
            State::Live { heard, channel, .. } => {
                let rotation = channel.expires - ROTATE_BEFORE;
                let until = now.mono + rotation.since(now.wall).max(ROTATE_AT_MOST_EVERY);
                Some((heard.mono + SILENCE).min(until))
            }
            other @ (State::WantChannel { .. }
            | State::Creating
            | State::WantCheck { .. }
            | State::Checking { .. }
            | State::WantSubscribe { .. }
            | State::Subscribing { .. }
            | State::WantReadBack { .. }
            | State::ReadingBack { .. }) => request_due(other),
        };
        self.slots.values().filter_map(of).min()
    }

    /// Closes every socket.
    pub fn close(&mut self) {
        let all: Vec<SlotId> = self.slots.keys().copied().collect();
        for id in all {
            self.drop_slot(id);
        }
    }
}
