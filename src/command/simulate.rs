//! `recwarden simulate`: the simulator on its own, for rule authors and for other clients.
//!
//! It prints where it listens and what to log in with, then one line per thing that happens, until it is
//! told to stop, and what it all came to. A scenario file holds the same options by the same names; the command line wins.

pub mod options;

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;

use crate::command::simulate::options::read_scenario;
pub use crate::command::simulate::options::{Format, Options};
use crate::io::clock::Clock;
use crate::io::signals::{self, Signal};
use crate::sim::account::Account;
use crate::sim::happening::Happening;
use crate::sim::plan::Plan;
use crate::sim::scenario;
use crate::sim::server::{self, SimHandle};

/// Why the simulator did not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The scenario file.
    #[error(transparent)]
    Scenario(#[from] scenario::Error),
    /// The port.
    #[error(
        "cannot listen at {address}: is something else there? Choose another with --listen; port 0 takes any \
         free one"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The runtime or the signal handlers.
    #[error("cannot start")]
    Start(#[source] std::io::Error),
    /// Nobody reads any more.
    #[error("cannot write what happens")]
    Output(#[source] std::io::Error),
}

/// Runs the simulator until a signal, `--for`, or the end of who reads.
///
/// # Errors
/// Where it cannot start, or what happens cannot be written.
pub fn run(options: Options, out: &mut dyn Write) -> Result<(), Error> {
    let file = match &options.scenario {
        Some(path) => read_scenario(path)?,
        None => Options::default(),
    };
    let mut plan = Plan::default();
    file.apply(&mut plan);
    options.apply(&mut plan);
    let address = options.listen.or(file.listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9000)));
    let format = options.format.or(file.format).unwrap_or_default();
    let run_for = options.run_for.or(file.run_for);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Start)?;
    let ran = runtime.block_on(async {
        let signals = signals::listen().map_err(Error::Start)?;
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .map_err(|source| Error::Listen { address, source })?;
        let (simulator, happenings) = server::start(listener, plan).map_err(Error::Start)?;
        greet(&simulator, format, out)?;
        watch(&simulator, happenings, signals, run_for, format, out).await?;
        sum_up(simulator, format, out).await
    });
    // Connections that a fault keeps waiting must not keep the end waiting too.
    runtime.shutdown_timeout(Duration::from_millis(200));
    match ran {
        // `simulate | head -n 1` is no failure.
        Err(Error::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn greet(simulator: &SimHandle, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let SimHandle { api_url, login_url, client_id, client_secret, .. } = simulator;
    let text = match format {
        Format::Json => json!({
            "api_url": api_url,
            "login_url": login_url,
            "client_id": client_id,
            "client_secret": client_secret,
        })
        .to_string(),
        Format::Text => {
            let queues: Vec<&str> = simulator.org.queues.iter().map(|queue| &*queue.name).collect();
            format!(
                "The simulator listens at {api_url}\n  api_url       = \"{api_url}\"\n  client_id     = \
                 \"{client_id}\"\n  client_secret = \"{client_secret}\"\n  queues: {}\nStop it with Ctrl-C.",
                queues.join(", ")
            )
        }
    };
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Error::Output)
}

/// What it all came to, by the truth.
async fn sum_up(simulator: SimHandle, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let (org, reactions) = (simulator.org.clone(), simulator.reactions().await);
    let stories = simulator.stop().await;
    let account = Account::of(&stories, &org, Clock::start().now().wall, &reactions);
    let text = match format {
        Format::Json => json!({"summary": account.to_json()}).to_string(),
        Format::Text => account.to_string(),
    };
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Error::Output)
}

async fn watch(
    simulator: &SimHandle,
    mut happenings: mpsc::Receiver<Happening>,
    mut signals: mpsc::Receiver<Signal>,
    run_for: Option<Duration>,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let end = async {
        match run_for {
            Some(span) => tokio::time::sleep(span).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    loop {
        tokio::select! {
            happening = happenings.recv() => match happening {
                Some(happening) => write_line(&happening, format, out)?,
                None => return Ok(()),
            },
            signal = signals.recv() => match signal {
                Some(Signal::Reload) => simulator.close_doors().await,
                Some(Signal::Drain) | None => break,
            },
            () = &mut end => break,
        }
    }
    // No more of them, or an end in which much happens would not end.
    happenings.close();
    while let Ok(happening) = happenings.try_recv() {
        write_line(&happening, format, out)?;
    }
    Ok(())
}

fn write_line(happening: &Happening, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let line = match format {
        Format::Text => happening.to_string(),
        Format::Json => happening.to_json().to_string(),
    };
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Error::Output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_where_it_listens_in_one_line_of_json() {
        let mut out = Vec::new();
        let mut options = Options::default();
        options.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        options.format = Some(Format::Json);
        options.run_for = Some(Duration::ZERO);
        run(options, &mut out).expect("it runs");
        let first = String::from_utf8(out).expect("text").lines().next().expect("a line").to_owned();
        let first: serde_json::Value = serde_json::from_str(&first).expect("JSON");
        assert_eq!(first["api_url"], first["login_url"]);
        assert!(first["client_secret"].is_string());
    }
}
