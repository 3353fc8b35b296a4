//! Where a slot stands and what it waits for, and what it wants done.

use super::SocketId;
use crate::model::time::{Mono, Now, Wall};
use crate::wire::reply::Channel;

/// What a slot is waiting for.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// A channel has to be made once it is due.
    WantChannel { due: Mono },
    /// The request for it is under way.
    Creating,
    /// The channel has to be looked at before it is used again.
    WantCheck { channel: Channel, due: Mono },
    /// That look is under way.
    Checking { channel: Channel },
    /// The socket is being opened.
    Opening { channel: Channel, socket: SocketId, deadline: Mono },
    /// The socket is open; the topics have to be sent once it is due.
    WantSubscribe { channel: Channel, socket: SocketId, due: Mono },
    /// They are under way.
    Subscribing { channel: Channel, socket: SocketId },
    /// The list has to be read back once it is due.
    WantReadBack { channel: Channel, socket: SocketId, due: Mono },
    /// That is under way.
    ReadingBack { channel: Channel, socket: SocketId },
    /// Events flow.
    Live { channel: Channel, socket: SocketId, heard: Now, probe: Option<Mono> },
}

impl State {
    pub(super) fn socket(&self) -> Option<SocketId> {
        match self {
            Self::WantChannel { .. } | Self::Creating | Self::WantCheck { .. } | Self::Checking { .. } => {
                None
            }
            Self::Opening { socket, .. }
            | Self::WantSubscribe { socket, .. }
            | Self::Subscribing { socket, .. }
            | Self::WantReadBack { socket, .. }
            | Self::ReadingBack { socket, .. }
            | Self::Live { socket, .. } => Some(*socket),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::WantChannel { .. } | Self::Creating => "making a channel",
            Self::WantCheck { .. } | Self::Checking { .. } => "checking the channel",
            Self::Opening { .. } => "opening",
            Self::WantSubscribe { .. }
            | Self::Subscribing { .. }
            | Self::WantReadBack { .. }
            | Self::ReadingBack { .. } => "subscribing",
            Self::Live { .. } => "live",
        }
    }
}

pub(super) fn request_due(state: &State) -> Option<Mono> {
    match state {
        State::WantChannel { due }
        | State::WantCheck { due, .. }
        | State::WantSubscribe { due, .. }
        | State::WantReadBack { due, .. } => Some(*due),
        State::Creating
        | State::Checking { .. }
        | State::Opening { .. }
        | State::Subscribing { .. }
        | State::ReadingBack { .. }
        | State::Live { .. } => None,
    }
}

/// What the session wants done, in order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Open a socket to the channel.
    Open(SocketId, Channel),
    /// Send a text.
    Send(SocketId, &'static str),
    /// Close a socket.
    Close(SocketId),
    /// Events may be missed from here on, and why.
    Lost(Wall, String),
    /// Every slot is live again: what was missed can be made good.
    AllLive,
}
