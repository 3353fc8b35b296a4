//! What comes out of the warden.

use super::{Keeping, RequestId, Ticket, Untaken};
use crate::audit::record::Record;
use crate::model::ids::DecisionId;
use crate::warden::session::SocketId;
use crate::wire::reply::Channel;
use crate::wire::request::Request;

/// What comes out, to be performed in order.
#[derive(Debug)]
pub enum Output {
    /// Append this; it is durable before the next output is performed.
    Record(Record),
    /// Keep these facts, or no longer; durable before the next output too.
    Facts(Keeping),
    /// Send this.
    Request(RequestId, Request),
    /// Do this to a socket.
    Socket(SocketOrder),
    /// Answer a caller.
    Reply(Ticket, Reply),
    /// Tell a caller that its facts are not taken, and why.
    Untaken(Ticket, Untaken),
    /// Tell the operator.
    Note(Note),
}

/// What to do to a socket.
#[derive(Debug)]
pub enum SocketOrder {
    /// Open one to the channel.
    Open(SocketId, Channel),
    /// Send a text.
    Send(SocketId, &'static str),
    /// Close it.
    Close(SocketId),
}

/// The answer to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The decision that it opened; none where the conversation already is as wanted.
    pub decision: Option<DecisionId>,
    /// What happens now, for people.
    pub message: String,
}

/// Something for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Who gets woken.
    pub level: Level,
    /// What happened, to what, and what to do.
    pub message: String,
}

/// Who gets woken by a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nobody; it helps to understand.
    Info,
    /// Nobody tonight; look at it.
    Warn,
    /// Somebody, now.
    Error,
}
