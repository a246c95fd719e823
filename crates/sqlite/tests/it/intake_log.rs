//! What only the intake log promises: what is answered is read at once by every way, whatever a crash leaves of it.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use alertcast_conformance::scene::set;
use alertcast_core::alert::document::Alert;
use alertcast_core::fixtures::*;
use alertcast_core::store::{
    AlertAcceptance, AlertIntake, Collection, DocumentStore, DocumentWrite, ListQuery, ProcessorStore, list_all,
};
use alertcast_sqlite::{OpenError, ReadOnly, SqliteOptions, SqliteStore, count_alerts_without_rows};
use bson::doc;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::harness::{intake_logs, open};

async fn accept(store: &SqliteStore, n: u32) {
    let answer = store.accept_alert(alert(n, 1), vec![own_key(n)], at(1)).await;
    assert_eq!(answer, Ok(AlertAcceptance::Stored), "{n}");
}

/// What a process that is cut off at this moment leaves.
fn copy(dir: &Path) -> TempDir {
    let left = TempDir::new().unwrap();
    for file in intake_logs(dir).into_iter().chain(["alertcast.db-wal", "alertcast.db"].map(|name| dir.join(name))) {
        fs::copy(&file, left.path().join(file.file_name().unwrap())).unwrap();
    }
    left
}

fn database(dir: &Path) -> Connection {
    Connection::open(dir.join("alertcast.db")).unwrap()
}

fn rows(dir: &Path) -> i64 {
    database(dir).query_row("SELECT count(*) FROM alerts", [], |row| row.get(0)).unwrap()
}

fn by_receipt() -> ListQuery {
    ListQuery { sort: "webhook.receivedAt", ..ListQuery::all_of(Collection::Alerts) }
}

#[tokio::test]
async fn what_has_no_row_yet_is_read_by_every_way() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    for n in [2, 1, 3] {
        accept(&store, n).await;
    }
    let beside = ReadOnly::open(dir.path()).unwrap();
    assert_eq!(count_alerts_without_rows(dir.path()).unwrap(), 3);
    assert_eq!(beside.count(Collection::Alerts).await, Ok(3));
    let page = beside.page(Collection::Alerts, Some(alert_id(1).0), 1).await.unwrap();
    assert_eq!(page[0].get_object_id("_id").unwrap(), alert_id(2).0);
    assert_eq!(store.count(Collection::Alerts).await, Ok(3));
    assert_eq!(store.page(Collection::Alerts, Some(alert_id(1).0), 1).await.unwrap(), page);
    assert_eq!(store.get(Collection::Alerts, &[alert_id(3).0, alert_id(9).0]).await.unwrap().len(), 1);
    let pending = store.pending_alerts(&(0..64).collect::<Vec<_>>(), &[], 2).await.unwrap();
    assert_eq!(pending.iter().map(|alert| alert.id).collect::<Vec<_>>(), [alert_id(2), alert_id(1)], "by their places");
    // By a field: for that they get their rows.
    let listed = list_all(&store, by_receipt()).await.unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(rows(dir.path()), 3);
    assert_eq!(count_alerts_without_rows(dir.path()).unwrap(), 0);
    assert_eq!(beside.count(Collection::Alerts).await, Ok(3), "once");
    assert_eq!(store.pending_alerts(&(0..64).collect::<Vec<_>>(), &[], 2).await.unwrap(), pending);
}

#[tokio::test]
async fn what_nobody_works_on_gets_its_row_by_and_by() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    for n in 1..=300 {
        accept(&store, n).await;
    }
    for _ in 0..200 {
        if rows(dir.path()) == 300 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{} of 300", rows(dir.path()));
}

#[tokio::test]
async fn a_crash_leaves_the_alerts_of_the_log_with_their_keys_and_places() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    for n in 1..=5 {
        accept(&store, n).await;
    }
    let left = copy(dir.path());
    // And again: what was replayed is not replayed as something else.
    for _ in 0..2 {
        let store = open(left.path());
        assert_eq!(store.count(Collection::Alerts).await, Ok(5));
        assert_eq!(store.count(Collection::IntakeKeys).await, Ok(5));
        let again = store.accept_alert(alert(9, 1), vec![own_key(5)], at(2)).await;
        assert_eq!(again, Ok(AlertAcceptance::Duplicate { of: alert_id(5) }));
        assert_eq!(store.receipt_mark(config_id(1)).await, Ok(5));
    }
}

