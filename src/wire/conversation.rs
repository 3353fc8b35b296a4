//! An event's or a REST answer's body to one conversation, whichever of the platform's shapes it has
//! (GENESYS.md 5): `participants[].calls[]` as in `...conversations` and `GET /conversations/{id}`, or flat
//! participants as in `...conversations.calls` and `GET /conversations/calls/{id}`.
//!
//! Reading is tolerant: what is missing is empty, an unknown word or a field of another type is counted as
//! odd and passed over. Only a body without an id is refused.

mod address;
mod written;

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::model::conversation::{Conversation, Direction, LegState, Media, Participant, QueueRef};
use crate::model::ids::{ConversationId, ParticipantId, QueueId, UserId};
use crate::model::recording::{RecorderState, Recorders};
use crate::model::time::Wall;
use written::{WrittenConversation, WrittenLeg, WrittenParticipant, WrittenRecorders};

/// A conversation, and what was odd about its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The conversation.
    pub conversation: Conversation,
    /// What was passed over.
    pub odd: Vec<String>,
}

/// Why a body holds no conversation.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is not a JSON object that can be read.
    #[error("not a conversation: {0}")]
    NotJson(serde_json::Error),
    /// It has no id, so nothing can be known of it.
    #[error("a conversation without an id")]
    NoId,
}

/// Reads a body of either shape.
///
/// # Errors
/// Where it is no JSON object or has no id.
pub fn read(body: &str) -> Result<Decoded, BodyError> {
    let written: WrittenConversation<'_> = serde_json::from_str(body).map_err(BodyError::NotJson)?;
    let mut reader = Reader { odd: Vec::new() };
    let id = written.id.unwrap_or_default();
    if id.is_empty() {
        return Err(BodyError::NoId);
    }
    let mut participants = Vec::with_capacity(written.participants.len());
    for raw in written.participants {
        participants.extend(reader.participant(raw.get()));
    }
    let conversation = Conversation {
        id: ConversationId::new(id),
        media: leading_media(&participants),
        start_time: reader.time("startTime", written.start_time),
        end_time: reader.time("endTime", written.end_time),
        address: address::plain(&written.address.unwrap_or_default()).to_owned(),
        recording_state: written.recording_state.and_then(|word| reader.recorder("recordingState", &word)),
        secure_pause: written.secure_pause.unwrap_or_default(),
        divisions: written
            .divisions
            .into_iter()
            .filter_map(|one| one.division.and_then(|division| division.id))
            .map(std::borrow::Cow::into_owned)
            .collect(),
        external_tag: written.external_tag.map(std::borrow::Cow::into_owned),
        participants,
    };
    Ok(Decoded { conversation, odd: reader.odd })
}

/// `Call` where any leg is a call, else the kind of the first leg.
fn leading_media(participants: &[Participant]) -> Media {
    let media = || participants.iter().map(|one| one.media);
    media().find(|one| *one == Media::Call).or_else(|| media().next()).unwrap_or_default()
}

struct Reader {
    odd: Vec<String>,
}

impl Reader {
    /// One participant. Where a field has another type than it should, the field is passed over and not
    /// the participant: one that is missing would make the whole snapshot look old.
    fn participant(&mut self, body: &str) -> Option<Participant> {
        match self.parsed(body) {
            Ok(participant) => Some(participant),
            Err(error) => {
                self.odd.push(format!("participant: {error}"));
                self.parsed(&without_wrong_types(body)?).ok()
            }
        }
    }

    fn parsed(&mut self, body: &str) -> Result<Participant, serde_json::Error> {
        let written: WrittenParticipant<'_> = serde_json::from_str(body)?;
        // Where it has communications, the participant itself holds no more of them than `connectedTime`.
        let (media, leg) = match self.leading_leg(&written) {
            Some(leading) => leading,
            None => (Media::Call, serde_json::from_str(body)?),
        };
        Ok(self.as_meant(written, media, leg))
    }

