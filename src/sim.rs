//! The simulator: a Genesys Cloud contact centre in memory, with its calls and its seeded misfortune.
//!
//! ```text
//!   sim::traffic  what callers and agents do next ─▶ sim::life ─▶ sim::call   one conversation, and the truth of it
//!                                                                    │ changed
//!   HTTP request ─▶ sim::platform ─▶ one desk (oauth, notifications, ...) ─▶ sim::world ─▶ frames for sockets
//! ```
//!
//! [`platform::Platform`] is driven from outside: requests, socket texts and the time go in, answers and
//! frames come out. It reads no clock and draws only from its seed, so the same seed and the same inputs
//! give the same run; `server` puts it on loopback.
//!
//! It writes platform JSON by itself and never uses `wire`, so that one's mistake can't hide the other's.

pub mod access;
pub mod account;
pub mod agenda;
pub mod call;
pub mod channels;
pub mod charter;
pub mod demand;
pub mod desk;
pub mod disk;
pub mod doorway;
pub mod faults;
pub mod happening;
pub mod life;
pub mod org;
pub mod plan;
pub mod platform;
pub mod oracle;
pub mod stage;
pub mod drill;
pub mod post;
pub mod random;
pub mod reaction;
pub mod recorder;
pub mod roster;
pub mod scenario;
pub mod server;
pub mod shape;
pub mod traffic;
pub mod web;
pub mod world;
