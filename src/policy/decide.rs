//! From a conversation to the rules that match it.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::model::conversation::Conversation;
use crate::model::recording::Wish;
use crate::policy::rule::Terms;

/// Facts that other systems pushed for one conversation: JSON values by name.
pub type Facts = BTreeMap<String, serde_json::Value>;

/// What rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The conversation, queue names filled in.
    pub conversation: &'a Conversation,
    /// Facts pushed for it.
    pub facts: &'a Facts,
    /// The topic of the event that caused the look; empty where none did (a resync, a timer).
    pub topic: &'a str,
}

/// The number of a rule in its policy: its place in `Policy::terms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleIndex(pub u32);

/// A rule that could not be evaluated; it counts as no match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFailure {
    /// Which rule.
    pub rule: RuleIndex,
    /// What went wrong, for the record `rule.failed`.
    pub error: String,
}

/// The outcome of looking at one conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// The rules whose conditions hold now, in order of precedence (the policy keeps its rules so).
    pub rules: SmallVec<[RuleIndex; 8]>,
    /// The rules that could not be evaluated.
    pub failures: Vec<RuleFailure>,
}

/// A compiled policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    default: Wish,
    terms: Vec<Terms>,
    sha256: String,
}

impl Policy {
    /// What holds where no rule does.
    pub fn default_wish(&self) -> Wish {
        self.default
    }

    /// The rules in order of precedence: highest priority first, then `stop` before `start`, then the
    /// order in the file (PRODUCT.md 2).
    pub fn terms(&self) -> &[Terms] {
        &self.terms
    }

    /// SHA-256 of the policy as written, lower-case hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Which rules match now.
    pub fn matches(&self, _subject: Subject<'_>) -> Matches {
        Matches::default()
    }

    /// What a reload changed, seen from the policy before.
    pub fn changes_from(&self, before: &Self) -> Changes {
        let named = |policy: &Self, name: &str| policy.terms.iter().find(|one| one.name == name).cloned();
        let mut changes = Changes::default();
        for one in &self.terms {
            match named(before, &one.name) {
                None => changes.added.push(one.name.clone()),
                Some(old) if old != *one => changes.changed.push(one.name.clone()),
                Some(_) => {}
            }
        }
        let gone = before.terms.iter().filter(|one| named(self, &one.name).is_none());
        changes.removed = gone.map(|one| one.name.clone()).collect();
        changes
    }
}

/// What a reload changed, by the names of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New ones.
    pub added: Vec<String>,
    /// Gone ones.
    pub removed: Vec<String>,
    /// Ones that are no longer the same.
    pub changed: Vec<String>,
}
