//! Documents as bytes: finding a value by its path, and changing values by their paths, without unpacking the rest.
//! What is not changed is copied as it stands, bit for bit.

use std::borrow::Cow;
use std::cmp::Ordering;

use alertcast_core::time::Time;
use bson::oid::ObjectId;
use bson::{Bson, Document};
use rusqlite::types::ValueRef;

use crate::fault::{Fault, Result};

const DOUBLE: u8 = 0x01;
const STRING: u8 = 0x02;
const DOCUMENT: u8 = 0x03;
const ARRAY: u8 = 0x04;
const BINARY: u8 = 0x05;
const OBJECT_ID: u8 = 0x07;
const BOOLEAN: u8 = 0x08;
const DATE: u8 = 0x09;
const NULL: u8 = 0x0a;
const INT32: u8 = 0x10;
const INT64: u8 = 0x12;
const DECIMAL128: u8 = 0x13;

const EMPTY: &[u8] = &[5, 0, 0, 0, 0];

fn damaged() -> Fault {
    Fault::corrupt("a document's bytes are damaged")
}

/// A value inside a document: its BSON type and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    kind: u8,
    bytes: &'a [u8],
}

impl<'a> Value<'a> {
    /// The whole number it is; of a double its whole part. None where it is no number.
    pub(crate) fn as_i64(self) -> Option<i64> {
        match self.as_sql() {
            ValueRef::Integer(number) if matches!(self.kind, INT32 | INT64) => Some(number),
            #[expect(clippy::cast_possible_truncation, reason = "whole parts of counters; out of range saturates")]
            ValueRef::Real(number) => Some(number as i64),
            _ => None,
        }
    }

    /// The number it is.
    #[expect(clippy::cast_precision_loss, reason = "prices written as whole numbers")]
    pub(crate) fn as_f64(self) -> Option<f64> {
        match self.as_number()? {
            Number::Whole(number) => Some(number as f64),
            Number::Real(number) => Some(number),
        }
    }

    pub(crate) fn as_time(self) -> Option<Time> {
        match self.as_sql() {
            ValueRef::Integer(millis) if self.kind == DATE => Some(Time::from_millis(millis)),
            _ => None,
        }
    }

    pub(crate) fn as_bool(self) -> Option<bool> {
        (self.kind == BOOLEAN).then(|| self.bytes.first() == Some(&1))
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
    pub(crate) fn items(self) -> Elements<'a> {
        elements(if matches!(self.kind, DOCUMENT | ARRAY) { self.bytes } else { EMPTY })
    }

    /// The value at a dotted path inside a document.
    pub(crate) fn field(self, path: &str) -> Result<Option<Self>> {
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

    fn is_nested(self) -> bool {
        matches!(self.kind, DOCUMENT | ARRAY)
    }

    /// Whether it equals `other` as MongoDB compares: numbers by value, whatever their types.
    pub(crate) fn equals(self, other: &Bson) -> bool {
        let mut holder = Vec::new();
        push_element(&mut holder, b"", other);
        let Some(other) = Elements { rest: &holder }.next().and_then(std::result::Result::ok) else {
            return false;
        };
        match (self.as_number(), other.value.as_number()) {
            (Some(a), Some(b)) => a == b,
            _ => self.kind == other.value.kind && self.bytes == other.value.bytes,
        }
    }

    fn as_number(self) -> Option<Number> {
        match (self.kind, self.as_sql()) {
            (INT32 | INT64, ValueRef::Integer(whole)) => Some(Number::Whole(whole)),
            (DOUBLE | DECIMAL128, ValueRef::Real(real)) => Some(Number::Real(real)),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Number {
    Whole(i64),
    Real(f64),
}

impl PartialEq for Number {
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
pub(crate) struct Element<'a> {
    key: &'a [u8],
    pub(crate) value: Value<'a>,
    /// Type, key and value.
    whole: &'a [u8],
}

/// The fields of a document, in its order.
#[derive(Debug)]
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
}

/// The fields of a document.
pub(crate) fn elements(document: &[u8]) -> Elements<'_> {
    let whole = length(document).is_some_and(|length| length == document.len());
    // A document that is cut short shows as an element that cannot be read.
    let rest = match document {
        [_, _, _, _, rest @ .., 0] if whole => rest,
        _ => &[0xff],
    };
    Elements { rest }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let element = element(self.rest);
        self.rest = element.map_or(&[], |element| &self.rest[element.whole.len()..]);
        Some(element.ok_or_else(damaged))
    }
}

fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (kind, rest) = bytes.split_first()?;
    let key_len = rest.iter().position(|byte| *byte == 0)?;
    let (key, rest) = rest.split_at(key_len);
    let rest = rest.get(1..)?;
    let len = value_length(*kind, rest)?;
    Some(Element { key, value: Value { kind: *kind, bytes: rest.get(..len)? }, whole: bytes.get(..2 + key_len + len)? })
}

