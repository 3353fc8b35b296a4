//! What a policy says of conversations over time, where every call succeeds at once: what rule tests and
//! replay are made of.
//!
//! It is the real [`Warden`] with nobody around it. Snapshots, facts and directives are handed to the same
//! functions that take them from the socket and the webhook; holds, clocks, claims and giving back are the
//! Warden's own. What is not here is the way to the platform: no session, no allowance, no back-off, no
//! contest's wait, no brake. A request that the Warden prepares is carried out by an imagined platform on the
//! spot, and the Warden is shown the outcome as the platform's own word.
//!
//! # What is imagined, and what was captured
//!
//! The captured recording state is what really happened. Imagined calls are laid over it: after a stop the
//! conversation reads as paused, with `securePause`, whatever the next snapshots say, until
//!
//! - the policy gives it back, or starts it for another reason, or
//! - a snapshot tells a *change* that our calls do not explain. A person resumed or paused by hand, or the
//!   recording ended: then the captured state is what is seen, the claim is gone, and the policy judges anew.
//!
//! A captured change that comes to just what our calls made of it is taken to be theirs. So a capture that
//! was made while the same policy ran gives the same verdicts as one made without any, and what the recording
//! would have been without us ([`Rehearsal::natural`]) goes on below it. A second policy beside the first one
//! ([`Rehearsal::see_beside`]) is shown that alone. The platform's own suspension (on
//! hold) comes and goes without changing whose a pause is.
//!
//! # Time
//!
//! Time is what the caller says, and never goes back: an event that is earlier than the one before it is
//! looked at as if it came at the same moment. `after`, `at_most` and the end of a directive fire between
//! events, each at its own moment ([`Rehearsal::next_timer`]). Nothing fires after the last event: what
//! came then is not known.

mod looks;
mod tape;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Enforcement, Explained, Order, Output, Purpose, Settings, Ticket, Warden};
use crate::audit::record::{ConfirmedBy, Record};
use crate::model::conversation::Conversation;
use crate::model::ids::ConversationId;
use crate::model::recording::{Action, Wish};
use crate::model::time::{Mono, Now, Wall};
use crate::policy::decide::{Policy, RuleFailure};
use crate::policy::subject::Facts;
use crate::warden::plan::{self, DEFAULT, Means};
use crate::warden::unseen::Word;
use crate::warden::{allowance, directory, sight};
use tape::Tape;

/// Calls that one look may cause: one for each recorder of each leg of a large conference, and the word of
/// the platform between them.
const MOST_CALLS: usize = 100;

/// What happened, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// When.
    pub at: Wall,
    /// To which conversation.
    pub conversation: ConversationId,
    /// What.
    pub what: What,
}

/// See [`Happening`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The policy says something else than before.
    Verdict {
        /// What.
        now: Said,
        /// What it said before.
        was: Said,
    },
    /// A call was needed.
    Decision {
        /// What it did.
        action: Action,
        /// The rule that wanted it.
        rule: String,
        /// In that rule's words, or `released` or `expired`.
        reason: String,
    },
    /// A rule in observe mode would have needed one.
    Would {
        /// What it would have done.
        action: Action,
        /// The rule.
        rule: String,
    },
    /// A rule could not be evaluated: each time that something new is looked at.
    Failed {
        /// Which rule.
        rule: String,
        /// Why.
        error: String,
    },
    /// The conversation ended.
    Ended,
}

/// A verdict as people write it: the word, and the rule that says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// `start`, `stop` or `leave`.
    pub wish: Wish,
    /// The rule, `directive` or `default`.
    pub rule: String,
}

impl Default for Said {
    fn default() -> Self {
        Self { wish: Wish::Leave, rule: DEFAULT.into() }
    }
}

/// One conversation that is rehearsed.
#[derive(Clone, Debug, Default)]
struct Part {
    tape: Tape,
    said: Said,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Rehearsal {
    warden: Warden,
    parts: BTreeMap<ConversationId, Part>,
    now: Now,
    happened: VecDeque<Happening>,
}

impl Rehearsal {
    /// Nothing has happened yet; time begins at `begin`. `directive_priority` is that of directives among
    /// rules.
    pub fn new(means: Means, directive_priority: i64, policy: Policy, begin: Wall) -> Self {
        let now = Now { mono: Mono::default(), wall: begin };
        let mut warden = Warden::new(nobody_around(means, directive_priority), policy, 0, now);
        warden.outputs.clear();
        Self { warden, parts: BTreeMap::new(), now, happened: VecDeque::new() }
    }

