//! Which rules can match a conversation at all, so that an event costs what these cost.
//!
//! ```text
//!   conditions of a rule ─▶ dimensions   queue, each attribute, flag, direction, media; of `when` too
//!                        ─▶ the one that sorts out most ─▶ its keys: any of them must be there
//!   conversation ─▶ its keys ─▶ the rules under them, and those that have no key
//! ```
//!
//! Nothing is decided here: a rule that is found still has all of its conditions asked, and one that is not
//! found has a condition that does not hold. (An expression that would pass its cost bound before it came to
//! that condition is not asked, and so does not fail.)

use std::collections::BTreeMap;

use globset::Glob;
use regex::bytes::{RegexSet, RegexSetBuilder};
use smallvec::SmallVec;

use crate::model::conversation::{Conversation, Direction, Media};
use crate::policy::condition::{Conditions, Pattern, Sight};
use crate::policy::expression::{Expression, Guard};

/// The number of a rule in its policy: its place in `Policy::terms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleIndex(pub u32);

/// Rules found for one event; most policies find fewer than these, and so need no heap.
pub type Found = SmallVec<[RuleIndex; 16]>;

/// Something that a conversation has or has not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// A text that the name or the id of its queue is, or that fits them.
    Queue(Text),
    /// The value of an attribute.
    Attribute(String, Text),
    Flagged(bool),
    Direction(Direction),
    Media(Media),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Text {
    Exact(String),
    Glob(String),
}

/// How much a dimension sorts out, best first; at one rank, the one whose keys fewer rules share is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Few conversations of a centre have it.
    Selective,
    /// Most have it.
    Common,
}

impl Key {
    fn rank(&self) -> Rank {
        match self {
            Self::Queue(_) | Self::Attribute(..) | Self::Flagged(true) => Rank::Selective,
            Self::Flagged(false) | Self::Direction(_) | Self::Media(_) => Rank::Common,
        }
    }
}

impl From<&Pattern> for Text {
    fn from(pattern: &Pattern) -> Self {
        match pattern {
            Pattern::Exact(text) => Self::Exact(text.clone()),
            Pattern::Glob(_) => Self::Glob(pattern.as_str().to_owned()),
        }
    }
}

impl From<Guard> for Key {
    fn from(guard: Guard) -> Self {
        match guard {
            Guard::Queue(text) => Self::Queue(Text::Exact(text)),
            Guard::Attribute(name, value) => Self::Attribute(name, Text::Exact(value)),
            Guard::Flagged(wanted) => Self::Flagged(wanted),
            Guard::Direction(wanted) => Self::Direction(wanted),
            Guard::Media(wanted) => Self::Media(wanted),
        }
    }
}

/// The rules of a policy by what they ask for. See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// Rules that no key leads to.
    rest: Vec<RuleIndex>,
    queues: Texts,
    attributes: BTreeMap<String, Texts>,
    /// Flag, direction and media.
    plain: BTreeMap<Key, Vec<RuleIndex>>,
}

