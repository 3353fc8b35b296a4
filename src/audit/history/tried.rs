//! What counts for the rate that a daemon owes after a restart: what was tried, with what is known of it, and which
//! processes have started.

use crate::audit::record::{Attempt, DaemonStarted};
use crate::model::time::Wall;

/// The start of a process, which sends housekeeping that no record tells of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Started {
    /// When it was journaled.
    pub(super) at: Wall,
    /// As it was journaled.
    pub(super) record: DaemonStarted,
}

/// An attempt.
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
