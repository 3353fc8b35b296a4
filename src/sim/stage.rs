//! The warden against the platform on one virtual clock: one thread, no real time, all chance from a seed.
//!
//! Between the two stands a network that takes its time, and behind the warden a journal in memory, kept as
//! the real one is: records are durable before anything else is done, a crash loses the rest, and the next
//! warden is recovered from the log alone. What is promised is checked while it runs, against the
//! platform's own truth.

mod network;
mod promise;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::audit::chain::Link;
use crate::audit::history::History;
use crate::audit::record::{self, Record};
use crate::model::ids::ConversationId;
use crate::model::time::{Mono, Now, Wall};
use crate::policy::decide::Policy;
use crate::policy::subject::Facts;
use crate::sim::channels;
use crate::sim::plan::Plan;
use crate::sim::platform::Platform;
use crate::sim::random::Chance;
use crate::warden::session::SocketId;
use crate::warden::{Input, Keeping, Output, RequestId, Settings, SocketOrder, Warden};
use crate::wire::reply::RawAnswer;
use crate::wire::request::Request;

/// Steps at one moment after which something turns in circles.
const STEPS_AT_ONCE: u32 = 20_000;
/// 2026-01-05T09:00:00Z, when every run begins.
const BEGIN: Wall = Wall::from_micros(1_767_603_600_000_000);

/// What a run is to be.
#[derive(Clone, Debug)]
pub struct Script {
    /// The platform, its calls and its faults.
    pub plan: Plan,
    /// The warden's settings.
    pub settings: Settings,
    /// The share of steps with a consequence at which the process dies.
    pub crashes: f64,
    /// How long faults last.
    pub rough: Duration,
    /// How long the calm after them lasts.
    pub calm: Duration,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Promises that were broken, a sentence each.
    pub findings: Vec<String>,
    /// What was counted, by name.
    pub counts: BTreeMap<&'static str, u64>,
    /// How much time passed on the stage.
    pub lasted: Duration,
}

/// Something on its way.
#[derive(Debug)]
enum Parcel {
    Opened(SocketId),
    Text(SocketId, String),
    Lost(SocketId),
    Request(RequestId, Request),
    Answer(RequestId, RawAnswer),
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Stage {
    platform: Platform,
    warden: Warden,
    policy: Policy,
    script: Script,
    chance: Chance,
    now: Now,
    token: String,
    link: Link,
    history: History,
    facts: BTreeMap<ConversationId, Facts>,
    lines: Vec<String>,
    /// Parcels by when they arrive, each with the life of the process that it belongs to.
    on_their_way: BTreeMap<(Mono, u64), (u32, Parcel)>,
    next_parcel: u64,
    life: u32,
    sockets: BTreeMap<SocketId, channels::SocketId>,
    orders: BTreeMap<RequestId, String>,
    sent: VecDeque<(Mono, promise::Trace)>,
    report: Report,
}

impl Stage {
    /// Everything stands ready at the beginning; the seed of the plan is that of all chance.
    pub fn new(script: Script, policy: Policy) -> Self {
        let now = Now { mono: Mono::default(), wall: BEGIN };
        let seed = script.plan.seed;
        let mut stage = Self {
            platform: Platform::new(script.plan.clone(), now),
            warden: Warden::new(script.settings.clone(), policy.clone(), seed, now, None),
            policy,
            chance: Chance::new(seed ^ 0x5ca1_ab1e),
            script,
            now,
            token: String::new(),
            link: Link::default(),
            history: History::default(),
            facts: BTreeMap::new(),
            lines: Vec::new(),
            on_their_way: BTreeMap::new(),
            next_parcel: 0,
            life: 0,
            sockets: BTreeMap::new(),
            orders: BTreeMap::new(),
            sent: VecDeque::new(),
            report: Report::default(),
        };
        stage.journal(vec![stage.started()]);
        stage
    }

    /// Runs to the end and reports.
    pub fn run(mut self) -> Report {
        let calm_from = self.now + self.script.rough;
        self.run_until(calm_from.mono);
        self.platform.calm();
        self.script.crashes = 0.0;
        let end = self.now.mono + self.script.calm;
        self.run_until(end);
        self.judge_the_end(calm_from.wall);
        self.report.lasted = self.now.mono.since_start();
        self.report
    }

    fn run_until(&mut self, end: Mono) {
        let mut at_once = 0;
        while let Some(next) = self.next_moment().filter(|next| *next <= end) {
            at_once = if next > self.now.mono { 0 } else { at_once + 1 };
            if at_once > STEPS_AT_ONCE {
                let why = self.warden.next_wakeup(self.now);
                self.finding(format!("it turns in circles, woken by {why:?}"));
                return;
            }
            self.move_to(next);
            self.step();
        }
        self.move_to(end);
    }

