//! What a log says as a whole: which decisions are open, which holds and directives are in force, and
//! whether it kept its promise of order (PRODUCT.md 6): a decision before its attempts, each decision ended
//! exactly once.

mod ends;
mod messages;
mod tried;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::Value;

use crate::audit::claim::{self, Claimed, Stands};
use crate::audit::record::{
    CLOCK_ALERT, Carried, Decision, Directive, GapOpened, Hold, HoldEnd, HoldEnded, HoldPhase, REPLACED,
    Record,
};
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::time::Wall;
use crate::policy::rule::DIRECTIVE;
pub use ends::{Heard, Stopped};
use messages::Messages;
pub use messages::{MESSAGES_REMEMBERED, MESSAGES_REMEMBERED_FOR, Message};
use tried::Started;
pub use tried::{Came, Tried};

/// An open decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// As it was journaled.
    pub decision: Decision,
    /// When.
    pub at: Wall,
    /// Attempts so far.
    pub attempts: u32,
    /// How many of these may have been carried out: no outcome says that they were refused.
    pub reached: u32,
}

/// Ended decisions that are remembered, to tell one that ends twice: a daemon writes for months, and so many
/// take hours, far beyond any retry, and some 5 MB.
const ENDED_REMEMBERED: usize = 50_000;
/// Attempts are remembered for so long after the last record: the window of any rate limit.
const ATTEMPTS_REMEMBERED: Duration = Duration::from_secs(120);

/// What is in force after the records read so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    open: BTreeMap<DecisionId, Open>,
    ended: BTreeSet<DecisionId>,
    ended_order: VecDeque<DecisionId>,
    ended_count: usize,
    tried: VecDeque<Tried>,
    started: Vec<Started>,
    /// Without their claims.
    holds: BTreeMap<(ConversationId, String), Hold>,
    claims: BTreeMap<ConversationId, Claimed>,
    directives: BTreeMap<String, Directive>,
    gaps: BTreeMap<u64, GapOpened>,
    messages: Messages,
    last: Option<Wall>,
    stopped: Stopped,
    heard: Heard,
}

impl History {
    /// Takes the next record in. Says how it breaks the promise of order, where it does.
    pub fn take(&mut self, at: Wall, record: &Record) -> Option<String> {
        let before = self.last.replace(at);
        self.stopped = Stopped::No;
        self.heard = self.heard.then(at, record);
        self.messages.take(at, record);
        match record {
            Record::Decision(one) => return self.open(one, at),
            Record::Attempt(one) => return self.attempt(at, one),
            Record::Outcome(one) if !self.is_known(&one.decision) => {
                return Some(format!("an outcome of decision {}, which was never made", one.decision));
            }
            Record::Outcome(one) => self.answer(one),
            Record::Confirmed(one) => {
                if let Some(open) = self.open.get(&one.decision) {
                    let action = open.decision.action;
                    self.reclaim(&one.conversation, |was| claim::after_confirmed(was, action));
                }
                self.come_true(&one.decision);
                return self.end(&one.decision);
            }
            Record::Superseded(one) => return self.end(&one.decision),
            Record::Abandoned(one) => return self.end(&one.decision),
            Record::Hold(one) => self.hold(one),
            Record::HoldEnded(one) => {
                let key = (one.conversation.clone(), one.rule.clone());
                // An expired hold stays until it has stopped matching, so that it does not count again.
                let expires = self.holds.get(&key).is_some_and(|hold| hold.phase == HoldPhase::Expired);
                if !(expires && one.why == HoldEnd::Expired) {
                    self.holds.remove(&key);
                }
                self.reclaim(&one.conversation, |was| claim::after_end(was, one));
            }
            Record::Directive(one) => self.direct(one),
            // It stands until the record of the one in its place: a crash between the two loses no order.
            Record::DirectiveReleased(one) if one.why == REPLACED => {}
            Record::DirectiveReleased(one) => drop(self.directives.remove(&one.directive)),
            Record::GapOpened(one) => {
                self.gaps.insert(one.gap, one.clone());
            }
            Record::GapClosed(one) => {
                self.gaps.remove(&one.gap);
            }
            Record::Carried(one) => return self.carry(at, &one.carried),
            Record::DaemonStopped(_) => self.stopped = Stopped::Cleanly,
            Record::Alert(one) if one.about == CLOCK_ALERT => self.clock_was_set(before, at),
            Record::Alert(_) => {}
            Record::DaemonStarted(one) => self.start(Started { at, record: one.clone() }),
            Record::PolicyLoaded(_)
            | Record::Would(_)
            | Record::Facts(_)
            | Record::Contested(_)
            | Record::Residual(_)
            | Record::Dropped(_)
            | Record::RuleFailed(_)
            | Record::Retired(_)
            | Record::Checkpoint(_) => {}
        }
        None
    }

