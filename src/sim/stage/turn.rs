//! Whose turn it is where few requests may go (`limits`), seen from outside: stops before starts, each with its
//! longest wait first, never more under way than there are slots, none that waits though it could go, and none that
//! the platform refuses for its rate; after a death, one at once and alone. A call whose order waits may be in a wrong
//! state meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::promise::Trace;
use super::{BEGIN, Stage};
use crate::audit::record::{Decision, Record};
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::recording::{Action, Observed};
use crate::model::time::{Mono, Now, Wall};
use crate::warden::RequestId;
use crate::wire::reply::RawAnswer;

/// Below so many requests a minute orders have to wait.
const FEW: u32 = 100;
/// A request counts for so long: the platform's minute, and a second for the way there.
pub(super) const COUNTS_FOR: Duration = Duration::from_secs(61);
/// A decision waits for so long for anything but its turn: its records, and an order that is under way.
pub(super) const ELSE_AT_MOST: Duration = Duration::from_secs(2);
/// The first request after a death goes alone for so long, if it is not answered before.
const ALONE: Duration = Duration::from_secs(2);
/// One that waited for so long surely waited for its turn.
const WAITED: Duration = Duration::from_secs(5);

/// A decision that was not tried yet.
#[derive(Clone, Debug)]
struct Waiting {
    conversation: ConversationId,
    since: Now,
    action: Action,
    /// Whether it can be sent whatever the call's legs are, with nothing to be read before.
    sendable: bool,
}

/// The first request of a process.
#[derive(Clone, Copy, Debug, Default)]
enum First {
    /// It began then, after another had died.
    Due(Mono),
    /// It went then.
    Asked(Mono, RequestId),
    #[default]
    Done,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Turn {
    waiting: BTreeMap<DecisionId, Waiting>,
    /// When each conversation had a decision that waited.
    waited: BTreeMap<String, Vec<(Wall, Wall)>>,
    /// What each decision wants.
    wants: BTreeMap<DecisionId, Action>,
    /// Decisions that were tried and are open yet.
    tried: BTreeMap<DecisionId, (ConversationId, Mono)>,
    /// When requests went out.
    pub(super) sent: Vec<(Mono, Trace)>,
    under_way: BTreeSet<RequestId>,
    /// When the process died last.
    died: Option<Mono>,
    first: First,
}

impl Turn {
    /// When a decision about this conversation waited.
    pub(super) fn waited(&self, conversation: &str) -> &[(Wall, Wall)] {
        self.waited.get(conversation).map_or(&[], Vec::as_slice)
    }

    fn note(&mut self, one: &Decision, since: Now) {
        let sendable = one.observed != Observed::Unknown
            && (one.action == Action::Stop || one.observed == Observed::Paused);
        let waiting = Waiting { conversation: one.conversation.clone(), since, action: one.action, sendable };
        self.waiting.insert(one.decision.clone(), waiting);
        self.wants.insert(one.decision.clone(), one.action);
    }
}

impl Stage {
    /// Whether so few requests may go that orders have to wait.
    pub(super) fn few_may_go(&self) -> bool {
        self.script.settings.allowance.requests_per_minute < FEW
    }

    /// A request goes out: there must be a slot for it.
    pub(super) fn take_slot(&mut self, id: RequestId, trace: Trace) {
        self.turn.under_way.insert(id);
        let (count, slots) = (self.turn.under_way.len(), self.script.settings.allowance.max_in_flight);
        if count > slots {
            self.finding(format!("{count} requests are under way at once, {slots} at most"));
        }
        if count == slots {
            self.count("moments with every slot taken");
        }
        if self.few_may_go() {
            self.turn.sent.push((self.now.mono, trace));
            self.watch_first(id);
        }
    }

    /// A request is answered.
    pub(super) fn free_slot(&mut self, id: RequestId, answer: &RawAnswer) {
        self.turn.under_way.remove(&id);
        if matches!(self.turn.first, First::Asked(_, first) if first == id) {
            self.turn.first = First::Done;
        }
        if self.few_may_go() && matches!(answer, RawAnswer::Answered { status: 429, .. }) {
            self.finding("the platform refuses a request for its rate".to_owned());
        }
    }

    /// After a death one request goes at once, and no other before its answer tells how many there were.
    fn watch_first(&mut self, id: RequestId) {
        let now = self.now.mono;
        match self.turn.first {
            First::Due(begun) => {
                self.end_waiting_for_first(begun);
                self.turn.first = First::Asked(now, id);
            }
            First::Asked(sent, _) if now.since(sent) < ALONE => {
                self.finding("a request goes before the first one after a death is answered".to_owned());
            }
            First::Asked(..) | First::Done => self.turn.first = First::Done,
        }
    }

    fn end_waiting_for_first(&mut self, begun: Mono) {
        let waited = self.now.mono.since(begun);
        if waited > ELSE_AT_MOST {
            self.finding(format!("no request went for {waited:?} after a death"));
        }
    }

