//! A call as the platform writes it: two families of shapes, each as an event and as a REST answer
//! (GENESYS.md 3.1, 5 and appendices A and B).
//!
//! Written by hand from the documents and captures, and on purpose not with the types of `wire`.

use serde_json::{Map, Value, json};

use crate::model::time::Wall;
use crate::sim::call::{AfterCall, Call, Division, Leg, Party, Purpose};
use crate::sim::org::Org;
use crate::sim::recorder::{Spool, Tape};

/// Where a conversation is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A notification: lower case, absent references as empty objects.
    Event,
    /// An answer of the REST API: `recordersState` in capitals.
    Rest,
}

/// An instant as the platform writes it: with milliseconds.
pub fn stamp(at: Wall) -> String {
    let at = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

/// `Conversation`: participants with `calls[]`. The conversation's own state is in capitals in REST.
pub fn conversation(call: &Call, org: &Org, carrier: Carrier) -> Value {
    let tape = call.tape();
    let participants: Vec<Value> =
        call.parties.iter().map(|party| participant(call, party, org, carrier)).collect();
    let mut body = head(call, participants);
    match carrier {
        Carrier::Event => {
            body.insert("recordingState".to_owned(), json!(tape.word()));
        }
        Carrier::Rest => {
            body.insert("startTime".to_owned(), json!(stamp(call.started)));
            put(&mut body, "endTime", call.ended().map(stamp));
            body.insert("conversationIds".to_owned(), json!([]));
            body.insert("recordingState".to_owned(), json!(tape.word().to_uppercase()));
            body.insert("selfUri".to_owned(), json!(format!("/api/v2/conversations/{}", call.id)));
        }
    }
    body.insert("securePause".to_owned(), json!(tape.is_secure()));
    body.insert("divisions".to_owned(), divisions(call, org));
    Value::Object(body)
}

/// `CallConversation`: participants flat, states in lower case also in REST.
pub fn call_conversation(call: &Call, org: &Org, carrier: Carrier) -> Value {
    let tape = call.tape();
    let participants: Vec<Value> =
        call.parties.iter().map(|party| media_participant(call, party, org, carrier)).collect();
    let mut body = head(call, participants);
    body.insert("recordingState".to_owned(), json!(tape.word()));
    body.insert("securePause".to_owned(), json!(tape.is_secure()));
    body.insert("divisions".to_owned(), divisions(call, org));
    body.insert("otherMediaUris".to_owned(), json!([]));
    if carrier == Carrier::Rest {
        body.insert("selfUri".to_owned(), json!(format!("/api/v2/conversations/calls/{}", call.id)));
    }
    Value::Object(body)
}

fn head(call: &Call, participants: Vec<Value>) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("id".to_owned(), json!(call.id));
    body.insert("participants".to_owned(), Value::Array(participants));
    body.insert("address".to_owned(), json!(call.customer));
    body
}

fn divisions(call: &Call, org: &Org) -> Value {
    let id = match call.division {
        Division::Home => &org.division,
        Division::Other => &org.other_division,
    };
    let uri = format!("/api/v2/authorization/divisions/{id}");
    json!([{"division": {"id": id, "selfUri": uri}, "entities": []}])
}

fn put(body: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(key.to_owned(), value.into());
    }
}

/// What is on the tape of one leg. Only a connected or ringing agent and the customer have one.
fn leg_tape(call: &Call, party: &Party) -> Tape {
    let heard = matches!(party.purpose, Purpose::Customer | Purpose::Agent) && party.is_here();
    if heard { call.tape() } else { Tape::None }
}

fn recorders(call: &Call, party: &Party, carrier: Carrier) -> Value {
    let case = |word: &str| match carrier {
        Carrier::Event => word.to_owned(),
        Carrier::Rest => word.to_uppercase(),
    };
    let spool = |spool: Spool| case(if spool == Spool::Turning { "active" } else { "none" });
    let alone = call.recorder == crate::sim::recorder::Recorder::Idle;
    let policy = if alone { "none" } else { leg_tape(call, party).word() };
    json!({
        "adhocState": spool(party.adhoc),
        "customerExperienceState": case(policy),
        "agentExperienceState": case("none"),
        "snippetState": spool(party.snippet),
    })
}

