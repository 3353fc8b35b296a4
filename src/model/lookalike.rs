//! Characters that look like others, or like nothing. A name with one of them is another name than the one that people
//! read, and a rule on it matches nothing.

use std::fmt;
use std::ops::Range;

use unicode_normalization::char::compose;
use unicode_security::confusable_detection::skeleton;

/// A character that is not what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookalike {
    /// Where: its first byte in the text.
    pub at: usize,
    /// The character.
    pub found: char,
    guise: Guise,
}

/// What a character is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guise {
    /// This one.
    Like(char),
    /// Nothing: it cannot be seen.
    Unseen,
    /// Nothing: it is for machines.
    Control,
    /// A plain space.
    Space,
    /// Nothing: it is a space where a text begins or ends.
    Edge(&'static str),
    /// One character together with this mark behind it.
    Composed { mark: char, one: char },
}

impl Lookalike {
    /// Where it stands in the text, in bytes.
    pub fn span(&self) -> Range<usize> {
        let mark = if let Guise::Composed { mark, .. } = self.guise { mark.len_utf8() } else { 0 };
        self.at..self.at + self.found.len_utf8() + mark
    }

    /// Whether a person may well mean it, in a word that has letters of ASCII or none.
    fn is_meant(&self, word: Word, text: Word) -> bool {
        let full_width = ('\u{ff01}'..='\u{ff5e}').contains(&self.found);
        match self.guise {
            Guise::Like(_) => word == Word::Foreign && !full_width,
            // The joiners belong into words of some alphabets.
            Guise::Unseen => word == Word::Foreign && matches!(self.found, '\u{200c}'..='\u{200f}'),
            Guise::Space => text == Word::Foreign && self.found == '\u{3000}',
            Guise::Control | Guise::Edge(_) | Guise::Composed { .. } => false,
        }
    }
}

/// Whether a word has letters of ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Ascii,
    Foreign,
}

impl Word {
    fn of(text: &str) -> Self {
        if text.chars().any(|one| one.is_ascii_alphabetic()) { Self::Ascii } else { Self::Foreign }
    }
}

impl fmt::Display for Lookalike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (found, code) = (self.found, u32::from(self.found));
        match self.guise {
            Guise::Like(like) => write!(f, "'{found}' (U+{code:04X}) is not the '{like}' that it looks like"),
            Guise::Unseen => write!(f, "there is a U+{code:04X} in it, which cannot be seen"),
            Guise::Control => write!(f, "there is a U+{code:04X} in it, a control character"),
            Guise::Space => {
                write!(f, "there is a U+{code:04X} in it, which is not the space that it looks like")
            }
            Guise::Edge(side) => write!(f, "it {side} with a space"),
            Guise::Composed { mark, one } => write!(
                f,
                "'{one}' is written as two characters in it (U+{code:04X} U+{:04X}), not as the one that it looks like (U+{:04X})",
                u32::from(mark),
                u32::from(one)
            ),
        }
    }
}

/// The first character of the text that looks like one of ASCII, or cannot be seen.
pub fn find(text: &str) -> Option<Lookalike> {
    each(text).next()
}

/// Those in a text that are hardly meant: the first one of each word that has letters of ASCII too (words wholly in
/// another alphabet are meant so), and what nobody would write on purpose anywhere.
pub fn find_among_ascii(text: &str) -> Vec<Lookalike> {
    let whole = Word::of(text);
    let (mut found, mut begin) = (Vec::new(), 0);
    for word in text.split_inclusive(|one: char| one.is_whitespace() || one.is_ascii_punctuation()) {
        let kind = Word::of(word);
        let odd = each(word).filter(|one| !one.is_meant(kind, whole));
        let (spaces, others): (Vec<_>, Vec<_>) = odd.partition(|one| one.guise == Guise::Space);
        let told = others.into_iter().take(1).chain(spaces);
        found.extend(told.map(|one| Lookalike { at: begin + one.at, ..one }));
        begin += word.len();
    }
    found
}

