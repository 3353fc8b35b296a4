//! Sends one request and brings back the answer as it came. A 401 leads to one renewal of the token and one
//! more try; everything else is for the warden to judge.

use std::sync::Arc;
use std::time::Duration;

use crate::io::token::{Tokens, cause};
use crate::wire::reply::{RateHeaders, RawAnswer, Transport};
use crate::wire::request::Request;

/// No body is read beyond this; the platform's own bound for requests is half a megabyte.
pub const LARGEST_BODY: usize = 8 * 1024 * 1024;
/// An answer that takes longer counts as none: the request may have been carried out.
pub const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// A connection that takes longer counts as none.
pub const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// A connection that nothing passed on for longer is not used again: where the network has forgotten it, as it has the
/// socket that is replaced after some silence, a request on it would be in vain for [`ANSWER_WAIT`].
pub const IDLE_AT_MOST: Duration = Duration::from_secs(30);

/// Why no client could be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up")]
pub struct SetupError(#[from] reqwest::Error);

/// The HTTP client for login and requests.
///
/// # Errors
/// Where TLS cannot be set up.
pub fn http_client() -> Result<reqwest::Client, SetupError> {
    let agent = concat!("recwarden/", env!("CARGO_PKG_VERSION"));
    Ok(reqwest::Client::builder()
        .user_agent(agent)
        .connect_timeout(CONNECT_WAIT)
        .timeout(ANSWER_WAIT)
        .pool_idle_timeout(IDLE_AT_MOST)
        .redirect(reqwest::redirect::Policy::none())
        .build()?)
}

/// The platform's REST side.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    api_url: String,
    tokens: Arc<Tokens>,
}

impl Api {
    /// Requests go to `api_url` (no slash at its end).
    pub fn new(http: reqwest::Client, api_url: String, tokens: Arc<Tokens>) -> Self {
        Self { http, api_url, tokens }
    }

    /// The token that requests are sent with.
    pub fn tokens(&self) -> &Arc<Tokens> {
        &self.tokens
    }

    /// Sends a request.
    pub async fn send(&self, request: &Request) -> RawAnswer {
        let mut refused: Option<Arc<str>> = None;
        loop {
            let token = match self.tokens.get(refused.as_deref()).await {
                Ok(token) => token,
                Err(error) => return RawAnswer::Failed(Transport::Token(error.to_string())),
            };
            match self.send_with(request, &token).await {
                RawAnswer::Answered { status: 401, .. } if refused.is_none() => refused = Some(token),
                answer @ (RawAnswer::Answered { .. } | RawAnswer::Failed(_)) => return answer,
            }
        }
    }

    async fn send_with(&self, request: &Request, token: &str) -> RawAnswer {
        let method = reqwest::Method::from_bytes(request.method().as_bytes()).unwrap_or_default();
        let url = format!("{}{}", self.api_url, request.path());
        let mut sending = self.http.request(method, url).bearer_auth(token);
        if let Some(body) = request.body() {
            sending = sending.header("Content-Type", "application/json").body(body);
        }
        match sending.send().await {
            Ok(answer) => read(answer).await,
            Err(error) => RawAnswer::Failed(failed(error)),
        }
    }
}

async fn read(mut answer: reqwest::Response) -> RawAnswer {
    let status = answer.status().as_u16();
    let text =
        |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let number = |name: &str| text(name).and_then(|value| value.trim().parse().ok());
    let retry_after = text("retry-after");
    let rate = RateHeaders {
        count: number("inin-ratelimit-count"),
        allowed: number("inin-ratelimit-allowed"),
        reset: number("inin-ratelimit-reset"),
    };
    let correlation = text("inin-correlation-id").unwrap_or_default();
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= LARGEST_BODY => body.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                let why = format!("the body has more than {LARGEST_BODY} bytes");
                return RawAnswer::Failed(Transport::Broken(why));
            }
            Ok(None) => break,
            Err(error) => return RawAnswer::Failed(failed(error)),
        }
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    RawAnswer::Answered { status, retry_after, rate, correlation, body }
}

fn failed(error: reqwest::Error) -> Transport {
    let (timeout, connect) = (error.is_timeout(), error.is_connect());
    let why = cause(&error.without_url());
    match (connect, timeout) {
        (true, _) => Transport::Connect(why),
        (false, true) => Transport::Timeout,
        (false, false) => Transport::Broken(why),
    }
}
