//! Bodies and path parts as others write them, to orders as meant; or all that is wrong with them.

use std::time::Duration;

use serde_json::{Map, Value, json};
use thiserror::Error;
use uuid::Uuid;

use crate::http::ask::{DirectiveOrder, Order, Origin};
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::recording::Action;
use crate::policy::subject::Facts;

/// All that is wrong with a request, each mistake a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", .0.join("; "))]
pub struct Malformed(pub Vec<String>);

/// Reads `{"conversation_id", "action" | "release", "for", "by", "reason"}`. Other fields are left alone:
/// senders such as CRMs often send their whole context along.
pub fn directive(body: &[u8], origin: Origin) -> Result<DirectiveOrder, Malformed> {
    let mut fields = Fields::read(body)?;
    let conversation = fields.conversation();
    let order = fields.order();
    let by = fields.text("by").filter(|by| !by.is_empty());
    let reason = fields.text("reason");
    match (conversation, order) {
        (Some(conversation), Some(order)) if fields.mistakes.is_empty() => Ok(DirectiveOrder {
            conversation,
            order,
            by: by.unwrap_or_else(|| origin.as_str().to_owned()),
            reason: reason.unwrap_or_default(),
            origin,
            webhook_id: None,
        }),
        (Some(_) | None, Some(_) | None) => Err(Malformed(fields.mistakes)),
    }
}

/// Writes a directive as [`directive`] reads it.
pub fn written(directive: &DirectiveOrder) -> Value {
    let mut body = json!({
        "conversation_id": directive.conversation,
        "by": directive.by,
        "reason": directive.reason,
    });
    match &directive.order {
        Order::Set { action, lasts } => {
            body["action"] = json!(action);
            if let Some(lasts) = lasts {
                body["for"] = json!(humantime::format_duration(*lasts).to_string());
            }
        }
        Order::Release => body["release"] = json!(true),
    }
    body
}

/// Reads `{"conversation_id", "facts": {...}}`.
pub fn facts(body: &[u8]) -> Result<(ConversationId, Facts), Malformed> {
    let mut fields = Fields::read(body)?;
    let conversation = fields.conversation();
    let facts = fields.facts();
    match (conversation, facts) {
        (Some(conversation), Some(facts)) => Ok((conversation, facts)),
        (Some(_) | None, Some(_) | None) => Err(Malformed(fields.mistakes)),
    }
}

/// Reads a conversation's id out of a path.
pub fn conversation_id(text: &str) -> Result<ConversationId, Malformed> {
    uuid(text).map(ConversationId::new).ok_or_else(|| not_a_uuid("conversation", text))
}

/// Reads a decision's id out of a path.
pub fn decision_id(text: &str) -> Result<DecisionId, Malformed> {
    uuid(text).map(DecisionId::new).ok_or_else(|| not_a_uuid("decision", text))
}

fn not_a_uuid(what: &str, text: &str) -> Malformed {
    Malformed(vec![format!("the {what} id {} is not a UUID", shortened(&json!(text)))])
}

/// No conversation lasts longer; leave `for` out to order something until its end.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The hyphenated form alone, in lower case, as the platform writes its ids.
fn uuid(text: &str) -> Option<String> {
    const HYPHENATED: usize = 36;
    let read = (text.len() == HYPHENATED).then(|| Uuid::try_parse(text).ok())??;
    Some(read.hyphenated().to_string())
}

