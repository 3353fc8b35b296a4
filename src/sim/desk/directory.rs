//! Queues, users, the organisation, its limits, and what the client may do.

use serde_json::{Value, json};

use crate::sim::desk::{Errand, Served, page};
use crate::sim::org::Standing;
use crate::sim::web::{HttpResponse, Refusal};
use crate::sim::world::World;

/// Serves what is the directory's.
pub fn serve(world: &mut World, errand: &Errand<'_>) -> Option<Served> {
    match (errand.method, errand.path) {
        ("GET", ["routing", "queues"]) => Some(queues(world, errand)),
        ("GET", ["routing", "queues", id]) => Some(one_queue(world, id)),
        ("GET", ["users"]) => Some(users(world, errand)),
        ("GET", ["users", id]) => Some(one_user(world, id)),
        ("GET", ["organizations", "me"]) => Some(Ok(organisation(world))),
        ("GET", ["authorization", "subjects", "me"]) => Some(Ok(grants(world))),
        ("GET", ["organizations", "limits", "namespaces", name]) => Some(Ok(limits(world, name))),
        ("GET", ["organizations", "limits", "namespaces", name, "defaults"]) => Some(Ok(limits(world, name))),
        _ => None,
    }
}

fn queues(world: &World, errand: &Errand<'_>) -> Served {
    world.access.demand("routing:queue:view")?;
    let wanted = errand.request.parameter("name").map(|name| name.to_lowercase());
    let fits = |name: &str| wanted.as_deref().is_none_or(|wanted| fits_name(&name.to_lowercase(), wanted));
    let all: Vec<Value> = world
        .org
        .queues
        .iter()
        .filter(|queue| queue.standing == Standing::Open && fits(&queue.name))
        .map(|queue| world.org.queue_json(queue))
        .collect();
    Ok(HttpResponse::json(200, &page(errand, &all)))
}

/// The platform's name filter takes `*` at either end for anything.
fn fits_name(name: &str, wanted: &str) -> bool {
    match (wanted.strip_prefix('*'), wanted.strip_suffix('*')) {
        (Some(_), Some(_)) => name.contains(wanted.trim_matches('*')),
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == wanted,
    }
}

fn one_queue(world: &World, id: &str) -> Served {
    world.access.demand("routing:queue:view")?;
    let queue = world.org.queue(id).ok_or_else(Refusal::not_found)?;
    Ok(HttpResponse::json(200, &world.org.queue_json(queue)))
}

fn users(world: &World, errand: &Errand<'_>) -> Served {
    world.access.demand("directory:user:view")?;
    let ids: Option<Vec<String>> =
        errand.request.parameter("id").map(|ids| ids.split(',').map(str::to_owned).collect());
    let all: Vec<Value> = world
        .org
        .users
        .iter()
        .filter(|user| user.standing == Standing::Open)
        .filter(|user| ids.as_ref().is_none_or(|ids| ids.contains(&user.id)))
        .map(|user| world.org.user_json(user))
        .collect();
    Ok(HttpResponse::json(200, &page(errand, &all)))
}

fn one_user(world: &World, id: &str) -> Served {
    if id == "me" {
        return Err(Refusal::not_a_user());
    }
    world.access.demand("directory:user:view")?;
    let user = world.org.user(id).ok_or_else(Refusal::not_found)?;
    Ok(HttpResponse::json(200, &world.org.user_json(user)))
}

fn organisation(world: &World) -> HttpResponse {
    let org = &world.org;
    HttpResponse::json(
        200,
        &json!({
            "id": org.id,
            "name": "Simulated Centre",
            "state": "active",
            "domain": "simulated.example",
            "version": 1,
            "selfUri": "/api/v2/organizations/me",
        }),
    )
}

/// What the client may do, as one role in the home division.
fn grants(world: &World) -> HttpResponse {
    let policies: Vec<Value> = world
        .access
        .client
        .permissions
        .iter()
        .filter_map(|permission| {
            let mut parts = permission.splitn(3, ':');
            let (domain, entity, action) = (parts.next()?, parts.next()?, parts.next()?);
            Some(json!({"domain": domain, "entityName": entity, "actions": [action]}))
        })
        .collect();
    let uri = format!("/api/v2/authorization/divisions/{}", world.org.division);
    let division = json!({"id": world.org.division, "name": "Home", "homeDivision": true, "selfUri": uri});
    let role = json!({"name": "simulated role", "policies": policies, "default": false});
    let client = &world.access.client.id;
    HttpResponse::json(
        200,
        &json!({
            "id": client,
            "name": "simulated client",
            "grants": [{"subjectId": client, "division": division, "role": role}],
        }),
    )
}

/// The limits that can be read at run time without a permission (GENESYS.md 6).
fn limits(world: &World, namespace: &str) -> HttpResponse {
    let limits = match namespace {
        "platform.api" => json!({
            "client.credentials.token.rate.per.minute": world.plan.requests_per_minute,
            "token.rate.per.minute": 300,
            "org.app.user.rate.per.minute": 3000,
            "request.bytes.max": 512_000,
        }),
        "notifications" => json!({"user.app.max.channels": 20, "channel.max.topics": 1000}),
        _ => json!({}),
    };
    HttpResponse::json(200, &json!({"namespace": namespace, "limits": limits}))
}
