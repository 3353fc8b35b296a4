//! `recwarden capture` against the simulator: redacted, bounded, replayable, and without a trace anywhere else.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use std::collections::BTreeSet;
use std::time::Duration;

use players::{Simulator, Site, said, until_seen};
use recwarden::io::clock::Clock;
use serde_json::{Value, json};

const RULES: &str = "[http]\nlisten = \"\"\n[[rule]]\nname = \"card\"\nqueue = [\"Payments\", \"Card *\", \"Collections\"]\n\
    attribute = { pci = \"on\" }\naction = \"stop\"\n";

fn capture(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let output = site.run(&[&["capture", "--config", "recwarden.toml"], arguments].concat());
    (output.status.code(), said(&output))
}

/// A capture until so much is there, told to stop then; what it said.
fn capture_until(site: &Site, arguments: &[&str], what: &str, is_there: impl Fn() -> bool) -> String {
    let mut capturing = site.capture(arguments);
    until_seen(what, || {
        assert!(is_there() || capturing.is_running(), "it ended by itself: {:?}", capturing.seen);
        is_there().then_some(())
    });
    assert_eq!(capturing.told_to_stop(), Some(0), "{:?}", capturing.seen);
    let said: Vec<&str> = capturing.seen.iter().filter_map(Value::as_str).collect();
    said.join("\n")
}

fn lines(site: &Site, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(site.path().join(name)).expect("the file");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

/// The files of a capture, in their order.
fn files(site: &Site, first: &str) -> Vec<String> {
    let entries = std::fs::read_dir(site.path()).expect("the folder").filter_map(Result::ok);
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(first)).collect();
    names.sort();
    names
}

