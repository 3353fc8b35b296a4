//! The loop: one closed enum of events in, outputs performed strictly in order, drain on stop.
//!
//! Everything that happens comes in here: socket texts, answers, questions from HTTP, signals, deadlines.
//! The warden judges, and what it wants done is done in its order, with one rule on top: no request, and no
//! answer to a caller, before the records that go with it are durable.

mod callers;
mod outward;
pub mod listening;
mod stalled;
pub mod startup;
pub mod watching;
mod supervised;
mod wires;

use std::collections::BTreeMap;
use std::time::Duration;

use callers::{Caller, Kept};
use stalled::LeftOver;
pub use stalled::Unwritten;
use tokio::sync::{mpsc, watch};
use tracing::{debug, error, info, warn};
use wires::Wires;

use crate::audit::record::Record;
use crate::audit::redact::Redaction;
use crate::http::ask::Ask;
use crate::http::secret::Secret;
use crate::io::api::Api;
use crate::io::clock::Clock;
use crate::io::facts::FactStore;
use crate::io::journal::{Journal, Removal};
use crate::io::signals::Signal;
use crate::io::socket::SocketEvent;
use crate::model::time::{Mono, Now, Wall};
use crate::policy::compile::PlacedName;
use crate::settings::{Alert, Fixed, Source};
use crate::warden::{Input, Level, Note, Output, RequestId, Ticket, Warden};
use crate::wire::reply::RawAnswer;

/// Socket events that wait for the loop. Beyond it, reading from the socket waits.
pub const EVENTS_WAITING: usize = 4096;
/// Answers that wait for the loop; there are never more than requests under way.
pub const ANSWERS_WAITING: usize = 1024;
/// Events taken in one turn before their records are made durable together.
pub const EVENTS_PER_TURN: usize = 64;
/// A drain takes no longer (PRODUCT.md 9 allows 10 s).
pub const DRAIN_WAIT: Duration = Duration::from_secs(8);
/// systemd's status line is renewed so often.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// One thing that happened.
#[derive(Debug)]
enum Event {
    Socket(SocketEvent),
    Answer(RequestId, RawAnswer),
    Ask(Ask),
    Signal(Signal),
    TokenRenewed,
    Wakeup,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    On,
    Drain,
}

/// What the daemon is made of.
#[derive(Debug)]
pub struct Parts {
    /// The warden, with what the log says was in force.
    pub warden: Warden,
    /// The audit log.
    pub journal: Journal,
    /// What of a record the log may have.
    pub redaction: Redaction,
    /// Facts, raw.
    pub facts: FactStore,
    /// The platform.
    pub api: Api,
    /// The clocks that the warden was started by.
    pub clock: Clock,
    /// Questions from HTTP.
    pub asks: mpsc::Receiver<Ask>,
    /// Signals; whoever starts the daemon owns them.
    pub signals: mpsc::Receiver<Signal>,
    /// Where a reload reads from; none where there is nothing to reload.
    pub source: Option<Source>,
    /// Where alerts go.
    pub alert: Alert,
    /// The queues that the configuration names and that have not been missed yet.
    pub named_queues: Vec<PlacedName>,
    /// Where the webhook learns of a new secret; none where it is not served.
    pub webhook_secret: Option<watch::Sender<Secret>>,
    /// The values of keys that need a restart, as they are in effect.
    pub fixed: Fixed,
    /// Who wants to see each record as it is written. Where he cannot follow he misses some.
    pub watcher: Option<mpsc::Sender<(Wall, Record)>>,
}

/// Runs until it is told to stop; everything is journaled and closed then.
///
/// # Errors
/// Where the audit log could not be written when it was told to stop.
pub async fn run(parts: Parts) -> Result<Parts, Unwritten> {
    let tokens = std::sync::Arc::clone(parts.api.tokens());
    let keeper = tokio::spawn(async move { tokens.keep_fresh().await });
    let mut daemon = Daemon::of(parts);
    let drained = daemon.turn_until_drained().await;
    keeper.abort();
    drained?;
    Ok(daemon.parts)
}

/// What systemd knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Ready,
}

struct Daemon {
    parts: Parts,
    wires: Wires,
    tickets: BTreeMap<Ticket, Caller>,
    next_ticket: u64,
    renewals: watch::Receiver<u64>,
    status_at: Mono,
    told: Told,
    /// When all must be over; none until the daemon is told to stop.
    stop_by: Option<Mono>,
    /// How often the log could not be written.
    write_failures: u64,
    alerts: outward::Alerts,
    left_over: LeftOver,
}

