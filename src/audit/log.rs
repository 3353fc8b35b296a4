//! The log as lines in files, on any disk: framing, rotation, recovery. The shell gives it a folder, the
//! simulator a disk that tears writes, loses what was not durable, fills up, and fails to sync.
//!
//! - A line is durable once [`Log::sync`] answers. Where that fails nothing has happened as far as the chain is
//!   concerned: the same records are written again over the same place, so neither a half-written line nor
//!   pages that a failed sync left clean can stay behind.
//! - A file begins with all that is still in force (`carried`), so a start needs the last file alone. It is
//!   written whole under another name, made durable, and only then given its own: a crash leaves either no
//!   such file or all of its beginning.
//! - A torn last line is cut off with the first records of the next process, which say so: one that comes to nothing
//!   before leaves it as it is. Any other break is an error that names the record.

use std::io;
use std::time::Duration;

use crate::audit::chain::{Break, Link};
use crate::audit::history::History;
use crate::audit::record::{Cut, Record};
use crate::model::time::Wall;

/// The name of a file until its beginning is whole and durable.
pub const UNFINISHED: &str = ".audit-next";

/// What the log needs of a disk. A name is that of a file in the log's own folder.
pub trait Disk {
    /// The names of all files.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    fn names(&mut self) -> io::Result<Vec<String>>;
    /// Whether a file is there.
    fn is_there(&mut self, name: &str) -> bool;
    /// All bytes of a file.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>>;
    /// Puts bytes at `offset`, in place of all that stood from there on; makes the file where there is none.
    ///
    /// # Errors
    /// Where the disk refuses; any beginning of the bytes may have been written.
    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written to a file durable.
    ///
    /// # Errors
    /// Where the disk refuses; what was written since the last success has to be written again.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Gives a file another name, in place of a file that had it.
    ///
    /// # Errors
    /// Where the disk refuses.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// Where the disk refuses.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Makes the names durable.
    ///
    /// # Errors
    /// Where the disk refuses.
    fn sync_names(&mut self) -> io::Result<()>;
}

/// When a file is closed and the next one begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// After so long.
    pub every: Duration,
    /// Beyond so many bytes.
    pub size: u64,
}

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk refuses.
    #[error("{file} cannot be {what}")]
    Disk {
        /// Which file; empty for the folder itself.
        file: String,
        /// What was attempted.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The chain is broken.
    #[error("{file} is broken at line {line}: {found}")]
    Broken {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        found: Break,
    },
}

fn disk(file: &str, what: &'static str) -> impl FnOnce(io::Error) -> LogError {
    move |source| LogError::Disk { file: file.to_owned(), what, source }
}

/// What a sync did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All is durable.
    Done,
    /// All is durable, in a new file: somebody had removed the one that was being written.
    AnewAfterLoss,
}

/// The file that the next records go to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// None yet.
    Unnamed,
    /// Named, and not known to be durable.
    Named(String),
    /// One that is there.
    Open(Current),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Current {
    name: String,
    length: u64,
    /// How much of it was carried: a file is full by what came after, or much in force would fill every one at once.
    carried: u64,
    began: Wall,
}

/// What a log said when it was opened.
#[derive(Debug)]
pub struct Recovered {
    /// What was in force.
    pub history: History,
    /// A torn last line that is cut off.
    pub cut: Option<Cut>,
}

/// The log, open for writing.
#[derive(Debug)]
pub struct Log<D> {
    disk: D,
    rotation: Rotation,
    link: Link,
    history: History,
    waiting: Vec<(Wall, Record)>,
    target: Target,
    /// Files without a whole line, which go once that is journaled.
    hollow: Vec<String>,
}

impl<D: Disk> Log<D> {
    /// Opens the log and verifies its last file. A torn last line is cut off by what is written next.
    ///
    /// # Errors
    /// Where the disk refuses, or the chain is broken.
    pub fn open(mut disk: D, rotation: Rotation) -> Result<(Self, Recovered), LogError> {
        let names = disk.names().map_err(self::disk("", "read"))?;
        if names.iter().any(|name| name == UNFINISHED) {
            disk.remove(UNFINISHED).map_err(self::disk(UNFINISHED, "removed"))?;
        }
        let mut log = Self {
            disk,
            rotation,
            link: Link::default(),
            history: History::default(),
            waiting: Vec::new(),
            target: Target::Unnamed,
            hollow: Vec::new(),
        };
        let mut cut = None;
        let mut files = in_order(names);
        while let Some(name) = files.pop() {
            let torn = log.take_up(&name)?;
            if torn > 0 {
                cut = Some(Cut { bytes: torn });
            }
            if log.target != Target::Unnamed {
                break;
            }
        }
        let history = log.history.clone();
        Ok((log, Recovered { history, cut }))
    }

    /// Reads the last file; how many bytes are to be cut off. One without a whole line goes whole: the file before it
    /// is the last.
    fn take_up(&mut self, name: &str) -> Result<u64, LogError> {
        let bytes = self.disk.read(name).map_err(disk(name, "read"))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let text = String::from_utf8_lossy(bytes.get(..whole).unwrap_or_default());
        let mut began = Wall::default();
        for (number, line) in text.lines().enumerate() {
            let broken = |found| LogError::Broken { file: name.to_owned(), line: number + 1, found };
            if number == 0 {
                self.link = Link::before(line).map_err(broken)?;
                let (expected, found) = (first_of(name).unwrap_or(self.link.seq), self.link.seq);
                if expected != found {
                    return Err(broken(Break::Missing { expected, found }));
                }
            }
            let sealed = self.link.follow(line).map_err(broken)?;
            if number == 0 {
                began = sealed.time;
            }
            self.history.take(sealed.time, &sealed.record);
        }
        let torn = (bytes.len() - whole) as u64;
        if whole == 0 {
            self.hollow.push(name.to_owned());
            return Ok(torn);
        }
        // What a killed process had written and not synced is believed from here on: it has to be durable first.
        self.disk.sync(name).map_err(disk(name, "made durable"))?;
        self.disk.sync_names().map_err(disk("", "made durable"))?;
        self.target =
            Target::Open(Current { name: name.to_owned(), length: whole as u64, carried: 0, began });
        Ok(torn)
    }

