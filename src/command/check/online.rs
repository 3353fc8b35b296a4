//! `check --online`: what the platform says of credentials, permissions, queues, users and topics. It reads,
//! and it asks for a change of one conversation that cannot exist, since a missing permission shows only so.

use std::collections::BTreeMap;
use std::io::Write;

use super::super::Failure;
use crate::daemon::startup;
use crate::io::api::Api;
use crate::io::clock::Clock;
use crate::model::conversation::Media;
use crate::model::document::{Diagnostic, nearest};
use crate::model::ids::{ConversationId, ParticipantId, QueueId, UserId};
use crate::model::recording::{Action, RecorderState};
use crate::policy::compile::PlacedName;
use crate::settings::{Loaded, unknown, unknown_queue};
use crate::warden::plan::{Control, StartFromNone};
use crate::wire::reply::{self, BodyError, Fault, OfferedTopic, Page, RawAnswer, Who};
use crate::wire::request::{Request, SnippetKind, Switch};
use crate::wire::topic::Topic;

/// An id that no conversation has: asked about it, the platform tells "not permitted" from "no such thing".
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// Asks the platform.
///
/// # Errors
/// Where it refuses anything that the daemon needs; everything is asked first.
pub(super) async fn run(loaded: &Loaded, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(genesys) = &loaded.settings.genesys else { return Ok(()) };
    let clock = Clock::start();
    let api = startup::api_now(genesys, clock).await.map_err(|error| Failure::failed(&error))?;
    writeln!(out, "credentials: accepted by {}", genesys.login_url)?;
    let mut asking = Asking { api, clock, out, refused: 0 };
    let queues = asking.queues().await?;
    let users = asking.users(loaded).await?;
    asking.conversations(queues.keys().next().cloned()).await?;
    asking.control(loaded).await?;
    asking.topics(loaded).await?;
    let refused = asking.refused;
    let mut unknown: Vec<Diagnostic> = loaded
        .subscribed_queues
        .iter()
        .chain(&loaded.queue_patterns)
        .filter_map(|one| unknown_queue(one, &queues))
        .collect();
    unknown.extend(loaded.subscribed_users.iter().filter_map(|one| unknown_user(one, &users)));
    if !unknown.is_empty() {
        return Err(Failure::Configuration(unknown));
    }
    if refused > 0 {
        return Err(Failure::Failed(format!(
            "the platform does not give what this configuration needs: see what is marked above ({refused})"
        )));
    }
    Ok(writeln!(out, "the platform offers all that this configuration needs")?)
}

struct Asking<'o> {
    api: Api,
    clock: Clock,
    out: &'o mut dyn Write,
    refused: usize,
}

