//! Files in the data folder: whole whenever the process is killed, for their owner alone, and nobody else's.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use alertcast_conformance::scene::at_once;
use alertcast_core::store::{FILE_BYTES_MAX, FileContent, FileDigest, FileStore as _, StoreError};
use alertcast_sqlite::SqliteStore;
use tempfile::TempDir;

use crate::crash::say;
use crate::harness::{FIRST, FOLDER, count_unfinished, file_path, killed_after, open};

fn content(n: u32) -> FileContent {
    FileContent::new(n.to_le_bytes().repeat(30_000)).unwrap()
}

async fn list(store: &SqliteStore) -> Vec<FileDigest> {
    store.files(None, usize::MAX).await.unwrap()
}

/// What the process does that is killed; nothing where it is not one.
#[test]
fn child_puts_files() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let first: u32 = std::env::var(FIRST).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(open(Path::new(&folder)));
        at_once((0..3).map(|lane| put_files(Arc::clone(&store), first + lane))).await;
    });
}

/// Every third, and every fourth of them goes again.
async fn put_files(store: Arc<SqliteStore>, first: u32) {
    for n in (first..).step_by(3) {
        let content = content(n);
        store.put_file(content.clone()).await.unwrap();
        if n % 4 == 0 {
            store.delete_file(content.digest()).await.unwrap();
            say(&format!("gone {}", content.digest()));
        } else {
            say(&format!("kept {}", content.digest()));
        }
    }
}

#[tokio::test]
async fn a_killed_process_leaves_whole_files() {
    let dir = TempDir::new().unwrap();
    let mut told = HashMap::new();
    for round in 0..4 {
        let lines = killed_after("files::child_puts_files", dir.path(), round * 10_000 + 1, 20 + 15 * round as usize);
        for line in lines {
            let (what, digest) = line.split_once(' ').unwrap();
            told.insert(digest.parse::<FileDigest>().unwrap(), what == "kept");
        }
        let store = open(dir.path());
        assert_eq!(count_unfinished(dir.path()), 0, "what was not finished is removed");
        for (digest, kept) in &told {
            assert_eq!(store.read_file(*digest).await.unwrap().is_some(), *kept, "{digest}");
        }
        for digest in list(&store).await {
            assert!(store.read_file(digest).await.unwrap().is_some(), "{digest} is whole");
        }
    }
}

#[tokio::test]
async fn files_and_their_folders_are_for_their_owner_alone() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let digest = store.put_file(content(1)).await.unwrap();
    let path = file_path(dir.path(), digest);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    let shelf = path.parent().unwrap();
    for folder in [shelf, shelf.parent().unwrap(), &dir.path().join("files/unfinished")] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
}

#[tokio::test]
async fn what_is_no_file_of_ours_is_passed_over_and_left() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let digest = store.put_file(content(1)).await.unwrap();
    let path = file_path(dir.path(), digest);
    let shelf = path.parent().unwrap();
    let other = content(2).digest();
    assert_ne!(file_path(dir.path(), other).parent(), Some(shelf));
    let strangers = [
        dir.path().join("files/readme"),
        shelf.join("notes.txt"),
        shelf.join(digest.to_string().to_uppercase()),
        // The name of a file of another folder.
        shelf.join(other.to_string()),
    ];
    for stranger in &strangers {
        fs::write(stranger, "theirs").unwrap();
    }
    assert_eq!(list(&store).await, [digest]);
    store.delete_file(digest).await.unwrap();
    drop(store);
    assert_eq!(list(&open(dir.path())).await, []);
    for stranger in &strangers {
        assert_eq!(fs::read(stranger).unwrap(), b"theirs", "{}", stranger.display());
    }
}

#[tokio::test]
async fn a_file_that_was_cut_or_has_grown_is_damaged() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let digest = store.put_file(content(1)).await.unwrap();
    let path = file_path(dir.path(), digest);
    for size in [0, 119_999, 120_001, FILE_BYTES_MAX as u64 * 3] {
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(size).unwrap();
        let answer = store.read_file(digest).await;
        assert!(matches!(answer, Err(StoreError::Corrupt(_))), "{size}");
        store.put_file(content(1)).await.unwrap();
        assert!(store.read_file(digest).await.unwrap().is_some(), "{size}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_is_told() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    // A file in the folder's place: the rights of a folder would not hold back the root user.
    fs::write(dir.path().join("files"), "theirs").unwrap();
    let answer = store.put_file(content(1)).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert_eq!(list(&store).await, []);
}
