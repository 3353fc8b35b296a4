//! The files of a capture: JSON Lines, compressed by their name, a new one where one is full.
//!
//! The first file has the name that was asked for; the next ones have a number behind it (`FILE.0002`,
//! `FILE.0003`, ...), so that `FILE*` names them in their order.

mod there;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use there::{clear, is_broken_off, kept, numbered, regular, there};

/// How Zstandard compresses: a moderate level, since it runs beside live events.
const ZSTD_LEVEL: i32 = 3;

/// What to do with files that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Refuse.
    Keep,
    /// Go on behind their end.
    Append,
    /// Write over them.
    Replace,
}

/// Why a capture cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// There is one already.
    #[error("{} is there already; choose another name, or give --append to go on behind its end or --force to write over it", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// It is there, and holds no capture.
    #[error("{} is {what}, not a regular file: a capture neither writes there nor removes it; name a file with --output", path.display())]
    NotAFile {
        /// Which one.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The disk refuses.
    #[error("{} cannot be {what}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What was attempted.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

/// The files of a capture, open for writing.
#[derive(Debug)]
pub struct CaptureFiles {
    first: PathBuf,
    rotate_size: Option<u64>,
    number: u32,
    path: PathBuf,
    packer: Packer,
    /// How the file that is open began.
    began: Began,
    /// The file that was to be appended to and is broken off.
    broken_off: Option<PathBuf>,
    /// Bytes of text, all files together.
    text: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Began {
    New,
    Appended,
}

impl CaptureFiles {
    /// Opens the first file, or the last one where it is to be appended to.
    ///
    /// # Errors
    /// Where it is there already and is to be kept, or cannot be opened.
    pub fn create(first: &Path, rotate_size: Option<u64>, existing: Existing) -> Result<Self, CaptureError> {
        let there = there(first)?;
        let mut broken_off = None;
        let (number, began) = match (existing, there.last()) {
            (Existing::Keep, Some(_)) => return Err(kept(first, &there)),
            (Existing::Append, Some(last)) => {
                let path = numbered(first, *last);
                let seen = std::fs::metadata(&path).map_err(at(&path, "read"))?;
                regular(&path, seen.file_type())?;
                if is_broken_off(&path, kind(first)).map_err(at(&path, "read"))? {
                    // Nothing that is written behind the break could be read again.
                    broken_off = Some(path);
                    (last + 1, Began::New)
                } else {
                    (*last, Began::Appended)
                }
            }
            (Existing::Replace, _) => {
                clear(first, &there)?;
                (1, Began::New)
            }
            (Existing::Keep | Existing::Append, None) => (1, Began::New),
        };
        let path = numbered(first, number);
        let packer = open(&path, kind(first), began)?;
        let first = first.to_path_buf();
        Ok(Self { first, rotate_size, number, path, packer, began, broken_off, text: 0 })
    }

    /// The file that was to be appended to and breaks off within, if so: the capture goes on in the next one.
    pub fn broken_off(&self) -> Option<&Path> {
        self.broken_off.as_deref()
    }

    /// The file that is written to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves nothing behind of a capture that came to nothing.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn discard(self) -> Result<(), CaptureError> {
        match self.began {
            Began::New => std::fs::remove_file(&self.path).map_err(at(&self.path, "removed")),
            Began::Appended => self.finish(),
        }
    }

    /// Writes a line; answers whether a new file was begun for it, which needs its own head.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn line(&mut self, line: &str) -> Result<(), CaptureError> {
        let written = self.packer.write_all(line.as_bytes()).and_then(|()| self.packer.write_all(b"\n"));
        written.map_err(at(&self.path, "written"))?;
        self.text += line.len() as u64 + 1;
        Ok(())
    }

    /// Begins the next file where the present one is full; answers whether it did.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn rotate_if_full(&mut self) -> Result<Rotated, CaptureError> {
        let length = self.packer.length();
        if self.rotate_size.is_none_or(|most| length < most) {
            return Ok(Rotated::No);
        }
        self.number += 1;
        let path = numbered(&self.first, self.number);
        let next = open(&path, kind(&self.first), Began::New)?;
        let full = std::mem::replace(&mut self.packer, next);
        full.finish().map_err(at(&self.path, "closed"))?;
        self.path = path;
        self.began = Began::New;
        Ok(Rotated::Yes)
    }

    /// Hands what was written to the system.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn flush(&mut self) -> Result<(), CaptureError> {
        self.packer.flush().map_err(at(&self.path, "written"))
    }

    /// Completes the last file, and makes it durable.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn finish(self) -> Result<(), CaptureError> {
        self.packer.finish().map_err(at(&self.path, "closed"))
    }

    /// Bytes of text written so far.
    pub fn text(&self) -> u64 {
        self.text
    }

    /// How many files there are.
    pub fn count(&self) -> u32 {
        self.number
    }
}

