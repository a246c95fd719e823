//! A database with configurations and subscribers, and the server that it is on.

use std::path::Path;
use std::time::Duration;

use alertcast_core::store::DocumentStore as _;
use alertcast_mongo::{MongoOptions, MongoStore};
use bson::oid::ObjectId;
use bson::{Document, doc};
use mongodb::{Client, Database};
use mongodb_rig::{ReplicaSet, ServerProgram};
use tempfile::TempDir;

use crate::process::BenchProcess;
use crate::world::fill;

/// For the server that is started here.
const CACHE_MB: u32 = 1_024;
/// Between two looks at something that is awaited.
const LOOK: Duration = Duration::from_millis(20);
/// Long enough for anything; a measurement that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(900);

/// The server. One that was started here ends with it.
#[derive(Debug)]
pub(crate) struct BenchServer {
    uri: String,
    _started: Option<ReplicaSet>,
}

impl BenchServer {
    pub(crate) fn at(uri: &str) -> Self {
        Self { uri: uri.to_owned(), _started: None }
    }

    /// Starts this program with its data below `dir`.
    pub(crate) async fn start(program: &Path, dir: &Path) -> anyhow::Result<Self> {
        let dir = std::path::absolute(dir)?;
        let program = ServerProgram::at(program).with_cache_mb(CACHE_MB);
        let set = ReplicaSet::start(&program, &dir, |command| command.spawn()).await?;
        Ok(Self { uri: set.uri(), _started: Some(set) })
    }
}

/// A database under measurement.
#[derive(Debug)]
pub(crate) struct BenchDatabase {
    database: Database,
    uri: String,
    /// Each process has a data folder in it.
    folder: TempDir,
}

impl BenchDatabase {
    pub(crate) async fn make(
        server: &BenchServer,
        dir: &Path,
        subscribers: usize,
        configurations: usize,
    ) -> anyhow::Result<Self> {
        let name = format!("alertcast_bench_{}", ObjectId::new());
        let (hosts, options) = server.uri.split_once("/?").unwrap_or((&server.uri, ""));
        let uri = format!("{hosts}/{name}?{options}");
        let store = MongoStore::connect(&uri, &MongoOptions::default()).await?;
        store.setup().await?;
        fill(&store, subscribers, configurations).await?;
        let database = Client::with_uri_str(&uri).await?.database(&name);
        Ok(Self { database, uri, folder: TempDir::new_in(dir)? })
    }

    /// Starts Alertcast on it.
    pub(crate) async fn start(&self, number: usize) -> anyhow::Result<BenchProcess> {
        let home = self.folder.path().join(number.to_string());
        std::fs::create_dir_all(&home)?;
        BenchProcess::alertcast_on(&self.uri, &home).await
    }

    pub(crate) const fn database(&self) -> &Database {
        &self.database
    }

    /// Waits until so many alerts are processed.
    pub(crate) async fn wait_processed(&self, alerts: usize) -> anyhow::Result<()> {
        let collection = self.database.collection::<Document>("alerts");
        for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
            let processed = collection.count_documents(doc! { "processing.status": "processed" }).await?;
            if usize::try_from(processed)? >= alerts {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        anyhow::bail!("the alerts were not processed in {} s", PATIENCE.as_secs())
    }

    pub(crate) async fn drop(self) -> anyhow::Result<()> {
        Ok(self.database.drop().await?)
    }
}