/// The same of a name, which has no line breaks in it, and no space around it.
pub fn find_in_name(name: &str) -> Vec<Lookalike> {
    let mut found = find_among_ascii(name);
    let breaks = name.char_indices().filter(|(_, one)| LAYOUT.contains(one));
    found.extend(breaks.map(|(at, found)| Lookalike { at, found, guise: Guise::Control }));
    if !name.trim().is_empty() {
        let edge = |at, side| Lookalike { at, found: ' ', guise: Guise::Edge(side) };
        found.extend(name.starts_with(' ').then(|| edge(0, "begins")));
        found.extend(name.ends_with(' ').then(|| edge(name.len() - 1, "ends")));
    }
    found.sort_by_key(|one| one.at);
    found
}

/// Control characters that a text of several lines may hold.
const LAYOUT: [char; 3] = ['\n', '\r', '\t'];

fn each(text: &str) -> impl Iterator<Item = Lookalike> {
    let next = text.chars().skip(1).map(Some).chain([None]);
    text.char_indices().zip(next).filter_map(|((at, found), next)| {
        let composed = next.and_then(|mark| compose(found, mark).map(|one| Guise::Composed { mark, one }));
        let guise = composed.or_else(|| guise(found))?;
        Some(Lookalike { at, found, guise })
    })
}

fn guise(found: char) -> Option<Guise> {
    if found.is_control() {
        return (!LAYOUT.contains(&found)).then_some(Guise::Control);
    }
    if found.is_ascii() {
        return None;
    }
    if found.is_whitespace() {
        return Some(Guise::Space);
    }
    if is_unseen(found) {
        return Some(Guise::Unseen);
    }
    let mut shape = skeleton(found.encode_utf8(&mut [0; 4])).collect::<Vec<char>>().into_iter();
    match (shape.next(), shape.next()) {
        (Some(like), None) if like.is_ascii_graphic() => Some(Guise::Like(like)),
        _ => None,
    }
}

/// What has no width, the signs that turn the direction of a text among them, and fillers.
fn is_unseen(one: char) -> bool {
    matches!(
        one,
        '\u{ad}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e007f}'
    )
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
        let at = |text| find_among_ascii(text).into_iter().map(|one| one.at).collect::<Vec<_>>();
        assert_eq!(at("VIP \u{41f}\u{440}\u{43e}\u{434}\u{430}\u{436}\u{438}"), [0_usize; 0]);
        assert_eq!(at("Card P\u{430}ym\u{435}nts, C\u{430}rd"), [6, 18]);
        assert_eq!(at("  - Payments"), [0_usize; 0]);
        // Joiners of Persian and of Hindi, the space of Japanese.
        for text in [
            "\u{645}\u{6cc}\u{200c}\u{62e}",
            "\u{915}\u{94d}\u{200d}\u{937}",
            "\u{6771}\u{4eac}\u{3000}\u{5e97}",
        ] {
            assert_eq!(at(text), [0_usize; 0], "{text}");
        }
    }

    #[test]
    fn what_nobody_writes_on_purpose_is_found_in_every_alphabet() {
        let said = |text| find_in_name(text).iter().map(ToString::to_string).collect::<Vec<_>>();
        for (text, told) in [
            ("Pay\u{202e}stnem", "there is a U+202E in it, which cannot be seen"),
            ("\u{2066}Card", "there is a U+2066 in it, which cannot be seen"),
            ("\u{41f}\u{440}\u{2069}", "there is a U+2069 in it, which cannot be seen"),
            ("Card\u{a0}Services", "there is a U+00A0 in it, which is not the space that it looks like"),
            ("Card\u{3000}1", "there is a U+3000 in it, which is not the space that it looks like"),
            ("\u{ff21}\u{ff22}", "'Ａ' (U+FF21) is not the 'A' that it looks like"),
            ("Card Services ", "it ends with a space"),
            (" Card", "it begins with a space"),
            ("X\u{1}Y", "there is a U+0001 in it, a control character"),
            ("X\tY", "there is a U+0009 in it, a control character"),
            (
                "Ca\u{301}rd",
                "'á' is written as two characters in it (U+0061 U+0301), not as the one that it looks like (U+00E1)",
            ),
        ] {
            assert_eq!(said(text), [told], "{text:?}");
        }
        assert_eq!(find_in_name("Ca\u{301}rd")[0].span(), 1..4);
        assert_eq!(said("Stra\u{df}e 24, \u{391}\u{3b8}\u{3ae}\u{3bd}\u{3b1}"), [""; 0]);
        assert!(find_among_ascii("flagged\n  && !agent.held").is_empty());
    }
}
