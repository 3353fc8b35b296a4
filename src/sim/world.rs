//! All that the simulated platform holds, and the agenda of what comes next.
//!
//! The agenda is the only clock: an item is played at the moment it was due, however often somebody looks.
//! Callers draw from a source of chance of their own: how clients behave does not change who calls.

mod misfortune;
mod odd;
mod telling;
mod toll;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::model::time::{Mono, Now};
use crate::sim::access::{Access, OauthClient};
use crate::sim::agenda::Agenda;
use crate::sim::call::{By, Call, Division};
use crate::sim::channels::SocketId;
use crate::sim::faults::{Faults, Misfortune};
use crate::sim::happening::{Diary, Happening, beat_text, tape_text};
use crate::sim::life::{Beat, Cast, Effect, Order, obey, play, way_of};
use crate::sim::org::Org;
use crate::sim::plan::Plan;
use crate::sim::post::{Post, SocketOut};
use crate::sim::random::Chance;
use crate::sim::reaction::Reactions;
use crate::sim::roster::Roster;
use crate::sim::traffic::{Cue, customer_number, write_life, write_life_in_progress};
pub use misfortune::Out;

/// Ended calls kept, so that they can still be read; the oldest goes first.
const ENDED_KEPT: usize = 20_000;

/// The moment that was so much before another.
fn earlier(now: Now, mono: Mono) -> Now {
    Now { mono, wall: now.wall - now.mono.since(mono) }
}

#[derive(Clone, Debug)]
enum Item {
    NewCall,
    Cue(String, usize),
    Apply(String, Order),
    Heartbeat(SocketId),
    Deliver(SocketId, String),
    CloseSocket(SocketId),
    ExpireChannel(String),
    OpenQueue(&'static str),
    TurnUser(&'static str),
    Misfortune(Misfortune),
    Stir,
    BeginFaults(Box<Faults>),
}

/// Whether anybody calls any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doors {
    Open,
    Closed,
}

/// All that the simulated platform holds.
#[derive(Debug)]
pub struct World {
    /// What it was asked to be.
    pub plan: Plan,
    /// Its queues and agents.
    pub org: Org,
    /// Its client and tokens.
    pub access: Access,
    /// Its notification channels, and what goes out to them.
    pub post: Post,
    /// Chance for all but the callers.
    pub chance: Chance,
    /// Its conversations, live and ended.
    pub calls: BTreeMap<String, Call>,
    /// Until when all requests are refused.
    pub burst_until: Option<Mono>,
    /// When what was out of reach, oldest first.
    pub outages: Vec<Out>,
    /// How often each fault has struck.
    pub struck: BTreeMap<&'static str, u64>,
    /// The moment that is being played.
    pub now: Now,
    /// How soon orders follow the events that call for them.
    pub reactions: Reactions,
    // When somebody looked last: what is played late is heard late.
    looked: Mono,
    doors: Doors,
    roster: Roster,
    odd_frames: usize,
    callers: Chance,
    scripts: BTreeMap<String, Vec<Cue>>,
    live: BTreeSet<String>,
    ended: VecDeque<String>,
    agenda: Agenda<Item>,
    diary: Diary,
}

impl World {
    /// A centre where nobody has called yet.
    pub fn new(plan: Plan, now: Now) -> Self {
        let client = OauthClient {
            id: plan.client_id.clone(),
            secret: plan.client_secret.clone(),
            permissions: plan.permissions.clone(),
        };
        // Twice as many agents as calls, so that consultations find one too.
        let org = Org::with_queues(plan.calls.saturating_mul(2) + 5, &plan.cast.queues);
        let mut world = Self {
            roster: Roster::new(&org),
            org,
            access: Access::new(client, plan.token_lifetime, plan.requests_per_minute),
            post: Post::new(plan.channel_lifetime),
            chance: Chance::new(plan.seed ^ 0x5eed_0000_0000_0001),
            callers: Chance::new(plan.seed),
            calls: BTreeMap::new(),
            burst_until: None,
            outages: Vec::new(),
            struck: BTreeMap::new(),
            now,
            reactions: Reactions::default(),
            looked: now.mono,
            doors: Doors::Open,
            odd_frames: 0,
            scripts: BTreeMap::new(),
            live: BTreeSet::new(),
            ended: VecDeque::new(),
            agenda: Agenda::default(),
            diary: Diary::default(),
            plan,
        };
        world.open_the_doors();
        world
    }

