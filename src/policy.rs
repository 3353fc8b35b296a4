//! The policy: what the rules say of a conversation as it is known now.

pub mod compile;
pub mod decide;
pub mod expression;
pub mod file;
pub mod rule;
