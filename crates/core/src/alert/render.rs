//! An alert's essential fields as the canonical JSON message: what `payload::read` reads back unchanged.

use serde_json::{Map, Number, Value};

use super::intent::{ExitSignal, Intent, PositionChange, StrategyPosition};
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
    for (name, word) in payload.intent.map(words).unwrap_or_default() {
        put(name, Some(word.into()));
    }
    put("price", payload.price.map(number));
    put("tp", payload.take_profit.map(number));
    put("sl", payload.stop_loss.map(number));
    put("timestamp", payload.timestamp.map(|at| at.to_string().into()));
    put("alert_id", text(&payload.alert_id));
    put("quantity", payload.quantity.map(|quantity| quantity.to_string().into()));
    put(if payload.trade_ref_explicit { "trade_id" } else { "order_id" }, text(&payload.trade_ref));
    // A turn's reason may stand there already.
    if let Some(comment) = text(&payload.comment) {
        put("comment", Some(comment));
    }
    put("risk", payload.risk.map(|risk| risk.as_str().into()));
    Value::Object(message).to_string()
}

/// A price as a JSON number.
fn number(price: Price) -> Value {
    Number::from_f64(price.to_f64()).map_or(Value::Null, Value::Number)
}

/// The fields of which `intent::reading` makes this intent.
pub(super) fn words(intent: Intent) -> Vec<(&'static str, String)> {
    let word = |name, word: &str| (name, word.to_owned());
    let side = |side: Option<Side>| side.map(|side| word("side", StrategyPosition::Held(side).as_str()));
    let position = |name, position: StrategyPosition| word(name, position.as_str());
    let signal = |reason: Option<ExitSignal>| reason.map(|reason| word("signal", reason.as_str()));
    match intent {
        Intent::Entry { side } => vec![word("signal", side.as_str())],
        Intent::Exit { reason: ExitSignal::TpHit, side: of, target: Some(target) } => {
            [("signal", format!("TP{target}"))].into_iter().chain(side(of)).collect()
        }
        Intent::Exit { reason, side: of, .. } => signal(Some(reason)).into_iter().chain(side(of)).collect(),
        Intent::Flat { side: of, reason } => {
            let prev = of.map(|of| position("prev_market_position", StrategyPosition::Held(of)));
            signal(reason)
                .into_iter()
                .chain([position("market_position", StrategyPosition::Flat)])
                .chain(prev)
                .collect()
        }
        Intent::Turn { closes, reason, opens } => {
            let comment = reason.map(|reason| word("comment", reason.as_str()));
            let turn = [
                word("signal", opens.as_str()),
                position("market_position", StrategyPosition::Held(opens)),
                position("prev_market_position", StrategyPosition::Held(closes)),
            ];
            turn.into_iter().chain(comment).collect()
        }
        Intent::Partial { side: of, reason, change } => {
            let change = match change {
                PositionChange::Reduced => "partial",
                PositionChange::Breakeven => "breakeven",
                PositionChange::StopMoved => "stop moved",
            };
            let told = match reason {
                Some(ExitSignal::TpHit) => format!("{change} TP"),
                Some(ExitSignal::SlHit) => format!("{change} SL"),
                None => change.to_owned(),
            };
            [("signal", told)].into_iter().chain(side(of)).collect()
        }
    }
}
