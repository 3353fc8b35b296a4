//! What a simulation comes to: how long each call was in a state that the sample policy forbids, told from
//! the truth, and how soon orders came.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::time::Wall;
use crate::sim::call::Truth;
use crate::sim::oracle::wrong_spans;
use crate::sim::org::Org;
use crate::sim::platform::TrueStory;

/// One call whose last state was wrong, for so long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedWrong {
    /// Which.
    pub conversation: String,
    /// When it ended, or the simulation.
    pub at: Wall,
    /// How long it had been wrong then.
    pub lasted: Duration,
}

/// What a simulation comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Conversations.
    pub calls: usize,
    /// Of them, those that were live at the end.
    pub live: usize,
    /// Every span in a wrong state.
    pub wrong: Vec<Duration>,
    /// Calls that ended in a wrong state, the longest first.
    pub ended_wrong: Vec<EndedWrong>,
    /// Calls that were in one and still live at the end, the longest first.
    pub live_wrong: Vec<EndedWrong>,
    /// How long each order took to come, shortest first.
    pub reactions: Vec<Duration>,
}

impl Account {
    /// Draws it up.
    pub fn of(stories: &[TrueStory], org: &Org, until: Wall, reactions: &[Duration]) -> Self {
        let mut account = Self { calls: stories.len(), reactions: reactions.to_vec(), ..Self::default() };
        account.reactions.sort_unstable();
        for story in stories {
            let live = story.truths.last().is_some_and(|truth| truth.live);
            account.live += usize::from(live);
            let spans = wrong_spans(&story.truths, org, until);
            account.wrong.extend(spans.iter().map(|(from, until)| until.since(*from)));
            let Some((from, at)) = spans.last().copied() else { continue };
            let ended = EndedWrong { conversation: story.conversation.clone(), at, lasted: at.since(from) };
            if live && at == until {
                account.live_wrong.push(ended);
            } else if end_of(&story.truths) == Some(at) {
                account.ended_wrong.push(ended);
            }
        }
        for list in [&mut account.ended_wrong, &mut account.live_wrong] {
            list.sort_by_key(|one| std::cmp::Reverse(one.lasted));
        }
        account
    }

    /// As one JSON object. Each call that was wrong in the end is named, so that whoever looks for some of them misses none.
    pub fn to_json(&self) -> Value {
        let named = |list: &[EndedWrong]| -> Vec<Value> {
            let one = |one: &EndedWrong| json!({"conversation": one.conversation, "at": one.at, "wrong_ms": millis(one.lasted)});
            list.iter().map(one).collect()
        };
        json!({
            "calls": self.calls,
            "live": self.live,
            "wrong_spans": self.wrong.len(),
            "wrong_seconds": self.wrong.iter().sum::<Duration>().as_secs_f64(),
            "longest_wrong_ms": millis(self.wrong.iter().max().copied().unwrap_or_default()),
            "ended_wrong": self.ended_wrong.len(),
            "ended_wrong_longest": named(&self.ended_wrong),
            "live_wrong": self.live_wrong.len(),
            "live_wrong_longest": named(&self.live_wrong),
            "event_to_request_ms": {
                "count": self.reactions.len(),
                "median": millis(percentile(&self.reactions, 50)),
                "p99": millis(percentile(&self.reactions, 99)),
                "max": millis(percentile(&self.reactions, 100)),
            },
        })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds: f64 = self.wrong.iter().map(Duration::as_secs_f64).sum();
        let longest = millis(self.wrong.iter().max().copied().unwrap_or_default());
        writeln!(f, "summary, by the sample policy of `recwarden demo`")?;
        writeln!(f, "  calls                  {}, {} of them live at the end", self.calls, self.live)?;
        writeln!(
            f,
            "  in the wrong state     {seconds:.3} s in {} spans, the longest {longest:.0} ms",
            self.wrong.len()
        )?;
        writeln!(f, "  ended in a wrong state {}", counted(&self.ended_wrong))?;
        writeln!(f, "  live in a wrong state  {}", counted(&self.live_wrong))?;
        write!(f, "  event to request       {}", Reaction(&self.reactions))
    }
}

