//! What single values say: a word, a flag that is on, a position that is flat.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::StateSays;
use super::fields::{CLOSING_FLAGS, LONG_FLAGS, PARTS, PERCENTAGES, SHORT_FLAGS};
use crate::alert::intent::phrase::{PhraseMeaning, PhrasePlace, understand};
use crate::alert::values::{self, ValueReading};
use crate::alert::{json, letters, names};
use crate::market::Side;

/// A single value as text, a list as its values in a row.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
            let items: Vec<String> = items.iter().filter_map(text_of).collect();
            Some(items.join(" "))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.iter().all(is_absent),
        _ => false,
    }
}

/// What an action's field says. 1 and -1 are a side; other numbers, true and false say nothing that can be known.
pub(super) fn action(value: &Value) -> PhraseMeaning {
    let Some(text) = text_of(value) else { return PhraseMeaning::Unknown };
    match number_of(&text) {
        Some(number) if number == Decimal::ONE => PhraseMeaning::Side(Side::Buy),
        Some(number) if number == Decimal::NEGATIVE_ONE => PhraseMeaning::Side(Side::Sell),
        Some(_) => PhraseMeaning::Unknown,
        None if text.contains("{{") => PhraseMeaning::Unknown,
        None => match understand(&text, PhrasePlace::Action) {
            PhraseMeaning::Nothing => PhraseMeaning::Unknown,
            saying => saying,
        },
    }
}

/// What another field says. Only texts, and lists of them, say anything there.
pub(super) fn read_saying(value: &Value, place: PhrasePlace) -> PhraseMeaning {
    match (value, text_of(value)) {
        (Value::String(_) | Value::Array(_), Some(text)) if !text.contains("{{") && number_of(&text).is_none() => {
            understand(&text, place)
        }
        _ => PhraseMeaning::Nothing,
    }
}

/// A sentiment or a position. Other words are scores, names and sizes.
pub(super) fn stance(value: &Value) -> Option<StateSays> {
    if is_zero(value) {
        return Some(StateSays::Flat);
    }
    match names::normal(&text_of(value)?).as_str() {
        "flat" | "closed" | "close" | "exit" | "exited" => Some(StateSays::Flat),
        "long" => Some(StateSays::Held(Side::Buy)),
        "short" => Some(StateSays::Held(Side::Sell)),
        "bullish" => Some(StateSays::Trade(Side::Buy)),
        "bearish" => Some(StateSays::Trade(Side::Sell)),
        _ => None,
    }
}

pub(super) fn says_flat(value: &Value) -> bool {
    text_of(value).is_some_and(|text| matches!(names::normal(&text).as_str(), "flat" | "zero"))
}

pub(super) fn is_zero(value: &Value) -> bool {
    // With its unit, where it has one: `0 BTC`, `0%`; and with a comma for its decimals.
    let zero = |text: String| {
        let number = letters::unstyled_text(text.split_whitespace().next()?).replace(',', ".");
        number_of(number.trim_end_matches('%'))
    };
    text_of(value).and_then(zero).is_some_and(|number| number.is_zero())
}

pub(super) fn position_numbered(number: &str) -> Option<Side> {
    match number {
        "1" => Some(Side::Buy),
        "2" => Some(Side::Sell),
        _ => None,
    }
}

pub(super) fn is_flag(normal: &str) -> bool {
    [CLOSING_FLAGS, LONG_FLAGS, SHORT_FLAGS].iter().any(|list| list.contains(&normal))
}

/// Whether a value is the name of a flag: `flags: ["reduceOnly"]`.
pub(super) fn names_a_flag(value: &Value) -> bool {
    match value {
        Value::String(text) => text.split(',').any(|name| is_flag_in_words(&names::normal(name))),
        Value::Array(items) => items.iter().any(names_a_flag),
        _ => false,
    }
}

/// Of the flags those that are no plain words of closing.
fn is_flag_in_words(normal: &str) -> bool {
    matches!(normal, "reduceonly" | "isreduceonly" | "closeonly" | "closeontrigger")
}

/// The objects that a value is, holds in a list, or writes out as a text.
pub(super) fn objects_in(value: &Value) -> Vec<Cow<'_, Map<String, Value>>> {
    match value {
        Value::Object(members) => vec![Cow::Borrowed(members)],
        Value::Array(items) => items.iter().flat_map(objects_in).collect(),
        Value::String(text) => json::written_out(text).map(objects_of).unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn objects_of(value: Value) -> Vec<Cow<'static, Map<String, Value>>> {
    match value {
        Value::Object(members) => vec![Cow::Owned(members)],
        Value::Array(items) => items.into_iter().flat_map(objects_of).collect(),
        Value::String(text) => json::written_out(&text).map(objects_of).unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn number_of(text: &str) -> Option<Decimal> {
    match values::size(&Value::String(text.to_owned())) {
        ValueReading::Usable(size) => Some(size.get()),
        _ => None,
    }
}

pub(super) fn says_true(value: &Value) -> bool {
    let word = |text: &str| matches!(names::normal(text).as_str(), "true" | "yes");
    matches!(value, Value::Bool(true)) || value.as_str().is_some_and(word)
}

/// A flag that is on, in whatever type it came.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => {
            const OFF: &[&str] = &[
                "0",
                "00",
                "000",
                "false",
                "no",
                "n",
                "off",
                "f",
                "none",
                "null",
                "na",
                "nan",
                "undefined",
                "disabled",
            ];
            // Signs alone say nothing, but for those that say yes.
            let normal = names::normal(text);
            let said = !normal.is_empty() || text.contains(['✓', '✔', '✅']);
            said && !OFF.contains(&normal.as_str()) && !text.contains("{{")
        }
        Value::Array(items) => items.iter().any(is_true),
        Value::Null | Value::Object(_) => false,
    }
}

/// Whether a quantity says that less than all is closed: `50%`.
pub(super) fn in_part(name: &str, value: &Value) -> bool {
    let Some(text) = text_of(value) else { return false };
    let (number, percent) = match text.strip_suffix('%') {
        Some(number) => (number.trim(), true),
        None => (text.as_str(), false),
    };
    let counts = PERCENTAGES.contains(&name) || percent && PARTS.contains(&name);
    counts && number_of(number).is_some_and(|number| number > Decimal::ZERO && number < Decimal::ONE_HUNDRED)
}
