//! `recwarden capture`: live events as JSON Lines, redacted, for replay and rule tests. It has a subscription of
//! its own, writes no audit log, and never starts or stops a recording.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{Failure, environment};
use crate::audit::redact::Redaction;
use crate::daemon::listening::{Flow, Heard, Listening};
use crate::daemon::startup;
use crate::io::capturing::{CaptureError, CaptureFiles, Existing, Rotated};
use crate::io::clock::Clock;
use crate::io::{salt, signals};
use crate::model::ids::QueueId;
use crate::model::time::{Mono, Wall};
use crate::settings::{Credentials, Source};

/// Conversations that are told apart in the count; beyond it the count says "more than".
const MOST_COUNTED: usize = 100_000;

/// Options of `capture`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each line is {\"at\",\"frame\"}: a frame as the platform sent it, with the fields that audit.redact names replaced\n\
    by salted hashes (equal values stay equal), or {\"queues\"} with the names of the queues. FILE is compressed where\n\
    its name ends in .gz or .zst. A full file is followed by FILE.0002, FILE.0003 and so on.\n\n\
    Capturing takes one or more of the 20 channels of the OAuth client; where the daemon uses many, give it a client of\n\
    its own.\n\n\
    Examples:\n  recwarden capture --config recwarden.toml --output monday.jsonl.zst --for 8h\n  \
    recwarden capture --output events.jsonl --rotate-size 256MiB --append"
)]
pub struct Options {
    /// Where the events are written
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Stop after so long, as in 30m or 8h; else on Ctrl-C or SIGTERM
    #[arg(long = "for", value_name = "DURATION", value_parser = span)]
    pub lasts: Option<Duration>,
    /// Begin a new file beyond so many bytes (of the file, compressed as it is)
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub rotate_size: Option<u64>,
    /// Go on behind the end of what is there
    #[arg(long, conflicts_with = "force")]
    pub append: bool,
    /// Write over what is there
    #[arg(long)]
    pub force: bool,
    /// The configuration
    #[arg(long, env = "RECWARDEN_CONFIG", default_value = super::DEFAULT_CONFIG, value_name = "FILE")]
    pub config: PathBuf,
}

fn span(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if span.is_zero() { Err("nothing can be captured in no time: write 30m or 8h".into()) } else { Ok(span) }
}

fn size(text: &str) -> Result<u64, String> {
    crate::settings::bytes(text).ok_or_else(|| "write a size, as in 256MiB or 1GiB".into())
}

/// Runs it.
///
/// # Errors
/// Where the configuration is invalid, the platform does not let us in, or the file cannot be written.
pub fn run(options: &Options, out: &mut dyn Write, complaints: &mut dyn Write) -> Result<(), Failure> {
    super::log_to_warnings();
    let credentials = Credentials::Needed;
    if options.output.as_os_str() == "-" {
        let message = "a capture is written to files, not to the standard output: name one, as in --output events.jsonl";
        return Err(Failure::Usage(message.into()));
    }
    let source = Source { path: options.config.clone(), environment: environment()?, credentials };
    let loaded = source.load().map_err(Failure::Configuration)?;
    let settings = loaded.settings;
    let Some(genesys) = settings.genesys else { return Ok(()) };
    let salt = salt::salt(&settings.state_directory).map_err(|error| Failure::failed(&error))?;
    let redaction = Redaction::new(settings.audit.redact, salt);
    let existing = match (options.append, options.force) {
        (true, _) => Existing::Append,
        (false, true) => Existing::Replace,
        (false, false) => Existing::Keep,
    };
    super::runtime()?.block_on(async {
        let signals = signals::listen().map_err(|error| Failure::failed(&error))?;
        let clock = Clock::start();
        let api = startup::api(&genesys, clock).await.map_err(|error| Failure::failed(&error))?;
        // Opened last, so that a capture that cannot begin leaves no empty file.
        let files = CaptureFiles::create(&options.output, options.rotate_size, existing)?;
        if let Some(path) = files.broken_off() {
            writeln!(
                complaints,
                "recwarden: {} breaks off within, as after a crash: it stays as it is (replay reads it up to there), and \
                 the capture goes on in {}",
                path.display(),
                files.path().display()
            )?;
        }
        let until = options.lasts.map(|lasts| clock.now().mono + lasts);
        let listening = Listening { settings: settings.warden, api, clock, signals, until };
        let mut capture = Capture::new(files, redaction, Progress::new(until, clock), complaints);
        let heard = listening.run(|heard| capture.take(heard)).await;
        capture.end(heard, options, out)
    })
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Self {
        Self::Failed(error.to_string())
    }
}

struct Capture<'c> {
    files: CaptureFiles,
    redaction: Redaction,
    progress: Progress,
    complaints: &'c mut dyn Write,
    queues: BTreeMap<QueueId, String>,
    conversations: BTreeSet<String>,
    events: u64,
    not_understood: u64,
    shed: u64,
    interruptions: u64,
    subscribed: Subscribed,
}

/// Whether anything could be heard so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subscribed {
    Never,
    Once,
}

impl<'c> Capture<'c> {
    fn new(
        files: CaptureFiles,
        redaction: Redaction,
        progress: Progress,
        complaints: &'c mut dyn Write,
    ) -> Self {
        Self {
            files,
            redaction,
            progress,
            complaints,
            queues: BTreeMap::new(),
            conversations: BTreeSet::new(),
            events: 0,
            not_understood: 0,
            shed: 0,
            interruptions: 0,
            subscribed: Subscribed::Never,
        }
    }

