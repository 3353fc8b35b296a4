//! Make-before-break in the daemon itself: closing notices, tokens and channels that end, and the loss of one of two
//! channels, while calls change all the time. Each change is counted at the platform and at the daemon.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use std::io::Write;
use std::time::Duration;

use players::{
    HTTP, PATIENCE, Process, SAMPLE_POLICY, Site, health_address, metric, orders_beyond_the_log, until,
};
use recwarden::io::clock::Clock;
use recwarden::sim::account::Account;
use recwarden::sim::faults::Faults;
use recwarden::sim::happening::Happening;
use recwarden::sim::life::{Beat, Effect};
use recwarden::sim::org::Taping;
use recwarden::sim::plan::{Cast, Plan};
use recwarden::sim::server::{self, SimHandle};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::Receiver;

/// Calls that go on for as long as the test.
const CALLS: usize = 4;
/// All of them change so often, so that a change falls into each moment in which nobody would listen.
const CHANGE_EVERY: Duration = Duration::from_millis(20);
/// After so many changes of a call the policy demands the opposite.
const TURN_EVERY: usize = 40;
/// A socket is closed so long after its notice: a machine that is slower than this is none.
const NOTICE: Duration = Duration::from_secs(45);

/// What goes wrong while answers take so long that whoever closes before it opens misses much.
fn faults(faults: Faults) -> Faults {
    let latency = Some((Duration::from_millis(50), Duration::from_millis(150)));
    Faults { closing_notice: NOTICE, latency, ..faults }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A daemon, and the platform that it watches, whose calls are played by the test.
struct Stage {
    runtime: Runtime,
    simulator: SimHandle,
    happenings: Receiver<Happening>,
    /// What happened since the daemon knows every call.
    seen: Vec<Happening>,
    calls: Vec<String>,
    /// Changes that were played of each call.
    changes: usize,
    site: Site,
    daemon: Process,
    address: String,
}

impl Stage {
    fn of(faults: Faults, token_lifetime: Duration, redundancy: u8) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let cast = Cast { queues: vec![("Payments".to_owned(), Taping::Recorded)], ..Cast::default() };
        // Nobody calls but whom the test lets call.
        let plan =
            Plan { calls: 0, token_lifetime, cast, faults, requests_per_minute: 60_000, ..Plan::default() };
        let (simulator, happenings) = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
            server::start(listener, plan).expect("a simulator")
        });
        let talk = [Beat::CallIn, Beat::Enqueue(0), Beat::Ring, Beat::Answer];
        let begin = |_| {
            runtime.block_on(async {
                let id = simulator.begin_call(Vec::new()).await.expect("a call");
                for beat in &talk {
                    assert_eq!(simulator.play(&id, beat.clone()).await, Effect::Changed, "{beat:?}");
                }
                id
            })
        };
        let calls: Vec<String> = (0..CALLS).map(begin).collect();
        let more = format!(
            "[subscribe]\nredundancy = {redundancy}\n[limits]\nrequests_per_minute = 60000\n{HTTP}{SAMPLE_POLICY}"
        );
        let (id, secret) = (&simulator.client_id, &simulator.client_secret);
        let site = Site::with(&simulator.api_url, id, secret, &more);
        let mut daemon = site.daemon();
        let address = health_address(&mut daemon);
        daemon.wait_for_message(&format!("is closed: {CALLS} conversations were judged"));
        let mut stage = Self {
            runtime,
            simulator,
            happenings,
            seen: Vec::new(),
            calls,
            changes: 0,
            site,
            daemon,
            address,
        };
        // What happened before anybody listened was no event for anybody.
        stage.drain();
        stage.seen.retain(|one| one.kind != "call");
        stage
    }

    fn drain(&mut self) {
        while let Ok(happening) = self.happenings.try_recv() {
            self.seen.push(happening);
        }
    }

    /// How often this happened.
    fn count(&self, kind: &str, detail: &str) -> usize {
        self.seen.iter().filter(|one| one.kind == kind && one.detail.contains(detail)).count()
    }

    /// An attribute of all calls changes.
    fn sets(&self, key: &str, value: &str) {
        for id in &self.calls {
            self.runtime.block_on(self.simulator.play(id, Beat::Set(key.to_owned(), value.to_owned())));
        }
    }

    /// Lets all calls change until it is so.
    fn plays_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let clock = Clock::start();
        while !is_so(self) {
            self.changes += 1;
            self.sets("change", &self.changes.to_string());
            self.sets("pci", if (self.changes / TURN_EVERY).is_multiple_of(2) { "off" } else { "on" });
            std::thread::sleep(CHANGE_EVERY);
            self.drain();
            assert!(clock.now().mono.since_start() < PATIENCE, "not in time: {what}: {:?}", self.counts());
        }
    }

    /// Rotations by kind, for people.
    fn counts(&self) -> [(&'static str, usize); 7] {
        [
            ("changes", self.events()),
            ("notices", self.count("fault", "ClosingNotice")),
            ("revocations", self.count("fault", "RevokeTokens")),
            ("evictions", self.count("fault", "EvictChannel")),
            ("tokens", self.count("token", "issued")),
            ("channels", self.count("channel", "created")),
            ("sockets", self.count("socket", "opened")),
        ]
    }

    /// Events that went out since the daemon knew every call: one for each change of a call or its recording.
    fn events(&self) -> usize {
        let recording = self.count("recording", "") - self.count("recording", "changes nothing");
        self.count("call", "") + recording
    }

    /// Nothing changes any more: every call comes to be as the policy demands. That is a stop: what gives back a recording
    /// waits for half a minute for older orders, and channels would go on being used up.
    fn comes_to_rest(&mut self) {
        self.sets("pci", "on");
        let clock = Clock::start();
        loop {
            let stories = self.runtime.block_on(self.simulator.truth());
            let account = Account::of(&stories, &self.simulator.org, Clock::start().now().wall, &[]);
            if (account.live, account.live_wrong.len()) == (CALLS, 0) {
                break;
            }
            assert!(clock.now().mono.since_start() < PATIENCE, "still wrong: {:?}", account.live_wrong);
            std::thread::sleep(CHANGE_EVERY);
        }
        until(&self.address, "nothing is left to do", |view| {
            let decisions = view["decisions"].as_array().expect("a list");
            view["worklist"] == 0 && decisions.iter().all(|one| one["state"] != "open")
        });
    }

    /// Every change that the platform told was taken in.
    fn nothing_was_missed(&mut self) {
        let clock = Clock::start();
        loop {
            self.drain();
            let (told, taken) = (self.events(), metric::<usize>(&self.address, "recwarden_events_total"));
            if taken >= told {
                return;
            }
            let counts = self.counts();
            assert!(
                clock.now().mono.since_start() < seconds(100),
                "{taken} of {told} events were taken: {counts:?}"
            );
            std::thread::sleep(CHANGE_EVERY);
        }
    }

    /// The log is whole, and explains every order; its records.
    fn ends_well(&mut self, about: &str) -> Vec<Value> {
        self.site.ends_well(&mut self.daemon);
        self.drain();
        let records = self.site.records();
        let happened: Vec<Value> = self.seen.iter().map(Happening::to_json).collect();
        let (beyond, orders) = orders_beyond_the_log(&happened, &records);
        assert!(orders >= CALLS && beyond.is_empty(), "{orders} orders came, not in the log: {beyond:?}");
        writeln!(std::io::stderr(), "{about}: {:?}, {orders} orders", self.counts()).expect("stderr");
        records
    }
}

