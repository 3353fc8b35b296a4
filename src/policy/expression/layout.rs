//! The text of an expression before it is parsed: is it small and flat enough, and where do its brackets
//! close?

use std::collections::BTreeMap;
use std::ops::Range;

use super::Mistake;

/// The longest expression in bytes. The parser takes some 20 µs for each byte of a long list in a debug
/// build; whoever needs more keeps the list in participant data or splits the rule.
pub(super) const LENGTH: usize = 16 * 1024;

/// How deep brackets may stand in each other. The parser recurses some twelve functions for each and needs
/// up to 200 KiB of stack for it in a debug build (measured), see `syntax::STACK`.
pub(super) const BRACKETS: usize = 40;

/// How deep the tree may become by brackets, chains of operators (`1 + 1 + ...`, `a.b.c...`) and
/// conditionals together: the evaluator recurses once for each. Chains of `&&`, `||` and `,` are flat.
pub(super) const DEPTH: usize = 96;

/// The text, with its brackets matched.
#[derive(Debug)]
pub(super) struct Layout<'s> {
    source: &'s str,
    closing: BTreeMap<usize, usize>,
}

/// One open bracket, and how deep the tree is below it.
#[derive(Default)]
struct Level {
    at: usize,
    /// Operators since the last `&&`, `||`, `?`, `:` or `,`.
    run: usize,
    /// `?` since the last `,`.
    turns: usize,
}

impl<'s> Layout<'s> {
    /// Reads the text.
    ///
    /// # Errors
    /// Where it is too long or too deep.
    pub(super) fn read(source: &'s str) -> Result<Self, Mistake> {
        if source.len() > LENGTH {
            let message = format!("the expression is {} bytes long; {LENGTH} is the most", source.len());
            return Err(Mistake::new(0..source.len(), message).help("split it into several rules"));
        }
        let mut layout = Self { source, closing: BTreeMap::new() };
        let mut levels = vec![Level::default()];
        let mut at = 0;
        while at < source.len() {
            let token = token(source, at);
            layout.take(&source[token.clone()], at, &mut levels);
            let depth: usize = levels.iter().map(|level| 1 + level.run + level.turns).sum();
            if levels.len() > BRACKETS + 1 || depth > DEPTH {
                return Err(Mistake::new(token, "the expression is nested too deep here")
                    .help("split it into several rules"));
            }
            at = token.end;
        }
        Ok(layout)
    }

    fn take(&mut self, token: &str, at: usize, levels: &mut Vec<Level>) {
        match token {
            "(" | "[" | "{" => levels.push(Level { at, ..Level::default() }),
            ")" | "]" | "}" => {
                if levels.len() > 1
                    && let Some(level) = levels.pop()
                {
                    self.closing.insert(level.at, at);
                }
                if let Some(level) = levels.last_mut() {
                    level.run += 1;
                }
            }
            _ => {
                let Some(level) = levels.last_mut() else { return };
                match token {
                    "," => (level.run, level.turns) = (0, 0),
                    "?" => (level.run, level.turns) = (0, level.turns + 1),
                    "&&" | "||" | ":" => level.run = 0,
                    "." | "+" | "-" | "*" | "/" | "%" | "<" | ">" | "=" | "!" | "in" => level.run += 1,
                    _ => {}
                }
            }
        }
    }

    /// Just behind the bracket that closes the one at `open`; just behind that one where none does.
    pub(super) fn behind_bracket(&self, open: usize) -> usize {
        self.closing.get(&open).map_or(open, |close| *close) + 1
    }

    /// The word that follows the sign at `at` (a dot).
    pub(super) fn word_behind(&self, at: usize) -> Range<usize> {
        let mut next = at + 1;
        while next < self.source.len() {
            let token = token(self.source, next);
            if is_word(&self.source[token.clone()]) || self.source[token.clone()].starts_with('`') {
                return token;
            }
            if !is_gap(&self.source[token.clone()]) {
                break;
            }
            next = token.end;
        }
        at..at + 1
    }

    /// The word in front of the bracket at `at`.
    pub(super) fn word_before(&self, at: usize) -> Range<usize> {
        let end = self.source[..at].trim_end().len();
        let begin = self.source[..end].trim_end_matches(is_word_char).len();
        if begin < end { begin..end } else { at..at + 1 }
    }

