//! What operators do by hand: each act in one transaction, with what is written about it.

use alertcast_core::alert::document::{Alert, AlertStatus};
use alertcast_core::delivery::{Delivery, DeliveryEvent, DeliveryState};
use alertcast_core::erasure::{self, Change};
use alertcast_core::id::{AlertId, DeliveryId, UserId};
use alertcast_core::money::Count;
use alertcast_core::store::actions::{acceptance, lifts_mark};
use alertcast_core::store::{
    AcceptRefused, Actions, Collection, EraseUser, Erased, Resend, Resent, Result as StoreResult, StoreError,
    TradeClose, UsageIncrement, partition_of, read,
};
use alertcast_core::subscription::Subscription;
use alertcast_core::time::Time;
use alertcast_core::trade::document::Trade;
use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

use crate::accept::raise_place;
use crate::book::{Book, Edit};
use crate::commit::{count_usage, insert_deliveries, open_status, trade_end};
use crate::connect::MongoStore;
use crate::counters::Raise;
use crate::error::{Fault, Result};
use crate::gates::CHANGES;
use crate::query::{Query, put};
use crate::transact::{Tx, Update};
use crate::write::{self, Run, as_seen};

/// So many old deliveries lose their recipient in one transaction.
const SLICE: usize = 500;

/// What the act rests on has changed.
const CONFLICT: Fault = Fault::Store(StoreError::Conflict);

#[async_trait]
impl Actions for MongoStore {
    async fn close_trade(&self, mut asked: TradeClose) -> StoreResult<()> {
        let also = write::ready(std::mem::take(&mut asked.also));
        self.transact(gates(&also), (asked, also), |tx, (asked, also)| {
            Box::pin(async move {
                close_trade(tx, asked).await?;
                write::apply(tx, also).await
            })
        })
        .await
    }

    async fn resend(&self, mut asked: Resend) -> StoreResult<Resent> {
        let also = write::ready(std::mem::take(&mut asked.also));
        self.transact(gates(&also), (asked, also), |tx, (asked, also)| {
            Box::pin(async move {
                let resent = resend(tx, asked).await?;
                if matches!(resent, Resent::Queued(_)) {
                    write::apply(tx, also).await?;
                }
                Ok(resent)
            })
        })
        .await
    }

    async fn accept_refused(&self, accept: AcceptRefused) -> StoreResult<()> {
        let AcceptRefused { mut alert, now, also } = accept;
        let partition = alert.processing.alert_config_id.map(partition_of);
        alert.alertcast.partition = partition.or(alert.alertcast.partition);
        let also = write::ready(also);
        alert.alertcast.seq = Count(raise_place(self, 1, now).await?);
        self.transact(gates(&also), (alert, now, also), |tx, (alert, now, also)| {
            Box::pin(async move {
                accept_refused(tx, alert, *now).await?;
                write::apply(tx, also).await
            })
        })
        .await
    }

