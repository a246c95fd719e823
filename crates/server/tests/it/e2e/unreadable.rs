//! What others send and write, whatever it is: messages are processed that were accepted, and documents that cannot be read
//! leave the rest going. `ALERTCAST_TEST_LONG` tries more of both.

use alertcast_core::alert::document::AlertStatus;
use alertcast_core::conformance::fixtures;
use alertcast_core::delivery::Channel;
use alertcast_core::reading::{every_bson_type, put_at, trouble_of};
use alertcast_core::store::validator::fields;
use alertcast_core::store::{Collection, Write, document};
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use super::{buy, small_world, tp_hit};
use crate::harness::App;
use crate::harness::post::{alert, with};

fn is_long() -> bool {
    std::env::var_os("ALERTCAST_TEST_LONG").is_some()
}

/// Names of fields as no message of TradingView has them.
fn names() -> Vec<&'static str> {
    fixtures::TAG_NAMES.into_iter().chain(["x", "__proto__", "a\u{0}b"]).collect()
}

/// Any JSON, with every name of extended JSON at any depth.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        Just(json!("2026-11-28T00:00:00Z")),
        Just(json!("507f1f77bcf86cd799439011")),
        Just(json!("$price")),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop::sample::select(names());
        prop_oneof![
            prop::collection::vec((name, inner.clone()), 0..4).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
            }),
            prop::collection::vec(inner, 0..3).prop_map(Value::Array),
        ]
    })
}

#[tokio::test]
async fn whatever_json_an_accepted_message_holds_it_is_processed() {
    let mut app = App::start(small_world()).await;
    let mut runner = TestRunner::deterministic();
    let (names, mut accepted) = (names(), 0);
    for n in 0..if is_long() { 1_000 } else { 60 } {
        let data = any_json().new_tree(&mut runner).unwrap().current();
        let name = names[n % names.len()];
        let body =
            with(alert(1, "SELL", 100.0), json!({ "alert_id": format!("any-{n}"), "data": data.clone(), name: data }));
        let query: String = url_encoded(names[(n / 2) % names.len()], "zzz");
        let reply = app.sender().text_with(&query, body.to_string()).await.unwrap();
        assert!([202, 400, 422].contains(&reply.status), "{body}: {reply:?}");
        accepted += usize::from(reply.status == 202);
    }
    assert!(accepted > 40, "{accepted}");
    let behind = app.done(buy(100.0)).await;
    let alerts = app.store.page(Collection::Alerts, None, 5_000).await.unwrap();
    let status = |alert: &Document| alert.get_document("processing").unwrap().get_str("status").unwrap().to_owned();
    let processed = alerts.iter().filter(|alert| status(alert) == AlertStatus::Processed.as_str()).count();
    assert_eq!(processed, accepted + 1, "and {behind} behind them");
    assert_eq!(app.store.unreadables().known(), []);
    app.stop_without_books().await;
}

fn url_encoded(name: &str, value: &str) -> String {
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    format!("{}={}", encode(name), encode(value))
}

/// One of each collection, sound.
fn sound() -> Vec<(Collection, Document)> {
    let mut waiting = fixtures::alert(50, 1);
    waiting.alertcast.partition = Some(alertcast_core::store::partition_of(fixtures::config_id(1)));
    waiting.alertcast.seq = alertcast_core::money::Count(1);
    vec![
        (Collection::Users, document(&fixtures::user(50)).unwrap()),
        (Collection::SubscriptionPlans, document(&fixtures::plan(50, &[])).unwrap()),
        (Collection::AlertConfigurations, document(&fixtures::config(50)).unwrap()),
        (Collection::UserSubscriptions, document(&fixtures::subscription(3)).unwrap()),
        (Collection::Trades, document(&fixtures::trade(99, 1, 3, 1, &[])).unwrap()),
        (Collection::Alerts, document(&waiting).unwrap()),
        (Collection::Deliveries, document(&fixtures::entry(Channel::Telegram, 99, 1, 3)).unwrap()),
        (Collection::Quotas, document(&fixtures::quota(50, 1, 1)).unwrap()),
    ]
}

#[tokio::test]
async fn documents_that_cannot_be_read_in_any_collection_leave_the_rest_going() {
    let mut app = App::start(small_world()).await;
    let values = every_bson_type();
    let step = if is_long() { 1 } else { 7 };
    let mut broken = 0;
    for (collection, sound) in sound() {
        let mut paths: Vec<String> = fields(collection).iter().map(|field| field.path.to_owned()).collect();
        paths.extend(sound.keys().filter(|name| *name != "_id" && *name != "key").cloned());
        paths.extend(["alertcast", "alertcast.rev", "alertcast.cursor", "alertcast.intent"].map(str::to_owned));
        for (n, path) in paths.iter().enumerate() {
            for value in values.iter().skip(n % step).step_by(step) {
                let mut spoilt = sound.clone();
                put_at(&mut spoilt, path, value.clone());
                let id = ObjectId::new();
                spoilt.insert("_id", id);
                if collection == Collection::Deliveries {
                    spoilt.insert(
                        "key",
                        Bson::from(bson::Binary {
                            subtype: bson::spec::BinarySubtype::Generic,
                            bytes: id.bytes().to_vec(),
                        }),
                    );
                }
                if trouble_of(collection, &spoilt).is_none() {
                    continue;
                }
                // An engine that checks what is written takes fewer.
                let write = Write::Insert { collection, document: spoilt };
                broken += usize::from(app.store.write(vec![write]).await.is_ok());
            }
        }
    }
    assert!(broken > 20, "{broken}");
    app.accept(buy(100.0)).await;
    let entries = || [1, 2].iter().all(|user| app.messages(*user).iter().any(|message| message.text.contains("BUY")));
    app.until("the others have their entries", entries).await;
    app.accept(tp_hit(110.0)).await;
    let exits = || [1, 2].iter().all(|user| app.messages(*user).len() >= 2);
    app.until("the others have their exits", exits).await;
    let told = || app.operator_texts().iter().any(|text| text.contains("Cannot be read"));
    app.until("the operators hear of it", told).await;
    assert!(!app.store.unreadables().known().is_empty());
    assert!(app.sender().get("/readyz").await.contains("unreadable_documents"));
    app.stop_without_books().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_seen_whole_and_mended_by_a_write() {
    let mut app = App::start(small_world()).await;
    let user = fixtures::user_id(2);
    let spoil = |value: Bson| {
        alertcast_core::conformance::scene::set(Collection::Users, user, doc! { "alertcast.botId": value })
    };
    app.change(vec![spoil(5.into())]).await;
    let told = || app.operator_texts().iter().any(|text| text.contains(&user.to_string()));
    app.until("the operators hear of it", told).await;
    app.change(vec![spoil(Bson::Null)]).await;
    app.until("it is known to be mended", || app.store.unreadables().known().is_empty()).await;
    app.done(buy(100.0)).await;
    assert_eq!(app.messages(2).len(), 1);
    app.stop_without_books().await;
}
