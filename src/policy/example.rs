//! Rule tests, `[[test]]` as written to tests as meant, or all mistakes with their places (PRODUCT.md 3).
//!
//! A test is a live call and what happens to it. What `given` and `set` leave out has a default: an inbound
//! call, the customer and one agent connected, the recording active.

mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use toml_span::Value;

use crate::model::conversation::{Direction, Media};
use crate::model::document::{Diagnostic, Document, Table, instead};
use crate::model::recording::{Action, Observed, Wish};
use crate::policy::decide::Policy;
use crate::policy::rule::{DEFAULT, DIRECTIVE};
use crate::policy::subject::Facts;

pub use scene::ordinary_call;

/// A text, and a diagnostic that points at it and has no message yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointed {
    /// The text.
    pub text: String,
    /// Where it stands.
    pub place: Diagnostic,
}

/// One rule test.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Its name.
    pub name: Pointed,
    /// The call as it begins; none where the first step brings an event instead.
    pub given: Option<Change>,
    /// What happens to it.
    pub steps: Vec<Step>,
}

/// One step of a test: what happens, in this order, and what the policy must say then.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where it stands.
    pub place: Diagnostic,
    /// So much time passes.
    pub advance: Option<Duration>,
    /// A captured event comes: the file, relative to the one that holds the test.
    pub event: Option<Pointed>,
    /// The call changes.
    pub set: Option<Change>,
    /// Another system pushes facts.
    pub facts: Option<Facts>,
    /// A directive comes, or is released.
    pub directive: Option<Ordered>,
    /// What the policy must say.
    pub expect: Option<Wish>,
    /// The rule that must say it.
    pub rule: Option<Pointed>,
    /// The rule in observe mode that must be the one that would have decided.
    pub would: Option<Pointed>,
}

/// What a step orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// A directive that stands, for so long where that is said.
    Set(Action, Option<Duration>),
    /// What was ordered before is over.
    Release,
}

/// What is told of a call; the rest stays as it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Name or id of the queue it is in now.
    pub queue: Option<String>,
    /// Participant data.
    pub attributes: BTreeMap<String, String>,
    /// Facts pushed for it.
    pub facts: Facts,
    /// Whether a participant carries a flag.
    pub flagged: Option<bool>,
    /// The direction.
    pub direction: Option<Direction>,
    /// The kind.
    pub media: Option<Media>,
    /// What somebody else makes of the recording.
    pub recording: Option<Observed>,
    /// What becomes of the agent.
    pub agent: Option<Agent>,
    /// Everybody left.
    pub ended: Option<bool>,
}

/// What an agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// Talks.
    Connected,
    /// Is rung.
    Alerting,
    /// Has put the call on hold.
    Held,
    /// Left.
    Gone,
}

/// The tests of one file, and what is wrong with them. A text that is no TOML is for the rules' reader to say.
pub fn read(file: &str, text: &str) -> (Vec<Example>, Vec<Diagnostic>) {
    // Most rule files hold no tests, and reading them twice would be in vain.
    if !text.contains("test") {
        return (Vec::new(), Vec::new());
    }
    let mut document = Document::new(file, text);
    let examples = document.read(|root| {
        root.accept_all();
        root.tables("test", example)
    });
    match examples {
        Some(examples) => (examples, document.into_found()),
        None => (Vec::new(), Vec::new()),
    }
}

/// The document as it is after its tests were read.
#[cfg(test)]
pub(crate) fn document(text: &str) -> Document {
    let mut document = Document::new("x.toml", text);
    document.read(|root| {
        root.accept_all();
        root.tables("test", example)
    });
    document
}

/// Names that are given to several tests.
pub fn named_twice<'e>(examples: impl Iterator<Item = &'e Example>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut names: BTreeMap<&str, &Diagnostic> = BTreeMap::new();
    for Example { name: Pointed { text, place }, .. } in examples {
        let first = *names.entry(text).or_insert(place);
        if !std::ptr::eq(first, place) {
            let help = format!("the first one is at {}:{}:{}", first.file, first.line, first.column);
            let message = format!("a second test is called '{text}'");
            found.push(Diagnostic { message, help: Some(help), ..place.clone() });
        }
    }
    found
}

