//! `&&` and `||` over answers of which some may be missing.

use std::ops::ControlFlow;

use super::EvaluationError;

/// Which answer decides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Logic {
    And,
    Or,
}

/// Answers joined by `&&` or `||` as CEL has it: the one that decides wins over failures beside it.
pub(super) struct Tally {
    logic: Logic,
    decided: ControlFlow<()>,
    failure: Option<EvaluationError>,
}

impl Tally {
    pub(super) fn new(logic: Logic) -> Self {
        Self { logic, decided: ControlFlow::Continue(()), failure: None }
    }

    pub(super) fn add(&mut self, answer: Result<bool, EvaluationError>) -> ControlFlow<()> {
        match answer {
            Ok(answer) if answer == (self.logic == Logic::Or) => self.decided = ControlFlow::Break(()),
            Ok(_) => {}
            Err(EvaluationError::CostExceeded) => {
                self.failure = Some(EvaluationError::CostExceeded);
                return ControlFlow::Break(());
            }
            Err(error) => self.failure = self.failure.take().or(Some(error)),
        }
        self.decided
    }

    pub(super) fn result(self) -> Result<bool, EvaluationError> {
        match (self.decided, self.failure) {
            (ControlFlow::Break(()), _) => Ok(self.logic == Logic::Or),
            (ControlFlow::Continue(()), Some(error)) => Err(error),
            (ControlFlow::Continue(()), None) => Ok(self.logic == Logic::And),
        }
    }
}
