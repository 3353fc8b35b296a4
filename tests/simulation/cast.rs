//! Runs for the stage: in calm, with faults of every kind drawn from the seed, and with one kind alone (deaths,
//! outages, the brake, too little memory, few requests, divisions without a role), so that it can be told all along what
//! that allows.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use recwarden::audit::log::Rotation;
use recwarden::sim::charter::Charter;
use recwarden::sim::faults::{Faults, Outage, RetryAfter};
use recwarden::sim::plan::Plan;
use recwarden::sim::random::Chance;
use recwarden::sim::stage::{Deaths, Judged, Mischief, Report, Return, Script, Stage, Telling};
use recwarden::warden::plan::{Control, Means, StartFromNone, StopScope};
use recwarden::warden::session::Redundancy;
use recwarden::warden::sight::WhenBlind;
use recwarden::warden::{Enforcement, Settings, allowance, directory};

/// Requests a minute: above the platform's default since calls live faster than life here.
const REQUESTS_PER_MINUTE: u32 = 1500;

/// Log files change often here.
const ROTATION: Rotation = Rotation { every: Duration::from_secs(60), size: 48 << 10 };

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn settings() -> Settings {
    Settings {
        means: Means::default(),
        confirm_within: seconds(5),
        give_up_after: seconds(900),
        allowance: allowance::Settings {
            requests_per_minute: REQUESTS_PER_MINUTE,
            action_share: 0.8,
            max_in_flight: 8,
        },
        directory: directory::Settings {
            queues: vec!["*".into()],
            users: Vec::new(),
            topics: Vec::new(),
            redundancy: Redundancy::Single,
            discover_every: seconds(20),
        },
        resync_every: seconds(20),
        sight: recwarden::warden::sight::Settings { blind_after: seconds(30), when_blind: WhenBlind::Leave },
        memory: 512 << 20,
        directive_priority: 1000,
        max_changes_per_minute: 0,
        enforcement: Enforcement::Enforce,
    }
}

fn plan(seed: u64) -> Plan {
    let requests_per_minute = REQUESTS_PER_MINUTE;
    Plan { seed, calls: 4, pace: 6.0, requests_per_minute, ..Plan::default() }
}

fn script(seed: u64) -> Script {
    Script {
        plan: plan(seed),
        settings: settings(),
        charters: vec![Charter::sample()],
        mischief: Mischief::default(),
        rotation: ROTATION,
        rough: Duration::ZERO,
        calm: seconds(120),
        settles: seconds(120),
        judged: Judged::Settled,
        telling: Telling::Findings,
    }
}

/// Controls, policies and callers drawn from the seed.
fn drawn(seed: u64) -> (Script, Chance) {
    let mut chance = Chance::new(seed ^ 0x0ca5_7000);
    let mut script = script(seed);
    let control = match chance.below(8) {
        0 => Control::AdHoc,
        1 => Control::RecordingsAction,
        _ => Control::RecordingState,
    };
    let start_from_none = if chance.strikes(0.8) { StartFromNone::AdHoc } else { StartFromNone::Refuse };
    let stop_scope = if chance.strikes(0.2) { StopScope::All } else { StopScope::Governed };
    script.settings.means = Means { control, start_from_none, stop_scope };
    if chance.strikes(0.8) {
        script.charters = (0..3).map(|_| Charter::draw(&mut chance)).collect();
    }
    if chance.strikes(0.25) {
        script.settings.directory.redundancy = Redundancy::Double;
    }
    script.mischief.letters_every = chance.strikes(0.6).then_some(seconds(8));
    if chance.strikes(0.3) {
        script.plan.agent_pauses = 0.6;
    }
    if Chance::new(seed ^ 0x0a6e_4700).strikes(0.15) {
        // Events come by the topics of the agents too.
        script.settings.directory.users = (1..20).map(|n| format!("agent.{n:02}@example.com")).collect();
        script.mischief.user_every = Some(seconds(15));
    }
    (script, chance)
}

