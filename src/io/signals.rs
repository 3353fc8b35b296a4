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
    let (signals_tx, signals_rx) = channel();
    listen_for(signals_tx)?;
    Ok(signals_rx)
}

/// A way for signals; others than the system may send on it too.
pub fn channel() -> (mpsc::Sender<Signal>, mpsc::Receiver<Signal>) {
    mpsc::channel(WAITING)
}

/// Listens from now on, in a thread of its own, and passes what comes on.
///
/// # Errors
/// Where the handlers cannot be installed.
pub fn listen_for(signals_tx: mpsc::Sender<Signal>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let meant = if signal == SIGHUP { Signal::Reload } else { Signal::Drain };
            if let Err(mpsc::error::TrySendError::Closed(_)) = signals_tx.try_send(meant) {
                return;
            }
        }
    })?;
    Ok(())
}
