//! A warden on a bench: a small platform answers at once or not at all, time is what the test says, and all
//! that comes out is kept. For what the stage is too large for.

mod platform;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::*;
use crate::audit::history::History;
use crate::audit::record::DirectiveOrigin;
use crate::model::recording::{Action, RecorderState};
use crate::policy::compile::Compiler;
pub(super) use platform::{Refusal, There, Way};

pub(super) struct Bench {
    pub(super) warden: Warden,
    pub(super) now: Now,
    pub(super) records: Vec<Record>,
    /// When each was made.
    times: Vec<Wall>,
    pub(super) notes: Vec<Note>,
    pub(super) replies: Vec<Reply>,
    pub(super) untaken: Vec<Untaken>,
    pub(super) sent: Vec<(Mono, Request)>,
    pub(super) calls: BTreeMap<ConversationId, There>,
    pub(super) unreadable: BTreeSet<ConversationId>,
    pub(super) ended: BTreeSet<ConversationId>,
    pub(super) sockets: Way,
    pub(super) api: Way,
    pub(super) reads: Way,
    /// How many conversations were asked for.
    pub(super) looks: usize,
    pub(super) answers_after: Duration,
    /// For how long the log could not be written, while each order that is to be sent is not.
    pub(super) unsent: Duration,
    pub(super) refuses: Refusal,
    coming: VecDeque<(Mono, Input)>,
    socket: Option<SocketId>,
    topics: Vec<String>,
}

pub(super) const PCI: &str = r#"
[[rule]]
name = "pause"
attribute = { "pci" = "on" }
action = "stop"
"#;

pub(super) fn settings() -> Settings {
    Settings {
        means: Means::default(),
        confirm_within: Duration::from_secs(5),
        give_up_after: Duration::from_secs(900),
        allowance: allowance::Settings { requests_per_minute: 300, action_share: 0.8, max_in_flight: 8 },
        directory: directory::Settings {
            queues: vec!["*".into()],
            users: Vec::new(),
            topics: Vec::new(),
            discover_every: Duration::from_secs(600),
            redundancy: crate::warden::session::Redundancy::Single,
        },
        resync_every: Duration::from_secs(300),
        memory: 512 << 20,
        sight: sight::Settings::default(),
        directive_priority: 1000,
        max_changes_per_minute: 0,
        enforcement: Enforcement::Enforce,
    }
}

pub(super) fn policy(text: &str) -> Policy {
    let mut compiler = Compiler::default();
    assert_eq!(compiler.add_file("rules", text).len(), 0);
    compiler.finish()
}

pub(super) fn id(number: usize) -> ConversationId {
    ConversationId::new(format!("00000000-0000-4000-8000-{number:012}"))
}

impl Bench {
    pub(super) fn new(settings: Settings, rules: &str) -> Self {
        let now = Now { mono: Mono::default(), wall: Wall::from_micros(1_767_603_600_000_000) };
        Self {
            warden: Warden::new(settings, policy(rules), 1, now),
            now,
            records: Vec::new(),
            times: Vec::new(),
            notes: Vec::new(),
            replies: Vec::new(),
            untaken: Vec::new(),
            sent: Vec::new(),
            calls: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            ended: BTreeSet::new(),
            sockets: Way::Open,
            api: Way::Open,
            reads: Way::Open,
            looks: 0,
            answers_after: Duration::ZERO,
            unsent: Duration::ZERO,
            refuses: Box::new(|_| None),
            coming: VecDeque::new(),
            socket: None,
            topics: Vec::new(),
        }
    }

    /// So many calls on tape, with participant data that asks for this.
    pub(super) fn with_calls(mut self, count: usize, pci: &str) -> Self {
        for number in 0..count {
            let attributes = BTreeMap::from([("pci".to_owned(), pci.to_owned())]);
            self.calls.insert(id(number), There::with(attributes, None));
        }
        self
    }

    pub(super) fn set(&mut self, number: usize, pci: &str) {
        if let Some(there) = self.calls.get_mut(&id(number)) {
            there.attributes.insert("pci".into(), pci.into());
        }
    }

    pub(super) fn state(&self, number: usize) -> RecorderState {
        self.calls[&id(number)].state
    }

    /// The platform answers each order for a recording with this status from now on, and carries none out.
    pub(super) fn answer_orders(&mut self, status: u16) {
        self.refuses = Box::new(move |request| {
            matches!(request, Request::SetRecordingState { .. }).then_some((status, "{}"))
        });
    }

    /// A person orders something for a call.
    pub(super) fn order(&mut self, number: usize, ticket: u64, what: What) {
        let order = Order {
            conversation: id(number),
            what,
            by: "ada".into(),
            reason: "card".into(),
            origin: DirectiveOrigin::Manual,
            webhook_id: None,
        };
        self.feed(Input::Order(Ticket(ticket), order));
    }

    /// A call begins, on tape; nobody is told of it.
    pub(super) fn begin(&mut self, number: usize) {
        let begun = Some(self.now.wall);
        self.calls.insert(id(number), There::with(BTreeMap::new(), begun));
    }

