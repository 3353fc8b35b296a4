//! What the types could have told is told when an expression is compiled, never when it is evaluated.

use proptest::prelude::*;

use super::*;
use crate::model::conversation::{Direction, Media};

/// Writes expressions from numbers: each decides what comes next, and where they run out the shortest does.
struct Writer<'n> {
    numbers: std::slice::Iter<'n, u8>,
    /// Variables of the macros around.
    locals: Vec<(String, Kind)>,
    depth: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Time,
    Span,
    Leg,
    Queue,
    Ints,
    Texts,
    Legs,
    Queues,
    Words,
}

const KINDS: [Kind; 14] = [
    Kind::Bool,
    Kind::Int,
    Kind::Uint,
    Kind::Double,
    Kind::Text,
    Kind::Time,
    Kind::Span,
    Kind::Leg,
    Kind::Queue,
    Kind::Ints,
    Kind::Texts,
    Kind::Legs,
    Kind::Queues,
    Kind::Words,
];

/// What can be written for each kind; `$b`, `$i`, ... stand for a part of another, `$?` for any, `$v` for a
/// fresh variable over the list in front of it. Each begins with one that has no part.
#[expect(clippy::too_many_lines, reason = "a table, not steps")]
fn forms(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Bool => &[
            "flagged",
            "($? == $?)",
            "($? != $?)",
            "($? < $?)",
            "($i <= $i)",
            "($x > $x)",
            "($t >= $t)",
            "($m < $m)",
            "($s < $s)",
            "(!$b)",
            "($b && $b)",
            "($b || $b)",
            "($b ? $b : $b)",
            "($? in $?)",
            "($t in $T)",
            "($i in $I)",
            "$L.exists($v)",
            "$L.all($v)",
            "$I.exists_one($v)",
            "$T.exists($v)",
            "$Q.all($v)",
            "$W.exists($v)",
            "$l.held",
            "conversation.securePause",
            "has($l.team)",
            "has($q.id)",
            "has($W.a)",
            "$t.startsWith($t)",
            "$t.contains($t)",
            "$t.matches('a+')",
            "bool($t)",
            "($l == $l)",
            "($I == $I)",
            "($W == $W)",
        ],
        Kind::Int => &[
            "1",
            "0",
            "9223372036854775807",
            "($i + $i)",
            "($i - $i)",
            "($i * $i)",
            "($i / $i)",
            "($i % $i)",
            "(-$i)",
            "size($t)",
            "size($L)",
            "size($W)",
            "$l.priority",
            "int($m)",
            "int($x)",
            "int($u)",
            "int($t)",
            "$m.getHours()",
            "$m.getFullYear('+01:00')",
            "$s.getMinutes()",
            "$I[$i]",
            "($b ? $i : $i)",
            "($? + $?)",
        ],
        Kind::Uint => {
            &["1u", "($u + $u)", "($u - $u)", "($u % $u)", "uint($i)", "uint($x)", "($b ? $u : $u)"]
        }
        Kind::Double => &["1.5", "($x / $x)", "($x - $x)", "double($i)", "double($t)", "(-$x)"],
        Kind::Text => &[
            "media",
            "'a'",
            "''",
            "topic",
            "$l.id",
            "$l.state",
            "$q.name",
            "conversation.recordingState",
            "attributes.a",
            "attributes[$t]",
            "$l.attributes.b",
            "$W[$t]",
            "$l.recordersState.adhocState",
            "($t + $t)",
            "$t.lowerAscii()",
            "$t.trim()",
            "string($i)",
            "string($m)",
            "string($s)",
            "string($b)",
            "$T[$i]",
            "($b ? $t : $t)",
        ],
        Kind::Time => &[
            "conversation.startTime",
            "$l.endTime",
            "$l.connectedTime",
            "timestamp('2026-01-31T12:00:00Z')",
            "timestamp($i)",
            "($m + $s)",
            "($m - $s)",
            "($b ? $m : null)",
        ],
        Kind::Span => &["duration('90s')", "($m - $m)", "($s + $s)", "(-$s)", "duration($t)", "duration($s)"],
        Kind::Leg => &["agent", "customer", "participants[$i]", "$L[$i]", "($b ? $l : $l)"],
        Kind::Queue => &["queue", "$l.queue", "$Q[$i]"],
        Kind::Ints => &["[1, 2]", "[]", "[$i, $i]", "$I.filter($v)", "($I + $I)", "$L.map(p, $i)"],
        Kind::Texts => &["$l.skills", "conversation.divisions", "[$t]", "$L.map(p, $t)", "$T.filter($v)"],
        Kind::Legs => &["participants", "agents", "$L.filter($v)", "[$l, $l]", "($L + $L)"],
        Kind::Queues => &["queues", "[$q]", "$Q.filter($v)"],
        Kind::Words => &["attributes", "$l.attributes", "{'a': $t}", "{$t: $t}", "{}"],
    }
}

