//! The rules as written: every key of `[policy]` and `[[rule]]`, with its place. Nothing is judged here but
//! the form.

use std::ops::Range;
use std::time::Duration;

use crate::model::conversation::{Direction, Media};
use crate::model::document::Table;
use crate::model::recording::{Action, Wish};
use crate::policy::rule::{Mode, OnRelease, Until};

/// A text and where it stands.
pub type Placed = (String, Range<usize>);

/// One rule as written.
#[derive(Clone, Debug)]
pub struct WrittenRule {
    /// Where it stands.
    pub place: Range<usize>,
    /// Its name, and where that stands; none where that was a mistake.
    pub name: Option<Placed>,
    /// Queue names, globs or ids.
    pub queue: Option<Vec<Placed>>,
    /// Attribute keys and the values that match, any of them.
    pub attributes: Vec<(Placed, Vec<Placed>)>,
    /// Whether a participant must (or must not) carry a flag.
    pub flagged: Option<bool>,
    /// The direction.
    pub direction: Option<Direction>,
    /// The media, any of them.
    pub media: Option<Vec<Media>>,
    /// The CEL condition.
    pub when: Option<Placed>,
    /// What it wants; none where that was a mistake.
    pub action: Option<Action>,
    /// Its priority.
    pub priority: i64,
    /// How long it holds.
    pub until: Until,
    /// How long it must have matched.
    pub after: Duration,
    /// After how long it lets go.
    pub at_most: Option<Duration>,
    /// What happens then.
    pub on_release: Option<OnRelease>,
    /// Whether it is carried out.
    pub mode: Mode,
    /// Why, for the record.
    pub reason: String,
}

/// `[policy]` as written.
#[derive(Clone, Debug, Default)]
pub struct WrittenPolicy {
    /// `default`.
    pub default: Option<Wish>,
    /// `files`: globs of further files.
    pub files: Vec<Placed>,
}

/// Reads `[policy]`.
pub fn policy(table: &mut Table<'_, '_>) -> WrittenPolicy {
    let words = [("leave", Wish::Leave), ("start", Wish::Start), ("stop", Wish::Stop)];
    WrittenPolicy { default: table.word("default", &words), files: table.list("files").unwrap_or_default() }
}

/// Reads every `[[rule]]`, and lets every `[[test]]` stand: those are read by `recwarden test`.
pub fn rules(root: &mut Table<'_, '_>) -> Vec<WrittenRule> {
    root.raw("test");
    root.tables("rule", rule)
}

/// Reads a file that holds nothing but rules and tests: what includes other files is the main file alone, so
/// that no circle can be.
pub fn rules_alone(root: &mut Table<'_, '_>) -> Vec<WrittenRule> {
    if let Some(policy) = root.raw("policy") {
        let help =
            "name every file in policy.files of the main file, and set policy.default there".to_owned();
        root.document().mistake(policy.span.into(), "[policy] stands in the main file alone", Some(help));
    }
    rules(root)
}

/// A rule with a mistake in it is read all the same, so that those in its other keys are found too.
fn rule(table: &mut Table<'_, '_>) -> Option<WrittenRule> {
    let whole = table.place();
    let name = table.text("name");
    // Documentation for people.
    table.string("description");
    let queue = some_of(table, "queue");
    let attributes = table.table("attribute", attribute).unwrap_or_default();
    let flagged = table.truth("flagged");
    let direction = [("inbound", Direction::Inbound), ("outbound", Direction::Outbound)];
    let direction = table.word("direction", &direction);
    let media =
        some_of(table, "media").map(|words| words.iter().filter_map(|word| medium(table, word)).collect());
    let when = table.text("when");
    let action = table.word("action", &[("start", Action::Start), ("stop", Action::Stop)]);
    let priority = table.integer("priority", -1_000_000, 1_000_000).unwrap_or_default();
    let until = table.word("until", &[("unmatched", Until::Unmatched), ("end", Until::End)]);
    let after = table.duration("after").unwrap_or_default();
    let at_most = table.span("at_most");
    let on_release = [("restore", OnRelease::Restore), ("keep", OnRelease::Keep)];
    let on_release = table.word("on_release", &on_release);
    let mode = table.word("mode", &[("enforce", Mode::Enforce), ("observe", Mode::Observe)]);
    let reason = table.string("reason").unwrap_or_default();
    if name.is_none() && table.raw("name").is_none() {
        let help = Some("give it a name of its own, for example name = \"pause-while-card-is-read\"".into());
        table.document().mistake(whole.clone(), "a rule without a name", help);
    }
    if action.is_none() && table.raw("action").is_none() {
        let message = "a rule without an action";
        let help = Some("write action = \"stop\" or action = \"start\"".into());
        table.document().mistake(whole.clone(), message, help);
    }
    Some(WrittenRule {
        place: whole,
        name,
        queue,
        attributes,
        flagged,
        direction,
        media,
        when,
        action,
        priority,
        until: until.unwrap_or_default(),
        after,
        at_most,
        on_release,
        mode: mode.unwrap_or_default(),
        reason,
    })
}

/// A list that must not be empty.
fn some_of(table: &mut Table<'_, '_>, key: &'static str) -> Option<Vec<Placed>> {
    let list = table.list(key)?;
    let place = table.raw(key).map(|value| value.span.into()).unwrap_or_default();
    if list.is_empty() && table.raw(key).and_then(|value| value.as_array()).is_some_and(Vec::is_empty) {
        let message = format!("'{key}' is an empty list, so the rule can never match");
        table.document().mistake(place, message, Some("leave the key out to match any".into()));
    }
    for (_, place) in list.iter().filter(|(text, _)| text.trim().is_empty()) {
        let help = "write a name, or leave the key out to match any".to_owned();
        table.document().mistake(place.clone(), format!("'{key}' holds an empty text"), Some(help));
    }
    Some(list)
}

fn attribute(table: &mut Table<'_, '_>) -> Vec<(Placed, Vec<Placed>)> {
    table.accept_all();
    let mut all = Vec::new();
    for (key, place, value) in table.entries() {
        let items = value.as_array().map_or_else(|| vec![value], |items| items.iter().collect());
        let mut values = Vec::new();
        for item in items {
            match item.as_str() {
                Some(text) => values.push((text.to_owned(), item.span.into())),
                None => table.wanted(
                    item,
                    &key,
                    "a text, or a list of texts: the platform's attributes are texts",
                ),
            }
        }
        if value.as_array().is_some_and(Vec::is_empty) {
            let message = format!("'{key}' is an empty list, so the rule can never match");
            let help = "leave the key out to match any value";
            table.document().mistake(value.span.into(), message, Some(help.into()));
        }
        all.push(((key, place), values));
    }
    all
}

fn medium(table: &mut Table<'_, '_>, (word, place): &Placed) -> Option<Media> {
    let found = Media::ALL.into_iter().find(|media| media.as_str() == word);
    if found.is_none() {
        let known = Media::ALL.map(Media::as_str);
        let help = crate::model::document::did_you_mean(word, known);
        let message = format!("'{word}' is not a medium; it must be one of: {}", known.join(", "));
        table.document().mistake(place.clone(), message, help);
    }
    found
}
