//! The specification's own tests of CEL, as far as they are about the part of the language that rules use.
//!
//! A rule's expression is a condition, so a test's expression is compared with the value that it should have.
//! Where an error is expected, refusing the expression when it is compiled counts too: that is earlier.

mod textproto;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use recwarden::model::conversation::Conversation;
use recwarden::policy::expression::Expression;
use recwarden::policy::subject::{Facts, Subject};
use textproto::Message;

/// Of each file: tests that pass, tests that apply, and tests in all. A number that goes down is a mistake;
/// one that goes up is entered here and in the README.
const PASSES: [(&str, usize, usize, usize); 18] = [
    ("basic", 32, 32, 43),
    ("bindings_ext", 0, 0, 8),
    ("block_ext", 0, 0, 37),
    ("comparisons", 269, 281, 406),
    ("conversions", 71, 71, 109),
    ("fields", 27, 38, 60),
    ("fp_math", 29, 29, 30),
    ("integer_math", 61, 61, 64),
    ("lists", 39, 39, 39),
    ("logic", 21, 21, 30),
    ("macros", 39, 44, 44),
    ("macros2", 0, 0, 46),
    ("optionals", 0, 0, 70),
    ("parse", 111, 111, 219),
    ("plumbing", 3, 3, 5),
    ("string", 44, 44, 51),
    ("string_ext", 11, 11, 216),
    ("timestamps", 67, 68, 78),
];

/// What a test uses that rules do not: a name for it, and signs by which it is known in the expression.
const NOT_IN_RULES: [(&str, &[&str]); 9] = [
    (
        "protobuf messages and enums",
        &["TestAllTypes", "google.protobuf", "GlobalEnum", "NestedEnum", "NullValue"],
    ),
    ("bytes", &["b'", "b\"", "bytes(", "B'", "B\""]),
    ("optional values", &["optional.", ".?", "[?", "{?", ".opt"]),
    ("types as values", &["type(", "== type", "== int", "list ==", "map =="]),
    ("cel.bind and cel.block", &["cel.bind", "cel.block", "cel.index", "cel.iterVar"]),
    (
        "extensions for strings",
        &[
            ".charAt(",
            ".indexOf(",
            ".lastIndexOf(",
            ".join(",
            ".replace(",
            ".split(",
            ".substring(",
            ".format(",
            ".reverse(",
            "strings.quote(",
            "math.",
        ],
    ),
    ("macros with two variables", &["transformList", "transformMap", "(i, v,", "(k, v,"]),
    ("names of time zones", &["America/", "Asia/", "Australia/", "Europe/", "'US/", "\"US/"]),
    ("the checker switched off", &[]),
];

/// Why a test does not apply.
fn beyond_rules(file: &str, test: &Message) -> Option<&'static str> {
    let expression = test.text("expr");
    let name = |at: usize| Some(NOT_IN_RULES[at].0);
    if test.has("bindings") || test.has("type_env") {
        return Some("variables of the test's own");
    }
    if file == "macros2" {
        return name(6);
    }
    let value = test.get("value");
    if value.is_some_and(|value| value.has("bytes_value")) {
        return name(1);
    }
    if value.is_some_and(|value| value.has("type_value")) || test.has("typed_result") {
        return name(3);
    }
    if let Some((reason, _)) =
        NOT_IN_RULES.iter().find(|(_, signs)| signs.iter().any(|sign| expression.contains(sign)))
    {
        return Some(reason);
    }
    (test.text("disable_check") == "true").then_some(NOT_IN_RULES[8].0)
}

