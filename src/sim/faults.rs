//! Misfortune, seeded: what may go wrong between the contact centre and its clients, all off by default.
//!
//! Some faults strike a request or an event with a probability; the others come at an interval
//! ([`Misfortune`]) and are put on the world's agenda.

use std::time::Duration;

use crate::sim::random::Chance;

/// Whether a 429 says how long to wait. Clients must bear both (GENESYS.md 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RetryAfter {
    /// With the header, in whole seconds.
    #[default]
    Sent,
    /// Without it.
    Omitted,
    /// As an HTTP date.
    Date,
}

/// What is out of reach while an outage lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Outage {
    /// No socket opens, and those that are open are cut.
    #[default]
    Sockets,
    /// The query for the live conversations fails too; each can be read.
    Queries,
    /// Reads of conversations fail too; orders are served.
    Reads,
    /// Nothing gets through, and nothing is answered.
    Everything,
}

impl Outage {
    /// What it is called where faults are counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sockets => "no socket to be had",
            Self::Queries => "neither socket nor query to be had",
            Self::Reads => "neither socket nor read to be had",
            Self::Everything => "nothing gets through",
        }
    }
}

/// All that may go wrong. `None` and 0 are off.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// Nothing goes wrong for so long.
    pub begin_after: Option<Duration>,
    /// Every so often all sockets are cut without a closing handshake.
    pub drop_sockets_every: Option<Duration>,
    /// Every so often one socket is cut without a closing handshake.
    pub cut_socket_every: Option<Duration>,
    /// Every so often `v2.system.socket_closing` is sent to every socket (GENESYS.md 4.3).
    pub closing_every: Option<Duration>,
    /// How long after the notice a socket is closed: "up to one minute".
    pub closing_notice: Duration,
    /// Every so often all requests are refused with 429 for a while.
    pub burst_429_every: Option<Duration>,
    /// How long such a burst lasts.
    pub burst_429_for: Duration,
    /// Whether these 429 carry `Retry-After`.
    pub retry_after: RetryAfter,
    /// The share of requests answered with 500, 503 or 504; half of them after they took effect.
    pub error_rate: f64,
    /// How long an answer takes: at least and at most.
    pub latency: Option<(Duration, Duration)>,
    /// The share of requests that are served and never answered.
    pub hang: f64,
    /// The share of requests that never arrive, so that no answer comes either.
    pub lost: f64,
    /// The share of recording orders that are applied so much later that whoever gave them has given up waiting.
    pub late_orders: f64,
    /// How much later at most.
    pub late_by: Duration,
    /// The share of recording orders that are accepted and never applied.
    pub not_applied: f64,
    /// The share of conversations in divisions where the client has no role: orders for them are refused by 403
    /// (GENESYS.md 9, trap 7).
    pub forbidden: f64,
    /// A conversation can be read only from so long after its begin; before it is answered by 404, though events
    /// tell of it.
    pub readable_after: Duration,
    /// Every so often one socket goes silent without being closed.
    pub half_open_every: Option<Duration>,
    /// Every so often one channel is evicted: it answers and beats, and gets no events (GENESYS.md 4.2).
    pub evict_every: Option<Duration>,
    /// The share of log-ins that are answered with 503 once one was not: a token may end before the next one can be had.
    pub failing_renewals: f64,
    /// Every so often all access tokens are revoked.
    pub revoke_tokens_every: Option<Duration>,
    /// The share of events sent twice.
    pub duplicate_events: f64,
    /// The share of events that arrive up to `reorder_by` later than younger ones.
    pub reorder_events: f64,
    /// How much later such an event arrives at most.
    pub reorder_by: Duration,
    /// The share of events that are never sent.
    pub lose_events: f64,
    /// Every so often all sockets get a frame that is no JSON, too large, too deep or not what it says.
    pub odd_frames_every: Option<Duration>,
    /// Every so often all live calls change ten times at once.
    pub event_burst_every: Option<Duration>,
    /// Each time a socket was opened, all live calls change five times a second for so long: whoever exchanges one for
    /// another misses some of that where the old one does not last until the new one hears.
    pub stirred_for: Duration,
    /// Every so often something is out of reach for a while.
    pub outage_every: Option<Duration>,
    /// For how long.
    pub outage_for: Duration,
    /// What.
    pub outage: Outage,
    /// How much the intervals vary, as a share of each: 0 is regular, 1 from nothing to twice as long.
    pub jitter: f64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            begin_after: None,
            drop_sockets_every: None,
            cut_socket_every: None,
            closing_every: None,
            closing_notice: Duration::from_secs(60),
            burst_429_every: None,
            burst_429_for: Duration::from_secs(5),
            retry_after: RetryAfter::Sent,
            error_rate: 0.0,
            latency: None,
            hang: 0.0,
            lost: 0.0,
            late_orders: 0.0,
            late_by: Duration::from_secs(25),
            not_applied: 0.0,
            forbidden: 0.0,
            readable_after: Duration::ZERO,
            half_open_every: None,
            evict_every: None,
            failing_renewals: 0.0,
            revoke_tokens_every: None,
            duplicate_events: 0.0,
            reorder_events: 0.0,
            reorder_by: Duration::from_millis(800),
            lose_events: 0.0,
            odd_frames_every: None,
            event_burst_every: None,
            stirred_for: Duration::ZERO,
            outage_every: None,
            outage_for: Duration::from_secs(30),
            outage: Outage::Sockets,
            jitter: 0.0,
        }
    }
}

