//! `run --watch`: the files of the configuration are looked at once a second, and a change asks for a
//! reload as SIGHUP does.
//!
//! Looking is done by name and not by notifications of the file system: editors save by renaming a new file
//! over the old one, rules come and go by globs, and folders may lie on a network, where no notifications
//! come. A change counts once it has stood for one more look, so that a file that is still being written is
//! not read.

use std::time::Duration;

use tokio::sync::mpsc;
use tracing::info;

use crate::io::signals::Signal;
use crate::settings::{Sight, Source};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches from now on, until nobody listens any more.
pub async fn watch(source: Source, signals_tx: mpsc::Sender<Signal>) {
    let mut known = source.sight(&Sight::default());
    let mut last = known.clone();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = signals_tx.closed() => return,
        }
        let seen = source.sight(&last);
        let settled = seen == last;
        last = seen;
        if settled && !last.says_the_same(&known) {
            info!("the configuration's files have changed");
            known = last.clone();
            if signals_tx.send(Signal::Reload).await.is_err() {
                return;
            }
        }
    }
}
