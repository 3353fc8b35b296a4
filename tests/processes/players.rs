//! Daemon and simulator as processes, for the tests that play them against each other. Nothing here waits for
//! a span of time: a test waits for what a process says, and the wait has a generous end. Where a test holds the daemon to
//! a span, the time for which the machine stood still is on top of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use recwarden::http::ask::Unanswered;
use recwarden::io::clock::Clock;
use serde_json::Value;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_recwarden");
/// Whatever is waited for comes much sooner, on a machine that is several times slower too; this bounds a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// A daemon that is told to stop has ended within this (PRODUCT.md 9).
const ENDED_WITHIN: Duration = Duration::from_secs(10);
/// A call that can be helped is in a wrong state for less than this.
const RIGHT_WITHIN: Duration = Duration::from_secs(3);

/// Configuration that serves health and the view on a free port.
pub(crate) const HTTP: &str = "[http]\nlisten = \"127.0.0.1:0\"\n";

/// The rules that the simulator's oracle knows.
pub(crate) const SAMPLE_POLICY: &str = recwarden::sim::oracle::SAMPLE_POLICY;

/// Runs a command to its end; the environment holds nothing that a test did not put there.
pub(crate) fn recwarden(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    plain(folder).args(arguments).envs(environment.iter().copied()).output().expect("it runs")
}

fn plain(folder: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.current_dir(folder).env_clear();
    command
}

/// Looks at the machine all the time: who sleeps for a moment and sleeps on was on one that stood still.
struct Machine {
    clock: Clock,
    /// When the sleep began that is not over, in milliseconds since the start.
    asleep_since: AtomicU64,
    /// How much too long the longest sleep was, in milliseconds.
    overslept: AtomicU64,
}

impl Machine {
    const SLEEP_MS: u64 = 50;

    /// Looked at since this was asked for the first time.
    fn watched() -> &'static Self {
        static MACHINE: OnceLock<Machine> = OnceLock::new();
        MACHINE.get_or_init(|| {
            // Ends with the process of the test.
            std::thread::spawn(|| {
                let machine = Self::watched();
                loop {
                    machine.asleep_since.store(machine.now(), Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(Self::SLEEP_MS));
                    machine.overslept.fetch_max(machine.oversleeps(), Ordering::SeqCst);
                }
            });
            let clock = Clock::start();
            Self { clock, asleep_since: AtomicU64::new(0), overslept: AtomicU64::new(0) }
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.now().mono.since_start().as_millis()).expect("a test ends before that")
    }

    /// How much too long the sleep is by now; whoever asks may have woken first.
    fn oversleeps(&self) -> u64 {
        self.now().saturating_sub(self.asleep_since.load(Ordering::SeqCst) + Self::SLEEP_MS)
    }
}

/// For how long the machine stood still at the most since the first process was started. A span in which the daemon has to
/// do something is so much longer.
pub(crate) fn standstill() -> Duration {
    let machine = Machine::watched();
    Duration::from_millis(machine.overslept.load(Ordering::SeqCst).max(machine.oversleeps()))
}

/// What a command said on both streams.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A process that does not outlive its test, and the lines that it writes.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<Value>,
    /// All that was read so far.
    pub(crate) seen: Vec<Value>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Process {
    fn start(mut command: Command, pick: impl FnOnce(&mut Child) -> Box<dyn Read + Send>) -> Self {
        Machine::watched();
        let mut child = command.spawn().expect("it starts");
        let stream = BufReader::new(pick(&mut child));
        let (lines_tx, lines) = channel();
        // Read to the end, or the process would wait for its reader.
        std::thread::spawn(move || {
            for line in stream.split(b'\n').map_while(Result::ok) {
                let text = String::from_utf8_lossy(&line).into_owned();
                let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
                // A test that is over reads no more.
                lines_tx.send(value).ok();
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// The next line that fits.
    pub(crate) fn wait_for(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let clock = Clock::start();
        loop {
            let waited = clock.now().mono.since_start();
            match self.lines.recv_timeout(PATIENCE.saturating_sub(waited)) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if fits(&line) {
                        return line;
                    }
                }
                Err(why) => {
                    let last: Vec<String> = self.seen.iter().rev().take(20).map(Value::to_string).collect();
                    let how = if why == RecvTimeoutError::Timeout { "in time" } else { "before it ended" };
                    panic!(
                        "it did not say '{what}' {how}; the last lines, newest first:\n{}",
                        last.join("\n")
                    );
                }
            }
        }
    }

    /// The next log line whose message contains this.
    pub(crate) fn wait_for_message(&mut self, part: &str) -> String {
        let line = self.wait_for(part, |line| message(line).contains(part));
        message(&line).to_owned()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).expect("it is there");
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it can be asked").is_none()
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it ended");
    }

    /// Waits for its end, and for the last of its lines.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let clock = Clock::start();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                break status;
            }
            assert!(clock.now().mono.since_start() < PATIENCE, "it did not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push(line);
        }
        status
    }

    /// SIGTERM, and the exit code; how long it took is bounded by PRODUCT.md 9.
    pub(crate) fn told_to_stop(&mut self) -> Option<i32> {
        let clock = Clock::start();
        self.signal(rustix::process::Signal::TERM);
        let code = self.ended().code();
        assert_ended_in_time(clock.now().mono.since_start());
        code
    }

    /// A figure of `/proc/PID/status`, in kB.
    pub(crate) fn memory(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it lives");
        let line = status.lines().find(|line| line.starts_with(key)).expect("the figure");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number")
    }
}

