//! What operators do by hand: each act in one transaction, with what is written about it.

use alertcast_core::alert::document::{Alert, AlertStatus};
use alertcast_core::delivery::consequences::WorkingSet;
use alertcast_core::delivery::{Delivery, DeliveryState};
use alertcast_core::erasure::{self, FieldChange};
use alertcast_core::id::{AlertId, UserId};
use alertcast_core::money::Count;
use alertcast_core::reading::unpack_what_is_there;
use alertcast_core::store::actions::acceptance;
use alertcast_core::store::{
    AcceptRefused, Collection, EraseUser, ErasureOutcome, OperatorActions, ResendOutcome, ResendRequest, StoreError,
    StoreResult, TradeClose, partition_of, read,
};
use alertcast_core::time::Time;
use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

use crate::engine::local_locks::CHANGES;
use crate::engine::query::{MongoQuery, at_path, put, whole};
use crate::engine::transact::{BulkUpdate, MongoTransaction};
use crate::error::{MongoError, MongoResult};
use crate::ports::documents::write::{self, WriteRun, as_seen};
use crate::ports::intake::accept::raise_place;
use crate::ports::outbox::working_set;
use crate::ports::work::commit::{count_usage, insert_deliveries, open_status, trade_end};
use crate::store::MongoStore;

/// So many old deliveries lose their recipient in one transaction.
const SLICE: usize = 500;

/// What the act rests on has changed.
const CONFLICT: MongoError = MongoError::Store(StoreError::Conflict);

#[async_trait]
impl OperatorActions for MongoStore {
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

