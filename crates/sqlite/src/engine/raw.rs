//! Documents as bytes: finding a value by its path, and changing values by their paths ([`RawEdit`]), without unpacking the
//! rest.

mod edit;

use alertcast_core::money::Count;
use alertcast_core::time::Time;
use bson::oid::ObjectId;
use bson::{Bson, Document};
use rusqlite::types::ValueRef;

use crate::error::{SqliteError, SqliteResult};
pub(crate) use edit::RawEdit;

const DOUBLE: u8 = 0x01;
const STRING: u8 = 0x02;
const DOCUMENT: u8 = 0x03;
const ARRAY: u8 = 0x04;
const BINARY: u8 = 0x05;
const OBJECT_ID: u8 = 0x07;
const BOOLEAN: u8 = 0x08;
const DATE: u8 = 0x09;
const UNDEFINED: u8 = 0x06;
const NULL: u8 = 0x0a;
const INT32: u8 = 0x10;
const INT64: u8 = 0x12;
const DECIMAL128: u8 = 0x13;

const EMPTY: &[u8] = &[5, 0, 0, 0, 0];

fn damage_error() -> SqliteError {
    SqliteError::corrupt("a document's bytes are damaged")
}

/// A value inside a document: its BSON type and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawValue<'a> {
    kind: u8,
    bytes: &'a [u8],
}

impl<'a> RawValue<'a> {
    /// The whole number it is, bounded as counts are; of a double its whole part. None where it is no number.
    pub(crate) fn as_i64(self) -> Option<i64> {
        let count = match self.as_sql() {
            ValueRef::Integer(number) if matches!(self.kind, INT32 | INT64) => Count::of(&Bson::Int64(number)),
            ValueRef::Real(number) => Count::of(&Bson::Double(number)),
            _ => None,
        };
        count.map(|count| count.0)
    }

    /// The number it is.
    #[expect(clippy::cast_precision_loss, reason = "prices written as whole numbers")]
    pub(crate) fn as_f64(self) -> Option<f64> {
        match self.as_number()? {
            RawNumber::Whole(number) => Some(number as f64),
            RawNumber::Real(number) => Some(number),
        }
    }

    pub(crate) fn as_time(self) -> Option<Time> {
        match self.as_sql() {
            ValueRef::Integer(millis) if self.kind == DATE => Some(Time::from_millis(millis)),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> Option<&'a str> {
        match self.as_sql() {
            ValueRef::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    pub(crate) fn as_id(self) -> Option<ObjectId> {
        let bytes = (self.kind == OBJECT_ID).then_some(self.bytes)?;
        bytes.try_into().ok().map(ObjectId::from_bytes)
    }

    /// The elements of a list (or the fields of a document).
    pub(crate) fn items(self) -> RawElements<'a> {
        elements(if matches!(self.kind, DOCUMENT | ARRAY) { self.bytes } else { EMPTY })
    }

    /// The value at a dotted path inside a document.
    pub(crate) fn field(self, path: &str) -> SqliteResult<Option<Self>> {
        if self.is_nested() { lookup(self.bytes, path) } else { Ok(None) }
    }

    /// As a column holds it. What no index needs (documents, lists, null) is NULL.
    pub(crate) fn as_sql(self) -> ValueRef<'a> {
        match (self.kind, self.bytes) {
            (DOUBLE, bytes) => number(bytes, f64::from_le_bytes).map_or(ValueRef::Null, ValueRef::Real),
            (STRING, [_, _, _, _, text @ .., 0]) => ValueRef::Text(text),
            (BINARY, [_, _, _, _, _, data @ ..]) => ValueRef::Blob(data),
            (OBJECT_ID, id) => ValueRef::Blob(id),
            (BOOLEAN, [truth]) => ValueRef::Integer(i64::from(*truth)),
            (DATE | INT64, bytes) => number(bytes, i64::from_le_bytes).map_or(ValueRef::Null, ValueRef::Integer),
            (INT32, bytes) => {
                number(bytes, i32::from_le_bytes).map_or(ValueRef::Null, |n| ValueRef::Integer(i64::from(n)))
            }
            (DECIMAL128, bytes) => number(bytes, bson::Decimal128::from_bytes)
                .and_then(|decimal| decimal.to_string().parse().ok())
                .map_or(ValueRef::Null, ValueRef::Real),
            _ => ValueRef::Null,
        }
    }

    /// Whether it stands for nothing.
    pub(crate) const fn is_nothing(self) -> bool {
        matches!(self.kind, NULL | UNDEFINED)
    }

    /// Whether it is a list.
    pub(crate) const fn is_list(self) -> bool {
        self.kind == ARRAY
    }

    fn is_nested(self) -> bool {
        matches!(self.kind, DOCUMENT | ARRAY)
    }

    /// Whether it equals `other` as MongoDB compares: numbers by value, whatever their types.
    pub(crate) fn equals(self, other: &Bson) -> bool {
        let (kind, bytes) = pack_value(other.clone());
        let other = RawValue { kind, bytes: &bytes };
        match (self.as_number(), other.as_number()) {
            (Some(a), Some(b)) => a == b || self == other,
            _ => self == other,
        }
    }

    fn as_number(self) -> Option<RawNumber> {
        match (self.kind, self.as_sql()) {
            (INT32 | INT64, ValueRef::Integer(whole)) => Some(RawNumber::Whole(whole)),
            (DOUBLE | DECIMAL128, ValueRef::Real(real)) => Some(RawNumber::Real(real)),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum RawNumber {
    Whole(i64),
    Real(f64),
}

impl PartialEq for RawNumber {
    #[expect(clippy::cast_precision_loss, reason = "a double is compared as a double")]
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Whole(a), Self::Whole(b)) => a == b,
            (Self::Real(a), Self::Real(b)) => a == b,
            (Self::Whole(a), Self::Real(b)) | (Self::Real(b), Self::Whole(a)) => a as f64 == b,
        }
    }
}

fn number<const N: usize, T>(bytes: &[u8], read: impl FnOnce([u8; N]) -> T) -> Option<T> {
    bytes.try_into().ok().map(read)
}

/// One field of a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawElement<'a> {
    key: &'a [u8],
    pub(crate) value: RawValue<'a>,
    /// Type, key and value.
    whole: &'a [u8],
}

