//! The shape of a body: JSON, near-JSON, or pairs (or a form's, as `curl -d` sends them); and its fields, whatever the
//! shape.

use serde_json::{Map, Value};

use super::{lenient, pairs, query};

/// The most fields and list items that a body may have, at all levels together.
pub(super) const FIELDS_MAX: usize = 256;

/// How deep a body's objects and lists may be nested.
pub(super) const DEPTH_MAX: usize = 16;

/// Why nothing could be made of a body. Its message goes to the sender and the operators; it repeats nothing of the
/// body, which may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not text.
    #[error("the body is not UTF-8 text (at byte {at}): send the message as UTF-8")]
    NotUtf8 {
        /// How many bytes before it are fine.
        at: usize,
    },
    /// Nothing in the body, nothing in the query.
    #[error("the body is empty: put the alert's fields in the message, as a JSON object")]
    Empty,
    /// JSON, but not an object.
    #[error("the body is {0}, not an object: send one alert as {{\"symbol\": …, \"signal\": …}}")]
    NotAnObject(&'static str),
    /// Starts like an object and is none.
    #[error("the body starts like JSON but is none: in line {line}, column {column}, {expected}")]
    Syntax {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong there.
        expected: &'static str,
    },
    /// More levels than anything sensible has.
    #[error("the body's objects and lists are nested more than {DEPTH_MAX} deep")]
    TooDeep,
    /// More fields than anything sensible has.
    #[error("the alert has more than {FIELDS_MAX} fields")]
    TooManyFields,
    /// Text, but no field in it, nor in the query.
    #[error("no field was found in the message: write it as a JSON object, or as lines like `symbol: AAPL`")]
    NoFields,
}

/// A body's fields.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) fields: Map<String, Value>,
    /// The body's text, where it was not JSON.
    pub(super) text: Option<String>,
}

/// Reads a body. An empty one, and a text without fields, have no fields: the query may have them all.
pub(super) fn read(body: &[u8]) -> Result<Source, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|e| Unreadable::NotUtf8 { at: e.valid_up_to() })?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\0'));
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => {
            measure(&fields)?;
            Ok(Source { fields, text: None })
        }
        Ok(other) => Err(Unreadable::NotAnObject(kind(&other))),
        Err(_) => near_json_or_pairs(text),
    }
}

fn near_json_or_pairs(text: &str) -> Result<Source, Unreadable> {
    let fields = match text.chars().next() {
        Some('{') if !text.starts_with("{{") => lenient::read(text)?,
        Some('[') if !text[1..].trim_start().starts_with(|c: char| c.is_alphabetic()) => {
            return Err(Unreadable::NotAnObject("a list"));
        }
        _ if is_form(text) => query::read(text)?,
        _ => pairs::read(text)?,
    };
    Ok(Source { fields, text: Some(text.to_owned()) })
}

/// `a=b&c=d`, with nothing that would split pairs.
fn is_form(text: &str) -> bool {
    text.contains('&') && text.contains('=') && !text.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '{'))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a quoted text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Holds strict JSON to the bounds that near-JSON is read within. (The JSON reader stops at 128 levels by itself.)
fn measure(fields: &Map<String, Value>) -> Result<(), Unreadable> {
    let mut count = 0;
    let mut open: Vec<(&Value, usize)> = fields.values().map(|value| (value, 1)).collect();
    while let Some((value, depth)) = open.pop() {
        count += 1;
        if count > FIELDS_MAX {
            return Err(Unreadable::TooManyFields);
        }
        if depth >= DEPTH_MAX && matches!(value, Value::Array(_) | Value::Object(_)) {
            return Err(Unreadable::TooDeep);
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => open.extend(members.values().map(|member| (member, depth + 1))),
            _ => {}
        }
    }
    Ok(())
}
