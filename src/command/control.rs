//! `recwarden start`, `stop`, `status` and `control`: one conversation, by hand. Where the daemon runs it is
//! asked, through its control socket; where none does, the command does the work itself, in the same log.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Failure, environment};
use crate::daemon::{self, startup};
use crate::http::ask::{CallView, DecisionState, DirectiveOrder, Order, Origin, WAITING_ASKS};
use crate::http::{control, order};
use crate::io::clock::Clock;
use crate::io::signals::Signal;
use crate::model::ids::ConversationId;
use crate::model::recording::Action;
use crate::settings::{Credentials, Loaded, Source};
use crate::wire::reply::{self, Fault, RawAnswer};
use crate::wire::request::Request;

/// The decision is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Options of `start`, `stop` and `status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  recwarden stop 5c5a3b1e-8f0d-4a5e-9d5c-1f2e3d4c5b6a --reason 'customer objects'\n  recwarden status 5c5a3b1e-8f0d-4a5e-9d5c-1f2e3d4c5b6a --format json"
)]
pub struct Options {
    /// The conversation's id; where it is left out, TEST_CONVERSATION_ID of the environment or `.env`.
    pub conversation: Option<String>,
    /// The configuration.
    #[arg(long, env = "RECWARDEN_CONFIG", default_value = super::DEFAULT_CONFIG, value_name = "FILE")]
    pub config: PathBuf,
    /// Why, for the audit log.
    #[arg(long, default_value = "")]
    pub reason: String,
    /// How long to wait for the platform's own word, in seconds.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub wait: u64,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How to print the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// What to do with the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Start or stop its recording.
    Directive(Action),
    /// Say how it stands.
    Status,
    /// What `TEST_ACTION` says.
    FromEnvironment,
}

/// Runs it.
///
/// # Errors
/// Where the order is refused, or does not come true in time.
pub fn run(
    wanted: Wanted,
    options: &Options,
    out: &mut dyn Write,
    complaints: &mut dyn Write,
) -> Result<(), Failure> {
    super::log_to_warnings();
    let environment = environment()?;
    let given = options.conversation.clone().or_else(|| environment.get("TEST_CONVERSATION_ID").cloned());
    let Some(given) = given else {
        let message = "which conversation? Name its id, or set TEST_CONVERSATION_ID";
        return Err(Failure::Usage(message.into()));
    };
    let conversation =
        order::conversation_id(given.trim()).map_err(|error| Failure::Usage(error.to_string()))?;
    let wanted = resolved(wanted, &environment)?;
    // A daemon that runs is asked whatever became of the configuration, or of who may read its secrets, since.
    let source = Source { path: options.config.clone(), environment, credentials: Credentials::Unneeded };
    let found = source.whereabouts().map_err(Failure::Configuration)?;
    let socket = control::path(&found.audit_directory);
    let source = Source { credentials: Credentials::Needed, ..source };
    super::runtime()?.block_on(async {
        let runs = tokio::net::UnixStream::connect(&socket).await.is_ok();
        if let Some(warning) = found.warning(&options.config).filter(|_| runs || wanted == Wanted::Status) {
            writeln!(complaints, "recwarden: {warning}")?;
        }
        match (wanted, runs) {
            (Wanted::Directive(action), true) => {
                ask_daemon(&socket, conversation, action, options, out).await
            }
            (Wanted::Directive(action), false) => {
                let loaded = source.load().map_err(Failure::Configuration)?;
                alone(loaded, conversation, action, options, out).await
            }
            (Wanted::Status | Wanted::FromEnvironment, runs) => {
                let socket = runs.then_some(socket.as_path());
                status(&source, socket, conversation, options, out).await
            }
        }
    })
}

/// What the environment says, where it is asked.
fn resolved(wanted: Wanted, environment: &BTreeMap<String, String>) -> Result<Wanted, Failure> {
    match wanted {
        Wanted::FromEnvironment => match environment.get("TEST_ACTION").map(String::as_str) {
            Some("start") => Ok(Wanted::Directive(Action::Start)),
            Some("stop") => Ok(Wanted::Directive(Action::Stop)),
            Some(other) => Err(Failure::Usage(format!("TEST_ACTION must be start or stop, not '{other}'"))),
            None => {
                let message = "start or stop? Set TEST_ACTION, in the environment or in .env";
                Err(Failure::Usage(message.into()))
            }
        },
        Wanted::Directive(_) | Wanted::Status => Ok(wanted),
    }
}

fn directive(conversation: ConversationId, action: Action, options: &Options) -> DirectiveOrder {
    let by =
        std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "manual".into());
    let order = Order::Set { action, lasts: None };
    DirectiveOrder {
        conversation,
        order,
        by,
        reason: options.reason.clone(),
        origin: Origin::Manual,
        webhook_id: None,
    }
}

