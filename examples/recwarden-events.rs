//! Writes an event file of the simulated contact centre, the same for the same seed: `cargo run --release
//! --example recwarden-events -- --events 1000000 > day.jsonl`. Nobody controls the recordings in it.
#![expect(clippy::print_stderr, reason = "its output is the event file, so it complains elsewhere")]

use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use recwarden::model::time::{Mono, Now, Wall};
use recwarden::sim::plan::Plan;
use recwarden::sim::platform::{Platform, Reply};
use recwarden::sim::post::SocketOut;
use recwarden::sim::web::HttpRequest;
use serde_json::{Value, json};

/// 2026-01-05T09:00:00Z.
const BEGIN: Wall = Wall::from_micros(1_767_603_600_000_000);
/// Longer than any file lasts.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Writes captured events of a simulated contact centre to the standard output.
#[derive(Parser)]
struct Options {
    /// How many events
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// How many calls are live at once
    #[arg(long, default_value_t = 500)]
    calls: usize,
    /// The seed of all chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The share of calls in which an agent pauses or resumes by hand
    #[arg(long, default_value_t = 0.05)]
    agent_pauses: f64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match write(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("recwarden-events: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let plan = Plan {
        seed: options.seed,
        calls: options.calls,
        agent_pauses: options.agent_pauses,
        heartbeat: FOR_EVER,
        token_lifetime: FOR_EVER,
        channel_lifetime: FOR_EVER,
        requests_per_minute: 1_000_000,
        ..Plan::default()
    };
    let mut now = Now { mono: Mono::default(), wall: BEGIN };
    let mut platform = Platform::new(plan, now);
    let token = log_in(&mut platform, now)?;
    let channel = ask(&mut platform, now, &token, "POST", "/api/v2/notifications/channels", &json!({}))?;
    let channel = channel["id"].as_str().ok_or("no channel")?.to_owned();
    let queues = ask(&mut platform, now, &token, "GET", "/api/v2/routing/queues", &Value::Null)?;
    let queues = queues["entities"].as_array().cloned().unwrap_or_default();
    let names: serde_json::Map<String, Value> =
        queues.iter().filter_map(|one| Some((one["id"].as_str()?.to_owned(), one["name"].clone()))).collect();
    let topics: Vec<Value> =
        names.keys().map(|id| json!({"id": format!("v2.routing.queues.{id}.conversations")})).collect();
    let path = format!("/api/v2/notifications/channels/{channel}/subscriptions");
    ask(&mut platform, now, &token, "PUT", &path, &Value::Array(topics))?;
    platform.open_socket(&channel, now).ok_or("no socket")?;

    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    writeln!(out, "{}", json!({"at": now.wall, "queues": names}))?;
    let mut written = 0;
    while written < options.events {
        let next = platform.next_wakeup().ok_or("nothing happens any more")?;
        now = now + next.since(now.mono);
        platform.tick(now);
        while platform.poll_happening().is_some() {}
        while let Some((_, sent)) = platform.poll_frame() {
            match sent {
                SocketOut::Text(text) if text.contains(".conversations") && written < options.events => {
                    written += 1;
                    writeln!(out, "{{\"at\":\"{}\",\"frame\":{text}}}", now.wall)?;
                }
                SocketOut::Text(_) => {}
                SocketOut::Close { .. } | SocketOut::Cut | SocketOut::Freeze => {
                    return Err("the socket is gone".into());
                }
            }
        }
    }
    Ok(out.flush()?)
}

fn log_in(platform: &mut Platform, now: Now) -> Result<String, Box<dyn std::error::Error>> {
    let plan = platform.plan();
    let asked = HttpRequest::for_token(&plan.client_id, &plan.client_secret);
    let Reply::Answer(answer) = platform.http(&asked, now) else { return Err("no answer".into()) };
    Ok(answer.value()["access_token"].as_str().ok_or("no token")?.to_owned())
}

fn ask(
    platform: &mut Platform,
    now: Now,
    token: &str,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Value, Box<dyn std::error::Error>> {
    let asked = HttpRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        query: if method == "GET" { "pageSize=100".to_owned() } else { String::new() },
        headers: vec![("Authorization".to_owned(), format!("Bearer {token}"))],
        body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
    };
    let Reply::Answer(answer) = platform.http(&asked, now) else { return Err("no answer".into()) };
    if answer.status >= 300 { Err(format!("{path}: {}", answer.body).into()) } else { Ok(answer.value()) }
}
