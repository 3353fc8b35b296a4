//! The disk under the audit log fails while the daemon runs: full, read-only, removed. Nothing goes out
//! unrecorded, everybody is told, and it goes on by itself.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use players::{
    Account, HTTP, Need, Process, SAMPLE_POLICY, Simulator, Site, Tmpfs, all_right_after, get,
    health_address, message, orders_beyond_the_log, skipped, standstill, time, until, until_seen,
};

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

/// The log is written again; whatever waited for that has had its time soon after.
fn written_again(daemon: &mut Process) -> jiff::Timestamp {
    let text = "the audit log is written again";
    let line = daemon.wait_for(text, |line| message(line).contains(text));
    time(&line) + Duration::from_secs(3)
}

/// The calls in progress at the start have been read, and what had to be done for them has had its time.
fn settled(daemon: &mut Process) -> jiff::Timestamp {
    let line = daemon.wait_for("that the gap is closed", |line| message(line).contains("is closed: "));
    time(&line) + Duration::from_secs(3)
}

/// No call that ended after `from` was in a wrong state for long, every decision ended, and no order came that the log does
/// not explain: nothing that waited was dropped, and nothing was sent that could not be written.
fn ends_well(
    simulator: &mut Simulator,
    site: &Site,
    (daemon, address): (&mut Process, &str),
    from: jiff::Timestamp,
) {
    let summary = simulator.run_out(address);
    all_right_after(&summary, from);
    site.ends_well(daemon);
    let (beyond, orders) = orders_beyond_the_log(&simulator.process.seen, &site.records());
    assert!(orders > 5 && beyond.is_empty(), "{orders} orders came, not in the log: {beyond:?}");
}

#[test]
fn a_full_disk_stops_every_order_until_there_is_room_again() {
    let mut simulator = Simulator::start(&TRAFFIC);
    let site = site(&simulator, "");
    let Some(_disk) = Tmpfs::mount(&site.audit(), "8m") else { return };
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    confirmed(&mut daemon, 3);

    fill(&site.audit());
    let text = "the audit log cannot be written, so nothing is sent";
    let told = daemon.wait_for(text, |line| message(line).contains(text));
    assert!(message(&told).contains("No space left") && message(&told).contains("records wait"), "{told}");
    // What was on its way then is there within a second.
    let from = || time(&told) + Duration::from_secs(1) + standstill();
    simulator.process.wait_for("a later happening", |line| time(line) > from() + Duration::from_secs(3));
    let from = from();
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
    let from = written_again(&mut daemon);
    confirmed(&mut daemon, 3);
    ends_well(&mut simulator, &site, (&mut daemon, &address), from);
    let records = site.records();
    let alerts: Vec<_> = records.iter().filter(|record| record["kind"] == "alert").collect();
    assert!(alerts.len() >= 2 && alerts[0]["about"] == "audit log", "{alerts:?}");
}

/// Calls in which nothing happens, so that nothing but the one decision about each can put it right.
const QUIET: usize = 12;

#[test]
fn decisions_that_could_not_be_written_go_out_each_once_when_there_is_room() {
    let number = QUIET.to_string();
    let mut simulator = Simulator::start(&["--calls", &number, "--in-progress", &number, "--talk", "3h"]);
    let with = |policy: &str| format!("[limits]\nrequests_per_minute = 60000\n{HTTP}{policy}");
    let site = Site::new(&simulator, &simulator.api_url, &with(""));
    let Some(_disk) = Tmpfs::mount(&site.audit(), "1m") else { return };
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    daemon.wait_for_message(&format!("is closed: {QUIET} conversations were judged"));

    fill(&site.audit());
    let stop = "[[rule]]\nname = \"never\"\nwhen = 'true'\naction = \"stop\"\n";
    site.configure(&simulator, &simulator.api_url, &with(stop));
    daemon.signal(rustix::process::Signal::HUP);
    daemon.wait_for_message("the audit log cannot be written, so nothing is sent");
    std::fs::remove_file(site.audit().join("filler")).expect("room is made");
    until(&address, "all are paused", |view| {
        let calls = view["calls"].as_array().expect("a list");
        calls.len() == QUIET && calls.iter().all(|call| call["observed"] == "paused") && view["worklist"] == 0
    });
    site.ends_well(&mut daemon);
    simulator.summary();
    let records = site.records();
    let account = Account::of(&records);
    assert!(account.decisions.values().all(|(action, ..)| action == "stop"), "{:?}", account.decisions);
    assert_eq!((account.decisions.len(), account.count("confirmed")), (QUIET, QUIET));
    let (beyond, orders) = orders_beyond_the_log(&simulator.process.seen, &records);
    assert!(beyond.is_empty() && orders >= QUIET, "{orders} orders came, not in the log: {beyond:?}");
}

