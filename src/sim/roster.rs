//! Which agents are free. Kept as calls change, since thousands of calls would be too many to ask each time.

use std::collections::BTreeMap;

use crate::sim::call::Call;
use crate::sim::org::Org;
use crate::sim::random::Chance;

/// Which agents are in a call, and which are free.
#[derive(Clone, Debug)]
pub struct Roster {
    places: BTreeMap<String, usize>,
    /// In how many calls each is, by place.
    calls: Vec<usize>,
    /// Places of those who are in none, in order.
    free: Vec<usize>,
    /// Who is in each call.
    held: BTreeMap<String, Vec<usize>>,
}

impl Roster {
    /// All are free.
    pub fn new(org: &Org) -> Self {
        let count = org.users.len();
        let places = org.users.iter().enumerate().map(|(place, user)| (user.id.clone(), place)).collect();
        Self { places, calls: vec![0; count], free: (0..count).collect(), held: BTreeMap::new() }
    }

    /// Takes note of who is in this call; nobody, once it is over.
    pub fn note(&mut self, call: &Call) {
        let now: Vec<usize> = if call.is_live() {
            call.busy_agents().filter_map(|id| self.places.get(id).copied()).collect()
        } else {
            Vec::new()
        };
        for place in &now {
            self.count(*place, |calls| calls + 1);
        }
        let before =
            if now.is_empty() { self.held.remove(&call.id) } else { self.held.insert(call.id.clone(), now) };
        for place in before.into_iter().flatten() {
            self.count(place, |calls| calls.saturating_sub(1));
        }
    }

    fn count(&mut self, place: usize, change: fn(usize) -> usize) {
        let Some(calls) = self.calls.get_mut(place) else { return };
        *calls = change(*calls);
        match (self.free.binary_search(&place), *calls) {
            (Err(at), 0) => self.free.insert(at, place),
            (Ok(at), 1..) => drop(self.free.remove(at)),
            (Ok(_), 0) | (Err(_), 1..) => {}
        }
    }

    /// One who is free, by id.
    pub fn free_agent(&self, org: &Org, chance: &mut Chance) -> Option<String> {
        let place = *chance.pick(&self.free)?;
        org.users.get(place).map(|user| user.id.clone())
    }
}
