//! The look at a conversation that is due by time alone: `after`, `at_most`, the end of a directive, the next try of what
//! was given up.

use super::Warden;
use crate::audit::record::ConfirmedBy;
use crate::model::ids::ConversationId;
use crate::model::time::Now;

impl Warden {
    /// Sets the timer of a conversation to the next moment at which something changes by time alone.
    pub(super) fn rearm(&mut self, id: &ConversationId, now: Now) {
        let Some(call) = self.book.get_mut(id) else { return };
        if let Some(old) = call.timer.take() {
            self.timers.remove(&(old, id.clone()));
        }
        let directive = call.directive.as_ref().and_then(|one| one.until);
        // Holds that a log told of are settled by the first look; until then their time may be over unheeded.
        let settled = call.seen.and_then(|_| call.latches.next_change(&self.policy));
        let next = settled.into_iter().chain(directive).min();
        let next = next.map(|at| now.mono + at.since(now.wall));
        let again = call.given_up.as_ref().and_then(|one| one.again.at()).filter(|at| now.mono < *at);
        if let Some(timer) = next.into_iter().chain(again).min() {
            call.timer = Some(timer);
            self.timers.insert((timer, id.clone()));
        }
    }

    /// Each timer that is due fires once: one that is due again at once waits for the next call, where it can be
    /// seen, and not for ever in this one.
    pub(super) fn fire_timers(&mut self, now: Now) {
        let due: Vec<_> = self.timers.iter().take_while(|(at, _)| *at <= now.mono).cloned().collect();
        for (at, id) in due {
            self.timers.remove(&(at, id.clone()));
            if let Some(call) = self.book.get_mut(&id) {
                call.timer = None;
                call.cause = (String::new(), String::new());
            }
            self.judge(&id, ConfirmedBy::Event, now);
        }
    }
}