    async fn resend(&self, mut asked: ResendRequest) -> StoreResult<ResendOutcome> {
        let also = write::ready(std::mem::take(&mut asked.also));
        self.transact(gates(&also), (asked, also), |tx, (asked, also)| {
            Box::pin(async move {
                let resent = resend(tx, asked).await?;
                if matches!(resent, ResendOutcome::Queued(_)) {
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
            let query = MongoQuery::new(doc! { field: user }).fields(doc! { "_id": 1 });
            if self.find_first(collection, query).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn erase_user(&self, erase: EraseUser) -> StoreResult<ErasureOutcome> {
        let EraseUser { user, now, expect, also } = erase;
        let person = as_seen(doc! { "_id": user }, expect);
        if self
            .find_first(Collection::Users, MongoQuery::new(person.clone()).fields(doc! { "_id": 1 }))
            .await?
            .is_none()
        {
            return Err(StoreError::Conflict);
        }
        let mut cleaned = 0;
        loop {
            let slice =
                self.transact(&[], (user, now), |tx, (user, now)| Box::pin(clean_ended(tx, *user, *now))).await?;
            cleaned += slice;
            if slice < SLICE as u64 {
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

/// The locks that a transaction with these writes passes.
const fn gates(also: &[WriteRun]) -> &'static [&'static str] {
    if also.is_empty() { &[] } else { &[CHANGES] }
}

async fn close_trade(tx: &mut MongoTransaction, asked: &TradeClose) -> MongoResult<()> {
    let open = doc! { "_id": asked.end.trade, "status": open_status() };
    let seen = MongoQuery::new(open.clone()).fields(doc! { "alertcast.rev": 1 }).limit(1);
    // Compared here: something else in its place is no number for a filter.
    let rev = tx.find(Collection::Trades, seen).await?.pop();
    let rev = rev.map(|trade| at_path(&trade, "alertcast.rev").and_then(whole).unwrap_or(0));
    let is_as_seen = rev == Some(asked.rev_seen);
    if !is_as_seen || tx.update_one(Collection::Trades, open, trade_end(&asked.end, asked.now)?).await? != 1 {
        return Err(CONFLICT);
    }
    insert_deliveries(tx, &asked.deliveries).await?;
    count_usage(tx, &asked.usage, asked.now).await
}

async fn resend(tx: &mut MongoTransaction, asked: &ResendRequest) -> MongoResult<ResendOutcome> {
    let this = doc! { "_id": asked.delivery };
    let kept = tx.find_one(Collection::Deliveries, this).await?.ok_or(CONFLICT)?;
    let delivery: Delivery = read(Collection::Deliveries, kept)?;
    let mut set = WorkingSet::new(asked.now);
    // Nothing is decided beside a trade that cannot be read.
    if let Some(id) = delivery.trade_id
        && let Some(kept) = tx.find_one(Collection::Trades, doc! { "_id": id }).await?
    {
        set.add_trade(id, Some(read(Collection::Trades, kept)?));
    }
    set.add_delivery(asked.delivery, Some(delivery));
    working_set::load(tx, &mut set, |set| set.ask_for_resending(asked.delivery)).await?;
    let resent = set.resend(asked)?;
    working_set::write(tx, set, asked.now).await?;
    Ok(resent)
}

async fn accept_refused(tx: &mut MongoTransaction, alert: &Alert, now: Time) -> MongoResult<()> {
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

pub(crate) fn update_for(change: FieldChange) -> Document {
    update_of(change.set, change.unset)
}

/// Takes the recipient from some deliveries that have ended; answers from how many.
async fn clean_ended(tx: &mut MongoTransaction, user: UserId, now: Time) -> MongoResult<u64> {
    let ended: Vec<Bson> =
        DeliveryState::ALL.iter().filter(|state| state.is_ended()).map(|state| Bson::from(*state)).collect();
    let filter = doc! { "userId": user, "to": { "$ne": erasure::ERASED }, "state": { "$in": ended } };
    let query = MongoQuery::new(filter).limit(SLICE);
    Ok(erase_deliveries(tx, user, query, now).await?.deliveries_cleaned)
}

/// Takes the recipient from these deliveries, and drops what waits.
async fn erase_deliveries(
    tx: &mut MongoTransaction,
    user: UserId,
    these: MongoQuery,
    now: Time,
) -> MongoResult<ErasureOutcome> {
    let found = tx.find_each::<Delivery>(Collection::Deliveries, these).await?;
    let mut erased = ErasureOutcome { deliveries_cleaned: found.len() as u64, ..ErasureOutcome::default() };
    let mut set = WorkingSet::new(now);
    let (mut ids, mut unread) = (Vec::new(), Vec::new());
    for (bytes, read) in found {
        if let Ok(delivery) = read {
            ids.push(delivery.id);
            set.add_delivery(delivery.id, Some(delivery));
            continue;
        }
        // By its fields.
        let fields = unpack_what_is_there(Collection::Deliveries, bytes.as_bytes());
        let (change, is_dropped) = erasure::of_unread_delivery(&fields, now);
        erased.deliveries_dropped += u64::from(is_dropped);
        unread.push(BulkUpdate::new(doc! { "_id": fields.get("_id") }, update_for(change)));
    }
    tx.updates(Collection::Deliveries.name(), unread).await?;
    working_set::load(tx, &mut set, |set| set.ask_for_erasing(&ids)).await?;
    for id in &ids {
        working_set::load(tx, &mut set, |set| set.ask_for_erasing(&[*id])).await?;
        erased.deliveries_dropped += u64::from(set.erase(*id));
    }
    let edits = working_set::write(tx, set, now).await?;
    for (alert, recipient) in &edits.named_in {
        clean_alert(tx, *alert, user, recipient).await?;
    }
    erased.settle = edits.settle;
    Ok(erased)
}

/// Takes the recipient from what an alert says of the user's deliveries.
async fn clean_alert(tx: &mut MongoTransaction, alert: AlertId, user: UserId, recipient: &str) -> MongoResult<()> {
    let of_user = doc! { "_id": alert, "processing.matchedUsers.userId": user };
    let query = MongoQuery::new(of_user.clone()).fields(doc! { "processing.matchedUsers": 1 }).limit(1);
    let Some(kept) = tx.find(Collection::Alerts, query).await?.pop() else {
        return Ok(());
    };
    let matched = at_path(&kept, "processing.matchedUsers").and_then(Bson::as_array).into_iter().flatten();
    let mut matched = matched.filter_map(Bson::as_document);
    let matched = matched.find(|matched| matched.get_object_id("userId").is_ok_and(|id| id == user.0));
    let error = matched.and_then(|matched| matched.get_str("error").ok());
    if let Some(error) = error.and_then(|error| erasure::of_error(error, recipient)) {
        let cleaned = doc! { "$set": { "processing.matchedUsers.$.error": error } };
        tx.update_one(Collection::Alerts, of_user, cleaned).await?;
    }
    Ok(())
}

async fn erase_user(
    tx: &mut MongoTransaction,
    user: UserId,
    person: &Document,
    now: Time,
) -> MongoResult<ErasureOutcome> {
    let change = update_for(erasure::of_user(user, now));
    if tx.update_one(Collection::Users, person.clone(), change).await? != 1 {
        return Err(CONFLICT);
    }
    let mut erased = ErasureOutcome::default();
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
    tx: &mut MongoTransaction,
    user: UserId,
    now: Time,
    erased: &mut ErasureOutcome,
    changed: &mut Vec<(Collection, ObjectId)>,
) -> MongoResult<Vec<ObjectId>> {
    let mut ids = Vec::new();
    let mut updates = Vec::new();
    for kept in tx.find(Collection::UserSubscriptions, MongoQuery::new(doc! { "userId": user })).await? {
        let Ok(id) = kept.get_object_id("_id") else { continue };
        ids.push(id);
        if let Some(change) = erasure::of_subscription(&kept, now) {
            erased.subscriptions_cancelled += u64::from(erasure::ends_with_its_person(&kept));
            updates.push(BulkUpdate::new(doc! { "_id": id }, update_for(change)));
            changed.push((Collection::UserSubscriptions, id));
        }
    }
    tx.updates(Collection::UserSubscriptions.name(), updates).await?;
    Ok(ids)
}

/// Takes the person from the records of acts about these documents; answers from how many.
async fn clean_records(tx: &mut MongoTransaction, about: Vec<ObjectId>) -> MongoResult<u64> {
    let mut updates = Vec::new();
    for entry in tx.find(Collection::AuditLog, MongoQuery::new(doc! { "documentId": { "$in": about } })).await? {
        let mut set = Document::new();
        for field in ["before", "after"] {
            if let Some(record) = entry.get_document(field).ok().and_then(erasure::of_record) {
                set.insert(field, record);
            }
        }
        if !set.is_empty() {
            updates.push(BulkUpdate::new(doc! { "_id": entry.get("_id") }, doc! { "$set": set }));
        }
    }
    Ok(tx.updates(Collection::AuditLog.name(), updates).await? as u64)
}

/// Takes from the answers kept for repeated requests what they tell of a person; answers from how many.
async fn clean_answers(tx: &mut MongoTransaction, user: UserId) -> MongoResult<u64> {
    let mut updates = Vec::new();
    for record in tx.find(Collection::IdempotencyKeys, MongoQuery::new(doc! { "userId": user })).await? {
        if let Some(change) = erasure::of_answer(&record) {
            updates.push(BulkUpdate::new(doc! { "_id": record.get("_id") }, update_for(change)));
        }
    }
    Ok(tx.updates(Collection::IdempotencyKeys.name(), updates).await? as u64)
}

/// Drops what waits, and takes the recipient from it and from what has ended since.
async fn drop_waiting(
    tx: &mut MongoTransaction,
    user: UserId,
    now: Time,
    erased: &mut ErasureOutcome,
) -> MongoResult<()> {
    let these = MongoQuery::new(doc! { "userId": user, "to": { "$ne": erasure::ERASED } });
    let of_deliveries = erase_deliveries(tx, user, these, now).await?;
    *erased = ErasureOutcome {
        deliveries_cleaned: of_deliveries.deliveries_cleaned,
        deliveries_dropped: of_deliveries.deliveries_dropped,
        settle: of_deliveries.settle,
        ..std::mem::take(erased)
    };
    Ok(())
}
