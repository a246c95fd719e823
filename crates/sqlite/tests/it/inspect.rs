//! Looking at a store from outside: beside the program, and when there is none.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use alertcast_conformance::scene::people;
use alertcast_core::store::{Collection, DocumentStore};
use alertcast_sqlite::{FileSoundness, OpenError, ReadOnly, inspect, is_in_use};
use tempfile::TempDir;

use crate::harness::open;

fn look(dir: &Path, stop: bool) -> Result<alertcast_sqlite::DatabaseInspection, OpenError> {
    inspect(dir, &Arc::new(AtomicBool::new(stop)))
}

#[tokio::test]
async fn what_is_committed_is_read_beside_the_program_and_after_it() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    store.write(people(3, 1)).await.unwrap();
    assert!(is_in_use(dir.path()).unwrap());
    let beside = ReadOnly::open(dir.path()).unwrap();
    assert_eq!(beside.count(Collection::Users).await, Ok(3));
    assert_eq!(beside.page(Collection::Users, None, 10).await, store.page(Collection::Users, None, 10).await);
    assert_eq!(look(dir.path(), false).unwrap().soundness, FileSoundness::Sound);
    let users = store.page(Collection::Users, None, 10).await;
    drop(store);
    assert!(!is_in_use(dir.path()).unwrap());
    assert_eq!(beside.page(Collection::Users, None, 10).await, users);
    drop(beside);
    let after = ReadOnly::open(dir.path()).unwrap();
    assert_eq!(after.page(Collection::Users, None, 10).await, users);
    let found = look(dir.path(), false).unwrap();
    assert_eq!((found.schema, &found.soundness), (found.schema_known, &FileSoundness::Sound));
    assert_eq!(found.bytes, dir.path().join("alertcast.db").metadata().unwrap().len());
}

#[tokio::test]
async fn looking_changes_nothing_of_the_database() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    store.write(people(3, 1)).await.unwrap();
    drop(store);
    let file = dir.path().join("alertcast.db");
    let before = std::fs::read(&file).unwrap();
    ReadOnly::open(dir.path()).unwrap().count(Collection::Users).await.unwrap();
    look(dir.path(), false).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), before);
    // And the program opens it as ever.
    assert_eq!(open(dir.path()).count(Collection::Users).await, Ok(3));
}

#[tokio::test]
async fn what_a_crash_left_in_the_log_is_read_too() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    store.write(people(3, 1)).await.unwrap();
    let left = TempDir::new().unwrap();
    for file in ["alertcast.db-wal", "alertcast.db"] {
        std::fs::copy(dir.path().join(file), left.path().join(file)).unwrap();
    }
    assert_eq!(ReadOnly::open(left.path()).unwrap().count(Collection::Users).await, Ok(3));
}

#[tokio::test]
async fn damage_is_told_and_a_check_can_be_stopped() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    store.write(people(2_000, 1)).await.unwrap();
    drop(store);
    assert_eq!(look(dir.path(), true).unwrap().soundness, FileSoundness::Unfinished);
    let path = dir.path().join("alertcast.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(look(dir.path(), false).unwrap().soundness, FileSoundness::Broken(lines) if !lines.is_empty()));
}

#[test]
fn where_there_is_no_store_nothing_is_made() {
    let dir = TempDir::new().unwrap();
    assert!(look(dir.path(), false).is_err() && ReadOnly::open(dir.path()).is_err());
    assert!(!is_in_use(dir.path()).unwrap());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
