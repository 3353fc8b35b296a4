//! Sending: the most urgent work that the allowance permits. Control first (stops, then starts), and what
//! housekeeping's share leaves after it: channels, lists, the resync. Only while the subscription is down its
//! few requests go before control: without them a long worklist would keep the daemon blind.

use std::time::Duration;

use super::{Level, Output, Purpose, RequestId, UnderWay, Warden};
use crate::audit::record::{self, Record};
use crate::model::conversation::Conversation;
use crate::model::ids::{ConversationId, ParticipantId};
use crate::model::recording::{Action, Observed, RecorderState};
use crate::model::time::{Mono, Now};
use crate::policy::rule::WHEN_BLIND;
use crate::warden::allowance::{Class, Refusal, Token};
use crate::warden::book::{Begun, Busy, Call, Claim, Stage};
use crate::warden::brake::Admission;
use crate::warden::deciding::GivingUp;
use crate::warden::permission::Scope;
use crate::warden::plan::{self, DIRECTIVE, Step};
use crate::warden::survey::Ask;
use crate::wire::frame::LATE_AT_MOST;
use crate::wire::request::Request;

/// How often it is looked again whether a slot is free while all are taken.
const SLOTS_ASKED_EVERY: Duration = Duration::from_secs(1);

/// Who waits for an agent is told of one by events; it is read so often in case none comes.
const LEG_READ_EVERY: Duration = Duration::from_secs(30);

impl Purpose {
    /// What its request is taken from the allowance for.
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Attempt { .. } | Self::Confirm { .. } => Class::Control,
            Self::Slot(_) | Self::Directory => Class::Housekeeping,
            Self::Survey { .. } | Self::SecondLook { .. } | Self::Activity => Class::Resync,
        }
    }
}

impl Warden {
    /// Sends what may go now.
    pub(super) fn dispatch(&mut self, now: Now) {
        self.permitted_at.clear();
        if !self.session.is_live() {
            self.dispatch_errands(now);
        }
        while let Some(id) = self.worklist.most_urgent(now.mono) {
            if self.book.get(&id).is_none_or(|call| call.pursuit.is_none() || !call.is_idle()) {
                self.worklist.remove(&id);
                continue;
            }
            let Some(token) = self.take(Class::Control, now.mono) else {
                return self.wait_behind_control();
            };
            match self.prepare(&id, now) {
                Some((purpose, request)) => self.send(purpose, request, token),
                None => self.allowance.put_back(Class::Control, token),
            }
        }
        self.dispatch_housekeeping(now);
    }

    fn dispatch_housekeeping(&mut self, now: Now) {
        self.dispatch_errands(now);
        while self.survey.wants(now.mono)
            && let Some(token) = self.take(Class::Resync, now.mono)
        {
            match self.next_look(now.mono) {
                Some((purpose, request)) => self.send(purpose, request, token),
                None => return self.allowance.put_back(Class::Resync, token),
            }
        }
    }

    /// What the subscription needs: channels, and the lists of what to subscribe.
    fn dispatch_errands(&mut self, now: Now) {
        let listed = |warden: &Self| warden.directory.next_wakeup().is_some_and(|at| at <= now.mono);
        while (self.session.wants_request(now.mono) || listed(self))
            && let Some(token) = self.take(Class::Housekeeping, now.mono)
        {
            match self.next_errand(now.mono) {
                Some((purpose, request)) => self.send(purpose, request, token),
                None => return self.allowance.put_back(Class::Housekeeping, token),
            }
        }
    }

    fn next_errand(&mut self, now: Mono) -> Option<(Purpose, Request)> {
        if let Some((slot, request)) = self.session.next_request(now) {
            return Some((Purpose::Slot(slot), request));
        }
        self.directory.next_request(now).map(|request| (Purpose::Directory, request))
    }

