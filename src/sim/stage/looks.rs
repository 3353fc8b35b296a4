//! When the resync of a process has its turn where few requests may go (`limits`), seen from outside: orders go before
//! it, and it sends no more than its share. Until it has read them, calls that changed while nothing was heard are
//! not known as they are, but for those that an event tells of.

use std::collections::BTreeMap;
use std::time::Duration;

use super::promise::Trace;
use super::turn::{COUNTS_FOR, ELSE_AT_MOST, most_sent_before};
use super::{BEGIN, Stage, inlet};
use crate::model::time::{Mono, Wall};
use crate::sim::platform::TrueStory;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// When the process began.
    born: Mono,
    /// Whom an event told of first since then, and when.
    told: BTreeMap<String, Wall>,
    /// When its resync had nothing more to read, though it had its turn.
    rested: Option<Wall>,
}

impl Stage {
    /// The process begins.
    pub(super) fn begin_looks(&mut self) {
        self.looks = Looks { born: self.now.mono, ..Looks::default() };
    }

    /// An event comes in.
    pub(super) fn note_told(&mut self, text: &str) {
        if !self.few_may_go() {
            return;
        }
        let (about, now) = (inlet::about(text), self.now.wall);
        if !about.is_empty() && !self.looks.told.contains_key(about) {
            self.looks.told.insert(about.to_owned(), now);
        }
    }

    /// At the end, tells when the resync was done.
    pub(super) fn end_looks(&mut self) {
        let share = self.read_a_minute();
        let most = self.spendable();
        let mut moment = self.looks.born + COUNTS_FOR + ELSE_AT_MOST;
        while self.few_may_go() && self.looks.rested.is_none() && moment < self.now.mono {
            if had_turn(&self.turn.sent, moment, most, share) {
                self.looks.rested = Some(BEGIN + moment.since_start());
            }
            moment = moment + ELSE_AT_MOST;
        }
    }

    /// The resync may send at least so many a minute: of what `action_share` leaves it leaves a quarter to the subscription.
    fn read_a_minute(&self) -> usize {
        let limits = &self.script.settings.allowance;
        let left = (1.0 - limits.action_share) * f64::from(limits.requests_per_minute);
        // Some ten at most.
        ((left * 0.75) as usize).max(1)
    }

    /// When a call was not known as it is, since nothing had been heard of it yet, nor had it been read.
    pub(super) fn not_looked_at(&self, story: &TrueStory) -> Option<(Wall, Wall)> {
        let (began, now) = (story.truths.first()?.at, self.now.wall);
        let heard = self.looks.told.values().min().copied().unwrap_or(now);
        let told = self.looks.told.get(&story.conversation).copied().unwrap_or(now);
        let read = self.looks.rested.unwrap_or(now);
        let born = BEGIN + self.looks.born.since_start();
        (self.few_may_go() && began <= heard).then_some((born, told.min(read)))
    }
}

/// Whether a look could have gone at this moment, and none did: neither was the rate used up, nor the share of looks.
fn had_turn(sent: &[(Mono, Trace)], moment: Mono, most: usize, share: usize) -> bool {
    let looks = |within: Duration| {
        let recent = |at: Mono| at <= moment && moment.since(at) <= within;
        sent.iter().filter(|(at, trace)| recent(*at) && *trace == Trace::Unlogged).count()
    };
    let used = most_sent_before(sent, moment);
    used < most && looks(COUNTS_FOR + ELSE_AT_MOST) < share && looks(ELSE_AT_MOST) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    #[test]
    fn a_look_has_its_turn_where_neither_the_rate_nor_its_share_is_used_up_and_nobody_looks() {
        let orders = |count: u64| (0..count).map(|order| (at(60 + order), Trace::Logged));
        let looks =
            |moments: &[u64]| moments.iter().map(|one| (at(*one), Trace::Unlogged)).collect::<Vec<_>>();
        let had = |orders_sent: u64, moments: &[u64]| {
            let sent: Vec<_> = orders(orders_sent).chain(looks(moments)).collect();
            had_turn(&sent, at(100), 20, 3)
        };
        assert!(had(17, &[60, 70]));
        assert!(!had(18, &[60, 70]), "the rate is used up");
        assert!(!had(0, &[50, 60, 70]), "the share is used up");
        assert!(had(0, &[10, 30, 60, 70]), "what is older than a minute counts no more");
        assert!(!had(0, &[99]), "one is under way");
        assert!(had(17, &[60, 70, 101]), "what comes later does not count yet");
    }
}
