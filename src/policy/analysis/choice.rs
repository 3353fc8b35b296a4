//! The values that a condition lets through, as compared a thousand times.

use std::collections::BTreeSet;
use std::sync::Arc;

use globset::{Glob, GlobMatcher};

use crate::policy::condition::Pattern;
use crate::policy::expression::Literal;

/// A value that a bound lets through.
#[derive(Clone, Debug)]
pub(super) enum Allowed {
    Literal(Literal),
    Glob(String, GlobMatcher),
}

impl Allowed {
    /// What a rule's table has, compiled.
    pub(super) fn of(pattern: &Pattern) -> Self {
        match pattern {
            Pattern::Exact(text) => Self::Literal(Literal::Text(text.clone())),
            Pattern::Glob(glob) => Self::Glob(pattern.as_str().to_owned(), glob.clone()),
        }
    }

    /// A text as a rule's table has it: exact, or a glob. None where it is no glob, which is told elsewhere.
    pub(super) fn pattern(text: &str) -> Option<Self> {
        if !text.contains(['*', '?', '[', '{', '\\']) {
            return Some(Self::Literal(Literal::Text(text.to_owned())));
        }
        Some(Self::Glob(text.to_owned(), Glob::new(text).ok()?.compile_matcher()))
    }
}

/// The values that a bound lets through: those listed, and those that a glob fits. Cheap to clone, since
/// lists may be long and scopes are made by the thousand.
#[derive(Clone, Debug)]
pub(super) struct Choice(Arc<Choices>);

#[derive(Debug, Default)]
struct Choices {
    literals: BTreeSet<Literal>,
    globs: Vec<(String, GlobMatcher)>,
}

impl FromIterator<Allowed> for Choice {
    fn from_iter<T: IntoIterator<Item = Allowed>>(all: T) -> Self {
        let mut choices = Choices::default();
        for one in all {
            match one {
                Allowed::Literal(value) => {
                    choices.literals.insert(value);
                }
                Allowed::Glob(text, glob) => choices.globs.push((text, glob)),
            }
        }
        Self(Arc::new(choices))
    }
}

impl Choice {
    pub(super) fn len(&self) -> usize {
        self.0.literals.len() + self.0.globs.len()
    }

    pub(super) fn literals(&self) -> &BTreeSet<Literal> {
        &self.0.literals
    }

    pub(super) fn globs(&self) -> &[(String, GlobMatcher)] {
        &self.0.globs
    }

    /// Each by itself.
    pub(super) fn parts(&self) -> impl Iterator<Item = Allowed> {
        let literals = self.0.literals.iter().cloned().map(Allowed::Literal);
        literals.chain(self.0.globs.iter().cloned().map(|(text, glob)| Allowed::Glob(text, glob)))
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn admits(&self, value: &Literal) -> bool {
        let fits = |(written, glob): &(String, GlobMatcher)| match value {
            Literal::Text(text) => written == text || glob.is_match(text),
            Literal::Bool(_) | Literal::Int(_) => false,
        };
        self.0.literals.contains(value) || self.0.globs.iter().any(fits)
    }

    /// Whether the other lets all of it through. Of two globs that is known where the wider one is a beginning and
    /// nothing more, as `Pay*` is.
    pub(super) fn within(&self, other: &Self) -> bool {
        let covered =
            |text: &String| other.0.globs.iter().any(|(two, _)| text == two || begins_alike(text, two));
        self.0.globs.iter().all(|(text, _)| covered(text))
            && (self.0.literals.len() <= other.0.literals.len() || !other.0.globs.is_empty())
            && self.0.literals.iter().all(|value| other.admits(value))
    }
}

/// What cannot stand for itself in a glob.
const SIGNS: [char; 5] = ['*', '?', '[', '{', '\\'];

/// Whether all that `one` fits begins as `wide` says, which says nothing more.
fn begins_alike(one: &str, wide: &str) -> bool {
    let begin = wide.trim_end_matches('*');
    begin.len() < wide.len()
        && !begin.contains(SIGNS)
        && one.split(SIGNS).next().is_some_and(|fixed| fixed.starts_with(begin))
}
