//! The gaps: spans of time in which events may have been missed, and who is still owed a look because of them.
//!
//! A gap begins with the last sign of life before a loss, or with the last event of a channel that is deaf or gone; the
//! first one of a process begins up to a minute before the log of the one before it ends (`warden::unheard_since`). It
//! is over once every topic is heard again. Whoever was live in it is owed a look: all that the book held when it
//! was opened, and all that the first query after it finds. A look counts where it was asked for after the gap was
//! over, or where it is an event that came then; the end of a conversation counts too. Once nobody is owed a look, the
//! gap is closed. A conversation that cannot be read keeps its gap open for as long as it lives.
//!
//! A conversation is blind from the gap's begin (or its own) until it is judged again, and while polling
//! stands in for events too, since a change between two polls goes unseen until the second. Where gaps
//! overlap, a second counts once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::ids::ConversationId;
use crate::model::time::{Mono, Now, Wall};
use crate::warden::book::{Book, ENDED_REMEMBERED};

/// Gaps that are told apart. Beyond it a loss is counted to the newest, which stays open for longer: nothing
/// is lost by that but the bounds of each, and only sockets that fail for hours come so far.
pub const GAPS_APART: usize = 64;

/// A span of time in which events may have been missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Its number.
    pub gap: u64,
    /// When it began.
    pub from: Wall,
}

/// A gap for which nobody is owed a look any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Which.
    pub gap: Gap,
    /// When every topic was heard again: from then on no event could be missed for it, however long somebody waited for
    /// the look that closed it.
    pub to: Wall,
    /// How many conversations were judged for it.
    pub judged: u32,
}

/// Whether the live conversations were queried since the gap was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listed {
    No,
    Yes,
}

#[derive(Clone, Debug)]
struct Open {
    gap: Gap,
    lasts: Span,
    /// When every topic was heard again after it.
    over_at: Option<Wall>,
    owed: BTreeSet<ConversationId>,
    listed: Listed,
    judged: u32,
}

/// Since when a gap lasts, or a conversation is blind: what had passed before it was noted, and since then. Clocks may be
/// set meanwhile.
#[derive(Clone, Copy, Debug)]
struct Span {
    before: Duration,
    since: Mono,
}

impl Span {
    fn lasted(self, now: Mono) -> Duration {
        self.before + now.since(self.since)
    }
}

/// For how long a conversation that began then has been blind in a gap that has lasted for so long. Where it seems to
/// begin later than now, since a clock is wrong, that is the whole of it; where nobody knows when it began, nothing yet.
fn blind_in(lasted: Duration, begun: Option<Wall>, now: Now) -> Duration {
    let within = |begun| if begun > now.wall { lasted } else { lasted.min(now.wall.since(begun)) };
    begun.map_or(Duration::ZERO, within)
}

/// All open gaps.
#[derive(Clone, Debug, Default)]
pub(super) struct Gaps {
    newest: u64,
    open: Vec<Open>,
    /// Gaps up to this number are over.
    over: u64,
    blind: BTreeMap<ConversationId, Span>,
    blind_before: Duration,
    /// Until when it was counted who has been blind: a gap that is told of later may have begun before that.
    counted: BTreeMap<ConversationId, Mono>,
    /// The same of those that have ended since a gap is open: a list may name them yet.
    ended: BTreeMap<ConversationId, Mono>,
}

impl Gaps {
    /// Opens a gap that began at `from`; none where so many are open that it joins the newest.
    pub(super) fn open(&mut self, from: Wall, book: &Book, now: Now) -> Option<Gap> {
        if self.open.len() >= GAPS_APART {
            self.over = self.over.min(self.newest.saturating_sub(1));
            if let Some(last) = self.open.last_mut() {
                (last.listed, last.over_at) = (Listed::No, None);
            }
            self.owe(from, book, now);
            return None;
        }
        self.newest += 1;
        let gap = Gap { gap: self.newest, from };
        self.push(gap.clone(), now);
        self.owe(from, book, now);
        Some(gap)
    }

    /// Takes a gap up again that the log says was open.
    pub(super) fn recover(&mut self, gap: Gap, now: Now) {
        self.newest = self.newest.max(gap.gap);
        self.push(gap, now);
    }

    fn push(&mut self, gap: Gap, now: Now) {
        let lasts = Span { before: now.wall.since(gap.from), since: now.mono };
        let owed = BTreeSet::new();
        self.open.push(Open { gap, lasts, over_at: None, owed, listed: Listed::No, judged: 0 });
    }

    /// All that the book holds is owed a look, by the newest gap and by every other that is not over.
    fn owe(&mut self, from: Wall, book: &Book, now: Now) {
        let over = self.over;
        for (id, call) in book.iter() {
            for open in self.open.iter_mut().filter(|open| open.gap.gap > over) {
                open.owed.insert(id.clone());
            }
            let before = blind_in(now.wall.since(from), call.conversation.start_time, now);
            self.blind_for_at_least(id, before, now);
        }
    }

