//! The book: every live conversation as it stands, with what recwarden holds on it.
//!
//! A snapshot that is older than what is known (a participant gone again, an ended leg that lives again)
//! is refused, since neither the order nor the arrival of events is promised (PRODUCT.md 2).

mod ended;
mod former;
mod pursuit;
mod weight;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use smallvec::SmallVec;

use crate::audit::claim::Claimed;
use crate::audit::record::DirectiveOrigin;
use crate::model::conversation::{Conversation, Participant};
use crate::model::ids::{ConversationId, QueueId};
use crate::model::recording::{Action, Observed};
use crate::model::time::{Mono, Now, Wall};
use crate::policy::decide::{RuleFailure, RuleIndex};
use crate::policy::rule::OnRelease;
use crate::policy::subject::Facts;
use crate::warden::latch::Latches;
use crate::warden::unseen::Unseen;
pub use ended::ENDED_REMEMBERED;
use ended::Endings;
pub use former::{Doubt, Former, Turn};
pub use pursuit::{Again, Begun, Failed, GivenUp, Pursuit, Stage};
pub use weight::Push;

/// An order from outside that stands until it is replaced, released, over, or the conversation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Its id, for its release.
    pub id: String,
    /// What it wants.
    pub action: Action,
    /// Who asked.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Which way it came.
    pub origin: DirectiveOrigin,
    /// When it is over by itself.
    pub until: Option<Wall>,
}

/// Why the hold behind a claim let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LetGo {
    /// Unmatched, released, or gone with a reload.
    #[default]
    Released,
    /// Its `at_most` or `for` was over.
    Expired,
}

impl LetGo {
    /// The reason of the decision that gives back.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// What recwarden changed and would give back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What was observed before the first change.
    pub before: Observed,
    /// What recwarden made of it.
    pub action: Action,
    /// The rule (or `directive`) that holds it now, or held it last.
    pub rule: String,
    /// What happens once that lets go.
    pub on_release: OnRelease,
    /// How that let go, for the reason.
    pub ended: LetGo,
}

impl Claim {
    /// The action that brings back what was.
    pub fn gives_back(&self) -> Action {
        self.before.brought_back_by()
    }
}

/// One conversation.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// As last seen; empty but for its id while `seen` is none.
    pub conversation: Conversation,
    /// What it takes in memory, in bytes.
    pub bytes: usize,
    /// When it was last seen; none while only a directive or the log knows of it.
    pub seen: Option<Now>,
    /// Since when no read finds it, where that is so.
    pub missing_since: Option<Mono>,
    /// Since when the platform refuses to tell of it, where nothing was ever seen of it.
    pub refused_since: Option<Mono>,
    /// Counts snapshots, so that a read knows whether an event overtook it.
    pub version: u64,
    /// What the last read of the resync told beside the state (participant data and queue), as a digest.
    pub read_particulars: Option<u64>,
    /// Whether anything is seen of it.
    pub outlook: Outlook,
    /// What was observed of the governed recorder.
    pub observed: Option<Observed>,
    /// The same, but for what the platform suspends and resumes by itself.
    pub former_state: Former<Option<Observed>>,
    /// The rules that match, as of the snapshot that was judged last.
    pub former_rules: Former<SmallVec<[RuleIndex; 8]>>,
    /// The version of that snapshot.
    pub judged: u64,
    /// Where an event may have told what is older than what was known.
    pub doubt: Option<Doubt>,
    /// Facts pushed for it.
    pub facts: Facts,
    /// Holds of rules.
    pub latches: Latches,
    /// Rules that could not be evaluated when it was judged last.
    pub failing: Vec<RuleFailure>,
    /// The directive in force.
    pub directive: Option<Directive>,
    /// What was sent and not seen in effect yet.
    pub unseen: Unseen,
    /// What would be given back.
    pub claim: Option<Claim>,
    /// The same as the log has it.
    pub journaled: Option<Claimed>,
    /// The open decision.
    pub pursuit: Option<Pursuit>,
    /// Whether a request for it is under way; never two at once.
    pub busy: Busy,
    /// The verdict last given: action and rule.
    pub verdict: (Option<Action>, String),
    /// The action and rule last journaled as `would`.
    pub would: Option<(Action, String)>,
    /// The decision that was given up last, as long as the policy wants the same by the same rule.
    pub given_up: Option<GivenUp>,
    /// Recorders last reported as residual.
    pub residual: Vec<String>,
    /// Recorders that an alert told of since it was to be stopped.
    pub residual_told: BTreeSet<String>,
    /// When an alert last told that a verdict is contested.
    pub contest_told: Option<Mono>,
    /// Rule and moment of each time somebody undid a confirmed verdict.
    pub undone: VecDeque<Mono>,
    /// The action confirmed last.
    pub confirmed: Option<Action>,
    /// When its latches or its directive change by time alone.
    pub timer: Option<Mono>,
    /// Topic and correlation of the last event.
    pub cause: (String, String),
}

