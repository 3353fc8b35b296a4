//! `recwarden replay`: captured events through one policy, or through two.

mod lines;

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, environment};
use crate::io::events::{EntryError, EventFiles, EventsError, Place};
use crate::settings::{Credentials, Loaded, Source};
use crate::warden::backtest::{Backtest, Entrant, Mark, RuleLine, Summary};
use crate::wire::captured::{Captured, Contents};

/// Entries that cannot be read and are named; the others are counted.
const NAMED: u64 = 5;
/// Rules that are named where there is something to say about them.
const RULES_NAMED: usize = 10;
/// So many entries pass between two movements of the progress bar.
const MOVED_EVERY: u64 = 1024;

/// Options of `replay`.
#[derive(Debug, Args)]
#[command(
    after_help = "EVENTS are JSON Lines as `recwarden capture` writes them (.jsonl, .jsonl.gz, .jsonl.zst), a .json\n\
    file with one frame, one conversation or an array of them, or - for the standard input. Frames without\n\
    a time count as one second apart. Calls succeed at once.\n\n\
    Examples:\n  recwarden replay --config recwarden.toml monday.jsonl.zst --summary --format text\n  \
    recwarden replay --config now.toml --against new.toml --enforcing monday.jsonl.zst --max-change 5%\n  \
    zcat monday.jsonl.gz | recwarden replay --config recwarden.toml -"
)]
pub struct Options {
    /// Captured events, one file after the other
    #[arg(required = true, value_name = "EVENTS")]
    pub events: Vec<PathBuf>,
    /// The configuration
    #[arg(long, env = "RECWARDEN_CONFIG", default_value = super::DEFAULT_CONFIG, value_name = "FILE")]
    pub config: PathBuf,
    /// Another configuration: tells on which conversations it would differ, and in how many seconds
    #[arg(long, value_name = "OTHER")]
    pub against: Option<PathBuf>,
    /// Print the summary only
    #[arg(long)]
    pub summary: bool,
    /// Fail when the two differ on more than this share of the conversations, as in 5%
    #[arg(long, value_name = "SHARE", requires = "against", value_parser = percent)]
    pub max_change: Option<f64>,
    /// Try rules in observe mode as if they were in force: those of OTHER, or where there is none, of FILE
    #[arg(long)]
    pub enforcing: bool,
    /// Names of queues, as a JSON object of ids and names, where the events hold ids only
    #[arg(long, value_name = "FILE")]
    pub queues: Option<PathBuf>,
    /// How lines are written
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub format: Format,
}

