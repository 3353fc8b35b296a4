//! Real payloads of the platform decode. Where each comes from stands in `fixtures/payloads/SOURCES.md`.

use std::fs;
use std::path::Path;

use recwarden::wire::frame::{self, Frame};
use recwarden::wire::{conversation, reply};

fn files(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/payloads").join(folder);
    let mut files: Vec<(String, String)> = fs::read_dir(&root)
        .expect("the fixtures are there")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a text"))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_captured_notification_is_read_for_what_it_is() {
    let mut conversations = Vec::new();
    for (name, text) in files("notifications") {
        match frame::read(&text) {
            Ok(Frame::Conversation(event)) => {
                assert!(!event.decoded.conversation.participants.is_empty(), "{name}");
                conversations.push(name);
            }
            Ok(Frame::Unknown { .. }) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(
        conversations,
        [
            "users-calls-recordingstate-active-test-fixture.json",
            "users-calls-voice-accepted-trimmed.json",
            "users-calls-voice-terminated-acw-started.json",
            "users-calls-voice-wrapup-submitted.json",
            "users-chats-acw-after-two-alert-timeouts.json",
            "users-conversations-callback-connected-inconsistent.json",
            "users-conversations-callback-disconnected-acw-pending.json",
        ]
    );
}

#[test]
fn every_conversation_that_rest_answers_is_read() {
    let mut read = 0;
    for (name, text) in files("rest-conversations") {
        if name.starts_with("conversation-") && !name.contains("recordings")
            || name == "conversations-chat-get.json"
        {
            let decoded = conversation::read(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!decoded.conversation.participants.is_empty(), "{name}");
            assert!(decoded.odd.is_empty(), "{name}: {:?}", decoded.odd);
            read += 1;
        }
    }
    assert_eq!(read, 5);
}

#[test]
fn a_token_is_read() {
    let all = files("oauth");
    let (_, text) =
        all.iter().find(|(name, _)| name == "token-client-credentials.json").expect("it is there");
    let grant = reply::grant(text).expect("a token");
    assert_eq!((grant.token.as_str(), grant.lifetime.as_secs()), ("mock-access-token", 1234));
    assert_eq!(reply::denial(text), "", "an error that is there and empty is none");
}

#[test]
fn the_full_voice_call_is_understood() {
    let all = files("rest-conversations");
    let (_, text) =
        all.iter().find(|(name, _)| name == "conversation-voice-2025-full.json").expect("it is there");
    let call = conversation::read(text).expect("a conversation").conversation;
    assert!(!call.is_live());
    assert_eq!(call.attribute("ic-customerdata"), Some("123412341234"));
    assert_eq!(call.customer().map(|one| one.ani.as_str()), Some("+15550100012"));
}

#[test]
fn channels_and_errors_are_read() {
    for (name, text) in files("channels").into_iter().filter(|(name, _)| name.starts_with("channel-create")) {
        let channel = reply::channel(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(channel.connect_uri.starts_with("wss://streaming."), "{name}");
        assert!(!format!("{channel:?}").contains("streaming"), "the address is a secret");
    }
    for (name, text) in files("errors") {
        let status =
            name.get(..3).and_then(|digits| digits.parse::<u16>().ok()).filter(|status| *status >= 400);
        let Some(status) = status else { continue };
        let answer = reply::RawAnswer::Answered {
            status,
            retry_after: None,
            rate: reply::RateHeaders::default(),
            correlation: String::new(),
            body: text,
        };
        let now = recwarden::model::time::Wall::from_micros(0);
        let fault = reply::classify(&answer, now).expect_err("a fault");
        assert!(fault.to_string().len() > 10, "{name}: {fault}");
    }
}
