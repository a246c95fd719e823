//! Accepting alerts, together: what comes while one transaction is under way goes into the next, so that the price of a
//! commit and of its round trips is shared. Nobody waits for company: an alert that comes alone goes alone.
//!
//! Where one of several cannot be stored, because a key of it is held, the transaction is undone, and each goes by
//! itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use alertcast_core::alert::document::Alert;
use alertcast_core::id::AlertId;
use alertcast_core::store::{
    Acceptance, Collection, Intake as _, IntakeKey, Result as StoreResult, StoreError, document, partition_of,
};
use alertcast_core::time::Time;
use bson::{Document, doc};
use tokio::sync::oneshot;

use crate::connect::MongoStore;
use crate::error::{Fault, Result};
use crate::intake::order_of;
use crate::query::{Query, whole};
use crate::setup::COUNTERS;
use crate::transact::{Tx, Update};

/// So many alerts go into one transaction; what a sender can make large is bounded by the webhook.
const BATCH_MAX: usize = 64;

/// So often a key is offered again that was taken at first and free when its holder was looked for.
const CLAIMS_MAX: u32 = 5;

/// Those who wait to be stored. Only who is under way bounds it: one place for each request.
#[derive(Debug, Default)]
pub(crate) struct Line(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    offers: Vec<(Offer, oneshot::Sender<StoreResult<Acceptance>>)>,
    /// Whether somebody takes them out.
    served: bool,
}

/// An alert that is offered.
#[derive(Debug, Clone)]
struct Offer {
    id: AlertId,
    alert: Document,
    /// Each once, sorted, so that rivals meet at the first that they share.
    keys: BTreeMap<String, Time>,
    order: String,
    now: Time,
}

impl Offer {
    fn of(mut alert: Alert, keys: Vec<IntakeKey>, now: Time) -> StoreResult<Self> {
        let partition = alert.processing.alert_config_id.map(partition_of);
        alert.alertcast.partition = alert.alertcast.partition.or(partition);
        Ok(Self {
            id: alert.id,
            alert: document(&alert)?,
            keys: keys.into_iter().map(|key| (key.key, key.until)).collect(),
            order: order_of(alert.processing.alert_config_id),
            now,
        })
    }

