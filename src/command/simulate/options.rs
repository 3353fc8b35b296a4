//! The options of `simulate`: on the command line, and by the same names in a scenario file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

use crate::sim::faults::{Faults, RetryAfter};
use crate::sim::org::Taping;
use crate::sim::plan::{Gateway, Plan};
use crate::sim::scenario;

const EXAMPLES: &str = "\
Examples:
  recwarden simulate
      A contact centre with ten calls at http://127.0.0.1:9000.
  recwarden simulate --calls 50 --pace 20 --seed 7
      Fifty calls at once, each over in about ten seconds; the same ones in every run.
  recwarden simulate --drop-sockets-every 30s --error-rate 0.05 --latency 50ms..200ms
      A bad day.
  recwarden simulate --calls 500 --in-progress 500 --queue Billing --queue 'Back Office=silent'
      Five hundred calls that have been answered already, on queues of your own.
  recwarden simulate --listen 127.0.0.1:0 --format json | head -n 1
      Any free port; the first line says which.
  recwarden simulate --calls 200 --pace 10 --for 2m
      Two minutes; the last lines say which calls were in a state that the policy of the demonstration forbids,
      and how soon orders came. After SIGHUP nobody calls any more.
  recwarden simulate --scenario bad-day.toml
      The same options from a file:  calls = 50
                                     pace = 20
                                     [faults]
                                     drop-sockets-every = \"30s\"
                                     latency = \"50ms..200ms\"";

/// Run the Genesys Cloud simulator on its own
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Where to listen; port 0 takes any free one [default: 127.0.0.1:9000]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Read options from a TOML file, by their names here; the command line wins
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Stop by itself after so long
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub run_for: Option<Duration>,
    /// How to write what happens [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// All chance comes from it: the same seed makes the same calls [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    #[command(flatten)]
    traffic: TrafficOptions,
    #[command(flatten)]
    platform: PlatformOptions,
    #[command(flatten)]
    faults: FaultOptions,
}

/// How `simulate` writes what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// JSON Lines
    Json,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Traffic")]
