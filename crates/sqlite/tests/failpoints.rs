//! What fails at the places named in `failpoints`. A program of its own: the places are the whole process's, and the
//! tests here take turns.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use alertcast_core::fixtures::dead;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alertcast_conformance::actions::{accept as accept_refused, close, record, resend};
use alertcast_conformance::dump::every;
use alertcast_conformance::scene::{TELEGRAM, finish_commit, opening_commit, people};
use alertcast_core::delivery::Channel::Telegram;
use alertcast_core::fixtures::*;
use alertcast_core::store::{
    AlertAcceptance, AlertIntake, AttemptRecord, Collection, DeliveryOutbox, DocumentStore, EraseUser, FileContent,
    FileStore as _, LeaseFence, LeaseStore, ListQuery, OperatorActions, ProcessorStore, StoreError,
};
use alertcast_sqlite::{SqliteOptions, SqliteStore};
use fail::FailScenario;
use tempfile::TempDir;

fn open(dir: &TempDir) -> SqliteStore {
    SqliteStore::open(dir.path(), &SqliteOptions::default()).unwrap()
}

async fn accept(store: &SqliteStore, n: u32) -> Result<AlertAcceptance, StoreError> {
    store.accept_alert(alert(n, 1), vec![own_key(n)], at(i64::from(n))).await
}

async fn is_kept(store: &SqliteStore, n: u32) -> bool {
    !store.get(Collection::Alerts, &[alert_id(n).0]).await.unwrap().is_empty()
}

/// A place, what happens there, and whether the alert is kept all the same.
const FAILURES: &[(&str, &str, bool)] = &[
    ("sqlite::log::before_write", "return", false),
    ("sqlite::log::before_write", "panic", false),
    ("sqlite::log::synced", "return", true),
    ("sqlite::log::synced", "panic", true),
    ("sqlite::accept::begin", "return", false),
    ("sqlite::accept::applied", "return", false),
    ("sqlite::accept::applied", "panic", false),
    ("sqlite::commit::before_commit", "return", false),
    ("sqlite::commit::before_commit", "panic", false),
    ("sqlite::commit::after_commit", "return", true),
    ("sqlite::commit::after_commit", "panic", true),
];

#[tokio::test]
async fn a_failure_is_told_as_unavailable_and_the_writer_lives_on() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    for (n, (place, action, is_stored)) in (1..).zip(FAILURES) {
        let scenario = FailScenario::setup();
        fail::cfg(*place, action).unwrap();
        let answer = accept(&store, n).await;
        scenario.teardown();
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{place}: {answer:?}");
        assert_eq!(is_kept(&store, n).await, *is_stored, "{place}");
        // Offered again, it is kept once.
        let again = if *is_stored { AlertAcceptance::Duplicate { of: alert_id(n) } } else { AlertAcceptance::Stored };
        assert_eq!(accept(&store, n).await, Ok(again), "{place}");
    }
    assert_eq!(store.count(Collection::Alerts).await, Ok(FAILURES.len() as u64));
}

/// With the first alert the log's first segment is made and begun.
#[tokio::test]
async fn a_segment_that_cannot_be_made_or_begun_is_tried_again() {
    for place in ["sqlite::log::made", "sqlite::log::begun"] {
        for action in ["return", "panic"] {
            let dir = TempDir::new().unwrap();
            let store = open(&dir);
            let scenario = FailScenario::setup();
            fail::cfg(place, action).unwrap();
            let answer = accept(&store, 1).await;
            scenario.teardown();
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{place} {action}: {answer:?}");
            assert!(!is_kept(&store, 1).await, "{place} {action}");
            assert_eq!(accept(&store, 1).await, Ok(AlertAcceptance::Stored), "{place} {action}");
            drop(store);
            assert!(is_kept(&open(&dir), 1).await, "{place} {action}");
        }
    }
}

fn by_receipt() -> ListQuery {
    ListQuery { sort: "webhook.receivedAt", ..ListQuery::all_of(Collection::Alerts) }
}

