//! The resync: what is live now, asked of the platform instead of heard from it.
//!
//! A round is a list of the conversations on the subscribed queues (`listing`), and then a read of each of them and of
//! all that the book holds: first those with an open decision or a hold, then strangers, then those on tape
//! or with an agent, then the rest; within each the longest unseen first. A round runs at the start, after
//! each gap, every `resync_every` (anti-entropy), and one after another while nothing is heard
//! (`warden::sight`). By turns with a round go second looks at whom an event may have told of too late (`second`). What
//! it may send is the allowance's matter. Which look closes which gap is told in `gaps`, and
//! what shows that the subscription is deaf in `silence`.

mod gaps;
mod listing;
mod reading;
mod second;
mod silence;
mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use gaps::{Closed, GAPS_APART, Gap};
pub use listing::QUEUES_PER_QUERY;
pub use reading::Progress;

use crate::model::ids::{ConversationId, QueueId};
use crate::model::time::{Mono, Now, Wall};
use crate::warden::backoff::{News, Trouble};
use crate::warden::book::Book;
use crate::wire::request::Request;
use gaps::Gaps;
use listing::Listing;
use reading::Reading;
use second::Second;
use silence::Silence;
pub use silence::Untold;

/// While nothing is heard, rounds begin no faster: with few conversations they would otherwise only spend
/// the budget.
pub const POLL_EVERY: Duration = Duration::from_secs(5);
/// Who could not be read in a round and keeps a gap open is tried again after this.
const REREAD_EVERY: Duration = Duration::from_secs(60);
/// Why a conversation is unreadable whose reads all failed for now until the next round.
const NO_READ: &str = "no read of it was answered in the last round";
/// Where the list could not be had and somebody is read without it, it is asked for again no sooner.
const QUERY_AGAIN: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
enum Stage {
    Idle,
    Query { listing: Listing, cover: u64, due: Mono },
    Querying { listing: Listing, cover: u64 },
    Reading(Reading),
}

/// The resync and the gaps it is to close.
#[derive(Clone, Debug)]
pub struct Survey {
    stage: Stage,
    gaps: Gaps,
    /// Looks beside the rounds.
    second: Second,
    first: First,
    every: Duration,
    begun: Option<Mono>,
    next_round: Option<Mono>,
    reread_at: Option<Mono>,
    /// Whether something asked for a round while one was running.
    again: Again,
    told_at: Mono,
    overdue_told_at: Option<Mono>,
    /// Why who is owed a look could not be read.
    unreadable: BTreeMap<ConversationId, String>,
    /// Why the live conversations could not be queried.
    trouble: Trouble,
    silence: Silence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    No,
    Yes,
}

/// What goes first where both are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    SecondLook,
    Round,
}

/// What a survey wants sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The activity query.
    Query(Request),
    /// A read of one conversation.
    Read(ConversationId),
    /// A second look at one.
    Again(ConversationId),
}

impl Survey {
    /// Nothing to do yet.
    pub fn new(every: Duration) -> Self {
        Self {
            stage: Stage::Idle,
            gaps: Gaps::default(),
            second: Second::default(),
            first: First::SecondLook,
            every,
            begun: None,
            next_round: None,
            reread_at: None,
            again: Again::No,
            told_at: Mono::default(),
            overdue_told_at: None,
            unreadable: BTreeMap::new(),
            trouble: Trouble::default(),
            silence: Silence::default(),
        }
    }

    /// A new interval after a reload.
    pub fn resettle(&mut self, every: Duration) {
        self.every = every;
    }

    /// Opens a gap that began at `from`; none where it joins the newest of very many.
    pub fn open_gap(&mut self, from: Wall, book: &Book, now: Now) -> Option<Gap> {
        self.silence.explain(now.mono - now.wall.since(from));
        self.gaps.open(from, book, now)
    }

    /// Takes a gap up again that the log says was open.
    pub fn recover_gap(&mut self, gap: Gap, now: Now) {
        self.gaps.recover(gap, now);
    }

    /// Every topic is heard again: open gaps are over, and a round is to close them.
    pub fn all_heard(&mut self, now: Wall) {
        self.gaps.over(now);
        self.again = Again::Yes;
    }

    /// There is no subscription to wait for: no gap goes on, and rounds are all that tells of anything.
    pub fn nothing_to_hear(&mut self, now: Wall) {
        self.gaps.over(now);
        self.again = self.begun.map_or(Again::Yes, |_| self.again);
    }

    /// There is something to be found: a round begins now, or once more after the one that is running.
    pub fn ask_for_round(&mut self) {
        self.again = Again::Yes;
    }

    /// While nothing is heard: the next round begins soon.
    pub fn poll(&mut self, now: Mono) {
        let at = self.begun.map_or(now, |begun| begun + POLL_EVERY);
        self.next_round = Some(self.next_round.map_or(at, |next| next.min(at)));
    }

