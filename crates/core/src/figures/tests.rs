use proptest::prelude::*;

use super::*;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn at(text: &str) -> Price {
    Price::parse(text).unwrap()
}

fn history(prices: &[&str]) -> PriceHistory {
    let mut history = PriceHistory::default();
    prices.iter().for_each(|price| history.note(at(price)));
    history
}

#[test]
fn what_rounds_to_nothing_has_no_sign() {
    assert_eq!(percent(decimal("-0.004")), "0.00%");
    assert_eq!(percent(decimal("-0.005")), "−0.01%");
    assert_eq!(percent(decimal("2.715")), "+2.72%");
    assert_eq!(percent(decimal("3.125")), "+3.13%");
    assert_eq!(percent(decimal("12345.6")), "+12345.60%");
}

#[test]
fn money_has_the_minor_units_of_its_currency() {
    let table = [
        ("1749.5", "USD", "+1,749.50 USD"),
        ("-1234567.891", "USD", "−1,234,567.89 USD"),
        ("999.999", "USD", "+1,000.00 USD"),
        ("0", "USD", "0.00 USD"),
        ("0.5", "USD", "+0.50 USD"),
        ("-0.001", "USD", "0.00 USD"),
        ("1749.5", "JPY", "+1,750 JPY"),
        ("-0.4", "JPY", "0 JPY"),
        ("1749.5", "KRW", "+1,750 KRW"),
        ("1.2345", "KWD", "+1.235 KWD"),
        ("12", "BHD", "+12.000 BHD"),
        ("1.23456", "CLF", "+1.2346 CLF"),
        ("1234567.5", "INR", "+12,34,567.50 INR"),
        ("-100000", "inr", "−1,00,000.00 inr"),
        ("99999", "INR", "+99,999.00 INR"),
        ("-0.000012345", "BTC", "−0.00001235 BTC"),
        ("0.5", "USDT", "+0.5 USDT"),
        ("1749.5", "USDT", "+1,749.50 USDT"),
    ];
    for (value, currency, shown) in table {
        assert_eq!(money(Amount::parse(value).unwrap(), currency), shown, "{value}");
    }
}

#[test]
fn an_amount_for_one_unit_keeps_the_prices_decimals() {
    let table = [
        ("1749.5", Some(1), "USD", "+1,749.5 USD"),
        ("-0.0029", Some(4), "USD", "−0.0029 USD"),
        ("0.5", Some(3), "JPY", "+0.500 JPY"),
        ("1750", Some(0), "JPY", "+1,750 JPY"),
        ("0.0000000123", Some(2), "USD", "+0.00000001 USD"),
        ("0", Some(2), "USD", "0.00 USD"),
        ("123456.5", Some(1), "INR", "+1,23,456.5 INR"),
        ("10", None, "USD", "+10.00 USD"),
    ];
    for (value, decimals, currency, shown) in table {
        assert_eq!(per_unit(Amount::parse(value).unwrap(), decimals, currency), shown, "{value}");
    }
}

#[test]
fn prices_are_grouped_and_rounded_to_five_digits_at_least() {
    let table = [
        ("64250.5", Some(1), "USD", "64,250.5"),
        ("64250.5", None, "USD", "64,250.5"),
        ("999", Some(0), "USD", "999"),
        ("1234567.891", Some(2), "USD", "1,234,567.89"),
        ("1234567.891", Some(0), "INR", "12,34,568"),
        ("23450.05", Some(2), "INR", "23,450.05"),
        ("1.09345123456789", Some(5), "USD", "1.09345"),
        ("1.09345123456789", Some(2), "USD", "1.0935"),
        ("0.0000123456789", Some(2), "USD", "0.000012346"),
        ("63412.3456", Some(0), "USD", "63,412"),
        ("-37.63", Some(2), "USD", "−37.63"),
        ("0", Some(2), "USD", "0"),
    ];
    for (value, decimals, currency, shown) in table {
        assert_eq!(price(at(value), decimals, currency), shown, "{value}");
    }
}

#[test]
fn a_level_has_the_decimals_of_the_last_prices() {
    let entry = at("1.09");
    let level = at("1.08345123456789");
    assert_eq!(history(&[]).decimals(entry, &[level]), 2);
    assert_eq!(history(&["1.1", "1.09352", "1.0921"]).decimals(entry, &[level]), 5);
    assert_eq!(history(&["0", "-1.123456"]).decimals(entry, &[]), 2, "what is no price tells nothing");
    let mut long = history(&["1.123456"]);
    (0..99).for_each(|_| long.note(at("1.12")));
    assert_eq!(long.decimals(entry, &[]), 6);
    long.note(at("1.12"));
    assert_eq!(long.decimals(entry, &[]), 2, "only the last hundred count");
}

#[test]
fn different_prices_never_read_alike() {
    let shown = |decimals, level: &str| price(at(level), Some(decimals), "USD");
    let decimals = history(&["64000"]).decimals(at("64000"), &[at("64000.25"), at("63999.9"), at("63999.95")]);
    let all: std::collections::BTreeSet<String> =
        ["64000", "64000.25", "63999.9", "63999.95"].iter().map(|level| shown(decimals, level)).collect();
    assert_eq!((decimals, all.len()), (2, 4));
}

#[test]
fn a_short_position_wins_when_the_price_falls() {
    assert_eq!(distance(Side::Sell, at("100"), at("90")), Some(decimal("10")));
    assert_eq!(distance(Side::Buy, at("100"), at("90")), Some(decimal("-10")));
    assert_eq!(distance(Side::Buy, at("0"), at("90")), None);
    assert_eq!(reward(Side::Sell, at("100"), at("90"), at("105")), Some("2".to_owned()));
    assert_eq!(reward(Side::Sell, at("100"), at("90"), at("95")), None);
}

proptest! {
    #[test]
    fn what_differs_reads_differently(
        mantissas in prop::collection::vec(1_i64..=999_999_999_999_999, 2..6), scale in 3_u32..=15, past in 0_u32..9,
    ) {
        let prices: Vec<Price> = mantissas.iter().map(|m| Price::new(Decimal::new(*m, scale)).unwrap()).collect();
        let decimals = telling_apart(past, &prices);
        for (n, one) in prices.iter().enumerate() {
            for other in &prices[n + 1..] {
                let alike = price(*one, Some(decimals), "USD") == price(*other, Some(decimals), "USD");
                prop_assert_eq!(alike, one == other);
            }
        }
    }
}
