//! The salt of redaction: random bytes in a file that only the daemon may read.
//!
//! It is made once and stays: with another one, values hashed before could no longer be matched.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
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

/// The salt in the folder; made where there is none.
///
/// # Errors
/// Where it cannot be read or made.
pub fn salt(folder: &Path) -> Result<Salt, SaltError> {
    let path = folder.join(FILE_NAME);
    let failed = |what| {
        let path = path.clone();
        move |source| SaltError::Io { path, what, source }
    };
    match File::open(&path) {
        Ok(mut file) => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(failed("read"))?;
            bytes.try_into().map(Salt).map_err(|_| SaltError::NoSalt { path: path.clone() })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            private_folder(folder).map_err(failed("made"))?;
            let bytes = crate::io::clock::entropy().map_err(failed("made"))?;
            // Written aside first, so that a crash leaves no half of it.
            let aside = folder.join(format!("{FILE_NAME}.new"));
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&aside).map_err(failed("made"))?;
            file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed("made"))?;
            std::fs::rename(&aside, &path).map_err(failed("made"))?;
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("made durable"))?;
            Ok(Salt(bytes))
        }
        Err(error) => Err(failed("read")(error)),
    }
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
    fn what_is_no_salt_is_told_and_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE_NAME), "short").expect("written");
        let error = salt(folder.path()).expect_err("it is none");
        assert!(error.to_string().contains("is not a salt of 32 bytes"), "{error}");
        assert_eq!(std::fs::read(folder.path().join(FILE_NAME)).expect("the file"), b"short");
    }
}
