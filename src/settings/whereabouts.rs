//! Where the daemon that runs here is found, and its log. A daemon goes on with its old configuration where the
//! new one has mistakes, so these must not keep anybody from asking it, nor from reading what it did.

use std::path::{Path, PathBuf};

use super::{Source, files, read};
use crate::model::document::{Diagnostic, Document};

/// The folder of the log, in which the daemon has its control socket too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// The folder.
    pub audit_directory: PathBuf,
    /// How many mistakes the rest of the configuration has.
    pub mistakes: usize,
}

impl Source {
    /// Looks up where the log is, whatever else the configuration says.
    ///
    /// # Errors
    /// Every mistake, where `[audit]` itself cannot be read.
    pub fn whereabouts(&self) -> Result<Whereabouts, Vec<Diagnostic>> {
        let found = match self.load() {
            Ok(loaded) => {
                let audit_directory = loaded.settings.audit.directory;
                return Ok(Whereabouts { audit_directory, mistakes: 0 });
            }
            Err(found) => found,
        };
        match self.audit_directory() {
            Some(audit_directory) => Ok(Whereabouts { audit_directory, mistakes: found.len() }),
            None => Err(found),
        }
    }

    /// What `[audit]` says of it alone; none where that table has a mistake, or the file is no TOML.
    fn audit_directory(&self) -> Option<PathBuf> {
        let text = files::text(&self.path).ok()?;
        let folder = self.path.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut document = Document::new(self.path.display().to_string(), text);
        let audit = document.read(|root| {
            root.accept_all();
            read::audit(root, self, &folder)
        });
        audit.filter(|_| !document.has_errors()).map(|audit| audit.directory)
    }
}

impl Whereabouts {
    /// One line for who asks, where the configuration is not what the daemon runs on.
    pub fn warning(&self, config: &Path) -> Option<String> {
        let s = if self.mistakes == 1 { "" } else { "s" };
        (self.mistakes > 0).then(|| {
            format!(
                "the configuration has {} mistake{s}, which a daemon that runs does not take over; \
                 `recwarden check --config {}` shows them",
                self.mistakes,
                config.display()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::settings::Credentials;

    fn found(text: &str) -> Result<Whereabouts, Vec<Diagnostic>> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("recwarden.toml");
        std::fs::write(&path, text).expect("written");
        std::fs::write(folder.path().join("bad.toml"), "[[rule]\n").expect("written");
        Source { path, environment: BTreeMap::new(), credentials: Credentials::Unneeded }.whereabouts()
    }

    #[test]
    fn the_log_is_found_whatever_is_wrong_elsewhere() {
        for (text, mistakes) in [
            ("[audit]\ndirectory = \"/x\"\n", 0),
            ("[audit]\ndirectory = \"/x\"\n[policy]\nfiles = [\"bad.toml\"]\n", 1),
            ("[audit]\ndirectory = \"/x\"\n[limit]\n[[rule]]\nname = \"a\"\naction = \"halt\"\n", 2),
        ] {
            let found = found(text).expect("whereabouts");
            assert_eq!((found.audit_directory.as_path(), found.mistakes), (Path::new("/x"), mistakes));
            assert_eq!(found.warning(Path::new("a.toml")).is_some(), mistakes > 0);
        }
    }

    #[test]
    fn a_log_whose_place_is_not_certain_is_not_guessed() {
        for text in ["[audit]\ndirektory = \"/x\"\n", "[audit]\ndirectory = 3\n", "[audit\n"] {
            assert!(found(text).is_err(), "{text}");
        }
    }
}
