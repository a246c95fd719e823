//! Rules of [`Outbox::take`](alertcast_core::store::Outbox::take): who sends what, and how an exit meets its entry.

use super::StoreHarness;
use super::scene::{BOTH, TELEGRAM, TestScene, at_once, doors};
use alertcast_core::delivery::Channel::{Email, Telegram};
use alertcast_core::delivery::DeliveryState as S;
use alertcast_core::fixtures::*;
use alertcast_core::fixtures::{dead, retry, sent_outcome};
use alertcast_core::id::DeliveryId;

/// The Telegram message of alert `by` to user 1.
fn id(by: u32) -> DeliveryId {
    delivery_id(Telegram, by, 1)
}

/// User 1 has a trade that alert 1 opened, announced by these channels.
async fn scene_opened(harness: &dyn StoreHarness, channels: &[alertcast_core::delivery::Channel]) -> TestScene {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=1, channels).await;
    scene
}

/// The same, and alert 5 closed it, announced likewise.
async fn with_exit(harness: &dyn StoreHarness, channels: &[alertcast_core::delivery::Channel]) -> TestScene {
    let scene = scene_opened(harness, channels).await;
    scene.close(5, 1, 1..=1, channels).await;
    scene
}

pub async fn a_taken_delivery_is_being_sent_under_the_fences_epoch(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    scene.open(1, 1..=3, TELEGRAM).await;
    let of = |user| delivery_id(Telegram, 1, user);
    let result = scene.store.take(&scene.bot, &[of(3), of(1)], at(4)).await.unwrap();
    assert_eq!(result.settle, []);
    let order: Vec<_> = result.taken.iter().map(|taken| taken.delivery.id).collect();
    assert_eq!(order, [of(3), of(1)], "in the order given");
    for taken in result.taken {
        let delivery = taken.delivery;
        assert_eq!((delivery.state, delivery.epoch), (S::Sending, Some(scene.bot.epoch)));
        assert_eq!((delivery.attempts.0, delivery.updated_at, delivery.ended_at), (1, at(4), None));
        assert_eq!(taken.entry, None);
        let user = number(delivery.user_id.unwrap().0);
        assert_eq!(*delivery, scene.delivery(Telegram, 1, user).await, "as it is kept");
    }
    assert_eq!(scene.delivery(Telegram, 1, 2).await.state, S::Pending);
}

pub async fn only_what_is_pending_is_taken(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    let states = S::ALL.iter().zip(1..);
    let put: Vec<_> = states
        .map(|(&state, n)| {
            let mut delivery = entry(Telegram, n, 1, 1);
            delivery.state = state;
            delivery
        })
        .collect();
    scene.put_deliveries(&put).await;
    let mut ids: Vec<_> = put.iter().map(|delivery| delivery.id).collect();
    ids.push(id(99));
    let taken = scene.take(Telegram, &ids, 3).await;
    assert_eq!(taken.iter().map(|taken| taken.delivery.id).collect::<Vec<_>>(), [id(1)]);
    let before = scene.dump().await;
    assert_eq!(scene.take(Telegram, &ids, 4).await, []);
    before.assert_same(&scene.dump().await);
}

pub async fn a_delivery_named_twice_is_taken_once(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    let taken = scene.take(Telegram, &[id(1), id(1)], 3).await;
    assert_eq!(taken.len(), 1);
    assert_eq!(scene.delivery(Telegram, 1, 1).await.attempts.0, 1);
}

pub async fn of_many_who_take_at_once_each_delivery_goes_to_one(harness: &dyn StoreHarness) {
    const USERS: u32 = 20;
    let scene = TestScene::new(harness, USERS).await;
    scene.open(1, 1..=USERS, TELEGRAM).await;
    let ids: Vec<_> = (1..=USERS).map(|user| delivery_id(Telegram, 1, user)).collect();
    let doors = doors(harness, &scene.store, 2).await;
    let takers = (0..8).zip(doors.into_iter().cycle()).map(|(n, store)| {
        let (fence, mut ids) = (scene.bot.clone(), ids.clone());
        ids.rotate_left(n * 2);
        async move { store.take(&fence, &ids, at(3)).await.unwrap().taken }
    });
    let mut taken: Vec<_> = at_once(takers).await.into_iter().flatten().map(|taken| taken.delivery.id).collect();
    taken.sort();
    assert_eq!(taken, ids);
    for user in 1..=USERS {
        assert_eq!(scene.delivery(Telegram, 1, user).await.attempts.0, 1);
    }
}

