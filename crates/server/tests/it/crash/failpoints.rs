//! The program dies at each step of the pipeline, once, and goes on as if nothing had happened. Over either store.

use std::sync::Arc;

use alertcast_core::money::Count;
use serde_json::{Value, json};
use telegram_sim::SimConfig;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::load::Load;
use crate::harness::post::{alert, with};
use crate::harness::{Allowances, Child, Site, TestPeople, child};

/// Programs that run side by side: they mostly wait for the disk.
const AT_ONCE: usize = 3;

/// A run of its own for each of these.
pub(super) async fn die_at_each<const N: usize>(points: [&'static str; N]) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut runs = JoinSet::new();
    for point in points {
        let places = Arc::clone(&places);
        runs.spawn(async move {
            let _place = places.acquire().await.unwrap();
            die_at(point, small_world(), vec![]).await;
        });
    }
    // All of them come to their end: one that is dropped halfway would leave its program behind.
    let mut failed = Vec::new();
    while let Some(ended) = runs.join_next().await {
        failed.extend(ended.err());
    }
    assert!(failed.is_empty(), "{} runs failed: see above", failed.len());
}

pub(super) fn small_world() -> TestPeople {
    TestPeople::at(child::now())
        .config(1, |config| config.trade_management.max_open_trades = Count(1))
        .config(2, |_| {})
        .plan(1, &[1, 2], |_| {})
        .users(1..=5, 1)
        .user(6, 1, |user| user.alertcast.bot_id = Some("202".to_owned()))
        .preference(1, 2, |_| {})
}

/// Two entries, of which the second replaces the first, an exit, and an entry elsewhere.
fn alerts() -> Vec<Value> {
    let entry = |config, price: f64| with(alert(config, "BUY", price), json!({ "tp": price + 5.0, "sl": price - 5.0 }));
    let bodies = [entry(1, 100.0), entry(2, 50.0), entry(1, 101.0), alert(1, "TP_HIT", 107.0), entry(2, 51.0)];
    let named =
        |(n, body): (usize, Value)| with(body, json!({ "alert_id": format!("n{n}"), "time": child::now().millis() }));
    bodies.into_iter().enumerate().map(named).collect()
}

/// Runs the program until it dies at this point, and again without it. `parked`: alerts that cannot be processed.
pub(super) async fn die_at(point: &str, world: TestPeople, parked: Vec<alertcast_core::id::AlertId>) {
    let site = Site::new(world, SimConfig::default().no_limits()).await;
    die_on(&site, point, parked).await;
}

pub(super) async fn die_on(site: &Site, point: &str, parked: Vec<alertcast_core::id::AlertId>) {
    let load = Load::new();
    let mut posting = JoinSet::new();
    posting.spawn(load.clone().connection(site.resender()));
    posting.spawn(load.clone().connection(site.resender()));
    load.add(alerts());
    let mut program = site.spawn_as(&[], &[(alertcast::failpoints::VARIABLE, point)]);
    // Some points lie in the program's start.
    if site.ready(&mut program).await {
        load.up(1);
        for refused in ["this is no alert".to_owned(), with(alert(1, "BUY", 1.0), json!({ "tp": 0.5 })).to_string()] {
            // Refused, or lost with the program.
            let _ = site.resender().text(refused).await;
        }
    }
    died(site, &mut program, point).await;
    load.down();
    let program = site.start().await;
    load.up(2);
    load.posted().await;
    let allow = Allowances { parked, ..Allowances::default() };
    site.finish(program, &load.answered(), allow, &format!("after {point}")).await;
    assert!(!load.answered().is_empty(), "{point}");
    posting.shutdown().await;
}

/// It ends by its own hand, at once, and with no word of farewell.
async fn died(site: &Site, program: &mut Child, point: &str) {
    use std::os::unix::process::ExitStatusExt as _;
    const SIGABRT: i32 = 6;
    site.until(&format!("the program passes {point}"), || !program.is_alive()).await;
    let ended = program.ended().await;
    assert_eq!(ended.signal(), Some(SIGABRT), "{point}:\n{}", site.last_words());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_at_each_step_of_processor_and_courier() {
    die_at_each([
        "processor::before_commit",
        "processor::before_commit@3",
        "processor::after_commit",
        "processor::after_commit@3",
        "processor::before_settle",
        "courier::taken",
        "courier::taken@3",
        "courier::sent",
        "courier::sent@3",
        "courier::recorded",
    ])
    .await;
}
