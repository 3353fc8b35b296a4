//! The warden against the platform on one virtual clock: one thread, no real time, all chance from a seed.
//!
//! Between the two stands a network that takes its time, and behind the warden the real log on a disk that may
//! tear, lose, fill up and fail. A crash leaves what the disk kept, and the next warden is recovered from that
//! alone. Around them others give orders, push facts, reload the policy and set clocks. What is promised is
//! checked while it runs, against the platform's own truth.

mod bounds;
mod count;
mod dark;
mod deeds;
mod gaps;
mod inlet;
mod judge;
mod ledger;
mod looks;
mod network;
mod others;
mod promise;
mod restraint;
mod script;
mod turn;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::audit::log::Log;
use crate::model::ids::ConversationId;
use crate::model::time::{Mono, Now, Wall};
use crate::policy::decide::Policy;
use crate::policy::subject::Facts;
use crate::sim::agenda::Agenda;
use crate::sim::channels;
use crate::sim::charter::Charter;
use crate::sim::demand::Word;
use crate::sim::disk::SimDisk;
use crate::sim::platform::{Platform, TrueStory};
use crate::sim::random::Chance;
use crate::warden::session::SocketId;
use crate::warden::{Input, Output, RequestId, SocketOrder, Ticket, Warden};
use crate::wire::reply::RawAnswer;
use crate::wire::request::Request;
use others::Visit;
pub use others::{Deaths, Mischief, Return};
pub use script::{Heard, Judged, Push, Report, Script, Telling};

/// Steps at one moment after which something turns in circles.
const STEPS_AT_ONCE: u32 = 20_000;
/// Events taken in one turn before their records are made durable together, as the daemon does.
const EVENTS_PER_TURN: usize = 64;
/// 2026-01-05T09:00:00Z, when every run begins.
pub const BEGIN: Wall = Wall::from_micros(1_767_603_600_000_000);

/// Something on its way.
#[derive(Debug)]
enum Parcel {
    Opened(SocketId),
    Text(SocketId, String),
    Shed(SocketId),
    Lost(SocketId),
    Answer(RequestId, RawAnswer),
    Letter(String, Word),
    Token,
}

/// Outputs that wait until the log can be written again.
#[derive(Debug)]
struct Stalled {
    since: Mono,
    retry: Mono,
    rest: Vec<Output>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Stage {
    platform: Platform,
    warden: Warden,
    policies: Vec<Policy>,
    /// Which policies were in force, each since when.
    charters: Vec<(Wall, Charter)>,
    policy: usize,
    script: Script,
    chance: Chance,
    now: Now,
    /// By how many microseconds the host's wall clock is wrong.
    skew: i64,
    token: String,
    /// When the next token is fetched, before this one ends.
    renew_at: Option<Mono>,
    awaited: count::Awaited,
    log: Log<SimDisk>,
    /// Facts as their store has them, durable at once.
    facts: BTreeMap<ConversationId, Facts>,
    stalled: Option<Stalled>,
    /// What an outage of the log leaves to be told before anything else.
    left_over: Option<ledger::LeftOver>,
    /// Where no process is there.
    down: Option<ledger::Down>,
    /// Turns of all processes.
    turns: u64,
    /// Until when the process is busy with its disk.
    busy_until: Mono,
    visits: Agenda<Visit>,
    /// Parcels by when they arrive, each with the life of the process that it belongs to.
    on_their_way: BTreeMap<(Mono, u64), (u32, Parcel)>,
    /// Requests by when they reach the platform.
    requests: BTreeMap<(Mono, u64), (u32, RequestId, Request)>,
    next_parcel: u64,
    life: u32,
    sockets: BTreeMap<SocketId, channels::SocketId>,
    orders: BTreeMap<RequestId, String>,
    callers: BTreeMap<Ticket, (String, Word)>,
    next_ticket: u64,
    /// What the warden took from others, by conversation.
    words: BTreeMap<String, Vec<(Wall, Word)>>,
    blind: Vec<(Wall, Wall)>,
    inlet: inlet::Inlet,
    restraint: restraint::Restraint,
    deeds: deeds::Deeds,
    gaps: gaps::Gaps,
    bounds: bounds::Bounds,
    turn: turn::Turn,
    looks: looks::Looks,
    sent: VecDeque<(Mono, promise::Trace)>,
    watch: promise::Watch,
    report: Report,
    pushes: VecDeque<Push>,
}

impl Stage {
    /// Everything stands ready at the beginning; the seed of the plan is that of all chance.
    ///
    /// # Errors
    /// Where a policy does not compile, or the disk cannot be opened.
    pub fn new(script: Script) -> Result<Self, String> {
        let policies: Vec<Policy> =
            script.charters.iter().map(Charter::policy).collect::<Result<_, String>>()?;
        Self::of(script, policies)
    }

