//! Signals of the operating system as one closed enum. Nobody else knows them.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::mpsc;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, SIGINT: finish and go.
    Drain,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// Signals that wait for the loop; more than a few would only repeat themselves, so the rest is dropped.
const WAITING: usize = 8;

/// Listens from now on, in a thread of its own.
///
/// # Errors
/// Where the handlers cannot be installed.
pub fn listen() -> std::io::Result<mpsc::Receiver<Signal>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let (signals_tx, signals_rx) = mpsc::channel(WAITING);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let meant = if signal == SIGHUP { Signal::Reload } else { Signal::Drain };
            if let Err(mpsc::error::TrySendError::Closed(_)) = signals_tx.try_send(meant) {
                return;
            }
        }
    })?;
    Ok(signals_rx)
}
