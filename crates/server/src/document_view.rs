//! What documents look like to people and programs: what is declared of them, as JSON. Nothing comes out that is not
//! declared.

use alertcast_core::schema::{FieldDeclaration, FieldDisclosure, FieldKind, find, level};
use bson::{Bson, Document};
use serde_json::{Map, Value};

/// How much of a document is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DocumentExtent {
    Whole,
    /// Without what is long.
    Listed,
}

/// Whether answers of this extent have a field.
pub(crate) fn is_given_out(field: &FieldDeclaration, extent: DocumentExtent) -> bool {
    match field.disclosure {
        FieldDisclosure::Shown => true,
        FieldDisclosure::ShownAlone => extent == DocumentExtent::Whole,
        FieldDisclosure::Secret | FieldDisclosure::Internal => false,
    }
}

/// A document as it is given out, by what is declared of it.
pub(crate) fn show_fields(fields: &'static [FieldDeclaration], document: &Document, extent: DocumentExtent) -> Value {
    let mut out = Map::new();
    for (field, within) in level(fields).filter(|(field, _)| is_given_out(field, extent)) {
        let value = document.get(field.name()).filter(|value| !matches!(value, Bson::Null | Bson::Undefined));
        if let Some(value) = value {
            out.insert(api_name(field.name()).to_owned(), shown_as(field.kind, within, value, extent));
        }
    }
    Value::Object(out)
}

fn shown_as(kind: FieldKind, within: &'static [FieldDeclaration], value: &Bson, extent: DocumentExtent) -> Value {
    match (kind, value) {
        (FieldKind::Object, Bson::Document(inner)) => show_fields(within, inner, extent),
        (FieldKind::Documents(fields), Bson::Array(items)) => {
            items.iter().map(|item| shown_as(FieldKind::Object, fields, item, extent)).collect()
        }
        _ => plain(value),
    }
}

/// A path of the store as the API has it.
pub(crate) fn api_name(path: &str) -> &str {
    if path == "_id" { "id" } else { path }
}

/// A value of the store as JSON has it.
pub(crate) fn plain(value: &Bson) -> Value {
    match value {
        Bson::Double(number) => number_of(*number),
        Bson::Int32(number) => (*number).into(),
        Bson::Int64(number) => (*number).into(),
        Bson::Boolean(flag) => (*flag).into(),
        Bson::String(text) => text.as_str().into(),
        Bson::ObjectId(id) => id.to_hex().into(),
        Bson::DateTime(at) => time_text((*at).into()).into(),
        Bson::Array(items) => items.iter().map(plain).collect(),
        Bson::Document(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        Bson::Decimal128(number) => number.to_string().parse().map_or_else(|_| number.to_string().into(), number_of),
        Bson::Null | Bson::Undefined => Value::Null,
        other => other.to_string().into(),
    }
}

/// Whole numbers without a point.
fn number_of(number: f64) -> Value {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT_MAX { (number as i64).into() } else { number.into() }
}

/// A moment as RFC 3339 with milliseconds.
pub(crate) fn time_text(at: alertcast_core::time::Time) -> String {
    at.to_jiff().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The paths, as the API has them, of the fields for which something holds; of objects for which it holds, the whole.
pub(crate) fn paths(fields: &'static [FieldDeclaration], wanted: fn(&FieldDeclaration) -> bool) -> Vec<String> {
    let mut out = Vec::new();
    for (field, within) in level(fields).filter(|(field, _)| !field.is_internal()) {
        match wanted(field) {
            true => out.push(api_name(field.path).to_owned()),
            false => out.extend(paths(within, wanted)),
        }
    }
    out
}

/// What the API does not show, it does not take away.
pub(crate) fn keep_undeclared(fields: &'static [FieldDeclaration], before: &Document, after: &mut Document) {
    for (name, value) in before {
        let declared = level(fields).find(|(field, _)| field.name() == name && !field.is_internal());
        match (declared, value) {
            (None, value) => {
                after.insert(name, value.clone());
            }
            (Some((field, within)), Bson::Document(before)) if field.kind == FieldKind::Object => {
                let mut kept = after.get_document(name).cloned().unwrap_or_default();
                keep_undeclared(within, before, &mut kept);
                if !kept.is_empty() {
                    after.insert(name, kept);
                }
            }
            _ => {}
        }
    }
}

/// What a field at a path holds; text, where nothing is declared of it.
pub(crate) fn kind_at(fields: &'static [FieldDeclaration], path: &str) -> FieldKind {
    find(fields, path).map_or(FieldKind::Text, |field| field.kind)
}
