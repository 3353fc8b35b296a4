//! The simulator serves clients that nobody here wrote: the vendor's Python SDK and the PyPI package
//! `genesys-notifications` (see `tests/foreign_clients/client.py` for what they do).

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use recwarden::sim::life::Beat;
use recwarden::sim::plan::Plan;
use recwarden::sim::server;

fn has_python() -> bool {
    Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// A call in Payments that goes on until the clients are done, and installed before that, with a change every half a
/// second.
fn long_call() -> Vec<(Duration, Beat)> {
    let answered = [Beat::CallIn, Beat::Enqueue(0), Beat::Ring, Beat::Answer]
        .map(|beat| (Duration::from_millis(50), beat))
        .to_vec();
    let rounds = (0..7_200)
        .map(|round| (Duration::from_millis(500), Beat::Set("round".to_owned(), format!("{round}"))));
    answered.into_iter().chain(rounds).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_sdk_and_a_notification_client_are_served() {
    if !has_python() {
        // Straight to the stream: the test harness would swallow a print of a test that passes.
        writeln!(std::io::stderr(), "SKIPPED foreign_clients: there is no python3 here").expect("stderr");
        return;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
    let plan = Plan { calls: 3, pace: 10.0, ..Plan::default() };
    let (simulator, happenings) = server::start(listener, plan).expect("a simulator");
    drop(happenings);
    let conversation = simulator.begin_call(long_call()).await.expect("a call");

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign_clients/run.sh");
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign-clients-venv");
    let output = tokio::process::Command::new(script)
        .arg(venv)
        .args([&simulator.api_url, &simulator.client_id, &simulator.client_secret, &conversation])
        .output()
        .await
        .expect("the script runs");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.ends_with("served\n"), "{said}\n{complained}");
}
