//! What a request asks of the loop, what the loop answers, and the bounded way between them.

mod view;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::model::ids::{ConversationId, DecisionId};
use crate::model::recording::Action;
use crate::policy::subject::Facts;
pub use crate::warden::CallView;
use crate::warden::{Explained, LARGEST_FACTS};
pub use view::{Budget, LatestDecision, Readiness, ResyncView, SocketView, View};

/// How many asks may wait for the loop. A loop that is further behind than this is better told
/// about by 503 at once than by an answer that comes late.
pub const WAITING_ASKS: usize = 256;

/// How long an answer may take. It is awaited until the order is durable, so this bounds a disk that hangs.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a request asks of the loop; each with the place for its answer. The asker may have gone when
/// the answer comes: a failed send of the answer is of no consequence.
#[derive(Debug)]
pub enum Ask {
    /// Takes a directive; answered only once it is durable.
    Direct {
        /// What is ordered.
        directive: DirectiveOrder,
        /// Where the answer goes.
        answer: oneshot::Sender<Answer>,
    },
    /// Takes facts for one conversation; answered only once they are durable.
    Facts {
        /// Whose facts.
        conversation: ConversationId,
        /// The facts, which add to and replace what is known.
        facts: Facts,
        /// Where the answer goes; or why they are not taken, or could not be made durable.
        answer: oneshot::Sender<Result<Answer, NotTaken>>,
    },
    /// How a decision stands; `None` where it is not known.
    Decision {
        /// Which decision.
        id: DecisionId,
        /// Where the answer goes.
        answer: oneshot::Sender<Option<DecisionView>>,
    },
    /// Why each rule matches a conversation or does not; `None` where it is not in the book.
    Explain {
        /// Which conversation.
        id: ConversationId,
        /// Where the answer goes.
        answer: oneshot::Sender<Option<Box<Explained>>>,
    },
    /// Everything at a glance, for page, metrics and health.
    View {
        /// Where the answer goes.
        answer: oneshot::Sender<View>,
    },
    /// How one conversation stands; `None` where it is not in the book.
    Conversation {
        /// Which conversation.
        id: ConversationId,
        /// Where the answer goes.
        answer: oneshot::Sender<Option<CallView>>,
    },
}

/// A directive as ordered: what stands over the rules for one conversation (PRODUCT.md 9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectiveOrder {
    /// Which conversation.
    pub conversation: ConversationId,
    /// What is ordered.
    pub order: Order,
    /// Who ordered it, for the record.
    pub by: String,
    /// Why, for the record; may be empty.
    pub reason: String,
    /// The way it came.
    pub origin: Origin,
    /// The `webhook-id` of its message, where it has one.
    #[serde(default)]
    pub webhook_id: Option<String>,
}

/// What a directive does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// It stands until replaced, released, over, or the conversation ends.
    Set {
        /// What is wanted.
        action: Action,
        /// How long it stands; none: for the rest of the conversation.
        lasts: Option<Duration>,
    },
    /// The directive in force is taken back.
    Release,
}

/// The way a directive came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// From another system.
    Webhook,
    /// From a person at the command line.
    Manual,
}

impl Origin {
    /// The word of records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Manual => "manual",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of a directive, or of pushed facts, at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The decision that this led to; none where the conversation already is as wanted.
    pub decision: Option<DecisionId>,
    /// What happened, in a sentence.
    pub message: String,
}

/// How a decision stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecisionState {
    /// Not brought to its end yet.
    Open,
    /// The platform reported the wanted state.
    Confirmed,
    /// It came true by itself, or a newer one took its place.
    Superseded,
    /// It could not be brought about.
    Abandoned,
}

impl DecisionState {
    /// The word of records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Confirmed => "confirmed",
            Self::Superseded => "superseded",
            Self::Abandoned => "abandoned",
        }
    }
}

/// One decision, as `GET /webhook/decisions/{id}` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionView {
    /// Its id.
    pub decision: DecisionId,
    /// Whose recording.
    pub conversation: ConversationId,
    /// How it stands.
    pub state: DecisionState,
    /// The same in a sentence.
    pub message: String,
}

