//! Reading single values: a price, a level, a timestamp, a word.

use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value;

use super::intent::StrategyPosition;
use super::payload::GivenTimeframe;
use super::rule_violation::{ProblemCode, show_value};
use crate::market::{Symbol, Timeframe};
use crate::money::{Amount, BadNumber, Price, is_number};
use crate::time::Time;
use crate::user::RiskLevel;

/// What a value is good for.
#[derive(Debug)]
pub(super) enum ValueReading<T> {
    /// As good as not there.
    Absent,
    /// A value.
    Usable(T),
    /// Something else; another name may have a usable one. The text goes on from the field's name: `is …`.
    Unusable(ProblemCode, String),
}

/// A single value as text, trimmed; none for null, an empty text, true and false, and whole objects.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A single value as text, trimmed. Null and an empty text are absent.
pub(super) fn scalar(value: &Value) -> ValueReading<String> {
    let what = match value {
        Value::Null => return ValueReading::Absent,
        Value::String(text) if text.trim().is_empty() => return ValueReading::Absent,
        Value::String(text) => return ValueReading::Usable(text.trim().to_owned()),
        Value::Number(number) => return ValueReading::Usable(number.to_string()),
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    ValueReading::Unusable(ProblemCode::WrongType, format!("is {what}, where one value belongs"))
}

/// The `{{…}}` in a text, if TradingView left one.
pub(super) fn placeholder(text: &str) -> Option<&str> {
    let start = text.find("{{")?;
    let end = text[start..].find("}}")?;
    Some(&text[start..start + end + 2])
}

pub(super) fn unfilled_reading<T>(placeholder: &str) -> ValueReading<T> {
    let name = placeholder.trim_matches(['{', '}', ' ']);
    let advice = if name.starts_with("strategy.") {
        "it is filled only in the message of an alert on a strategy (order fills)"
    } else if name.starts_with("plot") {
        "the script has no plot of that number or title"
    } else {
        "check its spelling, and that it stands in the alert's message"
    };
    let shown = super::rule_violation::plain(placeholder);
    ValueReading::Unusable(
        ProblemCode::Placeholder,
        format!("is still the placeholder {shown}: TradingView did not fill it; {advice}"),
    )
}

/// Reads a text, which is no placeholder.
fn read<T>(value: &Value, of: impl FnOnce(String) -> ValueReading<T>) -> ValueReading<T> {
    match scalar(value) {
        ValueReading::Usable(text) => match placeholder(&text) {
            Some(placeholder) => unfilled_reading(placeholder),
            None => of(text),
        },
        ValueReading::Absent => ValueReading::Absent,
        ValueReading::Unusable(code, reason) => ValueReading::Unusable(code, reason),
    }
}

/// A text of at most `chars_max` characters.
pub(super) fn words(chars_max: usize) -> impl Fn(&Value) -> ValueReading<String> {
    move |value| {
        read(value, |text| match text.chars().count() {
            count if count > chars_max => ValueReading::Unusable(
                ProblemCode::TooLong,
                format!("has {count} characters; at most {chars_max} are allowed"),
            ),
            _ => ValueReading::Usable(text),
        })
    }
}

/// A text that an alert can do without: what cannot be used counts as absent.
pub(super) fn optional<T>(read: impl Fn(&Value) -> ValueReading<T>) -> impl Fn(&Value) -> ValueReading<T> {
    move |value| match read(value) {
        ValueReading::Usable(value) => ValueReading::Usable(value),
        _ => ValueReading::Absent,
    }
}

pub(super) fn symbol(value: &Value) -> ValueReading<Symbol> {
    read(value, |text| match Symbol::new(&text).filter(|_| !text.contains(char::is_control)) {
        Some(symbol) => ValueReading::Usable(symbol),
        None => ValueReading::Unusable(
            ProblemCode::BadSymbol,
            format!(
                "is {}, which is no symbol: at most {} characters, on one line",
                show_value(&text),
                Symbol::LENGTH_MAX
            ),
        ),
    })
}

pub(super) fn timeframe(value: &Value) -> ValueReading<GivenTimeframe> {
    read(value, |text| match Timeframe::from_str(&text) {
        Ok(timeframe) => ValueReading::Usable(GivenTimeframe::Known(timeframe)),
        Err(bad) => {
            ValueReading::Unusable(ProblemCode::UnknownTimeframe, format!("is {}, which {bad}", show_value(&text)))
        }
    })
}

pub(super) fn position(value: &Value) -> ValueReading<StrategyPosition> {
    read(value, |text| match StrategyPosition::from_word(&text) {
        Some(position) => ValueReading::Usable(position),
        None => ValueReading::Unusable(
            ProblemCode::UnknownPosition,
            format!("is {}: use long, short or flat", show_value(&text)),
        ),
    })
}

/// The entry's price. Zero and below are numbers too: whether they will do is a rule.
pub(super) fn price(value: &Value) -> ValueReading<Price> {
    match read(value, |text| number(&text)) {
        ValueReading::Unusable(ProblemCode::WrongType, reason) => {
            ValueReading::Unusable(ProblemCode::NotANumber, reason)
        }
        reading => reading,
    }
}

/// Whether a text means that there is no level. `na` is Pine's word for it.
pub(super) fn says_none(text: &str) -> bool {
    ["nan", "na", "n/a", "null", "none", "undefined", "false", "-"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A number, or what is wrong with it.
pub(super) fn number(text: &str) -> ValueReading<Price> {
    let wrong = match Price::parse(text) {
        Ok(price) => return ValueReading::Usable(price),
        Err(wrong) => wrong,
    };
    let hint = if wrong == BadNumber::NotANumber { advice(text) } else { "" };
    ValueReading::Unusable(ProblemCode::NotANumber, format!("is {}, which {wrong}{hint}", show_value(text)))
}

/// What to change about a text that is nearly a number. It says what is wrong with it, never which number is meant.
fn advice(text: &str) -> &'static str {
    let has = |chars: &[char]| text.contains(chars);
    let is_mark = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',');
    // The number without what stands around it.
    let inner = text.trim_matches(|c: char| !c.is_ascii_digit());
    let behind = text.trim_end_matches(|c: char| !is_mark(c)).len();
    let behind = text[behind..].trim();
    let decimal_comma = || inner.rsplit_once(',').is_some_and(|(_, last)| last.len() != 3 && !last.contains('.'));
    if text.chars().any(|c| c.is_numeric() && !c.is_ascii_digit()) {
        ": write its digits as 0 to 9"
    } else if inner.is_empty() {
        ""
    } else if text.starts_with("0x") || text.starts_with("0X") {
        ": write it in decimal digits"
    } else if text.ends_with('%') {
        ": a price is needed, not a percentage"
    } else if is_range(inner) {
        ": that is a range, or a difference that TradingView does not calculate: send one price"
    } else if inner.contains(['*', '/', '+', '(']) {
        ": TradingView fills placeholders in but calculates nothing; calculate it in the script and plot it"
    } else if ["k", "m", "b", "mn", "mio", "bn", "lakh", "cr"].iter().any(|short| behind.eq_ignore_ascii_case(short)) {
        ": it is abbreviated: write all of its digits"
    } else if inner.contains(',') && decimal_comma() {
        ": its decimals stand behind a comma: write a point, and nothing between the thousands, as in 64250.5"
    } else if inner.contains(',') {
        ": write it with a point for the decimals and nothing between the thousands, as in 64250.5"
    } else if inner.contains(|c: char| c.is_whitespace() || matches!(c, '\'' | '’' | '_')) {
        ": write its digits together, with nothing between the thousands, as in 64250.5"
    } else if inner.matches('.').count() > 1 {
        ": it has more than one point: write one, for the decimals, and nothing between the thousands"
    } else if inner.len() < text.len() && !has(&['{', '[']) {
        ": write the number alone, without a currency, a unit or a sign around it"
    } else {
        ""
    }
}

/// Whether two numbers stand there with a dash or a word between them.
fn is_range(text: &str) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    ["-", "–", "—", "..", "to", "…", "~"].iter().any(|between| {
        text.split_once(between).is_some_and(|(low, high)| {
            let mut low = low.trim_end().chars().rev();
            let is_exponent = || between == &"-" && text.contains(['e', 'E']);
            digit(low.next()) && digit(high.trim_start().chars().next()) && !is_exponent()
        })
    })
}

