//! The access token: client credentials, renewed in good time before it expires, and once for all who were
//! refused (GENESYS.md 1). Each new token is told, since channels belong to the token that made them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tracing::warn;

use crate::io::clock::Clock;
use crate::model::time::Mono;
use crate::warden::session::token_renewed_after;
use crate::wire::reply::{self, Grant};

/// A renewal that failed is tried again after this; a request that needs a token tries at once.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// A token that is said to end sooner is kept for so long: the platform grants five minutes at least (GENESYS.md 1),
/// and a wrong word must not lead to one renewal after another.
const SHORTEST_LIFE: Duration = Duration::from_secs(10);
/// The platform grants none for longer.
const LONGEST_LIFE: Duration = Duration::from_secs(172_800);
/// The clocks of a host that slept are looked at again after this.
const LONGEST_SLEEP: Duration = Duration::from_secs(600);

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for those who send or compare it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The platform does not know this client id and secret.
    #[error(
        "{host} refuses the client id {client_id} or its secret ({said}); compare both with the OAuth client in \
         Admin > Integrations > OAuth, and the region with that of the organisation"
    )]
    Refused {
        /// Which host.
        host: String,
        /// Whom it refuses.
        client_id: String,
        /// What it said; it may tell which of the two is wrong.
        said: String,
    },
    /// It could not be asked.
    #[error("the login host {host} cannot be reached: {why}")]
    Unreachable {
        /// Which host.
        host: String,
        /// Why.
        why: String,
    },
    /// It answered something else.
    #[error("the login host answers {status}: {message}")]
    Unexpected {
        /// HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
}

struct Granted {
    token: Arc<str>,
    renew_at: Mono,
    ends_at: Mono,
}

#[derive(Default)]
struct Kept {
    granted: Option<Granted>,
    /// Why the last fetch failed, and when.
    failed: Option<(TokenError, Mono)>,
}

/// The token of one OAuth client.
pub struct Tokens {
    http: reqwest::Client,
    login_url: String,
    client_id: String,
    client_secret: Secret,
    clock: Clock,
    // Held while a token is fetched, so that many who need one lead to one fetch.
    kept: Mutex<Kept>,
    // How many were fetched.
    fetched: watch::Sender<u64>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("login_url", &self.login_url).finish_non_exhaustive()
    }
}

impl Tokens {
    /// No token yet.
    pub fn new(
        http: reqwest::Client,
        login_url: String,
        client_id: String,
        client_secret: Secret,
        clock: Clock,
    ) -> Self {
        Self {
            http,
            login_url,
            client_id,
            client_secret,
            clock,
            kept: Mutex::new(Kept::default()),
            fetched: watch::Sender::new(0),
        }
    }

    /// A token that is good for now. `refused` is one that just was not.
    ///
    /// # Errors
    /// Where none can be had, told apart by what to do about it.
    pub async fn get(&self, refused: Option<&str>) -> Result<Arc<str>, TokenError> {
        self.take(|granted, now| refused != Some(&*granted.token) && now < granted.ends_at).await
    }

    /// The token that is kept where it will do, or else a new one.
    async fn take(&self, will_do: impl Fn(&Granted, Mono) -> bool) -> Result<Arc<str>, TokenError> {
        let asked = self.clock.now().mono;
        let mut kept = self.kept.lock().await;
        if let Some(granted) = kept.granted.as_ref().filter(|one| will_do(one, self.clock.now().mono)) {
            return Ok(Arc::clone(&granted.token));
        }
        // A fetch that failed while this one waited for it answers it too: asking again one after the other, all
        // would wait for the last.
        if let Some((error, _)) = kept.failed.as_ref().filter(|(_, at)| *at >= asked) {
            return Err(error.clone());
        }
        let answered = self.fetch().await;
        let now = self.clock.now().mono;
        match answered {
            Ok(answered) => {
                let lifetime = answered.lifetime.clamp(SHORTEST_LIFE, LONGEST_LIFE);
                let token: Arc<str> = answered.token.into();
                let (renew_at, ends_at) = (now + token_renewed_after(lifetime), now + lifetime);
                *kept = Kept {
                    granted: Some(Granted { token: Arc::clone(&token), renew_at, ends_at }),
                    failed: None,
                };
                self.fetched.send_modify(|count| *count += 1);
                Ok(token)
            }
            Err(error) => {
                kept.failed = Some((error.clone(), now));
                Err(error)
            }
        }
    }

