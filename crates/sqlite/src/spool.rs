//! The spool: what is taken in while the store is away, in a file of its own, until the store has it.
//!
//! Records leave in the order in which they came. What an operation answers `Ok` to is synced to disk. A record is removed
//! by whoever has brought it to the store; one that the store will not have is set aside (`park`), and stays in the file.
//! The keys of accepted alerts stand beside them, so that a resend is known while the store is away.
//!
//! Nothing is decided here about when the spool is used: that is the server's.

mod row;

use std::cell::Cell;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use alertcast_core::alert::document::Alert;
use alertcast_core::id::AlertId;
use alertcast_core::store::{AlertAcceptance, IntakeKey, OperatorNotice, RejectedWebhook, StoreError, StoreResult};
use alertcast_core::time::Time;
use rusqlite::Connection;

use self::row::{SpoolRow, decode};
use crate::engine::checkpoint::WalState;
use crate::engine::database_file;
use crate::engine::failpoints::WriteOperation;
use crate::engine::migrate::version;
use crate::engine::queue::{JobPriority, JobQueue};
use crate::engine::reader::ReaderPool;
use crate::engine::rows::{IdBlob, RowAccess, blob, whole};
use crate::engine::writer::{Writer, WriterJobs, WriterTransaction};
use crate::error::{OpenError, SqliteError, SqliteResult};
use crate::open::{check_version, connect, lock_folder, read_only, spawn};

/// The spool's file in the data folder.
pub const SPOOL: &str = "spool.db";
const LOCK: &str = "spool.lock";
const VERSION: i64 = 1;
/// Marks the file as ours (`PRAGMA application_id`): the letters "Acsp".
const APPLICATION_ID: i64 = 0x4163_7370;

/// What a probe writes: no alert's key.
const PROBE: &str = "readiness";

const TABLES: &str = "
    CREATE TABLE records (
        position INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, body BLOB NOT NULL, parked TEXT
    );
    CREATE INDEX waiting ON records (position) WHERE parked IS NULL;
    CREATE TABLE keys (
        key TEXT PRIMARY KEY, alert BLOB NOT NULL, until INTEGER NOT NULL, position INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX keys_of ON keys (position);";

/// How much the spool may hold. The defaults are some days of a busy provider.
#[derive(Debug, Clone)]
pub struct SpoolOptions {
    /// The most records, parked ones among them.
    pub records_max: u64,
    /// The most pages of 4 KiB that the file may have.
    pub pages_max: u32,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        Self { records_max: 1_000_000, pages_max: 1 << 20 }
    }
}

/// What is kept until the store has it: an operation of intake, with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub enum SpoolEntry {
    /// `tried`: the store was offered it before, and its answer did not come; it may have it.
    Accept {
        alert: Box<Alert>,
        keys: Vec<IntakeKey>,
        now: Time,
        tried: bool,
    },
    Refuse {
        alert: Box<Alert>,
        notices: Vec<OperatorNotice>,
    },
    Reject {
        rejected: Box<RejectedWebhook>,
        notices: Vec<OperatorNotice>,
    },
}

/// An entry and its place.
#[derive(Debug, PartialEq)]
pub struct SpoolRecord {
    pub position: i64,
    /// `Corrupt` where its bytes cannot be read.
    pub entry: StoreResult<SpoolEntry>,
}

/// What a spool holds, seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolContent {
    pub waiting: u64,
    pub parked: u64,
}

/// The spool. Dropping it finishes what waits to be written, then closes.
#[derive(Debug)]
pub struct Spool {
    jobs: Arc<WriterJobs>,
    readers: ReaderPool,
    held: Arc<RecordCount>,
    records_max: u64,
    writer: Option<JoinHandle<()>>,
    /// Held as long as the spool is open.
    _lock: File,
}

/// How many records there are. Counted as they are written; one whose COMMIT failed stays counted until [`Spool::recount`].
#[derive(Debug, Default)]
struct RecordCount {
    waiting: AtomicU64,
    parked: AtomicU64,
}

