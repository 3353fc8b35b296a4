//! The webhook as the founding tutorial promises it, and better: against the daemon and the simulator as
//! processes, with what any HTTP client sends.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;

use players::{Process, Simulator, Site};
use serde_json::{Value, json};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

struct Door {
    url: String,
    runtime: tokio::runtime::Runtime,
}

impl Door {
    /// Where the daemon says that its webhook is.
    fn of(daemon: &mut Process) -> Self {
        let said = daemon.wait_for_message("the webhook at http://");
        let url = said.rsplit("the webhook at ").next().expect("an address").to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        daemon.wait_for_message("is closed: ");
        Self { url, runtime }
    }

    fn send(&self, method: &str, path: &str, secret: Option<&str>, body: &str) -> (u16, Value) {
        self.send_as(None, method, path, secret, body)
    }

    fn send_as(
        &self,
        id: Option<&str>,
        method: &str,
        path: &str,
        secret: Option<&str>,
        body: &str,
    ) -> (u16, Value) {
        self.runtime.block_on(async {
            let method = method.parse().expect("a method");
            let client = reqwest::Client::new();
            let mut request = client.request(method, format!("{}{path}", self.url)).body(body.to_owned());
            if let Some(secret) = secret {
                request = request.bearer_auth(secret);
            }
            if let Some(id) = id {
                request = request.header("webhook-id", id);
            }
            let answer = request.send().await.expect("an answer");
            (answer.status().as_u16(), answer.json().await.expect("a JSON body"))
        })
    }

    fn order(&self, body: &str) -> (u16, Value) {
        self.send("POST", "/webhook/recording-control", Some(SECRET), body)
    }

    /// How a decision ended.
    fn end_of(&self, decision: &Value) -> (String, String) {
        let path = format!("/webhook/decisions/{}", decision.as_str().expect("a decision"));
        for _ in 0..600 {
            let (status, view) = self.send("GET", &path, Some(SECRET), "");
            assert_eq!(status, 200, "{view}");
            let text = |key: &str| view[key].as_str().unwrap_or_default().to_owned();
            if view["state"] != "open" {
                return (text("state"), text("message"));
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("the decision is still open");
    }
}

fn site(simulator: &Simulator) -> Site {
    let more =
        "[http]\nlisten = \"\"\n[webhook]\nlisten = \"127.0.0.1:0\"\nsecret_file = \"webhook-secret\"\n";
    let site = Site::new(simulator, &simulator.api_url, more);
    site.write("webhook-secret", SECRET);
    site
}

/// A call that is recorded from now on.
fn recorded(simulator: &mut Simulator) -> String {
    let recorded = simulator.process.wait_for("a call that is recorded", |line| {
        line["detail"].as_str().is_some_and(|text| text.contains("the agent answers (recorded)"))
    });
    recorded["subject"].as_str().expect("a conversation").to_owned()
}

#[test]
fn a_message_that_comes_again_after_a_restart_is_answered_and_not_taken_again() {
    let mut simulator = Simulator::start(&["--calls", "5", "--pace", "2"]);
    let site = site(&simulator);
    let mut daemon = site.daemon();
    let door = Door::of(&mut daemon);
    let id = recorded(&mut simulator);
    let post = |door: &Door, message: &str, action: &str| {
        let body = json!({"conversation_id": id, "action": action}).to_string();
        door.send_as(Some(message), "POST", "/webhook/recording-control", Some(SECRET), &body)
    };
    let (status, first) = post(&door, "m1", "stop");
    assert!(status == 200 && first["decision"].is_string(), "{status} {first}");
    assert_eq!(door.end_of(&first["decision"]).0, "confirmed");
    assert_eq!(post(&door, "m1", "stop"), (200, first.clone()));
    let (_, second) = post(&door, "m2", "start");
    assert_eq!(door.end_of(&second["decision"]).0, "confirmed");
    assert_eq!(daemon.told_to_stop(), Some(0));

    let mut daemon = site.daemon();
    let door = Door::of(&mut daemon);
    let (status, again) = post(&door, "m1", "stop");
    assert_eq!((status, &again["decision"]), (200, &first["decision"]), "{again}");
    assert!(again["message"].as_str().is_some_and(|text| text.contains("taken before")), "{again}");
    let (_, third) = post(&door, "m3", "stop");
    assert!(third["decision"].is_string() && third["decision"] != first["decision"], "{third}");
    assert_eq!(daemon.told_to_stop(), Some(0));
    let (sound, said) = site.verify();
    assert!(sound, "{said}");
}

#[test]
fn a_webhook_controls_a_recording_and_every_bad_request_is_told_apart() {
    let mut simulator = Simulator::start(&["--calls", "5", "--pace", "5"]);
    let site = site(&simulator);
    let mut daemon = site.daemon();
    let door = Door::of(&mut daemon);
    let id = recorded(&mut simulator);
    let order = |action: &str| json!({"conversation_id": id, "action": action}).to_string();

    for (body, expected) in [
        ("no json".to_owned(), 400),
        (json!({"action": "stop"}).to_string(), 400),
        (json!({"conversation_id": id}).to_string(), 400),
        (json!({"conversation_id": "x", "action": "stop"}).to_string(), 400),
        (order("pause"), 400),
        ("x".repeat(65 * 1024), 413),
    ] {
        let (status, answer) = door.order(&body);
        assert!(status == expected && answer["error"].is_string(), "{status} {answer}");
    }
    for secret in [None, Some("wrong")] {
        let (status, answer) = door.send("POST", "/webhook/recording-control", secret, &order("stop"));
        assert!(status == 401 && answer["error"].is_string(), "{status} {answer}");
    }

    let (status, stopped) = door.order(&order("stop"));
    assert_eq!((status, &stopped["status"]), (200, &json!("success")), "{stopped}");
    assert_eq!(door.end_of(&stopped["decision"]).0, "confirmed");
    let (status, again) = door.order(&order("stop"));
    assert!(status == 200 && again["decision"].is_null(), "{again}");
    assert!(again["message"].as_str().is_some_and(|text| text.contains("already is as wanted")), "{again}");
    let (_, started) = door.order(&order("start"));
    assert_eq!(door.end_of(&started["decision"]).0, "confirmed");

    // Where the platform refuses, the sender is not to try again: 200, and the outcome by asking.
    let nobody = json!({"conversation_id": "00000000-0000-4000-8000-000000000000", "action": "stop"});
    let (status, taken) = door.order(&nobody.to_string());
    assert_eq!(status, 200, "{taken}");
    let (state, message) = door.end_of(&taken["decision"]);
    assert!(state == "abandoned" && message.contains("does not exist"), "{state}: {message}");
    let (status, unknown) =
        door.send("GET", "/webhook/decisions/00000000-0000-7000-8000-000000000000", Some(SECRET), "");
    assert!(status == 404 && unknown["error"].is_string(), "{unknown}");

    assert_eq!(daemon.told_to_stop(), Some(0));
    let (sound, said) = site.verify();
    assert!(sound, "{said}");
}