/// No faults: what policies, callers and agents do, alone.
pub(crate) fn calm(seed: u64) -> Script {
    let mut script = drawn(seed).0;
    script.plan.more_scenes = 8;
    Script { judged: Judged::Throughout, ..script }
}

/// Nothing goes wrong but the process, which dies again and again.
pub(crate) fn deadly(seed: u64) -> Script {
    let (mut script, _) = drawn(seed);
    script.judged = Judged::Throughout;
    script.mischief.deaths = Deaths::Throughout;
    script.mischief.crashes = 0.002;
    script.mischief.back_after = back_after(seed);
    script.plan.more_scenes = 8;
    script.calm = seconds(180);
    script
}

/// The next process begins at once, or as late as one that systemd starts.
fn back_after(seed: u64) -> Duration {
    let mut chance = Chance::new(seed ^ 0x0bac_4000);
    if chance.strikes(0.5) { chance.span(Duration::ZERO, seconds(5)) } else { Duration::ZERO }
}

/// Sockets, reads or everything is out of reach for a while, again and again.
pub(crate) fn dark(seed: u64) -> Script {
    let (mut script, mut chance) = drawn(seed);
    darken(&mut script, &mut chance);
    if Chance::new(seed ^ 0x0da2_4000).strikes(0.25) {
        script.plan.faults.outage = Outage::Queries;
    }
    script.plan.faults.outage_every = Some(chance.span(seconds(20), seconds(25)));
    // Calls that outlive an outage.
    script.plan.pace = 3.0;
    script.judged = Judged::Throughout;
    script.rough = seconds(60);
    script.calm = seconds(40);
    script
}

/// Sight that is given up soon, and outages that bring it about.
fn darken(script: &mut Script, chance: &mut Chance) {
    script.settings.sight = recwarden::warden::sight::Settings {
        blind_after: chance.span(seconds(2), seconds(5)),
        when_blind: if chance.strikes(0.6) { WhenBlind::Stop } else { WhenBlind::Leave },
    };
    let faults = &mut script.plan.faults;
    faults.outage_every = Some(chance.span(seconds(12), seconds(25)));
    faults.outage_for = chance.span(seconds(4), seconds(25));
    faults.outage = chance
        .pick(&[Outage::Sockets, Outage::Reads, Outage::Reads, Outage::Everything])
        .copied()
        .unwrap_or_default();
}

/// Some conversations are in divisions where the client has no role, and each can be read only a while after its begin.
pub(crate) fn divided(seed: u64) -> Script {
    let (mut script, mut chance) = drawn(seed);
    script.plan.faults.forbidden = 0.1 + 0.3 * chance.unit();
    script.plan.faults.readable_after = chance.span(Duration::ZERO, seconds(12));
    script.mischief.letters_every = Some(seconds(4));
    script.plan.calls = 6;
    script.judged = Judged::Throughout;
    script.rough = seconds(100);
    script.calm = seconds(60);
    script
}

/// The brake lets few changes go.
pub(crate) fn braked(seed: u64) -> Script {
    let (mut script, mut chance) = drawn(seed);
    script.settings.max_changes_per_minute = 1 + u32::try_from(chance.below(3)).unwrap_or_default();
    // Calls that outlive the brake's minute.
    (script.plan.calls, script.plan.pace) = (6, 3.0);
    script.judged = Judged::Throughout;
    script.calm = seconds(200);
    script
}

/// Fewer requests a minute than the calls need orders, and few at once; in some runs the process dies at first.
pub(crate) fn narrow(seed: u64) -> Script {
    let (mut script, mut chance) = drawn(seed);
    let most = 24 + u32::try_from(chance.below(17)).unwrap_or_default();
    script.plan.requests_per_minute = most;
    let allowance = &mut script.settings.allowance;
    (allowance.requests_per_minute, allowance.max_in_flight) = (most, 1 + chance.below(3));
    // A look at everybody takes longer than a minute's share.
    (script.settings.resync_every, script.settings.directory.discover_every) = (seconds(300), seconds(300));
    (script.plan.calls, script.plan.pace, script.plan.agent_pauses) = (20, 4.0, 0.0);
    script.mischief.crashes = if chance.strikes(0.3) { 0.01 } else { 0.0 };
    (script.rough, script.settles, script.calm) = (seconds(20), seconds(65), seconds(160));
    script
}