impl Call {
    /// Whether anything is open or in force on it.
    pub fn is_engaged(&self) -> bool {
        self.pursuit.is_some()
            || self.directive.is_some()
            || self.claim.is_some()
            || self.outlook != Outlook::Clear
            || !self.latches.is_empty()
    }
}

/// Whether a request for the conversation is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Busy {
    /// None is.
    #[default]
    Idle,
    /// One is.
    Sending,
}

/// Whether anything is seen of the conversation (`warden::sight`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outlook {
    /// It is, as far as anybody knows.
    #[default]
    Clear,
    /// Nothing is, and it is to be stopped until that is over.
    Blind,
    /// It was seen again, and has to be judged by the rules.
    Returning,
}

/// What became of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// It is what is known now.
    Taken,
    /// The same, of a conversation that was taken for ended.
    Returned,
    /// It is older than what is known, and was dropped.
    Stale,
    /// It is of a conversation that is not in the book, and there is no room for one more.
    NoRoom,
}

/// What the facts of one conversation may take, written as JSON: as much as the largest body that brings some.
pub const LARGEST_FACTS: usize = 64 << 10;

/// Facts of conversations that are in the book may take this share of its bound beyond it: rules need them, and
/// whoever is new would leave them no room.
const RESERVE: usize = 12;

/// Every conversation that is live, or that something is held on.
#[derive(Clone, Debug)]
pub struct Book {
    calls: BTreeMap<ConversationId, Call>,
    ended: Endings,
    queue_names: BTreeMap<QueueId, String>,
    /// What the conversations take in bytes, and what they may take before no new one is entered by an event.
    bytes: usize,
    bound: usize,
}

impl Book {
    /// An empty one, for conversations that take three quarters of so many bytes.
    pub fn within(memory: u64) -> Self {
        let mut book = Self {
            calls: BTreeMap::new(),
            ended: Endings::default(),
            queue_names: BTreeMap::new(),
            bytes: 0,
            bound: 0,
        };
        book.resettle(memory);
        book
    }

    /// A new bound after a reload; who is in the book stays there.
    pub fn resettle(&mut self, memory: u64) {
        self.bound = usize::try_from(memory / 4 * 3).unwrap_or(usize::MAX);
    }

    /// What the conversations take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Names of queues, which events of one family leave out. What was known stays: a queue may be off the list, and
    /// have calls yet.
    pub fn name_queues(&mut self, names: BTreeMap<QueueId, String>) {
        self.queue_names.extend(names);
    }

    /// Takes a snapshot in, unless it is older than what is known.
    pub fn take(&mut self, mut snapshot: Conversation, now: Now) -> Intake {
        if self.ended.outdates(&snapshot) {
            return Intake::Stale;
        }
        for queue in snapshot.participants.iter_mut().map(|one| &mut one.queue) {
            let known = self.queue_names.get(&queue.id);
            if queue.name.is_empty() {
                known.into_iter().for_each(|name| queue.name.clone_from(name));
            } else if known != Some(&queue.name) {
                // No list names it any more, or not yet, or it has another name since.
                self.queue_names.insert(queue.id.clone(), queue.name.clone());
            }
        }
        let room = self.bound.saturating_sub(self.bytes);
        if !self.calls.contains_key(&snapshot.id) && weight::of_one_alone(&snapshot) > room {
            return Intake::NoRoom;
        }
        let id = snapshot.id.clone();
        let call = self.calls.entry(id.clone()).or_default();
        if call.seen.is_some() && is_older(&snapshot, &call.conversation) {
            return Intake::Stale;
        }
        if snapshot.external_tag.is_none() {
            snapshot.external_tag = call.conversation.external_tag.take();
        }
        let returned = call.seen.is_none() && self.ended.forget(&id);
        call.conversation = snapshot;
        call.seen = Some(now);
        call.missing_since = None;
        call.version += 1;
        self.weigh(&id);
        if returned { Intake::Returned } else { Intake::Taken }
    }

    /// The conversation, where it is in the book.
    pub fn get(&self, id: &ConversationId) -> Option<&Call> {
        self.calls.get(id)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, id: &ConversationId) -> Option<&mut Call> {
        self.calls.get_mut(id)
    }

