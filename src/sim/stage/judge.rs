//! What is promised, checked at the end: the chain, the open decisions, what was shed and what waited, and the truth
//! of every call.

use std::collections::BTreeSet;
use std::time::Duration;

use super::dark::POLLED_LATE;
use super::{Judged, Stage};
use crate::audit::chain::Link;
use crate::audit::history::{History, Open};
use crate::audit::log::{Disk, in_order};
use crate::model::recording::Action;
use crate::model::time::Wall;
use crate::sim::charter::Clause;
use crate::sim::demand::{self, Case, Clocks, Governed, Pauses, Wrong};
use crate::sim::disk::Trouble;
use crate::sim::platform::TrueStory;
use crate::warden::plan::{Control, StartFromNone};

/// In calm a recording is in a wrong state for no longer: the way of the event, of the call, and what the
/// platform takes to apply it.
const WRONG_AT_MOST: Duration = Duration::from_secs(10);
/// Where an agent keeps undoing it, the warden waits for so long in the end (PRODUCT.md 2).
const CONTEST_LONGEST: Duration = Duration::from_secs(30);
/// Where an order was refused for want of a permission, it is tried again so soon.
const REGRANTED: Duration = Duration::from_secs(40);
/// The end of a call is known within this: the resync of the stage comes round sooner.
const ENDED_NOTICED: Duration = Duration::from_secs(40);

impl Stage {
    /// Checks what must hold at the end of the calm that began at `calm_from`.
    pub(super) fn judge_the_end(&mut self, calm_from: Wall) {
        self.judge_chain();
        self.judge_journaled();
        self.end_all_waiting();
        if !self.script.rough.is_zero() && self.script.judged == Judged::Settled {
            self.blind.push((Wall::default(), calm_from + self.script.settles));
        }
        let (dark, dim) = self.darkness();
        self.blind.extend(dark);
        self.judge_open_decisions();
        let stories: Vec<TrueStory> = self.platform.truth().collect();
        self.judge_blind_stops(&stories);
        self.judge_holds(&stories);
        self.judge_calls(&stories, &dim, calm_from + REGRANTED);
    }

    /// A decision comes to its end: within so long of its making, or of its first attempt where it may have waited for
    /// the brake (`restraint`).
    fn judge_open_decisions(&mut self) {
        let now = self.now.wall;
        let blind_now = self.blind.iter().any(|(_, until)| *until > now);
        let braked = self.script.settings.max_changes_per_minute > 0;
        let history = self.log.history();
        let tried = |open: &Open| {
            let own = history.attempts().filter(|one| one.attempt.decision == open.decision.decision);
            own.map(|one| one.at).min()
        };
        let since = |open: &Open| if braked { tried(open) } else { Some(open.at) };
        let is_late = |at: Wall| self.seen().wall.since(at) > WRONG_AT_MOST + CONTEST_LONGEST;
        let late: Vec<String> = history
            .open_decisions()
            .filter(|open| !blind_now && since(open).is_some_and(is_late))
            .filter(|open| {
                self.unread(open.decision.conversation.as_str()).iter().all(|(_, until)| *until <= now)
            })
            .map(|open| format!("decision {} is open since {}", open.decision.decision, open.at))
            .collect();
        late.into_iter().for_each(|one| self.finding(one));
    }

    /// What is in force at the end is what the process knows, and it is in force on calls that live, or have ended
    /// just now.
    fn judge_holds(&mut self, stories: &[TrueStory]) {
        if self.log.pending() > 0 {
            return;
        }
        self.compare_with_the_log();
        let now = self.now.wall;
        let history = self.log.history();
        let held = history.holds().map(|one| &one.conversation).chain(history.claims().map(|(id, _)| id));
        let held: BTreeSet<&str> =
            held.chain(history.directives().map(|one| &one.conversation)).map(|id| id.as_str()).collect();
        let mut found = Vec::new();
        for story in stories.iter().filter(|story| held.contains(story.conversation.as_str())) {
            let Some(last) = story.truths.last().filter(|last| !last.live) else { continue };
            let unseen = self.unseen_of(story).into_iter();
            let hidden =
                unseen.filter(|(from, until)| *from < now && *until > last.at).map(|(_, until)| until);
            let told = hidden.fold(last.at, Wall::max);
            if now.since(told) > ENDED_NOTICED {
                found.push(format!(
                    "{} is over since {}, and something holds it yet",
                    story.conversation, last.at
                ));
            }
        }
        found.into_iter().for_each(|one| self.finding(one));
    }

