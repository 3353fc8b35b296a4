//! The files of the log, line by line: it may be longer than memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::audit::chain::Link;
use crate::command::Failure;
use crate::io::journal;

/// The files of the log, in the order of their records.
pub(super) fn files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let paths = journal::files(directory).map_err(|error| Failure::failed(&error))?;
    if paths.is_empty() {
        return Err(Failure::Failed(format!("there is no audit log in {}", directory.display())));
    }
    Ok(paths)
}

/// The lines of one file that are written to their end.
pub(super) struct Lines<'p> {
    path: &'p Path,
    input: BufReader<File>,
    /// Where the next line begins.
    offset: u64,
    /// How many there were.
    number: usize,
    /// Bytes of a last line that is under way, or torn by a crash, once that was come to.
    torn: usize,
}

impl<'p> Lines<'p> {
    /// The lines from `offset` on, where one begins.
    pub(super) fn open(path: &'p Path, offset: u64) -> Result<Self, Failure> {
        Self::begin(path, offset).map_err(|error| unreadable(path, &error))
    }

    fn begin(path: &'p Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { path, input: BufReader::new(file), offset, number: 0, torn: 0 })
    }

    /// The next line, without its line feed. What is no text is for the chain to find: no byte of it fits a hash.
    pub(super) fn next_line(&mut self) -> Result<Option<String>, Failure> {
        let mut bytes = Vec::new();
        self.input.read_until(b'\n', &mut bytes).map_err(|error| unreadable(self.path, &error))?;
        let Some(line) = bytes.strip_suffix(b"\n") else {
            self.torn = bytes.len();
            return Ok(None);
        };
        self.number += 1;
        self.offset += bytes.len() as u64;
        Ok(Some(String::from_utf8_lossy(line).into_owned()))
    }

    /// The place of the line that came last, for people.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.number)
    }

    /// Bytes behind the last line.
    pub(super) fn torn(&self) -> usize {
        self.torn
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("{} cannot be read: {error}", path.display()))
}

/// The end of a log, and what is added to it.
pub(super) struct End {
    directory: PathBuf,
    /// The file that is written, and how far it was read.
    path: PathBuf,
    offset: u64,
    /// The number of the last record.
    printed: u64,
}

impl End {
    /// Prints the last `count` lines. Only as many files are read as these stand in.
    pub(super) fn print(directory: &Path, count: usize, out: &mut dyn Write) -> Result<Self, Failure> {
        let paths = files(directory)?;
        let mut end = Self { directory: directory.to_owned(), path: PathBuf::new(), offset: 0, printed: 0 };
        let mut last: VecDeque<String> = VecDeque::new();
        for path in paths.iter().rev() {
            let wanted = count - last.len();
            let (mut lines, mut of_file, mut newest) = (Lines::open(path, 0)?, VecDeque::new(), None);
            while let Some(line) = lines.next_line()? {
                if of_file.len() == wanted {
                    of_file.pop_front();
                }
                if wanted > 0 {
                    of_file.push_back(line.clone());
                }
                newest = Some(line);
            }
            end.printed = end.printed.max(newest.map_or(0, |line| seq_of(&line)));
            if Some(path) == paths.last() {
                (end.path, end.offset) = (path.clone(), lines.offset);
            }
            of_file.extend(last);
            last = of_file;
            if last.len() == count {
                break;
            }
        }
        for line in last {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        Ok(end)
    }

    /// Prints what has been added since.
    pub(super) fn print_more(&mut self, out: &mut dyn Write) -> Result<(), Failure> {
        let paths = journal::files(&self.directory).map_err(|error| Failure::failed(&error))?;
        // Where the file is gone all others are looked through once; what was printed is not printed again.
        let from = paths.iter().position(|path| *path == self.path).unwrap_or_default();
        for path in &paths[from..] {
            let offset = if *path == self.path { self.offset } else { 0 };
            let mut lines = match Lines::begin(path, offset) {
                Ok(lines) => lines,
                // It was removed just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(path, &error)),
            };
            while let Some(line) = lines.next_line()? {
                let seq = seq_of(&line);
                if seq > self.printed {
                    self.printed = seq;
                    writeln!(out, "{line}")?;
                }
            }
            self.offset = lines.offset;
            self.path.clone_from(path);
        }
        out.flush()?;
        Ok(())
    }
}

fn seq_of(line: &str) -> u64 {
    Link::before(line).map_or(0, |link| link.seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::{Dropped, Record};
    use crate::model::time::Wall;

    /// A folder with files of so many records each, and the link that goes on.
    fn folder(files: &[usize]) -> (tempfile::TempDir, Link) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut link = Link::default();
        for records in files {
            let name = format!("audit-2026-01-05-{:012}.jsonl", link.seq);
            for _ in 0..*records {
                add(&folder.path().join(&name), &mut link);
            }
        }
        (folder, link)
    }

    fn add(path: &Path, link: &mut Link) {
        let record = Record::Dropped(Dropped { events: 1, why: String::new() });
        let line = link.seal(Wall::from_micros(0), &record).expect("a line");
        append(path, &format!("{line}\n"));
    }

    fn append(path: &Path, text: &str) {
        let mut file = File::options().create(true).append(true).open(path).expect("a file");
        file.write_all(text.as_bytes()).expect("room");
    }

    fn numbers(printed: &[u8]) -> Vec<u64> {
        String::from_utf8_lossy(printed).lines().map(seq_of).collect()
    }

    #[test]
    fn the_last_lines_are_gathered_from_as_many_files_as_it_takes() {
        let (folder, _) = folder(&[3, 2, 2]);
        for (count, expected) in [(0, 8..8), (1, 7..8), (2, 6..8), (5, 3..8), (20, 1..8)] {
            let mut out = Vec::new();
            End::print(folder.path(), count, &mut out).expect("a log");
            assert_eq!(numbers(&out), expected.collect::<Vec<_>>(), "{count} lines");
        }
    }

    #[test]
    fn what_is_added_is_printed_once_also_in_the_next_file() {
        let (folder, mut link) = folder(&[2]);
        let first = files(folder.path()).expect("a log").remove(0);
        let mut end = End::print(folder.path(), 0, &mut Vec::new()).expect("a log");
        let more = |end: &mut End| {
            let mut out = Vec::new();
            end.print_more(&mut out).expect("a log");
            numbers(&out)
        };
        assert_eq!(more(&mut end), [0; 0]);
        add(&first, &mut link);
        append(&first, "{\"torn");
        assert_eq!(more(&mut end), [3]);
        File::options().write(true).open(&first).expect("it").set_len(end.offset).expect("cut off");
        add(&first, &mut link);
        let next = folder.path().join("audit-2026-01-06-000000000005.jsonl");
        add(&next, &mut link);
        assert_eq!(more(&mut end), [4, 5]);
        std::fs::remove_file(&first).expect("retired");
        add(&next, &mut link);
        assert_eq!((more(&mut end), more(&mut end)), (vec![6], vec![]));
    }

    #[test]
    fn a_last_line_that_is_under_way_is_no_line() {
        let (folder, _) = folder(&[1]);
        let path = files(folder.path()).expect("a log").remove(0);
        append(&path, "{\"seq\":2");
        let mut lines = Lines::open(&path, 0).expect("it");
        assert!(lines.next_line().expect("it reads").is_some());
        assert_eq!((lines.next_line().expect("it reads"), lines.torn()), (None, 8));
        assert!(lines.place().ends_with(":1"));
    }
}
