//! The simulated platform as its clients see it: requests and frames in, answers and frames out.
//!
//! It reads no clock: every entry takes the time, and [`Platform::next_wakeup`] says when to come back.

use std::time::Duration;

use crate::model::time::{Mono, Now};
use crate::sim::access::{EXPIRED, Rate};
use crate::sim::call::{Call, Touch, Truth, Way};
use crate::sim::channels::SocketId;
use crate::sim::desk::{Errand, analytics, conversations, directory, notifications, oauth, recording};
use crate::sim::faults::{Fate, Outage, RetryAfter};
use crate::sim::happening::Happening;
use crate::sim::life::{Beat, Effect};
use crate::sim::org::Org;
use crate::sim::plan::Plan;
use crate::sim::post::{Issued, SocketOut};
use crate::sim::shape::{self, Carrier};
use crate::sim::traffic::Cue;
use crate::sim::web::{HttpRequest, HttpResponse, Refusal};
pub use crate::sim::world::Out;
use crate::sim::world::World;

/// The largest body that is read (`request.bytes.max`, GENESYS.md 6).
pub const BODY_MOST: usize = 512_000;

/// The end of a call is told in its body for so long.
const TOLD_AFTER_END: std::time::Duration = std::time::Duration::from_secs(1);

/// The simulated platform.
#[derive(Debug)]
pub struct Platform {
    world: World,
}

/// How a conversation really was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueStory {
    /// Its id.
    pub conversation: String,
    /// Who began it.
    pub way: Way,
    /// What was true, each until the next; oldest first.
    pub truths: Vec<Truth>,
    /// Who changed what the recorder of the policy does, oldest first.
    pub touches: Vec<Touch>,
}

/// What becomes of a request that never gets an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is answered.
    Answer(HttpResponse),
    /// The client waits in vain.
    Silence,
}

impl Platform {
    /// A platform that begins now; its first caller too, unless the plan is for none.
    pub fn new(plan: Plan, now: Now) -> Self {
        Self { world: World::new(plan, now) }
    }

    /// The organisation: its queues and agents.
    pub fn org(&self) -> &Org {
        &self.world.org
    }

    /// What it was asked to be.
    pub fn plan(&self) -> &Plan {
        &self.world.plan
    }

    /// Lets all happen that is due.
    pub fn tick(&mut self, now: Now) {
        self.world.tick(now);
    }

    /// Lets what is due happen, about so many things at most, and says to which moment it has come. Where more
    /// is due than a machine can play, time here passes more slowly.
    pub fn catch_up(&mut self, now: Now, most: usize) -> Now {
        self.world.catch_up(now, most)
    }

    /// From now on nothing goes wrong any more.
    pub fn calm(&mut self) {
        self.world.calm();
    }

    /// Brings every queue back that was removed; how many there were.
    pub fn open_queues(&mut self) -> usize {
        self.world.org.open_all_queues()
    }

    /// Nobody calls any more; who is in a call stays to its end.
    pub fn close_doors(&mut self) {
        self.world.close_doors();
    }

    /// How long orders took to come after the events that called for them.
    pub fn reactions(&self) -> &[std::time::Duration] {
        self.world.reactions.took()
    }

    /// When something happens next.
    pub fn next_wakeup(&self) -> Option<Mono> {
        self.world.next_due()
    }

    /// The next frame for a socket; drain to `None` after every entry.
    pub fn poll_frame(&mut self) -> Option<(SocketId, SocketOut)> {
        self.world.poll_frame()
    }

    /// The next event that went out, for those who count them.
    pub fn poll_issued(&mut self) -> Option<Issued> {
        self.world.post.poll_issued()
    }

    /// The next thing that happened, for people who watch.
    pub fn poll_happening(&mut self) -> Option<Happening> {
        self.world.poll_happening()
    }

    /// A client opens the socket of a channel; `None` where there is no such channel.
    pub fn open_socket(&mut self, channel: &str, now: Now) -> Option<SocketId> {
        self.world.tick(now);
        self.world.open_socket(channel)
    }

    /// A client sent a text frame.
    pub fn socket_text(&mut self, socket: SocketId, text: &str, now: Now) {
        self.world.tick(now);
        notifications::hear(&mut self.world, socket, text);
    }

