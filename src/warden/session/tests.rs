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
        sockets.into_iter().for_each(|socket| assert!(self.session.heard(socket, self.now)));
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

#[test]
fn a_slot_goes_from_channel_to_socket_to_list_to_live() {
    let mut rig = Rig::new();
    rig.session.subscribe(&topics(2), Redundancy::Single, rig.now);
    assert_eq!((rig.states(), rig.session.is_live()), (vec!["making a channel"], false));
    let (slot, request) = rig.next().expect("a request");
    assert_eq!(request, Request::CreateChannel);
    assert!(rig.next().is_none(), "one request of a slot at a time");
    rig.answer(slot, &request);
    rig.take_effects();
    assert_eq!(rig.states(), ["opening"]);
    let socket = rig.sockets()[0];
    rig.session.opened(socket, rig.now);
    assert_eq!(rig.states(), ["subscribing"]);
    let (slot, request) = rig.next().expect("the list");
    assert!(matches!(&request, Request::Subscribe { topics, .. } if topics.len() == 2));
    rig.answer(slot, &request);
    let (slot, request) = rig.next().expect("the look at it");
    assert!(matches!(request, Request::ReadSubscriptions { .. }));
    assert!(!rig.session.is_live());
    rig.answer(slot, &request);
    rig.take_effects();
    assert_eq!((rig.states(), rig.session.is_live()), (vec!["live"], true));
    assert!(rig.has(|effect| matches!(effect, Effect::AllLive)));
    assert!(!rig.session.wants_request(rig.now.mono));
}

#[test]
fn a_request_that_fails_is_made_again_after_a_while() {
    let mut rig = Rig::new();
    rig.session.subscribe(&topics(1), Redundancy::Single, rig.now);
    for _ in 0..4 {
        let (slot, request) = rig.next().expect("a request");
        rig.session.failed(slot, &mut rig.dice, rig.now);
        assert!(rig.next().is_none(), "not at once");
        let due = rig.session.next_wakeup().expect("a moment");
        rig.wait(due.since(rig.now.mono));
        let (slot, again) = rig.next().expect("the same once more");
        assert_eq!(request, again);
        rig.answer(slot, &again);
        rig.take_effects();
        rig.sockets().into_iter().for_each(|socket| rig.session.opened(socket, rig.now));
        if rig.session.is_live() {
            return;
        }
    }
    panic!("it is not live: {:?}", rig.states());
}

#[test]
fn a_socket_that_does_not_open_in_time_is_opened_again_on_the_same_channel() {
    let mut rig = Rig::new();
    rig.session.subscribe(&topics(1), Redundancy::Single, rig.now);
    let (slot, request) = rig.next().expect("a request");
    rig.answer(slot, &request);
    rig.take_effects();
    let first = rig.sockets();
    assert_eq!(rig.session.next_wakeup(), Some(rig.now.mono + OPEN_WAIT));
    rig.wait(OPEN_WAIT);
    rig.tick();
    assert_eq!((rig.closed(), rig.states()), (first, vec!["checking the channel"]));
    assert_eq!(rig.gaps(), [], "nothing was heard yet, so nothing is missed");
    rig.wait(SECOND);
    rig.settle();
    assert_eq!((rig.made, rig.session.is_live()), (1, true));
}

#[test]
fn silence_is_probed_and_an_answer_ends_the_doubt() {
    let mut rig = Rig::live(1, Redundancy::Single);
    assert_eq!(rig.session.next_wakeup(), Some(rig.now.mono + SILENCE));
    rig.wait(SILENCE);
    rig.tick();
    assert!(rig.has(|effect| matches!(effect, Effect::Send(_, PING))));
    assert_eq!(rig.session.next_wakeup(), Some(rig.now.mono + PROBE_WAIT));
    rig.beat();
    rig.wait(PROBE_WAIT);
    rig.tick();
    assert_eq!((rig.states(), rig.gaps()), (vec!["live"], vec![]));
}

