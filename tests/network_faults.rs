//! What the network and the platform do to a daemon that has done nothing wrong: connections that die without
//! a word, a network that swallows everything or all but requests, and one that refuses connections.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;
#[path = "processes/proxy.rs"]
mod proxy;

use std::collections::BTreeSet;
use std::time::Duration;

use players::{
    Account, HTTP, PATIENCE, Process, SAMPLE_POLICY, Simulator, Site, all_right_after, get, health_address,
    message, metric, orders_beyond_the_log, standstill, time, until, until_seen,
};
use proxy::{Network, Proxy};
use serde_json::Value;

/// Calls of a stage on which little happens.
const QUIET: usize = 12;

/// A daemon under way whose every byte from and to the simulator goes through a network that can be made to fail.
struct Stage {
    simulator: Simulator,
    proxy: Proxy,
    site: Site,
    daemon: Process,
    address: String,
}

impl Stage {
    fn of(calls: &[&str], more: &str) -> Self {
        let simulator = Simulator::start(calls);
        let proxy = Proxy::to(&simulator.api_url);
        let more = format!("[limits]\nrequests_per_minute = 60000\n{HTTP}{more}");
        let site = Site::new(&simulator, &proxy.url(), &more);
        let mut daemon = site.daemon();
        let address = health_address(&mut daemon);
        Self { simulator, proxy, site, daemon, address }
    }

    /// Calls come and go, and the first order is confirmed.
    fn under_way() -> Self {
        let mut stage = Self::of(&["--calls", "20", "--pace", "20"], SAMPLE_POLICY);
        stage.daemon.wait_for_message("confirmed");
        stage
    }

    /// A dozen calls that go on for longer than the test, in which nothing happens but bursts of changes; all are
    /// known, and recorded.
    fn quiet(bursts_every: &str, more: &str) -> Self {
        let number = QUIET.to_string();
        let calls = ["--calls", &number, "--in-progress", &number, "--talk", "3h", "--queue", "Support"];
        let alert = "[alert]\nexec = [\"/bin/sh\", \"-c\", \"cat >> alerts; echo >> alerts\"]\n";
        let bursts = ["--event-burst-every", bursts_every];
        let mut stage = Self::of(&[&calls[..], &bursts].concat(), &format!("{alert}{more}"));
        stage.daemon.wait_for_message(&format!("is closed: {QUIET} conversations were judged"));
        stage.until_all("active");
        stage
    }

    /// Every call is known to be so, and nothing is left to do.
    fn until_all(&self, observed: &str) {
        until(&self.address, &format!("all are {observed}"), |view| {
            let calls = view["calls"].as_array().expect("a list");
            let so = calls.iter().filter(|call| call["observed"] == observed).count();
            (calls.len(), so) == (QUIET, QUIET) && view["worklist"] == 0
        });
    }

    /// The network is whole again; what was swallowed never arrives, so those connections are cut.
    fn recovers(&self) {
        self.proxy.becomes(Network::Open);
        self.proxy.cut_connections();
    }

    /// What went out to whoever has to know, in its order, once it is told that all is seen again: about what, and the
    /// text.
    fn alerts(&self) -> Vec<(String, String)> {
        until_seen("the alert that all is seen again", || {
            let text = std::fs::read_to_string(self.site.path().join("alerts")).unwrap_or_default();
            // The shell that writes the last of them may be at it still.
            let whole = serde_json::Deserializer::from_str(&text).into_iter::<Value>().map_while(Result::ok);
            let field = |alert: &Value, key: &str| alert[key].as_str().unwrap_or_default().to_owned();
            let told: Vec<(String, String)> =
                whole.map(|alert| (field(&alert, "about"), field(&alert, "message"))).collect();
            told.last().is_some_and(|(about, _)| about == "sight").then_some(told)
        })
    }

