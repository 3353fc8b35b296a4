//! What the policy makes of the same callers where nothing goes wrong and every order is obeyed at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Drill;
use crate::model::ids::{ConversationId, QueueId};
use crate::model::recording::{Observed, Wish};
use crate::model::time::{Mono, Now, Wall};
use crate::policy::rule::DEFAULT;
use crate::policy::subject::Facts;
use crate::sim::plan::Plan;
use crate::sim::platform::Platform;
use crate::sim::random::Chance;
use crate::sim::stage::{BEGIN, Push};
use crate::warden::rehearsal::{Rehearsal, What};
use crate::wire::conversation;

/// Whether a call should be on tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnTape {
    /// It should, or the platform itself has suspended it.
    Yes,
    /// It should not.
    No,
}

/// How a call should be, from a moment to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) at: Wall,
    pub(super) on_tape: OnTape,
    /// The rule that wants it so, or that wanted something last.
    pub(super) rule: String,
}

/// How all calls of a run should be.
#[derive(Debug)]
pub(super) struct Ideal {
    pub(super) begin: Wall,
    pub(super) calls: BTreeMap<String, Vec<Wanted>>,
    pub(super) fired: BTreeSet<String>,
    /// What other systems pushed, and when.
    pub(super) pushes: Vec<Push>,
}

/// Facts are pushed so long after the first agent answered.
const PUSHED_AFTER: Duration = Duration::from_secs(2);
/// Where they are taken back, then after so long.
const TAKEN_BACK_AFTER: Duration = Duration::from_secs(20);

struct Playing<'d> {
    facts: &'d [(Option<String>, Facts)],
    /// Calls that an agent has answered.
    answered: BTreeSet<String>,
    /// What will be pushed, by when.
    coming: BTreeMap<(Mono, String), Facts>,
    platform: Platform,
    rehearsal: Rehearsal,
    now: Now,
    /// What was shown of each call last.
    shown: BTreeMap<String, String>,
    ideal: Ideal,
}

impl Ideal {
    /// Plays the callers for so long.
    pub(super) fn of(plan: Plan, drill: &Drill, lasting: Duration) -> Self {
        let settings = &drill.settings;
        let now = Now { mono: Mono::default(), wall: BEGIN };
        let platform = Platform::new(plan, now);
        let mut rehearsal =
            Rehearsal::new(settings.means, settings.directive_priority, drill.policy.clone(), BEGIN);
        let names = platform.org().queues.iter().map(|one| (QueueId::new(&one.id), one.name.to_string()));
        rehearsal.name_queues(names.collect());
        let ideal = Self { begin: BEGIN, calls: BTreeMap::new(), fired: BTreeSet::new(), pushes: Vec::new() };
        let mut playing = Playing {
            facts: &drill.casting.facts,
            answered: BTreeSet::new(),
            coming: BTreeMap::new(),
            platform,
            rehearsal,
            now,
            shown: BTreeMap::new(),
            ideal,
        };
        let end = now.mono + lasting;
        while let Some(next) = playing.next_moment().filter(|next| *next <= end) {
            playing.step(next);
        }
        playing.ideal
    }
}

impl Playing<'_> {
    fn next_moment(&self) -> Option<Mono> {
        let timer = self.rehearsal.next_timer().map(|at| self.now.mono + at.since(self.now.wall));
        let push = self.coming.first_key_value().map(|((at, _), _)| *at);
        self.platform.next_wakeup().into_iter().chain(timer).chain(push).min()
    }

    fn step(&mut self, next: Mono) {
        self.now = self.now + next.since(self.now.mono);
        self.platform.tick(self.now);
        // Nobody reads what it tells.
        while self.platform.poll_frame().is_some() || self.platform.poll_happening().is_some() {}
        self.rehearsal.advance(self.now.wall);
        for (id, body) in self.platform.bodies() {
            if self.shown.get(&id) == Some(&body) {
                continue;
            }
            if let Ok(read) = conversation::read(&body) {
                self.rehearsal.see(read.conversation, "", "");
            }
            self.shown.insert(id, body);
        }
        self.push();
        self.listen();
    }

    /// Pushes what is due, and plans it for the calls that were answered now.
    fn push(&mut self) {
        while let Some(((at, id), facts)) = self.coming.pop_first() {
            if at > self.now.mono {
                self.coming.insert((at, id), facts);
                break;
            }
            let conversation = ConversationId::new(&id);
            self.rehearsal.facts(&conversation, facts.clone());
            self.ideal.pushes.push(Push { at, conversation, facts });
        }
        for id in self.shown.keys() {
            let Some(call) = self.rehearsal.conversation(&ConversationId::new(id)) else { continue };
            if call.agent().is_none_or(|agent| !agent.is_connected()) || !self.answered.insert(id.clone()) {
                continue;
            }
            let queue = call.queue().map(|queue| queue.name.clone());
            let fits = |of: &&(Option<String>, Facts)| of.0.is_none() || of.0 == queue;
            let fitting: Vec<&Facts> = self.facts.iter().filter(fits).map(|(_, facts)| facts).collect();
            // Of its own, so that facts change nothing else.
            let mut chance = Chance::named(&format!("facts of {id}"));
            if let Some(facts) = chance.pick(&fitting).copied() {
                let at = self.now.mono + PUSHED_AFTER;
                self.coming.insert((at, id.clone()), facts.clone());
                if chance.strikes(0.5) {
                    let nothing = facts.keys().map(|key| (key.clone(), serde_json::Value::Null)).collect();
                    self.coming.insert((at + TAKEN_BACK_AFTER, id.clone()), nothing);
                }
            }
        }
    }

    /// What came of it, for each call that something came of.
    fn listen(&mut self) {
        while let Some(one) = self.rehearsal.poll() {
            match one.what {
                What::Verdict { now, .. } if now.wish != Wish::Leave || now.rule != DEFAULT => {
                    self.ideal.fired.insert(now.rule);
                }
                What::Decision { rule, .. } | What::Would { rule, .. } => {
                    self.ideal.fired.insert(rule);
                }
                What::Verdict { .. } | What::Failed { .. } | What::Ended => {}
            }
        }
        for id in self.shown.keys() {
            let conversation = ConversationId::new(id);
            let Some(said) = self.rehearsal.said(&conversation) else { continue };
            let on_tape = match self.rehearsal.observed(&conversation) {
                Observed::Active | Observed::Suspended => OnTape::Yes,
                Observed::Paused | Observed::None | Observed::Unknown => OnTape::No,
            };
            let wanted = self.ideal.calls.entry(id.clone()).or_default();
            let last = wanted.last();
            let rule = match last {
                Some(last) if said.rule == DEFAULT => last.rule.clone(),
                Some(_) | None => said.rule.clone(),
            };
            if last.is_none_or(|last| last.on_tape != on_tape || last.rule != rule) {
                wanted.push(Wanted { at: self.now.wall, on_tape, rule });
            }
        }
    }
}