    /// Widens a negative number's place by the sign in front of it.
    pub(super) fn with_sign(&self, number: Range<usize>) -> Range<usize> {
        let end = self.source[..number.start].trim_end().len();
        if self.source[..end].ends_with('-') { end - 1..number.end } else { number }
    }

    /// What stands at a place that the parser names by line and column, both from 1 and in characters.
    pub(super) fn place(&self, line: usize, column: usize) -> Range<usize> {
        let before: usize =
            self.source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let at = self.source[before..]
            .char_indices()
            .nth(column.saturating_sub(1))
            .map_or(self.source.len(), |(offset, _)| before + offset);
        if at < self.source.len() { token(self.source, at) } else { at..at }
    }
}

/// The token that begins at `at`; gaps, comments and texts are one each, a sign that means nothing too.
pub(super) fn token(source: &str, at: usize) -> Range<usize> {
    let rest = &source[at..];
    let prefix = rest.len() - rest.trim_start_matches(['r', 'R', 'b', 'B']).len();
    let length = if prefix <= 2 && rest[prefix..].starts_with(['"', '\'']) {
        prefix + text(&rest[prefix..], rest[..prefix].contains(['r', 'R']).into())
    } else if let Some(name) = rest.strip_prefix('`') {
        name.find('`').map_or(rest.len(), |end| end + 2)
    } else if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("&&") || rest.starts_with("||") {
        2
    } else if rest.starts_with(is_word_char) {
        rest.find(|one| !is_word_char(one)).unwrap_or(rest.len())
    } else if rest.starts_with(char::is_whitespace) {
        rest.len() - rest.trim_start().len()
    } else {
        rest.chars().next().map_or(1, char::len_utf8)
    };
    at..at + length
}

/// Whether a backslash in a text means what follows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backslash {
    Escapes,
    Itself,
}

impl From<bool> for Backslash {
    fn from(raw: bool) -> Self {
        if raw { Self::Itself } else { Self::Escapes }
    }
}

/// The length of the text that `rest` begins with, quotes included.
fn text(rest: &str, backslash: Backslash) -> usize {
    let one = &rest[..1];
    let three = one.repeat(3);
    let quote = if rest.starts_with(&three) { three.as_str() } else { one };
    let mut at = quote.len();
    while at < rest.len() {
        if rest[at..].starts_with(quote) {
            return at + quote.len();
        }
        let mut chars = rest[at..].chars();
        let first = chars.next();
        at += first.map_or(1, char::len_utf8);
        if first == Some('\\') && backslash == Backslash::Escapes {
            at += chars.next().map_or(0, char::len_utf8);
        }
    }
    rest.len()
}

fn is_word_char(one: char) -> bool {
    one.is_ascii_alphanumeric() || one == '_'
}

fn is_word(token: &str) -> bool {
    token.chars().all(is_word_char)
}

fn is_gap(token: &str) -> bool {
    token.starts_with("//") || token.chars().all(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_inside_texts_and_comments_do_not_count() {
        let source = r#"f("(\"", r'\', '''(''', x) // ("#;
        let layout = Layout::read(source).expect("flat");
        assert_eq!(layout.behind_bracket(1), source.find(" //").expect("a comment"));
    }

    #[test]
    fn long_chains_of_and_and_lists_are_flat() {
        let chain = vec!["a.b == 1"; 500].join(" && ");
        assert!(Layout::read(&chain).is_ok());
        let list = format!("x in [{}]", vec!["1"; 2000].join(","));
        assert!(Layout::read(&list).is_ok());
    }

    #[test]
    fn what_would_recurse_too_deep_is_refused() {
        let deep = [
            "(".repeat(BRACKETS + 1),
            vec!["1"; 100].join("+"),
            vec!["1"; 100].join(" in "),
            format!("a{}", "[0]".repeat(100)),
            format!("a{}", ".b".repeat(100)),
            "a ? b : ".repeat(100),
            format!("{}1", "-".repeat(100)),
        ];
        for source in deep {
            assert!(Layout::read(&source).is_err(), "{source}");
        }
    }

    #[test]
    fn a_place_counts_characters_and_gives_bytes() {
        let layout = Layout::read("'é' == 1\n && word").expect("flat");
        assert_eq!(layout.place(1, 8), 8..9);
        assert_eq!(layout.place(2, 5), 14..18);
        assert_eq!(layout.place(9, 9), 18..18);
    }
}
