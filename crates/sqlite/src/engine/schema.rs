//! The tables, made from core's declarations: one table a collection, a column for every path that an index uses, and
//! the document itself, as BSON, behind them. No statement here names a collection.
//!
//! Most tables have a rowid: their documents are around a kilobyte, which in a `WITHOUT ROWID` table would spill to
//! overflow pages, and their ids are ascending, so that the index of ids grows at its end. Small documents that are
//! looked up by ids without an order (quotas, leases, intake keys, secrets) stand in the key's tree itself.

use std::sync::LazyLock;

use alertcast_core::store::Collection;
use alertcast_core::store::collection::{IndexDeclaration, SortDirection};

use crate::engine::raw::PathSet;

/// The condition of what concerns open deliveries.
macro_rules! is_open {
    () => {
        r#"("state" = 'pending' OR "state" = 'sending' OR "state" = 'held')"#
    };
}
pub(crate) use is_open;

/// Raised with every change that [`crate::engine::migrate`] cannot see from the declarations.
pub(crate) const SCHEMA_VERSION: i64 = 3;

/// No table has more columns (with the id, without the document).
pub(crate) const COLUMNS_MAX: usize = 24;

/// How a table keeps its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableLayout {
    /// By a rowid, with an index of ids.
    Rowid,
    /// In the tree of ids.
    Keyed,
    /// The id is a number that counts up, and is the rowid.
    Counted,
}

/// One table, and the statements that concern it as a whole.
#[derive(Debug)]
pub(crate) struct TableDeclaration {
    pub(crate) collection: Collection,
    /// Dotted paths, in the order of their columns.
    pub(crate) columns: Vec<&'static str>,
    /// The id and the columns.
    pub(crate) paths: PathSet,
    pub(crate) indexes: Vec<TableIndex>,
    pub(crate) create: String,
    pub(crate) insert: String,
    pub(crate) insert_missing: String,
    pub(crate) update_document: String,
    pub(crate) find: String,
    pub(crate) exists: String,
    pub(crate) delete: String,
    pub(crate) page: String,
    pub(crate) count: String,
}

/// One index of a table.
#[derive(Debug)]
pub(crate) struct TableIndex {
    pub(crate) name: String,
    pub(crate) create: String,
}

static TABLES: LazyLock<Vec<TableDeclaration>> =
    LazyLock::new(|| Collection::ALL.iter().copied().map(TableDeclaration::of).collect());

/// All tables.
pub(crate) fn tables() -> &'static [TableDeclaration] {
    &TABLES
}

/// A collection's table.
pub(crate) fn table(collection: Collection) -> &'static TableDeclaration {
    // `Collection::ALL` lists them in the order of their declaration; a test keeps it so.
    &TABLES[collection as usize]
}

const fn layout(collection: Collection) -> TableLayout {
    match collection {
        Collection::Quotas | Collection::IntakeKeys | Collection::Leases | Collection::Secrets => TableLayout::Keyed,
        Collection::Changes => TableLayout::Counted,
        _ => TableLayout::Rowid,
    }
}

/// Paths that an operation compares though no declared index has them.
const fn more_columns(collection: Collection) -> &'static [&'static str] {
    match collection {
        Collection::Trades => &["alertcast.rev"],
        Collection::Alerts => &["alertcast.settledAt"],
        Collection::Quotas => &["rev"],
        Collection::Deliveries => &["combinesAlert", "priority", "queuedAt", "rotation", "dueAt", "createdAt"],
        _ => &[],
    }
}

