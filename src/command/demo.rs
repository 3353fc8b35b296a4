//! `recwarden demo`: the main job with nothing to set up. The real daemon, with a sample policy, against the
//! simulator on loopback; a live line per change of a call, and a summary that is worked out from what the
//! simulator knows to be true, not from what the daemon believes.

mod lights;
mod summary;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;

use super::Failure;
use crate::daemon::{self, startup};
use crate::http::ask::WAITING_ASKS;
use crate::io::clock::Clock;
use crate::io::signals::{self, Signal};
use crate::settings::{Credentials, Source};
use crate::sim::account::Account;
use crate::sim::oracle::SAMPLE_POLICY;
use crate::sim::plan::Plan;
use crate::sim::server::{self, SimHandle};
use lights::Lights;

/// Options of `demo`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  recwarden demo\n  recwarden demo --seconds 60 --seed 7")]
pub struct Options {
    /// How long calls go on.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// The same seed makes the same calls.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many calls are live at once.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=500))]
    pub calls: u64,
}

/// Requests a minute, of the simulator and of the daemon: the demonstration packs minutes into seconds.
const REQUESTS_PER_MINUTE: u32 = 6000;
/// Records that wait to be shown; beyond it some are not.
const RECORDS_WAITING: usize = 4096;
/// Calls live that much faster than life.
const PACE: f64 = 15.0;

/// Runs it.
///
/// # Errors
/// Where it cannot start, or the summary shows something wrong.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<(), Failure> {
    super::log_to_warnings();
    let folder = Folder::make().map_err(|error| Failure::failed(&error))?;
    let runtime = super::runtime()?;
    let done = runtime.block_on(play(options, &folder.0, out));
    runtime.shutdown_timeout(Duration::from_millis(200));
    done
}

/// A folder that goes with the demonstration.
struct Folder(std::path::PathBuf);

impl Folder {
    fn make() -> std::io::Result<Self> {
        let name = format!("recwarden-demo-{}-{:x}", std::process::id(), crate::io::clock::seed());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "the folder {} stays", self.0.display());
        }
    }
}

async fn play(options: &Options, folder: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let listener =
        tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(|error| Failure::failed(&error))?;
    let plan = Plan {
        seed: options.seed,
        calls: usize::try_from(options.calls).unwrap_or(12),
        pace: PACE,
        requests_per_minute: REQUESTS_PER_MINUTE,
        ..Plan::default()
    };
    let (simulator, happenings) = server::start(listener, plan).map_err(|error| Failure::failed(&error))?;
    // Nobody watches the simulator itself; what is over is dropped there.
    drop(happenings);
    let source = write_configuration(&simulator, folder)?;
    let loaded = source.load().map_err(Failure::Configuration)?;
    let Some(genesys) = loaded.settings.genesys.clone() else { return Ok(()) };
    writeln!(
        out,
        "recwarden demo: {} calls at once for {} s, seed {}",
        options.calls, options.seconds, options.seed
    )?;
    writeln!(out, "a simulated Genesys Cloud at {}, the real daemon, 2 rules\n", simulator.api_url)?;
    let (asks_tx, asks) = mpsc::channel(WAITING_ASKS);
    let (signals_tx, signals) = mpsc::channel(8);
    let (records_tx, mut records) = mpsc::channel(RECORDS_WAITING);
    let start = startup::Start {
        settings: loaded.settings,
        genesys,
        policy: loaded.policy,
        source: None,
        webhook_secret: None,
        asks,
        signals,
        watcher: Some(records_tx),
    };
    let built = startup::build(start).await.map_err(|error| Failure::failed(&error))?;
    let Some(parts) = built else { return Ok(()) };
    let clock = Clock::start();
    let daemon = tokio::spawn(daemon::run(parts));
    let mut lights = Lights::new(clock.now().wall);
    let mut interrupts = signals::listen().map_err(|error| Failure::failed(&error))?;
    let end = clock.instant(clock.now().mono + Duration::from_secs(options.seconds));
    loop {
        tokio::select! {
            record = records.recv() => match record {
                Some((at, record)) => lights.show(at, &record, out)?,
                None => break,
            },
            _ = interrupts.recv() => break,
            () = tokio::time::sleep_until(end) => break,
        }
    }
    let before = view(&asks_tx).await;
    // The daemon ends on this; where it has ended already there is nothing to tell.
    signals_tx.send(Signal::Drain).await.ok();
    let ended = daemon.await.map_err(|error| Failure::failed(&error))?;
    let parts = ended.map_err(|error| Failure::failed(&error))?;
    while let Ok((at, record)) = records.try_recv() {
        lights.show(at, &record, out)?;
    }
    let stopped_at = clock.now().wall;
    let (org, reactions) = (simulator.org.clone(), simulator.reactions().await);
    let account = Account::of(&simulator.stop().await, &org, stopped_at, &reactions);
    drop(parts);
    summary::print(&lights, before.as_ref(), &account, &folder.join("audit"), out)
}

async fn view(asks: &mpsc::Sender<crate::http::ask::Ask>) -> Option<crate::http::ask::View> {
    let (answer, view) = tokio::sync::oneshot::channel();
    asks.send(crate::http::ask::Ask::View { answer }).await.ok()?;
    view.await.ok()
}

fn write_configuration(simulator: &SimHandle, folder: &Path) -> Result<Source, Failure> {
    let path = folder.join("recwarden.toml");
    let text = format!(
        "[genesys]\napi_url = \"{}\"\nlogin_url = \"{}\"\nclient_id = \"{}\"\nclient_secret_file = \
         \"client-secret\"\n[limits]\nrequests_per_minute = {REQUESTS_PER_MINUTE}\naction_share = 0.5\n[audit]\n\
         directory = \"audit\"\n{SAMPLE_POLICY}",
        simulator.api_url, simulator.login_url, simulator.client_id
    );
    std::fs::write(&path, text)?;
    std::fs::write(folder.join("client-secret"), &simulator.client_secret)?;
    // Nothing of the environment: the demonstration is the same everywhere.
    Ok(Source { path, environment: BTreeMap::new(), credentials: Credentials::Needed })
}
