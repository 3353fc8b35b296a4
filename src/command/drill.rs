//! `recwarden drill`: the operator's own policy against the simulator, under each kind of misfortune.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Failure, environment};
use crate::settings::{Credentials, Loaded, Source};
use crate::sim::drill::{
    CATALOGUE, Casting, Drill, End, Fault, How, Outcome, STARTED_AGAIN_AFTER, STARTS_WITHIN, Wrong,
};
use crate::warden::Enforcement;

/// Options of `drill`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  recwarden drill --config recwarden.toml\n  recwarden drill --seeds 20 --at-most 60s\n  \
                  recwarden drill --fault crash --fault lost-events --format json\n\n\
                  It needs no credentials and reaches no network: everything happens in memory, on a virtual clock."
)]
pub struct Options {
    /// The configuration
    #[arg(long, env = "RECWARDEN_CONFIG", default_value = super::DEFAULT_CONFIG, value_name = "FILE")]
    pub config: PathBuf,
    /// The first seed: who calls, and when what goes wrong
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many seeds, from the first on
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// How many calls are live at once, about
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub calls: u64,
    /// How long things go wrong in each run, in the time of the calls
    #[arg(long = "for", default_value = "5m", value_name = "DURATION", value_parser = some_time)]
    pub lasting: Duration,
    /// Only this fault; may be given several times. All by default
    #[arg(long, value_name = "NAME", value_parser = fault_named)]
    pub fault: Vec<Fault>,
    /// Fail where a recording was in a wrong state for longer
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub at_most: Option<Duration>,
    /// How the results are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// After the faults: long enough for a resync and what it finds.
const CALM: Duration = Duration::from_secs(120);

fn fault_named(name: &str) -> Result<Fault, String> {
    let names = CATALOGUE.map(|fault| fault.name);
    CATALOGUE
        .into_iter()
        .find(|fault| fault.name == name)
        .ok_or_else(|| format!("there is no fault '{name}'; there are: {}", names.join(", ")))
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 500ms, 30s or 5m"))
}

fn some_time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time.is_zero() { Err("nothing goes wrong in no time; write 30s or 5m".to_owned()) } else { Ok(time) }
}

/// What one fault did in all runs.
struct Tried {
    fault: Fault,
    calls: usize,
    spans: usize,
    total: Duration,
    /// One that is not over at the end is worse than any that is.
    worst: Option<Wrong>,
    /// Spans that are not over at the end.
    still: usize,
}

/// Runs it.
///
/// # Errors
/// Where the configuration is invalid, or a recording was in a wrong state for longer than allowed.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<(), Failure> {
    let credentials = Credentials::Unneeded;
    let source = Source { path: options.config.clone(), environment: environment()?, credentials };
    let loaded = source.load().map_err(Failure::Configuration)?;
    let rules: Vec<String> = loaded.policy.terms().iter().map(|one| one.name.clone()).collect();
    let drill = drill(options, loaded);
    let faults = if options.fault.is_empty() { CATALOGUE.to_vec() } else { options.fault.clone() };
    if options.format == Format::Text {
        let (calls, seeds) = (options.calls, options.seeds);
        let lasting = humantime::format_duration(options.lasting);
        let (r, s) = (if rules.len() == 1 { "" } else { "s" }, if seeds == 1 { "" } else { "s" });
        writeln!(out, "{} rule{r}, {calls} calls at once for {lasting}, {seeds} seed{s}\n", rules.len())?;
        writeln!(out, "{:<18} {:>9} {:>9} {:>6}  the worst", "fault", "worst", "total", "spans")?;
    }
    let bar = progress(faults.len() as u64 * options.seeds);
    let mut fired = BTreeSet::new();
    let mut results = Vec::new();
    for fault in faults {
        let mut result = Tried { fault, calls: 0, spans: 0, total: Duration::ZERO, worst: None, still: 0 };
        for seed in options.seed..options.seed.saturating_add(options.seeds) {
            bar.set_message(format!("{}, seed {seed}", fault.name));
            let outcome = drill.play(&fault, seed).map_err(Failure::Failed)?;
            fired.extend(outcome.fired.iter().cloned());
            result.take(outcome);
            bar.inc(1);
        }
        let line = match options.format {
            Format::Text => result.text(),
            Format::Json => result.json().to_string(),
        };
        bar.suspend(|| writeln!(out, "{line}"))?;
        results.push(result);
    }
    bar.finish_and_clear();
    if options.format == Format::Text && results.iter().any(|one| !one.fault.back_after.is_zero()) {
        let span = |span: Duration| humantime::format_duration(span).to_string();
        let (waits, starts) = (span(STARTED_AGAIN_AFTER), span(STARTS_WITHIN));
        writeln!(
            out,
            "\ncrash: the daemon is back {} after it died: {waits} until systemd starts it again (RestartSec), and {starts} \
             for its start",
            span(STARTED_AGAIN_AFTER + STARTS_WITHIN)
        )?;
    }
    let silent: Vec<&String> = rules.iter().filter(|rule| !fired.contains(*rule)).collect();
    tell_end(options, &results, &silent, out)?;
    judge(options, &results)
}

