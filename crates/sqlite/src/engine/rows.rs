//! Documents in their tables: found, inserted, edited, deleted. The one place where a document's columns are filled, so
//! that they cannot fall out of step with it.

use std::ops::ControlFlow;

use alertcast_core::money::Count;
use alertcast_core::reading;
use alertcast_core::store::Collection;
use bson::Bson;
use bson::oid::ObjectId;
use rusqlite::types::{FromSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row, Statement, ToSql};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::raw::{self, RawEdit};
use crate::engine::schema::{COLUMNS_MAX, TableDeclaration, table};
use crate::engine::sending::{SendingBatches, is_sending};
use crate::error::{SqliteError, SqliteResult};

/// A document's bytes.
pub(crate) type DocumentBytes = Vec<u8>;

/// Access to the rows through one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowAccess<'c> {
    conn: &'c Connection,
}

/// The id of a document as its column holds it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RowId<'a> {
    Object([u8; 12]),
    Text(&'a str),
}

impl From<ObjectId> for RowId<'_> {
    fn from(id: ObjectId) -> Self {
        Self::Object(id.bytes())
    }
}

macro_rules! typed_ids {
    ($($name:ident),+) => {$(
        impl From<alertcast_core::id::$name> for RowId<'_> {
            fn from(id: alertcast_core::id::$name) -> Self {
                Self::Object(id.bytes())
            }
        }

        impl From<alertcast_core::id::$name> for IdBlob {
            fn from(id: alertcast_core::id::$name) -> Self {
                Self(id.bytes())
            }
        }
    )+};
}
typed_ids!(UserId, ConfigId, SubscriptionId, PreferenceId, TradeId, AlertId, DeliveryId);

impl ToSql for RowId<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Object(bytes) => ValueRef::Blob(bytes),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// The twelve bytes of an id, as a parameter or a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdBlob(pub(crate) [u8; 12]);

impl ToSql for IdBlob {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
    }
}

impl FromSql for IdBlob {
    fn column_result(value: ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        <[u8; 12]>::column_result(value).map(Self)
    }
}

impl IdBlob {
    pub(crate) const fn id(self) -> ObjectId {
        ObjectId::from_bytes(self.0)
    }
}

/// A column's number, whatever its type, bounded as counts are; zero where there is none.
pub(crate) fn whole(row: &Row<'_>, column: usize) -> SqliteResult<i64> {
    let count = match row.get_ref(column)? {
        ValueRef::Integer(number) => Count::of(&Bson::Int64(number)),
        ValueRef::Real(number) => Count::of(&Bson::Double(number)),
        _ => None,
    };
    Ok(count.map_or(0, |count| count.0))
}

/// A column's bytes.
pub(crate) fn blob<'r>(row: &'r Row<'_>, column: usize) -> SqliteResult<&'r [u8]> {
    Ok(row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from)?)
}

/// A document's bytes as its type.
pub(crate) fn decode<T: DeserializeOwned>(collection: Collection, bytes: &[u8]) -> SqliteResult<T> {
    reading::read_bytes(collection, bytes).map_err(SqliteError::from)
}

/// The same for a row of a query that also tells the id, which damaged bytes may not; one that cannot be read is set aside.
pub(crate) fn read_row<T: DeserializeOwned>(collection: Collection, id: Option<IdBlob>, bytes: &[u8]) -> RowResult<T> {
    reading::read_bytes(collection, bytes).map_err(|mut unreadable| {
        if let (Bson::Null, Some(id)) = (&unreadable.id, id) {
            unreadable.id = id.id().into();
        }
        unreadable
    })
}

/// What reading one document came to.
pub(crate) type RowResult<T> = std::result::Result<T, reading::UnreadableDocument>;

/// A document's bytes as a document; of damaged ones what there is.
pub(crate) fn unpack(collection: Collection, bytes: &[u8]) -> SqliteResult<bson::Document> {
    Ok(reading::unpack_what_is_there(collection, bytes))
}

/// A value as a document's bytes.
pub(crate) fn encode<T: Serialize>(value: &T) -> SqliteResult<DocumentBytes> {
    Ok(reading::encode(value)?)
}

/// A document's bytes.
pub(crate) fn pack(document: &bson::Document) -> SqliteResult<DocumentBytes> {
    Ok(reading::pack(document)?)
}

fn parameter(value: ValueRef<'_>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(value)
}

impl<'c> RowAccess<'c> {
    pub(crate) const fn new(conn: &'c Connection) -> Self {
        Self { conn }
    }

