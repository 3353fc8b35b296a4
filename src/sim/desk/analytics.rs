//! Finding live conversations (GENESYS.md 3.2): the activity query, and the details query.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::model::time::Wall;
use crate::sim::call::{Call, Leg, Party, Purpose, Way};
use crate::sim::desk::{Errand, Served};
use crate::sim::shape::stamp;
use crate::sim::web::{HttpResponse, Refusal};
use crate::sim::world::World;

/// Entities of one group at most; above it the answer is `truncated`, "first half oldest, second half
/// newest". The platform's own number was not found.
pub const ENTITIES_MOST: usize = 200;

/// Serves what is the analytics'.
pub fn serve(world: &mut World, errand: &Errand<'_>) -> Option<Served> {
    match (errand.method, errand.path) {
        ("POST", ["analytics", "conversations", "activity", "query"]) => Some(activity(world, errand)),
        ("POST", ["analytics", "conversations", "details", "query"]) => Some(details(world, errand)),
        _ => None,
    }
}

/// A filter of predicates: `{type: and|or, predicates: [{dimension, value}], clauses: [...]}`.
fn passes(filter: &Value, value_of: &dyn Fn(&str) -> Option<String>) -> bool {
    let predicate = |one: &Value| {
        let value = value_of(one["dimension"].as_str().unwrap_or(""));
        match one["operator"].as_str() {
            Some("exists") => value.is_some(),
            Some("notExists") => value.is_none(),
            _ => value.as_deref() == one["value"].as_str(),
        }
    };
    let empty = Vec::new();
    let predicates = filter["predicates"].as_array().unwrap_or(&empty);
    let clauses = filter["clauses"].as_array().unwrap_or(&empty);
    let mut parts =
        predicates.iter().map(predicate).chain(clauses.iter().map(|clause| passes(clause, value_of)));
    if predicates.is_empty() && clauses.is_empty() {
        true
    } else if filter["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("or")) {
        parts.any(|part| part)
    } else {
        parts.all(|part| part)
    }
}

/// What an observation counts a party as.
fn metric(party: &Party) -> Option<&'static str> {
    match (party.purpose, &party.leg) {
        (Purpose::Acd, Leg::Connected { .. }) => Some("oWaiting"),
        (Purpose::Agent, Leg::Alerting) => Some("oAlerting"),
        (Purpose::Agent, Leg::Connected { .. }) => Some("oInteracting"),
        (
            Purpose::Customer | Purpose::Ivr | Purpose::Acd | Purpose::Agent,
            Leg::Dialing | Leg::Alerting | Leg::Connected { .. } | Leg::Over { .. },
        ) => None,
    }
}

fn entity(call: &Call, party: &Party, metric: &str) -> Value {
    let mut entity = json!({
        "activityDate": stamp(party.connected.unwrap_or(party.started)),
        "metric": metric,
        "conversationId": call.id,
        "sessionId": party.leg_id,
        "mediaType": "voice",
        "direction": call.way.as_str(),
        "ani": call.customer,
        "dnis": call.centre,
        "requestedRoutingSkillIds": [],
        "routingPriority": 0,
    });
    if let Some(queue) = &party.queue {
        entity["queueId"] = json!(queue);
    }
    if let Some(user) = &party.user {
        entity["userId"] = json!(user);
    }
    entity
}

