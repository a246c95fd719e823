//! What others send and write, whatever it is: messages are processed that were accepted, and documents that cannot be read
//! leave the rest going. `ALERTCAST_TEST_LONG` tries more of both.

use std::sync::Arc;

use alertcast::leases::of_partition;
use alertcast_conformance::scene::{set, spoil_lease};
use alertcast_core::alert::document::AlertStatus;
use alertcast_core::decision::DecisionChunk;
use alertcast_core::delivery::{Channel, Delivery, DeliveryState, EXIT_DEADLINE, LaneName};
use alertcast_core::fixtures;
use alertcast_core::fixtures::audit;
use alertcast_core::id::DeliveryId;
use alertcast_core::money::Count;
use alertcast_core::reading::{every_bson_type, put_at, trouble_of};
use alertcast_core::schema::contract_fields;
use alertcast_core::store::{Collection, DocumentWrite, Lease, document, partition_of};
use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, doc};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use super::{buy, small_world, tp_hit};
use crate::harness::app::START;
use crate::harness::post::{alert, with};
use crate::harness::{App, BOT, TestPeople, chat};

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
    assert_eq!(app.store.unreadables().list_known(), []);
    app.stop_without_books().await;
}

fn url_encoded(name: &str, value: &str) -> String {
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    format!("{}={}", encode(name), encode(value))
}

/// One of each collection, sound.
fn sound() -> Vec<(Collection, Document)> {
    let mut waiting = fixtures::alert(50, 1);
    waiting.alertcast.partition = Some(partition_of(fixtures::config_id(1)));
    waiting.alertcast.seq = Count(1);
    let chunk = DecisionChunk {
        alert_id: fixtures::alert_id(50),
        first_user: fixtures::user_id(1),
        last_user: fixtures::user_id(2),
        decisions: Vec::new(),
    };
    let lease = Lease { name: of_partition(3), owner: "one".to_owned(), epoch: 1, renewal: 1 };
    let of_users = |id: u8| doc! { "_id": ObjectId::from_bytes([id; 12]), "userId": fixtures::user_id(1), "at": START };
    let mut admin = doc! { "username": "spoilt", "email": "spoilt@example.org", "passwordHash": "x", "isActive": true };
    admin.extend(doc! { "profile": { "name": "A" }, "permissions": {}, "role": "admin" });
    vec![
        (Collection::Users, document(&fixtures::user(50)).unwrap()),
        (Collection::SubscriptionPlans, document(&fixtures::plan(50, &[])).unwrap()),
        (Collection::AlertConfigurations, document(&fixtures::config(50)).unwrap()),
        (Collection::UserSubscriptions, document(&fixtures::subscription(3)).unwrap()),
        (Collection::UserAlertPreferences, document(&fixtures::preference(1, 3)).unwrap()),
        (Collection::AdminUsers, admin),
        (Collection::Trades, document(&fixtures::trade(99, 1, 3, 1, &[])).unwrap()),
        (Collection::Alerts, document(&waiting).unwrap()),
        (Collection::Deliveries, document(&on_its_way(3)).unwrap()),
        (Collection::Quotas, document(&fixtures::quota(50, 1, 1)).unwrap()),
        (Collection::Decisions, document(&chunk).unwrap()),
        (Collection::Leases, document(&lease).unwrap()),
        (Collection::AuditLog, document(&audit(1, Collection::Users, fixtures::user_id(1).0)).unwrap()),
        (Collection::RejectedWebhooks, doc! { "receivedAt": START, "reason": "unreadable", "body": "x" }),
        (
            Collection::ApiTokens,
            doc! { "adminId": fixtures::user_id(1), "name": "t", "digest": "d", "createdAt": START },
        ),
        (Collection::IntakeKeys, doc! { "until": START }),
        (Collection::IdempotencyKeys, of_users(30)),
        (Collection::MovedChats, doc! { "from": "-1", "to": "-2" }),
    ]
}

