//! Rules of [`Actions::resend`](alertcast_core::store::Actions::resend): what followed from a delivery's end is taken back, once.

use super::StoreHarness;
use super::actions::{record, refuses};
use super::scene::{BOTH, TELEGRAM, TestScene, at_once, doors, finish_commit, opening_commit, set};
use alertcast_core::delivery::Channel::{self, Email, Telegram};
use alertcast_core::delivery::{Delivery, DeliveryState as S, MessageKind};
use alertcast_core::fixtures::*;
use alertcast_core::fixtures::{dead, retry, sent_outcome};
use alertcast_core::id::DeliveryId;
use alertcast_core::store::{
    AttemptOutcome, Collection, ResendOutcome, ResendRequest, SettlingOutcome, StoreError, StoreResult,
};

/// A delivery, to be sent again at second 50, until second 5,000.
fn again(delivery: DeliveryId) -> ResendRequest {
    ResendRequest {
        delivery,
        due_at: at(50),
        deadline_at: at(5_000),
        entry_deadline_at: None,
        now: at(50),
        also: record(number(delivery.0)),
    }
}

async fn resend(scene: &TestScene, channel: Channel, by: u32, user: u32) -> Delivery {
    match scene.store.resend(again(delivery_id(channel, by, user))).await.unwrap() {
        ResendOutcome::Queued(delivery) => *delivery,
        refusal => panic!("{refusal:?}"),
    }
}

/// User 1's messages and trades.
async fn read_counts(scene: &TestScene) -> (i64, i64) {
    let usage = scene.subscription(1).await.usage;
    (usage.alerts_received.0, usage.trades_opened.0)
}

/// Whether the trade that alert 1 opened for user 1 is marked, and its revision.
async fn mark(scene: &TestScene) -> (bool, i64) {
    let trade = scene.trade(1, 1).await;
    (trade.alertcast.unreached, trade.alertcast.rev.0)
}

pub async fn a_dead_delivery_is_sent_again(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=2, TELEGRAM).await;
    let id = delivery_id(Telegram, 1, 1);
    scene.attempt(Telegram, id, retry(4), 3).await;
    scene.attempt(Telegram, id, dead(), 5).await;
    assert_eq!((mark(&scene).await, read_counts(&scene).await), ((true, 2), (0, 0)));
    assert_eq!(scene.alert(1).await.statistics.failure_count.0, 1);
    let queued = resend(&scene, Telegram, 1, 1).await;
    assert_eq!(queued, scene.delivery(Telegram, 1, 1).await);
    assert_eq!((queued.state, queued.due_at, queued.deadline_at), (S::Pending, at(50), at(5_000)));
    assert_eq!((queued.attempts.0, queued.possible_repeat, queued.ended_at), (2, false, None));
    assert_eq!((mark(&scene).await, read_counts(&scene).await), ((false, 3), (1, 1)));
    assert_eq!(scene.alert(1).await.statistics.failure_count.0, 0);
    let due = scene.store.due(&lane(Channel::Telegram), at(50), 10).await.unwrap();
    assert!(due.iter().any(|due| due.id == id));
    scene.attempt(Telegram, id, sent_outcome(7), 51).await;
    let delivery = scene.delivery(Telegram, 1, 1).await;
    assert_eq!((delivery.state, delivery.attempts.0), (S::Sent, 3));
    let statistics = scene.alert(1).await.statistics;
    assert_eq!((statistics.delivery_count.0, statistics.failure_count.0), (1, 0));
    assert_eq!((mark(&scene).await, read_counts(&scene).await), ((false, 3), (1, 1)));
}

