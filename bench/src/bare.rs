//! The bare probes of the store: the documents that Alertcast wrote, inserted once more as rows with the columns and the
//! indexes of `bare_schema.sql`, with nothing around it. That schema stays as it is, whatever becomes of the store's own:
//! figures of different releases are held against the same work.

use std::path::Path;

use bson::{Bson, Document};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use sha2::{Digest as _, Sha256};

use crate::probe::now;

/// The database's file in a data folder.
const FILE: &str = "alertcast.db";
const SCHEMA: &str = include_str!("bare_schema.sql");
/// One of the request, one of the alert's own id.
const KEYS_OF_ALERT: u8 = 2;
/// How long a key is kept, in milliseconds.
const KEY_WINDOW: i64 = 24 * 60 * 60 * 1_000;

/// A row of a table, as it is bound.
type BareRow = Vec<Value>;

/// Inserts a folder's alerts, each with its keys, into a fresh database: `batch` alerts, then a commit, as often as it
/// takes. Answers alerts a second.
pub(crate) fn insert_alerts(folder: &Path, batch: usize) -> anyhow::Result<f64> {
    let alerts = read(folder, "alerts")?;
    let keys = alerts.iter().flat_map(|alert| (0..KEYS_OF_ALERT).map(|number| key_of(alert, number)));
    let keys = keys.collect::<anyhow::Result<Vec<_>>>()?;
    insert_again(folder, &[("alerts", alerts), ("intake_keys", keys)], batch)
}

/// The same for its trades, each with its delivery. Answers trades a second.
pub(crate) fn insert_trades(folder: &Path, batch: usize) -> anyhow::Result<f64> {
    let tables = [("trades", read(folder, "trades")?), ("deliveries", read(folder, "deliveries")?)];
    insert_again(folder, &tables, batch)
}

fn insert_again(folder: &Path, tables: &[(&str, Vec<Document>)], batch: usize) -> anyhow::Result<f64> {
    let copies = tempfile::TempDir::new_in(folder)?;
    let mut to = Connection::open(copies.path().join("bare.db"))?;
    make_tables(&to)?;
    let count = tables.first().map_or(0, |(_, documents)| documents.len());
    let mut rows = Vec::new();
    for (table, documents) in tables {
        let columns = columns(&to, table)?;
        let places: Vec<String> = (1..=columns.len()).map(|place| format!("?{place}")).collect();
        let insert = format!("INSERT INTO {table} VALUES ({})", places.join(", "));
        let all = documents.iter().map(|document| row(document, &columns)).collect::<anyhow::Result<Vec<_>>>()?;
        rows.push((insert, all.into_iter()));
    }
    let batches = count.div_ceil(batch.max(1)).max(1);
    let shares: Vec<usize> = rows.iter().map(|(_, rows)| rows.len().div_ceil(batches)).collect();
    let begun = now();
    for _ in 0..batches {
        let tx = to.transaction()?;
        for ((insert, rows), share) in rows.iter_mut().zip(&shares) {
            let mut statement = tx.prepare_cached(insert)?;
            for row in rows.take(*share) {
                statement.execute(params_from_iter(row))?;
            }
        }
        tx.commit()?;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

fn make_tables(to: &Connection) -> anyhow::Result<()> {
    to.pragma_update(None, "journal_mode", "WAL")?;
    to.pragma_update(None, "synchronous", "FULL")?;
    to.pragma_update(None, "cache_size", -64 * 1024)?;
    to.set_prepared_statement_cache_capacity(64);
    Ok(to.execute_batch(SCHEMA)?)
}

/// A table's documents, in their order.
fn read(folder: &Path, table: &str) -> anyhow::Result<Vec<Document>> {
    let from = Connection::open_with_flags(folder.join(FILE), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = from.prepare(&format!("SELECT doc FROM {table} ORDER BY rowid"))?;
    let mut found = statement.query([])?;
    let mut documents = Vec::new();
    while let Some(row) = found.next()? {
        documents.push(Document::from_reader(row.get_ref(0)?.as_blob()?)?);
    }
    Ok(documents)
}

/// A key as it was kept: a digest, the alert that holds it, and until when.
fn key_of(alert: &Document, number: u8) -> anyhow::Result<Document> {
    let id = alert.get_object_id("_id")?;
    let received = alert.get_document("webhook")?.get_datetime("receivedAt")?.timestamp_millis();
    let mut digest = Sha256::new_with_prefix(id.bytes());
    digest.update([number]);
    let key = hex::encode(digest.finalize());
    let until = bson::DateTime::from_millis(received + KEY_WINDOW);
    Ok(bson::doc! { "_id": key, "alertId": id, "until": until })
}

fn columns(to: &Connection, table: &str) -> anyhow::Result<Vec<String>> {
    let mut statement = to.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// The values of the columns, which are named by their paths, and the document itself.
fn row(document: &Document, columns: &[String]) -> anyhow::Result<BareRow> {
    let value = |path: &String| match path.as_str() {
        "doc" => Ok(Value::Blob(document.to_vec()?)),
        path => Ok(find(document, path).map_or(Value::Null, column_value)),
    };
    columns.iter().map(value).collect()
}

fn find<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    match path.split_once('.') {
        None => document.get(path),
        Some((head, rest)) => find(document.get_document(head).ok()?, rest),
    }
}

fn column_value(value: &Bson) -> Value {
    match value {
        Bson::Int32(number) => Value::Integer((*number).into()),
        Bson::Int64(number) => Value::Integer(*number),
        Bson::Boolean(truth) => Value::Integer((*truth).into()),
        Bson::DateTime(at) => Value::Integer(at.timestamp_millis()),
        Bson::Double(number) => Value::Real(*number),
        Bson::String(text) => Value::Text(text.clone()),
        Bson::ObjectId(id) => Value::Blob(id.bytes().to_vec()),
        Bson::Binary(binary) => Value::Blob(binary.bytes.clone()),
        _ => Value::Null,
    }
}
