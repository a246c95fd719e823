//! JSON in which no field that decides stands twice: of two signals the reader must not pick one.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::intent::signs;
use super::{levels, names};

/// A field that decides stands there twice, with different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ToldTwice;

impl ToldTwice {
    pub(super) const MESSAGE: &'static str = "one of its fields stands there twice, with different values";
}

/// An object in the making. Of two fields of one name that decide nothing the last counts, and of an empty one and
/// another the other.
#[derive(Default)]
pub(super) struct ObjectMembers {
    fields: Map<String, Value>,
    /// The first field that is not empty, by its name in any spelling.
    first: HashMap<String, String>,
}

impl ObjectMembers {
    /// Puts a field among the others.
    ///
    /// # Errors
    /// It decides, and stands there with another value.
    pub(super) fn put(&mut self, name: String, value: Value) -> Result<(), ToldTwice> {
        let spelt = normalize_name(&name);
        if is_blank(&value) {
            self.fields.entry(name).or_insert(value);
            return Ok(());
        }
        match self.first.get(&spelt) {
            Some(before) if self.differs(before, &name, &value) => return Err(ToldTwice),
            Some(_) => {}
            None => drop(self.first.insert(spelt, name.clone())),
        }
        self.fields.insert(name, value);
        Ok(())
    }

    /// Whether a field decides, and stands there with another value. In two spellings all that say what to do are heard;
    /// of the others one is read.
    fn differs(&self, before: &str, name: &str, value: &Value) -> bool {
        let Some(other) = self.fields.get(before).filter(|other| *other != value) else { return false };
        if before == name {
            return decides(&normalize_name(name));
        }
        other.is_object() == value.is_object() && is_read_once(&normalize_name(name))
    }

    pub(super) fn finish(self) -> Map<String, Value> {
        self.fields
    }
}

/// One name in every spelling; `sl` and `sl%` are two.
fn normalize_name(name: &str) -> String {
    let normal = names::normal(name);
    if name.contains('%') { normal + "%" } else { normal }
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// Whether a field of this normal name tells what is to be done, or at which price.
pub(super) fn decides(normal: &str) -> bool {
    is_read_once(normal) || signs::is_told(normal)
}

/// Whether it is one of the fields of which only one is read.
fn is_read_once(normal: &str) -> bool {
    let lists = [names::SYMBOL, names::TIMEFRAME, names::STRATEGY, names::PRICE, names::POSITION, names::PREV_POSITION];
    lists.iter().any(|list| list.contains(&normal)) || levels::is_level(normal)
}

/// The object or list that a text writes out: `"exits": "{\"tp\": 110}"`.
pub(super) fn written_out(text: &str) -> Option<Value> {
    read_written(text)?.ok()
}

fn read_written(text: &str) -> Option<Result<Value, ToldTwice>> {
    text.trim_start().starts_with(['{', '[']).then_some(())?;
    match serde_json::from_str(text) {
        Ok(ToldOnce(value)) => Some(Ok(value)),
        // It is JSON, and of what that says only this is an error.
        Err(wrong) if wrong.is_data() => Some(Err(ToldTwice)),
        Err(_) => None,
    }
}

/// Holds what texts write out to it, at any depth, and texts within texts.
///
/// # Errors
/// A field that decides stands twice in one of their objects, with different values.
pub(super) fn check_texts<'v>(values: impl IntoIterator<Item = &'v Value>) -> Result<(), ToldTwice> {
    for value in values {
        match value {
            Value::String(text) => {
                if let Some(inner) = read_written(text) {
                    check_texts([&inner?])?;
                }
            }
            Value::Array(items) => check_texts(items)?,
            Value::Object(members) => check_texts(members.values())?,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    Ok(())
}

/// A value whose objects are held to it.
pub(super) struct ToldOnce(pub(super) Value);

impl<'de> Deserialize<'de> for ToldOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(ToldOnce(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = ObjectMembers::default();
        while let Some((name, ToldOnce(value))) = members.next_entry()? {
            object.put(name, value).map_err(|ToldTwice| A::Error::custom(ToldTwice::MESSAGE))?;
        }
        Ok(Value::Object(object.finish()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Value> {
        serde_json::from_str::<ToldOnce>(text).ok().map(|ToldOnce(value)| value)
    }

    #[test]
    fn what_decides_stands_there_once() {
        for (text, fine) in [
            (r#"{"action": "close", "action": "buy"}"#, false),
            (r#"{"reduceOnly": true, "x": 1, "reduceOnly": false}"#, false),
            (r#"{"strategy": {"order": {"comment": "Exit Long", "comment": "x"}}}"#, false),
            (r#"{"orders": [{"sl": 95, "sl": 96}]}"#, false),
            (r#"{"price": 1, "price": 2}"#, false),
            (r#"{"action": "buy", "Action": "close"}"#, true),
            (r#"{"price": 100, "Price": 101}"#, false),
            (r#"{"stop_loss": 95, "stopLoss": 96}"#, false),
            (r#"{"signal": "BUY", "signal": "BUY"}"#, true),
            (r#"{"signal": "BUY", "SIGNAL": "BUY"}"#, true),
            (r#"{"Strategy": "EMA", "strategy": {"order": {"action": "buy"}}, "sl": 95, "sl%": 5}"#, true),
            (r#"{"rsi": 1, "rsi": 2, "time": 1, "time": 2}"#, true),
        ] {
            assert_eq!(read(text).is_some(), fine, "{text}");
        }
        assert_eq!(read(r#"{"tp": 110, "tp": null, "sl": "", "sl": 95}"#), read(r#"{"tp": 110, "sl": 95}"#));
    }

    #[test]
    fn what_texts_write_out_is_held_to_it_too() {
        let one = |text: &str| Value::Array(vec![Value::from(text)]).to_string();
        for (text, fine) in [
            (r#"{"reduceOnly": true, "reduceOnly": false}"#, false),
            (r#"  [{"x": 1}, {"sl": 95, "sl": 96}]"#, false),
            (r#"{"bracket": {"tp": {"price": 110, "price": 120}}}"#, false),
            (r#"{"sl": 95, "sl": 95, "rsi": 1, "rsi": 2}"#, true),
            // No JSON, and so no fields.
            (r#"note: {"sl": 95, "sl": 96}"#, true),
        ] {
            for text in [text.to_owned(), one(text), one(&one(text))] {
                let fields = [Value::from("x"), serde_json::json!({"a": [text]})];
                assert_eq!(check_texts(&fields).is_ok(), fine, "{text}");
            }
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let single = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(|number: f64| Value::from(number)),
            ".{0,8}".prop_map(Value::from),
        ];
        single.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn other_json_reads_as_it_always_does(value in any_json(), cut in 0..40_usize) {
            let text = value.to_string();
            for text in [text.as_str(), text.get(..text.len().saturating_sub(cut)).unwrap_or("")] {
                prop_assert_eq!(read(text), serde_json::from_str::<Value>(text).ok());
            }
        }
    }
}
