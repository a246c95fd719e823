//! The write-ahead log is carried over into the database by a thread of its own, off the commit's path, and kept
//! bounded: where writing never pauses, the writer starts the log anew between two groups. The same thread syncs what
//! commits have left unsynced.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::open::BUSY;

/// The log is carried over when it has grown by this many pages, or has not been for a while.
const CARRY_OVER_PAGES: i64 = 4_000;
/// Each carrying over syncs twice, and writes again what was written: a quiet day has few.
const CARRY_OVER_EVERY: Duration = Duration::from_secs(60);
/// What is committed without a sync is synced after this at the latest.
pub(crate) const LAG_MAX: Duration = Duration::from_millis(100);
/// Above this (128 MiB) the log is started anew. Seldom: the writer syncs the database then, some tens of milliseconds.
const RESTART_PAGES: i64 = 32_000;
/// The writer starts the log anew where about so many pages are left to copy: little more than one chunk's.
const LEFT_FOR_WRITER_PAGES: i64 = 1_000;
/// How long the writer waits for readers of the old log, when it starts the log anew.
const READERS_MAX: Duration = Duration::from_millis(10);

/// What writer and checkpointer know of the log.
#[derive(Debug, Default)]
pub(crate) struct WalState {
    /// The log's file, where commits may be left unsynced.
    path: Option<PathBuf>,
    /// Pages in the log after the last commit.
    pages: AtomicI64,
    /// Of these, carried over.
    carried: AtomicI64,
    restart_wanted: AtomicBool,
    failing: AtomicBool,
    duties: Mutex<WalDuties>,
    wake: Condvar,
}

/// What the checkpointer is to do.
#[derive(Debug, Default)]
struct WalDuties {
    closed: bool,
    /// When the first commit was made that is not synced.
    unsynced_since: Option<Instant>,
}

impl WalState {
    /// Of a database whose commits may lag.
    pub(crate) fn of(database: &Path) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push("-wal");
        Self { path: Some(name.into()), ..Self::default() }
    }

    /// Lets commits on this connection count the log's pages.
    pub(crate) fn watch(self: &Arc<Self>, conn: &mut Connection) -> rusqlite::Result<()> {
        let wal = Arc::clone(self);
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
            wal.note_commit(i64::from(pages));
            Ok(())
        }))
    }

    fn note_commit(&self, pages: i64) {
        if pages < self.pages.swap(pages, Ordering::AcqRel) {
            // The log was started anew.
            self.carried.store(0, Ordering::Release);
        }
        if self.has_grown() {
            self.wake.notify_one();
        }
    }

    /// On the writer's thread, between two groups: what is left is copied, and the log begins at its start again. A
    /// reader that is in the way leaves it for the next time.
    pub(crate) fn restart_if_wanted(&self, conn: &Connection) {
        if !self.restart_wanted.swap(false, Ordering::AcqRel) {
            return;
        }
        let restarted = conn
            .busy_timeout(READERS_MAX)
            .and_then(|()| conn.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())))
            .and_then(|()| conn.busy_timeout(BUSY));
        self.note(restarted);
    }

    /// Notes a COMMIT: one that synced has taken along all before it.
    pub(crate) fn note_group(&self, is_synced: bool) {
        let mut duties = self.lock();
        if is_synced {
            duties.unsynced_since = None;
        } else if duties.unsynced_since.is_none() {
            duties.unsynced_since = Some(now());
            self.wake.notify_one();
        }
    }

    /// Syncs everything that has been committed.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match &self.path {
            Some(path) => File::open(path)?.sync_data(),
            None => Ok(()),
        }
    }

    /// The checkpointer's thread.
    pub(crate) fn run(&self, conn: &Connection) {
        let mut carry_over_at = now() + CARRY_OVER_EVERY;
        let mut duties = self.lock();
        while !duties.closed {
            let sync_at = duties.unsynced_since.map(|since| since + LAG_MAX);
            let wait = sync_at.map_or(carry_over_at, |at| at.min(carry_over_at)).saturating_duration_since(now());
            (duties, _) = self.wake.wait_timeout(duties, wait).unwrap_or_else(PoisonError::into_inner);
            let is_lagging = duties.unsynced_since.is_some_and(|since| since + LAG_MAX <= now());
            let since = if is_lagging { duties.unsynced_since.take() } else { None };
            drop(duties);
            if let Some(since) = since {
                self.sync_late(since);
            }
            if self.has_grown() || now() >= carry_over_at {
                self.carry_over(conn);
                carry_over_at = now() + CARRY_OVER_EVERY;
            }
            duties = self.lock();
        }
    }

    fn has_grown(&self) -> bool {
        self.pages.load(Ordering::Acquire) - self.carried.load(Ordering::Acquire) >= CARRY_OVER_PAGES
    }

    /// Where it fails, it is tried again after as long.
    fn sync_late(&self, since: Instant) {
        if let Err(error) = self.sync() {
            tracing::warn!(%error, unsynced_ms = since.elapsed().as_millis(), "the write-ahead log cannot be synced");
            self.lock().unsynced_since.get_or_insert_with(now);
        }
    }

    fn carry_over(&self, conn: &Connection) {
        if self.pages.load(Ordering::Acquire) == self.carried.load(Ordering::Acquire) {
            return;
        }
        let done = conn
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)));
        match done {
            Ok((pages, carried)) => {
                self.carried.store(carried, Ordering::Release);
                if pages > RESTART_PAGES && pages - carried < LEFT_FOR_WRITER_PAGES {
                    self.restart_wanted.store(true, Ordering::Release);
                }
            }
            Err(error) => return self.note(Err(error)),
        }
        self.note(Ok(()));
    }

    /// Logs the first failure of a row: with a full disk there would be many.
    fn note(&self, outcome: rusqlite::Result<()>) {
        let failed_before = self.failing.swap(outcome.is_err(), Ordering::AcqRel);
        match outcome {
            Err(error) if !failed_before => tracing::warn!(%error, "the write-ahead log cannot be carried over"),
            _ => {}
        }
    }

    /// Ends the checkpointer's thread.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, WalDuties> {
        self.duties.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long something lies on this machine's disk, not a time of the domain"
)]
fn now() -> Instant {
    Instant::now()
}
