//! The lists of topics, and how they lie in packs.

use super::*;

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
    assert_eq!(rig.session.newly_rejected(refused()).len(), 1);
    assert_eq!(rig.session.newly_rejected(refused()).len(), 0);
    rig.session.has(SlotId(1), std::slice::from_ref(&topic), rig.now);
    assert_eq!(rig.session.newly_rejected(refused()).len(), 1);
}

#[test]
fn a_refused_topic_is_asked_for_again_with_each_look_for_topics_and_calls_there_are_read_once_it_is_taken() {
    let mut rig = Rig::live(2, Redundancy::Single);
    let topic = Topic::new("v2.t00001");
    rig.session.newly_rejected(vec![Rejected { topic: topic.clone(), reason: "no permission".into() }]);
    assert!(rig.session.names("t00000") && !rig.session.names("t00001"));
    for grown in [false, true] {
        rig.session.subscribe(&topics(2), Redundancy::Single, rig.now);
        rig.settle();
        let asked = rig.count(|one| matches!(one, Request::Subscribe { .. }));
        assert_eq!((asked, rig.has(|effect| matches!(effect, Effect::Grown))), (1, grown));
        rig.session.has(SlotId(1), std::slice::from_ref(&topic), rig.now);
    }
    assert!(rig.session.names("t00001") && rig.closed().is_empty());
}

#[test]
fn topics_that_the_platform_took_from_a_channel_are_a_gap_since_its_last_event() {
    for (redundancy, is_gap) in [(Redundancy::Single, true), (Redundancy::Double, false)] {
        let mut rig = Rig::live(2, redundancy);
        rig.pass(SECOND * 10);
        let (socket, brought) = (rig.sockets()[0], rig.now);
        rig.session.event(socket, None, rig.now);
        rig.pass(SECOND * 60);
        for _ in 0..2 {
            rig.session.lost_topics(SlotId(1), rig.now);
            rig.take_effects();
            assert_eq!(rig.gaps(), if is_gap { vec![brought.wall] } else { Vec::new() }, "it is told once");
        }
        rig.settle();
        assert_eq!(rig.creations(), 1, "a successor has them again, or shows that they are refused");
    }
}

#[test]
fn what_a_list_had_and_is_wanted_yet_is_compared_whatever_is_to_be_sent() {
    let mut rig = Rig::live(2, Redundancy::Single);
    let all: Vec<Topic> = topics(2).into_iter().collect();
    rig.session.has(SlotId(1), &all, rig.now);
    rig.session.subscribe(&topics(3), Redundancy::Single, rig.now);
    assert_eq!(rig.session.had(SlotId(1)), all);
    let socket = rig.sockets()[0];
    rig.session.list_changed(socket, rig.now);
    let (slot, request) = rig.next().expect("it is read first");
    assert!(matches!(request, Request::ReadSubscriptions { .. }), "{request:?}");
    rig.answer(slot, &request);
    rig.settle();
    assert_eq!(rig.count(|one| matches!(one, Request::Subscribe { .. })), 1, "then the new one is sent");
    assert_eq!(rig.session.had(SlotId(1)), [], "what it lacks now was not taken from it");
    rig.session.has(SlotId(1), &all, rig.now);
    rig.session.subscribe(&topics(1), Redundancy::Single, rig.now);
    assert_eq!(rig.session.had(SlotId(1)), all[..1], "the other is not wanted any more");
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
fn a_word_about_the_list_has_it_read_back_and_no_channel_made() {
    let mut rig = Rig::live(1, Redundancy::Single);
    let socket = rig.sockets()[0];
    rig.session.list_changed(socket, rig.now);
    rig.settle();
    assert_eq!(rig.count(|request| matches!(request, Request::ReadSubscriptions { .. })), 1);
    assert_eq!((rig.sent.len(), rig.states()), (1, vec!["live"]));
}

/// Found by reading: the gap stayed open until a channel was replaced.
#[test]
fn what_is_not_wanted_any_more_keeps_no_gap_open() {
    let mut rig = Rig::live(TOPICS_PER_CHANNEL + 1, Redundancy::Single);
    let lost = rig.sockets()[1];
    rig.lose(lost);
    assert_eq!((rig.gaps().len(), rig.has(|effect| matches!(effect, Effect::AllLive))), (1, false));
    rig.session.subscribe(&topics(TOPICS_PER_CHANNEL), Redundancy::Single, rig.now);
    rig.settle();
    assert!(rig.has(|effect| matches!(effect, Effect::AllLive)));
}

#[test]
fn of_two_channels_the_one_stays_that_is_not_doubted() {
    let mut rig = Rig::live(1, Redundancy::Double);
    let sockets = rig.sockets();
    rig.session.distrust(sockets[0], rig.now);
    rig.session.subscribe(&topics(1), Redundancy::Single, rig.now);
    rig.settle();
    assert_eq!(rig.closed(), [sockets[0]]);
}