/// A value as an expression writes it.
fn literal(value: &Message) -> Option<String> {
    let (kind, _) = value.0.first()?;
    let text = value.text(kind);
    Some(match kind.as_str() {
        "null_value" => "null".into(),
        "bool_value" => text,
        "int64_value" if text == "-9223372036854775808" => "(-9223372036854775807 - 1)".into(),
        "int64_value" => format!("({text})"),
        "uint64_value" => format!("{text}u"),
        "double_value" => double(&text),
        "string_value" => quoted(&text),
        "list_value" => {
            let elements: Option<Vec<String>> = value.get(kind)?.all("values").map(literal).collect();
            format!("[{}]", elements?.iter().map(|one| format!("dyn({one})")).collect::<Vec<_>>().join(", "))
        }
        "map_value" => {
            let pair = |entry: &Message| {
                Some(format!("dyn({}): dyn({})", literal(entry.get("key")?)?, literal(entry.get("value")?)?))
            };
            let entries: Option<Vec<String>> = value.get(kind)?.all("entries").map(pair).collect();
            format!("{{{}}}", entries?.join(", "))
        }
        "object_value" => {
            let (name, _) = value.get(kind)?.0.first()?;
            let message = value.get(kind)?.get(name)?;
            let number = |field: &str| message.text(field).parse::<i64>().unwrap_or(0);
            match name.rsplit('.').next()? {
                "Timestamp" => {
                    format!("(timestamp({}) + duration('{}ns'))", number("seconds"), number("nanos"))
                }
                "Duration" => {
                    format!("(duration('{}s') + duration('{}ns'))", number("seconds"), number("nanos"))
                }
                _ => return None,
            }
        }
        _ => return None,
    })
}

fn double(text: &str) -> String {
    match text {
        "inf" | "Infinity" => "(1.0 / 0.0)".into(),
        "-inf" | "-Infinity" => "(-1.0 / 0.0)".into(),
        _ => format!("double({})", quoted(text)),
    }
}

fn quoted(text: &str) -> String {
    let escaped = |one: char| match one {
        '\'' | '\\' => format!("\\{one}"),
        '\n' | '\r' | '\0'..='\x1f' => format!("\\u{:04x}", u32::from(one)),
        one => one.to_string(),
    };
    format!("'{}'", text.chars().map(escaped).collect::<String>())
}

/// The expression that holds where `expression` has the value, of that type too.
fn condition(expression: &str, value: Option<&Message>) -> Option<String> {
    let Some(value) = value else { return Some(expression.to_owned()) };
    let expected = literal(value)?;
    // A number equals one of another type; none can be added to it.
    let zero = match value.0.first()?.0.as_str() {
        "int64_value" => "0",
        "uint64_value" => "0u",
        "double_value" if value.text("double_value") == "nan" => {
            return Some(format!("({expression}) != ({expression})"));
        }
        "double_value" => "0.0",
        "string_value" => "''",
        _ => return Some(format!("dyn({expression}) == dyn({expected})")),
    };
    Some(format!("({expression}) + {zero} == {expected}"))
}

fn passes(test: &Message) -> Result<(), String> {
    let expression = test.text("expr");
    let wanted = if test.has("eval_error") {
        format!("dyn({expression}) == null")
    } else {
        condition(&expression, test.get("value")).ok_or("a value of a type that rules do not have")?
    };
    let compiled = match Expression::compile(&wanted) {
        Ok(compiled) => compiled,
        Err(_) if test.has("eval_error") => return Ok(()),
        Err(mistakes) => return Err(format!("refused: {}", mistakes[0].message)),
    };
    let (conversation, facts) = (Conversation::default(), Facts::new());
    let subject = Subject { conversation: &conversation, facts: &facts, topic: "" };
    match (compiled.evaluate(subject), test.has("eval_error")) {
        (Err(_), true) | (Ok(true), false) => Ok(()),
        (outcome, _) => Err(format!("{outcome:?}")),
    }
}

#[test]
fn the_specifications_tests_pass_as_often_as_the_readme_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cel-conformance");
    let mut files: BTreeMap<String, Message> = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the fixtures") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|end| end == "textproto") {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            files.insert(name, textproto::read(&fs::read_to_string(&path).expect("a text")));
        }
    }
    let readme = include_str!("../../README.md");
    let (mut counted, mut failed) = (Vec::new(), String::new());
    for (file, tests) in &files {
        let (mut passed, mut apply, mut all) = (0, 0, 0);
        for test in tests.all("section").flat_map(|section| section.all("test")) {
            all += 1;
            if beyond_rules(file, test).is_some() {
                continue;
            }
            apply += 1;
            match passes(test) {
                Ok(()) => passed += 1,
                Err(why) => {
                    failed += &format!("{file}: {}: {}: {why}\n", test.text("name"), test.text("expr"))
                }
            }
        }
        counted.push((file.as_str(), passed, apply, all));
        let row = format!("| {file} | {passed} | {apply} | {all} |");
        if !readme.contains(&row) {
            failed += &format!("README.md: this row of the table is missing: {row}\n");
        }
    }
    assert_eq!(counted, PASSES, "\n{failed}");
}
