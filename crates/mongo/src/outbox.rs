//! The courier's port: what is due, taking it, and recording what attempts came to.

use std::collections::BTreeSet;
use std::time::Duration;

use alertcast_core::delivery::{Delivery, DeliveryEvent, DeliveryState, MessageKind, Turn};
use alertcast_core::id::{AlertId, DeliveryId, UserId};
use alertcast_core::money::Count;
use alertcast_core::store::{
    AttemptRecord, Collection, Fence, Outbox, Outcome, Result as StoreResult, Settled, TakeResult, Taken, read,
};
use alertcast_core::time::Time;
use async_trait::async_trait;
use bson::{Bson, doc};

use crate::book::{Book, Edit};
use crate::connect::MongoStore;
use crate::ended::COMBINES_ALERT;
use crate::error::Result;
use crate::gates::CHANGES;
use crate::query::Query;
use crate::transact::Tx;
use crate::{settle, sweep};

/// An exit waits so long for its entry that is being sent.
const WAIT_FOR_ENTRY: Duration = Duration::from_secs(1);

#[async_trait]
impl Outbox for MongoStore {
    async fn due(&self, lane: &str, now: Time, limit: usize) -> StoreResult<Vec<Delivery>> {
        due(self, lane, now, limit).await
    }

    async fn next_due(&self, lane: &str, now: Time) -> StoreResult<Option<Time>> {
        let later = doc! { "lane": lane, "state": DeliveryState::Pending, "dueAt": { "$gt": now } };
        let query = Query::new(later).sorted(doc! { "dueAt": 1 }).fields(doc! { "_id": 0, "dueAt": 1 });
        let next = self.find_first(Collection::Deliveries, query).await?;
        Ok(next.and_then(|next| next.get_datetime("dueAt").ok().copied()).map(Time::from))
    }

    async fn take(&self, fence: &Fence, deliveries: &[DeliveryId], now: Time) -> StoreResult<TakeResult> {
        let asked = (fence.clone(), deliveries.to_vec(), now);
        let gates = [fence.lease.as_str()];
        self.transact(&gates, asked, |tx, (fence, ids, now)| Box::pin(take(tx, fence, ids, *now))).await
    }

    async fn record_attempts(
        &self,
        fence: &Fence,
        records: Vec<AttemptRecord>,
        now: Time,
    ) -> StoreResult<Vec<AlertId>> {
        let blocks = |record: &AttemptRecord| matches!(record.outcome, Outcome::Dead { chat_blocked: true, .. });
        let gates: &[&str] = if records.iter().any(blocks) { &[&fence.lease, CHANGES] } else { &[&fence.lease] };
        let told = (fence.clone(), records, now);
        self.transact(gates, told, |tx, (fence, records, now)| Box::pin(record(tx, fence, records, *now))).await
    }

    async fn recover(&self, fence: &Fence, now: Time) -> StoreResult<u64> {
        let gates = [fence.lease.as_str()];
        self.transact(&gates, (fence.clone(), now), |tx, (fence, now)| Box::pin(sweep::recover(tx, fence, *now))).await
    }

    async fn defer_chat(&self, fence: &Fence, chat: &str, until: Time) -> StoreResult<()> {
        let gates = [fence.lease.as_str()];
        let asked = (fence.clone(), chat.to_owned(), until);
        self.transact(&gates, asked, |tx, (fence, chat, until)| Box::pin(sweep::defer_chat(tx, fence, chat, *until)))
            .await
    }

    async fn expire_overdue(&self, now: Time, limit: usize) -> StoreResult<(Vec<AlertId>, bool)> {
        self.transact(&[], (now, limit), |tx, (now, limit)| Box::pin(sweep::expire_overdue(tx, *now, *limit))).await
    }

    async fn settle(&self, alert: AlertId, now: Time) -> StoreResult<Settled> {
        settle::settle(self, alert, now).await
    }

