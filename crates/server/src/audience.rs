//! The audience in memory: loaded once, then kept true by the store's change log.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use alertcast_core::matching::audience::{Audience, Entity};
use alertcast_core::store::{Collection, Result, Store};
use bson::Document;
use bson::oid::ObjectId;
use tracing::warn;

/// Documents read at once while loading, and changes while catching up.
pub(crate) const PAGE: usize = 2_000;

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
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
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
    /// Those of the store. A document that cannot be read is logged and left out: one broken document must not keep
    /// the others from their alerts.
    pub async fn load(&self, store: &dyn Store) -> Result<()> {
        let mut applied = self.inner.applied.lock().await;
        // What changes while we read is in the log behind this mark, and is applied by the next catching up.
        let mark = store.last_change().await?;
        let mut fresh = Audience::default();
        for collection in COLLECTIONS {
            let mut after = None;
            loop {
                let page = store.page(collection, after, PAGE).await?;
                let full = page.len() == PAGE;
                after = page.last().and_then(|document| document.get_object_id("_id").ok());
                for document in page {
                    put(&mut fresh, collection, document);
                }
                if !full {
                    break;
                }
            }
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
    pub async fn catch_up(&self, store: &dyn Store) -> Result<()> {
        let mut applied = self.inner.applied.lock().await;
        loop {
            let changes = store.changes_since(*applied, PAGE).await?;
            let Some(last) = changes.last() else { return Ok(()) };
            let mark = last.seq;
            let mut touched: BTreeMap<Collection, HashSet<ObjectId>> = BTreeMap::new();
            for change in changes {
                touched.entry(change.collection).or_default().insert(change.id);
            }
            for (collection, mut ids) in touched {
                let wanted: Vec<ObjectId> = ids.iter().copied().collect();
                let documents = store.get(collection, &wanted).await?;
                let mut audience = self.inner.audience.write().unwrap_or_else(PoisonError::into_inner);
                for document in documents {
                    if let Ok(id) = document.get_object_id("_id") {
                        ids.remove(&id);
                    }
                    put(&mut audience, collection, document);
                }
                for gone in ids {
                    audience.remove(collection, gone);
                }
            }
            *applied = mark;
        }
    }
}

fn put(audience: &mut Audience, collection: Collection, document: Document) {
    let id = document.get_object_id("_id").ok();
    match Entity::read(collection, document) {
        Ok(Some(entity)) => audience.put(entity),
        Ok(None) => {}
        Err(error) => {
            warn!(%error, "a document cannot be read, and is left out of the audience until it is mended");
            if let Some(id) = id {
                audience.remove(collection, id);
            }
        }
    }
}
