//! From a conversation to the rules that match it.

use globset::GlobMatcher;
use smallvec::SmallVec;

use crate::model::conversation::{Direction, Media};
use crate::model::recording::Wish;
use crate::policy::expression::{EvaluationError, Expression};
use crate::policy::rule::Terms;
use crate::policy::subject::Subject;

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

/// A text that a condition wants.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// Exactly this.
    Exact(String),
    /// A glob.
    Glob(GlobMatcher),
}

impl Pattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(wanted) => wanted,
            Self::Glob(glob) => glob.glob().glob(),
        }
    }

    /// Whether a text is as wanted.
    pub fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == text,
            Self::Glob(glob) => glob.is_match(text),
        }
    }
}

/// The conditions of one rule, all joined by and.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// Name or id of the queue it is in, any of these.
    pub queue: Option<Vec<Pattern>>,
    /// Attributes, each any of its values. A key that is not there reads as empty.
    pub attributes: Vec<(String, Vec<Pattern>)>,
    /// Whether a participant carries a flag.
    pub flagged: Option<bool>,
    /// The direction.
    pub direction: Option<Direction>,
    /// The media, any of these.
    pub media: Option<Vec<Media>>,
    /// The CEL condition.
    pub when: Option<Expression>,
}

impl Conditions {
    /// Whether all hold; the cheap ones are asked first.
    fn hold(&self, subject: Subject<'_>) -> Result<bool, EvaluationError> {
        let call = subject.conversation;
        let queue = |wanted: &Vec<Pattern>| {
            call.queue().is_some_and(|queue| {
                wanted.iter().any(|one| one.is_match(&queue.name) || one.is_match(queue.id.as_str()))
            })
        };
        let cheap = self.media.as_ref().is_none_or(|wanted| wanted.contains(&call.media))
            && self.direction.is_none_or(|wanted| call.direction() == Some(wanted))
            && self.flagged.is_none_or(|wanted| call.is_flagged() == wanted)
            && self.queue.as_ref().is_none_or(queue)
            && self.attributes.iter().all(|(key, wanted)| {
                let value = call.attribute(key).unwrap_or_default();
                wanted.iter().any(|one| one.is_match(value))
            });
        match &self.when {
            Some(when) if cheap => when.evaluate(subject),
            Some(_) | None => Ok(cheap),
        }
    }
}

/// A compiled policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    default: Wish,
    terms: Vec<Terms>,
    conditions: Vec<Conditions>,
    sha256: String,
}

impl Policy {
    /// Puts rules, in the order of their files, into their order of precedence.
    pub fn new(default: Wish, mut rules: Vec<(Terms, Conditions)>, sha256: String) -> Self {
        rules.sort_by_key(|(terms, _)| (std::cmp::Reverse(terms.priority), terms.action));
        let (terms, conditions) = rules.into_iter().unzip();
        Self { default, terms, conditions, sha256 }
    }

    /// What holds where no rule does.
    pub fn default_wish(&self) -> Wish {
        self.default
    }

    /// The rules in order of precedence: highest priority first, then `stop` before `start`, then the
    /// order in the file (PRODUCT.md 2).
    pub fn terms(&self) -> &[Terms] {
        &self.terms
    }

    /// The conditions of each rule, in the order of [`Policy::terms`].
    pub fn conditions(&self) -> &[Conditions] {
        &self.conditions
    }

    /// SHA-256 of the policy as written, lower-case hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Which rules match now.
    pub fn matches(&self, subject: Subject<'_>) -> Matches {
        let mut matches = Matches::default();
        for (at, conditions) in (0..).zip(&self.conditions) {
            match conditions.hold(subject) {
                Ok(true) => matches.rules.push(RuleIndex(at)),
                Ok(false) => {}
                Err(error) => {
                    matches.failures.push(RuleFailure { rule: RuleIndex(at), error: error.to_string() });
                }
            }
        }
        matches
    }

    /// The same policy with every rule in observe mode (`--dry-run`).
    pub fn observing(mut self) -> Self {
        for one in &mut self.terms {
            one.mode = crate::policy::rule::Mode::Observe;
        }
        self
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
