//! Those who wait for an answer to what they ordered or pushed.

use tokio::sync::oneshot;
use tracing::error;

use super::Daemon;
use crate::http::ask::{DirectiveAnswer, FactsAnswer, Unanswered};
use crate::io::token::chain;
use crate::warden::{Reply, Ticket};

/// One who waits.
#[derive(Debug)]
pub(super) enum Caller {
    /// For a directive.
    Directive(oneshot::Sender<DirectiveAnswer>),
    /// For facts.
    Facts(oneshot::Sender<Result<FactsAnswer, Unanswered>>),
}

/// Whether facts pushed so far are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    No,
}

impl Caller {
    /// Answers. One who hung up does not wait for it.
    pub(super) fn answer(self, reply: Reply, kept: Kept) {
        let Reply { decision, message } = reply;
        match (self, kept) {
            (Self::Directive(caller), _) => {
                caller.send(DirectiveAnswer { decision, message }).ok();
            }
            (Self::Facts(caller), Kept::Yes) => {
                caller.send(Ok(FactsAnswer { decision, message })).ok();
            }
            (Self::Facts(caller), Kept::No) => {
                caller.send(Err(Unanswered::NotKept)).ok();
            }
        }
    }
}

impl Daemon {
    /// Remembers who waits.
    pub(super) fn ticket(&mut self, caller: Caller) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.tickets.insert(ticket, caller);
        ticket
    }

    /// Makes facts durable. Where that fails they are used all the same, and their sender is told.
    pub(super) fn keep_facts(&mut self) -> Kept {
        match self.parts.facts.sync() {
            Ok(()) => Kept::Yes,
            Err(error) => {
                error!("facts are not kept: {}", chain(&error));
                Kept::No
            }
        }
    }
}
