//! A Mongoose application on the same database, by the seed's schemas: it reads what Alertcast writes and changes it,
//! and Alertcast works with what it makes. The application is `tests/mongoose/app.js`; `./test` installs what it needs.

use alertcast_core::fixtures::sent_outcome;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use alertcast_conformance::StoreHarness;
use alertcast_conformance::dump::{every, one, raw};
use alertcast_conformance::scene::{BOTH, TELEGRAM, TestScene, accept, empty_chunk, finish_commit, insert};
use alertcast_core::alert::document::Alert;
use alertcast_core::delivery::{Channel, Delivery};
use alertcast_core::fixtures::*;
use alertcast_core::id::{ConfigId, IdSource, UserId};
use alertcast_core::matching::audience::{Audience, AudienceEntity};
use alertcast_core::matching::chunk::{UserChunk, list_entering, plan_chunk, span};
use alertcast_core::matching::job::{MatchingJob, MessageChannels};
use alertcast_core::reading::pack;
use alertcast_core::store::{AttemptRecord, Collection, LeaseFence, SettlingOutcome, Store, partition_of};
use alertcast_core::trade::document::{Trade, TradeStatus};
use bson::oid::ObjectId;
use bson::{Bson, Document};
use serde_json::{Value, json};

use crate::support::MongoHarness;

const AUDIENCE: &[Collection] = &[
    Collection::Users,
    Collection::SubscriptionPlans,
    Collection::AlertConfigurations,
    Collection::UserSubscriptions,
    Collection::UserAlertPreferences,
];

