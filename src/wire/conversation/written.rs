//! The fields as the platform writes them, all optional. Texts are borrowed from the body where they hold
//! no escapes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::model::conversation::Media;

type Text<'b> = Option<Cow<'b, str>>;

/// `null` reads as empty, as a missing field does.
fn nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

macro_rules! written {
    ($($(#[$doc:meta])* struct $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'b"))]
        pub(super) struct $name<'b> {
            $($(#[$attr])* pub(super) $field: $type,)*
        }
    )*};
}

written! {
    /// A conversation of either shape.
    struct WrittenConversation {
        #[serde(borrow)] id: Text<'b>,
        #[serde(borrow)] start_time: Text<'b>,
        #[serde(borrow)] end_time: Text<'b>,
        #[serde(borrow)] address: Text<'b>,
        #[serde(borrow)] recording_state: Text<'b>,
        secure_pause: Option<bool>,
        #[serde(borrow)] external_tag: Text<'b>,
        #[serde(borrow, deserialize_with = "nothing")] divisions: Vec<WrittenDivision<'b>>,
        #[serde(borrow, deserialize_with = "nothing")] participants: Vec<&'b RawValue>,
    }
    /// Its membership in one division.
    struct WrittenDivision {
        #[serde(borrow)] division: Option<WrittenRef<'b>>,
    }
    /// A reference; `{}` where it is missing.
    struct WrittenRef {
        #[serde(borrow)] id: Text<'b>,
        #[serde(borrow)] name: Text<'b>,
    }
    /// A participant of either shape.
    struct WrittenParticipant {
        #[serde(borrow)] id: Text<'b>,
        #[serde(borrow)] purpose: Text<'b>,
        #[serde(borrow)] name: Text<'b>,
        #[serde(borrow)] user_id: Text<'b>,
        #[serde(borrow)] user: Option<WrittenRef<'b>>,
        #[serde(borrow)] queue_id: Text<'b>,
        #[serde(borrow)] queue_name: Text<'b>,
        #[serde(borrow)] queue: Option<WrittenRef<'b>>,
        #[serde(borrow)] team_id: Text<'b>,
        #[serde(borrow)] team: Option<WrittenRef<'b>>,
        #[serde(borrow)] address: Text<'b>,
        #[serde(borrow)] ani: Text<'b>,
        #[serde(borrow)] dnis: Text<'b>,
        #[serde(borrow)] start_time: Text<'b>,
        #[serde(borrow)] connected_time: Text<'b>,
        #[serde(borrow)] end_time: Text<'b>,
        #[serde(borrow)] screen_recording_state: Text<'b>,
        #[serde(borrow)] flagged_reason: Text<'b>,
        #[serde(borrow)] wrapup: Option<WrittenWrapup<'b>>,
        #[serde(borrow)] conversation_routing_data: Option<WrittenRouting<'b>>,
        #[serde(deserialize_with = "nothing")] attributes: BTreeMap<String, serde_json::Value>,
        #[serde(borrow, deserialize_with = "nothing")] media_roles: Vec<Cow<'b, str>>,
        #[serde(borrow, deserialize_with = "nothing")] calls: Vec<&'b RawValue>,
        #[serde(borrow, deserialize_with = "nothing")] callbacks: Vec<&'b RawValue>,
        #[serde(borrow, deserialize_with = "nothing")] chats: Vec<&'b RawValue>,
        #[serde(borrow, deserialize_with = "nothing")] cobrowsesessions: Vec<&'b RawValue>,
        #[serde(borrow, deserialize_with = "nothing")] emails: Vec<&'b RawValue>,
        #[serde(borrow, deserialize_with = "nothing")] messages: Vec<&'b RawValue>,
        #[serde(borrow, deserialize_with = "nothing")] internal_messages: Vec<&'b RawValue>,
        #[serde(borrow, deserialize_with = "nothing")] screenshares: Vec<&'b RawValue>,
        #[serde(borrow, deserialize_with = "nothing")] social_expressions: Vec<&'b RawValue>,
        #[serde(borrow, deserialize_with = "nothing")] videos: Vec<&'b RawValue>,
    }
    /// One communication; in the flat shape these fields stand on the participant itself.
    struct WrittenLeg {
        #[serde(borrow)] state: Text<'b>,
        #[serde(borrow)] direction: Text<'b>,
        #[serde(borrow)] provider: Text<'b>,
        #[serde(borrow)] connected_time: Text<'b>,
        #[serde(borrow)] disconnected_time: Text<'b>,
        #[serde(borrow)] disconnect_type: Text<'b>,
        held: Option<bool>,
        muted: Option<bool>,
        confined: Option<bool>,
        recording: Option<bool>,
        #[serde(borrow)] recording_state: Text<'b>,
        secure_pause: Option<bool>,
        #[serde(borrow)] recorders_state: Option<WrittenRecorders<'b>>,
        #[serde(borrow, rename = "self")] this: Option<WrittenAddress<'b>>,
        #[serde(borrow)] other: Option<WrittenAddress<'b>>,
    }
    /// One end of a call.
    struct WrittenAddress {
        #[serde(borrow)] address_normalized: Text<'b>,
    }
    /// The four recorders.
    struct WrittenRecorders {
        #[serde(borrow)] adhoc_state: Text<'b>,
        #[serde(borrow)] customer_experience_state: Text<'b>,
        #[serde(borrow)] agent_experience_state: Text<'b>,
        #[serde(borrow)] snippet_state: Text<'b>,
    }
    /// The wrap-up.
    struct WrittenWrapup {
        #[serde(borrow)] code: Text<'b>,
    }
    /// What the routing asked for.
    struct WrittenRouting {
        priority: Option<i64>,
        #[serde(borrow)] language: Option<WrittenRef<'b>>,
        #[serde(borrow, deserialize_with = "nothing")] skills: Vec<WrittenRef<'b>>,
    }
}

impl<'b> WrittenParticipant<'b> {
    /// The communications by kind, calls first.
    pub(super) fn communications(&self) -> [(Media, &[&'b RawValue]); 10] {
        [
            (Media::Call, &self.calls),
            (Media::Callback, &self.callbacks),
            (Media::Chat, &self.chats),
            (Media::Cobrowse, &self.cobrowsesessions),
            (Media::Email, &self.emails),
            (Media::Message, &self.messages),
            (Media::InternalMessage, &self.internal_messages),
            (Media::Screenshare, &self.screenshares),
            (Media::Social, &self.social_expressions),
            (Media::Video, &self.videos),
        ]
    }
}
