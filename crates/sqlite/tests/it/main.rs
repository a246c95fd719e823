//! The embedded store: the suite that every store passes, and what only this one promises.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod harness;

alertcast_core::conformance_tests!(harness::Folder::new());
