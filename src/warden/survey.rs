//! The resync: what is live now, asked of the platform instead of heard from it.
//!
//! It runs at the start, after each gap, and every `resync_every` (anti-entropy): one query for the
//! conversations on the subscribed queues, then a read of each of them and of all that the book holds.
//! A gap is closed when every conversation that was live in it has been read and judged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::ids::{ConversationId, QueueId};
use crate::model::time::{Mono, Wall};
use crate::wire::request::Request;

/// Queues named in one activity query; the platform bounds the size of a request, not the predicates.
pub const QUEUES_PER_QUERY: usize = 100;

/// An event that is later than this after the change was read will not come.
const EVENT_WAIT: Duration = Duration::from_secs(10);

/// A span of time in which events may have been missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Its number.
    pub gap: u64,
    /// When it began.
    pub from: Wall,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Query { queues: Vec<Vec<QueueId>>, found: BTreeSet<ConversationId>, due: Mono },
    Querying { queues: Vec<Vec<QueueId>>, found: BTreeSet<ConversationId> },
    Reading { waiting: BTreeSet<ConversationId>, under_way: BTreeSet<ConversationId>, judged: u32 },
}

/// The resync and the gaps it is to close.
#[derive(Clone, Debug)]
pub struct Survey {
    stage: Stage,
    next_gap: u64,
    open: Vec<Gap>,
    covering: Vec<Gap>,
    next_round: Option<Mono>,
    every: Duration,
    /// Whether something asked for a round while one was running.
    again: Again,
    /// Conversations that changed without an event, and since when one is waited for.
    silent: BTreeMap<ConversationId, Mono>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    No,
    Yes,
}

/// What a survey wants sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The activity query.
    Query(Request),
    /// A read of one conversation.
    Read(ConversationId),
}

impl Survey {
    /// Nothing to do yet.
    pub fn new(every: Duration) -> Self {
        Self {
            stage: Stage::Idle,
            next_gap: 1,
            open: Vec::new(),
            covering: Vec::new(),
            next_round: None,
            every,
            again: Again::No,
            silent: BTreeMap::new(),
        }
    }

    /// A new interval after a reload.
    pub fn resettle(&mut self, every: Duration) {
        self.every = every;
    }

    /// Opens a gap that began at `from`.
    pub fn open_gap(&mut self, from: Wall) -> Gap {
        let gap = Gap { gap: self.next_gap, from };
        self.next_gap += 1;
        self.open.push(gap.clone());
        gap
    }

    /// Starts a round, or one more after the one that is running.
    pub fn start(&mut self, queues: &[QueueId], now: Mono) {
        if self.stage != Stage::Idle {
            self.again = Again::Yes;
            return;
        }
        self.again = Again::No;
        self.covering = std::mem::take(&mut self.open);
        let queues = queues.chunks(QUEUES_PER_QUERY).map(<[QueueId]>::to_vec).collect();
        self.stage = Stage::Query { queues, found: BTreeSet::new(), due: now };
        self.next_round = Some(now + self.every);
    }

    /// Whether a round is due: somebody asked for one meanwhile, or the interval is over.
    pub fn is_due(&self, now: Mono) -> bool {
        self.stage == Stage::Idle && (self.again == Again::Yes || self.next_round.is_some_and(|at| at <= now))
    }

    /// What to send next. `known` are the conversations in the book.
    pub fn next_ask(&mut self, known: impl Fn() -> Vec<ConversationId>, now: Mono) -> Option<Ask> {
        match &mut self.stage {
            Stage::Query { queues, found, due } if *due <= now => match queues.pop() {
                Some(chunk) => {
                    queues.push(chunk.clone());
                    let (queues, found) = (std::mem::take(queues), std::mem::take(found));
                    self.stage = Stage::Querying { queues, found };
                    Some(Ask::Query(Request::ActivityQuery { queues: chunk }))
                }
                None => {
                    let mut waiting = std::mem::take(found);
                    waiting.extend(known());
                    self.stage = Stage::Reading { waiting, under_way: BTreeSet::new(), judged: 0 };
                    self.next_ask(known, now)
                }
            },
            Stage::Reading { waiting, under_way, .. } => {
                let next = waiting.pop_first()?;
                under_way.insert(next.clone());
                Some(Ask::Read(next))
            }
            Stage::Idle | Stage::Query { .. } | Stage::Querying { .. } => None,
        }
    }

