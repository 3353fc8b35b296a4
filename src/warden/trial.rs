//! One rule test, tried: the call of the test is rehearsed step by step, and what the policy says is held
//! against what the test expects.
//!
//! A step's verdict is that of its last look, before the calls that it asks for have succeeded: what is given
//! back reads as `start` in the step that gives it back, and as `leave` from then on. Every step is tried,
//! also after one that failed, since no expectation changes what happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::audit::record::{DirectiveOrigin, HoldPhase};
use crate::model::conversation::Conversation;
use crate::model::document::Diagnostic;
use crate::model::ids::{ConversationId, QueueId};
use crate::model::recording::Wish;
use crate::model::time::Wall;
use crate::policy::decide::Policy;
use crate::policy::example::{Change, Example, Ordered, Step, ordinary_call};
use crate::policy::explain::{self, Carried, Explanation, Fit, Standing};
use crate::policy::rule::{DEFAULT, DIRECTIVE, Terms};
use crate::policy::subject::Subject;
use crate::warden::plan::Means;
use crate::warden::rehearsal::{Rehearsal, Said, What};
use crate::warden::{self, Order};
use crate::wire::frame::Event;

/// 2026-01-05T09:00:00Z, when every test begins: a Monday morning.
const BEGIN: Wall = Wall::from_micros(1_767_603_600_000_000);
/// The conversation of a test that brings no event of its own.
const CONVERSATION: &str = "00000000-0000-4000-8000-000000000001";
/// So many rules are explained where the test names none.
const EXPLAINED: usize = 5;

/// What came of one test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The steps that went otherwise; none where the test passed.
    pub failures: Vec<Failure>,
    /// The rules that spoke at any time.
    pub fired: BTreeSet<String>,
}

/// One step that went otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which step, from 1.
    pub step: usize,
    /// Where it stands.
    pub place: Diagnostic,
    /// How much time has passed in the test.
    pub after: Duration,
    /// What was expected, and what came instead.
    pub differs: Vec<Difference>,
    /// What happened in the step, in order.
    pub happened: Vec<String>,
    /// Why: the rules concerned, and the first condition of each that differs.
    pub why: Vec<String>,
}

/// One line of the diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// As the test wants it.
    pub expected: String,
    /// As it is.
    pub got: String,
}

/// What tests are tried with.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'p> {
    /// The policy.
    pub policy: &'p Policy,
    /// How starts and stops are sent.
    pub means: Means,
    /// The priority of directives.
    pub directive_priority: i64,
}

/// A captured event that a step brings.
#[derive(Clone, Debug)]
pub struct Brought {
    /// The event.
    pub event: Event,
    /// Names of queues that its file tells: most events have their ids alone.
    pub queues: BTreeMap<QueueId, String>,
}

/// Tries a test. `events` are those that its steps name, by the number of the step from 0.
pub fn run(example: &Example, events: &BTreeMap<usize, Brought>, ground: Ground<'_>) -> Outcome {
    let own = events.values().next().map(|one| one.event.decoded.conversation.id.clone());
    let id = own.unwrap_or_else(|| ConversationId::new(CONVERSATION));
    let Ground { policy, means, directive_priority } = ground;
    let mut play = Play {
        rehearsal: Rehearsal::new(means, directive_priority, policy.clone(), BEGIN),
        scene: ordinary_call(id.clone(), BEGIN),
        id,
        queues: events.values().flat_map(|one| one.queues.clone()).collect(),
        happened: Vec::new(),
        outcome: Outcome::default(),
    };
    if let Some(given) = &example.given {
        play.change(given);
    }
    for (number, step) in example.steps.iter().enumerate() {
        play.happened.clear();
        let got = play.step(step, events.get(&number).map(|one| &one.event));
        play.hold_against(number + 1, step, &got);
    }
    play.outcome
}

struct Play {
    rehearsal: Rehearsal,
    id: ConversationId,
    /// The call as the test tells it, without what our calls made of it.
    scene: Conversation,
    /// Names of queues, as far as they are known.
    queues: BTreeMap<QueueId, String>,
    happened: Vec<String>,
    outcome: Outcome,
}

