//! What the platform says of a channel unasked, on its socket.

use super::state::{List, Service, State, Why};
use super::{Session, Slot, SocketId};
use crate::model::time::Now;

impl Session {
    /// A closing notice: a successor is brought up while the socket still lives.
    pub fn closing(&mut self, socket: SocketId, now: Now) {
        self.plan_renewal(socket, Why::Closing, now);
    }

    /// The platform says something of the channel that makes it doubtful.
    pub fn distrust(&mut self, socket: SocketId, now: Now) {
        self.plan_renewal(socket, Why::Suspected, now);
    }

    /// The platform says that the channel lost its topics: nothing is heard on it from then on.
    pub fn unsubscribed(&mut self, socket: SocketId, came: Now, now: Now) {
        let live = |slot: &Slot| slot.state.live().is_some_and(|(open, _)| open.socket == socket);
        let found = self.slots.iter().find(|(_, slot)| live(slot)).map(|(id, _)| *id);
        if let Some(id) = found {
            self.doubt_since(id, came, "the platform ended the subscriptions of a channel", now);
        }
    }

    fn plan_renewal(&mut self, socket: SocketId, why: Why, now: Now) {
        if let Some(slot) = self.slot_of(socket)
            && slot.state.live().is_some()
        {
            slot.plan(why, now.mono);
        }
    }

    /// The platform's list may have changed: it is read back.
    pub fn list_changed(&mut self, socket: SocketId, now: Now) {
        if let Some(slot) = self.slot_of(socket)
            && let State::Open(open) = &mut slot.state
        {
            match (open.list, open.service) {
                // What is to be sent would hide that topics were taken.
                (List::Held(revision), _) | (List::Due(_), Service::Live { revision, .. }) => {
                    open.list = List::ReadDue(revision, now.mono);
                }
                // It may well tell of our own request.
                (List::Due(_) | List::Sending(_) | List::ReadDue(..) | List::Reading(_), _) => {}
            }
        }
    }
}
