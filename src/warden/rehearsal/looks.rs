//! What may be asked of a rehearsal: how a conversation would be, and what the policy says of it.

use super::{Explained, Rehearsal, Said};
use crate::model::conversation::Conversation;
use crate::model::ids::ConversationId;
use crate::model::recording::Observed;
use crate::policy::decide::Policy;
use crate::warden::book::Call;
use crate::warden::plan::{self, Verdict};

impl Rehearsal {
    /// The conversation as it would be; none once it ended.
    pub fn conversation(&self, id: &ConversationId) -> Option<&Conversation> {
        self.warden.book.get(id).filter(|call| call.seen.is_some()).map(|call| &call.conversation)
    }

    /// The conversation without what our calls made of it.
    pub fn natural(&self, id: &ConversationId) -> Option<Conversation> {
        let part = self.parts.get(id)?;
        self.conversation(id).map(|conversation| part.tape.natural(conversation.clone()))
    }

    /// Explains a conversation as the platform showed it, without what our calls would have made of it; none
    /// once it ended.
    pub fn explain(&self, id: &ConversationId) -> Option<Explained> {
        let (call, natural) = (self.warden.book.get(id)?, self.natural(id)?);
        let explained = self.warden.explain_as(call, &natural, self.now);
        Some(Explained { claim: None, decision: None, ..explained })
    }

    /// What the governed recorder would report.
    pub fn observed(&self, id: &ConversationId) -> Observed {
        let means = &self.warden.settings.means;
        self.conversation(id).map_or(Observed::None, |conversation| plan::observed(means, conversation))
    }

    /// What the policy says, once its calls have succeeded.
    pub fn said(&self, id: &ConversationId) -> Option<&Said> {
        self.parts.get(id).map(|part| &part.said)
    }

    /// Whether something still is as our calls made it, and by which rule.
    pub fn changed_by(&self, id: &ConversationId) -> Option<&str> {
        let part = self.parts.get(id).filter(|part| part.tape.is_ours())?;
        let claim = self.warden.book.get(id)?.claim.as_ref();
        Some(claim.map_or(part.said.rule.as_str(), |claim| claim.rule.as_str()))
    }

    /// The verdict that stands, with its reason.
    pub fn verdict(&self, id: &ConversationId) -> Option<Verdict> {
        let call = self.warden.book.get(id)?;
        Some(plan::verdict(
            &self.warden.policy,
            &call.latches,
            call.directive.as_ref(),
            self.warden.settings.directive_priority,
            call.claim.as_ref(),
        ))
    }

    /// The rule in observe mode that would have decided.
    pub fn would_be(&self, id: &ConversationId) -> Option<&str> {
        let call = self.warden.book.get(id)?;
        plan::would_be(&self.warden.policy, &call.latches).map(|one| one.name.as_str())
    }

    /// The call with all that holds on it.
    pub fn call(&self, id: &ConversationId) -> Option<&Call> {
        self.warden.book.get(id)
    }

    /// The policy that is rehearsed.
    pub fn policy(&self) -> &Policy {
        &self.warden.policy
    }

    /// How many conversations are in the book.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}
