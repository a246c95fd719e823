//! The same over MongoDB: where `ALERTCAST_TEST_MONGODB_URI` names one, as `./test` does.

use std::sync::Arc;

use alertcast_core::store::{Collection, DocumentWrite};
use alertcast_sqlite::SpoolOptions;
use serde_json::json;

use super::{Process, Weather, folder};
use crate::harness::place::Place;
use crate::support::{House, Post, configuration};

#[tokio::test]
async fn an_outage_of_mongodb_costs_no_alert_and_doubles_none() {
    let Ok(uri) = std::env::var("ALERTCAST_TEST_MONGODB_URI") else {
        eprintln!("skipped: ALERTCAST_TEST_MONGODB_URI names no MongoDB; ./test starts one");
        return;
    };
    let place = Place::on(&uri);
    let store = place.open().await;
    store.setup().await.unwrap();
    let insert = DocumentWrite::Insert { collection: Collection::AlertConfigurations, document: configuration() };
    store.write(vec![insert]).await.unwrap();
    let (house, dir) = (House::by_the_real_clock().await, folder());
    let process = Process::over(&house, Arc::clone(&store), dir.path(), &SpoolOptions::default()).await;
    let post = |n: i32| Post::buy(json!({"n": n, "timestamp": null}));
    let mut sent = Vec::new();
    for (n, weather) in [Weather::Well, Weather::Lost, Weather::Gone, Weather::Gone].into_iter().enumerate() {
        process.line.set(weather);
        sent.push(process.send(post(n as i32)).await.assert(202).alert().to_owned());
    }
    assert_eq!(process.send(post(2)).await.assert(200).alert(), sent[2]);
    process.line.set(Weather::Well);
    process.drain().await;
    let found = store.page(Collection::Alerts, None, 100).await.unwrap();
    let found: Vec<String> = found.iter().map(|alert| alert.get_object_id("_id").unwrap().to_hex()).collect();
    assert_eq!(found, sent, "ids rise with time");
    assert_eq!(process.send(post(3)).await.assert(200).alert(), sent[3]);
}
