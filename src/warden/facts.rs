//! Facts that other systems push: taken for one conversation, kept until it ends.
//!
//! They are bounded, each conversation's for itself and all within `limits.memory`: what goes beyond is refused,
//! and the sender is told. They outlive a crash. The log has them only as redaction allows, so they are kept raw beside it: whoever
//! runs the warden stores what [`Keeping`] says, and hands it back at the start.

use super::{Output, Reply, Ticket, Warden};
use crate::audit::record::{self, ConfirmedBy, Record};
use crate::model::ids::ConversationId;
use crate::model::time::Now;
use crate::policy::subject::Facts;
pub use crate::warden::book::LARGEST_FACTS;
use crate::warden::book::Push;

/// What is to be stored of the facts of one conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum Keeping {
    /// All that is known of it now.
    Keep(ConversationId, Facts),
    /// Nothing any more: it ended.
    Forget(ConversationId),
}

/// Why facts are not taken; nothing is kept or journaled of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untaken {
    /// The conversation would have more of them than [`LARGEST_FACTS`].
    TooMuch,
    /// `limits.memory` has no room for them now.
    NoRoom,
}

impl Warden {
    pub(super) fn take_facts(&mut self, ticket: Ticket, id: &ConversationId, facts: Facts, now: Now) {
        self.count("recwarden_facts_total");
        if self.book.has_ended(id) {
            let message = "the conversation has ended; its facts are of no use any more".to_owned();
            self.outputs.push_back(Output::Reply(ticket, Reply { decision: None, message }));
            return;
        }
        let before = self.open_decision_of(id);
        let untaken = match self.book.push_facts(id, facts.clone()) {
            Push::Taken => None,
            Push::TooMuch => Some(Untaken::TooMuch),
            Push::NoRoom => Some(Untaken::NoRoom),
        };
        if let Some(why) = untaken {
            self.count("recwarden_facts_refused_total");
            self.outputs.push_back(Output::Untaken(ticket, why));
            return;
        }
        let Some(call) = self.book.get(id) else { return };
        let (kept, seen) = (call.facts.clone(), call.seen.is_some());
        let facts = facts.into_iter().collect();
        self.record(Record::Facts(record::Facts { conversation: id.clone(), facts }));
        self.outputs.push_back(Output::Facts(Keeping::Keep(id.clone(), kept)));
        self.judge(id, ConfirmedBy::Event, now);
        let decision = self.open_decision_of(id).filter(|one| before.as_ref() != Some(one));
        let message = match (&decision, seen) {
            (Some(_), _) => "the facts are taken, and the rules want something else now",
            (None, true) => "the facts are taken, and the rules have been judged with them",
            (None, false) => "the facts are taken; the rules use them once the conversation is seen",
        };
        let message = message.to_owned();
        self.outputs.push_back(Output::Reply(ticket, Reply { decision, message }));
    }

    /// Takes facts up again that were kept when the daemon last stopped.
    pub fn recover_facts(&mut self, id: &ConversationId, facts: Facts) {
        self.book.keep_facts(id, facts);
    }