    async fn has_history(&self, user: UserId) -> StoreResult<bool> {
        // A decision is made only about who has one of the first three.
        let places = [
            (Collection::UserSubscriptions, "userId"),
            (Collection::Trades, "userId"),
            (Collection::Quotas, "_id"),
            (Collection::UserAlertPreferences, "userId"),
            (Collection::Deliveries, "userId"),
        ];
        for (collection, field) in places {
            let query = Query::new(doc! { field: user }).fields(doc! { "_id": 1 });
            if self.find_first(collection, query).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn erase_user(&self, erase: EraseUser) -> StoreResult<Erased> {
        let EraseUser { user, now, expect, also } = erase;
        let person = as_seen(doc! { "_id": user }, expect);
        if self.find_first(Collection::Users, Query::new(person.clone()).fields(doc! { "_id": 1 })).await?.is_none() {
            return Err(StoreError::Conflict);
        }
        let mut cleaned = 0;
        loop {
            let slice =
                self.transact(&[], (user, now), |tx, (user, now)| Box::pin(clean_ended(tx, *user, *now))).await?;
            cleaned += slice as u64;
            if slice < SLICE {
                break;
            }
        }
        let asked = (user, person, now, write::ready(also));
        let erased = self.transact(&[CHANGES], asked, |tx, (user, person, now, also)| {
            Box::pin(async move {
                let erased = erase_user(tx, *user, person, *now).await?;
                write::apply(tx, also).await?;
                Ok(erased)
            })
        });
        let mut erased = erased.await?;
        erased.deliveries_cleaned += cleaned;
        Ok(erased)
    }
}

/// The gates that a transaction with these writes passes.
const fn gates(also: &[Run]) -> &'static [&'static str] {
    if also.is_empty() { &[] } else { &[CHANGES] }
}

async fn close_trade(tx: &mut Tx, asked: &TradeClose) -> Result<()> {
    let mut as_seen = doc! { "_id": asked.end.trade, "status": open_status(), "alertcast.rev": asked.rev_seen };
    if asked.rev_seen == 0 {
        as_seen.insert("alertcast.rev", doc! { "$in": [0, null] });
    }
    if tx.update_one(Collection::Trades, as_seen, trade_end(&asked.end, asked.now)).await? != 1 {
        return Err(CONFLICT);
    }
    insert_deliveries(tx, &asked.deliveries).await?;
    count_usage(tx, &asked.usage, asked.now).await
}

async fn resend(tx: &mut Tx, asked: &Resend) -> Result<Resent> {
    let this = doc! { "_id": asked.delivery };
    let Some(kept) = tx.find_one(Collection::Deliveries, this.clone()).await? else {
        return Err(CONFLICT);
    };
    let delivery: Delivery = read(Collection::Deliveries, kept)?;
    let Ok(state) = delivery.state.after(DeliveryEvent::Resend) else {
        return Err(CONFLICT);
    };
    if let Some(refusal) = resend_on_trade(tx, &delivery, asked.now).await? {
        return Ok(refusal);
    }
    let mut set = doc! {
        "state": state, "dueAt": asked.due_at, "deadlineAt": asked.deadline_at, "updatedAt": asked.now,
    };
    if let Some(until) = asked.entry_deadline_at {
        set.insert("entryDeadlineAt", until);
    }
    let update = doc! { "$set": set, "$unset": { "endedAt": "" } };
    tx.update_one(Collection::Deliveries, this.clone(), update).await?;
    if let Some(alert) = delivery.alert_id {
        unsettle(tx, alert, 1, asked.now).await?;
    }
    if let Some(told) = delivery.combines_alert.filter(|told| delivery.alert_id != Some(*told)) {
        unsettle(tx, told, 0, asked.now).await?;
    }
    let Some(queued) = tx.find_one(Collection::Deliveries, this).await? else {
        return Err(CONFLICT);
    };
    Ok(Resent::Queued(Box::new(read(Collection::Deliveries, queued)?)))
}

/// What sending a delivery again does to its trade; answers a refusal. A trade that it announces is written in any case:
/// the count, which nobody reads, makes this exclude the end of the trade's other announcements.
async fn resend_on_trade(tx: &mut Tx, delivery: &Delivery, now: Time) -> Result<Option<Resent>> {
    let Some(id) = delivery.trade_id else { return Ok(None) };
    let Some(kept) = tx.find_one(Collection::Trades, doc! { "_id": id }).await? else {
        return Ok(None);
    };
    let trade: Trade = read(Collection::Trades, kept)?;
    let lifts = match lifts_mark(delivery, Some(&trade)) {
        Ok(lifts) => lifts,
        Err(refusal) => return Ok(Some(refusal)),
    };
    let mut update = Document::new();
    if trade.alertcast.entry_deliveries.len() > 1 {
        put(&mut update, "$inc", "alertcast.unsent", 1);
    }
    if lifts {
        put(&mut update, "$inc", "alertcast.rev", 1);
        put(&mut update, "$unset", "alertcast.unreached", "");
        put(&mut update, "$set", "updatedAt", now);
    }
    if !update.is_empty() {
        tx.update_one(Collection::Trades, doc! { "_id": id }, update).await?;
    }
    if lifts {
        let again = UsageIncrement {
            subscription: trade.subscription_id,
            preference: trade.alertcast.preference_id,
            alerts: 1,
            trades: 1,
            // Its commit moved the last activity there.
            at: trade.created_at,
        };
        count_usage(tx, &[again], now).await?;
    }
    Ok(None)
}

/// The alert is settled anew; so many of its deliveries have not failed after all.
async fn unsettle(tx: &mut Tx, alert: AlertId, not_failed: i64, now: Time) -> Result<()> {
    let less = Raise {
        of: alert.into(),
        counters: [("statistics.failureCount", -not_failed), ("statistics.deliveryCount", 0)],
        latest: None,
    };
    tx.raise(Collection::Alerts, vec![less], now).await?;
    let update = doc! { "$inc": { "alertcast.resends": 1 }, "$unset": { "alertcast.settledAt": "" } };
    tx.update_one(Collection::Alerts, doc! { "_id": alert }, update).await.map(drop)
}

async fn accept_refused(tx: &mut Tx, alert: &Alert, now: Time) -> Result<()> {
    let failed = doc! { "_id": alert.id, "processing.status": AlertStatus::Failed };
    let Some(kept) = tx.find_one(Collection::Alerts, failed.clone()).await? else {
        return Err(CONFLICT);
    };
    let (mut set, unset) = acceptance(&read(Collection::Alerts, kept)?, alert)?;
    set.insert("alertcast.seq", alert.alertcast.seq);
    set.insert("updatedAt", now);
    match tx.update_one(Collection::Alerts, failed, update_of(set, unset)).await? {
        1 => Ok(()),
        _ => Err(CONFLICT),
    }
}

fn update_of(set: Document, unset: impl IntoIterator<Item = impl Into<String>>) -> Document {
    let mut update = doc! { "$set": set };
    for path in unset {
        put(&mut update, "$unset", &path.into(), "");
    }
    update
}

pub(crate) fn update_for(change: Change) -> Document {
    update_of(change.set, change.unset)
}

/// Takes the recipient from some deliveries that have ended; answers from how many.
async fn clean_ended(tx: &mut Tx, user: UserId, now: Time) -> Result<usize> {
    let ended: Vec<Bson> =
        DeliveryState::ALL.iter().filter(|state| state.is_ended()).map(|state| Bson::from(*state)).collect();
    let filter = doc! { "userId": user, "to": { "$ne": erasure::ERASED }, "state": { "$in": ended } };
    let found = tx.find(Collection::Deliveries, Query::new(filter).limit(SLICE)).await?;
    let mut book = Book::new(now);
    book.keep(found)?;
    let ids: Vec<DeliveryId> = book.deliveries.keys().copied().collect();
    for id in &ids {
        clean(tx, &mut book, user, *id).await?;
    }
    book.write(tx).await?;
    Ok(ids.len())
}

/// Takes the recipient from a delivery, and from the errors that name it.
async fn clean(tx: &mut Tx, book: &mut Book, user: UserId, id: DeliveryId) -> Result<()> {
    let Some(delivery) = book.delivery(id).cloned() else {
        return Ok(());
    };
    let error = delivery.last_error.as_deref().and_then(|error| erasure::of_error(error, &delivery.to));
    if error.is_some() {
        for alert in [delivery.alert_id, delivery.combines_alert].into_iter().flatten() {
            clean_alert(tx, alert, user, &delivery.to).await?;
        }
    }
    let edit = Edit::default().set("to", erasure::ERASED).set("updatedAt", book.now).set_some("lastError", error);
    book.change(id, edit)
}

/// Takes the recipient from what an alert says of the user's deliveries.
async fn clean_alert(tx: &mut Tx, alert: AlertId, user: UserId, recipient: &str) -> Result<()> {
    let of_user = doc! { "_id": alert, "processing.matchedUsers.userId": user };
    let Some(kept) = tx.find_one(Collection::Alerts, of_user.clone()).await? else {
        return Ok(());
    };
    let kept: Alert = read(Collection::Alerts, kept)?;
    let matched = kept.processing.matched_users.iter().find(|matched| matched.user_id == user);
    let error = matched.and_then(|matched| matched.error.as_deref());
    if let Some(error) = error.and_then(|error| erasure::of_error(error, recipient)) {
        let cleaned = doc! { "$set": { "processing.matchedUsers.$.error": error } };
        tx.update_one(Collection::Alerts, of_user, cleaned).await?;
    }
    Ok(())
}

async fn erase_user(tx: &mut Tx, user: UserId, person: &Document, now: Time) -> Result<Erased> {
    let change = update_for(erasure::of_user(user, now));
    if tx.update_one(Collection::Users, person.clone(), change).await? != 1 {
        return Err(CONFLICT);
    }
    let mut erased = Erased::default();
    let mut changed = vec![(Collection::Users, user.0)];
    let subscriptions = erase_subscriptions(tx, user, now, &mut erased, &mut changed).await?;
    let about = std::iter::once(user.0).chain(subscriptions).collect();
    erased.audit_entries_cleaned = clean_records(tx, about).await?;
    erased.answers_cleaned = clean_answers(tx, user).await?;
    tx.note_changes(&changed).await?;
    drop_waiting(tx, user, now, &mut erased).await?;
    Ok(erased)
}

/// Cancels what runs, and removes the proofs. Answers all of the user's subscriptions.
async fn erase_subscriptions(
    tx: &mut Tx,
    user: UserId,
    now: Time,
    erased: &mut Erased,
    changed: &mut Vec<(Collection, ObjectId)>,
) -> Result<Vec<ObjectId>> {
    let mut ids = Vec::new();
    let mut updates = Vec::new();
    for kept in tx.find(Collection::UserSubscriptions, Query::new(doc! { "userId": user })).await? {
        let subscription: Subscription = read(Collection::UserSubscriptions, kept)?;
        let id = subscription.id.0;
        ids.push(id);
        if let Some(change) = erasure::of_subscription(&subscription, now) {
            let is_cancelled = erasure::ends_with_its_person(subscription.subscription.status);
            erased.subscriptions_cancelled += u64::from(is_cancelled);
            updates.push(Update::new(doc! { "_id": id }, update_for(change)));
            changed.push((Collection::UserSubscriptions, id));
        }
    }
    tx.updates(Collection::UserSubscriptions.name(), updates).await?;
    Ok(ids)
}

/// Takes the person from the records of acts about these documents; answers from how many.
async fn clean_records(tx: &mut Tx, about: Vec<ObjectId>) -> Result<u64> {
    let mut updates = Vec::new();
    for entry in tx.find(Collection::AuditLog, Query::new(doc! { "documentId": { "$in": about } })).await? {
        let mut set = Document::new();
        for field in ["before", "after"] {
            if let Some(record) = entry.get_document(field).ok().and_then(erasure::of_record) {
                set.insert(field, record);
            }
        }
        if !set.is_empty() {
            updates.push(Update::new(doc! { "_id": entry.get("_id") }, doc! { "$set": set }));
        }
    }
    Ok(tx.updates(Collection::AuditLog.name(), updates).await? as u64)
}

/// Takes from the answers kept for repeated requests what they tell of a person; answers from how many.
async fn clean_answers(tx: &mut Tx, user: UserId) -> Result<u64> {
    let mut updates = Vec::new();
    for record in tx.find(Collection::IdempotencyKeys, Query::new(doc! { "userId": user })).await? {
        if let Some(change) = erasure::of_answer(&record) {
            updates.push(Update::new(doc! { "_id": record.get("_id") }, update_for(change)));
        }
    }
    Ok(tx.updates(Collection::IdempotencyKeys.name(), updates).await? as u64)
}

/// Drops what waits, and takes the recipient from it and from what has ended since.
async fn drop_waiting(tx: &mut Tx, user: UserId, now: Time, erased: &mut Erased) -> Result<()> {
    let filter = doc! { "userId": user, "to": { "$ne": erasure::ERASED } };
    let mut book = Book::new(now);
    book.keep(tx.find(Collection::Deliveries, Query::new(filter)).await?)?;
    let ids: Vec<DeliveryId> = book.deliveries.keys().copied().collect();
    book.load_around(tx, &ids).await?;
    for id in ids {
        clean(tx, &mut book, user, id).await?;
        erased.deliveries_cleaned += 1;
        let state = book.delivery(id).map(|delivery| delivery.state);
        if matches!(state, Some(DeliveryState::Pending | DeliveryState::Held)) {
            let reason = Edit::default().set("lastError", erasure::DROPPED_FOR);
            book.end(id, DeliveryEvent::Drop, reason, false)?;
            erased.deliveries_dropped += 1;
        }
    }
    erased.settle = book.write(tx).await?;
    Ok(())
}
