//! The recording, by all of its controls (GENESYS.md 2). What is accepted here is carried out a little later.

use serde_json::{Value, json};

use crate::sim::call::Purpose;
use crate::sim::desk::conversations::no_conversation;
use crate::sim::desk::{Errand, Served};
use crate::sim::life::Order;
use crate::sim::plan::Gateway;
use crate::sim::recorder::{Recorder, Spool};
use crate::sim::web::{HttpResponse, Refusal};
use crate::sim::world::World;

/// The media that have a path of their own.
const OTHER_MEDIA: [&str; 8] =
    ["callbacks", "chats", "cobrowsesessions", "emails", "messages", "screenshares", "socials", "videos"];

/// Serves what is the recorders'.
pub fn serve(world: &mut World, errand: &Errand<'_>) -> Option<Served> {
    match (errand.method, errand.path) {
        ("PUT", ["conversations", "calls", id, "recordingstate"]) => {
            Some(set_state(world, errand, id).map(|state| HttpResponse::json(202, &json!(state))))
        }
        // All conversations here are calls.
        ("PUT", ["conversations", media, _, "recordingstate"]) if OTHER_MEDIA.contains(media) => {
            Some(world.access.demand("conversation:recording:pauseOthers").and(Err(no_conversation())))
        }
        ("PATCH", ["conversations", id, "recordingstate"]) => {
            Some(set_state(world, errand, id).map(|_| HttpResponse::empty(202)))
        }
        ("POST", ["conversations", "calls", id, "participants", party, "snippet", "record"]) => {
            Some(record_leg(world, errand, id, party))
        }
        ("GET", ["conversations", id, "recordings" | "recordingmetadata"]) => Some(list(world, id)),
        ("POST", ["conversations", id, "recordings"]) if world.plan.gateway == Gateway::Offered => {
            Some(start_or_stop(world, errand, id))
        }
        ("POST", ["conversations", _, "recordings"]) => {
            Some(Err(Refusal::new(405, "method.not.allowed", "The method is not allowed here.")))
        }
        _ => None,
    }
}

/// What 409 means for these operations was not found (GENESYS.md 2.5); here: the conversation is over.
fn over() -> Refusal {
    Refusal::new(
        409,
        "request.conflict",
        "The request conflicts with the current state of the target resource.",
    )
}

/// The leg has left the conversation, which may go on without it (the code is SW18's, GENESYS.md 2.5).
fn left() -> Refusal {
    Refusal::new(
        404,
        "conversation.error.not.conversation.participant",
        "The participant is not part of the conversation any more.",
    )
}

fn set_state(world: &mut World, errand: &Errand<'_>, id: &str) -> Result<String, Refusal> {
    world.admit(id, "conversation:recording:pauseOthers")?;
    let body = errand.request.json()?;
    let state = body["recordingState"]
        .as_str()
        .ok_or_else(|| Refusal::malformed("\"recordingState\" is expected."))?
        // An official sample sends lower case (GENESYS.md 2.2).
        .to_uppercase();
    let order = match state.as_str() {
        "PAUSED" => Some(Order::Pause),
        "ACTIVE" => Some(Order::Resume),
        // In the enum since it is the read value too; what it does is documented nowhere.
        "NONE" => None,
        other => return Err(Refusal::invalid_value(other, "recordingState", "[ACTIVE, PAUSED, NONE]")),
    };
    let call = world.calls.get(id).ok_or_else(no_conversation)?;
    if !call.is_live() {
        return Err(over());
    }
    world.note("request", id, &format!("recording state {state} asked for"));
    if let Some(order) = order {
        world.accept(id, order);
    }
    Ok(state)
}

fn record_leg(world: &mut World, errand: &Errand<'_>, id: &str, party: &str) -> Served {
    world.admit(id, "conversation:recording:snippetRecord")?;
    let body = errand.request.json()?;
    let Some(record) = body["record"].as_bool() else {
        return Err(Refusal::malformed("\"record\" is expected, true or false."));
    };
    let spool = if record { Spool::Turning } else { Spool::Still };
    let order = match body["type"].as_str() {
        Some("adhoc") => Order::Adhoc(party.to_owned(), spool),
        Some("snippet") => Order::Snippet(party.to_owned(), spool),
        other => {
            return Err(Refusal::invalid_value(other.unwrap_or(""), "type", "[snippet, adhoc]"));
        }
    };
    let call = world.calls.get_mut(id).ok_or_else(no_conversation)?;
    if !call.is_live() {
        return Err(over());
    }
    match call.party(party) {
        Some(party) if party.purpose == Purpose::Agent && party.is_connected() => {}
        // Which of the two the platform says of a leg that is gone is not known (GENESYS.md 2.5).
        Some(party) if party.id.ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f']) => {
            return Err(left());
        }
        Some(_) => return Err(over()),
        None => return Err(Refusal::not_found()),
    }
    world.note("request", id, &format!("{order:?} asked for"));
    world.accept(id, order);
    Ok(HttpResponse::json(200, &json!(if record { "ACTIVE" } else { "NONE" })))
}

/// The operation of the founding tutorial, for gateways that offer it: 409 for a start while recording,
/// 400 for a stop while not.
fn start_or_stop(world: &mut World, errand: &Errand<'_>, id: &str) -> Served {
    world.admit(id, "conversation:recording:pauseOthers")?;
    let body = errand.request.json()?;
    let call = world.calls.get(id).filter(|call| call.is_live()).ok_or_else(no_conversation)?;
    let order = match (body["action"].as_str(), call.recorder) {
        (Some("start"), Recorder::Idle | Recorder::SecurePaused) => Order::Begin,
        (Some("stop"), Recorder::Running) => Order::Cease,
        (Some("start"), Recorder::Running) => {
            return Err(Refusal::new(
                409,
                "recording.already.active",
                "The conversation is being recorded already.",
            ));
        }
        (Some("stop"), Recorder::Idle | Recorder::SecurePaused) => {
            return Err(Refusal::new(400, "recording.not.active", "The conversation is not being recorded."));
        }
        (other, Recorder::Idle | Recorder::Running | Recorder::SecurePaused) => {
            return Err(Refusal::invalid_value(other.unwrap_or(""), "action", "[start, stop]"));
        }
    };
    world.note("request", id, &format!("{} asked for", body["action"]));
    world.accept(id, order);
    Ok(HttpResponse::json(200, &json!({"id": id, "action": body["action"], "status": "accepted"})))
}

/// What has been recorded is not simulated: the platform's answer while it is still transcoding.
fn list(world: &World, id: &str) -> Served {
    world.access.demand("recording:recording:view")?;
    world
        .calls
        .get(id)
        .map(|_| HttpResponse::json(200, &Value::Array(Vec::new())))
        .ok_or_else(no_conversation)
}
