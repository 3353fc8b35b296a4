//! The bounds of gaps, seen from outside: whatever event of a queue no socket brought was sent within a gap that the log
//! tells of. Where one begins too late, or is over too early, an auditor would take a time for heard that was not.

use std::time::Duration;

use super::{BEGIN, Stage};
use crate::audit::record::Record;
use crate::model::time::{Mono, Wall};

/// The last sign of life was on its way for 20 ms: what was sent meanwhile may have been missed too. The log rounds to
/// microseconds.
const ON_ITS_WAY: Duration = Duration::from_millis(21);

/// That a socket has gone silent is noticed within this: what it missed right before the end is in no gap yet.
const NOTICED_WITHIN: Duration = Duration::from_secs(50);

/// The gaps that the log tells of, oldest first.
#[derive(Debug, Default)]
pub(super) struct Bounds(Vec<Bound>);

#[derive(Debug)]
struct Bound {
    gap: u64,
    from: Wall,
    to: Option<Wall>,
}

impl Bounds {
    /// Whether what was sent then may have been missed, as the log tells.
    fn hold(&self, sent: Wall) -> bool {
        let holds = |one: &Bound| one.from - ON_ITS_WAY <= sent && one.to.is_none_or(|to| sent <= to);
        self.0.iter().any(holds)
    }
}

impl Stage {
    /// Takes in a record of the log, which was written at that time.
    pub(super) fn note_bounds(&mut self, record: &Record, written: Wall) {
        if let Record::GapOpened(one) = record {
            self.bounds.0.push(Bound { gap: one.gap, from: one.from, to: None });
            if self.clocks_are_steady() && one.from > written {
                self.finding(format!("gap {} begins at {}, and was opened before", one.gap, one.from));
            }
        }
        if let Record::GapClosed(one) = record {
            let open = self.bounds.0.iter_mut().rfind(|open| open.gap == one.gap && open.to.is_none());
            // What of it is not open is found while the run goes on.
            let Some(open) = open else { return };
            open.to = Some(one.to);
            if open.from != one.from {
                let (gap, opened, closed) = (one.gap, open.from, one.from);
                self.finding(format!("gap {gap} was opened from {opened}, and is closed from {closed}"));
            }
            if self.clocks_are_steady() && one.to > written {
                self.finding(format!("gap {} is over at {}, and was closed before", one.gap, one.to));
            }
        }
    }

    /// An event that no socket brought: the log must tell of a gap then.
    pub(super) fn judge_missed(&mut self, at: Mono, topic: &str) {
        if !self.bounds_are_told() {
            return;
        }
        let sent = BEGIN + at.since_start();
        let silent = self.script.plan.faults.half_open_every.is_some();
        if silent && self.now.mono.since(at) < NOTICED_WITHIN {
            return;
        }
        if self.bounds.hold(sent) {
            self.count("missed events within a gap");
        } else {
            let gaps = &self.bounds.0;
            self.finding(format!("an event of {topic} at {sent} was missed, and is in no gap: {gaps:?}"));
        }
    }

    pub(super) fn clocks_are_steady(&self) -> bool {
        self.script.mischief.jump_by.is_zero()
    }