    /// The same with policies of somebody else's instead of those that the charters stand for; the end cannot be
    /// judged then.
    ///
    /// # Errors
    /// Where there is no policy, or the disk does not open.
    pub fn of(script: Script, policies: Vec<Policy>) -> Result<Self, String> {
        let now = Now { mono: Mono::default(), wall: BEGIN };
        let seed = script.plan.seed;
        let charter = script.charters.first().cloned().ok_or("a policy is needed")?;
        let policy = policies.first().cloned().ok_or("a policy is needed")?;
        let opened = Log::open(SimDisk::new(seed ^ 0xd15c), script.rotation);
        let (log, _) = opened.map_err(|error| error.to_string())?;
        let mut stage = Self {
            platform: Platform::new(script.plan.clone(), now),
            warden: Warden::new(script.settings.clone(), policy, seed, now),
            policies,
            charters: vec![(BEGIN, charter)],
            policy: 0,
            chance: Chance::new(seed ^ 0x5ca1_ab1e),
            script,
            now,
            skew: 0,
            token: String::new(),
            renew_at: None,
            awaited: count::Awaited::default(),
            log,
            facts: BTreeMap::new(),
            stalled: None,
            left_over: None,
            down: None,
            turns: 0,
            busy_until: Mono::default(),
            visits: Agenda::default(),
            on_their_way: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_parcel: 0,
            life: 0,
            sockets: BTreeMap::new(),
            orders: BTreeMap::new(),
            callers: BTreeMap::new(),
            next_ticket: 0,
            words: BTreeMap::new(),
            blind: Vec::new(),
            inlet: inlet::Inlet::default(),
            restraint: restraint::Restraint::default(),
            deeds: deeds::Deeds::default(),
            gaps: gaps::Gaps::default(),
            bounds: bounds::Bounds::default(),
            turn: turn::Turn::default(),
            looks: looks::Looks::default(),
            sent: VecDeque::new(),
            watch: promise::Watch::default(),
            report: Report::default(),
            pushes: VecDeque::new(),
        };
        stage.expect_visits();
        stage.begin_life(None);
        Ok(stage)
    }

    /// Facts that another system pushes, by the clock of the run.
    pub fn pushing(mut self, pushes: Vec<Push>) -> Self {
        self.pushes = pushes.into();
        self
    }

    /// Runs to the end, and tells how every call really was; nothing is judged.
    pub fn tell_truth(mut self) -> Vec<TrueStory> {
        self.play();
        self.platform.truth().collect()
    }

    /// Runs to the end and reports.
    pub fn run(mut self) -> Report {
        let calm_from = self.play();
        self.judge_the_end(calm_from.wall);
        self.count_the_missed();
        for (what, times) in self.platform.faults_struck() {
            *self.report.counts.entry(format!("fault: {what}")).or_default() += times;
        }
        self.report.lasted = self.now.mono.since_start();
        self.report
    }

    /// The rough part and the calm; answers when the calm began.
    fn play(&mut self) -> Now {
        let calm_from = self.now + self.script.rough;
        self.run_until(calm_from.mono);
        self.calm();
        let end = self.now.mono + self.script.calm;
        self.run_until(end);
        // Whoever looks at the end asks a process that is there.
        self.come_back();
        calm_from
    }

    fn run_until(&mut self, end: Mono) {
        let mut at_once = 0;
        while let Some(next) = self.next_moment().filter(|next| *next <= end) {
            at_once = if next > self.now.mono { 0 } else { at_once + 1 };
            if at_once > STEPS_AT_ONCE {
                let why = self.warden.next_wakeup(self.seen());
                self.finding(format!("it turns in circles, woken by {why:?}"));
                return;
            }
            self.move_to(next);
            self.step();
            if self.watch.goes == promise::Goes::InCircles {
                return;
            }
        }
        self.move_to(end);
    }

