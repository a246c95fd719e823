//! What is answered while the store is away, and what the store has afterwards.

use std::time::Duration;

use alertcast_core::store::Collection;
use alertcast_sqlite::SpoolOptions;
use bson::Document;
use bson::oid::ObjectId;
use serde_json::json;

use super::{Process, Weather, folder, ids, stored};
use crate::support::{House, Post};

#[tokio::test]
async fn an_alert_is_answered_202_while_the_store_is_away_and_is_there_afterwards() {
    let (house, dir) = (House::new().await, folder());
    let process = Process::start(&house, dir.path()).await;
    let before = process.send(Post::buy(json!({"n": 0}))).await.assert(202);
    assert_eq!((process.waiting(), process.app.spooling.is_spooling()), (0, false), "it passed through");
    process.line.set(Weather::Gone);
    house.wait(1);
    let first = process.send(Post::buy(json!({"n": 1}))).await.assert(202);
    let second = process.send(Post::buy(json!({"n": 2}))).await.assert(202);
    assert_eq!((process.waiting(), process.app.spooling.is_spooling()), (2, true));
    let again = process.send(Post::buy(json!({"n": 1}))).await.assert(200);
    assert_eq!(again.alert(), first.alert(), "a resend is known");
    let earlier = process.send(Post::buy(json!({"n": 0}))).await.assert(200);
    assert_eq!(earlier.alert(), before.alert(), "of one from before the outage, too");
    assert_eq!(ids(&house).await, [before.alert()]);
    process.line.set(Weather::Well);
    process.drain().await;
    assert_eq!(ids(&house).await, [before.alert(), first.alert(), second.alert()]);
    let times: Vec<_> = stored(&house).await.iter().map(|alert| alert.alertcast.spooled_at).collect();
    assert!(times[0].is_none() && times[1].is_some() && times[2].is_some());
    let again = process.send(Post::buy(json!({"n": 2}))).await.assert(200);
    assert_eq!(again.alert(), second.alert());
    process.send(Post::buy(json!({"n": 3}))).await.assert(202);
    assert_eq!((process.waiting(), house.kept().await), (0, (4, 0)), "it passes through again");
}

#[tokio::test]
async fn an_alert_whose_answer_was_lost_is_there_once() {
    let (house, dir) = (House::new().await, folder());
    let process = Process::start(&house, dir.path()).await;
    // The mark is read well, and the answer to the write is lost.
    process.app.intake.receipt_mark(ObjectId::from_bytes([3; 12]).into()).await.unwrap();
    let mut alert = alertcast_core::fixtures::alert(1, 1);
    alert.webhook.received_at = house.app.clock.now();
    let key = alertcast_core::fixtures::key("k", house.app.clock.now() + Duration::from_secs(60));
    process.line.set(Weather::Lost);
    let now = house.app.clock.now();
    process.app.intake.accept_alert(alert.clone(), vec![key.clone()], now).await.unwrap();
    let there = stored(&house).await.remove(0);
    assert_eq!((there.id, there.alertcast.spooled_at, process.waiting()), (alert.id, None, 1), "both have it");
    process.line.set(Weather::Well);
    process.drain().await;
    let there = stored(&house).await;
    assert_eq!(there.len(), 1);
    assert!(there[0].alertcast.spooled_at.is_some(), "its place may be of after its answer: the clock tells its order");
    assert_eq!(there[0].alertcast.offered_at, None);
    assert_eq!(process.app.intake.find_duplicate(&[key], now).await, Ok(Some(alert.id)));
}

#[tokio::test]
async fn a_request_whose_every_read_is_slow_is_answered_within_two_seconds() {
    let (house, dir) = (House::new().await, folder());
    let process = Process::start(&house, dir.path()).await;
    for (weather, fields, status) in [
        (Weather::Slow(Duration::from_millis(240)), json!({"n": 1}), 202),
        (Weather::Slow(Duration::from_millis(240)), json!({"n": 2, "tp": 1}), 422),
        (Weather::Slow(Duration::from_millis(240)), json!({"n": 3, "strategy": "unknown"}), 422),
        (Weather::Silent, json!({"n": 4}), 202),
        (Weather::Silent, json!({"n": 5, "tp": 1}), 422),
    ] {
        process.line.set(weather);
        let (answer, took) = process.send_in_time(Post::buy(fields)).await;
        answer.assert(status);
        assert!(took < Duration::from_millis(1_900), "{weather:?}: {took:?}");
        process.line.set(Weather::Well);
        process.drain().await;
    }
}

