//! `recwarden check`: the configuration and the rules, and with `--online` what the platform says of them.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{Failure, environment};
use crate::daemon::startup;
use crate::io::clock::Clock;
use crate::settings::{Credentials, Loaded, Source};
use crate::wire::reply::{self, RawAnswer};
use crate::wire::request::Request;

/// Options of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  recwarden check --config recwarden.toml\n  recwarden check --online")]
pub struct Options {
    /// The configuration.
    #[arg(long, env = "RECWARDEN_CONFIG", default_value = super::DEFAULT_CONFIG, value_name = "FILE")]
    pub config: PathBuf,
    /// Ask the platform too: credentials, permissions, and whether the queues exist.
    #[arg(long)]
    pub online: bool,
    /// Treat warnings as errors.
    #[arg(long)]
    pub deny_warnings: bool,
}

/// Runs it.
///
/// # Errors
/// Where the configuration is invalid, or the platform refuses something.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<(), Failure> {
    let credentials = if options.online { Credentials::Needed } else { Credentials::Unneeded };
    let source = Source { path: options.config.clone(), environment: environment(), credentials };
    let loaded = source.load().map_err(Failure::Configuration)?;
    for warning in &loaded.warnings {
        writeln!(out, "{warning}")?;
    }
    if options.deny_warnings && !loaded.warnings.is_empty() {
        return Err(Failure::Configuration(Vec::new()));
    }
    let rules = loaded.policy.terms().len();
    writeln!(out, "{}: valid, {rules} rules, policy {}", options.config.display(), loaded.policy.sha256())?;
    if options.online { super::runtime()?.block_on(online(&loaded, out)) } else { Ok(()) }
}

async fn online(loaded: &Loaded, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(genesys) = &loaded.settings.genesys else { return Ok(()) };
    let clock = Clock::start();
    let api = startup::api(genesys, clock).await.map_err(|error| Failure::failed(&error))?;
    writeln!(out, "credentials: accepted by {}", genesys.login_url)?;
    let mut queues = std::collections::BTreeMap::new();
    let mut page = 1;
    loop {
        let answer = api.send(&Request::ListQueues { page }).await;
        let body = accepted(&answer, &clock, "queues")?;
        let read = reply::queues(body).map_err(|error| Failure::failed(&error))?;
        queues.extend(read.entities);
        if page >= read.pages {
            break;
        }
        page += 1;
    }
    writeln!(out, "queues: {} can be read", queues.len())?;
    let activity = Request::ActivityQuery { queues: queues.keys().take(1).cloned().collect() };
    accepted(&api.send(&activity).await, &clock, "live conversations")?;
    writeln!(out, "live conversations: can be queried")?;
    let mut unknown = Vec::new();
    for pattern in &loaded.queue_patterns {
        let plain = !pattern.text.contains(['*', '?', '[', '{']);
        let known = queues.iter().any(|(id, name)| *name == pattern.text || id.as_str() == pattern.text);
        if plain && !known {
            let mut diagnostic = pattern.place.clone();
            diagnostic.message = format!("there is no queue '{}' on the platform", pattern.text);
            let near = crate::model::document::nearest(&pattern.text, queues.values().map(String::as_str));
            diagnostic.help = near.map(|near| format!("did you mean '{near}'?"));
            unknown.push(diagnostic);
        }
    }
    if unknown.is_empty() { Ok(()) } else { Err(Failure::Configuration(unknown)) }
}

fn accepted<'a>(answer: &'a RawAnswer, clock: &Clock, what: &str) -> Result<&'a str, Failure> {
    match (reply::classify(answer, clock.now().wall), answer) {
        (Ok(()), RawAnswer::Answered { body, .. }) => Ok(body),
        (Err(fault), _) => Err(Failure::Failed(format!("{what}: {fault}"))),
        (Ok(()), RawAnswer::Failed(transport)) => Err(Failure::Failed(format!("{what}: {transport}"))),
    }
}
