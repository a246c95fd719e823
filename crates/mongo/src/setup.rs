//! Collections and indexes: those that core declares, and the few that this engine needs besides.

use std::time::Duration;

use alertcast_core::store::collection::{Direction, Index, IndexSource};
use alertcast_core::store::{Collection, Result as StoreResult};
use bson::{Bson, Document, doc};
use mongodb::IndexModel;
use mongodb::options::IndexOptions;

use crate::connect::MongoStore;
use crate::error::Result;
use crate::transact::bounded;

/// Counters: the change log's end, and the last place in the order of each configuration's alerts.
pub(crate) const COUNTERS: &str = "counters";

/// An index of ours that core does not declare.
const fn own(keys: &'static [(&'static str, Direction)]) -> Index {
    Index { keys, unique: false, only: None, ttl: false, source: IndexSource::Alertcast, covered_by: None }
}

/// Processed alerts that are not settled.
const UNSETTLED: Index =
    own(&[("processing.status", Direction::Up), ("alertcast.settledAt", Direction::Up), ("_id", Direction::Up)]);

/// The exits that tell an alert's entries too.
const TELLING: Index =
    Index { only: Some(("state", &["pending", "sending", "held"])), ..own(&[("combinesAlert", Direction::Up)]) };

fn own_indexes(collection: Collection) -> &'static [Index] {
    match collection {
        Collection::Alerts => &[UNSETTLED],
        Collection::Deliveries => &[TELLING],
        _ => &[],
    }
}

pub(crate) async fn setup(store: &MongoStore) -> StoreResult<()> {
    bounded(async {
        let existing = store.db.list_collection_names().await?;
        for name in Collection::ALL.iter().map(|collection| collection.name()).chain([COUNTERS]) {
            if !existing.iter().any(|there| there == name) {
                create(store, name).await?;
            }
        }
        for collection in Collection::ALL {
            let models: Vec<_> = collection.indexes().iter().chain(own_indexes(*collection)).map(model).collect();
            if !models.is_empty() {
                store.collection(*collection).create_indexes(models).await?;
            }
        }
        Ok(())
    })
    .await
}

/// Creates a collection, unless another process was faster.
async fn create(store: &MongoStore, name: &str) -> Result<()> {
    const NAMESPACE_EXISTS: i32 = 48;
    match store.db.create_collection(name).await {
        Err(error) => match &*error.kind {
            mongodb::error::ErrorKind::Command(command) if command.code == NAMESPACE_EXISTS => Ok(()),
            _ => Err(error.into()),
        },
        Ok(()) => Ok(()),
    }
}

/// The name that every driver gives an index by its keys.
pub(crate) fn name(index: &Index) -> String {
    let parts: Vec<String> = index.keys.iter().map(|(path, way)| format!("{path}_{}", sign(*way))).collect();
    parts.join("_")
}

const fn sign(way: Direction) -> i32 {
    match way {
        Direction::Up => 1,
        Direction::Down => -1,
    }
}

fn model(index: &Index) -> IndexModel {
    let keys: Document = index.keys.iter().map(|(path, way)| ((*path).to_owned(), Bson::from(sign(*way)))).collect();
    let mut options = IndexOptions::default();
    options.name = Some(name(index));
    options.unique = index.unique.then_some(true);
    options.expire_after = index.ttl.then_some(Duration::ZERO);
    options.partial_filter_expression = index.only.map(|(field, values)| match values {
        [value] => doc! { field: *value },
        values => doc! { field: { "$in": values.to_vec() } },
    });
    IndexModel::builder().keys(keys).options(options).build()
}
