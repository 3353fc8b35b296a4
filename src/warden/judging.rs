//! Judging one conversation: settle what holds on it, work out the verdict, and say what its decision needs. It
//! runs after each snapshot, fact, directive, reload and deadline alike, so that a missed or repeated event changes
//! nothing.

use std::time::Duration;

use super::holding::{how, let_go};
use super::{Enforcement, Level, Warden};
use crate::audit::record::{self, ConfirmedBy, HoldEnd, Record};
use crate::model::ids::ConversationId;
use crate::model::recording::{Action, Observed};
use crate::model::time::{Mono, Now};
use crate::policy::decide::RuleFailure;
use crate::policy::rule::WHEN_BLIND;
use crate::policy::subject::Subject;
use crate::warden::book::{Busy, Call, Doubt, LetGo, Outlook, Stage, Turn};
use crate::warden::deciding::GivingUp;
use crate::warden::latch::Change;
use crate::warden::plan::{self, DIRECTIVE, Source, Step, Verdict};

/// A failing rule is journaled once in this time (PRODUCT.md 3).
const FAILURE_EVERY: Duration = Duration::from_secs(3600);

impl Warden {
    /// Brings everything that holds on a conversation in line with what is known of it now.
    pub(super) fn judge(&mut self, id: &ConversationId, by: ConfirmedBy, now: Now) {
        let Some(call) = self.book.get(id) else { return };
        if call.seen.is_some() && !call.conversation.is_live() {
            self.finish(id, "the conversation ended", now);
            return;
        }
        if call.seen.is_none() && call.directive.is_none() {
            // Nothing is known of it, and nobody orders anything any more.
            if call.pursuit.as_ref().is_some_and(|open| open.rule == DIRECTIVE && open.reached == 0) {
                self.supersede(id, "the order is over");
            }
            return;
        }
        let ended = self.settle(id, now);
        let Some(mut verdict) = self.verdict_of(id) else { return };
        let sent =
            |call: &Call| call.pursuit.as_ref().filter(|open| open.reached > 0).map(|open| open.action);
        if self.book.get(id).and_then(sent).is_some_and(|action| verdict.action != Some(action)) {
            self.supersede(id, "the policy wants something else now");
            if let Some(call) = self.book.get_mut(id) {
                ended.iter().for_each(|(rule, why)| let_go(call, rule, how(*why)));
            }
            verdict = self.verdict_of(id).unwrap_or(verdict);
        }
        let Some(call) = self.book.get_mut(id) else { return };
        call.verdict = (verdict.action, verdict.rule.clone());
        self.hand_claim_over(id, &verdict);
        self.journal_holds(id, ended);
        self.journal_would(id);
        self.report_residual(id, &verdict);
        self.pursue(id, &verdict, by, now);
        if verdict.source == Source::GivingBack {
            self.settle_what_was_given_back(id);
        }
        self.journal_holds(id, Vec::new());
        self.rearm(id, now);
    }

    /// Once what was before is there again, no rule wants it any more: the verdict is that of what is left.
    fn settle_what_was_given_back(&mut self, id: &ConversationId) {
        let left = self.verdict_of(id);
        if let Some(call) = self.book.get_mut(id).filter(|call| call.claim.is_none())
            && let Some(left) = left
        {
            call.verdict = (left.action, left.rule);
        }
    }

    fn verdict_of(&self, id: &ConversationId) -> Option<Verdict> {
        let call = self.book.get(id)?;
        let (directive, priority) = (call.directive.as_ref(), self.settings.directive_priority);
        let verdict = plan::verdict(&self.policy, &call.latches, directive, priority, call.claim.as_ref());
        Some(if call.outlook == Outlook::Blind { plan::unseen(verdict) } else { verdict })
    }

