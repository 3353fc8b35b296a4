//! What is told of a long round, and of who keeps a gap open.

use std::time::Duration;

use super::{Progress, Stage, Survey};
use crate::model::time::{Mono, Now};

/// A round that lasts longer than this tells how far it is, and again each time.
const TELL_EVERY: Duration = Duration::from_secs(30);
/// A gap that stays open for so long after its end is told, with who keeps it open, and again each time.
const OVERDUE_AFTER: Duration = Duration::from_secs(300);
/// So many conversations are named in such a line.
const NAMED: usize = 5;

impl Survey {
    /// How far the round is that runs.
    pub fn progress(&self) -> Option<Progress> {
        match &self.stage {
            Stage::Idle => None,
            Stage::Query { listing, .. } | Stage::Querying { listing, .. } => {
                Some(Progress { read: 0, total: listing.len() })
            }
            Stage::Reading(reading) => {
                Some(Progress { read: reading.read(), total: reading.read() + reading.left() })
            }
        }
    }

    /// A line on how far a long round is, from time to time.
    pub fn tell_progress(&mut self, now: Mono) -> Option<String> {
        let Progress { read, total } = self.progress()?;
        if now.since(self.told_at) < TELL_EVERY {
            return None;
        }
        self.told_at = now;
        Some(format!("resync: {read} of {total} conversations are read, {} gaps are open", self.gaps.len()))
    }

    /// A line on who keeps a gap open for long after it was over.
    pub fn tell_overdue(&mut self, now: Now) -> Option<String> {
        if self.unreadable.is_empty() || !self.gaps.owes() {
            self.overdue_told_at = None;
            return None;
        }
        let since = *self.overdue_told_at.get_or_insert(now.mono);
        if now.mono.since(since) < OVERDUE_AFTER {
            return None;
        }
        self.overdue_told_at = Some(now.mono);
        let gap = self.gaps.oldest_over()?;
        let named = self.unreadable.iter().take(NAMED).map(|(id, why)| format!("{id} ({why})"));
        let named: Vec<String> = named.collect();
        let more = self.unreadable.len() - named.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        Some(format!(
            "gap {} since {} stays open: these conversations cannot be read: {}{more}",
            gap.gap,
            gap.from,
            named.join(", ")
        ))
    }
}
