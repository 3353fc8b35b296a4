//! The policy: what the rules say of a conversation as it is known now.

pub mod decide;
pub mod rule;
