//! Rules of [`Work::commit`](alertcast_core::store::Work::commit): what a chunk that is applied leaves behind.

use bson::{Bson, Document, doc};

use super::StoreHarness;
use super::dump::{StoreDump, decisions_of, one, raw};
use super::scene::{
    BOTH, TELEGRAM, TestScene, closing_commit, empty_chunk, ended_trade, finish_commit, insert, opening_commit, set,
    span, usage_increment,
};
use alertcast_core::alert::document::{AlertError, AlertStatus};
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::delivery::{Channel, Delivery};
use alertcast_core::fixtures::*;
use alertcast_core::market::ExitReason;
use alertcast_core::money::Count;
use alertcast_core::preference::AlertPreference;
use alertcast_core::quota::Quota;
use alertcast_core::store::{Collection, ConfigIncrement, QuotaChange, document};
use alertcast_core::trade::document::{TradeEnd, TradeStatus};

pub async fn a_chunk_writes_its_trades_deliveries_decisions_and_cursor(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 4).await;
    scene.accept(1, 1).await;
    let chunk = opening_commit(&scene.work, 1, 1, 1..=3, BOTH);
    scene.store.commit(chunk.clone()).await.unwrap();
    for trade in &chunk.plan.opened {
        assert_eq!(scene.trade(1, number(trade.user_id.0)).await, *trade);
    }
    let dump = scene.dump().await;
    assert_eq!(dump.documents(Collection::Trades).len(), 3);
    let mut deliveries: Vec<Delivery> = dump.all(Collection::Deliveries);
    deliveries.sort_by_key(|delivery| (delivery.user_id, delivery.channel));
    assert_eq!(deliveries, chunk.plan.deliveries);
    assert_eq!(decisions_of(&*scene.store, alert_id(1)).await, [chunk.plan.decisions.unwrap()]);
    let alert = scene.alert(1).await;
    assert_eq!(alert.alertcast.cursor, Some(user_id(3)));
    assert_eq!(alert.webhook.processed_at, None, "there is more to come");
}

pub async fn the_last_chunk_ends_the_processing(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 4).await;
    scene.accept(1, 1).await;
    scene.store.commit(opening_commit(&scene.work, 1, 1, 1..=2, TELEGRAM)).await.unwrap();
    let mut last = finish_commit(opening_commit(&scene.work, 1, 1, 3..=4, TELEGRAM), at(7));
    last.cursor_seen = Some(user_id(2));
    last.plan.config_increment.alerts = 0;
    let error = AlertError { message: "no_matching_trade".to_owned(), timestamp: at(6), stack: None };
    last.finish.as_mut().unwrap().errors = vec![error.clone()];
    scene.store.commit(last).await.unwrap();
    let alert = scene.alert(1).await;
    assert_eq!(alert.processing.status, AlertStatus::Processed);
    assert_eq!(alert.webhook.processed_at, Some(at(7)));
    assert_eq!(alert.statistics.processing_time, Some(Count(250)));
    assert_eq!(alert.processing.errors, [error]);
    assert_eq!(alert.alertcast.cursor, Some(user_id(4)));
    assert_eq!(alert.alertcast.settled_at, None);
    assert_eq!(scene.dump().await.documents(Collection::Trades).len(), 4);
    let users: Vec<_> = decisions_of(&*scene.store, alert_id(1)).await.iter().map(|c| c.last_user).collect();
    assert_eq!(users, [2, 4].map(user_id));
}

pub async fn an_alert_for_nobody_is_ended_by_an_empty_chunk(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.accept(1, 1).await;
    scene.store.commit(finish_commit(empty_chunk(&scene.work, 1, 1), at(2))).await.unwrap();
    let alert = scene.alert(1).await;
    assert_eq!(alert.processing.status, AlertStatus::Processed);
    assert_eq!(alert.alertcast.cursor, None);
}

