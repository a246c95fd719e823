//! A look into the store from outside, while the program runs or after its end: what is left to be done there.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use alertcast_core::delivery::{Delivery, MessageKind};
use alertcast_core::store::Collection;
use alertcast_core::time::Time;
use bson::{Bson, Document, doc};
use mongodb::Client;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OpenFlags};
use tokio::runtime::Runtime;

use super::PATIENCE;

/// More open deliveries than this are not looked at one by one.
const LOOKED_AT_MAX: i64 = 64;

/// Where the store can be looked into.
#[derive(Debug, Clone)]
pub(crate) enum Desk {
    /// The file of the embedded store.
    File(PathBuf),
    Database(Database),
}

impl Desk {
    pub(crate) fn in_folder(data_dir: &Path) -> Self {
        Self::File(data_dir.join("alertcast.db"))
    }

    /// Whether nothing is left to be done at this time: every alert is processed and settled, no delivery is open, but
    /// for the operators' counts that wait for the end of their window.
    pub(crate) fn is_quiet(&self, now: Time) -> bool {
        self.busy(now).is_none()
    }

    /// What is left to be done, in words.
    pub(crate) fn busy(&self, now: Time) -> Option<String> {
        let (received, unsettled, open) = match self {
            Self::File(file) => {
                // The log first: what gets its row meanwhile is found there.
                let in_log = in_log_alone(file);
                let (received, unsettled, open) = left_in_file(&opened(file), now);
                (in_log + received, unsettled, open)
            }
            Self::Database(database) => database.left(now),
        };
        let busy = received + unsettled + open;
        (busy > 0).then(|| format!("{received} alerts to process, {unsettled} to settle, {open} deliveries open"))
    }

    /// How many documents of a collection have these texts in these fields.
    pub(crate) fn count(&self, collection: Collection, fields: &[(&str, &str)]) -> i64 {
        match self {
            Self::File(file) => {
                let conditions: Vec<String> =
                    fields.iter().map(|(field, value)| format!("\"{field}\" = '{value}'")).collect();
                count(&opened(file), &format!("{collection} WHERE {}", conditions.join(" AND ")))
            }
            Self::Database(database) => {
                let filter = fields.iter().map(|(field, value)| ((*field).to_owned(), (*value).into())).collect();
                database.count(collection, filter)
            }
        }
    }

    /// Puts a document in the place of the one with its id, as somebody else's tool might: past everything that the store
    /// checks. Answers whether the engine bears it.
    pub(crate) fn put_past_checks(&self, collection: Collection, document: &Document) -> bool {
        match self {
            Self::File(file) => put_into_file(file, collection, document),
            Self::Database(database) => database.put_past_checks(collection, document.clone()),
        }
    }

    /// Makes every entry of the change log unreadable.
    pub(crate) fn spoil_changes(&self) {
        match self {
            Self::File(file) => drop(writable(file).execute("UPDATE changes SET doc = X'00'", []).unwrap()),
            Self::Database(database) => database.spoil_changes(),
        }
    }

