//! Reaching the server: how, for how long, and whether it is one that can keep what the ports promise.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alertcast_core::reading::{ReadableDocuments, UnreadableLog, read_bytes, unpack_what_is_there};
use alertcast_core::store::{Collection, StoreError, StoreResult};
use bson::{Document, RawDocumentBuf, doc};
use futures::TryStreamExt;
use mongodb::error::ErrorKind;
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, ServerAddress, WriteConcern,
};
use mongodb::{Client, Database};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::accept::AlertOffers;
use crate::error::{ConnectError, MongoError, MongoResult};
use crate::intake::{MarkRequests, PriceFloors};
use crate::interruption::InterruptionCount;
use crate::link::ServerLink;
use crate::local_locks::LocalLocks;
use crate::query::{MongoQuery, whole};

/// The seed's name for the database, where neither the connection string nor the options name one.
const DATABASE: &str = "trading_alerts";

/// The wire version of MongoDB 6.0, the first whose partial indexes know `$in`.
const WIRE_VERSION_MIN: i64 = 17;

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

/// So many commands are under way at once, unless `maxPoolSize` in the connection string says otherwise. With the driver's
/// own 10, what comes in would wait for a connection behind the commits of eight configurations.
const CONNECTIONS_MAX: u32 = 32;

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
    hosts: Arc<str>,
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
    /// Reaches the server, and makes sure that it has transactions.
    ///
    /// # Errors
    /// See [`ConnectError`]. None of them holds the connection string.
    pub async fn connect(uri: &str, options: &MongoOptions) -> std::result::Result<Self, ConnectError> {
        let mut client_options = client_options(uri, options).await?;
        let interruptions = InterruptionCount::default();
        interruptions.listen(&mut client_options);
        let name = options.database.clone().or_else(|| client_options.default_database.clone());
        let client = client(client_options.clone())?;
        match timeout(options.server_selection_timeout * 3, hello(&client)).await {
            Ok(Ok(answer)) => judge(&answer)?,
            Ok(Err(MongoError::Driver(error))) if is_too_old_to_speak_with(&error.kind) => {
                return Err(ConnectError::TooOld);
            }
            Ok(Err(MongoError::Driver(error))) if matches!(&*error.kind, ErrorKind::ServerSelection { .. }) => {
                // A server that was found, but not taken for a member of the set, says more when it is asked itself.
                ask_each(&client_options).await?;
                return Err(StoreError::from(MongoError::Driver(error)).into());
            }
            Ok(Err(fault)) => return Err(StoreError::from(fault).into()),
            Err(_) => {
                return Err(StoreError::Unavailable("it accepts connections, but does not answer".to_owned()).into());
            }
        }
        let hosts: Vec<String> = client_options.hosts.iter().map(ToString::to_string).collect();
        let store = Self::over(client, name.as_deref().unwrap_or(DATABASE), &hosts.join(","));
        store.link.keep(client_options);
        Ok(Self { interruptions, ..store })
    }

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
        crate::setup::list_missing(self).await
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

async fn client_options(uri: &str, options: &MongoOptions) -> std::result::Result<ClientOptions, ConnectError> {
    let mut parsed = ClientOptions::parse(uri).await.map_err(|error| {
        // What the driver says may quote the string, and so a password.
        let why = if uri.contains('@') { String::new() } else { format!(" ({})", error.kind) };
        ConnectError::BadUri(why)
    })?;
    parsed.app_name.get_or_insert_with(|| "alertcast".to_owned());
    parsed.max_pool_size.get_or_insert(CONNECTIONS_MAX);
    parsed.write_concern = Some(durable());
    parsed.read_concern = Some(ReadConcern::majority());
    parsed.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    parsed.server_selection_timeout = Some(options.server_selection_timeout);
    parsed.connect_timeout = Some(options.server_selection_timeout);
    parsed.heartbeat_freq = Some(options.heartbeat);
    Ok(parsed)
}

fn client(options: ClientOptions) -> std::result::Result<Client, ConnectError> {
    Client::with_options(options).map_err(|error| StoreError::from(MongoError::from(error)).into())
}

async fn hello(client: &Client) -> MongoResult<Document> {
    Ok(client.database("admin").run_command(doc! { "hello": 1 }).await?)
}

/// Whether a server can keep what the ports promise. To begin a transaction would tell nothing: a server on its own
/// refuses only the first statement in it.
fn judge(hello: &Document) -> std::result::Result<(), ConnectError> {
    if !hello.contains_key("setName") && hello.get_str("msg").ok() != Some("isdbgrid") {
        return Err(ConnectError::Standalone);
    }
    if hello.get("maxWireVersion").and_then(whole).is_some_and(|version| version < WIRE_VERSION_MIN) {
        return Err(ConnectError::TooOld);
    }
    Ok(())
}

/// The driver does not choose a server that is older than it knows, and says so in words alone.
fn is_too_old_to_speak_with(error: &ErrorKind) -> bool {
    matches!(error, ErrorKind::ServerSelection { message, .. }
        if message.contains("reports wire version") && message.contains("requires at least"))
}

/// Asks each server directly what it is. An error: what is wrong with the first that answers.
async fn ask_each(options: &ClientOptions) -> std::result::Result<(), ConnectError> {
    for host in &options.hosts {
        let Some(answer) = ask(options, host.clone()).await else { continue };
        judge(&answer)?;
        if let (Ok(found), Some(wanted)) = (answer.get_str("setName"), &options.repl_set_name)
            && found != wanted
        {
            return Err(ConnectError::OtherSet { found: found.to_owned(), wanted: wanted.clone() });
        }
    }
    Ok(())
}

async fn ask(options: &ClientOptions, host: ServerAddress) -> Option<Document> {
    let mut direct = options.clone();
    direct.hosts = vec![host];
    direct.direct_connection = Some(true);
    direct.repl_set_name = None;
    direct.server_selection_timeout = Some(Duration::from_secs(1));
    let client = Client::with_options(direct).ok()?;
    timeout(Duration::from_secs(2), hello(&client)).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use bson::Bson;

    use super::*;

    #[test]
    fn a_replica_set_and_a_sharded_cluster_will_do() {
        assert!(judge(&doc! { "setName": "rs0", "maxWireVersion": 25 }).is_ok());
        assert!(judge(&doc! { "msg": "isdbgrid", "maxWireVersion": 25 }).is_ok());
        for odd in [Bson::Int64(i64::MAX), Bson::Double(1e300), Bson::Double(f64::INFINITY), "25".into(), Bson::Null] {
            assert!(judge(&doc! { "setName": "rs0", "maxWireVersion": odd }).is_ok());
        }
    }

    #[test]
    fn a_standalone_or_an_old_server_will_not() {
        assert!(matches!(judge(&doc! { "maxWireVersion": 25 }), Err(ConnectError::Standalone)));
        for old in [Bson::Int32(13), Bson::Int64(i64::MIN), Bson::Double(13.0), Bson::Double(f64::NEG_INFINITY)] {
            assert!(matches!(judge(&doc! { "setName": "rs0", "maxWireVersion": old }), Err(ConnectError::TooOld)));
        }
    }
}
