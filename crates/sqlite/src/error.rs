//! What can go wrong, and as what the callers see it. SQLite's own words do not leave this crate but as text.

use std::path::PathBuf;

use alertcast_core::reading::UnreadableDocument;
use alertcast_core::store::{Collection, StoreError};
use rusqlite::ErrorCode;

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the folder's lock.
    #[error(
        "the data folder {} is in use by another process; stop that one first, or name another folder",
        .0.display()
    )]
    InUse(PathBuf),
    /// The folder or a file in it cannot be made, read or locked.
    #[error("the data folder {}: {source}", .folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The SQLite that is linked in has defects that lose data.
    #[error("SQLite {found} is too old: at least {needed} is needed")]
    OldSqlite { found: String, needed: &'static str },
    /// A later version of this program has written the database.
    #[error(
        "the database was written by a later version of Alertcast (its schema is {found}, this version knows {known}); \
         start that version, or restore a backup"
    )]
    NewerSchema { found: i64, known: i64 },
    /// The spool holds something that was answered 202, and cannot be read as a whole.
    #[error(
        "the spool {} is damaged: {why}; it holds alerts that were accepted and are not in the database yet. Keep the \
         file: move it out of the data folder to start without them, and accept them by hand",
        .file.display()
    )]
    DamagedSpool { file: PathBuf, why: String },
    /// The intake log holds something that was answered 202, and cannot be read as a whole.
    #[error(
        "the intake log is damaged: {}: {why}; it holds alerts that were accepted and may not be in the database yet. \
         Keep the file: move it out of the data folder to start without them, and accept them by hand",
        .file.display()
    )]
    DamagedIntakeLog { file: PathBuf, why: String },
    /// There is a file of that name, and nothing says that it is ours. It is left as it is.
    #[error(
        "{} is no file of Alertcast: {why}. It is left as it is: put the right one, or a backup, in its place; or move \
         it away to begin with nothing",
        .file.display()
    )]
    NotOurs { file: PathBuf, why: String },
    /// The database cannot be read or set up.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An operation's failure inside this crate.
#[derive(Debug)]
pub(crate) struct SqliteError(pub(crate) StoreError);

/// The result of a step of an operation.
pub(crate) type SqliteResult<T> = std::result::Result<T, SqliteError>;

impl SqliteError {
    pub(crate) fn unavailable(why: impl Into<String>) -> Self {
        Self(StoreError::Unavailable(why.into()))
    }

    pub(crate) fn corrupt(why: impl Into<String>) -> Self {
        Self(StoreError::Corrupt(why.into()))
    }

    pub(crate) const fn conflict() -> Self {
        Self(StoreError::Conflict)
    }
}

impl From<StoreError> for SqliteError {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<UnreadableDocument> for SqliteError {
    fn from(unreadable: UnreadableDocument) -> Self {
        Self(unreadable.into())
    }
}

impl From<SqliteError> for StoreError {
    fn from(fault: SqliteError) -> Self {
        fault.0
    }
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        Self(match &error {
            rusqlite::Error::SqliteFailure(failure, message) => match failure.code {
                ErrorCode::ConstraintViolation => already_exists(message.as_deref().unwrap_or_default()),
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt(error.to_string()),
                ErrorCode::DiskFull => StoreError::Unavailable("the disk, or the room given to it, is full".to_owned()),
                ErrorCode::ReadOnly => StoreError::Unavailable(format!("the data folder is read-only: {error}")),
                ErrorCode::SystemIoFailure => StoreError::Unavailable(format!("the disk failed: {error}")),
                _ => StoreError::Unavailable(error.to_string()),
            },
            rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
                StoreError::Corrupt(error.to_string())
            }
            _ => StoreError::Unavailable(error.to_string()),
        })
    }
}

/// SQLite says `UNIQUE constraint failed: users.telegram.userId`: the table, and the columns, which are named by their
/// paths.
fn already_exists(message: &str) -> StoreError {
    let columns = message.rsplit_once(": ").map_or("", |(_, columns)| columns);
    let names = || columns.split(", ").filter_map(|column| column.split_once('.'));
    let collection = names().next().and_then(|(table, _)| Collection::from_name(table));
    match collection {
        Some(collection) => StoreError::AlreadyExists {
            collection,
            field: names().map(|(_, path)| path).collect::<Vec<_>>().join(", "),
        },
        None => StoreError::Unavailable(message.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_unique_index_names_the_dotted_fields() {
        assert_eq!(
            already_exists(
                "UNIQUE constraint failed: user_alert_preferences.userId, user_alert_preferences.alertConfigId"
            ),
            StoreError::AlreadyExists {
                collection: Collection::UserAlertPreferences,
                field: "userId, alertConfigId".to_owned()
            }
        );
        assert_eq!(
            already_exists("UNIQUE constraint failed: users.telegram.userId"),
            StoreError::AlreadyExists { collection: Collection::Users, field: "telegram.userId".to_owned() }
        );
    }
}
