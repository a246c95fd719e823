//! Rules of [`Work::commit`](alertcast_core::store::Work::commit): a chunk whose assumptions do not hold changes nothing, and
//! the failures that are recorded.

use alertcast_core::fixtures::dead;
use std::sync::Arc;

use bson::doc;

use super::StoreHarness;
use super::scene::{
    TELEGRAM, TestScene, at_once, closing_commit, doors, empty_chunk, ended_trade, finish_commit, insert,
    opening_commit, set, span,
};
use alertcast_core::alert::document::{AlertError, AlertStatus};
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::delivery::Channel;
use alertcast_core::fixtures::*;
use alertcast_core::store::{ChunkCommit, Collection, QuotaChange, StoreError};

/// Fails unless the chunk is refused and leaves everything as it was.
async fn refuses(scene: &TestScene, chunk: ChunkCommit, why: &str) {
    let before = scene.dump().await;
    assert_eq!(scene.store.commit(chunk).await, Err(StoreError::Conflict), "{why}");
    before.assert_same(&scene.dump().await);
}

pub async fn a_chunk_is_not_applied_twice(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 4).await;
    scene.accept(1, 1).await;
    let first = opening_commit(&scene.work, 1, 1, 1..=2, TELEGRAM);
    scene.store.commit(first.clone()).await.unwrap();
    refuses(&scene, first, "the first chunk again").await;
    let mut last = finish_commit(opening_commit(&scene.work, 1, 1, 3..=4, TELEGRAM), at(3));
    last.cursor_seen = Some(user_id(2));
    scene.store.commit(last.clone()).await.unwrap();
    refuses(&scene, last, "the last chunk again").await;
}

pub async fn an_alert_that_is_ended_takes_no_chunk(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.accept(1, 1).await;
    let empty = finish_commit(empty_chunk(&scene.work, 1, 1), at(2));
    scene.store.commit(empty.clone()).await.unwrap();
    refuses(&scene, empty, "ended for nobody, again").await;
    refuses(&scene, opening_commit(&scene.work, 1, 1, 1..=1, TELEGRAM), "processed").await;
    scene.accept(2, 1).await;
    let parked = scene.store.record_failure(&scene.work, alert_id(2), failure(3), true, Vec::new());
    parked.await.unwrap();
    refuses(&scene, opening_commit(&scene.work, 2, 1, 1..=1, TELEGRAM), "parked").await;
}

pub async fn a_cursor_that_stands_elsewhere_is_a_conflict(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 6).await;
    scene.accept(1, 1).await;
    let seen = |cursor: Option<u32>| {
        let mut chunk = opening_commit(&scene.work, 1, 1, 3..=4, TELEGRAM);
        chunk.cursor_seen = cursor.map(user_id);
        chunk
    };
    refuses(&scene, seen(Some(2)), "it is not there yet").await;
    scene.store.commit(opening_commit(&scene.work, 1, 1, 1..=2, TELEGRAM)).await.unwrap();
    refuses(&scene, seen(None), "it has gone on").await;
    refuses(&scene, seen(Some(1)), "it is further").await;
    scene.store.commit(seen(Some(2))).await.unwrap();
}

pub async fn an_open_trade_that_was_not_seen_is_a_conflict(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 5).await;
    // Of another configuration, beside the span, ended: none of these is in the way.
    let mut closed = trade(90, 1, 2, 1, &[]);
    closed.status = alertcast_core::trade::document::TradeStatus::Closed;
    let others = [trade(91, 2, 2, 1, &[]), trade(92, 1, 1, 1, &[]), trade(93, 1, 5, 1, &[]), closed];
    let writes = others.iter().map(|trade| insert(Collection::Trades, trade)).collect();
    scene.store.write(writes).await.unwrap();
    scene.accept(1, 1).await;
    let chunk = finish_commit(opening_commit(&scene.work, 1, 1, 2..=4, TELEGRAM), at(2));
    let unseen = insert(Collection::Trades, &trade(94, 1, 3, 1, &[]));
    scene.store.write(vec![unseen]).await.unwrap();
    refuses(&scene, chunk.clone(), "user 3 holds one").await;
    let close = set(Collection::Trades, trade_id(94, 3), doc! { "status": "closed" });
    scene.store.write(vec![close]).await.unwrap();
    scene.store.commit(chunk).await.unwrap();
}

pub async fn a_seen_trade_that_is_not_open_any_more_is_a_conflict(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=2, TELEGRAM).await;
    scene.accept(5, 1).await;
    let chunk = closing_commit(&scene.work, 5, 1, 1, 1..=2, TELEGRAM);
    let by_hand = doc! { "status": "closed", "tradeData.exitReason": "MANUAL", "alertcast.rev": 2 };
    scene.store.write(vec![set(Collection::Trades, trade_id(1, 2), by_hand)]).await.unwrap();
    refuses(&scene, chunk, "closed by hand").await;
}

