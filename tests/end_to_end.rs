//! The daemon against the simulator, as two processes: what an operator would see.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

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

fn simulator(folder: &Path) -> Running {
    let arguments =
        ["simulate", "--listen", "127.0.0.1:0", "--format", "json", "--calls", "40", "--pace", "30"];
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .args(["--requests-per-minute", "6000", "--for", "120s"])
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
    let configuration = format!(
        "[genesys]\napi_url = \"{}\"\nclient_id = \"{}\"\nclient_secret_file = \"client-secret\"\n\
         [limits]\nrequests_per_minute = 6000\n[http]\nlisten = \"\"\n\
         [[rule]]\nname = \"card\"\nqueue = [\"Payments\", \"Card *\", \"Collections\"]\n\
         when = 'attributes.pci == \"on\"'\naction = \"stop\"\n\
         [[rule]]\nname = \"consent\"\nattribute = {{ consent = \"refused\" }}\naction = \"stop\"\n\
         until = \"end\"\npriority = 1\n",
        text("api_url"),
        text("client_id")
    );
    std::fs::write(folder.join("recwarden.toml"), configuration).expect("written");
    Running(child)
}

fn daemon(folder: &Path) -> (Running, Lines<BufReader<ChildStderr>>) {
    let mut child = Command::new(PROGRAM)
        .args(["run", "--log-format", "json", "--config"])
        .arg(folder.join("recwarden.toml"))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the daemon starts");
    let lines = BufReader::new(child.stderr.take().expect("its log")).lines();
    (Running(child), lines)
}

/// Reads the log until it says so, so often.
fn wait_for(log: &mut Lines<BufReader<ChildStderr>>, message: &str, times: usize) {
    let said = |line: Result<String, _>| {
        let line: String = line.expect("a text");
        let entry: serde_json::Value = serde_json::from_str(&line).expect("a JSON line");
        entry["fields"]["message"] == message
    };
    let found = log.by_ref().filter_map(|line| said(line).then_some(())).take(times).count();
    assert_eq!(found, times, "the daemon ended before it said '{message}' {times} times");
}

fn audit(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(PROGRAM)
        .arg("audit")
        .args(arguments)
        .arg("--directory")
        .arg(folder.join("audit"))
        .output()
        .expect("it runs");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_killed_daemon_takes_up_its_decisions_and_a_told_one_leaves_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let _simulator = simulator(folder.path());

    let (mut killed, mut log) = daemon(folder.path());
    wait_for(&mut log, "confirmed", 5);
    killed.0.kill().expect("it is killed");
    killed.0.wait().expect("it ended");
    let (sound, said) = audit(folder.path(), &["verify"]);
    assert!(sound && said.contains("not closed"), "{said}");

    let (mut told, mut log) = daemon(folder.path());
    wait_for(&mut log, "confirmed", 5);
    let id = rustix::process::Pid::from_child(&told.0);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it is told");
    // The log is read to its end, or the daemon would wait for its reader.
    log.for_each(drop);
    assert_eq!(told.0.wait().expect("it ended").code(), Some(0));

    let (sound, said) = audit(folder.path(), &["verify"]);
    assert!(sound && said.contains("closed by a clean stop"), "{said}");
    let (_, starts) = audit(folder.path(), &["show", "--kind", "daemon.started"]);
    assert_eq!(starts.lines().count(), 2);
    let (_, gaps) = audit(folder.path(), &["show", "--kind", "gap.closed"]);
    assert!(gaps.lines().count() >= 2, "each start reads the calls in progress: {gaps}");
}

#[test]
fn a_bad_configuration_is_refused_with_78_and_every_mistake() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recwarden.toml");
    let text = "[genesys]\nregion = \"us-east-9\"\n[[rule]]\nname = \"a b\"\naction = \"stop\"\nwhen = 'attribute.pci == \"on\"'\n[limit]\n";
    std::fs::write(&path, text).expect("written");
    for command in ["check", "run"] {
        let mut asked = Command::new(PROGRAM);
        asked.args([command, "--config"]).arg(&path).env_remove("GENESYS_CLIENT_ID");
        let output = asked.output().expect("it runs");
        assert_eq!(output.status.code(), Some(78), "{command}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        for part in
            [":4:9: error: 'a b' is not a rule name", ":6:9: error:", ":7:2: error: unknown key 'limit'"]
        {
            assert!(said.contains(part), "{command}: {part} in:\n{said}");
        }
    }
}
