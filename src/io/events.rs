//! Event files, entry by entry (PRODUCT.md 4): JSON Lines, or `.json` with one value or an array of them,
//! plain or compressed by gzip or Zstandard.
//!
//! ```text
//!   one thread reads and cuts ─▶ some threads decode ─▶ the caller takes entries, in order
//! ```
//!
//! Every channel between them holds `BATCHES_AHEAD` batches of some `BATCH` bytes, so memory does not grow
//! with the file.

mod values;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::wire::captured::{self, Captured, CapturedError};
use crate::wire::frame::LARGEST_FRAME;

/// An entry may be as long as the largest frame and what `capture` writes around it.
pub const LONGEST_ENTRY: usize = LARGEST_FRAME + 1024;
/// Bytes of text that are handed on at once: enough that handing on costs nothing.
const BATCH: usize = 256 * 1024;
/// Batches that may wait before each decoder, and behind it.
const BATCHES_AHEAD: usize = 2;
/// More decoders than this would wait for the one thread that takes their entries.
const MOST_DECODERS: usize = 8;

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which file, from 0.
    pub file: usize,
    /// The line that it begins on, from 1.
    pub line: u64,
}

/// One entry.
#[derive(Debug)]
pub struct Entry {
    /// Where it stands.
    pub place: Place,
    /// What it holds, or why it is not used.
    pub read: Result<Captured, EntryError>,
}

/// Why an entry is not used.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// No frame is so long.
    #[error("longer than {LONGEST_ENTRY} bytes, which no frame is")]
    TooLong,
    /// It is not text.
    #[error("not UTF-8")]
    NotText,
    /// It does not hold what it should.
    #[error(transparent)]
    Captured(#[from] CapturedError),
    /// The file cannot be read beyond this place: reading failed, or its compression breaks off.
    #[error("the file breaks off here: {0}")]
    BrokenOff(io::Error),
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// It cannot be opened.
    #[error("{name} cannot be opened: {error}")]
    Open {
        /// Its name.
        name: String,
        /// Why.
        error: io::Error,
    },
}

/// Files to read, one after the other.
#[derive(Debug)]
pub struct EventFiles {
    files: Vec<(String, Form, Box<dyn Source>)>,
    names: Arc<[String]>,
    read: Arc<AtomicU64>,
    total: Option<u64>,
}

trait Source: Read + Send + std::fmt::Debug {}
impl<T: Read + Send + std::fmt::Debug> Source for T {}

/// How entries are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// One a line.
    Lines,
    /// JSON values, one after the other or in an array.
    Values,
}

/// Counts what was read of the file itself, compressed as it is.
#[derive(Debug)]
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl EventFiles {
    /// Opens all of them; `-` is the standard input.
    ///
    /// # Errors
    /// Where one cannot be opened.
    pub fn open(paths: &[PathBuf]) -> Result<Self, EventsError> {
        let read = Arc::new(AtomicU64::new(0));
        let (mut files, mut total) = (Vec::new(), Some(0));
        for path in paths {
            let name = path.display().to_string();
            if name == "-" {
                total = None;
                files.push((name, Form::Lines, Box::new(io::stdin()) as Box<dyn Source>));
                continue;
            }
            let failed = |error| EventsError::Open { name: name.clone(), error };
            let file = File::open(path).map_err(failed)?;
            let meta = file.metadata().map_err(failed)?;
            if meta.is_dir() {
                return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
            }
            total = total.filter(|_| meta.is_file()).map(|total| total + meta.len());
            let counted = Counted { inner: file, read: Arc::clone(&read) };
            files.push((name, form(path), Box::new(counted)));
        }
        let names = files.iter().map(|(name, ..)| name.clone()).collect();
        Ok(Self { files, names, read, total })
    }

    /// The names of the files, by their numbers.
    pub fn names(&self) -> Arc<[String]> {
        Arc::clone(&self.names)
    }

    /// Bytes read so far, for a progress bar.
    pub fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read)
    }

    /// Bytes of all files; none where that is not known.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Hands every entry to `take`, in order, until it has enough. A file that cannot be read to its end has a last
    /// entry that says so.
    ///
    /// # Errors
    /// Where `take` says so.
    pub fn for_each<E>(self, mut take: impl FnMut(Entry) -> Result<(), E>) -> Result<(), E> {
        let decoders = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_DECODERS);
        std::thread::scope(|scope| {
            let (mut raw, mut decoded) = (Vec::new(), Vec::new());
            for _ in 0..decoders {
                let (raw_tx, raw_rx) = sync_channel(BATCHES_AHEAD);
                let (decoded_tx, decoded_rx) = sync_channel(BATCHES_AHEAD);
                scope.spawn(move || decode_all(&raw_rx, &decoded_tx));
                raw.push(raw_tx);
                decoded.push(decoded_rx);
            }
            scope.spawn(move || read_all(self.files, &raw));
            // The batches come back in the order in which they were dealt out.
            for batch in (0..decoders).cycle() {
                let Ok(batch) = decoded[batch].recv() else { return Ok(()) };
                for entry in batch {
                    take(entry)?;
                }
            }
            Ok(())
        })
    }
}

