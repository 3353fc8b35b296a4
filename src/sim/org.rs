//! The organisation: its queues and its agents. Ids come from the names, so they are the same in every run.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sim::random::Chance;

/// Whether calls of a queue are recorded by policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taping {
    /// Every call is recorded from the moment it reaches an agent.
    Recorded,
    /// No call is.
    Silent,
}

/// What callers of a queue come for; traffic gives them the life that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Business {
    /// Card numbers are read out.
    Cards,
    /// Anything else.
    Talk,
}

/// Whether a queue or an agent is there for new callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Open,
    /// It was removed: no list names it; its calls go on.
    Removed,
}

/// One routing queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Cow<'static, str>,
    /// Whether its calls are recorded.
    pub taping: Taping,
    /// What its callers come for.
    pub business: Business,
    /// Whether it is there.
    pub standing: Standing,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: String,
    /// A name that is nobody's.
    pub name: String,
    /// An address that is nobody's.
    pub email: String,
    /// Whether they are there.
    pub standing: Standing,
}

/// The organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Org {
    /// Its id.
    pub id: String,
    /// The division of its queues, its agents and most conversations.
    pub division: String,
    /// The one of conversations for which the client has no role, where there are any.
    pub other_division: String,
    /// Its queues.
    pub queues: Vec<Queue>,
    /// Its agents.
    pub users: Vec<User>,
    // Thousands of agents are looked up in every event.
    places: BTreeMap<String, usize>,
}

const QUEUES: [(&str, Taping, Business); 7] = [
    ("Payments", Taping::Recorded, Business::Cards),
    ("Card Services", Taping::Recorded, Business::Cards),
    ("Support", Taping::Recorded, Business::Talk),
    ("Sales", Taping::Recorded, Business::Talk),
    ("Claims", Taping::Recorded, Business::Talk),
    ("Collections", Taping::Recorded, Business::Cards),
    ("Internal Helpdesk", Taping::Silent, Business::Talk),
];

impl Org {
    /// The organisation with so many agents.
    pub fn new(agents: usize) -> Self {
        let queue = |&(name, taping, business): &(&'static str, Taping, Business)| Queue {
            id: Chance::named(&format!("queue {name}")).uuid(),
            name: Cow::Borrowed(name),
            taping,
            business,
            standing: Standing::Open,
        };
        let user = |number: usize| User {
            id: Chance::named(&format!("agent {number}")).uuid(),
            name: format!("Agent {number:02}"),
            email: format!("agent.{number:02}@example.com"),
            standing: Standing::Open,
        };
        let users: Vec<User> = (1..=agents).map(user).collect();
        let places = users.iter().enumerate().map(|(place, user)| (user.id.clone(), place)).collect();
        Self {
            id: Chance::named("organisation").uuid(),
            division: Chance::named("home division").uuid(),
            other_division: Chance::named("other division").uuid(),
            queues: QUEUES.iter().map(queue).collect(),
            users,
            places,
        }
    }

    /// The places of the queues that are there.
    pub fn open_queues(&self) -> Vec<usize> {
        let open =
            |place: &usize| self.queues.get(*place).is_some_and(|queue| queue.standing == Standing::Open);
        (0..self.queues.len()).filter(open).collect()
    }

    /// Brings every queue back that was removed; how many there were.
    pub fn open_all_queues(&mut self) -> usize {
        let removed = self.queues.iter_mut().filter(|queue| queue.standing == Standing::Removed);
        removed.map(|queue| queue.standing = Standing::Open).count()
    }

    /// The same, with queues of other names; the standard ones where there are none.
    pub fn with_queues(agents: usize, queues: &[(String, Taping)]) -> Self {
        let queue = |(name, taping): &(String, Taping)| Queue {
            id: Chance::named(&format!("queue {name}")).uuid(),
            name: Cow::Owned(name.clone()),
            taping: *taping,
            business: Business::Talk,
            standing: Standing::Open,
        };
        let own: Vec<Queue> = queues.iter().map(queue).collect();
        let standard = Self::new(agents);
        Self { queues: if own.is_empty() { standard.queues } else { own }, ..standard }
    }

    /// Makes a queue for card payments.
    pub fn add_queue(&mut self, name: &'static str) {
        let id = Chance::named(&format!("queue {name}")).uuid();
        let (name, standing) = (Cow::Borrowed(name), Standing::Open);
        self.queues.push(Queue { id, name, taping: Taping::Recorded, business: Business::Cards, standing });
    }

    /// The queue of this id.
    pub fn queue(&self, id: &str) -> Option<&Queue> {
        self.queues.iter().find(|queue| queue.id == id)
    }

    /// The user of this id.
    pub fn user(&self, id: &str) -> Option<&User> {
        self.users.get(*self.places.get(id)?)
    }

    fn division_json(&self) -> Value {
        json!({
            "id": self.division,
            "name": "Home",
            "selfUri": format!("/api/v2/authorization/divisions/{}", self.division),
        })
    }

    /// A queue as `GET /api/v2/routing/queues/{id}` has it.
    pub fn queue_json(&self, queue: &Queue) -> Value {
        json!({
            "id": queue.id,
            "name": queue.name,
            "division": self.division_json(),
            "dateCreated": "2024-02-01T09:00:00.000Z",
            "dateModified": "2024-02-01T09:00:00.000Z",
            "memberCount": self.users.len(),
            "suppressInQueueCallRecording": true,
            "enableTranscription": false,
            "selfUri": format!("/api/v2/routing/queues/{}", queue.id),
        })
    }

    /// A user as `GET /api/v2/users/{id}` has it.
    pub fn user_json(&self, user: &User) -> Value {
        json!({
            "id": user.id,
            "name": user.name,
            "division": self.division_json(),
            "email": user.email,
            "primaryContactInfo": [{"address": user.email, "mediaType": "EMAIL", "type": "PRIMARY"}],
            "addresses": [],
            "state": "active",
            "username": user.email,
            "version": 1,
            "acdAutoAnswer": false,
            "selfUri": format!("/api/v2/users/{}", user.id),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_in_every_run() {
        assert_eq!(Org::new(3), Org::new(3));
        let org = Org::new(3);
        assert_eq!(org.queue(&org.queues[0].id).map(|queue| &*queue.name), Some("Payments"));
        assert_eq!(org.user(&org.users[2].id).map(|user| user.email.as_str()), Some("agent.03@example.com"));
    }
}