/// A fault that comes at an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misfortune {
    /// All sockets are cut.
    DropSockets,
    /// One socket is cut.
    CutSocket,
    /// All sockets are told that they will be closed.
    ClosingNotice,
    /// All requests are refused for a while.
    Burst429,
    /// One socket goes silent.
    HalfOpen,
    /// One channel is evicted.
    EvictChannel,
    /// All tokens are revoked.
    RevokeTokens,
    /// All sockets get a frame that no client should stumble over.
    OddFrame,
    /// All live calls change ten times at once.
    EventBurst,
    /// Something is out of reach for a while.
    Outage,
}

impl Misfortune {
    /// What it is called where faults are counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::DropSockets => "all sockets cut",
            Self::CutSocket => "one socket cut",
            Self::ClosingNotice => "closing notice to all sockets",
            Self::Burst429 => "burst of 429",
            Self::HalfOpen => "socket half-open",
            Self::EvictChannel => "channel evicted",
            Self::RevokeTokens => "tokens revoked",
            Self::OddFrame => "odd frame to all sockets",
            Self::EventBurst => "burst of events",
            Self::Outage => "outage",
        }
    }

    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::DropSockets,
        Self::CutSocket,
        Self::ClosingNotice,
        Self::Burst429,
        Self::HalfOpen,
        Self::EvictChannel,
        Self::RevokeTokens,
        Self::OddFrame,
        Self::EventBurst,
        Self::Outage,
    ];
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is served.
    Served,
    /// It is refused with this status, unserved.
    FailedBefore(u16),
    /// It is served, and answered with this status all the same.
    FailedAfter(u16),
    /// It is served and never answered.
    Hung,
    /// It never arrives.
    Lost,
}

impl Fate {
    /// What went wrong, where something did.
    pub fn fault(self) -> Option<&'static str> {
        match self {
            Self::Served => None,
            Self::FailedBefore(_) => Some("5xx unserved"),
            Self::FailedAfter(_) => Some("5xx though served"),
            Self::Hung => Some("served and never answered"),
            Self::Lost => Some("request lost"),
        }
    }
}

impl Faults {
    /// How often this misfortune comes; `None` where it is off.
    pub fn interval(&self, of: Misfortune) -> Option<Duration> {
        match of {
            Misfortune::DropSockets => self.drop_sockets_every,
            Misfortune::CutSocket => self.cut_socket_every,
            Misfortune::ClosingNotice => self.closing_every,
            Misfortune::Burst429 => self.burst_429_every,
            Misfortune::HalfOpen => self.half_open_every,
            Misfortune::EvictChannel => self.evict_every,
            Misfortune::RevokeTokens => self.revoke_tokens_every,
            Misfortune::OddFrame => self.odd_frames_every,
            Misfortune::EventBurst => self.event_burst_every,
            Misfortune::Outage => self.outage_every,
        }
    }

