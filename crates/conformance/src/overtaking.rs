//! Rules of taking: nobody reads an entry after its end. Whoever tells of an end takes over what still waits of the trade,
//! and an entry whose trade has ended is not sent alone.

use super::StoreHarness;
use super::dump::one;
use super::scene::{TELEGRAM, TestScene, finish_commit, replacing_commit};
use alertcast_core::alert::intent::PositionChange;
use alertcast_core::delivery::Channel::{self, Email, Telegram};
use alertcast_core::delivery::{Delivery, DeliveryState as S, MessageFacts, MessageKind, OVER};
use alertcast_core::fixtures::*;
use alertcast_core::fixtures::{doubted_outcome, expired_outcome, retry, sent_outcome};
use alertcast_core::id::DeliveryId;
use alertcast_core::money::Count;
use alertcast_core::store::{AttemptOutcome, Collection};

/// The Telegram message of alert `by` to user 1.
fn id(by: u32) -> DeliveryId {
    delivery_id(Telegram, by, 1)
}

/// Alert 1 opened a trade for user 1, and alert 2 replaced it, by this channel.
async fn scene_replaced(harness: &dyn StoreHarness, channel: Channel) -> TestScene {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, &[channel]).await;
    scene.replace(2, 1, 1..=1, &[channel]).await;
    scene
}

/// The same, and alert 3 replaced that, and alert 5 closed it.
async fn chain(harness: &dyn StoreHarness) -> TestScene {
    let scene = scene_replaced(harness, Telegram).await;
    scene.replace(3, 2, 1..=1, TELEGRAM).await;
    scene.close(5, 3, 1..=1, TELEGRAM).await;
    scene
}

/// The trades that a message tells of beside its own, by number.
fn also(delivery: &Delivery) -> Vec<i64> {
    delivery.also_ended.iter().map(|also| also.closed.number.0).collect()
}

/// Takes one, which must not be taken: where it stands then.
async fn not_taken(scene: &TestScene, channel: Channel, by: u32, seconds: i64) -> Delivery {
    assert_eq!(scene.take(channel, &[delivery_id(channel, by, 1)], seconds).await, []);
    scene.delivery(channel, by, 1).await
}

async fn takes_the_place(harness: &dyn StoreHarness, channel: Channel) {
    let scene = scene_replaced(harness, channel).await;
    let taken = scene.take(channel, &[delivery_id(channel, 2, 1)], 4).await.remove(0);
    assert_eq!((taken.delivery.state, taken.delivery.old_unknown), (S::Sending, true));
    assert_eq!(*taken.delivery, scene.delivery(channel, 2, 1).await, "as it is kept");
    let entry = scene.delivery(channel, 1, 1).await;
    assert_eq!((entry.state, entry.last_error.as_deref(), entry.ended_at), (S::Dropped, Some(OVER), Some(at(4))));
    assert_eq!(entry.superseded_by, Some(delivery_id(channel, 2, 1)));
    assert!(scene.trade(1, 1).await.alertcast.unreached);
    assert!(!scene.trade(2, 1).await.alertcast.unreached);
    assert_eq!(scene.subscription(1).await.usage.trades_opened.0, 1, "nobody heard of the first");
    assert_eq!(scene.take(channel, &[delivery_id(channel, 1, 1)], 5).await, []);
}

pub async fn a_replacement_takes_the_place_of_an_entry_that_waits(harness: &dyn StoreHarness) {
    takes_the_place(harness, Telegram).await;
}

pub async fn an_email_that_waits_gives_way_to_its_replacement(harness: &dyn StoreHarness) {
    takes_the_place(harness, Email).await;
}

pub async fn a_replacement_tells_the_end_of_an_entry_in_doubt(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, id(1), doubted_outcome(60), 3).await;
    scene.replace(2, 1, 1..=1, TELEGRAM).await;
    let taken = scene.take(Telegram, &[id(2)], 4).await.remove(0);
    assert!(!taken.delivery.old_unknown, "it may have been read");
    assert_eq!(scene.delivery(Telegram, 1, 1).await.state, S::Dropped);
    assert!(!scene.trade(1, 1).await.alertcast.unreached);
}

pub async fn a_replacement_waits_for_an_entry_that_is_being_sent(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.take(Telegram, &[id(1)], 3).await;
    scene.replace(2, 1, 1..=1, TELEGRAM).await;
    let waiting = not_taken(&scene, Telegram, 2, 4).await;
    assert_eq!((waiting.state, waiting.due_at, waiting.attempts.0), (S::Pending, at(5), 0));
    scene.record(Telegram, id(1), sent_outcome(1), 5).await;
    let taken = scene.take(Telegram, &[id(2)], 5).await.remove(0);
    assert!(!taken.delivery.old_unknown);
}

pub async fn an_entry_whose_trade_has_ended_leaves_its_place_to_the_exit(harness: &dyn StoreHarness) {
    for_each_channel(harness).await;
}

