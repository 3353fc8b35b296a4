//! Rules as written to rules as meant, or all mistakes with their places.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use globset::{Glob, GlobMatcher};
use sha2::{Digest, Sha256};

use crate::model::document::{Diagnostic, Document};
use crate::model::lookalike::{self, Lookalike};
use crate::model::recording::{Action, Wish};
use crate::policy::analysis::{self, Candidate, Setting};
use crate::policy::decide::{Conditions, Pattern, Policy};
use crate::policy::expression::Expression;
use crate::policy::file::{self, WrittenRule};
use crate::policy::rule::{OnRelease, Terms};

/// The longest name of a rule: it stands in every record.
const LONGEST_NAME: usize = 100;
/// The most rules, of all files: as many again as a large policy has, and still read in seconds.
const MOST_RULES: usize = 20_000;

/// Collects the rules of several files into one policy.
#[derive(Debug, Default)]
pub struct Compiler {
    default: Wish,
    rules: Vec<Candidate>,
    /// How many rules were added, those with mistakes too.
    written: usize,
    names: BTreeMap<String, String>,
    hash: Sha256,
    queue_patterns: Vec<PlacedName>,
    globs: Globs,
}

/// The globs that rules have used so far: many rules share the few of a centre, and each takes its time and room.
type Globs = BTreeMap<String, GlobMatcher>;

/// A name that stands for something on the platform, and where it is written: for `check --online`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedName {
    /// As written.
    pub text: String,
    /// A diagnostic that points at it, to be completed with a message.
    pub place: Diagnostic,
}

impl Compiler {
    /// What holds where no rule does.
    pub fn default_wish(&mut self, wish: Wish) {
        self.default = wish;
    }

    /// Adds the text of one file to what the policy's hash covers.
    pub fn cover(&mut self, text: &str) {
        self.hash.update(text.as_bytes());
        self.hash.update([0]);
    }

    /// Adds a file that holds nothing but rules and tests. Its mistakes are in the answer.
    pub fn add_file(&mut self, file: &str, text: &str) -> Vec<Diagnostic> {
        self.cover(text);
        let mut document = Document::new(file, text);
        if let Some(rules) = document.read(file::rules_alone) {
            self.add_rules(&mut document, rules);
        }
        document.into_found()
    }

    /// Adds rules that were read from a document; mistakes are noted there.
    pub fn add_rules(&mut self, document: &mut Document, rules: Vec<WrittenRule>) {
        for rule in rules {
            match self.written.cmp(&MOST_RULES) {
                Ordering::Less => self.add(document, rule),
                Ordering::Equal => {
                    let message =
                        format!("more than {MOST_RULES} rules, all files together: this one is too many");
                    let help = "join rules: one rule takes lists of queues and of values".to_owned();
                    document.mistake(rule.place, message, Some(help));
                }
                Ordering::Greater => return,
            }
            self.written += 1;
        }
    }

    fn add(&mut self, document: &mut Document, rule: WrittenRule) {
        if let Some(name) = &rule.name {
            self.check_name(document, name);
        }
        let when = rule.when.as_ref().and_then(|when| condition(document, when));
        let globs = &mut self.globs;
        let queue = rule.queue.as_ref().map(|texts| {
            texts.iter().filter_map(|one| pattern(document, globs, one)).collect::<Vec<Pattern>>()
        });
        let attributes = rule
            .attributes
            .iter()
            .map(|((key, _), values)| {
                (key.clone(), values.iter().filter_map(|one| pattern(document, globs, one)).collect())
            })
            .collect();
        self.note_queues(document, &rule, when.as_ref());
        warn_of_attributes(document, &rule);
        let written = |list: &[file::Placed]| list.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
        let queues = rule.queue.as_deref().map(written);
        let values =
            rule.attributes.iter().map(|((key, _), values)| (key.clone(), written(values))).collect();
        let expensive = when.as_ref().and_then(analysis::expensive).zip(rule.when.as_ref());
        let expensive = expensive.map(|(price, (source, place))| {
            let at = within(&document.text(), place, source, price.dearest.clone());
            (document.pointer(at), price)
        });
        let (Some((name, place)), Some(action)) = (rule.name, rule.action) else { return };
        let place = document.pointer(place);
        let conditions = Conditions {
            queue,
            attributes,
            flagged: rule.flagged,
            direction: rule.direction,
            media: rule.media,
            when,
        };
        let on_release = rule.on_release.unwrap_or(match action {
            Action::Stop => OnRelease::Restore,
            Action::Start => OnRelease::Keep,
        });
        let terms = Terms {
            name,
            action,
            priority: rule.priority,
            until: rule.until,
            after: rule.after,
            at_most: rule.at_most,
            on_release,
            mode: rule.mode,
            reason: rule.reason,
        };
        self.rules.push(Candidate {
            queue: queues,
            attributes: values,
            flagged: conditions.flagged,
            direction: conditions.direction,
            media: conditions.media.clone(),
            when: conditions.when.clone(),
            terms,
            conditions,
            place,
            expensive,
        });
    }