pub(super) async fn call(socket: &Path, path: &str, body: Option<Value>) -> Result<Value, Failure> {
    let client =
        reqwest::Client::builder().unix_socket(socket).build().map_err(|error| Failure::failed(&error))?;
    // The host is a name only: the socket is the address.
    let url = format!("http://recwarden{path}");
    let request = match body {
        Some(body) => client.post(url).json(&body),
        None => client.get(url),
    };
    let answer = request.send().await.map_err(|error| Failure::failed(&error))?;
    let refused = !answer.status().is_success();
    let body: Value = answer.json().await.map_err(|error| Failure::failed(&error))?;
    if refused {
        return Err(Failure::Failed(body["error"].as_str().unwrap_or("the daemon refuses").to_owned()));
    }
    Ok(body)
}

async fn ask_daemon(
    socket: &Path,
    conversation: ConversationId,
    action: Action,
    options: &Options,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let body = order::written(&directive(conversation.clone(), action, options));
    let taken = call(socket, "/control/directive", Some(body)).await?;
    let message = taken["message"].as_str().unwrap_or_default().to_owned();
    let Some(decision) = taken["decision"].as_str().map(str::to_owned) else {
        let known = call(socket, &format!("/control/conversations/{conversation}"), None).await?;
        let known = serde_json::from_value(known).map_err(|error| Failure::failed(&error))?;
        let (state, pursuer) = (at_once(known, action), Pursuer::Daemon);
        return say(out, options, &Outcome { decision: None, state, message, pursuer });
    };
    let clock = Clock::start();
    loop {
        let view = call(socket, &format!("/control/decisions/{decision}"), None).await?;
        let state = view["state"].as_str().unwrap_or_default().to_owned();
        if state != "open" || clock.now().mono.since_start() >= Duration::from_secs(options.wait) {
            let message = view["message"].as_str().unwrap_or_default().to_owned();
            let pursuer = Pursuer::Daemon;
            return say(out, options, &Outcome { decision: Some(decision), state, message, pursuer });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Does the work of the daemon for one conversation, without a subscription.
async fn alone(
    loaded: Loaded,
    conversation: ConversationId,
    action: Action,
    options: &Options,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut settings = loaded.settings;
    let Some(genesys) = settings.genesys.clone() else { return Ok(()) };
    // Somebody waits for the outcome: where nothing can be done that is told, and nothing is begun.
    startup::api_now(&genesys, Clock::start()).await.map_err(|error| Failure::failed(&error))?;
    settings.warden.directory.queues.clear();
    settings.warden.directory.users.clear();
    settings.warden.directory.topics.clear();
    let (asks_tx, asks) = mpsc::channel(WAITING_ASKS);
    let (signals_tx, signals) = mpsc::channel(1);
    let start = startup::Start {
        settings,
        genesys,
        policy: loaded.policy,
        source: None,
        asks,
        signals,
        webhook_secret: None,
        watcher: None,
    };
    let built = startup::build(start).await.map_err(|error| Failure::failed(&error))?;
    let Some(parts) = built else { return Ok(()) };
    let daemon = tokio::spawn(daemon::run(parts));
    let asks = crate::http::ask::Asks::over(asks_tx);
    let done = follow(&asks, directive(conversation, action, options), action, options).await;
    // The daemon ends on this; where it has ended already there is nothing to tell.
    signals_tx.send(Signal::Drain).await.ok();
    let ended = daemon.await.map_err(|error| Failure::failed(&error))?;
    ended.map_err(|error| Failure::failed(&error))?;
    say(out, options, &done?)
}

async fn follow(
    asks: &crate::http::ask::Asks,
    directive: DirectiveOrder,
    action: Action,
    options: &Options,
) -> Result<Outcome, Failure> {
    let conversation = directive.conversation.clone();
    let taken = asks.direct(directive).await.map_err(|error| Failure::failed(&error))?;
    let Some(decision) = taken.decision else {
        let known = asks.conversation(conversation).await.map_err(|error| Failure::failed(&error))?;
        let (state, message) = (at_once(known, action), taken.message);
        return Ok(Outcome { decision: None, state, message, pursuer: Pursuer::NextStart });
    };
    let clock = Clock::start();
    loop {
        let view = asks.decision(decision.clone()).await.map_err(|error| Failure::failed(&error))?;
        let waited = clock.now().mono.since_start() >= Duration::from_secs(options.wait);
        let (state, message) = match view {
            Some(view) if view.state == DecisionState::Open && !waited => {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            Some(view) => (view.state.as_str(), view.message),
            None => (DecisionState::Open.as_str(), taken.message),
        };
        let (decision, state) = (Some(decision.to_string()), state.to_owned());
        return Ok(Outcome { decision, state, message, pursuer: Pursuer::NextStart });
    }
}

/// What became of an order.
struct Outcome {
    /// The decision that it led to, where it led to one.
    decision: Option<String>,
    /// How that stands; without one [`AS_WANTED`] or [`NOT_DONE`].
    state: String,
    message: String,
    pursuer: Pursuer,
}

/// Who goes on with an order that has not come true.
#[derive(Clone, Copy)]
enum Pursuer {
    /// The daemon that runs.
    Daemon,
    /// Nobody does, but the log has it.
    NextStart,
}

/// No decision was needed.
const AS_WANTED: &str = "none";
/// No decision could be made: something outranks the order, the conversation is over, or it is a dry run.
const NOT_DONE: &str = "not-done";

/// The state of an order that led to no decision.
fn at_once(known: Option<CallView>, action: Action) -> String {
    let satisfied = known.is_some_and(|call| action.is_satisfied_by(call.observed));
    if satisfied { AS_WANTED } else { NOT_DONE }.to_owned()
}

fn say(out: &mut dyn Write, options: &Options, outcome: &Outcome) -> Result<(), Failure> {
    let Outcome { decision, state, message, pursuer } = outcome;
    let goes_on = match pursuer {
        Pursuer::Daemon => "the daemon goes on",
        Pursuer::NextStart => "the next start of the daemon goes on",
    };
    let of = decision.as_ref().map(|id| format!(" (decision {id})")).unwrap_or_default();
    let failed = match state.as_str() {
        "abandoned" => Some(format!("the order was given up: {message}{of}")),
        "open" => Some(format!(
            "the order has not come true within {} s: {message}{of}. It stands, and {goes_on} with it",
            options.wait
        )),
        NOT_DONE => Some(message.clone()),
        _ => None,
    };
    match (options.format, decision) {
        (Format::Json, _) => {
            writeln!(out, "{}", json!({"decision": decision, "state": state, "message": message}))?;
        }
        (Format::Text, Some(_)) if failed.is_none() => writeln!(out, "{state}: {message}{of}")?,
        (Format::Text, None) if failed.is_none() => writeln!(out, "{message}")?,
        // Told once, as the failure.
        (Format::Text, _) => {}
    }
    failed.map_or(Ok(()), |failed| Err(Failure::Failed(failed)))
}

async fn status(
    source: &Source,
    socket: Option<&Path>,
    conversation: ConversationId,
    options: &Options,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let known = match socket {
        Some(socket) => call(socket, &format!("/control/conversations/{conversation}"), None).await?,
        None => Value::Null,
    };
    if !known.is_null() {
        if options.format == Format::Json {
            writeln!(out, "{known}")?;
        } else {
            let word = |key: &str| known[key].as_str().unwrap_or_default().to_owned();
            let (observed, wish, rule) = (word("observed"), word("wish"), word("rule"));
            writeln!(out, "{conversation}: {observed}; the policy says {wish} ({rule})")?;
        }
        return Ok(());
    }
    let settings = match source.read() {
        Ok(loaded) => loaded.settings,
        Err(refused) => refused.settings_alone().map_err(Failure::Configuration)?,
    };
    let Some(genesys) = &settings.genesys else { return Ok(()) };
    let clock = Clock::start();
    let api = startup::api_now(genesys, clock).await.map_err(|error| Failure::failed(&error))?;
    let request = Request::GetConversation { conversation: conversation.clone() };
    let answer = api.send(&request).await;
    reply::classify(&answer, clock.now().wall)
        .map_err(|fault| Failure::Failed(unread(&conversation, &fault, request.permission())))?;
    let RawAnswer::Answered { body, .. } = answer else { return Ok(()) };
    let read = crate::wire::conversation::read(&body).map_err(|error| Failure::failed(&error))?;
    let observed = read.conversation.observed();
    let live = if read.conversation.is_live() { "live" } else { "ended" };
    match options.format {
        Format::Json => {
            writeln!(out, "{}", json!({"conversation": conversation, "observed": observed, "state": live}))?;
        }
        Format::Text => {
            let daemon = match socket {
                Some(_) => "the daemon that runs here does not follow it",
                None => "no daemon runs here",
            };
            writeln!(out, "{conversation}: {observed}, {live}; {daemon}")?;
        }
    }
    Ok(())
}

/// Why a conversation cannot be read, and what to do about it.
fn unread(conversation: &ConversationId, fault: &Fault, permission: Option<&str>) -> String {
    match (fault, permission) {
        (Fault::Gone { message }, _) => format!("there is no conversation {conversation}: {message}"),
        (Fault::Forbidden { .. }, Some(permission)) => {
            format!(
                "{conversation} cannot be read: {fault}; give the client's role {permission}, in every division"
            )
        }
        _ => format!("{conversation} cannot be read: {fault}"),
    }
}
