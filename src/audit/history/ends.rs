//! How a log ends, and until when the processes that wrote it may have heard something.

use crate::audit::record::{CLOCK_ALERT, Record};
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
pub struct Heard {
    /// Until then: whatever has started since has not told the gap that begins there. None where it has, so that it is the
    /// end of the log.
    pub until: Option<Wall>,
    /// When the last process began, which heard nothing before; none where that is not known by this clock.
    pub began: Option<Wall>,
}

impl Heard {
    /// With this record, of that time.
    pub(super) fn then(self, at: Wall, record: &Record) -> Self {
        match (self, record) {
            (Self { until, .. }, Record::DaemonStarted(one)) => {
                Self { until: until.or(one.unheard_since), began: Some(at) }
            }
            (_, Record::GapOpened(_)) => Self { until: None, ..self },
            (_, Record::Alert(one)) if one.about == CLOCK_ALERT => Self { began: None, ..self },
            (heard, _) => heard,
        }
    }
}
