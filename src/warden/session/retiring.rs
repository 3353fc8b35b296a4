//! A slot that has a successor: it is heard out, and shows that it heard until that took over.

use super::state::{Open, Service, State};
use super::{Effect, LINGER, PING, Session, SlotId};
use crate::model::time::{Mono, Now};

impl Session {
    /// Lets the one that was replaced retire; since when events were heard without a break, where they still were.
    pub(super) fn hand_over(&mut self, replaced: Option<SlotId>, now: Now) -> Option<Mono> {
        let id = replaced?;
        let slot = self.slots.get_mut(&id)?;
        let Some((open, unbroken)) = slot.state.live() else {
            self.drop_slot(id);
            return None;
        };
        let (socket, trusted) = (open.socket, slot.is_trusted());
        slot.state = State::Retiring { socket, until: now.mono + LINGER, silent: Some(open.came) };
        slot.since = now;
        self.effects.push_back(Effect::Send(socket, PING));
        // What was doubted vouches for nothing.
        trusted.then_some(unbroken)
    }

    /// One that was replaced is heard no more. Where it was silent all the while, nobody knows whether it still heard when
    /// its successor took over, and that one has heard since then alone.
    pub(super) fn retired(&mut self, id: SlotId, silent: Option<Now>, now: Now) {
        let (Some(heard), Some(slot)) = (silent, self.slots.get(&id)) else { return };
        let (pack, since) = (slot.pack, slot.since.mono);
        for other in self.slots.values_mut().filter(|other| other.pack == pack && other.since.mono >= since) {
            if let State::Open(Open { service: Service::Live { unbroken, .. }, .. }) = &mut other.state {
                *unbroken = other.since.mono;
            }
        }
        self.open_gap_unless_heard(id, heard, "the socket that was replaced had gone silent", now);
    }
}
