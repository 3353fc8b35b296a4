//! What one event costs on one core: decoding, expressions, the rules that match, and the whole way from
//! the socket's text to the warden's outputs. `cargo bench --bench event`.

mod engine;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::Engine;
use recwarden::model::conversation::Conversation;
use recwarden::policy::compile::Compiler;
use recwarden::policy::decide::Policy;
use recwarden::policy::expression::Expression;
use recwarden::policy::subject::{Facts, Subject};
use recwarden::wire::frame::{self, Frame};
use serde_json::json;

const TOPIC: &str = "v2.routing.queues.11111111-2222-4333-8444-555555555555.conversations";

/// The queue of the event, the last of those that the many rules name.
const QUEUE: &str = "Queue 199";

/// Conversations that are live at once in the engine.
const LIVE: usize = 200;

/// An event as the platform writes it for a call with an agent: customer, flow, queue and agent.
fn event(conversation: usize, pci: &str, recording: &str) -> String {
    let secure_pause = recording == "paused";
    let leg = |at: usize, purpose: &str, state: &str| {
        let end = (state == "terminated").then_some("2026-01-05T09:00:20.000Z");
        json!({
            "id": format!("{at:08}-0000-4000-8000-{conversation:012}"),
            "purpose": purpose,
            "name": "Mobile Number, Somewhere",
            "address": "tel:+4915700000000",
            "startTime": "2026-01-05T09:00:00.000Z",
            "endTime": end,
            "queueId": if at < 2 { "" } else { "11111111-2222-4333-8444-555555555555" },
            "queueName": if at < 2 { "" } else { QUEUE },
            "userId": if at == 3 { "22222222-2222-4333-8444-555555555555" } else { "" },
            "attributes": if at == 0 {
                json!({ "pci": pci, "consent": "given", "language": "de", "account": "4711", "tier": "gold" })
            } else {
                json!({})
            },
            "calls": [{
                "id": format!("{at:08}-1111-4000-8000-{conversation:012}"),
                "state": state,
                "recording": true,
                "recordingState": recording,
                "securePause": secure_pause,
                "direction": "inbound",
                "held": false,
                "muted": false,
                "confined": false,
                "provider": "Edge",
                "self": { "name": "x", "addressNormalized": "sip:x@example.com", "addressRaw": "sip:x@example.com" },
                "other": { "name": "y", "addressNormalized": "tel:+4930123456", "addressRaw": "tel:+4930123456" },
                "connectedTime": "2026-01-05T09:00:01.000Z",
                "segments": [],
            }],
            "wrapupRequired": purpose == "agent",
            "mediaRoles": ["full"],
        })
    };
    json!({
        "topicName": TOPIC,
        "version": "2",
        "metadata": { "CorrelationId": "cb1ebce9-ea91-4def-8332-a4b825dd6f61" },
        "eventBody": {
            "id": format!("00000000-0000-4000-8000-{conversation:012}"),
            "startTime": "2026-01-05T09:00:00.000Z",
            "recordingState": recording,
            "securePause": secure_pause,
            "divisions": [{ "division": { "id": "home" }, "entities": [] }],
            "participants": [
                leg(0, "customer", "connected"), leg(1, "ivr", "terminated"), leg(2, "acd", "terminated"), leg(3, "agent", "connected"),
            ],
        },
    })
    .to_string()
}

fn conversation(text: &str) -> Conversation {
    match frame::read(text) {
        Ok(Frame::Conversation(event)) => event.decoded.conversation,
        other => panic!("the text is a conversation's event: {other:?}"),
    }
}

/// `rules` rules on `queues` queues, some of them globs, with every kind of condition. The event is in the
/// last queue, and as many of that queue's rules match it in every policy.
fn policy(rules: usize, queues: usize) -> Policy {
    let mut text = String::new();
    let first_queue = 200 - queues;
    for at in 0..rules {
        let queue = first_queue + at % queues;
        let kind = at / queues;
        let more = match kind % 5 {
            0 => "attribute = { pci = \"on\" }",
            1 => "attribute = { consent = [\"refused\", \"no*\"] }\nflagged = false",
            2 => "when = 'agents.exists(a, a.state == \"connected\" && a.held)'",
            3 => "direction = \"outbound\"\nmedia = [\"call\"]",
            _ => "when = 'attributes.tier == \"silver\" && size(participants) > 2'",
        };
        let name = if at % 7 == 3 { format!("* {queue}") } else { format!("Queue {queue}") };
        text.push_str(&format!(
            "[[rule]]\nname = \"rule-{at}\"\nqueue = [\"{name}\"]\n{more}\naction = \"stop\"\n"
        ));
    }
    let mut compiler = Compiler::default();
    let mistakes = compiler.add_file("rules", &text);
    assert!(mistakes.is_empty(), "{}", mistakes[0]);
    compiler.finish()
}

