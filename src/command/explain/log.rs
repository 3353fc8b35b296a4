//! What the audit log says of one conversation, in its order.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use super::{Failure, Format, Options};
use crate::audit::chain::Sealed;
use crate::audit::tell::tell as told;
use crate::io::journal;
use crate::model::ids::ConversationId;

/// Prints it; answers how many records there were.
pub(super) fn tell(
    directory: &Path,
    id: &ConversationId,
    options: &Options,
    out: &mut dyn Write,
) -> Result<u64, Failure> {
    if !directory.is_dir() {
        return Ok(0);
    }
    let mut filter = Filter { rule: options.rule.as_deref(), decisions: BTreeSet::new() };
    let mut count = 0;
    for path in journal::files(directory).map_err(|error| Failure::failed(&error))? {
        let failed =
            |error: std::io::Error| Failure::Failed(format!("{} cannot be read: {error}", path.display()));
        for line in BufReader::new(File::open(&path).map_err(failed)?).lines() {
            let line = line.map_err(failed)?;
            if !line.contains(id.as_str()) {
                continue;
            }
            // The last line may be unfinished; `audit verify` says what is wrong with any other.
            let Ok(sealed) = serde_json::from_str::<Sealed>(&line) else { continue };
            let Ok(fields) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
            if fields["conversation"] != id.as_str() || !filter.takes(&fields) {
                continue;
            }
            let Some(text) = told(&sealed.record) else { continue };
            if options.format == Format::Json {
                writeln!(out, "{line}")?;
            } else {
                if count == 0 {
                    writeln!(out, "the audit log in {} says of {id}:", directory.display())?;
                }
                writeln!(out, "  {}  {text}", sealed.time)?;
            }
            count += 1;
        }
    }
    Ok(count)
}

/// The records of one rule, and of its decisions.
struct Filter<'f> {
    rule: Option<&'f str>,
    decisions: BTreeSet<String>,
}

impl Filter<'_> {
    fn takes(&mut self, fields: &serde_json::Value) -> bool {
        let Some(rule) = self.rule else { return true };
        let decision = fields["decision"].as_str();
        if fields["rule"] == rule {
            self.decisions.extend(decision.map(str::to_owned));
            return true;
        }
        decision.is_some_and(|decision| self.decisions.contains(decision))
    }
}