impl Spool {
    /// Looks at the spool of a folder without being its process. None where there is none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn look(dir: &Path) -> std::result::Result<Option<SpoolContent>, OpenError> {
        let path = dir.join(SPOOL);
        if !path.exists() {
            return Ok(None);
        }
        let held = RecordCount::default();
        let counted = read_only(&path).and_then(|conn| held.count(RowAccess::new(&conn)));
        counted.map_err(|fault| damaged_or(&path, fault))?;
        let number = |count: &AtomicU64| count.load(Ordering::Acquire);
        Ok(Some(SpoolContent { waiting: number(&held.waiting), parked: number(&held.parked) }))
    }

    /// Opens the spool in a folder, making both where they are missing. One process at a time. What was parked is to be
    /// tried again.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(dir: &Path, options: &SpoolOptions) -> std::result::Result<Self, OpenError> {
        check_version()?;
        let lock = lock_folder(dir, LOCK)?;
        let path = dir.join(SPOOL);
        let broken = |fault: SqliteError| damaged_or(&path, fault);
        database_file::make_whole(dir, SPOOL, APPLICATION_ID, |conn| prepare(conn, &path)).map_err(
            |error| match error {
                OpenError::Store(error) => damaged_or(&path, error.into()),
                other => other,
            },
        )?;
        let mut conn = connect(&path, 4096).map_err(broken)?;
        prepare(&mut conn, &path)?;
        Self::start(&path, conn, options, lock).map_err(broken)
    }

    fn start(path: &Path, conn: Connection, options: &SpoolOptions, lock: File) -> SqliteResult<Self> {
        // Small beside the store's: what is written may be carried over at once.
        conn.pragma_update(None, "wal_autocheckpoint", 1000)?;
        conn.pragma_update(None, "max_page_count", options.pages_max)?;
        let held = Arc::new(RecordCount::default());
        held.count(RowAccess::new(&conn))?;
        let thread = |e: std::io::Error| SqliteError::unavailable(format!("no thread can be started: {e}"));
        let readers = ReaderPool::start("spool-read", vec![read_only(path)?]).map_err(thread)?;
        let jobs = Arc::new(JobQueue::new());
        let writer = Writer {
            conn,
            jobs: Arc::clone(&jobs),
            wal: Arc::new(WalState::default()),
            log: None,
            is_syncing: Cell::new(true),
            change_committed: std::sync::Arc::default(),
        };
        let writer = spawn("spool-write", move || writer.run()).map_err(thread)?;
        let records_max = options.records_max;
        Ok(Self { jobs, readers, held, records_max, writer: Some(writer), _lock: lock })
    }

    /// Keeps an entry behind all others. Of several alerts with a common key one is kept; one that is here already is
    /// not kept twice. Dropping the future before the write began cancels it.
    ///
    /// # Errors
    /// `Unavailable` where the spool or the disk is full.
    pub async fn append(&self, entry: SpoolEntry) -> StoreResult<AlertAcceptance> {
        let row = SpoolRow::of(&entry)?;
        let (held, records_max) = (Arc::clone(&self.held), self.records_max);
        self.write(JobPriority::Intake, WriteOperation::Spool, move |tx| append(tx.rows, &held, records_max, &row))
            .await
    }

    /// Writes something as large as the largest alert, synced, and removes it again.
    ///
    /// # Errors
    /// `Unavailable` where the spool or the disk is full.
    pub async fn probe(&self) -> StoreResult<()> {
        let (held, records_max) = (Arc::clone(&self.held), self.records_max);
        self.write(JobPriority::Intake, WriteOperation::Spool, move |tx| {
            must_have_room(&held, records_max)?;
            let sql = "INSERT OR REPLACE INTO keys (key, alert, until, position) VALUES (?1, zeroblob(65536), 0, -1)";
            tx.rows.run(sql, [PROBE]).map(drop)
        })
        .await?;
        let remove = |tx: &WriterTransaction<'_>| tx.rows.run("DELETE FROM keys WHERE key = ?1", [PROBE]).map(drop);
        self.write(JobPriority::Short, WriteOperation::Unspool, remove).await
    }

    /// The records that came first, of those that are not parked.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn oldest(&self, limit: usize) -> StoreResult<Vec<SpoolRecord>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.readers
            .read(move |rows| {
                let sql = "SELECT position, kind, body FROM records WHERE parked IS NULL ORDER BY position LIMIT ?1";
                rows.all(sql, [limit], |row| {
                    let kind: String = row.get(1)?;
                    Ok(SpoolRecord { position: row.get(0)?, entry: decode(&kind, blob(row, 2)?) })
                })
            })
            .await
    }

    /// The alert that holds one of these keys at `now`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn holder(&self, keys: &[IntakeKey], now: Time) -> StoreResult<Option<AlertId>> {
        let names: Vec<String> = keys.iter().map(|key| key.key.clone()).collect();
        self.readers.read(move |rows| holder(rows, names.iter().map(String::as_str), now)).await
    }

    /// Takes records out: the store has them.
    ///
    /// # Errors
    /// They stay where the file cannot be written.
    pub async fn remove(&self, positions: Vec<i64>) -> StoreResult<()> {
        let held = Arc::clone(&self.held);
        self.write(JobPriority::Short, WriteOperation::Unspool, move |tx| {
            for position in &positions {
                let removed = tx.rows.run("DELETE FROM records WHERE position = ?1 AND parked IS NULL", [position])?;
                if removed > 0 {
                    tx.rows.run("DELETE FROM keys WHERE position = ?1", [position])?;
                    held.take(removed as u64);
                }
            }
            Ok(())
        })
        .await
    }

    /// Sets a record aside: the store will not have it. It is tried again when the spool is opened anew.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn park(&self, position: i64, why: String) -> StoreResult<()> {
        let held = Arc::clone(&self.held);
        self.write(JobPriority::Short, WriteOperation::Unspool, move |tx| {
            let sql = "UPDATE records SET parked = ?2 WHERE position = ?1 AND parked IS NULL";
            let parked = tx.rows.run(sql, (position, why))? as u64;
            held.take(parked);
            held.parked.fetch_add(parked, Ordering::AcqRel);
            Ok(())
        })
        .await
    }

    /// How many records wait to be brought to the store; never fewer than there are.
    #[must_use]
    pub fn count_waiting(&self) -> u64 {
        self.held.waiting.load(Ordering::Acquire)
    }

    /// How many records are set aside.
    #[must_use]
    pub fn count_parked(&self) -> u64 {
        self.held.parked.load(Ordering::Acquire)
    }

    /// Counts anew, behind every write that has begun.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn recount(&self) -> StoreResult<u64> {
        let held = Arc::clone(&self.held);
        self.write(JobPriority::Short, WriteOperation::Unspool, move |tx| held.count(tx.rows)).await?;
        Ok(self.count_waiting())
    }

    async fn write<T: Send + 'static>(
        &self,
        lane: JobPriority,
        op: WriteOperation,
        apply: impl FnOnce(&WriterTransaction<'_>) -> SqliteResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        self.jobs.run("the spool", lane, op, apply).await
    }

    /// Holds the writer up until the guard is dropped.
    #[cfg(feature = "test-hooks")]
    pub fn stall_for_tests(&self) -> crate::WriterStall {
        crate::WriterStall::of(&self.jobs, None)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.readers.close();
        self.jobs.close();
        // A thread that panicked has nothing left to close.
        let _ = self.writer.take().map(JoinHandle::join);
    }
}

