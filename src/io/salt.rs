//! The salt of redaction: random bytes in a file that only the daemon may read.
//!
//! It is made once and stays: with another one, values hashed before could no longer be matched.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::audit::redact::Salt;
use crate::io::facts::private_folder;

/// Its name in the state folder.
pub const FILE_NAME: &str = "redaction.salt";

/// Why there is no salt.
#[derive(Debug, thiserror::Error)]
pub enum SaltError {
    /// The folder or the file cannot be used.
    #[error("the salt of redaction at {} cannot be {what}; check that its folder exists and belongs to the user that runs this", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What was attempted.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// It is something else.
    #[error("{} is not a salt of 32 bytes; bring it back from a copy. A new one (remove the file) hashes equal values differently than before", path.display())]
    NoSalt {
        /// Which file.
        path: PathBuf,
    },
}

/// The salt in the folder; made where there is none. Of several that make one at once, all use the first.
///
/// # Errors
/// Where it cannot be read or made.
pub fn salt(folder: &Path) -> Result<Salt, SaltError> {
    let path = folder.join(FILE_NAME);
    match read(&path) {
        Err(SaltError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            make(folder, &path)?;
            read(&path)
        }
        read => read,
    }
}

fn read(path: &Path) -> Result<Salt, SaltError> {
    let bytes = std::fs::read(path).map_err(failed(path, "read"))?;
    bytes.try_into().map(Salt).map_err(|_| SaltError::NoSalt { path: path.to_path_buf() })
}

/// Makes one, unless another process was first.
fn make(folder: &Path, path: &Path) -> Result<(), SaltError> {
    let failed = |what| failed(path, what);
    private_folder(folder).map_err(failed("made"))?;
    let entropy = || crate::io::clock::entropy().map_err(failed("made"));
    // Written aside first, so that nobody reads half of it, and under a name that nobody else writes to.
    let [one, two, three, four, ..] = entropy()?;
    let name = format!("{FILE_NAME}.{:08x}", u32::from_le_bytes([one, two, three, four]));
    let aside = folder.join(name);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).map_err(failed("made"))?;
    let written = entropy()
        .and_then(|bytes| file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed("made")));
    // Unlike a renaming, a link takes no other file's place.
    let linked = written.and_then(|()| match std::fs::hard_link(&aside, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(failed("made")(error)),
        Ok(()) | Err(_) => Ok(()),
    });
    std::fs::remove_file(&aside).map_err(failed("made"))?;
    linked?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("made durable"))
}

fn failed(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> SaltError {
    let path = path.to_path_buf();
    move |source| SaltError::Io { path, what, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_salt_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("state");
        let made = salt(&folder).expect("it is made");
        assert_eq!(salt(&folder).expect("it is read").0, made.0);
        let mode = std::fs::metadata(folder.join(FILE_NAME)).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(made.0, [0; 32]);
    }

    #[test]
    fn of_many_that_make_a_salt_at_once_all_use_the_first() {
        for _ in 0..50 {
            let folder = tempfile::tempdir().expect("a folder");
            let folder = folder.path().join("state");
            let all: Vec<[u8; 32]> = std::thread::scope(|scope| {
                let made: Vec<_> = (0..8).map(|_| scope.spawn(|| salt(&folder).expect("a salt").0)).collect();
                made.into_iter().map(|made| made.join().expect("made")).collect()
            });
            assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
            assert_eq!(
                std::fs::read_dir(&folder).expect("the folder").count(),
                1,
                "nothing is left beside it"
            );
        }
    }

    #[test]
    fn what_is_no_salt_is_told_and_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE_NAME), "short").expect("written");
        let error = salt(folder.path()).expect_err("it is none");
        assert!(error.to_string().contains("is not a salt of 32 bytes"), "{error}");
        assert_eq!(std::fs::read(folder.path().join(FILE_NAME)).expect("the file"), b"short");
    }
}
