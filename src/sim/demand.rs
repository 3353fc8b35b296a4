//! What a drawn policy demands of a call, told from the truth of the call and the words of PRODUCT.md 2, and not from
//! the policy engine, so that a mistake there shows.
//!
//! A rule that remembers (`until = "end"`, `after`, `at_most`) depends on what was seen and when. What changed
//! while the warden may have been blind leaves such a hold *unsure*, until something settles it: then more than
//! one demand is acceptable, and only a state that none of them allows is wrong.

mod hold;
mod late;
mod own;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::recording::{Action, Wish};
use crate::model::time::Wall;
use crate::policy::rule::Mode;
use crate::sim::call::{Tape, Truth};
use crate::sim::charter::{Charter, Clause, Scene};
use crate::sim::org::Org;
use crate::sim::platform::TrueStory;
use hold::{Condition, Hold, Phase, Sight, next_hold};
pub use late::{Demand, demanded};
pub(in crate::sim) use own::APPLIED_WITHIN;

/// The priority of directives among rules, as the stage sets it.
pub const DIRECTIVE_PRIORITY: i64 = 1000;

/// Something that others said of a conversation, and that the warden took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A fact.
    Fact(String, bool),
    /// A directive, for so long where a span is given.
    Order(Action, Option<Duration>),
    /// The directive is released.
    Release,
}

/// Whether clocks were set, so that spans told by the wall are not exact over a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// They ran as they should.
    Steady,
    /// They were set.
    Set,
}

/// Which recorder starts and stops are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Governed {
    /// The policy recorder, by secure pause; a start from nothing is made ad hoc, where it is possible.
    Pauses {
        /// Whether a start from nothing is possible.
        from_none: bool,
    },
    /// The ad-hoc recorders.
    Adhoc,
    /// The policy recorder, by the gateway's start and stop.
    Gateway,
}

/// All that is known beside the calls.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The organisation.
    pub org: &'a Org,
    /// The policies, each from when on; the first from the beginning.
    pub charters: &'a [(Wall, Charter)],
    /// What others said, by conversation.
    pub words: &'a BTreeMap<String, Vec<(Wall, Word)>>,
    /// When the warden may have been blind.
    pub blind: &'a [(Wall, Wall)],
    /// When it saw late: what was there for a moment may have gone unseen.
    pub dim: &'a [(Wall, Wall)],
    /// Whether clocks were set.
    pub clocks: Clocks,
    /// Which recorder is meant.
    pub governed: Governed,
    /// When an order of ours may have made a pause that stays, though nobody wants it any more.
    pub kept: &'a [(Wall, Wall)],
    /// The end.
    pub until: Wall,
}

/// A span in which a call was in a wrong state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Since when.
    pub from: Wall,
    /// Until when.
    pub until: Wall,
    /// What was wrong at first.
    pub what: String,
}

#[derive(Clone, Copy, Debug)]
struct Directive {
    action: Action,
    until: Option<Wall>,
    sight: Sight,
}

#[derive(Clone, Copy, Debug)]
enum Change<'a> {
    Truth(&'a Truth),
    Word(&'a Word),
    Charter(&'a Charter),
    Sight,
}

#[derive(Clone)]
struct Mind<'a> {
    case: Case<'a>,
    story: &'a TrueStory,
    now: Wall,
    charter: &'a Charter,
    truth: Option<&'a Truth>,
    facts: BTreeMap<String, bool>,
    directive: Option<Directive>,
    holds: BTreeMap<&'static str, Hold>,
    /// When something was in force last that leaves its pause behind.
    keeping: Option<Wall>,
}

/// The spans in which a call was in a state that its policy does not allow, outside of blindness.
pub fn wrong_spans(story: &TrueStory, case: Case<'_>) -> Vec<Wrong> {
    let mut spans = Vec::new();
    let mut open: Option<Wrong> = None;
    live_through(story, case, |mind| mark(&mut open, &mut spans, mind.now, mind.wrong()));
    mark(&mut open, &mut spans, case.until, None);
    spans.into_iter().flat_map(|span| outside(span, case.blind)).collect()
}

/// Goes through all that changed, and looks after each change.
fn live_through<'a>(story: &'a TrueStory, case: Case<'a>, mut look: impl FnMut(&Mind<'a>)) {
    let Some(mut mind) = Mind::new(story, case) else { return };
    for (at, change) in changes(story, case) {
        mind.pass_timers(at, &mut look);
        mind.meet(at, change);
        look(&mind);
    }
    mind.pass_timers(case.until, &mut look);
}

