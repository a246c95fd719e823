//! The one thread that writes. It drains the waiting line into one transaction, commits, and only then acknowledges
//! (group commit): a sync of the disk is shared by all that waited for it.
//!
//! Intake goes before everything; a chunk of a fan-out is one job, and between two of them intake is drained. Every job
//! runs in a savepoint of its own (the first of a group in the transaction itself), so that one that fails takes nothing
//! with it. A job whose caller has gone is dropped before it is written.
//!
//! Where all jobs of a group may lag ([`WriteOperation::may_lag`]), its COMMIT waits for no sync: the next group that syncs
//! takes it along, or [`WalState`] within [`crate::engine::checkpoint::LAG_MAX`].

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alertcast_core::store::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::engine::checkpoint::WalState;
use crate::engine::failpoints::{self, WriteOperation};
use crate::engine::queue::{JobPriority, JobQueue, JobSlot, WaitOutcome};
use crate::engine::rows::RowAccess;
use crate::error::{SqliteError, SqliteResult};

/// A group takes short jobs for so long.
const GROUP_TIME_MAX: Duration = Duration::from_millis(5);
/// No group is larger.
const GROUP_JOBS_MAX: usize = 1024;

/// What a job works with.
#[derive(Debug)]
pub(crate) struct WriterTransaction<'c> {
    pub(crate) rows: RowAccess<'c>,
    counters: &'c WriterCounters,
}

/// Numbers that only the writer gives out. One that is given to a job that fails is not given again.
#[derive(Debug)]
struct WriterCounters {
    /// The highest `alertcast.seq`.
    seq: Cell<i64>,
    /// The highest number in the change log.
    change: Cell<i64>,
}

impl WriterTransaction<'_> {
    /// Runs a part of a job that may fail by itself: then it has changed nothing, and the job goes on.
    ///
    /// # Errors
    /// The transaction is gone, and the job with it.
    pub(crate) fn attempt(&self, part: impl FnOnce() -> SqliteResult<()>) -> SqliteResult<JobOutcome> {
        self.rows.run("SAVEPOINT part", [])?;
        match part() {
            Ok(()) => self.rows.run("RELEASE part", []).map(|_| Ok(())),
            // SQLite has undone the whole transaction: the disk is full, say.
            Err(fault) if self.rows.conn().is_autocommit() => Err(fault),
            Err(fault) => {
                self.rows.run("ROLLBACK TO part", [])?;
                self.rows.run("RELEASE part", [])?;
                Ok(Err(fault.0))
            }
        }
    }

    /// The next alert's place in the order of acceptance.
    pub(crate) fn next_seq(&self) -> i64 {
        self.counters.seq.set(self.counters.seq.get().saturating_add(1));
        self.counters.seq.get()
    }

    /// Notes the place of an alert that was written as a document.
    pub(crate) fn note_seq(&self, seq: i64) {
        self.counters.seq.set(self.counters.seq.get().max(seq));
    }

    /// The next number in the change log.
    pub(crate) fn next_change(&self) -> i64 {
        self.counters.change.set(self.counters.change.get().saturating_add(1));
        self.counters.change.get()
    }
}

/// One operation, waiting or applied.
pub(crate) trait WriterJob: Send {
    fn op(&self) -> WriteOperation;
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    fn apply(&mut self, tx: &WriterTransaction<'_>) -> SqliteResult<()>;
    /// Tells the caller.
    fn answer(self: Box<Self>, outcome: std::result::Result<(), StoreError>);
}

impl std::fmt::Debug for dyn WriterJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.op().name())
    }
}

/// A closure as a job.
struct ClosureJob<T, F> {
    op: WriteOperation,
    apply: Option<F>,
    value: Option<T>,
    reply: oneshot::Sender<std::result::Result<T, StoreError>>,
    _place: JobSlot,
}

