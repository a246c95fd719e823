//! The program dies within an operation of the embedded store, once, and goes on as if nothing had happened.

use alertcast_core::fixtures;
use alertcast_core::money::Count;
use alertcast_core::time::Time;
use bson::doc;
use telegram_sim::{FaultAction, FreezeScope, InjectedFault, SimConfig};
use tokio::task::JoinSet;

use super::failpoints::{die_at, die_at_each, die_on, small_world};
use super::load::Load;
use crate::harness::{Allowances, Site, TestPeople, chat, child, place};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_in_each_operation_that_alerts_go_through() {
    die_at_each([
        "sqlite::accept::begin",
        "sqlite::accept::applied",
        "sqlite::log::made",
        "sqlite::log::begun",
        "sqlite::log::before_write",
        "sqlite::log::synced",
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
        let world = TestPeople::at(child::now()).config(1, |config| config.trade_management.max_open_trades = Count(1));
        world.config(2, |_| {}).plan(1, &[1], |_| {}).plan(2, &[2], |_| {}).users(1..=600, 1).users(601..=602, 2)
    };
    for point in ["processor::after_commit@2", "sqlite::chunk::applied@2"] {
        die_at(point, world(), vec![]).await;
    }
}

/// Alerts that wait when the program starts, of one configuration: entries, which it works on together.
async fn waiting_alerts(site: &Site) {
    let store = site.store().await;
    for n in 1..=4 {
        let mut waiting = fixtures::alert(n, 1);
        waiting.webhook.received_at = child::now();
        waiting.alertcast.intent = Some(doc! { "kind": "entry", "side": "BUY" });
        let keys = vec![fixtures::key(&format!("waiting {n}"), Time::from_millis(i64::MAX))];
        store.accept_alert(waiting, keys, child::now()).await.unwrap();
    }
    place::close(store);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_in_a_commit_of_alerts_that_were_planned_together() {
    for point in
        ["sqlite::chunk::each@2", "sqlite::chunk::applied", "processor::before_commit@3", "processor::after_commit@2"]
    {
        let site = Site::new(small_world(), SimConfig::default().no_limits()).await;
        waiting_alerts(&site).await;
        die_on(&site, point, vec![]).await;
    }
}

#[tokio::test]
async fn crash_while_a_chat_is_put_off() {
    let site = Site::new(small_world(), SimConfig::default().no_limits()).await;
    let wait = FaultAction::TooManyRequests { retry_after: 1, scope: FreezeScope::Chat };
    site.sim.inject_fault(InjectedFault::new(wait).chat(chat(3)).times(1));
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
        posting.spawn(load.clone().connection(site.resender()));
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
