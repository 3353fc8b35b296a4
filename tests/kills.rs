//! SIGKILL at 200 random moments under load, each followed by a restart: nothing is lost, doubled or left
//! open, the chain holds across every file, no order came that the log has no attempt for, and in the end every call is as
//! the policy says. What the kills hit is counted, and what was answered to those who order and push facts meanwhile stands.

#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/players.rs"]
mod players;
#[allow(dead_code, reason = "each file of tests uses its own part")]
#[path = "processes/proxy.rs"]
mod proxy;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use players::{
    Account, SAMPLE_POLICY, Simulator, Site, ended_wrong, health_address, message, orders_beyond_the_log,
    time, view,
};
use proxy::{Network, Proxy};
use recwarden::sim::random::Chance;
use serde_json::{Value, json};

const KILLS: usize = 200;
const SEED: u64 = 200;
const SECRET: &str = "hunter2-hunter2";
/// So many kills at the least find a decision open, and a request out whose answer nobody hears. It was 139 and 63 of 200.
/// A line is written at once, so that it takes more than a kill to tear one (`sim::disk`, tests/disk_faults.rs).
const OPEN_AT_LEAST: usize = 40;
const UNDER_WAY_AT_LEAST: usize = 15;
/// One life in so many is long.
const LONG_EVERY: usize = 11;
/// So many kills find a decision that has been tried in vain often enough to wait long for its next attempt.
const BACKING_OFF_AT_LEAST: usize = 2;
const OFTEN: u64 = 4;
/// Whoever posts has begun by then, or never will.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);
/// An order takes effect just before it is looked at, or just after; and the periodic resync comes in every long life.
const TIMES: &str = "[recording]\nconfirm_within = \"300ms\"\n[subscribe]\nresync_every = \"2s\"\n";
const TRAFFIC: [&str; 10] = [
    "--calls",
    "60",
    "--pace",
    "30",
    "--seed",
    "7",
    "--latency",
    "5ms..60ms",
    "--apply-delay",
    "20ms..600ms",
];

/// Whoever is marked is stopped, whatever the other rules say.
const MARKED: &str =
    "[[rule]]\nname = \"marked\"\nwhen = 'facts.mark >= 0'\naction = \"stop\"\npriority = 500\n";

/// What the kills hit, by the log: each start of a daemon that is not the first follows one.
#[derive(Debug, Default)]
struct Hits {
    /// Kills with a decision open, and such decisions.
    open: (usize, usize),
    /// Kills with a request out whose answer nobody heard, and such requests.
    under_way: (usize, usize),
    /// Kills with a decision open that had been tried in vain so often, and such decisions.
    backing_off: (usize, usize),
    /// Lines that were torn, and cut off.
    torn: usize,
}

impl Hits {
    fn of(records: &[Value]) -> Self {
        let mut hits = Self::default();
        let (mut open, mut under_way) = (BTreeSet::new(), BTreeSet::new());
        let mut in_vain: BTreeMap<&str, u64> = BTreeMap::new();
        for record in records {
            let decision = record["decision"].as_str().unwrap_or_default();
            match record["kind"].as_str().unwrap_or_default() {
                "daemon.started" => {
                    hits.open.0 += usize::from(!open.is_empty());
                    hits.open.1 += open.len();
                    hits.under_way.0 += usize::from(!under_way.is_empty());
                    hits.under_way.1 += under_way.len();
                    let backing_off = in_vain.values().filter(|times| **times >= OFTEN).count();
                    hits.backing_off.0 += usize::from(backing_off > 0);
                    hits.backing_off.1 += backing_off;
                    in_vain.clear();
                    hits.torn += usize::from(record["cut"].is_object());
                    // The next process asks what became of them.
                    under_way.clear();
                }
                "decision" => drop(open.insert(decision)),
                "attempt" => drop(under_way.insert(decision)),
                "outcome" => {
                    under_way.remove(decision);
                    if record["result"] == "retry" {
                        *in_vain.entry(decision).or_default() += 1;
                    }
                }
                "confirmed" | "superseded" | "abandoned" => {
                    open.remove(decision);
                    under_way.remove(decision);
                    in_vain.remove(decision);
                }
                _ => {}
            }
        }
        hits
    }
}