    /// The wall follows from the other clock: by steps of less than its microsecond it would stand still.
    fn move_to(&mut self, next: Mono) {
        self.count_unheard(next);
        self.now = Now { mono: next, wall: BEGIN + next.since_start() };
    }

    /// The time as the warden's host has it.
    fn seen(&self) -> Now {
        let wall = Wall::from_micros(self.now.wall.as_micros().saturating_add(self.skew));
        Now { mono: self.now.mono, wall }
    }

    fn next_moment(&self) -> Option<Mono> {
        let parcel = self.on_their_way.first_key_value().map(|((at, _), _)| *at);
        let woken = self.warden.next_wakeup(self.seen()).map(|(at, _)| at);
        let process = match (&self.down, &self.stalled) {
            (Some(down), _) => Some(down.until),
            (None, Some(stalled)) => Some(stalled.retry),
            (None, None) => {
                let resumed = self.left_over.as_ref().map(|_| self.now.mono);
                parcel.into_iter().chain(woken).chain(resumed).min().map(|at| at.max(self.busy_until))
            }
        };
        let request = self.requests.first_key_value().map(|((at, _), _)| *at);
        let token = self.renew_at;
        let pushed = self.pushes.front().map(|push| push.at);
        let next = [process, request, token, pushed, self.visits.next_due(), self.platform.next_wakeup()];
        let next = next.into_iter().flatten().min()?;
        Some(next.max(self.now.mono))
    }

    fn step(&mut self) {
        self.platform.tick(self.now);
        self.serve_requests();
        self.tell_happenings();
        self.collect_frames();
        self.collect_issued();
        self.keep_token_fresh();
        while let Some((_, visit)) = self.visits.take_due(self.now.mono) {
            self.visit(visit);
        }
        if self.down.as_ref().is_some_and(|down| down.until <= self.now.mono) {
            self.come_back();
        }
        self.push_facts();
        if self.down.is_some() {
            return self.collect_frames();
        }
        if self.stalled.is_some() {
            self.try_again();
        } else if self.busy_until <= self.now.mono {
            self.turn();
        }
        // What the platform answers at once is on its way from this moment on.
        self.collect_frames();
        self.look_for_roomless();
        self.look_for_unread();
    }

    /// Takes what is there in, up to a bound, and then performs what it led to.
    fn turn(&mut self) {
        let mut outputs = Vec::new();
        let mut taken = self.resume(&mut outputs);
        while taken < EVENTS_PER_TURN
            && let Some((at, parcel)) = self.next_parcel_due()
        {
            taken += 1;
            if let Some(input) = self.unpack(parcel, at) {
                self.handle(input, &mut outputs);
            }
        }
        if taken > 0 {
            self.watch.woken = 0;
        } else if self.warden.next_wakeup(self.seen()).is_some_and(|(at, _)| at <= self.now.mono) {
            self.watch_wakeups();
            self.handle(Input::Timeout, &mut outputs);
        }
        self.perform(outputs);
    }

    fn handle(&mut self, input: Input, outputs: &mut Vec<Output>) {
        self.tell(|| format!("> {input:?}"));
        let (expected, shed) = (self.expected_of(&input), self.shed_so_far());
        let taken = self.taken_so_far();
        self.note_heard(&input);
        self.warden.handle(input, self.seen());
        self.count_taken(&taken);
        self.watch_intake(&expected, shed);
        while let Some(output) = self.warden.poll_output() {
            if let Output::Record(record) = &output {
                self.watch_gaps(record);
            }
            outputs.push(output);
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
                self.note_silenced(socket);
                if let Some(there) = self.sockets.remove(&socket) {
                    self.platform.socket_gone(there, self.now);
                }
            }
        }
    }

    fn count(&mut self, what: &str) {
        *self.report.counts.entry(what.to_owned()).or_default() += 1;
    }

    fn finding(&mut self, what: String) {
        let at = self.now.mono.since_start();
        self.tell(|| format!("! {what}"));
        self.report.findings.push(format!("after {at:?}: {what}"));
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.script.telling == Telling::Everything {
            let at = self.now.mono.since_start().as_secs_f64();
            self.report.trace.push(format!("{at:10.3} {}", what()));
        }
    }

    fn tell_happenings(&mut self) {
        while let Some(happening) = self.platform.poll_happening() {
            self.tell(|| format!("= {} {} {}", happening.kind, happening.subject, happening.detail));
        }
    }
}
