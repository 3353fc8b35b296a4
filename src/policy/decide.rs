//! From a conversation to the rules that match it.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::model::recording::Wish;
use crate::policy::condition::Sight;
pub use crate::policy::condition::{Conditions, Pattern};
use crate::policy::index::Index;
pub use crate::policy::index::RuleIndex;
use crate::policy::rule::Terms;
use crate::policy::subject::Subject;

/// A rule that could not be evaluated; it counts as no match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFailure {
    /// Which rule.
    pub rule: RuleIndex,
    /// What went wrong, for the record `rule.failed`.
    pub error: String,
}

/// The outcome of looking at one conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// The rules whose conditions hold now, in order of precedence (the policy keeps its rules so).
    pub rules: SmallVec<[RuleIndex; 8]>,
    /// The rules that could not be evaluated.
    pub failures: Vec<RuleFailure>,
}

/// A compiled policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    default: Wish,
    terms: Vec<Terms>,
    conditions: Vec<Conditions>,
    names: BTreeMap<String, RuleIndex>,
    index: Index,
    sha256: String,
    written: BTreeMap<String, String>,
}

impl Policy {
    /// Puts rules, in the order of their files, into their order of precedence.
    pub fn new(default: Wish, mut rules: Vec<(Terms, Conditions)>, sha256: String) -> Self {
        rules.sort_by_key(|(terms, _)| (std::cmp::Reverse(terms.priority), terms.action));
        let (terms, conditions): (Vec<Terms>, Vec<Conditions>) = rules.into_iter().unzip();
        let names = terms.iter().map(|one| one.name.clone()).zip((0..).map(RuleIndex)).collect();
        let index = Index::new(&conditions);
        Self { default, terms, conditions, names, index, sha256, written: BTreeMap::new() }
    }

    /// What holds where no rule does.
    pub fn default_wish(&self) -> Wish {
        self.default
    }

    /// The rules in order of precedence: highest priority first, then `stop` before `start`, then the
    /// order in the file (PRODUCT.md 2).
    pub fn terms(&self) -> &[Terms] {
        &self.terms
    }

    /// The conditions of each rule, in the order of [`Policy::terms`].
    pub fn conditions(&self) -> &[Conditions] {
        &self.conditions
    }

    /// The terms of one rule; none where the number is that of another policy.
    pub fn terms_of(&self, rule: RuleIndex) -> Option<&Terms> {
        self.terms.get(rule.0 as usize)
    }

    /// The rule of that name.
    pub fn named(&self, name: &str) -> Option<(RuleIndex, &Terms)> {
        let rule = *self.names.get(name)?;
        Some((rule, self.terms_of(rule)?))
    }

    /// SHA-256 of the policy as written, lower-case hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Which rules match now.
    pub fn matches(&self, subject: Subject<'_>) -> Matches {
        let sight = Sight::of(subject);
        self.ask(self.index.candidates(&sight), &sight)
    }

    /// Asks the conditions of rules that are in order of precedence.
    fn ask(&self, rules: impl IntoIterator<Item = RuleIndex>, sight: &Sight<'_>) -> Matches {
        let mut matches = Matches::default();
        for rule in rules {
            match self.conditions[rule.0 as usize].hold(sight) {
                Ok(true) => matches.rules.push(rule),
                Ok(false) => {}
                Err(error) => matches.failures.push(RuleFailure { rule, error: error.to_string() }),
            }
        }
        matches
    }

    /// The same policy with every rule in observe mode (`--dry-run`).
    pub fn observing(mut self) -> Self {
        for one in &mut self.terms {
            one.mode = crate::policy::rule::Mode::Observe;
        }
        self
    }

    /// The same policy with no rule in observe mode: what its tests say of rules before they are turned on.
    pub fn enforcing(mut self) -> Self {
        for one in &mut self.terms {
            one.mode = crate::policy::rule::Mode::Enforce;
        }
        self
    }

    /// The same policy, with what each rule's conditions were written as, by its name: a reload tells by it
    /// whether they changed.
    pub fn written(self, written: BTreeMap<String, String>) -> Self {
        Self { written, ..self }
    }

