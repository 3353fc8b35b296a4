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
//! minute is over. The first request may always go, and alone, since its answer is that word; where none comes, the next
//! one takes its place. So that the first is not one too many either, no process uses the last few of the limit: they are
//! kept for the first requests of the next ones.

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

/// So many of a limit are kept for the first requests of processes that come back within one minute, or a hundredth of it if
/// that is more, and never more than a quarter.
const KEPT: usize = 3;
/// A request of a process that came back, and was not told yet, goes alone for so long, or until it is answered: an answer
/// takes a fraction of this, and stops are not to wait longer for one that is lost.
const ALONE_FOR: Duration = Duration::from_secs(2);
/// The next one goes so long after one that found no way out.
const NO_WAY_FOR: Duration = Duration::from_secs(1);

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

/// Requests in any 60 s, without those that are kept for the first ones of other processes.
fn spendable(limit: usize) -> usize {
    limit - (limit / 100).max(KEPT).min(limit / 4)
}

/// What a request takes from the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Which one it is of this process; those of earlier ones have none.
    number: u64,
    back: Mono,
}

impl Token {
    /// When it was taken.
    pub fn taken_at(self) -> Mono {
        self.back - TOKEN_AWAY
    }
}

/// Whether the platform has told how many requests there were before this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Nobody has asked yet.
    No,
    /// The last request went with this token, and nothing has told yet.
    Asked(Token),
    /// It has, or will not, or there was no process before.
    Yes,
}

/// Requests that we did not send in this life, and until when they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Others {
    count: usize,
    until: Mono,
}

/// How many requests the platform had counted at last in a window of its own, and when that ends: not before the one
/// moment, and not after the other.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    count: usize,
    earliest: Mono,
    latest: Mono,
}

