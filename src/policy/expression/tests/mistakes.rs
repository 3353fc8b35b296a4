//! What is wrong with an expression, and where.

use crate::policy::expression::Expression;

/// The mistakes as `text at the place: message (help)`.
fn mistakes(source: &str) -> Vec<String> {
    let found = Expression::compile(source).err().unwrap_or_default();
    found
        .into_iter()
        .map(|one| {
            let help = one.help.map(|help| format!(" ({help})")).unwrap_or_default();
            format!("{}: {}{help}", &source[one.span], one.message)
        })
        .collect()
}

#[track_caller]
fn mistaken(source: &str, expected: &str) {
    assert_eq!(mistakes(source), [expected], "{source}");
}

#[test]
fn unknown_names_are_mistakes_with_a_suggestion() {
    mistaken("agens.size() > 0", "agens: there is no variable `agens` (did you mean `agent`?)");
    mistaken("agent.stat == 'x'", "stat: a participant has no field `stat` (did you mean `state`?)");
    mistaken(
        "recordingState == 'active'",
        "recordingState: there is no variable `recordingState` (did you mean `conversation.recordingState`?)",
    );
    mistaken("agents.exist(a, a.held)", "exist: there is no function `exist` (did you mean `exists`?)");
    mistaken(
        "agent.name.startswith('x')",
        "startswith: there is no function `startswith` (did you mean `startsWith`?)",
    );
    mistaken(
        "agents.state == 'x'",
        "state: a list of participants has no field `state` (ask for one of them: `.exists(x, x.state == ...)`)",
    );
    mistaken(
        "exists(agents, a, a.held)",
        "exists: there is no function `exists` (write `list.exists(x, ...)`)",
    );
    mistaken(
        "queue.name.toLowerCase() == 'x'",
        "toLowerCase: there is no function `toLowerCase` (here it is called `lowerAscii()`)",
    );
    mistaken("not flagged", "not: `not` is not an operator (write `!`)");
    mistaken("sze(agents) > 0", "sze: there is no function `sze` (did you mean `size`?)");
}

#[test]
fn comparisons_that_can_never_be_true_are_mistakes() {
    mistaken(
        "media == 1",
        "media == 1: a string is never equal to an int (write the number in quotes, or convert the text with int())",
    );
    mistaken(
        "agent == null",
        "agent == null: a participant is never equal to null (ask for a field that it would have: `has(agent.id)`)",
    );
    mistaken("agent.priority in ['1']", "agent.priority in ['1']: an int is never in a list of strings");
    mistaken("media == \"cal\"", "\"cal\": `media` is never \"cal\" (did you mean `call`?)");
    mistaken(
        "agent.direction in ['in']",
        "['in']: `direction` is never \"in\" (it is one of inbound, outbound)",
    );
    mistaken(
        "conversation.recordingState == 'ACTIVE'",
        "'ACTIVE': `recordingState` is never \"ACTIVE\" (did you mean `active`?)",
    );
    mistaken(
        "'a' < 1",
        "'a' < 1: `<` does not compare a string with an int (convert the text with int() or double())",
    );
    mistaken(
        "queue == 'Sales'",
        "queue == 'Sales': a queue is never equal to a string (compare its name: `queue.name == \"...\"`)",
    );
    mistaken(
        "queue in ['Sales']",
        "queue in ['Sales']: a queue is never in a list of strings (compare its name: `queue.name in [...]`)",
    );
    mistaken(
        "queues == 'Sales'",
        "queues == 'Sales': a list of queues is never equal to a string (ask for one of it: `.exists(q, q.name == \"...\")`)",
    );
    mistaken(
        "1 + 1.5 > 2",
        "1 + 1.5: `+` does not work on an int and a double (convert one side with int(), uint() or double())",
    );
}