    /// A conversation is over, and its facts with it.
    pub(super) fn forget_facts(&mut self, id: &ConversationId, facts: &Facts) {
        if !facts.is_empty() {
            self.outputs.push_back(Output::Facts(Keeping::Forget(id.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::model::conversation::{Conversation, LegState, Participant};
    use crate::model::recording::RecorderState;
    use crate::policy::compile::Compiler;
    use crate::warden::Input;
    use crate::warden::plan::Means;
    use crate::warden::rehearsal::nobody_around;

    const NOW: Now = Now {
        mono: crate::model::time::Mono::new(Duration::ZERO),
        wall: crate::model::time::Wall::from_micros(0),
    };

    fn warden() -> Warden {
        let mut compiler = Compiler::default();
        let rules = "[[rule]]\nname = \"fraud\"\naction = \"stop\"\nwhen = 'facts.fraud'\n";
        assert_eq!(compiler.add_file("rules.toml", rules), Vec::new());
        let settings = nobody_around(Means::default(), 1000);
        let mut warden = Warden::new(settings, compiler.finish(), 1, NOW);
        outputs(&mut warden);
        warden
    }

    fn call(state: LegState) -> Conversation {
        let customer =
            Participant { id: "p".into(), purpose: "customer".into(), state, ..Participant::default() };
        Conversation {
            id: "c1".into(),
            recording_state: Some(RecorderState::Active),
            participants: vec![customer],
            ..Conversation::default()
        }
    }

    fn see(warden: &mut Warden, state: LegState) {
        warden.take_snapshot(call(state), (String::new(), String::new()), NOW);
        warden.judge(&"c1".into(), ConfirmedBy::Event, NOW);
    }

    fn fraud() -> Facts {
        [("fraud".to_owned(), json!(true))].into()
    }

    /// What came out, a word each.
    fn outputs(warden: &mut Warden) -> Vec<String> {
        std::iter::from_fn(|| warden.poll_output())
            .filter_map(|output| match output {
                Output::Record(Record::GapOpened(_)) => None,
                Output::Record(record) => Some(record.kind().to_owned()),
                Output::Facts(Keeping::Keep(id, facts)) => Some(format!("keep {id} {}", json!(facts))),
                Output::Facts(Keeping::Forget(id)) => Some(format!("forget {id}")),
                Output::Reply(_, reply) => Some(format!("reply {}", reply.decision.is_some())),
                Output::Untaken(_, why) => Some(format!("untaken {why:?}")),
                Output::Request(..) | Output::Socket(_) | Output::Note(_) => None,
            })
            .collect()
    }

    #[test]
    fn facts_are_kept_and_judged_before_their_sender_is_answered() {
        let mut warden = warden();
        see(&mut warden, LegState::Connected);
        warden.handle(Input::Facts(Ticket(1), "c1".into(), fraud()), NOW);
        let said = outputs(&mut warden);
        assert_eq!(
            said[..5],
            ["facts", "keep c1 {\"fraud\":true}", "hold", "decision", "reply true"].map(str::to_owned)
        );
    }

    fn push(warden: &mut Warden, id: &str, name: &str, size: usize) -> Vec<String> {
        let facts = [(name.to_owned(), json!("x".repeat(size)))].into();
        warden.handle(Input::Facts(Ticket(1), id.into(), facts), NOW);
        outputs(warden)
    }

    #[test]
    fn more_facts_than_one_conversation_may_have_are_refused_and_leave_no_trace() {
        let mut warden = warden();
        assert_eq!(push(&mut warden, "c1", "a", LARGEST_FACTS / 2).len(), 3, "journaled, kept and answered");
        let before = warden.book_bytes();
        for size in [LARGEST_FACTS, LARGEST_FACTS / 2] {
            assert_eq!(push(&mut warden, "c1", "b", size), ["untaken TooMuch"]);
            assert_eq!(warden.book_bytes(), before);
        }
        let known = warden.book.get(&"c1".into()).map(|call| call.facts.len());
        assert_eq!((known, warden.counter("recwarden_facts_refused_total")), (Some(1), 2));
        assert_eq!(push(&mut warden, "c2", "b", LARGEST_FACTS), ["untaken TooMuch"]);
        assert!(warden.book.get(&"c2".into()).is_none(), "nor is anything known of a new one");
        assert_eq!(push(&mut warden, "c1", "a", 1).len(), 3, "what takes the place of others is fewer");
    }

    #[test]
    fn facts_add_to_what_is_known_and_end_with_their_conversation() {
        let mut warden = warden();
        warden.recover_facts(&"c1".into(), [("tier".to_owned(), json!("gold"))].into());
        warden.handle(Input::Facts(Ticket(1), "c1".into(), fraud()), NOW);
        let said = outputs(&mut warden);
        assert_eq!(
            said[1..],
            ["keep c1 {\"fraud\":true,\"tier\":\"gold\"}", "reply false"].map(str::to_owned)
        );
        see(&mut warden, LegState::Connected);
        assert!(outputs(&mut warden).contains(&"decision".to_owned()), "the rules use what was recovered");
        see(&mut warden, LegState::Disconnected);
        assert!(outputs(&mut warden).contains(&"forget c1".to_owned()));
        warden.handle(Input::Facts(Ticket(2), "c1".into(), fraud()), NOW);
        assert_eq!(outputs(&mut warden), ["reply false"], "an ended conversation takes no facts");
    }
}
