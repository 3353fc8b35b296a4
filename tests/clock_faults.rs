//! The clock of the machine is set while the daemon runs, and while it does not. The wall clock is only written
//! down, nothing waits by it: the work goes on, the chain holds, and the jump is told.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use players::{
    Account, HTTP, PATIENCE, Process, SAMPLE_POLICY, Simulator, Site, health_address, message, post, until,
};
use serde_json::{Value, json};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A wall clock for the daemons of one site.
struct WallClock<'a> {
    site: &'a Site,
    library: PathBuf,
}

impl<'a> WallClock<'a> {
    /// One that is right. Whoever can link this test has the compiler that it takes.
    fn of(site: &'a Site) -> Self {
        let library = site.path().join("clock.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/processes/clock.c");
        let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        let built = compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).output();
        let built = built.expect("a C compiler");
        assert!(built.status.success(), "{}", players::said(&built));
        let clock = Self { site, library };
        clock.is_off_by(0);
        clock
    }

    /// From now on it goes ahead by so many seconds.
    fn is_off_by(&self, seconds: i64) {
        self.site.write("clock", &format!("{seconds}\n"));
    }

    /// A daemon that lives by it.
    fn daemon(&self) -> Process {
        let file = self.site.path().join("clock");
        let text = |path: &PathBuf| path.to_str().expect("a path in UTF-8").to_owned();
        let environment = [("LD_PRELOAD", text(&self.library)), ("RECWARDEN_TEST_CLOCK", text(&file))];
        self.site.daemon_with(&environment.each_ref().map(|(key, value)| (*key, value.as_str())))
    }
}

const HOUR: i64 = 3600;

#[test]
fn a_clock_that_is_set_back_and_forth_changes_nothing_but_the_times_in_the_log() {
    let simulator = Simulator::start(&["--calls", "30", "--pace", "30"]);
    let more = format!("[limits]\nrequests_per_minute = 60000\n[http]\nlisten = \"\"\n{SAMPLE_POLICY}");
    let site = Site::new(&simulator, &simulator.api_url, &more);
    let clock = WallClock::of(&site);
    let mut daemon = clock.daemon();
    for (shift, direction) in
        [(0, ""), (-2 * HOUR, "set back by"), (72 * HOUR, "set forward by"), (0, "set back by")]
    {
        clock.is_off_by(shift);
        if !direction.is_empty() {
            daemon.wait_for_message(direction);
        }
        for _ in 0..3 {
            daemon.wait_for_message("confirmed");
        }
    }
    assert_eq!(daemon.told_to_stop(), Some(0));
    let (sound, said) = site.verify();
    assert!(sound && said.contains("closed by a clean stop"), "{said}");
    let records = site.records();
    let account = Account::of(&records);
    assert_eq!(account.count("abandoned"), 0, "{:?}", account.kinds);
    assert!(clock_alerts(&records) >= 3, "each jump is journaled: {:?}", account.kinds);
    // And the next start goes on from a log whose times run backwards.
    let mut next = site.daemon();
    next.wait_for_message("confirmed");
    assert_eq!(next.told_to_stop(), Some(0));
    let (sound, said) = site.verify();
    assert!(sound, "{said}");
}

fn clock_alerts(records: &[Value]) -> usize {
    records.iter().filter(|record| record["kind"] == "alert" && record["about"] == "clock").count()
}

/// How long the rule and the order of this test last: the first daemon is through with its work before that, and it is
/// less than a test waits for anything.
const LASTS: Duration = Duration::from_secs(40);
const _: () = assert!(LASTS.as_secs() < PATIENCE.as_secs() && PATIENCE.as_secs() < HOUR as u64 / 2);

/// Recordings of one queue are stopped for a while.
fn for_a_while() -> String {
    let rule = "name = \"a-while\"\nqueue = [\"First\"]\naction = \"stop\"";
    let lasts = LASTS.as_secs();
    format!(
        "{HTTP}[webhook]\nlisten = \"127.0.0.1:0\"\nsecret_file = \"webhook-secret\"\n[[rule]]\n{rule}\nat_most = \"{lasts}s\"\n"
    )
}

#[test]
fn a_start_with_the_clock_an_hour_behind_the_log_lets_nothing_last_an_hour_longer() {
    let calls =
        ["--calls", "6", "--in-progress", "6", "--talk", "3h", "--queue", "First", "--queue", "Other"];
    let simulator = Simulator::start(&calls);
    let site = Site::new(&simulator, &simulator.api_url, &for_a_while());
    site.write("webhook-secret", SECRET);
    let clock = WallClock::of(&site);
    let mut daemon = clock.daemon();
    let address = health_address(&mut daemon);
    let door =
        daemon.wait_for_message("the webhook at http://").rsplit("the webhook at ").next().map(str::to_owned);
    daemon.wait_for_message("confirmed");
    // One call is held by the rule, another by an order.
    let view =
        until(&address, "all calls are known", |view| view["calls"].as_array().map_or(0, Vec::len) == 6);
    let calls = view["calls"].as_array().expect("a list");
    let other = calls.iter().find(|call| call["queue"] == "Other").expect("a call that no rule is about");
    let conversation = other["conversation"].as_str().expect("an id").to_owned();
    let order =
        json!({"conversation_id": conversation, "action": "stop", "for": format!("{}s", LASTS.as_secs())});
    let url = format!("{}/webhook/recording-control", door.expect("an address"));
    let (status, answer) = post(&url, SECRET, &order);
    assert!(status == 200 && answer["decision"].is_string(), "{status} {answer}");
    daemon.wait_for("that it is stopped", |line| {
        message(line) == "confirmed" && line["fields"]["conversation"] == conversation
    });
    assert_eq!(daemon.told_to_stop(), Some(0));
    let before = site.records().len();

    clock.is_off_by(-HOUR);
    let mut daemon = clock.daemon();
    let address = health_address(&mut daemon);
    // What was left when the daemon was stopped, or all of it anew: the time between nobody knows. An hour more nobody
    // waits for.
    until(&address, "all is given back", |view| {
        let calls = view["calls"].as_array().expect("a list");
        calls.len() == 6 && calls.iter().all(|call| call["observed"] == "active") && view["worklist"] == 0
    });
    site.ends_well(&mut daemon);
    let records = site.records();
    let after = &records[before..];
    let expired = |record: &&Value| record["kind"] == "hold.ended" && record["why"] == "expired";
    assert!(after.iter().any(|record| expired(&record) && record["rule"] == "a-while"), "{after:?}");
    let released = after.iter().find(|record| record["kind"] == "directive.released");
    assert_eq!(released.map(|record| &record["conversation"]), Some(&json!(conversation)), "{after:?}");
    assert_eq!(clock_alerts(after), 1, "it is said once");
}
