//! While the audit log cannot be written nothing goes out, since nothing may go out unrecorded. The daemon
//! says so, is asked and answers, hears the word to stop, and tries again until there is room.
//!
//! No socket is read meanwhile: the events wait in their bounded channel, then in the connection, and are
//! taken in their order afterwards. What the platform drops in the end is a gap like any other.

use std::time::Duration;

use tracing::{error, info, warn};

use super::{Daemon, outward};
use crate::audit::record::{self, Record};
use crate::http::ask::{Ask, Readiness};
use crate::io::journal::JournalError;
use crate::io::signals::Signal;
use crate::io::supervisor::Supervisor;
use crate::io::token::chain;
use crate::model::time::{Mono, Wall};

/// The log is tried again so often.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// That it still cannot be written is logged so often.
const LOG_EVERY: Duration = Duration::from_secs(60);
/// Told to stop, the daemon tries on for so long; PRODUCT.md 9 allows 10 s for everything.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// Why the daemon ended without its last records.
#[derive(Debug, thiserror::Error)]
#[error(
    "told to stop while the audit log could not be written: {why}. {records} records are lost, and nothing that \
     they would have explained was sent; make room or mend the disk, and start again"
)]
pub struct Unwritten {
    why: String,
    records: usize,
}

/// One span in which the log could not be written.
struct Outage {
    began: (Mono, Wall),
    why: String,
    log_at: Mono,
}

impl Daemon {
    /// Makes durable what was appended, however long it takes; told to stop, not much longer.
    pub(super) async fn make_durable(&mut self) -> Result<(), Unwritten> {
        let mut outage = match self.sync() {
            Ok(()) => return Ok(()),
            Err(error) => self.begin_outage(&error),
        };
        loop {
            let stopping = self.stop_by;
            self.answer_until_retry(&outage).await;
            let now = self.parts.clock.now();
            match self.sync() {
                Ok(()) => break,
                Err(error) => outage.why = chain(&error),
            }
            if now.mono >= outage.log_at {
                outage.log_at = now.mono + LOG_EVERY;
                error!("{}", self.outage_text(&outage));
            }
            // Looked at after a try: who is told to stop tries at least once more.
            if stopping.is_some_and(|at| at <= now.mono) {
                let records = self.parts.journal.pending_records();
                return Err(Unwritten { why: outage.why, records });
            }
        }
        self.end_outage(&outage);
        // The record of the end may meet the next outage; that one has a beginning of its own.
        Box::pin(self.make_durable()).await
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        let now = self.parts.clock.now().wall;
        self.parts.journal.sync(now).inspect_err(|_| self.write_failures += 1)
    }

    fn begin_outage(&mut self, error: &JournalError) -> Outage {
        let now = self.parts.clock.now();
        let outage = Outage { began: (now.mono, now.wall), why: chain(error), log_at: now.mono + LOG_EVERY };
        let text = self.outage_text(&outage);
        error!("{text}");
        // The log has it once it takes records again; who is to act has to know now.
        self.raise("audit log", text);
        outage
    }

    fn end_outage(&mut self, outage: &Outage) {
        let lasted = self.parts.clock.now().mono.since(outage.began.0);
        let text = format!(
            "the audit log is written again; from {} on it could not be for {} s, and nothing was sent",
            outage.began.1,
            lasted.as_secs().max(1)
        );
        info!("{text}");
        self.raise("audit log", text);
    }

    /// Appends an alert of the daemon's own and sends it out.
    pub(super) fn raise(&mut self, about: &str, message: String) {
        let now = self.parts.clock.now();
        let alert = record::Alert { about: about.to_owned(), message, conversation: None };
        self.alerts.send(&self.parts.alert, &alert);
        self.parts.journal.append(now.wall, &Record::Alert(alert));
    }

    fn outage_text(&self, outage: &Outage) -> String {
        let records = self.parts.journal.pending_records();
        format!(
            "the audit log cannot be written, so nothing is sent ({records} records wait): {}",
            outage.why
        )
    }

    /// Answers who asks, and hears signals, until the log is to be tried again.
    async fn answer_until_retry(&mut self, outage: &Outage) {
        let status = self.outage_text(outage);
        Supervisor.alive(&status);
        let clock = self.parts.clock;
        let now = clock.now().mono;
        let last_try = self.stop_by.filter(|at| *at > now).unwrap_or(now + RETRY_EVERY);
        let retry = tokio::time::sleep_until(clock.instant(last_try.min(now + RETRY_EVERY)));
        tokio::pin!(retry);
        loop {
            let (asks_open, signals_open) = (!self.parts.asks.is_closed(), !self.parts.signals.is_closed());
            tokio::select! {
                biased;
                signal = self.parts.signals.recv(), if signals_open => match signal {
                    Some(Signal::Drain) => {
                        warn!("told to stop while the audit log cannot be written; it is tried for {} s more", STOP_WAIT.as_secs());
                        self.stop_by.get_or_insert(clock.now().mono + STOP_WAIT);
                        return;
                    }
                    Some(Signal::Reload) => warn!("the configuration is not read again while the audit log cannot be written"),
                    None => {}
                },
                ask = self.parts.asks.recv(), if asks_open => if let Some(ask) = ask {
                    self.answer_meanwhile(ask, &status);
                },
                () = &mut retry => return,
            }
        }
    }

    /// Looking is allowed; an order is not taken, since it could not be recorded.
    fn answer_meanwhile(&mut self, ask: Ask, status: &str) {
        // Who asked and hung up does not wait for the answer.
        match ask {
            Ask::View { answer } => {
                let mut view = self.view();
                view.ready = Readiness::NotReady(status.to_owned());
                answer.send(view).ok();
            }
            Ask::Decision { id, answer } => {
                answer.send(self.parts.warden.decision(&id).map(outward::decision)).ok();
            }
            Ask::Conversation { id, answer } => {
                answer.send(self.parts.warden.call(&id)).ok();
            }
            Ask::Explain { id, answer } => {
                let now = self.parts.clock.now();
                answer.send(self.parts.warden.explain(&id, now).map(Box::new)).ok();
            }
            Ask::Direct { answer, .. } => drop(answer),
            Ask::Facts { answer, .. } => drop(answer),
        }
    }
}
