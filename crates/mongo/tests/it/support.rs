//! The server, and a database for each test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alertcast_conformance::StoreHarness;
use alertcast_core::store::{DocumentStore, FileContent, FileDigest, Store};
use alertcast_mongo::{MongoOptions, MongoStore};
use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};
use mongodb::{Client, Database};

/// The server that the tests use.
pub(crate) fn uri() -> String {
    std::env::var("ALERTCAST_TEST_MONGODB_URI").unwrap_or_else(|_| {
        panic!("ALERTCAST_TEST_MONGODB_URI names no MongoDB replica set to test against; ./test starts one and sets it")
    })
}

/// A database of its own, dropped at the end.
#[derive(Debug)]
pub(crate) struct MongoHarness {
    uri: String,
    database: String,
    is_used: AtomicBool,
}

impl MongoHarness {
    pub(crate) fn new() -> Self {
        Self { uri: uri(), database: format!("alertcast_test_{}", ObjectId::new()), is_used: AtomicBool::new(false) }
    }

    /// With a name by which the server can tell this test's connections from others'.
    pub(crate) fn named(app_name: &str) -> Self {
        let mut harness = Self::new();
        harness.uri = format!("{}&appName={app_name}", harness.uri);
        harness
    }

    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// The database as another application sees it.
    pub(crate) async fn raw(&self) -> Database {
        self.is_used.store(true, Ordering::SeqCst);
        Client::with_uri_str(&self.uri).await.unwrap().database(&self.database)
    }

    pub(crate) async fn open(&self) -> MongoStore {
        let options = MongoOptions { database: Some(self.database.clone()), ..MongoOptions::default() };
        MongoStore::connect(&self.uri, &options).await.unwrap()
    }
}

#[async_trait]
impl StoreHarness for MongoHarness {
    async fn fresh(&self) -> Arc<dyn Store> {
        self.is_used.store(true, Ordering::SeqCst);
        let store = self.open().await;
        store.setup().await.unwrap();
        // The suite's clock stands in the past: the server's own cleaning would take its keys away under it.
        let client = Client::with_uri_str(&self.uri).await.unwrap();
        let keys = client.database(&self.database).collection::<bson::Document>("intake_keys");
        keys.drop_index("until_1").await.unwrap();
        Arc::new(store)
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        drop(store);
        Arc::new(self.open().await)
    }

    async fn beside(&self, _store: &Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(self.open().await)
    }

    async fn damage_file(&self, digest: FileDigest) {
        let db = self.raw().await;
        let these = doc! { "filename": digest.to_string() };
        let file = db.collection::<Document>(FILES).find_one(these).await.unwrap().unwrap();
        let piece = doc! { "files_id": file.get_object_id("_id").unwrap(), "n": 1 };
        let chunks = db.collection::<Document>(CHUNKS);
        let mut bytes =
            chunks.find_one(piece.clone()).await.unwrap().unwrap().get_binary_generic("data").unwrap().clone();
        bytes[1_000] ^= 1;
        let data = Binary { subtype: BinarySubtype::Generic, bytes };
        chunks.update_one(piece, doc! { "$set": { "data": data } }).await.unwrap();
    }

    async fn leave_unfinished_file(&self, content: &FileContent) {
        let data = Binary { subtype: BinarySubtype::Generic, bytes: content.bytes()[..255 * 1024].to_vec() };
        let piece = doc! { "files_id": ObjectId::new(), "n": 0, "data": data };
        self.raw().await.collection(CHUNKS).insert_one(piece).await.unwrap();
    }

    async fn count_unfinished_files(&self) -> usize {
        let db = self.raw().await;
        let files = db.collection::<Document>(FILES).distinct("_id", doc! {}).await.unwrap();
        let chunks = db.collection::<Document>(CHUNKS);
        chunks.distinct("files_id", doc! { "files_id": { "$nin": files } }).await.unwrap().len()
    }
}

/// The collections of the files.
pub(crate) const FILES: &str = "alertcast_files.files";
pub(crate) const CHUNKS: &str = "alertcast_files.chunks";

impl Drop for MongoHarness {
    fn drop(&mut self) {
        if !self.is_used.load(Ordering::SeqCst) {
            return;
        }
        let (uri, database) = (self.uri.clone(), self.database.clone());
        // A runtime of its own: the test's cannot be waited for here.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { Client::with_uri_str(&uri).await.unwrap().database(&database).drop().await })
        });
        if !std::thread::panicking() {
            dropping.join().unwrap().unwrap();
        } else {
            let _ = dropping.join();
        }
    }
}
