//! The rules that an alert must keep to be processed (seed 5.1; product, "Rules").
//!
//! Every broken rule is named, not just the first. Two things run through all of them. An exit is never refused for a
//! price that is far off, its levels, or because its configuration is inactive: who got the entry gets its exit. And a turn is two
//! halves, an exit and an entry: what only the entry breaks leaves the exit standing.
//!
//! Pure: the moment of receipt and the recent prices are arguments.

mod age;
mod price;

use bson::Document;

use super::document::{AlertData, PricePoint};
use super::intent::Intent;
use super::payload::{GivenTimeframe, Payload};
use super::rule_violation::{ProblemCode, RuleViolation, show_value};
use crate::alert_configuration::{AlertConfiguration, AlertTypes, ConfigStatus, RequiredField, SignalSet};
use crate::market::{Side, Signal, Symbol, Timeframe};
use crate::money::{Amount, Price};
use crate::time::Time;
use crate::user::RiskLevel;

pub use age::{AGE_MAX, AHEAD_MAX};
pub use price::REFERENCE_AGE_MAX;

/// An alert that keeps the rules: what was optional in the payload and is needed is there.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedAlert {
    /// The configuration's symbol: without an exchange where the configuration has none.
    pub symbol: Symbol,
    pub timeframe: Timeframe,
    pub strategy: String,
    /// What is to be done. Of a turn with one half left out, the other half.
    pub intent: Intent,
    /// The seed's word for the intent.
    pub signal: Signal,
    /// Above zero where a trade is opened.
    pub price: Price,
    /// On the right side of the price where a trade is opened.
    pub take_profit: Option<Price>,
    /// On the right side of the price where a trade is opened.
    pub stop_loss: Option<Price>,
    /// The alert's own, else that of its receipt.
    pub timestamp: Time,
    pub quantity: Option<Amount>,
    pub trade_ref: Option<String>,
    /// The name stood as `trade_id`.
    pub trade_ref_explicit: bool,
    pub comment: Option<String>,
    pub risk: Option<RiskLevel>,
    /// The feed that it comes of, where its data are delayed.
    pub delayed_feed: Option<String>,
    /// `alertData.additionalData`; may be empty.
    pub additional: Document,
    /// Its configuration is `testing`: no trade, no counter, and only the operators hear of it.
    pub testing: bool,
    /// Why one half of a turn is left out; empty otherwise. For the operators: the alert itself is accepted.
    pub left_out: Vec<RuleViolation>,
}

impl CheckedAlert {
    /// What the `alerts` document keeps of it.
    pub fn alert_data(&self) -> AlertData {
        AlertData {
            symbol: self.symbol.as_str().to_owned(),
            timeframe: self.timeframe.as_str().to_owned(),
            strategy: self.strategy.clone(),
            signal: self.signal,
            price: self.price,
            take_profit_price: self.take_profit,
            stop_loss_price: self.stop_loss,
            timestamp: self.timestamp,
            additional_data: Some(self.additional.clone()).filter(|additional| !additional.is_empty()),
        }
    }
}

