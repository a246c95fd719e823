//! What does not go to the store, and what does not get into the spool.

use std::time::Duration;

use alertcast::settings::Settings;
use alertcast_core::fixtures::{alert, config_id};
use alertcast_core::money::Count;
use alertcast_core::store::{Collection, INTAKE_DEADLINE, StoreError};
use serde_json::json;

use super::{Process, Weather, folder, ids, stored};
use crate::harness::{BOT, OPERATORS};
use crate::support::{House, Post};

fn with_operators(settings: &mut Settings) {
    settings.telegram.tokens = vec![BOT.into()];
    settings.telegram.operator_chats = vec![OPERATORS.to_string()];
}

#[tokio::test]
async fn an_alert_that_the_store_will_not_have_holds_nobody_up() {
    let (house, dir) = (House::with(with_operators).await, folder());
    let process = Process::start(&house, dir.path()).await;
    process.line.set(Weather::Gone);
    let poison = process.send(Post::buy(json!({"n": 1, "comment": "poison"}))).await.assert(202);
    let behind = process.send(Post::buy(json!({"n": 2}))).await.assert(202);
    process.line.set(Weather::Well);
    process.line.poison(Some("poison"));
    process.drain().await;
    assert_eq!(ids(&house).await, [behind.alert()]);
    assert_eq!((process.spool.count_waiting(), process.spool.count_parked()), (0, 1));
    let kept = house.only(Collection::RejectedWebhooks).await;
    assert!(kept.get_str("body").unwrap().contains(r#""comment":"poison""#), "{kept}");
    assert_eq!(kept.get_i32("status").unwrap(), 202);
    let told = house.only(Collection::Deliveries).await;
    let facts = told.get_document("facts").unwrap();
    let lines: Vec<&str> = facts.get_array("lines").unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(facts.get_str("title").unwrap(), "An accepted alert could not be stored");
    assert!(lines[0].starts_with("BUY BTCUSDT 1h EMA Cross was accepted while the database was away"), "{lines:?}");
    assert_eq!(lines.last().unwrap(), &format!("Alert {}", poison.alert()));
    drop(process);
    let process = Process::start(&house, dir.path()).await;
    assert_eq!(process.waiting(), 1, "it is kept, and tried again");
    process.drain().await;
    assert_eq!(ids(&house).await, [behind.alert(), poison.alert()]);
}

#[tokio::test]
async fn a_report_that_is_never_confirmed_is_made_once_and_holds_nobody_up() {
    let (house, dir) = (House::with(with_operators).await, folder());
    let process = Process::start(&house, dir.path()).await;
    process.line.set(Weather::Gone);
    process.send(Post::buy(json!({"n": 1, "comment": "poison"}))).await.assert(202);
    let behind = process.send(Post::buy(json!({"n": 2}))).await.assert(202);
    process.line.set(Weather::Well);
    process.line.poison(Some("poison"));
    process.line.mute("reject_webhook");
    process.drain().await;
    assert_eq!(ids(&house).await, [behind.alert()]);
    assert_eq!((process.spool.count_waiting(), process.spool.count_parked()), (0, 1));
    house.only(Collection::RejectedWebhooks).await;
    house.only(Collection::Deliveries).await;
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_told_and_holds_nobody_up() {
    let (house, dir) = (House::with(with_operators).await, folder());
    let former = Process::start(&house, dir.path()).await;
    former.line.set(Weather::Gone);
    former.send(Post::buy(json!({"n": 1}))).await.assert(202);
    let behind = former.send(Post::buy(json!({"n": 2}))).await.assert(202);
    drop(former);
    let damage = "UPDATE records SET body = x'00' WHERE position = (SELECT min(position) FROM records)";
    rusqlite::Connection::open(dir.path().join(alertcast_sqlite::SPOOL)).unwrap().execute(damage, []).unwrap();
    let process = Process::start(&house, dir.path()).await;
    process.drain().await;
    assert_eq!(ids(&house).await, [behind.alert()]);
    assert_eq!((process.spool.count_waiting(), process.spool.count_parked()), (0, 1));
    let told = house.only(Collection::Deliveries).await;
    assert_eq!(told.get_document("facts").unwrap().get_str("title").unwrap(), "A record of the spool cannot be read");
}

#[tokio::test]
async fn a_request_that_is_given_up_before_it_was_written_is_not_written() {
    let (house, dir) = (House::new().await, folder());
    let process = Process::start(&house, dir.path()).await;
    process.line.set(Weather::Gone);
    let stall = process.spool.stall_for_tests();
    let request = tokio::spawn(Post::buy(json!({"n": 1})).through(process.router.clone()));
    while !process.app.spooling.is_spooling() {
        tokio::task::yield_now().await;
    }
    house.wait(2);
    request.await.unwrap().assert(503);
    drop(stall);
    let kept = process.send(Post::buy(json!({"n": 2}))).await.assert(202);
    assert_eq!(process.waiting(), 1);
    process.line.set(Weather::Well);
    process.drain().await;
    assert_eq!(ids(&house).await, [kept.alert()]);
}

#[tokio::test]
async fn a_store_that_comes_back_with_nothing_spooled_is_noticed() {
    let (house, dir) = (House::new().await, folder());
    let process = Process::start(&house, dir.path()).await;
    let sent = process.send(Post::buy(json!({}))).await.assert(202);
    process.line.set(Weather::Gone);
    process.send(Post::buy(json!({}))).await.assert(200);
    assert_eq!(process.waiting(), 0);
    process.line.set(Weather::Well);
    let tries = std::cell::Cell::new(0);
    process.draining_until("it has been looked for", || tries.replace(tries.get() + 1) > 50).await;
    let next = process.send(Post::buy(json!({"n": 2}))).await.assert(202);
    assert_eq!((ids(&house).await, process.waiting()), (vec![sent.alert().to_owned(), next.alert().to_owned()], 0));
}

#[tokio::test]
async fn an_alert_without_a_mark_is_marked_where_the_store_is_back() {
    let (house, dir) = (House::new().await, folder());
    let process = Process::start(&house, dir.path()).await;
    let intake = &process.app.intake;
    let earlier = intake.accept_alert(alert(2, 1), Vec::new(), house.app.clock.now()).await;
    earlier.unwrap();
    process.line.set(Weather::Gone);
    let mut unmarked = alert(1, 1);
    unmarked.alertcast.after = Count(intake.receipt_mark(config_id(1)).await.unwrap());
    process.line.set(Weather::Well);
    let tries = std::cell::Cell::new(0);
    process.draining_until("it has been looked for", || tries.replace(tries.get() + 1) > 50).await;
    intake.accept_alert(unmarked, Vec::new(), house.app.clock.now()).await.unwrap();
    assert_eq!(process.waiting(), 0);
    let there = stored(&house).await;
    let [earlier, marked] = &there[..] else { panic!("{there:?}") };
    assert_eq!(marked.alertcast.after, earlier.alertcast.seq);
    assert!(marked.alertcast.spooled_at.is_none() && marked.alertcast.offered_at.is_some());
}

#[tokio::test]
async fn a_store_that_is_there_and_slow_is_waited_for() {
    let (house, dir) = (House::new().await, folder());
    let process = Process::start(&house, dir.path()).await;
    // Other processes do not notice: what is spooled could come after what they take in.
    process.line.set(Weather::Busy(Duration::from_millis(800)));
    let (answer, _) = process.send_in_time(Post::buy(json!({"n": 1}))).await;
    answer.assert(202);
    assert_eq!((process.waiting(), house.kept().await), (0, (1, 0)));
    process.line.set(Weather::Busy(Duration::from_secs(10)));
    let (answer, took) = process.send_in_time(Post::buy(json!({"n": 2}))).await;
    answer.assert(503);
    assert!(took <= INTAKE_DEADLINE, "{took:?}");
    assert_eq!((process.waiting(), process.app.spooling.is_spooling()), (0, false));
}

#[tokio::test]
async fn a_process_that_was_held_up_itself_does_not_take_the_store_for_away() {
    let (house, dir) = (House::new().await, folder());
    let process = Process::start(&house, dir.path()).await;
    process.line.set(Weather::Silent);
    let intake = std::sync::Arc::clone(&process.app.intake);
    let reading = tokio::spawn(async move { intake.receipt_mark(config_id(1)).await });
    let asleep = async |wakes: u64| {
        while process.clock.next_wake() != Some(Duration::from_millis(wakes)) {
            tokio::task::yield_now().await;
        }
    };
    asleep(250).await;
    process.clock.advance(Duration::from_millis(250));
    asleep(1_000).await;
    process.clock.advance(Duration::from_secs(8));
    asleep(1_000).await;
    process.line.set(Weather::Well);
    process.clock.advance(Duration::from_millis(100));
    // The answer that was lost is said to be, and the next alert passes through.
    assert!(matches!(reading.await.unwrap(), Err(StoreError::Unavailable(_))));
    process.send(Post::buy(json!({}))).await.assert(202);
    assert_eq!((process.waiting(), house.kept().await), (0, (1, 0)));
}