    /// Changes with each token that is fetched.
    pub fn renewals(&self) -> watch::Receiver<u64> {
        self.fetched.subscribe()
    }

    /// Renews the token in time, whether a request needs it or not; never ends.
    pub async fn keep_fresh(&self) {
        let mut renewals = self.renewals();
        loop {
            let renew_at = self.kept.lock().await.granted.as_ref().map(|granted| granted.renew_at);
            let now = self.clock.now().mono;
            match renew_at {
                // The first token is fetched by the first request. The sender lives as long as this does.
                None => drop(renewals.changed().await),
                Some(at) if at > now => tokio::time::sleep(at.since(now).min(LONGEST_SLEEP)).await,
                Some(_) => {
                    if let Err(error) = self.take(|granted, now| now < granted.renew_at).await {
                        warn!("the access token could not be renewed, tried again: {error}");
                        tokio::time::sleep(RETRY_AFTER).await;
                    }
                }
            }
        }
    }

    async fn fetch(&self) -> Result<Grant, TokenError> {
        let unreachable = |error: reqwest::Error| TokenError::Unreachable {
            host: self.login_url.clone(),
            why: cause(&error.without_url()),
        };
        let answer = self
            .http
            .post(format!("{}/oauth/token", self.login_url))
            .basic_auth(&self.client_id, Some(self.client_secret.expose()))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials")
            .send()
            .await
            .map_err(unreachable)?;
        let status = answer.status().as_u16();
        let body = answer.text().await.map_err(unreachable)?;
        if status == 200 {
            return reply::grant(&body)
                .map_err(|_| TokenError::Unexpected { status, message: "no token in the answer".into() });
        }
        let message = reply::denial(&body);
        Err(match status {
            400 | 401 | 403 => TokenError::Refused {
                host: self.login_url.clone(),
                client_id: self.client_id.clone(),
                said: format!("{status} {message}").trim_end().to_owned(),
            },
            _ => TokenError::Unexpected { status, message },
        })
    }
}

/// The innermost cause of an error: why no connection came to be, without the layers that report it.
pub fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::StatusCode;
    use tokio::sync::Notify;

    use super::*;

    struct Login {
        tokens: Tokens,
        fetches: Arc<AtomicUsize>,
        answer: Arc<Notify>,
    }

    /// A login host that answers each request once it is told to.
    async fn login(status: StatusCode, expires_in: u64) -> Login {
        let (fetches, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (counted, told) = (Arc::clone(&fetches), Arc::clone(&answer));
        let serve = move || {
            let (counted, told) = (Arc::clone(&counted), Arc::clone(&told));
            async move {
                let number = counted.fetch_add(1, Ordering::SeqCst);
                told.notified().await;
                (status, format!(r#"{{"access_token":"t{number}","expires_in":{expires_in}}}"#))
            }
        };
        let router = axum::Router::new().route("/oauth/token", axum::routing::post(serve));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let tokens = Tokens::new(reqwest::Client::new(), url, "id".into(), Secret::new("s"), Clock::start());
        Login { tokens, fetches, answer }
    }

    #[tokio::test]
    async fn all_who_wait_for_one_fetch_share_its_failure() {
        let Login { tokens, fetches, answer } = login(StatusCode::SERVICE_UNAVAILABLE, 300).await;
        let get = || async { tokens.get(None).await.err() };
        let (first, second, third, ()) = tokio::join!(get(), get(), get(), async { answer.notify_one() });
        assert!(first.is_some() && first == second && second == third, "{first:?}");
        assert_eq!(fetches.load(Ordering::SeqCst), 1);
        answer.notify_one();
        assert!(tokens.get(None).await.is_err());
        assert_eq!(fetches.load(Ordering::SeqCst), 2, "who asks later is answered anew");
    }

    #[tokio::test]
    async fn a_token_that_is_said_to_end_at_once_is_not_fetched_over_and_over() {
        let Login { tokens, fetches, answer } = login(StatusCode::OK, 0).await;
        answer.notify_one();
        let first = tokens.get(None).await.expect("a token");
        assert_eq!(tokens.get(None).await.as_ref(), Ok(&first));
        assert_eq!(fetches.load(Ordering::SeqCst), 1);
        answer.notify_one();
        assert_ne!(tokens.get(Some(&first)).await, Ok(first), "a refused one is replaced all the same");
    }
}
