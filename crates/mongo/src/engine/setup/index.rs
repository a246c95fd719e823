//! Indexes: those that core declares, the few that this engine needs besides, and what stands in their way.

use std::time::Duration;

use alertcast_core::store::Collection;
use alertcast_core::store::collection::{IndexDeclaration, IndexSource, SortDirection};
use bson::{Bson, Document, doc};
use mongodb::IndexModel;
use mongodb::options::IndexOptions;

use crate::engine::query::whole;

/// An index of ours that core does not declare.
const fn own(keys: &'static [(&'static str, SortDirection)]) -> IndexDeclaration {
    IndexDeclaration {
        keys,
        unique: false,
        only: None,
        above_zero: None,
        ttl: false,
        source: IndexSource::Alertcast,
        covered_by: None,
        unused: false,
        sparse: false,
        guards: None,
    }
}

/// Alerts that were accepted here and are not settled. An application's own are not in it, however many there are.
const UNSETTLED: IndexDeclaration = IndexDeclaration {
    only: Some(("processing.status", &["processed"])),
    above_zero: Some("alertcast.seq"),
    ..own(&[("alertcast.settledAt", SortDirection::Up), ("_id", SortDirection::Up)])
};

/// The exits that tell an alert's entries too.
const TELLING: IndexDeclaration = IndexDeclaration {
    only: Some(("state", &["pending", "sending", "held"])),
    ..own(&[("combinesAlert", SortDirection::Up)])
};

fn own_indexes(collection: Collection) -> &'static [IndexDeclaration] {
    match collection {
        Collection::Alerts => &[UNSETTLED],
        Collection::Deliveries => &[TELLING],
        _ => &[],
    }
}

/// All that a collection has to have.
pub(crate) fn list_wanted(collection: Collection) -> impl Iterator<Item = &'static IndexDeclaration> {
    collection.indexes().iter().chain(own_indexes(collection))
}

/// The name that every driver gives an index by its keys.
pub(crate) fn name(index: &IndexDeclaration) -> String {
    let parts: Vec<String> = index.keys.iter().map(|(path, way)| format!("{path}_{}", sign(*way))).collect();
    parts.join("_")
}

const fn sign(way: SortDirection) -> i32 {
    match way {
        SortDirection::Up => 1,
        SortDirection::Down => -1,
    }
}

pub(super) fn model(index: &IndexDeclaration) -> IndexModel {
    let keys: Document = index.keys.iter().map(|(path, way)| ((*path).to_owned(), Bson::from(sign(*way)))).collect();
    let mut options = IndexOptions::default();
    options.name = Some(name(index));
    options.unique = index.unique.then_some(true);
    options.expire_after = index.ttl.then_some(Duration::ZERO);
    let only = index.only.map(|(field, values)| match values {
        [value] => doc! { field: *value },
        values => doc! { field: { "$in": values.to_vec() } },
    });
    let above_zero = index.above_zero.map(|field| doc! { field: { "$gt": 0 } });
    options.partial_filter_expression = only.into_iter().chain(above_zero).reduce(|mut all, more| {
        all.extend(more);
        all
    });
    IndexModel::builder().keys(keys).options(options).build()
}

/// How an index that is wanted stands beside those that are there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IndexComparison {
    /// It is there, or one like it under another name.
    Standing,
    Missing,
    /// One with its name or its keys is another: what to do about it.
    Other(String),
}

pub(super) fn look(collection: Collection, index: &IndexDeclaration, standing: &[IndexModel]) -> IndexComparison {
    let wanted = model(index);
    let own_name = name(index);
    let mut found = IndexComparison::Missing;
    for there in standing {
        let there_name = name_of(there);
        match (same_keys(&there.keys, &wanted.keys), there_name == own_name) {
            (false, false) => {}
            (true, true) if is_alike(there, &wanted) => return IndexComparison::Standing,
            // What a unique index refuses is told by its name.
            (true, false) if is_alike(there, &wanted) && !index.unique => return IndexComparison::Standing,
            (same_keys, _) => found = IndexComparison::Other(other(collection, index, there_name, same_keys)),
        }
    }
    found
}

fn other(collection: Collection, index: &IndexDeclaration, there: &str, same_keys: bool) -> String {
    let what = if same_keys { "with the same keys, but other options or another name" } else { "with other keys" };
    format!(
        "{collection} has an index {there} {what} than the {kind} index {wanted} that is needed: drop it with \
         db.{collection}.dropIndex(\"{there}\"), and setup makes the one that is needed",
        kind = if index.unique { "unique" } else { "plain" },
        wanted = name(index),
    )
}

pub(super) fn name_of(index: &IndexModel) -> &str {
    index.options.as_ref().and_then(|options| options.name.as_deref()).unwrap_or_default()
}

/// Whatever numbers the directions were written with.
fn same_keys(one: &Document, other: &Document) -> bool {
    let key = |(path, way): (&String, &Bson)| (path.clone(), whole(way).ok_or_else(|| way.to_string()));
    one.iter().map(key).eq(other.iter().map(key))
}

fn is_alike(there: &IndexModel, wanted: &IndexModel) -> bool {
    let none = IndexOptions::default();
    let there = there.options.as_ref().unwrap_or(&none);
    let wanted = wanted.options.as_ref().unwrap_or(&none);
    let is_unique = |options: &IndexOptions| options.unique == Some(true);
    is_unique(there) == is_unique(wanted)
        && there.expire_after == wanted.expire_after
        && there.partial_filter_expression == wanted.partial_filter_expression
        && there.sparse != Some(true)
        && there.collation.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMAIL: &IndexDeclaration = &Collection::Users.indexes()[0];
    const CHAT: &IndexDeclaration = &Collection::Users.indexes()[2];

    fn there(keys: Document, name: &str, unique: Option<bool>) -> Vec<IndexModel> {
        let mut options = IndexOptions::default();
        options.name = Some(name.to_owned());
        options.unique = unique;
        vec![IndexModel::builder().keys(keys).options(options).build()]
    }

    #[test]
    fn an_index_as_every_driver_makes_it_is_taken_for_ours() {
        let look = |keys, name, unique| look(Collection::Users, EMAIL, &there(keys, name, unique));
        assert_eq!(look(doc! { "email": 1 }, "email_1", Some(true)), IndexComparison::Standing);
        assert_eq!(look(doc! { "email": 1.0 }, "email_1", Some(true)), IndexComparison::Standing);
        assert_eq!(look(doc! { "email": -1 }, "email_-1", Some(true)), IndexComparison::Missing);
        assert_eq!(look(doc! { "email": 1, "x": 1 }, "theirs", None), IndexComparison::Missing);
    }

    #[test]
    fn a_plain_index_may_have_another_name() {
        let look = |name, unique| look(Collection::Users, CHAT, &there(doc! { "telegram.chatId": 1 }, name, unique));
        assert_eq!(look("by_chat", None), IndexComparison::Standing);
        assert!(matches!(look("by_chat", Some(true)), IndexComparison::Other(_)));
    }

    #[test]
    fn another_index_in_its_place_is_told_with_what_to_do() {
        for (keys, name, unique) in [
            (doc! { "email": 1 }, "email_1", None),
            (doc! { "email": 1 }, "by_email", Some(true)),
            (doc! { "status": 1 }, "email_1", None),
        ] {
            let IndexComparison::Other(said) = look(Collection::Users, EMAIL, &there(keys, name, unique)) else {
                panic!("{name} stands in the way")
            };
            assert!(said.contains(&format!("db.users.dropIndex(\"{name}\")")) && said.contains("email_1"), "{said}");
        }
    }
}
