//! Why a text is no TOML, and what to write instead, for people who have never read TOML's specification.

use std::ops::Range;

use toml_span::ErrorKind;

use super::{Document, Severity};
use crate::model::lookalike;

impl Document {
    /// Notes why the text is no TOML, in the parser's own words; the place we say ourselves.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser says the others well")]
    pub(super) fn no_toml(&mut self, error: toml_span::Error) {
        let place = Range::<usize>::from(error.span);
        let at = self.text.floor_char_boundary(place.start);
        let rest = self.text[at..].lines().next().unwrap_or_default();
        let begin = self.text[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = self.text[begin..at].trim_start();
        let help = lookalike::find(rest).map(|one| one.to_string());
        let help = help.or_else(|| instead(&error.kind, before, rest).map(str::to_owned));
        let error = toml_span::Error { line_info: None, ..error };
        let message = match error.kind {
            ErrorKind::UnexpectedEof => "the file ends before what was begun is closed".to_owned(),
            ErrorKind::InvalidCharInString('\n') => "the line ends within a text".to_owned(),
            ErrorKind::UnquotedString => "this is neither a text in quotes nor another value".to_owned(),
            _ => error.to_string(),
        };
        self.mistake(place, format!("not TOML: {message}"), help);
        if let ErrorKind::DuplicateKey { first, .. } | ErrorKind::DuplicateTable { first, .. } = &error.kind {
            let first = self.pointer((*first).into()).saying(Severity::Note, "it is written here already");
            if let Some(found) = self.found.last_mut() {
                found.related.push(first);
            }
        }
    }
}

/// What to write, as far as it can be told from the mistake and its line, before the place and from there on.
#[expect(clippy::wildcard_enum_match_arm, reason = "of the others nothing more can be told")]
fn instead(kind: &ErrorKind, before: &str, rest: &str) -> Option<&'static str> {
    match kind {
        ErrorKind::Wanted { expected: "a right bracket", .. } if before.starts_with('[') => {
            Some("close it with as many brackets as it is opened with, as in [policy] or [[rule]]")
        }
        ErrorKind::Wanted { expected: "a right bracket", .. } => {
            Some("is a comma missing in front of it, or the bracket that ends the list?")
        }
        ErrorKind::Wanted { expected: "a comma", .. } => Some("separate the entries by commas"),
        ErrorKind::Wanted { expected: "an equals", found: "a colon" } => {
            Some("write key = value, with an equals sign for the colon")
        }
        ErrorKind::Wanted { expected: "an equals", .. } => {
            Some("write key = value; a key with a blank in it stands in quotes")
        }
        ErrorKind::Wanted { expected: "newline", .. } if before.ends_with('"') => Some(
            "a text with double quotes in it stands in single ones, as in when = 'attributes.pci == \"on\"'",
        ),
        ErrorKind::Wanted { expected: "newline", .. } => Some("write one key = value on each line"),
        ErrorKind::InvalidCharInString('\n') | ErrorKind::UnterminatedString => {
            Some("end it with the quote that it begins with; three of them hold several lines")
        }
        ErrorKind::InvalidEscape(_) | ErrorKind::InvalidHexEscape(_) => {
            Some("write the text in single quotes, where a backslash means nothing special")
        }
        ErrorKind::UnquotedString if rest.to_ascii_lowercase().starts_with(['t', 'f']) && is_truth(rest) => {
            Some("write true or false, in small letters")
        }
        ErrorKind::UnquotedString => Some("put it in quotes"),
        ErrorKind::InvalidNumber => Some("put it in quotes where it is no plain number, as in \"15m\""),
        ErrorKind::Unexpected('\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{2018}' | '\u{2019}') => {
            Some("write straight quotes")
        }
        _ => None,
    }
}

fn is_truth(rest: &str) -> bool {
    let word = rest.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    ["true", "false"].iter().any(|truth| truth.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_toml_is_told_with_what_to_write() {
        for (text, help) in [
            ("flagged = True", "write true or false, in small letters"),
            ("action = stop", "put it in quotes"),
            ("at_most = 15m", "put it in quotes where it is no plain number, as in \"15m\""),
            ("a = { b = 'x' c = 'y' }", "separate the entries by commas"),
            ("a = ['b' 'c']", "is a comma missing in front of it, or the bracket that ends the list?"),
            (
                "a = [\n{ b = 1 }\n{ b = 2 },\n]",
                "is a comma missing in front of it, or the bracket that ends the list?",
            ),
            ("[[rule]\n", "close it with as many brackets as it is opened with, as in [policy] or [[rule]]"),
            ("name: 'a'", "write key = value, with an equals sign for the colon"),
            ("my name = 'a'", "write key = value; a key with a blank in it stands in quotes"),
            ("a = 1 2", "write one key = value on each line"),
            (
                "name = \"a\nb = 1",
                "end it with the quote that it begins with; three of them hold several lines",
            ),
            ("a = \"\\d\"", "write the text in single quotes, where a backslash means nothing special"),
            ("a = \u{201c}b\u{201d}", "write straight quotes"),
            (
                "when = \"a == \"on\"\"",
                "a text with double quotes in it stands in single ones, as in when = 'attributes.pci == \"on\"'",
            ),
        ] {
            let mut document = Document::new("x.toml", text);
            assert!(document.read(|_| ()).is_none(), "{text}");
            let found = document.into_found();
            assert!(found[0].message.starts_with("not TOML: "), "{}", found[0]);
            assert_eq!(found[0].help.as_deref(), Some(help), "{}", found[0]);
        }
    }
}
