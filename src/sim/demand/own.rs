//! Whose a pause is, and whether it must be given back: told from who pressed what, and from the words of PRODUCT.md 2.

use std::time::Duration;

use super::{Governed, Mind};
use crate::model::recording::{Action, Wish};
use crate::policy::rule::Mode;
use crate::sim::call::{By, Recorder, Tape, Truth};
use crate::sim::charter::Clause;
use crate::sim::org::Taping;

/// An order is carried out so long after it was given at most.
pub(in crate::sim) const APPLIED_WITHIN: Duration = Duration::from_secs(60);

impl Mind<'_> {
    /// Whether a pause is left that nobody wants.
    pub(super) fn is_left_paused(&self, truth: &Truth) -> bool {
        match self.case.governed {
            Governed::Pauses { .. } => {
                truth.tape == Tape::SecurePaused && self.is_to_be_given_back(Recorder::SecurePaused)
            }
            Governed::Gateway => {
                let taping = truth.queue.as_deref().and_then(|id| self.case.org.queue(id));
                // While an agent dials there is nothing to record yet.
                let mut so_far = self.story.truths.iter().take_while(|one| one.at <= truth.at);
                truth.tape == Tape::None
                    && truth.agents > 0
                    && taping.is_some_and(|queue| queue.taping == Taping::Recorded)
                    && so_far.any(|one| one.tape != Tape::None)
                    && self.is_to_be_given_back(Recorder::Idle)
            }
            Governed::Adhoc => false,
        }
    }

    /// Whether an order of ours made the recorder what it is, and whoever gave it gives back.
    fn is_to_be_given_back(&self, recorder: Recorder) -> bool {
        let last = self.story.touches.iter().rfind(|touch| touch.at <= self.now);
        let Some(ours) = last.filter(|touch| touch.by == By::Client && touch.to == recorder) else {
            return false;
        };
        let kept = |(from, until): &(_, _)| *from <= self.now && *until + APPLIED_WITHIN >= ours.at;
        !self.case.kept.iter().any(kept) && self.keeping.is_none_or(|at| at < ours.at)
    }

    /// Whether something is in force that leaves its pause behind.
    pub(super) fn keeps(&self) -> bool {
        let keeps = |clause: &Clause| {
            clause.action == Action::Stop
                && clause.mode == Mode::Enforce
                && !clause.gives_back()
                && self.holds.contains_key(clause.name)
        };
        self.charter.default == Wish::Stop || self.charter.clauses.iter().any(keeps)
    }
}