/// What other systems ordered and pushed, until the daemon was killed in the midst of it.
#[derive(Debug, Default)]
struct Posted {
    /// `webhook-id` of each order that was answered by 200.
    orders: BTreeSet<String>,
    /// By conversation: the marks that were pushed, each with whether it was answered by 200.
    marks: BTreeMap<String, Vec<(u64, bool)>>,
    /// All that was sent.
    sent: u64,
}

impl Posted {
    /// Posts to calls that the daemon knows until there is no answer any more; says when it begins.
    async fn go_on(&mut self, health: &str, webhook: &str, begins: Sender<()>) {
        let client = reqwest::Client::builder().timeout(players::PATIENCE).build().expect("a client");
        while let Some(live) = live(&client, health).await {
            // Who waited for it once waits no more.
            begins.send(()).ok();
            for id in live.iter().take(4) {
                self.sent += 1;
                let number = self.sent;
                // Half of the calls get orders, the others facts.
                let ordered = id.as_bytes()[0].is_multiple_of(2);
                let (path, body) = if ordered {
                    let action = if number.is_multiple_of(3) { "start" } else { "stop" };
                    ("recording-control", json!({"conversation_id": id, "action": action, "by": "crm"}))
                } else {
                    ("facts", json!({"conversation_id": id, "facts": {"mark": number}}))
                };
                let name = format!("m{number}");
                let request = client.post(format!("{webhook}/{path}")).bearer_auth(SECRET).json(&body);
                let Ok(answer) = request.header("webhook-id", &name).send().await else {
                    if !ordered {
                        self.marks.entry(id.clone()).or_default().push((number, false));
                    }
                    return;
                };
                let status = answer.status();
                let said: Value = answer.json().await.unwrap_or_default();
                // Facts of a call that is over by now are of no use, and that is said.
                let use_of = |text: &str| ordered || text.starts_with("the facts are taken");
                let taken = status == 200 && said["message"].as_str().is_some_and(use_of);
                if !ordered {
                    self.marks.entry(id.clone()).or_default().push((number, taken));
                } else if taken {
                    self.orders.insert(name);
                }
            }
        }
    }

    /// Facts that were answered by 200.
    fn facts(&self) -> impl Iterator<Item = (&String, u64)> {
        let taken = |(id, marks)| {
            let marks: &Vec<(u64, bool)> = marks;
            marks.iter().filter(|(_, taken)| *taken).map(move |(mark, _)| (id, *mark))
        };
        self.marks.iter().flat_map(taken)
    }

    /// What was answered is there after the kill: who was marked is stopped for it, as long as the call lives. How many
    /// calls that was looked at for.
    fn counts_in(&self, view: &Value) -> usize {
        let marked: BTreeSet<&String> = self.facts().map(|(id, _)| id).collect();
        let calls = view["calls"].as_array().expect("a list").iter();
        let of_these =
            |call: &&Value| call["conversation"].as_str().is_some_and(|id| marked.contains(&id.to_owned()));
        let mut count = 0;
        for call in calls.filter(of_these) {
            assert_eq!(call["rule"], "marked", "facts that were answered are lost: {call}");
            count += 1;
        }
        count
    }

    /// Whatever was answered by 200 stands in the log.
    fn stands_in(&self, records: &[Value]) {
        let of_kind = |kind: &'static str| records.iter().filter(move |record| record["kind"] == kind);
        let text = |record: &Value, key: &str| record[key].as_str().unwrap_or_default().to_owned();
        let taken: BTreeMap<String, String> =
            of_kind("directive").map(|one| (text(one, "webhook_id"), text(one, "directive"))).collect();
        let released: BTreeSet<String> =
            of_kind("directive.released").map(|one| text(one, "directive")).collect();
        for order in &self.orders {
            let directive =
                taken.get(order).unwrap_or_else(|| panic!("the order {order} was answered and is lost"));
            assert!(released.contains(directive), "every call is over, and the order {order} is not");
        }
        let marks: BTreeSet<(String, Option<u64>)> =
            of_kind("facts").map(|one| (text(one, "conversation"), one["facts"]["mark"].as_u64())).collect();
        for (id, mark) in self.facts() {
            assert!(
                marks.contains(&(id.clone(), Some(mark))),
                "the fact {mark} of {id} was answered and is lost"
            );
        }
    }
}

