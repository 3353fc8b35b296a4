//! When to try again: exponential, with full jitter, from 250 ms to 30 s (PRODUCT.md 7).

use std::time::Duration;

use crate::model::time::Mono;
use crate::warden::dice::Dice;

/// The first wait is up to this long.
pub const FIRST_WAIT: Duration = Duration::from_millis(250);
/// No wait is longer: an operator who mends something sees it within half a minute.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often something has failed in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Counts one more failure and says how long to wait.
    pub fn fail(&mut self, dice: &mut Dice) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        dice.span_up_to(ceiling).max(FIRST_WAIT / 5)
    }

    /// The longest that the next wait can be.
    pub fn ceiling(&self) -> Duration {
        FIRST_WAIT.saturating_mul(1 << self.failures.min(12)).min(LONGEST_WAIT)
    }

    /// It worked: begin again with short waits.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Something that is tried again and again and keeps failing is told of so often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Why something that is tried again failed last, and when that was told; nothing where it did not fail.
#[derive(Clone, Debug, Default)]
pub struct Trouble(Option<(String, Mono)>);

/// Whether something is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It is.
    Yes,
    /// It was, a moment ago.
    No,
}

impl Trouble {
    /// It failed, for this reason: news where it is another one, or was told a while ago.
    pub fn again(&mut self, why: &str, now: Mono) -> News {
        match &self.0 {
            Some((last, told)) if last == why && now.since(*told) < TELL_EVERY => News::No,
            Some(_) | None => {
                self.0 = Some((why.to_owned(), now));
                News::Yes
            }
        }
    }

    /// Why it failed last.
    pub fn why(&self) -> Option<&str> {
        self.0.as_ref().map(|(why, _)| why.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let mut dice = Dice::new(7);
        let ceilings: Vec<u128> = (0..9)
            .map(|_| {
                let ceiling = backoff.ceiling();
                assert!(backoff.fail(&mut dice) <= ceiling);
                ceiling.as_millis()
            })
            .collect();
        assert_eq!(ceilings, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
    }

    #[test]
    fn no_wait_is_so_short_that_it_is_none() {
        let mut dice = Dice::new(3);
        for _ in 0..1000 {
            let wait = Backoff::default().fail(&mut dice);
            assert!(wait >= FIRST_WAIT / 5 && wait <= FIRST_WAIT, "{wait:?}");
        }
    }

    #[test]
    fn waits_are_spread_over_the_whole_span() {
        let mut dice = Dice::new(5);
        let mut backoff = Backoff { failures: 12 };
        let waits: Vec<Duration> = (0..200).map(|_| backoff.fail(&mut dice)).collect();
        let half = waits.iter().filter(|wait| **wait < LONGEST_WAIT / 2).count();
        assert!((60..140).contains(&half), "{half} of 200 below the half");
    }

    #[test]
    fn after_a_success_the_waits_are_short_again() {
        let (mut backoff, mut dice) = (Backoff::default(), Dice::new(1));
        assert!((0..9).all(|_| backoff.fail(&mut dice) > Duration::ZERO));
        backoff.reset();
        assert_eq!(backoff.ceiling(), FIRST_WAIT);
    }

    #[test]
    fn failures_without_end_do_not_overflow() {
        let mut backoff = Backoff { failures: u32::MAX };
        assert!(backoff.fail(&mut Dice::new(1)) <= LONGEST_WAIT);
        assert_eq!(backoff.ceiling(), LONGEST_WAIT);
    }

    #[test]
    fn one_reason_is_told_once_a_minute() {
        let mut trouble = Trouble::default();
        let told = [(0, "a"), (5, "a"), (10, "b"), (15, "b"), (70, "b"), (75, "b")]
            .map(|(second, why)| trouble.again(why, Mono::new(Duration::from_secs(second))));
        assert_eq!(told, [News::Yes, News::No, News::Yes, News::No, News::Yes, News::No]);
    }
}
