//! The courier's port: what is due, taking it, and recording what attempts came to.

use alertcast_core::delivery::{
    Before, Delivery, DeliveryEvent, DeliveryState, MessageKind, Overtaken, Taking, Turn, before, taking, yielded,
};
use alertcast_core::id::{AlertId, DeliveryId, UserId};
use alertcast_core::money::Count;
use alertcast_core::reading::{Found, read_document};
use alertcast_core::store::{
    AttemptRecord, Collection, Fence, Notice, Outbox, Outcome, Result as StoreResult, Settled, TakeResult, Taken,
};
use alertcast_core::time::Time;
use alertcast_core::user::{Refuser, with_refuser};
use async_trait::async_trait;
use bson::{Bson, doc};

use crate::actions::update_for;
use crate::book::{Book, Edit};
use crate::connect::MongoStore;
use crate::error::Result;
use crate::gates::{CHANGES, OPERATORS};
use crate::query::Query;
use crate::transact::{Tx, Update};
use crate::{settle, sweep};

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
        let blocks = |record: &AttemptRecord| record.outcome.refuser().is_some();
        let gates: &[&str] = if records.iter().any(blocks) { &[&fence.lease, CHANGES] } else { &[&fence.lease] };
        let told = (fence.clone(), records, now);
        self.transact(gates, told, |tx, (fence, records, now)| Box::pin(record(tx, fence, records, *now))).await
    }

    async fn note_copies(&self, copies: &[(DeliveryId, i64)], now: Time) -> StoreResult<()> {
        let asked = (copies.to_vec(), now);
        self.transact(&[], asked, |tx, (copies, now)| {
            Box::pin(async move {
                let noted = copies.iter().map(|(id, message_id)| {
                    let unknown =
                        doc! { "_id": id, "messageId": { "$ne": message_id }, "copies": { "$ne": message_id } };
                    Update::new(unknown, doc! { "$push": { "copies": message_id }, "$set": { "updatedAt": *now } })
                });
                tx.updates(Collection::Deliveries.name(), noted.collect()).await.map(drop)
            })
        })
        .await
    }

    async fn tell_operators(&self, notices: Vec<Notice>) -> StoreResult<()> {
        self.transact(&[OPERATORS], notices, |tx, notices| Box::pin(tx.give_notices(notices))).await
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

    async fn move_chat(&self, from: &str, to: &str, now: Time) -> StoreResult<u64> {
        let asked = (from.to_owned(), to.to_owned(), now);
        self.transact(&[CHANGES], asked, |tx, (from, to, now)| Box::pin(sweep::move_chat(tx, from, to, *now))).await
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
    let read = found.into_iter().map(|delivery| read_document(Collection::Deliveries, &delivery));
    Ok(store.unreadables.sift(read.collect::<Found<Delivery>>()))
}

async fn take(tx: &mut Tx, fence: &Fence, ids: &[DeliveryId], now: Time) -> Result<TakeResult> {
    tx.fence(fence).await?;
    let mut book = Book::new(now);
    book.load(tx, ids.iter().copied()).await?;
    let (results, messages): (Vec<_>, Vec<_>) = ids.iter().copied().partition(|id| is_result(&book, *id));
    book.load_near(tx, &messages).await?;
    book.load_before(tx, &results).await?;
    let mut taken = Vec::with_capacity(ids.len());
    for id in ids {
        taken.extend(take_one(&mut book, fence, *id)?);
    }
    Ok(TakeResult { taken, settle: book.write(tx).await? })
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
    let may = match delivery.kind {
        MessageKind::Result => is_its_turn(book, &delivery)?,
        _ => is_the_way_clear(book, &delivery)?,
    };
    if !may {
        return Ok(None);
    }
    match taking(&delivery, &*book, book.now) {
        Taking::Goes(after) => book.rewrite(id, &after)?,
        Taking::Waits(due_at) => return put_off(book, id, due_at).map(|()| None),
        Taking::Ends(event, why) => {
            book.end(id, event, Edit::default().set("lastError", why), false)?;
            return Ok(None);
        }
    }
    let attempts = Count(delivery.attempts.0.saturating_add(1));
    let edit = Edit::default().set("state", state).set("epoch", fence.epoch).set("attempts", attempts);
    book.change(id, edit.set("updatedAt", book.now))?;
    let entry = delivery.entry_delivery.and_then(|entry| book.delivery(entry)).cloned();
    Ok(book.delivery(id).cloned().map(|delivery| Taken { delivery, entry }))
}

/// Ends what waits and must not be read after this one. False where this one is not sent now.
fn is_the_way_clear(book: &mut Book, delivery: &Delivery) -> Result<bool> {
    match before(delivery, &*book, book.now) {
        Before::Wait(due_at) => put_off(book, delivery.id, due_at)?,
        Before::Ends(overtaken) => {
            end_all(book, &overtaken)?;
            return Ok(true);
        }
        Before::Yields { to, overtaken } => {
            end_all(book, &overtaken)?;
            if let Some(told) = book.delivery(to).map(|teller| yielded(teller, delivery, &overtaken, &*book)) {
                book.rewrite(to, &told)?;
            }
        }
    }
    Ok(false)
}

fn end_all(book: &mut Book, overtaken: &[Overtaken]) -> Result<()> {
    for one in overtaken {
        let edit = Edit::default().set_some("supersededBy", one.by).set_some("lastError", one.reason());
        book.end(one.id, one.event, edit, false)?;
    }
    Ok(())
}

/// It stays pending.
fn put_off(book: &mut Book, id: DeliveryId, due_at: Time) -> Result<()> {
    book.change(id, Edit::default().set("dueAt", due_at).set("updatedAt", book.now))
}

/// Whether a result may be taken. Else it waits for what goes before it, or is dropped.
fn is_its_turn(book: &mut Book, result: &Delivery) -> Result<bool> {
    let entry = result.entry_delivery.and_then(|id| book.delivery(id));
    let told = result.follows.and_then(|id| book.delivery(id)).and_then(|followed| followed.told_by(&*book));
    match result.turn(entry, told, book.now) {
        Turn::Now => return Ok(true),
        Turn::Wait(due_at) => put_off(book, result.id, due_at)?,
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
    let mut refusers = Vec::new();
    for record in records {
        refusers.extend(record_one(&mut book, fence, record)?);
    }
    let ended = book.write(tx).await?;
    note_refusers(tx, &refusers, now).await?;
    Ok(ended)
}

const fn ends_unsent(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Sent { entry_lapsed, .. } => *entry_lapsed,
        Outcome::Retry { .. } => false,
        Outcome::Expired { .. } | Outcome::Dead { .. } | Outcome::Dropped { .. } => true,
    }
}

/// Answers who will not have our messages any more, where that was found, and whose it is.
fn record_one(book: &mut Book, fence: &Fence, record: &AttemptRecord) -> Result<Option<(UserId, Refuser)>> {
    let id = record.delivery;
    let Some(delivery) = book.delivery(id).cloned() else {
        return Ok(None);
    };
    let is_ours = delivery.state == DeliveryState::Sending && delivery.epoch == Some(fence.epoch);
    let may_wait = matches!(record.outcome, Outcome::Expired { .. } | Outcome::Dropped { .. });
    let is_waiting = may_wait && delivery.state == DeliveryState::Pending;
    if !is_ours && !is_waiting {
        return Ok(None);
    }
    let edit = Edit::default().set_some("possibleRepeat", record.outcome.is_in_doubt().then_some(true));
    match &record.outcome {
        Outcome::Sent { message_id, entry_lapsed, topic_gone } => {
            let edit = edit.set_some("messageId", *message_id);
            let edit = match (topic_gone, delivery.topic_gone) {
                (true, _) => edit.set("topicGone", true),
                (false, true) => edit.unset("topicGone"),
                (false, false) => edit,
            };
            book.end(id, DeliveryEvent::Deliver, edit, *entry_lapsed)?;
        }
        Outcome::Retry { due_at, error, .. } => {
            let Ok(state) = delivery.state.after(DeliveryEvent::Retry) else {
                return Ok(None);
            };
            let edit = edit.set("state", state).set("dueAt", *due_at).set("lastError", error.as_str());
            book.change(id, edit.set("updatedAt", book.now).unset("epoch"))?;
        }
        Outcome::Expired { .. } => book.end(id, DeliveryEvent::Expire, edit, false)?,
        Outcome::Dead { error, .. } => {
            book.end(id, DeliveryEvent::Die, edit.set("lastError", error.as_str()), false)?;
            return Ok(delivery.user_id.zip(record.outcome.refuser()));
        }
        Outcome::Dropped { reason } => {
            book.end(id, DeliveryEvent::Drop, edit.set("lastError", reason.as_str()), false)?;
        }
    }
    Ok(None)
}

/// Notes with the users who will not have our messages.
async fn note_refusers(tx: &mut Tx, refusers: &[(UserId, Refuser)], now: Time) -> Result<()> {
    if refusers.is_empty() {
        return Ok(());
    }
    let users: Vec<Bson> = refusers.iter().map(|(user, _)| Bson::from(*user)).collect();
    let (mut updates, mut changed) = (Vec::new(), Vec::new());
    for user in tx.find(Collection::Users, Query::new(doc! { "_id": { "$in": users } })).await? {
        let Ok(id) = user.get_object_id("_id") else { continue };
        for (_, refuser) in refusers.iter().filter(|(user, _)| user.0 == id) {
            if let Some(change) = with_refuser(&user, refuser, now) {
                updates.push(Update::new(doc! { "_id": id }, update_for(change)));
                changed.push((Collection::Users, id));
            }
        }
    }
    tx.updates(Collection::Users.name(), updates).await?;
    tx.note_changes(&changed).await
}
