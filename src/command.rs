//! The commands, one file each, and what they have in common: exit codes, the environment, logs.

pub mod audit;
pub mod capture;
pub mod check;
pub mod control;
pub mod demo;
pub mod doors;
pub mod drill;
pub mod explain;
pub mod man;
mod output;
pub mod replay;
pub mod run;
pub mod schema;
pub mod simulate;
pub mod test;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::io::token::chain;
use crate::model::document::Diagnostic;
use crate::model::recording::Action;
use crate::settings::Source;
use control::Wanted;
use output::{Output, WhenUnread};
use run::LogFormat;

/// Where the configuration is looked for.
pub const DEFAULT_CONFIG: &str = "/etc/recwarden/recwarden.toml";
/// Exit code of an invalid configuration (`EX_CONFIG`): systemd does not restart on it.
pub const EXIT_CONFIGURATION: u8 = 78;

/// Keeps the recording of every Genesys Cloud conversation in the state a policy demands, and can prove it.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "Examples:\n  recwarden demo\n  recwarden check --config recwarden.toml\n  recwarden run --config recwarden.toml --dry-run\n  recwarden audit verify --directory /var/log/recwarden"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the main job, with nothing to set up: the daemon against a simulated contact centre
    Demo(demo::Options),
    /// Run the daemon
    Run(run::Options),
    /// Check the configuration and the rules
    Check(check::Options),
    /// Run the rule tests
    Test(test::Options),
    /// Run the policy over captured events, or compare two policies on them
    Replay(replay::Options),
    /// Write live events to a file, redacted, for replay and rule tests
    Capture(capture::Options),
    /// Say why each rule matches a conversation or does not
    Explain(explain::Options),
    /// Start the recording of one conversation, by hand
    Start(control::Options),
    /// Stop the recording of one conversation, by hand
    Stop(control::Options),
    /// Say how one conversation stands
    Status(control::Options),
    /// Do what TEST_ACTION says to TEST_CONVERSATION_ID
    Control(control::Options),
    /// Run the simulator on its own
    Simulate(Box<simulate::Options>),
    /// Try the policy against the simulator under every kind of fault
    Drill(drill::Options),
    /// Read and verify the audit log
    Audit(audit::Options),
    /// Print the JSON Schema of configuration and rules, for editors
    Schema(schema::Options),
    /// Print or write the manual pages
    Man(man::Options),
    /// Print shell completions
    #[command(
        after_help = "Examples:\n  recwarden completions bash > /etc/bash_completion.d/recwarden\n  recwarden completions zsh > ~/.zfunc/_recwarden\n  recwarden completions fish > ~/.config/fish/completions/recwarden.fish"
    )]
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

/// Why a command failed, by its exit code.
#[derive(Debug)]
pub enum Failure {
    /// The configuration is invalid: 78.
    Configuration(Vec<Diagnostic>),
    /// It has so many warnings, and none is allowed: 78.
    Warned(usize),
    /// The rule tests are invalid: 1.
    Tests(Vec<Diagnostic>),
    /// It failed: 1.
    Failed(String),
    /// It was called wrongly: 2.
    Usage(String),
    /// Nobody reads what it prints any more, and that is all there is to it: 0.
    Unread,
}

impl Failure {
    /// A failure with all its causes.
    pub fn failed(error: &dyn std::error::Error) -> Self {
        Self::Failed(chain(error))
    }

    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) | Self::Warned(_) => EXIT_CONFIGURATION,
            Self::Failed(_) | Self::Tests(_) => 1,
            Self::Usage(_) => 2,
            Self::Unread => 0,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) | Self::Usage(message) => write!(f, "recwarden: {message}"),
            Self::Unread => write!(f, "recwarden: nobody reads the output any more"),
            Self::Warned(count) => {
                let s = if *count == 1 { "" } else { "s" };
                write!(
                    f,
                    "recwarden: the configuration has {count} warning{s}, and --deny-warnings allows none"
                )
            }
            Self::Tests(mistakes) => {
                for mistake in mistakes {
                    writeln!(f, "{mistake}")?;
                }
                let count: usize = mistakes.iter().map(|one| one.count).sum();
                let s = if count == 1 { "" } else { "s" };
                write!(f, "recwarden: the rule tests are invalid ({count} mistake{s}), so none was run")
            }
            Self::Configuration(mistakes) => {
                for mistake in mistakes {
                    writeln!(f, "{mistake}")?;
                }
                let count: usize = mistakes.iter().map(|one| one.count).sum();
                let s = if count == 1 { "" } else { "s" };
                write!(f, "recwarden: the configuration is invalid ({count} mistake{s})")
            }
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::Unread;
        }
        Self::Failed(format!("the output cannot be written: {error}"))
    }
}