/// The bucket. Each deque holds the tokens that are away, oldest first.
#[derive(Clone, Debug)]
pub struct Allowance {
    settings: Settings,
    platform_limit: Option<u32>,
    taken: VecDeque<Token>,
    housekeeping_taken: VecDeque<Token>,
    resync_taken: VecDeque<Token>,
    others: Option<Others>,
    told: Told,
    ever_taken: u64,
    window: Window,
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
            told: Told::Yes,
            ever_taken: 0,
            window: Window::default(),
            in_flight: 0,
            silent_until: Mono::default(),
        }
    }

    /// The daemon was restarted: its attempts of the last minute were sent so long ago, oldest first, and so many
    /// processes ran in it.
    pub fn recall(&mut self, attempts: &[Duration], ran: usize, now: Mono) {
        let back =
            |ago: &Duration| TOKEN_AWAY.checked_sub(*ago).map(|left| Token { number: 0, back: now + left });
        self.taken.extend(attempts.iter().filter_map(back));
        // With their attempts they sent no more than the limit either, and not the one that is kept for this process.
        let most = (self.limit() as usize).saturating_sub(self.taken.len() + 1);
        let count = (self.taken.len() + self.housekeeping_limit() * ran).min(most);
        self.others = Some(Others { count, until: now + TOKEN_AWAY });
        self.told = Told::No;
    }

    /// New bounds after a reload; what was taken stays taken.
    pub fn resettle(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Takes a token, or says when to ask again.
    pub fn take(&mut self, class: Class, now: Mono) -> Result<Token, Refusal> {
        self.expire(now);
        if now < self.silent_until {
            return Err(Refusal::Until(self.silent_until));
        }
        if let Told::Asked(last) = self.told
            && let alone_until = last.taken_at() + ALONE_FOR
            && self.in_flight > 0
            && now < alone_until
        {
            return Err(Refusal::Until(alone_until));
        }
        if self.in_flight >= self.slots(class) {
            return Err(Refusal::InFlight);
        }
        let others = self.others.map_or(0, |others| others.count);
        let limit = self.limit() as usize;
        let most = if self.told == Told::No { limit } else { spendable(limit) };
        if self.taken.len() + others >= most {
            let back = self.taken.front().map(|token| token.back).into_iter();
            let back = back.chain(self.others.map(|others| others.until));
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
                return Err(Refusal::Until(
                    taken.front().map_or(now + Duration::from_secs(1), |token| token.back),
                ));
            }
        }
        self.ever_taken += 1;
        let token = Token { number: self.ever_taken, back: now + TOKEN_AWAY };
        self.each_of(class, |taken| taken.push_back(token));
        self.in_flight += 1;
        if self.told != Told::Yes {
            self.told = Told::Asked(token);
        }
        Ok(token)
    }

    fn each_of(&mut self, class: Class, mut what: impl FnMut(&mut VecDeque<Token>)) {
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

    /// Nothing was sent after all: its token is put back.
    pub fn put_back(&mut self, class: Class, token: Token) {
        self.each_of(class, |taken| {
            if let Some(place) = taken.iter().rposition(|other| *other == token) {
                taken.remove(place);
            }
        });
        if self.told == Told::Asked(token) {
            self.told = Told::No;
        }
        self.answered();
    }

    /// What was to be sent found no way to the platform, which has not counted it. So it has asked nothing, either.
    pub fn found_no_way(&mut self, class: Class, token: Token, now: Mono) {
        if self.told == Told::Asked(token) {
            self.put_back(class, token);
            // Otherwise all that waits would try in turn, at once.
            self.silence(NO_WAY_FOR, now);
        } else {
            self.answered();
        }
    }

    /// A 429: nothing goes before `wait` is over.
    pub fn silence(&mut self, wait: Duration, now: Mono) {
        self.silent_until = self.silent_until.max(now + wait);
    }

    /// Heeds the `inin-ratelimit-*` headers of the answer to a request with this token, which is under way no more: another
    /// user of the same client counts too.
    pub fn heed(&mut self, rate: RateHeaders, token: Token, now: Mono) {
        // One without these headers tells nothing; likely no other will.
        self.told = Told::Yes;
        let small = |number: Option<u64>| number.and_then(|one| u32::try_from(one).ok());
        let Some(allowed) = small(rate.allowed).filter(|allowed| *allowed > 0) else { return };
        self.platform_limit = Some(allowed);
        let Some(count) = small(rate.count) else { return };
        // Its window is a minute: a longer word is a mistake, and must not silence the daemon for hours.
        let reset = rate.reset.map(|reset| Duration::from_secs(reset).min(WINDOW));
        if count >= allowed {
            self.silence(reset.unwrap_or(Duration::from_secs(1)), now);
        }
        let Some(reset) = reset else { return };
        // The rest of its window is rounded up, and was told at some time between the sending and now.
        let mut told = Window {
            count: count as usize,
            earliest: token.taken_at() + reset - ROUNDED,
            latest: now + reset,
        };
        let known = self.window;
        if told.latest + ROUNDED < known.earliest {
            return; // It is of the window before.
        }
        if told.earliest <= known.latest + ROUNDED {
            // Within one it only rises: an answer that tells fewer was overtaken.
            told.count = told.count.max(known.count);
            told.earliest = told.earliest.max(known.earliest);
            told.latest = told.latest.min(known.latest);
        }
        self.window = told;
        // Ours in that window. The first of these had its own way to go. One that was sent before it and is taken for one of
        // these is away until that window ends, or nearly so. Those under way may not be counted yet.
        let ours = self.taken.iter().filter(|one| one.back >= told.earliest).count();
        let count = told.count.saturating_sub(ours.saturating_sub(self.in_flight));
        self.others = (count > 0).then_some(Others { count, until: told.latest });
    }

    /// Requests of the last minute, and the limit.
    pub fn used(&self, now: Mono) -> (u32, u32) {
        let recent = self.taken.iter().filter(|token| token.back > now).count();
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

    fn expire(&mut self, now: Mono) {
        for taken in [&mut self.taken, &mut self.housekeeping_taken, &mut self.resync_taken] {
            while taken.front().is_some_and(|token| token.back <= now) {
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

    /// Ten requests a minute, and three that are kept.
    fn bucket() -> Allowance {
        Allowance::new(Settings { requests_per_minute: 13, action_share: 0.8, max_in_flight: 100 })
    }

    /// How many may go at once.
    fn may_go(allowance: &mut Allowance, now: Mono) -> usize {
        (0..1_000).filter(|_| allowance.take(Class::Control, now).is_ok()).count()
    }

    /// The newest token of this process, or one that was taken then.
    fn newest(allowance: &Allowance, sent: Mono) -> Token {
        let none = Token { number: 0, back: sent + TOKEN_AWAY };
        allowance.taken.back().copied().filter(|token| token.number > 0).unwrap_or(none)
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
            let token = newest(&allowance, at(0));
            allowance.heed(rate(Some(count), Some(13), Some(86_400)), token, at(0));
            let went = may_go(&mut allowance, at(62));
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
        let token = newest(&allowance, at(0));
        allowance.heed(rate(Some(1), Some(4), None), token, at(0));
        let sent = may_go(&mut allowance, at(0));
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
            let token = allowance.take(Class::Housekeeping, at(0)).expect("one is left");
            allowance.put_back(Class::Housekeeping, token);
        }
        assert_eq!(allowance.used(at(0)), (0, 13));
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
        let token = newest(&allowance, at(3));
        allowance.heed(rate(Some(300), Some(300), Some(17)), token, at(3));
        assert_eq!(allowance.take(Class::Control, at(4)), Err(Refusal::Until(at(20))));
        assert_eq!(allowance.used(at(4)), (0, 13), "a platform's limit above ours does not raise ours");
    }

    #[test]
    fn headers_without_a_limit_change_nothing() {
        let mut allowance = bucket();
        let token = newest(&allowance, at(0));
        allowance.heed(rate(Some(5), None, None), token, at(0));
        let token = newest(&allowance, at(0));
        allowance.heed(rate(Some(5), Some(0), None), token, at(0));
        assert_eq!(allowance.used(at(0)), (0, 13));
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
        let first = allowance.take(Class::Control, at(0)).expect("it asks");
        // Of ten tokens three are away by the log, three reads are supposed, and two of housekeeping.
        allowance.answered();
        assert_eq!(may_go(&mut allowance, at(2)), 1, "no answer has told more");
        allowance.heed(rate(Some(3), Some(13), Some(40)), first, at(2));
        assert_eq!(may_go(&mut allowance, at(2)), 5, "the platform counted ours alone");
        assert_eq!(may_go(&mut allowance, at(12)), 1);
    }

    #[test]
    fn what_another_user_of_the_client_sends_counts_until_the_platforms_minute_is_over() {
        let mut allowance = bucket();
        assert!(allowance.take(Class::Control, at(0)).is_ok());
        let token = newest(&allowance, at(1));
        allowance.answered();
        allowance.heed(rate(Some(8), Some(13), Some(30)), token, at(1));
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
                (0..5).for_each(|_| allowance.answered());
                let token = newest(&allowance, ms(40));
                allowance.heed(rate(Some(counted), Some(13), Some(reset)), token, ms(answered));
                let went = may_go(&mut allowance, ms(answered));
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
        (0..2).for_each(|_| allowance.answered());
        let token = newest(&allowance, ms(28_007));
        allowance.heed(rate(Some(2), Some(13), Some(33)), token, ms(28_020));
        assert_eq!(may_go(&mut allowance, ms(28_020)), 8);
    }

    #[test]
    fn the_first_request_after_a_restart_goes_alone_until_its_answer_tells_how_many_there_were() {
        let mut allowance = bucket();
        allowance.recall(&[], 1, at(0));
        // To be let in may have taken long.
        let first = allowance.take(Class::Housekeeping, at(10)).expect("it asks");
        let alone = Err(Refusal::Until(at(12)));
        assert_eq!(allowance.take(Class::Control, at(10)), alone);
        for (answer, left) in [(rate(Some(4), Some(13), Some(60)), 6), (rate(None, None, None), 7)] {
            let mut told = allowance.clone();
            told.answered();
            told.heed(answer, first, at(11));
            assert_eq!(may_go(&mut told, at(11)), left, "{answer:?}");
        }
        assert_eq!(allowance.take(Class::Control, at(11)), alone, "no answer");
        assert!(allowance.take(Class::Control, at(12)).is_ok(), "the next one takes its place");
        assert_eq!(allowance.take(Class::Control, at(12)), Err(Refusal::Until(at(14))));
    }

    #[test]
    fn a_first_request_that_finds_no_way_has_used_none() {
        let mut allowance = bucket();
        allowance.recall(&[30, 30, 30, 30, 30, 30].map(Duration::from_secs), 1, at(0));
        for second in 0..5 {
            let token = allowance.take(Class::Control, at(second)).expect("it asks");
            allowance.found_no_way(Class::Control, token, at(second));
            assert_eq!(allowance.take(Class::Control, at(second)), Err(Refusal::Until(at(second + 1))));
        }
        let token = allowance.take(Class::Control, at(5)).expect("it asks");
        allowance.answered();
        allowance.heed(rate(Some(7), Some(13), Some(25)), token, at(6));
        assert_eq!(may_go(&mut allowance, at(6)), 3, "it was told");
        allowance.found_no_way(Class::Control, newest(&allowance, at(6)), at(7));
        assert_eq!(allowance.used(at(7)).0, 10, "what finds no way later counts");
    }

    #[test]
    fn a_process_that_finds_the_minute_used_up_asks_with_one_of_those_that_are_kept() {
        for (limit, kept) in [(1, 0), (3, 0), (4, 1), (8, 2), (12, 3), (300, 3), (1_000, 10)] {
            let settings = Settings { requests_per_minute: limit, action_share: 0.8, max_in_flight: 2_000 };
            let most = limit as usize - kept;
            assert_eq!(may_go(&mut Allowance::new(settings), at(0)), most, "of {limit}");
            // It used all of them for orders, or half for orders and half for reads.
            for attempts in [most, most.div_ceil(2)] {
                let ago = vec![Duration::from_secs(30); attempts];
                let mut allowance = Allowance::new(settings);
                allowance.recall(&ago, 4, at(0));
                let asks = allowance.take(Class::Control, at(0));
                assert_eq!(asks.is_ok(), attempts < limit as usize, "{attempts} of {limit}");
                if let Ok(token) = asks {
                    allowance.put_back(Class::Control, token);
                    assert!(allowance.take(Class::Control, at(5)).is_ok(), "it never went");
                    allowance.answered();
                }
                assert_eq!(allowance.take(Class::Control, at(5)), Err(Refusal::Until(at(31))));
            }
        }
    }

    #[test]
    fn what_is_under_way_may_not_be_counted_yet() {
        let mut allowance = bucket();
        // Somebody else sent four. Of ours the third comes there first, and the second last.
        let [first, second, third] =
            [(); 3].map(|()| allowance.take(Class::Control, at(0)).expect("a full bucket"));
        let mut told = |count, token| {
            allowance.answered();
            allowance.heed(rate(Some(count), Some(13), Some(60)), token, at(1));
            may_go(&mut allowance.clone(), at(1))
        };
        assert_eq!(told(5, third), 3, "five, and two that are under way");
        assert_eq!(told(6, first), 3, "six, and one");
        assert_eq!(told(7, second), 3, "four, and three of ours");
        let mut overtaken = allowance.clone();
        overtaken.heed(rate(Some(5), Some(13), Some(60)), second, at(1));
        assert_eq!(may_go(&mut overtaken, at(1)), 3, "there are no fewer than were told");
        allowance.heed(rate(Some(13), Some(14), Some(1)), second, at(1));
        assert_eq!(may_go(&mut allowance, at(1)), 3, "that was the window before");
    }

    #[test]
    fn an_answer_that_was_long_on_its_way_is_of_the_window_in_which_it_was_told() {
        let mut allowance = bucket();
        let slow = allowance.take(Class::Control, at(5)).expect("a full bucket");
        let quick = allowance.take(Class::Control, at(6)).expect("a full bucket");
        let mut heed = |count, reset, token, now| {
            allowance.answered();
            allowance.heed(rate(Some(count), Some(13), Some(reset)), token, at(now));
            may_go(&mut allowance.clone(), at(now))
        };
        assert_eq!(heed(7, 54, quick, 6), 2, "seven, and one that is under way");
        assert_eq!(heed(1, 55, slow, 10), 3, "seven, though the slow one was counted first");
        let next = allowance.take(Class::Control, at(10)).expect("three are left");
        allowance.answered();
        allowance.heed(rate(Some(9), Some(13), Some(50)), next, at(10));
        assert_eq!(may_go(&mut allowance, at(10)), 1, "it tells of this window yet");
    }

    #[test]
    fn each_process_of_the_last_minute_is_supposed_to_have_used_its_share_of_housekeeping() {
        for (ran, left) in [(1, 8), (3, 4), (9, 1)] {
            let mut allowance = bucket();
            allowance.recall(&[], ran, at(0));
            let went = (0..20).filter(|two| allowance.take(Class::Control, at(two * 2)).is_ok()).count();
            assert_eq!(went, left, "{ran} ran");
            assert!(allowance.take(Class::Control, at(61)).is_ok());
        }
    }
}
