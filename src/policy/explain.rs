//! Why each rule matches a conversation or does not: the first condition that differs, in the order in which
//! a person would read the rule, with the value seen and the value needed.
//!
//! The explanation is worked out anew from the conditions and says the same as `policy::decide`; it costs
//! what nobody needs while events come in. It holds what was read, personal data included.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::conversation::Direction;
use crate::model::recording::Action;
use crate::model::time::Wall;
use crate::policy::decide::{Conditions, Pattern, Policy};
use crate::policy::rule::{Mode, Terms};
use crate::policy::subject::Subject;

/// So many wanted values are written out.
const WRITTEN: usize = 10;

/// One rule, and how it stands to one conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The rule.
    pub rule: String,
    /// What it wants.
    pub action: Action,
    /// Its priority.
    pub priority: i64,
    /// Whether its verdict is carried out.
    pub mode: Carried,
    /// Its reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Whether its conditions hold now.
    #[serde(flatten)]
    pub fit: Fit,
    /// Where its hold stands; none where it has none, or where nothing is known of holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Standing>,
}

/// Whether a verdict is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carried {
    /// It is.
    Enforce,
    /// It is journaled only.
    Observe,
}

/// Whether a rule's conditions hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "result")]
pub enum Fit {
    /// All do.
    Matched,
    /// One does not.
    Differs {
        /// The first one.
        first: Miss,
    },
    /// `when` has no value; that counts as no match.
    Failed {
        /// The part without a value.
        first: Miss,
    },
}

/// The condition that keeps a rule from matching.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Miss {
    /// Its key in the rule: `queue`, `attribute.pci`, `flagged`, `direction`, `media`, `when`.
    pub key: String,
    /// The part of `when`, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The value it saw.
    pub saw: String,
    /// The value it needed.
    pub needed: String,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Some(part) => write!(f, "{}: {part}: saw {}; needed {}", self.key, self.saw, self.needed),
            None => write!(f, "{}: saw {}; needed {}", self.key, self.saw, self.needed),
        }
    }
}

/// Where a rule's hold on a conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "phase")]
pub enum Standing {
    /// It matched, and waits for `after`.
    Waiting {
        /// Since when.
        since: Wall,
        /// When it comes into force.
        until: Wall,
    },
    /// It is in force.
    Held {
        /// Since when.
        since: Wall,
        /// When `at_most` is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Wall>,
    },
    /// Its `at_most` is over; it counts again only after it has stopped matching.
    Expired {
        /// Since when.
        since: Wall,
    },
}

impl Standing {
    /// It waits for `after`, which began at `since`.
    pub fn waiting(since: Wall, after: Duration) -> Self {
        Self::Waiting { since, until: since + after }
    }

    /// It is in force since then.
    pub fn held(since: Wall, at_most: Option<Duration>) -> Self {
        Self::Held { since, until: at_most.map(|most| since + most) }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { since, until } => {
                write!(f, "matched since {since}, in force from {until} on (`after`)")
            }
            Self::Held { since, until: None } => write!(f, "in force since {since}"),
            Self::Held { since, until: Some(until) } => {
                write!(f, "in force since {since}, at most until {until} (`at_most`)")
            }
            Self::Expired { since } => {
                write!(f, "expired at {since} (`at_most`); it counts again after it has stopped matching")
            }
        }
    }
}

/// Every rule of a policy, in order of precedence. `hold` says how the latches stand, by the rule's terms.
pub fn explain(
    policy: &Policy,
    subject: Subject<'_>,
    hold: impl Fn(&Terms) -> Option<Standing>,
) -> Vec<Explanation> {
    let one = |(terms, conditions): (&Terms, &Conditions)| Explanation {
        rule: terms.name.clone(),
        action: terms.action,
        priority: terms.priority,
        mode: match terms.mode {
            Mode::Enforce => Carried::Enforce,
            Mode::Observe => Carried::Observe,
        },
        reason: terms.reason.clone(),
        fit: fit(conditions, subject),
        hold: hold(terms),
    };
    policy.terms().iter().zip(policy.conditions()).map(one).collect()
}

