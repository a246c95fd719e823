//! What the courier's cycle costs the embedded store: due, take and record, so many rounds of thirty.
//! `cargo run --release --example courier_cycle [rounds]`, twice under `valgrind --tool=callgrind`: the difference of the
//! two counts is the rounds' between them.

#![expect(clippy::unwrap_used, reason = "a tool that measures")]

use alertcast_conformance::scene::{TELEGRAM, finish_commit, opening_commit, people};
use alertcast_core::delivery::Channel;
use alertcast_core::fixtures::*;
use alertcast_core::store::{
    AlertIntake, AttemptRecord, DeliveryOutbox, DocumentStore, LeaseStore, ProcessorStore, QuotaChange,
};
use alertcast_sqlite::{SqliteOptions, SqliteStore};

const USERS: u32 = 1_000;
const AT_ONCE: usize = 30;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rounds: u32 = std::env::args().nth(1).map_or(10, |text| text.parse().unwrap());
    let dir = tempfile::TempDir::new_in(".").unwrap();
    let store = SqliteStore::open(dir.path(), &SqliteOptions::default()).unwrap();
    fill(&store).await;
    let lease = store.take_lease(BOT, "us", None).await.unwrap().unwrap();
    let now = at(2_000);
    for _ in 0..rounds {
        let due = store.due(&lane(Channel::Telegram), now, AT_ONCE).await.unwrap();
        let due: Vec<_> = due.iter().map(|delivery| delivery.id).collect();
        let taken = store.take(&lease.fence(), &due, now).await.unwrap().taken;
        assert_eq!(taken.len(), AT_ONCE);
        let records = taken.iter().map(|taken| AttemptRecord { delivery: taken.delivery.id, outcome: sent_outcome(1) });
        store.record_attempts(&lease.fence(), records.collect(), now).await.unwrap();
    }
}

/// One alert, told to everybody.
async fn fill(store: &SqliteStore) {
    store.write(people(USERS, 1)).await.unwrap();
    let lease = store.take_lease(WORK, "us", None).await.unwrap().unwrap();
    let mut told = alert(1, 1);
    told.webhook.received_at = at(0);
    store.accept_alert(told, vec![], at(0)).await.unwrap();
    let mut chunk = opening_commit(&lease.fence(), 1, 1, 1..=USERS, TELEGRAM);
    chunk.plan.quotas = (1..=USERS).map(|user| QuotaChange { rev_seen: None, after: quota(user, 1, 1) }).collect();
    store.commit(finish_commit(chunk, at(1))).await.unwrap();
}
