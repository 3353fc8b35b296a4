//! What is wrong with rules as written: `check` and `run` say where, and exit with 78.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Writes the files, the first of which is the main one, and runs a command on that.
fn recwarden(command: &str, files: &[(&str, &str)]) -> (Output, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_recwarden"))
        .args([command, "--config", files[0].0])
        .current_dir(folder.path())
        .env_clear()
        .output()
        .expect("the program runs");
    (output, folder)
}

const MAIN: &str = "[genesys]\nregion = \"us-east-1\"\nclient_id = \"x\"\nclient_secret = \"y\"\n";

/// What is said where the main file goes on with `text`.
fn said(text: &str) -> String {
    said_of(&[("main.toml", &format!("{MAIN}{text}"))])
}

#[track_caller]
fn said_of(files: &[(&str, &str)]) -> String {
    let mut both = Vec::new();
    for command in ["check", "run"] {
        let (output, _folder) = recwarden(command, files);
        assert_eq!(output.status.code(), Some(78), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        both.push(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let [check, run] = both.as_slice() else { panic!("two") };
    assert!(check.contains("error: ") && run.contains("error: "), "{check}{run}");
    check.clone()
}

#[track_caller]
fn says(text: &str, expected: &[&str]) {
    for part in expected {
        assert!(text.contains(part), "{part:?} is missing from:\n{text}");
    }
}

#[test]
fn a_second_rule_of_a_name_is_shown_with_the_first() {
    let rule = "[[rule]]\nname = \"a\"\naction = \"stop\"\n";
    says(
        &said(&format!("{rule}{rule}{rule}")),
        &[
            "main.toml:9:9: error: a second rule is called 'a'",
            "9 | name = \"a\"\n  |         ^",
            "help: the first one is at main.toml:6:9\nmain.toml:12:9: error: a second rule",
            "12 | name = \"a\"\n   |         ^\nhelp: the first one is at main.toml:6:9",
        ],
    );
    let main = format!("{MAIN}[policy]\nfiles = [\"rules/*.toml\"]\n{rule}");
    says(
        &said_of(&[("main.toml", &main), ("rules/more.toml", rule)]),
        &["rules/more.toml:2:9: error: a second rule is called 'a'", "the first one is at main.toml:8:9"],
    );
}

#[test]
fn files_that_include_themselves_or_each_other_are_refused() {
    let main = format!("{MAIN}[policy]\nfiles = [\"*.toml\"]\n");
    says(
        &said_of(&[("main.toml", &main)]),
        &[
            "main.toml:6:11: error: '*.toml' names this file itself",
            "help: keep rules in a folder of their own",
        ],
    );
    let main = format!("{MAIN}[policy]\nfiles = [\"rules/a.toml\"]\n");
    let circle = "[policy]\nfiles = [\"../main.toml\"]\n";
    says(
        &said_of(&[("main.toml", &main), ("rules/a.toml", circle)]),
        &["rules/a.toml:1:", "error: [policy] stands in the main file alone"],
    );
}

#[test]
fn files_that_cannot_be_had_are_pointed_at() {
    let main = format!("{MAIN}[policy]\nfiles = [\"none.toml\", \"[\", \"a*/b.toml\", \"no/*.toml\"]\n");
    says(
        &said_of(&[("main.toml", &main)]),
        &[
            "main.toml:6:11: error: none.toml: the file cannot be read: No such file",
            "main.toml:6:24: error: '[' is not a glob: ",
            "main.toml:6:29: error: 'a*/b.toml' has a glob for a folder",
            "main.toml:6:42: error: the folder 'no' cannot be read",
        ],
    );
    let main = format!("{MAIN}[policy]\nfiles = [\"rules/*\"]\n");
    says(&said_of(&[("main.toml", &main), ("rules/a/b", "")]), &["rules/a:1:1: error: this is not a file"]);
}

/// What editors and archives leave behind.
#[test]
fn a_hidden_file_is_read_only_where_the_pattern_begins_with_its_dot() {
    let rule = |name: &str| format!("[[rule]]\nname = \"{name}\"\nflagged = true\naction = \"stop\"\n");
    for (files, rules) in [("rules/*.toml", "valid, 1 rule,"), ("rules/.*.toml", "valid, 2 rules,")] {
        let main = format!("[policy]\nfiles = [\"{files}\"]\n");
        let (output, _folder) = recwarden(
            "check",
            &[
                ("main.toml", &main),
                ("rules/a.toml", &rule("a")),
                ("rules/.hidden.toml", &rule("b")),
                ("rules/._a.toml", &rule("c")),
            ],
        );
        says(&String::from_utf8_lossy(&output.stdout), &[rules]);
    }
}

#[test]
fn globs_and_patterns_that_are_none_are_pointed_at() {
    let text = "[[rule]]\nname = \"a\"\naction = \"stop\"\nqueue = [\"Pay[\"]\nattribute = { pci = \"{on\" }\n\
                when = 'agent.name.matches(\"(\")'\n";
    says(
        &said(text),
        &[
            "main.toml:8:11: error: 'Pay[' is not a glob: ",
            "main.toml:9:22: error: '{on' is not a glob: ",
            "main.toml:10:28: error: this is not a pattern: unclosed group",
            "10 | when = 'agent.name.matches(\"(\")'\n   |                            ^^^",
        ],
    );
}

#[test]
fn one_wrong_key_hides_no_other_mistake() {
    let text = "[[rule]]\nname = 7\naction = \"stpo\"\ndirection = \"in\"\nmedia = [\"cal\"]\nqueue = []\n\
                attribute = { pci = [] }\npriority = \"high\"\nafter = \"soon\"\nprio = 1\n\
                when = 'agent.hold && attributes.pci == 1'\n";
    says(
        &said(text),
        &[
            "main.toml:6:8: error: 'name' must be a text in quotes",
            "main.toml:7:11: error: 'stpo' is not an action; it must be one of: start, stop",
            "help: did you mean 'stop'?",
            "main.toml:8:14: error: 'in' is not a direction",
            "main.toml:9:11: error: 'cal' is not a medium",
            "main.toml:10:9: error: 'queue' is an empty list, so the rule can never match",
            "main.toml:11:21: error: 'pci' is an empty list, so the rule can never match",
            "main.toml:12:13: error: 'priority' must be a whole number",
            "main.toml:13:10: error: 'soon' is not a span of time",
            "main.toml:14:1: error: unknown key 'prio' in [[rule]]",
            "main.toml:15:15: error: a participant has no field `hold`",
            "help: did you mean `held`?",
            "main.toml:15:23: error: a string is never equal to an int",
        ],
    );
    let output = said(text);
    assert_eq!(output.matches("'media' is an empty list").count(), 0, "its word is wrong, it is not empty");
}

#[test]
fn a_character_that_only_looks_right_is_named() {
    let rule = |name: &str| format!("[[rule]]\nname = \"{name}\"\naction = \"stop\"\n");
    says(
        &said(&rule("p\u{430}use")),
        &[
            "main.toml:6:10: error: 'p\u{430}use' is not a rule name: '\u{430}' (U+0430) is not the 'a' that it looks like",
            "6 | name = \"p\u{430}use\"\n  |          ^",
        ],
    );
    says(
        &said(&rule("pau\u{200b}se")),
        &["main.toml:6:12: error: ", "there is a U+200B in it, which cannot be seen"],
    );
    let text = "[[rule]]\nname = \"a\"\n\"\u{430}ction\" = \"stop\"\naction = \"st\u{43e}p\"\nwhen = '\u{430}gent.held'\n";
    says(
        &said(text),
        &[
            "main.toml:7:2: error: unknown key '\u{430}ction' in [[rule]]",
            "did you mean 'action'? ('\u{430}' (U+0430) is not the 'a' that it looks like)",
            "main.toml:8:11: error: 'st\u{43e}p' is not an action",
            "did you mean 'stop'? ('\u{43e}' (U+043E) is not the 'o' that it looks like)",
            "main.toml:9:9: error: `\u{430}` is unexpected here",
            "help: '\u{430}' (U+0430) is not the 'a' that it looks like",
        ],
    );
    says(&said("[[rule]]\nn\u{430}me = \"a\"\n"), &["main.toml:6:2: error: not TOML", "'\u{430}' (U+0430)"]);
    let queue =
        rule("a") + "queue = [\"P\u{430}yments\", \"\u{41f}\u{440}\u{43e}\u{434}\u{430}\u{436}\u{438}\"]\n";
    let without_secret = MAIN.replace("client_secret = \"y\"", "");
    let (output, _folder) = recwarden("check", &[("main.toml", &format!("{without_secret}{queue}"))]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    says(&text, &["main.toml:8:12: warning: the queue 'P\u{430}yments' may be another than it seems"]);
    assert_eq!(text.matches("warning: the queue").count(), 1, "{text}");
}

#[test]
fn ten_megabytes_of_rules_are_refused_and_of_many_mistakes_the_first_are_shown() {
    let rules = |bytes: usize| {
        let mut text = String::new();
        let mut at = 0;
        while text.len() < bytes {
            text += &format!(
                "[[rule]]\nname = \"rule-{at}\"\nqueue = [\"Queue {at}\", \"Other *\"]\nattribute = {{ pci = [\"on\", \"{at}\"] }}\n\
                 description = \"{}\"\naction = \"stop\"\n",
                "x".repeat(200)
            );
            at += 1;
        }
        text
    };
    let main = format!("{MAIN}[policy]\nfiles = [\"rules.toml\"]\n");
    let ten = rules(10_000_000);
    let (before, behind) = ten.split_at(4 * 1024 * 1024);
    let (line, column) = (before.lines().count(), before.lines().last().unwrap_or_default().len() + 1);
    let behind = behind.lines().next().unwrap_or_default();
    says(
        &said_of(&[("main.toml", &main), ("rules.toml", &ten)]),
        &[
            &format!(
                "rules.toml:{line}:{column}: error: the file is larger than 4194304 bytes: here they end\n"
            ),
            &format!("{behind}\n"),
            "help: divide it into several files, or join rules",
        ],
    );
    let wrong = rules(1_000_000).replace("\"stop\"", "\"stpo\"");
    // With the secret that the main file holds.
    let all = 1 + wrong.matches("stpo").count();
    says(
        &said_of(&[("main.toml", &main), ("rules.toml", &wrong)]),
        &[
            "rules.toml:6:11: error: 'stpo' is not an action",
            "more mistakes, which are not shown",
            &format!("the configuration is invalid ({all} mistakes)"),
        ],
    );
}

#[test]
fn the_limit_holds_for_all_files_together_and_the_place_where_it_is_passed_is_shown() {
    let line = format!("# {}\n", "x".repeat(97));
    let file = line.repeat(20_000);
    let main =
        format!("{MAIN}[policy]\nfiles = [\"rules/*.toml\"]\n# {}\n", "x".repeat(300 - MAIN.len() - 37));
    assert_eq!(main.len(), 300);
    let names: Vec<String> = (1..=5).map(|at| format!("rules/{at}.toml")).collect();
    let mut files = vec![("main.toml", main.as_str())];
    files.extend(names.iter().map(|name| (name.as_str(), file.as_str())));
    // 8,388,608 bytes, of which 300 are the main file's and two million each of the first four.
    says(
        &said_of(&files),
        &[
            "rules/5.toml:3884:9: error: all files together are larger than 8388608 bytes: here they end",
            "\n3884 | # xxx",
            "help: join rules: one rule takes lists of queues and of values",
        ],
    );
    let rules = |numbers: std::ops::Range<u32>| -> String {
        numbers.map(|at| format!("[[rule]]\nname = \"r{at}\"\naction = \"stop\"\n")).collect()
    };
    let main = format!("{MAIN}[policy]\nfiles = [\"rules/*.toml\"]\n{}", rules(0..1));
    says(
        &said_of(&[
            ("main.toml", &main),
            ("rules/a.toml", &rules(1..10_000)),
            ("rules/b.toml", &rules(10_000..21_000)),
        ]),
        &["rules/b.toml:30001:", "error: more than 20000 rules, all files together: this one is too many"],
    );
}

#[test]
fn a_file_that_is_no_text_is_pointed_at_and_nothing_of_it_reaches_the_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("main.toml"), b"# \x1b[31m\n# caf\xe9\n").expect("a file");
    let command = Command::new(env!("CARGO_BIN_EXE_recwarden"))
        .args(["check", "--config", "main.toml"])
        .current_dir(folder.path())
        .env_clear()
        .output();
    let output = command.expect("the program runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{text}");
    says(&text, &["main.toml:2:6: error: the file is not UTF-8: see its byte 14", "help: save it as UTF-8"]);
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_text_that_is_one_endless_line_or_deeply_nested_is_refused() {
    says(
        &said(&format!("x = \"{}\"\n", "a".repeat(300_000))),
        &["main.toml:5:1: error: a line of 300007 bytes"],
    );
    let deep = said(&format!("x = {}{}\n", "[".repeat(100_000), "]".repeat(100_000)));
    says(&deep, &["main.toml:5:"]);
    let when = format!("[[rule]]\nname = \"a\"\naction = \"stop\"\nwhen = '{}true'\n", "(".repeat(10_000));
    says(&said(&when), &["main.toml:8:49: error: the expression is nested too deep here"]);
}

#[test]
fn a_test_that_names_a_file_that_is_not_there_is_pointed_at() {
    let main = MAIN.replace("client_secret = \"y\"", "client_secret_file = \"secret\"");
    for (event, said) in
        [("gone.json", "gone.json cannot be opened"), ("-", "- cannot be opened"), (".", ". is not a file")]
    {
        let text =
            format!("{main}[[test]]\nname = \"a\"\nsteps = [{{ event = \"{event}\", expect = \"stop\" }}]\n");
        let found = said_of(&[("main.toml", &text), ("secret", "s")]);
        says(&found, &["main.toml:7:21: error: ", said]);
    }
}

#[test]
fn mistakes_in_rules_hide_none_in_tests_and_all_stand_in_the_order_of_the_files() {
    let main = format!(
        "{MAIN}[policy]\nfiles = [\"rules/*.toml\"]\n[[test]]\nname = \"a\"\nsteps = [{{ expct = \"stop\" }}]\n"
    );
    let first = "[[test]]\nname = \"b\"\ngiven = { queu = \"Payments\" }\nsteps = [{ event = \"gone.json\", expect = \"stop\" }]\n\
                 [[rule]]\nname = \"card\"\nactoin = \"stop\"\n\
                 [[test]]\nname = \"a\"\nsteps = [{ expect = \"stop\", rule = \"card\" }]\n";
    let second = "[[rule]]\nname = \"flagged\"\nflagged = \"yes\"\naction = \"stop\"\n";
    let found = said_of(&[("main.toml", &main), ("rules/1.toml", first), ("rules/2.toml", second)]);
    let told: Vec<&str> = found.lines().filter(|line| line.contains(": error: ")).collect();
    let expected = [
        "main.toml:4:18: error: a secret does not belong into this file",
        "main.toml:9:12: error: unknown key 'expct' in [[steps]]",
        "rules/1.toml:3:11: error: unknown key 'queu' in [given]",
        "rules/1.toml:4:21: error: rules/gone.json cannot be opened: No such file or directory",
        "rules/1.toml:5:1: error: a rule without an action",
        "rules/1.toml:7:1: error: unknown key 'actoin' in [[rule]]",
        "rules/1.toml:9:9: error: a second test is called 'a'",
        "rules/2.toml:3:12: error: 'flagged' must be true or false",
    ];
    for (line, expected) in told.iter().zip(expected) {
        assert!(line.starts_with(expected), "{expected}:\n{found}");
    }
    assert_eq!(told.len(), expected.len(), "{found}");
    says(&found, &["recwarden: the configuration is invalid (8 mistakes)"]);
}
