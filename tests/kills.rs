//! SIGKILL at 200 random moments under load, each followed by a restart: nothing is lost, doubled or left
//! open, the chain holds across every file, and in the end every call is as the policy says.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use std::io::Write;
use std::time::Duration;

use players::{Account, SAMPLE_POLICY, Simulator, Site, health_address, time};
use recwarden::sim::random::Chance;

const KILLS: usize = 200;
const SEED: u64 = 200;

#[test]
fn two_hundred_kills_lose_nothing_double_nothing_and_leave_nothing_open() {
    let mut simulator = Simulator::start(&["--calls", "60", "--pace", "30", "--seed", "7"]);
    let more = format!(
        "[limits]\nrequests_per_minute = 60000\n[http]\nlisten = \"127.0.0.1:0\"\n[audit]\nrotate_size = \"128KiB\"\n{SAMPLE_POLICY}"
    );
    let site = Site::new(&simulator, &simulator.api_url, &more);
    let mut chance = Chance::new(SEED);
    for _ in 0..KILLS {
        let mut daemon = site.daemon();
        // Half of them hit the start and the recovery, half the work after it.
        let most = if chance.strikes(0.5) {
            400
        } else {
            daemon.wait_for_message("is closed: ");
            250
        };
        std::thread::sleep(chance.span(Duration::ZERO, Duration::from_millis(most)));
        daemon.kill();
    }
    let (sound, said) = site.verify();
    assert!(sound, "after {KILLS} kills: {said}");

    let mut last = site.daemon();
    let address = health_address(&mut last);
    let settled = last
        .wait_for("the gap of the kills is closed", |line| players::message(line).contains("is closed: "));
    let settled = time(&settled) + Duration::from_secs(3);
    for _ in 0..10 {
        last.wait_for_message("confirmed");
    }
    let summary = simulator.run_out(&address);
    assert_eq!(last.told_to_stop(), Some(0));

    let (sound, said) = site.verify();
    assert!(sound && said.contains(" 0 open; the log is closed by a clean stop"), "{said}");
    let account = Account::of(&site.records());
    assert!(account.not_ended_once().is_empty(), "left open: {:?}", account.not_ended_once());
    assert_eq!(account.count("daemon.stopped"), 1);
    assert_eq!(summary["live"], 0, "{summary}");
    // Calls that ended while no daemon ran could not be helped; from then on all could.
    for one in summary["ended_wrong_longest"].as_array().expect("a list") {
        let wrong_ms = one["wrong_ms"].as_f64().unwrap_or_default();
        assert!(time(one) < settled || wrong_ms < 3_000.0, "ended in the wrong state: {one}");
    }
    writeln!(
        std::io::stderr(),
        "{KILLS} kills (seed {SEED}): {} starts journaled, {} decisions, {} attempts, {} confirmed, {} calls; {}",
        account.count("daemon.started"),
        account.decisions.len(),
        account.count("attempt"),
        account.count("confirmed"),
        summary["calls"],
        said.lines().next().unwrap_or_default(),
    )
    .expect("stderr");
    assert!(account.count("daemon.started") > KILLS / 4, "most were killed before they had begun");
}