    /// What happened next; none once all is told.
    pub fn poll(&mut self) -> Option<Happening> {
        self.happened.pop_front()
    }

    /// The moment it has come to.
    pub fn now(&self) -> Wall {
        self.now.wall
    }

    /// When a verdict may change by time alone.
    pub fn next_timer(&self) -> Option<Wall> {
        self.warden.timers.first().map(|(at, _)| self.now.wall + at.since(self.now.mono))
    }

    /// Moves time on; what falls due on the way happens, each at its own moment.
    pub fn advance(&mut self, to: Wall) {
        while let Some(due) = self.next_timer().filter(|due| *due <= to) {
            self.move_to(due);
            let mono = self.now.mono;
            let due: Vec<ConversationId> = self
                .warden
                .timers
                .iter()
                .take_while(|(at, _)| *at <= mono)
                .map(|(_, id)| id.clone())
                .collect();
            self.warden.fire_timers(self.now);
            for id in due {
                self.follow(&id);
            }
        }
        self.move_to(to);
    }

    fn move_to(&mut self, to: Wall) {
        self.now = self.now + to.since(self.now.wall);
    }

    /// Takes a captured snapshot in. Answers whether it was newer than what was known.
    pub fn see(&mut self, mut conversation: Conversation, topic: &str, correlation: &str) -> Seen {
        let id = conversation.id.clone();
        let known = self.warden.book.get(&id).map_or(0, |call| call.version);
        let mut tape = self.parts.get(&id).map(|part| part.tape.clone()).unwrap_or_default();
        tape.see(&mut conversation);
        self.warden.take_snapshot(conversation, (topic.to_owned(), correlation.to_owned()), self.now);
        if self.warden.book.get(&id).is_none_or(|call| call.version == known) {
            return Seen::Stale;
        }
        self.parts.entry(id.clone()).or_default().tape = tape;
        self.look(&id);
        Seen::Taken
    }

    /// Takes the same snapshot in as `first` did just now, without what the calls of `first` explain of it.
    pub fn see_beside(&mut self, first: &Self, captured: Conversation, topic: &str, correlation: &str) {
        let id = captured.id.clone();
        let Some(part) = first.parts.get(&id) else {
            // It ended.
            self.see(captured, topic, correlation);
            return;
        };
        let natural = part.tape.natural(captured);
        if part.tape.was_somebody_else() {
            self.see_as_told(natural, topic)
        } else {
            self.see(natural, topic, correlation)
        };
    }

    /// The conversation is like this now, whatever was known before: no snapshot is too old. Its recording
    /// state is held against what was captured before, as with [`Rehearsal::see`].
    pub fn put(&mut self, conversation: Conversation, topic: &str) {
        self.forget_participants(&conversation.id);
        self.see(conversation, topic, "");
    }

    /// The same, and its recording state is what somebody else makes of it now, also where that is what was
    /// captured before our calls changed it.
    pub fn put_as_told(&mut self, conversation: Conversation) {
        self.forget_participants(&conversation.id);
        self.see_as_told(conversation, "");
    }

    fn forget_participants(&mut self, id: &ConversationId) {
        if let Some(call) = self.warden.book.get_mut(id) {
            call.conversation.participants.clear();
        }
    }

    fn see_as_told(&mut self, conversation: Conversation, topic: &str) -> Seen {
        let id = &conversation.id;
        if self.observed(id) != plan::observed(&self.warden.settings.means, &conversation)
            && let Some(part) = self.parts.get_mut(id)
        {
            part.tape.begin_anew();
        }
        self.see(conversation, topic, "")
    }

    /// Another system pushes facts.
    pub fn facts(&mut self, id: &ConversationId, facts: Facts) {
        self.warden.take_facts(Ticket(0), id, facts, self.now);
        self.follow(id);
    }

    /// A directive comes, or is released.
    pub fn order(&mut self, order: Order) {
        let id = order.conversation.clone();
        self.warden.take_order(Ticket(0), order, self.now);
        self.follow(&id);
    }

    /// Judges once more, with nothing new.
    pub fn look(&mut self, id: &ConversationId) {
        self.warden.judge(id, ConfirmedBy::Event, self.now);
        self.follow(id);
    }

