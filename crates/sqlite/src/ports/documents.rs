//! Documents as such: read by id, in order, by a unique field; written all or nothing, with unique fields, references
//! and the change log kept.

pub(crate) mod list;

use std::ops::ControlFlow;

use alertcast_core::decision::DecisionChunk;
use alertcast_core::delivery::{CauseKind, Delivery};
use alertcast_core::id::{AlertId, ConfigId, UserId};
use alertcast_core::store::collection::FieldReference;
use alertcast_core::store::{
    AudienceChange, Collection, DocumentStore, DocumentWrite, ListPage, ListQuery, OpenTrades, PROFILE_FIELDS,
    StoreError, StoreResult, secret, secret_key,
};
use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

use crate::engine::alert_rows;
use crate::engine::failpoints::WriteOperation;
use crate::engine::logged_documents::LoggedDocuments;
use crate::engine::queue::JobPriority;
use crate::engine::raw::{self, RawEdit, RawValue};
use crate::engine::rows::{DocumentBytes, IdBlob, RowAccess, RowId, blob, decode, pack, unpack};
use crate::engine::schema::table;
use crate::engine::writer::WriterTransaction;
use crate::error::{SqliteError, SqliteResult};
use crate::store::SqliteStore;

/// More writes than this at once wait behind the short operations.
const SHORT_WRITES_MAX: usize = 200;

#[async_trait]
impl DocumentStore for SqliteStore {
    async fn setup(&self) -> StoreResult<()> {
        self.write(JobPriority::Short, WriteOperation::Write, |tx| crate::engine::migrate::reconcile(tx.rows.conn()))
            .await
    }

