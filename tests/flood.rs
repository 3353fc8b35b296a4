//! More than there is room for: thousands of conversations that wait while each answer takes up to half a minute, ten
//! times the events, and more callers than a simulator can play.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;
#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/proxy.rs"]
mod proxy;

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use players::{
    Account, HTTP, Process, SAMPLE_POLICY, Simulator, Site, assert_ended_in_time, health_address, message,
    time, until,
};
use proxy::{Network, Proxy, WITHIN};
use recwarden::io::clock::Clock;
use rustix::process::Signal;
use serde_json::Value;

/// Live conversations. Some eight in a hundred are in one of the two queues whose calls are recorded.
const CALLS: usize = 6_000;
/// Decisions that are open at once at the least.
const OPEN: usize = 5_000;
/// Queues whose calls nobody records, and whose recordings are to be started.
const SILENT: usize = 24;
/// The daemon's memory at its peak, in kB. Some 110,000 are used.
const PEAK: u64 = 160_000;

/// Who asks waits so long for an answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// Spans are measured so exactly.
const SLACK: Duration = Duration::from_secs(1);

/// What is not recorded is to be started; of the first queue's calls the recording of a few is to be stopped, so that
/// their orders and some starts fill the slots that there are.
const FIRST: &str = "[policy]\ndefault = \"start\"\n[[rule]]\nname = \"never\"\nqueue = [\"First\"]\n\
    when = 'conversation.id.matches(\"^0[0-5]\")'\naction = \"stop\"\n";
/// The same with the second queue.
const BOTH: &str = "[policy]\ndefault = \"start\"\n[[rule]]\nname = \"never\"\nqueue = [\"First\", \"Second\"]\n\
    when = 'conversation.id.matches(\"^0[0-5]\")'\naction = \"stop\"\n";

/// Thousands of calls that go on for longer than any test, and in which nothing happens by itself.
fn thousands() -> Simulator {
    let calls = CALLS.to_string();
    let silent: Vec<String> = (1..=SILENT).map(|number| format!("Silent {number}=silent")).collect();
    let mut arguments = vec!["--calls", &calls, "--in-progress", &calls, "--talk", "3h"];
    let queues = ["First", "Second"].into_iter().chain(silent.iter().map(String::as_str));
    arguments.extend(queues.flat_map(|queue| ["--queue", queue]));
    Simulator::start(&arguments)
}

fn reload(simulator: &Simulator, proxy: &Proxy, site: &Site, daemon: &mut Process, more: &str) {
    site.configure(simulator, &proxy.url(), more);
    daemon.signal(Signal::HUP);
    daemon.wait_for_message("the configuration was read again");
}

/// What the log says of the order in which calls went out.
#[derive(Debug, Default)]
struct Order {
    /// Decisions open at once, at the most.
    open_most: usize,
    stops: usize,
    starts: usize,
    /// Starts that went out while a stop waited for its first attempt.
    overtaken: usize,
}

impl Order {
    fn of(records: &[Value], account: &Account) -> Self {
        let mut order = Self::default();
        let (mut open, mut waiting_stops) = (BTreeSet::new(), BTreeSet::new());
        for record in records {
            let text = |key: &str| record[key].as_str().unwrap_or_default();
            let id = text("decision");
            let Some((action, _, _)) = account.decisions.get(id) else { continue };
            match text("kind") {
                "decision" => {
                    open.insert(id);
                    order.open_most = order.open_most.max(open.len());
                    if action == "stop" {
                        waiting_stops.insert(id);
                    }
                }
                "attempt" => {
                    waiting_stops.remove(id);
                    if action == "stop" {
                        order.stops += 1;
                    } else {
                        order.starts += 1;
                        order.overtaken += usize::from(!waiting_stops.is_empty());
                    }
                }
                "confirmed" | "superseded" | "abandoned" => {
                    open.remove(id);
                    waiting_stops.remove(id);
                }
                _ => {}
            }
        }
        order
    }
}

/// How many answers of the platform to orders came late and in time, and for how many nobody waited any more.
fn answers(records: &[Value]) -> (usize, usize) {
    let after =
        |record: &Value, span: Duration| record["took_ms"].as_u64().map(Duration::from_millis) >= Some(span);
    let outcomes = records.iter().filter(|record| record["kind"] == "outcome");
    let (none, answered): (Vec<&Value>, Vec<&Value>) =
        outcomes.partition(|record| record["result"] == "retry");
    let late = answered.into_iter().filter(|record| after(record, WITHIN - SLACK)).count();
    (late, none.into_iter().filter(|record| after(record, ANSWERED_WITHIN - SLACK)).count())
}

