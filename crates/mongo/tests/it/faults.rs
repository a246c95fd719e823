//! What goes wrong between us and the server, or between two of us: nothing is lost, and nothing done twice.

use alertcast_core::alert::document::Alert;
use alertcast_core::conformance::Harness;
use alertcast_core::conformance::dump::one;
use alertcast_core::conformance::fixtures::*;
use alertcast_core::conformance::scene::{Scene, TELEGRAM, opening};
use alertcast_core::store::{Acceptance, Collection, StoreError};
use bson::{Document, doc};
use mongodb::Client;

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
        assert_eq!(accepted, Ok(Acceptance::Stored), "{data}");
        let kept: Alert = one(&*store, Collection::Alerts, alert_id(n)).await;
        assert_eq!(store.receipt_mark(config_id(1)).await, Ok(kept.alertcast.seq.0), "counted once: {data}");
        let again = store.accept_alert(alert(n, 1), vec![own_key(n)], at(2)).await;
        assert_eq!(again, Ok(Acceptance::Duplicate { of: alert_id(n) }), "{data}");
    }
    assert_eq!(store.count(Collection::Alerts).await, Ok(count));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_over_fences_a_commit_that_is_under_way() {
    let harness = MongoHarness::new();
    let scene = Scene::new(&harness, 2).await;
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
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let committed = session.commit_transaction().await.is_ok();
    let taken = taking.await.unwrap().unwrap();
    assert!(committed || taken.is_some());
    assert!(taken.is_some_and(|lease| lease.epoch > scene.work.epoch), "a commit does not stand in a take-over's way");
    let late = scene.store.commit(opening(&scene.work, 1, 1, 1..=2, TELEGRAM)).await;
    assert_eq!(late, Err(StoreError::Fenced { lease: WORK.to_owned() }));
    assert_eq!(scene.store.count(Collection::Trades).await, Ok(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cut_off_leaves_no_lock_behind() {
    let harness = MongoHarness::new();
    let scene = Scene::new(&harness, 2).await;
    for n in 1..=8 {
        scene.accept(n, 1).await;
        let mut chunk = opening(&scene.work, n, 1, 1..=2, TELEGRAM);
        chunk.open_seen = None;
        let patience = std::time::Duration::from_millis(u64::from(n) * 4);
        let _ = tokio::time::timeout(patience, scene.store.commit(chunk.clone())).await;
        // Done or not done; either way the next one finds out at once.
        let again = tokio::time::timeout(std::time::Duration::from_secs(15), scene.store.commit(chunk)).await;
        assert!(matches!(again, Ok(Ok(()) | Err(StoreError::Conflict))), "{again:?}");
    }
    assert_eq!(scene.store.count(Collection::Trades).await, Ok(16));
}
