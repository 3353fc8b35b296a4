//! Which files `policy.files` names, and their texts, within bounds.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::model::document::{Diagnostic, Document, Severity};
use crate::policy::file;

/// The largest file in bytes: some ten thousand rules.
const LARGEST_FILE: usize = 4 * 1024 * 1024;
/// The largest configuration in bytes, all files together: ten thousand rules with their tests.
const LARGEST_IN_ALL: usize = 8 * 1024 * 1024;
/// Bytes that are read behind the largest file's end, so that the line in which it ends can be shown.
const BEHIND: usize = 4 * 1024;
/// The most files.
const MOST_FILES: usize = 1_000;

/// Why a file cannot be used.
#[derive(Debug)]
pub(super) enum Unusable {
    /// It is not there, or no file at all.
    Missing(String),
    /// It is there.
    Unfit(Box<Diagnostic>),
}

impl Unusable {
    /// What happened.
    pub(super) fn why(self) -> String {
        match self {
            Self::Missing(why) => why,
            Self::Unfit(found) => found.message,
        }
    }

    /// The same of the file of this name, with what to do.
    pub(super) fn told(self, name: &str, if_missing: Option<&str>) -> Diagnostic {
        match self {
            Self::Missing(why) => {
                Diagnostic { help: if_missing.map(str::to_owned), ..Diagnostic::of_file(name, why) }
            }
            Self::Unfit(found) => *found,
        }
    }
}

/// Reads one file.
///
/// # Errors
/// Why it cannot be used.
pub(super) fn text(path: &Path) -> Result<String, Unusable> {
    let name = path.display().to_string();
    let read = |error: std::io::Error| {
        let why = format!("the file cannot be read: {error}");
        if error.kind() == ErrorKind::PermissionDenied {
            let help = Some("let the user that recwarden runs as read it".to_owned());
            Unusable::Unfit(Box::new(Diagnostic { help, ..Diagnostic::of_file(&name, why) }))
        } else {
            Unusable::Missing(why)
        }
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(read)?;
    file.take((LARGEST_FILE + BEHIND) as u64).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() > LARGEST_FILE {
        let why = format!("the file is larger than {LARGEST_FILE} bytes: here they end");
        return Err(Unusable::Unfit(Box::new(at(&name, &bytes, LARGEST_FILE, why, DIVIDE))));
    }
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        let why = format!("the file is not UTF-8: see its byte {}", place + 1);
        Unusable::Unfit(Box::new(at(&name, error.as_bytes(), place, why, "save it as UTF-8")))
    })
}

/// What is said of a pattern that names no file.
const MATCHES_NONE: &str = "matches no file";

/// Whether this tells of a pattern that names no file.
pub(super) fn is_unmatched(one: &Diagnostic) -> bool {
    one.severity == Severity::Warning && one.message.ends_with(MATCHES_NONE)
}

const DIVIDE: &str =
    "divide it into several files, or join rules: one rule takes lists of queues and of values";
const JOIN: &str = "join rules: one rule takes lists of queues and of values";

/// A mistake at a byte of a text that may be none.
fn at(name: &str, bytes: &[u8], place: usize, message: String, help: &str) -> Diagnostic {
    let before = String::from_utf8_lossy(&bytes[..place]).len();
    let document = Document::new(name, String::from_utf8_lossy(bytes));
    let help = Some(help.to_owned());
    Diagnostic { message, help, ..document.pointer(before..before) }
}

/// The same, of a file that has to be one: a pipe that a glob matches would be waited for.
pub(super) fn text_of_rules(path: &Path) -> Result<String, Unusable> {
    match std::fs::metadata(path) {
        Ok(kind) if !kind.is_file() => Err(Unusable::Missing("this is not a file".into())),
        Ok(_) | Err(_) => text(path),
    }
}

