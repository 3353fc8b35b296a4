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
        &said(&format!("{rule}{rule}")),
        &[
            "main.toml:9:9: error: a second rule is called 'a'",
            "9 | name = \"a\"\n  |         ^",
            "help: the first one is at main.toml:6:9",
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
    says(
        &said_of(&[("main.toml", &main), ("rules.toml", &rules(10_000_000))]),
        &["rules.toml:1:1: error: the file is larger than 4194304 bytes"],
    );
    let wrong = rules(1_000_000).replace("\"stop\"", "\"stpo\"");
    says(
        &said_of(&[("main.toml", &main), ("rules.toml", &wrong)]),
        &["rules.toml:6:11: error: 'stpo' is not an action", "more mistakes, which are not shown"],
    );
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
