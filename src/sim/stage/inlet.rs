//! The way from the sockets to the warden, where texts that wait take room (`io::socket`), and what is promised of
//! those that are shed: each is journaled, no decision is lost with it, and what they told of is read soon.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Judged, Parcel, Stage};
use crate::model::ids::ConversationId;
use crate::model::time::{Mono, Wall};
use crate::warden::session::SocketId;
use crate::warden::{Input, Warden};

/// Room is counted in these, as the real way does.
const ROOM_UNIT: usize = 1024;
/// Below this bound, in bytes, the memory is tight: what is shed is looked at more closely.
pub(super) const TIGHT: u64 = 1 << 20;
/// What was shed is journaled within this.
const JOURNALED_WITHIN: Duration = Duration::from_secs(12);
/// Once nothing was shed for so long everything is read.
const QUIET: Duration = Duration::from_secs(5);
/// Where that does not come, everything is read so often all the same.
const READ_EVERY: Duration = Duration::from_secs(30);
/// And that takes so long.
const READ_WITHIN: Duration = Duration::from_secs(4);
/// Who could not be read is tried again after this.
const REREAD_EVERY: Duration = Duration::from_secs(60);
/// No conversation takes more in the book than this, in bytes.
const LARGEST: usize = 8 << 10;
/// The counter of what the warden shed.
const DROPPED: &str = "recwarden_events_dropped_total";

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Inlet {
    /// Units that the texts take that are on their way.
    taken: usize,
    /// Shed and not told to the warden yet.
    untold: BTreeMap<SocketId, (u64, Wall)>,
    /// How many this life's warden knows to be shed, each time there were more.
    known: VecDeque<(Mono, u64)>,
    /// How many this life has journaled.
    journaled: u64,
    /// When an event was shed, and about whom; nobody where there was no room in the book.
    shed: Vec<(Wall, String)>,
    /// When a live conversation was outside of the book, and the book had no room for one more.
    roomless: BTreeMap<String, Vec<(Wall, Wall)>>,
    looked: Wall,
    /// Conversations that an event was shed of, and when the newest was.
    owed: BTreeMap<String, (Wall, Mono)>,
    /// When anything was shed last.
    last: Mono,
}

/// What an input may lead to.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    Nothing,
    /// So many events are told to be shed.
    Shed(u64),
    /// An event about this conversation.
    Event(String),
}

impl Stage {
    fn is_tight(&self) -> bool {
        self.script.settings.memory < TIGHT
    }

    /// A text that came in on a socket: it waits, or is shed where those that wait leave no room.
    pub(super) fn let_in(&mut self, socket: SocketId, text: String) -> Parcel {
        let room = usize::try_from(self.script.settings.memory / 4).unwrap_or(usize::MAX) / ROOM_UNIT;
        let units = text.len() / ROOM_UNIT;
        if self.inlet.taken + units <= room {
            self.inlet.taken += units;
            return Parcel::Text(socket, text);
        }
        let wall = self.seen().wall;
        let about = about(&text).to_owned();
        self.inlet.owed.insert(about.clone(), (wall, self.now.mono));
        self.inlet.last = self.now.mono;
        self.inlet.shed.push((self.now.wall, about));
        self.inlet.untold.entry(socket).or_insert((0, wall)).0 += 1;
        self.count("fault: text shed for want of room");
        Parcel::Shed(socket)
    }

    /// A text is taken, and its room is free.
    pub(super) fn free_room(&mut self, text: &str) {
        self.inlet.taken -= text.len() / ROOM_UNIT;
    }

    /// What was shed on a socket since that was told last.
    pub(super) fn tell_shed(&mut self, socket: SocketId) -> Option<Input> {
        let (events, since) = self.inlet.untold.remove(&socket)?;
        self.sockets.contains_key(&socket).then_some(Input::Shed { socket, events, since })
    }

