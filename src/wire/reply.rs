//! What comes back: status, headers and body to an answer, or to a fault named by what to do next
//! (the table of PRODUCT.md 7). Sources: GENESYS.md 2.5, 4.1 and 6.

mod activity;
mod token;
mod topics;

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::model::ids::{ChannelId, QueueId, UserId};
use crate::model::time::Wall;
use crate::wire::topic::Topic;
pub use activity::activity;
pub use token::{Grant, denial, grant};
pub use topics::{OfferedTopic, Who, offered_topics};

/// An answer that takes longer counts as none: the request may have been carried out.
pub const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// An answer as it came, or why none did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawAnswer {
    /// The platform answered.
    Answered {
        /// HTTP status.
        status: u16,
        /// `Retry-After`, as written.
        retry_after: Option<String>,
        /// `inin-ratelimit-*`.
        rate: RateHeaders,
        /// `ININ-Correlation-Id`; empty where absent.
        correlation: String,
        /// The body, as text.
        body: String,
    },
    /// It did not.
    Failed(Transport),
}

/// The `inin-ratelimit-*` headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateHeaders {
    /// Requests counted in the present window.
    pub count: Option<u64>,
    /// Requests allowed in it.
    pub allowed: Option<u64>,
    /// Seconds until it is over.
    pub reset: Option<u64>,
}

/// Why no answer came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Transport {
    /// No connection; the request did not go out.
    #[error("no connection: {0}")]
    Connect(String),
    /// No answer in time; the request may have been carried out.
    #[error("no answer in time")]
    Timeout,
    /// No token could be had.
    #[error("no access token: {0}")]
    Token(String),
    /// The answer broke off.
    #[error("the answer broke off: {0}")]
    Broken(String),
    /// It was never sent: what explains it could not be recorded for so long.
    #[error("not sent: the audit log could not be written for {} s", .0.as_secs().max(1))]
    Unsent(Duration),
}

/// Why an attempt failed, named by what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Send nothing before the wait is over.
    #[error("rate limited for {} s", wait.as_secs())]
    Limited {
        /// How long.
        wait: Duration,
    },
    /// Get a new token, and try again.
    #[error("the access token was refused (401)")]
    TokenStale,
    /// Have the permission granted.
    #[error("not permitted (403): {message}")]
    Forbidden {
        /// The permissions that are missing, where the platform names them.
        permissions: Vec<String>,
        /// What it said.
        message: String,
    },
    /// There is no such thing (any more).
    #[error("gone: {message}")]
    Gone {
        /// What the platform said.
        message: String,
    },
    /// Read the state and decide again.
    #[error("conflict (409): {message}")]
    Conflict {
        /// What the platform said.
        message: String,
    },
    /// The same: perhaps it already is as wanted (PRODUCT.md 7).
    #[error("bad request (400): {message}")]
    Invalid {
        /// What the platform said.
        message: String,
    },
    /// Try again after a while.
    #[error("failed for now: {message}")]
    Transient {
        /// What happened.
        message: String,
    },
    /// It never went out, and what has happened in this time was not looked at: look at it, and decide again.
    #[error("not sent: the audit log could not be written for {} s", waited.as_secs().max(1))]
    Unsent {
        /// For how long it waited.
        waited: Duration,
    },
    /// Trying again is no use.
    #[error("refused: {message}")]
    Refused {
        /// What the platform said.
        message: String,
    },
}

/// A 429 without `Retry-After` must be borne (GENESYS.md 6); this long nothing is sent then.
pub const LIMITED_WAIT_DEFAULT: Duration = Duration::from_secs(3);
/// Longer than this no `Retry-After` is believed: the platform counts by the minute, and a wrong header must
/// not silence the daemon for a day.
pub const LIMITED_WAIT_MOST: Duration = Duration::from_secs(3600);

/// Whether the answer is one, or what is wrong. `now` is for a `Retry-After` that is a date.
///
/// # Errors
/// The fault, named by what to do next.
pub fn classify(answer: &RawAnswer, now: Wall) -> Result<(), Fault> {
    let (status, retry_after, body) = match answer {
        RawAnswer::Failed(Transport::Unsent(waited)) => return Err(Fault::Unsent { waited: *waited }),
        RawAnswer::Failed(transport) => return Err(Fault::Transient { message: transport.to_string() }),
        RawAnswer::Answered { status, retry_after, body, .. } => (*status, retry_after.as_deref(), body),
    };
    if (200..300).contains(&status) {
        return Ok(());
    }
    let error = ErrorBody::read(body);
    let message = error.describe(status);
    Err(match status {
        429 => {
            Fault::Limited { wait: retry_after.map_or(LIMITED_WAIT_DEFAULT, |text| limited_wait(text, now)) }
        }
        401 => Fault::TokenStale,
        403 => Fault::Forbidden { permissions: error.missing_permissions(), message },
        404 | 410 => Fault::Gone { message },
        409 => Fault::Conflict { message },
        400 if error.code.ends_with("call.disconnected") => Fault::Gone { message },
        400 if error.code == "not.a.user" => Fault::Refused { message },
        400 => Fault::Invalid { message },
        // 501 is the one 5xx that the vendor's clients do not repeat (GENESYS.md 6).
        501 => Fault::Refused { message },
        408 | 500..=599 => Fault::Transient { message },
        _ => Fault::Refused { message },
    })
}