    async fn unsettled(&self, after: Option<AlertId>, limit: usize) -> StoreResult<Vec<AlertId>> {
        settle::unsettled(self, after, limit).await
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
    let query = Query::new(due.clone()).sorted(order).limit(limit.saturating_add(1));
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
        let query = Query::new(same).sorted(doc! { "_id": 1 }).limit(limit - found.len());
        found.extend(store.find(Collection::Deliveries, query).await?);
    }
    for same in found.chunk_by_mut(|one, next| place(one) == place(next)) {
        same.sort_by_key(|delivery| delivery.get_object_id("_id").ok());
    }
    found.into_iter().map(|delivery| read(Collection::Deliveries, delivery)).collect()
}

async fn take(tx: &mut Tx, fence: &Fence, ids: &[DeliveryId], now: Time) -> Result<TakeResult> {
    tx.fence(fence).await?;
    let mut book = Book::new(now);
    book.load(tx, ids.iter().copied()).await?;
    let exits: Vec<DeliveryId> = ids.iter().copied().filter(|id| depends(&book, *id)).collect();
    book.load_around(tx, &exits).await?;
    let results: Vec<DeliveryId> = ids.iter().copied().filter(|id| is_result(&book, *id)).collect();
    book.load_before(tx, &results).await?;
    let mut taken = Vec::with_capacity(ids.len());
    for id in ids {
        taken.extend(take_one(&mut book, fence, *id)?);
    }
    Ok(TakeResult { taken, settle: book.write(tx).await? })
}

/// Whether taking it depends on its entry and its trade.
fn depends(book: &Book, id: DeliveryId) -> bool {
    let may = |one: &Delivery| one.entry_delivery.is_some() || one.kind == MessageKind::Exit;
    book.delivery(id).is_some_and(may) && !is_result(book, id)
}

fn is_result(book: &Book, id: DeliveryId) -> bool {
    book.delivery(id).is_some_and(|one| one.kind == MessageKind::Result)
}

fn take_one(book: &mut Book, fence: &Fence, id: DeliveryId) -> Result<Option<Taken>> {
    let Some(delivery) = book.delivery(id).cloned() else {
        return Ok(None);
    };
    let Ok(state) = delivery.state.after(DeliveryEvent::Take) else {
        return Ok(None);
    };
    if delivery.kind == MessageKind::Result && !is_its_turn(book, &delivery)? {
        return Ok(None);
    }
    let now = book.now;
    let mut edit = Edit::default().set("updatedAt", now);
    if let Some(entry) = delivery.entry_delivery.and_then(|entry| book.delivery(entry)).cloned() {
        match entry.state {
            DeliveryState::Sending => {
                book.change(id, edit.set("dueAt", now + WAIT_FOR_ENTRY))?;
                return Ok(None);
            }
            DeliveryState::Pending if now <= entry.deadline_at => {
                book.end(entry.id, DeliveryEvent::Supersede, Edit::default().set("supersededBy", id), false)?;
                edit = edit.set("combines", entry.id).set_some(COMBINES_ALERT, entry.alert_id);
            }
            DeliveryState::Pending => book.end(entry.id, DeliveryEvent::Expire, Edit::default(), false)?,
            _ => {}
        }
    }
    if book.is_unreached(&delivery) {
        let reason = Edit::default().set("lastError", "the entry never arrived");
        book.end(id, DeliveryEvent::Drop, reason, false)?;
        return Ok(None);
    }
    let attempts = Count(delivery.attempts.0 + 1);
    book.change(id, edit.set("state", state).set("epoch", fence.epoch).set("attempts", attempts))?;
    let entry = delivery.entry_delivery.and_then(|entry| book.delivery(entry)).cloned();
    Ok(book.delivery(id).cloned().map(|delivery| Taken { delivery, entry }))
}

/// Whether a result may be taken. Else it waits for what goes before it, or is dropped.
fn is_its_turn(book: &mut Book, result: &Delivery) -> Result<bool> {
    let entry = result.entry_delivery.and_then(|id| book.delivery(id));
    let followed = result.follows.and_then(|id| book.delivery(id));
    let told = followed.and_then(|one| one.superseded_by).and_then(|id| book.delivery(id)).or(followed);
    match result.turn(entry, told, book.now) {
        Turn::Now => return Ok(true),
        Turn::Wait(due_at) => {
            book.change(result.id, Edit::default().set("dueAt", due_at).set("updatedAt", book.now))?;
        }
        Turn::Never(why) => {
            book.end(result.id, DeliveryEvent::Drop, Edit::default().set("lastError", why), false)?;
        }
    }
    Ok(false)
}

