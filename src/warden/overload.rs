//! What is shed where memory runs short (`[limits] memory`), and frames that nobody can read.
//!
//! A quarter of the bound is for texts of sockets that wait to be taken, the rest for the conversations in the
//! book, counted as the structures, texts and facts that they hold. Beyond it events are shed: a text for which there
//! is no room, and the first snapshot of a conversation that the book has no room for. Decisions, orders,
//! directives and whatever is known of conversations in the book are never shed, though they count. Facts are refused
//! for which there is no room, and their sender is told (`facts`); those of conversations in the book have some room
//! of their own beyond the bound. What was shed is
//! journaled, counted and alerted of, and the span is a gap: once nothing was shed for a while, a resync reads
//! what was missed. Where that does not end, a round reads what is known every half a minute. A conversation that there is no room for keeps that gap open.

use std::time::Duration;

use super::{Level, Warden};
use crate::audit::record::{self, Record};
use crate::model::time::{Mono, Now, Wall};

/// Once nothing was shed for so long, the resync begins.
const QUIET: Duration = Duration::from_secs(5);
/// While events are shed without such a pause, everything is read so often.
const READ_EVERY: Duration = Duration::from_secs(30);
/// While events are shed, their number is journaled so often.
const JOURNAL_EVERY: Duration = Duration::from_secs(10);
/// An alert tells of it no more often, however many spells there are; the journal and the counter have each.
const TOLD_EVERY: Duration = Duration::from_secs(600);
/// Frames that cannot be read are logged so often, with how many there were; the counter has each.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// What is shed now, and when an alert last told of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    spell: Option<Shedding>,
    told: Option<Mono>,
}

/// A spell in which events are shed.
#[derive(Clone, Copy, Debug)]
struct Shedding {
    last: Mono,
    why: &'static str,
    /// Shed since this was last journaled.
    unsaid: u64,
    said_at: Mono,
    /// When a round was last asked for.
    read_at: Mono,
}

/// Frames that could not be read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Complaint {
    last: Option<Mono>,
    unsaid: u64,
}

impl Warden {
    /// Events were shed, the first of them at `since`.
    pub(super) fn take_shed(&mut self, events: u64, since: Wall, why: &'static str, now: Now) {
        self.count_all("recwarden_events_dropped_total", events);
        if let Some(shedding) = &mut self.load.spell {
            (shedding.last, shedding.why) = (now.mono, why);
            shedding.unsaid += events;
            return;
        }
        self.load.spell =
            Some(Shedding { last: now.mono, why, unsaid: 0, said_at: now.mono, read_at: now.mono });
        self.journal_shed(events, why);
        self.open_gap(since, "events were shed under load", now);
        let message = format!(
            "events are shed: {why}. Once that is over everything is read again. Raise limits.memory, or subscribe \
             less with one daemon."
        );
        if self.load.told.is_some_and(|at| now.mono.since(at) < TOLD_EVERY) {
            return self.note(Level::Warn, message);
        }
        self.load.told = Some(now.mono);
        self.alert("overload", message, None);
    }

    /// Whether what no event told may have been told by one that was shed.
    pub(super) fn sheds(&self) -> bool {
        self.load.spell.is_some()
    }

    fn journal_shed(&mut self, events: u64, why: &str) {
        self.record(Record::Dropped(record::Dropped { events, why: why.to_owned() }));
    }

    /// Journals what was shed meanwhile, and ends the spell once it is over.
    pub(super) fn watch_load(&mut self, now: Now) {
        let Some(mut shedding) = self.load.spell.take() else { return };
        let over = now.mono.since(shedding.last) >= QUIET;
        if shedding.unsaid > 0 && (over || now.mono.since(shedding.said_at) >= JOURNAL_EVERY) {
            self.journal_shed(shedding.unsaid, shedding.why);
            (shedding.unsaid, shedding.said_at) = (0, now.mono);
        }
        if !over && now.mono.since(shedding.read_at) >= READ_EVERY {
            shedding.read_at = now.mono;
            self.survey.ask_for_round();
        }
        if !over {
            self.load.spell = Some(shedding);
        } else {
            self.note(Level::Info, "no more events are shed: what was missed is read");
            if self.session.owes_resync() {
                // The successor of a doubted channel ends the gap, and may be a minute away.
                self.survey.ask_for_round();
            } else {
                self.survey.all_heard(now.wall);
            }
        }
    }

