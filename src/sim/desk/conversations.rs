//! Conversations to read, and the parts of them that can be changed beside the recording.

use serde_json::{Value, json};

use crate::sim::desk::{Errand, Served};
use crate::sim::shape::{self, Carrier};
use crate::sim::web::{HttpResponse, Refusal};
use crate::sim::world::World;

/// Serves what is the conversations'.
pub fn serve(world: &mut World, errand: &Errand<'_>) -> Option<Served> {
    match (errand.method, errand.path) {
        // "Active conversations for the logged-in user": there is none (GENESYS.md 3.2).
        ("GET", ["conversations"] | ["conversations", "calls"])
        | ("PATCH", ["conversations", "calls", _] | ["conversations", "calls", _, "participants", _]) => {
            Some(Err(Refusal::not_a_user()))
        }
        ("GET", ["conversations", "calls", id]) => Some(read(world, id, shape::call_conversation)),
        ("GET", ["conversations", id]) => Some(read_whole(world, id)),
        ("PATCH", ["conversations", id, "participants", party, "attributes"])
        | ("PATCH", ["conversations", "calls", id, "participants", party, "attributes"]) => {
            Some(set_attributes(world, errand, id, party))
        }
        ("GET", ["conversations", id, "secureattributes"]) => Some(secure_attributes(world, id)),
        ("PUT" | "PATCH", ["conversations", id, "secureattributes"]) => {
            Some(set_secure_attributes(world, errand, id))
        }
        ("PUT", ["conversations", id, "participants", party, "flaggedreason"]) => {
            Some(flag(world, id, party, Some("general")))
        }
        ("DELETE", ["conversations", id, "participants", party, "flaggedreason"]) => {
            Some(flag(world, id, party, None))
        }
        _ => None,
    }
}

/// 404, with the platform's code (SW18, GENESYS.md 2.5).
pub fn no_conversation() -> Refusal {
    Refusal::new(404, "conversation.error.conversation.not.found", "The conversation does not exist.")
}

fn no_participant() -> Refusal {
    Refusal::new(
        404,
        "conversation.error.not.conversation.participant",
        "The participant is not part of the conversation.",
    )
}

type Write = fn(&crate::sim::call::Call, &crate::sim::org::Org, Carrier) -> Value;

fn read(world: &World, id: &str, write: Write) -> Served {
    let call = world.calls.get(id).ok_or_else(no_conversation)?;
    Ok(HttpResponse::json(200, &write(call, &world.org, Carrier::Rest)))
}

fn read_whole(world: &mut World, id: &str) -> Served {
    world.access.demand("conversation:communication:view")?;
    let readable_from = world.calls.get(id).map(|call| call.started + world.plan.faults.readable_after);
    if readable_from.is_some_and(|from| world.now.wall < from) {
        world.strikes("404 for a conversation that has just begun");
        return Err(no_conversation());
    }
    read(world, id, shape::conversation)
}

fn set_attributes(world: &mut World, errand: &Errand<'_>, id: &str, party: &str) -> Served {
    let body = errand.request.json()?;
    let attributes = body["attributes"]
        .as_object()
        .ok_or_else(|| Refusal::malformed("\"attributes\" is expected, an object."))?;
    let call = world.calls.get_mut(id).ok_or_else(no_conversation)?;
    let party = call.party(party).ok_or_else(no_participant)?;
    for (key, value) in attributes {
        // Values are always strings on the platform (GENESYS.md 8).
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        party.attributes.insert(key.clone(), value);
    }
    world.touch(id);
    Ok(HttpResponse::json(200, &body))
}

fn secure_attributes(world: &World, id: &str) -> Served {
    let call = world.calls.get(id).ok_or_else(no_conversation)?;
    let body = json!({"attributes": call.secure_attributes, "version": call.secure_attributes.len()});
    Ok(HttpResponse::json(200, &body))
}

/// They are in no event, so nobody is told.
fn set_secure_attributes(world: &mut World, errand: &Errand<'_>, id: &str) -> Served {
    let body = errand.request.json()?;
    let attributes = body["attributes"]
        .as_object()
        .ok_or_else(|| Refusal::malformed("\"attributes\" is expected, an object."))?;
    let call = world.calls.get_mut(id).ok_or_else(no_conversation)?;
    if errand.method == "PUT" {
        call.secure_attributes.clear();
    }
    for (key, value) in attributes {
        call.secure_attributes.insert(key.clone(), value.as_str().unwrap_or("").to_owned());
    }
    Ok(HttpResponse::json(202, &json!("accepted")))
}

fn flag(world: &mut World, id: &str, party: &str, reason: Option<&'static str>) -> Served {
    let call = world.calls.get_mut(id).ok_or_else(no_conversation)?;
    call.party(party).ok_or_else(no_participant)?.flagged = reason;
    world.touch(id);
    Ok(HttpResponse::empty(204))
}
