//! A drill of a policy: what it says, and that its bound is held.

use std::process::{Command, Output};

const POLICY: &str = "[[rule]]\nname = \"card\"\nqueue = [\"Payments\", \"Card *\"]\nattribute = { pci = \"on\" }\naction = \"stop\"\n\
                      [[rule]]\nname = \"never\"\nwhen = 'conversation.externalTag == \"x\"'\naction = \"stop\"\n";

fn drill(arguments: &[&str]) -> (Output, Vec<serde_json::Value>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recwarden.toml");
    std::fs::write(&path, POLICY).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_recwarden"))
        .args(["drill", "--format", "json", "--seeds", "1", "--for", "2m", "--calls", "4", "--config"])
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
    let (output, lines) = drill(&["--fault", "none", "--at-most", "2s"]);
    assert!(output.status.success(), "{lines:?}");
    let spans = lines[0]["spans"].as_u64().expect("a number");
    assert!(spans > 0, "a call's answer takes its time: {lines:?}");
    assert_eq!(lines[1]["summary"]["never_fired"], serde_json::json!(["never"]));
}

#[test]
fn a_bound_that_is_exceeded_fails_and_says_under_which_fault() {
    let (output, lines) = drill(&["--fault", "not-applied", "--at-most", "2s"]);
    assert_eq!(output.status.code(), Some(1), "{lines:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("longer than 2s under: not-applied"), "{said}");
    assert!(lines[0]["worst"]["rule"] == "card", "{lines:?}");
}
