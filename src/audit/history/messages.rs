//! The webhook messages that led to an order or ended one, so that one that comes again after a restart does
//! nothing again (PRODUCT.md 9).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;

use super::{carried, dated};
use crate::audit::record::{Decision, DirectiveReleased, Record};
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::time::Wall;
use crate::policy::rule::DIRECTIVE;

/// How many are remembered.
pub const MESSAGES_REMEMBERED: usize = 10_000;
/// For how long: senders try again over hours, and give up within a day.
pub const MESSAGES_REMEMBERED_FOR: Duration = Duration::from_secs(24 * 3600);
/// The decision that an order leads to at once is journaled with it.
const AT_ONCE: Duration = Duration::from_secs(1);

/// One message that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// When.
    pub at: Wall,
    /// The order that it gave or ended.
    pub directive: String,
    /// For which conversation.
    pub conversation: ConversationId,
    /// The decision that it led to.
    pub decision: Option<DecisionId>,
}

/// See the module's documentation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Messages {
    by_id: BTreeMap<String, Message>,
    oldest_first: VecDeque<String>,
    /// The one whose decision may come next.
    last: Option<String>,
}

impl Messages {
    /// Takes the next record in; `at` is when it was journaled.
    pub(super) fn take(&mut self, at: Wall, record: &Record) {
        if let Record::Directive(one) = record {
            let (directive, conversation) = (one.directive.clone(), one.conversation.clone());
            let message = Message { at, directive, conversation, decision: one.decision.clone() };
            self.remember(one.webhook_id.as_ref(), message);
        } else if let Record::DirectiveReleased(one) = record {
            self.released(at, one, None);
        } else if let Record::Decision(one) = record {
            self.decided(at, one);
        }
    }

    /// A carried record of a message whose order is not in force any more.
    pub(super) fn carry(&mut self, at: Wall, one: &DirectiveReleased, carried: &Value) {
        let decision = carried.get("decision").and_then(Value::as_str).map(DecisionId::new);
        self.released(at, one, decision);
        self.expect_no_decision();
    }

    /// What follows is no consequence of what was taken last.
    pub(super) fn expect_no_decision(&mut self) {
        self.last = None;
    }

    fn released(&mut self, at: Wall, one: &DirectiveReleased, decision: Option<DecisionId>) {
        let (directive, conversation) = (one.directive.clone(), one.conversation.clone());
        self.remember(one.webhook_id.as_ref(), Message { at, directive, conversation, decision });
    }

    fn remember(&mut self, id: Option<&String>, message: Message) {
        let Some(id) = id else { return };
        self.last = Some(id.clone());
        if self.by_id.contains_key(id) {
            return;
        }
        self.by_id.insert(id.clone(), message);
        self.oldest_first.push_back(id.clone());
        if self.oldest_first.len() > MESSAGES_REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }

    fn decided(&mut self, at: Wall, one: &Decision) {
        let Some(message) = self.last.take().and_then(|id| self.by_id.get_mut(&id)) else { return };
        let led_to = one.rule == DIRECTIVE
            && one.conversation == message.conversation
            && at.since(message.at) < AT_ONCE;
        if led_to && message.decision.is_none() {
            message.decision = Some(one.decision.clone());
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Message)> {
        self.by_id.iter().map(|(id, one)| (id.as_str(), one))
    }

    /// What led to the order that is in force, for the record that carries that order on.
    pub(super) fn decision_of(&self, webhook_id: &str) -> Option<DecisionId> {
        self.by_id.get(webhook_id).and_then(|one| one.decision.clone())
    }

    /// The `carried` records of those whose order is not in force: to whoever reads the next file, it is over.
    pub(super) fn carried(&self, last: Option<Wall>, in_force: impl Fn(&str) -> bool) -> Vec<Record> {
        let recent = |one: &Message| last.is_some_and(|last| last.since(one.at) < MESSAGES_REMEMBERED_FOR);
        let over = self.oldest_first.iter().filter(|id| !in_force(id));
        let over = over.filter_map(|id| self.by_id.get(id).map(|one| (id, one)));
        over.filter(|(_, one)| recent(one)).map(|(id, one)| written(id, one)).collect()
    }
}

fn written(id: &str, one: &Message) -> Record {
    let (directive, conversation, why) = (one.directive.clone(), one.conversation.clone(), "over".to_owned());
    let webhook_id = Some(id.to_owned());
    let released = DirectiveReleased { directive, conversation, why, webhook_id };
    let mut value = dated(&Record::DirectiveReleased(released), one.at);
    if let Some(decision) = &one.decision {
        value["decision"] = decision.as_str().into();
    }
    carried(value)
}
