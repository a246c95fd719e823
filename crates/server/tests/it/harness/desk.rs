//! A look into the embedded store's file from outside, while the program runs or after its end.

use std::path::{Path, PathBuf};

use alertcast_core::delivery::{Delivery, MessageKind};
use rusqlite::{Connection, OpenFlags};

/// More open deliveries than this are not looked at one by one.
const LOOKED_AT_MAX: i64 = 64;

/// The file of the embedded store.
#[derive(Debug, Clone)]
pub(crate) struct Desk(PathBuf);

impl Desk {
    pub(crate) fn in_folder(data_dir: &Path) -> Self {
        Self(data_dir.join("alertcast.db"))
    }

    /// Whether nothing is left to be done now: every alert is processed and settled, no delivery is open, but for the
    /// operators' counts that wait for the end of their window.
    pub(crate) fn is_quiet(&self) -> bool {
        self.busy().is_none()
    }

    /// What is left to be done, in words.
    pub(crate) fn busy(&self) -> Option<String> {
        let conn = self.open();
        let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let received = count(r#"SELECT count(*) FROM alerts WHERE "processing.status" IN ('received', 'processing')"#);
        let unsettled = count(
            r#"SELECT count(*) FROM alerts WHERE "processing.status" = 'processed' AND "alertcast.settledAt" IS NULL"#,
        );
        let open = count(&format!("SELECT count(*) FROM deliveries WHERE {OPEN}"));
        let waiting = if open > 0 && open <= LOOKED_AT_MAX { counts_that_wait(&conn) } else { 0 };
        let busy = received + unsettled + open - waiting;
        (busy > 0).then(|| format!("{received} alerts to process, {unsettled} to settle, {open} deliveries open"))
    }

    /// How many rows a condition finds in a table.
    pub(crate) fn count(&self, table: &str, condition: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table} WHERE {condition}");
        self.open().query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    /// What SQLite itself finds wrong with the file: nothing, if it is whole.
    pub(crate) fn integrity(&self) -> String {
        self.open().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap()
    }

    fn open(&self) -> Connection {
        Connection::open_with_flags(&self.0, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
    }
}

const OPEN: &str = "\"state\" IN ('pending', 'sending')";

fn counts_that_wait(conn: &Connection) -> i64 {
    let mut statement = conn.prepare(&format!("SELECT doc FROM deliveries WHERE {OPEN}")).unwrap();
    let documents = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let deliveries = documents.map(|bytes| bson::deserialize_from_slice::<Delivery>(&bytes.unwrap()).unwrap());
    i64::try_from(deliveries.filter(|delivery| delivery.kind == MessageKind::OperatorMore).count()).unwrap()
}
