//! What was so a moment ago.
//!
//! Events may come in another order than they were made in, and nothing in them tells which of two is the younger
//! (GENESYS.md 4.3). So one that brings back what had ended a moment ago may be older than what is known, and is not
//! taken at its word: a read tells (`warden::survey`).

use crate::model::time::Mono;
use crate::wire::frame::LATE_AT_MOST;

/// What a new value is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The same as it was.
    Same,
    /// Another one.
    Onward,
    /// The one that had ended a moment ago.
    Back,
}

/// A value, with the one that it took the place of.
#[derive(Clone, Debug, Default)]
pub struct Former<T> {
    is: T,
    was: Option<(T, Mono)>,
}

impl<T: PartialEq> Former<T> {
    /// From now on it is this.
    pub fn turn(&mut self, is: T, now: Mono) -> Turn {
        if is == self.is {
            return Turn::Same;
        }
        let is_former = |(was, until): &(T, Mono)| *was == is && now.since(*until) < LATE_AT_MOST;
        let turn = if self.was.as_ref().is_some_and(is_former) { Turn::Back } else { Turn::Onward };
        self.was = Some((std::mem::replace(&mut self.is, is), now));
        turn
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_ended_a_moment_ago_comes_back() {
        let at = |seconds| Mono::new(Duration::from_secs(seconds));
        let mut former = Former { is: 'a', was: None };
        let turns = [('a', 0), ('b', 1), ('a', 2), ('c', 3), ('b', 4), ('c', 13), ('b', 23), ('d', 24)];
        let turns = turns.map(|(is, seconds)| former.turn(is, at(seconds)));
        let [same, onward, back] = [Turn::Same, Turn::Onward, Turn::Back];
        assert_eq!(turns, [same, onward, back, onward, onward, back, onward, onward]);
    }
}