    pub(crate) const fn conn(self) -> &'c Connection {
        self.conn
    }

    /// A statement whose rows are no documents of deliveries: these are read by [`Self::each_document`] alone.
    fn prepare(self, sql: &str) -> SqliteResult<CachedStatement<'c>> {
        debug_assert!(!reads_deliveries(sql), "read by another way than `each_document`: {sql}");
        Ok(self.conn.prepare_cached(sql)?)
    }

    /// What is being sent, for a collection of which documents are to be read.
    pub(crate) fn sending(self, collection: Collection) -> SqliteResult<SendingBatches> {
        if collection == Collection::Deliveries { SendingBatches::load(self) } else { Ok(SendingBatches::default()) }
    }

    /// The documents of a statement that selects `doc` first, each as it is now, until one breaks it off.
    pub(crate) fn each_document(
        self,
        collection: Collection,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>, &[u8]) -> SqliteResult<ControlFlow<()>>,
    ) -> SqliteResult<()> {
        let sending = self.sending(collection)?;
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            if read(row, &sending.show(blob(row, 0)?))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The same for deliveries that wait: those are passed over that are being sent, of which the statement's columns do
    /// not know.
    pub(crate) fn each_waiting(
        self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>, &[u8]) -> SqliteResult<ControlFlow<()>>,
    ) -> SqliteResult<()> {
        let sending = SendingBatches::load(self)?;
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            let document = blob(row, 0)?;
            if sending.since(document).is_none() && read(row, document)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The same for all documents of the statement.
    pub(crate) fn documents<T>(
        self,
        collection: Collection,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>, &[u8]) -> SqliteResult<T>,
    ) -> SqliteResult<Vec<T>> {
        let mut all = Vec::new();
        self.each_document(collection, sql, params, |row, document| {
            all.push(read(row, document)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    /// The first row of a query.
    pub(crate) fn one<T>(
        self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> SqliteResult<T>,
    ) -> SqliteResult<Option<T>> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params)?;
        rows.next()?.map(read).transpose()
    }

    /// Every row of a query.
    pub(crate) fn all<T>(
        self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> SqliteResult<T>,
    ) -> SqliteResult<Vec<T>> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
        }
        Ok(all)
    }

    /// A statement without rows; answers how many it changed.
    pub(crate) fn run(self, sql: &str, params: impl Params) -> SqliteResult<usize> {
        Ok(self.conn.prepare_cached(sql)?.execute(params)?)
    }

    /// Whether a query has a row.
    pub(crate) fn any(self, sql: &str, params: impl Params) -> SqliteResult<bool> {
        Ok(self.prepare(sql)?.exists(params)?)
    }

    /// The document with this id, as it is now.
    pub(crate) fn find<'i>(
        self,
        collection: Collection,
        id: impl Into<RowId<'i>>,
    ) -> SqliteResult<Option<DocumentBytes>> {
        let kept = self.find_kept(collection, id)?;
        if collection != Collection::Deliveries || kept.is_none() {
            return Ok(kept);
        }
        let sending = SendingBatches::load(self)?;
        Ok(kept.map(|kept| sending.show_owned(kept)))
    }

    /// The document with this id, as it is kept: of a delivery that is being sent, as it was before.
    pub(crate) fn find_kept<'i>(
        self,
        collection: Collection,
        id: impl Into<RowId<'i>>,
    ) -> SqliteResult<Option<DocumentBytes>> {
        let mut statement = self.conn.prepare_cached(&table(collection).find)?;
        Ok(statement.query_row([id.into()], |row| row.get(0)).optional()?)
    }

    pub(crate) fn exists<'i>(self, collection: Collection, id: impl Into<RowId<'i>>) -> SqliteResult<bool> {
        self.any(&table(collection).exists, [id.into()])
    }

    /// Inserts a document. `AlreadyExists` where a unique field is taken.
    pub(crate) fn insert(self, collection: Collection, document: &[u8]) -> SqliteResult<()> {
        self.insert_all(collection, [document])
    }

    /// Inserts documents, one after the other.
    pub(crate) fn insert_all<'d>(
        self,
        collection: Collection,
        documents: impl IntoIterator<Item = &'d [u8]>,
    ) -> SqliteResult<()> {
        let table = table(collection);
        let mut statement = self.conn.prepare_cached(&table.insert)?;
        for document in documents {
            put(&mut statement, table, document)?;
        }
        Ok(())
    }

    /// Inserts a document unless its key (a delivery's), else its id, is taken; answers whether it did.
    pub(crate) fn insert_missing(self, collection: Collection, document: &[u8]) -> SqliteResult<bool> {
        Ok(self.insert_all_missing(collection, [document])? == 1)
    }

    /// Inserts documents, those left out whose key (a delivery's), else id, is taken; answers how many it inserted.
    pub(crate) fn insert_all_missing<'d>(
        self,
        collection: Collection,
        documents: impl IntoIterator<Item = &'d [u8]>,
    ) -> SqliteResult<usize> {
        let table = table(collection);
        let mut statement = self.conn.prepare_cached(&table.insert_missing)?;
        let mut inserted = 0;
        for document in documents {
            inserted += put(&mut statement, table, document)?;
        }
        Ok(inserted)
    }

    /// Edits a document by field; answers how it is now.
    pub(crate) fn edit(self, collection: Collection, old: &[u8], edit: &RawEdit) -> SqliteResult<DocumentBytes> {
        let new = edit.apply(old)?;
        let table = table(collection);
        // Of what is being sent in a batch, the column still says what the document as it is kept says.
        let state_may_lag = collection == Collection::Deliveries && is_sending(old);
        if state_may_lag || edit.may_meet(&table.paths) {
            self.replace(table, old, &new, state_may_lag)?;
        } else {
            let id = raw::lookup(old, "_id")?.map_or(ValueRef::Null, raw::RawValue::as_sql);
            self.run(&table.update_document, [parameter(id), parameter(ValueRef::Blob(&new))])?;
        }
        Ok(new)
    }

    /// Puts `new` in the place of `old`. Only the columns that differ are rewritten: SQLite touches the indexes of every
    /// column that a statement names. `with_state`: that column may differ from `old`.
    fn replace(self, table: &TableDeclaration, old: &[u8], new: &[u8], with_state: bool) -> SqliteResult<()> {
        let (before, after) = (values(table, old)?, values(table, new)?);
        if before[0] != after[0] {
            return Err(SqliteError::corrupt(format!("{}: the _id of a document cannot be changed", table.collection)));
        }
        let mut changed = 0;
        for at in 1..=table.columns.len() {
            let may_lag = with_state && table.columns[at - 1] == "state";
            changed |= u64::from(may_lag || before[at] != after[at]) << (at - 1);
        }
        let mut statement = self.conn.prepare_cached(&table.update(changed))?;
        statement.raw_bind_parameter(1, parameter(before[0]))?;
        statement.raw_bind_parameter(2, parameter(ValueRef::Blob(new)))?;
        let changed = (1..=table.columns.len()).filter(|at| changed & (1 << (at - 1)) != 0);
        for (place, at) in changed.enumerate() {
            statement.raw_bind_parameter(place + 3, parameter(after[at]))?;
        }
        statement.raw_execute()?;
        Ok(())
    }

    pub(crate) fn delete<'i>(self, collection: Collection, id: impl Into<RowId<'i>>) -> SqliteResult<()> {
        self.run(&table(collection).delete, [id.into()]).map(|_| ())
    }
}

