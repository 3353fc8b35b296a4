//! The page at `/`: live calls with their recording light, the worklist, the rate budget, the channels and the
//! latest decisions. It is one file without anything from elsewhere; what it shows it reads from `/view.json`.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};

const PAGE: &str = include_str!("page/page.html");

/// Only what stands in the page itself runs there, and it talks to nobody but the daemon: a name of a queue
/// that is written as markup does nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'";

/// Answers with the page.
pub async fn show() -> Response {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, Html(PAGE)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for foreign in ["http://", "https://", "src=", "@import", "innerHTML"] {
            assert!(!PAGE.contains(foreign), "{foreign}");
        }
    }

    #[tokio::test]
    async fn what_may_run_is_said_in_its_headers() {
        let answer = show().await;
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("a text");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
    }
}