async fn record(tx: &mut Tx, fence: &Fence, records: &[AttemptRecord], now: Time) -> Result<Vec<AlertId>> {
    tx.fence(fence).await?;
    let mut book = Book::new(now);
    book.load(tx, records.iter().map(|record| record.delivery)).await?;
    let told: Vec<DeliveryId> = book.deliveries.values().filter_map(|kept| kept.delivery.combines).collect();
    book.load(tx, told).await?;
    let unsent = records.iter().filter(|record| ends_unsent(&record.outcome)).map(|record| record.delivery);
    let unsent: Vec<DeliveryId> = unsent.collect();
    book.load_around(tx, &unsent).await?;
    let mut blocked = BTreeSet::new();
    for record in records {
        blocked.extend(record_one(&mut book, fence, record)?);
    }
    let ended = book.write(tx).await?;
    block_chats(tx, blocked, now).await?;
    Ok(ended)
}

const fn ends_unsent(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Sent { entry_lapsed, .. } => *entry_lapsed,
        Outcome::Retry { .. } => false,
        Outcome::Expired | Outcome::Dead { .. } | Outcome::Dropped { .. } => true,
    }
}

/// Answers the user whose chat refuses us, where it does.
fn record_one(book: &mut Book, fence: &Fence, record: &AttemptRecord) -> Result<Option<UserId>> {
    let id = record.delivery;
    let Some(delivery) = book.delivery(id).cloned() else {
        return Ok(None);
    };
    let is_ours = delivery.state == DeliveryState::Sending && delivery.epoch == Some(fence.epoch);
    let may_wait = matches!(record.outcome, Outcome::Expired | Outcome::Dropped { .. });
    let is_waiting = may_wait && delivery.state == DeliveryState::Pending;
    if !is_ours && !is_waiting {
        return Ok(None);
    }
    let edit = Edit::default();
    match &record.outcome {
        Outcome::Sent { message_id, entry_lapsed } => {
            book.end(id, DeliveryEvent::Deliver, edit.set_some("messageId", *message_id), *entry_lapsed)?;
        }
        Outcome::Retry { due_at, error, in_doubt } => {
            let Ok(state) = delivery.state.after(DeliveryEvent::Retry) else {
                return Ok(None);
            };
            let edit = edit.set("state", state).set("dueAt", *due_at).set("lastError", error.as_str());
            let edit = edit.set("possibleRepeat", delivery.possible_repeat || *in_doubt);
            book.change(id, edit.set("updatedAt", book.now).unset("epoch"))?;
        }
        Outcome::Expired => book.end(id, DeliveryEvent::Expire, edit, false)?,
        Outcome::Dead { error, chat_blocked } => {
            book.end(id, DeliveryEvent::Die, edit.set("lastError", error.as_str()), false)?;
            return Ok(delivery.user_id.filter(|_| *chat_blocked));
        }
        Outcome::Dropped { reason } => {
            book.end(id, DeliveryEvent::Drop, edit.set("lastError", reason.as_str()), false)?;
        }
    }
    Ok(None)
}

/// Notes since when the users' chats refuse us.
async fn block_chats(tx: &mut Tx, users: BTreeSet<UserId>, now: Time) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    let users: Vec<Bson> = users.into_iter().map(Bson::from).collect();
    let unknown = doc! { "_id": { "$in": users }, "alertcast.chatBlockedAt": null };
    let found = tx.find(Collection::Users, Query::new(unknown).fields(doc! { "_id": 1 })).await?;
    let ids: Vec<_> = found.iter().filter_map(|user| user.get_object_id("_id").ok()).collect();
    let since = doc! { "$set": { "alertcast.chatBlockedAt": now, "updatedAt": now } };
    tx.update_many(Collection::Users, doc! { "_id": { "$in": ids.clone() } }, since).await?;
    let changed: Vec<_> = ids.into_iter().map(|id| (Collection::Users, id)).collect();
    tx.note_changes(&changed).await
}