    fn move_to(&mut self, next: Mono) {
        self.now = self.now + next.since(self.now.mono);
    }

    fn next_moment(&self) -> Option<Mono> {
        let parcel = self.on_their_way.first_key_value().map(|((at, _), _)| *at);
        let woken = self.warden.next_wakeup(self.now).map(|(at, _)| at);
        let next = [parcel, woken, self.platform.next_wakeup()].into_iter().flatten().min()?;
        Some(next.max(self.now.mono))
    }

    fn step(&mut self) {
        self.platform.tick(self.now);
        self.collect_frames();
        match self.next_parcel_due() {
            Some(parcel) => self.deliver(parcel),
            None if self.warden.next_wakeup(self.now).is_some_and(|(at, _)| at <= self.now.mono) => {
                self.feed(Input::Timeout);
            }
            None => {}
        }
    }

    fn feed(&mut self, input: Input) {
        self.warden.handle(input, self.now);
        let mut records = Vec::new();
        let mut facts = Vec::new();
        let mut rest = Vec::new();
        while let Some(output) = self.warden.poll_output() {
            match output {
                Output::Record(record) => records.push(record),
                other @ (Output::Request(..) | Output::Socket(_)) => rest.push(other),
                Output::Facts(keeping) => facts.push(keeping),
                Output::Reply(..) | Output::Note(_) => {}
            }
        }
        let consequence = !records.is_empty() || !rest.is_empty();
        if consequence && self.chance.strikes(self.script.crashes) {
            let kept = self.chance.below(records.len() + 1);
            records.truncate(kept);
            self.journal(records);
            self.crash();
            return;
        }
        self.journal(records);
        facts.into_iter().for_each(|one| self.keep(one));
        for output in rest {
            match output {
                Output::Request(id, request) => self.send(id, request),
                Output::Socket(order) => self.order_socket(order),
                Output::Record(_) | Output::Facts(_) | Output::Reply(..) | Output::Note(_) => {}
            }
        }
    }

    fn order_socket(&mut self, order: SocketOrder) {
        match order {
            SocketOrder::Open(socket, channel) => {
                match self.platform.open_socket(channel.id.as_str(), self.now) {
                    Some(there) => {
                        self.sockets.insert(socket, there);
                        self.post(Parcel::Opened(socket), Duration::ZERO);
                    }
                    None => self.post(Parcel::Lost(socket), Duration::ZERO),
                }
            }
            SocketOrder::Send(socket, text) => {
                if let Some(there) = self.sockets.get(&socket) {
                    self.platform.socket_text(*there, text, self.now);
                }
            }
            SocketOrder::Close(socket) => {
                if let Some(there) = self.sockets.remove(&socket) {
                    self.platform.socket_gone(there, self.now);
                }
            }
        }
    }

    /// The process dies; what was durable is all that the next one has.
    fn crash(&mut self) {
        self.count("crashes");
        self.life += 1;
        for (_, there) in std::mem::take(&mut self.sockets) {
            self.platform.socket_gone(there, self.now);
        }
        self.orders.clear();
        // Of what the dead process sent, the log tells its orders alone.
        self.sent.retain(|(_, trace)| *trace == promise::Trace::Logged);
        let seed = self.chance.bits();
        let last = self.history.last();
        self.warden = Warden::new(self.script.settings.clone(), self.policy.clone(), seed, self.now, last);
        self.warden.recover(&self.history, self.now);
        for (id, facts) in &self.facts {
            self.warden.recover_facts(id, facts.clone());
        }
        self.journal(vec![self.started()]);
    }

    /// Stores facts as the real store does.
    fn keep(&mut self, keeping: Keeping) {
        match keeping {
            Keeping::Keep(id, facts) => drop(self.facts.insert(id, facts)),
            Keeping::Forget(id) => drop(self.facts.remove(&id)),
        }
    }

    fn started(&self) -> Record {
        Record::DaemonStarted(record::DaemonStarted {
            version: "stage".into(),
            epoch: 1,
            pid: None,
            dry_run: false,
            cut: None,
        })
    }

    /// Makes records durable, as lines of the chain.
    fn journal(&mut self, records: Vec<Record>) {
        for record in records {
            self.count(record.kind());
            match self.link.seal(self.now.wall, &record) {
                Ok(line) => self.lines.push(line),
                Err(error) => self.finding(error.to_string()),
            }
            if let Some(finding) = self.history.take(self.now.wall, &record) {
                self.finding(finding);
            }
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.report.counts.entry(what).or_default() += 1;
    }

    fn finding(&mut self, what: String) {
        let at = self.now.mono.since_start();
        self.report.findings.push(format!("after {at:?}: {what}"));
    }
}