/// Rules that tests name and that do not exist.
pub fn unknown_rules<'e>(examples: impl Iterator<Item = &'e Example>, policy: &Policy) -> Vec<Diagnostic> {
    let rules: BTreeSet<&str> = policy.terms().iter().map(|one| one.name.as_str()).collect();
    let known = || rules.iter().copied().chain([DIRECTIVE, DEFAULT]);
    let mut found = Vec::new();
    for named in examples.flat_map(|one| &one.steps).flat_map(|step| [&step.rule, &step.would]).flatten() {
        let name = named.text.as_str();
        if !rules.contains(name) && ![DIRECTIVE, DEFAULT].contains(&name) {
            let help = instead(name, known());
            let message = format!("there is no rule '{name}'");
            found.push(Diagnostic { message, help, ..named.place.clone() });
        }
    }
    found
}

fn example(table: &mut Table<'_, '_>) -> Option<Example> {
    let whole = table.place();
    let name = table.text("name").filter(|(name, _)| !name.trim().is_empty());
    // Documentation for people.
    table.string("description");
    let given = table.table("given", change);
    let steps = table.tables("steps", step);
    let Some((text, place)) = name else {
        let help = "write name = \"a card number is not recorded\"".to_owned();
        table.document().mistake(whole, "a test without a name", Some(help));
        return None;
    };
    let help = || Some("write steps = [{ expect = \"stop\" }]".to_owned());
    let expects = |step: &Step| step.expect.is_some() || step.would.is_some();
    let place_of_steps = table.raw("steps").map(|steps| steps.span.into());
    match place_of_steps {
        None => table.document().mistake(place.clone(), "a test without steps", help()),
        Some(place) if !steps.iter().any(expects) && !table.document().has_errors() => {
            table.document().mistake(place, "a test that expects nothing, and so cannot fail", help());
        }
        Some(_) => {}
    }
    let place = table.document().pointer(place);
    let by_event = given.is_none() && steps.first().is_some_and(|step| step.event.is_some());
    let given = given.or_else(|| (!by_event).then(Change::default));
    Some(Example { name: Pointed { text, place }, given, steps })
}

fn step(table: &mut Table<'_, '_>) -> Option<Step> {
    let whole = table.place();
    let advance = table.span("advance");
    let event = pointed(table, "event");
    let set = table.table("set", change);
    let facts = table.table("facts", facts);
    let orders = [
        ("start", Ordered::Set(Action::Start, None)),
        ("stop", Ordered::Set(Action::Stop, None)),
        ("release", Ordered::Release),
    ];
    let directive = table.word("directive", &orders);
    let directive = ordered_for(table, directive);
    let expect =
        table.word("expect", &[("start", Wish::Start), ("stop", Wish::Stop), ("leave", Wish::Leave)]);
    let rule = pointed(table, "rule");
    let would = pointed(table, "would");
    if rule.is_some() && table.raw("expect").is_none() {
        let help = Some("write expect = \"stop\" (or \"start\", or \"leave\") beside it".to_owned());
        table.document().mistake(whole.clone(), "a step with a rule but without 'expect'", help);
    }
    let place = table.document().pointer(whole);
    Some(Step { place, advance, event, set, facts, directive, expect, rule, would })
}

/// `for = "10m"` beside `directive`: so long it stands.
fn ordered_for(table: &mut Table<'_, '_>, directive: Option<Ordered>) -> Option<Ordered> {
    let lasts = table.span("for");
    match (directive, table.raw("for")) {
        (Some(Ordered::Set(action, _)), _) => Some(Ordered::Set(action, lasts)),
        (other, None) => other,
        (other, Some(value)) => {
            if other.is_some() || table.raw("directive").is_none() {
                let help = "write directive = \"stop\" (or \"start\") beside it".to_owned();
                let message = "'for' says how long a directive stands, and there is none";
                table.document().mistake(value.span.into(), message, Some(help));
            }
            other
        }
    }
}

fn pointed(table: &mut Table<'_, '_>, key: &'static str) -> Option<Pointed> {
    let (text, place) = table.text(key)?;
    Some(Pointed { text, place: table.document().pointer(place) })
}

