//! What callers and agents do: the whole life of a call, written when it begins, from the seed.
//!
//! A life is a script of beats with the time since the one before. Its times are those of a real call
//! (a talk of minutes, a card read out in half a minute) divided by the pace.

use std::time::Duration;

use crate::sim::life::Beat;
use crate::sim::org::{Business, Org};
use crate::sim::plan::{Flag, Plan, Scene, Way};
use crate::sim::random::Chance;

/// A beat, and how long after the one before it comes.
pub type Cue = (Duration, Beat);

struct Writer<'a> {
    chance: &'a mut Chance,
    pace: f64,
    cues: Vec<Cue>,
}

impl Writer<'_> {
    /// Adds a beat after a span between two others, in seconds of life.
    fn then(&mut self, from: f64, to: f64, beat: Beat) -> &mut Self {
        let seconds = from + (to - from) * self.chance.unit();
        self.cues.push((Duration::from_secs_f64((seconds / self.pace).clamp(0.0, 86_400.0)), beat));
        self
    }

    fn set(&mut self, from: f64, to: f64, key: &str, value: &str) -> &mut Self {
        self.then(from, to, Beat::Set(key.to_owned(), value.to_owned()))
    }
}

/// From where on a life is lived at its pace.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// From the caller's first word to the menu.
    CallIn,
    /// From the moment at which caller and agent hear each other; all before has just happened.
    Talk,
}

/// Writes the life of one call.
pub fn write_life(org: &Org, plan: &Plan, chance: &mut Chance) -> Vec<Cue> {
    write(Begin::CallIn, org, plan, chance)
}

/// Writes the life of a call that is in progress: the beats up to its talk come at once.
pub fn write_life_in_progress(org: &Org, plan: &Plan, chance: &mut Chance) -> Vec<Cue> {
    write(Begin::Talk, org, plan, chance)
}

fn write(begin: Begin, org: &Org, plan: &Plan, chance: &mut Chance) -> Vec<Cue> {
    let pace = if plan.pace > 0.0 { plan.pace } else { 1.0 };
    let arrival_pace = if begin == Begin::Talk { f64::INFINITY } else { pace };
    let mut writer = Writer { chance, pace: arrival_pace, cues: Vec::new() };
    let scene = if plan.cast.scenes.is_empty() || writer.chance.strikes(0.1) {
        None
    } else {
        writer.chance.pick(&plan.cast.scenes)
    };
    let place =
        scene.and_then(|scene| org.queues.iter().position(|one| Some(&*one.name) == scene.queue.as_deref()));
    let queue = place.unwrap_or_else(|| pick_queue(org, writer.chance));
    let out = match scene.and_then(|scene| scene.way) {
        Some(way) => way == Way::Out,
        None => writer.chance.strikes(0.1),
    };
    if out {
        writer.then(0.0, 0.0, Beat::DialOut(queue)).then(5.0, 15.0, Beat::PickUp);
    } else if write_arrival(&mut writer, queue, begin) == Arrival::GaveUp {
        return writer.cues;
    }
    writer.pace = pace;
    match scene {
        Some(scene) => write_scenes(&mut writer, scene, plan),
        None => write_talk(&mut writer, org, queue, plan),
    }
    let leaver = if writer.chance.strikes(0.6) { Beat::CustomerLeaves } else { Beat::AgentLeaves };
    writer.then(2.0, 8.0, leaver).then(8.0, 25.0, Beat::WrapUp);
    writer.cues
}

/// Every other call is for a queue where cards are read out, the rest are for any.
fn pick_queue(org: &Org, chance: &mut Chance) -> usize {
    let open = org.open_queues();
    let cards: Vec<usize> = open
        .iter()
        .copied()
        .filter(|&place| org.queues.get(place).is_some_and(|queue| queue.business == Business::Cards))
        .collect();
    let any = chance.pick(&open).copied().unwrap_or_default();
    if chance.strikes(0.5) { chance.pick(&cards).copied().unwrap_or(any) } else { any }
}

#[derive(PartialEq, Eq)]
enum Arrival {
    Answered,
    GaveUp,
}

fn write_arrival(writer: &mut Writer<'_>, queue: usize, begin: Begin) -> Arrival {
    writer.then(0.0, 0.0, Beat::CallIn);
    let tier = writer.chance.pick(&["standard", "gold", "platinum"]).copied().unwrap_or("standard");
    writer.set(1.0, 3.0, "account.tier", tier);
    let consent = if writer.chance.strikes(0.12) { "refused" } else { "given" };
    writer.set(3.0, 8.0, "consent", consent).then(2.0, 6.0, Beat::Enqueue(queue));
    if begin == Begin::CallIn && writer.chance.strikes(0.05) {
        writer.then(20.0, 60.0, Beat::CustomerLeaves);
        return Arrival::GaveUp;
    }
    writer.then(2.0, 20.0, Beat::Ring);
    if writer.chance.strikes(0.1) {
        writer.then(12.0, 12.0, Beat::RingOut).then(1.0, 2.0, Beat::Ring);
    }
    writer.then(2.0, 6.0, Beat::Answer);
    Arrival::Answered
}

