//! Bad input, as an operator gives it to the program: each is refused with a message that says what happened,
//! to what, and what to do now, with the exit code that PRODUCT.md 4 promises, and nothing is lost.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use std::path::Path;

use players::{Process, Simulator, Site, health_address, message, recwarden, said, time, until};

const INVALID: Option<i32> = Some(78);
const FAILED: Option<i32> = Some(1);

/// A folder with a configuration that nothing listens for.
fn folder(configuration: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("recwarden.toml"), configuration).expect("written");
    folder
}

#[track_caller]
fn refused(folder: &Path, arguments: &[&str], code: Option<i32>, parts: &[&str]) {
    let arguments = [arguments, &["--config", "recwarden.toml"]].concat();
    let output = recwarden(folder, &arguments, &[]);
    let said = said(&output);
    assert_eq!(output.status.code(), code, "{arguments:?}:\n{said}");
    for part in parts {
        assert!(said.contains(part), "{arguments:?}: '{part}' is not in:\n{said}");
    }
}

const NOWHERE: &str = "[genesys]\napi_url = \"http://127.0.0.1:9\"\n";

#[test]
fn a_missing_client_id_and_a_missing_secret_are_told_apart() {
    let no_id = folder(&format!("{NOWHERE}client_secret_file = \"secret\"\n"));
    std::fs::write(no_id.path().join("secret"), "s").expect("written");
    let no_secret = folder(&format!("{NOWHERE}client_id = \"c\"\n"));
    for command in [&["run"][..], &["check", "--online"]] {
        refused(
            no_id.path(),
            command,
            INVALID,
            &["error: there is no client id", "GENESYS_CLIENT_ID", "help: "],
        );
        refused(
            no_secret.path(),
            command,
            INVALID,
            &["error: there is no client secret", "GENESYS_CLIENT_SECRET"],
        );
    }
}

#[test]
fn a_secret_that_cannot_be_read_is_named_with_its_place() {
    let folder = folder(&format!("{NOWHERE}client_id = \"c\"\nclient_secret_file = \"secret\"\n"));
    let place = "recwarden.toml:4:23: error: the client secret cannot be read from secret: ";
    refused(folder.path(), &["run"], INVALID, &[place, "No such file", "help: "]);
    std::fs::create_dir(folder.path().join("secret")).expect("a folder");
    refused(folder.path(), &["run"], INVALID, &[place, "Is a directory"]);
    std::fs::remove_dir(folder.path().join("secret")).expect("removed");
    std::fs::write(folder.path().join("secret"), " \n").expect("written");
    refused(
        folder.path(),
        &["run"],
        INVALID,
        &["recwarden.toml:4:23: error: the client secret in secret is empty"],
    );
}