pub async fn a_seen_trade_of_another_rev_is_a_conflict(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=2, TELEGRAM).await;
    scene.accept(5, 1).await;
    let chunk = closing_commit(&scene.work, 5, 1, 1, 1..=2, TELEGRAM);
    let mut older = chunk.clone();
    older.plan.open_seen = Some((span(&(1..=2)), vec![(trade_id(1, 1), 1), (trade_id(1, 2), 0)]));
    refuses(&scene, older, "seen before its rev").await;
    // The entry's death marks the trade, and raises its rev.
    let id = delivery_id(Channel::Telegram, 1, 2);
    scene.attempt(Channel::Telegram, id, dead(), 6).await;
    refuses(&scene, chunk.clone(), "unreached meanwhile").await;
    let rev = scene.trade(1, 2).await.alertcast.rev.0;
    let mut again = chunk;
    again.plan.open_seen = Some((span(&(1..=2)), vec![(trade_id(1, 2), rev), (trade_id(1, 1), 1)]));
    scene.store.commit(again).await.unwrap();
}

pub async fn a_seen_trade_of_another_span_or_configuration_is_a_conflict(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    let kept = [trade(90, 2, 1, 1, &[]), trade(91, 1, 3, 1, &[])];
    let writes = kept.iter().map(|trade| insert(Collection::Trades, trade)).collect();
    scene.store.write(writes).await.unwrap();
    scene.accept(1, 1).await;
    for (stranger, why) in [
        (trade_id(90, 1), "of another configuration"),
        (trade_id(91, 3), "beside the span"),
        (trade_id(92, 1), "which never was"),
    ] {
        let mut chunk = opening_commit(&scene.work, 1, 1, 1..=2, TELEGRAM);
        chunk.plan.open_seen = Some((span(&(1..=2)), vec![(stranger, 1)]));
        refuses(&scene, chunk, why).await;
    }
}

pub async fn a_trade_that_is_not_open_is_not_ended_again(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.close(5, 1, 1..=1, TELEGRAM).await;
    scene.accept(7, 1).await;
    let mut chunk = finish_commit(empty_chunk(&scene.work, 7, 1), at(8));
    chunk.plan.ended = vec![ended_trade(1, 1, 7)];
    refuses(&scene, chunk, "it has ended").await;
}

pub async fn a_quota_of_another_rev_is_a_conflict(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    let kept = insert(Collection::Quotas, &quota(1, 4, 1));
    scene.store.write(vec![kept]).await.unwrap();
    scene.accept(1, 1).await;
    let with = |user: u32, rev_seen: Option<i64>| {
        let after = quota(user, rev_seen.unwrap_or(0) + 1, 2);
        let mut chunk = opening_commit(&scene.work, 1, 1, 1..=2, TELEGRAM);
        chunk.plan.quotas = vec![QuotaChange { rev_seen, after }];
        chunk
    };
    refuses(&scene, with(1, Some(3)), "an older rev").await;
    refuses(&scene, with(1, Some(5)), "a later rev").await;
    refuses(&scene, with(1, None), "one is kept").await;
    refuses(&scene, with(2, Some(1)), "none is kept").await;
    scene.store.commit(with(1, Some(4))).await.unwrap();
}

pub async fn of_commits_of_one_chunk_at_once_one_succeeds(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    let doors = doors(harness, &scene.store, 2).await;
    for by in 1..=4 {
        scene.accept(by, 1).await;
        let mut chunk = finish_commit(opening_commit(&scene.work, by, 1, 1..=3, TELEGRAM), at(9));
        chunk.plan.open_seen = None;
        let commits = doors.iter().cycle().take(8).map(|store| {
            let (store, chunk) = (Arc::clone(store), chunk.clone());
            async move { store.commit(chunk).await }
        });
        let answers = at_once(commits).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| **answer == Err(StoreError::Conflict)).count(), 7);
    }
    assert_eq!(scene.subscription(1).await.usage.alerts_received.0, 4);
    let config: AlertConfiguration =
        super::dump::one(&*scene.store, Collection::AlertConfigurations, config_id(1)).await;
    assert_eq!((config.statistics.total_alerts.0, config.statistics.total_trades.0), (4, 12));
}

