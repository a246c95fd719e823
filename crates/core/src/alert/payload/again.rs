//! Reading an alert again that is kept: after the cause of its refusal was mended.

use bson::{Bson, Document};
use serde_json::{Map, Number, Value};

use super::{Fields, Payload, Reader, TEXT_KEY};
use crate::alert::document::Alert;
use crate::alert::intent::{ExitSignal, Intent, OperatorReading, remark};
use crate::alert::problem::Problem;
use crate::market::Signal;

/// Reads the payload of a kept alert as it was read when it came in. What its body lacked, because it stood in the URL,
/// is taken from what was read then.
pub fn read_again(alert: &Alert) -> Payload {
    let raw = &alert.webhook.raw_payload;
    let body = fields(raw.iter().filter(|(name, _)| *name != TEXT_KEY));
    let query = read_then(alert, &body);
    let fields = Fields::new(body, query);
    let mut payload = Reader { fields, problems: Vec::new() }.payload(raw.clone());
    payload.additional = alert.alert_data.additional_data.clone().unwrap_or_default();
    payload
}

/// Fields that tell what an alert asks for: what is wrong with them does not matter any more once an operator has said it.
const ABOUT_INTENT: &[&str] = &[
    "signal",
    "action",
    "order_action",
    "side",
    "direction",
    "type",
    "event",
    "order",
    "message_type",
    "reason",
    "market_position",
    "prev_market_position",
    "market_position_size",
    "prev_market_position_size",
    "position",
    "position_size",
    "position_side",
    "sentiment",
    "order_id",
    "comment",
    "reduce_only",
    "close_position",
];

/// Whether a problem is that it is not clear what the alert asks for.
pub fn is_about_intent(problem: &Problem) -> bool {
    ABOUT_INTENT.contains(&problem.field.as_str())
}

impl Payload {
    /// Takes an operator's word for what it asks for. Answers whether that says enough: an entry and a turn need a side.
    pub fn read_as(&mut self, reading: OperatorReading) -> bool {
        let Some(intent) = reading.intent(self.told_reason()) else { return false };
        self.intent = Some(intent);
        self.signal = Some(intent.signal());
        self.problems.retain(|problem| !is_about_intent(problem));
        true
    }

    /// What it says of why trades end.
    fn told_reason(&self) -> Option<ExitSignal> {
        let by_signal = match self.signal {
            Some(Signal::TpHit) => Some(ExitSignal::TpHit),
            Some(Signal::SlHit) => Some(ExitSignal::SlHit),
            Some(Signal::Buy | Signal::Sell) | None => None,
        };
        let told = self.intent.map_or(by_signal, Intent::reason);
        let texts = [self.comment.as_deref(), self.trade_ref.as_deref()];
        told.or_else(|| texts.into_iter().flatten().find_map(remark))
    }
}

/// The body of a kept alert, to be read by people: the text that it was, or its JSON.
#[must_use]
pub fn body_text(alert: &Alert) -> String {
    let raw = &alert.webhook.raw_payload;
    raw.get_str(TEXT_KEY).map_or_else(|_| Value::Object(document(raw)).to_string(), str::to_owned)
}

/// What was read when it came in, under the names by which it is looked for; and what stood in the URL and was not.
fn read_then(alert: &Alert, body: &Map<String, Value>) -> Map<String, Value> {
    let data = &alert.alert_data;
    let mut read = fields(data.additional_data.iter().flatten().filter(|(name, _)| !body.contains_key(*name)));
    read.insert("symbol".to_owned(), data.symbol.as_str().into());
    read.insert("timeframe".to_owned(), data.timeframe.as_str().into());
    read.insert("strategy".to_owned(), data.strategy.as_str().into());
    read.insert("signal".to_owned(), data.signal.as_str().into());
    read.insert("price".to_owned(), data.price.to_string().into());
    for (name, level) in [("tp", data.take_profit_price), ("sl", data.stop_loss_price)] {
        read.extend(level.map(|level| (name.to_owned(), level.to_string().into())));
    }
    read.insert("timestamp".to_owned(), data.timestamp.millis().into());
    read
}

fn fields<'a>(document: impl IntoIterator<Item = (&'a String, &'a Bson)>) -> Map<String, Value> {
    document.into_iter().map(|(name, value)| (name.clone(), json(value))).collect()
}

