//! The files that a configuration is read from, and whether their texts are still what they were.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::{Source, files};
use crate::model::document::Document;
use crate::policy::file;

/// What a file looks like from outside: enough to tell that it must be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looks {
    changed: Option<SystemTime>,
    length: u64,
    inode: u64,
}

/// The files as they were last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    looks: BTreeMap<PathBuf, Option<Looks>>,
    text: Option<[u8; 32]>,
}

impl Source {
    /// The files that [`Source::load`] would read now: the main file and those that `policy.files` names,
    /// whether they exist or not. Where the main file is no TOML, it alone.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut all = vec![self.path.clone()];
        let Ok(text) = files::text(&self.path) else { return all };
        let mut document = Document::new(self.path.display().to_string(), text.as_str());
        let globs = document.read(|root| {
            root.accept_all();
            root.table("policy", file::policy).unwrap_or_default().files
        });
        all.extend(files::named(&mut document, &self.path, &globs.unwrap_or_default()));
        all
    }

    /// Looks at the files. Where they look as they did `before`, they are not read again.
    pub fn sight(&self, before: &Sight) -> Sight {
        let files = self.files();
        let looks: BTreeMap<PathBuf, Option<Looks>> =
            files.into_iter().map(|path| (path.clone(), looks(&path))).collect();
        if looks == before.looks {
            return before.clone();
        }
        let mut hash = Sha256::new();
        for path in looks.keys() {
            hash.update(path.as_os_str().as_encoded_bytes());
            // One that cannot be read differs from one that is empty.
            match files::text_of_rules(path) {
                Ok(text) => {
                    hash.update([1]);
                    hash.update(Sha256::digest(text.as_bytes()));
                }
                Err(_) => hash.update([0]),
            }
        }
        Sight { looks, text: Some(hash.finalize().into()) }
    }
}

impl Sight {
    /// Whether the texts are the same, whatever the files look like.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

fn looks(path: &Path) -> Option<Looks> {
    use std::os::unix::fs::MetadataExt;
    let seen = std::fs::metadata(path).ok()?;
    Some(Looks { changed: seen.modified().ok(), length: seen.len(), inode: seen.ino() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Credentials;

    fn source(folder: &Path) -> Source {
        std::fs::create_dir_all(folder.join("rules")).expect("a folder");
        let path = folder.join("recwarden.toml");
        std::fs::write(&path, "[policy]\nfiles = [\"rules/*.toml\"]\n").expect("written");
        Source { path, environment: BTreeMap::new(), credentials: Credentials::Unneeded }
    }

    #[test]
    fn a_new_file_of_rules_is_seen_and_so_is_one_that_takes_the_place_of_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let source = source(folder.path());
        let first = source.sight(&Sight::default());
        assert!(source.sight(&first).says_the_same(&first));

        let rules = folder.path().join("rules/a.toml");
        std::fs::write(&rules, "# one\n").expect("written");
        let second = source.sight(&first);
        assert!(!second.says_the_same(&first));

        let new = folder.path().join("rules/.a.swp");
        std::fs::write(&new, "# two\n").expect("written");
        std::fs::rename(&new, &rules).expect("renamed");
        let third = source.sight(&second);
        assert!(!third.says_the_same(&second));

        std::fs::remove_file(&rules).expect("removed");
        assert!(!source.sight(&third).says_the_same(&third));
    }

    #[test]
    fn a_file_that_is_written_anew_with_the_same_text_says_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let source = source(folder.path());
        let first = source.sight(&Sight::default());
        let text = std::fs::read(&source.path).expect("read");
        let new = folder.path().join("new");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(&new, &source.path).expect("renamed");
        let second = source.sight(&first);
        assert_ne!(first, second);
        assert!(second.says_the_same(&first));
    }
}
