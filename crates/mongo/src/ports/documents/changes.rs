//! The change log. Its numbers come from one counter that is raised in the transaction of the change, so that they are
//! in the order of the commits: who reads on from the last number misses nothing.

use alertcast_core::store::{AudienceChange, Collection, StoreResult};
use bson::oid::ObjectId;
use bson::{Document, doc};

use crate::engine::query::{MongoQuery, whole};
use crate::engine::setup::COUNTERS;
use crate::engine::transact::MongoTransaction;
use crate::error::MongoResult;
use crate::store::MongoStore;

/// The counter's id.
const CHANGES: &str = "changes";

impl MongoTransaction {
    /// Makes this transaction and every other that writes documents as such exclude each other: what one of them read of
    /// references, no other has removed meanwhile.
    pub(crate) async fn exclude_other_writes(&mut self) -> MongoResult<()> {
        self.change_counter(COUNTERS, CHANGES, doc! { "$inc": { "writes": 1_i64 } }).await.map(drop)
    }

    /// Appends to the change log.
    pub(crate) async fn note_changes(&mut self, changed: &[(Collection, ObjectId)]) -> MongoResult<()> {
        let changed: Vec<_> = changed.iter().filter(|(collection, _)| collection.makes_audience()).collect();
        let Ok(count @ 1..) = i64::try_from(changed.len()) else { return Ok(()) };
        let counter = self.change_counter(COUNTERS, CHANGES, doc! { "$inc": { "seq": count } }).await?;
        let last = counter.get("seq").and_then(whole).unwrap_or(count);
        let before = last.saturating_sub(count);
        let entries = changed.iter().zip(1..=count).map(|((collection, id), nth)| {
            doc! { "_id": before.saturating_add(nth), "collection": collection.name(), "id": *id }
        });
        self.insert(Collection::Changes, entries.collect()).await
    }
}

pub(crate) async fn since(store: &MongoStore, seq: i64, limit: usize) -> StoreResult<Vec<AudienceChange>> {
    let query = MongoQuery::new(doc! { "_id": { "$gt": seq } }).sort_by(doc! { "_id": 1 }).limit(limit);
    // An entry that cannot be read tells of nothing.
    Ok(store.find(Collection::Changes, query).await?.iter().filter_map(change).collect())
}

pub(crate) async fn last(store: &MongoStore) -> StoreResult<i64> {
    let asked = store.link.run_bounded(async {
        let counter = store.db().collection::<Document>(COUNTERS).find_one(doc! { "_id": CHANGES }).await?;
        Ok(counter.and_then(|counter| whole(counter.get("seq")?)).unwrap_or(0))
    });
    store.interruptions.heed(asked).await
}

pub(crate) async fn first(store: &MongoStore) -> StoreResult<Option<i64>> {
    let query = MongoQuery::new(doc! {}).sort_by(doc! { "_id": 1 }).fields(doc! { "_id": 1 });
    let first = store.find_first(Collection::Changes, query).await?;
    Ok(first.and_then(|entry| whole(entry.get("_id")?)))
}

/// In the order of the numbers: whoever has missed some finds the first ones gone.
pub(crate) async fn purge(store: &MongoStore, seq: i64, limit: usize) -> StoreResult<bool> {
    let old = doc! { "_id": { "$lt": seq.min(last(store).await?) } };
    let query = MongoQuery::new(old).sort_by(doc! { "_id": 1 }).fields(doc! { "_id": 1 }).limit(limit);
    let found = store.find(Collection::Changes, query).await?;
    if let Some(end) = found.last().and_then(|entry| entry.get("_id")) {
        let these = doc! { "_id": { "$lte": end.clone() } };
        store.link.run_bounded(async { Ok(store.collection(Collection::Changes).delete_many(these).await?) }).await?;
    }
    Ok(limit > 0 && found.len() == limit)
}

fn change(entry: &Document) -> Option<AudienceChange> {
    let seq = entry.get("_id").and_then(whole)?;
    let collection = entry.get_str("collection").ok().and_then(Collection::from_name)?;
    Some(AudienceChange { seq, collection, id: entry.get_object_id("id").ok()? })
}