/// It took so long to end after it had been told to.
#[track_caller]
pub(crate) fn assert_ended_in_time(took: Duration) {
    let stood_still = standstill();
    assert!(
        took < ENDED_WITHIN + stood_still,
        "it took {took:?} to end; the machine stood still for {stood_still:?}"
    );
}

/// When a line of the daemon's log or of the simulator was written.
pub(crate) fn time(line: &Value) -> jiff::Timestamp {
    let text = line["timestamp"].as_str().or(line["at"].as_str()).expect("a time");
    text.parse().expect("an instant")
}

/// The message of a log line.
pub(crate) fn message(line: &Value) -> &str {
    line["fields"]["message"].as_str().unwrap_or_default()
}

/// A simulator that runs, and what to log in with.
pub(crate) struct Simulator {
    /// The process; its lines are what happens there.
    pub(crate) process: Process,
    /// Where it is.
    pub(crate) api_url: String,
    client_id: String,
    client_secret: String,
}

impl Simulator {
    /// Starts one on a free port.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.env_clear().args(["simulate", "--listen", "127.0.0.1:0", "--format", "json"]);
        command.args(["--requests-per-minute", "60000", "--for", "30m"]).args(arguments);
        command.stdout(Stdio::piped());
        let mut process = Process::start(command, |child| Box::new(child.stdout.take().expect("its output")));
        let told = process.wait_for("where it listens", |line| line["api_url"].is_string());
        let text = |key: &str| told[key].as_str().expect("a text").to_owned();
        let (api_url, client_id, client_secret) = (text("api_url"), text("client_id"), text("client_secret"));
        Self { process, api_url, client_id, client_secret }
    }

    /// Its address, client id and client secret.
    pub(crate) fn credentials(&self) -> (&str, &str, &str) {
        (&self.api_url, &self.client_id, &self.client_secret)
    }

    /// Nobody calls any more; once the last call is over, and the daemon has nothing left to do, the account.
    pub(crate) fn run_out(&mut self, daemon_health: &str) -> Value {
        self.process.signal(rustix::process::Signal::HUP);
        self.process.wait_for("the last call is over", |line| line["detail"] == "the last call is over");
        until_idle(daemon_health);
        self.summary()
    }

    /// SIGTERM, and the account that it gives at its end.
    pub(crate) fn summary(&mut self) -> Value {
        self.process.signal(rustix::process::Signal::TERM);
        self.process.ended();
        let last = self.process.seen.iter().rev().find(|line| line["summary"].is_object());
        last.expect("a summary")["summary"].clone()
    }
}

