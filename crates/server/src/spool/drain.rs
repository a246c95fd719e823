//! From the spool to the store: in order of place within each configuration, configurations side by side. Everything is
//! repeatable: a record is removed only after the store has it, and what the store has already it takes again without
//! harm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alertcast_core::alert::document::Alert;
use alertcast_core::id::ConfigId;
use alertcast_core::store::{AlertAcceptance, Collection, DocumentWrite, IntakeKey, StoreError, StoreResult};
use alertcast_core::time::Time;
use alertcast_sqlite::{SpoolEntry, SpoolRecord};
use bson::{Bson, doc};
use futures::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::SpooledIntake;
use crate::base::Base;
use crate::degraded::TroubleKind;
use crate::metrics::StorePart;

/// Records brought to the store before they are removed together.
const BATCH: usize = 64;
/// Configurations whose records are brought side by side.
const CONFIGS_AT_ONCE: usize = 8;
/// How long the store may take for one record.
const PATIENCE: Duration = Duration::from_secs(10);
/// So often the report of what the store will not have is tried while the store is there.
const REPORTS_MAX: u32 = 3;
/// Even without a knock, it is looked whether there is something to do.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a store that is away is left alone.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What a look at the spool came to.
#[derive(Debug, PartialEq, Eq)]
enum DrainStep {
    /// There is nothing to do.
    Idle,
    /// There may be more.
    Done,
    /// The store, or the spool, does not do its part.
    Failed,
}

/// What became of a record.
#[derive(Debug)]
enum DrainOutcome {
    /// The store has it, and it may be removed.
    Kept(&'static str),
    /// The store will not have it. The operators have been told, where that was possible.
    Refused(StoreError),
    /// The store is away.
    Later(StoreError),
}

/// Runs until `stop`. What has not been brought to the store by then stays in the spool.
pub async fn run(base: Base, spooled: Arc<SpooledIntake>, stop: CancellationToken) {
    let mut pause = PAUSE_FIRST;
    loop {
        let step = tokio::select! {
            step = spooled.step(&base) => step,
            () = stop.cancelled() => return,
        };
        let wait = match step {
            DrainStep::Done => {
                pause = PAUSE_FIRST;
                continue;
            }
            DrainStep::Idle => {
                pause = PAUSE_FIRST;
                LOOK_EVERY
            }
            DrainStep::Failed => {
                let wait = pause;
                pause = (pause * 2).min(PAUSE_MAX);
                wait
            }
        };
        tokio::select! {
            () = spooled.wanted.notified(), if step == DrainStep::Idle => {}
            () = base.clock.sleep(wait) => {}
            () = stop.cancelled() => return,
        }
    }
}

impl SpooledIntake {
    async fn step(&self, base: &Base) -> DrainStep {
        if self.passes() {
            return DrainStep::Idle;
        }
        // A store that is away is asked with one record, not with many.
        let limit = if self.is_away() { 1 } else { BATCH };
        match self.spool.oldest(limit).await {
            Ok(records) if records.is_empty() => self.finish().await,
            Ok(records) => self.bring(records, base).await,
            Err(error) => {
                error!(%error, "the spool cannot be read; trying again");
                DrainStep::Failed
            }
        }
    }

    /// Nothing waits: the spell is over once the store is there.
    async fn finish(&self) -> DrainStep {
        if self.is_away() {
            match self.patiently(self.store.last_change()).await {
                Ok(_) => self.back(),
                Err(_) => return DrainStep::Failed,
            }
        }
        match self.spool.recount().await {
            Ok(0) if self.end() => {
                self.tell();
                DrainStep::Done
            }
            // Something is just being written: its end knocks.
            Ok(0) => DrainStep::Idle,
            Ok(_) => DrainStep::Done,
            Err(error) => {
                error!(%error, "the spool cannot be counted; trying again");
                DrainStep::Failed
            }
        }
    }

    async fn bring(&self, records: Vec<SpoolRecord>, base: &Base) -> DrainStep {
        let mut lanes: BTreeMap<Option<ConfigId>, Vec<SpoolRecord>> = BTreeMap::new();
        for record in records {
            lanes.entry(config_of(&record)).or_default().push(record);
        }
        let lanes = stream::iter(lanes.into_values()).map(|lane| self.bring_lane(lane, base));
        let outcomes: Vec<(i64, DrainOutcome)> =
            lanes.buffer_unordered(CONFIGS_AT_ONCE).flat_map(stream::iter).collect().await;
        let written = self.settle(outcomes).await;
        self.tell();
        base.wake.alerts_came();
        base.wake.deliveries_came();
        written
    }

    /// Records of one configuration, one after the other, until the store is away.
    async fn bring_lane(&self, records: Vec<SpoolRecord>, base: &Base) -> Vec<(i64, DrainOutcome)> {
        let mut outcomes = Vec::with_capacity(records.len());
        for record in records {
            let offered = match &record.entry {
                Ok(entry) => self.patiently(self.offer(entry.clone())).await,
                Err(error) => Err(error.clone()),
            };
            let outcome = match offered {
                Ok(result) => DrainOutcome::Kept(result),
                Err(error) if is_passing(&error) => DrainOutcome::Later(error),
                Err(error) => self.handle_refused(base, &record, error).await,
            };
            let stop = matches!(outcome, DrainOutcome::Later(_));
            outcomes.push((record.position, outcome));
            if stop {
                break;
            }
        }
        outcomes
    }

