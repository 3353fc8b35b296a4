//! The configuration: one TOML file, the environment and the secrets, into each part's own settings, or all
//! mistakes at once (PRODUCT.md 5). No part sees more than its own.

mod files;
mod fixed;
mod genesys;
mod read;
mod region;
pub mod schema;
mod secrets;
pub mod suite;
mod watch;
mod whereabouts;

pub use fixed::Fixed;
pub use watch::Sight;
pub use whereabouts::Whereabouts;

pub use read::bytes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use globset::Glob;

use crate::audit::redact::Pattern;
use crate::http;
use crate::io::token::Secret;
use crate::model::document::{Diagnostic, Document, Severity, Table, instead};
use crate::model::ids::QueueId;
use crate::model::recording::Wish;
use crate::policy::analysis::Candidate;
use crate::policy::compile::{Compiler, PlacedName};
use crate::policy::decide::Policy;
use crate::policy::file;
use crate::warden;

/// `[genesys]`: where the platform is and who we are there.
#[derive(Clone, Debug)]
pub struct Genesys {
    /// Where requests go; no slash at its end.
    pub api_url: String,
    /// Where tokens come from; no slash at its end.
    pub login_url: String,
    /// The OAuth client's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
}

/// `[audit]`: where the log is and how it is kept.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Its folder.
    pub directory: PathBuf,
    /// A file is closed after so long.
    pub rotate_every: Duration,
    /// A file is closed beyond so many bytes.
    pub rotate_size: u64,
    /// Files older than this are removed.
    pub keep: Duration,
    /// When records are made durable.
    pub sync: Sync,
    /// Patterns of fields whose values are replaced by hashes.
    pub redact: Vec<Pattern>,
    /// The signing key.
    pub key_file: Option<PathBuf>,
    /// Records between two checkpoints.
    pub checkpoint_every: u64,
    /// Where checkpoints also go.
    pub witness: Vec<String>,
}

/// When records are made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before the request that they explain goes out.
    Record,
    /// So often.
    Interval(Duration),
}

/// `[webhook]`.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where it listens.
    pub listen: String,
    /// What a caller must know.
    pub secret: http::secret::Secret,
}

/// `[alert]`.
#[derive(Clone, Debug, Default)]
pub struct Alert {
    /// A program and its arguments.
    pub exec: Vec<String>,
    /// Where the alert is posted; empty for nowhere.
    pub url: String,
}

/// All parts' settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the platform is; none where it was not asked for.
    pub genesys: Option<Genesys>,
    /// The warden's.
    pub warden: warden::Settings,
    /// The log's.
    pub audit: Audit,
    /// Where the daemon keeps what only it may read: facts, and the salt of redaction.
    pub state_directory: PathBuf,
    /// Where health, metrics and the page are served; empty for nowhere.
    pub http_listen: String,
    /// The webhook's; none where it is not configured, or credentials were not asked for.
    pub webhook: Option<Webhook>,
    /// Where alerts go.
    pub alert: Alert,
    /// The queues that rules and `[subscribe]` name.
    pub named_queues: Vec<PlacedName>,
}

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// The parts' settings.
    pub settings: Settings,
    /// The policy.
    pub policy: Policy,
    /// Its rules as written and as meant, in the order of the files.
    pub rules: Vec<Candidate>,
    /// The queues that `[subscribe]` names.
    pub subscribed_queues: Vec<PlacedName>,
    /// The users that it names.
    pub subscribed_users: Vec<PlacedName>,
    /// The queues that rules name.
    pub queue_patterns: Vec<PlacedName>,
    /// What to look at, though it is no mistake.
    pub warnings: Vec<Diagnostic>,
    /// The files that hold rules, as they were read: rule tests stand beside the rules.
    pub files: Vec<PolicyFile>,
}

/// One file that holds rules.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub text: Arc<str>,
}

