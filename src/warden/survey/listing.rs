//! The first part of a round: who is live on the subscribed queues, page by page.
//!
//! How many conversations a page holds at most, whatever size is asked for, and how long the whole list is, the
//! platform does not say. So pages are asked for until one brings nobody new.

use std::collections::BTreeSet;

use crate::model::ids::{ConversationId, QueueId};
use crate::wire::request::Request;

/// Queues named in one activity query; the platform bounds the size of a request, not the predicates.
pub const QUEUES_PER_QUERY: usize = 100;

/// What was listed so far, and what is to be asked still.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    /// Queues that are asked for together; the last are asked for now.
    queues: Vec<Vec<QueueId>>,
    /// Pages of these that were listed.
    pages: u32,
    /// Who was on them.
    listed: BTreeSet<ConversationId>,
    /// Who is live on the queues before.
    found: BTreeSet<ConversationId>,
}

impl Listing {
    /// Nothing is listed yet.
    pub(super) fn of(queues: &[QueueId]) -> Self {
        let queues = queues.chunks(QUEUES_PER_QUERY).map(<[QueueId]>::to_vec).collect();
        Self { queues, ..Self::default() }
    }

    /// The next page; none where all is listed.
    pub(super) fn next_request(&self) -> Option<Request> {
        let queues = self.queues.last()?.clone();
        Some(Request::ActivityQuery { queues, page: self.pages + 1 })
    }

    /// A page was answered.
    pub(super) fn take(&mut self, ids: BTreeSet<ConversationId>) {
        if ids.is_subset(&self.listed) {
            self.queues.pop();
            self.pages = 0;
            self.found.append(&mut self.listed);
        } else {
            self.pages += 1;
            self.listed.extend(ids);
        }
    }

    /// How many are listed so far; who moved between queues meanwhile may count twice.
    pub(super) fn len(&self) -> usize {
        self.found.len() + self.listed.len()
    }

    /// Everybody who was listed.
    pub(super) fn found(self) -> BTreeSet<ConversationId> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> BTreeSet<ConversationId> {
        names.iter().map(|name| ConversationId::new(*name)).collect()
    }

    #[test]
    fn pages_are_asked_for_until_one_brings_nobody_new() {
        let queues: Vec<QueueId> =
            (0..=QUEUES_PER_QUERY).map(|number| QueueId::new(format!("q{number}"))).collect();
        let mut listing = Listing::of(&queues);
        // The second page is empty; then one queue is left, whose list has no pages: it is the same each time.
        let mut answers = [ids(&["a", "b"]), ids(&[]), ids(&["b", "c"]), ids(&["b", "c"])].into_iter();
        let mut asked = Vec::new();
        while let Some(Request::ActivityQuery { queues, page }) = listing.next_request() {
            asked.push((queues.len(), page));
            listing.take(answers.next().expect("no more is asked"));
        }
        assert_eq!(asked, [(1, 1), (1, 2), (QUEUES_PER_QUERY, 1), (QUEUES_PER_QUERY, 2)]);
        assert_eq!(listing.found(), ids(&["a", "b", "c"]));
    }
}
