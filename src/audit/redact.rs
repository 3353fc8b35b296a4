//! Redaction: values that are nobody's business are replaced by a salted hash, so that the chain still
//! verifies and equal values can be matched, but none can be read or guessed without the salt.
//!
//! What is redacted is named by patterns (`audit.redact`), without regard to case:
//!
//! - a bare key (`ani`) is that field wherever it stands, and the platform's longer names for it, those whose
//!   first or last word it is (`address` is `addressNormalized` and `fromAddress` too). Names of the
//!   organisation's own things (queues, skills, divisions, ...) are nobody's and stay: rules tell a queue by
//!   its name;
//! - a dotted glob (`attributes.*card*`) is the end of a path, key by key; the places of a list do not count.
//!
//! Everything inside a redacted field is redacted, each value by itself. Null and the empty text stay: they
//! tell nothing, and rules read them as "not there".

use globset::{GlobBuilder, GlobMatcher};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::audit::record::Record;

/// What stands before the hash.
pub const PREFIX: &str = "redacted:";
/// Bytes of the hash that are written: two different values among 2^64 would share theirs.
const HASH_BYTES: usize = 16;
/// Things of the organisation, whose names are not personal data.
const OWN_THINGS: [&str; 9] =
    ["queue", "queues", "division", "divisions", "team", "skill", "skills", "language", "wrapup"];

/// The secret without which a hash can be compared, but not guessed.
#[derive(Clone, Copy)]
pub struct Salt(pub [u8; 32]);

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// Which fields are redacted.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// The field wherever it stands.
    Key(Box<GlobMatcher>),
    /// The end of a path.
    Path(Vec<GlobMatcher>),
}

/// What is redacted where nothing is said (PRODUCT.md 5).
const DEFAULTS: [&str; 6] = ["address", "ani", "dnis", "name", "attributes.*card*", "facts.*card*"];

impl Pattern {
    /// What is redacted where nothing is said.
    pub fn defaults() -> Vec<Self> {
        DEFAULTS.iter().filter_map(|text| Self::read(text).ok()).collect()
    }

    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let one = |part: &str| {
            if part.is_empty() {
                return Err("a part of it is empty".to_owned());
            }
            let glob = GlobBuilder::new(part).case_insensitive(true).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|error| error.kind().to_string())
        };
        let parts = text.split('.').map(one).collect::<Result<Vec<_>, _>>()?;
        match <[GlobMatcher; 1]>::try_from(parts) {
            Ok([key]) => Ok(Self::Key(Box::new(key))),
            Err(parts) => Ok(Self::Path(parts)),
        }
    }

    fn is_match(&self, path: &[&str]) -> bool {
        match self {
            Self::Key(key) => path.split_last().is_some_and(|(field, before)| {
                let (first, last) = (first_word(field), last_word(field));
                if first.len() == field.len() {
                    let own = last.eq_ignore_ascii_case("name") && before.last().is_some_and(|of| is_own(of));
                    return key.is_match(field) && !own;
                }
                let own = last.eq_ignore_ascii_case("name") && is_own(first);
                key.is_match(field) || (!own && (key.is_match(first) || key.is_match(last)))
            }),
            Self::Path(parts) => path
                .len()
                .checked_sub(parts.len())
                .is_some_and(|from| parts.iter().zip(&path[from..]).all(|(part, key)| part.is_match(key))),
        }
    }
}

/// Replaces values by their hashes.
#[derive(Clone, Debug)]
pub struct Redaction {
    patterns: Vec<Pattern>,
    salt: Salt,
}

impl Redaction {
    /// Redacts what the patterns name.
    pub fn new(patterns: Vec<Pattern>, salt: Salt) -> Self {
        Self { patterns, salt }
    }

    /// Redacts what these patterns name from now on, after a reload.
    pub fn resettle(&mut self, patterns: Vec<Pattern>) {
        self.patterns = patterns;
    }

    /// A record as the log may have it.
    pub fn record(&self, record: &mut Record) {
        if let Record::Facts(one) = record {
            for (key, value) in &mut one.facts {
                self.redact(value, &mut vec!["facts", key], Depth::Looking);
            }
        }
    }

    /// A frame of the platform's: what it tells, not the envelope that says what it is about.
    pub fn frame(&self, frame: &mut Value) {
        if let Some(body) = frame.get_mut("eventBody") {
            self.redact(body, &mut vec!["eventBody"], Depth::Looking);
        }
    }

    fn redact<'v>(&self, value: &'v mut Value, path: &mut Vec<&'v str>, depth: Depth) {
        let inside = depth == Depth::Inside || self.patterns.iter().any(|one| one.is_match(path));
        let depth = if inside { Depth::Inside } else { Depth::Looking };
        match value {
            Value::Null => {}
            Value::String(text) if text.is_empty() => {}
            Value::Object(fields) => {
                for (key, value) in fields {
                    path.push(key);
                    self.redact(value, path, depth);
                    path.pop();
                }
            }
            Value::Array(elements) => elements.iter_mut().for_each(|one| self.redact(one, path, depth)),
            Value::Bool(_) | Value::Number(_) | Value::String(_) if inside => *value = self.hashed(value),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn hashed(&self, value: &Value) -> Value {
        // A key of any length is one for this hash.
        let Ok(mut hash) = Hmac::<Sha256>::new_from_slice(&self.salt.0) else { return Value::Null };
        hash.update(value.to_string().as_bytes());
        let bytes = hash.finalize().into_bytes();
        Value::String(format!("{PREFIX}{}", hex::encode(&bytes[..HASH_BYTES])))
    }
}

/// Whether a value stands inside a redacted field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Looking,
    Inside,
}

