//! Writing documents: all or nothing, with references and the change log kept. Unique fields are the indexes' work.

use std::collections::HashSet;

use alertcast_core::store::collection::{FieldReference, IndexDeclaration};
use alertcast_core::store::{Collection, DocumentWrite, StoreError, StoreResult};
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

use crate::engine::alert_order::keep_place;
use crate::engine::local_locks::CHANGES;
use crate::engine::query::{MongoQuery, at_path, whole};
use crate::engine::transact::{BulkUpdate, MongoTransaction};
use crate::error::{MongoError, MongoResult};
use crate::store::MongoStore;

/// Writes of one kind in one collection that stand together in the list. They go in one statement.
pub(crate) enum WriteRun {
    Insert(Collection, Vec<Document>),
    Update(Collection, Vec<DocumentChange>),
    Delete(Collection, Vec<ObjectId>),
}

/// One document's change.
pub(crate) struct DocumentChange {
    id: ObjectId,
    filter: Document,
    set: Document,
    unset: Vec<String>,
}

pub(crate) async fn write(store: &MongoStore, writes: Vec<DocumentWrite>) -> StoreResult<()> {
    if writes.is_empty() {
        return Ok(());
    }
    let runs = ready(writes);
    if let Some(last) = last_place(&runs) {
        keep_place(store, last).await?;
    }
    store.transact(&[CHANGES], runs, |tx, runs| Box::pin(apply(tx, runs))).await
}

/// Puts writes together to as few statements as may be.
pub(crate) fn ready(writes: Vec<DocumentWrite>) -> Vec<WriteRun> {
    let mut runs: Vec<WriteRun> = Vec::new();
    for write in writes {
        add(&mut runs, write);
    }
    runs
}

fn add(runs: &mut Vec<WriteRun>, write: DocumentWrite) {
    match (write, runs.last_mut()) {
        (DocumentWrite::Insert { collection, document }, Some(WriteRun::Insert(last, documents)))
            if *last == collection =>
        {
            documents.push(document);
        }
        (DocumentWrite::Insert { collection, document }, _) => runs.push(WriteRun::Insert(collection, vec![document])),
        (DocumentWrite::Update { collection, id, set, unset, expect }, last) => {
            let filter = as_seen(doc! { "_id": id }, expect);
            let change = DocumentChange { id, filter, set, unset };
            match last {
                Some(WriteRun::Update(last, changes)) if *last == collection => changes.push(change),
                _ => runs.push(WriteRun::Update(collection, vec![change])),
            }
        }
        (DocumentWrite::Delete { collection, id }, Some(WriteRun::Delete(last, ids))) if *last == collection => {
            ids.push(id)
        }
        (DocumentWrite::Delete { collection, id }, _) => runs.push(WriteRun::Delete(collection, vec![id])),
    }
}

/// A filter that also asks for these values; null: absent or null.
pub(crate) fn as_seen(mut filter: Document, expect: Vec<(String, Bson)>) -> Document {
    for (field, value) in expect {
        filter.insert(field, doc! { "$eq": value });
    }
    filter
}

/// Applies writes; where there are none, nothing is held up.
pub(crate) async fn apply(tx: &mut MongoTransaction, runs: &[WriteRun]) -> MongoResult<()> {
    if runs.is_empty() {
        return Ok(());
    }
    tx.exclude_other_writes().await?;
    let mut changed = Vec::new();
    for run in runs {
        match run {
            WriteRun::Insert(collection, documents) => insert(tx, *collection, documents, &mut changed).await?,
            WriteRun::Update(collection, changes) => update(tx, *collection, changes, &mut changed).await?,
            WriteRun::Delete(collection, ids) => delete(tx, *collection, ids, &mut changed).await?,
        }
    }
    tx.note_changes(&changed).await
}

type ChangedDocuments = Vec<(Collection, ObjectId)>;

async fn insert(
    tx: &mut MongoTransaction,
    collection: Collection,
    documents: &[Document],
    changed: &mut ChangedDocuments,
) -> MongoResult<()> {
    for reference in collection.references() {
        let ids = documents.iter().filter_map(|document| document.get(reference.field)).flat_map(ids_in);
        check_reference(tx, collection, reference, ids.collect()).await?;
    }
    tx.insert(collection, documents.to_vec()).await?;
    for index in collection.indexes() {
        let (Some(_), [(key, _)]) = (index.guards, index.keys) else { continue };
        let values = documents.iter().filter_map(|document| at_path(document, key)?.as_str());
        guard(tx, collection, index, values.map(str::to_owned).collect()).await?;
    }
    changed
        .extend(documents.iter().filter_map(|document| document.get_object_id("_id").ok()).map(|id| (collection, id)));
    Ok(())
}

/// The last place in the order of acceptance that these alerts have.
fn last_place(runs: &[WriteRun]) -> Option<i64> {
    let alerts = runs.iter().filter_map(|run| match run {
        WriteRun::Insert(Collection::Alerts, documents) => Some(documents),
        _ => None,
    });
    alerts.flatten().filter_map(|alert| at_path(alert, "alertcast.seq").and_then(whole)).max().filter(|last| *last > 0)
}

