//! What a driver believes for good, told once: the store finds back by itself.

use std::time::Duration;

use alertcast_conformance::StoreHarness as _;
use alertcast_core::fixtures::{alert, at, own_key};
use alertcast_core::store::{AlertAcceptance, AlertIntake as _, Collection, DocumentStore as _};
use alertcast_mongo::{MongoOptions, MongoStore};
use bson::oid::ObjectId;
use bson::{Bson, Document, Timestamp, doc};
use mongodb_rig::{AnswerFate, ServerAnswer, TamperingProxy};

use crate::support::{MongoHarness, uri};

const PATIENCE: Duration = Duration::from_secs(180);
/// So often a lie is told.
const TOLD: u64 = 4;
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Where a message's flags are.
const FLAGS_AT: usize = 16;
const MORE_TO_COME: u8 = 2;

type Poison = fn(&ServerAnswer) -> Option<AnswerFate>;

/// What a server says of itself, with these fields as they are here.
fn of_itself(answer: &ServerAnswer, fields: Document) -> Option<AnswerFate> {
    answer.body.contains_key("setName").then(|| with(answer, fields))
}

fn with(answer: &ServerAnswer, fields: Document) -> AnswerFate {
    let mut body = answer.body.clone();
    body.extend(fields);
    AnswerFate::Replace(answer.bytes_with(&body.to_vec().unwrap()))
}

const POISONS: [(&str, Poison); 9] = [
    ("a set of a version and an election that no other reaches", |answer| {
        of_itself(answer, doc! { "setVersion": i32::MAX, "electionId": ObjectId::from_bytes([0xff; 12]) })
    }),
    ("a set of no hosts", |answer| of_itself(answer, doc! { "hosts": [] })),
    ("a set elsewhere", |answer| of_itself(answer, doc! { "hosts": ["127.0.0.1:1"], "me": "127.0.0.1:1" })),
    ("another set", |answer| of_itself(answer, doc! { "setName": "another" })),
    ("a state of the set from the future", |answer| {
        let process = answer.body.get_document("topologyVersion").ok()?.get("processId")?;
        of_itself(answer, doc! { "topologyVersion": { "processId": process, "counter": i64::MAX } })
    }),
    ("sessions that live for ever", |answer| of_itself(answer, doc! { "logicalSessionTimeoutMinutes": i64::MAX })),
    ("no room for a document", |answer| of_itself(answer, doc! { "maxBsonObjectSize": 0 })),
    ("a time of the cluster that nobody has reached", |answer| {
        let time = answer.body.get_document("$clusterTime").ok()?;
        let end = Bson::Timestamp(Timestamp { time: u32::MAX, increment: 1 });
        Some(with(answer, doc! { "$clusterTime": { "clusterTime": end, "signature": time.get("signature")? } }))
    }),
    ("more to come that never comes", |answer| {
        let is_asked = ["find", "insert", "findAndModify", "aggregate"].contains(&answer.command.as_str());
        let mut bytes = answer.bytes();
        bytes[FLAGS_AT] |= MORE_TO_COME;
        is_asked.then_some(AnswerFate::Replace(bytes))
    }),
];

/// Tells it whoever asks, until the store has failed or gone on for a while; then the truth alone.
async fn finds_back_after(n: u32, name: &str, poison: Poison) {
    let harness = MongoHarness::new();
    drop(harness.fresh().await);
    let own = uri().split("://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let proxy = TamperingProxy::before(own.parse().unwrap()).unwrap();
    let options = MongoOptions { database: Some(harness.database().to_owned()), ..MongoOptions::default() };
    let store = MongoStore::connect(&uri().replace(&own, &proxy.address().to_string()), &options).await.unwrap();
    proxy.tamper(move |answer| poison(answer).unwrap_or(AnswerFate::Pass));
    let told = async {
        while proxy.count_tampered() < TOLD {
            // So many at once that new connections are opened.
            let count = || store.count(Collection::Alerts);
            let _ = tokio::join!(count(), count(), count(), count(), count(), count());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap_or_else(|_| panic!("{name} was never told"));
    proxy.be_honest();
    let accepted = async {
        loop {
            match store.accept_alert(alert(n, 1), vec![own_key(n)], at(1)).await {
                Ok(accepted) => return accepted,
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    };
    let accepted = tokio::time::timeout(PATIENCE, accepted).await.unwrap_or_else(|_| panic!("lost for good by {name}"));
    assert!(matches!(accepted, AlertAcceptance::Stored | AlertAcceptance::Duplicate { .. }), "{name}: {accepted:?}");
    assert_eq!(store.count(Collection::Alerts).await, Ok(1), "{name}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_driver_believes_for_good_is_not_the_end_of_the_store() {
    let mut all = tokio::task::JoinSet::new();
    for ((name, poison), n) in POISONS.into_iter().zip(1..) {
        all.spawn(finds_back_after(n, name, poison));
    }
    let mut failed = Vec::new();
    while let Some(ended) = all.join_next().await {
        failed.extend(ended.err());
    }
    assert!(failed.is_empty(), "{} of {}: see above", failed.len(), POISONS.len());
}
