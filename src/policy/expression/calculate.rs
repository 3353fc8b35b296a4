//! Order and arithmetic.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::EvaluationError;
use super::convert::{duration, timestamp};
use super::tree::{Arithmetic, Comparison};
use super::value::{List, Value};

/// A comparison. With nothing (`null`) no order holds.
pub(super) fn compare(
    comparison: Comparison,
    one: &Value<'_>,
    two: &Value<'_>,
) -> Result<bool, EvaluationError> {
    let ordered =
        |fits: fn(Ordering) -> bool| order(comparison.sign(), one, two).map(|order| order.is_some_and(fits));
    match comparison {
        Comparison::Equal => Ok(one.same(two)),
        Comparison::Different => Ok(!one.same(two)),
        Comparison::Less => ordered(Ordering::is_lt),
        Comparison::LessOrEqual => ordered(Ordering::is_le),
        Comparison::Greater => ordered(Ordering::is_gt),
        Comparison::GreaterOrEqual => ordered(Ordering::is_ge),
    }
}

fn order(sign: &'static str, one: &Value<'_>, two: &Value<'_>) -> Result<Option<Ordering>, EvaluationError> {
    Ok(match (one, two) {
        (Value::Null, _) | (_, Value::Null) => None,
        (Value::Bool(one), Value::Bool(two)) => Some(one.cmp(two)),
        (Value::Text(one), Value::Text(two)) => Some(one.cmp(two)),
        (Value::Timestamp(one), Value::Timestamp(two)) | (Value::Duration(one), Value::Duration(two)) => {
            Some(one.cmp(two))
        }
        (one, two) => match (Number::of(one), Number::of(two)) {
            (Some(one), Some(two)) => one.order(two),
            _ => return Err(mismatch(sign, one, two)),
        },
    })
}

fn mismatch(operation: &'static str, one: &Value<'_>, two: &Value<'_>) -> EvaluationError {
    let found = format!("{} and {}", one.type_name(), two.type_name());
    EvaluationError::WrongType { operation, found }
}

/// Whether both are numbers and stand for the same one.
pub(super) fn same_number(one: &Value<'_>, two: &Value<'_>) -> bool {
    match (Number::of(one), Number::of(two)) {
        (Some(one), Some(two)) => one.order(two) == Some(Ordering::Equal),
        _ => false,
    }
}

#[derive(Clone, Copy)]
enum Number {
    Whole(i128),
    Double(f64),
}

impl Number {
    fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Int(value) => Some(Self::Whole((*value).into())),
            Value::Uint(value) => Some(Self::Whole((*value).into())),
            Value::Double(value) => Some(Self::Double(*value)),
            Value::Null
            | Value::Bool(_)
            | Value::Text(_)
            | Value::Timestamp(_)
            | Value::Duration(_)
            | Value::Object(_)
            | Value::List(_)
            | Value::Map(_) => None,
        }
    }

    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(one), Self::Whole(two)) => Some(one.cmp(&two)),
            (Self::Double(one), Self::Double(two)) => one.partial_cmp(&two),
            // As doubles, and so rounded beyond 2^53: CEL's conformance tests ask for it.
            (Self::Whole(one), Self::Double(two)) => (one as f64).partial_cmp(&two),
            (Self::Double(one), Self::Whole(two)) => one.partial_cmp(&(two as f64)),
        }
    }
}

/// `+ - * / %`. With nothing (`null`) the result is nothing.
pub(super) fn arithmetic<'a>(
    operator: Arithmetic,
    one: Value<'a>,
    two: Value<'a>,
) -> Result<Value<'a>, EvaluationError> {
    match (one, two) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::Int(one), Value::Int(two)) => ints(operator, one, two),
        (Value::Uint(one), Value::Uint(two)) => uints(operator, one, two),
        (Value::Double(one), Value::Double(two)) => doubles(operator, one, two),
        // Facts are JSON, which has one kind of number.
        (Value::Int(one), Value::Double(two)) => doubles(operator, one as f64, two),
        (Value::Double(one), Value::Int(two)) => doubles(operator, one, two as f64),
        (Value::Text(one), Value::Text(two)) if operator == Arithmetic::Add => {
            Ok(Value::Text(join(one, &two)))
        }
        (Value::List(one), Value::List(two)) if operator == Arithmetic::Add => {
            Ok(Value::List(append(&one, &two)))
        }
        (one, two) => times(operator, one, two),
    }
}

