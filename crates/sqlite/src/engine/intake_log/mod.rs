//! The intake log: what is synced before an alert is answered 202 is one narrow append. The alert's row and its keys are
//! written by whoever works on it, together with what follows from it.
//!
//! - [`frame`]: the bytes of a segment. [`segment_files`]: its files. [`record`]: an alert as a record.
//! - [`appender`]: the thread that takes what waits, writes it, syncs once, and answers (group commit).
//! - [`unapplied`], [`keys`], [`prices`]: what is known in memory, so that intake asks the database nothing.
//!
//! A record is applied when its alert has a row, or has been deleted (`intake_deleted`): that is seen in the database
//! itself, so replaying the log at the start is done twice without harm. A segment is used again once all its records are
//! applied and the database's own log is synced.
//!
//! Seen from outside nothing of this shows: whoever reads alerts sees those of the log among them.

mod appender;
mod frame;
pub(crate) mod keys;
pub(crate) mod prices;
mod record;
mod segment_files;
mod unapplied;

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alertcast_core::alert::document::{Alert, PricePoint};
use alertcast_core::id::{AlertId, ConfigId};
use alertcast_core::store::{AlertAcceptance, IntakeKey, StoreResult};
use alertcast_core::time::Time;
use tokio::sync::oneshot;

use self::keys::{HeldKeys, KeyClaim, KeyDigest};
use self::prices::{AlertPrice, PriceLoad, RecentPrices};
use self::unapplied::UnappliedAlerts;
use crate::engine::queue::{JobPriority, JobQueue};
use crate::engine::raw::{self, RawValue};
use crate::engine::rows::{RowAccess, whole};
use crate::error::{SqliteError, SqliteResult};

pub(crate) use self::appender::{AppendJob, LogAppender};
pub(crate) use self::record::AcceptedRecord;
pub(crate) use self::segment_files::SegmentError;
pub(crate) use self::unapplied::UnappliedAlert;

/// What waits for longer than this to be worked off gets its row.
const OVERDUE: Duration = Duration::from_secs(1);

/// Alerts that were deleted while the log has them: they get no row from it.
pub(crate) const DELETED_TABLE: &str = "CREATE TABLE IF NOT EXISTS intake_deleted (seq INTEGER PRIMARY KEY)";

pub(crate) const LAST_SEQ: &str = r#"SELECT max("alertcast.seq") FROM alerts"#;

/// The log, as everybody but its appender sees it.
#[derive(Debug)]
pub(crate) struct IntakeLog {
    jobs: JobQueue<AppendJob>,
    state: Mutex<LogState>,
    /// The last place that was given out.
    seq: AtomicI64,
    /// That of the last alert whose acceptance may have been answered.
    mark: AtomicI64,
    groups: AtomicU64,
    /// Raised whenever a row may have come to wait for the processor.
    pending_rows: AtomicU64,
    /// Its number when none was found.
    no_pending_rows: AtomicU64,
    /// Where more than these have no row, nothing is taken in.
    unapplied_bytes_max: usize,
}

#[derive(Debug)]
struct LogState {
    keys: HeldKeys,
    unapplied: UnappliedAlerts,
    prices: RecentPrices,
}

/// What becomes of the log's memory with the COMMIT of a group.
#[derive(Debug, Default)]
pub(crate) struct LogEffects {
    /// Alerts that have a row now, or are gone.
    pub(crate) applied: Vec<AlertId>,
    /// Rows may wait for the processor.
    pub(crate) pending: bool,
    /// Prices of refused alerts.
    pub(crate) prices: Vec<(ConfigId, AlertPrice)>,
    /// Alerts were written as documents.
    pub(crate) forget_prices: bool,
    /// Keys that were removed.
    pub(crate) keys: Vec<KeyClaim>,
    /// The highest place in the order that an alert got.
    pub(crate) seq: i64,
}

impl LogEffects {
    /// Adds those of another job of the group.
    pub(crate) fn add(&mut self, other: Self) {
        self.applied.extend(other.applied);
        self.pending |= other.pending;
        self.prices.extend(other.prices);
        self.forget_prices |= other.forget_prices;
        self.keys.extend(other.keys);
        self.seq = self.seq.max(other.seq);
    }
}

