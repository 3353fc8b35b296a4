//! How soon a client's order follows the event that calls for it: from the moment the event is sent to the
//! moment the request is there, by the sample policy's own meaning (`sim::oracle`).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::time::Mono;
use crate::sim::call::Truth;
use crate::sim::oracle::Judge;
use crate::sim::org::Org;

/// Reactions kept; a longer simulation counts the first so many.
const KEPT: usize = 100_000;

/// The reactions of a simulation.
#[derive(Clone, Debug, Default)]
pub struct Reactions {
    calls: BTreeMap<String, Awaited>,
    took: Vec<Duration>,
}

#[derive(Clone, Debug, Default)]
struct Awaited {
    judge: Judge,
    since: Option<Mono>,
}

impl Reactions {
    /// The event of this truth goes out now.
    pub fn told(&mut self, conversation: &str, truth: &Truth, org: &Org, now: Mono) {
        if !truth.live {
            self.calls.remove(conversation);
            return;
        }
        let call = self.calls.entry(conversation.to_owned()).or_default();
        let wrong = call.judge.is_wrong(truth, org);
        call.since = if wrong { call.since.or(Some(now)) } else { None };
    }

    /// An order came for this conversation; the first after an event counts.
    pub fn ordered(&mut self, conversation: &str, now: Mono) {
        let since = self.calls.get_mut(conversation).and_then(|call| call.since.take());
        if let Some(since) = since.filter(|_| self.took.len() < KEPT) {
            self.took.push(now.since(since));
        }
    }

    /// How long each took.
    pub fn took(&self) -> &[Duration] {
        &self.took
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::recorder::Tape;

    fn truth(consent: &str, tape: Tape) -> Truth {
        let attributes = [("consent".to_owned(), consent.to_owned())].into();
        Truth { live: true, attributes, tape, ..Truth::default() }
    }

    fn at(millis: u64) -> Mono {
        Mono::new(Duration::from_millis(millis))
    }

    #[test]
    fn the_first_order_after_the_event_that_calls_for_it_counts() {
        let (mut reactions, org) = (Reactions::default(), Org::new(1));
        reactions.ordered("c", at(1));
        reactions.told("c", &truth("given", Tape::Active), &org, at(2));
        reactions.ordered("c", at(3));
        reactions.told("c", &truth("refused", Tape::Active), &org, at(10));
        reactions.told("c", &truth("refused", Tape::Active), &org, at(12));
        reactions.ordered("c", at(15));
        reactions.ordered("c", at(20));
        assert_eq!(reactions.took(), [Duration::from_millis(5)]);
    }

    #[test]
    fn what_comes_right_by_itself_is_no_reaction() {
        let (mut reactions, org) = (Reactions::default(), Org::new(1));
        reactions.told("c", &truth("refused", Tape::Active), &org, at(10));
        reactions.told("c", &truth("refused", Tape::SecurePaused), &org, at(12));
        reactions.ordered("c", at(15));
        assert!(reactions.took().is_empty());
    }
}