/// `rules` rules that ask for queue and attribute in `when` alone; five of them name the queue of the event.
fn policy_of_expressions(rules: usize) -> Policy {
    let mut text = String::new();
    for at in 0..rules {
        let queue = 199 - at / 5;
        let value = if at % 5 == 0 { "on" } else { "off" };
        text.push_str(&format!(
            "[[rule]]\nname = \"rule-{at}\"\naction = \"stop\"\n\
             when = 'queue.name == \"Queue {queue}\" && attributes.pci == \"{value}\" && agents.exists(a, !a.held)'\n"
        ));
    }
    let mut compiler = Compiler::default();
    let mistakes = compiler.add_file("rules", &text);
    assert!(mistakes.is_empty(), "{}", mistakes[0]);
    compiler.finish()
}

fn expressions(criterion: &mut Criterion) {
    let call = conversation(&event(0, "on", "active"));
    let facts = Facts::new();
    let subject = Subject { conversation: &call, facts: &facts, topic: TOPIC };
    let mut group = criterion.benchmark_group("expression");
    for (name, source) in [
        ("one comparison", "media == \"call\""),
        ("one attribute", "attributes.pci == \"on\""),
        ("exists over four participants", "participants.exists(p, p.purpose == \"external\")"),
    ] {
        let expression = Expression::compile(source).expect("an expression");
        group.bench_function(name, |bencher| bencher.iter(|| expression.evaluate(black_box(subject))));
    }
    group.finish();
}

/// The same event against few rules and many; five rules name its queue in either.
fn rules(criterion: &mut Criterion) {
    let text = event(0, "on", "active");
    let call = conversation(&text);
    let facts = Facts::new();
    let mut group = criterion.benchmark_group("policy");
    for (rules, queues) in [(10, 2), (1000, 200)] {
        let policy = policy(rules, queues);
        let subject = Subject { conversation: &call, facts: &facts, topic: TOPIC };
        assert_eq!(policy.matches(subject).rules.len(), 1, "one of its queue's five rules matches the event");
        group.bench_function(BenchmarkId::from_parameter(format!("{rules} rules")), |bencher| {
            bencher.iter(|| policy.matches(black_box(subject)));
        });
    }
    for rules in [10, 1000] {
        let policy = policy_of_expressions(rules);
        let subject = Subject { conversation: &call, facts: &facts, topic: TOPIC };
        assert_eq!(policy.matches(subject).rules.len(), 1, "one of its queue's five rules matches the event");
        group.bench_function(
            BenchmarkId::from_parameter(format!("{rules} rules, all in `when`")),
            |bencher| {
                bencher.iter(|| policy.matches(black_box(subject)));
            },
        );
    }
    group.finish();
}

fn decoding(criterion: &mut Criterion) {
    let text = event(0, "on", "active");
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("one event", |bencher| bencher.iter(|| frame::read(black_box(&text))));
    group.finish();
}

/// Text in, outputs out, with 200 live conversations. "quiet" events find everything as it should be; of
/// "busy" ones every second makes a decision, which the platform carries out at once.
fn whole_way(criterion: &mut Criterion) {
    let quiet: Vec<_> = (0..LIVE).map(|at| event(at, "off", "active")).collect();
    let turns = [("on", "active"), ("on", "paused"), ("off", "paused"), ("off", "active")];
    let busy: Vec<_> =
        turns.iter().flat_map(|(pci, recording)| (0..LIVE).map(|at| event(at, pci, recording))).collect();
    let mut group = criterion.benchmark_group("decode, policy and engine");
    group.throughput(Throughput::Elements(1));
    for (rules, queues) in [(10, 2), (1000, 200)] {
        for (name, events) in [("quiet", &quiet), ("busy", &busy)] {
            let mut engine = Engine::listening(policy(rules, queues), TOPIC);
            let mut next = events.iter().cycle();
            group.bench_function(BenchmarkId::new(name, format!("{rules} rules")), |bencher| {
                bencher.iter(|| next.next().map(|text| engine.event(text)));
            });
            assert_eq!(engine.orders > 0, name == "busy", "only busy events need orders");
            assert!(engine.outputs > 0, "records come out");
        }
    }
    group.finish();
}

criterion_group!(benches, expressions, rules, decoding, whole_way);
criterion_main!(benches);