/// Whether the conditions hold, and the first one that does not.
pub fn fit(conditions: &Conditions, subject: Subject<'_>) -> Fit {
    if let Some(first) = plain_miss(conditions, subject) {
        return Fit::Differs { first };
    }
    let Some(blame) = conditions.when.as_ref().and_then(|when| when.blame(subject)) else {
        return Fit::Matched;
    };
    let part = Some(blame.part);
    let first = Miss { key: "when".into(), part, saw: blame.saw, needed: blame.needed };
    if blame.error.is_some() { Fit::Failed { first } } else { Fit::Differs { first } }
}

/// The first condition other than `when` that differs.
fn plain_miss(conditions: &Conditions, subject: Subject<'_>) -> Option<Miss> {
    let call = subject.conversation;
    let miss =
        |key: &str, saw: String, needed: String| Some(Miss { key: key.to_owned(), part: None, saw, needed });
    if let Some(wanted) = &conditions.queue {
        match call.queue() {
            None => return miss("queue", "no queue".into(), any_of(wanted)),
            Some(queue) => {
                let fits = |one: &Pattern| one.is_match(&queue.name) || one.is_match(queue.id.as_str());
                if !wanted.iter().any(fits) {
                    let id = if queue.id.as_str() == queue.name {
                        String::new()
                    } else {
                        format!(" (id {})", queue.id)
                    };
                    return miss("queue", format!("{:?}{id}", queue.name), any_of(wanted));
                }
            }
        }
    }
    for (key, wanted) in &conditions.attributes {
        let value = call.attribute(key);
        if !wanted.iter().any(|one| one.is_match(value.unwrap_or_default())) {
            let saw = value.map_or_else(|| "no such attribute".to_owned(), |value| format!("{value:?}"));
            return miss(&format!("attribute.{key}"), saw, any_of(wanted));
        }
    }
    if let Some(wanted) = conditions.flagged.filter(|wanted| call.is_flagged() != *wanted) {
        return miss("flagged", call.is_flagged().to_string(), wanted.to_string());
    }
    if let Some(wanted) = conditions.direction.filter(|wanted| call.direction() != Some(*wanted)) {
        let saw = call.direction().map_or("no direction", Direction::as_str).to_owned();
        return miss("direction", saw, wanted.as_str().to_owned());
    }
    let media = conditions.media.as_ref().filter(|wanted| !wanted.contains(&call.media));
    media.and_then(|wanted| {
        let wanted: Vec<&str> = wanted.iter().map(|one| one.as_str()).collect();
        miss("media", call.media.as_str().to_owned(), joined(&wanted))
    })
}

