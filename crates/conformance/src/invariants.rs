//! What holds between the documents at any moment, whatever was done and wherever it was cut off; for histories made of
//! [`opening`](super::scene::opening) and [`closing`](super::scene::closing) chunks, whose counters are known.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::dump::StoreDump;
use alertcast_core::alert::document::{Alert, AlertStatus};
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::decision::DecisionChunk;
use alertcast_core::delivery::{Delivery, DeliveryState, MessageKind, exit_was_untold};
use alertcast_core::fixtures::{config_id, number};
use alertcast_core::id::{AlertId, DeliveryId};
use alertcast_core::preference::AlertPreference;
use alertcast_core::store::Collection;
use alertcast_core::subscription::Subscription;
use alertcast_core::trade::document::{Trade, TradeStatus};

/// Everything that the invariants are about.
#[derive(Debug)]
pub struct WholeStore {
    pub alerts: Vec<Alert>,
    pub trades: Vec<Trade>,
    pub deliveries: HashMap<DeliveryId, Delivery>,
    pub decisions: Vec<DecisionChunk>,
}

impl WholeStore {
    pub fn of(dump: &StoreDump) -> Self {
        Self {
            alerts: dump.all(Collection::Alerts),
            trades: dump.all(Collection::Trades),
            deliveries: dump.all(Collection::Deliveries).into_iter().map(|d: Delivery| (d.id, d)).collect(),
            decisions: dump.all(Collection::Decisions),
        }
    }

    fn deliveries_of(&self, alert: AlertId) -> impl Iterator<Item = &Delivery> {
        self.deliveries.values().filter(move |delivery| delivery.alert_id == Some(alert))
    }

    /// The delivery, or the one that tells its news.
    fn teller<'a>(&'a self, delivery: &'a Delivery) -> &'a Delivery {
        delivery.told_in().map_or(delivery, |by| &self.deliveries[&by])
    }
}

/// Fails, saying which, where one of them does not hold.
pub fn check(dump: &StoreDump) {
    let whole = WholeStore::of(dump);
    for alert in &whole.alerts {
        alert_stands(&whole, alert);
    }
    let place = |alert: &Alert| (alert.processing.alert_config_id, alert.alertcast.seq);
    let places: HashSet<_> = whole.alerts.iter().map(place).collect();
    assert_eq!(places.len(), whole.alerts.len(), "each alert has its own place in the order");
    for delivery in whole.deliveries.values() {
        delivery_stands(&whole, delivery);
    }
    for trade in &whole.trades {
        trade_stands(&whole, trade);
    }
    counters_match(dump, &whole);
    let changes = dump.documents(Collection::Changes);
    assert!(changes.is_sorted_by_key(|change| change.get_i64("seq").unwrap()));
}

/// What stands behind the cursor is there, and nothing else; its counters are those of its deliveries.
fn alert_stands(whole: &WholeStore, alert: &Alert) {
    let id = alert.id;
    let done: HashSet<_> = whole
        .decisions
        .iter()
        .filter(|chunk| chunk.alert_id == id)
        .flat_map(|chunk| chunk.decisions.iter().map(|decision| decision.user))
        .collect();
    let last = done.iter().max().copied();
    assert_eq!(alert.alertcast.cursor, last, "{id}: the cursor stands at the last decision");
    let acted: HashSet<_> = whole
        .trades
        .iter()
        .filter(|trade| trade.alerts.entry_alert_id == Some(id) || trade.alerts.exit_alert_id == Some(id))
        .map(|trade| trade.user_id)
        .collect();
    assert_eq!(acted, done, "{id}: trades and decisions were committed together");
    let told: HashSet<_> = whole.deliveries_of(id).filter_map(|delivery| delivery.user_id).collect();
    assert_eq!(told, done, "{id}: deliveries and decisions were committed together");
    let count = |states: &[DeliveryState]| {
        let of_state = whole.deliveries_of(id).filter(|delivery| states.contains(&delivery.state));
        i64::try_from(of_state.count()).unwrap()
    };
    assert_eq!(alert.statistics.delivery_count.0, count(&[DeliveryState::Sent]), "{id}");
    let failed = count(&[DeliveryState::Expired, DeliveryState::Dead]);
    assert_eq!(alert.statistics.failure_count.0, failed, "{id}");
    if alert.alertcast.settled_at.is_some() {
        assert_eq!(alert.processing.status, AlertStatus::Processed);
        assert!(whole.deliveries_of(id).all(|delivery| whole.teller(delivery).state.is_ended()), "{id}");
        assert_eq!(alert.processing.matched_users.len(), done.len(), "{id}");
        for matched in &alert.processing.matched_users {
            let mut of_user = whole.deliveries_of(id).filter(|delivery| delivery.user_id == Some(matched.user_id));
            let arrived = of_user.any(|delivery| whole.teller(delivery).state == DeliveryState::Sent);
            assert_eq!(matched.delivered, arrived, "{id}: {matched:?}");
        }
    } else {
        assert!(alert.processing.matched_users.is_empty() && alert.processing.trade_actions.is_empty());
    }
}

