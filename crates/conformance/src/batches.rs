//! Rules of [`ProcessorStore::commit_all`](alertcast_core::store::ProcessorStore::commit_all): chunks that are committed by
//! one call.

use std::collections::BTreeSet;

use alertcast_core::alert::document::AlertStatus;
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::fixtures::*;
use alertcast_core::store::{ChunkCommit, Collection, QuotaChange, StoreError};
use alertcast_core::trade::document::TradeStatus;

use super::StoreHarness;
use super::dump::{StoreDump, one};
use super::scene::{TELEGRAM, TestScene, closing_commit, empty_chunk, finish_commit, opening_commit, replacing_commit};

/// The whole work on alert `by`: it opens a trade for each of users 1 to 3.
fn entry(scene: &TestScene, by: u32, config: u32) -> ChunkCommit {
    finish_commit(opening_commit(&scene.work, by, config, 1..=3, TELEGRAM), at(20))
}

pub async fn chunks_of_one_call_rest_on_one_another(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    for by in 1..=3 {
        scene.accept(by, 1).await;
    }
    let exit = finish_commit(closing_commit(&scene.work, 2, 1, 1, 1..=3, TELEGRAM), at(21));
    let mut again = entry(&scene, 3, 1);
    for trade in &mut again.plan.opened {
        trade.trade_number.0 = 2;
    }
    let with_quota = |mut chunk: ChunkCommit, rev_seen: Option<i64>, count: i64| {
        chunk.plan.quotas = vec![QuotaChange { rev_seen, after: quota(1, count, count) }];
        chunk
    };
    let chunks = vec![with_quota(entry(&scene, 1, 1), None, 1), exit, with_quota(again, Some(1), 2)];
    assert_eq!(scene.store.commit_all(chunks).await, [Ok(()), Ok(()), Ok(())]);
    for user in 1..=3 {
        assert_eq!(scene.trade(1, user).await.status, TradeStatus::Closed);
        assert_eq!(scene.trade(3, user).await.status, TradeStatus::Open);
        let usage = scene.subscription(user).await.usage;
        assert_eq!((usage.alerts_received.0, usage.trades_opened.0), (3, 2));
    }
    for by in 1..=3 {
        assert_eq!(scene.alert(by).await.processing.status, AlertStatus::Processed);
    }
    let config: AlertConfiguration = one(&*scene.store, Collection::AlertConfigurations, config_id(1)).await;
    assert_eq!((config.statistics.total_alerts.0, config.statistics.total_trades.0), (3, 6));
    let state = scene.store.load_chunk(config_id(1), super::scene::span(&(1..=3)), &[user_id(1)]).await.unwrap();
    assert_eq!(state.quotas[&user_id(1)], quota(1, 2, 2));
    assert_eq!((state.open_trades.len(), state.last_numbers[&user_id(1)]), (3, 2));
}

pub async fn a_chunk_that_does_not_hold_stops_those_of_its_configuration_behind_it(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    for (by, config) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)] {
        scene.accept(by, config).await;
    }
    // The second has not seen what the first opened; the third would hold by itself.
    let mut third = entry(&scene, 3, 1);
    third.plan.open_seen = None;
    let mut fifth = entry(&scene, 5, 2);
    fifth.plan.open_seen = None;
    let chunks = vec![entry(&scene, 1, 1), entry(&scene, 2, 1), entry(&scene, 4, 2), third.clone(), fifth];
    let outcomes = scene.store.commit_all(chunks).await;
    let conflict = Err(StoreError::Conflict);
    assert_eq!(outcomes, [Ok(()), conflict.clone(), Ok(()), conflict, Ok(())]);
    let dump = scene.dump().await;
    assert_eq!(alerts_with_effect(&dump), [1, 4, 5]);
    for by in [2, 3] {
        assert_eq!(scene.alert(by).await.processing.status, AlertStatus::Received);
    }
    assert_eq!(scene.store.commit_all(vec![third]).await, [Ok(())], "by itself it does hold");
    assert_eq!(scene.subscription(1).await.usage.alerts_received.0, 4);
}

/// The alerts that opened trades, told anybody anything or were decided about.
fn alerts_with_effect(dump: &StoreDump) -> Vec<u32> {
    let field = |collection: Collection, path: &'static str| {
        let of = move |document: &bson::Document| {
            let (head, last) = path.rsplit_once('.').unwrap_or(("", path));
            let holder = if head.is_empty() { document } else { document.get_document(head).unwrap() };
            number(holder.get_object_id(last).unwrap())
        };
        dump.documents(collection).iter().map(of).collect::<BTreeSet<u32>>()
    };
    let trades = field(Collection::Trades, "alerts.entryAlertId");
    assert_eq!(field(Collection::Deliveries, "alertId"), trades);
    assert_eq!(field(Collection::Decisions, "alertId"), trades);
    trades.into_iter().collect()
}

pub async fn chunks_under_a_lease_in_other_hands_are_fenced_and_others_are_not(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    for (by, config) in [(1, 1), (2, 2)] {
        scene.accept(by, config).await;
    }
    let mut stale = entry(&scene, 1, 1);
    stale.fence.epoch += 1;
    let outcomes = scene.store.commit_all(vec![stale, entry(&scene, 2, 2)]).await;
    assert!(matches!(outcomes.as_slice(), [Err(StoreError::Fenced { .. }), Ok(())]), "{outcomes:?}");
    assert_eq!(alerts_with_effect(&scene.dump().await), [2]);
}

pub async fn no_chunks_come_to_nothing(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let before = scene.dump().await;
    assert_eq!(scene.store.commit_all(Vec::new()).await, []);
    before.assert_same(&scene.dump().await);
}

pub async fn what_is_worked_out_of_a_plan_is_what_is_loaded_after_its_commit(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 4).await;
    let (span, asked) = (super::scene::span(&(1..=4)), [1, 2, 3, 4].map(user_id));
    let load = async || scene.store.load_chunk(config_id(1), span, &asked).await.unwrap();
    let mut state = load().await;
    for by in 1..=5 {
        scene.accept(by, 1).await;
    }
    let mut entries = finish_commit(opening_commit(&scene.work, 1, 1, 1..=4, TELEGRAM), at(20));
    let quotas = (1..=4).map(|user| QuotaChange { rev_seen: None, after: quota(user, 1, 1) });
    entries.plan.quotas = quotas.collect();
    let mut others = finish_commit(opening_commit(&scene.work, 2, 1, 2..=3, TELEGRAM), at(21));
    others.plan.opened.iter_mut().for_each(|trade| trade.trade_number.0 = 2);
    others.plan.open_seen = None;
    others.plan.quotas = vec![QuotaChange { rev_seen: Some(1), after: quota(2, 2, 2) }];
    let mut exits = finish_commit(closing_commit(&scene.work, 3, 1, 1, 2..=4, TELEGRAM), at(22));
    exits.plan.open_seen = None;
    let mut replaced = finish_commit(replacing_commit(&scene.work, 4, 1, 1, 1..=1, TELEGRAM), at(23));
    replaced.plan.quotas = vec![QuotaChange { rev_seen: Some(1), after: quota(1, 2, 2) }];
    let none = finish_commit(empty_chunk(&scene.work, 5, 1), at(24));
    for chunk in [entries, others, exits, replaced, none] {
        state.apply(&chunk.plan);
        scene.store.commit(chunk).await.unwrap();
        assert_eq!(state, load().await);
        assert_eq!(state.holders(), scene.store.holders(config_id(1), None, 9).await.unwrap());
    }
    assert_eq!((state.open_trades.len(), state.last_numbers[&user_id(1)]), (3, 4));
}