    /// Drops what is known of a conversation.
    pub fn forget(&mut self, id: &ConversationId) {
        self.warden.finish(id, "not seen any more", self.now);
        self.warden.outputs.clear();
        self.parts.remove(id);
    }

    /// Names of queues, which events of one family leave out.
    pub fn name_queues(&mut self, names: BTreeMap<crate::model::ids::QueueId, String>) {
        self.warden.book.name_queues(names);
    }

    /// Tells what the last look came to, and carries out what it asks for until nothing is left to do.
    fn follow(&mut self, id: &ConversationId) {
        self.tell(id);
        self.tell_failures(id);
        for _ in 0..MOST_CALLS {
            let prepared = self.warden.prepare_attempt(id, self.now);
            let Some((Purpose::Attempt { decision, .. }, request)) = prepared else { break };
            self.warden.settle_attempt((id, &decision), &request, Word::Accepted, None, self.now);
            let (Some(part), Some(call)) = (self.parts.get_mut(id), self.warden.book.get_mut(id)) else {
                break;
            };
            part.tape.obey(&request, &mut call.conversation);
            self.warden.notice_change(id, self.now.mono);
            self.warden.judge(id, ConfirmedBy::Event, self.now);
            // Where that confirmed what is given back, the verdict is over: it takes one more look to say so.
            self.warden.judge(id, ConfirmedBy::Event, self.now);
            self.tell(id);
        }
        self.tell_records();
    }

    fn tell(&mut self, id: &ConversationId) {
        let (at, conversation) = (self.now.wall, id.clone());
        let Some(call) = self.warden.book.get(id) else {
            self.tell_records();
            if self.parts.remove(id).is_some() {
                self.happened.push_back(Happening { at, conversation, what: What::Ended });
            }
            return;
        };
        let part = self.parts.entry(id.clone()).or_default();
        let (action, rule) = &call.verdict;
        let wish = action.map_or(Wish::Leave, Wish::from);
        if (wish, rule.as_str()) != (part.said.wish, part.said.rule.as_str()) && !rule.is_empty() {
            let now = Said { wish, rule: rule.clone() };
            let was = std::mem::replace(&mut part.said, now.clone());
            self.happened.push_back(Happening { at, conversation, what: What::Verdict { now, was } });
        }
        self.tell_records();
    }

    /// The log has the first of each hour alone, and one look may judge several times: so they are told from here.
    fn tell_failures(&mut self, id: &ConversationId) {
        let failing = self.warden.book.get(id).map_or(&[][..], |call| &call.failing);
        for RuleFailure { rule, error } in failing {
            if let Some(terms) = self.warden.policy.terms_of(*rule) {
                let what = What::Failed { rule: terms.name.clone(), error: error.clone() };
                self.happened.push_back(Happening { at: self.now.wall, conversation: id.clone(), what });
            }
        }
    }

    fn tell_records(&mut self) {
        while let Some(output) = self.warden.outputs.pop_front() {
            let Output::Record(record) = output else { continue };
            let (conversation, what) = if let Record::Decision(one) = record {
                let (action, rule, reason) = (one.action, one.rule, one.reason);
                (one.conversation, What::Decision { action, rule, reason })
            } else if let Record::Would(one) = record {
                (one.conversation, What::Would { action: one.action, rule: one.rule })
            } else {
                continue;
            };
            self.happened.push_back(Happening { at: self.now.wall, conversation, what });
        }
    }
}

/// The settings of a warden that subscribes to nothing and is held up by nothing.
pub(super) fn nobody_around(means: Means, directive_priority: i64) -> Settings {
    Settings {
        means,
        confirm_within: Duration::MAX,
        give_up_after: Duration::MAX,
        allowance: allowance::Settings { requests_per_minute: 0, action_share: 0.0, max_in_flight: 0 },
        directory: directory::Settings {
            queues: Vec::new(),
            users: Vec::new(),
            topics: Vec::new(),
            redundancy: crate::warden::session::Redundancy::Single,
            discover_every: Duration::MAX,
        },
        resync_every: Duration::MAX,
        memory: u64::MAX,
        sight: sight::Settings::default(),
        directive_priority,
        max_changes_per_minute: 0,
        enforcement: Enforcement::Enforce,
    }
}

/// What became of a snapshot.
pub use super::book::Intake as Seen;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recording::Observed;
    use crate::model::recording::RecorderState;
    use crate::policy::compile::Compiler;

    const CARD: &str = "[[rule]]\nname = \"card\"\nattribute = { pci = \"on\" }\naction = \"stop\"\n";

