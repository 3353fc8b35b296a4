//! What the network and the platform do to a daemon that has done nothing wrong: connections that die without
//! a word, a network that swallows everything, ten times the events, answers that take half a minute.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;
#[path = "processes/proxy.rs"]
mod proxy;

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use players::{Account, Process, SAMPLE_POLICY, Simulator, Site, get, health_address, message, time};
use proxy::{Network, Proxy};
use serde_json::Value;

const LIMITS: &str = "[limits]\nrequests_per_minute = 60000\n";
const HTTP: &str = "[http]\nlisten = \"127.0.0.1:0\"\n";

fn site(simulator: &Simulator, api_url: &str) -> Site {
    Site::new(simulator, api_url, &format!("{LIMITS}{HTTP}{SAMPLE_POLICY}"))
}

/// No call that ended this long after `from` was in a wrong state for long, and none is.
#[track_caller]
fn all_right_after(summary: &Value, from: jiff::Timestamp) {
    assert_eq!((&summary["live"], &summary["live_wrong"]), (&0.into(), &0.into()), "{summary}");
    for one in summary["ended_wrong_longest"].as_array().expect("a list") {
        let wrong_ms = one["wrong_ms"].as_f64().unwrap_or_default();
        assert!(time(one) < from || wrong_ms < 3_000.0, "ended in the wrong state: {one}");
    }
}

fn ends_well(site: &Site, daemon: &mut Process) {
    assert_eq!(daemon.told_to_stop(), Some(0));
    let (sound, said) = site.verify();
    assert!(sound && said.contains(" 0 open; the log is closed by a clean stop"), "{said}");
    assert!(Account::of(&site.records()).not_ended_once().is_empty(), "{said}");
}

/// The daemon has read the calls in progress after its connections came back.
fn settled(daemon: &mut Process) -> jiff::Timestamp {
    daemon.wait_for("that events may be missed", |line| message(line).contains("events may be missed"));
    let closed = daemon.wait_for("that the gap is closed", |line| message(line).contains("is closed: "));
    time(&closed) + Duration::from_secs(3)
}

#[test]
fn connections_that_die_without_a_word_are_noticed_and_replaced() {
    let mut simulator = Simulator::start(&["--calls", "20", "--pace", "10"]);
    let proxy = Proxy::to(&simulator.api_url);
    let site = site(&simulator, &proxy.url());
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    daemon.wait_for_message("confirmed");
    // As a firewall does that forgets its connections: nothing passes, nothing is closed, new ones work.
    proxy.forget_connections();
    let from = settled(&mut daemon);
    let summary = simulator.run_out(&address);
    all_right_after(&summary, from);
    ends_well(&site, &mut daemon);
}

#[test]
fn a_network_that_swallows_everything_for_a_while_costs_nothing_in_the_end() {
    let mut simulator = Simulator::start(&["--calls", "20", "--pace", "10"]);
    let proxy = Proxy::to(&simulator.api_url);
    let site = site(&simulator, &proxy.url());
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    daemon.wait_for_message("confirmed");
    proxy.becomes(Network::BlackHole);
    // Nobody can say that the network is a black hole; the simulator's clock says how long it was one.
    let begun = simulator.process.wait_for("a happening", |line| line["at"].is_string());
    let until = time(&begun) + Duration::from_secs(12);
    simulator.process.wait_for("a while", |line| line["at"].is_string() && time(line) > until);
    // What was swallowed never arrives; those connections are cut.
    proxy.becomes(Network::Open);
    proxy.cut_connections();
    let from = settled(&mut daemon);
    daemon.wait_for_message("confirmed");
    let summary = simulator.run_out(&address);
    all_right_after(&summary, from);
    ends_well(&site, &mut daemon);
}

#[test]
fn a_platform_that_refuses_connections_is_tried_until_it_is_back() {
    let mut simulator = Simulator::start(&["--calls", "20", "--pace", "10"]);
    let proxy = Proxy::to(&simulator.api_url);
    let site = site(&simulator, &proxy.url());
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    daemon.wait_for_message("confirmed");
    proxy.becomes(Network::Refusing);
    proxy.cut_connections();
    daemon.wait_for_message("events may be missed");
    let (status, why) = get(&address, "/readyz");
    assert!(status == 503 && why.contains("subscription"), "{status} {why}");
    proxy.becomes(Network::Open);
    let closed = daemon.wait_for("that the gap is closed", |line| message(line).contains("is closed: "));
    daemon.wait_for_message("confirmed");
    let summary = simulator.run_out(&address);
    all_right_after(&summary, time(&closed) + Duration::from_secs(3));
    ends_well(&site, &mut daemon);
}