    /// What a reload changed, seen from the policy before.
    pub fn changes_from(&self, before: &Self) -> Changes {
        let mut changes = Changes::default();
        for one in &self.terms {
            match before.named(&one.name) {
                None => changes.added.push(one.name.clone()),
                Some((_, old))
                    if old != one || self.written.get(&one.name) != before.written.get(&one.name) =>
                {
                    changes.changed.push(one.name.clone());
                }
                Some(_) => {}
            }
        }
        let gone = before.terms.iter().filter(|one| self.named(&one.name).is_none());
        changes.removed = gone.map(|one| one.name.clone()).collect();
        changes
    }
}

/// What a reload changed, by the names of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New ones.
    pub added: Vec<String>,
    /// Gone ones.
    pub removed: Vec<String>,
    /// Ones that are no longer the same.
    pub changed: Vec<String>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use globset::Glob;
    use proptest::prelude::*;

    use super::*;
    use crate::model::conversation::{Conversation, Direction, LegState, Media, Participant, QueueRef};
    use crate::model::ids::QueueId;
    use crate::model::recording::Action;
    use crate::policy::expression::Expression;
    use crate::policy::rule::{Mode, OnRelease, Until};
    use crate::policy::subject::Facts;

    fn terms(name: usize) -> Terms {
        Terms {
            name: format!("rule-{name}"),
            action: Action::Stop,
            priority: 0,
            until: Until::Unmatched,
            after: Duration::ZERO,
            at_most: None,
            on_release: OnRelease::Restore,
            mode: Mode::Enforce,
            reason: String::new(),
        }
    }

    fn policy(rules: Vec<Conditions>) -> Policy {
        let rules = rules.into_iter().enumerate().map(|(at, one)| (terms(at), one)).collect();
        Policy::new(Wish::Leave, rules, String::new())
    }

    /// Texts of which many fit one another's globs, the odd ones of paths included.
    fn text() -> impl Strategy<Value = String> {
        prop::sample::select(vec![
            "", "a", "ab", "b", "a.b", ".b", "b.", "a/b", "/b", "a/.b", "A", "é", "a\n", ".", "..", "[ab]",
            "{a,b}",
        ])
        .prop_map(str::to_owned)
    }

    fn pattern() -> impl Strategy<Value = Pattern> {
        let globs = [
            "*", "a*", "*b", "*.b", "*a*", "?", "??", "[ab]", "{a,b}", "**/b", "a/*", "**/*.b", "\\*", "*.",
            "[!a]*", "a/**", "**",
        ];
        let glob = prop::sample::select(globs.to_vec())
            .prop_map(|text| Pattern::Glob(Glob::new(text).expect("a glob").compile_matcher()));
        prop_oneof![text().prop_map(Pattern::Exact), glob]
    }

    fn conditions() -> impl Strategy<Value = Conditions> {
        let patterns = || prop::collection::vec(pattern(), 0..3);
        let key = prop::sample::select(vec!["k", "l", "m"]).prop_map(str::to_owned);
        let whens = [
            "flagged",
            "!flagged && media in ['call', 'email']",
            "attributes.k == 'a'",
            "attributes.l == ''",
            "attributes['n'] in ['a', 'ab'] && attributes.k != 'b'",
            "queue.name == 'a' || queue.id == 'b'",
            "queue.name in ['', 'a']",
            "flagged || attributes.l == 'b' || (attributes.k == 'a' && queue.name == 'ab')",
            "conversation.direction == 'inbound' || media == 'email'",
            "!(attributes.k != 'a') && !(conversation.media == 'email')",
            "1 / size(queues) == 1",
            "1 / size(queues) == 1 && flagged",
            "(1 / size(queues) == 1 && attributes.k == 'a') || flagged",
            "(flagged && media == 'call') ? attributes.k == 'a' : attributes.l == 'b'",
            "agents.exists(a, a.held)",
        ];
        let when = prop::sample::select(whens.to_vec())
            .prop_map(|source| Expression::compile(source).expect("an expression"));
        let direction = prop::sample::select(vec![Direction::Inbound, Direction::Outbound]);
        let media = prop::sample::subsequence(vec![Media::Call, Media::Email], 0..=2);
        (
            prop::option::of(patterns()),
            prop::collection::vec((key, patterns()), 0..3),
            prop::option::weighted(0.3, any::<bool>()),
            prop::option::weighted(0.3, direction),
            prop::option::weighted(0.3, media),
            prop::option::weighted(0.5, when),
        )
            .prop_map(|(queue, attributes, flagged, direction, media, when)| Conditions {
                queue,
                attributes,
                flagged,
                direction,
                media,
                when,
            })
    }

    fn participant() -> impl Strategy<Value = Participant> {
        let purpose = prop::sample::select(vec!["customer", "agent", "acd"]);
        let key = prop::sample::select(vec!["k", "l", "n", "o"]).prop_map(str::to_owned);
        let direction = prop::sample::select(vec![Direction::Inbound, Direction::Outbound]);
        (
            purpose,
            text(),
            text(),
            prop::collection::btree_map(key, text(), 0..4),
            prop::bool::weighted(0.2),
            prop::option::of(direction),
        )
            .prop_map(|(purpose, id, name, attributes, flagged, direction)| Participant {
                purpose: purpose.into(),
                state: LegState::Connected,
                queue: QueueRef { id: QueueId::new(id), name },
                attributes,
                flagged_reason: if flagged { "general".into() } else { String::new() },
                direction,
                ..Participant::default()
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn the_index_finds_what_asking_every_rule_finds(
            rules in prop::collection::vec(conditions(), 0..12),
            participants in prop::collection::vec(participant(), 0..4),
            media in prop::sample::select(vec![Media::Call, Media::Email, Media::Chat]),
        ) {
            let policy = policy(rules);
            let conversation = Conversation { participants, media, ..Conversation::default() };
            let facts = Facts::new();
            let subject = Subject { conversation: &conversation, facts: &facts, topic: "" };
            let every = (0..).map(RuleIndex).take(policy.terms().len());
            prop_assert_eq!(policy.matches(subject), policy.ask(every, &Sight::of(subject)));
        }
    }

    #[test]
    fn rules_that_ask_by_when_alone_are_looked_up_too() {
        let rule = |at: usize| {
            let source = format!("queue.name == 'queue {at}' && attributes.pci == 'on' && size(agents) > 0");
            Conditions { when: Expression::compile(&source).ok(), ..Conditions::default() }
        };
        let policy = policy((0..200).map(rule).collect());
        let agent = Participant {
            purpose: "agent".into(),
            state: LegState::Connected,
            queue: QueueRef { id: QueueId::new("q"), name: "queue 7".into() },
            attributes: [("pci".to_owned(), "on".to_owned())].into(),
            ..Participant::default()
        };
        let conversation = Conversation { participants: vec![agent], ..Conversation::default() };
        let facts = Facts::new();
        let sight = Sight::of(Subject { conversation: &conversation, facts: &facts, topic: "" });
        assert_eq!(policy.index.candidates(&sight).as_slice(), [RuleIndex(7)]);
    }

    #[test]
    fn an_event_asks_the_rules_of_its_own_queue_and_values_alone() {
        let exact = |text: &str| Pattern::Exact(text.to_owned());
        let rules = (0..1000).map(|at| Conditions {
            queue: Some(vec![exact(&format!("queue {}", at % 200))]),
            attributes: vec![("pci".into(), vec![exact("on")])],
            flagged: Some(false),
            media: Some(vec![Media::Call]),
            ..Conditions::default()
        });
        let by_value = (0..1000).map(|at| Conditions {
            queue: Some(vec![exact("queue 7")]),
            attributes: vec![("order".into(), vec![exact(&format!("{at}"))])],
            ..Conditions::default()
        });
        let policy = policy(rules.chain(by_value).collect());
        let agent = Participant {
            purpose: "agent".into(),
            state: LegState::Connected,
            queue: QueueRef { id: QueueId::new("q"), name: "queue 7".into() },
            attributes: [("order", "12"), ("pci", "on")]
                .map(|(key, value)| (key.into(), value.into()))
                .into(),
            ..Participant::default()
        };
        let conversation = Conversation { participants: vec![agent], ..Conversation::default() };
        let facts = Facts::new();
        let subject = Subject { conversation: &conversation, facts: &facts, topic: "" };
        assert_eq!(policy.index.candidates(&Sight::of(subject)).len(), 6);
        let matched = policy.matches(subject).rules;
        assert_eq!(matched.len(), 6);
        assert_eq!(matched.last(), Some(&RuleIndex(1012)));
    }
}