/// Whether a statement selects documents of deliveries.
fn reads_deliveries(sql: &str) -> bool {
    sql.contains("FROM deliveries")
        && sql.starts_with("SELECT")
        && sql.split("FROM").next().is_some_and(|what| what.contains("doc"))
}

/// The id, then the columns.
fn values<'d>(table: &TableDeclaration, document: &'d [u8]) -> SqliteResult<[ValueRef<'d>; COLUMNS_MAX]> {
    let mut values = [ValueRef::Null; COLUMNS_MAX];
    table.paths.find(document, &mut values)?;
    if values[0] == ValueRef::Null {
        return Err(SqliteError::corrupt(format!("{}: a document without an _id", table.collection)));
    }
    Ok(values)
}

fn put(statement: &mut Statement<'_>, table: &TableDeclaration, document: &[u8]) -> SqliteResult<usize> {
    let values = values(table, document)?;
    let columns = table.columns.len();
    for (at, value) in values.iter().enumerate().take(columns + 1) {
        statement.raw_bind_parameter(at + 1, parameter(*value))?;
    }
    statement.raw_bind_parameter(columns + 2, parameter(ValueRef::Blob(document)))?;
    Ok(statement.raw_execute()?)
}

#[cfg(test)]
mod tests {
    use crate::engine::migrate::migrate;
    use crate::ports::operator_actions::WITH_RECIPIENT;

    use super::*;

    #[test]
    #[should_panic(expected = "read by another way")]
    fn documents_of_deliveries_are_read_in_one_way_only() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn).unwrap();
        let rows = RowAccess::new(&conn);
        assert_eq!(rows.documents(Collection::Deliveries, WITH_RECIPIENT, [1], |_, _| Ok(())).unwrap(), []);
        let _ = rows.all(WITH_RECIPIENT, [1], |_| Ok(()));
    }
}
