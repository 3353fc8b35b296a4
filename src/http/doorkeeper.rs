//! How many may stand in one door, and for how long somebody in it may stay silent. Whoever only connects would else
//! take a file descriptor for ever, and without one the daemon reaches the platform no more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// The bounds of one door.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once. Beyond it the next ones wait outside, in the listener's own queue.
    pub places: usize,
    /// A connection on which nothing is said for so long is closed, and one on which a request takes that long to come and
    /// be answered.
    pub silence: Duration,
}

impl Default for Bounds {
    /// Three doors together stay far below the 1,024 descriptors that a process has where nobody raised that. No answer
    /// takes a minute, and whoever keeps a connection for its next request (once a minute, as scrapers do) finds it there.
    fn default() -> Self {
        Self { places: 128, silence: Duration::from_secs(90) }
    }
}

/// A listener that lets in no more than its bounds allow.
#[derive(Debug)]
pub struct Doorkeeper<L> {
    listener: L,
    places: Arc<Semaphore>,
    silence: Duration,
}

impl<L> Doorkeeper<L> {
    /// Before this door.
    pub fn new(listener: L, bounds: Bounds) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(bounds.places)), silence: bounds.silence }
    }
}

impl<L: Listener> Listener for Doorkeeper<L> {
    type Io = Guest<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The semaphore is never closed; were it, one is let in all the same.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (connection, address) = self.listener.accept().await;
        let (silence, over) = (self.silence, Box::pin(sleep(self.silence)));
        (Guest { connection, silence, over, turn: Turn::Theirs, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Whose turn it is to say something. A turn has its time as a whole, so that nobody keeps a place byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Theirs: nothing of the next request has come.
    Theirs,
    /// Ours: some of it has.
    Ours,
}

/// A connection that was let in.
#[derive(Debug)]
pub struct Guest<C> {
    connection: C,
    silence: Duration,
    over: Pin<Box<Sleep>>,
    turn: Turn,
    _place: Option<OwnedSemaphorePermit>,
}

impl<C> Guest<C> {
    /// Whether something went through, after which it is the turn of `next`; where nothing does and the turn lasts for too
    /// long, that ends it.
    fn heed<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        next: Turn,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            if self.turn != next || next == Turn::Theirs {
                self.over.set(sleep(self.silence));
            }
            self.turn = next;
            return polled;
        }
        ready!(self.over.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Guest<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.connection).poll_read(context, buffer);
        self.heed(polled, Turn::Ours, context)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Guest<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.connection).poll_write(context, bytes);
        self.heed(polled, Turn::Theirs, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.connection).poll_write_vectored(context, slices);
        self.heed(polled, Turn::Theirs, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    // Nothing moves by these alone on a socket, so they start no new time.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::net::SocketAddr;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;
    use crate::http::serve_within;

    const HOUR: Duration = Duration::from_secs(3600);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    async fn door(places: usize, silence: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/", get(async || "here"));
        tokio::spawn(serve_within(Bounds { places, silence }, listener, router, pending::<()>()));
        address
    }

    async fn connect(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.expect("a connection")
    }

    async fn answered(stream: &mut TcpStream) -> bool {
        let mut bytes = [0; 15];
        stream.read_exact(&mut bytes).await.is_ok() && bytes == *b"HTTP/1.1 200 OK"
    }

    #[tokio::test]
    async fn who_says_nothing_is_shown_out_and_the_next_one_let_in() {
        let address = door(1, Duration::from_millis(50)).await;
        let mut silent = connect(address).await;
        let mut next = connect(address).await;
        next.write_all(REQUEST).await.expect("written");
        assert!(answered(&mut next).await, "there is a place for it");
        let closed = timeout(HOUR / 60, silent.read(&mut [0; 1])).await.expect("it is closed at all");
        assert_eq!(closed.expect("closed in order"), 0);
    }

    #[tokio::test]
    async fn nobody_keeps_a_place_byte_by_byte() {
        let address = door(1, Duration::from_millis(200)).await;
        let mut slow = connect(address).await;
        let mut next = connect(address).await;
        next.write_all(REQUEST).await.expect("written");
        let drip = async {
            while slow.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            pending::<bool>().await
        };
        let let_in = async {
            tokio::select! {
                answered = answered(&mut next) => answered,
                never = drip => never,
            }
        };
        assert!(timeout(HOUR / 60, let_in).await.expect("the slow one is shown out"));
    }

    #[tokio::test]
    async fn no_more_are_let_in_than_there_are_places() {
        let address = door(1, HOUR).await;
        let (mut first, mut second) = (connect(address).await, connect(address).await);
        second.write_all(REQUEST).await.expect("written");
        for _ in 0..3 {
            first.write_all(REQUEST).await.expect("written");
            assert!(answered(&mut first).await);
            // The rest of the answer.
            while !first.try_read(&mut [0; 1024]).is_ok_and(|read| read < 1024) {
                first.readable().await.expect("the rest");
            }
            assert!(second.try_read(&mut [0; 1]).is_err(), "it waits outside");
        }
        drop(first);
        assert!(answered(&mut second).await);
    }
}