#[tokio::test]
async fn an_alert_that_was_deleted_does_not_come_back_from_the_log() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    for n in 1..=3 {
        accept(&store, n).await;
    }
    let delete = |n: u32| DocumentWrite::Delete { collection: Collection::Alerts, id: alert_id(n).0 };
    // One that has no row, and one that has.
    store.write(vec![delete(1)]).await.unwrap();
    store.write(vec![set(Collection::Alerts, alert_id(2), doc! { "alertData.strategy": "other" })]).await.unwrap();
    store.write(vec![delete(2)]).await.unwrap();
    assert_eq!(store.count(Collection::Alerts).await, Ok(1));
    let left = copy(dir.path());
    assert_eq!(ReadOnly::open(left.path()).unwrap().count(Collection::Alerts).await, Ok(1));
    for _ in 0..2 {
        let store = open(left.path());
        assert_eq!(store.count(Collection::Alerts).await, Ok(1));
        assert_eq!(store.find_duplicate(&[own_key(1)], at(2)).await, Ok(Some(alert_id(1))), "its key is held");
    }
}

/// Larger than any that comes: a few of them fill a segment.
fn large(n: u32) -> Alert {
    let mut offered = alert(n, 1);
    offered.webhook.raw_payload.insert("_text", "x".repeat(200_000));
    offered
}

#[tokio::test]
async fn segments_are_used_again_and_hold_whatever_is_not_applied() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    for n in 1..=60 {
        store.accept_alert(large(n), vec![own_key(n)], at(1)).await.unwrap();
    }
    let left = copy(dir.path());
    let reopened = open(left.path());
    assert_eq!(reopened.count(Collection::Alerts).await, Ok(60));
    assert_eq!(rows(left.path()), 60);
    for n in 61..=200 {
        store.accept_alert(large(n), vec![own_key(n)], at(1)).await.unwrap();
        // They get their rows: the log does not grow.
        store.list(&by_receipt()).await.unwrap();
    }
    assert!(intake_logs(dir.path()).len() <= 8, "{:?}", intake_logs(dir.path()));
    let left = copy(dir.path());
    assert_eq!(open(left.path()).count(Collection::Alerts).await, Ok(200));
}

#[tokio::test]
async fn a_torn_end_is_cut_off_and_damage_before_it_stops_the_start() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    for n in 1..=3 {
        accept(&store, n).await;
    }
    let left = copy(dir.path());
    let [log] = &intake_logs(left.path())[..] else { panic!("one segment") };
    let whole = fs::read(log).unwrap();
    // A batch each, from a page on; the file's header has the first.
    for (page, expected) in [(3, Some(2)), (2, None), (1, None), (0, None)] {
        let folder = copy(left.path());
        let log = folder.path().join(log.file_name().unwrap());
        fs::OpenOptions::new().write(true).open(&log).unwrap().write_all_at(&[0xa5], page * 4096 + 40).unwrap();
        match (SqliteStore::open(folder.path(), &SqliteOptions::default()), expected) {
            (Ok(store), Some(expected)) => assert_eq!(store.count(Collection::Alerts).await, Ok(expected)),
            // The header's page has nothing that counts at that place.
            (Ok(store), None) => assert_eq!((page, store.count(Collection::Alerts).await), (0, Ok(3))),
            (Err(OpenError::DamagedIntakeLog { file, .. }), None) => {
                assert_eq!(file, log);
                assert_ne!(fs::read(&log).unwrap(), whole, "it is left as it is");
            }
            (answer, _) => panic!("{page}: {answer:?}"),
        }
    }
}

/// The data of the release before: schema 1, keys as documents, no log.
#[tokio::test]
async fn a_folder_of_the_release_before_goes_on_with_its_keys() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    for n in 1..=2 {
        accept(&store, n).await;
    }
    drop(store);
    intake_logs(dir.path()).into_iter().for_each(|log| fs::remove_file(log).unwrap());
    let conn = database(dir.path());
    conn.execute_batch(
        r#"DROP TABLE intake_claims; DROP TABLE intake_deleted; DROP TABLE IF EXISTS sending_batches;
           DROP INDEX "alerts.pending"; PRAGMA user_version = 1"#,
    )
    .unwrap();
    for n in 1..=2 {
        let key = own_key(n);
        let document = doc! { "_id": &key.key, "alertId": alert_id(n).0, "until": key.until };
        let row = (&key.key, key.until.millis(), document.to_vec().unwrap());
        conn.execute(r#"INSERT INTO intake_keys ("_id", "until", doc) VALUES (?1, ?2, ?3)"#, row).unwrap();
    }
    drop(conn);
    for _ in 0..2 {
        let store = open(dir.path());
        assert_eq!(store.count(Collection::Alerts).await, Ok(2));
        assert_eq!(store.count(Collection::IntakeKeys).await, Ok(2));
        let again = store.accept_alert(alert(9, 1), vec![own_key(2)], at(2)).await;
        assert_eq!(again, Ok(AlertAcceptance::Duplicate { of: alert_id(2) }));
        assert_eq!(store.pending_alerts(&(0..64).collect::<Vec<_>>(), &[], 9).await.unwrap().len(), 2);
    }
}
