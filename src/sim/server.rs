//! The simulated platform on a port: HTTP and WebSocket beside each other, for the demonstration, for
//! `simulate`, and for clients that nobody here wrote.
//!
//! One task owns the [`Platform`]; connections (`sim::doorway`) send it bounded messages and get their
//! answers back.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::io::clock::Clock;
use crate::model::time::Now;
use crate::sim::channels::SocketId;
use crate::sim::doorway::{Errand, Front, accept, serve_http};
use crate::sim::happening::Happening;
use crate::sim::life::{Beat, Effect};
use crate::sim::org::Org;
use crate::sim::plan::Plan;
use crate::sim::platform::{Platform, TrueStory};
use crate::sim::post::SocketOut;
use crate::sim::traffic::Cue;

/// Messages to the platform; a connection waits where it is full.
const ERRANDS_MOST: usize = 256;
/// Messages of whoever holds the simulator, who does not wait behind the connections.
const ORDERS_MOST: usize = 8;
/// So many things happen before the next messages are read, so that callers without end keep nobody waiting.
const HAPPENINGS_PER_TURN: usize = 64;
/// So many messages are read before the next things happen, so that clients without end keep no caller waiting.
const ERRANDS_PER_TURN: usize = 64;
/// Happenings for one who watches; what is over is dropped.
const HAPPENINGS_MOST: usize = 4_096;
/// Accepted connections that HTTP has not taken up yet; accepting waits where it is full.
const CONNECTIONS_MOST: usize = 64;

/// A simulator that runs. Dropped, it stops too.
#[derive(Debug)]
pub struct SimHandle {
    /// Where its REST API is: `http://127.0.0.1:PORT`.
    pub api_url: String,
    /// Where clients log in: the same.
    pub login_url: String,
    /// The id to log in with.
    pub client_id: String,
    /// The secret that goes with it.
    pub client_secret: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its queues and agents.
    pub org: Org,
    orders: mpsc::Sender<Errand>,
    tasks: Vec<JoinHandle<()>>,
}

impl SimHandle {
    /// How all conversations really were, so far.
    pub async fn truth(&self) -> Vec<TrueStory> {
        self.ask(Errand::Truth).await.unwrap_or_default()
    }

    /// Begins a call that lives by this script, and gives its id.
    pub async fn begin_call(&self, script: Vec<Cue>) -> Option<String> {
        self.ask(|answer| Errand::Begin(script, answer)).await
    }

    /// Makes one thing happen in a call now.
    pub async fn play(&self, conversation: &str, beat: Beat) -> Effect {
        let conversation = conversation.to_owned();
        self.ask(|answer| Errand::Play(conversation, beat, answer)).await.unwrap_or(Effect::Nothing)
    }

    /// Nobody calls any more; who is in a call stays to its end.
    pub async fn close_doors(&self) {
        // One that has stopped has no doors.
        self.orders.send(Errand::CloseDoors).await.ok();
    }

    /// How long orders took to come after the events that called for them.
    pub async fn reactions(&self) -> Vec<Duration> {
        self.ask(Errand::Reactions).await.unwrap_or_default()
    }

    /// Stops it, and gives the whole truth.
    pub async fn stop(self) -> Vec<TrueStory> {
        self.ask(Errand::Stop).await.unwrap_or_default()
    }

    async fn ask<T>(&self, errand: impl FnOnce(oneshot::Sender<T>) -> Errand) -> Option<T> {
        let (answer_tx, answer) = oneshot::channel();
        self.orders.send(errand(answer_tx)).await.ok()?;
        answer.await.ok()
    }
}

