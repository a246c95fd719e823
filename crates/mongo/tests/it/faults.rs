//! What goes wrong between us and the server, or between two of us: nothing is lost, and nothing done twice.

use alertcast_core::fixtures::sent_outcome;
use std::time::Duration;

use alertcast_conformance::StoreHarness;
use alertcast_conformance::dump::{one, raw};
use alertcast_conformance::scene::{BOTH, TELEGRAM, TestScene, closing_commit, finish_commit, insert, opening_commit};
use alertcast_core::alert::document::Alert;
use alertcast_core::delivery::{Channel, DeliveryState};
use alertcast_core::fixtures::*;
use alertcast_core::store::{
    AlertAcceptance, AttemptOutcome, AttemptRecord, Collection, ConfigIncrement, DocumentStore, StoreError,
};
use alertcast_core::trade::document::TradeStatus;
use alertcast_mongo::{MongoOptions, MongoStore};
use bson::{Bson, Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Client, IndexModel};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::{MongoHarness, uri};

/// Makes the server fail the next commands of this name on the connections of one test.
async fn fail(app_name: &str, times: i32, mut data: Document) {
    data.insert("appName", app_name);
    let point = doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data };
    let client = Client::with_uri_str(uri()).await.unwrap();
    client.database("admin").run_command(point).await.unwrap();
}

async fn stop_failing() {
    let point = doc! { "configureFailPoint": "failCommand", "mode": "off" };
    Client::with_uri_str(uri()).await.unwrap().database("admin").run_command(point).await.unwrap();
}

/// What a server may do to a transaction that succeeds when it is tried again. One test, because the server has one such
/// point for all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_in_an_acceptance_neither_loses_nor_doubles() {
    const APP: &str = "faults";
    let harness = MongoHarness::named(APP);
    let store = harness.fresh().await;
    let faults = [
        (3, doc! { "failCommands": ["insert"], "errorCode": 112, "errorLabels": ["TransientTransactionError"] }),
        (1, doc! { "failCommands": ["insert"], "closeConnection": true }),
        (1, doc! { "failCommands": ["findAndModify"], "closeConnection": true }),
        (1, doc! { "failCommands": ["commitTransaction"], "closeConnection": true }),
        (3, doc! { "failCommands": ["commitTransaction"], "closeConnection": true }),
        (2, doc! { "failCommands": ["commitTransaction"], "writeConcernError": { "code": 64, "errmsg": "waited" } }),
        (
            2,
            doc! { "failCommands": ["commitTransaction"], "errorCode": 251,
            "errorLabels": ["TransientTransactionError"] },
        ),
    ];
    let count = u64::try_from(faults.len()).unwrap();
    for ((times, data), n) in faults.into_iter().zip(1_u32..) {
        fail(APP, times, data.clone()).await;
        let accepted = store.accept_alert(alert(n, 1), vec![own_key(n)], at(1)).await;
        stop_failing().await;
        assert_eq!(accepted, Ok(AlertAcceptance::Stored), "{data}");
        let kept: Alert = one(&*store, Collection::Alerts, alert_id(n)).await;
        assert_eq!(store.receipt_mark(config_id(1)).await, Ok(kept.alertcast.seq.0), "counted once: {data}");
        let again = store.accept_alert(alert(n, 1), vec![own_key(n)], at(2)).await;
        assert_eq!(again, Ok(AlertAcceptance::Duplicate { of: alert_id(n) }), "{data}");
    }
    assert_eq!(store.count(Collection::Alerts).await, Ok(count));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_over_fences_a_commit_that_is_under_way() {
    let harness = MongoHarness::new();
    let scene = TestScene::new(&harness, 2).await;
    scene.accept(1, 1).await;
    // The old owner has begun its commit: its transaction has written the lease's document.
    let client = Client::with_uri_str(uri()).await.unwrap();
    let leases = client.database(harness.database()).collection::<Document>("leases");
    let mut session = client.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    let own = doc! { "_id": WORK, "epoch": scene.work.epoch };
    let raise = doc! { "$inc": { "commits": 1_i64 } };
    let begun = leases.update_one(own, raise).session(&mut session).await.unwrap();
    assert_eq!(begun.matched_count, 1);
    let beside = harness.beside(&scene.store).await;
    let seen = beside.leases(WORK).await.unwrap().remove(0);
    let taking = tokio::spawn(async move { beside.take_lease(WORK, "other", Some(&seen)).await });
    // The take-over comes after the commit or the commit fails; there is no third way.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let committed = session.commit_transaction().await.is_ok();
    let taken = taking.await.unwrap().unwrap();
    assert!(committed || taken.is_some());
    assert!(taken.is_some_and(|lease| lease.epoch > scene.work.epoch), "a commit does not stand in a take-over's way");
    let late = scene.store.commit(opening_commit(&scene.work, 1, 1, 1..=2, TELEGRAM)).await;
    assert_eq!(late, Err(StoreError::Fenced { lease: WORK.to_owned() }));
    assert_eq!(scene.store.count(Collection::Trades).await, Ok(0));
}

