//! Runs for the stage: in calm, and with faults drawn from the seed.

use std::time::Duration;

use recwarden::policy::compile::Compiler;
use recwarden::policy::decide::Policy;
use recwarden::sim::faults::Faults;
use recwarden::sim::oracle::SAMPLE_POLICY;
use recwarden::sim::plan::Plan;
use recwarden::sim::random::Chance;
use recwarden::sim::stage::{Script, Stage};
use recwarden::warden::plan::Means;
use recwarden::warden::session::Redundancy;
use recwarden::warden::{Enforcement, Settings, allowance, directory, sight};

/// Requests a minute: above the platform's default since calls live faster than life here.
const REQUESTS_PER_MINUTE: u32 = 1500;

fn settings() -> Settings {
    Settings {
        means: Means::default(),
        confirm_within: Duration::from_secs(5),
        give_up_after: Duration::from_secs(900),
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
            discover_every: Duration::from_secs(60),
        },
        resync_every: Duration::from_secs(60),
        memory: 512 << 20,
        sight: sight::Settings::default(),
        directive_priority: 1000,
        max_changes_per_minute: 0,
        enforcement: Enforcement::Enforce,
    }
}

fn policy() -> Policy {
    let mut compiler = Compiler::default();
    let mistakes = compiler.add_file("sample", SAMPLE_POLICY);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    compiler.finish()
}

fn plan(seed: u64, faults: Faults) -> Plan {
    Plan { seed, calls: 6, pace: 6.0, requests_per_minute: REQUESTS_PER_MINUTE, faults, ..Plan::default() }
}

/// No faults.
pub(crate) fn calm(seed: u64) -> Stage {
    let script = Script {
        plan: plan(seed, Faults::default()),
        settings: settings(),
        crashes: 0.0,
        rough: Duration::ZERO,
        calm: Duration::from_secs(480),
    };
    Stage::new(script, policy())
}

/// Faults of a kind and strength that the seed says.
pub(crate) fn rough(seed: u64) -> Stage {
    let mut chance = Chance::new(seed);
    let mut every = |from: u64, to: u64| {
        let span = chance.span(Duration::from_secs(from), Duration::from_secs(to));
        chance.strikes(0.4).then_some(span)
    };
    let (drop_sockets_every, closing_every) = (every(20, 120), every(20, 120));
    let (burst_429_every, half_open_every) = (every(20, 90), every(60, 200));
    let (evict_every, revoke_tokens_every) = (every(60, 200), every(30, 120));
    let mut share = |most: f64| if chance.strikes(0.5) { chance.unit() * most } else { 0.0 };
    let faults = Faults {
        drop_sockets_every,
        closing_every,
        burst_429_every,
        half_open_every,
        evict_every,
        revoke_tokens_every,
        error_rate: share(0.2),
        hang: share(0.05),
        not_applied: share(0.2),
        duplicate_events: share(0.2),
        reorder_events: share(0.2),
        lose_events: share(0.1),
        ..Faults::default()
    };
    let crashes = share(0.005);
    let script = Script {
        plan: plan(seed, faults),
        settings: settings(),
        crashes,
        rough: Duration::from_secs(300),
        calm: Duration::from_secs(420),
    };
    Stage::new(script, policy())
}
