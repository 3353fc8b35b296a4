//! Where starts and stops are not permitted (403), and whom that keeps waiting.
//!
//! Roles are granted per division (GENESYS.md 9), so that what is missing for one conversation is there for the
//! next. A decision that was refused is tried again by itself, every [`PROBE_EVERY`], and all others go on. Once
//! `CLOSED_AFTER` conversations of one scope, which is a permission in the same divisions, have been refused and
//! none was let in between, the scope is closed: of all its decisions one is tried every [`PROBE_EVERY`], so that a
//! missing role does not use up the rate. Who was refused stands behind who was not. The first that is let in
//! opens the scope again.
//!
//! Readiness is down while somebody is refused or a scope is closed. An operator is told once for each scope; again
//! once it had been granted meanwhile, or after `TOLD_FOR`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::conversation::Conversation;
use crate::model::ids::{ConversationId, QueueId};
use crate::model::time::Mono;
use crate::warden::backoff::News;
use crate::wire::request::Request;

/// A missing permission is tried again so often: rarely enough to leave the budget alone, often enough
/// that a granted role is noticed within a minute.
pub const PROBE_EVERY: Duration = Duration::from_secs(30);
/// So many refused in a row are no matter of one conversation any more.
const CLOSED_AFTER: usize = 3;
/// A scope where conversation after conversation is refused is told of no more often.
const TOLD_FOR: Duration = Duration::from_secs(3600);

/// What one role covers, as far as an answer tells: a permission, in the same divisions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    permission: Option<&'static str>,
    place: Place,
}

/// Where a permission is needed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// In all of these.
    Divisions(BTreeSet<String>),
    /// The platform named no division; a queue is in one.
    Queue(QueueId),
    /// Nothing is known of it.
    Unknown,
}

impl Scope {
    /// The one that `request` for this conversation falls in.
    pub fn of(request: &Request, conversation: &Conversation) -> Self {
        let place = if conversation.divisions.is_empty() {
            conversation.queue().map_or(Place::Unknown, |queue| Place::Queue(queue.id.clone()))
        } else {
            Place::Divisions(conversation.divisions.iter().cloned().collect())
        };
        Self { permission: request.permission(), place }
    }

    /// The permission that is needed, where it is documented.
    pub fn permission(&self) -> Option<&'static str> {
        self.permission
    }

    /// Where a role has to grant it, in words.
    pub fn place(&self) -> String {
        match &self.place {
            Place::Divisions(ids) => {
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                let word = if ids.len() == 1 { "division" } else { "divisions" };
                format!("{word} {}", ids.join(", "))
            }
            Place::Queue(id) => format!("the division of queue {id}"),
            Place::Unknown => "every division concerned".to_owned(),
        }
    }
}

/// Whom the refusals of a scope concern.
#[derive(Clone, Debug)]
enum Course {
    /// Those who are refused alone. These were, since the last one that was let in.
    Open { in_a_row: BTreeSet<ConversationId> },
    /// Everybody: one is tried at a time, the next one then.
    Closed { probe_at: Mono },
}

#[derive(Clone, Debug)]
struct Standing {
    course: Course,
    /// Who has an open decision that was refused.
    refused: BTreeSet<ConversationId>,
    /// For people.
    message: String,
}

/// What follows from a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// Whether the operator is to be told of the scope.
    pub alert: News,
    /// Whether it was closed just now.
    pub closed: News,
}

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct Permissions {
    standings: BTreeMap<Scope, Standing>,
    told: BTreeMap<Scope, Mono>,
}

impl Permissions {
    /// A decision for this conversation was refused; `message` is what people are told of that.
    pub fn refuse(&mut self, scope: &Scope, id: &ConversationId, message: &str, now: Mono) -> Consequence {
        let standing = self.standings.entry(scope.clone()).or_insert_with(|| Standing {
            course: Course::Open { in_a_row: BTreeSet::new() },
            refused: BTreeSet::new(),
            message: message.to_owned(),
        });
        standing.refused.insert(id.clone());
        let mut closed = News::No;
        if let Course::Open { in_a_row } = &mut standing.course {
            in_a_row.insert(id.clone());
            if in_a_row.len() >= CLOSED_AFTER {
                standing.course = Course::Closed { probe_at: now + PROBE_EVERY };
                closed = News::Yes;
            }
        }
        self.told.retain(|_, at| now.since(*at) < TOLD_FOR);
        let alert = if self.told.contains_key(scope) { News::No } else { News::Yes };
        self.told.entry(scope.clone()).or_insert(now);
        Consequence { alert, closed }
    }

