//! A drill: somebody's own policy on the stage, once for each kind of misfortune, and for how long a
//! recording was not as that policy wants it.
//!
//! What is wanted is not told by the warden under test. The same callers are played a second time, on a
//! platform where nothing goes wrong and nobody gives orders (who calls and what they do has a chance of its
//! own, so it is the same in both), and a rehearsal (`warden::rehearsal`) says what the policy makes of each
//! true state of a call at once: latches, clocks and giving back included. What was on tape in the run is held
//! against that, moment for moment.

mod cast;
mod faults;
mod ideal;

use std::collections::BTreeSet;
use std::time::Duration;

pub use cast::Casting;
pub use faults::{CATALOGUE, Fault, STARTED_AGAIN_AFTER, STARTS_WITHIN};

use crate::audit::log::Rotation;
use crate::model::time::Wall;
use crate::policy::decide::Policy;
use crate::sim::call::Tape;
use crate::sim::charter::Charter;
use crate::sim::plan::Plan;
use crate::sim::stage::{Judged, Mischief, Script, Stage, Telling};
use crate::warden::Settings;
use ideal::Ideal;

/// What a drill is to be.
#[derive(Clone, Debug)]
pub struct Drill {
    /// The policy.
    pub policy: Policy,
    /// The warden's settings.
    pub settings: Settings,
    /// The queues and scenes that make its rules match.
    pub casting: Casting,
    /// How many calls are live at once, about.
    pub calls: usize,
    /// How long things go wrong.
    pub rough: Duration,
    /// How long the calm after that lasts, in which what was left wrong is still counted.
    pub calm: Duration,
}

/// One span in which a recording was not as the policy wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Which conversation.
    pub conversation: String,
    /// The rule that wanted something else, or that had let go; `default` where none did.
    pub rule: String,
    /// What was wrong.
    pub how: How,
    /// Since when, from the beginning of the run.
    pub since: Duration,
    /// How long, as far as the run goes.
    pub lasted: Duration,
    /// Whether it was over by then.
    pub end: End,
}

/// How a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The recording became as it should be, or the call was over; or the run was, right after it began.
    Over,
    /// It was still so at the end of the run: nobody knows for how long.
    StillSo,
}

/// In the calm an order is carried out within this. What is wrong for less at the end of the run may be as good as over.
const JUST_BEGUN: Duration = Duration::from_secs(10);

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It was on tape and must not be.
    OnTape,
    /// It was not on tape and should be.
    OffTape,
}

/// What one fault did in one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The spans, oldest first.
    pub wrong: Vec<Wrong>,
    /// Calls that were looked at.
    pub calls: usize,
    /// Rules that spoke, or would have.
    pub fired: BTreeSet<String>,
}

impl Drill {
    /// Plays one fault with the callers of one seed.
    ///
    /// # Errors
    /// Where the stage cannot be set up.
    pub fn play(&self, fault: &Fault, seed: u64) -> Result<Outcome, String> {
        let plan = Plan {
            seed,
            calls: self.calls,
            pace: PACE,
            requests_per_minute: self.settings.allowance.requests_per_minute,
            cast: self.casting.cast.clone(),
            ..Plan::default()
        };
        let whole = self.rough + self.calm;
        let ideal = Ideal::of(plan.clone(), self, whole);
        let script = Script {
            plan: Plan { faults: fault.faults(), ..plan },
            settings: self.settings.clone(),
            charters: vec![Charter::sample()],
            mischief: Mischief {
                crashes: fault.crashes,
                back_after: fault.back_after,
                ..Mischief::default()
            },
            rotation: Rotation { every: Duration::from_secs(86_400), size: 256 << 20 },
            settles: self.calm,
            judged: Judged::Settled,
            telling: Telling::Findings,
            rough: self.rough,
            calm: self.calm,
        };
        let stage = Stage::of(script, vec![self.policy.clone()])?;
        let stories = stage.pushing(ideal.pushes.clone()).tell_truth();
        let end = ideal.begin + whole;
        let mut wrong = Vec::new();
        for story in &stories {
            let Some(wanted) = ideal.calls.get(&story.conversation) else { continue };
            let tape = story.truths.iter().map(|truth| (truth.at, (truth.live, truth.tape)));
            wrong.extend(compare(&story.conversation, wanted, tape.collect(), ideal.begin, end));
        }
        wrong.sort_by_key(|one| one.since);
        Ok(Outcome { wrong, calls: ideal.calls.len(), fired: ideal.fired })
    }
}

