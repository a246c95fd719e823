//! Stores in folders of their own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use alertcast_core::conformance::Harness;
use alertcast_core::store::Store;
use alertcast_sqlite::{Options, SqliteStore};
use async_trait::async_trait;
use tempfile::TempDir;

/// Opens a store with the options that small tests need.
pub(crate) fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, &Options { cache_kib: 4096, readers: 2, ..Options::default() }).unwrap()
}

/// A store's folder, as the suite asks for it.
#[derive(Debug)]
pub(crate) struct Folder {
    /// The one in use is the last.
    folders: Mutex<Vec<TempDir>>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { folders: Mutex::new(vec![TempDir::new().unwrap()]) }
    }
}

#[async_trait]
impl Harness for Folder {
    async fn fresh(&self) -> Arc<dyn Store> {
        Arc::new(open(self.folders.lock().unwrap().last().unwrap().path()))
    }

    /// What a process that is cut off leaves behind: the files as they are, the log not carried over.
    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        let mut folders = self.folders.lock().unwrap();
        let left = TempDir::new().unwrap();
        // The log first: what is carried over meanwhile is in the copy of the log too.
        for file in ["alertcast.db-wal", "alertcast.db"] {
            fs::copy(folders.last().unwrap().path().join(file), left.path().join(file)).unwrap();
        }
        drop(store);
        let store = open(left.path());
        folders.push(left);
        Arc::new(store)
    }
}

/// This test program once more, as a process of its own that runs one test.
pub(crate) fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command
}