/// `Retry-After` in seconds (rounded down by the platform, so one is added) or as an HTTP date.
fn limited_wait(text: &str, now: Wall) -> Duration {
    let seconds =
        text.trim().parse::<u64>().ok().map(|seconds| Duration::from_secs(seconds.saturating_add(1)));
    let until = || http_date(text.trim()).map(|at| at.since(now) + Duration::from_secs(1));
    seconds.or_else(until).unwrap_or(LIMITED_WAIT_DEFAULT).min(LIMITED_WAIT_MOST)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<Wall> {
    let at = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Wall::from_micros(at.timestamp().as_microsecond()))
}

/// The platform's error body; every field may be missing (GENESYS.md 2.5).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ErrorBody {
    message: String,
    code: String,
    message_params: std::collections::BTreeMap<String, serde_json::Value>,
}

impl ErrorBody {
    /// Reads what can be read.
    pub fn read(body: &str) -> Self {
        serde_json::from_str(body).unwrap_or_default()
    }

    fn describe(&self, status: u16) -> String {
        match (self.message.as_str(), self.code.as_str()) {
            ("", "") => format!("status {status}"),
            ("", code) => format!("status {status} ({code})"),
            (message, "") => format!("{message} (status {status})"),
            (message, code) => format!("{message} (status {status}, {code})"),
        }
    }

    /// Permission names (`conversation:recording:pauseOthers`) wherever the platform put them.
    fn missing_permissions(&self) -> Vec<String> {
        let params = self.message_params.values().filter_map(|value| value.as_str());
        let texts = params.chain([self.message.as_str()]);
        let mut names: Vec<String> = texts
            .flat_map(|text| text.split(|c: char| !(c.is_alphanumeric() || c == ':')))
            .filter(|word| word.matches(':').count() >= 2 && !word.starts_with(':') && !word.ends_with(':'))
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

/// A body that is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("not the body expected of {what}")]
pub struct BodyError {
    /// Of which answer.
    what: &'static str,
    /// Why.
    #[source]
    source: serde_json::Error,
}

fn parse<'b, T: Deserialize<'b>>(what: &'static str, body: &'b str) -> Result<T, BodyError> {
    serde_json::from_str(body).map_err(|source| BodyError { what, source })
}

/// A notification channel. Its address is a bearer secret, and is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// Where its socket is opened. Secret.
    pub connect_uri: String,
    /// When it expires unless it is subscribed anew.
    pub expires: Wall,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Reads a channel.
///
/// # Errors
/// Where the body is not one.
pub fn channel(body: &str) -> Result<Channel, BodyError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        id: ChannelId,
        connect_uri: String,
        expires: Wall,
    }
    let Written { id, connect_uri, expires } = parse("a new channel", body)?;
    Ok(Channel { id, connect_uri, expires })
}

/// What became of the topics that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscriptions {
    /// Topics that are subscribed.
    pub accepted: Vec<Topic>,
    /// Topics that are not, and why.
    pub rejected: Vec<Rejected>,
}

/// A topic that is not subscribed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Which one.
    pub topic: Topic,
    /// Why, with the missing permissions.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenTopic {
    id: String,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    rejection_reason: Option<String>,
    #[serde(default)]
    missing_permissions: Option<Vec<String>>,
}

/// Reads a subscription list. A topic that was asked for and is missing counts as rejected (PRODUCT.md 8).
///
/// # Errors
/// Where the body is not such a list.
pub fn subscriptions(body: &str, asked: &[Topic]) -> Result<Subscriptions, BodyError> {
    #[derive(Deserialize)]
    struct Written {
        entities: Vec<WrittenTopic>,
    }
    let written: Written = parse("a subscription list", body)?;
    let listed: std::collections::BTreeMap<String, &WrittenTopic> =
        written.entities.iter().map(|one| (one.id.to_ascii_lowercase(), one)).collect();
    let mut answer = Subscriptions::default();
    for topic in asked {
        match listed.get(&topic.as_str().to_ascii_lowercase()) {
            None => {
                let reason = "it is missing from the platform's list".to_owned();
                answer.rejected.push(Rejected { topic: topic.clone(), reason });
            }
            Some(one) if one.state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("rejected")) => {
                answer.rejected.push(Rejected { topic: topic.clone(), reason: why_rejected(one) });
            }
            Some(_) => answer.accepted.push(topic.clone()),
        }
    }
    Ok(answer)
}

