//! One policy, or two, over captured events: each change of a verdict, where two policies part, and what that
//! comes to in seconds.
//!
//! Both policies look at the same conversations. The second sees them without what the calls of the first
//! explain ([`Rehearsal::see_beside`]), so that a capture made while the first one ran does not hide what the
//! second would have left alone.
//!
//! Two policies *part* on a conversation at the first moment at which they want something else, or leave the
//! recording in another state. A rule that only has another name makes no difference.
//!
//! Memory holds what is live: a conversation is dropped when it ends, when it was not seen for
//! [`NOT_SEEN_FOR`], and, oldest first, beyond [`MOST_LIVE`] of them.

mod account;
mod summary;

use std::collections::BTreeMap;
use std::time::Duration;

use smallvec::SmallVec;

use crate::model::conversation::Conversation;
use crate::model::ids::ConversationId;
use crate::model::recording::{Observed, Wish};
use crate::model::time::Wall;
use crate::policy::decide::Policy;
use crate::warden::plan::Means;
use crate::warden::rehearsal::{Rehearsal, Said, Seen, What};
use crate::wire::captured::{Captured, Contents};
use crate::wire::frame::Event;
use account::{Account, Stand};
use summary::{Before, Way};
pub use summary::{Changed, Difference, Ledger, RuleLine, Summary};

/// A conversation that was not seen for so long has ended without our seeing it, or will be told anew.
pub const NOT_SEEN_FOR: Duration = Duration::from_secs(24 * 3600);
/// Conversations that are kept at once; each takes some kilobytes.
pub const MOST_LIVE: usize = 200_000;
/// How far apart events count where the file does not say.
const APART: Duration = Duration::from_secs(1);
/// How often, in the time of the events, is looked for what was not seen any more.
const SWEPT_EVERY: Duration = Duration::from_secs(3600);

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Mark {
    /// Which file, from 0.
    pub file: usize,
    /// Its line, from 1.
    pub line: u64,
}

/// Something to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// One policy: a verdict changed.
    Change {
        /// When.
        at: Wall,
        /// The event it stands on.
        mark: Mark,
        /// Of which conversation.
        conversation: ConversationId,
        /// What the policy says.
        now: Said,
        /// What it said before.
        was: Wish,
    },
    /// Two policies: here they part for the first time.
    Parting {
        /// When.
        at: Wall,
        /// The event it stands on.
        mark: Mark,
        /// On which conversation.
        conversation: ConversationId,
        /// What the first one says.
        now: Said,
        /// What the other one says.
        against: Said,
    },
}

/// One policy at work.
#[derive(Debug)]
struct Side {
    rehearsal: Rehearsal,
    ledger: Ledger,
    /// What was said first at this moment, by conversation.
    first: BTreeMap<ConversationId, Said>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Backtest {
    sides: Vec<Side>,
    accounts: BTreeMap<ConversationId, Account>,
    summary: Summary,
    clock: Option<Wall>,
    swept: Wall,
    told: Vec<Told>,
}

/// A policy, and what of the settings it is judged with.
#[derive(Debug)]
pub struct Entrant {
    /// The policy.
    pub policy: Policy,
    /// How starts and stops are sent.
    pub means: Means,
    /// The priority of directives.
    pub directive_priority: i64,
}

impl Backtest {
    /// One policy, or one against another.
    pub fn new(policy: Entrant, against: Option<Entrant>) -> Self {
        let side = |one: Entrant| Side {
            ledger: Ledger::new(&one.policy),
            rehearsal: Rehearsal::new(one.means, one.directive_priority, one.policy, Wall::default()),
            first: BTreeMap::new(),
        };
        Self {
            sides: std::iter::once(policy).chain(against).map(side).collect(),
            accounts: BTreeMap::new(),
            summary: Summary::default(),
            clock: None,
            swept: Wall::default(),
            told: Vec::new(),
        }
    }

