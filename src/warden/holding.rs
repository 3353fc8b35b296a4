//! What holds on a conversation, and what would be given back, as the log has it. A process that dies leaves the
//! log alone: whatever changes here, the log is told of before anything else is, in the one place that also ends
//! what it has.

use std::collections::{BTreeMap, BTreeSet};

use super::Warden;
use crate::audit::claim::{self, Claimed, Stands};
use crate::audit::history::{Came, History};
use crate::audit::record::{self, HoldEnd, HoldPhase, Record};
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::recording::{Action, Observed};
use crate::model::time::{Mono, Now, Wall};
use crate::policy::rule::{OnRelease, Terms, WHEN_BLIND};
use crate::warden::book::{Call, Claim, LetGo, Outlook};
use crate::warden::intake::late_until;
use crate::warden::latch::Hold;
use crate::warden::plan::{self, DIRECTIVE, Source, Verdict};

/// What is in force on one conversation, apart from what is seen of it: what has to outlive the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The holds of rules, with their phase and since when that lasts, where it matters still.
    pub holds: BTreeMap<String, (HoldPhase, Option<Wall>)>,
    /// The directive's id, and when it is over by itself.
    pub directive: Option<(String, Option<Wall>)>,
    /// Whether anything is seen.
    pub outlook: Outlook,
    /// What would be given back: rule, what was before, and how the rule let go, where it did.
    pub owed: Option<(String, Observed, Option<LetGo>)>,
}

impl Warden {
    /// What is in force, by conversation.
    pub fn standing(&self) -> BTreeMap<ConversationId, Standing> {
        let of = |(id, call): (&ConversationId, &Call)| {
            let since = |hold: &Hold| (hold.phase != HoldPhase::Expired).then_some(hold.since);
            let holds = call.latches.iter().map(|(rule, hold)| (rule.clone(), (hold.phase, since(hold))));
            let owed = call.claim.as_ref().map(|one| {
                let let_go = (!call.is_held_by(&one.rule)).then_some(one.ended);
                (one.rule.clone(), one.before, let_go)
            });
            let directive = call.directive.as_ref().map(|one| (one.id.clone(), one.until));
            let standing = Standing { holds: holds.collect(), directive, outlook: call.outlook, owed };
            let nothing = standing.holds.is_empty()
                && standing.directive.is_none()
                && standing.outlook == Outlook::Clear
                && standing.owed.is_none();
            (!nothing).then(|| (id.clone(), standing))
        };
        self.book.iter().filter_map(of).collect()
    }

    /// What the next process would take up under the same policy and settings, were this all that the log says.
    pub fn standing_by(&self, history: &History, now: Now) -> BTreeMap<ConversationId, Standing> {
        let mut next = Self::new(self.settings.clone(), self.policy.clone(), 0, now);
        next.recover(history, now);
        next.standing()
    }

    /// The rule that holds now is the one that gives back later; where the default wants something else than what
    /// would be given back, or nothing is, the claim is gone. Where it wants just that, it is owed until it is there:
    /// a reload may take the default away before. What a rule did that keeps its changes is how things are now: the
    /// next rule gives back what it finds, not what was before that one.
    pub(super) fn hand_claim_over(&mut self, id: &ConversationId, verdict: &Verdict) {
        let Some(call) = self.book.get_mut(id) else { return };
        let Some(claim) = call.claim.as_mut() else { return };
        if verdict.source == Source::Default {
            let gives_back = |claim: &mut Claim| {
                claim.on_release == OnRelease::Restore && verdict.action == Some(claim.gives_back())
            };
            call.claim = call.claim.take_if(gives_back);
        } else if verdict.source != Source::GivingBack {
            let renamed = claim.rule != verdict.rule;
            // The same name, and not the same any more: a directive in place of another, a rule that a reload changed.
            let turned = claim.on_release == OnRelease::Keep && verdict.on_release == OnRelease::Restore;
            let anew = renamed || verdict.action != Some(claim.action);
            if claim.on_release == OnRelease::Keep && (renamed || turned) && anew {
                call.claim = None;
            } else if renamed || turned {
                claim.rule.clone_from(&verdict.rule);
                // Who wants the contrary keeps what it does itself: until that is done, what was done before is owed.
                if verdict.action == Some(claim.action) {
                    claim.on_release = verdict.on_release;
                }
            }
        }
    }

    /// Journals the claim as it was just taken. It stands before the end of the decision that made the change, so
    /// that a crash between the two loses none.
    pub(super) fn journal_claim(&mut self, id: &ConversationId) {
        let Some(call) = self.book.get(id) else { return };
        let Some(claim) = &call.claim else { return };
        if call.journaled.as_ref().is_some_and(|one| one.rule == claim.rule && one.before == claim.before) {
            return;
        }
        let hold = held(id, call, &claim.rule, claim.action, Some(claim.before));
        self.record(Record::Hold(hold));
    }