/// How much faster than life callers and agents are: calls of a minute, so that a run of some minutes has many.
const PACE: f64 = 3.0;

/// Where what was and what should have been differ.
fn compare(
    conversation: &str,
    wanted: &[ideal::Wanted],
    tape: Vec<(Wall, (bool, Tape))>,
    begin: Wall,
    end: Wall,
) -> Vec<Wrong> {
    let mut moments: Vec<Wall> =
        wanted.iter().map(|one| one.at).chain(tape.iter().map(|(at, _)| *at)).collect();
    moments.sort_unstable();
    moments.dedup();
    let mut found: Vec<Wrong> = Vec::new();
    let mut open: Option<(Wall, How, String)> = None;
    let mut close = |open: &mut Option<(Wall, How, String)>, at: Wall| {
        if let Some((since, how, rule)) = open.take() {
            let lasted = at.since(since);
            let (conversation, since) = (conversation.to_owned(), since.since(begin));
            found.push(Wrong { conversation, rule, how, since, lasted, end: End::Over });
        }
    };
    for at in moments.into_iter().take_while(|at| *at <= end) {
        let should = wanted.iter().rev().find(|one| one.at <= at);
        let is = tape.iter().rev().find(|(since, _)| *since <= at).map(|(_, state)| *state);
        let how = match (should, is) {
            (Some(should), Some((true, tape))) => differs(should.on_tape, tape),
            (Some(_) | None, Some(_) | None) => None,
        };
        let same = open.as_ref().map(|(_, how, _)| *how) == how;
        if !same {
            close(&mut open, at);
            open = how.zip(should).map(|(how, should)| (at, how, should.rule.clone()));
        }
    }
    let is_open = open.is_some();
    close(&mut open, end);
    if let Some(last) = found.last_mut().filter(|last| is_open && last.lasted >= JUST_BEGUN) {
        last.end = End::StillSo;
    }
    found.retain(|one| !one.lasted.is_zero());
    found
}

fn differs(should: ideal::OnTape, is: Tape) -> Option<How> {
    match (should, is) {
        (ideal::OnTape::No, Tape::Active) => Some(How::OnTape),
        (ideal::OnTape::Yes, Tape::SecurePaused | Tape::None) => Some(How::OffTape),
        (ideal::OnTape::No, Tape::SecurePaused | Tape::None | Tape::Suspended)
        | (ideal::OnTape::Yes, Tape::Active | Tape::Suspended) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Wall {
        Wall::from_micros(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn a_span_that_is_not_over_at_the_end_is_told_from_one_that_is() {
        let wanted = [ideal::Wanted { at: at(10), on_tape: ideal::OnTape::No, rule: "card".into() }];
        let taped = (at(5), (true, Tape::Active));
        let spans = |more: Option<(Wall, (bool, Tape))>, end: u64| {
            let tape = [Some(taped), more].into_iter().flatten().collect();
            let found = compare("c", &wanted, tape, at(0), at(end));
            found.into_iter().map(|one| (one.lasted.as_secs(), one.end)).collect::<Vec<_>>()
        };
        assert_eq!(spans(Some((at(40), (true, Tape::SecurePaused))), 100), [(30, End::Over)]);
        assert_eq!(spans(Some((at(40), (false, Tape::Active))), 100), [(30, End::Over)], "the call is over");
        assert_eq!(spans(None, 100), [(90, End::StillSo)]);
        assert_eq!(spans(None, 19), [(9, End::Over)], "it has just begun");
        assert_eq!(spans(None, 10), []);
    }
}