fn any_of(wanted: &[Pattern]) -> String {
    let texts: Vec<String> = wanted.iter().map(|one| format!("{:?}", one.as_str())).collect();
    joined(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

fn joined(texts: &[&str]) -> String {
    let shown = texts[..texts.len().min(WRITTEN)].join(" or ");
    match texts.len() {
        0 => "nothing: the list is empty".to_owned(),
        count if count > WRITTEN => format!("{shown} or one of {} more", count - WRITTEN),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversation::{Conversation, LegState, Participant, QueueRef};
    use crate::policy::compile::Compiler;
    use crate::policy::subject::Facts;

    fn policy(rules: &str) -> Policy {
        let mut compiler = Compiler::default();
        assert_eq!(compiler.add_file("rules.toml", rules), Vec::new());
        compiler.finish()
    }

    fn call() -> Conversation {
        let mut agent = Participant {
            id: "a".into(),
            purpose: "agent".into(),
            state: LegState::Connected,
            ..Participant::default()
        };
        agent.queue = QueueRef { id: "q1".into(), name: "Sales".into() };
        agent.attributes.insert("pci".into(), "off".into());
        Conversation { id: "c1".into(), participants: vec![agent], ..Conversation::default() }
    }

    fn explained(rules: &str) -> Vec<(String, String)> {
        let (call, facts) = (call(), Facts::new());
        let subject = Subject { conversation: &call, facts: &facts, topic: "" };
        let told = |one: Explanation| {
            let fit = match one.fit {
                Fit::Matched => "matched".to_owned(),
                Fit::Differs { first } => first.to_string(),
                Fit::Failed { first } => format!("failed: {first}"),
            };
            (one.rule, fit)
        };
        explain(&policy(rules), subject, |_| None).into_iter().map(told).collect()
    }

    fn one(conditions: &str) -> String {
        explained(&format!("[[rule]]\nname = \"r\"\naction = \"stop\"\n{conditions}\n")).remove(0).1
    }

    #[test]
    fn the_first_condition_that_differs_is_told_in_the_order_of_reading() {
        assert_eq!(
            one("queue = [\"Payments\", \"Card *\"]\nattribute = { pci = \"on\" }"),
            "queue: saw \"Sales\" (id q1); needed \"Payments\" or \"Card *\""
        );
        assert_eq!(
            one("queue = \"Sales\"\nattribute = { pci = \"on\" }"),
            "attribute.pci: saw \"off\"; needed \"on\""
        );
        assert_eq!(
            one("attribute = { consent = [\"no\", \"refused\"] }"),
            "attribute.consent: saw no such attribute; needed \"no\" or \"refused\""
        );
        assert_eq!(one("flagged = true"), "flagged: saw false; needed true");
        assert_eq!(one("direction = \"inbound\""), "direction: saw no direction; needed inbound");
        assert_eq!(one("media = [\"chat\", \"email\"]"), "media: saw call; needed chat or email");
        assert_eq!(
            one("when = 'flagged || attributes.pci == \"on\"'"),
            "when: flagged || attributes.pci == \"on\": saw flagged is false; attributes.pci is \"off\"; needed one of these 2 to hold"
        );
        assert_eq!(one("queue = \"q1\"\nwhen = 'attributes.pci == \"off\"'"), "matched");
    }

    #[test]
    fn a_condition_without_a_value_is_told_apart() {
        assert_eq!(
            one("when = 'participants[5].held'"),
            "failed: when: participants[5]: saw unknown (the index 5 is beyond a list of 1); needed a value"
        );
    }

    #[test]
    fn an_explanation_agrees_with_the_decision() {
        let rules = "[[rule]]\nname = \"b\"\naction = \"stop\"\npriority = 1\nqueue = \"Pay*\"\n\
                     [[rule]]\nname = \"a\"\naction = \"start\"\npriority = 2\nqueue = \"S*\"\n";
        let (call, facts, policy) = (call(), Facts::new(), policy(rules));
        let subject = Subject { conversation: &call, facts: &facts, topic: "" };
        let matched: Vec<usize> = policy.matches(subject).rules.iter().map(|one| one.0 as usize).collect();
        let told = explain(&policy, subject, |_| None);
        let fits = told.iter().enumerate().filter(|(_, one)| one.fit == Fit::Matched).map(|(at, _)| at);
        assert_eq!(fits.collect::<Vec<_>>(), matched);
        assert_eq!(told.iter().map(|one| one.rule.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn an_explanation_is_read_back_as_it_was_written() {
        let (call, facts) = (call(), Facts::new());
        let subject = Subject { conversation: &call, facts: &facts, topic: "" };
        let rules = policy("[[rule]]\nname = \"r\"\naction = \"stop\"\nflagged = true\nat_most = \"1s\"\n");
        let hold = |terms: &Terms| Some(Standing::held(Wall::from_micros(0), terms.at_most));
        let told = explain(&rules, subject, hold);
        let text = serde_json::to_string(&told).expect("a text");
        assert!(
            text.contains(r#""result":"differs","first":{"key":"flagged","saw":"false","needed":"true"}"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Vec<Explanation>>(&text).expect("explanations"), told);
    }
}