/// An entry on its way to a user, by the first bot.
fn on_its_way(user: u32) -> Delivery {
    let entry = fixtures::entry(Channel::Telegram, 99, 1, user);
    Delivery { lane: lane(), due_at: START, deadline_at: START + EXIT_DEADLINE, ..entry }
}

/// The first bot's.
fn lane() -> LaneName {
    LaneName::of_bot(BOT.split(':').next().unwrap())
}

/// A document of a collection with something else in one place, and under an id of its own.
fn spoilt(collection: Collection, sound: &Document, path: &str, value: Bson) -> Document {
    let mut spoilt = sound.clone();
    put_at(&mut spoilt, path, value);
    let id = ObjectId::new();
    if path != "_id" && collection != Collection::Leases {
        spoilt.insert("_id", id);
    }
    if collection == Collection::Deliveries {
        let bytes = id.bytes().to_vec();
        spoilt.insert("key", Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes }));
    }
    spoilt
}

/// Puts documents with anything anywhere into a collection: what the engine bears. Answers how many cannot be read.
fn spoil_all(app: &App, collection: Collection, sound: &Document, step: usize) -> usize {
    let values = every_bson_type();
    let mut paths: Vec<String> = contract_fields(collection).iter().map(|field| field.path.to_owned()).collect();
    paths.extend(sound.keys().filter(|name| *name != "key").cloned());
    paths.extend(["_id", "alertcast", "alertcast.rev", "alertcast.cursor", "alertcast.intent"].map(str::to_owned));
    let mut broken = 0;
    for (n, path) in paths.iter().enumerate() {
        // The server looks into lists: what it finds by is not what is there.
        let listed = sound.get(path).map(|value| Bson::Array(vec![value.clone()]));
        for value in values.iter().skip(n % step).step_by(step).cloned().chain(listed) {
            let document = spoilt(collection, sound, path, value);
            broken += usize::from(
                app.desk.put_past_checks(collection, &document) && trouble_of(collection, &document).is_some(),
            );
        }
    }
    broken
}

#[tokio::test]
async fn anything_anywhere_in_any_collection_leaves_the_rest_going() {
    let mut app = App::prepare(small_world()).await;
    let step = if is_long() { 1 } else { 9 };
    let broken = |app: &App| -> usize {
        sound().iter().map(|(collection, sound)| spoil_all(app, *collection, sound, step)).sum()
    };
    // Both what stands there when the program starts, and what comes while it runs.
    let before = broken(&app);
    app.prepare_again().await;
    app.run().await;
    let meanwhile = broken(&app);
    assert!(before.min(meanwhile) > 100, "{before}, {meanwhile}");
    app.accept(buy(100.0)).await;
    let entries = || [1, 2].iter().all(|user| app.messages(*user).iter().any(|message| message.text.contains("BUY")));
    app.until("the others have their entries", entries).await;
    app.accept(tp_hit(110.0)).await;
    let exits = || [1, 2].iter().all(|user| app.messages(*user).len() >= 2);
    app.until("the others have their exits", exits).await;
    let told = || app.operator_texts().iter().any(|text| text.contains("Cannot be read"));
    app.until("the operators hear of it", told).await;
    assert!(!app.store.unreadables().list_known().is_empty());
    let readiness = app.sender().get("/readyz").await;
    assert!(readiness.contains("unreadable_documents"), "{readiness}");
    app.stop_without_books().await;
}

/// What of one document is spoilt.
struct Spoilt {
    collection: Collection,
    id: ObjectId,
}

fn spoil(app: &App, collection: Collection, mut document: Document, path: &str, value: impl Into<Bson>) -> Spoilt {
    put_at(&mut document, path, value.into());
    let id = document.get_object_id("_id").unwrap();
    assert!(trouble_of(collection, &document).is_some(), "{collection} {path} can be read");
    assert!(app.desk.put_past_checks(collection, &document), "{collection} {path}");
    Spoilt { collection, id }
}

