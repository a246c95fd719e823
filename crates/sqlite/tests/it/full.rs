//! A full disk: nothing half written, a clear answer, and work goes on by itself once there is room.

use alertcast_core::fixtures::*;
use alertcast_core::store::{
    AlertAcceptance, AlertIntake, Collection, DeliveryOutbox, DocumentStore, RejectedWebhook, StoreError,
};
use alertcast_sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

const PAGES_MAX: u32 = 400;

fn rejected(n: u32) -> RejectedWebhook {
    RejectedWebhook {
        id: oid(14, 0, n),
        received_at: at(0),
        ip_address: None,
        body: "x".repeat(30_000),
        query: String::new(),
        errors: vec![],
        status: 400,
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_got_over() {
    let dir = TempDir::new().unwrap();
    let options = SqliteOptions { pages_max: Some(PAGES_MAX), ..SqliteOptions::default() };
    let store = SqliteStore::open(dir.path(), &options).unwrap();
    store.accept_alert(alert(1, 1), vec![own_key(1)], at(1)).await.unwrap();
    let mut kept = 0;
    let failure = loop {
        match store.reject_webhook(rejected(kept), vec![]).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < PAGES_MAX, "it never filled up");
    };
    assert!(matches!(&failure, StoreError::Unavailable(why) if why.contains("full")), "{failure}");
    // Nothing of the failed write is there, and everything else still is.
    assert_eq!(store.count(Collection::RejectedWebhooks).await, Ok(u64::from(kept)));
    assert_eq!(store.find_duplicate(&[own_key(1)], at(1)).await, Ok(Some(alert_id(1))));
    // What a full disk refuses is refused again, and the writer lives on.
    assert!(store.reject_webhook(rejected(kept), vec![]).await.is_err());
    while store.purge(at(0), at(10), at(0), 10).await.unwrap() {}
    assert_eq!(store.accept_alert(alert(2, 1), vec![own_key(2)], at(2)).await, Ok(AlertAcceptance::Stored));
    store.reject_webhook(rejected(kept), vec![]).await.unwrap();
    assert_eq!(store.count(Collection::RejectedWebhooks).await, Ok(1));
}

/// One write that does not fit, among others that do.
#[tokio::test]
async fn what_does_not_fit_fails_alone_or_with_its_group_but_never_halfway() {
    let dir = TempDir::new().unwrap();
    let options = SqliteOptions { pages_max: Some(PAGES_MAX), ..SqliteOptions::default() };
    let store = std::sync::Arc::new(SqliteStore::open(dir.path(), &options).unwrap());
    let stall = store.stall_for_tests();
    let tasks: Vec<_> = (0..120)
        .map(|n| {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move { (n, store.reject_webhook(rejected(n), vec![]).await.is_ok()) })
        })
        .collect();
    tokio::task::yield_now().await;
    drop(stall);
    for task in tasks {
        let (n, answered) = task.await.unwrap();
        let found = store.get(Collection::RejectedWebhooks, &[rejected(n).id]).await.unwrap();
        assert_eq!(!found.is_empty(), answered, "{n}");
    }
    assert_eq!(
        store.accept_alert(alert(1, 1), vec![], at(1)).await.is_ok(),
        store.count(Collection::Alerts).await == Ok(1)
    );
}
