//! What one leg is: its kind, who began it, and its state, in the words of the platform and of rules.

/// The kind of a conversation, or of one leg of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Media {
    /// A telephone call; what is left where nothing else is said.
    #[default]
    Call,
    /// A callback.
    Callback,
    /// A web chat (deprecated by the platform).
    Chat,
    /// A co-browse session.
    Cobrowse,
    /// An e-mail.
    Email,
    /// A message (SMS, WhatsApp, web messaging).
    Message,
    /// An internal message.
    InternalMessage,
    /// A screen share.
    Screenshare,
    /// A social expression.
    Social,
    /// A video call.
    Video,
}

impl Media {
    /// Every kind, calls first.
    pub const ALL: [Self; 10] = [
        Self::Call,
        Self::Callback,
        Self::Chat,
        Self::Cobrowse,
        Self::Email,
        Self::Message,
        Self::InternalMessage,
        Self::Screenshare,
        Self::Social,
        Self::Video,
    ];

    /// The word of rules (`media = ["call"]`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Callback => "callback",
            Self::Chat => "chat",
            Self::Cobrowse => "cobrowse",
            Self::Email => "email",
            Self::Message => "message",
            Self::InternalMessage => "internalmessage",
            Self::Screenshare => "screenshare",
            Self::Social => "social",
            Self::Video => "video",
        }
    }
}

/// Whether the customer or the organisation began a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Towards the contact centre.
    Inbound,
    /// From the contact centre.
    Outbound,
}

impl Direction {
    /// The word of rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// The state of one leg (GENESYS.md, appendices A and B).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum LegState {
    /// The platform said `none`, or nothing.
    #[default]
    None,
    /// Ringing at an agent.
    Alerting,
    /// Being dialled.
    Dialing,
    /// Being contacted.
    Contacting,
    /// Offered to a flow or a queue.
    Offering,
    /// Talking, or waiting in a queue.
    Connected,
    /// Over.
    Disconnected,
    /// Over.
    Terminated,
    /// A callback that waits for its time.
    Scheduled,
    /// An e-mail or message that waits.
    Parked,
    /// A media of its own: fax and the like.
    Uploading,
    /// See `Uploading`.
    Converting,
    /// See `Uploading`.
    Transmitting,
    /// A word we do not know; kept as it was written.
    Other(Box<str>),
}

impl LegState {
    const KNOWN: [(&'static str, Self); 13] = [
        ("none", Self::None),
        ("alerting", Self::Alerting),
        ("dialing", Self::Dialing),
        ("contacting", Self::Contacting),
        ("offering", Self::Offering),
        ("connected", Self::Connected),
        ("disconnected", Self::Disconnected),
        ("terminated", Self::Terminated),
        ("scheduled", Self::Scheduled),
        ("parked", Self::Parked),
        ("uploading", Self::Uploading),
        ("converting", Self::Converting),
        ("transmitting", Self::Transmitting),
    ];

    /// Reads the platform's word, in either case; an unknown one is kept.
    pub fn read(word: &str) -> Self {
        Self::KNOWN
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(word))
            .map_or_else(|| Self::Other(word.into()), |(_, state)| state.clone())
    }

    /// The platform's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(word) => word,
            Self::None => "none",
            Self::Alerting => "alerting",
            Self::Dialing => "dialing",
            Self::Contacting => "contacting",
            Self::Offering => "offering",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Terminated => "terminated",
            Self::Scheduled => "scheduled",
            Self::Parked => "parked",
            Self::Uploading => "uploading",
            Self::Converting => "converting",
            Self::Transmitting => "transmitting",
        }
    }

    /// Whether the leg is over for good.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Disconnected | Self::Terminated)
    }
}
