//! A database with configurations and subscribers, and the server that it is on.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use alertcast_core::store::Documents as _;
use alertcast_mongo::{MongoStore, Options};
use bson::oid::ObjectId;
use bson::{Document, doc};
use mongodb::{Client, Database};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::process::Process;
use crate::world::fill;

/// Between two looks at something that is awaited.
const LOOK: Duration = Duration::from_millis(20);
/// Long enough for anything; a measurement that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(900);

/// The server. One that was started here ends with it.
#[derive(Debug)]
pub(crate) struct Server {
    uri: String,
    _process: Option<(Child, TempDir)>,
}

impl Server {
    pub(crate) fn at(uri: &str) -> Self {
        Self { uri: uri.to_owned(), _process: None }
    }

    /// Starts the test server with its data below `dir`.
    pub(crate) async fn start(program: &Path, dir: &Path) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let folder = TempDir::new_in(dir)?;
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--sync-on-commit"]);
        command.arg("--storage-path").arg(folder.path()).kill_on_drop(true);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
                let uri = format!("mongodb://127.0.0.1:{port}/?replicaSet=secantus");
                return Ok(Self { uri, _process: Some((child, folder)) });
            }
            tokio::time::sleep(LOOK).await;
        }
        anyhow::bail!("the server did not start")
    }
}

/// A database under measurement.
#[derive(Debug)]
pub(crate) struct World {
    database: Database,
    uri: String,
    /// Each process has a data folder in it.
    folder: TempDir,
}

impl World {
    pub(crate) async fn make(
        server: &Server,
        dir: &Path,
        subscribers: usize,
        configurations: usize,
    ) -> anyhow::Result<Self> {
        let name = format!("alertcast_bench_{}", ObjectId::new());
        let (hosts, options) = server.uri.split_once("/?").unwrap_or((&server.uri, ""));
        let uri = format!("{hosts}/{name}?{options}");
        let store = MongoStore::connect(&uri, &Options::default()).await?;
        store.setup().await?;
        fill(&store, subscribers, configurations).await?;
        let database = Client::with_uri_str(&uri).await?.database(&name);
        Ok(Self { database, uri, folder: TempDir::new_in(dir)? })
    }

    /// Starts Alertcast on it.
    pub(crate) async fn start(&self, number: usize) -> anyhow::Result<Process> {
        let home = self.folder.path().join(number.to_string());
        std::fs::create_dir_all(&home)?;
        Process::alertcast_on(&self.uri, &home).await
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
