//! What operators do by hand: each act in one job, with what is written about it.

use alertcast_core::alert::document::{Alert, AlertStatus};
use alertcast_core::delivery::Delivery;
use alertcast_core::erasure::{self, FieldChange};
use alertcast_core::id::{AlertId, DeliveryId, UserId};
use alertcast_core::money::Count;
use alertcast_core::reading;
use alertcast_core::store::actions::acceptance;
use alertcast_core::store::{
    AcceptRefused, Collection, EraseUser, ErasureOutcome, OperatorActions, ResendOutcome, ResendRequest, StoreResult,
    TradeClose, partition_of,
};
use alertcast_core::time::Time;
use async_trait::async_trait;
use bson::Bson;
use bson::oid::ObjectId;
use rusqlite::Row;

use crate::engine::counters;
use crate::engine::failpoints::WriteOperation;
use crate::engine::queue::JobPriority;
use crate::engine::raw::{self, RawEdit, RawValue};
use crate::engine::rows::{DocumentBytes, IdBlob, RowAccess, decode};
use crate::engine::writer::WriterTransaction;
use crate::error::{SqliteError, SqliteResult};
use crate::ports::documents::{apply_all, holds, note_change, ready};
use crate::ports::outbox::working_set::LoadedRows;
use crate::ports::work::{encode_all, end_trade};
use crate::store::SqliteStore;

/// So many old deliveries lose their recipient in one job, so that intake does not wait for all of them.
const SLICE: i64 = 500;

#[async_trait]
impl OperatorActions for SqliteStore {
    async fn close_trade(&self, close: TradeClose) -> StoreResult<()> {
        let TradeClose { end, rev_seen, deliveries, usage, now, also } = close;
        let (deliveries, also) = (encode_all(&deliveries)?, ready(also)?);
        self.write(JobPriority::Short, WriteOperation::Close, move |tx| {
            check_rev(tx.rows, end.trade.0, rev_seen)?;
            end_trade(tx.rows, &end, now)?;
            tx.rows.insert_all_missing(Collection::Deliveries, deliveries.iter().map(Vec::as_slice))?;
            counters::count(tx.rows, &usage, now)?;
            apply_all(tx, &also)
        })
        .await
    }

    async fn resend(&self, mut asked: ResendRequest) -> StoreResult<ResendOutcome> {
        let also = ready(std::mem::take(&mut asked.also))?;
        self.write(JobPriority::Short, WriteOperation::Resend, move |tx| {
            let resent = resend(tx, &asked)?;
            if matches!(resent, ResendOutcome::Queued(_)) {
                apply_all(tx, &also)?;
            }
            Ok(resent)
        })
        .await
    }

    async fn accept_refused(&self, accept: AcceptRefused) -> StoreResult<()> {
        let AcceptRefused { mut alert, now, also } = accept;
        let partition = alert.processing.alert_config_id.map(partition_of);
        alert.alertcast.partition = partition.or(alert.alertcast.partition);
        let also = ready(also)?;
        self.write(JobPriority::Short, WriteOperation::Reaccept, move |tx| {
            accept_refused(tx, &alert, now)?;
            apply_all(tx, &also)
        })
        .await
    }

