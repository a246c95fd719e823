//! The courier's port: what is due, taking it, and recording what attempts came to.

pub(crate) mod settle;
pub(crate) mod sweep;
pub(crate) mod working_set;

use std::ops::ControlFlow;
use std::sync::Arc;

use alertcast_core::delivery::{Delivery, LaneName};
use alertcast_core::id::{AlertId, DeliveryId, UserId};
use alertcast_core::reading::ReadableDocuments;
use alertcast_core::store::{
    AttemptRecord, Collection, DeliveryOutbox, LeaseFence, OperatorNotice, SetAsideDocuments, SettlingOutcome,
    StoreResult, TakeResult,
};
use alertcast_core::time::Time;
use alertcast_core::user::{RefusingRecipient, with_refuser};
use async_trait::async_trait;
use bson::Bson;

use crate::engine::decoded::DecodedDeliveries;
use crate::engine::failpoints::WriteOperation;
use crate::engine::notices;
use crate::engine::queue::JobPriority;
use crate::engine::raw::RawEdit;
use crate::engine::rows::{IdBlob, RowAccess, RowResult, decode, read_row, unpack};
use crate::engine::sending;
use crate::engine::writer::WriterTransaction;
use crate::error::SqliteResult;
use crate::ports::documents::{bound_limit, note_change};
use crate::ports::leases;
use crate::ports::operator_actions::edit_for;
use crate::ports::outbox::working_set::{DecodedUse, LoadedRows};
use crate::store::SqliteStore;

/// A sweep over many deliveries is done in slices of so many, so that intake does not wait for the whole of it.
const SLICE: usize = 500;

#[async_trait]
impl DeliveryOutbox for SqliteStore {
    async fn due(&self, lane: &LaneName, now: Time, limit: usize) -> StoreResult<Vec<Delivery>> {
        let lane = lane.clone();
        let decoded = Arc::clone(&self.decoded);
        let found = self.read(move |rows| due(rows, &decoded, lane.as_str(), now, limit)).await?;
        Ok(self.unreadables().sift(found))
    }

    async fn next_due(&self, lane: &LaneName, now: Time) -> StoreResult<Option<Time>> {
        let lane = lane.clone();
        self.read(move |rows| next_due(rows, lane.as_str(), now)).await
    }

    async fn take(&self, fence: &LeaseFence, deliveries: &[DeliveryId], now: Time) -> StoreResult<TakeResult> {
        let (fence, deliveries) = (fence.clone(), deliveries.to_vec());
        let decoded = Arc::clone(&self.decoded);
        self.write(JobPriority::Short, WriteOperation::Take, move |tx| take(tx, &decoded, &fence, &deliveries, now))
            .await
    }

    async fn record_attempts(
        &self,
        fence: &LeaseFence,
        records: Vec<AttemptRecord>,
        now: Time,
    ) -> StoreResult<Vec<AlertId>> {
        let fence = fence.clone();
        let decoded = Arc::clone(&self.decoded);
        let write = move |tx: &WriterTransaction<'_>| record(tx, &decoded, &fence, &records, now);
        self.write(JobPriority::Short, WriteOperation::Attempts, write).await
    }

    async fn note_copies(&self, copies: &[(DeliveryId, i64)], now: Time) -> StoreResult<()> {
        let copies = copies.to_vec();
        self.write(JobPriority::Short, WriteOperation::Attempts, move |tx| {
            copies.iter().try_for_each(|(id, message_id)| note_copy(tx.rows, *id, *message_id, now))
        })
        .await
    }

    async fn tell_operators(&self, notices: Vec<OperatorNotice>) -> StoreResult<()> {
        let notices = notices::ready(notices)?;
        self.write(JobPriority::Short, WriteOperation::Attempts, move |tx| notices::give(tx.rows, &notices)).await
    }

    async fn recover(&self, fence: &LeaseFence, now: Time) -> StoreResult<u64> {
        let fence = fence.clone();
        self.write(JobPriority::Short, WriteOperation::Recover, move |tx| sweep::recover(tx.rows, &fence, now)).await
    }

    async fn defer_chat(&self, fence: &LeaseFence, chat: &str, until: Time) -> StoreResult<()> {
        let (fence, chat) = (fence.clone(), chat.to_owned());
        self.write(JobPriority::Short, WriteOperation::Defer, move |tx| {
            sweep::defer_chat(tx.rows, &fence, &chat, until)
        })
        .await
    }

