//! A TOML document with the place of everything in it, and diagnostics that point there.
//!
//! A [`Document`] holds one file's text; a [`Table`] reads the keys of one table out of it. Every mistake is
//! kept, none stops the reading, so that a person sees all of them at once. Keys that nobody asked for are
//! mistakes too, with the nearest known key.

mod hidden;
mod syntax;
mod words;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml_span::Value;

use crate::model::diagnostic::Excerpt;
pub use crate::model::diagnostic::{Diagnostic, Severity};
pub use words::{did_you_mean, instead, nearest};

/// The longest line in bytes; one that holds the longest expression or thousands of ids is shorter.
const LONGEST_LINE: usize = 256 * 1024;
/// Mistakes of one file that are kept: nobody reads more, and a file of megabytes can hold a million.
const MOST_FOUND: usize = 1_000;

/// A file's text and the mistakes found in it.
#[derive(Clone, Debug)]
pub struct Document {
    file: String,
    text: Arc<str>,
    /// Where each line begins.
    lines: Vec<usize>,
    /// Where those begin that name a table.
    heads: Vec<usize>,
    found: Vec<Diagnostic>,
    /// How many were found beyond those kept.
    more: usize,
    #[cfg(test)]
    asked: std::collections::BTreeMap<String, std::collections::BTreeSet<&'static str>>,
}

impl Document {
    /// The text of `file`.
    pub fn new(file: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        let text: Arc<str> = text.into();
        let lines: Vec<_> =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let is_head = |begin: &usize| text[*begin..].trim_start_matches([' ', '\t']).starts_with('[');
        let heads = lines.iter().copied().filter(is_head).collect();
        Self {
            file: file.into(),
            text,
            lines,
            heads,
            found: Vec::new(),
            more: 0,
            #[cfg(test)]
            asked: std::collections::BTreeMap::new(),
        }
    }

    /// The text.
    pub fn text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The keys that were asked for, by the name of their table; without tables that accept any.
    #[cfg(test)]
    pub(crate) fn asked(
        &self,
    ) -> &std::collections::BTreeMap<String, std::collections::BTreeSet<&'static str>> {
        &self.asked
    }

    /// The mistakes found, in the order of their places.
    pub fn into_found(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|one| (one.line, one.column));
        if self.more > 0 {
            let message = format!("there are {} more mistakes, which are not shown", self.more);
            self.found.push(Diagnostic { count: self.more, ..Diagnostic::of_file(self.file, message) });
        }
        self.found
    }

    /// Whether a mistake was found so far.
    pub fn has_errors(&self) -> bool {
        self.more > 0 || self.found.iter().any(|one| one.severity == Severity::Error)
    }

    /// Notes a mistake at a place in the text, in bytes.
    pub fn mistake(&mut self, place: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.note(place, Severity::Error, message.into(), help);
    }

    /// Notes something to look at.
    pub fn warn(&mut self, place: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.note(place, Severity::Warning, message.into(), help);
    }

    fn note(&mut self, place: Range<usize>, severity: Severity, message: String, help: Option<String>) {
        if self.found.len() < MOST_FOUND {
            let diagnostic = self.diagnostic(place, severity, message, help);
            self.found.push(diagnostic);
        } else if severity == Severity::Error {
            self.more += 1;
        }
    }

    /// `FILE:LINE:COLUMN` of a place.
    pub fn place_text(&self, place: Range<usize>) -> String {
        let at = self.pointer(place);
        format!("{}:{}:{}", at.file, at.line, at.column)
    }

    /// A diagnostic that points at a place and has no message yet.
    pub fn pointer(&self, place: Range<usize>) -> Diagnostic {
        self.diagnostic(place, Severity::Error, String::new(), None)
    }

    fn diagnostic(
        &self,
        place: Range<usize>,
        severity: Severity,
        message: String,
        help: Option<String>,
    ) -> Diagnostic {
        let start = self.text.floor_char_boundary(place.start);
        let number = self.lines.partition_point(|begin| *begin <= start);
        let begin = self.lines[number - 1];
        let end = self.lines.get(number).map_or(self.text.len(), |next| next - 1).max(start);
        let stop = self.text.floor_char_boundary(place.end.clamp(start, end));
        let lead = self.text[begin..start].chars().count();
        let width = self.text[start..stop].chars().count();
        let head = self.heads[..self.heads.partition_point(|head| *head < begin)].last();
        let table = head.and_then(|head| hidden::table(self.text[*head..].lines().next()?));
        let line = self.text[begin..end].trim_end_matches('\r');
        let shown = hidden::shown(line, table.as_deref(), lead, width);
        Diagnostic {
            file: self.file.clone(),
            line: number,
            column: lead + 1,
            severity,
            message,
            source: Some(Excerpt::new(&shown.line, shown.lead, shown.width)),
            count: 1,
            related: Vec::new(),
            help,
        }
    }

    /// Reads the text as TOML and hands its root table to `read`. A text that is no TOML is one mistake.
    pub fn read<T>(&mut self, read: impl FnOnce(&mut Table<'_, '_>) -> T) -> Option<T> {
        let text = Arc::clone(&self.text);
        let ends = self.lines.iter().skip(1).copied().chain([text.len()]);
        if let Some((begin, end)) =
            self.lines.iter().zip(ends).find(|(begin, end)| end - *begin > LONGEST_LINE)
        {
            let message = format!("a line of {} bytes; {LONGEST_LINE} is the most", end - begin);
            self.mistake(*begin..*begin, message, Some("break it into several".into()));
            return None;
        }
        let root = match toml_span::parse(&text) {
            Ok(root) => root,
            Err(error) => {
                self.no_toml(error);
                return None;
            }
        };
        let mut table = Table::new(self, &root, "the file")?;
        let result = read(&mut table);
        table.finish();
        Some(result)
    }
}

