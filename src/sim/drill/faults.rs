//! The kinds of misfortune of a drill.

use std::time::Duration;

use crate::sim::faults::Faults;

/// One kind.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What it is called.
    pub name: &'static str,
    /// What happens, in a few words.
    pub what: &'static str,
    /// The share of steps with a consequence at which the daemon dies and is started again.
    pub(super) crashes: f64,
    /// How long it takes to be back then.
    pub back_after: Duration,
    change: fn(&mut Faults),
}

impl Fault {
    pub(super) fn faults(&self) -> Faults {
        let mut faults = Faults::default();
        (self.change)(&mut faults);
        faults
    }
}

const fn fault(name: &'static str, what: &'static str, change: fn(&mut Faults)) -> Fault {
    Fault { name, what, crashes: 0.0, back_after: Duration::ZERO, change }
}

const SECOND: Duration = Duration::from_secs(1);

/// systemd waits for so long before it starts a daemon that died again (`RestartSec` of the unit file).
pub const STARTED_AGAIN_AFTER: Duration = SECOND;
/// The program takes so long from there to its first request: it reads the configuration, the rules, the facts and the
/// last file of the log. Some thousand records take far less, a full file of a busy centre about as long.
pub const STARTS_WITHIN: Duration = Duration::from_secs(2);

fn every(seconds: u32) -> Option<Duration> {
    Some(SECOND * seconds)
}

/// All kinds, the calm first.
pub const CATALOGUE: [Fault; 15] = [
    fault("none", "nothing goes wrong", |_| {}),
    fault("429-storm", "every 30 s all requests are refused for 10 s", |faults| {
        faults.burst_429_every = every(30);
        faults.burst_429_for = SECOND * 10;
    }),
    fault("5xx", "30 % of requests are answered by 500, 503 or 504", |faults| faults.error_rate = 0.3),
    fault("no-answer", "15 % of requests are never answered", |faults| faults.hang = 0.15),
    fault("lost-requests", "15 % of requests never arrive", |faults| faults.lost = 0.15),
    fault("slow-answers", "each answer takes 2 s to 6 s", |faults| {
        faults.latency = Some((SECOND * 2, SECOND * 6));
    }),
    fault("not-applied", "30 % of orders are accepted and never carried out", |faults| {
        faults.not_applied = 0.3;
    }),
    fault("re-ordering", "30 % of events come up to 5 s late", |faults| {
        faults.reorder_events = 0.3;
        faults.reorder_by = SECOND * 5;
    }),
    fault("lost-events", "20 % of events never come", |faults| faults.lose_events = 0.2),
    fault("doubled-events", "half of the events come twice", |faults| faults.duplicate_events = 0.5),
    fault("dropped-sockets", "every minute all sockets are cut", |faults| {
        faults.drop_sockets_every = every(60);
    }),
    fault("half-open-sockets", "every 90 s a socket goes silent", |faults| {
        faults.half_open_every = every(90)
    }),
    fault("evicted-channel", "every 2 min a channel loses its events unsaid", |faults| {
        faults.evict_every = every(120);
    }),
    fault("token-revoked", "every 30 s all tokens are revoked", |faults| {
        faults.revoke_tokens_every = every(30);
    }),
    Fault {
        crashes: 0.05,
        back_after: STARTED_AGAIN_AFTER.saturating_add(STARTS_WITHIN),
        ..fault("crash", "one step in 20 kills the daemon, which is back after 3 s", |_| {})
    },
];
