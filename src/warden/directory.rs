//! Which queues and users the subscription covers: the platform's lists, read page by page, against the
//! names, globs and ids of `[subscribe]`. There is no wildcard topic (GENESYS.md, trap 13), so new queues
//! are found by reading the list again.

use std::collections::BTreeMap;
use std::time::Duration;

use globset::{Glob, GlobMatcher};

use crate::model::ids::{QueueId, UserId};
use crate::model::time::Mono;
use crate::wire::request::Request;
use crate::wire::topic::Topic;

/// `[subscribe]`, as far as it says what to subscribe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Names, globs or ids of queues.
    pub queues: Vec<String>,
    /// E-mail addresses or ids of users.
    pub users: Vec<String>,
    /// Topics, verbatim.
    pub topics: Vec<Topic>,
    /// How often the lists are read again.
    pub discover_every: Duration,
}

impl Settings {
    /// Whether nothing is meant to be subscribed: one conversation is controlled by hand.
    pub fn is_nothing(&self) -> bool {
        self.queues.is_empty() && self.users.is_empty() && self.topics.is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Waiting { due: Mono },
    Queues { page: u32 },
    Users { page: u32 },
}

/// The lists, and where reading them stands.
#[derive(Clone, Debug)]
pub struct Directory {
    settings: Settings,
    reading: Reading,
    asked: Asked,
    fresh_queues: BTreeMap<QueueId, String>,
    fresh_users: BTreeMap<UserId, String>,
    queues: BTreeMap<QueueId, String>,
    users: BTreeMap<UserId, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    No,
    Yes,
}

/// What one page brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There are more pages.
    More,
    /// The lists are complete.
    Complete,
}

impl Directory {
    /// Nothing is known; the lists are due at once.
    pub fn new(settings: Settings, now: Mono) -> Self {
        Self {
            settings,
            reading: Reading::Waiting { due: now },
            asked: Asked::No,
            fresh_queues: BTreeMap::new(),
            fresh_users: BTreeMap::new(),
            queues: BTreeMap::new(),
            users: BTreeMap::new(),
        }
    }

    /// New settings after a reload: the lists are read again at once.
    pub fn resettle(&mut self, settings: Settings, now: Mono) {
        self.settings = settings;
        self.reading = Reading::Waiting { due: now };
        self.asked = Asked::No;
    }

    /// The next page to read, once it is due; nothing while one is under way.
    pub fn next_request(&mut self, now: Mono) -> Option<Request> {
        if self.asked == Asked::Yes {
            return None;
        }
        if let Reading::Waiting { due } = self.reading {
            if due > now {
                return None;
            }
            self.fresh_queues.clear();
            self.fresh_users.clear();
            self.reading = Reading::Queues { page: 1 };
        }
        self.asked = Asked::Yes;
        match self.reading {
            Reading::Queues { page } => Some(Request::ListQueues { page }),
            Reading::Users { page } => Some(Request::ListUsers { page }),
            Reading::Waiting { .. } => None,
        }
    }

    /// A page of queues came.
    pub fn queues_page(&mut self, page: Vec<(QueueId, String)>, pages: u32, now: Mono) -> Progress {
        self.fresh_queues.extend(page);
        self.asked = Asked::No;
        match self.reading {
            Reading::Queues { page } if page < pages => self.reading = Reading::Queues { page: page + 1 },
            Reading::Queues { .. } if !self.settings.users.is_empty() => {
                self.reading = Reading::Users { page: 1 };
            }
            Reading::Queues { .. } => return self.complete(now),
            Reading::Waiting { .. } | Reading::Users { .. } => {}
        }
        Progress::More
    }

    /// A page of users (id and e-mail address) came.
    pub fn users_page(&mut self, page: Vec<(UserId, String)>, pages: u32, now: Mono) -> Progress {
        self.fresh_users.extend(page);
        self.asked = Asked::No;
        match self.reading {
            Reading::Users { page } if page < pages => self.reading = Reading::Users { page: page + 1 },
            Reading::Users { .. } => return self.complete(now),
            Reading::Waiting { .. } | Reading::Queues { .. } => {}
        }
        Progress::More
    }

    fn complete(&mut self, now: Mono) -> Progress {
        self.queues = std::mem::take(&mut self.fresh_queues);
        self.users = std::mem::take(&mut self.fresh_users);
        self.reading = Reading::Waiting { due: now + self.settings.discover_every };
        Progress::Complete
    }

    /// The request failed: the page is asked for again at `due`.
    pub fn failed(&mut self, due: Mono) {
        self.asked = Asked::No;
        self.reading = Reading::Waiting { due };
    }

    /// Names of all queues.
    pub fn queue_names(&self) -> &BTreeMap<QueueId, String> {
        &self.queues
    }

    /// The queues that the subscription covers.
    pub fn subscribed_queues(&self) -> Vec<QueueId> {
        let globs: Vec<GlobMatcher> = self
            .settings
            .queues
            .iter()
            .filter_map(|pattern| Glob::new(pattern).ok().map(|glob| glob.compile_matcher()))
            .collect();
        let listed = |id: &QueueId, name: &str| {
            self.settings.queues.iter().any(|one| one == id.as_str() || one == name)
                || globs.iter().any(|glob| glob.is_match(name))
        };
        self.queues.iter().filter(|(id, name)| listed(id, name)).map(|(id, _)| id.clone()).collect()
    }

    /// Every topic that the subscription needs, sorted, each once.
    pub fn topics(&self) -> Vec<Topic> {
        let mut topics: Vec<Topic> =
            self.subscribed_queues().iter().map(Topic::queue_conversations).collect();
        for (id, address) in &self.users {
            if self.settings.users.iter().any(|one| one == id.as_str() || one.eq_ignore_ascii_case(address)) {
                topics.push(Topic::user_conversations(id));
            }
        }
        topics.extend(self.settings.topics.iter().cloned());
        topics.sort();
        topics.dedup();
        topics
    }

    /// When the lists are due again.
    pub fn next_wakeup(&self) -> Option<Mono> {
        match (self.asked, self.reading) {
            (Asked::No, Reading::Waiting { due }) => Some(due),
            (Asked::No, Reading::Queues { .. } | Reading::Users { .. }) => Some(Mono::default()),
            (Asked::Yes, _) => None,
        }
    }
}
