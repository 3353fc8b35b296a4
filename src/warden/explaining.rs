//! One conversation explained: what is wanted of it now, what holds it, and why each rule matches or does not.

use serde::{Deserialize, Serialize};

use super::Warden;
use crate::audit::record::HoldPhase;
use crate::model::conversation::{Conversation, Direction};
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::recording::{Action, Observed, Wish};
use crate::model::time::{Now, Wall};
use crate::policy::decide::Policy;
use crate::policy::explain::{self, Explanation, Standing};
use crate::policy::rule::Terms;
use crate::policy::subject::{Facts, Subject};
use crate::warden::book::Call;
use crate::warden::plan::{self, Means};

/// One conversation explained. It holds what was read, personal data included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The moment that is explained.
    pub at: Wall,
    /// When it was last seen; none where only an order or facts are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Wall>,
    /// Its medium.
    pub media: String,
    /// Its direction; empty where the platform does not say.
    pub direction: String,
    /// The queue it is in: its name, or its id where the name is not known; empty where it is in none.
    pub queue: String,
    /// What the platform last reported of the recording.
    pub observed: Observed,
    /// What is wanted; none where nobody judged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Said>,
    /// The order in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directive: Option<Ordered>,
    /// What recwarden changed and would give back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claimed>,
    /// The open decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Open>,
    /// Facts pushed for it.
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub facts: Facts,
    /// Every rule, in order of precedence.
    pub rules: Vec<Explanation>,
}

/// What is wanted, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// What.
    pub wish: Wish,
    /// The rule, `directive` or `default`.
    pub rule: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// An order in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// What it wants.
    pub action: Action,
    /// Who asked.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When it is over by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Wall>,
}

/// What recwarden changed and would give back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// What was observed before the first change.
    pub before: Observed,
    /// What recwarden made of it.
    pub action: Action,
    /// The rule that holds it, or held it last.
    pub rule: String,
}

/// An open decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Its id.
    pub decision: DecisionId,
    /// What it wants.
    pub action: Action,
    /// The rule that made it.
    pub rule: String,
    /// When.
    pub since: Wall,
    /// Attempts so far.
    pub attempts: u32,
}

impl Explained {
    /// One conversation of which nothing but this snapshot is known: an ended one, or one that nobody holds.
    pub fn snapshot(
        policy: &Policy,
        means: &Means,
        conversation: &Conversation,
        topic: &str,
        at: Wall,
    ) -> Self {
        let facts = Facts::new();
        let rules = explain::explain(policy, Subject { conversation, facts: &facts, topic }, |_| None);
        Self { rules, ..Self::about(conversation, means, at) }
    }

    fn about(conversation: &Conversation, means: &Means, at: Wall) -> Self {
        let queue = conversation.queue();
        let queue = queue.map(|one| if one.name.is_empty() { one.id.to_string() } else { one.name.clone() });
        Self {
            conversation: conversation.id.clone(),
            at,
            seen: Some(at),
            media: conversation.media.as_str().to_owned(),
            direction: conversation.direction().map_or("", Direction::as_str).to_owned(),
            queue: queue.unwrap_or_default(),
            observed: plan::observed(means, conversation),
            verdict: None,
            directive: None,
            claim: None,
            decision: None,
            facts: Facts::new(),
            rules: Vec::new(),
        }
    }
}

impl Warden {
    /// Explains a conversation; none where the book does not have it.
    pub fn explain(&self, id: &ConversationId, now: Now) -> Option<Explained> {
        let call = self.book.get(id)?;
        Some(self.explain_as(call, &call.conversation, now))
    }

    /// Explains it as if the platform had shown it like this.
    pub(super) fn explain_as(&self, call: &Call, conversation: &Conversation, now: Now) -> Explained {
        let seen = call.seen.map(|seen| seen.wall);
        let priority = self.settings.directive_priority;
        let (directive, claim) = (call.directive.as_ref(), call.claim.as_ref());
        let verdict = plan::verdict(&self.policy, &call.latches, directive, priority, claim);
        let subject = Subject { conversation, facts: &call.facts, topic: &call.cause.0 };
        let about = Explained::about(conversation, &self.settings.means, now.wall);
        Explained {
            seen,
            observed: seen.map_or(Observed::Unknown, |_| about.observed),
            verdict: Some(Said {
                wish: verdict.action.map_or(Wish::Leave, Wish::from),
                rule: verdict.rule,
                reason: verdict.reason,
            }),
            directive: directive.map(|one| Ordered {
                action: one.action,
                by: one.by.clone(),
                reason: one.reason.clone(),
                until: one.until,
            }),
            claim: claim.map(|one| Claimed {
                before: one.before,
                action: one.action,
                rule: one.rule.clone(),
            }),
            decision: call.pursuit.as_ref().map(|open| Open {
                decision: open.decision.clone(),
                action: open.action,
                rule: open.rule.clone(),
                since: open.opened.wall,
                attempts: open.attempts,
            }),
            facts: call.facts.clone(),
            rules: explain::explain(&self.policy, subject, |terms| standing(call, terms)),
            ..about
        }
    }
}

fn standing(call: &Call, terms: &Terms) -> Option<Standing> {
    let hold = call.latches.get(&terms.name)?;
    Some(match hold.phase {
        HoldPhase::Pending => Standing::waiting(hold.since, terms.after),
        HoldPhase::Held => Standing::held(hold.since, terms.at_most),
        HoldPhase::Expired => Standing::Expired { since: hold.since },
    })
}
