//! A new configuration for a daemon that runs: by SIGHUP, by `--watch`, a good one and a bad one.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_recwarden");

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Running {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("it is told");
    }
}

const CARD: &str = "[[rule]]\nname = \"card\"\nwhen = 'attributes.pci == \"on\"'\naction = \"stop\"\n";
const CHANGED_CARD: &str =
    "[[rule]]\nname = \"card\"\nwhen = 'attributes.pci in [\"on\", \"yes\"]'\naction = \"stop\"\n";
const CONSENT: &str =
    "[[rule]]\nname = \"consent\"\nattribute = { consent = \"refused\" }\naction = \"stop\"\n";

/// The simulator, and all of the configuration but its rules.
fn simulator(folder: &Path) -> (Running, String) {
    let mut child = Command::new(PROGRAM)
        .args(["simulate", "--listen", "127.0.0.1:0", "--format", "json", "--calls", "10", "--for", "120s"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the simulator starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let first = lines.next().expect("a line").expect("a text");
    let told: serde_json::Value = serde_json::from_str(&first).expect("JSON");
    // What happens there is read away, or the simulator would wait for its reader.
    std::thread::spawn(move || lines.for_each(drop));
    let text = |key: &str| told[key].as_str().expect("a text").to_owned();
    std::fs::write(folder.join("client-secret"), text("client_secret")).expect("written");
    std::fs::write(folder.join("webhook-secret"), "first-secret-of-the-webhook").expect("written");
    let configuration = format!(
        "[genesys]\napi_url = \"{}\"\nclient_id = \"{}\"\nclient_secret_file = \"client-secret\"\n\
         [http]\nlisten = \"\"\n[webhook]\nlisten = \"127.0.0.1:0\"\nsecret_file = \"webhook-secret\"\n\
         [policy]\nfiles = [\"rules/*.toml\"]\n",
        text("api_url"),
        text("client_id")
    );
    std::fs::create_dir(folder.join("rules")).expect("made");
    (Running(child), configuration)
}

/// Writes as editors do: a new file takes the place of the old one.
fn save(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).expect("written");
    std::fs::rename(new, path).expect("renamed");
}

fn daemon(folder: &Path, arguments: &[&str]) -> (Running, Lines<BufReader<ChildStderr>>) {
    let mut child = Command::new(PROGRAM)
        .args(["run", "--log-format", "json", "--config"])
        .arg(folder.join("recwarden.toml"))
        .args(arguments)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the daemon starts");
    let lines = BufReader::new(child.stderr.take().expect("its log")).lines();
    (Running(child), lines)
}

/// Reads the log until a message has it; answers that message.
fn wait_for(log: &mut Lines<BufReader<ChildStderr>>, part: &str) -> String {
    let mut seen = Vec::new();
    for line in log.by_ref() {
        let entry: serde_json::Value = serde_json::from_str(&line.expect("a text")).expect("a JSON line");
        let message = entry["fields"]["message"].as_str().unwrap_or_default().to_owned();
        if message.contains(part) {
            return message;
        }
        seen.push(message);
    }
    panic!("the daemon ended before it said '{part}':\n{}", seen.join("\n"));
}

fn end(mut daemon: Running, log: Lines<BufReader<ChildStderr>>) {
    daemon.signal(Signal::TERM);
    log.for_each(drop);
    assert_eq!(daemon.0.wait().expect("it ended").code(), Some(0));
}

/// The `policy.loaded` records, without what seals them.
fn loaded(folder: &Path) -> Vec<serde_json::Value> {
    let mut files: Vec<_> = std::fs::read_dir(folder.join("audit"))
        .expect("the log")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    files.sort();
    let text: String = files.iter().map(|path| std::fs::read_to_string(path).expect("read")).collect();
    let records = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    records.filter(|record| record["kind"] == "policy.loaded").collect()
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

#[test]
fn a_hangup_takes_over_a_good_configuration_and_refuses_a_bad_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_simulator, base) = simulator(folder.path());
    let path = folder.path().join("recwarden.toml");
    save(&path, &format!("{base}{CARD}{CONSENT}"));
    let (daemon, mut log) = daemon(folder.path(), &[]);
    let webhook = wait_for(&mut log, "the webhook at http://");
    let webhook = webhook.trim_start_matches("the webhook at http://");
    wait_for(&mut log, "calls in progress are read");
    assert_eq!(
        ask_webhook(webhook, "first-secret-of-the-webhook"),
        "400",
        "let in, and there is nothing in it"
    );

    std::fs::write(folder.path().join("webhook-secret"), "second-secret-of-the-webhook").expect("written");
    let rules = folder.path().join("rules/more.toml");
    save(&rules, &CONSENT.replace("consent\"", "other\""));
    let elsewhere = base.replace("[http]\nlisten = \"\"", "[http]\nlisten = \"127.0.0.1:1\"");
    save(&path, &format!("{elsewhere}{CHANGED_CARD}"));
    daemon.signal(Signal::HUP);
    wait_for(&mut log, "the configuration was read again");
    let fixed = wait_for(&mut log, "http.listen was changed");
    assert!(fixed.contains("at the next restart only"), "{fixed}");
    let let_in = |_: &u32| ask_webhook(webhook, "second-secret-of-the-webhook") == "400";
    assert!((0..10_000).any(|at| let_in(&at)), "the new secret is not taken");
    assert_eq!(ask_webhook(webhook, "first-secret-of-the-webhook"), "401");

    save(&rules, &CONSENT.replace("attribute = {", "atribute = {"));
    daemon.signal(Signal::HUP);
    let mistake = wait_for(&mut log, "unknown key 'atribute'");
    assert!(mistake.contains("more.toml:3:1: error:"), "{mistake}");
    assert!(mistake.contains("did you mean 'attribute'?"), "{mistake}");
    wait_for(&mut log, "the new configuration has 1 mistake and is refused; the old one stays");
    end(daemon, log);

    let loaded = loaded(folder.path());
    assert_eq!(loaded.len(), 2, "{loaded:?}");
    assert_ne!(loaded[0]["policy"], loaded[1]["policy"]);
    assert_eq!(loaded[1]["added"], serde_json::json!(["other"]));
    assert_eq!(loaded[1]["removed"], serde_json::json!(["consent"]));
    assert_eq!(loaded[1]["changed"], serde_json::json!(["card"]), "its condition is another one");
}

#[test]
fn a_watching_daemon_reloads_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_simulator, base) = simulator(folder.path());
    save(&folder.path().join("recwarden.toml"), &format!("{base}{CARD}"));
    let (daemon, mut log) = daemon(folder.path(), &["--watch"]);
    wait_for(&mut log, "calls in progress are read");

    save(&folder.path().join("rules/new.toml"), CONSENT);
    wait_for(&mut log, "the configuration was read again");
    save(&folder.path().join("rules/new.toml"), "[[rule]]\nname = \"consent\"\n");
    wait_for(&mut log, "a rule without an action");
    wait_for(&mut log, "the old one stays");
    std::fs::remove_file(folder.path().join("rules/new.toml")).expect("removed");
    wait_for(&mut log, "the configuration was read again");
    end(daemon, log);

    let loaded = loaded(folder.path());
    let names = |at: usize, key: &str| loaded[at][key].to_string();
    assert_eq!(loaded.len(), 3, "{loaded:?}");
    assert_eq!([names(1, "added"), names(1, "removed")], ["[\"consent\"]", "[]"]);
    assert_eq!([names(2, "added"), names(2, "removed")], ["[]", "[\"consent\"]"]);
}
