//! How results are written: for people as `cargo test` writes them, as JUnit XML, or as JSON lines.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use crossterm::style::Stylize;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde_json::json;

use super::{Format, Results};
use crate::model::diagnostic::plain;
use crate::settings::suite::Test;
use crate::warden::trial::{Failure, Outcome};

/// Rules that are named at the end; a policy may hold thousands.
const NAMED: usize = 50;

/// Writes results in one format.
pub(super) struct Report {
    format: Format,
    colour: bool,
}

impl Report {
    pub(super) fn begin(format: Format, tests: usize, out: &mut dyn Write) -> io::Result<Self> {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        if format == Format::Text {
            writeln!(out, "running {tests} test{}", if tests == 1 { "" } else { "s" })?;
        }
        Ok(Self { format, colour })
    }

    /// One test is done.
    pub(super) fn test(&self, test: &Test, outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
        let name = &test.example.name;
        match self.format {
            Format::Text => {
                writeln!(
                    out,
                    "test {} ... {}",
                    plain(&name.text),
                    self.word(outcome.failures.is_empty().into())
                )
            }
            Format::Json => {
                let failures: Vec<_> = outcome.failures.iter().map(failure_json).collect();
                let result = if failures.is_empty() { "ok" } else { "failed" };
                let (file, line) = (&name.place.file, name.place.line);
                let line = json!({"test": name.text, "file": file, "line": line, "result": result, "failures": failures});
                writeln!(out, "{line}")
            }
            Format::Junit => Ok(()),
        }
    }

    /// All tests are done.
    pub(super) fn end(&self, results: &Results<'_>, out: &mut dyn Write) -> io::Result<()> {
        match self.format {
            Format::Text => self.text(results, out),
            Format::Json => {
                let (failed, ran) = (results.failed(), results.done.len());
                let summary = json!({"summary": {
                    "passed": ran - failed,
                    "failed": failed,
                    "filtered": results.filtered,
                    "rules": results.rules,
                    "never_fired": results.never_fired,
                }});
                writeln!(out, "{summary}")
            }
            Format::Junit => junit(results, out),
        }
    }

    fn word(&self, result: Word) -> String {
        match (result, self.colour) {
            (Word::Ok, true) => "ok".green().to_string(),
            (Word::Ok, false) => "ok".to_owned(),
            (Word::Failed, true) => "FAILED".red().to_string(),
            (Word::Failed, false) => "FAILED".to_owned(),
        }
    }

    fn text(&self, results: &Results<'_>, out: &mut dyn Write) -> io::Result<()> {
        let (failed, ran) = (results.failed(), results.done.len());
        if failed > 0 {
            writeln!(out, "\nfailures:")?;
        }
        for (test, outcome) in results.done.iter().filter(|(_, outcome)| !outcome.failures.is_empty()) {
            writeln!(out, "\n---- {} ----", plain(&test.example.name.text))?;
            for failure in &outcome.failures {
                self.failure(failure, out)?;
            }
        }
        if let Some(never) = &results.never_fired {
            let fired = results.rules - never.len();
            write!(out, "\nrule coverage: {fired} of {} rules spoke in a test", results.rules)?;
            let named: Vec<&str> = never.iter().take(NAMED).map(String::as_str).collect();
            match (never.len(), never.len().saturating_sub(NAMED)) {
                (0, _) => writeln!(out)?,
                (_, 0) => writeln!(out, "; never: {}", named.join(", "))?,
                (_, more) => writeln!(out, "; never: {} and {more} more", named.join(", "))?,
            }
        }
        if ran == 0 && results.filtered == 0 {
            writeln!(out, "\nthere is no [[test]] in the configuration or in its rule files")?;
        }
        let word = self.word((failed == 0).into());
        let (passed, filtered) = (ran - failed, results.filtered);
        writeln!(out, "\ntest result: {word}. {passed} passed; {failed} failed; {filtered} filtered out")
    }

    fn failure(&self, failure: &Failure, out: &mut dyn Write) -> io::Result<()> {
        let place = &failure.place;
        let after = humantime::format_duration(failure.after);
        writeln!(
            out,
            "{}:{}:{}: step {}, after {after}",
            place.file, place.line, place.column, failure.step
        )?;
        if let Some(source) = &place.source {
            writeln!(out, "{} | {}", place.line, source.line)?;
        }
        for one in &failure.differs {
            let (expected, got) =
                (format!("- expected: {}", one.expected), format!("+      got: {}", one.got));
            if self.colour {
                writeln!(out, "{}\n{}", expected.green(), got.red())?;
            } else {
                writeln!(out, "{expected}\n{got}")?;
            }
        }
        for line in &failure.why {
            writeln!(out, "  why: {line}")?;
        }
        for line in &failure.happened {
            writeln!(out, "  {line}")?;
        }
        Ok(())
    }
}

/// How a test, or all of them, went.
#[derive(Clone, Copy)]
enum Word {
    Ok,
    Failed,
}

impl From<bool> for Word {
    fn from(passed: bool) -> Self {
        if passed { Self::Ok } else { Self::Failed }
    }
}

fn failure_json(failure: &Failure) -> serde_json::Value {
    let differs: Vec<_> =
        failure.differs.iter().map(|one| json!({"expected": one.expected, "got": one.got})).collect();
    json!({
        "step": failure.step,
        "file": failure.place.file,
        "line": failure.place.line,
        "differs": differs,
        "why": failure.why,
        "happened": failure.happened,
    })
}

/// A text as XML can hold it: what it has no place for is written as an escape, so that two names stay two.
fn for_xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '\t' | '\n' | '\r' => out.push(one),
            '\u{fffe}' | '\u{ffff}' => out.extend(one.escape_unicode()),
            one if one.is_control() => out.extend(one.escape_unicode()),
            one => out.push(one),
        }
    }
    out
}

/// One suite for each file that holds tests.
fn junit(results: &Results<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
    for (test, outcome) in &results.done {
        let place = &test.example.name.place;
        let suite = suites.entry(&place.file).or_insert_with(|| TestSuite::new(for_xml(&place.file)));
        let mut status = TestCaseStatus::success();
        if let Some(first) = outcome.failures.first() {
            status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let differs =
                first.differs.iter().map(|one| format!("expected {}; got {}", one.expected, one.got));
            status.set_message(for_xml(&differs.collect::<Vec<_>>().join("; ")));
            status.set_type("verdict");
            let (mut text, plain) = (Vec::new(), Report { format: Format::Text, colour: false });
            for failure in &outcome.failures {
                plain.failure(failure, &mut text)?;
            }
            status.set_description(for_xml(&String::from_utf8_lossy(&text)));
        }
        let mut case = TestCase::new(for_xml(&test.example.name.text), status);
        case.set_classname(for_xml(&place.file));
        case.extra.insert("file".into(), for_xml(&place.file).into());
        case.extra.insert("line".into(), place.line.to_string().into());
        suite.add_test_case(case);
    }
    let mut report = quick_junit::Report::new("recwarden");
    report.add_test_suites(suites.into_values());
    report.serialize(&mut *out).map_err(io::Error::other)
}