/// The calls that the daemon knows, the youngest first; none where it does not answer.
async fn live(client: &reqwest::Client, health: &str) -> Option<Vec<String>> {
    let answer = client.get(format!("http://{health}/view.json")).send().await.ok()?;
    if answer.status() == 503 {
        // It did not get to it in time.
        return Some(Vec::new());
    }
    let view: Value = answer.json().await.ok()?;
    let mut calls: Vec<&Value> = view["calls"].as_array()?.iter().collect();
    calls.sort_by_key(|call| std::cmp::Reverse(call["since"].as_str()));
    Some(calls.iter().filter_map(|call| call["conversation"].as_str()).map(str::to_owned).collect())
}

/// What follows these words in a line that the daemon has said.
fn said(daemon: &players::Process, words: &str) -> String {
    let found = daemon.seen.iter().find_map(|line| message(line).split_once(words));
    found.expect("it was said").1.to_owned()
}

/// A life that is long enough for the periodic resync, and for requests that fail again and again.
fn live_long_and_die(site: &Site, proxy: &Proxy, chance: &mut Chance, meanwhile: Network) {
    let mut daemon = site.daemon();
    daemon.wait_for_message("is closed: ");
    proxy.becomes(meanwhile);
    std::thread::sleep(chance.span(Duration::from_secs(1), Duration::from_secs(8)));
    daemon.kill();
    proxy.becomes(Network::Open);
}

/// One life of a daemon, and its death: for how many calls facts of the lives before it were looked for.
fn live_and_die(site: &Site, chance: &mut Chance, posted: &mut Posted) -> usize {
    let mut daemon = site.daemon();
    // Half of them hit the start and the recovery, half the work after it; of these, a half what others order.
    if chance.strikes(0.5) {
        std::thread::sleep(chance.span(Duration::ZERO, Duration::from_millis(400)));
        daemon.kill();
        return 0;
    }
    daemon.wait_for_message("is closed: ");
    let wait = chance.span(Duration::ZERO, Duration::from_millis(250));
    if chance.strikes(0.5) {
        std::thread::sleep(wait);
        daemon.kill();
        return 0;
    }
    let health = said(&daemon, "the view at http://");
    let webhook = format!("{}/webhook", said(&daemon, "the webhook at "));
    let looked = posted.counts_in(&view(&health));
    let (begins, begun) = channel();
    std::thread::scope(|scope| {
        let posting = scope.spawn(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(posted.go_on(&health, &webhook, begins));
        });
        // Some moment of the posting, however long it takes to begin; where it never does, some moment all the same.
        begun.recv_timeout(BEGINS_WITHIN).ok();
        std::thread::sleep(wait);
        daemon.kill();
        posting.join().expect("it posts");
    });
    looked
}

fn tell(account: &Account, hits: &Hits, posted: &Posted, more: &str) {
    writeln!(
        std::io::stderr(),
        "{KILLS} kills (seed {SEED}): {} starts journaled, {} decisions, {} attempts, {} confirmed; (kills, how many) with \
         decisions open {:?}, with requests under way {:?}, backing off {:?}; {} torn lines cut; of {} posts {} orders and {} facts answered; {more}",
        account.count("daemon.started"),
        account.decisions.len(),
        account.count("attempt"),
        account.count("confirmed"),
        hits.open,
        hits.under_way,
        hits.backing_off,
        hits.torn,
        posted.sent,
        posted.orders.len(),
        posted.facts().count(),
    )
    .expect("stderr");
}

