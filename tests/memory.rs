//! A daemon whose `limits.memory` is far too small for what there is: events are shed, told and read again, no decision
//! is lost, and the process takes no more than the README says.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use players::{Account, HTTP, PATIENCE, Simulator, Site, get, health_address, until};
use recwarden::io::clock::Clock;
use recwarden::sim::random::Chance;
use rustix::process::Signal;
use serde_json::{Value, json};

/// Live calls, each of which changes ten times in a burst.
const CALLS: usize = 1_000;
/// The least that the configuration takes: 48 MiB for what is known, the rest for events that wait.
const MEMORY: &str = "64MiB";
/// The same with the sixteenth more that facts may take, and what the README says that the program and its allocator
/// take beside it, in kB. Some 130,000 are used.
const BOUND: u64 = 64 * 1024 + 4 * 1024 + 80_000_000 / 1024;
/// What one push of facts takes, and how many of them there is room for, about: all that is known is in 48 MiB.
const FACTS: usize = 60_000;
const ROOM_FOR: usize = 48 * 1024 * 1024 / FACTS;
/// Pushes that are under way at once.
const AT_ONCE: usize = 8;
const SECRET: &str = "hunter2-hunter2";

/// What every call ends up as, from the first burst on.
const RULE: &str = "[[rule]]\nname = \"burst\"\nattribute = { burst = \"*\" }\naction = \"stop\"\n";

fn configuration(queue: &str) -> String {
    format!(
        "[subscribe]\nqueues = [{queue}]\nresync_every = \"5s\"\n\
         [limits]\nrequests_per_minute = 60000\naction_share = 0.3\nmemory = \"{MEMORY}\"\n\
         {HTTP}[webhook]\nlisten = \"127.0.0.1:0\"\nsecret_file = \"webhook-secret\"\n{RULE}"
    )
}

/// Pushes facts of conversations that nobody knows until there is no room for more: how many were taken, and how long
/// to wait for some.
fn fill_up(webhook: &str) -> (usize, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = reqwest::Client::builder().timeout(PATIENCE).build().expect("a client");
    let note = "x".repeat(FACTS);
    let (mut chance, mut taken, mut wait) = (Chance::new(1), 0, None);
    while wait.is_none() {
        let some = (0..AT_ONCE).map(|_| {
            let body = json!({"conversation_id": chance.uuid(), "facts": {"note": note}});
            client.post(format!("{webhook}/facts")).bearer_auth(SECRET).json(&body)
        });
        let some: Vec<_> = some.collect();
        let sent = async { futures::future::join_all(some.into_iter().map(|one| one.send())).await };
        for answer in runtime.block_on(sent) {
            let answer = answer.expect("an answer");
            match answer.status().as_u16() {
                200 => taken += 1,
                503 => wait = answer.headers().get("retry-after").cloned(),
                other => panic!("{other}"),
            }
        }
    }
    (taken, wait.expect("how long to wait").to_str().expect("a text").to_owned())
}

fn counter(address: &str, name: &str) -> u64 {
    let (_, metrics) = get(address, "/metrics");
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.expect("it is there").parse().expect("a whole number")
}

/// How many events the log says were shed, and why.
fn dropped(records: &[Value]) -> (u64, BTreeSet<String>) {
    let all = records.iter().filter(|record| record["kind"] == "dropped");
    let why = |one: &Value| one["why"].as_str().expect("a text").to_owned();
    (all.clone().filter_map(|one| one["events"].as_u64()).sum(), all.map(why).collect())
}

#[test]
fn with_far_too_little_memory_events_are_shed_and_read_again_and_no_decision_is_lost() {
    let calls = CALLS.to_string();
    let simulator = Simulator::start(&[
        "--calls",
        &calls,
        "--in-progress",
        &calls,
        "--talk",
        "3h",
        "--queue",
        "Support",
        "--event-burst-every",
        "10s",
    ]);
    let site = Site::new(&simulator, &simulator.api_url, &configuration(""));
    site.write("webhook-secret", SECRET);
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    let said = daemon.wait_for_message("the webhook at http://");
    let webhook = format!("{}/webhook", said.rsplit("the webhook at ").next().expect("an address"));
    daemon.wait_for_message("is closed: ");
    let idle = daemon.memory("VmHWM");

    let (taken, wait) = fill_up(&webhook);
    assert!((ROOM_FOR * 9 / 10..=ROOM_FOR).contains(&taken), "{taken} of {ROOM_FOR}");
    assert!(wait == "30" && counter(&address, "recwarden_facts_refused_total") > 0, "{wait}");

    // Now come the calls, for which there is no room before the platform has said that it knows nobody of those.
    site.configure(&simulator, &simulator.api_url, &configuration("\"*\""));
    daemon.signal(Signal::HUP);
    daemon.wait_for_message("events are shed: ");
    until(&address, "all are paused", |view| {
        let calls = view["calls"].as_array().expect("a list");
        calls.len() == CALLS && calls.iter().all(|call| call["observed"] == "paused") && view["worklist"] == 0
    });
    let peak = daemon.memory("VmHWM");
    // With a platform that holds its breath, all that was shed is told within ten seconds.
    simulator.process.signal(Signal::STOP);
    let quiet = Clock::start();
    let (shed, why) = loop {
        let (told, why) = dropped(&site.records());
        let counted = counter(&address, "recwarden_events_dropped_total");
        if told == counted {
            break (told, why);
        }
        assert!(
            told < counted && quiet.now().mono.since_start() < PATIENCE,
            "{told} told, {counted} counted"
        );
        std::thread::sleep(Duration::from_millis(500));
    };
    simulator.process.signal(Signal::CONT);
    site.ends_well(&mut daemon);
    let records = site.records();
    let account = Account::of(&records);
    writeln!(
        std::io::stderr(),
        "limits.memory = {MEMORY}: {taken} facts of {FACTS} bytes, {shed} events shed in {} records ({why:?}), {} decisions, \
         peak {peak} kB ({idle} kB before)",
        account.count("dropped"),
        account.decisions.len(),
    )
    .expect("stderr");
    assert!(shed > 100, "{shed}");
    let overload = records.iter().filter(|one| one["kind"] == "alert" && one["about"] == "overload").count();
    assert_eq!(overload, 1, "one alert in ten minutes");
    assert!(account.decisions.len() >= CALLS, "{}", account.decisions.len());
    assert_eq!(account.count("abandoned"), 0, "{:?}", account.kinds);
    assert!(peak < BOUND, "{peak} kB of {BOUND} kB");

    // Who knows nothing of all that, and has room for everybody, finds nothing to do.
    let fresh = Site::new(
        &simulator,
        &simulator.api_url,
        &format!("[limits]\nrequests_per_minute = 60000\n{HTTP}{RULE}"),
    );
    let mut daemon = fresh.daemon();
    daemon.wait_for_message(&format!("is closed: {CALLS} conversations were judged"));
    fresh.ends_well(&mut daemon);
    assert_eq!(Account::of(&fresh.records()).decisions.len(), 0);
}
