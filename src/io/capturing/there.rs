//! What is there of an earlier capture, by the names of its files.

use std::collections::BTreeSet;
use std::fs::{File, FileType};
use std::io::{self, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::{CaptureError, Kind, at};

/// The name of a file by its number.
pub(super) fn numbered(first: &Path, number: u32) -> PathBuf {
    if number == 1 {
        return first.to_path_buf();
    }
    let mut name = first.as_os_str().to_owned();
    name.push(format!(".{number:04}"));
    name.into()
}

/// The numbers of the files that are there, also behind a gap.
pub(super) fn there(first: &Path) -> Result<BTreeSet<u32>, CaptureError> {
    let Some(name) = first.file_name() else { return Ok(BTreeSet::new()) };
    let folder = first.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // Opening the file tells it better.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(BTreeSet::new());
        }
        Err(error) => return Err(at(folder, "read")(error)),
    };
    let mut numbers = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(at(folder, "read"))?.file_name();
        let rest = entry.as_bytes().strip_prefix(name.as_bytes());
        let number = match rest {
            Some([]) => Some(1),
            Some([b'.', digits @ ..]) if digits.iter().all(u8::is_ascii_digit) => {
                std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok())
            }
            Some(_) | None => None,
        };
        let is_ours = |number: &u32| numbered(Path::new(name), *number).as_os_str() == entry;
        numbers.extend(number.filter(is_ours));
    }
    Ok(numbers)
}

/// Why files that are there are not written over.
pub(super) fn kept(first: &Path, there: &BTreeSet<u32>) -> CaptureError {
    let path = numbered(first, there.first().copied().unwrap_or(1));
    let seen = std::fs::symlink_metadata(&path);
    let fit = seen.map_err(at(&path, "read")).and_then(|seen| regular(&path, seen.file_type()));
    fit.err().unwrap_or(CaptureError::Exists { path })
}

/// Removes all of an earlier capture, or nothing.
pub(super) fn clear(first: &Path, there: &BTreeSet<u32>) -> Result<(), CaptureError> {
    let paths = || there.iter().map(|number| numbered(first, *number));
    for path in paths() {
        let seen = std::fs::symlink_metadata(&path).map_err(at(&path, "read"))?;
        regular(&path, seen.file_type())?;
    }
    paths().try_for_each(|path| std::fs::remove_file(&path).map_err(at(&path, "removed")))
}

/// Refuses all but regular files.
pub(super) fn regular(path: &Path, seen: FileType) -> Result<(), CaptureError> {
    let what = if seen.is_file() {
        return Ok(());
    } else if seen.is_char_device() || seen.is_block_device() {
        "a device"
    } else if seen.is_fifo() {
        "a pipe"
    } else if seen.is_dir() {
        "a folder"
    } else if seen.is_symlink() {
        "a symbolic link"
    } else {
        "a socket"
    };
    Err(CaptureError::NotAFile { path: path.to_path_buf(), what })
}

/// Whether a compressed file ends within what was begun, as after a crash.
pub(super) fn is_broken_off(path: &Path, kind: Kind) -> io::Result<bool> {
    let file = BufReader::new(File::open(path)?);
    let unpacked = match kind {
        Kind::Plain => return Ok(false),
        Kind::Gzip => io::copy(&mut flate2::bufread::MultiGzDecoder::new(file), &mut io::sink()),
        Kind::Zstd => {
            let mut reader = zstd::Decoder::with_buffer(file)?;
            io::copy(&mut reader, &mut io::sink())
        }
    };
    // An empty file has nothing that could break off.
    Ok(unpacked.is_err() && std::fs::metadata(path)?.len() > 0)
}
