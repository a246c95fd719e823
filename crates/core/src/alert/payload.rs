//! What a request to the webhook says: its body and query, read into an alert's fields (product, "Intake").
//!
//! Reading never fails for a field: what is wrong with one is a [`RuleViolation`], so that all of them can be named at once.
//! Only a body of which nothing can be made is [`UnreadableBody`]. The rules that need a configuration or the time are in
//! [`super::rules`].

mod reread;
mod unread;

use std::borrow::Cow;

use bson::{Bson, Document};
use serde_json::{Map, Value};

use super::document::AlertData;
use super::fields::{FieldLookup, FieldOrigin, RequestFields};
use super::intent::signs::collect;
use super::intent::{Intent, reading};
pub use super::levels::GivenLevels;
use super::levels::PriceLevels;
use super::names;
use super::redact::RedactedSecrets;
use super::rule_violation::{ProblemCode, RuleViolation, plain};
use super::{query, source, values};
use crate::market::{Signal, Symbol, Timeframe};
use crate::money::{Amount, Price};
use crate::time::Time;
use crate::user::RiskLevel;

pub(super) use self::reread::json;
pub use self::reread::{ChangedReading, body_text, is_about_intent, read_again, read_otherwise};
pub use super::redact::{scrub, scrub_query};
pub use super::source::UnreadableBody;

/// The most characters of a strategy's name, an alert's id or a trade's.
pub const NAME_CHARS_MAX: usize = 200;

/// The most characters that are kept of a comment. The whole one stands in the raw payload.
pub const COMMENT_CHARS_MAX: usize = 1_000;

/// Where the text of a body that was not JSON stands in the raw payload.
pub const TEXT_KEY: &str = "_text";

/// A timeframe as the alert gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GivenTimeframe {
    /// One that the seed has.
    Known(Timeframe),
    /// Another text, shortened. The alert is refused, and kept with it.
    Unknown(String),
}

impl GivenTimeframe {
    /// The spelling in documents.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(timeframe) => timeframe.as_str(),
            Self::Unknown(text) => text,
        }
    }
}

/// What a request says. Absent fields are none; what is wrong stands in `problems`.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    pub symbol: Option<Symbol>,
    /// The exchange, where it stands apart from the symbol.
    pub exchange: Option<String>,
    pub timeframe: Option<GivenTimeframe>,
    /// Trimmed.
    pub strategy: Option<String>,
    /// The seed's word for the intent; where there is no clear intent, what the signal says.
    pub signal: Option<Signal>,
    pub intent: Option<Intent>,
    /// Any number: that an entry's is positive is a rule.
    pub price: Option<Price>,
    pub take_profit: Option<Price>,
    pub stop_loss: Option<Price>,
    /// The take profits behind the first, in their order.
    pub targets: Vec<Price>,
    /// The levels as they are given: of those in percent the intent makes prices.
    pub levels: GivenLevels,
    pub timestamp: Option<Time>,
    /// Whether the timestamp stands in the body. One in the query is the same in every alert.
    pub timestamp_in_body: bool,
    pub alert_id: Option<String>,
    /// Above zero.
    pub quantity: Option<Amount>,
    /// The sender's name for the trade: `trade_id`, or `order_id`.
    pub trade_ref: Option<String>,
    /// The name stood as `trade_id`.
    pub trade_ref_explicit: bool,
    pub comment: Option<String>,
    pub risk: Option<RiskLevel>,
    /// What was not read as one of the above: `alertData.additionalData`.
    pub additional: Document,
    /// The body as it was read, without secrets: `webhook.rawPayload`.
    pub raw: Document,
    /// Everything wrong with the fields themselves, each field at most once.
    pub problems: Vec<RuleViolation>,
}

impl Payload {
    /// Takes the alert for one that asks for this, whatever it says itself: its levels are those of such a one.
    pub fn ask(&mut self, intent: Intent) {
        self.signal = Some(intent.signal());
        self.intent = Some(intent);
        self.resolve_levels();
    }