async fn for_each_channel(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, &[Telegram, Email]).await;
    scene.close(5, 1, 1..=1, &[Telegram, Email]).await;
    for channel in [Telegram, Email] {
        let entry = not_taken(&scene, channel, 1, 7).await;
        let exit = scene.delivery(channel, 5, 1).await;
        assert_eq!((entry.state, entry.superseded_by), (S::Superseded, Some(exit.id)), "{channel}");
        assert_eq!((exit.state, exit.combines), (S::Pending, Some(entry.id)), "{channel}");
        let taken = scene.take(channel, &[exit.id], 8).await.remove(0);
        assert_eq!(taken.entry.as_deref(), Some(&entry), "{channel}: it tells both");
    }
}

pub async fn an_entry_whose_trade_was_replaced_leaves_its_place_to_the_replacement(harness: &dyn StoreHarness) {
    let scene = scene_replaced(harness, Telegram).await;
    let before = scene.delivery(Telegram, 1, 1).await;
    assert_eq!(not_taken(&scene, Telegram, 1, 4).await.state, S::Dropped);
    let replacement = scene.delivery(Telegram, 2, 1).await;
    let place = |delivery: &Delivery| (delivery.queued_at, delivery.rotation);
    assert_eq!(place(&replacement), place(&before), "its place in the queue");
    assert!(scene.take(Telegram, &[id(2)], 4).await.remove(0).delivery.old_unknown);
}

pub async fn an_entry_whose_trade_ended_silently_is_left_out(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, &[Telegram, Email]).await;
    scene.close(5, 1, 1..=1, &[]).await;
    for channel in [Telegram, Email] {
        let entry = not_taken(&scene, channel, 1, 7).await;
        assert_eq!((entry.state, entry.last_error.as_deref()), (S::Dropped, Some(OVER)), "{channel}");
    }
    assert!(scene.trade(1, 1).await.alertcast.unreached);
}

pub async fn a_replacement_whose_trade_ended_silently_tells_of_the_old_one_alone(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, id(1), sent_outcome(1), 3).await;
    scene.replace(2, 1, 1..=1, TELEGRAM).await;
    scene.close(5, 2, 1..=1, &[]).await;
    let taken = scene.take(Telegram, &[id(2)], 7).await.remove(0);
    assert!(taken.delivery.entry_over);
    let lapsed = AttemptOutcome::Sent { message_id: Some(2), entry_lapsed: true, topic_gone: false };
    scene.record(Telegram, id(2), lapsed, 8).await;
    assert!(scene.trade(2, 1).await.alertcast.unreached);
}

pub async fn an_exit_takes_over_the_whole_chain_of_replacements(harness: &dyn StoreHarness) {
    let scene = chain(harness).await;
    let taken = scene.take(Telegram, &[id(5)], 7).await.remove(0);
    assert_eq!((taken.delivery.combines, also(&taken.delivery)), (Some(id(3)), vec![]));
    let mut states = Vec::new();
    for by in 1..=3 {
        states.push(scene.delivery(Telegram, by, 1).await.state);
    }
    assert_eq!(states, [S::Dropped, S::Dropped, S::Superseded]);
    assert_eq!(scene.take(Telegram, &[id(1), id(2), id(3)], 8).await, []);
}

pub async fn an_exit_tells_the_ends_that_nobody_told(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, id(1), sent_outcome(1), 3).await;
    scene.replace(2, 1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, id(2), doubted_outcome(60), 4).await;
    scene.replace(3, 2, 1..=1, TELEGRAM).await;
    scene.close(5, 3, 1..=1, TELEGRAM).await;
    let taken = scene.take(Telegram, &[id(5)], 7).await.remove(0);
    assert_eq!((taken.delivery.combines, also(&taken.delivery)), (Some(id(3)), vec![2, 1]));
    assert_eq!(*taken.delivery, scene.delivery(Telegram, 5, 1).await);
    // Tried again, it tells the same.
    scene.record(Telegram, id(5), retry(9), 8).await;
    let again = scene.take(Telegram, &[id(5)], 9).await.remove(0);
    assert_eq!((again.delivery.combines, also(&again.delivery)), (Some(id(3)), vec![2, 1]));
}

pub async fn a_chain_in_retry_keeps_what_it_has_to_tell(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, id(1), sent_outcome(1), 3).await;
    scene.replace(2, 1, 1..=1, TELEGRAM).await;
    scene.replace(3, 2, 1..=1, TELEGRAM).await;
    // The third takes the second over, and fails; then comes the exit.
    scene.attempt(Telegram, id(3), retry(60), 5).await;
    let third = scene.delivery(Telegram, 3, 1).await;
    assert_eq!((third.old_unknown, also(&third)), (true, vec![1]));
    scene.close(6, 3, 1..=1, TELEGRAM).await;
    let taken = scene.take(Telegram, &[id(6)], 8).await.remove(0);
    assert_eq!((taken.delivery.combines, also(&taken.delivery)), (Some(id(3)), vec![1]));
}

