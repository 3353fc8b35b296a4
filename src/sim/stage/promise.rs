//! What is promised, checked: order, rate, deaths and noise while it runs, and at the end the chain, the open
//! decisions and the truth of every call.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Deaths, Stage};
use crate::audit::chain::Link;
use crate::audit::history::History;
use crate::audit::log::{Disk, in_order};
use crate::audit::record::{self, Record};
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::recording::Action;
use crate::model::time::Wall;
use crate::policy::rule::OnRelease;
use crate::sim::demand::{self, Case, Clocks, Governed, Pauses, Word};
use crate::sim::disk::Trouble;
use crate::warden::plan::{Control, StartFromNone};
use crate::warden::{RequestId, Wakeup};
use crate::wire::request::Request;

/// In calm a recording is in a wrong state for no longer: the way of the event, of the call, and what the
/// platform takes to apply it.
const WRONG_AT_MOST: Duration = Duration::from_secs(10);
/// Where an agent keeps undoing it, the warden waits for so long in the end (PRODUCT.md 2).
const CONTEST_LONGEST: Duration = Duration::from_secs(30);
/// The window of the rate limit.
const WINDOW: Duration = Duration::from_secs(60);
/// Alerts about one thing in one conversation in one life of the process, at most.
const ALERTS_AT_MOST: u32 = 3;
/// Wakeups in a row that lead to nothing at all.
const IDLE_WAKEUPS: u32 = 200;
/// Wakeups within a second at most: beyond it the process turns in circles, though time moves on and each turn
/// leads to something. One that writes a record each time takes some 2 ms, so that a circle makes 500.
const WAKEUPS_A_SECOND: u32 = 250;
/// Why a decision may be abandoned; anything else is a finding.
const GOOD_REASONS: [&str; 4] = [
    "the conversation ended",
    "nothing is recorded yet, and recording.start_from_none is \"refuse\"",
    "The requested conversation was not found",
    "The conversation does not exist",
];

/// Whether the process gets anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Goes {
    /// It does.
    #[default]
    On,
    /// It wakes up again and again, and the run is over.
    InCircles,
}

/// What is kept of the present life of the process, to check it by.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Records on their way to the disk.
    pub(super) written: Vec<Record>,
    /// Wakeups since something came of one.
    pub(super) woken: u32,
    /// Whether it gets anywhere.
    pub(super) goes: Goes,
    /// The present second, and why it woke in it.
    second: (u64, BTreeMap<Wakeup, u32>),
    /// Durable attempts that no order has gone out for yet.
    armed: BTreeMap<ConversationId, Vec<DecisionId>>,
    /// Decisions of this life that are durable. One may be closed by what came in the same turn, and its order
    /// goes out all the same: the records of a turn are written together, and stand in their order.
    decided: BTreeSet<DecisionId>,
    alerts: BTreeMap<(String, Option<ConversationId>), u32>,
    abandoned: BTreeMap<String, u32>,
}

impl Watch {
    pub(super) fn begin_life(&mut self) {
        let abandoned = std::mem::take(&mut self.abandoned);
        *self = Self { abandoned, ..Self::default() };
    }
}

/// Whether the log tells of a request, so that the next process knows of it after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trace {
    /// Its attempt stands there.
    Logged,
    /// A read, or a matter of the subscription.
    Unlogged,
}

impl Stage {
    /// Checks a record that has just become durable.
    pub(super) fn watch_record(&mut self, record: &Record) {
        if let Record::Decision(one) = record {
            self.watch.decided.insert(one.decision.clone());
        }
        if let Record::Attempt(one) = record {
            self.watch.armed.entry(one.conversation.clone()).or_default().push(one.decision.clone());
        }
        // A new stop may tell of the recorders that go on once more.
        if let Record::HoldEnded(record::HoldEnded { conversation, .. })
        | Record::DirectiveReleased(record::DirectiveReleased { conversation, .. }) = record
        {
            self.watch.alerts.remove(&("residual".to_owned(), Some(conversation.clone())));
        }
        if let Record::Alert(one) = record {
            let times = self.watch.alerts.entry((one.about.clone(), one.conversation.clone())).or_default();
            *times += 1;
            // The clock may be set as often as somebody likes, and each time is told.
            if *times == ALERTS_AT_MOST + 1 && one.about != "clock" {
                self.finding(format!("a storm of alerts about {}: {}", one.about, one.message));
            }
        }
        if let Record::Abandoned(one) = record {
            self.count(&format!("abandoned: {}", one.why));
            if !GOOD_REASONS.iter().any(|good| one.why.contains(good)) {
                self.finding(format!("decision {} was abandoned: {}", one.decision, one.why));
            }
        }
    }

