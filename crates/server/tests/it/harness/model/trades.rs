//! No trade is doubled or lost: decisions and trades name each other, one for one.

use std::collections::{BTreeMap, BTreeSet};

use alertcast_core::alert::document::TradeAction;
use alertcast_core::decision::Verdict;
use alertcast_core::delivery::Delivery;
use alertcast_core::id::{AlertId, ConfigId, TradeId, UserId};
use alertcast_core::market::ExitReason;
use alertcast_core::matching::entitlement::trade_limit;
use alertcast_core::trade::document::{Trade, TradeStatus};

use super::{Broken, Model};
use crate::harness::books::Books;

pub(super) fn check(model: &Model<'_>, broken: &mut Broken) {
    let books = model.books;
    for trade in books.trades.values() {
        shape(trade, broken);
    }
    numbers(books, broken);
    limits(books, broken);
    actions(books, broken);
}

/// A trade is open, or has ended once, with all that its end says.
fn shape(trade: &Trade, broken: &mut Broken) {
    let (data, times) = (&trade.trade_data, &trade.timestamps);
    let ended = [
        data.exit_price.is_some(),
        data.exit_reason.is_some(),
        times.closed_at.is_some(),
        trade.pnl.amount.is_some(),
        trade.pnl.percentage.is_some(),
    ];
    let replaced = [times.replaced_at.is_some(), trade.metadata.replaced_by.is_some()];
    let whole = |parts: &[bool], wanted: bool| parts.iter().all(|part| *part == wanted);
    let fits = match trade.status {
        TradeStatus::Open => whole(&ended, false) && whole(&replaced, false),
        TradeStatus::Closed => {
            whole(&ended, true) && whole(&replaced, false) && data.exit_reason != Some(ExitReason::Replaced)
        }
        TradeStatus::Replaced => {
            whole(&ended, true) && whole(&replaced, true) && data.exit_reason == Some(ExitReason::Replaced)
        }
    };
    broken.unless(fits, || format!("trade {} is {} and does not look so: {trade:?}", trade.id, trade.status));
}

/// For each user and configuration, numbers count from 1 without gap or double.
fn numbers(books: &Books, broken: &mut Broken) {
    let mut numbers: BTreeMap<(UserId, ConfigId), Vec<i64>> = BTreeMap::new();
    for trade in books.trades.values() {
        numbers.entry((trade.user_id, trade.alert_config_id)).or_default().push(trade.trade_number.0);
    }
    for (of, mut found) in numbers {
        found.sort_unstable();
        let counted = found.iter().zip(1..).all(|(number, expected)| *number == expected);
        broken.unless(counted, || format!("the trade numbers of {of:?} are {found:?}"));
    }
}

/// No more trades are open than may be.
fn limits(books: &Books, broken: &mut Broken) {
    let mut open: BTreeMap<(UserId, ConfigId), usize> = BTreeMap::new();
    let counts = |trade: &&Trade| trade.status == TradeStatus::Open && !trade.alertcast.unreached;
    for trade in books.trades.values().filter(counts) {
        *open.entry((trade.user_id, trade.alert_config_id)).or_default() += 1;
    }
    for ((user, config), count) in open {
        let limit = limit(books, user, config);
        broken.unless(count <= limit, || format!("{user} holds {count} open trades in {config}, may hold {limit}"));
    }
}

fn limit(books: &Books, user: UserId, config: ConfigId) -> usize {
    let rules = &books.configs[&config].trade_management;
    let held = books.subscriptions.iter().filter(|held| held.user_id == user);
    let plans = held.filter_map(|held| books.plans.iter().find(|plan| plan.id == held.subscription_plan_id));
    let with = plans.filter(|plan| plan.alert_configurations.contains(&config));
    with.map(|plan| trade_limit(rules, &plan.features)).max().unwrap_or(0)
}

