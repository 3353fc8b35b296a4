//! The doors of the daemon: who may ask it something while it runs. All are bound before the daemon starts,
//! so that a port in use is told at once.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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

/// Whether the control socket is still there is looked at so often.
const CONTROL_LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is served while the daemon runs.
#[derive(Debug)]
pub struct Doors {
    closing: watch::Sender<()>,
    tasks: Vec<JoinHandle<()>>,
    webhook_secret: Option<watch::Sender<secret::Secret>>,
}

/// Opens health and metrics, and the webhook where it is configured.
///
/// # Errors
/// Where an address cannot be listened at.
pub async fn open(settings: &Settings, asks: mpsc::Sender<Ask>) -> Result<Doors, Failure> {
    let asks = Asks::over(asks);
    let mut doors = Doors { closing: watch::channel(()).0, tasks: Vec::new(), webhook_secret: None };
    if !settings.http_listen.is_empty() {
        let listener = bind(&settings.http_listen, "http.listen").await?;
        said("health, metrics and the view", &listener);
        doors.serve(listener, health::router(asks.clone()));
    }
    if let Some(configured) = &settings.webhook {
        let listener = bind(&configured.listen, "webhook.listen").await?;
        said("the webhook", &listener);
        let clock = Clock::start();
        let clock: webhook::WallClock = Arc::new(move || clock.now().wall);
        let (secret_tx, secret) = watch::channel(configured.secret.clone());
        doors.webhook_secret = Some(secret_tx);
        doors.serve(listener, webhook::router(asks, secret, clock));
    }
    Ok(doors)
}

/// Logs where a door is: with port 0 nobody knows it otherwise.
fn said(what: &str, listener: &TcpListener) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "{what} at http://{address}");
    }
}

async fn bind(address: &str, key: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let what_now = if error.kind() == ErrorKind::AddrNotAvailable {
            "write an address that this host has, such as 127.0.0.1"
        } else if error.kind() == ErrorKind::PermissionDenied {
            "choose a port above 1023"
        } else {
            "stop what is there, or choose another port"
        };
        Failure::Failed(format!("{key}: cannot listen at {address}: {error}; {what_now}"))
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

    /// Where the webhook learns of a new secret; none where it is not served.
    pub fn webhook_secret(&self) -> Option<watch::Sender<secret::Secret>> {
        self.webhook_secret.clone()
    }

    /// Opens the control socket. The daemon's log is open, and its lock held.
    pub fn open_control(&mut self, settings_directory: &Path, asks: mpsc::Sender<Ask>) {
        let path = control::path(settings_directory);
        let served = serve_control(&path, &asks);
        if let Err(error) = &served {
            tracing::warn!(%error, "no control socket at {}: recwarden start and stop cannot reach this daemon; it is tried again", path.display());
        }
        self.tasks.push(tokio::spawn(keep_control(path, asks, served.ok(), self.closing.subscribe())));
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

/// The control socket as it is served; dropped, it closes.
struct Control {
    closing: watch::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

fn serve_control(path: &Path, asks: &mpsc::Sender<Ask>) -> std::io::Result<Control> {
    let listener = control::listen(path)?;
    let (closing, mut closed) = watch::channel(());
    let router = control::router(Asks::over(asks.clone()));
    let shutdown = async move { closed.changed().await.ok() };
    Ok(Control { closing, task: tokio::spawn(http::serve(listener, router, shutdown)) })
}

/// Makes the control socket again where somebody removed it, with its folder perhaps.
async fn keep_control(
    path: PathBuf,
    asks: mpsc::Sender<Ask>,
    mut served: Option<Control>,
    mut closing: watch::Receiver<()>,
) {
    loop {
        tokio::select! {
            _ = closing.changed() => break,
            () = tokio::time::sleep(CONTROL_LOOK_EVERY) => {}
        }
        if served.is_some() && path.exists() {
            continue;
        }
        match serve_control(&path, &asks) {
            Ok(control) => {
                tracing::warn!("the control socket {} was not there and is made again", path.display());
                // The old one, where there was one, closes: nobody can reach it.
                served = Some(control);
            }
            Err(error) => tracing::debug!(%error, "there is still no control socket"),
        }
    }
    if let Some(control) = served {
        // Its task may have ended by itself.
        control.closing.send(()).ok();
        if let Err(error) = control.task.await {
            tracing::warn!(%error, "the control socket did not close");
        }
    }
}
