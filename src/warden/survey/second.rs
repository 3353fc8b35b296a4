//! Second looks: reads of conversations of which an event told what may be older than what was known
//! (`warden::book::Former`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::ids::ConversationId;
use crate::model::time::Mono;

/// One that was not answered is asked for again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Who is to be looked at once more, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Second {
    due: BTreeSet<(Mono, ConversationId)>,
    at: BTreeMap<ConversationId, Mono>,
}

impl Second {
    pub(super) fn ask(&mut self, id: &ConversationId, at: Mono) {
        self.done(id);
        self.due.insert((at, id.clone()));
        self.at.insert(id.clone(), at);
    }

    /// Who is due, longest first.
    pub(super) fn next(&mut self, now: Mono) -> Option<ConversationId> {
        let (_, id) = self.due.first().filter(|(at, _)| *at <= now)?.clone();
        self.ask(&id, now + AGAIN_AFTER);
        Some(id)
    }

    /// It was read, cannot be read, or is over.
    pub(super) fn done(&mut self, id: &ConversationId) {
        if let Some(at) = self.at.remove(id) {
            self.due.remove(&(at, id.clone()));
        }
    }

    pub(super) fn awaits(&self, id: &ConversationId) -> bool {
        self.at.contains_key(id)
    }

    pub(super) fn next_due(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_answered_is_asked_for_again_behind_the_others() {
        let at = |seconds| Mono::new(Duration::from_secs(seconds));
        let [one, two] = ["one", "two"].map(ConversationId::new);
        let mut second = Second::default();
        second.ask(&one, at(1));
        second.ask(&two, at(2));
        assert_eq!((second.next(at(0)), second.next_due()), (None, Some(at(1))));
        let asked = [3, 4, 5, 8, 9].map(|seconds| second.next(at(seconds)));
        assert_eq!(asked, [Some(one.clone()), Some(two.clone()), None, Some(one.clone()), Some(two.clone())]);
        second.done(&one);
        assert_eq!((second.awaits(&one), second.awaits(&two)), (false, true));
        second.done(&two);
        assert_eq!(second.next_due(), None);
    }
}