    /// A conversation is blind now, and has been for so long. A gap that is told of later may have begun before.
    fn blind_for_at_least(&mut self, id: &ConversationId, before: Duration, now: Now) {
        let before = self.uncounted(id, before, now);
        let span = self.blind.entry(id.clone()).or_insert(Span { before, since: now.mono });
        if span.lasted(now.mono) < before {
            *span = Span { before, since: now.mono };
        }
    }

    /// So much of a span that ends now was not counted yet.
    fn uncounted(&self, id: &ConversationId, span: Duration, now: Now) -> Duration {
        let until = self.counted.get(id).or_else(|| self.ended.get(id));
        until.map_or(span, |until| span.min(now.mono.since(*until)))
    }

    /// Whoever is seen while a gap goes on is owed a look once it is over, and is blind from its begin until then.
    pub(super) fn seen(&mut self, id: &ConversationId, begun: Option<Wall>, now: Now) {
        let mut lasted: Option<Duration> = None;
        for open in self.open.iter_mut().filter(|open| open.gap.gap > self.over) {
            open.owed.insert(id.clone());
            lasted = lasted.max(Some(open.lasts.lasted(now.mono)));
        }
        let Some(lasted) = lasted else { return };
        self.blind_for_at_least(id, blind_in(lasted, begun, now), now);
    }

    /// Every topic is heard again: what is open is over.
    pub(super) fn over(&mut self, now: Wall) {
        self.over = self.newest;
        self.open.iter_mut().for_each(|open| open.over_at = open.over_at.or(Some(now)));
    }

    /// The number up to which gaps are over: what is asked from here on counts for them.
    pub(super) fn cover(&self) -> u64 {
        self.over
    }

    /// The live conversations were queried. Whoever is found is owed a look; a stranger whom a later query
    /// finds no more has ended.
    pub(super) fn listed(&mut self, found: &BTreeSet<ConversationId>, cover: u64, book: &Book) {
        for open in self.open.iter_mut().filter(|open| open.gap.gap <= cover) {
            if open.listed == Listed::No {
                open.owed.extend(found.iter().cloned());
                open.listed = Listed::Yes;
            }
            open.owed.retain(|id| found.contains(id) || book.get(id).is_some());
        }
    }

    /// A conversation was judged anew, by a look that counts for gaps up to `cover`. `begun` is when the
    /// conversation began, where the platform said so.
    pub(super) fn judged(&mut self, id: &ConversationId, cover: u64, begun: Option<Wall>, now: Now) {
        let mut lasted: Option<Duration> = None;
        for open in self.open.iter_mut().filter(|open| open.gap.gap <= cover) {
            if open.owed.remove(id) {
                open.judged += 1;
                lasted = lasted.max(Some(open.lasts.lasted(now.mono)));
            }
        }
        let Some(lasted) = lasted else { return };
        if self.open.iter().any(|open| open.owed.contains(id)) {
            return;
        }
        let whole = self.uncounted(id, blind_in(lasted, begun, now), now);
        self.blind_before += match self.blind.remove(id) {
            // When it began may not have been known before.
            Some(span) => span.lasted(now.mono).max(whole),
            // A list named it that was heard all the while.
            None if self.counted.contains_key(id) => Duration::ZERO,
            None => whole,
        };
        self.counted.insert(id.clone(), now.mono);
    }

    /// A conversation is over.
    pub(super) fn ended(&mut self, id: &ConversationId, begun: Option<Wall>, now: Now) {
        self.judged(id, u64::MAX, begun, now);
        self.counted.remove(id);
        if !self.open.is_empty() {
            self.ended.insert(id.clone(), now.mono);
        }
        if self.ended.len() > ENDED_REMEMBERED {
            self.ended.pop_first();
        }
    }

    /// The gaps that are closed by now.
    pub(super) fn close(&mut self) -> Vec<Closed> {
        let over = self.over;
        let mut closed = Vec::new();
        self.open.retain(|open| {
            let done = open.gap.gap <= over && open.listed == Listed::Yes && open.owed.is_empty();
            match open.over_at.filter(|_| done) {
                Some(to) => closed.push(Closed { gap: open.gap.clone(), to, judged: open.judged }),
                None => return true,
            }
            false
        });
        if self.open.is_empty() {
            self.ended.clear();
        }
        closed
    }

    /// Who is owed a look by gaps that are over.
    pub(super) fn owed(&self) -> BTreeSet<ConversationId> {
        let over = self.open.iter().filter(|open| open.gap.gap <= self.over);
        over.flat_map(|open| open.owed.iter().cloned()).collect()
    }