    /// The conversation, entered with nothing known where it is new.
    pub fn enter(&mut self, id: &ConversationId) -> &mut Call {
        self.calls.entry(id.clone()).or_insert_with(|| {
            let known = Conversation { id: id.clone(), ..Conversation::default() };
            let call = Call { conversation: known, ..Call::default() };
            let bytes = weight::of(&call);
            self.bytes += bytes;
            Call { bytes, ..call }
        })
    }

    /// Counts again what a conversation takes, after a change of what it holds.
    pub fn weigh(&mut self, id: &ConversationId) {
        if let Some(call) = self.calls.get_mut(id) {
            let bytes = weight::of(call);
            self.bytes = self.bytes + bytes - call.bytes;
            call.bytes = bytes;
        }
    }

    /// Adds facts to what is known of a conversation, where there is room for them. Those that make it take no more
    /// always have some.
    pub fn push_facts(&mut self, id: &ConversationId, facts: Facts) -> Push {
        let known = self.calls.get(id);
        let mut all = known.map(|call| call.facts.clone()).unwrap_or_default();
        all.extend(facts);
        if weight::written(&all) > LARGEST_FACTS {
            return Push::TooMuch;
        }
        let (bound, own) = match known {
            Some(call) => (self.bound + self.bound / RESERVE, weight::of_facts(&call.facts)),
            None => (self.bound, 0),
        };
        let first = if known.is_some() { 0 } else { size_of::<Call>() };
        let more = (first + weight::of_facts(&all)).saturating_sub(own);
        if more > 0 && self.bytes + more > bound {
            return Push::NoRoom;
        }
        self.keep_facts(id, all);
        Push::Taken
    }

    /// These are all facts of a conversation, as they were kept, however little room there is.
    pub fn keep_facts(&mut self, id: &ConversationId, facts: Facts) {
        self.enter(id).facts = facts;
        self.weigh(id);
    }

    /// Whether the conversation is known to have ended.
    pub fn has_ended(&self, id: &ConversationId) -> bool {
        self.ended.contains(id)
    }

    /// Somebody asks for a conversation that is known to have ended: what the platform says of it counts again.
    pub fn forget_end(&mut self, id: &ConversationId) {
        self.ended.forget(id);
    }

    /// Takes an ended conversation out and remembers that it ended.
    pub fn close(&mut self, id: &ConversationId) -> Option<Call> {
        let closed = self.calls.remove(id);
        self.ended.remember(id, closed.as_ref().map(|call| &call.conversation));
        self.bytes -= closed.as_ref().map_or(0, |call| call.bytes);
        closed
    }

    /// All of them, in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&ConversationId, &Call)> {
        self.calls.iter()
    }

    /// The same, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&ConversationId, &mut Call)> {
        self.calls.iter_mut()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

/// Whether a participant that is known is missing, or one that ended lives again.
fn is_older(snapshot: &Conversation, known: &Conversation) -> bool {
    let same = |one: &Participant| snapshot.participants.iter().find(|other| other.id == one.id);
    known.participants.iter().filter(|one| !one.id.is_empty()).any(|one| match same(one) {
        None => true,
        Some(now) => !one.is_live() && now.is_live(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::conversation::QueueRef;

    const NOW: Now = Now { mono: Mono::new(Duration::ZERO), wall: Wall::from_micros(0) };

    /// A call in the queue `q`, told with this name.
    fn told(name: &str) -> Conversation {
        let queue = QueueRef { id: QueueId::new("q"), name: name.to_owned() };
        let participants = vec![Participant { queue, ..Participant::default() }];
        Conversation { id: ConversationId::new("c"), participants, ..Conversation::default() }
    }

    fn name_after(book: &mut Book, snapshot: Conversation) -> String {
        assert_eq!(book.take(snapshot, NOW), Intake::Taken);
        let call = book.get(&ConversationId::new("c")).expect("it is there");
        call.conversation.participants[0].queue.name.clone()
    }

    /// Found by the simulation: a rule for the queue matched each read and unmatched with each event.
    #[test]
    fn a_queue_keeps_its_name_where_events_leave_it_out_and_no_list_has_it_any_more() {
        let mut book = Book::within(1 << 20);
        book.name_queues(BTreeMap::from([(QueueId::new("q"), "Payments".to_owned())]));
        book.name_queues(BTreeMap::new());
        assert_eq!(name_after(&mut book, told("")), "Payments");
        assert_eq!(name_after(&mut book, told("Payments 2")), "Payments 2", "it was renamed");
        assert_eq!(name_after(&mut book, told("")), "Payments 2");
    }
}
