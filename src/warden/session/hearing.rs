//! What is heard: signs of life, events, and the copies of them that two sockets bring.

use super::overlap::{Miss, Novelty};
use super::state::{List, State};
use super::{Effect, Session, Slot, SocketId};
use crate::model::time::Now;

impl Session {
    /// A text came: the socket is alive. Says whether the socket is one of ours. Where the text waited, nothing is known
    /// of the socket since it came.
    pub fn heard(&mut self, socket: SocketId, came: Now, now: Now) -> bool {
        let Some(slot) = self.slot_of(socket) else { return false };
        if let State::Open(open) = &mut slot.state {
            open.heard = now;
            open.came = came;
            open.probe = None;
        }
        if let State::Retiring { silent, .. } = &mut slot.state {
            *silent = silent.filter(|_| came.mono < slot.since.mono).map(|_| came);
        }
        true
    }

    /// Whether another socket carries the same topics, so that events can come twice.
    pub fn is_doubled(&mut self, socket: SocketId) -> bool {
        let Some(pack) = self.slot_of(socket).map(|slot| slot.pack) else { return false };
        let carries =
            |slot: &&Slot| slot.pack == pack && slot.state.socket().is_some_and(|other| other != socket);
        self.slots.values().any(|slot| carries(&slot))
    }

    /// A conversation event came; `print` is what its text comes down to, where the socket is doubled.
    pub fn event(&mut self, socket: SocketId, print: Option<u64>, now: Now) -> Novelty {
        let Some(slot) = self.slot_of(socket) else { return Novelty::News };
        if let State::Open(open) = &mut slot.state {
            (open.proved, open.brought) = (now, open.came);
        }
        let pack = slot.pack;
        let Some(print) = print else { return Novelty::News };
        let revision = self.packs.get(pack).map(|pack| pack.revision);
        let slots = &self.slots;
        let expected = || {
            let live = slots.values().filter(|slot| slot.pack == pack).filter_map(|slot| slot.state.live());
            live.filter(|(open, _)| revision.map(List::Held) == Some(open.list))
                .map(|(open, _)| open.socket)
                .collect()
        };
        self.overlap.take(pack, print, socket, expected, now.mono)
    }

    /// A live channel that brought nothing at all since its twin brought what it missed is deaf.
    pub(super) fn take_miss(&mut self, miss: Miss, now: Now) {
        let found = self.slots.iter().find(|(_, slot)| {
            let live = slot.state.live().filter(|(open, _)| open.socket == miss.socket);
            live.is_some_and(|(open, _)| open.proved.mono <= miss.at)
        });
        if let Some((id, _)) = found.filter(|(_, slot)| !slot.is_doubted()) {
            let id = *id;
            self.effects.push_back(Effect::Deaf(id));
            self.doubt(id, "a channel missed what its twin heard", now);
        }
    }
}
