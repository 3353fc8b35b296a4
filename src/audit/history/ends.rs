//! How a log ends, and until when the processes that wrote it may have heard something.

use crate::audit::record::Record;
use crate::model::time::Wall;

/// How the log ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stopped {
    /// In the middle: a crash, or a daemon that runs.
    #[default]
    No,
    /// With `daemon.stopped`.
    Cleanly,
}

/// Until when something may have been heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Heard {
    /// Until the end of the log, from the last start on.
    #[default]
    UntilTheEnd,
    /// Until then: whatever has started since has not told the gap that begins there.
    Until(Wall),
}

impl Heard {
    /// With this record.
    pub(super) fn then(self, record: &Record) -> Self {
        match (self, record) {
            (Self::UntilTheEnd, Record::DaemonStarted(one)) => one.unheard_since.map_or(self, Self::Until),
            (Self::Until(_), Record::GapOpened(_)) => Self::UntilTheEnd,
            (heard, _) => heard,
        }
    }
}
