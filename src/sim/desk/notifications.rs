//! Channels and subscriptions, by REST and over the socket (GENESYS.md 4.1 and 4.3).

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::time::Mono;
use crate::sim::channels::{Channel, SocketId, Standing, TEMPLATES, TOPICS_MOST, Topic, judge};
use crate::sim::desk::{Errand, Served};
use crate::sim::shape::stamp;
use crate::sim::web::{HttpResponse, Refusal};
use crate::sim::world::World;

/// Serves what is the notification service's. None of it needs a permission of its own.
pub fn serve(world: &mut World, errand: &Errand<'_>) -> Option<Served> {
    let host = errand.request.header("host").unwrap_or("localhost");
    match (errand.method, errand.path) {
        ("POST", ["notifications", "channels"]) => Some(Ok(create(world, errand.token, host))),
        ("GET", ["notifications", "channels"]) => Some(Ok(list(world, host))),
        ("HEAD", ["notifications", "channels", id]) => Some(exists(world, id)),
        ("GET", ["notifications", "channels", id, "subscriptions"]) => Some(subscriptions(world, id)),
        ("POST", ["notifications", "channels", id, "subscriptions"]) => {
            Some(subscribe(world, errand, id, Way::Add))
        }
        ("PUT", ["notifications", "channels", id, "subscriptions"]) => {
            Some(subscribe(world, errand, id, Way::Replace))
        }
        ("DELETE", ["notifications", "channels", id, "subscriptions"]) => Some(unsubscribe(world, id)),
        ("GET", ["notifications", "availabletopics"]) => Some(Ok(available())),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Add,
    Replace,
}

fn no_channel() -> Refusal {
    Refusal::new(404, "notification.channel.not.found", "The notification channel does not exist.")
}

fn channel_json(world: &World, channel: &str, expires: Mono, host: &str) -> Value {
    let left: Duration = expires.since(world.now.mono);
    json!({
        "connectUri": format!("ws://{host}/channels/{channel}"),
        "id": channel,
        "expires": stamp(world.now.wall + left),
    })
}

fn create(world: &mut World, token: &str, host: &str) -> HttpResponse {
    let id = world.create_channel(token);
    let expires = world.now.mono + world.plan.channel_lifetime;
    HttpResponse::json(200, &channel_json(world, &id, expires, host))
}

fn list(world: &World, host: &str) -> HttpResponse {
    let live = |channel: &&Channel| channel.standing == Standing::Live;
    let entities: Vec<Value> = world
        .post
        .channels
        .all(world.now.mono)
        .filter(live)
        .map(|channel| channel_json(world, &channel.id, channel.expires, host))
        .collect();
    HttpResponse::json(200, &json!({"entities": entities}))
}

fn exists(world: &mut World, id: &str) -> Served {
    world.post.channels.get(id, world.now.mono).map(|_| HttpResponse::empty(200)).ok_or_else(no_channel)
}

fn subscriptions(world: &mut World, id: &str) -> Served {
    let channel = world.post.channels.get(id, world.now.mono).ok_or_else(no_channel)?;
    let entities: Vec<Value> = channel.topics.iter().map(|topic| json!({"id": topic})).collect();
    Ok(HttpResponse::json(200, &json!({"entities": entities})))
}

fn unsubscribe(world: &mut World, id: &str) -> Served {
    let channel = world.post.channels.get(id, world.now.mono).ok_or_else(no_channel)?;
    channel.topics.clear();
    Ok(HttpResponse::empty(204))
}

fn asked_topics(errand: &Errand<'_>) -> Result<Vec<String>, Refusal> {
    let body = errand.request.json()?;
    let topic = |one: &Value| one["id"].as_str().map(str::to_owned);
    body.as_array()
        .and_then(|list| list.iter().map(topic).collect())
        .ok_or_else(|| Refusal::malformed("A list of {\"id\": topic} is expected."))
}

fn subscribe(world: &mut World, errand: &Errand<'_>, id: &str, way: Way) -> Served {
    let former = world.post.channels.get(id, world.now.mono).ok_or_else(no_channel)?.topics.clone();
    let asked = asked_topics(errand)?;
    let lenient = errand.request.parameter("ignoreErrors").is_some_and(|value| value == "true");
    let mut topics = if way == Way::Add { former } else { BTreeSet::new() };
    let mut rejected = Vec::new();
    for topic in asked {
        match judge(&topic, &world.org, |permission| world.access.may(permission)) {
            Topic::Permitted => {
                topics.insert(topic);
            }
            // One bad topic fails the whole call; with `ignoreErrors` an unknown one is left out of the
            // answer and a forbidden one is rejected in it (the vendor's own fixtures).
            Topic::Unknown if !lenient => {
                return Err(Refusal::new(
                    400,
                    "notification.invalid.topic",
                    "The subscription topic is not valid.",
                ));
            }
            Topic::Forbidden(missing) if !lenient => return Err(forbidden(&topic, &missing)),
            Topic::Unknown => {}
            Topic::Forbidden(missing) => rejected.push(json!({
                "id": topic,
                "state": "Rejected",
                "rejectionReason": format!("The user does not have permissions required for topic {topic}"),
                "missingPermissions": missing,
            })),
        }
    }
    if topics.len() > TOPICS_MOST {
        return Err(Refusal::new(
            400,
            "notification.subscription.too.many.subscriptions",
            "Too many subscriptions",
        ));
    }
    let mut entities: Vec<Value> =
        topics.iter().map(|topic| json!({"id": topic, "state": "Permitted"})).collect();
    entities.append(&mut rejected);
    world.note("channel", id, &format!("{} topics", topics.len()));
    world.post.channels.subscribe(id, topics, world.now.mono);
    Ok(HttpResponse::json(200, &json!({"entities": entities})))
}

fn forbidden(topic: &str, missing: &[&str]) -> Refusal {
    let needs = missing.join(", ");
    Refusal::new(
        403,
        "notification.unauthorized.topic",
        format!("The user does not have permission \"{needs}\" required for topic \"{topic}\""),
    )
}

fn available() -> HttpResponse {
    let topic = |(prefix, suffix, permission): &(&str, &str, &str)| {
        json!({
            "id": format!("{prefix}{{id}}{suffix}"),
            "description": "Served by the simulator.",
            "enforced": true,
            "visibility": "Public",
            "transports": ["All"],
            "requiresPermissions": [permission],
            "requiresDivisionPermissions": false,
            "requiresCurrentUser": false,
            "permissionDetails": [
                {"type": "requiresPermissions", "permissions": [permission], "enforced": true},
            ],
            "topicParameters": ["id"],
        })
    };
    let entities: Vec<Value> = TEMPLATES.iter().map(topic).collect();
    HttpResponse::json(200, &json!({"entities": entities}))
}

/// A text frame from a client: a ping, or a subscription in-band (GENESYS.md 4.3).
pub fn hear(world: &mut World, socket: SocketId, text: &str) {
    let frame: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let answer = match frame["message"].as_str() {
        Some("ping") => json!({"topicName": "channel.metadata", "eventBody": {"message": "pong"}}),
        Some("subscribe") => subscribe_in_band(world, socket, &frame),
        _ => return,
    };
    world.post.send_json(socket, &answer);
}

fn subscribe_in_band(world: &mut World, socket: SocketId, frame: &Value) -> Value {
    let correlation = frame["correlationId"].clone();
    let answer = |result: &str, status: &str, message: &str| json!({"result": result, "status": status, "message": message, "correlationId": correlation});
    let now = world.now.mono;
    let id = world.post.channels.socket(socket).map(|socket| socket.channel.clone());
    let Some(channel) = id.and_then(|id| world.post.channels.get(&id, now)) else {
        return answer("404", "failure", "The notification channel does not exist.");
    };
    let (id, mut topics) = (channel.id.clone(), channel.topics.clone());
    let asked: Vec<&str> =
        frame["topics"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for topic in asked {
        match judge(topic, &world.org, |permission| world.access.may(permission)) {
            Topic::Permitted => {
                topics.insert(topic.to_owned());
            }
            Topic::Unknown => return answer("400", "failure", "The subscription topic is not valid."),
            Topic::Forbidden(missing) => {
                return answer("400", "failure", &forbidden(topic, &missing).message);
            }
        }
    }
    if topics.len() > TOPICS_MOST {
        return answer("400", "error", "Too many subscriptions");
    }
    let listed: Vec<&String> = topics.iter().collect();
    let done = json!({
        "result": "200",
        "status": "subscribed",
        "topics": listed,
        "correlationId": frame["correlationId"],
    });
    world.note("channel", &id, &format!("{} topics, in-band", topics.len()));
    world.post.channels.subscribe(&id, topics, now);
    done
}