#[tokio::test]
async fn an_alert_whose_row_cannot_be_written_waits_in_the_log() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    for n in 1..=3 {
        accept(&store, n).await.unwrap();
    }
    let scenario = FailScenario::setup();
    fail::cfg("sqlite::rows::applied", "return").unwrap();
    let listed = store.list(&by_receipt()).await;
    assert!(matches!(listed, Err(StoreError::Unavailable(_))), "{listed:?}");
    assert_eq!(store.count(Collection::Alerts).await, Ok(3), "by their ids they are read");
    assert_eq!(accept(&store, 4).await, Ok(AlertAcceptance::Stored), "and others are taken in");
    scenario.teardown();
    assert_eq!(store.list(&by_receipt()).await.unwrap().documents.len(), 4);
}

#[tokio::test]
async fn the_mark_counts_what_is_committed_and_no_more() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    accept(&store, 1).await.unwrap();
    let scenario = FailScenario::setup();
    fail::cfg("sqlite::commit::before_commit", "return").unwrap();
    accept(&store, 2).await.unwrap_err();
    scenario.teardown();
    let mark = store.receipt_mark(config_id(1)).await.unwrap();
    assert_eq!(mark, 1);
    accept(&store, 3).await.unwrap();
    let alert = store.get(Collection::Alerts, &[alert_id(3).0]).await.unwrap().pop().unwrap();
    assert!(alert.get_document("alertcast").unwrap().get_i32("seq").unwrap() > 1);
}

#[tokio::test]
async fn who_waits_together_shares_a_commit() {
    const CALLERS: u32 = 200;
    let dir = TempDir::new().unwrap();
    let store = Arc::new(open(&dir));
    let scenario = FailScenario::setup();
    let commits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&commits);
    fail::cfg_callback("sqlite::commit::before_commit", move || {
        counted.fetch_add(1, Ordering::Relaxed);
    })
    .unwrap();
    let stall = store.stall_for_tests();
    let tasks: Vec<_> = (1..=CALLERS)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { accept(&store, n).await })
        })
        .collect();
    for _ in 0..CALLERS {
        tokio::task::yield_now().await;
    }
    drop(stall);
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(AlertAcceptance::Stored));
    }
    scenario.teardown();
    assert!(commits.load(Ordering::Relaxed) <= 2, "{commits:?}");
}

#[tokio::test]
async fn a_chunk_that_fails_halfway_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    store.write(people(3, 1)).await.unwrap();
    let fence: LeaseFence = store.take_lease(WORK, "us", None).await.unwrap().unwrap().fence();
    accept(&store, 1).await.unwrap();
    let chunk = finish_commit(opening_commit(&fence, 1, 1, 1..=3, TELEGRAM), at(2));
    for place in ["sqlite::chunk::begin", "sqlite::chunk::applied", "sqlite::commit::before_commit"] {
        let scenario = FailScenario::setup();
        fail::cfg(place, "return").unwrap();
        assert!(matches!(store.commit(chunk.clone()).await, Err(StoreError::Unavailable(_))), "{place}");
        scenario.teardown();
        for collection in [Collection::Trades, Collection::Deliveries, Collection::Decisions] {
            assert_eq!(store.count(collection).await, Ok(0), "{place} {collection}");
        }
    }
    store.commit(chunk.clone()).await.unwrap();
    assert_eq!(store.count(Collection::Trades).await, Ok(3));
    assert_eq!(store.commit(chunk).await, Err(StoreError::Conflict), "not twice");
}

/// What stands in the collections that an act changes.
async fn kept(store: &SqliteStore) -> Vec<bson::Document> {
    let mut all = Vec::new();
    for collection in [
        Collection::Users,
        Collection::UserSubscriptions,
        Collection::Trades,
        Collection::Alerts,
        Collection::Deliveries,
        Collection::AuditLog,
        Collection::UserAlertPreferences,
    ] {
        all.extend(every(store, collection).await);
    }
    all
}

