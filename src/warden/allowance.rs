//! How many requests may go now. One bucket of tokens per OAuth client governs every request; a token
//! comes back a minute after it was taken, so that no window of 60 s ever sees more than the limit.
//!
//! Housekeeping may only use what `action_share` leaves, so that a resync never makes a stop wait, and of
//! that the resync leaves some to the subscription, so that it never makes a reconnect wait. The
//! platform's own word (a 429, its rate headers) always wins over our count: what it counted beyond our own
//! requests was sent by another user of the same client, or by us before a crash.
//!
//! A daemon that was restarted does not begin with a full bucket. The attempts of the last minute stand in the
//! log, each with its time. Reads do not, so as many are supposed, and the whole share of housekeeping for each
//! process that ran in that minute, within the limit, until the platform's first word says how many there were, or a
//! minute is over. The first request goes alone, since its answer is that word. One in a hundred of the limit, but at
//! least one, is kept free for such requests: so even a daemon that comes back amid a burst, again and again,
//! neither exceeds the limit nor has to wait for a minute.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::time::Mono;
use crate::wire::reply::RateHeaders;

/// A token is away this long: the platform's minute, and a second for the way there (its clock starts
/// when the request arrives, ours when it leaves).
pub const TOKEN_AWAY: Duration = Duration::from_secs(61);
/// The platform's window.
const WINDOW: Duration = Duration::from_secs(60);
/// The platform tells the rest of its window in whole seconds, and a window that has just begun as 60 or 61 of them
/// (GENESYS.md 6).
const ROUNDED: Duration = Duration::from_secs(1);

/// One of so many requests is kept for the first one after a restart.
const ONE_KEPT_OF: usize = 100;
/// A process that was restarted sends one request at a time for so long, or until the platform has told how many there
/// were: an answer takes a fraction of this, and stops must not wait for one that is lost.
const ASKS_FOR: Duration = Duration::from_secs(2);

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Starts, stops, and the reads that confirm them.
    Control,
    /// Channels, subscriptions and the lists for them: without these nothing is heard, so that they may use every
    /// slot that control may.
    Housekeeping,
    /// Queries and reads of the resync.
    Resync,
}

/// The bounds, from `[limits]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Requests in any 60 s.
    pub requests_per_minute: u32,
    /// The share of them that housekeeping may not touch, 0 to 1.
    pub action_share: f64,
    /// Requests under way at once.
    pub max_in_flight: usize,
}

impl Settings {
    /// Requests in any 60 s, without those that are kept for the first ones after restarts.
    pub fn spendable(self) -> usize {
        spendable(self.requests_per_minute)
    }
}

fn spendable(limit: u32) -> usize {
    limit as usize - kept(limit)
}

/// Of a limit of one, none can be kept.
fn kept(limit: u32) -> usize {
    if limit > 1 { (limit as usize / ONE_KEPT_OF).max(1) } else { 0 }
}

/// Requests that we did not send in this life, and until when they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Others {
    count: usize,
    until: Mono,
}

/// The bucket. Each deque holds when its tokens come back.
#[derive(Clone, Debug)]
pub struct Allowance {
    settings: Settings,
    platform_limit: Option<u32>,
    taken: VecDeque<Mono>,
    housekeeping_taken: VecDeque<Mono>,
    resync_taken: VecDeque<Mono>,
    others: Option<Others>,
    asks_until: Mono,
    in_flight: usize,
    silent_until: Mono,
}

/// Why nothing may go, and when to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not before this moment.
    Until(Mono),
    /// Not before an answer to one under way.
    InFlight,
}