/// Requests are few enough that the rate is used up now and then, whatever goes wrong meanwhile. How soon a call is as
/// demanded is told where nothing else goes wrong (`narrow`).
pub(crate) fn scarce(seed: u64) -> Script {
    let mut script = unstrained(seed);
    let most = 100 + u32::try_from(Chance::new(seed ^ 0x05ca_4000).below(60)).unwrap_or_default();
    script.plan.requests_per_minute = most;
    script.settings.allowance.requests_per_minute = most;
    (script.plan.calls, script.plan.pace) = (24, 6.0);
    script.mischief.back_after = back_after(seed);
    (script.rough, script.calm) = (seconds(120), seconds(20));
    script.settles = script.calm + seconds(1);
    script
}

/// More calls, and bursts of their events, than the memory has room for.
pub(crate) fn crowded(seed: u64) -> Script {
    let (mut script, mut chance) = drawn(seed);
    crowd(&mut script, &mut chance);
    // In some runs nothing but what follows the shedding itself reads what was missed.
    script.settings.resync_every = if chance.strikes(0.5) { seconds(300) } else { seconds(20) };
    // What comes while the process waits for its disk has to wait too.
    script.mischief.disk_every = Some(chance.span(seconds(8), seconds(15)));
    (script.plan.calls, script.plan.pace) = (10, 2.5);
    script.judged = Judged::Throughout;
    script.rough = seconds(50);
    script.calm = seconds(30);
    script
}

fn crowd(script: &mut Script, chance: &mut Chance) {
    script.settings.memory = (40 + chance.below(60) as u64) << 10;
    script.plan.faults.event_burst_every = Some(chance.span(seconds(8), seconds(20)));
}

/// Bounds of the settings that are narrow enough to matter, each in a share of the runs, and what brings them about.
fn strain(script: &mut Script, seed: u64) {
    let mut chance = Chance::new(seed ^ 0x57a1_4000);
    if chance.strikes(0.25) {
        darken(script, &mut chance);
    }
    if chance.strikes(0.15) {
        script.settings.max_changes_per_minute = 1 + u32::try_from(chance.below(4)).unwrap_or_default();
    }
    if chance.strikes(0.15) {
        crowd(script, &mut chance);
    }
    script.mischief.back_after = back_after(seed);
    let mut chance = Chance::new(seed ^ 0xd171_4000);
    if chance.strikes(0.2) {
        script.plan.faults.forbidden = 0.3 * chance.unit();
        script.plan.faults.readable_after = chance.span(Duration::ZERO, seconds(12));
    }
}

/// Faults of a kind and strength that the seed says, and in some runs narrow bounds too.
pub(crate) fn rough(seed: u64) -> Script {
    let mut script = unstrained(seed);
    strain(&mut script, seed);
    let mut chance = Chance::new(seed ^ 0x10c1_4000);
    if chance.strikes(0.05) {
        // Renewed at half its life, and tried again every ten seconds, a token ends before the next one is had.
        script.plan.token_lifetime = chance.span(seconds(16), seconds(24));
        script.plan.faults.failing_renewals = 0.9;
    }
    if Chance::new(seed ^ 0x90e0_4021).strikes(0.75) {
        script.mischief.queues_return = Return::InCalm;
    }
    script
}