/// User 1 has nothing spoilt; each other has one thing that cannot be read, by their number.
fn one_flaw_each() -> TestPeople {
    let world = TestPeople::at(START).config(1, |_| {}).plan(1, &[1], |_| {}).plan(2, &[1], |_| {});
    world.users([1, 2, 3, 4, 6, 7, 8], 1).user(5, 2, |_| {}).preference(1, 3, |_| {})
}

/// Everybody holds a trade; then one of each collection is spoilt.
async fn spoil_one_of_each(app: &App) -> Vec<Spoilt> {
    let trade = |user| fixtures::trade(99, 1, user, 1, &[]);
    let insert =
        |user| DocumentWrite::Insert { collection: Collection::Trades, document: document(&trade(user)).unwrap() };
    app.store.write((1..=8).map(insert).collect()).await.unwrap();
    let of = |collection, id: ObjectId| async move { app.store.get(collection, &[id]).await.unwrap().remove(0) };
    let held = of(Collection::UserSubscriptions, fixtures::subscription_id(4).0).await;
    let wanted = of(Collection::UserAlertPreferences, fixtures::preference_id(1, 3).0).await;
    let mut arrived = on_its_way(1);
    (arrived.id, arrived.key, arrived.state) =
        (DeliveryId(ObjectId::new()), fixtures::exit(Channel::Telegram, 77, 1, 1, 1).key, DeliveryState::Sent);
    let waiting = sound().into_iter().find(|(collection, _)| *collection == Collection::Alerts).unwrap().1;
    let mut chunk = sound().into_iter().find(|(collection, _)| *collection == Collection::Decisions).unwrap().1;
    chunk.insert("_id", ObjectId::new());
    let lease = doc! { "_id": of_partition(partition_of(fixtures::config_id(1))), "owner": 5, "epoch": "x" };
    assert!(app.desk.put_past_checks(Collection::Leases, &lease));
    vec![
        spoil(app, Collection::Users, of(Collection::Users, fixtures::user_id(2).0).await, "preferences", 5),
        spoil(app, Collection::UserAlertPreferences, wanted, "preferences", 5),
        spoil(app, Collection::UserSubscriptions, held, "subscription", 5),
        spoil(
            app,
            Collection::SubscriptionPlans,
            document(&fixtures::plan(2, &[fixtures::config_id(1)])).unwrap(),
            "status",
            5,
        ),
        spoil(app, Collection::Trades, document(&trade(6)).unwrap(), "tradeData.entryPrice", "much"),
        spoil(app, Collection::Deliveries, document(&on_its_way(8)).unwrap(), "facts", "none"),
        spoil(app, Collection::Deliveries, document(&arrived).unwrap(), "facts", 5),
        spoil(app, Collection::Alerts, waiting, "alertcast.cursor", "nobody"),
        spoil(app, Collection::Decisions, chunk, "decisions", 5),
        spoil(app, Collection::Quotas, document(&fixtures::quota(7, 1, 1)).unwrap(), "day", 20_261_128),
    ]
}