    fn hold(&mut self, one: &Hold) {
        self.reclaim(&one.conversation, |was| claim::after_hold(was, one));
        // A directive stands for itself.
        if one.rule != DIRECTIVE {
            let key = (one.conversation.clone(), one.rule.clone());
            self.holds.insert(key, Hold { claim: None, ..one.clone() });
        }
    }

    fn reclaim(
        &mut self,
        conversation: &ConversationId,
        then: impl FnOnce(Option<Claimed>) -> Option<Claimed>,
    ) {
        if let Some(claim) = then(self.claims.remove(conversation)) {
            self.claims.insert(conversation.clone(), claim);
        }
    }

    fn is_known(&self, decision: &DecisionId) -> bool {
        self.open.contains_key(decision) || self.ended.contains(decision)
    }

    fn open(&mut self, decision: &Decision, at: Wall) -> Option<String> {
        if self.is_known(&decision.decision) {
            return Some(format!("decision {} was made twice", decision.decision));
        }
        let open = Open { decision: decision.clone(), at, attempts: 0, reached: 0 };
        self.open.insert(decision.decision.clone(), open);
        None
    }

    /// A directive stands in place of the one before it.
    fn direct(&mut self, directive: &Directive) {
        let other = |one: &Directive| {
            one.conversation == directive.conversation && one.directive != directive.directive
        };
        self.directives.retain(|_, one| !other(one));
        self.directives.insert(directive.directive.clone(), directive.clone());
    }

    fn end(&mut self, decision: &DecisionId) -> Option<String> {
        if self.open.remove(decision).is_some() {
            self.ended_count += 1;
            self.ended.insert(decision.clone());
            self.ended_order.push_back(decision.clone());
            if self.ended_order.len() > ENDED_REMEMBERED
                && let Some(oldest) = self.ended_order.pop_front()
            {
                self.ended.remove(&oldest);
            }
            return None;
        }
        Some(if self.ended.contains(decision) {
            format!("decision {decision} ended twice")
        } else {
            format!("decision {decision} ended, but was never made")
        })
    }

    /// A record that was still in force when its file began. In the same log it is known already.
    fn carry(&mut self, at: Wall, carried: &Value) -> Option<String> {
        let since = carried.get("at").and_then(Value::as_str).and_then(Wall::parse).unwrap_or(at);
        match serde_json::from_value::<Record>(carried.clone()) {
            Ok(Record::Decision(one)) => {
                if !self.is_known(&one.decision) {
                    self.open(&one, since);
                    if let Some(open) = self.open.get_mut(&one.decision) {
                        (open.attempts, open.reached) = tried::counts(carried);
                    }
                }
                None
            }
            Ok(Record::Attempt(attempt)) => {
                self.carry_attempt(Tried::carried(since, attempt, carried));
                None
            }
            Ok(Record::DaemonStarted(record)) => {
                let started = Started { at: since, record };
                if !self.started.contains(&started) {
                    self.start(started);
                }
                None
            }
            Ok(
                record @ (Record::Hold(_)
                | Record::HoldEnded(_)
                | Record::Directive(_)
                | Record::GapOpened(_)),
            ) => {
                let finding = self.take(at, &record);
                self.messages.expect_no_decision();
                finding
            }
            Ok(Record::DirectiveReleased(one)) => {
                self.messages.carry(since, &one, carried);
                None
            }
            Ok(_) | Err(_) => Some("a carried record of a kind that is never carried".into()),
        }
    }

    /// The `carried` records with which the next file begins: all that is in force, the starts and attempts that still
    /// count for the rate, and the messages of webhooks that may come again.
    pub fn carried(&self) -> Vec<Record> {
        let recent = |at: Wall| self.last.is_some_and(|last| last.since(at) < ATTEMPTS_REMEMBERED);
        let started = self.started.iter().filter(|one| recent(one.at));
        let started = started.map(|one| carried(dated(&Record::DaemonStarted(one.record.clone()), one.at)));
        let tried = self.tried.iter().filter(|one| recent(one.at));
        let tried = tried.map(|one| carried(one.written()));
        let in_force = |id: &str| self.directives.values().any(|one| one.webhook_id.as_deref() == Some(id));
        let messages = self.messages.carried(self.last, in_force);
        self.in_force().into_iter().chain(started).chain(tried).chain(messages).collect()
    }

