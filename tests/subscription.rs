//! The subscription on the stage, on virtual time: every event that the platform issued for a subscribed queue or user
//! reaches the warden on one socket at least and is taken in, whatever befalls channels, tokens and sockets. Counted from
//! the platform's side (`sim::stage`), so that nothing the warden believes of itself can hide a loss; and all along
//! every call is in the state that the policy demands.

use std::time::Duration;

use recwarden::audit::log::Rotation;
use recwarden::sim::charter::Charter;
use recwarden::sim::faults::Faults;
use recwarden::sim::org::Org;
use recwarden::sim::plan::Plan;
use recwarden::sim::stage::{Judged, Mischief, Report, Script, Stage, Telling};
use recwarden::warden::plan::Means;
use recwarden::warden::session::Redundancy;
use recwarden::warden::{Enforcement, Settings, allowance, directory, sight};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// How often the lists of queues and users are read.
const DISCOVER_EVERY: Duration = Duration::from_secs(300);
/// What is found there is subscribed within this.
const SUBSCRIBED_WITHIN: Duration = Duration::from_secs(20);

fn settings(redundancy: Redundancy) -> Settings {
    Settings {
        means: Means::default(),
        confirm_within: Duration::from_secs(5),
        give_up_after: MINUTE * 15,
        allowance: allowance::Settings { requests_per_minute: 300, action_share: 0.8, max_in_flight: 8 },
        directory: directory::Settings {
            queues: vec!["*".into()],
            users: Vec::new(),
            topics: Vec::new(),
            redundancy,
            discover_every: DISCOVER_EVERY,
        },
        resync_every: HOUR,
        sight: sight::Settings::default(),
        memory: 512 << 20,
        directive_priority: 1000,
        max_changes_per_minute: 0,
        enforcement: Enforcement::Enforce,
    }
}

/// One call after the other, which changes all the while where sockets are exchanged, and answers that take their time:
/// what is not made before it is broken shows.
fn plan(seed: u64, faults: Faults) -> Plan {
    let latency = Some((Duration::from_millis(100), Duration::from_secs(2)));
    let faults = Faults { latency, jitter: 0.5, stirred_for: Duration::from_secs(15), ..faults };
    Plan { seed, calls: 1, pace: 0.3, faults, ..Plan::default() }
}

fn script(plan: Plan, redundancy: Redundancy, lasts: Duration) -> Script {
    Script {
        plan,
        settings: settings(redundancy),
        charters: vec![Charter::sample()],
        mischief: Mischief::default(),
        rotation: Rotation { every: DAY, size: 256 << 20 },
        rough: lasts,
        calm: MINUTE * 10,
        settles: MINUTE * 2,
        judged: Judged::Throughout,
        telling: Telling::Findings,
    }
}

fn play(script: Script) -> Report {
    Stage::new(script).expect("the policy compiles").run()
}

fn run(plan: Plan, redundancy: Redundancy, lasts: Duration) -> Report {
    play(script(plan, redundancy, lasts))
}

fn count(report: &Report, what: &str) -> u64 {
    report.counts.get(what).copied().unwrap_or(0)
}

/// Nothing missed, nothing broken, and no gap but the one at the start.
fn assert_seamless(report: &Report, about: &str) {
    assert_eq!(report.missed, Vec::<String>::new(), "{about}");
    assert_eq!(report.findings, Vec::<String>::new(), "{about}");
    assert_eq!(count(report, "gap.opened"), 1, "{about}: {:?}", report.counts);
    assert_eq!(count(report, "topics heard"), 7, "{about}: {:?}", report.counts);
    assert!(count(report, "queue events arrived") > 1000, "{about}: {:?}", report.counts);
    assert_eq!(count(report, "dropped"), 0, "{about}: {:?}", report.counts);
    assert_eq!(count(report, "newer events taken for older"), 0, "{about}: {:?}", report.counts);
    let stirred = count(report, "fault: calls changed while sockets are exchanged");
    assert!(stirred > 1000, "{about}: {:?}", report.counts);
}

#[test]
fn thirty_days_of_rotations_and_closing_notices_miss_no_event() {
    let faults = Faults { closing_every: Some(HOUR * 6), ..Faults::default() };
    // Few calls, so that the days and not the events take the time.
    let plan = Plan { pace: 0.1, ..plan(1, faults) };
    let report = run(plan, Redundancy::Single, DAY * 30);
    assert_seamless(&report, "30 days");
    assert!(count(&report, "logins") >= 30, "a token a day: {:?}", report.counts);
    assert!(count(&report, "fault: closing notice to all sockets") > 100, "{:?}", report.counts);
    // One for each token, one for each day of a channel's life, one for each notice.
    let channels = count(&report, "channels asked for");
    assert!((60..=30 * 7).contains(&channels), "{:?}", report.counts);
}

#[test]
fn tokens_of_half_an_hour_take_their_channels_with_them_and_no_event() {
    let plan = Plan { token_lifetime: MINUTE * 30, ..plan(2, Faults::default()) };
    let report = run(plan, Redundancy::Single, DAY);
    assert_seamless(&report, "short tokens");
    assert!(count(&report, "logins") >= 50, "{:?}", report.counts);
}