    /// A client closed its socket, or it broke.
    pub fn socket_gone(&mut self, socket: SocketId, now: Now) {
        self.world.tick(now);
        self.world.lose_socket(socket);
    }

    /// Begins a call that lives by this script, and gives its id.
    pub fn begin_call(&mut self, script: Vec<Cue>, now: Now) -> String {
        self.world.tick(now);
        self.world.begin_call(script)
    }

    /// Makes one thing happen in a call now.
    pub fn play(&mut self, conversation: &str, beat: &Beat, now: Now) -> Effect {
        self.world.tick(now);
        self.world.play_beat(conversation, beat)
    }

    /// How all conversations really were, by id.
    pub fn truth(&self) -> impl Iterator<Item = TrueStory> {
        self.world.calls.values().map(|call| TrueStory {
            conversation: call.id.clone(),
            way: call.way,
            truths: call.truth().cloned().collect(),
            touches: call.touches().copied().collect(),
        })
    }

    /// The conversations that are live, by id.
    pub fn live(&self) -> Vec<String> {
        self.world.calls.values().filter(|call| call.is_live()).map(|call| call.id.clone()).collect()
    }

    /// Closes a queue for new callers, or opens one that was closed: lists no longer name it, or do again.
    pub fn turn_queue(&mut self, now: Now) {
        self.world.tick(now);
        self.world.turn_queue();
    }

    /// Takes an agent off the lists, or brings one back.
    pub fn turn_user(&mut self, now: Now) {
        self.world.tick(now);
        self.world.turn_user();
    }

    /// When what was out of reach, oldest first.
    pub fn outages(&self) -> &[Out] {
        &self.world.outages
    }

    /// How often each fault has struck, by name.
    pub fn faults_struck(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.world.struck.iter().map(|(kind, times)| (*kind, *times))
    }

    /// The conversations that are live, or have just ended, as REST has them: id and body.
    pub fn bodies(&self) -> impl Iterator<Item = (String, String)> {
        let told =
            |call: &&Call| call.ended().is_none_or(|at| self.world.now.wall.since(at) < TOLD_AFTER_END);
        let body = |call: &Call| shape::conversation(call, &self.world.org, Carrier::Rest).to_string();
        self.world.calls.values().filter(told).map(move |call| (call.id.clone(), body(call)))
    }

    /// Serves one request.
    pub fn http(&mut self, request: &HttpRequest, now: Now) -> Reply {
        self.world.tick(now);
        let world = &mut self.world;
        let correlation = world.chance.uuid();
        let fate = match world.outage() {
            Some(Outage::Everything) => Fate::Lost,
            Some(Outage::Reads) if is_query(request) || is_read(request) => Fate::FailedBefore(503),
            Some(Outage::Queries) if is_query(request) => Fate::FailedBefore(503),
            Some(Outage::Sockets | Outage::Queries | Outage::Reads) | None => {
                world.plan.faults.fate(&mut world.chance)
            }
        };
        if let Some(kind) = fate.fault() {
            world.strikes(kind);
        }
        let (served, rate) = match fate {
            Fate::Lost => return Reply::Silence,
            Fate::FailedBefore(status) => (Err(Refusal::broken(status)), None),
            Fate::Served | Fate::FailedAfter(_) | Fate::Hung => admit(world, request),
        };
        let served = match fate {
            Fate::FailedAfter(status) => Err(Refusal::broken(status)),
            Fate::Served | Fate::FailedBefore(_) | Fate::Hung | Fate::Lost => served,
        };
        if let Err(refusal) = &served {
            let path = format!("{} {}", request.method, request.path);
            world.note("request", &path, &format!("{} {}", refusal.status, refusal.code));
        }
        let mut answer = served.unwrap_or_else(|refusal| refusal.answer(&correlation));
        answer.headers.push(("ININ-Correlation-Id".to_owned(), correlation));
        answer.headers.push(("Cache-Control".to_owned(), "no-cache, no-store, must-revalidate".to_owned()));
        if let Some(rate) = rate {
            answer.headers.push(("inin-ratelimit-count".to_owned(), rate.used.to_string()));
            answer.headers.push(("inin-ratelimit-allowed".to_owned(), rate.allowed.to_string()));
            answer.headers.push(("inin-ratelimit-reset".to_owned(), rate.reset.to_string()));
        }
        answer.delay = world.plan.faults.delay(&mut world.chance);
        if fate == Fate::Hung { Reply::Silence } else { Reply::Answer(answer) }
    }
}

