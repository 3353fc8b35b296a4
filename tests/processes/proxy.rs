//! A network between daemon and simulator that can be made to fail: every byte of every connection goes
//! through here. The simulator names itself by the address that it was asked under, so that its sockets come
//! this way too.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use recwarden::io::clock::Clock;

/// A pump looks at the state of the network so often while nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long after its request an answer passes while the network is slow: within the half minute after which it counts as
/// none, with some room for whoever takes it late.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);
/// The same, just beyond the half minute: what was ordered is carried out, and who gave the order cannot know.
const BEYOND: Duration = Duration::from_secs(32);

/// How the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Network {
    /// Bytes pass.
    Open = 0,
    /// Connections are made, and what is sent is gone.
    BlackHole = 1,
    /// New connections are closed at once.
    Refusing = 2,
    /// Answers come long after their requests. Of orders, by turns, one is answered before the client gives up waiting,
    /// one just after it, and one never arrives. What a WebSocket carries comes at once.
    Slow = 3,
    /// What a WebSocket carries is gone, and no other opens; requests pass.
    SocketsDark = 4,
    /// Orders pass, and nothing else: neither WebSockets nor other requests.
    OrdersOnly = 5,
    /// What a WebSocket carries passes, and whoever asks for anything else is cut off before it arrives.
    SocketsOnly = 6,
}

struct State {
    network: AtomicU8,
    /// Connections older than this are forgotten: nothing passes, and they stay open.
    forgotten: AtomicU64,
    /// Connections older than this are cut.
    cut: AtomicU64,
    made: AtomicU64,
    /// Orders that were asked while the network was slow.
    slow_orders: AtomicU64,
    clock: Clock,
}

impl State {
    fn is(&self, network: Network) -> bool {
        self.network.load(Ordering::SeqCst) == network as u8
    }

    fn is_cut(&self, number: u64) -> bool {
        number <= self.cut.load(Ordering::SeqCst)
    }

    fn now(&self) -> Duration {
        self.clock.now().mono.since_start()
    }

    /// What becomes of a request that comes now.
    fn fate(&self, what: What) -> Fate {
        if !self.is(Network::Slow) {
            return Fate::AnsweredAfter(Duration::ZERO);
        }
        match what {
            What::Socket => Fate::AnsweredAfter(Duration::ZERO),
            What::Other => Fate::AnsweredAfter(WITHIN),
            What::Order => match self.slow_orders.fetch_add(1, Ordering::SeqCst) % 3 {
                0 => Fate::AnsweredAfter(WITHIN),
                1 => Fate::AnsweredAfter(BEYOND),
                _ => Fate::Lost,
            },
        }
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// A WebSocket; there is no other request on its connection.
    Socket,
    /// That a recording start or stop.
    Order,
    /// Anything else.
    Other,
}

impl What {
    /// Of a request that begins with these bytes; none where they are the rest of one.
    fn of(bytes: &[u8]) -> Option<Self> {
        let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let path = line.strip_suffix(" HTTP/1.1")?.split_once(' ')?.1;
        let order = path.ends_with("/recordingstate") || path.ends_with("/snippet/record");
        Some(match path {
            _ if path.starts_with("/channels/") => Self::Socket,
            _ if order => Self::Order,
            _ => Self::Other,
        })
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It arrives, and its answer passes so long after it.
    AnsweredAfter(Duration),
    /// It does not arrive.
    Lost,
}

/// The request that came last on a connection.
#[derive(Clone, Copy, Debug)]
struct Asked {
    what: What,
    fate: Fate,
    at: Duration,
}

/// One connection through the network.
struct Line {
    number: u64,
    asked: Mutex<Asked>,
    /// One of its ways has ended.
    over: AtomicBool,
}

impl Line {
    fn of(number: u64) -> Self {
        let (what, fate) = (What::Other, Fate::AnsweredAfter(Duration::ZERO));
        let asked = Mutex::new(Asked { what, fate, at: Duration::ZERO });
        Self { number, asked, over: AtomicBool::new(false) }
    }

    fn asked(&self) -> Asked {
        *self.asked.lock().expect("nobody panics with it")
    }

    fn note_request(&self, bytes: &[u8], state: &State) {
        if let Some(what) = What::of(bytes) {
            let asked = Asked { what, fate: state.fate(what), at: state.now() };
            *self.asked.lock().expect("nobody panics with it") = asked;
        }
    }

