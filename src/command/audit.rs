//! `recwarden audit`: reads the audit log. An auditor has no configuration, so a folder is enough.

mod lines;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::{Failure, environment};
use crate::audit::chain::{Link, Sealed};
use crate::audit::history::{History, Stopped};
use crate::audit::record::Record;
use crate::settings::{Credentials, Source};
use lines::{End, Lines};

/// `tail --follow` looks for new lines so often.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// Options of `audit`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  recwarden audit tail -n 50 --follow --directory /var/log/recwarden\n  recwarden audit show --kind decision --directory audit\n  recwarden audit verify --directory audit"
)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
    /// The configuration that names the folder.
    #[arg(long, global = true, env = "RECWARDEN_CONFIG", default_value = super::DEFAULT_CONFIG, value_name = "FILE")]
    pub config: PathBuf,
    /// The folder itself; no configuration is read then.
    #[arg(long, global = true, value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Print the last records, and new ones as they come
    Tail {
        /// How many of the last records.
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: usize,
        /// Go on as new records are written.
        #[arg(short, long)]
        follow: bool,
    },
    /// Print records
    Show {
        /// Only of this conversation.
        #[arg(long)]
        conversation: Option<String>,
        /// Only of this decision.
        #[arg(long)]
        decision: Option<String>,
        /// Only of this kind.
        #[arg(long, value_parser = PossibleValuesParser::new(Record::KINDS), hide_possible_values = true)]
        kind: Option<String>,
    },
    /// Check the chain, the files and the order promise
    Verify,
}

impl What {
    /// Whether what it prints is all there is to it.
    pub fn is_for_reading(&self) -> bool {
        match self {
            Self::Tail { .. } | Self::Show { .. } => true,
            Self::Verify => false,
        }
    }
}

/// Runs it.
///
/// # Errors
/// Where the log cannot be read, or does not verify.
pub fn run(options: &Options, out: &mut dyn Write, complaints: &mut dyn Write) -> Result<(), Failure> {
    let directory = match &options.directory {
        Some(directory) => directory.clone(),
        None => {
            let credentials = Credentials::Unneeded;
            let source = Source { path: options.config.clone(), environment: environment()?, credentials };
            super::whereabouts(&source, complaints).map_err(or_name_the_folder)?
        }
    };
    match &options.what {
        What::Tail { lines, follow } => {
            tail(&directory, *lines, if *follow { Follow::On } else { Follow::Off }, out)
        }
        What::Show { conversation, decision, kind } => {
            let wanted = [("conversation", conversation), ("decision", decision), ("kind", kind)];
            show(&directory, &wanted, out)
        }
        What::Verify => verify(&directory, out),
    }
}