/// What the policy says in a step, and the reason where it is known from the moment itself.
struct Got {
    said: Said,
    reason: String,
}

impl Play {
    fn step(&mut self, step: &Step, event: Option<&Event>) -> Got {
        let mut got = None;
        if let Some(span) = step.advance {
            self.rehearsal.advance(self.rehearsal.now() + span);
            got = self.listen();
        }
        if let Some(event) = event {
            self.name_queues(&event.decoded.conversation);
            self.scene = event.decoded.conversation.clone();
            self.scene.id = self.id.clone();
            self.rehearsal.put(self.scene.clone(), event.topic.as_str());
            got = self.listen();
        }
        if let Some(change) = &step.set {
            got = self.change(change);
        }
        if let Some(facts) = &step.facts {
            self.rehearsal.facts(&self.id, facts.clone());
            got = self.listen();
        }
        if let Some(ordered) = step.directive {
            let what = match ordered {
                Ordered::Set(action, lasts) => warden::What::Set(action, lasts),
                Ordered::Release => warden::What::Release,
            };
            let (conversation, origin) = (self.id.clone(), DirectiveOrigin::Manual);
            let (by, reason) = ("rule test".to_owned(), String::new());
            self.rehearsal.order(Order { conversation, what, by, reason, origin, webhook_id: None });
            got = self.listen();
        }
        got.unwrap_or_else(|| self.standing())
    }

    /// Names the queues that an event has by their ids alone: as it is known, or else as the test itself called
    /// the queue that the call was in before.
    fn name_queues(&mut self, event: &Conversation) {
        let told = event.queues().filter(|one| !one.name.is_empty());
        self.queues.extend(told.map(|one| (one.id.clone(), one.name.clone())));
        let given = self.scene.queue().filter(|one| one.id.as_str() == one.name);
        let given = given.filter(|one| uuid::Uuid::parse_str(&one.name).is_err());
        if let (Some(queue), Some(given)) = (event.queue(), given) {
            self.queues.entry(queue.id.clone()).or_insert_with(|| given.name.clone());
        }
        self.rehearsal.name_queues(self.queues.clone());
    }

    fn change(&mut self, change: &Change) -> Option<Got> {
        if !change.facts.is_empty() {
            self.rehearsal.facts(&self.id, change.facts.clone());
            self.listen();
        }
        change.apply(&mut self.scene, self.rehearsal.now());
        match change.recording {
            Some(_) => self.rehearsal.put_as_told(self.scene.clone()),
            None => self.rehearsal.put(self.scene.clone(), ""),
        }
        self.listen()
    }

    /// Writes down what happened; answers the first verdict of the present moment, where one changed.
    fn listen(&mut self) -> Option<Got> {
        let now = self.rehearsal.now();
        let mut got: Option<Got> = None;
        while let Some(one) = self.rehearsal.poll() {
            let after = humantime::format_duration(one.at.since(BEGIN));
            let text = match one.what {
                What::Verdict { now: said, .. } => {
                    self.outcome.fired.insert(said.rule.clone());
                    let text = said_by(&said);
                    if one.at == now && got.is_none() {
                        got = Some(Got { said, reason: String::new() });
                    }
                    text
                }
                What::Decision { action, rule, reason } => {
                    let text = format!("a {action} call for '{rule}' succeeded{}", in_brackets(&reason));
                    if let Some(got) =
                        got.as_mut().filter(|got| got.said.rule == rule && got.reason.is_empty())
                    {
                        got.reason = reason;
                    }
                    text
                }
                What::Would { action, rule } => {
                    let text = format!("'{rule}' (observe) would {action}");
                    self.outcome.fired.insert(rule);
                    text
                }
                What::Failed { rule, error } => format!("rule '{rule}' failed: {error}"),
                What::Ended => "the call ended".to_owned(),
            };
            self.happened.push(format!("after {after}: {text}"));
        }
        got
    }

    fn standing(&self) -> Got {
        let said = self.rehearsal.said(&self.id).cloned().unwrap_or_default();
        let reason = self.rehearsal.verdict(&self.id).map(|one| one.reason).unwrap_or_default();
        Got { said, reason }
    }

