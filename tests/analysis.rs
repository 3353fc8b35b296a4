//! What `check` says of rules that are each correct, held against what those rules do.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use recwarden::model::conversation::{Conversation, Direction, LegState, Media, Participant, QueueRef};
use recwarden::model::ids::QueueId;
use recwarden::model::recording::{Action, Wish};
use recwarden::model::time::Wall;
use recwarden::policy::compile::Compiler;
use recwarden::policy::decide::Policy;
use recwarden::policy::subject::{Facts, Subject};
use recwarden::warden::latch::Latches;
use recwarden::warden::plan;

const DIRECTIVE_PRIORITY: i64 = 1000;
const IDS: [&str; 2] = ["0b6a5b52-1f0e-4c3f-9d49-5a3f7c1d2e01", "0b6a5b52-1f0e-4c3f-9d49-5a3f7c1d2e02"];

fn compiled(text: &str, default: Wish) -> (Policy, Vec<String>) {
    let mut compiler = Compiler::default();
    compiler.default_wish(default);
    let mistakes = compiler.add_file("rules.toml", text);
    assert!(mistakes.is_empty(), "{}\n{text}", mistakes[0]);
    let found = compiler.analyse(DIRECTIVE_PRIORITY).iter().map(ToString::to_string).collect();
    (compiler.finish(), found)
}

fn found(text: &str) -> Vec<String> {
    compiled(text, Wish::Leave).1
}

/// One rule; `keys` are further lines.
fn rule(name: &str, action: &str, keys: &str) -> String {
    format!("[[rule]]\nname = \"{name}\"\naction = \"{action}\"\n{keys}\n")
}

#[test]
fn a_rule_that_can_never_win_is_shown_with_the_one_before_it() {
    let text = rule("wide", "stop", "queue = [\"Pay*\"]\npriority = 5")
        + &rule("narrow", "start", "queue = [\"Payments\"]\nattribute = { pci = \"on\" }");
    let found = found(&text);
    assert_eq!(
        found,
        [
            "rules.toml:7:9: warning: rule 'narrow' can never win: 'wide' holds whenever it does, and stands before it\n\
          7 | name = \"narrow\"\n  |         ^^^^^^\n\
          rules.toml:2:9: note: 'wide' (stop, priority 5) stands before it\n\
          2 | name = \"wide\"\n  |         ^^^^\n\
          help: give it a higher priority, or narrow the conditions of the other"
        ]
    );
}

#[test]
fn several_rules_together_leave_nothing_to_one() {
    let text = rule("a", "stop", "queue = \"A\"\npriority = 5")
        + &rule("b", "stop", "queue = [\"B\", \"C\"]\npriority = 5")
        + &rule("all", "start", "queue = [\"A\", \"B\"]");
    let found = found(&text);
    assert!(found.len() == 1 && found[0].contains("'all' can never win: one of 'a', 'b' hold"), "{found:#?}");
}

/// Each list shares all but one of its values with the next, so that nothing is told apart at a glance.
#[test]
fn long_lists_that_overlap_are_compared_value_by_value() {
    let queues = |from: usize| (from..from + 300).map(|at| format!("\"Queue {at:03}\"")).collect::<Vec<_>>();
    let action = |at: usize| if at.is_multiple_of(2) { "stop" } else { "start" };
    let text: String = (0..8)
        .map(|at| rule(&format!("r{at}"), action(at), &format!("queue = [{}]", queues(at).join(", "))))
        .collect();
    let found = found(&text);
    for at in [1, 3, 5] {
        let never = format!("'r{at}' can never win: one of 'r0', 'r2'");
        assert!(found.iter().any(|one| one.contains(&never)), "{at}: {found:#?}");
    }
    assert!(found.last().is_some_and(|one| one.contains("'r7' wants start")), "{found:#?}");
}