impl Allowance {
    /// A full bucket.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            platform_limit: None,
            taken: VecDeque::new(),
            housekeeping_taken: VecDeque::new(),
            resync_taken: VecDeque::new(),
            others: None,
            asks_until: Mono::default(),
            in_flight: 0,
            silent_until: Mono::default(),
        }
    }

    /// The daemon was restarted: its attempts of the last minute were sent so long ago, oldest first, and so many
    /// processes ran in it.
    pub fn recall(&mut self, attempts: &[Duration], ran: usize, now: Mono) {
        let back = |ago: &Duration| TOKEN_AWAY.checked_sub(*ago).map(|left| now + left);
        self.taken.extend(attempts.iter().filter_map(back));
        // With their attempts they sent no more than the limit either. All but the first of them may have used one that
        // is kept; where there is another, it may go.
        let free = usize::from(ran <= kept(self.limit()));
        let most = (self.limit() as usize).saturating_sub(self.taken.len() + free);
        let count = (self.taken.len() + self.housekeeping_limit() * ran).min(most);
        self.others = Some(Others { count, until: now + TOKEN_AWAY });
        self.asks_until = now + ASKS_FOR;
    }

    /// New bounds after a reload; what was taken stays taken.
    pub fn resettle(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Takes a token, or says when to ask again.
    pub fn take(&mut self, class: Class, now: Mono) -> Result<(), Refusal> {
        self.put_back(now);
        if now < self.silent_until {
            return Err(Refusal::Until(self.silent_until));
        }
        let asks = now < self.asks_until;
        let (slots, most) =
            if asks { (1, self.limit() as usize) } else { (self.slots(class), spendable(self.limit())) };
        if self.in_flight >= slots {
            return Err(Refusal::InFlight);
        }
        let others = self.others.map_or(0, |others| others.count);
        if self.taken.len() + others >= most {
            let back = self.taken.front().copied().into_iter().chain(self.others.map(|others| others.until));
            return Err(Refusal::Until(back.min().unwrap_or(now + Duration::from_secs(1))));
        }
        let share = self.housekeeping_limit();
        // A quarter of the share stays free of the resync; of a share of one, none can.
        let of_resync = if share > 1 { share - (share / 4).max(1) } else { share };
        let bounds = [
            (&self.housekeeping_taken, share, class != Class::Control),
            (&self.resync_taken, of_resync, class == Class::Resync),
        ];
        for (taken, bound, concerned) in bounds {
            if concerned && taken.len() >= bound {
                return Err(Refusal::Until(taken.front().map_or(now + Duration::from_secs(1), |at| *at)));
            }
        }
        self.each_of(class, |taken| taken.push_back(now + TOKEN_AWAY));
        self.in_flight += 1;
        Ok(())
    }

    /// Nothing was sent after all: the token just taken is put back.
    pub fn give_back(&mut self, class: Class) {
        self.each_of(class, |taken| {
            taken.pop_back();
        });
        self.answered();
    }

    fn each_of(&mut self, class: Class, mut what: impl FnMut(&mut VecDeque<Mono>)) {
        what(&mut self.taken);
        match class {
            Class::Control => {}
            Class::Housekeeping => what(&mut self.housekeeping_taken),
            Class::Resync => {
                what(&mut self.housekeeping_taken);
                what(&mut self.resync_taken);
            }
        }
    }

    /// An answer came (or the request failed): its slot is free.
    pub fn answered(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// What was to be sent then never went out: its token is put back.
    pub fn unsent(&mut self, class: Class, sent: Mono) {
        self.each_of(class, |taken| {
            if let Some(place) = taken.iter().rposition(|back| *back == sent + TOKEN_AWAY) {
                taken.remove(place);
            }
        });
        self.answered();
    }

    /// A 429: nothing goes before `wait` is over.
    pub fn silence(&mut self, wait: Duration, now: Mono) {
        self.silent_until = self.silent_until.max(now + wait);
    }

    /// Heeds the `inin-ratelimit-*` headers of a request that was sent then: another user of the same client counts too.
    pub fn heed(&mut self, rate: RateHeaders, sent: Mono, now: Mono) {
        let small = |number: Option<u64>| number.and_then(|one| u32::try_from(one).ok());
        let Some(allowed) = small(rate.allowed).filter(|allowed| *allowed > 0) else { return };
        self.platform_limit = Some(allowed);
        let Some(count) = small(rate.count) else { return };
        // Its window is a minute: a longer word is a mistake, and must not silence the daemon for hours.
        let reset = rate.reset.map(|reset| Duration::from_secs(reset).min(WINDOW));
        if count >= allowed {
            self.silence(reset.unwrap_or(Duration::from_secs(1)), now);
        }
        if let Some(reset) = reset {
            // Ours in the platform's window, which began a minute before its reset: perhaps a second sooner, since that
            // is rounded, and told from some time after the sending. The first of these had its own way to go. One that was
            // sent before it and is taken for one of these is away until that window ends, or nearly so.
            let begun_back = sent + reset - ROUNDED;
            let ours = self.taken.iter().filter(|back| **back >= begun_back).count();
            let count = (count as usize).saturating_sub(ours);
            self.others = (count > 0).then_some(Others { count, until: now + reset });
            self.asks_until = now;
        }
    }

    /// Requests of the last minute, and the limit.
    pub fn used(&self, now: Mono) -> (u32, u32) {
        let recent = self.taken.iter().filter(|back| **back > now).count();
        (u32::try_from(recent).unwrap_or(u32::MAX), self.limit())
    }

    fn limit(&self) -> u32 {
        self.platform_limit.map_or(self.settings.requests_per_minute, |allowed| {
            allowed.min(self.settings.requests_per_minute)
        })
    }

    fn housekeeping_limit(&self) -> usize {
        let share = (1.0 - self.settings.action_share.clamp(0.0, 1.0)) * f64::from(self.limit());
        // The cast saturates; a share such as 0.8 is not exact, and must not cost a request. At least one, or the
        // daemon could never subscribe.
        ((share + 1e-6) as usize).max(1)
    }

    fn slots(&self, class: Class) -> usize {
        let most = self.settings.max_in_flight.max(1);
        match class {
            Class::Control | Class::Housekeeping => most,
            Class::Resync => (most / 2).max(1),
        }
    }

    fn put_back(&mut self, now: Mono) {
        for taken in [&mut self.taken, &mut self.housekeeping_taken, &mut self.resync_taken] {
            while taken.front().is_some_and(|back| *back <= now) {
                taken.pop_front();
            }
        }
        self.others = self.others.filter(|others| others.until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    /// Ten requests a minute, and one that is kept.
    fn bucket() -> Allowance {
        Allowance::new(Settings { requests_per_minute: 11, action_share: 0.8, max_in_flight: 100 })
    }

    fn rate(count: Option<u64>, allowed: Option<u64>, reset: Option<u64>) -> RateHeaders {
        RateHeaders { count, allowed, reset }
    }

    #[test]
    fn no_window_of_a_minute_sees_more_than_the_limit() {
        let mut allowance = bucket();
        let sent: Vec<u64> =
            (0..300).filter(|second| allowance.take(Class::Control, at(*second)).is_ok()).collect();
        for from in 0..240 {
            let within = sent.iter().filter(|second| (from..from + 60).contains(*second)).count();
            assert!(within <= 10, "{within} in the minute from {from}");
        }
        assert!(sent.len() >= 40);
    }

    #[test]
    fn housekeeping_leaves_its_share_to_actions() {
        let mut allowance = bucket();
        let kept = (0..10).filter(|_| allowance.take(Class::Housekeeping, at(0)).is_ok()).count();
        assert!(kept <= 2, "{kept}");
        assert!(allowance.take(Class::Control, at(0)).is_ok());
    }

    #[test]
    fn no_window_of_the_platform_is_believed_to_be_longer_than_a_minute() {
        for count in [1, 10] {
            let mut allowance = bucket();
            allowance.heed(rate(Some(count), Some(11), Some(86_400)), at(0), at(0));
            let went = (0..10).filter(|_| allowance.take(Class::Control, at(62)).is_ok()).count();
            assert_eq!(went, 10, "the platform had counted {count}");
        }
    }

    #[test]
    fn nothing_goes_before_a_429_is_over() {
        let mut allowance = bucket();
        allowance.silence(Duration::from_secs(7), at(1));
        assert_eq!(allowance.take(Class::Control, at(2)), Err(Refusal::Until(at(8))));
        assert!(allowance.take(Class::Control, at(8)).is_ok());
    }

    #[test]
    fn the_platforms_own_limit_tightens_ours() {
        let mut allowance = bucket();
        allowance.heed(rate(Some(1), Some(4), None), at(0), at(0));
        let sent = (0..10).filter(|_| allowance.take(Class::Control, at(0)).is_ok()).count();
        assert_eq!(sent, 3);
    }

    #[test]
    fn a_token_comes_back_a_minute_after_it_was_taken_and_the_refusal_says_when() {
        let mut allowance = bucket();
        for second in 0..10 {
            assert!(allowance.take(Class::Control, at(second)).is_ok());
            allowance.answered();
        }
        assert_eq!(allowance.take(Class::Control, at(20)), Err(Refusal::Until(at(61))));
        assert!(allowance.take(Class::Control, at(61)).is_ok());
        assert_eq!(allowance.take(Class::Control, at(61)), Err(Refusal::Until(at(62))));
    }

    #[test]
    fn what_housekeeping_took_comes_back_to_housekeeping() {
        let mut allowance = bucket();
        assert!(allowance.take(Class::Housekeeping, at(0)).is_ok());
        assert!(allowance.take(Class::Housekeeping, at(5)).is_ok());
        assert_eq!(allowance.take(Class::Housekeeping, at(6)), Err(Refusal::Until(at(61))));
        assert!(allowance.take(Class::Housekeeping, at(61)).is_ok());
    }

    #[test]
    fn housekeeping_gets_one_request_a_minute_however_small_its_share() {
        let mut allowance =
            Allowance::new(Settings { requests_per_minute: 10, action_share: 1.0, max_in_flight: 8 });
        assert!(allowance.take(Class::Housekeeping, at(0)).is_ok());
        assert_eq!(allowance.take(Class::Housekeeping, at(1)), Err(Refusal::Until(at(61))));
    }

    #[test]
    fn no_more_are_under_way_than_allowed_and_the_resync_leaves_slots_free() {
        let mut allowance =
            Allowance::new(Settings { requests_per_minute: 100, action_share: 0.0, max_in_flight: 4 });
        let kept = (0..10).filter(|_| allowance.take(Class::Resync, at(0)).is_ok()).count();
        assert_eq!(kept, 2);
        assert!((0..2).all(|_| allowance.take(Class::Control, at(0)).is_ok()));
        assert_eq!(allowance.take(Class::Control, at(0)), Err(Refusal::InFlight));
        allowance.answered();
        assert!(allowance.take(Class::Control, at(0)).is_ok());
    }

    #[test]
    fn a_token_that_was_not_used_is_put_back() {
        let mut allowance = bucket();
        for _ in 0..50 {
            assert!(allowance.take(Class::Housekeeping, at(0)).is_ok());
            allowance.give_back(Class::Housekeeping);
        }
        assert_eq!(allowance.used(at(0)), (0, 11));
    }

    #[test]
    fn the_longer_of_two_silences_counts() {
        let mut allowance = bucket();
        allowance.silence(Duration::from_secs(10), at(0));
        allowance.silence(Duration::from_secs(1), at(1));
        assert_eq!(allowance.take(Class::Control, at(2)), Err(Refusal::Until(at(10))));
    }

    #[test]
    fn a_limit_that_others_have_used_up_is_waited_out() {
        let mut allowance = bucket();
        allowance.heed(rate(Some(300), Some(300), Some(17)), at(3), at(3));
        assert_eq!(allowance.take(Class::Control, at(4)), Err(Refusal::Until(at(20))));
        assert_eq!(allowance.used(at(4)), (0, 11), "a platform's limit above ours does not raise ours");
    }

    #[test]
    fn headers_without_a_limit_change_nothing() {
        let mut allowance = bucket();
        allowance.heed(rate(Some(5), None, None), at(0), at(0));
        allowance.heed(rate(Some(5), Some(0), None), at(0), at(0));
        assert_eq!(allowance.used(at(0)), (0, 11));
        assert!(allowance.take(Class::Control, at(0)).is_ok());
    }

    #[test]
    fn new_bounds_count_at_once_and_what_was_taken_stays_taken() {
        let mut allowance = bucket();
        (0..8).for_each(|_| assert!(allowance.take(Class::Control, at(0)).is_ok()));
        allowance.resettle(Settings { requests_per_minute: 5, action_share: 0.8, max_in_flight: 100 });
        assert_eq!(allowance.used(at(1)), (8, 5));
        assert_eq!(allowance.take(Class::Control, at(1)), Err(Refusal::Until(at(61))));
    }

    #[test]
    fn the_resync_leaves_some_of_the_share_to_the_subscription() {
        let settings = Settings { requests_per_minute: 300, action_share: 0.8, max_in_flight: 1000 };
        let mut allowance = Allowance::new(settings);
        let read = (0..300).filter(|_| allowance.take(Class::Resync, at(0)).is_ok()).count();
        let kept = (0..300).filter(|_| allowance.take(Class::Housekeeping, at(0)).is_ok()).count();
        assert_eq!((read, kept), (45, 15));
    }

    #[test]
    fn after_a_restart_the_attempts_of_the_log_are_still_away() {
        let mut allowance = bucket();
        let ago = [50, 20, 3].map(Duration::from_secs);
        allowance.recall(&ago, 1, at(0));
        let sent = |allowance: &mut Allowance, now| {
            (0..10).filter(|_| allowance.take(Class::Control, now).is_ok()).count()
        };
        assert_eq!(sent(&mut allowance, at(0)), 1, "the first goes alone");
        allowance.answered();
        // Of ten tokens three are away by the log, three reads are supposed, and two of housekeeping.
        assert_eq!(sent(&mut allowance, at(2)), 1, "no answer has told more");
        allowance.heed(rate(Some(4), Some(11), Some(40)), at(2), at(2));
        assert_eq!(sent(&mut allowance, at(2)), 5, "the platform counted ours alone");
        assert_eq!(sent(&mut allowance, at(12)), 1);
    }

    #[test]
    fn what_another_user_of_the_client_sends_counts_until_the_platforms_minute_is_over() {
        let mut allowance = bucket();
        assert!(allowance.take(Class::Control, at(0)).is_ok());
        allowance.heed(rate(Some(8), Some(11), Some(30)), at(1), at(1));
        assert!(
            allowance.take(Class::Control, at(1)).is_ok() && allowance.take(Class::Control, at(1)).is_ok()
        );
        assert_eq!(allowance.take(Class::Control, at(1)), Err(Refusal::Until(at(31))));
        assert!(allowance.take(Class::Control, at(31)).is_ok());
    }
    #[test]
    fn a_burst_as_the_platforms_window_begins_is_not_counted_twice() {
        let ms = |count| Mono::new(Duration::from_millis(count));
        // Its window begins with the first request; the rest of it is rounded up, and the answer takes its time.
        for (answered, reset) in [(100, 60), (100, 61), (2_000, 60)] {
            for (counted, left) in [(5, 5), (8, 2)] {
                let mut allowance = bucket();
                for moment in 0..5 {
                    assert!(allowance.take(Class::Control, ms(moment * 10)).is_ok());
                }
                allowance.heed(rate(Some(counted), Some(11), Some(reset)), ms(40), ms(answered));
                let went = (0..10).filter(|_| allowance.take(Class::Control, ms(answered)).is_ok()).count();
                assert_eq!(went, left, "{counted} are counted, with {reset} s to go after {answered} ms");
            }
        }
    }

    #[test]
    fn the_request_with_which_the_platforms_window_begins_is_ours_though_it_had_its_way_to_go() {
        let ms = |count| Mono::new(Duration::from_millis(count));
        let mut allowance = bucket();
        assert!(allowance.take(Class::Control, ms(0)).is_ok(), "it arrives after 30 ms");
        assert!(
            allowance.take(Class::Control, ms(28_007)).is_ok(),
            "it arrives after 3 ms: 32.02 s are left"
        );
        allowance.heed(rate(Some(2), Some(11), Some(33)), ms(28_007), ms(28_020));
        assert_eq!((0..10).filter(|_| allowance.take(Class::Control, ms(28_020)).is_ok()).count(), 8);
    }

    #[test]
    fn after_a_restart_one_request_goes_at_a_time_until_an_answer_tells_how_many_there_were() {
        let mut allowance = bucket();
        allowance.recall(&[], 1, at(0));
        assert!(allowance.take(Class::Housekeeping, at(0)).is_ok());
        assert_eq!(allowance.take(Class::Control, at(0)), Err(Refusal::InFlight));
        let mut told = allowance.clone();
        told.heed(rate(Some(1), Some(11), Some(60)), at(0), at(1));
        assert!((0..9).all(|_| told.take(Class::Control, at(1)).is_ok()), "told");
        assert_eq!(allowance.take(Class::Control, at(1)), Err(Refusal::InFlight), "not told");
        assert!(allowance.take(Class::Control, at(2)).is_ok(), "a lost answer keeps nobody waiting");
    }

    #[test]
    fn no_more_is_supposed_of_an_earlier_process_than_it_was_allowed() {
        let mut allowance = bucket();
        allowance.recall(&[50, 40, 30, 20, 10].map(Duration::from_secs), 1, at(0));
        assert!(allowance.take(Class::Control, at(0)).is_ok(), "its answer says how many there were");
        allowance.answered();
        assert_eq!(allowance.take(Class::Control, at(0)), Err(Refusal::Until(at(11))));
        assert_eq!(allowance.take(Class::Control, at(11)), Err(Refusal::Until(at(21))), "one is kept again");
        assert!(allowance.take(Class::Control, at(21)).is_ok(), "two of its requests count no more");
        assert_eq!(allowance.take(Class::Control, at(22)), Err(Refusal::Until(at(31))));
    }

    #[test]
    fn a_process_that_finds_the_minute_used_up_asks_only_if_one_is_kept_for_it() {
        // Of 300 three are kept: for the first requests of the three processes after the one that used all others.
        for (limit, kept) in [(2, 1), (11, 1), (199, 1), (200, 2), (300, 3)] {
            let settings = Settings { requests_per_minute: limit, action_share: 0.8, max_in_flight: 100 };
            assert_eq!(settings.spendable(), limit as usize - kept);
            let half: Vec<Duration> = (0..=limit / 2).map(|_| Duration::from_secs(30)).collect();
            for ran in 1..6 {
                let mut allowance = Allowance::new(settings);
                allowance.recall(&half, ran, at(0));
                let asked = allowance.take(Class::Control, at(0)).is_ok();
                assert_eq!(
                    asked,
                    ran <= kept && half.len() < limit as usize,
                    "{ran} ran at {limit} a minute"
                );
                allowance.answered();
                assert_eq!(allowance.take(Class::Control, at(0)), Err(Refusal::Until(at(31))));
            }
        }
    }

    #[test]
    fn of_a_limit_of_one_none_is_kept() {
        let mut allowance =
            Allowance::new(Settings { requests_per_minute: 1, action_share: 0.8, max_in_flight: 8 });
        assert!(allowance.take(Class::Control, at(0)).is_ok());
    }

    #[test]
    fn each_process_of_the_last_minute_is_supposed_to_have_used_its_share_of_housekeeping() {
        for (ran, left) in [(1, 8), (3, 4), (9, 0)] {
            let mut allowance = bucket();
            allowance.recall(&[], ran, at(0));
            let went = (0..10).filter(|_| allowance.take(Class::Control, at(2)).is_ok()).count();
            assert_eq!(went, left, "{ran} ran");
            assert!(allowance.take(Class::Control, at(61)).is_ok());
        }
    }
}
