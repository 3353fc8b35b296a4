//! The webhook ids that were answered, and what they were answered: a message that is sent again
//! gets the first answer and does nothing.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

/// How many ids are remembered; the oldest are forgotten. Senders repeat within minutes or hours, and
/// at a directive per second this reaches back almost three hours in some megabytes. An order whose id is forgotten
/// here is known to the warden all the same, which takes it once.
pub const REMEMBERED_IDS: usize = 10_000;

/// An id in a form of known size, whatever its sender made of it.
type Key = [u8; 32];

/// The memory of ids, each with the answer `A` it got. The lock guards nothing but this memory and is
/// never held across an await; who comes while the first of an id is under way waits for its answer.
#[derive(Debug)]
pub struct Seen<A> {
    memory: Mutex<Memory<A>>,
}

#[derive(Debug)]
struct Memory<A> {
    answers: BTreeMap<Key, Arc<OnceCell<A>>>,
    oldest_first: VecDeque<Key>,
}

impl<A> Default for Seen<A> {
    fn default() -> Self {
        Self { memory: Mutex::new(Memory { answers: BTreeMap::new(), oldest_first: VecDeque::new() }) }
    }
}

impl<A: Clone> Seen<A> {
    /// The first answer for this id at this path, or the one worked out now. An error is not an answer:
    /// whoever sends again after one is tried again. One message may go to several paths, and each
    /// answers it for itself.
    pub async fn answer<E>(
        &self,
        path: &str,
        id: &[u8],
        work: impl AsyncFnOnce() -> Result<A, E>,
    ) -> Result<A, E> {
        let place = self.place(path, id);
        place.get_or_try_init(|| first(work)).await.cloned()
    }

    fn place(&self, path: &str, id: &[u8]) -> Arc<OnceCell<A>> {
        let key: Key = Sha256::new().chain_update(path).chain_update([0]).chain_update(id).finalize().into();
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = memory.answers.get(&key) {
            return Arc::clone(place);
        }
        if memory.oldest_first.len() >= REMEMBERED_IDS
            && let Some(oldest) = memory.oldest_first.pop_front()
        {
            memory.answers.remove(&oldest);
        }
        let place = Arc::new(OnceCell::new());
        memory.answers.insert(key, Arc::clone(&place));
        memory.oldest_first.push_back(key);
        place
    }
}

fn first<A, E>(work: impl AsyncFnOnce() -> Result<A, E>) -> impl Future<Output = Result<A, E>> {
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(seen: &Seen<u32>, id: &str, answer: Result<u32, ()>) -> Result<u32, ()> {
        seen.answer("/", id.as_bytes(), async || answer).await
    }

    #[tokio::test]
    async fn the_first_answer_stands_and_an_error_is_none() {
        let seen = Seen::default();
        assert_eq!(ask(&seen, "a", Err(())).await, Err(()));
        assert_eq!(ask(&seen, "a", Ok(1)).await, Ok(1));
        assert_eq!(ask(&seen, "a", Ok(2)).await, Ok(1));
        assert_eq!(ask(&seen, "b", Ok(3)).await, Ok(3));
    }

    #[tokio::test]
    async fn memory_is_bounded_and_the_oldest_are_forgotten() {
        let seen = Seen::default();
        assert_eq!(ask(&seen, "first", Ok(1)).await, Ok(1));
        for id in 0..REMEMBERED_IDS {
            ask(&seen, &id.to_string(), Ok(2)).await.expect("an answer");
        }
        assert_eq!(ask(&seen, "first", Ok(3)).await, Ok(3));
        let memory = seen.memory.lock().unwrap();
        assert_eq!((memory.answers.len(), memory.oldest_first.len()), (REMEMBERED_IDS, REMEMBERED_IDS));
    }
}