fn form(path: &Path) -> Form {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    if plain.ends_with(".json") { Form::Values } else { Form::Lines }
}

/// Entries as they were cut out, one text after the other.
#[derive(Debug, Default)]
struct Batch {
    file: usize,
    text: Vec<u8>,
    /// The line of each entry, and where it ends in the text; none where it was too long to be kept.
    ends: Vec<(u64, Option<usize>)>,
}

/// What goes to a decoder: entries, or why a file has no more of them.
#[derive(Debug)]
enum Dealt {
    Entries(Batch),
    BrokenOff(Place, io::Error),
}

/// Where batches go, in turn.
struct Dealer<'s> {
    to: &'s [SyncSender<Dealt>],
    next: usize,
    batch: Batch,
    /// The line of the last entry of the file.
    line: u64,
}

/// Nobody takes batches any more.
#[derive(Debug)]
struct Gone;

impl Dealer<'_> {
    fn deal(&mut self, dealt: Dealt) -> Result<(), Gone> {
        let to = &self.to[self.next % self.to.len()];
        self.next += 1;
        to.send(dealt).map_err(|_| Gone)
    }

    fn flush(&mut self) -> Result<(), Gone> {
        if self.batch.ends.is_empty() {
            return Ok(());
        }
        let (file, text) = (self.batch.file, Vec::with_capacity(BATCH + BATCH / 8));
        let batch = std::mem::replace(&mut self.batch, Batch { file, text, ends: Vec::new() });
        self.deal(Dealt::Entries(batch))
    }

    /// What was appended to the batch's text since `start` is an entry.
    fn end_entry(&mut self, line: u64) -> Result<(), Gone> {
        self.line = line;
        self.batch.ends.push((line, Some(self.batch.text.len())));
        if self.batch.text.len() >= BATCH { self.flush() } else { Ok(()) }
    }
}

/// Why reading one file ended before its end.
enum Stop {
    Gone,
    Failed(io::Error),
}

impl From<Gone> for Stop {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

fn read_all(files: Vec<(String, Form, Box<dyn Source>)>, to: &[SyncSender<Dealt>]) {
    let mut dealer = Dealer { to, next: 0, batch: Batch::default(), line: 0 };
    for (number, (_, form, source)) in files.into_iter().enumerate() {
        (dealer.batch, dealer.line) = (Batch { file: number, ..Batch::default() }, 0);
        let done = unpacked(source).map_err(Stop::Failed).and_then(|mut text| match form {
            Form::Lines => cut_lines(&mut *text, &mut dealer),
            Form::Values => values::cut(&mut *text, &mut |value| match value {
                values::Cut::Bytes(bytes) => {
                    dealer.batch.text.extend_from_slice(bytes);
                    Ok(())
                }
                values::Cut::End(line) => dealer.end_entry(line).map_err(Stop::from),
                values::Cut::TooLong(line) => {
                    let kept = dealer.batch.ends.iter().rev().find_map(|(_, end)| *end).unwrap_or(0);
                    dealer.batch.text.truncate(kept);
                    dealer.batch.ends.push((line, None));
                    Ok(())
                }
            }),
        });
        let done = done.and_then(|()| dealer.flush().map_err(Stop::from));
        let told = match done {
            Ok(()) => Ok(()),
            Err(Stop::Gone) => Err(Gone),
            // What was read up to there counts; then the fault is told, and the next file is read.
            Err(Stop::Failed(error)) => dealer.flush().and_then(|()| {
                let place = Place { file: number, line: dealer.line + 1 };
                dealer.deal(Dealt::BrokenOff(place, error))
            }),
        };
        if let Err(Gone) = told {
            return;
        }
    }
}

/// Takes the compression away, whatever the file is called: both kinds say what they are in their first bytes.
fn unpacked(source: Box<dyn Source>) -> io::Result<Box<dyn BufRead>> {
    let mut source = BufReader::with_capacity(BATCH, source);
    let magic = source.fill_buf()?;
    Ok(if magic.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(BATCH, flate2::bufread::MultiGzDecoder::new(source)))
    } else if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(BufReader::with_capacity(BATCH, zstd::stream::read::Decoder::with_buffer(source)?))
    } else {
        Box::new(source)
    })
}