    /// Checks a request on its way out.
    pub(super) fn watch_request(&mut self, id: RequestId, request: &Request) {
        let ordered = ordered(request);
        self.watch_rate(if ordered.is_some() { Trace::Logged } else { Trace::Unlogged });
        let Some(conversation) = ordered else { return };
        if self.orders.values().any(|other| *other == conversation) {
            self.finding(format!("two orders under way for {conversation}"));
        }
        match self.watch.armed.get_mut(&ConversationId::new(conversation.clone())).and_then(Vec::pop) {
            Some(decision) => {
                let durable = self.watch.decided.contains(&decision)
                    || self.log.history().open_decisions().any(|open| open.decision.decision == decision);
                if !durable {
                    self.finding(format!("an order for {conversation} without a durable decision"));
                }
            }
            None => {
                self.finding(format!("an order for {conversation} without a durable attempt of its own"));
            }
        }
        self.orders.insert(id, conversation);
    }

    fn watch_rate(&mut self, trace: Trace) {
        let now = self.now.mono;
        while self.sent.front().is_some_and(|(at, _)| now.since(*at) >= WINDOW) {
            self.sent.pop_front();
        }
        self.sent.push_back((now, trace));
        let limit = self.script.settings.allowance.requests_per_minute;
        if self.sent.len() > limit.try_into().unwrap_or(usize::MAX) {
            self.finding(format!("{} requests within a minute, {limit} at most", self.sent.len()));
        }
    }

    /// Checks that the process does not wake up for nothing, nor without end.
    pub(super) fn watch_wakeups(&mut self) {
        if let Some((_, why)) = self.warden.next_wakeup(self.seen()) {
            self.watch_circles(why);
        }
        self.watch.woken += 1;
        if self.watch.woken == IDLE_WAKEUPS {
            let why = self.warden.next_wakeup(self.seen());
            self.watch.goes = Goes::InCircles;
            self.finding(format!("it woke {IDLE_WAKEUPS} times for nothing, the next time for {why:?}"));
        }
    }

    fn watch_circles(&mut self, why: Wakeup) {
        let now = self.now.mono.since_start().as_secs();
        let (second, reasons) = &mut self.watch.second;
        if *second != now {
            (*second, *reasons) = (now, BTreeMap::new());
        }
        *reasons.entry(why).or_default() += 1;
        if reasons.values().sum::<u32>() == WAKEUPS_A_SECOND + 1 {
            let reasons = format!("{reasons:?}");
            self.watch.goes = Goes::InCircles;
            self.finding(format!("it woke more than {WAKEUPS_A_SECOND} times within a second: {reasons}"));
        }
    }

    /// Checks that what was answered has survived a death.
    pub(super) fn judge_recovery(&mut self) {
        let live = self.platform.live();
        let mut lost = Vec::new();
        for (id, words) in &self.words {
            let last = words.iter().rev().find(|(_, word)| !matches!(word, Word::Fact(..)));
            let Some((_, Word::Order(action, None))) = last else { continue };
            let kept = |action: &Action| {
                let same = |one: &crate::audit::record::Directive| {
                    one.conversation.as_str() == *id && one.action == *action
                };
                self.log.history().directives().any(same)
            };
            if live.contains(id) && !kept(action) {
                lost.push(format!("the directive {action} for {id} was answered, and is gone after a death"));
            }
        }
        lost.into_iter().for_each(|one| self.finding(one));
    }

