//! The connections of the simulator's port. A new one is looked at before it is read: what asks for
//! `/channels/...` is a WebSocket, the rest is HTTP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::serve::Listener;
use futures::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Message, handshake::server as handshake};

use crate::sim::channels::SocketId;
use crate::sim::life::{Beat, Effect};
use crate::sim::platform::{BODY_MOST, Reply, TrueStory};
use crate::sim::post::SocketOut;
use crate::sim::traffic::Cue;
use crate::sim::web::{HttpRequest, HttpResponse};

/// Frames for one socket; a client that reads more slowly than this is cut off, as a platform would.
const FRAMES_MOST: usize = 4_096;
/// How long a new connection may take to send its first line.
const FIRST_LINE_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may take to answer a closing handshake.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// How long a client that gets no answer, or whose socket is frozen, is kept.
const SILENCE: Duration = Duration::from_secs(600);

/// What a connection, or the one who holds the simulator, wants of the platform.
pub enum Errand {
    /// A request, and where its answer goes.
    Http(HttpRequest, oneshot::Sender<Reply>),
    /// A socket for a channel, and where its frames go.
    Open(String, mpsc::Sender<SocketOut>, oneshot::Sender<Option<SocketId>>),
    /// A text frame that came in.
    Text(SocketId, String),
    /// A socket that is no more.
    Gone(SocketId),
    /// A call to begin.
    Begin(Vec<Cue>, oneshot::Sender<String>),
    /// One thing to happen in a call.
    Play(String, Beat, oneshot::Sender<Effect>),
    /// How it really was, so far.
    Truth(oneshot::Sender<Vec<TrueStory>>),
    /// Nobody calls any more.
    CloseDoors,
    /// How long orders took to come.
    Reactions(oneshot::Sender<Vec<Duration>>),
    /// The end, and how it really was.
    Stop(oneshot::Sender<Vec<TrueStory>>),
}

/// The connections that are HTTP, as axum takes them up.
pub struct Front {
    connections: mpsc::Receiver<(TcpStream, SocketAddr)>,
    address: SocketAddr,
}

impl Front {
    /// Takes up what comes here.
    pub fn new(connections: mpsc::Receiver<(TcpStream, SocketAddr)>, address: SocketAddr) -> Self {
        Self { connections, address }
    }
}

impl Listener for Front {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        match self.connections.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Accepts connections and gives each to the side that it is for.
pub async fn accept(
    listener: TcpListener,
    connections: mpsc::Sender<(TcpStream, SocketAddr)>,
    errands: mpsc::Sender<Errand>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(sort(stream, peer, connections.clone(), errands.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "the simulator could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Looks at a new connection and gives it to the side that it is for.
async fn sort(
    stream: TcpStream,
    peer: SocketAddr,
    connections: mpsc::Sender<(TcpStream, SocketAddr)>,
    errands: mpsc::Sender<Errand>,
) {
    let Ok(Some(path)) = tokio::time::timeout(FIRST_LINE_WITHIN, first_path(&stream)).await else {
        return;
    };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    match path.strip_prefix("/channels/") {
        Some(channel) => serve_socket(stream, channel.to_owned(), errands).await,
        None => drop(connections.send((stream, peer)).await),
    }
}

/// The path of the first request of a connection, without reading it away.
async fn first_path(stream: &TcpStream) -> Option<String> {
    let mut head = [0_u8; 2_048];
    loop {
        let seen = stream.peek(&mut head).await.ok()?;
        let text = head.get(..seen)?;
        let line = text.iter().position(|&byte| byte == b'\n');
        if line.is_some() || seen == head.len() {
            let line = String::from_utf8_lossy(text.get(..line.unwrap_or(seen))?).into_owned();
            let target = line.split(' ').nth(1).unwrap_or("/");
            return Some(target.split('?').next().unwrap_or("/").to_owned());
        }
        if seen == 0 {
            return None;
        }
        // `peek` gives the same bytes again at once.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Serves one request.
pub async fn serve_http(State(errands): State<mpsc::Sender<Errand>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_MOST * 2).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let request = HttpRequest {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or("").to_owned(),
        headers: head.headers.iter().map(header).collect(),
        body: body.to_vec(),
    };
    let (answer_tx, answer) = oneshot::channel();
    if errands.send(Errand::Http(request, answer_tx)).await.is_err() {
        return plain(StatusCode::SERVICE_UNAVAILABLE);
    }
    match answer.await {
        Ok(Reply::Answer(answer)) => {
            tokio::time::sleep(answer.delay).await;
            write(answer)
        }
        Ok(Reply::Silence) => {
            tokio::time::sleep(SILENCE).await;
            plain(StatusCode::GATEWAY_TIMEOUT)
        }
        Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE),
    }
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn write(answer: HttpResponse) -> Response {
    let mut response =
        plain(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    *response.body_mut() = Body::from(answer.body);
    response
}

async fn serve_socket(stream: TcpStream, channel: String, errands: mpsc::Sender<Errand>) {
    let (frames_tx, frames) = mpsc::channel(FRAMES_MOST);
    let (answer_tx, answer) = oneshot::channel();
    if errands.send(Errand::Open(channel, frames_tx, answer_tx)).await.is_err() {
        return;
    }
    let socket = answer.await.ok().flatten();
    #[expect(clippy::result_large_err, reason = "the type is the library's")]
    let greet = |_: &handshake::Request, response: handshake::Response| match socket {
        Some(_) => Ok(response),
        None => {
            let mut refusal = handshake::ErrorResponse::new(None);
            *refusal.status_mut() = tokio_tungstenite::tungstenite::http::StatusCode::NOT_FOUND;
            Err(refusal)
        }
    };
    let opened = tokio_tungstenite::accept_hdr_async(stream, greet).await;
    let Some(socket) = socket else {
        return;
    };
    if let Ok(stream) = opened {
        carry(stream, socket, frames, &errands).await;
    }
    drop(errands.send(Errand::Gone(socket)).await);
}

/// Carries frames both ways until one side ends it.
async fn carry(
    mut stream: WebSocketStream<TcpStream>,
    socket: SocketId,
    mut frames: mpsc::Receiver<SocketOut>,
    errands: &mpsc::Sender<Errand>,
) {
    loop {
        tokio::select! {
            out = frames.recv() => match out {
                Some(SocketOut::Text(text)) => {
                    if stream.send(Message::text(text)).await.is_err() {
                        return;
                    }
                }
                Some(SocketOut::Close { code, reason }) => {
                    let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
                    drop(stream.close(Some(frame)).await);
                    // The client's own closing frame is read, so that ours is not lost in a reset.
                    drop(tokio::time::timeout(CLOSE_WITHIN, async { while stream.next().await.is_some() {} }).await);
                    return;
                }
                Some(SocketOut::Freeze) => {
                    drop(tokio::time::timeout(SILENCE, frames.recv()).await);
                    return;
                }
                Some(SocketOut::Cut) | None => return,
            },
            read = stream.next() => match read {
                Some(Ok(Message::Text(text))) => {
                    if errands.send(Errand::Text(socket, text.to_string())).await.is_err() {
                        return;
                    }
                }
                // The library answers pings and closing handshakes by itself while it is read.
                Some(Ok(
                    Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_),
                )) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}
