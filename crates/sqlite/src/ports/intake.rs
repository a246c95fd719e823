//! The webhook's port: accepting, refusing, and what the rules need to know of earlier alerts.

use std::sync::atomic::Ordering;

use alertcast_core::alert::document::{Alert, PricePoint};
use alertcast_core::id::{AlertId, ConfigId};
use alertcast_core::money::{Count, Price};
use alertcast_core::store::{
    AlertAcceptance, AlertIntake, Collection, IntakeKey, OperatorNotice, RejectedWebhook, StoreResult, partition_of,
};
use alertcast_core::time::Time;
use async_trait::async_trait;
use bson::doc;
use serde::Serialize;

use crate::engine::failpoints::WriteOperation;
use crate::engine::notices::{self, ReadyNotice};
use crate::engine::queue::JobPriority;
use crate::engine::raw::{self, RawEdit, RawValue};
use crate::engine::rows::{DocumentBytes, IdBlob, RowAccess, RowId, blob, encode, pack};
use crate::engine::writer::WriterTransaction;
use crate::error::{SqliteError, SqliteResult};
use crate::store::SqliteStore;

/// How many prices of the past a new one is held against.
const RECENT_PRICES: usize = 8;

#[async_trait]
impl AlertIntake for SqliteStore {
    async fn receipt_mark(&self, _config: ConfigId) -> StoreResult<i64> {
        // One order for all configurations.
        Ok(self.seq_committed.load(Ordering::Acquire))
    }

    async fn recent_prices(&self, config: ConfigId, since: Time) -> StoreResult<Vec<PricePoint>> {
        self.read_for_intake(move |rows| recent_prices(rows, config, since)).await
    }

    async fn find_duplicate(&self, keys: &[IntakeKey], now: Time) -> StoreResult<Option<AlertId>> {
        let keys = keys.to_vec();
        self.read_for_intake(move |rows| holder(rows, &keys, now)).await
    }

    async fn accept_alert(&self, mut alert: Alert, keys: Vec<IntakeKey>, now: Time) -> StoreResult<AlertAcceptance> {
        let partition = alert.processing.alert_config_id.map(partition_of);
        alert.alertcast.partition = alert.alertcast.partition.or(partition);
        let document = encode(&alert)?;
        let id = alert.id;
        self.write(JobPriority::Intake, WriteOperation::Accept, move |tx| accept(tx, id, &document, &keys, now)).await
    }

    async fn refuse_alert(&self, alert: Alert, notices: Vec<OperatorNotice>) -> StoreResult<()> {
        self.keep_refusal(WriteOperation::Refuse, Collection::Alerts, &alert, notices).await
    }

    async fn reject_webhook(&self, rejected: RejectedWebhook, notices: Vec<OperatorNotice>) -> StoreResult<()> {
        self.keep_refusal(WriteOperation::Reject, Collection::RejectedWebhooks, &rejected, notices).await
    }
}

impl SqliteStore {
    /// Keeps what was turned away, and tells the operators.
    async fn keep_refusal<T: Serialize + Sync>(
        &self,
        op: WriteOperation,
        collection: Collection,
        refused: &T,
        notices: Vec<OperatorNotice>,
    ) -> StoreResult<()> {
        let document = encode(refused)?;
        let notices = notices::ready(notices)?;
        self.write(JobPriority::Intake, op, move |tx| keep_once(tx.rows, collection, &document, &notices)).await
    }
}

fn accept(
    tx: &WriterTransaction<'_>,
    id: AlertId,
    document: &[u8],
    keys: &[IntakeKey],
    now: Time,
) -> SqliteResult<AlertAcceptance> {
    if let Some(of) = holder(tx.rows, keys, now)? {
        return Ok(AlertAcceptance::Duplicate { of });
    }
    if tx.rows.exists(Collection::Alerts, id)? {
        // Offered again by a caller that had no answer.
        return Ok(AlertAcceptance::Stored);
    }
    let mut seq = RawEdit::new();
    seq.set("alertcast.seq", Count(tx.next_seq()));
    tx.rows.insert(Collection::Alerts, &seq.apply(document)?)?;
    for key in keys {
        claim(tx.rows, key, id)?;
    }
    Ok(AlertAcceptance::Stored)
}

pub(crate) const HOLDER: &str = r#"SELECT doc FROM intake_keys WHERE "_id" = ?1 AND until > ?2"#;

/// The alert that holds one of the keys at `now`.
fn holder(rows: RowAccess<'_>, keys: &[IntakeKey], now: Time) -> SqliteResult<Option<AlertId>> {
    for key in keys {
        let params = (key.key.as_str(), now.millis());
        let held = rows.one(HOLDER, params, |row| Ok(row.get::<_, DocumentBytes>(0)?))?;
        if let Some(held) = held {
            let id = raw::lookup(&held, "alertId")?.and_then(RawValue::as_id);
            return id
                .map(|id| Some(AlertId(id)))
                .ok_or_else(|| SqliteError::corrupt("intake_keys: a key without an alert"));
        }
    }
    Ok(None)
}

/// Takes a key that is free, or whose time is over.
fn claim(rows: RowAccess<'_>, key: &IntakeKey, alert: AlertId) -> SqliteResult<()> {
    let document = pack(&doc! { "_id": &key.key, "alertId": alert.0, "until": key.until })?;
    rows.delete(Collection::IntakeKeys, RowId::Text(&key.key))?;
    rows.insert(Collection::IntakeKeys, &document)
}

/// Keeps a document and gives its notices, unless that has been done.
fn keep_once(
    rows: RowAccess<'_>,
    collection: Collection,
    document: &[u8],
    notices: &[ReadyNotice],
) -> SqliteResult<()> {
    if rows.insert_missing(collection, document)? {
        notices::give(rows, notices)?;
    }
    Ok(())
}

pub(crate) const PRICES: &str = r#"SELECT doc FROM alerts
    WHERE "processing.alertConfigId" = ?1 AND "webhook.receivedAt" >= ?2 AND "alertData.signal" IN ('BUY', 'SELL')
    ORDER BY "webhook.receivedAt" DESC"#;

fn recent_prices(rows: RowAccess<'_>, config: ConfigId, since: Time) -> SqliteResult<Vec<PricePoint>> {
    let mut statement = rows.conn().prepare_cached(PRICES)?;
    let mut found = statement.query((IdBlob::from(config), since.millis()))?;
    let mut prices = Vec::new();
    while let Some(row) = found.next()? {
        prices.extend(price_point(blob(row, 0)?)?);
        if prices.len() == RECENT_PRICES {
            break;
        }
    }
    Ok(prices)
}

/// None for an alert that was refused for more than its price, or whose price cannot be read.
fn price_point(alert: &[u8]) -> SqliteResult<Option<PricePoint>> {
    let mut refused_for = Vec::new();
    for code in raw::lookup(alert, "alertcast.refusedFor")?.map(RawValue::items).into_iter().flatten() {
        refused_for.push(code?.value.as_str());
    }
    if !matches!(refused_for[..], [] | [Some("price_tolerance")]) {
        return Ok(None);
    }
    let number = raw::lookup(alert, "alertData.price")?.and_then(RawValue::as_f64);
    let at = raw::lookup(alert, "webhook.receivedAt")?.and_then(RawValue::as_time);
    let price = number.and_then(|number| Price::from_f64(number).ok());
    Ok(price.zip(at).map(|(price, at)| PricePoint { price, at, accepted: refused_for.is_empty() }))
}