fn drill(options: &Options, loaded: Loaded) -> Drill {
    let mut settings = loaded.settings.warden;
    let casting = Casting::of(&loaded.rules, &settings.directory.queues);
    // Users and further topics are those of the real organisation.
    settings.directory.users.clear();
    settings.directory.topics.clear();
    settings.enforcement = Enforcement::Enforce;
    let calls = usize::try_from(options.calls).unwrap_or(usize::MAX);
    Drill { policy: loaded.policy, settings, casting, calls, rough: options.lasting, calm: CALM }
}

/// On a terminal alone; elsewhere nothing is shown.
fn progress(runs: u64) -> ProgressBar {
    let bar = ProgressBar::new(runs);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}

impl Tried {
    fn take(&mut self, outcome: Outcome) {
        self.calls += outcome.calls;
        self.spans += outcome.wrong.len();
        self.total += outcome.wrong.iter().map(|one| one.lasted).sum::<Duration>();
        self.still += outcome.wrong.iter().filter(|one| one.end == End::StillSo).count();
        let worst = self.worst.take().into_iter().chain(outcome.wrong);
        self.worst = worst.max_by_key(|one| (one.end, one.lasted));
    }

    fn text(&self) -> String {
        let seconds = |span: Duration| format!("{:.1} s", span.as_secs_f64());
        let (worst, told) = match &self.worst {
            Some(one) => (seconds(one.lasted), told(one)),
            None => (seconds(Duration::ZERO), String::new()),
        };
        let (total, name) = (seconds(self.total), self.fault.name);
        format!("{name:<18} {worst:>9} {total:>9} {:>6}  {told}", self.spans).trim_end().to_owned()
    }

    fn json(&self) -> serde_json::Value {
        let seconds = |span: Duration| (span.as_secs_f64() * 1000.0).round() / 1000.0;
        let worst = self.worst.as_ref().map(|one| {
            json!({
                "conversation": one.conversation,
                "rule": one.rule,
                "was": how(one.how),
                "after_seconds": seconds(one.since),
                "seconds": seconds(one.lasted),
                "still_so_at_the_end": one.end == End::StillSo,
            })
        });
        json!({
            "fault": self.fault.name,
            "what": self.fault.what,
            "back_after_seconds": seconds(self.fault.back_after),
            "worst_seconds": self.worst.as_ref().map_or(0.0, |one| seconds(one.lasted)),
            "total_seconds": seconds(self.total),
            "spans": self.spans,
            "still_so_at_the_end": self.still,
            "calls": self.calls,
            "worst": worst,
        })
    }
}

fn how(how: How) -> &'static str {
    match how {
        How::OnTape => "on tape",
        How::OffTape => "not on tape",
    }
}

fn told(one: &Wrong) -> String {
    let short = one.conversation.split('-').next().unwrap_or_default();
    let against = match (one.how, one.rule.as_str()) {
        (How::OnTape, rule) => format!("on tape against {rule}"),
        (How::OffTape, rule) => format!("not on tape, as {rule} wants or gave back"),
    };
    let still = match one.end {
        End::Over => "",
        End::StillSo => ", and still so at the end",
    };
    format!("{short} {against}{still}")
}

