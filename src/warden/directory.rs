//! Which queues and users the subscription covers: the platform's lists, read page by page, against the
//! names, globs and ids of `[subscribe]`. There is no wildcard topic (GENESYS.md, trap 13), so new queues
//! are found by reading the list again.
//!
//! What is new counts at once. What is gone counts only when a second reading lacks it too: a list that changes
//! while its pages are read can leave one out, and an empty answer must not end the whole subscription.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use globset::{Glob, GlobMatcher};

use crate::model::ids::{QueueId, UserId};
use crate::model::time::Mono;
use crate::warden::backoff::{News, Trouble};
use crate::warden::session::Redundancy;
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
    /// On how many channels each topic is carried.
    pub redundancy: Redundancy,
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
    queues: Listed<QueueId>,
    users: Listed<UserId>,
    trouble: Trouble,
}

/// A list as it was read last, with what only the reading before it still had.
#[derive(Clone, Debug)]
struct Listed<Id> {
    all: BTreeMap<Id, String>,
    missing: BTreeSet<Id>,
}

impl<Id: Ord + Clone> Listed<Id> {
    fn new() -> Self {
        Self { all: BTreeMap::new(), missing: BTreeSet::new() }
    }

    fn take(&mut self, fresh: BTreeMap<Id, String>) {
        let former = std::mem::replace(&mut self.all, fresh);
        let missing_before = std::mem::take(&mut self.missing);
        for (id, name) in former {
            if !self.all.contains_key(&id) && !missing_before.contains(&id) {
                self.missing.insert(id.clone());
                self.all.insert(id, name);
            }
        }
    }
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
            queues: Listed::new(),
            users: Listed::new(),
            trouble: Trouble::default(),
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
        self.queues.take(std::mem::take(&mut self.fresh_queues));
        self.users.take(std::mem::take(&mut self.fresh_users));
        self.trouble = Trouble::default();
        self.reading = Reading::Waiting { due: now + self.settings.discover_every };
        Progress::Complete
    }

    /// The request failed, for this reason: the lists are asked for again at `due`.
    pub fn failed(&mut self, why: &str, due: Mono, now: Mono) -> News {
        self.asked = Asked::No;
        self.reading = Reading::Waiting { due };
        self.trouble.again(why, now)
    }

    /// Why the lists could not be read last time; none where they could.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.why()
    }

    /// Names of all queues.
    pub fn queue_names(&self) -> &BTreeMap<QueueId, String> {
        &self.queues.all
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
        self.queues.all.iter().filter(|(id, name)| listed(id, name)).map(|(id, _)| id.clone()).collect()
    }

    /// Every topic that the subscription needs.
    pub fn topics(&self) -> BTreeSet<Topic> {
        let mut topics: BTreeSet<Topic> =
            self.subscribed_queues().iter().map(Topic::queue_conversations).collect();
        for (id, address) in &self.users.all {
            if self.settings.users.iter().any(|one| one == id.as_str() || one.eq_ignore_ascii_case(address)) {
                topics.insert(Topic::user_conversations(id));
            }
        }
        topics.extend(self.settings.topics.iter().cloned());
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

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    fn settings(queues: &[&str], users: &[&str]) -> Settings {
        let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Settings {
            queues: texts(queues),
            users: texts(users),
            topics: Vec::new(),
            redundancy: Redundancy::Single,
            discover_every: EVERY,
        }
    }

    /// Reads the whole list of queues, on one page, at this second.
    fn read(directory: &mut Directory, queues: &[(&str, &str)], seconds: u64) {
        assert_eq!(directory.next_request(at(seconds)), Some(Request::ListQueues { page: 1 }));
        let page = queues.iter().map(|(id, name)| (QueueId::new(id), (*name).to_owned())).collect();
        assert_eq!(directory.queues_page(page, 1, at(seconds)), Progress::Complete);
    }

    fn names(directory: &Directory) -> Vec<String> {
        directory.topics().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_list_is_read_at_once_and_again_at_the_interval() {
        let mut directory = Directory::new(settings(&["*"], &[]), at(5));
        assert_eq!((directory.next_wakeup(), directory.next_request(at(4))), (Some(at(5)), None));
        read(&mut directory, &[], 5);
        assert_eq!((directory.next_wakeup(), directory.next_request(at(64))), (Some(at(65)), None));
        assert!(directory.next_request(at(65)).is_some());
        assert_eq!(
            (directory.next_wakeup(), directory.next_request(at(99))),
            (None, None),
            "one page at a time"
        );
    }

    #[test]
    fn queues_are_read_page_by_page_and_users_only_where_they_are_subscribed() {
        let mut directory = Directory::new(settings(&["*"], &["ann@example.com"]), at(0));
        let queue = |id: &str| vec![(QueueId::new(id), id.to_owned())];
        let user = |id: &str| vec![(UserId::new(id), format!("{id}@Example.com"))];
        directory.next_request(at(0));
        assert_eq!(directory.queues_page(queue("q1"), 2, at(0)), Progress::More);
        assert_eq!(directory.next_request(at(0)), Some(Request::ListQueues { page: 2 }));
        assert_eq!(directory.queues_page(queue("q2"), 2, at(0)), Progress::More);
        assert_eq!(directory.next_request(at(0)), Some(Request::ListUsers { page: 1 }));
        assert_eq!(directory.users_page(user("ann"), 2, at(0)), Progress::More);
        assert_eq!(names(&directory), Vec::<String>::new(), "half a list says nothing");
        assert_eq!(directory.next_request(at(0)), Some(Request::ListUsers { page: 2 }));
        assert_eq!(directory.users_page(user("bob"), 2, at(0)), Progress::Complete);
        assert_eq!(
            names(&directory),
            [
                "v2.routing.queues.q1.conversations",
                "v2.routing.queues.q2.conversations",
                "v2.users.ann.conversations",
            ]
        );
    }

    #[test]
    fn queues_are_meant_by_name_glob_or_id() {
        let mut directory = Directory::new(settings(&["Payments", "Card *", "q9"], &[]), at(0));
        let queues = [("q1", "Payments"), ("q2", "Card Services"), ("q3", "Support"), ("q9", "Sales")];
        read(&mut directory, &queues, 0);
        let subscribed: Vec<String> = directory.subscribed_queues().iter().map(ToString::to_string).collect();
        assert_eq!(subscribed, ["q1", "q2", "q9"]);
        assert_eq!(directory.queue_names().len(), 4, "names of all are known");
    }

    #[test]
    fn topics_by_name_come_beside_the_queues_and_each_once() {
        let mut wanted = settings(&["*"], &[]);
        wanted.topics =
            ["v2.users.u.conversations", "v2.routing.queues.q1.conversations"].map(Topic::new).to_vec();
        let mut directory = Directory::new(wanted, at(0));
        read(&mut directory, &[("q1", "Payments")], 0);
        assert_eq!(names(&directory), ["v2.routing.queues.q1.conversations", "v2.users.u.conversations"]);
    }

    #[test]
    fn a_new_queue_counts_at_once() {
        let mut directory = Directory::new(settings(&["*"], &[]), at(0));
        read(&mut directory, &[("q1", "Payments")], 0);
        read(&mut directory, &[("q1", "Payments"), ("q2", "Support")], 60);
        assert_eq!(directory.subscribed_queues().len(), 2);
    }

    #[test]
    fn a_queue_is_gone_when_two_readings_lack_it() {
        let mut directory = Directory::new(settings(&["*"], &[]), at(0));
        read(&mut directory, &[("q1", "Payments"), ("q2", "Support")], 0);
        read(&mut directory, &[], 60);
        assert_eq!(directory.subscribed_queues().len(), 2, "one empty answer ends nothing");
        read(&mut directory, &[("q1", "Payments")], 120);
        assert_eq!(directory.subscribed_queues(), [QueueId::new("q1")]);
        read(&mut directory, &[], 180);
        read(&mut directory, &[], 240);
        assert!(directory.subscribed_queues().is_empty());
    }

    #[test]
    fn a_queue_that_is_back_is_missed_anew_before_it_is_gone() {
        let mut directory = Directory::new(settings(&["*"], &[]), at(0));
        read(&mut directory, &[("q1", "Payments")], 0);
        read(&mut directory, &[], 60);
        read(&mut directory, &[("q1", "Payments")], 120);
        read(&mut directory, &[], 180);
        assert_eq!(directory.subscribed_queues().len(), 1);
    }

    #[test]
    fn a_page_that_fails_begins_the_reading_anew() {
        let mut directory = Directory::new(settings(&["*"], &[]), at(0));
        directory.next_request(at(0));
        directory.queues_page(vec![(QueueId::new("q1"), "Payments".into())], 2, at(0));
        directory.next_request(at(0));
        assert_eq!(directory.failed("no answer", at(5), at(0)), News::Yes);
        assert_eq!((directory.next_wakeup(), directory.next_request(at(4))), (Some(at(5)), None));
        read(&mut directory, &[("q2", "Support")], 5);
        assert_eq!(directory.subscribed_queues(), [QueueId::new("q2")], "half of the former is forgotten");
    }

    #[test]
    fn new_settings_count_with_the_next_reading_which_is_due_at_once() {
        let mut directory = Directory::new(settings(&["*"], &[]), at(0));
        read(&mut directory, &[("q1", "Payments"), ("q2", "Support")], 0);
        directory.resettle(settings(&["Support"], &[]), at(10));
        assert_eq!(directory.next_wakeup(), Some(at(10)));
        read(&mut directory, &[("q1", "Payments"), ("q2", "Support")], 10);
        assert_eq!(directory.subscribed_queues(), [QueueId::new("q2")]);
    }

    #[test]
    fn why_the_lists_cannot_be_read_is_known_until_they_are() {
        let mut directory = Directory::new(settings(&["*"], &[]), at(0));
        assert_eq!(directory.failed("403", at(5), at(0)), News::Yes);
        assert_eq!((directory.failed("403", at(10), at(5)), directory.trouble()), (News::No, Some("403")));
        read(&mut directory, &[("q1", "Payments")], 80);
        assert_eq!(directory.trouble(), None);
    }
}
