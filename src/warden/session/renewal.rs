//! What goes wrong with a channel, and what takes its place: failures, losses, doubts, successors.

use super::state::{List, Open, Renewal, Service, State, Why};
use super::{
    Effect, OPEN_WAIT, PING, PROBE_WAIT, ROTATE_AT_MOST_EVERY, Resync, SILENCE, Session, Slot, SlotId,
    SocketId,
};
use crate::model::time::{Mono, Now, Wall};
use crate::warden::dice::Dice;
use crate::wire::reply::Channel;
use crate::wire::topic::{CHANNELS_PER_CLIENT, PackId, Revision};

/// How a successor comes by its channel.
enum Way {
    NewChannel,
    SameChannel(Channel),
    /// Once the socket has answered.
    AfterPing(SocketId),
}

impl Session {
    /// A request of the slot failed for now: it is tried again after a while.
    pub fn failed(&mut self, id: SlotId, dice: &mut Dice, now: Now) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let due = now.mono + slot.backoff.fail(dice);
        match &mut slot.state {
            State::Creating => {
                slot.renewal = None;
                slot.state = State::WantChannel { due };
            }
            State::Checking { channel } => {
                slot.state = State::WantCheck { channel: channel.clone(), due };
            }
            State::Open(open) => match open.list {
                List::Sending(_) => open.list = List::Due(due),
                List::Reading(revision) => open.list = List::ReadDue(revision, due),
                List::Due(_) | List::ReadDue(..) | List::Held(_) => {}
            },
            State::WantChannel { .. }
            | State::WantCheck { .. }
            | State::Opening { .. }
            | State::Retiring { .. } => {}
        }
    }

    /// The channel is gone (404): another takes its place. While events still flow on it, only a successor ends it.
    pub fn channel_gone(&mut self, id: SlotId, dice: &mut Dice, now: Now) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if let State::Open(Open { list, service: Service::Live { revision, .. }, .. }) = &mut slot.state {
            *list = List::Held(*revision);
            return self.doubt(id, "the platform no longer knows the channel", now);
        }
        let due = now.mono + slot.backoff.fail(dice);
        let brought = slot.brought.take();
        let state = std::mem::replace(&mut slot.state, State::WantChannel { due });
        if let Some(socket) = state.socket() {
            self.effects.push_back(Effect::Close(socket));
        }
        if let State::Checking { channel } | State::Open(Open { channel, .. }) = state {
            self.made.retain(|(made, _)| *made != channel.id);
        }
        if let Some(brought) = brought {
            let why = "the platform no longer knows the channel, whose socket had been lost";
            self.open_gap_unless_heard(id, brought, why, now);
        }
    }

    /// What changed until `changed` was not told: no channel that heard then can be trusted. Each gets a successor, and
    /// what they missed is made good after it, or at once where all have one already. Answers since when one of them has
    /// brought no event.
    pub fn renew(&mut self, changed: Mono, now: Now) -> Option<Mono> {
        let mut quiet_since = None;
        for slot in self.slots.values_mut().filter(|slot| slot.since.mono <= changed) {
            let Some((open, _)) = slot.state.live() else { continue };
            quiet_since = quiet_since.into_iter().chain([open.brought.mono]).min();
            slot.plan(Why::Doubted, now.mono);
        }
        self.resync = Resync::Owed;
        self.settle_resync(now);
        quiet_since
    }

    /// There is a new access token. Whether it may use a channel that was made with the old one is said nowhere
    /// (GENESYS.md 4.3), and the channel may end with its token: each live one gets a successor, and what was not
    /// live yet begins anew.
    pub fn token_renewed(&mut self, now: Now) {
        for slot in self.slots.values_mut() {
            match &slot.state {
                State::Open(Open { service: Service::Live { .. }, .. }) => slot.plan(Why::Token, now.mono),
                State::WantChannel { .. } | State::Retiring { .. } => {}
                // It may be made with the old one.
                State::Creating => slot.plan(Why::Token, now.mono),
                State::WantCheck { .. }
                | State::Checking { .. }
                | State::Opening { .. }
                | State::Open(Open { service: Service::Rising, .. }) => {
                    self.effects.extend(slot.state.socket().map(Effect::Close));
                    slot.state = State::WantChannel { due: now.mono };
                    slot.since = now;
                }
            }
        }
    }

    /// A live channel may not have heard everything since it last brought an event.
    pub(super) fn doubt(&mut self, id: SlotId, why: &str, now: Now) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let Some((open, _)) = slot.state.live() else { return };
        let brought = open.brought;
        self.doubt_since(id, brought, why, now);
    }

    /// The same of one that may not have heard everything since then. Its gap is told once.
    pub(super) fn doubt_since(&mut self, id: SlotId, since: Now, why: &str, now: Now) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let is_told = slot.is_doubted();
        slot.plan(Why::Doubted, now.mono);
        if !is_told {
            self.open_gap_unless_heard(id, since, why, now);
        }
    }

    pub(super) fn open_gap_unless_heard(&mut self, id: SlotId, since: Now, why: &str, now: Now) {
        let Some(pack) = self.slots.get(&id).map(|slot| slot.pack) else { return };
        let hears = self.slots.iter().any(|(other, slot)| {
            *other != id
                && slot.pack == pack
                && slot.is_trusted()
                && slot.state.live().is_some_and(|(_, unbroken)| unbroken <= since.mono)
        });
        if !hears {
            self.lose(since.wall, why, now);
        }
    }

    fn lose(&mut self, since: Wall, why: &str, now: Now) {
        self.effects.push_back(Effect::Lost(since, why.to_owned()));
        self.resync = Resync::Owed;
        self.settle_resync(now);
    }

    /// A socket is lost, and why.
    pub fn lost(&mut self, socket: SocketId, why: &str, dice: &mut Dice, now: Now) {
        let found = self.slots.iter().find(|(_, slot)| slot.state.socket() == Some(socket));
        let Some(id) = found.map(|(id, _)| *id) else { return };
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let due = now.mono + slot.backoff.fail(dice);
        let renewal = slot.renewal.take();
        let heard = slot.state.live().map(|(open, _)| (open.came, open.brought));
        let state = std::mem::replace(&mut slot.state, State::WantChannel { due });
        match state {
            State::Retiring { silent, .. } => {
                self.retired(id, silent, now);
                self.slots.remove(&id);
                return;
            }
            State::Opening { channel, .. } | State::Open(Open { channel, .. }) => {
                // A channel that was to be replaced for more than its socket's sake is not used again.
                if renewal.is_none_or(|renewal| renewal.why == Why::Closing) {
                    slot.state = State::WantCheck { channel, due };
                    slot.brought = slot.brought.or(heard.map(|(_, brought)| brought));
                }
            }
            State::WantChannel { .. }
            | State::Creating
            | State::WantCheck { .. }
            | State::Checking { .. } => {}
        }
        slot.since = now;
        if let Some((heard, _)) = heard {
            self.open_gap_unless_heard(id, heard, why, now);
        }
        if let Some(successor) = self.successor_of(id) {
            self.slots.remove(&id);
            if let Some(slot) = self.slots.get_mut(&successor) {
                slot.replaces = None;
                slot.hurry(now.mono);
            }
        }
    }

    pub(super) fn successor_of(&self, id: SlotId) -> Option<SlotId> {
        self.slots.iter().find(|(_, slot)| slot.replaces == Some(id)).map(|(at, _)| *at)
    }

    /// The newest list of a pack that some slot hears.
    pub(super) fn heard_revision(&self, pack: PackId) -> Option<Revision> {
        let revision = |open: &Open| match open.service {
            Service::Live { revision, .. } => Some(revision),
            Service::Rising => None,
        };
        let slots = self.slots.values().filter(|slot| slot.pack == pack);
        slots.filter_map(|slot| slot.state.live()).filter_map(|(open, _)| revision(open)).max()
    }

    /// Probes what is silent, gives up what did not open, replaces what is to be replaced.
    pub fn tick(&mut self, dice: &mut Dice, now: Now) {
        let mut lost = Vec::new();
        let mut over = Vec::new();
        for (id, slot) in &mut self.slots {
            match &mut slot.state {
                State::Opening { socket, deadline, .. } if *deadline <= now.mono => {
                    lost.push((*socket, "the socket did not open in time"));
                }
                State::Retiring { until, silent, .. } if *until <= now.mono => over.push((*id, *silent)),
                State::Open(open) => match open.probe {
                    Some(deadline) if deadline <= now.mono => {
                        lost.push((open.socket, "no heartbeat, and no answer to a ping"));
                    }
                    None if now.mono.since(open.heard.mono) >= SILENCE => {
                        open.probe = Some(now.mono + PROBE_WAIT);
                        self.effects.push_back(Effect::Send(open.socket, PING));
                    }
                    Some(_) | None => {}
                },
                State::WantChannel { .. }
                | State::Creating
                | State::WantCheck { .. }
                | State::Checking { .. }
                | State::Opening { .. }
                | State::Retiring { .. } => {}
            }
            if slot.rotate_at <= now.mono && slot.state.live().is_some() {
                slot.plan(Why::Expiring, now.mono);
            }
        }
        for (id, silent) in over {
            self.retired(id, silent, now);
            self.drop_slot(id);
        }
        for (socket, why) in lost {
            self.effects.push_back(Effect::Close(socket));
            self.lost(socket, why, dice, now);
        }
        self.overlap.overdue(now.mono).into_iter().for_each(|miss| self.take_miss(miss, now));
        self.succeed(now);
    }

    /// Brings up the successors that are due, as far as channels are free.
    fn succeed(&mut self, now: Now) {
        self.made.retain(|(_, until)| *until > now.mono);
        let due: Vec<SlotId> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.renewal.is_some_and(|renewal| renewal.due <= now.mono))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let Some(pack) = self.slots.get(&id).map(|slot| slot.pack) else { continue };
            match self.way_of_renewal(id) {
                Some(Way::NewChannel) => self.add(pack, Some(id), State::WantChannel { due: now.mono }, now),
                Some(Way::SameChannel(channel)) => self.move_socket(id, channel, now),
                Some(Way::AfterPing(socket)) => self.ping(socket, now),
                None => {}
            }
        }
    }

    /// How the planned successor of a live slot can be had; none where it has to wait, or is there.
    fn way_of_renewal(&self, id: SlotId) -> Option<Way> {
        let slot = self.slots.get(&id)?;
        let (open, _) = slot.state.live()?;
        let why = slot.renewal?.why;
        if self.successor_of(id).is_some() {
            return None;
        }
        let spent = self.is_full() || self.made.len() >= CHANNELS_PER_CLIENT;
        if why == Why::Closing && spent {
            return self.way_to_move(id, slot.pack, open);
        }
        (!self.is_full()).then_some(Way::NewChannel)
    }

    /// Another socket on the same channel: one at a time, and only while its twin hears what may fall between the
    /// two. The twin vouches for the time from when it was live, so this one must have been heard since then.
    fn way_to_move(&self, id: SlotId, pack: PackId, open: &Open) -> Option<Way> {
        if self.is_moving(pack) {
            return None;
        }
        let twins = self.slots.iter().filter(|(other, slot)| **other != id && slot.pack == pack);
        let twins: Vec<&State> =
            twins.map(|(_, slot)| &slot.state).filter(|state| !state.retires()).collect();
        let mut since = twins.iter().filter_map(|state| state.live()).map(|(_, unbroken)| unbroken);
        if twins.is_empty() || since.clone().any(|unbroken| unbroken <= open.came.mono) {
            return Some(Way::SameChannel(open.channel.clone()));
        }
        (since.next().is_some() && open.probe.is_none()).then_some(Way::AfterPing(open.socket))
    }

    /// Whether a slot of the pack moves to another socket on its channel.
    fn is_moving(&self, pack: PackId) -> bool {
        self.slots.values().filter(|slot| slot.pack == pack).any(|slot| {
            let replaced = slot.replaces.and_then(|old| self.slots.get(&old));
            let channel = slot.state.channel().map(|channel| &channel.id);
            channel.is_some()
                && replaced.is_some_and(|old| old.state.channel().map(|channel| &channel.id) == channel)
        })
    }

    fn ping(&mut self, socket: SocketId, now: Now) {
        if let Some(slot) = self.slot_of(socket)
            && let State::Open(open) = &mut slot.state
        {
            open.probe = Some(now.mono + PROBE_WAIT);
            self.effects.push_back(Effect::Send(socket, PING));
        }
    }

    fn move_socket(&mut self, id: SlotId, channel: Channel, now: Now) {
        let brought = |slot: &Slot| slot.state.live().map(|(open, _)| open.brought);
        let known = self.slots.get(&id).map(|slot| (slot.pack, slot.rotate_at, brought(slot)));
        let Some((pack, rotate_at, brought)) = known else { return };
        self.next_socket += 1;
        let socket = SocketId(self.next_socket);
        let deadline = now.mono + OPEN_WAIT;
        self.add(pack, Some(id), State::Opening { channel: channel.clone(), socket, deadline }, now);
        if let Some(slot) = self.slots.get_mut(&SlotId(self.next_slot)) {
            (slot.rotate_at, slot.brought) = (rotate_at, brought);
        }
        self.effects.push_back(Effect::Open(socket, channel));
    }

    /// When [`Session::tick`] has something to do, or a request falls due.
    pub fn next_wakeup(&self) -> Option<Mono> {
        let of = |(id, slot): (&SlotId, &Slot)| match &slot.state {
            State::Opening { deadline, .. } => Some(*deadline),
            State::Retiring { until, .. } => Some(*until),
            State::Open(open) => {
                let silent = Some(open.probe.unwrap_or(open.heard.mono + SILENCE));
                let live = slot.state.live().is_some();
                let rotation = (live && slot.renewal.is_none()).then_some(slot.rotate_at);
                let startable = |_: &Renewal| self.way_of_renewal(*id).is_some();
                let renewal = slot.renewal.filter(startable).map(|renewal| renewal.due);
                [silent, rotation, renewal, slot.state.request_due()].into_iter().flatten().min()
            }
            State::WantChannel { .. }
            | State::Creating
            | State::WantCheck { .. }
            | State::Checking { .. } => slot.state.request_due(),
        };
        self.slots.iter().filter_map(of).chain(self.overlap.next_overdue()).min()
    }
}