    /// Makes prices of the levels.
    fn resolve_levels(&mut self) {
        let PriceLevels { take_profit, stop_loss, targets } =
            self.levels.resolve(self.intent.and_then(Intent::opens), self.price);
        (self.take_profit, self.stop_loss, self.targets) = (take_profit, stop_loss, targets);
    }

    /// The symbols to look a configuration up by, in this order: as it stands, without its exchange, at the exchange that
    /// stands apart. That of a delayed feed is that of the feed itself too.
    pub fn symbols(&self) -> Vec<Symbol> {
        let Some(given) = &self.symbol else { return Vec::new() };
        let at_exchange = self.exchange.as_deref().and_then(|exchange| given.at_exchange(exchange));
        let forms = [
            Some(given.clone()),
            given.without_delay(),
            given.without_exchange(),
            at_exchange.clone(),
            at_exchange.and_then(|symbol| symbol.without_delay()),
        ];
        forms.into_iter().flatten().collect()
    }

    /// The feed that it comes of, where its data are delayed: `NSE_DLY`.
    pub fn delayed_feed(&self) -> Option<String> {
        let given = self.symbol.as_ref()?;
        let at_exchange = self.exchange.as_deref().and_then(|exchange| given.at_exchange(exchange));
        let symbol =
            [Some(given.clone()), at_exchange].into_iter().flatten().find(|symbol| symbol.without_delay().is_some());
        symbol.and_then(|symbol| symbol.exchange().map(str::to_owned))
    }

    /// What an `alerts` document keeps of it; none where the schema requires more than there is (seed 2.7). An alert
    /// without a timestamp has that of its receipt.
    pub fn alert_data(&self, received_at: Time) -> Option<AlertData> {
        Some(AlertData {
            symbol: self.symbol.as_ref()?.as_str().to_owned(),
            timeframe: self.timeframe.as_ref()?.as_str().to_owned(),
            strategy: self.strategy.clone()?,
            signal: self.signal?,
            price: self.price?,
            take_profit_price: self.take_profit,
            stop_loss_price: self.stop_loss,
            timestamp: self.timestamp.unwrap_or(received_at),
            additional_data: Some(self.additional.clone()).filter(|additional| !additional.is_empty()),
        })
    }
}

/// Reads a request: `query` is the URL's, without or with its `?`.
///
/// # Errors
/// Nothing can be made of the body: it is no UTF-8 text, no JSON object (nor near enough to one), has no fields, too
/// many, or too deep ones.
pub fn read(body: &[u8], query: &str) -> Result<Payload, UnreadableBody> {
    let source = source::read(body)?;
    let (mut fields, mut query) = (source.fields, query::read(query)?);
    if fields.is_empty() && query.is_empty() {
        let blank = source.text.is_some_and(|text| text.is_empty());
        return Err(if blank { UnreadableBody::Empty } else { UnreadableBody::NoFields });
    }
    let mut secrets = RedactedSecrets::default();
    secrets.strip(&mut fields);
    secrets.strip(&mut query);
    secrets.learn(&fields);
    secrets.clean(&mut fields);
    let unwrapped = source::unwrap_fields(&fields)?.map(|mut inner| {
        secrets.strip(&mut inner);
        secrets.clean(&mut inner);
        secrets.clean(&mut fields);
        inner
    });
    secrets.clean(&mut query);
    let mut raw = document(&fields);
    let fields = unwrapped.unwrap_or(fields);
    if let Some(text) = source.text {
        raw.insert(TEXT_KEY, secrets.clean_text(&text).into_owned());
    }
    Ok(PayloadReader { fields: RequestFields::new(fields, query), problems: Vec::new() }.payload(raw))
}

struct PayloadReader {
    fields: RequestFields,
    problems: Vec<RuleViolation>,
}

