//! What an entry's prices must keep: the levels' sides (seed 5.1), and the guard against a slipped digit
//! (`priceValidation`).

use std::time::Duration;

use rust_decimal::Decimal;

use super::super::document::PricePoint;
use super::super::payload::Payload;
use super::super::rule_violation::{ProblemCode, RuleViolation};
use super::age::spell_duration;
use crate::alert_configuration::AlertConfiguration;
use crate::market::Side;
use crate::money::Price;
use crate::time::Time;

/// A price older than this is no reference: the market may have moved.
pub const REFERENCE_AGE_MAX: Duration = Duration::from_secs(5 * 60);

/// The levels' sides: BUY has tp > price > sl, SELL has tp < price < sl; and of several targets each is farther from the
/// price than the one before.
pub(super) fn levels(payload: &Payload, side: Side, price: Price) -> Vec<RuleViolation> {
    let (tp_word, sl_word) = match side {
        Side::Buy => ("above", "below"),
        Side::Sell => ("below", "above"),
    };
    let tp = payload.take_profit.and_then(|tp| level("tp", tp, ProblemCode::TpSide, side, tp_word, price));
    let sl = payload.stop_loss.and_then(|sl| level("sl", sl, ProblemCode::SlSide, side, sl_word, price));
    let mut problems: Vec<RuleViolation> = tp.into_iter().chain(sl).collect();
    let mut before = payload.take_profit;
    for (number, target) in (2_usize..).zip(&payload.targets) {
        let field = format!("tp{number}");
        let farther = before.is_none_or(|before| match side {
            Side::Buy => *target > before,
            Side::Sell => *target < before,
        });
        let wrong = level(&field, *target, ProblemCode::TpSide, side, tp_word, price);
        problems.extend(wrong.or_else(|| (!farther).then(|| out_of_order(&field, *target, before))));
        before = Some(*target);
    }
    let lost = payload.levels.out_of_range(side, price).into_iter();
    problems.extend(lost.map(|field| {
        let message = format!("{field} is a percentage that leads beyond every price: send the level's price");
        RuleViolation::new(field, ProblemCode::NotANumber, message)
    }));
    problems
}

fn out_of_order(field: &str, target: Price, before: Option<Price>) -> RuleViolation {
    let before = before.map(|before| before.to_string()).unwrap_or_default();
    let message = format!(
        "{field} {target} is not farther from the price than the target before it, {before}: send targets in the order in \
         which they are reached"
    );
    RuleViolation::new(field, ProblemCode::TargetOrder, message)
}

fn level(field: &str, level: Price, code: ProblemCode, side: Side, word: &str, price: Price) -> Option<RuleViolation> {
    if !level.is_positive() {
        return Some(RuleViolation::new(
            field,
            ProblemCode::NotPositive,
            format!("{field} is {level}; a level is above zero"),
        ));
    }
    let right = if word == "above" { level > price } else { level < price };
    let message =
        || format!("{field} {level} is not {word} the price {price}, as a {side} needs it: check the script's levels");
    (!right).then(|| RuleViolation::new(field, code, message()))
}

/// Whether the price is near enough to the last accepted one, where there is one younger than five minutes. A price that
/// agrees with one refused since is taken: two alerts do not slip the same digit.
pub(super) fn near_enough(
    price: Price,
    config: &AlertConfiguration,
    received_at: Time,
    recent: &[PricePoint],
) -> Option<RuleViolation> {
    let rule = &config.validation.price_validation;
    if !rule.enabled || !price.is_positive() {
        return None;
    }
    let tolerance = rule.tolerance.get();
    let young = |point: &&PricePoint| received_at.since(point.at) < REFERENCE_AGE_MAX;
    let reference = recent.iter().filter(young).find(|point| point.accepted)?;
    if agrees(price, reference.price, tolerance) {
        return None;
    }
    let refused = recent.iter().take_while(|point| !point.accepted).find(young);
    if refused.is_some_and(|refused| agrees(price, refused.price, tolerance)) {
        return None;
    }
    let message = format!(
        "price {price} is more than {} % away from {}, the last one, {} ago: if it is right, send the alert again, and \
         the second one is taken; else look for a slipped digit",
        (tolerance * Decimal::ONE_HUNDRED).normalize(),
        reference.price,
        spell_duration(received_at.since(reference.at)),
    );
    Some(RuleViolation::new("price", ProblemCode::PriceTolerance, message))
}

/// Whether two prices differ by no more than `tolerance`, a fraction of the second.
fn agrees(price: Price, reference: Price, tolerance: Decimal) -> bool {
    let (price, reference) = (price.get(), reference.get());
    tolerance.checked_mul(reference.abs()).is_none_or(|allowed| (price - reference).abs() <= allowed)
}