pub async fn what_an_entry_left_to_another_is_told_by_whoever_takes_that_over(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, id(1), sent_outcome(1), 3).await;
    scene.replace(2, 1, 1..=1, TELEGRAM).await;
    scene.replace(3, 2, 1..=1, TELEGRAM).await;
    assert_eq!(not_taken(&scene, Telegram, 2, 5).await.state, S::Dropped, "it left its place to the third");
    assert_eq!(also(&scene.delivery(Telegram, 3, 1).await), [1]);
    // The fourth comes before the third was taken.
    scene.replace(4, 3, 1..=1, TELEGRAM).await;
    let taken = scene.take(Telegram, &[id(4)], 7).await.remove(0);
    assert_eq!((taken.delivery.old_unknown, also(&taken.delivery)), (true, vec![1]));
}

pub async fn a_replacement_of_what_nobody_heard_of_is_of_use_as_long_as_an_entry(harness: &dyn StoreHarness) {
    let scene = scene_replaced(harness, Telegram).await;
    scene.record(Telegram, id(1), expired_outcome(), 3).await;
    let late = not_taken(&scene, Telegram, 2, 4_000).await;
    assert_eq!(late.state, S::Expired);
    assert!(scene.trade(2, 1).await.alertcast.unreached);
}

pub async fn a_result_waits_for_whoever_tells_the_end_at_last(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, id(1), sent_outcome(1), 3).await;
    scene.accept(2, 1).await;
    let mut chunk = replacing_commit(&scene.work, 2, 1, 1, 1..=1, TELEGRAM);
    let told = chunk.plan.deliveries[0].clone();
    let edit = told.result(result_id(2, 1), trade_id(1, 1), id(1), closed_trade(), false).unwrap();
    chunk.plan.deliveries.push(edit);
    scene.store.commit(finish_commit(chunk, at(3))).await.unwrap();
    scene.replace(3, 2, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, id(3), retry(60), 5).await;
    scene.close(5, 3, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, id(5), retry(90), 8).await;
    assert_eq!(scene.take(Telegram, &[result_id(2, 1)], 9).await, []);
    let waiting: Delivery = one(&*scene.store, Collection::Deliveries, result_id(2, 1)).await;
    assert_eq!((waiting.state, waiting.due_at), (S::Pending, at(90)));
    scene.attempt(Telegram, id(5), sent_outcome(9), 90).await;
    assert_eq!(scene.take(Telegram, &[result_id(2, 1)], 91).await.len(), 1);
}

const fn partial(numbers: Vec<Count>) -> MessageFacts {
    MessageFacts::PartialExit { numbers, change: PositionChange::Reduced }
}

/// A notice by alert `by` about the trades that these alerts opened for user 1.
fn notice(by: u32, of: &[u32]) -> Delivery {
    Delivery {
        kind: MessageKind::Notice,
        trade_id: None,
        entry_delivery: None,
        about: of.iter().map(|by| trade_id(*by, 1)).collect(),
        facts: partial(of.iter().map(|by| Count(i64::from(*by))).collect()),
        ..exit(Telegram, by, 1, 1, 1)
    }
}

pub async fn a_notice_tells_of_open_trades_alone(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, id(1), sent_outcome(1), 3).await;
    scene.replace(2, 1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, id(2), sent_outcome(2), 3).await;
    scene.put_deliveries(&[notice(7, &[1, 2]), notice(8, &[1])]).await;
    let taken = scene.take(Telegram, &[id(7), id(8)], 9).await;
    let told: Vec<_> = taken.iter().map(|taken| (taken.delivery.id, taken.delivery.facts.clone())).collect();
    assert_eq!(told, [(id(7), partial(vec![Count(2)]))]);
    assert_eq!(scene.delivery(Telegram, 7, 1).await.about, [trade_id(2, 1)]);
    assert_eq!(scene.delivery(Telegram, 8, 1).await.state, S::Dropped);
}

pub async fn a_notice_waits_for_the_entry(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, id(1), retry(60), 3).await;
    scene.put_deliveries(&[notice(7, &[1])]).await;
    assert_eq!(not_taken(&scene, Telegram, 7, 9).await.due_at, at(60));
    scene.attempt(Telegram, id(1), expired_outcome(), 60).await;
    assert_eq!(not_taken(&scene, Telegram, 7, 61).await.state, S::Dropped, "nobody heard of the trade");
}

pub async fn an_unread_chain_counts_as_never_opened(harness: &dyn StoreHarness) {
    let scene = chain(harness).await;
    scene.attempt(Telegram, id(5), sent_outcome(9), 7).await;
    for (by, unreached) in [(1, true), (2, true), (3, false)] {
        assert_eq!(scene.trade(by, 1).await.alertcast.unreached, unreached, "{by}");
    }
    let usage = scene.subscription(1).await.usage;
    assert_eq!((usage.alerts_received.0, usage.trades_opened.0), (2, 1), "the last, told with its end");
    for alert in [1, 2, 3, 5] {
        let settled = scene.store.settle(alert_id(alert), at(20)).await.unwrap();
        assert_eq!(settled, alertcast_core::store::SettlingOutcome::Now, "{alert}");
    }
}
