//! From the hand to the store: what became of attempts, in batches, and then the settling of their alerts.

use std::time::Duration;

use alertcast_core::delivery::chat_of;
use alertcast_core::id::{AlertId, DeliveryId};
use alertcast_core::store::{AttemptOutcome, AttemptRecord, LeaseFence, OperatorNotice, StoreError, StoreResult};
use tracing::{error, warn};

use super::super::LaneEnd;
use super::super::attempt_records::PendingRecord;
use super::reading::AHEAD;
use super::{Courier, LaneEvent};
use crate::base::Base;
use crate::notices::{notices, notices_once};
use crate::{blocked_recipients, moved_chats, topics};

impl Courier<'_> {
    /// Notes what became of an attempt. Its chat is kept until that is written.
    pub(super) fn note(&mut self, line: PendingRecord) {
        let now = self.app.clock.monotonic();
        let free_at = self.limiter.earliest_chat(now, chat_of(&line.chat));
        self.records.note(now, line);
        if free_at.is_some_and(|at| at <= now + AHEAD) {
            self.records.await_chats(self.reading.awaited_chats());
        }
    }

    /// Notes an outcome that says nothing of the chat.
    pub(super) fn record(&mut self, delivery: DeliveryId, chat: String, outcome: AttemptOutcome) {
        if matches!(outcome, AttemptOutcome::Retry { .. }) {
            self.excused.add(delivery);
        }
        self.note(PendingRecord {
            record: AttemptRecord { delivery, outcome },
            chat,
            defer: None,
            opened: None,
            moved: None,
            lost: None,
            topic_loss: None,
        });
    }

    /// Writes a batch, when it is time.
    pub(super) fn write(&mut self, now: Duration) {
        if self.records.write_at().is_none_or(|at| now < at) {
            return;
        }
        let batch = self.records.begin_writing(now);
        let (app, fence) = (self.app.clone(), self.fence.clone());
        self.tasks.spawn(async move {
            let result = write(&app, &fence, &batch).await;
            LaneEvent::Recorded(batch, result)
        });
    }

    pub(super) fn on_recorded(
        &mut self,
        batch: Vec<PendingRecord>,
        result: StoreResult<Vec<AlertId>>,
    ) -> Option<LaneEnd> {
        match result {
            Ok(alerts) => {
                self.store_answered();
                self.records.note_written();
                self.records.add_ended(self.app.clock.monotonic(), alerts);
                for line in batch {
                    self.app.metrics.count_attempt(self.lane.way(), &line.record.outcome);
                    self.taken_deliveries.release(&line.chat);
                    match line.record.outcome {
                        AttemptOutcome::Retry { due_at, .. } => self.reading.due_at(due_at),
                        _ => self.excused.forget(line.record.delivery),
                    }
                }
                self.reading.note_room();
                None
            }
            Err(error) => {
                self.records.not_written(batch);
                self.store_failed("recording attempts", &error)
            }
        }
    }

    /// Settles alerts whose deliveries may all have ended.
    pub(super) fn settle(&mut self, now: Duration) {
        if self.records.settle_at().is_none_or(|at| now < at) {
            return;
        }
        let alerts = self.records.begin_settling(now);
        let app = self.app.clone();
        self.tasks.spawn(async move { LaneEvent::Settled(settle(&app, alerts).await) });
    }

    pub(super) fn on_settled(&mut self, left: Vec<AlertId>) {
        self.records.note_settled();
        self.records.add_ended(self.app.clock.monotonic(), left);
    }
}

async fn write(base: &Base, fence: &LeaseFence, batch: &[PendingRecord]) -> StoreResult<Vec<AlertId>> {
    fail::fail_point!("courier::sent");
    let alerts = match record(base, fence, batch).await {
        Err(StoreError::Conflict | StoreError::Corrupt(_)) => one_by_one(base, fence, batch).await?,
        Err(error @ StoreError::Fenced { .. }) => {
            // Another owner sends them again. What has arrived is edited too, when its trade ends.
            let copies: Vec<_> = batch.iter().filter_map(arrived_message).collect();
            base.store.note_copies(&copies, base.clock.now()).await?;
            return Err(error);
        }
        result => result?,
    };
    for (from, to) in batch.iter().filter_map(|line| Some((chat_of(&line.chat), line.moved.as_deref()?))) {
        let ours = &base.settings.telegram.operator_chats;
        moved_chats::follow(&base.moved, &*base.store, ours, (from, to), base.clock.now()).await?;
    }
    for (chat, until) in batch.iter().filter_map(|line| line.defer.as_ref()) {
        base.store.defer_chat(fence, chat, *until).await?;
    }
    for (user, chat) in batch.iter().filter_map(|line| Some((line.opened?, &line.chat))) {
        blocked_recipients::chat_opened(base, user, chat_of(chat)).await?;
    }
    let told = list_notices(base, batch);
    if !told.is_empty() {
        base.store.tell_operators(told).await?;
        base.wake.deliveries_came();
    }
    fail::fail_point!("courier::recorded");
    Ok(alerts)
}

/// What the operators are to hear of those who are not reached as they should be.
fn list_notices(base: &Base, batch: &[PendingRecord]) -> Vec<OperatorNotice> {
    let now = base.clock.now();
    let lost = batch.iter().filter_map(|line| line.lost.as_ref());
    let lost = lost.flat_map(|lost| notices(base, &blocked_recipients::trouble(lost.user, &lost.refuser), now));
    let topic_loss = batch.iter().filter_map(|line| Some((line.topic_loss?.user, &line.chat)));
    let topic_loss = topic_loss.flat_map(|(user, place)| notices_once(base, &topics::trouble(user, place), now));
    lost.chain(topic_loss).collect()
}

/// The message in which it has arrived.
fn arrived_message(line: &PendingRecord) -> Option<(DeliveryId, i64)> {
    match line.record.outcome {
        AttemptOutcome::Sent { message_id, .. } => Some((line.record.delivery, message_id?)),
        _ => None,
    }
}

async fn record(base: &Base, fence: &LeaseFence, lines: &[PendingRecord]) -> StoreResult<Vec<AlertId>> {
    let records = lines.iter().map(|line| line.record.clone()).collect();
    base.store.record_attempts(fence, records, base.clock.now()).await
}

/// One record that cannot be written must not keep the others from it: it stays `sending` until the lease is taken anew.
async fn one_by_one(base: &Base, fence: &LeaseFence, batch: &[PendingRecord]) -> StoreResult<Vec<AlertId>> {
    let mut alerts = Vec::new();
    for line in batch {
        match record(base, fence, std::slice::from_ref(line)).await {
            Ok(ended) => alerts.extend(ended),
            Err(error @ (StoreError::Fenced { .. } | StoreError::Unavailable(_))) => return Err(error),
            Err(error) => error!(delivery = %line.record.delivery, %error, "an attempt cannot be recorded"),
        }
    }
    Ok(alerts)
}

/// Answers those that could not be settled because the store failed. One that is not ready yet is offered again when
/// its next delivery ends.
async fn settle(base: &Base, alerts: Vec<AlertId>) -> Vec<AlertId> {
    let mut left = Vec::new();
    for alert in alerts {
        match base.store.settle(alert, base.clock.now()).await {
            Ok(_) => {}
            // Whoever looks for what is left unsettled tells of it.
            Err(error @ StoreError::Corrupt(_)) => error!(%alert, %error, "an alert cannot be settled"),
            Err(error) => {
                warn!(%alert, %error, "an alert could not be settled; trying again");
                left.push(alert);
            }
        }
    }
    left
}
