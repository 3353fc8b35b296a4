//! The chain: each record carries the hash of the one before, so that nothing can be changed, left out or
//! put in without a trace.
//!
//! A line is `{"seq":...,"time":...,"kind":...,FIELDS,"prev":"...","hash":"..."}`. `hash` is the lower-case
//! hex SHA-256 of the line's bytes from `{` up to, not with, `,"hash":` (PRODUCT.md 6), so that `sed` and
//! `sha256sum` can check it.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::audit::record::Record;
use crate::model::time::Wall;

/// `prev` of the first record.
pub const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const HASH_KEY: &str = ",\"hash\":\"";

/// Where a chain stands: what the next record links to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The number of the next record.
    pub seq: u64,
    /// The hash of the record before.
    pub prev: String,
}

impl Default for Link {
    fn default() -> Self {
        Self { seq: 1, prev: NO_HASH.into() }
    }
}

/// A record cannot be written as JSON.
#[derive(Debug, thiserror::Error)]
#[error("a record of kind {kind} cannot be written")]
pub struct WriteError {
    kind: &'static str,
    #[source]
    source: serde_json::Error,
}

impl Link {
    /// Writes a record as the next line (without its line feed) and moves on.
    ///
    /// # Errors
    /// Where it has no JSON form.
    pub fn seal(&mut self, time: Wall, record: &Record) -> Result<String, WriteError> {
        let fields =
            serde_json::to_string(record).map_err(|source| WriteError { kind: record.kind(), source })?;
        let inner = fields.trim_start_matches('{').trim_end_matches('}');
        // Only one brace is the record's own; a nested object may end the fields.
        let inner = fields.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(inner);
        let body = format!("{{\"seq\":{},\"time\":\"{time}\",{inner},\"prev\":\"{}\"", self.seq, self.prev);
        let hash = hash_of(&body);
        let line = body + &sealing(&hash);
        self.seq += 1;
        self.prev = hash;
        Ok(line)
    }

    /// Checks that a line is the next one, and moves on.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn follow(&mut self, line: &str) -> Result<Sealed, Break> {
        let (body, end) = line.rfind(HASH_KEY).map(|at| line.split_at(at)).ok_or(Break::NotARecord)?;
        let sealed: Sealed = serde_json::from_str(line).map_err(|_| Break::NotARecord)?;
        // What stands behind the hash is in no hash: nothing may.
        let hash = hash_of(body);
        if hash != sealed.hash || end != sealing(&hash) {
            return Err(Break::Changed { seq: sealed.seq });
        }
        if sealed.seq != self.seq {
            return Err(Break::Missing { expected: self.seq, found: sealed.seq });
        }
        if sealed.prev != self.prev {
            return Err(Break::Unlinked { seq: sealed.seq });
        }
        self.seq += 1;
        self.prev.clone_from(&sealed.hash);
        Ok(sealed)
    }

    /// Begins at a line whose predecessor is not at hand: the first of a file.
    ///
    /// # Errors
    /// Where the line is no record.
    pub fn before(line: &str) -> Result<Self, Break> {
        let sealed: Sealed = serde_json::from_str(line).map_err(|_| Break::NotARecord)?;
        Ok(Self { seq: sealed.seq, prev: sealed.prev })
    }
}

/// How a line ends: with the hash of what stands before it.
fn sealing(hash: &str) -> String {
    format!("{HASH_KEY}{hash}\"}}")
}

fn hash_of(body: &str) -> String {
    hex::encode(Sha256::digest(body.as_bytes()))
}

/// A record with its place in the chain.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Sealed {
    /// Its number.
    pub seq: u64,
    /// When it was written.
    pub time: Wall,
    /// The hash of the record before.
    pub prev: String,
    /// Its own hash.
    pub hash: String,
    /// What it says.
    #[serde(flatten)]
    pub record: Record,
}

/// Why a line does not follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// It is no record at all.
    #[error("the line is not a record")]
    NotARecord,
    /// Its hash is not that of its bytes.
    #[error("record {seq} was changed: its hash does not fit its text")]
    Changed {
        /// Which one.
        seq: u64,
    },
    /// Records are missing, or stand twice.
    #[error("record {expected} should follow, but {found} does")]
    Missing {
        /// What should follow.
        expected: u64,
        /// What does.
        found: u64,
    },
    /// It does not carry the hash of the one before.
    #[error("record {seq} does not carry the hash of the record before it")]
    Unlinked {
        /// Which one.
        seq: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::{DaemonStopped, Dropped};

    fn lines() -> Vec<String> {
        let mut link = Link::default();
        (0..3)
            .map(|events| {
                let record = Record::Dropped(Dropped { events, why: "a \"quoted\" }".into() });
                link.seal(Wall::from_micros(0), &record).expect("a line")
            })
            .collect()
    }

    #[test]
    fn a_line_is_hashed_up_to_its_hash_key() {
        let mut link = Link::default();
        let record = Record::DaemonStopped(DaemonStopped { reason: "told to".into() });
        let line = link.seal(Wall::from_micros(0), &record).expect("a line");
        let body = &line[..line.find(",\"hash\":").expect("the key")];
        assert_eq!(line, format!("{body},\"hash\":\"{}\"}}", hex::encode(Sha256::digest(body))));
        assert!(line.starts_with(r#"{"seq":1,"time":"1970-01-01T00:00:00.000000Z","kind":"daemon.stopped","reason":"told to","prev":"000"#));
    }

    #[test]
    fn a_chain_follows_itself() {
        let mut link = Link::default();
        for line in lines() {
            link.follow(&line).expect("it follows");
        }
        assert_eq!(link.seq, 4);
    }

    #[test]
    fn a_changed_missing_or_repeated_record_is_found() {
        let lines = lines();
        let changed = lines[0].replace("\"events\":0", "\"events\":9");
        assert_eq!(Link::default().follow(&changed), Err(Break::Changed { seq: 1 }));
        assert_eq!(Link::default().follow(&lines[1]), Err(Break::Missing { expected: 1, found: 2 }));
        let mut forged = Link { seq: 2, prev: NO_HASH.into() };
        assert_eq!(forged.follow(&lines[1]), Err(Break::Unlinked { seq: 2 }));
        assert_eq!(Link::default().follow("{\"torn"), Err(Break::NotARecord));
    }

    #[test]
    fn nothing_may_stand_behind_the_hash() {
        for line in lines() {
            let open = line.strip_suffix('}').expect("an object");
            let late = [format!("{open},\"message\":\"forged\"}}"), format!("{open} }}"), format!("{line} ")];
            for forged in late {
                let mut link = Link::before(&line).expect("a record");
                let seq = link.seq;
                assert_eq!(link.follow(&forged), Err(Break::Changed { seq }), "{forged}");
                link.follow(&line).expect("the line as it was written");
            }
        }
    }
}