    /// The platform tells of a call.
    pub(super) fn tell(&mut self, number: usize) {
        let event = self.event(number);
        self.tell_late(event);
    }

    /// What it would tell of it now.
    pub(super) fn event(&self, number: usize) -> String {
        let body = self.body(&id(number));
        format!(r#"{{"topicName":"v2.routing.queues.q1.conversations","eventBody":{body}}}"#)
    }

    /// An event comes late.
    pub(super) fn tell_late(&mut self, event: String) {
        let Some(socket) = self.socket else { return };
        self.feed(Input::SocketText(socket, event, self.now));
    }

    /// The socket that is open.
    pub(super) fn socket(&self) -> SocketId {
        self.socket.expect("a socket is open")
    }

    /// What the records say was shed.
    pub(super) fn dropped(&self) -> Vec<u64> {
        let mut events = Vec::new();
        for record in &self.records {
            if let Record::Dropped(one) = record {
                events.push(one.events);
            }
        }
        events
    }

    pub(super) fn lose_socket(&mut self) {
        if let Some(socket) = self.socket.take() {
            self.feed(Input::SocketLost(socket, "gone".into()));
        }
    }

    /// Lets time pass, from one moment with something to do to the next.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.now.mono + span;
        for turn in 0.. {
            assert!(turn < 200_000, "it turns in circles, woken by {:?}", self.warden.next_wakeup(self.now));
            let coming = self.coming.iter().map(|(at, _)| *at).min();
            let woken = self.warden.next_wakeup(self.now).map(|(at, _)| at);
            let Some(next) = [coming, woken].into_iter().flatten().min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now + next.since(self.now.mono);
            let input = match self.coming.iter().position(|(at, _)| *at <= self.now.mono) {
                Some(place) => self.coming.remove(place).map_or(Input::Timeout, |(_, input)| input),
                None => Input::Timeout,
            };
            self.feed(input);
        }
        self.now = self.now + end.since(self.now.mono);
    }

    pub(super) fn feed(&mut self, input: Input) {
        self.warden.handle(input, self.now);
        while let Some(output) = self.warden.poll_output() {
            match output {
                Output::Record(record) => {
                    self.records.push(record);
                    self.times.push(self.now.wall);
                }
                Output::Note(note) => self.notes.push(note),
                Output::Reply(_, reply) => self.replies.push(reply),
                Output::Untaken(_, why) => self.untaken.push(why),
                Output::Facts(_) => {}
                Output::Request(id, request) => {
                    self.sent.push((self.now.mono, request.clone()));
                    let answer = self.answer(&request);
                    self.coming.push_back((self.now.mono + self.answers_after, Input::Answer(id, answer)));
                }
                Output::Socket(SocketOrder::Open(socket, _)) => {
                    let input = match self.sockets {
                        Way::Open => {
                            self.socket = Some(socket);
                            Input::SocketOpened(socket)
                        }
                        Way::Shut => Input::SocketLost(socket, "no way".into()),
                    };
                    self.coming.push_back((self.now.mono, input));
                }
                Output::Socket(SocketOrder::Send(socket, _)) => {
                    let pong =
                        r#"{"topicName":"channel.metadata","eventBody":{"message":"pong"}}"#.to_owned();
                    self.coming.push_back((self.now.mono, Input::SocketText(socket, pong, self.now)));
                }
                Output::Socket(SocketOrder::Close(_)) => {}
            }
        }
    }

    /// What the log says.
    pub(super) fn history(&self) -> History {
        let mut history = History::default();
        for (at, record) in self.times.iter().zip(&self.records) {
            assert_eq!(history.take(*at, record), None);
        }
        history
    }

    /// The process dies, and the next one has the log alone. What was under way comes true no more.
    pub(super) fn die(&mut self, policy: Policy) {
        let history = self.history();
        let settings = self.warden.settings.clone();
        self.warden = Warden::new(settings, policy, 2, self.now);
        self.warden.recover(&history, self.now);
        (self.socket, self.coming) = (None, VecDeque::new());
        self.feed(Input::Timeout);
    }

    /// What a process would know that the log alone has told.
    pub(super) fn recovered(&self) -> BTreeMap<ConversationId, Standing> {
        self.warden.standing_by(&self.history(), self.now)
    }

    pub(super) fn kinds(&self, kind: &str) -> usize {
        self.records.iter().filter(|record| record.kind() == kind).count()
    }

    pub(super) fn alerts(&self, about: &str) -> Vec<&str> {
        let mut texts = Vec::new();
        for record in &self.records {
            if let Record::Alert(one) = record
                && one.about == about
            {
                texts.push(one.message.as_str());
            }
        }
        texts
    }

    pub(super) fn decisions(&self) -> Vec<(String, Action, String)> {
        let mut made = Vec::new();
        for record in &self.records {
            if let Record::Decision(one) = record {
                made.push((one.rule.clone(), one.action, one.reason.clone()));
            }
        }
        made
    }
}
