//! Calls of functions: which there are, what they take, what they give.

use std::ops::Range;

use cel::common::ast::{CallExpr, IdedExpr};
use regex::RegexBuilder;

use super::{Checker, Typed, macros};
use crate::policy::expression::convert::{convert, offset};
use crate::policy::expression::schema::Type;
use crate::policy::expression::suggest::{did_you_mean, nearest};
use crate::policy::expression::tree::{Function, Kind, TimePart};
use crate::policy::expression::value::Value;
use crate::policy::expression::{EvaluationError, Mistake};

/// The memory that a compiled pattern may take: the crate's default is ten times as much, for each rule.
const PATTERN_SIZE: usize = 1024 * 1024;

/// What to do where a fact is taken for a time.
pub(super) const JSON_HAS_NO_TIMES: &str =
    "facts are JSON, which has no times: read a text with timestamp() or duration()";

/// How a function is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `f(x)`.
    Free,
    /// `x.f()`.
    Method,
    /// Either.
    Both,
}

/// The functions: name, how it is called, with how many values at least and at most, the receiver one of them.
const FUNCTIONS: [(&str, Function, Style, [usize; 2]); 26] = [
    ("size", Function::Size, Style::Both, [1, 1]),
    ("contains", Function::Contains, Style::Method, [2, 2]),
    ("startsWith", Function::StartsWith, Style::Method, [2, 2]),
    ("endsWith", Function::EndsWith, Style::Method, [2, 2]),
    ("matches", Function::Matches, Style::Both, [2, 2]),
    ("lowerAscii", Function::LowerAscii, Style::Method, [1, 1]),
    ("upperAscii", Function::UpperAscii, Style::Method, [1, 1]),
    ("trim", Function::Trim, Style::Method, [1, 1]),
    ("bool", Function::Bool, Style::Free, [1, 1]),
    ("int", Function::Int, Style::Free, [1, 1]),
    ("uint", Function::Uint, Style::Free, [1, 1]),
    ("double", Function::Double, Style::Free, [1, 1]),
    ("string", Function::Text, Style::Free, [1, 1]),
    ("timestamp", Function::Timestamp, Style::Free, [1, 1]),
    ("duration", Function::Duration, Style::Free, [1, 1]),
    ("dyn", Function::Dyn, Style::Free, [1, 1]),
    ("getFullYear", Function::Get(TimePart::FullYear), Style::Method, [1, 2]),
    ("getMonth", Function::Get(TimePart::Month), Style::Method, [1, 2]),
    ("getDate", Function::Get(TimePart::Date), Style::Method, [1, 2]),
    ("getDayOfMonth", Function::Get(TimePart::DayOfMonth), Style::Method, [1, 2]),
    ("getDayOfWeek", Function::Get(TimePart::DayOfWeek), Style::Method, [1, 2]),
    ("getDayOfYear", Function::Get(TimePart::DayOfYear), Style::Method, [1, 2]),
    ("getHours", Function::Get(TimePart::Hours), Style::Method, [1, 2]),
    ("getMinutes", Function::Get(TimePart::Minutes), Style::Method, [1, 2]),
    ("getSeconds", Function::Get(TimePart::Seconds), Style::Method, [1, 2]),
    ("getMilliseconds", Function::Get(TimePart::Milliseconds), Style::Method, [1, 2]),
];

/// What other languages call them.
const ELSEWHERE: [(&str, &str); 9] = [
    ("toLowerCase", "lowerAscii()"),
    ("lower", "lowerAscii()"),
    ("toUpperCase", "upperAscii()"),
    ("upper", "upperAscii()"),
    ("strip", "trim()"),
    ("includes", "contains(...)"),
    ("length", "size()"),
    ("any", "exists(x, ...)"),
    ("some", "exists(x, ...)"),
];