    fn rehearsal(rules: &str) -> Rehearsal {
        let mut compiler = Compiler::default();
        assert_eq!(compiler.add_file("rules.toml", rules), []);
        Rehearsal::new(Means::default(), 1000, compiler.finish(), Wall::default())
    }

    fn id() -> ConversationId {
        ConversationId::new("c")
    }

    /// A call with the customer's `pci`, recorded as `recording` (`active`, `paused`, `suspended`).
    fn call(pci: &str, recording: &str) -> Conversation {
        let (state, secure) = match recording {
            "suspended" => ("paused", false),
            other => (other, other == "paused"),
        };
        let body = format!(
            r#"{{"id":"c","recordingState":"{state}","securePause":{secure},"participants":[
            {{"id":"p","purpose":"customer","attributes":{{"pci":"{pci}"}},"calls":[{{"state":"connected"}}]}},
            {{"id":"a","purpose":"agent","queueId":"q","calls":[{{"state":"connected"}}]}}]}}"#
        );
        crate::wire::conversation::read(&body).expect("a conversation").conversation
    }

    fn at(seconds: u64) -> Wall {
        Wall::default() + Duration::from_secs(seconds)
    }

    /// What is told of a card that is read from second 1 to second 3.
    const FROM_1_TO_3: [&str; 5] = [
        "1: stop by card",
        "1: call stop ()",
        "3: start by card",
        "3: call start (released)",
        "3: leave by default",
    ];

    fn told(rehearsal: &mut Rehearsal) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(one) = rehearsal.poll() {
            let second = one.at.since(Wall::default()).as_secs();
            all.push(match one.what {
                What::Verdict { now, .. } => format!("{second}: {} by {}", now.wish, now.rule),
                What::Decision { action, reason, .. } => format!("{second}: call {action} ({reason})"),
                What::Would { action, rule } => format!("{second}: {rule} would {action}"),
                What::Failed { rule, .. } => format!("{second}: {rule} failed"),
                What::Ended => format!("{second}: ended"),
            });
        }
        all
    }

    #[test]
    fn a_stop_lasts_over_what_was_captured_until_it_is_given_back() {
        let mut rehearsal = rehearsal(CARD);
        for (second, pci) in [(0, "off"), (1, "on"), (2, "on"), (3, "off"), (4, "off")] {
            rehearsal.advance(at(second));
            rehearsal.see(call(pci, "active"), "", "");
            let paused = if pci == "on" { Observed::Paused } else { Observed::Active };
            assert_eq!(rehearsal.observed(&id()), paused);
            assert_eq!(rehearsal.natural(&id()).map(|one| one.observed()), Some(Observed::Active));
        }
        assert_eq!(told(&mut rehearsal), FROM_1_TO_3);
    }

    /// Found by the simulation (calm seed 3951): the stop took over the claim of a start that keeps what it did,
    /// and so gave nothing back.
    #[test]
    fn a_stop_gives_back_what_a_rule_before_it_did_to_stay() {
        let mut rehearsal = rehearsal(
            "[[rule]]\nname = \"record\"\nattribute = { pci = [\"rec\", \"both\"] }\naction = \"start\"\n\
             [[rule]]\nname = \"card\"\nattribute = { pci = \"both\" }\naction = \"stop\"\npriority = 1\n",
        );
        for (second, pci) in [(1, "rec"), (2, "both"), (3, "off")] {
            rehearsal.advance(at(second));
            rehearsal.see(call(pci, "paused"), "", "");
        }
        let calls: Vec<String> =
            told(&mut rehearsal).into_iter().filter(|one| one.contains("call")).collect();
        assert_eq!(calls, ["1: call start ()", "2: call stop ()", "3: call start (released)"]);
        assert_eq!(rehearsal.observed(&id()), Observed::Active);
    }

    #[test]
    fn a_capture_made_while_the_policy_ran_gives_the_same_verdicts() {
        let mut rehearsal = rehearsal(CARD);
        let frames =
            [("off", "active"), ("on", "active"), ("on", "paused"), ("off", "paused"), ("off", "active")];
        for (second, (pci, recording)) in (0..).zip(frames) {
            rehearsal.advance(at(second));
            rehearsal.see(call(pci, recording), "", "");
            assert_eq!(rehearsal.natural(&id()).map(|one| one.observed()), Some(Observed::Active));
        }
        assert_eq!(told(&mut rehearsal), FROM_1_TO_3);
    }

    #[test]
    fn what_somebody_else_changed_is_not_given_back() {
        let mut rehearsal = rehearsal(CARD);
        let frames = [("on", "active"), ("on", "paused"), ("on", "active"), ("off", "active")];
        for (second, (pci, recording)) in (0..).zip(frames) {
            rehearsal.advance(at(second));
            rehearsal.see(call(pci, recording), "", "");
        }
        // A person resumed at 2; the rule still wants its stop, which is then its own again.
        let told = told(&mut rehearsal);
        assert_eq!(told[..3], ["0: stop by card", "0: call stop ()", "2: call stop ()"], "{told:?}");
        assert_eq!(rehearsal.observed(&id()), Observed::Active);

        let mut by_hand = self::rehearsal(CARD);
        for (second, (pci, recording)) in (0..).zip([("off", "paused"), ("on", "paused"), ("off", "paused")])
        {
            by_hand.advance(at(second));
            by_hand.see(call(pci, recording), "", "");
        }
        assert_eq!(self::told(&mut by_hand), ["1: stop by card", "2: leave by default"]);
        assert_eq!(by_hand.observed(&id()), Observed::Paused);
    }

    #[test]
    fn a_suspension_comes_and_goes_below_our_pause() {
        let mut rehearsal = rehearsal(CARD);
        for (second, recording) in (0..).zip(["active", "suspended", "active", "suspended"]) {
            rehearsal.advance(at(second));
            rehearsal.see(call("on", recording), "", "");
            assert_eq!(rehearsal.observed(&id()), Observed::Paused);
        }
        rehearsal.see(call("off", "suspended"), "", "");
        assert_eq!(rehearsal.observed(&id()), Observed::Suspended);
        rehearsal.see(call("off", "active"), "", "");
        assert_eq!(rehearsal.observed(&id()), Observed::Active);
    }

    #[test]
    fn clocks_fire_between_events_each_at_its_own_moment() {
        let mut rehearsal = rehearsal(&format!("{CARD}after = \"2s\"\nat_most = \"10m\"\n"));
        rehearsal.see(call("on", "active"), "", "");
        assert_eq!(rehearsal.next_timer(), Some(at(2)));
        rehearsal.advance(at(3600));
        assert_eq!(
            told(&mut rehearsal),
            [
                "2: stop by card",
                "2: call stop ()",
                "602: start by card",
                "602: call start (expired)",
                "602: leave by default"
            ]
        );
        assert_eq!((rehearsal.next_timer(), rehearsal.now()), (None, at(3600)));
    }

    #[test]
    fn a_rule_in_observe_mode_calls_nothing() {
        let mut rehearsal = rehearsal(&format!("{CARD}mode = \"observe\"\n"));
        rehearsal.see(call("on", "active"), "", "");
        assert_eq!(told(&mut rehearsal), ["0: card would stop"]);
        assert_eq!(rehearsal.would_be(&id()), Some("card"));
        assert_eq!(rehearsal.observed(&id()), Observed::Active);
    }

    #[test]
    fn an_ended_conversation_is_dropped() {
        let mut rehearsal = rehearsal(CARD);
        rehearsal.see(call("on", "active"), "", "");
        let mut over = call("on", "active");
        over.end_time = Some(at(1));
        rehearsal.see(over, "", "");
        assert_eq!(told(&mut rehearsal).last().map(String::as_str), Some("0: ended"));
        assert!(rehearsal.is_empty() && rehearsal.call(&id()).is_none());
    }

    #[test]
    fn an_adhoc_recording_is_started_on_every_connected_agent_leg() {
        let rules = "[[rule]]\nname = \"record\"\nmedia = \"call\"\naction = \"start\"\n";
        let mut rehearsal = rehearsal(rules);
        rehearsal.see(call("off", "none"), "", "");
        assert_eq!(rehearsal.observed(&id()), Observed::Active);
        let leg = |rehearsal: &Rehearsal| {
            rehearsal.conversation(&id()).map(|one| one.participants[1].recorders.adhoc)
        };
        assert_eq!(leg(&rehearsal), Some(RecorderState::Active));
        rehearsal.see(call("on", "none"), "", "");
        assert_eq!(leg(&rehearsal), Some(RecorderState::Active));
        assert_eq!(told(&mut rehearsal), ["0: start by record", "0: call start ()"]);
    }
}
