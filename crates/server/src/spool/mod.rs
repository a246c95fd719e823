//! Intake while the store is away: alerts go to a local spool, synced to disk, are answered 202, and are brought to the
//! store afterwards (`drain`). Only for a store that is reached over a network; the embedded one has none.
//!
//! - While the store answers and the spool is empty, everything passes through to the store.
//! - What it does not do because it is away goes to the spool, and so does everything behind it until the spool is empty:
//!   the order of a configuration's alerts is that in which they were accepted.
//! - A store that is there and slow is waited for until intake's time is over; the sender is then asked to come again.
//! - What the rules need to know of earlier alerts comes from the spool, and from what passed through here lately
//!   (`recent`).
//!
//! An alert that the store may have in spite of a missing answer is spooled under the same id: the store takes it once.

mod drain;
mod parked;
mod recent;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alertcast_core::alert::document::{Alert, PricePoint};
use alertcast_core::id::{AlertId, ConfigId};
use alertcast_core::store::{
    AlertAcceptance, AlertIntake, IntakeKey, OperatorNotice, RejectedWebhook, SILENCE, Store, StoreError, StoreResult,
};
use alertcast_core::time::Time;
use alertcast_sqlite::{SPOOL, Spool, SpoolEntry};
use async_trait::async_trait;
use bson::oid::ObjectId;
use tokio::sync::Notify;
use tracing::{info, warn};

pub use self::drain::run;
use self::recent::RecentRecords;
use crate::base::Base;
use crate::clock::Clock;
use crate::degraded::{DegradedState, TroubleKind};
use crate::metrics::{Metrics, StorePart};
use crate::store_probe::write_something;

/// An answer that takes longer makes us ask whether the store is there at all: where it is, it is waited for.
const SLOW: Duration = Duration::from_millis(250);
/// How long the store may take to tell what has changed: there may be much, and others may be reading it already.
const CATCH_UP_SHARE: Duration = Duration::from_millis(400);

/// The mark of an alert that was received while the store could not tell one. Where it can when the alert is accepted,
/// the alert is marked then; else its place among others is told by the clock.
const NO_MARK: i64 = -1;

/// Whether this process holds accepted alerts that the store has not.
#[derive(Debug, Clone, Default)]
pub struct SpoolingFlag(Arc<AtomicBool>);

impl SpoolingFlag {
    /// From before the first alert of a spell is written to the spool until after the store has the last one.
    #[must_use]
    pub fn is_spooling(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Says so; answers whether it was so before.
    pub fn set(&self, on: bool) -> bool {
        self.0.swap(on, Ordering::AcqRel)
    }
}

/// Intake over a store that may be away, and a spool.
#[derive(Debug)]
pub struct SpooledIntake {
    store: Arc<dyn Store>,
    spool: Arc<Spool>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    degraded: DegradedState,
    spooling: SpoolingFlag,
    opened_at: Time,
    /// The store did not do its part, and has not been heard of since: nobody waits for it but the drain.
    away: AtomicBool,
    /// How many are being written to the spool. Held while a spell begins or ends.
    appending: Mutex<usize>,
    recent: Mutex<RecentRecords>,
    /// There is something to bring to the store, or the store to look for.
    wanted: Notify,
}

/// Something that is being written to the spool, until it is dropped.
struct AppendGuard<'a>(&'a SpooledIntake);

impl Drop for AppendGuard<'_> {
    fn drop(&mut self) {
        *lock(&self.0.appending) -= 1;
        self.0.wanted.notify_one();
    }
}

impl SpooledIntake {
    /// Intake over a store and a spool. What a former process left in the spool goes to the store first.
    #[must_use]
    pub fn new(base: &Base, spool: Arc<Spool>) -> Self {
        let spooled = Self {
            opened_at: base.clock.now(),
            store: Arc::clone(&base.store),
            clock: Arc::clone(&base.clock),
            metrics: base.metrics.clone(),
            degraded: base.degraded.clone(),
            spooling: SpoolingFlag::default(),
            away: AtomicBool::new(false),
            appending: Mutex::default(),
            recent: Mutex::default(),
            wanted: Notify::new(),
            spool,
        };
        if spooled.spool.count_waiting() > 0 {
            spooled.spooling.set(true);
            info!(alerts = spooled.spool.count_waiting(), "the spool holds what was accepted while the store was away");
        }
        spooled.tell();
        spooled
    }

    /// For whoever has to wait until this process has brought everything to the store.
    #[must_use]
    pub fn spooling_flag(&self) -> SpoolingFlag {
        self.spooling.clone()
    }

    /// How many records wait in the spool.
    #[must_use]
    pub fn count_waiting(&self) -> u64 {
        self.spool.count_waiting()
    }

