//! The writer's waiting line: what is cancelled there, what shares a commit, and what failure does not touch.

use std::sync::Arc;
use std::time::Duration;

use alertcast_conformance::scene::{insert, people};
use alertcast_core::fixtures::*;
use alertcast_core::store::{AlertAcceptance, AlertIntake, Collection, DocumentStore, StoreError};
use alertcast_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::harness::open;

async fn accept(store: &SqliteStore, n: u32) -> Result<AlertAcceptance, StoreError> {
    store.accept_alert(alert(n, 1), vec![own_key(n)], at(i64::from(n))).await
}

async fn is_kept(store: &SqliteStore, n: u32) -> bool {
    !store.get(Collection::Alerts, &[alert_id(n).0]).await.unwrap().is_empty()
}

#[tokio::test]
async fn an_alert_whose_sender_has_given_up_is_not_written() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let stall = store.stall_for_tests();
    let given_up = timeout(Duration::from_millis(50), accept(&store, 1)).await;
    assert!(given_up.is_err(), "the writer is stalled");
    drop(stall);
    assert_eq!(accept(&store, 2).await, Ok(AlertAcceptance::Stored));
    assert!(!is_kept(&store, 1).await);
    assert!(is_kept(&store, 2).await);
    assert_eq!(accept(&store, 1).await, Ok(AlertAcceptance::Stored), "its key is free");
}

#[tokio::test]
async fn reading_goes_on_while_the_writer_is_stalled() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    accept(&store, 1).await.unwrap();
    let _stall = store.stall_for_tests();
    let duplicate = timeout(Duration::from_secs(20), store.find_duplicate(&[own_key(1)], at(1))).await.unwrap();
    assert_eq!(duplicate, Ok(Some(alert_id(1))));
    assert_eq!(store.receipt_mark(config_id(1)).await, Ok(1));
}

#[tokio::test]
async fn what_fails_takes_nothing_of_its_group_with_it() {
    let dir = TempDir::new().unwrap();
    let store = Arc::new(open(dir.path()));
    store.write(people(1, 1)).await.unwrap();
    let stall = store.stall_for_tests();
    let tasks: Vec<_> = (1..=40)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                match n % 4 {
                    0 => store.write(vec![insert(Collection::Users, &user(1))]).await.is_err(),
                    1 => store.write(vec![insert(Collection::Users, &user(n))]).await.is_ok() || n == 1,
                    _ => accept(&store, n).await == Ok(AlertAcceptance::Stored),
                }
            })
        })
        .collect();
    tokio::task::yield_now().await;
    drop(stall);
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(store.count(Collection::Alerts).await, Ok(20));
    assert_eq!(store.count(Collection::Users).await, Ok(10));
}
