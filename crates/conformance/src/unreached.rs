//! Rules about a trade whose entry reached the subscriber by no channel: wherever the last of its announcements ends
//! unsent, the trade is marked and the subscriber's counters are taken back, once.

use super::StoreHarness;
use super::dump::one;
use super::scene::{BOTH, TELEGRAM, TestScene, finish_commit, opening_commit};
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::delivery::Channel::{self, Email, Telegram};
use alertcast_core::delivery::{DeliveryState as S, MessageKind};
use alertcast_core::fixtures::*;
use alertcast_core::fixtures::{dead, doubted_outcome, expired_outcome, retry, sent_outcome};
use alertcast_core::id::DeliveryId;
use alertcast_core::money::Count;
use alertcast_core::preference::AlertPreference;
use alertcast_core::store::{AttemptOutcome, Collection};

/// User 1's announcement of the trade that alert 1 opened.
fn id(channel: Channel) -> DeliveryId {
    delivery_id(channel, 1, 1)
}

/// Alert 1 opened a trade for users 1 and 2, announced by these channels.
async fn scene_opened(harness: &dyn StoreHarness, channels: &[Channel]) -> TestScene {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=2, channels).await;
    scene
}

/// User 1's messages and trades: by the subscription, by the preference.
async fn read_counts(scene: &TestScene) -> [(i64, i64); 2] {
    let usage = scene.subscription(1).await.usage;
    let id = preference_id(1, 1);
    let preference: AlertPreference = one(&*scene.store, Collection::UserAlertPreferences, id).await;
    let statistics = preference.statistics;
    [(usage.alerts_received.0, usage.trades_opened.0), (statistics.alerts_received.0, statistics.trades_opened.0)]
}

/// Fails unless the trade of user 1 is marked, exactly once, and counts for nothing.
async fn is_unreached(scene: &TestScene) {
    let trade = scene.trade(1, 1).await;
    assert!(trade.alertcast.unreached, "marked");
    assert_eq!(trade.alertcast.rev, Count(2));
    assert_eq!(read_counts(scene).await, [(0, 0); 2]);
}

/// Fails unless the trade of user 1 stands as it was opened.
async fn stands(scene: &TestScene) {
    let trade = scene.trade(1, 1).await;
    assert!(!trade.alertcast.unreached);
    assert_eq!(trade.alertcast.rev, Count(1));
    assert_eq!(read_counts(scene).await, [(1, 1); 2]);
}

pub async fn a_trade_whose_only_entry_died_is_unreached(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, TELEGRAM).await;
    scene.attempt(Telegram, id(Telegram), dead(), 5).await;
    is_unreached(&scene).await;
    let other = scene.trade(1, 2).await;
    assert!(!other.alertcast.unreached, "another user's");
    assert_eq!(scene.subscription(2).await.usage.trades_opened.0, 1);
    // The configuration counts trades, whoever heard of them.
    let config: AlertConfiguration = one(&*scene.store, Collection::AlertConfigurations, config_id(1)).await;
    assert_eq!(config.statistics.total_trades.0, 2);
    let trade = scene.trade(1, 1).await;
    assert_eq!((trade.status, trade.updated_at), (alertcast_core::trade::document::TradeStatus::Open, at(5)));
}

pub async fn a_trade_whose_only_entry_expired_is_unreached(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, TELEGRAM).await;
    scene.record(Telegram, id(Telegram), expired_outcome(), 5).await;
    is_unreached(&scene).await;
}

pub async fn a_trade_whose_only_entry_was_dropped_is_unreached(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, TELEGRAM).await;
    let dropped = AttemptOutcome::Dropped { reason: "suspended".to_owned() };
    scene.record(Telegram, id(Telegram), dropped, 5).await;
    is_unreached(&scene).await;
}