    fn as_meant(
        &mut self,
        written: WrittenParticipant<'_>,
        media: Media,
        leg: WrittenLeg<'_>,
    ) -> Participant {
        let queue = written.queue.unwrap_or_default();
        let routing = written.conversation_routing_data.unwrap_or_default();
        let team = written.team.and_then(|team| team.id).or(written.team_id);
        let text = |one: Option<Cow<'_, str>>| one.unwrap_or_default().into_owned();
        let address = |one: Option<Cow<'_, str>>| address::plain(&one.unwrap_or_default()).to_owned();
        Participant {
            id: ParticipantId::new(written.id.unwrap_or_default()),
            purpose: text(written.purpose),
            name: text(written.name),
            user: UserId::new(written.user.and_then(|one| one.id).or(written.user_id).unwrap_or_default()),
            queue: QueueRef {
                id: QueueId::new(queue.id.or(written.queue_id).unwrap_or_default()),
                name: text(queue.name.or(written.queue_name)),
            },
            team: text(team),
            media,
            state: leg.state.map(|word| self.leg_state(&word)).unwrap_or_default(),
            direction: leg.direction.and_then(|word| self.direction(&word)),
            address: address(written.address),
            ani: address(written.ani.or(leg.this.and_then(|one| one.address_normalized))),
            dnis: address(written.dnis.or(leg.other.and_then(|one| one.address_normalized))),
            provider: text(leg.provider),
            start_time: self.time("participants[].startTime", written.start_time),
            connected_time: self.time("connectedTime", written.connected_time.or(leg.connected_time)),
            end_time: self.time("participants[].endTime", written.end_time.or(leg.disconnected_time)),
            held: leg.held.unwrap_or_default(),
            muted: leg.muted.unwrap_or_default(),
            confined: leg.confined.unwrap_or_default(),
            recording: leg.recording.unwrap_or_default(),
            recording_state: leg
                .recording_state
                .and_then(|word| self.recorder("participants[].recordingState", &word))
                .unwrap_or_default(),
            secure_pause: leg.secure_pause.unwrap_or_default(),
            recorders: self.recorders(leg.recorders_state.unwrap_or_default()),
            screen_recording_state: text(written.screen_recording_state),
            attributes: self.attributes(written.attributes),
            flagged_reason: text(written.flagged_reason),
            wrapup_code: text(written.wrapup.and_then(|one| one.code)),
            disconnect_type: text(leg.disconnect_type),
            media_roles: written.media_roles.into_iter().map(std::borrow::Cow::into_owned).collect(),
            skills: routing.skills.into_iter().map(|one| text(one.name.or(one.id))).collect(),
            language: routing.language.map(|one| text(one.name.or(one.id))).unwrap_or_default(),
            priority: routing.priority.unwrap_or_default(),
        }
    }

    /// The newest communication still there, else the newest; a call before anything else.
    fn leading_leg<'b>(&mut self, written: &WrittenParticipant<'b>) -> Option<(Media, WrittenLeg<'b>)> {
        for (media, raws) in written.communications() {
            let mut legs = Vec::new();
            for raw in raws {
                match serde_json::from_str::<WrittenLeg<'b>>(RawValue::get(raw)) {
                    Ok(leg) => legs.push(leg),
                    Err(error) => self.odd.push(format!("communication passed over: {error}")),
                }
            }
            let is_there = |leg: &WrittenLeg<'_>| {
                leg.state.as_deref().is_none_or(|word| !LegState::read(word).is_over())
            };
            let newest = legs.iter().rposition(is_there).or(legs.len().checked_sub(1));
            if let Some(at) = newest {
                return Some((media, legs.swap_remove(at)));
            }
        }
        None
    }

    fn recorders(&mut self, written: WrittenRecorders<'_>) -> Recorders {
        let mut read = |word: Option<std::borrow::Cow<'_, str>>| {
            word.and_then(|word| self.recorder("recordersState", &word)).unwrap_or_default()
        };
        Recorders {
            adhoc: read(written.adhoc_state),
            customer_experience: read(written.customer_experience_state),
            agent_experience: read(written.agent_experience_state),
            snippet: read(written.snippet_state),
        }
    }

    /// Values are texts by the platform's word; anything else is kept as its JSON text.
    fn attributes(
        &mut self,
        written: std::collections::BTreeMap<String, serde_json::Value>,
    ) -> std::collections::BTreeMap<String, String> {
        let as_text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => String::new(),
            other @ (serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_)) => other.to_string(),
        };
        written.into_iter().map(|(key, value)| (key, as_text(value))).collect()
    }

    fn recorder(&mut self, field: &str, word: &str) -> Option<RecorderState> {
        let state = RecorderState::read(word);
        if state.is_none() {
            self.odd.push(format!("{field}: unknown word '{word}'"));
        }
        state
    }

    fn leg_state(&mut self, word: &str) -> LegState {
        let state = LegState::read(word);
        if matches!(state, LegState::Other(_)) {
            self.odd.push(format!("state: unknown word '{word}'"));
        }
        state
    }

    fn direction(&mut self, word: &str) -> Option<Direction> {
        if word.eq_ignore_ascii_case("inbound") {
            Some(Direction::Inbound)
        } else if word.eq_ignore_ascii_case("outbound") {
            Some(Direction::Outbound)
        } else {
            self.odd.push(format!("direction: unknown word '{word}'"));
            None
        }
    }

    fn time(&mut self, field: &str, text: Option<std::borrow::Cow<'_, str>>) -> Option<Wall> {
        let text = text.filter(|text| !text.is_empty())?;
        let at = Wall::parse(&text);
        if at.is_none() {
            self.odd.push(format!("{field}: '{text}' is not an instant"));
        }
        at
    }
}

