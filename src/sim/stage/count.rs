//! Whether every event that the platform issued for a queue reached the warden, on one socket at least, and was taken in
//! there: counted from the platform's side, so that nothing the warden believes of itself can hide a loss. What it says
//! itself is only that it took a text in, which must be so of one copy of each event.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Heard, Stage, inlet};
use crate::model::time::Mono;
use crate::sim::org::Standing;

/// An event that did not arrive within this is missed: the network and the platform's slowest event.
const ARRIVES_WITHIN: Duration = Duration::from_secs(5);
/// The counter of what the warden took in, and of what it took for older than what it knew.
const TAKEN: &str = "recwarden_events_total";
/// See [`TAKEN`].
const STALE: &str = "recwarden_snapshots_stale_total";

/// Events on their way, and topics on which one has arrived.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// The number of the next event that the platform issues.
    next: u64,
    events: BTreeMap<u64, (Mono, String)>,
    /// The event that a copy is of, by the copy's correlation.
    copies: BTreeMap<String, u64>,
    heard: BTreeMap<String, Heard>,
    /// Those that arrived and that the warden has not taken in.
    untaken: BTreeMap<u64, (Mono, String)>,
    /// The one that is handed to it now, and the conversation that it tells of.
    handed: Option<(u64, String)>,
    /// When the newest event of each conversation was issued that has told how it is.
    newest: BTreeMap<String, Mono>,
}

/// How many events this life's warden has taken in, and how many of them for older than what it knew.
pub(super) struct Taken {
    all: u64,
    stale: u64,
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
            if self.is_awaited(&event.topic) {
                self.awaited.events.insert(event.number, (event.at, event.topic));
                self.awaited.copies.extend(event.copies.into_iter().map(|copy| (copy, event.number)));
            }
        }
    }

    /// Whether whoever subscribes as the script says hears this topic.
    fn is_awaited(&self, topic: &str) -> bool {
        let users = !self.script.settings.directory.users.is_empty() && topic.starts_with("v2.users.");
        (users || topic.starts_with("v2.routing.queues.")) && topic.ends_with(".conversations")
    }

    /// Notes an event that is handed to the warden.
    pub(super) fn count_arrival(&mut self, text: &str) {
        let Some((_, rest)) = text.rsplit_once(r#""CorrelationId":""#) else { return };
        let correlation = rest.split('"').next().unwrap_or_default();
        let Some(number) = self.awaited.copies.remove(correlation) else { return };
        self.awaited.handed = Some((number, inlet::about(text).to_owned()));
        let Some((at, topic)) = self.awaited.events.remove(&number) else { return };
        self.count("queue events arrived");
        self.awaited.untaken.insert(number, (at, topic.clone()));
        if let Some(heard) = self.awaited.heard.get_mut(&topic) {
            heard.until = heard.until.max(at);
            return;
        }
        self.count("topics heard");
        let mut before = None;
        self.awaited.events.retain(|_, (issued, other)| {
            let unheard = *other == topic && *issued < at;
            before = if unheard { Some(*issued) } else { before };
            !unheard
        });
        self.awaited.heard.insert(topic, Heard { before, from: at, until: at });
    }

    /// What was taken in until now.
    pub(super) fn taken_so_far(&self) -> Taken {
        Taken { all: self.warden.counter(TAKEN), stale: self.warden.counter(STALE) }
    }

    /// Notes whether what was handed over was taken in.
    pub(super) fn count_taken(&mut self, before: &Taken) {
        let Some((number, about)) = self.awaited.handed.take() else { return };
        let now = self.taken_so_far();
        if now.all == before.all {
            return;
        }
        let Some((at, _)) = self.awaited.untaken.remove(&number) else { return };
        let newest = self.awaited.newest.get(&about).copied().unwrap_or_default();
        if now.stale == before.stale {
            self.awaited.newest.insert(about, at.max(newest));
        } else if newest < at && self.platform.live().contains(&about) {
            self.count("newer events taken for older");
        }
    }

    /// Reports the events of queues that did not arrive, or were not taken in.
    pub(super) fn count_the_missed(&mut self) {
        for (number, (at, topic)) in std::mem::take(&mut self.awaited.untaken) {
            let since = at.since_start();
            self.report.missed.push(format!("after {since:?}: {topic}, event {number}, which arrived"));
        }
        for (number, (at, topic)) in std::mem::take(&mut self.awaited.events) {
            let Some(heard) = self.awaited.heard.get(&topic) else { continue };
            if at > heard.until && self.is_off_the_lists(&topic) {
                self.count("events of those that no list names any more");
            } else if self.now.mono.since(at) > ARRIVES_WITHIN {
                self.count("queue events missed");
                self.judge_missed(at, &topic);
                let since = at.since_start();
                self.report.missed.push(format!("after {since:?}: {topic}, event {number}"));
            }
        }
        self.report.heard = std::mem::take(&mut self.awaited.heard);
    }

    /// Whether no list names the queue or user of a topic now.
    fn is_off_the_lists(&self, topic: &str) -> bool {
        let org = self.platform.org();
        let queues = org.queues.iter().map(|queue| (&queue.id, queue.standing));
        let mut all = queues.chain(org.users.iter().map(|user| (&user.id, user.standing)));
        all.any(|(id, standing)| standing == Standing::Removed && topic.contains(id.as_str()))
    }
}
