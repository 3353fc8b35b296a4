//! A daemon whose `limits.memory` is far too small for what there is: events are shed, told and read again, no decision
//! is lost, and the process takes no more than the README says.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use players::{Account, HTTP, PATIENCE, Simulator, Site, health_address, metric, until};
use recwarden::http::ask::Unanswered;
use recwarden::io::clock::Clock;
use recwarden::io::facts::{FILE_NAME, FactStore};
use recwarden::model::ids::ConversationId;
use recwarden::sim::random::Chance;
use recwarden::warden::Keeping;
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
/// A daemon that is slow works one off before the next, and the first that it hears comes while there is no room for calls.
const BURST_EVERY: &str = "15s";
const SECRET: &str = "hunter2-hunter2";

/// What every call ends up as, from the first burst on.
const RULE: &str = "[[rule]]\nname = \"burst\"\nattribute = { burst = \"*\" }\naction = \"stop\"\n";

fn configuration() -> String {
    format!(
        "[subscribe]\nresync_every = \"5s\"\n\
         [limits]\nrequests_per_minute = 60000\naction_share = 0.3\nmemory = \"{MEMORY}\"\n\
         {HTTP}[webhook]\nlisten = \"127.0.0.1:0\"\nsecret_file = \"webhook-secret\"\n{RULE}"
    )
}

/// Facts of conversations that nobody knows, as a daemon before this one kept them: nearly all that there is room for.
fn fill(site: &Site, chance: &mut Chance) {
    let path = site.audit().join(".state").join(FILE_NAME);
    let (mut store, _) = FactStore::open(path).expect("the facts");
    for _ in 0..ROOM_FOR - 20 {
        let facts = [("note".to_owned(), Value::from("x".repeat(FACTS)))].into();
        store.keep(Keeping::Keep(ConversationId::new(chance.uuid()), facts));
    }
    store.sync().expect("they are kept");
}

/// Pushes more of them until there is no room: how many were taken, and how long to wait for some.
fn fill_up(webhook: &str, chance: &mut Chance) -> (usize, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = reqwest::Client::builder().timeout(PATIENCE).build().expect("a client");
    for taken in 0..40 {
        let body = json!({"conversation_id": chance.uuid(), "facts": {"note": "x".repeat(FACTS)}});
        let request = client.post(format!("{webhook}/facts")).bearer_auth(SECRET).json(&body);
        let (status, wait, said) = runtime.block_on(async {
            let answer = request.send().await.expect("an answer");
            let wait = answer.headers().get("retry-after").cloned();
            (answer.status().as_u16(), wait, answer.text().await.expect("a text"))
        });
        match status {
            200 => {}
            // They may be taken all the same, so that others fill what is left.
            503 if said.contains(&Unanswered::Silent.to_string()) => {}
            503 => {
                let wait = wait.expect("how long to wait");
                return (taken, wait.to_str().expect("a text").to_owned());
            }
            _ => panic!("{status} {said}"),
        }
    }
    panic!("there is room for more than limits.memory says");
}

/// There is an alert about it, and no other within ten minutes.
fn overload_is_told_now_and_then(records: &[Value]) {
    let alerts = records.iter().filter(|one| one["kind"] == "alert" && one["about"] == "overload");
    let times: Vec<jiff::Timestamp> =
        alerts.map(|one| one["time"].as_str().expect("a time").parse().expect("an instant")).collect();
    let apart = times.windows(2).all(|two| two[1].duration_since(two[0]).as_secs() >= 590);
    assert!(!times.is_empty() && apart, "{times:?}");
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
        BURST_EVERY,
    ]);
    let site = Site::new(&simulator, &simulator.api_url, &configuration());
    site.write("webhook-secret", SECRET);
    let mut chance = Chance::new(1);
    fill(&site, &mut chance);
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    let said = daemon.wait_for_message("the webhook at http://");
    let webhook = format!("{}/webhook", said.rsplit("the webhook at ").next().expect("an address"));
    let (taken, wait) = fill_up(&webhook, &mut chance);
    assert!(wait == "30" && metric::<u64>(&address, "recwarden_facts_refused_total") > 0, "{wait}");
    // There is no room for the calls before the platform has said for long enough that it knows nobody of those.
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
        let counted = metric(&address, "recwarden_events_dropped_total");
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
        "limits.memory = {MEMORY}: {taken} facts taken and then none, {shed} events shed in {} records ({why:?}), {} decisions, \
         peak {peak} kB",
        account.count("dropped"),
        account.decisions.len(),
    )
    .expect("stderr");
    assert!(shed > 100, "{shed}");
    overload_is_told_now_and_then(&records);
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