/// A folder with a configuration.
pub(crate) struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    /// Everything for this simulator, reached at `api_url`; `more` is added to the configuration.
    pub(crate) fn new(simulator: &Simulator, api_url: &str, more: &str) -> Self {
        Self::with(api_url, &simulator.client_id, &simulator.client_secret, more)
    }

    /// The same for a simulator that is no process.
    pub(crate) fn with(api_url: &str, client_id: &str, client_secret: &str, more: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().expect("a folder") };
        site.write("client-secret", client_secret);
        site.configure_with(api_url, client_id, more);
        site
    }

    /// Writes the configuration anew.
    pub(crate) fn configure(&self, simulator: &Simulator, api_url: &str, more: &str) {
        self.configure_with(api_url, &simulator.client_id, more);
    }

    fn configure_with(&self, api_url: &str, client_id: &str, more: &str) {
        let text = format!(
            "[genesys]\napi_url = \"{api_url}\"\nclient_id = \"{client_id}\"\nclient_secret_file = \"client-secret\"\n{more}"
        );
        self.write("recwarden.toml", &text);
    }

    /// Its folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the audit log, where the configuration does not name another.
    pub(crate) fn audit(&self) -> PathBuf {
        self.path().join("audit")
    }

    /// Writes as editors do: a new file takes the place of the old one.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        let new = path.with_extension("new");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(new, path).expect("renamed");
    }

    /// Runs a command here.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        recwarden(self.path(), arguments, &[])
    }

    /// Starts the daemon here.
    pub(crate) fn daemon(&self) -> Process {
        self.daemon_told(&[])
    }

    /// Starts the daemon here, with more options.
    pub(crate) fn daemon_told(&self, options: &[&str]) -> Process {
        self.start_daemon(options, &[])
    }

    /// Starts the daemon here, in this environment.
    pub(crate) fn daemon_with(&self, environment: &[(&str, &str)]) -> Process {
        self.start_daemon(&[], environment)
    }

    fn start_daemon(&self, options: &[&str], environment: &[(&str, &str)]) -> Process {
        let mut command = plain(self.path());
        command.args(["run", "--config", "recwarden.toml", "--log-format", "json"]).args(options);
        command.envs(environment.iter().copied()).stderr(Stdio::piped());
        Process::start(command, |child| Box::new(child.stderr.take().expect("its log")))
    }

    /// Starts a capture here; its lines are what it says on both streams.
    pub(crate) fn capture(&self, arguments: &[&str]) -> Process {
        let mut command = plain(self.path());
        command.args(["capture", "--config", "recwarden.toml"]).args(arguments);
        let (said, says) = std::io::pipe().expect("a pipe");
        command.stdout(says.try_clone().expect("a pipe")).stderr(says);
        Process::start(command, |_| Box::new(said))
    }

    /// `audit verify`: whether it is sound, and what it says.
    pub(crate) fn verify(&self) -> (bool, String) {
        let output = self.run(&["audit", "verify", "--directory", "audit"]);
        (output.status.success(), said(&output))
    }

    /// Stops the daemon; the log is sound and closed, and every decision in it ended in exactly one way.
    pub(crate) fn ends_well(&self, daemon: &mut Process) {
        assert_eq!(daemon.told_to_stop(), Some(0));
        let (sound, said) = self.verify();
        assert!(sound && said.contains(" 0 open; the log is closed by a clean stop"), "{said}");
        assert!(Account::of(&self.records()).not_ended_once().is_empty(), "{said}");
    }

    /// All records, oldest first.
    pub(crate) fn records(&self) -> Vec<Value> {
        let output = self.run(&["audit", "show", "--directory", "audit"]);
        assert!(output.status.success(), "{}", said(&output));
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
    }
}

/// An audit log read as its promise has it: each decision, its attempts, and how it ended.
#[derive(Default)]
pub(crate) struct Account {
    /// By id: the action, the number of attempts, the ends.
    pub(crate) decisions: BTreeMap<String, (String, usize, Vec<String>)>,
    /// How many records of each kind.
    pub(crate) kinds: BTreeMap<String, usize>,
}

impl Account {
    /// Reads records.
    pub(crate) fn of(records: &[Value]) -> Self {
        let mut account = Self::default();
        let mut open: BTreeMap<String, String> = BTreeMap::new();
        let (mut attempts, mut under_way) = (BTreeSet::new(), BTreeSet::new());
        for record in records {
            let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
            let (kind, id) = (text("kind"), text("decision"));
            *account.kinds.entry(kind.clone()).or_default() += 1;
            match kind.as_str() {
                // What a dead process had under way may be on its way still.
                "daemon.started" => under_way.clear(),
                "decision" => {
                    let other = open.insert(text("conversation"), id.clone());
                    assert_eq!(other, None, "two decisions at once for one conversation: {record}");
                    let twice = account.decisions.insert(id, (text("action"), 0, Vec::new()));
                    assert!(twice.is_none(), "one decision is made twice: {record}");
                }
                "attempt" => {
                    assert!(
                        attempts.insert((id.clone(), record["attempt"].as_u64())),
                        "one attempt twice: {record}"
                    );
                    assert!(under_way.insert(text("conversation")), "two calls in flight at once: {record}");
                    account.decisions.get_mut(&id).expect("a decision before its attempt").1 += 1;
                }
                "outcome" => {
                    under_way.remove(&text("conversation"));
                    // What was not even looked at does not count as tried, and has its number once more.
                    let unsent = text("message").starts_with("not sent: ");
                    if text("result") == "limited" || unsent {
                        attempts.remove(&(id, record["attempt"].as_u64()));
                    }
                }
                "confirmed" | "superseded" | "abandoned" => {
                    open.remove(&text("conversation"));
                    account.decisions.get_mut(&id).expect("a decision before its end").2.push(kind);
                }
                _ => {}
            }
        }
        account
    }

