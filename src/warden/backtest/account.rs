//! What is kept of one conversation while it lives.

use smallvec::SmallVec;

use super::Mark;
use crate::model::recording::Observed;
use crate::model::time::Wall;

/// One conversation.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// The event it stands on.
    pub(super) mark: Mark,
    /// When it was seen last.
    pub(super) seen: Wall,
    /// Up to when its seconds are counted.
    pub(super) settled: Wall,
    /// Whether the two policies have parted on it.
    pub(super) has_parted: bool,
    /// The queue it is in; empty where it is in none.
    pub(super) queue: String,
    /// Whether a name of its queue was missing once.
    pub(super) was_unnamed: bool,
    /// How each policy stands to it.
    pub(super) stands: SmallVec<[Stand; 2]>,
    /// Rules that spoke for it.
    pub(super) touched: Touched,
    /// Rules that could not be evaluated on it.
    pub(super) failed: Touched,
}

/// How one policy stands to one conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    /// The rule that speaks.
    pub(super) rule: u32,
    /// The recording as it would be.
    pub(super) observed: Observed,
    /// The rule by which nothing is recorded.
    pub(super) stopped_by: Option<u32>,
}

impl Default for Stand {
    fn default() -> Self {
        Self { rule: 0, observed: Observed::None, stopped_by: None }
    }
}

impl Stand {
    pub(super) fn is_recording(&self) -> bool {
        self.observed == Observed::Active
    }
}

impl Account {
    pub(super) fn new(at: Wall) -> Self {
        Self {
            mark: Mark::default(),
            seen: at,
            settled: at,
            has_parted: false,
            queue: String::new(),
            was_unnamed: false,
            stands: SmallVec::new(),
            touched: Touched::default(),
            failed: Touched::default(),
        }
    }
}

/// Rules, by policy and number.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched(SmallVec<[(usize, u32); 4]>);

impl Touched {
    /// Notes that a rule spoke; answers whether it is the first time.
    pub(super) fn note(&mut self, side: usize, rule: u32) -> bool {
        let new = !self.0.contains(&(side, rule));
        if new {
            self.0.push((side, rule));
        }
        new
    }
}
