//! `recwarden run`: the daemon.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::sync::mpsc;

use super::{Failure, environment};
use crate::daemon::{self, startup, watching};
use crate::http::ask::WAITING_ASKS;
use crate::io::signals;
use crate::settings::{Credentials, Source};
use crate::warden::Enforcement;

/// Options of `run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  recwarden run --config recwarden.toml --dry-run\n  recwarden run --watch"
)]
pub struct Options {
    /// The configuration.
    #[arg(long, env = "RECWARDEN_CONFIG", default_value = super::DEFAULT_CONFIG, value_name = "FILE")]
    pub config: PathBuf,
    /// Put every rule in observe mode: decisions are journaled as what would be done, nothing is called.
    #[arg(long)]
    pub dry_run: bool,
    /// Reload when the configuration or a file of rules changes, as SIGHUP does.
    #[arg(long)]
    pub watch: bool,
    /// How logs are written to stderr; under systemd they go to the journal.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Runs it until a signal.
///
/// # Errors
/// Where it cannot start.
pub fn run(options: &Options) -> Result<(), Failure> {
    super::log_to(options.log_format);
    let source = Source {
        path: options.config.clone(),
        environment: environment()?,
        credentials: Credentials::Needed,
    };
    let loaded = source.load_with_tests().map_err(Failure::Configuration)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = super::runtime()?;
    let done = runtime.block_on(async {
        let (signals_tx, signals) = signals::channel();
        signals::listen_for(signals_tx.clone()).map_err(|error| Failure::failed(&error))?;
        if options.watch {
            tokio::spawn(watching::watch(source.clone(), signals_tx));
        }
        serve(source, loaded, options, signals).await
    });
    // A look-up of a name that hangs must not keep the end waiting.
    runtime.shutdown_timeout(Duration::from_millis(200));
    done
}

async fn serve(
    source: Source,
    loaded: crate::settings::Loaded,
    options: &Options,
    signals: mpsc::Receiver<signals::Signal>,
) -> Result<(), Failure> {
    let mut settings = loaded.settings;
    if options.dry_run {
        settings.warden.enforcement = Enforcement::DryRun;
    }
    let Some(genesys) = settings.genesys.clone() else { return Ok(()) };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %options.config.display(),
        rules = loaded.policy.terms().len(),
        policy = loaded.policy.sha256(),
        dry_run = options.dry_run,
        audit = %settings.audit.directory.display(),
        http = settings.http_listen,
        webhook = settings.webhook.as_ref().map_or("", |one| one.listen.as_str()),
        "recwarden starts, against {}",
        genesys.api_url
    );
    let (asks_tx, asks) = mpsc::channel(WAITING_ASKS);
    let mut doors = super::doors::open(&settings, asks_tx.clone()).await?;
    let directory = settings.audit.directory.clone();
    let start = startup::Start {
        settings,
        genesys,
        policy: loaded.policy,
        source: Some(source),
        asks,
        signals,
        webhook_secret: doors.webhook_secret(),
        watcher: None,
    };
    let parts = match startup::build(start).await {
        Ok(Some(parts)) => parts,
        Ok(None) => return Ok(()),
        Err(error) => return Err(Failure::failed(&error)),
    };
    doors.open_control(&directory, asks_tx);
    let ended = daemon::run(parts).await;
    doors.close().await;
    ended.map(drop).map_err(|error| Failure::failed(&error))
}