    /// Brings the log in line with what holds now, and with what would be given back. `ended` are the holds that
    /// have just ended.
    pub(super) fn journal_holds(&mut self, id: &ConversationId, ended: Vec<(String, HoldEnd)>) {
        let Some(call) = self.book.get(id) else { return };
        let now = claimed(id, call);
        let told = call.journaled.as_ref().is_some_and(|one| one.rule == DIRECTIVE);
        // Who takes the claim over is told first: at no point between two records is it gone.
        if let Some((hold, claimed)) = &now
            && claimed.stands == Stands::InForce
            && !call.journaled.as_ref().is_some_and(|one| one.says(claimed))
        {
            self.record(Record::Hold(hold.clone()));
        }
        let now = now.map(|(_, claimed)| claimed);
        let owed = now.as_ref().filter(|one| one.stands != Stands::InForce);
        for (rule, why) in ended {
            // Of a directive that changed nothing the log has no hold.
            if rule == DIRECTIVE && !told {
                continue;
            }
            let restore = owed.filter(|one| one.rule == rule).map(|one| one.before.brought_back_by());
            self.record(hold_ended(id, rule, why, restore));
        }
        self.journal_owed(id, now);
    }

    /// Tells the log of a claim that was let go, or is gone.
    fn journal_owed(&mut self, id: &ConversationId, now: Option<Claimed>) {
        let Some(call) = self.book.get(id) else { return };
        match (&call.journaled, now) {
            (Some(was), Some(now)) if was.says(&now) => {}
            (_, Some(now)) => {
                self.journal_claim(id);
                // A hold that waits, or is over and matches yet, says by its phase that it let go.
                let said = |call: &Call| call.journaled.as_ref().is_some_and(|was| was.says(&now));
                if !self.book.get(id).is_some_and(said) {
                    let restore = Some(now.before.brought_back_by());
                    self.record(hold_ended(id, now.rule, why_of(now.stands), restore));
                }
            }
            (Some(was), None) => {
                let lasts = call.is_held_by(&was.rule) || call.latches.get(&was.rule).is_some();
                self.record(if lasts {
                    Record::Hold(held(id, call, &was.rule, was.action, None))
                } else {
                    hold_ended(id, was.rule.clone(), why_of(was.stands), None)
                });
            }
            (None, None) => {}
        }
    }

    /// The conversation is over, and nothing holds on it any more.
    pub(super) fn journal_end_of_holds(&mut self, id: &ConversationId, call: Call) {
        let mut rules: Vec<String> = call.latches.iter().map(|(rule, _)| rule.clone()).collect();
        if call.outlook != Outlook::Clear {
            rules.push(WHEN_BLIND.to_owned());
        }
        if let Some(claim) = call.journaled
            && !rules.contains(&claim.rule)
        {
            rules.push(claim.rule);
        }
        rules.into_iter().for_each(|rule| self.record(hold_ended(id, rule, HoldEnd::Ended, None)));
    }

    /// Takes up what the log says would be given back.
    pub(super) fn recover_claims(&mut self, history: &History, now: Now) {
        let open: BTreeSet<&DecisionId> =
            history.open_decisions().map(|open| &open.decision.decision).collect();
        let mut unfinished: BTreeMap<&ConversationId, Vec<(Mono, Option<Action>)>> = BTreeMap::new();
        for one in history.attempts().filter(|one| one.came == Came::Unknown) {
            if !open.contains(&one.attempt.decision)
                && let Some(until) = late_until(one, now)
            {
                unfinished.entry(&one.attempt.conversation).or_default().push((until, one.action));
            }
        }
        for (id, claimed) in history.claims() {
            let on_release = match claimed.stands {
                Stands::LetGo(_) => OnRelease::Restore,
                Stands::InForce => {
                    let is_contrary = |terms: &Terms| terms.action != claimed.action;
                    let rule = self.policy.named(&claimed.rule);
                    match rule.map(|(_, terms)| terms).filter(|terms| is_contrary(terms)) {
                        Some(_) => OnRelease::Restore,
                        None => plan::release_of(&self.policy, &claimed.rule, claimed.action),
                    }
                }
            };
            let ended = match claimed.stands {
                Stands::LetGo(why) => how(why),
                Stands::InForce => LetGo::Released,
            };
            let (before, action, rule) = (claimed.before, claimed.action, claimed.rule.clone());
            let call = self.book.enter(id);
            call.claim = Some(Claim { before, action, rule, on_release, ended });
            call.journaled = Some(claimed.clone());
            // What was sent last may come true yet, and nobody knows whether it did.
            let late = unfinished.remove(id).unwrap_or_default();
            for (until, action) in late {
                call.unseen.expect_late(action.unwrap_or(claimed.action), until);
            }
        }
    }

    /// Notes what a record does to the claim that the log has.
    pub(super) fn note_journaled(&mut self, record: &Record) {
        if let Record::Hold(one) = record
            && let Some(call) = self.book.get_mut(&one.conversation)
        {
            call.journaled = claim::after_hold(call.journaled.take(), one);
        }
        if let Record::HoldEnded(one) = record
            && let Some(call) = self.book.get_mut(&one.conversation)
        {
            call.journaled = claim::after_end(call.journaled.take(), one);
        }
    }
}