    fn next_look(&mut self, now: Mono) -> Option<(Purpose, Request)> {
        match self.survey.next_ask(&self.book, now)? {
            Ask::Query(request) => Some((Purpose::Activity, request)),
            Ask::Read(conversation) => {
                let (version, request) = self.read_of(&conversation);
                Some((Purpose::Survey { conversation, version }, request))
            }
            Ask::Again(conversation) => {
                self.count("recwarden_second_looks_total");
                let (version, request) = self.read_of(&conversation);
                Some((Purpose::SecondLook { conversation, version }, request))
            }
        }
    }

    fn read_of(&self, id: &ConversationId) -> (u64, Request) {
        let version = self.book.get(id).map_or(0, |call| call.version);
        (version, Request::GetConversation { conversation: id.clone() })
    }

    /// A token, or none, and it is known when to ask again.
    fn take(&mut self, class: Class, now: Mono) -> Option<Token> {
        let at = match self.allowance.take(class, now) {
            Ok(token) => return Some(token),
            Err(Refusal::Until(at)) => at,
            // The answer that frees a slot calls sooner; without this the due work would be asked for over and
            // over until then.
            Err(Refusal::InFlight) => now + SLOTS_ASKED_EVERY,
        };
        self.permitted_at.insert(class, at);
        None
    }

    /// Nothing else is sent while control waits.
    fn wait_behind_control(&mut self) {
        if let Some(at) = self.permitted_at.get(&Class::Control).copied() {
            for class in [Class::Housekeeping, Class::Resync] {
                self.permitted_at.entry(class).or_insert(at);
            }
        }
    }

    fn send(&mut self, purpose: Purpose, request: Request, token: Token) {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        self.under_way.insert(id, UnderWay { purpose, request: request.clone(), token });
        self.count("recwarden_requests_total");
        self.outputs.push_back(Output::Request(id, request));
    }

    /// What to send for a conversation that is due; nothing where it has to wait instead.
    fn prepare(&mut self, id: &ConversationId, now: Now) -> Option<(Purpose, Request)> {
        let open = self.book.get(id)?.pursuit.as_ref()?;
        if open.failing() >= self.settings.give_up_after {
            self.give_up(id, now);
            return None;
        }
        match open.stage {
            Stage::Due => self.prepare_attempt(id, now),
            Stage::AwaitWord | Stage::AwaitLeg | Stage::Doubted | Stage::ToRead => self.prepare_read(id),
            Stage::InFlight | Stage::Reading => {
                self.worklist.remove(id);
                None
            }
        }
    }

    /// It was tried for long enough. Where events have told that it came true, and nobody could read for long whether they
    /// were older, they are taken at their word.
    fn give_up(&mut self, id: &ConversationId, now: Now) {
        let Some(call) = self.book.get(id) else { return };
        let Some(open) = &call.pursuit else { return };
        let (decision, action, opened) = (open.decision.clone(), open.action, open.opened.mono);
        if let Some(doubt) = call.doubt {
            let until = doubt.since + LATE_AT_MOST;
            if now.mono < until {
                return self.worklist.put(id, action, opened, until);
            }
            self.believe(id, now);
        }
        let still_open = |call: &Call| call.pursuit.as_ref().is_some_and(|open| open.decision == decision);
        if self.book.get(id).is_some_and(still_open) {
            let span = humantime::format_duration(self.settings.give_up_after);
            let why = format!("it did not come true within {span}");
            self.abandon(id, &why, GivingUp::Failed, now);
        }
    }

    fn prepare_read(&mut self, id: &ConversationId) -> Option<(Purpose, Request)> {
        let call = self.book.get_mut(id)?;
        call.busy = Busy::Sending;
        call.pursuit.as_mut()?.stage = Stage::Reading;
        let purpose = Purpose::Confirm { conversation: id.clone(), version: call.version };
        self.worklist.remove(id);
        Some((purpose, Request::GetConversation { conversation: id.clone() }))
    }

