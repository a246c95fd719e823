//! The store itself: opened, read from, written to and closed.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::thread::JoinHandle;

use alertcast_core::reading::UnreadableLog;
use alertcast_core::store::StoreError;
use rusqlite::{Connection, TransactionBehavior};

use crate::engine::alert_rows::{self, ROWS_AT_ONCE};
use crate::engine::checkpoint::WalState;
use crate::engine::counters;
use crate::engine::database_file;
use crate::engine::decoded::DecodedDeliveries;
use crate::engine::failpoints::WriteOperation;
use crate::engine::intake_log::{IntakeLog, LogAppender, SegmentError, read_log};
use crate::engine::migrate::{APPLICATION_ID, migrate};
use crate::engine::queue::{JobPriority, JobQueue};
use crate::engine::reader::ReaderPool;
use crate::engine::rows::{RowAccess, whole};
use crate::engine::writer::{Writer, WriterJobs, WriterTransaction};
use crate::error::{OpenError, SqliteError, SqliteResult};
use crate::open::{check_version, connect, folder_error, lock_folder, read_only, spawn};
use crate::ports::documents::LAST_CHANGE;
use crate::ports::files::FileFolder;

pub(crate) const DATABASE: &str = "alertcast.db";
pub(crate) const LOCK: &str = "alertcast.lock";

/// So much of the intake log may be without rows.
const UNAPPLIED_BYTES_MAX: usize = 256 << 20;
const PAGE_BYTES: usize = 4096;

/// How the store is to be run. The defaults suit a small machine.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Threads that read, beside those for intake.
    pub readers: usize,
    /// The writer's page cache, in KiB.
    pub cache_kib: u32,
    /// The most pages that the database may have, and as many the intake log; none: no bound. For tests of a full disk.
    pub pages_max: Option<u32>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { readers: 3, cache_kib: 64 * 1024, pages_max: None }
    }
}

/// The embedded store. Dropping it finishes what waits to be written, then closes.
#[derive(Debug)]
pub struct SqliteStore {
    jobs: Arc<WriterJobs>,
    pub(crate) log: Arc<IntakeLog>,
    /// Whoever gives alerts of the log their rows, for want of room in it.
    storing: tokio::sync::Mutex<()>,
    /// No entry of the change log that is committed has a higher number.
    pub(crate) change_committed: Arc<AtomicI64>,
    pub(crate) unreadables: UnreadableLog,
    pub(crate) decoded: Arc<DecodedDeliveries>,
    pub(crate) files: FileFolder,
    wal: Arc<WalState>,
    readers: ReaderPool,
    intake_readers: ReaderPool,
    appender: Option<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
    checkpointer: Option<JoinHandle<()>>,
    /// Held as long as the store is open; the system gives it back when the process ends, however it ends.
    _lock: File,
}

