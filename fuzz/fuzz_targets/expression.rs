//! A condition: it is compiled and evaluated, or every mistake has its place in it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use recwarden::model::conversation::Conversation;
use recwarden::policy::expression::{EvaluationError, Expression};
use recwarden::policy::subject::{Facts, Subject};
use recwarden::wire::conversation;

static CALL: LazyLock<Conversation> = LazyLock::new(|| {
    let body =
        include_str!("../../tests/fixtures/payloads/rest-conversations/conversation-voice-2025-full.json");
    conversation::read(body).expect("the payload is a conversation").conversation
});

static FACTS: LazyLock<Facts> = LazyLock::new(|| {
    let facts = serde_json::json!({
        "yes": true, "no": null, "n": 7, "big": u64::MAX, "half": 0.5, "t": "a", "l": [1, "a", null], "m": {"a": {"b": 1}},
    });
    facts.as_object().expect("an object").clone().into_iter().collect()
});

fuzz_target!(|data: &[u8]| {
    let Ok(source) = std::str::from_utf8(data) else { return };
    let expression = match Expression::compile(source) {
        Ok(expression) => expression,
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "a refusal says why");
            for one in mistakes {
                assert!(source.get(one.span.clone()).is_some(), "{one:?} is not in the text");
                let panicked = one.message.contains("panicked") && !source.contains("panicked");
                assert!(!panicked, "{one:?}");
            }
            return;
        }
    };
    for call in [&*CALL, &Conversation::default()] {
        let subject = Subject { conversation: call, facts: &FACTS, topic: "v2.users.u1.conversations" };
        let outcome = expression.evaluate(subject);
        assert_eq!(expression.trace(subject).result, outcome);
        let open = source.contains("facts") || source.contains("dyn");
        assert!(open || !matches!(outcome, Err(EvaluationError::WrongType { .. })), "{outcome:?}");
    }
});