fn state(party: &Party) -> &'static str {
    match &party.leg {
        Leg::Dialing => "dialing",
        Leg::Alerting => "alerting",
        Leg::Connected { .. } => "connected",
        // Both words are seen for a leg that is over (GENESYS.md 5).
        Leg::Over { cause: "transfer" | "transfer.consult", .. } => "disconnected",
        Leg::Over { .. } => "terminated",
    }
}

struct Over {
    at: Option<String>,
    cause: Option<&'static str>,
    held_since: Option<String>,
}

fn over(party: &Party) -> Over {
    match &party.leg {
        Leg::Dialing | Leg::Alerting => Over { at: None, cause: None, held_since: None },
        Leg::Connected { held } => Over { at: None, cause: None, held_since: held.map(stamp) },
        Leg::Over { at, cause } => Over { at: Some(stamp(*at)), cause: Some(cause), held_since: None },
    }
}

fn routing(party: &Party, org: &Org, carrier: Carrier) -> Option<Value> {
    if !matches!(party.purpose, Purpose::Acd | Purpose::Agent) {
        return None;
    }
    let queue = party.queue.as_deref().map_or(json!({}), |id| reference(Some(id), "routing/queues", carrier));
    Some(match carrier {
        Carrier::Event => {
            json!({"queue": queue, "language": {}, "priority": 0, "skills": [], "scoredAgents": []})
        }
        Carrier::Rest => {
            let name = party.queue.as_deref().and_then(|id| org.queue(id)).map(|queue| &*queue.name);
            let mut queue = queue;
            if let (Value::Object(queue), Some(name)) = (&mut queue, name) {
                queue.insert("name".to_owned(), json!(name));
            }
            json!({"queue": queue, "priority": 0, "skills": [], "scoredAgents": []})
        }
    })
}

/// A reference to something: an id, in REST also its address; an empty object where there is none in an
/// event (GENESYS.md 5, "captured reality").
fn reference(id: Option<&str>, kind: &str, carrier: Carrier) -> Value {
    match (id, carrier) {
        (None, Carrier::Event | Carrier::Rest) => json!({}),
        (Some(id), Carrier::Event) => json!({"id": id}),
        (Some(id), Carrier::Rest) => json!({"id": id, "selfUri": format!("/api/v2/{kind}/{id}")}),
    }
}

fn wrapup(party: &Party) -> Option<Value> {
    match &party.after_call {
        AfterCall::NotYet | AfterCall::Working { .. } => None,
        AfterCall::Done { since, at, code } => Some(json!({
            "code": code,
            "notes": "",
            "tags": [],
            "durationSeconds": at.since(*since).as_secs(),
            "endTime": stamp(*at),
        })),
    }
}

fn after_call_times(party: &Party, body: &mut Map<String, Value>) {
    match &party.after_call {
        AfterCall::NotYet => {}
        AfterCall::Working { since } => put(body, "startAcwTime", Some(stamp(*since))),
        AfterCall::Done { since, at, .. } => {
            put(body, "startAcwTime", Some(stamp(*since)));
            put(body, "endAcwTime", Some(stamp(*at)));
        }
    }
}

/// The numbers of both ends, seen from this party: its own and the other.
fn numbers<'a>(call: &'a Call, party: &Party) -> (&'a str, &'a str) {
    match party.purpose {
        Purpose::Customer => (&call.customer, &call.centre),
        Purpose::Ivr | Purpose::Acd | Purpose::Agent => (&call.centre, &call.customer),
    }
}

/// What both families say of a participant in the same words.
fn common(call: &Call, party: &Party) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("id".to_owned(), json!(party.id));
    if !party.name.is_empty() {
        body.insert("name".to_owned(), json!(party.name));
    }
    put(&mut body, "connectedTime", party.connected.map(stamp));
    put(&mut body, "endTime", over(party).at);
    body.insert("purpose".to_owned(), json!(party.purpose.as_str()));
    body.insert("address".to_owned(), json!(numbers(call, party).0));
    let agent = party.purpose == Purpose::Agent;
    body.insert("wrapupRequired".to_owned(), json!(agent));
    if agent {
        body.insert("wrapupPrompt".to_owned(), json!("optional"));
        body.insert("alertingTimeoutMs".to_owned(), json!(30_000));
    }
    put(&mut body, "flaggedReason", party.flagged);
    put(&mut body, "consultParticipantId", party.consults_for.clone());
    put(&mut body, "wrapup", wrapup(party));
    after_call_times(party, &mut body);
    body.insert("attributes".to_owned(), json!(party.attributes));
    body.insert("mediaRoles".to_owned(), json!(["full"]));
    body
}

