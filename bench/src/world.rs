//! A running Alertcast with so many subscribers, and a stand-in for Telegram without limits.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use alertcast::app::ObjectIds;
use alertcast::clock::SystemClock;
use alertcast::running::{self, Running};
use alertcast::settings::{LimitSettings, Settings, TelegramSettings, WebhookSettings};
use alertcast_core::id::IdSource as _;
use alertcast_core::store::{Collection, Documents as _, Write};
use alertcast_core::time::Time;
use alertcast_sqlite::SqliteStore;
use secrecy::SecretString;
use serde_json::{Value, json};
use telegram_sim::{SimConfig, SimServer};
use tempfile::TempDir;

const TOKEN: &str = "100001:bench-bot";
/// The webhook's secret.
pub(crate) const SECRET: &str = "bench-0123456789abcdef";
/// Subscribers stored by one write.
const BATCH: usize = 2_000;

/// The parts of a measurement. Dropped, its folder is removed.
pub(crate) struct World {
    pub(crate) running: Running,
    pub(crate) telegram: SimServer,
    /// Removed with it.
    _folder: TempDir,
}

impl World {
    /// Starts it, in a folder below `dir`, whose disk is the one that is measured.
    pub(crate) async fn start(
        dir: &std::path::Path,
        subscribers: usize,
        configurations: usize,
    ) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(dir)?;
        let telegram =
            telegram_sim::start(SimConfig::default().no_limits().keep_last(1_000).bot(TOKEN), "127.0.0.1:0").await?;
        let store = SqliteStore::open(folder.path(), &alertcast_sqlite::Options::default())?;
        store.setup().await?;
        fill(&store, subscribers, configurations).await?;
        let app = running::prepare(Arc::new(store), SystemClock::new(), settings(&folder, &telegram)?).await?;
        let running = running::start(app).await?;
        Ok(Self { running, telegram, _folder: folder })
    }

    /// Where alerts are posted.
    pub(crate) fn webhook(&self) -> String {
        format!("http://{}/webhook/{SECRET}", self.running.address)
    }

    /// Stops everything.
    pub(crate) async fn stop(self) {
        self.running.stop().await;
        self.telegram.stop().await;
    }
}

fn settings(folder: &TempDir, telegram: &SimServer) -> anyhow::Result<Settings> {
    let many = NonZeroU32::new(1_000_000).unwrap_or(NonZeroU32::MIN);
    Ok(Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: folder.path().to_owned(),
        webhook: WebhookSettings {
            secrets: vec![SecretString::from(SECRET)],
            requests_a_minute: many,
            ..WebhookSettings::default()
        },
        telegram: TelegramSettings {
            tokens: vec![SecretString::from(TOKEN)],
            api_url: telegram.url().parse()?,
            limits: LimitSettings { bot_per_second: many, chat_per_second: many, group_per_minute: many },
            ..TelegramSettings::default()
        },
        ..Settings::default()
    })
}

/// The symbol of a configuration.
pub(crate) fn symbol(index: usize) -> String {
    format!("BENCH{index}")
}

async fn fill(store: &SqliteStore, subscribers: usize, configurations: usize) -> anyhow::Result<()> {
    let ids = ObjectIds;
    let now = bson_date(Time::from_millis(1_700_000_000_000));
    let configs: Vec<_> = (0..configurations).map(|_| ids.next()).collect();
    let plan = ids.next();
    let mut writes = Vec::new();
    for (index, id) in configs.iter().enumerate() {
        writes.push(insert(
            Collection::AlertConfigurations,
            json!({"_id": oid(id), "name": symbol(index), "symbol": symbol(index), "timeframe": "1h",
                   "strategy": "Bench", "createdAt": now, "updatedAt": now}),
        )?);
    }
    let listed: Vec<Value> = configs.iter().map(oid).collect();
    writes.push(insert(
        Collection::SubscriptionPlans,
        json!({"_id": oid(&plan), "name": "Bench", "description": "Bench",
               "pricing": {"amount": 1, "duration": {"months": 1}}, "alertConfigurations": listed}),
    )?);
    store.write(writes).await?;
    let mut left = subscribers;
    while left > 0 {
        let count = left.min(BATCH);
        let mut writes = Vec::with_capacity(count * 2);
        for index in (subscribers - left)..(subscribers - left + count) {
            let user = ids.next();
            writes.push(insert(
                Collection::Users,
                json!({"_id": oid(&user), "email": format!("user{index}@example.com"),
                       "telegram": {"userId": (index + 1).to_string(), "chatId": (index + 1).to_string()},
                       "profile": {"name": format!("User {index}"), "timezone": "Asia/Kolkata"}, "createdAt": now}),
            )?);
            writes.push(insert(
                Collection::UserSubscriptions,
                json!({"_id": oid(&ids.next()), "userId": oid(&user), "subscriptionPlanId": oid(&plan),
                       "payment": {"transactionId": format!("T{index}"), "amount": 1, "status": "approved"},
                       "subscription": {"status": "active", "startDate": now,
                                        "endDate": bson_date(Time::from_millis(4_000_000_000_000))},
                       "createdAt": now}),
            )?);
        }
        store.write(writes).await?;
        left -= count;
    }
    Ok(())
}

fn insert(collection: Collection, value: Value) -> anyhow::Result<Write> {
    let document = bson::Document::try_from(value.as_object().cloned().unwrap_or_default())?;
    Ok(Write::Insert { collection, document })
}

fn oid(id: &bson::oid::ObjectId) -> Value {
    json!({"$oid": id.to_hex()})
}

fn bson_date(at: Time) -> Value {
    json!({"$date": {"$numberLong": at.millis().to_string()}})
}

/// Between two looks at something that is awaited.
pub(crate) const LOOK: Duration = Duration::from_millis(5);