    /// How many records of this kind there are.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.kinds.get(kind).copied().unwrap_or_default()
    }

    /// Decisions that did not end in exactly one way.
    pub(crate) fn not_ended_once(&self) -> Vec<&String> {
        self.decisions.iter().filter(|(_, (_, _, ends))| ends.len() != 1).map(|(id, _)| id).collect()
    }
}

/// Conversations for which, by the simulator's lines, the platform received more orders than the log has attempts, and how many orders it received in
/// all. An attempt may have come to nothing; there is no order without one.
pub(crate) fn orders_beyond_the_log(happened: &[Value], records: &[Value]) -> (Vec<String>, usize) {
    let mut attempts: BTreeMap<&str, usize> = BTreeMap::new();
    for record in records.iter().filter(|record| record["kind"] == "attempt") {
        *attempts.entry(record["conversation"].as_str().expect("an id")).or_default() += 1;
    }
    let mut orders: BTreeMap<&str, usize> = BTreeMap::new();
    for id in happened.iter().filter_map(ordered) {
        *orders.entry(id).or_default() += 1;
    }
    let beyond = orders.iter().filter_map(|(id, orders)| {
        let logged = attempts.get(id).copied().unwrap_or_default();
        (*orders > logged).then(|| format!("{id}: {orders} orders, {logged} attempts in the log"))
    });
    (beyond.collect(), orders.values().sum())
}

/// The conversation for which an order came, by a line of the simulator. What is accepted is "asked for"; what is
/// refused for good stands there by its path.
fn ordered(line: &Value) -> Option<&str> {
    let of = |key: &str| line[key].as_str().unwrap_or_default();
    let (subject, detail) = (of("subject"), of("detail"));
    if of("kind") != "request" || detail.contains("asked for") {
        return detail.contains("asked for").then_some(subject);
    }
    let refused = ["400 ", "403 ", "404 ", "405 ", "409 "].iter().any(|status| detail.starts_with(status));
    let (method, path) = subject.split_once(' ')?;
    let order =
        path.ends_with("/recordingstate") || path.ends_with("/record") || path.ends_with("/recordings");
    let id = path.strip_prefix("/api/v2/conversations/")?;
    let id = id.strip_prefix("calls/").unwrap_or(id).split('/').next()?;
    (refused && order && method != "GET").then_some(id)
}

/// What is wrong by the simulator's account of calls that ended after `from`: those that had been in a wrong state for too
/// long when they did. The simulator's time goes on while the machine stands still.
pub(crate) fn ended_wrong(summary: &Value, from: jiff::Timestamp) -> Vec<&Value> {
    let named = summary["ended_wrong_longest"].as_array().expect("a list");
    assert_eq!(summary["ended_wrong"], named.len(), "not all are named");
    let wrong_ms = |one: &Value| one["wrong_ms"].as_f64().expect("a number");
    let stood_still = standstill();
    let (from, too_long) = (from + stood_still, (RIGHT_WITHIN + stood_still).as_secs_f64() * 1_000.0);
    named.iter().filter(|one| time(one) >= from && wrong_ms(one) >= too_long).collect()
}

/// No call that ended after `from` was in a wrong state for long, and none is.
#[track_caller]
pub(crate) fn all_right_after(summary: &Value, from: jiff::Timestamp) {
    assert_eq!((&summary["live"], &summary["live_wrong"]), (&0.into(), &0.into()), "{summary}");
    let wrong = ended_wrong(summary, from);
    assert_eq!(
        wrong,
        [&Value::Null; 0],
        "ended in the wrong state; the machine stood still for {:?}",
        standstill()
    );
}