#[test]
fn a_probe_without_an_answer_is_a_loss_since_the_last_sign_of_life() {
    let mut rig = Rig::live(1, Redundancy::Single);
    let heard = rig.now.wall;
    rig.wait(SILENCE);
    rig.tick();
    rig.wait(PROBE_WAIT);
    rig.tick();
    assert_eq!((rig.gaps(), rig.states()), (vec![heard], vec!["checking the channel"]));
    rig.wait(SECOND);
    rig.settle();
    assert_eq!((rig.made, rig.session.is_live()), (1, true));
    assert!(rig.has(|effect| matches!(effect, Effect::AllLive)), "the gap is made good");
}

#[test]
fn a_socket_that_falls_silent_while_it_subscribes_is_lost_too() {
    let mut rig = Rig::new();
    rig.session.subscribe(&topics(1), Redundancy::Single, rig.now);
    let (slot, request) = rig.next().expect("a request");
    rig.answer(slot, &request);
    rig.take_effects();
    rig.sockets().into_iter().for_each(|socket| rig.session.opened(socket, rig.now));
    assert!(rig.next().is_some(), "the list is under way");
    rig.wait(SILENCE);
    rig.tick();
    rig.wait(PROBE_WAIT);
    rig.tick();
    assert_eq!((rig.states(), rig.gaps()), (vec!["checking the channel"], vec![]));
}

#[test]
fn a_channel_that_is_gone_is_made_anew() {
    let mut rig = Rig::live(1, Redundancy::Single);
    let socket = rig.sockets()[0];
    rig.lose(socket);
    rig.wait(SECOND);
    let (slot, request) = rig.next().expect("a look at it");
    assert!(matches!(request, Request::CheckChannel { .. }));
    rig.session.channel_gone(slot, &mut rig.dice, rig.now);
    rig.wait(SECOND);
    rig.settle();
    assert_eq!((rig.made, rig.session.is_live()), (2, true));
}

#[test]
fn a_new_topic_is_subscribed_on_the_live_channel_without_closing_anything() {
    let mut rig = Rig::live(3, Redundancy::Single);
    rig.session.subscribe(&topics(4), Redundancy::Single, rig.now);
    assert!(rig.session.is_live(), "the others are heard all the while");
    rig.settle();
    assert_eq!((rig.creations(), rig.closed(), rig.gaps()), (0, vec![], vec![]));
    assert!(matches!(&rig.sent[0], Request::Subscribe { topics, .. } if topics.len() == 4));
    assert!(matches!(&rig.sent[1], Request::ReadSubscriptions { .. }));
    assert!(rig.has(|effect| matches!(effect, Effect::Grown)), "calls in progress there are to be found");
}

#[test]
fn a_topic_that_is_gone_is_left_out_of_the_list_and_nothing_has_to_be_found() {
    let mut rig = Rig::live(3, Redundancy::Single);
    rig.session.subscribe(&topics(2), Redundancy::Single, rig.now);
    rig.settle();
    assert!(matches!(&rig.sent[0], Request::Subscribe { topics, .. } if topics.len() == 2));
    assert!(!rig.has(|effect| matches!(effect, Effect::Grown)));
    assert_eq!((rig.creations(), rig.closed()), (0, vec![]));
}

#[test]
fn a_change_while_a_list_is_under_way_is_sent_after_it() {
    let mut rig = Rig::live(1, Redundancy::Single);
    rig.session.subscribe(&topics(2), Redundancy::Single, rig.now);
    let (slot, request) = rig.next().expect("the list");
    rig.session.subscribe(&topics(3), Redundancy::Single, rig.now);
    assert_eq!(rig.session.asked(slot), None, "what is missing from that answer was not asked for");
    rig.answer(slot, &request);
    rig.settle();
    let lists: Vec<usize> = rig
        .sent
        .iter()
        .filter_map(
            |request| if let Request::Subscribe { topics, .. } = request { Some(topics.len()) } else { None },
        )
        .collect();
    assert_eq!(lists, [2, 3]);
}

