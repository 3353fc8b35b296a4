//! A network between daemon and simulator that can be made to fail: every byte of every connection goes
//! through here. The simulator names itself by the address that it was asked under, so that its sockets come
//! this way too.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// A pump looks at the state of the network so often while nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(20);

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
}

struct State {
    network: AtomicU8,
    /// Connections older than this are forgotten: nothing passes, and they stay open.
    forgotten: AtomicU64,
    /// Connections older than this are cut.
    cut: AtomicU64,
    made: AtomicU64,
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
        let state =
            Arc::new(State { network: AtomicU8::new(0), forgotten: zero(), cut: zero(), made: zero() });
        let shared = Arc::clone(&state);
        // Ends with the process of the test; its connections end with their ends.
        std::thread::spawn(move || {
            for inner in listener.incoming().map_while(Result::ok) {
                let number = shared.made.fetch_add(1, Ordering::SeqCst) + 1;
                if shared.network.load(Ordering::SeqCst) == Network::Refusing as u8 {
                    continue;
                }
                let Ok(outer) = TcpStream::connect(target) else { continue };
                connect(&inner, &outer, number, &shared);
                connect(&outer, &inner, number, &shared);
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
fn connect(from: &TcpStream, to: &TcpStream, number: u64, state: &Arc<State>) {
    let (mut from, mut to) = (from.try_clone().expect("a stream"), to.try_clone().expect("a stream"));
    let state = Arc::clone(state);
    from.set_read_timeout(Some(LOOK_EVERY)).expect("a timeout");
    to.set_nodelay(true).expect("no delay");
    std::thread::spawn(move || {
        let mut buffer = [0_u8; 16 * 1024];
        loop {
            let read = from.read(&mut buffer);
            if number <= state.cut.load(Ordering::SeqCst) {
                break;
            }
            let forgotten = number <= state.forgotten.load(Ordering::SeqCst);
            let swallowed = forgotten || state.network.load(Ordering::SeqCst) == Network::BlackHole as u8;
            match read {
                Ok(0) if forgotten => std::thread::sleep(LOOK_EVERY),
                Ok(0) => break,
                Ok(_) if swallowed => {}
                Ok(read) => {
                    if to.write_all(&buffer[..read]).is_err() {
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
