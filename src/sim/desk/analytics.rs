//! Finding live conversations (GENESYS.md 3.2): the activity query, and the details query.

use std::borrow::Cow;
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

/// Groups of one page at most, and by default. Of the platform it is known only that there are pages.
const GROUPS_MOST: usize = 500;
const GROUPS: usize = 100;

/// Serves what is the analytics'.
pub fn serve(world: &mut World, errand: &Errand<'_>) -> Option<Served> {
    match (errand.method, errand.path) {
        ("POST", ["analytics", "conversations", "activity", "query"]) => Some(activity(world, errand)),
        ("POST", ["analytics", "conversations", "details", "query"]) => Some(details(world, errand)),
        _ => None,
    }
}

/// A filter of predicates: `{type: and|or, predicates: [{dimension, value}], clauses: [...]}`.
fn passes<'a>(filter: &Value, value_of: &dyn Fn(&str) -> Option<Cow<'a, str>>) -> bool {
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

/// One party that is counted.
#[derive(Clone, Copy)]
struct Observation<'a> {
    call: &'a Call,
    party: &'a Party,
    metric: &'static str,
}

impl<'a> Observation<'a> {
    fn since(self) -> Wall {
        self.party.connected.unwrap_or(self.party.started)
    }

    fn value(self, dimension: &str) -> Option<&'a str> {
        match dimension {
            "conversationId" => Some(&self.call.id),
            "sessionId" => Some(&self.party.leg_id),
            "mediaType" => Some("voice"),
            "direction" => Some(self.call.way.as_str()),
            "ani" => Some(&self.call.customer),
            "dnis" => Some(&self.call.centre),
            "queueId" => self.party.queue.as_deref(),
            "userId" => self.party.user.as_deref(),
            _ => None,
        }
    }

    fn entity(self) -> Value {
        let mut entity = json!({
            "activityDate": stamp(self.since()),
            "metric": self.metric,
            "requestedRoutingSkillIds": [],
            "routingPriority": 0,
        });
        let dimensions =
            ["conversationId", "sessionId", "mediaType", "direction", "ani", "dnis", "queueId", "userId"];
        for (dimension, value) in dimensions.into_iter().filter_map(|name| Some((name, self.value(name)?))) {
            entity[dimension] = json!(value);
        }
        entity
    }
}

fn words<'a>(list: &'a Value, key: &str) -> Option<Vec<&'a str>> {
    list.get(key)?.as_array().map(|words| words.iter().filter_map(Value::as_str).collect())
}

fn activity(world: &World, errand: &Errand<'_>) -> Served {
    world.access.demand("analytics:queueObservation:view")?;
    let query = errand.request.json()?;
    let metrics: Vec<&Value> = query["metrics"].as_array().into_iter().flatten().collect();
    let asked: BTreeSet<&str> = metrics.iter().filter_map(|metric| metric["metric"].as_str()).collect();
    if asked.is_empty() {
        return Err(Refusal::malformed("\"metrics\" is expected, with one metric or more."));
    }
    // The vendor's own client has it as required.
    let dimensions = words(&query, "groupBy")
        .ok_or_else(|| Refusal::malformed("\"groupBy\" is expected, a list of dimensions."))?;
    let detailed: BTreeSet<&str> = metrics
        .iter()
        .filter(|metric| metric["details"].as_bool() == Some(true))
        .filter_map(|metric| metric["metric"].as_str())
        .collect();
    let mut groups: BTreeMap<Vec<Option<&str>>, Vec<Observation<'_>>> = BTreeMap::new();
    if dimensions.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    for call in world.calls.values().filter(|call| call.is_live()) {
        for party in &call.parties {
            let Some(metric) = metric(party).filter(|name| asked.contains(name)) else {
                continue;
            };
            let seen = Observation { call, party, metric };
            if passes(&query["filter"], &|dimension| seen.value(dimension).map(Cow::Borrowed)) {
                let values = dimensions.iter().map(|dimension| seen.value(dimension)).collect();
                groups.entry(values).or_default().push(seen);
            }
        }
    }
    let size = errand.request.number("pageSize").unwrap_or(GROUPS).clamp(1, GROUPS_MOST);
    let number = errand.request.number("pageNumber").unwrap_or(1).max(1);
    let page = groups.into_iter().skip((number - 1).saturating_mul(size)).take(size);
    let results: Vec<Value> = page
        .map(|(values, seen)| {
            let told = dimensions.iter().zip(values).filter_map(|(name, value)| Some((*name, value?)));
            group_result(&told.collect(), seen, &asked, &detailed)
        })
        .collect();
    Ok(HttpResponse::json(200, &json!({"results": results, "entityIdDimension": "conversationId"})))
}

/// The result of one group, its list cut short by itself.
fn group_result(
    group: &BTreeMap<&str, &str>,
    mut seen: Vec<Observation<'_>>,
    asked: &BTreeSet<&str>,
    detailed: &BTreeSet<&str>,
) -> Value {
    let count = |name: &str| seen.iter().filter(|one| one.metric == name).count();
    let data: Vec<Value> = asked.iter().map(|name| json!({"metric": name, "count": count(name)})).collect();
    seen.retain(|one| detailed.contains(one.metric));
    seen.sort_by_key(|one| one.since());
    let truncated = seen.len() > ENTITIES_MOST;
    if truncated {
        let newest = seen.split_off(seen.len() - ENTITIES_MOST / 2);
        seen.truncate(ENTITIES_MOST / 2);
        seen.extend(newest);
    }
    let entities: Vec<Value> = seen.into_iter().map(Observation::entity).collect();
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
        .filter(|call| {
            filters
                .iter()
                .all(|filter| passes(filter, &|name| conversation_value(call, name).map(Cow::Owned)))
        })
        .filter(|call| {
            segments.iter().all(|filter| {
                call.parties
                    .iter()
                    .any(|party| passes(filter, &|name| segment_value(party, name).map(Cow::Owned)))
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