    /// All that is in force, as `carried` records: open decisions, holds, directives and gaps.
    pub fn in_force(&self) -> Vec<Record> {
        let mut all = Vec::new();
        for open in self.open.values() {
            let mut value = dated(&Record::Decision(open.decision.clone()), open.at);
            open.count(&mut value);
            all.push(value);
        }
        all.extend(self.holds.values().map(|one| written(&Record::Hold(self.with_claim(one)))));
        all.extend(self.claims_without_hold().iter().map(written));
        all.extend(self.directives.values().map(|one| {
            let led_to = one.webhook_id.as_ref().and_then(|id| self.messages.decision_of(id));
            written(&Record::Directive(Directive { decision: led_to, ..one.clone() }))
        }));
        all.extend(self.gaps.values().map(|one| written(&Record::GapOpened(one.clone()))));
        all.into_iter().map(carried).collect()
    }

    fn with_claim(&self, hold: &Hold) -> Hold {
        let claim = self.claims.get(&hold.conversation).filter(|claim| claim.rule == hold.rule);
        Hold { claim: claim.map(|claim| claim.before), ..hold.clone() }
    }

    /// What is claimed by a directive, or owed by a rule that let go: as a hold, and the end of that.
    fn claims_without_hold(&self) -> Vec<Record> {
        let mut all = Vec::new();
        for (conversation, claim) in &self.claims {
            let conversation = conversation.clone();
            if self.holds.contains_key(&(conversation.clone(), claim.rule.clone())) {
                continue;
            }
            all.push(Record::Hold(Hold {
                conversation: conversation.clone(),
                rule: claim.rule.clone(),
                action: claim.action,
                since: claim.since,
                phase: HoldPhase::Held,
                claim: Some(claim.before),
            }));
            if let Stands::LetGo(why) = claim.stands {
                let (rule, restore) = (claim.rule.clone(), Some(claim.before.brought_back_by()));
                all.push(Record::HoldEnded(HoldEnded { conversation, rule, why, restore }));
            }
        }
        all
    }

    /// The open decisions.
    pub fn open_decisions(&self) -> impl Iterator<Item = &Open> {
        self.open.values()
    }

    /// The holds of rules in force.
    pub fn holds(&self) -> impl Iterator<Item = &Hold> {
        self.holds.values()
    }

    /// What would be given back, by conversation.
    pub fn claims(&self) -> impl Iterator<Item = (&ConversationId, &Claimed)> {
        self.claims.iter()
    }

    /// The directives in force.
    pub fn directives(&self) -> impl Iterator<Item = &Directive> {
        self.directives.values()
    }

    /// The messages of webhooks that gave or ended an order, by their ids.
    pub fn messages(&self) -> impl Iterator<Item = (&str, &Message)> {
        self.messages.iter()
    }

    /// The gaps that are open.
    pub fn open_gaps(&self) -> impl Iterator<Item = &GapOpened> {
        self.gaps.values()
    }

    /// When the last record was written.
    pub fn last(&self) -> Option<Wall> {
        self.last
    }

    /// How the log ends.
    pub fn stopped(&self) -> Stopped {
        self.stopped
    }

    /// Until when something may have been heard.
    pub fn heard(&self) -> Heard {
        self.heard
    }

    /// How many decisions ended.
    pub fn ended_count(&self) -> usize {
        self.ended_count
    }
}

fn written(record: &Record) -> Value {
    serde_json::to_value(record).unwrap_or_default()
}

/// With the time at which it was journaled, since a carried record has that of its new file.
fn dated(record: &Record, at: Wall) -> Value {
    let mut value = written(record);
    value["at"] = at.to_string().into();
    value
}

