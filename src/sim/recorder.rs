//! The recorders of a call, and what they put on tape together.

use crate::model::time::Wall;

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

/// Who makes the recorder of the policy do something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The platform, by itself.
    Platform,
    /// An agent, by hand.
    Agent,
    /// A client of the API.
    Client,
}

/// A change of what the recorder of the policy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// When.
    pub at: Wall,
    /// By whom.
    pub by: By,
    /// What it does from then on.
    pub to: Recorder,
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
