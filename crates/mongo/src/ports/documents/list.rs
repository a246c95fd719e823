//! Pages of lists. What no index serves together with the rest is looked at here, up to a bound.
//!
//! A list is sorted by a field and then by id. The indexes of most lists end with the field, so that the server is asked
//! for its order alone, and documents of one value are put in the order of their ids here; those of a value at which an
//! answer was cut off are asked for on their own.

use alertcast_core::store::listing::{EXAMINED_MAX, ListOrder, ListPage, ListQuery, PageMark, mark};
use alertcast_core::store::{StoreError, StoreResult};
use alertcast_core::time::Time;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

use crate::engine::query::{MongoQuery, at_path, whole};
use crate::store::MongoStore;

/// Documents that are asked for at once, where not every one of them is wanted.
const STEP: usize = 500;

/// One page.
pub(crate) async fn list(store: &MongoStore, query: &ListQuery) -> StoreResult<ListPage> {
    let Some(way) = query.way() else {
        return Err(StoreError::Corrupt(format!("{} is not listed by {}", query.collection, query.sort)));
    };
    let mut walk = ListWalk::new(query, way);
    let mut page = ListPage::default();
    let mut examined = 0;
    while let Some(found) = walk.next(store).await? {
        for document in found {
            // There is more: the page ends before it.
            if page.documents.len() == query.limit() {
                page.next = page.documents.last().and_then(|last| mark(last, query.sort));
                return Ok(page);
            }
            let after = mark(&document, query.sort);
            examined += 1;
            if is_wanted(query, way, &document) {
                page.documents.push(document);
            }
            if examined == EXAMINED_MAX && way.ordered_by.is_some() {
                page.next = after;
                return Ok(page);
            }
        }
    }
    Ok(page)
}

/// A walk through the documents that a way leads to, in their order.
struct ListWalk<'q> {
    query: &'q ListQuery,
    way: ListOrder,
    step: usize,
    stage: ListStage,
}

/// What is asked for next.
enum ListStage {
    /// What is beyond the mark, in the whole order: by id alone, or where it is few.
    InOrder(Option<PageMark>),
    /// What has this value, beyond the id where there is one.
    Of(Bson, Option<ObjectId>),
    /// What is beyond this value, or all that has one.
    Beyond(Option<Bson>),
    Ended,
}

impl<'q> ListWalk<'q> {
    fn new(query: &'q ListQuery, way: ListOrder) -> Self {
        // One more tells that there is more, and the last of an answer may be the first of several.
        let step = if query.is_narrower_than(way) { STEP } else { query.limit() + 2 };
        let after = query.after.clone();
        let stage = match (way.ordered_by, after) {
            (None | Some("_id"), after) => ListStage::InOrder(after),
            (Some(_), Some(after)) => ListStage::Of(after.value, Some(after.id)),
            (Some(_), None) => ListStage::Beyond(None),
        };
        Self { query, way, step, stage }
    }

    /// The next documents; none: there are no more.
    async fn next(&mut self, store: &MongoStore) -> StoreResult<Option<Vec<Document>>> {
        let asked = match &self.stage {
            ListStage::InOrder(after) => {
                MongoQuery::new(in_order(self.query, self.way, after.as_ref())).sort_by(whole_order(self.query))
            }
            ListStage::Of(value, after) => {
                let of_value = of_value(self.query, self.way, value, *after);
                MongoQuery::new(of_value).sort_by(doc! { "_id": direction(self.query) })
            }
            ListStage::Beyond(after) => {
                let beyond = beyond(self.query, self.way, after.as_ref());
                MongoQuery::new(beyond).sort_by(doc! { self.query.sort: direction(self.query) })
            }
            ListStage::Ended => return Ok(None),
        };
        let mut found = store.find(self.query.collection, asked.limit(self.step)).await?;
        let is_last = found.len() < self.step;
        let last = found.last().and_then(|last| mark(last, self.query.sort));
        self.stage = match (std::mem::replace(&mut self.stage, ListStage::Ended), last) {
            (ListStage::InOrder(_), Some(last)) if !is_last => ListStage::InOrder(Some(last)),
            (ListStage::Of(value, _), Some(last)) if !is_last => ListStage::Of(value, Some(last.id)),
            (ListStage::Of(value, _), _) => ListStage::Beyond(Some(value)),
            (ListStage::Beyond(_), Some(last)) => {
                if !is_last {
                    found.retain(|one| at_path(one, self.query.sort) != Some(&last.value));
                }
                by_id_within_a_value(self.query, &mut found);
                if is_last { ListStage::Ended } else { ListStage::Of(last.value, None) }
            }
            _ => ListStage::Ended,
        };
        Ok(Some(found))
    }
}

