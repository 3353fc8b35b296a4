//! What goes wrong at an interval, carried out.

use super::{Item, World};
use std::time::Duration;

use crate::model::time::Wall;
use crate::sim::faults::{Faults, Misfortune, Outage};
use crate::sim::life::Beat;
use crate::sim::post::SocketOut;
use crate::sim::world::odd;

/// How often each live call speaks in a burst of events.
const BURST: usize = 10;
/// How often it changes where sockets are exchanged.
const STIRRED_EVERY: Duration = Duration::from_millis(200);

/// An outage, told from the platform's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Out {
    /// What was out of reach.
    pub what: Outage,
    /// Since when.
    pub from: Wall,
    /// Until when.
    pub until: Wall,
}

impl World {
    /// What is out of reach now.
    pub fn outage(&self) -> Option<Outage> {
        self.outages.last().filter(|out| out.until > self.now.wall).map(|out| out.what)
    }

    /// From now on nothing goes wrong any more.
    pub fn calm(&mut self) {
        self.plan.faults = Faults::default();
        self.burst_until = None;
        let now = self.now.wall;
        if let Some(out) = self.outages.last_mut() {
            out.until = out.until.min(now);
        }
    }

    fn begin_outage(&mut self, what: Outage, lasts: Duration) {
        self.strikes(what.name());
        let from = self.now.wall;
        self.outages.push(Out { what, from, until: from + lasts });
        for socket in self.post.channels.sockets() {
            self.post.end(socket, SocketOut::Cut);
        }
    }

    /// Puts every misfortune on the agenda, or the moment from which on they come.
    pub(super) fn begin_faults(&mut self) {
        if let Some(after) = self.plan.faults.begin_after.take() {
            let later = std::mem::take(&mut self.plan.faults);
            return self.put(after, Item::BeginFaults(Box::new(later)));
        }
        for kind in Misfortune::ALL {
            if let Some(after) = self.plan.faults.next_after(kind, &mut self.chance) {
                self.put(after, Item::Misfortune(kind));
            }
        }
    }

    /// From now on these faults come.
    pub(super) fn take_faults(&mut self, faults: Faults) {
        self.note("fault", "", "the calm is over");
        self.plan.faults = faults;
        self.begin_faults();
    }

    pub(super) fn strike(&mut self, kind: Misfortune) {
        self.strikes(kind.name());
        self.note("fault", "", &format!("{kind:?}"));
        let sockets = self.post.channels.sockets();
        match kind {
            Misfortune::DropSockets => {
                for socket in sockets {
                    self.post.end(socket, SocketOut::Cut);
                }
            }
            Misfortune::CutSocket => {
                if let Some(socket) = self.chance.pick(&sockets).copied() {
                    self.post.end(socket, SocketOut::Cut);
                }
            }
            Misfortune::ClosingNotice => {
                for socket in sockets {
                    self.post.announce_closing(socket);
                    self.put(self.plan.faults.closing_notice, Item::CloseSocket(socket));
                }
            }
            Misfortune::Burst429 => {
                self.burst_until = Some(self.now.mono + self.plan.faults.burst_429_for);
            }
            Misfortune::HalfOpen => {
                if let Some(socket) = self.chance.pick(&sockets).copied() {
                    self.post.freeze(socket);
                }
            }
            Misfortune::EvictChannel => {
                let ids: Vec<String> =
                    self.post.channels.all(self.now.mono).map(|channel| channel.id.clone()).collect();
                if let Some(id) = self.chance.pick(&ids) {
                    self.post.channels.evict(id);
                }
            }
            Misfortune::RevokeTokens => {
                self.access.revoke_all();
                for socket in sockets {
                    self.post.announce_revocation(socket);
                }
            }
            Misfortune::OddFrame => self.send_odd_frame(),
            Misfortune::EventBurst => self.burst(),
            Misfortune::Outage => self.begin_outage(self.plan.faults.outage, self.plan.faults.outage_for),
        }
    }

    fn send_odd_frame(&mut self) {
        let topic =
            self.org.queues.first().map(|queue| format!("v2.routing.queues.{}.conversations", queue.id));
        let text = odd::frame(self.odd_frames, &topic.unwrap_or_default());
        self.odd_frames += 1;
        for socket in self.post.channels.sockets() {
            self.post.send(socket, SocketOut::Text(text.clone()));
        }
    }

    /// Every live call changes ten times at once.
    fn burst(&mut self) {
        (0..BURST).for_each(|round| self.change_all("burst", round));
    }

    /// A socket was opened: for a while every live call changes again and again.
    pub(super) fn begin_to_stir(&mut self) {
        let times = self.plan.faults.stirred_for.as_millis() / STIRRED_EVERY.as_millis();
        for time in 0..u32::try_from(times).unwrap_or(u32::MAX) {
            self.put(STIRRED_EVERY * time, Item::Stir);
        }
    }

    /// Every live call changes.
    pub(super) fn stir(&mut self) {
        self.strikes("calls changed while sockets are exchanged");
        self.change_all("stirred", 0);
    }

    fn change_all(&mut self, what: &str, round: usize) {
        let live: Vec<String> = self.live.iter().cloned().collect();
        for id in live {
            let value = format!("{round} {}", self.now.mono.since_start().as_millis());
            self.play_beat(&id, &Beat::Set(what.to_owned(), value));
        }
    }
}