/// Whether a new file was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// It was.
    Yes,
    /// It was not.
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Gzip,
    Zstd,
}

fn kind(path: &Path) -> Kind {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => Kind::Gzip,
        Some("zst") => Kind::Zstd,
        _ => Kind::Plain,
    }
}

fn open(path: &Path, kind: Kind, began: Began) -> Result<Packer, CaptureError> {
    let mut options = OpenOptions::new();
    // Events are personal data: nobody else may read them.
    options.read(true).write(true).mode(0o600);
    let options = match began {
        Began::Appended => &mut options,
        Began::New => options.create_new(true),
    };
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(CaptureError::Exists { path: path.to_path_buf() });
        }
        Err(error) => return Err(at(path, "opened")(error)),
    };
    let length = file.seek(SeekFrom::End(0)).map_err(at(path, "read"))?;
    let torn = kind == Kind::Plain && length > 0 && !ends_a_line(&mut file).map_err(at(path, "read"))?;
    let counted = BufWriter::new(Counted { file, length });
    let mut packer = match kind {
        Kind::Plain => Packer::Plain(counted),
        Kind::Gzip => Packer::Gzip(flate2::write::GzEncoder::new(counted, flate2::Compression::default())),
        Kind::Zstd => Packer::Zstd(zstd::Encoder::new(counted, ZSTD_LEVEL).map_err(at(path, "opened"))?),
    };
    if torn {
        packer.write_all(b"\n").map_err(at(path, "written"))?;
    }
    Ok(packer)
}