/// A quantity above zero.
pub(super) fn quantity(value: &Value) -> ValueReading<Amount> {
    let amount = text(value).and_then(|text| Amount::parse(&text).ok());
    amount.filter(|amount| amount.is_positive()).map_or(ValueReading::Absent, ValueReading::Usable)
}

/// The size of a position; zero is one too.
pub(super) fn size(value: &Value) -> ValueReading<Amount> {
    text(value).and_then(|text| Amount::parse(&text).ok()).map_or(ValueReading::Absent, ValueReading::Usable)
}

/// A level of risk in words. Numbers are percentages or lots elsewhere, and so no level.
pub(super) fn risk(value: &Value) -> ValueReading<RiskLevel> {
    let word = text(value).map(|text| super::names::normal(&text)).unwrap_or_default();
    let level = word.strip_suffix("risk").or_else(|| word.strip_prefix("risk")).unwrap_or(&word);
    match level.strip_suffix("level").unwrap_or(level) {
        "low" | "lo" | "l" | "conservative" | "safe" => ValueReading::Usable(RiskLevel::Low),
        "medium" | "med" | "mid" | "m" | "moderate" | "normal" => ValueReading::Usable(RiskLevel::Medium),
        "high" | "hi" | "h" | "aggressive" => ValueReading::Usable(RiskLevel::High),
        _ => ValueReading::Absent,
    }
}

/// RFC 3339, or seconds or milliseconds since the epoch.
pub(super) fn timestamp(value: &Value) -> ValueReading<Time> {
    read(value, |text| {
        let number = || Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text)).ok();
        if let Some(number) = Some(&text).filter(|text| is_number(text)).and_then(|_| number()) {
            return epoch(number, &text);
        }
        match text.parse::<jiff::Timestamp>() {
            Ok(at) => ValueReading::Usable(at.into()),
            Err(_) => ValueReading::Unusable(ProblemCode::BadTimestamp, bad_timestamp(&text)),
        }
    })
}

fn bad_timestamp(text: &str) -> String {
    let advice = if text.parse::<jiff::civil::DateTime>().is_ok() {
        "has no time zone: end it with Z if it is UTC"
    } else {
        "is not a time: use {{timenow}}, which reads 2026-11-22T10:00:00Z, or seconds or milliseconds since 1970"
    };
    format!("is {}, which {advice}", show_value(text))
}

/// Twelve digits and more are milliseconds (seconds would lie beyond the year 5000), up to the year 5138.
fn epoch(number: Decimal, text: &str) -> ValueReading<Time> {
    let limit = Decimal::from(100_000_000_000_i64);
    let thousand = Decimal::from(1_000);
    let millis = if number < limit { number * thousand } else { number };
    let millis = Some(millis).filter(|m| *m >= Decimal::ZERO && *m < limit * thousand).and_then(|m| m.trunc().to_i64());
    millis.map(Time::from_millis).map_or_else(
        || {
            let reason = format!("is {}, which is neither seconds nor milliseconds since 1970", show_value(text));
            ValueReading::Unusable(ProblemCode::BadTimestamp, reason)
        },
        ValueReading::Usable,
    )
}