/// A process that dies leaves the transaction open that it was in, and the server keeps its documents locked for a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acceptance_that_was_cut_off_by_a_death_holds_up_none_but_a_resend_of_the_same_alert() {
    let harness = MongoHarness::new();
    let store = harness.fresh().await;
    let client = Client::with_uri_str(uri()).await.unwrap();
    let database = client.database(harness.database());
    let mut dead = client.start_session().await.unwrap();
    dead.start_transaction().await.unwrap();
    let claim = doc! { "$set": { "alertId": alert_id(1).0, "until": at(60) } };
    let keys = database.collection::<Document>("intake_keys");
    let free = doc! { "_id": &own_key(1).key, "until": { "$lte": at(1) } };
    keys.update_one(free, claim).upsert(true).session(&mut dead).await.unwrap();
    let begun = alertcast_core::store::document(&alert(1, 1)).unwrap();
    database.collection("alerts").insert_one(begun).session(&mut dead).await.unwrap();
    let resent = tokio::spawn({
        let store = std::sync::Arc::clone(&store);
        async move { store.accept_alert(alert(1, 1), vec![own_key(1)], at(2)).await }
    });
    for n in 2..=10 {
        let accepted = store.accept_alert(alert(n, 1), vec![own_key(n)], at(2));
        let accepted = tokio::time::timeout(Duration::from_secs(2), accepted).await;
        assert_eq!(accepted, Ok(Ok(AlertAcceptance::Stored)), "alert {n}");
    }
    assert!(!resent.is_finished(), "its key is not decided yet");
    assert!(tokio::time::timeout(Duration::from_secs(2), store.receipt_mark(config_id(1))).await.unwrap().is_ok());
    // The server ends it.
    dead.abort_transaction().await.unwrap();
    assert_eq!(resent.await.unwrap(), Ok(AlertAcceptance::Stored));
    assert_eq!(store.count(Collection::Alerts).await, Ok(10));
}

/// Alerts that come together share a transaction, and one that the validator refuses undoes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_the_validator_refuses_is_refused_alone() {
    let harness = MongoHarness::new();
    let store = harness.fresh().await;
    let offered = (1..=40).map(|n| {
        let mut alert = alert(n, n % 4 + 1);
        if n % 10 == 0 {
            // What the validator asks for is not empty.
            alert.alert_data.symbol = String::new();
        }
        store.accept_alert(alert, vec![own_key(n)], at(2))
    });
    let answers = futures::future::join_all(offered).await;
    for (n, answer) in (1..).zip(answers) {
        match answer {
            Err(StoreError::Corrupt(_)) => assert_eq!(n % 10, 0, "alert {n}"),
            answer => assert_eq!((answer, n % 10 == 0), (Ok(AlertAcceptance::Stored), false), "alert {n}"),
        }
    }
    assert_eq!(store.count(Collection::Alerts).await, Ok(36));
}

