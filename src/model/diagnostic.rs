//! What is wrong, or odd, at a place in a file, as people see it.

use std::borrow::Cow;
use std::fmt;

use unicode_width::UnicodeWidthChar;

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// It is, but look at this.
    Warning,
    /// It goes with another one.
    Note,
}

/// The characters of a line that are shown: of a longer one, those around the place.
const SHOWN: usize = 200;

/// A line, or as much of it as is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// What is shown.
    pub line: String,
    /// How many characters of it stand in front of the place.
    pub lead: usize,
    /// How many characters the place has.
    pub width: usize,
}

impl Excerpt {
    /// Of a line, with `lead` characters in front of a place of `width` characters.
    pub fn new(line: &str, lead: usize, width: usize) -> Self {
        if line.len() <= SHOWN {
            return Self { line: line.chars().map(harmless).collect(), lead, width };
        }
        let skipped = if lead < SHOWN * 3 / 4 { 0 } else { lead - SHOWN / 2 };
        let shown: String = line.chars().skip(skipped).take(SHOWN).map(harmless).collect();
        let rest = line.chars().nth(skipped + SHOWN).is_some();
        let dots = if skipped > 0 { "..." } else { "" };
        let lead = lead - skipped + dots.len();
        Self {
            line: format!("{dots}{shown}{}", if rest { "..." } else { "" }),
            lead,
            width: width.min((SHOWN + dots.len()).saturating_sub(lead)),
        }
    }
}

/// What a terminal would obey is not shown as it is, nor what would turn a line around.
fn harmless(c: char) -> char {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if (c.is_control() && c != '\t') || turns { char::REPLACEMENT_CHARACTER } else { c }
}

/// What stands below these characters so that a caret behind it stands below what it means: tabs stay tabs, and wide
/// characters take two columns.
fn pad(before: impl Iterator<Item = char>) -> String {
    let below = |one: char| if one == '\t' { "\t".to_owned() } else { " ".repeat(one.width().unwrap_or(1)) };
    before.map(below).collect()
}

/// A text in which nothing is left that a terminal would obey.
pub fn plain(text: &str) -> Cow<'_, str> {
    let obeyed = |one: char| one != '\n' && one != '\t' && one.is_control();
    if !text.contains(obeyed) {
        return text.into();
    }
    let mut out = String::new();
    for one in text.chars() {
        if obeyed(one) { out.extend(one.escape_unicode()) } else { out.push(one) }
    }
    out.into()
}

/// One mistake, with its place. It prints as `FILE:LINE:COLUMN: error: ...`, then the source line with a
/// caret, then `help: ...` where there is some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The line it stands in; none where it stands nowhere.
    pub source: Option<Excerpt>,
    /// How many mistakes it tells of.
    pub count: usize,
    /// Other places that have to do with it, each with its own line.
    pub related: Vec<Diagnostic>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// The same place, with something to say about it.
    pub fn saying(&self, severity: Severity, message: impl Into<String>) -> Self {
        Self { severity, message: message.into(), ..self.clone() }
    }

    /// A mistake of a whole file.
    pub fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 1,
            column: 1,
            severity: Severity::Error,
            message: message.into(),
            source: None,
            count: 1,
            related: Vec::new(),
            help: None,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let (file, message) = (plain(&self.file), plain(&self.message));
        write!(f, "{file}:{}:{}: {severity}: {message}", self.line, self.column)?;
        if let Some(Excerpt { line, lead, width }) = &self.source {
            let number = self.line.to_string();
            let gutter = " ".repeat(number.len());
            let pad = pad(line.chars().take(*lead));
            let below: usize =
                line.chars().skip(*lead).take(*width).map(|one| one.width().unwrap_or(1)).sum();
            write!(f, "\n{number} | {line}\n{gutter} | {pad}{}", "^".repeat(below.max(1)))?;
        }
        for one in &self.related {
            write!(f, "\n{one}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\nhelp: {}", plain(help)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_line_only_what_is_around_the_place_is_shown() {
        let line = format!("{}here{}", "a".repeat(1000), "b".repeat(1000));
        let excerpt = Excerpt::new(&line, 1000, 4);
        let shown: String = excerpt.line.chars().skip(excerpt.lead).take(excerpt.width).collect();
        assert_eq!(shown, "here");
        assert!(excerpt.line.len() <= SHOWN + 6, "{}", excerpt.line);
        assert_eq!(Excerpt::new(&line, 10, 1990).width, SHOWN - 10);
    }

    #[test]
    fn the_caret_stands_below_what_it_means_behind_wide_characters_too() {
        let line = "a\u{301} \u{1f3a7} \u{65e5}\u{672c} x";
        let source = Some(Excerpt::new(line, 8, 1));
        let told = Diagnostic { source, ..Diagnostic::of_file("f", "m") }.to_string();
        assert!(told.ends_with(&format!("\n1 | {line}\n  | {}^", " ".repeat(10))), "{told}");
        let wide = Diagnostic { source: Some(Excerpt::new(line, 5, 2)), ..Diagnostic::of_file("f", "m") }
            .to_string();
        assert!(wide.ends_with("\n  |      ^^^^"), "{wide}");
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_handed_on() {
        let told = Diagnostic::of_file("f", "there is no '\u{1b}[31m\u{0}'").to_string();
        assert_eq!(told, "f:1:1: error: there is no '\\u{1b}[31m\\u{0}'");
        assert_eq!(Excerpt::new("a\t\u{1b}[31mb", 0, 1).line, "a\t\u{fffd}[31mb");
        assert!(!Excerpt::new(&"\u{1b}".repeat(1000), 500, 1).line.contains('\u{1b}'));
    }
}
