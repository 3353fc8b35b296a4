//! What the warden orders, against what is wanted and what agents do: no order goes out that nobody wants, nothing is
//! given back that was not taken, and an agent's own pause stays (PRODUCT.md 2, "what recwarden changed, it gives
//! back").

use std::collections::BTreeMap;
use std::time::Duration;

use super::Stage;
use crate::audit::record::{self, Record};
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::recording::{Action, Wish};
use crate::model::time::Wall;
use crate::policy::rule::{DEFAULT, WHEN_BLIND};
use crate::sim::call::{By, Recorder, Touch};
use crate::sim::charter::Clause;
use crate::sim::demand::{self, Demand, Governed};
use crate::sim::platform::TrueStory;

/// What is true is known, and what is known is acted on, within this.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);
/// What was ordered so shortly before may explain what an agent did after it.
const UNDER_WAY: Duration = Duration::from_secs(40);

/// Why an order went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// A rule, a directive or the default wants it.
    Wanted,
    /// Nobody wants what was changed any more.
    GivenBack,
    /// Nothing could be seen.
    Blind,
    /// It stood in the log when the process died, and may never have gone out.
    Recalled,
}

/// An order.
#[derive(Clone, Debug)]
struct Deed {
    at: Wall,
    action: Action,
    rule: String,
    why: Why,
}

/// What a decision orders, and why by now.
#[derive(Clone, Debug)]
struct Order {
    conversation: ConversationId,
    action: Action,
    rule: String,
    why: Why,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    decisions: BTreeMap<DecisionId, Order>,
    done: BTreeMap<String, Vec<Deed>>,
}

/// What is known of one call, to judge the orders for it by.
struct Seen<'a> {
    story: &'a TrueStory,
    deeds: &'a [Deed],
    demanded: Vec<Demand>,
    /// When it may not have been seen.
    hidden: Vec<(Wall, Wall)>,
}

impl Deeds {
    /// Takes in a record that has become durable.
    pub(super) fn note(&mut self, record: &Record, now: Wall) {
        if let Record::Decision(one) = record {
            self.decisions.insert(one.decision.clone(), Order::of(one));
        }
        // What was wanted and waits goes on as what gives back, where that is the same.
        if let Record::HoldEnded(one) = record {
            let same = |order: &&mut Order| {
                order.conversation == one.conversation && Some(order.action) == one.restore
            };
            self.decisions.values_mut().filter(same).for_each(|order| order.why = Why::GivenBack);
        }
        if let Record::Attempt(one) = record
            && let Some(Order { action, rule, why, .. }) = self.decisions.get(&one.decision).cloned()
        {
            let deed = Deed { at: now, action, rule, why };
            self.done.entry(one.conversation.to_string()).or_default().push(deed);
        }
    }
}

impl Order {
    fn of(one: &record::Decision) -> Self {
        let (conversation, rule) = (one.conversation.clone(), one.rule.clone());
        Self { conversation, action: one.action, rule, why: why(one) }
    }
}

fn why(one: &record::Decision) -> Why {
    if one.rule == WHEN_BLIND {
        Why::Blind
    } else if matches!(&*one.reason, "released" | "expired") {
        Why::GivenBack
    } else {
        Why::Wanted
    }
}

impl Stage {
    /// The next process takes up what the log says, though this one may have died before anything went out.
    pub(super) fn recall_deeds(&mut self) {
        let (now, history) = (self.now.wall, self.log.history());
        for one in history.open_decisions().map(|open| &open.decision) {
            self.deeds.decisions.entry(one.decision.clone()).or_insert_with(|| Order::of(one));
        }
        let open = history.open_decisions().map(|open| &open.decision);
        let open = open.map(|one| (&one.conversation, one.action, &one.rule));
        let claimed = history.claims().map(|(id, claim)| (id, claim.action, &claim.rule));
        for (id, action, rule) in open.chain(claimed) {
            let deed = Deed { at: now, action, rule: rule.clone(), why: Why::Recalled };
            self.deeds.done.entry(id.to_string()).or_default().push(deed);
        }
    }

