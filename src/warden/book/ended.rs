//! Conversations that ended, with who took part as far as was known: what a late event tells of them is an older
//! state, and must not bring them back.
//!
//! Most that end stay so, since a leg that ended never lives again; who comes back is a participant of its own
//! (GENESYS.md 5 and trap 16). Yet a conversation is taken for ended by what is known of it: while no customer or
//! agent has joined yet, between a call-back and the next attempt at it, or because a read found nothing (404). So
//! whoever is live beside all that was known, with no known leg alive again, is newer than the end, and counts.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::model::conversation::{Conversation, Participant};
use crate::model::ids::{ConversationId, ParticipantId};

/// How many ended conversations are remembered: an hour of a centre with 10,000 calls an hour.
pub const ENDED_REMEMBERED: usize = 10_000;

/// A known leg, its id as a digest: thousands of ended conversations are to take some megabytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leg {
    id: u64,
    lives: Lives,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lives {
    Yes,
    No,
}

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub(super) struct Endings {
    legs: BTreeMap<ConversationId, Box<[Leg]>>,
    oldest_first: VecDeque<ConversationId>,
}

impl Endings {
    pub(super) fn contains(&self, id: &ConversationId) -> bool {
        self.legs.contains_key(id)
    }

    /// Remembers that it ended, and how it was known last, where it was.
    pub(super) fn remember(&mut self, id: &ConversationId, known: Option<&Conversation>) {
        let named = known.into_iter().flat_map(|one| &one.participants).filter(|one| !one.id.is_empty());
        let legs = named.map(leg_of).collect();
        if self.legs.insert(id.clone(), legs).is_none() {
            self.oldest_first.push_back(id.clone());
        }
        if self.oldest_first.len() > ENDED_REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.legs.remove(&oldest);
        }
    }

    /// It does not count as ended any more; whether it did.
    pub(super) fn forget(&mut self, id: &ConversationId) -> bool {
        let ended = self.legs.remove(id).is_some();
        if ended {
            self.oldest_first.retain(|one| one != id);
        }
        ended
    }

    /// Whether the conversation ended and the snapshot does not show that it lives after all.
    pub(super) fn outdates(&self, snapshot: &Conversation) -> bool {
        let Some(known) = self.legs.get(&snapshot.id) else { return false };
        let older = known.iter().any(|leg| {
            let same = snapshot.participants.iter().find(|one| digest(&one.id) == leg.id);
            same.is_none_or(|now| leg.lives == Lives::No && now.is_live())
        });
        older || !snapshot.is_live()
    }
}

fn leg_of(one: &Participant) -> Leg {
    Leg { id: digest(&one.id), lives: if one.is_live() { Lives::Yes } else { Lives::No } }
}

fn digest(id: &ParticipantId) -> u64 {
    let mut digest = DefaultHasher::new();
    id.as_str().hash(&mut digest);
    digest.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversation::LegState;

    fn conversation(legs: &[(&str, &str, LegState)]) -> Conversation {
        let leg = |(id, purpose, state): &(&str, &str, LegState)| Participant {
            id: ParticipantId::new(*id),
            purpose: (*purpose).to_owned(),
            state: state.clone(),
            ..Participant::default()
        };
        let participants = legs.iter().map(leg).collect();
        Conversation { id: ConversationId::new("c"), participants, ..Conversation::default() }
    }

    fn ended(known: &[(&str, &str, LegState)]) -> Endings {
        let mut endings = Endings::default();
        endings.remember(&ConversationId::new("c"), Some(&conversation(known)));
        endings
    }

    const OVER: LegState = LegState::Disconnected;
    const ON: LegState = LegState::Connected;

    #[test]
    fn an_older_state_of_an_ended_conversation_stays_outdated() {
        let endings = ended(&[("c", "customer", OVER), ("q", "acd", OVER), ("a", "agent", OVER)]);
        for late in [
            &[("c", "customer", ON)][..],
            &[("c", "customer", ON), ("q", "acd", OVER), ("a", "agent", ON)],
            &[("c", "customer", OVER), ("q", "acd", OVER), ("a", "agent", ON)],
            // The end once more, and one that is older by a leg.
            &[("c", "customer", OVER), ("q", "acd", OVER), ("a", "agent", OVER)],
            &[("c", "customer", OVER), ("q", "acd", OVER), ("b", "agent", ON)],
        ] {
            assert!(endings.outdates(&conversation(late)), "{late:?}");
        }
    }

    #[test]
    fn a_party_that_joins_after_the_end_is_newer_than_it() {
        let endings = ended(&[("c", "customer", OVER), ("a", "agent", OVER)]);
        let again =
            [("c", "customer", OVER), ("a", "agent", OVER), ("b", "agent", ON), ("d", "customer", ON)];
        assert!(!endings.outdates(&conversation(&again)));
        let endings = ended(&[("q", "acd", ON)]);
        assert!(!endings.outdates(&conversation(&[("q", "acd", ON), ("c", "customer", ON)])));
        assert!(endings.outdates(&conversation(&[("q", "acd", ON), ("i", "ivr", ON)])), "nobody is there");
    }

    #[test]
    fn what_a_read_did_not_find_counts_from_the_first_event_that_shows_it() {
        let mut endings = Endings::default();
        endings.remember(&ConversationId::new("c"), None);
        assert!(!endings.outdates(&conversation(&[("c", "customer", ON)])));
        assert!(endings.outdates(&conversation(&[("c", "customer", OVER)])));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_are_forgotten() {
        let mut endings = ended(&[]);
        for number in 0..ENDED_REMEMBERED {
            endings.remember(&ConversationId::new(number.to_string()), None);
        }
        assert!(!endings.contains(&ConversationId::new("c")));
        assert_eq!((endings.legs.len(), endings.oldest_first.len()), (ENDED_REMEMBERED, ENDED_REMEMBERED));
    }
}