    fn open_the_doors(&mut self) {
        // The first callers come within a third of a mean talk, so that lives do not run in step.
        let first = self.plan.talk.div_f64(self.plan.pace.max(0.001) * 3.0);
        let in_progress = self.plan.in_progress.min(self.plan.calls);
        for _ in 0..in_progress {
            let script = write_life_in_progress(&self.org, &self.plan, &mut self.callers);
            self.begin_call(script);
        }
        for place in in_progress..self.plan.calls {
            let after = if place == 0 { Duration::ZERO } else { self.callers.span(Duration::ZERO, first) };
            self.put(after, Item::NewCall);
        }
        self.expect_changes();
        self.begin_faults();
        // Who is in progress has got so far before anybody looks.
        self.tick(self.now);
    }

    /// Nobody calls any more; who is in a call stays to its end.
    pub fn close_doors(&mut self) {
        self.doors = Doors::Closed;
        self.note("call", "", "nobody calls any more");
        self.note_the_last_call();
    }

    fn note_the_last_call(&mut self) {
        if self.doors == Doors::Closed && self.live.is_empty() {
            self.note("call", "", "the last call is over");
        }
    }

    fn put(&mut self, after: Duration, item: Item) {
        self.agenda.put(self.now.mono + after, item);
    }

    /// When the next item is due.
    pub fn next_due(&self) -> Option<Mono> {
        self.agenda.next_due()
    }

    /// Plays all that is due.
    pub fn tick(&mut self, now: Now) {
        self.looked = now.mono;
        while let Some((due, item)) = self.agenda.take_due(now.mono) {
            self.now = earlier(now, due);
            self.play_item(item);
        }
        self.now = now;
    }

    /// Plays what is due, about so many items at most, and says to which moment it has come: to `now`, or to the
    /// next item that is due and not played yet.
    pub fn catch_up(&mut self, now: Now, most: usize) -> Now {
        self.looked = now.mono;
        for _ in 0..most {
            let Some((due, item)) = self.agenda.take_due(now.mono) else { break };
            self.now = earlier(now, due);
            self.play_item(item);
        }
        let left = self.next_due().filter(|due| *due <= now.mono);
        self.now = left.map_or(now, |due| earlier(now, due));
        self.now
    }

    fn play_item(&mut self, item: Item) {
        match item {
            Item::NewCall if self.doors == Doors::Closed => {}
            Item::NewCall => {
                let script = write_life(&self.org, &self.plan, &mut self.callers);
                self.begin_call(script);
            }
            Item::Cue(call, place) => self.play_cue(&call, place),
            Item::Apply(call, order) => self.apply(&call, &order),
            Item::Heartbeat(socket) => {
                if self.post.beat(socket).is_some() {
                    self.put(self.plan.heartbeat, Item::Heartbeat(socket));
                }
            }
            Item::Deliver(socket, text) => self.post.send(socket, SocketOut::Text(text)),
            Item::CloseSocket(socket) => {
                if self.post.channels.socket(socket).is_some() {
                    self.strikes("socket closed after its notice");
                }
                self.post.end(socket, SocketOut::Close { code: 1001, reason: "maintenance" });
            }
            Item::ExpireChannel(channel) => self.expire_channel(channel),
            Item::OpenQueue(name) => {
                self.org.add_queue(name);
                self.note("queue", name, "made");
            }
            Item::TurnUser(address) => self.turn_user_of(address),
            Item::Stir => self.stir(),
            Item::BeginFaults(faults) => self.take_faults(*faults),
            Item::Misfortune(kind) => {
                if let Some(after) = self.plan.faults.next_after(kind, &mut self.chance) {
                    self.strike(kind);
                    self.put(after, Item::Misfortune(kind));
                }
            }
        }
    }

    /// Begins a call that lives by this script, and gives its id.
    pub fn begin_call(&mut self, script: Vec<Cue>) -> String {
        let id = self.callers.uuid();
        let way = way_of(script.first().map(|(_, beat)| beat));
        let customer = customer_number(&mut self.callers);
        let mut call = Call::new(id.clone(), way, customer, "tel:+15550100000".to_owned(), self.now.wall);
        if self.plan.faults.forbids(&id) {
            call.division = Division::Other;
        }
        self.calls.insert(id.clone(), call);
        self.live.insert(id.clone());
        let first = script.first().map(|(after, _)| *after);
        self.scripts.insert(id.clone(), script);
        if let Some(after) = first {
            self.put(after, Item::Cue(id.clone(), 0));
        }
        id
    }

    fn play_cue(&mut self, id: &str, place: usize) {
        let Some(script) = self.scripts.get(id) else {
            return;
        };
        let beat = script.get(place).map(|(_, beat)| beat.clone());
        let next = script.get(place + 1).map(|(after, _)| *after);
        if let Some(beat) = beat {
            self.play_beat(id, &beat);
        }
        match next {
            Some(after) => self.put(after, Item::Cue(id.to_owned(), place + 1)),
            None => drop(self.scripts.remove(id)),
        }
    }