fn is_own(thing: &str) -> bool {
    OWN_THINGS.iter().any(|one| one.eq_ignore_ascii_case(thing))
}

/// `ani` of `aniName`, `context` of `context.firstName`.
fn first_word(field: &str) -> &str {
    boundaries(field).next().map_or(field, |(end, _)| &field[..end])
}

/// `Name` of both.
fn last_word(field: &str) -> &str {
    boundaries(field).last().map_or(field, |(_, begin)| &field[begin..])
}

/// Where one word ends and where the next begins.
fn boundaries(field: &str) -> impl Iterator<Item = (usize, usize)> {
    let pairs = field.char_indices().zip(field.char_indices().skip(1));
    pairs.filter_map(|((at, one), (next, other))| {
        if !one.is_alphanumeric() {
            (at > 0).then_some((at, next))
        } else {
            (one.is_lowercase() && other.is_uppercase()).then_some((next, next))
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redaction(patterns: &[&str]) -> Redaction {
        let read = |text: &&str| Pattern::read(text).expect("a pattern");
        Redaction::new(patterns.iter().map(read).collect(), Salt([7; 32]))
    }

    fn redacted(patterns: &[&str], body: Value) -> Value {
        let mut frame = json!({ "topicName": "v2.users.u.conversations", "eventBody": body });
        redaction(patterns).frame(&mut frame);
        assert_eq!(frame["topicName"], "v2.users.u.conversations", "the envelope stays");
        frame["eventBody"].take()
    }

    fn is_hash(value: &Value) -> bool {
        value.as_str().is_some_and(|text| text.strip_prefix(PREFIX).is_some_and(|hex| hex.len() == 32))
    }

    #[test]
    fn a_bare_key_is_that_field_wherever_it_stands_with_its_longer_names() {
        let body = json!({"participants": [{
            "name": "Anna", "ani": "tel:+49", "dnis": "tel:+1", "aniName": "Anna", "purpose": "customer",
            "calls": [{"self": {"addressNormalized": "tel:+49", "nameRaw": ""}, "state": "connected"}],
            "toAddress": {"id": "x"},
        }]});
        let body = redacted(&DEFAULTS, body);
        let one = &body["participants"][0];
        for hidden in [&one["name"], &one["ani"], &one["dnis"], &one["aniName"], &one["toAddress"]["id"]] {
            assert!(is_hash(hidden), "{one}");
        }
        let leg = &one["calls"][0];
        assert!(is_hash(&leg["self"]["addressNormalized"]), "{one}");
        assert_eq!((&one["purpose"], &leg["state"]), (&json!("customer"), &json!("connected")));
        assert_eq!(
            leg["self"]["nameRaw"],
            json!(""),
            "what is empty stays, since rules read it as not there"
        );
    }

    #[test]
    fn names_of_the_organisations_own_things_stay_unless_they_are_named_themselves() {
        let body = json!({"queue": {"id": "q1", "name": "Payments"}, "queueName": "Payments"});
        assert_eq!(redacted(&DEFAULTS, body.clone()), body);
        assert!(is_hash(&redacted(&["queue.name"], body.clone())["queue"]["name"]));
        assert!(is_hash(&redacted(&["queueName"], body)["queueName"]));
    }

    #[test]
    fn a_dotted_glob_is_the_end_of_a_path_whatever_the_case() {
        let body = json!({"eventBody": {"participants": [
            {"attributes": {"CardNumber": "4111", "pci": "on", "card": "", "my.card": "4111"}}
        ]}, "card": "x"});
        let body = redacted(&DEFAULTS, body);
        let attributes = &body["eventBody"]["participants"][0]["attributes"];
        assert!(is_hash(&attributes["CardNumber"]) && is_hash(&attributes["my.card"]), "{attributes}");
        assert_eq!(
            (&attributes["pci"], &attributes["card"], &body["card"]),
            (&json!("on"), &json!(""), &json!("x"))
        );
    }

    #[test]
    fn everything_inside_a_redacted_field_is_redacted_value_by_value() {
        let facts = json!({"card": {"number": "4111", "valid": true, "months": [12, null]}, "tier": "gold"});
        let facts = facts.as_object().expect("an object").clone();
        let mut record = Record::Facts(crate::audit::record::Facts { conversation: "c1".into(), facts });
        redaction(&DEFAULTS).record(&mut record);
        let Record::Facts(one) = record else { panic!("it stays what it is") };
        let card = &one.facts["card"];
        assert!([&card["number"], &card["valid"], &card["months"][0]].into_iter().all(is_hash), "{card}");
        assert_eq!((&card["months"][1], &one.facts["tier"]), (&Value::Null, &json!("gold")));
    }

    #[test]
    fn equal_values_have_equal_hashes_under_one_salt_only() {
        let body = || json!({"a": {"name": "Anna"}, "b": {"name": "Anna"}, "c": {"name": "Bo"}});
        let mine = redacted(&DEFAULTS, body());
        assert_eq!(mine["a"]["name"], mine["b"]["name"]);
        assert_ne!(mine["a"]["name"], mine["c"]["name"]);
        let patterns = vec![Pattern::read("name").expect("a pattern")];
        let mut other = json!({ "eventBody": body() });
        Redaction::new(patterns, Salt([8; 32])).frame(&mut other);
        assert_ne!(mine["a"]["name"], other["eventBody"]["a"]["name"]);
    }

    #[test]
    fn a_pattern_that_is_none_is_told() {
        assert_eq!(Pattern::defaults().len(), DEFAULTS.len());
        assert!(Pattern::read("a..b").is_err());
        assert!(Pattern::read("").is_err());
        assert!(Pattern::read("facts.[a").is_err());
    }
}