pub async fn a_trade_whose_entry_ran_out_of_time_is_unreached(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, TELEGRAM).await;
    scene.store.expire_overdue(at(9_999), 100).await.unwrap();
    is_unreached(&scene).await;
}

pub async fn a_trade_is_reached_by_the_one_channel_that_delivered(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, BOTH).await;
    scene.attempt(Telegram, id(Telegram), dead(), 5).await;
    stands(&scene).await;
    scene.attempt(Email, id(Email), sent_outcome(0), 6).await;
    stands(&scene).await;
}

pub async fn a_trade_that_was_reached_first_stays_reached(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, BOTH).await;
    scene.attempt(Email, id(Email), sent_outcome(0), 5).await;
    scene.attempt(Telegram, id(Telegram), dead(), 6).await;
    stands(&scene).await;
}

pub async fn a_trade_is_unreached_when_the_last_channel_failed(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, BOTH).await;
    scene.attempt(Telegram, id(Telegram), dead(), 5).await;
    scene.attempt(Email, id(Email), retry(9), 6).await;
    stands(&scene).await;
    scene.record(Email, id(Email), expired_outcome(), 10).await;
    is_unreached(&scene).await;
}

pub async fn both_channels_failing_in_one_sweep_count_once(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, BOTH).await;
    scene.store.expire_overdue(at(9_999), 100).await.unwrap();
    is_unreached(&scene).await;
}

pub async fn a_trade_that_has_ended_is_marked_all_the_same(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, TELEGRAM).await;
    scene.take(Telegram, &[id(Telegram)], 3).await;
    scene.close(5, 1, 1..=1, &[]).await;
    scene.record(Telegram, id(Telegram), dead(), 7).await;
    let trade = scene.trade(1, 1).await;
    assert!(trade.alertcast.unreached);
    assert_eq!(trade.alertcast.rev, Count(3), "opened, closed, marked");
    // The exit's message is counted by the commit that closed it; what the entry's counted is gone.
    assert_eq!(read_counts(&scene).await, [(1, 0); 2]);
}

pub async fn an_exits_end_says_nothing_about_an_entry_that_arrived(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, TELEGRAM).await;
    scene.attempt(Telegram, id(Telegram), sent_outcome(1), 4).await;
    scene.close(5, 1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, delivery_id(Telegram, 5, 1), dead(), 7).await;
    assert!(!scene.trade(1, 1).await.alertcast.unreached);
    assert_eq!(read_counts(&scene).await, [(2, 1); 2]);
}

pub async fn an_entry_told_by_its_exit_arrives_with_it(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, TELEGRAM).await;
    scene.close(5, 1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, delivery_id(Telegram, 5, 1), sent_outcome(1), 7).await;
    assert!(!scene.trade(1, 1).await.alertcast.unreached);
    assert_eq!(read_counts(&scene).await, [(2, 1); 2]);
}

pub async fn an_entry_told_by_an_exit_that_fails_is_unsent(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    scene.open(1, 1..=3, TELEGRAM).await;
    scene.close(5, 1, 1..=3, TELEGRAM).await;
    let outcomes = [dead(), expired_outcome(), AttemptOutcome::Dropped { reason: "suspended".to_owned() }];
    for (user, outcome) in (1..).zip(outcomes) {
        let exit = delivery_id(Telegram, 5, user);
        scene.attempt(Telegram, exit, retry(9), 7).await;
        assert!(!scene.trade(1, user).await.alertcast.unreached, "it may still arrive");
        scene.attempt(Telegram, exit, outcome.clone(), 9).await;
        assert!(scene.trade(1, user).await.alertcast.unreached, "{outcome:?}");
        let usage = scene.subscription(user).await.usage;
        assert_eq!((usage.alerts_received.0, usage.trades_opened.0), (1, 0), "{outcome:?}");
    }
}

