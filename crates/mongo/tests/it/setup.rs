//! Setting up a database: all of it, once, and nothing where something stands in the way.

use std::collections::{BTreeMap, BTreeSet};

use alertcast_conformance::scene::insert;
use alertcast_conformance::{StoreHarness, dump};
use alertcast_core::fixtures::*;
use alertcast_core::store::collection::{IndexSource, SortDirection};
use alertcast_core::store::{AlertIntake as _, Collection, DocumentStore, StoreError, document};
use bson::{Bson, Document, doc};
use futures::TryStreamExt;
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};

use crate::support::MongoHarness;

/// Every collection with its validator and its indexes, as they are told.
async fn catalogue(db: &Database) -> BTreeMap<String, String> {
    let collections: Vec<_> = db.list_collections().await.unwrap().try_collect().await.unwrap();
    let mut all = BTreeMap::new();
    for one in collections {
        let indexes: Vec<IndexModel> = indexes(db, &one.name).await;
        all.insert(one.name, format!("{:?} {:?} {indexes:?}", one.options.validator, one.options.validation_level));
    }
    all
}

async fn indexes(db: &Database, collection: &str) -> Vec<IndexModel> {
    let of = db.collection::<Document>(collection);
    of.list_indexes().await.unwrap().try_collect().await.unwrap()
}

async fn set_up(db: &Database) -> Document {
    db.collection::<Document>("counters").find_one(doc! { "_id": "setup" }).await.unwrap().unwrap()
}

async fn refusal(harness: &MongoHarness) -> Vec<String> {
    match harness.open().await.setup().await {
        Err(StoreError::SetupRefused { problems }) => problems,
        other => panic!("{other:?}"),
    }
}