    /// Matches the rules and settles the latches; answers the holds that ended, to be journaled once the
    /// verdict is known.
    fn settle(&mut self, id: &ConversationId, now: Now) -> Vec<(String, HoldEnd)> {
        let subscribes = !self.settings.directory.is_nothing();
        let Some(call) = self.book.get_mut(id) else { return Vec::new() };
        let mut ended = Vec::new();
        let mut records = Vec::new();
        if call.outlook == Outlook::Returning {
            call.outlook = Outlook::Clear;
            let_go(call, WHEN_BLIND, LetGo::Released);
            ended.push((WHEN_BLIND.to_owned(), HoldEnd::Released));
        }
        if call.directive.as_ref().is_some_and(|one| one.until.is_some_and(|until| until <= now.wall))
            && let Some(over) = call.directive.take()
        {
            let (directive, conversation) = (over.id, id.clone());
            let released = record::DirectiveReleased {
                directive,
                conversation,
                why: "its time is over".into(),
                webhook_id: None,
            };
            records.push(Record::DirectiveReleased(released));
            let_go(call, DIRECTIVE, LetGo::Expired);
            ended.push((DIRECTIVE.to_owned(), HoldEnd::Expired));
        }
        let (mut failures, mut doubtful) = (Vec::new(), false);
        if call.seen.is_some() {
            let subject =
                Subject { conversation: &call.conversation, facts: &call.facts, topic: &call.cause.0 };
            let matches = self.policy.matches(subject);
            call.failing.clone_from(&matches.failures);
            failures = matches.failures;
            // Facts and policies come in the order in which they were made.
            let anew = std::mem::replace(&mut call.judged, call.version) != call.version;
            let turn = call.former_rules.turn(matches.rules.clone(), now.mono);
            doubtful = turn == Turn::Back && anew && subscribes && call.was_told();
            if doubtful {
                call.doubt.get_or_insert(Doubt { since: now.mono, undone: None });
            }
            for change in call.latches.settle(&self.policy, &matches.rules, now.wall) {
                match change {
                    Change::Held(rule, hold) => {
                        let terms = self.policy.named(&rule).map(|(_, terms)| terms);
                        let claim = call.claim.as_ref().filter(|one| one.rule == rule).map(|one| one.before);
                        if let Some(action) = terms.map(|one| one.action) {
                            let (conversation, since, phase) = (id.clone(), hold.since, hold.phase);
                            let hold = record::Hold { conversation, rule, action, since, phase, claim };
                            records.push(Record::Hold(hold));
                        }
                    }
                    Change::Ended(rule, why) => {
                        let_go(call, &rule, how(why));
                        ended.push((rule, why));
                    }
                }
            }
        }
        if ended.iter().any(|(rule, _)| rule == DIRECTIVE) {
            self.book.weigh(id);
        }
        records.into_iter().for_each(|one| self.record(one));
        failures.into_iter().for_each(|one| self.journal_failure(id, one, now.mono));
        if doubtful {
            self.survey.ask_for_second_look(id, now.mono);
        }
        ended
    }

    fn journal_failure(&mut self, id: &ConversationId, failure: RuleFailure, now: Mono) {
        self.count("recwarden_rule_failures_total");
        let Some(terms) = self.policy.terms_of(failure.rule) else { return };
        let rule = terms.name.clone();
        let (last, times) = self.failures.entry(rule.clone()).or_insert((Mono::default(), 0));
        *times += 1;
        if *times > 1 && now.since(*last) < FAILURE_EVERY {
            return;
        }
        *last = now;
        let times = *times;
        self.note(Level::Warn, format!("rule '{rule}' failed on {id}: {}", failure.error));
        let (conversation, error) = (id.clone(), failure.error);
        self.record(Record::RuleFailed(record::RuleFailed { rule, conversation, error, times }));
    }