    /// Checks what must hold at the end of the calm that began at `calm_from`.
    pub(super) fn judge_the_end(&mut self, calm_from: Wall) {
        self.judge_chain();
        let now = self.now.wall;
        let blind_now = self.blind.iter().any(|(_, until)| *until > now);
        let late: Vec<String> = self
            .log
            .history()
            .open_decisions()
            .filter(|open| !blind_now && self.seen().wall.since(open.at) > WRONG_AT_MOST + CONTEST_LONGEST)
            .map(|open| format!("decision {} is open since {}", open.decision.decision, open.at))
            .collect();
        late.into_iter().for_each(|one| self.finding(one));
        if !self.script.rough.is_zero() && self.script.mischief.deaths == Deaths::InRoughOnly {
            self.blind.push((Wall::default(), calm_from + self.script.settles));
        }
        self.judge_calls(now);
    }

    fn judge_calls(&mut self, until: Wall) {
        let settings = &self.script.settings;
        let governed = match settings.means.control {
            Control::RecordingState => {
                Governed::Pauses { from_none: settings.means.start_from_none == StartFromNone::AdHoc }
            }
            Control::AdHoc => Governed::Adhoc,
            Control::RecordingsAction => Governed::Gateway,
        };
        let keeps = |one: &crate::sim::charter::Clause| {
            one.action == Action::Stop && one.on_release == Some(OnRelease::Keep)
        };
        let others = self.script.plan.agent_pauses > 0.0
            || self.script.charters.iter().any(|charter| charter.clauses.iter().any(keeps));
        let set = self.script.mischief.jump_by > Duration::ZERO;
        let bound =
            if self.script.plan.agent_pauses > 0.0 { WRONG_AT_MOST + CONTEST_LONGEST } else { WRONG_AT_MOST };
        let stories: Vec<_> = self.platform.truth().collect();
        let mut found = Vec::new();
        for story in stories {
            let case = Case {
                org: self.platform.org(),
                charters: &self.charters,
                words: &self.words,
                blind: &self.blind,
                clocks: if set { Clocks::Set } else { Clocks::Steady },
                governed,
                pauses: if others { Pauses::OthersToo } else { Pauses::AllOurs },
                until,
            };
            for wrong in demand::wrong_spans(&story, case) {
                if wrong.until.since(wrong.from) > bound {
                    let (id, from, until, what) = (&story.conversation, wrong.from, wrong.until, wrong.what);
                    found.push(format!("{id} was in a wrong state from {from} until {until}: {what}"));
                }
            }
        }
        found.into_iter().for_each(|one| self.finding(one));
    }

    /// The whole log as an auditor reads it: the chain over all files, the promise of order, and that the last
    /// file alone says what all of them say.
    fn judge_chain(&mut self) {
        let mut disk = self.log.disk().clone();
        disk.trouble = Trouble::None;
        let (mut link, mut history, mut files) = (Link::default(), History::default(), 0);
        for name in in_order(disk.names().unwrap_or_default()) {
            files += 1;
            let bytes = disk.read(&name).unwrap_or_default();
            for line in String::from_utf8_lossy(&bytes).lines() {
                match link.follow(line) {
                    Err(broken) => return self.finding(format!("the chain is broken in {name}: {broken}")),
                    Ok(sealed) => {
                        if let Some(finding) = history.take(sealed.time, &sealed.record) {
                            self.finding(format!("{name}: {finding}"));
                        }
                    }
                }
            }
        }
        self.report.counts.insert("files of the log".to_owned(), files);
        match crate::audit::log::Log::open(disk, self.script.rotation) {
            Ok((_, alone)) if alone.history.carried() == history.carried() => {}
            Ok(_) => self.finding("the last file alone says otherwise than all files".to_owned()),
            Err(error) => self.finding(format!("the log does not open: {error}")),
        }
    }
}

/// The conversation whose recording a request changes.
fn ordered(request: &Request) -> Option<String> {
    let path = request.path();
    let mut parts = path.split('/').skip_while(|part| *part != "conversations").skip(1);
    let id = parts.find(|part| part.len() == 36 && part.contains('-'))?;
    (request.method() != "GET").then(|| id.to_owned())
}