fn tell_end(
    options: &Options,
    results: &[Tried],
    silent: &[&String],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let worst = results.iter().filter_map(|one| one.worst.as_ref()).map(|one| one.lasted).max();
    let calls: usize = results.iter().map(|one| one.calls).sum();
    match options.format {
        Format::Json => {
            let worst = worst.unwrap_or_default().as_secs_f64();
            let still: usize = results.iter().map(|one| one.still).sum();
            let summary = json!({
                "worst_seconds": worst, "still_so_at_the_end": still, "calls": calls, "never_fired": silent,
            });
            writeln!(out, "{}", json!({ "summary": summary }))?;
        }
        Format::Text if silent.is_empty() => writeln!(out, "\n{calls} calls; every rule fired")?,
        Format::Text => {
            writeln!(out, "\n{calls} calls; these rules never fired, so the drill says nothing of them:")?;
            for rule in silent {
                writeln!(out, "  {rule}")?;
            }
        }
    }
    Ok(())
}

fn judge(options: &Options, results: &[Tried]) -> Result<(), Failure> {
    let Some(bound) = options.at_most else { return Ok(()) };
    let under = |counts: &dyn Fn(&Wrong) -> bool| {
        let some = results.iter().filter(|one| one.worst.as_ref().is_some_and(counts));
        some.map(|one| one.fault.name).collect::<Vec<_>>().join(", ")
    };
    let over = under(&|worst| worst.lasted > bound && worst.end == End::Over);
    let still = under(&|worst| worst.end == End::StillSo);
    let bound = humantime::format_duration(bound);
    let over = Some(format!("for longer than {bound} under: {over}")).filter(|_| !over.is_empty());
    let still = Some(format!("still at the end of the run under: {still}")).filter(|_| !still.is_empty());
    let told: Vec<String> = over.into_iter().chain(still).collect();
    if told.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!("a recording was in a wrong state {}", told.join("; and "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(spans: &[(u64, End)]) -> Tried {
        let wrong = |(seconds, end): &(u64, End)| Wrong {
            conversation: "5c5a3b1e-8f0d-4a5e-9d5c-1f2e3d4c5b6a".into(),
            rule: "card".into(),
            how: How::OnTape,
            since: Duration::ZERO,
            lasted: Duration::from_secs(*seconds),
            end: *end,
        };
        let [fault, ..] = CATALOGUE;
        let mut result = Tried { fault, calls: 0, spans: 0, total: Duration::ZERO, worst: None, still: 0 };
        result.take(Outcome { wrong: spans.iter().map(wrong).collect(), ..Outcome::default() });
        result
    }

    fn judged(at_most: u64, result: Tried) -> Result<(), String> {
        let options = Options {
            config: PathBuf::new(),
            seed: 1,
            seeds: 1,
            calls: 1,
            lasting: Duration::ZERO,
            fault: Vec::new(),
            at_most: Some(Duration::from_secs(at_most)),
            format: Format::Text,
        };
        judge(&options, &[result]).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_time_that_is_none_is_refused_with_how_to_write_one() {
        assert_eq!(some_time("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO), "no wrong state at all is a bound");
        for mistaken in ["0s", "soon", ""] {
            let why = some_time(mistaken).expect_err(mistaken);
            assert!(why.contains("write") && why.contains("30s or 5m"), "{why}");
        }
    }

    #[test]
    fn what_is_still_wrong_at_the_end_is_the_worst_and_within_no_bound() {
        let result = tried(&[(130, End::Over), (120, End::StillSo)]);
        assert!(
            result.text().ends_with("on tape against card, and still so at the end"),
            "{}",
            result.text()
        );
        let line = result.json();
        assert_eq!(
            (&line["still_so_at_the_end"], &line["worst"]["still_so_at_the_end"]),
            (&json!(1), &json!(true))
        );
        let why = judged(600, result).expect_err("it is not over");
        assert!(why.contains("still at the end of the run under: none"), "{why}");
        assert_eq!(judged(600, tried(&[(130, End::Over)])), Ok(()));
        let why = judged(60, tried(&[(130, End::Over)])).expect_err("it lasted for longer");
        assert!(why.contains("for longer than 1m under: none"), "{why}");
    }
}
