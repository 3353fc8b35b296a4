//! Socket texts and bodies of answers: whatever comes, it is decoded or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use recwarden::model::conversation::Conversation;
use recwarden::model::time::Wall;
use recwarden::wire::conversation;
use recwarden::wire::frame::{self, Frame};
use recwarden::wire::reply::{self, RateHeaders, RawAnswer};
use recwarden::wire::topic::Topic;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(Frame::Conversation(event)) = frame::read(text) {
        ask(&event.decoded.conversation);
    }
    if let Ok(decoded) = conversation::read(text) {
        ask(&decoded.conversation);
    }
    drop((frame::fingerprint(text), reply::channel(text), reply::queues(text), reply::users(text)));
    drop((reply::subscriptions(text, &[Topic::new("v2.users.u1.conversations")]), reply::activity(text)));
    for status in [200, 400, 403, 404, 429, 503] {
        let answer = RawAnswer::Answered {
            status,
            retry_after: Some(text.to_owned()),
            rate: RateHeaders::default(),
            correlation: String::new(),
            body: text.to_owned(),
        };
        drop(reply::classify(&answer, Wall::from_micros(1_767_603_600_000_000)));
    }
});

fn ask(call: &Conversation) {
    let keys = call.attribute_keys().filter(|key| call.attribute(key).is_some()).count();
    assert_eq!(keys, call.attribute_keys().count(), "a key that is there has a value");
    std::hint::black_box((
        call.is_live(),
        call.queue(),
        call.agent(),
        call.direction(),
        call.is_flagged(),
        call.observed(),
    ));
}
