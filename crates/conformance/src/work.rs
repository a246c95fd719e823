//! Rules of [`Work`](alertcast_core::store::Work), reading: what is to be done, and what its decisions rest on.

use bson::doc;

use super::StoreHarness;
use super::scene::{TELEGRAM, TestScene, empty_chunk, finish_commit, insert, opening_commit, set};
use alertcast_core::alert::document::{Alert, AlertError};
use alertcast_core::fixtures::*;
use alertcast_core::id::{ConfigId, UserId};
use alertcast_core::store::{Collection, DocumentWrite, PARTITIONS, document, partition_of};

/// All partitions.
fn everywhere() -> Vec<i32> {
    (0..PARTITIONS).collect()
}

pub async fn pending_alerts_come_in_the_order_of_acceptance(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    for (n, config) in [(5, 1), (2, 2), (9, 1), (1, 2)] {
        scene.accept(n, config).await;
    }
    let pending = scene.store.pending_alerts(&everywhere(), &[], 10).await.unwrap();
    // Of each configuration; between configurations no order is promised.
    let of = |config: u32| {
        let config = Some(config_id(config));
        let these: Vec<_> =
            pending.iter().filter(|alert| alert.processing.alert_config_id == config).cloned().collect();
        numbers(&these)
    };
    assert_eq!((of(1), of(2)), (vec![5, 9], vec![2, 1]));
    for alert in &pending {
        assert_eq!(*alert, scene.alert(number(alert.id.0)).await, "as it is kept");
    }
    let first = scene.store.pending_alerts(&everywhere(), &[], 3).await.unwrap();
    assert_eq!(first, pending[..3]);
}

pub async fn pending_alerts_are_those_of_the_asked_partitions(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let (one, two) = (partition_of(config_id(1)), partition_of(config_id(2)));
    assert_ne!(one, two, "the suite needs configurations in different partitions");
    for (n, config) in [(1, 1), (2, 2), (3, 1)] {
        scene.accept(n, config).await;
    }
    let of = async |partitions: &[i32]| sort_numbers(&scene.store.pending_alerts(partitions, &[], 10).await.unwrap());
    assert_eq!(of(&[one]).await, [1, 3]);
    assert_eq!(of(&[two]).await, [2]);
    assert_eq!(of(&[two, one]).await, [1, 2, 3]);
    let others: Vec<_> = everywhere().into_iter().filter(|&p| p != one && p != two).collect();
    assert_eq!(of(&others).await, [0; 0]);
    assert_eq!(of(&[]).await, [0; 0]);
}

pub async fn pending_alerts_leave_out_configurations_that_are_worked_on(harness: &dyn StoreHarness) {
    let scene = TestScene::with_configs(harness, 1, 3).await;
    for (n, config) in [(1, 1), (2, 1), (3, 2), (4, 3), (5, 1)] {
        scene.accept(n, config).await;
    }
    let without = async |except: &[ConfigId], limit: usize| {
        sort_numbers(&scene.store.pending_alerts(&everywhere(), except, limit).await.unwrap())
    };
    // The limit counts what is answered, not what is left out.
    assert_eq!(without(&[config_id(1)], 2).await, [3, 4]);
    assert_eq!(without(&[config_id(1), config_id(3)], 9).await, [3]);
    assert_eq!(without(&[config_id(2), config_id(3), config_id(9)], 2).await, [1, 2]);
}

pub async fn pending_alerts_are_received_or_processing(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 4).await;
    for n in 1..=4 {
        scene.accept(n, 1).await;
    }
    let store = &scene.store;
    store.refuse_alert(refused_alert(5, 1, &["too_old"]), Vec::new()).await.unwrap();
    store.commit(opening_commit(&scene.work, 1, 1, 1..=2, TELEGRAM)).await.unwrap();
    store.commit(finish_commit(empty_chunk(&scene.work, 2, 1), at(9))).await.unwrap();
    let error = AlertError { message: "broken".to_owned(), timestamp: at(9), stack: None };
    store.record_failure(&scene.work, alert_id(3), error, true, Vec::new()).await.unwrap();
    let processing = set(Collection::Alerts, alert_id(4), doc! { "processing.status": "processing" });
    store.write(vec![processing]).await.unwrap();
    let pending = store.pending_alerts(&everywhere(), &[], 10).await.unwrap();
    assert_eq!(numbers(&pending), [1, 4]);
    assert_eq!(pending[0].alertcast.cursor, Some(user_id(2)), "half done: work goes on behind the cursor");
}

