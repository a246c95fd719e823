//! What documents lack that an earlier version, or another application, has written: made up for at each start.

use alertcast_core::store::{Collection, DocumentStore, DocumentWrite, StoreError, StoreResult};
use alertcast_core::subscription::transaction_key;
use bson::oid::ObjectId;
use bson::{Bson, RawDocument, doc};
use tracing::warn;

use crate::collection_walk;

/// Changes written at once.
const BATCH: usize = 200;
const KEY: &str = "transactionKey";

/// Gives each subscription what its transaction id is compared by, so that an id is used once whatever its case. Where two
/// are alike already, one of them stays without, and both go on.
///
/// # Errors
/// Those of the store.
pub(crate) async fn transaction_keys(store: &dyn DocumentStore) -> StoreResult<()> {
    let mut lacking: Vec<(ObjectId, String)> = Vec::new();
    let visit = |subscription: &[u8]| lacking.extend(RawDocument::from_bytes(subscription).ok().and_then(lacking_key));
    collection_walk::each_bytes(store, Collection::UserSubscriptions, visit).await?;
    for batch in lacking.chunks(BATCH) {
        let writes = batch.iter().map(|(id, transaction)| give(*id, transaction)).collect();
        match store.write(writes).await {
            Ok(()) => {}
            Err(StoreError::AlreadyExists { .. } | StoreError::Conflict) => one_by_one(store, batch).await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn one_by_one(store: &dyn DocumentStore, batch: &[(ObjectId, String)]) -> StoreResult<()> {
    for (id, transaction) in batch {
        match store.write(vec![give(*id, transaction)]).await {
            // Changed meanwhile.
            Ok(()) | Err(StoreError::Conflict) => {}
            Err(StoreError::AlreadyExists { .. }) => {
                warn!(subscription = %id, "another subscription has the same transaction id but for its case");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The subscription's id and transaction id, where what that is compared by is missing or of another.
fn lacking_key(subscription: &RawDocument) -> Option<(ObjectId, String)> {
    let transaction = subscription.get_document("payment").ok()?.get_str("transactionId").ok()?;
    let kept = subscription.get_document("alertcast").ok().and_then(|ours| ours.get_str(KEY).ok());
    let id = subscription.get_object_id("_id").ok()?;
    (kept != Some(&transaction_key(transaction))).then(|| (id, transaction.to_owned()))
}

fn give(id: ObjectId, transaction: &str) -> DocumentWrite {
    DocumentWrite::Update {
        collection: Collection::UserSubscriptions,
        id,
        set: doc! { format!("alertcast.{KEY}"): transaction_key(transaction) },
        unset: Vec::new(),
        expect: vec![("payment.transactionId".to_owned(), Bson::from(transaction))],
    }
}

#[cfg(test)]
mod tests {
    use alertcast_sqlite::{SqliteOptions, SqliteStore};

    use super::*;

    #[tokio::test]
    async fn transaction_ids_of_before_are_compared_without_case_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("data"), &SqliteOptions::default()).unwrap();
        store.setup().await.unwrap();
        let id = |n: u8| ObjectId::from_bytes([n; 12]);
        let insert = |collection, document| DocumentWrite::Insert { collection, document };
        let mut writes = vec![
            insert(Collection::Users, doc! { "_id": id(1), "email": "a@b.de", "telegram": { "userId": "1" } }),
            insert(Collection::SubscriptionPlans, doc! { "_id": id(2), "name": "P" }),
        ];
        for (n, transaction) in [(3, "Upi-1"), (4, "uPI-1 "), (5, "Upi-2")] {
            let payment = doc! { "transactionId": transaction };
            let bought = doc! { "_id": id(n), "userId": id(1), "subscriptionPlanId": id(2), "payment": payment };
            writes.push(insert(Collection::UserSubscriptions, bought));
        }
        DocumentStore::write(&store, writes).await.unwrap();
        transaction_keys(&store).await.unwrap();
        transaction_keys(&store).await.unwrap();
        let kept = store.page_bytes(Collection::UserSubscriptions, None, 10).await.unwrap();
        let lacking = |bytes| lacking_key(RawDocument::from_bytes(bytes).unwrap()).map(|(id, _)| id);
        let keys: Vec<_> = kept.iter().map(lacking).collect();
        assert_eq!(keys, [None, Some(id(4)), None], "of two that are alike one stays without");
    }
}
