//! What goes out to sockets. Nothing is kept for a channel without one: events are sent at most once
//! (GENESYS.md 4.3).

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::time::Mono;
use crate::sim::channels::{Channels, Hearing, SocketId};

/// What goes to a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketOut {
    /// A text frame.
    Text(String),
    /// A closing handshake.
    Close {
        /// The code of RFC 6455.
        code: u16,
        /// Why.
        reason: &'static str,
    },
    /// The connection is cut without one.
    Cut,
    /// From now on the connection is neither read nor written, and stays open.
    Freeze,
}

/// Events remembered for those who count them; the oldest goes first, and the numbers tell.
const ISSUED_KEPT: usize = 1_000;

/// An event on one topic, whether anybody was there to hear it or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Its number among all events.
    pub number: u64,
    /// When.
    pub at: Mono,
    /// Its topic.
    pub topic: String,
    /// The `CorrelationId` of each copy that went to a channel.
    pub copies: Vec<String>,
}

/// Channels, sockets, and the frames on their way.
#[derive(Clone, Debug)]
pub struct Post {
    /// The channels.
    pub channels: Channels,
    frames: VecDeque<(SocketId, SocketOut)>,
    issued: VecDeque<Issued>,
    issued_count: u64,
}

impl Post {
    /// No channel yet; each will live for so long.
    pub fn new(channel_lifetime: Duration) -> Self {
        Self {
            channels: Channels::new(channel_lifetime),
            frames: VecDeque::new(),
            issued: VecDeque::new(),
            issued_count: 0,
        }
    }

    /// Sends something to a socket, if it still hears.
    pub fn send(&mut self, socket: SocketId, out: SocketOut) {
        if self.channels.socket(socket).is_some_and(|socket| socket.hearing == Hearing::Good) {
            self.frames.push_back((socket, out));
        }
    }

    /// Sends a frame of JSON.
    pub fn send_json(&mut self, socket: SocketId, frame: &Value) {
        self.send(socket, SocketOut::Text(frame.to_string()));
    }

    /// A socket for a channel, and the one it pushes out; `None` where there is no such channel.
    pub fn connect(&mut self, channel: &str, now: Mono) -> Option<(SocketId, Option<SocketId>)> {
        let (socket, former) = self.channels.connect(channel, now)?;
        if let Some(former) = former {
            // It is out of the books already, so `send` would not reach it.
            self.frames.push_back((former, SocketOut::Close { code: 1000, reason: "duplicate connection" }));
        }
        Some((socket, former))
    }

    /// Ends the socket of a channel whose time is over; how much is left of it where it is not.
    pub fn expire(&mut self, channel: &str, now: Mono) -> Option<Duration> {
        let (expires, socket) = self.channels.expiry(channel)?;
        if expires > now {
            return Some(expires.since(now));
        }
        if let Some(socket) = socket {
            self.end(socket, SocketOut::Close { code: 1000, reason: "channel expired" });
        }
        None
    }

    /// Ends a socket.
    pub fn end(&mut self, socket: SocketId, how: SocketOut) {
        self.send(socket, how);
        self.channels.disconnect(socket);
    }

    /// Lets a socket go silent without ending it.
    pub fn freeze(&mut self, socket: SocketId) {
        self.send(socket, SocketOut::Freeze);
        if let Some(socket) = self.channels.socket(socket) {
            socket.hearing = Hearing::Gone;
        }
    }

    /// The pulse of a socket; whether it is still open.
    pub fn beat(&mut self, socket: SocketId) -> Option<()> {
        self.channels.socket(socket)?;
        self.send_json(
            socket,
            &json!({"topicName": "channel.metadata", "eventBody": {"message": "WebSocket Heartbeat"}}),
        );
        Some(())
    }

    /// Says that a socket will be closed. The body was found nowhere word for word (GENESYS.md 4.3).
    pub fn announce_closing(&mut self, socket: SocketId) {
        self.send_json(
            socket,
            &json!({
                "topicName": "v2.system.socket_closing",
                "eventBody": {"message": "The WebSocket connection will be closed for maintenance."},
            }),
        );
    }

    /// Says that the token of a channel was revoked, and ends its socket.
    pub fn announce_revocation(&mut self, socket: SocketId) {
        let Some(channel) = self.channels.socket(socket).map(|socket| socket.channel.clone()) else {
            return;
        };
        self.send_json(
            socket,
            &json!({
                "topicName": format!("v2.system.token_revoked.{channel}"),
                "eventBody": {
                    "channelId": channel,
                    "systemTopicType": "token_revoked",
                    "reason": "user_tokens_revoked",
                },
            }),
        );
        self.end(socket, SocketOut::Close { code: 1000, reason: "token revoked" });
    }

    /// Writes down that an event went out.
    pub fn note_issued(&mut self, at: Mono, topic: &str, copies: Vec<String>) {
        if self.issued.len() >= ISSUED_KEPT {
            self.issued.pop_front();
        }
        let number = self.issued_count;
        self.issued_count += 1;
        self.issued.push_back(Issued { number, at, topic: topic.to_owned(), copies });
    }

    /// The next event that went out.
    pub fn poll_issued(&mut self) -> Option<Issued> {
        self.issued.pop_front()
    }

    /// The next frame for a socket.
    pub fn poll_frame(&mut self) -> Option<(SocketId, SocketOut)> {
        self.frames.pop_front()
    }
}
