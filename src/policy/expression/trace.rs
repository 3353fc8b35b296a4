//! What each part of an expression was seen to be.

use std::ops::Range;

use super::evaluate::{Watch, evaluate};
use super::tree::Node;
use super::value::{Object, Value};
use super::{EvaluationError, Subject, convert};

/// The parts that a trace keeps; a macro over many participants looks at its body once for each.
const PARTS: usize = 512;

/// The characters of a text that a trace shows.
const SHOWN: usize = 80;

/// One evaluation, part by part. It holds what was read, personal data included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What came out.
    pub result: Result<bool, EvaluationError>,
    /// The parts that were looked at, each after the parts that it is made of; the first 512.
    pub parts: Vec<Part>,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it stands: bytes in the source.
    pub span: Range<usize>,
    /// What it was.
    pub seen: Seen,
}

/// What a part was seen to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A condition that holds.
    True,
    /// A condition that does not.
    False,
    /// It has no value.
    Unknown(EvaluationError),
    /// Some other value, as a rule would write it.
    Value(String),
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::True => f.write_str("true"),
            Self::False => f.write_str("false"),
            Self::Unknown(error) => write!(f, "unknown ({error})"),
            Self::Value(value) => f.write_str(value),
        }
    }
}

pub(super) fn trace(root: &Node, subject: Subject<'_>) -> Trace {
    let mut parts = Vec::new();
    let result = evaluate(root, subject, &mut Keep { parts: &mut parts });
    Trace { result, parts }
}

struct Keep<'p> {
    parts: &'p mut Vec<Part>,
}

impl Watch for Keep<'_> {
    fn saw(&mut self, node: &Node, outcome: &Result<Value<'_>, EvaluationError>) {
        if self.parts.len() < PARTS {
            self.parts.push(Part { span: node.span.clone(), seen: seen(outcome) });
        }
    }
}

pub(super) fn seen(outcome: &Result<Value<'_>, EvaluationError>) -> Seen {
    match outcome {
        Ok(Value::Bool(true)) => Seen::True,
        Ok(Value::Bool(false)) => Seen::False,
        Ok(value) => Seen::Value(written(value)),
        Err(error) => Seen::Unknown(error.clone()),
    }
}

fn written(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => format!("{value}u"),
        Value::Double(value) => format!("{value:?}"),
        Value::Text(text) => match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{:?}...", &text[..end]),
            None => format!("{text:?}"),
        },
        Value::Timestamp(at) => convert::write_timestamp(*at),
        Value::Duration(span) => convert::write_duration(*span),
        Value::List(list) => format!("list of {}", list.len()),
        Value::Map(map) => format!("map of {}", map.len()),
        Value::Object(Object::Conversation(one)) => format!("conversation {}", one.id),
        Value::Object(Object::Participant(Some(one))) => format!("{} {}", one.purpose, one.id),
        Value::Object(Object::Participant(None)) => "no participant".into(),
        Value::Object(Object::Queue(Some(queue))) => format!("queue {:?}", queue.name),
        Value::Object(Object::Queue(None)) => "no queue".into(),
        Value::Object(Object::Recorders(_)) => "recorders".into(),
    }
}