pub async fn a_closed_trade_has_its_end_and_keeps_the_rest(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    let foreign_fields = doc! { "__v": 3, "foreign": foreign(), "tradeData.foreign": 1, "metadata.notes": "mine" };
    scene.store.write(vec![set(Collection::Trades, trade_id(1, 1), foreign_fields)]).await.unwrap();
    let mut want = raw(&*scene.store, Collection::Trades, trade_id(1, 1)).await;
    scene.accept(5, 1).await;
    let mut chunk = closing_commit(&scene.work, 5, 1, 1, 1..=1, TELEGRAM);
    chunk.plan.ended[0].reason = ExitReason::SlHit;
    chunk.plan.ended[0].exit_price = price(94.25);
    chunk.plan.ended[0].pnl_amount = amount(-5.75);
    chunk.plan.ended[0].pnl_percentage = amount(-5.75);
    chunk.plan.ended[0].inferred = true;
    scene.store.commit(chunk).await.unwrap();
    put(&mut want, "status", "closed");
    put(&mut want, "tradeData.exitPrice", 94.25);
    put(&mut want, "tradeData.exitReason", "SL_HIT");
    put(&mut want, "pnl.amount", -5.75);
    put(&mut want, "pnl.percentage", -5.75);
    put(&mut want, "timestamps.closedAt", at(6));
    put(&mut want, "alerts.exitAlertId", alert_id(5));
    put(&mut want, "alertcast.exitInferred", true);
    let told_by = doc! { "channel": "telegram", "id": delivery_id(Channel::Telegram, 5, 1) };
    put(&mut want, "alertcast.endDeliveries", vec![told_by]);
    put(&mut want, "alertcast.rev", 2);
    put(&mut want, "updatedAt", at(6));
    assert_eq!(raw(&*scene.store, Collection::Trades, trade_id(1, 1)).await, want);
}

pub async fn a_replaced_trade_names_its_successor(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.accept(5, 1).await;
    let mut chunk = opening_commit(&scene.work, 5, 1, 1..=1, TELEGRAM);
    chunk.plan.opened[0].trade_number = Count(2);
    chunk.plan.open_seen = Some((span(&(1..=1)), vec![(trade_id(1, 1), 1)]));
    chunk.plan.ended = vec![TradeEnd {
        status: TradeStatus::Replaced,
        reason: ExitReason::Replaced,
        replaced_by: Some(trade_id(5, 1)),
        replacement_reason: Some("a new signal at the limit".to_owned()),
        ..ended_trade(1, 1, 5)
    }];
    scene.store.commit(chunk).await.unwrap();
    let old = scene.trade(1, 1).await;
    assert_eq!(old.status, TradeStatus::Replaced);
    assert_eq!(old.trade_data.exit_reason, Some(ExitReason::Replaced));
    assert_eq!((old.timestamps.closed_at, old.timestamps.replaced_at), (Some(at(6)), Some(at(6))));
    assert_eq!(old.metadata.replaced_by, Some(trade_id(5, 1)));
    assert_eq!(old.metadata.replacement_reason.as_deref(), Some("a new signal at the limit"));
    let state = scene.store.load_chunk(config_id(1), span(&(1..=1)), &[user_id(1)]).await.unwrap();
    assert_eq!(state.open_trades, [scene.trade(5, 1).await]);
    assert_eq!(state.last_numbers[&user_id(1)], 2);
}

pub async fn counters_are_raised_by_what_the_chunk_says(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.accept(10, 1).await;
    let mut chunk = opening_commit(&scene.work, 10, 1, 1..=2, TELEGRAM);
    // One without preferences for the configuration, one with two messages.
    chunk.plan.usage = vec![usage_increment(1, 1, 2, 1, 10), usage_increment(1, 2, 1, 1, 10)];
    chunk.plan.usage[1].preference = None;
    scene.store.commit(chunk).await.unwrap();
    let counted = async |user: u32| {
        let usage = scene.subscription(user).await.usage;
        let preference: AlertPreference =
            one(&*scene.store, Collection::UserAlertPreferences, preference_id(1, user)).await;
        let of_preference = preference.statistics;
        (
            (usage.alerts_received.0, usage.trades_opened.0, usage.last_activity_at),
            (of_preference.alerts_received.0, of_preference.trades_opened.0, of_preference.last_alert_at),
        )
    };
    let moment = Some(at(10));
    assert_eq!(counted(1).await, ((2, 1, moment), (2, 1, moment)));
    assert_eq!(counted(2).await, ((1, 1, moment), (0, 0, None)));
    let config: AlertConfiguration = one(&*scene.store, Collection::AlertConfigurations, config_id(1)).await;
    assert_eq!((config.statistics.total_alerts.0, config.statistics.total_trades.0), (1, 2));
    assert_eq!(config.statistics.last_alert_at, moment);

    // Counters go down too; moments do not go back.
    scene.accept(11, 1).await;
    let mut chunk = finish_commit(empty_chunk(&scene.work, 11, 1), at(12));
    chunk.plan.config_increment =
        ConfigIncrement { alerts: 1, last_alert_at: Some(at(4)), ..ConfigIncrement::default() };
    chunk.plan.usage = vec![usage_increment(1, 1, -1, -1, 4), usage_increment(1, 2, 1, 0, 30)];
    scene.store.commit(chunk).await.unwrap();
    assert_eq!(counted(1).await, ((1, 0, moment), (1, 0, moment)));
    assert_eq!(counted(2).await, ((2, 1, Some(at(30))), (1, 0, Some(at(30)))));
    let config: AlertConfiguration = one(&*scene.store, Collection::AlertConfigurations, config_id(1)).await;
    assert_eq!((config.statistics.total_alerts.0, config.statistics.last_alert_at), (2, moment));
}

