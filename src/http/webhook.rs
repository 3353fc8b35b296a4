//! The webhook: directives, facts, and how a decision stands (PRODUCT.md 9). Every request proves that its
//! sender knows the secret, or nothing happens.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::routing::{get, post};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::http::ask::{Answer, Asks, DirectiveOrder, Origin};
use crate::http::order;
use crate::http::refusal::{self, Refusal};
use crate::http::secret::{Secret, Signature};
use crate::http::seen::Seen;
use crate::model::time::Wall;

/// A longer `webhook-id` stands in the log as its digest.
const LONGEST_ID: usize = 128;

/// What reads the clock for a signature's timestamp.
pub type WallClock = Arc<dyn Fn() -> Wall + Send + Sync>;

struct Door {
    asks: Asks,
    secret: watch::Receiver<Secret>,
    clock: WallClock,
    seen: Seen<Value>,
}

/// The webhook's paths. The secret may change while it is served.
pub fn router(asks: Asks, secret: watch::Receiver<Secret>, clock: WallClock) -> Router {
    let door = Arc::new(Door { asks, secret, clock, seen: Seen::default() });
    Router::new()
        .route("/webhook/recording-control", post(recording_control))
        .route("/webhook/facts", post(facts))
        .route("/webhook/decisions/{id}", get(decision))
        .fallback(refusal::no_such_path)
        .method_not_allowed_fallback(refusal::no_such_method)
        .with_state(door)
}

impl Door {
    /// Lets a request in, or not. A signed one names itself, so that it can be told when it comes again.
    fn admit(&self, headers: &HeaderMap, body: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        // A copy, so that no request holds up a reload.
        let secret = self.secret.borrow().clone();
        if secret.is_borne_by(headers) {
            return Ok(headers.get("webhook-id").map(|id| id.as_bytes().to_vec()));
        }
        match Signature::of(headers) {
            Some(one) if one.is_timely((self.clock)()) && secret.signed(&one, body) => {
                Ok(headers.get("webhook-id").map(|id| id.as_bytes().to_vec()))
            }
            Some(_) | None => Err(Refusal::Unauthorized),
        }
    }

    /// Does the work of a request that is let in, and answers; one that came before gets its first answer.
    async fn answer(
        &self,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
        work: impl AsyncFnOnce() -> Result<Answer, Refusal>,
    ) -> Result<Json<Value>, Refusal> {
        let id = self.admit(headers, body)?;
        let work = async || {
            let Answer { message, decision } = work().await?;
            Ok(json!({"status": "success", "message": message, "decision": decision}))
        };
        let answer = match id {
            Some(id) => self.seen.answer(path, &id, work).await,
            None => work().await,
        };
        answer.map(Json)
    }
}

async fn recording_control(
    State(door): State<Arc<Door>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let body = refusal::read_body(body).await?;
    let webhook_id = headers.get("webhook-id").map(written_id);
    let work = async || {
        let order = DirectiveOrder { webhook_id, ..order::directive(&body, Origin::Webhook)? };
        Ok(door.asks.direct(order).await?)
    };
    door.answer("recording-control", &headers, &body, work).await
}

/// An id as the log has it: as its sender wrote it, or a digest of what is too long or no text.
fn written_id(id: &HeaderValue) -> String {
    match id.to_str() {
        Ok(text) if text.len() <= LONGEST_ID => text.to_owned(),
        Ok(_) | Err(_) => format!("sha256:{}", hex::encode(Sha256::digest(id.as_bytes()))),
    }
}

async fn facts(
    State(door): State<Arc<Door>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let body = refusal::read_body(body).await?;
    let work = async || {
        let (conversation, facts) = order::facts(&body)?;
        Ok(door.asks.facts(conversation, facts).await?)
    };
    door.answer("facts", &headers, &body, work).await
}