    /// Whether nothing passes now.
    fn swallows(&self, state: &State) -> bool {
        let Asked { what, fate, .. } = self.asked();
        fate == Fate::Lost
            || state.is(Network::BlackHole)
            || (state.is(Network::SocketsDark) && what == What::Socket)
            || (state.is(Network::OrdersOnly) && what != What::Order)
    }

    /// Whether an answer has to wait still.
    fn waits(&self, state: &State) -> bool {
        let asked = self.asked();
        let wait = match asked.fate {
            Fate::AnsweredAfter(wait) => wait,
            Fate::Lost => Duration::ZERO,
        };
        state.now() < asked.at + wait && state.is(Network::Slow) && !state.is_cut(self.number)
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Requests,
    Answers,
}

/// The network; it goes with the value.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

impl Proxy {
    /// A network to this simulator.
    pub(crate) fn to(api_url: &str) -> Self {
        let target: SocketAddr = api_url.trim_start_matches("http://").parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let zero = || AtomicU64::new(0);
        let (network, clock) = (AtomicU8::new(Network::Open as u8), Clock::start());
        let (forgotten, cut, made, slow_orders) = (zero(), zero(), zero(), zero());
        let state = Arc::new(State { network, forgotten, cut, made, slow_orders, clock });
        let shared = Arc::clone(&state);
        // Ends with the process of the test; its connections end with their ends.
        std::thread::spawn(move || {
            for inner in listener.incoming().map_while(Result::ok) {
                let number = shared.made.fetch_add(1, Ordering::SeqCst) + 1;
                if shared.is(Network::Refusing) {
                    continue;
                }
                let Ok(outer) = TcpStream::connect(target) else { continue };
                let line = Arc::new(Line::of(number));
                let (inner, outer) = (Arc::new(inner), Arc::new(outer));
                connect(&inner, &outer, Way::Requests, &line, &shared);
                connect(&outer, &inner, Way::Answers, &line, &shared);
            }
        });
        Self { address, state }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it is so.
    pub(crate) fn becomes(&self, network: Network) {
        self.state.network.store(network as u8, Ordering::SeqCst);
    }

    /// Nothing passes any more on the connections that there are; they stay open.
    pub(crate) fn forget_connections(&self) {
        self.state.forgotten.store(self.state.made.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// The connections that there are end.
    pub(crate) fn cut_connections(&self) {
        self.state.cut.store(self.state.made.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

/// Nothing came for a while, or who waited was stopped meanwhile.
fn is_no_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Carries bytes one way in a thread of its own.
fn connect(from: &Arc<TcpStream>, to: &Arc<TcpStream>, way: Way, line: &Arc<Line>, state: &Arc<State>) {
    let (from, to, line, state) = (Arc::clone(from), Arc::clone(to), Arc::clone(line), Arc::clone(state));
    from.set_read_timeout(Some(LOOK_EVERY)).expect("a timeout");
    to.set_nodelay(true).expect("no delay");
    std::thread::spawn(move || {
        let mut buffer = [0_u8; 16 * 1024];
        loop {
            let read = (&*from).read(&mut buffer);
            if state.is_cut(line.number) {
                break;
            }
            let forgotten = line.number <= state.forgotten.load(Ordering::SeqCst);
            if let (Way::Requests, Ok(read)) = (way, &read) {
                line.note_request(&buffer[..*read], &state);
            }
            if state.is(Network::SocketsOnly) && way == Way::Requests && line.asked().what != What::Socket {
                break;
            }
            let swallowed = forgotten || line.swallows(&state);
            match read {
                // That one end is closed is swallowed too.
                Ok(0) if swallowed && !line.over.load(Ordering::SeqCst) => std::thread::sleep(LOOK_EVERY),
                Ok(0) => break,
                Ok(_) if swallowed => {}
                Ok(read) => {
                    while way == Way::Answers && line.waits(&state) {
                        std::thread::sleep(LOOK_EVERY);
                    }
                    if (&*to).write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
                Err(error) if is_no_end(error.kind()) => {}
                Err(_) => break,
            }
        }
        // The other way ends with it; both may have ended already.
        line.over.store(true, Ordering::SeqCst);
        from.shutdown(Shutdown::Both).ok();
        to.shutdown(Shutdown::Both).ok();
    });
}
