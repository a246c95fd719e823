//! The embedded store: the suite that every store passes, and what only this one promises.

mod harness;

alertcast_core::conformance_tests!(harness::Folder::new());
