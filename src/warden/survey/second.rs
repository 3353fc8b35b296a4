//! Second looks: reads of conversations of which an event told what may be older than what was known
//! (`warden::book::Doubt`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::ids::ConversationId;
use crate::model::time::Mono;

/// One that failed for now is asked for again after this, then after twice as long.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// At most so long after the last time.
const AT_MOST_AFTER: Duration = Duration::from_secs(30);

/// Who waits for a look, and when it is due; at no time while it is under way.
#[derive(Clone, Copy, Debug)]
struct Wait {
    due: Option<Mono>,
    tries: u32,
}

/// Who is to be looked at once more.
#[derive(Clone, Debug, Default)]
pub(super) struct Second {
    due: BTreeSet<(Mono, ConversationId)>,
    waits: BTreeMap<ConversationId, Wait>,
}

impl Second {
    /// A look is due now, or since it was asked for first. One that is under way is older than what it is asked for, and
    /// is followed by another.
    pub(super) fn ask(&mut self, id: &ConversationId, now: Mono) {
        let due = self.waits.get(id).and_then(|wait| wait.due).unwrap_or(now);
        self.put(id, due.min(now), 0);
    }

    fn put(&mut self, id: &ConversationId, due: Mono, tries: u32) {
        self.done(id);
        self.due.insert((due, id.clone()));
        self.waits.insert(id.clone(), Wait { due: Some(due), tries });
    }

    /// Who is due, longest first.
    pub(super) fn next(&mut self, now: Mono) -> Option<ConversationId> {
        let first = self.due.first().filter(|(due, _)| *due <= now)?.clone();
        self.due.remove(&first);
        let (_, id) = first;
        if let Some(wait) = self.waits.get_mut(&id) {
            (wait.due, wait.tries) = (None, wait.tries + 1);
        }
        Some(id)
    }

    /// The look that was under way failed for now.
    pub(super) fn failed(&mut self, id: &ConversationId, now: Mono) {
        if let Some(Wait { due: None, tries }) = self.waits.get(id).copied() {
            let after = AGAIN_AFTER.saturating_mul(1 << tries.saturating_sub(1).min(4));
            self.put(id, now + after.min(AT_MOST_AFTER), tries);
        }
    }

    /// It was read, cannot be read, or is over.
    pub(super) fn done(&mut self, id: &ConversationId) {
        if let Some(due) = self.waits.remove(id).and_then(|wait| wait.due) {
            self.due.remove(&(due, id.clone()));
        }
    }

    pub(super) fn next_due(&self) -> Option<Mono> {
        self.due.first().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_fails_is_tried_again_behind_the_others_less_and_less_often() {
        let at = |seconds| Mono::new(Duration::from_secs(seconds));
        let [one, two] = ["one", "two"].map(ConversationId::new);
        let mut second = Second::default();
        second.ask(&one, at(1));
        second.ask(&two, at(2));
        assert_eq!((second.next(at(0)), second.next_due()), (None, Some(at(1))));
        let asked = [3, 4, 5].map(|seconds| second.next(at(seconds)));
        assert_eq!(asked, [Some(one.clone()), Some(two.clone()), None]);
        assert_eq!(second.next_due(), None, "both are under way");
        second.done(&two);
        second.failed(&two, at(6));
        for (failed, again) in [(10, 15), (20, 30), (30, 50), (60, 90), (100, 130)] {
            second.failed(&one, at(failed));
            assert_eq!(second.next_due(), Some(at(again)));
            assert_eq!(second.next(at(again)), Some(one.clone()));
        }
        second.done(&one);
        second.failed(&one, at(140));
        assert_eq!(second.next_due(), None);
    }

    #[test]
    fn who_is_told_of_again_and_again_keeps_its_place() {
        let at = |seconds| Mono::new(Duration::from_secs(seconds));
        let [one, two] = ["one", "two"].map(ConversationId::new);
        let mut second = Second::default();
        [(&one, 1), (&two, 2), (&one, 3)].into_iter().for_each(|(id, asked)| second.ask(id, at(asked)));
        assert_eq!(
            [second.next(at(4)), second.next(at(4)), second.next(at(4))],
            [Some(one), Some(two), None]
        );
    }
}
