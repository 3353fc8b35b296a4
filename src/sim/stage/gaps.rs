//! Gaps in what is heard, seen from outside: by the sockets that are open, by what was read and told, and by how the
//! calls really were.
//!
//! - A gap is closed only once every call that was live in it has been looked at: a read of it was asked for after
//!   the gap was over, or an event told of it since. It is not over before it was opened, nor before a socket is open.
//! - What is open at the end is so for a reason: it began just now, or somebody cannot be looked at.
//! - A call that the warden knows is blind while no socket is open, and at least so many seconds are counted; and no
//!   more than the open gaps last, from its begin, however many there are at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Stage, inlet};
use crate::audit::record::Record;
use crate::model::ids::ConversationId;
use crate::model::time::{Mono, Wall};
use crate::sim::call::Truth;
use crate::sim::platform::TrueStory;
use crate::warden::session::SocketId;
use crate::warden::{Input, RequestId};
use crate::wire::reply::RawAnswer;
use crate::wire::request::Request;

/// A list names a call within this after it came into its queue.
const LISTED_WITHIN: Duration = Duration::from_secs(5);
/// Seconds are counted as whole ones.
const COUNTED_EXACTLY: Duration = Duration::from_secs(1);
/// A gap that is over is closed within this: what hangs is given up (30 s), and who could not be read is tried again.
const CLOSED_WITHIN: Duration = Duration::from_secs(40);
/// In the calm a socket is had again within this, as is known by then.
const HEARD_AGAIN: Duration = Duration::from_secs(60);
/// Who is over is known to be so within this, or with the next round of the resync.
const KNOWN_AFTER_ITS_END: Duration = Duration::from_secs(600);
/// The counter of what was blind.
const BLIND: &str = "recwarden_blind_seconds_total";

/// What was seen of the present process, but for what is of all.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// Sockets that it was told are open.
    hears: BTreeSet<SocketId>,
    /// Reads under way, each with whom it is of and when it was sent.
    reads: BTreeMap<RequestId, (String, Mono)>,
    /// When the newest look at a conversation was asked for that has told how it is.
    looks: BTreeMap<String, Mono>,
    open: BTreeMap<u64, Gap>,
    /// Every gap of this process, as its records tell: from when, and when it was closed.
    spans: Vec<(u64, Wall, Option<Wall>)>,
    /// For how long calls that it knew were unheard, together.
    unheard: Duration,
}

/// An open gap.
#[derive(Debug)]
struct Gap {
    /// Since when the process knows it.
    since: Mono,
    /// From when on a socket was open after that, and it may have been over.
    over: Option<Mono>,
    /// Of whom the process knew then.
    known: BTreeSet<String>,
}

impl Stage {
    /// Notes what is handed to the warden.
    pub(super) fn note_heard(&mut self, input: &Input) {
        let now = self.now.mono;
        match input {
            Input::SocketOpened(socket) => {
                self.gaps.hears.insert(*socket);
                self.gaps.open.values_mut().for_each(|gap| gap.over = gap.over.or(Some(now)));
            }
            Input::SocketLost(socket, _) => self.note_silenced(*socket),
            // Of a gap that is not open nobody asks who was looked at.
            Input::SocketText(_, text, _) if !self.gaps.open.is_empty() => {
                self.gaps.looks.insert(inlet::about(text).to_owned(), now);
            }
            Input::Answer(id, RawAnswer::Answered { status: 200, .. }) => {
                if let Some((conversation, sent)) = self.gaps.reads.remove(id) {
                    let look = self.gaps.looks.entry(conversation).or_insert(sent);
                    *look = sent.max(*look);
                }
            }
            Input::Answer(id, _) => drop(self.gaps.reads.remove(id)),
            Input::SocketText(..)
            | Input::Shed { .. }
            | Input::FrameRefused(..)
            | Input::Order(..)
            | Input::Facts(..)
            | Input::TokenRenewed
            | Input::Resumed
            | Input::Timeout
            | Input::Policy(_)
            | Input::Reload(_)
            | Input::Drain => {}
        }
    }

    /// A socket is open no more.
    pub(super) fn note_silenced(&mut self, socket: SocketId) {
        self.gaps.hears.remove(&socket);
    }

    /// Notes a read on its way out.
    pub(super) fn note_read(&mut self, id: RequestId, request: &Request) {
        if let Request::GetConversation { conversation } = request {
            self.gaps.reads.insert(id, (conversation.to_string(), self.now.mono));
        }
    }

    /// Counts what is unheard from now until then.
    pub(super) fn count_unheard(&mut self, until: Mono) {
        if self.gaps.hears.is_empty() && self.down.is_none() {
            let span = until.since(self.now.mono);
            let count = self.platform.live().iter().filter(|id| self.sees(id)).count();
            self.gaps.unheard += span * u32::try_from(count).unwrap_or(u32::MAX);
        }
    }