impl Daemon {
    fn of(parts: Parts) -> Self {
        Self {
            wires: Wires::new(parts.warden.memory() / 4, parts.clock),
            tickets: BTreeMap::new(),
            next_ticket: 0,
            renewals: parts.api.tokens().renewals(),
            status_at: parts.clock.now().mono,
            told: Told::Nothing,
            stop_by: None,
            write_failures: 0,
            alerts: outward::Alerts::new(),
            left_over: LeftOver::default(),
            parts,
        }
    }

    async fn turn_until_drained(&mut self) -> Result<(), Unwritten> {
        self.feed(Input::Timeout).await?;
        loop {
            let turn = self.next_event(None).await?;
            // The word to stop may also have come while the log could not be written.
            if turn == Some(Turn::Drain) || self.stop_by.is_some() {
                return self.drain().await;
            }
        }
    }

    /// Waits for one event and takes it in, with all that are there already up to a bound.
    async fn next_event(&mut self, until: Option<Mono>) -> Result<Option<Turn>, Unwritten> {
        let mut outputs = Vec::new();
        let mut turn = if self.left_over.is_empty() {
            let Some(event) = self.wait(until).await else { return Ok(None) };
            self.take(event, &mut outputs)
        } else {
            self.catch_up(&mut outputs);
            Turn::On
        };
        for _ in 1..EVENTS_PER_TURN {
            // What is taken out of its channel is taken in.
            if turn == Turn::Drain {
                break;
            }
            let more = self.wires.socket_events.try_recv().map(Event::Socket).ok();
            let more =
                more.or_else(|| self.wires.answers.try_recv().map(|(id, one)| Event::Answer(id, one)).ok());
            let Some(event) = more else { break };
            turn = self.take(event, &mut outputs);
        }
        if turn == Turn::On {
            turn = self.round_off(&mut outputs);
        }
        self.perform(outputs).await?;
        Ok(Some(turn))
    }

    /// Who asks is heard in each turn, and deadlines are kept, however many events and questions keep coming.
    fn round_off(&mut self, outputs: &mut Vec<Output>) -> Turn {
        if let Ok(ask) = self.parts.asks.try_recv()
            && self.take(Event::Ask(ask), outputs) == Turn::Drain
        {
            return Turn::Drain;
        }
        let now = self.parts.clock.now();
        if self.wakes_at(now) <= now.mono { self.take(Event::Wakeup, outputs) } else { Turn::On }
    }

    /// When something is due by time alone.
    fn wakes_at(&self, now: Now) -> Mono {
        let wakeup = self.parts.warden.next_wakeup(now).map(|(at, _)| at);
        wakeup.map_or(self.status_at, |at| at.min(self.status_at))
    }

    /// The next event; none where `until` came first.
    async fn wait(&mut self, until: Option<Mono>) -> Option<Event> {
        let now = self.parts.clock.now();
        let wakeup = self.wakes_at(now);
        let deadline = self.parts.clock.instant(until.map_or(wakeup, |at| at.min(wakeup)).max(now.mono));
        let signals_open = !self.parts.signals.is_closed();
        let renewals_open = self.renewals.has_changed().is_ok();
        let asks_open = !self.parts.asks.is_closed();
        tokio::select! {
            biased;
            signal = self.parts.signals.recv(), if signals_open => {
                Some(signal.map_or(Event::Wakeup, Event::Signal))
            }
            answer = self.wires.answers.recv() => answer.map(|(id, answer)| Event::Answer(id, answer)),
            renewed = self.renewals.changed(), if renewals_open => {
                Some(renewed.map_or(Event::Wakeup, |()| Event::TokenRenewed))
            }
            event = self.wires.socket_events.recv() => event.map(Event::Socket),
            ask = self.parts.asks.recv(), if asks_open => Some(ask.map_or(Event::Wakeup, Event::Ask)),
            () = tokio::time::sleep_until(deadline) => {
                let now = self.parts.clock.now().mono;
                if until.is_some_and(|at| at <= now) { None } else { Some(Event::Wakeup) }
            }
        }
    }