pub async fn holders_are_users_with_an_open_trade_by_id_and_once_each(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 6).await;
    let mut closed = trade(3, 1, 4, 2, &[]);
    closed.status = alertcast_core::trade::document::TradeStatus::Closed;
    let mut replaced = trade(4, 1, 5, 2, &[]);
    replaced.status = alertcast_core::trade::document::TradeStatus::Replaced;
    let trades = [
        trade(1, 1, 6, 1, &[]),
        trade(1, 1, 2, 1, &[]),
        trade(2, 1, 2, 2, &[]),
        trade(1, 1, 1, 1, &[]),
        trade(1, 2, 3, 1, &[]),
        closed,
        replaced,
    ];
    let writes = trades.iter().map(|trade| insert(Collection::Trades, trade)).collect();
    scene.store.write(writes).await.unwrap();
    let holders = async |config: u32, after: Option<UserId>, limit: usize| {
        let holders = scene.store.holders(config_id(config), after, limit).await.unwrap();
        holders.into_iter().map(|user| number(user.0)).collect::<Vec<_>>()
    };
    assert_eq!(holders(1, None, 10).await, [1, 2, 6]);
    assert_eq!(holders(1, None, 2).await, [1, 2]);
    assert_eq!(holders(1, Some(user_id(2)), 2).await, [6]);
    assert_eq!(holders(1, Some(user_id(6)), 2).await, [0; 0]);
    assert_eq!(holders(2, None, 10).await, [3]);
    assert_eq!(holders(3, None, 10).await, [0; 0]);
}

pub async fn a_chunks_open_trades_are_those_of_its_configuration_and_span(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 5).await;
    let mut closed = trade(3, 1, 3, 2, &[]);
    closed.status = alertcast_core::trade::document::TradeStatus::Closed;
    // Ids that rise while the numbers fall.
    let trades = [
        trade(1, 1, 2, 3, &[]),
        trade(2, 1, 2, 2, &[]),
        trade(3, 1, 2, 1, &[]),
        trade(1, 1, 1, 1, &[]),
        trade(1, 1, 4, 1, &[]),
        trade(1, 1, 5, 1, &[]),
        trade(1, 2, 3, 1, &[]),
        closed,
    ];
    let writes = trades.iter().map(|trade| insert(Collection::Trades, trade)).collect();
    scene.store.write(writes).await.unwrap();
    let state = scene.store.load_chunk(config_id(1), super::scene::span(&(2..=4)), &[]).await.unwrap();
    assert_eq!(state.open_trades, [trades[2].clone(), trades[1].clone(), trades[0].clone(), trades[4].clone()]);
    assert!(state.last_numbers.is_empty() && state.quotas.is_empty(), "asked for nobody's");
}

pub async fn trade_numbers_sort_as_numbers_whatever_bson_number_they_are(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let numbers = [bson::Bson::from(10.0), bson::Bson::from(2), bson::Bson::from(9_i64)];
    let writes = numbers.into_iter().zip(1_u32..).map(|(number, by)| {
        let mut document = document(&trade(by, 1, 1, 1, &[])).unwrap();
        document.insert("tradeNumber", number);
        DocumentWrite::Insert { collection: Collection::Trades, document }
    });
    scene.store.write(writes.collect()).await.unwrap();
    let span = super::scene::span(&(1..=1));
    let state = scene.store.load_chunk(config_id(1), span, &[user_id(1)]).await.unwrap();
    let order: Vec<_> = state.open_trades.iter().map(|trade| trade.trade_number.0).collect();
    assert_eq!(order, [2, 9, 10]);
    assert_eq!(state.last_numbers[&user_id(1)], 10);
}

pub async fn a_chunks_last_numbers_count_ended_trades_too(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 4).await;
    let mut closed = trade(3, 1, 1, 7, &[]);
    closed.status = alertcast_core::trade::document::TradeStatus::Closed;
    let trades =
        [closed, trade(1, 1, 1, 3, &[]), trade(1, 1, 2, 12, &[]), trade(2, 2, 3, 5, &[]), trade(4, 2, 1, 30, &[])];
    let writes = trades.iter().map(|trade| insert(Collection::Trades, trade)).collect();
    scene.store.write(writes).await.unwrap();
    let asked = [1, 3, 4].map(user_id);
    let state = scene.store.load_chunk(config_id(1), super::scene::span(&(1..=4)), &asked).await.unwrap();
    assert_eq!(state.last_numbers.into_iter().collect::<Vec<_>>(), [(user_id(1), 7)]);
}

pub async fn a_chunks_quotas_are_those_of_the_users_who_have_one(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    let writes = [1, 2].map(|n| insert(Collection::Quotas, &quota(n, 4, i64::from(n))));
    scene.store.write(writes.to_vec()).await.unwrap();
    let asked = [2, 3].map(user_id);
    let state = scene.store.load_chunk(config_id(1), super::scene::span(&(1..=3)), &asked).await.unwrap();
    assert_eq!(state.quotas.into_iter().collect::<Vec<_>>(), [(user_id(2), quota(2, 4, 2))]);
}

/// For what stands in no order.
fn sort_numbers(alerts: &[Alert]) -> Vec<u32> {
    let mut numbers = numbers(alerts);
    numbers.sort_unstable();
    numbers
}

fn numbers(alerts: &[Alert]) -> Vec<u32> {
    alerts.iter().map(|alert| number(alert.id.0)).collect()
}
