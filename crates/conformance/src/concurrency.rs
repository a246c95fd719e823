//! Rules about operations of several workers at once, whatever they are: the documents stay true to each other.

use std::collections::HashMap;
use std::sync::Arc;

use super::StoreHarness;
use super::dump::StoreDump;
use super::history::UserHistory;
use super::invariants;
use super::scene::{TELEGRAM, TestScene, at_once, closing_commit, doors, finish_commit, opening_commit};
use alertcast_core::delivery::Channel::Telegram;
use alertcast_core::fixtures::*;
use alertcast_core::id::AlertId;
use alertcast_core::store::{AttemptRecord, Collection, StoreError};
use alertcast_core::trade::document::TradeStatus;

pub async fn histories_side_by_side_keep_the_documents_true(harness: &dyn StoreHarness) {
    side_by_side(harness, false).await;
}

pub async fn histories_side_by_side_that_are_cut_off_keep_the_documents_true(harness: &dyn StoreHarness) {
    side_by_side(harness, true).await;
}

async fn side_by_side(harness: &dyn StoreHarness, cuts: bool) {
    let scene = TestScene::new(harness, 6).await;
    let doors = doors(harness, &scene.store, 2).await;
    let histories = (1..=4).zip(doors.into_iter().cycle()).map(|(seed, store)| {
        let mut history = UserHistory::begin(TestScene { store, ..scene.clone() }, seed, cuts);
        async move {
            history.play(60).await;
            history.settled
        }
    });
    let mut settled: HashMap<AlertId, u32> = HashMap::new();
    for (alert, times) in at_once(histories).await.into_iter().flatten() {
        *settled.entry(alert).or_default() += times;
    }
    assert!(settled.values().all(|&times| times == 1), "settled once: {settled:?}");
    let dump = StoreDump::when_quiet(&*scene.store).await;
    invariants::check(&dump);
    assert!(!dump.documents(Collection::Trades).is_empty(), "the histories did something");
}

/// A trade's entry dies while an exit closes it: whichever comes first, the other sees it.
pub async fn a_trade_that_is_closed_while_its_entry_dies_is_both(harness: &dyn StoreHarness) {
    const USERS: u32 = 6;
    let scene = TestScene::new(harness, USERS).await;
    scene.open(1, 1..=USERS, TELEGRAM).await;
    scene.accept(5, 1).await;
    let ids: Vec<_> = (1..=USERS).map(|user| delivery_id(Telegram, 1, user)).collect();
    assert_eq!(scene.take(Telegram, &ids, 6).await.len(), ids.len());
    let store = Arc::clone(&scene.store);
    let fence = scene.bot.clone();
    let deaths = async move {
        for delivery in ids {
            let outcome = alertcast_core::fixtures::blocked_outcome(number(delivery.0));
            store.record_attempts(&fence, vec![AttemptRecord { delivery, outcome }], at(7)).await.unwrap();
        }
    };
    let store = harness.beside(&scene.store).await;
    let fence = scene.work.clone();
    let close = async move {
        let users = 1..=USERS;
        let span = super::scene::span(&users);
        loop {
            let state = store.load_chunk(config_id(1), span, &[]).await.unwrap();
            let seen = state.open_trades.iter().map(|trade| (trade.id, trade.alertcast.rev.0)).collect();
            let mut chunk = finish_commit(closing_commit(&fence, 5, 1, 1, users.clone(), TELEGRAM), at(8));
            chunk.plan.open_seen = Some((span, seen));
            match store.commit(chunk).await {
                Ok(()) => break,
                Err(error) => assert_eq!(error, StoreError::Conflict),
            }
        }
    };
    tokio::join!(tokio::spawn(deaths), tokio::spawn(close)).0.unwrap();
    for user in 1..=USERS {
        let trade = scene.trade(1, user).await;
        assert_eq!((trade.status, trade.alertcast.unreached), (TradeStatus::Closed, true));
        assert_eq!(trade.alertcast.rev.0, 3, "opened, marked, closed");
    }
    invariants::check(&scene.dump().await);
}

/// One subscriber's counters are raised by commits and taken back by the courier, all at once.
pub async fn counters_of_one_subscriber_are_exact_whoever_changes_them(harness: &dyn StoreHarness) {
    const ALERTS: u32 = 8;
    let scene = TestScene::with_configs(harness, 1, ALERTS).await;
    for by in 1..=ALERTS {
        scene.accept(by, by).await;
    }
    for by in 1..=ALERTS / 2 {
        scene.store.commit(finish_commit(opening_commit(&scene.work, by, by, 1..=1, TELEGRAM), at(20))).await.unwrap();
    }
    let doors = doors(harness, &scene.store, 2).await;
    let steps = (1..=ALERTS).zip(doors.into_iter().cycle()).map(|(by, store)| {
        let scene = TestScene { store, ..scene.clone() };
        async move {
            if by <= ALERTS / 2 {
                scene
                    .record(Telegram, delivery_id(Telegram, by, 1), alertcast_core::fixtures::expired_outcome(), 21)
                    .await;
            } else {
                let chunk = finish_commit(opening_commit(&scene.work, by, by, 1..=1, TELEGRAM), at(22));
                scene.store.commit(chunk).await.unwrap();
            }
        }
    });
    at_once(steps).await;
    let usage = scene.subscription(1).await.usage;
    assert_eq!((usage.alerts_received.0, usage.trades_opened.0), (4, 4));
    invariants::check(&scene.dump().await);
}
