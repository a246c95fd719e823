//! An alert's essential fields as the canonical JSON message: what `payload::read` reads back unchanged.

use serde_json::{Map, Number, Value};

use super::intent::{Intent, Position};
use super::payload::Payload;
use crate::market::Side;
use crate::money::Price;

/// The canonical message for a payload's fields; additional data and the raw payload are not in it.
///
/// A turn or a partial exit whose reason the payload's comment does not tell gets a comment that does.
pub fn render(payload: &Payload) -> String {
    let mut message = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            message.insert(name.to_owned(), value);
        }
    };
    let text = |value: &Option<String>| value.clone().map(Value::String);
    put("symbol", payload.symbol.as_ref().map(|symbol| symbol.as_str().into()));
    put("timeframe", payload.timeframe.as_ref().map(|timeframe| timeframe.as_str().into()));
    put("strategy", text(&payload.strategy));
    let order = payload.intent.map(order).unwrap_or_default();
    put("signal", order.signal.map(Into::into));
    put("market_position", order.now.map(|position| position.as_str().into()));
    put("prev_market_position", order.prev.map(|position| position.as_str().into()));
    put("price", payload.price.map(number));
    put("tp", payload.take_profit.map(number));
    put("sl", payload.stop_loss.map(number));
    put("timestamp", payload.timestamp.map(|at| at.to_string().into()));
    put("alert_id", text(&payload.alert_id));
    put("quantity", payload.quantity.map(|quantity| quantity.to_string().into()));
    put(if payload.trade_ref_explicit { "trade_id" } else { "order_id" }, text(&payload.trade_ref));
    put("comment", text(&payload.comment).or_else(|| order.comment.map(Into::into)));
    put("risk", payload.risk.map(|risk| risk.as_str().into()));
    Value::Object(message).to_string()
}

/// A price as a JSON number.
fn number(price: Price) -> Value {
    Number::from_f64(price.to_f64()).map_or(Value::Null, Value::Number)
}

#[derive(Default)]
struct OrderWords {
    signal: Option<&'static str>,
    now: Option<Position>,
    prev: Option<Position>,
    comment: Option<&'static str>,
}

/// The signal and positions that `intent::resolve` makes this intent of.
fn order(intent: Intent) -> OrderWords {
    let against = |side: Side| Some(side.opposite().as_str());
    match intent {
        Intent::Entry { side } => OrderWords { signal: Some(side.as_str()), ..OrderWords::default() },
        Intent::Exit { reason, .. } => OrderWords { signal: Some(reason.as_str()), ..OrderWords::default() },
        Intent::Flat { side, reason } => OrderWords {
            signal: reason.map(|reason| reason.as_str()),
            now: Some(Position::Flat),
            prev: side.map(Position::Held),
            comment: None,
        },
        Intent::Turn { closes, reason, opens } => OrderWords {
            signal: Some(opens.as_str()),
            now: Some(Position::Held(opens)),
            prev: Some(Position::Held(closes)),
            comment: reason.map(|reason| reason.as_str()),
        },
        Intent::Partial { side, reason, .. } => OrderWords {
            signal: reason.map(|reason| reason.as_str()).or_else(|| side.and_then(against)),
            now: side.map(Position::Held),
            prev: None,
            comment: None,
        },
    }
}
