//! The webhook's secret, and whether a request proves that its sender knows it: as a bearer token, or
//! by a signature as the Standard Webhooks specification has it (HMAC-SHA256 over `id.timestamp.body`).

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::model::time::Wall;

/// How far a signature's timestamp may be from now, either way (Standard Webhooks leaves the span to
/// the receiver; its reference libraries take five minutes).
pub const TIMELY_WITHIN: Duration = Duration::from_secs(5 * 60);

/// How a secret begins whose key is written in base64.
const BASE64_PREFIX: &str = "whsec_";

/// Why a text cannot be the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SecretError {
    /// There is nothing in it.
    #[error("the webhook secret is empty; write at least 24 random characters into the file")]
    Empty,
    /// It begins like base64 and is not.
    #[error("the webhook secret begins with `whsec_`, but what follows is not base64")]
    NotBase64,
}

/// The secret; never shown.
#[derive(Clone)]
pub struct Secret {
    token: String,
    key: Vec<u8>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// Takes the secret as written in its file; blanks and line ends around it do not count.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        let token = text.trim().to_owned();
        let key = match token.strip_prefix(BASE64_PREFIX) {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| SecretError::NotBase64)?,
            None => token.clone().into_bytes(),
        };
        if key.is_empty() { Err(SecretError::Empty) } else { Ok(Self { token, key }) }
    }

    /// Whether the headers carry it as `Authorization: Bearer`.
    pub fn is_borne_by(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return false };
        let mut parts = value.as_bytes().splitn(2, |byte| *byte == b' ');
        match (parts.next(), parts.next()) {
            (Some(scheme), Some(token)) if scheme.eq_ignore_ascii_case(b"bearer") => {
                // Digests have one length, so that not even the secret's length shows in the time taken.
                let (given, known) = (Sha256::digest(token.trim_ascii()), Sha256::digest(&self.token));
                bool::from(given.as_slice().ct_eq(known.as_slice()))
            }
            (Some(_) | None, Some(_) | None) => false,
        }
    }

    /// Whether the signature was made with it over this body.
    pub fn signed(&self, signature: &Signature, body: &[u8]) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return false };
        for part in [signature.id.as_bytes(), b".", signature.timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        let expected = mac.finalize().into_bytes();
        let of_version_1 = signature.signatures.split(' ').filter_map(|one| one.strip_prefix("v1,"));
        of_version_1
            .filter_map(|encoded| STANDARD.decode(encoded).ok())
            .any(|given| bool::from(given.as_slice().ct_eq(expected.as_slice())))
    }
}

/// The three headers of a signed webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    id: String,
    timestamp: String,
    signatures: String,
}

impl Signature {
    /// The headers, where all three are there and are text.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        Some(Self {
            id: text("webhook-id")?,
            timestamp: text("webhook-timestamp")?,
            signatures: text("webhook-signature")?,
        })
    }

    /// Whether it was made within [`TIMELY_WITHIN`] of now; a timestamp is whole seconds since the epoch.
    pub fn is_timely(&self, now: Wall) -> bool {
        let Ok(seconds) = self.timestamp.parse::<i64>() else { return false };
        let made = Wall::from_micros(seconds.saturating_mul(1_000_000));
        made.since(now) <= TIMELY_WITHIN && now.since(made) <= TIMELY_WITHIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(id: &str, timestamp: &str, signatures: &str) -> Signature {
        Signature { id: id.to_owned(), timestamp: timestamp.to_owned(), signatures: signatures.to_owned() }
    }

    #[test]
    fn the_specifications_own_example_verifies() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").expect("a secret");
        let signed = signature(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            "v1a,AAAA v1,bm9uZQ== v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        );
        assert!(secret.signed(&signed, br#"{"test": 2432232314}"#));
        assert!(!secret.signed(&signed, br#"{"test": 2432232315}"#));
    }

    #[test]
    fn a_secret_that_would_let_everyone_in_is_none() {
        assert_eq!(Secret::new(" \n").err(), Some(SecretError::Empty));
        assert_eq!(Secret::new("whsec_").err(), Some(SecretError::Empty));
        assert_eq!(Secret::new("whsec_not base64").err(), Some(SecretError::NotBase64));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hunter2-hunter2").expect("a secret");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn a_timestamp_is_timely_for_five_minutes_either_way() {
        let now = Wall::from_micros(1_000_000_000);
        for (timestamp, timely) in [
            ("1000", true),
            ("700", true),
            ("699", false),
            ("1300", true),
            ("1301", false),
            ("", false),
            ("1000.5", false),
            ("9223372036854775807", false),
            ("-9223372036854775808", false),
        ] {
            assert_eq!(signature("id", timestamp, "").is_timely(now), timely, "{timestamp}");
        }
    }
}
