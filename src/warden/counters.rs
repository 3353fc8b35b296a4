//! What is counted since the start, for monitoring.

use std::collections::BTreeMap;

use super::Warden;
use crate::model::time::Now;

/// Each counter, with what it counts. All are told from the start, at zero, so that the first time counts too.
pub const COUNTERS: [(&str, &str); 28] = [
    ("recwarden_alerts_total", "alerts raised"),
    ("recwarden_attempts_total", "requests to start or stop a recording"),
    (
        "recwarden_blind_seconds_total",
        "seconds, summed over conversations, in which a change could go unseen",
    ),
    ("recwarden_brake_trips_total", "times that the brake on changes took hold"),
    ("recwarden_clock_steps_total", "times that the system's clock was set"),
    ("recwarden_conversations_ended_total", "conversations that ended"),
    ("recwarden_deaf_subscriptions_total", "subscriptions that kept silent about a change"),
    ("recwarden_decisions_abandoned_total", "decisions that could not be brought about"),
    ("recwarden_decisions_confirmed_total", "decisions that the platform confirmed"),
    ("recwarden_decisions_superseded_total", "decisions that were not needed any more"),
    ("recwarden_decisions_total", "decisions made"),
    ("recwarden_directives_total", "orders taken"),
    ("recwarden_events_dropped_total", "events shed under load"),
    ("recwarden_events_repeated_total", "events that came on two channels"),
    ("recwarden_events_total", "events of conversations taken in"),
    ("recwarden_facts_refused_total", "times that there was no room for what was pushed"),
    ("recwarden_facts_total", "times that facts were pushed"),
    ("recwarden_frames_refused_total", "frames that could not be read"),
    ("recwarden_frames_total", "frames that came"),
    ("recwarden_frames_unknown_total", "frames of an unknown kind"),
    ("recwarden_gaps_total", "gaps opened in what was heard"),
    ("recwarden_limited_total", "requests answered with 429"),
    ("recwarden_odd_fields_total", "fields that were not as documented"),
    ("recwarden_requests_total", "requests sent, of every kind"),
    ("recwarden_rule_failures_total", "rules that failed on a conversation"),
    (
        "recwarden_second_looks_total",
        "conversations read since an event may have been older than what was known",
    ),
    ("recwarden_snapshots_stale_total", "events older than what was known"),
    ("recwarden_topics_rejected_total", "topics that the platform refused to subscribe"),
];

impl Warden {
    pub(super) fn count(&mut self, what: &'static str) {
        self.count_all(what, 1);
    }

    pub(super) fn count_all(&mut self, what: &'static str, times: u64) {
        debug_assert!(COUNTERS.iter().any(|(name, _)| *name == what), "{what} is not told from the start");
        *self.counters.entry(what).or_default() += times;
    }

    pub(super) fn counted(&self, now: Now) -> BTreeMap<&'static str, u64> {
        let mut counters: BTreeMap<&str, u64> = COUNTERS.iter().map(|(name, _)| (*name, 0)).collect();
        counters.extend(&self.counters);
        counters.insert("recwarden_blind_seconds_total", self.survey.blind_for(now.mono).as_secs());
        counters
    }
}