#[test]
fn a_result_that_is_no_condition_is_a_mistake() {
    mistaken("size(agents)", "size(agents): a condition must be true or false, and this is an int");
    mistaken(
        "media",
        "media: a condition must be true or false, and this is a string (compare it with a string: `== \"...\"`)",
    );
    mistaken(
        "agent.held && 'x'",
        "'x': a side of `&&` must be true or false, and this is a string (compare it with a string: `== \"...\"`)",
    );
    mistaken(
        "agents.exists(a, a.id)",
        "a.id: the condition of `exists` must be true or false, and this is a string (compare it with a string: `== \"...\"`)",
    );
}

#[test]
fn all_mistakes_come_at_once_in_their_order() {
    let found = mistakes("foo == 1 && agent.bar || agents.exists(a, a.baz > nix)");
    let places: Vec<_> = found.iter().map(|one| one.split(':').next().unwrap_or_default()).collect();
    assert_eq!(places, ["foo", "bar", "baz", "nix"], "{found:?}");
}

#[test]
fn constants_that_cannot_be_read_are_mistakes() {
    mistaken("agent.name.matches('(')", "'(': this is not a pattern: unclosed group");
    mistaken(
        "agent.startTime > timestamp('today')",
        "timestamp('today'): a text could not be read as timestamp (as in \"2026-01-31T12:00:00Z\")",
    );
    mistaken(
        "agent.endTime - agent.startTime > duration('5 min')",
        "duration('5 min'): a text could not be read as duration (as in \"90s\", \"1h30m\" or \"250ms\")",
    );
    mistaken(
        "agent.name.matches(topic)",
        "topic: the pattern of `matches` must be written out (compare texts that are known only later with contains())",
    );
    mistaken(
        "agent.startTime.getHours('Europe/Berlin') > 1",
        "'Europe/Berlin': this is not an offset from UTC (write \"UTC\" or one like \"+02:00\"; names of zones are not known)",
    );
    mistaken("{'a': 1, 'a': 2}.a == 1", "'a': this key stands in the map already");
}

#[test]
fn syntax_is_complained_of_in_plain_words() {
    mistaken("", ": the expression is empty (leave `when` out where there is no condition)");
    mistaken("media = 'call'", "=: `=` is not an operator (compare with `==`)");
    mistaken("flagged and agent.held", "and: `and` is not an operator (write `&&`)");
    mistaken("flagged & agent.held", "&: `&` is not an operator (write `&&`)");
    mistaken("flagged flagged", "flagged: `flagged` is unexpected here");
    mistaken("media <> 'call'", "<>: `<>` is not an operator (compare with `!=`)");
    mistaken("media ==", ": the expression ends before it is complete");
    mistaken("size(agents > 1", ": the expression ends before it is complete");
    mistaken(
        "media == 'call",
        "'call: this text is not written as one (it ends with the quote that it begins with; a backslash in it is written `\\\\`)",
    );
    mistaken("flagged)", "): `)` is unexpected here");
    mistaken("if == 1", "if: `if` is a reserved word");
    mistaken("agent.`na-me` == ''", "`na-me`: a participant has no field `na-me` (did you mean `name`?)");
    mistaken("has(agent)", "agent: has() takes a field, as in `has(agent.team)`");
    mistaken(
        "has(attributes['x'])",
        "attributes['x']: has() takes a field, as in `has(agent.team)` (ask for a key with `\"key\" in map`)",
    );
    mistaken(
        "agents.exists(a.b, true)",
        ".: `exists` takes a name for the element first (as in `.exists(x, x.held)`)",
    );
}

#[test]
fn spans_cover_the_part_that_is_wrong_beyond_ascii_too() {
    mistaken("'é' == 'é' && agent . /* */ nam == ''", "/: `/` is unexpected here");
    mistaken(
        "'é' == 'é' && (agent . // x\n nam) == ''",
        "nam: a participant has no field `nam` (did you mean `name`?)",
    );
    mistaken("flagged && size( agents [ 0 ] ) > 1", "agents [ 0 ]: `size` does not work on a participant");
}

