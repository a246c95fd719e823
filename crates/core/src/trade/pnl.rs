//! Profit and loss, in decimal arithmetic.
//!
//! Every step is exact, or rounded in the 28th place or digit, far behind the 15 significant digits that an [`Amount`]
//! keeps. A result beyond what an amount can hold (10^12: absurd prices or quantities only) is that limit with its
//! sign. Nothing here can fail.

use rust_decimal::Decimal;

use crate::market::Side;
use crate::money::{Amount, Price};

/// What a trade came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfitLoss {
    /// In the quote currency: for one unit, or for the quantity where there is one.
    pub amount: Amount,
    /// Percent of the entry price; zero where that is zero.
    pub percentage: Amount,
}

impl ProfitLoss {
    /// Whether the price moved the trade's way; neither a loss nor nothing at all.
    pub fn is_gain(&self) -> bool {
        self.percentage.is_positive()
    }

    /// Whether the price moved against the trade.
    pub fn is_loss(&self) -> bool {
        self.percentage.get() < Decimal::ZERO
    }
}

/// What a trade of this side came to that was entered and left at these prices. Positive is a profit.
pub fn profit_loss(side: Side, entry: Price, exit: Price, quantity: Option<Amount>) -> ProfitLoss {
    // Prices are below 10^12 with 15 digits: their difference is in range.
    let gain = match side {
        Side::Buy => exit.get() - entry.get(),
        Side::Sell => entry.get() - exit.get(),
    };
    let units = quantity.map_or(Decimal::ONE, Amount::get);
    ProfitLoss {
        amount: bound_amount(gain.checked_mul(units), sign(gain) * sign(units)),
        percentage: bound_amount(percent(gain, entry.get()), sign(gain) * sign(entry.get())),
    }
}

/// `gain` in percent of `of`; none where it is out of range.
fn percent(gain: Decimal, of: Decimal) -> Option<Decimal> {
    if of.is_zero() {
        return Some(Decimal::ZERO);
    }
    // Dividing first would round a small quotient to the 28 places that a Decimal has.
    gain.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(of)
}

fn sign(value: Decimal) -> i64 {
    match value.cmp(&Decimal::ZERO) {
        std::cmp::Ordering::Less => -1,
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Greater => 1,
    }
}

/// The value as an amount; out of range, the limit with the sign that the value has.
fn bound_amount(value: Option<Decimal>, sign: i64) -> Amount {
    let limit = Decimal::from(1_000_000_000_000_i64);
    let value = value.unwrap_or(limit * Decimal::from(sign)).clamp(-limit, limit);
    Amount::new(value).unwrap_or(Amount::ZERO)
}

#[cfg(test)]
mod tests;
