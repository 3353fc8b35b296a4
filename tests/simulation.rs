//! The warden under one seeded simulator of platform, network and crashes, on virtual time. A failing seed
//! is printed; `cargo run --release --example recwarden-sim -- --seed N` runs it alone.

#[path = "simulation/cast.rs"]
mod cast;

/// Seeds of one run of the test; the example runs as many as wanted.
const SEEDS: u64 = 20;

#[test]
fn what_is_promised_holds_whatever_goes_wrong() {
    let broken: Vec<String> = (0..SEEDS)
        .filter_map(|seed| {
            let report = cast::rough(seed).run();
            (!report.findings.is_empty()).then(|| format!("seed {seed}: {:#?}", report.findings))
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn in_calm_nothing_is_wrong_for_longer_than_the_platform_takes() {
    for seed in 0..10 {
        let report = cast::calm(seed).run();
        assert_eq!(report.findings, Vec::<String>::new(), "seed {seed}");
        assert!(
            report.counts.get("confirmed").is_some_and(|confirmed| *confirmed > 0),
            "{:?}",
            report.counts
        );
    }
}

#[test]
fn the_same_seed_makes_the_same_run() {
    assert_eq!(cast::rough(7).run(), cast::rough(7).run());
}