    /// Plays one beat in a call now.
    pub fn play_beat(&mut self, id: &str, beat: &Beat) -> Effect {
        let free_agent = self.roster.free_agent(&self.org, &mut self.callers);
        let Some(call) = self.calls.get_mut(id) else {
            return Effect::Nothing;
        };
        let (lived, recorder) = (call.is_live(), call.recorder);
        let mut cast = Cast { org: &self.org, chance: &mut self.callers, free_agent };
        let effect = play(call, beat, &mut cast, self.now.wall);
        let ended = lived && !call.is_live();
        let pressed = matches!(beat, Beat::PressPause | Beat::PressResume);
        call.note_touch(if pressed { By::Agent } else { By::Platform }, recorder, self.now.wall);
        self.roster.note(call);
        if effect == Effect::Changed {
            let text = format!("{} ({})", beat_text(beat, &self.org), tape_text(call.tape()));
            self.note("call", id, &text);
            self.touch(id);
        }
        if ended {
            self.replace_caller(id);
        }
        effect
    }

    fn replace_caller(&mut self, id: &str) {
        self.live.remove(id);
        self.note_the_last_call();
        self.ended.push_back(id.to_owned());
        if self.ended.len() > ENDED_KEPT
            && let Some(oldest) = self.ended.pop_front()
        {
            self.calls.remove(&oldest);
            self.scripts.remove(&oldest);
        }
        let pause = self.plan.talk.div_f64(self.plan.pace.max(0.001) * 10.0);
        let after = self.callers.span(Duration::ZERO, pause);
        if self.plan.calls > 0 {
            self.put(after, Item::NewCall);
        }
    }

    fn apply(&mut self, id: &str, order: &Order) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let recorder = call.recorder;
        let effect = obey(call, order);
        call.note_touch(By::Client, recorder, self.now.wall);
        let outcome = match effect {
            Effect::Nothing => "changes nothing",
            Effect::Changed => tape_text(call.tape()),
        };
        self.note("recording", id, &format!("{order:?}: {outcome}"));
        if effect == Effect::Changed {
            self.touch(id);
        }
    }

    /// A new channel; closed when its time is over, unless that is put off by a subscription.
    pub fn create_channel(&mut self, token: &str) -> String {
        let (id, evicted) = self.post.channels.create(&mut self.chance, self.now.mono);
        if let Some(evicted) = evicted {
            self.note("channel", &evicted, "pushed out by a 21st channel");
        }
        self.note("channel", &id, "created");
        let mut lasts = self.plan.channel_lifetime;
        if let Some(end) = self.access.expiry(token) {
            self.post.channels.end_with_token(&id, end);
            lasts = lasts.min(end.since(self.now.mono));
        }
        self.put(lasts, Item::ExpireChannel(id.clone()));
        id
    }

    fn expire_channel(&mut self, id: String) {
        let listened = self.post.channels.expiry(&id).is_some_and(|(_, socket)| socket.is_some());
        match self.post.expire(&id, self.now.mono) {
            Some(left) => return self.put(left, Item::ExpireChannel(id)),
            None if listened => self.strikes("channel expired under its socket"),
            None => {}
        }
        self.note("channel", &id, "is over");
    }

    /// Opens a socket for a channel; `None` where there is no such channel, or none can be had.
    pub fn open_socket(&mut self, channel: &str) -> Option<SocketId> {
        if self.outage().is_some() {
            return None;
        }
        let (socket, former) = self.post.connect(channel, self.now.mono)?;
        if former.is_some() {
            self.note("socket", channel, "closed: a second socket took the channel");
        }
        self.put(self.plan.heartbeat, Item::Heartbeat(socket));
        self.note("socket", channel, "opened");
        self.begin_to_stir();
        Some(socket)
    }

    /// Forgets a socket that the client closed or lost.
    pub fn lose_socket(&mut self, socket: SocketId) {
        if let Some(channel) = self.post.channels.socket(socket).map(|socket| socket.channel.clone()) {
            self.note("socket", &channel, "closed by the client");
            self.post.channels.disconnect(socket);
        }
    }

    /// Writes down that something happened.
    pub fn note(&mut self, kind: &'static str, subject: &str, detail: &str) {
        let (subject, detail) = (subject.to_owned(), detail.to_owned());
        self.diary.write(Happening { at: self.now.wall, kind, subject, detail });
    }

    /// The next frame for a socket.
    pub fn poll_frame(&mut self) -> Option<(SocketId, SocketOut)> {
        self.post.poll_frame()
    }

    /// The next thing that happened.
    pub fn poll_happening(&mut self) -> Option<Happening> {
        self.diary.read()
    }
}
