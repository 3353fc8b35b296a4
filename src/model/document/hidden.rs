//! A source line as it may be shown: without the value of a secret that somebody wrote where none belongs,
//! since diagnostics end in logs.

use std::borrow::Cow;

/// What names a secret; `..._file` names where one is.
const SECRETS: [&str; 2] = ["secret", "password"];

/// The line, cut off behind the first key that names a secret.
pub(super) fn without_secrets(line: &str) -> Cow<'_, str> {
    let small = line.to_ascii_lowercase();
    let ends = SECRETS.iter().flat_map(|word| small.match_indices(word).map(|(at, word)| at + word.len()));
    let values = ends.filter_map(|end| {
        let rest = &small[end..];
        let key = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')?;
        let behind = rest[key..].trim_start_matches(['"', '\'', ' ', '\t']);
        let is_value = behind.starts_with('=') && !rest[..key].ends_with("_file");
        is_value.then(|| small.len() - behind.len() + 1)
    });
    match values.min() {
        Some(value) => Cow::Owned(format!("{} (not shown)", &line[..value])),
        None => Cow::Borrowed(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_key_that_names_a_secret_is_not_shown() {
        for (line, shown) in [
            ("client_secret = \"hunter2\"", "client_secret = (not shown)"),
            ("Client-Secret=hunter2", "Client-Secret= (not shown)"),
            ("genesys = { id = 1, 'secret' = \"hunter2\" }", "genesys = { id = 1, 'secret' = (not shown)"),
            ("proxy.password2 = \"hunter2\" # ä", "proxy.password2 = (not shown)"),
            ("client_secret_file = \"client-secret\"", "client_secret_file = \"client-secret\""),
            ("description = \"keeps a secret\"", "description = \"keeps a secret\""),
            ("secret", "secret"),
        ] {
            assert_eq!(without_secrets(line), shown);
        }
    }
}
