//! The webhook's port: accepting, refusing, and what the rules need to know of earlier alerts.

use std::collections::BTreeMap;

use alertcast_core::alert::document::{Alert, AlertStatus, PricePoint};
use alertcast_core::id::{AlertId, ConfigId};
use alertcast_core::market::Signal;
use alertcast_core::money::Price;
use alertcast_core::store::{
    Acceptance, Collection, Intake, IntakeKey, Notice, RejectedWebhook, Result as StoreResult, StoreError, document,
    partition_of,
};
use alertcast_core::time::Time;
use async_trait::async_trait;
use bson::{Bson, Document, doc};
use mongodb::options::ReadConcern;

use crate::connect::MongoStore;
use crate::error::{Fault, Result};
use crate::notice;
use crate::query::{Query, at_path, whole};
use crate::setup::COUNTERS;
use crate::transact::{Tx, Update, bounded};

/// How many prices of the past a new one is held against.
const RECENT_PRICES: usize = 8;

/// So often a key is offered again that was taken at first and free when its holder was looked for.
const CLAIMS_MAX: u32 = 5;

#[async_trait]
impl Intake for MongoStore {
    async fn receipt_mark(&self, config: ConfigId) -> StoreResult<i64> {
        bounded(async {
            // A primary that has been replaced and does not know it must not answer.
            let counters = self.db.collection::<Document>(COUNTERS);
            let counter = counters.find_one(doc! { "_id": order_of(Some(config)) });
            let counter = counter.read_concern(ReadConcern::linearizable()).await?;
            Ok(counter.and_then(|counter| whole(counter.get("seq")?)).unwrap_or(0))
        })
        .await
    }

    async fn recent_prices(&self, config: ConfigId, since: Time) -> StoreResult<Vec<PricePoint>> {
        let filter = doc! {
            "processing.alertConfigId": config, "webhook.receivedAt": { "$gte": since },
            "alertData.signal": { "$in": [Signal::Buy, Signal::Sell] },
            "alertcast.refusedFor": { "$in": [null, [], ["price_tolerance"]] },
        };
        let query = Query::new(filter).sorted(doc! { "webhook.receivedAt": -1 }).limit(RECENT_PRICES);
        let fields = doc! { "webhook.receivedAt": 1, "alertData.price": 1, "alertcast.refusedFor": 1 };
        let found = self.find(Collection::Alerts, query.fields(fields)).await?;
        found.iter().map(price_point).collect()
    }

    async fn find_duplicate(&self, keys: &[IntakeKey], now: Time) -> StoreResult<Option<AlertId>> {
        let names: Vec<&str> = keys.iter().map(|key| key.key.as_str()).collect();
        let query = Query::new(doc! { "_id": { "$in": names }, "until": { "$gt": now } });
        let Some(held) = self.find_first(Collection::IntakeKeys, query).await? else {
            return Ok(None);
        };
        let holder = held.get_object_id("alertId").map(AlertId);
        holder.map(Some).map_err(|_| StoreError::Corrupt("intake_keys: a key without an alert".to_owned()))
    }

    async fn accept_alert(&self, mut alert: Alert, keys: Vec<IntakeKey>, now: Time) -> StoreResult<Acceptance> {
        let partition = alert.processing.alert_config_id.map(partition_of);
        alert.alertcast.partition = alert.alertcast.partition.or(partition);
        let offer = Offer::of(&alert, &keys, now)?;
        for _ in 0..CLAIMS_MAX {
            let turn = [offer.order.as_str()];
            let accepted = self.transact(&turn, offer.clone(), |tx, offer| Box::pin(accept(tx, offer))).await;
            match accepted {
                Err(StoreError::AlreadyExists { collection: Collection::IntakeKeys, .. }) => {
                    if let Some(of) = self.find_duplicate(&keys, now).await? {
                        return Ok(Acceptance::Duplicate { of });
                    }
                }
                // Offered again by a caller that had no answer.
                Err(StoreError::AlreadyExists { collection: Collection::Alerts, .. }) => return Ok(Acceptance::Stored),
                answer => return answer.map(|()| Acceptance::Stored),
            }
        }
        Err(StoreError::Unavailable("a key is given and taken all the time".to_owned()))
    }

