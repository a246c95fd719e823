//! The simulator over real HTTP.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod control;
mod faults;
mod ledger;
mod limits;
mod media;
mod program;
mod sending;
mod support;
mod updates;