    fn journal_would(&mut self, id: &ConversationId) {
        let Some(call) = self.book.get_mut(id) else { return };
        if call.seen.is_none() {
            return;
        }
        let dry = self.settings.enforcement == Enforcement::DryRun;
        let in_force = call.verdict.0.filter(|_| dry).map(|action| (action, call.verdict.1.clone()));
        let would = in_force.or_else(|| {
            plan::would_be(&self.policy, &call.latches).map(|one| (one.action, one.name.clone()))
        });
        let observed = plan::observed(&self.settings.means, &call.conversation);
        let unmet = would.clone().filter(|(action, _)| !action.is_satisfied_by(observed));
        if unmet.is_some() && call.would != would {
            call.would = would;
            if let Some((action, rule)) = unmet {
                let reason = self.policy.named(&rule).map(|(_, one)| one.reason.clone()).unwrap_or_default();
                let conversation = id.clone();
                self.record(Record::Would(record::Would { conversation, action, rule, reason, observed }));
            }
        } else if would.is_none() {
            call.would = None;
        }
    }

    fn report_residual(&mut self, id: &ConversationId, verdict: &Verdict) {
        let Some(call) = self.book.get_mut(id) else { return };
        let observed = plan::observed(&self.settings.means, &call.conversation);
        let stopped = verdict.action == Some(Action::Stop)
            && call.seen.is_some()
            && verdict.source != Source::GivingBack
            && self.settings.enforcement == Enforcement::Enforce
            && matches!(observed, Observed::Paused | Observed::None);
        let recorders =
            if stopped { plan::residual(&self.settings.means, &call.conversation) } else { Vec::new() };
        if verdict.action != Some(Action::Stop) {
            call.residual_told.clear();
        }
        if recorders == call.residual {
            return;
        }
        call.residual.clone_from(&recorders);
        // A recorder that the platform suspends and resumes is told of once for each stop, not each time.
        let untold = recorders.iter().any(|one| !call.residual_told.contains(one));
        call.residual_told.extend(recorders.iter().cloned());
        let decision = call.pursuit.as_ref().map(|one| one.decision.clone());
        if !recorders.is_empty() {
            let message = format!("{id} is stopped, but still recorded by: {}", recorders.join(", "));
            let conversation = id.clone();
            self.record(Record::Residual(record::Residual { conversation, decision, recorders }));
            if untold {
                self.alert("residual", message, Some(id));
            }
        }
    }

    pub(super) fn alert(&mut self, about: &str, message: String, conversation: Option<&ConversationId>) {
        self.alert_at(Level::Error, about, message, conversation);
    }

    pub(super) fn alert_at(
        &mut self,
        level: Level,
        about: &str,
        message: String,
        conversation: Option<&ConversationId>,
    ) {
        self.count("recwarden_alerts_total");
        self.note(level, message.clone());
        let (about, conversation) = (about.to_owned(), conversation.cloned());
        self.record(Record::Alert(record::Alert { about, message, conversation }));
    }

    fn pursue(&mut self, id: &ConversationId, verdict: &Verdict, by: ConfirmedBy, now: Now) {
        let Some(call) = self.book.get_mut(id) else { return };
        let means = self.settings.means;
        if let Some(open) = &call.pursuit {
            let action = open.action;
            // Once tried, it is the platform's word after that which counts.
            let told = open.reached == 0 || !call.unseen.includes(action);
            match (verdict.action == Some(action), told && plan::is_as_wanted(&means, action, call)) {
                (true, false) => return self.hasten(id, now.mono),
                (true, true) if open.reached > 0 => match unsettled(action, call) {
                    None => self.confirm(id, by, now),
                    Some(until) => return self.doubt(id, until, now.mono),
                },
                (true, true) => self.supersede(id, "the wanted state came true by itself"),
                (false, _) => self.supersede(id, "the policy wants something else now"),
            }
        }
        let Some(call) = self.book.get_mut(id) else { return };
        call.given_up.take_if(|one| verdict.action != Some(one.action) || verdict.rule != one.rule);
        let Some(action) = verdict.action else { return };
        if plan::is_as_wanted(&means, action, call) {
            call.given_up = None;
            // Under the default a claim is there only where that wants what would be given back.
            let is_given_back = matches!(verdict.source, Source::GivingBack | Source::Default);
            if is_given_back && unsettled(action, call).is_none() {
                call.claim = None;
            }
            return;
        }
        if self.settings.enforcement == Enforcement::Enforce && call.pursuit.is_none() {
            self.open_decision(id, verdict, action, now);
        }
    }

