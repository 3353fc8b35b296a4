//! Facts on disk: kept raw, readable by the daemon only, until their conversation ends (PRODUCT.md 6).
//!
//! What is to be kept is collected and durable when [`FactStore::sync`] answers; where that fails it stays,
//! and the next `sync` tries again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::io::folder;
use crate::model::ids::ConversationId;
use crate::policy::subject::Facts;
use crate::warden::Keeping;

/// Its name in the state folder.
pub const FILE_NAME: &str = "facts.redb";

/// Facts by conversation, as JSON.
const FACTS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("facts");

/// Pages that the database keeps in memory. It is written to far more often than read.
const CACHE: usize = 4 << 20;

/// Why facts cannot be kept or read back.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The folder or the file cannot be used.
    #[error("the facts at {} cannot be {what}; check that the folder exists, belongs to the daemon's user and has room", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What was attempted.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("another recwarden has {} open; stop it first, or give this one a STATE_DIRECTORY of its own", path.display())]
    Locked {
        /// Which file.
        path: PathBuf,
    },
    /// The database does not open, or does not read or write.
    #[error("the facts in {} cannot be {what}: the database is damaged or no such database. Rules that use facts would judge without them. Bring the file back from a backup, or move it away to go on without the facts pushed so far (their senders must push them again)", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was attempted.
        what: &'static str,
        /// What is wrong.
        #[source]
        source: Box<redb::Error>,
    },
    /// The facts of one conversation are no JSON object.
    #[error("the facts of conversation {conversation} in {} cannot be read: they are no JSON object. Move the file away to go on without the facts pushed so far (their senders must push them again)", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Whose facts.
        conversation: String,
    },
}

/// The facts of all live conversations.
#[derive(Debug)]
pub struct FactStore {
    path: PathBuf,
    /// None after a failure: the database takes nothing more before it is opened again.
    database: Option<Database>,
    pending: BTreeMap<ConversationId, Option<Facts>>,
}

impl FactStore {
    /// Opens the store and reads what it holds; a folder or file that is not there yet is made.
    ///
    /// # Errors
    /// Where it cannot be used, or not be read to its end.
    pub fn open(path: PathBuf) -> Result<(Self, BTreeMap<ConversationId, Facts>), FactsError> {
        let database = open(&path)?;
        let facts = read(&path, &database)?;
        Ok((Self { path, database: Some(database), pending: BTreeMap::new() }, facts))
    }

    /// Notes what is to be kept; it is durable after the next [`FactStore::sync`].
    pub fn keep(&mut self, keeping: Keeping) {
        match keeping {
            Keeping::Keep(id, facts) => self.pending.insert(id, Some(facts)),
            Keeping::Forget(id) => self.pending.insert(id, None),
        };
    }

    /// Whether something could not be made durable so far.
    pub fn is_behind(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Makes durable what was noted.
    ///
    /// # Errors
    /// Where the disk refuses; nothing is lost, and the next call tries again.
    pub fn sync(&mut self) -> Result<(), FactsError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        // After a failure the database refuses everything until it is opened anew.
        let database = match self.database.take() {
            Some(database) => database,
            None => open(&self.path)?,
        };
        write(&self.path, &database, &self.pending)?;
        self.database = Some(database);
        self.pending.clear();
        Ok(())
    }
}

/// Makes a folder for the daemon alone, where there is none.
///
/// # Errors
/// Where it cannot be made.
pub fn private_folder(folder: &Path) -> std::io::Result<()> {
    folder::make(folder, 0o700)
}

fn open(path: &Path) -> Result<Database, FactsError> {
    let at = |what| {
        let path = path.to_path_buf();
        move |source| FactsError::Io { path, what, source }
    };
    if let Some(folder) = path.parent() {
        private_folder(folder).map_err(at("kept"))?;
    }
    let file: File = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(at("opened"))?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(at("made private"))?;
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
    let database = FileBackend::new(file)
        .and_then(|backend| builder.create_with_backend(backend))
        .map_err(|error| damaged(path, "opened", error.into()))?;
    // What is durable in a file without a name is lost all the same.
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(at("made durable"))?;
    }
    Ok(database)
}

fn read(path: &Path, database: &Database) -> Result<BTreeMap<ConversationId, Facts>, FactsError> {
    let failed = |error: redb::Error| damaged(path, "read", error);
    let reading = database.begin_read().map_err(|error| failed(error.into()))?;
    let table = match reading.open_table(FACTS) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
        Err(error) => return Err(failed(error.into())),
    };
    let mut all = BTreeMap::new();
    for entry in table.iter().map_err(|error| failed(error.into()))? {
        let (id, facts) = entry.map_err(|error| failed(error.into()))?;
        let facts: Facts = serde_json::from_slice(facts.value()).map_err(|_| FactsError::Unreadable {
            path: path.to_path_buf(),
            conversation: id.value().to_owned(),
        })?;
        all.insert(ConversationId::new(id.value()), facts);
    }
    Ok(all)
}