    /// Takes the next entry of a file in. What is to be printed for it is in the answer.
    pub fn take(&mut self, captured: Captured, mark: Mark) -> Vec<Told> {
        let next = self.clock.map_or_else(|| Wall::default() + APART, |clock| clock + APART);
        match captured.what {
            Contents::Conversation(event) => {
                self.advance(captured.at.unwrap_or(next));
                self.see(*event, mark);
                self.sweep();
            }
            Contents::Queues(names) => {
                self.sides.iter_mut().for_each(|side| side.rehearsal.name_queues(names.clone()));
            }
            Contents::Other => self.summary.other += 1,
        }
        std::mem::take(&mut self.told)
    }

    /// The end of the last file. Time ends with the last event, so nothing fires any more.
    pub fn finish(mut self) -> Summary {
        let end = self.clock.unwrap_or_default();
        self.summary.to = self.clock;
        let live: Vec<ConversationId> = self.accounts.keys().cloned().collect();
        for id in &live {
            self.settle(id, end);
        }
        self.summary.live_at_the_end = live.len() as u64;
        let mut ledgers = self.sides.into_iter().map(|side| side.ledger);
        self.summary.complete(ledgers.next(), ledgers.next())
    }

    /// Moves time on, and fires what falls due on the way, for both policies in one order.
    fn advance(&mut self, to: Wall) {
        let to = self.clock.map_or(to, |clock| clock.max(to));
        self.summary.from.get_or_insert(to);
        while let Some(due) = self.sides.iter().filter_map(|side| side.rehearsal.next_timer()).min()
            && due <= to
        {
            self.sides.iter_mut().for_each(|side| side.rehearsal.advance(due));
            self.listen(due, None);
        }
        self.sides.iter_mut().for_each(|side| side.rehearsal.advance(to));
        self.clock = Some(to);
    }

    fn see(&mut self, event: Event, mark: Mark) {
        let at = self.clock.unwrap_or_default();
        self.summary.events += 1;
        self.summary.odd += u64::from(!event.decoded.odd.is_empty());
        let id = event.decoded.conversation.id.clone();
        let Some((first, others)) = self.sides.split_first_mut() else { return };
        let captured = event.decoded.conversation;
        let copies: SmallVec<[Conversation; 1]> = others.iter().map(|_| captured.clone()).collect();
        let seen = first.rehearsal.see(captured, event.topic.as_str(), &event.correlation);
        if seen == Seen::Stale {
            self.summary.stale += 1;
            return;
        }
        for (other, copy) in others.iter_mut().zip(copies) {
            other.rehearsal.see_beside(&first.rehearsal, copy, event.topic.as_str(), &event.correlation);
        }
        let account = self.accounts.entry(id.clone()).or_insert_with(|| {
            self.summary.conversations += 1;
            Account::new(at)
        });
        (account.mark, account.seen) = (mark, at);
        self.listen(at, Some(&id));
    }

    /// Takes down what happened at this moment, to the conversation seen and to those that timers woke.
    fn listen(&mut self, at: Wall, seen: Option<&ConversationId>) {
        let mut concerned: Vec<ConversationId> = seen.cloned().into_iter().collect();
        let mut ended = Vec::new();
        let alone = self.sides.len() == 1;
        for (number, side) in self.sides.iter_mut().enumerate() {
            while let Some(one) = side.rehearsal.poll() {
                let id = one.conversation;
                match one.what {
                    What::Verdict { now, was } => {
                        if let Some(account) = self.accounts.get_mut(&id).filter(|_| alone) {
                            let (mark, was, now) = (account.mark, was.wish, now.clone());
                            self.told.push(Told::Change { at, mark, conversation: id.clone(), now, was });
                        }
                        side.first.entry(id.clone()).or_insert(now);
                    }
                    What::Decision { rule, .. } => side.ledger.decided(&rule),
                    What::Would { rule, .. } => side.ledger.would(&rule),
                    What::Failed { rule, error } => {
                        let rule = side.ledger.number(&rule);
                        let first =
                            self.accounts.get_mut(&id).is_some_and(|one| one.failed.note(number, rule));
                        side.ledger.failed(rule, error, if first { Before::Not } else { Before::Too });
                    }
                    What::Ended => ended.push(id.clone()),
                }
                if !concerned.contains(&id) {
                    concerned.push(id);
                }
            }
        }
        for id in &concerned {
            self.settle(id, at);
            if !ended.contains(id) {
                self.look_at(id, at);
            }
        }
        for id in ended {
            self.accounts.remove(&id);
        }
        self.sides.iter_mut().for_each(|side| side.first.clear());
    }

