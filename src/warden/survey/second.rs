//! Second looks: reads of conversations of which an event told what may be older than what was known
//! (`warden::book::Doubt`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::ids::ConversationId;
use crate::model::time::Mono;

/// One that failed for now is asked for again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// So often it is asked for; then the next round looks.
const TRIES: u32 = 3;

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
    /// A look is due now. One that is under way is older than what it is asked for, and is followed by another.
    pub(super) fn ask(&mut self, id: &ConversationId, now: Mono) {
        self.put(id, now, 0);
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
        let Some(wait) = self.waits.get(id).copied().filter(|wait| wait.due.is_none()) else { return };
        if wait.tries < TRIES {
            self.put(id, now + AGAIN_AFTER, wait.tries);
        } else {
            self.done(id);
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
    fn a_look_that_fails_is_tried_again_behind_the_others_and_not_without_end() {
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
        for seconds in [10, 20] {
            second.failed(&one, at(seconds));
            assert_eq!(second.next_due(), Some(at(seconds + 5)));
            assert_eq!(second.next(at(seconds + 5)), Some(one.clone()));
        }
        second.failed(&one, at(30));
        assert_eq!(second.next_due(), None);
    }
}
