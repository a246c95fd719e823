//! The courier's port: what is due, taking it, and recording what attempts came to.

pub(crate) mod settle;
pub(crate) mod sweep;
pub(crate) mod working_set;

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

use crate::engine::failpoints::WriteOperation;
use crate::engine::notices;
use crate::engine::queue::JobPriority;
use crate::engine::raw::RawEdit;
use crate::engine::rows::{RowAccess, blob, decode, read_row, unpack};
use crate::engine::writer::WriterTransaction;
use crate::error::SqliteResult;
use crate::ports::documents::{bound_limit, note_change};
use crate::ports::leases;
use crate::ports::operator_actions::edit_for;
use crate::ports::outbox::working_set::LoadedRows;
use crate::store::SqliteStore;

/// Up to this many due deliveries of a lane are sorted; of more, the queue's own order is walked.
const SORTED_MAX: i64 = 1_000;

/// A sweep over many deliveries is done in slices of so many, so that intake does not wait for the whole of it.
const SLICE: usize = 500;

#[async_trait]
impl DeliveryOutbox for SqliteStore {
    async fn due(&self, lane: &LaneName, now: Time, limit: usize) -> StoreResult<Vec<Delivery>> {
        let lane = lane.clone();
        let found = self.read(move |rows| due(rows, lane.as_str(), now, limit)).await?;
        Ok(self.unreadables().sift(found))
    }

    async fn next_due(&self, lane: &LaneName, now: Time) -> StoreResult<Option<Time>> {
        let lane = lane.clone();
        self.read(move |rows| {
            let next = rows.one(NEXT_DUE, (lane.as_str(), now.millis()), |row| Ok(row.get::<_, Option<i64>>(0)?))?;
            Ok(next.flatten().map(Time::from_millis))
        })
        .await
    }

    async fn take(&self, fence: &LeaseFence, deliveries: &[DeliveryId], now: Time) -> StoreResult<TakeResult> {
        let (fence, deliveries) = (fence.clone(), deliveries.to_vec());
        self.write(JobPriority::Short, WriteOperation::Take, move |tx| take(tx, &fence, &deliveries, now)).await
    }

    async fn record_attempts(
        &self,
        fence: &LeaseFence,
        records: Vec<AttemptRecord>,
        now: Time,
    ) -> StoreResult<Vec<AlertId>> {
        let fence = fence.clone();
        self.write(JobPriority::Short, WriteOperation::Attempts, move |tx| record(tx, &fence, &records, now)).await
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
            let sweep = move |tx: &WriterTransaction<'_>| sweep::expire_overdue(tx.rows, now, slice);
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
        let mut left = limit;
        loop {
            let slice = left.min(SLICE);
            let sweep =
                move |tx: &WriterTransaction<'_>| sweep::purge(tx.rows, deliveries_before, rejected_before, now, slice);
            let more = self.write(JobPriority::Bulk, WriteOperation::Purge, sweep).await?;
            left -= slice;
            if !more || left == 0 {
                return Ok(more);
            }
        }
    }
}

/// How many are due, as far as it matters.
pub(crate) const COUNT_DUE: &str = r#"SELECT count(*) FROM (
    SELECT 1 FROM deliveries INDEXED BY "deliveries.lane_1_dueAt_1.pending"
    WHERE "lane" = ?1 AND "dueAt" <= ?2 AND "state" = 'pending' LIMIT ?3)"#;

/// A few that are due, found by their time and sorted.
pub(crate) const DUE_FEW: &str = r#"SELECT doc, "_id" FROM deliveries INDEXED BY "deliveries.lane_1_dueAt_1.pending"
    WHERE "lane" = ?1 AND "dueAt" <= ?2 AND "state" = 'pending'
    ORDER BY "priority", "queuedAt", "rotation", "_id" LIMIT ?3"#;

/// Many that are due, found in their order.
pub(crate) const DUE_MANY: &str = r#"SELECT doc, "_id" FROM deliveries
    INDEXED BY "deliveries.lane_1_priority_1_queuedAt_1_rotation_1_dueAt_1.pending"
    WHERE "lane" = ?1 AND "dueAt" <= ?2 AND "state" = 'pending'
    ORDER BY "priority", "queuedAt", "rotation", "_id" LIMIT ?3"#;

pub(crate) const NEXT_DUE: &str =
    r#"SELECT min("dueAt") FROM deliveries WHERE "lane" = ?1 AND "dueAt" > ?2 AND "state" = 'pending'"#;

/// In the order of sending, whether few of a long queue are due (after a pause that Telegram asked for) or nearly all.
fn due(rows: RowAccess<'_>, lane: &str, now: Time, limit: usize) -> SqliteResult<ReadableDocuments<Delivery>> {
    let due = rows.one(COUNT_DUE, (lane, now.millis(), SORTED_MAX + 1), |row| Ok(row.get::<_, i64>(0)?))?;
    let sql = if due.unwrap_or(0) > SORTED_MAX { DUE_MANY } else { DUE_FEW };
    let mut found = ReadableDocuments::default();
    rows.all(sql, (lane, now.millis(), bound_limit(limit)), |row| {
        found.add(read_row(Collection::Deliveries, row.get(1).ok(), blob(row, 0)?));
        Ok(())
    })?;
    Ok(found)
}

fn take(
    tx: &WriterTransaction<'_>,
    fence: &LeaseFence,
    deliveries: &[DeliveryId],
    now: Time,
) -> SqliteResult<TakeResult> {
    leases::check(tx.rows, fence)?;
    let mut loaded = LoadedRows::new(tx.rows, now);
    let mut taken = Vec::with_capacity(deliveries.len());
    for id in deliveries {
        loaded.load(|set| set.ask_for_taking(&[*id]))?;
        taken.extend(loaded.set.take(*id, fence.epoch));
    }
    Ok(TakeResult { taken, settle: loaded.write()?.settle })
}

fn record(
    tx: &WriterTransaction<'_>,
    fence: &LeaseFence,
    records: &[AttemptRecord],
    now: Time,
) -> SqliteResult<Vec<AlertId>> {
    leases::check(tx.rows, fence)?;
    let mut loaded = LoadedRows::new(tx.rows, now);
    for record in records {
        loaded.load(|set| set.ask_for_recording(fence.epoch, std::slice::from_ref(record)))?;
        loaded.set.record(fence.epoch, record);
    }
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
