//! Health, readiness, metrics and the view, for monitoring: `/healthz`, `/readyz`, `/metrics`, `/view.json`, and
//! the page at `/`.

use std::fmt::Write;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use crate::http::ask::{Asks, Readiness, View};
use crate::http::page;
use crate::http::refusal::{self, Refusal};
use crate::warden::COUNTERS;

/// Its paths.
pub fn router(asks: Asks) -> Router {
    Router::new()
        .route("/", get(page::show))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/view.json", get(view))
        .fallback(refusal::no_such_path)
        .method_not_allowed_fallback(refusal::no_such_method)
        .with_state(asks)
}

/// The loop answers, so it turns.
async fn healthy(State(asks): State<Asks>) -> Result<&'static str, Refusal> {
    asks.view().await?;
    Ok("ok\n")
}

async fn ready(State(asks): State<Asks>) -> Result<Response, Refusal> {
    Ok(match asks.view().await?.ready {
        Readiness::Ready => "ready\n".into_response(),
        Readiness::NotReady(why) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": why }))).into_response()
        }
    })
}

async fn view(State(asks): State<Asks>) -> Result<Json<View>, Refusal> {
    Ok(Json(asks.view().await?))
}

async fn metrics(State(asks): State<Asks>) -> Result<Response, Refusal> {
    let text = written(&asks.view().await?);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// The daemon's own counter.
const WRITE_FAILURES: (&str, &str) =
    ("recwarden_audit_write_failures_total", "times that the audit log could not be written");

/// The view as Prometheus reads it.
fn written(view: &View) -> String {
    let ready = if matches!(view.ready, Readiness::Ready) { 1.0 } else { 0.0 };
    let astray = view.calls.iter().filter(|call| call.is_astray()).count();
    let left = view.resync.map_or(0, |round| round.total.saturating_sub(round.read));
    let gauges = [
        ("recwarden_ready", "1 where the daemon is subscribed and permitted to act", ready),
        ("recwarden_calls", "live conversations in the book", view.calls.len() as f64),
        ("recwarden_calls_astray", "live conversations that are not as the policy wants", astray as f64),
        ("recwarden_worklist", "conversations with something to do", view.worklist as f64),
        ("recwarden_requests_used", "requests of the last minute", f64::from(view.budget.used)),
        ("recwarden_requests_limit", "requests allowed in a minute", f64::from(view.budget.limit)),
        (
            "recwarden_polling",
            "1 where reads stand in for events",
            f64::from(u8::from(view.sight == "polling")),
        ),
        (
            "recwarden_blind",
            "1 where neither events nor reads get through",
            f64::from(u8::from(view.sight == "blind")),
        ),
        ("recwarden_book_bytes", "bytes that the conversations in the book take", view.book_bytes as f64),
        ("recwarden_gaps_open", "gaps in what was heard that are not closed yet", view.gaps as f64),
        ("recwarden_resync_left", "conversations that the resync has yet to read", left as f64),
        ("recwarden_brake_waiting", "changes that the brake holds back", view.braked.unwrap_or(0) as f64),
    ];
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (name, help, value) in gauges {
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}").ok();
    }
    for (name, value) in &view.counters {
        let known = COUNTERS.iter().chain(&[WRITE_FAILURES]).find(|(known, _)| known == name);
        if let Some((_, help)) = known {
            writeln!(text, "# HELP {name} {help}").ok();
        }
        writeln!(text, "# TYPE {name} counter\n{name} {value}").ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::ask::ResyncView;
    use crate::http::ask::fake::{client, fake_loop, sample_view, served};

    async fn get(view: View, path: &str) -> (u16, String) {
        let url = served(router(fake_loop(view).0)).await;
        let answer = client().get(format!("{url}{path}")).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    }

    #[tokio::test]
    async fn readiness_says_why_not() {
        assert_eq!(get(sample_view(), "/readyz").await, (200, "ready\n".into()));
        let view = View { ready: Readiness::NotReady("the subscription is not up".into()), ..sample_view() };
        let (status, text) = get(view, "/readyz").await;
        assert!(status == 503 && text.contains("the subscription is not up"), "{status} {text}");
    }

    #[tokio::test]
    async fn what_a_resync_has_yet_to_read_is_a_metric() {
        for (resync, left) in [(None, 0), (Some(ResyncView { read: 30, total: 100 }), 70)] {
            let (_, text) = get(View { resync, ..sample_view() }, "/metrics").await;
            assert!(text.contains(&format!("\nrecwarden_resync_left {left}\n")), "{text}");
        }
    }

    #[tokio::test]
    async fn metrics_are_in_the_form_that_prometheus_reads() {
        let (status, text) = get(sample_view(), "/metrics").await;
        assert_eq!(status, 200);
        assert!(text.contains("# TYPE recwarden_worklist gauge\nrecwarden_worklist 2\n"), "{text}");
        assert!(text.contains("recwarden_calls_astray 1\n"), "{text}");
        let counted = "# HELP recwarden_decisions_total decisions made\n# TYPE recwarden_decisions_total counter\n\
                       recwarden_decisions_total 4\n";
        assert!(text.contains(counted), "{text}");
        // A name is introduced once, whatever follows.
        let mut names: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "{text}");
    }
}
