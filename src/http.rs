//! What others call and look at: the webhook, the control socket, health, metrics and the page.
//!
//! Nothing here decides anything and nothing here owns the state of a conversation. A request is
//! read and checked at this edge, becomes one [`ask::Ask`] to the loop, and the loop's answer is
//! written back. Where the loop cannot answer, the request says so with 503.

pub mod ask;
pub mod doorkeeper;
pub mod order;
pub mod refusal;
pub mod secret;
pub mod seen;
pub mod webhook;
pub mod control;
pub mod page;
pub mod health;

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use doorkeeper::{Bounds, Doorkeeper};
use tokio::sync::oneshot;

/// How long requests in flight may take once the shutdown has begun. The daemon has 10 s to drain
/// (PRODUCT.md 9), and a sender that reads slowly must not use them up.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(1);

/// Serves the router until the shutdown; then takes no new connection, lets requests in flight
/// finish, and leaves what is still open after [`DRAIN_WITHIN`].
///
/// # Errors
/// Where the listener fails.
pub async fn serve<L>(listener: L, router: Router, shutdown: impl Future + Send + 'static) -> io::Result<()>
where
    L: Listener,
    L::Addr: Debug,
{
    serve_within(Bounds::default(), listener, router, shutdown).await
}

/// The same within bounds of one's own.
///
/// # Errors
/// Where the listener fails.
pub async fn serve_within<L>(
    bounds: Bounds,
    listener: L,
    router: Router,
    shutdown: impl Future + Send + 'static,
) -> io::Result<()>
where
    L: Listener,
    L::Addr: Debug,
{
    let listener = Doorkeeper::new(listener, bounds);
    let (stopping_tx, stopping_rx) = oneshot::channel::<()>();
    let graceful = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        drop(stopping_tx);
    });
    let out_of_patience = async {
        // The sender never sends: it is dropped when the shutdown begins, and that is the event.
        if stopping_rx.await.is_err() {
            tokio::time::sleep(DRAIN_WITHIN).await;
        }
    };
    tokio::select! {
        served = async { graceful.await } => served,
        () = out_of_patience => Ok(()),
    }
}