#[test]
fn told_to_stop_on_a_full_disk_it_ends_in_time_and_says_what_is_lost() {
    let mut simulator = Simulator::start(&TRAFFIC);
    let site = site(&simulator, "");
    let Some(_disk) = Tmpfs::mount(&site.audit(), "8m") else { return };
    let mut daemon = site.daemon();
    confirmed(&mut daemon, 2);
    fill(&site.audit());
    daemon.wait_for_message("the audit log cannot be written");
    assert_eq!(daemon.told_to_stop(), Some(1));
    let last = daemon.seen.last().and_then(Value::as_str).unwrap_or_default().to_owned();
    assert!(last.contains("records are lost, and nothing that they would have explained was sent"), "{last}");

    std::fs::remove_file(site.audit().join("filler")).expect("room is made");
    let mut next = site.daemon();
    let address = health_address(&mut next);
    let from = settled(&mut next);
    ends_well(&mut simulator, &site, (&mut next, &address), from);
}

/// A mount cannot be made read-only while a file is open for writing through it; what is refused here is the next file.
#[test]
fn a_read_only_disk_is_borne_like_a_full_one() {
    let mut simulator = Simulator::start(&TRAFFIC);
    // Files change so often that the next one is needed soon.
    let site = site(&simulator, "[audit]\nrotate_size = \"8KiB\"\n");
    let Some(disk) = Tmpfs::mount(&site.audit(), "8m") else { return };
    let (audit, view) = (site.audit(), site.path().join("view"));
    std::fs::create_dir(&view).expect("a folder");
    run("mount", &["--bind", path(&audit), path(&view)]);
    run("mount", &["-o", "remount,bind,ro", path(&view)]);
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    confirmed(&mut daemon, 2);
    // The same folder once more, read-only, on top: what is opened from now on is refused.
    run("mount", &["--bind", path(&view), path(&audit)]);
    run("umount", &[path(&view)]);
    let told = daemon.wait_for_message("the audit log cannot be written");
    assert!(told.contains("Read-only file system"), "{told}");
    run("umount", &[path(&audit)]);
    let from = written_again(&mut daemon);
    ends_well(&mut simulator, &site, (&mut daemon, &address), from);
    drop(disk);
}

/// A file system of its own in a file, mounted here; none where that is not permitted, and that is said.
struct Ext4 {
    image: PathBuf,
    at: PathBuf,
}

impl Ext4 {
    fn mount(image: PathBuf, at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).expect("a folder");
        let file = std::fs::File::create(&image).expect("a file");
        file.set_len(16 << 20).expect("of that size");
        if !succeeds(Command::new("mkfs.ext4").args(["-q", "-F", path(&image)])) {
            return skipped(Need::LoopDevice, "there is no mkfs.ext4 here");
        }
        if !succeeds(Command::new("mount").args(["-o", "loop", path(&image), path(&at)])) {
            return skipped(Need::LoopDevice, "mounting a file is not permitted here");
        }
        Some(Self { image, at })
    }

    /// What it would be after an error of the disk: read-only for good, and for open files too.
    fn fail(&self) {
        run("mount", &["-o", "remount,abort", path(&self.at)]);
    }

    /// A copy takes its place in one step; whoever has a file open in the old one keeps that.
    fn replace(&self) -> Self {
        let image = self.image.with_extension("copy");
        std::fs::copy(&self.image, &image).expect("copied");
        run("mount", &["-o", "loop", path(&image), path(&self.at)]);
        Self { image, at: self.at.clone() }
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        // The one on top. A test that ends cannot do more.
        Command::new("umount").arg("--lazy").arg(&self.at).output().ok();
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_file_system_that_turns_read_only_under_the_open_file_is_borne_until_it_is_replaced() {
    let mut simulator = Simulator::start(&TRAFFIC);
    let site = site(&simulator, "");
    let Some(disk) = Ext4::mount(site.path().join("disk"), site.audit()) else { return };
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    confirmed(&mut daemon, 2);
    disk.fail();
    let told = daemon.wait_for_message("the audit log cannot be written");
    // The latter where it fails while a file is being made durable.
    let why = ["Read-only file system", "Input/output error"];
    assert!(why.iter().any(|why| told.contains(why)), "{told}");
    let replaced = disk.replace();
    let from = written_again(&mut daemon);
    ends_well(&mut simulator, &site, (&mut daemon, &address), from);
    drop((replaced, disk));
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
    let order = site.run(&["stop", id, "--wait", "300", "--config", "recwarden.toml"]);
    assert!(players::said(&order).contains("the order was given up"), "{}", players::said(&order));
    // A second daemon is still kept out.
    let second = site.run(&["run", "--config", "recwarden.toml"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(players::said(&second).contains("another recwarden writes to"), "{}", players::said(&second));
    until_seen("the alert", || {
        let alerts = std::fs::read_to_string(site.path().join("alerts")).unwrap_or_default();
        alerts.contains("was removed while it was written").then_some(())
    });
    assert_eq!(daemon.told_to_stop(), Some(0));

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