    /// What is pursued is not there yet: it goes now where what it waits for is over.
    fn hasten(&mut self, id: &ConversationId, now: Mono) {
        let Some(call) = self.book.get_mut(id) else { return };
        let Some(open) = &mut call.pursuit else { return };
        let (action, opened) = (open.action, open.opened.mono);
        let waits_no_longer = match open.stage {
            // An older order of ours has undone it.
            Stage::Doubted => true,
            Stage::AwaitLeg => {
                let expected = call.unseen.expected(action, &call.conversation);
                let step = plan::next_step(&self.settings.means, action, &expected, &open.asked);
                matches!(step, Step::Send(..))
            }
            // The next recorder has its turn. What was sent and not seen yet is not sent again.
            Stage::AwaitWord if action == Action::Stop => {
                let means = &self.settings.means;
                let expected = call.unseen.expected(action, &call.conversation);
                let step = plan::next_step(means, action, &expected, &open.asked);
                let is_new = matches!(step, Step::Send(next, _) if !call.unseen.holds(&next));
                is_new && !plan::is_satisfied(means, action, &expected)
            }
            Stage::Due | Stage::InFlight | Stage::AwaitWord | Stage::ToRead | Stage::Reading => false,
        };
        if waits_no_longer {
            open.stage = Stage::Due;
        }
        let passes = super::sending::passes_brake(call, action) && self.brake.forget(id);
        if waits_no_longer || passes {
            self.worklist.put(id, action, opened, now);
        }
    }

    /// What gives back is there, but an older order of ours may undo it until then, when it is read again. Its
    /// confirmation is the end of all that is owed, so that what comes true after it would stay.
    fn doubt(&mut self, id: &ConversationId, until: Mono, now: Mono) {
        let Some(call) = self.book.get_mut(id).filter(|call| call.is_idle()) else { return };
        let Some(open) = call.pursuit.as_mut().filter(|open| open.stage != Stage::Doubted) else { return };
        open.stage = Stage::Doubted;
        // A look of then told nothing new.
        let due = if until <= now { now + self.settings.confirm_within } else { until };
        self.worklist.put(id, open.action, open.opened.mono, due);
    }

    /// The conversation is over: nothing is owed to it any more.
    pub(super) fn finish(&mut self, id: &ConversationId, why: &str, now: Now) {
        self.abandon(id, why, GivingUp::Over, now);
        let begun = self.book.get(id).and_then(|call| call.conversation.start_time);
        self.survey.ended(id, begun, now);
        let Some(call) = self.book.close(id) else { return };
        self.worklist.remove(id);
        self.forget_facts(id, &call.facts);
        if let Some(timer) = call.timer {
            self.timers.remove(&(timer, id.clone()));
        }
        if let Some(directive) = &call.directive {
            let (directive, conversation, why) = (directive.id.clone(), id.clone(), why.to_owned());
            let webhook_id = None;
            self.record(Record::DirectiveReleased(record::DirectiveReleased {
                directive,
                conversation,
                why,
                webhook_id,
            }));
        }
        self.journal_end_of_holds(id, call);
        self.count("recwarden_conversations_ended_total");
    }
}

/// Until when what gives back, and is in effect, could be undone by an older order of ours; whoever wants it. Only a
/// look after that says that it was not.
fn unsettled(action: Action, call: &Call) -> Option<Mono> {
    call.claim.as_ref().filter(|claim| claim.gives_back() == action)?;
    let doubted = call.doubt.map(|doubt| doubt.since);
    doubted.into_iter().chain(call.unseen.late_against(action)).max()
}