fn by_id_within_a_value(query: &ListQuery, found: &mut [Document]) {
    let value = |document: &Document| at_path(document, query.sort).cloned();
    for same in found.chunk_by_mut(|one, next| value(one) == value(next)) {
        same.sort_by_key(|document| document.get_object_id("_id").ok());
        if query.descending {
            same.reverse();
        }
    }
}

/// What the way's index is asked for by equality.
fn serve_filter(query: &ListQuery, way: ListOrder) -> Document {
    let equal = query.served_fields(way).map(|(path, value)| (path.to_owned(), doc! { "$eq": value.clone() }.into()));
    equal.collect()
}

fn of_value(query: &ListQuery, way: ListOrder, value: &Bson, after: Option<ObjectId>) -> Document {
    let mut filter = serve_filter(query, way);
    filter.insert(query.sort, doc! { "$eq": value.clone() });
    filter.extend(after.map(|after| ("_id".to_owned(), doc! { sign(query): after }.into())));
    filter
}

/// A value beyond another is of its type, and so is not null.
fn beyond(query: &ListQuery, way: ListOrder, after: Option<&Bson>) -> Document {
    let mut filter = serve_filter(query, way);
    let has_one = || doc! { "$ne": Bson::Null };
    let mut condition = after.map_or_else(has_one, |after| doc! { sign(query): after.clone() });
    add_bounds(query, &mut condition);
    filter.insert(query.sort, condition);
    filter
}

/// The bounds of the list. Where a page begins behind a mark, that is the nearer one on its side.
fn add_bounds(query: &ListQuery, condition: &mut Document) {
    for (operator, bound) in [("$gte", query.range.from), ("$lt", query.range.before)] {
        if let Some(bound) = bound {
            condition.entry(operator.to_owned()).or_insert_with(|| bound.into());
        }
    }
}

fn in_order(query: &ListQuery, way: ListOrder, after: Option<&PageMark>) -> Document {
    let mut filter = serve_filter(query, way);
    let (sort, sign) = (query.sort, sign(query));
    if sort == "_id" {
        filter.extend(after.map(|after| ("_id".to_owned(), doc! { sign: after.id }.into())));
        return filter;
    }
    filter.entry(sort.to_owned()).or_insert_with(|| doc! {}.into());
    if let Ok(condition) = filter.get_document_mut(sort) {
        condition.insert("$ne", Bson::Null);
        add_bounds(query, condition);
    }
    if let Some(after) = after {
        let beyond = doc! { sort: { sign: after.value.clone() } };
        let beside = doc! { sort: { "$eq": after.value.clone() }, "_id": { sign: after.id } };
        filter.insert("$or", vec![beyond, beside]);
    }
    filter
}

const fn sign(query: &ListQuery) -> &'static str {
    if query.descending { "$lt" } else { "$gt" }
}

const fn direction(query: &ListQuery) -> i32 {
    if query.descending { -1 } else { 1 }
}

fn whole_order(query: &ListQuery) -> Document {
    match query.sort {
        "_id" => doc! { "_id": direction(query) },
        sort => doc! { sort: direction(query), "_id": direction(query) },
    }
}

fn is_wanted(query: &ListQuery, way: ListOrder, document: &Document) -> bool {
    let same = |kept: &Bson, value: &Bson| match (whole(kept), whole(value)) {
        (Some(a), Some(b)) => a == b,
        _ => kept == value,
    };
    query.residual(way).all(|(path, value)| at_path(document, path).is_some_and(|kept| same(kept, value)))
        && is_in_range(query, document)
        && is_found(query, document)
}

fn is_in_range(query: &ListQuery, document: &Document) -> bool {
    let moment = || at_path(document, query.sort).and_then(Bson::as_datetime).map(|at| Time::from(*at));
    query.range.is_open() || moment().is_some_and(|at| query.range.contains(at))
}

fn is_found(query: &ListQuery, document: &Document) -> bool {
    query.search_paths().is_none_or(|(sought, paths)| {
        paths.iter().filter_map(|path| at_path(document, path)?.as_str()).any(|text| sought.is_in(text))
    })
}
