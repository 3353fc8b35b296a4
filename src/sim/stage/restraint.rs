//! The brake, seen from outside (`safety.max_changes_per_minute`): never more changes a minute than it lets go, and
//! never one that waits though it would let one go. A call whose decision waits may be in a wrong state meanwhile.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::{Judged, Stage};
use crate::audit::record::{Decision, Record};
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::recording::{Action, Observed};
use crate::model::time::{Mono, Now, Wall};
use crate::policy::rule::{DIRECTIVE, WHEN_BLIND};

/// The brake counts over this, and holds for as long.
const WINDOW: Duration = Duration::from_secs(60);
/// A decision waits for so long for anything but the brake: its turn, and a record that is slow to be durable.
const ELSE_AT_MOST: Duration = Duration::from_secs(5);
/// The same where an agent undoes it again and again.
const CONTESTED_AT_MOST: Duration = Duration::from_secs(35);
/// A decision that waited for so long surely waited for the brake.
const BRAKED_FROM: Duration = Duration::from_secs(10);

/// What the brake makes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restrained {
    /// It counts it, and lets it wait.
    Surely,
    /// It may: a start, which may be the giving back of what a rule before paused.
    Perhaps,
    /// A person's order or a blind stop: none of its business, unless a rule that wants the same outranks it, or does
    /// once it is over.
    Rarely,
    /// It is none of its business: recording that is given back.
    Never,
}

