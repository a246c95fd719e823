//! A question to one collection, and the small conversions that every file needs.

use alertcast_core::money::Count;
use bson::{Bson, Document, doc};
use mongodb::options::FindOptions;

/// Documents in one answer: what a chunk of subscribers needs comes in one round trip.
pub(crate) const BATCH: u32 = 5_000;

/// What to look for.
#[derive(Debug, Clone)]
pub(crate) struct MongoQuery {
    pub(crate) filter: Document,
    sort: Option<Document>,
    projection: Option<Document>,
    limit: Option<usize>,
}

impl MongoQuery {
    pub(crate) const fn new(filter: Document) -> Self {
        Self { filter, sort: None, projection: None, limit: None }
    }

    pub(crate) fn sort_by(self, sort: Document) -> Self {
        Self { sort: Some(sort), ..self }
    }

    /// Answers these fields alone.
    pub(crate) fn fields(self, projection: Document) -> Self {
        Self { projection: Some(projection), ..self }
    }

    pub(crate) fn limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Whether it can only be answered by nothing. The server takes a limit of 0 for none.
    pub(crate) fn is_void(&self) -> bool {
        self.limit == Some(0)
    }

    pub(crate) fn options(&self) -> FindOptions {
        let mut options = FindOptions::default();
        options.sort.clone_from(&self.sort);
        options.projection.clone_from(&self.projection);
        options.limit = self.limit.map(bound_limit);
        options.batch_size = Some(BATCH);
        options
    }
}

/// A limit as the server takes it.
pub(crate) fn bound_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// From one value to another, both included; one value alone where they are the same.
pub(crate) fn between<T: Into<Bson> + PartialEq>(first: T, last: T) -> Bson {
    if first == last { first.into() } else { doc! { "$gte": first, "$lte": last }.into() }
}

/// A whole number, whatever BSON number it is, bounded as counts are.
pub(crate) fn whole(value: &Bson) -> Option<i64> {
    Count::of(value).map(|count| count.0)
}

/// The value at a dotted path.
pub(crate) fn at_path<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    match path.split_once('.') {
        None => document.get(path),
        Some((first, rest)) => at_path(document.get_document(first).ok()?, rest),
    }
}

/// Adds a value under an operator of an update, which must not be there without one.
pub(crate) fn put(update: &mut Document, operator: &str, path: &str, value: impl Into<Bson>) {
    if let Ok(fields) = update.get_document_mut(operator) {
        fields.insert(path, value);
    } else {
        let mut fields = Document::new();
        fields.insert(path, value);
        update.insert(operator, fields);
    }
}
