//! Seeded randomness: jitter and the random part of ids. The seed comes from the shell once, so that a
//! run of the warden can be repeated to the byte.

use std::time::Duration;

use crate::model::ids::DecisionId;
use crate::model::time::Wall;

/// A small generator (splitmix64): good enough for jitter, and for ids that only have to differ.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A generator that always rolls the same for one seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A span from zero up to `most`, all equally likely ("full jitter").
    pub fn span_up_to(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX - 1);
        Duration::from_micros(self.roll() % (micros + 1))
    }

    /// A new UUIDv7 for a decision made at `wall`.
    pub fn decision_id(&mut self, wall: Wall) -> DecisionId {
        let mut random = [0_u8; 10];
        random[..8].copy_from_slice(&self.roll().to_be_bytes());
        random[8..].copy_from_slice(&self.roll().to_be_bytes()[..2]);
        let millis = u64::try_from(wall.as_micros() / 1000).unwrap_or(0);
        DecisionId::new(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ() {
        let mut dice = Dice::new(1);
        let early = dice.decision_id(Wall::from_micros(1_700_000_000_000_000));
        let same = dice.decision_id(Wall::from_micros(1_700_000_000_000_000));
        let late = dice.decision_id(Wall::from_micros(1_700_000_001_000_000));
        assert_ne!(early, same);
        assert!(late > early && late > same);
    }
}