impl Loaded {
    /// The patterns of `policy.files` that name no file, as mistakes, where there is no rule at all for that: on a
    /// daemon that has rules, they were lost rather than taken away.
    pub fn lost_rules(&self) -> Vec<Diagnostic> {
        if !self.rules.is_empty() {
            return Vec::new();
        }
        let help = "bring the files back; to run without rules, take the pattern out of policy.files";
        let lost = |one: &Diagnostic| Diagnostic {
            severity: Severity::Error,
            message: format!("{}, and there is no other rule: all rules would be gone", one.message),
            help: Some(help.to_owned()),
            ..one.clone()
        };
        self.warnings.iter().filter(|one| files::is_unmatched(one)).map(lost).collect()
    }
}

/// A policy that does nothing, which is seldom meant.
fn without_rules(main: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Warning,
        help: Some("write a [[rule]], or name the files that hold some in policy.files".to_owned()),
        ..Diagnostic::of_file(main, "there is no rule: no recording is started or stopped by itself")
    }
}

/// Whether credentials are read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A missing one is a mistake.
    Needed,
    /// They are not looked for.
    Unneeded,
}

/// The main file is not there: perhaps another one is meant.
const ANOTHER_FILE: &str = "name the configuration with --config FILE or RECWARDEN_CONFIG";

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// The environment, `.env` included.
    pub environment: BTreeMap<String, String>,
    /// Whether credentials are needed.
    pub credentials: Credentials,
}

/// A configuration that cannot be used.
#[derive(Debug)]
pub struct Refused {
    /// The main file.
    main: PathBuf,
    /// Its mistakes, in the order of the files.
    found: Vec<Diagnostic>,
    /// The files that hold rules, as far as they were read.
    files: Vec<PolicyFile>,
    /// The parts' settings, where the mistakes are elsewhere.
    settings: Option<Box<Settings>>,
}

impl Refused {
    /// All mistakes, also those of the rule tests that show without the rules.
    pub fn with_tests(self) -> Vec<Diagnostic> {
        let mut found = self.found;
        found.extend(suite::mistakes_of_form(&self.files));
        in_order(&self.main, &mut found);
        found
    }

    /// The parts' settings, for who can do without the rules.
    ///
    /// # Errors
    /// Every mistake, where not only the rules have some.
    pub fn settings_alone(self) -> Result<Settings, Vec<Diagnostic>> {
        self.settings.map(|settings| *settings).ok_or(self.found)
    }
}

/// Puts mistakes in the order in which files are read; what is said of a whole file stands behind the rest of it.
fn in_order(main: &Path, found: &mut [Diagnostic]) {
    let main = main.display().to_string();
    found.sort_by_cached_key(|one| {
        (one.file != main, PathBuf::from(&one.file), one.source.is_none(), one.line, one.column)
    });
}

impl Source {
    /// Reads everything, the rule tests too: what a daemon runs on is what `check` calls valid.
    ///
    /// # Errors
    /// Every mistake, in the order of the files.
    pub fn load_with_tests(&self) -> Result<Loaded, Vec<Diagnostic>> {
        let loaded = self.read().map_err(Refused::with_tests)?;
        let found = suite::mistakes(&loaded);
        if found.is_empty() { Ok(loaded) } else { Err(found) }
    }

    /// Reads everything but the rule tests.
    ///
    /// # Errors
    /// Every mistake, in the order of the files.
    pub fn load(&self) -> Result<Loaded, Vec<Diagnostic>> {
        self.read().map_err(|refused| refused.found)
    }