impl Checker<'_> {
    pub(super) fn function(&mut self, bracket: Range<usize>, call: &CallExpr) -> Typed {
        let name = call.func_name.trim_start_matches('.');
        let word = self.layout.word_before(bracket.start);
        let behind = self.layout.behind_bracket(bracket.start);
        let receiver = call.target.as_deref().map(|target| self.check(target));
        let span = receiver.as_ref().map_or(word.start, |target| target.node.span.start)..behind;
        match receiver {
            Some(over) if macros::NAMES.contains(&name) => return self.each(&word, span, over, call),
            None if name == "has" => return self.has(span, call),
            _ => {}
        }
        let found = FUNCTIONS.iter().find(|(known, ..)| *known == name);
        let style = if receiver.is_some() { Style::Method } else { Style::Free };
        let Some((_, function, styles, counts)) = found else {
            return self.no_function(word, name, style, &call.args);
        };
        if *styles != Style::Both && *styles != style {
            let mistake = Mistake::new(word, format!("`{name}` is not called like this"));
            return self.wrong(mistake.help(match style {
                Style::Method => format!("write `{name}(x)`"),
                Style::Free | Style::Both => format!("write `x.{name}(...)`"),
            }));
        }
        let values: Vec<Typed> =
            receiver.into_iter().chain(call.args.iter().map(|part| self.check(part))).collect();
        if values.len() < counts[0] || values.len() > counts[1] {
            let beside = usize::from(style == Style::Method);
            let message = format!("`{name}` takes {} in its brackets", plural(counts[0] - beside));
            return self.wrong(Mistake::new(word, message));
        }
        self.apply(*function, name, span, values)
    }

    fn no_function(&mut self, word: Range<usize>, name: &str, style: Style, values: &[IdedExpr]) -> Typed {
        let fits = |styles: Style| styles == Style::Both || styles == style;
        let known = FUNCTIONS.iter().filter(|(_, _, styles, _)| fits(*styles)).map(|(known, ..)| *known);
        let macros: &[&str] = if style == Style::Method { &macros::NAMES } else { &["has"] };
        let mut help = did_you_mean(name, known.chain(macros.iter().copied()));
        let elsewhere = ELSEWHERE.iter().find(|(known, _)| *known == name);
        help = help.or_else(|| elsewhere.map(|(_, here)| format!("here it is called `{here}`")));
        let meant_macro = nearest(name, macros.iter().copied()).is_some()
            || elsewhere.is_some_and(|(_, here)| here.starts_with("exists"));
        if macros::NAMES.contains(&name) {
            help = Some(format!("write `list.{name}(x, ...)`"));
        } else if !meant_macro {
            for value in values {
                self.check(value);
            }
        }
        let mistake = Mistake::new(word, format!("there is no function `{name}`"));
        self.wrong(Mistake { help, ..mistake })
    }

    fn apply(&mut self, function: Function, name: &str, span: Range<usize>, values: Vec<Typed>) -> Typed {
        for (at, value) in values.iter().enumerate() {
            if !takes(function, at, &value.of) {
                let message = format!("`{name}` does not work on {}", value.of);
                let help = (value.of == Type::Json).then(|| JSON_HAS_NO_TIMES.to_owned());
                self.mistakes.push(Mistake { help, ..Mistake::new(value.span(), message) });
                return Typed::new(span, Kind::Constant(Value::Null), gives(function));
            }
        }
        let of = gives(function);
        if function == Function::Matches {
            return self.pattern(span, values);
        }
        if let (Function::Get(_), [first, second]) = (function, values.as_slice()) {
            self.find_bad_offset(first, second);
        }
        if matches!(function, Function::Timestamp | Function::Duration)
            && let [Typed { node, .. }] = values.as_slice()
            && let Kind::Constant(written) = &node.kind
        {
            return match convert(function, written.clone()) {
                Ok(value) => Typed::new(span, Kind::Constant(value), of),
                Err(error) => self.wrong(unreadable(function, span, &error)),
            };
        }
        Typed::new(span, Kind::Call(function, values.into_iter().map(|value| value.node).collect()), of)
    }

    /// `matches`: compiled here, so that no event pays for it and no pattern fails later.
    fn pattern(&mut self, span: Range<usize>, values: Vec<Typed>) -> Typed {
        let mut values = values.into_iter();
        let (Some(text), Some(pattern)) = (values.next(), values.next()) else {
            return self.wrong(Mistake::new(span, "`matches` takes a pattern"));
        };
        let Some(written) = pattern.constant_text() else {
            let mistake = Mistake::new(pattern.span(), "the pattern of `matches` must be written out");
            return self.wrong(mistake.help("compare texts that are known only later with contains()"));
        };
        match RegexBuilder::new(written).size_limit(PATTERN_SIZE).build() {
            Ok(regex) => Typed::new(span, Kind::Matches(Box::new(text.node), regex), Type::Bool),
            Err(error) => {
                let error = error.to_string();
                let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                self.wrong(Mistake::new(pattern.span(), format!("this is not a pattern: {why}")))
            }
        }
    }

    fn find_bad_offset(&mut self, of: &Typed, zone: &Typed) {
        if of.of == Type::Duration {
            self.mistake(zone.span(), "a duration has no offset from UTC");
        } else if zone.constant_text().is_some_and(|zone| offset(zone).is_none()) {
            let mistake = Mistake::new(zone.span(), "this is not an offset from UTC");
            self.mistakes
                .push(mistake.help("write \"UTC\" or one like \"+02:00\"; names of zones are not known"));
        }
    }
}