#[test]
fn what_may_let_go_or_waits_longer_leaves_room_for_others() {
    for keys in ["at_most = \"1m\"", "after = \"1s\"", "mode = \"observe\"", "attribute = { x = \"1\" }"] {
        let text = rule("first", "stop", &format!("queue = \"A\"\npriority = 5\n{keys}"))
            + &rule("second", "stop", "queue = \"A\"");
        assert_eq!(found(&text), Vec::<String>::new(), "{keys}");
    }
    let text = rule("first", "stop", "flagged = true\npriority = 5")
        + &rule("second", "stop", "flagged = true\nuntil = \"end\"");
    assert_eq!(found(&text), Vec::<String>::new(), "it outlasts the first");
}

#[test]
fn conditions_that_exclude_each_other_never_match() {
    for keys in [
        "queue = \"A\"\nwhen = 'queue.name == \"B\"'",
        "flagged = true\nwhen = '!flagged'",
        "attribute = { pci = \"on*\" }\nwhen = 'attributes.pci == \"off\"'",
        "when = 'facts.amount > 5 && facts.amount < 5'",
        "when = 'false && flagged'",
    ] {
        let found = found(&rule("odd", "stop", keys));
        assert!(found.len() == 1 && found[0].contains("rule 'odd' can never match"), "{keys}: {found:#?}");
    }
}

#[test]
fn a_contradiction_is_told_with_a_conversation() {
    let text = rule("record", "start", "queue = \"Card *\"")
        + &rule("hush", "stop", "when = 'attributes[\"pci\"] == \"on\" && facts.vip == true'");
    let found = found(&text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].contains("rule 'record' wants start, 'hush' at the same priority 0 wants stop"),
        "{found:#?}"
    );
    assert!(found[0].contains("attribute pci = 'on', fact vip = true, queue 'Card 1'"), "{found:#?}");
    let apart = rule("a", "start", "queue = \"A\"") + &rule("b", "stop", "queue = \"B\"");
    assert_eq!(self::found(&apart), Vec::<String>::new());
}

#[test]
fn a_stop_without_a_condition_is_told() {
    let all = found(&rule("all", "stop", ""));
    assert!(
        all.len() == 1 && all[0].contains("rule 'all' has no condition: it holds on every conversation"),
        "{all:?}"
    );
    assert_eq!(found(&rule("all", "start", "")), Vec::<String>::new());
    let excepted = rule("vip", "start", "flagged = true\npriority = 5") + &rule("rest", "stop", "");
    assert_eq!(found(&excepted), Vec::<String>::new());
    assert_eq!(found(&rule("some", "stop", "direction = \"inbound\"")), Vec::<String>::new());
}

#[test]
fn globs_and_missing_attributes_are_understood() {
    let never = found(&rule("a", "stop", "attribute = { pci = \"on\" }\nwhen = '!has(attributes.pci)'"));
    assert!(never.len() == 1 && never[0].contains("'a' can never match"), "{never:?}");
    for (wide, narrow, wins) in [
        ("Pay*", "Pay EU*", false),
        ("Pay*", "Pay?", false),
        ("Pay EU*", "Pay*", true),
        ("Pay*", "*Pay", true),
        ("P?y*", "Pay*", true),
    ] {
        let text = rule("wide", "stop", &format!("queue = \"{wide}\"\npriority = 5"))
            + &rule("narrow", "start", &format!("queue = \"{narrow}\""));
        assert_eq!(found(&text).iter().all(|one| !one.contains("can never win")), wins, "{wide} {narrow}");
    }
    let text = rule("a", "stop", "queue = \"Pay*\"") + &rule("b", "start", "queue = \"*EU\"");
    let meet = found(&text);
    assert!(meet.len() == 1 && meet[0].contains("both hold on: queue 'PayEU'"), "{meet:?}");
}