#[tokio::test]
async fn an_act_by_hand_that_fails_halfway_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    store.write(people(3, 1)).await.unwrap();
    let work: LeaseFence = store.take_lease(WORK, "us", None).await.unwrap().unwrap().fence();
    let bot: LeaseFence = store.take_lease(BOT, "us", None).await.unwrap().unwrap().fence();
    accept(&store, 1).await.unwrap();
    store.commit(finish_commit(opening_commit(&work, 1, 1, 1..=2, TELEGRAM), at(2))).await.unwrap();
    let delivery = delivery_id(Telegram, 1, 2);
    store.take(&bot, &[delivery], at(3)).await.unwrap();
    store.record_attempts(&bot, vec![AttemptRecord { delivery, outcome: dead() }], at(4)).await.unwrap();
    store.refuse_alert(refused_alert(3, 1, &["too_old"]), Vec::new()).await.unwrap();
    let erase = || EraseUser { user: user_id(2), now: at(50), expect: Vec::new(), also: record(4) };
    let before = kept(&store).await;
    for stage in ["begin", "applied"] {
        for (op, n) in [("close", 1), ("resend", 2), ("reaccept", 3), ("erase", 4)] {
            let scenario = FailScenario::setup();
            fail::cfg(format!("sqlite::{op}::{stage}"), "return").unwrap();
            let answer = match n {
                1 => store.close_trade(close(1, 1, 1)).await,
                2 => store.resend(resend(record(2))).await.map(drop),
                3 => store.accept_refused(accept_refused(record(3))).await,
                _ => store.erase_user(erase()).await.map(drop),
            };
            scenario.teardown();
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{op} {stage}: {answer:?}");
            assert_eq!(kept(&store).await, before, "{op} {stage}");
        }
    }
    store.close_trade(close(1, 1, 1)).await.unwrap();
    store.resend(resend(record(2))).await.unwrap();
    store.accept_refused(accept_refused(record(3))).await.unwrap();
    store.erase_user(erase()).await.unwrap();
    assert_eq!(store.count(Collection::AuditLog).await, Ok(4));
}

#[tokio::test]
async fn a_file_whose_keeping_fails_is_whole_or_not_there() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let unfinished = dir.path().join("files/unfinished");
    for (n, (stage, stands)) in (1..).zip([("written", false), ("synced", false), ("renamed", true)]) {
        for (m, action) in (1..).zip(["return", "panic"]) {
            let content = FileContent::new(vec![n, m]).unwrap();
            let scenario = FailScenario::setup();
            fail::cfg(format!("sqlite::files::{stage}"), action).unwrap();
            let answer = store.put_file(content.clone()).await;
            scenario.teardown();
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{stage} {action}: {answer:?}");
            let kept = store.read_file(content.digest()).await;
            assert_eq!(kept, Ok(stands.then(|| vec![n, m])), "{stage} {action}");
            assert_eq!(std::fs::read_dir(&unfinished).unwrap().count(), 0, "{stage} {action}");
            assert_eq!(store.put_file(content.clone()).await, Ok(content.digest()), "{stage} {action}");
            assert_eq!(store.read_file(content.digest()).await, Ok(Some(vec![n, m])), "{stage} {action}");
        }
    }
}

#[tokio::test]
async fn chunks_of_one_call_that_break_off_between_two_leave_nothing() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    store.write(people(3, 1)).await.unwrap();
    let fence: LeaseFence = store.take_lease(WORK, "us", None).await.unwrap().unwrap().fence();
    let mut chunks = Vec::new();
    for n in 1..=3 {
        accept(&store, n).await.unwrap();
        let mut chunk = finish_commit(opening_commit(&fence, n, 1, 1..=3, TELEGRAM), at(9));
        chunk.plan.open_seen = None;
        chunks.push(chunk);
    }
    for action in ["1*off->return", "1*off->panic"] {
        let scenario = FailScenario::setup();
        fail::cfg("sqlite::chunk::each", action).unwrap();
        let outcomes = store.commit_all(chunks.clone()).await;
        scenario.teardown();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(StoreError::Unavailable(_)))), "{outcomes:?}");
        assert_eq!(store.count(Collection::Trades).await, Ok(0), "{action}");
    }
    assert_eq!(store.commit_all(chunks).await, [Ok(()), Ok(()), Ok(())]);
    assert_eq!(store.count(Collection::Trades).await, Ok(9));
}