    /// Takes in a record that has become durable, and when it was made.
    pub(super) fn watch_turn_of(&mut self, record: &Record, made: Now) {
        if !self.few_may_go() {
            return;
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "of all others none changes what waits")]
        match record {
            Record::Decision(one) => self.turn.note(one, made),
            Record::Attempt(one) => {
                if self.turn.wants.get(&one.decision) == Some(&Action::Start) {
                    self.watch_start(made.mono);
                }
                self.end_turn(&one.decision, made);
                let tried = (one.conversation.clone(), made.mono);
                self.turn.tried.entry(one.decision.clone()).or_insert(tried);
            }
            Record::Confirmed(one) => self.end_decision(&one.decision, made),
            Record::Superseded(one) => self.end_decision(&one.decision, made),
            Record::Abandoned(one) => self.end_decision(&one.decision, made),
            _ => {}
        }
    }

    /// A start goes out: no stop may be waiting that could go instead.
    fn watch_start(&mut self, at: Mono) {
        let passed = |(_, other): &(&DecisionId, &Waiting)| {
            other.action == Action::Stop
                && other.sendable
                && at.since(other.since.mono) > ELSE_AT_MOST
                && !self.orders.values().any(|busy| *busy == *other.conversation.as_str())
        };
        if let Some(decision) = self.turn.waiting.iter().find(passed).map(|(id, _)| id.clone()) {
            self.finding(format!(
                "a start went out, and the stop of decision {decision} had waited for longer"
            ));
        }
    }

    fn end_turn(&mut self, decision: &DecisionId, now: Now) {
        let Some(waiting) = self.turn.waiting.remove(decision) else { return };
        let span = (waiting.since.wall, now.wall);
        self.turn.waited.entry(waiting.conversation.to_string()).or_default().push(span);
        if now.mono.since(waiting.since.mono) >= WAITED && waiting.sendable {
            self.count("orders that waited for the rate");
        }
        self.judge_turn(decision, &waiting, now.mono);
    }

    /// Once it was tried, what waits for its turn is the next attempt, or a read of what became of it.
    fn end_decision(&mut self, decision: &DecisionId, now: Now) {
        self.end_turn(decision, now);
        let Some((conversation, since)) = self.turn.tried.remove(decision) else { return };
        let mut moment = since + ELSE_AT_MOST;
        while moment < now.mono {
            if sent_before(&self.turn.sent, moment) >= self.spendable() {
                let wall = BEGIN + moment.since_start();
                let waited = self.turn.waited.entry(conversation.to_string()).or_default();
                waited.push((wall - ELSE_AT_MOST, wall));
            }
            moment = moment + ELSE_AT_MOST;
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.script.settings.allowance.requests_per_minute as usize
    }

    /// Of these, what a process may use: the last ones are for the first requests of the next processes.
    pub(super) fn spendable(&self) -> usize {
        self.limit() - (self.limit() / 100).max(3).min(self.limit() / 4)
    }

    /// While something waited, its turn could not have come: so many requests went out in the minute before each moment.
    fn judge_turn(&mut self, decision: &DecisionId, waiting: &Waiting, until: Mono) {
        let most = self.spendable();
        let since = self.turn.died.map_or(waiting.since.mono, |at| waiting.since.mono.max(at + COUNTS_FOR));
        let mut moment = since + ELSE_AT_MOST;
        while waiting.sendable && moment < until {
            let count = most_sent_before(&self.turn.sent, moment);
            if count < most {
                let (since, at) = (waiting.since.mono.since_start(), moment.since_start());
                return self.finding(format!(
                    "decision {decision} was made after {since:?} and still waited after {at:?}, with {count} requests \
                     in the minute before"
                ));
            }
            moment = moment + ELSE_AT_MOST;
        }
    }

    /// The next process takes up what the log says.
    pub(super) fn recall_turns(&mut self) {
        self.turn.under_way.clear();
        if !self.few_may_go() {
            return;
        }
        let now = self.now;
        self.turn.died = Some(now.mono);
        self.turn.first = First::Due(now.mono);
        let open: BTreeMap<_, _> = self
            .log
            .history()
            .open_decisions()
            .map(|open| (open.decision.decision.clone(), (open.decision.clone(), open.attempts)))
            .collect();
        let gone: Vec<DecisionId> = self
            .turn
            .waiting
            .keys()
            .chain(self.turn.tried.keys())
            .filter(|id| !open.contains_key(id))
            .cloned()
            .collect();
        gone.iter().for_each(|id| self.end_decision(id, now));
        for (id, (decision, attempts)) in open {
            self.turn.wants.insert(id.clone(), decision.action);
            if attempts == 0 && !self.turn.waiting.contains_key(&id) {
                self.turn.note(&decision, now);
            }
        }
    }

    /// At the end, what still waits waited until now.
    pub(super) fn end_all_turns(&mut self) {
        if let First::Due(begun) = self.turn.first {
            self.end_waiting_for_first(begun);
        }
        let open = self.turn.waiting.keys().chain(self.turn.tried.keys());
        let (all, now): (Vec<DecisionId>, Now) = (open.cloned().collect(), self.now);
        all.iter().for_each(|id| self.end_decision(id, now));
    }
}

/// How many went out in the minute before a moment.
fn sent_before(sent: &[(Mono, Trace)], moment: Mono) -> usize {
    sent.iter().filter(|(at, _)| *at <= moment && moment.since(*at) <= COUNTS_FOR).count()
}

/// The same, or of a moment a little before: where a minute is over for many at once, the next ones go as slots are free.
pub(super) fn most_sent_before(sent: &[(Mono, Trace)], moment: Mono) -> usize {
    sent_before(sent, moment).max(sent_before(sent, moment - ELSE_AT_MOST))
}