struct TrafficOptions {
    /// How many calls are live at once, about [default: 10]
    #[arg(long, value_name = "N")]
    calls: Option<usize>,
    /// How many of them are in progress from the start, instead of coming in one after the other [default: 0]
    #[arg(long, value_name = "N")]
    in_progress: Option<usize>,
    /// How much faster than life: 1 is life, 20 ends a call in about ten seconds [default: 1]
    #[arg(long, value_name = "FACTOR", value_parser = pace)]
    pace: Option<f64>,
    /// How long caller and agent talk in the mean, before --pace [default: 3m]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    talk: Option<Duration>,
    /// The share of calls in which an agent presses pause by hand [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    agent_pauses: Option<f64>,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Platform")]
struct PlatformOptions {
    /// A queue, in place of the seven that there are without; may be given more than once. The platform records
    /// its calls, unless it is given as NAME=silent
    #[arg(long, value_name = "NAME", value_parser = queue)]
    queue: Vec<(String, Taping)>,
    /// Requests of one token in one minute [default: 300]
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<u32>,
    /// How long an access token is good for [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    token_lifetime: Option<Duration>,
    /// How long a notification channel lives [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    channel_lifetime: Option<Duration>,
    /// The pulse of every socket [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    heartbeat: Option<Duration>,
    /// How long an accepted recording order takes [default: 20ms..150ms]
    #[arg(long, value_name = "SPAN", value_parser = span)]
    apply_delay: Option<(Duration, Duration)>,
    /// Whether POST /conversations/{id}/recordings is there [default: offered]
    #[arg(long, value_name = "WHETHER")]
    gateway: Option<GatewayOption>,
    /// The id to log in with
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The secret to log in with
    #[arg(long, value_name = "SECRET")]
    client_secret: Option<String>,
    /// Take a permission from the client; may be given more than once
    #[arg(long, value_name = "PERMISSION")]
    without_permission: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GatewayOption {
    /// As a gateway has it
    Offered,
    /// As on the public API
    Absent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RetryAfterOption {
    /// With the header
    Sent,
    /// Without it
    Omitted,
    /// As an HTTP date
    Date,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Faults (all off)")]
struct FaultOptions {
    /// Nothing goes wrong for so long
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    faults_after: Option<Duration>,
    /// Cut all sockets every so often
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    drop_sockets_every: Option<Duration>,
    /// Cut one socket every so often
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    cut_socket_every: Option<Duration>,
    /// Send v2.system.socket_closing to all sockets every so often
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    closing_every: Option<Duration>,
    /// And close them so long after [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    closing_notice: Option<Duration>,
    /// Refuse everything with 429 every so often
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    burst_429: Option<Duration>,
    /// For so long [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    burst_429_for: Option<Duration>,
    /// Whether a 429 carries Retry-After [default: sent]
    #[arg(long, value_name = "WHETHER")]
    retry_after: Option<RetryAfterOption>,
    /// The share of requests that end with 500, 503 or 504, half of them after they took effect
    #[arg(long, value_name = "SHARE", value_parser = share)]
    error_rate: Option<f64>,
    /// How long each answer takes
    #[arg(long, value_name = "SPAN", value_parser = span)]
    latency: Option<(Duration, Duration)>,
    /// The share of requests that are never answered
    #[arg(long, value_name = "SHARE", value_parser = share)]
    hang: Option<f64>,
    /// The share of requests that never arrive
    #[arg(long, value_name = "SHARE", value_parser = share)]
    lost: Option<f64>,
    /// The share of recording orders that are accepted and never applied
    #[arg(long, value_name = "SHARE", value_parser = share)]
    not_applied: Option<f64>,
    /// The share of recording orders that are applied late
    #[arg(long, value_name = "SHARE", value_parser = share)]
    late_orders: Option<f64>,
    /// By so much at most [default: 25s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    late_by: Option<Duration>,
    /// Let one socket go silent every so often, without closing it
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    half_open_every: Option<Duration>,
    /// Cut one channel off from events every so often; it still answers and beats
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    evict_every: Option<Duration>,
    /// Revoke all tokens every so often
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    revoke_tokens_every: Option<Duration>,
    /// The share of events sent twice
    #[arg(long, value_name = "SHARE", value_parser = share)]
    duplicate_events: Option<f64>,
    /// The share of events that come late, behind younger ones
    #[arg(long, value_name = "SHARE", value_parser = share)]
    reorder_events: Option<f64>,
    /// By so much at most [default: 800ms]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    reorder_by: Option<Duration>,
    /// The share of events that are never sent
    #[arg(long, value_name = "SHARE", value_parser = share)]
    lose_events: Option<f64>,
    /// Send all sockets a frame that is no JSON, of 16 MB, nested 10,000 deep or not what it says, one kind
    /// after the other
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    odd_frames_every: Option<Duration>,
    /// Let all live calls change ten times at once every so often
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    event_burst_every: Option<Duration>,
    /// How much all these intervals vary, as a share of each: 0 not at all, 1 from nothing to twice as long
    /// [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    jitter: Option<f64>,
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "a share is a number from 0 to 1, such as 0.05".to_owned())
}

fn pace(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|pace| (0.1..=1_000.0).contains(pace))
        .ok_or_else(|| "a pace is a number from 0.1 to 1000, such as 20".to_owned())
}

fn span(text: &str) -> Result<(Duration, Duration), String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let read = |part: &str| humantime::parse_duration(part).map_err(|error| format!("'{part}': {error}"));
    let (least, most) = (read(least)?, read(most)?);
    if least > most { Err(format!("'{text}' ends before it begins")) } else { Ok((least, most)) }
}

fn queue(text: &str) -> Result<(String, Taping), String> {
    let (name, taping) = match text.strip_suffix("=silent") {
        Some(name) => (name, Taping::Silent),
        None => (text, Taping::Recorded),
    };
    if name.trim().is_empty() { Err("a queue has a name".to_owned()) } else { Ok((name.to_owned(), taping)) }
}

fn put<T: Clone>(into: &mut T, given: &Option<T>) {
    if let Some(given) = given {
        into.clone_from(given);
    }
}

impl Options {
    /// Sets in a plan what these options give, and leaves the rest as it is.
    pub fn apply(&self, plan: &mut Plan) {
        put(&mut plan.seed, &self.seed);
        put(&mut plan.calls, &self.traffic.calls);
        put(&mut plan.in_progress, &self.traffic.in_progress);
        put(&mut plan.pace, &self.traffic.pace);
        put(&mut plan.talk, &self.traffic.talk);
        put(&mut plan.agent_pauses, &self.traffic.agent_pauses);
        let platform = &self.platform;
        put(&mut plan.requests_per_minute, &platform.requests_per_minute);
        put(&mut plan.token_lifetime, &platform.token_lifetime);
        put(&mut plan.channel_lifetime, &platform.channel_lifetime);
        put(&mut plan.heartbeat, &platform.heartbeat);
        put(&mut plan.apply_delay, &platform.apply_delay);
        put(&mut plan.client_id, &platform.client_id);
        put(&mut plan.client_secret, &platform.client_secret);
        let gateway = platform.gateway.map(|gateway| match gateway {
            GatewayOption::Offered => Gateway::Offered,
            GatewayOption::Absent => Gateway::Absent,
        });
        put(&mut plan.gateway, &gateway);
        if !platform.queue.is_empty() {
            plan.cast.queues.clone_from(&platform.queue);
        }
        for permission in &platform.without_permission {
            plan.permissions.remove(permission);
        }
        self.faults.apply(&mut plan.faults);
    }
}

impl FaultOptions {
    fn apply(&self, faults: &mut Faults) {
        let either = |given: Option<Duration>, was: &mut Option<Duration>| *was = given.or(*was);
        either(self.faults_after, &mut faults.begin_after);
        either(self.odd_frames_every, &mut faults.odd_frames_every);
        either(self.event_burst_every, &mut faults.event_burst_every);
        either(self.drop_sockets_every, &mut faults.drop_sockets_every);
        either(self.cut_socket_every, &mut faults.cut_socket_every);
        either(self.closing_every, &mut faults.closing_every);
        either(self.burst_429, &mut faults.burst_429_every);
        either(self.half_open_every, &mut faults.half_open_every);
        either(self.evict_every, &mut faults.evict_every);
        either(self.revoke_tokens_every, &mut faults.revoke_tokens_every);
        faults.latency = self.latency.or(faults.latency);
        put(&mut faults.closing_notice, &self.closing_notice);
        put(&mut faults.burst_429_for, &self.burst_429_for);
        put(&mut faults.error_rate, &self.error_rate);
        put(&mut faults.hang, &self.hang);
        put(&mut faults.lost, &self.lost);
        put(&mut faults.late_orders, &self.late_orders);
        put(&mut faults.late_by, &self.late_by);
        put(&mut faults.reorder_by, &self.reorder_by);
        put(&mut faults.jitter, &self.jitter);
        put(&mut faults.not_applied, &self.not_applied);
        put(&mut faults.duplicate_events, &self.duplicate_events);
        put(&mut faults.reorder_events, &self.reorder_events);
        put(&mut faults.lose_events, &self.lose_events);
        let retry_after = self.retry_after.map(|retry_after| match retry_after {
            RetryAfterOption::Sent => RetryAfter::Sent,
            RetryAfterOption::Omitted => RetryAfter::Omitted,
            RetryAfterOption::Date => RetryAfter::Date,
        });
        put(&mut faults.retry_after, &retry_after);
    }
}

/// The options as a command line of their own: what a scenario is read with.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(flatten)]
    options: Options,
}