async fn update(
    tx: &mut MongoTransaction,
    collection: Collection,
    changes: &[DocumentChange],
    changed: &mut ChangedDocuments,
) -> MongoResult<()> {
    let mut updates = Vec::new();
    for change in changes {
        let mut update = Document::new();
        if !change.set.is_empty() {
            update.insert("$set", change.set.clone());
        }
        if !change.unset.is_empty() {
            let paths = change.unset.iter().map(|path| (path.clone(), Bson::from("")));
            update.insert("$unset", paths.collect::<Document>());
        }
        if update.is_empty() {
            // The server wants something to do.
            update.insert("$setOnInsert", doc! { "_id": change.id });
        }
        updates.push(BulkUpdate::new(change.filter.clone(), update));
    }
    if tx.updates(collection.name(), updates).await? != changes.len() {
        return Err(MongoError::Store(StoreError::Conflict));
    }
    for index in collection.indexes() {
        let (Some(_), [(key, _)]) = (index.guards, index.keys) else { continue };
        let values = changes.iter().filter_map(|change| change.set.get_str(key).ok());
        guard(tx, collection, index, values.map(str::to_owned).collect()).await?;
    }
    for reference in collection.references() {
        let within = format!("{}.", reference.field);
        let named = changes.iter().flat_map(|change| &change.set);
        let values = named.filter(|(path, _)| *path == reference.field || path.starts_with(&within));
        let ids = values.flat_map(|(_, value)| ids_in(value));
        check_reference(tx, collection, reference, ids.collect()).await?;
    }
    changed.extend(changes.iter().map(|change| (collection, change.id)));
    Ok(())
}

/// Values looked for at once.
const GUARDED: usize = 1_000;

/// Refuses a second document with a value that our own writes keep unique. They exclude each other.
async fn guard(
    tx: &mut MongoTransaction,
    collection: Collection,
    index: &IndexDeclaration,
    values: Vec<String>,
) -> MongoResult<()> {
    let (Some(field), [(key, _)]) = (index.guards, index.keys) else { return Ok(()) };
    for values in values.chunks(GUARDED) {
        let query = MongoQuery::new(doc! { *key: { "$in": values } }).fields(doc! { *key: 1 });
        let mut seen = HashSet::new();
        for found in tx.find(collection, query).await? {
            let value = at_path(&found, key).and_then(Bson::as_str).unwrap_or_default();
            if !seen.insert(value.to_owned()) {
                return Err(MongoError::Store(StoreError::AlreadyExists { collection, field: field.to_owned() }));
            }
        }
    }
    Ok(())
}

/// Deletes documents that nothing refers to.
async fn delete(
    tx: &mut MongoTransaction,
    collection: Collection,
    ids: &[ObjectId],
    changed: &mut ChangedDocuments,
) -> MongoResult<()> {
    let these = doc! { "$in": ids.to_vec() };
    let there = tx.find(collection, MongoQuery::new(doc! { "_id": these.clone() }).fields(doc! { "_id": 1 })).await?;
    let mut there: HashSet<ObjectId> = there.iter().filter_map(|found| found.get_object_id("_id").ok()).collect();
    if there.is_empty() {
        return Ok(());
    }
    for from in Collection::ALL {
        for reference in from.references().iter().filter(|reference| reference.to == collection) {
            let referring =
                MongoQuery::new(doc! { reference.field: these.clone() }).fields(doc! { reference.field: 1 });
            let found = tx.find(*from, referring.limit(1)).await?;
            let mut named = found.iter().filter_map(|found| found.get(reference.field)).flat_map(ids_in);
            if let Some(id) = named.find(|id| there.contains(id)) {
                return Err(missing_reference(*from, reference, id));
            }
        }
    }
    tx.delete(collection, doc! { "_id": these }).await?;
    changed.extend(ids.iter().filter(|id| there.remove(id)).map(|id| (collection, *id)));
    Ok(())
}

async fn check_reference(
    tx: &mut MongoTransaction,
    collection: Collection,
    reference: &FieldReference,
    ids: Vec<ObjectId>,
) -> MongoResult<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let distinct: HashSet<ObjectId> = ids.iter().copied().collect();
    let distinct: Vec<ObjectId> = distinct.into_iter().collect();
    let query = MongoQuery::new(doc! { "_id": { "$in": distinct } }).fields(doc! { "_id": 1 });
    let found = tx.find(reference.to, query).await?;
    let found: HashSet<ObjectId> = found.iter().filter_map(|found| found.get_object_id("_id").ok()).collect();
    match ids.into_iter().find(|id| !found.contains(id)) {
        Some(id) => Err(missing_reference(collection, reference, id)),
        None => Ok(()),
    }
}

fn missing_reference(collection: Collection, reference: &FieldReference, id: ObjectId) -> MongoError {
    MongoError::Store(StoreError::MissingReference { collection, field: reference.field.to_owned(), id })
}

/// The ids in a field that holds one or a list of them.
fn ids_in(value: &Bson) -> Vec<ObjectId> {
    match value {
        Bson::ObjectId(id) => vec![*id],
        Bson::Array(list) => list.iter().filter_map(Bson::as_object_id).collect(),
        _ => Vec::new(),
    }
}