/// Faults of a kind and strength that the seed says.
fn unstrained(seed: u64) -> Script {
    let (mut script, mut chance) = drawn(seed);
    let mut every = |from: u64, to: u64| {
        let span = chance.span(seconds(from), seconds(to));
        chance.strikes(0.4).then_some(span)
    };
    let (drop_sockets_every, closing_every) = (every(15, 60), every(15, 60));
    let (burst_429_every, half_open_every) = (every(15, 60), every(20, 60));
    let (evict_every, revoke_tokens_every) = (every(20, 60), every(15, 60));
    script.mischief.reload_every = every(10, 40);
    script.mischief.disk_every = every(10, 40);
    script.mischief.queue_every = every(10, 30);
    script.mischief.jump_every = every(10, 40);
    let token_lifetime = every(30, 90);
    let channel_lifetime = every(40, 120);
    let mut share = |most: f64| if chance.strikes(0.5) { chance.unit() * most } else { 0.0 };
    let (error_rate, hang, lost) = (share(0.2), share(0.05), share(0.05));
    let (not_applied, late_orders) = (share(0.2), share(0.1));
    let (duplicate_events, reorder_events, lose_events) = (share(0.2), share(0.2), share(0.1));
    script.mischief.crashes = share(0.01);
    let retry_after = [RetryAfter::Sent, RetryAfter::Omitted, RetryAfter::Date];
    let retry_after = chance.pick(&retry_after).copied().unwrap_or_default();
    // A date is read against a clock that is set: by an hour, every wait would be the longest one.
    let jump_by = if retry_after == RetryAfter::Date { seconds(20) } else { seconds(3600) };
    script.mischief.jump_by = if script.mischief.jump_every.is_some() { jump_by } else { Duration::ZERO };
    script.plan.token_lifetime = token_lifetime.unwrap_or(script.plan.token_lifetime);
    script.plan.channel_lifetime = channel_lifetime.unwrap_or(script.plan.channel_lifetime);
    script.plan.faults = Faults {
        drop_sockets_every,
        closing_every,
        closing_notice: seconds(10),
        burst_429_every,
        half_open_every,
        evict_every,
        revoke_tokens_every,
        retry_after,
        error_rate,
        hang,
        lost,
        not_applied,
        late_orders,
        duplicate_events,
        reorder_events,
        lose_events,
        ..Faults::default()
    };
    let mut chance = Chance::new(seed ^ 0x0510_4000);
    if chance.strikes(0.3) {
        script.mischief.slow = 0.02 + 0.3 * chance.unit();
    }
    script.rough = seconds(60);
    script.calm = seconds(150);
    script
}

/// Days instead of minutes: few calls at a slow pace, seldom a look for new queues or a resync, and of each fault one in
/// some hours, so that what only time brings about (a token or a channel a day, a file of the log a day,
/// something that grows) comes about too.
pub(crate) fn long(seed: u64) -> Script {
    /// So much longer is it from one fault to the next.
    const STRETCH: u32 = 240;
    const HOUR: Duration = seconds(3600);
    let mut script = unstrained(seed);
    if script.plan.token_lifetime < HOUR {
        script.plan.token_lifetime *= STRETCH;
    }
    if script.plan.channel_lifetime < HOUR {
        script.plan.channel_lifetime *= STRETCH;
    }
    let (faults, mischief) = (&mut script.plan.faults, &mut script.mischief);
    for every in [
        &mut faults.drop_sockets_every,
        &mut faults.closing_every,
        &mut faults.burst_429_every,
        &mut faults.half_open_every,
        &mut faults.evict_every,
        &mut faults.revoke_tokens_every,
        &mut mischief.letters_every,
        &mut mischief.reload_every,
        &mut mischief.disk_every,
        &mut mischief.queue_every,
        &mut mischief.user_every,
        &mut mischief.jump_every,
    ] {
        *every = every.map(|every| every * STRETCH);
    }
    (faults.jitter, faults.closing_notice) = (0.9, seconds(60));
    // Who began when is told by the platform's clock: where the host's is wrong by more than a call lasts, a deaf
    // subscription is noticed only by calls that last longer.
    mischief.jump_by = mischief.jump_by.min(seconds(60));
    mischief.crashes /= 4.0;
    (script.plan.calls, script.plan.pace, script.plan.requests_per_minute) = (1, 0.1, 300);
    // Calls of some hours, so that they outlive what the faults leave behind.
    script.plan.more_scenes = 20;
    script.settings.allowance.requests_per_minute = 300;
    script.settings.directory.discover_every = seconds(300);
    script.settings.resync_every = seconds(1800);
    script.rotation = Rotation { every: HOUR * 24, size: 256 << 20 };
    script.rough = HOUR * 24 * 7;
    // A deaf subscription is noticed by a look that shows a change (PRODUCT.md 8), which a single call may hide from some.
    script.settles = if script.plan.faults.evict_every.is_some() { HOUR * 3 } else { HOUR };
    script.calm = script.settles + HOUR * 2;
    script
}