fn cut_lines(text: &mut dyn BufRead, dealer: &mut Dealer<'_>) -> Result<(), Stop> {
    let mut line = 0;
    loop {
        line += 1;
        let start = dealer.batch.text.len();
        let bound = LONGEST_ENTRY as u64 + 1;
        if text.take(bound).read_until(b'\n', &mut dealer.batch.text)? == 0 {
            return Ok(());
        }
        let read = dealer.batch.text.get(start..).unwrap_or_default();
        if read.len() > LONGEST_ENTRY && !read.ends_with(b"\n") {
            text.skip_until(b'\n')?;
            dealer.batch.text.truncate(start);
            dealer.batch.ends.push((line, None));
        } else if read.iter().all(u8::is_ascii_whitespace) {
            dealer.batch.text.truncate(start);
        } else {
            dealer.end_entry(line)?;
        }
    }
}

fn decode_all(raw: &Receiver<Dealt>, to: &SyncSender<Vec<Entry>>) {
    while let Ok(dealt) = raw.recv() {
        let entries = match dealt {
            Dealt::Entries(batch) => decode(batch),
            Dealt::BrokenOff(place, error) => vec![Entry { place, read: Err(EntryError::BrokenOff(error)) }],
        };
        if to.send(entries).is_err() {
            return;
        }
    }
}

