//! What is promised, checked: order and rate while it runs, and at the end the chain, the open decisions and
//! the truth of every call.

use std::time::Duration;

use super::Stage;
use crate::audit::chain::Link;
use crate::model::time::Wall;
use crate::sim::oracle;
use crate::warden::RequestId;
use crate::wire::request::Request;

/// Once faults have stopped, everything is as demanded after this: a resync, and the waits before it.
const SETTLES_WITHIN: Duration = Duration::from_secs(240);
/// In calm a recording is in a wrong state for no longer: the way of the event, of the call, and what the
/// platform takes to apply it.
const WRONG_AT_MOST: Duration = Duration::from_secs(10);
/// The window of the rate limit.
const WINDOW: Duration = Duration::from_secs(60);

/// Whether the log tells of a request, so that the next process knows of it after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trace {
    /// Its attempt stands there.
    Logged,
    /// A read, or a matter of the subscription.
    Unlogged,
}

impl Stage {
    /// Checks a request on its way out.
    pub(super) fn watch_request(&mut self, id: RequestId, request: &Request) {
        let ordered = ordered(request);
        self.watch_rate(if ordered.is_some() { Trace::Logged } else { Trace::Unlogged });
        let Some(conversation) = ordered else { return };
        if self.orders.values().any(|other| *other == conversation) {
            self.finding(format!("two orders under way for {conversation}"));
        }
        let decided = self
            .history
            .open_decisions()
            .any(|open| open.attempts > 0 && open.decision.conversation.as_str() == conversation);
        if !decided {
            self.finding(format!("an order for {conversation} without a durable decision and attempt"));
        }
        self.orders.insert(id, conversation);
    }

    fn watch_rate(&mut self, trace: Trace) {
        let now = self.now.mono;
        while self.sent.front().is_some_and(|(at, _)| now.since(*at) >= WINDOW) {
            self.sent.pop_front();
        }
        self.sent.push_back((now, trace));
        let limit = self.script.settings.allowance.requests_per_minute;
        if self.sent.len() > limit.try_into().unwrap_or(usize::MAX) {
            self.finding(format!("{} requests within a minute, {limit} at most", self.sent.len()));
        }
    }

    /// Checks what must hold at the end of the calm that began at `calm_from`.
    pub(super) fn judge_the_end(&mut self, calm_from: Wall) {
        self.judge_chain();
        let now = self.now.wall;
        let late: Vec<String> = self
            .history
            .open_decisions()
            .filter(|open| now.since(open.at) > WRONG_AT_MOST)
            .map(|open| format!("decision {} is open since {}", open.decision.decision, open.at))
            .collect();
        late.into_iter().for_each(|one| self.finding(one));
        let settled = calm_from + SETTLES_WITHIN;
        let stories: Vec<_> = self.platform.truth().collect();
        for story in stories {
            for (from, until) in oracle::wrong_spans(&story.truths, self.platform.org(), now) {
                let from_settled = from.max(settled);
                if until.since(from_settled) > WRONG_AT_MOST {
                    let id = &story.conversation;
                    self.finding(format!(
                        "{id} was in a wrong state from {from} until {until}, calm since {calm_from}"
                    ));
                }
            }
        }
    }

    fn judge_chain(&mut self) {
        let mut link = Link::default();
        for line in std::mem::take(&mut self.lines) {
            if let Err(broken) = link.follow(&line) {
                self.finding(format!("the chain is broken: {broken}"));
                return;
            }
        }
    }
}

/// The conversation whose recording a request changes.
fn ordered(request: &Request) -> Option<String> {
    let path = request.path();
    let mut parts = path.split('/').skip_while(|part| *part != "conversations").skip(1);
    let id = parts.find(|part| part.len() == 36 && part.contains('-'))?;
    (request.method() != "GET").then(|| id.to_owned())
}
