//! What is promised, checked while it runs: order, rate, deaths and noise.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Judged, Stage};
use crate::audit::record::{self, Record};
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::recording::Action;
use crate::model::time::Now;
use crate::policy::rule::WHEN_BLIND;
use crate::sim::demand::Word;
use crate::warden::{RequestId, Wakeup};
use crate::wire::request::Request;

/// The window of the rate limit.
const WINDOW: Duration = Duration::from_secs(60);
/// Alerts about one thing in one conversation in one life of the process, at most.
const ALERTS_AT_MOST: u32 = 3;
/// One thing is told of again after this.
const TOLD_AGAIN: Duration = Duration::from_secs(3600);
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
    /// Records on their way to the disk, each with when it was made.
    pub(super) written: Vec<(Now, Record)>,
    /// Wakeups since something came, or came of one.
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
    pub(super) fn watch_record(&mut self, record: &Record, made: Now) {
        self.watch_brake(record, made);
        self.watch_turn_of(record, made);
        self.deeds.note(record, made.wall);
        if let Record::Dropped(one) = record {
            self.watch_dropped(one.events, &one.why);
        }
        if let Record::Decision(one) = record {
            if one.rule == WHEN_BLIND {
                self.watch_blind_decision(one);
            }
            self.watch.decided.insert(one.decision.clone());
        }
        if let Record::GapOpened(one) = record
            && one.why.contains("without its event")
            && self.script.judged == Judged::Throughout
        {
            self.finding("the subscription was taken for deaf, and no event was lost".to_owned());
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
            self.count(&format!("alert: {}", one.about));
            let times = self.watch.alerts.entry((one.about.clone(), one.conversation.clone())).or_default();
            *times += 1;
            let times = *times;
            if self.alerts_at_most(&one.about).is_some_and(|most| times == most + 1) {
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

    /// How many alerts about one thing there may have been by now; none where it is anybody's guess.
    fn alerts_at_most(&self, about: &str) -> Option<u32> {
        let lasted = self.now.mono.since_start();
        let once_in = |span: Duration| u32::try_from(lasted.as_millis() / span.as_millis().max(1)).ok();
        match about {
            // The clock may be set as often as somebody likes, and each time is told.
            "clock" => None,
            // Each tells of what has lasted so long, or of its end.
            "blind" | "sight" => once_in(self.script.settings.sight.blind_after).map(|times| times + 1),
            "brake" => once_in(WINDOW).map(|times| times + 1),
            _ => once_in(TOLD_AGAIN).map(|times| times + ALERTS_AT_MOST),
        }
    }

    fn watch_blind_decision(&mut self, one: &record::Decision) {
        match one.action {
            Action::Stop => {
                self.count("blind stops");
                self.watch_blind_stop(one.conversation.as_str());
            }
            Action::Start => self.count("blind stops given back"),
        }
    }

    /// Checks a request on its way out.
    pub(super) fn watch_request(&mut self, id: RequestId, request: &Request) {
        let ordered = ordered(request);
        let trace = if ordered.is_some() { Trace::Logged } else { Trace::Unlogged };
        self.take_slot(id, trace);
        self.note_read(id, request);
        self.watch_rate(trace);
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
        let (sent, limit) = (self.sent.len(), self.limit());
        if sent == self.spendable() {
            self.count("moments with the rate used up");
        }
        if sent > limit {
            self.finding(format!("{sent} requests within a minute, {limit} at most"));
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
            // Another one that was taken stands in its place, though nobody was told yet.
            let replaced =
                self.callers.values().any(|(other, word)| other == id && !matches!(word, Word::Fact(..)));
            if live.contains(id) && !replaced && !kept(action) {
                lost.push(format!("the directive {action} for {id} was answered, and is gone after a death"));
            }
        }
        lost.into_iter().for_each(|one| self.finding(one));
    }
}

/// The conversation whose recording a request changes. A new kind of request does not compile before it is told here.
fn ordered(request: &Request) -> Option<String> {
    match request {
        Request::SetRecordingState { conversation, .. }
        | Request::Snippet { conversation, .. }
        | Request::RecordingsAction { conversation, .. } => Some(conversation.to_string()),
        Request::GetConversation { .. }
        | Request::ActivityQuery { .. }
        | Request::ListQueues { .. }
        | Request::ListUsers { .. }
        | Request::CreateChannel
        | Request::CheckChannel { .. }
        | Request::Subscribe { .. }
        | Request::ReadSubscriptions { .. }
        | Request::AvailableTopics
        | Request::TokenInfo => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audit::log::{Log, Rotation};
    use crate::model::conversation::Media;
    use crate::model::ids::{ChannelId, ParticipantId, QueueId};
    use crate::model::recording::{Observed, RecorderState};
    use crate::model::time::Mono;
    use crate::sim::charter::Charter;
    use crate::sim::plan::Plan;
    use crate::sim::stage::{Mischief, Script, Telling};
    use crate::warden::{Enforcement, Settings, Warden, allowance, directory, plan, session, sight};
    use crate::wire::reply::{RateHeaders, RawAnswer};
    use crate::wire::request::{SnippetKind, Switch};
    use crate::wire::topic::Topic;

    const MINUTE: Duration = Duration::from_secs(60);
    /// A call that nobody makes.
    const CALL: &str = "6f1f7f0a-54a1-4e3c-9b0c-1d2e3f405162";

    fn settings() -> Settings {
        Settings {
            means: plan::Means::default(),
            confirm_within: Duration::from_secs(5),
            give_up_after: MINUTE,
            allowance: allowance::Settings {
                requests_per_minute: 100_000,
                action_share: 0.8,
                max_in_flight: 8,
            },
            directory: directory::Settings {
                queues: vec!["*".into()],
                users: Vec::new(),
                topics: Vec::new(),
                redundancy: session::Redundancy::Single,
                discover_every: MINUTE,
            },
            resync_every: MINUTE,
            sight: sight::Settings::default(),
            memory: 512 << 20,
            directive_priority: 1000,
            max_changes_per_minute: 0,
            enforcement: Enforcement::Enforce,
        }
    }

    /// A stage in calm, with so many calls.
    pub(in crate::sim::stage) fn stage(calls: usize) -> Stage {
        let script = Script {
            plan: Plan { calls, requests_per_minute: 100_000, ..Plan::default() },
            settings: settings(),
            charters: vec![Charter::sample()],
            mischief: Mischief::default(),
            rotation: Rotation { every: MINUTE, size: 1 << 20 },
            rough: Duration::ZERO,
            calm: MINUTE,
            settles: MINUTE,
            judged: Judged::Settled,
            telling: Telling::Findings,
        };
        Stage::new(script).expect("the policy compiles")
    }

    fn pass(stage: &mut Stage, span: Duration) {
        stage.move_to(stage.now.mono + span);
        stage.step();
    }

    #[test]
    fn a_process_that_wakes_up_without_end_is_found_though_something_comes_of_it_each_time() {
        let mut stage = stage(0);
        let mut woken = 0;
        while stage.watch.goes == Goes::On && woken < 10_000 {
            woken += 1;
            // What it did it forgets: it begins anew each time, and waits for no answer.
            stage.warden = Warden::new(settings(), stage.policies[0].clone(), 1, stage.seen());
            (stage.requests, stage.on_their_way) = Default::default();
            pass(&mut stage, Duration::from_micros(200));
        }
        let [found] = stage.report.findings.as_slice() else { panic!("{:?}", stage.report.findings) };
        assert!(found.contains("more than 250 times within a second"), "{found}");
        let now = stage.now.mono;
        stage.run_until(now + MINUTE * 10);
        assert!(stage.now.mono < now + MINUTE, "the run is over");
    }

    #[test]
    fn a_process_that_wakes_up_for_nothing_is_found() {
        let mut stage = stage(0);
        stage.run_until(Mono::new(Duration::from_secs(10)));
        assert_eq!((stage.report.findings.clone(), stage.watch.goes), (vec![], Goes::On));
        (0..IDLE_WAKEUPS).for_each(|_| stage.watch_wakeups());
        let [found] = stage.report.findings.as_slice() else { panic!("{:?}", stage.report.findings) };
        assert!(found.contains("200 times for nothing"), "{found}");
        assert_eq!(stage.watch.goes, Goes::InCircles);
    }

    pub(in crate::sim::stage) fn decision(id: &str, conversation: &str) -> Record {
        decided(id, conversation, Action::Stop)
    }

    pub(in crate::sim::stage) fn decided(id: &str, conversation: &str, action: Action) -> Record {
        Record::Decision(record::Decision {
            decision: DecisionId::new(id),
            conversation: ConversationId::new(conversation),
            action,
            rule: "card".into(),
            reason: String::new(),
            observed: Observed::Active,
            topic: String::new(),
            correlation: String::new(),
            policy: String::new(),
            epoch: 1,
        })
    }

    pub(in crate::sim::stage) fn attempt(id: &str, conversation: &str) -> Record {
        Record::Attempt(record::Attempt {
            decision: DecisionId::new(id),
            conversation: ConversationId::new(conversation),
            attempt: 1,
            method: "PUT".into(),
            path: "/".into(),
            observed: None,
        })
    }

    fn pause() -> Request {
        let (conversation, media) = (ConversationId::new(CALL), Media::Call);
        Request::SetRecordingState { conversation, media, state: RecorderState::Paused }
    }

    /// What is found where these records are durable and then these requests go out.
    fn found(stage: &mut Stage, records: &[Record], requests: &[(u64, Request)]) -> Vec<String> {
        let (before, now) = (stage.report.findings.len(), stage.now);
        records.iter().for_each(|record| stage.watch_record(record, now));
        requests.iter().for_each(|(id, request)| stage.watch_request(RequestId(*id), request));
        stage.report.findings.split_off(before)
    }

    #[test]
    fn every_request_that_changes_a_conversation_is_known_for_an_order() {
        let conversation = || ConversationId::new(CALL);
        let channel = || ChannelId::new("streaming-0-abc");
        let set = |media, state| Request::SetRecordingState { conversation: conversation(), media, state };
        let all = [
            Media::Call,
            Media::Callback,
            Media::Chat,
            Media::Cobrowse,
            Media::Email,
            Media::Message,
            Media::InternalMessage,
            Media::Screenshare,
            Media::Social,
            Media::Video,
        ]
        .into_iter()
        .flat_map(|media| [set(media, RecorderState::Paused), set(media, RecorderState::Active)])
        .chain([SnippetKind::Adhoc, SnippetKind::Snippet].map(|kind| Request::Snippet {
            conversation: conversation(),
            participant: ParticipantId::new("leg"),
            kind,
            record: Switch::Off,
        }))
        .chain([
            Request::RecordingsAction { conversation: conversation(), action: Action::Stop },
            Request::GetConversation { conversation: conversation() },
            Request::ActivityQuery { queues: vec![QueueId::new("q")], page: 1 },
            Request::ListQueues { page: 1 },
            Request::ListUsers { page: 1 },
            Request::CreateChannel,
            Request::CheckChannel { channel: channel() },
            Request::Subscribe { channel: channel(), topics: Vec::<Topic>::new() },
            Request::ReadSubscriptions { channel: channel() },
            Request::AvailableTopics,
            Request::TokenInfo,
        ]);
        for request in all {
            let (method, path) = (request.method(), request.path());
            let changes = (method != "GET" && path.contains(CALL)).then(|| CALL.to_owned());
            assert_eq!(ordered(&request), changes, "{method} {path}");
        }
    }

    #[test]
    fn an_order_goes_out_alone_and_after_its_decision_and_its_attempt() {
        let mut stage = stage(0);
        let (first, tried) = (decision("d1", CALL), attempt("d1", CALL));
        assert_eq!(found(&mut stage, &[first, tried.clone()], &[(1, pause())]), [""; 0]);
        let twice = found(&mut stage, std::slice::from_ref(&tried), &[(2, pause())]);
        assert_eq!(twice.len(), 1, "{twice:?}");
        assert!(twice[0].contains("two orders under way"), "{twice:?}");
        stage.orders.clear();
        let untried = found(&mut stage, &[], &[(3, pause())]);
        assert_eq!(untried.len(), 1, "{untried:?}");
        assert!(untried[0].contains("without a durable attempt of its own"), "{untried:?}");
        stage.orders.clear();
        let undecided = found(&mut stage, &[attempt("d2", CALL)], &[(4, pause())]);
        assert_eq!(undecided.len(), 1, "{undecided:?}");
        assert!(undecided[0].contains("without a durable decision"), "{undecided:?}");
        stage.orders.clear();
        // One that the life before decided stands in the log.
        let wall = stage.now.wall;
        stage.log.append(wall, &decision("d3", CALL));
        stage.log.sync(wall).expect("the disk is well");
        assert_eq!(found(&mut stage, &[attempt("d3", CALL)], &[(5, pause())]), [""; 0]);
    }

    #[test]
    fn more_requests_than_a_minute_allows_or_than_there_are_slots_are_found() {
        let mut stage = stage(0);
        stage.script.settings.allowance.requests_per_minute = 5;
        let read = |id: u64| (id, Request::GetConversation { conversation: ConversationId::new(CALL) });
        assert_eq!(found(&mut stage, &[], &[1, 2, 3, 4, 5].map(read)), [""; 0]);
        let many = found(&mut stage, &[], &[read(6)]);
        assert_eq!(many.len(), 1, "{many:?}");
        assert!(many[0].contains("6 requests within a minute, 5 at most"), "{many:?}");
        let answer = |status| RawAnswer::Answered {
            status,
            retry_after: None,
            rate: RateHeaders::default(),
            correlation: String::new(),
            body: String::new(),
        };
        (1..=6).for_each(|id| stage.free_slot(RequestId(id), &answer(200)));
        stage.now.mono = stage.now.mono + MINUTE;
        assert_eq!(found(&mut stage, &[], &[read(7)]), [""; 0], "a minute is over");
        stage.free_slot(RequestId(7), &answer(429));
        let refused = std::mem::take(&mut stage.report.findings);
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused[0].contains("refuses a request for its rate"), "{refused:?}");
        stage.script.settings.allowance.max_in_flight = 2;
        stage.now.mono = stage.now.mono + MINUTE;
        assert_eq!(found(&mut stage, &[], &[8, 9].map(read)), [""; 0]);
        let crowded = found(&mut stage, &[], &[read(10)]);
        assert_eq!(crowded.len(), 1, "{crowded:?}");
        assert!(crowded[0].contains("3 requests are under way at once, 2 at most"), "{crowded:?}");
    }

    #[test]
    fn what_is_given_up_without_a_good_reason_or_told_again_and_again_is_found() {
        let mut stage = stage(0);
        let abandoned = |why: &str| {
            let (decision, conversation) = (DecisionId::new("d"), ConversationId::new(CALL));
            Record::Abandoned(record::Abandoned { decision, conversation, why: why.into() })
        };
        assert_eq!(found(&mut stage, &[abandoned("the conversation ended")], &[]), [""; 0]);
        assert_eq!(found(&mut stage, &[abandoned("no more heart")], &[]).len(), 1);
        let alert = || {
            let conversation = Some(ConversationId::new(CALL));
            Record::Alert(record::Alert { about: "contested".into(), message: String::new(), conversation })
        };
        let storm = [alert(), alert(), alert(), alert(), alert()];
        assert_eq!(found(&mut stage, &storm[..3], &[]), [""; 0]);
        let told = found(&mut stage, &storm[3..], &[]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("a storm of alerts about contested"), "{told:?}");
    }

    #[test]
    fn an_order_that_was_answered_and_is_gone_after_a_death_is_found() {
        let mut stage = stage(1);
        stage.run_until(Mono::new(Duration::from_secs(10)));
        let id = stage.platform.live().first().cloned().expect("somebody is there");
        stage.words.insert(id.clone(), vec![(stage.now.wall, Word::Order(Action::Stop, None))]);
        let directive = record::Directive {
            directive: "o1".into(),
            conversation: ConversationId::new(id),
            action: Action::Stop,
            by: "crm".into(),
            reason: String::new(),
            origin: record::DirectiveOrigin::Webhook,
            until: None,
            decision: None,
            webhook_id: None,
        };
        let (wall, rotation, before) = (stage.now.wall, stage.script.rotation, stage.log.disk().clone());
        stage.log.append(wall, &Record::Directive(directive));
        stage.log.sync(wall).expect("the disk is well");
        stage.judge_recovery();
        assert_eq!(stage.report.findings, [""; 0]);
        stage.log = Log::open(before, rotation).expect("it opens").0;
        stage.judge_recovery();
        let lost = &stage.report.findings;
        assert!(lost.len() == 1 && lost[0].contains("is gone after a death"), "{lost:?}");
    }
}
