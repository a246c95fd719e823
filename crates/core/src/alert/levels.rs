//! An alert's levels, in any shape that people send them: `tp: 110`, `takeProfit: {limitPrice: 110}`,
//! `tp: [110, 120]`, `target_1` and `target_2`, `sl: "2%"`, `tp_percent: 2`.
//!
//! They are read in two steps: what is [`GivenLevels`] stands in the payload; [`GivenLevels::resolve`] makes prices of it once the
//! entry's price and side are known. What looks like a level and is none is a problem, which only an entry is refused
//! for: nobody is to follow an entry whose stop loss was lost on the way.

mod find;
mod name;
mod value;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Map;

use super::document::AlertData;
use super::rule_violation::RuleViolation;
use crate::market::Side;
use crate::money::Price;

use self::name::LevelKind;

pub(super) use self::find::read;

/// A level as it is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum GivenLevel {
    At(Price),
    /// So many percent of the entry's price away from it.
    Percent(Decimal),
}

/// The levels that an alert gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GivenLevels {
    /// Take profits by their number, of fields that are one each.
    targets: BTreeMap<u32, GivenLevel>,
    /// Take profits by their place in a list.
    listed: BTreeMap<u32, GivenLevel>,
    stop_loss: Option<GivenLevel>,
    /// Prices under names that may be other things' (`t1`): targets where they can be ones.
    perhaps: BTreeMap<u32, Price>,
    /// Levels of trades of one side: `tp_long`, `tp_short`.
    sided: Vec<SidedLevels>,
}

/// A level that only trades of its side have.
#[derive(Debug, Clone, Copy, PartialEq)]
struct SidedLevels {
    side: Side,
    kind: LevelKind,
    number: u32,
    level: GivenLevel,
}

/// Whether a field's name is a level's.
pub(super) fn is_level(name: &str) -> bool {
    name::LevelName::of(name).is_some()
}

/// An alert's levels as prices.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct PriceLevels {
    pub(super) take_profit: Option<Price>,
    pub(super) stop_loss: Option<Price>,
    /// The take profits behind the first, in their order.
    pub(super) targets: Vec<Price>,
}

/// What was found, and where.
#[derive(Debug, Default)]
pub(super) struct FoundLevels {
    pub(super) given: GivenLevels,
    pub(super) problems: Vec<RuleViolation>,
    /// The places of the body's fields that are used up.
    pub(super) used: Vec<Vec<String>>,
    /// The names of the query's fields that are used up, or overruled by the body.
    pub(super) used_of_query: Vec<String>,
    /// The names of the query's fields that give further targets: they are kept, also where the body has one of that name
    /// that cannot be read.
    pub(super) further_of_query: Vec<String>,
}

impl GivenLevels {
    /// The levels as prices. Those in percent need the entry's side and its price; without, they are left out.
    pub(super) fn resolve(&self, side: Option<Side>, entry: Option<Price>) -> PriceLevels {
        let price = |kind, level: &GivenLevel| level.price(kind, side, entry);
        let mut targets = self.take_profits(|level| price(LevelKind::TakeProfit, level));
        let mut stop_loss = self.stop_loss.as_ref().and_then(|level| price(LevelKind::StopLoss, level));
        for sided in self.sided.iter().filter(|sided| Some(sided.side) == side) {
            match (sided.kind, price(sided.kind, &sided.level)) {
                (LevelKind::TakeProfit, Some(target)) => _ = targets.entry(sided.number).or_insert(target),
                (LevelKind::StopLoss, stop) => stop_loss = stop_loss.or(stop),
                (LevelKind::TakeProfit, None) => {}
            }
        }
        if let (Some(side), Some(entry)) = (side, entry) {
            let more = self.perhaps.iter().filter(|(_, target)| may_be_target(**target, side, entry));
            more.for_each(|(number, target)| _ = targets.entry(*number).or_insert(*target));
        }
        PriceLevels {
            take_profit: targets.get(&1).copied(),
            stop_loss,
            targets: targets.range(2..).map(|(_, target)| *target).collect(),
        }
    }

