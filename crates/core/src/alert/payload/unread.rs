//! What to change in a message that could not be understood: each reason in words for the person who wrote it.

use std::cmp::Ordering;

use super::missing_field;
use crate::alert::intent::reading::UnreadIntent;
use crate::alert::intent::signs::SpokenField;
use crate::alert::intent::{OrderSigns, StrategyPosition, UnclearOrder};
use crate::alert::rule_violation::{ProblemCode, RuleViolation};
use crate::alert::values::{self, ValueReading};
use crate::market::Signal;

/// What closes, said in a way that cannot be mistaken.
const TO_CLOSE: &str = "to end a trade write signal \"TP_HIT\" or \"SL_HIT\", or signal \"exit\" with side \"long\" or \
                        \"short\", or send market_position (\"{{strategy.market_position}}\" or \"flat\")";

/// The problem by which the sender learns of it.
pub(super) fn problem(unread: &UnreadIntent<'_>) -> RuleViolation {
    match unread {
        UnreadIntent::Missing => missing_field("signal", "BUY, SELL, TP_HIT or SL_HIT"),
        UnreadIntent::Unknown(heard) => unknown(heard),
        UnreadIntent::Idle(heard) => unknown_signal(heard, "which asks for nothing: it is not processed"),
        UnreadIntent::Vague(heard) => {
            unknown_signal(heard, &format!("which does not say what became of the trade: {TO_CLOSE}"))
        }
        UnreadIntent::NoSide(heard) => unknown_signal(
            heard,
            "which turns a trade round and does not say to which side: add side \"long\" or \"short\", the new one",
        ),
        UnreadIntent::TwoReadings { one, other } => {
            let message = format!(
                "the message can be read in two ways, and is not processed: {one}, and {other}. Leave out what does not \
                 belong; {TO_CLOSE}"
            );
            RuleViolation::new("signal", ProblemCode::Contradictory, message)
        }
        UnreadIntent::Positions(unclear, order) => unclear_order(*unclear, order),
    }
}

fn unknown(heard: &SpokenField) -> RuleViolation {
    if let ValueReading::Unusable(code @ ProblemCode::Placeholder, reason) = values::words(usize::MAX)(heard.value()) {
        return RuleViolation::new("signal", code, format!("{} {reason}", heard.name()));
    }
    unknown_signal(
        heard,
        &format!(
            "which is not understood: use BUY, SELL, TP_HIT or SL_HIT, or leave it out where another field says it; {TO_CLOSE}"
        ),
    )
}

fn unknown_signal(heard: &SpokenField, what: &str) -> RuleViolation {
    let message = format!("{} is {}, {what}", heard.name(), heard.value_shown());
    RuleViolation::new("signal", ProblemCode::UnknownSignal, message)
}

fn unclear_order(unclear: UnclearOrder, order: &OrderSigns) -> RuleViolation {
    let signal = order.signal.map_or("no signal", Signal::as_str);
    let position = |position: Option<StrategyPosition>| position.map_or("unknown", StrategyPosition::as_str);
    let (now, prev) = (position(order.now), position(order.prev));
    if unclear == UnclearOrder::NoPosition {
        let message = format!(
            "{signal} after a {prev} position may end, reduce or turn it: add market_position to the message, with \
             \"{{{{strategy.market_position}}}}\""
        );
        return RuleViolation::new("market_position", ProblemCode::Missing, message);
    }
    let size = match order.growth {
        Some(Ordering::Greater) => ", market_position_size above prev_market_position_size",
        Some(Ordering::Less) => ", market_position_size below prev_market_position_size",
        _ => "",
    };
    let message = format!(
        "signal {signal}, market_position {now}, prev_market_position {prev}{size} cannot all be true: fill them from \
         {{{{strategy.order.action}}}}, {{{{strategy.market_position}}}} and {{{{strategy.prev_market_position}}}}"
    );
    RuleViolation::new("market_position", ProblemCode::Contradictory, message)
}
