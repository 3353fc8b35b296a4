//! The disk under the audit log fails while the daemon runs: full, read-only, removed. Nothing goes out
//! unrecorded, everybody is told, and it goes on by itself.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use players::{Account, Process, SAMPLE_POLICY, Simulator, Site, Tmpfs, get, health_address, message, time};

const TRAFFIC: [&str; 4] = ["--calls", "30", "--pace", "30"];

fn site(simulator: &Simulator, more: &str) -> Site {
    let more = format!(
        "[limits]\nrequests_per_minute = 60000\n[http]\nlisten = \"127.0.0.1:0\"\n{more}{SAMPLE_POLICY}"
    );
    Site::new(simulator, &simulator.api_url, &more)
}

/// Fills a small file system to its last byte.
fn fill(folder: &Path) {
    let filled = Command::new("dd")
        .args(["if=/dev/zero", "bs=4096", "count=100000"])
        .arg(format!("of={}", folder.join("filler").display()))
        .output()
        .expect("dd");
    assert!(!filled.status.success(), "the file system took it all");
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().expect("it runs");
    assert!(done.status.success(), "{program} {arguments:?}: {done:?}");
}

fn confirmed(daemon: &mut Process, times: usize) {
    for _ in 0..times {
        daemon.wait_for_message("confirmed");
    }
}

#[test]
fn a_full_disk_stops_every_order_until_there_is_room_again() {
    let mut simulator = Simulator::start(&TRAFFIC);
    let site = site(&simulator, "");
    let Some(_disk) = Tmpfs::mount(&site.audit(), "256k") else { return };
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    confirmed(&mut daemon, 3);

    fill(&site.audit());
    let text = "the audit log cannot be written, so nothing is sent";
    let told = daemon.wait_for(text, |line| message(line).contains(text));
    assert!(message(&told).contains("No space left") && message(&told).contains("records wait"), "{told}");
    // What was on its way then is there within a second.
    let (from, until) = (time(&told) + Duration::from_secs(1), time(&told) + Duration::from_secs(4));
    simulator.process.wait_for("a later happening", |line| time(line) > until);
    let asked_for = |line: &&Value| {
        let detail = line["detail"].as_str().unwrap_or_default();
        line["at"].is_string() && time(line) > from && detail.contains("asked for")
    };
    assert_eq!(simulator.process.seen.iter().find(asked_for), None, "an order went out that is not recorded");
    let (status, why) = get(&address, "/readyz");
    assert!(status == 503 && why.contains("audit log cannot be written"), "{status} {why}");
    let (status, metrics) = get(&address, "/metrics");
    let failures = metrics.lines().find(|line| line.starts_with("recwarden_audit_write_failures_total "));
    assert!(status == 200 && failures.is_some_and(|line| !line.ends_with(" 0")), "{metrics}");
    assert!(metrics.contains("recwarden_ready 0"), "{metrics}");

    std::fs::remove_file(site.audit().join("filler")).expect("room is made");
    daemon.wait_for_message("the audit log is written again");
    confirmed(&mut daemon, 3);
    assert_eq!(daemon.told_to_stop(), Some(0));
    let (sound, said) = site.verify();
    assert!(sound && said.contains("closed by a clean stop"), "{said}");
    let records = site.records();
    assert!(Account::of(&records).decisions.values().all(|(_, _, ends)| ends.len() <= 1), "{records:?}");
    let alerts: Vec<_> = records.iter().filter(|record| record["kind"] == "alert").collect();
    assert!(alerts.len() >= 2 && alerts[0]["about"] == "audit log", "{alerts:?}");
}

#[test]
fn told_to_stop_on_a_full_disk_it_ends_in_time_and_says_what_is_lost() {
    let simulator = Simulator::start(&TRAFFIC);
    let site = site(&simulator, "");
    let Some(_disk) = Tmpfs::mount(&site.audit(), "256k") else { return };
    let mut daemon = site.daemon();
    confirmed(&mut daemon, 2);
    fill(&site.audit());
    daemon.wait_for_message("the audit log cannot be written");
    assert_eq!(daemon.told_to_stop(), Some(1));
    let last = daemon.seen.last().and_then(Value::as_str).unwrap_or_default().to_owned();
    assert!(last.contains("records are lost, and nothing that they would have explained was sent"), "{last}");

    std::fs::remove_file(site.audit().join("filler")).expect("room is made");
    let mut next = site.daemon();
    confirmed(&mut next, 2);
    assert_eq!(next.told_to_stop(), Some(0));
    let (sound, said) = site.verify();
    assert!(sound, "{said}");
}

