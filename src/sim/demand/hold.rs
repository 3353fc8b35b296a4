//! Where the hold of one clause stands, told from the words of PRODUCT.md 2, and whether that is sure.

use crate::model::time::Wall;
use crate::policy::rule::Until;
use crate::sim::charter::Clause;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Pending,
    Held,
    Expired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    Sure,
    Unsure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Matches,
    Differs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) phase: Phase,
    pub(super) since: Wall,
    pub(super) sight: Sight,
}

/// Where a hold stands next, and whether that is sure.
pub(super) fn next_hold(
    clause: &Clause,
    before: Option<Hold>,
    is: Condition,
    now: Wall,
    seen: Sight,
) -> Option<Hold> {
    let remembers = clause.until == Until::End || !clause.after.is_zero() || clause.at_most.is_some();
    let changed = if remembers { seen } else { Sight::Sure };
    let Some(hold) = before else {
        let phase = if clause.after.is_zero() { Phase::Held } else { Phase::Pending };
        return (is == Condition::Matches).then_some(Hold { phase, since: now, sight: changed });
    };
    let differs = is == Condition::Differs;
    let later = if changed == Sight::Unsure { changed } else { hold.sight };
    match hold.phase {
        Phase::Pending | Phase::Expired if differs => None,
        Phase::Held if differs && clause.until == Until::Unmatched => None,
        Phase::Pending if now.since(hold.since) >= clause.after => {
            Some(Hold { phase: Phase::Held, since: now, sight: later })
        }
        Phase::Held if clause.at_most.is_some_and(|most| now.since(hold.since) >= most) => {
            Some(Hold { phase: Phase::Expired, since: now, sight: later })
        }
        // It matches and is seen: where nothing but the match counts, that settles it.
        Phase::Held
            if !differs && seen == Sight::Sure && clause.at_most.is_none() && clause.after.is_zero() =>
        {
            Some(Hold { sight: Sight::Sure, ..hold })
        }
        Phase::Pending | Phase::Held | Phase::Expired => Some(hold),
    }
}
