//! Reads each table of the configuration, with its defaults.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Alert, Audit, Credentials, Settings, Source, Sync, Webhook, genesys, secrets};
use crate::audit::redact::Pattern;
use crate::http::secret::Secret;
use crate::model::document::Table;
use crate::warden::plan::{Control, Means, StartFromNone, StopScope};
use crate::warden::session::Redundancy;
use crate::warden::sight::{self, WhenBlind};
use crate::warden::{self, allowance, directory};
use crate::wire::topic::Topic;

/// Where health, metrics and the page are.
const HTTP_LISTEN: &str = "127.0.0.1:8844";
/// Where directives come in, if `[webhook]` is written.
const WEBHOOK_LISTEN: &str = "127.0.0.1:8845";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Some tens of thousands of conversations, and a minute of a busy centre's events.
const DEFAULT_MEMORY: u64 = 512 << 20;
/// A quarter of it holds the largest text that a socket takes.
const LEAST_MEMORY: u64 = 64 << 20;

/// Everything but the policy; none where a part that is needed is missing (the mistake is noted).
pub(super) fn everything(root: &mut Table<'_, '_>, source: &Source, folder: &Path) -> Option<Settings> {
    let genesys = genesys::read(root, source, folder);
    let (directory, resync_every) =
        root.table("subscribe", subscribe).unwrap_or_else(|| (default_directory(), MINUTE * 5));
    let (means, confirm_within) =
        root.table("recording", recording).unwrap_or_else(|| (Means::default(), SECOND * 5));
    let (allowance, give_up_after, memory) =
        root.table("limits", limits).unwrap_or_else(|| (default_allowance(), MINUTE * 15, DEFAULT_MEMORY));
    let (sight, max_changes_per_minute) = root.table("safety", safety).unwrap_or_default();
    let audit = audit(root, source, folder);
    let http = root.table("http", |table| door(table, HTTP_LISTEN));
    let http = http.unwrap_or_else(|| Door { listen: HTTP_LISTEN.to_owned(), place: None });
    let webhook = root.table("webhook", |table| webhook(table, &http, source, folder));
    let alert = root.table("alert", alert).unwrap_or_default();
    let (webhook, directive_priority) = match webhook {
        None => (None, 1000),
        Some(read) => read?,
    };
    Some(Settings {
        genesys: genesys?,
        warden: warden::Settings {
            means,
            confirm_within,
            give_up_after,
            allowance,
            directory,
            memory,
            resync_every,
            sight,
            directive_priority,
            max_changes_per_minute,
            enforcement: warden::Enforcement::Enforce,
        },
        state_directory: state_directory(source, &audit),
        audit,
        http_listen: http.listen,
        webhook,
        alert,
        named_queues: Vec::new(),
    })
}

fn default_directory() -> directory::Settings {
    directory::Settings {
        queues: vec!["*".into()],
        users: Vec::new(),
        topics: Vec::new(),
        redundancy: Redundancy::default(),
        discover_every: MINUTE,
    }
}

fn subscribe(table: &mut Table<'_, '_>) -> (directory::Settings, Duration) {
    let defaults = default_directory();
    let texts = |list: Vec<(String, Range<usize>)>| list.into_iter().map(|(text, _)| text).collect();
    let queues = table.list("queues");
    for (pattern, place) in queues.iter().flatten() {
        if let Err(error) = globset::Glob::new(pattern) {
            let message = format!("'{pattern}' is not a glob: {}", error.kind());
            table.document().mistake(place.clone(), message, None);
        }
    }
    let users = table.list("users").map(texts);
    let topics = table.list("topics").unwrap_or_default();
    let redundancy = match table.integer("redundancy", 1, 2) {
        Some(2) => Redundancy::Double,
        Some(_) | None => defaults.redundancy,
    };
    let resync_every = table.span("resync_every").unwrap_or(MINUTE * 5);
    let settings = directory::Settings {
        queues: queues.map_or(defaults.queues, texts),
        users: users.unwrap_or_default(),
        topics: topics.into_iter().map(|(name, _)| Topic::new(name)).collect(),
        redundancy,
        discover_every: table.span("discover_every").unwrap_or(defaults.discover_every),
    };
    (settings, resync_every)
}

fn recording(table: &mut Table<'_, '_>) -> (Means, Duration) {
    let control = table.word(
        "control",
        &[
            ("recording-state", Control::RecordingState),
            ("ad-hoc", Control::AdHoc),
            ("recordings-action", Control::RecordingsAction),
        ],
    );
    let start_from_none = table.word(
        "start_from_none",
        &[
            ("ad-hoc", StartFromNone::AdHoc),
            ("active", StartFromNone::Active),
            ("refuse", StartFromNone::Refuse),
        ],
    );
    let stop_scope = match table.truth("stop_all") {
        Some(true) => StopScope::All,
        Some(false) | None => StopScope::Governed,
    };
    let means = Means {
        control: control.unwrap_or_default(),
        start_from_none: start_from_none.unwrap_or_default(),
        stop_scope,
    };
    (means, table.span("confirm_within").unwrap_or(SECOND * 5))
}

