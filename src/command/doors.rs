//! The doors of the daemon: who may ask it something while it runs. All are bound before the daemon starts,
//! so that a port in use is told at once.

use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::Failure;
use crate::http::ask::{Ask, Asks};
use crate::http::{self, control, health, secret, webhook};
use crate::io::clock::Clock;
use crate::settings::Settings;

/// What is served while the daemon runs.
#[derive(Debug)]
pub struct Doors {
    closing: watch::Sender<()>,
    tasks: Vec<JoinHandle<()>>,
}

/// Opens health and metrics, and the webhook where it is configured.
///
/// # Errors
/// Where an address is in use, or the webhook's secret is no secret.
pub async fn open(settings: &Settings, asks: mpsc::Sender<Ask>) -> Result<Doors, Failure> {
    let asks = Asks::over(asks);
    let mut doors = Doors { closing: watch::channel(()).0, tasks: Vec::new() };
    if !settings.http_listen.is_empty() {
        let listener = bind(&settings.http_listen, "http.listen").await?;
        doors.serve(listener, health::router(asks.clone()));
    }
    if let Some(configured) = &settings.webhook {
        let known =
            secret::Secret::new(configured.secret.expose()).map_err(|error| Failure::failed(&error))?;
        let listener = bind(&configured.listen, "webhook.listen").await?;
        let clock = Clock::start();
        let clock: webhook::WallClock = Arc::new(move || clock.now().wall);
        doors.serve(listener, webhook::router(asks, known, clock));
    }
    Ok(doors)
}

async fn bind(address: &str, key: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::Failed(format!(
            "{key}: cannot listen at {address}: {error}; stop what is there, or choose another port"
        ))
    })
}

impl Doors {
    fn serve<L>(&mut self, listener: L, router: Router)
    where
        L: Listener,
        L::Addr: std::fmt::Debug,
    {
        let mut closing = self.closing.subscribe();
        let shutdown = async move { closing.changed().await.ok() };
        self.tasks.push(tokio::spawn(async move {
            if let Err(error) = http::serve(listener, router, shutdown).await {
                tracing::error!(%error, "a door closed by itself");
            }
        }));
    }

    /// Opens the control socket. The daemon's log is open, and its lock held.
    pub fn open_control(&mut self, settings_directory: &std::path::Path, asks: mpsc::Sender<Ask>) {
        let path = control::path(settings_directory);
        match control::listen(&path) {
            Ok(listener) => self.serve(listener, control::router(Asks::over(asks))),
            Err(error) => {
                tracing::warn!(%error, "no control socket at {}: recwarden start and stop cannot reach this daemon", path.display());
            }
        }
    }

    /// Closes them all.
    pub async fn close(self) {
        self.closing.send(()).ok();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::warn!(%error, "a door did not close");
            }
        }
    }
}