#[test]
fn a_list_that_fails_on_a_live_channel_is_tried_again_and_nothing_is_lost() {
    let mut rig = Rig::live(1, Redundancy::Single);
    rig.session.subscribe(&topics(2), Redundancy::Single, rig.now);
    let (slot, _) = rig.next().expect("the list");
    rig.session.failed(slot, &mut rig.dice, rig.now);
    assert!(rig.session.is_live());
    rig.wait(SECOND);
    rig.settle();
    assert_eq!((rig.session.asked(slot).map(|asked| asked.len()), rig.gaps()), (Some(2), vec![]));
}

#[test]
fn a_pack_whose_topics_are_all_gone_closes_its_socket() {
    let mut rig = Rig::live(TOPICS_PER_CHANNEL + 1, Redundancy::Single);
    let second = rig.sockets()[1];
    rig.session.subscribe(&topics(TOPICS_PER_CHANNEL), Redundancy::Single, rig.now);
    rig.settle();
    assert_eq!((rig.closed(), rig.sent.len(), rig.states()), (vec![second], 0, vec!["live"]));
}

#[test]
fn a_refused_topic_is_told_once_and_again_only_after_it_was_accepted() {
    let mut rig = Rig::live(2, Redundancy::Single);
    let topic = Topic::new("v2.t00001");
    let refused = || vec![Rejected { topic: topic.clone(), reason: "no permission".into() }];
    assert_eq!(rig.session.newly_rejected(&[], refused()).len(), 1);
    assert_eq!(rig.session.newly_rejected(&[], refused()).len(), 0);
    assert_eq!(rig.session.newly_rejected(std::slice::from_ref(&topic), Vec::new()).len(), 0);
    assert_eq!(rig.session.newly_rejected(&[], refused()).len(), 1);
}

#[test]
fn a_closing_notice_brings_up_a_successor_before_the_old_socket_is_closed() {
    let mut rig = Rig::live(1, Redundancy::Single);
    let old = rig.sockets()[0];
    rig.session.closing(old, rig.now);
    rig.settle();
    assert_eq!((rig.states(), rig.closed(), rig.creations()), (vec!["retiring", "live"], vec![], 1));
    assert!(rig.session.heard(old, rig.now), "what is still on its way there is heard");
    assert_eq!(rig.session.next_wakeup(), Some(rig.now.mono + LINGER));
    rig.wait(LINGER);
    rig.tick();
    assert_eq!((rig.closed(), rig.gaps(), rig.states()), (vec![old], vec![], vec!["live"]));
    assert!(!rig.has(|effect| matches!(effect, Effect::AllLive)), "nothing has to be made good");
}

#[test]
fn a_channel_is_replaced_before_its_day_is_over_and_no_gap_opens() {
    let mut rig = Rig::live(1, Redundancy::Single);
    rig.pass(DAY - ROTATE_BEFORE - SECOND * 60);
    assert_eq!(rig.creations(), 0);
    rig.pass(SECOND * 120);
    assert_eq!((rig.creations(), rig.gaps(), rig.states()), (1, vec![], vec!["live"]));
    rig.pass(DAY);
    assert_eq!((rig.creations(), rig.gaps()), (2, vec![]));
}

#[test]
fn a_channel_that_lives_for_minutes_only_is_replaced_in_its_last_quarter() {
    let mut rig = Rig::new();
    rig.session.subscribe(&topics(1), Redundancy::Single, rig.now);
    let (slot, _) = rig.next().expect("a request");
    let mut channel = rig.channel();
    channel.expires = rig.now.wall + SECOND * 400;
    rig.session.channel_made(slot, channel, rig.now);
    rig.settle();
    rig.forget();
    rig.pass(SECOND * 270);
    assert_eq!(rig.creations(), 0);
    rig.pass(SECOND * 60);
    assert_eq!((rig.creations(), rig.gaps()), (1, vec![]));
}

