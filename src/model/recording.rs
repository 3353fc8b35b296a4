//! The recording of a conversation: as the platform reports it, and as the policy wants it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What one recorder reports. The platform writes these in both cases (`ACTIVE` in REST, `active` in
/// events; GENESYS.md 3.1), so they are read without regard to case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecorderState {
    /// Nothing is recorded, or the field was left out.
    #[default]
    None,
    /// Recording.
    Active,
    /// Paused, for whatever cause.
    Paused,
}

impl RecorderState {
    /// Reads the platform's word; `None` (the option) where it is a word we do not know.
    pub fn read(word: &str) -> Option<Self> {
        [("none", Self::None), ("", Self::None), ("active", Self::Active), ("paused", Self::Paused)]
            .into_iter()
            .find_map(|(known, state)| word.eq_ignore_ascii_case(known).then_some(state))
    }

    /// The word as events have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Active => "active",
            Self::Paused => "paused",
        }
    }
}

/// The four recorders of one leg (`recordersState`, GENESYS.md 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Recorders {
    /// `adhocState`: an ad-hoc recording of one participant.
    pub adhoc: RecorderState,
    /// `customerExperienceState`: the policy recording, which a secure pause pauses.
    pub customer_experience: RecorderState,
    /// `agentExperienceState`.
    pub agent_experience: RecorderState,
    /// `snippetState`: "snippets may never be paused".
    pub snippet: RecorderState,
}

/// What the platform last reported of a conversation's recording (PRODUCT.md 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Observed {
    /// Recording.
    Active,
    /// A secure pause: `securePause` is true.
    Paused,
    /// Paused by the platform itself (on hold, or while it rings); it resumes by itself.
    Suspended,
    /// Nothing is recorded.
    None,
    /// Nobody has told: a directive came before the conversation was read, or what was seen last is overtaken by
    /// an order of ours whose effect was not seen yet.
    Unknown,
}

impl Observed {
    /// The action that brings this back.
    pub fn brought_back_by(self) -> Action {
        match self {
            Self::Active | Self::Suspended => Action::Start,
            Self::Paused | Self::None | Self::Unknown => Action::Stop,
        }
    }

    /// The word of records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One order: what a rule, a directive or a decision wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// No recorder may run. Stops come before starts (privacy first), hence first in order.
    Stop,
    /// The conversation must be recorded.
    Start,
}

impl Action {
    /// The word of rules and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Start => "start",
        }
    }

    /// Whether the observed state already is what this order wants (PRODUCT.md 2): `start` by active
    /// and suspended, `stop` by paused and none, and by suspended until the suspension ends.
    pub fn is_satisfied_by(self, observed: Observed) -> bool {
        match observed {
            Observed::Active => self == Self::Start,
            Observed::Suspended => true,
            Observed::Paused | Observed::None => self == Self::Stop,
            Observed::Unknown => false,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the policy says where it can also say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    /// Whatever it is, it may stay.
    #[default]
    Leave,
    /// It must be recorded.
    Start,
    /// It must not be recorded.
    Stop,
}

impl Wish {
    /// The order in it, where there is one.
    pub fn action(self) -> Option<Action> {
        match self {
            Self::Leave => None,
            Self::Start => Some(Action::Start),
            Self::Stop => Some(Action::Stop),
        }
    }

    /// The word of rules and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

impl From<Action> for Wish {
    fn from(action: Action) -> Self {
        match action {
            Action::Start => Self::Start,
            Action::Stop => Self::Stop,
        }
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
