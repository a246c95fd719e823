//! What to change in a message that could not be understood: each reason in words for the person who wrote it.

use std::cmp::Ordering;

use super::missing;
use crate::alert::intent::reading::Unread;
use crate::alert::intent::signs::Heard;
use crate::alert::intent::{Order, Position, Unclear};
use crate::alert::problem::{Problem, ProblemCode};
use crate::alert::values::{self, Reading};
use crate::market::Signal;

/// What closes, said in a way that cannot be mistaken.
const TO_CLOSE: &str = "to end a trade write signal \"TP_HIT\" or \"SL_HIT\", or signal \"exit\" with side \"long\" or \
                        \"short\", or send market_position (\"{{strategy.market_position}}\" or \"flat\")";

/// The problem by which the sender learns of it.
pub(super) fn problem(unread: &Unread<'_>) -> Problem {
    match unread {
        Unread::Missing => missing("signal", "BUY, SELL, TP_HIT or SL_HIT"),
        Unread::Unknown(heard) => unknown(heard),
        Unread::Idle(heard) => unknown_signal(heard, "which asks for nothing: it is not processed"),
        Unread::Vague(heard) => {
            unknown_signal(heard, &format!("which does not say what became of the trade: {TO_CLOSE}"))
        }
        Unread::NoSide(heard) => unknown_signal(
            heard,
            "which turns a trade round and does not say to which side: add side \"long\" or \"short\", the new one",
        ),
        Unread::TwoReadings { one, other } => {
            let message = format!(
                "the message can be read in two ways, and is not processed: {one}, and {other}. Leave out what does not \
                 belong; {TO_CLOSE}"
            );
            Problem::new("signal", ProblemCode::Contradictory, message)
        }
        Unread::Positions(unclear, order) => unclear_order(*unclear, order),
    }
}

fn unknown(heard: &Heard) -> Problem {
    if let Reading::Unusable(code @ ProblemCode::Placeholder, reason) = values::words(usize::MAX)(heard.value()) {
        return Problem::new("signal", code, format!("{} {reason}", heard.name()));
    }
    unknown_signal(
        heard,
        &format!(
            "which is not understood: use BUY, SELL, TP_HIT or SL_HIT, or leave it out where another field says it; {TO_CLOSE}"
        ),
    )
}

fn unknown_signal(heard: &Heard, what: &str) -> Problem {
    let message = format!("{} is {}, {what}", heard.name(), heard.value_shown());
    Problem::new("signal", ProblemCode::UnknownSignal, message)
}

fn unclear_order(unclear: Unclear, order: &Order) -> Problem {
    let signal = order.signal.map_or("no signal", Signal::as_str);
    let position = |position: Option<Position>| position.map_or("unknown", Position::as_str);
    let (now, prev) = (position(order.now), position(order.prev));
    if unclear == Unclear::NoPosition {
        let message = format!(
            "{signal} after a {prev} position may end, reduce or turn it: add market_position to the message, with \
             \"{{{{strategy.market_position}}}}\""
        );
        return Problem::new("market_position", ProblemCode::Missing, message);
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
    Problem::new("market_position", ProblemCode::Contradictory, message)
}
