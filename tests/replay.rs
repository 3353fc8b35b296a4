//! `recwarden replay` as somebody sees it who wants to turn a rule on.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const OLD: &str =
    "[[rule]]\nname = \"card\"\nqueue = \"Payments\"\nattribute = { pci = \"on\" }\naction = \"stop\"\n";

fn frame(second: u64, id: &str, pci: &str, state: &str) -> String {
    format!(
        r#"{{"at":"2026-01-05T09:{:02}:{:02}Z","frame":{{"topicName":"v2.routing.queues.q1.conversations","eventBody":{{"id":"{id}","recordingState":"active","participants":[{{"id":"p","purpose":"customer","attributes":{{"pci":"{pci}"}},"calls":[{{"state":"{state}"}}]}},{{"id":"a","purpose":"agent","queueId":"q1","calls":[{{"state":"{state}"}}]}}]}}}}}}"#,
        second / 60,
        second % 60,
    )
}

/// Two calls of a minute; in one of them a card number is read from 10 s to 30 s.
fn events() -> String {
    let lines = [
        r#"{"queues":{"q1":"Payments"}}"#.to_owned(),
        frame(0, "one", "off", "connected"),
        frame(5, "two", "off", "connected"),
        frame(10, "one", "on", "connected"),
        frame(30, "one", "off", "connected"),
        frame(60, "one", "off", "disconnected"),
        frame(65, "two", "off", "disconnected"),
    ];
    lines.join("\n") + "\n"
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).expect("written");
    write("old.toml", OLD.as_bytes());
    write("new.toml", format!("{OLD}until = \"end\"\n").as_bytes());
    write("day.jsonl", events().as_bytes());
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(events().as_bytes()).expect("packed");
    write("day.jsonl.gz", &packer.finish().expect("packed"));
    write("day.jsonl.zst", &zstd::encode_all(events().as_bytes(), 1).expect("packed"));
    folder
}

fn replay(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_recwarden"))
        .arg("replay")
        .args(arguments)
        .current_dir(folder)
        .env_remove("RECWARDEN_CONFIG")
        .stdin(Stdio::null())
        .output()
        .expect("it runs")
}

