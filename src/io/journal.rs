//! The audit log on disk: one writer, append only, durable when [`Journal::sync`] answers.
//!
//! What a log is stands in `audit::log`; here are the file calls, and the lock that keeps a second writer out.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::audit::chain::Break;
use crate::audit::history::History;
pub use crate::audit::log::Recovered;
use crate::audit::log::{self, Disk, Log, LogError, Rotation, Written};
use crate::audit::record::Record;
use crate::io::folder;
use crate::model::time::Wall;

/// The log's folder is made for whom the daemon's umask lets in, as auditors need not be the daemon's user.
const FOLDER_MODE: u32 = 0o777;
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
        source: io::Error,
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
    directory: PathBuf,
    log: Log<Folder>,
    // None where it went with the folder; it is taken again before anything is written.
    lock: Option<File>,
    // What a sync noticed on its way.
    removal: Removal,
}

/// Whether the log is still where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is.
    None,
    /// Somebody removed it, or put something else in its place.
    Noticed,
}

impl Journal {
    /// Opens the log and verifies its last file. A torn last line is cut off by what is written next.
    ///
    /// # Errors
    /// Where the folder cannot be used, another daemon writes there, or the chain is broken.
    pub fn open(settings: Settings) -> Result<(Self, Recovered), JournalError> {
        let directory = settings.directory;
        let lock = Some(lock(&directory)?);
        let rotation = Rotation { every: settings.rotate_every, size: settings.rotate_size };
        let folder = Folder { directory: directory.clone(), open: None };
        let (log, recovered) = Log::open(folder, rotation).map_err(|error| in_folder(&directory, error))?;
        Ok((Self { directory, log, lock, removal: Removal::None }, recovered))
    }

    /// Takes a record; it is written and durable after the next [`Journal::sync`].
    pub fn append(&mut self, now: Wall, record: &Record) {
        self.log.append(now, record);
    }

    /// Records that were appended and are not durable yet.
    pub fn pending_records(&self) -> usize {
        self.log.pending()
    }

    /// Where somebody removed the file (or the folder) while it was written, the next record begins a new one
    /// with all that is still in force, and the lock is taken again. Call it before the first `append`.
    pub fn renew_if_removed(&mut self) -> Removal {
        let lock_path = self.directory.join(LOCK_NAME);
        let there = self.log.is_there();
        let locked = self.lock.as_ref().is_some_and(|lock| is_at(lock, &lock_path));
        if !locked {
            self.lock = None;
        }
        if there && locked || self.log.pending() > 0 {
            return std::mem::replace(&mut self.removal, Removal::None);
        }
        if !there {
            self.log.begin_anew();
        }
        // Told now, and so not once more where a sync had noticed it, too.
        self.removal = Removal::None;
        Removal::Noticed
    }

    /// Writes what was appended and makes it durable.
    ///
    /// # Errors
    /// Where the disk refuses; nothing is lost, and the next call tries again.
    pub fn sync(&mut self, now: Wall) -> Result<(), JournalError> {
        if self.lock.is_none() && self.log.pending() > 0 {
            self.lock = Some(lock(&self.directory)?);
        }
        let written = self.log.sync(now).map_err(|error| in_folder(&self.directory, error))?;
        if written == Written::AnewAfterLoss {
            // In the moment after the look of `renew_if_removed`: told at its next.
            self.removal = Removal::Noticed;
        }
        Ok(())
    }

    /// Takes new bounds for its files; its folder stays.
    pub fn resettle(&mut self, rotate_every: Duration, rotate_size: u64) {
        self.log.rotate_as(Rotation { every: rotate_every, size: rotate_size });
    }

    /// Opens the present file anew, after somebody moved it away.
    ///
    /// # Errors
    /// Where what is pending cannot be written.
    pub fn reopen(&mut self, now: Wall) -> Result<(), JournalError> {
        self.sync(now)
    }

    /// What is in force after everything that is durable.
    pub fn history(&self) -> &History {
        self.log.history()
    }
}

