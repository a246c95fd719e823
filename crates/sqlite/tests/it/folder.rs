//! The data folder: one process at a time, for its owner alone, and of a version that is known.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use alertcast_conformance::scene::{insert, people};
use alertcast_core::delivery::Channel::Telegram;
use alertcast_core::delivery::{Delivery, DeliveryState};
use alertcast_core::fixtures::*;
use alertcast_core::store::{AlertIntake, Collection, DeliveryOutbox, DocumentStore, LeaseStore};
use alertcast_sqlite::{OpenError, ReadOnly, Spool, SpoolOptions, SqliteOptions, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::harness::{FOLDER, child, open};
/// What the second process does; nothing where it is not one.
#[test]
fn child_opens() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let answer = SqliteStore::open(Path::new(&folder), &SqliteOptions::default()).unwrap_err();
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
    let answer = SqliteStore::open(dir.path(), &SqliteOptions::default()).unwrap_err();
    assert!(matches!(answer, OpenError::NewerSchema { found: 99, .. }), "{answer}");
}

/// As the release before left it: nothing stands in batches, and what is due is found by other trees.
#[tokio::test]
async fn deliveries_of_the_release_before_are_looked_at_as_they_are_and_brought_along() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let at_work = |user| Delivery { state: DeliveryState::Sending, epoch: Some(7), ..entry(Telegram, 1, 1, user) };
    let put_off = Delivery { due_at: at(90), ..entry(Telegram, 1, 1, 3) };
    let put = [entry(Telegram, 1, 1, 1), at_work(2), put_off];
    store.write(put.iter().map(|one| insert(Collection::Deliveries, one)).collect()).await.unwrap();
    drop(store);
    database(dir.path())
        .execute_batch(
            r#"DROP TABLE sending_batches; DROP INDEX "deliveries.queue"; DROP INDEX "deliveries.putOff";
            ALTER TABLE deliveries DROP COLUMN "createdAt"; PRAGMA user_version = 1"#,
        )
        .unwrap();
    let looked_at = ReadOnly::open(dir.path()).unwrap();
    assert_eq!(looked_at.page(Collection::Deliveries, None, 10).await.unwrap().len(), 3);
    drop(looked_at);
    let store = open(dir.path());
    let bot = store.take_lease(BOT, "us", None).await.unwrap().unwrap().fence();
    assert_eq!(store.recover(&bot, at(50)).await, Ok(1));
    let due = async |now| {
        let due = store.due(&lane(Telegram), at(now), 10).await.unwrap();
        due.iter().map(|one| number(one.user_id.unwrap().0)).collect::<Vec<_>>()
    };
    assert_eq!(sorted(due(60).await), [1, 2]);
    assert_eq!(store.next_due(&lane(Telegram), at(60)).await, Ok(Some(at(90))));
    assert_eq!(sorted(due(90).await), [1, 2, 3]);
    assert_eq!(store.take(&bot, &[put[0].id, put[1].id], at(60)).await.unwrap().taken.len(), 2);
    assert_eq!(due(90).await, [3]);
}

fn sorted(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.sort_unstable();
    numbers
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("alertcast.db"), "no database at all, but long enough to be looked at".repeat(100))
        .unwrap();
    let answer = SqliteStore::open(dir.path(), &SqliteOptions::default()).unwrap_err();
    assert!(matches!(answer, OpenError::NotOurs { .. }), "{answer}");
    assert!(
        answer.to_string().contains("alertcast.db is no file of Alertcast: it is no SQLite database, or a damaged one"),
        "{answer}"
    );
}

#[test]
fn an_empty_file_is_refused_and_left_as_it_is() {
    for name in ["alertcast.db", "spool.db"] {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join(name);
        std::fs::write(&file, "").unwrap();
        let answer = refusal(dir.path(), name);
        assert!(answer.contains(&format!("{name} is no file of Alertcast: it is empty")), "{answer}");
        assert_eq!(file.metadata().unwrap().len(), 0);
    }
}

#[test]
fn the_database_of_another_program_is_refused_and_left_as_it_is() {
    for name in ["alertcast.db", "spool.db"] {
        for (made, why) in [
            ("CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('theirs')", "of another program"),
            ("PRAGMA application_id = 7; CREATE TABLE t (x)", "of another program"),
            ("PRAGMA user_version = 1", "without anything in it"),
        ] {
            let dir = TempDir::new().unwrap();
            let file = dir.path().join(name);
            Connection::open(&file).unwrap().execute_batch(made).unwrap();
            let before = std::fs::read(&file).unwrap();
            let answer = refusal(dir.path(), name);
            assert!(answer.contains(why) && answer.contains("left as it is"), "{answer}");
            assert_eq!(std::fs::read(&file).unwrap(), before);
        }
    }
}

#[test]
fn a_log_without_its_database_is_refused_and_left_as_it_is() {
    for name in ["alertcast.db", "spool.db"] {
        let dir = TempDir::new().unwrap();
        let log = dir.path().join(format!("{name}-wal"));
        std::fs::write(&log, "what was accepted and not carried over").unwrap();
        let answer = refusal(dir.path(), name);
        assert!(answer.contains(&format!("{name}-wal is no file")) && answer.contains("not there"), "{answer}");
        assert!(log.exists() && !dir.path().join(name).exists());
    }
}

/// Killed at any moment of the first start, there is no file of that name, or a whole one.
#[test]
fn what_a_first_start_that_was_cut_off_has_left_is_in_nobodys_way() {
    for name in ["alertcast.db", "spool.db"] {
        for left in ["", "half of a database"] {
            let dir = TempDir::new().unwrap();
            for end in [".new", ".new-wal", ".new-shm", ".new-journal"] {
                std::fs::write(dir.path().join(format!("{name}{end}")), left).unwrap();
            }
            open_file(dir.path(), name).unwrap();
            let files: Vec<String> = std::fs::read_dir(dir.path())
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .filter(|file| file.contains(".new"))
                .collect();
            assert_eq!(files, Vec::<String>::new());
            open_file(dir.path(), name).unwrap();
        }
    }
}

fn open_file(dir: &Path, name: &str) -> Result<(), OpenError> {
    match name {
        "spool.db" => Spool::open(dir, &SpoolOptions::default()).map(drop),
        _ => SqliteStore::open(dir, &SqliteOptions::default()).map(drop),
    }
}

fn refusal(dir: &Path, name: &str) -> String {
    let answer = open_file(dir, name).unwrap_err();
    assert!(matches!(answer, OpenError::NotOurs { .. }), "{answer}");
    answer.to_string()
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
    let answer = match SqliteStore::open(dir.path(), &SqliteOptions::default()) {
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
        store.write(vec![alertcast_conformance::scene::insert(Collection::Users, &user(n))]).await.unwrap();
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