impl RecordCount {
    fn count(&self, rows: RowAccess<'_>) -> SqliteResult<()> {
        let sql =
            "SELECT count(*) FILTER (WHERE parked IS NULL), count(*) FILTER (WHERE parked IS NOT NULL) FROM records";
        let counted = rows.one(sql, [], |row| Ok((whole(row, 0)?.unsigned_abs(), whole(row, 1)?.unsigned_abs())))?;
        let (waiting, parked) = counted.unwrap_or_default();
        self.waiting.store(waiting, Ordering::Release);
        self.parked.store(parked, Ordering::Release);
        Ok(())
    }

    fn take(&self, records: u64) {
        // Only the writer's thread changes the numbers.
        self.waiting.store(self.waiting.load(Ordering::Acquire).saturating_sub(records), Ordering::Release);
    }
}

fn damaged_or(path: &Path, fault: SqliteError) -> OpenError {
    match fault.0 {
        StoreError::Corrupt(why) => OpenError::DamagedSpool { file: path.to_owned(), why },
        other => OpenError::Store(other),
    }
}

/// Checks the file, and brings its tables up to date.
fn prepare(conn: &mut Connection, path: &Path) -> std::result::Result<(), OpenError> {
    let found = version(conn).map_err(|fault| damaged_or(path, fault))?;
    if found > VERSION {
        return Err(OpenError::NewerSchema { found, known: VERSION });
    }
    let sound: String = conn
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| damaged_or(path, error.into()))?;
    if sound != "ok" {
        return Err(damaged_or(path, SqliteError::corrupt(sound)));
    }
    migrate(conn, found).map_err(|fault| damaged_or(path, fault))
}

