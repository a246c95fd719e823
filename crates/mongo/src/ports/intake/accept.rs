//! Accepting alerts, together, so that the price of a commit is shared ([`batcher`](crate::engine::batcher)).
//!
//! Where one of several cannot be stored, because a key of it is held or the validator refuses it, the transaction is
//! undone, and each goes by itself; the next do not wait for them.
//!
//! What all alerts share is the counter of their places, and that is never changed within a transaction: one that a
//! process left open when it died holds up nobody but a rival for the same key. A place that is taken and not used is a
//! gap.

use std::collections::{BTreeMap, BTreeSet};

use alertcast_core::alert::document::Alert;
use alertcast_core::id::AlertId;
use alertcast_core::store::{
    AlertAcceptance, AlertIntake as _, Collection, IntakeKey, StoreError, StoreResult, document, partition_of,
};
use alertcast_core::time::Time;
use bson::{Document, doc};
use mongodb::options::{ReturnDocument, WriteConcern};

use crate::engine::alert_order::ORDER;
use crate::engine::batcher::{BatchWaiter, RequestBatcher};
use crate::engine::query::whole;
use crate::engine::setup::COUNTERS;
use crate::engine::transact::{BulkUpdate, MongoTransaction};
use crate::error::{MongoError, MongoResult, senseless};
use crate::store::MongoStore;

/// So many alerts go into one transaction; what a sender can make large is bounded by the webhook.
const BATCH_MAX: usize = 64;

/// So often the counter of places is looked for when others make it at the same time.
const FIRSTS_MAX: u32 = 5;

/// So often a key is offered again that was taken at first and free when its holder was looked for.
const CLAIMS_MAX: u32 = 5;

/// Alerts that wait to be stored.
pub(crate) type AlertOffers = RequestBatcher<AlertOffer, AlertAcceptance>;

/// An alert that is offered.
#[derive(Debug, Clone)]
pub(crate) struct AlertOffer {
    id: AlertId,
    alert: Document,
    /// Each once, sorted, so that rivals meet at the first that they share.
    keys: BTreeMap<String, Time>,
    now: Time,
}

impl AlertOffer {
    fn of(mut alert: Alert, keys: Vec<IntakeKey>, now: Time) -> StoreResult<Self> {
        let partition = alert.processing.alert_config_id.map(partition_of);
        alert.alertcast.partition = alert.alertcast.partition.or(partition);
        Ok(Self {
            id: alert.id,
            alert: document(&alert)?,
            keys: keys.into_iter().map(|key| (key.key, key.until)).collect(),
            now,
        })
    }

    /// A key that is held fails its upsert: the filter does not match, and the id exists.
    fn claims(&self) -> impl Iterator<Item = BulkUpdate> + '_ {
        self.keys.iter().map(|(key, until)| {
            let free = doc! { "_id": key, "until": { "$lte": self.now } };
            BulkUpdate::upsert(free, doc! { "$set": { "alertId": self.id, "until": *until } })
        })
    }

    fn intake_keys(&self) -> Vec<IntakeKey> {
        self.keys.iter().map(|(key, until)| IntakeKey { key: key.clone(), until: *until }).collect()
    }
}

/// Stores an alert, with others that come at the same time.
pub(crate) async fn accept(
    store: &MongoStore,
    alert: Alert,
    keys: Vec<IntakeKey>,
    now: Time,
) -> StoreResult<AlertAcceptance> {
    let offer = AlertOffer::of(alert, keys, now)?;
    let to = store.clone();
    store.offers.wait(offer, next_batch, move |batch| store_batch(to.clone(), batch)).await
}

/// Takes the first out, as many as go together: of several with a common key, the first.
fn next_batch<T>(waiting: &mut Vec<(AlertOffer, T)>) -> Vec<(AlertOffer, T)> {
    let mut keys = BTreeSet::new();
    let mut taken = 0;
    let goes = |(offer, _): &mut (AlertOffer, T)| {
        let together = taken < BATCH_MAX && offer.keys.keys().all(|key| !keys.contains(key));
        keys.extend(offer.keys.keys().cloned());
        taken += usize::from(together);
        together
    };
    waiting.extract_if(.., goes).collect()
}