/// Holds an alert against its configuration.
///
/// `recent` are the prices of the configuration's entries, newest first. `waive_age` is for an alert that an operator
/// has processed after the cause of its refusal was mended: its timestamp may be any.
///
/// # Errors
/// Every rule that it breaks.
pub fn check(
    payload: &Payload,
    config: &AlertConfiguration,
    received_at: Time,
    recent: &[PricePoint],
    waive_age: bool,
) -> Result<CheckedAlert, Vec<RuleViolation>> {
    let (mut common, mut entry) = own_problems(payload);
    common.extend(age::check(payload.timestamp, received_at, config.timeframe, waive_age));
    let (Some(asked), Some(price)) = (payload.intent, payload.price) else {
        common.append(&mut entry);
        return Err(common);
    };
    if let Some(side) = asked.opens() {
        entry.extend(entry_problems(payload, config, side, price));
        entry.extend(price::near_enough(price, config, received_at, recent));
    }
    let mut exit = exit_disabled(&config.alert_types, asked);
    exit.extend(nothing_to_close_at(asked, price));
    let (intent, left_out) = settle(asked, common, entry, exit)?;
    Ok(CheckedAlert {
        symbol: config.symbol.clone(),
        timeframe: config.timeframe,
        strategy: config.strategy.clone(),
        intent,
        signal: intent.signal(),
        price,
        take_profit: payload.take_profit,
        stop_loss: payload.stop_loss,
        timestamp: payload.timestamp.unwrap_or(received_at),
        quantity: payload.quantity,
        trade_ref: payload.trade_ref.clone(),
        trade_ref_explicit: payload.trade_ref_explicit,
        comment: payload.comment.clone(),
        risk: payload.risk,
        delayed_feed: payload.delayed_feed(),
        additional: payload.additional.clone(),
        testing: config.status == ConfigStatus::Testing,
        left_out,
    })
}

/// What is wrong with an alert for which no configuration was found; never empty. `meant`: the strategy of one that it
/// nearly names.
pub fn without_configuration(
    payload: &Payload,
    received_at: Time,
    waive_age: bool,
    meant: Option<&str>,
) -> Vec<RuleViolation> {
    let (mut problems, entry) = own_problems(payload);
    if payload.intent.is_none_or(|intent| intent.opens().is_some()) {
        problems.extend(entry);
    }
    if let (Some(symbol), Some(GivenTimeframe::Known(timeframe)), Some(strategy)) =
        (&payload.symbol, &payload.timeframe, &payload.strategy)
    {
        problems.extend(age::check(payload.timestamp, received_at, *timeframe, waive_age));
        let others: Vec<String> = payload.symbols().iter().skip(1).map(|other| show_value(other.as_str())).collect();
        let bare = if others.is_empty() { String::new() } else { format!(" (or {})", others.join(", ")) };
        let advice = meant.map_or_else(
            || "add one, or put the words of one that you have into the message".to_owned(),
            |meant| format!("did you mean {}? Write it exactly so, capitals, blanks and marks too", show_value(meant)),
        );
        let message = format!(
            "no configuration has symbol {}{bare}, timeframe {timeframe} and strategy {}: {advice}",
            show_value(symbol.as_str()),
            show_value(strategy)
        );
        problems.push(RuleViolation::new("configuration", ProblemCode::UnknownConfiguration, message));
    }
    problems
}

/// The payload's own problems: those that concern every alert, and those that only an entry is refused for.
fn own_problems(payload: &Payload) -> (Vec<RuleViolation>, Vec<RuleViolation>) {
    payload.problems.iter().cloned().partition(|problem| !is_level(&problem.field))
}