    async fn get(&self, collection: Collection, ids: &[ObjectId]) -> StoreResult<Vec<Document>> {
        let ids = ids.to_vec();
        let is_of_log = collection == Collection::Alerts;
        let in_log = ids.iter().filter(|_| is_of_log).filter_map(|id| self.log.find(AlertId(*id))).collect();
        let in_log = LoggedDocuments::of_alerts(in_log);
        self.read(move |rows| {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                match rows.find(collection, id)? {
                    Some(document) => found.push(unpack(collection, &document)?),
                    None => found.extend(in_log.find(id).map(|document| unpack(collection, document)).transpose()?),
                }
            }
            Ok(found)
        })
        .await
    }

    async fn page_bytes(
        &self,
        collection: Collection,
        after: Option<ObjectId>,
        limit: usize,
    ) -> StoreResult<Vec<DocumentBytes>> {
        let in_log = self.in_log(collection);
        self.read(move |rows| in_log.page(rows, collection, after, limit)).await
    }

    async fn find_unique(&self, collection: Collection, fields: &[(&str, Bson)]) -> StoreResult<Option<Document>> {
        collection.check_unique_by(fields)?;
        self.make_rows_of(collection).await?;
        let terms: Vec<String> =
            fields.iter().enumerate().map(|(at, (f, _))| format!(r#""{f}" = ?{}"#, at + 1)).collect();
        let sql = format!("SELECT doc FROM {} WHERE {}", collection.name(), terms.join(" AND "));
        let values: Vec<rusqlite::types::Value> = fields.iter().map(|(_, value)| raw::sql_value(value)).collect();
        self.read(move |rows| {
            let found = rows.documents(collection, &sql, rusqlite::params_from_iter(values), |_, document| {
                unpack(collection, document)
            });
            Ok(found?.into_iter().next())
        })
        .await
    }

    async fn find_profile(&self, telegram_user_id: &str) -> StoreResult<Option<Document>> {
        let found = self.find_unique(Collection::Users, &[("telegram.userId", telegram_user_id.into())]).await?;
        let is_told = |name: &str| name == "_id" || PROFILE_FIELDS.contains(&name);
        Ok(found.map(|user| user.into_iter().filter(|(name, _)| is_told(name)).collect()))
    }

    async fn open_trades_by_config(&self, user: UserId) -> StoreResult<Vec<OpenTrades>> {
        self.read(move |rows| open_trades_by_config(rows, user)).await
    }

    async fn list(&self, query: &ListQuery) -> StoreResult<ListPage> {
        self.make_rows_of(query.collection).await?;
        let query = query.clone();
        self.read(move |rows| crate::ports::documents::list::list(rows, &query)).await
    }

    async fn count(&self, collection: Collection) -> StoreResult<u64> {
        if collection == Collection::IntakeKeys {
            return Ok(self.log.count_keys());
        }
        let in_log = self.in_log(collection);
        self.read(move |rows| in_log.count(rows, collection)).await
    }

    async fn write(&self, writes: Vec<DocumentWrite>) -> StoreResult<()> {
        let lane = if writes.len() > SHORT_WRITES_MAX { JobPriority::Bulk } else { JobPriority::Short };
        let writes = ready(writes)?;
        SqliteStore::write(self, lane, WriteOperation::Write, move |tx| apply_all(tx, &writes)).await
    }

    async fn changes_since(&self, seq: i64, limit: usize) -> StoreResult<Vec<AudienceChange>> {
        if seq >= self.change_committed.load(std::sync::atomic::Ordering::Acquire) {
            return Ok(Vec::new());
        }
        // An entry that cannot be read tells of nothing.
        let changes =
            self.read(move |rows| rows.all(CHANGES, (seq, bound_limit(limit)), |row| Ok(change(blob(row, 0)?).ok())));
        Ok(changes.await?.into_iter().flatten().collect())
    }

    async fn last_change(&self) -> StoreResult<i64> {
        self.read(|rows| {
            let last = rows.one(LAST_CHANGE, [], |row| crate::engine::rows::whole(row, 0))?;
            Ok(last.unwrap_or(0))
        })
        .await
    }

    async fn first_change(&self) -> StoreResult<Option<i64>> {
        self.read(|rows| Ok(rows.one(FIRST_CHANGE, [], |row| Ok(row.get::<_, Option<i64>>(0)?))?.flatten())).await
    }

    async fn purge_changes(&self, seq: i64, limit: usize) -> StoreResult<bool> {
        let purge = move |tx: &WriterTransaction<'_>| tx.rows.run(PURGE_CHANGES, (seq, bound_limit(limit)));
        let removed = SqliteStore::write(self, JobPriority::Bulk, WriteOperation::Purge, purge).await?;
        Ok(limit > 0 && removed == limit)
    }

    async fn decisions(
        &self,
        alert: AlertId,
        after: Option<UserId>,
        limit_chunks: usize,
    ) -> StoreResult<Vec<DecisionChunk>> {
        self.read(move |rows| decisions(rows, alert, after, limit_chunks)).await
    }

    async fn deliveries_of(&self, alert: AlertId, after: Option<&[u8]>, limit: usize) -> StoreResult<Vec<Delivery>> {
        let after = after.map(<[u8]>::to_vec);
        self.read(move |rows| deliveries_of(rows, alert, after.as_deref(), limit)).await
    }

    async fn signing_key(&self, name: &str, fresh: [u8; 32]) -> StoreResult<[u8; 32]> {
        let name = name.to_owned();
        SqliteStore::write(self, JobPriority::Short, WriteOperation::Write, move |tx| signing_key(tx, &name, fresh))
            .await
    }
}

impl SqliteStore {
    /// What the intake log has of a collection, and its table may not have: to be taken before the table is read.
    fn in_log(&self, collection: Collection) -> LoggedDocuments {
        if collection == Collection::Alerts {
            LoggedDocuments::of_alerts(self.log.all())
        } else {
            LoggedDocuments::default()
        }
    }

    /// Sees that a collection's documents all have rows, by which they can be found.
    async fn make_rows_of(&self, collection: Collection) -> StoreResult<()> {
        if collection == Collection::Alerts { self.store_rows().await } else { Ok(()) }
    }
}

fn signing_key(tx: &WriterTransaction<'_>, name: &str, fresh: [u8; 32]) -> SqliteResult<[u8; 32]> {
    if let Some(kept) = tx.rows.find(Collection::Secrets, RowId::Text(name))? {
        return Ok(secret_key(&unpack(Collection::Secrets, &kept)?)?);
    }
    tx.rows.insert(Collection::Secrets, &pack(&secret(name, fresh))?)?;
    Ok(fresh)
}

pub(crate) const OPEN_BY_CONFIG: &str = r#"SELECT "alertConfigId", count(*) FROM trades
    WHERE "userId" = ?1 AND "status" = 'open' GROUP BY "alertConfigId" ORDER BY "alertConfigId""#;

fn open_trades_by_config(rows: RowAccess<'_>, user: UserId) -> SqliteResult<Vec<OpenTrades>> {
    let counts = rows.all(OPEN_BY_CONFIG, [IdBlob::from(user)], |row| {
        Ok((ConfigId(row.get::<_, IdBlob>(0)?.id()), crate::engine::rows::whole(row, 1)?))
    })?;
    let open = |(config, count): (ConfigId, i64)| {
        let kept = rows.find(Collection::AlertConfigurations, config.0)?;
        let document = kept.map(|kept| unpack(Collection::AlertConfigurations, &kept)).transpose()?;
        Ok(OpenTrades { config, count: count.unsigned_abs(), document })
    };
    counts.into_iter().map(open).collect()
}

pub(crate) const CHANGES: &str = r#"SELECT doc FROM changes WHERE "_id" > ?1 ORDER BY "_id" LIMIT ?2"#;

pub(crate) const LAST_CHANGE: &str = r#"SELECT max("_id") FROM changes"#;

pub(crate) const FIRST_CHANGE: &str = r#"SELECT min("_id") FROM changes"#;

/// The log's last number is read from its last entry.
pub(crate) const PURGE_CHANGES: &str = r#"DELETE FROM changes WHERE "_id" IN (
    SELECT "_id" FROM changes WHERE "_id" < ?1 AND "_id" < (SELECT max("_id") FROM changes) ORDER BY "_id" LIMIT ?2)"#;