/// An auditor has no configuration.
fn or_name_the_folder(failure: Failure) -> Failure {
    match failure {
        Failure::Configuration(mut mistakes) => {
            if let [one] = &mut mistakes[..]
                && one.source.is_none()
            {
                let help = "name the folder of the log with --directory DIR, or the configuration with --config FILE";
                one.help = Some(help.into());
            }
            Failure::Configuration(mistakes)
        }
        Failure::Warned(_) | Failure::Tests(_) | Failure::Failed(_) | Failure::Usage(_) | Failure::Unread => {
            failure
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    On,
    Off,
}

fn tail(directory: &Path, count: usize, follow: Follow, out: &mut dyn Write) -> Result<(), Failure> {
    let mut end = End::print(directory, count, out)?;
    if follow == Follow::Off {
        return Ok(());
    }
    loop {
        std::thread::sleep(FOLLOW_EVERY);
        end.print_more(out)?;
    }
}

fn show(directory: &Path, wanted: &[(&str, &Option<String>)], out: &mut dyn Write) -> Result<(), Failure> {
    let mut odd = Vec::new();
    for path in lines::files(directory)? {
        let mut lines = Lines::open(&path, 0)?;
        while let Some(line) = lines.next_line()? {
            let Ok(fields) = serde_json::from_str::<BTreeMap<String, serde_json::Value>>(&line) else {
                odd.push(lines.place());
                continue;
            };
            let fits = |(key, value): &(&str, &Option<String>)| match value {
                None => true,
                Some(value) => fields.get(*key).and_then(serde_json::Value::as_str) == Some(value),
            };
            if wanted.iter().all(fits) {
                writeln!(out, "{line}")?;
            }
        }
    }
    match &odd[..] {
        [] => Ok(()),
        [first, ..] => Err(Failure::Failed(format!(
            "{} is not a record ({} such); recwarden audit verify tells what else is wrong",
            first,
            count(odd.len(), "line")
        ))),
    }
}

/// So many of something.
fn count(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

/// What a log that verifies says of itself.
#[derive(Debug, Default)]
pub struct Verified {
    /// Records.
    pub records: u64,
    /// Files.
    pub files: usize,
    /// What is in force at its end.
    pub history: History,
    /// Everything that is wrong.
    pub findings: Vec<String>,
    /// Bytes of an unfinished last line.
    pub torn: usize,
}

/// Reads a whole log and checks it.
///
/// # Errors
/// Where it cannot be read.
pub fn check(directory: &Path) -> Result<Verified, Failure> {
    let mut verified = Verified::default();
    let mut link: Option<Link> = None;
    let paths = lines::files(directory)?;
    verified.files = paths.len();
    for path in &paths {
        let mut lines = Lines::open(path, 0)?;
        while let Some(line) = lines.next_line()? {
            let (line, place) = (line.as_str(), lines.place());
            let begun = match &mut link {
                Some(link) => link,
                None => link.insert(begin(line, &place, &mut verified.findings)),
            };
            match begun.follow(line) {
                Ok(sealed) => take(&mut verified, &place, &sealed),
                Err(found) => {
                    verified.findings.push(format!("{place}: {found}"));
                    // Go on from what the line says of itself, so that one break is one finding.
                    if let Ok(here) = Link::before(line) {
                        let hash = serde_json::from_str::<Sealed>(line).map_or(here.prev, |one| one.hash);
                        *begun = Link { seq: here.seq + 1, prev: hash };
                    }
                }
            }
        }
        verified.torn = lines.torn();
        if verified.torn > 0 && Some(path) != paths.last() {
            verified.findings.push(format!("{}: the last line is unfinished", path.display()));
        }
    }
    Ok(verified)
}

fn begin(line: &str, place: &str, findings: &mut Vec<String>) -> Link {
    match Link::before(line) {
        Ok(link) => {
            if link.seq != 1 {
                findings.push(format!("{place}: the log begins with record {}, not with 1", link.seq));
            }
            link
        }
        Err(found) => {
            findings.push(format!("{place}: {found}"));
            Link::default()
        }
    }
}

fn take(verified: &mut Verified, place: &str, sealed: &Sealed) {
    verified.records += 1;
    if let Some(broken) = verified.history.take(sealed.time, &sealed.record) {
        verified.findings.push(format!("{place}: record {}: {broken}", sealed.seq));
    }
    if let Record::Checkpoint(_) = &sealed.record {
        verified.findings.push(format!("{place}: a checkpoint, which this version cannot verify"));
    }
}

fn verify(directory: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let verified = check(directory)?;
    for finding in &verified.findings {
        writeln!(out, "{finding}")?;
    }
    let open = verified.history.open_decisions().count();
    let ended = verified.history.ended_count();
    let end = match verified.history.stopped() {
        Stopped::Cleanly => "closed by a clean stop",
        Stopped::No => "not closed: the daemon runs, or it crashed",
    };
    let records = count(usize::try_from(verified.records).unwrap_or(usize::MAX), "record");
    let (files, ended) = (count(verified.files, "file"), count(ended, "decision"));
    writeln!(out, "{records} in {files}; {ended} ended, {open} open; the log is {end}")?;
    if verified.torn > 0 {
        writeln!(out, "the last line is unfinished ({} bytes); the next start cuts it off", verified.torn)?;
    }
    if verified.findings.is_empty() {
        writeln!(out, "the chain and the order promise hold; there are no checkpoints to verify")?;
        Ok(())
    } else {
        Err(Failure::Failed(format!(
            "the log does not verify: {}",
            count(verified.findings.len(), "finding")
        )))
    }
}
