//! The unit file is one that systemd understands, and keeps the daemon in bounds.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use std::process::{Command, Output};

use players::{Need, PROGRAM, said, skipped};

/// `systemd-analyze security` rates from 0 (safe) to 10; this is ten times the most that is borne.
const EXPOSURE_MOST: &str = "15";

fn analyze(arguments: &[&str]) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) => skipped(Need::SystemdAnalyze, &format!("there is no systemd-analyze here: {error}")),
    }
}

#[test]
fn the_unit_verifies_and_is_hardened() {
    let unit = include_str!("../systemd/recwarden.service");
    assert!(unit.contains("ExecStart=/usr/bin/recwarden run --config /etc/recwarden/recwarden.toml"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recwarden.service");
    // The program is where it was built, and not installed.
    std::fs::write(&path, unit.replace("/usr/bin/recwarden", PROGRAM)).expect("written");
    let path = path.to_str().expect("a path");
    let Some(verified) = analyze(&["verify", path]) else { return };
    // Of the machine's own units it may complain too.
    let complaints: Vec<String> =
        said(&verified).lines().filter(|line| line.contains("recwarden")).map(str::to_owned).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    let Some(help) = analyze(&["security", "--help"]) else { return };
    if !said(&help).contains("--offline") {
        let why = "this systemd-analyze cannot look at a unit offline";
        return skipped::<()>(Need::SystemdAnalyze, why).unwrap_or_default();
    }
    let threshold = format!("--threshold={EXPOSURE_MOST}");
    let Some(rated) = analyze(&["security", "--offline=true", &threshold, path]) else { return };
    assert!(rated.status.success(), "{}", said(&rated));
}
