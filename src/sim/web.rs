//! Requests and answers as values, and the platform's error body (`ErrorBody`, GENESYS.md 2.5).

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// One HTTP request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST` and so on, in capitals.
    pub method: String,
    /// The path, as it was sent.
    pub path: String,
    /// What stood after the question mark.
    pub query: String,
    /// Names in any case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// What a client asks for its token with (client credentials, GENESYS.md 1).
    pub fn for_token(client_id: &str, client_secret: &str) -> Self {
        let basic = BASE64_STANDARD.encode(format!("{client_id}:{client_secret}"));
        Self {
            method: "POST".to_owned(),
            path: "/oauth/token".to_owned(),
            query: String::new(),
            headers: vec![
                ("Authorization".to_owned(), format!("Basic {basic}")),
                ("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
            ],
            body: b"grant_type=client_credentials".to_vec(),
        }
    }

    /// The parts of the path, decoded.
    pub fn segments(&self) -> Vec<String> {
        self.path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect()
    }

    /// A header's value, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// A query parameter, decoded; its name in any case.
    pub fn parameter(&self, name: &str) -> Option<String> {
        form_value(&self.query, name)
    }

    /// A query parameter that is a number.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.parameter(name)?.parse().ok()
    }

    /// The body as JSON, or the platform's refusal of it.
    pub fn json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.body)
            .map_err(|_| Refusal::malformed("The request body is not valid JSON."))
    }
}

/// A value of a form or a query.
pub fn form_value(form: &str, name: &str) -> Option<String> {
    form.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        key.eq_ignore_ascii_case(name)
            .then(|| percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
    })
}

/// One HTTP answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body; empty where there is none.
    pub body: String,
    /// How long it is kept back: the latency that a fault adds.
    pub delay: Duration,
}

impl HttpResponse {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body: body.to_string(),
            delay: Duration::ZERO,
        }
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A header's value, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where there is none.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// Why a request is not served; becomes an `ErrorBody`.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The code that clients compare.
    pub code: &'static str,
    /// The text for people.
    pub message: String,
    /// `messageParams`.
    pub params: Vec<(&'static str, String)>,
    /// `limit {key, namespace, value}`, with a 429.
    pub limit: Option<(&'static str, u32)>,
    /// `Retry-After`, as written.
    pub retry_after: Option<String>,
}

impl Refusal {
    /// A refusal with a status, a code and a text.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), params: Vec::new(), limit: None, retry_after: None }
    }

    /// 400 `bad.request`.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(400, "bad.request", message)
    }

    /// 404 `not.found`.
    pub fn not_found() -> Self {
        Self::new(404, "not.found", "The requested resource was not found.")
    }

    /// 400 `invalid.value`, with the platform's own sentence (SW18, GENESYS.md 2.5).
    pub fn invalid_value(value: &str, field: &str, allowed: &str) -> Self {
        Self::new(
            400,
            "invalid.value",
            format!("Value [{value}] is not valid for field type [{field}]. Allowable values are: {allowed}"),
        )
    }

    /// 403 `missing.any.permissions`.
    pub fn missing(permission: &str) -> Self {
        let mut refusal = Self::new(
            403,
            "missing.any.permissions",
            format!(
                "Unable to perform the requested action. You must have at least one of the following permissions \
                 assigned: [{permission}]"
            ),
        );
        refusal.params.push(("permissions", format!("[{permission}]")));
        refusal
    }

    /// 400 `not.a.user`: what client credentials get where a user is needed (GENESYS.md 2.1).
    pub fn not_a_user() -> Self {
        Self::new(
            400,
            "not.a.user",
            "This request requires a user context. Client credentials cannot be used for requests to this resource.",
        )
    }

    /// 429, with the seconds to wait; the header only where `retry_after` is given.
    pub fn too_many(seconds: u64, allowed: u32, retry_after: Option<String>) -> Self {
        let mut refusal = Self::new(
            429,
            "too.many.requests.retry.after",
            format!("Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds"),
        );
        refusal.limit = Some(("client.credentials.token.rate.per.minute", allowed));
        refusal.retry_after = retry_after;
        refusal
    }

    /// A failure of the platform's own.
    pub fn broken(status: u16) -> Self {
        let (code, text) = match status {
            503 => (
                "service.unavailable",
                "Service Unavailable - The server is currently unavailable (because it is overloaded or down for \
                 maintenance).",
            ),
            504 => ("request.timeout", "The request timed out."),
            _ => ("internal.server.error", "The server encountered an unexpected condition."),
        };
        Self::new(status, code, text)
    }

    /// The answer, with the correlation id that its header has too (GENESYS.md 2.5).
    pub fn answer(&self, correlation: &str) -> HttpResponse {
        let mut body = Map::new();
        body.insert("message".to_owned(), json!(self.message));
        body.insert("code".to_owned(), json!(self.code));
        body.insert("status".to_owned(), json!(self.status));
        if !self.params.is_empty() {
            let params: Map<String, Value> =
                self.params.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
            body.insert("messageParams".to_owned(), Value::Object(params));
        }
        body.insert("contextId".to_owned(), json!(correlation));
        body.insert("details".to_owned(), json!([]));
        body.insert("errors".to_owned(), json!([]));
        if let Some((key, value)) = self.limit {
            body.insert("limit".to_owned(), json!({"key": key, "namespace": "platform.api", "value": value}));
        }
        let mut answer = HttpResponse::json(self.status, &Value::Object(body));
        if let Some(told) = &self.retry_after {
            answer.headers.push(("Retry-After".to_owned(), told.clone()));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_parameter_is_decoded_whatever_its_case() {
        let request =
            HttpRequest { query: "pageSize=25&name=Card+S%2A".to_owned(), ..HttpRequest::default() };
        assert_eq!(request.parameter("Name").as_deref(), Some("Card S*"));
        assert_eq!(request.number("pagesize"), Some(25));
        assert_eq!(request.parameter("absent"), None);
    }

    #[test]
    fn a_refusal_carries_its_correlation_id_and_its_limit() {
        let answer = Refusal::too_many(7, 300, Some("7".to_owned())).answer("c-1");
        assert_eq!(answer.header("retry-after"), Some("7"));
        assert_eq!(answer.value()["contextId"], "c-1");
        assert_eq!(answer.value()["limit"]["value"], 300);
        assert_eq!(answer.value()["status"], 429);
    }
}
