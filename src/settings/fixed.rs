//! The keys that need a restart: what was read of them at the start stays in effect.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Settings;

/// The values of these keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed(BTreeMap<&'static str, Value>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Open(String),
    /// Only its digest.
    Secret([u8; 32]),
}

impl Settings {
    /// What a reload cannot change.
    pub fn fixed(&self) -> Fixed {
        let mut all = BTreeMap::new();
        let mut open = |key, text: String| all.insert(key, Value::Open(text));
        open("audit.directory", self.audit.directory.display().to_string());
        open("http.listen", self.http_listen.clone());
        let webhook = self.webhook.as_ref().map(|webhook| webhook.listen.clone());
        open("webhook.listen", webhook.unwrap_or_default());
        if let Some(genesys) = &self.genesys {
            open("genesys.api_url", genesys.api_url.clone());
            open("genesys.login_url", genesys.login_url.clone());
            open("genesys.client_id", genesys.client_id.clone());
            let digest = Sha256::digest(genesys.client_secret.expose().as_bytes());
            all.insert("genesys.client_secret_file", Value::Secret(digest.into()));
        }
        Fixed(all)
    }
}

impl Fixed {
    /// What differs in a configuration that was read later, a sentence for each key.
    pub fn changes_to(&self, new: &Self) -> Vec<String> {
        let keys: std::collections::BTreeSet<&str> = self.0.keys().chain(new.0.keys()).copied().collect();
        let change = |key: &str| {
            let (old, new) = (self.0.get(key), new.0.get(key));
            let what = match (old, new) {
                (old, new) if old == new => return None,
                (Some(Value::Open(old)), Some(Value::Open(new))) => format!("from '{old}' to '{new}'"),
                _ => "to another value".to_owned(),
            };
            Some(format!("{key} was changed {what}, which takes effect at the next restart only"))
        };
        keys.into_iter().filter_map(change).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_key_is_told_and_a_secret_is_not() {
        let of = |listen: &str, secret: u8| {
            Fixed(BTreeMap::from([
                ("http.listen", Value::Open(listen.into())),
                ("genesys.client_secret_file", Value::Secret([secret; 32])),
            ]))
        };
        assert_eq!(of("a", 1).changes_to(&of("a", 1)), Vec::<String>::new());
        assert_eq!(
            of("a", 1).changes_to(&of("b", 2)),
            [
                "genesys.client_secret_file was changed to another value, which takes effect at the next restart only",
                "http.listen was changed from 'a' to 'b', which takes effect at the next restart only"
            ]
        );
    }
}
