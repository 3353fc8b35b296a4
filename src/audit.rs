//! The audit log: what is remembered, how it is written, linked and verified.

pub mod record;
pub mod redact;
pub mod tell;
pub mod chain;
pub mod claim;
pub mod history;
pub mod log;