impl Drop for SimHandle {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Starts a simulator on this listener; what happens in it can be read from the second value, as long as
/// somebody reads it.
pub fn start(listener: TcpListener, plan: Plan) -> io::Result<(SimHandle, mpsc::Receiver<Happening>)> {
    let address = listener.local_addr()?;
    let clock = Clock::start();
    let (client_id, client_secret) = (plan.client_id.clone(), plan.client_secret.clone());
    let platform = Platform::new(plan, clock.now());
    let org = platform.org().clone();
    let (errands, errands_rx) = mpsc::channel(ERRANDS_MOST);
    let (orders, orders_rx) = mpsc::channel(ORDERS_MOST);
    let (happenings_tx, happenings) = mpsc::channel(HAPPENINGS_MOST);
    let (connections_tx, connections) = mpsc::channel(CONNECTIONS_MOST);
    let front = Front::new(connections, address);
    let router = Router::new().fallback(serve_http).with_state(errands.clone());
    let http = tokio::spawn(async move {
        if let Err(error) = axum::serve(front, router).await {
            tracing::warn!(%error, "the simulator's HTTP side ended");
        }
    });
    let accept = tokio::spawn(accept(listener, connections_tx, errands));
    let (sockets, now) = (BTreeMap::new(), clock.now());
    let owner = Owner { platform, clock, now, sockets, happenings: happenings_tx };
    let owner = tokio::spawn(owner.run(orders_rx, errands_rx));
    let url = format!("http://{address}");
    let handle = SimHandle {
        api_url: url.clone(),
        login_url: url,
        client_id,
        client_secret,
        address,
        org,
        orders,
        tasks: vec![owner, accept, http],
    };
    Ok((handle, happenings))
}

/// The task that owns the platform.
struct Owner {
    platform: Platform,
    clock: Clock,
    /// To where the platform has come: the clock's time, or less where more is due than can be played.
    now: Now,
    sockets: BTreeMap<SocketId, mpsc::Sender<SocketOut>>,
    happenings: mpsc::Sender<Happening>,
}

impl Owner {
    async fn run(mut self, mut orders: mpsc::Receiver<Errand>, mut errands: mpsc::Receiver<Errand>) {
        loop {
            self.hand_out();
            let wakeup = self.platform.next_wakeup().map(|at| self.clock.instant(at));
            let first = tokio::select! {
                biased;
                order = orders.recv() => Some(order),
                errand = errands.recv() => Some(errand),
                () = sleep_until(wakeup) => None,
            };
            self.now = self.platform.catch_up(self.clock.now(), HAPPENINGS_PER_TURN);
            let mut next = match first {
                None => continue,
                // Nobody is left who could want anything.
                Some(None) => return,
                Some(errand) => errand,
            };
            for _ in 0..ERRANDS_PER_TURN {
                let waiting = || orders.try_recv().or_else(|_| errands.try_recv()).ok();
                let Some(errand) = next.take().or_else(waiting) else { break };
                if self.run_errand(errand).is_break() {
                    return;
                }
            }
        }
    }

