//! What others call and look at.

pub mod ask;
