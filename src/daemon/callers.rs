//! Those who ask, and those who wait for an answer to what they ordered or pushed.

use tokio::sync::oneshot;
use tracing::{error, info};

use super::{Daemon, outward};
use crate::http::ask::{self, Answer, Ask, NotTaken, Unanswered};
use crate::io::token::chain;
use crate::warden::{Input, Keeping, Reply, Ticket, Untaken};

/// One who waits.
#[derive(Debug)]
pub(super) enum Caller {
    /// For a directive.
    Directive(oneshot::Sender<Answer>),
    /// For facts.
    Facts(oneshot::Sender<Result<Answer, NotTaken>>),
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
                caller.send(Answer { decision, message }).ok();
            }
            (Self::Facts(caller), Kept::Yes) => {
                caller.send(Ok(Answer { decision, message })).ok();
            }
            (Self::Facts(caller), Kept::No) => {
                caller.send(Err(Unanswered::NotKept.into())).ok();
            }
        }
    }

    /// Says that the facts are not taken. Orders always are.
    pub(super) fn refuse(self, why: Untaken) {
        let why = match why {
            Untaken::TooMuch => NotTaken::TooMuch,
            Untaken::NoRoom => NotTaken::NoRoom,
        };
        match self {
            Self::Directive(_) => {}
            Self::Facts(caller) => drop(caller.send(Err(why)).ok()),
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

    /// Notes what is to be kept of facts, and makes it durable. Where that fails they are used all the same,
    /// their sender is told, and it is tried again with the next ones and with each status.
    pub(super) fn keep_facts(&mut self, keeping: Vec<Keeping>) -> Kept {
        let behind = self.parts.facts.is_behind();
        if keeping.is_empty() && !behind {
            return Kept::Yes;
        }
        keeping.into_iter().for_each(|one| self.parts.facts.keep(one));
        match self.parts.facts.sync() {
            Ok(()) if behind => {
                info!("facts are kept again");
                Kept::Yes
            }
            Ok(()) => Kept::Yes,
            Err(error) => {
                let text = format!("facts pushed since are lost at the next start: {}", chain(&error));
                error!("{text}");
                // Who is to act has to know once.
                if !behind {
                    self.raise("facts", text);
                }
                Kept::No
            }
        }
    }

    /// What a question comes to; none where it is answered at once.
    pub(super) fn take_ask(&mut self, ask: Ask) -> Option<Input> {
        let warden = &self.parts.warden;
        // Who asked and hung up does not wait for the answer.
        match ask {
            Ask::Direct { directive, answer } => {
                let ticket = self.ticket(Caller::Directive(answer));
                return Some(Input::Order(ticket, outward::order(directive)));
            }
            Ask::Facts { conversation, facts, answer } => {
                return Some(Input::Facts(self.ticket(Caller::Facts(answer)), conversation, facts));
            }
            Ask::Decision { id, answer } => {
                answer.send(warden.decision(&id).map(outward::decision)).ok();
            }
            Ask::Explain { id, answer } => {
                let now = self.parts.clock.now();
                answer.send(warden.explain(&id, now).map(Box::new)).ok();
            }
            Ask::View { answer } => {
                answer.send(self.view()).ok();
            }
            Ask::Conversation { id, answer } => {
                answer.send(warden.call(&id)).ok();
            }
        }
        None
    }

    pub(super) fn view(&self) -> ask::View {
        let now = self.parts.clock.now();
        let mut view = outward::view(self.parts.warden.view(outward::LATEST_DECISIONS, now));
        // A count of seconds stays far below 2^52, where a float would lose count.
        view.counters.insert("recwarden_audit_write_failures_total".to_owned(), self.write_failures as f64);
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> Reply {
        Reply { decision: None, message: "taken".into() }
    }

    #[test]
    fn facts_for_which_there_is_no_room_are_refused() {
        for (why, told) in [(Untaken::TooMuch, NotTaken::TooMuch), (Untaken::NoRoom, NotTaken::NoRoom)] {
            let (facts, mut answered) = oneshot::channel();
            Caller::Facts(facts).refuse(why);
            assert_eq!(answered.try_recv().expect("an answer"), Err(told));
        }
    }

    #[test]
    fn facts_that_could_not_be_stored_are_refused_and_an_order_beside_them_is_not() {
        let (facts, mut answered) = oneshot::channel();
        Caller::Facts(facts).answer(reply(), Kept::No);
        assert_eq!(answered.try_recv().expect("an answer"), Err(Unanswered::NotKept.into()));
        let (facts, mut answered) = oneshot::channel();
        Caller::Facts(facts).answer(reply(), Kept::Yes);
        assert!(answered.try_recv().expect("an answer").is_ok());
        let (directive, mut answered) = oneshot::channel();
        Caller::Directive(directive).answer(reply(), Kept::No);
        assert_eq!(answered.try_recv().expect("an answer").message, "taken");
    }
}