fn count(records: &[Value], kind: &str) -> usize {
    records.iter().filter(|record| record["kind"] == kind).count()
}

#[test]
fn closing_notices_and_new_tokens_miss_no_event_and_open_no_gap() {
    // A new token after half a minute, and as long again until the channels of the old one end; never twenty in that time.
    let notices = Faults { closing_every: Some(seconds(6)), ..Faults::default() };
    let mut stage = Stage::of(faults(notices), seconds(60), 1);
    stage.plays_until("a new token, and notices before and after it", |stage| {
        stage.count("fault", "ClosingNotice") >= 7 && stage.count("token", "issued") >= 2
    });
    let used = stage.count("channel", "created");
    stage.comes_to_rest();
    stage.nothing_was_missed();
    let records = stage.ends_well("one channel");
    assert_eq!(count(&records, "gap.opened"), 1, "the one at the start");
    assert!(used >= 6, "{used} channels");
}

#[test]
fn with_two_channels_one_may_go_deaf_amid_closing_notices() {
    // One goes deaf, and a second later both are to be closed; long before the next goes deaf both are new.
    let both =
        Faults { evict_every: Some(seconds(40)), closing_every: Some(seconds(41)), ..Faults::default() };
    let mut stage = Stage::of(faults(both), seconds(3600), 2);
    stage.plays_until("a channel that is cut off, and successors for both", |stage| {
        stage.count("fault", "EvictChannel") >= 1
            && stage.count("channel", "created") >= 4
            && stage.count("socket", "closed by the client") >= 2
    });
    stage.comes_to_rest();
    stage.nothing_was_missed();
    assert!(metric::<usize>(&stage.address, "recwarden_events_repeated_total") > 1_000, "both brought them");
    let records = stage.ends_well("two channels");
    assert_eq!(count(&records, "gap.opened"), 1, "the one at the start");
}

#[test]
fn what_revoked_tokens_take_with_them_is_made_good() {
    let revoked = Faults {
        revoke_tokens_every: Some(seconds(8)),
        closing_every: Some(seconds(5)),
        ..Faults::default()
    };
    let mut stage = Stage::of(faults(revoked), seconds(3600), 2);
    stage.plays_until("three revocations", |stage| stage.count("fault", "RevokeTokens") >= 3);
    stage.comes_to_rest();
    let records = stage.ends_well("revoked tokens");
    let (opened, closed) = (count(&records, "gap.opened"), count(&records, "gap.closed"));
    assert!(opened >= 2 && closed >= 2 && closed <= opened, "{opened} gaps opened, {closed} closed");
    assert!(stage.count("token", "issued") >= 3, "{:?}", stage.counts());
}