    /// How long it is until this misfortune comes again; `None` where it is off.
    pub fn next_after(&self, of: Misfortune, chance: &mut Chance) -> Option<Duration> {
        let every = self.interval(of)?;
        if self.jitter <= 0.0 {
            return Some(every);
        }
        Some(every.mul_f64((1.0 + self.jitter.min(1.0) * (2.0 * chance.unit() - 1.0)).max(0.01)))
    }

    /// What becomes of the next request.
    pub fn fate(&self, chance: &mut Chance) -> Fate {
        if chance.strikes(self.hang) {
            return Fate::Hung;
        }
        if chance.strikes(self.lost) {
            return Fate::Lost;
        }
        if !chance.strikes(self.error_rate) {
            return Fate::Served;
        }
        let status = chance.pick(&[500, 503, 504]).copied().unwrap_or(500);
        if chance.strikes(0.5) { Fate::FailedAfter(status) } else { Fate::FailedBefore(status) }
    }

    /// Whether this conversation is in a division where the client has no role.
    pub fn forbids(&self, conversation: &str) -> bool {
        let lot = conversation.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        lot.is_some_and(|lot| f64::from(lot) < self.forbidden * f64::from(u32::MAX))
    }

    /// How long the next answer takes.
    pub fn delay(&self, chance: &mut Chance) -> Duration {
        self.latency.map_or(Duration::ZERO, |(least, most)| chance.span(least, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_faults_every_request_is_served_at_once() {
        let (faults, mut chance) = (Faults::default(), Chance::new(1));
        assert!((0..100).all(|_| faults.fate(&mut chance) == Fate::Served));
        assert_eq!(faults.delay(&mut chance), Duration::ZERO);
        assert!(Misfortune::ALL.into_iter().all(|kind| faults.interval(kind).is_none()));
    }

    #[test]
    fn an_error_rate_strikes_before_and_after_the_effect() {
        let faults = Faults { error_rate: 1.0, ..Faults::default() };
        let mut chance = Chance::new(1);
        let fates: Vec<Fate> = (0..100).map(|_| faults.fate(&mut chance)).collect();
        assert!(fates.iter().any(|fate| matches!(fate, Fate::FailedBefore(_))));
        assert!(fates.iter().any(|fate| matches!(fate, Fate::FailedAfter(_))));
        assert!(!fates.contains(&Fate::Served));
    }

    #[test]
    fn a_share_of_conversations_is_in_divisions_without_a_role() {
        let mut chance = Chance::new(1);
        let ids: Vec<String> = (0..1000).map(|_| chance.uuid()).collect();
        let of = |forbidden: f64| {
            let faults = Faults { forbidden, ..Faults::default() };
            ids.iter().filter(|id| faults.forbids(id)).count()
        };
        assert_eq!((of(0.0), of(1.0)), (0, 1000));
        assert!((250..350).contains(&of(0.3)), "{}", of(0.3));
    }

    #[test]
    fn intervals_are_regular_unless_they_are_to_vary() {
        let mut chance = Chance::new(1);
        let every = Duration::from_secs(100);
        let mut faults = Faults { closing_every: Some(every), ..Faults::default() };
        let mut spans = |faults: &Faults| -> Vec<Duration> {
            (0..200).filter_map(|_| faults.next_after(Misfortune::ClosingNotice, &mut chance)).collect()
        };
        assert!(spans(&faults).iter().all(|span| *span == every));
        faults.jitter = 0.5;
        let varied = spans(&faults);
        assert!(varied.iter().all(|span| (every / 2..every * 3 / 2).contains(span)));
        assert!(varied.iter().any(|span| *span < every * 3 / 4) && varied.iter().any(|span| *span > every));
    }
}
