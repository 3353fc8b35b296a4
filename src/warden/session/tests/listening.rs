//! A slot that listens: silence, loss, and what a twin vouches for.

use super::*;

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
    rig.fall_silent();
    assert_eq!((rig.gaps(), rig.states()), (vec![heard], vec!["checking the channel"]));
    rig.wait(SECOND);
    rig.settle();
    assert_eq!((rig.made, rig.session.is_live()), (1, true));
    assert!(rig.has(|effect| matches!(effect, Effect::AllLive)), "the gap is made good");
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
    rig.session.heard(sockets[1], rig.now, rig.now);
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
    rig.session.heard(sockets[1], rig.now, rig.now);
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
fn a_drain_closes_every_socket() {
    let mut rig = Rig::live(TOPICS_PER_CHANNEL + 1, Redundancy::Double);
    rig.session.close();
    rig.take_effects();
    assert_eq!((rig.closed().len(), rig.session.view().len(), rig.session.next_wakeup()), (4, 0, None));
}

/// A socket is lost whose channel last brought an event a minute ago; when that was, and when it was heard last.
fn lost_after_a_quiet_minute(redundancy: Redundancy) -> (Rig, Now, Now) {
    let mut rig = Rig::live(1, redundancy);
    rig.pass(SECOND * 10);
    let (socket, brought) = (rig.sockets()[0], rig.now);
    rig.session.event(socket, None, rig.now);
    rig.pass(SECOND * 60);
    let heard = rig.now;
    rig.wait(SECOND);
    rig.lose(socket);
    (rig, brought, heard)
}

#[test]
fn a_channel_that_is_deaf_is_so_since_its_last_event_though_its_socket_was_opened_again() {
    let (mut rig, brought, heard) = lost_after_a_quiet_minute(Redundancy::Single);
    assert_eq!(rig.gaps(), [heard.wall]);
    rig.pass(SECOND * 20);
    assert_eq!((rig.states(), rig.creations()), (vec!["live"], 0), "on the same channel");
    assert_eq!(rig.session.renew(rig.now.mono, rig.now), Some(brought.mono));
    let socket = rig.sockets()[0];
    rig.session.event(socket, None, rig.now);
    assert_eq!(rig.session.renew(rig.now.mono, rig.now), Some(rig.now.mono), "it hears");
}

#[test]
fn a_channel_that_is_gone_when_its_lost_socket_is_to_be_opened_again_may_be_so_since_its_last_event() {
    for (redundancy, is_gap) in [(Redundancy::Single, true), (Redundancy::Double, false)] {
        let (mut rig, brought, heard) = lost_after_a_quiet_minute(redundancy);
        let gaps = if is_gap { vec![heard.wall, brought.wall] } else { Vec::new() };
        rig.wait(SECOND * 20);
        let (slot, request) = rig.next().expect("it is checked");
        assert!(matches!(request, Request::CheckChannel { .. }), "{request:?}");
        rig.session.channel_gone(slot, &mut rig.dice, rig.now);
        rig.take_effects();
        assert_eq!(rig.gaps(), gaps, "{redundancy:?}");
        rig.pass(SECOND * 20);
        let since = rig.session.renew(rig.now.mono, rig.now).expect("it is live");
        assert!(since > heard.mono || !is_gap, "the new channel is another");
    }
}

#[test]
fn a_channel_that_a_notice_made_suspect_is_found_deaf_all_the_same() {
    let mut rig = Rig::live(1, Redundancy::Double);
    rig.pass(SECOND * 10);
    let (sockets, since) = (rig.sockets(), rig.now.wall);
    for socket in &sockets {
        rig.session.event(*socket, Some(6), rig.now);
    }
    rig.pass(SECOND * 10);
    rig.lose(sockets[1]);
    rig.pass(SECOND * 20);
    assert_eq!(rig.gaps(), [], "its twin seems to hear");
    rig.session.distrust(sockets[0], rig.now);
    let other = *rig.sockets().last().expect("two sockets");
    rig.session.event(other, Some(7), rig.now);
    rig.wait(overlap::COPY_WAIT);
    rig.tick();
    assert_eq!(rig.gaps(), [since]);
}