#[tokio::test]
async fn in_a_silence_of_five_seconds_every_alert_is_answered_in_time_by_the_clock_on_the_wall() {
    let (house, dir) = (House::by_the_real_clock().await, folder());
    let process = Process::start(&house, dir.path()).await;
    let clock = std::sync::Arc::clone(&house.app.clock);
    process.line.set(Weather::Silent);
    let began = clock.monotonic();
    let (mut sent, mut kept) = (0, 0);
    while clock.monotonic() - began < Duration::from_secs(5) {
        let posts = (0..8).map(|n| process.send(Post::buy(json!({"n": sent + n, "timestamp": null}))));
        let before = clock.monotonic();
        let answers = futures::future::join_all(posts).await;
        let took = clock.monotonic() - before;
        // On a machine that stands still for a moment it may be too late to say more than that.
        assert!(answers.iter().all(|answer| [202, 503].contains(&answer.status.as_u16())));
        assert!(took < Duration::from_millis(2_900), "{took:?}: TradingView gives up after three seconds");
        sent += 8;
        kept += answers.iter().filter(|answer| answer.status == 202).count();
        clock.sleep(Duration::from_millis(250)).await;
    }
    assert!(kept * 2 > sent, "{kept} of {sent}");
    assert!(process.waiting() >= u64::try_from(kept).unwrap());
}