    fn check_name(&mut self, document: &mut Document, (name, place): &file::Placed) {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let kebab = !name.is_empty()
            && name.chars().all(fits)
            && !name.starts_with('-')
            && !name.ends_with('-')
            && !name.contains("--");
        if !kebab || name.len() > LONGEST_NAME {
            let mut message = format!("'{}' is not a rule name", name.escape_debug());
            let mut at = place.clone();
            if let Some(lookalike) = lookalike::find(name) {
                at = within(&document.text(), place, name, lookalike.span());
                message = format!("{message}: {lookalike}");
            }
            let help = "use lower-case letters a to z, digits and single hyphens, at most 100 of them";
            let other = kebab_of(name).map(|other| format!(", as in '{other}'")).unwrap_or_default();
            document.mistake(at, message, Some(format!("{help}{other}")));
        }
        if [crate::policy::rule::DIRECTIVE, crate::policy::rule::DEFAULT].contains(&name.as_str()) {
            let message = format!("'{name}' stands for something else in records");
            document.mistake(place.clone(), message, Some("give the rule another name".into()));
        }
        let here = document.place_text(place.clone());
        match self.names.entry(name.clone()) {
            Entry::Vacant(free) => drop(free.insert(here)),
            Entry::Occupied(first) => {
                let message = format!("a second rule is called '{name}'");
                let help = format!("the first one is at {}", first.get());
                document.mistake(place.clone(), message, Some(help));
            }
        }
    }

    fn note_queues(&mut self, document: &mut Document, rule: &WrittenRule, when: Option<&Expression>) {
        for (text, place) in rule.queue.iter().flatten() {
            let found = lookalike::find_in_name(text);
            let what = format!("the queue '{}'", text.escape_debug());
            warn_of_lookalikes(document, &what, (text, place), found);
            let place = document.pointer(place.clone());
            self.queue_patterns.push(PlacedName { text: text.clone(), place });
        }
        for ((source, place), when) in rule.when.iter().zip(when) {
            self.queue_patterns.extend(when.queues().into_iter().map(|(span, text)| {
                let at = within(&document.text(), place, source, span);
                PlacedName { text, place: document.pointer(at) }
            }));
        }
    }

    /// The queues that rules name.
    pub fn queue_patterns(&self) -> &[PlacedName] {
        &self.queue_patterns
    }

    /// The rules as written and as meant.
    pub fn rules(&self) -> &[Candidate] {
        &self.rules
    }

    /// What is odd about the rules, though each of them is correct.
    pub fn analyse(&self, directive_priority: i64) -> Vec<Diagnostic> {
        analysis::analyse(&self.rules, Setting { default: self.default, directive_priority })
    }

    /// The policy.
    pub fn finish(self) -> Policy {
        let written = self.rules.iter().map(|one| (one.terms.name.clone(), one.written())).collect();
        let rules = self.rules.into_iter().map(|one| (one.terms, one.conditions)).collect();
        Policy::new(self.default, rules, hex::encode(self.hash.finalize())).written(written)
    }
}