    async fn has_history(&self, user: UserId) -> StoreResult<bool> {
        self.read(move |rows| {
            for sql in HISTORY {
                if rows.any(sql, [IdBlob::from(user)])? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    async fn erase_user(&self, erase: EraseUser) -> StoreResult<ErasureOutcome> {
        let EraseUser { user, now, expect, also } = erase;
        let seen = expect.clone();
        self.read(move |rows| person(rows, user, &seen).map(drop)).await?;
        let mut cleaned = 0;
        loop {
            let slice =
                self.write(JobPriority::Bulk, WriteOperation::Erase, move |tx| clean_ended(tx, user, now)).await?;
            cleaned += slice;
            if i64::try_from(slice).unwrap_or(i64::MAX) < SLICE {
                break;
            }
        }
        let also = ready(also)?;
        let mut erased = self
            .write(JobPriority::Short, WriteOperation::Erase, move |tx| {
                let erased = erase_user(tx, user, &expect, now)?;
                apply_all(tx, &also)?;
                Ok(erased)
            })
            .await?;
        erased.deliveries_cleaned += cleaned;
        Ok(erased)
    }
}

fn check_rev(rows: RowAccess<'_>, trade: ObjectId, seen: i64) -> SqliteResult<()> {
    match rows.find(Collection::Trades, trade)? {
        Some(trade) if raw::counter(&trade, "alertcast.rev")? == seen => Ok(()),
        _ => Err(SqliteError::conflict()),
    }
}

fn resend(tx: &WriterTransaction<'_>, asked: &ResendRequest) -> SqliteResult<ResendOutcome> {
    let rows = tx.rows;
    let bytes = rows.find(Collection::Deliveries, asked.delivery)?.ok_or_else(SqliteError::conflict)?;
    let delivery: Delivery = decode(Collection::Deliveries, &bytes)?;
    let mut loaded = LoadedRows::new(tx, asked.now)?;
    // Nothing is decided beside a trade that cannot be read.
    if let Some(id) = delivery.trade_id
        && let Some(bytes) = rows.find(Collection::Trades, id)?
    {
        loaded.add_trade(id, decode(Collection::Trades, &bytes)?, bytes);
    }
    loaded.add_delivery(asked.delivery, delivery, bytes);
    loaded.load(|set| set.ask_for_resending(asked.delivery))?;
    let resent = loaded.set.resend(asked)?;
    loaded.write()?;
    Ok(resent)
}

fn accept_refused(tx: &WriterTransaction<'_>, alert: &Alert, now: Time) -> SqliteResult<()> {
    let Some(bytes) = tx.rows.find(Collection::Alerts, alert.id)? else {
        return Err(SqliteError::conflict());
    };
    let kept: Alert = decode(Collection::Alerts, &bytes)?;
    if kept.processing.status != AlertStatus::Failed {
        return Err(SqliteError::conflict());
    }
    let (set, unset) = acceptance(&kept, alert)?;
    let mut edit = edit_of(set, unset);
    edit.set("alertcast.seq", Count(tx.next_seq()));
    edit.set("updatedAt", now);
    tx.rows.edit(Collection::Alerts, &bytes, &edit)?;
    tx.note_effects(|effects| (effects.pending, effects.forget_prices) = (true, true));
    Ok(())
}

fn edit_of(set: bson::Document, unset: impl IntoIterator<Item = impl Into<String>>) -> RawEdit {
    let mut edit = RawEdit::new();
    for (path, value) in set {
        edit.set(path, value);
    }
    for path in unset {
        edit.unset(path.into());
    }
    edit
}

pub(crate) fn edit_for(change: FieldChange) -> RawEdit {
    edit_of(change.set, change.unset)
}

/// Each by an index that begins with the user. A decision is made only about who has one of the first three.
pub(crate) const HISTORY: [&str; 5] = [
    r#"SELECT 1 FROM user_subscriptions WHERE "userId" = ?1"#,
    r#"SELECT 1 FROM trades WHERE "userId" = ?1"#,
    r#"SELECT 1 FROM quotas WHERE "_id" = ?1"#,
    r#"SELECT 1 FROM user_alert_preferences WHERE "userId" = ?1"#,
    r#"SELECT 1 FROM deliveries WHERE "userId" = ?1"#,
];

pub(crate) const ENDED_WITH_RECIPIENT: &str = r#"SELECT doc, "_id" FROM deliveries WHERE "userId" = ?1 AND "to" <> 'erased'
    AND "state" NOT IN ('pending', 'sending', 'held') LIMIT ?2"#;

/// Takes the recipient from some deliveries that have ended; answers from how many.
fn clean_ended(tx: &WriterTransaction<'_>, user: UserId, now: Time) -> SqliteResult<u64> {
    let found =
        tx.rows.documents(Collection::Deliveries, ENDED_WITH_RECIPIENT, (IdBlob::from(user), SLICE), with_id)?;
    erase_deliveries(tx, user, found, now).map(|erased| erased.deliveries_cleaned)
}

/// The id, where it is one of ours, and the document.
fn with_id(row: &Row<'_>, document: &[u8]) -> SqliteResult<(Option<DeliveryId>, DocumentBytes)> {
    Ok((row.get::<_, IdBlob>(1).ok().map(|id| DeliveryId(id.id())), document.to_vec()))
}

/// Takes the recipient from these deliveries, and drops what waits.
fn erase_deliveries(
    tx: &WriterTransaction<'_>,
    user: UserId,
    found: Vec<(Option<DeliveryId>, DocumentBytes)>,
    now: Time,
) -> SqliteResult<ErasureOutcome> {
    let mut erased = ErasureOutcome { deliveries_cleaned: found.len() as u64, ..ErasureOutcome::default() };
    let rows = tx.rows;
    let mut loaded = LoadedRows::new(tx, now)?;
    for (id, bytes) in found {
        let (Some(id), Ok(delivery)) = (id, decode::<Delivery>(Collection::Deliveries, &bytes)) else {
            erased.deliveries_dropped += u64::from(erase_unread(rows, id, &bytes, now)?);
            continue;
        };
        loaded.add_delivery(id, delivery, bytes);
        loaded.load(|set| set.ask_for_erasing(&[id]))?;
        erased.deliveries_dropped += u64::from(loaded.set.erase(id));
    }
    let edits = loaded.write()?;
    for (alert, recipient) in &edits.named_in {
        clean_alert(rows, *alert, user, recipient)?;
    }
    erased.settle = edits.settle;
    Ok(erased)
}

/// The same for one that cannot be read, by its fields; one whose bytes are damaged is removed. Answers whether it was
/// dropped.
fn erase_unread(rows: RowAccess<'_>, id: Option<DeliveryId>, bytes: &[u8], now: Time) -> SqliteResult<bool> {
    let Ok(fields) = reading::unpack(Collection::Deliveries, bytes) else {
        return id.map_or(Ok(()), |id| rows.delete(Collection::Deliveries, id)).map(|()| false);
    };
    let (change, is_dropped) = erasure::of_unread_delivery(&fields, now);
    rows.edit(Collection::Deliveries, bytes, &edit_for(change))?;
    Ok(is_dropped)
}

/// Takes the recipient from what an alert says of the user's deliveries.
fn clean_alert(rows: RowAccess<'_>, alert: AlertId, user: UserId, recipient: &str) -> SqliteResult<()> {
    let Some(document) = rows.find(Collection::Alerts, alert)? else {
        return Ok(());
    };
    let mut edit = RawEdit::new();
    let matched = raw::lookup(&document, "processing.matchedUsers")?.map(RawValue::items).into_iter().flatten();
    for (at, matched) in matched.enumerate() {
        let matched = matched?.value;
        if matched.field("userId")?.and_then(RawValue::as_id) != Some(user.0) {
            continue;
        }
        let error = matched.field("error")?.and_then(RawValue::as_str);
        if let Some(error) = error.and_then(|error| erasure::of_error(error, recipient)) {
            edit.set(format!("processing.matchedUsers.{at}.error"), error);
        }
    }
    rows.edit(Collection::Alerts, &document, &edit)?;
    Ok(())
}

/// The user's document, where it is as the caller has seen it.
fn person(rows: RowAccess<'_>, user: UserId, expect: &[(String, Bson)]) -> SqliteResult<DocumentBytes> {
    let person = rows.find(Collection::Users, user)?.ok_or_else(SqliteError::conflict)?;
    if holds(&person, expect)? { Ok(person) } else { Err(SqliteError::conflict()) }
}

fn erase_user(
    tx: &WriterTransaction<'_>,
    user: UserId,
    expect: &[(String, Bson)],
    now: Time,
) -> SqliteResult<ErasureOutcome> {
    let rows = tx.rows;
    let person = person(rows, user, expect)?;
    rows.edit(Collection::Users, &person, &edit_for(erasure::of_user(user, now)))?;
    note_change(tx, Collection::Users, user.0)?;
    let mut erased = ErasureOutcome::default();
    let subscriptions = erase_subscriptions(tx, user, now, &mut erased)?;
    for about in std::iter::once(user.0).chain(subscriptions) {
        erased.audit_entries_cleaned += clean_records(rows, about)?;
    }
    erased.answers_cleaned = clean_answers(rows, user)?;
    drop_waiting(tx, user, now, &mut erased)?;
    Ok(erased)
}

pub(crate) const SUBSCRIPTIONS_OF: &str = r#"SELECT doc FROM user_subscriptions WHERE "userId" = ?1"#;

/// Cancels what runs, and removes the proofs. Answers all of the user's subscriptions.
fn erase_subscriptions(
    tx: &WriterTransaction<'_>,
    user: UserId,
    now: Time,
    erased: &mut ErasureOutcome,
) -> SqliteResult<Vec<ObjectId>> {
    let mut ids = Vec::new();
    for bytes in tx.rows.all(SUBSCRIPTIONS_OF, [IdBlob::from(user)], |row| Ok(row.get::<_, DocumentBytes>(0)?))? {
        let subscription = crate::engine::rows::unpack(Collection::UserSubscriptions, &bytes)?;
        let Ok(id) = subscription.get_object_id("_id") else { continue };
        ids.push(id);
        if let Some(change) = erasure::of_subscription(&subscription, now) {
            erased.subscriptions_cancelled += u64::from(erasure::ends_with_its_person(&subscription));
            tx.rows.edit(Collection::UserSubscriptions, &bytes, &edit_for(change))?;
            note_change(tx, Collection::UserSubscriptions, id)?;
        }
    }
    Ok(ids)
}

pub(crate) const RECORDS_OF: &str = r#"SELECT doc FROM audit_log WHERE "documentId" = ?1"#;

/// Takes the person from the records of acts about a document; answers from how many.
fn clean_records(rows: RowAccess<'_>, about: ObjectId) -> SqliteResult<u64> {
    let mut cleaned = 0;
    for bytes in rows.all(RECORDS_OF, [IdBlob(about.bytes())], |row| Ok(row.get::<_, DocumentBytes>(0)?))? {
        let entry = crate::engine::rows::unpack(Collection::AuditLog, &bytes)?;
        let mut edit = RawEdit::new();
        let mut changes = false;
        for field in ["before", "after"] {
            if let Some(record) = entry.get_document(field).ok().and_then(erasure::of_record) {
                edit.set(field, record);
                changes = true;
            }
        }
        if changes {
            rows.edit(Collection::AuditLog, &bytes, &edit)?;
            cleaned += 1;
        }
    }
    Ok(cleaned)
}

pub(crate) const ANSWERS_ABOUT: &str = r#"SELECT doc FROM idempotency_keys WHERE "userId" = ?1"#;

/// Takes from the answers kept for repeated requests what they tell of a person; answers from how many.
fn clean_answers(rows: RowAccess<'_>, user: UserId) -> SqliteResult<u64> {
    let mut cleaned = 0;
    for bytes in rows.all(ANSWERS_ABOUT, [IdBlob::from(user)], |row| Ok(row.get::<_, DocumentBytes>(0)?))? {
        let record = crate::engine::rows::unpack(Collection::IdempotencyKeys, &bytes)?;
        if let Some(change) = erasure::of_answer(&record) {
            rows.edit(Collection::IdempotencyKeys, &bytes, &edit_for(change))?;
            cleaned += 1;
        }
    }
    Ok(cleaned)
}

pub(crate) const WITH_RECIPIENT: &str = r#"SELECT doc, "_id" FROM deliveries WHERE "userId" = ?1 AND "to" <> 'erased'"#;

/// Drops what waits, and takes the recipient from it and from what has ended since.
fn drop_waiting(tx: &WriterTransaction<'_>, user: UserId, now: Time, erased: &mut ErasureOutcome) -> SqliteResult<()> {
    let found = tx.rows.documents(Collection::Deliveries, WITH_RECIPIENT, [IdBlob::from(user)], with_id)?;
    let of_deliveries = erase_deliveries(tx, user, found, now)?;
    *erased = ErasureOutcome {
        deliveries_cleaned: of_deliveries.deliveries_cleaned,
        deliveries_dropped: of_deliveries.deliveries_dropped,
        settle: of_deliveries.settle,
        ..std::mem::take(erased)
    };
    Ok(())
}