impl Command {
    /// A command that says something by its exit code says it to the shell, read or not.
    fn when_unread(&self) -> WhenUnread {
        match self {
            Self::Demo(_) | Self::Simulate(_) => WhenUnread::End,
            Self::Replay(options) if !options.is_gate() => WhenUnread::End,
            Self::Drill(options) if options.at_most.is_none() => WhenUnread::End,
            Self::Audit(options) if options.what.is_for_reading() => WhenUnread::End,
            Self::Replay(_)
            | Self::Drill(_)
            | Self::Audit(_)
            | Self::Run(_)
            | Self::Check(_)
            | Self::Test(_)
            | Self::Capture(_)
            | Self::Explain(_)
            | Self::Start(_)
            | Self::Stop(_)
            | Self::Status(_)
            | Self::Control(_)
            | Self::Schema(_)
            | Self::Man(_)
            | Self::Completions { .. } => WhenUnread::GoOn,
        }
    }
}

/// Reads the command line and runs what it says.
pub fn main(out: &mut dyn Write, complaints: &mut dyn Write) -> ExitCode {
    let command = Cli::parse().command;
    let out: &mut dyn Write = &mut Output::new(out, command.when_unread());
    let complaints: &mut dyn Write = &mut Output::new(complaints, WhenUnread::GoOn);
    let done = match command {
        Command::Demo(options) => demo::run(&options, out),
        Command::Run(options) => run::run(&options),
        Command::Check(options) => check::run(&options, out),
        Command::Test(options) => test::run(&options, out),
        Command::Replay(options) => replay::run(&options, out, complaints),
        Command::Capture(options) => capture::run(&options, out, complaints),
        Command::Explain(options) => explain::run(&options, out, complaints),
        Command::Start(options) => control::run(Wanted::Directive(Action::Start), &options, out, complaints),
        Command::Stop(options) => control::run(Wanted::Directive(Action::Stop), &options, out, complaints),
        Command::Status(options) => control::run(Wanted::Status, &options, out, complaints),
        Command::Control(options) => control::run(Wanted::FromEnvironment, &options, out, complaints),
        Command::Simulate(options) => {
            simulate::run(*options, Box::new(std::io::stdout())).map_err(|error| Failure::failed(&error))
        }
        Command::Drill(options) => drill::run(&options, out),
        Command::Audit(options) => audit::run(&options, out, complaints),
        Command::Schema(options) => schema::run(&options, out),
        Command::Man(options) => man::run(&options, out),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "recwarden", out);
            Ok(())
        }
    };
    match done {
        Ok(()) | Err(Failure::Unread) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where even this cannot be written, the exit code still tells.
            writeln!(complaints, "{failure}").ok();
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Where the daemon that runs here is found, and its log. What else is wrong with the configuration is one line in
/// `complaints`.
///
/// # Errors
/// Every mistake, where the configuration does not say it for certain.
pub fn whereabouts(source: &Source, complaints: &mut dyn Write) -> Result<PathBuf, Failure> {
    let found = source.whereabouts().map_err(Failure::Configuration)?;
    if let Some(warning) = found.warning(&source.path) {
        writeln!(complaints, "recwarden: {warning}")?;
    }
    Ok(found.audit_directory)
}

/// The environment, and `.env` where the command is started by hand. A variable that is no text is none of ours.
///
/// # Errors
/// Where `.env` has a line of ours that cannot be read: it would be missed in silence.
pub fn environment() -> Result<BTreeMap<String, String>, Failure> {
    let mut all = BTreeMap::new();
    if std::env::var_os("INVOCATION_ID").is_none()
        && let Some((path, bytes)) = find_dot_env()
    {
        all.extend(read_dot_env(&path.display().to_string(), &bytes)?);
    }
    let texts =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    all.extend(std::env::vars_os().filter_map(texts));
    Ok(all)
}

/// The `.env` of this folder or of one above it, where this user may read it.
fn find_dot_env() -> Option<(PathBuf, Vec<u8>)> {
    let here = std::env::current_dir().ok()?;
    let path = here.ancestors().map(|folder| folder.join(".env")).find(|path| path.is_file())?;
    let bytes = std::fs::read(&path).ok()?;
    Some((path, bytes))
}

/// What a `.env` sets. A line that cannot be read is a mistake where it is one of ours; what else stands in the
/// file is for others. It is named and not shown: it may hold a secret.
fn read_dot_env(file: &str, bytes: &[u8]) -> Result<BTreeMap<String, String>, Failure> {
    let pairs: BTreeMap<String, String> = dotenvy::from_read_iter(bytes).filter_map(Result::ok).collect();
    let text = String::from_utf8_lossy(bytes);
    let unread = text.lines().zip(1..).filter_map(|(line, number)| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let name = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
        let is_ours = ["GENESYS", "RECWARDEN_", "TEST_"].iter().any(|ours| name.starts_with(ours));
        (is_ours && !pairs.contains_key(name)).then(|| Diagnostic {
            line: number,
            help: Some("write it as NAME='VALUE', in UTF-8".to_owned()),
            ..Diagnostic::of_file(file, format!("the line of {name} cannot be read"))
        })
    });
    let unread: Vec<Diagnostic> = unread.collect();
    if unread.is_empty() { Ok(pairs) } else { Err(Failure::Configuration(unread)) }
}

