//! Facts by webhook: durable before the answer, kept over a kill, and redacted in the log.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use players::{Process, Simulator, Site, message};
use serde_json::{Value, json};

const CONFIGURATION: &str = "[limits]\nrequests_per_minute = 60000\n[http]\nlisten = \"127.0.0.1:0\"\n\
    [webhook]\nlisten = \"127.0.0.1:0\"\nsecret_file = \"webhook-secret\"\n\
    [[rule]]\nname = \"both\"\nwhen = 'facts.fraud == true && facts.checked == true'\naction = \"stop\"\n";

/// Where the daemon said that it takes facts.
fn webhook_address(daemon: &mut Process) -> String {
    let said =
        daemon.wait_for("the webhook's address", |line| message(line).contains("the webhook at http://"));
    message(&said).rsplit("http://").next().expect("an address").trim_end_matches('/').to_owned()
}

fn push(address: &str, id: &str, facts: &Value) -> (u16, Value) {
    let body = json!({"conversation_id": id, "facts": facts});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let url = format!("http://{address}/webhook/facts");
        let client = reqwest::Client::builder().timeout(players::PATIENCE).build().expect("a client");
        let request = client.post(url).bearer_auth("hunter2-hunter2").json(&body);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    })
}

/// A call that is being recorded, as the daemon sees it.
fn recorded_call(health: &str) -> String {
    loop {
        let (_, body) = players::get(health, "/view.json");
        let view: Value = serde_json::from_str(&body).expect("a view");
        let calls = view["calls"].as_array().expect("calls");
        if let Some(call) = calls.iter().find(|call| call["observed"] == "active") {
            return call["conversation"].as_str().expect("an id").to_owned();
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn facts_outlive_a_kill_right_after_their_answer() {
    // Life goes slowly there, so that the call outlives the daemon.
    let simulator = Simulator::start(&["--calls", "10", "--pace", "2"]);
    let site = Site::new(&simulator, &simulator.api_url, CONFIGURATION);
    site.write("webhook-secret", "hunter2-hunter2");

    let mut daemon = site.daemon();
    let health = players::health_address(&mut daemon);
    let webhook = webhook_address(&mut daemon);
    let id = recorded_call(&health);
    let (status, answer) = push(&webhook, &id, &json!({"fraud": true, "card_number": "4111 1111 1111 1111"}));
    assert_eq!(
        (status, answer["status"].as_str(), &answer["decision"]),
        (200, Some("success"), &Value::Null)
    );
    daemon.kill();

    let mut daemon = site.daemon();
    let health = players::health_address(&mut daemon);
    let webhook = webhook_address(&mut daemon);
    daemon.wait_for("the gap is closed", |line| message(line).contains("is closed"));
    let (_, view) = players::get(&health, "/view.json");
    assert!(view.contains(&id), "the call is still there: {view}");
    let (status, answer) = push(&webhook, &id, &json!({"checked": true}));
    assert_eq!(status, 200, "{answer}");
    assert!(
        answer["decision"].is_string(),
        "the rule needs both facts, and the first one came before the kill: {answer}"
    );
    assert_eq!(daemon.told_to_stop(), Some(0));

    let records = site.records();
    let facts: Vec<&Value> = records.iter().filter(|record| record["kind"] == "facts").collect();
    assert_eq!(facts.len(), 2);
    let card = facts[0]["facts"]["card_number"].as_str().expect("a text");
    assert!(card.starts_with("redacted:") && facts[0]["facts"]["fraud"] == true, "{}", facts[0]);
    let (sound, said) = site.verify();
    assert!(sound, "{said}");
    for file in std::fs::read_dir(site.audit()).expect("the log").filter_map(Result::ok) {
        if file.path().is_file() {
            let text = std::fs::read(file.path()).expect("a file");
            assert!(!text.windows(9).any(|part| part == b"4111 1111"), "{file:?} holds the number");
        }
    }
}

#[test]
fn a_damaged_store_of_facts_is_refused_at_the_start() {
    let simulator = Simulator::start(&["--calls", "1", "--pace", "1"]);
    let site = Site::new(&simulator, &simulator.api_url, CONFIGURATION);
    site.write("webhook-secret", "hunter2-hunter2");
    std::fs::create_dir_all(site.audit().join(".state")).expect("a folder");
    std::fs::write(site.audit().join(".state/facts.redb"), "damaged").expect("written");
    let output = site.run(&["run", "--config", "recwarden.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = players::said(&output);
    assert!(said.contains("facts.redb") && said.contains("move it away"), "{said}");
}