    /// Takes one event in; what it leads to is added to `outputs`.
    fn take(&mut self, event: Event, outputs: &mut Vec<Output>) -> Turn {
        let now = self.parts.clock.now();
        let input = match event {
            Event::Socket(SocketEvent::Opened(socket)) => Input::SocketOpened(socket),
            Event::Socket(SocketEvent::Text(socket, text, _room, came)) => {
                Input::SocketText(socket, text, came)
            }
            Event::Socket(SocketEvent::Shed(socket, events, since)) => Input::Shed { socket, events, since },
            Event::Socket(SocketEvent::Refused(socket, why)) => Input::FrameRefused(socket, why),
            Event::Socket(SocketEvent::Lost(socket, why)) => {
                self.wires.lost(socket);
                Input::SocketLost(socket, why)
            }
            Event::Answer(id, answer) => Input::Answer(id, answer),
            Event::Ask(ask) => match self.take_ask(ask) {
                Some(input) => input,
                None => return Turn::On,
            },
            Event::Signal(Signal::Drain) => return Turn::Drain,
            Event::Signal(Signal::Reload) => {
                if let Some(input) = self.reload() {
                    self.handle(input, now, outputs);
                }
                return Turn::On;
            }
            Event::TokenRenewed => Input::TokenRenewed,
            Event::Wakeup => Input::Timeout,
        };
        self.handle(input, now, outputs);
        if now.mono >= self.status_at {
            self.tell_status(now);
        }
        Turn::On
    }

    fn handle(&mut self, input: Input, now: Now, outputs: &mut Vec<Output>) {
        self.parts.warden.handle(input, now);
        while let Some(output) = self.parts.warden.poll_output() {
            outputs.push(output);
        }
    }

    async fn feed(&mut self, input: Input) -> Result<(), Unwritten> {
        let mut outputs = Vec::new();
        let now = self.parts.clock.now();
        self.handle(input, now, &mut outputs);
        self.perform(outputs).await
    }

    /// Writes all records, makes them durable, and then does the rest, each in its order.
    async fn perform(&mut self, outputs: Vec<Output>) -> Result<(), Unwritten> {
        let now = self.parts.clock.now();
        let mut rest = Vec::new();
        let mut records = Vec::new();
        let mut facts = Vec::new();
        for output in outputs {
            match output {
                Output::Record(record) => records.push(record),
                Output::Facts(keeping) => facts.push(keeping),
                other @ (Output::Request(..)
                | Output::Socket(_)
                | Output::Reply(..)
                | Output::Untaken(..)
                | Output::Note(_)) => rest.push(other),
            }
        }
        let outage = self.journal(records, now).await?;
        self.left_over.lasted = self.left_over.lasted.max(outage);
        // Facts that could not be stored wait for the next ones, or for the next status.
        let kept = if facts.is_empty() { Kept::Yes } else { self.keep_facts(facts) };
        for output in rest {
            match output {
                Output::Request(id, request) => match outage {
                    None => self.wires.send(&self.parts.api, id, request),
                    Some(_) => self.left_over.unsent.push(id),
                },
                Output::Socket(order) => self.wires.order(order),
                Output::Reply(ticket, reply) => {
                    if let Some(caller) = self.tickets.remove(&ticket) {
                        caller.answer(reply, kept);
                    }
                }
                Output::Untaken(ticket, why) => drop(self.tickets.remove(&ticket).map(|one| one.refuse(why))),
                Output::Note(Note { level, message }) => match level {
                    Level::Info => info!("{message}"),
                    Level::Warn => warn!("{message}"),
                    Level::Error => error!("{message}"),
                },
                Output::Record(_) | Output::Facts(_) => {}
            }
        }
        Ok(())
    }