    /// Takes a record; it is written and durable after the next [`Log::sync`].
    pub fn append(&mut self, now: Wall, record: &Record) {
        self.waiting.push((now, record.clone()));
    }

    /// Writes what was appended and makes it durable.
    ///
    /// # Errors
    /// Where the disk refuses; nothing is lost, and the next call tries again.
    pub fn sync(&mut self, now: Wall) -> Result<Written, LogError> {
        if self.waiting.is_empty() {
            return Ok(Written::Done);
        }
        let mut written = Written::Done;
        if let Target::Open(current) = &self.target
            && !self.disk.is_there(&current.name)
        {
            self.target = Target::Unnamed;
            written = Written::AnewAfterLoss;
        }
        let mut link = self.link.clone();
        let current = match std::mem::replace(&mut self.target, Target::Unnamed) {
            Target::Open(mut current) => {
                let mut text = String::new();
                self.seal_waiting(&mut link, &mut text);
                let done = self.put(&current.name, current.length, text.as_bytes());
                current.length += text.len() as u64;
                if let Err(error) = done {
                    current.length -= text.len() as u64;
                    self.target = Target::Open(current);
                    return Err(error);
                }
                current
            }
            target @ (Target::Unnamed | Target::Named(_)) => self.begin(target, &mut link, now)?,
        };
        self.link = link;
        // One that stays is met again at the next start.
        let Self { disk, hollow, .. } = self;
        hollow.retain(|name| *name != current.name && disk.remove(name).is_err());
        for (at, record) in std::mem::take(&mut self.waiting) {
            self.history.take(at, &record);
        }
        let full = current.length - current.carried >= self.rotation.size
            || now.since(current.began) >= self.rotation.every;
        self.target = if full { Target::Unnamed } else { Target::Open(current) };
        Ok(written)
    }

    fn seal_waiting(&self, link: &mut Link, text: &mut String) {
        for (at, record) in &self.waiting {
            seal(link, *at, record, text);
        }
    }

    fn put(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), LogError> {
        self.disk.write(name, offset, bytes).map_err(disk(name, "written"))?;
        self.disk.sync(name).map_err(disk(name, "made durable"))
    }

    /// Begins a file with all that is in force. Each step can be done over until the last one has succeeded; the
    /// name stays the same meanwhile, or a file that was thought to have failed could stand beside it.
    fn begin(&mut self, target: Target, link: &mut Link, now: Wall) -> Result<Current, LogError> {
        let name = match target {
            Target::Named(name) => name,
            Target::Unnamed | Target::Open(_) => {
                format!("audit-{}-{}.jsonl", now.to_string().get(..10).unwrap_or_default(), link.seq)
            }
        };
        self.target = Target::Named(name.clone());
        let mut text = String::new();
        for record in self.history.carried() {
            seal(link, now, &record, &mut text);
        }
        let carried = text.len() as u64;
        self.seal_waiting(link, &mut text);
        self.put(UNFINISHED, 0, text.as_bytes())?;
        self.disk.rename(UNFINISHED, &name).map_err(disk(&name, "made"))?;
        self.disk.sync_names().map_err(disk("", "made durable"))?;
        Ok(Current { name, length: text.len() as u64, carried, began: now })
    }

    /// How many records were appended and are not durable yet.
    pub fn pending(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the file that is written is still there; also where the next one has yet to be begun.
    pub fn is_there(&mut self) -> bool {
        match &self.target {
            Target::Open(current) => self.disk.is_there(&current.name),
            Target::Unnamed | Target::Named(_) => true,
        }
    }

    /// Lets the next record begin a new file: the one that was written is gone.
    pub fn begin_anew(&mut self) {
        self.target = Target::Unnamed;
    }

    /// When files are closed from now on.
    pub fn rotate_as(&mut self, rotation: Rotation) {
        self.rotation = rotation;
    }

    /// What is in force after everything that is durable.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The disk, to look at.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The same, to change it.
    pub fn disk_mut(&mut self) -> &mut D {
        &mut self.disk
    }
}

fn seal(link: &mut Link, at: Wall, record: &Record, text: &mut String) {
    match link.seal(at, record) {
        Ok(line) => {
            text.push_str(&line);
            text.push('\n');
        }
        Err(error) => tracing::error!(%error, "a record could not be written"),
    }
}

/// The first record of a file, as its name says.
fn first_of(name: &str) -> Option<u64> {
    name.strip_prefix("audit-")?.strip_suffix(".jsonl")?.rsplit('-').next()?.parse().ok()
}

/// The files of a log among these names, in the order of their records.
pub fn in_order(names: Vec<String>) -> Vec<String> {
    let numbered = |name: String| Some((first_of(&name)?, name));
    let mut files: Vec<(u64, String)> = names.into_iter().filter_map(numbered).collect();
    files.sort();
    files.into_iter().map(|(_, name)| name).collect()
}
