//! What lies between the warden and the platform: parcels that take their time, the token, and requests.

use std::time::Duration;

use super::{Parcel, Stage};
use crate::model::time::{Mono, Now};
use crate::sim::platform::Reply;
use crate::sim::post::SocketOut;
use crate::sim::web::{HttpRequest, HttpResponse};
use crate::warden::session::token_renewed_after;
use crate::warden::{Input, RequestId};
use crate::wire::reply::{ANSWER_WAIT, RateHeaders, RawAnswer, Transport};
use crate::wire::request::Request;

/// A way through the network takes at least and at most so long.
const WAY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));
/// A slow way takes at most so much longer: there and back together it is not given up.
const SLOW_BY: Duration = Duration::from_secs(14);
/// A renewal of the token that failed is tried again after this, as the real client does.
const TOKEN_AGAIN: Duration = Duration::from_secs(10);

impl Stage {
    /// Sends a parcel on its way, to arrive after the network's time and `longer`.
    pub(super) fn post(&mut self, parcel: Parcel, longer: Duration) {
        let at = self.now.mono + self.chance.span(WAY.0, WAY.1) + longer;
        self.put(at, self.life, parcel);
    }

    fn put(&mut self, at: Mono, life: u32, parcel: Parcel) {
        self.next_parcel += 1;
        self.on_their_way.insert((at, self.next_parcel), (life, parcel));
    }

    /// A parcel that has arrived, and when; one for a process that died is lost.
    pub(super) fn next_parcel_due(&mut self) -> Option<(Mono, Parcel)> {
        loop {
            let entry = self.on_their_way.first_entry().filter(|entry| entry.key().0 <= self.now.mono)?;
            let at = entry.key().0;
            let (life, parcel) = entry.remove();
            if life == self.life {
                return Some((at, parcel));
            }
        }
    }

    /// Requests that reach the platform now, whatever has become of the process that sent them.
    pub(super) fn serve_requests(&mut self) {
        while let Some(entry) = self.requests.first_entry().filter(|entry| entry.key().0 <= self.now.mono) {
            let (life, id, request) = entry.remove();
            let (answer, delay) = self.serve(&request).unwrap_or_else(|| {
                self.count("fault: no answer in time");
                (RawAnswer::Failed(Transport::Timeout), ANSWER_WAIT)
            });
            let at = self.now.mono + self.way("fault: answer that was long on its way") + delay;
            self.put(at, life, Parcel::Answer(id, answer));
        }
    }

    /// Frames that the platform sent; those of one socket keep their order.
    pub(super) fn collect_frames(&mut self) {
        while let Some((there, out)) = self.platform.poll_frame() {
            let Some(socket) = self.sockets.iter().find(|(_, at)| **at == there).map(|(here, _)| *here)
            else {
                continue;
            };
            let parcel = match out {
                SocketOut::Text(text) => self.let_in(socket, text),
                SocketOut::Close { .. } | SocketOut::Cut => Parcel::Lost(socket),
                SocketOut::Freeze => continue,
            };
            self.put(self.now.mono + WAY.1, self.life, parcel);
        }
    }

    /// What a parcel is to the warden that arrived at that moment.
    pub(super) fn unpack(&mut self, parcel: Parcel, at: Mono) -> Option<Input> {
        match parcel {
            Parcel::Opened(socket) => Some(Input::SocketOpened(socket)),
            Parcel::Shed(socket) => self.tell_shed(socket),
            Parcel::Text(socket, text) => {
                self.free_room(&text);
                // A socket that was closed or lost hears nothing more.
                if !self.sockets.contains_key(&socket) {
                    return None;
                }
                self.count_arrival(&text);
                self.count("frames");
                self.note_told(&text);
                let seen = self.seen();
                let came = Now { mono: at, wall: seen.wall - seen.mono.since(at) };
                Some(Input::SocketText(socket, text, came))
            }
            Parcel::Lost(socket) => {
                self.sockets.remove(&socket);
                Some(Input::SocketLost(socket, "the connection is gone".into()))
            }
            Parcel::Answer(id, answer) => {
                self.orders.remove(&id);
                self.free_slot(id, &answer);
                Some(Input::Answer(id, answer))
            }
            Parcel::Token => Some(Input::TokenRenewed),
            Parcel::Letter(conversation, word) => Some(self.open_letter(conversation, word)),
        }
    }

    pub(super) fn send(&mut self, id: RequestId, request: Request) {
        self.count("requests");
        if matches!(request, Request::CreateChannel) {
            self.count("channels asked for");
        }
        self.tell(|| format!("< {} {}", request.method(), request.path()));
        self.watch_request(id, &request);
        let at = self.now.mono + self.way("fault: request that was long on its way");
        self.next_parcel += 1;
        self.requests.insert((at, self.next_parcel), (self.life, id, request));
    }

    /// How long the next way of a request or its answer takes.
    fn way(&mut self, slow: &str) -> Duration {
        let way = self.chance.span(WAY.0, WAY.1);
        if !self.chance.strikes(self.script.mischief.slow) {
            return way;
        }
        self.count(slow);
        way + self.chance.span(Duration::ZERO, SLOW_BY)
    }

    /// The platform's answer to a request, with the delay it gives it; a token that is refused is renewed for the
    /// next one, as the real client does.
    fn serve(&mut self, request: &Request) -> Option<(RawAnswer, Duration)> {
        if self.token.is_empty() {
            self.log_in();
        }
        let answer = self.ask(request)?;
        if answer.status == 401 {
            self.log_in();
        }
        Some(raw(answer))
    }

    fn ask(&mut self, request: &Request) -> Option<HttpResponse> {
        let whole = request.path();
        let (path, query) = whole.split_once('?').unwrap_or((&whole, ""));
        let asked = HttpRequest {
            method: request.method().to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: vec![("Authorization".to_owned(), format!("Bearer {}", self.token))],
            body: request.body().unwrap_or_default().into_bytes(),
        };
        match self.platform.http(&asked, self.now) {
            Reply::Answer(answer) => Some(answer),
            Reply::Silence => None,
        }
    }

    /// Renews the token in time, whether a request needs it or not.
    pub(super) fn keep_token_fresh(&mut self) {
        if self.renew_at.is_some_and(|at| at <= self.now.mono) {
            self.log_in();
        }
    }

    fn log_in(&mut self) {
        self.count("logins");
        self.renew_at = Some(self.now.mono + TOKEN_AGAIN);
        let renewed = !self.token.is_empty();
        let plan = self.platform.plan();
        let asked = HttpRequest::for_token(&plan.client_id, &plan.client_secret);
        if let Reply::Answer(answer) = self.platform.http(&asked, self.now)
            && let Some(token) = answer.value().get("access_token").and_then(|token| token.as_str())
        {
            token.clone_into(&mut self.token);
            self.renew_at = Some(self.now.mono + token_renewed_after(self.platform.plan().token_lifetime));
            if renewed {
                self.post(Parcel::Token, Duration::ZERO);
            }
        }
    }
}

fn raw(answer: HttpResponse) -> (RawAnswer, Duration) {
    let text = |name: &str| answer.header(name).map(str::to_owned);
    let number = |name: &str| text(name).and_then(|value| value.parse().ok());
    let rate = RateHeaders {
        count: number("inin-ratelimit-count"),
        allowed: number("inin-ratelimit-allowed"),
        reset: number("inin-ratelimit-reset"),
    };
    let retry_after = text("retry-after");
    let correlation = text("inin-correlation-id").unwrap_or_default();
    let delay = answer.delay;
    (RawAnswer::Answered { status: answer.status, retry_after, rate, correlation, body: answer.body }, delay)
}
