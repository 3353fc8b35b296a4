//! Whether every event that the platform issued for a queue reached the warden, on one socket at least: counted
//! from the platform's side, so that nothing the warden believes of itself can hide a loss.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Stage;
use crate::model::time::Mono;

/// An event that did not arrive within this is missed: the network and the platform's slowest event.
const ARRIVES_WITHIN: Duration = Duration::from_secs(5);

/// Events on their way, and topics on which one has arrived.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// The number of the next event that the platform issues.
    next: u64,
    events: BTreeMap<u64, (Mono, String)>,
    /// The event that a copy is of, by the copy's correlation.
    copies: BTreeMap<String, u64>,
    heard: BTreeSet<String>,
}

impl Stage {
    /// Notes what was issued. A topic counts from its first event that arrived: what went before was before
    /// the subscription.
    pub(super) fn collect_issued(&mut self) {
        while let Some(event) = self.platform.poll_issued() {
            if event.number != self.awaited.next {
                self.finding(format!("events before number {} were not counted", event.number));
            }
            self.awaited.next = event.number + 1;
            let queue = event.topic.strip_prefix("v2.routing.queues.");
            if queue.is_some_and(|rest| rest.ends_with(".conversations")) {
                self.awaited.events.insert(event.number, (event.at, event.topic));
                self.awaited.copies.extend(event.copies.into_iter().map(|copy| (copy, event.number)));
            }
        }
    }

    /// Notes an event that is handed to the warden.
    pub(super) fn count_arrival(&mut self, text: &str) {
        let Some((_, rest)) = text.rsplit_once(r#""CorrelationId":""#) else { return };
        let correlation = rest.split('"').next().unwrap_or_default();
        let Some(number) = self.awaited.copies.remove(correlation) else { return };
        let Some((at, topic)) = self.awaited.events.remove(&number) else { return };
        self.count("queue events arrived");
        if !self.awaited.heard.contains(&topic) {
            self.count("topics heard");
            self.awaited.events.retain(|_, (issued, other)| *other != topic || *issued >= at);
            self.awaited.heard.insert(topic);
        }
    }

    /// Reports the events of queues that did not arrive.
    pub(super) fn count_the_missed(&mut self) {
        for (number, (at, topic)) in std::mem::take(&mut self.awaited.events) {
            if self.awaited.heard.contains(&topic) && self.now.mono.since(at) > ARRIVES_WITHIN {
                self.count("queue events missed");
                let since = at.since_start();
                self.report.missed.push(format!("after {since:?}: {topic}, event {number}"));
            }
        }
    }
}
