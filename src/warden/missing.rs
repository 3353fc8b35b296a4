//! Reads that find no conversation (404).
//!
//! A conversation that is over can be read all the same for a long time, and one that has just begun may be told of,
//! by an event or by whoever orders something for it, before it can be read. So a 404 alone does not mean that it is
//! over: it is taken for over where each read of some time says so and no event speaks against it.

use std::time::Duration;

use super::Warden;
use crate::model::ids::ConversationId;
use crate::model::time::Mono;

/// One that was seen live counts as over where no read finds it for so long.
const SEEN_GONE_AFTER: Duration = Duration::from_secs(60);
/// The same where only an order, facts or the log speak of it: the id may be mistaken, and somebody waits for the answer.
const UNSEEN_GONE_AFTER: Duration = Duration::from_secs(15);

/// Who is missing is looked for so often at least, since it may have begun a moment ago.
pub(super) const READ_AGAIN: Duration = Duration::from_secs(3);

impl Warden {
    /// Whether a conversation that a read has not found can be taken for over.
    pub(super) fn is_over(&mut self, id: &ConversationId, now: Mono) -> bool {
        if self.book.has_ended(id) {
            return true;
        }
        // Who was listed a moment ago and is not known stays owed a look until a list does not name it.
        let Some(call) = self.book.get_mut(id) else { return false };
        let patience = if call.seen.is_some() { SEEN_GONE_AFTER } else { UNSEEN_GONE_AFTER };
        let since = *call.missing_since.get_or_insert(now);
        now.since(since) >= patience
    }
}
