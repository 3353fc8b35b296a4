//! The session against a platform that does as it is asked, by the state that a slot is in.

mod coming_up;
mod listening;
mod retiring;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::warden::dice::Dice;
use crate::wire::reply::Rejected;
use crate::wire::topic::{CHANNELS_TO_FILL, TOPICS_PER_CHANNEL, Topic};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// A session against a platform that does as it is asked, on a clock that is moved by hand.
struct Rig {
    session: Session,
    dice: Dice,
    now: Now,
    made: u32,
    sent: Vec<Request>,
    effects: Vec<Effect>,
    open: BTreeMap<SocketId, ChannelId>,
}

fn topics(count: usize) -> BTreeSet<Topic> {
    (0..count).map(|at| Topic::new(format!("v2.t{at:05}"))).collect()
}

impl Rig {
    fn new() -> Self {
        let now = Now { mono: Mono::new(DAY), wall: Wall::from_micros(1_800_000_000_000_000) };
        Self {
            session: Session::default(),
            dice: Dice::new(1),
            now,
            made: 0,
            sent: Vec::new(),
            effects: Vec::new(),
            open: BTreeMap::new(),
        }
    }

    /// Live, with so many topics.
    fn live(count: usize, redundancy: Redundancy) -> Self {
        let mut rig = Self::new();
        rig.session.subscribe(&topics(count), redundancy, rig.now);
        rig.settle();
        assert!(rig.session.is_live());
        rig.forget();
        rig
    }

    /// With a channel, and a socket that is to be opened.
    fn with_channel() -> Self {
        let mut rig = Self::new();
        rig.session.subscribe(&topics(1), Redundancy::Single, rig.now);
        let (slot, request) = rig.next().expect("a request");
        rig.answer(slot, &request);
        rig.take_effects();
        rig
    }

    /// Nothing is heard, and nothing answers the probe.
    fn fall_silent(&mut self) {
        for span in [SILENCE, PROBE_WAIT] {
            self.wait(span);
            self.tick();
        }
    }

    fn forget(&mut self) {
        self.sent.clear();
        self.effects.clear();
    }

    fn tick(&mut self) {
        self.session.tick(&mut self.dice, self.now);
        self.take_effects();
    }

    fn take_effects(&mut self) {
        while let Some(effect) = self.session.poll_effect() {
            match &effect {
                Effect::Open(socket, channel) => {
                    self.open.insert(*socket, channel.id.clone());
                }
                Effect::Close(socket) => drop(self.open.remove(socket)),
                Effect::Send(..) | Effect::Lost(..) | Effect::Deaf(_) | Effect::AllLive | Effect::Grown => {}
            }
            self.effects.push(effect);
        }
    }

    fn next(&mut self) -> Option<(SlotId, Request)> {
        let next = self.session.next_request(self.now.mono);
        self.sent.extend(next.iter().map(|(_, request)| request.clone()));
        next
    }

    fn channel(&mut self) -> Channel {
        self.made += 1;
        let id = format!("channel-{}", self.made);
        Channel { connect_uri: format!("wss://x/{id}"), id: ChannelId::new(id), expires: self.now.wall + DAY }
    }

    fn answer(&mut self, slot: SlotId, request: &Request) {
        if matches!(request, Request::CreateChannel) {
            let channel = self.channel();
            self.session.channel_made(slot, channel, self.now);
        } else if matches!(request, Request::CheckChannel { .. }) {
            self.session.channel_there(slot, self.now);
        } else if matches!(request, Request::Subscribe { .. }) {
            self.session.subscribed(slot, self.now);
        } else {
            self.session.read_back(slot, self.now);
        }
    }

    /// Answers and opens all that is due, until nothing is.
    fn settle(&mut self) {
        loop {
            self.tick();
            let waiting: Vec<SocketId> = self.open.keys().copied().collect();
            waiting.into_iter().for_each(|socket| self.session.opened(socket, self.now));
            match self.next() {
                Some((slot, request)) => self.answer(slot, &request),
                None => return self.take_effects(),
            }
        }
    }

    fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// So much time passes, with a heartbeat each half minute.
    fn pass(&mut self, span: Duration) {
        let end = self.now.mono + span;
        while self.now.mono < end {
            self.wait((SECOND * 30).min(end.since(self.now.mono)));
            self.beat();
            self.settle();
        }
    }

    fn beat(&mut self) {
        let sockets: Vec<SocketId> = self.open.keys().copied().collect();
        sockets.into_iter().for_each(|socket| assert!(self.session.heard(socket, self.now, self.now)));
    }

    fn lose(&mut self, socket: SocketId) {
        self.open.remove(&socket);
        self.session.lost(socket, "cut", &mut self.dice, self.now);
        self.take_effects();
    }

    fn sockets(&self) -> Vec<SocketId> {
        self.open.keys().copied().collect()
    }

    fn gaps(&self) -> Vec<Wall> {
        self.effects
            .iter()
            .filter_map(|effect| if let Effect::Lost(from, _) = effect { Some(*from) } else { None })
            .collect()
    }

    fn closed(&self) -> Vec<SocketId> {
        self.effects
            .iter()
            .filter_map(|effect| if let Effect::Close(socket) = effect { Some(*socket) } else { None })
            .collect()
    }

    fn has(&self, wanted: fn(&Effect) -> bool) -> bool {
        self.effects.iter().any(wanted)
    }

    fn states(&self) -> Vec<&'static str> {
        self.session.view().iter().map(|slot| slot.state).collect()
    }

    fn count(&self, wanted: fn(&Request) -> bool) -> usize {
        self.sent.iter().filter(|request| wanted(request)).count()
    }

    fn creations(&self) -> usize {
        self.count(|request| matches!(request, Request::CreateChannel))
    }
}
