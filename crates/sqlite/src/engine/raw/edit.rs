//! Changes by path in a document's bytes. What is not changed is copied as it stands, bit for bit.

use std::borrow::Cow;
use std::cmp::Ordering;

use bson::Bson;

use super::{
    BOOLEAN, DATE, DOCUMENT, DOUBLE, EMPTY, INT32, INT64, OBJECT_ID, PathSet, RawElement, RawValue, elements, lookup,
    pack_value, split,
};
use crate::error::{SqliteError, SqliteResult};

/// Changes to one document, by dotted paths.
#[derive(Debug, Default)]
pub(crate) struct RawEdit {
    changes: Vec<(Cow<'static, str>, Option<NewValue>)>,
}

/// A new value.
#[derive(Debug)]
enum NewValue {
    Small(Bson),
    /// A document or a list, as its type and its bytes: packed where the edit is made, which is not on the writer's
    /// thread.
    Packed(u8, Vec<u8>),
}

impl From<Bson> for NewValue {
    fn from(value: Bson) -> Self {
        match value {
            value @ (Bson::Document(_) | Bson::Array(_)) => {
                let (kind, bytes) = pack_value(value);
                Self::Packed(kind, bytes)
            }
            small => Self::Small(small),
        }
    }
}

impl RawEdit {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn set(&mut self, path: impl Into<Cow<'static, str>>, value: impl Into<Bson>) {
        self.changes.push((path.into(), Some(NewValue::from(value.into()))));
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
    pub(crate) fn may_meet(&self, paths: &PathSet) -> bool {
        self.changes.iter().any(|(path, _)| paths.may_meet(path))
    }

    /// The document with the changes made. New fields go to the end, in the order of their names (indexes of a list: of
    /// their numbers), as MongoDB has it.
    pub(crate) fn apply(&self, document: &[u8]) -> SqliteResult<Vec<u8>> {
        if let Some(new) = self.overwritten(document) {
            return Ok(new);
        }
        let mut steps: Vec<EditStep<'_>> =
            self.changes.iter().map(|(path, value)| EditStep { path, value: value.as_ref() }).collect();
        // Steadily: of two changes of one path the later one holds.
        steps.sort_by(|a, b| compare_paths(a.path, b.path));
        let mut out = Vec::with_capacity(document.len() + 128);
        edit(&mut out, document, &steps, 0)?;
        Ok(out)
    }

    /// The frequent case, where every change puts a number or a time in the place of another: the bytes with the new
    /// values over the old ones.
    fn overwritten(&self, document: &[u8]) -> Option<Vec<u8>> {
        let is_fixed = |value: &Option<NewValue>| {
            matches!(
                value,
                Some(NewValue::Small(Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::DateTime(_)))
            )
        };
        if !self.changes.iter().all(|(_, value)| is_fixed(value)) {
            return None;
        }
        let mut new = document.to_vec();
        for (path, value) in &self.changes {
            let old = lookup(document, path).ok()??;
            // The value is a part of the document.
            let at = old.bytes.as_ptr().addr() - document.as_ptr().addr();
            let place = new.get_mut(at..at + old.bytes.len())?;
            let Some(NewValue::Small(value)) = value else { return None };
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
struct EditStep<'a> {
    path: &'a str,
    value: Option<&'a NewValue>,
}

impl<'a> EditStep<'a> {
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
fn edit(out: &mut Vec<u8>, document: &[u8], steps: &[EditStep<'_>], depth: usize) -> SqliteResult<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let groups: Vec<(&str, &[EditStep<'_>])> =
        groups(steps, depth).map(|group| (group[0].part(depth).0, group)).collect();
    // A bit for each group that has met its field. The groups of one document are few; those above 64 are looked for.
    let mut met = 0_u64;
    for element in elements(document) {
        let element = element?;
        let group = groups.iter().enumerate().find(|(_, (key, _))| key.as_bytes() == element.key);
        match group {
            None => out.extend_from_slice(element.whole),
            Some((at, (_, group))) => {
                met |= 1_u64.checked_shl(u32::try_from(at).unwrap_or(64)).unwrap_or(0);
                write_field(out, element.key, Some(element), group, depth)?;
            }
        }
    }
    for (at, (key, group)) in groups.into_iter().enumerate() {
        let is_met = if at < 64 { met & (1 << at) != 0 } else { lookup(document, key)?.is_some() };
        if !is_met {
            write_field(out, key.as_bytes(), None, group, depth)?;
        }
    }
    out.push(0);
    let length = i32::try_from(out.len() - start).map_err(|_| SqliteError::corrupt("a document is too large"))?;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// The steps by the field that they concern.
fn groups<'s, 'a>(steps: &'s [EditStep<'a>], depth: usize) -> impl Iterator<Item = &'s [EditStep<'a>]> {
    steps.chunk_by(move |a, b| a.part(depth).0 == b.part(depth).0)
}

/// Writes one field as the steps that concern it leave it.
fn write_field(
    out: &mut Vec<u8>,
    key: &[u8],
    present: Option<RawElement<'_>>,
    steps: &[EditStep<'_>],
    depth: usize,
) -> SqliteResult<()> {
    if let Some(whole) = steps.iter().rev().find(|step| step.part(depth).1.is_none()) {
        match whole.value {
            None => {}
            Some(NewValue::Small(value)) => push_element(out, key, value),
            Some(NewValue::Packed(kind, bytes)) => {
                push_key(out, *kind, key);
                out.extend_from_slice(bytes);
            }
        }
        return Ok(());
    }
    let deeper = steps.first().and_then(|step| step.part(depth).1).unwrap_or(depth);
    // A list has places; what is to have fields takes its place.
    let has_places = steps.iter().all(|step| step.path[deeper..].starts_with(|c: char| c.is_ascii_digit()));
    let nested = present.filter(|element| element.value.kind == DOCUMENT || (element.value.is_nested() && has_places));
    if nested.is_none() && steps.iter().all(|step| step.value.is_none()) {
        if let Some(element) = present {
            out.extend_from_slice(element.whole);
        }
        return Ok(());
    }
    let value = nested.map_or(RawValue { kind: DOCUMENT, bytes: EMPTY }, |element| element.value);
    push_key(out, value.kind, key);
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
    let (kind, bytes) = pack_value(value.clone());
    push_key(out, kind, key);
    out.extend_from_slice(&bytes);
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    fn edited(document: &Document, changes: &[(&str, Option<Bson>)]) -> Document {
        let mut edit = RawEdit::new();
        for (path, value) in changes {
            match value {
                Some(value) => edit.set((*path).to_owned(), value.clone()),
                None => edit.unset((*path).to_owned()),
            }
        }
        let bytes = edit.apply(&document.to_vec().unwrap()).unwrap();
        Document::from_reader(bytes.as_slice()).unwrap()
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
}
