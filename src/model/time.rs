//! Time as a value. `Mono` is a point for deadlines, `Wall` a point for records; the shell reads both
//! clocks once per input and hands them in as a [`Now`].

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point on a clock that never goes back, counted from the start of the process (or of a simulation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mono(Duration);

impl Mono {
    /// The point `since_start` after the start of the process.
    pub const fn new(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// How long after the start of the process this point is.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// How long ago `earlier` was; zero where it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Mono {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}

impl Sub<Duration> for Mono {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span))
    }
}

/// A point in civil time: microseconds since 1970-01-01T00:00:00Z. Written as RFC 3339, UTC, with
/// microseconds (`2026-01-31T12:00:00.000000Z`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Wall(i64);

impl Wall {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Reads an RFC 3339 instant with any offset; `None` where it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self(at.as_microsecond()))
    }

    /// How long after `earlier`; zero where the clock was set back meanwhile.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Wall {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Wall {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{at:.6}")
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Wall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("'{text}' is not an RFC 3339 instant")))
    }
}

/// Both clocks, read at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// For deadlines.
    pub mono: Mono,
    /// For records, and for what must survive a restart.
    pub wall: Wall,
}

impl Add<Duration> for Now {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self { mono: self.mono + span, wall: self.wall + span }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_point_is_written_in_utc_with_microseconds() {
        let at = Wall::parse("2025-04-10T15:31:49.57+02:00").expect("an instant");
        assert_eq!(at.to_string(), "2025-04-10T13:31:49.570000Z");
        assert_eq!(Wall::parse(&at.to_string()), Some(at));
    }

    #[test]
    fn spans_saturate_where_a_clock_was_set_back() {
        assert_eq!(Wall::from_micros(5).since(Wall::from_micros(9)), Duration::ZERO);
    }
}
