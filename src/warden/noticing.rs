//! What has changed of a recording between two snapshots, and who did it: an order of ours, or somebody else, in which case
//! what we would give back is not ours any more. An event that may be older than what was known leaves that open
//! (`Doubt`) until a read tells.

use super::Warden;
use crate::audit::record::ConfirmedBy;
use crate::model::ids::ConversationId;
use crate::model::recording::{Action, Observed};
use crate::model::time::{Mono, Now};
use crate::warden::book::{Call, Doubt, Turn};
use crate::warden::plan;
use crate::warden::unseen::Sight;
use crate::wire::frame::LATE_AT_MOST;

/// Whether what we did is in effect yet, though an event told that somebody had undone it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasted {
    Yes,
    /// It is not, or nobody had told so.
    No,
}

impl Warden {
    /// What the observed state did between two looks: a change that no attempt of ours explains takes our
    /// claim away, and counts where it undid a confirmed verdict.
    pub(super) fn notice_change(&mut self, id: &ConversationId, now: Mono) {
        let means = self.settings.means;
        let subscribes = !self.settings.directory.is_nothing();
        let Some(call) = self.book.get_mut(id) else { return };
        let new = plan::observed(&means, &call.conversation);
        let old = call.observed.replace(new);
        let proves = |action: &Action, seen| seen != Observed::Suspended && action.is_satisfied_by(seen);
        let turned = |action: &Action| proves(action, new) && !old.is_some_and(|old| proves(action, old));
        let turned = [Action::Start, Action::Stop].into_iter().find(turned);
        let by = if call.was_told() { ConfirmedBy::Event } else { ConfirmedBy::Read };
        let back = new != Observed::Suspended && call.former_state.turn(Some(new), now) == Turn::Back;
        if by == ConfirmedBy::Read {
            self.survey.second_look_taken(id);
        }
        let doubt = call.doubt;
        let lasted = call.resolve_doubt(new, turned, by, now);
        // What lasts is no proof of what was ordered meanwhile.
        let sight =
            if new == Observed::Suspended || lasted == Lasted::Yes { Sight::Hint } else { Sight::Proof };
        let shows = |action| plan::is_satisfied(&means, action, &call.conversation).then_some(sight);
        let awaited = call.unseen.see(shows, turned, by, now);
        if lasted == Lasted::Yes && !awaited {
            // Nobody undid it then.
            call.undone.pop_back_if(|at| doubt.is_some_and(|doubt| doubt.since == *at));
        }
        let Some(old) = old else { return };
        if old == new {
            return;
        }
        let ours = awaited || lasted == Lasted::Yes || call.has_tried(new);
        let undid = |action: Action| action.is_satisfied_by(old) && !action.is_satisfied_by(new);
        let claimed = call.claim.as_ref().map(|claim| claim.action);
        let undone = claimed.filter(|action| undid(*action));
        // What we did may be in effect yet, and what gives it back may not be there; nor may what we have ordered.
        if back && by == ConfirmedBy::Event && subscribes {
            let doubt = Doubt { since: now, undone };
            if ours && undone.is_none() {
                call.doubt.get_or_insert(doubt);
            } else {
                call.doubt = Some(doubt);
            }
            self.survey.ask_for_second_look(id, now);
        }
        if ours {
            return;
        }
        if call.confirmed.is_some_and(undid) && call.verdict.0 == call.confirmed {
            call.undone.push_back(now);
        }
        // What is in doubt stays so, whatever else is told, until a read ends it.
        if by == ConfirmedBy::Event && call.doubt.is_some_and(|doubt| doubt.undone.is_some()) {
            return;
        }
        if let Some(action) = undone {
            call.is_undone(action, new, now);
        } else if claimed.is_some_and(|action| turned == Some(action) && !action.is_satisfied_by(old)) {
            // What we did was undone, and somebody else has done it again: late or not, that is not ours.
            call.claim = None;
        }
    }

    /// It cannot be read: an event that may be older is taken at its word.
    pub(super) fn believe(&mut self, id: &ConversationId, now: Now) {
        self.survey.second_look_taken(id);
        let Some(call) = self.book.get_mut(id) else { return };
        if let Some(Doubt { undone: Some(action), .. }) = call.doubt.take() {
            let observed = plan::observed(&self.settings.means, &call.conversation);
            call.is_undone(action, observed, now.mono);
        }
        self.judge(id, ConfirmedBy::Event, now);
    }

    /// Whether an event may have told of it what is older than what was known.
    pub(super) fn is_in_doubt(&self, id: &ConversationId) -> bool {
        self.book.get(id).is_some_and(|call| call.doubt.is_some())
    }
}

impl Call {
    /// Whether it was an event that told of it last.
    pub(super) fn was_told(&self) -> bool {
        !self.cause.0.is_empty()
    }

