//! `recwarden man`: the manual pages, from the same definition as `--help`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::{Cli, Failure};

/// Options of `man`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  recwarden man | man -l -\n  recwarden man --output /usr/local/share/man/man1"
)]
pub struct Options {
    /// Write all pages, one for each command, into this folder; without it the main page is printed.
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// Prints or writes them.
///
/// # Errors
/// Where they cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<(), Failure> {
    let command = Cli::command();
    let Some(folder) = &options.output else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        return Ok(out.write_all(&page)?);
    };
    let failed = |error: std::io::Error| {
        Failure::Failed(format!("the pages cannot be written to {}: {error}", folder.display()))
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(command, folder).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().expect("a folder");
        run(&Options { output: Some(folder.path().to_owned()) }, &mut Vec::new()).expect("written");
        for command in Cli::command().get_subcommands().filter(|one| !one.is_hide_set()) {
            let page = folder.path().join(format!("recwarden-{}.1", command.get_name()));
            let text = std::fs::read_to_string(&page).expect("a page");
            assert!(text.contains(".TH"), "{}", page.display());
        }
    }

    #[test]
    fn the_main_page_is_printed() {
        let mut out = Vec::new();
        run(&Options { output: None }, &mut out).expect("printed");
        assert!(String::from_utf8(out).expect("a text").contains("recwarden"));
    }
}