impl Index {
    /// Enters the rules, the first of which has the number 0.
    pub fn new<'c>(rules: impl IntoIterator<Item = &'c Conditions>) -> Self {
        let rules: Vec<Vec<Vec<Key>>> = rules.into_iter().map(dimensions).collect();
        let mut shared: BTreeMap<&Key, usize> = BTreeMap::new();
        for key in rules.iter().flatten().flatten() {
            *shared.entry(key).or_default() += 1;
        }
        let cost = |keys: &&Vec<Key>| {
            let rank = keys.iter().map(Key::rank).max();
            (rank, keys.iter().map(|key| shared[key]).sum::<usize>())
        };
        let mut index = Builder::default();
        for (rule, dimensions) in (0..).map(RuleIndex).zip(&rules) {
            match dimensions.iter().min_by_key(cost) {
                Some(keys) => keys.iter().for_each(|key| index.enter(key, rule)),
                None => index.rest.push(rule),
            }
        }
        index.finish()
    }

    /// The rules that can match, in order of precedence; every one that does match is among them.
    pub fn candidates(&self, sight: &Sight<'_>) -> Found {
        let mut found = Found::from_slice(&self.rest);
        if let Some(queue) = sight.queue {
            self.queues.find(&queue.name, &mut found);
            self.queues.find(queue.id.as_str(), &mut found);
        }
        self.by_attributes(sight.subject.conversation, &mut found);
        if !self.plain.is_empty() {
            let media = Some(Key::Media(sight.subject.conversation.media));
            let keys = [media, sight.direction.map(Key::Direction), Some(Key::Flagged(sight.flagged))];
            for rules in keys.iter().flatten().filter_map(|key| self.plain.get(key)) {
                found.extend_from_slice(rules);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Walks the keys of the rules or those of the conversation, whichever are fewer.
    fn by_attributes(&self, call: &Conversation, found: &mut Found) {
        if self.attributes.is_empty() {
            return;
        }
        let written = call.participants.iter().map(|one| one.attributes.len()).sum();
        let mut look = |key: &str, texts: &Texts| {
            if let Some(value) = call.attribute(key) {
                texts.find(value, found);
            }
        };
        if self.attributes.len() <= written {
            self.attributes.iter().for_each(|(key, texts)| look(key, texts));
        } else {
            for key in call.participants.iter().flat_map(|one| one.attributes.keys()) {
                if let Some(texts) = self.attributes.get(key) {
                    look(key, texts);
                }
            }
        }
    }
}

/// What a rule asks for, dimension by dimension: of each at least one key must be there.
fn dimensions(rule: &Conditions) -> Vec<Vec<Key>> {
    let mut all = Vec::new();
    if let Some(patterns) = &rule.queue {
        all.push(patterns.iter().map(|one| Key::Queue(one.into())).collect());
    }
    for (name, patterns) in &rule.attributes {
        // An attribute that nobody set reads as empty, and no key of the conversation leads there.
        if !patterns.iter().any(|one| one.is_match("")) {
            all.push(patterns.iter().map(|one| Key::Attribute(name.clone(), one.into())).collect());
        }
    }
    all.extend(rule.flagged.map(|wanted| vec![Key::Flagged(wanted)]));
    all.extend(rule.direction.map(|wanted| vec![Key::Direction(wanted)]));
    all.extend(rule.media.as_ref().map(|wanted| wanted.iter().copied().map(Key::Media).collect()));
    let of_when = rule.when.iter().flat_map(Expression::guards);
    all.extend(of_when.map(|guards| guards.into_iter().map(Key::from).collect()));
    all
}

/// An index that is being filled.
#[derive(Default)]
struct Builder {
    rest: Vec<RuleIndex>,
    queues: BTreeMap<Text, Vec<RuleIndex>>,
    attributes: BTreeMap<String, BTreeMap<Text, Vec<RuleIndex>>>,
    plain: BTreeMap<Key, Vec<RuleIndex>>,
}

impl Builder {
    fn enter(&mut self, key: &Key, rule: RuleIndex) {
        let rules = match key {
            Key::Queue(text) => self.queues.entry(text.clone()).or_default(),
            Key::Attribute(name, text) => {
                self.attributes.entry(name.clone()).or_default().entry(text.clone()).or_default()
            }
            Key::Flagged(_) | Key::Direction(_) | Key::Media(_) => self.plain.entry(key.clone()).or_default(),
        };
        rules.push(rule);
    }

    fn finish(mut self) -> Index {
        let queues = Texts::new(self.queues, &mut self.rest);
        let mut attributes = BTreeMap::new();
        for (name, texts) in self.attributes {
            attributes.insert(name, Texts::new(texts, &mut self.rest));
        }
        Index { rest: self.rest, queues, attributes, plain: self.plain }
    }
}

/// The memory that all globs of one dimension may take together once compiled: some 50,000 of them.
const GLOBS_SIZE: usize = 64 * 1024 * 1024;

/// Rules by a text, or by a glob that a text fits. All globs are tried at once, by the regular expressions
/// that [`Pattern`] tries one by one: `globset`'s own set of globs answers otherwise for a few (`*.`).
#[derive(Clone, Debug, Default)]
struct Texts {
    exact: BTreeMap<String, Vec<RuleIndex>>,
    globs: RegexSet,
    /// The rules of each glob of the set.
    fitting: Vec<Vec<RuleIndex>>,
}

impl Texts {
    /// Rules whose globs are too large together are put with those that no key leads to.
    fn new(all: BTreeMap<Text, Vec<RuleIndex>>, rest: &mut Vec<RuleIndex>) -> Self {
        let mut texts = Self::default();
        let mut globs = Vec::new();
        for (text, rules) in all {
            match text {
                Text::Exact(text) => texts.exact.entry(text).or_default().extend(rules),
                Text::Glob(text) => match Glob::new(&text) {
                    Ok(glob) => {
                        globs.push(glob.regex().to_owned());
                        texts.fitting.push(rules.clone());
                        texts.exact.entry(text).or_default().extend(rules);
                    }
                    Err(_) => rest.extend(rules),
                },
            }
        }
        match RegexSetBuilder::new(globs).size_limit(GLOBS_SIZE).dot_matches_new_line(true).build() {
            Ok(globs) => texts.globs = globs,
            Err(_) => rest.extend(texts.fitting.drain(..).flatten()),
        }
        texts
    }

    fn find(&self, text: &str, found: &mut Found) {
        if let Some(rules) = self.exact.get(text) {
            found.extend_from_slice(rules);
        }
        if !self.fitting.is_empty() {
            for at in self.globs.matches(text.as_bytes()) {
                found.extend_from_slice(&self.fitting[at]);
            }
        }
    }
}