    /// Whether the process has ever seen this conversation, and holds it for live.
    fn sees(&self, id: &str) -> bool {
        self.warden.call(&ConversationId::new(id)).is_some_and(|view| view.since != Wall::default())
    }

    /// Another process begins, with the gaps of the one before.
    pub(super) fn begin_gaps(&mut self) {
        let now = self.now.mono;
        let gap = || Gap { since: now, over: None, known: BTreeSet::new() };
        let open = self.log.history().open_gaps().map(|one| (one.gap, gap())).collect();
        let spans = self.log.history().open_gaps().map(|one| (one.gap, one.from, None)).collect();
        self.gaps = Gaps { open, spans, ..Gaps::default() };
    }

    /// Takes in a record that is made now, whether it becomes durable or not.
    pub(super) fn watch_gaps(&mut self, record: &Record) {
        if let Record::GapOpened(one) = record {
            let live = self.platform.live();
            let known = live.into_iter().filter(|id| self.sees(id)).collect();
            let since = self.now.mono;
            let over = (!self.gaps.hears.is_empty()).then_some(since);
            self.gaps.open.insert(one.gap, Gap { since, over, known });
            self.gaps.spans.push((one.gap, one.from, None));
        }
        if let Record::GapClosed(one) = record {
            let now = self.now.wall;
            let ends =
                self.gaps.spans.iter_mut().filter(|(gap, _, closed)| *gap == one.gap && closed.is_none());
            ends.for_each(|(_, _, closed)| *closed = Some(now));
            self.judge_closed(one.gap);
        }
    }

    fn judge_closed(&mut self, gap: u64) {
        let Some(Gap { over, known, .. }) = self.gaps.open.remove(&gap) else {
            return self.finding(format!("gap {gap} is closed, and was not open"));
        };
        let Some(over) = over else {
            return self.finding(format!("gap {gap} is closed, and no socket has been open since it began"));
        };
        let unlooked = |id: &str| self.gaps.looks.get(id).is_none_or(|look| *look < over);
        let owed = |story: &TrueStory| {
            let live = story.truths.last().is_some_and(|last| last.live);
            live && (known.contains(&story.conversation) || self.is_listed_since(story, over))
        };
        let stories: Vec<TrueStory> = self.platform.truth().filter(owed).collect();
        let found: Vec<String> = stories
            .iter()
            .filter(|story| unlooked(&story.conversation))
            .map(|story| {
                format!("gap {gap} is closed, and {} was not looked at since it was over", story.conversation)
            })
            .collect();
        for _ in &stories {
            self.count("calls judged again before their gap was closed");
        }
        found.into_iter().for_each(|one| self.finding(one));
    }

    /// Whether a list that was asked for at any time since then names the call.
    fn is_listed_since(&self, story: &TrueStory, since: Mono) -> bool {
        if self.report.counts.contains_key("fault: queue came or went") {
            // No list names calls in a queue that went, and one that came is known later.
            return false;
        }
        let since = super::BEGIN + since.since_start() - LISTED_WITHIN;
        let queued = |truth: &Truth| truth.live && truth.queue.is_some();
        let began = story.truths.iter().rposition(|truth| truth.at <= since);
        began.is_some_and(|began| story.truths.iter().skip(began).all(queued))
    }

    /// For how long all calls together can have been blind in this process.
    fn blind_at_most(&self) -> Duration {
        let now = self.now.wall;
        let mut spans: Vec<(Wall, Wall)> =
            self.gaps.spans.iter().map(|(_, from, closed)| (*from, closed.unwrap_or(now))).collect();
        spans.sort_unstable();
        let known_within = self.script.settings.resync_every + KNOWN_AFTER_ITS_END;
        let of = |story: TrueStory| {
            let begun = story.truths.first().map_or(now, |first| first.at);
            let ended = story.truths.last().filter(|last| !last.live).map_or(now, |last| last.at);
            let mut counted = begun;
            let mut blind = Duration::ZERO;
            for (from, closed) in spans.iter().filter(|(from, _)| *from <= ended + known_within) {
                blind += closed.since(counted.max(*from));
                counted = counted.max(*closed);
            }
            blind
        };
        self.platform.truth().map(of).sum()
    }