#[test]
fn with_two_channels_the_sudden_loss_of_any_one_socket_misses_nothing() {
    let every = Some(MINUTE * 40);
    let kinds = [
        ("one socket cut", Faults { cut_socket_every: every, ..Faults::default() }),
        ("socket half-open", Faults { half_open_every: every, ..Faults::default() }),
        ("channel evicted", Faults { evict_every: every, ..Faults::default() }),
    ];
    for (kind, faults) in kinds {
        let report = run(plan(6, faults), Redundancy::Double, DAY);
        assert_seamless(&report, kind);
        assert!(count(&report, &format!("fault: {kind}")) > 30, "{:?}", report.counts);
        let channels = count(&report, "channels asked for");
        assert!(channels <= 60, "{kind}: {:?}", report.counts);
        if kind == "channel evicted" {
            assert!(channels >= 10, "deaf ones are noticed and replaced: {:?}", report.counts);
        }
    }
}

#[test]
fn a_storm_of_closing_notices_misses_nothing_with_two_channels_and_makes_few() {
    let faults = Faults { closing_every: Some(MINUTE * 10), ..Faults::default() };
    let report = run(plan(3, faults), Redundancy::Double, DAY);
    assert_seamless(&report, "storm");
    let channels = count(&report, "channels asked for");
    assert!(channels <= 20 + 10, "20 in a channel's lifetime: {:?}", report.counts);
}

/// Heard from when the list was read next, without a restart, a gap, or another channel.
fn assert_found(report: &Report, topic: &str, came: Duration) {
    let heard = report.heard[topic];
    let unheard = heard.before.map_or(Duration::ZERO, |at| at.since_start());
    assert!(unheard < came + DISCOVER_EVERY + SUBSCRIBED_WITHIN, "{topic}: {heard:?}");
    assert!(heard.from.since_start() >= came, "{topic}: {heard:?}");
    assert_eq!((report.missed.as_slice(), report.findings.as_slice()), (&[] as &[String], &[] as &[String]));
    assert_eq!(count(report, "gap.opened"), 1, "{:?}", report.counts);
    assert_eq!(count(report, "channels asked for"), 1, "{:?}", report.counts);
}

#[test]
fn a_new_queue_is_heard_without_a_gap_or_a_new_channel() {
    let plan = Plan { new_queues: vec![(HOUR, "Card Disputes")], ..plan(4, Faults::default()) };
    let report = run(plan, Redundancy::Single, HOUR * 12);
    assert_eq!(count(&report, "topics heard"), 8, "{:?}", report.counts);
    let mut org = Org::new(1);
    org.add_queue("Card Disputes");
    let id = org.queues.last().map(|queue| queue.id.clone()).expect("a queue");
    assert_found(&report, &format!("v2.routing.queues.{id}.conversations"), HOUR);
}

/// All agents by name, and no queue; these come to the list, or leave it, at these times.
fn by_user(turning_users: Vec<(Duration, &'static str)>, lasts: Duration) -> Script {
    let plan = Plan { turning_users, calls: 3, pace: 2.0, ..plan(8, Faults::default()) };
    let org = Org::new(plan.calls * 2 + 5);
    let mut script = script(plan, Redundancy::Single, lasts);
    script.settings.directory.queues.clear();
    script.settings.directory.users = org.users.into_iter().map(|user| user.email).collect();
    script
}

/// The topic of the agent of this number.
fn topic_of(agent: usize) -> String {
    format!("v2.users.{}.conversations", Org::new(agent).users[agent - 1].id)
}

#[test]
fn a_new_user_is_heard_without_a_gap_or_a_new_channel() {
    let late = "agent.03@example.com";
    // Off the list from the start, until an hour later.
    let turning = vec![(Duration::ZERO, late), (HOUR, late)];
    // What the calls are before is not seen; in the calm they are as demanded.
    let report = play(Script { judged: Judged::Settled, ..by_user(turning, HOUR * 3) });
    assert_eq!(count(&report, "topics heard"), 11, "{:?}", report.counts);
    assert_found(&report, &topic_of(3), HOUR);
}

#[test]
fn the_topic_of_a_user_who_left_is_dropped_once_two_lists_lack_it() {
    let script = by_user(vec![(HOUR, "agent.05@example.com")], HOUR * 3);
    // Who left still takes calls here, of which nobody tells any more, and which nothing is demanded of.
    let report = play(Script { charters: vec![Charter::default()], ..script });
    let heard = report.heard[&topic_of(5)];
    let dropped = HOUR + DISCOVER_EVERY * 2 + SUBSCRIBED_WITHIN;
    assert!((HOUR..dropped).contains(&heard.until.since_start()), "{heard:?}");
    assert!(count(&report, "events of those that no list names any more") > 10, "{:?}", report.counts);
    assert_eq!((report.missed.as_slice(), report.findings.as_slice()), (&[] as &[String], &[] as &[String]));
    assert_eq!(count(&report, "channels asked for"), 1, "{:?}", report.counts);
}

#[test]
fn what_is_missed_is_counted() {
    let lost = Faults { lose_events: 0.05, ..Faults::default() };
    let report = run(plan(5, lost), Redundancy::Single, HOUR * 12);
    assert!(!report.missed.is_empty(), "events that were lost on the way");
    let cut = Faults { cut_socket_every: Some(MINUTE * 10), ..Faults::default() };
    let busy = Plan { calls: 4, pace: 1.0, ..plan(5, cut) };
    let report = run(busy, Redundancy::Single, HOUR * 6);
    assert!(!report.missed.is_empty(), "events of the time without a socket");
    assert!(count(&report, "gap.opened") > 25, "each such time is a gap: {:?}", report.counts);
}