    async fn refuse_alert(&self, alert: Alert, notices: Vec<Notice>) -> StoreResult<()> {
        let document = document(&alert)?;
        keep_once(self, (Collection::Alerts, document, notices)).await
    }

    async fn reject_webhook(&self, rejected: RejectedWebhook, notices: Vec<Notice>) -> StoreResult<()> {
        let document = document(&rejected)?;
        keep_once(self, (Collection::RejectedWebhooks, document, notices)).await
    }
}

/// The counter of the order in which a configuration's alerts were accepted.
pub(crate) fn order_of(config: Option<ConfigId>) -> String {
    config.map_or_else(|| "order".to_owned(), |config| format!("order:{config}"))
}

/// An alert that is offered.
#[derive(Clone)]
struct Offer {
    alert: Document,
    claims: Vec<Update>,
    order: String,
    now: Time,
}

impl Offer {
    fn of(alert: &Alert, keys: &[IntakeKey], now: Time) -> StoreResult<Self> {
        // Sorted, so that rivals meet at the first that they share.
        let keys: BTreeMap<&str, Time> = keys.iter().map(|key| (key.key.as_str(), key.until)).collect();
        let claim = |(key, until): (&str, Time)| {
            let free = doc! { "_id": key, "until": { "$lte": now } };
            Update::upsert(free, doc! { "$set": { "alertId": alert.id, "until": until } })
        };
        let claims = keys.into_iter().map(claim).collect();
        Ok(Self { alert: document(alert)?, claims, order: order_of(alert.processing.alert_config_id), now })
    }
}

/// A key that is held fails its upsert: the filter does not match, and the id exists.
async fn accept(tx: &mut Tx, offer: &Offer) -> Result<()> {
    let seq = next_place(tx, &offer.order, offer.now).await?;
    if !offer.claims.is_empty() {
        tx.updates(Collection::IntakeKeys.name(), offer.claims.clone()).await?;
    }
    let mut alert = offer.alert.clone();
    if let Ok(extension) = alert.get_document_mut("alertcast") {
        extension.insert("seq", seq);
    }
    tx.insert(Collection::Alerts, vec![alert]).await
}

/// The next place in the order of a configuration's alerts: above the last, and near the moment, so that the alerts of
/// different configurations are worked on about as they came.
pub(crate) async fn next_place(tx: &mut Tx, order: &str, now: Time) -> Result<i64> {
    let next = doc! { "$max": [{ "$add": [{ "$ifNull": ["$seq", 0_i64] }, 1_i64] }, now.millis()] };
    let counter = tx.change_counter(COUNTERS, order, vec![doc! { "$set": { "seq": next } }]).await?;
    let seq = counter.get("seq").and_then(whole);
    seq.ok_or_else(|| Fault::Store(StoreError::Corrupt(format!("{COUNTERS} {order}: no number"))))
}

/// Keeps a document and gives its notices, unless that has been done.
async fn keep_once(store: &MongoStore, kept: (Collection, Document, Vec<Notice>)) -> StoreResult<()> {
    let (of, turn) = (kept.0, notice::gates(&kept.2));
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

fn price_point(alert: &Document) -> StoreResult<PricePoint> {
    let refused = at_path(alert, "alertcast.refusedFor").and_then(Bson::as_array);
    let price = match at_path(alert, "alertData.price") {
        Some(Bson::Double(price)) => Some(*price),
        #[expect(clippy::cast_precision_loss, reason = "a price of more than 2^53 is none")]
        Some(other) => whole(other).map(|price| price as f64),
        None => None,
    };
    let price = price.and_then(|price| Price::from_f64(price).ok());
    let at = at_path(alert, "webhook.receivedAt").and_then(Bson::as_datetime);
    let (Some(price), Some(at)) = (price, at) else {
        return Err(StoreError::Corrupt("alerts: an alert without a price or a time".to_owned()));
    };
    Ok(PricePoint { price, at: Time::from(*at), accepted: refused.is_none_or(Vec::is_empty) })
}

/// The states of an alert that is still to be worked on.
pub(crate) fn pending_states() -> Bson {
    Bson::from(vec![AlertStatus::Received, AlertStatus::Processing])
}