impl<T, F> WriterJob for ClosureJob<T, F>
where
    T: Send,
    F: FnOnce(&WriterTransaction<'_>) -> SqliteResult<T> + Send,
{
    fn op(&self) -> WriteOperation {
        self.op
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn apply(&mut self, tx: &WriterTransaction<'_>) -> SqliteResult<()> {
        if let Some(apply) = self.apply.take() {
            self.value = Some(apply(tx)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: std::result::Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        let value = outcome.and_then(|()| value.ok_or_else(|| StoreError::Unavailable("it did not run".to_owned())));
        // Nobody may be waiting any more; what is written is written.
        let _ = reply.send(value);
    }
}

/// The queue of jobs, as the callers see it.
pub(crate) type WriterJobs = JobQueue<Box<dyn WriterJob>>;

impl WriterJobs {
    /// Runs an operation on the writer's thread; answers after its COMMIT. Dropping the future before the operation's
    /// turn cancels it. `whose`: what is closing, where it is.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        whose: &str,
        lane: JobPriority,
        op: WriteOperation,
        apply: impl FnOnce(&WriterTransaction<'_>) -> SqliteResult<T> + Send + 'static,
    ) -> std::result::Result<T, StoreError> {
        let closed = || StoreError::Unavailable(format!("{whose} is closing"));
        let place = self.place(lane).await.ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        let call = ClosureJob { op, apply: Some(apply), value: None, reply, _place: place };
        self.push(lane, Box::new(call)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

/// The writing thread's state.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) conn: Connection,
    pub(crate) jobs: Arc<WriterJobs>,
    pub(crate) wal: Arc<WalState>,
    /// `alertcast.seq` of the highest alert whose acceptance is committed.
    pub(crate) seq_committed: Arc<AtomicI64>,
    /// Groups committed since the start in which alerts were accepted.
    pub(crate) intake_groups: Arc<AtomicU64>,
    /// Whether the connection syncs with its commits.
    pub(crate) is_syncing: Cell<bool>,
    /// No entry of the change log that is committed has a higher number.
    pub(crate) change_committed: Arc<AtomicI64>,
}

type JobOutcome = std::result::Result<(), StoreError>;

/// Jobs that were applied, with what each came to, waiting for the COMMIT.
type AppliedJobs = Vec<(Box<dyn WriterJob>, JobOutcome)>;

impl Writer {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(self) {
        let counters = WriterCounters {
            seq: Cell::new(self.seq_committed.load(Ordering::Acquire)),
            change: Cell::new(self.change_committed.load(Ordering::Acquire)),
        };
        let mut bulk_had_its_turn = false;
        loop {
            match self.jobs.wait(Duration::from_secs(1)) {
                WaitOutcome::Work => bulk_had_its_turn = self.guarded_group(&counters, bulk_had_its_turn),
                WaitOutcome::Idle => {}
                WaitOutcome::Closed => return,
            }
            self.wal.restart_if_wanted(&self.conn);
        }
    }

    /// One group; a defect in it is the end of the group and no more. Whoever was in it hears that it broke off.
    fn guarded_group(&self, counters: &WriterCounters, had_bulk: bool) -> bool {
        let group = catch_unwind(AssertUnwindSafe(|| self.group(counters, had_bulk)));
        group.unwrap_or_else(|_| {
            if !self.conn.is_autocommit() {
                // Nothing to be done where this fails too: the next BEGIN says so.
                let _ = self.execute("ROLLBACK");
            }
            false
        })
    }

    /// One group, from BEGIN to the answers. Answers whether a bulk job was in it.
    #[expect(clippy::disallowed_methods, reason = "how long the group has been at work, not a time of the domain")]
    fn group(&self, counters: &WriterCounters, had_bulk: bool) -> bool {
        let mut applied = AppliedJobs::new();
        let lags = !self.jobs.any_next(|job| !job.op().may_lag());
        let intake_turn = had_bulk && self.jobs.waits(JobPriority::Intake);
        let mut lost = self.sync_commits(!lags).err();
        // A bulk job goes first in its group: what comes in meanwhile shares its COMMIT.
        let bulk = if intake_turn || lost.is_some() { None } else { self.pop_wanted(JobPriority::Bulk, lags) };
        let has_bulk = bulk.is_some();
        if let Some(job) = bulk {
            lost = self.take_in(job, &mut applied, counters).err();
        }
        let began = Instant::now();
        while lost.is_none()
            && let Some(job) = self.next_small(&applied, began, lags)
        {
            lost = self.take_in(job, &mut applied, counters).err();
        }
        self.finish(applied, lost, counters);
        has_bulk
    }

    /// The next job that is not bulk: intake first, then short ones while there is time.
    fn next_small(&self, applied: &AppliedJobs, began: Instant, lags: bool) -> Option<Box<dyn WriterJob>> {
        if applied.len() >= GROUP_JOBS_MAX {
            return None;
        }
        self.pop_wanted(JobPriority::Intake, lags).or_else(|| {
            let time_is_left = began.elapsed() < GROUP_TIME_MAX;
            time_is_left.then(|| self.pop_wanted(JobPriority::Short, lags)).flatten()
        })
    }

    /// The next job of a lane that somebody still waits for. In a group that lags, one that is to be synced has to wait for
    /// the next.
    fn pop_wanted(&self, lane: JobPriority, lags: bool) -> Option<Box<dyn WriterJob>> {
        let next = || self.jobs.pop_if(lane, |job| !lags || job.op().may_lag());
        std::iter::from_fn(next).find(|job| !job.is_abandoned())
    }

    /// Lets the commits that follow sync, or not.
    fn sync_commits(&self, on: bool) -> SqliteResult<()> {
        if self.is_syncing.replace(on) != on {
            self.execute(if on { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" })?;
        }
        Ok(())
    }

    /// Applies one job within the group's transaction. `Err`: the transaction is gone, and with it the whole group.
    fn take_in(
        &self,
        mut job: Box<dyn WriterJob>,
        applied: &mut AppliedJobs,
        counters: &WriterCounters,
    ) -> SqliteResult<()> {
        let outcome = self.apply(job.as_mut(), applied.is_empty(), counters);
        let (outcome, lost) = match outcome {
            Ok(outcome) => (outcome, Ok(())),
            Err(fault) => (Err(fault.0.clone()), Err(fault)),
        };
        applied.push((job, outcome));
        lost
    }

    fn apply(&self, job: &mut dyn WriterJob, first: bool, counters: &WriterCounters) -> SqliteResult<JobOutcome> {
        if first {
            self.execute("BEGIN IMMEDIATE")?;
        } else {
            self.execute("SAVEPOINT job")?;
        }
        let tx = WriterTransaction { rows: RowAccess::new(&self.conn), counters };
        let op = job.op().name();
        let outcome = run_guarded(|| {
            failpoints::pass(op, "begin")?;
            job.apply(&tx)?;
            failpoints::pass(op, "applied")
        });
        match outcome {
            Ok(()) if first => {}
            Ok(()) => self.execute("RELEASE job")?,
            // SQLite has undone the whole transaction: the disk is full, say.
            Err(fault) if self.conn.is_autocommit() => return Err(fault),
            Err(fault) if first => {
                self.execute("ROLLBACK")?;
                self.execute("BEGIN IMMEDIATE")?;
                return Ok(Err(fault.0));
            }
            Err(fault) => {
                self.execute("ROLLBACK TO job")?;
                self.execute("RELEASE job")?;
                return Ok(Err(fault.0));
            }
        }
        Ok(Ok(()))
    }

    /// Commits and answers.
    fn finish(&self, applied: AppliedJobs, lost: Option<SqliteError>, counters: &WriterCounters) {
        if applied.is_empty() {
            return;
        }
        let committed = match lost {
            Some(fault) => Err(fault),
            None => self.commit(counters),
        };
        if committed.is_err() && !self.conn.is_autocommit() {
            // Nothing to be done where this fails too: the next BEGIN says so.
            let _ = self.execute("ROLLBACK");
        }
        for (job, outcome) in applied {
            job.answer(match &committed {
                Ok(()) => outcome,
                Err(SqliteError(StoreError::Corrupt(why))) => Err(StoreError::Corrupt(why.clone())),
                Err(fault) => Err(StoreError::Unavailable(fault.0.to_string())),
            });
        }
    }

    fn commit(&self, counters: &WriterCounters) -> SqliteResult<()> {
        run_guarded(|| {
            failpoints::pass("commit", "before_commit")?;
            self.execute("COMMIT")?;
            self.wal.note_group(self.is_syncing.get());
            self.change_committed.store(counters.change.get(), Ordering::Release);
            let accepted = counters.seq.get();
            if self.seq_committed.fetch_max(accepted, Ordering::AcqRel) < accepted {
                self.intake_groups.fetch_add(1, Ordering::Relaxed);
            }
            failpoints::pass("commit", "after_commit")
        })
    }

    fn execute(&self, sql: &str) -> SqliteResult<()> {
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

/// Runs a step; a panic in it is a failure of that step and no more.
fn run_guarded(step: impl FnOnce() -> SqliteResult<()>) -> SqliteResult<()> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(SqliteError::unavailable(format!("an operation panicked: {said}")))
    })
}