    /// Whether anybody is.
    pub(super) fn owes(&self) -> bool {
        self.open.iter().any(|open| open.gap.gap <= self.over && !open.owed.is_empty())
    }

    /// Whether any gap owes this conversation a look.
    pub(super) fn owes_look(&self, id: &ConversationId) -> bool {
        self.open.iter().any(|open| open.owed.contains(id))
    }

    /// How many gaps are open.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// The oldest open gap that is over.
    pub(super) fn oldest_over(&self) -> Option<&Gap> {
        self.open.iter().map(|open| &open.gap).find(|gap| gap.gap <= self.over)
    }

    /// The time, summed over conversations, in which a change could have gone unseen.
    pub(super) fn blind_for(&self, now: Mono) -> Duration {
        self.blind.values().fold(self.blind_before, |sum, span| sum + span.lasted(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversation::Conversation;

    fn at(seconds: u64) -> Now {
        let since_start = Duration::from_secs(seconds);
        Now { mono: Mono::new(since_start), wall: Wall::from_micros(0) + since_start }
    }

    fn id(name: &str) -> ConversationId {
        ConversationId::new(name)
    }

    fn book(names: &[&str]) -> Book {
        let mut book = Book::within(1 << 20);
        for name in names {
            let start_time = Some(at(0).wall);
            book.take(Conversation { id: id(name), start_time, ..Conversation::default() }, at(0));
        }
        book
    }

    #[test]
    fn whose_begin_nobody_knows_is_blind_from_when_it_is_known_of_and_a_call_that_was_heard_counts_no_more() {
        let mut gaps = Gaps::default();
        gaps.open(at(100).wall, &book(&["heard"]), at(110));
        gaps.seen(&id("late"), None, at(112));
        gaps.over(at(115).wall);
        gaps.judged(&id("heard"), gaps.cover(), None, at(116));
        gaps.judged(&id("late"), gaps.cover(), Some(at(105).wall), at(116));
        assert_eq!(gaps.blind_for(at(120).mono), Duration::from_secs(16 + 11));
        gaps.listed(&["heard", "gone"].map(id).into(), gaps.cover(), &book(&["heard"]));
        gaps.judged(&id("heard"), gaps.cover(), Some(at(0).wall), at(140));
        gaps.judged(&id("gone"), gaps.cover(), None, at(140));
        assert_eq!(gaps.blind_for(at(140).mono), Duration::from_secs(16 + 11));
    }

    #[test]
    fn what_was_counted_for_one_gap_is_not_counted_for_a_later_one_that_began_before() {
        let mut gaps = Gaps::default();
        let book = book(&["one"]);
        gaps.open(at(100).wall, &book, at(110));
        gaps.over(at(111).wall);
        gaps.judged(&id("one"), gaps.cover(), None, at(112));
        gaps.open(at(60).wall, &book, at(120));
        assert_eq!(gaps.blind_for(at(125).mono), Duration::from_secs(12 + 13));
        gaps.over(at(125).wall);
        gaps.ended(&id("one"), None, at(126));
        assert_eq!(gaps.blind_for(at(130).mono), Duration::from_secs(12 + 14));
    }

    #[test]
    fn a_gap_that_began_before_one_that_is_open_counts_from_its_own_begin() {
        let mut gaps = Gaps::default();
        let book = book(&["one"]);
        gaps.open(at(100).wall, &book, at(110));
        assert_eq!(gaps.blind_for(at(112).mono), Duration::from_secs(12));
        gaps.open(at(60).wall, &book, at(115));
        gaps.open(at(110).wall, &book, at(116));
        assert_eq!(gaps.blind_for(at(120).mono), Duration::from_secs(60));
    }

    #[test]
    fn only_a_look_that_was_asked_for_after_the_gap_was_over_counts() {
        let book = book(&["a"]);
        let mut gaps = Gaps::default();
        gaps.open(at(10).wall, &book, at(12));
        let early = gaps.cover();
        gaps.over(at(15).wall);
        gaps.listed(&BTreeSet::from([id("a")]), gaps.cover(), &book);
        gaps.judged(&id("a"), early, None, at(20));
        assert_eq!(gaps.close(), []);
        gaps.judged(&id("a"), gaps.cover(), None, at(21));
        gaps.over(at(30).wall);
        let gap = Gap { gap: 1, from: at(10).wall };
        assert_eq!(gaps.close(), [Closed { gap, to: at(15).wall, judged: 1 }], "it ends where it was over");
        assert_eq!(gaps.blind_for(at(99).mono), Duration::from_secs(11));
    }

    #[test]
    fn a_gap_waits_for_the_query_and_for_strangers_that_it_finds() {
        let book = book(&[]);
        let mut gaps = Gaps::default();
        gaps.open(at(10).wall, &book, at(10));
        gaps.over(at(0).wall);
        assert_eq!(gaps.close(), []);
        gaps.listed(&BTreeSet::from([id("stranger"), id("other")]), gaps.cover(), &book);
        gaps.judged(&id("stranger"), gaps.cover(), Some(at(15).wall), at(20));
        assert_eq!(gaps.blind_for(at(20).mono), Duration::from_secs(5), "from its own begin");
        assert_eq!(gaps.close(), []);
        gaps.listed(&BTreeSet::new(), gaps.cover(), &book);
        assert_eq!(gaps.close().len(), 1, "a stranger that is listed no more has ended");
    }

    /// Found by the simulation: who was found by polling and ended before anything was heard again was not counted.
    #[test]
    fn who_is_first_seen_while_a_gap_goes_on_is_blind_from_its_begin_to_its_end() {
        let mut book = book(&[]);
        let mut gaps = Gaps::default();
        gaps.open(at(10).wall, &book, at(10));
        for (name, begun) in [("short", 5), ("long", 15)] {
            book.take(Conversation { id: id(name), ..Conversation::default() }, at(20));
            gaps.seen(&id(name), Some(at(begun).wall), at(20));
        }
        assert_eq!(gaps.blind_for(at(25).mono), Duration::from_secs(15 + 10));
        gaps.judged(&id("short"), u64::MAX, Some(at(5).wall), at(30));
        assert_eq!(gaps.blind_for(at(40).mono), Duration::from_secs(20 + 25));
        gaps.over(at(0).wall);
        gaps.listed(&BTreeSet::new(), gaps.cover(), &book);
        assert_eq!(gaps.close(), []);
        gaps.judged(&id("long"), gaps.cover(), Some(at(15).wall), at(50));
        assert_eq!((gaps.close().len(), gaps.blind_for(at(99).mono)), (1, Duration::from_secs(20 + 35)));
    }

    /// Found by the simulation: with a clock that was set back nothing had passed.
    #[test]
    fn a_clock_that_is_set_makes_nobody_blind_for_less_or_for_longer_than_the_gap() {
        for wall in [5, 4000] {
            let mut gaps = Gaps::default();
            gaps.open(at(10).wall, &book(&[]), at(10));
            let set = Now { mono: at(30).mono, wall: at(wall).wall };
            gaps.seen(&id("a"), Some(at(8).wall), set);
            assert_eq!(gaps.blind_for(set.mono), Duration::from_secs(20), "the clock says {wall} s");
            gaps.over(at(0).wall);
            gaps.listed(&BTreeSet::from([id("b")]), gaps.cover(), &book(&["a"]));
            gaps.judged(&id("b"), gaps.cover(), Some(at(8).wall), set);
            assert_eq!(gaps.blind_for(set.mono), Duration::from_secs(40));
        }
    }

    #[test]
    fn a_second_counts_once_where_gaps_overlap() {
        let book = book(&["a"]);
        let mut gaps = Gaps::default();
        gaps.open(at(0).wall, &book, at(1));
        gaps.open(at(5).wall, &book, at(6));
        gaps.over(at(0).wall);
        gaps.listed(&BTreeSet::new(), gaps.cover(), &book);
        gaps.judged(&id("a"), gaps.cover(), None, at(10));
        assert_eq!((gaps.close().len(), gaps.blind_for(at(50).mono)), (2, Duration::from_secs(10)));
    }

    #[test]
    fn beyond_very_many_gaps_a_loss_joins_the_newest_which_is_not_over_any_more() {
        let book = book(&["a"]);
        let mut gaps = Gaps::default();
        assert!((0..GAPS_APART).all(|_| gaps.open(at(0).wall, &book, at(0)).is_some()));
        gaps.over(at(0).wall);
        assert_eq!(gaps.open(at(9).wall, &book, at(9)), None);
        gaps.listed(&BTreeSet::new(), gaps.cover(), &book);
        gaps.judged(&id("a"), gaps.cover(), None, at(10));
        assert_eq!((gaps.close().len(), gaps.len()), (GAPS_APART - 1, 1));
    }

    #[test]
    fn a_gap_of_the_life_before_is_closed_with_the_first_of_this_one() {
        let book = book(&["held"]);
        let mut gaps = Gaps::default();
        gaps.recover(Gap { gap: 7, from: at(1).wall }, at(9));
        assert_eq!(gaps.open(at(5).wall, &book, at(9)).map(|gap| gap.gap), Some(8));
        gaps.over(at(9).wall);
        gaps.listed(&BTreeSet::new(), gaps.cover(), &book);
        assert_eq!(gaps.close(), []);
        gaps.judged(&id("held"), gaps.cover(), None, at(10));
        let closed: Vec<(u64, Wall)> = gaps.close().into_iter().map(|one| (one.gap.gap, one.to)).collect();
        assert_eq!(closed, [(7, at(9).wall), (8, at(9).wall)]);
    }
}
