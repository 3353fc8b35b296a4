//! What is odd about rules that are each correct: one that can never match or never win, one without an
//! effect, two that contradict each other, one that is expensive (PRODUCT.md 3).
//!
//! Nothing is said in doubt. *Never* is said only where it follows from the conditions (`scope` errs on
//! one side); that two rules contradict each other is said only with a conversation on which both were
//! evaluated and hold.
//!
//! A rule never wins where an enforcing rule before it holds whenever it does: that one's conditions follow
//! from its own, it waits no longer (`after`), never lets go (`at_most`), and outlasts it (`until`).

mod buckets;
mod choice;
mod contradiction;
mod scope;
mod witness;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

pub use witness::Witness;

use crate::model::conversation::{Direction, Media};
use crate::model::document::{Diagnostic, Severity};
use crate::model::recording::{Action, Wish};
use crate::policy::decide::{Conditions, Policy, RuleIndex};
use crate::policy::expression::{Expression, Price};
use crate::policy::rule::{Mode, Terms, Until};
use crate::policy::subject::Subject;
use buckets::Buckets;
use choice::Allowed;
use scope::{Bound, Scope};

/// Comparisons before the rest is left unsaid: a second or two. Rules are looked up by their queues, so that
/// even some ten thousand of them stay below.
const MOST_COMPARED: usize = 4_000_000;
/// Values of long lists that take as long as one comparison of two short ones.
const VALUES: usize = 4;
/// Conversations that are made and evaluated to prove contradictions.
const MOST_WITNESSES: usize = 2_000;
/// The participants of a long conversation with transfers and conferences; expressions are priced for it.
const MANY: u64 = 20;
/// Steps beyond which an expression is called expensive: some fifty times what real rules take.
const EXPENSIVE: u64 = 2_000;

/// One rule to look at, with what it was written as.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Everything but its conditions.
    pub terms: Terms,
    /// Its conditions, compiled.
    pub conditions: Conditions,
    /// Queue names, globs or ids as written.
    pub queue: Option<Vec<String>>,
    /// Attribute keys and values as written.
    pub attributes: Vec<(String, Vec<String>)>,
    /// Whether a participant must carry a flag.
    pub flagged: Option<bool>,
    /// The direction.
    pub direction: Option<Direction>,
    /// The media.
    pub media: Option<Vec<Media>>,
    /// The CEL condition.
    pub when: Option<Expression>,
    /// Points at its name.
    pub place: Diagnostic,
    /// Points at the dearest part of its condition, where that is expensive.
    pub expensive: Option<(Diagnostic, Price)>,
}

impl Candidate {
    /// Its conditions as one text: equal texts are equal conditions.
    pub fn written(&self) -> String {
        let when = self.when.as_ref().map(Expression::source);
        let Self { queue, attributes, flagged, direction, media, .. } = self;
        format!("{queue:?} {attributes:?} {flagged:?} {direction:?} {media:?} {when:?}")
    }
}

/// The price of an expression that is worth a word.
pub fn expensive(when: &Expression) -> Option<Price> {
    Some(when.price(MANY)).filter(|price| price.steps > EXPENSIVE)
}

/// A conversation on which a rule holds, and which texts its conditions name; for rehearsals.
pub fn witness(rule: &Candidate) -> Option<Witness> {
    let witness = Scope::of(rule).witness()?;
    let holds = [rule].map(|one| (one.terms.clone(), one.conditions.clone())).to_vec();
    (matched(holds, &witness) == 1).then_some(witness)
}

/// A text that a pattern of a rule matches: itself where it is none.
pub fn concrete(pattern: &str) -> Option<String> {
    match Allowed::pattern(pattern)? {
        Allowed::Literal(_) => Some(pattern.to_owned()),
        Allowed::Glob(text, glob) => witness::concrete(&text, &glob).into_iter().next(),
    }
}

/// What else the policy says: needed to tell what has an effect.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// What holds where no rule does.
    pub default: Wish,
    /// The priority of directives among rules.
    pub directive_priority: i64,
}

