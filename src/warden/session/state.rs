//! Where a slot stands and what it waits for, and what it wants done.

use std::collections::BTreeSet;

use super::{SlotId, SocketId};
use crate::model::time::{Mono, Now, Wall};
use crate::wire::reply::Channel;
use crate::wire::topic::{Revision, Topic};

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
    /// The socket is open.
    Open(Open),
    /// A successor has taken over; what is still on its way is heard out. `silent` is when it was heard last, where it
    /// has not shown since that it heard until then.
    Retiring { socket: SocketId, until: Mono, silent: Option<Now> },
}

/// An open socket and its channel.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) channel: Channel,
    pub(super) socket: SocketId,
    /// When anything was last heard.
    pub(super) heard: Now,
    /// Until when a ping has to be answered.
    pub(super) probe: Option<Mono>,
    /// When a conversation event last came: the only proof that the channel still gets any.
    pub(super) proved: Now,
    /// When that event had come, where it waited to be taken.
    pub(super) brought: Now,
    /// When the text that was taken last had come.
    pub(super) came: Now,
    pub(super) list: List,
    /// The topics that the platform's list had when it was read back last.
    pub(super) had: BTreeSet<Topic>,
    /// Whether ours took its place since, so that what it lacks was not taken from it.
    pub(super) replaced: bool,
    pub(super) service: Service,
}

/// Where the subscription list of a channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// The topics have to be sent once it is due.
    Due(Mono),
    /// Those of this revision are under way.
    Sending(Revision),
    /// The list has to be read back once it is due.
    ReadDue(Revision, Mono),
    /// That is under way.
    Reading(Revision),
    /// The platform's list is that of this revision.
    Held(Revision),
}

/// Whether events flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// No list was confirmed yet.
    Rising,
    /// Those of this revision do. Nothing was missed since `unbroken`, the time of predecessors included.
    Live { revision: Revision, unbroken: Mono },
}

/// Why a live channel is to be replaced, the weightier the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// The platform is about to close its socket.
    Closing,
    /// Its time is nearly over.
    Expiring,
    /// There is a new access token, and the channel may end with the old one.
    Token,
    /// It may come not to hear what it should.
    Suspected,
    /// It may not have heard what it should: there is a gap for that, unless its twin heard.
    Doubted,
}

/// A replacement that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Renewal {
    pub(super) why: Why,
    pub(super) due: Mono,
}

impl State {
    pub(super) fn socket(&self) -> Option<SocketId> {
        match self {
            Self::WantChannel { .. } | Self::Creating | Self::WantCheck { .. } | Self::Checking { .. } => {
                None
            }
            Self::Opening { socket, .. } | Self::Retiring { socket, .. } => Some(*socket),
            Self::Open(open) => Some(open.socket),
        }
    }

    /// The channel, where a socket of it is wanted or open.
    pub(super) fn channel(&self) -> Option<&Channel> {
        match self {
            Self::Opening { channel, .. } | Self::Open(Open { channel, .. }) => Some(channel),
            Self::WantChannel { .. }
            | Self::Creating
            | Self::WantCheck { .. }
            | Self::Checking { .. }
            | Self::Retiring { .. } => None,
        }
    }

    pub(super) fn retires(&self) -> bool {
        matches!(self, Self::Retiring { .. })
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::WantChannel { .. } | Self::Creating => "making a channel",
            Self::WantCheck { .. } | Self::Checking { .. } => "checking the channel",
            Self::Opening { .. } => "opening",
            Self::Open(Open { service: Service::Rising, .. }) => "subscribing",
            Self::Open(Open { service: Service::Live { .. }, .. }) => "live",
            Self::Retiring { .. } => "retiring",
        }
    }

    /// The open socket, while events flow, and since when without a break.
    pub(super) fn live(&self) -> Option<(&Open, Mono)> {
        match self {
            Self::Open(open) => match open.service {
                Service::Live { unbroken, .. } => Some((open, unbroken)),
                Service::Rising => None,
            },
            Self::WantChannel { .. }
            | Self::Creating
            | Self::WantCheck { .. }
            | Self::Checking { .. }
            | Self::Opening { .. }
            | Self::Retiring { .. } => None,
        }
    }

    /// When a request falls due.
    pub(super) fn request_due(&self) -> Option<Mono> {
        match self {
            Self::WantChannel { due } | Self::WantCheck { due, .. } => Some(*due),
            Self::Open(Open { list: List::Due(due) | List::ReadDue(_, due), .. }) => Some(*due),
            Self::Open(Open { list: List::Sending(_) | List::Reading(_) | List::Held(_), .. })
            | Self::Creating
            | Self::Checking { .. }
            | Self::Opening { .. }
            | Self::Retiring { .. } => None,
        }
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
    /// A channel missed what its twin heard; it is replaced.
    Deaf(SlotId),
    /// Every topic is heard again: what was missed can be made good.
    AllLive,
    /// Topics came to those that were heard before: what goes on there is not known yet.
    Grown,
}