    pub(super) fn prepare_attempt(&mut self, id: &ConversationId, now: Now) -> Option<(Purpose, Request)> {
        let means = self.settings.means;
        let call = self.book.get_mut(id)?;
        let open = call.pursuit.as_mut()?;
        let (action, opened) = (open.action, open.opened.mono);
        let logged = call.seen.is_none().then(|| as_logged(&call.conversation, open.observed));
        let expected = call.unseen.expected(action, logged.as_ref().unwrap_or(&call.conversation));
        match plan::next_step(&means, action, &expected, &open.asked) {
            Step::Send(request, leg) => {
                // Asked only once there is something to send: the brake counts whom it lets go.
                let scope = Scope::of(&request, &call.conversation);
                let in_line = open.in_line;
                let held = self.permissions.held_until(&scope, now.mono);
                if let Some(at) = held.or_else(|| self.braked_until(id, now.mono)) {
                    self.worklist.put(id, action, in_line, at);
                    return None;
                }
                self.permissions.tried(&scope, now.mono);
                self.begin_attempt(id, request, leg, now.mono)
            }
            Step::Wait => {
                open.asked.clear();
                open.stage = Stage::AwaitLeg;
                self.worklist.put(id, action, opened, now.mono + LEG_READ_EVERY);
                None
            }
            Step::Asked => {
                open.asked.clear();
                open.stage = Stage::AwaitWord;
                self.worklist.put(id, action, opened, now.mono + self.settings.confirm_within);
                None
            }
            Step::Refuse(why) => {
                self.abandon(id, why, GivingUp::RuledOut, now);
                None
            }
        }
    }

    fn begin_attempt(
        &mut self,
        id: &ConversationId,
        request: Request,
        leg: Option<ParticipantId>,
        now: Mono,
    ) -> Option<(Purpose, Request)> {
        let call = self.book.get_mut(id)?;
        let open = call.pursuit.as_mut()?;
        // What the read found of a conversation that nobody knew is what is given back later.
        if open.attempts == 0 && open.observed == Observed::Unknown {
            open.observed = plan::observed(&self.settings.means, &call.conversation);
        }
        // The log has it before anything is changed, so that a crash loses nothing of what is owed.
        let found = (open.observed != open.journaled).then_some(open.observed);
        open.journaled = open.observed;
        open.attempts += 1;
        open.reached += 1;
        if !matches!(open.begun, Begun::At(_)) {
            open.begun = Begun::At(now);
        }
        open.asked.extend(leg);
        open.stage = Stage::InFlight;
        call.busy = Busy::Sending;
        call.unseen.send(open.action, request.clone(), now);
        let (decision, attempt) = (open.decision.clone(), open.attempts);
        self.worklist.remove(id);
        self.record(Record::Attempt(record::Attempt {
            decision: decision.clone(),
            conversation: id.clone(),
            attempt,
            method: request.method().into(),
            path: request.path(),
            observed: found,
        }));
        self.count("recwarden_attempts_total");
        Some((Purpose::Attempt { conversation: id.clone(), decision, attempt }, request))
    }

    /// Until when the brake holds the first attempt of a decision.
    fn braked_until(&mut self, id: &ConversationId, now: Mono) -> Option<Mono> {
        let call = self.book.get(id)?;
        let open = call.pursuit.as_ref()?;
        if open.begun != Begun::NotYet || passes_brake(call, open.action) {
            return None;
        }
        let bound = self.settings.max_changes_per_minute;
        match self.brake.admit(id, now) {
            Admission::Goes => None,
            Admission::Waits(until) => Some(until),
            Admission::TripsAgain(until) => {
                self.note(Level::Warn, format!("the brake holds again: more than {bound} changes a minute"));
                Some(until)
            }
            Admission::Trips(until) => {
                let message = format!(
                    "the policy asks for more than {bound} changes a minute (safety.max_changes_per_minute): \
                     enforcing pauses for a minute, and the changes wait. It goes on by itself then, {bound} \
                     changes a minute, or at once when the configuration is reloaded. Look for a rule that \
                     matches too much."
                );
                self.count("recwarden_brake_trips_total");
                self.alert("brake", message, None);
                Some(until)
            }
        }
    }

