//! The document of the set-up: which version the database has, and who is changing it. One process at a time does; the
//! others wait while it shows that it lives, and one of them takes over when it does not.
//!
//! Whether it lives is seen, not read from a clock: its renewals are counted in the document, and a count that stays the
//! same over many looks is that of a process that has gone. What one does whose turn was taken over is done twice and
//! changes nothing more; only the end, where the version is noted, is refused to it.

use std::time::Duration;

use alertcast_core::store::{StoreError, StoreResult};
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use mongodb::options::ReturnDocument;
use tokio::time::sleep;

use super::COUNTERS;
use crate::engine::query::whole;
use crate::error::{DUPLICATE_KEY, MongoError, MongoResult};
use crate::store::MongoStore;

/// The document's id, in the collection of counters.
const SETUP: &str = "setup";

/// How often one who waits looks again.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Looks without a renewal after which the turn is free: five seconds.
const LOOKS_UNTIL_FREE: u32 = 25;

/// Looks after which one who waits gives up: ten minutes.
const LOOKS_MAX: u32 = 3_000;

/// How often the turn is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// The right to change the database.
#[derive(Debug)]
pub(super) struct SetupLock {
    owner: String,
    epoch: i64,
}

/// The version that the database was set up as; 0: never.
pub(super) async fn version(store: &MongoStore) -> StoreResult<i64> {
    Ok(read(store).await?.and_then(|kept| whole(kept.get("version")?)).unwrap_or(0))
}

/// Waits for the turn, and takes it.
pub(super) async fn take(store: &MongoStore) -> StoreResult<SetupLock> {
    let owner = ObjectId::new().to_hex();
    let mut seen = None;
    let mut unchanged = 0;
    for look in 0..LOOKS_MAX {
        let kept = read(store).await?;
        unchanged = if look > 0 && kept == seen { unchanged + 1 } else { 0 };
        let is_free = kept.as_ref().is_none_or(|kept| kept.get_str("owner").unwrap_or_default().is_empty());
        if is_free || unchanged >= LOOKS_UNTIL_FREE {
            if let Some(turn) = try_take(store, &owner, kept.as_ref()).await? {
                return Ok(turn);
            }
        } else if look == 0 {
            tracing::info!("another process is setting up the database: waiting for it");
        }
        seen = kept;
        sleep(LOOK_EVERY).await;
    }
    Err(StoreError::Unavailable("another process has been setting up the database for ten minutes".to_owned()))
}

async fn read(store: &MongoStore) -> StoreResult<Option<Document>> {
    store.link.run_bounded(async { Ok(store.db().collection(COUNTERS).find_one(doc! { "_id": SETUP }).await?) }).await
}

/// Takes the turn if it still stands as seen.
async fn try_take(store: &MongoStore, owner: &str, seen: Option<&Document>) -> StoreResult<Option<SetupLock>> {
    let counters = store.db().collection::<Document>(COUNTERS);
    let field = |name: &str| seen.and_then(|seen| seen.get(name)).cloned().unwrap_or(Bson::Null);
    let as_seen = doc! { "_id": SETUP, "owner": field("owner"), "epoch": field("epoch"), "renewal": field("renewal") };
    let update = doc! { "$set": { "owner": owner }, "$inc": { "epoch": 1_i64, "renewal": 1_i64 } };
    let taken = store.link.run_bounded(async {
        if seen.is_none() {
            let first = doc! { "_id": SETUP, "owner": owner, "epoch": 1_i64, "renewal": 1_i64 };
            return match counters.insert_one(&first).await {
                Err(error) if MongoError::code_of(&error) == Some(DUPLICATE_KEY) => Ok(None),
                answer => Ok(Some(answer.map(|_| first)?)),
            };
        }
        Ok(counters.find_one_and_update(as_seen, update).return_document(ReturnDocument::After).await?)
    });
    let epoch = |taken: &Document| taken.get("epoch").and_then(whole).unwrap_or(0);
    Ok(taken.await?.map(|taken| SetupLock { owner: owner.to_owned(), epoch: epoch(&taken) }))
}

impl SetupLock {
    /// Does the work, and shows meanwhile that somebody does. `Fenced` where the turn was taken over.
    pub(super) async fn run_locked<T>(
        &self,
        store: &MongoStore,
        work: impl Future<Output = MongoResult<T>>,
    ) -> StoreResult<T> {
        tokio::select! {
            done = work => Ok(done?),
            lost = self.renew(store) => Err(lost),
        }
    }

    async fn renew(&self, store: &MongoStore) -> StoreError {
        loop {
            sleep(RENEW_EVERY).await;
            match self.change(store, doc! { "$inc": { "renewal": 1_i64 } }).await {
                Ok(()) => {}
                Err(error) => return error,
            }
        }
    }

    /// Notes that something was changed, and what the database is now.
    pub(super) async fn note(&self, store: &MongoStore, version: i64) -> StoreResult<()> {
        let by = concat!("alertcast ", env!("CARGO_PKG_VERSION"));
        let noted = doc! {
            "$set": { "version": version, "by": by }, "$currentDate": { "at": true }, "$inc": { "changes": 1_i64 },
        };
        self.change(store, noted).await
    }

    /// Gives the turn back.
    pub(super) async fn end(self, store: &MongoStore) -> StoreResult<()> {
        self.change(store, doc! { "$set": { "owner": "" }, "$inc": { "renewal": 1_i64 } }).await
    }

    async fn change(&self, store: &MongoStore, update: Document) -> StoreResult<()> {
        let own = doc! { "_id": SETUP, "owner": &self.owner, "epoch": self.epoch };
        let done = store
            .link
            .run_bounded(async { Ok(store.db().collection::<Document>(COUNTERS).update_one(own, update).await?) });
        match done.await?.matched_count {
            1 => Ok(()),
            _ => Err(StoreError::Fenced { lease: SETUP.to_owned() }),
        }
    }
}
