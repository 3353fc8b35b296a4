//! `recwarden test`: runs the rule tests that stand beside the rules.

mod report;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Failure, environment};
use crate::policy::decide::Policy;
use crate::settings::suite::{self, Test};
use crate::settings::{Credentials, Source};
use crate::warden::trial::{self, Ground, Outcome};

/// Options of `test`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  recwarden test --config recwarden.toml\n  \
                        recwarden test card                      only tests with 'card' in their names\n  \
                        recwarden test --enforcing               also what rules in observe mode would do\n  \
                        recwarden test --format junit > rule-tests.xml")]
pub struct Options {
    /// Run only tests whose name contains one of these
    pub tests: Vec<String>,
    /// The configuration
    #[arg(long, env = "RECWARDEN_CONFIG", default_value = super::DEFAULT_CONFIG, value_name = "FILE")]
    pub config: PathBuf,
    /// Try rules in observe mode as if they were in force
    #[arg(long)]
    pub enforcing: bool,
    /// How the results are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// JUnit XML, for CI systems
    Junit,
    /// One JSON object a line
    Json,
}

/// What came of all tests.
struct Results<'t> {
    done: Vec<(&'t Test, Outcome)>,
    filtered: usize,
    /// Rules of the policy, and those that no test made speak; none where only some tests ran.
    rules: usize,
    never_fired: Option<Vec<String>>,
}

impl Results<'_> {
    fn failed(&self) -> usize {
        self.done.iter().filter(|(_, outcome)| !outcome.failures.is_empty()).count()
    }
}

/// Runs it.
///
/// # Errors
/// Where the configuration or the tests are invalid, or a test fails.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<(), Failure> {
    let credentials = Credentials::Unneeded;
    let source = Source { path: options.config.clone(), environment: environment()?, credentials };
    let loaded = source.read().map_err(|refused| Failure::Configuration(refused.with_tests()))?;
    let chosen = |name: &str| options.tests.is_empty() || options.tests.iter().any(|one| name.contains(one));
    let suite = suite::collect(&loaded, chosen).map_err(Failure::Tests)?;
    if let Some(word) =
        options.tests.iter().find(|word| !suite.tests.iter().any(|one| one.example.name.text.contains(*word)))
    {
        return Err(Failure::Usage(format!(
            "no test has '{word}' in its name, so a slip would pass as a success"
        )));
    }
    let policy = if options.enforcing { loaded.policy.enforcing() } else { loaded.policy };
    let policy = &policy;
    let (means, directive_priority) =
        (loaded.settings.warden.means, loaded.settings.warden.directive_priority);
    let ground = Ground { policy, means, directive_priority };
    let report = report::Report::begin(options.format, suite.tests.len(), out)?;
    let mut results = Results {
        done: Vec::new(),
        filtered: suite.filtered,
        rules: policy.terms().len(),
        never_fired: None,
    };
    for test in &suite.tests {
        let outcome = trial::run(&test.example, &test.events, ground);
        report.test(test, &outcome, out)?;
        results.done.push((test, outcome));
    }
    results.never_fired = options.tests.is_empty().then(|| never_fired(policy, &results.done));
    report.end(&results, out)?;
    match results.failed() {
        0 => Ok(()),
        failed => Err(Failure::Failed(format!("{failed} of {} rule tests failed", results.done.len()))),
    }
}

fn never_fired(policy: &Policy, done: &[(&Test, Outcome)]) -> Vec<String> {
    let fired: BTreeSet<&String> = done.iter().flat_map(|(_, outcome)| &outcome.fired).collect();
    policy.terms().iter().map(|one| &one.name).filter(|name| !fired.contains(name)).cloned().collect()
}