fn ints(operator: Arithmetic, one: i64, two: i64) -> Result<Value<'static>, EvaluationError> {
    if two == 0 && matches!(operator, Arithmetic::Divide | Arithmetic::Remainder) {
        return Err(EvaluationError::DivisionByZero);
    }
    let result = match operator {
        Arithmetic::Add => one.checked_add(two),
        Arithmetic::Subtract => one.checked_sub(two),
        Arithmetic::Multiply => one.checked_mul(two),
        Arithmetic::Divide => one.checked_div(two),
        Arithmetic::Remainder => one.checked_rem(two),
    };
    result.map(Value::Int).ok_or(EvaluationError::Overflow("int"))
}

fn uints(operator: Arithmetic, one: u64, two: u64) -> Result<Value<'static>, EvaluationError> {
    if two == 0 && matches!(operator, Arithmetic::Divide | Arithmetic::Remainder) {
        return Err(EvaluationError::DivisionByZero);
    }
    let result = match operator {
        Arithmetic::Add => one.checked_add(two),
        Arithmetic::Subtract => one.checked_sub(two),
        Arithmetic::Multiply => one.checked_mul(two),
        Arithmetic::Divide => one.checked_div(two),
        Arithmetic::Remainder => one.checked_rem(two),
    };
    result.map(Value::Uint).ok_or(EvaluationError::Overflow("uint"))
}

fn doubles(operator: Arithmetic, one: f64, two: f64) -> Result<Value<'static>, EvaluationError> {
    Ok(Value::Double(match operator {
        Arithmetic::Add => one + two,
        Arithmetic::Subtract => one - two,
        Arithmetic::Multiply => one * two,
        Arithmetic::Divide => one / two,
        Arithmetic::Remainder => {
            return Err(EvaluationError::WrongType { operation: "%", found: "double".into() });
        }
    }))
}

fn times<'a>(operator: Arithmetic, one: Value<'a>, two: Value<'a>) -> Result<Value<'a>, EvaluationError> {
    match (operator, &one, &two) {
        (Arithmetic::Add, Value::Timestamp(at), Value::Duration(span))
        | (Arithmetic::Add, Value::Duration(span), Value::Timestamp(at)) => timestamp(at + span),
        (Arithmetic::Subtract, Value::Timestamp(at), Value::Duration(span)) => timestamp(at - span),
        (Arithmetic::Subtract, Value::Timestamp(one), Value::Timestamp(two)) => duration(one - two),
        (Arithmetic::Add, Value::Duration(one), Value::Duration(two)) => duration(one + two),
        (Arithmetic::Subtract, Value::Duration(one), Value::Duration(two)) => duration(one - two),
        _ => Err(mismatch(operator.sign(), &one, &two)),
    }
}

fn join<'a>(one: Cow<'a, str>, two: &str) -> Cow<'a, str> {
    if two.is_empty() { one } else { Cow::Owned(one.into_owned() + two) }
}

fn append<'a>(one: &List<'a>, two: &List<'a>) -> List<'a> {
    let elements = |list: &List<'a>| (0..list.len()).filter_map(|at| list.get(at)).collect::<Vec<_>>();
    List::Built(elements(one).into_iter().chain(elements(two)).collect())
}

/// `-x`.
pub(super) fn negate(value: &Value<'_>) -> Result<Value<'static>, EvaluationError> {
    match value {
        Value::Null => Ok(Value::Null),
        Value::Int(value) => value.checked_neg().map(Value::Int).ok_or(EvaluationError::Overflow("int")),
        Value::Double(value) => Ok(Value::Double(-value)),
        Value::Duration(span) => duration(-span),
        Value::Bool(_)
        | Value::Uint(_)
        | Value::Text(_)
        | Value::Timestamp(_)
        | Value::Object(_)
        | Value::List(_)
        | Value::Map(_) => Err(value.wrong("-")),
    }
}