    /// Begins the round that is due, of everything or of those who are owed a look alone.
    pub fn begin(&mut self, queues: &[QueueId], book: &Book, now: Mono) {
        self.told_at = now;
        if !self.next_is_due(now) {
            self.reread_at = None;
            self.stage = Stage::Reading(Reading::of(self.gaps.owed(), book));
            return;
        }
        self.again = Again::No;
        self.begun = Some(now);
        self.next_round = Some(now + self.every);
        let (listing, cover) = (Listing::of(queues), self.gaps.cover());
        self.stage = Stage::Query { listing, cover, due: now };
    }

    /// Whether a round is due: somebody asked for one meanwhile, an interval is over, or somebody who could
    /// not be read is to be tried again.
    pub fn is_due(&self, now: Mono) -> bool {
        let reread = self.reread_at.is_some_and(|at| at <= now);
        matches!(self.stage, Stage::Idle) && (self.next_is_due(now) || reread)
    }

    /// An event told of a conversation what may be older than what was known: it is read.
    pub fn ask_for_second_look(&mut self, id: &ConversationId, now: Mono) {
        self.second.ask(id, now);
    }

    /// Such a read failed for now.
    pub fn second_look_failed(&mut self, id: &ConversationId, now: Mono) {
        self.second.failed(id, now);
    }

    /// It was read, which way ever, or cannot be read.
    pub fn second_look_taken(&mut self, id: &ConversationId) {
        self.second.done(id);
    }

    /// What to send next. Where both have something, second looks and the round take turns, so that neither waits for the
    /// end of the other.
    pub fn next_ask(&mut self, book: &Book, now: Mono) -> Option<Ask> {
        let ask = match self.first {
            First::SecondLook => self.next_again(now).or_else(|| self.next_of_round(book, now)),
            First::Round => self.next_of_round(book, now).or_else(|| self.next_again(now)),
        }?;
        self.first = match &ask {
            Ask::Again(_) => First::Round,
            Ask::Query(_) | Ask::Read(_) => First::SecondLook,
        };
        Some(ask)
    }

    fn next_again(&mut self, now: Mono) -> Option<Ask> {
        self.second.next(now).map(Ask::Again)
    }

    fn next_of_round(&mut self, book: &Book, now: Mono) -> Option<Ask> {
        match &mut self.stage {
            Stage::Query { listing, cover, due } if *due <= now => {
                let (listing, cover) = (std::mem::take(listing), *cover);
                if let Some(request) = listing.next_request() {
                    self.stage = Stage::Querying { listing, cover };
                    return Some(Ask::Query(request));
                }
                let mut found = listing.found();
                self.gaps.listed(&found, cover, book);
                found.extend(book.iter().map(|(id, _)| id.clone()));
                self.stage = Stage::Reading(Reading::of(found, book));
                self.next_of_round(book, now)
            }
            Stage::Reading(reading) => reading.next(self.gaps.cover(), now).map(Ask::Read),
            Stage::Idle | Stage::Query { .. } | Stage::Querying { .. } => None,
        }
    }

    /// Whether [`Survey::next_ask`] may have something.
    pub fn wants(&self, now: Mono) -> bool {
        let second = self.second.next_due().is_some_and(|due| due <= now);
        second
            || match &self.stage {
                Stage::Idle | Stage::Querying { .. } => false,
                Stage::Query { due, .. } => *due <= now,
                Stage::Reading(reading) => reading.wants(now),
            }
    }

    /// A query was answered.
    pub fn found(&mut self, ids: BTreeSet<ConversationId>, now: Mono) {
        if let Stage::Querying { listing, cover } = &mut self.stage {
            listing.take(ids);
            let (listing, cover) = (std::mem::take(listing), *cover);
            self.stage = Stage::Query { listing, cover, due: now };
        }
        self.trouble = Trouble::default();
    }

    /// A query failed, for this reason, and may be sent again at `due`. Whoever is known can be read all the same; who is
    /// not is found by the next round, and a gap stays open until then.
    pub fn query_failed(&mut self, why: &str, due: Mono, book: &Book, now: Mono) -> News {
        if let Stage::Querying { listing, .. } = &mut self.stage {
            let listing = std::mem::take(listing);
            let mut found = listing.found();
            found.extend(book.iter().map(|(id, _)| id.clone()));
            let again = if found.is_empty() { due } else { due.max(now + QUERY_AGAIN) };
            self.next_round = Some(self.next_round.map_or(again, |next| next.min(again)));
            self.stage = Stage::Reading(Reading::of(found, book));
        }
        self.trouble.again(why, now)
    }