/// Looks at all rules together; warnings in the order of the rules, and a note where not all was looked at.
pub fn analyse(rules: &[Candidate], setting: Setting) -> Vec<Diagnostic> {
    let mut order: Vec<usize> = (0..rules.len()).collect();
    order.sort_by_key(|at| (Reverse(rules[*at].terms.priority), rules[*at].terms.action));
    let ranked: Vec<Ranked<'_>> =
        order.iter().map(|at| Ranked { rule: &rules[*at], scope: Scope::of(&rules[*at]) }).collect();
    let mut analysis =
        Analysis { by_queue: Buckets::of(&ranked), ranked, setting, compared: 0, witnesses: 0 };
    let mut found: BTreeMap<usize, Vec<Diagnostic>> = BTreeMap::new();
    let mut silent = BTreeSet::new();
    for (rank, at) in order.iter().enumerate() {
        let idle = analysis.never_matches(rank).or_else(|| analysis.never_wins(rank));
        let idle = idle.or_else(|| analysis.changes_nothing(rank));
        if idle.is_some() {
            silent.insert(rank);
        }
        let idle = idle.or_else(|| analysis.stops_everything(rank));
        let dear = analysis.is_expensive(rank);
        found.entry(*at).or_default().extend(idle.into_iter().chain(dear));
    }
    let spent = analysis.compared >= MOST_COMPARED;
    for (rank, at) in order.iter().enumerate() {
        found.entry(*at).or_default().extend(analysis.contradicts(rank, &silent));
    }
    let mut all: Vec<Diagnostic> = found.into_values().flatten().collect();
    let left_out = if spent {
        Some("not every rule that can never win is told, and contradictions were not looked for")
    } else if analysis.compared >= MOST_COMPARED || analysis.witnesses >= MOST_WITNESSES {
        Some("not every contradiction is told")
    } else {
        None
    };
    if let (Some(left_out), Some(rule)) = (left_out, rules.first()) {
        // Nothing about the rules is wrong, and nothing about them can be mended.
        let message = format!("there are too many rules to compare each with all others: {left_out}");
        all.push(rule.place.saying(Severity::Note, message));
    }
    all
}

/// A rule in its place among the others.
struct Ranked<'r> {
    rule: &'r Candidate,
    scope: Scope,
}

struct Analysis<'r> {
    ranked: Vec<Ranked<'r>>,
    by_queue: Buckets,
    setting: Setting,
    compared: usize,
    witnesses: usize,
}