fn change(table: &mut Table<'_, '_>) -> Change {
    let queue = table.string("queue");
    // The plural is that of `when`, the singular that of a rule's key.
    let mut attributes = table.table("attributes", texts).unwrap_or_default();
    attributes.extend(table.table("attribute", texts).unwrap_or_default());
    let direction = [("inbound", Direction::Inbound), ("outbound", Direction::Outbound)];
    let recording = [
        ("active", Observed::Active),
        ("paused", Observed::Paused),
        ("suspended", Observed::Suspended),
        ("none", Observed::None),
    ];
    let agent = [
        ("connected", Agent::Connected),
        ("alerting", Agent::Alerting),
        ("held", Agent::Held),
        ("gone", Agent::Gone),
    ];
    Change {
        queue,
        attributes,
        facts: table.table("facts", facts).unwrap_or_default(),
        flagged: table.truth("flagged"),
        direction: table.word("direction", &direction),
        media: table.word("media", &Media::ALL.map(|media| (media.as_str(), media))),
        recording: table.word("recording", &recording),
        agent: table.word("agent", &agent),
        ended: table.truth("ended"),
    }
}

fn texts(table: &mut Table<'_, '_>) -> BTreeMap<String, String> {
    table.accept_all();
    let mut all = BTreeMap::new();
    for (key, _, value) in table.entries() {
        match value.as_str() {
            Some(text) => {
                all.insert(key, text.to_owned());
            }
            None => table.wanted(value, &key, "a text: the platform's attributes are texts"),
        }
    }
    all
}

fn facts(table: &mut Table<'_, '_>) -> Facts {
    table.accept_all();
    let mut all = Facts::new();
    for (key, _, value) in table.entries() {
        match json(value) {
            Ok(value) => {
                all.insert(key, value);
            }
            Err(place) => {
                table.document().mistake(place, format!("'{key}' must be a value that JSON can hold"), None);
            }
        }
    }
    all
}