    /// What an input may lead to, as far as events may be shed for it.
    pub(super) fn expected_of(&self, input: &Input) -> Expected {
        match input {
            Input::Shed { events, .. } => Expected::Shed(*events),
            // Of two copies the second is not looked at, whatever became of the first.
            Input::SocketText(_, text, _) if self.is_tight() && self.sockets.len() == 1 => {
                Expected::Event(about(text).to_owned())
            }
            Input::SocketText(..)
            | Input::SocketOpened(_)
            | Input::SocketLost(..)
            | Input::Answer(..)
            | Input::FrameRefused(..)
            | Input::Order(..)
            | Input::Facts(..)
            | Input::TokenRenewed
            | Input::Resumed
            | Input::Timeout
            | Input::Policy(_)
            | Input::Reload(_)
            | Input::Drain => Expected::Nothing,
        }
    }

    /// How many events this life's warden knows to be shed.
    pub(super) fn shed_so_far(&self) -> u64 {
        self.warden.counter(DROPPED)
    }

    /// Checks that the warden knows of all that was shed before it or by it.
    pub(super) fn watch_intake(&mut self, expected: &Expected, before: u64) {
        let now = self.warden.counter(DROPPED);
        if now > before {
            self.inlet.known.push_back((self.now.mono, now));
            if matches!(expected, Expected::Event(_)) {
                self.inlet.shed.push((self.now.wall, String::new()));
            }
            self.inlet.last = self.now.mono;
        }
        if self.script.judged != Judged::Throughout {
            return;
        }
        match expected {
            Expected::Nothing => {}
            Expected::Shed(events) => {
                if now - before != *events {
                    self.finding(format!("{events} events were shed, and {} are counted", now - before));
                }
            }
            Expected::Event(id) if now == before => {
                let known = self.warden.call(&ConversationId::new(id.clone())).is_some();
                if !known && self.platform.live().contains(id) {
                    self.finding(format!("an event of {id} was neither taken nor counted as shed"));
                }
            }
            Expected::Event(_) => {}
        }
    }

    /// Counts what was journaled as shed, and checks that no decision went with it.
    pub(super) fn watch_dropped(&mut self, events: u64, why: &str) {
        self.inlet.journaled += events;
        let kind = if why.contains("in the book") { "conversation without room" } else { "text" };
        *self.report.counts.entry(format!("events shed: {kind}")).or_default() += events;
        let lost: Vec<String> = self
            .log
            .history()
            .open_decisions()
            .map(|open| &open.decision.decision)
            .filter(|id| self.warden.decision(id).is_none_or(|view| view.state != "open"))
            .map(|id| format!("decision {id} is open in the log, and was shed"))
            .collect();
        lost.into_iter().for_each(|one| self.finding(one));
    }

    /// Checks that this life has journaled all that was shed, but for the last seconds.
    pub(super) fn judge_journaled(&mut self) {
        let now = self.now.mono;
        let mut due = self.inlet.known.iter().filter(|(at, _)| now.since(*at) > JOURNALED_WITHIN);
        let due = due.next_back().map_or(0, |(_, count)| *count);
        let all = self.inlet.known.back().map_or(0, |(_, count)| *count);
        let journaled = self.inlet.journaled;
        if self.stalled.is_none() && !(due..=all).contains(&journaled) {
            self.finding(format!("{due} to {all} events were shed, and {journaled} are journaled"));
        }
    }

    /// The process died, and with it what waited.
    pub(super) fn empty_inlet(&mut self) {
        let inlet = std::mem::take(&mut self.inlet);
        self.inlet =
            Inlet { shed: inlet.shed, roomless: inlet.roomless, looked: inlet.looked, ..Inlet::default() };
    }

    /// Checks that whoever an event was shed of has been read again, once nothing is shed any more.
    pub(super) fn look_for_unread(&mut self) {
        let now = self.now.mono;
        if self.stalled.is_some() {
            self.inlet.last = now;
            self.inlet.owed.values_mut().for_each(|(_, since)| *since = now);
        }
        let quiet = now.since(self.inlet.last) >= QUIET + READ_WITHIN;
        let due = |since: Mono| quiet || now.since(since) >= READ_EVERY + READ_WITHIN;
        let (owed, rest) =
            std::mem::take(&mut self.inlet.owed).into_iter().partition(|(_, (_, since))| due(*since));
        self.inlet.owed = rest;
        self.judge_read(owed);
    }