    fn take(&mut self, heard: Heard<'_>) -> Result<(), Failure> {
        match heard {
            Heard::Text(at, text) => self.text(at, text),
            Heard::Shed(events) => {
                self.shed += events;
                Ok(())
            }
            Heard::Queues(queues) => {
                self.queues.clone_from(queues);
                Ok(self.files.line(&json!({ "queues": self.queues }).to_string())?)
            }
            Heard::Note(note) => {
                self.interruptions += u64::from(note.message.contains("events may be missed"));
                let complaints = &mut self.complaints;
                Ok(self.progress.aside(|| writeln!(complaints, "recwarden: {}", note.message))?)
            }
            Heard::Tick(flow) => {
                self.files.flush()?;
                if flow == Flow::Live {
                    self.subscribed = Subscribed::Once;
                }
                self.progress.show(flow, self.events, self.files.text());
                Ok(())
            }
        }
    }

    fn text(&mut self, at: Wall, text: &str) -> Result<(), Failure> {
        // What cannot be read cannot be redacted, and so is not written.
        let Ok(mut frame) = serde_json::from_str::<Value>(text) else {
            self.not_understood += 1;
            return Ok(());
        };
        let topic = frame["topicName"].as_str().unwrap_or_default();
        if topic.is_empty() || topic.starts_with("channel.") || topic.starts_with("v2.system.") {
            return Ok(());
        }
        if let Some(id) = frame["eventBody"]["id"].as_str()
            && self.conversations.len() <= MOST_COUNTED
        {
            self.conversations.insert(id.to_owned());
        }
        self.redaction.frame(&mut frame);
        if self.files.rotate_if_full()? == Rotated::Yes && !self.queues.is_empty() {
            self.files.line(&json!({ "queues": self.queues }).to_string())?;
        }
        self.files.line(&json!({ "at": at, "frame": frame }).to_string())?;
        self.events += 1;
        Ok(())
    }

    fn end(self, heard: Result<(), Failure>, options: &Options, out: &mut dyn Write) -> Result<(), Failure> {
        self.progress.end();
        let (bytes, files) = (self.files.text(), self.files.count());
        let heard_nothing = self.subscribed == Subscribed::Never && self.events == 0;
        // An empty file would be in the way of the next try.
        let closed = if self.events == 0 && (heard_nothing || heard.is_err()) {
            self.files.discard()
        } else {
            self.files.finish()
        };
        if let Err(failure) = heard {
            if let Err(error) = closed {
                writeln!(self.complaints, "recwarden: {error}")?;
            }
            return Err(failure);
        }
        closed?;
        if heard_nothing {
            return Err(Failure::Failed(
                "nothing was captured: no subscription came about in all that time; see why above, and with \
                 `recwarden check --online`"
                    .into(),
            ));
        }
        let more = if self.conversations.len() > MOST_COUNTED { "more than " } else { "" };
        let conversations = self.conversations.len().min(MOST_COUNTED);
        let name = options.output.display();
        let last = if files > 1 { format!(" to {name}.{files:04}") } else { String::new() };
        writeln!(
            out,
            "{} events of {more}{} conversations, {} of text, in {name}{last}",
            self.events,
            conversations,
            HumanBytes(bytes)
        )?;
        if self.not_understood > 0 {
            writeln!(
                out,
                "{} frames were not JSON and were left out: they cannot be redacted",
                self.not_understood
            )?;
        }
        if self.shed > 0 {
            writeln!(
                out,
                "{} frames came faster than they could be written and are missing: raise limits.memory, or subscribe less",
                self.shed
            )?;
        }
        if self.interruptions > 0 {
            writeln!(
                out,
                "the subscription was interrupted {} times: events are missing there",
                self.interruptions
            )?;
        }
        Ok(())
    }
}

/// What a terminal shows meanwhile.
struct Progress {
    bar: ProgressBar,
    until: Option<Mono>,
    clock: Clock,
}

impl Progress {
    fn new(until: Option<Mono>, clock: Clock) -> Self {
        let bar =
            if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self { bar, until, clock }
    }

    fn show(&self, flow: Flow, events: u64, bytes: u64) {
        let left = self.until.map(|until| {
            let left = until.since(self.clock.now().mono);
            format!(", {} left", HumanDuration(left))
        });
        let flow = match flow {
            Flow::Live => "",
            Flow::Down => " (not subscribed now)",
        };
        let (events, bytes) = (HumanCount(events), HumanBytes(bytes));
        self.bar.set_message(format!("{events} events, {bytes}{}{flow}", left.unwrap_or_default()));
        self.bar.tick();
    }

    /// Writes something without tearing the line.
    fn aside(&self, write: impl FnOnce() -> std::io::Result<()>) -> std::io::Result<()> {
        self.bar.suspend(write)
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::redact::Salt;

    #[test]
    fn what_came_too_fast_is_told_at_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let (output, clock) = (folder.path().join("events.jsonl"), Clock::start());
        let options = Options {
            config: PathBuf::new(),
            output: output.clone(),
            lasts: None,
            rotate_size: None,
            append: false,
            force: false,
        };
        let files = CaptureFiles::create(&output, None, Existing::Keep).expect("room");
        let redaction = Redaction::new(Vec::new(), Salt([0; 32]));
        let (mut told, mut complaints) = (Vec::new(), Vec::new());
        let mut capture = Capture::new(files, redaction, Progress::new(None, clock), &mut complaints);
        for heard in [Heard::Tick(Flow::Live), Heard::Shed(3), Heard::Shed(4)] {
            capture.take(heard).expect("written");
        }
        capture.end(Ok(()), &options, &mut told).expect("written");
        let told = String::from_utf8(told).expect("a text");
        assert!(told.contains("7 frames came faster than they could be written"), "{told}");
    }
}
