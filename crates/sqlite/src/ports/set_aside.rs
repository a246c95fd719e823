//! What cannot be read is set aside alone, by its fields and columns.

use alertcast_core::alert::document::{Alert, AlertError, AlertStatus};
use alertcast_core::delivery::{Delivery, DeliveryState};
use alertcast_core::quota::Quota;
use alertcast_core::reading::{UnreadableDocument, UnreadableLog, read_bytes, unpack};
use alertcast_core::store::{Collection, SetAsideDocuments, StoreResult};
use alertcast_core::time::Time;
use async_trait::async_trait;
use bson::oid::ObjectId;

use crate::engine::alert_rows;
use crate::engine::failpoints::WriteOperation;
use crate::engine::queue::JobPriority;
use crate::engine::raw::{self, RawEdit, RawValue};
use crate::engine::rows::{IdBlob, RowAccess, blob};
use crate::error::SqliteResult;
use crate::ports::documents::bound_limit;
use crate::ports::work::{encode_all, push_errors};
use crate::store::SqliteStore;

#[async_trait]
impl SetAsideDocuments for SqliteStore {
    fn unreadables(&self) -> &UnreadableLog {
        &self.unreadables
    }

    async fn stray_alerts(&self, limit: usize) -> StoreResult<Vec<UnreadableDocument>> {
        self.read(move |rows| {
            let found = rows.all(STRAY_ALERTS, [bound_limit(limit)], |row| Ok(stray_alert(blob(row, 0)?)))?;
            Ok(found.into_iter().flatten().collect())
        })
        .await
    }

    async fn set_aside(&self, what: &UnreadableDocument, at: Time, tell: Vec<Delivery>) -> StoreResult<()> {
        let what = what.clone();
        let tell = encode_all(&tell)?;
        self.write(JobPriority::Short, WriteOperation::Failure, move |tx| {
            if let Some(id) = what.object_id() {
                alert_rows::store_one(tx, id)?;
                set_aside(tx.rows, &what, id, at)?;
            }
            tx.rows.insert_all_missing(Collection::Deliveries, tell.iter().map(Vec::as_slice))?;
            Ok(())
        })
        .await
    }
}

/// Those with one of the words have nothing to do with it: they are passed over by ranges of the index, and nothing else
/// (`+`) is gone by.
pub(crate) const STRAY_ALERTS: &str = r#"SELECT doc FROM alerts
    WHERE ("processing.status" IS NULL OR "processing.status" < 'failed'
        OR ("processing.status" > 'failed' AND "processing.status" < 'processed')
        OR ("processing.status" > 'processed' AND "processing.status" < 'processing')
        OR ("processing.status" > 'processing' AND "processing.status" < 'received') OR "processing.status" > 'received')
    AND +"alertcast.seq" > 0 LIMIT ?1"#;

/// Such an alert as one that cannot be read: none where its bytes are damaged.
fn stray_alert(bytes: &[u8]) -> Option<UnreadableDocument> {
    let document = unpack(Collection::Alerts, bytes).ok()?;
    Some(UnreadableDocument::stray_alert(&document))
}

fn set_aside(rows: RowAccess<'_>, what: &UnreadableDocument, id: ObjectId, at: Time) -> SqliteResult<()> {
    let Some(bytes) = rows.find(what.collection, id)? else { return Ok(()) };
    match what.collection {
        Collection::Alerts => park_alert(rows, &bytes, what, id, at),
        Collection::Deliveries if read_bytes::<Delivery>(what.collection, &bytes).is_err() => {
            end_delivery(rows, &bytes, what, at)
        }
        Collection::Quotas if read_bytes::<Quota>(what.collection, &bytes).is_err() => rows.delete(what.collection, id),
        _ => Ok(()),
    }
}

fn park_alert(
    rows: RowAccess<'_>,
    bytes: &[u8],
    what: &UnreadableDocument,
    id: ObjectId,
    at: Time,
) -> SqliteResult<()> {
    let Ok(standing) = standing_of(bytes) else {
        // Damaged bytes bear no change: what is looked for by is the column.
        let sql = r#"UPDATE alerts SET "processing.status" = ?2 WHERE "_id" = ?1"#;
        return rows.run(sql, (IdBlob(id.bytes()), AlertStatus::Failed.as_str())).map(drop);
    };
    let status = match standing {
        AlertProgress::Waits if read_bytes::<Alert>(what.collection, bytes).is_err() => AlertStatus::Failed,
        AlertProgress::Strays { processed: true } => AlertStatus::Processed,
        AlertProgress::Strays { processed: false } => AlertStatus::Failed,
        AlertProgress::Waits | AlertProgress::Done => return Ok(()),
    };
    let error = AlertError::new(format!("cannot be read: {}", what.cause), at);
    let mut edit = RawEdit::new();
    push_errors(&mut edit, bytes, std::slice::from_ref(&error))?;
    edit.set("processing.status", status);
    edit.set("updatedAt", at);
    rows.edit(Collection::Alerts, bytes, &edit).map(drop)
}

/// Where an alert stands.
enum AlertProgress {
    Waits,
    Done,
    /// Something else stands in the place of its status.
    Strays {
        processed: bool,
    },
}

fn standing_of(alert: &[u8]) -> SqliteResult<AlertProgress> {
    let status = raw::lookup(alert, "processing.status")?.and_then(RawValue::as_str).and_then(AlertStatus::from_exact);
    Ok(match status {
        Some(AlertStatus::Received | AlertStatus::Processing) => AlertProgress::Waits,
        Some(AlertStatus::Processed | AlertStatus::Failed) => AlertProgress::Done,
        // One that was not accepted here is somebody else's.
        None if raw::counter(alert, "alertcast.seq")? <= 0 => AlertProgress::Done,
        None => {
            let processed_at = raw::lookup(alert, "webhook.processedAt")?.and_then(RawValue::as_time);
            AlertProgress::Strays { processed: processed_at.is_some() }
        }
    })
}

/// Ends a delivery without reading it: nothing is taken back for it, for it may have arrived.
pub(crate) fn end_delivery(rows: RowAccess<'_>, bytes: &[u8], what: &UnreadableDocument, at: Time) -> SqliteResult<()> {
    let state = raw::lookup(bytes, "state");
    let Ok(state) = state.map(|state| state.and_then(RawValue::as_str).and_then(DeliveryState::from_exact)) else {
        let Some(id) = what.object_id() else { return Ok(()) };
        let sql = r#"UPDATE deliveries SET "state" = ?2 WHERE "_id" = ?1"#;
        return rows.run(sql, (IdBlob(id.bytes()), DeliveryState::Dead.as_str())).map(drop);
    };
    if state.is_some_and(DeliveryState::is_ended) {
        return Ok(());
    }
    let mut edit = RawEdit::new();
    edit.set("state", DeliveryState::Dead);
    edit.set("lastError", format!("cannot be read: {}", what.cause));
    edit.set("endedAt", at);
    edit.set("updatedAt", at);
    edit.unset("epoch");
    rows.edit(Collection::Deliveries, bytes, &edit).map(drop)
}
