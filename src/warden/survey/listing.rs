//! The first part of a round: who is live on the subscribed queues, page by page.
//!
//! How many conversations a page holds at most, whatever size is asked for, and how long the whole list is, the
//! platform does not say. So pages are asked for until one brings nobody new.
//!
//! The list moves while it is read: where somebody on an earlier page hangs up, whoever stood first on the next one
//! slips to a page that was read already, and who is transferred can slip to queues that were. A list that took more
//! than one page is therefore read once more, as long as that brings somebody new, and [`PASSES_MOST`] times in
//! all. That costs one query for some hundred reads that follow.

use std::collections::BTreeSet;

use crate::model::ids::{ConversationId, QueueId};
use crate::wire::request::{PAGE_SIZE, Request};

/// Queues named in one activity query; the platform bounds the size of a request, not the predicates.
pub const QUEUES_PER_QUERY: usize = 100;

/// How often the list is read at most: where calls come and go all the time, each reading brings somebody new. Who
/// began meanwhile is told of by an event, and who was missed twice is hardly missed a third time.
const PASSES_MOST: u32 = 3;

/// What was listed so far, and what is to be asked still.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    /// Queues that are asked for together.
    queues: Vec<Vec<QueueId>>,
    /// How many of these are to be asked for still in this pass; the last of them now.
    left: usize,
    /// Pages of these that were listed.
    pages: u32,
    /// Who was on them.
    listed: BTreeSet<ConversationId>,
    /// Everybody so far.
    found: BTreeSet<ConversationId>,
    pass: Pass,
}

/// Pages of one group of queues at most: 100,000 conversations. A list that has no pages, and of which each reading
/// brings somebody new, would have no end.
const PAGES_MOST: u32 = 1_000;

/// One reading of the whole list.
#[derive(Clone, Copy, Debug, Default)]
struct Pass {
    /// How many were before it.
    before: u32,
    /// Full pages count as two: there may have been another.
    pages: u32,
    /// Whom no pass before has found.
    new: usize,
}

impl Listing {
    /// Nothing is listed yet.
    pub(super) fn of(queues: &[QueueId]) -> Self {
        let queues: Vec<_> = queues.chunks(QUEUES_PER_QUERY).map(<[QueueId]>::to_vec).collect();
        Self { left: queues.len(), queues, ..Self::default() }
    }

    /// The next page; none where all is listed.
    pub(super) fn next_request(&self) -> Option<Request> {
        let queues = self.queues.get(self.left.checked_sub(1)?)?.clone();
        Some(Request::ActivityQuery { queues, page: self.pages + 1 })
    }

    /// A page was answered.
    pub(super) fn take(&mut self, ids: BTreeSet<ConversationId>) {
        if !ids.is_subset(&self.listed) && self.pages < PAGES_MOST {
            let full = usize::try_from(PAGE_SIZE).is_ok_and(|size| ids.len() >= size);
            self.pages += 1;
            self.pass.pages += if full { 2 } else { 1 };
            self.pass.new += ids.difference(&self.found).count();
            self.found.extend(ids.iter().cloned());
            return self.listed.extend(ids);
        }
        self.left = self.left.saturating_sub(1);
        self.pages = 0;
        self.listed.clear();
        let Pass { before, pages, new } = self.pass;
        let moved = if before == 0 { pages > 1 } else { new > 0 };
        if self.left == 0 && moved && before + 1 < PASSES_MOST {
            self.left = self.queues.len();
            self.pass = Pass { before: before + 1, ..Pass::default() };
        }
    }

    /// How many are listed so far.
    pub(super) fn len(&self) -> usize {
        self.found.len()
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

    /// Answers all that is asked for, and tells how many queues and which page each time.
    fn asked(
        listing: &mut Listing,
        mut answer: impl FnMut(u32) -> BTreeSet<ConversationId>,
    ) -> Vec<(usize, u32)> {
        let mut asked = Vec::new();
        while let Some(Request::ActivityQuery { queues, page }) = listing.next_request() {
            asked.push((queues.len(), page));
            assert!(asked.len() < 100, "it comes to no end");
            listing.take(answer(page));
        }
        asked
    }

    #[test]
    fn pages_are_asked_for_until_one_brings_nobody_new() {
        let mut listing = Listing::of(&[QueueId::new("q")]);
        // This list has no pages: it is the same each time.
        assert_eq!(asked(&mut listing, |_| ids(&["b", "c"])), [(1, 1), (1, 2)]);
        assert_eq!(listing.found(), ids(&["b", "c"]));
        let mut listing = Listing::of(&[QueueId::new("q")]);
        assert_eq!(asked(&mut listing, |_| ids(&[])), [(1, 1)]);
        assert_eq!(asked(&mut Listing::of(&[]), |_| ids(&[])), []);
    }

    #[test]
    fn who_slips_between_queues_while_they_are_listed_is_found_when_they_are_listed_again() {
        let queues: Vec<QueueId> =
            (0..=QUEUES_PER_QUERY).map(|number| QueueId::new(format!("q{number}"))).collect();
        let mut listing = Listing::of(&queues);
        // The last queue alone comes first. After it, `c` is transferred to it from the others.
        let pages =
            [&["a", "b"][..], &[], &["d"], &[], &["a", "b", "c"], &[], &["d"], &[], &["a"], &[], &["d"], &[]];
        let mut pages = pages.into_iter();
        let asked = asked(&mut listing, |_| ids(pages.next().expect("no more is asked")));
        let pass = [(1, 1), (1, 2), (QUEUES_PER_QUERY, 1), (QUEUES_PER_QUERY, 2)];
        assert_eq!(asked, pass.repeat(3), "the third brings nobody new");
        assert_eq!(listing.found(), ids(&["a", "b", "c", "d"]));
    }

    #[test]
    fn who_slips_to_a_page_that_was_read_is_found_when_it_is_read_again() {
        let size = usize::try_from(PAGE_SIZE).expect("small");
        for calls in [size + 1, size * 2 + 30] {
            let mut live: Vec<ConversationId> =
                (0..calls).map(|number| ConversationId::new(format!("c{number:04}"))).collect();
            let all: BTreeSet<ConversationId> = live.iter().cloned().collect();
            let mut listing = Listing::of(&[QueueId::new("q")]);
            let asked = asked(&mut listing, |page| {
                let first = (usize::try_from(page).expect("small") - 1) * size;
                let page = live.iter().skip(first).take(size).cloned().collect();
                // The first one hangs up once the first page is read, and nobody after.
                if live.len() == calls {
                    live.remove(0);
                }
                page
            });
            assert_eq!(listing.found(), all);
            assert!(asked.len() <= 12, "{asked:?}");
        }
    }

    #[test]
    fn a_list_that_never_rests_is_read_so_often_and_no_more() {
        let mut listing = Listing::of(&[QueueId::new("q")]);
        let mut next = 0;
        let asked = asked(&mut listing, |page| {
            next += 1;
            if page > 3 { ids(&[]) } else { ids(&[&format!("c{next}")]) }
        });
        assert_eq!(asked.iter().filter(|(_, page)| *page == 1).count(), 3);
    }
}
