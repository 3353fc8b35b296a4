//! From settings to a daemon that can run: the log is opened first, and what it says was in force is taken
//! up again.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::Parts;
use crate::audit::history::Stopped;
use crate::audit::record::{self, Record};
use crate::audit::redact::Redaction;
use crate::http::ask::Ask;
use crate::http::secret::Secret;
use crate::io::api::{Api, SetupError, http_client};
use crate::io::clock::{Clock, seed};
use crate::io::facts::{self, FactStore, FactsError};
use crate::io::journal::{self, Journal, JournalError};
use crate::io::salt::{self, SaltError};
use crate::io::signals::Signal;
use crate::io::token::{TokenError, Tokens};
use crate::model::time::Now;
use crate::policy::decide::Policy;
use crate::settings::{self, Genesys, Settings, Source};
use crate::warden::{Enforcement, Warden, unheard_since};

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The facts.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// The salt of redaction.
    #[error(transparent)]
    Salt(#[from] SaltError),
    /// The HTTP client.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The platform does not let us in.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// What the daemon is started with.
#[derive(Debug)]
pub struct Start {
    /// All parts' settings.
    pub settings: Settings,
    /// Where the platform is and who we are there.
    pub genesys: Genesys,
    /// The policy.
    pub policy: Policy,
    /// Where a reload reads from.
    pub source: Option<Source>,
    /// Questions from HTTP.
    pub asks: mpsc::Receiver<Ask>,
    /// Signals.
    pub signals: mpsc::Receiver<Signal>,
    /// Where the webhook learns of a new secret; none where it is not served.
    pub webhook_secret: Option<watch::Sender<Secret>>,
    /// Who wants to see each record.
    pub watcher: Option<mpsc::Sender<(crate::model::time::Wall, Record)>>,
}

fn unproved(genesys: &Genesys, clock: Clock) -> Result<Api, StartError> {
    let http = http_client()?;
    let tokens = Arc::new(Tokens::new(
        http.clone(),
        genesys.login_url.clone(),
        genesys.client_id.clone(),
        genesys.client_secret.clone(),
        clock,
    ));
    Ok(Api::new(http, genesys.api_url.clone(), tokens))
}

/// The platform's REST side for a command that somebody waits for: with a token.
///
/// # Errors
/// Where the client cannot be set up, the platform does not let us in, or it cannot be reached.
pub async fn api_now(genesys: &Genesys, clock: Clock) -> Result<Api, StartError> {
    let api = unproved(genesys, clock)?;
    api.tokens().get(None).await?;
    Ok(api)
}

/// The platform's REST side for a daemon, with a token that was just tried.
///
/// # Errors
/// Where the client cannot be set up, or the platform does not let us in.
pub async fn api(genesys: &Genesys, clock: Clock) -> Result<Api, StartError> {
    let api = unproved(genesys, clock)?;
    match api.tokens().get(None).await {
        Ok(_) => {}
        // A wrong secret never comes right by waiting; an unreachable host does.
        Err(error @ TokenError::Refused { .. }) => return Err(error.into()),
        Err(error @ (TokenError::Unreachable { .. } | TokenError::Unexpected { .. })) => {
            warn!("{error}; it is tried again");
        }
    }
    Ok(api)
}

/// How the log is kept, in the journal's words.
pub fn journal_settings(audit: &settings::Audit) -> journal::Settings {
    journal::Settings {
        directory: audit.directory.clone(),
        rotate_every: audit.rotate_every,
        rotate_size: audit.rotate_size,
    }
}

/// Opens the log, asks for a token, and takes up what was in force. None where it was told to stop meanwhile.
///
/// # Errors
/// Where the log cannot be used, or the platform does not let us in.
pub async fn build(mut start: Start) -> Result<Option<Parts>, StartError> {
    let fixed = start.settings.fixed();
    let clock = Clock::start();
    let begun = clock.now();
    let (mut journal, recovered) = Journal::open(journal_settings(&start.settings.audit))?;
    let salt = salt::salt(&start.settings.state_directory)?;
    let redaction = Redaction::new(start.settings.audit.redact, salt);
    let (facts, kept) = FactStore::open(start.settings.state_directory.join(facts::FILE_NAME))?;
    let history = recovered.history;
    let started = Record::DaemonStarted(record::DaemonStarted {
        version: env!("CARGO_PKG_VERSION").into(),
        epoch: 1,
        pid: Some(std::process::id()),
        dry_run: start.settings.warden.enforcement == Enforcement::DryRun,
        cut: recovered.cut,
        unheard_since: unheard_since(&history, begun.wall),
    });
    let api = tokio::select! {
        api = api(&start.genesys, clock) => api.map(Some),
        () = told_to_stop(&mut start.signals) => Ok(None),
    };
    // To read the log and to be let in takes a while, in which nothing is heard.
    let now = clock.now();
    let api = match api {
        Ok(Some(api)) => api,
        Ok(None) => {
            not_started(&mut journal, recovered.cut, &started, "told to stop before it had started", now)?;
            return Ok(None);
        }
        Err(error) => {
            not_started(&mut journal, recovered.cut, &started, "it could not start", now)?;
            return Err(error);
        }
    };
    journal.append(now.wall, &started);
    journal.append(now.wall, &first_policy(&start.policy));
    journal.sync(now.wall)?;
    if history.last().is_some() && history.stopped() == Stopped::No {
        warn!("the daemon did not stop cleanly last time; what was in force is taken up again");
    }
    let mut warden = Warden::new(start.settings.warden, start.policy, seed(), begun);
    for open in history.open_decisions() {
        info!(decision = %open.decision.decision, "an open decision is taken up again");
    }
    warden.recover(&history, now);
    for (conversation, facts) in kept {
        warden.recover_facts(&conversation, facts);
    }
    Ok(Some(Parts {
        warden,
        journal,
        redaction,
        facts,
        api,
        clock,
        asks: start.asks,
        signals: start.signals,
        source: start.source,
        fixed,
        webhook_secret: start.webhook_secret,
        alert: start.settings.alert,
        named_queues: start.settings.named_queues,
        watcher: start.watcher,
    }))
}

/// To whoever reads the log all rules are new at a start.
fn first_policy(policy: &Policy) -> Record {
    let rules = policy.terms();
    Record::PolicyLoaded(record::PolicyLoaded {
        policy: policy.sha256().to_owned(),
        rules: u32::try_from(rules.len()).unwrap_or(u32::MAX),
        added: rules.iter().map(|one| one.name.clone()).collect(),
        removed: Vec::new(),
        changed: Vec::new(),
    })
}

/// Comes back once the daemon is told to stop; a reload means nothing before the start.
async fn told_to_stop(signals: &mut mpsc::Receiver<Signal>) {
    loop {
        match signals.recv().await {
            Some(Signal::Drain) => return,
            Some(Signal::Reload) => {}
            None => std::future::pending().await,
        }
    }
}

/// A start that came to nothing leaves no trace, unless a torn line was cut off: that is always journaled.
fn not_started(
    journal: &mut Journal,
    cut: Option<record::Cut>,
    started: &Record,
    reason: &str,
    now: Now,
) -> Result<(), StartError> {
    if cut.is_none() {
        return Ok(());
    }
    journal.append(now.wall, started);
    journal.append(now.wall, &Record::DaemonStopped(record::DaemonStopped { reason: reason.to_owned() }));
    Ok(journal.sync(now.wall)?)
}