fn value_length(kind: u8, bytes: &[u8]) -> Option<usize> {
    let text = |bytes: &[u8]| bytes.iter().position(|byte| *byte == 0).map(|end| end + 1);
    Some(match kind {
        NULL | 0x06 | 0x7f => 0,
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
pub(crate) fn lookup<'a>(document: &'a [u8], path: &str) -> Result<Option<Value<'a>>> {
    let (head, rest) = split(path);
    for element in elements(document) {
        let Element { key, value, .. } = element?;
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
pub(crate) fn counter(document: &[u8], path: &str) -> Result<i64> {
    Ok(lookup(document, path)?.and_then(Value::as_i64).unwrap_or(0))
}

fn split(path: &str) -> (&str, Option<&str>) {
    path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)))
}

/// A value as a column holds it.
pub(crate) fn sql_value(value: &Bson) -> rusqlite::types::Value {
    let mut holder = Vec::new();
    push_element(&mut holder, b"", value);
    let element = Elements { rest: &holder }.next().and_then(std::result::Result::ok);
    let column = element.map_or(ValueRef::Null, |element| element.value.as_sql());
    column.try_into().unwrap_or(rusqlite::types::Value::Null)
}

/// Paths that are looked up together, in one walk through a document.
#[derive(Debug)]
pub(crate) struct Paths {
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    key: &'static str,
    /// Where its value goes.
    place: Option<usize>,
    inside: Paths,
}

