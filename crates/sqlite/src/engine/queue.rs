//! The writer's waiting line: three lanes, each bounded. Whoever finds a lane full waits for room; whoever leaves while
//! waiting is forgotten.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobPriority {
    /// Alerts coming in.
    Intake,
    /// What takes a millisecond or less.
    Short,
    /// Chunks of a fan-out, and other large writes.
    Bulk,
}

const LANES: usize = 3;
const ROOM: [usize; LANES] = [4096, 4096, 64];

/// A waiting line of jobs.
#[derive(Debug)]
pub(crate) struct JobQueue<J> {
    state: Mutex<QueueState<J>>,
    wake: Condvar,
    room: [Arc<Semaphore>; LANES],
}

#[derive(Debug)]
struct QueueState<J> {
    lanes: [VecDeque<J>; LANES],
    closed: bool,
    /// How many hold the writer up (tests only).
    stalled: usize,
}

/// A place in a lane; given back when the job is done.
#[derive(Debug)]
pub(crate) struct JobSlot {
    _permit: OwnedSemaphorePermit,
}

/// What waiting came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WaitOutcome {
    /// There is a job.
    Work,
    /// Nothing came in that time.
    Idle,
    /// Nothing waits, and nothing more will come.
    Closed,
}

impl<J> JobQueue<J> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(QueueState {
                lanes: std::array::from_fn(|_| VecDeque::new()),
                closed: false,
                stalled: 0,
            }),
            wake: Condvar::new(),
            room: ROOM.map(|room| Arc::new(Semaphore::new(room))),
        }
    }

    /// Waits for room in a lane. None where the queue is closed.
    pub(crate) async fn place(&self, lane: JobPriority) -> Option<JobSlot> {
        let permit = Arc::clone(&self.room[lane as usize]).acquire_owned().await.ok()?;
        Some(JobSlot { _permit: permit })
    }

    /// Puts a job at the end of its lane; gives it back where the queue is closed.
    pub(crate) fn push(&self, lane: JobPriority, job: J) -> Result<(), J> {
        let mut state = self.lock();
        if state.closed {
            return Err(job);
        }
        state.lanes[lane as usize].push_back(job);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// The next job of a lane.
    pub(crate) fn pop(&self, lane: JobPriority) -> Option<J> {
        self.pop_if(lane, |_| true)
    }

    /// The next job of a lane, where it is one that is wanted now.
    pub(crate) fn pop_if(&self, lane: JobPriority, is_wanted: impl Fn(&J) -> bool) -> Option<J> {
        let mut state = self.lock();
        if state.stalled > 0 {
            return None;
        }
        state.lanes[lane as usize].pop_front_if(|job| is_wanted(job))
    }

    /// Whether one of the lanes' next jobs is such.
    pub(crate) fn any_next(&self, is_such: impl Fn(&J) -> bool) -> bool {
        self.lock().lanes.iter().filter_map(VecDeque::front).any(is_such)
    }

    /// Whether somebody holds the writer up (tests only).
    pub(crate) fn is_stalled(&self) -> bool {
        self.lock().stalled > 0
    }

    /// Whether a job waits in a lane.
    pub(crate) fn waits(&self, lane: JobPriority) -> bool {
        !self.lock().lanes[lane as usize].is_empty()
    }

    /// Waits until there is something to do, at most so long.
    pub(crate) fn wait(&self, at_most: Duration) -> WaitOutcome {
        let idle = |state: &mut QueueState<J>| {
            let empty = state.lanes.iter().all(VecDeque::is_empty);
            state.stalled > 0 || (empty && !state.closed)
        };
        let (state, _) =
            self.wake.wait_timeout_while(self.lock(), at_most, idle).unwrap_or_else(PoisonError::into_inner);
        let empty = state.lanes.iter().all(VecDeque::is_empty);
        match (state.stalled > 0, empty, state.closed) {
            (true, ..) | (false, true, false) => WaitOutcome::Idle,
            (false, false, _) => WaitOutcome::Work,
            (false, true, true) => WaitOutcome::Closed,
        }
    }

    /// Takes no more jobs. What waits is still done.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.stalled = 0;
        drop(state);
        for room in &self.room {
            room.close();
        }
        self.wake.notify_all();
    }

    /// Holds the writer up, or lets it go on.
    #[cfg(feature = "test-hooks")]
    pub(crate) fn stall(&self, on: bool) {
        let mut state = self.lock();
        state.stalled = if on { state.stalled + 1 } else { state.stalled.saturating_sub(1) };
        drop(state);
        self.wake.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