/// Whether it asks which conversations there are.
fn is_query(request: &HttpRequest) -> bool {
    request.path.starts_with("/api/v2/analytics/")
}

/// Whether it asks how a conversation is.
fn is_read(request: &HttpRequest) -> bool {
    request.method == "GET" && request.path.starts_with("/api/v2/conversations/")
}

type Admitted = (Result<HttpResponse, Refusal>, Option<Rate>);

/// The door: a burst, the login, the token, the rate, and then the desks.
fn admit(world: &mut World, request: &HttpRequest) -> Admitted {
    let now = world.now.mono;
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    if request.body.len() > BODY_MOST {
        return (
            Err(Refusal::new(413, "request.entity.too.large", "The request is over the size limit.")),
            None,
        );
    }
    if let Some(until) = world.burst_until.filter(|until| *until > now) {
        let seconds = until.since(now).as_millis().div_ceil(1_000).try_into().unwrap_or(60);
        let told = tell_wait(world, seconds);
        return (Err(Refusal::too_many(seconds, world.plan.requests_per_minute, told)), None);
    }
    if request.method == "POST" && path == ["oauth", "token"] {
        if world.access.has_issued() && world.chance.strikes(world.plan.faults.failing_renewals) {
            world.strikes("no token to be had");
            return (Err(Refusal::broken(503)), None);
        }
        return (Ok(oauth::login(world, request)), None);
    }
    let ["api", "v2", rest @ ..] = path.as_slice() else {
        return (Err(Refusal::not_found()), None);
    };
    let token = match world.access.authenticate(request, now) {
        Ok(token) => token,
        Err(refusal) => {
            if refusal.code == EXPIRED {
                world.strikes("token expired");
            }
            return (Err(refusal), None);
        }
    };
    let rate = world.access.count(&token, now);
    if rate.is_over() {
        // Rounded down to whole seconds, as the platform does (GENESYS.md 6).
        let seconds = rate.reset.saturating_sub(1).max(1);
        let told = tell_wait(world, seconds);
        return (Err(Refusal::too_many(seconds, rate.allowed, told)), Some(rate));
    }
    let errand = Errand { request, method: &request.method, path: rest, token: &token };
    (serve(world, &errand, &token), Some(rate))
}

