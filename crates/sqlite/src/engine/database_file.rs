//! A database's file, from nothing to whole: it is made under another name, and gets its own when it is complete. So a
//! file of that name is never half of one, whenever the process is killed; and an empty one, or another program's, was not
//! made here and is not touched.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use alertcast_core::store::StoreError;
use rusqlite::Connection;

use crate::engine::failpoints::pass;
use crate::error::{OpenError, SqliteError};
use crate::open::{connect, create_private, folder_error, read_only};

/// Where SQLite's header has the application's id.
const APPLICATION_ID_AT: u64 = 68;
/// What a file is called while it is made.
const NEW: &str = ".new";
/// What SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Makes sure that the file is there, is whole, and is ours. `make` makes the tables of a new one.
///
/// # Errors
/// `NotOurs`; `Corrupt` where it is no database at all, or a damaged one; those of making it.
pub(crate) fn make_whole(
    dir: &Path,
    name: &str,
    application: i64,
    make: impl FnOnce(&mut Connection) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let path = dir.join(name);
    let failed = folder_error(dir);
    match path.metadata() {
        Ok(_) => {
            check(&path, application)?;
            // For its owner alone, whoever put it there.
            create_private(&path).map(drop).map_err(&failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(log) = BESIDE.iter().map(|end| with_end(&path, end)).find(|log| is_filled(log)) {
                let why = "it holds what belongs to a database that is not there";
                return Err(not_ours(&log, why));
            }
            build(dir, &path, make)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Whether it is a database that this program has made. Nothing of it is changed.
///
/// # Errors
/// `NotOurs`; `Corrupt` where it is no database at all, or a damaged one.
pub(crate) fn check(path: &Path, application: i64) -> Result<(), OpenError> {
    if path.metadata().is_ok_and(|file| file.len() == 0) {
        return Err(not_ours(path, "it is empty"));
    }
    let read = read_only(path).and_then(|conn| {
        let found: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        if found == application {
            return Ok(None);
        }
        Ok(Some(conn.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))?))
    });
    match read {
        Ok(None) => Ok(()),
        Ok(Some(0)) => Err(not_ours(path, "it is a database without anything in it")),
        Ok(Some(_)) => Err(not_ours(path, "it is the database of another program")),
        // What is wrong with one of ours, whoever opens it finds out.
        Err(SqliteError(StoreError::Corrupt(_))) if is_marked(path, application) => Ok(()),
        Err(fault) => Err(OpenError::Store(fault.0)),
    }
}

/// Whether the header says that it is ours, though the rest cannot be read.
fn is_marked(path: &Path, application: i64) -> bool {
    let mut mark = [0; 4];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut mark, APPLICATION_ID_AT));
    read.is_ok() && i64::from(u32::from_be_bytes(mark)) == application
}

fn build(
    dir: &Path,
    path: &Path,
    make: impl FnOnce(&mut Connection) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let failed = folder_error(dir);
    let new = with_end(path, NEW);
    // What a start that was cut off has left.
    for left in BESIDE.iter().map(|end| with_end(&new, end)).chain([new.clone()]) {
        match std::fs::remove_file(left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    create_private(&new).map_err(&failed)?;
    let broken = |fault: SqliteError| OpenError::Store(fault.0);
    let stage = |stage| pass("file", stage).map_err(broken);
    stage("created")?;
    let mut conn = connect(&new, 1024).map_err(broken)?;
    make(&mut conn)?;
    stage("made")?;
    // Everything into the one file: closing the last connection carries its log over and removes it.
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(|error| broken(error.into()))?;
    stage("carried_over")?;
    conn.close().map_err(|(_, error)| broken(error.into()))?;
    stage("closed")?;
    if BESIDE.iter().any(|end| is_filled(&with_end(&new, end))) {
        return Err(OpenError::Store(StoreError::Unavailable(format!("{} cannot be completed", new.display()))));
    }
    File::open(&new).and_then(|file| file.sync_all()).map_err(&failed)?;
    stage("synced")?;
    std::fs::rename(&new, path).map_err(&failed)?;
    stage("renamed")?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(&failed)
}

fn is_filled(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.len() > 0)
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn not_ours(path: &Path, why: impl Into<String>) -> OpenError {
    OpenError::NotOurs { file: path.to_owned(), why: why.into() }
}
