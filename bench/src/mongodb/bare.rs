//! The bare probes: the very documents that Alertcast wrote, written once more into the very collections, in
//! transactions with nothing around them.

use std::collections::HashMap;

use alertcast_core::decision::DecisionChunk;
use alertcast_core::store::{Collection, read};
use anyhow::Context as _;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use futures::TryStreamExt as _;
use mongodb::error::TRANSIENT_TRANSACTION_ERROR;
use mongodb::options::{Acknowledgment, ReadConcern, TransactionOptions, WriteConcern};
use mongodb::{ClientSession, Database};
use tokio::task::JoinSet;

use crate::probe::now;

/// Accepts alerts that were accepted before: for each its keys, its place in its configuration's order and itself in a
/// transaction; the configurations side by side. Answers transactions a second.
pub(crate) async fn accept_again(db: &Database, count: usize) -> anyhow::Result<f64> {
    let alerts = all(db, "alerts", doc! {}).await?;
    let mut keys: HashMap<ObjectId, Vec<Document>> = HashMap::new();
    for key in all(db, "intake_keys", doc! {}).await? {
        keys.entry(key.get_object_id("alertId")?).or_default().push(key);
    }
    db.collection::<Document>("alerts").delete_many(doc! {}).await?;
    db.collection::<Document>("intake_keys").delete_many(doc! {}).await?;
    let mut by_config: HashMap<ObjectId, Vec<(Document, Vec<Document>)>> = HashMap::new();
    let count = count.min(alerts.len());
    for alert in alerts.into_iter().take(count) {
        let config = alert.get_document("processing")?.get_object_id("alertConfigId")?;
        let keys = keys.remove(&alert.get_object_id("_id")?).unwrap_or_default();
        by_config.entry(config).or_default().push((alert, keys));
    }
    let begun = now();
    let mut tasks = JoinSet::new();
    for (config, alerts) in by_config {
        let db = db.clone();
        tasks.spawn(async move {
            for (alert, keys) in alerts {
                accept(&db, config, alert, keys).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

async fn accept(db: &Database, config: ObjectId, alert: Document, keys: Vec<Document>) -> anyhow::Result<()> {
    let mut session = begin(db).await?;
    let counters = db.collection::<Document>("counters");
    let place =
        counters.find_one_and_update(doc! { "_id": format!("bench:{config}") }, doc! { "$inc": { "seq": 1_i64 } });
    place.upsert(true).session(&mut session).await?;
    let claims = keys.into_iter().map(|mut key| {
        let (id, until) = (key.remove("_id"), key.get("until").cloned());
        doc! { "q": { "_id": id, "until": { "$lte": until } }, "u": { "$set": key }, "upsert": true }
    });
    update(db, &mut session, "intake_keys", claims.collect()).await?;
    db.collection("alerts").insert_one(alert).session(&mut session).await?;
    Ok(session.commit_transaction().await?)
}

/// One alert's chunks.
#[derive(Debug)]
pub(crate) struct BareChunks {
    alert: ObjectId,
    config: ObjectId,
    chunks: Vec<BareChunk>,
    subscribers: usize,
}

#[derive(Debug, Default)]
struct BareChunk {
    trades: Vec<Document>,
    deliveries: Vec<Document>,
    decisions: Vec<Document>,
    quotas: Vec<Document>,
    subscriptions: Vec<Bson>,
}

impl BareChunks {
    /// Reads what the alert on this symbol wrote, and takes it out.
    pub(crate) async fn take_out(db: &Database, symbol: &str, size: usize) -> anyhow::Result<Self> {
        let found = all(db, "alerts", doc! { "alertData.symbol": symbol }).await?;
        let [alert] = &found[..] else { anyhow::bail!("{} alerts on {symbol}", found.len()) };
        let (alert, config) =
            (alert.get_object_id("_id")?, alert.get_document("processing")?.get_object_id("alertConfigId")?);
        let mut chunks: Vec<BareChunk> = Vec::new();
        let mut place = HashMap::new();
        for mut one in all(db, "decisions", doc! { "alertId": alert }).await? {
            let decided: DecisionChunk = read(Collection::Decisions, one.clone())?;
            place.extend(decided.decisions.iter().map(|decision| (decision.user.0, chunks.len())));
            one.insert("_id", ObjectId::new());
            chunks.push(BareChunk { decisions: vec![one], ..BareChunk::default() });
        }
        anyhow::ensure!(chunks.iter().len() <= place.len().div_ceil(size), "chunks of another size than {size}");
        let at = |document: &Document, field: &str| -> anyhow::Result<Option<usize>> {
            Ok(place.get(&document.get_object_id(field)?).copied())
        };
        for trade in all(db, "trades", doc! { "alertConfigId": config }).await? {
            let chunk = at(&trade, "userId")?.context("a trade that nobody decided")?;
            chunks[chunk].trades.push(trade);
        }
        for delivery in all(db, "deliveries", doc! { "alertId": alert }).await? {
            let chunk = at(&delivery, "userId")?.context("a delivery that nobody decided")?;
            chunks[chunk].deliveries.push(delivery);
        }
        for quota in all(db, "quotas", doc! {}).await? {
            if let Some(chunk) = at(&quota, "_id")? {
                chunks[chunk].quotas.push(quota);
            }
        }
        for held in all(db, "user_subscriptions", doc! {}).await? {
            if let Some(chunk) = at(&held, "userId")? {
                chunks[chunk].subscriptions.extend(held.get("_id").cloned());
            }
        }
        db.collection::<Document>("trades").delete_many(doc! { "alertConfigId": config }).await?;
        db.collection::<Document>("deliveries").delete_many(doc! { "alertId": alert }).await?;
        db.collection::<Document>("decisions").delete_many(doc! { "alertId": alert }).await?;
        Ok(Self { alert, config, chunks, subscribers: place.len() })
    }

    /// Writes it again, a transaction a chunk. Answers subscribers a second.
    pub(crate) async fn commit(self, db: &Database) -> anyhow::Result<f64> {
        let begun = now();
        for chunk in self.chunks {
            loop {
                match write(db, self.alert, self.config, &chunk).await {
                    Err(error) if is_transient(&error) => {}
                    done => break done?,
                }
            }
        }
        Ok(self.subscribers as f64 / begun.elapsed().as_secs_f64())
    }
}

fn is_transient(error: &anyhow::Error) -> bool {
    error.downcast_ref::<mongodb::error::Error>().is_some_and(|error| error.contains_label(TRANSIENT_TRANSACTION_ERROR))
}

/// The statements of a chunk's commit.
async fn write(db: &Database, alert: ObjectId, config: ObjectId, chunk: &BareChunk) -> anyhow::Result<()> {
    let mut session = begin(db).await?;
    let these = |name: &str| db.collection::<Document>(name);
    let leases = these("leases");
    let fence = leases.update_one(doc! { "_id": "bench" }, doc! { "$inc": { "commits": 1_i64 } });
    fence.upsert(true).session(&mut session).await?;
    let moved = doc! { "$set": { "alertcast.bench": ObjectId::new() } };
    these("alerts").update_one(doc! { "_id": alert }, moved).session(&mut session).await?;
    let quotas = chunk.quotas.iter().map(|quota| {
        let mut set = quota.clone();
        let id = set.remove("_id");
        doc! { "q": { "_id": id }, "u": { "$set": set } }
    });
    update(db, &mut session, "quotas", quotas.collect()).await?;
    for (name, documents) in
        [("trades", &chunk.trades), ("deliveries", &chunk.deliveries), ("decisions", &chunk.decisions)]
    {
        if !documents.is_empty() {
            these(name).insert_many(documents).session(&mut session).await?;
        }
    }
    let counters = doc! { "$inc": { "usage.alertsReceived": 1, "usage.tradesOpened": 1 } };
    let usage = chunk.subscriptions.iter().map(|id| doc! { "q": { "_id": id }, "u": counters.clone() });
    update(db, &mut session, "user_subscriptions", usage.collect()).await?;
    let counted = doc! { "$inc": { "statistics.totalAlerts": 1 } };
    these("alert_configurations").update_one(doc! { "_id": config }, counted).session(&mut session).await?;
    Ok(session.commit_transaction().await?)
}

async fn update(
    db: &Database,
    session: &mut ClientSession,
    collection: &str,
    updates: Vec<Document>,
) -> anyhow::Result<()> {
    if !updates.is_empty() {
        db.run_command(doc! { "update": collection, "updates": updates, "ordered": true }).session(session).await?;
    }
    Ok(())
}

async fn begin(db: &Database) -> anyhow::Result<ClientSession> {
    let mut session = db.client().start_session().await?;
    let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
    let options = TransactionOptions::builder().read_concern(ReadConcern::snapshot()).write_concern(durable).build();
    session.start_transaction().with_options(options).await?;
    Ok(session)
}

async fn all(db: &Database, collection: &str, filter: Document) -> anyhow::Result<Vec<Document>> {
    let cursor = db.collection::<Document>(collection).find(filter).sort(doc! { "_id": 1 }).await?;
    Ok(cursor.try_collect().await?)
}
