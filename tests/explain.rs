//! `recwarden explain`: an event file, a live conversation through the daemon, a past one from log and events.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use players::{Simulator, Site, message, recwarden, said};
use serde_json::{Value, json};

const RULES: &str = "[http]\nlisten = \"\"\n\
    [[rule]]\nname = \"card\"\nqueue = [\"Payments\", \"Card *\"]\nattribute = { pci = \"on\" }\naction = \"stop\"\n\
    at_most = \"10s\"\npriority = 2\nreason = \"PCI DSS 3.3.1\"\n\
    [[rule]]\nname = \"refused\"\nwhen = 'attributes.consent == \"no\" && agents.exists(a, a.held)'\naction = \"stop\"\n";
const ID: &str = "5c5a3b1e-8f0d-4a5e-9d5c-1f2e3d4c5b6a";

/// One event: the participant data of the customer, and whether the agent is still there.
fn event(at: &str, pci: &str, state: &str) -> String {
    let customer = json!({"id": "p1", "purpose": "customer", "attributes": {"pci": pci, "consent": "no"},
        "state": state, "direction": "inbound", "recordingState": "active"});
    let agent = json!({"id": "p2", "purpose": "agent", "state": state, "held": false,
        "queue": {"id": "q1", "name": "Payments"}, "recordingState": "active"});
    let body = json!({"id": ID, "participants": [customer, agent], "recordingState": "active"});
    let frame = json!({"topicName": "v2.routing.queues.q1.conversations.calls", "eventBody": body});
    json!({"at": at, "frame": frame}).to_string()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("recwarden.toml"), RULES).expect("written");
    let events = [
        event("2026-01-05T09:00:00Z", "off", "connected"),
        event("2026-01-05T09:00:10Z", "on", "connected"),
        event("2026-01-05T09:00:40Z", "off", "connected"),
        event("2026-01-05T09:01:00Z", "off", "disconnected"),
    ];
    std::fs::write(folder.path().join("call.jsonl"), events.join("\n") + "\n").expect("written");
    folder
}

fn explain(folder: &tempfile::TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let arguments = [&["explain", "--config", "recwarden.toml"], arguments].concat();
    let output = recwarden(folder.path(), &arguments, &[]);
    (output.status.code(), said(&output))
}

#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in:\n{text}");
    }
}

#[test]
fn an_event_file_is_explained_where_it_ends() {
    let folder = folder();
    let (code, text) = explain(&folder, &["call.jsonl"]);
    assert_eq!(code, Some(0), "{text}");
    contains(
        &text,
        &[
            "inbound call, in queue Payments; recording: active",
            "  differs  card: stop, priority 2 (PCI DSS 3.3.1)\n           attribute.pci\n             saw:    \"off\"\n             needed: \"on\"",
            "when: agents.exists(a, a.held)\n             saw:    in agents: a.held is false\n             needed: a.held for one of agents",
            "it had ended by 2026-01-05T09:01:00",
        ],
    );
}

#[test]
fn a_bare_conversation_is_explained_without_a_time_that_nobody_told() {
    let folder = folder();
    let line = event("", "on", "connected");
    let frame: Value = serde_json::from_str(&line).expect("JSON");
    let body = frame["frame"]["eventBody"].to_string();
    std::fs::write(folder.path().join("bare.json"), body).expect("written");
    let (code, text) = explain(&folder, &["bare.json"]);
    assert_eq!(code, Some(0), "{text}");
    contains(
        &text,
        &[
            "recording: active\nwanted: stop, by card (PCI DSS 3.3.1)\n",
            "  matches  card",
            "           in force\n",
        ],
    );
    assert!(!text.contains("1970"), "{text}");
}

#[test]
fn a_moment_of_the_past_is_explained_with_its_holds() {
    let folder = folder();
    let explained = |at: &str| {
        let (code, text) = explain(
            &folder,
            &[ID, "--events", "call.jsonl", "--at", at, "--rule", "card", "--format", "json"],
        );
        assert_eq!(code, Some(0), "{text}");
        serde_json::from_str::<Value>(&text).expect("an explanation")
    };
    let held = explained("2026-01-05T09:00:15Z");
    assert_eq!(held["verdict"], json!({"wish": "stop", "rule": "card", "reason": "PCI DSS 3.3.1"}));
    assert_eq!(held["rules"].as_array().map(Vec::len), Some(1));
    assert_eq!(held["rules"][0]["result"], "matched");
    assert_eq!(held["rules"][0]["hold"]["phase"], "held");
    assert_eq!(held["observed"], "active", "what was captured, not what our calls would have made of it");
    let expired = explained("2026-01-05T09:00:30Z");
    assert_eq!(expired["rules"][0]["hold"]["phase"], "expired");
    let over = explained("2026-01-05T09:00:45Z");
    assert_eq!(over["rules"][0]["result"], "differs");
    assert_eq!(
        over["rules"][0]["first"],
        json!({"key": "attribute.pci", "saw": "\"off\"", "needed": "\"on\""})
    );
}