pub async fn an_expired_replacement_is_sent_again_with_new_deadlines(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.accept(1, 1).await;
    let mut chunk = opening_commit(&scene.work, 1, 1, 1..=1, TELEGRAM);
    chunk.plan.deliveries[0].kind = MessageKind::Replacement;
    chunk.plan.deliveries[0].entry_deadline_at = Some(at(20));
    scene.store.commit(finish_commit(chunk, at(2))).await.unwrap();
    scene.record(Telegram, delivery_id(Telegram, 1, 1), alertcast_core::fixtures::expired_outcome(), 30).await;
    let act = ResendRequest { entry_deadline_at: Some(at(80)), ..again(delivery_id(Telegram, 1, 1)) };
    let ResendOutcome::Queued(queued) = scene.store.resend(act).await.unwrap() else { panic!("refused") };
    assert_eq!((queued.entry_deadline_at, queued.deadline_at), (Some(at(80)), at(5_000)));
    assert_eq!((mark(&scene).await, read_counts(&scene).await), ((false, 3), (1, 1)));
}

pub async fn a_delivery_that_has_not_failed_is_not_sent_again(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 6).await;
    scene.open(1, 1..=6, TELEGRAM).await;
    let ids: Vec<DeliveryId> = (1..=6).map(|user| delivery_id(Telegram, 1, user)).collect();
    scene.take(Telegram, &ids[1..2], 3).await;
    scene.attempt(Telegram, ids[2], sent_outcome(1), 3).await;
    scene.record(Telegram, ids[3], AttemptOutcome::Dropped { reason: "suspended".to_owned() }, 3).await;
    let hold = set(Collection::Deliveries, ids[4], bson::doc! { "state": "held" });
    scene.store.write(vec![hold]).await.unwrap();
    scene.close(5, 1, 6..=6, TELEGRAM).await;
    scene.take(Telegram, &[delivery_id(Telegram, 5, 6)], 7).await;
    let states = [S::Pending, S::Sending, S::Sent, S::Dropped, S::Held, S::Superseded];
    for (user, state) in (1..).zip(states) {
        assert_eq!(scene.delivery(Telegram, 1, user).await.state, state);
        refuses(&scene, again(delivery_id(Telegram, 1, user)), Err(StoreError::Conflict)).await;
    }
    refuses(&scene, again(delivery_id(Telegram, 1, 99)), Err(StoreError::Conflict)).await;
}

pub async fn an_entry_whose_trade_has_ended_is_not_sent_again(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, delivery_id(Telegram, 1, 1), dead(), 3).await;
    let mut end = super::scene::closing_commit(&scene.work, 5, 1, 1, 1..=1, &[]);
    end.plan.open_seen = Some((super::scene::span(&(1..=1)), vec![(trade_id(1, 1), 2)]));
    scene.accept(5, 1).await;
    scene.store.commit(finish_commit(end, at(6))).await.unwrap();
    refuses(&scene, again(delivery_id(Telegram, 1, 1)), Ok(ResendOutcome::TradeEnded)).await;
}

pub async fn an_exit_from_a_trade_never_entered_is_not_sent_again(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, BOTH).await;
    scene.attempt(Telegram, delivery_id(Telegram, 1, 1), dead(), 3).await;
    scene.take(Email, &[delivery_id(Email, 1, 1)], 3).await;
    scene.close(5, 1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, delivery_id(Telegram, 5, 1), dead(), 7).await;
    scene.record(Email, delivery_id(Email, 1, 1), dead(), 8).await;
    assert!(mark(&scene).await.0);
    refuses(&scene, again(delivery_id(Telegram, 5, 1)), Ok(ResendOutcome::NeverEntered)).await;
}

pub async fn an_exit_that_tells_its_entry_is_sent_again_with_it(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.close(5, 1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, delivery_id(Telegram, 5, 1), dead(), 7).await;
    for by in [1, 5] {
        assert_eq!(scene.store.settle(alert_id(by), at(8)).await, Ok(SettlingOutcome::Now));
        assert!(!scene.alert(by).await.processing.matched_users[0].delivered);
    }
    assert_eq!((mark(&scene).await, read_counts(&scene).await), ((true, 3), (1, 0)));
    resend(&scene, Telegram, 5, 1).await;
    assert_eq!((mark(&scene).await, read_counts(&scene).await), ((false, 4), (2, 1)));
    assert_eq!(scene.alert(5).await.statistics.failure_count.0, 0);
    for by in [1, 5] {
        assert_eq!(scene.store.settle(alert_id(by), at(51)).await, Ok(SettlingOutcome::NotYet));
    }
    scene.attempt(Telegram, delivery_id(Telegram, 5, 1), sent_outcome(9), 52).await;
    for by in [1, 5] {
        assert_eq!(scene.store.settle(alert_id(by), at(53)).await, Ok(SettlingOutcome::Now));
        assert!(scene.alert(by).await.processing.matched_users[0].delivered);
    }
}

