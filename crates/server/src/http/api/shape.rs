//! What the API's documents look like. One declaration of each serves the answers (nothing comes out that is not
//! declared), the schemas of the description, the values of filters, and the rule about fields that Alertcast keeps.

use bson::{Bson, Document};
use serde_json::{Map, Value};

use crate::operator::edit::stored_name;

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum ShapeKind {
    /// 24 hexadecimal digits.
    Id,
    /// RFC 3339, with milliseconds.
    Time,
    /// Never blank.
    Text,
    /// Text, which may be sent as a whole number: a name that is one, as Telegram's are.
    Digits,
    /// Text that fits a pattern.
    Spelled(&'static str),
    Flag,
    Whole {
        min: i64,
        max: i64,
    },
    Number {
        min: Option<i64>,
        above: bool,
    },
    /// One of these.
    Word(&'static [&'static str]),
    List(&'static Self),
    Object(&'static [ShapeField]),
    /// Whatever others put there.
    Anything,
}

/// One field of a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShapeField {
    pub(super) name: &'static str,
    pub(super) kind: ShapeKind,
    /// What it is, for the description.
    pub(super) what: &'static str,
    /// How it may look.
    pub(super) example: Option<&'static str>,
    /// It must be given when a document is made.
    pub(super) required: bool,
    /// Every document has it.
    pub(super) always: bool,
    /// Alertcast keeps it; others read it.
    pub(super) kept: bool,
    /// Kept, but others may take it away.
    pub(super) clearable: bool,
    /// It is taken in and never given out.
    pub(super) secret: bool,
    /// It is left out of lists.
    pub(super) long: bool,
}

/// A field that must be given.
pub(super) const fn must(name: &'static str, kind: ShapeKind, what: &'static str) -> ShapeField {
    ShapeField {
        name,
        kind,
        what,
        example: None,
        required: true,
        always: true,
        kept: false,
        clearable: false,
        secret: false,
        long: false,
    }
}

/// A field with a default.
pub(super) const fn field(name: &'static str, kind: ShapeKind, what: &'static str) -> ShapeField {
    ShapeField { required: false, ..must(name, kind, what) }
}

/// A field that may be absent.
pub(super) const fn may(name: &'static str, kind: ShapeKind, what: &'static str) -> ShapeField {
    ShapeField { always: false, ..field(name, kind, what) }
}

impl ShapeField {
    pub(super) const fn like(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }

    pub(super) const fn make_kept(self) -> Self {
        Self { kept: true, ..self }
    }

    pub(super) const fn clearable(self) -> Self {
        Self { clearable: true, ..self.make_kept() }
    }

    pub(super) const fn secret(self) -> Self {
        Self { secret: true, always: false, ..self }
    }

    pub(super) const fn long(self) -> Self {
        Self { long: true, always: false, ..self }
    }

    /// Whether answers of this extent have it.
    pub(super) fn is_given_out(&self, extent: DocumentExtent) -> bool {
        !self.secret && (!self.long || extent == DocumentExtent::Whole)
    }
}

/// How much of a document is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DocumentExtent {
    Whole,
    /// Without what is long.
    Listed,
}

/// A document as it is given out.
pub(super) fn show_shape(shape: &[ShapeField], document: &Document, extent: DocumentExtent) -> Value {
    let mut out = Map::new();
    for field in shape.iter().filter(|field| field.is_given_out(extent)) {
        // Only whole documents have an `_id`; an object within may have an `id` of its own.
        let value = document.get(stored_name(field.name)).or_else(|| document.get(field.name));
        if let Some(value) = value.filter(|value| !matches!(value, Bson::Null | Bson::Undefined)) {
            out.insert(field.name.to_owned(), shown_as(field.kind, value, extent));
        }
    }
    Value::Object(out)
}

fn shown_as(kind: ShapeKind, value: &Bson, extent: DocumentExtent) -> Value {
    match (kind, value) {
        (ShapeKind::Object(fields), Bson::Document(document)) => show_shape(fields, document, extent),
        (ShapeKind::List(kind), Bson::Array(items)) => items.iter().map(|item| shown_as(*kind, item, extent)).collect(),
        _ => plain(value),
    }
}

/// A value of the store as JSON has it.
fn plain(value: &Bson) -> Value {
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
pub(super) fn time_text(at: alertcast_core::time::Time) -> String {
    at.to_jiff().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The paths of the fields that Alertcast keeps, or that are secret.
pub(super) fn paths(shape: &'static [ShapeField], wanted: fn(&ShapeField) -> bool) -> Vec<String> {
    let mut out = Vec::new();
    gather(shape, "", wanted, &mut out);
    out
}

fn gather(shape: &'static [ShapeField], within: &str, wanted: fn(&ShapeField) -> bool, out: &mut Vec<String>) {
    for field in shape {
        let path = format!("{within}{}", field.name);
        match field.kind {
            _ if wanted(field) => out.push(path),
            ShapeKind::Object(fields) => gather(fields, &format!("{path}."), wanted, out),
            _ => {}
        }
    }
}

/// The field at a dotted path, where others give its value; none where Alertcast keeps it.
pub(super) fn find_given(shape: &'static [ShapeField], path: &str) -> Option<&'static ShapeField> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let field = shape.iter().find(|field| stored_name(field.name) == first && !field.kept)?;
    match (rest, field.kind) {
        (None, _) => Some(field),
        (Some(rest), ShapeKind::Object(fields)) => find_given(fields, rest),
        _ => None,
    }
}

/// The field at a dotted path of the store.
pub(super) fn at_path(shape: &'static [ShapeField], path: &str) -> Option<&'static ShapeField> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let field = shape.iter().find(|field| stored_name(field.name) == first)?;
    match (rest, field.kind) {
        (None, _) => Some(field),
        (Some(rest), ShapeKind::Object(fields)) => at_path(fields, rest),
        _ => None,
    }
}
