//! Policies as data: drawn from a seed, written as TOML for the real compiler, and understood by themselves, so
//! that the oracle needs nothing of the policy engine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::model::recording::{Action, Wish};
use crate::policy::compile::Compiler;
use crate::policy::decide::Policy;
use crate::policy::rule::{Mode, OnRelease, Until};
use crate::sim::call::{Truth, Way};
use crate::sim::oracle::CARD_QUEUES;
use crate::sim::org::Org;
use crate::sim::random::Chance;

/// Queues where cards are read out: as a rule names them, and what that means.
const CARDS: (&[&str], &[&str]) = (&["Payments", "Card *"], &["Payments", "Card Services", "Card Disputes"]);

/// One condition of a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The queue it is in: patterns as written, and the names that they mean.
    Queue(&'static [&'static str], &'static [&'static str]),
    /// An attribute has this value.
    Attribute(&'static str, &'static str),
    /// A participant carries a flag.
    Flagged,
    /// An agent made the call.
    Outbound,
    /// A fact of this name is true.
    Fact(&'static str),
    /// An agent is connected (in CEL).
    AgentTalks,
    /// The caller's tier (in CEL).
    Tier(&'static str),
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Its name.
    pub name: &'static str,
    /// Its conditions, all of which must hold.
    pub needs: Vec<Need>,
    /// What it wants.
    pub action: Action,
    /// Its priority.
    pub priority: i64,
    /// How long it holds.
    pub until: Until,
    /// It must have matched for so long.
    pub after: Duration,
    /// It lets go after so long.
    pub at_most: Option<Duration>,
    /// What happens then; none: the default.
    pub on_release: Option<OnRelease>,
    /// Whether it is carried out.
    pub mode: Mode,
}

/// What is true of a conversation, as a clause sees it.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The call itself.
    pub truth: &'a Truth,
    /// Who began it.
    pub way: Way,
    /// Its facts.
    pub facts: &'a BTreeMap<String, bool>,
    /// The organisation.
    pub org: &'a Org,
}

/// A policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charter {
    /// What holds where no clause does.
    pub default: Wish,
    /// Its rules, in order of precedence.
    pub clauses: Vec<Clause>,
}

fn clause(name: &'static str, priority: i64, action: Action, needs: Vec<Need>) -> Clause {
    Clause {
        name,
        needs,
        action,
        priority,
        until: Until::Unmatched,
        after: Duration::ZERO,
        at_most: None,
        on_release: None,
        mode: Mode::Enforce,
    }
}

impl Need {
    fn holds(&self, scene: Scene<'_>) -> bool {
        let truth = scene.truth;
        let attribute = |key: &str| truth.attributes.get(key).map_or("", String::as_str);
        match self {
            Self::Queue(_, names) => truth
                .queue
                .as_deref()
                .and_then(|id| scene.org.queue(id))
                .is_some_and(|queue| names.contains(&&*queue.name)),
            Self::Attribute(key, value) => attribute(key) == *value,
            Self::Flagged => truth.flagged,
            Self::Outbound => scene.way == Way::Outbound,
            Self::Fact(name) => scene.facts.get(*name).copied().unwrap_or_default(),
            Self::AgentTalks => truth.agents > 0,
            Self::Tier(tier) => attribute("account.tier") == *tier,
        }
    }

    /// The CEL of it, where it is written in CEL.
    fn cel(&self) -> Option<String> {
        match self {
            Self::Fact(name) => Some(format!("facts.{name} == true")),
            Self::AgentTalks => Some("agents.exists(a, a.state == \"connected\")".to_owned()),
            Self::Tier(tier) => Some(format!("attributes[\"account.tier\"] == \"{tier}\"")),
            Self::Queue(..) | Self::Attribute(..) | Self::Flagged | Self::Outbound => None,
        }
    }
}

impl Clause {
    /// Whether its conditions hold.
    pub fn matches(&self, scene: Scene<'_>) -> bool {
        self.needs.iter().all(|need| need.holds(scene))
    }

    /// Whether what it changed is given back.
    pub fn gives_back(&self) -> bool {
        self.on_release.unwrap_or(match self.action {
            Action::Stop => OnRelease::Restore,
            Action::Start => OnRelease::Keep,
        }) == OnRelease::Restore
    }

    fn write(&self, text: &mut String) {
        let mut line = |key: &str, value: &str| {
            // Writing to a string does not fail.
            writeln!(text, "{key} = {value}").ok();
        };
        line("name", &format!("\"{}\"", self.name));
        for need in &self.needs {
            match need {
                Need::Queue(patterns, _) => line("queue", &format!("{patterns:?}")),
                Need::Attribute(key, value) => line("attribute", &format!("{{ \"{key}\" = \"{value}\" }}")),
                Need::Flagged => line("flagged", "true"),
                Need::Outbound => line("direction", "\"outbound\""),
                Need::Fact(_) | Need::AgentTalks | Need::Tier(_) => {}
            }
        }
        let cel: Vec<String> = self.needs.iter().filter_map(Need::cel).collect();
        if !cel.is_empty() {
            line("when", &format!("'{}'", cel.join(" && ")));
        }
        line("action", &format!("\"{}\"", self.action));
        line("priority", &self.priority.to_string());
        if self.until == Until::End {
            line("until", "\"end\"");
        }
        if !self.after.is_zero() {
            line("after", &format!("\"{}ms\"", self.after.as_millis()));
        }
        if let Some(most) = self.at_most {
            line("at_most", &format!("\"{}ms\"", most.as_millis()));
        }
        match self.on_release {
            Some(OnRelease::Keep) => line("on_release", "\"keep\""),
            Some(OnRelease::Restore) => line("on_release", "\"restore\""),
            None => {}
        }
        if self.mode == Mode::Observe {
            line("mode", "\"observe\"");
        }
    }
}

