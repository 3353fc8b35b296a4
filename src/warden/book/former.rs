//! What was so a moment ago.
//!
//! Events may come in another order than they were made in, and nothing in them tells which of two is the younger
//! (GENESYS.md 4.3). So one that brings back what had ended a moment ago may be older than what is known. It counts like
//! any other, and is in doubt until a read tells (`warden::survey`).

use smallvec::SmallVec;

use crate::model::recording::Action;
use crate::model::time::Mono;
use crate::wire::frame::LATE_AT_MOST;

/// So many earlier values are remembered.
const REMEMBERED: usize = 4;

/// What a new value is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The same as it was.
    Same,
    /// Another one.
    Onward,
    /// One that had ended a moment ago.
    Back,
}

/// A value, with those that ended a moment ago, the latest last.
#[derive(Clone, Debug, Default)]
pub struct Former<T> {
    is: T,
    were: SmallVec<[(T, Mono); 1]>,
}

impl<T: PartialEq> Former<T> {
    /// From now on it is this.
    pub fn turn(&mut self, is: T, now: Mono) -> Turn {
        if is == self.is {
            return Turn::Same;
        }
        self.were.retain(|(_, until)| now.since(*until) < LATE_AT_MOST);
        let turn = if self.were.iter().any(|(was, _)| *was == is) { Turn::Back } else { Turn::Onward };
        if self.were.len() == REMEMBERED {
            self.were.remove(0);
        }
        self.were.push((std::mem::replace(&mut self.is, is), now));
        turn
    }
}

/// An event may have told what is older than what was known, and no read has said so or otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Since when.
    pub since: Mono,
    /// What we did, where that event says that somebody undid it.
    pub undone: Option<Action>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_ended_a_moment_ago_comes_back() {
        let at = |seconds| Mono::new(Duration::from_secs(seconds));
        let mut former = Former { is: 'a', were: SmallVec::new() };
        let turns = [('a', 0), ('b', 1), ('a', 2), ('c', 3), ('b', 4), ('c', 14), ('b', 24), ('d', 25)];
        let turns = turns.map(|(is, seconds)| former.turn(is, at(seconds)));
        let [same, onward, back] = [Turn::Same, Turn::Onward, Turn::Back];
        assert_eq!(turns, [same, onward, back, onward, back, onward, onward, onward]);
        let many = ['e', 'f', 'g', 'h', 'e', 'd'].map(|is| former.turn(is, at(26)));
        assert_eq!(many, [onward, onward, onward, onward, back, onward], "only so many are remembered");
    }
}
