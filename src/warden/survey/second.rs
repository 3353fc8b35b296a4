//! Second looks: reads of conversations of which an event told what may be older than what was known
//! (`warden::book::Former`).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::ids::ConversationId;
use crate::model::time::Mono;

/// One that was not answered is asked for again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Who is to be looked at once more, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Second(BTreeMap<ConversationId, Mono>);

impl Second {
    pub(super) fn ask(&mut self, id: &ConversationId, now: Mono) {
        self.0.insert(id.clone(), now);
    }

    /// Who is due.
    pub(super) fn next(&mut self, now: Mono) -> Option<ConversationId> {
        let (id, due) = self.0.iter_mut().find(|(_, due)| **due <= now)?;
        *due = now + AGAIN_AFTER;
        Some(id.clone())
    }

    /// It was read, cannot be read, or is over.
    pub(super) fn done(&mut self, id: &ConversationId) {
        self.0.remove(id);
    }

    pub(super) fn awaits(&self, id: &ConversationId) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn next_due(&self) -> Option<Mono> {
        self.0.values().min().copied()
    }
}
