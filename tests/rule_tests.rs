//! `recwarden test` as a rule author sees it.

use std::path::Path;
use std::process::{Command, Output};

const RULES: &str = r#"
[[rule]]
name = "pause-while-card-is-read"
queue = ["Payments", "Card *"]
attribute = { "pci" = "on" }
action = "stop"
priority = 100
at_most = "15m"

[[rule]]
name = "fraud-is-recorded"
when = 'facts.fraud == true'
action = "start"
priority = 200

[[rule]]
name = "nobody-tests-me"
queue = "Nowhere"
action = "stop"
"#;

/// The test of PRODUCT.md 3.
const TESTS: &str = r#"
[[test]]
name = "a pause that someone forgot lets go"
given = { queue = "Payments", attributes = { pci = "on" } }
steps = [
  { expect = "stop", rule = "pause-while-card-is-read" },
  { advance = "15m", expect = "start", rule = "pause-while-card-is-read" },     # given back
  { set = { attributes = { pci = "off" } }, expect = "leave" },
  { event = "fixtures/pay-pci-on.json", expect = "stop" },                      # relative to this file
  { facts = { fraud = true }, expect = "start" },
  { directive = "stop", expect = "stop", rule = "directive" },
]
"#;

const EVENT: &str = r#"{"topicName":"v2.routing.queues.q.conversations.calls","version":"2","eventBody":{
    "id":"8f1b3c9e-1111-4222-8333-944444444444","recordingState":"active","participants":[
    {"id":"c","purpose":"customer","state":"connected","direction":"inbound","attributes":{"pci":"on"}},
    {"id":"a","purpose":"agent","state":"connected","queue":{"id":"q","name":"Card Europe"}}]}}"#;

fn folder(tests: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    std::fs::create_dir_all(folder.path().join("rules/fixtures")).expect("made");
    write("recwarden.toml", "[policy]\nfiles = [\"rules/*.toml\"]\n");
    write("rules/pci.toml", &format!("{RULES}{tests}"));
    write("rules/fixtures/pay-pci-on.json", EVENT);
    folder
}