fn why_rejected(one: &WrittenTopic) -> String {
    let reason = one.rejection_reason.clone().unwrap_or_else(|| "the platform gives no reason".into());
    match one.missing_permissions.as_deref() {
        Some(missing) if !missing.is_empty() => {
            format!("{reason} (missing permission: {})", missing.join(", "))
        }
        Some(_) | None => reason,
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<Id> {
    /// Id and name (or e-mail address) of each.
    pub entities: Vec<(Id, String)>,
    /// How many pages there are.
    pub pages: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenPage {
    entities: Vec<WrittenEntity>,
    #[serde(default)]
    page_count: Option<u32>,
}

#[derive(Deserialize)]
struct WrittenEntity {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
}

/// Reads a page of queues.
///
/// # Errors
/// Where the body is not one.
pub fn queues(body: &str) -> Result<Page<QueueId>, BodyError> {
    let page: WrittenPage = parse("a page of queues", body)?;
    let entities = page.entities.into_iter().map(|one| (QueueId::new(one.id), one.name.unwrap_or_default()));
    Ok(Page { entities: entities.collect(), pages: page.page_count.unwrap_or(1) })
}

/// Reads a page of users, with their e-mail addresses.
///
/// # Errors
/// Where the body is not one.
pub fn users(body: &str) -> Result<Page<UserId>, BodyError> {
    let page: WrittenPage = parse("a page of users", body)?;
    let entities = page.entities.into_iter().map(|one| (UserId::new(one.id), one.email.unwrap_or_default()));
    Ok(Page { entities: entities.collect(), pages: page.page_count.unwrap_or(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>, body: &str) -> RawAnswer {
        RawAnswer::Answered {
            status,
            retry_after: retry_after.map(str::to_owned),
            rate: RateHeaders::default(),
            correlation: String::new(),
            body: body.into(),
        }
    }

    fn fault(status: u16, retry_after: Option<&str>, body: &str) -> Fault {
        let now = Wall::parse("1994-11-06T08:49:30Z").expect("an instant");
        classify(&answer(status, retry_after, body), now).expect_err("a fault")
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let wait = |text| {
            let Fault::Limited { wait } = fault(429, text, "") else { panic!("not limited") };
            wait.as_secs()
        };
        assert_eq!(wait(Some("7")), 8);
        assert_eq!(wait(Some("Sun, 06 Nov 1994 08:49:37 GMT")), 8);
        assert_eq!(wait(Some("soon")), LIMITED_WAIT_DEFAULT.as_secs());
        assert_eq!(wait(None), LIMITED_WAIT_DEFAULT.as_secs());
        assert_eq!(wait(Some("99999999999999")), LIMITED_WAIT_MOST.as_secs());
    }

    #[test]
    fn a_403_names_the_missing_permission() {
        let body = r#"{"message":"Unable to perform the requested action. You are missing the following permission(s): conversation:recording:pauseOthers","code":"missing.any.permissions","status":403}"#;
        let Fault::Forbidden { permissions, .. } = fault(403, None, body) else { panic!("not forbidden") };
        assert_eq!(permissions, ["conversation:recording:pauseOthers"]);
    }

    #[test]
    fn each_status_is_named_by_what_to_do_next() {
        assert!(matches!(fault(401, None, ""), Fault::TokenStale));
        assert!(matches!(fault(404, None, "nonsense"), Fault::Gone { .. }));
        assert!(matches!(fault(409, None, ""), Fault::Conflict { .. }));
        assert!(matches!(fault(400, None, ""), Fault::Invalid { .. }));
        assert!(matches!(fault(400, None, r#"{"code":"not.a.user"}"#), Fault::Refused { .. }));
        assert!(matches!(fault(503, None, ""), Fault::Transient { .. }));
        assert!(matches!(fault(413, None, ""), Fault::Refused { .. }));
    }

    #[test]
    fn a_topic_missing_from_the_answer_counts_as_rejected() {
        let body = r#"{"entities":[{"id":"a.OK"},{"id":"b.bad","state":"Rejected","rejectionReason":"no","missingPermissions":["x:y:z"]}]}"#;
        let asked = ["a.ok", "b.bad", "c.gone"].map(Topic::new);
        let read = subscriptions(body, &asked).expect("a list");
        assert_eq!(read.accepted, [Topic::new("a.ok")]);
        let reasons: Vec<&str> = read.rejected.iter().map(|one| one.reason.as_str()).collect();
        assert_eq!(reasons, ["no (missing permission: x:y:z)", "it is missing from the platform's list"]);
    }
}
