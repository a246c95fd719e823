//! Opening and closing: the folder and its lock, the connections, the threads.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use alertcast_core::reading::UnreadableLog;
use alertcast_core::store::StoreError;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use crate::checkpoint::WalState;
use crate::documents::LAST_CHANGE;
use crate::error::{OpenError, SqliteError, SqliteResult};
use crate::failpoints::WriteOperation;
use crate::file;
use crate::migrate::{APPLICATION_ID, migrate};
use crate::queue::{JobPriority, JobQueue};
use crate::reader::ReaderPool;
use crate::rows::{RowAccess, whole};
use crate::usage;
use crate::writer::{ClosureJob, Writer, WriterJobs, WriterTransaction};

pub(crate) const DATABASE: &str = "alertcast.db";
pub(crate) const LOCK: &str = "alertcast.lock";

/// The first SQLite without the defect by which a reset of the write-ahead log can lose what was committed.
const SQLITE_NEEDED: (i32, &str) = (3_051_003, "3.51.3");

pub(crate) const LAST_SEQ: &str = r#"SELECT max("alertcast.seq") FROM alerts"#;

/// How long a connection waits for another one's lock. Only a checkpoint, or somebody else's tool, can be in the way.
pub(crate) const BUSY: Duration = Duration::from_secs(5);

/// How the store is to be run. The defaults suit a small machine.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Threads that read, beside those for intake.
    pub readers: usize,
    /// The writer's page cache, in KiB.
    pub cache_kib: u32,
    /// The most pages that the database may have; none: no bound. For tests of a full disk.
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
    pub(crate) seq_committed: Arc<AtomicI64>,
    intake_groups: Arc<AtomicU64>,
    pub(crate) unreadables: UnreadableLog,
    wal: Arc<WalState>,
    readers: ReaderPool,
    intake_readers: ReaderPool,
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
        let path = dir.join(DATABASE);
        let broken = |fault: SqliteError| OpenError::Store(fault.0);
        file::make_whole(dir, DATABASE, APPLICATION_ID, migrate).map_err(|error| match error {
            OpenError::Store(StoreError::Corrupt(why)) => OpenError::NotOurs {
                file: path.clone(),
                why: format!("it is no SQLite database, or a damaged one ({why})"),
            },
            other => other,
        })?;
        let mut conn = connect(&path, options.cache_kib).map_err(broken)?;
        migrate(&mut conn)?;
        Self::start(&path, conn, options, lock).map_err(broken)
    }

    fn start(path: &Path, mut conn: Connection, options: &SqliteOptions, lock: File) -> SqliteResult<Self> {
        if let Some(pages) = options.pages_max {
            conn.pragma_update(None, "max_page_count", pages)?;
        }
        let wal = Arc::new(WalState::default());
        wal.watch(&mut conn)?;
        usage::define(&conn)?;
        let seq = RowAccess::new(&conn).one(LAST_SEQ, [], |row| whole(row, 0))?;
        let seq_committed = Arc::new(AtomicI64::new(seq.unwrap_or(0)));
        let last_change = RowAccess::new(&conn).one(LAST_CHANGE, [], |row| whole(row, 0))?;
        let connections = |count: usize| (0..count).map(|_| read_only(path)).collect::<SqliteResult<Vec<_>>>();
        let thread = |e: io::Error| SqliteError::unavailable(format!("no thread can be started: {e}"));
        let readers = ReaderPool::start("sqlite-read", connections(options.readers.max(1))?).map_err(thread)?;
        let intake_readers = ReaderPool::start("sqlite-intake", connections(2)?).map_err(thread)?;
        let jobs = Arc::new(JobQueue::new());
        let intake_groups = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            conn,
            jobs: Arc::clone(&jobs),
            wal: Arc::clone(&wal),
            seq_committed: Arc::clone(&seq_committed),
            intake_groups: Arc::clone(&intake_groups),
            last_change: last_change.unwrap_or(0),
        };
        let writer = spawn("sqlite-write", move || writer.run()).map_err(thread)?;
        let checkpoints = connect(path, 1024)?;
        let watched = Arc::clone(&wal);
        let checkpointer = spawn("sqlite-wal", move || watched.run(&checkpoints)).map_err(thread)?;
        Ok(Self {
            jobs,
            seq_committed,
            intake_groups,
            unreadables: UnreadableLog::default(),
            wal,
            readers,
            intake_readers,
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
        let closed = || StoreError::Unavailable("the store is closing".to_owned());
        let place = self.jobs.place(lane).await.ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        let call = ClosureJob { op, apply: Some(apply), value: None, reply, _place: place };
        self.jobs.push(lane, Box::new(call)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// How many commits have accepted alerts since the store was opened: those of one commit shared a sync.
    #[must_use]
    pub fn intake_groups(&self) -> u64 {
        self.intake_groups.load(Ordering::Relaxed)
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
        WriterStall::of(&self.jobs)
    }
}

/// Holds the writer up while it lives.
#[cfg(feature = "test-hooks")]
#[derive(Debug)]
pub struct WriterStall {
    jobs: Arc<WriterJobs>,
}

#[cfg(feature = "test-hooks")]
impl WriterStall {
    pub(crate) fn of(jobs: &Arc<WriterJobs>) -> Self {
        jobs.stall(true);
        Self { jobs: Arc::clone(jobs) }
    }
}

#[cfg(feature = "test-hooks")]
impl Drop for WriterStall {
    fn drop(&mut self) {
        self.jobs.stall(false);
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
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
    conn.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    conn.pragma_update(None, "mmap_size", 0)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.set_prepared_statement_cache_capacity(512);
    Ok(())
}
