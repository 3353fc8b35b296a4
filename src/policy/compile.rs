//! Rules as written to rules as meant, or all mistakes with their places.

use std::ops::Range;

use globset::{Glob, GlobMatcher};
use sha2::{Digest, Sha256};

use crate::model::document::{Diagnostic, Document};
use crate::model::lookalike;
use crate::model::recording::{Action, Wish};
use crate::policy::analysis::{self, Candidate, Setting};
use crate::policy::decide::{Conditions, Pattern, Policy};
use crate::policy::expression::Expression;
use crate::policy::file::{self, WrittenRule};
use crate::policy::rule::{OnRelease, Terms};

/// The longest name of a rule: it stands in every record.
const LONGEST_NAME: usize = 100;

/// Collects the rules of several files into one policy.
#[derive(Debug, Default)]
pub struct Compiler {
    default: Wish,
    rules: Vec<Candidate>,
    names: std::collections::BTreeMap<String, String>,
    hash: Sha256,
    queue_patterns: Vec<PlacedName>,
}

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
            self.add(document, rule);
        }
    }

    fn add(&mut self, document: &mut Document, rule: WrittenRule) {
        if let Some(name) = &rule.name {
            self.check_name(document, name);
        }
        let when = rule.when.as_ref().and_then(|when| condition(document, when));
        let queue = rule
            .queue
            .as_ref()
            .map(|texts| texts.iter().filter_map(|one| pattern(document, one)).collect::<Vec<Pattern>>());
        let attributes = rule
            .attributes
            .iter()
            .map(|((key, _), values)| {
                (key.clone(), values.iter().filter_map(|one| pattern(document, one)).collect())
            })
            .collect();
        self.note_queues(document, &rule);
        for ((key, place), _) in &rule.attributes {
            warn_of_lookalikes(document, "attribute", (key, place));
        }
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
                let span = lookalike.at..lookalike.at + lookalike.found.len_utf8();
                at = within(&document.text(), place, name, span);
                message = format!("{message}: {lookalike}");
            }
            let help =
                "use lower-case letters a to z, digits and single hyphens, at most 100 of them".to_owned();
            document.mistake(at, message, Some(help));
        }
        if [crate::policy::rule::DIRECTIVE, crate::policy::rule::DEFAULT].contains(&name.as_str()) {
            let message = format!("'{name}' stands for something else in records");
            document.mistake(place.clone(), message, Some("give the rule another name".into()));
        }
        let here = document.place_text(place.clone());
        if let Some(first) = self.names.insert(name.clone(), here) {
            let message = format!("a second rule is called '{name}'");
            document.mistake(place.clone(), message, Some(format!("the first one is at {first}")));
        }
    }

    fn note_queues(&mut self, document: &mut Document, rule: &WrittenRule) {
        for (text, place) in rule.queue.iter().flatten() {
            warn_of_lookalikes(document, "queue", (text, place));
            let place = document.pointer(place.clone());
            self.queue_patterns.push(PlacedName { text: text.clone(), place });
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

/// A name on the platform may be written in any alphabet; one that mixes them in a word is seldom meant.
fn warn_of_lookalikes(document: &mut Document, what: &str, (name, place): (&str, &Range<usize>)) {
    if let Some(lookalike) = lookalike::find_among_ascii(name) {
        let span = lookalike.at..lookalike.at + lookalike.found.len_utf8();
        let at = within(&document.text(), place, name, span);
        let help = "where the platform writes it with this character too, all is well";
        let message =
            format!("the {what} '{}' may be another than it seems: {lookalike}", name.escape_debug());
        document.warn(at, message, Some(help.into()));
    }
}

fn pattern(document: &mut Document, (text, place): &file::Placed) -> Option<Pattern> {
    if !text.contains(['*', '?', '[', '{', '\\']) {
        return Some(Pattern::Exact(text.clone()));
    }
    match glob(text) {
        Ok(matcher) => Some(Pattern::Glob(matcher)),
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
        Ok(expression) => Some(expression),
        Err(mistakes) => {
            for mistake in mistakes {
                let at = within(&document.text(), place, source, mistake.span);
                document.mistake(at, mistake.message, mistake.help);
            }
            None
        }
    }
}

/// The place in the file of a place in an expression. Where the text stands in the file as it is (no
/// escapes), to the character; else the whole text.
fn within(file: &str, place: &Range<usize>, source: &str, span: Range<usize>) -> Range<usize> {
    let written = file.get(place.clone()).unwrap_or_default();
    match written.find(source) {
        Some(begin) => place.start + begin + span.start..place.start + begin + span.end,
        None => place.clone(),
    }
}