fn default_allowance() -> allowance::Settings {
    allowance::Settings { requests_per_minute: 300, action_share: 0.8, max_in_flight: 8 }
}

fn limits(table: &mut Table<'_, '_>) -> (allowance::Settings, Duration, u64) {
    let defaults = default_allowance();
    let number = |found: Option<i64>| found.and_then(|number| u32::try_from(number).ok());
    let settings = allowance::Settings {
        requests_per_minute: number(table.integer("requests_per_minute", 1, 1_000_000))
            .unwrap_or(defaults.requests_per_minute),
        action_share: table.share("action_share").unwrap_or(defaults.action_share),
        max_in_flight: number(table.integer("max_in_flight", 1, 1000))
            .map_or(defaults.max_in_flight, |number| number as usize),
    };
    let memory = size(table, "memory").unwrap_or(DEFAULT_MEMORY);
    if memory < LEAST_MEMORY {
        let place = table.raw("memory").map(|value| value.span.into()).unwrap_or_default();
        let help = Some("write at least \"64MiB\", or leave the key out for 512MiB".to_owned());
        table.document().mistake(place, "limits.memory has no room for the largest event", help);
    }
    (settings, table.span("give_up_after").unwrap_or(MINUTE * 15), memory)
}

fn safety(table: &mut Table<'_, '_>) -> (sight::Settings, u32) {
    let defaults = sight::Settings::default();
    let blind_after = table.span("blind_after").unwrap_or(defaults.blind_after);
    let when_blind = table.word("when_blind", &[("leave", WhenBlind::Leave), ("stop", WhenBlind::Stop)]);
    let changes = table.integer("max_changes_per_minute", 0, 1_000_000).unwrap_or_default();
    let sight = sight::Settings { blind_after, when_blind: when_blind.unwrap_or(defaults.when_blind) };
    (sight, u32::try_from(changes).unwrap_or_default())
}

/// `[audit]`; the folder of the log beside the configuration, or where systemd wants it, where none is written.
pub(super) fn audit(root: &mut Table<'_, '_>, source: &Source, folder: &Path) -> Audit {
    let logs = source.environment.get("LOGS_DIRECTORY").map(PathBuf::from);
    let mut audit = Audit {
        directory: logs.unwrap_or_else(|| folder.join("audit")),
        rotate_every: DAY,
        rotate_size: 256 << 20,
        keep: DAY * 400,
        sync: Sync::Record,
        redact: Pattern::defaults(),
        key_file: None,
        checkpoint_every: 1000,
        witness: Vec::new(),
    };
    root.table("audit", |table| {
        let texts =
            |list: Vec<(String, Range<usize>)>| list.into_iter().map(|(text, _)| text).collect::<Vec<_>>();
        if let Some(directory) = table.string("directory") {
            audit.directory = folder.join(directory);
        }
        audit.rotate_every = table.span("rotate_every").unwrap_or(audit.rotate_every);
        audit.rotate_size = size(table, "rotate_size").unwrap_or(audit.rotate_size);
        audit.keep = table.span("keep").unwrap_or(audit.keep);
        audit.sync = sync(table).unwrap_or(audit.sync);
        audit.redact = redact(table).unwrap_or_else(Pattern::defaults);
        audit.key_file = table.string("key_file").map(|name| folder.join(name));
        let every = table.integer("checkpoint_every", 1, i64::MAX);
        audit.checkpoint_every = every.and_then(|every| u64::try_from(every).ok()).unwrap_or(1000);
        audit.witness = table.list("witness").map(texts).unwrap_or_default();
        let idle = ["keep", "sync", "key_file", "checkpoint_every", "witness"];
        warn_without_effect(table, "audit", &idle);
    });
    audit
}

/// `$STATE_DIRECTORY` under systemd (the first, where it names several), else beside the log.
fn state_directory(source: &Source, audit: &Audit) -> PathBuf {
    let given = source.environment.get("STATE_DIRECTORY").and_then(|all| all.split(':').next());
    given.filter(|one| !one.is_empty()).map_or_else(|| audit.directory.join(".state"), PathBuf::from)
}