#[test]
fn what_cannot_be_explained_is_told_with_what_to_do() {
    let folder = folder();
    let (code, text) = explain(&folder, &[ID]);
    assert_eq!(code, Some(1), "{text}");
    contains(&text, &["nothing is known of conversation", "no daemon runs here", "--events FILE"]);
    let (code, text) = explain(&folder, &["call.jsonl", "--rule", "carb"]);
    assert_eq!(code, Some(2), "{text}");
    contains(&text, &["the policy has no rule 'carb'; did you mean 'card'?"]);
    let (code, text) = explain(&folder, &["call.jsonl", "--rule", "re"]);
    assert_eq!(code, Some(2), "{text}");
    contains(&text, &["the policy has no rule 're'; did you mean 'refused'?"]);
    let (_, text) = explain(&folder, &["call.jsonl", "--rule", "pause-while-card-is-read"]);
    contains(&text, &["no rule 'pause-while-card-is-read'; there are: card, refused"]);
    let (code, text) = explain(&folder, &["nowhere.jsonl"]);
    assert_eq!(code, Some(1), "{text}");
    contains(&text, &["nowhere.jsonl cannot be opened"]);
    let (code, text) = explain(&folder, &["no-uuid"]);
    assert_eq!(code, Some(2), "{text}");
    contains(&text, &["is not a UUID; and no file of that name is there"]);
    let (code, text) = explain(&folder, &["card"]);
    assert_eq!(code, Some(2), "{text}");
    contains(
        &text,
        &["it is a rule: name a conversation too, as in recwarden explain CONVERSATION --rule card"],
    );
    let (code, text) = explain(&folder, &["c2", "--events", "call.jsonl"]);
    assert_eq!(code, Some(1), "{text}");
    contains(&text, &["the events do not tell of conversation c2"]);
}

#[test]
fn a_live_conversation_is_asked_of_the_daemon_and_a_past_one_of_the_log() {
    let simulator = Simulator::start(&["--calls", "20", "--pace", "20"]);
    let rules = format!("[limits]\nrequests_per_minute = 60000\n{RULES}");
    let site = Site::new(&simulator, &simulator.api_url, &rules);
    let mut daemon = site.daemon();
    let line = daemon.wait_for("a decision", |line| message(line).starts_with("decided: "));
    let id = line["fields"]["conversation"].as_str().expect("an id").to_owned();
    // The call may be over by now: whoever answers, the daemon or the log, must know the rule.
    let asked = site.run(&["explain", &id, "--config", "recwarden.toml"]);
    assert!(asked.status.success(), "{}", said(&asked));
    contains(&said(&asked), &[&id, "card"]);
    let live = |site: &Site| {
        let ids = site.records().into_iter().rev().filter(|record| record["kind"] == "hold");
        let mut ids: Vec<String> =
            ids.filter_map(|record| record["conversation"].as_str().map(str::to_owned)).collect();
        ids.dedup();
        ids.into_iter().find_map(|id| {
            let output = site.run(&["explain", &id, "--config", "recwarden.toml", "--format", "json"]);
            let text = String::from_utf8(output.stdout).expect("text");
            let first: Value = serde_json::from_str(text.lines().next()?).ok()?;
            first["rules"].is_array().then_some(first)
        })
    };
    let explained = loop {
        if let Some(explained) = live(&site) {
            break explained;
        }
        daemon.wait_for("a decision", |line| message(line).starts_with("decided: "));
    };
    assert_eq!(explained["rules"].as_array().map(Vec::len), Some(2), "{explained}");
    assert!(explained["verdict"]["wish"].is_string() && explained["queue"].is_string(), "{explained}");

    assert_eq!(daemon.told_to_stop(), Some(0));
    let past = said(&site.run(&["explain", &id, "--config", "recwarden.toml"]));
    contains(
        &past,
        &["the audit log in", "decided to stop by rule card (PCI DSS 3.3.1); the recording was active"],
    );
    contains(&past, &["rule card holds it (stop)", "attempt 1: PUT /api/v2/conversations/calls/"]);
    let other = said(&site.run(&["explain", &id, "--config", "recwarden.toml", "--rule", "refused"]));
    contains(&other, &["nothing is known of conversation"]);
}