/// `Retry-After` for so many seconds, as the plan wants it.
fn tell_wait(world: &mut World, seconds: u64) -> Option<String> {
    match world.plan.faults.retry_after {
        RetryAfter::Sent => {
            world.strikes("429 with Retry-After in seconds");
            Some(seconds.to_string())
        }
        RetryAfter::Date => {
            world.strikes("429 with Retry-After as a date");
            let at = world.now.wall + Duration::from_secs(seconds);
            let at = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
            Some(at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        }
        RetryAfter::Omitted => {
            world.strikes("429 without Retry-After");
            None
        }
    }
}

fn serve(world: &mut World, errand: &Errand<'_>, token: &str) -> Result<HttpResponse, Refusal> {
    oauth::serve(world, errand, token)
        .or_else(|| directory::serve(world, errand))
        .or_else(|| notifications::serve(world, errand))
        .or_else(|| recording::serve(world, errand))
        .or_else(|| conversations::serve(world, errand))
        .or_else(|| analytics::serve(world, errand))
        .unwrap_or_else(|| Err(Refusal::not_found()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::time::Wall;
    use crate::sim::desk::analytics::ENTITIES_MOST;
    use crate::sim::faults::Faults;
    use crate::sim::recorder::Tape;

    /// A client on a virtual clock.
    struct Desk {
        platform: Platform,
        now: Now,
        token: String,
    }

    impl Desk {
        fn new(plan: Plan) -> Self {
            let now = Now { mono: Mono::default(), wall: Wall::from_micros(1_700_000_000_000_000) };
            let mut desk = Self { platform: Platform::new(plan, now), now, token: String::new() };
            desk.login();
            desk
        }

        fn quiet() -> Self {
            Self::new(Plan { calls: 0, ..Plan::default() })
        }

        fn login(&mut self) {
            let plan = self.platform.plan();
            let request = HttpRequest::for_token(&plan.client_id, &plan.client_secret);
            let Reply::Answer(answer) = self.platform.http(&request, self.now) else {
                panic!("an answer");
            };
            self.token = answer.value()["access_token"].as_str().unwrap_or("").to_owned();
        }

        fn wait(&mut self, span: Duration) {
            self.now = self.now + span;
            self.platform.tick(self.now);
        }

        fn ask(&mut self, method: &str, target: &str, body: &Value) -> HttpResponse {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let request = HttpRequest {
                method: method.into(),
                path: format!("/api/v2/{path}"),
                query: query.into(),
                headers: vec![
                    ("Authorization".into(), format!("Bearer {}", self.token)),
                    ("Host".into(), "127.0.0.1:9000".into()),
                ],
                body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
            };
            match self.platform.http(&request, self.now) {
                Reply::Answer(answer) => answer,
                Reply::Silence => HttpResponse::default(),
            }
        }

        fn get(&mut self, target: &str) -> HttpResponse {
            self.ask("GET", target, &Value::Null)
        }

        /// A channel with a socket, subscribed to the Payments queue.
        fn listen(&mut self) -> SocketId {
            let id = self.ask("POST", "notifications/channels", &Value::Null).value()["id"].clone();
            let id = id.as_str().expect("an id");
            let socket = self.platform.open_socket(id, self.now).expect("a socket");
            let topic = format!("v2.routing.queues.{}.conversations.calls", self.payments());
            let path = format!("notifications/channels/{id}/subscriptions");
            assert_eq!(self.ask("POST", &path, &json!([{"id": topic}])).status, 200);
            socket
        }

        fn payments(&self) -> String {
            self.platform.org().queues[0].id.clone()
        }

        fn answered_call(&mut self) -> String {
            let script = [Beat::CallIn, Beat::Enqueue(0), Beat::Ring, Beat::Answer]
                .map(|beat| (Duration::from_secs(1), beat));
            let id = self.platform.begin_call(script.to_vec(), self.now);
            self.wait(Duration::from_secs(5));
            id
        }

        fn frames(&mut self) -> Vec<Value> {
            std::iter::from_fn(|| self.platform.poll_frame())
                .map(|(_, out)| match out {
                    SocketOut::Text(text) => serde_json::from_str(&text).expect("JSON"),
                    SocketOut::Close { reason, .. } => json!({"closed": reason}),
                    SocketOut::Cut => json!({"cut": true}),
                    SocketOut::Freeze => json!({"frozen": true}),
                })
                .collect()
        }
    }

    const PAUSED: &str = "PAUSED";

    fn state(state: &str) -> Value {
        json!({"recordingState": state})
    }

    #[test]
    fn a_call_is_heard_and_its_pause_is_confirmed_by_an_event() {
        let mut desk = Desk::quiet();
        desk.listen();
        let id = desk.answered_call();
        let states: Vec<Value> =
            desk.frames().iter().map(|frame| frame["eventBody"]["recordingState"].clone()).collect();
        assert_eq!(states, ["none", "paused", "active"]);
        let answer = desk.ask("PUT", &format!("conversations/calls/{id}/recordingstate"), &state(PAUSED));
        assert_eq!((answer.status, answer.body.as_str()), (202, "\"PAUSED\""));
        assert_eq!(desk.get(&format!("conversations/{id}")).value()["securePause"], false);
        desk.wait(Duration::from_millis(200));
        let frames = desk.frames();
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0]["eventBody"]["securePause"], true);
        assert_eq!(desk.get(&format!("conversations/{id}")).value()["recordingState"], "PAUSED");
    }

    #[test]
    fn the_general_patch_pauses_and_resumes_with_an_empty_answer() {
        let mut desk = Desk::quiet();
        let id = desk.answered_call();
        for (wanted, tape) in [(PAUSED, Tape::SecurePaused), ("active", Tape::Active)] {
            let answer = desk.ask("PATCH", &format!("conversations/{id}/recordingstate"), &state(wanted));
            assert_eq!((answer.status, answer.body.as_str()), (202, ""));
            desk.wait(Duration::from_secs(1));
            let truth = desk.platform.truth().next().expect("a call").truths;
            assert_eq!(truth.last().map(|truth| truth.tape), Some(tape));
        }
    }

    #[test]
    fn the_gateway_starts_and_stops_and_refuses_what_is_so_already() {
        let mut desk = Desk::quiet();
        let id = desk.answered_call();
        let path = format!("conversations/{id}/recordings");
        let mut order = |action: &str| {
            let status = desk.ask("POST", &path, &json!({"action": action})).status;
            desk.wait(Duration::from_secs(1));
            status
        };
        assert_eq!(["start", "stop", "stop", "start", "pause"].map(&mut order), [409, 200, 400, 200, 400]);
    }

    #[test]
    fn an_ad_hoc_recorder_runs_beside_a_secure_pause() {
        let mut desk = Desk::quiet();
        let id = desk.answered_call();
        let body = desk.get(&format!("conversations/calls/{id}")).value();
        let agent = body["participants"][3]["id"].as_str().expect("an agent").to_owned();
        let path = format!("conversations/calls/{id}/participants/{agent}/snippet/record");
        assert_eq!(desk.ask("POST", &path, &json!({"type": "adhoc", "record": true})).status, 200);
        desk.ask("PATCH", &format!("conversations/{id}/recordingstate"), &state(PAUSED));
        desk.wait(Duration::from_secs(1));
        let body = desk.get(&format!("conversations/calls/{id}")).value();
        let recorders = &body["participants"][3]["recordersState"];
        assert_eq!(recorders["adhocState"], "ACTIVE");
        assert_eq!(recorders["customerExperienceState"], PAUSED);
    }

    #[test]
    fn errors_are_told_apart() {
        let mut desk = Desk::quiet();
        let id = desk.answered_call();
        let path = format!("conversations/calls/{id}/recordingstate");
        let code = |answer: HttpResponse| (answer.status, answer.value()["code"].clone());
        assert_eq!(code(desk.ask("PUT", &path, &state("LOUD"))), (400, json!("invalid.value")));
        let unknown = "conversations/calls/none/recordingstate";
        let missing = json!("conversation.error.conversation.not.found");
        assert_eq!(code(desk.ask("PUT", unknown, &state(PAUSED))), (404, missing));
        let patch = format!("conversations/calls/{id}");
        assert_eq!(code(desk.ask("PATCH", &patch, &state(PAUSED))), (400, json!("not.a.user")));
        desk.platform.play(&id, &Beat::CustomerLeaves, desk.now);
        assert_eq!(code(desk.ask("PUT", &path, &state(PAUSED))), (409, json!("request.conflict")));
        desk.token.clear();
        assert_eq!(code(desk.get("routing/queues")), (401, json!("authentication.required")));
    }

    #[test]
    fn a_missing_permission_is_named() {
        let mut plan = Plan { calls: 0, ..Plan::default() };
        plan.permissions.remove("conversation:recording:pauseOthers");
        let mut desk = Desk::new(plan);
        let id = desk.answered_call();
        let answer = desk.ask("PUT", &format!("conversations/calls/{id}/recordingstate"), &state(PAUSED));
        assert_eq!(answer.status, 403);
        assert_eq!(answer.value()["code"], "missing.any.permissions");
        assert!(answer.body.contains("conversation:recording:pauseOthers"));
    }

    #[test]
    fn the_rate_limit_answers_429_with_its_headers() {
        let mut desk = Desk::new(Plan { calls: 0, requests_per_minute: 2, ..Plan::default() });
        let first = desk.get("routing/queues");
        assert_eq!(first.header("inin-ratelimit-count"), Some("1"));
        desk.get("routing/queues");
        let third = desk.get("routing/queues");
        assert_eq!(third.status, 429);
        assert_eq!(third.header("Retry-After"), Some("59"));
        assert!(third.header("ININ-Correlation-Id").is_some());
        desk.wait(Duration::from_secs(60));
        assert_eq!(desk.get("routing/queues").status, 200);
    }

    #[test]
    fn what_time_ends_and_cannot_be_had_again_is_counted() {
        let faults = Faults { failing_renewals: 1.0, ..Faults::default() };
        let token_lifetime = Duration::from_secs(300);
        let mut desk = Desk::new(Plan { calls: 0, token_lifetime, faults, ..Plan::default() });
        desk.listen();
        desk.wait(token_lifetime);
        assert_eq!(desk.get("routing/queues").value()["code"], "credentials.expired");
        let former = desk.token.clone();
        desk.login();
        assert_eq!((former.is_empty(), desk.token.as_str()), (false, ""));
        let struck: Vec<(&str, u64)> = desk.platform.faults_struck().collect();
        let once =
            ["channel expired under its socket", "no token to be had", "token expired"].map(|what| (what, 1));
        assert_eq!(struck, once);
    }

    #[test]
    fn queues_come_in_pages() {
        let mut desk = Desk::quiet();
        let body = desk.get("routing/queues?pageSize=3&pageNumber=3").value();
        assert_eq!((&body["pageCount"], &body["total"]), (&json!(3), &json!(7)));
        assert_eq!(body["entities"].as_array().map(Vec::len), Some(1));
        let found = desk.get("routing/queues?name=card*").value();
        assert_eq!(found["entities"][0]["name"], "Card Services");
    }

    #[test]
    fn one_bad_topic_fails_all_unless_errors_are_ignored() {
        let mut plan = Plan { calls: 0, ..Plan::default() };
        plan.permissions.remove("directory:user:view");
        let mut desk = Desk::new(plan);
        let id = desk.ask("POST", "notifications/channels", &Value::Null).value()["id"].clone();
        let path = format!("notifications/channels/{}/subscriptions", id.as_str().expect("an id"));
        let user = desk.platform.org().users[0].id.clone();
        let (good, forbidden) =
            (format!("v2.users.{user}.conversations"), format!("v2.users.{user}.presence"));
        let topics = json!([{"id": good}, {"id": forbidden}, {"id": "v2.no.such.topic"}]);
        assert_eq!(desk.ask("PUT", &path, &topics).status, 403);
        assert_eq!(desk.get(&path).value()["entities"], json!([]));
        let body = desk.ask("PUT", &format!("{path}?ignoreErrors=true"), &topics).value();
        assert_eq!(body["entities"][0]["state"], "Permitted");
        assert_eq!(body["entities"][1]["missingPermissions"], json!(["directory:user:view"]));
        assert_eq!(body["entities"].as_array().map(Vec::len), Some(2));
        assert_eq!(desk.get(&path).value()["entities"], json!([{"id": good}]));
    }

    #[test]
    fn a_socket_answers_pings_subscribes_and_beats() {
        let mut desk = Desk::quiet();
        let socket = desk.listen();
        let topic = format!("v2.routing.queues.{}.conversations", desk.payments());
        let subscribe = json!({"message": "subscribe", "topics": [topic], "correlationId": "x"}).to_string();
        desk.platform.socket_text(socket, "{\"message\":\"ping\"}", desk.now);
        desk.platform.socket_text(socket, &subscribe, desk.now);
        let frames = desk.frames();
        assert_eq!(frames[0]["eventBody"]["message"], "pong");
        assert_eq!((&frames[1]["result"], &frames[1]["correlationId"]), (&json!("200"), &json!("x")));
        desk.wait(Duration::from_secs(30));
        assert_eq!(desk.frames()[0]["eventBody"]["message"], "WebSocket Heartbeat");
    }

    #[test]
    fn the_activity_query_finds_the_live_calls_of_a_queue() {
        let mut desk = Desk::quiet();
        let id = desk.answered_call();
        let query = |queue: &str| {
            json!({
                "metrics": [{"metric": "oInteracting", "details": true}],
                "groupBy": [],
                "filter": {"type": "or", "predicates": [{"dimension": "queueId", "value": queue}]},
            })
        };
        let path = "analytics/conversations/activity/query";
        let payments = desk.payments();
        let body = desk.ask("POST", path, &query(&payments)).value();
        assert_eq!(body["results"][0]["entities"][0]["conversationId"], json!(id));
        assert_eq!(desk.ask("POST", path, &query("other")).value()["results"][0]["entities"], json!([]));
        let details = json!({
            "interval": "2023-11-14T00:00:00.000Z/2023-11-15T00:00:00.000Z",
            "conversationFilters": [{
                "type": "and",
                "predicates": [{"type": "dimension", "dimension": "conversationEnd", "operator": "notExists"}],
            }],
        });
        let path = "analytics/conversations/details/query";
        assert_eq!(desk.ask("POST", path, &details).value()["totalHits"], 1);
        desk.platform.play(&id, &Beat::AgentLeaves, desk.now);
        assert_eq!(desk.ask("POST", path, &details).value()["totalHits"], 0);
    }

    #[test]
    fn a_list_of_entities_is_cut_short_and_groups_come_in_pages() {
        let plan = Plan { calls: 300, in_progress: 300, requests_per_minute: 60_000, ..Plan::default() };
        let mut desk = Desk::new(plan);
        let metrics = json!([{"metric": "oInteracting", "details": true}]);
        let mut ask = |groups: Value, page: usize| -> Vec<Value> {
            let path = format!("analytics/conversations/activity/query?pageSize=250&pageNumber={page}");
            let body = desk.ask("POST", &path, &json!({"metrics": metrics, "groupBy": groups})).value();
            body["results"].as_array().cloned().unwrap_or_default()
        };
        let whole = ask(json!([]), 1);
        let entities = whole[0]["entities"].as_array().map(Vec::len);
        assert_eq!((entities, &whole[0]["truncated"]), (Some(ENTITIES_MOST), &json!(true)));
        let pages = [1, 2, 3].map(|page| ask(json!(["conversationId"]), page));
        assert_eq!(pages.each_ref().map(Vec::len), [250, 50, 0]);
        assert_eq!(pages[1][0]["group"]["conversationId"], pages[1][0]["entities"][0]["conversationId"]);
        assert!(ask(Value::Null, 1).is_empty(), "without groups it is refused");
    }

    #[test]
    fn where_more_is_due_than_can_be_played_time_passes_more_slowly() {
        let plan = || Plan { calls: 200, pace: 100.0, ..Plan::default() };
        let mut whole = Desk::new(plan());
        let mut slow = Desk::new(plan());
        let end = whole.now + Duration::from_secs(2);
        whole.platform.tick(end);
        let (mut reached, mut turns) = (slow.now, 0);
        while reached != end {
            let next = slow.platform.catch_up(end, 64);
            assert!(next.mono >= reached.mono && next.mono <= end.mono);
            let apart = end.wall.since(next.wall).abs_diff(end.mono.since(next.mono));
            assert!(apart < Duration::from_micros(2), "both clocks are late by the same");
            (reached, turns) = (next, turns + 1);
        }
        assert!(turns > 10, "{turns}");
        let stories = |desk: &Desk| desk.platform.truth().collect::<Vec<_>>();
        assert_eq!(stories(&slow), stories(&whole), "and all happens as it would have");
    }

    #[test]
    fn an_order_that_is_not_applied_is_accepted_all_the_same() {
        let faults = Faults { not_applied: 1.0, ..Faults::default() };
        let mut desk = Desk::new(Plan { calls: 0, faults, ..Plan::default() });
        let id = desk.answered_call();
        let path = format!("conversations/calls/{id}/recordingstate");
        assert_eq!(desk.ask("PUT", &path, &state(PAUSED)).status, 202);
        desk.wait(Duration::from_secs(5));
        assert_eq!(desk.get(&format!("conversations/{id}")).value()["recordingState"], "ACTIVE");
    }

    #[test]
    fn a_closing_notice_comes_before_the_end() {
        let faults = Faults {
            closing_every: Some(Duration::from_secs(10)),
            closing_notice: Duration::from_secs(5),
            ..Faults::default()
        };
        let mut desk = Desk::new(Plan { calls: 0, faults, ..Plan::default() });
        desk.listen();
        desk.wait(Duration::from_secs(10));
        assert_eq!(desk.frames()[0]["topicName"], "v2.system.socket_closing");
        desk.wait(Duration::from_secs(5));
        assert_eq!(desk.frames(), [json!({"closed": "maintenance"})]);
    }

    #[test]
    fn a_half_open_socket_hears_nothing_more() {
        let faults = Faults { half_open_every: Some(Duration::from_secs(10)), ..Faults::default() };
        let mut desk = Desk::new(Plan { calls: 0, faults, ..Plan::default() });
        desk.listen();
        desk.wait(Duration::from_secs(10));
        desk.answered_call();
        desk.wait(Duration::from_secs(30));
        assert_eq!(desk.frames(), [json!({"frozen": true})]);
    }

    #[test]
    fn an_evicted_channel_answers_and_beats_and_gets_no_events() {
        let faults = Faults { evict_every: Some(Duration::from_secs(10)), ..Faults::default() };
        let mut desk = Desk::new(Plan { calls: 0, faults, ..Plan::default() });
        desk.listen();
        desk.wait(Duration::from_secs(10));
        desk.answered_call();
        assert_eq!(desk.frames(), [] as [Value; 0]);
        desk.wait(Duration::from_secs(20));
        assert_eq!(desk.frames()[0]["eventBody"]["message"], "WebSocket Heartbeat");
    }

    #[test]
    fn revoked_tokens_end_their_sockets_and_are_refused() {
        let faults = Faults { revoke_tokens_every: Some(Duration::from_secs(10)), ..Faults::default() };
        let mut desk = Desk::new(Plan { calls: 0, faults, ..Plan::default() });
        desk.listen();
        desk.wait(Duration::from_secs(10));
        let frames = desk.frames();
        assert_eq!(frames[0]["eventBody"]["systemTopicType"], "token_revoked");
        assert_eq!(frames[1], json!({"closed": "token revoked"}));
        assert_eq!(desk.get("routing/queues").status, 401);
        desk.login();
        assert_eq!(desk.get("routing/queues").status, 200);
    }

    #[test]
    fn events_come_twice_late_or_never_where_that_is_the_fault() {
        let heard = |faults: Faults| {
            let mut desk = Desk::new(Plan { calls: 0, faults, ..Plan::default() });
            desk.listen();
            let id = desk.answered_call();
            let at_once = desk.frames().len();
            desk.platform.play(&id, &Beat::Hold, desk.now);
            let held = desk.frames().len();
            desk.wait(Duration::from_secs(1));
            (at_once, held, desk.frames().len())
        };
        assert_eq!(heard(Faults::default()), (3, 1, 0));
        assert_eq!(heard(Faults { duplicate_events: 1.0, ..Faults::default() }), (6, 2, 0));
        assert_eq!(heard(Faults { lose_events: 1.0, ..Faults::default() }), (0, 0, 0));
        assert_eq!(heard(Faults { reorder_events: 1.0, ..Faults::default() }), (3, 0, 1));
    }

    #[test]
    fn a_channel_that_is_over_closes_its_socket() {
        let lifetime = Duration::from_secs(20);
        let mut desk = Desk::new(Plan { calls: 0, channel_lifetime: lifetime, ..Plan::default() });
        desk.listen();
        desk.wait(Duration::from_secs(21));
        assert_eq!(desk.frames(), [json!({"closed": "channel expired"})]);
    }

    #[test]
    fn a_burst_refuses_everything_for_a_while() {
        let faults = Faults { burst_429_every: Some(Duration::from_secs(10)), ..Faults::default() };
        let mut desk = Desk::new(Plan { calls: 0, faults, ..Plan::default() });
        desk.wait(Duration::from_secs(12));
        let answer = desk.get("routing/queues");
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("3")));
        desk.wait(Duration::from_secs(4));
        assert_eq!(desk.get("routing/queues").status, 200);
    }

    #[test]
    fn the_same_seed_makes_the_same_calls_however_often_it_is_driven() {
        let run = |step: Duration| {
            let mut desk = Desk::new(Plan { calls: 5, pace: 20.0, ..Plan::default() });
            for _ in 0..(60_000 / step.as_millis()) {
                desk.wait(step);
            }
            desk.platform.truth().collect::<Vec<_>>()
        };
        let (fine, coarse) = (run(Duration::from_millis(10)), run(Duration::from_secs(1)));
        assert!(fine.len() > 5);
        assert_eq!(fine, coarse);
    }
}