    /// When [`Warden::watch_load`] has something to do.
    pub(super) fn load_due_at(&self) -> Option<Mono> {
        self.load.spell.map(|shedding| {
            let quiet = (shedding.last + QUIET).min(shedding.read_at + READ_EVERY);
            if shedding.unsaid > 0 { quiet.min(shedding.said_at + JOURNAL_EVERY) } else { quiet }
        })
    }

    /// A frame could not be read: it is counted, and logged once in a while.
    pub(super) fn refuse_frame(&mut self, why: &str, now: Mono) {
        self.count("recwarden_frames_refused_total");
        if self.complaint.last.is_some_and(|last| now.since(last) < COMPLAIN_EVERY) {
            self.complaint.unsaid += 1;
            return;
        }
        let before = match self.complaint.unsaid {
            0 => String::new(),
            more => format!(" ({more} more since this was logged last)"),
        };
        self.complaint = Complaint { last: Some(now), unsaid: 0 };
        self.note(Level::Warn, format!("a frame was not understood and is dropped: {why}{before}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recording::Action;
    use crate::model::recording::RecorderState;
    use crate::warden::bench::{Bench, PCI, id, settings};
    use crate::warden::{Input, Settings, Ticket, Untaken, What};

    const SECOND: Duration = Duration::from_secs(1);

    fn bench(memory: u64) -> Bench {
        let mut bench = Bench::new(Settings { memory, ..settings() }, PCI);
        bench.feed(Input::Timeout);
        bench.pass(SECOND * 10);
        bench
    }

    #[test]
    fn what_was_shed_is_journaled_and_read_afterwards() {
        let mut bench = bench(512 << 20).with_calls(3, "on");
        let socket = bench.socket();
        for _ in 0..40 {
            let since = bench.now.wall;
            bench.feed(Input::Shed { socket, events: 5, since });
            bench.pass(SECOND);
        }
        let dropped: Vec<u64> = bench.dropped();
        assert_eq!(dropped.iter().sum::<u64>(), 200, "{dropped:?}");
        assert!((2..=6).contains(&dropped.len()), "at once, and then every ten seconds: {dropped:?}");
        assert_eq!((bench.kinds("gap.opened"), bench.kinds("gap.closed")), (2, 1));
        bench.pass(SECOND * 30);
        assert_eq!(bench.kinds("gap.closed"), 2);
        assert!(
            bench.calls.values().all(|there| there.state == RecorderState::Paused),
            "nothing stays wrong"
        );
        assert_eq!(bench.alerts("overload").len(), 1);
    }

    /// Found by the simulation (Crowded 139): nobody read what was shed until the successor was up.
    #[test]
    fn what_was_shed_while_a_channel_is_doubted_is_read_before_its_successor_is_up() {
        let mut bench = bench(512 << 20).with_calls(1, "off");
        bench.tell(0);
        let (socket, now) = (bench.socket(), bench.now);
        bench.warden.session.unsubscribed(socket, now, now);
        bench.set(0, "on");
        bench.feed(Input::Shed { socket, events: 1, since: now.wall });
        bench.pass(SECOND * 8);
        assert_eq!(bench.socket(), socket, "it has no successor yet");
        assert_eq!(bench.state(0), RecorderState::Paused);
        assert_eq!(bench.kinds("gap.closed"), 1, "the gaps go on");
    }

    /// Found by the simulation: while a book without room turned callers away, nobody read what else was shed.
    #[test]
    fn where_shedding_does_not_end_what_is_known_is_read_all_the_same() {
        let mut bench = bench(512 << 20).with_calls(3, "off");
        (0..3).for_each(|number| bench.tell(number));
        let socket = bench.socket();
        bench.set(1, "on");
        for _ in 0..40 {
            let since = bench.now.wall;
            bench.feed(Input::Shed { socket, events: 1, since });
            bench.pass(SECOND);
        }
        assert_eq!(bench.state(1), RecorderState::Paused);
        assert_eq!(bench.kinds("gap.closed"), 1, "the gap is open as long as events are shed");
    }

    /// Found by reading: what was shed after that was in no gap.
    #[test]
    fn a_channel_that_comes_up_while_events_are_shed_ends_no_gap() {
        let mut bench = bench(512 << 20).with_calls(3, "off");
        (0..3).for_each(|number| bench.tell(number));
        let shed = |bench: &mut Bench| {
            let (socket, since) = (bench.socket(), bench.now.wall);
            bench.feed(Input::Shed { socket, events: 1, since });
        };
        shed(&mut bench);
        bench.lose_socket();
        bench.pass(SECOND * 2);
        for _ in 0..20 {
            shed(&mut bench);
            bench.pass(SECOND);
        }
        assert_eq!((bench.kinds("gap.opened"), bench.kinds("gap.closed")), (3, 1));
        bench.pass(SECOND * 30);
        assert_eq!((bench.kinds("gap.opened"), bench.kinds("gap.closed")), (3, 3));
    }

    /// Found by the simulation: with a book that was nearly full, each new caller was a spell of its own.
    #[test]
    fn spells_that_follow_each_other_are_each_journaled_and_one_alert_tells_of_them() {
        let mut bench = bench(512 << 20);
        let socket = bench.socket();
        for _ in 0..9 {
            let since = bench.now.wall;
            bench.feed(Input::Shed { socket, events: 5, since });
            bench.pass(SECOND * 30);
        }
        assert_eq!((bench.dropped().len(), bench.alerts("overload").len()), (9, 1));
        bench.pass(SECOND * 600);
        let since = bench.now.wall;
        bench.feed(Input::Shed { socket, events: 5, since });
        assert_eq!(bench.alerts("overload").len(), 2);
    }

    #[test]
    fn a_book_without_room_takes_no_new_conversation_and_lets_go_of_none() {
        let mut bench = bench(256 << 10).with_calls(400, "off");
        (0..400).for_each(|number| bench.tell(number));
        let taken = bench.warden.book.len();
        assert!((10..399).contains(&taken), "{taken}");
        assert_eq!(bench.dropped().iter().sum::<u64>(), 1, "at once; the rest within ten seconds");
        bench.set(0, "on");
        bench.tell(0);
        bench.pass(SECOND * 2);
        assert_eq!(bench.state(0), RecorderState::Paused, "who is in the book is judged as ever");
        bench.pass(SECOND * 60 * 20);
        assert_eq!(bench.warden.book.len(), taken);
        assert_eq!(
            (bench.kinds("gap.opened"), bench.kinds("gap.closed")),
            (2, 1),
            "who was shed is owed a look"
        );
        bench.calls.clear();
        bench.pass(SECOND * 60 * 60);
        assert_eq!((bench.warden.book.len(), bench.kinds("gap.closed")), (0, 2));
    }

    fn push(bench: &mut Bench, number: usize, size: usize) -> Option<Untaken> {
        let facts = [("note".to_owned(), serde_json::json!("x".repeat(size)))].into();
        bench.untaken.clear();
        bench.feed(Input::Facts(Ticket(1), id(number), facts));
        bench.untaken.pop()
    }

    #[test]
    fn facts_take_room_and_are_refused_where_there_is_none() {
        let memory = 1 << 20;
        let mut bench = bench(memory);
        let refused = (0..1000).find_map(|number| Some(number).zip(push(&mut bench, number, 10_000)));
        let Some((number, Untaken::NoRoom)) = refused else { panic!("{refused:?}") };
        assert!((20..100).contains(&number), "three quarters of the memory have room for some: {number}");
        assert!(bench.warden.book_bytes() <= 768 << 10);
        assert_eq!((bench.warden.book.len(), bench.kinds("facts")), (number, number));
        assert_eq!(push(&mut bench, 0, 20_000), None, "whoever is known has some room beyond it");
        let refused = (1..number).find_map(|number| push(&mut bench, number, 20_000));
        assert_eq!(refused, Some(Untaken::NoRoom));
        assert!(bench.warden.book_bytes() <= 832 << 10, "{}", bench.warden.book_bytes());
        assert_eq!(push(&mut bench, 2, 10_000), None, "what takes no more has room");
        bench.pass(SECOND * 1000);
        assert_eq!((bench.warden.book.len(), bench.warden.book_bytes()), (0, 0), "no read has found them");
    }

    #[test]
    fn an_order_is_taken_where_there_is_no_room_and_counts() {
        let mut bench = bench(256 << 10);
        (0..1000).find_map(|number| push(&mut bench, number, 10_000)).expect("it is full");
        let before = bench.warden.book_bytes();
        bench.begin(2000);
        bench.order(2000, 1, What::Set(Action::Stop, None));
        let first = bench.warden.book_bytes();
        assert!(first > before);
        bench.pass(SECOND * 5);
        assert_eq!(bench.state(2000), RecorderState::Paused);
        bench.order(2000, 2, What::Release);
        bench.pass(SECOND * 5);
        bench.ended.insert(id(2000));
        bench.tell(2000);
        assert_eq!(bench.warden.book_bytes(), before);
    }

    #[test]
    fn what_the_book_takes_is_what_each_conversation_in_it_takes() {
        let mut bench = bench(512 << 20).with_calls(3, "on");
        (0..3).for_each(|number| bench.tell(number));
        (0..5).for_each(|number| assert_eq!(push(&mut bench, number, 100), None));
        bench.order(1, 1, What::Set(Action::Stop, Some(SECOND * 3)));
        bench.order(6, 2, What::Set(Action::Stop, None));
        for _ in 0..60 {
            bench.pass(SECOND);
            let sum: usize = bench.warden.book.iter().map(|(_, call)| call.bytes).sum();
            assert_eq!(bench.warden.book_bytes(), sum);
            let counted = bench.warden.book.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
            counted.iter().for_each(|id| bench.warden.book.weigh(id));
            assert_eq!(bench.warden.book_bytes(), sum, "each is counted as it is");
        }
        assert_eq!(bench.warden.book.len(), 5, "the order for nobody is over, facts wait for the next round");
    }

    /// Found by the simulation: events that were shed counted as events that never came, and each time there was room
    /// again the channel was replaced.
    #[test]
    fn who_enters_the_book_late_for_want_of_room_shows_no_deaf_subscription() {
        let mut bench = bench(256 << 10);
        (0..400).for_each(|number| bench.begin(number));
        (0..400).for_each(|number| bench.tell(number));
        let taken = bench.warden.book.len();
        assert!((10..399).contains(&taken), "{taken}");
        bench.pass(SECOND * 30);
        (0..200).for_each(|number| drop(bench.calls.remove(&crate::warden::bench::id(number))));
        bench.pass(SECOND * 60 * 60);
        let late =
            (200..400).filter(|number| bench.warden.call(&crate::warden::bench::id(*number)).is_some());
        assert!(late.count() > 0, "some entered");
        let deaf = bench.notes.iter().filter(|note| note.message.contains("without an event")).count();
        assert_eq!(deaf, 0);
    }

    #[test]
    fn frames_that_cannot_be_read_are_all_counted_and_logged_once_a_minute() {
        let mut bench = bench(512 << 20);
        let socket = bench.socket();
        let deep =
            format!(r#"{{"topicName":"v2.users.u.conversations","eventBody":{}}}"#, "[".repeat(10_000));
        for _ in 0..90 {
            bench.feed(Input::SocketText(socket, deep.clone(), bench.now));
            bench.pass(SECOND);
        }
        bench.feed(Input::FrameRefused(socket, "too long".into()));
        let logged = bench.notes.iter().filter(|note| note.message.contains("not understood")).count();
        assert_eq!(logged, 2);
        let view = bench.warden.view(0, bench.now);
        assert_eq!(view.counters.get("recwarden_frames_refused_total"), Some(&91));
    }
}
