//! `recwarden check`: the configuration and the rules, and with `--online` what the platform says of them.

mod online;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{Failure, environment};
use crate::model::document::{Diagnostic, Severity};
use crate::settings::{Credentials, Source, suite};

/// Options of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  recwarden check --config recwarden.toml\n  recwarden check --online")]
pub struct Options {
    /// The configuration.
    #[arg(long, env = "RECWARDEN_CONFIG", default_value = super::DEFAULT_CONFIG, value_name = "FILE")]
    pub config: PathBuf,
    /// Ask the platform too: credentials, permissions, and whether the queues exist.
    #[arg(long)]
    pub online: bool,
    /// Treat warnings as errors.
    #[arg(long)]
    pub deny_warnings: bool,
}

/// Runs it.
///
/// # Errors
/// Where the configuration is invalid, or the platform refuses something.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<(), Failure> {
    let credentials = if options.online { Credentials::Needed } else { Credentials::Unneeded };
    let source = Source { path: options.config.clone(), environment: environment()?, credentials };
    let loaded = source.read().map_err(|refused| Failure::Configuration(refused.with_tests()))?;
    let missing = missing(&source);
    let warnings = || loaded.warnings.iter().chain(&missing);
    for warning in warnings() {
        writeln!(out, "{warning}")?;
    }
    let found = suite::mistakes(&loaded);
    if !found.is_empty() {
        return Err(Failure::Configuration(found));
    }
    let warned = warnings().filter(|one| one.severity == Severity::Warning).count();
    if options.deny_warnings && warned > 0 {
        return Err(Failure::Warned(warned));
    }
    let rules = loaded.policy.terms().len();
    let s = if rules == 1 { "" } else { "s" };
    // Last, so that there is one verdict.
    if options.online {
        super::runtime()?.block_on(online::run(&loaded, out))?;
    }
    Ok(writeln!(
        out,
        "{}: valid, {rules} rule{s}, policy {}",
        options.config.display(),
        loaded.policy.sha256()
    )?)
}

/// What the daemon needs and rules do not: they are checked on machines that have no secrets.
fn missing(source: &Source) -> Vec<Diagnostic> {
    let source = Source { credentials: Credentials::Needed, ..source.clone() };
    let warning = |one: Diagnostic| Diagnostic {
        severity: Severity::Warning,
        message: format!("run would refuse this: {}", one.message),
        ..one
    };
    source.load().err().unwrap_or_default().into_iter().map(warning).collect()
}
