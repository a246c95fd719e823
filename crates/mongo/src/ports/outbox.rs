//! The courier's port: what is due, taking it, and recording what attempts came to.

pub(crate) mod settle;
pub(crate) mod sweep;
pub(crate) mod working_set;

use alertcast_core::delivery::consequences::WorkingSet;
use alertcast_core::delivery::{Delivery, DeliveryState, LaneName};
use alertcast_core::id::{AlertId, DeliveryId, UserId};
use alertcast_core::reading::{ReadableDocuments, read_document};
use alertcast_core::store::{
    AttemptRecord, Collection, DeliveryOutbox, LeaseFence, OperatorNotice, SettlingOutcome, StoreResult, TakeResult,
};
use alertcast_core::time::Time;
use alertcast_core::user::{RefusingRecipient, with_refuser};
use async_trait::async_trait;
use bson::{Bson, doc};

use crate::engine::local_locks::{CHANGES, OPERATORS};
use crate::engine::query::MongoQuery;
use crate::engine::transact::{BulkUpdate, MongoTransaction};
use crate::error::MongoResult;
use crate::ports::operator_actions::update_for;
use crate::store::MongoStore;

#[async_trait]
impl DeliveryOutbox for MongoStore {
    async fn due(&self, lane: &LaneName, now: Time, limit: usize) -> StoreResult<Vec<Delivery>> {
        due(self, lane.as_str(), now, limit).await
    }

    async fn next_due(&self, lane: &LaneName, now: Time) -> StoreResult<Option<Time>> {
        let later = doc! { "lane": lane.as_str(), "state": DeliveryState::Pending, "dueAt": { "$gt": now } };
        let query = MongoQuery::new(later).sort_by(doc! { "dueAt": 1 }).fields(doc! { "_id": 0, "dueAt": 1 });
        let next = self.find_first(Collection::Deliveries, query).await?;
        Ok(next.and_then(|next| next.get_datetime("dueAt").ok().copied()).map(Time::from))
    }

    async fn take(&self, fence: &LeaseFence, deliveries: &[DeliveryId], now: Time) -> StoreResult<TakeResult> {
        let asked = (fence.clone(), deliveries.to_vec(), now);
        let locks = [fence.lease.as_str()];
        self.transact(&locks, asked, |tx, (fence, ids, now)| Box::pin(take(tx, fence, ids, *now))).await
    }

    async fn record_attempts(
        &self,
        fence: &LeaseFence,
        records: Vec<AttemptRecord>,
        now: Time,
    ) -> StoreResult<Vec<AlertId>> {
        let blocks = |record: &AttemptRecord| record.outcome.refuser().is_some();
        let locks: &[&str] = if records.iter().any(blocks) { &[&fence.lease, CHANGES] } else { &[&fence.lease] };
        let told = (fence.clone(), records, now);
        self.transact(locks, told, |tx, (fence, records, now)| Box::pin(record(tx, fence, records, *now))).await
    }

    async fn note_copies(&self, copies: &[(DeliveryId, i64)], now: Time) -> StoreResult<()> {
        let asked = (copies.to_vec(), now);
        self.transact(&[], asked, |tx, (copies, now)| {
            Box::pin(async move {
                let noted = copies.iter().map(|(id, message_id)| {
                    let unknown =
                        doc! { "_id": id, "messageId": { "$ne": message_id }, "copies": { "$ne": message_id } };
                    BulkUpdate::new(unknown, doc! { "$push": { "copies": message_id }, "$set": { "updatedAt": *now } })
                });
                tx.updates(Collection::Deliveries.name(), noted.collect()).await.map(drop)
            })
        })
        .await
    }

    async fn tell_operators(&self, notices: Vec<OperatorNotice>) -> StoreResult<()> {
        self.transact(&[OPERATORS], notices, |tx, notices| Box::pin(tx.give_notices(notices))).await
    }

    async fn recover(&self, fence: &LeaseFence, now: Time) -> StoreResult<u64> {
        let locks = [fence.lease.as_str()];
        self.transact(&locks, (fence.clone(), now), |tx, (fence, now)| Box::pin(sweep::recover(tx, fence, *now))).await
    }

    async fn defer_chat(&self, fence: &LeaseFence, chat: &str, until: Time) -> StoreResult<()> {
        let locks = [fence.lease.as_str()];
        let asked = (fence.clone(), chat.to_owned(), until);
        self.transact(&locks, asked, |tx, (fence, chat, until)| Box::pin(sweep::defer_chat(tx, fence, chat, *until)))
            .await
    }

    async fn move_chat(&self, from: &str, to: &str, now: Time) -> StoreResult<u64> {
        let asked = (from.to_owned(), to.to_owned(), now);
        self.transact(&[CHANGES], asked, |tx, (from, to, now)| Box::pin(sweep::move_chat(tx, from, to, *now))).await
    }

    async fn expire_overdue(&self, now: Time, limit: usize) -> StoreResult<(Vec<AlertId>, bool)> {
        self.transact(&[], (now, limit), |tx, (now, limit)| Box::pin(sweep::expire_overdue(tx, *now, *limit))).await
    }

