//! The `recwarden` program.

fn main() {}
