//! The daemon against the simulator, as two processes: what an operator would see.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use players::{Account, Process, SAMPLE_POLICY, Simulator, Site, message, recwarden, said};

/// The calls in progress at its start are read, and five orders are confirmed after that.
fn gets_under_way(daemon: &mut Process) {
    daemon.wait_for_message("is closed: ");
    for _ in 0..5 {
        daemon.wait_for("confirmed", |line| message(line) == "confirmed");
    }
}

#[test]
fn a_killed_daemon_takes_up_its_decisions_and_a_told_one_leaves_none() {
    let simulator = Simulator::start(&["--calls", "40", "--pace", "30"]);
    let more = format!("[limits]\nrequests_per_minute = 6000\n[http]\nlisten = \"\"\n{SAMPLE_POLICY}");
    let site = Site::new(&simulator, &simulator.api_url, &more);

    let mut killed = site.daemon();
    gets_under_way(&mut killed);
    killed.kill();
    let (sound, told) = site.verify();
    assert!(sound && told.contains("not closed"), "{told}");

    let mut daemon = site.daemon();
    gets_under_way(&mut daemon);
    assert_eq!(daemon.told_to_stop(), Some(0));
    let (sound, told) = site.verify();
    assert!(sound && told.contains("closed by a clean stop"), "{told}");
    let account = Account::of(&site.records());
    assert_eq!(account.count("daemon.started"), 2, "{:?}", account.kinds);
    assert!(account.count("gap.closed") >= 2, "each start reads the calls in progress: {:?}", account.kinds);
}

#[test]
fn a_bad_configuration_is_refused_with_78_and_every_mistake() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recwarden.toml");
    let text = "[genesys]\nregion = \"us-east-9\"\n[[rule]]\nname = \"a b\"\naction = \"stop\"\nwhen = 'attribute.pci == \"on\"'\n[limit]\n";
    std::fs::write(&path, text).expect("written");
    for command in ["check", "run"] {
        let output = recwarden(folder.path(), &[command, "--config", "recwarden.toml"], &[]);
        assert_eq!(output.status.code(), Some(78), "{command}");
        let said = said(&output);
        for part in
            [":4:9: error: 'a b' is not a rule name", ":6:9: error:", ":7:2: error: unknown key 'limit'"]
        {
            assert!(said.contains(part), "{command}: {part} in:\n{said}");
        }
    }
}