    /// Lets the audience catch up for its share of the time. False where the store is away, or it took longer: that may
    /// be for the mass of changes, and says nothing of the store.
    ///
    /// # Errors
    /// Those of the store; `Unavailable` where it failed, and answers nevertheless.
    pub(crate) async fn while_it_answers(
        &self,
        catching_up: impl Future<Output = StoreResult<()>> + Send,
    ) -> StoreResult<bool> {
        if self.is_away() {
            return Ok(false);
        }
        tokio::select! {
            biased;
            caught_up = catching_up => self.note_answer(caught_up).await.map(|known| known.is_some()),
            () = self.clock.sleep(CATCH_UP_SHARE) => Ok(false),
        }
    }

    fn is_away(&self) -> bool {
        self.away.load(Ordering::Acquire)
    }

    /// Whether what comes in goes straight to the store.
    fn passes(&self) -> bool {
        !self.is_away() && !self.spooling.is_spooling() && self.spool.count_waiting() == 0
    }

    /// What the store answers; none where it is away. Where it is there and slow, it is waited for: no other process may
    /// know that anything is amiss, and what went to the spool could come after what they take in.
    ///
    /// # Errors
    /// Those of the store; `Unavailable` where it failed, and answers nevertheless.
    async fn ask<T>(&self, operation: impl Future<Output = StoreResult<T>> + Send) -> StoreResult<Option<T>> {
        if self.is_away() {
            return Ok(None);
        }
        let mut operation = pin!(operation);
        loop {
            tokio::select! {
                biased;
                answer = &mut operation => return self.note_answer(answer).await,
                () = self.clock.sleep(SLOW) => {}
            }
            tokio::select! {
                biased;
                answer = &mut operation => return self.note_answer(answer).await,
                is_there = self.is_there() => if !is_there { return Ok(None) },
            }
        }
    }

    async fn note_answer<T>(&self, answer: StoreResult<T>) -> StoreResult<Option<T>> {
        if let Err(StoreError::Unavailable(_)) = &answer
            && !self.is_there().await
        {
            return Ok(None);
        }
        answer.map(Some)
    }

    /// Whether the store answers anything.
    async fn is_there(&self) -> bool {
        while !self.is_away() {
            let asked_at = self.clock.monotonic();
            let answer = tokio::select! {
                biased;
                answer = self.store.last_change() => answer.map(|_| ()),
                () = self.clock.sleep(SILENCE) => Err(StoreError::Unavailable(format!("no answer within {SILENCE:?}"))),
            };
            let took = self.clock.monotonic().saturating_sub(asked_at);
            match answer {
                // It is this process that was held up: that says nothing of the store.
                Err(StoreError::Unavailable(_)) if took > SILENCE * 2 => {}
                Err(error @ StoreError::Unavailable(_)) => self.note_gone(StorePart::Webhook, &error),
                _ => return true,
            }
        }
        false
    }

    /// The store is not to be waited for until it is heard of again.
    fn note_gone(&self, part: StorePart, error: &StoreError) {
        self.metrics.store_failed(part, error);
        if !self.away.swap(true, Ordering::AcqRel) {
            warn!(%error, "the store does not do its part: alerts are kept in the spool until it does");
            let text = "The database does not answer. Alerts are accepted and kept in the spool; no message goes out \
                        until it is back.";
            self.degraded.set(TroubleKind::StoreAway, "", text);
        }
        self.wanted.notify_one();
    }

    /// From here on everything that comes in goes behind this.
    fn begin(&self) -> AppendGuard<'_> {
        let mut appending = lock(&self.appending);
        *appending += 1;
        if !self.spooling.set(true) {
            info!("a spell of spooling begins");
        }
        AppendGuard(self)
    }

    /// Ends a spell where nothing is left of it; answers whether alerts pass through now.
    fn end(&self) -> bool {
        let appending = lock(&self.appending);
        if *appending > 0 || self.spool.count_waiting() > 0 {
            return false;
        }
        if self.spooling.set(false) {
            info!("the spool is empty: the store has everything that was accepted");
        }
        true
    }

    async fn append(&self, kind: &'static str, entry: SpoolEntry) -> StoreResult<AlertAcceptance> {
        let kept = self.spool.append(entry).await;
        if kept == Ok(AlertAcceptance::Stored) {
            self.metrics.count_spooled(kind);
        }
        self.tell();
        kept
    }

    /// The mark of an alert that got none at its receipt, for the store may be back: a later one puts it behind more.
    async fn mark_late(&self, alert: &Alert) -> StoreResult<i64> {
        match alert.processing.alert_config_id {
            Some(config) if self.passes() => self.receipt_mark(config).await,
            _ => Ok(NO_MARK),
        }
    }

    /// The alert that holds a key, as far as is known without the store.
    async fn known_holder(&self, keys: &[IntakeKey], now: Time) -> StoreResult<Option<AlertId>> {
        let held = lock(&self.recent).holder(keys, now);
        if held.is_some() { Ok(held) } else { self.spool.holder(keys, now).await }
    }

    /// Writes something as large as an alert, as an alert would be kept now.
    ///
    /// # Errors
    /// Those of the store, or of the spool where it is away.
    pub(crate) async fn probe(&self, id: ObjectId) -> StoreResult<()> {
        if self.passes() {
            let written = write_something(&*self.store, id, self.clock.now());
            if self.ask(written).await?.is_some() {
                return Ok(());
            }
        }
        self.spool.probe().await
    }

    fn tell(&self) {
        let parked = self.spool.count_parked();
        self.metrics.in_spool(self.spool.count_waiting(), parked);
        if parked == 0 {
            return self.degraded.clear(TroubleKind::ParkedWork, SPOOL);
        }
        let text = format!(
            "{parked} accepted alerts could not be stored and are set aside in {SPOOL}: the operators' chat and the log \
             say why; a restart tries them again."
        );
        self.degraded.set(TroubleKind::ParkedWork, SPOOL, text);
    }
}