/// The name that is nearest to another text; none where little is left of that.
fn kebab_of(text: &str) -> Option<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    (text.is_ascii() && !name.is_empty() && name.len() <= LONGEST_NAME).then_some(name)
}

/// A name on the platform may be written in any alphabet; one that mixes them in a word is seldom meant.
fn warn_of_lookalikes(
    document: &mut Document,
    what: &str,
    (name, place): (&str, &Range<usize>),
    found: Vec<Lookalike>,
) {
    for lookalike in found {
        let at = within(&document.text(), place, name, lookalike.span());
        let help = "where the platform writes it so too, all is well";
        document.warn(at, format!("{what} may be another than it seems: {lookalike}"), Some(help.into()));
    }
}

fn warn_of_attributes(document: &mut Document, rule: &WrittenRule) {
    for ((key, place), values) in &rule.attributes {
        let found = lookalike::find_in_name(key);
        warn_of_lookalikes(document, &format!("the attribute '{}'", key.escape_debug()), (key, place), found);
        for (value, place) in values {
            let found = lookalike::find_in_name(value);
            let what = format!("the value '{}'", value.escape_debug());
            warn_of_lookalikes(document, &what, (value, place), found);
        }
    }
}

fn pattern(document: &mut Document, globs: &mut Globs, (text, place): &file::Placed) -> Option<Pattern> {
    if !text.contains(['*', '?', '[', '{', '\\']) {
        return Some(Pattern::Exact(text.clone()));
    }
    if let Some(known) = globs.get(text) {
        return Some(Pattern::Glob(known.clone()));
    }
    match glob(text) {
        Ok(matcher) => {
            globs.insert(text.clone(), matcher.clone());
            Some(Pattern::Glob(matcher))
        }
        Err(error) => {
            let help = "write * for any text, ? for one character, [ab] for one of these".to_owned();
            document.mistake(place.clone(), format!("'{text}' is not a glob: {}", error.kind()), Some(help));
            None
        }
    }
}

/// A glob over a name: a `/` in it is a character like any other.
fn glob(text: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(Glob::new(text)?.compile_matcher())
}

fn condition(document: &mut Document, (source, place): &file::Placed) -> Option<Expression> {
    match Expression::compile(source) {
        Ok(expression) => {
            let found = lookalike::find_among_ascii(source);
            warn_of_lookalikes(document, "a text in this condition", (source, place), found);
            for strange in expression.strange_words() {
                let at = within(&document.text(), place, source, strange.span);
                document.warn(at, strange.message, strange.help);
            }
            if let Some((span, error)) = expression.hopeless() {
                let at = within(&document.text(), place, source, span);
                let help = "where nothing beside it settles the condition, the rule counts as not matching";
                document.warn(at, format!("this part always fails: {error}"), Some(help.into()));
            }
            Some(expression)
        }
        Err(mistakes) => {
            for mistake in mistakes {
                let at = within(&document.text(), place, source, mistake.span);
                document.mistake(at, mistake.message, mistake.help);
            }
            None
        }
    }
}

/// The place in the file of a place in a text: to the character, also where the text is written with escapes.
fn within(file: &str, place: &Range<usize>, source: &str, span: Range<usize>) -> Range<usize> {
    let written = file.get(place.clone()).unwrap_or_default();
    if let Some(begin) = written.find(source) {
        return place.start + begin + span.start..place.start + begin + span.end;
    }
    match (escaped(written, source, span.start), escaped(written, source, span.end)) {
        (Some(start), Some(end)) => place.start + start..place.start + end,
        _ => place.clone(),
    }
}

