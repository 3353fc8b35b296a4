//! Chance, from a seed: splitmix64 (Steele, Lea and Flood 2014). The same seed gives the same run.

use std::time::Duration;

/// A source of numbers that depends on nothing but its seed.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// A source that starts at this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A source whose seed is a name (FNV-1a), for ids that must not change from run to run.
    pub fn named(name: &str) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, not including, 1.
    pub fn unit(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number below `bound`; 0 where the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 {
            return 0;
        }
        usize::try_from(self.bits() % bound as u64).unwrap_or(0)
    }

    /// Whether something of this probability happens now. A probability of 0 draws nothing, so that a
    /// fault that is off does not change the run.
    pub fn strikes(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// A span between two others.
    pub fn span(&mut self, from: Duration, to: Duration) -> Duration {
        from + to.saturating_sub(from).mul_f64(self.unit())
    }

    /// One of these; `None` where there is none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// An id in the form of a UUID version 4.
    pub fn uuid(&mut self) -> String {
        let (high, low) = (self.bits(), self.bits());
        uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
            .into_uuid()
            .to_string()
    }

    /// Text of this many letters and digits, as in secrets and channel ids.
    pub fn word(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        (0..length)
            .map(|_| char::from(LETTERS.get(self.below(LETTERS.len())).copied().unwrap_or(b'a')))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut one, mut other) = (Chance::new(7), Chance::new(7));
        assert!((0..50).all(|_| one.bits() == other.bits()));
        assert_ne!(Chance::new(8).bits(), Chance::new(7).bits());
    }

    #[test]
    fn spans_stay_between_their_ends() {
        let mut chance = Chance::new(1);
        let (from, to) = (Duration::from_millis(20), Duration::from_millis(150));
        assert!((0..1000).map(|_| chance.span(from, to)).all(|span| (from..=to).contains(&span)));
    }

    #[test]
    fn an_id_looks_like_a_uuid() {
        let id = Chance::new(3).uuid();
        assert_eq!(uuid::Uuid::parse_str(&id).expect("a UUID").get_version_num(), 4);
    }

    #[test]
    fn a_probability_of_zero_never_strikes_and_draws_nothing() {
        let mut chance = Chance::new(5);
        assert!(!chance.strikes(0.0));
        assert_eq!(chance.bits(), Chance::new(5).bits());
        assert!(Chance::new(5).strikes(1.0));
    }
}