pub(crate) fn bound_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn change(document: &[u8]) -> SqliteResult<AudienceChange> {
    let seq = raw::lookup(document, "_id")?.and_then(RawValue::as_i64);
    let collection = raw::lookup(document, "collection")?.and_then(RawValue::as_str).and_then(Collection::from_name);
    let id = raw::lookup(document, "id")?.and_then(RawValue::as_id);
    match (seq, collection, id) {
        (Some(seq), Some(collection), Some(id)) => Ok(AudienceChange { seq, collection, id }),
        _ => Err(SqliteError::corrupt("changes: an entry that cannot be read")),
    }
}

pub(crate) const DECISIONS: &str = r#"SELECT doc FROM decisions
    WHERE "alertId" = ?1 AND "firstUser" >= coalesce(
        (SELECT max("firstUser") FROM decisions WHERE "alertId" = ?1 AND "firstUser" <= ?2), x'')
    ORDER BY "firstUser""#;

/// Chunks that reach beyond `after`: the one that `after` lies in, where it goes on, then those behind it.
pub(crate) fn decisions(
    rows: RowAccess<'_>,
    alert: AlertId,
    after: Option<UserId>,
    limit: usize,
) -> SqliteResult<Vec<DecisionChunk>> {
    let after = after.unwrap_or(UserId::MIN);
    let mut statement = rows.conn().prepare_cached(DECISIONS)?;
    let mut found = statement.query((IdBlob::from(alert), IdBlob::from(after)))?;
    let mut chunks: Vec<DecisionChunk> = Vec::new();
    while chunks.len() < limit {
        let Some(row) = found.next()? else { break };
        let Ok(chunk) = decode::<DecisionChunk>(Collection::Decisions, blob(row, 0)?) else { continue };
        if chunk.last_user > after || after == UserId::MIN {
            chunks.push(chunk);
        }
    }
    Ok(chunks)
}

pub(crate) const DELIVERIES_OF: &str = "SELECT doc FROM deliveries WHERE key > ?1 AND key <= ?2 ORDER BY key";