fn decode(batch: Batch) -> Vec<Entry> {
    let mut start = 0;
    let entry = |(line, end): (u64, Option<usize>)| {
        let place = Place { file: batch.file, line };
        let Some(end) = end else { return Entry { place, read: Err(EntryError::TooLong) } };
        let bytes = batch.text.get(start..end).unwrap_or_default();
        start = end;
        let text = std::str::from_utf8(bytes).map_err(|_| EntryError::NotText);
        // Some editors begin a file with a byte order mark.
        let read = text.and_then(|text| Ok(captured::read(text.trim_start_matches('\u{feff}'))?));
        Entry { place, read }
    };
    batch.ends.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::captured::Contents;
    use std::io::Write;

    fn body(id: usize) -> String {
        format!(r#"{{"id":"c{id}","participants":[]}}"#)
    }

    fn read(name: &str, bytes: &[u8]) -> Result<Vec<String>, EventsError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let mut told = Vec::new();
        EventFiles::open(&[path])?.for_each::<EventsError>(|entry| {
            let what = match entry.read.map(|captured| captured.what) {
                Ok(Contents::Conversation(event)) => event.decoded.conversation.id.to_string(),
                Ok(Contents::Queues(_) | Contents::Other) => "other".into(),
                Err(error) => error.to_string().split(&[' ', ','][..]).take(2).collect::<Vec<_>>().join(" "),
            };
            told.push(format!("{} {what}", entry.place.line));
            Ok(())
        })?;
        Ok(told)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).expect("packed");
        packer.finish().expect("packed")
    }

    #[test]
    fn lines_come_in_order_however_they_are_packed() {
        let lines: String = (0..20_000).map(|id| body(id) + "\n").collect();
        let wanted: Vec<String> = (0..20_000).map(|id| format!("{} c{id}", id + 1)).collect();
        assert_eq!(read("a.jsonl", lines.as_bytes()).expect("read"), wanted);
        assert_eq!(read("a.jsonl.gz", &gzip(lines.as_bytes())).expect("read"), wanted);
        let packed = zstd::encode_all(lines.as_bytes(), 1).expect("packed");
        assert_eq!(read("whatever", &packed).expect("read"), wanted);
        // Two members one after the other, as after `cat a.gz b.gz`.
        let (first, second) = lines.split_at(lines.len() / 2);
        let both = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
        assert_eq!(read("a.jsonl.gz", &both).expect("read"), wanted);
    }

    #[test]
    fn a_bad_line_is_named_and_the_next_one_is_read() {
        let text = format!("\u{feff}{}\n\nno json\n{{}}\n{}", body(1), body(2));
        let told = read("a.jsonl", text.as_bytes()).expect("read");
        assert_eq!(told, ["1 c1", "3 not a", "4 neither a", "5 c2"]);
        assert_eq!(read("a.jsonl", b"\xff\xfe\n").expect("read"), ["1 not UTF-8"]);
    }

    #[test]
    fn an_entry_that_is_too_long_is_passed_over() {
        let long = format!("\"{}\"", "x".repeat(LONGEST_ENTRY));
        let lines = format!("{}\n{long}\n{}\n", body(1), body(2));
        assert_eq!(read("a.jsonl", lines.as_bytes()).expect("read"), ["1 c1", "2 longer than", "3 c2"]);
        let values = format!("[{},\n{long},\n{}]", body(1), body(2));
        assert_eq!(read("a.json", values.as_bytes()).expect("read"), ["1 c1", "2 longer than", "3 c2"]);
    }

    #[test]
    fn a_json_file_holds_one_value_or_an_array() {
        let spread = "{\n \"id\": \"c1\",\n \"address\": \"a \\\"]} b\",\n \"participants\": [[], {}]\n}";
        assert_eq!(read("a.json", spread.as_bytes()).expect("read"), ["1 c1"]);
        let array = format!("[\n  {spread},\n  {}\n]\n", body(2));
        assert_eq!(read("a.json", array.as_bytes()).expect("read"), ["2 c1", "7 c2"]);
        assert_eq!(read("a.json", b"[]").expect("read"), Vec::<String>::new());
        assert_eq!(read("a.json", b"[7, {\"id\":\"c\"").expect("read"), ["1 not a", "1 not a"]);
    }

    #[test]
    fn a_file_that_is_cut_off_says_so_after_what_it_held() {
        let lines: String = (0..2_000).map(|id| body(id) + "\n").collect();
        let packed = [gzip(lines.as_bytes()), zstd::encode_all(lines.as_bytes(), 1).expect("packed")];
        for packed in packed {
            let folder = tempfile::tempdir().expect("a folder");
            let (torn, next) = (folder.path().join("torn"), folder.path().join("next"));
            std::fs::write(&torn, [&packed[..], &packed[..packed.len() - 9]].concat()).expect("written");
            std::fs::write(&next, body(1)).expect("written");
            let (mut read, mut torn_at, mut then) = (0, None, 0);
            let files = EventFiles::open(&[torn, next]).expect("opened");
            let done = files.for_each::<()>(|entry| {
                match entry.read {
                    Ok(_) if torn_at.is_some() => then += 1,
                    Ok(_) => read += 1,
                    Err(error) => torn_at = Some((entry.place, error.to_string())),
                }
                Ok(())
            });
            let (place, error) = torn_at.expect("it is told");
            assert!(done.is_ok() && (read, then) == (place.line - 1, 1) && read >= 2_000, "{read} {then}");
            assert!(place.file == 0 && error.starts_with("the file breaks off here: "), "{error}");
        }
    }

    #[test]
    fn a_taker_that_has_enough_ends_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, (0..50_000).map(|id| body(id) + "\n").collect::<String>()).expect("written");
        let mut taken = 0;
        let stopped = EventFiles::open(&[path]).expect("opened").for_each(|_| {
            taken += 1;
            if taken == 10 { Err(()) } else { Ok(()) }
        });
        assert!(stopped.is_err() && taken == 10);
    }
}