/// Each trade was opened by one decision; each that ended was ended by one.
fn actions(books: &Books, broken: &mut Broken) {
    let mut opened: BTreeMap<TradeId, Vec<(AlertId, UserId, TradeAction)>> = BTreeMap::new();
    let mut closed = opened.clone();
    for (alert, chunks) in &books.decisions {
        for decision in chunks.iter().flat_map(|chunk| &chunk.decisions) {
            for action in &decision.actions {
                let list = if action.action == TradeAction::Close { &mut closed } else { &mut opened };
                list.entry(action.trade).or_default().push((*alert, decision.user, action.action));
            }
        }
    }
    let known: BTreeSet<_> = books.trades.keys().collect();
    for trade in opened.keys().chain(closed.keys()) {
        broken.unless(known.contains(trade), || format!("a decision names the trade {trade}, which is lost"));
    }
    let mut replaced: BTreeMap<TradeId, Vec<&Trade>> = BTreeMap::new();
    for trade in books.trades.values() {
        if let Some(by) = trade.metadata.replaced_by {
            replaced.entry(by).or_default().push(trade);
        }
    }
    for trade in books.trades.values() {
        let replaced = replaced.get(&trade.id).map_or(&[][..], Vec::as_slice);
        begin(trade, replaced, opened.get(&trade.id).map_or(&[], Vec::as_slice), broken);
        announced(books, trade, broken);
        end(books, trade, closed.get(&trade.id).map_or(&[], Vec::as_slice), broken);
    }
}

fn begin(trade: &Trade, replaced: &[&Trade], by: &[(AlertId, UserId, TradeAction)], broken: &mut Broken) {
    let [(alert, user, action)] = by else {
        return broken.unless(false, || format!("trade {} was opened by {by:?}", trade.id));
    };
    broken.equal(&trade.alerts.entry_alert_id, &Some(*alert), || format!("entryAlertId of {}", trade.id));
    broken.equal(&trade.user_id, user, || format!("userId of {}", trade.id));
    let expected = usize::from(*action == TradeAction::Replace);
    broken.equal(&replaced.len(), &expected, || format!("trades that {} replaced", trade.id));
    for old in replaced {
        broken.unless(old.user_id == trade.user_id && old.alert_config_id == trade.alert_config_id, || {
            format!("{} replaced {}, which is somebody else's", trade.id, old.id)
        });
        broken.equal(&old.alerts.exit_alert_id, &Some(*alert), || format!("exitAlertId of {}", old.id));
        let price = Some(trade.trade_data.entry_price);
        broken.equal(&old.trade_data.exit_price, &price, || format!("exitPrice of {}", old.id));
    }
}

/// Its announcements are there, and are about it.
fn announced(books: &Books, trade: &Trade, broken: &mut Broken) {
    let Some(alert) = trade.alerts.entry_alert_id else { return };
    let of = |delivery: &&Delivery| delivery.trade_id == Some(trade.id);
    let found: BTreeSet<_> = books.deliveries_to(alert, trade.user_id).filter(of).map(|delivery| delivery.id).collect();
    let named: BTreeSet<_> = trade.alertcast.entry_deliveries.iter().map(|entry| entry.id).collect();
    broken.equal(&found, &named, || format!("announcements of {}", trade.id));
    broken.unless(!named.is_empty(), || format!("trade {} was announced to nobody", trade.id));
}

fn end(books: &Books, trade: &Trade, by: &[(AlertId, UserId, TradeAction)], broken: &mut Broken) {
    match (trade.status, by) {
        (TradeStatus::Open | TradeStatus::Replaced, []) => {}
        (TradeStatus::Closed, []) if trade.trade_data.exit_reason == Some(ExitReason::Manual) => {
            broken.equal(&trade.alerts.exit_alert_id, &None, || format!("exitAlertId of {}", trade.id));
        }
        (TradeStatus::Closed, [(alert, ..)]) => {
            broken.equal(&trade.alerts.exit_alert_id, &Some(*alert), || format!("exitAlertId of {}", trade.id));
            told(books, trade, *alert, broken);
        }
        (status, by) => broken.unless(false, || format!("trade {} is {status} and was closed by {by:?}", trade.id)),
    }
}

/// Who got the entry gets its exit, unless they switched exits off or have no way to be told.
fn told(books: &Books, trade: &Trade, alert: AlertId, broken: &mut Broken) {
    let Some(decision) = books.decision(alert, trade.user_id) else { return };
    if decision.verdict == Verdict::Sent && !trade.alertcast.unreached {
        let tells = books.deliveries_to(alert, trade.user_id).any(|delivery| delivery.trade_id == Some(trade.id));
        broken.unless(tells, || format!("{} is not told that trade {} ended", trade.user_id, trade.id));
    }
}