/// The deliveries that an alert caused, in the order of their keys, which begin with the cause.
pub(crate) fn deliveries_of(
    rows: RowAccess<'_>,
    alert: AlertId,
    after: Option<&[u8]>,
    limit: usize,
) -> SqliteResult<Vec<Delivery>> {
    let mut first = vec![CauseKind::Alert as u8];
    first.extend_from_slice(&alert.bytes());
    let mut end = first.clone();
    // Behind every key that begins so: a key goes on for 26 bytes.
    end.extend_from_slice(&[0xff; 40]);
    let after = after.map_or(first.as_slice(), |after| after.max(first.as_slice()));
    let mut deliveries = Vec::new();
    rows.each_document(Collection::Deliveries, DELIVERIES_OF, (after, end.as_slice()), |_, document| {
        if deliveries.len() == limit {
            return Ok(ControlFlow::Break(()));
        }
        deliveries.extend(decode::<Delivery>(Collection::Deliveries, document));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(deliveries)
}

/// A write, made ready for the writer.
pub(crate) enum ReadyWrite {
    Insert(Collection, DocumentBytes),
    Update { collection: Collection, id: ObjectId, edit: RawEdit, expect: Vec<(String, Bson)> },
    Delete(Collection, ObjectId),
}

impl ReadyWrite {
    fn of(write: DocumentWrite) -> SqliteResult<Self> {
        Ok(match write {
            DocumentWrite::Insert { collection, document } => Self::Insert(collection, pack(&document)?),
            DocumentWrite::Update { collection, id, set, unset, expect } => {
                let mut edit = RawEdit::new();
                for (path, value) in set {
                    edit.set(path, value);
                }
                for path in unset {
                    edit.unset(path);
                }
                Self::Update { collection, id, edit, expect }
            }
            DocumentWrite::Delete { collection, id } => Self::Delete(collection, id),
        })
    }
}

/// Makes writes ready for the writer.
pub(crate) fn ready(writes: Vec<DocumentWrite>) -> SqliteResult<Vec<ReadyWrite>> {
    writes.into_iter().map(ReadyWrite::of).collect()
}

pub(crate) fn apply_all(tx: &WriterTransaction<'_>, writes: &[ReadyWrite]) -> SqliteResult<()> {
    writes.iter().try_for_each(|write| apply(tx, write))
}

fn apply(tx: &WriterTransaction<'_>, write: &ReadyWrite) -> SqliteResult<()> {
    match write {
        ReadyWrite::Insert(collection, document) => insert(tx, *collection, document),
        ReadyWrite::Update { collection, id, edit, expect } => update(tx, *collection, *id, edit, expect),
        ReadyWrite::Delete(collection, id) => delete(tx, *collection, *id),
    }
}

fn insert(tx: &WriterTransaction<'_>, collection: Collection, document: &[u8]) -> SqliteResult<()> {
    for reference in collection.references() {
        check_reference(tx.rows, collection, reference, document)?;
    }
    tx.rows.insert(collection, document)?;
    guard(tx.rows, collection, document)?;
    if collection == Collection::Alerts {
        tx.note_seq(raw::counter(document, "alertcast.seq")?);
        note_written_alert(tx);
    }
    match raw::lookup(document, "_id")?.and_then(RawValue::as_id) {
        Some(id) => note_change(tx, collection, id),
        None => Ok(()),
    }
}

fn update(
    tx: &WriterTransaction<'_>,
    collection: Collection,
    id: ObjectId,
    edit: &RawEdit,
    expect: &[(String, Bson)],
) -> SqliteResult<()> {
    if collection == Collection::Alerts {
        alert_rows::store_one(tx, id)?;
        note_written_alert(tx);
    }
    let Some(old) = tx.rows.find(collection, id)? else { return Err(SqliteError::conflict()) };
    if !holds(&old, expect)? {
        return Err(SqliteError::conflict());
    }
    let new = tx.rows.edit(collection, &old, edit)?;
    guard(tx.rows, collection, &new)?;
    for reference in collection.references() {
        if raw::lookup(&old, reference.field)? != raw::lookup(&new, reference.field)? {
            check_reference(tx.rows, collection, reference, &new)?;
        }
    }
    note_change(tx, collection, id)
}

/// An alert that is written as a document may wait for the processor from then on, and may bring another price.
fn note_written_alert(tx: &WriterTransaction<'_>) {
    tx.note_effects(|effects| (effects.pending, effects.forget_prices) = (true, true));
}

/// Refuses a second document with a value that our own writes keep unique.
fn guard(rows: RowAccess<'_>, collection: Collection, document: &[u8]) -> SqliteResult<()> {
    for index in collection.indexes() {
        let (Some(field), [(key, _)]) = (index.guards, index.keys) else { continue };
        let value = raw::lookup(document, key)?.and_then(RawValue::as_str);
        let id = raw::lookup(document, "_id")?.and_then(RawValue::as_id);
        let (Some(value), Some(id)) = (value, id) else { continue };
        let sql = format!(r#"SELECT 1 FROM {} WHERE "{key}" = ?1 AND "_id" <> ?2"#, collection.name());
        if rows.any(&sql, (value, IdBlob(id.bytes())))? {
            return Err(SqliteError(StoreError::AlreadyExists { collection, field: field.to_owned() }));
        }
    }
    Ok(())
}

/// Whether a document has these values; null: absent or null.
pub(crate) fn holds(document: &[u8], expect: &[(String, Bson)]) -> SqliteResult<bool> {
    for (field, value) in expect {
        let holds = match raw::lookup(document, field)? {
            Some(kept) => kept.equals(value),
            None => *value == Bson::Null,
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Deletes a document that nothing refers to.
fn delete(tx: &WriterTransaction<'_>, collection: Collection, id: ObjectId) -> SqliteResult<()> {
    if collection == Collection::Alerts {
        return delete_alert(tx, id);
    }
    if !tx.rows.exists(collection, id)? {
        return Ok(());
    }
    for from in Collection::ALL {
        for reference in from.references().iter().filter(|reference| reference.to == collection) {
            if is_referred_to(tx.rows, *from, reference, id)? {
                return Err(SqliteError(StoreError::MissingReference {
                    collection: *from,
                    field: reference.field.to_owned(),
                    id,
                }));
            }
        }
    }
    tx.rows.delete(collection, id)?;
    note_change(tx, collection, id)
}

/// Nothing refers to alerts. The log may have it still, or have it alone.
fn delete_alert(tx: &WriterTransaction<'_>, id: ObjectId) -> SqliteResult<()> {
    note_written_alert(tx);
    match tx.rows.find(Collection::Alerts, id)? {
        Some(alert) => {
            alert_rows::note_deleted(tx, &alert)?;
            tx.rows.delete(Collection::Alerts, id)
        }
        None => alert_rows::delete_from_log(tx, id),
    }
}

fn is_referred_to(
    rows: RowAccess<'_>,
    from: Collection,
    reference: &FieldReference,
    id: ObjectId,
) -> SqliteResult<bool> {
    if table(from).columns.contains(&reference.field) {
        let sql = format!(r#"SELECT 1 FROM {} WHERE "{}" = ?1"#, from.name(), reference.field);
        return rows.any(&sql, [IdBlob(id.bytes())]);
    }
    // A list, in a collection that is small: plans.
    let mut statement = rows.conn().prepare_cached(&format!("SELECT doc FROM {}", from.name()))?;
    let mut all = statement.query([])?;
    while let Some(row) = all.next()? {
        if referred_ids(blob(row, 0)?, reference.field)?.contains(&id) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn check_reference(
    rows: RowAccess<'_>,
    collection: Collection,
    reference: &FieldReference,
    document: &[u8],
) -> SqliteResult<()> {
    for id in referred_ids(document, reference.field)? {
        if !rows.exists(reference.to, id)? {
            return Err(SqliteError(StoreError::MissingReference {
                collection,
                field: reference.field.to_owned(),
                id,
            }));
        }
    }
    Ok(())
}

/// The ids in a field that holds one or a list of them.
fn referred_ids(document: &[u8], field: &str) -> SqliteResult<Vec<ObjectId>> {
    let Some(value) = raw::lookup(document, field)? else { return Ok(Vec::new()) };
    if let Some(id) = value.as_id() {
        return Ok(vec![id]);
    }
    let mut ids = Vec::new();
    for element in value.items() {
        ids.extend(element?.value.as_id());
    }
    Ok(ids)
}

/// Appends to the change log where the audience is made of the collection.
pub(crate) fn note_change(tx: &WriterTransaction<'_>, collection: Collection, id: ObjectId) -> SqliteResult<()> {
    if !collection.makes_audience() {
        return Ok(());
    }
    let seq = tx.next_change();
    let entry = pack(&doc! { "_id": seq, "collection": collection.name(), "id": id })?;
    tx.rows.insert(Collection::Changes, &entry)
}
