//! The thread that appends: it takes everything that waits, judges it by the keys, writes what is new as one batch, syncs
//! once, and answers. While it syncs, the next batch gathers.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use alertcast_core::alert::document::Alert;
use alertcast_core::id::AlertId;
use alertcast_core::money::Count;
use alertcast_core::store::{AlertAcceptance, Collection, IntakeKey, StoreError, StoreResult};
use alertcast_core::time::Time;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::IntakeLog;
use super::frame::BATCH_HEADER;
use super::keys::KeyDigest;
use super::prices::AlertPrice;
use super::record::AcceptedRecord;
use super::segment_files::{BATCH_BYTES_MAX, SegmentFiles};
use super::unapplied::UnappliedAlert;
use crate::engine::checkpoint::WalState;
use crate::engine::failpoints::{self, WriteOperation};
use crate::engine::queue::{JobPriority, JobSlot, WaitOutcome};
use crate::engine::raw::RawEdit;
use crate::engine::rows::RowAccess;
use crate::engine::writer::run_guarded;
use crate::error::{SqliteError, SqliteResult};

/// A batch begins with no further alert beyond these.
const BATCH_JOBS_MAX: usize = 1024;
const BATCH_BYTES_WANTED: usize = 1 << 20;
/// How often it is looked for segments that can be used again.
const IDLE: Duration = Duration::from_secs(1);

type AppendReply = oneshot::Sender<StoreResult<AlertAcceptance>>;

/// An alert that waits to be appended.
#[derive(Debug)]
pub(crate) struct AppendJob {
    alert: Alert,
    record: AcceptedRecord,
    now: Time,
    reply: AppendReply,
    place: JobSlot,
}

impl AppendJob {
    pub(super) fn new(
        alert: Alert,
        document: Vec<u8>,
        keys: &[IntakeKey],
        now: Time,
        reply: AppendReply,
        place: JobSlot,
    ) -> Self {
        let record = AcceptedRecord { seq: 0, claims: AcceptedRecord::claims_of(keys), document };
        Self { alert, record, now, reply, place }
    }

    /// Gives the alert its place in the order.
    fn put_at(&mut self, seq: i64) -> SqliteResult<()> {
        let mut edit = RawEdit::new();
        edit.set("alertcast.seq", Count(seq));
        self.record.document = edit.apply(&self.record.document)?;
        self.record.seq = seq;
        self.alert.alertcast.seq = Count(seq);
        Ok(())
    }

    fn tell(self, outcome: StoreResult<AlertAcceptance>) {
        // Nobody may be waiting any more; what is written is written.
        let _ = self.reply.send(outcome);
    }
}

/// The appending thread's state.
#[derive(Debug)]
pub(crate) struct LogAppender {
    log: Arc<IntakeLog>,
    files: SegmentFiles,
    /// For the one question that memory does not answer.
    conn: Connection,
    /// The database's own log.
    wal: Arc<WalState>,
}

/// What is being written.
#[derive(Debug, Default)]
struct AppendBatch {
    frame: Vec<u8>,
    accepted: Vec<AppendJob>,
    /// Answered once the batch is synced: they hold to what stands in it.
    duplicates: Vec<(AppendJob, AlertId)>,
    claimed: HashMap<KeyDigest, (i64, AlertId)>,
}

/// What an alert is, held against what is there.
enum AppendVerdict {
    New,
    Known(AlertAcceptance),
    /// A duplicate of one in the same batch.
    KnownInBatch(AlertId),
}

impl LogAppender {
    pub(crate) fn new(dir: &Path, log: Arc<IntakeLog>, wal: Arc<WalState>, conn: Connection) -> std::io::Result<Self> {
        Ok(Self { log, files: SegmentFiles::open(dir)?, conn, wal })
    }

    /// Works until the log is closed and nothing waits.
    pub(crate) fn run(mut self) {
        loop {
            match self.log.jobs.wait(IDLE) {
                WaitOutcome::Work => {
                    // A defect is the end of its batch and no more: whoever was in it hears that it broke off.
                    let _ = catch_unwind(AssertUnwindSafe(|| self.append_waiting()));
                }
                WaitOutcome::Idle => {}
                WaitOutcome::Closed => return,
            }
            self.care_for_segments();
        }
    }

    /// One batch, from what waits to the answers.
    fn append_waiting(&mut self) {
        let mut batch = AppendBatch { frame: vec![0; BATCH_HEADER], ..AppendBatch::default() };
        while batch.accepted.len() < BATCH_JOBS_MAX
            && batch.frame.len() < BATCH_BYTES_WANTED
            && let Some(job) = self.log.jobs.pop(JobPriority::Intake)
        {
            if !job.reply.is_closed() {
                self.take_in(job, &mut batch);
            }
        }
        if batch.accepted.is_empty() {
            return;
        }
        let AppendBatch { mut frame, accepted, duplicates, .. } = batch;
        let synced = self.sync(&mut frame, &accepted);
        self.answer(synced, accepted, duplicates);
    }

