//! While the store is away, and while it does not answer.

use alertcast_core::store::Collection;
use serde_json::{Value, json};

use super::acting::Desk;
use super::office::{Office, user};
use crate::support::Answer;

/// A problem document that says when to come again.
#[track_caller]
fn comes_again(answer: Answer) -> String {
    let answer = answer.assert(503);
    assert_eq!(answer.header("retry-after"), "2");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.body["title"], "Store not available");
    answer.body["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_store_that_is_away_is_answered_with_when_to_come_again() {
    let desk = Desk::new(1).await;
    let config = "/alert-configurations";
    let new = super::office::config("ETHUSDT");
    desk.app.gate.take_away();
    for (method, path, body) in [
        ("GET", "/me", &Value::Null),
        ("GET", "/users", &Value::Null),
        ("GET", "/alerts/010101010101010101010101/recipients", &Value::Null),
        ("POST", config, &new),
        ("POST", "/alerts/010101010101010101010101/process", &Value::Null),
        ("DELETE", "/users/010101010101010101010101", &Value::Null),
    ] {
        let told = comes_again(desk.ask(method, path, body, None).await);
        assert!(told.contains("the store does not answer"), "{method} {path}: {told}");
        assert!(!told.contains("taken away"), "what the store said is for the log: {told}");
    }
    desk.app.gate.bring_back();
    let kept = desk.get(config).await.body;
    assert_eq!(kept["items"].as_array().unwrap().len(), 1, "nothing was made: {kept:#}");
    desk.app.finish().await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_and_its_repetition_makes_it_once() {
    let office = Office::new().await;
    let post = || office.request("POST", "/users", &user(1)).header("idempotency-key", "k");
    let stall = office.house.store.stall_for_tests();
    let request = tokio::spawn(post().through(office.house.router.clone()));
    while office.house.clock.next_wake().is_none() {
        tokio::task::yield_now().await;
    }
    office.house.wait(9);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!request.is_finished(), "it has ten seconds");
    office.house.wait(1);
    let told = comes_again(request.await.unwrap());
    assert!(told.contains("took too long") && told.contains("Idempotency-Key"), "{told}");
    drop(stall);
    let made = post().send(&office.house).await.assert(201).body;
    assert_eq!(made["email"], json!("u1@example.com"));
    assert_eq!(office.house.all(Collection::Users).await.len(), 1);
}
