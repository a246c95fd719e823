//! Everything that a store holds, to compare before and after.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use serde::de::DeserializeOwned;

use alertcast_core::decision::DecisionChunk;
use alertcast_core::id::AlertId;
use alertcast_core::store::{Collection, Store, document, read};

/// The collections whose documents have an `ObjectId` as their id, so that they can be paged through.
pub const PAGED: &[Collection] = &[
    Collection::Users,
    Collection::SubscriptionPlans,
    Collection::AlertConfigurations,
    Collection::UserSubscriptions,
    Collection::UserAlertPreferences,
    Collection::Trades,
    Collection::Alerts,
    Collection::AdminUsers,
    Collection::Deliveries,
    Collection::Quotas,
    Collection::RejectedWebhooks,
    Collection::AuditLog,
];

/// What a store holds, by collection.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreDump(BTreeMap<&'static str, Vec<Document>>);

impl StoreDump {
    /// Reads everything. It is no snapshot: nothing else may be at work.
    pub async fn of(store: &dyn Store) -> Self {
        let mut all = BTreeMap::new();
        for &collection in PAGED {
            all.insert(collection.name(), every(store, collection).await);
        }
        let mut decisions = Vec::new();
        for alert in &all[Collection::Alerts.name()] {
            let id = AlertId(alert.get_object_id("_id").unwrap());
            for chunk in decisions_of(store, id).await {
                decisions.push(document(&chunk).unwrap());
            }
        }
        all.insert(Collection::Decisions.name(), decisions);
        let mut leases = store.leases("").await.unwrap();
        leases.sort_by(|a, b| a.name.cmp(&b.name));
        all.insert(Collection::Leases.name(), leases.iter().map(|lease| document(lease).unwrap()).collect());
        let changes = store.changes_since(i64::MIN, 1_000_000).await.unwrap();
        all.insert(
            Collection::Changes.name(),
            changes
                .iter()
                .map(|change| doc! { "seq": change.seq, "collection": change.collection.name(), "id": change.id })
                .collect(),
        );
        let keys = store.count(Collection::IntakeKeys).await.unwrap();
        all.insert(Collection::IntakeKeys.name(), vec![doc! { "count": i64::try_from(keys).unwrap() }]);
        let secrets = store.count(Collection::Secrets).await.unwrap();
        all.insert(Collection::Secrets.name(), vec![doc! { "count": i64::try_from(secrets).unwrap() }]);
        Self(all)
    }

    /// A dump that another one, taken right after it, confirms: what was cut off may still be ending.
    pub async fn when_quiet(store: &dyn Store) -> Self {
        let mut last = Self::of(store).await;
        for _ in 0..200 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let next = Self::of(store).await;
            if next == last {
                return next;
            }
            last = next;
        }
        panic!("the store did not come to rest");
    }

    /// The documents of one collection.
    pub fn documents(&self, collection: Collection) -> &[Document] {
        &self.0[collection.name()]
    }

    /// The documents of one collection as their type.
    pub fn all<T: DeserializeOwned>(&self, collection: Collection) -> Vec<T> {
        self.documents(collection).iter().map(|document| read(collection, document.clone()).unwrap()).collect()
    }

    /// Fails, naming what differs, where `later` is another state.
    #[track_caller]
    pub fn assert_same(&self, later: &Self) {
        let difference = self.difference(later);
        assert!(difference.is_empty(), "this should not have changed:\n{difference}");
    }

    /// What differs, a line for each document.
    pub fn difference(&self, later: &Self) -> String {
        let mut text = String::new();
        for (name, before) in &self.0 {
            let after = &later.0[name];
            for gone in before.iter().filter(|document| !after.contains(document)) {
                let _ = writeln!(text, "- {name} {gone}");
            }
            for new in after.iter().filter(|document| !before.contains(document)) {
                let _ = writeln!(text, "+ {name} {new}");
            }
            if text.is_empty() && before != after {
                let _ = writeln!(text, "{name}: another order");
            }
        }
        text
    }
}

/// Every document of a collection, by id.
pub async fn every(store: &dyn Store, collection: Collection) -> Vec<Document> {
    const PAGE: usize = 4_096;
    let mut all: Vec<Document> = Vec::new();
    loop {
        let after = all.last().map(|last| last.get_object_id("_id").unwrap());
        let page = store.page(collection, after, PAGE).await.unwrap();
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return all;
        }
    }
}

/// All decisions on an alert.
pub async fn decisions_of(store: &dyn Store, alert: AlertId) -> Vec<DecisionChunk> {
    store.decisions(alert, None, 1_000_000).await.unwrap()
}

/// The document with this id.
pub async fn find(store: &dyn Store, collection: Collection, id: impl Into<Bson>) -> Option<Document> {
    let mut found = store.get(collection, &[object_id(id)]).await.unwrap();
    assert!(found.len() <= 1, "one id, {} documents", found.len());
    found.pop()
}

/// The document with this id, which must be there.
pub async fn raw(store: &dyn Store, collection: Collection, id: impl Into<Bson>) -> Document {
    let id = object_id(id);
    match find(store, collection, id).await {
        Some(document) => document,
        None => panic!("{collection} has no document {id}"),
    }
}

/// The document with this id as its type.
pub async fn one<T: DeserializeOwned>(store: &dyn Store, collection: Collection, id: impl Into<Bson>) -> T {
    read(collection, raw(store, collection, id).await).unwrap()
}

fn object_id(id: impl Into<Bson>) -> ObjectId {
    id.into().as_object_id().unwrap()
}