impl Call {
    /// Whether `rule`, or the pseudo rule of that name, is in force on it.
    fn is_held_by(&self, rule: &str) -> bool {
        match rule {
            DIRECTIVE => self.directive.is_some(),
            WHEN_BLIND => self.outlook != Outlook::Clear,
            rule => self.latches.get(rule).is_some_and(|hold| hold.phase == HoldPhase::Held),
        }
    }
}

/// Marks the claim of `rule`, where there is one, as let go.
pub(super) fn let_go(call: &mut Call, rule: &str, how: LetGo) {
    if let Some(claim) = call.claim.as_mut().filter(|claim| claim.rule == rule) {
        claim.ended = how;
    }
}

/// How the hold of a rule let go that ended so.
pub(super) fn how(why: HoldEnd) -> LetGo {
    match why {
        HoldEnd::Expired => LetGo::Expired,
        HoldEnd::Unmatched | HoldEnd::Released | HoldEnd::Replaced | HoldEnd::Ended | HoldEnd::Policy => {
            LetGo::Released
        }
    }
}

/// The claim as the log should have it, with the hold that says so.
fn claimed(id: &ConversationId, call: &Call) -> Option<(record::Hold, Claimed)> {
    let claim = call.claim.as_ref()?;
    let hold = held(id, call, &claim.rule, claim.action, Some(claim.before));
    let stands = match claim.ended {
        _ if call.is_held_by(&claim.rule) => Stands::InForce,
        LetGo::Expired => Stands::LetGo(HoldEnd::Expired),
        LetGo::Released => Stands::LetGo(HoldEnd::Released),
    };
    let (rule, before, action, since) = (claim.rule.clone(), claim.before, claim.action, hold.since);
    Some((hold, Claimed { rule, before, action, since, stands }))
}

fn held(
    id: &ConversationId,
    call: &Call,
    rule: &str,
    action: Action,
    claim: Option<Observed>,
) -> record::Hold {
    let hold = call.latches.get(rule);
    let since = hold.map(|one| one.since).or(call.seen.map(|seen| seen.wall)).unwrap_or_default();
    let phase = hold.map_or(HoldPhase::Held, |one| one.phase);
    record::Hold { conversation: id.clone(), rule: rule.to_owned(), action, since, phase, claim }
}

fn hold_ended(id: &ConversationId, rule: String, why: HoldEnd, restore: Option<Action>) -> Record {
    Record::HoldEnded(record::HoldEnded { conversation: id.clone(), rule, why, restore })
}

