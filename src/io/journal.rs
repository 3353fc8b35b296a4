//! The audit log on disk: one writer, append only, durable when [`Journal::sync`] answers.
//!
//! Records are linked as they are appended and written at the next `sync`; where writing fails they stay,
//! and the next `sync` tries again from where the file really ends. A second writer is kept out by a lock.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::audit::chain::{Break, Link, WriteError};
use crate::audit::history::History;
use crate::audit::record::{Cut, Record};
use crate::model::time::Wall;

/// What is locked in the folder of the log.
const LOCK_NAME: &str = ".lock";

/// How the log is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its folder.
    pub directory: PathBuf,
    /// A file is closed after so long.
    pub rotate_every: Duration,
    /// A file is closed beyond so many bytes.
    pub rotate_size: u64,
}

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder or a file in it cannot be used.
    #[error("the audit log at {} cannot be {what}; check that the folder exists, belongs to the daemon's user and has room", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What was attempted.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A file stands where the folder should.
    #[error("the audit log at {} cannot be made: something else than a folder is in its place; move it away, or name another folder in audit.directory", directory.display())]
    NoFolder {
        /// Which folder.
        directory: PathBuf,
    },
    /// Another daemon writes there.
    #[error("another recwarden writes to {}; stop it first, or give this one a folder of its own", directory.display())]
    Locked {
        /// Which folder.
        directory: PathBuf,
    },
    /// The chain is broken.
    #[error("the audit log is broken in {} at line {line}: {found}. Nothing is written after a break: keep the folder as evidence and start with a new one", file.display())]
    Broken {
        /// Which file.
        file: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        found: Break,
    },
}

/// The log, open for writing.
#[derive(Debug)]
pub struct Journal {
    settings: Settings,
    link: Link,
    history: History,
    pending: Vec<u8>,
    pending_records: usize,
    file: Option<Current>,
    // None where it went with the folder; it is taken again before anything is written.
    lock: Option<File>,
}

/// Whether the log is still where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is.
    None,
    /// Somebody removed it, or put something else in its place.
    Noticed,
}

#[derive(Debug)]
struct Current {
    path: PathBuf,
    file: File,
    length: u64,
    began: Wall,
}

/// What the log said when it was opened.
#[derive(Debug)]
pub struct Recovered {
    /// What was in force.
    pub history: History,
    /// A torn last line that was cut off.
    pub cut: Option<Cut>,
}

impl Journal {
    /// Opens the log, verifies its last file, and cuts off a torn last line.
    ///
    /// # Errors
    /// Where the folder cannot be used, another daemon writes there, or the chain is broken.
    pub fn open(settings: Settings, now: Wall) -> Result<(Self, Recovered), JournalError> {
        let directory = settings.directory.clone();
        let lock = Some(lock(&directory)?);
        let mut journal = Self {
            settings,
            link: Link::default(),
            history: History::default(),
            pending: Vec::new(),
            pending_records: 0,
            file: None,
            lock,
        };
        let cut = match files(&directory)?.pop() {
            Some(path) => journal.take_up(path, now)?,
            None => None,
        };
        let history = journal.history.clone();
        Ok((journal, Recovered { history, cut }))
    }

