//! `recwarden explain`: why each rule matches a conversation or does not. A live one is asked of the daemon, a
//! past one is told from the audit log, and from captured events where there are some.

mod events;
mod lines;
mod log;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::control::{self as by_hand, Format};
use super::{Failure, environment};
use crate::http::{control, order};
use crate::model::document::instead;
use crate::model::ids::ConversationId;
use crate::model::time::Wall;
use crate::settings::{Credentials, Loaded, Source};
use crate::warden::Explained;

/// Options of `explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "A conversation's id asks the daemon that runs here; where that does not know it (any more), the audit log\n\
    tells what was done, and captured events (--events) what each rule saw. An event file is one that `recwarden\n\
    capture` wrote, or a .json file with one conversation.\n\n\
    Examples:\n  recwarden explain 5c5a3b1e-8f0d-4a5e-9d5c-1f2e3d4c5b6a\n  \
    recwarden explain call.json --rule pause-while-card-is-read\n  \
    recwarden explain 5c5a3b1e-8f0d-4a5e-9d5c-1f2e3d4c5b6a --events monday.jsonl.zst --at 2026-01-05T09:41:00Z"
)]
pub struct Options {
    /// The conversation's id, or a file with events
    #[arg(value_name = "CONVERSATION|EVENT-FILE")]
    pub subject: String,
    /// Only this rule
    #[arg(long, value_name = "NAME")]
    pub rule: Option<String>,
    /// Captured events in which the conversation is looked for
    #[arg(long, value_name = "FILE")]
    pub events: Vec<PathBuf>,
    /// The moment to explain, as in 2026-01-05T09:41:00Z; else the last one that the events tell of
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Wall>,
    /// The configuration
    #[arg(long, env = "RECWARDEN_CONFIG", default_value = super::DEFAULT_CONFIG, value_name = "FILE")]
    pub config: PathBuf,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

fn moment(text: &str) -> Result<Wall, String> {
    Wall::parse(text).ok_or_else(|| "write a moment with its offset, as in 2026-01-05T09:41:00Z".into())
}

/// Runs it. What is wrong with single events goes to `complaints`.
///
/// # Errors
/// Where the configuration is invalid, a file cannot be read, or nothing is known of the conversation.
pub fn run(options: &Options, out: &mut dyn Write, complaints: &mut dyn Write) -> Result<(), Failure> {
    let credentials = Credentials::Unneeded;
    let source = Source { path: options.config.clone(), environment: environment()?, credentials };
    let is_file = is_file(&options.subject);
    if !is_file && options.events.is_empty() {
        return present(&source, options, out, complaints);
    }
    let loaded = source.load().map_err(Failure::Configuration)?;
    check_rule(options, &loaded)?;
    if !is_file {
        return captured(&loaded, options, out, complaints);
    }
    let files = [vec![PathBuf::from(&options.subject)], options.events.clone()].concat();
    let told = events::explain(&loaded, &files, None, options.at, complaints)?;
    if told.is_empty() {
        let message = format!(
            "{}: there is no conversation in it{}; it takes frames as the platform sends them, lines of \
             recwarden capture, or one bare conversation",
            options.subject,
            until(options)
        );
        return Err(Failure::Failed(message));
    }
    told.iter().try_for_each(|one| lines::events(one, options, out))
}

/// A conversation as the daemon that runs here sees it, or as its log tells of it: neither needs the rules as they
/// are written now.
fn present(
    source: &Source,
    options: &Options,
    out: &mut dyn Write,
    complaints: &mut dyn Write,
) -> Result<(), Failure> {
    let directory = super::whereabouts(source, complaints)?;
    let loaded = source.load().ok();
    loaded.as_ref().map_or(Ok(()), |loaded| check_rule(options, loaded))?;
    if options.at.is_some() {
        let message = "--at needs captured events (--events FILE): the daemon knows the present only";
        return Err(Failure::Usage(message.into()));
    }
    let id = order::conversation_id(options.subject.trim()).map_err(|error| {
        let subject = &options.subject;
        let mut rules = loaded.iter().flat_map(|loaded| loaded.policy.terms());
        let what_now = if rules.any(|one| one.name == *subject) {
            format!(
                "it is a rule: name a conversation too, as in recwarden explain CONVERSATION --rule {subject}"
            )
        } else {
            "and no file of that name is there".to_owned()
        };
        Failure::Usage(format!("{error}; {what_now}"))
    })?;
    let socket = control::path(&directory);
    let asked = super::runtime()?.block_on(live(&socket, &id))?;
    if let Asked::Known(explained) = &asked {
        return lines::live(explained, options, out);
    }
    if log::tell(&directory, &id, options, out)? > 0 {
        return Ok(());
    }
    let daemon = match asked {
        Asked::NoDaemon => format!("no daemon runs here (nothing listens at {})", socket.display()),
        Asked::Unknown | Asked::Known(_) => "the daemon does not know it".to_owned(),
    };
    Err(Failure::Failed(format!(
        "nothing is known of conversation {id}: {daemon}, and the audit log in {} has no record of it. Where events \
         were captured: recwarden explain {id} --events FILE",
        directory.display()
    )))
}

/// A past conversation: what its rules saw, by captured events, and what was done, by the log.
fn captured(
    loaded: &Loaded,
    options: &Options,
    out: &mut dyn Write,
    complaints: &mut dyn Write,
) -> Result<(), Failure> {
    let id = ConversationId::new(options.subject.trim());
    let told = events::explain(loaded, &options.events, Some(&id), options.at, complaints)?;
    told.iter().try_for_each(|one| lines::events(one, options, out))?;
    let in_log = log::tell(&loaded.settings.audit.directory, &id, options, out)?;
    if told.is_empty() {
        let message = format!("the events do not tell of conversation {id}{}", until(options));
        return if in_log > 0 {
            Ok(writeln!(complaints, "recwarden: {message}")?)
        } else {
            Err(Failure::Failed(message))
        };
    }
    Ok(())
}

fn until(options: &Options) -> String {
    options.at.map(|at| format!(" up to {at}")).unwrap_or_default()
}

/// A name is taken for a file where there is one, or where it is written like an event file's.
fn is_file(subject: &str) -> bool {
    let endings = [".json", ".jsonl", ".gz", ".zst"];
    subject == "-" || endings.iter().any(|ending| subject.ends_with(ending)) || Path::new(subject).is_file()
}

fn check_rule(options: &Options, loaded: &Loaded) -> Result<(), Failure> {
    let Some(wanted) = &options.rule else { return Ok(()) };
    let names = || loaded.policy.terms().iter().map(|one| one.name.as_str());
    if names().any(|name| name == wanted) {
        return Ok(());
    }
    let instead = instead(wanted, names()).map(|one| format!("; {one}")).unwrap_or_default();
    Err(Failure::Usage(format!("the policy has no rule '{wanted}'{instead}")))
}

/// What became of asking the daemon.
enum Asked {
    Known(Box<Explained>),
    Unknown,
    NoDaemon,
}

async fn live(socket: &Path, id: &ConversationId) -> Result<Asked, Failure> {
    if tokio::net::UnixStream::connect(socket).await.is_err() {
        return Ok(Asked::NoDaemon);
    }
    let answer = by_hand::call(socket, &format!("/control/conversations/{id}/explanation"), None).await?;
    if answer == Value::Null {
        return Ok(Asked::Unknown);
    }
    let explained = serde_json::from_value(answer).map_err(|error| {
        Failure::Failed(format!("the daemon's answer cannot be read ({error}); is it of another version?"))
    })?;
    Ok(Asked::Known(explained))
}
