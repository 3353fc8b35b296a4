//! The log of the stage, and the lives of the process that writes it.

use std::time::Duration;

use super::promise::Trace;
use super::{Stage, Stalled};
use crate::audit::log::Log;
use crate::audit::record::{self, Record};
use crate::model::time::Mono;
use crate::sim::disk::{Death, Trouble};
use crate::warden::{Input, Keeping, Output, RequestId, Warden, unheard_since};
use crate::wire::reply::{RawAnswer, Transport};

/// While the log cannot be written it is tried again so often.
const RETRY: Duration = Duration::from_secs(1);
/// Making records durable takes up to so long.
const SYNC_TAKES: Duration = Duration::from_millis(4);

/// What is known is compared with the log once in so many turns.
const COMPARED_EVERY: u64 = 32;

/// What an outage of the log leaves to be told.
#[derive(Debug)]
pub(super) struct LeftOver {
    /// For how long the log could not be written.
    waited: Duration,
    /// Requests that were not sent for that.
    unsent: Vec<RequestId>,
}

/// The process has died, and the next one begins then.
#[derive(Clone, Debug)]
pub(super) struct Down {
    pub(super) until: Mono,
    cut: Option<record::Cut>,
}

/// Where in a turn the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dies {
    NotNow,
    BeforeWriting,
    WhileWriting(u32),
    /// After so many of the outputs that follow the records.
    After(usize),
}

impl Stage {
    /// Makes the records durable and does the rest, each in its order, unless the process dies over it.
    pub(super) fn perform(&mut self, outputs: Vec<Output>) {
        let (mut records, mut rest): (Vec<Record>, Vec<Output>) = (Vec::new(), Vec::new());
        for output in outputs {
            match output {
                Output::Record(record) => records.push(record),
                Output::Note(note) => self.tell(|| format!("# {}", note.message)),
                other @ (Output::Request(..)
                | Output::Socket(_)
                | Output::Reply(..)
                | Output::Untaken(..)
                | Output::Facts(_)) => rest.push(other),
            }
        }
        if records.is_empty() && rest.is_empty() {
            return;
        }
        self.watch.woken = 0;
        let dies = self.death(rest.len());
        if dies == Dies::BeforeWriting {
            return self.crash();
        }
        if let Dies::WhileWriting(calls) = dies {
            self.log.disk_mut().trouble = Trouble::Dies(calls);
        }
        let wall = self.seen().wall;
        for record in &records {
            self.tell(|| format!("* {}", serde_json::to_string(record).unwrap_or_default()));
            self.log.append(wall, record);
        }
        let made = self.now;
        self.watch.written.extend(records.into_iter().map(|record| (made, record)));
        if !self.make_durable() {
            if self.log.disk().is_dead() {
                return self.crash();
            }
            self.count("fault: stalled on the log");
            self.stands_still();
            self.stalled = Some(Stalled { since: self.now.mono, retry: self.now.mono + RETRY, rest });
            return;
        }
        self.compare_with_the_log_now_and_then();
        let done = if let Dies::After(done) = dies { done } else { rest.len() };
        self.carry_out(rest.into_iter().take(done));
        if matches!(dies, Dies::After(_) | Dies::WhileWriting(_)) {
            self.crash();
        }
    }

    /// Each comparison takes a process of its own, so that not every turn ends with one.
    fn compare_with_the_log_now_and_then(&mut self) {
        self.turns += 1;
        if self.turns.is_multiple_of(COMPARED_EVERY) {
            self.compare_with_the_log();
        }
    }

    /// What a process would take up that begins now is what this one knows: the log alone says all of it.
    pub(super) fn compare_with_the_log(&mut self) {
        let told = self.warden.standing_by(self.log.history(), self.seen());
        let known = self.warden.standing();
        for id in known.keys().chain(told.keys().filter(|id| !known.contains_key(*id))) {
            if known.get(id) != told.get(id) {
                let (known, told) = (known.get(id), told.get(id));
                self.finding(format!("of {id} the process knows {known:?}, and the log tells {told:?}"));
            }
        }
        self.count("what is known compared with the log");
    }

    /// Tries to write again what could not be written.
    pub(super) fn try_again(&mut self) {
        let Some(Stalled { since, retry, rest }) = self.stalled.take() else { return };
        if retry > self.now.mono {
            self.stalled = Some(Stalled { since, retry, rest });
        } else if self.death(rest.len()) != Dies::NotNow {
            self.crash();
        } else if self.make_durable() {
            // What was to be sent is old by now: it is judged again, as the daemon does it.
            let waited = self.now.mono.since(since);
            let mut unsent = Vec::new();
            for output in rest {
                match output {
                    Output::Request(id, _) => unsent.push(id),
                    other @ (Output::Record(_)
                    | Output::Facts(_)
                    | Output::Socket(_)
                    | Output::Reply(..)
                    | Output::Untaken(..)
                    | Output::Note(_)) => self.carry_out(std::iter::once(other)),
                }
            }
            self.left_over = Some(LeftOver { waited, unsent });
        } else {
            self.stands_still();
            self.stalled = Some(Stalled { since, retry: self.now.mono + RETRY, rest });
        }
    }

    /// Where the log is written again, tells that and what was not sent, before anything that waited meanwhile; how many
    /// inputs these were.
    pub(super) fn resume(&mut self, outputs: &mut Vec<Output>) -> usize {
        let Some(LeftOver { waited, unsent }) = self.left_over.take() else { return 0 };
        self.handle(Input::Resumed, outputs);
        for id in &unsent {
            self.count("requests not sent");
            self.handle(Input::Answer(*id, RawAnswer::Failed(Transport::Unsent(waited))), outputs);
        }
        1 + unsent.len()
    }

