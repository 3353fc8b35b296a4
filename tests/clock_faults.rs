//! The clock of the machine is set back and forth while the daemon runs. The wall clock is only written down,
//! nothing waits by it: the work goes on, the chain holds, and the jump is told.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use std::path::Path;

use players::{Account, SAMPLE_POLICY, Simulator, Site, skipped};

/// Where Debian and its kin keep the library (package `libfaketime`).
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

#[test]
fn a_clock_that_is_set_back_and_forth_changes_nothing_but_the_times_in_the_log() {
    let Some(library) = LIBRARIES.into_iter().find(|path| Path::new(path).exists()) else {
        return skipped::<()>("libfaketime is not installed (apt-get install faketime)").unwrap_or_default();
    };
    let simulator = Simulator::start(&["--calls", "30", "--pace", "30"]);
    let more = format!("[limits]\nrequests_per_minute = 60000\n[http]\nlisten = \"\"\n{SAMPLE_POLICY}");
    let site = Site::new(&simulator, &simulator.api_url, &more);
    site.write("clock", "+0\n");
    let clock = site.path().join("clock");
    let clock = clock.to_str().expect("a path");
    let mut daemon = site.daemon_with(&[
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", clock),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ]);
    for (shift, direction) in
        [("+0", ""), ("-2h", "set back by"), ("+3d", "set forward by"), ("+0", "set back by")]
    {
        site.write("clock", &format!("{shift}\n"));
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
    let jumps =
        records.iter().filter(|record| record["kind"] == "alert" && record["about"] == "clock").count();
    assert!(jumps >= 3, "each jump is journaled: {:?}", account.kinds);
    // And the next start goes on from a log whose times run backwards.
    let mut next = site.daemon();
    next.wait_for_message("confirmed");
    assert_eq!(next.told_to_stop(), Some(0));
    let (sound, said) = site.verify();
    assert!(sound, "{said}");
}