fn plural(count: usize) -> String {
    match count {
        0 => "nothing".into(),
        1 => "one value".into(),
        more => format!("{more} values"),
    }
}

fn unreadable(function: Function, span: Range<usize>, error: &EvaluationError) -> Mistake {
    let mistake = Mistake::new(span, error.to_string());
    mistake.help(if function == Function::Duration {
        "as in \"90s\", \"1h30m\" or \"250ms\""
    } else {
        "as in \"2026-01-31T12:00:00Z\""
    })
}

/// Whether a function takes a value of this type at this place.
fn takes(function: Function, at: usize, of: &Type) -> bool {
    use Type::{Bool, Double, Duration, Dyn, Int, Json, List, Map, Number, Text, Timestamp, Uint};
    if *of == Dyn || (*of == Json && !matches!((function, at), (Function::Get(_), 0))) {
        return true;
    }
    match (function, at) {
        (Function::Size, _) => matches!(of, Text | List(_) | Map(..)),
        (Function::Bool, _) => matches!(of, Bool | Text),
        (Function::Int, _) => matches!(of, Int | Uint | Double | Number | Text | Timestamp),
        (Function::Uint | Function::Double, _) => matches!(of, Int | Uint | Double | Number | Text),
        (Function::Text, _) => {
            matches!(of, Bool | Int | Uint | Double | Number | Text | Timestamp | Duration)
        }
        (Function::Timestamp, _) => matches!(of, Text | Int | Number | Timestamp),
        (Function::Duration, _) => matches!(of, Text | Duration),
        (Function::Dyn, _) => true,
        (
            Function::Get(TimePart::Hours | TimePart::Minutes | TimePart::Seconds | TimePart::Milliseconds),
            0,
        ) => {
            matches!(of, Timestamp | Duration)
        }
        (Function::Get(_), 0) => *of == Timestamp,
        (
            Function::Contains
            | Function::StartsWith
            | Function::EndsWith
            | Function::LowerAscii
            | Function::UpperAscii
            | Function::Trim
            | Function::Matches
            | Function::Get(_),
            _,
        ) => *of == Text,
    }
}

fn gives(function: Function) -> Type {
    match function {
        Function::Contains
        | Function::StartsWith
        | Function::EndsWith
        | Function::Matches
        | Function::Bool => Type::Bool,
        Function::Size | Function::Int | Function::Get(_) => Type::Int,
        Function::LowerAscii | Function::UpperAscii | Function::Trim | Function::Text => Type::Text,
        Function::Uint => Type::Uint,
        Function::Double => Type::Double,
        Function::Timestamp => Type::Timestamp,
        Function::Duration => Type::Duration,
        Function::Dyn => Type::Dyn,
    }
}