    fn deeds_of(&self, story: &TrueStory) -> &[Deed] {
        self.deeds.done.get(&story.conversation).map_or(&[], Vec::as_slice)
    }

    /// When an order of ours may have made a pause that stays: that of a rule that keeps what it did, or what gives
    /// back that nothing was recorded. Once a start is to be given back, any pause may be that.
    pub(super) fn kept_of(&self, story: &TrueStory) -> Vec<(Wall, Wall)> {
        let until = self.now.wall;
        let named = |rule: &str, what: &dyn Fn(&Clause) -> bool| {
            let mut clauses = self.script.charters.iter().flat_map(|charter| &charter.clauses);
            clauses.any(|clause| clause.name == rule && what(clause))
        };
        let kept = |deed: &Deed| match deed.action {
            Action::Stop => {
                let keeps = deed.rule == DEFAULT || named(&deed.rule, &|clause| !clause.gives_back());
                (keeps || deed.why == Why::GivenBack).then_some((deed.at, deed.at))
            }
            Action::Start => {
                named(&deed.rule, &|clause| clause.action == Action::Start && clause.gives_back())
                    .then_some((deed.at, until))
            }
        };
        self.deeds_of(story).iter().filter_map(kept).collect()
    }

    /// Judges the orders for all calls, and what they did to agents' own pauses.
    pub(super) fn judge_deeds(&mut self, stories: &[TrueStory], dim: &[(Wall, Wall)]) {
        let (mut found, mut left) = (Vec::new(), 0);
        for story in stories {
            let blind = self.unseen_of(story);
            let kept = self.kept_of(story);
            let unheard = self.unheard_of(story);
            let hidden = blind.iter().chain(dim).chain(&unheard).copied().collect();
            let case = self.case(&blind, dim, &kept);
            let demanded = demand::demanded(story, case, KNOWN_WITHIN);
            let seen = Seen { story, deeds: self.deeds_of(story), demanded, hidden };
            found.extend(seen.unwanted());
            if case.governed != Governed::Adhoc {
                found.extend(seen.given_back_twice());
                let pauses = seen.agents_own_pauses();
                left += pauses.iter().filter(|(_, undone)| undone.is_none()).count();
                found.extend(pauses.iter().filter_map(|(touch, undone)| seen.told(touch, *undone)));
            }
        }
        for _ in 0..left {
            self.count("agents' own pauses left alone");
        }
        found.into_iter().for_each(|one| self.finding(one));
    }
}

