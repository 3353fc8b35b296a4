//! Runs the warden on the stage for as many seeds as wanted: `cargo run --release --example recwarden-sim --
//! --seeds 1000 --jobs 2`; one alone with `--seed 12` (`--short` where `cargo test` found it), telling all with
//! `--trace`, and saying with `--shrink` which faults it takes. Ends with 1 where a promise was broken.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

#[path = "../tests/simulation/cast.rs"]
mod cast;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cast::Kind;
use clap::Parser;
use recwarden::io::clock::Clock;
use recwarden::sim::faults::Faults;
use recwarden::sim::stage::{Mischief, Report, Script, Telling};

/// Seeded simulation of the warden against the platform, its faults, its disk, clocks and deaths.
#[derive(Parser)]
struct Options {
    /// How many seeds to run.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// This one alone.
    #[arg(long)]
    seed: Option<u64>,
    /// Only runs of this kind.
    #[arg(long)]
    kind: Option<Kind>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Tell all that happens.
    #[arg(long)]
    trace: bool,
    /// For a seed with findings, say which faults it does not need.
    #[arg(long)]
    shrink: bool,
    /// Runs are as short as `cargo test` plays them: its seeds fail here as there.
    #[arg(long)]
    short: bool,
    /// Runs are so many times as long.
    #[arg(long, default_value_t = 1)]
    longer: u32,
    /// Begin no further run after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
}

impl Options {
    /// All but those that play what others do at another length.
    fn kinds(&self) -> Vec<Kind> {
        let all = [
            Kind::Calm,
            Kind::Deadly,
            Kind::Rough,
            Kind::Lasting,
            Kind::Narrow,
            Kind::Scarce,
            Kind::Dark,
            Kind::Braked,
            Kind::Crowded,
            Kind::Divided,
        ];
        self.kind.map_or(all.to_vec(), |kind| vec![kind])
    }

    fn script(&self, kind: Kind, seed: u64) -> Script {
        let mut script = if self.short { kind.short(seed) } else { kind.script(seed) };
        script.rough *= self.longer;
        if script.rough.is_zero() {
            script.calm *= self.longer;
        }
        script.telling = if self.trace { Telling::Everything } else { Telling::Findings };
        script
    }
}

#[derive(Default)]
struct Sum {
    counts: BTreeMap<String, u64>,
    lasted: Duration,
    runs: u64,
    broken: u64,
}

impl Sum {
    fn add(&mut self, kind: Kind, seed: u64, report: Report) {
        self.lasted += report.lasted;
        self.runs += 1;
        self.broken += u64::from(!report.findings.is_empty());
        for (what, times) in report.counts {
            *self.counts.entry(what).or_default() += times;
        }
        report.trace.iter().for_each(|line| println!("{line}"));
        for finding in report.findings {
            println!("{kind:?} seed {seed}: {finding}");
        }
    }
}

/// One fault of a script, by name, and the script without it.
fn without_one(script: &Script) -> Vec<(&'static str, Script)> {
    type Cut = (&'static str, fn(&mut Faults, &mut Mischief));
    let cuts: [Cut; 28] = [
        ("drop_sockets", |faults, _| faults.drop_sockets_every = None),
        ("closing", |faults, _| faults.closing_every = None),
        ("burst_429", |faults, _| faults.burst_429_every = None),
        ("half_open", |faults, _| faults.half_open_every = None),
        ("evict", |faults, _| faults.evict_every = None),
        ("revoke_tokens", |faults, _| faults.revoke_tokens_every = None),
        ("failing_renewals", |faults, _| faults.failing_renewals = 0.0),
        ("error_rate", |faults, _| faults.error_rate = 0.0),
        ("hang", |faults, _| faults.hang = 0.0),
        ("lost", |faults, _| faults.lost = 0.0),
        ("not_applied", |faults, _| faults.not_applied = 0.0),
        ("forbidden", |faults, _| faults.forbidden = 0.0),
        ("readable_after", |faults, _| faults.readable_after = Duration::ZERO),
        ("late_orders", |faults, _| faults.late_orders = 0.0),
        ("duplicate_events", |faults, _| faults.duplicate_events = 0.0),
        ("reorder_events", |faults, _| faults.reorder_events = 0.0),
        ("lose_events", |faults, _| faults.lose_events = 0.0),
        ("outage", |faults, _| faults.outage_every = None),
        ("event_burst", |faults, _| faults.event_burst_every = None),
        ("crashes", |_, mischief| mischief.crashes = 0.0),
        ("slow", |_, mischief| mischief.slow = 0.0),
        ("back_after", |_, mischief| mischief.back_after = Duration::ZERO),
        ("letters", |_, mischief| mischief.letters_every = None),
        ("reload", |_, mischief| mischief.reload_every = None),
        ("jump", |_, mischief| mischief.jump_every = None),
        ("disk", |_, mischief| mischief.disk_every = None),
        ("queue", |_, mischief| mischief.queue_every = None),
        ("user", |_, mischief| mischief.user_every = None),
    ];
    let cut = |(name, cut): Cut| {
        let mut less = script.clone();
        cut(&mut less.plan.faults, &mut less.mischief);
        let same = less.plan.faults == script.plan.faults && less.mischief == script.mischief;
        (!same).then_some((name, less))
    };
    cuts.into_iter().filter_map(cut).collect()
}

/// Takes away each fault without which the findings stay.
fn shrink(mut script: Script) {
    script.telling = Telling::Findings;
    while let Some((name, less)) =
        without_one(&script).into_iter().find(|(_, less)| !cast::run(less.clone()).findings.is_empty())
    {
        println!("  does not need {name}");
        script = less;
    }
    let needed: Vec<&str> = without_one(&script).into_iter().map(|(name, _)| name).collect();
    println!("  needs {needed:?}: {:#?}", cast::run(script).findings);
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (from, count) = options.seed.map_or((options.from, options.seeds), |seed| (seed, 1));
    let (next, done) = (AtomicU64::new(from), Mutex::new(Sum::default()));
    let clock = Clock::start();
    let over = || options.seconds.is_some_and(|most| clock.now().mono.since_start().as_secs() >= most);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from.saturating_add(count) || over() {
                return;
            }
            for kind in options.kinds() {
                let report = cast::run(options.script(kind, seed));
                let broken = !report.findings.is_empty();
                if let Ok(mut sum) = done.lock() {
                    sum.add(kind, seed, report);
                }
                if broken && options.shrink {
                    shrink(options.script(kind, seed));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(work);
        }
    });
    let sum = done.into_inner().unwrap_or_default();
    println!(
        "{} runs, {:.1} simulated hours, {} runs with findings",
        sum.runs,
        sum.lasted.as_secs_f64() / 3600.0,
        sum.broken
    );
    sum.counts.iter().for_each(|(what, times)| println!("  {what:<48} {times}"));
    if sum.broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
