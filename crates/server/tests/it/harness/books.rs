//! Everything that the store holds, read at once.

use std::collections::BTreeMap;

use alertcast_core::alert::document::Alert;
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::decision::{Decision, DecisionChunk};
use alertcast_core::delivery::Delivery;
use alertcast_core::id::{AlertId, ConfigId, DeliveryId, TradeId, UserId};
use alertcast_core::plan::Plan;
use alertcast_core::preference::AlertPreference;
use alertcast_core::quota::Quota;
use alertcast_core::store::{Collection, Store, read};
use alertcast_core::subscription::Subscription;
use alertcast_core::trade::document::Trade;
use alertcast_core::user::User;
use serde::de::DeserializeOwned;

const PAGE: usize = 2_000;

/// What the store holds.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) alerts: BTreeMap<AlertId, Alert>,
    pub(crate) trades: BTreeMap<TradeId, Trade>,
    pub(crate) deliveries: BTreeMap<DeliveryId, Delivery>,
    /// By alert, then by first user.
    pub(crate) decisions: BTreeMap<AlertId, Vec<DecisionChunk>>,
    pub(crate) configs: BTreeMap<ConfigId, AlertConfiguration>,
    pub(crate) plans: Vec<Plan>,
    pub(crate) users: BTreeMap<UserId, User>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) preferences: Vec<AlertPreference>,
    pub(crate) quotas: BTreeMap<UserId, Quota>,
    pub(crate) rejected: usize,
    by_recipient: BTreeMap<(AlertId, UserId), Vec<DeliveryId>>,
}

impl Books {
    pub(crate) async fn read(store: &dyn Store) -> Self {
        let mut decisions: BTreeMap<AlertId, Vec<DecisionChunk>> = BTreeMap::new();
        for chunk in all::<DecisionChunk>(store, Collection::Decisions).await {
            decisions.entry(chunk.alert_id).or_default().push(chunk);
        }
        decisions.values_mut().for_each(|chunks| chunks.sort_by_key(|chunk| chunk.first_user));
        let deliveries = by(all(store, Collection::Deliveries).await, |delivery: &Delivery| delivery.id);
        let mut by_recipient: BTreeMap<(AlertId, UserId), Vec<DeliveryId>> = BTreeMap::new();
        for delivery in deliveries.values() {
            if let (Some(alert), Some(user)) = (delivery.alert_id, delivery.user_id) {
                by_recipient.entry((alert, user)).or_default().push(delivery.id);
            }
        }
        Self {
            by_recipient,
            alerts: by(all(store, Collection::Alerts).await, |alert: &Alert| alert.id),
            trades: by(all(store, Collection::Trades).await, |trade: &Trade| trade.id),
            deliveries,
            decisions,
            configs: by(all(store, Collection::AlertConfigurations).await, |config: &AlertConfiguration| config.id),
            plans: all(store, Collection::SubscriptionPlans).await,
            users: by(all(store, Collection::Users).await, |user: &User| user.id),
            subscriptions: all(store, Collection::UserSubscriptions).await,
            preferences: all(store, Collection::UserAlertPreferences).await,
            quotas: by(all(store, Collection::Quotas).await, |quota: &Quota| quota.user),
            rejected: all::<bson::Document>(store, Collection::RejectedWebhooks).await.len(),
        }
    }

    /// What was decided about every user, chunk after chunk.
    pub(crate) fn decided(&self, alert: AlertId) -> impl Iterator<Item = &Decision> {
        self.decisions.get(&alert).into_iter().flatten().flat_map(|chunk| &chunk.decisions)
    }

    /// What was decided about one user.
    pub(crate) fn decision(&self, alert: AlertId, user: UserId) -> Option<&Decision> {
        let chunk = self.decisions.get(&alert)?.iter().find(|chunk| user <= chunk.last_user)?;
        let at = chunk.decisions.binary_search_by_key(&user, |decision| decision.user).ok()?;
        chunk.decisions.get(at)
    }

    /// What goes out to one user because of one alert.
    pub(crate) fn deliveries_to(&self, alert: AlertId, user: UserId) -> impl Iterator<Item = &Delivery> {
        self.by_recipient.get(&(alert, user)).into_iter().flatten().map(|id| &self.deliveries[id])
    }

    /// A user's trades in a configuration, by number.
    pub(crate) fn trades_of(&self, user: UserId, config: ConfigId) -> Vec<&Trade> {
        let of = |trade: &&Trade| trade.user_id == user && trade.alert_config_id == config;
        let mut trades: Vec<&Trade> = self.trades.values().filter(of).collect();
        trades.sort_by_key(|trade| trade.trade_number.0);
        trades
    }
}

async fn all<T: DeserializeOwned>(store: &dyn Store, collection: Collection) -> Vec<T> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store.page(collection, after, PAGE).await.unwrap();
        let Some(last) = page.last() else { return found };
        after = Some(last.get_object_id("_id").unwrap());
        found.extend(page.into_iter().map(|document| read::<T>(collection, document).unwrap()));
    }
}

fn by<K: Ord, T>(documents: Vec<T>, key: impl Fn(&T) -> K) -> BTreeMap<K, T> {
    documents.into_iter().map(|document| (key(&document), document)).collect()
}