/// A value as a body had it.
pub(in crate::alert) fn json(value: &Bson) -> Value {
    match value {
        Bson::Null => Value::Null,
        Bson::Boolean(flag) => Value::Bool(*flag),
        Bson::String(text) => Value::String(text.clone()),
        Bson::Array(items) => Value::Array(items.iter().map(json).collect()),
        Bson::Document(inner) => Value::Object(document(inner)),
        Bson::Int32(number) => Value::from(*number),
        Bson::Int64(number) => Value::from(*number),
        Bson::Double(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        other => Value::String(other.to_string()),
    }
}

fn document(document: &Document) -> Map<String, Value> {
    fields(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::document::{AlertExtension, AlertStatistics, Processing, Source, Webhook};
    use crate::alert::payload;
    use crate::id::AlertId;
    use crate::time::Time;

    const RECEIVED: Time = Time::from_millis(1_750_000_000_000);

    fn kept(body: &str, query: &str) -> (Alert, Payload) {
        let payload = payload::read(body.as_bytes(), query).unwrap();
        let alert = Alert {
            id: AlertId::MIN,
            source: Source::TradingView,
            webhook: Webhook {
                received_at: RECEIVED,
                processed_at: None,
                raw_payload: payload.raw.clone(),
                signature: None,
                ip_address: None,
            },
            alert_data: payload.alert_data(RECEIVED).unwrap(),
            processing: Processing::default(),
            statistics: AlertStatistics::default(),
            created_at: RECEIVED,
            updated_at: RECEIVED,
            alertcast: AlertExtension::default(),
        };
        (alert, payload)
    }

    #[test]
    fn an_operators_word_stands_for_what_the_message_does_not_say() {
        use crate::alert::intent::ReadAs;
        use crate::market::Side;
        let unclear = r#"{"ticker": "SYM1", "interval": "60", "strategy": "EMA", "signal": "whatever", "price": 100,
            "tp": "x", "comment": "TP1"}"#;
        let read = || payload::read(unclear.as_bytes(), "").unwrap();
        let reading = |read_as, side| OperatorReading { read_as, side };
        let tp = Some(ExitSignal::TpHit);
        for (reading, intent) in [
            (reading(ReadAs::Exit, None), Intent::Flat { side: None, reason: tp }),
            (reading(ReadAs::Exit, Some(Side::Sell)), Intent::Flat { side: Some(Side::Sell), reason: tp }),
            (reading(ReadAs::Entry, Some(Side::Buy)), Intent::Entry { side: Side::Buy }),
            (reading(ReadAs::Turn, Some(Side::Buy)), Intent::Turn { closes: Side::Sell, reason: tp, opens: Side::Buy }),
        ] {
            let mut payload = read();
            assert!(payload.read_as(reading));
            assert_eq!((payload.intent, payload.signal), (Some(intent), Some(intent.signal())));
            let wrong: Vec<_> = payload.problems.iter().map(|problem| problem.field.as_str()).collect();
            assert_eq!(wrong, ["tp"], "the rest is judged as ever");
        }
        for read_as in [ReadAs::Entry, ReadAs::Turn] {
            let (mut payload, before) = (read(), read());
            assert!(!payload.read_as(reading(read_as, None)));
            assert_eq!(payload, before);
        }
    }

    /// In which form it came, and whether fields stood in the URL, makes no difference.
    #[test]
    fn an_alert_is_read_again_as_it_was_read_at_first() {
        let json = r#"{"ticker": "SYM1", "interval": "60", "strategy": "EMA", "signal": "buy", "price": "100.5",
            "tp": 110, "sl": null, "time": "2025-06-15T10:00:00Z", "tp2": 120.25, "alert_id": "a-1", "quantity": 3}"#;
        let pairs = "ticker: SYM1, interval: 60, strategy: EMA, signal: sell, price: 100, sl: 110, note: x";
        let turned = r#"{"ticker": "SYM1", "interval": "1h", "action": "sell", "price": 99.5,
            "market_position": "flat", "prev_market_position": "long"}"#;
        for (body, query) in [
            (json, ""),
            (pairs, ""),
            (turned, "strategy=EMA&tp=90"),
            ("", "symbol=A&tf=1h&strategy=S&signal=BUY&price=1"),
        ] {
            let (alert, first) = kept(body, query);
            let again = read_again(&alert);
            let timestamp = first.timestamp.or(Some(RECEIVED));
            let expected = Payload {
                timestamp,
                timestamp_in_body: again.timestamp_in_body,
                alert_id: again.alert_id.clone(),
                ..first.clone()
            };
            assert_eq!(again, expected, "{body} {query}");
            let text = body_text(&alert);
            match serde_json::from_str::<Value>(body) {
                Ok(came) => assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), came),
                Err(_) => assert_eq!(text, body),
            }
            assert_eq!(first.timestamp_in_body, again.timestamp_in_body, "{body}");
        }
    }
}
