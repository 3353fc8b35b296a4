//! A new configuration for a daemon that runs: by SIGHUP, by `--watch`, a good one and a bad one.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use std::io::{Read, Write};
use std::net::TcpStream;

use players::{Process, Simulator, Site, said};
use rustix::process::Signal;
use serde_json::{Value, json};

const CARD: &str = "[[rule]]\nname = \"card\"\nwhen = 'attributes.pci == \"on\"'\naction = \"stop\"\n";
const CHANGED_CARD: &str =
    "[[rule]]\nname = \"card\"\nwhen = 'attributes.pci in [\"on\", \"yes\"]'\naction = \"stop\"\n";
const CONSENT: &str =
    "[[rule]]\nname = \"consent\"\nattribute = { consent = \"refused\" }\naction = \"stop\"\n";

/// All of the configuration but its rules.
const BASE: &str = "[http]\nlisten = \"\"\n[webhook]\nlisten = \"127.0.0.1:0\"\nsecret_file = \"webhook-secret\"\n\
                    [policy]\nfiles = [\"rules/*.toml\"]\n";

/// A simulator, and a folder with these rules.
fn ready(rules: &str) -> (Simulator, Site) {
    let simulator = Simulator::start(&["--calls", "10"]);
    let site = Site::new(&simulator, &simulator.api_url, &format!("{BASE}{rules}"));
    site.write("webhook-secret", "first-secret-of-the-webhook");
    std::fs::create_dir(site.path().join("rules")).expect("made");
    (simulator, site)
}

/// The `policy.loaded` records of a daemon that is told to stop.
fn loaded(site: &Site, daemon: &mut Process) -> Vec<Value> {
    assert_eq!(daemon.told_to_stop(), Some(0));
    site.records().into_iter().filter(|record| record["kind"] == "policy.loaded").collect()
}

/// The status that the webhook answers with.
fn ask_webhook(address: &str, secret: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!(
        "POST /webhook/facts HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {secret}\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// The old policy is in force, and so are orders by hand and questions.
fn the_daemon_can_still_be_asked(site: &Site) {
    const NOBODY: &str = "5c5a3b1e-8f0d-4a5e-9d5c-1f2e3d4c5b6a";
    let asked = |arguments: &[&str], code: i32, part: &str| {
        let output = site.run(arguments);
        let text = said(&output);
        assert!(output.status.code() == Some(code) && text.contains(part), "{arguments:?}: {text}");
        assert!(
            text.contains("the configuration has 1 mistake, which") && !text.contains(": error: "),
            "{text}"
        );
    };
    asked(
        &["audit", "--config", "recwarden.toml", "show", "--kind", "policy.loaded"],
        0,
        "\"policy.loaded\"",
    );
    asked(&["explain", NOBODY, "--config", "recwarden.toml"], 1, "the daemon does not know it");
    asked(&["status", NOBODY, "--config", "recwarden.toml"], 1, "there is no conversation");
    asked(&["stop", NOBODY, "--wait", "300", "--config", "recwarden.toml"], 1, "(decision ");
}

#[test]
fn a_hangup_takes_over_a_good_configuration_and_refuses_a_bad_one() {
    let (simulator, site) = ready(&format!("{CARD}{CONSENT}"));
    let mut daemon = site.daemon();
    let webhook = daemon.wait_for_message("the webhook at http://");
    let webhook = webhook.trim_start_matches("the webhook at http://");
    daemon.wait_for_message("calls in progress are read");
    assert_eq!(
        ask_webhook(webhook, "first-secret-of-the-webhook"),
        "400",
        "let in, and there is nothing in it"
    );

    site.write("webhook-secret", "second-secret-of-the-webhook");
    let more = CONSENT.replace("consent\"", "other\"");
    site.write("rules/more.toml", &more);
    let elsewhere = BASE.replace("[http]\nlisten = \"\"", "[http]\nlisten = \"127.0.0.1:1\"");
    site.configure(&simulator, &simulator.api_url, &format!("{elsewhere}{CHANGED_CARD}"));
    daemon.signal(Signal::HUP);
    daemon.wait_for_message("the configuration was read again");
    let fixed = daemon.wait_for_message("http.listen was changed");
    assert!(fixed.contains("at the next restart only"), "{fixed}");
    let let_in = |_: &u32| ask_webhook(webhook, "second-secret-of-the-webhook") == "400";
    assert!((0..10_000).any(|at| let_in(&at)), "the new secret is not taken");
    assert_eq!(ask_webhook(webhook, "first-secret-of-the-webhook"), "401");

    site.write("rules/more.toml", &more.replace("attribute = {", "atribute = {"));
    daemon.signal(Signal::HUP);
    let mistake = daemon.wait_for_message("unknown key 'atribute'");
    assert!(mistake.contains("more.toml:3:1: error:"), "{mistake}");
    assert!(mistake.contains("did you mean 'attribute'?"), "{mistake}");
    daemon.wait_for_message("the new configuration has 1 mistake and is refused; the old one stays");
    the_daemon_can_still_be_asked(&site);

    let loaded = loaded(&site, &mut daemon);
    assert_eq!(loaded.len(), 2, "{loaded:?}");
    assert_ne!(loaded[0]["policy"], loaded[1]["policy"]);
    assert_eq!(loaded[1]["added"], json!(["other"]));
    assert_eq!(loaded[1]["removed"], json!(["consent"]));
    assert_eq!(loaded[1]["changed"], json!(["card"]), "its condition is another one");
}

#[test]
fn a_watching_daemon_reloads_by_itself() {
    let (_simulator, site) = ready("");
    site.write("rules/card.toml", CARD);
    let mut daemon = site.daemon_told(&["--watch"]);
    daemon.wait_for_message("calls in progress are read");

    // All rules are gone at once: a folder that was not mounted, a copy that was interrupted.
    std::fs::remove_file(site.path().join("rules/card.toml")).expect("removed");
    let lost = daemon.wait_for_message("'rules/*.toml' matches no file, and there is no other rule");
    assert!(lost.contains("recwarden.toml:") && lost.contains("help: bring the files back"), "{lost}");
    daemon.wait_for_message("the old one stays");
    site.write("rules/card.toml", CARD);
    daemon.wait_for_message("the configuration was read again");

    site.write("rules/new.toml", CONSENT);
    daemon.wait_for_message("the configuration was read again");
    site.write("rules/new.toml", "[[rule]]\nname = \"consent\"\n");
    daemon.wait_for_message("a rule without an action");
    daemon.wait_for_message("the old one stays");
    std::fs::remove_file(site.path().join("rules/new.toml")).expect("removed");
    daemon.wait_for_message("the configuration was read again");

    let loaded = loaded(&site, &mut daemon);
    assert_eq!(loaded.len(), 4, "{loaded:?}");
    let changes = |at: usize| (&loaded[at]["added"], &loaded[at]["removed"]);
    let (consent, none) = (json!(["consent"]), json!([]));
    assert_eq!([changes(1), changes(2), changes(3)], [(&none, &none), (&consent, &none), (&none, &consent)]);
}