/// Has the application do something on the harness' database; answers what it saw.
fn app(harness: &MongoHarness, act: &str, given: &Value) -> Value {
    let installed = std::env::var("ALERTCAST_TEST_MONGOOSE").unwrap_or_else(|_| {
        panic!("ALERTCAST_TEST_MONGOOSE names no folder with Mongoose in it; ./test installs it and sets this")
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mongoose/app.js");
    let mut node = Command::new("node");
    node.arg(script).args([crate::support::uri().as_str(), harness.database(), act, &given.to_string()]);
    let done = node.env("NODE_PATH", format!("{installed}/node_modules")).output().unwrap();
    assert!(done.status.success(), "{act}: {}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Every document is valid by the application's models, and of their types; there are so many of each collection.
#[track_caller]
fn all_fit(harness: &MongoHarness, counts: &[(Collection, u64)]) {
    let seen = app(harness, "check", &json!({}));
    for (name, found) in seen.as_object().unwrap() {
        assert_eq!(found["problems"], json!([]), "{name}");
    }
    for (collection, count) in counts {
        assert_eq!(seen[collection.name()]["count"], json!(count), "{collection}");
    }
}

fn at_path<'d>(document: &'d Document, path: &str) -> &'d Bson {
    match path.split_once('.') {
        None => document.get(path).unwrap_or_else(|| panic!("no {path} in {document}")),
        Some((first, rest)) => at_path(document.get_document(first).unwrap(), rest),
    }
}

fn number(value: &Bson) -> f64 {
    match value {
        Bson::Int32(number) => f64::from(*number),
        Bson::Int64(number) => f64::from(i32::try_from(*number).unwrap()),
        Bson::Double(number) => *number,
        other => panic!("{other} is no number"),
    }
}

/// Sends what an alert caused by a channel, and settles it.
async fn deliver(scene: &TestScene, by: u32, users: std::ops::RangeInclusive<u32>, channel: Channel) {
    for user in users {
        scene.attempt(channel, delivery_id(channel, by, user), sent_outcome(i64::from(user)), i64::from(by) + 2).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_alertcast_writes_fits_the_applications_models_and_what_they_add_stays() {
    let harness = MongoHarness::new();
    let scene = TestScene::new(&harness, 3).await;
    let store = &*scene.store;
    store.refuse_alert(refused_alert(9, 1, &["price_tolerance"]), Vec::new()).await.unwrap();
    scene.open(1, 1..=3, BOTH).await;
    deliver(&scene, 1, 1..=3, Channel::Telegram).await;
    deliver(&scene, 1, 1..=3, Channel::Email).await;
    assert_eq!(store.settle(alert_id(1), at(5)).await, Ok(SettlingOutcome::Now));
    let counts = [
        (Collection::Users, 3),
        (Collection::SubscriptionPlans, 1),
        (Collection::AlertConfigurations, 2),
        (Collection::UserSubscriptions, 3),
        (Collection::UserAlertPreferences, 6),
        (Collection::Trades, 3),
        (Collection::Alerts, 2),
    ];
    all_fit(&harness, &counts);

    let hex = |id: ObjectId| id.to_hex();
    let these = json!({
        "user": hex(user_id(1).0), "subscription": hex(subscription_id(1).0), "trade": hex(trade_id(1, 2).0),
        "alert": hex(alert_id(1).0), "plan": hex(plan_id(1).0), "config": hex(config_id(1).0),
    });
    let changed = app(&harness, "change", &these);
    assert_eq!(changed["alertsReceived"], json!(6), "one of ours and five of its own");

    // Alertcast goes on with the same documents: a chunk that saw the trade before it was noted upon, and ends it.
    scene.close(2, 1, 1..=3, TELEGRAM).await;
    deliver(&scene, 2, 1..=3, Channel::Telegram).await;
    assert_eq!(store.settle(alert_id(2), at(9)).await, Ok(SettlingOutcome::Now));
    let trade: Trade = one(store, Collection::Trades, trade_id(1, 2)).await;
    assert_eq!((trade.status, trade.metadata.notes.as_deref()), (TradeStatus::Closed, Some("seen in the application")));
    let subscription = raw(store, Collection::UserSubscriptions, subscription_id(1)).await;
    assert_eq!(number(at_path(&subscription, "usage.alertsReceived")), 7.0);
    assert_eq!(at_path(&subscription, "subscription.autoRenew"), &Bson::Boolean(true));
    let config = raw(store, Collection::AlertConfigurations, config_id(1)).await;
    assert_eq!(at_path(&config, "campaign"), &Bson::from("spring"));
    assert_eq!(at_path(&config, "foreign"), &Bson::from(foreign()));
    assert_eq!(number(at_path(&config, "statistics.totalAlerts")), 2.0);
    let user = raw(store, Collection::Users, user_id(1)).await;
    assert_eq!(number(at_path(&user, "preferences.trading.maxDailyAlerts")), 60.0);
    let told = raw(store, Collection::Alerts, alert_id(1)).await;
    let errors = at_path(&told, "processing.errors").as_array().unwrap();
    assert_eq!(errors.len(), 1);
    for (document, version) in [
        (told, &changed["versions"]["alert"]),
        (raw(store, Collection::SubscriptionPlans, plan_id(1)).await, &changed["versions"]["plan"]),
    ] {
        assert_eq!(json!(number(at_path(&document, "__v"))).as_f64(), version.as_f64());
        assert!(number(at_path(&document, "__v")) > 0.0, "Mongoose counts the versions of lists");
    }
    for &collection in AUDIENCE {
        for document in every(store, collection).await {
            assert!(AudienceEntity::read(collection, &pack(&document).unwrap()).is_ok(), "{collection}");
        }
    }
    all_fit(&harness, &[(Collection::Trades, 3), (Collection::Alerts, 3)]);
}

/// Ids of a kind that nothing else here has.
#[derive(Debug, Default)]
struct Ids(AtomicU32);

impl IdSource for Ids {
    fn next(&self) -> ObjectId {
        oid(77, 0, self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// The first chunk of an alert, as the processor makes it.
async fn work(store: &dyn Store, fence: &LeaseFence, alert: &Alert, audience: &Audience) {
    let config = audience.config(alert.processing.alert_config_id.unwrap()).unwrap();
    let outlets = MessageChannels { default_bot: Some("1".to_owned()), mail_shards: 1, entry_deadline: None };
    let job = MatchingJob::new(alert, config, &outlets).unwrap();
    let users = audience.candidates(config.id);
    let now = at(2);
    let asked = list_entering(&job, audience, &users, now);
    let state = store.load_chunk(config.id, span(&users).unwrap(), &asked).await.unwrap();
    let chunk = UserChunk { users: &users, state: &state, last: true };
    let plan = plan_chunk(&job, audience, &chunk, now, &Ids::default()).unwrap().plan;
    let mut commit = finish_commit(empty_chunk(fence, 1, 1), now);
    commit.config = config.id;
    commit.cursor = users.last().copied();
    commit.plan = plan;
    store.commit(commit).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_application_makes_is_set_up_over_read_and_worked_with() {
    let harness = MongoHarness::new();
    harness.raw().await;
    let none = json!({});
    app(&harness, "init", &none);
    let made = app(&harness, "create", &none);
    // Set up over what is there: the application's indexes are those that are wanted.
    let store = harness.fresh().await;
    app(&harness, "init", &none);
    let id = |name: &str| ObjectId::parse_str(made[name].as_str().unwrap()).unwrap();

    let mut audience = Audience::new();
    for &collection in AUDIENCE {
        for document in every(&*store, collection).await {
            assert_eq!(audience.take_in(collection, &pack(&document).unwrap()), None);
        }
    }
    let (user, config) = (UserId(id("user")), ConfigId(id("config")));
    assert_eq!(audience.candidates(config), [user]);
    let admin = store.find_unique(Collection::AdminUsers, &[("username", "admin".into())]).await.unwrap().unwrap();
    let admin: alertcast_core::admin::Admin = alertcast_core::store::read(Collection::AdminUsers, admin).unwrap();
    assert!(admin.permissions.hold(alertcast_core::admin::Permission::UsersEdit));

    let mut offered = alert(1, 1);
    offered.alert_data.symbol = "NIFTY".to_owned();
    offered.processing.alert_config_id = Some(config);
    offered.alertcast.partition = Some(partition_of(config));
    let offered = accept(&*store, offered).await;
    let fence = store.take_lease(WORK, "us", None).await.unwrap().unwrap().fence();
    work(&*store, &fence, &offered, &audience).await;

    let bot = store.take_lease(BOT, "us", None).await.unwrap().unwrap().fence();
    let due: Vec<Delivery> = store.due(&lane(Channel::Telegram), at(3), 10).await.unwrap();
    assert_eq!(due.iter().map(|one| one.to.as_str()).collect::<Vec<_>>(), ["77"]);
    let taken = store.take(&bot, &[due[0].id], at(3)).await.unwrap().taken;
    let records = taken.iter().map(|one| AttemptRecord { delivery: one.delivery.id, outcome: sent_outcome(5) });
    store.record_attempts(&bot, records.collect(), at(4)).await.unwrap();
    assert_eq!(store.settle(alert_id(1), at(5)).await, Ok(SettlingOutcome::Now));
    let settled: Alert = one(&*store, Collection::Alerts, alert_id(1)).await;
    let matched = &settled.processing.matched_users;
    assert!(matched.len() == 1 && matched[0].user_id == user && matched[0].delivered, "{matched:?}");
    let paid = raw(&*store, Collection::UserSubscriptions, Bson::ObjectId(id("subscription"))).await;
    assert_eq!(number(at_path(&paid, "usage.alertsReceived")), 1.0);
    assert_eq!(number(at_path(&paid, "__v")), 0.0);
    let wanted = raw(&*store, Collection::UserAlertPreferences, Bson::ObjectId(id("preference"))).await;
    assert_eq!(number(at_path(&wanted, "statistics.tradesOpened")), 1.0);

    let suspended =
        alertcast_conformance::scene::set(Collection::Users, Bson::from(user), bson::doc! { "status": "suspended" });
    store.write(vec![suspended, insert(Collection::Users, &self::user(9))]).await.unwrap();
    all_fit(&harness, &[(Collection::Trades, 1), (Collection::Alerts, 1), (Collection::Users, 2)]);
}
