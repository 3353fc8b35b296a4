//! What people may look at: calls, the worklist, the budget, sockets, the latest decisions.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::Warden;
use crate::model::ids::{ConversationId, DecisionId, QueueId};
use crate::model::recording::{Action, Observed, Wish};
use crate::model::time::{Now, Wall};
use crate::warden::book::{Call, Pursuit};
use crate::warden::plan;
use crate::warden::session::SlotView;
use crate::warden::survey::Progress;

/// How many closed decisions are remembered for `GET /webhook/decisions/{id}` and the page: the log has
/// them all.
const DECISIONS_REMEMBERED: usize = 10_000;

/// Where a decision stands, or how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionView {
    /// Which one.
    pub decision: DecisionId,
    /// Of which conversation.
    pub conversation: ConversationId,
    /// `open`, `confirmed`, `superseded` or `abandoned`.
    pub state: &'static str,
    /// For people.
    pub message: String,
}

/// One line of the latest decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatestDecision {
    /// When it was made.
    pub at: Wall,
    /// What it wanted.
    pub action: Action,
    /// The rule that made it.
    pub rule: String,
    /// Where it stands.
    pub view: DecisionView,
}

/// One live conversation at a glance, as `/view.json` writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallView {
    /// Which one.
    pub conversation: ConversationId,
    /// Its medium: `call`, `chat`, ...
    pub media: String,
    /// Name (or id) of the routing queue it is in; empty where it is in none.
    pub queue: String,
    /// Id of the connected agent; empty where there is none.
    pub agent: String,
    /// What the platform last reported.
    pub observed: Observed,
    /// What the policy wants.
    pub wish: Wish,
    /// The rule that wants it; empty for the default.
    pub rule: String,
    /// When it was last seen.
    pub since: Wall,
}

impl CallView {
    /// Whether the recording is not as the policy wants it.
    pub fn is_astray(&self) -> bool {
        self.wish.action().is_some_and(|action| !action.is_satisfied_by(self.observed))
    }
}

/// Everything.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Why the daemon is not ready; none where it is.
    pub not_ready: Option<String>,
    /// When it started.
    pub started: Wall,
    /// Now.
    pub now: Wall,
    /// Every call in the book that was seen.
    pub calls: Vec<CallView>,
    /// Entries of the worklist.
    pub worklist: usize,
    /// Requests of the last minute, and the limit.
    pub budget: (u32, u32),
    /// Slots of the subscription.
    pub slots: Vec<SlotView>,
    /// The latest decisions, newest first.
    pub decisions: Vec<LatestDecision>,
    /// What is seen of the platform: `clear`, `dark`, `polling` or `blind`.
    pub sight: &'static str,
    /// The round of the resync that runs; none where none does.
    pub resync: Option<Progress>,
    /// What the conversations in the book take, in bytes.
    pub book_bytes: usize,
    /// Gaps that are open.
    pub gaps: usize,
    /// Changes that wait while the brake holds; none where it does not.
    pub braked: Option<usize>,
    /// Counters, by metric name.
    pub counters: BTreeMap<&'static str, u64>,
}

/// Decisions that ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    decisions: BTreeMap<DecisionId, LatestDecision>,
    order: VecDeque<DecisionId>,
}

impl Ended {
    pub(super) fn confirmed(&mut self, done: &Pursuit, conversation: &ConversationId) {
        self.push(done, conversation, "confirmed", "the platform reported the wanted state".into());
    }

    pub(super) fn superseded(&mut self, done: &Pursuit, conversation: &ConversationId, why: &str) {
        self.push(done, conversation, "superseded", why.to_owned());
    }

    pub(super) fn abandoned(&mut self, done: &Pursuit, conversation: &ConversationId, why: &str) {
        self.push(done, conversation, "abandoned", why.to_owned());
    }

    fn push(&mut self, done: &Pursuit, conversation: &ConversationId, state: &'static str, message: String) {
        if self.order.len() >= DECISIONS_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.decisions.remove(&oldest);
        }
        self.order.push_back(done.decision.clone());
        self.decisions.insert(done.decision.clone(), latest(done, conversation, state, message));
    }
}

fn latest(
    of: &Pursuit,
    conversation: &ConversationId,
    state: &'static str,
    message: String,
) -> LatestDecision {
    let (decision, conversation) = (of.decision.clone(), conversation.clone());
    let view = DecisionView { decision, conversation, state, message };
    LatestDecision { at: of.opened.wall, action: of.action, rule: of.rule.clone(), view }
}

impl Warden {
    /// Whether the policy has any rule.
    pub fn has_rules(&self) -> bool {
        !self.policy.terms().is_empty()
    }

    /// Where a decision stands; none where it is not known (any more: the log has it).
    pub fn decision(&self, id: &DecisionId) -> Option<DecisionView> {
        if let Some(ended) = self.ended.decisions.get(id) {
            return Some(ended.view.clone());
        }
        self.open_decisions().find(|one| one.view.decision == *id).map(|one| one.view)
    }