fn counted(list: &[EndedWrong]) -> String {
    match list.first() {
        None => "0".to_owned(),
        Some(worst) => {
            format!("{}, the longest for {:.0} ms ({})", list.len(), millis(worst.lasted), worst.conversation)
        }
    }
}

/// Reactions for people; they are sorted.
pub struct Reaction<'a>(pub &'a [Duration]);

impl fmt::Display for Reaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |percent| millis(percentile(self.0, percent));
        match self.0.len() {
            0 => f.write_str("no order came"),
            count => write!(f, "median {:.1} ms, p99 {:.1} ms ({count} orders)", of(50), of(99)),
        }
    }
}

/// When a call stopped being live; none where it still is.
fn end_of(truths: &[Truth]) -> Option<Wall> {
    truths.iter().rev().take_while(|truth| !truth.live).last().map(|truth| truth.at)
}

fn millis(span: Duration) -> f64 {
    // Far below 2^52, where a float would lose count.
    span.as_micros() as f64 / 1_000.0
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::recorder::Tape;

    fn at(seconds: i64) -> Wall {
        Wall::from_micros(seconds * 1_000_000)
    }

    fn story(id: &str, points: &[(i64, bool, &str, Tape)]) -> TrueStory {
        let truth = |(seconds, live, consent, tape): &(i64, bool, &str, Tape)| Truth {
            at: at(*seconds),
            live: *live,
            attributes: [("consent".to_owned(), (*consent).to_owned())].into(),
            tape: *tape,
            ..Truth::default()
        };
        TrueStory {
            conversation: id.to_owned(),
            way: crate::sim::call::Way::Inbound,
            truths: points.iter().map(truth).collect(),
            touches: Vec::new(),
        }
    }

    #[test]
    fn calls_that_ended_wrong_are_told_from_those_that_were_wrong_for_a_while() {
        let stories = [
            story(
                "mended",
                &[
                    (0, true, "refused", Tape::Active),
                    (1, true, "refused", Tape::SecurePaused),
                    (9, false, "refused", Tape::None),
                ],
            ),
            story(
                "ended",
                &[
                    (0, true, "refused", Tape::Active),
                    (2, false, "refused", Tape::None),
                    (3, false, "refused", Tape::None),
                ],
            ),
            story("live", &[(0, true, "given", Tape::Active), (6, true, "refused", Tape::Active)]),
        ];
        let account = Account::of(&stories, &Org::new(1), at(10), &[]);
        let named = |list: &[EndedWrong]| -> Vec<(String, u64)> {
            list.iter().map(|one| (one.conversation.clone(), one.lasted.as_secs())).collect()
        };
        assert_eq!((account.calls, account.live, account.wrong.len()), (3, 1, 3));
        assert_eq!(named(&account.ended_wrong), [("ended".to_owned(), 2)]);
        assert_eq!(named(&account.live_wrong), [("live".to_owned(), 4)]);
        assert_eq!(account.to_json()["longest_wrong_ms"], 4_000.0);
    }

    #[test]
    fn each_call_that_was_wrong_in_the_end_is_named() {
        let points = [(0, true, "refused", Tape::Active), (2, false, "refused", Tape::None)];
        let stories: Vec<TrueStory> = (0..300).map(|number| story(&number.to_string(), &points)).collect();
        let account = Account::of(&stories, &Org::new(1), at(10), &[]).to_json();
        assert_eq!(
            (&account["ended_wrong"], account["ended_wrong_longest"].as_array().map(Vec::len)),
            (&300.into(), Some(300))
        );
    }

    #[test]
    fn percentiles_are_of_the_sorted_reactions() {
        let reactions: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&reactions, 50), Duration::from_millis(50));
        assert_eq!(percentile(&reactions, 99), Duration::from_millis(99));
        assert_eq!(Reaction(&reactions).to_string(), "median 50.0 ms, p99 99.0 ms (100 orders)");
    }
}