    /// Checks that no less is counted as blind than what was unheard, and no more than could be; at the end of a process.
    pub(super) fn judge_blindness(&mut self) {
        let counted = self.warden.view(0, self.seen()).counters.get(BLIND).copied().unwrap_or_default();
        let unheard = self.gaps.unheard;
        if !unheard.is_zero() {
            self.count("processes with calls that were unheard");
        }
        if Duration::from_secs(counted) + COUNTED_EXACTLY < unheard {
            self.finding(format!("calls were unheard for {unheard:?}, and {counted} s are counted as blind"));
        }
        let most = self.blind_at_most();
        if self.clocks_are_steady() && Duration::from_secs(counted) > most + COUNTED_EXACTLY {
            self.finding(format!("calls could be blind for {most:?}, and {counted} s are counted"));
        }
    }

    /// Checks that what is open at the end is so for a reason: it was over just now, or is not yet; reads have to wait
    /// their turn; or somebody was shed, and cannot be read yet; or the run is over before anything settles.
    pub(super) fn judge_open_gaps(&mut self) {
        let (now, log) = (self.now.mono, self.log.history().open_gaps().map(|gap| gap.gap));
        let logged: BTreeSet<u64> = log.collect();
        let known: BTreeSet<u64> = self.gaps.open.keys().copied().collect();
        if self.stalled.is_none() && logged != known {
            self.finding(format!("the log has the open gaps {logged:?}, and {known:?} were not closed"));
        }
        let settles = self.script.settles < self.script.calm || self.script.rough.is_zero();
        if self.few_may_go() || self.sheds_yet() || !settles {
            return;
        }
        let late = |gap: &Gap| match gap.over {
            None => now.since(gap.since) > HEARD_AGAIN,
            Some(over) => now.since(over) > CLOSED_WITHIN,
        };
        let open = self.gaps.open.iter().filter(|(_, gap)| late(gap));
        let open: Vec<String> = open
            .map(|(gap, one)| format!("gap {gap} is open since {:?}, at the end", one.since.since_start()))
            .collect();
        open.into_iter().for_each(|one| self.finding(one));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::{GapClosed, GapOpened};
    use crate::sim::stage::promise::tests::stage;

    fn opened(stage: &mut Stage, gap: u64) {
        let from = stage.now.wall;
        stage.watch_gaps(&Record::GapOpened(GapOpened {
            gap,
            topics: String::new(),
            from,
            why: String::new(),
        }));
    }

    fn closed(stage: &mut Stage, gap: u64) -> usize {
        let (from, to, before) = (stage.now.wall, stage.now.wall, stage.report.findings.len());
        stage.watch_gaps(&Record::GapClosed(GapClosed { gap, from, to, conversations: 0 }));
        stage.report.findings.len() - before
    }

    fn after(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    #[test]
    fn a_gap_that_is_closed_before_everybody_was_looked_at_is_found() {
        let mut stage = stage(4);
        stage.run_until(after(70));
        assert_eq!(stage.report.findings, [""; 0]);
        let live = stage.platform.live().len();
        assert!(live > 0, "somebody is there");
        (77..80).for_each(|gap| opened(&mut stage, gap));
        let found = closed(&mut stage, 77);
        assert!((1..=live).contains(&found), "{found} of {live}");
        // By then a round of the resync has read everybody.
        stage.run_until(after(150));
        assert_eq!(closed(&mut stage, 78), 0, "{:?}", stage.report.findings);
        assert_eq!(closed(&mut stage, 78), 1, "it is closed already");
        stage.gaps.open.values_mut().for_each(|gap| gap.over = None);
        assert_eq!(closed(&mut stage, 79), 1, "nothing has been heard since");
    }

    #[test]
    fn blindness_that_is_counted_beyond_what_the_gaps_last_is_found() {
        let mut script = stage(8).script;
        script.plan.faults.cut_socket_every = Some(Duration::from_secs(20));
        script.rough = Duration::from_secs(600);
        let mut stage = Stage::new(script).expect("the policy compiles");
        stage.run_until(after(300));
        stage.judge_blindness();
        assert_eq!(stage.report.findings, [""; 0]);
        let end = stage.now.wall;
        for (_, from, closed) in &mut stage.gaps.spans {
            *closed = Some(*from + closed.unwrap_or(end).since(*from) / 2);
        }
        stage.judge_blindness();
        let found = stage.report.findings.join("\n");
        assert!(found.contains("calls could be blind for"), "{found}");
    }

    #[test]
    fn a_gap_that_stays_open_and_blindness_that_is_not_counted_are_found() {
        let mut stage = stage(4);
        stage.run_until(after(70));
        stage.judge_blindness();
        stage.judge_open_gaps();
        assert_eq!(stage.report.findings, [""; 0]);
        opened(&mut stage, 77);
        stage.gaps.hears.clear();
        stage.run_until(after(130));
        stage.judge_blindness();
        stage.judge_open_gaps();
        let found = stage.report.findings.join("\n");
        for told in ["were unheard for", "the log has the open gaps", "gap 77 is open since"] {
            assert!(found.contains(told), "{told}: {found}");
        }
    }
}