pub async fn a_mark_is_lifted_once_and_set_again_when_all_fail_again(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, BOTH).await;
    for channel in [Telegram, Email] {
        scene.attempt(channel, delivery_id(channel, 1, 1), dead(), 5).await;
    }
    assert_eq!((mark(&scene).await, read_counts(&scene).await), ((true, 2), (0, 0)));
    for (channel, n) in [(Telegram, 1), (Email, 2)] {
        let act = ResendRequest { also: record(n), ..again(delivery_id(channel, 1, 1)) };
        assert!(matches!(scene.store.resend(act).await, Ok(ResendOutcome::Queued(_))));
        assert_eq!((mark(&scene).await, read_counts(&scene).await), ((false, 3), (1, 1)));
    }
    assert_eq!(scene.alert(1).await.statistics.failure_count.0, 0);
    scene.attempt(Telegram, delivery_id(Telegram, 1, 1), dead(), 55).await;
    assert_eq!((mark(&scene).await, read_counts(&scene).await), ((false, 3), (1, 1)));
    scene.attempt(Email, delivery_id(Email, 1, 1), retry(57), 56).await;
    scene.record(Email, delivery_id(Email, 1, 1), alertcast_core::fixtures::expired_outcome(), 58).await;
    assert_eq!((mark(&scene).await, read_counts(&scene).await), ((true, 4), (0, 0)));
    assert_eq!(scene.alert(1).await.statistics.failure_count.0, 2);
}

pub async fn an_alert_is_settled_anew_once_what_was_sent_again_has_ended(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=2, TELEGRAM).await;
    scene.attempt(Telegram, delivery_id(Telegram, 1, 1), dead(), 5).await;
    scene.attempt(Telegram, delivery_id(Telegram, 1, 2), sent_outcome(2), 5).await;
    assert_eq!(scene.store.settle(alert_id(1), at(6)).await, Ok(SettlingOutcome::Now));
    let settled = scene.alert(1).await.processing;
    assert!(!settled.matched_users[0].delivered && settled.matched_users[0].error.is_some());
    resend(&scene, Telegram, 1, 1).await;
    assert_eq!(scene.alert(1).await.alertcast.settled_at, None);
    assert_eq!(scene.store.unsettled(None, 10).await, Ok(vec![alert_id(1)]));
    assert_eq!(scene.store.settle(alert_id(1), at(51)).await, Ok(SettlingOutcome::NotYet));
    scene.attempt(Telegram, delivery_id(Telegram, 1, 1), sent_outcome(3), 60).await;
    assert_eq!(scene.store.settle(alert_id(1), at(61)).await, Ok(SettlingOutcome::Now));
    let again = scene.alert(1).await.processing;
    let first = &again.matched_users[0];
    assert_eq!((first.delivered, first.delivered_at, &first.error), (true, Some(at(60)), &None));
    assert_eq!(again.matched_users[1], settled.matched_users[1]);
    assert_eq!(again.trade_actions, settled.trade_actions);
}

pub async fn what_was_delivered_stays_so_when_it_is_not_kept_any_more(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=2, TELEGRAM).await;
    scene.attempt(Telegram, delivery_id(Telegram, 1, 2), sent_outcome(2), 5).await;
    scene.attempt(Telegram, delivery_id(Telegram, 1, 1), dead(), 10).await;
    assert_eq!(scene.store.settle(alert_id(1), at(11)).await, Ok(SettlingOutcome::Now));
    let settled = scene.alert(1).await.processing.matched_users;
    scene.store.purge(at(8), at(0), at(12), 100).await.unwrap();
    resend(&scene, Telegram, 1, 1).await;
    scene.attempt(Telegram, delivery_id(Telegram, 1, 1), sent_outcome(3), 60).await;
    assert_eq!(scene.store.settle(alert_id(1), at(61)).await, Ok(SettlingOutcome::Now));
    let again = scene.alert(1).await.processing.matched_users;
    assert_eq!((again[0].delivered, &again[1]), (true, &settled[1]));
}