#[test]
fn a_new_token_leads_to_a_successor_of_every_slot() {
    let mut rig = Rig::live(TOPICS_PER_CHANNEL * 2, Redundancy::Double);
    let old = rig.sockets();
    rig.session.token_renewed(rig.now);
    rig.settle();
    assert_eq!((rig.creations(), rig.closed()), (4, vec![]));
    rig.wait(LINGER);
    rig.tick();
    assert_eq!((rig.closed(), rig.gaps(), rig.states()), (old, vec![], vec!["live"; 4]));
}

#[test]
fn what_is_not_live_yet_begins_anew_with_a_new_token() {
    let mut rig = Rig::new();
    rig.session.subscribe(&topics(1), Redundancy::Single, rig.now);
    let (slot, request) = rig.next().expect("a request");
    rig.answer(slot, &request);
    rig.take_effects();
    let socket = rig.sockets()[0];
    rig.session.token_renewed(rig.now);
    rig.take_effects();
    assert_eq!((rig.closed(), rig.states()), (vec![socket], vec!["making a channel"]));
    rig.settle();
    assert_eq!((rig.made, rig.session.is_live()), (2, true));
}

#[test]
fn an_old_socket_that_is_lost_before_its_successor_is_up_opens_a_gap() {
    let mut rig = Rig::live(1, Redundancy::Single);
    let (old, heard) = (rig.sockets()[0], rig.now.wall);
    rig.session.closing(old, rig.now);
    rig.tick();
    assert!(rig.next().is_some(), "the successor's channel is asked for");
    rig.wait(SECOND);
    rig.lose(old);
    assert_eq!((rig.gaps(), rig.states()), (vec![heard], vec!["making a channel"]));
    let channel = rig.channel();
    rig.session.channel_made(SlotId(2), channel, rig.now);
    rig.settle();
    assert!(rig.session.is_live() && rig.has(|effect| matches!(effect, Effect::AllLive)));
}

#[test]
fn a_storm_of_closing_notices_makes_no_more_channels_than_the_platform_grants() {
    let mut rig = Rig::live(1, Redundancy::Single);
    for _ in 0..50 {
        let socket = rig.sockets()[0];
        rig.session.closing(socket, rig.now);
        rig.settle();
        rig.pass(SECOND * 60);
        assert!(rig.session.is_live());
    }
    assert_eq!(rig.made, 20);
    let last = ChannelId::new("channel-20");
    assert_eq!(rig.open.values().collect::<Vec<_>>(), [&last], "the last one moves from socket to socket");
}

#[test]
fn a_socket_that_moves_on_its_channel_is_a_gap_unless_its_twin_hears() {
    for (redundancy, gaps) in [(Redundancy::Single, 1), (Redundancy::Double, 0)] {
        let mut rig = Rig::live(1, redundancy);
        rig.session.made.extend((0..20).map(|n| (ChannelId::new(format!("spent-{n}")), rig.now.mono + DAY)));
        let old = rig.sockets()[0];
        rig.session.closing(old, rig.now);
        rig.tick();
        assert_eq!(rig.open.len(), if redundancy == Redundancy::Double { 3 } else { 2 });
        // The platform disconnects the first once it has the second.
        rig.lose(old);
        rig.settle();
        assert_eq!((rig.creations(), rig.gaps().len()), (0, gaps), "{redundancy:?}");
        assert!(rig.session.is_live());
    }
}

#[test]
fn twins_move_one_after_the_other_and_each_while_the_other_vouches() {
    let mut rig = Rig::live(1, Redundancy::Double);
    rig.session.made.extend((0..20).map(|n| (ChannelId::new(format!("spent-{n}")), rig.now.mono + DAY)));
    let old = rig.sockets();
    rig.wait(SECOND);
    old.iter().for_each(|socket| rig.session.closing(*socket, rig.now));
    rig.tick();
    assert_eq!(rig.open.len(), 3, "one moves, the other stays");
    assert!(
        rig.session.next_wakeup().is_some_and(|at| at > rig.now.mono),
        "it waits without turning in circles"
    );
    // The platform disconnects the first socket once it has the second.
    rig.lose(old[0]);
    rig.settle();
    assert!(
        rig.has(|effect| matches!(effect, Effect::Send(_, PING))),
        "the other is asked for a sign of life"
    );
    assert!(rig.session.next_wakeup().is_some_and(|at| at > rig.now.mono));
    rig.wait(SECOND);
    rig.session.heard(old[1], rig.now);
    rig.tick();
    rig.lose(old[1]);
    rig.settle();
    assert_eq!((rig.states(), rig.gaps(), rig.creations()), (vec!["live", "live"], vec![], 0));
}

