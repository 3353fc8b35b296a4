//! Text in and out of one notification socket, each in a task of its own. The end of the stream is an event
//! like any other.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::io::token::chain;
use crate::warden::session::SocketId;
use crate::wire::frame::LARGEST_FRAME;

/// Opening takes no longer than this; the session has a deadline of its own beyond it.
const OPEN_WAIT: Duration = Duration::from_secs(10);
/// Orders that wait for a socket: pings and a close, so a few are plenty. Beyond it an order is dropped,
/// and the session's own deadline notices.
pub const ORDERS_WAITING: usize = 16;

/// What a socket has to say.
#[derive(Debug)]
pub enum SocketEvent {
    /// It opened.
    Opened(SocketId),
    /// A text came.
    Text(SocketId, String),
    /// It is lost, and why. Nothing comes after this.
    Lost(SocketId, String),
}

/// What a socket is told.
#[derive(Debug)]
pub enum SocketOrder {
    /// Send a text.
    Send(&'static str),
    /// Close.
    Close,
}

/// Runs one socket until it is closed or lost. `events` is bounded: where the loop cannot follow, reading
/// waits, and the platform's own buffer fills.
pub async fn run(
    socket: SocketId,
    uri: String,
    mut orders: mpsc::Receiver<SocketOrder>,
    events: mpsc::Sender<SocketEvent>,
) {
    let why = match listen(socket, &uri, &mut orders, &events).await {
        Ok(why) => why.to_owned(),
        Err(why) => why,
    };
    // Where the loop is gone, nobody waits for this.
    events.send(SocketEvent::Lost(socket, why)).await.ok();
}

async fn listen(
    socket: SocketId,
    uri: &str,
    orders: &mut mpsc::Receiver<SocketOrder>,
    events: &mpsc::Sender<SocketEvent>,
) -> Result<&'static str, String> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(2 * LARGEST_FRAME))
        .max_frame_size(Some(2 * LARGEST_FRAME));
    let opening = tokio_tungstenite::connect_async_with_config(uri, Some(config), true);
    let (stream, _) = tokio::time::timeout(OPEN_WAIT, opening)
        .await
        .map_err(|_| "the socket did not open in time".to_owned())?
        .map_err(|error| format!("the socket did not open: {}", chain(&error)))?;
    let (mut sink, mut texts) = stream.split();
    if events.send(SocketEvent::Opened(socket)).await.is_err() {
        return Ok("the daemon stops");
    }
    loop {
        tokio::select! {
            next = texts.next() => match next {
                Some(Ok(Message::Text(text))) => {
                    let text = SocketEvent::Text(socket, text.as_str().to_owned());
                    if events.send(text).await.is_err() {
                        return Ok("the daemon stops");
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map_or_else(String::new, |one| format!(" ({})", one.code));
                    return Err(format!("the platform closed the socket{code}"));
                }
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Err(format!("the socket broke: {}", chain(&error))),
                None => return Err("the platform ended the socket".into()),
            },
            order = orders.recv() => match order {
                Some(SocketOrder::Send(text)) => {
                    if let Err(error) = sink.send(Message::text(text)).await {
                        return Err(format!("the socket broke: {}", chain(&error)));
                    }
                }
                Some(SocketOrder::Close) | None => {
                    // Whether the goodbye arrives does not matter: the socket is given up.
                    sink.send(Message::Close(None)).await.ok();
                    return Ok("closed by us");
                }
            },
        }
    }
}
