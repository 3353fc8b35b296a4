//! The doors of the daemon: who may ask it something while it runs.

use tokio::sync::mpsc;

use super::Failure;
use crate::http::ask::Ask;
use crate::settings::Settings;

/// What is served while the daemon runs.
#[derive(Debug, Default)]
pub struct Doors;

/// Opens them.
///
/// # Errors
/// Where an address is in use.
pub async fn open(_settings: &Settings, _asks: mpsc::Sender<Ask>) -> Result<Doors, Failure> {
    Ok(Doors)
}

impl Doors {
    /// Closes them.
    pub async fn close(self) {}
}
