//! What stands in a unique index's way: documents that have one value together. Each is named, for people to decide.

use alertcast_core::reading::unpack_what_is_there;
use alertcast_core::store::Collection;
use alertcast_core::store::collection::{IndexDeclaration, IndexSource};
use bson::{Bson, Document, RawDocumentBuf, doc};
use futures::TryStreamExt;

use crate::engine::query::whole;
use crate::error::MongoResult;
use crate::store::MongoStore;

/// So many values of one index are told, and so many ids of each.
const TOLD_MAX: usize = 20;

/// The documents that a unique index could not hold, one line for each value.
pub(super) async fn find(
    store: &MongoStore,
    collection: Collection,
    index: &IndexDeclaration,
) -> MongoResult<Vec<String>> {
    let told = i32::try_from(TOLD_MAX).unwrap_or(i32::MAX);
    let names: Vec<String> = (0..index.keys.len()).map(|n| format!("k{n}")).collect();
    // A field that is absent and one that is null are the same to an index.
    let value = |(name, (path, _)): (&String, &(&str, _))| {
        (name.clone(), doc! { "$ifNull": [format!("${path}"), null] }.into())
    };
    let values: Document = names.iter().zip(index.keys).map(value).collect();
    let stages = vec![
        doc! { "$group": { "_id": values, "count": { "$sum": 1 }, "ids": { "$push": "$_id" } } },
        doc! { "$match": { "count": { "$gt": 1 } } },
        doc! { "$sort": { "_id": 1 } },
        doc! { "$limit": told + 1 },
        doc! { "$project": { "count": 1, "ids": { "$slice": ["$ids", told] } } },
    ];
    let found =
        store.collection(collection).aggregate(stages).with_type::<RawDocumentBuf>().allow_disk_use(true).await?;
    let found: Vec<RawDocumentBuf> = found.try_collect().await?;
    let found: Vec<Document> = found.iter().map(|group| unpack_what_is_there(collection, group.as_bytes())).collect();
    let mut lines: Vec<String> =
        found.iter().take(TOLD_MAX).map(|group| line(collection, index, &names, group)).collect();
    if found.len() > TOLD_MAX {
        lines.push(format!("{collection}: more values of {} are had by several documents", fields(index)));
    }
    Ok(lines)
}

fn fields(index: &IndexDeclaration) -> String {
    index.keys.iter().map(|(path, _)| *path).collect::<Vec<_>>().join(", ")
}

fn line(collection: Collection, index: &IndexDeclaration, names: &[String], group: &Document) -> String {
    let count = group.get("count").and_then(whole).unwrap_or(0);
    let ids: Vec<String> = group.get_array("ids").into_iter().flatten().map(show_value).collect();
    let more = if usize::try_from(count).is_ok_and(|count| count > ids.len()) { ", …" } else { "" };
    let value = |name: &String| group.get_document("_id").ok().and_then(|values| values.get(name)).map(show_value);
    let values: Vec<String> = names.iter().filter_map(value).collect();
    // What is unique among our own documents is a digest or a key, and tells nobody anything.
    let values = match index.source {
        IndexSource::Seed => format!(" {}", values.join(", ")),
        IndexSource::Alertcast => String::new(),
    };
    format!(
        "{collection}: {count} documents have the same {}{values}, which must be unique: _id {}{more}; change or remove \
         all but one of them",
        fields(index),
        ids.join(", "),
    )
}

fn show_value(value: &Bson) -> String {
    match value {
        Bson::ObjectId(id) => id.to_hex(),
        Bson::Null => "(none)".to_owned(),
        other => other.to_string(),
    }
}
