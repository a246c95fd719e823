//! A data folder with configurations and so many subscribers to all of them.

use std::path::Path;
use std::time::Duration;

use alertcast::base::ObjectIds;
use alertcast_core::id::IdSource as _;
use alertcast_core::store::{Collection, DocumentStore, DocumentWrite};
use alertcast_core::time::Time;
use alertcast_sqlite::SqliteStore;
use bson::oid::ObjectId;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const TOKEN: &str = "100001:bench-bot";
const BOT: &str = "100001";
/// The webhook's secret.
pub(crate) const SECRET: &str = "bench-0123456789abcdef";
/// Since when everybody subscribes.
const LONG_AGO: i64 = 1_700_000_000_000;
/// Subscribers stored by one write.
const BATCH: usize = 2_000;
/// Between two looks at something that is awaited.
const LOOK: Duration = Duration::from_millis(20);
/// Long enough for anything; a measurement that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(900);

/// A folder under measurement. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct BenchFolder {
    folder: TempDir,
}

impl BenchFolder {
    /// Makes it below `dir`, whose disk is the one that is measured.
    pub(crate) async fn make(dir: &Path, subscribers: usize, configurations: usize) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(dir)?;
        let store = SqliteStore::open(folder.path(), &alertcast_sqlite::SqliteOptions::default())?;
        store.setup().await?;
        fill(&store, subscribers, configurations).await?;
        Ok(Self { folder })
    }

    /// The same with one subscriber to each configuration, who has none of the others.
    pub(crate) async fn make_apart(dir: &Path, configurations: usize) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(dir)?;
        let store = SqliteStore::open(folder.path(), &alertcast_sqlite::SqliteOptions::default())?;
        store.setup().await?;
        let now = date(Time::from_millis(LONG_AGO));
        for index in 0..configurations {
            let (config, plan) = (ObjectIds.next(), ObjectIds.next());
            let writes = [configuration(&config, index, &now)?, plan_of(&plan, index, &[config])?];
            store.write(writes.into_iter().chain(subscriber(index, &plan, &now)?).collect()).await?;
        }
        Ok(Self { folder })
    }

    pub(crate) fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until so many alerts are processed.
    pub(crate) async fn wait_processed(&self, alerts: usize) -> anyhow::Result<()> {
        let conn = self.connect()?;
        let mut count = conn.prepare(r#"SELECT count(*) FROM alerts WHERE "processing.status" = 'processed'"#)?;
        for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
            let processed: i64 = count.query_row([], |row| row.get(0))?;
            if usize::try_from(processed)? >= alerts {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        anyhow::bail!("the alerts were not processed in {} s", PATIENCE.as_secs())
    }

    /// How many bytes the documents of a table have together.
    pub(crate) fn count_bytes(&self, table: &str) -> anyhow::Result<f64> {
        let sql = format!("SELECT CAST(total(length(doc)) AS REAL) FROM {table}");
        Ok(self.connect()?.query_row(&sql, [], |row| row.get(0))?)
    }

    fn connect(&self) -> anyhow::Result<Connection> {
        let database = self.dir().join("alertcast.db");
        Ok(Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
    }
}

/// The symbol of a configuration.
pub(crate) fn symbol(index: usize) -> String {
    format!("BENCH{index}")
}

/// An alert as TradingView posts it.
pub(crate) fn alert(symbol: &str, signal: &str, id: &str) -> String {
    format!(
        "{{\"symbol\":\"{symbol}\",\"timeframe\":\"60\",\"strategy\":\"Bench\",\"signal\":\"{signal}\",\
         \"price\":100.5,\"tp\":110,\"sl\":95,\"alert_id\":\"{id}\"}}"
    )
}

/// Puts configurations, and subscribers to all of them, into a store.
pub(crate) async fn fill(store: &dyn DocumentStore, subscribers: usize, configurations: usize) -> anyhow::Result<()> {
    let now = date(Time::from_millis(LONG_AGO));
    let configs: Vec<_> = (0..configurations).map(|_| ObjectIds.next()).collect();
    let plan = ObjectIds.next();
    let listed = configs.iter().enumerate().map(|(index, id)| configuration(id, index, &now));
    let mut writes = listed.collect::<anyhow::Result<Vec<_>>>()?;
    writes.push(plan_of(&plan, 0, &configs)?);
    store.write(writes).await?;
    for first in (0..subscribers).step_by(BATCH) {
        let mut writes = Vec::with_capacity(BATCH * 2);
        for index in first..subscribers.min(first + BATCH) {
            writes.extend(subscriber(index, &plan, &now)?);
        }
        store.write(writes).await?;
    }
    Ok(())
}

fn configuration(id: &ObjectId, index: usize, now: &Value) -> anyhow::Result<DocumentWrite> {
    insert(
        Collection::AlertConfigurations,
        json!({"_id": oid(id), "name": symbol(index), "symbol": symbol(index), "timeframe": "1h",
               "strategy": "Bench", "createdAt": now, "updatedAt": now}),
    )
}

fn plan_of(id: &ObjectId, index: usize, configs: &[ObjectId]) -> anyhow::Result<DocumentWrite> {
    let listed: Vec<Value> = configs.iter().map(oid).collect();
    insert(
        Collection::SubscriptionPlans,
        json!({"_id": oid(id), "name": format!("Bench {index}"), "description": "Bench",
               "pricing": {"amount": 1, "duration": {"months": 1}}, "alertConfigurations": listed}),
    )
}

/// A user with a running subscription.
fn subscriber(index: usize, plan: &ObjectId, now: &Value) -> anyhow::Result<[DocumentWrite; 2]> {
    let user = ObjectIds.next();
    Ok([
        insert(
            Collection::Users,
            json!({"_id": oid(&user), "email": format!("user{index}@example.com"),
                   "telegram": {"userId": (index + 1).to_string(), "chatId": (index + 1).to_string()},
                   "profile": {"name": format!("User {index}"), "timezone": "Asia/Kolkata"},
                   "status": "active", "preferences": {"trading": {"maxDailyAlerts": 1_000}},
                   "alertcast": {"botId": BOT}, "createdAt": now}),
        )?,
        insert(
            Collection::UserSubscriptions,
            json!({"_id": oid(&ObjectIds.next()), "userId": oid(&user), "subscriptionPlanId": oid(plan),
                   "payment": {"transactionId": format!("T{index}"), "amount": 1, "status": "approved"},
                   "subscription": {"status": "active", "startDate": now,
                                    "endDate": date(Time::from_millis(4_000_000_000_000))},
                   "createdAt": now}),
        )?,
    ])
}

fn insert(collection: Collection, value: Value) -> anyhow::Result<DocumentWrite> {
    let document = bson::Document::try_from(value.as_object().cloned().unwrap_or_default())?;
    Ok(DocumentWrite::Insert { collection, document })
}

fn oid(id: &ObjectId) -> Value {
    json!({"$oid": id.to_hex()})
}

fn date(at: Time) -> Value {
    json!({"$date": {"$numberLong": at.millis().to_string()}})
}
