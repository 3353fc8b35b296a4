//! The shell: thin, and the only place with clocks, sockets, files and signals.

pub mod api;
pub mod capturing;
pub mod clock;
pub mod events;
pub mod facts;
pub mod folder;
pub mod journal;
pub mod salt;
pub mod signals;
pub mod socket;
pub mod supervisor;
pub mod token;
