//! The `recwarden` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    recwarden::command::main(&mut std::io::stdout(), &mut std::io::stderr())
}