impl Analysis<'_> {
    fn never_matches(&self, rank: usize) -> Option<Diagnostic> {
        let Ranked { rule, scope } = &self.ranked[rank];
        let message = format!("rule '{}' can never match: {}", rule.terms.name, scope.never()?);
        Some(warning(rule, message, Vec::new(), "change the conditions, or remove the rule"))
    }

    fn never_wins(&mut self, rank: usize) -> Option<Diagnostic> {
        let before = match self.cover(rank) {
            Some(one) => vec![one],
            None => self.covers_of_parts(rank)?,
        };
        let rule = self.ranked[rank].rule;
        let name = &rule.terms.name;
        let others: Vec<&Candidate> = before.iter().map(|at| self.ranked[*at].rule).collect();
        let notes = others.iter().map(|one| note(one, format!("{} stands before it", told(one)))).collect();
        let names: Vec<String> = others.iter().map(|one| format!("'{}'", one.terms.name)).collect();
        let (names, s) = (names.join(", "), if others.len() == 1 { "s" } else { "" });
        let one_of = if others.len() == 1 { "" } else { "one of " };
        let end = format!("{one_of}{names} hold{s} whenever it does, and stand{s} before it");
        let message = match rule.terms.mode {
            Mode::Enforce => format!("rule '{name}' can never win: {end}"),
            Mode::Observe => format!("rule '{name}' never has anything to journal: {end}"),
        };
        let same = others.iter().all(|one| one.terms.action == rule.terms.action);
        let help = if same {
            "it wants the same: remove it, or give it a higher priority for its own reason to be journaled"
        } else {
            "give it a higher priority, or narrow the conditions of the other"
        };
        Some(warning(rule, message, notes, help))
    }

    /// The first rule before it that holds whenever it does.
    fn cover(&mut self, rank: usize) -> Option<usize> {
        let scope = self.ranked[rank].scope.clone();
        self.cover_of(rank, &scope, Split::Whole)
    }

    fn cover_of(&mut self, rank: usize, scope: &Scope, split: Split) -> Option<usize> {
        if self.compared >= MOST_COMPARED {
            return None;
        }
        let candidates = self.by_queue.before(rank, scope);
        let one = self.ranked[rank].rule;
        let cost = 1 + scope.size() / VALUES;
        for before in candidates {
            self.compared += cost;
            let other = &self.ranked[before];
            // One that is expensive may pass the cost bound on a conversation where this one does not.
            if other.rule.expensive.is_some() {
                continue;
            }
            if outlasts(&other.rule.terms, &one.terms, split) && scope.is_within(&other.scope) {
                return Some(before);
            }
        }
        None
    }

    /// Rules before it of which one holds for each value of one of its lists.
    fn covers_of_parts(&mut self, rank: usize) -> Option<Vec<usize>> {
        let scope = self.ranked[rank].scope.clone();
        for (term, bounds) in scope.bounds() {
            for bound in bounds {
                let Bound::OneOf(choice) = bound else { continue };
                if choice.len() < 2 {
                    continue;
                }
                let part = |this: &mut Self, one: Allowed| {
                    this.cover_of(rank, &scope.narrowed(term, choice, one), Split::Parts)
                };
                let covers: Option<BTreeSet<usize>> = choice.parts().map(|one| part(self, one)).collect();
                if let Some(covers) = covers {
                    return Some(covers.into_iter().collect());
                }
            }
        }
        None
    }

    /// It wants what the default wants, and no rule behind it wants something else.
    fn changes_nothing(&mut self, rank: usize) -> Option<Diagnostic> {
        let rule = self.ranked[rank].rule;
        let Terms { action, mode, priority, name, .. } = &rule.terms;
        let as_default = self.setting.default.action() == Some(*action);
        if !as_default || *mode == Mode::Observe || *priority >= self.setting.directive_priority {
            return None;
        }
        let scope = &self.ranked[rank].scope;
        let behind = self.ranked.get(rank + 1..).unwrap_or_default();
        self.compared += behind.len();
        // One that holds to the end is in force where its conditions hold no more.
        let lasting = |terms: &Terms| terms.until == Until::End;
        let opposed = |one: &Ranked<'_>| {
            let apart = !lasting(&rule.terms) && !lasting(&one.rule.terms) && scope.excludes(&one.scope);
            one.rule.terms.action != *action && !apart
        };
        if self.compared >= MOST_COMPARED || behind.iter().any(opposed) {
            return None;
        }
        let message = format!(
            "rule '{name}' has no effect: policy.default is \"{}\" too, and no rule behind it says otherwise",
            action.as_str()
        );
        Some(warning(rule, message, Vec::new(), "remove it, or change policy.default"))
    }

    /// A stop that was meant for some, and has no condition; where starts stand before it, it is for the rest.
    fn stops_everything(&self, rank: usize) -> Option<Diagnostic> {
        let Ranked { rule, scope } = &self.ranked[rank];
        let is_exception =
            |one: &Ranked<'_>| one.rule.terms.action == Action::Start && one.rule.terms.mode == Mode::Enforce;
        let excepted = self.ranked[..rank].iter().any(is_exception);
        if rule.terms.action != Action::Stop || !scope.is_everything() || excepted {
            return None;
        }
        let message = format!(
            "rule '{}' has no condition: it holds on every conversation, and stops them all",
            rule.terms.name
        );
        let help = "say which it is for (queue, attribute, when, ...), or write default = \"stop\" in [policy] where all are meant";
        Some(warning(rule, message, Vec::new(), help))
    }

    fn is_expensive(&self, rank: usize) -> Option<Diagnostic> {
        let rule = self.ranked[rank].rule;
        let (place, price) = rule.expensive.as_ref()?;
        let nested = match price.depth {
            0 | 1 => String::new(),
            depth => format!(", with {depth} macros inside each other"),
        };
        let message = format!(
            "the condition of rule '{}' is expensive: up to {} steps for a conversation of {MANY} participants{nested}",
            rule.terms.name, price.steps
        );
        let help = "ask for the cheap conditions in the rule's own keys (queue, attribute), and look through each list once";
        Some(Diagnostic { help: Some(help.into()), ..place.saying(Severity::Warning, message) })
    }
}

/// How many of the rules hold on it.
fn matched(rules: Vec<(Terms, Conditions)>, witness: &Witness) -> usize {
    let policy = Policy::new(Wish::default(), rules, String::new());
    let subject = Subject { conversation: &witness.conversation, facts: &witness.facts, topic: "" };
    let found: Vec<RuleIndex> = policy.matches(subject).rules.to_vec();
    found.len()
}

/// Whether a rule is compared as a whole, or each value of one of its lists with a rule of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    Whole,
    Parts,
}

/// Whether `other`, whose conditions hold whenever those of `one` do, is also in force whenever `one` is.
fn outlasts(other: &Terms, one: &Terms, split: Split) -> bool {
    let waits = match split {
        Split::Whole => other.after <= one.after,
        // A conversation may pass from the one to the other.
        Split::Parts => other.after.is_zero(),
    };
    let speaks = other.mode == Mode::Enforce || one.mode == Mode::Observe;
    let lasts = one.until == Until::Unmatched || other.until == Until::End;
    waits && speaks && lasts && other.at_most.is_none()
}

fn told(rule: &Candidate) -> String {
    let Terms { name, action, priority, .. } = &rule.terms;
    format!("'{name}' ({}, priority {priority})", action.as_str())
}

fn note(rule: &Candidate, message: String) -> Diagnostic {
    rule.place.saying(Severity::Note, message)
}

fn warning(rule: &Candidate, message: String, related: Vec<Diagnostic>, help: &str) -> Diagnostic {
    Diagnostic { related, help: Some(help.into()), ..rule.place.saying(Severity::Warning, message) }
}
