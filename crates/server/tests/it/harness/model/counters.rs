//! Every counter is the sum over the documents that it counts.

use std::collections::{BTreeMap, BTreeSet};

use alertcast_core::alert::document::{Alert, AlertStatus, TradeAction};
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::delivery::{Delivery, DeliveryState, MessageKind};
use alertcast_core::id::UserId;
use alertcast_core::market::ExitReason;
use alertcast_core::trade::document::Trade;
use bson::oid::ObjectId;

use super::{Broken, Model};
use crate::harness::books::Books;

pub(super) fn check(model: &Model<'_>, broken: &mut Broken) {
    let books = model.books;
    for config in books.configs.values() {
        configuration(books, config, broken);
    }
    for alert in books.alerts.values() {
        statistics(books, alert, broken);
    }
    let by_subscription = received(books, |delivery| delivery.subscription_id, |trade| trade.subscription_id);
    for held in &books.subscriptions {
        let (alerts, opened) = by_subscription.get(&held.id).copied().unwrap_or_default();
        broken.equal(&held.usage.alerts_received.0, &alerts, || format!("alertsReceived of {}", held.id));
        broken.equal(&held.usage.trades_opened.0, &opened, || format!("tradesOpened of {}", held.id));
    }
    let of_delivery = |delivery: &Delivery| delivery.user_id.zip(delivery.alert_config_id);
    let by_choice = received(books, of_delivery, |trade| (trade.user_id, trade.alert_config_id));
    for wanted in &books.preferences {
        let key = (wanted.user_id, wanted.alert_config_id);
        let (alerts, opened) = by_choice.get(&key).copied().unwrap_or_default();
        broken.equal(&wanted.statistics.alerts_received.0, &alerts, || format!("alertsReceived in {}", wanted.id));
        broken.equal(&wanted.statistics.trades_opened.0, &opened, || format!("tradesOpened in {}", wanted.id));
    }
    quotas(books, broken);
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap()
}

/// Alerts received and trades opened, by whatever they are counted for. The exits of one alert (or of one act by hand)
/// count as one message, its entry as another; an entry that never arrived is taken back.
fn received<K: Ord + Copy>(
    books: &Books,
    of_delivery: impl Fn(&Delivery) -> Option<K>,
    of_trade: impl Fn(&Trade) -> K,
) -> BTreeMap<K, (i64, i64)> {
    let is_entry = |kind| matches!(kind, MessageKind::Entry | MessageKind::Replacement);
    let told = |delivery: &Delivery| {
        Some((of_delivery(delivery)?, delivery.cause.id, delivery.user_id?, is_entry(delivery.kind)))
    };
    // An edit is no message, and neither is an exit that was left out because its entry never arrived.
    let is_message = |delivery: &&Delivery| delivery.kind != MessageKind::Result && !delivery.never_entered();
    let messages = books.deliveries.values().filter(is_message);
    let messages: BTreeSet<(K, ObjectId, UserId, bool)> = messages.filter_map(told).collect();
    let mut counts: BTreeMap<K, (i64, i64)> = BTreeMap::new();
    for (key, ..) in messages {
        counts.entry(key).or_default().0 += 1;
    }
    for trade in books.trades.values() {
        let (alerts, opened) = counts.entry(of_trade(trade)).or_default();
        if trade.alertcast.unreached {
            *alerts -= 1;
        } else {
            *opened += 1;
        }
    }
    counts
}

fn configuration(books: &Books, config: &AlertConfiguration, broken: &mut Broken) {
    let counts = |alert: &&Alert| {
        alert.processing.alert_config_id == Some(config.id)
            && alert.processing.status == AlertStatus::Processed
            && !alert.alertcast.testing
    };
    let alerts: Vec<&Alert> = books.alerts.values().filter(counts).collect();
    let trades: Vec<&Trade> = books.trades.values().filter(|trade| trade.alert_config_id == config.id).collect();
    let closed = |reason| count(trades.iter().filter(|t| t.trade_data.exit_reason == Some(reason)).count());
    let (tp, sl) = (closed(ExitReason::TpHit), closed(ExitReason::SlHit));
    let found = &config.statistics;
    broken.equal(&found.total_alerts.0, &count(alerts.len()), || format!("totalAlerts of {}", config.id));
    broken.equal(&found.total_trades.0, &count(trades.len()), || format!("totalTrades of {}", config.id));
    broken.equal(&config.alertcast.closed_by_tp.0, &tp, || format!("closedByTp of {}", config.id));
    broken.equal(&config.alertcast.closed_by_sl.0, &sl, || format!("closedBySl of {}", config.id));
    let rate = if tp + sl == 0 { 0.0 } else { 100.0 * tp as f64 / (tp + sl) as f64 };
    let near = (found.success_rate.to_f64() - rate).abs() < 1e-6;
    broken.unless(near, || format!("successRate of {}: is {}, should be {rate}", config.id, found.success_rate));
    let last = alerts.iter().map(|alert| alert.webhook.received_at).max();
    broken.equal(&found.last_alert_at, &last, || format!("lastAlertAt of {}", config.id));
}

fn statistics(books: &Books, alert: &Alert, broken: &mut Broken) {
    let states = || {
        let of = books.deliveries.values().filter(|delivery| delivery.alert_id == Some(alert.id));
        of.map(|delivery| delivery.state)
    };
    let sent = states().filter(|state| *state == DeliveryState::Sent).count();
    let failed = states().filter(|state| matches!(state, DeliveryState::Expired | DeliveryState::Dead)).count();
    let found = &alert.statistics;
    broken.equal(&found.delivery_count.0, &count(sent), || format!("deliveryCount of {}", alert.id));
    broken.equal(&found.failure_count.0, &count(failed), || format!("failureCount of {}", alert.id));
}

/// A quota is written once for each entry that was sent.
fn quotas(books: &Books, broken: &mut Broken) {
    let mut entries: BTreeMap<UserId, i64> = BTreeMap::new();
    for decision in books.decisions.values().flatten().flat_map(|chunk| &chunk.decisions) {
        let opened = decision.actions.iter().filter(|action| action.action != TradeAction::Close).count();
        *entries.entry(decision.user).or_default() += count(opened);
    }
    for (user, quota) in &books.quotas {
        let entries = entries.get(user).copied().unwrap_or(0);
        broken.equal(&quota.rev.0, &entries, || format!("quota changes of {user}"));
        let bounded = quota.day_entries.0 <= entries && quota.hour_entries.0 <= entries;
        broken.unless(bounded, || format!("{user}: the quota counts more entries than there were: {quota:?}"));
    }
}
