//! Characters that look like others. A name with one of them is another name than the one that people read,
//! and a rule on it matches nothing.

use std::fmt;

use unicode_security::confusable_detection::skeleton;

/// A character that is not what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookalike {
    /// Where: its first byte in the text.
    pub at: usize,
    /// The character.
    pub found: char,
    /// What it looks like; none: it cannot be seen.
    pub like: Option<char>,
}

impl fmt::Display for Lookalike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = u32::from(self.found);
        match self.like {
            Some(like) => write!(f, "'{}' (U+{code:04X}) is not the '{like}' that it looks like", self.found),
            None => write!(f, "there is a U+{code:04X} in it, which cannot be seen"),
        }
    }
}

/// The first character of the text that looks like one of ASCII, or cannot be seen.
pub fn find(text: &str) -> Option<Lookalike> {
    text.char_indices().find_map(|(at, found)| lookalike(at, found))
}

/// The first one inside a word that has letters of ASCII too: words wholly in another alphabet are meant so.
pub fn find_among_ascii(text: &str) -> Option<Lookalike> {
    let mut begin = 0;
    text.split(|one: char| one.is_whitespace() || one.is_ascii_punctuation()).find_map(|word| {
        let at = begin + text[begin..].find(word).unwrap_or(0);
        begin = at + word.len();
        let mixed = word.chars().any(|one| one.is_ascii_alphabetic());
        find(word).filter(|_| mixed).map(|one| Lookalike { at: at + one.at, ..one })
    })
}

fn lookalike(at: usize, found: char) -> Option<Lookalike> {
    if found.is_ascii() {
        return None;
    }
    if matches!(found, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}') {
        return Some(Lookalike { at, found, like: None });
    }
    let mut shape = skeleton(found.encode_utf8(&mut [0; 4])).collect::<Vec<char>>().into_iter();
    match (shape.next(), shape.next()) {
        (Some(like), None) if like.is_ascii_graphic() => Some(Lookalike { at, found, like: Some(like) }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_other_alphabets_dashes_and_the_unseen_are_found() {
        let said = |text| find(text).map(|one| (one.at, one.to_string()));
        assert_eq!(said("p\u{430}use"), Some((1, "'а' (U+0430) is not the 'a' that it looks like".into())));
        assert_eq!(said("a\u{2010}b"), Some((1, "'‐' (U+2010) is not the '-' that it looks like".into())));
        assert_eq!(said("a\u{200b}b"), Some((1, "there is a U+200B in it, which cannot be seen".into())));
        assert_eq!(said("Zürich, Göteborg, São Paulo, 東京"), None);
    }

    #[test]
    fn a_word_wholly_in_another_alphabet_is_meant() {
        assert_eq!(find_among_ascii("VIP \u{41f}\u{440}\u{43e}\u{434}\u{430}\u{436}\u{438}"), None);
        assert_eq!(find_among_ascii("Card P\u{430}yments").map(|one| one.at), Some(6));
        assert_eq!(find_among_ascii("  - Payments"), None);
    }
}