#[test]
fn events_are_captured_redacted_and_can_be_replayed_and_nothing_else_happens() {
    let mut simulator = Simulator::start(&["--calls", "20", "--pace", "20"]);
    let site = Site::new(&simulator, &simulator.api_url, RULES);
    let arguments = ["--output", "events.jsonl", "--rotate-size", "50KiB"];
    let enough = || files(&site, "events.jsonl").len() >= 4;
    let text = capture_until(&site, &arguments, "several files", enough);
    assert!(text.contains(" events of ") && text.contains("events.jsonl to events.jsonl.00"), "{text}");

    let names = files(&site, "events.jsonl");
    assert!(names.len() > 1 && names[1] == "events.jsonl.0002", "{names:?}");
    let all: Vec<Vec<Value>> = names.iter().map(|name| lines(&site, name)).collect();
    for (name, lines) in names.iter().zip(&all) {
        let queues = lines[0]["queues"].as_object();
        assert!(
            queues.is_some_and(|queues| !queues.is_empty()),
            "{name} begins with the names: {}",
            lines[0]
        );
    }
    let frames: Vec<&Value> = all.iter().flatten().filter(|line| line["frame"].is_object()).collect();
    assert!(frames.len() > 5, "{}", frames.len());
    let mut seen = BTreeSet::new();
    for line in frames {
        assert!(line["at"].is_string() && line["frame"]["topicName"].is_string(), "{line}");
        for participant in line["frame"]["eventBody"]["participants"].as_array().expect("participants") {
            for key in ["name", "address", "ani", "dnis"] {
                if let Some(value) = participant[key].as_str().filter(|value| !value.is_empty()) {
                    assert!(value.starts_with("redacted:"), "{key}: {value}");
                    seen.insert(key);
                }
            }
        }
    }
    assert!(
        seen.contains("name") && seen.contains("address"),
        "the test must see what is redacted: {seen:?}"
    );

    let events: Vec<&str> = names.iter().map(String::as_str).collect();
    let output = site.run(&[&["replay", "--config", "recwarden.toml", "--summary"], &events[..]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).expect("a summary");
    assert!(summary["summary"]["events"].as_u64().is_some_and(|events| events > 5), "{summary}");

    assert!(!site.audit().join("control.sock").exists(), "no daemon was begun");
    let logs = std::fs::read_dir(site.audit()).expect("the folder of the salt");
    let logs: Vec<_> = logs.filter_map(Result::ok).filter(|one| one.file_name() != ".state").collect();
    assert!(logs.is_empty(), "nothing is journaled: {logs:?}");
    let summary = simulator.summary();
    let happened = &simulator.process.seen;
    assert!(happened.iter().any(|line| line["kind"] == "call"), "the simulator tells what happens");
    let is_order = |line: &&Value| line["detail"].as_str().is_some_and(|detail| detail.contains("asked for"));
    let orders: Vec<&Value> = happened.iter().filter(is_order).collect();
    assert!(orders.is_empty(), "no recording is touched: {orders:?} {summary}");
}

#[test]
fn a_file_that_is_there_is_refused_before_anything_is_asked_of_the_platform_or_written() {
    let simulator = Simulator::start(&["--calls", "10", "--pace", "20"]);
    let site = Site::new(&simulator, &simulator.api_url, RULES);
    site.write("events.jsonl", "{\"queues\":{}}\n");
    let (code, text) = capture(&site, &["--output", "events.jsonl", "--for", "1s"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("events.jsonl is there already") && text.contains("--append"), "{text}");
    assert_eq!(lines(&site, "events.jsonl").len(), 1);
    let arguments = ["--output", "events.jsonl", "--append"];
    let path = site.path().join("events.jsonl");
    let more = || std::fs::read_to_string(&path).is_ok_and(|text| text.contains("\"frame\""));
    capture_until(&site, &arguments, "an event", more);
    let lines = lines(&site, "events.jsonl");
    let names = lines[1]["queues"].as_object();
    assert!(lines[0]["queues"] == json!({}) && names.is_some_and(|names| !names.is_empty()), "{lines:?}");
    let (code, text) = capture(&site, &["--output", "x.jsonl", "--rotate-size", "many"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("256MiB"), "{text}");
}

#[test]
fn told_to_stop_it_completes_its_file() {
    let simulator = Simulator::start(&["--calls", "10", "--pace", "20"]);
    let site = Site::new(&simulator, &simulator.api_url, RULES);
    let path = site.path().join("events.jsonl.zst");
    let enough = || std::fs::metadata(&path).map_or(0, |file| file.len()) >= 2000;
    capture_until(&site, &["--output", "events.jsonl.zst"], "some events", enough);
    let packed = std::fs::read(&path).expect("the file");
    let text = String::from_utf8(zstd::decode_all(&*packed).expect("it is whole")).expect("text");
    assert!(text.ends_with("}\n") && text.contains("\"topicName\""), "{}", text.len());
}

#[test]
fn a_capture_ends_by_itself_when_its_time_is_over() {
    let simulator = Simulator::start(&["--calls", "10", "--pace", "20"]);
    let site = Site::new(&simulator, &simulator.api_url, RULES);
    let clock = Clock::start();
    let (code, text) = capture(&site, &["--output", "events.jsonl", "--for", "20s"]);
    assert!(code == Some(0) && clock.now().mono.since_start() >= Duration::from_secs(20), "{code:?} {text}");
    assert!(lines(&site, "events.jsonl").iter().any(|line| line["frame"].is_object()), "{text}");
}

#[test]
fn a_capture_that_could_hear_nothing_fails() {
    let simulator = Simulator::start(&["--calls", "5", "--without-permission", "routing:queue:view"]);
    let site = Site::new(&simulator, &simulator.api_url, RULES);
    let (code, text) = capture(&site, &["--output", "events.jsonl", "--for", "20s"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("nothing was captured") && text.contains("routing:queue:view"), "{text}");
    assert!(!site.path().join("events.jsonl").exists(), "an empty file would be in the way of the next try");
    for (arguments, part) in
        [(["--output", "a", "--for", "0s"], "no time"), (["--output", "-", "--for", "1s"], "name one")]
    {
        let (code, text) = capture(&site, &arguments);
        assert!(code == Some(2) && text.contains(part), "{text}");
    }
}
