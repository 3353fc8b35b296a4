//! A drill of a policy: what it says, and that its bound is held.

use std::process::{Command, Output};

use recwarden::sim::drill::{CATALOGUE, STARTED_AGAIN_AFTER, STARTS_WITHIN};

const POLICY: &str = "[[rule]]\nname = \"card\"\nqueue = [\"Payments\", \"Card *\"]\nattribute = { pci = \"on\" }\naction = \"stop\"\n\
                      [[rule]]\nname = \"never\"\nwhen = 'conversation.externalTag == \"x\"'\naction = \"stop\"\n";

/// How soon the worst is over in any fault of the catalogue: a socket that has died without a word is noticed after
/// 45 s at the latest, and its successor is up well within the rest.
const BOUND: &str = "60s";

fn drill(arguments: &[&str]) -> (Output, Vec<serde_json::Value>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recwarden.toml");
    std::fs::write(&path, POLICY).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_recwarden"))
        .args(["drill", "--format", "json", "--seeds", "1", "--calls", "4", "--config"])
        .arg(&path)
        .args(arguments)
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (output, lines)
}

#[test]
fn in_calm_nothing_is_wrong_for_long_and_a_rule_that_never_fired_is_named() {
    let (output, lines) = drill(&["--for", "2m", "--fault", "none", "--at-most", "2s"]);
    assert!(output.status.success(), "{lines:?}");
    let spans = lines[0]["spans"].as_u64().expect("a number");
    assert!(spans > 0, "a call's answer takes its time: {lines:?}");
    assert_eq!(lines[1]["summary"]["never_fired"], serde_json::json!(["never"]));
}

#[test]
fn a_bound_that_is_exceeded_fails_and_says_under_which_fault() {
    let (output, lines) = drill(&["--for", "2m", "--fault", "not-applied", "--at-most", "2s"]);
    assert_eq!(output.status.code(), Some(1), "{lines:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("longer than 2s under: not-applied"), "{said}");
    assert!(lines[0]["worst"]["rule"] == "card", "{lines:?}");
}

/// What is lost with the socket until the next process has read everything.
#[test]
fn a_crash_takes_as_long_as_the_unit_file_says_and_the_start() {
    let unit = include_str!("../systemd/recwarden.service");
    let line = format!("\nRestartSec={}s\n", STARTED_AGAIN_AFTER.as_secs());
    assert!(unit.contains(&line), "the drill supposes {line}");
    let (output, lines) = drill(&["--for", "10m", "--fault", "none", "--fault", "crash"]);
    assert!(output.status.success(), "{lines:?}");
    let back_after = (STARTED_AGAIN_AFTER + STARTS_WITHIN).as_secs_f64();
    assert_eq!(lines[1]["back_after_seconds"].as_f64(), Some(back_after), "{lines:?}");
    let said = lines[1]["what"].as_str().expect("a text");
    assert!(said.contains(&format!("back after {back_after} s")), "{said}");
    let worst = |line: &serde_json::Value| line["worst_seconds"].as_f64().expect("a number");
    let (calm, crash) = (worst(&lines[0]), worst(&lines[1]));
    assert!(crash > calm * 2.0 && crash >= back_after / 2.0, "calm {calm} s, crash {crash} s");
}

#[test]
fn under_each_fault_of_the_catalogue_the_worst_is_told_and_over_within_the_bound() {
    // Faults last for long enough that the rarest, every two minutes, comes. The calm after them is longer than
    // the bound, so that what they left wrong for good would exceed it.
    let (output, lines) = drill(&["--for", "150s", "--at-most", BOUND]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{lines:?}");
    let (summary, faults) = lines.split_last().expect("a summary");
    let told: Vec<&str> = faults.iter().filter_map(|line| line["fault"].as_str()).collect();
    assert_eq!(told, CATALOGUE.map(|fault| fault.name));
    let worst_of = |line: &serde_json::Value| line["worst_seconds"].as_f64().expect("a number");
    for line in faults {
        let (worst, total) = (worst_of(line), line["total_seconds"].as_f64().expect("a number"));
        assert!(line["calls"].as_u64() > Some(10) && line["spans"].as_u64() > Some(10), "{line}");
        assert!(worst > 0.0 && worst <= total && worst == line["worst"]["seconds"], "{line}");
        assert_eq!(
            (&line["still_so_at_the_end"], &line["worst"]["still_so_at_the_end"]),
            (&0.into(), &false.into())
        );
    }
    let worst = faults.iter().map(worst_of).fold(0.0, f64::max);
    assert!(
        (worst - summary["summary"]["worst_seconds"].as_f64().expect("a number")).abs() < 0.001,
        "{summary}"
    );
    // They are no faults if nothing comes of them. Few deaths strike in so short a time: a crash has its own test.
    let calm = worst_of(&faults[0]);
    for name in [
        "429-storm",
        "no-answer",
        "lost-requests",
        "slow-answers",
        "not-applied",
        "re-ordering",
        "lost-events",
        "half-open-sockets",
        "evicted-channel",
    ] {
        let line = faults.iter().find(|line| line["fault"] == name).expect("its line");
        assert!(worst_of(line) > calm * 2.0, "calm {calm} s, and {line}");
    }
}