/// The talk: scenes of about a third of the mean talk each, so that its length varies as calls' do.
fn write_talk(writer: &mut Writer<'_>, org: &Org, queue: usize, plan: &Plan) {
    let scene = plan.talk.as_secs_f64() / 3.0;
    let (mut place, mut pauses) = (queue, writer.chance.strikes(plan.agent_pauses));
    for _ in 0..=writer.chance.below(4 + plan.more_scenes) {
        let cards = org.queues.get(place).is_some_and(|queue| queue.business == Business::Cards);
        writer.then(scene * 0.2, scene * 0.8, Beat::Unhold);
        match writer.chance.below(20) {
            0..=8 if cards => {
                writer.set(0.0, 0.0, "pci", "on").set(12.0, 45.0, "pci", "off");
            }
            9..=10 if cards => {
                writer.then(0.0, 0.0, Beat::SecureFlow).then(15.0, 40.0, Beat::SecureFlowDone);
            }
            0..=6 | 11..=12 => {
                writer.then(0.0, 0.0, Beat::Hold).then(8.0, 40.0, Beat::Unhold);
            }
            13..=14 => {
                place = writer.chance.pick(&org.open_queues()).copied().unwrap_or(place);
                writer.then(0.0, 0.0, Beat::Transfer(place)).then(2.0, 15.0, Beat::Ring);
                writer.then(2.0, 6.0, Beat::Answer);
            }
            15..=16 => {
                writer.then(0.0, 0.0, Beat::Consult).then(3.0, 6.0, Beat::ConsultAnswer);
                writer.then(8.0, 30.0, Beat::ConsultTake);
            }
            17 => {
                writer.then(0.0, 0.0, Beat::Flag).then(10.0, 30.0, Beat::Unflag);
            }
            _ if pauses => {
                pauses = plan.more_scenes > 0;
                // In a long talk a pause is long too, and may be forgotten for a while.
                let longer = if plan.more_scenes > 0 { 6.0 } else { 1.0 };
                writer.then(0.0, 0.0, Beat::PressPause);
                writer.then(10.0 * longer, 30.0 * longer, Beat::PressResume);
            }
            _ => {}
        }
        writer.then(scene * 0.1, scene * 0.5, Beat::Unhold);
    }
}

/// A talk in which one scene comes up once or more, with a hold between.
fn write_scenes(writer: &mut Writer<'_>, scene: &Scene, plan: &Plan) {
    let length = plan.talk.as_secs_f64() / 3.0;
    for _ in 0..=writer.chance.below(2) {
        writer.then(length * 0.1, length * 0.4, Beat::Unhold);
        for (key, value) in &scene.attributes {
            writer.set(0.0, 1.0, key, value);
        }
        if scene.flag == Flag::Raised {
            writer.then(0.0, 1.0, Beat::Flag);
        }
        writer.then(12.0, 45.0, Beat::Unhold);
        for (key, _) in &scene.attributes {
            writer.set(0.0, 1.0, key, "");
        }
        if scene.flag == Flag::Raised {
            writer.then(0.0, 1.0, Beat::Unflag);
        }
        if writer.chance.strikes(0.3) {
            writer.then(length * 0.1, length * 0.3, Beat::Hold).then(8.0, 40.0, Beat::Unhold);
        }
    }
    writer.then(length * 0.1, length * 0.5, Beat::Unhold);
}

/// A customer's number: in the block that is reserved for fiction.
pub fn customer_number(chance: &mut Chance) -> String {
    format!("tel:+1555010{:04}", chance.below(10_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lives(count: u64, plan: &Plan) -> Vec<Vec<Cue>> {
        (0..count).map(|seed| write_life(&Org::new(5), plan, &mut Chance::new(seed))).collect()
    }

    #[test]
    fn the_same_seed_writes_the_same_lives() {
        assert_eq!(lives(20, &Plan::default()), lives(20, &Plan::default()));
    }

    #[test]
    fn every_kind_of_scene_comes_up() {
        let plan = Plan { agent_pauses: 0.5, ..Plan::default() };
        let beats: Vec<Beat> = lives(300, &plan).into_iter().flatten().map(|(_, beat)| beat).collect();
        let set = |key: &str, value: &str| Beat::Set(key.to_owned(), value.to_owned());
        for wanted in [
            Beat::RingOut,
            Beat::Hold,
            Beat::Consult,
            Beat::ConsultTake,
            Beat::SecureFlowDone,
            Beat::Flag,
            Beat::PressPause,
            Beat::PickUp,
            Beat::WrapUp,
            set("pci", "on"),
            set("pci", "off"),
            set("consent", "refused"),
        ] {
            assert!(beats.contains(&wanted), "{wanted:?}");
        }
        assert!(beats.iter().any(|beat| matches!(beat, Beat::Transfer(_))));
    }

    #[test]
    fn every_call_ends() {
        for life in lives(200, &Plan::default()) {
            assert!(life.iter().any(|(_, beat)| matches!(beat, Beat::CustomerLeaves | Beat::AgentLeaves)));
        }
    }

    #[test]
    fn a_call_in_progress_is_answered_at_once_and_lives_on_at_its_pace() {
        for seed in 0..200 {
            let life = write_life_in_progress(&Org::new(5), &Plan::default(), &mut Chance::new(seed));
            let last = |beat: &Beat| matches!(beat, Beat::Answer | Beat::PickUp);
            let answered = life.iter().position(|(_, beat)| last(beat)).expect("it is answered");
            assert!(life[..=answered].iter().all(|(after, _)| after.is_zero()));
            let rest: Duration = life[answered + 1..].iter().map(|(after, _)| *after).sum();
            assert!(rest > Duration::from_secs(10), "{rest:?}");
        }
    }

    #[test]
    fn pace_shortens_a_life() {
        let length = |pace| -> Duration {
            lives(50, &Plan { pace, ..Plan::default() }).iter().flatten().map(|(after, _)| *after).sum()
        };
        let (slow, fast) = (length(1.0), length(20.0));
        assert!(slow > fast * 19 && slow < fast * 21, "{slow:?} {fast:?}");
        assert!((Duration::from_secs(60)..Duration::from_secs(400)).contains(&(slow / 50)), "{slow:?}");
    }
}