/// An index of somebody else's must not make an alert that was never stored look like one that was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_a_foreign_unique_index_refuses_is_not_taken_for_stored() {
    let harness = MongoHarness::new();
    let store = harness.fresh().await;
    let alerts = harness.raw().await.collection::<Document>("alerts");
    let mut options = IndexOptions::default();
    options.unique = Some(true);
    let theirs = IndexModel::builder().keys(doc! { "metadata.theirs": 1 }).options(options).build();
    alerts.create_index(theirs).await.unwrap();
    assert_eq!(store.accept_alert(alert(1, 1), vec![own_key(1)], at(1)).await, Ok(AlertAcceptance::Stored));
    for _ in 0..2 {
        match store.accept_alert(alert(2, 1), vec![own_key(2)], at(1)).await {
            Err(StoreError::Corrupt(why)) => assert!(why.contains("metadata.theirs_1"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(store.accept_alert(alert(1, 1), Vec::new(), at(1)).await, Ok(AlertAcceptance::Stored), "offered again");
    assert_eq!(store.count(Collection::Alerts).await, Ok(1));
    assert_eq!(store.count(Collection::IntakeKeys).await, Ok(1));
}

/// Documents that were there before the validators may hold anything. A subscriber's exit does not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_that_is_no_number_counts_from_zero() {
    let harness = MongoHarness::new();
    let scene = TestScene::new(&harness, 4).await;
    scene.open(1, 1..=4, TELEGRAM).await;
    let db = harness.raw().await;
    let inside = doc! { "alertsReceived": 1, "tradesOpened": 0 };
    let spoilt: [(Collection, Bson, Document); 8] = [
        (Collection::UserSubscriptions, subscription_id(1).into(), doc! { "usage": null }),
        (Collection::UserSubscriptions, subscription_id(2).into(), doc! { "usage.alertsReceived": "12" }),
        (Collection::UserSubscriptions, subscription_id(3).into(), doc! { "usage": [inside] }),
        (Collection::UserAlertPreferences, preference_id(1, 2).into(), doc! { "statistics.tradesOpened": [7] }),
        (Collection::UserAlertPreferences, preference_id(1, 3).into(), doc! { "statistics": [] }),
        (Collection::UserAlertPreferences, preference_id(1, 1).into(), doc! { "statistics": null }),
        (Collection::AlertConfigurations, config_id(1).into(), doc! { "statistics": [] }),
        (Collection::Alerts, alert_id(1).into(), doc! { "statistics": null }),
    ];
    for (collection, id, set) in spoilt {
        db.run_command(doc! { "collMod": collection.name(), "validator": {} }).await.unwrap();
        let documents = db.collection::<Document>(collection.name());
        let done = documents.update_one(doc! { "_id": id }, doc! { "$set": set });
        assert_eq!(done.await.unwrap().modified_count, 1, "{collection}");
    }
    scene.store.setup().await.unwrap();
    // A message that was sent is not sent again.
    scene.attempt(Channel::Telegram, delivery_id(Channel::Telegram, 1, 4), sent_outcome(1), 4).await;
    assert_eq!(scene.delivery(Channel::Telegram, 1, 4).await.state, DeliveryState::Sent);
    assert_eq!(scene.alert(1).await.statistics.delivery_count.0, 1);
    scene.accept(5, 1).await;
    let mut exit = finish_commit(closing_commit(&scene.work, 5, 1, 1, 1..=4, TELEGRAM), at(6));
    // With more of the first than one.
    exit.plan.usage.push(exit.plan.usage[0]);
    exit.plan.config_increment = ConfigIncrement { alerts: 1, closed_by_tp: 4, ..ConfigIncrement::default() };
    scene.store.commit(exit).await.unwrap();
    let usage = async |n| {
        let usage = scene.subscription(n).await.usage;
        (usage.alerts_received.0, usage.trades_opened.0)
    };
    let all = [usage(1).await, usage(2).await, usage(3).await, usage(4).await];
    assert_eq!(all, [(2, 0), (1, 1), (1, 0), (2, 1)]);
    assert_eq!(scene.trade(1, 3).await.status, TradeStatus::Closed);
    let config = raw(&*scene.store, Collection::AlertConfigurations, config_id(1)).await;
    let statistics = config.get_document("statistics").unwrap();
    assert_eq!(statistics.get_i32("totalAlerts").unwrap(), 1, "{statistics}");
    let preference = raw(&*scene.store, Collection::UserAlertPreferences, preference_id(1, 1)).await;
    assert_eq!(preference.get_document("statistics").unwrap().get_i32("alertsReceived").unwrap(), 2, "{preference}");
}

/// The two announcements of a trade are dropped in the same moment, each in its own lane's transaction, which sees the other one
/// still open: one of the two has to find out that nobody was reached.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn announcements_that_end_at_once_leave_the_trade_unreached() {
    const ROUNDS: u32 = 6;
    let harness = MongoHarness::new();
    let scene = TestScene::new(&harness, ROUNDS).await;
    let beside = harness.beside(&scene.store).await;
    scene.open(1, 1..=ROUNDS, BOTH).await;
    for user in 1..=ROUNDS {
        for &channel in BOTH {
            assert_eq!(scene.take(channel, &[delivery_id(channel, 1, user)], 3).await.len(), 1);
        }
        // Dropped ones are not counted in the alert either, whose document both would write.
        let outcome = AttemptOutcome::Dropped { reason: "suspended".to_owned() };
        let records =
            |channel| vec![AttemptRecord { delivery: delivery_id(channel, 1, user), outcome: outcome.clone() }];
        let (telegram, email) = tokio::join!(
            scene.store.record_attempts(&scene.bot, records(Channel::Telegram), at(4)),
            beside.record_attempts(&scene.mail, records(Channel::Email), at(4)),
        );
        assert!(telegram.is_ok() && email.is_ok(), "{telegram:?} {email:?}");
        let trade = scene.trade(1, user).await;
        assert!(trade.alertcast.unreached, "user {user}");
        assert_eq!(scene.subscription(user).await.usage.alerts_received.0, 0, "taken back once");
    }
}

/// An operation says so when the server goes away, before long, and works again when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_told_soon_and_used_again_when_it_is_back() {
    let harness = MongoHarness::new();
    harness.fresh().await;
    let line = Line::new().await;
    let options = MongoOptions { database: Some(harness.database().to_owned()), ..MongoOptions::default() };
    let through = format!("mongodb://{}/?directConnection=true", line.address);
    let store = MongoStore::connect(&through, &options).await.unwrap();
    store.write(vec![insert(Collection::Users, &user(1))]).await.unwrap();
    line.cut(true);
    let begun = tokio::time::Instant::now();
    let (written, counted) =
        tokio::join!(store.write(vec![insert(Collection::Users, &user(2))]), store.count(Collection::Users));
    assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
    assert!(matches!(counted, Err(StoreError::Unavailable(_))), "{counted:?}");
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    line.cut(false);
    store.write(vec![insert(Collection::Users, &user(3))]).await.unwrap();
    assert_eq!(store.count(Collection::Users).await, Ok(2));
}