pub async fn counters_begin_at_zero_where_a_document_has_none(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let bare = |collection, id: Bson, paths: &[&str]| alertcast_core::store::DocumentWrite::Update {
        collection,
        id: id.as_object_id().unwrap(),
        set: doc! {},
        unset: paths.iter().map(|&path| path.to_owned()).collect(),
        expect: Vec::new(),
    };
    let double = doc! { "statistics": { "alertsReceived": 5.0 } };
    let writes = vec![
        bare(Collection::AlertConfigurations, config_id(1).into(), &["statistics", "alertcast"]),
        bare(Collection::UserSubscriptions, subscription_id(1).into(), &["usage"]),
        set(Collection::UserAlertPreferences, preference_id(1, 1), double),
    ];
    scene.store.write(writes).await.unwrap();
    scene.open(1, 1..=1, TELEGRAM).await;
    let config: AlertConfiguration = one(&*scene.store, Collection::AlertConfigurations, config_id(1)).await;
    assert_eq!((config.statistics.total_alerts.0, config.statistics.total_trades.0), (1, 1));
    let usage = scene.subscription(1).await.usage;
    assert_eq!((usage.alerts_received.0, usage.trades_opened.0), (1, 1));
    let id = preference_id(1, 1);
    let preference: AlertPreference = one(&*scene.store, Collection::UserAlertPreferences, id).await;
    assert_eq!((preference.statistics.alerts_received.0, preference.statistics.trades_opened.0), (6, 1));
}

pub async fn the_success_rate_is_that_of_all_closes_so_far(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let mut n = 0;
    let mut closes = async |by_tp: i64, by_sl: i64| {
        n += 1;
        scene.accept(n, 1).await;
        let mut chunk = finish_commit(empty_chunk(&scene.work, n, 1), at(99));
        chunk.plan.config_increment = ConfigIncrement {
            alerts: 1,
            closed_by_tp: by_tp,
            closed_by_sl: by_sl,
            last_alert_at: Some(at(i64::from(n))),
            ..ConfigIncrement::default()
        };
        scene.store.commit(chunk).await.unwrap();
        let config: AlertConfiguration = one(&*scene.store, Collection::AlertConfigurations, config_id(1)).await;
        assert_eq!(config.statistics.total_alerts.0, i64::from(n));
        config.statistics.success_rate.to_f64()
    };
    let near = |rate: f64, want: f64| assert!((rate - want).abs() < 1e-9, "{rate}, not {want}");
    near(closes(0, 0).await, 0.0);
    near(closes(0, 2).await, 0.0);
    near(closes(1, 0).await, 100.0 / 3.0);
    near(closes(2, 0).await, 60.0);
    near(closes(0, 0).await, 60.0);
    near(closes(15, 0).await, 90.0);
}

pub async fn a_quota_is_kept_as_the_chunk_says(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    for (n, rev_seen) in [(1, None), (2, Some(1)), (3, Some(2))] {
        scene.accept(n, 1).await;
        let after = quota(1, i64::from(n), i64::from(n) * 10);
        let mut chunk = finish_commit(empty_chunk(&scene.work, n, 1), at(9));
        chunk.plan.quotas = vec![QuotaChange { rev_seen, after: after.clone() }];
        scene.store.commit(chunk).await.unwrap();
        assert_eq!(one::<Quota>(&*scene.store, Collection::Quotas, user_id(1)).await, after);
    }
}

