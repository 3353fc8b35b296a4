//! The `when` of a rule: CEL, compiled once against the schema into a typed tree that reads the
//! conversation in place.
//!
//! ```text
//!   text ─▶ layout   bounds on length and depth, where brackets close
//!        ─▶ syntax   the tree of the `cel` crate's parser, macros left as written
//!        ─▶ check    names, types, words: a tree of ours, or all mistakes with their places
//!        ─▶ evaluate the tree and a subject to true, false or an error
//! ```
//!
//! What the language does not settle is settled for rules that must not fail on what the platform left
//! out (PRODUCT.md 3): an absent field reads as its empty value, an absent attribute as `""`, an absent
//! fact or time as `null`. `null` is false where a condition is needed, `""` where a text is, an empty list
//! where a list is; no order and no arithmetic holds with it. `has()` is true where there is something
//! other than the empty value. Indexing a list beyond its end stays an error, as CEL has it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::policy::subject::{Facts, Subject};

mod blame;
mod calculate;
mod check;
mod convert;
mod evaluate;
mod guard;
mod hopeless;
mod layout;
mod library;
mod logic;
mod named;
mod outline;
mod price;
mod read;
mod schema;
mod strange;
mod suggest;
mod syntax;
mod trace;
mod tree;
mod value;

pub use blame::Blame;
pub use guard::Guard;
pub use outline::{
    CONVERSATION_MEDIA, Claim, DIRECTION, Edge, FLAGGED, Literal, MEDIA, QUEUE_ID, QUEUE_NAME, key,
};
pub use price::Price;
pub use trace::{Part, Seen, Trace};

/// A condition, compiled. Cheap to clone.
#[derive(Clone)]
pub struct Expression {
    source: Arc<str>,
    root: Arc<tree::Node>,
}

/// One thing that is wrong with an expression as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where: bytes in the source.
    pub span: Range<usize>,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// What to write instead, where that can be told.
    pub help: Option<String>,
}

impl Mistake {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Why an expression has no value now. None of these holds what was read: it goes into the audit log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// An int or uint was divided by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A number, a time or a duration left the range of its type.
    #[error("the result is out of the range of {0}")]
    Overflow(&'static str),
    /// More steps than an event may take.
    #[error(
        "the cost bound of {} steps was exceeded; look through fewer lists inside each other",
        evaluate::STEPS
    )]
    CostExceeded,
    /// A list has no such element.
    #[error("the index {index} is beyond a list of {length}")]
    IndexOutOfRange {
        /// What was asked for.
        index: i64,
        /// How many there are.
        length: usize,
    },
    /// A map written in the rule has no such key.
    #[error("the map has no such key")]
    NoSuchKey,
    /// A value that is known only now (a fact) has the wrong type.
    #[error("{operation} does not work on {found}")]
    WrongType {
        /// What was attempted.
        operation: &'static str,
        /// The type or types met.
        found: String,
    },
    /// A text that does not say what it should.
    #[error("a text could not be read as {0}")]
    Unreadable(&'static str),
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the source; where the syntax is wrong, that alone.
    pub fn compile(source: &str) -> Result<Self, Vec<Mistake>> {
        let root = syntax::with_room(source, || check::compile(source))?;
        Ok(Self { source: source.into(), root: Arc::new(root) })
    }

    /// Whether it holds of the subject.
    ///
    /// # Errors
    /// Where it has no value: see [`EvaluationError`].
    pub fn evaluate(&self, subject: Subject<'_>) -> Result<bool, EvaluationError> {
        evaluate::evaluate(&self.root, subject, &mut evaluate::Unwatched)
    }

    /// Evaluates it and tells what each part that was looked at was seen to be.
    pub fn trace(&self, subject: Subject<'_>) -> Trace {
        trace::trace(&self.root, subject)
    }

    /// The first part that keeps it from holding; none where it holds.
    pub fn blame(&self, subject: Subject<'_>) -> Option<Blame> {
        blame::blame(&self.root, &self.source, subject)
    }

    /// The expression as written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests;
