//! The audit log on disk: one writer, append only, durable when [`Journal::sync`] answers.
//!
//! Records are linked as they are appended and written at the next `sync`; where writing fails they stay,
//! and the next `sync` tries again from where the file really ends. A second writer is kept out by a lock.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::audit::chain::{Break, Link};
use crate::audit::history::History;
use crate::audit::record::{Cut, Record};
use crate::model::time::Wall;

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
    file: Option<Current>,
    // Held for the life of the journal; the lock goes with it.
    _lock: File,
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
        std::fs::create_dir_all(&directory).map_err(at(&directory, "made"))?;
        let lock_path = directory.join(".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(at(&lock_path, "locked"))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| JournalError::Locked { directory: directory.clone() })?;
        let mut journal = Self {
            settings,
            link: Link::default(),
            history: History::default(),
            pending: Vec::new(),
            file: None,
            _lock: lock,
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
        match self.link.seal(now, record) {
            Ok(line) => {
                self.pending.extend_from_slice(line.as_bytes());
                self.pending.push(b'\n');
                self.history.take(now, record);
            }
            Err(error) => tracing::error!(%error, "a record could not be written"),
        }
    }

    /// Writes what was appended and makes it durable.
    ///
    /// # Errors
    /// Where the disk refuses; nothing is lost, and the next call tries again.
    pub fn sync(&mut self, now: Wall) -> Result<(), JournalError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.file.as_ref().is_some_and(|current| !current.path.exists()) {
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
        for record in self.history.carried() {
            match self.link.seal(now, &record) {
                Ok(line) => {
                    self.pending.extend_from_slice(line.as_bytes());
                    self.pending.push(b'\n');
                }
                Err(error) => tracing::error!(%error, "a record could not be carried"),
            }
        }
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
