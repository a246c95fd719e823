//! What passed through this process lately: the keys of its alerts, and the prices that they brought. It stands in for
//! the store's answers while that is away, and is bounded.

use std::collections::{HashMap, VecDeque};

use alertcast_core::alert::document::{Alert, PricePoint};
use alertcast_core::id::{AlertId, ConfigId};
use alertcast_core::market::Signal;
use alertcast_core::store::{AlertAcceptance, IntakeKey};
use alertcast_core::time::Time;

/// Keys remembered: some hours of a busy provider, and a day's named alerts of a quiet one.
const KEYS_MAX: usize = 100_000;
/// Configurations whose prices are remembered.
const CONFIGS_MAX: usize = 10_000;
/// As many prices as a new one is held against.
const PRICES_MAX: usize = 8;
/// The code of the rule by which a price alone is refused.
const BY_PRICE: &str = "price_tolerance";

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct RecentRecords {
    keys: HashMap<String, (AlertId, Time)>,
    /// The keys, the oldest first.
    order: VecDeque<String>,
    /// Newest first.
    prices: HashMap<ConfigId, Vec<PricePoint>>,
}

impl RecentRecords {
    /// An alert was answered.
    pub(super) fn note(&mut self, alert: &Alert, keys: &[IntakeKey], acceptance: AlertAcceptance) {
        let holder = match acceptance {
            AlertAcceptance::Stored => {
                self.note_price(alert, true);
                alert.id
            }
            // Which of the keys it holds is not told: only one of one is certain.
            AlertAcceptance::Duplicate { .. } if keys.len() != 1 => return,
            AlertAcceptance::Duplicate { of } => of,
        };
        for key in keys {
            if self.keys.insert(key.key.clone(), (holder, key.until)).is_none() {
                self.order.push_back(key.key.clone());
            }
        }
        while self.order.len() > KEYS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.keys.remove(&oldest);
            }
        }
    }

    /// An alert was refused. Its price counts where that was its only offence.
    pub(super) fn note_refused(&mut self, alert: &Alert) {
        if alert.alertcast.refused_for == [BY_PRICE] {
            self.note_price(alert, false);
        }
    }

    fn note_price(&mut self, alert: &Alert, accepted: bool) {
        let opens = matches!(alert.alert_data.signal, Signal::Buy | Signal::Sell);
        if let Some(config) = alert.processing.alert_config_id.filter(|_| opens) {
            let point = PricePoint { price: alert.alert_data.price, at: alert.webhook.received_at, accepted };
            let known = self.prices.remove(&config).unwrap_or_default();
            self.replace_prices(config, &merge_prices(known, &[point]));
        }
    }

    /// The store's answer.
    pub(super) fn replace_prices(&mut self, config: ConfigId, prices: &[PricePoint]) {
        if self.prices.len() >= CONFIGS_MAX && !self.prices.contains_key(&config) {
            // Which one goes matters little: it costs a guard against a slipped digit while the store is away.
            let some = self.prices.keys().next().copied();
            some.map(|config| self.prices.remove(&config));
        }
        self.prices.insert(config, prices.to_vec());
    }

    /// The prices received since then, and those that the store told: newest first.
    pub(super) fn prices(&self, config: ConfigId, since: Time, stored: Vec<PricePoint>) -> Vec<PricePoint> {
        let known = self.prices.get(&config).map_or(&[][..], Vec::as_slice);
        let mut prices = merge_prices(stored, known);
        prices.retain(|point| point.at >= since);
        prices
    }

    /// The alert that holds one of these keys at `now`.
    pub(super) fn holder(&self, keys: &[IntakeKey], now: Time) -> Option<AlertId> {
        let held = keys.iter().filter_map(|key| self.keys.get(&key.key));
        held.filter(|(_, until)| *until > now).map(|(holder, _)| *holder).next()
    }
}

/// Both, each price once, newest first.
fn merge_prices(mut prices: Vec<PricePoint>, more: &[PricePoint]) -> Vec<PricePoint> {
    let fresh: Vec<_> = more.iter().filter(|point| !prices.contains(point)).copied().collect();
    prices.extend(fresh);
    prices.sort_by_key(|point| std::cmp::Reverse(point.at));
    prices.truncate(PRICES_MAX);
    prices
}

#[cfg(test)]
mod tests {
    use alertcast_core::fixtures::{alert, alert_id, at, config_id, key, price};

    use super::*;

    #[test]
    fn keys_are_held_until_their_time_and_the_oldest_go_first() {
        let mut recent = RecentRecords::default();
        recent.note(&alert(1, 1), &[key("a", at(10))], AlertAcceptance::Stored);
        assert_eq!(recent.holder(&[key("b", at(99)), key("a", at(99))], at(9)), Some(alert_id(1)));
        assert_eq!(recent.holder(&[key("a", at(99))], at(10)), None, "its time is over");
        for n in 0..KEYS_MAX {
            recent.note(&alert(2, 1), &[key(&n.to_string(), at(10))], AlertAcceptance::Stored);
        }
        assert_eq!(recent.holder(&[key("a", at(99))], at(9)), None);
        assert_eq!((recent.keys.len(), recent.order.len()), (KEYS_MAX, KEYS_MAX));
    }

    #[test]
    fn what_another_process_accepted_is_known_by_the_answer() {
        let mut recent = RecentRecords::default();
        recent.note(&alert(1, 1), &[key("a", at(10))], AlertAcceptance::Duplicate { of: alert_id(7) });
        assert_eq!(recent.holder(&[key("a", at(99))], at(9)), Some(alert_id(7)));
    }

    #[test]
    fn prices_are_the_newest_and_those_refused_for_their_price_alone_count() {
        let mut recent = RecentRecords::default();
        for n in 1..=9 {
            let mut priced = alert(n, 1);
            priced.webhook.received_at = at(i64::from(n));
            priced.alert_data.price = price(f64::from(n));
            recent.note(&priced, &[], AlertAcceptance::Stored);
        }
        let mut refused = alert(10, 1);
        refused.webhook.received_at = at(10);
        refused.alertcast.refused_for = vec!["price_tolerance".to_owned(), "price_side".to_owned()];
        recent.note_refused(&refused);
        refused.alertcast.refused_for.truncate(1);
        recent.note_refused(&refused);
        let newest = recent.prices(config_id(1), at(8), Vec::new());
        assert_eq!(
            newest.iter().map(|point| (point.at, point.accepted)).collect::<Vec<_>>(),
            [(at(10), false), (at(9), true), (at(8), true),]
        );
        assert_eq!(recent.prices(config_id(1), at(0), newest).len(), PRICES_MAX, "each counts once");
        assert_eq!(recent.prices(config_id(2), at(0), Vec::new()), []);
    }
}