    fn take_up(&mut self, path: PathBuf, now: Wall) -> Result<Option<Cut>, JournalError> {
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(at(&path, "opened"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(at(&path, "read"))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut began = now;
        let text = String::from_utf8_lossy(&bytes[..whole]);
        for (number, line) in text.lines().enumerate() {
            let broken = |found| JournalError::Broken { file: path.clone(), line: number + 1, found };
            if number == 0 {
                self.link = Link::before(line).map_err(broken)?;
            }
            let sealed = self.link.follow(line).map_err(broken)?;
            if number == 0 {
                began = sealed.time;
            }
            self.history.take(sealed.time, &sealed.record);
        }
        let torn = bytes.len() - whole;
        if torn > 0 {
            file.set_len(whole as u64).map_err(at(&path, "cut"))?;
            file.sync_all().map_err(at(&path, "cut"))?;
        }
        file.seek(SeekFrom::Start(whole as u64)).map_err(at(&path, "opened"))?;
        if whole > 0 {
            self.file = Some(Current { path, file, length: whole as u64, began });
        } else {
            // A crash before the first record was whole: the file holds nothing, and its name may stand.
            drop(file);
            std::fs::remove_file(&path).map_err(at(&path, "removed"))?;
        }
        Ok((torn > 0).then_some(Cut { bytes: torn as u64 }))
    }

    /// Links a record; it is written and durable after the next [`Journal::sync`].
    pub fn append(&mut self, now: Wall, record: &Record) {
        match self.seal(now, record) {
            Ok(()) => drop(self.history.take(now, record)),
            Err(error) => tracing::error!(%error, "a record could not be written"),
        }
    }

    fn seal(&mut self, now: Wall, record: &Record) -> Result<(), WriteError> {
        let line = self.link.seal(now, record)?;
        self.pending.extend_from_slice(line.as_bytes());
        self.pending.push(b'\n');
        self.pending_records += 1;
        Ok(())
    }

    /// Seals all that is still in force: the beginning of a new file.
    fn carry(&mut self, now: Wall) {
        for record in self.history.carried() {
            if let Err(error) = self.seal(now, &record) {
                tracing::error!(%error, "a record could not be carried");
            }
        }
    }

    /// Records that were appended and are not durable yet.
    pub fn pending_records(&self) -> usize {
        self.pending_records
    }

    /// Where somebody removed the file (or the folder) while it was written, the next record begins a new one
    /// with all that is still in force, and the lock is taken again. Call it before the first `append`.
    pub fn renew_if_removed(&mut self, now: Wall) -> Removal {
        let lock_path = self.settings.directory.join(LOCK_NAME);
        let there = self.file.as_ref().is_none_or(|current| is_at(&current.file, &current.path));
        let locked = self.lock.as_ref().is_some_and(|lock| is_at(lock, &lock_path));
        if !locked {
            self.lock = None;
        }
        if there && locked || self.pending_records > 0 {
            return Removal::None;
        }
        if !there {
            self.file = None;
        }
        if self.file.is_none() {
            self.carry(now);
        }
        Removal::Noticed
    }

    /// Writes what was appended and makes it durable.
    ///
    /// # Errors
    /// Where the disk refuses; nothing is lost, and the next call tries again.
    pub fn sync(&mut self, now: Wall) -> Result<(), JournalError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.lock.is_none() {
            self.lock = Some(lock(&self.settings.directory)?);
        }
        if self.file.as_ref().is_some_and(|current| !is_at(&current.file, &current.path)) {
            tracing::error!("the audit file was removed while it was written; a new one is begun");
            self.file = None;
        }
        let current = match &mut self.file {
            Some(current) => current,
            None => self.file.insert(begin(&self.settings.directory, &self.pending, now)?),
        };
        let path = current.path.clone();
        // A write that failed half-way is written over from where the file is known to be whole.
        current.file.set_len(current.length).map_err(at(&path, "written"))?;
        current.file.seek(SeekFrom::Start(current.length)).map_err(at(&path, "written"))?;
        current.file.write_all(&self.pending).map_err(at(&path, "written"))?;
        current.file.sync_data().map_err(at(&path, "made durable"))?;
        current.length += self.pending.len() as u64;
        self.pending.clear();
        self.pending_records = 0;
        if current.length >= self.settings.rotate_size
            || now.since(current.began) >= self.settings.rotate_every
        {
            self.rotate(now)?;
        }
        Ok(())
    }

    /// Begins a new file with all that is still in force.
    fn rotate(&mut self, now: Wall) -> Result<(), JournalError> {
        self.file = None;
        self.carry(now);
        // The next record begins the file where nothing is in force.
        if self.pending.is_empty() { Ok(()) } else { self.sync(now) }
    }

    /// Opens the present file anew, after somebody moved it away.
    ///
    /// # Errors
    /// Where what is pending cannot be written.
    pub fn reopen(&mut self, now: Wall) -> Result<(), JournalError> {
        self.sync(now)
    }

    /// What is in force after everything appended so far.
    pub fn history(&self) -> &History {
        &self.history
    }
}

/// Keeps every other writer out of a folder, as long as the file is held.
fn lock(directory: &Path) -> Result<File, JournalError> {
    std::fs::create_dir_all(directory).map_err(|error| {
        if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotADirectory) {
            JournalError::NoFolder { directory: directory.to_path_buf() }
        } else {
            at(directory, "made")(error)
        }
    })?;
    let path = directory.join(LOCK_NAME);
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let lock = lock.map_err(at(&path, "locked"))?;
    match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(JournalError::Locked { directory: directory.to_path_buf() })
        }
        Err(error) => Err(at(&path, "locked")(error.into())),
    }
}

/// Whether an open file is still the one that its path names.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    }
}

/// A new file, named by date and first record.
fn begin(directory: &Path, pending: &[u8], now: Wall) -> Result<Current, JournalError> {
    let first = pending.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let seq = Link::before(&String::from_utf8_lossy(first)).map_or(0, |link| link.seq);
    let date = now.to_string();
    let path = directory.join(format!("audit-{}-{seq}.jsonl", &date[..10]));
    std::fs::create_dir_all(directory).map_err(at(directory, "made"))?;
    let file = OpenOptions::new().create_new(true).write(true).open(&path).map_err(at(&path, "made"))?;
    let folder = File::open(directory).map_err(at(directory, "opened"))?;
    folder.sync_all().map_err(at(directory, "made durable"))?;
    Ok(Current { path, file, length: 0, began: now })
}