/// Whether the file ends with a whole line; it stands at its end afterwards.
fn ends_a_line(file: &mut File) -> io::Result<bool> {
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[derive(Debug)]
struct Counted {
    file: File,
    length: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

enum Packer {
    Plain(BufWriter<Counted>),
    Gzip(flate2::write::GzEncoder<BufWriter<Counted>>),
    Zstd(zstd::Encoder<'static, BufWriter<Counted>>),
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Packer(..)")
    }
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(out) => out.write(bytes),
            Self::Zstd(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
            Self::Zstd(out) => out.flush(),
        }
    }
}

impl Packer {
    /// Bytes in the file so far, without what is not handed on yet.
    fn length(&self) -> u64 {
        match self {
            Self::Plain(out) => out.get_ref().length + out.buffer().len() as u64,
            Self::Gzip(out) => out.get_ref().get_ref().length,
            Self::Zstd(out) => out.get_ref().get_ref().length,
        }
    }

    fn finish(self) -> io::Result<()> {
        let out = match self {
            Self::Plain(out) => out,
            Self::Gzip(out) => out.finish()?,
            Self::Zstd(out) => out.finish()?,
        };
        let counted = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        counted.file.sync_all()
    }
}

fn at(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> CaptureError {
    let path = path.to_path_buf();
    move |source| CaptureError::Io { path, what, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn write(path: &Path, existing: Existing, lines: &[&str]) -> Result<(), CaptureError> {
        let mut files = CaptureFiles::create(path, Some(10), existing)?;
        for line in lines {
            files.rotate_if_full()?;
            files.line(line)?;
        }
        files.finish()
    }

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).expect("a text")
    }

    #[test]
    fn a_full_file_is_followed_by_a_numbered_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jsonl");
        write(&path, Existing::Keep, &["123456789", "2", "3"]).expect("written");
        assert_eq!((text(&path), text(&numbered(&path, 2))), ("123456789\n".into(), "2\n3\n".into()));
        let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_there_is_kept_appended_to_or_replaced_as_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jsonl");
        write(&path, Existing::Keep, &["123456789", "2"]).expect("written");
        let error = write(&path, Existing::Keep, &["x"]).expect_err("it is kept").to_string();
        assert!(error.contains("--append") && error.contains("--force"), "{error}");
        std::fs::write(numbered(&path, 2), "torn").expect("written");
        write(&path, Existing::Append, &["3"]).expect("written");
        assert_eq!((text(&path), text(&numbered(&path, 2))), ("123456789\n".into(), "torn\n3\n".into()));
        write(&path, Existing::Replace, &["x"]).expect("written");
        assert!(text(&path) == "x\n" && !numbered(&path, 2).exists(), "nothing of the old capture is left");
    }

    #[test]
    fn what_is_no_regular_file_is_neither_removed_nor_written_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = rustix::fs::FileType::Fifo;
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, made, 0o600.into(), 0).expect("a pipe");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/nowhere", &link).expect("a link");
        let beside = folder.path().join("a.jsonl");
        std::fs::write(&beside, "kept").expect("written");
        std::fs::create_dir(numbered(&beside, 3)).expect("made");
        for (path, whats) in [(&fifo, "a pipe"), (&link, "a symbolic link")] {
            for existing in [Existing::Keep, Existing::Replace] {
                let error = CaptureFiles::create(path, None, existing).expect_err("refused").to_string();
                assert!(error.contains(whats) && error.contains("not a regular file"), "{error}");
            }
        }
        let error = CaptureFiles::create(&fifo, None, Existing::Append).expect_err("refused").to_string();
        assert!(error.contains("a pipe"), "{error}");
        let error = CaptureFiles::create(&beside, None, Existing::Replace).expect_err("refused").to_string();
        assert!(error.contains("a.jsonl.0003 is a folder") && text(&beside) == "kept", "{error}");
        assert!(fifo.exists() && link.is_symlink());
    }

    #[test]
    fn numbered_files_behind_a_gap_are_replaced_and_appended_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jsonl");
        let others = ["a.jsonl.2", "a.jsonl.00002", "a.jsonl.0002.zst", "b.jsonl.0002"];
        others.iter().for_each(|name| std::fs::write(folder.path().join(name), "other").expect("written"));
        std::fs::write(numbered(&path, 2), "old").expect("written");
        let error = write(&path, Existing::Keep, &["x"]).expect_err("it is kept").to_string();
        assert!(error.contains("a.jsonl.0002 is there already"), "{error}");
        write(&path, Existing::Append, &["x"]).expect("written");
        assert!(!path.exists() && text(&numbered(&path, 2)) == "old\nx\n");
        write(&path, Existing::Replace, &["123456789", "2"]).expect("written");
        assert_eq!((text(&path), text(&numbered(&path, 2))), ("123456789\n".into(), "2\n".into()));
        others.iter().for_each(|name| assert_eq!(text(&folder.path().join(name)), "other"));
    }

    #[test]
    fn a_packed_file_that_breaks_off_is_left_and_the_next_one_is_begun() {
        for ending in ["gz", "zst"] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join(format!("a.jsonl.{ending}"));
            let mut files = CaptureFiles::create(&path, None, Existing::Keep).expect("opened");
            files.line(&"lost ".repeat(1000)).expect("written");
            files.finish().expect("closed");
            let whole = std::fs::read(&path).expect("the file");
            let torn = &whole[..whole.len() - 5];
            std::fs::write(&path, torn).expect("torn");
            for broken_off in [Some(path.as_path()), None] {
                let mut files = CaptureFiles::create(&path, None, Existing::Append).expect("opened");
                assert_eq!(files.broken_off(), broken_off);
                assert_eq!(files.path(), numbered(&path, 2));
                files.line("more").expect("written");
                files.finish().expect("closed");
            }
            assert_eq!(std::fs::read(&path).expect("the file"), torn);
            assert!(!is_broken_off(&numbered(&path, 2), kind(&path)).expect("read"));
        }
    }

    #[test]
    fn a_capture_that_came_to_nothing_leaves_no_file_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jsonl");
        CaptureFiles::create(&path, None, Existing::Keep).expect("opened").discard().expect("removed");
        assert!(!path.exists());
        std::fs::write(&path, "old\n").expect("written");
        CaptureFiles::create(&path, None, Existing::Append).expect("opened").discard().expect("closed");
        assert_eq!(text(&path), "old\n");
    }

    #[test]
    fn a_packed_file_is_whole_and_can_be_appended_to() {
        for ending in ["gz", "zst"] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join(format!("a.jsonl.{ending}"));
            for (existing, line) in [(Existing::Keep, "one"), (Existing::Append, "two")] {
                let mut files = CaptureFiles::create(&path, None, existing).expect("opened");
                files.line(line).expect("written");
                files.finish().expect("closed");
            }
            let packed = std::fs::read(&path).expect("the file");
            let mut unpacked = String::new();
            if ending == "gz" {
                flate2::read::MultiGzDecoder::new(&*packed).read_to_string(&mut unpacked).expect("unpacked");
            } else {
                unpacked = String::from_utf8(zstd::decode_all(&*packed).expect("unpacked")).expect("text");
            }
            assert_eq!(unpacked, "one\ntwo\n");
        }
    }
}