pub async fn an_entry_told_by_an_exit_past_its_deadline_is_unsent(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, TELEGRAM).await;
    scene.close(5, 1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, delivery_id(Telegram, 5, 1), retry(9), 7).await;
    let (mut settle, _) = scene.store.expire_overdue(at(200_000), 100).await.unwrap();
    settle.sort();
    settle.dedup();
    assert_eq!(settle, [alert_id(1), alert_id(5)]);
    assert_eq!(scene.delivery(Telegram, 5, 1).await.state, S::Dead);
    assert!(scene.trade(1, 1).await.alertcast.unreached);
}

pub async fn an_exit_on_its_way_keeps_the_trade_from_being_unreached(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, BOTH).await;
    scene.take(Email, &[id(Email)], 3).await;
    scene.close(5, 1, 1..=1, BOTH).await;
    scene.take(Telegram, &[delivery_id(Telegram, 5, 1)], 7).await;
    scene.record(Email, id(Email), dead(), 8).await;
    assert!(!scene.trade(1, 1).await.alertcast.unreached, "the Telegram entry goes with its exit");
    scene.record(Telegram, delivery_id(Telegram, 5, 1), dead(), 9).await;
    assert!(scene.trade(1, 1).await.alertcast.unreached);
    assert_eq!(scene.take(Email, &[delivery_id(Email, 5, 1)], 10).await, [], "its exit is dropped");
    assert_eq!(scene.delivery(Email, 5, 1).await.state, S::Dropped);
}

pub async fn an_exit_left_out_with_its_dead_entry_does_not_count(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, BOTH).await;
    for channel in [Telegram, Email] {
        scene.take(channel, &[id(channel)], 3).await;
    }
    scene.close(5, 1, 1..=1, BOTH).await;
    assert_eq!(read_counts(&scene).await, [(2, 1); 2]);
    for channel in [Telegram, Email] {
        scene.record(channel, id(channel), dead(), 8).await;
    }
    assert_eq!(read_counts(&scene).await, [(1, 0); 2]);
    for (channel, left) in [(Telegram, 1), (Email, 0), (Email, 0)] {
        assert_eq!(scene.take(channel, &[delivery_id(channel, 5, 1)], 10).await, []);
        assert_eq!(read_counts(&scene).await, [(left, 0); 2], "{channel}: with the last of its messages");
    }
}

/// However a delivery may end unsent.
fn unsent_ends() -> [AttemptOutcome; 3] {
    [dead(), expired_outcome(), AttemptOutcome::Dropped { reason: "suspended".to_owned() }]
}

/// The trades of all these users count, and their exits go out.
async fn is_owed_its_exit(scene: &TestScene, channel: Channel, users: u32) {
    for user in 1..=users {
        assert!(!scene.trade(1, user).await.alertcast.unreached, "{user}");
        assert_eq!(scene.subscription(user).await.usage.trades_opened.0, 1, "{user}");
    }
    scene.close(5, 1, 1..=users, &[channel]).await;
    let exits: Vec<_> = (1..=users).map(|user| delivery_id(channel, 5, user)).collect();
    let taken = scene.take(channel, &exits, 10_000).await;
    assert_eq!(taken.len(), exits.len(), "the exits go out");
}

/// Each user's entry is in doubt, and ends in another way; the last one's by the sweep.
async fn in_doubt(harness: &dyn StoreHarness, channel: Channel) {
    let scene = TestScene::new(harness, 4).await;
    scene.open(1, 1..=4, &[channel]).await;
    for (user, end) in (1..).zip(unsent_ends()) {
        let entry = delivery_id(channel, 1, user);
        scene.attempt(channel, entry, doubted_outcome(6), 5).await;
        scene.attempt(channel, entry, end, 6).await;
    }
    scene.attempt(channel, delivery_id(channel, 1, 4), doubted_outcome(6), 5).await;
    scene.store.expire_overdue(at(9_999), 100).await.unwrap();
    assert_eq!(scene.delivery(channel, 1, 4).await.state, S::Expired);
    is_owed_its_exit(&scene, channel, 4).await;
}

