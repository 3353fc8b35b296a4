//! Expressions from text to truth.

use serde_json::json;

use super::*;
use crate::model::conversation::{Conversation, LegState, Participant, QueueRef};
use crate::model::ids::QueueId;
use crate::model::recording::RecorderState;
use crate::model::time::Wall;

mod mistakes;
mod types;

fn leg(purpose: &str, state: LegState) -> Participant {
    Participant { id: purpose.into(), purpose: purpose.into(), state, ..Participant::default() }
}

fn call() -> Conversation {
    let mut customer = leg("customer", LegState::Connected);
    customer.attributes = [("pci", "on"), ("consent", "no"), ("score", "7")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    customer.ani = "tel:+4930123456".into();
    customer.direction = Some(crate::model::conversation::Direction::Inbound);
    let mut agent = leg("agent", LegState::Connected);
    agent.queue = QueueRef { id: QueueId::new("q1"), name: "Payments".into() };
    agent.skills = vec!["german".into(), "cards".into()];
    agent.priority = 3;
    agent.recording_state = RecorderState::Active;
    agent.connected_time = Wall::parse("2026-01-31T12:00:30Z");
    let mut gone = leg("agent", LegState::Disconnected);
    gone.flagged_reason = "general".into();
    Conversation {
        id: "c1".into(),
        start_time: Wall::parse("2026-01-31T12:00:00Z"),
        recording_state: Some(RecorderState::Active),
        divisions: vec!["home".into()],
        participants: vec![customer, gone, agent],
        ..Conversation::default()
    }
}

fn facts() -> Facts {
    let facts = json!({ "fraud": true, "score": 12, "rate": 0.5, "note": null, "name": "Anna",
                        "customer": { "tier": "gold", "tags": ["a", "b"] } });
    facts.as_object().expect("an object").clone().into_iter().collect()
}

fn outcome(source: &str) -> Result<bool, EvaluationError> {
    let expression = match Expression::compile(source) {
        Ok(expression) => expression,
        Err(mistakes) => panic!("{source}: {mistakes:?}"),
    };
    let (conversation, facts) = (call(), facts());
    expression.evaluate(Subject { conversation: &conversation, facts: &facts, topic: "v2.users.u1" })
}

#[track_caller]
fn holds(sources: &[&str]) {
    for source in sources {
        assert_eq!(outcome(source), Ok(true), "{source}");
    }
}

#[track_caller]
fn fails(source: &str, error: EvaluationError) {
    assert_eq!(outcome(source), Err(error), "{source}");
}

#[test]
fn the_schema_reads_the_conversation() {
    holds(&[
        r#"agents.exists(a, a.state == "connected")"#,
        r#"agent.queueName == "Payments" && agent.queue.id == "q1" && queue.name == "Payments""#,
        r#"conversation.id == "c1" && conversation.recordingState == "active" && !conversation.securePause"#,
        r#"attributes.pci == "on" && attributes["consent"] in ["no", "never"]"#,
        r#"customer.attributes.pci == "on" && customer.ani.startsWith("tel:+49")"#,
        r#"facts.fraud && facts.score > 10 && facts.customer.tier == "gold""#,
        r#""b" in facts.customer.tags && size(facts.customer.tags) == 2"#,
        r#"flagged && media == "call" && topic.matches("^v2\\.users\\.")"#,
        r#"queues.all(q, q.id != "") && queues[0].name == "Payments" && size(queues) == 1"#,
        r#"size(agents) == 2 && size(participants) == 3 && agents[1].priority == 3"#,
        r#""german" in agent.skills && "home" in conversation.divisions"#,
        r#"agent.connectedTime - conversation.startTime == duration("30s")"#,
        r#"conversation.startTime.getHours("+02:00") == 14 && conversation.startTime.getDayOfWeek() == 6"#,
        r#"customer.direction == "inbound" && conversation.direction == "inbound""#,
        r#"participants.exists_one(p, p.purpose == "customer")"#,
        r#"participants.filter(p, p.purpose == "agent").map(p, p.state) == ["disconnected", "connected"]"#,
        r#"participants.map(p, p.priority > 0, p.id) == ["agent"]"#,
        r#"agent.recordersState.adhocState == "none""#,
        r#"int(attributes.score) > 5"#,
        "attributes.`a-b c` == '' && !has(facts.customer.`x-y`)",
        "agents.exists(a, agents.exists(b, a.id == b.id && a != b))",
    ]);
}

#[test]
fn what_is_not_there_reads_as_empty_and_never_fails() {
    holds(&[
        r#"attributes.nothing == "" && !(attributes["nothing"] == "on") && !has(attributes.nothing)"#,
        r#"!("nothing" in attributes) && "pci" in attributes && has(attributes.pci)"#,
        "facts.nothing == null && facts.note == null && !has(facts.nothing) && has(facts.note)",
        "!(facts.nothing > 5) && !(facts.nothing <= 5) && facts.nothing != 5 && !facts.nothing",
        "!(facts.nothing + 1 > 0) && !(facts.nothing.deep.deeper == 1) && !has(facts.nothing.deep)",
        r#"!facts.nothing.startsWith("x") && size(facts.nothing) == 0 && !(1 in facts.nothing)"#,
        "!facts.nothing.exists(x, x) && facts.nothing.all(x, x)",
        "agent.endTime == null && !has(agent.endTime) && !(agent.endTime > conversation.startTime)",
        r#"conversation.externalTag == "" && !has(conversation.externalTag) && !has(agent.team)"#,
        "!(agent.endTime - agent.startTime > duration('1s'))",
        "!(int(facts.nothing) > 0)",
    ]);
}

#[test]
fn where_nobody_is_every_field_is_empty() {
    let expression = Expression::compile(
        r#"agent.id == "" && agent.media == "" && agent.queue.name == "" && !agent.held
           && size(agent.skills) == 0 && agent.attributes.x == "" && customer.startTime == null
           && agent.recordersState.adhocState == "none" && queue.id == "" && !has(agent.queue) && !flagged"#,
    )
    .expect("an expression");
    let conversation = Conversation::default();
    let facts = Facts::default();
    assert_eq!(
        expression.evaluate(Subject { conversation: &conversation, facts: &facts, topic: "" }),
        Ok(true),
        "{:?}",
        expression.trace(Subject { conversation: &conversation, facts: &facts, topic: "" })
    );
}

#[test]
fn a_trimmed_frame_lets_the_legs_speak_for_the_recording() {
    let expression =
        Expression::compile(r#"conversation.recordingState == "active""#).expect("an expression");
    let conversation = Conversation { recording_state: None, ..call() };
    let facts = Facts::default();
    let subject = Subject { conversation: &conversation, facts: &facts, topic: "" };
    assert_eq!(expression.evaluate(subject), Ok(true));
}

#[test]
fn one_side_that_decides_wins_over_a_failure_beside_it() {
    holds(&[
        "1 / 0 == 1 || true",
        "true || 1 / 0 == 1",
        "!(1 / 0 == 1 && false)",
        "[1, 0].exists(x, 1 / x == 1)",
        "[0, 1].exists(x, 1 / x == 1)",
        "!([0, 1].all(x, 1 / x == 2))",
        "false ? 1 / 0 == 1 : true",
    ]);
    fails("1 / 0 == 1 || false", EvaluationError::DivisionByZero);
    fails("1 % 0 == 1 && true", EvaluationError::DivisionByZero);
    fails("[0].exists(x, 1 / x == 1)", EvaluationError::DivisionByZero);
    fails("[1, 0].exists_one(x, 1 / x == 1)", EvaluationError::DivisionByZero);
}

#[test]
fn failures_have_their_names() {
    fails("9223372036854775807 + agent.priority > 0", EvaluationError::Overflow("int"));
    fails("-9223372036854775808 - 1 < 0", EvaluationError::Overflow("int"));
    fails("0u - 1u > 0u", EvaluationError::Overflow("uint"));
    fails("participants[7].held", EvaluationError::IndexOutOfRange { index: 7, length: 3 });
    fails("participants[-1].held", EvaluationError::IndexOutOfRange { index: -1, length: 3 });
    fails("{'a': true}['b']", EvaluationError::NoSuchKey);
    fails("int(attributes.pci) > 0", EvaluationError::Unreadable("int"));
    let found = "string and int".to_owned();
    fails("facts.name > 5", EvaluationError::WrongType { operation: ">", found });
    fails("facts.name", EvaluationError::WrongType { operation: "a condition", found: "string".into() });
    fails(
        "timestamp('9999-12-30T00:00:00Z') + duration('48h') > conversation.startTime",
        EvaluationError::Overflow("timestamp"),
    );
}

#[test]
fn what_costs_too_much_is_stopped_and_cannot_be_absorbed() {
    let list = format!("[{}]", vec!["1"; 200].join(","));
    let nested = format!("{list}.all(a, {list}.all(b, {list}.all(c, a + b + c == 3)))");
    fails(&nested, EvaluationError::CostExceeded);
    fails(&format!("{nested} || true"), EvaluationError::CostExceeded);
    fails(&format!("true && ({nested} || facts.fraud)"), EvaluationError::CostExceeded);
}

#[test]
fn numbers_compare_across_their_types_and_facts_calculate() {
    holds(&[
        "1 == 1.0 && 1u < 2 && 2.5 > 2 && dyn(1) == 1u",
        "facts.score * 1.5 == 18.0 && facts.score + 1 == 13 && facts.rate < 1",
        "7 / 2 == 3 && -7 / 2 == -3 && -7 % 3 == -1 && 2 + 3 * 4 == 14 && 5 - 3 - 1 == 1",
        "1.0 / 0.0 > 1e300 && 0x1F == 31",
        "double('1.5') == 1.5 && string(1.5) == '1.5' && uint(3) == 3u && bool('true') && int(3.9) == 3",
        "string(duration('90s')) == '90s' && duration('1h30m') == duration('5400s') && duration('-1.5s') < duration('0')",
        "string(timestamp('2026-01-31T12:00:00.5+01:00')) == '2026-01-31T11:00:00.5Z'",
        "[1, 2] + [3] == [1, 2, 3] && {'a': 1} == {'a': 1.0} && 'a' + 'b' == 'ab' && 'ab' < 'b'",
        "size('äö') == 2 && ' x '.trim() == 'x' && 'Ab'.lowerAscii() == 'ab' && 'Ab'.upperAscii() == 'AB'",
        "{'a': 1}.exists(k, k == 'a') && 'a' in {'a': 1} && {'a': 1}.a == 1",
        "(true ? 1 : 2) == 1",
        "'a\\n' != r'a\\n' && '''it's''' == \"it's\"",
    ]);
}

#[test]
fn the_deepest_that_is_allowed_fits_a_small_stack() {
    let brackets = format!("{}true{}", "(".repeat(layout::BRACKETS), ")".repeat(layout::BRACKETS));
    let lists = format!("{}1{} == [1]", "[".repeat(layout::BRACKETS), "]".repeat(layout::BRACKETS));
    let calls = format!("{}1{} == '1'", "string(".repeat(layout::BRACKETS), ")".repeat(layout::BRACKETS));
    let chain = format!("{} > 0", vec!["1"; 90].join(" + "));
    let facts = format!("facts{} == 1", ".a".repeat(90));
    let turns = format!("{}true", "flagged ? false : ".repeat(90));
    let macros = format!("{}true{}", "[1].exists(x, ".repeat(30), ")".repeat(30));
    let work = move || {
        for source in [brackets, lists, calls, chain, facts, turns, macros] {
            match Expression::compile(&source) {
                Ok(_) => drop(outcome(&source)),
                Err(mistakes) => {
                    assert!(mistakes[0].message.contains("never equal"), "{source}: {mistakes:?}")
                }
            }
        }
    };
    let small = std::thread::Builder::new().stack_size(1024 * 1024).spawn(work).expect("a thread");
    small.join().expect("no overflow");
}

#[test]
fn a_trace_tells_what_each_part_was_seen_to_be() {
    let source = r#"media == "call" && attributes.pci == "off" && flagged"#;
    let expression = Expression::compile(source).expect("an expression");
    let (conversation, facts) = (call(), facts());
    let trace = expression.trace(Subject { conversation: &conversation, facts: &facts, topic: "" });
    assert_eq!(trace.result, Ok(false));
    let seen: Vec<_> = trace.parts.iter().map(|part| (&source[part.span.clone()], &part.seen)).collect();
    assert!(seen.contains(&(r#"media == "call""#, &Seen::True)), "{seen:?}");
    assert!(seen.contains(&("attributes.pci", &Seen::Value("\"on\"".into()))), "{seen:?}");
    assert!(seen.contains(&(r#"attributes.pci == "off""#, &Seen::False)), "{seen:?}");
    assert!(!seen.iter().any(|(text, _)| *text == "flagged"), "{seen:?}");
}

mod any_text {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn is_compiled_or_complained_of_at_places_inside_it(
            words in prop::collection::vec(
                prop::sample::select(vec![
                    "agent", "agents", ".", ".", "state", "(", ")", "[", "]", "{", "}", ":", ",", "==", "!=", "&&", "||",
                    "!", "-", "1", "1.5", "2u", "'é'", "\"", "in", "exists", "map", "has", "x", "facts", "?", "null",
                    "true", "size", " ", "`", "\\", "é", "b'x'", "99999999999999999999", "//", "\n", "duration", "@",
                ]),
                0..14,
            )
        ) {
            let source = words.concat();
            match Expression::compile(&source) {
                Ok(expression) => {
                    let (conversation, facts) = (call(), facts());
                    let subject = Subject { conversation: &conversation, facts: &facts, topic: "" };
                    let blame = expression.blame(subject);
                    prop_assert_eq!(blame.is_none(), expression.evaluate(subject) == Ok(true));
                }
                Err(mistakes) => {
                    prop_assert!(!mistakes.is_empty());
                    for one in mistakes {
                        prop_assert!(source.get(one.span.clone()).is_some(), "{:?} in {:?}", one, source);
                    }
                }
            }
        }
    }
}
