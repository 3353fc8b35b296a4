//! A hundred calls at once, daemon and simulator as two processes: every recording ends as the policy says,
//! compared call by call with what the simulator knows to be true.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use players::{
    Account, SAMPLE_POLICY, Simulator, Site, all_right_after, health_address, orders_beyond_the_log, time,
};

#[test]
fn every_call_of_a_hundred_ends_as_the_policy_says() {
    let mut simulator = Simulator::start(&["--calls", "100", "--pace", "10", "--seed", "11"]);
    let more =
        format!("[limits]\nrequests_per_minute = 60000\n[http]\nlisten = \"127.0.0.1:0\"\n{SAMPLE_POLICY}");
    let site = Site::new(&simulator, &simulator.api_url, &more);
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    let begun = daemon.wait_for("the start is over", |line| players::message(line).contains("is closed: "));
    let until = time(&begun) + Duration::from_secs(20);
    simulator.process.wait_for("a while", |line| line["at"].is_string() && time(line) > until);
    let summary = simulator.run_out(&address);
    assert_eq!(daemon.told_to_stop(), Some(0));

    let (sound, said) = site.verify();
    assert!(sound && said.contains(" 0 open; the log is closed by a clean stop"), "{said}");
    let records = site.records();
    let account = Account::of(&records);
    assert!(account.not_ended_once().is_empty(), "{:?}", account.not_ended_once());
    assert!(summary["calls"].as_u64() > Some(100), "{summary}");
    // Who hangs up at once after reading a card number is gone before any order can come.
    all_right_after(&summary, jiff::Timestamp::MIN);
    assert_eq!(orders_beyond_the_log(&simulator.process.seen, &records).0, [""; 0]);
    // Call by call: what the simulator applied last is what the log says was confirmed last.
    let mut applied = BTreeMap::new();
    for line in simulator.process.seen.iter().filter(|line| line["kind"] == "recording") {
        let detail = line["detail"].as_str().unwrap_or_default();
        let action = if detail.starts_with("Pause") { "stop" } else { "start" };
        applied.insert(line["subject"].as_str().unwrap_or_default().to_owned(), action);
    }
    let mut confirmed = BTreeMap::new();
    let mut unconfirmed = std::collections::BTreeSet::new();
    for record in &records {
        let conversation = record["conversation"].as_str().unwrap_or_default().to_owned();
        match record["kind"].as_str() {
            Some("confirmed") => {
                let decision = record["decision"].as_str().unwrap_or_default();
                confirmed.insert(conversation, account.decisions[decision].0.clone());
            }
            Some("superseded" | "abandoned") => {
                unconfirmed.insert(conversation);
            }
            _ => {}
        }
    }
    for (conversation, action) in &applied {
        let log = confirmed.get(conversation).map(String::as_str);
        assert!(
            log == Some(*action) || unconfirmed.contains(conversation),
            "{conversation}: {action}, the log says {log:?}"
        );
    }
    assert!(confirmed.len() > 20, "{summary}");
    writeln!(
        std::io::stderr(),
        "event to request on loopback, debug build: {}",
        summary["event_to_request_ms"]
    )
    .expect("stderr");
}
