//! Running the program: in a folder of its own, with no environment but what the test gives it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use alertcast_core::store::{Collection, DocumentStore, DocumentWrite};
use alertcast_sqlite::{SqliteOptions, SqliteStore};
use bson::Document;

/// A folder to run the program in.
#[derive(Debug)]
pub(super) struct Folder(tempfile::TempDir);

/// What a run of the program came to.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and gives its path.
    pub(super) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program with its arguments, separated by blanks.
    pub(super) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alertcast"));
        command.args(arguments.split_whitespace()).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, arguments: &str) -> Ran {
        Ran::new(self.command(arguments).output().unwrap())
    }

    pub(super) fn run_with(&self, arguments: &str, environment: &[(&str, &str)]) -> Ran {
        Ran::new(self.command(arguments).envs(environment.iter().copied()).output().unwrap())
    }

    /// All documents of a collection in the folder's store, which no program may have open.
    /// Changes what is in the store, as nobody does while a server runs.
    pub(super) async fn write(&self, writes: Vec<DocumentWrite>) {
        let store = SqliteStore::open(&self.path().join("data"), &SqliteOptions::default()).unwrap();
        DocumentStore::write(&store, writes).await.unwrap();
    }

    pub(super) async fn all(&self, collection: Collection) -> Vec<Document> {
        let store = SqliteStore::open(&self.path().join("data"), &SqliteOptions::default()).unwrap();
        store.page(collection, None, 1_000).await.unwrap()
    }
}

impl Ran {
    pub(super) fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    #[track_caller]
    pub(super) fn assert(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        assert!(!self.stdout.contains('\u{1b}') && !self.stderr.contains('\u{1b}'), "colours without a terminal");
        self
    }
}