async fn decision(
    State(door): State<Arc<Door>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    door.admit(&headers, b"")?;
    let id = order::decision_id(&id)?;
    match door.asks.decision(id.clone()).await? {
        Some(view) => Ok(Json(json!(view))),
        None => Err(Refusal::NotFound(format!(
            "decision {id} is not known to this daemon; look for it with recwarden audit show --decision {id}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::ask::fake::{CONVERSATION, DECISION, Heard, client, fake_loop, sample_view, served};
    use crate::http::ask::{Ask, NotTaken, Unanswered};

    async fn door() -> (String, Heard) {
        let (asks, heard) = fake_loop(sample_view());
        let secret = Secret::new("hunter2-hunter2").expect("a secret");
        let router = router(asks, watch::channel(secret).1, Arc::new(|| Wall::from_micros(1_000_000_000)));
        (served(router).await, heard)
    }

    async fn post(url: &str, token: Option<&str>, id: Option<&str>, body: String) -> (u16, Value) {
        let mut request = client().post(format!("{url}/webhook/recording-control")).body(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(id) = id {
            request = request.header("webhook-id", id);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("a JSON body"))
    }

    fn stop() -> String {
        json!({"conversation_id": CONVERSATION, "action": "stop"}).to_string()
    }

    #[tokio::test]
    async fn a_directive_with_the_secret_is_taken() {
        let (url, heard) = door().await;
        let (status, body) = post(&url, Some("hunter2-hunter2"), None, stop()).await;
        assert_eq!(
            (status, body["status"].as_str(), body["decision"].as_str()),
            (200, Some("success"), Some(DECISION))
        );
        assert_eq!(heard.directives().len(), 1);
    }

    #[tokio::test]
    async fn without_the_secret_nothing_happens() {
        let (url, heard) = door().await;
        for token in [None, Some(""), Some("hunter2-hunter"), Some("hunter2-hunter22")] {
            let (status, body) = post(&url, token, None, stop()).await;
            assert_eq!(status, 401);
            assert!(body["error"].is_string());
        }
        assert!(heard.is_silence());
    }

    #[tokio::test]
    async fn bad_bodies_are_told_apart_and_do_nothing() {
        let (url, heard) = door().await;
        let token = Some("hunter2-hunter2");
        let pause = json!({"conversation_id": CONVERSATION, "action": "pause"}).to_string();
        let bodies = [
            ("no json", 400),
            ("[]", 400),
            ("{}", 400),
            (pause.as_str(), 400),
            (&"x".repeat(65 * 1024), 413),
        ];
        for (body, expected) in bodies {
            let (status, answer) = post(&url, token, None, body.to_owned()).await;
            assert_eq!(status, expected, "{answer}");
            assert!(answer["error"].is_string());
        }
        assert!(heard.is_silence());
    }

    #[tokio::test]
    async fn facts_that_are_not_taken_say_why_and_when_to_come_again() {
        for (why, expected, again) in [
            (NotTaken::TooMuch, 413, None),
            (NotTaken::NoRoom, 503, Some("30")),
            (NotTaken::Unanswered(Unanswered::NotKept), 503, Some("1")),
        ] {
            let (asks, mut asks_rx) = Asks::channel();
            tokio::spawn(async move {
                while let Some(Ask::Facts { answer, .. }) = asks_rx.recv().await {
                    answer.send(Err(why)).expect("somebody waits");
                }
            });
            let secret = Secret::new("hunter2-hunter2").expect("a secret");
            let clock: WallClock = Arc::new(|| Wall::from_micros(1_000_000_000));
            let url = served(router(asks, watch::channel(secret).1, clock)).await;
            let body = json!({"conversation_id": CONVERSATION, "facts": {"vip": true}}).to_string();
            let request = client().post(format!("{url}/webhook/facts")).bearer_auth("hunter2-hunter2");
            let answer = request.body(body).send().await.expect("an answer");
            let retry =
                answer.headers().get("retry-after").map(|value| value.to_str().expect("a text").to_owned());
            assert_eq!((answer.status().as_u16(), retry.as_deref()), (expected, again));
            let told: Value = answer.json().await.expect("JSON");
            assert_eq!(told["error"].as_str(), Some(why.to_string().as_str()));
        }
    }

    #[tokio::test]
    async fn a_repeated_id_answers_as_it_did_the_first_time() {
        let (url, heard) = door().await;
        let first = post(&url, Some("hunter2-hunter2"), Some("m1"), stop()).await;
        let again = post(&url, Some("hunter2-hunter2"), Some("m1"), stop()).await;
        assert_eq!((first, heard.directives().len()), (again, 1));
    }

    #[tokio::test]
    async fn an_order_says_by_which_message_it_came() {
        let (url, heard) = door().await;
        let long = "m".repeat(LONGEST_ID + 1);
        for id in [None, Some("m1"), Some(long.as_str())] {
            assert_eq!(post(&url, Some("hunter2-hunter2"), id, stop()).await.0, 200);
        }
        let told: Vec<Option<String>> = heard.directives().into_iter().map(|one| one.webhook_id).collect();
        assert_eq!(told[..2], [None, Some("m1".to_owned())]);
        assert!(told[2].as_ref().is_some_and(|one| one.starts_with("sha256:") && one.len() < 80), "{told:?}");
    }

    #[tokio::test]
    async fn a_decision_can_be_looked_up() {
        let (url, _) = door().await;
        let get = async |id: &str| {
            let url = format!("{url}/webhook/decisions/{id}");
            let answer = client().get(url).bearer_auth("hunter2-hunter2").send().await.expect("an answer");
            (answer.status().as_u16(), answer.json::<Value>().await.expect("a JSON body"))
        };
        let (status, body) = get(DECISION).await;
        assert_eq!((status, body["state"].as_str()), (200, Some("confirmed")));
        assert_eq!(get(CONVERSATION).await.0, 404);
        assert_eq!(get("x").await.0, 400);
    }
}