    /// Does what is asked; whether that was the end.
    fn run_errand(&mut self, errand: Errand) -> ControlFlow<()> {
        let now = self.now;
        match errand {
            Errand::Http(request, answer) => reply(answer, self.platform.http(&request, now)),
            Errand::Open(channel, frames, answer) => {
                let socket = self.platform.open_socket(&channel, now);
                if let Some(socket) = socket {
                    self.sockets.insert(socket, frames);
                }
                reply(answer, socket);
            }
            Errand::Text(socket, text) => self.platform.socket_text(socket, &text, now),
            Errand::Gone(socket) => {
                self.sockets.remove(&socket);
                self.platform.socket_gone(socket, now);
            }
            Errand::Begin(script, answer) => reply(answer, self.platform.begin_call(script, now)),
            Errand::Play(conversation, beat, answer) => {
                reply(answer, self.platform.play(&conversation, &beat, now));
            }
            Errand::Truth(answer) => reply(answer, self.platform.truth().collect()),
            Errand::CloseDoors => self.platform.close_doors(),
            Errand::Reactions(answer) => reply(answer, self.platform.reactions().to_vec()),
            Errand::Stop(answer) => {
                reply(answer, self.platform.truth().collect());
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn hand_out(&mut self) {
        while let Some((socket, out)) = self.platform.poll_frame() {
            let ends = matches!(out, SocketOut::Close { .. } | SocketOut::Cut);
            let sent = self.sockets.get(&socket).map(|frames| frames.try_send(out));
            if ends {
                self.sockets.remove(&socket);
            } else if matches!(sent, Some(Err(_))) {
                self.sockets.remove(&socket);
                self.platform.socket_gone(socket, self.now);
            }
        }
        while let Some(happening) = self.platform.poll_happening() {
            if self.happenings.try_send(happening).is_err() {
                // Nobody watches, or not fast enough: to be dropped is what happenings are for.
                continue;
            }
        }
    }
}

/// Answers one who may have gone meanwhile.
fn reply<T>(answer: oneshot::Sender<T>, value: T) {
    drop(answer.send(value));
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use futures::{SinkExt, StreamExt};
    use serde_json::{Value, json};
    use tokio_tungstenite::tungstenite::{Error, Message};

    use super::*;
    use crate::sim::faults::Faults;

    async fn simulator(plan: Plan) -> SimHandle {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        start(listener, plan).expect("a simulator").0
    }

    async fn channel(simulator: &SimHandle) -> String {
        let web = reqwest::Client::new();
        let answer = async |asked: reqwest::RequestBuilder| -> Value {
            asked.send().await.expect("an answer").json().await.expect("JSON")
        };
        let token = web
            .post(format!("{}/oauth/token", simulator.login_url))
            .basic_auth(&simulator.client_id, Some(&simulator.client_secret))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials");
        let token = answer(token).await;
        let channel = web
            .post(format!("{}/api/v2/notifications/channels", simulator.api_url))
            .bearer_auth(token["access_token"].as_str().expect("a token"));
        let channel = answer(channel).await;
        channel["connectUri"].as_str().expect("an address").to_owned()
    }

    #[tokio::test]
    async fn http_and_web_socket_are_served_on_one_port() {
        let simulator = simulator(Plan { calls: 0, ..Plan::default() }).await;
        let uri = channel(&simulator).await;
        let (mut socket, _) = tokio_tungstenite::connect_async(&uri).await.expect("a socket");
        socket.send(Message::text("{\"message\":\"ping\"}")).await.expect("sent");
        let pong = socket.next().await.expect("a frame").expect("a frame").into_text().expect("text");
        let pong: Value = serde_json::from_str(&pong).expect("JSON");
        assert_eq!(pong["eventBody"], json!({"message": "pong"}));

        let (_second, _) = tokio_tungstenite::connect_async(&uri).await.expect("a second socket");
        let last = socket.next().await.expect("a frame").expect("a frame");
        assert!(matches!(last, Message::Close(Some(_))), "{last:?}");
        assert!(simulator.stop().await.is_empty());
    }

    #[tokio::test]
    async fn there_is_no_socket_without_a_channel() {
        let simulator = simulator(Plan { calls: 0, ..Plan::default() }).await;
        let refused = tokio_tungstenite::connect_async(format!("ws://{}/channels/none", simulator.address));
        let Err(Error::Http(answer)) = refused.await else {
            panic!("a refusal");
        };
        assert_eq!(answer.status(), 404);
    }

    #[tokio::test]
    async fn a_dropped_socket_ends_without_a_closing_handshake() {
        let faults =
            Faults { drop_sockets_every: Some(std::time::Duration::from_millis(50)), ..Faults::default() };
        let simulator = simulator(Plan { calls: 0, faults, ..Plan::default() }).await;
        let uri = channel(&simulator).await;
        let (mut socket, _) = tokio_tungstenite::connect_async(&uri).await.expect("a socket");
        assert!(matches!(socket.next().await, Some(Err(_)) | None));
    }

    #[tokio::test]
    async fn the_truth_of_a_call_is_told() {
        let simulator = simulator(Plan { calls: 0, ..Plan::default() }).await;
        let id = simulator.begin_call(Vec::new()).await.expect("a call");
        assert_eq!(simulator.play(&id, Beat::CallIn).await, Effect::Changed);
        let truth = simulator.stop().await;
        assert_eq!((truth[0].conversation.as_str(), truth[0].truths.len()), (id.as_str(), 1));
    }
}