    /// Whether [`Survey::next_ask`] may have something.
    pub fn wants(&self, now: Mono) -> bool {
        match &self.stage {
            Stage::Idle | Stage::Querying { .. } => false,
            Stage::Query { due, .. } => *due <= now,
            Stage::Reading { waiting, .. } => !waiting.is_empty(),
        }
    }

    /// A query was answered.
    pub fn found(&mut self, ids: Vec<ConversationId>, now: Mono) {
        if let Stage::Querying { queues, found } = &mut self.stage {
            queues.pop();
            found.extend(ids);
            self.stage =
                Stage::Query { queues: std::mem::take(queues), found: std::mem::take(found), due: now };
        }
    }

    /// A query failed: it is sent again at `due`.
    pub fn query_failed(&mut self, due: Mono) {
        if let Stage::Querying { queues, found } = &mut self.stage {
            self.stage = Stage::Query { queues: std::mem::take(queues), found: std::mem::take(found), due };
        }
    }

    /// A conversation was read (or is known to be gone).
    pub fn read(&mut self, id: &ConversationId) {
        if let Stage::Reading { under_way, judged, .. } = &mut self.stage
            && under_way.remove(id)
        {
            *judged += 1;
        }
    }

    /// A read found a change that no event had told: one may still be on its way.
    pub fn changed_in_silence(&mut self, id: &ConversationId, now: Mono) {
        self.silent.entry(id.clone()).or_insert(now + EVENT_WAIT);
    }

    /// An event of a conversation came.
    pub fn heard(&mut self, id: &ConversationId) {
        self.silent.remove(id);
    }

    /// Whether an event did not come at all, so that the subscription can't be trusted (GENESYS.md: an evicted
    /// channel still answers and beats). Told once.
    pub fn subscription_is_deaf(&mut self, now: Mono) -> bool {
        let deaf = self.silent.values().any(|until| *until <= now);
        if deaf {
            self.silent.clear();
        }
        deaf
    }

    /// When an event that is waited for is overdue.
    pub fn event_overdue_at(&self) -> Option<Mono> {
        self.silent.values().min().copied()
    }

    /// A read failed: it is tried again in its turn.
    pub fn read_failed(&mut self, id: &ConversationId) {
        if let Stage::Reading { waiting, under_way, .. } = &mut self.stage
            && under_way.remove(id)
        {
            waiting.insert(id.clone());
        }
    }

    /// The gaps that are closed, with the number of conversations judged, once a round is complete.
    pub fn finish(&mut self) -> Option<(Vec<Gap>, u32)> {
        match &self.stage {
            Stage::Reading { waiting, under_way, judged } if waiting.is_empty() && under_way.is_empty() => {
                let judged = *judged;
                self.stage = Stage::Idle;
                Some((std::mem::take(&mut self.covering), judged))
            }
            Stage::Idle | Stage::Query { .. } | Stage::Querying { .. } | Stage::Reading { .. } => None,
        }
    }

    /// How many conversations are still to be read, while a round runs.
    pub fn remaining(&self) -> Option<usize> {
        match &self.stage {
            Stage::Idle => None,
            Stage::Query { .. } | Stage::Querying { .. } => Some(0),
            Stage::Reading { waiting, under_way, .. } => Some(waiting.len() + under_way.len()),
        }
    }

    /// Whether a gap is open or being closed.
    pub fn has_gaps(&self) -> bool {
        !self.open.is_empty() || !self.covering.is_empty()
    }

    /// When something falls due.
    pub fn next_wakeup(&self) -> Option<Mono> {
        match &self.stage {
            Stage::Idle if self.again == Again::Yes => Some(Mono::default()),
            Stage::Idle => self.next_round,
            Stage::Query { due, .. } => Some(*due),
            Stage::Querying { .. } | Stage::Reading { .. } => None,
        }
    }
}