    /// Makes records durable. While that fails nothing else happens: no request may go out unrecorded. Answers how long
    /// it failed, where it did.
    async fn journal(&mut self, records: Vec<Record>, now: Now) -> Result<Option<Duration>, Unwritten> {
        // An alert of the daemon's own may wait, too.
        if records.is_empty() && self.parts.journal.pending_records() == 0 {
            return Ok(None);
        }
        if self.parts.journal.renew_if_removed() == Removal::Noticed {
            let text = "the audit log was removed while it was written; a new file goes on with the chain, and what \
                        was removed is missing: find out who did it, and bring it back from a copy"
                .to_owned();
            error!("{text}");
            self.raise("audit log", text);
        }
        for mut record in records {
            self.parts.redaction.record(&mut record);
            self.parts.journal.append(now.wall, &record);
            self.watch(now.wall, record);
        }
        self.make_durable().await
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the log has every kind; few are for the operator")]
    fn watch(&mut self, at: Wall, record: Record) {
        match &record {
            Record::Alert(alert) => self.alerts.send(&self.parts.alert, alert),
            Record::Decision(one) => {
                info!(decision = %one.decision, conversation = %one.conversation, rule = one.rule,
                    observed = %one.observed, "decided: {}", one.action);
            }
            Record::Confirmed(one) => {
                info!(decision = %one.decision, conversation = %one.conversation, after_ms = one.after_ms, "confirmed");
            }
            Record::Abandoned(one) => {
                warn!(decision = %one.decision, conversation = %one.conversation, why = one.why, "abandoned");
            }
            other => debug!(kind = other.kind(), "recorded"),
        }
        if let Some(watcher) = &self.parts.watcher
            && watcher.try_send((at, record)).is_err()
        {
            debug!("the watcher cannot follow");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::sync::oneshot;

    use super::*;
    use crate::http::ask;
    use crate::settings::Credentials;
    use crate::wire::reply::Transport;

    /// A daemon in a folder of its own that reaches nobody, and the way to ask it.
    pub(super) async fn daemon(folder: &Path) -> (Daemon, mpsc::Sender<Ask>) {
        let path = folder.join("recwarden.toml");
        let text = "[genesys]\napi_url = \"http://127.0.0.1:1\"\nclient_id = \"x\"\n[audit]\ndirectory = \"audit\"\n";
        std::fs::write(&path, text).expect("room");
        let environment = BTreeMap::from([("GENESYS_CLIENT_SECRET".to_owned(), "x".to_owned())]);
        let source = Source { path, environment, credentials: Credentials::Needed };
        let loaded = source.load().expect("a configuration");
        let mut settings = loaded.settings;
        folder.clone_into(&mut settings.state_directory);
        let genesys = settings.genesys.clone().expect("it is configured");
        let (asks_tx, asks) = mpsc::channel(ask::WAITING_ASKS);
        let start = startup::Start {
            settings,
            genesys,
            policy: loaded.policy,
            source: Some(source),
            asks,
            signals: mpsc::channel(1).1,
            webhook_secret: None,
            watcher: None,
        };
        let parts = startup::build(start).await.expect("it starts").expect("nobody stops it");
        (Daemon::of(parts), asks_tx)
    }

    pub(super) async fn look(asks: &mpsc::Sender<Ask>) -> oneshot::Receiver<ask::View> {
        let (answer, answered) = oneshot::channel();
        asks.send(Ask::View { answer }).await.expect("it listens");
        answered
    }

    #[tokio::test]
    async fn who_asks_is_heard_in_a_turn_full_of_events() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut daemon, asks) = daemon(folder.path()).await;
        let (answers, waiting) = mpsc::channel(ANSWERS_WAITING);
        daemon.wires.answers = waiting;
        for number in 0..EVENTS_PER_TURN as u64 * 2 {
            let failed = RawAnswer::Failed(Transport::Connect("refused".into()));
            answers.send((RequestId(u64::MAX - number), failed)).await.expect("room");
        }
        let mut answered = look(&asks).await;
        assert_eq!(daemon.next_event(None).await.expect("the log is written"), Some(Turn::On));
        assert!(answered.try_recv().is_ok(), "it was answered");
        assert!(daemon.wires.answers.try_recv().is_ok(), "before all events were taken");
    }

    #[tokio::test]
    async fn told_to_stop_it_loses_nothing_that_waits() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut daemon, _asks) = daemon(folder.path()).await;
        let (signals, waiting) = mpsc::channel(1);
        daemon.parts.signals = waiting;
        let (answers, waiting) = mpsc::channel(1);
        daemon.wires.answers = waiting;
        let failed = RawAnswer::Failed(Transport::Connect("refused".into()));
        answers.send((RequestId(u64::MAX), failed)).await.expect("room");
        signals.send(Signal::Drain).await.expect("room");
        assert_eq!(daemon.next_event(None).await.expect("the log is written"), Some(Turn::Drain));
        assert!(daemon.wires.answers.try_recv().is_ok(), "it waits yet");
    }

    #[tokio::test]
    async fn deadlines_are_kept_though_questions_keep_coming() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut daemon, asks) = daemon(folder.path()).await;
        let (due, _answered) = (daemon.status_at, (look(&asks).await, look(&asks).await, look(&asks).await));
        daemon.next_event(None).await.expect("the log is written");
        assert!(daemon.status_at > due, "the status was due");
        assert!(daemon.parts.asks.try_recv().is_ok(), "and more questions wait");
    }
}