fn participant(call: &Call, party: &Party, org: &Org, carrier: Carrier) -> Value {
    let mut body = common(call, party);
    put(&mut body, "userId", party.user.clone());
    put(&mut body, "queueId", party.queue.clone());
    put(&mut body, "conversationRoutingData", routing(party, org, carrier));
    body.insert("calls".to_owned(), Value::Array(vec![leg(call, party, carrier)]));
    match carrier {
        Carrier::Event => {
            body.insert("wrapupExpected".to_owned(), json!(party.purpose == Purpose::Agent));
            body.insert("additionalProperties".to_owned(), json!({}));
        }
        Carrier::Rest => {
            body.insert("startTime".to_owned(), json!(stamp(party.started)));
            let (own, other) = numbers(call, party);
            body.insert("ani".to_owned(), json!(own));
            body.insert("dnis".to_owned(), json!(other));
            let queue = party.queue.as_deref().and_then(|id| org.queue(id));
            put(&mut body, "queueName", queue.map(|queue| &*queue.name));
            for media in [
                "callbacks",
                "chats",
                "cobrowsesessions",
                "emails",
                "messages",
                "screenshares",
                "socialExpressions",
                "videos",
                "internalMessages",
            ] {
                body.insert(media.to_owned(), json!([]));
            }
        }
    }
    Value::Object(body)
}

fn leg(call: &Call, party: &Party, carrier: Carrier) -> Value {
    let (tape, over, (own, other)) = (leg_tape(call, party), over(party), numbers(call, party));
    let address = |number: &str| json!({"nameRaw": "", "addressNormalized": number, "addressRaw": number});
    let mut body = Map::new();
    body.insert("state".to_owned(), json!(state(party)));
    body.insert("initialState".to_owned(), json!(party.initial));
    body.insert("id".to_owned(), json!(party.leg_id));
    body.insert("direction".to_owned(), json!(call.way.as_str()));
    body.insert("recording".to_owned(), json!(tape == Tape::Active));
    body.insert("recordingState".to_owned(), json!(tape.word()));
    body.insert("recordersState".to_owned(), recorders(call, party, carrier));
    body.insert("securePause".to_owned(), json!(tape.is_secure()));
    body.insert("muted".to_owned(), json!(false));
    body.insert("confined".to_owned(), json!(false));
    body.insert("held".to_owned(), json!(party.is_held()));
    put(&mut body, "startHoldTime", over.held_since);
    put(&mut body, "disconnectType", over.cause);
    put(&mut body, "connectedTime", party.connected.map(stamp));
    put(&mut body, "disconnectedTime", over.at);
    if carrier == Carrier::Rest && tape != Tape::None {
        // In REST only (GENESYS.md 3.1).
        body.insert("recordingId".to_owned(), json!(call.id));
    }
    body.insert("self".to_owned(), address(own));
    body.insert("other".to_owned(), address(other));
    body.insert("provider".to_owned(), json!("Edge"));
    body.insert("disconnectReasons".to_owned(), json!([]));
    body.insert("afterCallWork".to_owned(), after_call_work(party));
    body.insert("afterCallWorkRequired".to_owned(), json!(false));
    if carrier == Carrier::Event {
        body.insert("additionalProperties".to_owned(), json!({}));
    }
    Value::Object(body)
}

fn after_call_work(party: &Party) -> Value {
    match &party.after_call {
        AfterCall::NotYet => json!({}),
        AfterCall::Working { since } => json!({"state": "pending", "startTime": stamp(*since)}),
        AfterCall::Done { since, at, .. } => {
            json!({"state": "complete", "startTime": stamp(*since), "endTime": stamp(*at)})
        }
    }
}

