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

/// What no event has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untold {
    /// The look before that which found it changed: it changed since then.
    pub since: Mono,
    /// When it was found changed.
    pub found: Mono,
}

/// Who changed in silence.
#[derive(Clone, Debug, Default)]
pub(super) struct Silence {
    /// Whose event is waited for.
    waits: BTreeMap<ConversationId, Untold>,
    /// The subscription is not taken for deaf before that.
    not_before: Mono,
}

impl Silence {
    /// A read found it changed.
    pub(super) fn begin(&mut self, id: &ConversationId, untold: Untold) {
        self.waits.entry(id.clone()).or_insert(untold);
    }

    /// An event told of it.
    pub(super) fn end(&mut self, id: &ConversationId) {
        self.waits.remove(id);
    }

    /// Nothing was heard since then, as is known: whose change was found since waits for no event.
    pub(super) fn explain(&mut self, since: Mono) {
        self.waits.retain(|_, untold| untold.found < since);
    }

    /// Where an event is overdue, all that is waited for: the earliest look before, and the latest that found a change.
    /// Told once.
    pub(super) fn take_overdue(&mut self, now: Mono) -> Option<Untold> {
        let is_overdue = |one: &Untold| one.found + EVENT_WAIT <= now && now >= self.not_before;
        let first = self.waits.values().copied().find(is_overdue)?;
        let join = |all: Untold, one: &Untold| Untold {
            since: all.since.min(one.since),
            found: all.found.max(one.found),
        };
        let all = self.waits.values().fold(first, join);
        self.waits.clear();
        self.not_before = now + DEAF_AGAIN_AFTER;
        Some(all)
    }

    /// When the next one is overdue.
    pub(super) fn next_overdue(&self) -> Option<Mono> {
        self.waits.values().map(|untold| self.not_before.max(untold.found + EVENT_WAIT)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_that_is_overdue_speaks_for_all_that_are_waited_for() {
        let at = |seconds| Mono::new(Duration::from_secs(seconds));
        let [one, two] = ["one", "two"].map(ConversationId::new);
        let mut silence = Silence::default();
        let untold = |since, found| Untold { since: at(since), found: at(found) };
        silence.begin(&one, untold(2, 20));
        silence.begin(&two, untold(1, 24));
        assert_eq!((silence.take_overdue(at(29)), silence.next_overdue()), (None, Some(at(30))));
        assert_eq!(
            silence.take_overdue(at(30)),
            Some(untold(1, 24)),
            "whoever hears since then is not doubted"
        );
        silence.begin(&one, untold(31, 40));
        assert_eq!((silence.take_overdue(at(60)), silence.next_overdue()), (None, Some(at(90))));
        silence.end(&one);
        assert_eq!((silence.take_overdue(at(100)), silence.next_overdue()), (None, None));
        silence.begin(&one, untold(105, 110));
        silence.begin(&two, untold(105, 112));
        silence.explain(at(111));
        assert_eq!(
            silence.take_overdue(at(150)),
            Some(untold(105, 110)),
            "what was lost since then explains the other alone"
        );
    }
}
