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

    /// Nothing was heard since then, as is known: whose change was read since waits for no event.
    pub(super) fn explain(&mut self, since: Mono) {
        self.waits.retain(|_, until| *until < since + EVENT_WAIT);
    }

    /// Where an event is overdue, when the latest change was read that none has told of. Told once.
    pub(super) fn take_overdue(&mut self, now: Mono) -> Option<Mono> {
        let is_overdue = self.waits.values().any(|until| *until <= now && now >= self.not_before);
        let latest = *self.waits.values().max().filter(|_| is_overdue)? - EVENT_WAIT;
        self.waits.clear();
        self.not_before = now + DEAF_AGAIN_AFTER;
        Some(latest)
    }

    /// When the next one is overdue.
    pub(super) fn next_overdue(&self) -> Option<Mono> {
        self.waits.values().min().map(|at| self.not_before.max(*at))
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
        silence.begin(&one, at(0));
        silence.begin(&two, at(4));
        assert_eq!((silence.take_overdue(at(9)), silence.next_overdue()), (None, Some(at(10))));
        assert_eq!(silence.take_overdue(at(10)), Some(at(4)), "whoever hears since then is not doubted");
        silence.begin(&one, at(20));
        assert_eq!((silence.take_overdue(at(40)), silence.next_overdue()), (None, Some(at(70))));
        silence.end(&one);
        assert_eq!((silence.take_overdue(at(80)), silence.next_overdue()), (None, None));
        silence.begin(&one, at(90));
        silence.begin(&two, at(92));
        silence.explain(at(91));
        assert_eq!(
            silence.take_overdue(at(130)),
            Some(at(90)),
            "what was lost since then explains the other alone"
        );
    }
}
