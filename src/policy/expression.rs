//! CEL conditions.

use std::ops::Range;

use crate::policy::decide::Subject;

/// A condition, compiled.
#[derive(Clone, Debug)]
pub struct Expression;

/// One thing that is wrong with an expression as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where: bytes in the source.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// Why an expression has no value now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// Division by zero.
    #[error("division by zero")]
    DivisionByZero,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(_source: &str) -> Result<Self, Vec<Mistake>> {
        Ok(Self)
    }

    /// Whether it holds of the subject.
    ///
    /// # Errors
    /// Where it has no value.
    pub fn evaluate(&self, _subject: Subject<'_>) -> Result<bool, EvaluationError> {
        Ok(false)
    }
}
