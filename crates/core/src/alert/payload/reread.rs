//! Reading an alert again that is kept: after the cause of its refusal was mended.

use bson::{Bson, Document};
use serde_json::{Map, Number, Value};

use super::{Payload, PayloadReader, RequestFields, TEXT_KEY};
use crate::alert::document::{Alert, AlertStatus};
use crate::alert::intent::{ExitSignal, Intent, OperatorReading, remark};
use crate::alert::render::words;
use crate::alert::rule_violation::{ProblemCode, RuleViolation};
use crate::alert::source;
use crate::market::Signal;

/// Reads the payload of a kept alert as it was read when it came in. What its body lacked, because it stood in the URL,
/// is taken from what was read then. What was an exit then is never an entry now.
pub fn read_again(alert: &Alert) -> Payload {
    let mut payload = said_again(alert, Vec::new());
    if says_nothing(&payload) {
        payload = said_again(alert, stored_intent(alert).map(words).unwrap_or_default());
    }
    keep_closing(alert, &mut payload);
    payload.additional = alert.alert_data.additional_data.clone().unwrap_or_default();
    payload
}

/// How an alert that was kept would be read now, where that is another thing than was made of it.
#[must_use]
pub fn read_otherwise(alert: &Alert) -> Option<ChangedReading> {
    let payload = said_again(alert, Vec::new());
    // Where all of it stood in the URL, what was read then is all that is known.
    if says_nothing(&payload) {
        return None;
    }
    let refused = alert.processing.status == AlertStatus::Failed && !alert.alertcast.refused_for.is_empty();
    let misread = alert.alertcast.refused_for.iter().any(|code| INTENT_CODES.contains(&code.as_str()));
    let then = if refused && misread { None } else { Some(stored_intent(alert)?) };
    let same = match (then, payload.intent) {
        (Some(then), Some(now)) => is_same(then, now),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    (!same).then_some(ChangedReading { then, now: payload.intent })
}

/// What was made of an alert, and what would be; none where it was, or would be, refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedReading {
    pub then: Option<Intent>,
    pub now: Option<Intent>,
}

/// The codes under which an alert is refused because it is not clear what it asks for.
const INTENT_CODES: &[&str] = &[ProblemCode::UnknownSignal.as_str(), ProblemCode::Contradictory.as_str()];

/// Whether the same comes of both. Of a turn one half may have been left out; what an exit tells besides its reason
/// only narrows it.
fn is_same(then: Intent, now: Intent) -> bool {
    match (then, now) {
        (Intent::Exit { reason: then, .. }, Intent::Exit { reason: now, target: None, .. }) => then == now,
        (Intent::Entry { side }, Intent::Turn { opens, .. }) => side == opens,
        (Intent::Flat { side, .. }, Intent::Turn { closes, .. }) => side == Some(closes),
        (Intent::Flat { side: then, .. }, Intent::Flat { side: now, .. }) => then == now || then.is_none(),
        (then, now) => then == now,
    }
}

/// What was made of it when it came in.
fn stored_intent(alert: &Alert) -> Option<Intent> {
    Intent::from_document(alert.alert_data.signal, alert.alertcast.intent.as_ref()).ok()
}