    /// What we did is in effect no more: it is not ours to give back, unless it is just that which has come true. The
    /// confirmation ends the claim then. Where another order of ours may do the same yet, that is ours.
    fn is_undone(&mut self, action: Action, new: Observed, now: Mono) {
        let may_come = self.unseen.includes(action) || self.unseen.may_come_true_late(action, now);
        if !self.has_tried(new) && !may_come {
            self.claim.take_if(|claim| claim.action == action);
        }
    }

    /// Whether the open decision was tried and wants what is observed now.
    fn has_tried(&self, new: Observed) -> bool {
        self.pursuit.as_ref().is_some_and(|open| open.reached > 0 && open.action.is_satisfied_by(new))
    }

    /// It is `new` now, which `turned` says for the first time. A read ends the doubt, and takes the claim away where what we
    /// did was undone indeed; where an event tells that it is in effect, the one before was older.
    fn resolve_doubt(&mut self, new: Observed, turned: Option<Action>, by: ConfirmedBy, now: Mono) -> Lasted {
        let Some(doubt) = self.doubt else { return Lasted::No };
        let (read, action) = (by == ConfirmedBy::Read, doubt.undone);
        if read {
            self.doubt = None;
        }
        let Some(action) = action else { return Lasted::No };
        if read && !action.is_satisfied_by(new) {
            self.is_undone(action, new, now);
            return Lasted::No;
        }
        if !read && turned != Some(action) {
            return Lasted::No;
        }
        if let Some(doubt) = &mut self.doubt {
            doubt.undone = None;
        }
        // Later than that it is somebody else's.
        if read || now.since(doubt.since) < LATE_AT_MOST { Lasted::Yes } else { Lasted::No }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::conversation::{Conversation, Media};
    use crate::model::recording::RecorderState;
    use crate::model::time::Wall;
    use crate::policy::rule::OnRelease;
    use crate::warden::Input;
    use crate::warden::bench::{Bench, PCI, id, settings};
    use crate::warden::book::{Book, Claim, LetGo};
    use crate::warden::unseen::{Unseen, Word};
    use crate::wire::request::Request;

    const NOW: Now = Now { mono: Mono::new(Duration::ZERO), wall: Wall::from_micros(0) };

    /// Found by reading: a second stop was under way when a look told that somebody had undone the first.
    #[test]
    fn what_was_undone_is_owed_as_long_as_another_order_may_do_it_again() {
        let id = ConversationId::new("c");
        let mut book = Book::within(1 << 20);
        let _ = book.take(Conversation { id: id.clone(), ..Conversation::default() }, NOW);
        let call = book.get_mut(&id).expect("it is there");
        let stop =
            Request::SetRecordingState { conversation: id, media: Media::Call, state: RecorderState::Paused };
        let claim = Claim {
            before: Observed::Active,
            action: Action::Stop,
            rule: "card".into(),
            on_release: OnRelease::Restore,
            ended: LetGo::default(),
        };
        for (word, owed) in [(Word::Accepted, true), (Word::Unclear, true), (Word::Refused, false)] {
            call.claim = Some(claim.clone());
            call.unseen.send(Action::Stop, stop.clone(), NOW.mono);
            call.is_undone(Action::Stop, Observed::Active, NOW.mono);
            assert!(call.claim.is_some(), "it is under way");
            call.unseen.answer(&stop, word, NOW.mono);
            call.is_undone(Action::Stop, Observed::Active, NOW.mono);
            assert_eq!(call.claim.is_some(), owed, "{word:?}");
            call.unseen = Unseen::default();
        }
    }

    /// Found by reading: an event of before was taken for the effect of a stop that had failed, which was not sent again.
    #[test]
    fn a_pause_of_before_that_is_told_late_is_not_taken_for_a_stop_that_failed() {
        let mut bench = Bench::new(settings(), PCI).with_calls(1, "off");
        bench.feed(Input::Timeout);
        bench.pass(Duration::from_secs(10));
        let press = |bench: &mut Bench, state| bench.calls.get_mut(&id(0)).expect("a call").state = state;
        bench.set(0, "on");
        press(&mut bench, RecorderState::Paused);
        let late = bench.event(0);
        bench.tell(0);
        assert_eq!(bench.kinds("decision"), 0, "the agent has paused it");
        bench.answer_orders(503);
        press(&mut bench, RecorderState::Active);
        bench.tell(0);
        bench.pass(Duration::from_millis(1));
        assert_eq!((bench.kinds("attempt"), bench.kinds("outcome")), (1, 1));
        bench.refuses = Box::new(|_| None);
        bench.tell_late(late);
        bench.pass(Duration::from_secs(2));
        assert_eq!(bench.state(0), RecorderState::Paused);
        let looks = bench.looks;
        bench.tell(0);
        bench.pass(Duration::from_secs(60));
        assert_eq!((bench.kinds("confirmed"), bench.kinds("decision")), (2, 2));
        assert_eq!(
            bench.looks,
            looks + 1,
            "the pause of ours looks like the agent's, and one look is enough"
        );
    }
}