    /// Until the log is tried again the process does nothing.
    fn stands_still(&mut self) {
        let now = self.now.wall;
        self.blind.push((now, now + RETRY * 2));
    }

    fn death(&mut self, rest: usize) -> Dies {
        if !self.chance.strikes(self.script.mischief.crashes) {
            return Dies::NotNow;
        }
        match self.chance.below(3) {
            0 => Dies::BeforeWriting,
            1 => Dies::WhileWriting(u32::try_from(self.chance.below(5)).unwrap_or_default()),
            _ => Dies::After(self.chance.below(rest + 1)),
        }
    }

    fn make_durable(&mut self) -> bool {
        if self.log.pending() == 0 {
            return true;
        }
        let wall = self.seen().wall;
        if let Err(error) = self.log.sync(wall) {
            self.tell(|| format!("# the log cannot be written: {error}"));
            return false;
        }
        self.busy_until = self.now.mono + self.chance.span(Duration::ZERO, SYNC_TAKES);
        for (made, record) in std::mem::take(&mut self.watch.written) {
            self.count(record.kind());
            self.watch_record(&record, made);
        }
        true
    }

    /// How many bytes of a torn last line stand in the log: the process that cuts it off has not begun, or has not
    /// written yet.
    pub(super) fn torn_yet(&self) -> usize {
        let found = match (&self.down, self.watch.written.first()) {
            (Some(down), _) => down.cut,
            (None, Some((_, Record::DaemonStarted(first)))) => first.cut,
            (None, _) => None,
        };
        found.map_or(0, |cut| usize::try_from(cut.bytes).unwrap_or(usize::MAX))
    }

    fn carry_out(&mut self, outputs: impl Iterator<Item = Output>) {
        for output in outputs {
            match output {
                Output::Request(id, request) => self.send(id, request),
                Output::Socket(order) => self.order_socket(order),
                Output::Reply(ticket, reply) => self.take_reply(ticket, &reply),
                Output::Untaken(ticket, why) => self.take_refusal(ticket, why),
                Output::Facts(Keeping::Keep(id, facts)) => drop(self.facts.insert(id, facts)),
                Output::Facts(Keeping::Forget(id)) => drop(self.facts.remove(&id)),
                Output::Record(_) | Output::Note(_) => {}
            }
        }
    }

    /// The process dies; what the disk kept is all that the next one has.
    fn crash(&mut self) {
        let death = if self.chance.strikes(0.5) { Death::Killed } else { Death::PowerLost };
        self.count(if death == Death::Killed { "fault: process killed" } else { "fault: power lost" });
        self.tell(|| format!("# the process dies: {death:?}"));
        self.blind_around_now();
        self.judge_journaled();
        self.judge_blindness();
        self.empty_inlet();
        self.life += 1;
        self.stalled = None;
        self.left_over = None;
        for (_, there) in std::mem::take(&mut self.sockets) {
            self.platform.socket_gone(there, self.now);
        }
        self.orders.clear();
        // Of what the dead process sent, the log tells its orders alone. The rest the next one supposes, until the
        // platform's answers tell it: that the platform then refuses nothing for its rate is checked in `turn`.
        self.sent.retain(|(_, trace)| *trace == Trace::Logged);
        self.watch.begin_life();
        let mut disk = self.log.disk().clone();
        disk.outlive(death);
        match Log::open(disk, self.script.rotation) {
            Ok((log, recovered)) => {
                self.log = log;
                self.judge_recovery();
                let back_after = self.script.mischief.back_after;
                self.down = Some(Down { until: self.now.mono + back_after, cut: recovered.cut });
                if back_after.is_zero() {
                    self.come_back();
                }
            }
            Err(error) => self.finding(format!("the log does not open after a crash: {error}")),
        }
        self.repeat_letters();
    }

    /// The next process begins, where one is due to.
    pub(super) fn come_back(&mut self) {
        let Some(Down { cut, .. }) = self.down.take() else { return };
        self.recall_waiting();
        self.recall_deeds();
        self.recall_turns();
        self.begin_looks();
        self.begin_gaps();
        if !self.script.mischief.back_after.is_zero() {
            self.tell(|| "# the next process begins".to_owned());
            // It has no token of the one before.
            self.token.clear();
            self.renew_at = None;
        }
        self.begin_life(cut);
    }

    /// A process begins with what the log says was in force.
    pub(super) fn begin_life(&mut self, cut: Option<record::Cut>) {
        if cut.is_some() {
            self.count("fault: torn line cut off");
        }
        let (settings, seed, now) = (self.script.settings.clone(), self.chance.bits(), self.seen());
        let history = self.log.history().clone();
        let policy = self.policies.get(self.policy).cloned().unwrap_or_default();
        let started = Record::DaemonStarted(record::DaemonStarted {
            version: "stage".into(),
            epoch: 1,
            pid: None,
            dry_run: false,
            cut,
            unheard_since: unheard_since(&history, now.wall),
        });
        self.log.append(now.wall, &started);
        self.watch.written.push((self.now, started));
        self.warden = Warden::new(settings, policy, seed, now);
        self.warden.recover(&history, now);
        for (id, facts) in &self.facts {
            self.warden.recover_facts(id, facts.clone());
        }
        let mut outputs = Vec::new();
        while let Some(output) = self.warden.poll_output() {
            outputs.push(output);
        }
        self.perform(outputs);
    }
}
