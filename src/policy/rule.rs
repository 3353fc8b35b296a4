//! A rule as meant: every name resolved, every glob and expression compiled.

use std::time::Duration;

use crate::model::recording::Action;

/// The name under which a directive stands in records and rule tests; no rule may have it.
pub const DIRECTIVE: &str = "directive";
/// The name under which a stop stands there that `safety.when_blind` asks for.
pub const WHEN_BLIND: &str = "when_blind";
/// The name under which `policy.default` stands there.
pub const DEFAULT: &str = "default";

/// How long a rule holds once it has matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Until {
    /// While it matches.
    #[default]
    Unmatched,
    /// For the rest of the conversation.
    End,
}

/// What happens to what the rule changed once it lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRelease {
    /// Bring back what was observed before the first change.
    Restore,
    /// Leave it.
    Keep,
}

/// Whether a rule's verdict is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// It is.
    #[default]
    Enforce,
    /// It is journaled only.
    Observe,
}

/// What of a rule the latches and the plan need: everything but its conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Unique, kebab-case.
    pub name: String,
    /// What it wants.
    pub action: Action,
    /// Highest first.
    pub priority: i64,
    /// How long it holds.
    pub until: Until,
    /// It must have matched without a break for so long.
    pub after: Duration,
    /// It lets go after so long; none: never.
    pub at_most: Option<Duration>,
    /// What happens once it lets go.
    pub on_release: OnRelease,
    /// Whether it is carried out.
    pub mode: Mode,
    /// Why, for the record ("PCI DSS 3.3.1").
    pub reason: String,
}
