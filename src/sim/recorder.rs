//! The recorders of a call, and what they put on tape together.

/// A recorder that runs or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spool {
    /// It does not run.
    Still,
    /// It runs.
    Turning,
}

/// The recorder of the policy ("customer experience").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorder {
    /// Nothing has been recorded yet, and nothing may ever be.
    Idle,
    /// It is at work; the platform may suspend it.
    Running,
    /// A secure pause.
    SecurePaused,
}

/// What is on tape: the recording state that the platform reports, with what makes a pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tape {
    /// Nothing is recorded.
    #[default]
    None,
    /// All that is said is recorded.
    Active,
    /// The platform has suspended it: an agent is being rung, or the caller is on hold (GENESYS.md 2.3).
    Suspended,
    /// A secure pause.
    SecurePaused,
}

impl Tape {
    /// `recordingState` in lower case, as in events.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Active => "active",
            Self::Suspended | Self::SecurePaused => "paused",
        }
    }

    /// `securePause`.
    pub fn is_secure(self) -> bool {
        self == Self::SecurePaused
    }
}
