//! The words everything else is said in: ids, time, recording states, conversations, documents.

pub mod conversation;
pub mod diagnostic;
pub mod document;
pub mod ids;
pub mod lookalike;
pub mod recording;
pub mod time;
