//! Addresses in one form: the platform writes one and the same number as `tel:+4930...`, `sip:+4930...@host` or
//! bare, by family and leg (GENESYS.md, trap 17).

/// The number of an address, where it is one; anything else as it was sent.
pub(super) fn plain(address: &str) -> &str {
    let Some((scheme, rest)) = address.split_once(':') else { return address };
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    let (number, _) = rest.split_once(['@', ';']).unwrap_or((rest, ""));
    let digits = number.strip_prefix('+').unwrap_or(number);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is("tel") || is_number && (is("sip") || is("sips")) { number } else { address }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_however_it_was_sent() {
        for (sent, plainly) in [
            ("+15550100013", "+15550100013"),
            ("tel:+15550100013", "+15550100013"),
            ("TEL:+15550100013;ext=5", "+15550100013"),
            ("sip:+15550100013@10.87.214.180;user=phone", "+15550100013"),
            ("sip:100@example.com", "100"),
            (
                "sip:281f4ee2-c585-4b61-a4a8-05a87b1d414b@127.0.0.1;user=ivr",
                "sip:281f4ee2-c585-4b61-a4a8-05a87b1d414b@127.0.0.1;user=ivr",
            ),
            ("agent.one@example.com", "agent.one@example.com"),
            ("sip:", "sip:"),
            ("", ""),
        ] {
            assert_eq!(plain(sent), plainly);
        }
    }
}