impl Charter {
    /// The sample policy: two rules of the README's cookbook.
    pub fn sample() -> Self {
        let most = Duration::from_secs(900);
        let refused = vec![Need::Attribute("consent", "refused")];
        let card = vec![
            Need::Queue(&["Payments", "Card *", "Collections"], CARD_QUEUES),
            Need::Attribute("pci", "on"),
        ];
        let clauses = vec![
            Clause { until: Until::End, ..clause("consent-refused", 200, Action::Stop, refused) },
            Clause { at_most: Some(most), ..clause("pause-while-card-is-read", 100, Action::Stop, card) },
        ];
        Self { default: Wish::Leave, clauses }
    }

    /// A policy drawn from chance: one to five rules that may contradict each other.
    pub fn draw(chance: &mut Chance) -> Self {
        let default = match chance.below(10) {
            0 => Wish::Start,
            1 => Wish::Stop,
            _ => Wish::Leave,
        };
        let mut clauses: Vec<Clause> =
            drawable(chance).into_iter().filter(|_| chance.strikes(0.35)).collect();
        if clauses.is_empty() {
            clauses = Self::sample().clauses;
        }
        for one in &mut clauses {
            one.priority = [50, 100, 200, 2000].get(chance.below(4)).copied().unwrap_or(100);
            let at_most = Duration::from_millis(1_500 + 250 * chance.below(40) as u64);
            one.at_most = one.at_most.or(chance.strikes(0.25).then_some(at_most));
            if one.until == Until::Unmatched && chance.strikes(0.2) {
                one.after = Duration::from_millis(500 + 250 * chance.below(8) as u64);
            }
            if chance.strikes(0.1) {
                one.on_release = Some(if chance.strikes(0.5) { OnRelease::Keep } else { OnRelease::Restore });
            }
            if chance.strikes(0.1) {
                one.mode = Mode::Observe;
            }
        }
        // Highest first; at equal priority a stop beats a start; then the order in the file.
        clauses.sort_by_key(|one| (std::cmp::Reverse(one.priority), one.action));
        Self { default, clauses }
    }

    /// The rules as TOML.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for one in &self.clauses {
            text.push_str("[[rule]]\n");
            one.write(&mut text);
        }
        text
    }

    /// The same, compiled by the real compiler; its mistakes, where it finds some.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn policy(&self) -> Result<Policy, String> {
        let mut compiler = Compiler::default();
        compiler.default_wish(self.default);
        let mistakes = compiler.add_file("charter", &self.text());
        if mistakes.is_empty() { Ok(compiler.finish()) } else { Err(format!("{mistakes:?}")) }
    }
}

fn drawable(chance: &mut Chance) -> Vec<Clause> {
    let either = |chance: &mut Chance| if chance.strikes(0.5) { Action::Stop } else { Action::Start };
    let cards = Need::Queue(CARDS.0, CARDS.1);
    let tier = either(chance);
    let fraud = either(chance);
    let outbound = either(chance);
    vec![
        clause("card", 0, Action::Stop, vec![cards, Need::Attribute("pci", "on")]),
        Clause {
            until: Until::End,
            ..clause("consent", 0, Action::Stop, vec![Need::Attribute("consent", "refused")])
        },
        clause("flagged", 0, Action::Stop, vec![Need::Flagged]),
        clause("must", 0, Action::Start, vec![Need::Queue(&["Support", "S*s"], &["Support", "Sales"])]),
        clause("desk", 0, Action::Start, vec![Need::Queue(&["Internal *"], &["Internal Helpdesk"])]),
        clause("fraud", 0, fraud, vec![Need::Fact("fraud")]),
        clause("outbound", 0, outbound, vec![Need::Outbound]),
        clause("tier", 0, tier, vec![Need::Tier("gold"), Need::AgentTalks]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_that_is_drawn_compiles_to_rules_in_the_same_order() {
        for seed in 0..100 {
            let charter = Charter::draw(&mut Chance::new(seed));
            let policy = charter.policy().expect("it compiles");
            let compiled: Vec<&str> = policy.terms().iter().map(|one| one.name.as_str()).collect();
            let meant: Vec<&str> = charter.clauses.iter().map(|one| one.name).collect();
            assert_eq!(compiled, meant, "seed {seed}");
        }
    }
}