impl Slot {
    /// Plans a successor. What doubts a channel or threatens its socket outranks what merely ages it.
    pub(super) fn plan(&mut self, why: Why, now: Mono) {
        let due = match why {
            Why::Closing | Why::Token => now,
            Why::Expiring | Why::Suspected | Why::Doubted => now.max(self.since.mono + ROTATE_AT_MOST_EVERY),
        };
        self.renewal = Some(self.renewal.map_or(Renewal { why, due }, |planned| Renewal {
            why: planned.why.max(why),
            due: planned.due.min(due),
        }));
    }

    /// Whether it may not have heard everything, which was told.
    pub(super) fn is_doubted(&self) -> bool {
        self.renewal.is_some_and(|renewal| renewal.why == Why::Doubted)
    }

    /// Whether nothing speaks against its hearing everything.
    pub(super) fn is_trusted(&self) -> bool {
        self.renewal.is_none_or(|renewal| renewal.why < Why::Suspected)
    }

    /// What waits for its next try goes at once.
    fn hurry(&mut self, now: Mono) {
        match &mut self.state {
            State::WantChannel { due } | State::WantCheck { due, .. } => *due = now,
            State::Creating
            | State::Checking { .. }
            | State::Opening { .. }
            | State::Open(_)
            | State::Retiring { .. } => {}
        }
    }
}