fn why_of(stands: Stands) -> HoldEnd {
    match stands {
        Stands::InForce => HoldEnd::Released,
        Stands::LetGo(why) => why,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::recording::{RecorderState, Wish};
    use crate::policy::compile::Compiler;
    use crate::policy::decide::Policy;
    use crate::warden::bench::{Bench, PCI, Way, id, policy, settings};
    use crate::warden::{Enforcement, Input, What};
    use crate::wire::request::Request;

    const SECOND: Duration = Duration::from_secs(1);

    /// One call on tape, in the book, under these rules.
    fn bench(rules: &str) -> Bench {
        let mut bench = Bench::new(settings(), rules).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(SECOND * 10);
        bench
    }

    fn tell(bench: &mut Bench, pci: &str) {
        bench.set(0, pci);
        bench.tell(0);
    }

    fn press(bench: &mut Bench, state: RecorderState) {
        if let Some(there) = bench.calls.get_mut(&id(0)) {
            there.state = state;
        }
        bench.tell(0);
    }

    fn same(bench: &Bench) -> Policy {
        bench.warden.policy.clone()
    }

    /// Nothing is owed any more: an agent's own pause stays, also through a death.
    fn owes_nothing(mut bench: Bench) {
        assert_eq!(bench.state(0), RecorderState::Active, "it was given back");
        assert_eq!(bench.recovered(), bench.warden.standing());
        assert_eq!(bench.history().claims().count(), 0);
        assert_eq!(bench.history().holds().count(), 0);
        press(&mut bench, RecorderState::Paused);
        bench.die(same(&bench));
        bench.pass(SECOND * 60);
        assert_eq!(bench.state(0), RecorderState::Paused, "the agent's pause stays");
    }

    #[test]
    fn a_directive_that_ends_before_its_stop_is_confirmed_leaves_no_hold_in_the_log() {
        let mut bench = bench(PCI);
        bench.answers_after = SECOND * 2;
        bench.order(0, 1, What::Set(Action::Stop, Some(SECOND)));
        bench.pass(SECOND);
        assert_eq!((bench.kinds("attempt"), bench.kinds("superseded")), (1, 1));
        assert_eq!(bench.recovered(), bench.warden.standing());
        bench.pass(SECOND);
        assert_eq!(bench.recovered(), bench.warden.standing());
        bench.tell(0);
        bench.pass(SECOND * 60);
        assert_eq!(bench.decisions().last().map(|(.., reason)| reason.as_str()), Some("expired"));
        owes_nothing(bench);
    }

    const TWO: &str = r#"
[[rule]]
name = "first"
attribute = { "pci" = ["on", "both"] }
action = "stop"
priority = 2
[[rule]]
name = "second"
attribute = { "pci" = ["then", "both"] }
action = "stop"
"#;

    #[test]
    fn a_stop_is_claimed_by_the_rule_that_wants_it_once_it_is_confirmed() {
        let mut bench = bench(TWO);
        bench.answers_after = SECOND * 2;
        tell(&mut bench, "on");
        press(&mut bench, RecorderState::Active);
        tell(&mut bench, "then");
        press(&mut bench, RecorderState::Paused);
        bench.pass(SECOND * 10);
        assert_eq!((bench.kinds("decision"), bench.kinds("confirmed")), (1, 1));
        assert_eq!(bench.recovered(), bench.warden.standing());
        let owed = bench.warden.standing()[&id(0)].owed.clone();
        assert_eq!(owed, Some(("second".to_owned(), Observed::Active, None)));
        tell(&mut bench, "off");
        bench.pass(SECOND * 10);
        bench.tell(0);
        owes_nothing(bench);
    }

    #[test]
    fn a_hold_of_a_rule_that_is_gone_after_a_restart_ends_with_the_first_look() {
        let mut bench = bench(TWO);
        tell(&mut bench, "both");
        bench.pass(SECOND * 10);
        bench.die(policy(PCI));
        bench.pass(SECOND * 10);
        assert_eq!(bench.kinds("hold.ended"), 2);
        bench.tell(0);
        owes_nothing(bench);
    }

    #[test]
    fn what_is_to_be_given_back_outlives_a_death_right_behind_the_end_of_its_hold() {
        for order_first in [What::Release, What::Set(Action::Stop, None)] {
            let mut bench = bench(PCI);
            let by_rule = order_first == What::Release;
            if by_rule {
                tell(&mut bench, "on")
            } else {
                bench.order(0, 1, order_first)
            }
            bench.pass(SECOND * 10);
            assert_eq!(bench.state(0), RecorderState::Paused);
            if by_rule {
                tell(&mut bench, "off")
            } else {
                bench.order(0, 1, What::Release)
            }
            let kind = if by_rule { "hold.ended" } else { "directive.released" };
            let end = bench.records.iter().position(|record| record.kind() == kind).expect("it ended");
            bench.records.truncate(end + 1);
            if let Some(there) = bench.calls.get_mut(&id(0)) {
                there.state = RecorderState::Paused;
            }
            bench.die(same(&bench));
            bench.pass(SECOND * 60);
            owes_nothing(bench);
        }
    }

    #[test]
    fn an_order_in_place_of_another_keeps_what_is_to_be_given_back_through_a_death() {
        let mut bench = bench(PCI);
        bench.order(0, 1, What::Set(Action::Stop, None));
        bench.pass(SECOND * 10);
        bench.order(0, 1, What::Set(Action::Stop, Some(SECOND * 20)));
        bench.pass(SECOND * 5);
        assert_eq!(bench.recovered(), bench.warden.standing());
        bench.die(same(&bench));
        bench.pass(SECOND * 60);
        owes_nothing(bench);
    }

    #[test]
    fn what_an_expired_hold_gave_back_is_owed_no_more() {
        let mut bench = bench(&format!("{PCI}at_most = \"20s\"\n"));
        tell(&mut bench, "on");
        bench.pass(SECOND * 60);
        assert_eq!(bench.state(0), RecorderState::Active);
        assert_eq!(bench.recovered(), bench.warden.standing());
        press(&mut bench, RecorderState::Paused);
        bench.die(same(&bench));
        bench.pass(SECOND * 60);
        assert_eq!(bench.state(0), RecorderState::Paused, "the agent's pause stays");
    }

    /// Found by the simulation: the start's own `keep` stood for the pause that was there before it, and was ours.
    #[test]
    fn a_start_that_lets_go_before_it_was_sent_leaves_no_pause_of_ours() {
        let rules =
            format!("{PCI}[[rule]]\nname = \"must\"\nattribute = {{ pci = \"must\" }}\naction = \"start\"\n");
        for dies in [Dies::Never, Dies::WhileTheStartWaits] {
            let mut bench = bench(&rules);
            tell(&mut bench, "on");
            bench.pass(SECOND * 10);
            assert_eq!(bench.state(0), RecorderState::Paused);
            bench.api = Way::Shut;
            tell(&mut bench, "must");
            bench.pass(SECOND);
            assert_eq!(bench.recovered(), bench.warden.standing());
            bench.set(0, "off");
            if dies == Dies::WhileTheStartWaits {
                bench.die(same(&bench));
            }
            bench.tell(0);
            bench.api = Way::Open;
            bench.pass(SECOND * 60);
            bench.tell(0);
            owes_nothing(bench);
        }
    }

    fn pci_or_start() -> Policy {
        let mut compiler = Compiler::default();
        compiler.default_wish(Wish::Start);
        assert_eq!(compiler.add_file("rules", PCI).len(), 0);
        compiler.finish()
    }

    /// Found by the simulation: the default's start was nobody's any more once a reload had taken the default away.
    #[test]
    fn what_the_default_would_give_back_is_owed_where_a_reload_takes_it_away() {
        for dies in [Dies::Never, Dies::WhileTheStartWaits] {
            let mut bench = bench(PCI);
            bench.feed(Input::Policy(pci_or_start()));
            tell(&mut bench, "on");
            bench.pass(SECOND * 10);
            assert_eq!(bench.state(0), RecorderState::Paused);
            bench.refuses = Box::new(|request| {
                matches!(request, Request::SetRecordingState { .. }).then_some((200, "{}"))
            });
            tell(&mut bench, "off");
            bench.pass(SECOND);
            assert_eq!((bench.kinds("attempt"), bench.state(0)), (2, RecorderState::Paused));
            assert_eq!(bench.decisions().last().map(|(rule, ..)| rule.as_str()), Some("default"));
            assert_eq!(bench.recovered(), bench.warden.standing());
            bench.refuses = Box::new(|_| None);
            match dies {
                Dies::Never => bench.feed(Input::Policy(policy(PCI))),
                Dies::WhileTheStartWaits => bench.die(policy(PCI)),
            }
            bench.pass(SECOND * 60);
            owes_nothing(bench);
        }
    }

    /// Where the default's start has come true, nothing is owed.
    #[test]
    fn what_the_default_gave_back_is_owed_no_more() {
        let mut bench = bench(PCI);
        bench.feed(Input::Policy(pci_or_start()));
        tell(&mut bench, "on");
        bench.pass(SECOND * 10);
        tell(&mut bench, "off");
        bench.pass(SECOND * 10);
        bench.feed(Input::Policy(policy(PCI)));
        owes_nothing(bench);
    }

    #[derive(PartialEq)]
    enum Dies {
        Never,
        WhileTheStartWaits,
    }

    #[test]
    fn what_the_agent_undid_is_not_claimed_by_the_next_process() {
        let mut bench = bench(&format!("{PCI}on_release = \"restore\"\nat_most = \"20s\"\n"));
        tell(&mut bench, "on");
        bench.pass(SECOND * 10);
        press(&mut bench, RecorderState::Active);
        assert_eq!(bench.recovered(), bench.warden.standing());
    }

    #[test]
    fn a_stop_that_comes_true_after_a_death_is_given_back() {
        let mut bench = bench(PCI);
        bench.answers_after = SECOND * 20;
        tell(&mut bench, "on");
        press(&mut bench, RecorderState::Active);
        tell(&mut bench, "off");
        assert_eq!((bench.kinds("attempt"), bench.kinds("superseded")), (1, 1));
        bench.answers_after = Duration::ZERO;
        bench.die(same(&bench));
        bench.pass(SECOND * 10);
        press(&mut bench, RecorderState::Paused);
        bench.pass(SECOND * 60);
        owes_nothing(bench);
    }

    #[test]
    fn a_stop_that_was_confirmed_before_a_death_makes_no_later_pause_ours() {
        let mut bench = bench(PCI);
        tell(&mut bench, "on");
        bench.pass(SECOND * 10);
        assert_eq!(bench.kinds("confirmed"), 1);
        bench.set(0, "off");
        press(&mut bench, RecorderState::Active);
        bench.die(same(&bench));
        bench.pass(SECOND * 10);
        press(&mut bench, RecorderState::Paused);
        bench.pass(SECOND * 60);
        assert_eq!(bench.state(0), RecorderState::Paused);
    }

    #[test]
    fn what_a_stop_found_on_a_call_that_nobody_knew_outlives_a_death() {
        let mut bench = bench(PCI);
        bench.begin(1);
        bench.answers_after = SECOND;
        bench.order(1, 1, What::Set(Action::Stop, Some(SECOND * 20)));
        bench.pass(Duration::from_millis(1500));
        assert_eq!((bench.kinds("attempt"), bench.kinds("outcome")), (1, 0));
        bench.answers_after = Duration::ZERO;
        bench.die(same(&bench));
        bench.pass(SECOND * 60);
        assert_eq!(bench.state(1), RecorderState::Active, "it is given back");
    }

    #[test]
    fn a_clock_that_was_set_back_between_two_processes_lengthens_no_hold() {
        let mut bench = bench(&format!("{PCI}at_most = \"10m\"\n"));
        tell(&mut bench, "on");
        bench.order(0, 1, What::Set(Action::Stop, Some(SECOND * 900)));
        bench.pass(SECOND * 10);
        bench.now.wall = bench.now.wall - SECOND * 3600;
        bench.die(same(&bench));
        bench.pass(SECOND * 1000);
        assert_eq!(bench.state(0), RecorderState::Active);
    }

    /// Found by the simulation: the log had the old time of such a hold, and the rule came back.
    #[test]
    fn a_clock_that_is_set_back_lengthens_no_hold_of_a_rule_that_a_reload_has_lost() {
        let mut bench = bench(&format!("{PCI}at_most = \"10m\"\n"));
        let with = same(&bench);
        tell(&mut bench, "on");
        bench.pass(SECOND * 10);
        bench.api = Way::Shut;
        bench.die(policy(""));
        bench.now.wall = bench.now.wall - SECOND * 3600;
        bench.feed(Input::Timeout);
        bench.feed(Input::Policy(with));
        assert_eq!(bench.recovered(), bench.warden.standing());
        bench.api = Way::Open;
        bench.pass(SECOND * 650);
        assert_eq!(bench.state(0), RecorderState::Active);
        assert_eq!(bench.recovered(), bench.warden.standing());
    }

    /// Found by the simulation, where events come by two topics: the later copy of an older state took the claim away.
    #[test]
    fn an_event_that_is_older_than_what_is_known_takes_no_claim_away() {
        for after in [SECOND, SECOND * 8] {
            let mut bench = bench(PCI);
            bench.set(0, "on");
            let on_tape = bench.event(0);
            bench.tell_late(on_tape.clone());
            bench.tell(0);
            assert_eq!((bench.state(0), bench.kinds("confirmed")), (RecorderState::Paused, 1));
            bench.pass(after);
            bench.api = Way::Shut;
            bench.tell_late(on_tape);
            tell(&mut bench, "off");
            assert_eq!(bench.kinds("superseded"), 1, "the second stop was not sent");
            bench.api = Way::Open;
            bench.pass(SECOND * 30);
            assert_eq!(bench.state(0), RecorderState::Active);
            bench.pass(SECOND * 60);
            owes_nothing(bench);
        }
    }

    /// Found by the simulation: what the look found in effect yet was taken for the effect of the second stop, which was
    /// under way, and came true after what gives back.
    #[test]
    fn what_lasts_is_no_proof_of_a_stop_that_an_older_event_made() {
        let mut bench = bench(PCI);
        bench.set(0, "on");
        let on_tape = bench.event(0);
        bench.tell_late(on_tape.clone());
        bench.tell(0);
        bench.pass(SECOND);
        let orders = |request: &Request| matches!(request, Request::SetRecordingState { .. });
        bench.refuses = Box::new(move |request| orders(request).then_some((200, "{}")));
        bench.tell_late(on_tape);
        bench.pass(SECOND);
        assert_eq!(
            (bench.kinds("attempt"), bench.kinds("confirmed"), bench.state(0)),
            (2, 2, RecorderState::Paused)
        );
        bench.refuses = Box::new(|_| None);
        tell(&mut bench, "off");
        bench.tell(0);
        assert_eq!(bench.state(0), RecorderState::Active);
        bench.pass(SECOND * 2);
        press(&mut bench, RecorderState::Paused);
        bench.pass(SECOND * 100);
        owes_nothing(bench);
    }

    /// Found by reading: the agent's own pause came right after somebody had resumed what a stop had done, and was resumed.
    #[test]
    fn an_agents_pause_is_not_resumed_once_no_stop_can_come_true_any_more() {
        let mut bench = bench(PCI);
        let orders = |request: &Request| matches!(request, Request::SetRecordingState { .. });
        bench.refuses = Box::new(move |request| orders(request).then_some((200, "{}")));
        tell(&mut bench, "on");
        while bench.kinds("outcome") < 2 {
            bench.pass(SECOND);
        }
        press(&mut bench, RecorderState::Paused);
        bench.refuses = Box::new(|_| None);
        // The first was accepted some 6 s ago, and may come true for 24 s more.
        bench.pass(SECOND * 20);
        bench.set(0, "off");
        press(&mut bench, RecorderState::Active);
        bench.pass(SECOND * 6);
        press(&mut bench, RecorderState::Paused);
        bench.pass(SECOND * 60);
        assert_eq!((bench.kinds("attempt"), bench.state(0)), (2, RecorderState::Paused));
    }

    /// An event of each topic, the second while the look that follows the first is under way.
    #[test]
    fn a_look_that_an_event_overtakes_is_followed_by_another() {
        let mut bench = bench(PCI);
        bench.set(0, "on");
        let on_tape = bench.event(0);
        bench.tell_late(on_tape.clone());
        bench.tell(0);
        let looks = bench.looks;
        bench.answers_after = SECOND;
        bench.warden.settings.enforcement = Enforcement::DryRun;
        bench.tell_late(on_tape.clone());
        bench.pass(SECOND / 2);
        bench.tell_late(on_tape);
        bench.pass(SECOND * 4);
        assert_eq!(bench.looks, looks + 2);
        let seen = bench.warden.call(&id(0)).map(|call| call.observed);
        assert_eq!(seen, Some(Observed::Paused));
    }

    #[test]
    fn an_agent_who_undid_a_pause_of_ours_and_makes_an_own_one_soon_keeps_it() {
        let mut bench = bench(PCI);
        tell(&mut bench, "on");
        bench.tell(0);
        bench.pass(SECOND * 3);
        bench.set(0, "off");
        press(&mut bench, RecorderState::Active);
        bench.pass(SECOND * 5);
        assert_eq!(bench.recovered(), bench.warden.standing());
        press(&mut bench, RecorderState::Paused);
        bench.pass(SECOND * 60);
        assert_eq!(bench.state(0), RecorderState::Paused, "a look has told that ours was over");
    }

    #[test]
    fn a_pause_long_after_an_agent_undid_ours_is_the_agents_own() {
        let mut bench = bench(PCI);
        tell(&mut bench, "on");
        bench.tell(0);
        bench.pass(SECOND);
        bench.set(0, "off");
        press(&mut bench, RecorderState::Active);
        bench.pass(SECOND * 12);
        press(&mut bench, RecorderState::Paused);
        bench.pass(SECOND * 60);
        assert_eq!(bench.state(0), RecorderState::Paused);
    }

    #[test]
    fn an_event_with_what_had_ended_a_moment_ago_is_looked_into_at_once() {
        let mut bench = bench(PCI);
        let off = bench.event(0);
        tell(&mut bench, "on");
        bench.tell(0);
        bench.pass(SECOND);
        bench.tell_late(off.clone());
        bench.pass(SECOND * 3);
        assert_eq!(bench.state(0), RecorderState::Paused, "the card is read yet");
        assert_eq!(bench.kinds("gap.opened"), 1, "the subscription is not deaf for that");
        bench.pass(SECOND * 60);
        let looks = bench.looks;
        tell(&mut bench, "off");
        bench.tell(0);
        bench.pass(SECOND * 3);
        assert_eq!((bench.state(0), bench.looks), (RecorderState::Active, looks), "it is taken at its word");
    }

    /// Found by reading: the event of before the stop stood for the start that was not carried out.
    #[test]
    fn an_event_of_before_the_stop_confirms_no_start_that_gives_back() {
        let mut bench = bench(PCI);
        let off = bench.event(0);
        tell(&mut bench, "on");
        bench.tell(0);
        bench.pass(SECOND);
        assert_eq!((bench.state(0), bench.kinds("confirmed")), (RecorderState::Paused, 1));
        bench.answer_orders(503);
        tell(&mut bench, "off");
        bench.pass(Duration::from_millis(1));
        assert_eq!((bench.kinds("attempt"), bench.kinds("outcome")), (2, 2));
        bench.tell_late(off);
        assert_eq!(bench.kinds("confirmed"), 1, "a look is to tell");
        bench.refuses = Box::new(|_| None);
        bench.pass(SECOND * 30);
        owes_nothing(bench);
    }

    #[test]
    fn a_start_that_gives_back_at_once_is_confirmed_by_the_look_behind_its_event() {
        let mut bench = bench(PCI);
        tell(&mut bench, "on");
        bench.tell(0);
        bench.pass(SECOND);
        tell(&mut bench, "off");
        bench.tell(0);
        bench.pass(SECOND);
        assert_eq!((bench.kinds("confirmed"), bench.kinds("superseded")), (2, 0));
        assert_eq!(bench.kinds("attempt"), 2);
        owes_nothing(bench);
    }

    /// Found by reading: it was given up, with an alert, though each event told that it had come true.
    #[test]
    fn where_nothing_can_be_read_events_are_taken_at_their_word_in_the_end() {
        let mut bench = bench(PCI);
        tell(&mut bench, "on");
        bench.tell(0);
        bench.pass(SECOND);
        bench.reads = Way::Shut;
        tell(&mut bench, "off");
        bench.tell(0);
        bench.pass(SECOND * 60);
        assert_eq!((bench.kinds("confirmed"), bench.kinds("abandoned")), (1, 0));
        bench.pass(SECOND * 1000);
        assert_eq!((bench.kinds("confirmed"), bench.kinds("abandoned")), (2, 0));
        bench.reads = Way::Open;
        bench.pass(SECOND * 60);
        owes_nothing(bench);
    }

    /// Found by reading: an ad-hoc recorder was started beside the one that ran.
    #[test]
    fn nothing_is_started_beside_what_an_old_event_does_not_know_of() {
        let rules = "[[rule]]\nname = \"must\"\nattribute = { pci = \"must\" }\naction = \"start\"\n";
        for (reads, attempts) in [(Way::Open, 0), (Way::Shut, 1)] {
            let mut bench = bench(rules);
            press(&mut bench, RecorderState::None);
            bench.set(0, "must");
            let untaped = bench.event(0);
            press(&mut bench, RecorderState::Active);
            bench.pass(SECOND);
            bench.reads = reads;
            bench.tell_late(untaped);
            bench.pass(SECOND * 5);
            assert_eq!(
                (bench.kinds("decision"), bench.kinds("attempt")),
                (1, attempts),
                "reads are {reads:?}"
            );
        }
    }

    #[test]
    fn a_dry_run_sends_nothing_that_an_earlier_process_decided() {
        let mut bench = bench(PCI);
        bench.api = Way::Shut;
        tell(&mut bench, "on");
        bench.pass(SECOND);
        let attempts = bench.kinds("attempt");
        assert!(attempts > 0);
        bench.api = Way::Open;
        bench.warden.settings.enforcement = Enforcement::DryRun;
        bench.die(same(&bench));
        bench.pass(SECOND * 60);
        assert_eq!((bench.kinds("attempt"), bench.kinds("superseded")), (attempts, 1));
        assert_eq!(bench.kinds("would"), 1);
    }

    /// The next process has found that nobody wants it any more.
    fn died_with_a_stop_under_way() -> Bench {
        let mut bench = bench(PCI);
        bench.answers_after = SECOND * 20;
        tell(&mut bench, "on");
        press(&mut bench, RecorderState::Active);
        bench.answers_after = Duration::ZERO;
        bench.set(0, "off");
        bench.die(same(&bench));
        bench.pass(SECOND * 10);
        assert_eq!((bench.kinds("attempt"), bench.kinds("superseded")), (1, 1));
        bench
    }

    #[test]
    fn a_stop_that_was_open_at_a_death_and_is_wanted_no_more_is_given_back_where_it_comes_true() {
        let mut bench = died_with_a_stop_under_way();
        press(&mut bench, RecorderState::Paused);
        bench.pass(SECOND * 60);
        owes_nothing(bench);
    }

    #[test]
    fn what_came_true_late_without_an_event_is_given_back_once_it_is_seen() {
        let mut bench = died_with_a_stop_under_way();
        if let Some(there) = bench.calls.get_mut(&id(0)) {
            there.state = RecorderState::Paused;
        }
        bench.pass(SECOND * 120);
        assert_eq!(bench.state(0), RecorderState::Paused, "nobody has looked");
        bench.pass(SECOND * 300);
        owes_nothing(bench);
    }

    #[test]
    fn a_stop_that_is_under_way_for_long_and_wanted_no_more_is_given_back() {
        let mut bench = bench(PCI);
        bench.answers_after = SECOND * 90;
        tell(&mut bench, "on");
        press(&mut bench, RecorderState::Active);
        tell(&mut bench, "off");
        bench.answers_after = Duration::ZERO;
        for _ in 0..8 {
            bench.pass(SECOND * 10);
            bench.tell(0);
        }
        assert_eq!((bench.kinds("attempt"), bench.kinds("superseded")), (1, 1), "it is under way yet");
        press(&mut bench, RecorderState::Paused);
        bench.pass(SECOND * 60);
        owes_nothing(bench);
    }

    #[test]
    fn no_hold_outlives_its_conversation() {
        let mut bench = bench(TWO);
        bench.answers_after = SECOND * 2;
        tell(&mut bench, "both");
        bench.order(0, 1, What::Set(Action::Stop, None));
        bench.pass(SECOND * 20);
        bench.ended.insert(id(0));
        bench.tell(0);
        let history = bench.history();
        assert_eq!(
            (history.holds().count(), history.claims().count(), history.directives().count()),
            (0, 0, 0)
        );
        assert_eq!(bench.recovered(), BTreeMap::new());
    }

    /// Found by reading: after a death the pause was taken for ours, and resumed once the rule let go.
    #[test]
    fn an_agents_pause_after_a_death_is_no_effect_of_a_stop_that_was_refused() {
        for (status, is_ours) in [(403, false), (429, false), (409, false), (401, false), (503, true)] {
            let mut bench = bench(PCI);
            let set = |request: &Request| matches!(request, Request::SetRecordingState { .. });
            bench.refuses = Box::new(move |request| set(request).then_some((status, "{}")));
            tell(&mut bench, "on");
            bench.pass(SECOND / 1000);
            assert_eq!(bench.kinds("outcome"), 1, "{status}");
            bench.refuses = Box::new(|_| None);
            bench.calls.get_mut(&id(0)).expect("a call").state = RecorderState::Paused;
            bench.die(same(&bench));
            bench.pass(SECOND * 10);
            tell(&mut bench, "off");
            bench.pass(SECOND * 60);
            assert_eq!(bench.state(0) == RecorderState::Active, is_ours, "after {status}");
        }
    }

    /// Found by reading: it was taken for another stop, which could come true late.
    #[test]
    fn a_start_that_was_open_at_a_death_may_come_true_as_a_start() {
        let mut bench = bench(PCI);
        tell(&mut bench, "on");
        bench.pass(SECOND * 10);
        bench.answers_after = SECOND * 20;
        for pci in ["off", "on"] {
            tell(&mut bench, pci);
        }
        assert_eq!((bench.kinds("attempt"), bench.kinds("superseded")), (2, 1));
        bench.die(same(&bench));
        let unseen = &bench.warden.book.get(&id(0)).expect("it is owed").unseen;
        let may =
            [Action::Start, Action::Stop].map(|action| unseen.may_come_true_late(action, bench.now.mono));
        assert_eq!(may, [true, false]);
    }
}