    /// Whatever happened before `from`, no call that ended after it was in a wrong state for long, and none is;
    /// the log is whole.
    fn ends_well(mut self, from: jiff::Timestamp) {
        let summary = self.simulator.run_out(&self.address);
        all_right_after(&summary, from);
        self.site.ends_well(&mut self.daemon);
        assert_eq!(orders_beyond_the_log(&self.simulator.process.seen, &self.site.records()).0, [""; 0]);
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
    stage.recovers();
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

fn of_kind<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["kind"] == kind).collect()
}

/// From when to when, in seconds.
fn seconds(from: jiff::Timestamp, to: jiff::Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

fn instant(record: &Value, key: &str) -> jiff::Timestamp {
    record[key].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{key} in {record}"))
}

/// Polling begins so long after the subscription was lost.
const BLIND_AFTER: Duration = Duration::from_secs(2);
/// Once each burst is over a stop is wanted.
const AFTER_A_BURST: &str =
    "[[rule]]\nname = \"ninth\"\nattribute = { burst = \"9 *\" }\naction = \"stop\"\n";

#[test]
fn where_sockets_die_and_no_other_opens_polling_takes_over_and_each_second_of_it_is_told() {
    let more = format!("[safety]\nblind_after = \"{}s\"\n{AFTER_A_BURST}", BLIND_AFTER.as_secs());
    let mut stage = Stage::quiet("60s", &more);
    let blind_seconds = |stage: &Stage| metric::<f64>(&stage.address, "recwarden_blind_seconds_total");
    let blind_before = blind_seconds(&stage);
    // Half-open: nothing comes, nothing is closed, and what opens anew is the same. Requests are answered.
    stage.proxy.becomes(Network::SocketsDark);
    stage.daemon.wait_for_message("events may be missed");
    let polls = stage.daemon.wait_for_message("live conversations are read in turn");
    let lasted = polls.strip_prefix("no working subscription for ").and_then(|text| text.split(':').next());
    let lasted = lasted.and_then(|span| humantime::parse_duration(span).ok()).expect("how long it lasted");
    assert!((BLIND_AFTER..PATIENCE).contains(&lasted), "{polls}");
    let (status, why) = get(&stage.address, "/readyz");
    assert!(status == 503 && why.contains("subscription"), "{status} {why}");
    stage.simulator.process.wait_for("a change of every call", |line| line["detail"] == "EventBurst");
    stage.until_all("paused");
    stage.recovers();
    stage.daemon.wait_for_message("every topic is heard again");
    stage.daemon.wait_for_message(&format!("is closed: {QUIET} conversations were judged"));
    let blind = blind_seconds(&stage) - blind_before;
    let alerts = stage.alerts();
    stage.site.ends_well(&mut stage.daemon);

    let records = stage.site.records();
    let account = Account::of(&records);
    let alerted = of_kind(&records, "alert");
    assert_eq!(alerts.len(), alerted.len(), "{alerts:?} {alerted:?}");
    let about: Vec<&str> = alerts.iter().map(|(about, _)| about.as_str()).collect();
    assert_eq!(about, ["blind", "sight"], "{alerts:?}");
    // Nothing was lost, and no event told of it: polling saw each change, and what came of it.
    assert_eq!(account.decisions.len(), QUIET, "{:?}", account.decisions);
    let polled =
        |record: &&&Value| time_of(record) >= time_of(alerted[0]) && time_of(record) <= time_of(alerted[1]);
    assert_eq!(of_kind(&records, "decision").iter().filter(polled).count(), QUIET);
    let confirmed = of_kind(&records, "confirmed");
    assert!(confirmed.iter().all(|record| record["by"] == "read"), "{confirmed:?}");
    // One gap at the start, and one from the last that was heard until the socket was back.
    let (opened, closed) = (of_kind(&records, "gap.opened"), of_kind(&records, "gap.closed"));
    assert_eq!((opened.len(), closed.len()), (2, 2), "{opened:?} {closed:?}");
    let (from, to, judged) = (instant(closed[1], "from"), instant(closed[1], "to"), time_of(closed[1]));
    assert_eq!((&opened[1]["gap"], instant(opened[1], "from")), (&closed[1]["gap"], from));
    assert!(seconds(from, time_of(opened[1])) > 40.0, "it was noticed by silence: {:?}", opened[1]);
    let sight_back = time_of(alerted[1]);
    let (calls, stood_still) = (QUIET as f64, standstill().as_secs_f64());
    let heard = seconds(sight_back, to);
    assert!((-1.0..5.0 + stood_still).contains(&heard), "until every topic was heard: {:?}", closed[1]);
    let slack = 1.0 + stood_still;
    let (least, most) =
        (calls * (seconds(from, sight_back) - slack), calls * (seconds(from, judged) + slack));
    assert!((least..=most).contains(&blind), "{blind} s blind, and {least} to {most} were expected");
}

fn time_of(record: &Value) -> jiff::Timestamp {
    instant(record, "time")
}

#[test]
fn where_nothing_gets_through_stops_go_out_as_soon_as_they_can_and_all_is_given_back_with_sight() {
    let mut stage = Stage::quiet("1h", "[safety]\nblind_after = \"1s\"\nwhen_blind = \"stop\"\n");
    stage.proxy.becomes(Network::BlackHole);
    stage.proxy.cut_connections();
    stage.daemon.wait_for_message("live conversations are read in turn");
    // No look is answered, and each counts as vain after half a minute: first the query, then the reads.
    stage.daemon.wait_for_message("live conversations could not be queried");
    let blind = stage.daemon.wait_for_message("nothing is seen of the platform");
    assert!(blind.contains("safety.when_blind = \"stop\""), "{blind}");
    until(&stage.address, "all are to be stopped", |view| {
        let calls = view["calls"].as_array().expect("a list");
        calls.len() == QUIET
            && calls.iter().all(|call| call["rule"] == "when_blind" && call["wish"] == "stop")
    });
    // Orders get through before anything can be seen: every call is stopped.
    stage.proxy.becomes(Network::OrdersOnly);
    stage.proxy.cut_connections();
    let mut paused = BTreeSet::new();
    while paused.len() < QUIET {
        let line = stage.simulator.process.wait_for("a call is paused", |line| {
            line["detail"].as_str().is_some_and(|detail| detail.contains("secure pause"))
        });
        paused.insert(line["subject"].as_str().expect("a conversation").to_owned());
    }
    let view = until(&stage.address, "it is blind", |view| view["sight"] == "blind");
    assert_eq!(view["calls"].as_array().map(Vec::len), Some(QUIET), "{view}");
    stage.recovers();
    stage.daemon.wait_for_message("every topic is heard again");
    // Each call is judged anew with the first that is seen of it, which may be before that.
    let given_back =
        |daemon: &Process| daemon.seen.iter().filter(|line| message(line) == "decided: start").count();
    while given_back(&stage.daemon) < QUIET {
        stage.daemon.wait_for_message("decided: start");
    }
    stage.until_all("active");
    let alerts = stage.alerts();
    stage.site.ends_well(&mut stage.daemon);

    let records = stage.site.records();
    let wanted = |action: &str, reason: &str| {
        let decided = of_kind(&records, "decision");
        let fits = |record: &&&Value| {
            record["rule"] == "when_blind" && record["action"] == action && record["reason"] == reason
        };
        let calls: BTreeSet<String> =
            decided.iter().filter(fits).map(|record| record["conversation"].to_string()).collect();
        calls.len()
    };
    assert_eq!((wanted("stop", "blind"), wanted("start", "released")), (QUIET, QUIET));
    assert_eq!(Account::of(&records).decisions.len(), 2 * QUIET, "each once");
    let blind: Vec<&(String, String)> = alerts.iter().filter(|(about, _)| about == "blind").collect();
    assert_eq!(blind.len(), 2, "polling, and blindness: {alerts:?}");
    assert!(alerts.last().is_some_and(|(about, _)| about == "sight"), "{alerts:?}");
}