#[test]
fn the_loss_of_one_socket_is_no_gap_while_its_twin_hears() {
    let mut rig = Rig::live(1, Redundancy::Double);
    let first = rig.sockets()[0];
    rig.wait(SECOND);
    rig.lose(first);
    assert!(rig.session.is_live());
    rig.wait(SECOND);
    rig.settle();
    assert_eq!((rig.gaps(), rig.states()), (vec![], vec!["live", "live"]));
}

#[test]
fn the_loss_of_both_is_a_gap_since_the_second_was_last_heard() {
    let mut rig = Rig::live(1, Redundancy::Double);
    let sockets = rig.sockets();
    rig.wait(SECOND * 10);
    rig.session.heard(sockets[1], rig.now);
    let heard = rig.now.wall;
    rig.lose(sockets[0]);
    rig.wait(SECOND / 10);
    rig.lose(sockets[1]);
    assert_eq!((rig.gaps(), rig.session.is_live()), (vec![heard], false));
}

#[test]
fn a_twin_that_came_back_meanwhile_does_not_vouch_for_the_time_before() {
    let mut rig = Rig::live(1, Redundancy::Double);
    let (sockets, heard) = (rig.sockets(), rig.now.wall);
    rig.wait(SECOND * 20);
    // The first is silent since its last beat; the second is cut, and soon heard again.
    rig.session.heard(sockets[1], rig.now);
    rig.lose(sockets[1]);
    assert_eq!(rig.gaps(), []);
    rig.wait(SECOND);
    rig.settle();
    rig.lose(sockets[0]);
    assert_eq!(rig.gaps(), [heard]);
    assert!(
        rig.has(|effect| matches!(effect, Effect::AllLive)),
        "every topic is heard, so it is made good at once"
    );
}

#[test]
fn a_replica_that_misses_what_its_twin_hears_is_replaced() {
    let mut rig = Rig::live(1, Redundancy::Double);
    let sockets = rig.sockets();
    rig.pass(SECOND * 120);
    assert!(rig.session.is_doubled(sockets[0]));
    assert_eq!(rig.session.event(sockets[0], Some(7), rig.now), Novelty::News);
    rig.wait(overlap::COPY_WAIT - SECOND);
    rig.beat();
    rig.settle();
    assert!(!rig.has(|effect| matches!(effect, Effect::Deaf(_))));
    rig.wait(SECOND);
    rig.settle();
    assert!(rig.has(|effect| matches!(effect, Effect::Deaf(SlotId(2)))));
    rig.wait(LINGER);
    rig.settle();
    assert_eq!((rig.closed(), rig.gaps(), rig.creations()), (vec![sockets[1]], vec![], 1));
}

#[test]
fn a_replica_that_hears_other_events_is_not_deaf() {
    let mut rig = Rig::live(1, Redundancy::Double);
    let sockets = rig.sockets();
    rig.session.event(sockets[0], Some(7), rig.now);
    rig.wait(SECOND);
    rig.session.event(sockets[1], Some(8), rig.now);
    rig.session.event(sockets[0], Some(8), rig.now);
    rig.wait(overlap::COPY_WAIT);
    rig.settle();
    assert!(!rig.has(|effect| matches!(effect, Effect::Deaf(_))));
}

