//! Stores in folders of their own.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use alertcast_conformance::StoreHarness;
use alertcast_core::store::{FileContent, FileDigest, Store};
use alertcast_sqlite::{SqliteOptions, SqliteStore};
use async_trait::async_trait;
use tempfile::TempDir;

/// Opens a store with the options that small tests need.
pub(crate) fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, &SqliteOptions { cache_kib: 4096, readers: 2, ..SqliteOptions::default() }).unwrap()
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
impl StoreHarness for Folder {
    async fn fresh(&self) -> Arc<dyn Store> {
        Arc::new(open(self.folders.lock().unwrap().last().unwrap().path()))
    }

    /// What a process that is cut off leaves behind: the files as they are, the log not carried over.
    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        let mut folders = self.folders.lock().unwrap();
        let left = TempDir::new().unwrap();
        // The logs first: what is carried over meanwhile is in the copies of the logs too.
        for file in intake_logs(folders.last().unwrap().path()) {
            fs::copy(&file, left.path().join(file.file_name().unwrap())).unwrap();
        }
        for file in ["alertcast.db-wal", "alertcast.db"] {
            fs::copy(folders.last().unwrap().path().join(file), left.path().join(file)).unwrap();
        }
        copy_folder(&folders.last().unwrap().path().join("files"), &left.path().join("files"));
        drop(store);
        let store = open(left.path());
        folders.push(left);
        Arc::new(store)
    }

    async fn damage_file(&self, digest: FileDigest) {
        let path = file_path(self.folders.lock().unwrap().last().unwrap().path(), digest);
        let mut bytes = fs::read(&path).unwrap();
        bytes[300_000] ^= 1;
        fs::write(path, bytes).unwrap();
    }

    async fn leave_unfinished_file(&self, content: &FileContent) {
        let unfinished = self.folders.lock().unwrap().last().unwrap().path().join("files/unfinished");
        fs::write(unfinished.join(".tmpXXXXXX"), &content.bytes()[..100_000]).unwrap();
    }

    async fn count_unfinished_files(&self) -> usize {
        count_unfinished(self.folders.lock().unwrap().last().unwrap().path())
    }
}

/// The files of the intake log in a data folder.
pub(crate) fn intake_logs(data: &Path) -> Vec<PathBuf> {
    let is_log = |path: &PathBuf| path.extension().is_some_and(|end| end == "log");
    fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()).filter(is_log).collect()
}

/// Where a file stands in a data folder.
pub(crate) fn file_path(data: &Path, digest: FileDigest) -> PathBuf {
    let name = digest.to_string();
    data.join("files").join(&name[..2]).join(&name)
}

/// How much stands in a data folder that is no file yet.
pub(crate) fn count_unfinished(data: &Path) -> usize {
    fs::read_dir(data.join("files/unfinished")).map_or(0, Iterator::count)
}

/// What is there, as it is; some of it may be going away.
fn copy_folder(from: &Path, to: &Path) {
    let Ok(entries) = fs::read_dir(from) else { return };
    fs::create_dir_all(to).unwrap();
    for entry in entries.map(Result::unwrap) {
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else if let Err(error) = fs::copy(entry.path(), to.join(entry.file_name())) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        }
    }
}

/// This test program once more, as a process of its own that runs one test.
pub(crate) fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command
}

/// The folder that a child works in, and the number that it begins with.
pub(crate) const FOLDER: &str = "ALERTCAST_TEST_FOLDER";
pub(crate) const FIRST: &str = "ALERTCAST_TEST_FIRST";

/// Lets a child work until it was told so much, kills it, and answers all that it was told: its lines `told …`.
pub(crate) fn killed_after(test: &str, dir: &Path, first: u32, lines: usize) -> Vec<String> {
    let mut child = child(test)
        .env(FOLDER, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut told = Vec::new();
    let mut line = String::new();
    while told.len() < lines && out.read_line(&mut line).unwrap() > 0 {
        told.extend(line.trim_end().strip_prefix("told ").map(ToOwned::to_owned));
        line.clear();
    }
    child.kill().unwrap();
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    child.wait().unwrap();
    assert!(told.len() >= lines, "{complaint}");
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    // The last line may be cut off.
    let whole = rest.rfind('\n').map_or("", |end| &rest[..end]);
    told.extend(whole.lines().filter_map(|line| line.strip_prefix("told ")).map(ToOwned::to_owned));
    told
}