fn migrate(conn: &mut Connection, found: i64) -> SqliteResult<()> {
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    if found == 0 {
        tx.execute_batch(TABLES)?;
        tx.pragma_update(None, "user_version", VERSION)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    tx.execute("UPDATE records SET parked = NULL WHERE parked IS NOT NULL", [])?;
    tx.commit()?;
    Ok(())
}

fn append(rows: RowAccess<'_>, held: &RecordCount, records_max: u64, row: &SpoolRow) -> SqliteResult<AlertAcceptance> {
    if let Some((id, keys, now)) = &row.claim
        && let Some(of) = holder(rows, keys.iter().map(|key| key.key.as_str()), *now)?
    {
        return Ok(if of == *id { AlertAcceptance::Stored } else { AlertAcceptance::Duplicate { of } });
    }
    let waiting = must_have_room(held, records_max)?;
    rows.run("INSERT INTO records (kind, body) VALUES (?1, ?2)", (row.kind, &row.body))?;
    let position = rows.conn().last_insert_rowid();
    if let Some((id, keys, _)) = &row.claim {
        for key in keys {
            let sql = "INSERT OR REPLACE INTO keys (key, alert, until, position) VALUES (?1, ?2, ?3, ?4)";
            rows.run(sql, (&key.key, IdBlob(id.bytes()), key.until.millis(), position))?;
        }
    }
    held.waiting.store(waiting + 1, Ordering::Release);
    Ok(AlertAcceptance::Stored)
}

/// How many records wait, where there is room for another.
fn must_have_room(held: &RecordCount, records_max: u64) -> SqliteResult<u64> {
    let waiting = held.waiting.load(Ordering::Acquire);
    let count = waiting.saturating_add(held.parked.load(Ordering::Acquire));
    if count >= records_max {
        return Err(SqliteError::unavailable(format!("the spool is full: it holds {count} records")));
    }
    Ok(waiting)
}

fn holder<'k>(rows: RowAccess<'_>, keys: impl Iterator<Item = &'k str>, now: Time) -> SqliteResult<Option<AlertId>> {
    for key in keys {
        let sql = "SELECT alert FROM keys WHERE key = ?1 AND until > ?2";
        let held = rows.one(sql, (key, now.millis()), |row| Ok(row.get::<_, IdBlob>(0)?.id()))?;
        if held.is_some() {
            return Ok(held.map(AlertId));
        }
    }
    Ok(None)
}