fn activity(world: &World, errand: &Errand<'_>) -> Served {
    world.access.demand("analytics:queueObservation:view")?;
    let query = errand.request.json()?;
    let asked: BTreeSet<&str> = query["metrics"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|metric| metric["metric"].as_str())
        .collect();
    if asked.is_empty() {
        return Err(Refusal::malformed("\"metrics\" is expected, with one metric or more."));
    }
    let detailed = |name: &str| {
        query["metrics"].as_array().into_iter().flatten().any(|metric| {
            metric["metric"].as_str() == Some(name) && metric["details"].as_bool() == Some(true)
        })
    };
    let mut found: Vec<(Wall, &str, Value)> = Vec::new();
    for call in world.calls.values().filter(|call| call.is_live()) {
        for party in &call.parties {
            let Some(name) = metric(party).filter(|name| asked.contains(name)) else {
                continue;
            };
            let entity = entity(call, party, name);
            if passes(&query["filter"], &|dimension| entity[dimension].as_str().map(str::to_owned)) {
                found.push((party.connected.unwrap_or(party.started), name, entity));
            }
        }
    }
    found.sort_by_key(|(at, _, _)| *at);
    let dimensions: Vec<&str> =
        query["groupBy"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut groups: BTreeMap<Vec<Option<String>>, Vec<(&str, Value)>> = BTreeMap::new();
    if dimensions.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    for (_, name, entity) in found {
        let values = dimensions.iter().map(|dimension| entity[*dimension].as_str().map(str::to_owned));
        groups.entry(values.collect()).or_default().push((name, entity));
    }
    let results: Vec<Value> = groups
        .into_iter()
        .map(|(values, found)| {
            let told = dimensions.iter().zip(values).filter_map(|(name, value)| Some((*name, value?)));
            group_result(&told.collect(), found, &asked, detailed)
        })
        .collect();
    Ok(HttpResponse::json(200, &json!({"results": results, "entityIdDimension": "conversationId"})))
}

/// The result of one group, cut short by itself.
fn group_result(
    group: &BTreeMap<&str, String>,
    found: Vec<(&str, Value)>,
    asked: &BTreeSet<&str>,
    detailed: impl Fn(&str) -> bool,
) -> Value {
    let data: Vec<Value> = asked
        .iter()
        .map(|name| {
            let count = found.iter().filter(|(metric, _)| metric == name).count();
            json!({"metric": name, "count": count})
        })
        .collect();
    let mut entities: Vec<Value> =
        found.into_iter().filter(|(name, _)| detailed(name)).map(|(_, entity)| entity).collect();
    let truncated = entities.len() > ENTITIES_MOST;
    if truncated {
        let newest = entities.split_off(entities.len() - ENTITIES_MOST / 2);
        entities.truncate(ENTITIES_MOST / 2);
        entities.extend(newest);
    }
    json!({"group": group, "data": data, "truncated": truncated, "entities": entities})
}

fn details(world: &World, errand: &Errand<'_>) -> Served {
    world.access.demand("analytics:conversationDetail:view")?;
    let query = errand.request.json()?;
    let day = |text: &str| text.get(..10).map(str::to_owned);
    let interval = query["interval"].as_str().and_then(|interval| interval.split_once('/'));
    let Some((first, last)) = interval.and_then(|(from, to)| Some((day(from)?, day(to)?))) else {
        return Err(Refusal::malformed("\"interval\" is expected: start/end."));
    };
    let empty = Vec::new();
    let filters = query["conversationFilters"].as_array().unwrap_or(&empty);
    let segments = query["segmentFilters"].as_array().unwrap_or(&empty);
    let matching: Vec<&Call> = world
        .calls
        .values()
        .filter(|call| {
            // "Only conversations that started on a day touched by the interval" (GENESYS.md 3.2).
            day(&stamp(call.started)).is_some_and(|started| (&first..=&last).contains(&&started))
        })
        .filter(|call| filters.iter().all(|filter| passes(filter, &|name| conversation_value(call, name))))
        .filter(|call| {
            segments.iter().all(|filter| {
                call.parties.iter().any(|party| passes(filter, &|name| segment_value(party, name)))
            })
        })
        .collect();
    let size = query["paging"]["pageSize"].as_u64().unwrap_or(25).clamp(1, 100) as usize;
    let number = query["paging"]["pageNumber"].as_u64().unwrap_or(1).max(1) as usize;
    let page: Vec<Value> = matching
        .iter()
        .skip((number - 1).saturating_mul(size))
        .take(size)
        .map(|call| detail(world, call))
        .collect();
    let mut body = json!({"totalHits": matching.len()});
    if !page.is_empty() {
        body["conversations"] = json!(page);
    }
    Ok(HttpResponse::json(200, &body))
}

fn conversation_value(call: &Call, dimension: &str) -> Option<String> {
    match dimension {
        "conversationId" => Some(call.id.clone()),
        "conversationStart" => Some(stamp(call.started)),
        "conversationEnd" => call.ended().map(stamp),
        "originatingDirection" => Some(call.way.as_str().to_owned()),
        _ => None,
    }
}

fn segment_value(party: &Party, dimension: &str) -> Option<String> {
    match dimension {
        "queueId" => party.queue.clone(),
        "userId" => party.user.clone(),
        "purpose" => Some(party.purpose.as_str().to_owned()),
        "mediaType" => Some("voice".to_owned()),
        _ => None,
    }
}

fn detail(world: &World, call: &Call) -> Value {
    let participants: Vec<Value> = call
        .parties
        .iter()
        .map(|party| {
            let session = json!({"sessionId": party.leg_id, "mediaType": "voice", "segments": []});
            let mut body = json!({
                "participantId": party.id,
                "purpose": party.purpose.as_str(),
                "sessions": [session],
            });
            if let Some(user) = &party.user {
                body["userId"] = json!(user);
            }
            body
        })
        .collect();
    let initiator = if call.way == Way::Inbound { "inbound" } else { "outbound" };
    let mut body = json!({
        "conversationId": call.id,
        "conversationStart": stamp(call.started),
        "conversationInitiator": initiator,
        "originatingDirection": call.way.as_str(),
        "divisionIds": [world.org.division],
        "participants": participants,
    });
    if let Some(end) = call.ended() {
        body["conversationEnd"] = json!(stamp(end));
    }
    body
}
