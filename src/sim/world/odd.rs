//! Frames that no client should stumble over: what is no JSON, too large, nested too deep, or an event
//! without what an event has.

/// The size of the largest: 16 MB.
const LARGE: usize = 16_000_000;
/// How deep the deepest is nested.
const DEEP: usize = 10_000;

/// How many kinds there are.
pub(super) const KINDS: usize = 10;

/// One kind after the other; `topic` is one that the socket has subscribed.
pub(super) fn frame(number: usize, topic: &str) -> String {
    let event =
        |body: &str| format!(r#"{{"topicName":"{topic}","version":"2","eventBody":{body},"metadata":{{}}}}"#);
    let deep = || format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP));
    match number % KINDS {
        0 => "this is not JSON".to_owned(),
        1 => event(&format!(r#"{{"id":"x","participants":{}}}"#, deep())),
        2 => event(&format!(r#"{{"id":"x","name":"{}"}}"#, "x".repeat(LARGE))),
        3 => deep(),
        4 => String::new(),
        5 => r#"{"eventBody":{"id":"no topic"}}"#.to_owned(),
        6 => event("null"),
        7 => event(r#"{"participants":"none","recordingState":7}"#),
        8 => r#"{"topicName":"v2.some.topic.of.tomorrow","eventBody":{"new":[1,2,{"a":null}]}}"#.to_owned(),
        _ => event(r#"{"id":"#),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_are_what_they_say() {
        let read = |number| serde_json::from_str::<serde_json::Value>(&frame(number, "t"));
        assert!([0, 1, 3, 4, 9].into_iter().all(|number| read(number).is_err()), "no JSON, or too deep");
        assert!([2, 5, 6, 7, 8].into_iter().all(|number| read(number).is_ok()), "JSON");
        assert!(frame(2, "t").len() > 16_000_000 && frame(1, "t").len() > 20_000);
    }
}