    async fn move_chat(&self, from: &str, to: &str, now: Time) -> StoreResult<u64> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.write(JobPriority::Short, WriteOperation::Defer, move |tx| sweep::move_chat(tx, &from, &to, now)).await
    }

    async fn expire_overdue(&self, now: Time, limit: usize) -> StoreResult<(Vec<AlertId>, bool)> {
        let (mut alerts, mut left) = (Vec::new(), limit);
        loop {
            let slice = left.min(SLICE);
            let sweep = move |tx: &WriterTransaction<'_>| sweep::expire_overdue(tx, now, slice);
            let (ended, more) = self.write(JobPriority::Bulk, WriteOperation::Expire, sweep).await?;
            alerts.extend(ended);
            left -= slice;
            if !more || left == 0 {
                alerts.sort_unstable();
                alerts.dedup();
                return Ok((alerts, more));
            }
        }
    }

    async fn settle(&self, alert: AlertId, now: Time) -> StoreResult<SettlingOutcome> {
        settle::settle(self, alert, now).await
    }

    async fn unsettled(&self, after: Option<AlertId>, limit: usize) -> StoreResult<Vec<AlertId>> {
        self.read(move |rows| settle::find_unsettled(rows, after, limit)).await
    }

    async fn purge(
        &self,
        deliveries_before: Time,
        rejected_before: Time,
        now: Time,
        limit: usize,
    ) -> StoreResult<bool> {
        // So that keys that are over are among those of the table. Where there is no room for them, purging makes it.
        if let Err(error) = self.store_rows().await {
            tracing::warn!(%error, "what is purged does not include the keys of alerts without rows");
        }
        let mut left = limit;
        loop {
            let slice = left.min(SLICE);
            let sweep =
                move |tx: &WriterTransaction<'_>| sweep::purge(tx, deliveries_before, rejected_before, now, slice);
            let more = self.write(JobPriority::Bulk, WriteOperation::Purge, sweep).await?;
            left -= slice;
            if !more || left == 0 {
                return Ok(more);
            }
        }
    }
}

/// What is due and was never put off, in the order of sending.
pub(crate) const DUE: &str = r#"SELECT doc, "_id" FROM deliveries INDEXED BY "deliveries.queue"
    WHERE "lane" = ?1 AND "dueAt" <= ?2 AND "state" = 'pending' AND ("dueAt" > "createdAt") IS NOT TRUE
    ORDER BY "priority", "queuedAt", "rotation", "_id" LIMIT ?3"#;

/// What was put off and is due. Its rows are sorted as the index has them, without their documents.
pub(crate) const DUE_AGAIN: &str = r#"SELECT doc, "_id" FROM deliveries WHERE rowid IN (
        SELECT rowid FROM deliveries INDEXED BY "deliveries.putOff"
        WHERE "lane" = ?1 AND "dueAt" <= ?2 AND "state" = 'pending' AND "dueAt" > "createdAt"
        ORDER BY "priority", "queuedAt", "rotation", "_id" LIMIT ?3)
    ORDER BY "priority", "queuedAt", "rotation", "_id""#;

/// In the order of sending, whether few of a long queue are due (after a pause that Telegram asked for) or nearly all.
fn due(
    rows: RowAccess<'_>,
    decoded: &DecodedDeliveries,
    lane: &str,
    now: Time,
    limit: usize,
) -> SqliteResult<ReadableDocuments<Delivery>> {
    let mut found = ReadableDocuments::default();
    let looked_at = bound_limit(limit.saturating_add(rows.sending(Collection::Deliveries)?.len()));
    for sql in [DUE, DUE_AGAIN] {
        rows.each_waiting(sql, (lane, now.millis(), looked_at), |row, document| {
            found.add(read_due(decoded, row.get(1).ok(), document));
            Ok(ControlFlow::Continue(()))
        })?;
    }
    found.readable.sort_by_key(|one: &Delivery| (one.priority, one.queued_at, one.rotation, one.id));
    found.readable.truncate(limit);
    Ok(found)
}

/// The document of a delivery that is due; it is to be taken soon.
fn read_due(decoded: &DecodedDeliveries, id: Option<IdBlob>, document: &[u8]) -> RowResult<Delivery> {
    if let Some(known) = id.and_then(|id| decoded.find(DeliveryId(id.id()), document)) {
        return Ok(Delivery::clone(&known));
    }
    let delivery = read_row::<Delivery>(Collection::Deliveries, id, document)?;
    decoded.note(document, &Arc::new(delivery.clone()));
    Ok(delivery)
}

