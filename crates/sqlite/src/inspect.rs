//! Looking at a store without being its process: for `doctor`, and for a rehearsal over what it holds. Nothing of the
//! database is changed, and a running program is not held up: readers of a write-ahead log wait for nobody.

use std::fs::{OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alertcast_core::reading::unpack_what_is_there;
use alertcast_core::store::{Collection, StoreResult};
use bson::Document;
use bson::oid::ObjectId;

use crate::engine::database_file;
use crate::engine::intake_log::{AcceptedRecord, alert_of, read_log};
use crate::engine::logged_documents::LoggedDocuments;
use crate::engine::migrate::{APPLICATION_ID, version};
use crate::engine::reader::ReaderPool;
use crate::engine::rows::RowAccess;
use crate::engine::schema::SCHEMA_VERSION;
use crate::error::{OpenError, SqliteError, SqliteResult};
use crate::open::{folder_error, read_only};
use crate::store::{DATABASE, LOCK, log_error};

/// How many of SQLite's steps pass between two looks at whether to go on.
const STEPS_BETWEEN: i32 = 1_000;

/// What there is to say about a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseInspection {
    /// The version of its schema; 0: nothing was set up in it.
    pub schema: i64,
    /// The version that this program writes.
    pub schema_known: i64,
    /// The SQLite that is linked in.
    pub sqlite: &'static str,
    pub bytes: u64,
    pub soundness: FileSoundness,
}

/// What SQLite's check of the file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSoundness {
    Sound,
    /// What is wrong, a line each.
    Broken(Vec<String>),
    /// It was told to stop before it was through.
    Unfinished,
}

/// Whether a process holds the folder's lock.
///
/// # Errors
/// The lock cannot be looked at.
pub fn is_in_use(dir: &Path) -> std::result::Result<bool, OpenError> {
    let lock = match OpenOptions::new().read(true).write(true).open(dir.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(folder_error(dir)(error)),
    };
    match lock.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(folder_error(dir)(error)),
    }
}

/// Looks at the database in a folder, until `stop` is set. Blocks its thread.
///
/// # Errors
/// See [`OpenError`].
pub fn inspect(dir: &Path, stop: &Arc<AtomicBool>) -> std::result::Result<DatabaseInspection, OpenError> {
    let path = dir.join(DATABASE);
    database_file::check(&path, APPLICATION_ID)?;
    let look = || -> SqliteResult<DatabaseInspection> {
        let mut conn = read_only(&path)?;
        let schema = version(&conn)?;
        let pages = conn.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))?;
        let size = conn.query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0))?;
        let asked = Arc::clone(stop);
        conn.progress_handler(STEPS_BETWEEN, Some(move || asked.load(Ordering::Relaxed)))?;
        Ok(DatabaseInspection {
            schema,
            schema_known: SCHEMA_VERSION,
            sqlite: rusqlite::version(),
            bytes: u64::try_from(pages.saturating_mul(size)).unwrap_or(0),
            soundness: check(&conn)?,
        })
    };
    look().map_err(|fault| OpenError::Store(fault.0))
}

fn check(conn: &rusqlite::Connection) -> SqliteResult<FileSoundness> {
    let told: rusqlite::Result<Vec<String>> =
        conn.prepare("PRAGMA quick_check(20)").and_then(|mut check| check.query_map([], |row| row.get(0))?.collect());
    match told {
        Ok(told) if told == ["ok"] => Ok(FileSoundness::Sound),
        Ok(told) => Ok(FileSoundness::Broken(told)),
        Err(rusqlite::Error::SqliteFailure(failure, _))
            if failure.code == rusqlite::ErrorCode::OperationInterrupted =>
        {
            Ok(FileSoundness::Unfinished)
        }
        Err(error) => match SqliteError::from(error) {
            SqliteError(alertcast_core::store::StoreError::Corrupt(what)) => Ok(FileSoundness::Broken(vec![what])),
            other => Err(other),
        },
    }
}

/// How many accepted alerts of a folder have no row yet: they are in the intake log alone. Blocks its thread.
///
/// # Errors
/// See [`OpenError`].
pub fn count_alerts_without_rows(dir: &Path) -> std::result::Result<u64, OpenError> {
    // Before the rows: one that gets its row meanwhile is found there.
    let records = read_log(dir).map_err(|error| log_error(dir, error))?;
    let count = || -> SqliteResult<u64> {
        let conn = read_only(&dir.join(DATABASE))?;
        let rows = RowAccess::new(&conn);
        let mut count = 0;
        for record in not_deleted(rows, records)? {
            count += u64::from(!rows.exists(Collection::Alerts, alert_of(&record)?)?);
        }
        Ok(count)
    };
    count().map_err(|fault| OpenError::Store(fault.0))
}

fn not_deleted(rows: RowAccess<'_>, records: Vec<AcceptedRecord>) -> SqliteResult<Vec<AcceptedRecord>> {
    let mut kept = Vec::with_capacity(records.len());
    for record in records {
        if !rows.any("SELECT 1 FROM intake_deleted WHERE seq = ?1", [record.seq])? {
            kept.push(record);
        }
    }
    Ok(kept)
}

/// A store that can only be read, beside the process that it belongs to.
#[derive(Debug)]
pub struct ReadOnly {
    dir: PathBuf,
    readers: ReaderPool,
}

impl ReadOnly {
    /// Opens the database in a folder.
    ///
    /// # Errors
    /// See [`OpenError`]; one of another version than this program's is refused.
    pub fn open(dir: &Path) -> std::result::Result<Self, OpenError> {
        let broken = |fault: SqliteError| OpenError::Store(fault.0);
        let conn = read_only(&dir.join(DATABASE)).map_err(broken)?;
        let found = version(&conn).map_err(broken)?;
        if found > SCHEMA_VERSION {
            return Err(OpenError::NewerSchema { found, known: SCHEMA_VERSION });
        }
        let readers = ReaderPool::start("sqlite-look", vec![conn]).map_err(folder_error(dir))?;
        Ok(Self { dir: dir.to_owned(), readers })
    }

    /// The next documents above `after`, by id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn page(
        &self,
        collection: Collection,
        after: Option<ObjectId>,
        limit: usize,
    ) -> StoreResult<Vec<Document>> {
        let in_log = self.in_log(collection);
        let page = self.readers.read(move |rows| in_log(rows)?.page(rows, collection, after, limit)).await?;
        Ok(page.iter().map(|bytes| unpack_what_is_there(collection, bytes)).collect())
    }

    /// How many documents there are.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count(&self, collection: Collection) -> StoreResult<u64> {
        let in_log = self.in_log(collection);
        self.readers.read(move |rows| in_log(rows)?.count(rows, collection)).await
    }

    /// What the intake log has of a collection, as far as it can be read: the program that writes it may be doing so.
    fn in_log(&self, collection: Collection) -> impl FnOnce(RowAccess<'_>) -> SqliteResult<LoggedDocuments> + use<> {
        let records =
            if collection == Collection::Alerts { read_log(&self.dir).unwrap_or_default() } else { Vec::new() };
        move |rows| LoggedDocuments::of_records(not_deleted(rows, records)?)
    }
}