/// One table that is being read.
#[derive(Debug)]
pub struct Table<'d, 'v> {
    document: &'d mut Document,
    value: &'v Value<'v>,
    name: String,
    asked: Vec<&'static str>,
}

impl<'d, 'v> Table<'d, 'v> {
    fn new(document: &'d mut Document, value: &'v Value<'v>, name: &str) -> Option<Self> {
        if value.as_table().is_none() {
            document.mistake(value.span.into(), format!("{name} must be a table"), None);
            return None;
        }
        Some(Self { document, value, name: name.to_owned(), asked: Vec::new() })
    }

    /// Where the table stands.
    pub fn place(&self) -> Range<usize> {
        self.value.span.into()
    }

    /// The document, to note a mistake in.
    pub fn document(&mut self) -> &mut Document {
        self.document
    }

    /// The value of a key, whatever it is.
    pub fn raw(&mut self, key: &'static str) -> Option<&'v Value<'v>> {
        self.asked.push(key);
        self.value.as_table().and_then(|table| table.get(key))
    }

    /// The keys of the table and their values; all count as asked for.
    pub fn entries(&mut self) -> Vec<(String, Range<usize>, &'v Value<'v>)> {
        let table = self.value.as_table().into_iter().flatten();
        table.map(|(key, value)| (key.name.to_string(), key.span.into(), value)).collect()
    }

    /// Notes that `value` should be `wanted`.
    pub fn wanted(&mut self, value: &Value<'_>, key: &str, wanted: &str) {
        let help = words::about_quotes(value, wanted);
        self.document.mistake(value.span.into(), format!("'{key}' must be {wanted}"), help);
    }

    /// A text, with its place.
    pub fn text(&mut self, key: &'static str) -> Option<(String, Range<usize>)> {
        let value = self.raw(key)?;
        match value.as_str() {
            Some(text) => Some((text.to_owned(), value.span.into())),
            None => {
                self.wanted(value, key, "a text in quotes");
                None
            }
        }
    }

    /// A text.
    pub fn string(&mut self, key: &'static str) -> Option<String> {
        self.text(key).map(|(text, _)| text)
    }

    /// `true` or `false`.
    pub fn truth(&mut self, key: &'static str) -> Option<bool> {
        let value = self.raw(key)?;
        if value.as_bool().is_none() {
            self.wanted(value, key, "true or false");
        }
        value.as_bool()
    }

    /// A whole number from `least` to `most`.
    pub fn integer(&mut self, key: &'static str, least: i64, most: i64) -> Option<i64> {
        let value = self.raw(key)?;
        let fits = value.as_integer().filter(|number| (least..=most).contains(number));
        if fits.is_none() {
            self.wanted(value, key, &format!("a whole number from {least} to {most}"));
        }
        fits
    }

    /// A number from 0 to 1.
    pub fn share(&mut self, key: &'static str) -> Option<f64> {
        let value = self.raw(key)?;
        let whole = value.as_integer().and_then(|number| i32::try_from(number).ok()).map(f64::from);
        let fits = value.as_float().or(whole).filter(|number| (0.0..=1.0).contains(number));
        if fits.is_none() {
            self.wanted(value, key, "a number from 0 to 1");
        }
        fits
    }

