//! The one thread that writes. It drains the waiting line into one transaction, commits, and only then acknowledges
//! (group commit): a sync of the disk is shared by all that waited for it.
//!
//! Intake goes before everything; a chunk of a fan-out is one job, and between two of them intake is drained. Every job
//! runs in a savepoint of its own (the first of a group in the transaction itself), so that one that fails takes nothing
//! with it. A job whose caller has gone is dropped before it is written. Between groups, alerts of the intake log that
//! have waited too long for whoever works on them get their rows.
//!
//! Where all jobs of a group may lag ([`WriteOperation::may_lag`]), its COMMIT waits for no sync: the next group that syncs
//! takes it along, or [`WalState`] within [`crate::engine::checkpoint::LAG_MAX`].

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use alertcast_core::id::AlertId;
use alertcast_core::store::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::engine::alert_rows::{self, ROWS_AT_ONCE};
use crate::engine::checkpoint::WalState;
use crate::engine::failpoints::{self, WriteOperation};
use crate::engine::intake_log::{IntakeLog, LogEffects, UnappliedAlert};
use crate::engine::queue::{JobPriority, JobQueue, JobSlot, WaitOutcome};
use crate::engine::rows::RowAccess;
use crate::error::{SqliteError, SqliteResult};

/// A group takes short jobs for so long.
const GROUP_TIME_MAX: Duration = Duration::from_millis(5);
/// No group is larger.
const GROUP_JOBS_MAX: usize = 1024;
/// How often it is looked what waits for too long, where nothing else is to be done.
const IDLE: Duration = Duration::from_millis(250);

/// What a job works with.
#[derive(Debug)]
pub(crate) struct WriterTransaction<'c> {
    pub(crate) rows: RowAccess<'c>,
    /// The highest number in the change log. One that is given to a job that fails is not given again.
    change: &'c Cell<i64>,
    /// The store's; the spool has none.
    log: Option<&'c IntakeLog>,
    effects: RefCell<LogEffects>,
}

