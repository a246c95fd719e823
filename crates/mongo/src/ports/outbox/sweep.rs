//! What is done to many deliveries at once: after a crash, for a chat that is to be left alone, past deadlines, and when
//! they have been kept long enough.

use alertcast_core::delivery::consequences::WorkingSet;
use alertcast_core::delivery::{Delivery, DeliveryState, moved_to};
use alertcast_core::id::{AlertId, DeliveryId};
use alertcast_core::store::{Collection, LeaseFence, StoreResult};
use alertcast_core::time::Time;
use alertcast_core::user::with_chat_moved;
use bson::{Bson, Document, doc};

use crate::engine::query::MongoQuery;
use crate::engine::transact::{BulkUpdate, MongoTransaction};
use crate::error::MongoResult;
use crate::ports::operator_actions::update_for;
use crate::ports::outbox::working_set;
use crate::ports::set_aside;
use crate::store::MongoStore;

pub(crate) async fn recover(tx: &mut MongoTransaction, fence: &LeaseFence, now: Time) -> MongoResult<u64> {
    tx.fence(fence).await?;
    // Of epochs only that counts which holds now: every other is over.
    let of_others = doc! {
        "lane": &fence.lease, "state": DeliveryState::Sending, "epoch": { "$ne": fence.epoch },
    };
    let again = doc! {
        "$set": { "state": DeliveryState::Pending, "dueAt": now, "possibleRepeat": true, "updatedAt": now },
        "$unset": { "epoch": "" },
    };
    tx.update_many(Collection::Deliveries, of_others, again).await
}

pub(crate) async fn defer_chat(
    tx: &mut MongoTransaction,
    fence: &LeaseFence,
    chat: &str,
    until: Time,
) -> MongoResult<()> {
    tx.fence(fence).await?;
    let earlier = doc! {
        "to": chat, "lane": &fence.lease, "state": DeliveryState::Pending, "dueAt": { "$lt": until },
    };
    tx.update_many(Collection::Deliveries, earlier, doc! { "$set": { "dueAt": until } }).await.map(drop)
}

pub(crate) async fn move_chat(tx: &mut MongoTransaction, from: &str, to: &str, now: Time) -> MongoResult<u64> {
    let (mut updates, mut changed) = (Vec::new(), Vec::new());
    for user in tx.find(Collection::Users, MongoQuery::new(doc! { "telegram.chatId": from })).await? {
        let Ok(id) = user.get_object_id("_id") else { continue };
        if let Some(change) = with_chat_moved(&user, from, to, now) {
            updates.push(BulkUpdate::new(doc! { "_id": id }, update_for(change)));
            changed.push((Collection::Users, id));
        }
    }
    tx.updates(Collection::Users.name(), updates).await?;
    tx.note_changes(&changed).await?;
    // In the chat, or in one of its topics (`CHAT:5`): `;` is the sign after `:`.
    let topics = doc! { "to": { "$gt": format!("{from}:"), "$lt": format!("{from};") } };
    let mut updates = Vec::new();
    // Each state has an index of its own.
    for state in [DeliveryState::Pending, DeliveryState::Held] {
        let there = doc! { "state": state, "$or": [{ "to": from }, topics.clone()] };
        for delivery in tx.find(Collection::Deliveries, MongoQuery::new(there)).await? {
            let Ok(place) = delivery.get_str("to") else { continue };
            let moved = doc! { "$set": { "to": moved_to(place, to), "updatedAt": now } };
            updates.push(BulkUpdate::new(doc! { "_id": delivery.get("_id") }, moved));
        }
    }
    let moved = changed.len() + updates.len();
    tx.updates(Collection::Deliveries.name(), updates).await?;
    Ok(moved as u64)
}

pub(crate) async fn expire_overdue(
    tx: &mut MongoTransaction,
    now: Time,
    limit: usize,
) -> MongoResult<(Vec<AlertId>, bool)> {
    let overdue = doc! { "state": DeliveryState::Pending, "deadlineAt": { "$lt": now } };
    let query = MongoQuery::new(overdue).sort_by(doc! { "deadlineAt": 1 }).limit(limit.saturating_add(1));
    let mut found = tx.find_each::<Delivery>(Collection::Deliveries, query).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let mut set = WorkingSet::new(now);
    let mut ids: Vec<DeliveryId> = Vec::with_capacity(found.len());
    for (_, read) in found {
        match read {
            Ok(delivery) => {
                ids.push(delivery.id);
                set.add_delivery(delivery.id, Some(delivery));
            }
            Err(unreadable) => set_aside::end_delivery(tx, &unreadable, now).await?,
        }
    }
    working_set::load(tx, &mut set, |set| set.ask_for_expiry(&ids)).await?;
    for id in &ids {
        working_set::load(tx, &mut set, |set| set.ask_for_expiry(&[*id])).await?;
        set.expire(*id);
    }
    Ok((working_set::write(tx, set, now).await?.settle, more))
}

/// At most `limit` of each kind; whether there is more.
pub(crate) async fn purge(
    store: &MongoStore,
    deliveries_before: Time,
    rejected_before: Time,
    now: Time,
    limit: usize,
) -> StoreResult<bool> {
    let ended: Vec<Bson> =
        DeliveryState::ALL.iter().filter(|state| state.is_ended()).map(|state| Bson::from(*state)).collect();
    let old = doc! { "state": { "$in": ended }, "endedAt": { "$lt": deliveries_before } };
    let mut more = remove(store, Collection::Deliveries, old, limit).await?;
    let old = doc! { "receivedAt": { "$lt": rejected_before } };
    more |= remove(store, Collection::RejectedWebhooks, old, limit).await?;
    let over = doc! { "until": { "$lte": now } };
    more |= remove(store, Collection::IntakeKeys, over.clone(), limit).await?;
    more |= remove(store, Collection::IdempotencyKeys, over, limit).await?;
    Ok(more)
}

/// Removes some that match, if they still do when it comes to it: a key may be claimed anew meanwhile.
async fn remove(store: &MongoStore, collection: Collection, filter: Document, limit: usize) -> StoreResult<bool> {
    let query = MongoQuery::new(filter.clone()).fields(doc! { "_id": 1 }).limit(limit);
    let mut found = store.find(collection, query).await?;
    let more = limit > 0 && found.len() == limit;
    let ids: Vec<Bson> = found.iter_mut().filter_map(|document| document.remove("_id")).collect();
    if !ids.is_empty() {
        let mut these = filter;
        these.insert("_id", doc! { "$in": ids });
        store.link.run_bounded(async { Ok(store.collection(collection).delete_many(these).await?) }).await?;
    }
    Ok(more)
}
