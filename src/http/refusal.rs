//! Every answer that is not a yes: its status, and `{"error": ...}`. Also the bounded reading of a body.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde_json::json;
use thiserror::Error;

use crate::http::ask::{NotTaken, Unanswered};
use crate::http::order::Malformed;

/// The largest body that is read as an order or as facts (PRODUCT.md 9).
pub const LARGEST_BODY: usize = 64 * 1024;

/// How much of a body that is too large is read and thrown away before it is refused: a connection
/// closed on unread bytes is reset, and the sender would see that instead of the 413.
const LARGEST_DISCARD: usize = 1024 * 1024;

/// How long a sender may take over its body.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Neither the secret nor a signature made with it.
    #[error(
        "unauthorized: send `Authorization: Bearer SECRET`, or the Standard Webhooks headers with a \
         signature whose timestamp is within 5 minutes of now"
    )]
    Unauthorized,
    /// The body or the path does not say what is wanted.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The body is larger than [`LARGEST_BODY`].
    #[error("the body is too large: at most {LARGEST_BODY} bytes are read")]
    TooLarge,
    /// The body did not come in time.
    #[error("the body did not come within {} s", BODY_WITHIN.as_secs())]
    TooSlow,
    /// The body broke off.
    #[error("the body broke off before its end")]
    BrokenOff,
    /// What the path names is not known.
    #[error("{0}")]
    NotFound(String),
    /// The path is there, for another method.
    #[error("{0}")]
    WrongMethod(String),
    /// The loop gave no answer.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// The facts are not taken.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
}

/// A loop that is behind is asked again after so many seconds.
const SOON: &str = "1";
/// Calls end, and leave room, within a minute rather than a second.
const ONCE_THERE_IS_ROOM: &str = "30";

impl Refusal {
    /// The status it is answered with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Malformed(_) | Self::BrokenOff => StatusCode::BAD_REQUEST,
            Self::TooLarge | Self::NotTaken(NotTaken::TooMuch) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unanswered(_) | Self::NotTaken(NotTaken::Unanswered(_) | NotTaken::NoRoom) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.to_string() }));
        match self {
            Self::Unauthorized => {
                (self.status(), [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response()
            }
            Self::Unanswered(_) | Self::NotTaken(NotTaken::Unanswered(_)) => {
                (self.status(), [(header::RETRY_AFTER, SOON)], body).into_response()
            }
            Self::NotTaken(NotTaken::NoRoom) => {
                (self.status(), [(header::RETRY_AFTER, ONCE_THERE_IS_ROOM)], body).into_response()
            }
            Self::NotTaken(NotTaken::TooMuch)
            | Self::Malformed(_)
            | Self::TooLarge
            | Self::TooSlow
            | Self::BrokenOff
            | Self::NotFound(_)
            | Self::WrongMethod(_) => (self.status(), body).into_response(),
        }
    }
}

/// The answer for a path that nothing listens on.
pub async fn no_such_path(uri: Uri) -> Refusal {
    Refusal::NotFound(format!("there is nothing at {}", uri.path()))
}

/// The answer for a path that has no such method.
pub async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    Refusal::WrongMethod(format!("{} does not take {method}", uri.path()))
}

/// Reads a body of at most [`LARGEST_BODY`] bytes.
pub async fn read_body(body: Body) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(BODY_WITHIN, read_to_end(body)).await {
        Ok(read) => read,
        Err(_elapsed) => Err(Refusal::TooSlow),
    }
}

async fn read_to_end(body: Body) -> Result<Bytes, Refusal> {
    let mut pieces = body.into_data_stream();
    let mut kept = Vec::new();
    let mut length = 0_usize;
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else { return Err(Refusal::BrokenOff) };
        length = length.saturating_add(piece.len());
        if length <= LARGEST_BODY {
            kept.extend_from_slice(&piece);
        } else if length > LARGEST_DISCARD {
            return Err(Refusal::TooLarge);
        }
    }
    if length > LARGEST_BODY { Err(Refusal::TooLarge) } else { Ok(Bytes::from(kept)) }
}