fn carried(carried: Value) -> Record {
    Record::Carried(Carried { carried })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::{self, HoldEnd, HoldEnded};
    use crate::model::recording::Action;

    const MICRO: Duration = Duration::from_micros(1);

    fn at(seconds: i64) -> Wall {
        Wall::from_micros(seconds * 1_000_000)
    }

    fn hold(phase: HoldPhase) -> Record {
        let (conversation, rule) = (ConversationId::new("c"), "r".to_owned());
        Record::Hold(Hold { conversation, rule, action: Action::Stop, since: at(0), phase, claim: None })
    }

    fn ended(why: HoldEnd) -> Record {
        let (conversation, rule) = (ConversationId::new("c"), "r".to_owned());
        Record::HoldEnded(HoldEnded { conversation, rule, why, restore: None })
    }

    fn made(decision: &DecisionId) -> Decision {
        record::Decision {
            decision: decision.clone(),
            conversation: ConversationId::new("c"),
            action: Action::Stop,
            rule: "r".into(),
            reason: String::new(),
            observed: crate::model::recording::Observed::Active,
            topic: String::new(),
            correlation: String::new(),
            policy: String::new(),
            epoch: 1,
        }
    }

    #[test]
    fn an_expired_hold_is_in_force_until_it_has_stopped_matching() {
        let mut history = History::default();
        for record in [hold(HoldPhase::Held), hold(HoldPhase::Expired), ended(HoldEnd::Expired)] {
            assert_eq!(history.take(at(1), &record), None);
        }
        assert_eq!(history.holds().count(), 1);
        assert_eq!(history.take(at(2), &ended(HoldEnd::Unmatched)), None);
        assert_eq!(history.holds().count(), 0);
    }

    #[test]
    fn an_open_gap_is_carried_into_the_next_file() {
        let mut history = History::default();
        let gap = record::GapOpened { gap: 4, topics: "t".into(), from: at(1), why: "w".into() };
        history.take(at(2), &Record::GapOpened(gap.clone()));
        let mut next = History::default();
        for record in history.carried() {
            assert_eq!(next.take(at(3), &record), None);
        }
        assert_eq!(next.open_gaps().collect::<Vec<_>>(), [&gap]);
        let closed = record::GapClosed { gap: 4, from: at(1), to: at(4), conversations: 0 };
        next.take(at(4), &Record::GapClosed(closed));
        assert_eq!(next.open_gaps().count(), 0);
    }

    #[test]
    fn attempts_before_the_clock_was_set_count_as_made_then() {
        let decision = DecisionId::new("d");
        let mut history = History::default();
        history.take(at(0), &Record::Decision(made(&decision)));
        let attempt = |number: u32| {
            Record::Attempt(record::Attempt {
                decision: decision.clone(),
                conversation: ConversationId::new("c"),
                attempt: number,
                method: "PUT".into(),
                path: "/".into(),
                observed: None,
            })
        };
        history.take(at(1), &attempt(1));
        history.take(at(500), &attempt(2));
        let (about, message) = (CLOCK_ALERT.to_owned(), "set forward".to_owned());
        history.take(at(4_000), &Record::Alert(record::Alert { about, message, conversation: None }));
        history.take(at(4_001), &attempt(3));
        let tried = |history: &History| {
            history.attempts().map(|one| (one.at, one.attempt.attempt)).collect::<Vec<_>>()
        };
        assert_eq!(
            tried(&history),
            [(at(4_000) - MICRO, 2), (at(4_001), 3)],
            "the first is long over by any clock"
        );
        let mut next = History::default();
        for record in history.carried() {
            assert_eq!(next.take(at(4_002), &record), None);
        }
        assert_eq!(tried(&next), tried(&history), "the next file has them too");
    }

    /// Found by the simulation: of two attempts of one number the next file had one, and the rate was too high after a death.
    #[test]
    fn what_was_sent_back_and_tried_again_counts_twice_in_the_next_file_too() {
        let (decision, conversation) = (DecisionId::new("d"), ConversationId::new("c"));
        let (method, path) = ("PUT".to_owned(), "/".to_owned());
        let attempt = record::Attempt { decision, conversation, attempt: 1, method, path, observed: None };
        let mut history = History::default();
        [1, 2].into_iter().for_each(|seconds| {
            let (at, attempt) = (at(seconds), attempt.clone());
            history.tried.push_back(Tried { at, attempt, action: None, came: Came::Unknown });
        });
        history.last = Some(at(3));
        let times = |history: &History| history.attempts().map(|one| one.at).collect::<Vec<_>>();
        let mut next = History::default();
        for record in history.carried() {
            assert_eq!((next.take(at(4), &record), history.take(at(4), &record)), (None, None));
        }
        assert_eq!((times(&next), times(&history)), (vec![at(1), at(2)], vec![at(1), at(2)]));
        history.clock_was_set(Some(at(4)), at(4_000));
        assert_eq!(times(&history), [at(4_000) - MICRO * 2, at(4_000) - MICRO], "told apart yet");
    }

    /// Found by reading: what was refused counted as perhaps carried out.
    #[test]
    fn what_was_refused_does_not_come_and_the_next_file_says_so() {
        use record::OutcomeResult::{Limited, Retry};
        let (decision, conversation) = (DecisionId::new("d"), ConversationId::new("c"));
        let mut history = History::default();
        history.take(at(0), &Record::Decision(made(&decision)));
        for (seconds, attempt, result, status) in
            [(1, 1, Limited, 429), (3, 1, Retry, 401), (5, 2, Retry, 503), (7, 3, Limited, 429)]
        {
            let (method, path) = ("PUT".to_owned(), "/".to_owned());
            let (decision, conversation) = (decision.clone(), conversation.clone());
            let sent = record::Attempt { decision, conversation, attempt, method, path, observed: None };
            let (decision, conversation) = (sent.decision.clone(), sent.conversation.clone());
            let (status, took_ms, correlation, message) = (Some(status), 0, String::new(), None);
            let answer = Record::Outcome(record::Outcome {
                decision,
                conversation,
                attempt,
                status,
                result,
                took_ms,
                correlation,
                message,
            });
            assert_eq!(history.take(at(seconds), &Record::Attempt(sent)), None);
            assert_eq!(history.take(at(seconds + 1), &answer), None);
        }
        let mut next = History::default();
        for record in history.carried() {
            assert_eq!(next.take(at(9), &record), None);
        }
        for one in [&history, &next] {
            let open = one.open_decisions().map(|open| (open.attempts, open.reached)).collect::<Vec<_>>();
            assert_eq!(open, [(3, 1)]);
            let (never, stop) = (Came::Never, Some(Action::Stop));
            let came = one.attempts().map(|tried| (tried.came, tried.action)).collect::<Vec<_>>();
            assert_eq!(came, [(never, stop), (never, stop), (Came::Unknown, stop), (never, stop)]);
        }
    }

    #[test]
    fn the_starts_of_the_last_two_minutes_are_known_and_count_as_now_where_the_clock_was_set() {
        let started = Record::DaemonStarted(record::DaemonStarted {
            version: "1".into(),
            epoch: 1,
            pid: None,
            dry_run: false,
            cut: None,
            unheard_since: None,
        });
        let mut history = History::default();
        [0, 400, 500].into_iter().for_each(|seconds| drop(history.take(at(seconds), &started)));
        let starts = |history: &History| history.starts().collect::<Vec<_>>();
        assert_eq!(starts(&history), [at(400), at(500)]);
        let (about, message) = (CLOCK_ALERT.to_owned(), "set forward".to_owned());
        history.take(at(4_000), &Record::Alert(record::Alert { about, message, conversation: None }));
        assert_eq!(starts(&history), [at(4_000) - MICRO * 2, at(4_000) - MICRO]);
        let mut next = History::default();
        for record in history.carried() {
            assert_eq!((next.take(at(4_001), &record), history.take(at(4_001), &record)), (None, None));
        }
        assert_eq!(starts(&next), starts(&history), "the next file has them too, each once");
        assert_eq!(starts(&next).len(), 2);
    }

    #[test]
    fn a_directive_stands_until_the_record_of_the_one_in_its_place() {
        let directive = |id: &str, action: Action| {
            Record::Directive(Directive {
                directive: id.into(),
                conversation: ConversationId::new("c"),
                action,
                by: "crm".into(),
                reason: String::new(),
                origin: record::DirectiveOrigin::Webhook,
                until: None,
                decision: None,
                webhook_id: None,
            })
        };
        let released = |why: &str| {
            let (directive, conversation) = ("one".to_owned(), ConversationId::new("c"));
            Record::DirectiveReleased(record::DirectiveReleased {
                directive,
                conversation,
                why: why.into(),
                webhook_id: None,
            })
        };
        let in_force =
            |history: &History| history.directives().map(|one| one.directive.clone()).collect::<Vec<_>>();
        let mut history = History::default();
        history.take(at(1), &directive("one", Action::Stop));
        history.take(at(2), &released(REPLACED));
        assert_eq!(in_force(&history), ["one"], "a crash here loses no order");
        history.take(at(2), &directive("two", Action::Start));
        assert_eq!(in_force(&history), ["two"]);
        history.take(at(3), &directive("one", Action::Stop));
        history.take(at(4), &released("its time is over"));
        assert_eq!(in_force(&history), [""; 0]);
    }
}
