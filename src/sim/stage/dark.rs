//! What may follow where nothing is seen (`[safety]`): how long a change may go unseen while polling stands in for
//! events, and which calls a blind stop must stop, and may.

use std::time::Duration;

use super::{Judged, Stage};
use crate::model::recording::Action;
use crate::model::time::Wall;
use crate::sim::call::{Tape, Truth};
use crate::sim::demand::Word;
use crate::sim::faults::Outage;
use crate::sim::platform::{Out, TrueStory};
use crate::warden::plan::Control;
use crate::warden::sight::WhenBlind;
use crate::wire::reply::ANSWER_WAIT;

/// Once polling begins everything is read within this: a query and some reads.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// While polling stands in for events, a change is seen so much later: a round, and its reads.
pub(super) const POLLED_LATE: Duration = Duration::from_secs(6);
/// A query or a read that failed is tried again so soon, and everything is read then.
const READ_AGAIN: Duration = Duration::from_secs(8);
/// What was never answered is given up after this.
const HANGS: Duration = ANSWER_WAIT;
/// A socket is had again so long after one can be: its back-off, and the subscription.
const HEARD_AGAIN: Duration = Duration::from_secs(60);
/// What happened so shortly before an outage may not have been seen.
const ON_ITS_WAY: Duration = Duration::from_secs(2);
/// A look that failed is tried again after this, and the one that shows that all is blind is one of these.
const TRIED_AGAIN: Duration = Duration::from_secs(5);
/// A blind stop is carried out within this.
const STOPPED_WITHIN: Duration = Duration::from_secs(4);

/// Spans of time.
type Spans = Vec<(Wall, Wall)>;

impl Stage {
    /// The spans in which nothing may have been seen, and those in which it was seen late.
    pub(super) fn darkness(&self) -> (Spans, Spans) {
        let after = self.script.settings.sight.blind_after;
        let blind = |out: &Out| match out.what {
            // Polling takes over, whether a socket can be had by then or not.
            Outage::Sockets => (out.from - ON_ITS_WAY, out.from + after + READ_WITHIN),
            Outage::Queries => (out.from - ON_ITS_WAY, out.from + after + READ_AGAIN + READ_WITHIN),
            Outage::Reads => (out.from - ON_ITS_WAY, out.until + READ_AGAIN),
            Outage::Everything => (out.from - ON_ITS_WAY, out.until + HANGS + READ_AGAIN),
        };
        let outages = self.platform.outages();
        let dim = outages.iter().map(|out| (out.from - ON_ITS_WAY, out.until + HEARD_AGAIN)).collect();
        (outages.iter().map(blind).collect(), dim)
    }

    /// A call that begins while no event comes and no query is answered is found after that.
    pub(super) fn begun_in_the_dark(&self, story: &TrueStory) -> Option<(Wall, Wall)> {
        let began = story.truths.first()?.at;
        let mut unlisted = self.platform.outages().iter().filter(|out| out.what == Outage::Queries);
        let out = unlisted.find(|out| out.from - ON_ITS_WAY <= began && began <= out.until)?;
        Some((began, out.until + READ_AGAIN + READ_WITHIN))
    }

    /// A blind stop is decided only where reads failed for as long as it takes, and it is wanted at all.
    pub(super) fn watch_blind_stop(&mut self, conversation: &str) {
        let settings = self.script.settings.sight;
        if settings.when_blind == WhenBlind::Leave {
            self.finding(format!("{conversation} is to be stopped for blindness, and nobody asked for that"));
        }
        let now = self.now.wall;
        let unseen = |out: &Out| {
            let late = if out.what == Outage::Everything { HANGS + READ_AGAIN } else { READ_AGAIN };
            let seen = matches!(out.what, Outage::Sockets | Outage::Queries);
            !seen && out.from + settings.blind_after <= now && now <= out.until + late
        };
        if self.script.judged == Judged::Throughout && !self.platform.outages().iter().any(unseen) {
            self.finding(format!("{conversation} is to be stopped for blindness, though it could be seen"));
        }
    }

    /// Each call that was on tape when sight was lost for the first time, and stayed there, must be stopped once all is blind, where
    /// orders get through and no person ordered otherwise.
    pub(super) fn judge_blind_stops(&mut self, stories: &[TrueStory]) {
        let settings = self.script.settings.sight;
        if settings.when_blind == WhenBlind::Leave || self.script.judged != Judged::Throughout {
            return;
        }
        // What was seen last counts; after an outage before that may have been long ago.
        let first = self.platform.outages().first().copied().filter(|out| out.what == Outage::Reads);
        if let Some(out) = first {
            let by = out.from + settings.blind_after * 2 + TRIED_AGAIN + STOPPED_WITHIN;
            if by > out.until {
                return;
            }
            for story in stories {
                if self.is_ordered(&story.conversation, by) {
                    continue;
                }
                match self.recorded_all_along(story, out.from - ON_ITS_WAY, by) {
                    Some(Kept::Recorded) => {
                        let id = &story.conversation;
                        self.finding(format!("{id} was still recorded at {by}, blind since {}", out.from));
                    }
                    Some(Kept::Stopped) => self.count("calls found stopped while all was blind"),
                    None => {}
                }
            }
        }
    }

    /// Whether somebody ordered this conversation to be recorded, at any time until then.
    fn is_ordered(&self, conversation: &str, until: Wall) -> bool {
        let words = self.words.get(conversation).into_iter().flatten();
        words.clone().any(|(at, word)| *at <= until && matches!(word, Word::Order(Action::Start, _)))
    }

    /// Whether a call that was recorded at `from` is so still at `by`, without a break; none where it was not, or
    /// something else has become of it.
    fn recorded_all_along(&self, story: &TrueStory, from: Wall, by: Wall) -> Option<Kept> {
        let begun = story.truths.iter().rposition(|truth| truth.at <= from)?;
        let mut span = story.truths.iter().skip(begun).take_while(|truth| truth.at <= by);
        let first = span.next().filter(|first| first.live)?;
        // What ran ad hoc alone is stopped; what begins beside it in the dark nobody has seen.
        let seen = |truth: &Truth| first.other_recorders == 0 || truth.other_recorders > 0;
        let recorded = |truth: &Truth| match self.script.settings.means.control {
            Control::AdHoc => truth.other_recorders > 0,
            Control::RecordingState | Control::RecordingsAction => truth.tape == Tape::Active && seen(truth),
        };
        if !recorded(first) {
            return None;
        }
        match span.find(|truth| !truth.live || !recorded(truth)) {
            None => Some(Kept::Recorded),
            Some(truth) if truth.live && truth.tape != Tape::Suspended => Some(Kept::Stopped),
            Some(_) => None,
        }
    }
}

/// What became of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Recorded,
    Stopped,
}
