//! Which open trades a TP_HIT, TPn or SL_HIT is about. The first rule that finds one decides:
//!
//! 1. the trade that was opened under the alert's `trade_id`;
//! 2. every trade whose level the price has reached;
//! 3. the trade whose level is nearest, if it is near enough;
//! 4. the only trade;
//! 5. the oldest trade that has no such level.
//!
//! Where several trades were opened under the alert's `trade_id` (strategies reuse an order's name), the rules from 2
//! on choose among these; and if none of them does, the oldest. Where none was opened under an explicit `trade_id`, and
//! several are left, only a level that was reached decides: the rest would be guessing which trade was meant.
//!
//! The level of a TPn is the trade's n-th target; of a trade that has fewer, its last.
//!
//! A price of zero or below is none. Such an exit is about every trade, or those of its `trade_id`, and each of them
//! ends at its own level.

use rust_decimal::Decimal;

use crate::alert::intent::ExitSignal;
use crate::market::Side;
use crate::money::{Amount, Price};

use super::document::Trade;
use super::request::TradeRef;

/// An exit's price this many tolerances beyond the farthest of a trade's prices is one that operators should look at.
const FAR_OFF_TOLERANCES: Decimal = Decimal::TEN;
/// The same where there are no levels, or no tolerance: so much of the entry's price (or of the level) away.
const FAR_OFF_SHARE: Decimal = Decimal::from_parts(5, 0, 0, false, 1);

/// What an exit says.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExitRequest<'a> {
    pub(super) hit: ExitSignal,
    pub(super) price: Price,
    /// The number of the target, for a TPn.
    pub(super) target: Option<u32>,
    pub(super) trade_ref: Option<&'a TradeRef>,
    /// A fraction of the level.
    pub(super) tolerance: Amount,
}

/// The trades that the exit is about, of these, which are sorted by age; empty where no rule finds one.
pub(super) fn list_matching<'t>(trades: &[&'t Trade], exit: &ExitRequest<'_>) -> Vec<&'t Trade> {
    let named: Vec<&Trade> = match exit.trade_ref {
        Some(wanted) => {
            let is_named = |trade: &&&Trade| trade.alertcast.trade_ref.as_deref() == Some(wanted.name.as_str());
            trades.iter().filter(is_named).copied().collect()
        }
        None => Vec::new(),
    };
    let has_price = exit.price.is_positive();
    let is_another = trades.len() > 1 && exit.trade_ref.is_some_and(|wanted| wanted.explicit);
    match named.as_slice() {
        [] if is_another && has_price => list_reached(trades, exit),
        [] if is_another => Vec::new(),
        [] if has_price => by_level(trades, exit),
        [] => trades.to_vec(),
        [only] => vec![only],
        several if !has_price => several.to_vec(),
        [oldest, ..] => match by_level(&named, exit) {
            found if found.is_empty() => vec![oldest],
            found => found,
        },
    }
}

fn by_level<'t>(trades: &[&'t Trade], exit: &ExitRequest<'_>) -> Vec<&'t Trade> {
    let reached = list_reached(trades, exit);
    if !reached.is_empty() {
        return reached;
    }
    let only = || if let [only] = trades { Some(*only) } else { None };
    let without_level = || trades.iter().copied().find(|trade| exit.level(trade).is_none());
    nearest(trades, exit).or_else(only).or_else(without_level).into_iter().collect()
}

impl ExitRequest<'_> {
    /// The level in question.
    fn level(&self, trade: &Trade) -> Option<Price> {
        level(trade, self.hit, self.target)
    }
}

/// The level that was hit: for a TPn the trade's n-th target, or its last.
pub(super) fn level(trade: &Trade, hit: ExitSignal, target: Option<u32>) -> Option<Price> {
    let first = trade.trade_data.take_profit_price;
    match (hit, target) {
        (ExitSignal::TpHit, Some(number)) => nth_target(trade, number).or_else(|| last_target(trade)).or(first),
        (ExitSignal::TpHit, None) => first,
        (ExitSignal::SlHit, _) => trade.trade_data.stop_loss_price,
    }
}

/// The trade's n-th target, where it is known.
pub(crate) fn nth_target(trade: &Trade, number: u32) -> Option<Price> {
    match number.checked_sub(2) {
        None => trade.trade_data.take_profit_price,
        Some(behind) => trade.alertcast.targets.get(usize::try_from(behind).ok()?).copied(),
    }
}

fn last_target(trade: &Trade) -> Option<Price> {
    trade.alertcast.targets.last().copied()
}

fn list_reached<'t>(trades: &[&'t Trade], exit: &ExitRequest<'_>) -> Vec<&'t Trade> {
    trades.iter().copied().filter(|trade| has_reached(trade, exit)).collect()
}

fn has_reached(trade: &Trade, exit: &ExitRequest<'_>) -> bool {
    exit.level(trade).is_some_and(|level| match (trade.trade_data.signal, exit.hit) {
        (Side::Buy, ExitSignal::TpHit) | (Side::Sell, ExitSignal::SlHit) => exit.price >= level,
        (Side::Sell, ExitSignal::TpHit) | (Side::Buy, ExitSignal::SlHit) => exit.price <= level,
    })
}

/// The trade whose level is nearest by |price - level| / level, within the tolerance; of equals the oldest.
fn nearest<'t>(trades: &[&'t Trade], exit: &ExitRequest<'_>) -> Option<&'t Trade> {
    let near = trades.iter().copied().filter_map(|trade| {
        let distance = distance(exit.price, exit.level(trade)?)?;
        (distance <= exit.tolerance.get()).then_some((distance, trade))
    });
    near.min_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, trade)| trade)
}

/// |price - level| / |level|; none where that is out of range.
fn distance(price: Price, level: Price) -> Option<Decimal> {
    let gap = price.get().checked_sub(level.get())?.abs();
    gap.checked_div(level.get().abs())
}

/// Whether a price is so far from all that the trade knows of, its entry and its levels, that a slipped digit is likelier
/// than the market. It is no ground to refuse an exit: who got the entry gets it, and the operators hear of it.
pub(super) fn is_far_off(trade: &Trade, price: Price, tolerance: Amount) -> bool {
    let (data, known) = (&trade.trade_data, |level: &Price| level.is_positive());
    let targets = trade.alertcast.targets.iter().copied();
    let levels = data.take_profit_price.into_iter().chain(data.stop_loss_price).chain(targets).filter(known);
    let has_levels = levels.clone().next().is_some();
    let (lowest, highest) =
        levels.fold((data.entry_price, data.entry_price), |(low, high), level| (low.min(level), high.max(level)));
    let beyond = price.clamp(lowest, highest);
    let allowed = if has_levels { allowed_beyond(tolerance) } else { FAR_OFF_SHARE };
    distance(price, beyond).is_some_and(|distance| distance > allowed)
}

fn allowed_beyond(tolerance: Amount) -> Decimal {
    let allowed = tolerance.get().checked_mul(FAR_OFF_TOLERANCES).unwrap_or(Decimal::MAX);
    if tolerance.is_positive() { allowed } else { FAR_OFF_SHARE }
}
