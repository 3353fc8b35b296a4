//! A source line as it may be shown: without the value of a secret that somebody wrote where none belongs,
//! since diagnostics end in logs.

use std::borrow::Cow;

/// What names a secret; `..._file` names where one is.
const SECRETS: [&str; 2] = ["secret", "password"];

/// The line, cut off behind the first key that names a secret.
pub(super) fn without_secrets(line: &str) -> Cow<'_, str> {
    let small = line.to_ascii_lowercase();
    let value = SECRETS.iter().filter_map(|word| value_behind(&small, word)).min();
    match value {
        Some(value) => Cow::Owned(format!("{} (not shown)", &line[..value])),
        None => Cow::Borrowed(line),
    }
}

/// Where the value begins that stands behind the first key with this word in it.
fn value_behind(line: &str, word: &str) -> Option<usize> {
    // The key that a match stands in is looked at once, however often the word stands in it.
    let mut looked = 0;
    line.match_indices(word).find_map(|(at, word)| {
        let end = at + word.len();
        if end <= looked {
            return None;
        }
        let rest = &line[end..];
        let key =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
        looked = end + key;
        let behind = rest[key..].trim_start_matches(['"', '\'', ' ', '\t']);
        let is_value = behind.starts_with('=') && !rest[..key].ends_with("_file");
        is_value.then(|| line.len() - behind.len() + 1)
    })
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
            ("secret secretsecret = 1", "secret secretsecret = (not shown)"),
        ] {
            assert_eq!(without_secrets(line), shown);
        }
    }
}