    /// Reads everything but the rule tests, for who goes on to read those.
    ///
    /// # Errors
    /// Every mistake, to which those of the tests can be added.
    pub fn read(&self) -> Result<Loaded, Refused> {
        let refused = |found, files| Refused { main: self.path.clone(), found, files, settings: None };
        let name = self.path.display().to_string();
        let text = files::text(&self.path)
            .map_err(|one| refused(vec![one.told(&name, Some(ANOTHER_FILE))], Vec::new()))?;
        let folder = self.path.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut document = Document::new(&name, text.as_str());
        let mut compiler = Compiler::default();
        compiler.cover(&text);
        let read = document.read(|root| {
            let named = subscribed(root);
            let read = read::everything(root, self, &folder);
            let read = read.map(|settings| (settings, root.document().has_errors()));
            let policy = root.table("policy", file::policy).unwrap_or_default();
            (read, policy, file::rules(root), named)
        });
        let Some((settings, policy, rules, (subscribed_queues, subscribed_users))) = read else {
            return Err(refused(document.into_found(), Vec::new()));
        };
        compiler.default_wish(policy.default.unwrap_or_default());
        compiler.add_rules(&mut document, rules);
        let (texts, unreadable) = files::texts(&mut document, &self.path, &policy.files);
        let mut found = document.into_found();
        found.extend(unreadable);
        let mut read = vec![PolicyFile { path: self.path.clone(), text: text.into() }];
        for (path, text) in texts {
            found.extend(compiler.add_file(&path.display().to_string(), &text));
            read.push(PolicyFile { path, text: text.into() });
        }
        let (errors, warnings): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|one| one.severity == Severity::Error);
        match settings {
            Some((mut settings, _)) if errors.is_empty() => {
                let queue_patterns = compiler.queue_patterns().to_vec();
                let mut warnings = warnings;
                warnings.extend(compiler.analyse(settings.warden.directive_priority));
                if compiler.rules().is_empty() && policy.default.unwrap_or_default() == Wish::Leave {
                    warnings.push(without_rules(&name));
                }
                settings.named_queues = [&subscribed_queues[..], &queue_patterns].concat();
                Ok(Loaded {
                    settings,
                    rules: compiler.rules().to_vec(),
                    policy: compiler.finish(),
                    subscribed_queues,
                    subscribed_users,
                    queue_patterns,
                    warnings,
                    files: read,
                })
            }
            Some(_) | None => {
                let settings = settings.filter(|(_, faulty)| !faulty).map(|(settings, _)| Box::new(settings));
                Err(Refused { settings, ..refused(errors, read) })
            }
        }
    }
}

/// The queues and users that `[subscribe]` names, where it is written well; what is not is noted elsewhere.
fn subscribed(root: &mut Table<'_, '_>) -> (Vec<PlacedName>, Vec<PlacedName>) {
    let Some(table) = root.raw("subscribe") else { return (Vec::new(), Vec::new()) };
    let mut named = |key: &str| {
        let value = table.as_table().and_then(|table| table.get(key));
        let all = value.map_or_else(Vec::new, |value| {
            value.as_array().map_or(vec![value], |list| list.iter().collect())
        });
        let placed = |one: &toml_span::Value<'_>| {
            let text = one.as_str()?.to_owned();
            Some(PlacedName { text, place: root.document().pointer(one.span.into()) })
        };
        all.into_iter().filter_map(placed).collect()
    };
    (named("queues"), named("users"))
}

/// A queue that is named and not there; none where it is, or where the platform has none at all.
pub fn unknown_queue(named: &PlacedName, queues: &BTreeMap<QueueId, String>) -> Option<Diagnostic> {
    let text = &named.text;
    let glob = Glob::new(text).ok().map(|glob| glob.compile_matcher());
    let known = queues.iter().any(|(id, name)| {
        name == text || id.as_str() == text || glob.as_ref().is_some_and(|glob| glob.is_match(name))
    });
    (!known && !queues.is_empty()).then(|| unknown(named, "queue", queues.values()))
}

/// A name that is none of the known, with the nearest, or some.
pub fn unknown<'n>(named: &PlacedName, what: &str, known: impl Iterator<Item = &'n String>) -> Diagnostic {
    let text = &named.text;
    let help = instead(text, known.map(String::as_str));
    let message = format!("there is no {what} '{text}' on the platform");
    Diagnostic { message, help, ..named.place.clone() }
}
