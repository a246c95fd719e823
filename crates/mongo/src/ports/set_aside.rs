//! What cannot be read is set aside alone, by its fields.

use alertcast_core::alert::document::{Alert, AlertError, AlertStatus};
use alertcast_core::delivery::{Delivery, DeliveryState};
use alertcast_core::quota::Quota;
use alertcast_core::reading::{UnreadableDocument, UnreadableLog};
use alertcast_core::store::{Collection, SetAsideDocuments, StoreResult, document};
use alertcast_core::time::Time;
use async_trait::async_trait;
use bson::{Bson, Document, doc};

use crate::engine::local_locks::OPERATORS;
use crate::engine::query::{MongoQuery, put};
use crate::engine::transact::MongoTransaction;
use crate::error::MongoResult;
use crate::ports::intake::pending_states;
use crate::ports::work::commit::insert_deliveries;
use crate::store::MongoStore;

#[async_trait]
impl SetAsideDocuments for MongoStore {
    fn unreadables(&self) -> &UnreadableLog {
        &self.unreadables
    }

    async fn stray_alerts(&self, limit: usize) -> StoreResult<Vec<UnreadableDocument>> {
        let found = self.find(Collection::Alerts, MongoQuery::new(strays()).limit(limit)).await?;
        Ok(found.iter().map(UnreadableDocument::stray_alert).collect())
    }

    async fn set_aside(&self, what: &UnreadableDocument, at: Time, tell: Vec<Delivery>) -> StoreResult<()> {
        let asked = (what.clone(), at, tell);
        self.transact(&[OPERATORS], asked, |tx, (what, at, tell)| {
            Box::pin(async move {
                set_aside(tx, what, *at).await?;
                insert_deliveries(tx, tell).await
            })
        })
        .await
    }
}

async fn set_aside(tx: &mut MongoTransaction, what: &UnreadableDocument, at: Time) -> MongoResult<()> {
    match what.collection {
        Collection::Alerts => {
            end_stray(tx, what, at).await?;
            if is_still::<Alert>(tx, what).await? { park_alert(tx, what, at).await } else { Ok(()) }
        }
        Collection::Deliveries if is_still::<Delivery>(tx, what).await? => end_delivery(tx, what, at).await,
        Collection::Quotas if is_still::<Quota>(tx, what).await? => tx.delete(Collection::Quotas, this(what)).await,
        _ => Ok(()),
    }
}

/// Whether it still cannot be read.
async fn is_still<T: serde::de::DeserializeOwned>(
    tx: &mut MongoTransaction,
    what: &UnreadableDocument,
) -> MongoResult<bool> {
    let found = tx.find_each::<T>(what.collection, MongoQuery::new(this(what)).limit(1)).await?;
    Ok(found.iter().any(|(_, read)| read.is_err()))
}

fn this(what: &UnreadableDocument) -> Document {
    doc! { "_id": { "$eq": what.id.clone() } }
}

/// Alerts with something else for a status. One that was not accepted here is somebody else's.
fn strays() -> Document {
    let words: Vec<Bson> = AlertStatus::ALL.iter().map(|status| Bson::from(*status)).collect();
    doc! { "processing.status": { "$nin": words }, "alertcast.seq": { "$gt": 0 } }
}

/// Gives a stray alert the status that it must have had, or else has it fail.
async fn end_stray(tx: &mut MongoTransaction, what: &UnreadableDocument, at: Time) -> MongoResult<()> {
    let stray: Document = strays().into_iter().chain(this(what)).collect();
    let processed: Document =
        stray.clone().into_iter().chain(doc! { "webhook.processedAt": { "$type": "date" } }).collect();
    tx.update_one(Collection::Alerts, processed, end_document(what, at, AlertStatus::Processed)?).await?;
    tx.update_one(Collection::Alerts, stray, end_document(what, at, AlertStatus::Failed)?).await.map(drop)
}

/// The status, and the cause among the errors.
fn end_document(what: &UnreadableDocument, at: Time, status: AlertStatus) -> MongoResult<Document> {
    let error = AlertError::new(format!("cannot be read: {}", what.cause), at);
    let mut update = doc! { "$set": { "processing.status": status, "updatedAt": at } };
    put(&mut update, "$push", "processing.errors", document(&error)?);
    Ok(update)
}

async fn park_alert(tx: &mut MongoTransaction, what: &UnreadableDocument, at: Time) -> MongoResult<()> {
    let mut pending = this(what);
    pending.insert("processing.status", doc! { "$in": pending_states() });
    tx.update_one(Collection::Alerts, pending, end_document(what, at, AlertStatus::Failed)?).await.map(drop)
}

/// Ends a delivery without reading it: nothing is taken back for it, for it may have arrived.
pub(crate) async fn end_delivery(tx: &mut MongoTransaction, what: &UnreadableDocument, at: Time) -> MongoResult<()> {
    let open: Vec<Bson> =
        DeliveryState::ALL.iter().filter(|state| !state.is_ended()).map(|state| Bson::from(*state)).collect();
    let mut unended = this(what);
    unended.insert("state", doc! { "$in": open });
    let update = doc! {
        "$set": {
            "state": DeliveryState::Dead, "lastError": format!("cannot be read: {}", what.cause), "endedAt": at,
            "updatedAt": at,
        },
        "$unset": { "epoch": "" },
    };
    tx.update_one(Collection::Deliveries, unended, update).await.map(drop)
}