/// Of those that were never put off, which are due as soon as they are made, unless the clock was set back.
pub(crate) const DUE_LATER: &str = r#"SELECT doc, "dueAt" FROM deliveries INDEXED BY "deliveries.queue"
    WHERE "lane" = ?1 AND "dueAt" > ?2 AND "state" = 'pending' AND ("dueAt" > "createdAt") IS NOT TRUE"#;

pub(crate) const NEXT_DUE: &str = r#"SELECT doc, "dueAt" FROM deliveries INDEXED BY "deliveries.putOff"
    WHERE "lane" = ?1 AND "dueAt" > ?2 AND "state" = 'pending' AND "dueAt" > "createdAt" ORDER BY "dueAt""#;

fn next_due(rows: RowAccess<'_>, lane: &str, now: Time) -> SqliteResult<Option<Time>> {
    let mut next: Option<Time> = None;
    for (sql, is_in_order) in [(NEXT_DUE, true), (DUE_LATER, false)] {
        rows.each_waiting(sql, (lane, now.millis()), |row, _| {
            let due_at = Time::from_millis(row.get(1)?);
            next = Some(next.map_or(due_at, |next| next.min(due_at)));
            Ok(if is_in_order { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
    }
    Ok(next)
}

fn take(
    tx: &WriterTransaction<'_>,
    decoded: &DecodedDeliveries,
    fence: &LeaseFence,
    deliveries: &[DeliveryId],
    now: Time,
) -> SqliteResult<TakeResult> {
    leases::check(tx.rows, fence)?;
    let mut loaded = LoadedRows::new(tx, now)?.with_decoded(DecodedUse::Note(decoded));
    let mut taken = Vec::with_capacity(deliveries.len());
    for id in deliveries {
        loaded.load(|set| set.ask_for_taking(&[*id]))?;
        taken.extend(loaded.set.take(*id, fence.epoch));
    }
    let edits = loaded.write()?;
    sending::record(tx.rows, fence, &edits.sending, now)?;
    Ok(TakeResult { taken, settle: edits.settle })
}

fn record(
    tx: &WriterTransaction<'_>,
    decoded: &DecodedDeliveries,
    fence: &LeaseFence,
    records: &[AttemptRecord],
    now: Time,
) -> SqliteResult<Vec<AlertId>> {
    leases::check(tx.rows, fence)?;
    let mut loaded = LoadedRows::new(tx, now)?.with_decoded(DecodedUse::TakeOut(decoded));
    for record in records {
        loaded.load(|set| set.ask_for_recording(fence.epoch, std::slice::from_ref(record)))?;
        loaded.set.record(fence.epoch, record);
    }
    sending::release(tx.rows, loaded.sending(), fence, records.iter().map(|record| record.delivery))?;
    let edits = loaded.write()?;
    for (user, refuser) in &edits.refusers {
        note_refuser(tx, *user, refuser, now)?;
    }
    Ok(edits.settle)
}

fn note_copy(rows: RowAccess<'_>, id: DeliveryId, message_id: i64, now: Time) -> SqliteResult<()> {
    let Some(bytes) = rows.find(Collection::Deliveries, id)? else { return Ok(()) };
    let Ok(delivery) = decode::<Delivery>(Collection::Deliveries, &bytes) else { return Ok(()) };
    if delivery.standing_messages().any(|known| known == message_id) {
        return Ok(());
    }
    let noted = delivery.copies.into_iter().chain([message_id]);
    let mut edit = RawEdit::new();
    edit.set("copies", noted.map(Bson::from).collect::<Vec<_>>());
    edit.set("updatedAt", now);
    rows.edit(Collection::Deliveries, &bytes, &edit).map(drop)
}

/// Notes with the user who will not have our messages.
fn note_refuser(tx: &WriterTransaction<'_>, user: UserId, refuser: &RefusingRecipient, now: Time) -> SqliteResult<()> {
    let Some(kept) = tx.rows.find(Collection::Users, user)? else {
        return Ok(());
    };
    let Some(change) = with_refuser(&unpack(Collection::Users, &kept)?, refuser, now) else {
        return Ok(());
    };
    tx.rows.edit(Collection::Users, &kept, &edit_for(change))?;
    note_change(tx, Collection::Users, user.0)
}
