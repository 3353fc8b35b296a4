//! A loop that answers asks from a script, and a served router to call: for the tests of `http`.

use std::collections::BTreeMap;

use std::sync::{Arc, Mutex};

use axum::Router;
use tokio::net::TcpListener;

use super::*;
use crate::http;
use crate::model::recording::{Observed, Wish};
use crate::model::time::Wall;

pub(crate) const CONVERSATION: &str = "5c5a3b1e-8f0d-4a5e-9d5c-1f2e3d4c5b6a";
pub(crate) const DECISION: &str = "0197f3a0-0000-7000-8000-000000000001";

/// What the loop was asked, in order.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    pub(crate) directives: Arc<Mutex<Vec<DirectiveOrder>>>,
    pub(crate) facts: Arc<Mutex<Vec<(ConversationId, Facts)>>>,
}

impl Heard {
    pub(crate) fn directives(&self) -> Vec<DirectiveOrder> {
        self.directives.lock().unwrap().clone()
    }

    pub(crate) fn facts(&self) -> Vec<(ConversationId, Facts)> {
        self.facts.lock().unwrap().clone()
    }

    pub(crate) fn is_silence(&self) -> bool {
        self.directives().is_empty() && self.facts().is_empty()
    }
}

/// A loop that takes everything, and numbers its messages so that a second answer can be told.
pub(crate) fn fake_loop(view: View) -> (Asks, Heard) {
    let (asks, mut asks_rx) = Asks::channel();
    let heard = Heard::default();
    let hears = heard.clone();
    tokio::spawn(async move {
        while let Some(ask) = asks_rx.recv().await {
            answer(ask, &view, &hears);
        }
    });
    (asks, heard)
}

fn answer(ask: Ask, view: &View, heard: &Heard) {
    match ask {
        Ask::Direct { directive, answer } => {
            let mut directives = heard.directives.lock().unwrap();
            directives.push(directive);
            let message = format!("directive {} taken", directives.len());
            answer.send(Answer { decision: Some(DECISION.into()), message }).unwrap();
        }
        Ask::Facts { conversation, facts, answer } => {
            heard.facts.lock().unwrap().push((conversation, facts));
            answer.send(Ok(Answer { decision: None, message: "facts taken".to_owned() })).unwrap();
        }
        Ask::Decision { id, answer } => {
            let known = (id.as_str() == DECISION).then(|| DecisionView {
                decision: id,
                conversation: CONVERSATION.into(),
                state: DecisionState::Confirmed,
                message: "the platform reported paused".to_owned(),
            });
            answer.send(known).unwrap();
        }
        Ask::Explain { answer, .. } => answer.send(None).unwrap(),
        Ask::View { answer } => answer.send(view.clone()).unwrap(),
        Ask::Conversation { id, answer } => {
            answer.send(view.calls.iter().find(|call| call.conversation == id).cloned()).unwrap();
        }
    }
}

pub(crate) fn call(id: &str, observed: Observed, wish: Wish) -> CallView {
    CallView {
        conversation: id.into(),
        media: "call".to_owned(),
        queue: "Payments".to_owned(),
        agent: "Ada <b>Agent</b>".to_owned(),
        observed,
        wish,
        rule: "pause-while-card-is-read".to_owned(),
        since: Wall::from_micros(1_000_000),
    }
}

pub(crate) fn sample_view() -> View {
    View {
        ready: Readiness::Ready,
        started: Wall::from_micros(1_500_000),
        now: Wall::from_micros(61_500_000),
        calls: vec![
            call("c1", Observed::Active, Wish::Start),
            call(CONVERSATION, Observed::Active, Wish::Stop),
            call("c3", Observed::Paused, Wish::Stop),
        ],
        worklist: 2,
        budget: Budget { used: 17, limit: 300 },
        sockets: vec![SocketView {
            name: "a".to_owned(),
            state: "subscribed".to_owned(),
            topics: 12,
            since: Wall::from_micros(2_500_000),
        }],
        decisions: vec![LatestDecision {
            at: Wall::from_micros(60_000_000),
            decision: DECISION.into(),
            conversation: CONVERSATION.into(),
            action: Action::Stop,
            rule: "pause-while-card-is-read".to_owned(),
            reason: "PCI DSS 3.3.1".to_owned(),
            state: DecisionState::Open,
        }],
        sight: "clear".to_owned(),
        resync: None,
        book_bytes: 0,
        gaps: 0,
        braked: None,
        counters: BTreeMap::from([
            ("recwarden_decisions_total".to_owned(), 4.0),
            ("recwarden_decisions_total_age".to_owned(), 0.5),
            ("dropped_total".to_owned(), 0.0),
        ]),
    }
}

/// Serves the router on loopback for as long as the test runs; gives its base URL.
pub(crate) async fn served(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(http::serve(listener, router, std::future::pending::<()>()));
    url
}

/// A client that goes to loopback and nowhere else.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}
