//! From one end of a collection to the other.

use alertcast_core::store::{Collection, DocumentStore, StoreResult};
use bson::oid::ObjectId;
use bson::{Document, RawDocument};

/// Documents read at once.
pub(crate) const PAGE: usize = 2_000;

/// Visits every document of a collection, of which `page` answers [`PAGE`] after an id.
///
/// # Errors
/// Those of `page`.
pub(crate) async fn each<P>(page: impl Fn(Option<ObjectId>) -> P, visit: impl FnMut(Document)) -> StoreResult<()>
where
    P: Future<Output = StoreResult<Vec<Document>>>,
{
    walk(page, |document| document.get_object_id("_id").ok(), visit).await
}

/// Visits the bytes of every document of a collection.
///
/// # Errors
/// Those of the store.
pub(crate) async fn each_bytes<S: DocumentStore + ?Sized>(
    store: &S,
    collection: Collection,
    mut visit: impl FnMut(&[u8]),
) -> StoreResult<()> {
    let id = |bytes: &Vec<u8>| RawDocument::from_bytes(bytes).ok()?.get_object_id("_id").ok();
    walk(|after| store.page_bytes(collection, after, PAGE), id, |bytes| visit(&bytes)).await
}

async fn walk<P, D>(
    page: impl Fn(Option<ObjectId>) -> P,
    id: impl Fn(&D) -> Option<ObjectId>,
    mut visit: impl FnMut(D),
) -> StoreResult<()>
where
    P: Future<Output = StoreResult<Vec<D>>>,
{
    let mut after = None;
    loop {
        let page = page(after).await?;
        let is_last = page.len() < PAGE;
        // Ids that are none of ours may stand before all of ours: from the lowest of ours on there are no others.
        let last = page.last().and_then(&id);
        after = Some(last.unwrap_or(ObjectId::from_bytes([0; 12])));
        page.into_iter().for_each(&mut visit);
        if is_last {
            return Ok(());
        }
    }
}