pub async fn an_entry_in_doubt_counts_as_arrived_however_it_ends(harness: &dyn StoreHarness) {
    in_doubt(harness, Telegram).await;
}

pub async fn an_email_in_doubt_counts_as_arrived_however_it_ends(harness: &dyn StoreHarness) {
    in_doubt(harness, Email).await;
}

pub async fn an_entry_that_was_being_sent_at_a_crash_counts_as_arrived(harness: &dyn StoreHarness) {
    let mut scene = scene_opened(harness, TELEGRAM).await;
    scene.take(Telegram, &[id(Telegram), delivery_id(Telegram, 1, 2)], 3).await;
    let seen = scene.store.leases(BOT).await.unwrap().remove(0);
    scene.bot = scene.store.take_lease(BOT, "next", Some(&seen)).await.unwrap().unwrap().fence();
    assert_eq!(scene.store.recover(&scene.bot, at(9_000)).await, Ok(2));
    scene.store.expire_overdue(at(9_999), 100).await.unwrap();
    assert_eq!(scene.delivery(Telegram, 1, 1).await.state, S::Expired);
    is_owed_its_exit(&scene, Telegram, 2).await;
}

pub async fn an_entry_in_doubt_that_its_exit_finds_past_the_deadline_counts_as_arrived(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, TELEGRAM).await;
    scene.attempt(Telegram, id(Telegram), doubted_outcome(6), 5).await;
    scene.close(5, 1, 1..=1, TELEGRAM).await;
    let taken = scene.take(Telegram, &[delivery_id(Telegram, 5, 1)], 9_999).await;
    assert_eq!(taken.len(), 1, "the exit goes out");
    assert_eq!(scene.delivery(Telegram, 1, 1).await.state, S::Expired);
    assert!(!scene.trade(1, 1).await.alertcast.unreached);
}

pub async fn an_entry_told_by_an_exit_in_doubt_counts_as_arrived(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    scene.open(1, 1..=3, TELEGRAM).await;
    scene.close(5, 1, 1..=3, TELEGRAM).await;
    for (user, end) in (1..).zip(unsent_ends()) {
        let exit = delivery_id(Telegram, 5, user);
        scene.attempt(Telegram, exit, doubted_outcome(9), 7).await;
        scene.attempt(Telegram, exit, end.clone(), 9).await;
        assert!(!scene.trade(1, user).await.alertcast.unreached, "{end:?}");
        let usage = scene.subscription(user).await.usage;
        assert_eq!((usage.alerts_received.0, usage.trades_opened.0), (2, 1), "{end:?}");
    }
}

pub async fn a_replacement_in_doubt_counts_as_arrived_though_its_next_copy_leaves_the_entry_out(
    harness: &dyn StoreHarness,
) {
    let scene = scene_replaced(harness, TELEGRAM).await;
    scene.attempt(Telegram, delivery_id(Telegram, 9, 1), doubted_outcome(20), 11).await;
    let late = AttemptOutcome::Sent { message_id: Some(8), entry_lapsed: true, topic_gone: false };
    scene.attempt(Telegram, delivery_id(Telegram, 9, 1), late, 4_000).await;
    assert!(!scene.trade(9, 1).await.alertcast.unreached);
    assert_eq!(read_counts(&scene).await, [(1, 1); 2]);
}

pub async fn one_channel_in_doubt_is_enough(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, BOTH).await;
    scene.attempt(Telegram, id(Telegram), doubted_outcome(6), 5).await;
    scene.attempt(Telegram, id(Telegram), expired_outcome(), 6).await;
    scene.attempt(Email, id(Email), dead(), 7).await;
    stands(&scene).await;
}

