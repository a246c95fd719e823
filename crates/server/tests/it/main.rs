//! The server's parts together: real store, real sockets, a stand-in for Telegram.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

mod api;
mod cli;
mod courier;
mod crash;
#[cfg(feature = "failpoints")]
mod defects;
mod e2e;
mod email;
mod faults;
mod harness;
mod http_server;
mod many;
mod metrics;
mod operator;
mod readiness;
mod replay;
mod spool;
mod strangers;
mod support;
mod sync;
mod webhook;