/// A value of the sender's as it may stand in a message.
fn shortened(value: &Value) -> String {
    const SHOWN: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        None => text,
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

/// The fields of a body, and what was wrong with them.
struct Fields {
    object: Map<String, Value>,
    mistakes: Vec<String>,
}

impl Fields {
    fn read(body: &[u8]) -> Result<Self, Malformed> {
        let object = match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => object,
            Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                return Err(Malformed(vec!["the body must be a JSON object".to_owned()]));
            }
            Err(error) => return Err(Malformed(vec![format!("the body is not JSON: {error}")])),
        };
        Ok(Self { object, mistakes: Vec::new() })
    }

    /// A field that is there; `null` counts as left out.
    fn get(&self, name: &str) -> Option<Value> {
        self.object.get(name).filter(|value| !value.is_null()).cloned()
    }

    fn wrong<T>(&mut self, mistake: impl Into<String>) -> Option<T> {
        self.mistakes.push(mistake.into());
        None
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::String(text) => Some(text),
            other
            @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                self.wrong(format!("\"{name}\" must be text, not {}", shortened(&other)))
            }
        }
    }

    fn conversation(&mut self) -> Option<ConversationId> {
        let Some(value) = self.get("conversation_id") else {
            return self.wrong("\"conversation_id\" is missing");
        };
        match value.as_str().and_then(uuid) {
            Some(id) => Some(ConversationId::new(id)),
            None => self.wrong(format!("\"conversation_id\" is {}, which is not a UUID", shortened(&value))),
        }
    }

    fn action(&mut self) -> Option<Action> {
        let value = self.get("action")?;
        match value.as_str() {
            Some("start") => Some(Action::Start),
            Some("stop") => Some(Action::Stop),
            Some(_) | None => {
                self.wrong(format!("\"action\" is {}; it must be \"start\" or \"stop\"", shortened(&value)))
            }
        }
    }

    fn order(&mut self) -> Option<Order> {
        let action = self.action();
        let lasts = self.lasts();
        match self.get("release") {
            None | Some(Value::Bool(false)) if self.get("action").is_none() => self.wrong(
                "\"action\" is missing: \"start\" or \"stop\", or \"release\": true to end a directive",
            ),
            None | Some(Value::Bool(false)) => action.map(|action| Order::Set { action, lasts }),
            Some(Value::Bool(true)) => self.release(),
            Some(other) => {
                self.wrong(format!("\"release\" must be true or false, not {}", shortened(&other)))
            }
        }
    }

    fn release(&mut self) -> Option<Order> {
        let both = "contradict each other";
        if self.get("action").is_some() {
            self.wrong::<Order>(format!(
                "\"action\" and \"release\" {both}: send \"release\": true alone to end the directive, or \"action\" \
                 alone to order a start or a stop"
            ));
        }
        if self.get("for").is_some() {
            self.wrong::<Order>(format!("\"for\" and \"release\" {both}: a release is at once"));
        }
        self.mistakes.is_empty().then_some(Order::Release)
    }

    fn lasts(&mut self) -> Option<Duration> {
        let value = self.get("for")?;
        match value.as_str().map(humantime::parse_duration) {
            Some(Ok(span)) if !span.is_zero() && span <= LONGEST => Some(span),
            Some(Ok(_) | Err(_)) | None => self.wrong(format!(
                "\"for\" is {}; it must be a duration above zero, such as \"10m\", and at most a year",
                shortened(&value)
            )),
        }
    }

    fn facts(&mut self) -> Option<Facts> {
        match self.get("facts") {
            Some(Value::Object(facts)) => Some(facts.into_iter().collect()),
            Some(other) => self.wrong(format!("\"facts\" must be a JSON object, not {}", shortened(&other))),
            None => self.wrong("\"facts\" is missing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::ask::fake::CONVERSATION;

    fn read(body: Value) -> Result<DirectiveOrder, String> {
        directive(body.to_string().as_bytes(), Origin::Webhook).map_err(|malformed| malformed.to_string())
    }

    #[test]
    fn a_directive_as_written_is_read_as_written() {
        for order in [
            Order::Set { action: Action::Stop, lasts: None },
            Order::Set { action: Action::Start, lasts: Some(Duration::from_secs(630)) },
            Order::Release,
        ] {
            let meant = DirectiveOrder {
                conversation: CONVERSATION.into(),
                order,
                by: "jo".to_owned(),
                reason: "customer asked".to_owned(),
                origin: Origin::Manual,
                webhook_id: None,
            };
            let body = written(&meant).to_string();
            assert_eq!(directive(body.as_bytes(), Origin::Manual), Ok(meant));
        }
    }

    #[test]
    fn who_ordered_it_defaults_to_the_way_it_came() {
        let read = read(json!({"conversation_id": CONVERSATION, "action": "stop", "by": ""})).unwrap();
        assert_eq!((read.by.as_str(), read.reason.as_str()), ("webhook", ""));
    }

    #[test]
    fn an_id_is_taken_in_the_platforms_lower_case() {
        let read = read(json!({"conversation_id": CONVERSATION.to_uppercase(), "action": "stop"})).unwrap();
        assert_eq!(read.conversation.as_str(), CONVERSATION);
    }

    #[test]
    fn fields_of_the_senders_own_are_left_alone() {
        assert!(read(json!({"conversation_id": CONVERSATION, "action": "stop", "crm_case": 7})).is_ok());
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let told = read(json!({"conversation_id": "x", "action": "pause", "for": "soon", "by": 1}))
            .expect_err("four mistakes");
        for part in ["\"conversation_id\"", "\"action\"", "\"for\"", "\"by\""] {
            assert!(told.contains(part), "{part} in: {told}");
        }
    }

    #[test]
    fn a_release_takes_no_duration() {
        let told = read(json!({"conversation_id": CONVERSATION, "release": true, "for": "5m"})).unwrap_err();
        assert!(told.contains("contradict"), "{told}");
    }

    #[test]
    fn a_release_that_also_orders_something_is_refused() {
        for action in ["start", "stop"] {
            let body = json!({"conversation_id": CONVERSATION, "action": action, "release": true});
            let told = read(body).unwrap_err();
            assert!(told.contains("\"action\" and \"release\" contradict each other"), "{told}");
        }
        let body = json!({"conversation_id": CONVERSATION, "action": "stop", "release": false});
        assert_eq!(read(body).map(|read| read.order), Ok(Order::Set { action: Action::Stop, lasts: None }));
        let body = json!({"conversation_id": CONVERSATION, "action": null, "release": true});
        assert_eq!(read(body).map(|read| read.order), Ok(Order::Release));
    }

    #[test]
    fn a_duration_is_above_zero_and_not_absurd() {
        let body = |lasts: &str| json!({"conversation_id": CONVERSATION, "action": "stop", "for": lasts});
        for absurd in ["0s", "-5m", "2years", "99999999999y", ""] {
            let told = read(body(absurd)).unwrap_err();
            assert!(told.contains("above zero") && told.contains("at most a year"), "{told}");
        }
        assert!(read(body("365d")).is_ok());
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        for text in ["", "1", "5c5a3b1e8f0d4a5e9d5c1f2e3d4c5b6a", "{5c5a3b1e-8f0d-4a5e-9d5c-1f2e3d4c5b6a}"] {
            assert!(conversation_id(text).is_err(), "{text}");
        }
        assert!(decision_id(CONVERSATION).is_ok());
    }

    #[test]
    fn a_long_value_is_shortened_in_the_message() {
        let told = read(json!({"conversation_id": "ä".repeat(5000), "action": "stop"})).unwrap_err();
        assert!(told.len() < 300, "{told}");
    }
}
