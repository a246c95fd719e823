//! Every counter is the sum over the documents that it counts.

use std::collections::BTreeSet;

use alertcast_core::alert::document::{Alert, AlertStatus, TradeAction};
use alertcast_core::config::AlertConfiguration;
use alertcast_core::delivery::{Delivery, DeliveryState, MessageKind};
use alertcast_core::id::{AlertId, UserId};
use alertcast_core::market::ExitReason;
use alertcast_core::trade::document::Trade;

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
    for held in &books.subscriptions {
        let of = |delivery: &&Delivery| delivery.subscription_id == Some(held.id);
        let trades = |trade: &&Trade| trade.subscription_id == held.id;
        let (alerts, opened) = received(books, of, trades);
        broken.equal(&held.usage.alerts_received.0, &alerts, || format!("alertsReceived of {}", held.id));
        broken.equal(&held.usage.trades_opened.0, &opened, || format!("tradesOpened of {}", held.id));
    }
    for wanted in &books.preferences {
        let (user, config) = (wanted.user_id, wanted.alert_config_id);
        let of = |delivery: &&Delivery| delivery.user_id == Some(user) && delivery.alert_config_id == Some(config);
        let trades = |trade: &&Trade| trade.user_id == user && trade.alert_config_id == config;
        let (alerts, opened) = received(books, of, trades);
        broken.equal(&wanted.statistics.alerts_received.0, &alerts, || format!("alertsReceived in {}", wanted.id));
        broken.equal(&wanted.statistics.trades_opened.0, &opened, || format!("tradesOpened in {}", wanted.id));
    }
    quotas(books, broken);
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap()
}

/// Alerts received and trades opened. An alert's exits count as one message, its entry as another; an entry that never
/// arrived is taken back.
fn received<'b>(
    books: &'b Books,
    of: impl Fn(&&'b Delivery) -> bool,
    trades: impl Fn(&&'b Trade) -> bool,
) -> (i64, i64) {
    let is_entry = |kind| matches!(kind, MessageKind::Entry | MessageKind::Replacement);
    let told = |delivery: &'b Delivery| Some((delivery.alert_id?, delivery.user_id?, is_entry(delivery.kind)));
    let messages: BTreeSet<(AlertId, UserId, bool)> =
        books.deliveries.values().filter(|delivery| of(delivery)).filter_map(told).collect();
    let trades: Vec<&Trade> = books.trades.values().filter(|trade| trades(trade)).collect();
    let unreached = trades.iter().filter(|trade| trade.alertcast.unreached).count();
    (count(messages.len()) - count(unreached), count(trades.len()) - count(unreached))
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
    for (user, quota) in &books.quotas {
        let decisions = books.decisions.values().flatten().flat_map(|chunk| &chunk.decisions);
        let entries = decisions
            .filter(|decision| decision.user == *user)
            .flat_map(|decision| &decision.actions)
            .filter(|action| action.action != TradeAction::Close)
            .count();
        broken.equal(&quota.rev.0, &count(entries), || format!("quota changes of {user}"));
        let bounded = quota.day_entries.0 <= count(entries) && quota.hour_entries.0 <= quota.rev.0;
        broken.unless(bounded, || format!("{user}: the quota counts more entries than there were: {quota:?}"));
    }
}