#[tokio::test]
async fn what_cannot_be_read_concerns_only_what_rests_on_it() {
    let mut app = App::prepare(one_flaw_each()).await;
    let spoilt = spoil_one_of_each(&app).await;
    app.prepare_again().await;
    app.run().await;
    app.accept(buy(100.0)).await;
    let sim = app.sim.clone();
    let texts = |user: u32| sim.messages_to(chat(user)).into_iter().map(|message| message.plain).collect::<Vec<_>>();
    let has = |user: u32, word: &str| texts(user).iter().any(|text| text.contains(word));
    app.until("who has nothing spoilt has the entry", || [1, 7, 8].iter().all(|user| has(*user, "🟢"))).await;
    app.accept(alert(1, "exit", 105.0)).await;
    app.until("everybody hears of the exit", || (1..=8).all(|user| has(user, "→") || has(user, "cannot be read")))
        .await;
    for user in 2..=6 {
        assert!(!has(user, "🟢"), "user {user}: {:?}", texts(user));
    }
    assert_eq!((texts(6).len(), has(6, "cannot be read"), has(6, "P&L")), (1, true, false), "{:?}", texts(6));
    let store = Arc::clone(&app.store);
    let status = async |of: usize, path: &str| {
        let Spoilt { collection, id } = spoilt[of];
        let kept = store.get(collection, &[id]).await.unwrap().pop();
        kept.and_then(|kept| Some(put_out(&kept, path)?.as_str()?.to_owned()))
    };
    let names = |text: &str| spoilt.iter().filter(|one| text.contains(&one.id.to_hex())).count();
    app.until("the operators hear of each that stands in the way", || names(&app.operator_texts().concat()) >= 8).await;
    assert_eq!(status(5, "state").await.as_deref(), Some("dead"));
    assert_eq!(status(6, "state").await.as_deref(), Some("sent"));
    assert_eq!(status(7, "processing.status").await.as_deref(), Some("failed"));
    assert_eq!(status(9, "_id").await, None);
    assert_eq!(app.store.decisions(fixtures::alert_id(50), None, 10).await, Ok(Vec::new()));
    app.until("the lease was freed", || !app.store.unreadables().knows_of(Collection::Leases)).await;

    // What changes while the change log cannot be read is taken up with what comes after it.
    app.desk.spoil_changes();
    app.change(vec![set(Collection::Users, fixtures::user_id(1), doc! { "status": "suspended" })]).await;
    app.accept(buy(100.0)).await;
    let entries = |user: u32| texts(user).iter().filter(|text| text.starts_with("🟢")).count();
    app.until("the next entry goes out", || entries(7) == 2).await;
    assert_eq!(entries(1), 1);

    let doctor = app.doctor().await;
    let unnamed: Vec<Collection> = spoilt
        .iter()
        .filter(|one| one.collection != Collection::Quotas && !doctor.contains(&one.id.to_hex()))
        .map(|one| one.collection)
        .collect();
    assert_eq!(unnamed, [], "{doctor}");
    app.stop_without_books().await;
}

fn put_out<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    match path.split_once('.') {
        Some((first, rest)) => put_out(document.get(first)?.as_document()?, rest),
        None => document.get(path),
    }
}

#[tokio::test]
async fn leases_that_cannot_be_read_are_freed_and_all_work_goes_on() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    for (field, value) in [("owner", Bson::Null), ("epoch", Bson::Int64(i64::MAX)), ("renewal", "x".into())] {
        for lease in app.store.leases("").await.unwrap() {
            spoil_lease(&*app.store, &lease.name, field, value.clone()).await;
        }
        app.done(tp_hit(110.0)).await;
        app.done(buy(100.0)).await;
    }
    assert_eq!(app.messages(1).len(), 7);
    let told = || app.operator_texts().iter().any(|text| text.contains("of leases"));
    app.until("the operators hear of it", told).await;
    app.until("it is known to be mended", || app.store.unreadables().list_known().is_empty()).await;
    app.finish().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_seen_whole_and_mended_by_a_write() {
    let mut app = App::start(small_world()).await;
    let user = fixtures::user_id(2);
    let spoil = |value: Bson| set(Collection::Users, user, doc! { "alertcast.botId": value });
    app.change(vec![spoil(5.into())]).await;
    let told = || app.operator_texts().iter().any(|text| text.contains(&user.to_string()));
    app.until("the operators hear of it", told).await;
    app.change(vec![spoil(Bson::Null)]).await;
    app.until("it is known to be mended", || app.store.unreadables().list_known().is_empty()).await;
    app.done(buy(100.0)).await;
    assert_eq!(app.messages(2).len(), 1);
    app.stop_without_books().await;
}