/// A line to the server that can be cut.
struct Line {
    address: String,
    cut: watch::Sender<bool>,
}

impl Line {
    async fn new() -> Self {
        let server = uri().trim_start_matches("mongodb://").split(['/', '?']).next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (cut, is_cut) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, server.clone(), is_cut.clone()));
            }
        });
        Self { address, cut }
    }

    fn cut(&self, is_cut: bool) {
        self.cut.send(is_cut).unwrap();
    }
}

async fn carry(mut near: TcpStream, server: String, mut is_cut: watch::Receiver<bool>) {
    if *is_cut.borrow() {
        return;
    }
    let mut far = TcpStream::connect(server).await.unwrap();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = is_cut.wait_for(|is_cut| *is_cut) => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cut_off_leaves_no_lock_behind() {
    let harness = MongoHarness::new();
    let scene = TestScene::new(&harness, 2).await;
    for n in 1..=8 {
        scene.accept(n, 1).await;
        let mut chunk = opening_commit(&scene.work, n, 1, 1..=2, TELEGRAM);
        chunk.plan.open_seen = None;
        let patience = Duration::from_millis(u64::from(n) * 4);
        let _ = tokio::time::timeout(patience, scene.store.commit(chunk.clone())).await;
        // Done or not done; either way the next one finds out at once.
        let again = tokio::time::timeout(Duration::from_secs(15), scene.store.commit(chunk)).await;
        assert!(matches!(again, Ok(Ok(()) | Err(StoreError::Conflict))), "{again:?}");
    }
    assert_eq!(scene.store.count(Collection::Trades).await, Ok(16));
}
