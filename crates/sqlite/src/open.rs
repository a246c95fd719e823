//! Opening: the version of SQLite, the folder and its lock, the connections and how they are set.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{OpenError, SqliteResult};

/// The first SQLite without the defect by which a reset of the write-ahead log can lose what was committed.
const SQLITE_NEEDED: (i32, &str) = (3_051_003, "3.51.3");

/// How long a connection waits for another one's lock. Only a checkpoint, or somebody else's tool, can be in the way.
pub(crate) const BUSY: Duration = Duration::from_secs(5);

pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

pub(crate) fn check_version() -> std::result::Result<(), OpenError> {
    let (needed, spelled) = SQLITE_NEEDED;
    if rusqlite::version_number() < needed {
        return Err(OpenError::OldSqlite { found: rusqlite::version().to_owned(), needed: spelled });
    }
    Ok(())
}

pub(crate) fn folder_error(dir: &Path) -> impl Fn(io::Error) -> OpenError {
    let folder: PathBuf = dir.to_owned();
    move |source| OpenError::Folder { folder: folder.clone(), source }
}

/// Makes the folder where it is missing, for its owner alone, and takes a lock in it.
pub(crate) fn lock_folder(dir: &Path, lock: &str) -> std::result::Result<File, OpenError> {
    let failed = folder_error(dir);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(&failed)?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).map_err(&failed)?;
    let lock = create_private(&dir.join(lock)).map_err(&failed)?;
    // The folder's name in its parent, where this made it. A parent that may not be read was not made here.
    let _ = dir.parent().map(|parent| File::open(parent).and_then(|parent| parent.sync_all()));
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Opens a file that only its owner may read, making it where it is missing. SQLite gives its log the same rights.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

pub(crate) fn connect(path: &Path, cache_kib: u32) -> SqliteResult<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // Before the first table: it cannot be changed later.
    conn.pragma_update(None, "page_size", 4096)?;
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    // The log's file is cut to this when it is started anew.
    conn.pragma_update(None, "journal_size_limit", 128 << 20)?;
    tune(&conn, cache_kib)?;
    Ok(conn)
}

pub(crate) fn read_only(path: &Path) -> SqliteResult<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    tune(&conn, 16 * 1024)?;
    Ok(conn)
}

/// No memory map: an error of the disk would end the process instead of the operation.
fn tune(conn: &Connection, cache_kib: u32) -> SqliteResult<()> {
    conn.busy_timeout(BUSY)?;
    // A plan does not depend on the values that are bound, so that no statement is prepared anew for other ones.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    conn.pragma_update(None, "mmap_size", 0)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.set_prepared_statement_cache_capacity(512);
    Ok(())
}