/// The fields of a document, in its order.
#[derive(Debug)]
pub(crate) struct RawElements<'a> {
    rest: &'a [u8],
}

/// The fields of a document.
pub(crate) fn elements(document: &[u8]) -> RawElements<'_> {
    let whole = length(document).is_some_and(|length| length == document.len());
    // A document that is cut short shows as an element that cannot be read.
    let rest = match document {
        [_, _, _, _, rest @ .., 0] if whole => rest,
        _ => &[0xff],
    };
    RawElements { rest }
}

impl<'a> Iterator for RawElements<'a> {
    type Item = SqliteResult<RawElement<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let element = element(self.rest);
        self.rest = element.map_or(&[], |element| &self.rest[element.whole.len()..]);
        Some(element.ok_or_else(damage_error))
    }
}

fn element(bytes: &[u8]) -> Option<RawElement<'_>> {
    let (kind, rest) = bytes.split_first()?;
    let key_len = rest.iter().position(|byte| *byte == 0)?;
    let (key, rest) = rest.split_at(key_len);
    let rest = rest.get(1..)?;
    let len = value_length(*kind, rest)?;
    Some(RawElement {
        key,
        value: RawValue { kind: *kind, bytes: rest.get(..len)? },
        whole: bytes.get(..2 + key_len + len)?,
    })
}

fn value_length(kind: u8, bytes: &[u8]) -> Option<usize> {
    let text = |bytes: &[u8]| bytes.iter().position(|byte| *byte == 0).map(|end| end + 1);
    Some(match kind {
        NULL | 0x06 | 0x7f | 0xff => 0,
        BOOLEAN => 1,
        INT32 => 4,
        DOUBLE | DATE | INT64 | 0x11 => 8,
        OBJECT_ID => 12,
        DECIMAL128 => 16,
        STRING | 0x0d | 0x0e => length(bytes)?.checked_add(4)?,
        BINARY => length(bytes)?.checked_add(5)?,
        0x0c => length(bytes)?.checked_add(16)?,
        DOCUMENT | ARRAY | 0x0f => length(bytes)?,
        0x0b => {
            let pattern = text(bytes)?;
            pattern + text(bytes.get(pattern..)?)?
        }
        _ => return None,
    })
}

fn length(bytes: &[u8]) -> Option<usize> {
    let bytes: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    usize::try_from(i32::from_le_bytes(bytes)).ok()
}

/// The value at a dotted path.
pub(crate) fn lookup<'a>(document: &'a [u8], path: &str) -> SqliteResult<Option<RawValue<'a>>> {
    let (head, rest) = split(path);
    for element in elements(document) {
        let RawElement { key, value, .. } = element?;
        if key == head.as_bytes() {
            return match rest {
                None => Ok(Some(value)),
                Some(rest) if value.is_nested() => lookup(value.bytes, rest),
                Some(_) => Ok(None),
            };
        }
    }
    Ok(None)
}

/// The counter at a dotted path; zero where there is none.
pub(crate) fn counter(document: &[u8], path: &str) -> SqliteResult<i64> {
    Ok(lookup(document, path)?.and_then(RawValue::as_i64).unwrap_or(0))
}

fn split(path: &str) -> (&str, Option<&str>) {
    path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)))
}

/// A value as a column holds it.
pub(crate) fn sql_value(value: &Bson) -> rusqlite::types::Value {
    let (kind, bytes) = pack_value(value.clone());
    RawValue { kind, bytes: &bytes }.as_sql().try_into().unwrap_or(rusqlite::types::Value::Null)
}