    /// Whether it can be told exactly what must be in a gap. What is lost, or late, on a socket that lives nobody can know
    /// of, nor what is sent for a queue or user that is not listed; and of a channel that is deaf nobody knows since when
    /// where another has taken its place before that is noticed.
    fn bounds_are_told(&self) -> bool {
        let (faults, plan) = (&self.script.plan.faults, &self.script.plan);
        let on_live_sockets = faults.lose_events > 0.0 || faults.reorder_events > 0.0;
        let turned = ["fault: queue came or went", "fault: user came or went"];
        let turned = turned.iter().any(|fault| self.report.counts.contains_key(*fault));
        let exchanged = faults.closing_every.is_some()
            || faults.revoke_tokens_every.is_some()
            || plan.token_lifetime.min(plan.channel_lifetime) < self.now.mono.since_start();
        let dies = self.script.mischief.crashes > 0.0;
        let unnoticed = faults.evict_every.is_some() && (exchanged || dies);
        self.clocks_are_steady() && !(on_live_sockets || turned || unnoticed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::{GapClosed, GapOpened};
    use crate::sim::faults::Faults;
    use crate::sim::stage::promise::tests::stage;

    fn at(seconds: u64) -> Wall {
        BEGIN + Duration::from_secs(seconds)
    }

    fn opened(gap: u64, from: u64) -> Record {
        let (topics, why) = (String::new(), String::new());
        Record::GapOpened(GapOpened { gap, topics, from: at(from), why })
    }

    fn closed(gap: u64, from: u64, to: u64) -> Record {
        Record::GapClosed(GapClosed { gap, from: at(from), to: at(to), conversations: 0 })
    }

    /// What is found where the log tells this, each at that second.
    fn noted(stage: &mut Stage, records: &[(u64, Record)]) -> Vec<String> {
        records.iter().for_each(|(written, record)| stage.note_bounds(record, at(*written)));
        std::mem::take(&mut stage.report.findings)
    }

    fn missed(stage: &mut Stage, millis: u64) -> usize {
        stage.judge_missed(Mono::new(Duration::from_millis(millis)), "v2.topic");
        std::mem::take(&mut stage.report.findings).len()
    }

    #[test]
    fn an_event_that_was_missed_outside_of_every_gap_is_found() {
        let mut stage = stage(0);
        // After a death numbers may come again.
        let told = [(5, opened(1, 0)), (9, closed(1, 0, 8)), (25, opened(1, 20)), (40, closed(1, 20, 30))];
        assert_eq!(noted(&mut stage, &told), [""; 0]);
        let found = [4_000, 8_000, 8_001, 19_978, 19_979, 25_000, 30_000, 30_001];
        let found = found.map(|millis| missed(&mut stage, millis));
        assert_eq!(found, [0, 0, 1, 1, 0, 0, 0, 1]);
        assert_eq!(noted(&mut stage, &[(50, opened(2, 45))]), [""; 0]);
        assert_eq!((missed(&mut stage, 44_000), missed(&mut stage, 99_000)), (1, 0), "it is open");
        stage.script.plan.faults.lose_events = 0.1;
        assert_eq!(missed(&mut stage, 44_000), 0, "it may have been lost on its way");
    }

    #[test]
    fn a_gap_that_is_told_before_it_was_or_closed_as_another_is_found() {
        let mut stage = stage(0);
        let of = |stage: &mut Stage, record: Record| {
            let found = noted(stage, &[(10, record)]);
            assert_eq!(found.len(), 1, "{found:?}");
            found[0].clone()
        };
        assert!(of(&mut stage, opened(1, 11)).contains("begins at"));
        assert!(of(&mut stage, closed(1, 9, 10)).contains("was opened from"));
        assert_eq!(noted(&mut stage, &[(10, opened(2, 9))]), [""; 0]);
        assert!(of(&mut stage, closed(2, 9, 11)).contains("is over at"));
    }

    /// A busy centre where this goes wrong, and nothing else; how many events were missed.
    fn missed_where(faults: Faults) -> u64 {
        let mut script = stage(8).script;
        let latency = Some((Duration::from_millis(100), Duration::from_secs(1)));
        (script.plan.faults, script.plan.pace) = (Faults { latency, ..faults }, 6.0);
        (script.rough, script.calm) = (Duration::from_secs(300), Duration::from_secs(120));
        script.settings.resync_every = Duration::from_secs(20);
        let report = Stage::new(script).expect("the policy compiles").run();
        assert_eq!(report.findings, [""; 0]);
        assert_eq!(report.counts.get("missed events within a gap"), report.counts.get("queue events missed"));
        report.missed.len() as u64
    }

    #[test]
    fn what_is_missed_on_sockets_that_are_cut_or_silent_or_on_deaf_channels_is_in_a_gap() {
        let every = Some(Duration::from_secs(50));
        let evicted = Faults { evict_every: every, ..Faults::default() };
        for faults in [
            Faults { cut_socket_every: every, ..Faults::default() },
            Faults { half_open_every: every, ..Faults::default() },
            Faults { outage_every: every, ..Faults::default() },
            Faults { cut_socket_every: Some(Duration::from_secs(47)), ..evicted.clone() },
            Faults { half_open_every: Some(Duration::from_secs(47)), ..evicted.clone() },
            evicted,
        ] {
            let missed = missed_where(faults.clone());
            assert!(missed > 0, "{missed} with {faults:?}");
        }
    }
}