impl WriterTransaction<'_> {
    /// Runs a part of a job that may fail by itself: then it has changed nothing, and the job goes on.
    ///
    /// # Errors
    /// The transaction is gone, and the job with it.
    pub(crate) fn attempt(&self, part: impl FnOnce() -> SqliteResult<()>) -> SqliteResult<JobOutcome> {
        self.rows.run("SAVEPOINT part", [])?;
        let before = self.effects.take();
        let outcome = part();
        let of_part = self.effects.replace(before);
        match outcome {
            Ok(()) => {
                self.note_effects(|effects| effects.add(of_part));
                self.rows.run("RELEASE part", []).map(|_| Ok(()))
            }
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
        let seq = self.log.map_or(0, IntakeLog::next_seq);
        self.note_effects(|effects| effects.seq = seq);
        seq
    }

    /// Notes the place of an alert that was written as a document.
    pub(crate) fn note_seq(&self, seq: i64) {
        self.log.inspect(|log| log.note_seq(seq));
        self.note_effects(|effects| effects.seq = effects.seq.max(seq));
    }

    /// The next number in the change log.
    pub(crate) fn next_change(&self) -> i64 {
        self.change.set(self.change.get().saturating_add(1));
        self.change.get()
    }

    /// An alert that is in the log, and may have no row yet.
    pub(crate) fn find_in_log(&self, id: AlertId) -> Option<Arc<UnappliedAlert>> {
        self.log.and_then(|log| log.find(id))
    }

    /// Notes what follows in memory once this is committed.
    pub(crate) fn note_effects(&self, note: impl FnOnce(&mut LogEffects)) {
        note(&mut self.effects.borrow_mut());
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

/// Alerts of the log that get their rows.
struct RowsJob {
    alerts: Vec<Arc<UnappliedAlert>>,
}

impl WriterJob for RowsJob {
    fn op(&self) -> WriteOperation {
        WriteOperation::Rows
    }

    fn is_abandoned(&self) -> bool {
        false
    }

    fn apply(&mut self, tx: &WriterTransaction<'_>) -> SqliteResult<()> {
        alert_rows::store(tx, &self.alerts)
    }

    fn answer(self: Box<Self>, _outcome: std::result::Result<(), StoreError>) {}
}

/// The writing thread's state.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) conn: Connection,
    pub(crate) jobs: Arc<WriterJobs>,
    pub(crate) wal: Arc<WalState>,
    /// The store's; the spool has none.
    pub(crate) log: Option<Arc<IntakeLog>>,
    /// Whether the connection syncs with its commits.
    pub(crate) is_syncing: Cell<bool>,
    /// No entry of the change log that is committed has a higher number.
    pub(crate) change_committed: Arc<AtomicI64>,
}

type JobOutcome = std::result::Result<(), StoreError>;

/// Jobs that were applied, with what each came to, waiting for the COMMIT.
#[derive(Debug, Default)]
struct JobGroup {
    /// Its COMMIT waits for no sync.
    lags: bool,
    applied: Vec<(Box<dyn WriterJob>, JobOutcome)>,
    /// Of those that succeeded.
    effects: LogEffects,
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(self) {
        let change = Cell::new(self.change_committed.load(Ordering::Acquire));
        let mut bulk_had_its_turn = false;
        loop {
            match self.jobs.wait(IDLE) {
                WaitOutcome::Work => {
                    bulk_had_its_turn = self.guarded(|| self.group(&change, bulk_had_its_turn)).unwrap_or(false);
                }
                WaitOutcome::Idle => {}
                WaitOutcome::Closed => break,
            }
            if !self.jobs.is_stalled() {
                self.store_rows(&change, |log| log.overdue(ROWS_AT_ONCE));
            }
            self.wal.restart_if_wanted(&self.conn);
        }
        while self.store_rows(&change, |log| log.oldest(i64::MAX, ROWS_AT_ONCE)) {}
    }

    /// A defect in a group is the end of the group and no more: none is answered. Whoever was in it hears that it broke
    /// off.
    fn guarded<T>(&self, group: impl FnOnce() -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(group)).ok();
        if done.is_none() && !self.conn.is_autocommit() {
            // Nothing to be done where this fails too: the next BEGIN says so.
            let _ = self.execute("ROLLBACK");
        }
        done
    }

    /// Gives alerts of the log their rows, where one that fails is tried alone. Answers whether there were any, and at
    /// least one was stored.
    fn store_rows(&self, change: &Cell<i64>, choose: impl FnOnce(&IntakeLog) -> Vec<Arc<UnappliedAlert>>) -> bool {
        let Some(log) = &self.log else { return false };
        let waiting = choose(log);
        let store = |alerts: &[Arc<UnappliedAlert>]| {
            self.guarded(|| self.single_group(Box::new(RowsJob { alerts: alerts.to_vec() }), change)).unwrap_or(false)
        };
        if waiting.is_empty() || store(&waiting) {
            return !waiting.is_empty();
        }
        let stored = waiting.chunks(1).filter(|alone| store(alone)).count();
        if stored < waiting.len() {
            tracing::warn!(
                count = waiting.len() - stored,
                "accepted alerts wait in the intake log: they cannot be stored"
            );
        }
        stored > 0
    }

    /// A group of one job that nobody waits for; answers whether it was committed.
    fn single_group(&self, job: Box<dyn WriterJob>, change: &Cell<i64>) -> bool {
        let mut group = JobGroup { lags: job.op().may_lag(), ..JobGroup::default() };
        let lost = self.take_in(job, &mut group, change).err();
        let is_applied = group.applied.iter().all(|(_, outcome)| outcome.is_ok());
        self.finish(group, lost, change.get()) && is_applied
    }

    /// One group, from BEGIN to the answers. Answers whether a bulk job was in it.
    #[expect(clippy::disallowed_methods, reason = "how long the group has been at work, not a time of the domain")]
    fn group(&self, change: &Cell<i64>, had_bulk: bool) -> bool {
        let lags = !self.jobs.any_next(|job| !job.op().may_lag());
        let mut group = JobGroup { lags, ..JobGroup::default() };
        let intake_turn = had_bulk && self.jobs.waits(JobPriority::Intake);
        // A bulk job goes first in its group: what comes in meanwhile shares its COMMIT.
        let bulk = if intake_turn { None } else { self.pop_wanted(JobPriority::Bulk, lags) };
        let has_bulk = bulk.is_some();
        let mut lost = bulk.and_then(|job| self.take_in(job, &mut group, change).err());
        let began = Instant::now();
        while lost.is_none()
            && let Some(job) = self.next_small(group.applied.len(), began, lags)
        {
            lost = self.take_in(job, &mut group, change).err();
        }
        self.finish(group, lost, change.get());
        has_bulk
    }

    /// The next job that is not bulk: intake first, then short ones while there is time.
    fn next_small(&self, applied: usize, began: Instant, lags: bool) -> Option<Box<dyn WriterJob>> {
        if applied >= GROUP_JOBS_MAX {
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
        if self.is_syncing.get() != on {
            self.execute(if on { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" })?;
            self.is_syncing.set(on);
        }
        Ok(())
    }

    /// Applies one job within the group's transaction. `Err`: the transaction is gone, and with it the whole group.
    fn take_in(&self, mut job: Box<dyn WriterJob>, group: &mut JobGroup, change: &Cell<i64>) -> SqliteResult<()> {
        let outcome = self.apply(job.as_mut(), group, change);
        let (outcome, lost) = match outcome {
            Ok(outcome) => (outcome, Ok(())),
            Err(fault) => (Err(fault.0.clone()), Err(fault)),
        };
        group.applied.push((job, outcome));
        lost
    }

    fn apply(&self, job: &mut dyn WriterJob, group: &mut JobGroup, change: &Cell<i64>) -> SqliteResult<JobOutcome> {
        let first = group.applied.is_empty();
        if first {
            self.sync_commits(!group.lags)?;
            self.execute("BEGIN IMMEDIATE")?;
        } else {
            self.execute("SAVEPOINT job")?;
        }
        let (rows, log) = (RowAccess::new(&self.conn), self.log.as_deref());
        let tx = WriterTransaction { rows, change, log, effects: RefCell::default() };
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
        group.effects.add(tx.effects.into_inner());
        Ok(Ok(()))
    }

    /// Commits and answers; whether it is committed.
    fn finish(&self, group: JobGroup, lost: Option<SqliteError>, change: i64) -> bool {
        let JobGroup { applied, effects, .. } = group;
        if applied.is_empty() {
            return false;
        }
        let committed = match lost {
            Some(fault) => Err(fault),
            None => self.commit(effects, change),
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
        committed.is_ok()
    }

    fn commit(&self, effects: LogEffects, change: i64) -> SqliteResult<()> {
        run_guarded(|| {
            failpoints::pass("commit", "before_commit")?;
            self.execute("COMMIT")?;
            self.wal.note_group(self.is_syncing.get());
            self.change_committed.store(change, Ordering::Release);
            if let Some(log) = &self.log {
                log.committed(effects);
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
pub(crate) fn run_guarded<T>(step: impl FnOnce() -> SqliteResult<T>) -> SqliteResult<T> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(SqliteError::unavailable(format!("an operation panicked: {said}")))
    })
}