/// Rough runs with calls that outlive the faults and all that these leave behind, and change all along: so that what a
/// fault did to a call is seen on that call.
pub(crate) fn lasting(seed: u64) -> Script {
    let mut script = rough(seed);
    (script.plan.calls, script.plan.more_scenes) = (2, 30);
    script.rough = seconds(30);
    script.plan.faults.reorder_by = seconds(4);
    // What is lost without a word, be it a socket or an eviction, takes longest to be noticed.
    let faults = &script.plan.faults;
    let silent = faults.half_open_every.is_some() || faults.evict_every.is_some();
    script.settles = seconds(if silent { 85 } else { 60 });
    script.calm = script.settles + seconds(45);
    script
}

/// Rough runs, short and with fewer calls: for many seeds in little time.
pub(crate) fn brief(seed: u64) -> Script {
    briefly(rough(seed))
}

/// The same with wide bounds, as seeds were played that once found something.
fn plain(seed: u64) -> Script {
    briefly(unstrained(seed))
}

fn briefly(mut script: Script) -> Script {
    script.plan.calls = 2;
    script.rough = seconds(30);
    script.settles = seconds(85);
    script.calm = seconds(105);
    script
}

/// A kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Calm,
    Deadly,
    Rough,
    Brief,
    Plain,
    Dark,
    Braked,
    Crowded,
    Divided,
    Lasting,
    Narrow,
    Scarce,
    Long,
}

impl Kind {
    pub(crate) fn script(self, seed: u64) -> Script {
        match self {
            Self::Calm => calm(seed),
            Self::Deadly => deadly(seed),
            Self::Rough => rough(seed),
            Self::Brief => brief(seed),
            Self::Plain => plain(seed),
            Self::Dark => dark(seed),
            Self::Braked => braked(seed),
            Self::Crowded => crowded(seed),
            Self::Divided => divided(seed),
            Self::Lasting => lasting(seed),
            Self::Narrow => narrow(seed),
            Self::Scarce => scarce(seed),
            Self::Long => long(seed),
        }
    }

    /// The same, so much shorter that a thousand take well under a minute.
    pub(crate) fn short(self, seed: u64) -> Script {
        let mut script = self.script(seed);
        match self {
            Self::Calm | Self::Deadly => script.calm = seconds(55),
            Self::Braked => script.calm = seconds(130),
            Self::Divided => (script.rough, script.calm) = (seconds(50), seconds(40)),
            Self::Crowded => (script.rough, script.calm) = (seconds(30), seconds(25)),
            Self::Narrow => script.calm = seconds(90),
            Self::Lasting => script.calm = script.settles + seconds(18),
            Self::Brief => script.calm = script.settles + seconds(14),
            Self::Rough => script.calm = script.settles + seconds(20),
            Self::Dark | Self::Plain | Self::Scarce | Self::Long => {}
        }
        script
    }
}

/// Runs a script; one that cannot begin, or panics, is a finding too.
pub(crate) fn run(script: Script) -> Report {
    let found = |what: String| Report { findings: vec![what], ..Report::default() };
    let play = || match Stage::new(script) {
        Ok(stage) => stage.run(),
        Err(error) => found(error),
    };
    std::panic::catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let why = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word");
        found(format!("it panicked: {why}"))
    })
}