fn write(
    path: &Path,
    database: &Database,
    pending: &BTreeMap<ConversationId, Option<Facts>>,
) -> Result<(), FactsError> {
    let commit = || {
        let writing = database.begin_write()?;
        {
            let mut table = writing.open_table(FACTS)?;
            for (id, facts) in pending {
                match facts {
                    Some(facts) => {
                        let facts = facts.iter().map(|(key, value)| (key.clone(), value.clone()));
                        let text = serde_json::Value::from_iter(facts).to_string();
                        table.insert(id.as_str(), text.as_bytes())?;
                    }
                    None => {
                        table.remove(id.as_str())?;
                    }
                }
            }
        }
        writing.commit()?;
        Ok(())
    };
    commit().map_err(|error| damaged(path, "written", error))
}

fn damaged(path: &Path, what: &'static str, error: redb::Error) -> FactsError {
    let path = path.to_path_buf();
    if matches!(error, redb::Error::DatabaseAlreadyOpen) {
        return FactsError::Locked { path };
    }
    if let redb::Error::Io(source) = error {
        // What is no database at all is told as such a failure too.
        if source.kind() != std::io::ErrorKind::InvalidData {
            return FactsError::Io { path, what, source };
        }
        return FactsError::Damaged { path, what, source: Box::new(redb::Error::Io(source)) };
    }
    FactsError::Damaged { path, what, source: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(value: i64) -> Facts {
        [("score".to_owned(), json!(value))].into()
    }

    #[test]
    fn what_is_synced_is_there_after_a_restart_and_what_is_forgotten_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state").join(FILE_NAME);
        let (mut store, found) = FactStore::open(path.clone()).expect("it opens");
        assert_eq!(found, BTreeMap::new());
        store.keep(Keeping::Keep("c1".into(), facts(1)));
        store.keep(Keeping::Keep("c2".into(), facts(2)));
        store.sync().expect("it is written");
        store.keep(Keeping::Keep("c1".into(), facts(3)));
        store.keep(Keeping::Forget("c2".into()));
        store.sync().expect("it is written");
        store.keep(Keeping::Keep("c3".into(), facts(4)));
        drop(store);
        let (_, found) = FactStore::open(path.clone()).expect("it opens");
        assert_eq!(found, [("c1".into(), facts(3))].into());
        let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, "no database ".repeat(500)).expect("written");
        let error = FactStore::open(path.clone()).expect_err("it is no database");
        assert!(matches!(error, FactsError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains("move it away"), "{error}");
        assert!(std::fs::read(&path).expect("the file").starts_with(b"no database"), "it is left as it was");
    }

    #[test]
    fn facts_that_are_no_object_are_told_and_not_skipped() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE_NAME);
        let database = Database::create(&path).expect("it opens");
        let writing = database.begin_write().expect("it begins");
        writing.open_table(FACTS).expect("a table").insert("c1", b"[1]".as_slice()).expect("inserted");
        writing.commit().expect("written");
        drop(database);
        let error = FactStore::open(path).expect_err("it cannot be read");
        assert!(error.to_string().contains("facts of conversation c1"), "{error}");
    }

    #[test]
    fn what_the_disk_refused_is_written_once_it_takes_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE_NAME);
        let (mut store, _) = FactStore::open(path.clone()).expect("it opens");
        store.database = None;
        std::fs::rename(&path, folder.path().join("aside")).expect("moved");
        std::fs::create_dir(&path).expect("in its way");
        store.keep(Keeping::Keep("c1".into(), facts(1)));
        store.sync().expect_err("it cannot be opened");
        assert!(store.is_behind());
        std::fs::remove_dir(&path).expect("out of the way");
        std::fs::rename(folder.path().join("aside"), &path).expect("moved back");
        store.sync().expect("it is written");
        assert!(!store.is_behind());
        drop(store);
        assert_eq!(FactStore::open(path).expect("it opens").1, [("c1".into(), facts(1))].into());
    }

    #[test]
    fn a_second_daemon_is_kept_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE_NAME);
        let _first = FactStore::open(path.clone()).expect("it opens");
        assert!(matches!(FactStore::open(path), Err(FactsError::Locked { .. })));
    }
}
