//! The audience in memory: loaded once, then kept true by the store's change log, and by what is seen of others who write
//! none.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use crate::collection_walk::{self, PAGE};
use alertcast_core::matching::audience::Audience;
use alertcast_core::reading::{UnreadableDocument, UnreadableLog, pack};
use alertcast_core::store::{Collection, Store, StoreResult};
use bson::Document;
use bson::oid::ObjectId;
use tokio::sync::watch;
use tracing::info;

/// What the audience is made of, in the order of loading.
pub(crate) const COLLECTIONS: [Collection; 5] = [
    Collection::AlertConfigurations,
    Collection::SubscriptionPlans,
    Collection::Users,
    Collection::UserSubscriptions,
    Collection::UserAlertPreferences,
];
/// So many of them are all that alerts are taken in by.
const CATALOG: usize = 2;

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
    /// All of it has been loaded.
    is_whole: watch::Sender<bool>,
}

impl AudienceHandle {
    /// Looks at the audience. `look` must not wait for anything.
    pub fn with<T>(&self, look: impl FnOnce(&Audience) -> T) -> T {
        look(&self.inner.audience.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether all of it has been loaded: before that, it tells of configurations and plans alone.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self.inner.is_whole.borrow()
    }

    /// Waits until all of it has been loaded.
    pub async fn wait_whole(&self) {
        // The sender lives as long as this.
        let _ = self.inner.is_whole.subscribe().wait_for(|is_whole| *is_whole).await;
    }

    /// Loads configurations and plans, which is quickly done, and all that is needed to take alerts in.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn load_catalog(&self, store: &dyn Store) -> StoreResult<()> {
        let mut applied = self.inner.applied.lock().await;
        let mark = store.last_change().await?;
        let fresh = read_collections(store, &COLLECTIONS[..CATALOG]).await?;
        *self.inner.audience.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        *applied = mark;
        Ok(())
    }

    /// Loads everything anew.
    ///
    /// # Errors
    /// Those of the store. A document that cannot be read is noted, and what can be read of it is obeyed: one broken
    /// document must not keep the others from their alerts.
    pub async fn load(&self, store: &dyn Store) -> StoreResult<()> {
        // Again where what changed meanwhile is not known any more.
        while !self.try_load(store).await? {}
        Ok(())
    }

    async fn try_load(&self, store: &dyn Store) -> StoreResult<bool> {
        // What changes while we read is in the log behind this mark.
        let mut mark = store.last_change().await?;
        let mut fresh = read_collections(store, &COLLECTIONS).await?;
        let mut applied = self.inner.applied.lock().await;
        // Nobody is to see less than they saw before.
        loop {
            match read_log(store, mark).await? {
                LogPart::End => break,
                LogPart::Purged => return Ok(false),
                LogPart::Changes { end, touched } => {
                    read(store, touched).await?.put_into(&mut fresh, store.unreadables());
                    mark = end;
                }
            }
        }
        *self.inner.audience.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        *applied = mark;
        self.inner.is_whole.send_replace(true);
        Ok(true)
    }

    /// Up to where the change log has been applied: nothing of it is needed from before that.
    pub async fn applied(&self) -> i64 {
        *self.inner.applied.lock().await
    }

