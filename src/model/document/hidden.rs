//! A source line as it may be shown: without the value of a secret that somebody wrote where none belongs,
//! since diagnostics end in logs. A misspelt key may name one too.

use std::borrow::Cow;

use strsim::osa_distance;

/// What stands for a value.
const NOT_SHOWN: &str = "(not shown)";
/// What names a secret; `..._file` names where one is.
const SECRETS: [&str; 2] = ["secret", "password"];
/// The tables that have to do with credentials, with the keys whose values are none: any other key there may be a
/// misspelt one whose value is.
const TABLES: [(&str, &[&str]); 3] = [
    ("genesys", &["region", "api_url", "login_url", "client_id", "client_secret_file"]),
    ("webhook", &["listen", "secret_file", "priority"]),
    ("http", &["listen"]),
];

/// A line, with the place that is meant in it, in characters.
pub(super) struct Shown<'l> {
    pub(super) line: Cow<'l, str>,
    pub(super) lead: usize,
    pub(super) width: usize,
}

/// The line of a table, cut off behind the first key that may name a secret.
pub(super) fn shown<'l>(line: &'l str, table: Option<&str>, lead: usize, width: usize) -> Shown<'l> {
    let small = line.to_ascii_lowercase();
    let named = SECRETS.iter().filter_map(|word| value_behind(&small, word));
    let cut = named.chain(value_of_no_known_key(&small, table)).chain(login(line)).min();
    let Some(cut) = cut else { return Shown { line: Cow::Borrowed(line), lead, width } };
    let kept = &line[..cut];
    let space = if kept.ends_with('=') { " " } else { "" };
    let hidden = kept.chars().count() + space.len();
    let lead = lead.min(hidden);
    let all = hidden + NOT_SHOWN.len();
    // Its width would tell how long it is.
    let width = if lead + width > hidden { all - lead } else { width };
    Shown { line: Cow::Owned(format!("{kept}{space}{NOT_SHOWN}")), lead, width }
}

/// The first part of what a line like `[genesys]` names.
pub(super) fn table(head: &str) -> Option<String> {
    let name = head.trim_start().strip_prefix('[')?.trim_start_matches('[');
    let name = name.split(['.', ']']).next().unwrap_or_default();
    Some(bare(name).to_ascii_lowercase())
}

fn bare(key: &str) -> &str {
    key.trim_matches(['"', '\'', ' ', '\t'])
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

/// Where the value begins of the first key that is like one of a secret, or is none of those that are known in a
/// table of credentials.
fn value_of_no_known_key(line: &str, table: Option<&str>) -> Option<usize> {
    let known = |name: &str| TABLES.iter().find(|(table, _)| *table == name).map(|(_, keys)| *keys);
    let (mut keys, mut begin, mut quote) = (table.and_then(known), 0, None);
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, ',' | '{') => begin = at + 1,
            (None, '=') => {
                let parts: Vec<&str> = line[begin..at].split('.').map(bare).collect();
                let last = parts.last().copied().unwrap_or_default();
                let of = parts.first().filter(|_| parts.len() > 1).and_then(|first| known(first)).or(keys);
                if is_like_a_secret(last) || of.is_some_and(|keys| !keys.contains(&last)) {
                    return Some(at + 1);
                }
                // What follows in brackets belongs to this table.
                keys = known(last).or(keys);
                begin = at + 1;
            }
            (None, _) => {}
        }
    }
    None
}

fn is_like_a_secret(key: &str) -> bool {
    let like = |word: &str| SECRETS.iter().any(|secret| osa_distance(word, secret) <= 1);
    !key.ends_with("_file") && key.split(['_', '-']).any(like)
}

/// Where a name and a password begin in an address.
fn login(line: &str) -> Option<usize> {
    line.match_indices("://").find_map(|(at, sign)| {
        let begin = at + sign.len();
        let rest = &line[begin..];
        let end = rest.find(['"', '\'', ' ', '\t']).unwrap_or(rest.len());
        rest[..end].contains('@').then_some(begin)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_secrets<'l>(line: &'l str, table: Option<&str>) -> Cow<'l, str> {
        shown(line, table, 0, 0).line
    }

    #[test]
    fn what_stands_behind_a_key_that_names_a_secret_is_not_shown() {
        for (line, shown) in [
            ("client_secret = \"hunter2\"", "client_secret = (not shown)"),
            ("Client-Secret=hunter2", "Client-Secret= (not shown)"),
            (
                "genesys = { region = 1, 'secret' = \"hunter2\" }",
                "genesys = { region = 1, 'secret' = (not shown)",
            ),
            ("proxy.password2 = \"hunter2\" # ä", "proxy.password2 = (not shown)"),
            ("client_secret_file = \"client-secret\"", "client_secret_file = \"client-secret\""),
            ("description = \"keeps a secret\"", "description = \"keeps a secret\""),
            ("secret", "secret"),
            ("secret secretsecret = 1", "secret secretsecret = (not shown)"),
        ] {
            assert_eq!(without_secrets(line, None), shown);
        }
    }

    #[test]
    fn a_misspelt_key_may_name_a_secret_too() {
        for (line, table, shown) in [
            ("client_secrt = \"hunter2\"", None, "client_secrt = (not shown)"),
            ("  clientkey = \"hunter2\"", Some("genesys"), "  clientkey = (not shown)"),
            ("clientkey = 1", Some("limits"), "clientkey = 1"),
            ("token = \"hunter2\"", Some("webhook"), "token = (not shown)"),
            ("genesys.key = \"hunter2\"", None, "genesys.key = (not shown)"),
            (
                "genesys = { region = \"a=b\", key = \"hunter2\" }",
                None,
                "genesys = { region = \"a=b\", key = (not shown)",
            ),
            ("region = \"us\" # ä", Some("genesys"), "region = \"us\" # ä"),
            ("api_url = \"https://id:hunter2@host\"", Some("genesys"), "api_url = \"https://(not shown)"),
        ] {
            assert_eq!(without_secrets(line, table), shown);
        }
        assert_eq!(table("  [genesys] # a").as_deref(), Some("genesys"));
        assert_eq!(table("[[ \"rule\".x ]]").as_deref(), Some("rule"));
    }

    #[test]
    fn the_caret_stays_where_it_is_or_stands_below_what_is_not_shown() {
        let at = |lead, width| {
            let shown = shown("client_secrt = \"hunter2\" # and more", None, lead, width);
            shown.line.chars().skip(shown.lead).take(shown.width).collect::<String>()
        };
        assert_eq!(at(0, 12), "client_secrt");
        assert_eq!(at(15, 9), "(not shown)");
        assert_eq!(at(27, 3), "(not shown)");
    }
}