    /// The take profits by their number. Where a list begins with another level than the field that gives the first one,
    /// it is a list of the further ones.
    fn take_profits(&self, price: impl Fn(&GivenLevel) -> Option<Price>) -> BTreeMap<u32, Price> {
        let prices = |levels: &BTreeMap<u32, GivenLevel>| -> BTreeMap<u32, Price> {
            levels.iter().filter_map(|(number, level)| Some((*number, price(level)?))).collect()
        };
        let (mut named, listed) = (prices(&self.targets), prices(&self.listed));
        let differ = named.get(&1).zip(listed.get(&1)).is_some_and(|(first, listed)| first != listed);
        let shift = u32::from(differ && named.len() == 1);
        for (number, target) in listed {
            named.entry(number + shift).or_insert(target);
        }
        named
    }

    /// The levels of which no price can be made for this entry: a percentage that leads beyond all prices.
    pub(super) fn out_of_range(&self, side: Side, entry: Price) -> Vec<&'static str> {
        let lost = |kind, level: &GivenLevel| level.price(kind, Some(side), Some(entry)).is_none();
        let tp = self.targets.values().chain(self.listed.values()).any(|level| lost(LevelKind::TakeProfit, level));
        let sl = self.stop_loss.iter().any(|level| lost(LevelKind::StopLoss, level));
        [("tp", tp), ("sl", sl)].into_iter().filter(|(_, lost)| *lost).map(|(field, _)| field).collect()
    }
}

/// Whether a number is a take profit's price for such a trade: on its side, and not another thing's, as a time is.
fn may_be_target(target: Price, side: Side, entry: Price) -> bool {
    const TIMES_MAX: Decimal = Decimal::from_parts(3, 0, 0, false, 0);
    let times = |of: Price| of.get().checked_mul(TIMES_MAX);
    match side {
        Side::Buy => target > entry && times(entry).is_some_and(|most| target.get() <= most),
        Side::Sell => target < entry && times(target).is_some_and(|most| entry.get() <= most),
    }
}

impl GivenLevel {
    /// The level's price, for a trade of that side entered at that price.
    ///
    /// A percentage may have a sign, by the price's movement or by what the trade gains. Of a stop loss, and of a SELL's
    /// take profit, either way only one reading is on the right side; a BUY's take profit below its price is wrong by
    /// either, and is kept so, for the rules to refuse.
    fn price(self, kind: LevelKind, side: Option<Side>, entry: Option<Price>) -> Option<Price> {
        let percent = match self {
            Self::At(price) => return Some(price),
            Self::Percent(percent) => percent,
        };
        let change = match (kind, side?) {
            (LevelKind::TakeProfit, Side::Buy) => percent,
            (LevelKind::TakeProfit, Side::Sell) | (LevelKind::StopLoss, Side::Buy) => -percent.abs(),
            (LevelKind::StopLoss, Side::Sell) => percent.abs(),
        };
        let entry = entry?.get();
        let distance = entry.checked_mul(change)?.checked_div(Decimal::ONE_HUNDRED)?;
        Price::new(entry.checked_add(distance)?).ok()
    }
}

impl AlertData {
    /// The entry's take profits behind the first, in their order: `tp2`, `tp3`, …, or those of a list. They stand in the
    /// additional data as they were sent. Empty for an exit.
    pub fn further_targets(&self) -> Vec<Price> {
        let (Some(additional), Some(side)) = (&self.additional_data, self.signal.entry_side()) else {
            return Vec::new();
        };
        let fields: Map<_, _> =
            additional.iter().map(|(name, value)| (name.clone(), super::payload::json(value))).collect();
        let mut given = read(&fields, &Map::new()).given;
        match self.take_profit_price {
            Some(first) => given.targets.insert(1, GivenLevel::At(first)),
            None => given.targets.remove(&1),
        };
        let levels = given.resolve(Some(side), Some(self.price));
        levels.targets.into_iter().filter(|target| target.is_positive()).collect()
    }
}

#[cfg(test)]
mod tests;
