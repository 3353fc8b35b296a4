//! Listening only: the same session as the daemon's keeps the subscription up, and every frame is handed on.
//!
//! Nothing is judged (the policy is empty) and nothing is journaled. Of the warden's requests only those go
//! out that keep the subscription: reads of conversations are answered here with "nothing there", since they
//! would cost the daemon's budget, and an order to a recorder is refused whatever asked for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::error;

use super::wires::Wires;
use crate::io::api::Api;
use crate::io::clock::{Clock, seed};
use crate::io::signals::Signal;
use crate::io::socket::SocketEvent;
use crate::model::ids::QueueId;
use crate::model::time::{Mono, Now, Wall};
use crate::policy::decide::Policy;
use crate::warden::session::Redundancy;
use crate::warden::{Enforcement, Input, Level, Note, Output, Settings, Warden};
use crate::wire::reply::{RateHeaders, RawAnswer};
use crate::wire::request::Request;

/// Requests a minute that listening takes at most: the daemon has the same client's budget.
const REQUESTS_PER_MINUTE: u32 = 60;
/// How often the sink is told the time, where nothing else happens.
const TICK: Duration = Duration::from_secs(1);
/// Nothing is compared with the platform: there is nothing to judge.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What is heard, in order.
#[derive(Debug)]
pub enum Heard<'h> {
    /// A text of the platform's, and when it came.
    Text(Wall, &'h str),
    /// So many texts came faster than they could be taken, and are lost.
    Shed(u64),
    /// The names of the queues, once they are known and after each change.
    Queues(&'h BTreeMap<QueueId, String>),
    /// Something for the operator: events may be missed, or flow again.
    Note(Note),
    /// Time goes by; whether events flow now.
    Tick(Flow),
}

/// Whether events flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Every topic is subscribed.
    Live,
    /// Not yet, or not now.
    Down,
}

impl Flow {
    fn of(warden: &Warden) -> Self {
        if warden.not_ready().is_none() { Self::Live } else { Self::Down }
    }
}

/// What listening needs.
#[derive(Debug)]
pub struct Listening {
    /// What to subscribe; nothing else of it counts.
    pub settings: Settings,
    /// The platform.
    pub api: Api,
    /// The clocks.
    pub clock: Clock,
    /// Signals.
    pub signals: mpsc::Receiver<Signal>,
    /// When it is over by itself.
    pub until: Option<Mono>,
}

