//! What comes next, and when: items by due time, and in the order they were put for the same time.

use std::collections::BTreeMap;

use crate::model::time::Mono;

/// Items by due time.
#[derive(Clone, Debug)]
pub struct Agenda<T> {
    items: BTreeMap<(Mono, u64), T>,
    sequence: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), sequence: 0 }
    }
}

impl<T> Agenda<T> {
    /// Puts an item for this time.
    pub fn put(&mut self, due: Mono, item: T) {
        self.sequence += 1;
        self.items.insert((due, self.sequence), item);
    }

    /// When the next item is due.
    pub fn next_due(&self) -> Option<Mono> {
        self.items.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes the next item that is due by now, with its time.
    pub fn take_due(&mut self, now: Mono) -> Option<(Mono, T)> {
        let entry = self.items.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((due, _), item) = entry.remove_entry();
        Some((due, item))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn items_come_by_time_and_then_in_the_order_they_were_put() {
        let at = |seconds| Mono::new(Duration::from_secs(seconds));
        let mut agenda = Agenda::default();
        for (due, item) in [(3, 'd'), (1, 'a'), (2, 'b'), (2, 'c')] {
            agenda.put(at(due), item);
        }
        let due: Vec<char> = std::iter::from_fn(|| agenda.take_due(at(2))).map(|(_, item)| item).collect();
        assert_eq!(due, ['a', 'b', 'c']);
        assert_eq!(agenda.next_due(), Some(at(3)));
    }
}