impl Paths {
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
            self.fields.push(Field { key, place: None, inside: Self { fields: Vec::new() } });
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
    pub(crate) fn find<'d>(&self, document: &'d [u8], values: &mut [ValueRef<'d>]) -> Result<()> {
        let mut missing = self.fields.len();
        for element in elements(document) {
            let Element { key, value, .. } = element?;
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

/// Changes to one document, by dotted paths.
#[derive(Debug, Default)]
pub(crate) struct Edit {
    changes: Vec<(Cow<'static, str>, Option<New>)>,
}

/// A new value.
#[derive(Debug)]
enum New {
    Small(Bson),
    /// A document or a list, as its type and its bytes: packed where the edit is made, which is not on the writer's
    /// thread.
    Packed(u8, Vec<u8>),
}

impl From<Bson> for New {
    fn from(value: Bson) -> Self {
        match value {
            value @ (Bson::Document(_) | Bson::Array(_)) => {
                let (kind, bytes) = packed(value);
                Self::Packed(kind, bytes)
            }
            small => Self::Small(small),
        }
    }
}

impl Edit {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn set(&mut self, path: impl Into<Cow<'static, str>>, value: impl Into<Bson>) {
        self.changes.push((path.into(), Some(New::from(value.into()))));
    }

    pub(crate) fn set_some(&mut self, path: &'static str, value: Option<impl Into<Bson>>) {
        if let Some(value) = value {
            self.set(path, value);
        }
    }

    pub(crate) fn unset(&mut self, path: impl Into<Cow<'static, str>>) {
        self.changes.push((path.into(), None));
    }

    /// Whether it may change one of these paths.
    pub(crate) fn may_meet(&self, paths: &Paths) -> bool {
        self.changes.iter().any(|(path, _)| paths.may_meet(path))
    }

    /// The document with the changes made. New fields go to the end, in the order of their names (indexes of a list: of
    /// their numbers), as MongoDB has it.
    pub(crate) fn apply(&self, document: &[u8]) -> Result<Vec<u8>> {
        if let Some(new) = self.overwritten(document) {
            return Ok(new);
        }
        let mut steps: Vec<Step<'_>> =
            self.changes.iter().map(|(path, value)| Step { path, value: value.as_ref() }).collect();
        // Steadily: of two changes of one path the later one holds.
        steps.sort_by(|a, b| compare_paths(a.path, b.path));
        let mut out = Vec::with_capacity(document.len() + 128);
        edit(&mut out, document, &steps, 0)?;
        Ok(out)
    }

    /// The frequent case, where every change puts a number or a time in the place of another: the bytes with the new
    /// values over the old ones.
    fn overwritten(&self, document: &[u8]) -> Option<Vec<u8>> {
        let mut new = document.to_vec();
        for (path, value) in &self.changes {
            let old = lookup(document, path).ok()??;
            // The value is a part of the document.
            let at = old.bytes.as_ptr().addr() - document.as_ptr().addr();
            let place = new.get_mut(at..at + old.bytes.len())?;
            let Some(New::Small(value)) = value else { return None };
            match (old.kind, value) {
                (INT32, Bson::Int32(number)) => place.copy_from_slice(&number.to_le_bytes()),
                (INT64, Bson::Int64(number)) => place.copy_from_slice(&number.to_le_bytes()),
                (DOUBLE, Bson::Double(number)) => place.copy_from_slice(&number.to_le_bytes()),
                (DATE, Bson::DateTime(at)) => place.copy_from_slice(&at.timestamp_millis().to_le_bytes()),
                _ => return None,
            }
        }
        Some(new)
    }
}

/// A change: a value for a path, or none.
#[derive(Debug, Clone, Copy)]
struct Step<'a> {
    path: &'a str,
    value: Option<&'a New>,
}

impl<'a> Step<'a> {
    /// The path's part at this depth of bytes, and where the next one begins.
    fn part(&self, depth: usize) -> (&'a str, Option<usize>) {
        let (head, rest) = split(&self.path[depth..]);
        (head, rest.map(|_| depth + head.len() + 1))
    }
}

fn compare_paths(a: &str, b: &str) -> Ordering {
    let part = |a: &str, b: &str| match (a.parse::<u32>(), b.parse::<u32>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.cmp(b),
    };
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => return part(a, b),
            (a, b) => return a.cmp(&b),
        }
    }
}

/// The steps stand in groups by their part at `depth`.
fn edit(out: &mut Vec<u8>, document: &[u8], steps: &[Step<'_>], depth: usize) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    // A bit for each group that has met its field. The groups of one document are few; those above 64 are looked for.
    let mut met = 0_u64;
    for element in elements(document) {
        let element = element?;
        let group =
            groups(steps, depth).enumerate().find(|(_, group)| group[0].part(depth).0.as_bytes() == element.key);
        match group {
            None => out.extend_from_slice(element.whole),
            Some((at, group)) => {
                met |= 1_u64.checked_shl(u32::try_from(at).unwrap_or(64)).unwrap_or(0);
                write_field(out, element.key, Some(element), group, depth)?;
            }
        }
    }
    for (at, group) in groups(steps, depth).enumerate() {
        let key = group[0].part(depth).0;
        let is_met = if at < 64 { met & (1 << at) != 0 } else { lookup(document, key)?.is_some() };
        if !is_met {
            write_field(out, key.as_bytes(), None, group, depth)?;
        }
    }
    out.push(0);
    let length = i32::try_from(out.len() - start).map_err(|_| Fault::corrupt("a document is too large"))?;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// The steps by the field that they concern.
fn groups<'s, 'a>(steps: &'s [Step<'a>], depth: usize) -> impl Iterator<Item = &'s [Step<'a>]> {
    steps.chunk_by(move |a, b| a.part(depth).0 == b.part(depth).0)
}

/// Writes one field as the steps that concern it leave it.
fn write_field(
    out: &mut Vec<u8>,
    key: &[u8],
    present: Option<Element<'_>>,
    steps: &[Step<'_>],
    depth: usize,
) -> Result<()> {
    if let Some(whole) = steps.iter().rev().find(|step| step.part(depth).1.is_none()) {
        match whole.value {
            None => {}
            Some(New::Small(value)) => push_element(out, key, value),
            Some(New::Packed(kind, bytes)) => {
                push_key(out, *kind, key);
                out.extend_from_slice(bytes);
            }
        }
        return Ok(());
    }
    let nested = present.filter(|element| element.value.is_nested());
    if nested.is_none() && steps.iter().all(|step| step.value.is_none()) {
        if let Some(element) = present {
            out.extend_from_slice(element.whole);
        }
        return Ok(());
    }
    let value = nested.map_or(Value { kind: DOCUMENT, bytes: EMPTY }, |element| element.value);
    push_key(out, value.kind, key);
    let deeper = steps.first().and_then(|step| step.part(depth).1).unwrap_or(depth);
    edit(out, value.bytes, steps, deeper)
}

fn push_key(out: &mut Vec<u8>, kind: u8, key: &[u8]) {
    out.push(kind);
    out.extend_from_slice(key);
    out.push(0);
}

/// Appends one field. What is frequent is written here, the rest by the BSON library.
fn push_element(out: &mut Vec<u8>, key: &[u8], value: &Bson) {
    match value {
        Bson::Int32(number) => {
            push_key(out, INT32, key);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Bson::Int64(number) => {
            push_key(out, INT64, key);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Bson::Double(number) => {
            push_key(out, DOUBLE, key);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Bson::DateTime(at) => {
            push_key(out, DATE, key);
            out.extend_from_slice(&at.timestamp_millis().to_le_bytes());
        }
        Bson::Boolean(truth) => {
            push_key(out, BOOLEAN, key);
            out.push(u8::from(*truth));
        }
        Bson::ObjectId(id) => {
            push_key(out, OBJECT_ID, key);
            out.extend_from_slice(&id.bytes());
        }
        other => push_any(out, key, other),
    }
}

fn push_any(out: &mut Vec<u8>, key: &[u8], value: &Bson) {
    let (kind, bytes) = packed(value.clone());
    push_key(out, kind, key);
    out.extend_from_slice(&bytes);
}

/// A value's type and bytes.
fn packed(value: Bson) -> (u8, Vec<u8>) {
    let mut holder = Document::new();
    holder.insert("v", value);
    // The bytes of {v: value}: a length, the type, "v" and its end, the value, an end.
    match holder.to_vec().as_deref() {
        Ok([_, _, _, _, kind, _, _, bytes @ .., _]) => (*kind, bytes.to_vec()),
        _ => (NULL, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn edited(document: &Document, changes: &[(&str, Option<Bson>)]) -> Document {
        let mut edit = Edit::new();
        for (path, value) in changes {
            match value {
                Some(value) => edit.set((*path).to_owned(), value.clone()),
                None => edit.unset((*path).to_owned()),
            }
        }
        let bytes = edit.apply(&document.to_vec().unwrap()).unwrap();
        bson::deserialize_from_slice(&bytes).unwrap()
    }

    #[test]
    fn an_edit_leaves_everything_else_as_it_was() {
        let before = doc! {
            "_id": 1, "__v": 3_i64, "a": { "b": 1.5, "c": { "d": "x" } }, "list": ["p", { "q": 1 }],
            "re": bson::Regex { pattern: bson::raw::cstr!("^a").into(), options: bson::raw::cstr!("i").into() },
            "n": Bson::Null,
        };
        let after = edited(
            &before,
            &[
                ("a.c.d", Some("y".into())),
                ("a.c.e", Some(Bson::Int64(9))),
                ("a.b", None),
                ("list.1.q", Some(2.into())),
                ("new.deep.er", Some(true.into())),
                ("new.other", Some(doc! { "k": 1 }.into())),
                ("gone.deep", None),
            ],
        );
        let mut want = before;
        want.insert("a", doc! { "c": { "d": "y", "e": 9_i64 } });
        want.insert("list", bson::bson!(["p", { "q": 2 }]));
        want.insert("new", doc! { "deep": { "er": true }, "other": { "k": 1 } });
        assert_eq!(after, want);
    }

    #[test]
    fn a_list_grows_by_the_index_behind_its_end() {
        let nine: Vec<i32> = (0..9).collect();
        let after = edited(&doc! { "errors": nine }, &[("errors.9", Some(9.into())), ("errors.10", Some(10.into()))]);
        assert_eq!(after, doc! { "errors": (0..11).collect::<Vec<i32>>() });
    }

    #[test]
    fn many_fields_are_edited_at_once() {
        let before: Document = (0..100).map(|n| (format!("f{n}"), Bson::Int32(n))).collect();
        let changes: Vec<(String, Option<Bson>)> =
            (0..150).map(|n| (format!("f{n}"), (n % 3 > 0).then_some(Bson::Int32(-n)))).collect();
        let changes: Vec<(&str, Option<Bson>)> = changes.iter().map(|(p, v)| (p.as_str(), v.clone())).collect();
        let after = edited(&before, &changes);
        for n in 0..150 {
            let want = (n % 3 > 0).then_some(Bson::Int32(-n));
            assert_eq!(after.get(format!("f{n}")).cloned(), want, "{n}");
        }
    }

    #[test]
    fn paths_are_found_in_one_walk() {
        let bytes = doc! { "x": 0, "a": { "b": 1, "c": { "d": "t" } }, "e": true, "f": { "g": 2 } }.to_vec().unwrap();
        let paths = Paths::new(&["e", "a.c.d", "a.b", "f", "f.g", "x.y", "none"]);
        let mut values = [ValueRef::Null; 7];
        paths.find(&bytes, &mut values).unwrap();
        let text = ValueRef::Text(b"t");
        let [one, two] = [1, 2].map(ValueRef::Integer);
        assert_eq!(values, [one, text, one, ValueRef::Null, two, ValueRef::Null, ValueRef::Null]);
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
