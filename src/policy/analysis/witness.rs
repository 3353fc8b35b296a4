//! A conversation on which rules hold, made from what they apply to.
//!
//! It is a guess until the rules themselves have been asked: whoever uses it evaluates them on it.

use std::fmt::Write;

use globset::GlobMatcher;

use super::scope::{Bound, QUEUE, Scope};
use crate::model::conversation::{Conversation, Direction, LegState, Media, Participant, QueueRef};
use crate::model::ids::{ConversationId, QueueId};
use crate::policy::expression::{DIRECTION, Edge, FLAGGED, Literal, MEDIA, QUEUE_NAME, key};
use crate::policy::subject::Facts;

/// A conversation and the facts pushed for it.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// The conversation: a customer and one agent, connected.
    pub conversation: Conversation,
    /// Facts.
    pub facts: Facts,
    /// It in a few words, for people.
    pub told: String,
}

/// Globs of one term that are tried with each other.
const MOST_JOINED: usize = 20;

/// A queue that no rule names by id.
const SOME_QUEUE: &str = "5f3c1a52-0000-4000-8000-000000000001";

impl Scope {
    /// A conversation that should be in the scope; none where no value was found for a term that one
    /// can be chosen for.
    pub(super) fn witness(&self) -> Option<Witness> {
        let mut customer = leg("customer");
        let mut agent = leg("agent");
        let mut facts = Facts::new();
        let mut told = String::new();
        let mut media = Media::Call;
        for (term, bounds) in self.bounds() {
            if let Some(key) = key(term, "Attributes").map(str::to_owned) {
                let value = choose(bounds).filter(|value| matches!(value, Literal::Text(_)))?;
                push(&mut told, &format!("attribute {key} = {}", shown(&value)));
                customer.attributes.insert(key, plain(&value));
            } else if let Some(key) = key(term, "Facts").map(str::to_owned) {
                let value = choose(bounds)?;
                push(&mut told, &format!("fact {key} = {}", shown(&value)));
                facts.insert(key, json(&value));
            } else if term == FLAGGED && choose(bounds)? == Literal::Bool(true) {
                push(&mut told, "flagged");
                customer.flagged_reason = "general".into();
            } else if term == MEDIA {
                let word = plain(&choose(bounds)?);
                push(&mut told, &format!("media {word}"));
                media = Media::ALL.into_iter().find(|one| one.as_str() == word)?;
            } else if term == DIRECTION {
                let word = plain(&choose(bounds)?);
                push(&mut told, &word);
                let all = [Direction::Inbound, Direction::Outbound];
                customer.direction = Some(all.into_iter().find(|one| one.as_str() == word)?);
            }
        }
        let queue: Vec<Bound> = [QUEUE, QUEUE_NAME]
            .iter()
            .filter_map(|term| self.bounds().get(*term))
            .flatten()
            .cloned()
            .collect();
        if !queue.is_empty() {
            let name = plain(&choose(&queue)?);
            push(&mut told, &format!("queue '{name}'"));
            let id = if uuid::Uuid::parse_str(&name).is_ok() { name.as_str() } else { SOME_QUEUE };
            agent.queue = QueueRef { id: QueueId::new(id), name: name.clone() };
        }
        for one in [&mut customer, &mut agent] {
            one.media = media;
        }
        let id = ConversationId::new("5f3c1a52-0000-4000-8000-000000000002");
        let conversation =
            Conversation { id, media, participants: vec![customer, agent], ..Conversation::default() };
        Some(Witness { conversation, facts, told })
    }
}

fn leg(purpose: &str) -> Participant {
    Participant {
        purpose: purpose.to_owned(),
        state: LegState::Connected,
        direction: Some(Direction::Inbound),
        ..Participant::default()
    }
}

fn push(told: &mut String, what: &str) {
    let comma = if told.is_empty() { "" } else { ", " };
    // Writing into a text cannot fail.
    write!(told, "{comma}{what}").ok();
}

fn plain(value: &Literal) -> String {
    match value {
        Literal::Text(text) => text.clone(),
        Literal::Bool(value) => value.to_string(),
        Literal::Int(value) => value.to_string(),
    }
}

fn shown(value: &Literal) -> String {
    if let Literal::Text(text) = value { format!("'{text}'") } else { plain(value) }
}

fn json(value: &Literal) -> serde_json::Value {
    match value {
        Literal::Text(text) => text.clone().into(),
        Literal::Bool(value) => (*value).into(),
        Literal::Int(value) => (*value).into(),
    }
}

/// A value within all bounds.
fn choose(bounds: &[Bound]) -> Option<Literal> {
    let named = bounds.iter().flat_map(suggestions);
    let joined = joined(bounds).into_iter().map(Literal::Text);
    let plain = ["", "x"].map(|text| Literal::Text(text.to_owned()));
    let others = plain.into_iter().chain([Literal::Bool(true), Literal::Bool(false)]);
    named.chain(joined).chain(others).find(|value| bounds.iter().all(|bound| bound.admits(value)))
}

/// Texts that begin as one glob wants and end as another one does: `Pay*` and `*EU` have `PayEU`.
fn joined(bounds: &[Bound]) -> Vec<String> {
    let globs = || {
        let choices =
            bounds.iter().filter_map(|one| if let Bound::OneOf(choice) = one { Some(choice) } else { None });
        choices.flat_map(|choice| choice.globs()).map(|(text, _)| text.as_str()).take(MOST_JOINED)
    };
    let begins = globs().filter_map(|glob| glob.strip_suffix('*'));
    begins
        .flat_map(|begin| globs().filter_map(move |glob| Some(format!("{begin}{}", glob.strip_prefix('*')?))))
        .collect()
}

fn suggestions(bound: &Bound) -> Vec<Literal> {
    match bound {
        Bound::OneOf(choice) => {
            let fitting = choice.globs().iter().flat_map(|(text, glob)| concrete(text, glob));
            choice.literals().iter().cloned().chain(fitting.map(Literal::Text)).collect()
        }
        Bound::NoneOf(_) => Vec::new(),
        Bound::Above(bound, Edge::Within) | Bound::Below(bound, Edge::Within) => vec![Literal::Int(*bound)],
        Bound::Above(bound, Edge::Beyond) => vec![Literal::Int(bound + 1)],
        Bound::Below(bound, Edge::Beyond) => vec![Literal::Int(bound - 1)],
    }
}

/// Texts that a glob matches: `Card *` becomes `Card 1`.
pub(super) fn concrete(text: &str, glob: &GlobMatcher) -> Vec<String> {
    let fillings = ["1", "", "x"];
    let mut all: Vec<String> = fillings.iter().filter_map(|filling| filled(text, filling)).collect();
    all.retain(|one| glob.is_match(one));
    all
}

fn filled(glob: &str, filling: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = glob.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' if out.ends_with(filling) && !filling.is_empty() => {}
            '*' => out.push_str(filling),
            '?' => out.push('x'),
            '\\' => out.push(rest.next()?),
            '[' => {
                let class: Vec<char> = rest.by_ref().take_while(|c| *c != ']').collect();
                let negated = matches!(class.first(), Some('!' | '^'));
                out.push(if negated { '~' } else { *class.first()? });
            }
            '{' => {
                let choices: String = rest.by_ref().take_while(|c| *c != '}').collect();
                out.push_str(choices.split(',').next().unwrap_or_default());
            }
            other => out.push(other),
        }
    }
    Some(out)
}
