//! The tests of a configuration and of all its rule files, with the events that they name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Loaded, PolicyFile, in_order};
use crate::io::events::EventFiles;
use crate::model::document::Diagnostic;
use crate::policy::example::{self, Example, Pointed};
use crate::warden::trial::Brought;
use crate::wire::captured::Contents;

/// One test, ready to run.
#[derive(Debug)]
pub struct Test {
    /// As it is meant.
    pub example: Example,
    /// By the number of the step.
    pub events: BTreeMap<usize, Brought>,
}

/// The tests that were chosen.
#[derive(Debug)]
pub struct Suite {
    /// In the order of the files.
    pub tests: Vec<Test>,
    /// How many were not.
    pub filtered: usize,
}

/// Everything that is wrong with the tests of a configuration.
pub fn mistakes(loaded: &Loaded) -> Vec<Diagnostic> {
    collect(loaded, |_| true).err().unwrap_or_default()
}

/// What shows to be wrong with tests before the rules are known.
pub(super) fn mistakes_of_form(files: &[PolicyFile]) -> Vec<Diagnostic> {
    let mut written = Written::of(files);
    written.found.extend(example::named_twice(written.examples.iter().map(|(_, one)| one)));
    for (folder, example) in written.examples {
        events(&folder, &example, &mut written.found);
    }
    written.found
}

/// The tests whose names are chosen.
///
/// # Errors
/// Every mistake in any test, and every event that cannot be read of those chosen.
pub fn collect(loaded: &Loaded, chosen: impl Fn(&str) -> bool) -> Result<Suite, Vec<Diagnostic>> {
    let Written { examples, mut found } = Written::of(&loaded.files);
    let all = || examples.iter().map(|(_, one)| one);
    found.extend(example::named_twice(all()));
    found.extend(example::unknown_rules(all(), &loaded.policy));
    let total = examples.len();
    let mut tests = Vec::new();
    for (folder, example) in examples.into_iter().filter(|(_, one)| chosen(&one.name.text)) {
        let events = events(&folder, &example, &mut found);
        tests.push(Test { example, events });
    }
    let filtered = total - tests.len();
    if let Some(main) = loaded.files.first() {
        in_order(&main.path, &mut found);
    }
    if found.is_empty() { Ok(Suite { tests, filtered }) } else { Err(found) }
}

/// Tests as they are written, each with the folder of its file.
struct Written {
    examples: Vec<(PathBuf, Example)>,
    found: Vec<Diagnostic>,
}

impl Written {
    fn of(files: &[PolicyFile]) -> Self {
        let (mut examples, mut found) = (Vec::new(), Vec::new());
        for file in files {
            let (read, mistakes) = example::read(&file.path.display().to_string(), &file.text);
            let folder = file.path.parent().map(Path::to_path_buf).unwrap_or_default();
            examples.extend(read.into_iter().map(|one| (folder.clone(), one)));
            found.extend(mistakes);
        }
        Self { examples, found }
    }
}

/// The events that the steps of a test name, by the number of the step.
fn events(folder: &Path, example: &Example, found: &mut Vec<Diagnostic>) -> BTreeMap<usize, Brought> {
    let mut events = BTreeMap::new();
    for (number, step) in example.steps.iter().enumerate() {
        let Some(Pointed { text, place }) = &step.event else { continue };
        match the_event(&folder.join(text)) {
            Ok(event) => drop(events.insert(number, event)),
            Err(message) => {
                let help = Some("a file is named relative to the one that holds the test".to_owned());
                found.push(Diagnostic { message, help, ..place.clone() });
            }
        }
    }
    events
}

/// The one conversation event in a file, with the names of queues that the file tells.
fn the_event(path: &PathBuf) -> Result<Brought, String> {
    let name = path.display();
    // A pipe, or the standard input (`-`), would be waited for; a daemon that reloads cannot wait.
    match std::fs::metadata(path) {
        Ok(kind) if kind.is_file() => {}
        Ok(_) => return Err(format!("{name} is not a file")),
        Err(error) => return Err(format!("{name} cannot be opened: {error}")),
    }
    let (mut events, mut queues) = (Vec::new(), BTreeMap::new());
    let files = EventFiles::open(std::slice::from_ref(path)).map_err(|error| error.to_string())?;
    let read = files.for_each::<Stop>(|entry| {
        let line = entry.place.line;
        let captured = entry.read.map_err(|error| Stop(format!("{name}:{line}: {error}")))?;
        match captured.what {
            Contents::Conversation(event) => events.push(*event),
            Contents::Queues(names) => queues.extend(names),
            Contents::Other => {}
        }
        // A day of events by mistake: nobody waits for the end of it.
        if events.len() > 1 {
            return Err(Stop(format!("{name} holds several events, and a step takes one")));
        }
        Ok(())
    });
    match (read, events.pop()) {
        (Err(Stop(message)), _) => Err(message),
        (Ok(()), Some(event)) => Ok(Brought { event, queues }),
        (Ok(()), None) => Err(format!("{name} holds no conversation event")),
    }
}

struct Stop(String);