/// Why the loop gave no answer. Each is a 503: the sender may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unanswered {
    /// The bound of waiting asks is reached.
    #[error("recwarden is busy: {WAITING_ASKS} requests wait already; nothing was done, try again")]
    Busy,
    /// The loop has ended, or ended while it was asked.
    #[error(
        "recwarden takes no orders now: it is stopping, or its audit log cannot be written; /readyz says which, try again"
    )]
    Gone,
    /// No answer within the bound.
    #[error(
        "recwarden gave no answer within {} s; the request may still take effect, try again",
        ANSWER_WITHIN.as_secs()
    )]
    Silent,
    /// The facts are used, but could not be stored.
    #[error(
        "recwarden could not store the facts, so they would not outlive a restart; see its log, and push them again"
    )]
    NotKept,
}

/// Why facts were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotTaken {
    /// There is no answer, or they could not be stored.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// One conversation may have so many and no more.
    #[error(
        "these facts are not taken: with those that the conversation has already they are more than {LARGEST_FACTS} bytes \
         of JSON; push what rules look at alone, and null for what is of no use any more"
    )]
    TooMuch,
    /// The book is full.
    #[error(
        "these facts are not taken: limits.memory has no room for them now; nothing was done, try again once calls have \
         ended, or raise it"
    )]
    NoRoom,
}

/// The asking end: what every request handler holds.
#[derive(Clone, Debug)]
pub struct Asks(mpsc::Sender<Ask>);

impl Asks {
    /// A pair of ends with the bound [`WAITING_ASKS`]; the loop keeps the second.
    pub fn channel() -> (Self, mpsc::Receiver<Ask>) {
        let (asks_tx, asks_rx) = mpsc::channel(WAITING_ASKS);
        (Self(asks_tx), asks_rx)
    }

    /// Over a channel that exists already.
    pub fn over(asks_tx: mpsc::Sender<Ask>) -> Self {
        Self(asks_tx)
    }

    /// Gives a directive; the answer comes once it is durable.
    pub async fn direct(&self, directive: DirectiveOrder) -> Result<Answer, Unanswered> {
        self.ask(|answer| Ask::Direct { directive, answer }).await
    }

    /// Pushes facts; the answer comes once they are durable.
    pub async fn facts(&self, conversation: ConversationId, facts: Facts) -> Result<Answer, NotTaken> {
        self.ask(|answer| Ask::Facts { conversation, facts, answer }).await?
    }

    /// How a decision stands; `None` where it is not known.
    pub async fn decision(&self, id: DecisionId) -> Result<Option<DecisionView>, Unanswered> {
        self.ask(|answer| Ask::Decision { id, answer }).await
    }

    /// Everything at a glance.
    pub async fn view(&self) -> Result<View, Unanswered> {
        self.ask(|answer| Ask::View { answer }).await
    }

    /// Why each rule matches a conversation or does not; `None` where it is not in the book.
    pub async fn explain(&self, id: ConversationId) -> Result<Option<Box<Explained>>, Unanswered> {
        self.ask(|answer| Ask::Explain { id, answer }).await
    }

    /// How one conversation stands; `None` where it is not in the book.
    pub async fn conversation(&self, id: ConversationId) -> Result<Option<CallView>, Unanswered> {
        self.ask(|answer| Ask::Conversation { id, answer }).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Unanswered> {
        let (answer_tx, answer_rx) = oneshot::channel();
        self.0.try_send(ask(answer_tx)).map_err(|refused| match refused {
            TrySendError::Full(_) => Unanswered::Busy,
            TrySendError::Closed(_) => Unanswered::Gone,
        })?;
        match tokio::time::timeout(ANSWER_WITHIN, answer_rx).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_dropped)) => Err(Unanswered::Gone),
            Err(_elapsed) => Err(Unanswered::Silent),
        }
    }
}

#[cfg(test)]
pub(crate) mod fake;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_channel_is_said_at_once() {
        let (asks_tx, _asks_rx) = mpsc::channel(1);
        let (answer, _answer_rx) = oneshot::channel();
        asks_tx.try_send(Ask::View { answer }).expect("room for one");
        assert_eq!(Asks::over(asks_tx).view().await.unwrap_err(), Unanswered::Busy);
    }

    #[tokio::test]
    async fn a_loop_that_has_ended_is_said_at_once() {
        let (asks, asks_rx) = Asks::channel();
        drop(asks_rx);
        assert_eq!(asks.view().await.unwrap_err(), Unanswered::Gone);
    }

    #[tokio::test]
    async fn a_loop_that_ends_while_it_is_asked_is_said() {
        let (asks, mut asks_rx) = Asks::channel();
        let ends = async move { drop(asks_rx.recv().await) };
        let (answer, ()) = tokio::join!(asks.view(), ends);
        assert_eq!(answer.unwrap_err(), Unanswered::Gone);
    }
}
