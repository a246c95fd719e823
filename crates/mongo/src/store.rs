//! The store itself: what its ports share, and how documents are found.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alertcast_core::reading::{ReadableDocuments, UnreadableLog, read_bytes, unpack_what_is_there};
use alertcast_core::store::{Collection, StoreResult};
use bson::{Document, RawDocumentBuf, doc};
use futures::TryStreamExt;
use mongodb::options::{Acknowledgment, WriteConcern};
use mongodb::{Client, Database};
use serde::de::DeserializeOwned;

use crate::engine::interruption::InterruptionCount;
use crate::engine::link::ServerLink;
use crate::engine::local_locks::LocalLocks;
use crate::engine::query::{MongoQuery, whole};
use crate::ports::intake::accept::AlertOffers;
use crate::ports::intake::{MarkRequests, PriceFloors};

/// The seed's name for the database, where neither the connection string nor the options name one.
pub(crate) const DATABASE: &str = "trading_alerts";

/// How the store is to be reached. The defaults suit a server that is near.
#[derive(Debug, Clone)]
pub struct MongoOptions {
    /// The database; none: the connection string's, else the seed's `trading_alerts`.
    pub database: Option<String>,
    /// How long an operation looks for a server that takes writes.
    pub server_selection_timeout: Duration,
    /// How often each server is asked how it is: after a change of state an operation waits for the next answer.
    pub heartbeat: Duration,
}

impl Default for MongoOptions {
    fn default() -> Self {
        Self { database: None, server_selection_timeout: Duration::from_secs(3), heartbeat: Duration::from_secs(1) }
    }
}

/// MongoDB as the store. Cheap to clone.
#[derive(Clone)]
pub struct MongoStore {
    pub(crate) link: Arc<ServerLink>,
    pub(crate) locks: Arc<LocalLocks>,
    pub(crate) offers: Arc<AlertOffers>,
    pub(crate) marks: Arc<MarkRequests>,
    pub(crate) floors: Arc<PriceFloors>,
    pub(crate) interruptions: InterruptionCount,
    pub(crate) unreadables: UnreadableLog,
    /// Where it is, without user and password.
    pub(crate) hosts: Arc<str>,
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client knows the password.
        f.debug_struct("MongoStore").field("database", &self.db().name()).finish_non_exhaustive()
    }
}

/// Every write is on the disks of a majority before it is answered.
pub(crate) fn durable() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

impl MongoStore {
    pub(crate) fn over(client: Client, database: &str, hosts: &str) -> Self {
        Self {
            link: ServerLink::to(client.database(database)),
            locks: Arc::default(),
            offers: Arc::default(),
            marks: Arc::default(),
            floors: Arc::default(),
            interruptions: InterruptionCount::default(),
            unreadables: UnreadableLog::default(),
            hosts: hosts.into(),
        }
    }

    /// Where it is, for people: the servers that were named, and the database.
    #[must_use]
    pub fn place(&self) -> String {
        format!("MongoDB at {}, database {}", self.hosts, self.db().name())
    }

    /// What `setup` would make of collections, indexes and validators, one line each. Nothing is changed.
    ///
    /// # Errors
    /// `SetupRefused`: what stands in the way of making it.
    pub async fn missing(&self) -> StoreResult<Vec<String>> {
        crate::engine::setup::list_missing(self).await
    }

    /// How long the server keeps locked what a process had changed that died in a transaction. None where it does not
    /// say: it takes a user with the role `clusterMonitor` to ask.
    pub async fn transaction_lifetime(&self) -> Option<Duration> {
        const NAME: &str = "transactionLifetimeLimitSeconds";
        let asked = doc! { "getParameter": 1, NAME: 1 };
        let answer = self.link.client().database("admin").run_command(asked).await.ok()?;
        answer.get(NAME).and_then(whole).and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs)
    }

    pub(crate) fn db(&self) -> Database {
        self.link.database()
    }

    pub(crate) fn collection(&self, collection: Collection) -> mongodb::Collection<Document> {
        self.db().collection(collection.name())
    }

    /// The documents that a query finds, as a majority has them.
    pub(crate) async fn find(&self, collection: Collection, query: MongoQuery) -> StoreResult<Vec<Document>> {
        let found = self.find_raw(collection, query).await?;
        Ok(found.iter().map(|raw| unpack_what_is_there(collection, raw.as_bytes())).collect())
    }

    /// The same as their type; those that cannot be read are noted, and left out.
    pub(crate) async fn find_as<T: DeserializeOwned>(
        &self,
        collection: Collection,
        query: MongoQuery,
    ) -> StoreResult<Vec<T>> {
        let found = self.find_raw(collection, query).await?;
        let read = found.iter().map(|raw| read_bytes(collection, raw.as_bytes()));
        Ok(self.unreadables.sift(read.collect::<ReadableDocuments<T>>()))
    }

    /// As bytes: serde's way for documents would take what somebody's data look like for what they are not.
    pub(crate) async fn find_raw(&self, collection: Collection, query: MongoQuery) -> StoreResult<Vec<RawDocumentBuf>> {
        if query.is_void() {
            return Ok(Vec::new());
        }
        self.link
            .run_bounded(async {
                let options = query.options();
                let these = self.collection(collection).clone_with_type::<RawDocumentBuf>();
                Ok(these.find(query.filter).with_options(options).await?.try_collect().await?)
            })
            .await
    }

    /// The first document that a query finds.
    pub(crate) async fn find_first(&self, collection: Collection, query: MongoQuery) -> StoreResult<Option<Document>> {
        Ok(self.find(collection, query.limit(1)).await?.pop())
    }
}
