//! The MongoDB adapter against a real server: the conformance suite, and what only this engine has to show. The server
//! is the one that `ALERTCAST_TEST_MONGODB_URI` names; `./test` starts one. Each test has a database of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not as it should be")]

mod connecting;
mod faults;
mod files;
mod losing_the_way;
mod mongoose;
mod setup;
mod support;
mod watching;

mod conformance {
    alertcast_conformance::conformance_tests!(crate::support::MongoHarness::new());
}