    /// A span of time as people write it.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let value = self.raw(key)?;
        let Some(text) = value.as_str() else {
            self.wanted(value, key, "a span of time in quotes, as \"2s\" or \"15m\"");
            return None;
        };
        match words::span(text) {
            Ok(span) => Some(span),
            Err(why) => {
                let help = Some("write it as \"250ms\", \"2s\", \"15m\", \"1h 30m\" or \"400d\"".to_owned());
                let message = format!("'{text}' is not a span of time: {why}");
                self.document.mistake(value.span.into(), message, help);
                None
            }
        }
    }

    /// A span of time that must not be zero.
    pub fn span(&mut self, key: &'static str) -> Option<Duration> {
        let place = self.value.as_table().and_then(|table| table.get(key)).map(|value| value.span.into());
        let span = self.duration(key)?;
        if span.is_zero() {
            self.document.mistake(
                place.unwrap_or_default(),
                format!("'{key}' must be longer than zero"),
                None,
            );
            return None;
        }
        Some(span)
    }

    /// A list of texts, each with its place; one text alone counts as a list of one.
    pub fn list(&mut self, key: &'static str) -> Option<Vec<(String, Range<usize>)>> {
        let value = self.raw(key)?;
        if let Some(text) = value.as_str() {
            return Some(vec![(text.to_owned(), value.span.into())]);
        }
        let Some(items) = value.as_array() else {
            self.wanted(value, key, "a list of texts");
            return None;
        };
        let mut list = Vec::new();
        for item in items {
            match item.as_str() {
                Some(text) => list.push((text.to_owned(), item.span.into())),
                None => self.wanted(item, key, "a list of texts"),
            }
        }
        Some(list)
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let (text, place) = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meant)| *meant);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let help = did_you_mean(&text, known.iter().copied());
            let a = if key.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            let message = format!("'{text}' is not {a} {key}; it must be one of: {}", known.join(", "));
            self.document.mistake(place, message, help);
        }
        found
    }

    /// A table within the table.
    pub fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Table<'_, '_>) -> T) -> Option<T> {
        let value = self.raw(key)?;
        if value.as_table().is_none() {
            let help = Some(format!("write {key} = {{ key = \"value\" }}"));
            self.document.mistake(value.span.into(), format!("[{key}] must be a table"), help);
            return None;
        }
        let mut table = Table::new(self.document, value, &format!("[{key}]"))?;
        let result = read(&mut table);
        table.finish();
        Some(result)
    }

    /// A list of tables (`[[key]]`).
    pub fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Table<'_, '_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.raw(key) else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.document.mistake(
                value.span.into(),
                format!("'{key}' must be a list of tables"),
                Some(format!("begin each with [[{key}]]")),
            );
            return Vec::new();
        };
        let mut all = Vec::new();
        for item in items {
            if let Some(mut table) = Table::new(self.document, item, &format!("[[{key}]]")) {
                all.extend(read(&mut table));
                table.finish();
            }
        }
        all
    }

    /// Notes every key that nobody asked for.
    fn finish(self) {
        #[cfg(test)]
        if !self.asked.contains(&ANY) {
            self.document.asked.entry(self.name.clone()).or_default().extend(&self.asked);
        }
        for (key, value) in self.value.as_table().into_iter().flatten() {
            if !self.asked.contains(&&*key.name) && !self.asked.contains(&ANY) {
                let help = words::other_key(&key.name, &self.asked);
                let place: Range<usize> =
                    if key.span.is_empty() { value.span.into() } else { key.span.into() };
                self.document.mistake(place, format!("unknown key '{}' in {}", key.name, self.name), help);
            }
        }
    }

    /// Accepts every key of the table.
    pub fn accept_all(&mut self) {
        self.asked.push(ANY);
    }
}

const ANY: &str = "*";

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let mut document = Document::new("x.toml", text);
        document.read(|root| {
            root.table("limits", |limits| {
                limits.integer("requests_per_minute", 1, 1000);
                limits.duration("give_up_after");
            });
        });
        document.into_found().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_mistakes_are_shown_with_place_caret_and_help() {
        let found = found("[limits]\nrequest_per_minute = 3\ngive_up_after = \"soon\"\n[limit]\n");
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found[1].starts_with("x.toml:3:18: error: 'soon' is not a span of time"), "{}", found[1]);
        assert_eq!(
            found[0],
            "x.toml:2:1: error: unknown key 'request_per_minute' in [limits]\n2 | request_per_minute = 3\n  | \
             ^^^^^^^^^^^^^^^^^^\nhelp: did you mean 'requests_per_minute'?"
        );
        assert!(found[2].contains("did you mean 'limits'?"), "{}", found[2]);
    }

    #[test]
    fn a_text_that_is_no_toml_is_one_mistake_in_plain_words() {
        for (text, said) in [
            ("[limits\nx = ", "x.toml:1:8: error: not TOML: expected a right bracket, found a newline"),
            ("a = [\n", "x.toml:2:1: error: not TOML: the file ends before what was begun is closed"),
            (
                "a = soon\n",
                "x.toml:1:5: error: not TOML: this is neither a text in quotes nor another value\n1 | a = soon\n",
            ),
            (
                "a = 1\na = 2\n",
                "x.toml:2:1: error: not TOML: duplicate key: `a`\n2 | a = 2\n  | ^\nx.toml:1:1: note: ",
            ),
        ] {
            let found = found(text);
            assert!(found.len() == 1 && found[0].starts_with(said), "{found:?}");
        }
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_shown() {
        for text in ["[limits]\nsecret = \"hunter2\"\n", "client_secret = hunter2\n"] {
            let found = found(text);
            assert!(
                found.len() == 1 && !found[0].contains("hunter2") && found[0].contains("secret ="),
                "{found:?}"
            );
        }
    }
}
