//! The worklist: one entry per conversation, stops first, within each the oldest first, due when allowed.
//!
//! It holds only keys and times. What there is to do stands in the book, so an entry can never order
//! something that is no longer wanted.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::ConversationId;
use crate::model::recording::Action;
use crate::model::time::Mono;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    action: Action,
    opened: Mono,
    due: Mono,
}

/// Conversations with something to do, now or later.
#[derive(Clone, Debug, Default)]
pub struct Worklist {
    places: BTreeMap<ConversationId, Place>,
    ready: BTreeSet<(Action, Mono, ConversationId)>,
    later: BTreeSet<(Mono, ConversationId)>,
}

impl Worklist {
    /// Puts a conversation on the list for `due`, in place of any earlier entry of it. `opened` is when
    /// its decision was made.
    pub fn put(&mut self, conversation: &ConversationId, action: Action, opened: Mono, due: Mono) {
        self.remove(conversation);
        self.places.insert(conversation.clone(), Place { action, opened, due });
        self.later.insert((due, conversation.clone()));
    }

    /// The same for a conversation whose request was answered: where it waits for a later moment already, it
    /// goes on waiting.
    pub fn put_no_sooner(&mut self, conversation: &ConversationId, action: Action, opened: Mono, due: Mono) {
        let waits = self.places.get(conversation).map_or(due, |place| place.due.max(due));
        self.put(conversation, action, opened, waits);
    }

    /// Takes a conversation off the list.
    pub fn remove(&mut self, conversation: &ConversationId) {
        if let Some(place) = self.places.remove(conversation) {
            self.later.remove(&(place.due, conversation.clone()));
            self.ready.remove(&(place.action, place.opened, conversation.clone()));
        }
    }

    /// The most urgent conversation that is due; it stays on the list until it is removed or put anew.
    pub fn most_urgent(&mut self, now: Mono) -> Option<ConversationId> {
        while let Some((due, _)) = self.later.first()
            && *due <= now
            && let Some((_, conversation)) = self.later.pop_first()
        {
            if let Some(place) = self.places.get(&conversation) {
                self.ready.insert((place.action, place.opened, conversation));
            }
        }
        self.ready.first().map(|(_, _, conversation)| conversation.clone())
    }

    /// When the next entry that is not due yet will be.
    pub fn next_due(&self) -> Option<Mono> {
        self.later.first().map(|(due, _)| *due)
    }

    /// Whether an entry is due and was not taken off.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How many conversations have something to do.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::new(Duration::from_millis(millis))
    }

    fn id(text: &str) -> ConversationId {
        ConversationId::new(text)
    }

    #[test]
    fn stops_go_before_starts_and_the_oldest_first() {
        let mut list = Worklist::default();
        list.put(&id("start"), Action::Start, at(1), at(1));
        list.put(&id("late-stop"), Action::Stop, at(3), at(3));
        list.put(&id("stop"), Action::Stop, at(2), at(2));
        let mut order = Vec::new();
        while let Some(next) = list.most_urgent(at(10)) {
            list.remove(&next);
            order.push(next.to_string());
        }
        assert_eq!(order, ["stop", "late-stop", "start"]);
    }

    #[test]
    fn a_conversation_has_one_entry_and_the_latest_wish_wins() {
        let mut list = Worklist::default();
        list.put(&id("one"), Action::Start, at(1), at(1));
        assert!(list.most_urgent(at(5)).is_some());
        list.put(&id("one"), Action::Stop, at(2), at(9));
        assert_eq!((list.len(), list.most_urgent(at(5))), (1, None));
        assert_eq!(list.next_due(), Some(at(9)));
    }

    #[test]
    fn nothing_is_urgent_before_it_is_due() {
        let mut list = Worklist::default();
        list.put(&id("one"), Action::Stop, at(0), at(5));
        assert_eq!((list.most_urgent(at(4)), list.has_ready()), (None, false));
        assert_eq!(list.next_due(), Some(at(5)));
        assert_eq!((list.most_urgent(at(5)), list.has_ready()), (Some(id("one")), true));
        assert_eq!(list.next_due(), None, "what is due is not waited for");
    }

    #[test]
    fn what_is_urgent_stays_until_it_is_taken_off() {
        let mut list = Worklist::default();
        list.put(&id("one"), Action::Stop, at(0), at(0));
        assert_eq!(list.most_urgent(at(1)), list.most_urgent(at(2)));
        list.remove(&id("one"));
        assert_eq!((list.most_urgent(at(3)), list.has_ready(), list.is_empty()), (None, false, true));
    }

    #[test]
    fn a_stop_that_falls_due_overtakes_a_start_that_waits() {
        let mut list = Worklist::default();
        list.put(&id("start"), Action::Start, at(0), at(0));
        list.put(&id("stop"), Action::Stop, at(9), at(9));
        assert_eq!(list.most_urgent(at(8)), Some(id("start")));
        assert_eq!(list.most_urgent(at(9)), Some(id("stop")));
    }

    #[test]
    fn what_was_put_off_keeps_its_age() {
        let mut list = Worklist::default();
        list.put(&id("old"), Action::Stop, at(0), at(0));
        list.put(&id("new"), Action::Stop, at(1), at(1));
        list.put(&id("old"), Action::Stop, at(0), at(7));
        assert_eq!(list.most_urgent(at(5)), Some(id("new")));
        assert_eq!(list.most_urgent(at(7)), Some(id("old")));
    }

    #[test]
    fn an_answer_shortens_no_wait() {
        let mut list = Worklist::default();
        list.put(&id("one"), Action::Stop, at(0), at(7));
        list.put_no_sooner(&id("one"), Action::Stop, at(0), at(3));
        assert_eq!(list.next_due(), Some(at(7)));
        list.put_no_sooner(&id("one"), Action::Stop, at(0), at(9));
        assert_eq!(list.next_due(), Some(at(9)));
        list.remove(&id("one"));
        list.put_no_sooner(&id("one"), Action::Stop, at(0), at(3));
        assert_eq!(list.next_due(), Some(at(3)));
    }

    #[test]
    fn to_take_off_what_is_not_there_does_nothing() {
        let mut list = Worklist::default();
        list.put(&id("one"), Action::Stop, at(0), at(0));
        list.remove(&id("other"));
        assert_eq!((list.len(), list.next_due()), (1, Some(at(0))));
    }
}
