//! What was tried, and what is known of it.

use crate::audit::record::Attempt;
use crate::model::time::Wall;

/// An attempt, for the rate that a daemon owes after a restart.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// When it was journaled, right before its request went out.
    pub at: Wall,
    /// As it was journaled.
    pub attempt: Attempt,
    /// Whether what it asked for was seen.
    pub came: Came,
}

/// Whether what an attempt asked for was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Its decision was confirmed.
    True,
    /// Nobody knows.
    Unknown,
}
