//! What the loop is wired to: the sockets with their events, and the requests with their answers.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tracing::debug;

use super::{ANSWERS_WAITING, EVENTS_WAITING};
use crate::io::api::Api;
use crate::io::clock::Clock;
use crate::io::socket::{self, Inlet, SocketEvent};
use crate::warden::session::SocketId;
use crate::warden::{RequestId, SocketOrder};
use crate::wire::reply::RawAnswer;
use crate::wire::request::Request;

/// Both ends of everything that goes out and comes back.
pub(super) struct Wires {
    sockets: BTreeMap<SocketId, mpsc::Sender<socket::SocketOrder>>,
    inlet: Inlet,
    /// What sockets say.
    pub(super) socket_events: mpsc::Receiver<SocketEvent>,
    answers_tx: mpsc::Sender<(RequestId, RawAnswer)>,
    /// What requests came to.
    pub(super) answers: mpsc::Receiver<(RequestId, RawAnswer)>,
}

impl Wires {
    /// Nothing is open, nothing is under way. Texts that wait may take so many bytes.
    pub(super) fn new(room: u64, clock: Clock) -> Self {
        let (socket_events_tx, socket_events) = mpsc::channel(EVENTS_WAITING);
        let (answers_tx, answers) = mpsc::channel(ANSWERS_WAITING);
        let inlet = Inlet::new(socket_events_tx, room, clock);
        Self { sockets: BTreeMap::new(), inlet, socket_events, answers_tx, answers }
    }

    /// Sends a request beside the loop.
    pub(super) fn send(&self, api: &Api, id: RequestId, request: Request) {
        let (api, answers_tx) = (api.clone(), self.answers_tx.clone());
        tokio::spawn(async move {
            let answer = api.send(&request).await;
            // Where the loop is gone the log says that the attempt has no outcome.
            answers_tx.send((id, answer)).await.ok();
        });
    }

    /// A socket is gone.
    pub(super) fn lost(&mut self, socket: SocketId) {
        self.sockets.remove(&socket);
    }

    /// Does something to a socket.
    pub(super) fn order(&mut self, order: SocketOrder) {
        match order {
            SocketOrder::Open(socket, channel) => {
                let (orders_tx, orders) = mpsc::channel(socket::ORDERS_WAITING);
                self.sockets.insert(socket, orders_tx);
                tokio::spawn(socket::run(socket, channel.connect_uri, orders, self.inlet.clone()));
            }
            SocketOrder::Send(socket, text) => {
                if let Some(orders_tx) = self.sockets.get(&socket)
                    && orders_tx.try_send(socket::SocketOrder::Send(text)).is_err()
                {
                    debug!("a socket takes no more orders; its deadline will notice");
                }
            }
            SocketOrder::Close(socket) => {
                // Dropping the sender closes the socket too, should its orders be full.
                if let Some(orders_tx) = self.sockets.remove(&socket) {
                    orders_tx.try_send(socket::SocketOrder::Close).ok();
                }
            }
        }
    }
}