fn media_participant(call: &Call, party: &Party, org: &Org, carrier: Carrier) -> Value {
    let (tape, over, (own, other)) = (leg_tape(call, party), over(party), numbers(call, party));
    let mut body = common(call, party);
    body.insert("startTime".to_owned(), json!(stamp(party.started)));
    body.insert("state".to_owned(), json!(state(party)));
    body.insert("initialState".to_owned(), json!(party.initial));
    body.insert("direction".to_owned(), json!(call.way.as_str()));
    put(&mut body, "startHoldTime", over.held_since);
    put(&mut body, "disconnectType", over.cause);
    body.insert("held".to_owned(), json!(party.is_held()));
    body.insert("muted".to_owned(), json!(false));
    body.insert("confined".to_owned(), json!(false));
    body.insert("recording".to_owned(), json!(tape == Tape::Active));
    body.insert("recordingState".to_owned(), json!(tape.word()));
    body.insert("recordersState".to_owned(), recorders(call, party, carrier));
    body.insert("securePause".to_owned(), json!(tape.is_secure()));
    for (key, kind, id) in [
        ("user", "users", party.user.as_deref()),
        ("queue", "routing/queues", party.queue.as_deref()),
        ("team", "teams", None),
    ] {
        match (id, carrier) {
            (None, Carrier::Rest) => {}
            (Some(_), Carrier::Event | Carrier::Rest) | (None, Carrier::Event) => {
                body.insert(key.to_owned(), reference(id, kind, carrier));
            }
        }
    }
    put(&mut body, "conversationRoutingData", routing(party, org, carrier));
    body.insert("ani".to_owned(), json!(own));
    body.insert("dnis".to_owned(), json!(other));
    body.insert("provider".to_owned(), json!("Edge"));
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::life::{Beat, Cast, play};
    use crate::sim::random::Chance;

    fn call(beats: &[Beat]) -> (Call, Org) {
        let (org, mut chance) = (Org::new(2), Chance::new(1));
        let now = Wall::parse("2025-04-10T13:31:49.57Z").expect("an instant");
        let mut call = Call::new(
            "c".into(),
            crate::sim::call::Way::Inbound,
            "tel:+15550100001".into(),
            "tel:+15550100000".into(),
            now,
        );
        for beat in beats {
            let free_agent = Some(org.users[0].id.clone());
            play(&mut call, beat, &mut Cast { org: &org, chance: &mut chance, free_agent }, now);
        }
        (call, org)
    }

    const ANSWERED: [Beat; 4] = [Beat::CallIn, Beat::Enqueue(0), Beat::Ring, Beat::Answer];

    #[test]
    fn the_conversation_is_in_capitals_in_rest_and_its_legs_are_not() {
        let (call, org) = call(&ANSWERED);
        let body = conversation(&call, &org, Carrier::Rest);
        assert_eq!(body["recordingState"], "ACTIVE");
        assert_eq!(body["startTime"], "2025-04-10T13:31:49.570Z");
        let leg = &body["participants"][3]["calls"][0];
        assert_eq!(leg["recordingState"], "active");
        assert_eq!(leg["recordersState"]["customerExperienceState"], "ACTIVE");
        assert_eq!(conversation(&call, &org, Carrier::Event)["recordingState"], "active");
    }

    #[test]
    fn the_calls_family_is_flat_and_refers_by_objects() {
        let (call, org) = call(&ANSWERED);
        let body = call_conversation(&call, &org, Carrier::Event);
        let agent = &body["participants"][3];
        assert_eq!(agent["state"], "connected");
        assert_eq!(agent["user"], json!({"id": org.users[0].id}));
        assert_eq!(agent["queue"], json!({"id": org.queues[0].id}));
        assert_eq!(agent["team"], json!({}));
        assert_eq!(agent["conversationRoutingData"]["language"], json!({}));
        assert!(agent.get("calls").is_none() && body.get("externalTag").is_none());
    }

    #[test]
    fn those_who_left_stay_in_the_list_with_their_end() {
        let (call, org) = call(&ANSWERED);
        let body = conversation(&call, &org, Carrier::Event);
        let states: Vec<&str> = (0..4)
            .map(|place| body["participants"][place]["calls"][0]["state"].as_str().expect("a state"))
            .collect();
        assert_eq!(states, ["connected", "disconnected", "disconnected", "connected"]);
        assert_eq!(body["participants"][1]["endTime"], "2025-04-10T13:31:49.570Z");
    }

    #[test]
    fn a_ringing_call_is_paused_without_a_secure_pause() {
        let (call, org) = call(&ANSWERED[..3]);
        let body = call_conversation(&call, &org, Carrier::Rest);
        assert_eq!((&body["recordingState"], &body["securePause"]), (&json!("paused"), &json!(false)));
    }
}
