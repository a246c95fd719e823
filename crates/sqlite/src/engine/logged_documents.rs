//! Documents of the intake log among those of a table: whoever reads by id, in the order of ids, or counts, sees both as
//! one. The log is to be looked at before the table: what is in both counts as the table has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use alertcast_core::store::Collection;
use bson::oid::ObjectId;
use rusqlite::types::Value;

use crate::engine::intake_log::{AcceptedRecord, UnappliedAlert, alert_of};
use crate::engine::raw::{self, RawValue};
use crate::engine::rows::{DocumentBytes, RowAccess, whole};
use crate::engine::schema::table;
use crate::error::SqliteResult;
use crate::ports::documents::bound_limit;

/// Documents that a table may not have.
#[derive(Debug, Default)]
pub(crate) struct LoggedDocuments {
    by_id: BTreeMap<ObjectId, LoggedDocument>,
}

#[derive(Debug)]
enum LoggedDocument {
    Unapplied(Arc<UnappliedAlert>),
    Read(AcceptedRecord),
}

impl LoggedDocument {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Unapplied(alert) => &alert.record.document,
            Self::Read(record) => &record.document,
        }
    }
}

impl LoggedDocuments {
    pub(crate) fn of_alerts(alerts: Vec<Arc<UnappliedAlert>>) -> Self {
        let by_id = alerts.into_iter().map(|alert| (alert.alert.id.0, LoggedDocument::Unapplied(alert)));
        Self { by_id: by_id.collect() }
    }

    /// Those of records that were read from the files.
    pub(crate) fn of_records(records: Vec<AcceptedRecord>) -> SqliteResult<Self> {
        let by_id = records.into_iter().map(|record| Ok((alert_of(&record)?.0, LoggedDocument::Read(record))));
        Ok(Self { by_id: by_id.collect::<SqliteResult<_>>()? })
    }

    /// The document with this id.
    pub(crate) fn find(&self, id: ObjectId) -> Option<&[u8]> {
        self.by_id.get(&id).map(LoggedDocument::bytes)
    }

    /// The next documents above `after`, by id.
    pub(crate) fn page(
        &self,
        rows: RowAccess<'_>,
        collection: Collection,
        after: Option<ObjectId>,
        limit: usize,
    ) -> SqliteResult<Vec<DocumentBytes>> {
        // Below every id of whatever type.
        let above = after.map_or(Value::Integer(i64::MIN), |id| Value::Blob(id.bytes().to_vec()));
        let sql = &table(collection).page;
        let mut page =
            rows.documents(collection, sql, (above, bound_limit(limit)), |_, document| Ok(document.to_vec()))?;
        let missing = self.by_id.iter().filter(|(id, _)| after.is_none_or(|after| **id > after)).take(limit);
        let mut logged = Vec::new();
        for (id, document) in missing {
            if !rows.exists(collection, *id)? {
                logged.push(document.bytes().to_vec());
            }
        }
        if !logged.is_empty() {
            page.extend(logged);
            page.sort_by_cached_key(|document| raw::lookup(document, "_id").ok().flatten().and_then(RawValue::as_id));
            page.truncate(limit);
        }
        Ok(page)
    }

    /// How many documents there are.
    pub(crate) fn count(&self, rows: RowAccess<'_>, collection: Collection) -> SqliteResult<u64> {
        let count = rows.one(&table(collection).count, [], |row| whole(row, 0))?;
        let mut all = u64::try_from(count.unwrap_or(0)).unwrap_or(0);
        for id in self.by_id.keys() {
            all += u64::from(!rows.exists(collection, *id)?);
        }
        Ok(all)
    }
}
