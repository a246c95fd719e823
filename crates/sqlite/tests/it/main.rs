//! The embedded store: the suite that every store passes, and what only this one promises.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not as it should be")]

mod crash;
mod files;
mod folder;
mod full;
mod harness;
mod inspect;
mod intake_log;
mod line;
mod spool;

mod conformance {
    use crate::harness;

    alertcast_conformance::conformance_tests!(harness::Folder::new());
}
