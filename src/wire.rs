//! What goes over the wire, in both directions, as values: topics, requests, replies, frames.

pub mod captured;
pub mod conversation;
pub mod frame;
pub mod reply;
pub mod request;
pub mod topic;
