//! While the audit log cannot be written nothing goes out, since nothing may go out unrecorded. The daemon
//! says so, is asked and answers, hears the word to stop, and tries again until there is room.
//!
//! No socket is read meanwhile: the events wait in their bounded channel, then in the connection, and are
//! taken in their order afterwards. What the platform drops in the end is a gap like any other.
//!
//! What was to be sent when it began is not sent once it is over: it is as old as the outage, and what has come
//! since may speak against it. The warden is told that it never went out, and judges again.

use std::time::Duration;

use tracing::{error, info, warn};

use super::{Daemon, Event, outward};
use crate::audit::record::{self, Record};
use crate::http::ask::{Ask, Readiness};
use crate::io::journal::JournalError;
use crate::io::signals::Signal;
use crate::io::supervisor::Supervisor;
use crate::io::token::chain;
use crate::model::time::{Mono, Wall};
use crate::warden::{Input, Output, RequestId};
use crate::wire::reply::{RawAnswer, Transport};

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

/// What an outage leaves to be done before anything else is taken in.
#[derive(Debug, Default)]
pub(super) struct LeftOver {
    /// For how long the log could not be written, where it could not.
    pub(super) lasted: Option<Duration>,
    /// Requests that were not sent for that.
    pub(super) unsent: Vec<RequestId>,
    reread: Reread,
}

/// Whether the configuration is to be read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reread {
    #[default]
    No,
    Asked,
}

impl LeftOver {
    pub(super) fn is_empty(&self) -> bool {
        self.lasted.is_none() && self.reread == Reread::No
    }
}

impl Daemon {
    /// Makes good what an outage left over. That comes before the events that waited: of none of these may what was
    /// not sent be the cause.
    pub(super) fn catch_up(&mut self, outputs: &mut Vec<Output>) {
        let LeftOver { lasted, unsent, reread } = std::mem::take(&mut self.left_over);
        let now = self.parts.clock.now();
        if let Some(lasted) = lasted {
            self.handle(Input::Resumed, now, outputs);
            for id in unsent {
                self.handle(Input::Answer(id, RawAnswer::Failed(Transport::Unsent(lasted))), now, outputs);
            }
        }
        if reread == Reread::Asked && self.stop_by.is_none() {
            self.take(Event::Signal(Signal::Reload), outputs);
        }
    }

    /// Makes durable what was appended, however long it takes; told to stop, not much longer. Answers how long it
    /// could not be, where it could not at once.
    pub(super) async fn make_durable(&mut self) -> Result<Option<Duration>, Unwritten> {
        let mut outage = match self.sync() {
            Ok(()) => return Ok(None),
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
        let lasted = self.end_outage(&outage);
        // The record of the end may meet the next outage; that one has a beginning of its own.
        let next = Box::pin(self.make_durable()).await?;
        Ok(Some(lasted + next.unwrap_or_default()))
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

    fn end_outage(&mut self, outage: &Outage) -> Duration {
        let lasted = self.parts.clock.now().mono.since(outage.began.0);
        let text = format!(
            "the audit log is written again; from {} on it could not be for {} s, and nothing was sent",
            outage.began.1,
            lasted.as_secs().max(1)
        );
        info!("{text}");
        self.raise("audit log", text);
        lasted
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
                    Some(Signal::Reload) => {
                        warn!("the configuration is read again once the audit log can be written");
                        self.left_over.reread = Reread::Asked;
                    }
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::sync::mpsc;

    use super::super::Turn;
    use super::super::tests::{daemon, look};
    use super::*;

    /// Lets it begin while something else is in the place of the log's folder, and clears that away once somebody has
    /// looked at it meanwhile.
    async fn begin_in_an_outage(daemon: &mut Daemon, asks: &mpsc::Sender<Ask>, folder: &Path) {
        let audit = folder.join("audit");
        std::fs::remove_dir_all(&audit).expect("removed");
        std::fs::write(&audit, "in the way").expect("written");
        let meanwhile = async {
            let seen = look(asks).await.await.expect("an answer");
            assert!(matches!(seen.ready, Readiness::NotReady(_)), "{:?}", seen.ready);
            std::fs::remove_file(&audit).expect("out of the way");
        };
        let (begun, ()) = tokio::join!(daemon.feed(Input::Timeout), meanwhile);
        begun.expect("the log is written in the end");
    }

    #[tokio::test]
    async fn what_was_to_be_sent_before_an_outage_is_judged_again_after_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut daemon, asks) = daemon(folder.path()).await;
        let requests = |daemon: &Daemon| daemon.parts.warden.budget(daemon.parts.clock.now().mono).0;
        begin_in_an_outage(&mut daemon, &asks, folder.path()).await;
        assert_eq!(requests(&daemon), 1);
        assert_eq!(daemon.next_event(None).await.expect("the log is written"), Some(Turn::On));
        assert_eq!(requests(&daemon), 0, "it was not sent, and its turn has yet to come");
    }

    #[tokio::test]
    async fn a_reload_that_is_asked_for_in_an_outage_follows_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut daemon, asks) = daemon(folder.path()).await;
        let (signals, waiting) = mpsc::channel(1);
        daemon.parts.signals = waiting;
        let path = folder.path().join("recwarden.toml");
        let rule = "[[rule]]\nname = \"pause\"\nattribute = { pci = \"on\" }\naction = \"stop\"\n";
        let text = std::fs::read_to_string(&path).expect("the configuration");
        std::fs::write(&path, text + rule).expect("room");
        signals.send(Signal::Reload).await.expect("room");
        begin_in_an_outage(&mut daemon, &asks, folder.path()).await;
        assert!(!daemon.parts.warden.has_rules());
        daemon.next_event(None).await.expect("the log is written");
        assert!(daemon.parts.warden.has_rules());
    }
}
