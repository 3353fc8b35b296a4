//! The one place that reads the clocks, and the one that draws entropy.

use std::hash::{BuildHasher, Hasher};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::time::{Mono, Now, Wall};

/// Both clocks, the first one counted from here.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts counting.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Reads both clocks.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
    pub fn now(&self) -> Now {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX);
        Now { mono: Mono::new(self.start.elapsed()), wall: Wall::from_micros(micros) }
    }

    /// The runtime's instant of a point, to sleep until.
    pub fn instant(&self, at: Mono) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.start + at.since_start())
    }
}

/// Random bytes that nobody can guess.
///
/// # Errors
/// Where the system has none.
pub fn entropy() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    // Up to 256 bytes come whole.
    if filled == bytes.len() { Ok(bytes) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

/// A seed that differs from run to run.
pub fn seed() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
