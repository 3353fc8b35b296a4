//! Conversions between types, and what can be asked of times.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::Offset;

use super::EvaluationError;
use super::tree::{Function, TimePart};
use super::value::Value;

const SECOND: i128 = 1_000_000_000;
/// From 0001-01-01T00:00:00Z, as CEL has it, to where `jiff` ends, a day before the year 10000.
const TIMES: std::ops::RangeInclusive<i128> =
    -62_135_596_800 * SECOND..=253_402_207_200 * SECOND + (SECOND - 1);
/// The bound of a protobuf duration: some 10,000 years.
const LONGEST: i128 = 315_576_000_000 * SECOND;
/// 2^63 and 2^64: the first doubles beyond int and uint.
const INTS_END: f64 = 9_223_372_036_854_775_808.0;
const UINTS_END: f64 = 18_446_744_073_709_551_616.0;

/// A timestamp within its range.
pub(super) fn timestamp(nanos: i128) -> Result<Value<'static>, EvaluationError> {
    if TIMES.contains(&nanos) {
        Ok(Value::Timestamp(nanos))
    } else {
        Err(EvaluationError::Overflow("timestamp"))
    }
}

/// A duration within its range.
pub(super) fn duration(nanos: i128) -> Result<Value<'static>, EvaluationError> {
    if (-LONGEST..=LONGEST).contains(&nanos) {
        Ok(Value::Duration(nanos))
    } else {
        Err(EvaluationError::Overflow("duration"))
    }
}

/// `int()`, `string()` and the others. Of nothing comes nothing, or the empty value where there is one.
pub(super) fn convert<'a>(function: Function, value: Value<'a>) -> Result<Value<'a>, EvaluationError> {
    let (ints, uints) = (EvaluationError::Overflow("int"), EvaluationError::Overflow("uint"));
    Ok(match (function, value) {
        (Function::Dyn, value) => value,
        (Function::Text, value) => return text(value),
        (Function::Bool, Value::Null) => Value::Bool(false),
        (_, Value::Null) => Value::Null,

        (Function::Bool, Value::Bool(value)) => Value::Bool(value),
        (Function::Bool, Value::Text(text)) => Value::Bool(read_bool(&text)?),

        (Function::Int, Value::Int(value)) => Value::Int(value),
        (Function::Int, Value::Uint(value)) => Value::Int(i64::try_from(value).map_err(|_| ints)?),
        (Function::Int, Value::Double(value)) if value > -INTS_END && value < INTS_END => {
            Value::Int(value as i64)
        }
        (Function::Int, Value::Double(_)) => return Err(ints),
        (Function::Int, Value::Timestamp(at)) => {
            Value::Int(i64::try_from(at.div_euclid(SECOND)).map_err(|_| ints)?)
        }
        (Function::Int, Value::Text(text)) => Value::Int(read_number(&text, "int")?),

        (Function::Uint, Value::Uint(value)) => Value::Uint(value),
        (Function::Uint, Value::Int(value)) => Value::Uint(u64::try_from(value).map_err(|_| uints)?),
        (Function::Uint, Value::Double(value)) if value > -1.0 && value < UINTS_END => {
            Value::Uint(value as u64)
        }
        (Function::Uint, Value::Double(_)) => return Err(uints),
        (Function::Uint, Value::Text(text)) => Value::Uint(read_number(&text, "uint")?),

        (Function::Double, Value::Double(value)) => Value::Double(value),
        (Function::Double, Value::Int(value)) => Value::Double(value as f64),
        (Function::Double, Value::Uint(value)) => Value::Double(value as f64),
        (Function::Double, Value::Text(text)) => Value::Double(read_number(&text, "double")?),

        (Function::Timestamp, Value::Timestamp(at)) => Value::Timestamp(at),
        (Function::Timestamp, Value::Int(seconds)) => timestamp(i128::from(seconds) * SECOND)?,
        (Function::Timestamp, Value::Text(text)) => read_timestamp(&text)?,

        (Function::Duration, Value::Duration(span)) => Value::Duration(span),
        (Function::Duration, Value::Text(text)) => read_duration(&text)?,
        (_, value) => return Err(value.wrong("a conversion")),
    })
}

fn text(value: Value<'_>) -> Result<Value<'_>, EvaluationError> {
    Ok(Value::Text(match value {
        Value::Null => Cow::Borrowed(""),
        Value::Text(text) => text,
        Value::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
        Value::Int(value) => Cow::Owned(value.to_string()),
        Value::Uint(value) => Cow::Owned(value.to_string()),
        Value::Double(value) => Cow::Owned(value.to_string()),
        Value::Timestamp(at) => Cow::Owned(write_timestamp(at)),
        Value::Duration(span) => Cow::Owned(write_duration(span)),
        Value::Object(_) | Value::List(_) | Value::Map(_) => return Err(value.wrong("string()")),
    }))
}

fn read_bool(text: &str) -> Result<bool, EvaluationError> {
    match text {
        "true" | "TRUE" | "True" | "t" | "1" => Ok(true),
        "false" | "FALSE" | "False" | "f" | "0" => Ok(false),
        _ => Err(EvaluationError::Unreadable("bool")),
    }
}

fn read_number<T: std::str::FromStr>(text: &str, name: &'static str) -> Result<T, EvaluationError> {
    text.parse().map_err(|_| EvaluationError::Unreadable(name))
}

fn read_timestamp(text: &str) -> Result<Value<'static>, EvaluationError> {
    let at: Timestamp = text.parse().map_err(|_| EvaluationError::Unreadable("timestamp"))?;
    timestamp(at.as_nanosecond())
}

