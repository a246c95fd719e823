//! The webhook's port: accepting, refusing, and what the rules need to know of earlier alerts.

pub(crate) mod accept;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use alertcast_core::alert::document::{Alert, AlertStatus, PricePoint};
use alertcast_core::id::{AlertId, ConfigId};
use alertcast_core::market::Signal;
use alertcast_core::money::{MAGNITUDE_MAX, Price};
use alertcast_core::store::{
    AlertAcceptance, AlertIntake, Collection, IntakeKey, OperatorNotice, RejectedWebhook, StoreError, StoreResult,
    document,
};
use alertcast_core::time::Time;
use async_trait::async_trait;
use bson::{Bson, Document, doc};
use mongodb::options::ReadConcern;

use crate::engine::alert_order::ORDER;
use crate::engine::batcher::{BatchWaiter, RequestBatcher};
use crate::engine::notices;
use crate::engine::query::{MongoQuery, at_path, whole};
use crate::engine::setup::COUNTERS;
use crate::store::MongoStore;

/// How many prices of the past a new one is held against.
const RECENT_PRICES: usize = 8;

/// Those who wait for a mark: one counter gives the places of all configurations.
pub(crate) type MarkRequests = RequestBatcher<(), i64>;

/// Of each configuration, the time of the oldest of its newest prices, as they were known last.
#[derive(Debug, Default)]
pub(crate) struct PriceFloors(Mutex<HashMap<ConfigId, Time>>);

impl PriceFloors {
    fn of(&self, config: ConfigId) -> Option<Time> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&config).copied()
    }

    fn set(&self, config: ConfigId, floor: Time) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(config, floor);
    }
}

#[async_trait]
impl AlertIntake for MongoStore {
    /// One reading for all who wait for it: it begins after each of them asked.
    async fn receipt_mark(&self, _: ConfigId) -> StoreResult<i64> {
        let from = self.clone();
        self.marks.wait((), std::mem::take, move |waiting| tell_mark(from.clone(), waiting)).await
    }

    /// Those that were the newest before bound what is looked through: the newest now are not older, unless one of them
    /// is gone, and then too few are found.
    async fn recent_prices(&self, config: ConfigId, since: Time) -> StoreResult<Vec<PricePoint>> {
        let known = self.floors.of(config).filter(|floor| *floor > since);
        let mut prices = prices_since(self, config, known.unwrap_or(since)).await?;
        if known.is_some() && prices.len() < RECENT_PRICES {
            prices = prices_since(self, config, since).await?;
        }
        if let Some(oldest) = prices.get(RECENT_PRICES - 1) {
            self.floors.set(config, oldest.at);
        }
        Ok(prices)
    }

    async fn find_duplicate(&self, keys: &[IntakeKey], now: Time) -> StoreResult<Option<AlertId>> {
        let names: Vec<&str> = keys.iter().map(|key| key.key.as_str()).collect();
        let query = MongoQuery::new(doc! { "_id": { "$in": names }, "until": { "$gt": now } });
        let Some(held) = self.find_first(Collection::IntakeKeys, query).await? else {
            return Ok(None);
        };
        let holder = held.get_object_id("alertId").map(AlertId);
        holder.map(Some).map_err(|_| StoreError::Corrupt("intake_keys: a key without an alert".to_owned()))
    }

    async fn accept_alert(&self, alert: Alert, keys: Vec<IntakeKey>, now: Time) -> StoreResult<AlertAcceptance> {
        accept::accept(self, alert, keys, now).await
    }

    async fn refuse_alert(&self, alert: Alert, notices: Vec<OperatorNotice>) -> StoreResult<()> {
        let document = document(&alert)?;
        keep_once(self, (Collection::Alerts, document, notices)).await
    }

    async fn reject_webhook(&self, rejected: RejectedWebhook, notices: Vec<OperatorNotice>) -> StoreResult<()> {
        let document = document(&rejected)?;
        keep_once(self, (Collection::RejectedWebhooks, document, notices)).await
    }
}

async fn prices_since(store: &MongoStore, config: ConfigId, since: Time) -> StoreResult<Vec<PricePoint>> {
    let filter = doc! {
        "processing.alertConfigId": config, "webhook.receivedAt": { "$gte": since },
        "alertData.signal": { "$in": [Signal::Buy, Signal::Sell] },
        "alertcast.refusedFor": { "$in": [null, [], ["price_tolerance"]] },
        // What is no price does not take the place of one.
        "alertData.price": { "$gte": -MAGNITUDE_MAX, "$lte": MAGNITUDE_MAX },
    };
    let query = MongoQuery::new(filter).sort_by(doc! { "webhook.receivedAt": -1 }).limit(RECENT_PRICES);
    let fields = doc! { "webhook.receivedAt": 1, "alertData.price": 1, "alertcast.refusedFor": 1 };
    let found = store.find(Collection::Alerts, query.fields(fields)).await?;
    Ok(found.iter().filter_map(price_point).collect())
}

async fn tell_mark(store: MongoStore, waiting: Vec<BatchWaiter<(), i64>>) {
    let read = store.link.run_bounded(async {
        // A primary that has been replaced and does not know it must not answer.
        let counters = store.db().collection::<Document>(COUNTERS);
        let counter = counters.find_one(doc! { "_id": ORDER });
        let counter = counter.read_concern(ReadConcern::linearizable()).await?;
        Ok(counter.and_then(|counter| whole(counter.get("seq")?)).unwrap_or(0))
    });
    let mark = read.await;
    for ((), answer) in waiting {
        // Who has gone needs none.
        let _ = answer.send(mark.clone());
    }
}

/// Keeps a document and gives its notices, unless that has been done.
async fn keep_once(store: &MongoStore, kept: (Collection, Document, Vec<OperatorNotice>)) -> StoreResult<()> {
    let (of, turn) = (kept.0, notices::gates(&kept.2));
    let done = store.transact(turn, kept, |tx, (collection, document, notices)| {
        Box::pin(async move {
            tx.insert(*collection, vec![document.clone()]).await?;
            tx.give_notices(notices).await
        })
    });
    match done.await {
        Err(StoreError::AlreadyExists { collection, field }) if collection == of && field == "_id" => Ok(()),
        answer => answer,
    }
}

/// None for one that cannot be read: the others are what a new price is held against.
fn price_point(alert: &Document) -> Option<PricePoint> {
    let refused = at_path(alert, "alertcast.refusedFor").and_then(Bson::as_array);
    let price = Price::of(at_path(alert, "alertData.price")?).ok()?;
    let at = at_path(alert, "webhook.receivedAt")?.as_datetime()?;
    Some(PricePoint { price, at: Time::from(*at), accepted: refused.is_none_or(Vec::is_empty) })
}

/// The states of an alert that is still to be worked on.
pub(crate) fn pending_states() -> Bson {
    Bson::from(vec![AlertStatus::Received, AlertStatus::Processing])
}
