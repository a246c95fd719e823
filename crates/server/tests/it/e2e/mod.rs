//! The whole way of an alert, from TradingView's request to the message in the stand-in for Telegram: in this process, on
//! a clock that stands still between steps. At the end of each test every rule of the harness's model is held against
//! what the store and the chats hold.

mod delivery;
mod ending;
mod exits;
mod interleaving;
mod moving;
mod order;
mod starting;
mod strategy;
mod together;
mod trouble;
mod unreachable;
mod unreadable;
mod walk;
mod way;

use alertcast_core::decision::Verdict;
use alertcast_core::fixtures;
use alertcast_core::id::AlertId;
use alertcast_core::trade::document::{Trade, TradeStatus};
use serde_json::{Value, json};

use crate::harness::app::START;
use crate::harness::post::{alert, with};
use crate::harness::{Books, TestPeople};

/// One configuration, one plan, and users 1 to 3.
pub(crate) fn small_world() -> TestPeople {
    TestPeople::at(START).config(1, |_| {}).plan(1, &[1], |_| {}).users(1..=3, 1)
}

/// BUY of configuration 1 with a target 10 % above and a stop 5 % below.
pub(crate) fn buy(price: f64) -> Value {
    with(alert(1, "BUY", price), json!({ "tp": price * 1.1, "sl": price * 0.95 }))
}

/// SELL of configuration 1 with a target 10 % below and a stop 5 % above.
pub(crate) fn sell(price: f64) -> Value {
    with(alert(1, "SELL", price), json!({ "tp": price * 0.9, "sl": price * 1.05 }))
}

pub(crate) fn tp_hit(price: f64) -> Value {
    alert(1, "TP_HIT", price)
}

/// What was decided about user `n`.
fn verdict(books: &Books, alert: AlertId, n: u32) -> Verdict {
    books.decision(alert, fixtures::user_id(n)).unwrap().verdict
}

/// The trades of user `n` in configuration 1, by number.
pub(crate) fn trades(books: &Books, n: u32) -> Vec<&Trade> {
    books.trades_of(fixtures::user_id(n), fixtures::config_id(1))
}

/// Where they stand.
pub(crate) fn states(books: &Books, n: u32) -> Vec<TradeStatus> {
    trades(books, n).into_iter().map(|trade| trade.status).collect()
}
