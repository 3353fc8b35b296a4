//! What the login host answers: a token and for how long it is good, or why there is none (GENESYS.md 1).

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::{BodyError, parse};

/// An access token. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// The token, as it goes into a header.
    pub token: String,
    /// For how long it is good, as the platform says.
    pub lifetime: Duration,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// A token that is granted.
///
/// # Errors
/// Where the body has none, or one that no header can carry.
pub fn grant(body: &str) -> Result<Grant, BodyError> {
    #[derive(Deserialize)]
    #[serde(try_from = "String")]
    struct Token(String);
    impl TryFrom<String> for Token {
        type Error = &'static str;
        fn try_from(text: String) -> Result<Self, Self::Error> {
            let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
            if fits { Ok(Self(text)) } else { Err("the token is no text of visible characters") }
        }
    }
    #[derive(Deserialize)]
    struct Written {
        access_token: Token,
        expires_in: u64,
    }
    let Written { access_token: Token(token), expires_in } = parse("an access token", body)?;
    Ok(Grant { token, lifetime: Duration::from_secs(expires_in) })
}

/// Why none is granted, in the platform's words; empty where it has none.
pub fn denial(body: &str) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Written {
        error: Option<String>,
        description: Option<String>,
        error_description: Option<String>,
    }
    let written: Written = serde_json::from_str(body).unwrap_or_default();
    let said = [written.error_description, written.description, written.error];
    said.into_iter().flatten().find(|text| !text.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_a_token_that_a_header_can_carry_and_does_not_print() {
        let read = grant(r#"{"access_token":"abc","token_type":"bearer","expires_in":86399,"error":""}"#);
        let read = read.expect("a grant");
        assert_eq!((read.token.as_str(), read.lifetime), ("abc", Duration::from_secs(86_399)));
        assert!(!format!("{read:?}").contains("abc"));
        for body in [
            "",
            "{}",
            r#"{"access_token":"","expires_in":1}"#,
            r#"{"access_token":"a\nb","expires_in":1}"#,
            r#"{"access_token":"é","expires_in":1}"#,
            r#"{"access_token":"a","expires_in":-1}"#,
        ] {
            let error = grant(body).expect_err(body).to_string();
            assert!(!error.contains("a\nb"), "{error}");
        }
    }

    #[test]
    fn a_denial_says_the_most_that_the_platform_says() {
        for (body, said) in [
            (
                r#"{"error":"invalid_client","description":"client not found: x","error_description":""}"#,
                "client not found: x",
            ),
            (r#"{"error":"invalid_client","description":null}"#, "invalid_client"),
            ("<html>", ""),
        ] {
            assert_eq!(denial(body), said);
        }
    }
}