/// The participant without the fields that have another type than they should; none where it is no object.
fn without_wrong_types(body: &str) -> Option<String> {
    let serde_json::Value::Object(fields) = serde_json::from_str(body).ok()? else { return None };
    let fits = |key: &String, value: &serde_json::Value| {
        let alone = serde_json::json!({ key: value }).to_string();
        serde_json::from_str::<WrittenParticipant<'_>>(&alone).is_ok()
            && serde_json::from_str::<WrittenLeg<'_>>(&alone).is_ok()
    };
    let kept: serde_json::Map<_, _> = fields.into_iter().filter(|(key, value)| fits(key, value)).collect();
    Some(serde_json::Value::Object(kept).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recording::Observed;

    #[test]
    fn both_shapes_become_one() {
        let nested = r#"{"id":"c","recordingState":"PAUSED","securePause":true,"participants":[
            {"id":"p1","purpose":"customer","queueId":"q","attributes":{"pci":"on"},"calls":[{"state":"connected","direction":"inbound","recordersState":{"adhocState":"ACTIVE"}}]},
            {"id":"p2","purpose":"agent","userId":"u","queueId":"q","calls":[{"state":"disconnected"},{"state":"connected","held":true}],"callbacks":[]}]}"#;
        let flat = r#"{"id":"c","recordingState":"paused","securePause":true,"participants":[
            {"id":"p1","purpose":"customer","queue":{"id":"q"},"attributes":{"pci":"on"},"state":"connected","direction":"inbound","recordersState":{"adhocState":"active"}},
            {"id":"p2","purpose":"agent","user":{"id":"u"},"queue":{"id":"q"},"team":{},"state":"connected","held":true}]}"#;
        let (nested, flat) = (read(nested).expect("nested"), read(flat).expect("flat"));
        assert_eq!(nested.conversation, flat.conversation);
        assert_eq!(nested.conversation.observed(), Observed::Paused);
        assert!(nested.odd.is_empty() && flat.odd.is_empty());
    }

    #[test]
    fn unknown_words_and_wrong_types_are_odd_not_fatal() {
        let body = r#"{"id":"c","recordingState":"outdated_sdk_version","participants":[
            7, {"purpose":"agent","queueId":5,"state":"teleported","endTime":"yesterday","attributes":{"n":1}},
            {"purpose":"customer","calls":[{"state":5},{"state":"connected"}]}]}"#;
        let decoded = read(body).expect("a conversation");
        assert_eq!(decoded.conversation.participants.len(), 2);
        assert_eq!(decoded.conversation.attribute("n"), Some("1"));
        assert_eq!(decoded.odd.len(), 6, "{:?}", decoded.odd);
    }

    #[test]
    fn a_body_without_an_id_is_refused() {
        assert!(matches!(read("{}"), Err(BodyError::NoId)));
        assert!(read("[]").is_err() && read("7").is_err() && read("").is_err());
    }
}