/// A value's type and bytes.
fn pack_value(value: Bson) -> (u8, Vec<u8>) {
    let mut holder = Document::new();
    holder.insert("v", value);
    // The bytes of {v: value}: a length, the type, "v" and its end, the value, an end.
    match holder.to_vec().as_deref() {
        Ok([_, _, _, _, kind, _, _, bytes @ .., _]) => (*kind, bytes.to_vec()),
        _ => (NULL, Vec::new()),
    }
}

/// Paths that are looked up together, in one walk through a document.
#[derive(Debug)]
pub(crate) struct PathSet {
    fields: Vec<PathNode>,
}

#[derive(Debug)]
struct PathNode {
    key: &'static str,
    /// Where its value goes.
    place: Option<usize>,
    inside: PathSet,
}

impl PathSet {
    /// The values of these paths go to the places of their order.
    pub(crate) fn new(paths: &[&'static str]) -> Self {
        let mut all = Self { fields: Vec::new() };
        for (place, path) in paths.iter().enumerate() {
            all.add(path, place);
        }
        all
    }

    fn add(&mut self, path: &'static str, place: usize) {
        let (key, rest) = split(path);
        let at = self.fields.iter().position(|field| field.key == key).unwrap_or_else(|| {
            self.fields.push(PathNode { key, place: None, inside: Self { fields: Vec::new() } });
            self.fields.len() - 1
        });
        match rest {
            None => self.fields[at].place = Some(place),
            Some(rest) => self.fields[at].inside.add(rest, place),
        }
    }

    /// Whether a change of this path may change one of these.
    pub(crate) fn may_meet(&self, path: &str) -> bool {
        self.fields.iter().any(|field| field.key == split(path).0)
    }

    /// Fills in the values that are there.
    pub(crate) fn find<'d>(&self, document: &'d [u8], values: &mut [ValueRef<'d>]) -> SqliteResult<()> {
        let mut missing = self.fields.len();
        for element in elements(document) {
            let RawElement { key, value, .. } = element?;
            let Some(field) = self.fields.iter().find(|field| field.key.as_bytes() == key) else {
                continue;
            };
            if let Some(place) = field.place {
                values[place] = value.as_sql();
            }
            if value.is_nested() && !field.inside.fields.is_empty() {
                field.inside.find(value.bytes, values)?;
            }
            missing -= 1;
            if missing == 0 {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn paths_are_found_in_one_walk() {
        let bytes = doc! { "x": 0, "a": { "b": 1, "c": { "d": "t" } }, "e": true, "f": { "g": 2 } }.to_vec().unwrap();
        let paths = PathSet::new(&["e", "a.c.d", "a.b", "f", "f.g", "x.y", "none"]);
        let mut values = [ValueRef::Null; 7];
        paths.find(&bytes, &mut values).unwrap();
        let text = ValueRef::Text(b"t");
        let [one, two] = [1, 2].map(ValueRef::Integer);
        assert_eq!(values, [one, text, one, ValueRef::Null, two, ValueRef::Null, ValueRef::Null]);
    }

    #[test]
    fn every_type_is_walked_over_edited_and_the_same_as_itself() {
        for value in alertcast_core::reading::every_bson_type() {
            let kept = doc! { "a": value.clone(), "in": { "a": value.clone(), "b": 1 }, "b": 2 };
            let bytes = kept.to_vec().unwrap();
            assert!(lookup(&bytes, "a").unwrap().unwrap().equals(&value), "{value:?}");
            assert_eq!(counter(&bytes, "in.b").unwrap(), 1, "{value:?}");
            let mut edit = RawEdit::new();
            edit.set("b", value.clone());
            edit.unset("in.b");
            let edited = edit.apply(&bytes).unwrap();
            assert!(lookup(&edited, "b").unwrap().unwrap().equals(&value), "{value:?}");
            assert!(lookup(&edited, "in.a").unwrap().unwrap().equals(&value), "{value:?}");
            assert!(lookup(&edited, "in.b").unwrap().is_none(), "{value:?}");
        }
    }

    #[test]
    fn numbers_of_any_type_are_read() {
        let decimal: bson::Decimal128 = "7.0".parse().unwrap();
        let bytes = doc! { "a": 7, "b": 7_i64, "c": 7.0, "d": decimal }.to_vec().unwrap();
        for path in ["a", "b", "c", "d"] {
            let value = lookup(&bytes, path).unwrap().unwrap();
            assert_eq!(value.as_i64(), Some(7), "{path}");
            for other in [Bson::Int32(7), Bson::Int64(7), Bson::Double(7.0)] {
                assert!(value.equals(&other), "{path} {other}");
            }
            assert!(!value.equals(&Bson::Double(7.5)));
        }
    }

    #[test]
    fn damage_is_noticed() {
        let mut bytes = doc! { "a": "text", "b": 1 }.to_vec().unwrap();
        bytes[7] = 200;
        assert!(lookup(&bytes, "b").is_err());
        assert!(lookup(&bytes[..9], "b").is_err());
        assert!(lookup(&[], "b").is_err());
    }
}