    fn open_decisions(&self) -> impl Iterator<Item = LatestDecision> {
        self.book.iter().filter_map(|(id, call)| {
            let open = call.pursuit.as_ref()?;
            let message = format!("{} attempts so far", open.attempts);
            Some(latest(open, id, "open", message))
        })
    }

    /// One call; none where the book does not have it.
    pub fn call(&self, id: &ConversationId) -> Option<CallView> {
        self.book.get(id).map(|call| self.call_view(id, call))
    }

    fn call_view(&self, id: &ConversationId, call: &Call) -> CallView {
        let queue = call.conversation.queue();
        let seen = call.seen.is_some();
        CallView {
            conversation: id.clone(),
            media: call.conversation.media.as_str().to_owned(),
            queue: queue
                .map(|one| if one.name.is_empty() { one.id.to_string() } else { one.name.clone() })
                .unwrap_or_default(),
            agent: call.conversation.agent().map(|one| one.user.to_string()).unwrap_or_default(),
            observed: if seen {
                plan::observed(&self.settings.means, &call.conversation)
            } else {
                Observed::Unknown
            },
            wish: call.verdict.0.map_or(Wish::Leave, Wish::from),
            rule: call.verdict.1.clone(),
            since: call.seen.map(|one| one.wall).unwrap_or_default(),
        }
    }

    /// Why the daemon is not ready; none where it is.
    pub fn not_ready(&self) -> Option<String> {
        if let Some(message) = self.permissions.message() {
            return Some(message);
        }
        let unseen = match self.sight.as_str() {
            "polling" => {
                "no working subscription: events are missed, and live conversations are read in turn"
            }
            "blind" => "nothing is seen of the platform: neither events nor reads get through",
            _ if !self.session.is_live() => "the subscription is not up",
            _ => return None,
        };
        let why = self.directory.trouble();
        let why = why.map(|why| format!(": the list of queues and users could not be read: {why}"));
        Some(format!("{unseen}{}", why.unwrap_or_default()))
    }

    /// Everything that people may look at; `latest` decisions at most.
    pub fn view(&self, latest: usize, now: Now) -> View {
        let mut decisions: Vec<LatestDecision> = self.open_decisions().collect();
        decisions.extend(
            self.ended.order.iter().rev().take(latest).filter_map(|id| self.ended.decisions.get(id).cloned()),
        );
        decisions.sort_by(|one, other| other.view.decision.cmp(&one.view.decision));
        decisions.truncate(latest);
        let seen = self.book.iter().filter(|(_, call)| call.seen.is_some());
        View {
            not_ready: self.not_ready(),
            started: self.started.wall,
            now: now.wall,
            calls: seen.map(|(id, call)| self.call_view(id, call)).collect(),
            worklist: self.worklist.len(),
            budget: self.allowance.used(now.mono),
            slots: self.session.view(),
            decisions,
            sight: self.sight.as_str(),
            resync: self.survey.progress(),
            book_bytes: self.book.bytes(),
            gaps: self.survey.gap_count(),
            braked: self.brake.holds(now.mono),
            counters: self.counted(now),
        }
    }

    /// The platform's queues, as last read; empty until then.
    pub fn queue_names(&self) -> &BTreeMap<QueueId, String> {
        self.directory.queue_names()
    }

    /// How many calls are in the book.
    pub fn call_count(&self) -> usize {
        self.book.len()
    }

    /// What keeps it busy beside calls, for the status line: the resync, open gaps, the brake.
    pub fn busy_with(&self, now: Now) -> Vec<String> {
        let resync = self.survey.progress().map(|one| format!("resync {} of {}", one.read, one.total));
        let gaps = self.survey.gap_count();
        let gaps = (gaps > 0).then(|| format!("{gaps} gaps open"));
        let braked = self.brake.holds(now.mono).map(|count| format!("the brake holds {count} changes"));
        [resync, gaps, braked].into_iter().flatten().collect()
    }

    /// Requests of the last minute, and the limit.
    pub fn budget(&self, now: crate::model::time::Mono) -> (u32, u32) {
        self.allowance.used(now)
    }

    /// What texts that wait and conversations may take, in bytes.
    pub fn memory(&self) -> u64 {
        self.settings.memory
    }

    /// What the conversations in the book take, in bytes.
    pub fn book_bytes(&self) -> usize {
        self.book.bytes()
    }

    /// One of the counters, by metric name.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    /// Whether verdicts are carried out.
    pub fn enforcement(&self) -> super::Enforcement {
        self.settings.enforcement
    }

    /// How many decisions are open.
    pub fn open_count(&self) -> usize {
        self.book.iter().filter(|(_, call)| call.pursuit.is_some()).count()
    }
}