#[test]
fn two_hundred_kills_lose_nothing_double_nothing_and_leave_nothing_open() {
    let mut simulator = Simulator::start(&TRAFFIC);
    let proxy = Proxy::to(&simulator.api_url);
    let more = format!(
        "[limits]\nrequests_per_minute = 60000\n[http]\nlisten = \"127.0.0.1:0\"\n[audit]\nrotate_size = \"128KiB\"\n\
         [webhook]\nlisten = \"127.0.0.1:0\"\nsecret_file = \"webhook-secret\"\n{TIMES}{SAMPLE_POLICY}{MARKED}"
    );
    let site = Site::new(&simulator, &proxy.url(), &more);
    site.write("webhook-secret", SECRET);
    let mut chance = Chance::new(SEED);
    let (mut posted, mut looked) = (Posted::default(), 0);
    for kill in 1..=KILLS {
        if kill.is_multiple_of(LONG_EVERY) {
            let odd = kill.is_multiple_of(2 * LONG_EVERY);
            let meanwhile = if odd { Network::SocketsOnly } else { Network::Open };
            live_long_and_die(&site, &proxy, &mut chance, meanwhile);
        } else {
            looked += live_and_die(&site, &mut chance, &mut posted);
        }
    }
    let (sound, said) = site.verify();
    assert!(sound, "after {KILLS} kills: {said}");

    let mut last = site.daemon();
    let address = health_address(&mut last);
    let settled = last
        .wait_for("the gap of the kills is closed", |line| players::message(line).contains("is closed: "));
    let settled = time(&settled) + Duration::from_secs(3);
    looked += posted.counts_in(&view(&address));
    for _ in 0..10 {
        last.wait_for_message("confirmed");
    }
    let summary = simulator.run_out(&address);
    assert_eq!(last.told_to_stop(), Some(0));

    let (sound, said) = site.verify();
    assert!(sound && said.contains(" 0 open; the log is closed by a clean stop"), "{said}");
    let records = site.records();
    let account = Account::of(&records);
    assert!(account.not_ended_once().is_empty(), "left open: {:?}", account.not_ended_once());
    assert_eq!(account.count("daemon.stopped"), 1);
    assert_eq!(summary["live"], 0, "{summary}");
    posted.stands_in(&records);
    let (beyond, orders) = orders_beyond_the_log(&simulator.process.seen, &records);
    assert_eq!(beyond, [""; 0], "orders that the log does not explain");
    // Calls that ended while no daemon ran could not be helped, and others were ordered; from then on all could.
    let touched: BTreeSet<String> = records
        .iter()
        .filter(|one| one["kind"] == "directive" || one["kind"] == "facts")
        .map(|one| one["conversation"].as_str().expect("an id").to_owned())
        .collect();
    let is_touched = |one: &&Value| one["conversation"].as_str().is_some_and(|id| touched.contains(id));
    let wrong = ended_wrong(&summary, settled);
    let wrong: Vec<&Value> = wrong.into_iter().filter(|one| !is_touched(one)).collect();
    assert_eq!(wrong, [&Value::Null; 0], "ended in the wrong state");
    let hits = Hits::of(&records);
    let chain = said.lines().next().unwrap_or_default();
    tell(
        &account,
        &hits,
        &posted,
        &format!(
            "{} calls, {orders} orders came; {chain}; facts looked at after a kill {looked} times",
            summary["calls"]
        ),
    );
    assert!(account.count("daemon.started") > KILLS / 4, "most were killed before they had begun");
    assert!(
        hits.open.0 >= OPEN_AT_LEAST && hits.under_way.0 >= UNDER_WAY_AT_LEAST,
        "the kills hit nothing: {hits:?}"
    );
    assert!(hits.backing_off.0 >= BACKING_OFF_AT_LEAST, "none waited long for its next attempt: {hits:?}");
    assert!(orders >= account.decisions.len() / 2, "{orders} orders came, the rest was not told");
    assert!(posted.orders.len() >= 30 && posted.facts().count() >= 30 && looked >= 10, "{looked} {posted:?}");
}
