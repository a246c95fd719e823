//! When the store does not do its part: 503 in time, nothing stored half, and the resend is taken.

use std::time::Duration;

use alertcast_core::store::Collection;
use alertcast_sqlite::SqliteOptions;
use axum::body::Body;
use futures::{StreamExt as _, stream};
use serde_json::json;

use crate::support::{Answer, House, Post};

/// Sends a request that has to wait, and moves the clock by `seconds` once it does.
async fn send_and_wait(house: &House, post: Post, seconds: u64) -> tokio::task::JoinHandle<Answer> {
    let request = tokio::spawn(post.through(house.router.clone()));
    while house.clock.next_wake().is_none() {
        tokio::task::yield_now().await;
    }
    // Far enough to have asked the store.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    house.wait(seconds);
    request
}

#[tokio::test]
async fn a_stalled_store_is_answered_with_503_and_the_alert_is_dropped() {
    let house = House::new().await;
    let stall = house.store.stall_for_tests();
    let request = send_and_wait(&house, Post::buy(json!({})), 2).await;
    let answer = request.await.unwrap().assert(503);
    assert_eq!(answer.header("retry-after"), "5");
    drop(stall);
    house.assert_nothing_kept().await;
    Post::buy(json!({})).send(&house).await.assert(202);
    assert_eq!(house.kept().await, (1, 0));
}

#[tokio::test]
async fn a_stall_that_ends_in_time_costs_nothing_but_time() {
    let house = House::new().await;
    let stall = house.store.stall_for_tests();
    let request = send_and_wait(&house, Post::buy(json!({})), 1).await;
    drop(stall);
    request.await.unwrap().assert(202);
}

#[tokio::test]
async fn a_refusal_that_cannot_be_kept_is_asked_for_again() {
    let house = House::new().await;
    let stall = house.store.stall_for_tests();
    for post in [Post::buy(json!({"tp": 1})), Post::body("?"), Post::body(vec![b' '; 70_000])] {
        let request = send_and_wait(&house, post, 2).await;
        request.await.unwrap().assert(503);
    }
    drop(stall);
    house.assert_nothing_kept().await;
}

#[tokio::test]
async fn the_answer_comes_within_two_seconds_by_the_clock_on_the_wall() {
    let house = House::by_the_real_clock().await;
    let stall = house.store.stall_for_tests();
    let clock = std::sync::Arc::clone(&house.app.clock);
    let began = clock.monotonic();
    Post::buy(json!({"timestamp": null})).send(&house).await.assert(503);
    let took = clock.monotonic() - began;
    assert!((Duration::from_millis(1_900)..Duration::from_millis(2_900)).contains(&took), "{took:?}");
    drop(stall);
}

#[tokio::test]
async fn a_full_disk_is_answered_with_503_and_what_was_accepted_stays() {
    let house = House::over(&SqliteOptions { pages_max: Some(200), ..SqliteOptions::default() }).await;
    let mut accepted = Vec::new();
    let refused = loop {
        let n = accepted.len();
        let answer = Post::buy(json!({"n": n, "padding": "x".repeat(8_000)})).send(&house).await;
        if answer.status != 202 {
            break answer;
        }
        accepted.push(answer.alert().to_owned());
        assert!(n < 1_000, "the disk never fills");
    };
    refused.assert(503);
    Post::buy(json!({"tp": 1, "padding": "x".repeat(8_000)})).send(&house).await.assert(503);
    let kept = house.all(Collection::Alerts).await;
    let ids: Vec<String> = kept.iter().map(|alert| alert.get_object_id("_id").unwrap().to_hex()).collect();
    assert_eq!(ids, accepted);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let house = House::new().await;
    let first = stream::iter([Ok::<_, std::io::Error>(b"{".to_vec())]);
    let never = Body::from_stream(first.chain(stream::pending()));
    let answer = send_and_wait(&house, Post::body(never), 2).await.await.unwrap().assert(503);
    assert_eq!((answer.header("connection"), answer.header("retry-after")), ("close", "5"));
    house.assert_nothing_kept().await;
}

#[tokio::test]
async fn a_request_under_way_is_known_to_the_processor_until_it_is_answered() {
    let house = House::new().await;
    let stall = house.store.stall_for_tests();
    let request = tokio::spawn(Post::buy(json!({})).through(house.router.clone()));
    while house.clock.next_wake().is_none() {
        tokio::task::yield_now().await;
    }
    let in_flight = house.app.in_flight.clone();
    let clock = house.app.clock.clone();
    let waiting = tokio::spawn(async move { in_flight.wait_arrived(&*clock, Duration::from_secs(60)).await });
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    drop(stall);
    request.await.unwrap().assert(202);
    waiting.await.unwrap();
}