#[test]
fn a_deaf_channel_vouches_for_nothing() {
    let mut rig = Rig::live(1, Redundancy::Double);
    let (sockets, proved) = (rig.sockets(), rig.now.wall);
    rig.wait(SECOND);
    rig.beat();
    rig.session.event(sockets[0], Some(7), rig.now);
    rig.wait(overlap::COPY_WAIT);
    rig.tick();
    rig.beat();
    let heard = rig.now.wall;
    rig.lose(sockets[0]);
    assert_eq!(rig.gaps(), [heard], "nor is the deaf one a gap of its own since {proved}");
}

#[test]
fn channels_in_use_never_exceed_the_platforms_limit() {
    let mut rig = Rig::live(TOPICS_PER_CHANNEL * CHANNELS_TO_FILL, Redundancy::Single);
    assert_eq!(rig.session.view().len(), 19);
    rig.session.token_renewed(rig.now);
    let mut rounds = 0;
    while rig.creations() < 19 {
        rig.settle();
        assert!(rig.session.view().len() <= CHANNELS_PER_CLIENT);
        let due = rig.session.next_wakeup().expect("something waits");
        assert!(due > rig.now.mono, "it waits without turning in circles");
        rig.wait(due.since(rig.now.mono));
        rig.beat();
        rounds += 1;
        assert!(rounds < 100, "{:?}", rig.states());
    }
    assert_eq!(rig.gaps(), []);
}

#[test]
fn each_pack_has_its_first_channel_before_any_has_its_second() {
    let mut rig = Rig::new();
    let shortfall = rig.session.subscribe(&topics(TOPICS_PER_CHANNEL * 12), Redundancy::Double, rig.now);
    assert_eq!(shortfall, Shortfall { topics: 0, single_packs: 5 });
    assert_eq!(rig.session.view().len(), 19);
    let shortfall = rig.session.subscribe(&topics(TOPICS_PER_CHANNEL * 20), Redundancy::Single, rig.now);
    assert_eq!(shortfall, Shortfall { topics: 1000, single_packs: 0 });
}

#[test]
fn a_second_channel_is_given_up_when_it_is_no_longer_wanted() {
    let mut rig = Rig::live(1, Redundancy::Double);
    rig.session.subscribe(&topics(1), Redundancy::Single, rig.now);
    rig.settle();
    assert_eq!((rig.states(), rig.closed().len(), rig.gaps()), (vec!["live"], 1, vec![]));
}

#[test]
fn a_doubted_subscription_is_made_good_once_it_is_replaced() {
    let mut rig = Rig::live(1, Redundancy::Single);
    rig.pass(ROTATE_AT_MOST_EVERY);
    rig.session.renew(rig.now);
    rig.settle();
    assert!(rig.has(|effect| matches!(effect, Effect::AllLive)));
    assert_eq!((rig.creations(), rig.states()), (1, vec!["retiring", "live"]));
}

#[test]
fn doubts_replace_a_channel_once_a_minute_at_most() {
    let mut rig = Rig::live(1, Redundancy::Single);
    for _ in 0..30 {
        rig.sockets().into_iter().for_each(|socket| rig.session.distrust(socket, rig.now));
        rig.settle();
        rig.pass(SECOND * 10);
    }
    assert!((3..=6).contains(&rig.creations()), "{}", rig.creations());
}

#[test]
fn a_word_about_the_list_has_it_read_back_and_no_channel_made() {
    let mut rig = Rig::live(1, Redundancy::Single);
    let socket = rig.sockets()[0];
    rig.session.list_changed(socket, rig.now);
    rig.settle();
    assert_eq!(rig.count(|request| matches!(request, Request::ReadSubscriptions { .. })), 1);
    assert_eq!((rig.sent.len(), rig.states()), (1, vec!["live"]));
}

#[test]
fn a_drain_closes_every_socket() {
    let mut rig = Rig::live(TOPICS_PER_CHANNEL + 1, Redundancy::Double);
    rig.session.close();
    rig.take_effects();
    assert_eq!((rig.closed().len(), rig.session.view().len(), rig.session.next_wakeup()), (4, 0, None));
}