async fn store_batch(store: MongoStore, batch: Vec<BatchWaiter<AlertOffer, AlertAcceptance>>) {
    let (offers, answers): (Vec<AlertOffer>, Vec<_>) = batch.into_iter().unzip();
    let stored = together(&store, offers.clone()).await;
    let goes_alone = matches!(stored, Ok(false) | Err(StoreError::AlreadyExists { .. } | StoreError::Corrupt(_)));
    for (offer, answer) in offers.into_iter().zip(answers) {
        // Who has gone meanwhile may find it stored when it is offered again.
        if goes_alone {
            let store = store.clone();
            tokio::spawn(async move { answer.send(alone(&store, offer).await) });
        } else {
            let _ = answer.send(stored.clone().map(|_| AlertAcceptance::Stored));
        }
    }
}

/// Stores all of them or none; false where somebody was in the way for longer than the next should wait.
async fn together(store: &MongoStore, offers: Vec<AlertOffer>) -> StoreResult<bool> {
    let placed = place_offers(store, offers).await?;
    Ok(store.transact_briefly(placed, |tx, placed| Box::pin(insert(tx, placed))).await?.is_some())
}

async fn alone(store: &MongoStore, offer: AlertOffer) -> StoreResult<AlertAcceptance> {
    for _ in 0..CLAIMS_MAX {
        let placed = place_offers(store, vec![offer.clone()]).await?;
        match store.transact(&[], placed, |tx, placed| Box::pin(insert(tx, placed))).await {
            Err(StoreError::AlreadyExists { collection: Collection::IntakeKeys, .. }) => {
                if let Some(of) = store.find_duplicate(&offer.intake_keys(), offer.now).await? {
                    return Ok(AlertAcceptance::Duplicate { of });
                }
            }
            Err(StoreError::AlreadyExists { collection: Collection::Alerts, field }) => {
                return match field.as_str() {
                    // Offered again by a caller that had no answer.
                    "_id" => Ok(AlertAcceptance::Stored),
                    // None of ours is unique.
                    index => Err(StoreError::Corrupt(format!(
                        "alerts: the unique index {index}, which Alertcast has not made, does not take the alert"
                    ))),
                };
            }
            answer => return answer.map(|()| AlertAcceptance::Stored),
        }
    }
    Err(StoreError::Unavailable("a key is given and taken all the time".to_owned()))
}

/// Gives each its place.
async fn place_offers(store: &MongoStore, mut offers: Vec<AlertOffer>) -> StoreResult<Vec<AlertOffer>> {
    let now = offers.iter().map(|offer| offer.now).max().unwrap_or_default();
    let count = i64::try_from(offers.len()).unwrap_or(i64::MAX);
    let last = raise_place(store, count, now).await?;
    for (offer, place) in offers.iter_mut().rev().zip((1..=last).rev()) {
        if let Ok(extension) = offer.alert.get_document_mut("alertcast") {
            extension.insert("seq", place);
        }
    }
    Ok(offers)
}

/// As many statements for many alerts as for one.
async fn insert(tx: &mut MongoTransaction, offers: &[AlertOffer]) -> MongoResult<()> {
    let claims: Vec<BulkUpdate> = offers.iter().flat_map(AlertOffer::claims).collect();
    if !claims.is_empty() {
        tx.updates(Collection::IntakeKeys.name(), claims).await?;
    }
    tx.insert(Collection::Alerts, offers.iter().map(|offer| offer.alert.clone()).collect()).await
}

/// Moves the order of alerts on by so many places: above the last, and near the moment. Answers the last place.
///
/// A write of its own: it is lost only together with the transaction that uses the place, for that is written after it.
pub(crate) async fn raise_place(store: &MongoStore, count: i64, now: Time) -> StoreResult<i64> {
    store
        .link
        .run_bounded(async {
            let above = doc! { "$add": [{ "$ifNull": ["$seq", 0_i64] }, count] };
            let raise = vec![doc! { "$set": { "seq": { "$max": [above, now.millis()] } } }];
            let counters = store.db().collection::<Document>(COUNTERS);
            for _ in 0..FIRSTS_MAX {
                let raised = counters.find_one_and_update(doc! { "_id": ORDER }, raise.clone()).upsert(true);
                let raised = raised.return_document(ReturnDocument::After).write_concern(WriteConcern::nodes(1));
                match raised.await.map_err(MongoError::from) {
                    Ok(Some(counter)) => return place_in(&counter, now),
                    Err(fault) if !fault.is_taken() => return Err(fault),
                    // Others have just made it.
                    Ok(None) | Err(_) => {}
                }
            }
            Err(MongoError::Again)
        })
        .await
}

/// At least the moment's place: the server has seen to that.
fn place_in(counter: &Document, now: Time) -> MongoResult<i64> {
    let seq = counter.get("seq").and_then(whole).filter(|seq| *seq >= now.millis());
    seq.ok_or_else(|| senseless("no place for an alert"))
}