impl PayloadReader {
    fn payload(mut self, raw: Document) -> Payload {
        let symbol = self.read_required("symbol", names::SYMBOL, values::symbol, "\"{{ticker}}\"");
        let exchange = match self.fields.look(names::EXCHANGE, values::symbol) {
            FieldLookup::Value(exchange, _) => Some(exchange.as_str().to_owned()),
            FieldLookup::Unusable(_) | FieldLookup::Nothing => None,
        };
        let timeframe = self.timeframe();
        let strategy = self.read_required(
            "strategy",
            names::STRATEGY,
            values::words(NAME_CHARS_MAX),
            "the name that your configuration has",
        );
        let comment = self.optional(names::COMMENT, values::words(usize::MAX));
        let (signal, intent) = self.intent();
        let price = self.read_required("price", names::PRICE, values::price, "{{close}}");
        let (levels, problems) = self.fields.take_levels();
        self.problems.extend(problems);
        let timestamp = self.allowed_with_origin("timestamp", names::TIMESTAMP, values::timestamp);
        let alert_id = self.identifier("alert_id", names::ALERT_ID);
        let quantity = self.optional(names::QUANTITY, values::quantity);
        let trade_id = self.identifier("trade_id", names::TRADE_ID);
        let trade_ref_explicit = trade_id.is_some();
        let trade_ref = trade_id.or_else(|| self.identifier("trade_id", names::ORDER_ID));
        let risk = self.optional(names::RISK, values::risk);
        let mut payload = Payload {
            symbol,
            exchange,
            timeframe,
            strategy,
            signal: intent.map(Intent::signal).or(signal),
            intent,
            price,
            take_profit: None,
            stop_loss: None,
            targets: Vec::new(),
            levels,
            timestamp: timestamp.map(|(at, _)| at),
            timestamp_in_body: timestamp.is_some_and(|(_, origin)| origin == FieldOrigin::Body),
            alert_id,
            quantity,
            trade_ref,
            trade_ref_explicit,
            comment: comment.map(|comment| comment.chars().take(COMMENT_CHARS_MAX).collect()),
            risk,
            additional: document(&self.fields.left_over()),
            raw,
            problems: self.problems,
        };
        payload.resolve_levels();
        payload
    }

    /// A field that every alert must have (seed 2.7). `example` says what to write.
    fn read_required<T>(
        &mut self,
        field: &str,
        names: &[&str],
        read: impl Fn(&Value) -> values::ValueReading<T>,
        example: &str,
    ) -> Option<T> {
        match self.fields.take(names, read) {
            FieldLookup::Value(value, _) => Some(value),
            FieldLookup::Unusable(fault) => {
                self.problems.push(fault.problem(field));
                None
            }
            FieldLookup::Nothing => {
                self.problems.push(missing_field(field, example));
                None
            }
        }
    }

    /// A field that may be absent, but not wrong.
    fn read_allowed<T>(
        &mut self,
        field: &str,
        names: &[&str],
        read: impl Fn(&Value) -> values::ValueReading<T>,
    ) -> Option<T> {
        self.allowed_with_origin(field, names, read).map(|(value, _)| value)
    }

    fn allowed_with_origin<T>(
        &mut self,
        field: &str,
        names: &[&str],
        read: impl Fn(&Value) -> values::ValueReading<T>,
    ) -> Option<(T, FieldOrigin)> {
        match self.fields.take(names, read) {
            FieldLookup::Value(value, origin) => Some((value, origin)),
            FieldLookup::Unusable(fault) => {
                self.problems.push(fault.problem(field));
                None
            }
            FieldLookup::Nothing => None,
        }
    }

    /// A field that an alert can do without: where it is wrong, it is left among the additional data.
    fn optional<T>(&mut self, names: &[&str], read: impl Fn(&Value) -> values::ValueReading<T>) -> Option<T> {
        match self.fields.take(names, values::optional(read)) {
            FieldLookup::Value(value, _) => Some(value),
            FieldLookup::Unusable(_) | FieldLookup::Nothing => None,
        }
    }

