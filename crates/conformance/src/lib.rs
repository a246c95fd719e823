//! The suite that every store adapter passes: one public function a rule, each with the rule in its name, on a store of
//! its own. What the ports' comments say is the specification; nothing here knows an engine.
//!
//! An adapter's integration tests say `alertcast_conformance::conformance_tests!(harness)`, where the expression makes a new
//! [`StoreHarness`] for each rule; each rule is then a test of its own. They need `tokio` with its macros.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test suite: a rule that does not hold ends its test")]

pub mod actions;
pub mod attempts;
pub mod batches;
pub mod changes;
pub mod chunks;
pub mod concurrency;
pub mod conflicts;
pub mod constraints;
pub mod crash;
pub mod documents;
pub mod dump;
pub mod erasing;
pub mod files;
pub mod histories;
pub mod history;
pub mod intake;
pub mod invariants;
pub mod leases;
pub mod listing;
pub mod model;
pub mod moving;
pub mod outbox;
pub mod overtaking;
pub mod random;
pub mod reading;
pub mod resending;
pub mod results;
mod rules;
pub mod scene;
pub mod secrets;
pub mod sending;
pub mod settle;
pub mod subscriptions;
pub mod taking;
pub mod unreached;
pub mod unreadable;
pub mod verbatim;
pub mod work;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use alertcast_core::store::{FileContent, FileDigest, Store};

/// How an adapter lends its store to the suite. One value serves one rule.
#[async_trait]
pub trait StoreHarness: Send + Sync {
    /// A store of its own, empty and set up. Called once.
    async fn fresh(&self) -> Arc<dyn Store>;

    /// The same data opened again after the process that had it open was cut off, without a graceful close, where the
    /// engine can show that. `store` must not be used any more.
    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store>;

    /// Another process's door to the same data, for rules about concurrency; where only one process can have it open,
    /// the same store.
    async fn beside(&self, store: &Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::clone(store)
    }

    /// Changes a byte of a file where the engine keeps it.
    async fn damage_file(&self, digest: FileDigest) {
        panic!("this harness cannot damage {digest}");
    }

    /// Leaves behind what a process leaves that dies while it puts a file.
    async fn leave_unfinished_file(&self, content: &FileContent) {
        panic!("this harness cannot leave a part of {content:?}");
    }

    /// How many such operations have left something.
    async fn count_unfinished_files(&self) -> usize {
        0
    }
}

/// No rule takes longer than this, unless it hangs.
const RULE_DURATION_MAX: Duration = Duration::from_secs(600);

/// Runs one rule, and fails it where it hangs.
pub async fn run(rule: impl Future<Output = ()>) {
    if tokio::time::timeout(RULE_DURATION_MAX, rule).await.is_err() {
        panic!("the rule did not come to an end within {RULE_DURATION_MAX:?}");
    }
}