impl Call {
    /// Whether a request for it may go now.
    pub(super) fn is_idle(&self) -> bool {
        self.busy == Busy::Idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::history::History;
    use crate::audit::record::HoldPhase;
    use crate::model::recording::RecorderState;
    use crate::warden::bench::{Bench, PCI, Way, id, settings};
    use crate::warden::{Input, What};
    use crate::wire::request::Request;

    #[test]
    fn what_was_given_back_is_wanted_by_no_rule_any_more() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        for pci in ["on", "off"] {
            bench.set(0, pci);
            bench.tell(0);
            bench.pass(Duration::from_secs(10));
        }
        assert_eq!((bench.kinds("decision"), bench.kinds("confirmed")), (2, 2), "stopped, and given back");
        let verdict = bench.warden.book.get(&id(0)).map(|call| call.verdict.clone());
        assert_eq!(verdict, Some((None, plan::DEFAULT.to_owned())));
    }

    fn order(bench: &mut Bench, ticket: u64, action: Action, lasts: Option<Duration>) {
        bench.order(0, ticket, What::Set(action, lasts));
        bench.pass(Duration::from_secs(10));
    }

    /// Found by the simulation: the start that it replaced kept what it did, and the stop was taken for the same.
    #[test]
    fn an_ordered_stop_in_place_of_an_ordered_start_gives_back_what_it_found() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        if let Some(there) = bench.calls.get_mut(&id(0)) {
            there.state = RecorderState::Paused;
        }
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        order(&mut bench, 1, Action::Start, None);
        assert_eq!(bench.state(0), RecorderState::Active);
        order(&mut bench, 2, Action::Stop, Some(Duration::from_secs(20)));
        assert_eq!(bench.state(0), RecorderState::Paused);
        bench.pass(Duration::from_secs(20));
        assert_eq!(bench.state(0), RecorderState::Active);
    }

    /// A stop was superseded while it was under way, and what gives back was accepted right behind its answer: neither
    /// has come true.
    fn stopped_and_given_back_at_once() -> Bench {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench.answer_orders(200);
        bench.answers_after = Duration::from_secs(1);
        for pci in ["on", "off"] {
            bench.set(0, pci);
            bench.tell(0);
        }
        bench.pass(Duration::from_secs(2));
        assert_eq!((bench.kinds("superseded"), bench.kinds("attempt"), bench.kinds("outcome")), (1, 2, 2));
        bench
    }

    fn press(bench: &mut Bench, state: RecorderState) {
        if let Some(there) = bench.calls.get_mut(&id(0)) {
            there.state = state;
        }
        bench.tell(0);
    }

    /// Found by the simulation: a read older than both confirmed what gives back, and the stop came true after it.
    #[test]
    fn a_stop_that_comes_true_behind_what_gives_back_is_given_back() {
        let mut bench = stopped_and_given_back_at_once();
        bench.tell(0);
        assert_eq!(bench.kinds("confirmed"), 0, "the stop may come true yet");
        bench.pass(Duration::from_secs(7));
        bench.refuses = Box::new(|_| None);
        press(&mut bench, RecorderState::Paused);
        bench.pass(Duration::from_secs(4));
        assert_eq!(bench.state(0), RecorderState::Active, "sent again at once");
        bench.pass(Duration::from_secs(60));
        assert_eq!((bench.kinds("decision"), bench.kinds("confirmed")), (2, 1));
        assert_eq!(bench.recovered(), bench.warden.standing());
    }

    #[test]
    fn what_gives_back_is_confirmed_once_no_older_order_can_undo_it() {
        let mut bench = stopped_and_given_back_at_once();
        bench.tell(0);
        bench.pass(Duration::from_secs(60));
        assert_eq!((bench.kinds("attempt"), bench.kinds("confirmed")), (2, 1), "nothing is sent meanwhile");
        press(&mut bench, RecorderState::Paused);
        bench.pass(Duration::from_secs(60));
        assert_eq!(bench.state(0), RecorderState::Paused, "an agent's own pause stays");
    }

    #[test]
    fn a_stop_that_was_seen_before_what_gives_back_leaves_no_doubt() {
        let mut bench = stopped_and_given_back_at_once();
        for state in [RecorderState::Paused, RecorderState::Active] {
            press(&mut bench, state);
        }
        bench.pass(Duration::from_secs(1));
        assert_eq!(
            bench.kinds("confirmed"),
            1,
            "a look has told that this was no late event of before the stop"
        );
        press(&mut bench, RecorderState::Paused);
        bench.pass(Duration::from_secs(60));
        assert_eq!(bench.state(0), RecorderState::Paused, "an agent's own pause stays");
    }

    /// Found by reading: an order that never went out was claimed, and an agent's own pause was given back.
    #[test]
    fn an_order_that_did_not_go_out_makes_no_pause_of_an_agent_ours() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench.api = Way::Shut;
        bench.set(0, "on");
        bench.tell(0);
        bench.pass(Duration::from_millis(1));
        assert_eq!(bench.kinds("attempt"), 1);
        bench.set(0, "off");
        bench.tell(0);
        press(&mut bench, RecorderState::Paused);
        bench.api = Way::Open;
        bench.pass(Duration::from_secs(60));
        assert_eq!(bench.state(0), RecorderState::Paused);
    }

    /// Found by reading: the first effect that was seen stood for both.
    #[test]
    fn of_two_stops_the_later_may_come_true_after_what_gives_back() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench.answer_orders(200);
        bench.set(0, "on");
        bench.tell(0);
        while bench.kinds("outcome") < 2 {
            bench.pass(Duration::from_secs(1));
        }
        press(&mut bench, RecorderState::Paused);
        assert_eq!(bench.kinds("confirmed"), 1);
        bench.refuses = Box::new(|_| None);
        bench.set(0, "off");
        bench.tell(0);
        bench.pass(Duration::from_secs(1));
        bench.tell(0);
        assert_eq!(bench.state(0), RecorderState::Active);
        bench.pass(Duration::from_secs(6));
        press(&mut bench, RecorderState::Paused);
        bench.pass(Duration::from_secs(60));
        assert_eq!(bench.state(0), RecorderState::Active);
    }

    /// Found by the simulation: the next agent's answer began to record, which took the claim away, and a stop of before came
    /// true.
    #[test]
    fn what_somebody_else_undid_is_ours_to_give_back_where_a_second_stop_comes_true_late() {
        for (late, then) in [(6, RecorderState::Active), (60, RecorderState::Paused)] {
            let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
            bench.feed(Input::Timeout);
            bench.pass(Duration::from_secs(10));
            bench.refuses = Box::new(|request| {
                matches!(request, Request::SetRecordingState { .. }).then_some((200, "{}"))
            });
            bench.set(0, "on");
            bench.tell(0);
            while bench.kinds("outcome") < 2 {
                bench.pass(Duration::from_secs(1));
            }
            press(&mut bench, RecorderState::Paused);
            bench.refuses = Box::new(|_| None);
            bench.set(0, "off");
            press(&mut bench, RecorderState::Active);
            bench.pass(Duration::from_secs(late));
            assert_eq!((bench.kinds("confirmed"), bench.kinds("attempt")), (1, 2), "nothing is to be done");
            press(&mut bench, RecorderState::Paused);
            bench.pass(Duration::from_secs(60));
            assert_eq!(bench.state(0), then, "after {late} s");
        }
    }

    #[test]
    fn an_order_that_is_taken_back_before_anything_is_seen_leaves_nothing_open() {
        let mut bench = Bench::new(settings(), PCI);
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        bench.reads = Way::Shut;
        bench.begin(0);
        bench.order(0, 1, What::Set(Action::Stop, None));
        bench.pass(Duration::from_secs(1));
        bench.order(0, 2, What::Release);
        assert_eq!((bench.kinds("decision"), bench.kinds("superseded")), (1, 1));
        bench.reads = Way::Open;
        bench.pass(Duration::from_secs(60));
        assert_eq!((bench.kinds("attempt"), bench.state(0)), (0, RecorderState::Active));
    }

    /// Nothing is heard or read from here on, but orders get through.
    fn go_dark(bench: &mut Bench) {
        (bench.sockets, bench.reads) = (Way::Shut, Way::Shut);
        bench.lose_socket();
    }

    #[test]
    fn a_stop_in_the_dark_is_sent_where_our_own_start_was_not_seen_yet() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        order(&mut bench, 1, Action::Stop, None);
        go_dark(&mut bench);
        for (ticket, action, state) in [
            (2, Action::Start, RecorderState::Active),
            (3, Action::Stop, RecorderState::Paused),
            (4, Action::Start, RecorderState::Active),
            (5, Action::Stop, RecorderState::Paused),
        ] {
            order(&mut bench, ticket, action, None);
            assert_eq!(bench.state(0), state, "order {ticket}");
        }
        assert_eq!(bench.kinds("confirmed"), 1, "nothing was seen of the later ones");
        let mut observed = Vec::new();
        for record in &bench.records {
            if let Record::Decision(one) = record {
                observed.push(one.observed);
            }
        }
        use Observed::{Active, Paused, Unknown};
        assert_eq!(observed, [Active, Paused, Unknown, Paused, Unknown]);
        (bench.sockets, bench.reads) = (Way::Open, Way::Open);
        bench.pass(Duration::from_secs(120));
        assert_eq!((bench.state(0), bench.kinds("confirmed")), (RecorderState::Paused, 2));
        bench.order(0, 6, What::Release);
        bench.pass(Duration::from_secs(10));
        assert_eq!(bench.state(0), RecorderState::Active, "what the start had made of it is given back");
    }

    #[test]
    fn a_stop_in_the_dark_is_sent_only_where_a_start_may_have_been_carried_out() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        order(&mut bench, 1, Action::Stop, None);
        go_dark(&mut bench);
        order(&mut bench, 2, Action::Stop, None);
        assert_eq!(bench.kinds("attempt"), 1, "as it was seen last, and nothing was sent since");
        bench.answer_orders(503);
        order(&mut bench, 3, Action::Start, None);
        let attempts = bench.kinds("attempt");
        assert!(attempts > 1, "nobody knows whether these were carried out");
        bench.refuses = Box::new(|_| None);
        order(&mut bench, 4, Action::Stop, None);
        assert_eq!((bench.kinds("attempt"), bench.state(0)), (attempts + 1, RecorderState::Paused));
    }

    /// The deadline of a hold that a log told of was over, nothing settles a hold before the first look, and the
    /// directive's judgement set its timer to now for ever.
    #[test]
    fn a_recovered_hold_whose_time_is_over_waits_for_the_first_look() {
        let mut bench = Bench::new(settings(), &format!("{PCI}at_most = \"10m\"\n")).with_calls(1, "on");
        let hold = Record::Hold(record::Hold {
            conversation: id(0),
            rule: "pause".into(),
            action: Action::Stop,
            since: bench.now.wall - FAILURE_EVERY,
            phase: HoldPhase::Held,
            claim: Some(Observed::Active),
        });
        let mut history = History::default();
        assert_eq!(history.take(bench.now.wall - FAILURE_EVERY, &hold), None);
        bench.warden.recover(&history, bench.now);
        bench.order(0, 1, What::Set(Action::Stop, None));
        assert_eq!(bench.kinds("hold.ended"), 0);
        bench.pass(Duration::from_secs(10));
        assert_eq!(bench.kinds("hold.ended"), 1, "the first look ends it");
    }
}
