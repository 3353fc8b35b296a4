//! Secrets come from the systemd credential, the named file, or the environment, in this order; never from
//! the TOML itself (PRODUCT.md 5).

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use crate::io::token::Secret;
use crate::model::document::Table;

/// What to do where the named file is of no use.
pub(super) const FILE_HELP: &str =
    "write the secret into that file, and let the daemon's user alone read it (chmod 0600)";

/// Looks a secret up.
///
/// # Errors
/// Why there is none, and where it was looked for.
pub(super) fn find(
    what: &str,
    credential: &str,
    file: Option<&Path>,
    variables: &[&str],
    environment: &BTreeMap<String, String>,
) -> Result<Secret, String> {
    let mut looked = Vec::new();
    if let Some(folder) = environment.get("CREDENTIALS_DIRECTORY") {
        let path = Path::new(folder).join(credential);
        match std::fs::read_to_string(&path) {
            Ok(text) => return clean(what, &path.display().to_string(), &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                looked.push(format!("the systemd credential '{credential}' (there is none)"));
            }
            Err(error) => return Err(unreadable(what, &path, &error)),
        }
    }
    if let Some(path) = file {
        return match std::fs::read_to_string(path) {
            Ok(text) => clean(what, &path.display().to_string(), &text),
            Err(error) => Err(unreadable(what, path, &error)),
        };
    }
    for name in variables {
        if let Some(text) = environment.get(*name) {
            return clean(what, &format!("the environment variable {name}"), text);
        }
    }
    looked.extend(variables.iter().map(|name| format!("the environment variable {name} (not set)")));
    Err(format!("there is no {what}; looked for it in: {}", looked.join(", ")))
}

/// A secret is written into the configuration, where it does not belong.
pub(super) fn refuse(table: &mut Table<'_, '_>, place: Range<usize>, key: &str) {
    let help =
        format!("put it into a file of its own, readable by the daemon only, and name that file as {key}");
    table.document().mistake(place, "a secret does not belong into this file", Some(help));
}

fn unreadable(what: &str, path: &Path, error: &std::io::Error) -> String {
    let why = if error.kind() == std::io::ErrorKind::InvalidData {
        "it is not UTF-8 text".to_owned()
    } else {
        error.to_string()
    };
    format!("the {what} cannot be read from {}: {why}", path.display())
}

fn clean(what: &str, place: &str, text: &str) -> Result<Secret, String> {
    let text = text.trim();
    if text.is_empty() { Err(format!("the {what} in {place} is empty")) } else { Ok(Secret::new(text)) }
}