/// Indexes of this engine's own: name, keys, condition.
const fn more_indexes(collection: Collection) -> &'static [(&'static str, &'static str, Option<&'static str>)] {
    match collection {
        Collection::Alerts => &[
            // The highest sequence number, at start.
            ("alerts.seq", r#""alertcast.seq""#, None),
            // The work that is to be done, in its order, and whose it is.
            (
                "alerts.pending",
                r#""alertcast.seq", "alertcast.partition", "processing.alertConfigId", "processing.status", "_id""#,
                Some(r#""processing.status" IN ('received', 'processing')"#),
            ),
            // What a crash may have left unsettled.
            ("alerts.unsettled", r#""_id""#, Some(UNSETTLED)),
        ],
        Collection::Deliveries => &[
            // A lane's queue, in the order of sending; what was put off stands apart, by its time, so that it neither
            // holds up those who look for what is due nor costs a tree as long as nothing is put off.
            (
                "deliveries.queue",
                r#""lane", "priority", "queuedAt", "rotation", "_id", "dueAt""#,
                Some(r#""state" = 'pending' AND ("dueAt" > "createdAt") IS NOT TRUE"#),
            ),
            (
                "deliveries.putOff",
                r#""lane", "dueAt", "priority", "queuedAt", "rotation", "_id""#,
                Some(r#""state" = 'pending' AND "dueAt" > "createdAt""#),
            ),
            // Whether an open exit tells entries of an alert.
            (
                "deliveries.combinesAlert",
                r#""combinesAlert""#,
                Some(concat!(r#""combinesAlert" IS NOT NULL AND "#, is_open!())),
            ),
        ],
        _ => &[],
    }
}

/// Alerts that are to be settled. One that was not accepted here, but came with an import, has no place in the order.
pub(crate) const UNSETTLED: &str =
    r#""processing.status" = 'processed' AND "alertcast.settledAt" IS NULL AND "alertcast.seq" > 0"#;

/// The insert leaves a row out silently where this unique key exists.
const fn silent_key(collection: Collection) -> &'static str {
    match collection {
        Collection::Deliveries => r#""key""#,
        _ => r#""_id""#,
    }
}

/// The condition of a partial index, as every query must spell it to use the index. For a list of more than two SQLite
/// makes a tree with each row that it writes, to look the value up in: so these are compared one by one.
pub(crate) fn only(field: &str, values: &[&str]) -> String {
    match values {
        [value] => format!(r#""{field}" = '{value}'"#),
        [one, other] => format!(r#""{field}" IN ('{one}', '{other}')"#),
        values => {
            let each: Vec<String> = values.iter().map(|value| format!(r#""{field}" = '{value}'"#)).collect();
            format!("({})", each.join(" OR "))
        }
    }
}

impl TableDeclaration {
    fn of(collection: Collection) -> Self {
        let name = collection.name();
        let columns = columns(collection);
        let quoted: Vec<String> = columns.iter().map(|path| format!(r#", "{path}""#)).collect();
        let places: String = (2..columns.len() + 3).map(|at| format!(", ?{at}")).collect();
        let quoted = quoted.concat();
        let insert = format!(r#"INSERT INTO {name} ("_id"{quoted}, doc) VALUES (?1{places})"#);
        let (id, options) = match layout(collection) {
            TableLayout::Rowid => (r#""_id" NOT NULL PRIMARY KEY"#, ""),
            TableLayout::Keyed => (r#""_id" NOT NULL PRIMARY KEY"#, " WITHOUT ROWID"),
            TableLayout::Counted => (r#""_id" INTEGER PRIMARY KEY"#, ""),
        };
        Self {
            create: format!("CREATE TABLE {name} ({id}{quoted}, doc BLOB NOT NULL){options}"),
            insert_missing: format!("{insert} ON CONFLICT ({}) DO NOTHING", silent_key(collection)),
            insert,
            update_document: format!(r#"UPDATE {name} SET doc = ?2 WHERE "_id" = ?1"#),
            find: format!(r#"SELECT doc FROM {name} WHERE "_id" = ?1"#),
            exists: format!(r#"SELECT 1 FROM {name} WHERE "_id" = ?1"#),
            delete: format!(r#"DELETE FROM {name} WHERE "_id" = ?1"#),
            page: format!(r#"SELECT doc FROM {name} WHERE "_id" > ?1 ORDER BY "_id" LIMIT ?2"#),
            count: format!("SELECT count(*) FROM {name}"),
            indexes: indexes(collection),
            paths: PathSet::new(&[&["_id"], columns.as_slice()].concat()),
            collection,
            columns,
        }
    }

    /// The statement that rewrites a document and these of its columns (a bit each).
    pub(crate) fn update(&self, changed: u64) -> String {
        let mut sql = format!("UPDATE {} SET doc = ?2", self.collection.name());
        let mut place = 3;
        for (at, path) in self.columns.iter().enumerate() {
            if changed & (1 << at) != 0 {
                sql.push_str(&format!(r#", "{path}" = ?{place}"#));
                place += 1;
            }
        }
        sql.push_str(r#" WHERE "_id" = ?1"#);
        sql
    }
}

fn columns(collection: Collection) -> Vec<&'static str> {
    let mut columns = Vec::new();
    let standing = collection.indexes().iter().filter(|index| index.is_embedded());
    for index in standing {
        let keys = index.keys.iter().map(|(path, _)| *path);
        columns.extend(keys.chain(index.only.map(|(path, _)| path)));
    }
    columns.extend(more_columns(collection));
    let mut kept = Vec::new();
    for path in columns {
        if path != "_id" && !kept.contains(&path) {
            kept.push(path);
        }
    }
    kept
}

fn indexes(collection: Collection) -> Vec<TableIndex> {
    let table = collection.name();
    let declared = collection
        .indexes()
        .iter()
        .filter(|index| index.is_embedded())
        .map(|index| TableIndex { name: index_name(collection, index), create: create_index(collection, index) });
    let more = more_indexes(collection).iter().map(|(name, keys, condition)| TableIndex {
        name: (*name).to_owned(),
        create: format!(
            r#"CREATE INDEX "{name}" ON {table} ({keys}){}"#,
            condition.map_or_else(String::new, |condition| format!(" WHERE {condition}"))
        ),
    });
    declared.chain(more).collect()
}

/// The table, then the keys as MongoDB names them, then the values that a partial index is about.
pub(crate) fn index_name(collection: Collection, index: &IndexDeclaration) -> String {
    let keys: Vec<String> = index
        .keys
        .iter()
        .map(|(path, direction)| format!("{path}_{}", if *direction == SortDirection::Up { 1 } else { -1 }))
        .collect();
    let only = index.only.map_or_else(String::new, |(_, values)| format!(".{}", values.join("+")));
    format!("{}.{}{only}", collection.name(), keys.join("_"))
}

/// Which documents are in it; none: all of them.
fn condition(index: &IndexDeclaration) -> Option<String> {
    let present = index.keys.first().filter(|_| index.sparse).map(|(path, _)| format!(r#""{path}" IS NOT NULL"#));
    index.only.map(|(field, values)| only(field, values)).or(present)
}

fn create_index(collection: Collection, index: &IndexDeclaration) -> String {
    let keys: Vec<String> = index
        .keys
        .iter()
        .map(|(path, direction)| format!(r#""{path}"{}"#, if *direction == SortDirection::Up { "" } else { " DESC" }))
        .collect();
    format!(
        r#"CREATE {}INDEX "{}" ON {} ({}){}"#,
        if index.unique { "UNIQUE " } else { "" },
        index_name(collection, index),
        collection.name(),
        keys.join(", "),
        condition(index).map_or_else(String::new, |condition| format!(" WHERE {condition}"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_collection_finds_its_own_table() {
        for collection in Collection::ALL {
            assert_eq!(table(*collection).collection, *collection);
        }
    }

    /// A list in the condition of an index costs a tree with each row.
    #[test]
    fn writing_a_document_makes_no_tree_of_its_own() {
        let mut conn = rusqlite::Connection::open_in_memory().unwrap();
        crate::engine::migrate::migrate(&mut conn).unwrap();
        for table in tables() {
            for sql in [table.insert.clone(), table.update((1 << table.columns.len()) - 1)] {
                let mut statement = conn.prepare(&format!("EXPLAIN {sql}")).unwrap();
                let steps = statement.raw_query().mapped(|row| row.get(1)).collect::<Result<Vec<String>, _>>().unwrap();
                assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{sql}");
            }
        }
    }

    #[test]
    fn no_table_has_more_columns_than_there_is_room_for() {
        for table in tables() {
            assert!(table.columns.len() < COLUMNS_MAX, "{}", table.collection);
        }
    }
}
