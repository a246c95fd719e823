//! Pages of lists. What no index serves together with the rest is looked at here, up to a bound.

use alertcast_core::store::listing::{EXAMINED_MAX, ListPage, ListQuery, Mark, Way, mark};
use alertcast_core::store::{Result as StoreResult, StoreError};
use bson::{Bson, Document, doc};

use crate::connect::MongoStore;
use crate::query::{Query, at_path, whole};

/// Documents that are asked for at once, where not every one of them is wanted.
const STEP: usize = 500;

/// One page.
pub(crate) async fn list(store: &MongoStore, query: &ListQuery) -> StoreResult<ListPage> {
    let Some(way) = query.way() else {
        return Err(StoreError::Corrupt(format!("{} is not listed by {}", query.collection, query.sort)));
    };
    let step = if query.residual(way).next().is_some() { STEP } else { query.limit() + 1 };
    let mut page = ListPage::default();
    let mut after = query.after.clone();
    let mut examined = 0;
    loop {
        let filter = filter(query, way, after.as_ref());
        let found = store.find(query.collection, Query::new(filter).sorted(sort(query)).limit(step)).await?;
        let is_last = found.len() < step;
        for document in found {
            // There is more: the page ends before it.
            if page.documents.len() == query.limit() {
                page.next = page.documents.last().and_then(|last| mark(last, query.sort));
                return Ok(page);
            }
            after = mark(&document, query.sort);
            examined += 1;
            if is_wanted(query, way, &document) {
                page.documents.push(document);
            }
            if examined == EXAMINED_MAX && way.ordered_by.is_some() {
                page.next = after;
                return Ok(page);
            }
        }
        if is_last {
            return Ok(page);
        }
    }
}

fn filter(query: &ListQuery, way: Way, after: Option<&Mark>) -> Document {
    let mut filter = Document::new();
    for (path, value) in query.served(way) {
        filter.insert(path, doc! { "$eq": value.clone() });
    }
    let sort = query.sort;
    let sign = if query.descending { "$lt" } else { "$gt" };
    if sort == "_id" {
        filter.extend(after.map(|after| ("_id".to_owned(), doc! { sign: after.id }.into())));
        return filter;
    }
    filter.entry(sort.to_owned()).or_insert_with(|| doc! {}.into());
    if let Ok(condition) = filter.get_document_mut(sort) {
        condition.insert("$ne", Bson::Null);
    }
    if let Some(after) = after {
        let beyond = doc! { sort: { sign: after.value.clone() } };
        let beside = doc! { sort: { "$eq": after.value.clone() }, "_id": { sign: after.id } };
        filter.insert("$or", vec![beyond, beside]);
    }
    filter
}

fn sort(query: &ListQuery) -> Document {
    let direction = if query.descending { -1 } else { 1 };
    if query.sort == "_id" {
        doc! { "_id": direction }
    } else {
        doc! { query.sort: direction, "_id": direction }
    }
}

fn is_wanted(query: &ListQuery, way: Way, document: &Document) -> bool {
    let same = |kept: &Bson, value: &Bson| match (whole(kept), whole(value)) {
        (Some(a), Some(b)) => a == b,
        _ => kept == value,
    };
    query.residual(way).all(|(path, value)| at_path(document, path).is_some_and(|kept| same(kept, value)))
}