pub async fn configurations_are_worked_on_side_by_side(harness: &dyn StoreHarness) {
    const CONFIGS: u32 = 6;
    let scene = TestScene::with_configs(harness, 4, CONFIGS).await;
    let doors = doors(harness, &scene.store, 2).await;
    for round in 0..3 {
        let alert_of = |config: u32| round * 100 + config;
        for config in 1..=CONFIGS {
            scene.accept(alert_of(config), config).await;
        }
        let commits = (1..=CONFIGS).zip(doors.iter().cycle()).map(|(config, store)| {
            let mut chunk =
                finish_commit(opening_commit(&scene.work, alert_of(config), config, 1..=4, TELEGRAM), at(500));
            let (span, _) = chunk.plan.open_seen.unwrap();
            let held = (0..round).flat_map(|r| (1..=4).map(move |user| (trade_id(r * 100 + config, user), 1)));
            chunk.plan.open_seen = Some((span, held.collect()));
            let store = Arc::clone(store);
            async move { store.commit(chunk).await }
        });
        for answer in at_once(commits).await {
            assert_eq!(answer, Ok(()), "others' configurations are not in the way");
        }
    }
    for user in 1..=4 {
        let usage = scene.subscription(user).await.usage;
        assert_eq!((usage.alerts_received.0, usage.trades_opened.0), (18, 18));
    }
}

pub async fn of_two_configurations_that_change_one_quota_the_later_decides_again(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.store.write(vec![insert(Collection::Quotas, &quota(1, 1, 1))]).await.unwrap();
    let doors = doors(harness, &scene.store, 2).await;
    for config in 1..=2 {
        scene.accept(config, config).await;
    }
    let with = |config: u32, rev_seen: i64| {
        let mut chunk = finish_commit(opening_commit(&scene.work, config, config, 1..=1, TELEGRAM), at(3));
        let after = quota(1, rev_seen + 1, rev_seen + 1);
        chunk.plan.quotas = vec![QuotaChange { rev_seen: Some(rev_seen), after }];
        chunk
    };
    let commits = (1..=2).zip(doors).map(|(config, store)| {
        let chunk = with(config, 1);
        async move { (config, store.commit(chunk).await) }
    });
    let answers = at_once(commits).await;
    let late: Vec<u32> = answers.iter().filter(|(_, answer)| answer.is_err()).map(|(config, _)| *config).collect();
    assert_eq!(late.len(), 1, "{answers:?}");
    let state = scene.store.load_chunk(config_id(late[0]), span(&(1..=1)), &[user_id(1)]).await.unwrap();
    assert_eq!(state.quotas[&user_id(1)], quota(1, 2, 2));
    scene.store.commit(with(late[0], 2)).await.unwrap();
}

pub async fn a_failure_is_noted_and_the_alert_tried_again(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.accept(1, 1).await;
    let pending = async || {
        let partitions: Vec<i32> = (0..alertcast_core::store::PARTITIONS).collect();
        scene.store.pending_alerts(&partitions, &[], 10).await.unwrap()
    };
    for n in 1..=2 {
        let noted = scene.store.record_failure(&scene.work, alert_id(1), failure(n), false, vec![notice(1, 1)]);
        noted.await.unwrap();
        let alert = scene.alert(1).await;
        assert_eq!(alert.alertcast.attempts.0, n);
        assert_eq!(alert.processing.errors, (1..=n).map(failure).collect::<Vec<_>>());
        assert_eq!(pending().await, [alert]);
    }
    let park = scene.store.record_failure(&scene.work, alert_id(1), failure(3), true, vec![notice(1, 2)]);
    park.await.unwrap();
    let alert = scene.alert(1).await;
    assert_eq!(alert.processing.status, AlertStatus::Failed);
    assert_eq!((alert.processing.errors.len(), alert.alertcast.attempts.0), (3, 3));
    assert_eq!(pending().await, []);
    let told: Vec<alertcast_core::delivery::Delivery> = scene.dump().await.all(Collection::Deliveries);
    assert_eq!(told.len(), 2, "said once, then counted");
}

pub async fn a_failure_that_is_noted_already_is_not_noted_again(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.accept(1, 1).await;
    let note = async || {
        let notices = vec![notice(1, 1)];
        scene.store.record_failure(&scene.work, alert_id(1), failure(2), false, notices).await.unwrap();
        scene.dump().await
    };
    note().await.assert_same(&note().await);
}

pub async fn a_failure_of_an_alert_that_is_ended_changes_nothing(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.accept(2, 1).await;
    let park = scene.store.record_failure(&scene.work, alert_id(2), failure(2), true, Vec::new());
    park.await.unwrap();
    let before = scene.dump().await;
    for (n, park) in [(1, false), (1, true), (2, false), (2, true)] {
        let notices = vec![notice(7, n)];
        let noted = scene.store.record_failure(&scene.work, alert_id(n), failure(9), park, notices);
        noted.await.unwrap();
        before.assert_same(&scene.dump().await);
    }
}

fn failure(n: i64) -> AlertError {
    AlertError { message: format!("failure {n}"), timestamp: at(n), stack: Some("at step 3".to_owned()) }
}