    /// Counts the time since the last look.
    fn settle(&mut self, id: &ConversationId, to: Wall) {
        let Some(account) = self.accounts.get_mut(id) else { return };
        let span = to.since(account.settled);
        account.settled = account.settled.max(to);
        if span.is_zero() {
            return;
        }
        for (side, stand) in self.sides.iter_mut().zip(&account.stands) {
            if let Some(rule) = &stand.stopped_by {
                side.ledger.stopped(*rule, span);
            }
        }
        if let [one, other] = account.stands.as_slice()
            && one.is_recording() != other.is_recording()
        {
            // The rule that speaks where nothing is recorded explains the difference; else the one that records.
            let (quiet, loud, by, or) =
                if one.is_recording() { (other, one, 1, 0) } else { (one, other, 0, 1) };
            let (side, rule) = quiet.stopped_by.map_or((or, loud.rule), |rule| (by, rule));
            let rule = self.sides.get(side).map_or("", |side| side.ledger.name(rule));
            let way = if one.is_recording() { Way::Removed } else { Way::Added };
            self.summary.differ(rule, &account.queue, way, span);
        }
    }

    /// Notes how each policy stands to the conversation now, and whether they have parted.
    fn look_at(&mut self, id: &ConversationId, at: Wall) {
        let Some(account) = self.accounts.get_mut(id) else { return };
        let first = self.sides.first().and_then(|side| side.rehearsal.conversation(id));
        let queue = first.and_then(|call| call.queue());
        if queue.is_some_and(|one| one.name.is_empty()) && !std::mem::replace(&mut account.was_unnamed, true)
        {
            self.summary.in_unnamed_queues += 1;
        }
        let queue =
            queue.map_or("", |one| if one.name.is_empty() { one.id.as_str() } else { one.name.as_str() });
        if account.queue != queue {
            queue.clone_into(&mut account.queue);
        }
        account.stands.resize_with(self.sides.len(), Stand::default);
        for (number, (side, stand)) in self.sides.iter_mut().zip(&mut account.stands).enumerate() {
            let Some(said) = side.rehearsal.said(id) else { continue };
            let rule = side.ledger.number(&said.rule);
            let stopped_by = if said.wish == Wish::Stop {
                Some(rule)
            } else {
                side.rehearsal.changed_by(id).map(|rule| side.ledger.number(rule))
            };
            let observed = side.rehearsal.observed(id);
            *stand =
                Stand { rule, observed, stopped_by: stopped_by.filter(|_| observed != Observed::Active) };
            let spoke = side.first.get(id).map(|said| side.ledger.number(&said.rule));
            let would = side.rehearsal.would_be(id).map(|rule| side.ledger.number(rule));
            for rule in spoke.into_iter().chain([rule]).chain(would) {
                if account.touched.note(number, rule) {
                    side.ledger.touched(rule);
                }
            }
        }
        if !account.has_parted {
            self.compare(id, at);
        }
    }

    /// Tells where two policies part.
    fn compare(&mut self, id: &ConversationId, at: Wall) {
        let [one, other] = self.sides.as_slice() else { return };
        let Some(account) = self.accounts.get_mut(id) else { return };
        let said = |side: &Side| {
            let settled = side.rehearsal.said(id).cloned().unwrap_or_default();
            (side.first.get(id).cloned().unwrap_or_else(|| settled.clone()), settled)
        };
        let ((first, settled), (first_other, settled_other)) = (said(one), said(other));
        let apart = |one: &Said, other: &Said| one.wish != other.wish;
        let observed = one.rehearsal.observed(id) != other.rehearsal.observed(id);
        if apart(&first, &first_other) || apart(&settled, &settled_other) || observed {
            account.has_parted = true;
            self.summary.changed += 1;
            let at_first = apart(&first, &first_other) || !apart(&settled, &settled_other);
            let (now, against) = if at_first { (first, first_other) } else { (settled, settled_other) };
            let (mark, conversation) = (account.mark, id.clone());
            self.told.push(Told::Parting { at, mark, conversation, now, against });
        }
    }