    /// A name given by the sender. Too long is wrong, since a shortened one may be another's; an unfilled placeholder
    /// counts as absent.
    fn identifier(&mut self, field: &str, names: &[&str]) -> Option<String> {
        match self.fields.take(names, values::words(NAME_CHARS_MAX)) {
            FieldLookup::Value(name, _) => Some(name),
            FieldLookup::Unusable(fault) => {
                let long = (fault.code == ProblemCode::TooLong).then(|| fault.problem(field));
                self.problems.extend(long);
                None
            }
            FieldLookup::Nothing => None,
        }
    }

    fn timeframe(&mut self) -> Option<GivenTimeframe> {
        match self.fields.take(names::TIMEFRAME, values::timeframe) {
            FieldLookup::Value(timeframe, _) => Some(timeframe),
            FieldLookup::Unusable(fault) => {
                self.problems.push(fault.problem("timeframe"));
                (fault.code == ProblemCode::UnknownTimeframe).then(|| GivenTimeframe::Unknown(plain(&fault.text)))
            }
            FieldLookup::Nothing => {
                self.problems.push(missing_field("timeframe", "\"{{interval}}\""));
                None
            }
        }
    }

    /// What the alert asks for, from all that bears on it.
    fn intent(&mut self) -> (Option<Signal>, Option<Intent>) {
        let mut signs = collect(&self.fields);
        signs.now = self.read_allowed("market_position", names::POSITION, values::position);
        let prev = self.read_allowed("prev_market_position", names::PREV_POSITION, values::position);
        signs.prev = prev.or(signs.prev);
        signs.growth = self.growth();
        signs.price = match self.fields.look(names::PRICE, values::price) {
            FieldLookup::Value(price, _) => Some(price),
            FieldLookup::Unusable(_) | FieldLookup::Nothing => None,
        };
        let read = reading::read(&signs);
        // What stands in the URL is kept among the rest: the URL itself is not.
        let of_body =
            read.read_from.iter().map(|heard| heard.place()).filter(|(_, origin)| *origin == FieldOrigin::Body);
        of_body.for_each(|(path, _)| self.fields.use_up_of_body(path));
        match read.intent {
            Ok(intent) => (Some(intent.signal()), Some(intent)),
            Err(unread) => {
                self.problems.push(unread::problem(&unread));
                (read.signal, None)
            }
        }
    }

    /// How the position's size changed, where both sizes are told.
    fn growth(&mut self) -> Option<std::cmp::Ordering> {
        let now = self.optional(names::POSITION_SIZE, values::size)?;
        let prev = self.optional(names::PREV_POSITION_SIZE, values::size)?;
        Some(now.get().abs().cmp(&prev.get().abs()))
    }
}

fn missing_field(field: &str, example: &str) -> RuleViolation {
    RuleViolation::new(
        field,
        ProblemCode::Missing,
        format!("{field} is missing: add {field} to the message, with {example}"),
    )
}

/// Fields as BSON, as the JavaScript driver would store them.
fn document(fields: &Map<String, Value>) -> Document {
    fields.iter().map(|(name, value)| (key(name).into_owned(), bson(value))).collect()
}

/// MongoDB takes any key but one with a NUL in it (since version 5 also a leading `$`, and dots).
fn key(name: &str) -> Cow<'_, str> {
    if name.contains('\0') { Cow::Owned(name.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(name) }
}

fn bson(value: &Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(flag) => Bson::Boolean(*flag),
        Value::String(text) => Bson::String(text.clone()),
        Value::Array(items) => Bson::Array(items.iter().map(bson).collect()),
        Value::Object(members) => Bson::Document(document(members)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => i32::try_from(whole).map_or(Bson::Int64(whole), Bson::Int32),
            (None, Some(double)) if double.is_finite() => Bson::Double(double),
            (None, _) => Bson::String(number.to_string()),
        },
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
