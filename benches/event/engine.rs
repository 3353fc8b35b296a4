//! A warden whose requests are answered at once, as a platform without delay would.

use std::time::Duration;

use recwarden::model::time::{Mono, Now, Wall};
use recwarden::policy::decide::Policy;
use recwarden::warden::plan::Means;
use recwarden::warden::session::SocketId;
use recwarden::warden::{
    Enforcement, Input, Output, RequestId, Settings, SocketOrder, Warden, allowance, directory,
};
use recwarden::wire::reply::{RateHeaders, RawAnswer};
use recwarden::wire::request::Request;
use recwarden::wire::topic::Topic;

/// The pace of events: 200 a second, a busy centre.
const BETWEEN_EVENTS: Duration = Duration::from_millis(5);

/// See the module's documentation.
pub(crate) struct Engine {
    warden: Warden,
    now: Now,
    socket: Option<SocketId>,
    /// Outputs taken so far.
    pub(crate) outputs: u64,
    /// Orders sent to recorders so far.
    pub(crate) orders: u64,
}

impl Engine {
    /// One that listens to the topic.
    pub(crate) fn listening(policy: Policy, topic: &str) -> Self {
        let now = Now { mono: Mono::default(), wall: Wall::from_micros(1_767_603_600_000_000) };
        let settings = Settings {
            means: Means::default(),
            confirm_within: Duration::from_secs(5),
            give_up_after: Duration::from_secs(900),
            allowance: allowance::Settings {
                requests_per_minute: 1_000_000,
                action_share: 0.8,
                max_in_flight: 8,
            },
            directory: directory::Settings {
                queues: Vec::new(),
                users: Vec::new(),
                topics: vec![Topic::new(topic)],
                redundancy: recwarden::warden::session::Redundancy::Single,
                discover_every: Duration::from_secs(1_000_000_000),
            },
            resync_every: Duration::from_secs(1_000_000_000),
            memory: 512 << 20,
            sight: recwarden::warden::sight::Settings::default(),
            directive_priority: 1000,
            max_changes_per_minute: 0,
            enforcement: Enforcement::Enforce,
        };
        let warden = Warden::new(settings, policy, 1, now);
        let mut engine = Self { warden, now, socket: None, outputs: 0, orders: 0 };
        engine.handle(Input::Timeout);
        assert!(engine.socket.is_some(), "the subscription stands");
        engine
    }

    /// Takes one event in, and performs all that comes out.
    pub(crate) fn event(&mut self, text: &str) {
        if let Some(socket) = self.socket {
            self.now.mono = self.now.mono + BETWEEN_EVENTS;
            self.now.wall = self.now.wall + BETWEEN_EVENTS;
            self.handle(Input::SocketText(socket, text.to_owned(), self.now));
        }
    }

    fn handle(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.warden.handle(input, self.now);
            while let Some(output) = self.warden.poll_output() {
                self.outputs += 1;
                match output {
                    Output::Request(id, request) => inputs.push(self.answer(id, &request)),
                    Output::Socket(SocketOrder::Open(socket, _)) => {
                        self.socket = Some(socket);
                        inputs.push(Input::SocketOpened(socket));
                    }
                    Output::Record(_)
                    | Output::Facts(_)
                    | Output::Untaken(..)
                    | Output::Reply(..)
                    | Output::Note(_)
                    | Output::Socket(_) => {}
                }
            }
        }
    }

    fn answer(&mut self, id: RequestId, request: &Request) -> Input {
        let body = if let Request::CreateChannel = request {
            r#"{"id":"c","connectUri":"wss://example.com","expires":"2099-01-01T00:00:00Z"}"#.to_owned()
        } else if let Request::Subscribe { topics, .. } = request {
            entities(topics)
        } else if let Request::ReadSubscriptions { .. } = request {
            entities(&[Topic::new(super::TOPIC)])
        } else {
            self.orders += u64::from(matches!(request, Request::SetRecordingState { .. }));
            r#"{"entities":[],"pageCount":1}"#.to_owned()
        };
        let rate = RateHeaders::default();
        let correlation = String::new();
        Input::Answer(id, RawAnswer::Answered { status: 200, retry_after: None, rate, correlation, body })
    }
}

fn entities(topics: &[Topic]) -> String {
    let list: Vec<_> = topics.iter().map(|topic| serde_json::json!({ "id": topic.as_str() })).collect();
    serde_json::json!({ "entities": list }).to_string()
}