    /// A conversation was read. `begun` is when it began, where the platform said so.
    pub fn read(&mut self, id: &ConversationId, begun: Option<Wall>, now: Now) {
        if let Stage::Reading(reading) = &mut self.stage
            && let Some(cover) = reading.done(id)
        {
            self.unreadable.remove(id);
            self.gaps.judged(id, cover, begun, now);
        }
    }

    /// A read failed for now: it is tried again, behind the others.
    pub fn read_failed(&mut self, id: &ConversationId, now: Mono) {
        if let Stage::Reading(reading) = &mut self.stage {
            reading.put_off(id, now);
        }
    }

    /// A conversation cannot be read, and why: the round goes on without it, and its gap stays open.
    pub fn unreadable(&mut self, id: &ConversationId, why: &str) {
        if let Stage::Reading(reading) = &mut self.stage
            && reading.done(id).is_some()
        {
            self.unreadable.insert(id.clone(), why.to_owned());
        }
    }

    /// An event told how a conversation is now.
    pub fn heard(&mut self, id: &ConversationId, begun: Option<Wall>, now: Now) {
        self.silence.end(id);
        self.unreadable.remove(id);
        if let Stage::Reading(reading) = &mut self.stage {
            reading.strike(id);
        }
        self.gaps.judged(id, self.gaps.cover(), begun, now);
    }

    /// Somebody is seen, which way ever.
    pub fn seen(&mut self, id: &ConversationId, begun: Option<Wall>, now: Now) {
        self.gaps.seen(id, begun, now);
    }

    /// An event came that is older than what is known: the subscription is heard all the same.
    pub fn heard_late(&mut self, id: &ConversationId) {
        self.silence.end(id);
    }

    /// A conversation is over: nobody is owed a look at it any more.
    pub fn ended(&mut self, id: &ConversationId, begun: Option<Wall>, now: Now) {
        self.second.done(id);
        self.unreadable.remove(id);
        if let Stage::Reading(reading) = &mut self.stage {
            reading.strike(id);
        }
        self.gaps.ended(id, begun, now);
    }

    /// A read found a change that no event had told: one may still be on its way.
    pub fn changed_in_silence(&mut self, id: &ConversationId, untold: Untold) {
        self.silence.begin(id, untold);
    }

    /// Where an event did not come at all, so that the subscription can't be trusted (GENESYS.md: an evicted
    /// channel still answers and beats), what is untold. Told once.
    pub fn change_without_event(&mut self, now: Mono) -> Option<Untold> {
        self.silence.take_overdue(now)
    }

    /// When an event that is waited for is overdue.
    pub fn event_overdue_at(&self) -> Option<Mono> {
        self.silence.next_overdue()
    }

    /// Ends a round whose every read is done, or failed for now and is done by the next round, which is due.
    pub fn finish(&mut self, now: Mono) {
        let Stage::Reading(reading) = &self.stage else { return };
        let Some(failed) = reading.left_failed() else { return };
        if reading.left() > 0 && !self.next_is_due(now) {
            return;
        }
        self.unreadable.extend(failed.map(|id| (id.clone(), NO_READ.to_owned())));
        self.stage = Stage::Idle;
        self.reread_at = self.gaps.owes().then_some(now + REREAD_EVERY);
        let owed = self.gaps.owed();
        self.unreadable.retain(|id, _| owed.contains(id));
    }

    /// Whether a round of everything is due as soon as none is running.
    fn next_is_due(&self, now: Mono) -> bool {
        self.again == Again::Yes || self.next_round.is_some_and(|at| at <= now)
    }

    /// The gaps that are closed by now.
    pub fn closed_gaps(&mut self) -> Vec<Closed> {
        self.gaps.close()
    }

    /// Whether a gap owes this conversation a look.
    pub fn owes_look(&self, id: &ConversationId) -> bool {
        self.gaps.owes_look(id)
    }

    /// How many gaps are open.
    pub fn gap_count(&self) -> usize {
        self.gaps.len()
    }

    /// The time, summed over conversations, in which a change could have gone unseen.
    pub fn blind_for(&self, now: Mono) -> Duration {
        self.gaps.blind_for(now)
    }

    /// When something falls due.
    pub fn next_wakeup(&self) -> Option<Mono> {
        let round = match &self.stage {
            Stage::Idle if self.again == Again::Yes => Some(Mono::default()),
            Stage::Idle => [self.next_round, self.reread_at].into_iter().flatten().min(),
            Stage::Query { due, .. } => Some(*due),
            Stage::Reading(reading) => match reading.left_failed() {
                // Nothing is left to wait for: the round ends with the next look.
                Some(_) if reading.left() == 0 || self.again == Again::Yes => Some(Mono::default()),
                Some(_) => reading.next_retry().into_iter().chain(self.next_round).min(),
                None => reading.next_retry(),
            },
            Stage::Querying { .. } => None,
        };
        round.into_iter().chain(self.second.next_due()).min()
    }
}
