//! Values while an expression is evaluated. They borrow from the subject and from the tree; only what an
//! expression itself makes is owned.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::Value as Json;

use super::calculate::same_number;
use super::{EvaluationError, Facts};
use crate::model::conversation::{Conversation, Participant, QueueRef};
use crate::model::recording::Recorders;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Cow<'a, str>),
    /// Nanoseconds since the epoch.
    Timestamp(i128),
    /// Nanoseconds.
    Duration(i128),
    Object(Object<'a>),
    List(List<'a>),
    Map(Map<'a>),
}

/// An object of the schema; none: there is no such thing, and each of its fields reads as empty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Object<'a> {
    Conversation(&'a Conversation),
    Participant(Option<&'a Participant>),
    Queue(Option<&'a QueueRef>),
    Recorders(Recorders),
}

/// A list.
#[derive(Clone, Debug)]
pub(super) enum List<'a> {
    Participants(&'a [Participant]),
    Agents(&'a Conversation),
    Queues(&'a Conversation),
    Texts(&'a [String]),
    Json(&'a [Json]),
    Built(Arc<[Value<'a>]>),
}

/// A map.
#[derive(Clone, Debug)]
pub(super) enum Map<'a> {
    /// The participant data of all.
    Merged(&'a Conversation),
    Attributes(&'a BTreeMap<String, String>),
    Facts(&'a Facts),
    Json(&'a serde_json::Map<String, Json>),
    Built(Arc<[(Value<'a>, Value<'a>)]>),
}

impl<'a> Value<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    pub(super) fn from_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => number
                .as_i64()
                .map(Self::Int)
                .or_else(|| number.as_u64().map(Self::Uint))
                .or_else(|| number.as_f64().map(Self::Double))
                .unwrap_or(Self::Null),
            Json::String(text) => Self::text(text),
            Json::Array(list) => Self::List(List::Json(list)),
            Json::Object(map) => Self::Map(Map::Json(map)),
        }
    }

    /// The same value without owning it: how a constant of the tree is read.
    pub(super) fn borrowed(&'a self) -> Value<'a> {
        match self {
            Self::Text(text) => Value::text(text),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Uint(_)
            | Self::Double(_)
            | Self::Timestamp(_)
            | Self::Duration(_)
            | Self::Object(_)
            | Self::List(_)
            | Self::Map(_) => self.clone(),
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Timestamp(_) => "timestamp",
            Self::Duration(_) => "duration",
            Self::Object(_) => "object",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }

    /// As a condition; nothing is false.
    pub(super) fn as_bool(&self) -> Result<bool, EvaluationError> {
        match self {
            Self::Bool(value) => Ok(*value),
            Self::Null => Ok(false),
            Self::Int(_)
            | Self::Uint(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Timestamp(_)
            | Self::Duration(_)
            | Self::Object(_)
            | Self::List(_)
            | Self::Map(_) => Err(self.wrong("a condition")),
        }
    }

    /// As a text; nothing is the empty one.
    pub(super) fn into_text(self, operation: &'static str) -> Result<Cow<'a, str>, EvaluationError> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Null => Ok(Cow::Borrowed("")),
            Self::Bool(_)
            | Self::Int(_)
            | Self::Uint(_)
            | Self::Double(_)
            | Self::Timestamp(_)
            | Self::Duration(_)
            | Self::Object(_)
            | Self::List(_)
            | Self::Map(_) => Err(self.wrong(operation)),
        }
    }

    pub(super) fn wrong(&self, operation: &'static str) -> EvaluationError {
        EvaluationError::WrongType { operation, found: self.type_name().into() }
    }

    /// Equality as CEL has it: never an error, numbers by what they stand for.
    pub(super) fn same(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(one), Value::Bool(two)) => one == two,
            (Self::Text(one), Value::Text(two)) => one == two,
            (Self::Timestamp(one), Value::Timestamp(two)) => one == two,
            (Self::Duration(one), Value::Duration(two)) => one == two,
            (Self::Object(one), Value::Object(two)) => one == two,
            (Self::List(one), Value::List(two)) => one.same(two),
            (Self::Map(one), Value::Map(two)) => one.same(two),
            (one, two) => same_number(one, two),
        }
    }

    /// How much there is to walk through when this is compared, in steps.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len() / 64,
            Self::List(list) => list.len(),
            Self::Map(map) => map.len(),
            Self::Object(_) => 16,
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Uint(_)
            | Self::Double(_)
            | Self::Timestamp(_)
            | Self::Duration(_) => 0,
        }
    }
}

impl<'a> List<'a> {
    pub(super) const EMPTY: Self = Self::Texts(&[]);

    /// Hands each element to `each` until that breaks.
    pub(super) fn try_each<B>(&self, mut each: impl FnMut(Value<'a>) -> ControlFlow<B>) -> ControlFlow<B> {
        match self {
            Self::Participants(list) => list.iter().try_for_each(|one| each(participant(one))),
            Self::Agents(conversation) => conversation.agents().try_for_each(|one| each(participant(one))),
            Self::Queues(conversation) => {
                conversation.queues().try_for_each(|one| each(Value::Object(Object::Queue(Some(one)))))
            }
            Self::Texts(list) => list.iter().try_for_each(|one| each(Value::text(one))),
            Self::Json(list) => list.iter().try_for_each(|one| each(Value::from_json(one))),
            Self::Built(list) => list.iter().try_for_each(|one| each(one.clone())),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Participants(list) => list.len(),
            Self::Agents(conversation) => conversation.agents().count(),
            Self::Queues(conversation) => conversation.queues().count(),
            Self::Texts(list) => list.len(),
            Self::Json(list) => list.len(),
            Self::Built(list) => list.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Participants(list) => list.get(index).map(participant),
            Self::Agents(conversation) => conversation.agents().nth(index).map(participant),
            Self::Queues(conversation) => {
                conversation.queues().nth(index).map(|one| Value::Object(Object::Queue(Some(one))))
            }
            Self::Texts(list) => list.get(index).map(|one| Value::text(one)),
            Self::Json(list) => list.get(index).map(Value::from_json),
            Self::Built(list) => list.get(index).cloned(),
        }
    }

    pub(super) fn holds(&self, wanted: &Value<'_>) -> bool {
        let found = |one: Value<'a>| {
            if one.same(wanted) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        self.try_each(found).is_break()
    }

    fn same(&self, other: &List<'_>) -> bool {
        let mut index = 0;
        let equal = |one: Value<'a>| {
            let next = other.get(index);
            index += 1;
            if next.is_some_and(|two| one.same(&two)) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        self.len() == other.len() && self.try_each(equal).is_continue()
    }
}

fn participant(one: &Participant) -> Value<'_> {
    Value::Object(Object::Participant(Some(one)))
}

impl<'a> Map<'a> {
    pub(super) const EMPTY: Self = Self::Attributes(const { &BTreeMap::new() });

    /// The value under a key; none where the map does not hold it.
    pub(super) fn get(&self, key: &Value<'_>) -> Option<Value<'a>> {
        if let Self::Built(entries) = self {
            return entries.iter().find(|(known, _)| known.same(key)).map(|(_, value)| value.clone());
        }
        let Value::Text(key) = key else { return None };
        match self {
            Self::Merged(conversation) => conversation.attribute(key).map(Value::text),
            Self::Attributes(map) => map.get(key.as_ref()).map(|value| Value::text(value)),
            Self::Facts(map) => map.get(key.as_ref()).map(Value::from_json),
            Self::Json(map) => map.get(key.as_ref()).map(Value::from_json),
            Self::Built(_) => None,
        }
    }

    /// The value under a key, or what stands for it where there is none.
    pub(super) fn read(&self, key: &Value<'_>) -> Result<Value<'a>, EvaluationError> {
        match (self.get(key), self) {
            (Some(value), _) => Ok(value),
            (None, Self::Merged(_) | Self::Attributes(_)) => Ok(Value::text("")),
            (None, Self::Facts(_) | Self::Json(_)) => Ok(Value::Null),
            (None, Self::Built(_)) => Err(EvaluationError::NoSuchKey),
        }
    }

    /// Hands each key to `each` until that breaks.
    pub(super) fn try_each_key<B>(
        &self,
        mut each: impl FnMut(Value<'a>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        match self {
            Self::Merged(conversation) => {
                conversation.attribute_keys().try_for_each(|key| each(Value::text(key)))
            }
            Self::Attributes(map) => map.keys().try_for_each(|key| each(Value::text(key))),
            Self::Facts(map) => map.keys().try_for_each(|key| each(Value::text(key))),
            Self::Json(map) => map.keys().try_for_each(|key| each(Value::text(key))),
            Self::Built(entries) => entries.iter().try_for_each(|(key, _)| each(key.clone())),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Merged(conversation) => conversation.attribute_keys().count(),
            Self::Attributes(map) => map.len(),
            Self::Facts(map) => map.len(),
            Self::Json(map) => map.len(),
            Self::Built(entries) => entries.len(),
        }
    }

    fn same(&self, other: &Map<'_>) -> bool {
        let equal = |key: Value<'a>| match (self.get(&key), other.get(&key)) {
            (Some(one), Some(two)) if one.same(&two) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        };
        self.len() == other.len() && self.try_each_key(equal).is_continue()
    }
}