/// Says of each key that is written that this version does not act on it: nobody may rely on it unawares.
fn warn_without_effect(table: &mut Table<'_, '_>, name: &str, keys: &[&'static str]) {
    for key in keys {
        if let Some(value) = table.raw(key) {
            let place = value.span.into();
            let message = format!("{name}.{key} has no effect in this version");
            table.document().warn(place, message, None);
        }
    }
}

fn redact(table: &mut Table<'_, '_>) -> Option<Vec<Pattern>> {
    let mut patterns = Vec::new();
    for (text, place) in table.list("redact")? {
        match Pattern::read(&text) {
            Ok(pattern) => patterns.push(pattern),
            Err(why) => {
                let message = format!("'{text}' names no field: {why}");
                let help =
                    Some("write a key, as \"ani\", or the end of a path, as \"attributes.*card*\"".into());
                table.document().mistake(place, message, help);
            }
        }
    }
    Some(patterns)
}

/// `record`, or `interval = "200ms"`.
fn sync(table: &mut Table<'_, '_>) -> Option<Sync> {
    let value = table.raw("sync")?;
    if value.as_str() == Some("record") {
        return Some(Sync::Record);
    }
    if value.as_table().is_some() {
        return table.table("sync", |inner| inner.span("interval")).flatten().map(Sync::Interval);
    }
    table.wanted(value, "sync", "\"record\" or { interval = \"200ms\" }");
    None
}

/// A number of bytes as people write it: `256MiB`.
fn size(table: &mut Table<'_, '_>, key: &'static str) -> Option<u64> {
    let (text, place) = table.text(key)?;
    let bytes = bytes(&text);
    if bytes.is_none() {
        let help = Some("write it as \"256MiB\" or \"1GiB\"".to_owned());
        table.document().mistake(place, format!("'{text}' is not a size"), help);
    }
    bytes
}

/// Reads a number of bytes as people write it, not zero: `256MiB`.
pub fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = match text[digits.len()..].trim() {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        "kB" => Some(1000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        _ => None,
    };
    let bytes = unit.zip(digits.parse::<u64>().ok()).and_then(|(unit, number)| number.checked_mul(unit));
    bytes.filter(|bytes| *bytes > 0)
}

/// Where something listens, and where that is written, if it is.
struct Door {
    listen: String,
    place: Option<Range<usize>>,
}

fn door(table: &mut Table<'_, '_>, default: &str) -> Door {
    let Some((listen, place)) = table.text("listen") else {
        return Door { listen: default.to_owned(), place: None };
    };
    if !listen.is_empty() && listen.parse::<SocketAddr>().is_err() {
        let help = Some("write it as \"127.0.0.1:8844\"".to_owned());
        table.document().mistake(place.clone(), format!("'{listen}' is not an address and port"), help);
    }
    Door { listen, place: Some(place) }
}

/// Of two doors at one port only the first would open.
fn tell_apart(table: &mut Table<'_, '_>, http: &Door, webhook: &Door) {
    let parsed = |door: &Door| door.listen.parse::<SocketAddr>().ok();
    let (Some(one), Some(other)) = (parsed(http), parsed(webhook)) else { return };
    // With port 0 each gets one of its own.
    if one.port() == 0 || one.port() != other.port() || !(covers(one, other) || covers(other, one)) {
        return;
    }
    let help = match (&http.place, &webhook.place) {
        (Some(first), Some(_)) => {
            format!(
                "choose another port for one of them; http.listen is at {}",
                table.document().place_text(first.clone())
            )
        }
        (None, _) => format!("choose another port: http.listen is {HTTP_LISTEN} where it is not written"),
        (_, None) => {
            format!("choose another port: webhook.listen is {WEBHOOK_LISTEN} where it is not written")
        }
    };
    let place = webhook.place.clone().or_else(|| http.place.clone()).unwrap_or_else(|| table.place());
    let message =
        format!("webhook.listen ({other}) and http.listen ({one}) cannot both have port {}", one.port());
    table.document().mistake(place, message, Some(help));
}

/// Whether who listens at one address leaves no room at another one of the same port.
fn covers(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip() == other.ip() || (one.ip().is_unspecified() && (one.is_ipv6() || other.is_ipv4()))
}

/// Where it listens, unless secrets were not asked for, and the priority of directives; none with a mistake noted.
fn webhook(
    table: &mut Table<'_, '_>,
    http: &Door,
    source: &Source,
    folder: &Path,
) -> Option<(Option<Webhook>, i64)> {
    let door = door(table, WEBHOOK_LISTEN);
    tell_apart(table, http, &door);
    let priority = table.integer("priority", -1_000_000, 1_000_000).unwrap_or(1000);
    let written = table.text("secret_file").map(|(name, place)| (folder.join(name), place));
    let file = written.as_ref().map(|(path, _)| path.as_path());
    let variables = ["RECWARDEN_WEBHOOK_SECRET"];
    let environment = &source.environment;
    if let Some(value) = table.raw("secret") {
        secrets::refuse(table, value.span.into(), "secret_file");
    }
    if source.credentials == Credentials::Unneeded {
        return Some((None, priority));
    }
    let found = secrets::find("webhook secret", "webhook-secret", file, &variables, environment);
    match found.and_then(|text| Secret::new(text.expose()).map_err(|error| error.to_string())) {
        Ok(secret) => Some((Some(Webhook { listen: door.listen, secret }), priority)),
        Err(message) => {
            let whole = table.place();
            let (place, help) = match &written {
                Some((_, place)) => (place.clone(), secrets::FILE_HELP),
                None => (whole.start..whole.start, "name the file that holds it as webhook.secret_file"),
            };
            table.document().mistake(place, message, Some(help.to_owned()));
            None
        }
    }
}

fn alert(table: &mut Table<'_, '_>) -> Alert {
    let exec = table.list("exec").unwrap_or_default();
    Alert {
        exec: exec.into_iter().map(|(text, _)| text).collect(),
        url: table.string("url").unwrap_or_default(),
    }
}
