//! Finding out whether the store keeps something as large as an alert.

use std::time::Duration;

use alertcast_core::store::{Collection, DocumentWrite, Store, StoreResult};
use alertcast_core::time::Time;
use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, doc};

/// As much as the largest alert.
const PROBE_BYTES: usize = 64 * 1024;
/// What a probe has written is removed at once; where that fails, with what is old.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// Writes a document of an alert's size, synced, and removes it again.
///
/// # Errors
/// Those of the store.
pub(crate) async fn write_something(store: &dyn Store, id: ObjectId, now: Time) -> StoreResult<()> {
    // Records of requests that were repeated: nobody looks for one of this name, and they pass by themselves.
    let collection = Collection::IdempotencyKeys;
    let padding = Binary { subtype: BinarySubtype::Generic, bytes: vec![0; PROBE_BYTES] };
    let document = doc! { "_id": id, "request": "readiness", "until": now + KEPT, "body": padding };
    let remove = || vec![DocumentWrite::Delete { collection, id }];
    // What an earlier one may have left would make room for this one.
    store.write(remove()).await?;
    store.write(vec![DocumentWrite::Insert { collection, document }]).await?;
    store.write(remove()).await
}