impl Listening {
    /// Listens until its time is over or it is told to stop.
    ///
    /// # Errors
    /// The first one of the sink's.
    pub async fn run<E>(mut self, mut sink: impl FnMut(Heard<'_>) -> Result<(), E>) -> Result<(), E> {
        let now = self.clock.now();
        let mut warden = Warden::new(only_listens(self.settings.clone()), Policy::default(), seed(), now);
        let mut wires = Wires::new(warden.memory() / 4, self.clock);
        // A token that ends may take its channel with it: the next one is fetched in time, and ends with this.
        let tokens = Arc::clone(self.api.tokens());
        let mut renewals = tokens.renewals();
        let mut keeper = JoinSet::new();
        keeper.spawn(async move { tokens.keep_fresh().await });
        let mut queues = BTreeMap::new();
        let mut tick_at = now.mono;
        warden.handle(Input::Timeout, now);
        loop {
            self.perform(&mut warden, &mut wires, &mut sink)?;
            if *warden.queue_names() != queues {
                queues.clone_from(warden.queue_names());
                sink(Heard::Queues(&queues))?;
            }
            let now = self.clock.now();
            if now.mono >= tick_at {
                tick_at = now.mono + TICK;
                sink(Heard::Tick(Flow::of(&warden)))?;
            }
            match self.next(&warden, &mut wires, &mut renewals, tick_at, now).await {
                Some(input) => {
                    let now = self.clock.now();
                    if let Input::SocketText(_, text, came) = &input {
                        sink(Heard::Text(came.wall, text))?;
                    }
                    if let Input::Shed { events, .. } = &input {
                        sink(Heard::Shed(*events))?;
                    }
                    warden.handle(input, now);
                }
                None => break,
            }
        }
        sink(Heard::Tick(Flow::of(&warden)))?;
        warden.handle(Input::Drain, self.clock.now());
        self.perform(&mut warden, &mut wires, &mut sink)
    }

    /// The next input; none where listening is over.
    async fn next(
        &mut self,
        warden: &Warden,
        wires: &mut Wires,
        renewals: &mut watch::Receiver<u64>,
        tick_at: Mono,
        now: Now,
    ) -> Option<Input> {
        let wakeup = warden.next_wakeup(now).map_or(tick_at, |(at, _)| at.min(tick_at));
        let deadline = self.until.map_or(wakeup, |until| until.min(wakeup)).max(now.mono);
        let signals_open = !self.signals.is_closed();
        let input = tokio::select! {
            biased;
            signal = self.signals.recv(), if signals_open => match signal {
                Some(Signal::Drain) => return None,
                Some(Signal::Reload) | None => Input::Timeout,
            },
            answer = wires.answers.recv() => answer.map_or(Input::Timeout, |(id, answer)| Input::Answer(id, answer)),
            renewed = renewals.changed() => renewed.map_or(Input::Timeout, |()| Input::TokenRenewed),
            event = wires.socket_events.recv() => match event {
                Some(SocketEvent::Opened(socket)) => Input::SocketOpened(socket),
                Some(SocketEvent::Text(socket, text, _room, came)) => Input::SocketText(socket, text, came),
                Some(SocketEvent::Shed(socket, events, since)) => Input::Shed { socket, events, since },
                Some(SocketEvent::Refused(socket, why)) => Input::FrameRefused(socket, why),
                Some(SocketEvent::Lost(socket, why)) => {
                    wires.lost(socket);
                    Input::SocketLost(socket, why)
                }
                None => Input::Timeout,
            },
            () = tokio::time::sleep_until(self.clock.instant(deadline)) => Input::Timeout,
        };
        let over = self.until.is_some_and(|until| until <= self.clock.now().mono);
        (!over).then_some(input)
    }

    /// Does what the warden wants, as far as listening goes.
    fn perform<E>(
        &self,
        warden: &mut Warden,
        wires: &mut Wires,
        sink: &mut impl FnMut(Heard<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(output) = warden.poll_output() {
            match output {
                Output::Request(id, request) => match instead(&request) {
                    None => wires.send(&self.api, id, request),
                    Some(answer) => warden.handle(Input::Answer(id, answer), self.clock.now()),
                },
                Output::Socket(order) => wires.order(order),
                Output::Note(note @ Note { level: Level::Warn | Level::Error, .. }) => {
                    sink(Heard::Note(note))?
                }
                Output::Note(Note { level: Level::Info, .. })
                | Output::Record(_)
                | Output::Facts(_)
                | Output::Untaken(..)
                | Output::Reply(..) => {}
            }
        }
        Ok(())
    }
}

fn only_listens(mut settings: Settings) -> Settings {
    settings.enforcement = Enforcement::DryRun;
    settings.resync_every = NEVER;
    // Every event once is enough; a second channel would only write it twice.
    settings.directory.redundancy = Redundancy::Single;
    settings.allowance.requests_per_minute = settings.allowance.requests_per_minute.min(REQUESTS_PER_MINUTE);
    settings
}

/// The answer to a request that is not sent; none where it is.
fn instead(request: &Request) -> Option<RawAnswer> {
    let answered = |status, body: &str| {
        let (rate, correlation) = (RateHeaders::default(), String::new());
        Some(RawAnswer::Answered { status, retry_after: None, rate, correlation, body: body.to_owned() })
    };
    match request {
        Request::ActivityQuery { .. } => answered(200, "{\"results\":[]}"),
        Request::GetConversation { .. } => answered(404, "{}"),
        Request::SetRecordingState { .. } | Request::Snippet { .. } | Request::RecordingsAction { .. } => {
            error!("an order to a recorder was to be sent while only listening; it is refused");
            answered(403, "{}")
        }
        Request::ListQueues { .. }
        | Request::ListUsers { .. }
        | Request::CreateChannel
        | Request::CheckChannel { .. }
        | Request::Subscribe { .. }
        | Request::ReadSubscriptions { .. }
        | Request::AvailableTopics
        | Request::TokenInfo => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversation::Media;
    use crate::model::recording::{Action, RecorderState};

    #[test]
    fn no_order_to_a_recorder_and_no_read_goes_out() {
        let conversation = crate::model::ids::ConversationId::new("c");
        let kept = [
            Request::SetRecordingState {
                conversation: conversation.clone(),
                media: Media::Call,
                state: RecorderState::Paused,
            },
            Request::RecordingsAction { conversation: conversation.clone(), action: Action::Stop },
            Request::GetConversation { conversation },
            Request::ActivityQuery { queues: Vec::new(), page: 1 },
        ];
        assert!(kept.iter().all(|request| instead(request).is_some()));
        assert!(instead(&Request::CreateChannel).is_none());
    }
}