impl Writer<'_> {
    fn pick(&mut self, among: usize) -> usize {
        let number = self.numbers.next().copied().unwrap_or(0);
        if self.depth > 5 { 0 } else { usize::from(number) % among }
    }

    fn write(&mut self, kind: Kind) -> String {
        let locals: Vec<String> =
            self.locals.iter().filter(|(_, of)| *of == kind).map(|(name, _)| name.clone()).collect();
        if !locals.is_empty() && self.pick(2) == 1 {
            return locals[self.pick(locals.len())].clone();
        }
        self.depth += 1;
        let forms = forms(kind);
        let mut form = forms[self.pick(forms.len())].chars();
        let mut text = String::new();
        let mut over = None;
        while let Some(one) = form.next() {
            if one != '$' {
                text.push(one);
                continue;
            }
            let part = form.next().expect("a kind");
            if part == 'v' {
                let name = format!("v{}", self.locals.len());
                self.locals.push((name.clone(), element(over.expect("a list in front"))));
                text.push_str(&format!("{name}, {}", self.write(Kind::Bool)));
                self.locals.pop();
                continue;
            }
            let kind = if part == '?' { KINDS[self.pick(KINDS.len())] } else { named(part) };
            over = Some(kind);
            text.push_str(&self.write(kind));
        }
        self.depth -= 1;
        text
    }
}

fn named(letter: char) -> Kind {
    let letters = ['b', 'i', 'u', 'x', 't', 'm', 's', 'l', 'q', 'I', 'T', 'L', 'Q', 'W'];
    KINDS[letters.iter().position(|one| *one == letter).expect("a letter")]
}

fn element(of: Kind) -> Kind {
    match of {
        Kind::Ints => Kind::Int,
        Kind::Legs => Kind::Leg,
        Kind::Queues => Kind::Queue,
        Kind::Texts | Kind::Words => Kind::Text,
        other @ (Kind::Bool
        | Kind::Int
        | Kind::Uint
        | Kind::Double
        | Kind::Text
        | Kind::Time
        | Kind::Span
        | Kind::Leg
        | Kind::Queue) => other,
    }
}

