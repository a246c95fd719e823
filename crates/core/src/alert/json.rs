//! JSON in which no field that decides stands twice: of two signals the reader must not pick one.

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

/// Puts a field among others. Of two that decide nothing the last counts, and of an empty one and another the other.
///
/// # Errors
/// It decides, and stands there with another value.
pub(super) fn put(fields: &mut Map<String, Value>, name: String, value: Value) -> Result<(), ToldTwice> {
    match fields.get(&name) {
        Some(before) if *before == value || is_blank(&value) => return Ok(()),
        Some(before) if !is_blank(before) && decides(&names::normal(&name)) => return Err(ToldTwice),
        Some(_) | None => {}
    }
    fields.insert(name, value);
    Ok(())
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// Whether a field of this normal name tells what is to be done, or at which price.
fn decides(normal: &str) -> bool {
    let lists = [names::SYMBOL, names::TIMEFRAME, names::STRATEGY, names::PRICE, names::POSITION, names::PREV_POSITION];
    lists.iter().any(|list| list.contains(&normal)) || signs::is_told(normal) || levels::is_level(normal)
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
        let mut object = Map::new();
        while let Some((name, ToldOnce(value))) = members.next_entry()? {
            put(&mut object, name, value).map_err(|ToldTwice| A::Error::custom(ToldTwice::MESSAGE))?;
        }
        Ok(Value::Object(object))
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
            (r#"{"signal": "BUY", "signal": "BUY"}"#, true),
            (r#"{"rsi": 1, "rsi": 2, "time": 1, "time": 2}"#, true),
        ] {
            assert_eq!(read(text).is_some(), fine, "{text}");
        }
        assert_eq!(read(r#"{"tp": 110, "tp": null, "sl": "", "sl": 95}"#), read(r#"{"tp": 110, "sl": 95}"#));
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
