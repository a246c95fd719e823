//! The bare probes of the store: the very rows that Alertcast wrote, inserted once more into the very schema, with
//! nothing around it.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use crate::probe::now;

/// The database's file in a data folder.
const FILE: &str = "alertcast.db";

/// Inserts a folder's rows of some tables into a fresh database of the same schema: of each table `batch` rows, in their
/// order, then a commit, as often as it takes. Answers rows of the first table a second.
pub(crate) fn insert_again(folder: &Path, tables: &[(&str, &str)], batch: usize) -> anyhow::Result<f64> {
    let from = Connection::open_with_flags(folder.join(FILE), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let copies = tempfile::TempDir::new_in(folder)?;
    let mut to = Connection::open(copies.path().join("bare.db"))?;
    same_schema(&from, &to)?;
    let mut rows: Vec<(String, std::vec::IntoIter<Vec<Value>>)> = Vec::new();
    let mut count = 0;
    for (index, (table, order)) in tables.iter().enumerate() {
        let (insert, read) = read(&from, table, order)?;
        if index == 0 {
            count = read.len();
        }
        rows.push((insert, read.into_iter()));
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

fn same_schema(from: &Connection, to: &Connection) -> anyhow::Result<()> {
    to.pragma_update(None, "journal_mode", "WAL")?;
    to.pragma_update(None, "synchronous", "FULL")?;
    to.pragma_update(None, "cache_size", -64 * 1024)?;
    to.set_prepared_statement_cache_capacity(64);
    let mut statement = from.prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")?;
    let mut all = statement.query([])?;
    while let Some(row) = all.next()? {
        to.execute_batch(&row.get::<_, String>(0)?)?;
    }
    Ok(())
}

fn read(from: &Connection, table: &str, order: &str) -> anyhow::Result<(String, Vec<Vec<Value>>)> {
    let mut statement = from.prepare(&format!("SELECT * FROM {table} ORDER BY {order}"))?;
    let columns = statement.column_count();
    let places: Vec<String> = (1..=columns).map(|place| format!("?{place}")).collect();
    let insert = format!("INSERT INTO {table} VALUES ({})", places.join(", "));
    let mut found = statement.query([])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push((0..columns).map(|at| row.get(at)).collect::<Result<_, _>>()?);
    }
    Ok((insert, rows))
}
