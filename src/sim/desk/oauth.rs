//! Login and tokens (GENESYS.md 1).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::sim::desk::{Errand, Served};
use crate::sim::web::{HttpRequest, HttpResponse, form_value};
use crate::sim::world::World;

/// `POST /oauth/token`: the client-credentials grant. Which `error` words occur was found in no official
/// source (GENESYS.md 1); these are RFC 6749's.
pub fn login(world: &mut World, request: &HttpRequest) -> HttpResponse {
    let refused = |status: u16, error: &str, text: &str| {
        HttpResponse::json(status, &json!({"error": error, "description": text, "error_description": text}))
    };
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let shown = basic(request)
        .or_else(|| Some((form_value(&form, "client_id")?, form_value(&form, "client_secret")?)));
    let client = &world.access.client;
    if shown.as_ref().is_none_or(|(id, secret)| *id != client.id || *secret != client.secret) {
        world.note("token", "", "refused: wrong client id or secret");
        return refused(401, "invalid_client", "client not found or invalid client secret");
    }
    // A gateway in between may use the query instead of the body.
    let grant = form_value(&form, "grant_type").or_else(|| request.parameter("grant_type"));
    if grant.as_deref() != Some("client_credentials") {
        return refused(400, "unsupported_grant_type", "only client_credentials is served here");
    }
    let token = world.access.issue(&mut world.chance, world.now.mono);
    world.note("token", "", "issued");
    let seconds = world.access.lifetime().as_secs();
    HttpResponse::json(200, &json!({"access_token": token, "token_type": "bearer", "expires_in": seconds}))
}

fn basic(request: &HttpRequest) -> Option<(String, String)> {
    let (scheme, encoded) = request.header("authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// `/api/v2/tokens/me`.
pub fn serve(world: &mut World, errand: &Errand<'_>, token: &str) -> Option<Served> {
    match (errand.method, errand.path) {
        ("GET", ["tokens", "me"]) => {
            let org = json!({"id": world.org.id, "name": "Simulated Centre"});
            let client = json!({
                "id": world.access.client.id,
                "name": "simulated client",
                "organization": {"id": world.org.id},
            });
            Some(Ok(HttpResponse::json(
                200,
                &json!({
                    "organization": org,
                    "homeOrganization": org,
                    "authorizedScope": [],
                    "OAuthClient": client,
                }),
            )))
        }
        ("HEAD", ["tokens", "me"]) => Some(Ok(HttpResponse::empty(200))),
        ("DELETE", ["tokens", "me"]) => {
            world.access.revoke(token);
            Some(Ok(HttpResponse::empty(200)))
        }
        _ => None,
    }
}
