//! The data folder: one process at a time, for its owner alone, and of a version that is known.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use alertcast_core::conformance::fixtures::*;
use alertcast_core::conformance::scene::people;
use alertcast_core::store::{Collection, Documents, Intake};
use alertcast_sqlite::{OpenError, Options, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::harness::{FOLDER, child, open};
/// What the second process does; nothing where it is not one.
#[test]
fn child_opens() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let answer = SqliteStore::open(Path::new(&folder), &Options::default()).unwrap_err();
    assert!(matches!(answer, OpenError::InUse(_)), "{answer}");
    assert!(answer.to_string().contains("in use by another process"), "{answer}");
}

#[test]
fn a_second_process_is_refused() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let status = child("folder::child_opens").env(FOLDER, dir.path()).status().unwrap();
    assert!(status.success());
    drop(store);
    open(dir.path());
}

#[test]
fn folder_and_files_are_for_their_owner_alone() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("data");
    let _store = open(&folder);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_later_schema_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path()));
    database(dir.path()).pragma_update(None, "user_version", 99).unwrap();
    let answer = SqliteStore::open(dir.path(), &Options::default()).unwrap_err();
    assert!(matches!(answer, OpenError::NewerSchema { found: 99, .. }), "{answer}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("alertcast.db"), "no database at all, but long enough to be looked at".repeat(100))
        .unwrap();
    let answer = SqliteStore::open(dir.path(), &Options::default()).unwrap_err();
    assert!(matches!(answer, OpenError::Store(_)), "{answer}");
    assert!(answer.to_string().contains("unreadable"), "{answer}");
}

/// As if an earlier version had declared less and otherwise.
#[tokio::test]
async fn columns_and_indexes_are_brought_in_step_with_their_declaration() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    store.write(people(3, 1)).await.unwrap();
    drop(store);
    let before = schema(&database(dir.path()));
    database(dir.path())
        .execute_batch(
            r#"DROP INDEX "users.email_1";
               DROP INDEX "users.telegram.userId_1";
               CREATE INDEX "users.telegram.userId_1" ON users ("status");
               CREATE INDEX "users.of another time" ON users ("status");
               ALTER TABLE users DROP COLUMN "email";"#,
        )
        .unwrap();
    let store = open(dir.path());
    let found = store.find_unique(Collection::Users, &[("email", email(2).into())]).await.unwrap().unwrap();
    assert_eq!(found.get_object_id("_id").unwrap(), user_id(2).0);
    drop(store);
    assert_eq!(schema(&database(dir.path())), before);
}

#[tokio::test]
async fn a_damaged_database_is_told_as_such() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    store.write(people(200, 1)).await.unwrap();
    drop(store);
    let path = dir.path().join("alertcast.db");
    assert!(!dir.path().join("alertcast.db-wal").exists(), "the log is carried over on closing");
    let mut bytes = std::fs::read(&path).unwrap();
    // All but the first page.
    bytes[4096..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let answer = match SqliteStore::open(dir.path(), &Options::default()) {
        Ok(store) => store.page(Collection::Users, None, 1_000).await.unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(answer.contains("unreadable"), "{answer}");
}

#[tokio::test]
async fn numbers_go_on_after_opening_again() {
    let dir = TempDir::new().unwrap();
    for n in 1..=3 {
        let store = open(dir.path());
        store.accept_alert(alert(n, 1), vec![], at(0)).await.unwrap();
        assert_eq!(store.receipt_mark(config_id(1)).await, Ok(i64::from(n)));
        store.write(vec![alertcast_core::conformance::scene::insert(Collection::Users, &user(n))]).await.unwrap();
        assert_eq!(store.last_change().await, Ok(i64::from(n)));
    }
}

fn database(dir: &Path) -> Connection {
    Connection::open(dir.join("alertcast.db")).unwrap()
}

/// Tables and indexes by name. Columns that were added later stand behind the document.
fn schema(conn: &Connection) -> Vec<(String, String)> {
    let mut statement = conn
        .prepare("SELECT name, iif(type = 'table', '', coalesce(sql, '')) FROM sqlite_master ORDER BY name")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}
