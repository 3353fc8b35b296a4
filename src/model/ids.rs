//! Opaque ids. The platform's ids are usually UUIDs, yet captured payloads hold ids that are not, so
//! an id is text that is compared and never taken apart. Cloning one is cheap (a counted reference).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! opaque_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the id as it was written.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(Arc::from(text.as_ref()))
            }

            /// The id as it was written; empty where the platform left it out.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether the platform left it out.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new("")
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    )*};
}

opaque_ids! {
    /// One Genesys Cloud conversation.
    ConversationId;
    /// One participant (leg) of a conversation.
    ParticipantId;
    /// A routing queue of the contact centre (never the work queue, which is the worklist).
    QueueId;
    /// A user of the organisation.
    UserId;
    /// A notification channel.
    ChannelId;
    /// A decision of ours: a UUIDv7, so that ids sort by time.
    DecisionId;
}