impl SqliteStore {
    /// Opens the database in a folder, making both where they are missing. The folder is locked: one process at a time.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(dir: &Path, options: &SqliteOptions) -> std::result::Result<Self, OpenError> {
        check_version()?;
        let lock = lock_folder(dir, LOCK)?;
        let files = FileFolder::open(dir).map_err(folder_error(dir))?;
        let path = dir.join(DATABASE);
        let broken = |fault: SqliteError| OpenError::Store(fault.0);
        database_file::make_whole(dir, DATABASE, APPLICATION_ID, migrate).map_err(|error| match error {
            OpenError::Store(StoreError::Corrupt(why)) => OpenError::NotOurs {
                file: path.clone(),
                why: format!("it is no SQLite database, or a damaged one ({why})"),
            },
            other => other,
        })?;
        let mut conn = connect(&path, options.cache_kib).map_err(broken)?;
        migrate(&mut conn)?;
        if let Some(pages) = options.pages_max {
            conn.pragma_update(None, "max_page_count", pages).map_err(|error| broken(error.into()))?;
        }
        replay_log(dir, &mut conn)?;
        Self::start(&path, conn, options, files, lock).map_err(broken)
    }

    fn start(
        path: &Path,
        mut conn: Connection,
        options: &SqliteOptions,
        files: FileFolder,
        lock: File,
    ) -> SqliteResult<Self> {
        let wal = Arc::new(WalState::of(path));
        wal.watch(&mut conn)?;
        counters::define(&conn)?;
        let thread = |e: io::Error| SqliteError::unavailable(format!("no thread can be started: {e}"));
        let bound = options.pages_max.and_then(|pages| usize::try_from(pages).ok()?.checked_mul(PAGE_BYTES));
        let log = Arc::new(IntakeLog::new(RowAccess::new(&conn), bound.unwrap_or(UNAPPLIED_BYTES_MAX))?);
        let dir = path.parent().unwrap_or(path);
        let not_begun = |e: io::Error| SqliteError::unavailable(format!("the intake log cannot be begun: {e}"));
        let appender =
            LogAppender::new(dir, Arc::clone(&log), Arc::clone(&wal), read_only(path)?).map_err(not_begun)?;
        alert_rows::forget_deleted(RowAccess::new(&conn))?;
        let appender = spawn("intake-log", move || appender.run()).map_err(thread)?;
        let last_change = RowAccess::new(&conn).one(LAST_CHANGE, [], |row| whole(row, 0))?;
        let change_committed = Arc::new(AtomicI64::new(last_change.unwrap_or(0)));
        let connections = |count: usize| (0..count).map(|_| read_only(path)).collect::<SqliteResult<Vec<_>>>();
        let readers = ReaderPool::start("sqlite-read", connections(options.readers.max(1))?).map_err(thread)?;
        let intake_readers = ReaderPool::start("sqlite-intake", connections(2)?).map_err(thread)?;
        let jobs = Arc::new(JobQueue::new());
        let writer = Writer {
            conn,
            jobs: Arc::clone(&jobs),
            wal: Arc::clone(&wal),
            log: Some(Arc::clone(&log)),
            is_syncing: Cell::new(true),
            change_committed: Arc::clone(&change_committed),
        };
        let writer = spawn("sqlite-write", move || writer.run()).map_err(thread)?;
        let checkpoints = connect(path, 1024)?;
        let watched = Arc::clone(&wal);
        let checkpointer = spawn("sqlite-wal", move || watched.run(&checkpoints)).map_err(thread)?;
        Ok(Self {
            jobs,
            log,
            storing: tokio::sync::Mutex::default(),
            change_committed,
            unreadables: UnreadableLog::default(),
            decoded: Arc::default(),
            files,
            wal,
            readers,
            intake_readers,
            appender: Some(appender),
            writer: Some(writer),
            checkpointer: Some(checkpointer),
            _lock: lock,
        })
    }

    /// Runs an operation on the writer's thread; answers after its COMMIT. Dropping the future before the operation's
    /// turn cancels it.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        lane: JobPriority,
        op: WriteOperation,
        apply: impl FnOnce(&WriterTransaction<'_>) -> SqliteResult<T> + Send + 'static,
    ) -> std::result::Result<T, StoreError> {
        self.jobs.run("the store", lane, op, apply).await
    }

    /// How many syncs have accepted alerts since the store was opened.
    #[must_use]
    pub fn intake_groups(&self) -> u64 {
        self.log.groups()
    }

    /// Gives the alerts that are only in the intake log by now their rows: for who reads alerts by their fields.
    pub(crate) async fn store_rows(&self) -> std::result::Result<(), StoreError> {
        let up_to = self.log.mark();
        self.store_rows_while(up_to, || true).await
    }

    /// Gives alerts of the log their rows until it has room for more.
    pub(crate) async fn make_room_in_log(&self) -> std::result::Result<(), StoreError> {
        let _turn = self.storing.lock().await;
        self.store_rows_while(i64::MAX, || !self.log.has_room()).await
    }

    /// Where several cannot be stored, each is tried alone.
    async fn store_rows_while(&self, up_to: i64, is_wanted: impl Fn() -> bool) -> std::result::Result<(), StoreError> {
        let mut at_once = ROWS_AT_ONCE;
        while is_wanted() {
            let alerts = self.log.oldest(up_to, at_once);
            if alerts.is_empty() {
                break;
            }
            let store = move |tx: &WriterTransaction<'_>| alert_rows::store(tx, &alerts);
            match self.write(JobPriority::Short, WriteOperation::Rows, store).await {
                Err(error) if at_once == 1 => return Err(error),
                Err(_) => at_once = 1,
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Reads in one snapshot.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(RowAccess<'_>) -> SqliteResult<T> + Send + 'static,
    ) -> std::result::Result<T, StoreError> {
        self.readers.read(read).await
    }

    /// Reads for a webhook that waits.
    pub(crate) async fn read_for_intake<T: Send + 'static>(
        &self,
        read: impl FnOnce(RowAccess<'_>) -> SqliteResult<T> + Send + 'static,
    ) -> std::result::Result<T, StoreError> {
        self.intake_readers.read(read).await
    }

    /// Holds the writer up until the guard is dropped: what is under way is finished, nothing more is begun.
    #[cfg(feature = "test-hooks")]
    pub fn stall_for_tests(&self) -> WriterStall {
        WriterStall::of(&self.jobs, Some(&self.log))
    }
}

/// Holds the writer up while it lives.
#[cfg(feature = "test-hooks")]
#[derive(Debug)]
pub struct WriterStall {
    jobs: Arc<WriterJobs>,
    log: Option<Arc<IntakeLog>>,
}

#[cfg(feature = "test-hooks")]
impl WriterStall {
    pub(crate) fn of(jobs: &Arc<WriterJobs>, log: Option<&Arc<IntakeLog>>) -> Self {
        jobs.stall(true);
        log.iter().for_each(|log| log.stall(true));
        Self { jobs: Arc::clone(jobs), log: log.cloned() }
    }
}

#[cfg(feature = "test-hooks")]
impl Drop for WriterStall {
    fn drop(&mut self) {
        self.jobs.stall(false);
        self.log.iter().for_each(|log| log.stall(false));
    }
}

/// Brings into the database what the intake log has and the database has not.
fn replay_log(dir: &Path, conn: &mut Connection) -> std::result::Result<(), OpenError> {
    let records = read_log(dir).map_err(|error| log_error(dir, error))?;
    let mut replayed = || -> SqliteResult<()> {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        alert_rows::replay(RowAccess::new(&tx), &records)?;
        Ok(tx.commit()?)
    };
    replayed().map_err(|fault| OpenError::Store(fault.0))
}

/// Why a folder's intake log cannot be read.
pub(crate) fn log_error(dir: &Path, error: SegmentError) -> OpenError {
    match error {
        SegmentError::Io(error) => folder_error(dir)(error),
        SegmentError::Damage { file, why } => OpenError::DamagedIntakeLog { file, why },
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.log.close();
        let _ = self.appender.take().map(JoinHandle::join);
        self.wal.close();
        // A thread that panicked has nothing left to close.
        let _ = self.checkpointer.take().map(JoinHandle::join);
        // The writer's connection is the last: closing it carries over what is left of the log, and removes it.
        self.readers.close();
        self.intake_readers.close();
        self.jobs.close();
        let _ = self.writer.take().map(JoinHandle::join);
    }
}