    fn hold_against(&mut self, number: usize, step: &Step, got: &Got) {
        let mut differs = Vec::new();
        let Said { wish, rule } = &got.said;
        if let Some(expected) = step.expect {
            let named = step.rule.as_ref().map(|rule| rule.text.as_str());
            if expected != *wish || named.is_some_and(|named| named != rule) {
                let expected = named.map_or_else(|| expected.to_string(), |named| by(expected, named));
                let got = format!("{}{}", said_by(&got.said), in_brackets(&got.reason));
                differs.push(Difference { expected, got });
            }
        }
        let would = self.rehearsal.would_be(&self.id);
        if let Some(named) = step.would.as_ref().filter(|named| would != Some(named.text.as_str())) {
            let expected = format!("'{}' in observe mode would decide", named.text);
            let got = would.map_or("none in observe mode would".into(), |rule| format!("'{rule}' would"));
            differs.push(Difference { expected, got });
        }
        if !differs.is_empty() {
            let why = self.why(step, &got.said);
            let (place, happened) = (step.place.clone(), self.happened.clone());
            let after = self.rehearsal.now().since(BEGIN);
            self.outcome.failures.push(Failure { step: number, place, after, differs, happened, why });
        }
    }

    /// How the rules that the step is about stand.
    fn why(&self, step: &Step, got: &Said) -> Vec<String> {
        let Some(call) = self.rehearsal.call(&self.id) else {
            return vec!["the call has ended: only live conversations get decisions".to_owned()];
        };
        let subject = Subject { conversation: &call.conversation, facts: &call.facts, topic: &call.cause.0 };
        let standing = |terms: &Terms| {
            let hold = call.latches.get(&terms.name)?;
            Some(match hold.phase {
                HoldPhase::Pending => Standing::waiting(hold.since, terms.after),
                HoldPhase::Held => Standing::held(hold.since, terms.at_most),
                HoldPhase::Expired => Standing::Expired { since: hold.since },
            })
        };
        let all = explain::explain(self.rehearsal.policy(), subject, standing);
        let named: Vec<&str> =
            [&step.rule, &step.would].into_iter().flatten().map(|one| one.text.as_str()).collect();
        let action = step.expect.and_then(Wish::action);
        let concerned = |one: &&Explanation| {
            let wanted = if named.is_empty() {
                Some(one.action) == action
            } else {
                named.contains(&one.rule.as_str())
            };
            wanted || one.rule == got.rule
        };
        let mut lines: Vec<String> = all.iter().filter(concerned).map(|one| stands(one, got)).collect();
        let more = lines.len().saturating_sub(EXPLAINED);
        if more > 0 {
            lines.truncate(EXPLAINED);
            lines.push(format!("... and {more} more rules; name the one you mean with rule = \"...\""));
        }
        if lines.is_empty() && got.rule == DEFAULT {
            lines.push("no rule holds, so policy.default speaks".to_owned());
        }
        if let Some(queue) = call.conversation.queue().filter(|one| one.name.is_empty()) {
            lines.push(format!(
                "the event tells the id of the queue alone ({0}), so no rule matches its name: name it with \
                 given = {{ queue = \"...\" }}, or in the event's file with {{\"queues\":{{\"{0}\":\"...\"}}}}",
                queue.id
            ));
        }
        lines
    }
}

/// How one rule stands, in a sentence.
fn stands(one: &Explanation, got: &Said) -> String {
    let rule = &one.rule;
    let hold = one.hold.map(|hold| format!("; {hold}")).unwrap_or_default();
    match &one.fit {
        Fit::Differs { first } => format!("rule '{rule}' does not match: {first}{hold}"),
        Fit::Failed { first } => format!("rule '{rule}' cannot be evaluated: {first}{hold}"),
        Fit::Matched if *rule == got.rule => format!("rule '{rule}' ({}) matches{hold}", one.action),
        Fit::Matched if one.mode == Carried::Observe => {
            format!(
                "rule '{rule}' matches, but is in observe mode: it decides nothing (--enforcing tries it in force){hold}"
            )
        }
        Fit::Matched => {
            format!(
                "rule '{rule}' ({}, priority {}) matches, and {} speaks{hold}",
                one.action,
                one.priority,
                name(&got.rule)
            )
        }
    }
}

