//! What rules saw, from captured events: the policy is rehearsed on them, and explained where they end.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::Failure;
use crate::io::events::{Entry, EntryError, EventFiles};
use crate::model::ids::ConversationId;
use crate::model::time::Wall;
use crate::settings::Loaded;
use crate::warden::Explained;
use crate::warden::rehearsal::Rehearsal;
use crate::wire::captured::Contents;
use crate::wire::frame::Event;

/// How far apart events count where the file does not say.
const APART: Duration = Duration::from_secs(1);
/// More conversations than this are more than a person reads.
const MOST: usize = 50;
/// Entries that cannot be read and are named.
const NAMED: u64 = 5;

/// One conversation.
pub(super) struct Told {
    pub(super) explained: Explained,
    /// When the events told that it is over; what is explained is the last moment before.
    pub(super) ended: Option<Wall>,
}

/// Why reading ends.
enum Stop {
    /// The moment to explain is reached.
    There,
    Failed(Failure),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

struct Reader<'r> {
    loaded: &'r Loaded,
    rehearsal: Rehearsal,
    only: Option<&'r ConversationId>,
    until: Option<Wall>,
    at: Option<Wall>,
    told: BTreeMap<ConversationId, Told>,
    unreadable: u64,
}

/// Explains the conversations that the files tell of, or the one that is asked for.
pub(super) fn explain(
    loaded: &Loaded,
    files: &[PathBuf],
    only: Option<&ConversationId>,
    until: Option<Wall>,
    complaints: &mut dyn Write,
) -> Result<Vec<Told>, Failure> {
    let files = EventFiles::open(files)?;
    let names = files.names();
    let settings = &loaded.settings.warden;
    let rehearsal =
        |begin| Rehearsal::new(settings.means, settings.directive_priority, loaded.policy.clone(), begin);
    let mut reader = Reader {
        loaded,
        rehearsal: rehearsal(Wall::default()),
        only,
        until,
        at: None,
        told: BTreeMap::new(),
        unreadable: 0,
    };
    let read = files.for_each(|entry: Entry| {
        let place = entry.place;
        match entry.read {
            Ok(captured) => reader.take(captured.at, captured.what),
            Err(error @ EntryError::BrokenOff(_)) => {
                let name = names.get(place.file).map_or("-", String::as_str);
                Ok(writeln!(
                    complaints,
                    "{name}:{}: {error}; what it tells up to here is explained",
                    place.line
                )?)
            }
            Err(error) => {
                reader.unreadable += 1;
                if reader.unreadable <= NAMED {
                    let name = names.get(place.file).map_or("-", String::as_str);
                    writeln!(complaints, "{name}:{}: passed over: {error}", place.line)?;
                }
                Ok(())
            }
        }
    });
    match read {
        Ok(()) | Err(Stop::There) => Ok(reader.finish()),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

impl Reader<'_> {
    fn take(&mut self, at: Option<Wall>, what: Contents) -> Result<(), Stop> {
        let event = match what {
            Contents::Conversation(event) => event,
            Contents::Queues(names) => {
                self.rehearsal.name_queues(names);
                return Ok(());
            }
            Contents::Other => return Ok(()),
        };
        // Where nothing says when, the conversation's own beginning is the best that is known.
        let began = event.decoded.conversation.start_time.unwrap_or_default();
        let at = at.unwrap_or_else(|| self.at.map_or(began, |last| last + APART));
        if self.until.is_some_and(|until| at > until) {
            return Err(Stop::There);
        }
        self.at = Some(at);
        if self.only.is_some_and(|only| *only != event.decoded.conversation.id) {
            return Ok(());
        }
        self.rehearsal.advance(at);
        self.look(*event, at)
    }

    fn look(&mut self, event: Event, at: Wall) -> Result<(), Stop> {
        let conversation = event.decoded.conversation;
        let (id, topic) = (conversation.id.clone(), event.topic.as_str().to_owned());
        let means = self.loaded.settings.warden.means;
        self.rehearsal.see(conversation.clone(), &topic, &event.correlation);
        match (self.rehearsal.explain(&id), self.told.get_mut(&id)) {
            (Some(explained), _) => drop(self.told.insert(id, Told { explained, ended: None })),
            (None, Some(known)) => drop(known.ended.get_or_insert(at)),
            (None, None) => {
                let explained = Explained::snapshot(&self.loaded.policy, &means, &conversation, &topic, at);
                self.told.insert(id, Told { explained, ended: Some(at) });
            }
        }
        if self.told.len() > MOST {
            let message = format!(
                "the events tell of more than {MOST} conversations; name one: recwarden explain CONVERSATION --events FILE"
            );
            return Err(Stop::Failed(Failure::Usage(message)));
        }
        Ok(())
    }

    /// Lets what falls due by time alone happen up to the moment that is asked for.
    fn finish(mut self) -> Vec<Told> {
        if let Some(until) = self.until {
            self.rehearsal.advance(until);
            for (id, told) in &mut self.told {
                if let Some(explained) = self.rehearsal.explain(id) {
                    told.explained = explained;
                }
            }
        }
        self.told.into_values().collect()
    }
}