pub async fn an_exit_tells_its_pending_entry_too(harness: &dyn StoreHarness) {
    let scene = with_exit(harness, TELEGRAM).await;
    let result = scene.store.take(&scene.bot, &[id(5)], at(7)).await.unwrap();
    let [taken] = &result.taken[..] else { panic!("{result:?}") };
    let entry = scene.delivery(Telegram, 1, 1).await;
    assert_eq!((entry.state, entry.superseded_by, entry.ended_at), (S::Superseded, Some(id(5)), Some(at(7))));
    assert_eq!(taken.entry.as_deref(), Some(&entry));
    assert_eq!((taken.delivery.state, taken.delivery.combines), (S::Sending, Some(id(1))));
    assert_eq!(*taken.delivery, scene.delivery(Telegram, 5, 1).await);
    let statistics = scene.alert(1).await.statistics;
    assert_eq!((statistics.delivery_count.0, statistics.failure_count.0), (0, 0), "told, though not on its own");
    assert!(!scene.trade(1, 1).await.alertcast.unreached);
}

pub async fn an_exit_that_is_tried_again_still_tells_its_entry(harness: &dyn StoreHarness) {
    let scene = with_exit(harness, TELEGRAM).await;
    scene.attempt(Telegram, id(5), retry(20), 7).await;
    assert_eq!(scene.delivery(Telegram, 5, 1).await.combines, Some(id(1)));
    let taken = scene.take(Telegram, &[id(5)], 20).await.remove(0);
    assert_eq!(taken.delivery.combines, Some(id(1)));
    assert_eq!(taken.entry.as_deref(), Some(&scene.delivery(Telegram, 1, 1).await));
    assert_eq!(taken.delivery.attempts.0, 2);
}

pub async fn an_exit_waits_a_second_for_an_entry_that_is_being_sent(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, TELEGRAM).await;
    scene.take(Telegram, &[id(1)], 3).await;
    scene.close(5, 1, 1..=1, TELEGRAM).await;
    let result = scene.store.take(&scene.bot, &[id(5)], at(8)).await.unwrap();
    assert_eq!((result.taken.len(), result.settle.len()), (0, 0));
    let exit = scene.delivery(Telegram, 5, 1).await;
    assert_eq!((exit.state, exit.due_at, exit.attempts.0, exit.epoch), (S::Pending, at(9), 0, None));
    assert_eq!(scene.delivery(Telegram, 1, 1).await.state, S::Sending);
}

pub async fn an_exit_replies_to_the_entry_that_was_sent(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, TELEGRAM).await;
    scene.attempt(Telegram, id(1), sent_outcome(4_711), 3).await;
    scene.close(5, 1, 1..=1, TELEGRAM).await;
    let taken = scene.take(Telegram, &[id(5)], 7).await.remove(0);
    assert_eq!(taken.delivery.combines, None);
    let entry = taken.entry.unwrap();
    assert_eq!((entry.id, entry.state, entry.message_id), (id(1), S::Sent, Some(4_711)));
}

pub async fn an_exit_goes_alone_where_only_another_channels_entry_arrived(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, BOTH).await;
    scene.attempt(Email, delivery_id(Email, 1, 1), sent_outcome(0), 3).await;
    scene.attempt(Telegram, id(1), dead(), 3).await;
    scene.close(5, 1, 1..=1, BOTH).await;
    let taken = scene.take(Telegram, &[id(5)], 7).await.remove(0);
    assert_eq!((taken.delivery.state, taken.delivery.combines), (S::Sending, None));
    assert!(taken.entry.is_none_or(|entry| entry.state == S::Dead));
}

pub async fn an_exit_finds_its_entry_past_the_deadline_and_ends_it(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, BOTH).await;
    scene.attempt(Email, delivery_id(Email, 1, 1), sent_outcome(0), 3).await;
    scene.close(5, 1, 1..=1, BOTH).await;
    let result = scene.store.take(&scene.bot, &[id(5)], at(3_700)).await.unwrap();
    assert_eq!(result.settle, [alert_id(1)]);
    assert_eq!(result.taken.len(), 1, "the e-mail arrived");
    assert_eq!(result.taken[0].delivery.combines, None);
    let entry = scene.delivery(Telegram, 1, 1).await;
    assert_eq!((entry.state, entry.ended_at, entry.superseded_by), (S::Expired, Some(at(3_700)), None));
    let statistics = scene.alert(1).await.statistics;
    assert_eq!((statistics.delivery_count.0, statistics.failure_count.0), (1, 1));
    assert!(!scene.trade(1, 1).await.alertcast.unreached);
}