    async fn settle(&self, alert: AlertId, now: Time) -> StoreResult<SettlingOutcome> {
        settle::settle(self, alert, now).await
    }

    async fn unsettled(&self, after: Option<AlertId>, limit: usize) -> StoreResult<Vec<AlertId>> {
        settle::find_unsettled(self, after, limit).await
    }

    async fn purge(
        &self,
        deliveries_before: Time,
        rejected_before: Time,
        now: Time,
        limit: usize,
    ) -> StoreResult<bool> {
        sweep::purge(self, deliveries_before, rejected_before, now, limit).await
    }
}

/// The index ends with the rotation: the few of one rotation are put in the order of their ids here, and where the limit
/// cuts them off, they are asked for on their own.
async fn due(store: &MongoStore, lane: &str, now: Time, limit: usize) -> StoreResult<Vec<Delivery>> {
    let due = doc! { "lane": lane, "state": DeliveryState::Pending, "dueAt": { "$lte": now } };
    let order = doc! { "priority": 1, "queuedAt": 1, "rotation": 1 };
    let query = MongoQuery::new(due.clone()).sort_by(order).limit(limit.saturating_add(1));
    let mut found = store.find(Collection::Deliveries, query).await?;
    let place =
        |delivery: &bson::Document| ["priority", "queuedAt", "rotation"].map(|field| delivery.get(field).cloned());
    if found.len() > limit
        && let Some(cut) = found.pop().map(|last| place(&last))
        && found.last().map(place).as_ref() == Some(&cut)
    {
        found.retain(|delivery| place(delivery) != cut);
        let mut same = due;
        let [priority, queued_at, rotation] = cut.map(|value| value.unwrap_or(Bson::Null));
        same.extend(doc! { "priority": priority, "queuedAt": queued_at, "rotation": rotation });
        let query = MongoQuery::new(same).sort_by(doc! { "_id": 1 }).limit(limit - found.len());
        found.extend(store.find(Collection::Deliveries, query).await?);
    }
    for same in found.chunk_by_mut(|one, next| place(one) == place(next)) {
        same.sort_by_key(|delivery| delivery.get_object_id("_id").ok());
    }
    let read = found.into_iter().map(|delivery| read_document(Collection::Deliveries, &delivery));
    Ok(store.unreadables.sift(read.collect::<ReadableDocuments<Delivery>>()))
}

async fn take(tx: &mut MongoTransaction, fence: &LeaseFence, ids: &[DeliveryId], now: Time) -> MongoResult<TakeResult> {
    tx.fence(fence).await?;
    let mut set = WorkingSet::new(now);
    working_set::load(tx, &mut set, |set| set.ask_for_taking(ids)).await?;
    let mut taken = Vec::with_capacity(ids.len());
    for id in ids {
        // Nothing is missing, mostly: all was loaded together.
        working_set::load(tx, &mut set, |set| set.ask_for_taking(&[*id])).await?;
        taken.extend(set.take(*id, fence.epoch));
    }
    Ok(TakeResult { taken, settle: working_set::write(tx, set, now).await?.settle })
}

async fn record(
    tx: &mut MongoTransaction,
    fence: &LeaseFence,
    records: &[AttemptRecord],
    now: Time,
) -> MongoResult<Vec<AlertId>> {
    tx.fence(fence).await?;
    let mut set = WorkingSet::new(now);
    working_set::load(tx, &mut set, |set| set.ask_for_recording(fence.epoch, records)).await?;
    for record in records {
        let one = std::slice::from_ref(record);
        working_set::load(tx, &mut set, |set| set.ask_for_recording(fence.epoch, one)).await?;
        set.record(fence.epoch, record);
    }
    let edits = working_set::write(tx, set, now).await?;
    note_refusers(tx, &edits.refusers, now).await?;
    Ok(edits.settle)
}

/// Notes with the users who will not have our messages.
async fn note_refusers(
    tx: &mut MongoTransaction,
    refusers: &[(UserId, RefusingRecipient)],
    now: Time,
) -> MongoResult<()> {
    if refusers.is_empty() {
        return Ok(());
    }
    let users: Vec<Bson> = refusers.iter().map(|(user, _)| Bson::from(*user)).collect();
    let (mut updates, mut changed) = (Vec::new(), Vec::new());
    for user in tx.find(Collection::Users, MongoQuery::new(doc! { "_id": { "$in": users } })).await? {
        let Ok(id) = user.get_object_id("_id") else { continue };
        for (_, refuser) in refusers.iter().filter(|(user, _)| user.0 == id) {
            if let Some(change) = with_refuser(&user, refuser, now) {
                updates.push(BulkUpdate::new(doc! { "_id": id }, update_for(change)));
                changed.push((Collection::Users, id));
            }
        }
    }
    tx.updates(Collection::Users.name(), updates).await?;
    tx.note_changes(&changed).await
}