/// A decision that was not tried yet.
#[derive(Clone, Debug)]
struct Waiting {
    conversation: ConversationId,
    since: Now,
    restrained: Restrained,
    /// Whether it can be sent whatever the call's legs are.
    sendable: bool,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Restraint {
    waiting: BTreeMap<DecisionId, Waiting>,
    /// When each conversation had a decision that waited.
    waited: BTreeMap<String, Vec<(Wall, Wall)>>,
    /// Changes that the brake counted for sure, within the window.
    counted: VecDeque<Mono>,
    /// Changes that it may have counted.
    made: Vec<Mono>,
    /// Conversations with a directive, or held by a blind stop: what is sent for these it never counts.
    excepted: BTreeSet<(ConversationId, &'static str)>,
    /// How wrong the clock was when the log was written last.
    skew: i64,
}

impl Restraint {
    /// When a decision about this conversation waited.
    pub(super) fn waited(&self, conversation: &str) -> &[(Wall, Wall)] {
        self.waited.get(conversation).map_or(&[], Vec::as_slice)
    }

    fn is_excepted(&self, conversation: &ConversationId) -> bool {
        [DIRECTIVE, WHEN_BLIND].into_iter().any(|why| self.excepted.contains(&(conversation.clone(), why)))
    }

    fn note(&mut self, one: &Decision, since: Now) {
        let given_back = one.action == Action::Start && matches!(&*one.reason, "released" | "expired");
        let restrained = match one.action {
            _ if given_back => Restrained::Never,
            _ if one.rule == DIRECTIVE || one.rule == WHEN_BLIND => Restrained::Rarely,
            Action::Stop => Restrained::Surely,
            Action::Start => Restrained::Perhaps,
        };
        let sendable = one.action == Action::Stop || one.observed == Observed::Paused;
        let waiting = Waiting { conversation: one.conversation.clone(), since, restrained, sendable };
        self.waiting.insert(one.decision.clone(), waiting);
    }
}

impl Stage {
    /// Takes in a record that has become durable, and when it was made.
    pub(super) fn watch_brake(&mut self, record: &Record, made: Now) {
        if self.script.settings.max_changes_per_minute == 0 {
            return;
        }
        self.restraint.skew = self.skew;
        match record {
            Record::Decision(one) => self.restraint.note(one, made),
            Record::Attempt(one) => {
                if let Some(waiting) = self.end_waiting(&one.decision, made) {
                    self.watch_change(&waiting, made.mono);
                }
            }
            Record::Confirmed(one) => drop(self.end_waiting(&one.decision, made)),
            Record::Superseded(one) => drop(self.end_waiting(&one.decision, made)),
            Record::Abandoned(one) => drop(self.end_waiting(&one.decision, made)),
            Record::Directive(one) => {
                self.restraint.excepted.insert((one.conversation.clone(), DIRECTIVE));
            }
            Record::DirectiveReleased(one) => {
                self.restraint.excepted.remove(&(one.conversation.clone(), DIRECTIVE));
            }
            Record::Hold(one) if one.rule == WHEN_BLIND => {
                self.restraint.excepted.insert((one.conversation.clone(), WHEN_BLIND));
            }
            Record::HoldEnded(one) if one.rule == WHEN_BLIND => {
                self.restraint.excepted.remove(&(one.conversation.clone(), WHEN_BLIND));
            }
            Record::DaemonStarted(_)
            | Record::DaemonStopped(_)
            | Record::PolicyLoaded(_)
            | Record::Outcome(_)
            | Record::Would(_)
            | Record::GapOpened(_)
            | Record::GapClosed(_)
            | Record::Facts(_)
            | Record::Hold(_)
            | Record::HoldEnded(_)
            | Record::Contested(_)
            | Record::Residual(_)
            | Record::Dropped(_)
            | Record::Alert(_)
            | Record::RuleFailed(_)
            | Record::Carried(_)
            | Record::Retired(_)
            | Record::Checkpoint(_) => {}
        }
    }

    /// The first attempt of a decision: never more within a minute than the brake lets go.
    fn watch_change(&mut self, waiting: &Waiting, at: Mono) {
        if waiting.restrained == Restrained::Never {
            return;
        }
        self.restraint.made.push(at);
        let excepted = self.restraint.is_excepted(&waiting.conversation);
        if excepted || waiting.restrained != Restrained::Surely {
            return;
        }
        self.watch_turn(waiting, at);
        let counted = &mut self.restraint.counted;
        counted.push_back(at);
        while counted.front().is_some_and(|first| at.since(*first) >= WINDOW) {
            counted.pop_front();
        }
        let (count, bound) = (counted.len(), self.script.settings.max_changes_per_minute);
        if count > bound as usize {
            self.finding(format!("{count} changes within a minute, and the brake is to hold beyond {bound}"));
        }
    }

    /// Among stops that wait, the oldest goes first: one that is overtaken by a later one was lost.
    fn watch_turn(&mut self, waiting: &Waiting, at: Mono) {
        let earlier = |(_, other): &(&DecisionId, &Waiting)| {
            other.restrained == Restrained::Surely
                && !self.restraint.is_excepted(&other.conversation)
                && at.since(other.since.mono) > BRAKED_FROM
                && waiting.since.mono.since(other.since.mono) > ELSE_AT_MOST
        };
        let concerned = self.script.judged == Judged::Throughout && self.script.plan.agent_pauses <= 0.0;
        let overtaken = self.restraint.waiting.iter().find(earlier).map(|(id, _)| id.clone());
        if let Some(decision) = overtaken.filter(|_| concerned) {
            self.finding(format!("a change went out, and decision {decision} had waited for longer"));
        }
    }

    /// A decision waits no longer: while it did, the brake must have had its reason.
    fn end_waiting(&mut self, decision: &DecisionId, now: Now) -> Option<Waiting> {
        let waiting = self.restraint.waiting.remove(decision)?;
        let span = (waiting.since.wall, now.wall);
        self.restraint.waited.entry(waiting.conversation.to_string()).or_default().push(span);
        let minds = matches!(waiting.restrained, Restrained::Surely | Restrained::Perhaps);
        if now.mono.since(waiting.since.mono) >= BRAKED_FROM && minds {
            self.count("decisions that waited for the brake");
        }
        self.judge_wait(decision, &waiting, now.mono);
        Some(waiting)
    }

    /// While something waited, the brake held: so many changes went out in the two minutes before each moment.
    fn judge_wait(&mut self, decision: &DecisionId, waiting: &Waiting, until: Mono) {
        let contested = self.script.plan.agent_pauses > 0.0;
        let beside = if contested { CONTESTED_AT_MOST } else { ELSE_AT_MOST };
        let concerned = self.script.judged == Judged::Throughout
            && waiting.sendable
            && matches!(waiting.restrained, Restrained::Surely | Restrained::Perhaps)
            && !self.restraint.is_excepted(&waiting.conversation);
        let bound = self.script.settings.max_changes_per_minute as usize;
        let mut moment = waiting.since.mono + beside;
        while concerned && moment < until {
            let recent = |at: &&Mono| **at <= moment && moment.since(**at) <= WINDOW * 2 + beside;
            if self.restraint.made.iter().filter(recent).count() < bound {
                let (since, at) = (waiting.since.mono.since_start(), moment.since_start());
                return self.finding(format!(
                    "decision {decision} was made after {since:?} and still waited after {at:?}, when the brake \
                     would have let it go"
                ));
            }
            moment = moment + BRAKED_FROM;
        }
    }

    /// The next process takes up what the log says.
    pub(super) fn recall_waiting(&mut self) {
        if self.script.settings.max_changes_per_minute == 0 {
            return;
        }
        if self.restraint.skew != self.skew {
            // Of a clock that was set between the last record and the death the log cannot tell.
            self.restraint.counted.clear();
        }
        let now = self.now;
        let history = self.log.history().clone();
        let open: BTreeMap<_, _> = history
            .open_decisions()
            .filter(|open| open.attempts == 0)
            .map(|open| (open.decision.decision.clone(), open.decision.clone()))
            .collect();
        let gone: Vec<DecisionId> =
            self.restraint.waiting.keys().filter(|id| !open.contains_key(id)).cloned().collect();
        gone.iter().for_each(|id| drop(self.end_waiting(id, now)));
        for (id, decision) in open {
            if !self.restraint.waiting.contains_key(&id) {
                self.restraint.note(&decision, now);
            }
        }
        let ordered = history.directives().map(|one| (one.conversation.clone(), DIRECTIVE));
        let blind = history.holds().filter(|hold| hold.rule == WHEN_BLIND);
        let blind = blind.map(|hold| (hold.conversation.clone(), WHEN_BLIND));
        self.restraint.excepted = ordered.chain(blind).collect();
    }

    /// At the end, what still waits waited until now.
    pub(super) fn end_all_waiting(&mut self) {
        let all: Vec<DecisionId> = self.restraint.waiting.keys().cloned().collect();
        let now = self.now;
        all.iter().for_each(|id| drop(self.end_waiting(id, now)));
    }
}
