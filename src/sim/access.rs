//! Who may ask, and how often: the OAuth client, its tokens, and the rate limit of each (GENESYS.md 1 and 6).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::time::Mono;
use crate::sim::random::Chance;
use crate::sim::web::{HttpRequest, Refusal};

/// The window of the rate limit.
const MINUTE: Duration = Duration::from_secs(60);

/// The code of a refusal for a token that has ended.
pub const EXPIRED: &str = "credentials.expired";

/// Tokens kept at most; the oldest goes first. A client that logs in for each request is a fault of its own.
const TOKENS_KEPT: usize = 1_000;

/// The client that may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthClient {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// What it may do.
    pub permissions: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Token {
    issued: Mono,
    expires: Mono,
    window_from: Mono,
    used: u32,
}

/// How a token stands with its limit; goes into the `inin-ratelimit-*` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in this window, this one included.
    pub used: u32,
    /// Requests allowed in one window.
    pub allowed: u32,
    /// Seconds until the window ends, rounded up.
    pub reset: u64,
}

impl Rate {
    /// Whether this request is one too many.
    pub fn is_over(&self) -> bool {
        self.used > self.allowed
    }
}

/// Who may ask, and how often.
#[derive(Clone, Debug)]
pub struct Access {
    /// The client.
    pub client: OauthClient,
    lifetime: Duration,
    allowed: u32,
    tokens: BTreeMap<String, Token>,
}

impl Access {
    /// For this client, with tokens of this lifetime and so many requests a minute each.
    pub fn new(client: OauthClient, lifetime: Duration, allowed: u32) -> Self {
        Self { client, lifetime, allowed, tokens: BTreeMap::new() }
    }

    /// How long a token is good for.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A new token.
    pub fn issue(&mut self, chance: &mut Chance, now: Mono) -> String {
        if self.tokens.len() >= TOKENS_KEPT
            && let Some(oldest) =
                self.tokens.iter().min_by_key(|(_, token)| token.issued).map(|(text, _)| text.clone())
        {
            self.tokens.remove(&oldest);
        }
        let text = chance.word(86);
        let token = Token { issued: now, expires: now + self.lifetime, window_from: now, used: 0 };
        self.tokens.insert(text.clone(), token);
        text
    }

    /// Whether any token was issued that is not revoked.
    pub fn has_issued(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// The token that a request shows, if it is good.
    pub fn authenticate(&self, request: &HttpRequest, now: Mono) -> Result<String, Refusal> {
        let shown = request
            .header("authorization")
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| !token.is_empty());
        let Some(shown) = shown else {
            return Err(Refusal::new(
                401,
                "authentication.required",
                "No authentication bearer token specified in authorization header.",
            ));
        };
        match self.tokens.get(shown) {
            None => Err(Refusal::new(401, "bad.credentials", "Invalid login credentials.")),
            Some(token) if token.expires <= now => {
                Err(Refusal::new(401, EXPIRED, "The supplied credentials are expired and cannot be used."))
            }
            Some(_) => Ok(shown.to_owned()),
        }
    }

    /// When a token ends; none where it is not known.
    pub fn expiry(&self, token: &str) -> Option<Mono> {
        self.tokens.get(token).map(|token| token.expires)
    }

    /// Counts one request of a token.
    pub fn count(&mut self, token: &str, now: Mono) -> Rate {
        let allowed = self.allowed;
        let Some(token) = self.tokens.get_mut(token) else {
            return Rate { used: 0, allowed, reset: MINUTE.as_secs() };
        };
        if now.since(token.window_from) >= MINUTE {
            token.window_from = now;
            token.used = 0;
        }
        token.used = token.used.saturating_add(1);
        let left = MINUTE.saturating_sub(now.since(token.window_from));
        Rate { used: token.used, allowed, reset: left.as_millis().div_ceil(1000).try_into().unwrap_or(60) }
    }

    /// Whether the client has a permission.
    pub fn may(&self, permission: &str) -> bool {
        self.client.permissions.contains(permission)
    }

    /// Refuses where the client lacks a permission.
    pub fn demand(&self, permission: &str) -> Result<(), Refusal> {
        if self.may(permission) { Ok(()) } else { Err(Refusal::missing(permission)) }
    }

    /// Makes one token invalid.
    pub fn revoke(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    /// Makes every token invalid.
    pub fn revoke_all(&mut self) {
        self.tokens.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        let client = OauthClient { id: "id".into(), secret: "secret".into(), permissions: BTreeSet::new() };
        Access::new(client, Duration::from_secs(300), 3)
    }

    fn bearer(token: &str) -> HttpRequest {
        HttpRequest {
            headers: vec![("Authorization".into(), format!("Bearer {token}"))],
            ..HttpRequest::default()
        }
    }

    #[test]
    fn a_token_is_good_until_its_lifetime_is_over() {
        let mut access = access();
        let token = access.issue(&mut Chance::new(1), Mono::default());
        let later = Mono::default() + Duration::from_secs(300);
        assert_eq!(access.authenticate(&bearer(&token), Mono::default()), Ok(token.clone()));
        let refused = |request: &HttpRequest, at| access.authenticate(request, at).unwrap_err().code;
        assert_eq!(refused(&bearer(&token), later), "credentials.expired");
        assert_eq!(refused(&bearer("other"), later), "bad.credentials");
        assert_eq!(refused(&HttpRequest::default(), later), "authentication.required");
    }

    #[test]
    fn the_rate_is_counted_per_token_and_minute() {
        let mut access = access();
        let token = access.issue(&mut Chance::new(1), Mono::default());
        let other = access.issue(&mut Chance::new(2), Mono::default());
        let at = Mono::default() + Duration::from_millis(10_500);
        let rates: Vec<Rate> = (0..4).map(|_| access.count(&token, at)).collect();
        assert_eq!(rates[3], Rate { used: 4, allowed: 3, reset: 50 });
        assert!(rates[3].is_over() && !rates[2].is_over());
        assert!(!access.count(&other, at).is_over());
        assert_eq!(access.count(&token, at + Duration::from_secs(50)).used, 1);
    }
}