impl Asking<'_> {
    async fn ask(&self, request: &Request) -> Result<String, Fault> {
        let answer = self.api.send(request).await;
        reply::classify(&answer, self.clock.now().wall)?;
        match answer {
            RawAnswer::Answered { body, .. } => Ok(body),
            RawAnswer::Failed(transport) => Err(Fault::Transient { message: transport.to_string() }),
        }
    }

    fn say(&mut self, what: &str, how: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{what}: {how}")?)
    }

    fn refuse(&mut self, what: &str, request: &Request, fault: &Fault) -> Result<(), Failure> {
        self.refused += 1;
        let help = match (fault, request.permission()) {
            (Fault::Forbidden { .. }, Some(permission)) => {
                format!("; give the client's role {permission}, in every division")
            }
            _ => String::new(),
        };
        let word = match fault {
            Fault::Transient { .. } | Fault::Limited { .. } | Fault::Unsent { .. } => "NO ANSWER",
            Fault::TokenStale
            | Fault::Forbidden { .. }
            | Fault::Gone { .. }
            | Fault::Conflict { .. }
            | Fault::Invalid { .. }
            | Fault::Refused { .. } => "REFUSED",
        };
        self.say(what, &format!("{word}: {fault}{help}"))
    }

    /// All pages of a list; none where it is refused.
    async fn list<Id: Ord>(
        &mut self,
        what: &str,
        page_of: impl Fn(u32) -> Request,
        read: impl Fn(&str) -> Result<Page<Id>, BodyError>,
    ) -> Result<BTreeMap<Id, String>, Failure> {
        let (mut all, mut page) = (BTreeMap::new(), 1);
        loop {
            let request = page_of(page);
            let body = match self.ask(&request).await {
                Ok(body) => body,
                Err(fault) => {
                    self.refuse(what, &request, &fault)?;
                    return Ok(all);
                }
            };
            let read = read(&body).map_err(|error| Failure::failed(&error))?;
            all.extend(read.entities);
            if page >= read.pages {
                break;
            }
            page += 1;
        }
        let count = all.len();
        self.say(what, &format!("{count} can be read"))?;
        Ok(all)
    }

    async fn queues(&mut self) -> Result<BTreeMap<QueueId, String>, Failure> {
        self.list("queues", |page| Request::ListQueues { page }, reply::queues).await
    }

    async fn users(&mut self, loaded: &Loaded) -> Result<BTreeMap<UserId, String>, Failure> {
        if loaded.settings.warden.directory.users.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.list("users", |page| Request::ListUsers { page }, reply::users).await
    }

    async fn conversations(&mut self, some_queue: Option<QueueId>) -> Result<(), Failure> {
        let query = Request::ActivityQuery { queues: some_queue.into_iter().collect(), page: 1 };
        match self.ask(&query).await {
            Ok(_) => self.say("live conversations", "can be queried")?,
            Err(fault) => self.refuse("live conversations", &query, &fault)?,
        }
        let read = Request::GetConversation { conversation: ConversationId::new(NOBODY) };
        self.probe("reading a conversation", &read).await
    }

    /// Asks about the conversation that cannot exist: "no such thing" is the good answer.
    async fn probe(&mut self, what: &str, request: &Request) -> Result<(), Failure> {
        match self.ask(request).await {
            Ok(_) | Err(Fault::Gone { .. } | Fault::Conflict { .. } | Fault::Invalid { .. }) => {
                self.say(what, "permitted, as far as a conversation that does not exist can show")
            }
            Err(fault) => self.refuse(what, request, &fault),
        }
    }

    async fn control(&mut self, loaded: &Loaded) -> Result<(), Failure> {
        let means = loaded.settings.warden.means;
        let conversation = ConversationId::new(NOBODY);
        let pause = Request::SetRecordingState {
            conversation: conversation.clone(),
            media: Media::Call,
            state: RecorderState::Paused,
        };
        let snippet = Request::Snippet {
            conversation: conversation.clone(),
            participant: ParticipantId::new(NOBODY),
            kind: SnippetKind::Adhoc,
            record: Switch::Off,
        };
        let action = Request::RecordingsAction { conversation, action: Action::Stop };
        match means.control {
            Control::RecordingState => {
                self.probe("secure pause and resume", &pause).await?;
                if means.start_from_none == StartFromNone::AdHoc {
                    self.probe("ad-hoc recording (recording.start_from_none)", &snippet).await?;
                }
                Ok(())
            }
            Control::AdHoc => self.probe("ad-hoc recording", &snippet).await,
            Control::RecordingsAction => self.probe("the gateway's recordings operation", &action).await,
        }
    }

    async fn topics(&mut self, loaded: &Loaded) -> Result<(), Failure> {
        let request = Request::AvailableTopics;
        let body = match self.ask(&request).await {
            Ok(body) => body,
            Err(fault) => return self.refuse("topics", &request, &fault),
        };
        let offered = reply::offered_topics(&body).map_err(|error| Failure::failed(&error))?;
        for topic in needed_topics(loaded) {
            let of_kind = offered.iter().find(|one| one.covers(&topic));
            match of_kind {
                Some(OfferedTopic { who: Who::Anyone, permissions, .. }) if permissions.is_empty() => {
                    self.say(&format!("topic {topic}"), "offered")?;
                }
                Some(OfferedTopic { who: Who::Anyone, permissions, .. }) => {
                    self.say(
                        &format!("topic {topic}"),
                        &format!("offered; needs {}", permissions.join(", ")),
                    )?;
                }
                Some(OfferedTopic { who: Who::UsersOnly, .. }) => {
                    self.refused += 1;
                    let why = "REFUSED: only for people who are logged in, not for client credentials";
                    self.say(&format!("topic {topic}"), why)?;
                }
                None => {
                    self.refused += 1;
                    let near = nearest(topic.as_str(), offered.iter().map(|one| one.template.as_str()));
                    let help = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
                    self.say(
                        &format!("topic {topic}"),
                        &format!("REFUSED: the platform has none such{help}"),
                    )?;
                }
            }
        }
        Ok(())
    }
}

/// One topic of each kind that the configuration leads to.
fn needed_topics(loaded: &Loaded) -> Vec<Topic> {
    let directory = &loaded.settings.warden.directory;
    let mut topics = Vec::new();
    if !directory.queues.is_empty() {
        topics.push(Topic::queue_conversations(&QueueId::new("{id}")));
    }
    if !directory.users.is_empty() {
        topics.push(Topic::user_conversations(&UserId::new("{id}")));
    }
    topics.extend(directory.topics.iter().cloned());
    topics
}

fn unknown_user(wanted: &PlacedName, users: &BTreeMap<UserId, String>) -> Option<Diagnostic> {
    let text = &wanted.text;
    let known = users.iter().any(|(id, address)| id.as_str() == text || address.eq_ignore_ascii_case(text));
    (!known && !users.is_empty()).then(|| unknown(wanted, "user", users.values()))
}