fn lines(output: &Output) -> Vec<serde_json::Value> {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn complaints(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn each_change_is_a_line_and_the_summary_is_the_last_one_however_the_file_is_packed() {
    let folder = folder();
    for file in ["day.jsonl", "day.jsonl.gz", "day.jsonl.zst"] {
        let output = replay(folder.path(), &["--config", "old.toml", file]);
        assert_eq!((output.status.code(), complaints(&output)), (Some(0), String::new()));
        let text = String::from_utf8(output.stdout.clone()).expect("text");
        let first = text.lines().next().expect("a line");
        assert_eq!(
            first,
            r#"{"at":"2026-01-05T09:00:10.000000Z","line":4,"conversation":"one","verdict":"stop","rule":"card","was":"leave"}"#
        );
        let lines = lines(&output);
        let told: Vec<String> = lines
            .iter()
            .filter_map(|line| Some(format!("{} {}", line["line"], line["verdict"].as_str()?)))
            .collect();
        assert_eq!(told, ["4 stop", "5 start", "5 leave"]);
        let summary = &lines.last().expect("a line")["summary"];
        assert_eq!((summary["events"].as_u64(), summary["conversations"].as_u64()), (Some(6), Some(2)));
        let card = &summary["rules"][0];
        assert_eq!((card["rule"].as_str(), card["conversations"].as_u64()), (Some("card"), Some(1)));
        assert_eq!((card["stopped_seconds"].as_f64(), card["decisions"].as_u64()), (Some(20.0), Some(2)));
    }
}

#[test]
fn against_another_policy_it_tells_where_they_part_and_in_how_many_seconds() {
    let folder = folder();
    let output = replay(folder.path(), &["--config", "old.toml", "--against", "new.toml", "day.jsonl"]);
    let lines = lines(&output);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert_eq!(
        lines[0].to_string(),
        r#"{"at":"2026-01-05T09:00:30.000000Z","line":5,"conversation":"one","verdict":"start","rule":"card","against":{"verdict":"stop","rule":"card"}}"#
    );
    let summary = &lines[1]["summary"];
    assert_eq!(summary["changed"].to_string(), r#"{"conversations":1,"share":0.5}"#);
    assert_eq!(
        summary["difference"].to_string(),
        r#"[{"rule":"card","queue":"Payments","added_seconds":0.0,"removed_seconds":30.0}]"#
    );
}

#[test]
fn a_rule_in_observe_mode_passes_no_gate_unsaid_and_is_tried_when_asked() {
    let folder = folder();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("none.toml", "");
    let other = "[[rule]]\nname = \"elsewhere\"\nqueue = \"Paymnts\"\naction = \"stop\"\n";
    write("watched.toml", &format!("{OLD}mode = \"observe\"\n{other}"));
    let gate = [
        "--config",
        "none.toml",
        "--against",
        "watched.toml",
        "--summary",
        "--max-change",
        "5%",
        "day.jsonl",
    ];
    let output = replay(folder.path(), &gate);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        complaints(&output),
        "recwarden: watched.toml: rules in observe mode change nothing here (--enforcing tries them as if they were \
         in force): card\nrecwarden: watched.toml: rules that matched none of the conversations (are their queues \
         and values written as the platform has them?): elsewhere\n"
    );
    let output = replay(folder.path(), &[&gate[..], &["--enforcing"]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(complaints(&output).contains("1 of 2 conversations change"), "{}", complaints(&output));
    assert!(!complaints(&output).contains("observe"), "{}", complaints(&output));
}

/// A rule that fails matched none either, and the reason is another one.
#[test]
fn a_rule_that_fails_is_told_with_its_first_error() {
    let folder = folder();
    let rule = "[[rule]]\nname = \"score\"\nwhen = \"int(attributes.pci) > 5\"\naction = \"stop\"\n";
    std::fs::write(folder.path().join("score.toml"), rule).expect("written");
    let arguments = ["--config", "score.toml", "--summary", "--format", "text", "day.jsonl"];
    let output = replay(folder.path(), &arguments);
    assert_eq!(
        complaints(&output),
        "recwarden: score.toml: rules that failed, and counted as not matching there (the summary tells why and \
         how often): score\n"
    );
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(
        text.contains(
            "rule 'score' failed 4 times, on 2 conversations, and counted as not matching; the first time: "
        ),
        "{text}"
    );
}

#[test]
fn more_change_than_is_allowed_fails() {
    let folder = folder();
    let gate = |most: &str| {
        let arguments =
            ["--config", "old.toml", "--against", "new.toml", "--summary", "--max-change", most, "day.jsonl"];
        replay(folder.path(), &arguments)
    };
    let output = gate("5%");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        complaints(&output),
        "recwarden: 1 of 2 conversations change (50.00 %), and --max-change allows 5.00 %\n"
    );
    assert_eq!(lines(&output).len(), 1);
    assert_eq!(gate("50%").status.code(), Some(0));
    assert_eq!(gate("lots").status.code(), Some(2));
}

#[test]
fn a_rule_that_only_observes_tells_what_it_would_have_done() {
    let folder = folder();
    std::fs::write(folder.path().join("seen.toml"), format!("{OLD}mode = \"observe\"\n")).expect("written");
    let output = replay(folder.path(), &["--config", "seen.toml", "day.jsonl"]);
    let lines = lines(&output);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let rule = &lines[0]["summary"]["rules"][0];
    assert_eq!(
        (rule["mode"].as_str(), rule["would"].as_u64(), rule["decisions"].as_u64()),
        (Some("observe"), Some(1), Some(0))
    );
}

#[test]
fn the_standard_input_is_read_and_bad_lines_are_named() {
    let folder = folder();
    let mut child = Command::new(env!("CARGO_BIN_EXE_recwarden"))
        .args(["replay", "--config", "old.toml", "--format", "text", "-"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let text = format!("no json\n{}{{}}\n", events());
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    let told = complaints(&output);
    assert!(
        told.starts_with("-:1: passed over: not a JSON object")
            && told.contains("-:9: passed over: neither a frame"),
        "{told}"
    );
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.starts_with("2026-01-05T09:00:10.000000Z  5  one  stop by card (was leave)\n"), "{text}");
    assert!(text.contains("2 entries could not be read\n"), "{text}");
}

#[test]
fn a_file_that_breaks_off_is_summed_up_to_there_and_is_no_success() {
    let folder = folder();
    let packed = std::fs::read(folder.path().join("day.jsonl.zst")).expect("the file");
    std::fs::write(folder.path().join("torn.jsonl.zst"), &packed[..packed.len() - 3]).expect("written");
    let output = replay(folder.path(), &["--config", "old.toml", "torn.jsonl.zst", "day.jsonl"]);
    let told = complaints(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let last = lines(&output).pop().expect("a summary");
    assert!(
        last["summary"]["events"].as_u64().is_some_and(|events| events >= 6),
        "the next file is read: {last}"
    );
    assert!(told.contains("torn.jsonl.zst:") && told.contains("the file breaks off here"), "{told}");
    assert!(told.contains("a file breaks off within") && told.contains("copy it again"), "{told}");
}

#[test]
fn a_file_without_one_event_is_no_success() {
    let folder = folder();
    std::fs::write(folder.path().join("bad.jsonl"), "nothing\nof\nuse\n").expect("written");
    let output = replay(folder.path(), &["--config", "old.toml", "bad.jsonl"]);
    assert!(
        complaints(&output).ends_with("recwarden: none of the 3 entries could be read as an event\n"),
        "{}",
        complaints(&output)
    );
    assert_eq!(output.status.code(), Some(1));
    let missing = replay(folder.path(), &["--config", "old.toml", "none.jsonl"]);
    assert!(
        complaints(&missing).starts_with("recwarden: none.jsonl cannot be opened"),
        "{}",
        complaints(&missing)
    );
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn queues_that_are_known_by_id_alone_are_told_and_can_be_named() {
    let folder = folder();
    let unnamed: String = events().lines().skip(1).map(|line| format!("{line}\n")).collect();
    std::fs::write(folder.path().join("unnamed.jsonl"), unnamed).expect("written");
    let output = replay(folder.path(), &["--config", "old.toml", "unnamed.jsonl"]);
    assert_eq!(lines(&output).len(), 1);
    assert!(
        complaints(&output).contains("2 conversations are in queues of which the events tell the id alone"),
        "{}",
        complaints(&output)
    );
    std::fs::write(folder.path().join("queues.json"), r#"{"q1":"Payments"}"#).expect("written");
    let output = replay(folder.path(), &["--config", "old.toml", "--queues", "queues.json", "unnamed.jsonl"]);
    assert_eq!((lines(&output).len(), complaints(&output)), (4, String::new()));
}

#[test]
fn a_reader_that_goes_away_ends_it_at_once_and_quietly() {
    let folder = folder();
    let many: String =
        (0..20_000).map(|n| frame(n / 10, &format!("c{n}"), "on", "connected") + "\n").collect();
    std::fs::write(
        folder.path().join("many.jsonl"),
        format!("{{\"queues\":{{\"q1\":\"Payments\"}}}}\n{many}"),
    )
    .expect("written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_recwarden"))
        .args(["replay", "--config", "old.toml", "many.jsonl"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), complaints(&output)), (Some(0), String::new()));
}