/// The runtime that the daemon runs in.
///
/// # Errors
/// Where the system has no threads left.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| Failure::failed(&error))
}

/// Sends logs to the journal under systemd, and to stderr by hand.
pub fn log_to(format: LogFormat) {
    use tracing_subscriber::prelude::*;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("recwarden=info,warn"));
    let registry = tracing_subscriber::registry().with(filter);
    let under_systemd = std::env::var_os("JOURNAL_STREAM").is_some() && format == LogFormat::Text;
    let journal = under_systemd.then(tracing_journald::layer).and_then(Result::ok);
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let stderr =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(colour);
    // Only one subscriber can be set; a second call (in tests) changes nothing.
    match (journal, format) {
        (Some(journal), _) => registry.with(journal).try_init().ok(),
        (None, LogFormat::Json) => registry.with(stderr.json()).try_init().ok(),
        (None, LogFormat::Text) => registry.with(stderr).try_init().ok(),
    };
}

/// Only what goes wrong is logged, since the command's own output is the view.
pub fn log_to_warnings() {
    let quiet = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    let stderr = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    // Only one subscriber can be set; a second call (in tests) changes nothing.
    stderr.with_env_filter(quiet).try_init().ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_env_that_cannot_be_read_is_told_and_its_secret_is_not() {
        let read = |text: &[u8]| read_dot_env(".env", text);
        let told = |text| read(text).expect_err("a failure").to_string();
        let parsed = told(b"# ours\nGENESYS_CLIENT_ID=a\nexport GENESYS_CLIENT_SECRET=hunter 2\n");
        assert!(
            parsed.starts_with(".env:3:1: error: the line of GENESYS_CLIENT_SECRET cannot be read"),
            "{parsed}"
        );
        assert!(!parsed.contains("hunter"), "{parsed}");
        for text in [&b"GENESYS_REGION us-east-1\n"[..], b"GENESYS_REGION='us", b"GENESYS_REGION=\xff\n"] {
            assert!(told(text).contains(":1:1: error: the line of GENESYS_REGION"), "{}", told(text));
        }
        let others = read(b"FLAGS=-a -b\nX\nTEST_ACTION='stop'\n").expect("pairs");
        assert_eq!(others.into_iter().collect::<Vec<_>>(), [("TEST_ACTION".to_owned(), "stop".to_owned())]);
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
