//! A defect in one part of the program: the part is begun anew, the others go on, and the operators can see it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::app::START;
use crate::harness::post::{alert, with};
use crate::harness::{App, Place, TestPeople};

fn world() -> TestPeople {
    TestPeople::at(START).config(1, |_| {}).plan(1, &[1], |_| {}).users(1..=3, 1)
}

fn buy(price: f64) -> Value {
    with(alert(1, "BUY", price), json!({ "tp": price * 1.1, "sl": price * 0.95 }))
}

async fn ready(app: &App) -> Value {
    serde_json::from_str(&app.sender().get("/readyz").await).unwrap()
}

async fn a_part_meets_a_defect(point: &'static str, part: &str) {
    let mut app = App::start(world()).await;
    app.done(buy(100.0)).await;
    fail::cfg(point, "1*panic(a test wants it so)").unwrap();
    let failures = format!("alertcast_part_failures_total{{part=\"{part}\"}} 1");
    let (parts, counted) = (app.parts.clone(), failures.clone());
    let told = || parts.degraded.all().iter().any(|trouble| trouble.text.contains(part));
    app.until("the defect was met", told).await;
    let page = ready(&app).await;
    assert_eq!((&page["status"], &page["degraded"][0]["condition"]), (&json!("ready"), &json!("failing_part")));
    assert!(app.sender().get("/metrics").await.contains(&counted));
    // It goes on as if nothing had been.
    app.done(with(buy(101.0), json!({"alert_id": "after"}))).await;
    for user in 1..=3 {
        assert_eq!(app.messages(user).len(), 2, "user {user}");
    }
    // Once it has worked for a while, nothing is wrong any more.
    let parts = app.parts.clone();
    app.until("it works again", || parts.degraded.all().is_empty()).await;
    fail::remove(point);
    app.finish().await;
}

#[tokio::test]
async fn of_the_processor() {
    a_part_meets_a_defect("processor::look", "processor").await;
}

#[tokio::test]
async fn of_a_courier() {
    a_part_meets_a_defect("courier::turn", "lane").await;
}

#[tokio::test]
async fn of_the_scheduler() {
    a_part_meets_a_defect("scheduler::turn", "scheduler").await;
}

/// Where processes share a store, what this one held is lost with it, and taken anew under another name. Alone, it shares
/// nothing out.
#[tokio::test]
async fn of_what_shares_out_the_work() {
    if !Place::new().is_embedded() {
        a_part_meets_a_defect("leases::look", "leases").await;
    }
}

/// Longer than a part rests, shorter than the harness's patience.
#[tokio::test]
async fn that_does_not_pass_keeps_the_part_resting_ever_longer_and_the_others_at_work() {
    let mut app = App::start(world()).await;
    fail::cfg("scheduler::turn", "panic(a test wants it so)").unwrap();
    app.advance(Duration::from_secs(10));
    let parts = app.parts.clone();
    app.until("the defect was met", || !parts.degraded.all().is_empty()).await;
    app.done(buy(100.0)).await;
    assert_eq!(app.messages(1).len(), 1);
    assert_eq!(ready(&app).await["degraded"][0]["about"], "scheduler");
    fail::remove("scheduler::turn");
    app.until("it works again", || parts.degraded.all().is_empty()).await;
    app.finish().await;
}