    /// Tells of what the store will not have, unless it is away again. A report that does not get in although the store
    /// is there holds nobody up.
    async fn handle_refused(&self, base: &Base, record: &SpoolRecord, why: StoreError) -> DrainOutcome {
        for tries_left in (0..REPORTS_MAX).rev() {
            let Err(error) = self.patiently(self.report(base, record, &why)).await else {
                return DrainOutcome::Refused(why);
            };
            if is_passing(&error) && self.patiently(self.store.last_change()).await.is_err() {
                return DrainOutcome::Later(error);
            }
            if !is_passing(&error) || tries_left == 0 {
                error!(position = record.position, %error, "the operators cannot be told of an alert that is set aside");
                break;
            }
            self.clock.sleep(PAUSE_FIRST).await;
        }
        DrainOutcome::Refused(why)
    }

    /// Notes in the spool what the store said.
    async fn settle(&self, outcomes: Vec<(i64, DrainOutcome)>) -> DrainStep {
        let (mut kept, mut step) = (Vec::new(), DrainStep::Done);
        let mut noted = Ok(());
        for (position, outcome) in outcomes {
            match outcome {
                DrainOutcome::Kept(result) => {
                    self.back();
                    self.metrics.count_drained(result);
                    kept.push(position);
                }
                DrainOutcome::Refused(error) => {
                    self.metrics.count_drained("parked");
                    error!(position, %error, "the store will not have an alert of the spool: it is set aside there");
                    noted = noted.and(self.spool.park(position, error.to_string()).await);
                }
                DrainOutcome::Later(error) => {
                    self.note_gone(StorePart::Spool, &error);
                    step = DrainStep::Failed;
                }
            }
        }
        if let Err(error) = noted.and(self.spool.remove(kept).await) {
            error!(%error, "the spool cannot be written; what the store has is brought to it again");
            return DrainStep::Failed;
        }
        step
    }

    /// Offers one entry to the store; answers what it came to, in a word for the metrics.
    async fn offer(&self, entry: SpoolEntry) -> StoreResult<&'static str> {
        match entry {
            SpoolEntry::Accept { alert, keys, now, tried } => self.offer_alert(*alert, keys, now, tried).await,
            SpoolEntry::Refuse { alert, notices } => self.store.refuse_alert(*alert, notices).await.map(|()| "refused"),
            SpoolEntry::Reject { rejected, notices } => {
                self.store.reject_webhook(*rejected, notices).await.map(|()| "refused")
            }
        }
    }

    async fn offer_alert(
        &self,
        alert: Alert,
        keys: Vec<IntakeKey>,
        now: Time,
        tried: bool,
    ) -> StoreResult<&'static str> {
        let (id, spooled_at) = (alert.id, alert.alertcast.spooled_at);
        match self.store.accept_alert(alert, keys, now).await? {
            // The store had it from the first offer, or from a drain that was cut off.
            AlertAcceptance::Duplicate { of } if of != id => {
                info!(alert = %id, of = %of, "an alert of the spool had been accepted by another process before");
                return Ok("duplicate");
            }
            AlertAcceptance::Stored | AlertAcceptance::Duplicate { .. } => {}
        }
        if let Some(at) = spooled_at.filter(|_| tried) {
            self.mark_spooled(&id.0, at).await?;
        }
        Ok("accepted")
    }

    /// An alert that got to the store by its first offer, whose answer was lost, says when it was spooled: its place
    /// there may be of after its acceptance was answered.
    async fn mark_spooled(&self, alert: &bson::oid::ObjectId, at: Time) -> StoreResult<()> {
        let mark = DocumentWrite::Update {
            collection: Collection::Alerts,
            id: *alert,
            set: doc! { "alertcast.spooledAt": at },
            unset: vec!["alertcast.offeredAt".to_owned()],
            expect: vec![("alertcast.spooledAt".to_owned(), Bson::Null)],
        };
        match self.store.write(vec![mark]).await {
            // It says so already.
            Err(StoreError::Conflict) => Ok(()),
            answer => answer,
        }
    }

    async fn patiently<T>(&self, operation: impl Future<Output = StoreResult<T>> + Send) -> StoreResult<T> {
        tokio::select! {
            biased;
            answer = operation => answer,
            () = self.clock.sleep(PATIENCE) => Err(StoreError::Unavailable(format!("no answer within {PATIENCE:?}"))),
        }
    }

    /// The store is there.
    fn back(&self) {
        if self.away.swap(false, Ordering::AcqRel) {
            warn!(waiting = self.spool.count_waiting(), "the store answers again");
            self.degraded.clear(TroubleKind::StoreAway, "");
        }
    }
}

/// Whether the same may go well another time.
fn is_passing(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::Conflict)
}

fn config_of(record: &SpoolRecord) -> Option<ConfigId> {
    match &record.entry {
        Ok(SpoolEntry::Accept { alert, .. } | SpoolEntry::Refuse { alert, .. }) => alert.processing.alert_config_id,
        Ok(SpoolEntry::Reject { .. }) | Err(_) => None,
    }
}