fn changes<'a>(story: &'a TrueStory, case: Case<'a>) -> Vec<(Wall, Change<'a>)> {
    let mut all: Vec<(Wall, Change<'_>)> =
        case.charters.iter().skip(1).map(|(at, charter)| (*at, Change::Charter(charter))).collect();
    all.extend(story.truths.iter().map(|truth| (truth.at, Change::Truth(truth))));
    let words = case.words.get(&story.conversation).into_iter().flatten();
    all.extend(words.map(|(at, word)| (*at, Change::Word(word))));
    all.extend(case.blind.iter().chain(case.dim).map(|(_, until)| (*until, Change::Sight)));
    all.retain(|(at, _)| *at <= case.until);
    all.sort_by_key(|(at, _)| *at);
    all
}

fn mark(open: &mut Option<Wrong>, spans: &mut Vec<Wrong>, now: Wall, wrong: Option<String>) {
    match (open.take(), wrong) {
        (None, Some(what)) => *open = Some(Wrong { from: now, until: now, what }),
        (Some(span), Some(_)) => *open = Some(span),
        (Some(span), None) => spans.push(Wrong { until: now, ..span }),
        (None, None) => {}
    }
}

/// The parts of a span outside of others.
pub fn outside(span: Wrong, others: &[(Wall, Wall)]) -> Vec<Wrong> {
    let mut parts = vec![span];
    for (from, until) in others {
        let cut = |part: Wrong| {
            let before = Wrong { until: part.until.min(*from), ..part.clone() };
            let after = Wrong { from: part.from.max(*until), ..part };
            [before, after]
        };
        parts = parts.into_iter().flat_map(cut).filter(|part| part.from < part.until).collect();
    }
    parts
}

fn can_be_started(governed: Governed, truth: &Truth) -> bool {
    match (governed, truth.tape) {
        (_, Tape::Active | Tape::Suspended) if governed != Governed::Adhoc => false,
        (Governed::Pauses { from_none: false }, Tape::None) => false,
        (Governed::Pauses { .. } | Governed::Gateway, Tape::SecurePaused)
        | (Governed::Gateway, Tape::None) => true,
        (Governed::Pauses { .. } | Governed::Adhoc, _) => truth.agents > truth.other_recorders,
        (Governed::Gateway, _) => false,
    }
}

/// Since when a call's recording can be started; none where it can't be now.
pub fn startable_since(story: &TrueStory, governed: Governed) -> Option<Wall> {
    let can = |truth: &&Truth| truth.live && can_be_started(governed, truth);
    story.truths.iter().rev().take_while(can).last().map(|truth| truth.at)
}

impl<'a> Mind<'a> {
    /// Nothing is known yet; none where there is no policy.
    fn new(story: &'a TrueStory, case: Case<'a>) -> Option<Self> {
        let (_, charter) = case.charters.first()?;
        Some(Self {
            case,
            story,
            now: Wall::default(),
            charter,
            truth: None,
            facts: BTreeMap::new(),
            directive: None,
            holds: BTreeMap::new(),
            keeping: None,
        })
    }

    fn meet(&mut self, at: Wall, change: Change<'a>) {
        self.now = at.max(self.now);
        self.take(change);
        self.settle();
    }

    fn pass_timers(&mut self, until: Wall, look: &mut impl FnMut(&Self)) {
        while let Some(due) = self.next_timer().filter(|due| *due < until) {
            self.now = due.max(self.now);
            self.settle();
            look(self);
        }
    }

    fn take(&mut self, change: Change<'a>) {
        let now = self.now;
        match change {
            Change::Truth(truth) => self.truth = Some(truth),
            Change::Charter(charter) => self.charter = charter,
            Change::Sight => {}
            Change::Word(Word::Fact(name, value)) => {
                self.facts.insert(name.clone(), *value);
            }
            Change::Word(Word::Release) => self.directive = None,
            Change::Word(Word::Order(action, lasts)) => {
                let exact = lasts.is_none() || self.case.clocks == Clocks::Steady;
                let sight = if exact { Sight::Sure } else { Sight::Unsure };
                self.directive =
                    Some(Directive { action: *action, until: lasts.map(|span| now + span), sight });
            }
        }
    }

    fn is_unsure(&self, at: Wall) -> bool {
        self.case.blind.iter().chain(self.case.dim).any(|(from, until)| *from <= at && at < *until)
    }

    fn settle(&mut self) {
        let now = self.now;
        if self
            .directive
            .is_some_and(|one| one.sight == Sight::Sure && one.until.is_some_and(|until| until <= now))
        {
            self.directive = None;
        }
        let Some(truth) = self.truth else { return };
        let scene = Scene { truth, way: self.story.way, facts: &self.facts, org: self.case.org };
        let seen = if self.is_unsure(now) { Sight::Unsure } else { Sight::Sure };
        let mut holds = BTreeMap::new();
        for clause in &self.charter.clauses {
            let matches = truth.live && clause.matches(scene);
            let condition = if matches { Condition::Matches } else { Condition::Differs };
            let before = self.holds.get(clause.name).copied();
            if let Some(next) = next_hold(clause, before, condition, now, seen) {
                holds.insert(clause.name, next);
            }
        }
        self.holds = holds;
        if self.keeps() {
            self.keeping = Some(now);
        }
    }

    fn next_timer(&self) -> Option<Wall> {
        let due = |clause: &Clause| {
            let hold = self.holds.get(clause.name)?;
            match hold.phase {
                Phase::Pending => Some(hold.since + clause.after),
                Phase::Held => clause.at_most.map(|most| hold.since + most),
                Phase::Expired => None,
            }
        };
        let directive = self.directive.filter(|one| one.sight == Sight::Sure).and_then(|one| one.until);
        self.charter.clauses.iter().filter_map(due).chain(directive).min()
    }

    /// What may be demanded now; one thing, where everything is sure.
    fn demands(&self) -> Vec<Wish> {
        let mut demands = Vec::new();
        let (above, below): (Vec<&Clause>, Vec<&Clause>) =
            self.charter.clauses.iter().partition(|one| one.priority > DIRECTIVE_PRIORITY);
        for clause in above {
            if self.ask(clause, &mut demands) {
                return demands;
            }
        }
        if let Some(directive) = self.directive {
            demands.push(directive.action.into());
            if directive.sight == Sight::Sure {
                return demands;
            }
        }
        for clause in below {
            if self.ask(clause, &mut demands) {
                return demands;
            }
        }
        demands.push(self.charter.default);
        demands
    }

    /// What those demand that are in force for a time, whatever is above them: their end is told from when they were seen.
    fn timed(&self) -> impl Iterator<Item = Wish> {
        let timed = |clause: &&Clause| {
            let lasts = clause.at_most.is_some() || !clause.after.is_zero();
            lasts && clause.mode == Mode::Enforce && self.holds.contains_key(clause.name)
        };
        self.charter.clauses.iter().filter(timed).map(|clause| clause.action.into())
    }

    /// Adds what a clause demands; whether it surely does, so that nothing below it counts.
    fn ask(&self, clause: &Clause, demands: &mut Vec<Wish>) -> bool {
        let Some(hold) = self.holds.get(clause.name).filter(|_| clause.mode == Mode::Enforce) else {
            return false;
        };
        match (hold.sight, hold.phase) {
            (Sight::Unsure, Phase::Pending | Phase::Held | Phase::Expired) => {
                demands.push(clause.action.into());
                false
            }
            (Sight::Sure, Phase::Held) => {
                demands.push(clause.action.into());
                true
            }
            (Sight::Sure, Phase::Pending | Phase::Expired) => false,
        }
    }

    /// What is wrong now, where something is.
    fn wrong(&self) -> Option<String> {
        let truth = self.truth.filter(|truth| truth.live)?;
        let demands = self.demands();
        let fits = |wish: &Wish| match wish {
            Wish::Stop => !self.is_recorded(truth),
            Wish::Start => self.is_recorded(truth) || !can_be_started(self.case.governed, truth),
            Wish::Leave => !self.is_left_paused(truth),
        };
        if demands.iter().any(fits) {
            return None;
        }
        let (tape, holds) = (truth.tape, &self.holds);
        Some(format!("{demands:?} is demanded, and the tape is {tape:?} ({holds:?}, {:?})", self.directive))
    }

    fn is_recorded(&self, truth: &Truth) -> bool {
        match self.case.governed {
            Governed::Pauses { .. } | Governed::Gateway => truth.tape == Tape::Active,
            Governed::Adhoc => truth.other_recorders > 0,
        }
    }
}