/// `tp`, `tp2`, …, `sl`.
fn is_level(field: &str) -> bool {
    field == "sl" || field.strip_prefix("tp").is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What is to be done, and what of it is left out, when these problems stand against all of it, its entry, its exit.
fn settle(
    asked: Intent,
    common: Vec<RuleViolation>,
    entry: Vec<RuleViolation>,
    exit: Vec<RuleViolation>,
) -> Result<(Intent, Vec<RuleViolation>), Vec<RuleViolation>> {
    let against: Vec<RuleViolation> = match asked {
        Intent::Entry { .. } => entry,
        Intent::Exit { .. } | Intent::Flat { .. } | Intent::Partial { .. } => exit,
        Intent::Turn { closes, reason, opens } if common.is_empty() => match (entry.is_empty(), exit.is_empty()) {
            (true, true) => return Ok((asked, Vec::new())),
            (false, true) => return Ok((Intent::Flat { side: Some(closes), reason }, entry)),
            (true, false) => return Ok((Intent::Entry { side: opens }, exit)),
            (false, false) => entry.into_iter().chain(exit).collect(),
        },
        Intent::Turn { .. } => entry.into_iter().chain(exit).collect(),
    };
    let problems: Vec<RuleViolation> = common.into_iter().chain(against).collect();
    if problems.is_empty() { Ok((asked, Vec::new())) } else { Err(problems) }
}

/// What an entry must keep beyond what every alert must, except for its nearness to the last price.
fn entry_problems(payload: &Payload, config: &AlertConfiguration, side: Side, price: Price) -> Vec<RuleViolation> {
    let mut problems = Vec::new();
    if config.status == ConfigStatus::Inactive {
        let message = format!(
            "the configuration {} is inactive and takes exits only: set it to active for new trades",
            show_value(&config.name)
        );
        problems.push(RuleViolation::new("configuration", ProblemCode::ConfigurationInactive, message));
    }
    if !takes(&config.alert_types.entry, Some(side.into())) {
        problems.push(disabled_signal(side.as_str(), "entry"));
    }
    problems.extend(required_levels(payload, config));
    if price.is_positive() {
        problems.extend(price::levels(payload, side, price));
    } else {
        let message = format!("price is {price}; the price of an entry is above zero");
        problems.push(RuleViolation::new("price", ProblemCode::NotPositive, message));
    }
    problems
}

/// The levels that the configuration requires. Of its other `requiredFields` no alert is without.
fn required_levels(payload: &Payload, config: &AlertConfiguration) -> Vec<RuleViolation> {
    let levels = [
        (RequiredField::TakeProfit, payload.take_profit, "the take profit's price"),
        (RequiredField::StopLoss, payload.stop_loss, "the stop loss's price"),
    ];
    let required = |field: &RequiredField| config.validation.required_fields.contains(field);
    let named = |field: &RequiredField| payload.problems.iter().any(|problem| problem.field == field.as_str());
    levels
        .into_iter()
        .filter(|(field, level, _)| level.is_none() && required(field) && !named(field))
        .map(|(field, _, what)| {
            let message = format!(
                "{field} is missing, which the configuration requires: add {field} to the message, with {what}, or take \
                 it out of the required fields"
            );
            RuleViolation::new(field.as_str(), ProblemCode::Missing, message)
        })
        .collect()
}

/// Whether the configuration leaves this exit out. One whose reason is not told is let through by the switch alone.
fn exit_disabled(types: &AlertTypes, asked: Intent) -> Vec<RuleViolation> {
    let left_out = asked.exits() && !takes(&types.exit, asked.reason().map(Signal::from));
    left_out
        .then(|| disabled_signal(asked.reason().map_or("an exit", |reason| reason.as_str()), "exit"))
        .into_iter()
        .collect()
}

/// An exit needs no price where it says which level was hit: each trade then ends at its own. One that says neither has
/// nothing to close anything at. (Nothing is closed at the price of a notice.)
fn nothing_to_close_at(asked: Intent, price: Price) -> Option<RuleViolation> {
    let ends = matches!(asked, Intent::Exit { .. } | Intent::Flat { .. } | Intent::Turn { .. });
    let closes = ends && !price.is_positive() && asked.reason().is_none();
    let message = || {
        format!(
            "price is {price}, and the message does not say which level was hit: add the price, as {{{{close}}}}, or say \
             TP_HIT or SL_HIT, and each trade is closed at its own level"
        )
    };
    closes.then(|| RuleViolation::new("price", ProblemCode::NotPositive, message()))
}

/// Whether a switch lets a signal through; an empty list means all of its kind.
fn takes(set: &SignalSet, signal: Option<Signal>) -> bool {
    set.enabled && signal.is_none_or(|signal| set.signals.is_empty() || set.signals.contains(&signal))
}

fn disabled_signal(signal: &str, kind: &str) -> RuleViolation {
    let message = format!("the configuration does not take {signal}: allow it under its {kind} signals");
    RuleViolation::new("signal", ProblemCode::SignalDisabled, message)
}

#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests;
