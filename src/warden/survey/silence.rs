//! Conversations that a read found changed though no event had told: one may be on its way yet, and where none comes the
//! subscription is deaf.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::ids::ConversationId;
use crate::model::time::Mono;
use crate::wire::frame::LATE_AT_MOST;

/// An event that is later than this after the change was read will not come.
const EVENT_WAIT: Duration = LATE_AT_MOST;
/// A subscription that was taken for deaf gets so long to show that it hears: events that are late as a rule would have
/// it replaced over and over.
const DEAF_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Who changed in silence.
#[derive(Clone, Debug, Default)]
pub(super) struct Silence {
    /// Until when an event is waited for.
    waits: BTreeMap<ConversationId, Mono>,
    /// The subscription is not taken for deaf before that.
    not_before: Mono,
}

impl Silence {
    /// A read found it changed.
    pub(super) fn begin(&mut self, id: &ConversationId, now: Mono) {
        self.waits.entry(id.clone()).or_insert(now + EVENT_WAIT);
    }

    /// An event told of it.
    pub(super) fn end(&mut self, id: &ConversationId) {
        self.waits.remove(id);
    }

    /// When the latest change was read whose event is overdue. Told once.
    pub(super) fn take_overdue(&mut self, now: Mono) -> Option<Mono> {
        let overdue = self.waits.values().filter(|until| **until <= now && now >= self.not_before);
        let latest = overdue.max().map(|until| *until - EVENT_WAIT)?;
        self.waits.clear();
        self.not_before = now + DEAF_AGAIN_AFTER;
        Some(latest)
    }

    /// When the next one is overdue.
    pub(super) fn next_overdue(&self) -> Option<Mono> {
        self.waits.values().min().map(|at| self.not_before.max(*at))
    }
}
