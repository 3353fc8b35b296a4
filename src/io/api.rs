//! Sends one request, once, and brings back the answer as it came: whether it is sent again is for the warden to
//! judge, which counts and journals it. A 401 leads to one renewal of the token, shared by all.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::io::token::{Tokens, cause};
use crate::wire::reply::{ANSWER_WAIT, RateHeaders, RawAnswer, Transport};
use crate::wire::request::Request;

/// No body is read beyond this; the platform's own bound for requests is half a megabyte.
pub const LARGEST_BODY: usize = 8 * 1024 * 1024;
/// A connection that takes longer counts as none.
pub const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// A connection that nothing passed on for longer is not used again: where the network has forgotten it, as it has the
/// socket that is replaced after some silence, a request on it would be in vain for [`ANSWER_WAIT`].
pub const IDLE_AT_MOST: Duration = Duration::from_secs(30);

/// Who waits longer for a token is told that there is none: by then something else may be wanted.
pub const TOKEN_WAIT: Duration = Duration::from_secs(5);

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
    token_wait: Duration,
}

impl Api {
    /// Requests go to `api_url` (no slash at its end).
    pub fn new(http: reqwest::Client, api_url: String, tokens: Arc<Tokens>) -> Self {
        Self { http, api_url, tokens, token_wait: TOKEN_WAIT }
    }

    /// The token that requests are sent with.
    pub fn tokens(&self) -> &Arc<Tokens> {
        &self.tokens
    }

    /// Sends a request.
    pub async fn send(&self, request: &Request) -> RawAnswer {
        let token = match self.token().await {
            Ok(token) => token,
            Err(why) => return RawAnswer::Failed(Transport::Token(why)),
        };
        let answer = self.send_with(request, &token).await;
        if matches!(answer, RawAnswer::Answered { status: 401, .. }) {
            let tokens = Arc::clone(&self.tokens);
            tokio::spawn(async move {
                if let Err(error) = tokens.get(Some(&token)).await {
                    warn!("the access token was refused, and there is no other: {error}");
                }
            });
        }
        answer
    }

    async fn token(&self) -> Result<Arc<str>, String> {
        let tokens = Arc::clone(&self.tokens);
        // In a task of its own the fetch goes on for the next request, where this one waits no longer.
        let fetch = tokio::spawn(async move { tokens.get(None).await });
        match tokio::time::timeout(self.token_wait, fetch).await {
            Ok(Ok(token)) => token.map_err(|error| error.to_string()),
            Ok(Err(broken)) => Err(broken.to_string()),
            Err(_) => Err(format!("the login host did not answer within {} s", self.token_wait.as_secs())),
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::{get, post};
    use tokio::sync::Notify;

    use super::*;
    use crate::io::clock::Clock;
    use crate::io::token::Secret;

    struct Platform {
        api: Api,
        /// Lets the login host answer once.
        login: Arc<Notify>,
        requests: Arc<AtomicUsize>,
    }

    /// A platform that takes the second token only.
    async fn platform(token_wait: Duration) -> Platform {
        let (login, requests, logins) =
            (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        let (told, counted, logins) = (Arc::clone(&login), Arc::clone(&requests), Arc::new(logins));
        let log_in = move || {
            let (told, logins) = (Arc::clone(&told), Arc::clone(&logins));
            async move {
                told.notified().await;
                let number = logins.fetch_add(1, Ordering::SeqCst) + 1;
                format!(r#"{{"access_token":"t{number}","expires_in":300}}"#)
            }
        };
        let ask = move |headers: HeaderMap| {
            counted.fetch_add(1, Ordering::SeqCst);
            let good = headers.get("authorization").is_some_and(|value| value == "Bearer t2");
            async move { if good { StatusCode::OK } else { StatusCode::UNAUTHORIZED } }
        };
        let router =
            axum::Router::new().route("/oauth/token", post(log_in)).route("/api/v2/tokens/me", get(ask));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let http = http_client().expect("a client");
        let tokens = Tokens::new(http.clone(), url.clone(), "id".into(), Secret::new("s"), Clock::start());
        let api = Api { token_wait, ..Api::new(http, url, Arc::new(tokens)) };
        Platform { api, login, requests }
    }

    fn status(answer: &RawAnswer) -> Option<u16> {
        match answer {
            RawAnswer::Answered { status, .. } => Some(*status),
            RawAnswer::Failed(_) => None,
        }
    }

    #[tokio::test]
    async fn a_refused_token_is_renewed_and_the_request_is_not_sent_again_unasked() {
        let Platform { api, login, requests } = platform(TOKEN_WAIT).await;
        let mut renewals = api.tokens().renewals();
        login.notify_one();
        assert_eq!(status(&api.send(&Request::TokenInfo).await), Some(401));
        assert_eq!(requests.load(Ordering::SeqCst), 1);
        renewals.mark_unchanged();
        login.notify_one();
        renewals.changed().await.expect("it is renewed");
        assert_eq!(status(&api.send(&Request::TokenInfo).await), Some(200));
    }

    #[tokio::test]
    async fn no_request_waits_long_for_a_token_and_the_fetch_goes_on_for_the_next() {
        let Platform { api, login, requests } = platform(Duration::from_millis(20)).await;
        let answer = api.send(&Request::TokenInfo).await;
        assert!(matches!(answer, RawAnswer::Failed(Transport::Token(_))), "{answer:?}");
        let mut renewals = api.tokens().renewals();
        login.notify_one();
        renewals.changed().await.expect("the fetch went on");
        let api = Api { token_wait: TOKEN_WAIT, ..api };
        assert_eq!(status(&api.send(&Request::TokenInfo).await), Some(401));
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }
}
