//! From one end of a collection to the other.

use alertcast_core::store::StoreResult;
use bson::Document;
use bson::oid::ObjectId;

/// Documents read at once.
pub(crate) const PAGE: usize = 2_000;

/// Visits every document of a collection, of which `page` answers [`PAGE`] after an id.
///
/// # Errors
/// Those of `page`.
pub(crate) async fn each<P>(page: impl Fn(Option<ObjectId>) -> P, mut visit: impl FnMut(Document)) -> StoreResult<()>
where
    P: Future<Output = StoreResult<Vec<Document>>>,
{
    let mut after = None;
    loop {
        let page = page(after).await?;
        let is_last = page.len() < PAGE;
        // Ids that are none of ours may stand before all of ours: from the lowest of ours on there are no others.
        let last = page.last().and_then(|document| document.get_object_id("_id").ok());
        after = Some(last.unwrap_or(ObjectId::from_bytes([0; 12])));
        page.into_iter().for_each(&mut visit);
        if is_last {
            return Ok(());
        }
    }
}