/// A small file system in memory at this place, for as long as the value lives; none where mounting is not
/// permitted, and that is said.
pub(crate) struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounts it.
    pub(crate) fn mount(at: &Path, size: &str) -> Option<Self> {
        Self::mount_with(at, &format!("size={size}"))
    }

    /// Mounts one that nobody can write to.
    pub(crate) fn mount_read_only(at: &Path) -> Option<Self> {
        Self::mount_with(at, "ro")
    }

    fn mount_with(at: &Path, option: &str) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a folder");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", option, "recwarden-test"]).arg(at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at.to_owned())),
            Ok(output) => {
                skipped(Need::Mount, &format!("mounting is not permitted here: {}", said(&output).trim()))
            }
            Err(error) => skipped(Need::Mount, &format!("there is no mount here: {error}")),
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there may keep it. A test that ends cannot do more.
        Command::new("umount").arg("--lazy").arg(&self.0).output().ok();
    }
}

/// What a test needs of the machine and may not find there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// To be permitted to mount.
    Mount,
    /// To be permitted to mount a file as a disk.
    LoopDevice,
    /// `systemd-analyze`, which looks at units without a running systemd.
    SystemdAnalyze,
}

impl Need {
    /// What it is called in [`REQUIRED`].
    fn name(self) -> &'static str {
        match self {
            Self::Mount => "mount",
            Self::LoopDevice => "loop-device",
            Self::SystemdAnalyze => "systemd-analyze",
        }
    }
}

/// Names in the environment what there is on this machine, or `all`: a test that does not find that fails.
const REQUIRED: &str = "RECWARDEN_REQUIRE";
/// Names in the environment a file to which skipped tests are written.
const SKIPPED: &str = "RECWARDEN_SKIPPED";

/// Says that a test could not do its work here, past the harness that swallows what a passing test prints; a
/// failure where the machine has what it needs.
pub(crate) fn skipped<T>(need: Need, why: &str) -> Option<T> {
    use std::io::Write;
    let required = std::env::var(REQUIRED).unwrap_or_default();
    let is_required = required.split_whitespace().any(|one| one == "all" || one == need.name());
    assert!(!is_required, "{REQUIRED} says that there is '{}', but {why}", need.name());
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let why: Vec<&str> = why.split_whitespace().collect();
    let line = format!("SKIPPED {name}: {}\n", why.join(" "));
    std::io::stderr().write_all(line.as_bytes()).expect("stderr");
    if let Some(path) = std::env::var_os(SKIPPED) {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("it is noted");
    }
    None
}

/// Waits until the daemon knows of no live call and has nothing left to do.
fn until_idle(address: &str) {
    until(address, "nothing is left to do", |view| {
        let calls = view["calls"].as_array().map_or(0, Vec::len);
        let decisions = view["decisions"].as_array().into_iter().flatten();
        (calls, decisions.filter(|one| one["state"] == "open").count()) == (0, 0) && view["worklist"] == 0
    });
}

/// Looks until there is something to be seen.
pub(crate) fn until_seen<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let clock = Clock::start();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(clock.now().mono.since_start() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the daemon's view is so.
pub(crate) fn until(address: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let clock = Clock::start();
    loop {
        let view = view(address);
        if is_so(&view) {
            return view;
        }
        assert!(clock.now().mono.since_start() < PATIENCE, "not in time: {what}: {view}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The daemon's view.
pub(crate) fn view(address: &str) -> Value {
    serde_json::from_str(&get(address, "/view.json").1).expect("JSON")
}

/// A figure of the daemon's metrics.
pub(crate) fn metric<T: FromStr>(address: &str, name: &str) -> T {
    let (_, text) = get(address, "/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} in {text}"))
}

/// `GET` on loopback: status and body. A daemon that did not get to it in time is asked again.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let url = format!("http://{address}{path}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = reqwest::Client::builder().timeout(PATIENCE).build().expect("a client");
    let clock = Clock::start();
    loop {
        let (status, text) = runtime.block_on(async {
            let answer = client.get(&url).send().await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("a text"))
        });
        let silent = status == 503 && text.contains(&Unanswered::Silent.to_string());
        if !silent || clock.now().mono.since_start() > PATIENCE {
            return (status, text);
        }
    }
}

/// `POST` of JSON on loopback, with a secret: status and answer.
pub(crate) fn post(url: &str, secret: &str, body: &Value) -> (u16, Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = reqwest::Client::builder().timeout(PATIENCE).build().expect("a client");
        let sent = client.post(url).bearer_auth(secret).body(body.to_string()).send();
        let answer = sent.await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("a JSON body"))
    })
}

/// Where the daemon said that its health is served.
pub(crate) fn health_address(daemon: &mut Process) -> String {
    let said = daemon.wait_for_message("health, metrics and the view at http://");
    said.rsplit("http://").next().expect("an address").to_owned()
}
