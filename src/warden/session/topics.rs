//! What is subscribed: topics onto slots, and the platform's word on each.

use std::collections::BTreeSet;

use super::state::{List, State};
use super::{Redundancy, Session, Shortfall, Slot, SlotId};
use crate::model::time::Now;
use crate::wire::reply::Rejected;
use crate::wire::topic::{CHANNELS_TO_FILL, PackId, Topic};

impl Session {
    /// Subscribes these topics in place of what was subscribed before; says what the platform's limit leaves
    /// out. Each pack has its first channel before any has its second.
    pub fn subscribe(&mut self, topics: &BTreeSet<Topic>, redundancy: Redundancy, now: Now) -> Shortfall {
        let left_out = self.packs.settle(topics, CHANNELS_TO_FILL);
        self.rejected.retain(|topic, _| topics.contains(topic));
        let gone: Vec<SlotId> = self
            .slots
            .iter()
            .filter(|(_, slot)| self.packs.get(slot.pack).is_none())
            .map(|(id, _)| *id)
            .collect();
        gone.into_iter().for_each(|id| self.drop_slot(id));
        let packs: Vec<PackId> = self.packs.iter().map(|(id, _)| id).collect();
        let twins = match redundancy {
            Redundancy::Single => 0,
            Redundancy::Double => (CHANNELS_TO_FILL - packs.len()).min(packs.len()),
        };
        for (place, pack) in packs.iter().enumerate() {
            self.settle_replicas(*pack, if place < twins { 2 } else { 1 }, now);
        }
        // What was refused may be permitted by now.
        let is_refused = |topic: &Topic| self.rejected.contains_key(topic);
        let refused = self.packs.iter().filter(|(_, pack)| pack.topics.iter().any(is_refused));
        let refused: BTreeSet<PackId> = refused.map(|(id, _)| id).collect();
        for slot in self.slots.values_mut() {
            let revision = self.packs.get(slot.pack).map(|pack| pack.revision);
            if let State::Open(open) = &mut slot.state
                && let List::Held(held) = open.list
                && (Some(held) != revision || refused.contains(&slot.pack))
            {
                open.list = List::Due(now.mono);
            }
        }
        // What was not heard may not be wanted any more.
        self.settle_resync(now);
        let wanted = if redundancy == Redundancy::Double { packs.len() } else { 0 };
        Shortfall { topics: left_out, single_packs: wanted - twins }
    }

    fn settle_replicas(&mut self, pack: PackId, wanted: usize, now: Now) {
        let mut have: Vec<SlotId> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.pack == pack && slot.replaces.is_none() && !slot.state.retires())
            .map(|(id, _)| *id)
            .collect();
        // Those that are heard stay, and rather those that nothing speaks against.
        let worth = |slot: &Slot| (slot.state.live().is_some(), slot.is_trusted());
        have.sort_by_key(|id| std::cmp::Reverse(self.slots.get(id).map(worth)));
        for id in have.drain(wanted.min(have.len())..) {
            let successor = self.successor_of(id);
            self.drop_slot(id);
            successor.into_iter().for_each(|one| self.drop_slot(one));
        }
        for _ in have.len()..wanted {
            self.add(pack, None, State::WantChannel { due: now.mono }, now);
        }
    }

    /// The topics that a slot asked for; none where they have changed since, so that another list follows.
    pub fn asked(&self, id: SlotId) -> Option<Vec<Topic>> {
        let slot = self.slots.get(&id)?;
        let State::Open(open) = &slot.state else { return None };
        let (List::Sending(sent) | List::ReadDue(sent, _) | List::Reading(sent) | List::Held(sent)) =
            open.list
        else {
            return None;
        };
        let pack = self.packs.get(slot.pack).filter(|pack| pack.revision == sent)?;
        Some(pack.topics.iter().cloned().collect())
    }

    /// The topics that the list of a slot had when it was read back last, and that are wanted yet; none where ours took its
    /// place since.
    pub fn had(&self, id: SlotId) -> Vec<Topic> {
        let Some(slot) = self.slots.get(&id) else { return Vec::new() };
        let (State::Open(open), Some(pack)) = (&slot.state, self.packs.get(slot.pack)) else {
            return Vec::new();
        };
        let kept = open.had.intersection(&pack.topics).filter(|_| !open.replaced);
        kept.cloned().collect()
    }

    /// Some of what the list of a slot had was taken from it, and nobody knows since when.
    pub fn lost_topics(&mut self, id: SlotId, now: Now) {
        self.doubt(id, "the platform took topics from a channel", now);
    }

    /// The list of a slot has these topics. In those that the platform refused before calls may be in progress.
    pub fn has(&mut self, id: SlotId, topics: &[Topic], now: Now) {
        let Some(Slot { state: State::Open(open), .. }) = self.slots.get_mut(&id) else { return };
        let had = std::mem::replace(&mut open.had, topics.iter().cloned().collect());
        open.replaced = false;
        let taken = |topic: &&Topic| self.rejected.remove(*topic).is_some() && !had.contains(*topic);
        if topics.iter().filter(taken).count() > 0 {
            self.heard_anew(now);
        }
    }

    /// Of the topics that the platform refuses, those that were not known to be refused: each is told once.
    pub fn newly_rejected(&mut self, rejected: Vec<Rejected>) -> Vec<Rejected> {
        let known = &mut self.rejected;
        rejected
            .into_iter()
            .filter(|one| known.insert(one.topic.clone(), one.reason.clone()).is_none())
            .collect()
    }

    /// Whether events tell of whom or what has this id: a topic that names it is wanted, and not refused.
    pub fn names(&self, id: &str) -> bool {
        let is_named = |topic: &Topic| {
            let mut parts = topic.as_str().split('.');
            parts.any(|part| part.eq_ignore_ascii_case(id)) && !self.rejected.contains_key(topic)
        };
        self.packs.iter().any(|(_, pack)| pack.topics.iter().any(is_named))
    }
}
