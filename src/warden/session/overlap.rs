//! Two sockets that carry the same topics: each event counts once, and one that only one of them brought
//! tells of the other.
//!
//! An event has no number (GENESYS.md 4.3), so two copies are known by their text. The same text can rightly
//! come twice (paused, resumed, paused), so each socket is counted by itself: its n-th copy is news only where
//! no other socket has brought n of them. One that came up later could not bring the earlier ones.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::SocketId;
use crate::model::time::Mono;
use crate::wire::frame::LATE_AT_MOST;
use crate::wire::topic::PackId;

/// A copy that is later than this does not come any more.
pub(super) const COPY_WAIT: Duration = LATE_AT_MOST;
/// A socket may bring copies for so long before it counts as one that should.
const COMES_UP_WITHIN: Duration = Duration::from_secs(2);
/// Events waited for at once: a burst of ten thousand a second for five seconds. Beyond it the oldest is
/// judged early.
const SIGHTINGS_MOST: usize = 50_000;

/// Whether an event was known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// It was not.
    News,
    /// Another socket brought it before.
    Repeat,
}

#[derive(Clone, Debug)]
struct Sighting {
    at: Mono,
    copies: Vec<(SocketId, u32)>,
    expected: Vec<SocketId>,
}

impl Sighting {
    /// How many copies came before this socket could bring any.
    fn missed_by(&self, socket: SocketId, now: Mono) -> u32 {
        if self.expected.contains(&socket) || now.since(self.at) < COMES_UP_WITHIN {
            return 0;
        }
        let first = self.copies.first().map(|(socket, _)| *socket);
        let was_there = |one: &SocketId| Some(*one) == first || self.expected.contains(one);
        self.copies.iter().filter(|(one, _)| was_there(one)).map(|(_, n)| *n).max().unwrap_or(0)
    }
}

/// An event that did not come where it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Miss {
    pub(super) socket: SocketId,
    /// When another socket brought it.
    pub(super) at: Mono,
}

/// Events of the last seconds on topics that more than one socket carries.
#[derive(Clone, Debug, Default)]
pub(super) struct Overlap {
    sightings: BTreeMap<(PackId, u64), Sighting>,
    order: VecDeque<(Mono, (PackId, u64))>,
}

impl Overlap {
    /// Takes a copy in. `expected` are the sockets that should bring it too.
    pub(super) fn take(
        &mut self,
        pack: PackId,
        print: u64,
        from: SocketId,
        expected: impl FnOnce() -> Vec<SocketId>,
        now: Mono,
    ) -> Novelty {
        let order = &mut self.order;
        let sighting = self.sightings.entry((pack, print)).or_insert_with(|| {
            order.push_back((now, (pack, print)));
            Sighting { at: now, copies: Vec::new(), expected: expected() }
        });
        let others =
            sighting.copies.iter().filter(|(socket, _)| *socket != from).map(|(_, n)| *n).max().unwrap_or(0);
        let mine = match sighting.copies.iter_mut().find(|(socket, _)| *socket == from) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                let mine = sighting.missed_by(from, now) + 1;
                sighting.copies.push((from, mine));
                mine
            }
        };
        if mine > others { Novelty::News } else { Novelty::Repeat }
    }

    /// The copies that did not come in time.
    pub(super) fn overdue(&mut self, now: Mono) -> Vec<Miss> {
        let mut misses = Vec::new();
        while let Some((at, key)) = self.order.front().copied()
            && (now.since(at) >= COPY_WAIT || self.order.len() > SIGHTINGS_MOST)
        {
            self.order.pop_front();
            let Some(sighting) = self.sightings.remove(&key) else { continue };
            let came = |socket: &SocketId| sighting.copies.iter().any(|(from, _)| from == socket);
            misses.extend(
                sighting
                    .expected
                    .iter()
                    .filter(|socket| !came(socket))
                    .map(|socket| Miss { socket: *socket, at }),
            );
        }
        misses
    }

    /// When the next copy is overdue.
    pub(super) fn next_overdue(&self) -> Option<Mono> {
        self.order.front().map(|(at, _)| *at + COPY_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACK: PackId = PackId(1);
    const ONE: SocketId = SocketId(1);
    const TWO: SocketId = SocketId(2);

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    fn both() -> Vec<SocketId> {
        vec![ONE, TWO]
    }

    #[test]
    fn a_copy_by_another_socket_is_no_news() {
        let mut overlap = Overlap::default();
        assert_eq!(overlap.take(PACK, 7, ONE, both, at(0)), Novelty::News);
        assert_eq!(overlap.take(PACK, 7, TWO, both, at(1)), Novelty::Repeat);
        assert_eq!(overlap.take(PackId(2), 7, TWO, both, at(1)), Novelty::News);
    }

    #[test]
    fn the_same_text_a_second_time_is_news_once_more() {
        let mut overlap = Overlap::default();
        overlap.take(PACK, 7, ONE, both, at(0));
        assert_eq!(overlap.take(PACK, 7, ONE, both, at(1)), Novelty::News);
        assert_eq!(overlap.take(PACK, 7, TWO, both, at(1)), Novelty::Repeat);
        assert_eq!(overlap.take(PACK, 7, TWO, both, at(1)), Novelty::Repeat);
        assert_eq!(overlap.take(PACK, 7, TWO, both, at(2)), Novelty::News);
    }

    /// Found by the simulation: what a call had been before its channels were replaced was taken for a copy.
    #[test]
    fn the_same_text_by_sockets_that_came_up_since_is_news_once() {
        let [three, four, five] = [3, 4, 5].map(SocketId);
        let mut overlap = Overlap::default();
        overlap.take(PACK, 7, ONE, both, at(0));
        overlap.take(PACK, 7, TWO, both, at(0));
        assert_eq!(overlap.take(PACK, 7, three, both, at(1)), Novelty::Repeat, "it is coming up");
        assert_eq!(overlap.take(PACK, 7, four, both, at(9)), Novelty::News);
        assert_eq!(overlap.take(PACK, 7, five, both, at(9)), Novelty::Repeat);
    }

    #[test]
    fn an_older_event_that_the_slower_socket_brings_late_is_no_news() {
        let mut overlap = Overlap::default();
        overlap.take(PACK, 1, ONE, both, at(0));
        overlap.take(PACK, 2, ONE, both, at(1));
        assert_eq!(overlap.take(PACK, 1, TWO, both, at(2)), Novelty::Repeat);
        assert_eq!(overlap.take(PACK, 2, TWO, both, at(3)), Novelty::Repeat);
    }

    #[test]
    fn a_socket_that_stays_silent_is_told_after_the_wait() {
        let mut overlap = Overlap::default();
        overlap.take(PACK, 7, ONE, both, at(0));
        overlap.take(PACK, 8, ONE, both, at(1));
        overlap.take(PACK, 8, TWO, both, at(2));
        assert_eq!(overlap.next_overdue(), Some(at(10)));
        assert_eq!(overlap.overdue(at(9)), []);
        assert_eq!(overlap.overdue(at(11)), [Miss { socket: TWO, at: at(0) }]);
        assert_eq!(overlap.next_overdue(), None);
    }

    #[test]
    fn a_burst_is_borne_within_a_bound() {
        let mut overlap = Overlap::default();
        for print in 0..u64::try_from(SIGHTINGS_MOST).expect("small") + 5 {
            overlap.take(PACK, print, ONE, Vec::new, at(0));
        }
        overlap.overdue(at(0));
        assert_eq!(overlap.order.len(), SIGHTINGS_MOST);
        assert_eq!(overlap.sightings.len(), SIGHTINGS_MOST);
    }
}