fn name(rule: &str) -> String {
    match rule {
        DEFAULT => "policy.default".to_owned(),
        DIRECTIVE => "the directive".to_owned(),
        rule => format!("rule '{rule}'"),
    }
}

fn by(wish: Wish, rule: &str) -> String {
    format!("{wish}, by {}", name(rule))
}

fn said_by(said: &Said) -> String {
    by(said.wish, &said.rule)
}

fn in_brackets(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::compile::Compiler;
    use crate::policy::example;

    const RULES: &str = r#"
[[rule]]
name = "card"
queue = ["Payments", "Card *"]
attribute = { pci = "on" }
action = "stop"
priority = 100
at_most = "15m"
reason = "PCI DSS 3.3.1"

[[rule]]
name = "slow"
when = 'facts.fraud == true'
action = "start"
priority = 200
after = "10s"

[[rule]]
name = "watch"
flagged = true
action = "stop"
mode = "observe"
"#;

    fn tried(tests: &str, events: &BTreeMap<usize, Brought>) -> Outcome {
        let mut compiler = Compiler::default();
        assert_eq!(compiler.add_file("rules.toml", RULES), []);
        let policy = compiler.finish();
        let (examples, found) = example::read("tests.toml", tests);
        assert_eq!((examples.len(), &found), (1, &Vec::new()));
        assert_eq!(example::unknown_rules(examples.iter(), &policy), []);
        let ground = Ground { policy: &policy, means: Means::default(), directive_priority: 1000 };
        run(&examples[0], events, ground)
    }

    fn passes(steps: &str) {
        let outcome = tried(&format!("[[test]]\nname = 't'\n{steps}"), &BTreeMap::new());
        assert_eq!(outcome.failures, []);
    }

    const PAYMENTS: &str = "given = { queue = 'Payments', attributes = { pci = 'on' } }\n";

    #[test]
    fn what_expires_is_given_back_and_counts_again_once_it_stopped_matching() {
        passes(&format!(
            "{PAYMENTS}steps = [
              {{ expect = 'stop', rule = 'card' }},
              {{ advance = '14m 59s', expect = 'stop' }},
              {{ advance = '1s', expect = 'start', rule = 'card' }},
              {{ expect = 'leave', rule = 'default' }},
              {{ set = {{ attributes = {{ pci = 'off' }} }}, expect = 'leave' }},
              {{ set = {{ attributes = {{ pci = 'on' }} }}, expect = 'stop' }},
              {{ set = {{ queue = 'Sales' }}, expect = 'start', rule = 'card' }},
            ]"
        ));
    }

    #[test]
    fn facts_directives_and_waits_are_tried() {
        passes(&format!(
            "{PAYMENTS}steps = [
              {{ facts = {{ fraud = true }}, expect = 'stop' }},
              {{ advance = '10s', expect = 'start', rule = 'slow' }},
              {{ directive = 'stop', expect = 'stop', rule = 'directive' }},
              {{ directive = 'release', expect = 'start', rule = 'slow' }},
              {{ facts = {{ fraud = false }}, expect = 'stop', rule = 'card' }},
              {{ set = {{ ended = true }}, expect = 'leave' }},
            ]"
        ));
    }

    #[test]
    fn a_pause_of_somebody_else_is_not_given_back_and_a_rule_may_only_observe() {
        passes(
            "given = { queue = 'Payments', recording = 'paused', flagged = true, attributes = { pci = 'on' } }
             steps = [
              { expect = 'stop', rule = 'card' },
              { set = { attributes = { pci = 'off' } }, expect = 'leave', would = 'watch' },
            ]",
        );
        passes(&format!(
            "{PAYMENTS}steps = [
              {{ expect = 'stop' }},
              {{ set = {{ recording = 'active' }}, expect = 'stop' }},
              {{ set = {{ recording = 'active', attributes = {{ pci = 'off' }} }}, expect = 'leave' }},
            ]"
        ));
    }

    /// A call with `pci` on, in the queue `queue` (JSON); its file tells `queues`.
    fn brought(queue: &str, queues: &[(&str, &str)]) -> Brought {
        let body = format!(
            r#"{{"topicName":"v2.users.u.conversations.calls","eventBody":{{"id":"e","recordingState":"active","participants":[
            {{"id":"x","purpose":"customer","state":"connected","attributes":{{"pci":"on"}}}},
            {{"id":"y","purpose":"agent","state":"connected","queue":{queue}}}]}}}}"#
        );
        let Ok(crate::wire::frame::Frame::Conversation(event)) = crate::wire::frame::read(&body) else {
            panic!("no event")
        };
        let queues = queues.iter().map(|(id, name)| (QueueId::new(*id), (*name).to_owned())).collect();
        Brought { event: *event, queues }
    }

    #[test]
    fn an_event_that_has_the_id_of_its_queue_alone_is_in_the_queue_of_that_name() {
        let begin = "[[test]]\nname = 't'\n";
        let event = "{ event = 'e.json', expect = 'stop', rule = 'card' }";
        let anonymous = r#"{"id":"q"}"#;
        let passes = |steps: &str, queue: &str, names: &[(&str, &str)]| {
            tried(&format!("{begin}{steps}"), &[(0, brought(queue, names))].into()).failures
        };
        let steps = format!("steps = [{event}]");
        assert_eq!(passes(&steps, anonymous, &[("q", "Payments")]), []);
        // The test itself says which queue it is.
        let given = format!("given = {{ queue = 'Payments' }}\n{steps}");
        assert_eq!(passes(&given, anonymous, &[]), []);
        // What the capture says counts more.
        assert_eq!(passes(&given, anonymous, &[("q", "Sales")]).len(), 1);
        assert_eq!(passes(&given, r#"{"id":"q","name":"Sales"}"#, &[]).len(), 1);
        // Nobody knows it.
        let failed = passes(&steps, anonymous, &[]);
        assert!(failed[0].why.iter().any(|one| one.contains("the id of the queue alone (q)")), "{failed:?}");
    }

    #[test]
    fn an_event_takes_the_place_of_the_call() {
        let event = brought(r#"{"id":"q","name":"Card Europe"}"#, &[]);
        let steps = "[[test]]\nname = 't'\nsteps = [{ event = 'e.json', expect = 'stop' }, \
                     { set = { attributes = { pci = 'off' } }, expect = 'start' }]";
        assert_eq!(tried(steps, &[(0, event.clone())].into()).failures, []);
        let steps =
            "[[test]]\nname = 't'\nsteps = [{ expect = 'leave' }, { event = 'e.json', expect = 'stop' }]";
        assert_eq!(tried(steps, &[(1, event)].into()).failures, []);
    }

    #[test]
    fn a_failure_shows_what_differs_and_why() {
        let steps = "[[test]]\nname = 't'\ngiven = { queue = 'Payments', attributes = { pci = 'no' } }\nsteps = [\n  { expect = 'leave' },\n  { expect = 'stop', rule = 'card' },\n]";
        let outcome = tried(steps, &BTreeMap::new());
        assert_eq!(outcome.failures.len(), 1);
        let failure = &outcome.failures[0];
        assert_eq!((failure.step, failure.place.line), (2, 6));
        let differs =
            Difference { expected: "stop, by rule 'card'".into(), got: "leave, by policy.default".into() };
        assert_eq!(failure.differs, [differs]);
        assert_eq!(failure.why, [r#"rule 'card' does not match: attribute.pci: saw "no"; needed "on""#]);
        assert!(!outcome.fired.contains("card"));
    }

    #[test]
    fn what_outranks_the_expected_rule_is_named() {
        let steps = format!(
            "[[test]]\nname = 't'\n{PAYMENTS}steps = [{{ directive = 'start', expect = 'stop', rule = 'card' }}]"
        );
        let failure = &tried(&steps, &BTreeMap::new()).failures[0];
        assert_eq!(failure.differs[0].got, "start, by the directive");
        assert!(
            failure.why[0].starts_with(
                "rule 'card' (stop, priority 100) matches, and the directive speaks; in force since"
            ),
            "{:?}",
            failure.why
        );
        assert!(
            failure.happened.iter().any(|line| line == "after 0s: start, by the directive"),
            "{:?}",
            failure.happened
        );
    }
}
