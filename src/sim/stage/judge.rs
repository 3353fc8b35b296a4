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
use crate::sim::call::{By, Touch, Truth};
use crate::sim::demand::{self, Case, Clocks, Governed, Wrong};
use crate::sim::disk::Trouble;
use crate::sim::org::Standing;
use crate::sim::platform::TrueStory;
use crate::warden::plan::{Control, StartFromNone};

/// In calm a recording is in a wrong state for no longer: the way of the event, of the call, and what the
/// platform takes to apply it.
const WRONG_AT_MOST: Duration = Duration::from_secs(10);
/// So often within [`CONTESTED_FOR`] somebody has to undo it for the warden to wait.
const CONTESTED: usize = 3;
/// See [`CONTESTED`]; and the longest wait.
const CONTESTED_FOR: Duration = Duration::from_secs(90);
/// A resync takes so long at most from its begin to what follows of what it found.
const RESYNC_TAKES: Duration = Duration::from_secs(5);
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
        self.judge_blindness();
        self.judge_open_gaps();
        self.end_all_waiting();
        self.end_all_turns();
        self.end_looks();
        if !self.script.rough.is_zero() && self.script.judged == Judged::Settled {
            self.blind.push((Wall::default(), calm_from + self.script.settles));
        }
        let (dark, dim) = self.darkness();
        self.blind.extend(dark);
        let stories: Vec<TrueStory> = self.platform.truth().collect();
        self.judge_open_decisions(&stories);
        self.count_the_lasting(&stories, calm_from);
        self.judge_blind_stops(&stories);
        self.judge_holds(&stories);
        self.judge_calls(&stories, &dim, calm_from + REGRANTED);
        self.judge_deeds(&stories, &dim);
    }

    /// Where what comes after the faults is judged alone, a call that was over by then is no evidence of what they did.
    fn count_the_lasting(&mut self, stories: &[TrueStory], calm_from: Wall) {
        if self.script.rough.is_zero() || self.script.judged != Judged::Settled {
            return;
        }
        let judged = calm_from + self.script.settles + WRONG_AT_MOST * 2;
        let lasts = |story: &&TrueStory| {
            let begun = story.truths.first().is_some_and(|first| first.at < calm_from);
            begun && story.truths.last().is_some_and(|last| last.live || last.at > judged)
        };
        for _ in stories.iter().filter(lasts) {
            self.count("calls judged that lived during the faults");
        }
    }

    /// A decision comes to its end: within so long of its making, or of its first attempt where it may have waited for
    /// the brake (`restraint`) or its turn (`turn`), or since it could be carried out at all.
    fn judge_open_decisions(&mut self, stories: &[TrueStory]) {
        let now = self.now.wall;
        let blind_now = self.blind.iter().any(|(_, until)| *until > now);
        let waits = self.script.settings.max_changes_per_minute > 0 || self.few_may_go();
        let history = self.log.history();
        let tried = |open: &Open| {
            let own = history.attempts().filter(|one| one.attempt.decision == open.decision.decision);
            own.map(|one| one.at).min()
        };
        let since = |open: &Open| if waits { tried(open) } else { Some(open.at) };
        let is_late = |at: Wall| self.seen().wall.since(at) > WRONG_AT_MOST + CONTEST_LONGEST;
        let governed = self.governed();
        let possible = |open: &Open| {
            let own = |story: &&TrueStory| story.conversation == open.decision.conversation.as_str();
            let story = stories.iter().find(own).filter(|_| open.decision.action == Action::Start);
            let story = story.filter(|story| story.truths.last().is_some_and(|last| last.live));
            story.map_or(Some(open.at), |story| demand::startable_since(story, governed))
        };
        let late: Vec<String> = history
            .open_decisions()
            .filter(|open| !blind_now && since(open).is_some_and(is_late))
            .filter(|open| possible(open).is_some_and(is_late))
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
            let unseen = self.unseen_of(story).into_iter().chain(self.not_looked_at(story));
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
            waited.extend(self.turn.waited(&story.conversation));
            if self.script.plan.faults.forbids(&story.conversation) {
                waited.push((Wall::default(), granted));
            }
            let kept = self.kept_of(story);
            for wrong in demand::wrong_spans(story, self.case(&blind, dim, &kept)) {
                for wrong in demand::outside(wrong, &waited) {
                    if wrong.until.since(wrong.from) > self.bound_of(story, &wrong, dim) {
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
    pub(super) fn unseen_of(&self, story: &TrueStory) -> Vec<(Wall, Wall)> {
        let known = self.blind.iter().copied().chain(self.unread(&story.conversation));
        let known = known.chain(self.begun_in_the_dark(story)).chain(self.not_looked_at(story));
        known.chain(before_any_queue(story, self.now.wall)).collect()
    }

    /// For how long a call may be in a wrong state.
    fn bound_of(&self, story: &TrueStory, wrong: &Wrong, dim: &[(Wall, Wall)]) -> Duration {
        let recent = |touch: &&Touch| wrong.from - CONTESTED_FOR <= touch.at && touch.at <= wrong.until;
        let undone = story.touches.iter().filter(|touch| touch.by == By::Agent).filter(recent).count();
        let meanwhile = |(from, until): &(Wall, Wall)| wrong.from < *until && *from < wrong.until;
        let (late, unheard) = (dim.iter().any(meanwhile), self.unlisted(story).iter().any(meanwhile));
        WRONG_AT_MOST
            + if undone >= CONTESTED { CONTEST_LONGEST } else { Duration::ZERO }
            + if late { POLLED_LATE } else { Duration::ZERO }
            + if unheard { self.unheard_late() } else { Duration::ZERO }
    }

    /// What no event tells of is seen with the next resync.
    fn unheard_late(&self) -> Duration {
        self.script.settings.resync_every + RESYNC_TAKES
    }

    /// When what became of a call in a queue off the list may not have been seen yet.
    pub(super) fn unheard_of(&self, story: &TrueStory) -> Vec<(Wall, Wall)> {
        let late = self.unheard_late();
        self.unlisted(story).into_iter().map(|(from, until)| (from, until + late)).collect()
    }

    /// When a call was in a queue that the platform lists no more: no event need tell of it then.
    fn unlisted(&self, story: &TrueStory) -> Vec<(Wall, Wall)> {
        let removed = |truth: &Truth| {
            let queue = truth.queue.as_deref().and_then(|id| self.platform.org().queue(id));
            queue.is_some_and(|queue| queue.standing == Standing::Removed)
        };
        let ends = story.truths.iter().skip(1).map(|truth| truth.at).chain([self.now.wall]);
        let spans = story.truths.iter().zip(ends).filter(|(truth, _)| removed(truth));
        spans.map(|(truth, end)| (truth.at, end)).collect()
    }

    fn governed(&self) -> Governed {
        let means = self.script.settings.means;
        match means.control {
            Control::RecordingState => {
                Governed::Pauses { from_none: means.start_from_none == StartFromNone::AdHoc }
            }
            Control::AdHoc => Governed::Adhoc,
            Control::RecordingsAction => Governed::Gateway,
        }
    }

    pub(super) fn case<'a>(
        &'a self,
        blind: &'a [(Wall, Wall)],
        dim: &'a [(Wall, Wall)],
        kept: &'a [(Wall, Wall)],
    ) -> Case<'a> {
        let set = self.script.mischief.jump_by > Duration::ZERO;
        Case {
            org: self.platform.org(),
            charters: &self.charters,
            words: &self.words,
            blind,
            dim,
            clocks: if set { Clocks::Set } else { Clocks::Steady },
            governed: self.governed(),
            kept,
            until: self.now.wall,
        }
    }

    /// The whole log as an auditor reads it: the chain over all files, the promise of order, and that the last
    /// file alone says what all of them say.
    fn judge_chain(&mut self) {
        let mut disk = self.log.disk().clone();
        disk.trouble = Trouble::None;
        let (mut link, mut history, mut files) = (Link::default(), History::default(), 0);
        let names = in_order(disk.names().unwrap_or_default());
        let last = names.last().cloned();
        for name in names {
            files += 1;
            let mut bytes = disk.read(&name).unwrap_or_default();
            if last.as_ref() == Some(&name) {
                bytes.truncate(bytes.len().saturating_sub(self.torn_yet()));
            }
            for line in String::from_utf8_lossy(&bytes).lines() {
                match link.follow(line) {
                    Err(broken) => return self.finding(format!("the chain is broken in {name}: {broken}")),
                    Ok(sealed) => {
                        self.note_bounds(&sealed.record, sealed.time);
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

/// No event tells of a call before it is in a queue: where it takes its time to get there, or never does, that is not
/// seen.
fn before_any_queue(story: &TrueStory, now: Wall) -> Option<(Wall, Wall)> {
    let begin = story.truths.first()?.at;
    let queued = story.truths.iter().find(|truth| truth.queue.is_some()).map_or(now, |truth| truth.at);
    (queued.since(begin) > WRONG_AT_MOST).then_some((begin, queued))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::{Cut, DaemonStarted, Record};
    use crate::model::time::Mono;
    use crate::sim::stage::promise::tests::{attempt, decision, stage};
    use crate::warden::Enforcement;

    /// A stage with calls, after so many seconds of calm.
    fn after(calls: usize, seconds: u64) -> Stage {
        let mut stage = stage(calls);
        stage.run_until(Mono::new(Duration::from_secs(seconds)));
        assert_eq!(stage.report.findings, [""; 0]);
        stage
    }

    fn log(stage: &mut Stage, record: &Record) {
        let wall = stage.now.wall;
        stage.log.append(wall, record);
        stage.log.sync(wall).expect("the disk is well");
    }

    fn found(stage: &mut Stage, judge: impl FnOnce(&mut Stage)) -> Vec<String> {
        judge(stage);
        std::mem::take(&mut stage.report.findings)
    }

    #[test]
    fn a_byte_of_the_log_that_is_not_as_it_was_written_is_found() {
        let mut stage = after(4, 130);
        assert_eq!(found(&mut stage, Stage::judge_chain), [""; 0]);
        let names = in_order(stage.log.disk_mut().names().expect("names"));
        assert!(names.len() > 1, "{names:?}");
        let sound = stage.log.disk().clone();
        for name in names {
            let disk = stage.log.disk_mut();
            let mut bytes = disk.read(&name).expect("a file");
            let place = bytes.len() / 2;
            bytes[place] ^= 1;
            disk.write(&name, 0, &bytes).expect("written");
            let found = found(&mut stage, Stage::judge_chain);
            assert!(
                found.len() == 1 && found[0].contains(&format!("the chain is broken in {name}")),
                "{found:?}"
            );
            stage.log.disk_mut().clone_from(&sound);
        }
        assert_eq!(found(&mut stage, Stage::judge_chain), [""; 0]);
    }

    #[test]
    fn a_torn_last_line_is_found_unless_nobody_has_had_the_time_to_cut_it_off() {
        let mut stage = after(4, 130);
        let last = in_order(stage.log.disk_mut().names().expect("names")).pop().expect("a file");
        let disk = stage.log.disk_mut();
        let length = disk.read(&last).expect("a file").len() as u64;
        disk.write(&last, length, b"{\"torn").expect("written");
        let is_broken = |stage: &mut Stage| found(stage, Stage::judge_chain).len() == 1;
        assert!(is_broken(&mut stage));
        let begins = |bytes| {
            Record::DaemonStarted(DaemonStarted {
                version: String::new(),
                epoch: 1,
                pid: None,
                dry_run: false,
                cut: Some(Cut { bytes }),
                unheard_since: None,
            })
        };
        for (bytes, broken) in [(6, false), (5, true)] {
            stage.watch.written = vec![(stage.now, begins(bytes))];
            assert_eq!(is_broken(&mut stage), broken, "{bytes} bytes are to be cut off");
        }
    }

    #[test]
    fn a_log_that_breaks_the_promise_of_order_or_has_lost_a_file_is_found() {
        let mut stage = after(4, 130);
        let sound = stage.log.disk().clone();
        let first = in_order(stage.log.disk_mut().names().expect("names")).swap_remove(0);
        stage.log.disk_mut().remove(&first).expect("removed");
        let lost = found(&mut stage, Stage::judge_chain);
        assert!(lost.len() == 1 && lost[0].contains("the chain is broken"), "{lost:?}");
        stage.log.disk_mut().clone_from(&sound);
        log(&mut stage, &decision("d1", "c1"));
        log(&mut stage, &attempt("d1", "c1"));
        assert_eq!(found(&mut stage, Stage::judge_chain), [""; 0]);
        log(&mut stage, &attempt("d2", "c1"));
        let early = found(&mut stage, Stage::judge_chain);
        assert!(early.len() == 1 && early[0].contains("no open decision before it"), "{early:?}");
    }

    #[test]
    fn a_decision_that_is_left_open_is_found() {
        let mut stage = after(2, 30);
        log(&mut stage, &decision("d1", "c1"));
        let judge = |stage: &mut Stage| {
            let stories: Vec<TrueStory> = stage.platform.truth().collect();
            stage.judge_open_decisions(&stories);
        };
        assert_eq!(found(&mut stage, judge), [""; 0], "it was made just now");
        stage.now = stage.now + (WRONG_AT_MOST + CONTEST_LONGEST);
        assert_eq!(found(&mut stage, judge), [""; 0]);
        stage.now = stage.now + Duration::from_secs(1);
        let late = found(&mut stage, judge);
        assert!(late.len() == 1 && late[0].contains("decision d1 is open since"), "{late:?}");
    }

    #[test]
    fn a_call_that_is_left_in_a_wrong_state_is_found() {
        let run = |enforcement: Enforcement| {
            let mut stage = stage(6);
            stage.script.calm = Duration::from_secs(900);
            stage.script.settings.enforcement = enforcement;
            Stage::new(stage.script).expect("the policy compiles").run().findings
        };
        assert_eq!(run(Enforcement::Enforce), [""; 0]);
        let wrong = run(Enforcement::DryRun);
        assert!(!wrong.is_empty());
        assert!(wrong.iter().all(|one| one.contains("was in a wrong state from")), "{wrong:?}");
    }

    #[test]
    fn what_holds_a_call_that_is_long_over_is_found() {
        let mut stage = after(4, 400);
        let judge = |stage: &mut Stage| {
            let stories: Vec<TrueStory> = stage.platform.truth().collect();
            stage.judge_holds(&stories);
        };
        assert_eq!(found(&mut stage, judge), [""; 0]);
        let over = |story: &TrueStory| {
            story
                .truths
                .last()
                .is_some_and(|last| !last.live && stage.now.wall.since(last.at) > ENDED_NOTICED)
        };
        let id = stage.platform.truth().find(over).expect("a call that is over").conversation;
        log(
            &mut stage,
            &Record::Hold(crate::audit::record::Hold {
                conversation: crate::model::ids::ConversationId::new(&id),
                rule: "card".into(),
                action: Action::Stop,
                since: super::super::BEGIN,
                phase: crate::audit::record::HoldPhase::Held,
                claim: None,
            }),
        );
        let held = found(&mut stage, judge);
        assert!(held.iter().any(|one| one.contains("and something holds it yet")), "{held:?}");
        assert!(held.iter().any(|one| one.contains("the process knows")), "{held:?}");
    }
}