impl Seen<'_> {
    fn is_hidden(&self, from: Wall, until: Wall) -> bool {
        self.hidden.iter().any(|(begin, end)| *begin <= until && from <= *end)
    }

    fn any_demand(&self, from: Wall, until: Wall, what: impl Fn(&Wish) -> bool) -> bool {
        let spans = self.demanded.iter().filter(|one| one.from <= until && from <= one.until);
        spans.flat_map(|one| &one.wishes).any(what)
    }

    /// Orders that nobody wants, and what gives back though nothing was taken.
    fn unwanted(&self) -> Vec<String> {
        let is_unwanted = |place: usize, deed: &Deed| {
            let since = deed.at - KNOWN_WITHIN;
            let before = self.deeds.get(..place).unwrap_or_default();
            !self.is_hidden(since, deed.at)
                && match deed.why {
                    Why::Wanted => !self.any_demand(since, deed.at, |wish| *wish == Wish::from(deed.action)),
                    Why::GivenBack => !before.iter().any(|one| one.action != deed.action),
                    Why::Blind | Why::Recalled => false,
                }
        };
        let unwanted = self.deeds.iter().enumerate().filter(|(place, deed)| is_unwanted(*place, deed));
        unwanted
            .map(|(_, Deed { at, action, rule, why })| {
                let id = &self.story.conversation;
                format!("a {action} went out for {id} at {at} that nobody wants ({why:?} by rule '{rule}')")
            })
            .collect()
    }

    /// Recording that is given back though an order of ours, and none after it, had brought it back already.
    fn given_back_twice(&self) -> Vec<String> {
        let starts =
            self.deeds.iter().filter(|deed| deed.action == Action::Start && deed.why == Why::GivenBack);
        let is_twice = |deed: &&Deed| {
            let since = deed.at - KNOWN_WITHIN;
            let mut ours =
                self.story.touches.iter().rev().filter(|one| one.by == By::Client && one.at < since);
            !self.is_hidden(since, deed.at)
                && ours.next().is_some_and(|last| {
                    let taken = |one: &Deed| {
                        one.action == Action::Stop
                            && last.at < one.at + demand::APPLIED_WITHIN
                            && one.at <= deed.at
                    };
                    last.to == Recorder::Running && !self.deeds.iter().any(taken)
                })
        };
        let id = &self.story.conversation;
        let tell = |deed: &Deed| format!("{id} was given back at {}, and had been before", deed.at);
        starts.filter(is_twice).map(tell).collect()
    }

    /// Pauses that agents made while nothing of ours was in force or under way, and when an order of ours undid each.
    fn agents_own_pauses(&self) -> Vec<(Touch, Option<Wall>)> {
        let mut pauses = Vec::new();
        for (place, touch) in self.story.touches.iter().enumerate() {
            let (from, known) = (touch.at - KNOWN_WITHIN, touch.at + KNOWN_WITHIN);
            let before = touch.at - UNDER_WAY;
            let own = touch.by == By::Agent
                && touch.to == Recorder::SecurePaused
                && !self.is_hidden(from, known)
                && !self.any_demand(from, known, |wish| *wish != Wish::Leave)
                && !self.deeds.iter().any(|deed| before <= deed.at && deed.at <= known);
            let next = self.story.touches.get(place + 1);
            let ends = next.map_or(Wall::from_micros(i64::MAX), |next| next.at);
            if own && ends > known {
                let undone = next.filter(|next| next.by == By::Client && next.to == Recorder::Running);
                pauses.push((*touch, undone.map(|next| next.at)));
            }
        }
        pauses
    }

    /// The finding, where an order of ours undid an agent's own pause though nobody wanted that.
    fn told(&self, pause: &Touch, undone: Option<Wall>) -> Option<String> {
        let undone = undone?;
        let known = pause.at + KNOWN_WITHIN;
        let excused = |deed: &&Deed| {
            known <= deed.at
                && deed.at <= undone
                && deed.action == Action::Stop
                && (deed.why == Why::Recalled || self.is_hidden(deed.at - KNOWN_WITHIN, deed.at))
        };
        let given = self.deeds.iter().rfind(|deed| deed.action == Action::Start && deed.at <= undone)?;
        let wanted = self.any_demand(pause.at, undone, |wish| *wish == Wish::Start);
        let hidden = self.is_hidden(given.at - KNOWN_WITHIN, given.at);
        if wanted || hidden || given.at <= known || self.deeds.iter().any(|deed| excused(&deed)) {
            return None;
        }
        let (id, at, rule) = (&self.story.conversation, pause.at, &given.rule);
        Some(format!("an agent's own pause of {id} at {at} was undone at {undone} by rule '{rule}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::call::Way;
    use crate::sim::stage::promise::tests::{attempt, decided};

    fn at(seconds: i64) -> Wall {
        Wall::from_micros(seconds * 1_000_000)
    }

    fn story(touches: &[(i64, By, Recorder)]) -> TrueStory {
        let touch = |(seconds, by, to): &(i64, By, Recorder)| Touch { at: at(*seconds), by: *by, to: *to };
        let touches = touches.iter().map(touch).collect();
        TrueStory { conversation: "c".into(), way: Way::Inbound, truths: Vec::new(), touches }
    }

    fn deed(seconds: i64, action: Action, why: Why) -> Deed {
        Deed { at: at(seconds), action, rule: "card".into(), why }
    }

    fn seen<'a>(story: &'a TrueStory, deeds: &'a [Deed], demanded: &[(i64, Wish)]) -> Seen<'a> {
        let ends = demanded.iter().skip(1).map(|(seconds, _)| at(*seconds));
        let ends = ends.chain([Wall::from_micros(i64::MAX)]);
        let one = |((seconds, wish), until): (&(i64, Wish), Wall)| Demand {
            from: at(*seconds),
            until,
            wishes: vec![*wish],
        };
        let demanded = demanded.iter().zip(ends).map(one).collect();
        Seen { story, deeds, demanded, hidden: Vec::new() }
    }

    #[test]
    fn an_order_that_waits_until_it_gives_back_is_told_as_that() {
        let ended = record::HoldEnded {
            conversation: ConversationId::new("c"),
            rule: "card".into(),
            why: record::HoldEnd::Expired,
            restore: Some(Action::Start),
        };
        let mut deeds = Deeds::default();
        for record in [
            decided("stop", "c", Action::Stop),
            decided("start", "c", Action::Start),
            Record::HoldEnded(ended),
            attempt("stop", "c"),
            attempt("start", "c"),
        ] {
            deeds.note(&record, at(1));
        }
        let told: Vec<Why> = deeds.done["c"].iter().map(|deed| deed.why).collect();
        assert_eq!(told, [Why::Wanted, Why::GivenBack]);
    }

    #[test]
    fn an_order_that_nobody_wants_is_found() {
        let story = story(&[]);
        let deeds = [deed(105, Action::Stop, Why::Wanted), deed(130, Action::Start, Why::GivenBack)];
        let demanded = [(0, Wish::Leave), (100, Wish::Stop), (120, Wish::Leave)];
        assert_eq!(seen(&story, &deeds, &demanded).unwanted(), [""; 0]);
        let found = seen(&story, &deeds, &[(0, Wish::Leave), (100, Wish::Start)]).unwanted();
        assert!(found.len() == 1 && found[0].contains("a stop went out for c"), "{found:?}");
        let found = seen(&story, &deeds[1..], &demanded).unwanted();
        assert!(
            found.len() == 1 && found[0].contains("a start went out for c"),
            "nothing was taken: {found:?}"
        );
    }

    #[test]
    fn what_was_given_back_is_not_given_back_again() {
        let story = story(&[
            (101, By::Client, Recorder::SecurePaused),
            (181, By::Client, Recorder::Running),
            (240, By::Agent, Recorder::SecurePaused),
        ]);
        let mut deeds = vec![deed(100, Action::Stop, Why::Wanted), deed(180, Action::Start, Why::GivenBack)];
        assert_eq!(seen(&story, &deeds, &[]).given_back_twice(), [""; 0]);
        deeds.push(deed(260, Action::Start, Why::GivenBack));
        assert_eq!(seen(&story, &deeds, &[]).given_back_twice().len(), 1);
    }

    #[test]
    fn an_agents_own_pause_that_an_order_undoes_is_found() {
        let story = story(&[(100, By::Agent, Recorder::SecurePaused), (161, By::Client, Recorder::Running)]);
        let deeds = [deed(160, Action::Start, Why::GivenBack)];
        let told = |deeds: &[Deed], demanded: &[(i64, Wish)]| -> Vec<String> {
            let seen = seen(&story, deeds, demanded);
            let pauses = seen.agents_own_pauses();
            pauses.iter().filter_map(|(touch, undone)| seen.told(touch, *undone)).collect()
        };
        assert_eq!(told(&deeds, &[(0, Wish::Leave)]).len(), 1);
        assert_eq!(told(&deeds, &[(0, Wish::Leave), (150, Wish::Start)]), [""; 0], "somebody wants it");
        assert_eq!(told(&deeds, &[(0, Wish::Stop), (150, Wish::Leave)]), [""; 0], "a stop was in force");
        let ours = [deed(90, Action::Stop, Why::Wanted), deed(160, Action::Start, Why::GivenBack)];
        assert_eq!(told(&ours, &[(0, Wish::Leave)]), [""; 0], "an order was under way");
    }
}