pub async fn an_exit_whose_entry_expires_unread_is_dropped(harness: &dyn StoreHarness) {
    let scene = with_exit(harness, TELEGRAM).await;
    let mut result = scene.store.take(&scene.bot, &[id(5)], at(3_700)).await.unwrap();
    assert_eq!(result.taken, []);
    result.settle.sort();
    result.settle.dedup();
    assert_eq!(result.settle, [alert_id(1), alert_id(5)]);
    assert_eq!(scene.delivery(Telegram, 1, 1).await.state, S::Expired);
    let exit = scene.delivery(Telegram, 5, 1).await;
    assert_eq!((exit.state, exit.ended_at), (S::Dropped, Some(at(3_700))));
    assert!(scene.trade(1, 1).await.alertcast.unreached);
    let usage = scene.subscription(1).await.usage;
    assert_eq!(usage.trades_opened.0, 0);
    assert_eq!(scene.alert(1).await.statistics.failure_count.0, 1);
    let of_exit = scene.alert(5).await.statistics;
    assert_eq!((of_exit.delivery_count.0, of_exit.failure_count.0), (0, 0), "dropped is neither");
}

pub async fn an_exit_of_an_unreached_trade_is_dropped(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, TELEGRAM).await;
    scene.take(Telegram, &[id(1)], 3).await;
    scene.close(5, 1, 1..=1, TELEGRAM).await;
    scene.record(Telegram, id(1), dead(), 6).await;
    let result = scene.store.take(&scene.bot, &[id(5)], at(7)).await.unwrap();
    assert_eq!((result.taken.len(), result.settle), (0, vec![alert_id(5)]));
    assert_eq!(scene.delivery(Telegram, 5, 1).await.state, S::Dropped);
}

pub async fn an_exit_taken_with_its_entry_meets_it_in_the_order_given(harness: &dyn StoreHarness) {
    let scene = with_exit(harness, TELEGRAM).await;
    scene.open(2, 2..=2, TELEGRAM).await;
    scene.close(6, 2, 2..=2, TELEGRAM).await;
    let two = |by| delivery_id(Telegram, by, 2);
    let taken = scene.take(Telegram, &[id(5), id(1), two(2), two(6)], 8).await;
    let ids: Vec<_> = taken.iter().map(|taken| taken.delivery.id).collect();
    assert_eq!(ids, [id(5), two(6)]);
    assert_eq!(scene.delivery(Telegram, 1, 1).await.state, S::Superseded);
    assert_eq!(scene.delivery(Telegram, 2, 2).await.state, S::Superseded, "it leaves its place to its exit");
}

pub async fn an_exit_without_an_entry_to_meet_is_taken(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let mut without = exit(Telegram, 5, 1, 1, 1);
    without.entry_delivery = None;
    // Its entry was removed by a purge.
    let orphan = exit(Telegram, 6, 1, 1, 2);
    scene.put_deliveries(&[without, orphan]).await;
    let taken = scene.take(Telegram, &[id(5), id(6)], 7).await;
    assert_eq!(taken.len(), 2);
    assert!(taken.iter().all(|taken| taken.entry.is_none() && taken.delivery.combines.is_none()));
}

pub async fn of_an_exit_and_its_entry_taken_at_once_the_entry_is_told_once(harness: &dyn StoreHarness) {
    const USERS: u32 = 12;
    let scene = TestScene::new(harness, USERS).await;
    scene.open(1, 1..=USERS, TELEGRAM).await;
    scene.close(5, 1, 1..=USERS, TELEGRAM).await;
    let doors = doors(harness, &scene.store, 2).await;
    let takers = (0..2 * USERS).zip(doors.into_iter().cycle()).map(|(n, store)| {
        let delivery = delivery_id(Telegram, if n % 2 == 0 { 1 } else { 5 }, n / 2 + 1);
        let fence = scene.bot.clone();
        async move { store.take(&fence, &[delivery], at(7)).await.unwrap() }
    });
    at_once(takers).await;
    for user in 1..=USERS {
        let entry = scene.delivery(Telegram, 1, user).await;
        let exit = scene.delivery(Telegram, 5, user).await;
        let together = (entry.state, exit.state, exit.combines.is_some());
        assert_eq!(together, (S::Superseded, S::Sending, true));
    }
}

pub async fn an_entry_told_by_its_exit_is_not_taken_any_more(harness: &dyn StoreHarness) {
    let scene = with_exit(harness, TELEGRAM).await;
    scene.attempt(Telegram, id(5), sent_outcome(1), 7).await;
    assert_eq!(scene.take(Telegram, &[id(1)], 8).await, []);
    let before = scene.dump().await;
    scene.record(Telegram, id(1), alertcast_core::fixtures::expired_outcome(), 9).await;
    before.assert_same(&scene.dump().await);
}