/// Where the byte at `wanted` of a text stands in what it is written as. None where the two don't go together.
fn escaped(written: &str, source: &str, wanted: usize) -> Option<usize> {
    // A line break right behind three quotes is no part of the text.
    let mut at = if source.starts_with(['\n', '\r']) {
        0
    } else {
        written.len() - written.trim_start_matches(['\n', '\r']).len()
    };
    let mut meant = 0;
    while meant < wanted {
        let rest = written.get(at..)?;
        let next = source.get(meant..)?.chars().next()?;
        let Some(sign) = rest.strip_prefix('\\') else {
            if !rest.starts_with(next) {
                return None;
            }
            (at, meant) = (at + next.len_utf8(), meant + next.len_utf8());
            continue;
        };
        at += 1;
        match sign.chars().next()? {
            'u' => at += 5,
            'U' => at += 9,
            // A backslash at the end of a line swallows all space up to the next word.
            space if space.is_whitespace() => {
                at += sign.len() - sign.trim_start().len();
                continue;
            }
            other => at += other.len_utf8(),
        }
        meant += next.len_utf8();
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(text: &str) -> Vec<String> {
        let mut compiler = Compiler::default();
        compiler.add_file("x.toml", text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_place_in_a_text_with_escapes_is_found_to_the_character() {
        let rule = "[[rule]]\nname = 'a'\naction = 'stop'\nwhen = ";
        for (written, place) in [
            (r#""attributes.pci == \"on\" && flaged""#, "4:37"),
            (r#""\u0061ttributes.pci == \"on\" && flaged""#, "4:42"),
            ("\"\"\"\nattributes.pci == \\\"on\\\" \\\n   && flaged\"\"\"", "6:7"),
            ("'flaged'", "4:9"),
        ] {
            let found = warnings(&format!("{rule}{written}\n"));
            let expected = format!("x.toml:{place}: error: there is no variable `flaged`");
            assert!(found.len() == 1 && found[0].starts_with(&expected), "{expected}: {found:?}");
        }
    }

    #[test]
    fn a_lookalike_in_a_value_or_a_condition_is_pointed_at() {
        let text = "[[rule]]\nname = 'a'\naction = 'stop'\nattribute = { pci = '\u{43e}n' }\nwhen = \"attributes.a == \\\"\u{43e}n\\\"\"\n";
        let found = warnings(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].starts_with("x.toml:4:22: warning: the value '\u{43e}n' may be another"),
            "{}",
            found[0]
        );
        assert!(
            found[1].starts_with("x.toml:5:27: warning: a text in this condition may be"),
            "{}",
            found[1]
        );
    }

    #[test]
    fn a_word_that_the_platform_does_not_know_is_pointed_at() {
        let found = warnings("[[rule]]\nname = 'a'\naction = 'stop'\nwhen = 'agent.state == \"conected\"'\n");
        let begin = "x.toml:4:24: warning: \"conected\" is no word that the platform documents for `state`";
        assert!(found.len() == 1 && found[0].starts_with(begin), "{found:?}");
    }

    #[test]
    fn every_word_with_a_lookalike_is_told_and_so_are_spaces_around_names() {
        let text = "[[rule]]\nname = 'a'\naction = 'stop'\nqueue = ['Card ', 'C\u{430}rd P\u{430}y']\n\
                    when = 'attributes.a == \"\u{43e}n\" || attributes.b == \"\u{43e}ff\"'\n";
        let found = warnings(text);
        let places: Vec<&str> = found.iter().map(|one| &one[..one.find(": w").expect("a warning")]).collect();
        assert_eq!(
            places,
            ["x.toml:4:15", "x.toml:4:21", "x.toml:4:26", "x.toml:5:26", "x.toml:5:50"],
            "{found:#?}"
        );
        assert!(found[0].contains("the queue 'Card ' may be another than it seems: it ends with a space"));
    }

    #[test]
    fn a_medium_with_a_lookalike_says_so() {
        let found = warnings("[[rule]]\nname = 'a'\naction = 'stop'\nmedia = ['c\u{430}ll']\n");
        let help = "did you mean 'call'? ('\u{430}' (U+0430) is not the 'a' that it looks like)";
        assert!(found.len() == 1 && found[0].ends_with(help), "{found:?}");
    }

    #[test]
    fn a_part_that_always_fails_is_pointed_at() {
        let found = warnings("[[rule]]\nname = 'a'\naction = 'stop'\nwhen = 'flagged || 1 / 0 == 1'\n");
        assert!(
            found.len() == 1
                && found[0].starts_with("x.toml:4:20: warning: this part always fails: division by zero"),
            "{found:?}"
        );
    }
}