    /// Judges an alert and adds it to the batch, or answers at once.
    fn take_in(&self, mut job: AppendJob, batch: &mut AppendBatch) {
        let op = WriteOperation::Accept.name();
        let judged = run_guarded(|| {
            failpoints::pass(op, "begin")?;
            let verdict = self.judge(&job, batch)?;
            if matches!(verdict, AppendVerdict::New) {
                job.put_at(self.log.next_seq())?;
            }
            failpoints::pass(op, "applied")?;
            Ok(verdict)
        });
        match judged {
            Err(fault) => job.tell(Err(fault.0)),
            Ok(AppendVerdict::New) => {
                for claim in &job.record.claims {
                    batch.claimed.insert(claim.digest, (claim.until, job.alert.id));
                }
                job.record.write(&mut batch.frame);
                batch.accepted.push(job);
            }
            Ok(AppendVerdict::KnownInBatch(of)) => batch.duplicates.push((job, of)),
            Ok(AppendVerdict::Known(acceptance)) => job.tell(Ok(acceptance)),
        }
    }

    fn judge(&self, job: &AppendJob, batch: &AppendBatch) -> SqliteResult<AppendVerdict> {
        let now = job.now.millis();
        let state = self.log.lock();
        for claim in &job.record.claims {
            if let Some(of) = state.keys.holder(claim.digest, now) {
                return Ok(AppendVerdict::Known(AlertAcceptance::Duplicate { of }));
            }
            if let Some((_, of)) = batch.claimed.get(&claim.digest).filter(|(until, _)| *until > now) {
                return Ok(AppendVerdict::KnownInBatch(*of));
            }
        }
        if job.record.size() > BATCH_BYTES_MAX - BATCH_BYTES_WANTED {
            return Err(SqliteError::unavailable(format!("an alert of {} bytes is too large", job.record.size())));
        }
        if state.unapplied.get(job.alert.id).is_some() {
            // Offered again by a caller that had no answer.
            return Ok(AppendVerdict::Known(AlertAcceptance::Stored));
        }
        drop(state);
        // Else one that is offered again is known by its keys.
        if job.record.claims.is_empty() && RowAccess::new(&self.conn).exists(Collection::Alerts, job.alert.id)? {
            return Ok(AppendVerdict::Known(AlertAcceptance::Stored));
        }
        Ok(AppendVerdict::New)
    }

    /// Writes and syncs the batch.
    fn sync(&mut self, frame: &mut Vec<u8>, accepted: &[AppendJob]) -> SqliteResult<()> {
        let last_seq = accepted.last().map_or(0, |job| job.record.seq);
        run_guarded(|| {
            failpoints::pass("commit", "before_commit")?;
            failpoints::pass("log", "before_write")?;
            self.files.append(frame, last_seq).map_err(append_error)
        })
    }

    /// Makes it known what is synced, then answers.
    fn answer(&self, synced: SqliteResult<()>, accepted: Vec<AppendJob>, duplicates: Vec<(AppendJob, AlertId)>) {
        let mut told = synced;
        let mut replies = Vec::with_capacity(accepted.len());
        if told.is_ok() {
            replies = self.make_known(accepted);
            told = run_guarded(|| {
                failpoints::pass("log", "synced")?;
                failpoints::pass("commit", "after_commit")
            });
        } else {
            replies.extend(accepted.into_iter().map(|job| (job.reply, job.place)));
        }
        let told = told.map_err(|fault| StoreError::Unavailable(fault.0.to_string()));
        for (reply, _place) in replies {
            // Nobody may be waiting any more; what is written is written.
            let _ = reply.send(told.clone().map(|()| AlertAcceptance::Stored));
        }
        for (job, of) in duplicates {
            job.tell(told.clone().map(|()| AlertAcceptance::Duplicate { of }));
        }
    }

    #[expect(clippy::disallowed_methods, reason = "since when they wait for a row, not a time of the domain")]
    fn make_known(&self, accepted: Vec<AppendJob>) -> Vec<(AppendReply, JobSlot)> {
        let since = Instant::now();
        let mut replies = Vec::with_capacity(accepted.len());
        let mut state = self.log.lock();
        for AppendJob { alert, record, reply, place, .. } in accepted {
            record.claims.iter().for_each(|claim| state.keys.claim(*claim, alert.id));
            if let Some((config, price)) = AlertPrice::of(&alert) {
                state.prices.note(config, price);
            }
            self.log.mark.fetch_max(record.seq, Ordering::AcqRel);
            state.unapplied.insert(UnappliedAlert { alert, record, since });
            replies.push((reply, place));
        }
        self.log.groups.fetch_add(1, Ordering::Relaxed);
        replies
    }

    /// Lets segments be used again whose records are all applied and whose rows are synced, and makes the next one before
    /// it is needed. Where that fails, it is tried again, and appending says so.
    fn care_for_segments(&mut self) {
        let first_needed = self.log.lock().unapplied.first_seq().unwrap_or(i64::MAX);
        if self.files.has_done(first_needed) && self.wal.sync().is_ok() {
            self.files.recycle(first_needed);
        }
        if self.files.lacks_spare() {
            let _ = self.files.make_spare();
        }
    }
}

fn append_error(error: std::io::Error) -> SqliteError {
    SqliteError::unavailable(match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "the disk, or the room given to it, is full".to_owned()
        }
        _ => format!("the intake log cannot be written: {error}"),
    })
}
