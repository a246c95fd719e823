//! The webhook's port: accepting, refusing, and what the rules need to know of earlier alerts.

use alertcast_core::alert::document::{Alert, PricePoint};
use alertcast_core::id::{AlertId, ConfigId};
use alertcast_core::money::Price;
use alertcast_core::store::{
    AlertAcceptance, AlertIntake, Collection, IntakeKey, OperatorNotice, RejectedWebhook, StoreResult, partition_of,
};
use alertcast_core::time::Time;
use async_trait::async_trait;
use serde::Serialize;

use crate::engine::failpoints::WriteOperation;
use crate::engine::intake_log::prices::{AlertPrice, PRICE_TOLERANCE, RECENT_PRICES};
use crate::engine::notices::{self, ReadyNotice};
use crate::engine::queue::JobPriority;
use crate::engine::raw::{self, RawValue};
use crate::engine::rows::{IdBlob, RowAccess, blob, encode};
use crate::engine::writer::WriterTransaction;
use crate::error::SqliteResult;
use crate::store::SqliteStore;

#[async_trait]
impl AlertIntake for SqliteStore {
    async fn receipt_mark(&self, _config: ConfigId) -> StoreResult<i64> {
        // One order for all configurations.
        Ok(self.log.mark())
    }

    async fn recent_prices(&self, config: ConfigId, since: Time) -> StoreResult<Vec<PricePoint>> {
        match self.log.recent_prices(config, since) {
            Ok(prices) => Ok(prices),
            Err(load) => {
                let loaded = self.read_for_intake(move |rows| recent_prices(rows, config, since)).await?;
                Ok(self.log.end_load(load, loaded))
            }
        }
    }

    async fn find_duplicate(&self, keys: &[IntakeKey], now: Time) -> StoreResult<Option<AlertId>> {
        Ok(self.log.holder(keys, now))
    }

    async fn accept_alert(&self, mut alert: Alert, keys: Vec<IntakeKey>, now: Time) -> StoreResult<AlertAcceptance> {
        let partition = alert.processing.alert_config_id.map(partition_of);
        alert.alertcast.partition = alert.alertcast.partition.or(partition);
        let document = encode(&alert)?;
        if !self.log.has_room() {
            self.make_room_in_log().await?;
        }
        self.log.append(alert, document, &keys, now).await
    }

    async fn refuse_alert(&self, alert: Alert, notices: Vec<OperatorNotice>) -> StoreResult<()> {
        let price = AlertPrice::of(&alert);
        self.keep_refusal(WriteOperation::Refuse, Collection::Alerts, &alert, notices, move |tx| {
            tx.note_effects(|effects| effects.prices.extend(price));
        })
        .await
    }

    async fn reject_webhook(&self, rejected: RejectedWebhook, notices: Vec<OperatorNotice>) -> StoreResult<()> {
        self.keep_refusal(WriteOperation::Reject, Collection::RejectedWebhooks, &rejected, notices, |_| ()).await
    }
}

impl SqliteStore {
    /// Keeps what was turned away, and tells the operators. `also`: what goes with it where it was not kept before.
    async fn keep_refusal<T: Serialize + Sync>(
        &self,
        op: WriteOperation,
        collection: Collection,
        refused: &T,
        notices: Vec<OperatorNotice>,
        also: impl FnOnce(&WriterTransaction<'_>) + Send + 'static,
    ) -> StoreResult<()> {
        let document = encode(refused)?;
        let notices = notices::ready(notices)?;
        self.write(JobPriority::Intake, op, move |tx| {
            if keep_once(tx.rows, collection, &document, &notices)? {
                also(tx);
            }
            Ok(())
        })
        .await
    }
}

/// Keeps a document and gives its notices, unless that has been done; answers whether it did.
fn keep_once(
    rows: RowAccess<'_>,
    collection: Collection,
    document: &[u8],
    notices: &[ReadyNotice],
) -> SqliteResult<bool> {
    let is_new = rows.insert_missing(collection, document)?;
    if is_new {
        notices::give(rows, notices)?;
    }
    Ok(is_new)
}

pub(crate) const PRICES: &str = r#"SELECT doc FROM alerts
    WHERE "processing.alertConfigId" = ?1 AND "webhook.receivedAt" >= ?2 AND "alertData.signal" IN ('BUY', 'SELL')
    ORDER BY "webhook.receivedAt" DESC"#;

fn recent_prices(rows: RowAccess<'_>, config: ConfigId, since: Time) -> SqliteResult<Vec<AlertPrice>> {
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
fn price_point(alert: &[u8]) -> SqliteResult<Option<AlertPrice>> {
    let mut refused_for = Vec::new();
    for code in raw::lookup(alert, "alertcast.refusedFor")?.map(RawValue::items).into_iter().flatten() {
        refused_for.push(code?.value.as_str());
    }
    if !matches!(refused_for[..], [] | [Some(PRICE_TOLERANCE)]) {
        return Ok(None);
    }
    let number = raw::lookup(alert, "alertData.price")?.and_then(RawValue::as_f64);
    let at = raw::lookup(alert, "webhook.receivedAt")?.and_then(RawValue::as_time);
    let price = number.and_then(|number| Price::from_f64(number).ok());
    let id = raw::lookup(alert, "_id")?.and_then(RawValue::as_id);
    let point = price.zip(at).map(|(price, at)| PricePoint { price, at, accepted: refused_for.is_empty() });
    Ok(point.zip(id).map(|(point, id)| AlertPrice { alert: AlertId(id), point }))
}
