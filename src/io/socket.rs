//! Text in and out of one notification socket, each in a task of its own. The end of the stream is an event
//! like any other.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::io::clock::Clock;
use crate::io::token::cause;
use crate::model::time::{Now, Wall};
use crate::warden::session::SocketId;
use crate::wire::frame::LARGEST_FRAME;

/// Opening takes no longer than this; the session has a deadline of its own beyond it.
const OPEN_WAIT: Duration = Duration::from_secs(10);
/// Room is counted in these, in bytes.
const ROOM_UNIT: u64 = 1024;
/// Orders that wait for a socket: pings and a close, so a few are plenty. Beyond it an order is dropped,
/// and the session's own deadline notices.
pub const ORDERS_WAITING: usize = 16;

/// What a socket has to say.
#[derive(Debug)]
pub enum SocketEvent {
    /// It opened.
    Opened(SocketId),
    /// A text came, at that moment; its room is free again once the event is dropped.
    Text(SocketId, String, Room, Now),
    /// So many texts were shed for want of room, the first of them then.
    Shed(SocketId, u64, Wall),
    /// A text was refused unread, and why; the socket is lost with it.
    Refused(SocketId, String),
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

/// The room that a waiting text takes.
#[derive(Debug)]
pub struct Room(#[expect(dead_code, reason = "it is held, not looked at")] OwnedSemaphorePermit);

/// The way from the sockets to the loop, bounded twice. Where so many events wait, reading waits, and the
/// platform's own buffer fills. Where the texts that wait take too many bytes, further ones are shed, and that is
/// told: an event that comes too late helps nobody, and the resync reads what it would have said. Texts of
/// less than a KiB (heartbeats, notices) need no room, since their number is bounded.
#[derive(Clone, Debug)]
pub struct Inlet {
    events: mpsc::Sender<SocketEvent>,
    room: Arc<Semaphore>,
    clock: Clock,
}

impl Inlet {
    /// With room for so many bytes of texts.
    pub fn new(events: mpsc::Sender<SocketEvent>, bytes: u64, clock: Clock) -> Self {
        let units = usize::try_from(bytes / ROOM_UNIT).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { events, room: Arc::new(Semaphore::new(units)), clock }
    }

    fn room_for(&self, bytes: usize) -> Option<Room> {
        let units = u32::try_from(bytes as u64 / ROOM_UNIT).ok()?;
        Arc::clone(&self.room).try_acquire_many_owned(units).ok().map(Room)
    }
}

/// What was shed and not told yet.
#[derive(Clone, Copy, Debug)]
struct Shed {
    events: u64,
    since: Wall,
}

/// Runs one socket until it is closed or lost.
pub async fn run(socket: SocketId, uri: String, mut orders: mpsc::Receiver<SocketOrder>, inlet: Inlet) {
    let mut shed = None;
    let why = match listen(socket, &uri, &mut orders, (&inlet, &mut shed)).await {
        Ok(why) => why.to_owned(),
        Err(why) => why,
    };
    if let Some(Shed { events, since }) = shed {
        inlet.events.send(SocketEvent::Shed(socket, events, since)).await.ok();
    }
    // Where the loop is gone, nobody waits for this.
    inlet.events.send(SocketEvent::Lost(socket, why)).await.ok();
}

async fn listen(
    socket: SocketId,
    uri: &str,
    orders: &mut mpsc::Receiver<SocketOrder>,
    (inlet, shed): (&Inlet, &mut Option<Shed>),
) -> Result<&'static str, String> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(2 * LARGEST_FRAME))
        .max_frame_size(Some(2 * LARGEST_FRAME));
    let opening = tokio_tungstenite::connect_async_with_config(uri, Some(config), true);
    let (stream, _) = tokio::time::timeout(OPEN_WAIT, opening)
        .await
        .map_err(|_| "the socket did not open in time".to_owned())?
        .map_err(|error| format!("the socket did not open: {}", cause(&error)))?;
    let (mut sink, mut texts) = stream.split();
    let events = &inlet.events;
    if events.send(SocketEvent::Opened(socket)).await.is_err() {
        return Ok("the daemon stops");
    }
    loop {
        tokio::select! {
            next = texts.next() => match next {
                Some(Ok(Message::Text(text))) => {
                    let Some(room) = inlet.room_for(text.len()) else {
                        let since = inlet.clock.now().wall;
                        shed.get_or_insert(Shed { events: 0, since }).events += 1;
                        continue;
                    };
                    let text = SocketEvent::Text(socket, text.as_str().to_owned(), room, inlet.clock.now());
                    if events.send(text).await.is_err() {
                        return Ok("the daemon stops");
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map_or_else(String::new, |one| format!(" ({})", one.code));
                    return Err(format!("the platform closed the socket{code}"));
                }
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => {
                    let why = cause(&error);
                    if matches!(error, tungstenite::Error::Capacity(_)) {
                        events.send(SocketEvent::Refused(socket, why.clone())).await.ok();
                    }
                    return Err(format!("the socket broke: {why}"));
                }
                None => return Err("the platform ended the socket".into()),
            },
            Ok(permit) = events.reserve(), if shed.is_some() => {
                if let Some(Shed { events, since }) = shed.take() {
                    permit.send(SocketEvent::Shed(socket, events, since));
                }
            },
            order = orders.recv() => match order {
                Some(SocketOrder::Send(text)) => {
                    if let Err(error) = sink.send(Message::text(text)).await {
                        return Err(format!("the socket broke: {}", cause(&error)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_shed_is_told_before_the_loss_of_the_socket() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let uri = format!("ws://{}", listener.local_addr().expect("an address"));
        let (events, mut told) = mpsc::channel(1);
        let inlet = Inlet::new(events, ROOM_UNIT, Clock::start());
        let (_orders_tx, orders) = mpsc::channel(ORDERS_WAITING);
        tokio::spawn(run(SocketId(1), uri, orders, inlet));
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut platform = tokio_tungstenite::accept_async(stream).await.expect("a socket");
        for _ in 0..3 {
            platform.send(Message::text("x".repeat(4096))).await.expect("it is sent");
        }
        platform.close(None).await.expect("it is closed");
        // Until the socket has been left, nobody looks: that it opened takes all the room for events.
        while let Some(Ok(_)) = platform.next().await {}
        let mut all = Vec::new();
        while let Some(event) = told.recv().await {
            all.push(event);
        }
        assert!(
            matches!(all[..], [SocketEvent::Opened(_), SocketEvent::Shed(_, 3, _), SocketEvent::Lost(..)]),
            "{all:?}"
        );
    }

    #[test]
    fn texts_that_wait_take_room_until_they_are_dropped_and_small_ones_none() {
        let (events, _events_rx) = mpsc::channel(1);
        let inlet = Inlet::new(events, 8 * ROOM_UNIT, Clock::start());
        let waits = inlet.room_for(7 * 1024).expect("room");
        assert!(inlet.room_for(2 * 1024).is_none() && inlet.room_for(500).is_some());
        drop(waits);
        assert!(inlet.room_for(8 * 1024).is_some());
    }
}