impl IntakeLog {
    /// Over a database that has all of the folder's log. `unapplied_bytes_max`: as much of the log may be without rows.
    pub(crate) fn new(rows: RowAccess<'_>, unapplied_bytes_max: usize) -> SqliteResult<Self> {
        let seq = rows.one(LAST_SEQ, [], |row| whole(row, 0))?.unwrap_or(0);
        let (unapplied, prices) = (UnappliedAlerts::default(), RecentPrices::default());
        Ok(Self {
            jobs: JobQueue::new(),
            state: Mutex::new(LogState { keys: HeldKeys::load(rows)?, unapplied, prices }),
            seq: AtomicI64::new(seq),
            mark: AtomicI64::new(seq),
            groups: AtomicU64::new(0),
            pending_rows: AtomicU64::new(1),
            no_pending_rows: AtomicU64::new(0),
            unapplied_bytes_max,
        })
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an alert unless one of its keys is taken; answers once it is synced. Dropping the future before the write
    /// began cancels it.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be written.
    pub(crate) async fn append(
        &self,
        alert: Alert,
        document: Vec<u8>,
        keys: &[IntakeKey],
        now: Time,
    ) -> StoreResult<AlertAcceptance> {
        let closed = || SqliteError::unavailable("the store is closing");
        let place = self.jobs.place(JobPriority::Intake).await.ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        let job = AppendJob::new(alert, document, keys, now, reply, place);
        self.jobs.push(JobPriority::Intake, job).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// The place of the last alert whose acceptance may have been answered.
    pub(crate) fn mark(&self) -> i64 {
        self.mark.load(Ordering::Acquire)
    }

    /// The next alert's place in the order of acceptance. One that is given to an alert that fails is not given again.
    pub(crate) fn next_seq(&self) -> i64 {
        self.seq.fetch_add(1, Ordering::AcqRel).saturating_add(1)
    }

    /// Notes the place of an alert that was written as a document.
    pub(crate) fn note_seq(&self, seq: i64) {
        self.seq.fetch_max(seq, Ordering::AcqRel);
    }

    /// How many syncs have accepted alerts since the store was opened.
    pub(crate) fn groups(&self) -> u64 {
        self.groups.load(Ordering::Relaxed)
    }

    /// The alert that holds one of these keys at `now`.
    pub(crate) fn holder(&self, keys: &[IntakeKey], now: Time) -> Option<AlertId> {
        let state = self.lock();
        keys.iter().find_map(|key| state.keys.holder(KeyDigest::of(&key.key), now.millis()))
    }

    /// How many keys are held, or were and are not purged yet.
    pub(crate) fn count_keys(&self) -> u64 {
        self.lock().keys.count() as u64
    }

    /// Whether more may be taken in.
    pub(crate) fn has_room(&self) -> bool {
        self.lock().unapplied.bytes() < self.unapplied_bytes_max
    }

    /// An alert that has no row yet.
    pub(crate) fn find(&self, id: AlertId) -> Option<Arc<UnappliedAlert>> {
        self.lock().unapplied.get(id)
    }

    /// All that have no row yet.
    pub(crate) fn all(&self) -> Vec<Arc<UnappliedAlert>> {
        self.lock().unapplied.in_order().cloned().collect()
    }

    /// The first that have no row yet, of those up to a place.
    pub(crate) fn oldest(&self, up_to: i64, limit: usize) -> Vec<Arc<UnappliedAlert>> {
        let state = self.lock();
        let up_to = state.unapplied.in_order().take_while(|alert| alert.record.seq <= up_to);
        up_to.take(limit).cloned().collect()
    }

    /// The first that have waited too long for a row.
    pub(crate) fn overdue(&self, limit: usize) -> Vec<Arc<UnappliedAlert>> {
        self.lock().unapplied.overdue(OVERDUE, limit)
    }

    /// The first that have no row yet, of these partitions, but for those of some configurations.
    pub(crate) fn first(&self, partitions: &[i32], except: &[ConfigId], limit: usize) -> Vec<Arc<UnappliedAlert>> {
        self.lock().unapplied.first(partitions, except, limit)
    }

    /// To be looked at before rows that wait are looked for; none where there are none.
    pub(crate) fn may_have_pending_rows(&self) -> Option<u64> {
        let number = self.pending_rows.load(Ordering::Acquire);
        (self.no_pending_rows.load(Ordering::Acquire) != number).then_some(number)
    }

    /// None was found by a look that began with this number.
    pub(crate) fn note_no_pending_rows(&self, number: u64) {
        self.no_pending_rows.store(number, Ordering::Release);
    }

    /// The prices of a configuration received since then; where they are not known, a load is begun.
    pub(crate) fn recent_prices(
        &self,
        config: ConfigId,
        since: Time,
    ) -> std::result::Result<Vec<PricePoint>, PriceLoad> {
        let mut state = self.lock();
        match state.prices.find(config, since) {
            Some(prices) => Ok(prices),
            None => {
                let so_far = state.unapplied.of_config(config).filter_map(|alert| AlertPrice::of(&alert.alert));
                let so_far = so_far.map(|(_, price)| price).collect();
                Err(state.prices.begin(config, since, so_far))
            }
        }
    }

    /// Ends a load with what was found; answers the prices.
    pub(crate) fn end_load(&self, load: PriceLoad, loaded: Vec<AlertPrice>) -> Vec<PricePoint> {
        self.lock().prices.end(load, loaded)
    }

    /// A group of the writer is committed.
    pub(crate) fn committed(&self, effects: LogEffects) {
        if effects.pending {
            self.pending_rows.fetch_add(1, Ordering::AcqRel);
        }
        self.mark.fetch_max(effects.seq, Ordering::AcqRel);
        let mut state = self.lock();
        if effects.forget_prices {
            state.prices.forget_all();
        }
        for (config, price) in effects.prices {
            state.prices.note(config, price);
        }
        effects.applied.into_iter().for_each(|id| state.unapplied.remove(id));
        effects.keys.into_iter().for_each(|key| state.keys.forget(key));
    }

    /// Takes nothing more in. What waits is still written.
    pub(crate) fn close(&self) {
        self.jobs.close();
    }

    /// Holds the appender up, or lets it go on.
    #[cfg(feature = "test-hooks")]
    pub(crate) fn stall(&self, on: bool) {
        self.jobs.stall(on);
    }
}

/// Reads the log of a folder: accepted alerts in their order, whether they have a row or not. The log may be in use.
pub(crate) fn read_log(dir: &Path) -> std::result::Result<Vec<AcceptedRecord>, SegmentError> {
    let mut records = Vec::new();
    for batch in segment_files::read_batches(dir)? {
        let read = AcceptedRecord::read_all(&batch);
        records.extend(read.ok_or_else(|| SegmentError::Damage {
            file: dir.to_owned(),
            why: "a batch of the intake log holds something else than alerts".to_owned(),
        })?);
    }
    Ok(records)
}

/// The id of a record's alert, where it is one of ours.
pub(crate) fn alert_of(record: &AcceptedRecord) -> SqliteResult<AlertId> {
    let id = raw::lookup(&record.document, "_id")?.and_then(RawValue::as_id);
    id.map(AlertId).ok_or_else(|| SqliteError::corrupt("the intake log: an alert without an id"))
}
