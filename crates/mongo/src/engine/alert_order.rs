//! The counter of the order in which alerts were accepted.

use alertcast_core::store::StoreResult;
use bson::{Document, doc};

use crate::engine::setup::COUNTERS;
use crate::store::MongoStore;

/// The counter's id.
pub(crate) const ORDER: &str = "order";

/// New alerts come behind those that a backup brought.
pub(crate) async fn keep_place(store: &MongoStore, last: i64) -> StoreResult<()> {
    store
        .link
        .run_bounded(async {
            let counters = store.db().collection::<Document>(COUNTERS);
            let raise = doc! { "$max": { "seq": last } };
            counters.update_one(doc! { "_id": ORDER }, raise).upsert(true).await?;
            Ok(())
        })
        .await
}