    /// Whoever waited for the brake may go: somebody looked.
    pub(super) fn release_brake(&mut self, now: Mono) {
        let waited = self.brake.release(self.settings.max_changes_per_minute);
        for id in waited {
            if let Some(open) = self.book.get(&id).and_then(|call| call.pursuit.as_ref())
                && open.stage == Stage::Due
            {
                self.worklist.put(&id, open.action, open.opened.mono, now);
            }
        }
    }
}

/// A conversation that nobody has seen yet, as the log has its recording.
fn as_logged(conversation: &Conversation, observed: Observed) -> Conversation {
    let state = (observed == Observed::Active).then_some(RecorderState::Active);
    Conversation { recording_state: state, ..conversation.clone() }
}

/// Whether a change is none that the brake is for: a directive, a stop of `when_blind`, or recording that is
/// given back.
pub(super) fn passes_brake(call: &Call, action: Action) -> bool {
    // Of what the log alone tells there is no verdict yet.
    let judged = Some(&call.verdict.1).filter(|rule| !rule.is_empty());
    let Some(rule) = judged.or(call.pursuit.as_ref().map(|open| &open.rule)) else { return false };
    let returns = |claim: &Claim| claim.rule == *rule && claim.gives_back() == action;
    let given_back = action == Action::Start && call.claim.as_ref().is_some_and(returns);
    given_back || rule == DIRECTIVE || rule == WHEN_BLIND
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warden::bench::{Bench, PCI, Way, id, settings};
    use crate::warden::{Input, Settings, What};

    const SECOND: Duration = Duration::from_secs(1);

    fn braked(bound: u32, calls: usize) -> Bench {
        let settings = Settings { max_changes_per_minute: bound, ..settings() };
        let mut bench = Bench::new(settings, PCI).with_calls(calls, "on");
        bench.feed(Input::Timeout);
        bench.pass(SECOND * 10);
        bench
    }

    fn paused(bench: &Bench) -> usize {
        bench.calls.values().filter(|there| there.state == RecorderState::Paused).count()
    }

    #[test]
    fn beyond_the_bound_enforcing_pauses_and_goes_on_by_itself_until_every_decision_is_closed() {
        let mut bench = braked(2, 5);
        assert_eq!((bench.kinds("decision"), paused(&bench)), (5, 2));
        assert_eq!(bench.alerts("brake").len(), 1);
        assert!(bench.alerts("brake")[0].contains("goes on by itself"), "it says how to go on");
        bench.pass(SECOND * 60);
        assert_eq!(paused(&bench), 4);
        bench.pass(SECOND * 60);
        assert_eq!((paused(&bench), bench.kinds("confirmed")), (5, 5));
        assert_eq!(bench.alerts("brake").len(), 1, "one spell, one alert");
    }

    #[test]
    fn what_waits_for_the_brake_is_not_given_up() {
        let mut bench = braked(1, 20);
        bench.pass(SECOND * 60 * 25);
        assert_eq!((bench.kinds("abandoned"), paused(&bench)), (0, 20));
    }

    #[test]
    fn a_reload_lets_the_changes_go_and_a_new_policy_takes_back_those_that_wait() {
        let mut bench = braked(2, 5);
        let settings = Settings { max_changes_per_minute: 0, ..settings() };
        bench.feed(Input::Reload(Box::new((settings, crate::warden::bench::policy(PCI)))));
        bench.pass(SECOND * 10);
        assert_eq!(paused(&bench), 5);
        let mut bench = braked(2, 5);
        bench.feed(Input::Policy(crate::warden::bench::policy("")));
        bench.pass(SECOND * 10);
        assert_eq!((bench.kinds("superseded"), bench.kinds("confirmed")), (3, 4));
        assert_eq!(paused(&bench), 0, "what the rule changed is given back");
    }

    #[test]
    fn a_persons_order_passes_the_brake() {
        let mut bench = braked(2, 5);
        let last = (0..5).find(|&number| bench.state(number) == RecorderState::Active).expect("one waits");
        bench.order(last, 1, What::Set(Action::Stop, None));
        bench.pass(SECOND);
        assert_eq!(bench.state(last), RecorderState::Paused);
    }

    /// Found by the simulation: the decision was made of a state that was not known, so that nothing was claimed.
    #[test]
    fn what_an_order_changed_on_a_conversation_that_nobody_knew_is_given_back() {
        let mut bench = Bench::new(settings(), PCI);
        bench.feed(Input::Timeout);
        bench.pass(SECOND * 10);
        bench.begin(0);
        bench.order(0, 1, What::Set(Action::Stop, Some(SECOND * 20)));
        bench.pass(SECOND * 10);
        assert_eq!(bench.state(0), RecorderState::Paused);
        bench.pass(SECOND * 20);
        assert_eq!(bench.state(0), RecorderState::Active);
    }

    #[test]
    fn with_a_slow_platform_and_thousands_waiting_stops_go_first_and_little_is_under_way() {
        let rules = format!(
            "{PCI}\n[[rule]]\nname = \"must\"\nattribute = {{ pci = \"must\" }}\naction = \"start\"\n"
        );
        let mut bench = Bench::new(settings(), &rules);
        bench.feed(Input::Timeout);
        bench.pass(SECOND * 10);
        bench = bench.with_calls(5000, "must");
        for number in 0..5000 {
            if number % 2 == 0 {
                bench.set(number, "on");
            } else if let Some(there) = bench.calls.get_mut(&id(number)) {
                there.state = RecorderState::Paused;
            }
        }
        bench.answers_after = SECOND * 30;
        let from = bench.sent.len();
        (0..5000).rev().for_each(|number| bench.tell(number));
        bench.pass(SECOND * 60 * 20);
        let mut orders = Vec::new();
        for (_, request) in &bench.sent[from..] {
            if let Request::SetRecordingState { state, .. } = request {
                orders.push(*state);
            }
        }
        // The very first went out when only starts were known.
        let late = &orders[8..];
        assert!(late.len() > 100, "{}", late.len());
        assert!(late.iter().all(|state| *state == RecorderState::Paused));
        assert_eq!(bench.kinds("abandoned"), 0);
        assert!(bench.warden.under_way.len() <= 8 && bench.warden.outputs.is_empty());
    }

    #[test]
    fn what_the_subscription_needs_does_not_wait_for_the_resyncs_share() {
        let mut settings = settings();
        settings.directory.discover_every = SECOND * 20;
        let mut bench = Bench::new(settings, PCI).with_calls(150, "off");
        bench.feed(Input::Timeout);
        bench.pass(SECOND * 50);
        let lists = bench.sent.iter().filter(|(_, request)| matches!(request, Request::ListQueues { .. }));
        let seconds: Vec<u64> = lists.map(|(at, _)| at.since(Mono::default()).as_secs()).collect();
        assert_eq!(seconds, [0, 20, 40]);
    }

    #[test]
    fn a_long_worklist_does_not_keep_the_subscription_down() {
        let mut bench = Bench::new(settings(), PCI);
        bench.feed(Input::Timeout);
        bench.pass(SECOND * 10);
        bench = bench.with_calls(500, "on");
        bench.answers_after = SECOND * 5;
        (0..500).for_each(|number| bench.tell(number));
        bench.lose_socket();
        bench.pass(SECOND * 60);
        assert!(bench.warden.session.is_live(), "{:?}", bench.warden.session.view());
        assert!(bench.warden.worklist.len() > 300);
        assert_eq!(bench.sockets, Way::Open);
    }
}
