//! Between the loop and those outside: their orders in the warden's words, its view in theirs, and alerts.

use std::process::Stdio;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tracing::{error, warn};

use crate::audit::record::{self, DirectiveOrigin};
use crate::http::ask;
use crate::settings::Alert;
use crate::warden::{self, Order, What};

/// Decisions shown on the page.
pub(super) const LATEST_DECISIONS: usize = 50;
/// An alert that takes longer is given up; the log and the journal have it.
const ALERT_WAIT: std::time::Duration = std::time::Duration::from_secs(10);

pub(super) fn order(from: ask::DirectiveOrder) -> Order {
    Order {
        conversation: from.conversation,
        what: match from.order {
            ask::Order::Set { action, lasts } => What::Set(action, lasts),
            ask::Order::Release => What::Release,
        },
        by: from.by,
        reason: from.reason,
        origin: match from.origin {
            ask::Origin::Webhook => DirectiveOrigin::Webhook,
            ask::Origin::Manual => DirectiveOrigin::Manual,
        },
        webhook_id: from.webhook_id,
    }
}

fn state(word: &str) -> ask::DecisionState {
    match word {
        "confirmed" => ask::DecisionState::Confirmed,
        "superseded" => ask::DecisionState::Superseded,
        "abandoned" => ask::DecisionState::Abandoned,
        _ => ask::DecisionState::Open,
    }
}

pub(super) fn decision(from: warden::DecisionView) -> ask::DecisionView {
    ask::DecisionView {
        decision: from.decision,
        conversation: from.conversation,
        state: state(from.state),
        message: from.message,
    }
}

pub(super) fn view(from: warden::View) -> ask::View {
    ask::View {
        ready: from.not_ready.map_or(ask::Readiness::Ready, ask::Readiness::NotReady),
        started: from.started,
        now: from.now,
        calls: from.calls,
        worklist: from.worklist,
        budget: ask::Budget { used: from.budget.0, limit: from.budget.1 },
        sockets: from
            .slots
            .into_iter()
            .map(|slot| ask::SocketView {
                name: format!("channel {}", slot.slot.0),
                state: slot.state.to_owned(),
                topics: slot.topics,
                since: slot.since,
            })
            .collect(),
        decisions: from
            .decisions
            .into_iter()
            .map(|one| ask::LatestDecision {
                at: one.at,
                decision: one.view.decision,
                conversation: one.view.conversation,
                action: one.action,
                rule: one.rule,
                reason: one.view.message,
                state: state(one.view.state),
            })
            .collect(),
        sight: from.sight.to_owned(),
        resync: from.resync.map(|one| ask::ResyncView { read: one.read, total: one.total }),
        book_bytes: from.book_bytes,
        gaps: from.gaps,
        braked: from.braked,
        // Counters of events stay far below 2^52, where a float would lose count.
        counters: from.counters.into_iter().map(|(name, count)| (name.to_owned(), count as f64)).collect(),
    }
}

/// Alerts that go out at the same time.
const ALERTS_AT_ONCE: usize = 8;
/// Alerts that wait for that. Beyond it one is not sent, which is logged: it stands in the audit log already,
/// and whoever has so many on the way has been woken.
const ALERTS_WAITING: usize = 512;

/// The way out for alerts.
pub(super) struct Alerts {
    waiting: Arc<Semaphore>,
    going: Arc<Semaphore>,
}

impl Alerts {
    pub(super) fn new() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { waiting: places(ALERTS_WAITING), going: places(ALERTS_AT_ONCE) }
    }

    /// Sends an alert out, beside the loop; it stands in the log already.
    pub(super) fn send(&self, to: &Alert, alert: &record::Alert) {
        let Ok(text) = serde_json::to_string(alert) else { return };
        if let Some((program, arguments)) = to.exec.split_first() {
            self.spawn(execute((program.clone(), arguments.to_vec()), text.clone()));
        }
        if !to.url.is_empty() {
            self.spawn(post(to.url.clone(), text));
        }
    }

    fn spawn(&self, sending: impl Future<Output = ()> + Send + 'static) {
        let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return error!("{ALERTS_WAITING} alerts wait to go out already; this one is not sent");
        };
        let going = Arc::clone(&self.going);
        tokio::spawn(async move {
            // The semaphore is never closed; were it, the alert would go all the same.
            let _going = going.acquire().await.ok();
            sending.await;
            drop(place);
        });
    }
}

async fn execute((program, arguments): (String, Vec<String>), text: String) {
    let spawned = tokio::process::Command::new(&program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return error!(%error, program, "the alert program could not be started"),
    };
    if let Some(mut input) = child.stdin.take()
        && let Err(error) = input.write_all(text.as_bytes()).await
    {
        warn!(%error, program, "the alert program did not read the alert");
    }
    match tokio::time::timeout(ALERT_WAIT, child.wait()).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => error!(%status, program, "the alert program failed"),
        Ok(Err(error)) => error!(%error, program, "the alert program failed"),
        Err(_) => error!(program, "the alert program did not end in time and was stopped"),
    }
}

async fn post(url: String, text: String) {
    let client = match crate::io::api::http_client() {
        Ok(client) => client,
        Err(error) => return error!(%error, "the alert could not be posted"),
    };
    let request = client.post(url).header("Content-Type", "application/json").timeout(ALERT_WAIT).body(text);
    match request.send().await {
        Ok(answer) if answer.status().is_success() => {}
        Ok(answer) => error!(status = answer.status().as_u16(), "the alert was not taken"),
        Err(error) => error!(error = %error.without_url(), "the alert could not be posted"),
    }
}