fn told(problems: &[String], words: &[&str]) -> bool {
    problems.iter().any(|line| words.iter().all(|word| line.contains(word)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_set_up_at_once_do_it_once() {
    let harness = MongoHarness::new();
    let db = harness.raw().await;
    let mut stores = Vec::new();
    for _ in 0..6 {
        stores.push(harness.open().await);
    }
    let done = futures::future::join_all(stores.iter().map(DocumentStore::setup)).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    let noted = set_up(&db).await;
    assert_eq!(noted.get_i64("changes").unwrap(), 1, "{noted}");
    assert_eq!((noted.get_i64("version").unwrap(), noted.get_str("owner").unwrap()), (3, ""));
    assert!(noted.contains_key("at") && noted.get_str("by").unwrap().starts_with("alertcast "));
    let before = catalogue(&db).await;
    assert_eq!(stores[0].setup().await, Ok(()));
    assert_eq!(set_up(&db).await, noted, "there was nothing to do");
    assert_eq!(catalogue(&db).await, before);
}

#[tokio::test]
async fn every_declared_index_is_there_by_its_keys() {
    let harness = MongoHarness::new();
    let db = harness.raw().await;
    harness.open().await.setup().await.unwrap();
    for collection in Collection::ALL {
        let standing = indexes(&db, collection.name()).await;
        for index in collection.indexes() {
            let way = |way: SortDirection| if way == SortDirection::Up { 1 } else { -1 };
            let keys: Document = index.keys.iter().map(|(path, to)| ((*path).to_owned(), way(*to).into())).collect();
            let found = standing.iter().find(|there| there.keys == keys);
            let options =
                found.and_then(|there| there.options.clone()).unwrap_or_else(|| panic!("{collection} {keys}"));
            assert_eq!(options.unique == Some(true), index.unique, "{collection} {keys}");
            assert_eq!(options.expire_after.is_some(), index.ttl, "{collection} {keys}");
            assert_eq!(options.partial_filter_expression.is_some(), index.only.is_some(), "{collection} {keys}");
            assert!(index.source == IndexSource::Alertcast || index.only.is_none(), "the seed's hold every document");
        }
    }
}

#[tokio::test]
async fn what_was_taken_away_is_named_and_made_again() {
    let harness = MongoHarness::new();
    let db = harness.raw().await;
    let store = harness.open().await;
    store.setup().await.unwrap();
    let complete = catalogue(&db).await;
    db.collection::<Document>("trades").drop_index("userId_1_status_1").await.unwrap();
    db.run_command(doc! { "collMod": "users", "validator": {} }).await.unwrap();
    db.collection::<Document>("quotas").drop().await.unwrap();
    let missing: BTreeSet<String> = store.missing().await.unwrap().into_iter().collect();
    let want = ["the collection quotas", "the index userId_1_status_1 of trades", "the validator of users"];
    assert_eq!(missing, want.map(str::to_owned).into());
    store.setup().await.unwrap();
    assert_eq!(catalogue(&db).await.keys().collect::<Vec<_>>(), complete.keys().collect::<Vec<_>>());
    assert_eq!(store.missing().await, Ok(Vec::new()));
    assert_eq!(set_up(&db).await.get_i64("changes").unwrap(), 2);
}

/// A document of each collection that has the values of another in one of the seed's unique indexes.
#[tokio::test]
async fn what_breaks_a_unique_index_is_told_document_by_document_and_nothing_is_changed() {
    let harness = MongoHarness::new();
    let db = harness.raw().await;
    let users = db.collection::<Document>("users");
    let twin = |n: u32, change: Document| {
        let mut twin = document(&user(n)).unwrap();
        twin.extend(change);
        twin
    };
    let other = doc! { "telegram": { "userId": "other" } };
    users.insert_many([twin(1, doc! {}), twin(2, doc! { "email": email(1) }), twin(3, doc! {})]).await.unwrap();
    users.insert_many([twin(4, doc! { "telegram": { "userId": chat(3) } }), twin(5, other)]).await.unwrap();
    let mut unpaid = document(&subscription(1)).unwrap();
    unpaid.get_document_mut("payment").unwrap().remove("transactionId");
    let mut unpaid_too = unpaid.clone();
    unpaid_too.insert("_id", subscription_id(2));
    let mut null = unpaid.clone();
    null.insert("_id", subscription_id(3));
    null.get_document_mut("payment").unwrap().insert("transactionId", Bson::Null);
    db.collection::<Document>("user_subscriptions").insert_many([unpaid, unpaid_too, null]).await.unwrap();
    let [one, two] = [1, 2].map(|n| {
        let mut preference = document(&preference(1, 1)).unwrap();
        preference.insert("_id", preference_id(7, n));
        preference
    });
    db.collection::<Document>("user_alert_preferences").insert_many([one, two]).await.unwrap();
    let before = catalogue(&db).await;
    let problems = refusal(&harness).await;
    let id = |id: Bson| id.as_object_id().unwrap().to_hex();
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|n| id(user_id(n).into()));
    assert!(told(&problems, &["users", "email", &email(1), &first, &second]), "{problems:#?}");
    assert!(told(&problems, &["users", "telegram.userId", &chat(3), &third, &fourth]), "{problems:#?}");
    let unpaid: Vec<String> = (1..=3).map(|n| id(subscription_id(n).into())).collect();
    let unpaid = ["user_subscriptions", "payment.transactionId", "(none)", &unpaid[0], &unpaid[1], &unpaid[2]];
    assert!(told(&problems, &unpaid), "{problems:#?}");
    let [one, two] = [1, 2].map(|n| id(preference_id(7, n).into()));
    assert!(told(&problems, &["user_alert_preferences", "userId, alertConfigId", &first, &one, &two]), "{problems:#?}");
    assert_eq!(problems.len(), 4, "{problems:#?}");
    assert_eq!(catalogue(&db).await, before, "nothing is changed");

    users.delete_one(doc! { "_id": user_id(2) }).await.unwrap();
    users.delete_one(doc! { "_id": user_id(4) }).await.unwrap();
    db.collection::<Document>("user_subscriptions").drop().await.unwrap();
    db.collection::<Document>("user_alert_preferences").drop().await.unwrap();
    assert_eq!(harness.open().await.setup().await, Ok(()), "mended");
}

#[tokio::test]
async fn an_index_of_the_same_name_or_keys_with_other_options_is_told_and_nothing_is_changed() {
    let harness = MongoHarness::new();
    let db = harness.raw().await;
    let users = db.collection::<Document>("users");
    let plain = IndexModel::builder().keys(doc! { "email": 1 }).build();
    let mut options = IndexOptions::default();
    options.name = Some("createdAt_1".to_owned());
    let other_keys = IndexModel::builder().keys(doc! { "lastLoginAt": 1 }).options(options).build();
    let theirs = IndexModel::builder().keys(doc! { "profile.phone": 1 }).build();
    users.create_indexes([plain, other_keys, theirs]).await.unwrap();
    let before = catalogue(&db).await;
    let problems = refusal(&harness).await;
    assert!(told(&problems, &["users", "unique", "db.users.dropIndex(\"email_1\")"]), "{problems:#?}");
    assert!(told(&problems, &["users", "db.users.dropIndex(\"createdAt_1\")"]), "{problems:#?}");
    assert_eq!((problems.len(), catalogue(&db).await), (2, before));
    users.drop_index("email_1").await.unwrap();
    users.drop_index("createdAt_1").await.unwrap();
    assert_eq!(harness.open().await.setup().await, Ok(()));
    let kept = indexes(&db, "users").await;
    assert!(kept.iter().any(|index| index.keys == doc! { "profile.phone": 1 }), "an index of others stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_version_1_goes_on_in_the_order_of_its_alerts() {
    let harness = MongoHarness::new();
    let store = harness.open().await;
    let counters = harness.raw().await.collection::<Document>("counters");
    let last = 5_000_000_000_000_i64;
    for (order, seq) in [(format!("order:{}", config_id(1)), 7), (format!("order:{}", config_id(2)), last)] {
        counters.insert_one(doc! { "_id": order, "seq": seq }).await.unwrap();
    }
    counters.insert_one(doc! { "_id": "setup", "version": 1_i64, "owner": "" }).await.unwrap();
    store.setup().await.unwrap();
    assert_eq!(store.receipt_mark(config_id(1)).await, Ok(last));
    store.accept_alert(alert(1, 1), vec![own_key(1)], at(1)).await.unwrap();
    assert_eq!(store.receipt_mark(config_id(1)).await, Ok(last + 1));
    let left: Vec<Document> =
        counters.find(doc! { "_id": { "$regex": "^order" } }).await.unwrap().try_collect().await.unwrap();
    assert_eq!(left, [doc! { "_id": "order", "seq": last + 1 }]);
    store.setup().await.unwrap();
    assert_eq!(store.receipt_mark(config_id(1)).await, Ok(last + 1), "once");
}

#[tokio::test]
async fn a_database_of_version_2_has_no_index_of_others_alerts_any_more() {
    let harness = MongoHarness::new();
    let db = harness.raw().await;
    let store = harness.open().await;
    store.setup().await.unwrap();
    let names = async || {
        let names = indexes(&db, "alerts").await.into_iter().filter_map(|index| index.options?.name);
        names.collect::<BTreeSet<String>>()
    };
    let wanted = names().await;
    let keys = doc! { "processing.status": 1, "alertcast.settledAt": 1, "_id": 1 };
    let alerts = db.collection::<Document>("alerts");
    alerts.create_index(IndexModel::builder().keys(keys).build()).await.unwrap();
    alerts.drop_index("alertcast.settledAt_1__id_1").await.unwrap();
    let counters = db.collection::<Document>("counters");
    counters.update_one(doc! { "_id": "setup" }, doc! { "$set": { "version": 2_i64 } }).await.unwrap();
    store.setup().await.unwrap();
    assert_eq!(names().await, wanted);
    assert_eq!(set_up(&db).await.get_i64("version").unwrap(), 3);
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused() {
    let harness = MongoHarness::new();
    let db = harness.raw().await;
    let counters = db.collection::<Document>("counters");
    counters.insert_one(doc! { "_id": "setup", "version": 99_i64, "owner": "" }).await.unwrap();
    let before = catalogue(&db).await;
    let problems = refusal(&harness).await;
    assert!(told(&problems, &["later version", "99", harness.database(), "ALERTCAST_STORE"]), "{problems:#?}");
    assert_eq!(catalogue(&db).await, before);
}

/// It waits until the other has shown no life for five seconds.
#[tokio::test]
async fn the_turn_of_a_process_that_has_gone_is_taken_over() {
    let harness = MongoHarness::new();
    let db = harness.raw().await;
    let counters = db.collection::<Document>("counters");
    let gone = doc! { "_id": "setup", "owner": "gone", "epoch": 4_i64, "renewal": 9_i64 };
    counters.insert_one(gone).await.unwrap();
    let (one, other) = (harness.open().await, harness.open().await);
    let done = futures::future::join(one.setup(), other.setup()).await;
    assert_eq!(done, (Ok(()), Ok(())));
    let noted = set_up(&db).await;
    assert_eq!((noted.get_str("owner").unwrap(), noted.get_i64("changes").unwrap()), ("", 1));
    assert!(noted.get_i64("epoch").unwrap() > 4);
}

#[tokio::test]
async fn the_seeds_validator_gives_way_and_anybody_elses_stays() {
    let harness = MongoHarness::new();
    let db = harness.raw().await;
    let of_seed = doc! { "$jsonSchema": {
        "bsonType": "object", "required": ["email", "telegram.userId", "profile.name"],
        "properties": { "telegram.userId": { "bsonType": "string" } },
    } };
    let theirs = doc! { "status": { "$type": "string" } };
    db.run_command(doc! { "create": "users", "validator": of_seed }).await.unwrap();
    db.run_command(doc! { "create": "trades", "validator": theirs }).await.unwrap();
    let before = catalogue(&db).await;
    let problems = refusal(&harness).await;
    assert!(told(&problems, &["trades", "validator", "collMod"]) && problems.len() == 1, "{problems:#?}");
    assert_eq!(catalogue(&db).await, before);
    db.run_command(doc! { "collMod": "trades", "validator": {} }).await.unwrap();
    let store = harness.open().await;
    store.setup().await.unwrap();
    store.write(vec![insert(Collection::Users, &user(1))]).await.unwrap();
}

/// One document each that a validator refuses: the field, and what is put there (none: it is taken away).
const BROKEN: &[(Collection, &str, Option<Bson>)] = &[
    (Collection::Users, "email", Some(Bson::Int32(1))),
    (Collection::Users, "telegram.userId", None),
    (Collection::Users, "profile.timezone", Some(Bson::Int32(1))),
    (Collection::Users, "profile.name", Some(Bson::Null)),
    (Collection::Users, "preferences.trading.maxDailyAlerts", Some(Bson::Boolean(true))),
    (Collection::SubscriptionPlans, "pricing.amount", Some(Bson::Int32(-1))),
    (Collection::SubscriptionPlans, "pricing.duration.months", None),
    (Collection::AlertConfigurations, "tradeManagement.maxOpenTrades", Some(Bson::Double(6.0))),
    (Collection::UserSubscriptions, "userId", Some(Bson::Null)),
    (Collection::UserSubscriptions, "subscription.endDate", Some(Bson::Int64(1))),
    (Collection::UserAlertPreferences, "preferences.enabled", Some(Bson::Int32(1))),
    (Collection::Trades, "tradeData.signal", None),
    (Collection::Trades, "timestamps.openedAt", Some(Bson::Int64(1))),
    (Collection::Alerts, "webhook.rawPayload", None),
    (Collection::Alerts, "alertData.price", Some(Bson::Null)),
];

fn sound(collection: Collection) -> Document {
    with_foreign_fields(match collection {
        Collection::Users => document(&user(1)).unwrap(),
        Collection::SubscriptionPlans => document(&plan(1, &[config_id(1)])).unwrap(),
        Collection::AlertConfigurations => document(&config(1)).unwrap(),
        Collection::UserSubscriptions => document(&subscription(1)).unwrap(),
        Collection::UserAlertPreferences => document(&preference(1, 1)).unwrap(),
        Collection::Trades => document(&trade(1, 1, 1, 1, &[])).unwrap(),
        Collection::Alerts => document(&alert(1, 1)).unwrap(),
        other => panic!("{other} has no fixture"),
    })
}

fn put(document: &mut Document, path: &str, value: Option<&Bson>) {
    match (path.split_once('.'), value) {
        (Some((first, rest)), _) => put(document.get_document_mut(first).unwrap(), rest, value),
        (None, Some(value)) => drop(document.insert(path, value.clone())),
        (None, None) => drop(document.remove(path).unwrap()),
    }
}

#[tokio::test]
async fn a_validator_refuses_what_breaks_the_seed_and_nothing_else() {
    const FAILED_VALIDATION: i32 = 121;
    let harness = MongoHarness::new();
    let db = harness.raw().await;
    harness.open().await.setup().await.unwrap();
    for (collection, path, value) in BROKEN {
        let of = db.collection::<Document>(collection.name());
        let mut broken = sound(*collection);
        put(&mut broken, path, value.as_ref());
        let error = of.insert_one(broken).await.unwrap_err();
        assert!(error.to_string().contains(&FAILED_VALIDATION.to_string()), "{collection} {path}: {error}");
        of.insert_one(sound(*collection)).await.unwrap();
        of.delete_many(doc! {}).await.unwrap();
    }
    for wrong in ["no address", "a@b", "a@b.c1"] {
        let mut broken = sound(Collection::Users);
        put(&mut broken, "email", Some(&wrong.into()));
        assert!(db.collection::<Document>("users").insert_one(broken).await.is_err(), "{wrong}");
    }
    let mut nulls = sound(Collection::Trades);
    for path in ["tradeData.exitReason", "tradeData.exitPrice", "pnl.amount", "timestamps.closedAt"] {
        put(&mut nulls, path, Some(&Bson::Null));
    }
    db.collection::<Document>("trades").insert_one(nulls).await.unwrap();
    // As Mongoose has it: what has a default may be null.
    let mut nulls = sound(Collection::Users);
    for path in ["profile.timezone", "preferences.trading.maxDailyAlerts", "status"] {
        put(&mut nulls, path, Some(&Bson::Null));
    }
    db.collection::<Document>("users").insert_one(nulls).await.unwrap();
}

#[tokio::test]
async fn what_broke_a_validator_before_it_was_there_can_still_be_changed() {
    let harness = MongoHarness::new();
    let db = harness.raw().await;
    let users = db.collection::<Document>("users");
    let mut old = document(&user(1)).unwrap();
    put(&mut old, "email", Some(&"no address".into()));
    users.insert_one(old).await.unwrap();
    let store = harness.open().await;
    store.setup().await.unwrap();
    let change = |n: u32, set: Document| {
        let users = users.clone();
        async move { users.update_one(doc! { "_id": user_id(n) }, doc! { "$set": set }).await }
    };
    assert_eq!(change(1, doc! { "profile.name": "Renamed" }).await.unwrap().modified_count, 1);
    users.insert_one(document(&user(2)).unwrap()).await.unwrap();
    assert!(change(2, doc! { "email": "no address" }).await.is_err(), "one that kept the rules keeps them");
    assert_eq!(change(2, doc! { "profile.name": "Renamed" }).await.unwrap().modified_count, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_applications_write_that_a_validator_refuses_is_not_tried_again() {
    let harness = MongoHarness::new();
    let store = harness.fresh().await;
    let mut broken = document(&user(1)).unwrap();
    put(&mut broken, "status", Some(&"unknown".into()));
    let write = alertcast_core::store::DocumentWrite::Insert { collection: Collection::Users, document: broken };
    let refused = store.write(vec![write]).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    assert_eq!(dump::find(&*store, Collection::Users, user_id(1)).await, None);
}
