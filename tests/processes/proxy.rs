//! A network between daemon and simulator that can be made to fail: every byte of every connection goes
//! through here. The simulator names itself by the address that it was asked under, so that its sockets come
//! this way too.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use recwarden::io::clock::Clock;

/// A pump looks at the state of the network so often while nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long after its request an answer passes while the network is slow: just under the half minute after which
/// it counts as none.
const SLOW: Duration = Duration::from_secs(28);

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
    /// Answers come half a minute after their requests; what a WebSocket carries comes at once.
    Slow = 3,
}

struct State {
    network: AtomicU8,
    /// Connections older than this are forgotten: nothing passes, and they stay open.
    forgotten: AtomicU64,
    /// Connections older than this are cut.
    cut: AtomicU64,
    made: AtomicU64,
    clock: Clock,
}

impl State {
    fn is(&self, network: Network) -> bool {
        self.network.load(Ordering::SeqCst) == network as u8
    }

    fn is_cut(&self, number: u64) -> bool {
        number <= self.cut.load(Ordering::SeqCst)
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.clock.now().mono.since_start().as_millis()).unwrap_or(u64::MAX)
    }
}

/// One connection through the network.
struct Line {
    number: u64,
    /// When a request, or a part of one, passed last; none of those who wait for an answer is a WebSocket.
    asked_at: AtomicU64,
}

impl Line {
    fn note_request(&self, bytes: &[u8], state: &State) {
        if bytes.starts_with(b"GET /channels/") {
            self.asked_at.store(Self::SOCKET, Ordering::SeqCst);
        } else if self.asked_at.load(Ordering::SeqCst) != Self::SOCKET {
            self.asked_at.store(state.millis(), Ordering::SeqCst);
        }
    }

    const SOCKET: u64 = u64::MAX;

    /// Whether an answer has to wait still.
    fn waits(&self, state: &State) -> bool {
        let asked_at = self.asked_at.load(Ordering::SeqCst);
        let slow = Duration::from_millis(state.millis().saturating_sub(asked_at)) < SLOW;
        asked_at != Self::SOCKET && slow && state.is(Network::Slow) && !state.is_cut(self.number)
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
        let state = Arc::new(State { network, forgotten: zero(), cut: zero(), made: zero(), clock });
        let shared = Arc::clone(&state);
        // Ends with the process of the test; its connections end with their ends.
        std::thread::spawn(move || {
            for inner in listener.incoming().map_while(Result::ok) {
                let number = shared.made.fetch_add(1, Ordering::SeqCst) + 1;
                if shared.is(Network::Refusing) {
                    continue;
                }
                let Ok(outer) = TcpStream::connect(target) else { continue };
                let line = Arc::new(Line { number, asked_at: AtomicU64::new(0) });
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
            let swallowed = forgotten || state.is(Network::BlackHole);
            match read {
                Ok(0) if forgotten => std::thread::sleep(LOOK_EVERY),
                Ok(0) => break,
                Ok(_) if swallowed => {}
                Ok(read) => {
                    let bytes = &buffer[..read];
                    match way {
                        Way::Requests => line.note_request(bytes, &state),
                        Way::Answers => {
                            while line.waits(&state) {
                                std::thread::sleep(LOOK_EVERY);
                            }
                        }
                    }
                    if (&*to).write_all(bytes).is_err() {
                        break;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => break,
            }
        }
        // The other way ends with it; both may have ended already.
        from.shutdown(Shutdown::Both).ok();
        to.shutdown(Shutdown::Both).ok();
    });
}
