//! What systemd is told: readiness, reloading, stopping, a status line, and that the loop still turns.
//! Without `NOTIFY_SOCKET` nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

/// The supervisor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Supervisor;

impl Supervisor {
    /// The daemon is up.
    pub fn ready(self, status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The configuration is being read again; [`Supervisor::ready`] follows.
    pub fn reloading(self) {
        match NotifyState::monotonic_usec_now() {
            Ok(stamp) => tell(&[NotifyState::Reloading, stamp]),
            Err(error) => warn!(%error, "the monotonic clock cannot be read for systemd"),
        }
    }

    /// The daemon stops.
    pub fn stopping(self) {
        tell(&[NotifyState::Stopping]);
    }

    /// One line for `systemctl status`, and a sign of life.
    pub fn alive(self, status: &str) {
        tell(&[NotifyState::Status(status), NotifyState::Watchdog]);
    }

    /// How often systemd wants a sign of life; none where it wants none.
    pub fn watchdog(self) -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd could not be told");
    }
}