/// The files of a log, in the order of their records.
///
/// # Errors
/// Where the folder cannot be read.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let entries = std::fs::read_dir(directory).map_err(at(directory, "read"))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(at(directory, "read"))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let seq = name.strip_prefix("audit-").and_then(|rest| rest.strip_suffix(".jsonl"));
        if let Some(seq) =
            seq.and_then(|rest| rest.rsplit('-').next()).and_then(|seq| seq.parse::<u64>().ok())
        {
            found.push((seq, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn at(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> JournalError {
    let path = path.to_path_buf();
    move |source| JournalError::Io { path, what, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::Dropped;

    fn settings(directory: &Path) -> Settings {
        let rotate_every = Duration::from_secs(3600);
        Settings { directory: directory.to_path_buf(), rotate_every, rotate_size: 1 << 20 }
    }

    fn write(directory: &Path, count: u64) {
        let (mut journal, _) = Journal::open(settings(directory), Wall::from_micros(0)).expect("it opens");
        for events in 0..count {
            journal.append(Wall::from_micros(0), &Record::Dropped(Dropped { events, why: "test".into() }));
        }
        journal.sync(Wall::from_micros(0)).expect("it is written");
    }

    #[test]
    fn a_log_goes_on_where_it_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), 2);
        write(folder.path(), 2);
        let text = std::fs::read_to_string(&files(folder.path()).expect("files")[0]).expect("a text");
        let mut link = Link::default();
        assert_eq!(text.lines().map(|line| link.follow(line).expect("it follows")).count(), 4);
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_said() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), 2);
        let path = files(folder.path()).expect("files").remove(0);
        let mut file = OpenOptions::new().append(true).open(&path).expect("the file");
        file.write_all(b"{\"seq\":3,\"ti").expect("written");
        let (_, recovered) = Journal::open(settings(folder.path()), Wall::from_micros(0)).expect("it opens");
        assert_eq!(recovered.cut, Some(Cut { bytes: 12 }));
    }

    #[test]
    fn a_broken_chain_is_refused_and_the_record_named() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), 3);
        let path = files(folder.path()).expect("files").remove(0);
        let text = std::fs::read_to_string(&path).expect("a text").replace("\"events\":1", "\"events\":7");
        std::fs::write(&path, text).expect("written");
        let error = Journal::open(settings(folder.path()), Wall::from_micros(0)).expect_err("broken");
        assert!(error.to_string().contains("at line 2: record 2 was changed"), "{error}");
    }

    #[test]
    fn a_second_writer_is_kept_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let _first = Journal::open(settings(folder.path()), Wall::from_micros(0)).expect("it opens");
        let second = Journal::open(settings(folder.path()), Wall::from_micros(0));
        assert!(matches!(second, Err(JournalError::Locked { .. })));
    }

    #[test]
    fn a_removed_log_is_noticed_and_the_chain_goes_on_in_a_new_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = folder.path().join("audit");
        let now = Wall::from_micros(0);
        let dropped = Record::Dropped(Dropped { events: 1, why: "test".into() });
        let (mut journal, _) = Journal::open(settings(&audit), now).expect("it opens");
        journal.append(now, &dropped);
        journal.sync(now).expect("it is written");
        assert_eq!(journal.renew_if_removed(now), Removal::None);
        std::fs::remove_dir_all(&audit).expect("removed");
        assert_eq!(journal.renew_if_removed(now), Removal::Noticed);
        journal.append(now, &dropped);
        journal.sync(now).expect("it is written");
        assert_eq!(journal.renew_if_removed(now), Removal::None);
        let names = files(&audit).expect("files");
        assert!(names[0].ends_with("audit-1970-01-01-2.jsonl"), "{names:?}");
        assert!(matches!(Journal::open(settings(&audit), now), Err(JournalError::Locked { .. })));
    }

    #[test]
    fn a_full_file_is_followed_by_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let small = Settings { rotate_size: 300, ..settings(folder.path()) };
        let (mut journal, _) = Journal::open(small, Wall::from_micros(0)).expect("it opens");
        for events in 0..4 {
            journal.append(Wall::from_micros(0), &Record::Dropped(Dropped { events, why: "test".into() }));
            journal.sync(Wall::from_micros(0)).expect("it is written");
        }
        let names = files(folder.path()).expect("files");
        assert!(
            names.len() >= 2 && names[1].to_string_lossy().ends_with("audit-1970-01-01-3.jsonl"),
            "{names:?}"
        );
    }
}
