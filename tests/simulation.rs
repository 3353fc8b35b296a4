//! The warden under one seeded simulator of platform, network, disk and clock, on virtual time. A failing seed
//! is printed; `cargo run --release --example recwarden-sim -- --seed N --kind KIND --trace` runs it alone and tells
//! all that happens, `--shrink` says which faults it takes.

#[path = "simulation/cast.rs"]
mod cast;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cast::Kind;
use recwarden::sim::stage::{Report, Script};

/// Seeds of one run of the test; the example runs as many as wanted.
const SEEDS: u64 = 1000;

/// A few seeds run long, some in calm or with deaths alone, and most with everything, briefly.
fn kind(seed: u64) -> Kind {
    match seed % 50 {
        0 => Kind::Rough,
        1..=5 => Kind::Calm,
        6..=8 => Kind::Deadly,
        _ => Kind::Brief,
    }
}

fn script(seed: u64) -> Script {
    let mut script = kind(seed).script(seed);
    if matches!(kind(seed), Kind::Calm | Kind::Deadly) {
        script.calm = Duration::from_secs(60);
    }
    script
}

fn run_all(seeds: std::ops::Range<u64>) -> Vec<(u64, Report)> {
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let work = || {
        let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds.end);
        std::iter::from_fn(take).map(|seed| (seed, cast::run(script(seed)))).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    })
}

#[test]
fn what_is_promised_holds_whatever_goes_wrong() {
    let reports = run_all(0..SEEDS);
    let broken: Vec<String> = reports
        .iter()
        .filter(|(_, report)| !report.findings.is_empty())
        .map(|(seed, report)| format!("{:?} seed {seed}: {:#?}", kind(*seed), report.findings))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    // A fault that no longer strikes would be a test that cannot fail.
    for fault in [
        "429 with Retry-After as a date",
        "429 with Retry-After in seconds",
        "429 without Retry-After",
        "5xx though served",
        "5xx unserved",
        "all sockets cut",
        "channel evicted",
        "clock set",
        "closing notice to all sockets",
        "disk does not sync",
        "disk full",
        "disk read-only",
        "event doubled",
        "event lost",
        "event re-ordered",
        "order accepted and not applied",
        "order applied late",
        "policy reloaded",
        "power lost",
        "process killed",
        "queue came or went",
        "request lost",
        "served and never answered",
        "socket half-open",
        "tokens revoked",
        "torn line cut off",
    ] {
        let name = format!("fault: {fault}");
        assert!(
            reports.iter().any(|(_, report)| report.counts.contains_key(&name)),
            "'{fault}' never struck"
        );
    }
}

#[test]
fn the_same_seed_makes_the_same_run() {
    assert_eq!(cast::run(cast::brief(7)), cast::run(cast::brief(7)));
}

/// The stage's wall clock stood still where two deadlines less than its microsecond apart took turns: these two
/// runs never ended.
#[test]
fn deadlines_less_than_a_microsecond_apart_come_to_an_end() {
    for seed in [477, 623] {
        assert_eq!(cast::run(cast::brief(seed)).findings, [""; 0], "brief seed {seed}");
    }
}

/// What the checks once took for a broken promise: an order whose decision was closed by what came in with it, a
/// caller's fourth stop that is told of as the others were, and an ad-hoc order for a call that was over.
#[test]
fn what_was_once_found_is_found_no_more() {
    for seed in [126, 135, 242, 369, 492, 499, 535, 763] {
        assert_eq!(cast::run(cast::brief(seed)).findings, [""; 0], "brief seed {seed}");
    }
}
