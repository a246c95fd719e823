//! Reading: a few threads with a connection each. The intake path has threads of its own, so that a webhook does not
//! wait behind what is read for a fan-out.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use alertcast_core::store::StoreError;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use crate::engine::rows::RowAccess;
use crate::error::{SqliteError, SqliteResult};

/// More reads than this wait outside.
const WAITING_MAX: usize = 1024;

type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

/// Threads that read.
#[derive(Debug)]
pub(crate) struct ReaderPool {
    line: Arc<ReadQueue>,
    room: Semaphore,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct ReadQueue {
    state: Mutex<(VecDeque<ReadJob>, bool)>,
    wake: Condvar,
}

impl std::fmt::Debug for ReadQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

impl ReadQueue {
    fn push(&self, read: ReadJob) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.push_back(read);
        drop(state);
        self.wake.notify_one();
    }

    fn next(&self) -> Option<ReadJob> {
        let idle = |(waiting, closed): &mut (VecDeque<ReadJob>, bool)| waiting.is_empty() && !*closed;
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.wake.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner).0.pop_front()
    }

    fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.wake.notify_all();
    }
}

impl ReaderPool {
    /// Starts a thread for each connection.
    pub(crate) fn start(name: &str, connections: Vec<Connection>) -> std::io::Result<Self> {
        let line = Arc::new(ReadQueue::default());
        let mut threads = Vec::with_capacity(connections.len());
        for conn in connections {
            let line = Arc::clone(&line);
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
                while let Some(read) = line.next() {
                    // A panic ends the read, not the thread: the caller's channel closes.
                    let _ = catch_unwind(AssertUnwindSafe(|| read(&conn)));
                }
            })?;
            threads.push(thread);
        }
        Ok(Self { line, room: Semaphore::new(WAITING_MAX), threads })
    }

    /// Runs a read in one snapshot of the database.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(RowAccess<'_>) -> SqliteResult<T> + Send + 'static,
    ) -> std::result::Result<T, StoreError> {
        let gone = || StoreError::Unavailable("a read was broken off".to_owned());
        let _place = self.room.acquire().await.map_err(|_| gone())?;
        let (reply, answer) = oneshot::channel();
        self.line.push(Box::new(move |conn| {
            if !reply.is_closed() {
                // Nobody may be waiting any more.
                let _ = reply.send(in_snapshot(conn, read));
            }
        }));
        answer.await.map_err(|_| gone())?.map_err(StoreError::from)
    }

    /// Ends the threads, after what waits.
    pub(crate) fn close(&mut self) {
        self.line.close();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to do.
            let _ = thread.join();
        }
    }
}

impl Drop for ReaderPool {
    fn drop(&mut self) {
        self.close();
    }
}

fn in_snapshot<T>(conn: &Connection, read: impl FnOnce(RowAccess<'_>) -> SqliteResult<T>) -> SqliteResult<T> {
    let snapshot = conn.unchecked_transaction().map_err(SqliteError::from)?;
    let value = read(RowAccess::new(conn))?;
    snapshot.finish()?;
    Ok(value)
}
