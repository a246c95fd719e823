//! Figures as people read them: prices, percentages and sums of money. One way of rounding for messages, replays and
//! notices. What is stored, compared and worked out stays exact.

mod currency;

use std::collections::VecDeque;

use rust_decimal::{Decimal, RoundingStrategy};

use crate::market::Side;
use crate::money::{Amount, Price};

pub use self::currency::minor_units;

/// How many of a configuration's last prices tell how many decimals its prices have.
pub const PRICES_MAX: usize = 100;
/// A rounded price has at least so many significant digits.
const PRICE_DIGITS_MIN: u32 = 5;
/// A Decimal has no more decimals.
const DECIMALS_MAX: u32 = 28;
/// Amounts of less than one, in what is no currency of a country, show this many significant digits.
const SMALL_DIGITS: u32 = 4;

const HALF_UP: RoundingStrategy = RoundingStrategy::MidpointAwayFromZero;

/// How many decimals the last prices of a configuration had.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PriceHistory {
    /// Oldest first.
    decimals: VecDeque<u8>,
}

impl PriceHistory {
    /// Adds the newest price. One of zero or below is none.
    pub fn note(&mut self, price: Price) {
        if price.is_positive() {
            if self.decimals.len() >= PRICES_MAX {
                self.decimals.pop_front();
            }
            self.decimals.push_back(u8::try_from(decimals_of(price)).unwrap_or(u8::MAX));
        }
    }

    /// With how many decimals an entry at this price shows its levels: the most that the last prices had, and as many more
    /// as it takes for two different ones to read differently.
    pub fn decimals(&self, price: Price, levels: &[Price]) -> u32 {
        let most = self.decimals.iter().copied().max().unwrap_or(0);
        let all: Vec<Price> = levels.iter().copied().chain([price]).collect();
        telling_apart(u32::from(most).max(decimals_of(price)), &all)
    }
}

fn decimals_of(price: Price) -> u32 {
    price.get().normalize().scale()
}

/// So many decimals, or as many more as it takes for these prices to read differently where they differ.
pub fn telling_apart(decimals: u32, prices: &[Price]) -> u32 {
    let alike = |decimals: u32| {
        let pairs =
            prices.iter().enumerate().flat_map(|(n, one)| prices[n + 1..].iter().map(move |other| (one, other)));
        pairs
            .into_iter()
            .any(|(one, other)| one != other && round_price(*one, decimals) == round_price(*other, decimals))
    };
    (decimals..=DECIMALS_MAX).find(|decimals| !alike(*decimals)).unwrap_or(DECIMALS_MAX)
}

/// A price with so many decimals, and at least five significant digits.
fn round_price(price: Price, decimals: u32) -> Decimal {
    let value = price.get();
    let needed = value.round_sf_with_strategy(PRICE_DIGITS_MIN, HALF_UP).map_or(0, |short| short.scale());
    value.round_dp_with_strategy(decimals.max(needed), HALF_UP)
}

/// A price: `64,250.5`. Without decimals it is shown as it is.
pub fn price(value: Price, decimals: Option<u32>, currency: &str) -> String {
    let shown = decimals.map_or(value.get(), |decimals| round_price(value, decimals)).normalize();
    let sign = if shown.is_sign_negative() && !shown.is_zero() { "−" } else { "" };
    format!("{sign}{}", group_digits(&shown.abs().to_string(), currency))
}

/// To two decimals, as every percentage is shown.
pub fn rounded_percent(value: Decimal) -> Decimal {
    value.round_dp_with_strategy(2, HALF_UP)
}

/// Two decimals and a sign: `+3.13%`. What rounds to nothing has no sign.
pub fn percent(value: Decimal) -> String {
    let rounded = rounded_percent(value);
    format!("{}{:.2}%", sign(rounded), rounded.abs())
}

/// How far `level` is from `entry` in percent of it, seen by whoever holds that side: above zero is a profit. None where
/// the entry's price is none.
pub fn distance(side: Side, entry: Price, level: Price) -> Option<Decimal> {
    let move_percent = (level.get() - entry.get()).checked_mul(Decimal::ONE_HUNDRED)?.checked_div(entry.get())?;
    Some(match side {
        Side::Buy => move_percent,
        Side::Sell => -move_percent,
    })
}

/// How much is won at `target` for each unit lost at `stop`: two decimals.
pub fn reward(side: Side, entry: Price, target: Price, stop: Price) -> Option<String> {
    let (win, loss) = (distance(side, entry, target)?, -distance(side, entry, stop)?);
    if win <= Decimal::ZERO || loss <= Decimal::ZERO {
        return None;
    }
    let ratio = win.checked_div(loss)?.round_dp_with_strategy(2, HALF_UP);
    Some(ratio.normalize().to_string())
}

/// A sum of money with its sign and currency: `+1,749.50 USD`. A country's currency has its minor units (ISO 4217); of
/// anything else (USDT, BTC) less than one shows four significant digits.
pub fn money(amount: Amount, currency: &str) -> String {
    let value = amount.get();
    let rounded = match minor_units(currency) {
        Some(decimals) => fix_decimals(value, decimals),
        None if value.abs() >= Decimal::ONE || value.is_zero() => fix_decimals(value, 2),
        None => value.round_sf_with_strategy(SMALL_DIGITS, HALF_UP).unwrap_or(value).normalize(),
    };
    format_signed(rounded, currency)
}

/// An amount for one unit, which is a difference of prices and has their decimals: `−0.0029 USD`. A loss that is less is
/// not nothing.
pub fn per_unit(amount: Amount, decimals: Option<u32>, currency: &str) -> String {
    let Some(decimals) = decimals else { return money(amount, currency) };
    let value = amount.get();
    let shown = (decimals..=DECIMALS_MAX).map(|decimals| fix_decimals(value, decimals));
    let first = shown.into_iter().find(|shown| !shown.is_zero() || value.is_zero());
    format_signed(first.unwrap_or(value), currency)
}

/// A number of units: `1,250.5`.
pub fn quantity(units: Amount) -> String {
    group_digits(&units.get().normalize().to_string(), "")
}

fn format_signed(value: Decimal, currency: &str) -> String {
    format!("{}{} {currency}", sign(value), group_digits(&value.abs().to_string(), currency))
}

/// With exactly so many decimals.
fn fix_decimals(value: Decimal, decimals: u32) -> Decimal {
    let mut rounded = value.round_dp_with_strategy(decimals, HALF_UP);
    rounded.rescale(decimals);
    rounded
}

/// `+`, `−`, or nothing for nothing.
fn sign(value: Decimal) -> &'static str {
    match value.cmp(&Decimal::ZERO) {
        std::cmp::Ordering::Greater => "+",
        std::cmp::Ordering::Less => "−",
        std::cmp::Ordering::Equal => "",
    }
}

/// Digits with separators: by thousands, in rupees by lakh and crore (`12,34,567.5`).
fn group_digits(digits: &str, currency: &str) -> String {
    let (whole, rest) = digits.find('.').map_or((digits, ""), |point| digits.split_at(point));
    let by_lakh = currency.eq_ignore_ascii_case("INR");
    let begins_group = |left: usize| match (by_lakh, left) {
        (false, left) | (true, left @ ..=3) => left.is_multiple_of(3),
        (true, left) => !left.is_multiple_of(2),
    };
    let mut grouped = String::with_capacity(digits.len() + whole.len() / 2);
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && begins_group(whole.len() - n) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests;
