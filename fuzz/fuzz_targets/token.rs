//! What the login host answers: a token that a header can carry and that does not print, or why there is none.

#![no_main]

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use recwarden::wire::reply;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match reply::grant(text) {
        Ok(grant) => {
            assert!(
                HeaderValue::from_str(&format!("Bearer {}", grant.token)).is_ok(),
                "a header can carry it"
            );
            let shown = format!("{grant:?}").replace(&format!("{:?}", grant.lifetime), "");
            assert!(grant.token.len() < 10 || !shown.contains(&grant.token), "it is shown: {shown}");
        }
        Err(error) => drop(error.to_string()),
    }
    drop(reply::denial(text));
});