#[test]
fn an_unknown_region_is_refused_with_the_nearest_even_without_credentials() {
    let folder = folder("[genesys]\nregion = \"eu-west-5\"\nclient_id = \"c\"\n");
    for command in ["check", "run"] {
        let parts = [":2:11: error: there is no region 'eu-west-5'", "did you mean 'eu-west-"];
        refused(folder.path(), &[command], INVALID, &parts);
    }
    let outside = tempfile::tempdir().expect("a folder");
    std::fs::write(outside.path().join("recwarden.toml"), "").expect("written");
    let environment =
        [("GENESYS_REGION", "mypurecloud.con"), ("GENESYS_CLIENT_ID", "c"), ("GENESYS_CLIENT_SECRET", "s")];
    let output = recwarden(outside.path(), &["run", "--config", "recwarden.toml"], &environment);
    assert_eq!(output.status.code(), INVALID);
    assert!(said(&output).contains("did you mean 'mypurecloud.com'"), "{}", said(&output));
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_in_every_table() {
    let folder = folder("[genesys]\nclient_ids = \"c\"\n[audit]\ndirektory = \"x\"\n[limit]\n");
    let parts = [
        ":2:1: error: unknown key 'client_ids'",
        "did you mean 'client_id'?",
        ":4:1: error: unknown key 'direktory' in [audit]",
        "did you mean 'directory'?",
        ":5:2: error: unknown key 'limit'",
        "did you mean 'limits'?",
    ];
    for command in ["check", "run"] {
        refused(folder.path(), &[command], INVALID, &parts);
    }
}

#[test]
fn a_configuration_that_is_not_there_or_no_toml_is_78() {
    let empty = tempfile::tempdir().expect("a folder");
    refused(
        empty.path(),
        &["run"],
        INVALID,
        &["recwarden.toml:1:1: error: the file cannot be read: No such file"],
    );
    refused(folder("a = [").path(), &["run"], INVALID, &["recwarden.toml:1:", "error: not TOML"]);
}

#[test]
fn two_doors_at_one_port_are_told_before_anything_opens() {
    let secret = "secret_file = \"secret\"\n";
    for (http, webhook, place, help) in [
        ("127.0.0.1:9000", "127.0.0.1:9000", ":6:11", "http.listen is at recwarden.toml:4:11"),
        ("0.0.0.0:9000", "127.0.0.1:9000", ":6:11", "http.listen is at recwarden.toml:4:11"),
        ("127.0.0.1:9000", "[::]:9000", ":6:11", "http.listen is at recwarden.toml:4:11"),
        ("", "127.0.0.1:8844", ":5:11", "http.listen is 127.0.0.1:8844 where it is not written"),
        ("127.0.0.1:8845", "", ":4:11", "webhook.listen is 127.0.0.1:8845 where it is not written"),
    ] {
        let listen = |address: &str| {
            if address.is_empty() { String::new() } else { format!("listen = \"{address}\"\n") }
        };
        let text = format!("{NOWHERE}[http]\n{}[webhook]\n{}{secret}", listen(http), listen(webhook));
        let folder = folder(&text);
        for command in ["check", "run"] {
            refused(
                folder.path(),
                &[command],
                INVALID,
                &[&format!("recwarden.toml{place}: error: webhook.listen"), "cannot both have port", help],
            );
        }
    }
    for (http, webhook) in [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:9000", "127.0.0.2:9000"),
        ("127.0.0.1:9000", "127.0.0.1:9001"),
    ] {
        let folder =
            folder(&format!("[http]\nlisten = \"{http}\"\n[webhook]\nlisten = \"{webhook}\"\n{secret}"));
        let output = recwarden(folder.path(), &["check", "--config", "recwarden.toml"], &[]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
}

fn quiet() -> Simulator {
    Simulator::start(&["--calls", "1"])
}

#[test]
fn what_run_would_refuse_for_want_of_a_secret_is_a_warning_of_check() {
    let folder = folder(
        "[genesys]\nregion = \"us-east-1\"\nclient_secret_file = \"none\"\n[webhook]\n[[rule]]\nname = \"a\"\nflagged = true\naction = \"stop\"\n",
    );
    let check = |more: &[&str]| {
        recwarden(folder.path(), &[&["check", "--config", "recwarden.toml"], more].concat(), &[])
    };
    let told = said(&check(&[]));
    for part in [
        "recwarden.toml:1:1: warning: run would refuse this: there is no client id",
        "recwarden.toml:3:23: warning: run would refuse this: the client secret cannot be read from none",
        "recwarden.toml:4:1: warning: run would refuse this: there is no webhook secret",
        ": valid, 1 rule, ",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert_eq!(check(&[]).status.code(), Some(0));
    assert_eq!(check(&["--deny-warnings"]).status.code(), INVALID);
}

#[test]
fn wrong_credentials_are_1_and_the_message_says_whose() {
    let simulator = quiet();
    let site = Site::new(&simulator, &simulator.api_url, "[http]\nlisten = \"\"\n");
    site.write("client-secret", "wrong");
    for command in [&["run"][..], &["check", "--online"]] {
        let parts = [
            "refuses the client id",
            "or its secret",
            "401",
            "Admin > Integrations > OAuth",
            &simulator.api_url,
        ];
        refused(site.path(), command, FAILED, &parts);
    }
    // A start that came to nothing leaves nothing in the log.
    assert!(
        std::fs::read_dir(site.audit())
            .expect("its folder")
            .all(|entry| { !entry.expect("an entry").file_name().to_string_lossy().ends_with(".jsonl") })
    );
}

#[test]
fn an_unknown_queue_is_told_by_check_online_and_warned_of_by_run() {
    let simulator = quiet();
    let rule = "[http]\nlisten = \"\"\n[[rule]]\nname = \"a\"\nqueue = [\"Paymets\", \"Card *\"]\naction = \"stop\"\n\
        [[rule]]\nname = \"b\"\nwhen = 'queue.name == \"Colections\" && flagged'\naction = \"stop\"\n";
    let site = Site::new(&simulator, &simulator.api_url, rule);
    let parts = [
        ":9:11: error: there is no queue 'Paymets' on the platform",
        "did you mean 'Payments'?",
        ":13:23: error: there is no queue 'Colections' on the platform",
        "did you mean 'Collections'?",
    ];
    refused(site.path(), &["check", "--online"], INVALID, &parts);
    let check = said(&site.run(&["check", "--online", "--config", "recwarden.toml"]));
    assert!(!check.contains(": valid, "), "one verdict: {check}");
    let mut daemon = site.daemon();
    let warned = daemon.wait_for_message("there is no queue 'Paymets'");
    assert!(warned.contains("did you mean 'Payments'?"), "{warned}");
    assert_eq!(daemon.told_to_stop(), Some(0));
}

#[test]
fn an_audit_folder_that_cannot_be_written_is_named() {
    let simulator = quiet();
    let site = Site::new(&simulator, &simulator.api_url, "[http]\nlisten = \"\"\n");
    site.write("audit", "a file is in its place");
    refused(
        site.path(),
        &["run"],
        FAILED,
        &["the audit log at audit", "something else than a folder is in its place"],
    );
    std::fs::remove_file(site.audit()).expect("removed");
    let Some(_disk) = players::Tmpfs::mount_read_only(&site.audit()) else { return };
    refused(site.path(), &["run"], FAILED, &["the audit log at audit", "Read-only file system"]);
}

#[test]
fn a_broken_chain_is_refused_at_the_start_and_the_record_named() {
    let simulator = quiet();
    let site = Site::new(&simulator, &simulator.api_url, "[http]\nlisten = \"\"\n");
    let mut daemon = site.daemon();
    daemon.wait_for_message("every topic is subscribed");
    assert_eq!(daemon.told_to_stop(), Some(0));
    let entries = std::fs::read_dir(site.audit()).expect("the folder");
    let path = entries
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|one| one == "jsonl"));
    let path = path.expect("a file");
    let text = std::fs::read_to_string(&path).expect("a text");
    std::fs::write(&path, text.replace("\"rules\":0", "\"rules\":9")).expect("written");
    let parts = ["the audit log is broken in ", "at line 2: record 2 was changed", "start with a new one"];
    refused(site.path(), &["run"], FAILED, &parts);
    // The evidence is untouched.
    assert_eq!(std::fs::read_to_string(&path).expect("a text"), text.replace("\"rules\":0", "\"rules\":9"));
    let output = site.run(&["audit", "verify", "--directory", "audit"]);
    assert_eq!(output.status.code(), FAILED);
    assert!(said(&output).contains("record 2 was changed"), "{}", said(&output));
}

#[test]
fn a_port_in_use_is_named_with_its_key() {
    let simulator = quiet();
    let taken = simulator.api_url.trim_start_matches("http://");
    let site = Site::new(&simulator, &simulator.api_url, "");
    site.configure(&simulator, &simulator.api_url, &format!("[http]\nlisten = \"{taken}\"\n"));
    let parts = [
        &format!("http.listen: cannot listen at {taken}: Address already in use")[..],
        "choose another port",
    ];
    refused(site.path(), &["run"], FAILED, &parts);
    site.write("webhook-secret", "0123456789abcdef");
    let webhook =
        format!("[http]\nlisten = \"\"\n[webhook]\nlisten = \"{taken}\"\nsecret_file = \"webhook-secret\"\n");
    site.configure(&simulator, &simulator.api_url, &webhook);
    refused(site.path(), &["run"], FAILED, &["webhook.listen: cannot listen at", "Address already in use"]);
    let output = recwarden(site.path(), &["simulate", "--listen", taken], &[]);
    assert_eq!(output.status.code(), FAILED);
    assert!(said(&output).contains("is something else there?"), "{}", said(&output));
}

#[test]
fn a_dot_env_file_is_enough_to_control_one_conversation_by_hand() {
    let mut simulator = Simulator::start(&["--calls", "5", "--pace", "5"]);
    let recorded = simulator.process.wait_for("a call that is recorded", |line| {
        line["detail"].as_str().is_some_and(|text| text.contains("the agent answers (recorded)"))
    });
    let id = recorded["subject"].as_str().expect("a conversation").to_owned();
    let folder = folder("");
    let (api_url, client_id, client_secret) = simulator.credentials();
    let env = format!(
        "GENESYS_REGION={api_url}\nGENESYS_CLIENT_ID={client_id}\nGENESYS_CLIENT_SECRET={client_secret}\nTEST_CONVERSATION_ID={id}\nTEST_ACTION=stop\n"
    );
    std::fs::write(folder.path().join(".env"), env).expect("written");
    let run = |arguments: &[&str]| {
        let output = recwarden(folder.path(), &[arguments, &["--config", "recwarden.toml"]].concat(), &[]);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
        said(&output)
    };
    assert!(run(&["status"]).contains("active, live; no daemon runs here"));
    assert!(run(&["control", "--wait", "300"]).starts_with("confirmed: "));
    assert!(run(&["status"]).contains("paused, live"));
    let started: serde_json::Value =
        serde_json::from_str(&run(&["start", "--format", "json", "--wait", "300"])).expect("JSON");
    assert_eq!(started["state"], "confirmed");
    // What a shell sets wins over the file.
    let output =
        recwarden(folder.path(), &["control", "--config", "recwarden.toml"], &[("TEST_ACTION", "pause")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("TEST_ACTION must be start or stop, not 'pause'"), "{}", said(&output));
    let sound = recwarden(folder.path(), &["audit", "verify", "--directory", "audit"], &[]);
    assert_eq!(sound.status.code(), Some(0), "{}", said(&sound));
}

#[test]
fn an_order_by_hand_goes_through_the_daemon_and_a_wrong_one_nowhere() {
    let mut simulator = Simulator::start(&["--calls", "5", "--pace", "5"]);
    let site = Site::new(&simulator, &simulator.api_url, "[http]\nlisten = \"\"\n");
    let recorded = simulator.process.wait_for("a call that is recorded", |line| {
        line["detail"].as_str().is_some_and(|text| text.contains("the agent answers (recorded)"))
    });
    let id = recorded["subject"].as_str().expect("a conversation").to_owned();
    let mut daemon = site.daemon();
    daemon.wait_for_message("is closed: ");
    let run = |arguments: &[&str]| {
        recwarden(site.path(), &[arguments, &["--config", "recwarden.toml"]].concat(), &[])
    };
    let stopped = run(&["stop", &id, "--reason", "the customer objects", "--wait", "300"]);
    assert_eq!(stopped.status.code(), Some(0), "{}", said(&stopped));
    assert!(said(&stopped).starts_with("confirmed: "), "{}", said(&stopped));
    let status = said(&run(&["status", &id]));
    assert!(status.contains("paused; the policy says stop (directive)"), "{status}");
    let again = run(&["stop", &id, "--wait", "300"]);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    let unknown = run(&["stop", "00000000-0000-4000-8000-000000000000", "--wait", "300"]);
    assert_eq!(unknown.status.code(), FAILED);
    assert_eq!(said(&unknown).matches("does not exist").count(), 1, "{}", said(&unknown));
    let unknown = run(&["status", "00000000-0000-4000-8000-000000000000"]);
    assert!(said(&unknown).contains("there is no conversation 00000000-"), "{}", said(&unknown));
    let ended = simulator.process.wait_for("the end of a call", |line| {
        line["detail"].as_str().is_some_and(|text| text.contains("wrapped up"))
    });
    let ended = ended["subject"].as_str().expect("a conversation");
    let status = said(&run(&["status", ended]));
    assert!(status.contains("ended; the daemon that runs here does not follow it"), "{status}");
    let late = run(&["stop", ended, "--wait", "300"]);
    assert_eq!(late.status.code(), FAILED);
    assert!(said(&late).contains("the order was given up: the conversation ended"), "{}", said(&late));
    for arguments in [&["stop", "abc"][..], &["stop"]] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(daemon.told_to_stop(), Some(0));
    let directive =
        site.records().into_iter().find(|record| record["kind"] == "directive").expect("a record");
    assert_eq!(
        (directive["origin"].as_str(), directive["reason"].as_str()),
        (Some("manual"), Some("the customer objects"))
    );
}

#[test]
fn frames_that_are_no_events_do_no_harm() {
    let kinds = 10;
    let mut simulator = Simulator::start(&["--calls", "10", "--pace", "30", "--odd-frames-every", "700ms"]);
    let more = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[limits]\nrequests_per_minute = 60000\n{}",
        players::SAMPLE_POLICY
    );
    let site = Site::new(&simulator, &simulator.api_url, &more);
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    // What came before the socket was open went to nobody.
    let open = time(&daemon.wait_for("a whole view", |line| message(line).contains("is closed: ")));
    for _ in 0..=kinds {
        simulator.process.wait_for("an odd frame", |line| line["detail"] == "OddFrame" && time(line) > open);
    }
    // It still does its work, on the socket that it had.
    daemon.wait_for_message("confirmed");
    until(&address, "most odd frames are refused", |view| {
        view["counters"]["recwarden_frames_refused_total"].as_f64() >= Some(6.0)
    });
    assert!(daemon.memory("VmHWM") < 300_000, "{} kB", daemon.memory("VmHWM"));
    assert_eq!(daemon.told_to_stop(), Some(0));
    let (sound, said) = site.verify();
    assert!(sound, "{said}");
    let lost = daemon.seen.iter().filter(|line| message(line).contains("events may be missed")).count();
    assert_eq!(lost, 0, "an odd frame cost the socket");
}

#[test]
fn sigterm_before_the_start_is_over_ends_it_in_time() {
    // Somebody listens and says nothing: the login hangs.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", deaf.local_addr().expect("an address"));
    let simulator = quiet();
    let site = Site::new(&simulator, &url, "[http]\nlisten = \"127.0.0.1:0\"\n");
    let mut daemon: Process = site.daemon();
    health_address(&mut daemon);
    assert_eq!(daemon.told_to_stop(), Some(0));
}

#[test]
fn a_secret_that_is_written_where_none_belongs_is_refused_and_not_repeated() {
    let in_the_table = folder("[genesys]\nclient_secret = \"hunter2\"\n[webhook]\nsecret = \"hunter2\"\n");
    for command in ["check", "run"] {
        let output = recwarden(in_the_table.path(), &[command, "--config", "recwarden.toml"], &[]);
        let said = said(&output);
        assert_eq!(output.status.code(), INVALID, "{said}");
        for part in
            [":2:18: error: a secret does not belong into this file", ":4:11: error: a secret does not"]
        {
            assert!(said.contains(part), "'{part}' is not in:\n{said}");
        }
        assert!(!said.contains("hunter2"), "{said}");
    }
    let no_base64 = folder(&format!(
        "{NOWHERE}client_id = \"c\"\nclient_secret_file = \"secret\"\n[webhook]\nsecret_file = \"secret\"\n"
    ));
    std::fs::write(no_base64.path().join("secret"), "whsec_!").expect("written");
    refused(
        no_base64.path(),
        &["run"],
        INVALID,
        &["recwarden.toml:6:16: error: the webhook secret begins with"],
    );
}

#[test]
fn a_platform_that_cannot_be_reached_is_told_by_every_command_that_somebody_waits_for() {
    let folder = folder(&format!("{NOWHERE}client_id = \"c\"\nclient_secret_file = \"secret\"\n"));
    std::fs::write(folder.path().join("secret"), "s").expect("written");
    let id = "00000000-0000-4000-8000-000000000000";
    for command in [&["check", "--online"][..], &["status", id], &["stop", id]] {
        let output = recwarden(folder.path(), &[command, &["--config", "recwarden.toml"]].concat(), &[]);
        let said = said(&output);
        assert_eq!(output.status.code(), FAILED, "{said}");
        assert!(
            said.contains("login host http://127.0.0.1:9 cannot be reached: Connection refused"),
            "{said}"
        );
        assert!(!said.contains("accepted") && !folder.path().join("audit").exists(), "{said}");
    }
}

#[test]
fn what_is_no_text_in_the_environment_does_no_harm_and_a_dot_env_that_is_bad_is_told() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder("");
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let mut command = std::process::Command::new(players::PROGRAM);
    let command =
        command.args(["check", "--config", "recwarden.toml"]).current_dir(folder.path()).env("ODD", odd);
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    std::fs::write(folder.path().join(".env"), "A=1\nGENESYS_CLIENT_SECRET=hunter 2\n").expect("written");
    let told = ".env:2:1: error: the line of GENESYS_CLIENT_SECRET cannot be read";
    refused(folder.path(), &["run"], INVALID, &[told, "help: write it as NAME='VALUE'"]);
}

#[test]
fn the_audit_commands_read_what_a_crash_tore_and_what_is_no_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| recwarden(folder.path(), &[&["audit"], arguments].concat(), &[]);
    let no_configuration = run(&["verify"]);
    assert_eq!(no_configuration.status.code(), INVALID);
    assert!(said(&no_configuration).contains("--directory DIR"), "{}", said(&no_configuration));
    let file = folder.path().join("audit-2026-01-05-1.jsonl");
    std::fs::write(&file, "{\"kind\":\"alert\"}\nno record\n{\"kind\":\"alert\"}\n{\"kind\":\"al")
        .expect("written");
    let shown = run(&["show", "--kind", "alert", "--directory", "."]);
    assert_eq!(shown.status.code(), FAILED);
    assert_eq!(String::from_utf8_lossy(&shown.stdout).lines().count(), 2, "{}", said(&shown));
    assert!(said(&shown).contains(":2 is not a record (1 line such)"), "{}", said(&shown));
    let tail = run(&["tail", "-n", "1", "--directory", "."]);
    assert_eq!(String::from_utf8_lossy(&tail.stdout), "{\"kind\":\"alert\"}\n");
    let unknown = run(&["show", "--kind", "decison", "--directory", "."]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(said(&unknown).contains("a similar value exists: 'decision'"), "{}", said(&unknown));
    std::fs::write(&file, b"\xff\xfe\n").expect("written");
    let verified = run(&["verify", "--directory", "."]);
    assert_eq!(verified.status.code(), FAILED);
    assert!(said(&verified).contains(":1: the line is not a record"), "{}", said(&verified));
}

#[test]
fn every_command_says_what_it_does_with_examples() {
    let folder = tempfile::tempdir().expect("a folder");
    let help = said(&recwarden(folder.path(), &["--help"], &[]));
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() >= 10, "{help}");
    for command in commands {
        let output = recwarden(folder.path(), &[command, "--help"], &[]);
        assert!(
            output.status.success() && said(&output).contains("Examples:"),
            "{command}: {}",
            said(&output)
        );
    }
    let wrong = recwarden(folder.path(), &["rum"], &[]);
    assert_eq!(wrong.status.code(), Some(2));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = recwarden(folder.path(), &["completions", shell], &[]);
        assert!(output.status.success() && said(&output).contains("recwarden"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure_and_changes_no_exit_code() {
    let rules = "[[rule]]\nname = \"card\"\nattribute = { pci = \"on\" }\naction = \"stop\"\n\
                 [[test]]\nname = \"wrong\"\nsteps = [{ expect = \"stop\" }]\n\
                 [[test]]\nname = \"right\"\nsteps = [{ expect = \"leave\" }]\n";
    let folder = folder(rules);
    let call = r#"{"id":"5c5a3b1e-8f0d-4a5e-9d5c-1f2e3d4c5b6a","recordingState":"active","participants":[
        {"id":"c","purpose":"customer","state":"connected","attributes":{"pci":"on"}}]}"#;
    std::fs::write(folder.path().join("call.json"), call).expect("written");
    std::fs::write(folder.path().join("none.toml"), "").expect("written");
    std::fs::write(folder.path().join("audit-2026-01-05-1.jsonl"), "{\"kind\":\"alert\"}\n")
        .expect("written");
    let failed = "recwarden: 1 of 2 rule tests failed\n";
    let changed = "recwarden: 1 of 1 conversations change (100.00 %), and --max-change allows 0.00 %\n";
    let broken = "recwarden: the log does not verify: 2 findings\n";
    for (arguments, code, said) in [
        ("check", 0, ""),
        ("test right", 0, ""),
        ("test", 1, failed),
        ("test --format junit", 1, failed),
        ("test --format json", 1, failed),
        ("explain call.json", 0, ""),
        ("replay call.json", 0, ""),
        ("replay call.json --against none.toml", 0, ""),
        ("replay call.json --against none.toml --max-change 0%", 1, changed),
        ("drill --fault none --calls 1", 0, ""),
        ("audit show --directory .", 0, ""),
        ("audit tail --follow --directory .", 0, ""),
        ("audit verify --directory .", 1, broken),
        ("schema", 0, ""),
        ("man", 0, ""),
        ("completions zsh", 0, ""),
        ("demo", 0, ""),
        ("--help", 0, ""),
        ("check --help", 0, ""),
    ] {
        let (reader, unread) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = std::process::Command::new(players::PROGRAM);
        command
            .args(arguments.split(' '))
            .current_dir(folder.path())
            .env_clear()
            .env("RECWARDEN_CONFIG", "recwarden.toml");
        let both = unread.try_clone().expect("a pipe");
        let output = command.stdout(unread).output().expect("it runs");
        assert_eq!(
            (output.status.code(), &*String::from_utf8_lossy(&output.stderr)),
            (Some(code), said),
            "{arguments}"
        );
        if arguments != "demo" {
            let twice = both.try_clone().expect("a pipe");
            let status = command.stdout(both).stderr(twice).status().expect("it runs");
            assert_eq!(status.code(), Some(code), "{arguments}, with both streams unread");
        }
    }
}
