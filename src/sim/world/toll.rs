//! What goes wrong with one event or one order, and how often anything did.

use std::time::Duration;

use super::{Item, World};
use crate::sim::channels::SocketId;
use crate::sim::life::Order;
use crate::sim::org::Standing;
use crate::sim::post::SocketOut;
use crate::sim::web::Refusal;

impl World {
    /// Counts a fault.
    pub fn strikes(&mut self, kind: &'static str) {
        *self.struck.entry(kind).or_default() += 1;
    }

    /// Refuses an order for a conversation in a division where the client has no role.
    pub fn admit(&mut self, id: &str, permission: &'static str) -> Result<(), Refusal> {
        self.access.demand(permission)?;
        if !self.plan.faults.forbids(id) {
            return Ok(());
        }
        self.strikes("403 in a division without the role");
        Err(Refusal::missing(permission))
    }

    /// Accepts an order; it is carried out a little later, unless that is the fault to show.
    pub fn accept(&mut self, id: &str, order: Order) {
        self.reactions.ordered(id, self.now.mono);
        if self.chance.strikes(self.plan.faults.not_applied) {
            self.strikes("order accepted and not applied");
            self.note("not-applied", id, &format!("{order:?}"));
            return;
        }
        let mut after = self.chance.span(self.plan.apply_delay.0, self.plan.apply_delay.1);
        if self.chance.strikes(self.plan.faults.late_orders) {
            self.strikes("order applied late");
            after += self.chance.span(Duration::ZERO, self.plan.faults.late_by);
        }
        self.put(after, Item::Apply(id.to_owned(), order));
    }

    pub(super) fn send_event(&mut self, socket: SocketId, text: String) {
        let (lose, double, reorder, by) = {
            let faults = &self.plan.faults;
            (faults.lose_events, faults.duplicate_events, faults.reorder_events, faults.reorder_by)
        };
        if self.chance.strikes(lose) {
            return self.strikes("event lost");
        }
        if self.chance.strikes(double) {
            self.strikes("event doubled");
            self.post.send(socket, SocketOut::Text(text.clone()));
        }
        if self.chance.strikes(reorder) {
            self.strikes("event re-ordered");
            let after = self.chance.span(Duration::ZERO, by);
            return self.put(after, Item::Deliver(socket, text));
        }
        self.post.send(socket, SocketOut::Text(text));
    }

    /// Puts on the agenda which queues and users come and go as planned.
    pub(super) fn expect_changes(&mut self) {
        for (after, name) in self.plan.new_queues.clone() {
            self.put(after, Item::OpenQueue(name));
        }
        for (after, address) in self.plan.turning_users.clone() {
            self.put(after, Item::TurnUser(address));
        }
    }

    /// Removes a queue, or brings a removed one back; one is always left.
    pub fn turn_queue(&mut self) {
        let place = self.chance.below(self.org.queues.len());
        let open = self.org.open_queues().len();
        if let Some(queue) = self.org.queues.get_mut(place) {
            queue.standing = match queue.standing {
                Standing::Open if open > 1 => Standing::Removed,
                Standing::Open | Standing::Removed => Standing::Open,
            };
            let text = format!("{} {:?}", queue.name, queue.standing);
            self.note("fault", "", &text);
        }
    }

    /// Removes an agent from the lists, or brings a removed one back.
    pub fn turn_user(&mut self) {
        let place = self.chance.below(self.org.users.len());
        self.turn_user_at(place);
    }

    pub(super) fn turn_user_of(&mut self, address: &str) {
        if let Some(place) = self.org.users.iter().position(|user| user.email == address) {
            self.turn_user_at(place);
        }
    }

    fn turn_user_at(&mut self, place: usize) {
        if let Some(user) = self.org.users.get_mut(place) {
            user.standing = match user.standing {
                Standing::Open => Standing::Removed,
                Standing::Removed => Standing::Open,
            };
            let text = format!("{} {:?}", user.name, user.standing);
            self.note("fault", "", &text);
        }
    }
}
