//! A scenario file: the options of `simulate` by the same names, as TOML. Tables only put them in order,
//! so `latency = "50ms"` may stand at the top or under `[faults]`.

use std::path::Path;

use toml_span::value::{Table, ValueInner};

/// Why a scenario cannot be used. Every mistake in it is told at once.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the scenario {path}")]
    Read {
        /// Which.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It says something that is not understood.
    #[error("{0}")]
    Mistakes(String),
}

/// One option as the command line would have it, and what is wrong with it where it is not understood.
pub type Check<'a> = &'a dyn Fn(&str) -> Result<(), String>;

/// Reads a scenario file into arguments of the command line, each of which has passed `check` alone.
///
/// # Errors
/// Where it cannot be read, or with all the mistakes in it.
pub fn read(path: &Path, check: Check<'_>) -> Result<Vec<String>, Error> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: name.clone(), source })?;
    parse(&name, &text, check)
}

/// Reads the text of a scenario; `name` is what mistakes are told of.
///
/// # Errors
/// With all the mistakes in it.
pub fn parse(name: &str, text: &str, check: Check<'_>) -> Result<Vec<String>, Error> {
    let mut document = toml_span::parse(text).map_err(|error| {
        Error::Mistakes(format!("{}: error: {error}", place(name, text, error.span.start)))
    })?;
    let (mut found, mut arguments, mut mistakes) = (Vec::new(), Vec::new(), Vec::new());
    if let ValueInner::Table(table) = document.take() {
        collect(table, &mut found);
    }
    found.sort_by_key(|(offset, _)| *offset);
    for (offset, argument) in found {
        match check(&argument) {
            Ok(()) => arguments.push(argument),
            Err(mistake) => mistakes.push(format!("{}: error: {mistake}", place(name, text, offset))),
        }
    }
    if mistakes.is_empty() { Ok(arguments) } else { Err(Error::Mistakes(mistakes.join("\n"))) }
}

/// All options in a table and the tables in it, each with where its name stands.
fn collect(table: Table<'_>, found: &mut Vec<(usize, String)>) {
    for (key, mut value) in table {
        let values = match value.take() {
            ValueInner::Table(inner) => {
                collect(inner, found);
                continue;
            }
            ValueInner::Array(items) => items.into_iter().map(|mut item| word(item.take())).collect(),
            single @ (ValueInner::String(_)
            | ValueInner::Integer(_)
            | ValueInner::Float(_)
            | ValueInner::Boolean(_)) => vec![word(single)],
        };
        let name = key.name.replace('_', "-");
        found.extend(values.into_iter().map(|value| (key.span.start, format!("--{name}={value}"))));
    }
}

fn word(value: ValueInner<'_>) -> String {
    match value {
        ValueInner::String(text) => text.into_owned(),
        ValueInner::Integer(number) => number.to_string(),
        ValueInner::Float(number) => number.to_string(),
        ValueInner::Boolean(truth) => truth.to_string(),
        ValueInner::Array(_) | ValueInner::Table(_) => String::new(),
    }
}

fn place(name: &str, text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    format!("{name}:{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(argument: &str) -> Result<(), String> {
        if argument.contains("bad") { Err(format!("'{argument}' is bad")) } else { Ok(()) }
    }

    #[test]
    fn tables_only_put_options_in_order() {
        let text = "calls = 50\npace = 2.5\nwithout_permission = [\"a:b:c\", \"d:e:f\"]\n[faults]\nlatency = \"1s\"\n";
        assert_eq!(
            parse("s.toml", text, &check).expect("a scenario"),
            [
                "--calls=50",
                "--pace=2.5",
                "--without-permission=a:b:c",
                "--without-permission=d:e:f",
                "--latency=1s"
            ]
        );
    }

    #[test]
    fn all_mistakes_are_told_with_their_places() {
        let told = parse("s.toml", "bad = 1\n[faults]\n  worse = \"bad\"\n", &check).unwrap_err().to_string();
        assert_eq!(told, "s.toml:1:1: error: '--bad=1' is bad\ns.toml:3:3: error: '--worse=bad' is bad");
    }

    #[test]
    fn text_that_is_no_toml_is_told_with_its_place() {
        let told = parse("s.toml", "calls = \n", &check).unwrap_err().to_string();
        assert!(told.starts_with("s.toml:1:"), "{told}");
    }
}