/// Reads `1h30m`, `-1.5s`, `250ms`.
fn read_duration(text: &str) -> Result<Value<'static>, EvaluationError> {
    const UNITS: [(&str, i128); 7] = [
        ("ms", 1_000_000),
        ("us", 1_000),
        ("µs", 1_000),
        ("ns", 1),
        ("h", 3600 * SECOND),
        ("m", 60 * SECOND),
        ("s", SECOND),
    ];
    let unreadable = || EvaluationError::Unreadable("duration");
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Value::Duration(0));
    }
    let mut total = 0_i128;
    while !rest.is_empty() || total == 0 {
        let end = rest.find(|one: char| !one.is_ascii_digit() && one != '.').ok_or_else(unreadable)?;
        let (number, behind) = rest.split_at(end);
        let (name, unit) = UNITS.iter().find(|(name, _)| behind.starts_with(name)).ok_or_else(unreadable)?;
        let part = scaled(number, *unit).ok_or_else(unreadable)?;
        total = total.checked_add(part).ok_or(EvaluationError::Overflow("duration"))?;
        rest = &behind[name.len()..];
        if rest.is_empty() {
            break;
        }
    }
    duration(sign * total)
}

/// A decimal number times a unit, digits below a nanosecond left out.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
    let fraction = &fraction[..fraction.len().min(18)];
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let whole = digits(whole)?.checked_mul(unit)?;
    whole.checked_add(digits(fraction)?.checked_mul(unit)? / scale)
}

pub(super) fn write_timestamp(nanos: i128) -> String {
    Timestamp::from_nanosecond(nanos).map_or_else(|_| nanos.to_string(), |at| at.to_string())
}

pub(super) fn write_duration(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, fraction) = (nanos.abs() / SECOND, nanos.abs() % SECOND);
    let digits = format!("{fraction:09}");
    match digits.trim_end_matches('0') {
        "" => format!("{sign}{whole}s"),
        digits => format!("{sign}{whole}.{digits}s"),
    }
}

/// A part of a time, in UTC or at a fixed offset; or of a duration.
pub(super) fn part(part: TimePart, of: &Value<'_>, zone: &str) -> Result<Value<'static>, EvaluationError> {
    match of {
        Value::Null => Ok(Value::Null),
        Value::Timestamp(at) => part_of_time(part, *at, zone),
        Value::Duration(span) => part_of_duration(part, *span),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Double(_)
        | Value::Text(_)
        | Value::Object(_)
        | Value::List(_)
        | Value::Map(_) => Err(of.wrong("a part of a time")),
    }
}

fn part_of_time(part: TimePart, nanos: i128, zone: &str) -> Result<Value<'static>, EvaluationError> {
    let offset = offset(zone).ok_or(EvaluationError::Unreadable("an offset from UTC"))?;
    let at = Timestamp::from_nanosecond(nanos).map_err(|_| EvaluationError::Overflow("timestamp"))?;
    let local = offset.to_datetime(at);
    Ok(Value::Int(match part {
        TimePart::FullYear => local.year().into(),
        TimePart::Month => i64::from(local.month()) - 1,
        TimePart::Date => local.day().into(),
        TimePart::DayOfMonth => i64::from(local.day()) - 1,
        TimePart::DayOfWeek => local.weekday().to_sunday_zero_offset().into(),
        TimePart::DayOfYear => i64::from(local.day_of_year()) - 1,
        TimePart::Hours => local.hour().into(),
        TimePart::Minutes => local.minute().into(),
        TimePart::Seconds => local.second().into(),
        TimePart::Milliseconds => local.millisecond().into(),
    }))
}

fn part_of_duration(part: TimePart, nanos: i128) -> Result<Value<'static>, EvaluationError> {
    let unit = match part {
        TimePart::Hours => 3600 * SECOND,
        TimePart::Minutes => 60 * SECOND,
        TimePart::Seconds => SECOND,
        TimePart::Milliseconds => return whole(nanos % SECOND / 1_000_000),
        TimePart::FullYear
        | TimePart::Month
        | TimePart::Date
        | TimePart::DayOfMonth
        | TimePart::DayOfWeek
        | TimePart::DayOfYear => return Err(Value::Duration(nanos).wrong("a part of a date")),
    };
    whole(nanos / unit)
}

fn whole(value: i128) -> Result<Value<'static>, EvaluationError> {
    i64::try_from(value).map(Value::Int).map_err(|_| EvaluationError::Overflow("int"))
}

/// Reads `UTC`, `+02:00`, `-7:30`. Names of zones need a database that changes; a rule must not.
pub(super) fn offset(zone: &str) -> Option<Offset> {
    if zone.is_empty() || zone == "UTC" || zone == "Z" {
        return Some(Offset::UTC);
    }
    let (sign, rest) = match zone.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, zone.strip_prefix('+').unwrap_or(zone)),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
    let seconds = i32::from(hours) * 3600 + i32::from(minutes) * 60;
    if hours < 15 && minutes < 60 { Offset::from_seconds(sign * seconds).ok() } else { None }
}
