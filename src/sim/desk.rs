//! The desks: each serves the requests of one part of the REST API, or says that they are not its own.

pub mod analytics;
pub mod conversations;
pub mod directory;
pub mod notifications;
pub mod oauth;
pub mod recording;

use serde_json::{Value, json};

use crate::sim::web::{HttpRequest, HttpResponse, Refusal};

/// A request as a desk sees it.
#[derive(Clone, Copy, Debug)]
pub struct Errand<'a> {
    /// The request.
    pub request: &'a HttpRequest,
    /// Its method.
    pub method: &'a str,
    /// Its path below `/api/v2`, in parts.
    pub path: &'a [&'a str],
    /// The access token that it shows.
    pub token: &'a str,
}

/// What a desk answers.
pub type Served = Result<HttpResponse, Refusal>;

/// One page of a list, with the platform's paging envelope.
pub fn page(errand: &Errand<'_>, all: &[Value]) -> Value {
    // 25 is the default page of the platform's lists.
    let size = errand.request.number("pageSize").unwrap_or(25).clamp(1, 500);
    let number = errand.request.number("pageNumber").unwrap_or(1).max(1);
    let pages = all.len().div_ceil(size);
    let entities: Vec<&Value> = all.iter().skip((number - 1).saturating_mul(size)).take(size).collect();
    let path = errand.request.path.as_str();
    let uri = |number: usize| format!("{path}?pageSize={size}&pageNumber={number}");
    let mut body = json!({
        "entities": entities,
        "pageSize": size,
        "pageNumber": number,
        "total": all.len(),
        "firstUri": uri(1),
        "lastUri": uri(pages.max(1)),
        "selfUri": uri(number),
        "pageCount": pages,
    });
    if number < pages {
        body["nextUri"] = json!(uri(number + 1));
    }
    if number > 1 {
        body["previousUri"] = json!(uri(number - 1));
    }
    body
}
