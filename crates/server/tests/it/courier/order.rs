//! Who goes first.

use alertcast_core::delivery::{Delivery, MessageKind, priority};
use alertcast_core::fixtures;

use super::MINUTE;
use super::post::{Post, Setup, entry, exit};

#[tokio::test]
async fn exits_go_before_entries_and_priority_support_before_others() {
    let post = Post::with(Setup { users: 4, per_second: 1, ..Setup::default() }).await;
    let served_first = |delivery: Delivery| Delivery { priority: priority(delivery.kind, true), ..delivery };
    let deliveries = [entry(1, 1), served_first(entry(1, 2)), exit(1, 3, 0), served_first(exit(1, 4, 0))];
    post.put(&[fixtures::alert(1, 1)], &deliveries).await;
    let courier = post.start();
    post.until_messages(4, MINUTE).await;
    assert_eq!(post.order(), [4, 3, 2, 1]);
    assert_eq!(post.delivery(exit(1, 3, 0).id).await.kind, MessageKind::Exit);
    courier.stop(&post).await;
}

#[tokio::test]
async fn an_exit_that_comes_later_overtakes_the_entries_that_wait() {
    let post = Post::with(Setup { users: 40, per_second: 2, ..Setup::default() }).await;
    post.put_entries(1, 1..=40).await;
    let courier = post.start();
    post.until_messages(6, MINUTE).await;
    post.put(&[fixtures::alert(2, 1)], &[exit(2, 41, 0)].map(|exit| Delivery { user_id: None, ..exit })).await;
    let before = post.sim.stats().messages;
    post.until(MINUTE, async || post.sim.messages_to(super::chat(41)).len() == 1).await;
    // One second's worth was taken already, and as much may leave while the exit is read and taken.
    let ahead = post.sim.stats().messages - before;
    assert!(ahead <= 6, "{ahead} went first");
    courier.stop(&post).await;
}

#[tokio::test]
async fn each_alert_reaches_its_subscribers_in_another_order() {
    let post = Post::with(Setup { users: 12, per_second: 4, ..Setup::default() }).await;
    let courier = post.start();
    post.put_entries(1, 1..=12).await;
    post.until_messages(12, MINUTE).await;
    post.put_entries(2, 1..=12).await;
    post.until_messages(24, MINUTE).await;
    let order = post.order();
    assert_ne!(order[..12], order[12..]);
    let by_rotation = |by: u32| {
        let mut users: Vec<u32> = (1..=12).collect();
        users.sort_by_key(|user| entry(by, *user).rotation);
        users
    };
    assert_eq!(order, [by_rotation(1), by_rotation(2)].concat());
    courier.stop(&post).await;
}

#[tokio::test]
async fn a_chats_messages_keep_their_order() {
    let post = Post::with(Setup { users: 2, ..Setup::default() }).await;
    for by in 1..=5 {
        let mut alert = fixtures::alert(by, 1);
        alert.alert_data.price = fixtures::price(100.0 + f64::from(by));
        post.put(&[alert], &[entry(by, 1), entry(by, 2)]).await;
    }
    let courier = post.start();
    let took = post.until_messages(10, MINUTE).await;
    for user in [1, 2] {
        let texts = post.texts(user);
        for (n, text) in texts.iter().enumerate() {
            assert!(text.contains(&format!("Entry  10{}\n", n + 1)), "{n}: {text}");
        }
    }
    assert!(took.as_secs() < 12, "a message a second to each chat: {took:?}");
    assert_eq!(post.sim.stats().too_many_requests(), 0);
    courier.stop(&post).await;
}
