//! `/readyz` tells by its status code whether an alert would be answered 202 now, and turns by itself.

use std::num::NonZeroU32;
use std::time::Duration;

use alertcast::app::App;
use alertcast::running::{self, RunningProgram};
use alertcast::settings::Settings;
use alertcast_core::store::{Collection, DocumentStore as _, DocumentWrite};
use alertcast_sqlite::SqliteOptions;
use serde_json::json;

use crate::support::{Answer, House, Post};

/// Longer than anything takes in real time.
const PATIENCE: Duration = Duration::from_secs(60);

fn settings(settings: &mut Settings) {
    settings.listen = "127.0.0.1:0".parse().unwrap();
    settings.api.requests_a_minute = NonZeroU32::MAX;
}

async fn page(house: &House, path: &str) -> Answer {
    Post::body("").by("GET").to(path).send(house).await
}

/// Lets the clock go on until `/readyz` has this status.
async fn until_readyz(house: &House, status: u16) {
    let looking = async {
        while page(house, "/readyz").await.status != status {
            house.clock.advance(Duration::from_millis(100));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("/readyz is never {status}"));
}

async fn stop(house: &House, running: RunningProgram) {
    let ticking = async {
        loop {
            house.clock.advance(Duration::from_millis(100));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        () = running.stop() => {}
        () = ticking => {}
    }
}

#[tokio::test]
async fn a_full_disk_turns_it_red_and_room_turns_it_green_without_a_restart() {
    let house = House::over_with(&SqliteOptions { pages_max: Some(400), ..SqliteOptions::default() }, settings).await;
    let app: App = house.app.clone();
    let running = running::start(app).await.unwrap();
    page(&house, "/readyz").await.assert(200);
    let mut accepted = Vec::new();
    for n in 0..1_000 {
        let answer = Post::buy(json!({"n": n, "padding": "x".repeat(30_000)})).send(&house).await;
        if answer.status == 503 {
            break;
        }
        accepted.push(answer.assert(202).alert().to_owned());
    }
    let red = page(&house, "/readyz").await.assert(503);
    assert!(red.body["detail"].as_str().unwrap().contains("full"), "{:#}", red.body);
    // It stays so for as long as nothing changes, and the process is as alive as ever.
    for _ in 0..100 {
        house.clock.advance(Duration::from_millis(100));
        tokio::time::sleep(Duration::from_millis(2)).await;
        page(&house, "/readyz").await.assert(503);
        page(&house, "/healthz").await.assert(200);
    }
    Post::buy(json!({"n": -1, "padding": "x".repeat(30_000)})).send(&house).await.assert(503);
    // Somebody makes room.
    for id in &accepted {
        let id = id.parse().unwrap();
        house.store.write(vec![DocumentWrite::Delete { collection: Collection::Alerts, id }]).await.unwrap();
    }
    until_readyz(&house, 200).await;
    Post::buy(json!({"n": -2, "padding": "x".repeat(30_000)})).send(&house).await.assert(202);
    assert_eq!(house.store.count(Collection::IdempotencyKeys).await.unwrap(), 0, "nothing is left of the probes");
    stop(&house, running).await;
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_start_is_found_without_an_alert() {
    let house = House::over_with(&SqliteOptions::default(), settings).await;
    let stall = house.store.stall_for_tests();
    let running = running::start(house.app.clone()).await.unwrap();
    until_readyz(&house, 503).await;
    page(&house, "/healthz").await.assert(200);
    drop(stall);
    until_readyz(&house, 200).await;
    stop(&house, running).await;
}

#[tokio::test]
async fn what_does_not_keep_alerts_out_stands_in_its_body_and_leaves_it_green() {
    let house = House::new().await;
    let condition = alertcast::degraded::TroubleKind::UnreadableDocuments;
    house.app.degraded.set(condition, "users", "1 document of users cannot be read: 65f0");
    let page = page(&house, "/readyz").await.assert(200);
    let expected = json!([{
        "condition": "unreadable_documents", "about": "users", "text": "1 document of users cannot be read: 65f0",
        "since": "2026-11-22T10:00:00Z",
    }]);
    assert_eq!(page.body, json!({"status": "ready", "degraded": expected}));
}