    /// `granted` is from when on every order is allowed everywhere again.
    fn judge_calls(&mut self, stories: &[TrueStory], dim: &[(Wall, Wall)], granted: Wall) {
        let mut found = Vec::new();
        for story in stories {
            let (blind, mut waited) =
                (self.unseen_of(story), self.restraint.waited(&story.conversation).to_vec());
            if self.script.plan.faults.forbids(&story.conversation) {
                waited.push((Wall::default(), granted));
            }
            let case = Case { blind: &blind, ..self.case(dim) };
            for wrong in demand::wrong_spans(story, case) {
                for wrong in demand::outside(wrong, &waited) {
                    if wrong.until.since(wrong.from) > self.bound_of(&wrong, dim) {
                        let (id, from, until, what) =
                            (&story.conversation, wrong.from, wrong.until, wrong.what);
                        found.push(format!("{id} was in a wrong state from {from} until {until}: {what}"));
                    }
                }
            }
        }
        found.into_iter().for_each(|one| self.finding(one));
    }

    /// When a call may not have been seen as it was.
    fn unseen_of(&self, story: &TrueStory) -> Vec<(Wall, Wall)> {
        let known = self.blind.iter().copied().chain(self.unread(&story.conversation));
        known.chain(self.begun_in_the_dark(story)).chain(before_any_queue(story)).collect()
    }

    /// For how long a call may be in a wrong state.
    fn bound_of(&self, wrong: &Wrong, dim: &[(Wall, Wall)]) -> Duration {
        let contested = self.script.plan.agent_pauses > 0.0;
        let late = dim.iter().any(|(from, until)| wrong.from < *until && *from < wrong.until);
        WRONG_AT_MOST
            + if contested { CONTEST_LONGEST } else { Duration::ZERO }
            + if late { POLLED_LATE } else { Duration::ZERO }
    }

    fn case<'a>(&'a self, dim: &'a [(Wall, Wall)]) -> Case<'a> {
        let settings = &self.script.settings;
        let governed = match settings.means.control {
            Control::RecordingState => {
                Governed::Pauses { from_none: settings.means.start_from_none == StartFromNone::AdHoc }
            }
            Control::AdHoc => Governed::Adhoc,
            Control::RecordingsAction => Governed::Gateway,
        };
        // A start that found nothing recorded gives that back, and stops what the platform has begun meanwhile
        // (PRODUCT.md 2: "what was observed before the hold's first change").
        let from_none = matches!(governed, Governed::Gateway | Governed::Pauses { from_none: true });
        let leaves = |one: &Clause| match one.action {
            Action::Stop => !one.gives_back(),
            Action::Start => one.gives_back() && from_none,
        };
        let others = self.script.plan.agent_pauses > 0.0
            || self.script.charters.iter().any(|charter| charter.clauses.iter().any(leaves));
        let set = self.script.mischief.jump_by > Duration::ZERO;
        Case {
            org: self.platform.org(),
            charters: &self.charters,
            words: &self.words,
            blind: &self.blind,
            dim,
            clocks: if set { Clocks::Set } else { Clocks::Steady },
            governed,
            pauses: if others { Pauses::OthersToo } else { Pauses::AllOurs },
            until: self.now.wall,
        }
    }

    /// The whole log as an auditor reads it: the chain over all files, the promise of order, and that the last
    /// file alone says what all of them say.
    fn judge_chain(&mut self) {
        let mut disk = self.log.disk().clone();
        disk.trouble = Trouble::None;
        let (mut link, mut history, mut files) = (Link::default(), History::default(), 0);
        for name in in_order(disk.names().unwrap_or_default()) {
            files += 1;
            let bytes = disk.read(&name).unwrap_or_default();
            for line in String::from_utf8_lossy(&bytes).lines() {
                match link.follow(line) {
                    Err(broken) => return self.finding(format!("the chain is broken in {name}: {broken}")),
                    Ok(sealed) => {
                        if let Some(finding) = history.take(sealed.time, &sealed.record) {
                            self.finding(format!("{name}: {finding}"));
                        }
                    }
                }
            }
        }
        self.report.counts.insert("files of the log".to_owned(), files);
        match crate::audit::log::Log::open(disk, self.script.rotation) {
            Ok((_, alone)) if alone.history.in_force() == history.in_force() => {}
            Ok(_) => self.finding("the last file alone says otherwise than all files".to_owned()),
            Err(error) => self.finding(format!("the log does not open: {error}")),
        }
    }
}

/// No event tells of a call before it is in a queue: where it takes its time to get there, that is not seen.
fn before_any_queue(story: &TrueStory) -> Option<(Wall, Wall)> {
    let begin = story.truths.first()?.at;
    let queued = story.truths.iter().find(|truth| truth.queue.is_some()).map_or(begin, |truth| truth.at);
    (queued.since(begin) > WRONG_AT_MOST).then_some((begin, queued))
}
