//! The policy: what the rules say of a conversation as it is known now.

pub mod rule;
pub mod subject;
pub mod expression;
pub mod condition;
pub mod index;
pub mod decide;
pub mod analysis;
pub mod file;
pub mod compile;
pub mod explain;
pub mod example;
