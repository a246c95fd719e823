//! The program dies at each step of the pipeline, once, and goes on as if nothing had happened.

use std::sync::Arc;
use std::time::Duration;

use alertcast_core::conformance::fixtures;
use alertcast_core::money::Count;
use alertcast_core::time::Time;
use bson::doc;
use serde_json::{Value, json};
use telegram_sim::{Fault, FaultAction, FreezeScope, SimConfig};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::load::Load;
use crate::harness::post::{alert, with};
use crate::harness::{Allowances, Child, Site, World, chat, child, place};

/// Programs that run side by side: they mostly wait for the disk.
const AT_ONCE: usize = 3;
const PATIENCE: Duration = Duration::from_secs(30);

/// A run of its own for each of these.
async fn die_at_each<const N: usize>(points: [&'static str; N]) {
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

fn small_world() -> World {
    World::at(child::now())
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
async fn die_at(point: &str, world: World, parked: Vec<alertcast_core::id::AlertId>) {
    let site = Site::new(world, SimConfig::default().no_limits()).await;
    die_on(&site, point, parked).await;
}

async fn die_on(site: &Site, point: &str, parked: Vec<alertcast_core::id::AlertId>) {
    let load = Load::new();
    let mut posting = JoinSet::new();
    posting.spawn(load.clone().connection(site.sender()));
    posting.spawn(load.clone().connection(site.sender()));
    load.add(alerts());
    let mut program = site.spawn_as(&[], &[(alertcast::failpoints::VARIABLE, point)]);
    // Some points lie in the program's start.
    if site.ready(&mut program).await {
        load.up(1);
        for refused in ["this is no alert".to_owned(), with(alert(1, "BUY", 1.0), json!({ "tp": 0.5 })).to_string()] {
            // Refused, or lost with the program.
            let _ = site.sender().text(refused).await;
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
    let ended = tokio::time::timeout(PATIENCE, program.ended()).await;
    let ended = ended.unwrap_or_else(|_| panic!("the program never passes {point}:\n{}", site.last_words()));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_in_each_operation_that_alerts_go_through() {
    die_at_each([
        "sqlite::accept::begin",
        "sqlite::accept::applied",
        "sqlite::refuse::applied",
        "sqlite::reject::applied",
        "sqlite::chunk::begin",
        "sqlite::chunk::applied",
        "sqlite::take::begin",
        "sqlite::take::applied",
        "sqlite::attempts::begin",
        "sqlite::attempts::applied",
        "sqlite::settle::applied",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_around_each_commit_and_at_the_start() {
    die_at_each([
        "sqlite::lease::applied",
        "sqlite::lease::applied@40",
        "sqlite::recover::applied",
        "sqlite::expire::applied",
        "sqlite::purge::applied",
        "sqlite::commit::before_commit@5",
        "sqlite::commit::after_commit@5",
        "sqlite::commit::before_commit@12",
        "sqlite::commit::after_commit@12",
        "sqlite::commit::before_commit@20",
        "sqlite::commit::after_commit@20",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_between_the_chunks_of_an_alert() {
    let world = || {
        let world = World::at(child::now()).config(1, |config| config.trade_management.max_open_trades = Count(1));
        world.config(2, |_| {}).plan(1, &[1], |_| {}).plan(2, &[2], |_| {}).users(1..=600, 1).users(601..=602, 2)
    };
    for point in ["processor::after_commit@2", "sqlite::chunk::applied@2"] {
        die_at(point, world(), vec![]).await;
    }
}

#[tokio::test]
async fn crash_while_a_chat_is_put_off() {
    let site = Site::new(small_world(), SimConfig::default().no_limits()).await;
    let wait = FaultAction::TooManyRequests { retry_after: 1, scope: FreezeScope::Chat };
    site.sim.inject_fault(Fault::new(wait).chat(chat(3)).times(1));
    die_on(&site, "sqlite::defer::applied", vec![]).await;
}

#[tokio::test]
async fn crash_while_a_failure_is_noted() {
    let site = Site::new(small_world(), SimConfig::default().no_limits()).await;
    let mut broken = fixtures::alert(1, 2);
    broken.alertcast.intent = Some(doc! { "kind": "nonsense" });
    let keys = vec![fixtures::key("broken", Time::from_millis(i64::MAX))];
    let store = site.store().await;
    store.accept_alert(broken.clone(), keys, child::now()).await.unwrap();
    place::close(store);
    die_on(&site, "sqlite::failure::applied@2", vec![broken.id]).await;
}

/// Every so many commits one fails, or is done and reported as failed: all that is repeated then changes nothing more.
async fn lose_answers(point: &str) {
    let site = Site::new(super::load::world(), SimConfig::default().no_limits()).await;
    let load = Load::new();
    let mut posting = JoinSet::new();
    for _ in 0..4 {
        posting.spawn(load.clone().connection(site.sender()));
    }
    let mut drawn = super::load::Alerts::from_seed(7);
    load.add((0..60).map(|_| drawn.draw()));
    // The first ones belong to the start, which may fail as a whole.
    let wish = format!("{point}=10*off{}->off", "->8*off->1*return".repeat(20));
    let mut program = site.spawn_as(&[], &[(alertcast::failpoints::VARIABLE, &wish)]);
    assert!(site.ready(&mut program).await, "{}", site.last_words());
    load.up(1);
    load.posted().await;
    site.finish(program, &load.answered(), Allowances::default(), point).await;
    posting.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_or_not_commits_that_fail_and_commits_whose_answer_is_lost_are_done_once() {
    tokio::join!(lose_answers("sqlite::commit::after_commit"), lose_answers("sqlite::commit::before_commit"));
}
