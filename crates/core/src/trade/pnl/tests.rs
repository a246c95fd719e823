use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::market::Side::{Buy, Sell};
use crate::trade::fixtures::{amount, price};

#[test]
fn profit_and_loss_have_a_sign() {
    let table = [
        (Buy, "100", "110", None, "10", "10"),
        (Buy, "100", "95", None, "-5", "-5"),
        (Sell, "100", "95", None, "5", "5"),
        (Sell, "80", "100", Some("2"), "-40", "-25"),
        (Buy, "3", "4", None, "1", "33.3333333333333"),
        (Buy, "0.1", "0.3", Some("3"), "0.6", "200"),
        (Buy, "100", "100", None, "0", "0"),
        (Buy, "0", "5", None, "5", "0"),
    ];
    for (side, entry, exit, quantity, want_amount, want_percentage) in table {
        let result = profit_loss(side, price(entry), price(exit), quantity.map(amount));
        let name = format!("{side} {entry} -> {exit} x {quantity:?}");
        assert_eq!(result, ProfitLoss { amount: amount(want_amount), percentage: amount(want_percentage) }, "{name}");
        assert_eq!(result.is_gain(), want_percentage != "0" && !want_percentage.starts_with('-'), "{name}");
    }
}

#[test]
fn what_no_amount_can_hold_is_the_limit_with_its_sign() {
    let (dust, moon) = ("0.0000000000000000000001", "1000000000000");
    let result = profit_loss(Buy, price(dust), price(moon), Some(amount(moon)));
    assert_eq!(result, ProfitLoss { amount: amount(moon), percentage: amount(moon) });
    let result = profit_loss(Sell, price(dust), price(moon), Some(amount(moon)));
    assert_eq!(result.amount.to_string(), "-1000000000000");
    assert_eq!(result.percentage.to_string(), "-1000000000000");
}

/// `num / den` to 15 significant digits, half to even, by whole numbers alone.
fn rational(num: i128, den: i128) -> Decimal {
    let (negative, mut num, mut den) = ((num < 0) != (den < 0), num.abs(), den.abs());
    if num == 0 {
        return Decimal::ZERO;
    }
    let (low, high) = (10_i128.pow(14), 10_i128.pow(15));
    let mut scale = 0_i64;
    while num / den < low {
        num *= 10;
        scale += 1;
    }
    while num / den >= high {
        den *= 10;
        scale -= 1;
    }
    let (whole, rest) = (num / den, num % den);
    let up = match (rest * 2).cmp(&den) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => whole % 2 == 1,
        std::cmp::Ordering::Less => false,
    };
    let rounded = (whole + i128::from(up)) * if negative { -1 } else { 1 };
    match u32::try_from(scale) {
        Ok(scale) => Decimal::from_i128_with_scale(rounded, scale),
        Err(_) => Decimal::from_i128_with_scale(rounded * 10_i128.pow(u32::try_from(-scale).unwrap()), 0),
    }
    .normalize()
}

proptest! {
    #[test]
    fn the_result_is_the_rational_one_rounded_once(
        buy in any::<bool>(),
        entry in 1_i64..10_000_000, entry_scale in 0_u32..=4,
        exit in 0_i64..10_000_000, exit_scale in 0_u32..=4,
        units in proptest::option::of((1_i64..100_000, 0_u32..=4)),
    ) {
        let side = if buy { Buy } else { Sell };
        let at = |value, scale| Price::new(Decimal::new(value, scale)).unwrap();
        let quantity = units.map(|(value, scale)| Amount::new(Decimal::new(value, scale)).unwrap());
        let result = profit_loss(side, at(entry, entry_scale), at(exit, exit_scale), quantity);

        // In ten-thousandths.
        let whole = |value: i64, scale: u32| i128::from(value) * 10_i128.pow(4 - scale);
        let (entry, exit) = (whole(entry, entry_scale), whole(exit, exit_scale));
        let gain = if buy { exit - entry } else { entry - exit };
        let (units, unit) = units.map_or((1, 1), |(value, scale)| (whole(value, scale), 10_000));
        prop_assert_eq!(result.percentage.get(), rational(gain * 100, entry));
        prop_assert_eq!(result.amount.get(), rational(gain * units, 10_000 * unit));
    }

    #[test]
    fn nothing_overflows(
        buy in any::<bool>(), entry in any::<f64>(), exit in any::<f64>(), units in proptest::option::of(any::<f64>()),
    ) {
        let side = if buy { Buy } else { Sell };
        if let (Ok(entry), Ok(exit)) = (Price::from_f64(entry), Price::from_f64(exit)) {
            let quantity = units.and_then(|units| Amount::from_f64(units).ok());
            let result = profit_loss(side, entry, exit, quantity);
            let limit = Decimal::from(1_000_000_000_000_i64);
            prop_assert!(result.amount.get().abs() <= limit && result.percentage.get().abs() <= limit);
        }
    }
}
