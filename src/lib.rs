//! recwarden keeps the recording of every Genesys Cloud conversation in the state a policy demands,
//! and can prove it afterwards.
//!
//! # The one natural way
//!
//! ```text
//!   socket text ─▶ wire::frame ─▶ warden::session   keeps channel, socket and subscriptions alive
//!                      │
//!                      ▼ conversation snapshot
//!                warden::book      every live conversation as it stands
//!                      ▼
//!                policy::decide    ─▶ verdict { start | stop | leave, rule, reason }
//!                      ▼
//!                warden::plan      verdict × observed × attempts ─▶ act, wait, leave, give up
//!                      ▼ action
//!                warden::worklist  one action per conversation, stops first, due when allowed
//!                      ▼ request
//!                io::api           ─▶ reply or fault ─▶ back in at the top
//!    an audit::record is written at every arrow that has a consequence, durable BEFORE the request it explains
//! ```
//!
//! # The map
//!
//! Modules in reading order: **a module imports only modules above it.** `*` is pure: no clock, no
//! random source, no tokio, no file. A private part of a module belongs to the module's row. `tests/architecture.rs` reads this table and holds the line.
//!
//! | floor | module | in one sentence |
//! | --- | --- | --- |
//! | 1 words | `model::ids` * | opaque ids |
//! | | `model::time` * | `Mono`, `Wall`, `Now`: time as a value |
//! | | `model::recording` * | recording state as observed and as wanted |
//! | | `model::conversation` * | conversation and participants, with the questions that rules ask of them |
//! | | `model::lookalike` * | characters that look like others, or like nothing |
//! | | `model::diagnostic` * | what is wrong at a place in a file, as people see it |
//! | | `model::document` * | a TOML document with the place of everything in it, and diagnostics that point there |
//! | 2 wire | `wire::topic` * | topics packed to a channel's limits |
//! | | `wire::conversation` * | event or REST body to conversation, tolerant, saying what was odd |
//! | | `wire::frame` * | socket text to heartbeat, pong, closing, system, conversation, unknown |
//! | | `wire::captured` * | one entry of an event file |
//! | | `wire::request` * | each request we can make to method, path, body |
//! | | `wire::reply` * | status, headers, body to reply or fault |
//! | 3 policy | `policy::rule` * | a rule as meant |
//! | | `policy::subject` * | what rules look at |
//! | | `policy::expression` * | CEL, typed against the schema, reading the conversation in place |
//! | | `policy::condition` * | what one rule asks of a conversation |
//! | | `policy::index` * | which rules can match |
//! | | `policy::decide` * | conversation to matched rules and verdict |
//! | | `policy::analysis` * | what is odd about rules that are each correct |
//! | | `policy::file` * | the rules file as written |
//! | | `policy::compile` * | as written to as meant, or all mistakes with their places |
//! | | `policy::example` * | rule tests as written to tests as meant |
//! | | `policy::explain` * | why each rule matches or does not: what it saw and what it needed |
//! | 3 audit | `audit::record` * | what is remembered and its written form |
//! | | `audit::redact` * | which values the log has as salted hashes only |
//! | | `audit::tell` * | records in plain words |
//! | | `audit::chain` * | link, sign, verify |
//! | | `audit::claim` * | what a log says would be given back |
//! | | `audit::history` * | what a log says is still in force, and the order promise |
//! | | `audit::log` * | the log as lines in files on any disk: framing, rotation, recovery |
//! | 4 warden | `warden::dice` * | chance, from a seed: jitter and ids of decisions |
//! | | `warden::backoff` * | when to try again |
//! | | `warden::allowance` * | how many requests may go now |
//! | | `warden::session` * | channel to socket to subscribed to lost, with a deadline for each wait; rotation |
//! | | `warden::directory` * | which queues and users the subscription covers |
//! | | `warden::latch` * | `until`, `after`, `at_most` |
//! | | `warden::unseen` * | orders that were sent and not seen in effect yet |
//! | | `warden::book` * | every live conversation as it stands, with what holds on it |
//! | | `warden::survey` * | the resync, the gaps it closes, and second looks at what an event may tell too late |
//! | | `warden::sight` * | whether anything is seen, and what follows where it is not |
//! | | `warden::brake` * | how many changes may be made now |
//! | | `warden::permission` * | where starts and stops are not permitted, and whom that keeps waiting |
//! | | `warden::plan` * | verdict, observed state and attempts to the next step |
//! | | `warden::worklist` * | one entry per conversation, stops first, due when allowed |
//! | | `warden` * | `handle(input, now)`, `poll_output()`, `next_wakeup()` |
//! | | `warden::rehearsal` * | verdicts over time, where every call succeeds at once |
//! | | `warden::trial` * | one rule test, tried |
//! | | `warden::backtest` * | one policy, or two, over captured events |
//! | 5 shell | `io::clock` | reads the clocks, and draws the seed of chance |
//! | 5 simulator | `sim::random` * | chance, from a seed |
//! | | `sim::disk` * | a disk that loses, tears, fills up, and fails to sync |
//! | | `sim::web` * | requests and answers as values, and the platform's error body |
//! | | `sim::agenda` * | what comes next, and when |
//! | | `sim::faults` * | seeded misfortune |
//! | | `sim::org` * | queues and agents |
//! | | `sim::plan` * | what a simulation is to be |
//! | | `sim::recorder` * | the recorders of a call, and what they put on tape together |
//! | | `sim::call` * | one conversation, and the truth of it over time |
//! | | `sim::life` * | what can happen in a call, and orders to its recorders |
//! | | `sim::traffic` * | the whole life of a call, written from the seed |
//! | | `sim::shape` * | a call as the platform writes it |
//! | | `sim::happening` * | one thing that happened, for people who watch |
//! | | `sim::access` * | the client, its tokens, their rate limit |
//! | | `sim::channels` * | notification channels, subscriptions, sockets |
//! | | `sim::post` * | what goes out to sockets |
//! | | `sim::oracle` * | what the sample policy means, told from the truth of a call |
//! | | `sim::roster` * | which agents are free |
//! | | `sim::reaction` * | how soon orders follow the events that call for them |
//! | | `sim::world` * | all that the platform holds, and its agenda |
//! | | `sim::desk` * | the REST API, a desk for each part |
//! | | `sim::platform` * | a contact centre in memory, as its clients see it |
//! | | `sim::account` * | what a simulation comes to: the calls in a wrong state, and for how long |
//! | | `sim::charter` * | policies as data, drawn from a seed |
//! | | `sim::demand` * | what a drawn policy demands of a call, told from its truth |
//! | | `sim::stage` * | the warden against the platform on a virtual clock, with its promises checked |
//! | | `sim::drill` * | somebody's own policy on the stage, and for how long a recording was not as it wants |
//! | | `sim::scenario` | a scenario file, as arguments of the command line |
//! | | `sim::doorway` | the connections of the port |
//! | | `sim::server` | the platform on loopback, for `demo`, `simulate` and foreign clients |
//! | 5 shell | `io::token` | the access token, renewed before it expires, and secrets that do not print |
//! | | `io::api` | sends one request |
//! | | `io::socket` | text in and out |
//! | | `io::events` | event files, entry by entry |
//! | | `io::capturing` | the files of a capture |
//! | | `io::folder` | makes folders durably |
//! | | `io::facts` | keeps facts raw until their conversation ends |
//! | | `io::salt` | the salt of redaction, made once |
//! | | `io::journal` | appends durably, recovers at the start |
//! | | `io::signals` | signals of the operating system |
//! | | `io::supervisor` | word to systemd |
//! | | `http::ask` | what others may ask of the daemon, as messages |
//! | | `http::doorkeeper` | how many may be let in, and how long they may be silent |
//! | | `http::order` | the body of an order, read |
//! | | `http::refusal` | why a request is refused, with its status |
//! | | `http::secret` | who may ask: bearer and signature |
//! | | `http::seen` | requests seen before, with their answers |
//! | | `http::page` | the page at `/`, for people |
//! | | `http::health` | health, metrics and the view of what is going on |
//! | | `http::webhook` | orders and facts from other systems |
//! | | `http::control` | orders by hand, through a Unix socket |
//! | | `http` | the doors: a router for each |
//! | 6 | `settings` | file to each part's own settings, all mistakes at once |
//! | | `daemon` | the loop: one closed enum of events in, outputs performed in order, drain on stop |
//! | 7 | `command` | the command line: options, exit codes, one file for each command |

pub mod model;
pub mod wire;
pub mod policy;
pub mod audit;
pub mod warden;
pub mod sim;
pub mod io;
pub mod http;
pub mod settings;
pub mod daemon;
pub mod command;
