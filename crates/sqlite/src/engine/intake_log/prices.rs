//! The last prices of each configuration, so that no alert has to look them up. Loaded when they are first asked for;
//! kept by what is accepted, and by what is refused for its price alone; forgotten when alerts are written in any other
//! way.

use std::collections::HashMap;

use alertcast_core::alert::document::{Alert, PricePoint};
use alertcast_core::id::{AlertId, ConfigId};
use alertcast_core::market::Signal;
use alertcast_core::time::Time;

/// How many prices of the past a new one is held against.
pub(crate) const RECENT_PRICES: usize = 8;

/// A price, and the alert that brought it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AlertPrice {
    pub(crate) alert: AlertId,
    pub(crate) point: PricePoint,
}

impl AlertPrice {
    /// What an alert adds to the prices of a configuration: none for one that is refused for more than its price, or is
    /// no entry.
    pub(crate) fn of(alert: &Alert) -> Option<(ConfigId, Self)> {
        let config = alert.processing.alert_config_id?;
        let is_entry = matches!(alert.alert_data.signal, Signal::Buy | Signal::Sell);
        let accepted = alert.alertcast.refused_for.is_empty();
        let counts = accepted || alert.alertcast.refused_for == [PRICE_TOLERANCE];
        let point = PricePoint { price: alert.alert_data.price, at: alert.webhook.received_at, accepted };
        (is_entry && counts).then_some((config, Self { alert: alert.id, point }))
    }
}

/// The code of the only offence that leaves a refused price counting.
pub(crate) const PRICE_TOLERANCE: &str = "price_tolerance";

/// The prices that are known.
#[derive(Debug, Default)]
pub(super) struct RecentPrices {
    by_config: HashMap<ConfigId, LoadedPrices>,
    loads: u64,
}

#[derive(Debug, Clone)]
struct LoadedPrices {
    /// Those received since then are known, or will be when the load of that number has ended.
    since: Time,
    load: u64,
    is_loaded: bool,
    /// Newest first.
    prices: Vec<AlertPrice>,
}

/// A load that has begun.
#[derive(Debug)]
pub(crate) struct PriceLoad {
    config: ConfigId,
    number: u64,
    /// Of the log, as it began: no table has it yet.
    known: LoadedPrices,
}

impl RecentPrices {
    /// The prices received since then; none where they have to be loaded.
    pub(super) fn find(&self, config: ConfigId, since: Time) -> Option<Vec<PricePoint>> {
        let known = self.by_config.get(&config).filter(|known| known.is_loaded && known.since <= since)?;
        Some(known.prices.iter().map(|price| price.point).filter(|point| point.at >= since).collect())
    }

    /// Notes what comes from here on, beside what is being loaded. `so_far`: those that no table has yet.
    pub(super) fn begin(&mut self, config: ConfigId, since: Time, so_far: Vec<AlertPrice>) -> PriceLoad {
        self.loads += 1;
        let mut known = LoadedPrices { since, load: self.loads, is_loaded: false, prices: Vec::new() };
        so_far.into_iter().for_each(|price| known.add(price));
        self.by_config.insert(config, known.clone());
        PriceLoad { config, number: self.loads, known }
    }

    /// Takes in what was loaded; answers the prices. Where all were forgotten meanwhile, they are not kept.
    pub(super) fn end(&mut self, mut load: PriceLoad, loaded: Vec<AlertPrice>) -> Vec<PricePoint> {
        let kept = self.by_config.get_mut(&load.config).filter(|known| known.load == load.number);
        let known = kept.unwrap_or(&mut load.known);
        loaded.into_iter().for_each(|price| known.add(price));
        known.is_loaded = true;
        known.prices.iter().map(|price| price.point).collect()
    }

    pub(super) fn note(&mut self, config: ConfigId, price: AlertPrice) {
        if let Some(known) = self.by_config.get_mut(&config) {
            known.add(price);
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.by_config.clear();
    }
}

impl LoadedPrices {
    fn add(&mut self, price: AlertPrice) {
        let is_known = self.prices.iter().any(|known| known.alert == price.alert);
        if is_known || price.point.at < self.since {
            return;
        }
        let place = self.prices.partition_point(|known| known.point.at > price.point.at);
        self.prices.insert(place, price);
        self.prices.truncate(RECENT_PRICES);
    }
}

#[cfg(test)]
mod tests {
    use alertcast_core::money::Price;
    use bson::oid::ObjectId;

    use super::*;

    fn price(n: u8, at: i64) -> AlertPrice {
        let point =
            PricePoint { price: Price::from_f64(f64::from(n)).unwrap(), at: Time::from_millis(at), accepted: true };
        AlertPrice { alert: AlertId(ObjectId::from_bytes([n; 12])), point }
    }

    fn times(points: Option<Vec<PricePoint>>) -> Option<Vec<i64>> {
        points.map(|points| points.iter().map(|point| point.at.millis()).collect())
    }

    const CONFIG: ConfigId = ConfigId::MIN;

    #[test]
    fn what_comes_while_the_prices_are_loaded_is_among_them_once() {
        let mut prices = RecentPrices::default();
        let since = Time::from_millis(5);
        let load = prices.begin(CONFIG, since, vec![price(1, 10)]);
        prices.note(CONFIG, price(2, 20));
        assert_eq!(prices.find(CONFIG, since), None, "not yet");
        let found = prices.end(load, vec![price(3, 15), price(1, 10), price(4, 4)]);
        assert_eq!(times(Some(found)), Some(vec![20, 15, 10]));
        prices.note(CONFIG, price(5, 17));
        assert_eq!(times(prices.find(CONFIG, Time::from_millis(15))), Some(vec![20, 17, 15]));
        assert_eq!(prices.find(CONFIG, Time::from_millis(4)), None, "so far back it was not looked");
    }

    #[test]
    fn what_was_forgotten_while_it_was_loaded_is_told_and_not_kept() {
        let mut prices = RecentPrices::default();
        let load = prices.begin(CONFIG, Time::from_millis(0), vec![price(1, 10)]);
        prices.forget_all();
        let found = prices.end(load, vec![price(2, 5)]);
        assert_eq!(times(Some(found)), Some(vec![10, 5]));
        assert_eq!(prices.find(CONFIG, Time::from_millis(0)), None);
    }

    #[test]
    fn so_many_are_kept_as_one_is_held_against() {
        let mut prices = RecentPrices::default();
        let load = prices.begin(CONFIG, Time::from_millis(0), Vec::new());
        prices.end(load, Vec::new());
        (0..20).for_each(|n| prices.note(CONFIG, price(n, i64::from(n))));
        let newest: Vec<i64> = (12..20).rev().collect();
        assert_eq!(times(prices.find(CONFIG, Time::from_millis(0))), Some(newest));
    }
}