    /// A key that is held fails its upsert: the filter does not match, and the id exists.
    fn claims(&self) -> impl Iterator<Item = Update> + '_ {
        self.keys.iter().map(|(key, until)| {
            let free = doc! { "_id": key, "until": { "$lte": self.now } };
            Update::upsert(free, doc! { "$set": { "alertId": self.id, "until": *until } })
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
) -> StoreResult<Acceptance> {
    let (answer, answered) = oneshot::channel();
    let offer = Offer::of(alert, keys, now)?;
    let is_served = {
        let mut waiting = lock(&store.line);
        waiting.offers.push((offer, answer));
        std::mem::replace(&mut waiting.served, true)
    };
    if !is_served {
        tokio::spawn(serve(store.clone()));
    }
    answered.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the operation broke off".to_owned())))
}

fn lock(line: &Line) -> std::sync::MutexGuard<'_, Waiting> {
    line.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stores batch after batch, until nobody waits.
async fn serve(store: MongoStore) {
    loop {
        let batch = {
            let mut waiting = lock(&store.line);
            // Who has gone before the write began is not stored.
            waiting.offers.retain(|(_, answer)| !answer.is_closed());
            let batch = next_batch(&mut waiting.offers);
            waiting.served = !batch.is_empty();
            batch
        };
        if batch.is_empty() {
            return;
        }
        // A task of its own: whatever becomes of it, the next are served. Those in it hear that it broke off.
        let _ = tokio::spawn(store_batch(store.clone(), batch)).await;
    }
}

/// Takes the first out, as many as go together: of several with a common key, the first.
fn next_batch<T>(waiting: &mut Vec<(Offer, T)>) -> Vec<(Offer, T)> {
    let mut keys = BTreeSet::new();
    let mut taken = 0;
    let goes = |(offer, _): &mut (Offer, T)| {
        let together = taken < BATCH_MAX && offer.keys.keys().all(|key| !keys.contains(key));
        keys.extend(offer.keys.keys().cloned());
        taken += usize::from(together);
        together
    };
    waiting.extract_if(.., goes).collect()
}

async fn store_batch(store: MongoStore, batch: Vec<(Offer, oneshot::Sender<StoreResult<Acceptance>>)>) {
    let (offers, answers): (Vec<Offer>, Vec<_>) = batch.into_iter().unzip();
    let stored = together(&store, offers.clone()).await;
    let is_refused = matches!(stored, Err(StoreError::AlreadyExists { .. }));
    for (offer, answer) in offers.into_iter().zip(answers) {
        let acceptance = match &stored {
            Ok(()) => Ok(Acceptance::Stored),
            Err(_) if is_refused => alone(&store, offer).await,
            Err(error) => Err(error.clone()),
        };
        // Who has gone meanwhile may find it stored when it is offered again.
        let _ = answer.send(acceptance);
    }
}

async fn together(store: &MongoStore, offers: Vec<Offer>) -> StoreResult<()> {
    let orders: BTreeSet<String> = offers.iter().map(|offer| offer.order.clone()).collect();
    let gates: Vec<&str> = orders.iter().map(String::as_str).collect();
    store.transact(&gates, offers, |tx, offers| Box::pin(insert(tx, offers))).await
}

async fn alone(store: &MongoStore, offer: Offer) -> StoreResult<Acceptance> {
    for _ in 0..CLAIMS_MAX {
        match together(store, vec![offer.clone()]).await {
            Err(StoreError::AlreadyExists { collection: Collection::IntakeKeys, .. }) => {
                if let Some(of) = store.find_duplicate(&offer.intake_keys(), offer.now).await? {
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

/// As many statements for many alerts as for one.
async fn insert(tx: &mut Tx, offers: &[Offer]) -> Result<()> {
    let mut places = next_places(tx, offers).await?;
    let claims: Vec<Update> = offers.iter().flat_map(Offer::claims).collect();
    if !claims.is_empty() {
        tx.updates(Collection::IntakeKeys.name(), claims).await?;
    }
    let mut alerts = Vec::with_capacity(offers.len());
    for offer in offers {
        let mut alert = offer.alert.clone();
        let place = places.get_mut(&offer.order);
        if let (Some(place), Ok(extension)) = (place, alert.get_document_mut("alertcast")) {
            extension.insert("seq", *place);
            *place += 1;
        }
        alerts.push(alert);
    }
    tx.insert(Collection::Alerts, alerts).await
}

/// The first of the next places in the order of each configuration's alerts, as many as there are alerts of it: above
/// the last, and near the moment, so that the alerts of different configurations are worked on about as they came.
async fn next_places(tx: &mut Tx, offers: &[Offer]) -> Result<BTreeMap<String, i64>> {
    let mut wanted: BTreeMap<&str, (i64, Time)> = BTreeMap::new();
    for offer in offers {
        let (count, now) = wanted.entry(&offer.order).or_insert((0, offer.now));
        *count += 1;
        *now = offer.now.max(*now);
    }
    if let [(order, (count, now))] = &wanted.iter().collect::<Vec<_>>()[..] {
        let last = raise_place(tx, order, *count, *now).await?;
        return Ok(BTreeMap::from([((**order).to_owned(), last - count + 1)]));
    }
    let raised =
        wanted.iter().map(|(order, (count, now))| Update::upsert(doc! { "_id": *order }, vec![raise_by(*count, *now)]));
    tx.updates(COUNTERS, raised.collect()).await?;
    let orders: Vec<&str> = wanted.keys().copied().collect();
    let mut first = BTreeMap::new();
    for counter in tx.find_in(COUNTERS, Query::new(doc! { "_id": { "$in": orders } })).await? {
        let order = counter.get_str("_id").unwrap_or_default();
        let count = wanted.get(order).map_or(0, |(count, _)| *count);
        first.insert(order.to_owned(), place_in(&counter, order)? - count + 1);
    }
    Ok(first)
}

/// Moves the order of a configuration's alerts on by so many; answers the last place.
pub(crate) async fn raise_place(tx: &mut Tx, order: &str, count: i64, now: Time) -> Result<i64> {
    let counter = tx.change_counter(COUNTERS, order, vec![raise_by(count, now)]).await?;
    place_in(&counter, order)
}

fn raise_by(count: i64, now: Time) -> Document {
    let above = doc! { "$add": [{ "$ifNull": ["$seq", 0_i64] }, count] };
    doc! { "$set": { "seq": { "$max": [above, now.millis()] } } }
}

fn place_in(counter: &Document, order: &str) -> Result<i64> {
    let seq = counter.get("seq").and_then(whole);
    seq.ok_or_else(|| Fault::Store(StoreError::Corrupt(format!("{COUNTERS} {order}: no number"))))
}
