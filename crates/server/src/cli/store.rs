//! The one place that names a store adapter.

use alertcast_sqlite::{OpenError, Options, SqliteStore};

use super::failure::Failure;
use crate::settings::{Settings, StoreChoice};

/// Opens the configured store. Its folder is locked: one process at a time.
///
/// # Errors
/// The store is not one of this version's, is in use, or cannot be opened.
pub(crate) fn open(settings: &Settings) -> anyhow::Result<SqliteStore> {
    open_unless_in_use(settings)?.ok_or_else(|| {
        Failure::new(
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
/// The store is not one of this version's, or cannot be opened.
pub(crate) fn open_unless_in_use(settings: &Settings) -> anyhow::Result<Option<SqliteStore>> {
    if let StoreChoice::MongoDb(_) = settings.store {
        return Err(Failure::of_usage(
            "store names a MongoDB, and this version has the embedded store only: MongoDB comes with a later release",
            "remove store from the configuration and ALERTCAST_STORE from the environment, or write \"embedded\"",
        )
        .into());
    }
    let opened = SqliteStore::open(&settings.data_dir, &Options::default());
    if let Err(OpenError::InUse(_)) = opened {
        return Ok(None);
    }
    opened.map(Some).map_err(|error| {
        let shown = settings.data_dir.display();
        match error {
            OpenError::Folder { .. } => Failure::new(
                error.to_string(),
                "make the folder writable for the user who runs alertcast, or name another with --data-dir",
            )
            .into(),
            other => anyhow::Error::from(other).context(format!("the store in {shown} cannot be opened")),
        }
    })
}

/// Where the store is, for people.
pub(crate) fn described(settings: &Settings) -> String {
    let folder = std::path::absolute(&settings.data_dir).unwrap_or_else(|_| settings.data_dir.clone());
    format!("SQLite in {}", folder.display())
}
