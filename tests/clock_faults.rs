//! The clock of the machine is set back and forth while the daemon runs. The wall clock is only written
//! down, nothing waits by it: the work goes on, the chain holds, and the jump is told.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use std::path::PathBuf;
use std::process::Command;

use players::{Account, Process, SAMPLE_POLICY, Simulator, Site};
use serde_json::Value;

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