#[test]
fn what_is_left_out_with_too_many_rules_is_a_note() {
    let text: String = (0..3_000)
        .map(|at| rule(&format!("r{at}"), "stop", &format!("attribute = {{ a{at} = \"x\" }}")))
        .collect();
    let found = found(&text);
    let note = "note: there are too many rules to compare each with all others: not every rule that can never win is told, \
                and contradictions were not looked for";
    assert!(found.len() == 1 && found[0].contains(note), "{found:?}");
}

#[test]
fn a_contradiction_that_a_rule_of_a_higher_priority_settles_is_none() {
    let pair = |keys: &str| {
        rule("flagged", "stop", "flagged = true\npriority = 5")
            + &rule("payments", "start", &format!("queue = \"Payments\"\npriority = 5\n{keys}"))
    };
    let third = |keys: &str| rule("both", "start", keys);
    let settled = "queue = \"Payments\"\nflagged = true\npriority = 10";
    assert_eq!(found(&(third(settled) + &pair(""))), Vec::<String>::new());
    let when = "queue = \"Payments\"\nwhen = 'attributes.a.startsWith(\"x\")'\npriority = 5";
    let by_when = rule("flagged", "stop", "flagged = true\npriority = 5") + &rule("payments", "start", when);
    let all = settled.replace("10", "10\nwhen = 'attributes.a.startsWith(\"x\")'");
    assert_eq!(found(&(third(&all) + &by_when)), Vec::<String>::new());
    for (keys, of_start) in [
        ("queue = \"Payments\"\nflagged = true\nattribute = { vip = \"yes\" }\npriority = 10", ""),
        ("queue = \"Payments\"\nflagged = true\npriority = 10\nafter = \"1s\"", ""),
        ("queue = \"Payments\"\nflagged = true\npriority = 10\nat_most = \"1m\"", ""),
        ("queue = \"Payments\"\nflagged = true\npriority = 10\nmode = \"observe\"", ""),
        (settled, "until = \"end\""),
    ] {
        let found = found(&(third(keys) + &pair(of_start)));
        assert!(found.len() == 1 && found[0].contains("'payments' wants start"), "{keys}: {found:#?}");
    }
}

#[test]
fn a_rule_that_holds_to_the_end_has_an_effect_where_its_conditions_hold_no_more() {
    let start =
        |until: &str| rule("a", "start", &format!("flagged = false\npriority = 1\nuntil = \"{until}\""));
    let stop = |until: &str| rule("b", "stop", &format!("flagged = true\nuntil = \"{until}\""));
    for (one, other, told) in
        [("unmatched", "unmatched", 1), ("end", "unmatched", 0), ("unmatched", "end", 0)]
    {
        let found = compiled(&(start(one) + &stop(other)), Wish::Start).1;
        assert_eq!(found.len(), told, "{one}, {other}: {found:#?}");
    }
}

