//! Leases: who does which share of the work. Each change is one write of one document.

use alertcast_core::reading::read_bytes;
use alertcast_core::store::{BrokenLease, Collection, Lease, LeaseStore, StoreError, StoreResult, document, read};
use async_trait::async_trait;
use bson::{Document, RawDocumentBuf, doc};
use mongodb::options::ReturnDocument;

use crate::engine::query::MongoQuery;
use crate::engine::transact::MongoTransaction;
use crate::error::{MongoError, MongoResult};
use crate::store::MongoStore;

#[async_trait]
impl LeaseStore for MongoStore {
    async fn leases(&self, prefix: &str) -> StoreResult<Vec<Lease>> {
        let query = MongoQuery::new(doc! { "_id": { "$gte": prefix } }).sort_by(doc! { "_id": 1 });
        let all: Vec<Lease> = self.interruptions.heed(self.find_as(Collection::Leases, query)).await?;
        Ok(all.into_iter().take_while(|lease| lease.name.starts_with(prefix)).collect())
    }

    async fn broken_leases(&self) -> StoreResult<Vec<BrokenLease>> {
        let query = MongoQuery::new(doc! { "_id": { "$gte": "" } }).sort_by(doc! { "_id": 1 });
        let all = self.interruptions.heed(self.find_raw(Collection::Leases, query)).await?;
        let broken = all.iter().filter(|raw| read_bytes::<Lease>(Collection::Leases, raw.as_bytes()).is_err());
        let named = broken.filter_map(|raw| {
            let name = raw.get_str("_id").ok()?.to_owned();
            Some(BrokenLease { name, bytes: raw.as_bytes().to_vec() })
        });
        Ok(named.collect())
    }

    async fn free_lease(&self, seen: &BrokenLease, epoch_min: i64) -> StoreResult<bool> {
        let asked = (seen.clone(), seen.successor(epoch_min));
        self.transact(&[&seen.name], asked, |tx, (seen, successor)| {
            Box::pin(async move {
                let stands = remove_as_seen(tx, seen).await?;
                if stands {
                    tx.insert(Collection::Leases, vec![document(successor)?]).await?;
                }
                Ok(stands)
            })
        })
        .await
    }

    async fn remove_broken_lease(&self, seen: &BrokenLease) -> StoreResult<()> {
        self.transact(&[&seen.name], seen.clone(), |tx, seen| {
            Box::pin(async move { remove_as_seen(tx, seen).await.map(drop) })
        })
        .await
    }

    async fn take_lease(&self, name: &str, owner: &str, seen: Option<&Lease>) -> StoreResult<Option<Lease>> {
        let _turn = self.locks.pass(&[name]).await;
        match seen {
            None => self.link.run_bounded(take_new(self, name, owner)).await,
            Some(seen) => self.link.run_bounded(take_over(self, name, owner, seen)).await,
        }
    }

    async fn renew_lease(&self, lease: &Lease) -> StoreResult<bool> {
        change_own(self, lease, doc! { "$inc": { "renewal": 1_i64 } }).await
    }

    async fn release_lease(&self, lease: &Lease) -> StoreResult<()> {
        let given_back = doc! { "$set": { "owner": "" }, "$inc": { "renewal": 1_i64 } };
        change_own(self, lease, given_back).await.map(drop)
    }

    async fn forget_lease(&self, seen: &Lease) -> StoreResult<()> {
        let _turn = self.locks.pass(&[&seen.name]).await;
        self.link
            .run_bounded(async {
                let as_seen = doc! {
                    "_id": &seen.name, "owner": &seen.owner, "epoch": seen.epoch, "renewal": seen.renewal,
                };
                self.collection(Collection::Leases).delete_one(as_seen).await?;
                Ok(())
            })
            .await
    }

    fn is_exclusive(&self) -> bool {
        false
    }
}

fn lease(document: Document) -> StoreResult<Lease> {
    read(Collection::Leases, document)
}

/// Whether it stood as seen; then it is gone.
async fn remove_as_seen(tx: &mut MongoTransaction, seen: &BrokenLease) -> MongoResult<bool> {
    let this = doc! { "_id": &seen.name };
    let kept = tx.find_each::<Lease>(Collection::Leases, MongoQuery::new(this.clone()).limit(1)).await?;
    let stands = kept.first().is_some_and(|(raw, _)| raw.as_bytes() == seen.bytes);
    if stands {
        tx.delete(Collection::Leases, this).await?;
    }
    Ok(stands)
}

async fn take_new(store: &MongoStore, name: &str, owner: &str) -> MongoResult<Option<Lease>> {
    let first = doc! { "_id": name, "owner": owner, "epoch": 1_i64, "renewal": 1_i64 };
    match store.collection(Collection::Leases).insert_one(&first).await.map_err(MongoError::from) {
        Ok(_) => Ok(Some(lease(first)?)),
        Err(fault) if fault.is_duplicate(Collection::Leases, "_id") => Ok(None),
        Err(fault) => Err(fault),
    }
}

async fn take_over(store: &MongoStore, name: &str, owner: &str, seen: &Lease) -> MongoResult<Option<Lease>> {
    let as_seen = doc! { "_id": name, "owner": &seen.owner, "epoch": seen.epoch, "renewal": seen.renewal };
    let update = doc! { "$set": { "owner": owner }, "$inc": { "epoch": 1_i64, "renewal": 1_i64 } };
    let leases = store.collection(Collection::Leases).clone_with_type::<RawDocumentBuf>();
    let taken = leases.find_one_and_update(as_seen, update);
    let taken = taken.return_document(ReturnDocument::After).await?;
    Ok(taken.map(|taken| read_bytes(Collection::Leases, taken.as_bytes()).map_err(StoreError::from)).transpose()?)
}

/// Changes a lease that is still the caller's. A commit under the lease holds its document, so this takes its turn.
async fn change_own(store: &MongoStore, lease: &Lease, update: Document) -> StoreResult<bool> {
    let _turn = store.locks.pass(&[&lease.name]).await;
    store
        .link
        .run_bounded(async {
            let own = doc! { "_id": &lease.name, "owner": &lease.owner, "epoch": lease.epoch };
            Ok(store.collection(Collection::Leases).update_one(own, update).await?.matched_count == 1)
        })
        .await
}
