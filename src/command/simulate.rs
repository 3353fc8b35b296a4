//! `recwarden simulate`: the simulator on its own, for rule authors and for other clients.
//!
//! It prints where it listens and what to log in with, then one line per thing that happens, until it is
//! told to stop, and what it all came to. A scenario file holds the same options by the same names; the command line wins.

pub mod options;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::command::simulate::options::read_scenario;
pub use crate::command::simulate::options::{Format, Options};
use crate::io::clock::Clock;
use crate::io::signals::{self, Signal};
use crate::sim::account::Account;
use crate::sim::happening::Happening;
use crate::sim::plan::Plan;
use crate::sim::scenario;
use crate::sim::server::{self, SimHandle};

/// Whoever reads the output has so long to read the end of it.
const READ_WITHIN: Duration = Duration::from_secs(5);

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
pub fn run(options: Options, out: Box<dyn Write + Send>) -> Result<(), Error> {
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
        let mut reporter = Reporter::start(out, format, greeting(&simulator, format), happenings)?;
        wait_for_the_end(&simulator, signals, run_for, &mut reporter).await;
        let summary = sum_up(simulator, format).await;
        reporter.end(summary).await.map_err(Error::Output)
    });
    // Connections that a fault keeps waiting must not keep the end waiting too.
    runtime.shutdown_timeout(Duration::from_millis(200));
    match ran {
        // `simulate | head -n 1` is no failure.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes what happens, in a thread of its own: whoever reads it may stop to read, and signals are heard still.
struct Reporter {
    summary: oneshot::Sender<String>,
    written: oneshot::Receiver<io::Result<()>>,
}

impl Reporter {
    fn start(
        mut out: Box<dyn Write + Send>,
        format: Format,
        greeting: String,
        mut happenings: mpsc::Receiver<Happening>,
    ) -> Result<Self, Error> {
        let (summary, summary_rx) = oneshot::channel();
        let (written_tx, written) = oneshot::channel();
        let write = move || -> io::Result<()> {
            write_line(&mut *out, &greeting)?;
            while let Some(happening) = happenings.blocking_recv() {
                write_line(&mut *out, &told(&happening, format))?;
            }
            // There is none where the run ended before its end.
            summary_rx.blocking_recv().map_or(Ok(()), |summary: String| write_line(&mut *out, &summary))
        };
        std::thread::Builder::new()
            .name("reporter".into())
            // Nobody waits for the result where the process ends without it.
            .spawn(move || drop(written_tx.send(write())))
            .map_err(Error::Start)?;
        Ok(Self { summary, written })
    }

    /// The last line, once all that happened is written.
    async fn end(self, summary: String) -> io::Result<()> {
        // Where it cannot be taken any more, the result says why.
        drop(self.summary.send(summary));
        let unread = |_| io::Error::new(io::ErrorKind::TimedOut, "nobody reads it");
        let written = tokio::time::timeout(READ_WITHIN, self.written).await.map_err(unread)?;
        written.unwrap_or(Ok(()))
    }
}

fn write_line(out: &mut dyn Write, line: &str) -> io::Result<()> {
    writeln!(out, "{line}").and_then(|()| out.flush())
}

fn told(happening: &Happening, format: Format) -> String {
    match format {
        Format::Text => happening.to_string(),
        Format::Json => happening.to_json().to_string(),
    }
}

fn greeting(simulator: &SimHandle, format: Format) -> String {
    let SimHandle { api_url, login_url, client_id, client_secret, .. } = simulator;
    match format {
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
    }
}

/// What it all came to, by the truth.
async fn sum_up(simulator: SimHandle, format: Format) -> String {
    let (org, reactions) = (simulator.org.clone(), simulator.reactions().await);
    let stories = simulator.stop().await;
    let account = Account::of(&stories, &org, Clock::start().now().wall, &reactions);
    match format {
        Format::Json => json!({"summary": account.to_json()}).to_string(),
        Format::Text => account.to_string(),
    }
}

async fn wait_for_the_end(
    simulator: &SimHandle,
    mut signals: mpsc::Receiver<Signal>,
    run_for: Option<Duration>,
    reporter: &mut Reporter,
) {
    let end = async {
        match run_for {
            Some(span) => tokio::time::sleep(span).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    loop {
        tokio::select! {
            signal = signals.recv() => match signal {
                Some(Signal::Reload) => simulator.close_doors().await,
                Some(Signal::Drain) | None => return,
            },
            () = &mut end => return,
            // Nobody reads any more.
            () = reporter.summary.closed() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, for one who looks at it later.
    #[derive(Clone, Default)]
    struct Page(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panicked").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn at_once(calls: &str) -> Options {
        let mut options =
            options::read_line(&["--format=json", "--listen=127.0.0.1:0", calls]).expect("options");
        options.run_for = Some(Duration::ZERO);
        options
    }

    #[test]
    fn it_says_where_it_listens_in_one_line_of_json_and_at_the_end_what_it_came_to() {
        let page = Page::default();
        run(at_once("--calls=3"), Box::new(page.clone())).expect("it runs");
        let text = String::from_utf8(page.0.lock().expect("nobody panicked").clone()).expect("text");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines[0]["api_url"], lines[0]["login_url"]);
        assert!(lines[0]["client_secret"].is_string());
        assert!(lines.last().is_some_and(|last| last["summary"].is_object()), "{text}");
    }

    /// Somebody who has stopped to read.
    struct Unread;

    impl Write for Unread {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            loop {
                std::thread::park();
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn where_nobody_reads_it_ends_all_the_same_and_says_so() {
        let error = run(at_once("--calls=3"), Box::new(Unread)).expect_err("nothing is written");
        assert!(matches!(&error, Error::Output(why) if why.to_string() == "nobody reads it"), "{error}");
    }
}