#[test]
fn a_start_where_all_is_started_has_no_effect_but_as_an_exception() {
    let start = rule("record", "start", "queue = \"A\"\npriority = 5");
    let (_, found) = compiled(&start, Wish::Start);
    assert!(found.len() == 1 && found[0].contains("'record' has no effect: policy.default is \"start\" too"));
    let (_, found) = compiled(&(start + &rule("hush", "stop", "")), Wish::Start);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn an_expensive_expression_is_shown_at_its_dearest_part() {
    let keys = "when = 'flagged && participants.exists(a, participants.exists(b, a.id == b.id))'";
    let found = found(&rule("dear", "stop", keys));
    assert!(
        found.len() == 1 && found[0].starts_with("rules.toml:4:20: warning: the condition of rule 'dear'"),
        "{found:#?}"
    );
    assert!(found[0].contains("2 macros inside each other"), "{found:#?}");
}

#[test]
fn a_thousand_rules_are_compared_through_their_queues() {
    let text: String = (0..1500)
        .map(|at| {
            let action = if at % 2 == 0 { "stop" } else { "start" };
            let keys = format!(
                "queue = [\"Queue {}\"]\nattribute = {{ k{} = \"on\" }}\npriority = {at}",
                at % 200,
                at % 7
            );
            rule(&format!("rule-{at}"), action, &keys)
        })
        .collect();
    let (policy, found) = compiled(&text, Wish::Leave);
    assert_eq!(policy.terms().len(), 1500);
    assert!(!found.is_empty());
}

fn queue_key() -> impl Strategy<Value = String> {
    let one = prop::sample::select(vec!["Payments", "Billing", "Pay*", "*", IDS[0], "[PB]*"]);
    prop::option::of(prop::collection::vec(one, 1..3))
        .prop_map(|queues| queues.map_or(String::new(), |queues| format!("queue = {queues:?}\n")))
}

fn attribute_key() -> impl Strategy<Value = String> {
    let one = prop::sample::select(vec!["on", "off", "o*", "", "*"]);
    prop::option::of(prop::collection::vec(one, 1..3)).prop_map(|values| {
        values.map_or(String::new(), |values| format!("attribute = {{ pci = {values:?} }}\n"))
    })
}

fn when_key() -> impl Strategy<Value = String> {
    let parts = vec![
        "attributes.pci == \"on\"",
        "attributes.pci != \"off\"",
        "attributes.pci in [\"on\", \"off\"]",
        "(attributes.pci == \"\" || attributes[\"pci\"] == \"on\")",
        "queue.name == \"Payments\"",
        "queue.name != \"Billing\"",
        "queue.id != \"\"",
        "flagged",
        "!flagged",
        "media == \"call\"",
        "conversation.media in [\"call\", \"chat\"]",
        "conversation.direction != \"outbound\"",
        "facts.amount > 3",
        "facts.amount >= 5",
        "facts.amount < 4",
        "facts.amount == 4",
        "facts.vip == true",
        "facts.vip",
        "!facts.vip",
        "agents.exists(a, a.held)",
        "agents.exists(other, other.held)",
        "!agents.exists(a, a.held)",
        "size(agents) > 0",
        "agents[0].held",
    ];
    prop::collection::vec(prop::sample::select(parts), 0..3).prop_map(|parts| {
        if parts.is_empty() { String::new() } else { format!("when = '{}'\n", parts.join(" && ")) }
    })
}

fn some_rule() -> impl Strategy<Value = String> {
    let pick = |lines: Vec<&'static str>| prop::sample::select(lines);
    let terms = (
        pick(vec!["start", "stop"]),
        pick(vec!["", "", "priority = 1\n", "priority = 2\n"]),
        pick(vec!["", "", "until = \"end\"\n"]),
        pick(vec!["", "", "after = \"1s\"\n", "after = \"2s\"\n"]),
        pick(vec!["", "", "", "at_most = \"3s\"\n"]),
        pick(vec!["", "", "", "mode = \"observe\"\n"]),
    );
    let simple = (
        pick(vec!["", "", "flagged = true\n", "flagged = false\n"]),
        pick(vec!["", "", "direction = \"inbound\"\n"]),
        pick(vec!["", "", "media = [\"call\", \"chat\"]\n", "media = \"chat\"\n"]),
    );
    (terms, queue_key(), attribute_key(), when_key(), simple).prop_map(
        |((action, priority, until, after, most, mode), queue, attribute, when, (flagged, direction, media))| {
            format!("{action}|{priority}{until}{after}{most}{mode}{queue}{attribute}{when}{flagged}{direction}{media}")
        },
    )
}

fn conversation() -> impl Strategy<Value = (Conversation, Facts)> {
    let queue =
        prop::sample::select(vec![("", ""), ("Payments", IDS[0]), ("Payments", IDS[1]), ("Billing", IDS[1])]);
    let pci = prop::sample::select(vec![None, Some("on"), Some("off"), Some("other")]);
    let media = prop::sample::select(vec![Media::Call, Media::Chat, Media::Email]);
    let direction = prop::sample::select(vec![None, Some(Direction::Inbound), Some(Direction::Outbound)]);
    let facts = prop::sample::select(vec![
        "{}",
        "{\"amount\":4,\"vip\":true}",
        "{\"amount\":\"x\",\"vip\":false}",
        "{\"amount\":9}",
    ]);
    (queue, pci, media, direction, any::<[bool; 2]>(), facts).prop_map(
        |(queue, pci, media, direction, [flagged, held], facts)| {
            let leg = |purpose: &str| Participant {
                purpose: purpose.into(),
                state: LegState::Connected,
                media,
                ..Participant::default()
            };
            let mut customer = Participant { direction, ..leg("customer") };
            customer.attributes.extend(pci.map(|pci| ("pci".to_owned(), pci.to_owned())));
            if flagged {
                customer.flagged_reason = "general".into();
            }
            let queue = QueueRef { id: QueueId::new(queue.1), name: queue.0.into() };
            let agent = Participant { queue, held, ..leg("agent") };
            let conversation =
                Conversation { media, participants: vec![customer, agent], ..Conversation::default() };
            (conversation, serde_json::from_str(facts).expect("JSON"))
        },
    )
}

/// The verdicts on one conversation over time, with the rules that matched.
fn verdicts(
    policy: &Policy,
    states: &[(Conversation, Facts)],
) -> Vec<(Option<Action>, String, BTreeSet<String>)> {
    let mut latches = Latches::default();
    let mut now = Wall::from_micros(1_700_000_000_000_000);
    let judged = states.iter().map(|(conversation, facts)| {
        now = now + Duration::from_secs(1);
        let matches = policy.matches(Subject { conversation, facts, topic: "" });
        latches.settle(policy, &matches.rules, now);
        let verdict = plan::verdict(policy, &latches, None, DIRECTIVE_PRIORITY, None);
        let matched = matches.rules.iter().map(|one| policy.terms()[one.0 as usize].name.clone());
        (verdict.action, verdict.rule, matched.collect())
    });
    judged.collect()
}

fn text_of(rules: &[(usize, &String)]) -> String {
    let text = |(at, one): &(usize, &String)| {
        let (action, keys) = one.split_once('|').expect("an action");
        rule(&format!("rule-{at}"), action, keys)
    };
    rules.iter().map(text).collect()
}

/// The rules of which it is said.
fn said(found: &[String], what: &str) -> Vec<String> {
    let told = |one: &String| {
        let first = one.lines().next().filter(|first| first.contains(what))?;
        first.split('\'').nth(1).map(str::to_owned)
    };
    found.iter().filter_map(told).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_of_a_rule_is_true_of_every_conversation(
        rules in prop::collection::vec(some_rule(), 2..6),
        default in prop::sample::select(vec![Wish::Leave, Wish::Start, Wish::Stop]),
        states in prop::collection::vec(conversation(), 1..12),
    ) {
        let rules: Vec<(usize, &String)> = rules.iter().enumerate().collect();
        let (policy, found) = compiled(&text_of(&rules), default);
        let judged = verdicts(&policy, &states);
        for name in said(&found, "can never win") {
            prop_assert!(judged.iter().all(|(_, rule, _)| *rule != name), "{name} won\n{}", text_of(&rules));
        }
        for name in said(&found, "can never match") {
            prop_assert!(judged.iter().all(|(.., matched)| !matched.contains(&name)), "{name} matched\n{}", text_of(&rules));
        }
        for name in said(&found, "has no effect") {
            let rest: Vec<_> = rules.iter().filter(|(at, _)| format!("rule-{at}") != name).copied().collect();
            let without = verdicts(&compiled(&text_of(&rest), default).0, &states);
            let actions = |all: &[(Option<Action>, String, BTreeSet<String>)]| all.iter().map(|one| one.0).collect::<Vec<_>>();
            prop_assert_eq!(actions(&judged), actions(&without), "{} had an effect\n{}", name, text_of(&rules));
        }
    }
}
