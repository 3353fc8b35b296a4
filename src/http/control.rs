//! The control socket: the operator's own orders, for `recwarden start`, `stop` and `status` while the daemon
//! runs. It is a Unix socket beside the audit log, mode 0600: whoever may open it may order.

use std::path::{Path as FsPath, PathBuf};

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::UnixListener;

use crate::http::ask::{Asks, Origin};
use crate::http::order;
use crate::http::refusal::{self, Refusal};

/// Its name in the folder of the audit log.
pub const SOCKET_NAME: &str = "control.sock";

/// Where it is.
pub fn path(audit_directory: &FsPath) -> PathBuf {
    audit_directory.join(SOCKET_NAME)
}

/// Listens there. The caller holds the lock of the audit log, so a socket that is there is left over.
///
/// # Errors
/// Where the socket cannot be made.
pub fn listen(path: &FsPath) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    std::fs::set_permissions(path, mode)?;
    Ok(listener)
}

/// Its paths.
pub fn router(asks: Asks) -> Router {
    Router::new()
        .route("/control/directive", post(directive))
        .route("/control/decisions/{id}", get(decision))
        .route("/control/conversations/{id}", get(conversation))
        .route("/control/conversations/{id}/explanation", get(explanation))
        .fallback(refusal::no_such_path)
        .method_not_allowed_fallback(refusal::no_such_method)
        .with_state(asks)
}

async fn directive(State(asks): State<Asks>, body: Body) -> Result<Json<Value>, Refusal> {
    let body = refusal::read_body(body).await?;
    let answer = asks.direct(order::directive(&body, Origin::Manual)?).await?;
    Ok(Json(json!({"message": answer.message, "decision": answer.decision})))
}

async fn decision(State(asks): State<Asks>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!(asks.decision(order::decision_id(&id)?).await?)))
}

async fn conversation(State(asks): State<Asks>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!(asks.conversation(order::conversation_id(&id)?).await?)))
}

async fn explanation(State(asks): State<Asks>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!(asks.explain(order::conversation_id(&id)?).await?)))
}