pub async fn a_delivery_whose_key_exists_is_left_out(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    let mut earlier = entry(Channel::Telegram, 1, 1, 2);
    earlier.id = delivery_id(Channel::Telegram, 99, 2);
    earlier.last_error = Some("the earlier one".to_owned());
    scene.put_deliveries(std::slice::from_ref(&earlier)).await;
    scene.open(1, 1..=3, TELEGRAM).await;
    let kept: Vec<Delivery> = scene.dump().await.all(Collection::Deliveries);
    let ids: Vec<_> = kept.iter().map(|delivery| delivery.id).collect();
    let of = |by, user| delivery_id(Channel::Telegram, by, user);
    assert_eq!(ids, [of(1, 1), of(1, 3), of(99, 2)]);
    assert_eq!(kept[2], earlier);
}

pub async fn a_chunk_tells_the_operators_once_and_then_counts(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    for n in 1..=3 {
        scene.accept(n, 1).await;
        let mut chunk = finish_commit(empty_chunk(&scene.work, n, 1), at(9));
        chunk.notices = vec![notice(1, n)];
        scene.store.commit(chunk).await.unwrap();
    }
    let told: Vec<Delivery> = scene.dump().await.all(Collection::Deliveries);
    assert_eq!(told.len(), 2);
    let more = document(&told[1]).unwrap();
    assert_eq!(more.get_document("facts").unwrap().get("count"), Some(&Bson::Int32(2)));
}

pub async fn a_chunk_keeps_what_others_wrote(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.accept(1, 1).await;
    let foreign_fields = doc! { "__v": 0, "foreign": foreign(), "processing.foreign": true };
    scene.store.write(vec![set(Collection::Alerts, alert_id(1), foreign_fields)]).await.unwrap();
    let before = scene.dump().await;
    scene.store.commit(finish_commit(opening_commit(&scene.work, 1, 1, 1..=2, TELEGRAM), at(3))).await.unwrap();
    let after = scene.dump().await;
    assert_ne!(before, after);
    keeps_foreign_fields(&after);
    let alert = &after.documents(Collection::Alerts)[0];
    assert_eq!(alert.get_document("processing").unwrap().get("foreign"), Some(&Bson::Boolean(true)));
}

pub async fn a_chunk_dates_what_it_changes(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.accept(50, 1).await;
    scene.store.commit(finish_commit(closing_commit(&scene.work, 50, 1, 1, 1..=1, TELEGRAM), at(51))).await.unwrap();
    for (collection, id) in [
        (Collection::Alerts, Bson::from(alert_id(50))),
        (Collection::Trades, trade_id(1, 1).into()),
        (Collection::UserSubscriptions, subscription_id(1).into()),
        (Collection::UserAlertPreferences, preference_id(1, 1).into()),
        (Collection::AlertConfigurations, config_id(1).into()),
    ] {
        let document = raw(&*scene.store, collection, id).await;
        assert_eq!(document.get("updatedAt"), Some(&at(51).into()), "{collection}");
    }
    let other = scene.subscription(2).await;
    assert_eq!(other.updated_at, subscription(2).updated_at);
}

pub async fn what_the_commit_does_not_name_stays_as_it_is(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    let bystander = trade(90, 2, 1, 1, TELEGRAM);
    let writes = vec![insert(Collection::Trades, &bystander), insert(Collection::Quotas, &quota(3, 1, 1))];
    scene.store.write(writes).await.unwrap();
    let before = scene.dump().await;
    scene.open(1, 1..=2, TELEGRAM).await;
    let difference = before.difference(&scene.dump().await);
    let touched: Vec<_> = difference.lines().filter(|line| line.starts_with("- ")).collect();
    // One configuration, two subscriptions, two preferences; and the number of keys.
    assert_eq!(touched.len(), 6, "{difference}");
}

/// Fails where a document that had fields of others has lost them.
pub(super) fn keeps_foreign_fields(dump: &StoreDump) {
    for collection in [
        Collection::Users,
        Collection::SubscriptionPlans,
        Collection::AlertConfigurations,
        Collection::UserSubscriptions,
        Collection::UserAlertPreferences,
        Collection::Alerts,
    ] {
        for document in dump.documents(collection) {
            assert_eq!(document.get("__v"), Some(&Bson::Int32(0)), "{collection} {document}");
            assert_eq!(document.get("foreign"), Some(&foreign().into()), "{collection} {document}");
        }
    }
}

fn put(document: &mut Document, path: &str, value: impl Into<Bson>) {
    match path.split_once('.') {
        None => {
            document.insert(path, value);
        }
        Some((first, rest)) => put(document.get_document_mut(first).unwrap(), rest, value),
    }
}