fn said_again(alert: &Alert, more: Vec<(&'static str, String)>) -> Payload {
    let raw = &alert.webhook.raw_payload;
    let body = fields(raw.iter().filter(|(name, _)| *name != TEXT_KEY));
    let body = source::unwrap_fields(&body).ok().flatten().unwrap_or(body);
    let mut query = read_then(alert, &body);
    query.extend(more.into_iter().map(|(name, word)| (name.to_owned(), word.into())));
    PayloadReader { fields: RequestFields::new(body, query), problems: Vec::new() }.payload(raw.clone())
}

fn says_nothing(payload: &Payload) -> bool {
    payload.problems.iter().any(|problem| problem.field == "signal" && problem.code == ProblemCode::Missing)
}

/// The words of closing may have stood in the URL, which is not kept whole.
fn keep_closing(alert: &Alert, payload: &mut Payload) {
    let closed = stored_intent(alert).filter(|intent| intent.opens().is_none());
    let (Some(closed), Some(Intent::Entry { .. })) = (closed, payload.intent) else { return };
    payload.ask(closed);
    if alert.alertcast.refused_for.iter().any(|code| INTENT_CODES.contains(&code.as_str())) {
        let message = "what it asks for was not clear when it came in: say what is to be done, or send it anew";
        payload.intent = None;
        payload.problems.push(RuleViolation::new("signal", ProblemCode::Contradictory, message));
    }
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
pub fn is_about_intent(problem: &RuleViolation) -> bool {
    problem.code != ProblemCode::SignalDisabled && ABOUT_INTENT.contains(&problem.field.as_str())
}

impl Payload {
    /// Takes an operator's word for what it asks for. Answers whether that says enough: an entry and a turn need a side.
    pub fn read_as(&mut self, reading: OperatorReading) -> bool {
        let Some(intent) = reading.intent(self.told_reason()) else { return false };
        self.ask(intent);
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
    use crate::alert::acceptance::{AlertReceipt, AlertRefusal};
    use crate::alert::payload;
    use crate::id::AlertId;
    use crate::time::Time;

    const RECEIVED: Time = Time::from_millis(1_750_000_000_000);

    fn kept(body: &str, query: &str) -> (Alert, Payload) {
        let payload = payload::read(body.as_bytes(), query).unwrap();
        let receipt = AlertReceipt::plain(AlertId::MIN, RECEIVED, payload.raw.clone());
        let mut alert = Alert::refused(receipt, None, &payload, AlertRefusal::default()).unwrap();
        (alert.processing, alert.alertcast) = Default::default();
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

    fn kept_with_intent(body: &str, query: &str) -> Alert {
        let (mut alert, payload) = kept(body, query);
        alert.alertcast.intent = payload.intent.and_then(Intent::to_document);
        alert
    }

    #[test]
    fn words_in_the_url_are_as_good_as_in_the_body() {
        for (body, query) in [
            (r#"{"symbol": "A", "tf": "1h", "price": 1, "strategy": "S"}"#, "signal=BUY"),
            (r#"{"symbol": "A", "tf": "1h", "price": 1, "strategy": "S"}"#, "market_position=flat"),
            (r#"{"symbol": "A", "tf": "1h", "price": 1, "strategy": "S"}"#, "signal=TP2&side=long"),
            (r#"{"symbol": "A", "tf": "1h", "price": 1, "strategy": "S"}"#, "signal=move_sl"),
            (r#"{"symbol": "A", "tf": "1h", "price": 1, "strategy": "S", "action": "sell"}"#, "reduceOnly=true"),
            (r#"{"symbol": "A", "tf": "1h", "price": 1, "strategy": "S", "action": "sell"}"#, "market_position=flat"),
            (r#"{"symbol": "A", "tf": "1h", "price": 1, "strategy": "S", "action": "sell"}"#, "comment=Exit%20Long"),
            (r#"{"symbol": "A", "tf": "1h", "price": 1, "strategy": "S", "side": "long"}"#, "type=exit"),
        ] {
            let alert = kept_with_intent(body, query);
            let again = read_again(&alert);
            assert_eq!(again.intent, stored_intent(&alert), "{body} {query}");
            assert_eq!(again.problems, [], "{body} {query}");
            assert!(again.intent.is_some(), "{body} {query}");
        }
    }

    #[test]
    fn what_was_not_clear_does_not_become_an_entry_for_lack_of_its_url() {
        let body = r#"{"symbol": "A", "tf": "1h", "price": 1, "strategy": "S", "action": "sell"}"#;
        let mut alert = kept_with_intent(body, "type=exit");
        assert_eq!(alert.alert_data.signal, crate::market::Signal::TpHit);
        alert.alert_data.additional_data = None;
        alert.alertcast.refused_for = vec!["contradictory".to_owned()];
        let again = read_again(&alert);
        assert_eq!(again.intent, None);
        assert_eq!(again.problems.len(), 1);
    }

    #[test]
    fn what_would_be_read_otherwise_is_told() {
        use crate::alert::intent::ExitSignal;
        use crate::market::{Side, Signal};
        let body = |more: &str| format!(r#"{{"symbol": "A", "tf": "1h", "price": 1, "strategy": "S", {more}}}"#);
        // As an entry, which earlier versions made of it.
        let mut misread = kept_with_intent(&body(r#""signal": "TP1", "side": "buy""#), "");
        misread.alert_data.signal = Signal::Buy;
        misread.alertcast.intent = None;
        let now = Intent::Exit { reason: ExitSignal::TpHit, side: None, target: Some(1) };
        let then = Intent::Entry { side: Side::Buy };
        assert_eq!(read_otherwise(&misread), Some(ChangedReading { then: Some(then), now: Some(now) }));
        let mut refused = kept_with_intent(&body(r#""signal": "exit", "side": "long""#), "");
        refused.processing.status = AlertStatus::Failed;
        refused.alertcast.refused_for = vec!["unknown_signal".to_owned()];
        let flat = Intent::Flat { side: Some(Side::Buy), reason: None };
        assert_eq!(read_otherwise(&refused), Some(ChangedReading { then: None, now: Some(flat) }));
        for same in
            [r#""signal": "BUY""#, r#""signal": "TP_HIT", "side": "long""#, r#""x": 1, "market_position": "flat""#]
        {
            assert_eq!(read_otherwise(&kept_with_intent(&body(same), "")), None, "{same}");
        }
        assert_eq!(read_otherwise(&kept_with_intent(&body(r#""x": 1"#), "signal=BUY")), None);
    }
}
