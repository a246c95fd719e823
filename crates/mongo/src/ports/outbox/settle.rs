//! Settling an alert: once no delivery of it is open, who got it is written into it, by compare-and-set. Between the look
//! and the write nothing can become open again but what an operator sends again, which is counted in the alert.

use std::collections::{HashMap, HashSet};

use alertcast_core::alert::document::AlertStatus;
use alertcast_core::alert::settling::{self, AlertRecipients, AlertStanding};
use alertcast_core::delivery::{Delivery, DeliveryState};
use alertcast_core::id::{AlertId, DeliveryId, UserId};
use alertcast_core::store::{Collection, DocumentStore, SettlingOutcome, StoreResult};
use alertcast_core::time::Time;
use bson::{Bson, Document, doc};

use crate::engine::query::{MongoQuery, at_path, whole};
use crate::ports::outbox::working_set::update_of;
use crate::store::MongoStore;

/// How many deliveries are in memory at once.
const PAGE: usize = 1_000;

/// How many decision chunks are.
const CHUNKS: usize = 10;

pub(crate) async fn settle(store: &MongoStore, alert: AlertId, now: Time) -> StoreResult<SettlingOutcome> {
    let kept = match load_standing(store, alert).await? {
        Ok(kept) => kept,
        Err(settled) => return Ok(settled),
    };
    let recipients = recipients(store, alert, &kept).await?;
    let update = update_of(&settling::settle(recipients.as_ref(), now)?);
    let mut as_seen = unsettled_ones();
    as_seen.insert("_id", alert);
    // One that was sent again meanwhile, and may have ended again, is not in the lists.
    as_seen.insert("alertcast.resends", at_path(&kept, "alertcast.resends").cloned().unwrap_or(Bson::Null));
    let done = store
        .link
        .run_bounded(async { Ok(store.collection(Collection::Alerts).update_one(as_seen, update).await?) })
        .await?;
    if done.matched_count == 1 {
        return Ok(SettlingOutcome::Now);
    }
    Ok(load_standing(store, alert).await?.err().unwrap_or(SettlingOutcome::NotYet))
}

pub(crate) async fn find_unsettled(
    store: &MongoStore,
    after: Option<AlertId>,
    limit: usize,
) -> StoreResult<Vec<AlertId>> {
    let mut filter = unsettled_ones();
    if let Some(after) = after {
        filter.insert("_id", doc! { "$gt": after });
    }
    let query = MongoQuery::new(filter).sort_by(doc! { "_id": 1 }).fields(doc! { "_id": 1 }).limit(limit);
    let found = store.find(Collection::Alerts, query).await?;
    Ok(found.iter().filter_map(|alert| alert.get_object_id("_id").ok()).map(AlertId).collect())
}

/// Alerts that an application keeps in the same collection by itself have no place in the order: they are not ours to
/// settle. The partial index says the same.
fn unsettled_ones() -> Document {
    doc! { "processing.status": AlertStatus::Processed, "alertcast.settledAt": null, "alertcast.seq": { "$gt": 0 } }
}

/// What is kept of an alert that can be settled; else what it is.
async fn load_standing(
    store: &MongoStore,
    alert: AlertId,
) -> StoreResult<std::result::Result<Document, SettlingOutcome>> {
    let fields = doc! {
        "processing.status": 1, "processing.matchedUsers": 1,
        "alertcast.settledAt": 1, "alertcast.resends": 1, "alertcast.seq": 1,
    };
    let query = MongoQuery::new(doc! { "_id": alert }).fields(fields);
    let Some(kept) = store.find_first(Collection::Alerts, query).await? else {
        return Ok(Err(SettlingOutcome::NotYet));
    };
    let status = at_path(&kept, "processing.status").and_then(Bson::as_str);
    let standing = AlertStanding {
        seq: at_path(&kept, "alertcast.seq").and_then(whole).unwrap_or(0),
        settled_at: at_path(&kept, "alertcast.settledAt").and_then(Bson::as_datetime).copied().map(Time::from),
        status: status.and_then(AlertStatus::from_exact),
    };
    if let Some(settled) = standing.refusal() {
        return Ok(Err(settled));
    }
    // An entry that is superseded is as open as the exit that tells it. It is looked for second: an entry that was taken
    // up by an exit between the two questions was found by the first, or its exit is by the second.
    let open: Vec<Bson> =
        DeliveryState::ALL.iter().filter(|state| !state.is_ended()).map(|state| Bson::from(*state)).collect();
    for field in ["alertId", "combinesAlert"] {
        let query = MongoQuery::new(doc! { field: alert, "state": { "$in": open.clone() } }).fields(doc! { "_id": 1 });
        if store.find_first(Collection::Deliveries, query).await?.is_some() {
            return Ok(Err(SettlingOutcome::NotYet));
        }
    }
    Ok(Ok(kept))
}

/// Whom the alert was for, and what they received; none where they are too many to stand in it.
async fn recipients(store: &MongoStore, alert: AlertId, kept: &Document) -> StoreResult<Option<AlertRecipients>> {
    let mut recipients = AlertRecipients::default();
    let mut after = None;
    loop {
        let chunks = store.decisions(alert, after, CHUNKS).await?;
        let Some(last) = chunks.last() else { break };
        after = Some(last.last_user);
        for chunk in chunks {
            if !recipients.note_decisions(chunk) {
                return Ok(None);
            }
        }
    }
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.deliveries_of(alert, after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.bytes.clone());
        let told_by = load_telling(store, &page).await?;
        for delivery in &page {
            let told_by = delivery.told_in().and_then(|by| told_by.get(&by)).unwrap_or(delivery);
            recipients.note_delivery(delivery, told_by);
        }
    }
    let before = at_path(kept, "processing.matchedUsers").and_then(Bson::as_array);
    for matched in before.into_iter().flatten().filter_map(Bson::as_document) {
        if let (Ok(user), Ok(at)) = (matched.get_object_id("userId"), matched.get_datetime("deliveredAt")) {
            recipients.delivered_before(UserId(user), Time::from(*at));
        }
    }
    Ok(Some(recipients))
}

/// The exits that tell some of these.
async fn load_telling(store: &MongoStore, page: &[Delivery]) -> StoreResult<HashMap<DeliveryId, Delivery>> {
    let ids: HashSet<DeliveryId> = page.iter().filter_map(Delivery::told_in).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<DeliveryId> = ids.into_iter().collect();
    let found: Vec<Delivery> =
        store.find_as(Collection::Deliveries, MongoQuery::new(doc! { "_id": { "$in": ids } })).await?;
    Ok(found.into_iter().map(|delivery| (delivery.id, delivery)).collect())
}
