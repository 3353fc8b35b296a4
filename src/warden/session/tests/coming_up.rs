//! From the channel to the list: a slot that does not listen yet.

use super::*;

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
    let mut rig = Rig::with_channel();
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
fn a_socket_that_falls_silent_while_it_subscribes_is_lost_too() {
    let mut rig = Rig::with_channel();
    rig.sockets().into_iter().for_each(|socket| rig.session.opened(socket, rig.now));
    assert!(rig.next().is_some(), "the list is under way");
    rig.fall_silent();
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
fn what_is_not_live_yet_begins_anew_with_a_new_token() {
    let mut rig = Rig::with_channel();
    let socket = rig.sockets()[0];
    rig.session.token_renewed(rig.now);
    rig.take_effects();
    assert_eq!((rig.closed(), rig.states()), (vec![socket], vec!["making a channel"]));
    rig.settle();
    assert_eq!((rig.made, rig.session.is_live()), (2, true));
}
