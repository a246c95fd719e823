//! The one place that names a store adapter.

#[cfg(feature = "mongodb")]
mod mongodb;

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "mongodb")]
use alertcast_core::store::DocumentStore as _;
use alertcast_core::store::{Collection, Store, StoreResult};
#[cfg(feature = "mongodb")]
use alertcast_mongo::MongoStore;
use alertcast_sqlite::{OpenError, ReadOnly, Spool, SpoolOptions, SqliteStore};
use anyhow::Context as _;
use bson::Document;
use bson::oid::ObjectId;

use super::failure::CommandFailure;
use crate::settings::{Settings, StoreChoice};

/// A store that a command may read and write.
#[derive(Debug)]
pub(crate) struct OpenedStore {
    pub(crate) store: Arc<dyn Store>,
    /// Where it is, for people.
    pub(crate) place: String,
}

/// Opens the configured store. The embedded one's folder is locked: one process at a time.
///
/// # Errors
/// The store is in use, or cannot be opened or reached.
pub(crate) async fn open(settings: &Settings) -> anyhow::Result<OpenedStore> {
    open_unless_in_use(settings).await?.ok_or_else(|| {
        CommandFailure::new(
            format!("another alertcast is running on the data folder {}", settings.data_dir.display()),
            "stop it first (Ctrl-C where it runs, or `systemctl stop alertcast`), run this command, then start it \
             again; --data-dir names another folder",
        )
        .into()
    })
}

/// The same; none where another process has it.
///
/// # Errors
/// The store cannot be opened or reached.
pub(crate) async fn open_unless_in_use(settings: &Settings) -> anyhow::Result<Option<OpenedStore>> {
    match &settings.store {
        StoreChoice::Embedded => open_embedded(settings),
        #[cfg(not(feature = "mongodb"))]
        StoreChoice::MongoDb(_) => Err(built_without_mongodb()),
        #[cfg(feature = "mongodb")]
        StoreChoice::MongoDb(uri) => {
            let store = mongodb::connect(uri).await?;
            let place = store.place();
            Ok(Some(OpenedStore { store: Arc::new(store), place }))
        }
    }
}

fn open_embedded(settings: &Settings) -> anyhow::Result<Option<OpenedStore>> {
    let opened = SqliteStore::open(&settings.data_dir, &alertcast_sqlite::SqliteOptions::default());
    if let Err(OpenError::InUse(_)) = opened {
        return Ok(None);
    }
    let store = opened.map_err(|error| not_opened(settings, "the store", error))?;
    Ok(Some(OpenedStore { store: Arc::new(store), place: embedded_place(settings) }))
}

/// Where alerts are kept that come in while the store is away; none beside the embedded store, which never is.
///
/// # Errors
/// Another process has it, or it cannot be opened.
pub(crate) fn spool(settings: &Settings) -> anyhow::Result<Option<Spool>> {
    if let StoreChoice::Embedded = settings.store {
        return Ok(None);
    }
    match Spool::open(&settings.data_dir, &SpoolOptions::default()) {
        Ok(spool) => Ok(Some(spool)),
        Err(error @ OpenError::InUse(_)) => Err(CommandFailure::of_usage(
            error.to_string(),
            "each alertcast needs a data folder of its own, for the alerts that come in while MongoDB is away: name \
             another with --data-dir",
        )
        .into()),
        Err(error) => Err(not_opened(settings, "the spool", error)),
    }
}

fn not_opened(settings: &Settings, what: &str, error: OpenError) -> anyhow::Error {
    match error {
        OpenError::Folder { .. } => CommandFailure::new(
            error.to_string(),
            "make the folder writable for the user who runs alertcast, or name another with --data-dir",
        )
        .into(),
        other => {
            anyhow::Error::from(other).context(format!("{what} in {} cannot be opened", settings.data_dir.display()))
        }
    }
}

fn embedded_place(settings: &Settings) -> String {
    let folder = std::path::absolute(&settings.data_dir).unwrap_or_else(|_| settings.data_dir.clone());
    format!("SQLite in {}", folder.display())
}

/// What a program says that was built for the embedded store only.
#[cfg(not(feature = "mongodb"))]
fn built_without_mongodb() -> anyhow::Error {
    CommandFailure::of_usage(
        "the store is a MongoDB, and this alertcast was built without its feature `mongodb`",
        "build it with its default features: cargo install --path crates/server",
    )
    .into()
}

/// A store that is only read, beside the programs that work on it.
#[derive(Debug)]
pub(super) enum ReadOnlyStore {
    Embedded(ReadOnly),
    #[cfg(feature = "mongodb")]
    MongoDb(Box<MongoStore>),
}

impl ReadOnlyStore {
    /// Opens the configured store.
    ///
    /// # Errors
    /// There is none, or it cannot be opened or reached.
    pub(super) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        #[cfg(not(feature = "mongodb"))]
        if let StoreChoice::MongoDb(_) = &settings.store {
            return Err(built_without_mongodb());
        }
        #[cfg(feature = "mongodb")]
        if let StoreChoice::MongoDb(uri) = &settings.store {
            return Ok(Self::MongoDb(Box::new(mongodb::connect(uri).await?)));
        }
        let dir = &settings.data_dir;
        if !dir.join("alertcast.db").exists() {
            return Err(CommandFailure::new(
                format!("there is no store in {}", dir.display()),
                "run `alertcast setup` and `alertcast import FILE` first, or name the folder with --data-dir",
            )
            .into());
        }
        let store = ReadOnly::open(dir).with_context(|| format!("the store in {} cannot be read", dir.display()))?;
        Ok(Self::Embedded(store))
    }

    /// Where it is, for people.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Embedded(_) => "the data folder".to_owned(),
            #[cfg(feature = "mongodb")]
            Self::MongoDb(store) => store.place(),
        }
    }

    /// What `setup` would make of collections, indexes and validators, one line each.
    pub(super) async fn missing(&self) -> StoreResult<Vec<String>> {
        match self {
            // Opened, it is complete.
            Self::Embedded(_) => Ok(Vec::new()),
            #[cfg(feature = "mongodb")]
            Self::MongoDb(store) => store.missing().await,
        }
    }

    /// How long what a process had changed that died in a commit stays locked, where that is known.
    pub(super) async fn lock_lifetime(&self) -> Option<Duration> {
        match self {
            // The system ends a lock with its process.
            Self::Embedded(_) => None,
            #[cfg(feature = "mongodb")]
            Self::MongoDb(store) => store.transaction_lifetime().await,
        }
    }

    /// The next documents above `after`, by id.
    pub(super) async fn page(
        &self,
        collection: Collection,
        after: Option<ObjectId>,
        limit: usize,
    ) -> StoreResult<Vec<Document>> {
        match self {
            Self::Embedded(store) => store.page(collection, after, limit).await,
            #[cfg(feature = "mongodb")]
            Self::MongoDb(store) => store.page(collection, after, limit).await,
        }
    }

    /// How many documents there are.
    pub(super) async fn count(&self, collection: Collection) -> StoreResult<u64> {
        match self {
            Self::Embedded(store) => store.count(collection).await,
            #[cfg(feature = "mongodb")]
            Self::MongoDb(store) => store.count(collection).await,
        }
    }
}