fn any_leg() -> impl Strategy<Value = Participant> {
    let words = || prop::sample::select(vec!["", "a", "b", "7"]).prop_map(str::to_owned);
    let time = || prop::option::of((0..4_i64).prop_map(|at| Wall::from_micros(at * 1_769_860_800_000_000)));
    let purpose = prop::sample::select(vec!["customer", "agent", "acd", "ivr"]);
    let direction = prop::sample::select(vec![Direction::Inbound, Direction::Outbound]);
    (
        purpose,
        (words(), words(), words()),
        (time(), time(), time()),
        (any::<bool>(), -2_i64..3, prop::option::of(direction)),
        prop::collection::btree_map(words(), words(), 0..3),
        prop::collection::vec(words(), 0..3),
    )
        .prop_map(
            |(purpose, (id, queue, name), times, (held, priority, direction), attributes, skills)| {
                Participant {
                    id: id.as_str().into(),
                    purpose: purpose.into(),
                    state: LegState::Connected,
                    queue: QueueRef { id: QueueId::new(queue), name },
                    start_time: times.0,
                    connected_time: times.1,
                    end_time: times.2,
                    held,
                    priority,
                    direction,
                    attributes,
                    skills,
                    ..Participant::default()
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn no_expression_that_compiles_meets_a_wrong_type(
        numbers in prop::collection::vec(any::<u8>(), 1..80),
        participants in prop::collection::vec(any_leg(), 0..4),
        start_time in prop::option::of(Just(Wall::from_micros(1_769_860_800_000_000))),
        media in prop::sample::select(vec![Media::Call, Media::Email]),
    ) {
        let source = Writer { numbers: numbers.iter(), locals: Vec::new(), depth: 0 }.write(Kind::Bool);
        let Ok(expression) = Expression::compile(&source) else { return Ok(()) };
        let conversation = Conversation { participants, start_time, media, ..Conversation::default() };
        let facts = Facts::new();
        let subject = Subject { conversation: &conversation, facts: &facts, topic: "v2.users.u1" };
        let outcome = expression.evaluate(subject);
        prop_assert!(!matches!(outcome, Err(EvaluationError::WrongType { .. })), "{}: {:?}", source, outcome);
        prop_assert_eq!(expression.trace(subject).result, outcome, "{}", source);
    }

    #[test]
    fn facts_of_any_type_never_make_it_panic(
        numbers in prop::collection::vec(any::<u8>(), 1..80),
        operator in prop::sample::select(vec!["+", "-", "*", "/", "%", "<", "==", "in", "&&"]),
        fact in prop::sample::select(vec![
            json!(null), json!(true), json!(-1), json!(u64::MAX), json!(1e300), json!("a"), json!([1, "a"]), json!({"a": 1}),
        ]),
    ) {
        let part = Writer { numbers: numbers.iter(), locals: Vec::new(), depth: 0 }.write(Kind::Bool);
        let source = format!("(facts.f {operator} facts.f) == facts.g[{part}] || {part} == facts.f.a");
        let Ok(expression) = Expression::compile(&source) else { return Ok(()) };
        let conversation = call();
        let facts = [("f".to_owned(), fact.clone()), ("g".to_owned(), fact)].into();
        let subject = Subject { conversation: &conversation, facts: &facts, topic: "" };
        prop_assert_eq!(expression.trace(subject).result, expression.evaluate(subject));
    }
}

#[test]
fn the_writer_writes_what_mostly_compiles() {
    let mut compiled = 0;
    for seed in 0..200_u32 {
        let numbers: Vec<u8> = (0..60_u32)
            .map(|at| u8::try_from((seed * 7919 + at * at * 31 + at * seed) % 251).expect("small"))
            .collect();
        let source = Writer { numbers: numbers.iter(), locals: Vec::new(), depth: 0 }.write(Kind::Bool);
        compiled += u32::from(Expression::compile(&source).is_ok());
    }
    assert!(compiled > 50, "only {compiled} of 200 compile");
}

#[test]
fn something_at_a_place_that_is_not_known_reads_as_empty() {
    holds(&[
        "!participants[int(agent.endTime)].held && participants[(agent.endTime - agent.startTime).getHours()].id == ''",
        "!has(participants[int(agent.endTime)].id)",
    ]);
}

/// Found by a generated expression: what was taken out of an empty map went with every type, and so did what it was
/// joined with.
#[test]
fn nothing_is_taken_out_of_what_is_empty() {
    for source in ["{}[media] == flagged", "(flagged ? {}[media] : media) < flagged", "[][0] == 1"] {
        let mistakes = Expression::compile(source).expect_err(source);
        assert!(mistakes[0].message.contains("nothing can be taken out"), "{source}: {mistakes:?}");
    }
}