#[tokio::test]
async fn what_comes_in_goes_behind_the_spool_until_that_is_empty() {
    let (house, dir) = (House::new().await, folder());
    let process = Process::start(&house, dir.path()).await;
    process.line.set(Weather::Gone);
    let first = process.send(Post::buy(json!({"n": 1}))).await.assert(202);
    process.line.set(Weather::Well);
    let second = process.send(Post::buy(json!({"n": 2}))).await.assert(202);
    process.send(Post::buy(json!({"n": 3, "tp": 1}))).await.assert(422);
    assert_eq!((process.waiting(), house.kept().await), (3, (0, 0)), "it does not overtake");
    process.drain().await;
    let ids = ids(&house).await;
    let place = |id: &str| ids.iter().position(|other| other == id).unwrap();
    assert!(place(first.alert()) < place(second.alert()));
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn what_another_process_accepted_before_is_dropped_when_it_is_drained() {
    let (house, dirs) = (House::new().await, [folder(), folder()]);
    let well = Process::start(&house, dirs[0].path()).await;
    let cut_off = Process::start(&house, dirs[1].path()).await;
    cut_off.line.set(Weather::Gone);
    let first = well.send(Post::buy(json!({}))).await.assert(202);
    let resent = cut_off.send(Post::buy(json!({}))).await.assert(202);
    assert_ne!(first.alert(), resent.alert(), "it cannot know");
    cut_off.line.set(Weather::Well);
    cut_off.drain().await;
    assert_eq!(ids(&house).await, [first.alert()]);
}

#[tokio::test]
async fn what_a_former_process_left_in_the_spool_goes_first() {
    let (house, dir) = (House::new().await, folder());
    let former = Process::start(&house, dir.path()).await;
    former.line.set(Weather::Gone);
    let mut sent = Vec::new();
    for n in 0..100 {
        sent.push(former.send(Post::buy(json!({"n": n}))).await.assert(202).alert().to_owned());
    }
    drop(former);
    let process = Process::start(&house, dir.path()).await;
    assert_eq!((process.waiting(), process.app.spooling.is_spooling()), (100, true));
    let again = process.send(Post::buy(json!({"n": 7}))).await.assert(200);
    assert_eq!(again.alert(), sent[7], "its keys are known");
    sent.push(process.send(Post::buy(json!({"n": 100}))).await.assert(202).alert().to_owned());
    process.drain().await;
    assert_eq!(ids(&house).await, sent);
}

#[tokio::test]
async fn a_drain_that_is_cut_off_again_and_again_loses_and_doubles_nothing() {
    let (house, dir) = (House::new().await, folder());
    let process = Process::start(&house, dir.path()).await;
    process.line.set(Weather::Gone);
    let mut sent = Vec::new();
    for n in 0..150 {
        sent.push(process.send(Post::buy(json!({"n": n}))).await.assert(202).alert().to_owned());
    }
    for weather in [Weather::Lost, Weather::Gone, Weather::Silent] {
        process.line.set(weather);
        let tries = std::cell::Cell::new(0);
        process.draining_until("it has tried", || tries.replace(tries.get() + 1) > 200).await;
        assert_eq!((process.waiting(), process.app.spooling.is_spooling()), (150, true));
    }
    process.line.set(Weather::Well);
    process.drain().await;
    assert_eq!(ids(&house).await, sent);
}

#[tokio::test]
async fn refusals_are_kept_and_the_operators_hear_of_them_later() {
    let house = House::with(|settings| {
        settings.telegram.tokens = vec!["101:first".into()];
        settings.telegram.operator_chats = vec!["-4711".to_owned()];
    })
    .await;
    let dir = folder();
    let process = Process::start(&house, dir.path()).await;
    process.line.set(Weather::Gone);
    let refused = process.send(Post::buy(json!({"tp": 1}))).await.assert(422);
    process.send(Post::body("?")).await.assert(400);
    house.assert_nothing_kept().await;
    process.line.set(Weather::Well);
    process.drain().await;
    assert_eq!(house.kept().await, (1, 1));
    let kept = stored(&house).await.remove(0);
    assert_eq!(Some(kept.id.to_string().as_str()), refused.body["alertId"].as_str().or(Some(refused.alert())));
    let notes: Vec<&str> = kept.processing.errors.iter().map(|error| error.message.as_str()).collect();
    assert!(notes.iter().any(|note| note.contains("store was away")), "{notes:?}");
    let told: Vec<Document> = house.all(Collection::Deliveries).await;
    assert_eq!(told.iter().filter(|delivery| delivery.get_str("kind").unwrap() == "operator").count(), 2, "{told:#?}");
}

#[tokio::test]
async fn a_slipped_digit_is_refused_by_the_prices_of_the_spool() {
    let (house, dir) = (House::new().await, folder());
    let process = Process::start(&house, dir.path()).await;
    let at = |price: i64, n: i64| Post::buy(json!({"price": price, "tp": null, "sl": null, "n": n}));
    process.line.set(Weather::Gone);
    process.send(at(64_000, 1)).await.assert(202);
    house.wait(1);
    process.send(at(6_400, 2)).await.assert(422);
    house.wait(1);
    process.send(at(6_401, 3)).await.assert(202);
    process.line.set(Weather::Well);
    process.drain().await;
    assert_eq!(house.kept().await, (3, 0));
}

#[tokio::test]
async fn a_full_spool_is_answered_503_and_what_was_accepted_stays() {
    let (house, dir) = (House::new().await, folder());
    let process = Process::with(&house, dir.path(), &SpoolOptions { pages_max: 60, ..SpoolOptions::default() }).await;
    let ready = |path| Post::body("").by("GET").to(path);
    process.line.set(Weather::Gone);
    let mut sent = Vec::new();
    loop {
        let page = process.send(ready("/readyz")).await.assert(200);
        let away = if sent.is_empty() { serde_json::Value::Null } else { json!("store_away") };
        assert_eq!(page.body["degraded"][0]["condition"], away);
        let answer = process.send(Post::buy(json!({"n": sent.len(), "padding": "x".repeat(8_000)}))).await;
        if answer.status != 202 {
            answer.assert(503);
            break;
        }
        sent.push(answer.alert().to_owned());
    }
    process.send(ready("/readyz")).await.assert(503);
    process.line.set(Weather::Well);
    process.drain().await;
    assert_eq!(ids(&house).await, sent);
    process.send(Post::buy(json!({"n": sent.len()}))).await.assert(202);
}
