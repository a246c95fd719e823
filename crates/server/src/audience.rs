//! The audience in memory: loaded once, then kept true by the store's change log, and by what is seen of others who write
//! none.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use crate::collection_walk::{self, PAGE};
use alertcast_core::matching::audience::Audience;
use alertcast_core::reading::UnreadableLog;
use alertcast_core::store::{Collection, Store, StoreResult};
use bson::Document;
use bson::oid::ObjectId;

/// What the audience is made of, in the order of loading.
pub(crate) const COLLECTIONS: [Collection; 5] = [
    Collection::AlertConfigurations,
    Collection::SubscriptionPlans,
    Collection::Users,
    Collection::UserSubscriptions,
    Collection::UserAlertPreferences,
];

/// The audience, shared. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct AudienceHandle {
    inner: Arc<AudienceState>,
}

#[derive(Debug, Default)]
struct AudienceState {
    audience: RwLock<Audience>,
    /// Up to where the change log has been applied. Held while catching up, so that changes are applied in order.
    applied: tokio::sync::Mutex<i64>,
}

impl AudienceHandle {
    /// Looks at the audience. `look` must not wait for anything.
    pub fn with<T>(&self, look: impl FnOnce(&Audience) -> T) -> T {
        look(&self.inner.audience.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Loads everything anew.
    ///
    /// # Errors
    /// Those of the store. A document that cannot be read is noted, and what can be read of it is obeyed: one broken
    /// document must not keep the others from their alerts.
    pub async fn load(&self, store: &dyn Store) -> StoreResult<()> {
        // What changes while we read is in the log behind this mark.
        let mut mark = store.last_change().await?;
        let mut fresh = Audience::default();
        for collection in COLLECTIONS {
            let visit = |document| put(&mut fresh, store.unreadables(), collection, &document);
            collection_walk::each(|after| store.page(collection, after, PAGE), visit).await?;
        }
        let mut applied = self.inner.applied.lock().await;
        // Nobody is to see less than they saw before.
        while let Some((end, touched)) = read_log(store, mark).await? {
            read(store, touched).await?.put_into(&mut fresh, store.unreadables());
            mark = end;
        }
        *self.inner.audience.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        *applied = mark;
        Ok(())
    }

    /// Applies what the change log holds beyond what was applied before. Whoever calls this sees every change that was
    /// acknowledged before the call.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn catch_up(&self, store: &dyn Store) -> StoreResult<()> {
        let mut applied = self.inner.applied.lock().await;
        while let Some((end, touched)) = read_log(store, *applied).await? {
            let documents = read(store, touched).await?;
            let mut audience = self.inner.audience.write().unwrap_or_else(PoisonError::into_inner);
            documents.put_into(&mut audience, store.unreadables());
            *applied = end;
        }
        Ok(())
    }

    /// Takes over how these documents are now: what others have changed, who write no change log.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn refresh(&self, store: &dyn Store, touched: ChangedIds) -> StoreResult<()> {
        // Read in turn with those who catch up: what was read earlier never overwrites what was read later.
        let _applied = self.inner.applied.lock().await;
        let documents = read(store, touched).await?;
        let mut audience = self.inner.audience.write().unwrap_or_else(PoisonError::into_inner);
        documents.put_into(&mut audience, store.unreadables());
        Ok(())
    }
}

/// Documents that have changed, by their ids.
pub type ChangedIds = BTreeMap<Collection, HashSet<ObjectId>>;

/// The next part of the change log above a mark, and where it ends.
async fn read_log(store: &dyn Store, mark: i64) -> StoreResult<Option<(i64, ChangedIds)>> {
    let changes = store.changes_since(mark, PAGE).await?;
    let Some(last) = changes.last() else { return Ok(None) };
    let end = last.seq;
    let mut touched = ChangedIds::new();
    for change in changes {
        touched.entry(change.collection).or_default().insert(change.id);
    }
    Ok(Some((end, touched)))
}

/// Documents as they are now, and those that are gone.
#[derive(Debug, Default)]
struct CurrentDocuments {
    documents: Vec<(Collection, Document)>,
    gone: Vec<(Collection, ObjectId)>,
}

async fn read(store: &dyn Store, touched: ChangedIds) -> StoreResult<CurrentDocuments> {
    let mut current = CurrentDocuments::default();
    for (collection, mut ids) in touched {
        let wanted: Vec<ObjectId> = ids.iter().copied().collect();
        for document in store.get(collection, &wanted).await? {
            if let Ok(id) = document.get_object_id("_id") {
                ids.remove(&id);
            }
            current.documents.push((collection, document));
        }
        current.gone.extend(ids.into_iter().map(|id| (collection, id)));
    }
    Ok(current)
}

impl CurrentDocuments {
    fn put_into(self, audience: &mut Audience, log: &UnreadableLog) {
        for (collection, document) in &self.documents {
            put(audience, log, *collection, document);
        }
        for (collection, id) in self.gone {
            audience.remove(collection, id);
        }
    }
}

/// Takes in a document as far as it can be read; what is wrong with it is noted.
fn put(audience: &mut Audience, log: &UnreadableLog, collection: Collection, document: &Document) {
    if let Some(unreadable) = audience.take_in(collection, document) {
        log.note(unreadable);
    }
}