    /// The platform let a decision for this conversation in.
    pub fn admit(&mut self, scope: &Scope, id: &ConversationId) {
        let Some(standing) = self.standings.get_mut(scope) else { return };
        let was_refused = standing.refused.remove(id);
        let was_closed = matches!(standing.course, Course::Closed { .. });
        standing.course = Course::Open { in_a_row: BTreeSet::new() };
        if standing.refused.is_empty() {
            self.standings.remove(scope);
            if was_refused || was_closed {
                self.told.remove(scope);
            }
        }
    }

    /// The decision for this conversation is no more.
    pub fn forget(&mut self, id: &ConversationId) {
        self.standings.retain(|_, standing| {
            standing.refused.remove(id);
            matches!(standing.course, Course::Closed { .. }) || !standing.refused.is_empty()
        });
    }

    /// Until when a decision of this scope has to wait; none where it may be tried.
    pub fn held_until(&self, scope: &Scope, now: Mono) -> Option<Mono> {
        match self.standings.get(scope)?.course {
            Course::Closed { probe_at } => Some(probe_at).filter(|at| *at > now),
            Course::Open { .. } => None,
        }
    }

    /// A decision of this scope is tried.
    pub fn tried(&mut self, scope: &Scope, now: Mono) {
        if let Some(Standing { course: Course::Closed { probe_at }, .. }) = self.standings.get_mut(scope) {
            *probe_at = now + PROBE_EVERY;
        }
    }

    /// What is not permitted, for people; none where all is.
    pub fn message(&self) -> Option<String> {
        let first = self.standings.values().next()?;
        Some(match self.standings.len() - 1 {
            0 => first.message.clone(),
            more => format!(
                "{} The same, or another permission, is missing in {more} more places.",
                first.message
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warden::bench::id;

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    fn scope(division: &str) -> Scope {
        let place = Place::Divisions(BTreeSet::from([division.to_owned()]));
        Scope { permission: Some("a:b:c"), place }
    }

    #[test]
    fn a_refusal_holds_nobody_else_until_three_were_refused_in_a_row() {
        let mut permissions = Permissions::default();
        let refused = |permissions: &mut Permissions, number| {
            permissions.refuse(&scope("sales"), &id(number), "missing", at(1)).closed
        };
        assert_eq!([0, 1, 0].map(|number| refused(&mut permissions, number)), [News::No; 3]);
        permissions.admit(&scope("sales"), &id(9));
        assert_eq!([2, 3].map(|number| refused(&mut permissions, number)), [News::No; 2]);
        assert_eq!(permissions.held_until(&scope("sales"), at(1)), None);
        assert_eq!(refused(&mut permissions, 4), News::Yes);
        assert_eq!(permissions.held_until(&scope("sales"), at(1)), Some(at(31)));
        assert_eq!(permissions.held_until(&scope("service"), at(1)), None);
        permissions.tried(&scope("sales"), at(31));
        assert_eq!(permissions.held_until(&scope("sales"), at(32)), Some(at(61)));
        permissions.admit(&scope("sales"), &id(5));
        assert_eq!(permissions.held_until(&scope("sales"), at(32)), None, "it is granted");
    }

    #[test]
    fn an_operator_is_told_once_until_it_was_granted_or_for_an_hour() {
        let mut permissions = Permissions::default();
        let told = |permissions: &mut Permissions, number, second| {
            permissions.refuse(&scope("sales"), &id(number), "missing", at(second)).alert
        };
        assert_eq!([told(&mut permissions, 0, 1), told(&mut permissions, 1, 2)], [News::Yes, News::No]);
        permissions.admit(&scope("sales"), &id(9));
        assert_eq!(told(&mut permissions, 2, 3), News::No, "who is let in beside them changes nothing");
        (0..3).for_each(|number| permissions.forget(&id(number)));
        assert_eq!(permissions.message(), None, "nobody is refused now");
        assert_eq!(told(&mut permissions, 3, 4), News::No);
        permissions.admit(&scope("sales"), &id(3));
        assert_eq!(told(&mut permissions, 4, 5), News::Yes, "it was granted, and taken away");
        assert_eq!([told(&mut permissions, 4, 3604), told(&mut permissions, 4, 3605)], [News::No, News::Yes]);
    }

    #[test]
    fn a_closed_scope_stays_known_as_such_though_who_was_refused_is_gone() {
        let mut permissions = Permissions::default();
        for number in 0..3 {
            permissions.refuse(&scope("sales"), &id(number), "missing", at(1));
        }
        (0..3).for_each(|number| permissions.forget(&id(number)));
        assert_eq!(permissions.message().as_deref(), Some("missing"));
        permissions.admit(&scope("sales"), &id(7));
        assert_eq!(permissions.message(), None);
    }
}