    /// Drops what was not seen for long.
    fn sweep(&mut self) {
        let now = self.clock.unwrap_or_default();
        if now.since(self.swept) < SWEPT_EVERY && self.accounts.len() <= MOST_LIVE {
            return;
        }
        self.swept = now;
        let mut oldest: Vec<(Wall, ConversationId)> =
            self.accounts.iter().map(|(id, account)| (account.seen, id.clone())).collect();
        oldest.sort_unstable();
        // A tenth at once, so that a crowd is not sorted at each event.
        let crowd = if oldest.len() > MOST_LIVE { oldest.len() / 10 } else { 0 };
        for (number, (seen, id)) in oldest.into_iter().enumerate() {
            if number >= crowd && now.since(seen) < NOT_SEEN_FOR {
                break;
            }
            self.settle(&id, seen);
            self.sides.iter_mut().for_each(|side| side.rehearsal.forget(&id));
            self.accounts.remove(&id);
            self.summary.forgotten += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::QueueId;
    use crate::policy::compile::Compiler;

    const CARD: &str = "[[rule]]\nname = 'card'\nattribute = { pci = 'on' }\naction = 'stop'\n";

    fn entrant(rules: &str) -> Entrant {
        let mut compiler = Compiler::default();
        assert_eq!(compiler.add_file("rules.toml", rules), []);
        Entrant { policy: compiler.finish(), means: Means::default(), directive_priority: 1000 }
    }

    fn at(second: u64) -> Wall {
        Wall::default() + Duration::from_secs(second)
    }

    /// One event of a call: when, which, its `pci`, its recording.
    fn event(second: u64, id: &str, pci: &str, recording: &str) -> Captured {
        let (agent, secure) =
            if recording == "over" { ("disconnected", false) } else { ("connected", recording == "paused") };
        let text = format!(
            r#"{{"at":"{}","frame":{{"topicName":"v2.routing.queues.q.conversations","eventBody":{{"id":"{id}","recordingState":"{}",
            "securePause":{secure},"participants":[{{"id":"p","purpose":"customer","attributes":{{"pci":"{pci}"}},"calls":[{{"state":"{agent}"}}]}},
            {{"id":"a","purpose":"agent","queueId":"q","calls":[{{"state":"{agent}"}}]}}]}}}}}}"#,
            at(second),
            match recording {
                "over" => "none",
                "suspended" => "paused",
                other => other,
            },
        );
        crate::wire::captured::read(&text).expect("an entry")
    }

    fn played(mut backtest: Backtest, events: Vec<Captured>) -> (Vec<String>, Summary) {
        let mut lines = Vec::new();
        for (line, event) in (1..).zip(events) {
            for told in backtest.take(event, Mark { file: 0, line }) {
                lines.push(match told {
                    Told::Change { at, mark, conversation, now, was } => {
                        let second = at.since(Wall::default()).as_secs();
                        format!("{second} {} {conversation} {} {} was {was}", mark.line, now.wish, now.rule)
                    }
                    Told::Parting { at, mark, conversation, now, against } => {
                        let second = at.since(Wall::default()).as_secs();
                        format!("{second} {} {conversation} {} / {}", mark.line, now.wish, against.wish)
                    }
                });
            }
        }
        (lines, backtest.finish())
    }

    #[test]
    fn each_change_is_told_with_the_line_it_stands_on_and_rules_are_counted() {
        let backtest = Backtest::new(entrant(&format!("{CARD}at_most = '1m'\n")), None);
        let events = vec![
            event(0, "x", "off", "active"),
            event(10, "y", "on", "active"),
            event(20, "x", "on", "active"),
            event(25, "x", "off", "active"),
            event(100, "x", "off", "over"),
            event(110, "y", "on", "active"),
        ];
        let (lines, summary) = played(backtest, events);
        assert_eq!(
            lines,
            [
                "10 2 y stop card was leave",
                "20 3 x stop card was leave",
                "25 4 x start card was stop",
                "25 4 x leave default was start",
                "70 2 y start card was stop",
                "70 2 y leave default was start",
            ]
        );
        let card = &summary.rules[0];
        assert_eq!((card.conversations, card.decisions, card.stopped_seconds), (2, 4, 65.0));
        assert_eq!((summary.events, summary.conversations, summary.live_at_the_end), (6, 2, 1));
    }

    /// The log has the first of each hour alone.
    #[test]
    fn every_failure_of_a_rule_is_counted_and_the_first_one_is_told() {
        let rules = "[[rule]]\nname = 'bad'\nwhen = 'int(attributes.pci) > 5'\naction = 'stop'\n";
        let events = vec![
            event(0, "x", "off", "active"),
            event(10, "x", "on", "active"),
            event(20, "y", "off", "active"),
            event(30, "y", "7", "active"),
        ];
        let (lines, summary) = played(Backtest::new(entrant(rules), None), events);
        assert_eq!(lines, ["30 4 y stop bad was leave"]);
        let bad = &summary.rules[0];
        assert_eq!((bad.failures, bad.failed_conversations, bad.conversations), (3, 2, 1));
        assert_eq!(bad.first_error.as_deref(), Some("a text could not be read as int"));
    }

    #[test]
    fn time_ends_with_the_last_event() {
        let backtest = Backtest::new(entrant(&format!("{CARD}at_most = '1m'\n")), None);
        let (lines, summary) =
            played(backtest, vec![event(0, "x", "on", "active"), event(30, "y", "off", "active")]);
        assert_eq!(lines, ["0 1 x stop card was leave"]);
        assert_eq!(summary.rules[0].stopped_seconds, 30.0);
        assert_eq!(summary.to, Some(at(30)));
    }

    #[test]
    fn events_without_a_time_are_one_second_apart_and_time_never_goes_back() {
        let mut events = vec![
            event(0, "x", "on", "active"),
            event(0, "x", "on", "active"),
            event(0, "x", "off", "active"),
        ];
        events.iter_mut().for_each(|one| one.at = None);
        let (lines, _) = played(Backtest::new(entrant(CARD), None), events);
        assert_eq!(
            lines,
            ["1 1 x stop card was leave", "3 3 x start card was stop", "3 3 x leave default was start"]
        );
        let events = vec![event(50, "x", "on", "active"), event(40, "y", "on", "active")];
        let (lines, _) = played(Backtest::new(entrant(CARD), None), events);
        assert_eq!(lines, ["50 1 x stop card was leave", "50 2 y stop card was leave"]);
    }

    #[test]
    fn two_policies_are_told_apart_where_they_first_part() {
        let longer = format!("{CARD}until = 'end'\n");
        let events = vec![
            event(0, "x", "on", "active"),
            event(10, "x", "off", "active"),
            event(20, "y", "off", "active"),
            event(30, "x", "on", "active"),
            event(60, "x", "off", "over"),
            event(60, "y", "off", "over"),
        ];
        let (lines, summary) = played(Backtest::new(entrant(CARD), Some(entrant(&longer))), events);
        assert_eq!(lines, ["10 2 x start / stop"]);
        let changed = summary.changed_share.clone().expect("two policies");
        assert_eq!((changed.conversations, changed.share), (1, 0.5));
        let difference = Difference {
            rule: "card".into(),
            queue: Some("q".into()),
            added_seconds: 0.0,
            removed_seconds: 20.0,
        };
        assert_eq!(summary.difference, Some(vec![difference]));
        assert_eq!(summary.against.as_ref().map(|rules| rules[0].stopped_seconds), Some(60.0));
    }

    #[test]
    fn a_capture_made_under_the_old_policy_does_not_hide_what_the_new_one_leaves_alone() {
        let events = || {
            let frames = [
                ("off", "active"),
                ("on", "active"),
                ("on", "paused"),
                ("off", "paused"),
                ("off", "active"),
                ("off", "over"),
            ];
            (0..)
                .zip(frames)
                .map(|(number, (pci, recording))| event(number * 10, "x", pci, recording))
                .collect::<Vec<_>>()
        };
        let (lines, summary) = played(Backtest::new(entrant(CARD), Some(entrant(""))), events());
        assert_eq!(lines, ["10 2 x stop / leave"]);
        let added = summary.difference.as_deref().map(|all| (all[0].rule.as_str(), all[0].added_seconds));
        assert_eq!(added, Some(("card", 20.0)));
        // A new name of a rule makes no difference.
        let renamed = CARD.replace("card", "paused-for-card");
        let (lines, summary) = played(Backtest::new(entrant(CARD), Some(entrant(&renamed))), events());
        assert_eq!((lines.len(), summary.difference), (0, Some(Vec::new())));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]
        #[test]
        fn a_policy_never_parts_from_itself(
            rules in 0_usize..5,
            events in proptest::collection::vec((0_u64..40, 0_usize..2, 0_usize..4), 1..40),
        ) {
            let more = ["", "at_most = '1m'\n", "after = '10s'\n", "until = 'end'\non_release = 'keep'\n", "on_release = 'keep'\n"];
            let rules = format!("{CARD}{}[[rule]]\nname = 'on'\nattribute = {{ pci = 'off' }}\naction = 'start'\nafter = '30s'\n", more[rules]);
            let mut second = 0;
            let mut all: Vec<Captured> = events.into_iter().map(|(gap, pci, recording)| {
                second += gap;
                event(second, "x", ["on", "off"][pci], ["active", "paused", "suspended", "none"][recording])
            }).collect();
            all.push(event(second + 1, "x", "off", "over"));
            let mut backtest = Backtest::new(entrant(&rules), Some(entrant(&rules)));
            let mut told = Vec::new();
            for captured in all {
                told.extend(backtest.take(captured, Mark::default()));
            }
            proptest::prop_assert_eq!(told, []);
            proptest::prop_assert!(backtest.sides.iter().all(|side| side.rehearsal.is_empty()));
            let summary = backtest.finish();
            proptest::prop_assert_eq!(summary.difference, Some(Vec::new()));
            // A call that undoes what somebody else did may be needed by one side alone, which saw them do it.
            let told = |rules: Vec<RuleLine>| -> Vec<(String, u64, f64)> {
                rules.into_iter().map(|one| (one.rule, one.conversations, one.stopped_seconds)).collect()
            };
            proptest::prop_assert_eq!(told(summary.rules), told(summary.against.unwrap_or_default()));
        }
    }

    #[test]
    fn names_of_queues_that_the_file_tells_are_used() {
        let rules = "[[rule]]\nname = 'pay'\nqueue = 'Payments'\naction = 'stop'\n";
        let names = Contents::Queues([(QueueId::new("q"), "Payments".to_owned())].into());
        let events = vec![
            event(0, "x", "off", "active"),
            Captured { at: None, what: names },
            event(1, "y", "off", "active"),
        ];
        let (lines, _) = played(Backtest::new(entrant(rules), None), events);
        assert_eq!(lines, ["1 3 y stop pay was leave"]);
    }

    #[test]
    fn what_is_not_seen_any_more_is_dropped() {
        let mut backtest = Backtest::new(entrant(CARD), None);
        for hour in 0..100 {
            backtest.take(event(hour * 3600, &format!("c{hour}"), "on", "active"), Mark::default());
            assert!(backtest.accounts.len() <= 26 && backtest.sides[0].rehearsal.len() <= 26);
        }
        assert_eq!(backtest.finish().forgotten, 76);
    }
}
