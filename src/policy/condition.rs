//! What one rule asks of a conversation, all of it joined by and.

use globset::GlobMatcher;

use crate::model::conversation::{Direction, Media, QueueRef};
use crate::policy::expression::{EvaluationError, Expression};
use crate::policy::subject::Subject;

/// A text that a condition wants.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// Exactly this.
    Exact(String),
    /// A glob; a name that is written just like it counts too (a queue may be called `Sales [EU]`).
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
            Self::Glob(glob) => glob.is_match(text) || glob.glob().glob() == text,
        }
    }
}

/// A subject, with what many conditions ask of it read once.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// What is looked at.
    pub subject: Subject<'a>,
    /// The queue that the conversation is in.
    pub queue: Option<&'a QueueRef>,
    /// Its direction.
    pub direction: Option<Direction>,
    /// Whether a participant carries a flag.
    pub flagged: bool,
}

impl<'a> Sight<'a> {
    /// Looks at the subject.
    pub fn of(subject: Subject<'a>) -> Self {
        let call = subject.conversation;
        Self { subject, queue: call.queue(), direction: call.direction(), flagged: call.is_flagged() }
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
    ///
    /// # Errors
    /// Where the expression is asked and has no value.
    pub fn hold(&self, sight: &Sight<'_>) -> Result<bool, EvaluationError> {
        let call = sight.subject.conversation;
        let queue = |wanted: &Vec<Pattern>| {
            sight.queue.is_some_and(|queue| {
                wanted.iter().any(|one| one.is_match(&queue.name) || one.is_match(queue.id.as_str()))
            })
        };
        let cheap = self.media.as_ref().is_none_or(|wanted| wanted.contains(&call.media))
            && self.direction.is_none_or(|wanted| sight.direction == Some(wanted))
            && self.flagged.is_none_or(|wanted| sight.flagged == wanted)
            && self.queue.as_ref().is_none_or(queue)
            && self.attributes.iter().all(|(key, wanted)| {
                let value = call.attribute(key).unwrap_or_default();
                wanted.iter().any(|one| one.is_match(value))
            });
        match &self.when {
            Some(when) if cheap => when.evaluate(sight.subject),
            Some(_) | None => Ok(cheap),
        }
    }
}
