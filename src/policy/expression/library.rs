//! The functions.

use std::borrow::Cow;

use super::EvaluationError;
use super::convert::{convert, part};
use super::tree::Function;
use super::value::Value;

type Outcome<'a> = Result<Value<'a>, EvaluationError>;

/// Calls a function with one value or two.
pub(super) fn call<'a>(function: Function, first: Value<'a>, second: Option<Value<'a>>) -> Outcome<'a> {
    match function {
        Function::Size => size(&first),
        Function::Contains => texts(first, second, "contains()", |text, part| text.contains(part)),
        Function::StartsWith => texts(first, second, "startsWith()", |text, part| text.starts_with(part)),
        Function::EndsWith => texts(first, second, "endsWith()", |text, part| text.ends_with(part)),
        Function::LowerAscii => changed(
            first,
            "lowerAscii()",
            |text| text.bytes().any(|one| one.is_ascii_uppercase()),
            str::to_ascii_lowercase,
        ),
        Function::UpperAscii => changed(
            first,
            "upperAscii()",
            |text| text.bytes().any(|one| one.is_ascii_lowercase()),
            str::to_ascii_uppercase,
        ),
        Function::Trim => changed(first, "trim()", |text| text.trim() != text, |text| text.trim().to_owned()),
        Function::Get(wanted) => {
            let zone = second.unwrap_or(Value::Null).into_text("an offset")?;
            part(wanted, &first, &zone)
        }
        Function::Matches => Err(first.wrong("matches()")),
        Function::Bool
        | Function::Int
        | Function::Uint
        | Function::Double
        | Function::Text
        | Function::Timestamp
        | Function::Duration
        | Function::Dyn => convert(function, first),
    }
}

fn size(value: &Value<'_>) -> Outcome<'static> {
    let size = match value {
        Value::Null => 0,
        Value::Text(text) => text.chars().count(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Double(_)
        | Value::Timestamp(_)
        | Value::Duration(_)
        | Value::Object(_) => return Err(value.wrong("size()")),
    };
    i64::try_from(size).map(Value::Int).map_err(|_| EvaluationError::Overflow("int"))
}

fn texts<'a>(
    text: Value<'a>,
    part: Option<Value<'a>>,
    name: &'static str,
    test: fn(&str, &str) -> bool,
) -> Outcome<'a> {
    let part = part.unwrap_or(Value::Null).into_text(name)?;
    Ok(Value::Bool(test(&text.into_text(name)?, &part)))
}

fn changed<'a>(
    text: Value<'a>,
    name: &'static str,
    differs: fn(&str) -> bool,
    change: fn(&str) -> String,
) -> Outcome<'a> {
    let text = text.into_text(name)?;
    Ok(Value::Text(if differs(&text) { Cow::Owned(change(&text)) } else { text }))
}