fn delivery_stands(whole: &WholeStore, delivery: &Delivery) {
    let id = delivery.id;
    assert_eq!(delivery.ended_at.is_some(), delivery.state.is_ended(), "{id}: {}", delivery.state);
    if matches!(delivery.state, DeliveryState::Sending | DeliveryState::Sent) {
        assert!(delivery.attempts.0 > 0, "{id}");
    }
    if delivery.state == DeliveryState::Sending {
        assert!(delivery.epoch.is_some(), "{id}");
    }
    let is_superseded = delivery.state == DeliveryState::Superseded;
    let may_be_overtaken = matches!(delivery.state, DeliveryState::Superseded | DeliveryState::Dropped);
    assert!(delivery.superseded_by.is_none() || may_be_overtaken, "{id}");
    assert!(delivery.superseded_by.is_some() || !is_superseded, "{id}");
    if is_superseded {
        assert_eq!(whole.teller(delivery).combines, Some(id), "told by the one that tells it");
    }
    if let Some(entry) = delivery.combines {
        assert_eq!(whole.deliveries[&entry].superseded_by, Some(id));
    }
    if delivery.kind == MessageKind::Result {
        assert!(!matches!(delivery.state, DeliveryState::Expired | DeliveryState::Dead), "{id}: {}", delivery.state);
        assert_eq!(delivery.alert_id, None, "{id}: no alert counts it");
    }
    if delivery.kind == MessageKind::Result && delivery.attempts.0 > 0 {
        let [entry, told] = [delivery.entry_delivery, delivery.follows].map(|id| &whole.deliveries[&id.unwrap()]);
        assert_eq!(entry.state, DeliveryState::Sent, "{id}: there was something to edit");
        assert!(whole.teller(told).state.is_ended(), "{id}: what it follows went first");
    }
}

/// Unreached exactly where every announcement ended unsent, without any doubt.
fn trade_stands(whole: &WholeStore, trade: &Trade) {
    let announcements = &trade.alertcast.entry_deliveries;
    let unsent = |delivery: &Delivery| {
        let teller = whole.teller(delivery);
        let is_doubtful = delivery.possible_repeat || teller.possible_repeat;
        teller.state.is_ended() && teller.state != DeliveryState::Sent && !is_doubtful
    };
    let none_arrived =
        !announcements.is_empty() && announcements.iter().all(|entry| unsent(&whole.deliveries[&entry.id]));
    assert_eq!(trade.alertcast.unreached, none_arrived, "{}", trade.id);
    let is_ended = trade.status != TradeStatus::Open;
    assert_eq!(trade.timestamps.closed_at.is_some(), is_ended, "{}", trade.id);
    let changes = 1 + i64::from(is_ended) + i64::from(none_arrived);
    assert_eq!(trade.alertcast.rev.0, changes, "{}: each change raised it", trade.id);
}

fn counters_match(dump: &StoreDump, whole: &WholeStore) {
    // By user and configuration: messages, trades.
    let mut used: BTreeMap<(u32, u32), (i64, i64)> = BTreeMap::new();
    for trade in &whole.trades {
        let of_user = used.entry((number(trade.user_id.0), number(trade.alert_config_id.0))).or_default();
        if !trade.alertcast.unreached {
            of_user.0 += 1;
            of_user.1 += 1;
        }
        of_user.0 += i64::from(trade.alerts.exit_alert_id.is_some());
    }
    // An exit that was told by no message because its entry never arrived counts for nobody.
    let mut untold = BTreeSet::new();
    for exit in whole.deliveries.values() {
        let of_user = whole.deliveries.values().filter(|one| one.user_id == exit.user_id);
        if exit_was_untold(exit, of_user) && untold.insert((exit.cause.id, exit.user_id)) {
            let key = (number(exit.user_id.unwrap().0), number(exit.alert_config_id.unwrap().0));
            used.entry(key).or_default().0 -= 1;
        }
    }
    for subscription in dump.all::<Subscription>(Collection::UserSubscriptions) {
        let user = number(subscription.user_id.0);
        let sums = used.iter().filter(|((of, _), _)| *of == user);
        let sum = sums.fold((0, 0), |sum, (_, used)| (sum.0 + used.0, sum.1 + used.1));
        let usage = (subscription.usage.alerts_received.0, subscription.usage.trades_opened.0);
        assert_eq!(usage, sum, "the subscription of user {user}");
    }
    for preference in dump.all::<AlertPreference>(Collection::UserAlertPreferences) {
        let key = (number(preference.user_id.0), number(preference.alert_config_id.0));
        let statistics = (preference.statistics.alerts_received.0, preference.statistics.trades_opened.0);
        assert_eq!(statistics, used.get(&key).copied().unwrap_or_default(), "the preference {key:?}");
    }
    for config in dump.all::<AlertConfiguration>(Collection::AlertConfigurations) {
        let opened = whole.trades.iter().filter(|trade| trade.alert_config_id == config.id);
        let closed = opened.clone().filter(|trade| trade.status == TradeStatus::Closed).count();
        assert_eq!(config.statistics.total_trades.0, i64::try_from(opened.count()).unwrap());
        assert_eq!(config.alertcast.closed_by_tp.0, i64::try_from(closed).unwrap());
        assert!(config.id != config_id(0));
    }
    let exits = whole.deliveries.values().filter(|delivery| delivery.kind == MessageKind::Exit);
    let closed = whole.trades.iter().filter(|trade| trade.alerts.exit_alert_id.is_some());
    let closed: HashSet<_> = closed.map(|trade| trade.id).collect();
    for exit in exits {
        assert!(closed.contains(&exit.trade_id.unwrap()), "an exit of a trade that has ended");
    }
}