#[async_trait]
impl AlertIntake for SpooledIntake {
    /// Where the store does not tell it, a mark that no alert's place is below.
    async fn receipt_mark(&self, config: ConfigId) -> StoreResult<i64> {
        Ok(self.ask(self.store.receipt_mark(config)).await?.unwrap_or(NO_MARK))
    }

    async fn recent_prices(&self, config: ConfigId, since: Time) -> StoreResult<Vec<PricePoint>> {
        let stored = self.ask(self.store.recent_prices(config, since)).await?;
        let passing = self.passes();
        let mut recent = lock(&self.recent);
        match stored {
            Some(prices) if passing => {
                recent.replace_prices(config, &prices);
                Ok(prices)
            }
            stored => Ok(recent.prices(config, since, stored.unwrap_or_default())),
        }
    }

    async fn find_duplicate(&self, keys: &[IntakeKey], now: Time) -> StoreResult<Option<AlertId>> {
        if !self.passes()
            && let Some(holder) = self.known_holder(keys, now).await?
        {
            return Ok(Some(holder));
        }
        match self.ask(self.store.find_duplicate(keys, now)).await? {
            Some(answer) => Ok(answer),
            None => self.known_holder(keys, now).await,
        }
    }

    async fn accept_alert(&self, mut alert: Alert, keys: Vec<IntakeKey>, now: Time) -> StoreResult<AlertAcceptance> {
        if alert.alertcast.after.0 == NO_MARK {
            alert.alertcast.after.0 = self.mark_late(&alert).await?;
        }
        let tried = self.passes() && alert.alertcast.after.0 != NO_MARK;
        alert.alertcast.after.0 = alert.alertcast.after.0.max(0);
        if tried {
            alert.alertcast.offered_at = Some(self.clock.now());
            let offered = self.store.accept_alert(alert.clone(), keys.clone(), now);
            if let Some(acceptance) = self.ask(offered).await? {
                lock(&self.recent).note(&alert, &keys, acceptance);
                return Ok(acceptance);
            }
        }
        let _appending = self.begin();
        let held = lock(&self.recent).holder(&keys, now);
        if let Some(of) = held {
            return Ok(AlertAcceptance::Duplicate { of });
        }
        alert.alertcast.offered_at = None;
        alert.alertcast.spooled_at = Some(self.clock.now());
        let entry = SpoolEntry::Accept { alert: Box::new(alert.clone()), keys: keys.clone(), now, tried };
        let acceptance = self.append("accepted", entry).await?;
        lock(&self.recent).note(&alert, &keys, acceptance);
        Ok(acceptance)
    }

    async fn refuse_alert(&self, mut alert: Alert, notices: Vec<OperatorNotice>) -> StoreResult<()> {
        alert.alertcast.after.0 = alert.alertcast.after.0.max(0);
        lock(&self.recent).note_refused(&alert);
        if self.passes()
            && let Some(()) = self.ask(self.store.refuse_alert(alert.clone(), notices.clone())).await?
        {
            return Ok(());
        }
        let _appending = self.begin();
        self.append("refused", SpoolEntry::Refuse { alert: Box::new(alert), notices }).await.map(|_| ())
    }

    async fn reject_webhook(&self, rejected: RejectedWebhook, notices: Vec<OperatorNotice>) -> StoreResult<()> {
        if self.passes()
            && let Some(()) = self.ask(self.store.reject_webhook(rejected.clone(), notices.clone())).await?
        {
            return Ok(());
        }
        let _appending = self.begin();
        self.append("refused", SpoolEntry::Reject { rejected: Box::new(rejected), notices }).await.map(|_| ())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
