//! The `alertcast` program.

fn main() {}