    /// Applies what the change log holds beyond what was applied before. Whoever calls this sees every change that was
    /// acknowledged before the call.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn catch_up(&self, store: &dyn Store) -> StoreResult<()> {
        let mut applied = self.inner.applied.lock().await;
        loop {
            match read_log(store, *applied).await? {
                LogPart::End => return Ok(()),
                LogPart::Purged => break,
                LogPart::Changes { end, touched } => {
                    let documents = read(store, touched).await?;
                    let mut audience = self.inner.audience.write().unwrap_or_else(PoisonError::into_inner);
                    documents.put_into(&mut audience, store.unreadables());
                    *applied = end;
                }
            }
        }
        drop(applied);
        info!("the change log was purged before this process had read it: everything is loaded anew");
        self.load(store).await
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

async fn read_collections(store: &dyn Store, collections: &[Collection]) -> StoreResult<Audience> {
    let mut fresh = Audience::default();
    for collection in collections {
        let visit = |bytes: &[u8]| put(&mut fresh, store.unreadables(), *collection, bytes);
        collection_walk::each_bytes(store, *collection, visit).await?;
    }
    Ok(fresh)
}

/// Documents that have changed, by their ids.
pub type ChangedIds = BTreeMap<Collection, HashSet<ObjectId>>;

/// The next part of the change log above a mark.
enum LogPart {
    /// There is none.
    End,
    /// Some of it is there no more.
    Purged,
    Changes {
        end: i64,
        touched: ChangedIds,
    },
}

async fn read_log(store: &dyn Store, mark: i64) -> StoreResult<LogPart> {
    let changes = store.changes_since(mark, PAGE).await?;
    let Some(last) = changes.last() else { return Ok(LogPart::End) };
    let end = last.seq;
    // Numbers are left out where a write failed, too, and entries that cannot be read.
    let is_gapless = changes.iter().zip(mark.saturating_add(1)..).all(|(change, seq)| change.seq == seq);
    if !is_gapless && store.first_change().await?.is_some_and(|first| first > mark.saturating_add(1)) {
        return Ok(LogPart::Purged);
    }
    let mut touched = ChangedIds::new();
    for change in changes {
        touched.entry(change.collection).or_default().insert(change.id);
    }
    Ok(LogPart::Changes { end, touched })
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
            match pack(document) {
                Ok(bytes) => put(audience, log, *collection, &bytes),
                Err(error) => log.note(UnreadableDocument::of(*collection, document, error.to_string())),
            }
        }
        for (collection, id) in self.gone {
            audience.remove(collection, id);
        }
    }
}

/// Takes in a document as far as it can be read; what is wrong with it is noted.
fn put(audience: &mut Audience, log: &UnreadableLog, collection: Collection, bytes: &[u8]) {
    if let Some(unreadable) = audience.take_in(collection, bytes) {
        log.note(unreadable);
    }
}

#[cfg(test)]
mod tests {
    use alertcast_core::fixtures::{user, user_id};
    use alertcast_core::store::{DocumentWrite, document};
    use alertcast_sqlite::{SqliteOptions, SqliteStore};

    use super::*;

    async fn add_users(store: &dyn Store, numbers: std::ops::RangeInclusive<u32>) {
        let insert = |n| DocumentWrite::Insert { collection: Collection::Users, document: document(&user(n)).unwrap() };
        store.write(numbers.map(insert).collect()).await.unwrap();
    }

    #[tokio::test]
    async fn who_comes_back_after_the_log_was_purged_beyond_what_they_had_read_loads_everything_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("data"), &SqliteOptions::default()).unwrap();
        let (store, audience) = (&store as &dyn Store, AudienceHandle::default());
        store.setup().await.unwrap();
        add_users(store, 1..=2).await;
        audience.load(store).await.unwrap();
        add_users(store, 3..=5).await;
        assert_eq!(store.purge_changes(i64::MAX, 100).await, Ok(false));
        audience.catch_up(store).await.unwrap();
        assert_eq!(audience.with(|audience| audience.size().users), 5, "the log told of the last one alone");
        assert_eq!(audience.applied().await, store.last_change().await.unwrap());
    }

    #[tokio::test]
    async fn a_log_purged_up_to_what_was_read_is_read_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("data"), &SqliteOptions::default()).unwrap();
        let (store, audience) = (&store as &dyn Store, AudienceHandle::default());
        store.setup().await.unwrap();
        add_users(store, 1..=3).await;
        audience.load(store).await.unwrap();
        add_users(store, 4..=4).await;
        let read = audience.applied().await;
        assert_eq!(store.purge_changes(read, 100).await, Ok(false));
        let (end, part) = match read_log(store, read).await.unwrap() {
            LogPart::Changes { end, touched } => (end, touched),
            LogPart::End | LogPart::Purged => panic!("it goes on"),
        };
        assert_eq!((end, part[&Collection::Users].contains(&user_id(4).0)), (read + 1, true));
        assert!(matches!(read_log(store, read - 2).await.unwrap(), LogPart::Purged));
    }
}