/// The log's folder; the file that was used last stays open.
#[derive(Debug)]
struct Folder {
    directory: PathBuf,
    open: Option<(String, File)>,
}

impl Folder {
    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        let file = match self.open.take() {
            Some((open, file)) if open == name => file,
            Some(_) | None => {
                let path = self.directory.join(name);
                OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?
            }
        };
        Ok(&mut self.open.insert((name.to_owned(), file)).1)
    }
}

impl Disk for Folder {
    fn names(&mut self) -> io::Result<Vec<String>> {
        names(&self.directory)
    }

    fn is_there(&mut self, name: &str) -> bool {
        let path = self.directory.join(name);
        match &self.open {
            Some((open, file)) if open == name => is_at(file, &path),
            Some(_) | None => path.exists(),
        }
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.directory.join(name))
    }

    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset == 0 {
            // A file from its beginning: one that was removed meanwhile, or its folder, is made anew.
            self.open = None;
            folder::make(&self.directory, FOLDER_MODE)?;
        }
        let file = self.file(name)?;
        file.set_len(offset)?;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.file(name)?.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.directory.join(from), self.directory.join(to))?;
        self.open = self
            .open
            .take()
            .map(|(name, file)| if name == from { (to.to_owned(), file) } else { (name, file) });
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.open = self.open.take().filter(|(open, _)| open != name);
        std::fs::remove_file(self.directory.join(name))
    }

    fn sync_names(&mut self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// Keeps every other writer out of a folder, as long as the file is held.
fn lock(directory: &Path) -> Result<File, JournalError> {
    folder::make(directory, FOLDER_MODE).map_err(|error| {
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

fn names(directory: &Path) -> io::Result<Vec<String>> {
    std::fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// The files of a log, in the order of their records.
///
/// # Errors
/// Where the folder cannot be read.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let names = names(directory).map_err(at(directory, "read"))?;
    Ok(log::in_order(names).into_iter().map(|name| directory.join(name)).collect())
}

fn in_folder(directory: &Path, error: LogError) -> JournalError {
    match error {
        LogError::Disk { file, what, source } => {
            JournalError::Io { path: directory.join(file), what, source }
        }
        LogError::Broken { file, line, found } => {
            JournalError::Broken { file: directory.join(file), line, found }
        }
    }
}

fn at(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_path_buf();
    move |source| JournalError::Io { path, what, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::chain::Link;
    use crate::audit::record::{Cut, Dropped};

    fn settings(directory: &Path) -> Settings {
        let rotate_every = Duration::from_secs(3600);
        Settings { directory: directory.to_path_buf(), rotate_every, rotate_size: 1 << 20 }
    }

    fn write(directory: &Path, count: u64) {
        let (mut journal, _) = Journal::open(settings(directory)).expect("it opens");
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
        // The first one comes to nothing before it can journal that.
        for _ in 0..2 {
            let (_, recovered) = Journal::open(settings(folder.path())).expect("it opens");
            assert_eq!(recovered.cut, Some(Cut { bytes: 12 }));
        }
        write(folder.path(), 1);
        let text = std::fs::read_to_string(&path).expect("a text");
        let mut link = Link::default();
        assert_eq!(text.lines().map(|line| link.follow(line).expect("it follows")).count(), 3);
    }

    #[test]
    fn a_file_without_a_whole_line_stays_until_that_is_journaled() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), 2);
        let torn = folder.path().join("audit-1970-01-02-3.jsonl");
        std::fs::write(&torn, "{\"seq\":3,").expect("written");
        for _ in 0..2 {
            let (_, recovered) = Journal::open(settings(folder.path())).expect("it opens");
            assert_eq!(recovered.cut, Some(Cut { bytes: 9 }));
        }
        write(folder.path(), 1);
        assert!(!torn.exists());
        let (_, recovered) = Journal::open(settings(folder.path())).expect("it opens");
        assert_eq!(recovered.cut, None);
    }

    #[test]
    fn a_broken_chain_is_refused_and_the_record_named() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), 3);
        let path = files(folder.path()).expect("files").remove(0);
        let text = std::fs::read_to_string(&path).expect("a text").replace("\"events\":1", "\"events\":7");
        std::fs::write(&path, text).expect("written");
        let error = Journal::open(settings(folder.path())).expect_err("broken");
        assert!(error.to_string().contains("at line 2: record 2 was changed"), "{error}");
    }

    #[test]
    fn a_second_writer_is_kept_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let _first = Journal::open(settings(folder.path())).expect("it opens");
        let second = Journal::open(settings(folder.path()));
        assert!(matches!(second, Err(JournalError::Locked { .. })));
    }

    /// Some record, durable.
    fn write_one(journal: &mut Journal) {
        let now = Wall::from_micros(0);
        journal.append(now, &Record::Dropped(Dropped { events: 1, why: "test".into() }));
        journal.sync(now).expect("it is written");
    }

    #[test]
    fn a_removed_log_is_noticed_and_the_chain_goes_on_in_a_new_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = folder.path().join("audit");
        let (mut journal, _) = Journal::open(settings(&audit)).expect("it opens");
        write_one(&mut journal);
        assert_eq!(journal.renew_if_removed(), Removal::None);
        std::fs::remove_dir_all(&audit).expect("removed");
        assert_eq!(journal.renew_if_removed(), Removal::Noticed);
        write_one(&mut journal);
        assert_eq!(journal.renew_if_removed(), Removal::None);
        let names = files(&audit).expect("files");
        assert!(names[0].ends_with("audit-1970-01-01-2.jsonl"), "{names:?}");
        assert!(matches!(Journal::open(settings(&audit)), Err(JournalError::Locked { .. })));
    }

    #[test]
    fn a_log_that_is_removed_between_the_look_and_the_sync_is_told_of_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = folder.path().join("audit");
        let (mut journal, _) = Journal::open(settings(&audit)).expect("it opens");
        write_one(&mut journal);
        assert_eq!(journal.renew_if_removed(), Removal::None);
        std::fs::rename(&audit, folder.path().join("gone")).expect("removed");
        write_one(&mut journal);
        assert_eq!(journal.renew_if_removed(), Removal::Noticed);
        write_one(&mut journal);
        assert_eq!(journal.renew_if_removed(), Removal::None);
    }

    #[test]
    fn a_file_that_does_not_begin_as_its_name_says_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), 3);
        let path = files(folder.path()).expect("files").remove(0);
        let text = std::fs::read_to_string(&path).expect("a text");
        let (_, rest) = text.split_once('\n').expect("lines");
        std::fs::write(&path, rest).expect("written");
        let error = Journal::open(settings(folder.path())).expect_err("broken");
        assert!(error.to_string().contains("at line 1: record 1 should follow, but 2 does"), "{error}");
    }

    #[test]
    fn a_full_file_is_followed_by_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let small = Settings { rotate_size: 300, ..settings(folder.path()) };
        let (mut journal, _) = Journal::open(small).expect("it opens");
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

    #[test]
    fn a_file_that_was_removed_is_followed_by_one_that_begins_with_all_in_force() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = Journal::open(settings(folder.path())).expect("it opens");
        let hold = crate::audit::record::Hold {
            conversation: crate::model::ids::ConversationId::new("c1"),
            rule: "pause".into(),
            action: crate::model::recording::Action::Stop,
            since: Wall::from_micros(0),
            phase: crate::audit::record::HoldPhase::Held,
            claim: None,
        };
        journal.append(Wall::from_micros(0), &Record::Hold(hold));
        journal.sync(Wall::from_micros(0)).expect("it is written");
        std::fs::remove_dir_all(folder.path()).expect("the folder is gone");
        journal.append(Wall::from_micros(0), &Record::Dropped(Dropped { events: 1, why: "test".into() }));
        journal.sync(Wall::from_micros(0)).expect("it is written anew");
        drop(journal);
        let (_, recovered) = Journal::open(settings(folder.path())).expect("it opens");
        assert_eq!(recovered.history.holds().count(), 1);
    }
}
