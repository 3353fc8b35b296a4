//! Runs the warden on the stage for as many seeds as wanted: `cargo run --release --example recwarden-sim --
//! --seeds 1000`, or one alone with `--seed 12`. Ends with 1 where a promise was broken.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

#[path = "../tests/simulation/cast.rs"]
mod cast;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// Seeded simulation of the warden against the platform, its faults and crashes.
#[derive(Parser)]
struct Options {
    /// How many seeds to run, from 0 on.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// This one alone.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let seeds = options.seed.map_or(0..options.seeds, |seed| seed..seed.saturating_add(1));
    let (mut counts, mut lasted, mut broken) = (BTreeMap::<&str, u64>::new(), Duration::ZERO, 0_u64);
    for seed in seeds.clone() {
        for report in [cast::calm(seed).run(), cast::rough(seed).run()] {
            lasted += report.lasted;
            for (what, times) in report.counts {
                *counts.entry(what).or_default() += times;
            }
            broken += u64::from(!report.findings.is_empty());
            report.findings.iter().for_each(|finding| println!("seed {seed}: {finding}"));
        }
    }
    println!(
        "{} seeds, {:.1} simulated hours, {broken} runs with findings",
        seeds.count(),
        lasted.as_secs_f64() / 3600.0
    );
    counts.iter().for_each(|(what, times)| println!("  {what:<28} {times}"));
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