impl Options {
    /// Whether it is run for its exit code.
    pub fn is_gate(&self) -> bool {
        self.max_change.is_some()
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

/// `5%` or `5` to 0.05.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>().ok();
    match number.filter(|number| (0.0..=100.0).contains(number)) {
        Some(number) => Ok(number / 100.0),
        None => Err("write a share of the conversations from 0% to 100%, as in 5%".into()),
    }
}

impl From<EventsError> for Failure {
    fn from(error: EventsError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Runs it. What is wrong with single entries goes to `complaints`.
///
/// # Errors
/// Where a configuration is invalid, nothing can be read, or more changes than is allowed.
pub fn run(options: &Options, out: &mut dyn Write, complaints: &mut dyn Write) -> Result<(), Failure> {
    let one = load(&options.config)?;
    let other = options.against.as_deref().map(load).transpose()?;
    let (mut first, mut second) = (entrant(&one), other.as_ref().map(entrant));
    if options.enforcing {
        let tried = second.as_mut().unwrap_or(&mut first);
        tried.policy = tried.policy.clone().enforcing();
    }
    let mut backtest = Backtest::new(first, second);
    if let Some(path) = &options.queues {
        backtest.take(queues(path)?, Mark::default());
    }
    let files = EventFiles::open(&options.events)?;
    let bar = Bar::new(options, &files);
    let names = files.names();
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    let style = lines::Style { format: options.format, names: Arc::clone(&names) };
    let (mut entries, mut unreadable, mut broken_off) = (0_u64, 0_u64, 0_u64);
    files.for_each::<Failure>(|entry| {
        entries += 1;
        if entries % MOVED_EVERY == 0 {
            bar.follow();
        }
        match entry.read {
            Ok(captured) => {
                let Place { file, line } = entry.place;
                for told in backtest.take(captured, Mark { file, line }) {
                    if !options.summary {
                        style.told(&told, &mut out)?;
                    }
                }
            }
            Err(error @ EntryError::BrokenOff(_)) => {
                broken_off += 1;
                let (name, line) =
                    (names.get(entry.place.file).map_or("-", String::as_str), entry.place.line);
                bar.aside(|| writeln!(complaints, "{name}:{line}: {error}"))?;
            }
            Err(error) => {
                unreadable += 1;
                if unreadable <= NAMED {
                    bar.aside(|| complain(&names, entry.place, &error, complaints))?;
                }
            }
        }
        Ok(())
    })?;
    bar.end();
    let mut summary = backtest.finish();
    summary.unreadable = unreadable;
    if unreadable > NAMED {
        writeln!(
            complaints,
            "recwarden: {unreadable} entries could not be read; the first {NAMED} are named above"
        )?;
    }
    advise(&summary, &one, complaints)?;
    advise_of_rules(&summary, options, complaints)?;
    style.summary(&summary, options, &mut out)?;
    out.flush()?;
    verdict(options, &summary)?;
    whole(broken_off)
}

/// Fails where files break off: nobody may take the summary for that of all events.
fn whole(broken_off: u64) -> Result<(), Failure> {
    let files = match broken_off {
        0 => return Ok(()),
        1 => "a file breaks off".to_owned(),
        more => format!("{more} files break off"),
    };
    Err(Failure::Failed(format!(
        "{files} within (see above), and the summary is of what could be read. Where a copy was interrupted, copy it \
         again; what a crash tore from a capture is lost, and `recwarden capture --append` goes on in the next file"
    )))
}

fn load(path: &Path) -> Result<Loaded, Failure> {
    let credentials = Credentials::Unneeded;
    let source = Source { path: path.to_path_buf(), environment: environment()?, credentials };
    source.load().map_err(Failure::Configuration)
}

fn entrant(loaded: &Loaded) -> Entrant {
    let (means, directive_priority) =
        (loaded.settings.warden.means, loaded.settings.warden.directive_priority);
    Entrant { policy: loaded.policy.clone(), means, directive_priority }
}

fn queues(path: &Path) -> Result<Captured, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::Failed(format!("{} holds no names of queues ({{\"id\": \"name\"}}): {why}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    let names = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    Ok(Captured { at: None, what: Contents::Queues(names) })
}

fn complain(
    names: &[String],
    place: Place,
    error: &EntryError,
    complaints: &mut dyn Write,
) -> Result<(), std::io::Error> {
    let name = names.get(place.file).map_or("-", String::as_str);
    writeln!(complaints, "{name}:{}: passed over: {error}", place.line)
}

/// Says where the result may mean less than it seems to.
fn advise(summary: &Summary, loaded: &Loaded, complaints: &mut dyn Write) -> std::io::Result<()> {
    let unnamed = summary.in_unnamed_queues;
    if unnamed > 0 && loaded.queue_patterns.iter().any(|one| uuid::Uuid::parse_str(&one.text).is_err()) {
        writeln!(
            complaints,
            "recwarden: {unnamed} conversations are in queues of which the events tell the id alone, so rules that name \
             queues cannot match them: give the names with --queues FILE, a JSON object {{\"id\": \"name\"}}"
        )?;
    }
    Ok(())
}

/// Names the rules of the policy that is tried which could change nothing: a gate that they pass says nothing.
fn advise_of_rules(summary: &Summary, options: &Options, complaints: &mut dyn Write) -> std::io::Result<()> {
    let rules = summary.against.as_ref().unwrap_or(&summary.rules);
    let file = options.against.as_ref().unwrap_or(&options.config).display();
    let mut tell = |which: Vec<&str>, why: &str| {
        if which.is_empty() {
            return Ok(());
        }
        let shown = which.iter().take(RULES_NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = match which.len().saturating_sub(RULES_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        writeln!(complaints, "recwarden: {file}: {why}: {shown}{more}")
    };
    let named = |fits: fn(&RuleLine) -> bool| {
        rules.iter().filter(|one| fits(one)).map(|one| one.rule.as_str()).collect::<Vec<_>>()
    };
    tell(
        named(|one| one.mode == "observe"),
        "rules in observe mode change nothing here (--enforcing tries them as if they were in force)",
    )?;
    if summary.conversations == 0 {
        return Ok(());
    }
    tell(
        named(|one| one.failures > 0),
        "rules that failed, and counted as not matching there (the summary tells why and how often)",
    )?;
    tell(
        named(|one| one.conversations == 0 && one.failures == 0),
        "rules that matched none of the conversations (are their queues and values written as the platform has them?)",
    )
}

fn verdict(options: &Options, summary: &Summary) -> Result<(), Failure> {
    if summary.events == 0 && summary.unreadable > 0 {
        let message = format!("none of the {} entries could be read as an event", summary.unreadable);
        return Err(Failure::Failed(message));
    }
    let (Some(most), Some(changed)) = (options.max_change, &summary.changed_share) else { return Ok(()) };
    let (count, all) = (changed.conversations, summary.conversations);
    if all == 0 {
        return Err(Failure::Failed("there is no conversation to compare the policies on".into()));
    }
    if changed.share > most {
        return Err(Failure::Failed(format!(
            "{count} of {all} conversations change ({:.2} %), and --max-change allows {:.2} %",
            changed.share * 100.0,
            most * 100.0
        )));
    }
    Ok(())
}

/// The progress on a terminal, by bytes. Where lines go to the same terminal, they are progress enough.
struct Bar {
    bar: ProgressBar,
    read: Arc<AtomicU64>,
}

impl Bar {
    fn new(options: &Options, files: &EventFiles) -> Self {
        let shown = options.summary || !std::io::stdout().is_terminal();
        let bar = match files.total() {
            Some(total) if shown => ProgressBar::new(total),
            Some(_) | None => ProgressBar::hidden(),
        };
        let template = "{bar:40} {percent:>3} %  {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self { bar, read: files.progress() }
    }

    fn follow(&self) {
        self.bar.set_position(self.read.load(Ordering::Relaxed));
    }

    /// Writes something while the bar is out of the way.
    fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_written_in_percent() {
        assert_eq!(percent("5%"), Ok(0.05));
        assert_eq!(percent("12.5 %"), Ok(0.125));
        assert_eq!(percent("0"), Ok(0.0));
        assert!(percent("101%").is_err() && percent("-1%").is_err() && percent("some").is_err());
    }
}