    fn judge_read(&mut self, owed: BTreeMap<String, (Wall, Mono)>) {
        if owed.is_empty() {
            return;
        }
        let live = self.platform.live();
        for (id, (at, _)) in owed {
            let view = self.warden.call(&ConversationId::new(id.clone())).filter(|_| live.contains(&id));
            match view {
                // Known by facts or orders alone, it may have no room; it was never seen then.
                Some(view) if view.since == Wall::default() => {}
                Some(view) if view.since < at && self.script.judged == Judged::Throughout => {
                    self.finding(format!("an event of {id} was shed at {at}, and it was not read since"));
                }
                Some(_) => self.count("calls read again after events were shed"),
                None => {}
            }
        }
    }

    /// Whether something was shed just now, or somebody is outside of the book, which has no room.
    pub(super) fn sheds_yet(&self) -> bool {
        let recent = self.is_tight() && self.now.mono.since(self.inlet.last) < QUIET + READ_WITHIN;
        let (now, again) = (self.now.wall, REREAD_EVERY + READ_WITHIN);
        recent || self.inlet.roomless.values().flatten().any(|(_, until)| *until + again >= now)
    }

    /// Notes who is outside of the book while that has no room.
    pub(super) fn look_for_roomless(&mut self) {
        if !self.is_tight() {
            return;
        }
        let bound = usize::try_from(self.script.settings.memory / 4 * 3).unwrap_or(usize::MAX);
        let (now, looked) = (self.now.wall, std::mem::replace(&mut self.inlet.looked, self.now.wall));
        if self.warden.book_bytes() + LARGEST <= bound {
            return;
        }
        for id in self.platform.live() {
            if knows(&self.warden, &id) {
                continue;
            }
            let spans = self.inlet.roomless.entry(id).or_default();
            match spans.last_mut().filter(|(_, until)| *until >= looked) {
                Some((_, until)) => *until = now,
                None => spans.push((looked, now)),
            }
        }
    }

    /// When what the warden knew of a conversation may have been old, since events of it were shed.
    pub(super) fn unread(&self, conversation: &str) -> Vec<(Wall, Wall)> {
        let mut spans = Vec::new();
        // A resync begins once nothing at all was shed for a while, and in a long spell every so often.
        let ends = |last: Wall, own: Wall| (last + QUIET).min(own + READ_EVERY) + READ_WITHIN;
        let (mut spell, mut own): (Option<Wall>, Option<(Wall, Wall)>) = (None, None);
        for (at, about) in &self.inlet.shed {
            if let Some(last) = spell.replace(*at)
                && at.since(last) > QUIET
                && let Some((first, newest)) = own.take()
            {
                spans.push((first, ends(last, newest)));
            }
            if about == conversation {
                let first = own.map_or(*at, |(first, _)| first);
                own = Some((first, *at));
            }
        }
        spans.extend(own.zip(spell).map(|((first, newest), last)| (first, ends(last, newest))));
        let again = self.script.settings.resync_every.min(REREAD_EVERY) + READ_WITHIN;
        let roomless = self.inlet.roomless.get(conversation).into_iter().flatten();
        spans.extend(roomless.map(|(from, until)| (*from, *until + again)));
        spans
    }
}

fn knows(warden: &Warden, id: &str) -> bool {
    warden.call(&ConversationId::new(id)).is_some()
}

/// The conversation that a text is about; empty where it is about none.
pub(super) fn about(text: &str) -> &str {
    // The platform's body begins with it, and to read all of it takes long.
    let body = text.split_once(r#""eventBody":{"id":""#).map(|(_, rest)| rest);
    body.and_then(|rest| rest.split('"').next()).unwrap_or_default()
}
