//! What is demanded of a call, as far as it is known: what has changed of it is told a while later, and what others say
//! may come in before that.

use std::time::Duration;

use super::{Case, Change, Mind, changes};
use crate::model::recording::Wish;
use crate::model::time::Wall;
use crate::sim::platform::TrueStory;

/// What is demanded over a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Since when.
    pub from: Wall,
    /// Until when.
    pub until: Wall,
    /// What; more than one thing where it is not sure, or where a little later something else would be on top.
    pub wishes: Vec<Wish>,
}

/// What is demanded of a call, and what would be while a change of it is not known yet, each over its span.
pub fn demanded(story: &TrueStory, case: Case<'_>, known_within: Duration) -> Vec<Demand> {
    let Some(mut mind) = Mind::new(story, case) else { return Vec::new() };
    let all = changes(story, case);
    let (mut points, mut late) = (Vec::new(), Vec::new());
    for (place, (at, change)) in all.iter().enumerate() {
        mind.pass_timers(*at, &mut |mind| points.push(point(mind)));
        if matches!(change, Change::Truth(_)) && mind.truth.is_some() {
            let until = *at + known_within;
            let others = all.iter().skip(place + 1).take_while(|(at, _)| *at <= until);
            let others = others.filter(|(_, change)| !matches!(change, Change::Truth(_)));
            late.extend(behind(mind.clone(), others, until));
        }
        mind.meet(*at, *change);
        points.push(point(&mind));
    }
    mind.pass_timers(case.until, &mut |mind| points.push(point(mind)));
    late.extend(spans(points, Wall::from_micros(i64::MAX)));
    late
}

/// What else changes meanwhile, for whoever does not know that the call has changed.
fn behind<'a: 'b, 'b>(
    mut mind: Mind<'a>,
    others: impl Iterator<Item = &'b (Wall, Change<'a>)>,
    until: Wall,
) -> Vec<Demand> {
    let mut points = Vec::new();
    for (at, change) in others {
        mind.pass_timers(*at, &mut |mind| points.push(point(mind)));
        mind.meet(*at, *change);
        points.push(point(&mind));
    }
    mind.pass_timers(until, &mut |mind| points.push(point(mind)));
    spans(points, until)
}

fn point(mind: &Mind<'_>) -> (Wall, Vec<Wish>) {
    let mut wishes = mind.demands();
    wishes.extend(mind.timed());
    (mind.now, wishes)
}

/// Each from a moment until the next.
fn spans(points: Vec<(Wall, Vec<Wish>)>, end: Wall) -> Vec<Demand> {
    let ends: Vec<Wall> = points.iter().skip(1).map(|(at, _)| *at).chain([end]).collect();
    points.into_iter().zip(ends).map(|((from, wishes), until)| Demand { from, until, wishes }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recording::Action;
    use crate::sim::call::{Truth, Way};
    use crate::sim::charter::Charter;
    use crate::sim::demand::{Clocks, DIRECTIVE_PRIORITY, Governed, Word};
    use crate::sim::org::Org;

    fn at(seconds: i64) -> Wall {
        Wall::from_micros(seconds * 1_000_000)
    }

    /// Whether a wish is found at this moment, with 10 s for a change to be known: a card is read out from 100 s on,
    /// or until then, under a rule of this priority.
    fn is_found(wish: Wish, moment: i64, pci: [&str; 2], priority: i64, words: &[(i64, Word)]) -> bool {
        let org = Org::new(1);
        let queue = org.queues.iter().find(|queue| queue.name == "Payments").map(|queue| queue.id.clone());
        let truth = |(seconds, pci): (i64, &str)| Truth {
            at: at(seconds),
            live: true,
            agents: 1,
            queue: queue.clone(),
            attributes: [("pci".to_owned(), pci.to_owned())].into(),
            ..Truth::default()
        };
        let truths = [0, 100].into_iter().zip(pci).map(truth).collect();
        let story = TrueStory { conversation: "c".into(), way: Way::Inbound, truths, touches: Vec::new() };
        let mut charter = Charter::sample();
        charter.clauses.retain(|clause| clause.name == "pause-while-card-is-read");
        charter.clauses.iter_mut().for_each(|clause| (clause.priority, clause.at_most) = (priority, None));
        let words = words.iter().map(|(seconds, word)| (at(*seconds), word.clone())).collect();
        let case = Case {
            org: &org,
            charters: &[(Wall::default(), charter)],
            words: &[("c".to_owned(), words)].into(),
            blind: &[],
            dim: &[],
            clocks: Clocks::Steady,
            governed: Governed::Pauses { from_none: true },
            kept: &[],
            until: at(300),
        };
        demanded(&story, case, Duration::from_secs(10))
            .iter()
            .any(|one| one.from <= at(moment) && at(moment) <= one.until && one.wishes.contains(&wish))
    }

    #[test]
    fn an_order_that_comes_before_the_change_that_outranks_it_is_known_is_on_top_for_that_long() {
        let order = |seconds| [(seconds, Word::Order(Action::Start, None))];
        let found = |moment, order: &[(i64, Word)]| {
            is_found(Wish::Start, moment, ["off", "on"], DIRECTIVE_PRIORITY + 1, order)
        };
        assert!(found(101, &order(101)) && found(109, &order(101)));
        assert!(!found(100, &order(101)), "it was not given yet");
        assert!(!found(111, &order(101)), "the change is known by now");
        assert!(!found(115, &order(115)), "the change was known before");
    }

    #[test]
    fn what_an_order_leaves_behind_that_ends_before_a_change_is_known_is_on_top_for_that_long() {
        let order = |lasts| [(50, Word::Order(Action::Start, Some(Duration::from_secs(lasts))))];
        let found = |moment, order: &[(i64, Word)]| {
            is_found(Wish::Stop, moment, ["on", "off"], DIRECTIVE_PRIORITY - 1, order)
        };
        assert!(found(101, &order(51)) && !found(111, &order(51)));
        assert!(!found(100, &order(51)), "the order stands");
        assert!(!found(115, &order(65)), "the change was known before");
    }
}
