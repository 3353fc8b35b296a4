//! Two sockets that carry the same topics: each event counts once, and one that only one of them brought
//! tells of the other.
//!
//! An event has no number (GENESYS.md 4.3), so two copies are known by their text. The same text can rightly
//! come twice (paused, resumed, paused), so each socket is counted by itself: its n-th copy is news only where
//! no other socket has brought n of them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::SocketId;
use crate::model::time::Mono;
use crate::wire::frame::LATE_AT_MOST;
use crate::wire::topic::PackId;

/// A copy that is later than this does not come any more.
pub(super) const COPY_WAIT: Duration = LATE_AT_MOST;
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
    copies: Vec<(SocketId, u32)>,
    expected: Vec<SocketId>,
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
            Sighting { copies: Vec::new(), expected: expected() }
        });
        let others =
            sighting.copies.iter().filter(|(socket, _)| *socket != from).map(|(_, n)| *n).max().unwrap_or(0);
        let mine = match sighting.copies.iter_mut().find(|(socket, _)| *socket == from) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                sighting.copies.push((from, 1));
                1
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