#[test]
fn with_answers_around_half_a_minute_and_five_thousand_decisions_open_stops_go_first_and_nothing_is_lost() {
    let mut simulator = thousands();
    let proxy = Proxy::to(&simulator.api_url);
    // As many requests under way at once as there are where nobody says otherwise.
    let with = |policy: &str| format!("[limits]\nrequests_per_minute = 60000\n{HTTP}{policy}");
    let site = Site::new(&simulator, &proxy.url(), &with(""));
    let mut daemon = site.daemon();
    let address = health_address(&mut daemon);
    daemon.wait_for_message(&format!("is closed: {CALLS} conversations were judged"));

    proxy.becomes(Network::Slow);
    reload(&simulator, &proxy, &site, &mut daemon, &with(FIRST));
    // Thousands of starts wait by now. The stops of the second queue, decided later, have to go before them.
    daemon.wait_for_message("decided: ");
    until(&address, "thousands wait", |view| view["worklist"].as_u64() >= Some(OPEN as u64));
    reload(&simulator, &proxy, &site, &mut daemon, &with(BOTH));
    let later = daemon.wait_for("a stop", |line| message(line) == "decided: stop");
    // The next orders go out once the first are answered, or nobody waits for an answer any more.
    let answered = time(&later) + WITHIN;
    simulator.process.wait_for("a start after them", |line| {
        line["detail"].as_str().is_some_and(|detail| detail.contains("Turning) asked for"))
            && time(line) > answered
    });
    let waiting = daemon.memory("VmHWM");
    // All is well again, and what went out last is answered, or given up, within half a minute.
    proxy.becomes(Network::Open);
    until(&address, "nothing is left to do", |view| {
        let decisions = view["decisions"].as_array().expect("a list");
        view["worklist"] == 0 && decisions.iter().all(|one| one["state"] != "open")
    });
    let peak = daemon.memory("VmHWM");
    site.ends_well(&mut daemon);

    let records = site.records();
    let account = Account::of(&records);
    let order = Order::of(&records, &account);
    let (late, none) = answers(&records);
    let stops = account.decisions.values().filter(|(action, ..)| action == "stop").count();
    let again = account.decisions.values().filter(|(_, attempts, _)| *attempts > 1).count();
    writeln!(
        std::io::stderr(),
        "answers after 20 s, 32 s or never: {order:?}, {stops} stops decided, {late} answers late and {none} none, \
         {again} orders given again, peak {waiting} kB while slow and {peak} kB in the end"
    )
    .expect("stderr");
    assert!(order.open_most >= OPEN, "{order:?}");
    assert!(stops > 4 && order.stops >= stops && order.starts > OPEN, "{order:?}");
    assert_eq!(order.overtaken, 0, "{order:?}");
    assert!(late > 0 && none > 1 && again > 0, "{late} late, {none} none, {again} again");
    assert!(peak < PEAK, "{peak} kB");
    assert_eq!(account.count("abandoned"), 0, "{:?}", account.kinds);

    // Who knows nothing of all that, and looks at every call, finds nothing to do.
    let fresh = Site::new(&simulator, &simulator.api_url, &with(BOTH));
    let mut daemon = fresh.daemon();
    daemon.wait_for_message(&format!("is closed: {CALLS} conversations were judged"));
    fresh.ends_well(&mut daemon);
    assert_eq!(Account::of(&fresh.records()).decisions.len(), 0);
}

/// A daemon that three bursts have gone over: in each, every live call changes ten times at once.
struct Bursts {
    simulator: Simulator,
    site: Site,
    daemon: Process,
    address: String,
}

impl Bursts {
    fn over(arguments: &[&str], policy: &str) -> Self {
        let mut simulator = Simulator::start(arguments);
        let more = format!("[limits]\nrequests_per_minute = 60000\n{HTTP}{policy}");
        let site = Site::new(&simulator, &simulator.api_url, &more);
        let mut daemon = site.daemon();
        let address = health_address(&mut daemon);
        daemon.wait_for_message("is closed: ");
        for _ in 0..3 {
            simulator.process.wait_for("a burst", |line| line["detail"] == "EventBurst");
        }
        daemon.wait_for_message("confirmed");
        Self { simulator, site, daemon, address }
    }

    /// The log is whole, and nothing was shed.
    fn end_well(mut self) -> Account {
        self.site.ends_well(&mut self.daemon);
        let account = Account::of(&self.site.records());
        assert_eq!(account.count("dropped"), 0, "{:?}", account.kinds);
        account
    }
}

#[test]
fn ten_times_the_events_at_once_are_all_taken_in() {
    let traffic = ["--calls", "100", "--pace", "10", "--event-burst-every", "4s"];
    let mut bursts = Bursts::over(&traffic, SAMPLE_POLICY);
    let peak = bursts.daemon.memory("VmHWM");
    assert!(peak < 200_000, "{peak} kB");
    let summary = bursts.simulator.run_out(&bursts.address);
    // A burst keeps the daemon busy for a moment; no call is left wrong.
    assert_eq!((&summary["live"], &summary["live_wrong"]), (&0.into(), &0.into()), "{summary}");
    bursts.end_well();
}

#[test]
fn in_a_burst_of_events_none_is_lost_and_the_last_one_decides() {
    let calls = ["--calls", "60", "--in-progress", "60", "--talk", "3h", "--queue", "Support"];
    // Only after the last change of each burst a stop is demanded.
    let rule = "[[rule]]\nname = \"ninth\"\nattribute = { burst = \"9 *\" }\naction = \"stop\"\n";
    let bursts = Bursts::over(&[&calls[..], &["--event-burst-every", "8s"]].concat(), rule);
    until(&bursts.address, "all events are taken, and all calls paused", |view| {
        let calls = view["calls"].as_array().expect("a list");
        let events = view["counters"]["recwarden_events_total"].as_f64();
        let paused = calls.iter().filter(|call| call["observed"] == "paused").count();
        (calls.len(), paused) == (60, 60) && view["worklist"] == 0 && events >= Some(1_800.0)
    });
    let account = bursts.end_well();
    assert_eq!(account.count("gap.opened"), 1, "right by events alone, after the start: {:?}", account.kinds);
}

#[test]
fn a_simulator_with_more_callers_than_it_can_play_ends_when_it_is_told() {
    // Some fifty thousand changes a second, more than any machine plays.
    let mut simulator = Simulator::start(&["--calls", "4000", "--pace", "1000"]);
    for _ in 0..2_000 {
        simulator.process.wait_for("a call", |line| line["kind"] == "call");
    }
    let clock = Clock::start();
    let summary = simulator.summary();
    assert_ended_in_time(clock.now().mono.since_start());
    assert!(summary["calls"].as_u64() > Some(100), "{summary}");
}
