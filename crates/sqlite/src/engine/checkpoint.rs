//! The write-ahead log is carried over into the database by a thread of its own, off the commit's path, and kept
//! bounded: where writing never pauses, the writer starts the log anew between two groups.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::open::BUSY;

/// The log is carried over when it has grown by this many pages, or when nothing is written for a moment.
const CARRY_OVER_PAGES: i64 = 4_000;
/// Above this (128 MiB) the log is started anew. Seldom: the writer syncs the database then, some tens of milliseconds.
const RESTART_PAGES: i64 = 32_000;
/// The writer starts the log anew where about so many pages are left to copy: little more than one chunk's.
const LEFT_FOR_WRITER_PAGES: i64 = 1_000;
/// How long the writer waits for readers of the old log, when it starts the log anew.
const READERS_MAX: Duration = Duration::from_millis(10);
/// How often it is looked whether writing pauses.
const IDLE: Duration = Duration::from_millis(500);

/// What writer and checkpointer know of the log.
#[derive(Debug, Default)]
pub(crate) struct WalState {
    /// Pages in the log after the last commit.
    pages: AtomicI64,
    /// Of these, carried over.
    carried: AtomicI64,
    restart_wanted: AtomicBool,
    failing: AtomicBool,
    closed: Mutex<bool>,
    wake: Condvar,
}

impl WalState {
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
        if pages - self.carried.load(Ordering::Acquire) >= CARRY_OVER_PAGES {
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

    /// The checkpointer's thread.
    pub(crate) fn run(&self, conn: &Connection) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        while !*closed {
            (closed, _) = self.wake.wait_timeout(closed, IDLE).unwrap_or_else(PoisonError::into_inner);
            drop(closed);
            self.carry_over(conn);
            closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
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
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.wake.notify_all();
    }
}