/// The texts of the rule files, sorted by their paths, each once. What cannot be used is in the second.
pub(super) fn texts(
    document: &mut Document,
    main: &Path,
    globs: &[file::Placed],
) -> (Vec<(PathBuf, String)>, Vec<Diagnostic>) {
    let (mut texts, mut found, mut size) = (Vec::new(), Vec::new(), document.text().len());
    for path in named(document, main, globs) {
        let name = path.display().to_string();
        match text_of_rules(&path) {
            Ok(text) => {
                let room = LARGEST_IN_ALL.saturating_sub(size);
                if text.len() > room {
                    let message = format!(
                        "all files together are larger than {LARGEST_IN_ALL} bytes: here they end, and no more is read"
                    );
                    found.push(at(&name, text.as_bytes(), room, message, JOIN));
                    break;
                }
                size += text.len();
                texts.push((path, text));
            }
            Err(unusable) => found.push(unusable.told(&name, None)),
        }
    }
    (texts, found)
}

/// The files that the globs name, sorted, each once.
pub(super) fn named(document: &mut Document, main: &Path, globs: &[file::Placed]) -> Vec<PathBuf> {
    let folder = main.parent().map(Path::to_path_buf).unwrap_or_default();
    let this = std::fs::canonicalize(main).ok();
    // By what they really are, so that a file with two names is read once.
    let mut files: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for (pattern, place) in globs {
        for path in matching(document, &folder, (pattern, place)) {
            let real = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            if Some(&real) == this.as_ref() {
                let message = format!("'{pattern}' names this file itself, which would be part of itself");
                let help = "keep rules in a folder of their own, as in files = [\"rules/*.toml\"]".to_owned();
                document.mistake(place.clone(), message, Some(help));
            } else if files.len() < MOST_FILES {
                files.entry(real).or_insert(path);
            } else {
                document.mistake(place.clone(), format!("more than {MOST_FILES} files are named"), None);
                return Vec::new();
            }
        }
    }
    let mut paths: Vec<PathBuf> = files.into_values().collect();
    paths.sort();
    paths
}

/// The paths that one pattern names.
fn matching(document: &mut Document, folder: &Path, (pattern, place): (&str, &Range<usize>)) -> Vec<PathBuf> {
    const SIGNS: [char; 4] = ['*', '?', '[', '{'];
    let path = folder.join(pattern);
    if !pattern.contains(SIGNS) {
        if path.is_file() {
            return vec![path];
        }
        let why = text_of_rules(&path).err().map_or_else(|| "the file cannot be read".into(), Unusable::why);
        document.mistake(place.clone(), format!("{}: {why}", path.display()), None);
        return Vec::new();
    }
    let (within, name) = pattern.rsplit_once('/').map_or(("", pattern), |(within, name)| (within, name));
    if within.contains(SIGNS) {
        let message = format!("'{pattern}' has a glob for a folder");
        let help = "name each folder by itself; only the last part can be a glob".to_owned();
        document.mistake(place.clone(), message, Some(help));
        return Vec::new();
    }
    let Some(matcher) = glob(document, name, place) else { return Vec::new() };
    let parent = if pattern.starts_with('/') && within.is_empty() { "/".into() } else { folder.join(within) };
    let shown = if parent.as_os_str().is_empty() { Path::new(".") } else { parent.as_path() };
    match std::fs::read_dir(shown) {
        Ok(entries) => {
            let names = entries.filter_map(Result::ok).map(|entry| entry.file_name());
            // As in a shell: a hidden file, which editors and archives leave behind, is meant only by a pattern that
            // begins with its dot.
            let is_meant =
                |hidden: &OsString| name.starts_with('.') || !hidden.as_encoded_bytes().starts_with(b".");
            let mut paths: Vec<PathBuf> = names
                .filter(|one| is_meant(one) && matcher.is_match(one))
                .map(|one| parent.join(one))
                .collect();
            paths.sort();
            if paths.is_empty() {
                document.warn(place.clone(), format!("'{pattern}' {MATCHES_NONE}"), None);
            }
            paths
        }
        Err(error) => {
            let message = format!("the folder '{}' cannot be read: {error}", shown.display());
            document.mistake(place.clone(), message, None);
            Vec::new()
        }
    }
}

fn glob(document: &mut Document, name: &str, place: &Range<usize>) -> Option<GlobMatcher> {
    match GlobBuilder::new(name).literal_separator(true).build() {
        Ok(glob) => Some(glob.compile_matcher()),
        Err(error) => {
            document.mistake(place.clone(), format!("'{name}' is not a glob: {}", error.kind()), None);
            None
        }
    }
}
