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

/// Signals that wait for the loop. More than a few reloads would only repeat themselves, so the rest of these is
/// dropped; the word to stop waits for its place.
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
            if pass_on(&signals_tx, meant) == Listening::Nobody {
                return;
            }
        }
    })?;
    Ok(())
}

/// Whether somebody wants to know of signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listening {
    Somebody,
    Nobody,
}

fn pass_on(signals_tx: &mpsc::Sender<Signal>, signal: Signal) -> Listening {
    let closed = match signal {
        Signal::Drain => signals_tx.blocking_send(signal).is_err(),
        Signal::Reload => {
            matches!(signals_tx.try_send(signal), Err(mpsc::error::TrySendError::Closed(_)))
        }
    };
    if closed { Listening::Nobody } else { Listening::Somebody }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_to_stop_is_heard_behind_any_number_of_reloads() {
        let (signals_tx, mut signals) = channel();
        (0..WAITING * 2).for_each(|_| assert_eq!(pass_on(&signals_tx, Signal::Reload), Listening::Somebody));
        let sending = std::thread::spawn(move || pass_on(&signals_tx, Signal::Drain));
        let heard = std::iter::from_fn(|| signals.blocking_recv()).last();
        assert_eq!(heard, Some(Signal::Drain));
        assert_eq!(sending.join().expect("it ends"), Listening::Somebody);
    }
}