#[test]
fn ten_times_the_events_at_once_are_all_taken_in() {
    let mut simulator = Simulator::start(&["--calls", "100", "--pace", "10", "--event-burst-every", "4s"]);
    let site = site(&simulator, &simulator.api_url);
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    daemon.wait_for_message("is closed: ");
    for _ in 0..3 {
        simulator.process.wait_for("a burst", |line| line["detail"] == "EventBurst");
    }
    daemon.wait_for_message("confirmed");
    let peak = daemon.memory("VmHWM");
    assert!(peak < 200_000, "{peak} kB");
    let summary = simulator.run_out(&address);
    // A burst keeps the daemon busy for a moment; nothing is shed, and no call is left wrong.
    assert_eq!((&summary["live"], &summary["live_wrong"]), (&0.into(), &0.into()), "{summary}");
    ends_well(&site, &mut daemon);
    let account = Account::of(&site.records());
    assert_eq!(account.count("dropped"), 0, "{:?}", account.kinds);
}

#[test]
fn with_answers_after_half_a_minute_and_thousands_waiting_stops_go_first() {
    // Just under the half minute after which an answer counts as none; the start itself is quick.
    let mut simulator = Simulator::start(&[
        "--calls",
        "5000",
        "--pace",
        "6",
        "--talk",
        "10m",
        "--agent-pauses",
        "0.5",
        "--latency",
        "28s",
        "--faults-after",
        "8s",
    ]);
    // Every recording is unwanted on one queue; everywhere else what an agent paused is to go on.
    let policy = "[policy]\ndefault = \"start\"\n[[rule]]\nname = \"never\"\nqueue = [\"Payments\", \"Support\", \"Sales*\"]\naction = \"stop\"\n";
    let limits = "[limits]\nrequests_per_minute = 60000\nmax_in_flight = 24\n";
    let site = Site::new(&simulator, &simulator.api_url, &format!("{limits}{HTTP}{policy}"));
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    simulator.process.wait_for("the calm is over", |line| line["detail"] == "the calm is over");
    let begun = simulator.process.wait_for("a happening", |line| line["at"].is_string());
    let until = time(&begun) + Duration::from_secs(35);
    simulator.process.wait_for("a while", |line| line["at"].is_string() && time(line) > until);
    let view: Value = serde_json::from_str(&get(&address, "/view.json").1).expect("JSON");
    let waiting = view["worklist"].as_u64().unwrap_or_default();
    let peak = daemon.memory("VmHWM");
    assert_eq!(daemon.told_to_stop(), Some(0));
    let (sound, said) = site.verify();
    assert!(sound, "{said}");

    // In the order of the log: no start goes out while a stop waits for its first attempt.
    let (mut waiting_stops, mut starts, mut overtaken) = (BTreeSet::new(), 0, 0);
    let records = site.records();
    let account = Account::of(&records);
    for record in &records {
        let decision = record["decision"].as_str().unwrap_or_default();
        let Some((action, _, _)) = account.decisions.get(decision) else { continue };
        match (record["kind"].as_str().unwrap_or_default(), action.as_str()) {
            ("decision", "stop") => {
                waiting_stops.insert(decision);
            }
            ("attempt" | "confirmed" | "superseded" | "abandoned", "stop") => {
                waiting_stops.remove(decision);
            }
            ("attempt", "start") => {
                starts += 1;
                overtaken += usize::from(!waiting_stops.is_empty());
            }
            _ => {}
        }
    }
    writeln!(
        std::io::stderr(),
        "answers after 28 s: {waiting} waited, {} decisions, {} attempts ({starts} starts), peak {peak} kB",
        account.decisions.len(),
        account.count("attempt"),
    )
    .expect("stderr");
    // How many depends on how fast this machine makes up calls.
    assert!(waiting > 100, "only {waiting} waited");
    assert_eq!(overtaken, 0, "starts overtook stops that waited");
    assert!(peak < 400_000, "{peak} kB");
}
