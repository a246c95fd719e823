//! When the store is away, and what the courier does while there is nothing to do.

use std::time::Duration;

use alertcast_core::delivery::{Delivery, DeliveryState};
use alertcast_core::fixtures;

use super::flaky::Failure;
use super::post::{Post, Setup, entry};
use super::{MINUTE, REPEAT};

async fn open(users: u32) -> Post {
    Post::with(Setup { users, ..Setup::default() }).await
}

/// One operation fails a few times; each message arrives once all the same, and is recorded.
async fn survives(operation: &'static str, failure: Failure) {
    let post = open(40).await;
    post.store.fail(operation, failure, 3);
    post.put_entries(1, 1..=40).await;
    let courier = post.start();
    post.until_all_ended(5 * MINUTE).await;
    post.until(MINUTE, async || post.store.calls(operation) > 3).await;
    assert!((1..=40).all(|user| post.texts(user).len() == 1), "{operation} {failure:?}");
    assert_eq!(post.sim.stats().too_many_requests(), 0);
    courier.stop(&post).await;
}

#[tokio::test]
async fn no_failure_of_the_store_loses_or_doubles_a_message() {
    for failure in [Failure::Before, Failure::After] {
        for operation in ["recover", "due", "take", "get", "changes_since", "record_attempts", "settle"] {
            survives(operation, failure).await;
        }
    }
}

#[tokio::test]
async fn what_was_taken_without_our_knowledge_is_found_by_the_next_epoch_and_marked() {
    let post = open(3).await;
    post.store.fail("take", Failure::After, 1);
    post.put_entries(1, 1..=3).await;
    let courier = post.start();
    post.until_all_ended(MINUTE).await;
    // It never left, but nobody can know.
    assert!((1..=3).all(|user| post.texts(user)[0].contains(REPEAT)));
    courier.stop(&post).await;
}

#[tokio::test]
async fn while_the_store_is_away_what_has_left_is_kept_and_recorded_later() {
    let post = open(3).await;
    post.store.fail("record_attempts", Failure::Before, 8);
    post.put_entries(1, 1..=3).await;
    let courier = post.start();
    let took = post.until_all_ended(2 * MINUTE).await;
    assert!(took > Duration::from_secs(3), "it is not asked all the time: {took:?}");
    assert_eq!(post.sim.stats().messages, 3);
    courier.stop(&post).await;
}

#[tokio::test]
async fn when_there_is_nothing_to_do_it_looks_now_and_then_only() {
    let post = open(3).await;
    let later = Delivery { due_at: fixtures::at(600), ..entry(1, 1) };
    post.put(&[fixtures::alert(1, 1)], &[later]).await;
    let courier = post.start();
    post.pass(5 * MINUTE).await;
    let reads = post.store.calls("due");
    assert!((30..=80).contains(&reads), "{reads} reads in five minutes");
    assert_eq!(post.store.calls("take"), 0);
    let took = post.until_state(entry(1, 1).id, DeliveryState::Sent, 6 * MINUTE).await;
    assert_eq!(took.attempts.0, 1);
    courier.stop(&post).await;
}