#[test]
fn a_read_only_disk_is_borne_like_a_full_one() {
    let simulator = Simulator::start(&TRAFFIC);
    // Files change so often that the next one is needed soon.
    let site = site(&simulator, "[audit]\nrotate_size = \"8KiB\"\n");
    let Some(disk) = Tmpfs::mount(&site.audit(), "1m") else { return };
    let (audit, view) = (site.audit(), site.path().join("view"));
    std::fs::create_dir(&view).expect("a folder");
    run("mount", &["--bind", path(&audit), path(&view)]);
    run("mount", &["-o", "remount,bind,ro", path(&view)]);
    let mut daemon = site.daemon();
    confirmed(&mut daemon, 2);
    // The same folder once more, read-only, on top: what is opened from now on is refused.
    run("mount", &["--bind", path(&view), path(&audit)]);
    run("umount", &[path(&view)]);
    let told = daemon.wait_for_message("the audit log cannot be written");
    assert!(told.contains("Read-only file system"), "{told}");
    run("umount", &[path(&audit)]);
    daemon.wait_for_message("the audit log is written again");
    confirmed(&mut daemon, 2);
    assert_eq!(daemon.told_to_stop(), Some(0));
    let (sound, said) = site.verify();
    assert!(sound, "{said}");
    drop(disk);
}

#[test]
fn a_removed_audit_folder_is_never_silent_and_the_chain_goes_on() {
    let simulator = Simulator::start(&TRAFFIC);
    let site = site(&simulator, "[alert]\nexec = [\"/bin/sh\", \"-c\", \"cat >> alerts\"]\n");
    let mut daemon = site.daemon();
    confirmed(&mut daemon, 3);
    // In one step, as the daemon may write between several.
    std::fs::rename(site.audit(), site.path().join("gone")).expect("removed");
    daemon.wait_for_message("the audit log was removed while it was written");
    confirmed(&mut daemon, 3);
    daemon.wait_for_message("the control socket");
    let id = "5c5a3b1e-8f0d-4a5e-9d5c-1f2e3d4c5b6a";
    let order = site.run(&["stop", id, "--config", "recwarden.toml"]);
    assert!(players::said(&order).contains("the order was given up"), "{}", players::said(&order));
    // A second daemon is still kept out.
    let second = site.run(&["run", "--config", "recwarden.toml"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(players::said(&second).contains("another recwarden writes to"), "{}", players::said(&second));
    assert_eq!(daemon.told_to_stop(), Some(0));

    let alerts = std::fs::read_to_string(site.path().join("alerts")).expect("an alert went out");
    assert!(alerts.contains("was removed while it was written"), "{alerts}");
    let (sound, said) = site.verify();
    assert!(!sound && said.contains("the log begins with record"), "what is missing is a finding: {said}");
    assert_eq!(said.matches("begins with record").count(), 1, "{said}");
    let records = site.records();
    assert!(records[0]["seq"].as_u64() > Some(1), "{}", records[0]);
    let complaints = daemon.seen.iter().filter(|line| message(line).contains("was removed")).count();
    assert_eq!(complaints, 1, "it is said once");
}

#[test]
fn an_audit_folder_that_is_deleted_with_all_that_is_in_it_is_missed_and_the_chain_goes_on() {
    let simulator = Simulator::start(&TRAFFIC);
    let site = site(&simulator, "");
    let mut daemon = site.daemon();
    confirmed(&mut daemon, 3);
    // File by file, and the daemon may make one meanwhile.
    while site.audit().exists() && std::fs::remove_dir_all(site.audit()).is_err() {}
    daemon.wait_for_message("the audit log was removed while it was written");
    confirmed(&mut daemon, 3);
    assert_eq!(daemon.told_to_stop(), Some(0));
    let (sound, said) = site.verify();
    assert!(!sound && said.contains("the log begins with record"), "what is missing is a finding: {said}");
    assert_eq!(said.matches("begins with record").count(), 1, "{said}");
    let records = site.records();
    assert!(records[0]["seq"].as_u64() > Some(1), "{}", records[0]);
    let alerts = records.iter().filter(|record| record["kind"] == "alert" && record["about"] == "audit log");
    assert!(alerts.count() > 0, "it is in the log that goes on");

    // What is there is taken up, by a daemon that has to make everything else anew.
    let mut next = site.daemon();
    confirmed(&mut next, 2);
    assert_eq!(next.told_to_stop(), Some(0));
    assert_eq!(site.verify().1.matches("begins with record").count(), 1);
}