#[test]
fn too_long_and_too_deep_is_refused_before_it_is_parsed() {
    let mut deep = "(".repeat(10_000);
    deep.push_str("true");
    assert_eq!(mistakes(&deep), ["(: the expression is nested too deep here (split it into several rules)"]);
    assert!(Expression::compile(&" ".repeat(20_000)).is_err());
}

#[test]
fn what_the_types_tell_is_told_before_an_event_comes() {
    let alike = "write them all alike, or each in dyn() where they differ on purpose";
    mistaken(
        "[1, 'a'].exists(x, x == 1)",
        &format!("'a': the elements of a list have one type; this is a string beside an int ({alike})"),
    );
    mistaken(
        "{'a': 1, 'b': true}.a == 1",
        &format!("true: the values of a map have one type; this is a bool beside an int ({alike})"),
    );
    mistaken("{1: 'a'}.b == 'a'", "b: the keys of this map are ints (write `map[key]`)");
    mistaken(
        "(flagged ? 1 : 1.5) + 1 > 2.0",
        "1 : 1.5: one outcome of `? :` is an int and the other a double (convert one of them with int(), uint() or double())",
    );
    mistaken("facts.score % 1.5 > 1.0", "facts.score % 1.5: `%` does not work on a fact and a double");
    mistaken("facts.name - 'a' == 'b'", "facts.name - 'a': `-` does not work on a fact and a string");
    assert_eq!(mistakes("[dyn(1), dyn('a')].exists(x, x == 1) && facts.name + 'a' == 'b'"), [""; 0]);
}

#[test]
fn a_fact_is_no_time_and_what_is_calculated_of_it_is_a_number() {
    let json = "facts are JSON, which has no times: read a text with timestamp() or duration()";
    mistaken(
        "facts.due > conversation.startTime",
        &format!("facts.due > conversation.startTime: `>` does not compare a fact with a timestamp ({json})"),
    );
    mistaken(
        "conversation.endTime == facts.of.due",
        &format!("conversation.endTime == facts.of.due: a timestamp is never equal to a fact ({json})"),
    );
    mistaken(
        "conversation.startTime + facts.grace > agent.startTime",
        &format!(
            "conversation.startTime + facts.grace: `+` does not work on a timestamp and a fact ({json})"
        ),
    );
    mistaken("facts.due.getHours() > 1", &format!("facts.due: `getHours` does not work on a fact ({json})"));
    mistaken(
        "facts.amount * 2 > '100'",
        "facts.amount * 2 > '100': `>` does not compare a number with a string (convert the text with int() or double())",
    );
    mistaken(
        "facts.name + 'x' > 1",
        "facts.name + 'x' > 1: `>` does not compare a string with an int (convert the text with int() or double())",
    );
    mistaken(
        "facts.a - facts.b == 'x'",
        "facts.a - facts.b == 'x': a number is never equal to a string (write the number in quotes, or convert the text with int())",
    );
    mistaken("agent in facts.agents", "agent in facts.agents: a participant is never in a fact");
    mistaken("facts.amount + 1", "facts.amount + 1: a condition must be true or false, and this is a number");
    for fine in [
        "(facts.amount + 1) * 2.5 > 3 && -facts.amount < 1.5 && (facts.a - facts.b) % 2 == 0",
        "timestamp(facts.due) > conversation.startTime && duration(facts.grace) > duration('1s')",
        "facts.tags + ['x'] == facts.more && (facts.a + facts.b).exists(x, x == 'y') && [facts.a, 'b'][facts.i] == 1",
        "(flagged ? facts.a : 'x') == 'y' && facts.a in [1, 2] && int(facts.a + 1) == 2 && string(-facts.a) == '1'",
        "dyn(facts.due) > conversation.startTime",
    ] {
        assert_eq!(mistakes(fine), [""; 0], "{fine}");
    }
}
