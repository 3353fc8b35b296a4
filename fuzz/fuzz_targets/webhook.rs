//! The body and the headers of a webhook: an order as meant, or what is wrong with it. The first line is
//! `ID TIMESTAMP SIGNATURES`, the rest is the body.

#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use recwarden::http::ask::Origin;
use recwarden::http::order;
use recwarden::http::secret::{Secret, Signature};
use recwarden::model::time::Wall;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (head, body) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    if let Ok(directive) = order::directive(body, Origin::Webhook) {
        let again = order::written(&directive).to_string();
        assert_eq!(order::directive(again.as_bytes(), Origin::Webhook).as_ref(), Ok(&directive));
    }
    drop(order::facts(body));
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let mut headers = HeaderMap::new();
    for (name, value) in names.into_iter().zip(head.splitn(3, |byte| *byte == b' ')) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value.clone());
            headers.insert("authorization", value);
        }
    }
    let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
    assert!(!secret.is_borne_by(&headers), "nobody guesses the secret");
    if let Some(signature) = Signature::of(&headers) {
        std::hint::black_box(signature.is_timely(Wall::from_micros(1_767_603_600_000_000)));
        std::hint::black_box(secret.signed(&signature, body));
    }
    if let Ok(text) = std::str::from_utf8(head) {
        drop(Secret::new(text));
    }
});