pub async fn an_entry_in_doubt_that_is_sent_again_in_vain_still_counts(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, TELEGRAM).await;
    scene.attempt(Telegram, id(Telegram), doubted_outcome(6), 5).await;
    scene.attempt(Telegram, id(Telegram), expired_outcome(), 6).await;
    let again = alertcast_core::store::ResendRequest {
        delivery: id(Telegram),
        due_at: at(50),
        deadline_at: at(5_000),
        entry_deadline_at: None,
        now: at(50),
        also: Vec::new(),
    };
    scene.store.resend(again).await.unwrap();
    scene.attempt(Telegram, id(Telegram), dead(), 51).await;
    stands(&scene).await;
}

/// A replacement that alert 9 sends to user 1 in the place of the trade that alert 1 opened.
async fn scene_replaced(harness: &dyn StoreHarness, channels: &[Channel]) -> TestScene {
    let scene = TestScene::new(harness, 1).await;
    scene.accept(9, 1).await;
    let mut chunk = opening_commit(&scene.work, 9, 1, 1..=1, channels);
    for delivery in &mut chunk.plan.deliveries {
        delivery.kind = MessageKind::Replacement;
        delivery.entry_deadline_at = Some(at(3_600));
        delivery.deadline_at = at(86_400);
    }
    scene.store.commit(finish_commit(chunk, at(10))).await.unwrap();
    scene
}

pub async fn a_replacement_sent_too_late_to_be_followed_leaves_its_trade_unreached(harness: &dyn StoreHarness) {
    let scene = scene_replaced(harness, TELEGRAM).await;
    let late = AttemptOutcome::Sent { message_id: Some(8), entry_lapsed: true, topic_gone: false };
    scene.attempt(Telegram, delivery_id(Telegram, 9, 1), late, 4_000).await;
    assert_eq!(scene.delivery(Telegram, 9, 1).await.state, S::Sent);
    assert!(scene.trade(9, 1).await.alertcast.unreached);
    assert_eq!(read_counts(&scene).await, [(0, 0); 2]);
    let statistics = scene.alert(9).await.statistics;
    assert_eq!((statistics.delivery_count.0, statistics.failure_count.0), (1, 0), "it was sent");
}

pub async fn a_replacement_followed_by_one_channel_is_reached(harness: &dyn StoreHarness) {
    let late = AttemptOutcome::Sent { message_id: None, entry_lapsed: true, topic_gone: false };
    let scene = scene_replaced(harness, BOTH).await;
    scene.attempt(Email, delivery_id(Email, 9, 1), sent_outcome(1), 20).await;
    scene.attempt(Telegram, delivery_id(Telegram, 9, 1), late, 4_000).await;
    assert!(!scene.trade(9, 1).await.alertcast.unreached);
}

pub async fn a_replacement_that_lapsed_in_both_channels_is_unreached(harness: &dyn StoreHarness) {
    let late = AttemptOutcome::Sent { message_id: None, entry_lapsed: true, topic_gone: false };
    let scene = scene_replaced(harness, BOTH).await;
    scene.attempt(Email, delivery_id(Email, 9, 1), late.clone(), 4_000).await;
    assert!(!scene.trade(9, 1).await.alertcast.unreached);
    scene.attempt(Telegram, delivery_id(Telegram, 9, 1), late, 4_001).await;
    assert!(scene.trade(9, 1).await.alertcast.unreached);
    assert_eq!(read_counts(&scene).await, [(0, 0); 2]);
}

pub async fn a_notice_that_fails_marks_no_trade(harness: &dyn StoreHarness) {
    let scene = scene_opened(harness, TELEGRAM).await;
    scene.attempt(Telegram, id(Telegram), sent_outcome(1), 4).await;
    let mut notice = exit(Telegram, 6, 1, 1, 1);
    notice.kind = MessageKind::Notice;
    notice.entry_delivery = None;
    scene.put_deliveries(std::slice::from_ref(&notice)).await;
    scene.attempt(Telegram, notice.id, dead(), 7).await;
    stands(&scene).await;
}
