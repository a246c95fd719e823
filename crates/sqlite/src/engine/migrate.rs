//! From whatever stands in the file to the schema of this version. Tables, columns and indexes are brought in step with
//! core's declarations at every start, which costs a look into the catalogue; whatever else changes is a step in
//! [`STEPS`].

use rusqlite::Connection;

use crate::engine::intake_log::{self, keys};
use crate::engine::raw;
use crate::engine::rows::RowAccess;
use crate::engine::schema::{SCHEMA_VERSION, TableDeclaration, tables};
use crate::engine::sending;
use crate::error::{OpenError, SqliteResult};

/// One step each from a version to the next: `STEPS[0]` leads from 1 to 2.
const STEPS: &[fn(&Connection) -> SqliteResult<()>] = &[sending::create, begin_intake_log];

/// The intake log: what it keeps beside the alerts, and the keys of before.
fn begin_intake_log(conn: &Connection) -> SqliteResult<()> {
    conn.execute_batch(intake_log::DELETED_TABLE)?;
    keys::take_over_documents(conn)
}

/// Marks the file as ours (`PRAGMA application_id`): the letters "Acst".
pub(crate) const APPLICATION_ID: i64 = 0x4163_7374;

/// Brings the schema up to date, in one transaction.
pub(crate) fn migrate(conn: &mut Connection) -> std::result::Result<(), OpenError> {
    let found = version(conn).map_err(|e| OpenError::Store(e.0))?;
    if found > SCHEMA_VERSION {
        return Err(OpenError::NewerSchema { found, known: SCHEMA_VERSION });
    }
    upgrade(conn, found).map_err(|e| OpenError::Store(e.0))
}

pub(crate) fn version(conn: &Connection) -> SqliteResult<i64> {
    Ok(conn.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

fn upgrade(conn: &mut Connection, found: i64) -> SqliteResult<()> {
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for step in STEPS.iter().skip(usize::try_from(found.max(1) - 1).unwrap_or(0)) {
        step(&tx)?;
    }
    reconcile(&tx)?;
    if found != SCHEMA_VERSION {
        tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    tx.commit()?;
    Ok(())
}

/// Makes what the declarations ask for and the file lacks; removes indexes that are not declared any more.
pub(crate) fn reconcile(conn: &Connection) -> SqliteResult<()> {
    let rows = RowAccess::new(conn);
    for table in tables() {
        let name = table.collection.name();
        if rows.any("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1", [name])? {
            add_columns(conn, table)?;
        } else {
            conn.execute_batch(&table.create)?;
        }
        reconcile_indexes(conn, table)?;
    }
    Ok(())
}

fn reconcile_indexes(conn: &Connection, table: &TableDeclaration) -> SqliteResult<()> {
    let standing: Vec<(String, String)> = RowAccess::new(conn).all(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL",
        [table.collection.name()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let declared = |name: &str, sql: &str| table.indexes.iter().any(|index| index.name == name && index.create == sql);
    for (name, sql) in &standing {
        if !declared(name, sql) {
            conn.execute_batch(&format!(r#"DROP INDEX "{name}""#))?;
        }
    }
    for index in &table.indexes {
        if !standing.iter().any(|(name, sql)| *name == index.name && *sql == index.create) {
            conn.execute_batch(&index.create)?;
        }
    }
    Ok(())
}

/// Adds the columns that a later version indexes, and fills them from the documents.
fn add_columns(conn: &Connection, table: &TableDeclaration) -> SqliteResult<()> {
    let name = table.collection.name();
    let standing: Vec<String> =
        RowAccess::new(conn).all("SELECT name FROM pragma_table_info(?1)", [name], |row| Ok(row.get(0)?))?;
    let missing = table.columns.iter().copied().filter(|path| !standing.iter().any(|name| name == path));
    for path in missing {
        conn.execute_batch(&format!(r#"ALTER TABLE {name} ADD COLUMN "{path}""#))?;
        fill_column(conn, name, path)?;
    }
    Ok(())
}

fn fill_column(conn: &Connection, table: &str, path: &str) -> SqliteResult<()> {
    let mut all = conn.prepare(&format!(r#"SELECT "_id", doc FROM {table}"#))?;
    let mut update = conn.prepare(&format!(r#"UPDATE {table} SET "{path}" = ?2 WHERE "_id" = ?1"#))?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let id: rusqlite::types::Value = row.get(0)?;
        let document: Vec<u8> = row.get(1)?;
        if let Some(value) = raw::lookup(&document, path)? {
            let value: rusqlite::types::Value = value.as_sql().try_into().unwrap_or(rusqlite::types::Value::Null);
            update.execute((id, value))?;
        }
    }
    Ok(())
}
