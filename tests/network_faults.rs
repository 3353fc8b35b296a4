//! What the network and the platform do to a daemon that has done nothing wrong: connections that die without
//! a word, a network that swallows everything, and one that refuses connections.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;
#[path = "processes/proxy.rs"]
mod proxy;

use std::time::Duration;

use players::{HTTP, Process, SAMPLE_POLICY, Simulator, Site, get, health_address, message, time};
use proxy::{Network, Proxy};
use serde_json::Value;

/// A daemon under way whose every byte from and to the simulator goes through a network that can be made to fail.
struct Stage {
    simulator: Simulator,
    proxy: Proxy,
    site: Site,
    daemon: Process,
    address: String,
}

impl Stage {
    /// Calls come and go, and the first order is confirmed.
    fn under_way() -> Self {
        let simulator = Simulator::start(&["--calls", "20", "--pace", "20"]);
        let proxy = Proxy::to(&simulator.api_url);
        let more = format!("[limits]\nrequests_per_minute = 60000\n{HTTP}{SAMPLE_POLICY}");
        let site = Site::new(&simulator, &proxy.url(), &more);
        let mut daemon = site.daemon();
        let address = health_address(&mut daemon);
        daemon.wait_for_message("confirmed");
        Self { simulator, proxy, site, daemon, address }
    }

    /// Whatever happened before `from`, no call that ended after it was in a wrong state for long, and none is;
    /// the log is whole.
    fn ends_well(mut self, from: jiff::Timestamp) {
        let summary = self.simulator.run_out(&self.address);
        all_right_after(&summary, from);
        self.site.ends_well(&mut self.daemon);
    }
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

/// The daemon has read the calls in progress after its connections came back.
fn settled(daemon: &mut Process) -> jiff::Timestamp {
    daemon.wait_for("that events may be missed", |line| message(line).contains("events may be missed"));
    let closed = daemon.wait_for("that the gap is closed", |line| message(line).contains("is closed: "));
    time(&closed) + Duration::from_secs(3)
}

#[test]
fn connections_that_die_without_a_word_are_noticed_and_replaced() {
    let mut stage = Stage::under_way();
    // As a firewall does that forgets its connections: nothing passes, nothing is closed, new ones work.
    stage.proxy.forget_connections();
    let from = settled(&mut stage.daemon);
    stage.ends_well(from);
}

#[test]
fn a_network_that_swallows_everything_for_a_while_costs_nothing_in_the_end() {
    let mut stage = Stage::under_way();
    stage.proxy.becomes(Network::BlackHole);
    // Nobody can say that the network is a black hole; the simulator's clock says how long it was one.
    let begun = stage.simulator.process.wait_for("a happening", |line| line["at"].is_string());
    let until = time(&begun) + Duration::from_secs(12);
    stage.simulator.process.wait_for("a while", |line| line["at"].is_string() && time(line) > until);
    // What was swallowed never arrives; those connections are cut.
    stage.proxy.becomes(Network::Open);
    stage.proxy.cut_connections();
    let from = settled(&mut stage.daemon);
    stage.daemon.wait_for_message("confirmed");
    stage.ends_well(from);
}

#[test]
fn a_platform_that_refuses_connections_is_tried_until_it_is_back() {
    let mut stage = Stage::under_way();
    stage.proxy.becomes(Network::Refusing);
    stage.proxy.cut_connections();
    stage.daemon.wait_for_message("events may be missed");
    let (status, why) = get(&stage.address, "/readyz");
    assert!(status == 503 && why.contains("subscription"), "{status} {why}");
    stage.proxy.becomes(Network::Open);
    let closed =
        stage.daemon.wait_for("that the gap is closed", |line| message(line).contains("is closed: "));
    stage.daemon.wait_for_message("confirmed");
    stage.ends_well(time(&closed) + Duration::from_secs(3));
}
