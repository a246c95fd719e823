//! Numbers and times as a subscriber reads them. Prices are shown as they were sent, never rounded.

use std::time::Duration;

use alertcast_core::market::Side;
use alertcast_core::money::{Amount, Price};
use alertcast_core::time::Time;
use jiff::tz::TimeZone;
use rust_decimal::{Decimal, RoundingStrategy};

/// Amounts of less than one show this many significant digits: a coin's P&L for one unit is not nothing.
const SMALL_DIGITS: u32 = 4;

/// Two decimals and a sign. What rounds to nothing has no sign.
pub(super) fn percent(value: Decimal) -> String {
    let rounded = value.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    format!("{}{:.2}%", sign(rounded), rounded.abs())
}

/// How far `level` is from `entry` in percent of it, seen by whoever holds that side: above zero is a profit. None where
/// the entry's price is none.
pub(super) fn distance(side: Side, entry: Price, level: Price) -> Option<Decimal> {
    let move_percent = (level.get() - entry.get()).checked_div(entry.get())?.checked_mul(Decimal::ONE_HUNDRED)?;
    Some(match side {
        Side::Buy => move_percent,
        Side::Sell => -move_percent,
    })
}

/// How much is won at `target` for each unit lost at `stop`: two decimals.
pub(super) fn reward(side: Side, entry: Price, target: Price, stop: Price) -> Option<String> {
    let (win, loss) = (distance(side, entry, target)?, -distance(side, entry, stop)?);
    if win <= Decimal::ZERO || loss <= Decimal::ZERO {
        return None;
    }
    let ratio = win.checked_div(loss)?.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    Some(ratio.normalize().to_string())
}

/// A sum of money with its sign and currency: `+1,749.50 USD`.
pub(super) fn money(amount: Amount, currency: &str) -> String {
    let value = amount.get();
    let strategy = RoundingStrategy::MidpointAwayFromZero;
    let digits = if value.abs() >= Decimal::ONE || value.is_zero() {
        let rounded = value.round_dp_with_strategy(2, strategy).abs();
        thousands(&format!("{rounded:.2}"))
    } else {
        let rounded = value.round_sf_with_strategy(SMALL_DIGITS, strategy).unwrap_or(value);
        rounded.abs().normalize().to_string()
    };
    format!("{}{digits} {currency}", sign(value))
}

/// `+`, `−`, or nothing for nothing.
fn sign(value: Decimal) -> &'static str {
    match value.cmp(&Decimal::ZERO) {
        std::cmp::Ordering::Greater => "+",
        std::cmp::Ordering::Less => "−",
        std::cmp::Ordering::Equal => "",
    }
}

fn thousands(digits: &str) -> String {
    let (whole, rest) = digits.find('.').map_or((digits, ""), |point| digits.split_at(point));
    let mut grouped = String::with_capacity(digits.len() + whole.len() / 3);
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// A length of time in its two largest units: `3 h 20 min`.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        small => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => two(hours, "h", minutes, "min"),
        (days, hours, _) => two(days, "d", hours, "h"),
    }
}

/// A moment in the reader's zone: `22 Nov 2026, 23:50 IST`.
pub(super) fn moment(at: Time, zone: &TimeZone) -> String {
    at.to_jiff().to_zoned(zone.clone()).strftime("%-d %b %Y, %H:%M %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn what_rounds_to_nothing_has_no_sign() {
        assert_eq!(percent(decimal("-0.004")), "0.00%");
        assert_eq!(percent(decimal("-0.005")), "−0.01%");
        assert_eq!(percent(decimal("2.715")), "+2.72%");
        assert_eq!(percent(decimal("12345.6")), "+12345.60%");
    }

    #[test]
    fn money_is_readable_whether_large_or_small() {
        let table = [
            ("1749.5", "+1,749.50 USD"),
            ("-1234567.891", "−1,234,567.89 USD"),
            ("999.999", "+1,000.00 USD"),
            ("0", "0.00 USD"),
            ("-0.000012345", "−0.00001235 USD"),
            ("0.5", "+0.5 USD"),
        ];
        for (value, shown) in table {
            assert_eq!(money(Amount::parse(value).unwrap(), "USD"), shown, "{value}");
        }
    }

    #[test]
    fn spans_have_two_units() {
        let table = [(7, "7 s"), (60, "1 min"), (3_600, "1 h"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")];
        for (seconds, shown) in table {
            assert_eq!(span(Duration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn a_short_position_wins_when_the_price_falls() {
        let price = |text| Price::parse(text).unwrap();
        assert_eq!(distance(Side::Sell, price("100"), price("90")), Some(decimal("10")));
        assert_eq!(distance(Side::Buy, price("100"), price("90")), Some(decimal("-10")));
        assert_eq!(distance(Side::Buy, price("0"), price("90")), None);
        assert_eq!(reward(Side::Sell, price("100"), price("90"), price("105")), Some("2".to_owned()));
        assert_eq!(reward(Side::Sell, price("100"), price("90"), price("95")), None);
    }
}
