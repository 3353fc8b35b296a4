//! `recwarden schema`: the JSON Schema of configuration and rules, so that editors complete and check them.

use std::io::Write;

use clap::Args;

use super::Failure;
use crate::settings::schema::{self, Scope};

/// Options of `schema`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  recwarden schema > recwarden.schema.json\n  recwarden schema --rules > rules.schema.json\n\nA file names its schema in its first line:\n  #:schema ./recwarden.schema.json"
)]
pub struct Options {
    /// Of files that hold rules and tests only: those that policy.files names.
    #[arg(long)]
    pub rules: bool,
}

/// Prints it.
///
/// # Errors
/// Where the output cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<(), Failure> {
    let scope = if options.rules { Scope::Rules } else { Scope::Whole };
    let schema = schema::schema(scope).and_then(|schema| serde_json::to_string_pretty(&schema));
    writeln!(out, "{}", schema.map_err(|error| Failure::failed(&error))?)?;
    Ok(())
}