fn recwarden(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_recwarden"))
        .args(arguments)
        .args(["--config", "recwarden.toml"])
        .current_dir(folder)
        .env_remove("RECWARDEN_CONFIG")
        .output()
        .expect("it runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn complaints(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn the_test_of_the_product_page_passes_and_the_coverage_names_the_rest() {
    let folder = folder(TESTS);
    let output = recwarden(folder.path(), &["test"]);
    assert_eq!(
        out(&output),
        "running 1 test\ntest a pause that someone forgot lets go ... ok\n\n\
         rule coverage: 2 of 3 rules spoke in a test; never: nobody-tests-me\n\n\
         test result: ok. 1 passed; 0 failed; 0 filtered out\n"
    );
    assert_eq!((output.status.code(), complaints(&output)), (Some(0), String::new()));
    assert_eq!(recwarden(folder.path(), &["check"]).status.code(), Some(0));
}

#[test]
fn a_failure_shows_place_difference_and_the_first_condition_that_failed() {
    let tests = "[[test]]\nname = \"wrong\"\ngiven = { queue = \"Payments\", attributes = { pci = \"off\" } }\n\
                 steps = [{ expect = \"stop\", rule = \"pause-while-card-is-read\" }]\n\
                 [[test]]\nname = \"right\"\nsteps = [{ expect = \"leave\" }]\n";
    let folder = folder(tests);
    let output = recwarden(folder.path(), &["test"]);
    let text = out(&output);
    for wanted in [
        "test wrong ... FAILED\ntest right ... ok\n",
        "---- wrong ----\nrules/pci.toml:23:10: step 1, after 0s\n",
        "- expected: stop, by rule 'pause-while-card-is-read'\n+      got: leave, by policy.default\n",
        "why: rule 'pause-while-card-is-read' does not match: attribute.pci: saw \"off\"; needed \"on\"\n",
        "test result: FAILED. 1 passed; 1 failed; 0 filtered out\n",
    ] {
        assert!(text.contains(wanted), "{wanted}\nis not in\n{text}");
    }
    assert_eq!(
        (output.status.code(), complaints(&output)),
        (Some(1), "recwarden: 1 of 2 rule tests failed\n".into())
    );
    let chosen = recwarden(folder.path(), &["test", "righ"]);
    assert!(
        out(&chosen).ends_with("test result: ok. 1 passed; 0 failed; 1 filtered out\n"),
        "{}",
        out(&chosen)
    );
    assert_eq!(chosen.status.code(), Some(0));
    let none = recwarden(folder.path(), &["test", "right", "rigth"]);
    assert_eq!((none.status.code(), out(&none)), (Some(2), String::new()));
    assert!(complaints(&none).contains("no test has 'rigth' in its name"), "{}", complaints(&none));
}

#[test]
fn machines_read_junit_xml_and_json_lines() {
    let tests = "[[test]]\nname = \"a <b> & 'c'\"\nsteps = [{ expect = \"stop\" }]\n";
    let folder = folder(tests);
    let junit = out(&recwarden(folder.path(), &["test", "--format", "junit"]));
    let report = quick_junit::Report::deserialize_from_str(&junit).expect("JUnit XML");
    assert_eq!((report.tests, report.failures), (1, 1));
    let case = &report.test_suites[0].test_cases[0];
    assert_eq!(case.name.as_str(), "a <b> & 'c'");
    let odd = "[[test]]\nname = \"\\u0001 \\u001b[31m \\ufffe ]]>\"\ngiven = { queue = \"\\u0000\" }\nsteps = [{ expect = \"stop\" }]\n";
    let junit = out(&recwarden(self::folder(odd).path(), &["test", "--format", "junit"]));
    let text = out(&recwarden(self::folder(odd).path(), &["test"]));
    assert!(text.contains("test \\u{1} \\u{1b}[31m") && !text.contains('\u{1b}'), "{text:?}");
    let is_odd = |one: char| (one.is_control() && one != '\n') || one == '\u{fffe}';
    assert!(!junit.contains(is_odd), "{junit:?}");
    let report = quick_junit::Report::deserialize_from_str(&junit).expect("JUnit XML");
    assert_eq!(report.test_suites[0].test_cases[0].name.as_str(), "\\u{1} \\u{1b}[31m \\u{fffe} ]]>");
    let json = out(&recwarden(folder.path(), &["test", "--format", "json"]));
    let lines: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["failures"][0]["differs"][0]["got"], "leave, by policy.default");
    assert_eq!(lines[1]["summary"]["failed"], 1);
    assert_eq!(lines[1]["summary"]["never_fired"].as_array().map(Vec::len), Some(3));
}

#[test]
fn bad_tests_are_told_with_their_places_and_none_is_run() {
    let tests = "[[test]]\nname = \"bad\"\nsteps = [\n{ event = \"fixtures/none.json\", expect = \"stop\" },\n\
                 { event = \"pci.toml\" },\n{ expect = \"stop\", rule = \"fraud-is-recorder\" },\n{ expct = \"stop\" },\n]\n";
    let folder = folder(tests);
    let output = recwarden(folder.path(), &["test"]);
    let text = complaints(&output);
    for wanted in [
        "rules/pci.toml:23:12: error: rules/fixtures/none.json cannot be opened: No such file or directory",
        "23 | { event = \"fixtures/none.json\", expect = \"stop\" },",
        "rules/pci.toml:24:12: error: rules/pci.toml:2: not a JSON object",
        "rules/pci.toml:25:28: error: there is no rule 'fraud-is-recorder'",
        "help: did you mean 'fraud-is-recorded'?",
        "rules/pci.toml:26:3: error: unknown key 'expct' in [[steps]]",
        "recwarden: the rule tests are invalid (4 mistakes), so none was run",
    ] {
        assert!(text.contains(wanted), "{wanted}\nis not in\n{text}");
    }
    assert_eq!((output.status.code(), out(&output)), (Some(1), String::new()));
    // `check` tells the same, as part of the configuration.
    let check = recwarden(folder.path(), &["check"]);
    assert!(
        complaints(&check).contains("rules/fixtures/none.json cannot be opened"),
        "{}",
        complaints(&check)
    );
    assert_eq!(check.status.code(), Some(78));
}

#[test]
fn wrong_rules_are_a_wrong_configuration() {
    let folder = folder("[[rule]]\nname = \"x\"\nactoin = \"stop\"\n");
    assert_eq!(recwarden(folder.path(), &["test"]).status.code(), Some(78));
}
