//! The rows of alerts, of which some are only in the intake log as yet: whoever writes something about an alert gives it
//! its row, and its keys theirs, in the same transaction.

use std::sync::Arc;

use alertcast_core::alert::document::AlertStatus;
use alertcast_core::id::AlertId;
use alertcast_core::store::Collection;
use bson::oid::ObjectId;

use crate::engine::intake_log::keys::insert_claims;
use crate::engine::intake_log::{AcceptedRecord, UnappliedAlert, alert_of};
use crate::engine::raw::{self, RawEdit, RawValue};
use crate::engine::rows::{DocumentBytes, RowAccess};
use crate::engine::writer::WriterTransaction;
use crate::error::SqliteResult;

/// So many alerts of the log get their rows at once, so that what else is to be written does not wait for all of them.
pub(crate) const ROWS_AT_ONCE: usize = 128;

/// An alert as it stands, in its row or in the log.
#[derive(Debug)]
pub(crate) struct AlertRow {
    pub(crate) document: DocumentBytes,
    /// Where it has no row.
    in_log: Option<Arc<UnappliedAlert>>,
}

/// The alert with this id.
pub(crate) fn find(tx: &WriterTransaction<'_>, id: AlertId) -> SqliteResult<Option<AlertRow>> {
    if let Some(document) = tx.rows.find(Collection::Alerts, id)? {
        return Ok(Some(AlertRow { document, in_log: None }));
    }
    Ok(tx.find_in_log(id).map(|alert| AlertRow { document: alert.record.document.clone(), in_log: Some(alert) }))
}

impl AlertRow {
    /// Writes the alert with changes.
    pub(crate) fn edit(&self, tx: &WriterTransaction<'_>, edit: &RawEdit) -> SqliteResult<()> {
        let new = match &self.in_log {
            None => tx.rows.edit(Collection::Alerts, &self.document, edit)?,
            Some(alert) => {
                let new = edit.apply(&self.document)?;
                tx.rows.insert(Collection::Alerts, &new)?;
                insert_claims(tx.rows, &alert.record.claims, alert.alert.id)?;
                tx.note_effects(|effects| effects.applied.push(alert.alert.id));
                new
            }
        };
        if is_pending(&new)? {
            tx.note_effects(|effects| effects.pending = true);
        }
        Ok(())
    }
}

/// Whether an alert waits for the processor, or is in its hands.
pub(crate) fn is_pending(alert: &[u8]) -> SqliteResult<bool> {
    let status = raw::lookup(alert, "processing.status")?.and_then(RawValue::as_str).and_then(AlertStatus::from_exact);
    Ok(matches!(status, Some(AlertStatus::Received | AlertStatus::Processing)))
}

/// Gives alerts of the log their rows, as they were received. One that has a row keeps it.
pub(crate) fn store(tx: &WriterTransaction<'_>, alerts: &[Arc<UnappliedAlert>]) -> SqliteResult<()> {
    for alert in alerts {
        insert(tx.rows, &alert.record, alert.alert.id)?;
    }
    tx.note_effects(|effects| {
        effects.applied.extend(alerts.iter().map(|alert| alert.alert.id));
        effects.pending = true;
    });
    Ok(())
}

/// Gives an alert its row, where it is in the log alone.
pub(crate) fn store_one(tx: &WriterTransaction<'_>, id: ObjectId) -> SqliteResult<()> {
    tx.find_in_log(AlertId(id)).map_or(Ok(()), |alert| store(tx, &[alert]))
}

fn insert(rows: RowAccess<'_>, record: &AcceptedRecord, id: AlertId) -> SqliteResult<()> {
    if rows.insert_missing(Collection::Alerts, &record.document)? {
        insert_claims(rows, &record.claims, id)?;
    }
    Ok(())
}

/// Notes that an alert is being deleted which the log may have still: it does not come back from there. Its keys stay.
pub(crate) fn note_deleted(tx: &WriterTransaction<'_>, alert: &[u8]) -> SqliteResult<()> {
    tx.rows.run("INSERT OR IGNORE INTO intake_deleted (seq) VALUES (?1)", [raw::counter(alert, "alertcast.seq")?])?;
    Ok(())
}

/// Deletes an alert that is in the log alone, where there is one.
pub(crate) fn delete_from_log(tx: &WriterTransaction<'_>, id: ObjectId) -> SqliteResult<()> {
    let Some(alert) = tx.find_in_log(AlertId(id)) else { return Ok(()) };
    note_deleted(tx, &alert.record.document)?;
    insert_claims(tx.rows, &alert.record.claims, alert.alert.id)?;
    tx.note_effects(|effects| effects.applied.push(alert.alert.id));
    Ok(())
}

/// Brings what the log holds into the database, at the start: what has a row has been brought before.
pub(crate) fn replay(rows: RowAccess<'_>, records: &[AcceptedRecord]) -> SqliteResult<()> {
    for record in records {
        if !rows.any("SELECT 1 FROM intake_deleted WHERE seq = ?1", [record.seq])? {
            insert(rows, record, alert_of(record)?)?;
        }
    }
    Ok(())
}

/// Forgets which alerts were deleted: nothing of the log is read again.
pub(crate) fn forget_deleted(rows: RowAccess<'_>) -> SqliteResult<()> {
    if rows.any("SELECT 1 FROM intake_deleted", [])? {
        rows.run("DELETE FROM intake_deleted", [])?;
    }
    Ok(())
}