pub(super) fn read_line<T: AsRef<str>>(arguments: &[T]) -> Result<Options, String> {
    let line = Line::try_parse_from(arguments.iter().map(AsRef::as_ref));
    line.map(|line| line.options).map_err(|error| {
        // What clap says, without its usage lines.
        let text = error.render().to_string();
        let said: Vec<&str> = text
            .lines()
            .map(str::trim)
            .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
            .filter(|line| !line.is_empty())
            .collect();
        said.join("; ").trim_start_matches("error: ").to_owned()
    })
}

/// Reads a scenario file.
///
/// # Errors
/// Where it cannot be read, or with all the mistakes in it.
pub fn read_scenario(path: &Path) -> Result<Options, scenario::Error> {
    let check = |argument: &str| match read_line(&[argument])?.scenario {
        Some(_) => Err("a scenario cannot name another scenario".to_owned()),
        None => Ok(()),
    };
    read_line(&scenario::read(path, &check)?).map_err(scenario::Error::Mistakes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arguments: &[&str]) -> Plan {
        let mut plan = Plan::default();
        read_line(arguments).expect("good options").apply(&mut plan);
        plan
    }

    #[test]
    fn without_options_the_plan_is_the_default() {
        assert_eq!(plan(&[]), Plan::default());
    }

    #[test]
    fn options_go_into_the_plan() {
        let plan = plan(&[
            "--calls=50",
            "--latency=50ms..200ms",
            "--not-applied=0.05",
            "--drop-sockets-every=30s",
            "--retry-after=omitted",
            "--without-permission=routing:queue:view",
            "--cut-socket-every=7s",
            "--jitter=0.5",
            "--in-progress=20",
            "--queue=Billing",
            "--queue=Back Office=silent",
        ]);
        assert_eq!((plan.faults.cut_socket_every, plan.in_progress), (Some(Duration::from_secs(7)), 20));
        assert!(plan.faults.jitter > 0.4);
        let queues = [("Billing".to_owned(), Taping::Recorded), ("Back Office".to_owned(), Taping::Silent)];
        assert_eq!(plan.cast.queues, queues);
        assert_eq!(plan.calls, 50);
        assert_eq!(plan.faults.latency, Some((Duration::from_millis(50), Duration::from_millis(200))));
        assert_eq!(plan.faults.drop_sockets_every, Some(Duration::from_secs(30)));
        assert_eq!(plan.faults.retry_after, RetryAfter::Omitted);
        assert!(plan.faults.not_applied > 0.04 && !plan.permissions.contains("routing:queue:view"));
    }

    #[test]
    fn bad_values_are_refused_with_what_would_be_right() {
        for bad in
            ["--error-rate=5", "--pace=0", "--latency=2s..1s", "--talk=long", "--queue==silent", "--jitter=2"]
        {
            assert!(read_line(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_scenario_is_read_with_the_same_options() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let told = |text: &str| {
            std::fs::write(file.path(), text).expect("written");
            read_scenario(file.path())
        };
        let options = told("calls = 50\n[faults]\nlatency = \"50ms..200ms\"\n").expect("a scenario");
        assert_eq!(options.traffic.calls, Some(50));
        let mistakes =
            told("calls = \"many\"\nlatencie = \"1s\"\nscenario = \"x\"\n").unwrap_err().to_string();
        for part in [":1:1: error: invalid value 'many'", ":2:1: error: unexpected argument", "--latency"] {
            assert!(mistakes.contains(part), "{part} in {mistakes}");
        }
        assert!(mistakes.contains(":3:1: error: a scenario cannot name another scenario"), "{mistakes}");
    }
}