    /// What the engine itself finds wrong with what it keeps: nothing, if it is whole.
    pub(crate) fn integrity(&self) -> String {
        match self {
            Self::File(file) => opened(file).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap(),
            Self::Database(_) => "ok".to_owned(),
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The embedded store

const OPEN: &str = "deliveries WHERE \"state\" IN ('pending', 'sending')";

fn opened(file: &Path) -> Connection {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// Alerts that were answered, and have no row yet.
fn in_log_alone(file: &Path) -> i64 {
    let count = alertcast_sqlite::count_alerts_without_rows(file.parent().unwrap());
    // It may just be written.
    count.map_or(1, |count| count.try_into().unwrap())
}

fn writable(file: &Path) -> Connection {
    let conn = Connection::open(file).unwrap();
    conn.busy_timeout(PATIENCE).unwrap();
    conn
}

/// With its columns as the store fills them.
fn put_into_file(file: &Path, collection: Collection, document: &Document) -> bool {
    let conn = writable(file);
    let mut asked = conn.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
    let columns: Vec<String> = asked.query_map([collection.name()], |row| row.get(0)).unwrap().flatten().collect();
    let value = |column: &String| match column.as_str() {
        "doc" => SqlValue::Blob(document.to_vec().unwrap()),
        path => sql_value(at_path(document, path)),
    };
    let values: Vec<SqlValue> = columns.iter().map(value).collect();
    let named: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    let places: Vec<String> = (1..=columns.len()).map(|place| format!("?{place}")).collect();
    let sql = format!("INSERT OR REPLACE INTO {collection} ({}) VALUES ({})", named.join(", "), places.join(", "));
    conn.execute(&sql, rusqlite::params_from_iter(values)).is_ok()
}

fn at_path<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    match path.split_once('.') {
        Some((first, rest)) => at_path(document.get(first)?.as_document()?, rest),
        None => document.get(path),
    }
}

fn sql_value(value: Option<&Bson>) -> SqlValue {
    match value {
        Some(Bson::ObjectId(id)) => SqlValue::Blob(id.bytes().to_vec()),
        Some(Bson::Binary(binary)) => SqlValue::Blob(binary.bytes.clone()),
        Some(Bson::String(text)) => SqlValue::Text(text.clone()),
        Some(Bson::Boolean(truth)) => SqlValue::Integer(i64::from(*truth)),
        Some(Bson::DateTime(at)) => SqlValue::Integer(at.timestamp_millis()),
        Some(Bson::Int32(number)) => SqlValue::Integer(i64::from(*number)),
        Some(Bson::Int64(number)) => SqlValue::Integer(*number),
        Some(Bson::Double(number)) => SqlValue::Real(*number),
        _ => SqlValue::Null,
    }
}

fn count(conn: &Connection, from: &str) -> i64 {
    conn.query_row(&format!("SELECT count(*) FROM {from}"), [], |row| row.get(0)).unwrap()
}

fn left_in_file(conn: &Connection, now: Time) -> (i64, i64, i64) {
    let received = count(conn, r#"alerts WHERE "processing.status" IN ('received', 'processing')"#);
    let unsettled = count(conn, r#"alerts WHERE "processing.status" = 'processed' AND "alertcast.settledAt" IS NULL"#);
    let open = count(conn, OPEN);
    let waiting = if open > 0 && open <= LOOKED_AT_MAX { counts_that_wait(conn, now) } else { 0 };
    (received, unsettled, open - waiting)
}

fn counts_that_wait(conn: &Connection, now: Time) -> i64 {
    let mut statement = conn.prepare(&format!("SELECT doc FROM {OPEN}")).unwrap();
    let documents = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let deliveries = documents.filter_map(|bytes| alertcast_core::reading::decode::<Delivery>(&bytes.unwrap()).ok());
    let waiting = deliveries.filter(|delivery| delivery.kind == MessageKind::OperatorMore && delivery.due_at > now);
    i64::try_from(waiting.count()).unwrap()
}

// ---------------------------------------------------------------------------------------------------------------------
// MongoDB

/// A test's database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    uri: String,
    name: String,
    outside: Arc<Outside>,
}

/// A runtime beside the test's: a look waits for the server, and whoever looks does not wait for anything.
#[derive(Debug)]
struct Outside {
    runtime: Option<Runtime>,
    client: OnceLock<Client>,
}

impl Database {
    pub(super) fn new(uri: String, name: String) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { uri, name, outside: Arc::new(Outside { runtime: Some(runtime), client: OnceLock::new() }) }
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    fn ask<T: Send + 'static>(&self, ask: impl AsyncFnOnce(mongodb::Database) -> T + Send + 'static) -> T {
        let Outside { runtime, client } = &*self.outside;
        let runtime = runtime.as_ref().unwrap();
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                runtime.block_on(async {
                    if client.get().is_none() {
                        let _ = client.set(Client::with_uri_str(&self.uri).await.unwrap());
                    }
                    ask(client.get().unwrap().database(&self.name)).await
                })
            });
            asking.join().unwrap()
        })
    }

    fn count(&self, collection: Collection, filter: Document) -> i64 {
        self.ask(async move |db| {
            let found = db.collection::<Document>(collection.name()).count_documents(filter).await.unwrap();
            i64::try_from(found).unwrap()
        })
    }

    fn left(&self, now: Time) -> (i64, i64, i64) {
        self.ask(async move |db| {
            let count = async |collection: Collection, filter: Document| {
                let found = db.collection::<Document>(collection.name()).count_documents(filter).await.unwrap();
                i64::try_from(found).unwrap()
            };
            let to_process = doc! { "processing.status": { "$in": ["received", "processing"] } };
            let to_settle = doc! { "processing.status": "processed", "alertcast.settledAt": null };
            let now = bson::DateTime::from_millis(now.millis());
            let awaited = [doc! { "kind": { "$ne": "operator_more" } }, doc! { "dueAt": { "$lte": now } }];
            let open = doc! { "state": { "$in": ["pending", "sending"] }, "$or": awaited.to_vec() };
            (
                count(Collection::Alerts, to_process).await,
                count(Collection::Alerts, to_settle).await,
                count(Collection::Deliveries, open).await,
            )
        })
    }

    fn put_past_checks(&self, collection: Collection, document: Document) -> bool {
        self.ask(async move |db| {
            let this = doc! { "_id": { "$eq": document.get("_id").cloned() } };
            let these = db.collection::<Document>(collection.name());
            these.delete_one(this).await.is_ok()
                && these.insert_one(document).bypass_document_validation(true).await.is_ok()
        })
    }

    fn spoil_changes(&self) {
        self.ask(async move |db| {
            let these = db.collection::<Document>(Collection::Changes.name());
            let spoil = doc! { "$set": { "collection": 5, "documentId": "none" } };
            these.update_many(doc! {}, spoil).bypass_document_validation(true).await.unwrap();
        });
    }

    pub(super) fn drop_expiry(&self) {
        self.ask(async |db| {
            for collection in Collection::ALL {
                for index in collection.indexes().iter().filter(|index| index.ttl) {
                    let [(key, _)] = index.keys else { panic!("a TTL index has one key") };
                    let these = db.collection::<Document>(collection.name());
                    these.drop_index(format!("{key}_1")).await.unwrap();
                }
            }
        });
    }

    pub(super) fn drop_all(&self) {
        self.ask(async |db| {
            let names: Vec<String> = db.list_collection_names().await.unwrap();
            if !names.is_empty() {
                db.drop().await.unwrap();
            }
        });
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
