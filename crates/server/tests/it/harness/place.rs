//! Where a test's store is: a folder, or a database of its own on the server that `./test` starts. The tests of the
//! whole program are the same over both; `ALERTCAST_TEST_STORE` says over which they run.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use alertcast_core::store::Store;
use alertcast_mongo::MongoStore;
use alertcast_sqlite::{SqliteOptions, SqliteStore};
use bson::oid::ObjectId;
use tempfile::TempDir;

use super::child::FORKS;
use super::desk::{Database, Desk};

/// A folder of a test's own, and its database where the tests run over MongoDB.
#[derive(Debug)]
pub(crate) struct Place {
    dir: TempDir,
    database: Option<Database>,
}

impl Place {
    /// A new one, over the store that the tests run over.
    pub(crate) fn new() -> Self {
        match std::env::var("ALERTCAST_TEST_STORE").as_deref() {
            Ok("mongodb") => Self::on(&mongodb_uri()),
            Ok("embedded") | Err(_) => Self::embedded(),
            Ok(other) => panic!("ALERTCAST_TEST_STORE is embedded or mongodb, not {other}"),
        }
    }

    /// One for the embedded store, whatever the others run over.
    pub(crate) fn embedded() -> Self {
        Self { dir: TempDir::new().unwrap(), database: None }
    }

    /// A new database on this server.
    pub(crate) fn on(uri: &str) -> Self {
        let name = format!("alertcast_test_{}", ObjectId::new());
        Self { dir: TempDir::new().unwrap(), database: Some(Database::new(with_database(uri, &name), name)) }
    }

    /// The test's folder.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Whether the store lives in the process that opens it.
    pub(crate) fn is_embedded(&self) -> bool {
        self.database.is_none()
    }

    /// What `ALERTCAST_STORE` says.
    pub(crate) fn setting(&self) -> &str {
        self.database.as_ref().map_or("embedded", Database::uri)
    }

    /// Opens the store. The embedded one must not be open anywhere else.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        self.open_with(&SqliteOptions::default()).await
    }

    /// The same, with these options for the embedded store.
    pub(crate) async fn open_with(&self, options: &SqliteOptions) -> Arc<dyn Store> {
        match &self.database {
            None => Arc::new(SqliteStore::open(self.dir.path(), options).unwrap()),
            Some(database) => {
                let options = alertcast_mongo::MongoOptions::default();
                Arc::new(MongoStore::connect(database.uri(), &options).await.unwrap())
            }
        }
    }

    /// A look into the store from outside.
    pub(crate) fn desk(&self) -> Desk {
        match &self.database {
            None => Desk::in_folder(self.dir.path()),
            Some(database) => Desk::Database(database.clone()),
        }
    }

    /// What the server removes by its own clock stays: the test's clock stands elsewhere.
    pub(crate) fn keep_what_is_over(&self) {
        if let Some(database) = &self.database {
            database.drop_expiry();
        }
    }
}

/// Closes a store so that its folder is free afterwards.
pub(crate) fn close(store: Arc<dyn Store>) {
    let _alone = FORKS.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(Arc::strong_count(&store), 1, "somebody else has the store open");
    drop(store);
}

impl Drop for Place {
    fn drop(&mut self) {
        // A test that fails may have taken its server with it.
        if let (false, Some(database)) = (std::thread::panicking(), &self.database) {
            database.drop_all();
        }
    }
}

/// The server that the tests use.
pub(crate) fn mongodb_uri() -> String {
    std::env::var("ALERTCAST_TEST_MONGODB_URI").unwrap_or_else(|_| {
        panic!("ALERTCAST_TEST_MONGODB_URI names no MongoDB replica set to test against; ./test starts one and sets it")
    })
}

/// The connection string with this database in it.
fn with_database(uri: &str, name: &str) -> String {
    let (address, options) = uri.split_once('?').unwrap_or((uri, ""));
    let (scheme, rest) = address.split_once("://").unwrap();
    let hosts = rest.split('/').next().unwrap();
    format!("{scheme}://{hosts}/{name}?{options}")
}
