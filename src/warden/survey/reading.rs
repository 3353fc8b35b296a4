//! The reads of one round: who waits, in which order, and who failed for now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::ids::ConversationId;
use crate::model::recording::Observed;
use crate::model::time::Mono;
use crate::warden::book::{Book, Call};

/// A read that failed for now is tried again after this, behind all that were not tried yet.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How far a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Conversations read.
    pub read: usize,
    /// Conversations to read in all, as far as they are known yet.
    pub total: usize,
}

/// How urgently a conversation wants to be read; the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// Something is open or in force on it.
    Engaged,
    /// It was never seen.
    Stranger,
    /// It is on tape, or has an agent.
    Recorded,
    /// None of these.
    Quiet,
}

impl Urgency {
    fn of(call: Option<&Call>) -> Self {
        let Some(call) = call else { return Self::Stranger };
        if call.is_engaged() {
            Self::Engaged
        } else if call.seen.is_none() {
            Self::Stranger
        } else if call.observed == Some(Observed::Active) || call.conversation.agent().is_some() {
            Self::Recorded
        } else {
            Self::Quiet
        }
    }
}

/// Its place in the order of reading.
type Rank = (Urgency, Mono);

/// The reads of a round.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    waiting: BTreeSet<(Rank, ConversationId)>,
    ranks: BTreeMap<ConversationId, Rank>,
    /// Failed for now, and when to try again.
    failed: BTreeMap<ConversationId, Mono>,
    /// Under way, each with the gaps that it counts for.
    under_way: BTreeMap<ConversationId, u64>,
    read: usize,
}

impl Reading {
    pub(super) fn of(ids: BTreeSet<ConversationId>, book: &Book) -> Self {
        let rank = |id: &ConversationId| {
            let call = book.get(id);
            (Urgency::of(call), call.and_then(|call| call.seen).map_or(Mono::default(), |seen| seen.mono))
        };
        let ranks: BTreeMap<ConversationId, Rank> =
            ids.into_iter().map(|id| (rank(&id), id)).map(|(rank, id)| (id, rank)).collect();
        let waiting = ranks.iter().map(|(id, rank)| (*rank, id.clone())).collect();
        Self { waiting, ranks, ..Self::default() }
    }

    pub(super) fn next(&mut self, cover: u64, now: Mono) -> Option<ConversationId> {
        let next = match self.waiting.pop_first() {
            Some((_, id)) => {
                self.ranks.remove(&id);
                id
            }
            None => {
                let (id, _) = self.failed.iter().find(|(_, due)| **due <= now)?;
                let id = id.clone();
                self.failed.remove(&id);
                id
            }
        };
        self.under_way.insert(next.clone(), cover);
        Some(next)
    }

    /// It need not be read any more.
    pub(super) fn strike(&mut self, id: &ConversationId) {
        let waited = self.ranks.remove(id).is_some_and(|rank| self.waiting.remove(&(rank, id.clone())));
        if waited || self.failed.remove(id).is_some() {
            self.read += 1;
        }
    }

    pub(super) fn left(&self) -> usize {
        self.waiting.len() + self.failed.len() + self.under_way.len()
    }

    /// Who failed for now, where nobody else is left.
    pub(super) fn left_failed(&self) -> Option<impl Iterator<Item = &ConversationId>> {
        let alone = self.waiting.is_empty() && self.under_way.is_empty();
        alone.then(|| self.failed.keys())
    }

    /// How many were read.
    pub(super) fn read(&self) -> usize {
        self.read
    }

    /// A read came to an end: answers for which gaps it counts; none where no such read was under way.
    pub(super) fn done(&mut self, id: &ConversationId) -> Option<u64> {
        let cover = self.under_way.remove(id)?;
        self.read += 1;
        Some(cover)
    }

    /// A read failed for now.
    pub(super) fn put_off(&mut self, id: &ConversationId, now: Mono) {
        if self.under_way.remove(id).is_some() {
            self.failed.insert(id.clone(), now + RETRY_AFTER);
        }
    }

    /// Whether somebody may be read now.
    pub(super) fn wants(&self, now: Mono) -> bool {
        !self.waiting.is_empty() || self.failed.values().any(|due| *due <= now)
    }

    /// When somebody who failed is to be tried again, where nobody else waits.
    pub(super) fn next_retry(&self) -> Option<Mono> {
        self.failed.values().min().copied().filter(|_| self.waiting.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversation::Conversation;
    use crate::model::time::Now;

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    fn book() -> Book {
        let mut book = Book::within(1 << 20);
        for (name, seen) in [("quiet", 5), ("quiet-longer-unseen", 2), ("on-tape", 9), ("held", 9)] {
            let conversation = Conversation { id: ConversationId::new(name), ..Conversation::default() };
            book.take(conversation, Now { mono: at(seen), ..Now::default() });
        }
        if let Some(call) = book.get_mut(&ConversationId::new("on-tape")) {
            call.observed = Some(Observed::Active);
        }
        if let Some(call) = book.get_mut(&ConversationId::new("held")) {
            call.outlook = crate::warden::book::Outlook::Blind;
        }
        book
    }

    #[test]
    fn the_most_urgent_is_read_first_and_within_the_same_the_longest_unseen() {
        let ids = ["quiet", "stranger", "on-tape", "quiet-longer-unseen", "held"].map(ConversationId::new);
        let mut reading = Reading::of(BTreeSet::from(ids), &book());
        let order: Vec<String> =
            std::iter::from_fn(|| reading.next(0, at(0))).map(|id| id.to_string()).collect();
        assert_eq!(order, ["held", "stranger", "on-tape", "quiet-longer-unseen", "quiet"]);
    }

    #[test]
    fn a_read_that_failed_for_now_waits_behind_the_others() {
        let ids = ["a", "b", "c"].map(ConversationId::new);
        let mut reading = Reading::of(BTreeSet::from(ids), &Book::within(0));
        let first = reading.next(0, at(0)).expect("one");
        reading.put_off(&first, at(0));
        let mut rest = Vec::new();
        while let Some(id) = reading.next(0, at(1)) {
            rest.push(id.to_string());
        }
        assert_eq!(rest, ["b", "c"]);
        assert_eq!((reading.next_retry(), reading.next(0, at(5))), (Some(at(5)), Some(first)));
    }
}
