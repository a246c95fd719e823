//! What the change stream tells, and what it leaves out.

use std::time::Duration;

use alertcast_conformance::StoreHarness as _;
use alertcast_conformance::scene::{insert, people};
use alertcast_core::fixtures;
use alertcast_core::store::{Collection, StoreError, StoreEvent, StoreEvents};
use bson::{Document, doc};
use mongodb::Client;

use crate::support::{MongoHarness, uri};

async fn next(stirrings: &mut Box<dyn StoreEvents>) -> Result<StoreEvent, StoreError> {
    tokio::time::timeout(Duration::from_secs(30), stirrings.next()).await.unwrap()
}

#[tokio::test]
async fn counters_are_left_out_and_everything_else_of_the_audience_is_told() {
    let harness = MongoHarness::new();
    let store = harness.fresh().await;
    store.write(people(2, 1)).await.unwrap();
    let mut stirrings = store.watch().unwrap();
    assert_eq!(next(&mut stirrings).await, Ok(StoreEvent::Missed), "where it begins, anything may have been before");
    // A server may tell what was written just before, too: from here on all is told.
    let last = fixtures::user(3);
    store.write(vec![insert(Collection::Users, &last)]).await.unwrap();
    let begun = StoreEvent::Changed { collection: Collection::Users, id: last.id.0 };
    while next(&mut stirrings).await.unwrap() != begun {}
    let client = Client::with_uri_str(uri()).await.unwrap();
    let collection = |of: Collection| client.database(harness.database()).collection::<Document>(of.name());
    let held = collection(Collection::UserSubscriptions);
    let raised = doc! { "$inc": { "usage.alertsReceived": 1 }, "$set": { "updatedAt": bson::DateTime::now() } };
    held.update_many(doc! {}, raised).await.unwrap();
    let configs = collection(Collection::AlertConfigurations);
    configs.update_many(doc! {}, doc! { "$inc": { "statistics.totalAlerts": 1 } }).await.unwrap();
    let users = collection(Collection::Users);
    let id = fixtures::user_id(2).0;
    users.update_one(doc! { "_id": id }, doc! { "$set": { "status": "suspended" } }).await.unwrap();
    users.delete_one(doc! { "_id": id }).await.unwrap();
    let changed = StoreEvent::Changed { collection: Collection::Users, id };
    assert_eq!(next(&mut stirrings).await, Ok(changed), "nothing was told of the counters");
    assert_eq!(next(&mut stirrings).await, Ok(changed));
}