pub async fn of_two_resends_at_once_one_succeeds(harness: &dyn StoreHarness) {
    const USERS: u32 = 6;
    let scene = TestScene::new(harness, USERS).await;
    scene.open(1, 1..=USERS, TELEGRAM).await;
    let doors = doors(harness, &scene.store, 2).await;
    for user in 1..=USERS {
        let id = delivery_id(Telegram, 1, user);
        scene.attempt(Telegram, id, dead(), 5).await;
        let acts = (1..=2).zip(doors.clone()).map(|(n, store)| {
            let act = ResendRequest { also: record(10 * user + n), ..again(id) };
            async move { store.resend(act).await.map(|resent| matches!(resent, ResendOutcome::Queued(_))) }
        });
        let mut answers = at_once(acts).await;
        answers.sort_by_key(StoreResult::is_err);
        assert_eq!(answers, [Ok(true), Err(StoreError::Conflict)]);
        assert_eq!(scene.subscription(user).await.usage.trades_opened.0, 1, "counted again once");
        assert_eq!(scene.trade(1, user).await.alertcast.rev.0, 3);
    }
    assert_eq!(scene.alert(1).await.statistics.failure_count.0, 0);
}

/// One announcement is sent again while the other one dies: whichever comes first, the entry may still arrive.
pub async fn a_trade_is_not_unreached_while_one_announcement_is_sent_again(harness: &dyn StoreHarness) {
    const USERS: u32 = 8;
    let scene = TestScene::new(harness, USERS).await;
    scene.open(1, 1..=USERS, BOTH).await;
    let doors = doors(harness, &scene.store, 2).await;
    for user in 1..=USERS {
        let [telegram, email] = [Telegram, Email].map(|channel| delivery_id(channel, 1, user));
        scene.attempt(Telegram, telegram, dead(), 5).await;
        scene.take(Email, &[email], 5).await;
        let (other, again) = (doors[1].clone(), again(telegram));
        let resend = tokio::spawn(async move { other.resend(again).await });
        scene.record(Email, email, dead(), 50).await;
        assert!(matches!(resend.await.unwrap(), Ok(ResendOutcome::Queued(_))));
        let trade = scene.trade(1, user).await;
        assert!(!trade.alertcast.unreached, "user {user}: it may still arrive");
        assert_eq!(scene.subscription(user).await.usage.trades_opened.0, 1);
        scene.attempt(Telegram, telegram, dead(), 60).await;
        assert!(scene.trade(1, user).await.alertcast.unreached);
        assert_eq!(scene.subscription(user).await.usage.trades_opened.0, 0);
    }
}

pub async fn an_alert_is_not_settled_over_a_resend(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let other = harness.beside(&scene.store).await;
    for by in 1..=12 {
        scene.accept(by, 1).await;
        let mut chunk = opening_commit(&scene.work, by, 1, 1..=1, TELEGRAM);
        chunk.plan.open_seen = None;
        scene.store.commit(finish_commit(chunk, at(20))).await.unwrap();
        let id = delivery_id(Telegram, by, 1);
        scene.attempt(Telegram, id, dead(), 21).await;
        let (store, act) = (other.clone(), ResendRequest { also: record(by), ..again(id) });
        let settle = tokio::spawn(async move { store.settle(alert_id(by), at(22)).await });
        assert!(matches!(scene.store.resend(act).await, Ok(ResendOutcome::Queued(_))));
        settle.await.unwrap().unwrap();
        assert_eq!(scene.alert(by).await.alertcast.settled_at, None, "alert {by}: one of its deliveries is open");
        scene.attempt(Telegram, id, sent_outcome(1), 52).await;
        assert_eq!(scene.store.settle(alert_id(by), at(53)).await, Ok(SettlingOutcome::Now));
        assert!(scene.alert(by).await.processing.matched_users[0].delivered);
    }
}