/// A TOML value as JSON, or the place of what JSON does not have (infinity, not-a-number).
fn json(value: &Value<'_>) -> Result<serde_json::Value, Range<usize>> {
    if let Some(table) = value.as_table() {
        let entries = table.iter().map(|(key, value)| Ok((key.name.to_string(), json(value)?)));
        return entries.collect::<Result<_, _>>().map(serde_json::Value::Object);
    }
    if let Some(items) = value.as_array() {
        return items.iter().map(json).collect::<Result<_, _>>().map(serde_json::Value::Array);
    }
    let float = |number| serde_json::Number::from_f64(number).map(serde_json::Value::Number);
    let text = value.as_str().map(serde_json::Value::from);
    let plain =
        text.or_else(|| value.as_bool().map(Into::into)).or_else(|| value.as_integer().map(Into::into));
    plain.or_else(|| value.as_float().and_then(float)).ok_or_else(|| value.span.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::compile::Compiler;

    /// A step of every kind.
    const ALL: &str = "[[test]]\nname = 'all that there is'\n\
        given = { queue = 'Payments' }\n\
        steps = [{ expect = 'stop', rule = 'card' }, { advance = '15m', expect = 'start' },\n\
        { set = { attributes = { pci = 'off' } } },\n\
        { event = 'e.json', expect = 'stop' }, { facts = { fraud = true }, expect = 'leave' },\n\
        { directive = 'stop' }]\n";

    fn found(text: &str) -> Vec<String> {
        read("rules.toml", text).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_test_is_read_with_all_that_a_step_can_hold() {
        let (examples, found) = read("rules.toml", ALL);
        assert_eq!((examples.len(), found), (1, Vec::new()));
        let example = &examples[0];
        let given = example.given.as_ref().expect("given");
        assert_eq!(given.queue.as_deref(), Some("Payments"));
        let steps: Vec<Option<Wish>> = example.steps.iter().map(|step| step.expect).collect();
        let [stop, start, leave] = [Wish::Stop, Wish::Start, Wish::Leave].map(Some);
        assert_eq!(steps, [stop, start, None, stop, leave, None]);
        assert_eq!(example.steps[0].rule.as_ref().map(|rule| rule.text.as_str()), Some("card"));
        assert_eq!(example.steps[1].advance, Some(Duration::from_secs(900)));
        assert_eq!(example.steps[4].facts.as_ref().and_then(|facts| facts.get("fraud")), Some(&true.into()));
        assert_eq!(example.steps[5].directive, Some(Ordered::Set(Action::Stop, None)));
        assert_eq!(example.steps[3].place.line, 6);
    }

    #[test]
    fn a_test_that_begins_with_an_event_is_given_no_other_call() {
        let given = |text: &str| read("x", text).0[0].given.clone();
        assert_eq!(given("[[test]]\nname = 'a'\nsteps = [{ event = 'e.json' }]\n"), None);
        assert_eq!(given("[[test]]\nname = 'a'\nsteps = [{ expect = 'leave' }]\n"), Some(Change::default()));
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let text = "[[test]]\nname = 'a'\ngiven = { queu = 'x', attributes = { n = 1 }, recording = 'pause' }\n\
                    steps = [{ expct = 'stop' }, { rule = 'r' }, { advance = '0s' }]\n[[test]]\nname = 'b'\n[[test]]\n";
        let found = found(text).join("\n");
        for wanted in [
            "rules.toml:3:11: error: unknown key 'queu' in [given]",
            "help: did you mean 'queue'?",
            "'n' must be a text: the platform's attributes are texts",
            "'pause' is not a recording; it must be one of: active, paused, suspended, none",
            "rules.toml:4:12: error: unknown key 'expct' in [[steps]]",
            "a step with a rule but without 'expect'",
            "'advance' must be longer than zero",
            "rules.toml:6:9: error: a test without steps",
            "a test without a name",
        ] {
            assert!(found.contains(wanted), "{wanted} is not in\n{found}");
        }
    }

    #[test]
    fn a_rule_that_does_not_exist_and_a_name_given_twice_are_told() {
        let mut compiler = Compiler::default();
        assert_eq!(compiler.add_file("r", "[[rule]]\nname = 'card'\naction = 'stop'\n"), []);
        let text = "[[test]]\nname = 'a'\nsteps = [{ expect = 'stop', rule = 'cart' }, { expect = 'leave', rule = 'default' }]\n\
                    [[test]]\nname = 'a'\nsteps = [{ expect = 'leave' }]\n[[test]]\nname = 'a'\nsteps = [{ expect = 'leave' }]\n";
        let (examples, _) = read("t", text);
        let mut found = unknown_rules(examples.iter(), &compiler.finish());
        found.extend(named_twice(examples.iter()));
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[2].ends_with("the first one is at t:2:9"), "{}", found[2]);
        assert!(
            found[0].starts_with("t:3:37: error: there is no rule 'cart'") && found[0].ends_with("'card'?"),
            "{}",
            found[0]
        );
        assert!(found[1].starts_with("t:5:9: error: a second test is called 'a'"), "{}", found[1]);
    }

    #[test]
    fn a_directive_stands_for_as_long_as_is_said() {
        let step = |step: &str| read("x", &format!("[[test]]\nname = 'a'\nsteps = [{step}]\n"));
        let (examples, found) = step("{ directive = 'stop', for = '10m', expect = 'stop' }");
        let ten_minutes = Some(Duration::from_secs(600));
        assert_eq!(
            (found.len(), examples[0].steps[0].directive),
            (0, Some(Ordered::Set(Action::Stop, ten_minutes)))
        );
        for wrong in ["for = '10m'", "directive = 'release', for = '10m'"] {
            let (_, found) = step(&format!("{{ {wrong}, expect = 'stop' }}"));
            assert!(
                found.len() == 1 && found[0].message.contains("how long a directive stands"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_test_that_expects_nothing_is_a_mistake() {
        for steps in ["[]", "[{ set = { flagged = true } }]"] {
            let found = found(&format!("[[test]]\nname = 'a'\nsteps = {steps}\n"));
            assert!(
                found.len() == 1
                    && found[0].starts_with("rules.toml:3:9: error: a test that expects nothing"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn facts_are_json() {
        let text = "[[test]]\nname = 'a'\nsteps = [{ expect = 'leave', facts = { a = [1, 2.5, 'x', { b = true }], c = inf } }]\n";
        let (examples, found) = read("x", text);
        let facts = examples[0].steps[0].facts.clone().expect("facts");
        assert_eq!(facts.get("a"), Some(&serde_json::json!([1, 2.5, "x", {"b": true}])));
        assert!(found.len() == 1 && found[0].message.contains("'c'"), "{found:?}");
    }
}
